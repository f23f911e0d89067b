# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which flags a member's etcd gets, by their real names, for the version that it is.

Pure: no Ansible, no I/O. The names and versions are read from etcd's source (``server/embed/config.go`` and
``etcdmain/config.go`` at v3.4.23, v3.5.15, v3.6.16, v3.7.3).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flag_values import METRICS_FLAG, why_not_started
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.own_flags import harmless, what_it_breaks
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.unit_settings import (
    UNIT_SETTINGS,
    set_by_variables,
    variable_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

# From 3.4.25 and 3.5.8 on etcd can be limited to TLS 1.3. The unit does it by ETCD_TLS_MIN_VERSION, so that it is
# the same for every etcd: one that does not know the flag would not start with it, but only says so of the variable.
TLS_VERSIONS = ("TLS1.2", "TLS1.3")
# Of the suites that every etcd knows by name, those of TLS 1.2 without CBC and with forward secrecy. TLS 1.3 has its
# own, and etcd refuses to start with a list of suites and nothing but TLS 1.3.
_TLS_1_2_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
)

_PEER_URLS = ("initial-cluster", "initial-advertise-peer-urls", "listen-peer-urls")
_LIST = "peer-cert-allowed-cn"
_TLS_OF_PEERS = (
    "peer-cert-file",
    "peer-key-file",
    "peer-trusted-ca-file",
    "peer-client-cert-auth",
    "peer-crl-file",
    _LIST,
)

_FLAG_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class FlagSettings:
    """What a member's command line needs beyond the members themselves. Paths are the node's."""

    cluster_name: str
    data_dir: str
    credentials_directory: str
    identity: str = "list"
    client_tls: bool = True
    client_port: int = 2379
    client_ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    listen_loopback: bool = True
    # Where /metrics and /health are, beside the client port.
    metrics_urls: t.Sequence[str] = ()
    min_tls_version: str = "TLS1.3"
    # Whether the CA's revocation list lies beside ca.crt. etcd reads it at each connection, and the flag for it when it
    # starts.
    revocation_list: bool = False
    extra_flags: t.Mapping[str, t.Any] = field(default_factory=dict)
    # Section, key, value or values: what the unit gets beside what is rendered.
    unit_settings: t.Mapping[str, t.Any] = field(default_factory=dict)


def allowed_common_names(members: t.Sequence[Member]) -> list[str]:
    """The common names that may speak as peers, each once, in the members' order."""
    return list(dict.fromkeys(member.common_name for member in members))


def etcd_flags(member: Member, members: t.Sequence[Member], settings: FlagSettings) -> list[tuple[str, str]]:
    """(flag, value) for one member, the flag without dashes, in the order in which the unit shows them.

    They are the same for every version of etcd, so that a unit can be rendered before a host's state is known.
    ``check_identity`` says whether a version may run with a list.
    """
    pki = settings.credentials_directory.rstrip("/")
    certificate, key, authority = f"{pki}/{member.name}.crt", f"{pki}/{member.name}.key", f"{pki}/ca.crt"
    _check_client_files(settings)
    _check_tls_version(settings)
    flags = [
        ("name", member.name),
        ("data-dir", settings.data_dir),
        ("initial-cluster", ",".join(f"{other.name}={other.peer_url}" for other in members)),
        ("initial-cluster-token", settings.cluster_name),
        ("initial-cluster-state", "new"),
        ("initial-advertise-peer-urls", member.peer_url),
        ("listen-peer-urls", _listen_url(member.peer_url, member.listen_address)),
        ("peer-cert-file", certificate),
        ("peer-key-file", key),
        ("peer-trusted-ca-file", authority),
        ("peer-client-cert-auth", "true"),
        *_revocation_list("peer-crl-file", settings),
        (_LIST, ",".join(allowed_common_names(members))),
        ("advertise-client-urls", member.client_url),
        ("listen-client-urls", ",".join(_client_listen_urls(member, settings))),
    ]
    if settings.client_tls:
        flags += [
            ("cert-file", settings.client_cert_file or certificate),
            ("key-file", settings.client_key_file or key),
            ("trusted-ca-file", settings.client_ca_file or authority),
            ("client-cert-auth", "true"),
            # A client CA of its own has a list of its own.
            *(() if settings.client_ca_file else _revocation_list("client-crl-file", settings)),
        ]
    if settings.metrics_urls:
        flags.append((METRICS_FLAG, ",".join(settings.metrics_urls)))
    if settings.min_tls_version == "TLS1.2" and "cipher-suites" not in settings.extra_flags:
        flags.append(("cipher-suites", ",".join(_TLS_1_2_SUITES)))
    if "logger" not in settings.extra_flags:
        # v3.4 has capnslog by default, whose words differ from those of every later version. Later ones know only zap.
        flags.append(("logger", "zap"))
    flags += _extra_flags(settings.extra_flags, {name for name, _value in flags})
    by_variable = set_by_variables(settings.unit_settings, dict(flags))
    for name, value in by_variable.items():
        broken = what_it_breaks(name, value)
        if broken is not None and not harmless(name, value):
            raise InputError(f"{UNIT_SETTINGS}: Environment={variable_of(name)} is refused: {broken}: leave it out")
    wrong = why_not_started({**dict(flags), **by_variable})
    if wrong is not None:
        flag, wanted = wrong
        value = {**dict(flags), **by_variable}.get(flag, "")
        raise InputError(
            f"{_where_said(flag, by_variable, settings)}={value} is refused: etcd would not run with it: {wanted}"
        )
    return flags


