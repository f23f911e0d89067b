# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every variable of the role as a survey of AWX gives it, in a file as AWX writes it, and checked by Ansible first.

Ansible-core makes of an answer what the same letters would be without quotes, from 2.19 on: null of an empty one, a
boolean of ``true``, a number of ``01234567``. Before, each is a text.
"""

from __future__ import annotations

import datetime
import json
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import (
    OPTIONS,
    OPTIONS_OF,
    PREFIX,
    SECRETS,
    converted,
    is_blank,
)
from ansible_collections.ringfence.etcd.tests.unit.once import once

from .settings_play import SettingsPlay

# What is typed or chosen in a survey, and the setting that is meant.
ANSWERS: dict[str, tuple[t.Any, t.Any]] = {
    "hosts": ("etcd", ["etcd"]),
    "group": ("etcd", "etcd"),
    "members": ("etcd-1\netcd-2\n", ["etcd-1", "etcd-2"]),
    "member_count": ("2", 2),
    "cluster_name": ("1.50", "1.50"),
    "identity": ("list", "list"),
    "shared_common_name": ("null", "null"),
    "removed": ("007, etcd-9", ["007", "etcd-9"]),
    "keys_leaked": ("", []),
    "revoked": ("", []),
    "disconnect_revoked": ("false", False),
    "replaced": ("0x1f", ["0x1f"]),
    "new_ca": ("no", False),
    "retire_ca": ("0" * 64 + "\n" + "1" * 64, ["0" * 64, "1" * 64]),
    "stop_after": ("widen", "widen"),
    "name": ("", "etcd-1"),
    "address": ("", "10.0.0.1"),
    "domain": ("example.com", "example.com"),
    "common_name": ("", ""),
    "listen_address": ("0.0.0.0", "0.0.0.0"),
    "extra_sans": ("lb.example.com, 10.1.1.1", ["lb.example.com", "10.1.1.1"]),
    "loopback_sans": ("true", True),
    "peer_port": ("2380", 2380),
    "client_port": ("2379", 2379),
    "ca_host": ("localhost", "localhost"),
    "ca_become": ("false", False),
    "ca_directory": ("/srv/0123", "/srv/0123"),
    "ca_copy": ("/srv/0125", "/srv/0125"),
    "ca_common_name": ("2026-11-27", "2026-11-27"),
    "ca_key_type": ("ed25519", "ed25519"),
    "ca_validity_days": ("0400", 400),
    "ca_passphrase": ("01234567", "01234567"),
    "ca_certificate": ("", ""),
    "ca_private_key": ("", ""),
    "ca_on_ephemeral_controller": ("true", True),
    "key_type": ("rsa-2048", "rsa-2048"),
    "key_custody": ("node", "node"),
    "requests_directory": ("", ""),
    "signer_command": ("", []),
    "signer_timeout_seconds": ("90", 90),
    "validity_days": ("90", 90),
    "renew_before_days": ("9", 9),
    "new_keys": ("false", False),
    "directory": ("/etc/etcd/pki", "/etc/etcd/pki"),
    "data_dir": ("/var/lib/etcd/1", "/var/lib/etcd/1"),
    "owner": ("etcd", "etcd"),
    "owner_group": ("etcd", "etcd"),
    "install": ("none", "none"),
    "packages": ("etcd-server\netcd-client", ["etcd-server", "etcd-client"]),
    "archive": ("", ""),
    "archive_sha256": ("0" * 64, "0" * 64),
    "upgrade": ("false", False),
    "etcd_binary": ("/usr/bin/etcd", "/usr/bin/etcd"),
    "unit": ("etcd.service", "etcd.service"),
    "unit_directory": ("/etc/systemd/system", "/etc/systemd/system"),
    "manage_service": ("true", True),
    "client_tls": ("true", True),
    "client_ca": ("peers", "peers"),
    "client_ca_file": ("", ""),
    "client_cert_file": ("", ""),
    "client_key_file": ("", ""),
    "api_user": ("012", "012"),
    "api_password": ("1_000", "1_000"),
    "api_cert_file": ("", ""),
    "api_key_file": ("", ""),
    "listen_loopback": ("true", True),
    "metrics_urls": ("http://10.0.0.1:2381", ["http://10.0.0.1:2381"]),
    "min_version": ("TLS1.2", "TLS1.2"),
    "extra_flags": ('{"snapshot-count": 5000}', {"snapshot-count": 5000}),
    "extra_unit_settings": ('{"Service": {"MemoryMax": "1G"}}', {"Service": {"MemoryMax": "1G"}}),
    "overrule_distribution_etcd": ("false", False),
    "start_timeout_seconds": ("30", 30),
    "restart_wait_seconds": ("30", 30),
    "force_restart": ("false", False),
    "clients": ("backup@etcd-1\napp@etcd-2\n", ["backup@etcd-1", "app@etcd-2"]),
    "clients_directory": ("/etc/etcd/clients/1", "/etc/etcd/clients/1"),
    "client_port_directory": ("/etc/etcd/client-port", "/etc/etcd/client-port"),
    "client_ca_directory": ("/srv/0124", "/srv/0124"),
    "client_ca_common_name": ("0e1", "0e1"),
    "client_ca_passphrase": ("01234568", "01234568"),
    "peers_are_clients": ("false", False),
    "snapshot_directory": ("/srv/snapshots", "/srv/snapshots"),
    "snapshot_keep_on": ("host", "host"),
    "snapshot_member": ("", ""),
    "restore": ("", ""),
    "restore_sha256": ("", ""),
    "restore_over_running": ("false", False),
    "restore_token": ("0e1", "0e1"),
    "restore_bump_revision": ("1000", 1000),
    "verify": ("true", True),
    "probe_client_certificate": ("", ""),
    "probe_client_private_key": ("", ""),
    "stranger_certificate": ("", ""),
    "stranger_private_key": ("", ""),
    "verify_without": ("absent_hosts\nroot\n", ["absent_hosts", "root"]),
    "warn_days": ("14", 14),
    "fail_days": ("0", 0),
    "ca_warn_days": ("90", 90),
    "probe_timeout_seconds": ("2.5", 2.5),
    "report_host": ("", ""),
    "report_html": ("on", "on"),
    "report_json": ("reports/1.json", "reports/1.json"),
    "report_metrics": ("a.prom", "a.prom"),
    "report_artifacts": ("table\npage", ["table", "page"]),
}
# Numbers and yes or no: an optional question of these types AWX leaves out where it has no answer. Up to 2.18 Ansible's
# own check refuses an empty text for them, by their names.
_TYPED = ("bool", "float", "int")


class _AsAwx(yaml.SafeDumper):
    """Each text, names too, behind !unsafe."""

    def represent_data(self, data: t.Any) -> yaml.Node:
        if isinstance(data, str):
            return self.represent_scalar("!unsafe", data)
        return super().represent_data(data)


def written(folder: Path, answers: t.Mapping[str, t.Any]) -> str:
    """The option of ansible-playbook with a file as AWX writes it."""
    path = folder / "extravars"
    given = {**{f"{PREFIX}{name}": answer for name, answer in answers.items()}, "awx_job_id": 7}
    path.write_text(yaml.dump_all([given], Dumper=_AsAwx, default_flow_style=False))
    return f"@{path}"


def answered(play: SettingsPlay, answers: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The settings, once Ansible's own check of all entry points has let the answers through."""
    specs = {
        name: {f"{PREFIX}{key}": dict(one) for key, one in options.items()} for name, options in OPTIONS_OF.items()
    }
    (play.folder / "specs.json").write_text(json.dumps(specs, default=str))
    checked = {
        "ansible.builtin.validate_argument_spec": {
            "argument_spec": f"{{{{ (lookup('file', '{play.folder}/specs.json') | from_json)[item] }}}}"
        },
        "loop": list(OPTIONS_OF),
    }
    found = play.run("--limit", "etcd-1", "-e", written(play.folder, answers), before=[checked])
    assert "etcd-1" in found, play.output
    return found["etcd-1"]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> SettingsPlay:
    return SettingsPlay(tmp_path_factory.mktemp("survey"))


