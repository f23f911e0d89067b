# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Input validation: every rule about what a user may set, asked before a host is spoken to. Pure.

What is refused for the state that the hosts are in is the preflight of the cluster (``_cluster/preflight.py``).

The rules stand where the modules ask them again later on their hosts. What is here is which variable of the role each
is about, and the rules that only the role has. A rule of a new variable is a line of ``_RULES``.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import re
import typing as t
from dataclasses import dataclass, fields

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings, etcd_flags
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.restored import BUMP_REVISIONS, checked_token
from ansible_collections.ringfence.etcd.plugins.module_utils._common import input_rules as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import check_access_settings
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import WantedUnit, check_unit_text
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import (
    check_authority_options,
    refuse_name_of_authority,
    renewal_rules,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    SECTIONS,
    check_rendered,
    plain_value,
    quote_argument,
    quote_program,
    raw_value,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import certificate_facts
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_entries import clients_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._leaked_keys import EVERYBODY
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import PREFIX
from ansible_collections.ringfence.etcd.plugins.plugin_utils._signer_settings import check_given_pair, check_signer

_NODE_PATHS = (
    "directory",
    "data_dir",
    "unit_directory",
    "client_ca_file",
    "client_cert_file",
    "client_key_file",
    "api_cert_file",
    "api_key_file",
    "clients_directory",
    "client_port_directory",
)
_ACCOUNTS = ("owner", "owner_group")
_REPORTS = {"report_html": "", "report_json": "", "report_metrics": ".prom"}
_DAYS_LEFT = ("warn_days", "fail_days", "ca_warn_days")
# Fields of FlagSettings that the role's variables call otherwise, or do not have.
_OTHER_NAMES = {
    "credentials_directory": "directory",
    "min_tls_version": "min_version",
    "unit_settings": "extra_unit_settings",
}
_UNIT_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
# A unit with nothing but what the rules about units read; the rest of it is the template's.
_UNIT = """[Unit]
Description=etcd
{Unit}
[Service]
Type=notify
Environment=RINGFENCE_CONFIGURATION_HASH=
ExecStart={command}
{Service}
[Install]
WantedBy=multi-user.target
{Install}
"""


@dataclass(frozen=True)
class Asked:
    """A host's settings, without their prefix and in their types, and the members of its cluster with its own."""

    settings: t.Mapping[str, t.Any]
    members: t.Sequence[Member]
    member: Member

    def __getitem__(self, name: str) -> t.Any:
        return self.settings[name]


def flag_settings_of(settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The settings of a member's command line, under the names that ``FlagSettings`` has."""
    known = {**settings, "revocation_list": keeps_revocation_list(settings)}
    return {field.name: known[_OTHER_NAMES.get(field.name, field.name)] for field in fields(FlagSettings)}


def keeps_revocation_list(settings: t.Mapping[str, t.Any]) -> bool:
    """Whether the CA keeps an index, and a list made from it that members check.

    A CA that is given as content has no folder for it. Where a user names a list of their own, etcd reads no other.
    """
    return not settings["ca_certificate"] and "peer-crl-file" not in settings["extra_flags"]


def check_settings(asked: Asked, options: t.Container[str]) -> None:
    """InputError, which names the variable, at the first rule that does not hold.

    ``options``: of the role's entry point; a rule about any other variable is not asked.
    """
    for names, check in _RULES:
        if all(name in options for name in names):
            with reported_as(*names):
                check(asked)


@contextlib.contextmanager
def reported_as(*names: str) -> t.Iterator[None]:
    """Any rule's line with the variable in it: in front of the line where the rule did not say it."""
    variables = [PREFIX + name for name in names]
    try:
        yield
    except RingfenceError as exc:
        text = str(exc)
        is_named = any(variable in text for variable in variables)
        raise InputError(text if is_named else f"{' and '.join(variables)}: {text}") from None


def _check_cluster_name(asked: Asked) -> None:
    name = asked["cluster_name"]
    plain_value(name)
    if name in (".", "..") or "/" in name:
        raise InputError(f"{name!r} can't be a part of a path, which the cluster's name is: leave out slashes")


def _check_authority(asked: Asked) -> None:
    check_authority_options(
        asked["ca_common_name"], asked["ca_validity_days"], asked["ca_passphrase"] or None, f"{PREFIX}ca_"
    )


def _check_client_authority(asked: Asked) -> None:
    """The CA of clients is another than the peers': else each client could be a peer."""
    check_authority_options(
        asked["client_ca_common_name"],
        asked["ca_validity_days"],
        asked["client_ca_passphrase"] or None,
        f"{PREFIX}client_ca_",
    )
    rules.checked_path(asked["client_ca_directory"], f"{PREFIX}client_ca_directory", True)
    for name in ("common_name", "directory"):
        if asked[f"client_ca_{name}"].rstrip("/") == asked[f"ca_{name}"].rstrip("/"):
            raise InputError(
                f"{PREFIX}client_ca_{name} is {asked[f'ca_{name}']!r}, as {PREFIX}ca_{name} is, and the CA of clients "
                "is never the peers': name another"
            )


def _check_clients(asked: Asked) -> None:
    if asked["client_port_directory"].rstrip("/") == asked["directory"].rstrip("/"):
        raise InputError(
            f"{PREFIX}client_port_directory is {PREFIX}directory, where the peers' files are: name another"
        )
    for client in clients_of(
        asked["clients"], asked["clients_directory"], (asked["directory"], asked["client_port_directory"])
    ):
        refuse_name_of_authority(
            client.id, client.common_name, asked["client_ca_common_name"], f"{PREFIX}clients, client {client.id}"
        )


def _check_retired(asked: Asked) -> None:
    for one in asked["retire_ca"]:
        rules.checked_fingerprint(one, f"{PREFIX}retire_ca")


def _check_name_of_authority(asked: Asked) -> None:
    for member in asked.members:
        refuse_name_of_authority(member.name, member.common_name, asked["ca_common_name"])


def _check_name_of_given_authority(asked: Asked) -> None:
    if asked["ca_certificate"]:
        facts = certificate_facts(_first_certificate(asked["ca_certificate"]), f"{PREFIX}ca_certificate")
        for member in asked.members:
            for common_name in facts.common_names:
                refuse_name_of_authority(member.name, member.common_name, common_name)


def _first_certificate(bundle: str) -> bytes:
    """The issuing CA, which comes first where a bundle was written anew."""
    end = "-----END CERTIFICATE-----\n"
    return (bundle.partition(end)[0] + end).encode("utf-8")


def _check_revoked(asked: Asked) -> None:
    if asked["revoked"] and not keeps_revocation_list(asked.settings):
        why = (
            f"the CA is given by {PREFIX}ca_certificate, and so keeps no index and signs no list here"
            if asked["ca_certificate"]
            else f"etcd reads the list that {PREFIX}extra_flags names (--peer-crl-file), and no other"
        )
        raise InputError(f"{PREFIX}revoked: {why}: put the serial numbers on that CA's own list")


def _check_disconnect(asked: Asked) -> None:
    if asked["disconnect_revoked"] and not asked["manage_service"]:
        raise InputError(
            f"{PREFIX}disconnect_revoked: a run without systemd restarts no member: restart them by hand, one after "
            f"the other, or run with {PREFIX}manage_service: true"
        )


def _check_keys_leaked(asked: Asked) -> None:
    words, names = asked["keys_leaked"], [member.name for member in asked.members]
    unknown = [word for word in words if word != EVERYBODY and word not in names]
    if unknown:
        raise InputError(
            f"{PREFIX}keys_leaked: {unknown[0][:100]!r} is no member: {', '.join(names)} are; {EVERYBODY} is every one"
        )
    if words and not keeps_revocation_list(asked.settings):
        raise InputError(
            f"{PREFIX}keys_leaked: no list is kept here by which members would refuse the old certificates: make new "
            f"keys with {PREFIX}new_keys: true, and have the certificates revoked by who keeps that list"
        )
    if words and not asked["manage_service"]:
        raise InputError(
            f"{PREFIX}keys_leaked: a run without systemd restarts no member, and who is connected stays so: run with "
            f"{PREFIX}new_keys: true, then with {PREFIX}revoked: [{words[0]}], and restart the members by hand"
        )
    if words and asked["stop_after"]:
        raise InputError(f"{PREFIX}keys_leaked goes to its end, and {PREFIX}stop_after stops before: leave that out")


def _check_node_path(name: str) -> t.Callable[[Asked], None]:
    def check(asked: Asked) -> None:
        if asked[name]:
            quote_argument(rules.checked_path(asked[name], PREFIX + name))

    return check


def _check_account(name: str) -> t.Callable[[Asked], None]:
    return lambda asked: t.cast(None, plain_value(rules.checked_account(asked[name], PREFIX + name)))


def _check_report(name: str, ending: str) -> t.Callable[[Asked], None]:
    def check(asked: Asked) -> None:
        if asked[name]:
            rules.checked_report_path(asked[name], PREFIX + name, ending, bool(asked["report_host"]))

    return check


def _check_days_left(name: str) -> t.Callable[[Asked], None]:
    return lambda asked: rules.check_range(PREFIX + name, asked[name], *rules.DAYS_LEFT)


def _check_etcd_binary(asked: Asked) -> None:
    quote_program(asked["etcd_binary"])
    rules.checked_program_path(asked["etcd_binary"], f"{PREFIX}etcd_binary")


def _check_install(asked: Asked) -> None:
    rules.checked_archive(asked["archive"], f"{PREFIX}archive")
    why = rules.why_no_archive(asked["archive"], asked["archive_sha256"]) if asked["install"] == "archive" else None
    if why is not None:
        raise InputError(why)


def _check_packages(asked: Asked) -> None:
    wrong = [name for name in asked["packages"] if not name.strip() or name.startswith("-")]
    if asked["install"] == "package" and (wrong or not asked["packages"]):
        found = repr(wrong[0]) if wrong else "empty"
        raise InputError(f"{PREFIX}packages: {found} is no package's name: give the names of the distribution's")


def _check_snapshot_member(asked: Asked) -> None:
    wanted, names = asked["snapshot_member"], [member.name for member in asked.members]
    if wanted and wanted not in names:
        raise InputError(f"{PREFIX}snapshot_member: {wanted!r} is no member: {', '.join(names)} are")


def _check_restore(asked: Asked) -> None:
    if not asked["restore"]:
        raise InputError(
            f"{PREFIX}restore is empty: name the snapshot on the command line, -e "
            f"{PREFIX}restore=/path/of/a/snapshot.db"
        )
    if not asked["manage_service"]:
        raise InputError(
            f"{PREFIX}restore: a run without systemd stops and starts no member: restore with etcdutl snapshot restore "
            f"by hand, or with {PREFIX}manage_service: true"
        )
    if asked["restore_sha256"] and not rules.is_sha256(asked["restore_sha256"]):
        raise InputError(
            f"{PREFIX}restore_sha256: {asked['restore_sha256'][:100]!r} is no SHA-256: 64 digits are wanted"
        )
    if asked["restore_token"]:
        checked_token(asked["restore_token"], asked["cluster_name"])
    rules.check_range(f"{PREFIX}restore_bump_revision", asked["restore_bump_revision"], *BUMP_REVISIONS)


def _check_restart_wait(asked: Asked) -> None:
    least, most = rules.WAIT_SECONDS
    # The module waits so long for each member.
    rules.check_range(f"{PREFIX}restart_wait_seconds", asked["restart_wait_seconds"], least, most // len(asked.members))


def _check_flags(asked: Asked) -> None:
    for flag, value in etcd_flags(asked.member, asked.members, FlagSettings(**flag_settings_of(asked.settings))):
        quote_argument(f"--{flag}={value}")


def _check_extra_unit_settings(asked: Asked) -> None:
    """What would end a line, or take the place of what makes a member of it."""
    extra = {section: "\n".join(_unit_lines(asked["extra_unit_settings"], section)) for section in SECTIONS}
    arguments = [f"--name={asked.member.name}", f"--data-dir={asked['data_dir']}"]
    command = " ".join(map(quote_argument, (asked["etcd_binary"], *arguments)))
    text = _UNIT.format(command=command, **extra)
    check_rendered(text, arguments)
    check_unit_text(WantedUnit(asked["unit"], with_configuration_hash(text), asked["data_dir"], "", ""))


def _unit_lines(given: t.Mapping[str, t.Any], section: str) -> t.Iterator[str]:
    unknown = sorted(set(given) - set(SECTIONS))
    if unknown:
        raise InputError(f"[{unknown[0]}] is no section of a service's unit: {', '.join(SECTIONS)} are")
    for key, values in (given.get(section) or {}).items():
        for value in values if isinstance(values, list) else [values]:
            if not _UNIT_KEY.fullmatch(key) or not isinstance(value, (str, int, float)):
                raise InputError(f"{section}, {key} is no setting with a text, number, boolean or list of these")
            try:
                raw_value(str(value))
            except InputError:
                # It may be a secret: not what it is.
                raise InputError(
                    f"{section}, {key} has a character that can't stand "
                    "in a unit, or ends with a backslash: take it out"
                ) from None
            yield f"{key}={value}"


_RULES: tuple[tuple[tuple[str, ...], t.Callable[[Asked], None]], ...] = (
    (("cluster_name",), _check_cluster_name),
    (
        ("validity_days", "renew_before_days"),
        lambda asked: t.cast(None, renewal_rules(asked["validity_days"], asked["renew_before_days"], 0, PREFIX)),
    ),
    (("ca_common_name", "ca_validity_days", "ca_passphrase"), _check_authority),
    (
        (
            "requests_directory",
            "signer_command",
            "signer_timeout_seconds",
            "ca_certificate",
            "ca_private_key",
            "key_custody",
        ),
        lambda asked: check_signer(asked.settings),
    ),
    (("stranger_certificate", "stranger_private_key"), lambda asked: check_given_pair(asked.settings, "stranger")),
    (
        ("probe_client_certificate", "probe_client_private_key"),
        lambda asked: check_given_pair(asked.settings, "probe_client"),
    ),
    (("common_name", "ca_common_name"), _check_name_of_authority),
    (("ca_common_name", "ca_directory", "client_ca_common_name", "client_ca_directory"), _check_client_authority),
    (("clients", "clients_directory", "client_port_directory", "directory"), _check_clients),
    (("common_name", "ca_certificate"), _check_name_of_given_authority),
    (
        ("ca_directory",),
        lambda asked: t.cast(None, rules.checked_path(asked["ca_directory"], f"{PREFIX}ca_directory", True)),
    ),
    (("revoked", "ca_certificate", "extra_flags"), _check_revoked),
    (("keys_leaked", "stop_after", "ca_certificate", "extra_flags", "manage_service"), _check_keys_leaked),
    (("disconnect_revoked", "manage_service"), _check_disconnect),
    *(((name,), _check_node_path(name)) for name in _NODE_PATHS),
    *(((name,), _check_account(name)) for name in _ACCOUNTS),
    (("etcd_binary",), _check_etcd_binary),
    (("unit",), lambda asked: t.cast(None, rules.checked_unit_name(asked["unit"], f"{PREFIX}unit"))),
    (("install", "archive", "archive_sha256"), _check_install),
    (("install", "packages"), _check_packages),
    (("retire_ca",), _check_retired),
    (
        ("start_timeout_seconds",),
        lambda asked: rules.check_range(
            f"{PREFIX}start_timeout_seconds", asked["start_timeout_seconds"], *rules.TIMEOUT_SECONDS
        ),
    ),
    (("restart_wait_seconds",), _check_restart_wait),
    (
        ("probe_timeout_seconds",),
        lambda asked: rules.check_range(
            f"{PREFIX}probe_timeout_seconds", asked["probe_timeout_seconds"], *rules.PROBE_SECONDS
        ),
    ),
    *(((name,), _check_days_left(name)) for name in _DAYS_LEFT),
    (
        ("snapshot_directory",),
        lambda asked: t.cast(
            None, rules.checked_path(asked["snapshot_directory"], f"{PREFIX}snapshot_directory", True)
        ),
    ),
    (("snapshot_member",), _check_snapshot_member),
    (("restore", "restore_sha256", "restore_token", "restore_bump_revision"), _check_restore),
    (
        ("api_user", "api_password", "api_cert_file", "api_key_file"),
        lambda asked: check_access_settings(asked.settings),
    ),
    (("extra_flags", "extra_unit_settings", "metrics_urls"), _check_flags),
    (("extra_unit_settings",), _check_extra_unit_settings),
    *(((name,), _check_report(name, ending)) for name, ending in _REPORTS.items()),
)

__all__ = (
    "Asked",
    "check_settings",
    "flag_settings_of",
    "keeps_revocation_list",
    "reported_as",
)