def _where_said(flag: str, by_variable: t.Container[str], settings: FlagSettings) -> str:
    """By what a user said it."""
    if flag in by_variable:
        return f"{UNIT_SETTINGS}: {variable_of(flag)}"
    if flag == METRICS_FLAG and settings.metrics_urls:
        return f"etcd_peer_tls_metrics_urls: --{flag}"
    return f"etcd_peer_tls_extra_flags: --{flag}"


def without_tls_of_peers(flags: t.Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same flags for a member whose peers speak http: a unit that changes nothing of that, and has no fence yet."""
    return [
        (flag, value.replace("https://", "http://") if flag in _PEER_URLS else value)
        for flag, value in flags
        if flag not in _TLS_OF_PEERS
    ]


def with_peer_names(flags: t.Iterable[tuple[str, str]], names: t.Sequence[str]) -> list[tuple[str, str]]:
    """The same flags with a list of these names in the place of the members' own; of none: without a list."""
    listed = [(flag, ",".join(names) if flag == _LIST else value) for flag, value in flags]
    return [(flag, value) for flag, value in listed if flag != _LIST or value]


def _revocation_list(flag: str, settings: FlagSettings) -> list[tuple[str, str]]:
    """The flag with the CA's list; nothing where there is none, or where the user names one of their own."""
    if not settings.revocation_list or flag in settings.extra_flags:
        return []
    return [(flag, f"{settings.credentials_directory.rstrip('/')}/ca.crl")]


def _check_client_files(settings: FlagSettings) -> None:
    """A client CA of its own needs a pair of its own: etcd's gateway and our health checks present it to that CA."""
    files = (settings.client_ca_file, settings.client_cert_file, settings.client_key_file)
    if any(files) and not all(files):
        raise InputError(
            "etcd_peer_tls_client_ca_file, etcd_peer_tls_client_cert_file and etcd_peer_tls_client_key_file belong "
            "together: set all three (a pair that this CA signed for serverAuth and clientAuth), or none for the peer "
            "CA and certificate"
        )


def _check_tls_version(settings: FlagSettings) -> None:
    """The oldest version of TLS, which the unit has in etcd's environment, and what does not go with it."""
    oldest, extra = settings.min_tls_version, settings.extra_flags
    if oldest not in TLS_VERSIONS:
        raise InputError(f"etcd_peer_tls_min_version: {oldest!r} is not known: {' or '.join(TLS_VERSIONS)} is wanted")
    if "tls-min-version" in extra:
        # etcd does not start where a setting is given by a flag and by its environment.
        raise InputError(
            "etcd_peer_tls_extra_flags: --tls-min-version is set by the role: use etcd_peer_tls_min_version for it"
        )
    alone = [
        flag
        for flag, fits in (("cipher-suites", ("",)), ("tls-max-version", ("", "TLS1.3")))
        if flag in extra and extra[flag] not in fits
    ]
    if alone and oldest == "TLS1.3":
        raise InputError(
            f"etcd_peer_tls_extra_flags: --{alone[0]} is refused: with TLS 1.3 alone, which is the default, etcd would "
            "not start with it: leave it out, or set etcd_peer_tls_min_version: TLS1.2"
        )


def _listen_url(url: str, listen_address: str) -> str:
    scheme, rest = url.split("://", 1)
    host = f"[{listen_address}]" if ":" in listen_address else listen_address
    return f"{scheme}://{host}:{rest.rsplit(':', 1)[1]}"


def _client_listen_urls(member: Member, settings: FlagSettings) -> list[str]:
    """The member's address and, unless that covers it already, the loopback of the same family."""
    own = _listen_url(member.client_url, member.listen_address)
    address = ipaddress.ip_address(member.listen_address)
    if not settings.listen_loopback or address.is_loopback or address.is_unspecified:
        return [own]
    return [own, _listen_url(member.client_url, "127.0.0.1" if address.version == 4 else "::1")]


def _extra_flags(extra: t.Mapping[str, t.Any], rendered: t.Container[str]) -> list[tuple[str, str]]:
    flags: list[tuple[str, str]] = []
    for name, value in sorted(extra.items()):
        if not _FLAG_NAME.fullmatch(name):
            raise InputError(f"etcd_peer_tls_extra_flags: {name!r} is no flag's name: write it without dashes in front")
        broken = what_it_breaks(name, flag_value(name, value))
        if broken is not None:
            raise InputError(f"etcd_peer_tls_extra_flags: --{name} is refused: {broken}: leave it out")
        if name in rendered:
            raise InputError(
                f"etcd_peer_tls_extra_flags: --{name} is set by the role: "
                "use the role's own variable for it, or leave it out"
            )
        if name == "cipher-suites" and flag_value(name, value) == "":
            # etcd's own suites, and not those that the role has for TLS 1.2. With an empty flag etcd ends at once.
            continue
        flags.append((name, flag_value(name, value)))
    return flags


def flag_value(name: str, value: t.Any) -> str:
    """A flag's value as etcd reads it: booleans as true and false, lists joined by commas, everything else as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(flag_value(name, item) for item in value)
    if value is None or isinstance(value, t.Mapping):
        raise InputError(f"etcd_peer_tls_extra_flags: --{name} is {value!r}: a text, number, boolean or list is wanted")
    return str(value)


__all__ = (
    "TLS_VERSIONS",
    "FlagSettings",
    "allowed_common_names",
    "etcd_flags",
    "flag_value",
    "with_peer_names",
    "without_tls_of_peers",
)