def test_every_variable_can_be_asked_in_a_survey() -> None:
    assert set(ANSWERS) == set(OPTIONS)


def test_an_answer_is_what_was_typed(play: SettingsPlay) -> None:
    found = answered(play, {name: answer for name, (answer, _wanted) in ANSWERS.items()})
    assert "msg" not in found, found
    wanted = {name: value for name, (_answer, value) in ANSWERS.items() if name not in SECRETS}
    # Under these two names are the members that it comes to.
    assert found["hosts"] == [one["name"] for one in found["members"]] == wanted["members"]
    assert {name: found[name] for name in wanted} == {**wanted, "hosts": found["hosts"], "members": found["members"]}
    assert found["has_secrets"] is True and not set(SECRETS) & set(found)


def test_an_empty_answer_is_none(play: SettingsPlay) -> None:
    """Of a text, a password or a text area, which come as empty texts."""
    texts = [name for name, option in OPTIONS.items() if option["type"] not in _TYPED]
    wanted = once("defaults", lambda: play.run("--limit", "etcd-1")["etcd-1"])
    areas = [name for name in texts if "choices" not in OPTIONS[name]]
    for names, empty in ((texts, ""), (areas, "  \n")):
        found = answered(play, dict.fromkeys(names, empty))
        assert {name: found[name] for name in OPTIONS if name in found} == {
            name: wanted[name] for name in OPTIONS if name in wanted
        }


# What people type, and what becomes of it on the way: in texts, and as what ansible-core reads them without quotes.
_TYPED_BY_PEOPLE = [
    "a",
    "a,b",
    "a\nb",
    "true",
    "no",
    "30",
    "007",
    "0x1f",
    "1:30",
    "1.50",
    "-1",
    "null",
    "~",
    "[]",
    "{}",
    "2026-11-27",
    "1_000",
    "a: b",
    "ä 🔒",
]
_IN_JSON = ('["a"]', '["a"', '{"a": 1}', '{"Service": {"A": "b"}}')
_DAY = datetime.date(2026, 11, 27)
_MADE_OF_THEM = (True, False, 30, 7, -1, 1.5, _DAY, datetime.datetime(2026, 11, 27, 9, 0), [], {})
_TYPES = {"bool": bool, "float": float, "int": int, "list": list, "path": str, "raw": dict, "str": str}


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_whatever_is_typed_is_taken_or_refused_in_one_line(name: str) -> None:
    wanted = _TYPES[OPTIONS[name]["type"]]
    taken = 0
    for given in (*_TYPED_BY_PEOPLE, *_IN_JSON, *_MADE_OF_THEM, ANSWERS[name][0]):
        if is_blank(given):
            continue
        try:
            value = converted(name, given)
        except InputError as exc:
            line = str(exc)
            assert f"{PREFIX}{name}" in line and "\n" not in line and len(line) < 400
            assert name not in SECRETS or str(given) not in line.replace(name, "")
        else:
            # Exactly: a bool is an int, too.
            assert value.__class__ is wanted
            taken += 1
    assert taken or not ANSWERS[name][0]
