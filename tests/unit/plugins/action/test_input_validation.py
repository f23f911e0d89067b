# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For every variable a wrong value: the role's first task refuses it in one line that names the variable."""

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._input_validation import _RULES
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import OPTIONS, OPTIONS_OF, PREFIX
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory

from .settings_play import SettingsPlay

CA_PEM, CA_KEY_PEM = (pem.decode() for pem in (factory.authority().pem, factory.authority().key_pem))

# The variable, its wrong value, a part of the line, and what has to be said beside it to make it wrong.
Case = tuple[str, t.Any, str, dict[str, t.Any]]
_NOT_BOOL = "it is 'perhaps': true or false is wanted"
_BOOLS = (
    "loopback_sans",
    "ca_become",
    "ca_on_ephemeral_controller",
    "disconnect_revoked",
    "new_keys",
    "manage_service",
    "client_tls",
    "listen_loopback",
    "overrule_distribution_etcd",
    "force_restart",
    "restore_over_running",
    "verify",
)
_NODE_PATHS = (
    "directory",
    "data_dir",
    "unit_directory",
    "client_ca_file",
    "client_cert_file",
    "client_key_file",
    "api_cert_file",
    "api_key_file",
)
_FILES = {f"client_{name}_file": f"/etc/{name}" for name in ("ca", "cert", "key")}
_FILES |= {f"api_{name}_file": f"/etc/api-{name}" for name in ("cert", "key")}

CASES: list[Case] = [
    *((name, "perhaps", _NOT_BOOL, {}) for name in _BOOLS),
    *((name, f"pki/{name}", "is not an absolute path", _FILES) for name in _NODE_PATHS),
    *((name, f"~/{name}", "is not an absolute path", _FILES) for name in _NODE_PATHS),
    *((name, f"/{name}\n", "control character", _FILES) for name in _NODE_PATHS),
    ("hosts", {"blue": "green"}, "a list is wanted", {}),
    ("group", "etdc", "the inventory group etdc is empty or does not exist", {"members": []}),
    ("members", [{"name": "x", "colour": "red"}], "colour of", {}),
    ("members", [{"name": "x", "common_name": ["y"]}], "a text is wanted", {}),
    ("members", [{"name": "x", "peer_port": "many"}], "a whole number is wanted", {}),
    ("member_count", 5, "is 5, and the inventory gives 1", {}),
    ("cluster_name", "two\nlines", "control character", {}),
    ("cluster_name", "../up", "can't be a part of a path", {}),
    ("identity", "both", "list, shared can be chosen", {}),
    ("shared_common_name", "a,b", "has a comma", {"identity": "shared"}),
    ("shared_common_name", "x" * 65, "has 65 characters", {"identity": "shared"}),
    ("removed", {"a": 1}, "a list is wanted", {}),
    ("replaced", {"a": 1}, "a list is wanted", {}),
    ("new_ca", "perhaps", "true or false is wanted", {}),
    ("retire_ca", ["etcd peer CA"], "is no SHA-256 fingerprint (64 hex digits, colons allowed)", {}),
    ("upgrade", "perhaps", "true or false is wanted", {}),
    ("stop_after", "narrow", "widen, present can be chosen", {}),
    ("revoked", {"a": 1}, "a list is wanted", {}),
    ("revoked", ["/nowhere/etcd-1.crt"], "there is no file /nowhere/etcd-1.crt on the controller", {}),
    ("revoked", ["/etc/hostname"], "is no PEM certificate", {}),
    ("revoked", ["a\tb"], "no member's name and no path", {}),
    ("revoked", ["etcd-1"], "etcd reads the list that", {"extra_flags": {"peer-crl-file": "/etc/etcd/mine.crl"}}),
    ("keys_leaked", {"a": 1}, "a list is wanted", {}),
    ("keys_leaked", ["nobody"], "'nobody' is no member", {}),
    ("keys_leaked", ["all"], "no list is kept here", {"extra_flags": {"peer-crl-file": "/etc/etcd/mine.crl"}}),
    ("keys_leaked", ["all"], "etcd_peer_tls_stop_after stops before", {"stop_after": "widen"}),
    ("keys_leaked", ["all"], "a run without systemd restarts no member", {"manage_service": False}),
    ("disconnect_revoked", True, "a run without systemd restarts no member", {"manage_service": False}),
    ("name", "a" * 230, "200 characters at most", {"common_name": "short"}),
    ("name", "a/b", "a name of letters", {}),
    ("name", "ca", "would share ca.crt", {}),
    ("address", "10.0.0.256", "is no IPv4 or IPv6 address and no DNS name", {}),
    ("domain", "exa mple.com", "is no DNS name", {}),
    ("domain", "*.example.com", "no wildcard", {}),
    ("common_name", "a,b", "has a comma", {}),
    ("common_name", "peer CA", "is the CA's own", {"ca_common_name": "peer CA"}),
    ("listen_address", "eth0", "is no IP address", {}),
    ("extra_sans", ["*.example.com"], "is no IPv4 or IPv6 address and no DNS name", {}),
    ("peer_port", 70000, "a port from 1 to 65535 is wanted", {}),
    ("client_port", 2380, "two are wanted", {}),
    ("ca_host", "nowhere", "is no host of the inventory", {}),
    ("ca_directory", "pki/ca", "is not an absolute path", {}),
    ("ca_copy", {"a": 1}, "a path is wanted", {}),
    ("ca_common_name", "x" * 65, "has 65 characters", {}),
    ("ca_common_name", "peers", "is the CA's own", {"identity": "shared", "shared_common_name": "peers"}),
    ("ca_key_type", "dsa", "can be chosen", {}),
    ("ca_validity_days", 0, "is 0: give 1 to 36500", {}),
    ("ca_passphrase", "secret" * 200, "longer than 1023 bytes", {}),
    ("ca_certificate", "no PEM", "etcd_peer_tls_ca_certificate", {}),
    ("ca_private_key", "no PEM", "is given without", {}),
    ("key_type", "dsa", "can be chosen", {}),
    ("key_custody", "nobody", "can be chosen", {}),
    ("requests_directory", "requests", "is not an absolute path", {}),
    ("requests_directory", "/srv/requests", "give its certificate in etcd_peer_tls_ca_certificate", {}),
    ("requests_directory", "/srv/requests", "set etcd_peer_tls_key_custody: node", {"ca_certificate": CA_PEM}),
    (
        "requests_directory",
        "/srv/requests",
        "and etcd_peer_tls_ca_private_key is given: leave one of the two out",
        {"ca_certificate": CA_PEM, "ca_private_key": CA_KEY_PEM, "key_custody": "node"},
    ),
    ("signer_command", {"a": 1}, "a list is wanted", {}),
    ("signer_command", [" "], "the first word is no program", {}),
    ("signer_command", ["sign"], "etcd_peer_tls_signer_command is for a CA whose key is not here: give its", {}),
    ("signer_command", ["sign"], "two ways to the same CA", {"requests_directory": "/srv/requests"}),
    ("signer_timeout_seconds", 0, "is 0: give 1 to 86400", {}),
    ("metrics_urls", ["http://0.0.0.0:2379"], "take another port", {}),
    ("metrics_urls", ["etcd-1:2381"], "etcd_peer_tls_metrics_urls", {}),
    ("probe_client_certificate", CA_PEM, "are a pair: give both, or none", {}),
    ("probe_client_private_key", "no PEM", "is no PEM private key", {"probe_client_certificate": CA_PEM}),
    ("stranger_certificate", CA_PEM, "are a pair: give both, or none", {}),
    ("stranger_certificate", "no PEM", "is no PEM certificate", {"stranger_private_key": CA_KEY_PEM}),
    ("stranger_private_key", "no PEM", "is no PEM private key", {"stranger_certificate": CA_PEM}),
    ("validity_days", 0, "is 0: give 1 to 36500", {}),
    ("validity_days", 10, "must be more than etcd_peer_tls_renew_before_days (30)", {}),
    ("renew_before_days", -1, "is -1: give 0 to 36499", {}),
    ("renew_before_days", 365, "must be more than", {}),
    ("owner", "two:parts", "is no name of a user or a group", {}),
    ("owner", "-rf", "is no name of a user or a group", {}),
    ("owner_group", "a/b", "is no name of a user or a group", {}),
    ("install", "source", "can be chosen", {}),
    ("install", "archive", "needs etcd_peer_tls_archive", {}),
    ("packages", ["--download-only"], "is no package's name", {"install": "package"}),
    ("packages", [], "empty is no package's name", {"install": "package"}),
    ("archive", "file:///etcd.tar.gz", "is not known", {"install": "archive", "archive_sha256": "0" * 64}),
    ("archive_sha256", "0" * 63, "64 hexadecimal digits", {"install": "archive", "archive": "/etcd.tar.gz"}),
    (
        "archive_sha256",
        "none",
        "found https://files.example.com/etcd.tar.gz)",
        {"install": "archive", "archive": "https://me:hidden@files.example.com/etcd.tar.gz?token=hidden"},
    ),
    ("etcd_binary", "etcd", "absolute path", {}),
    ("etcd_binary", "/usr/bin/$etcd", "without a dollar sign", {}),
    ("etcd_binary", "/usr/local/bin/etcdctl", "is no path for etcd's program", {}),
    ("unit", "etcd", "is no service's name", {}),
    ("unit", "../etcd.service", "is no service's name", {}),
    ("unit", "etcd@.service", "is no service's name", {}),
    ("client_ca_file", "/etc/other.crt", "belong together", {}),
    ("min_version", "TLS1.1", "can be chosen", {}),
    ("extra_flags", {"force-new-cluster": True}, "the other members would be dropped", {}),
    ("extra_flags", {"name": "x"}, "is set by the role", {}),
    ("extra_flags", {"--debug": True}, "is no flag's name", {}),
    ("extra_flags", {"quota": "a\nb"}, "control character", {}),
    ("extra_unit_settings", {"Service": {"ExecStart": "/bin/true"}}, "ExecStart= is refused", {}),
    ("extra_unit_settings", {"Service": {"Type": "simple"}}, "is of Type=notify", {}),
    ("extra_unit_settings", {"Service": {"MemoryMax": "1G\n[Install]"}}, "can't stand in a unit", {}),
    ("extra_unit_settings", {"Service": {"Environment=A": "b"}}, "is no setting", {}),
    ("extra_unit_settings", {"service": {"MemoryMax": "1G"}}, "[service] is no section", {}),
    ("extra_unit_settings", {"Service": {"Environment": "ETCD_CONFIG_FILE=/x"}}, "ETCD_CONFIG_FILE is refused", {}),
    ("api_user", "ringfence", "etcd_peer_tls_api_password is not", {}),
    ("api_password", "secretsecret", "etcd_peer_tls_api_user is not", {}),
    ("api_cert_file", "/etc/a.crt", "are one pair", {}),
    ("start_timeout_seconds", 0, "is 0: give 1 to 86400", {}),
    ("restart_wait_seconds", -1, "is -1: give 0 to 86400", {}),
    ("verify_without", ["everything"], "can be chosen", {}),
    ("warn_days", -1, "is -1: give 0 to 36500", {}),
    ("fail_days", -1, "is -1: give 0 to 36500", {}),
    ("ca_warn_days", 36501, "is 36501: give 0 to 36500", {}),
    ("probe_timeout_seconds", 0.1, "is 0.1: give 0.5 to 60", {}),
    ("clients", {"a": 1}, "a list is wanted", {}),
    ("client_ca", "mine", "own, peers can be chosen", {}),
    ("client_ca", "own", "etcd_peer_tls_client_ca_file names a file of yours", _FILES),
    ("clients_directory", {"a": 1}, "a path is wanted", {}),
    ("client_port_directory", {"a": 1}, "a path is wanted", {}),
    ("client_ca_directory", {"a": 1}, "a path is wanted", {}),
    ("client_ca_common_name", {"a": 1}, "a text is wanted", {}),
    ("client_ca_passphrase", ["secretsecret"], "a text is wanted", {}),
    ("peers_are_clients", "perhaps", "true or false is wanted", {}),
    ("snapshot_directory", "snapshots", "is not an absolute path", {}),
    ("snapshot_keep_on", "moon", "controller, host can be chosen", {}),
    ("snapshot_member", ["a"], "a text is wanted", {}),
    ("restore", {"a": 1}, "a text is wanted", {}),
    ("restore_sha256", {"a": 1}, "a text is wanted", {}),
    ("restore_token", {"a": 1}, "a text is wanted", {}),
    ("restore_bump_revision", "many", "a whole number is wanted", {}),
    ("report_host", "moon", "is no host of the inventory", {}),
    ("report_html", "reports/", "a file's name is wanted", {}),
    ("report_html", "reports/etcd.html", "is not an absolute path", {"report_host": "localhost"}),
    ("report_json", "reports/", "a file's name is wanted", {}),
    ("report_artifacts", ["picture"], "table, proof, page can be chosen", {}),
    ("report_metrics", "etcd.txt", "a name that ends in .prom is wanted", {}),
]
HOSTS = {f"case-{number}": case for number, case in enumerate(CASES)}


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> SettingsPlay:
    return SettingsPlay(tmp_path_factory.mktemp("preflight"))


@pytest.fixture(scope="module")
def lines(play: SettingsPlay) -> tuple[dict[str, str], dict[str, str]]:
    """By host, why it was refused: in a run, and in check mode."""
    hosts = {
        host: {f"{PREFIX}{key}": one for key, one in {**beside, name: value}.items()}
        for host, (name, value, _words, beside) in HOSTS.items()
    }
    found = []
    for words in ((), ("--check",)):
        answers = play.run_each(hosts, *words)
        found.append({host: answer.get("msg", "") for host, answer in answers.items()})
        counted = re.findall(r"^case-\d+ .*\bchanged=(\d+)", play.output, re.MULTILINE)
        assert counted == ["0"] * len(hosts)
        assert "secretsecret" not in play.output and "hidden" not in play.output
        # Nor is a line wrapped in what Ansible says of a task's arguments.
        assert "Finalization" not in play.output
    return found[0], found[1]


def test_a_wrong_value_is_refused_by_its_variable(
    play: SettingsPlay, lines: tuple[dict[str, str], dict[str, str]]
) -> None:
    """All in one test: ansible-test runs each test in a fork, which would play all hosts anew."""
    wrong = {}
    for host, (name, _value, words, _beside) in HOSTS.items():
        line = lines[0][host]
        is_reported = PREFIX + name in line and words in line
        if not is_reported or "\n" in line or "Traceback" in line or lines[1][host] != line:
            wrong[f"{name}: {words}"] = (line, lines[1][host])
    assert wrong == {}
    assert not (play.folder / "ca").exists()


def test_every_variable_has_a_case() -> None:
    assert {name for name, _value, _words, _beside in CASES} == set(OPTIONS)


def test_every_rule_is_about_variables_of_the_role() -> None:
    assert {name for names, _check in _RULES for name in names} <= set(OPTIONS)


def test_a_backup_and_a_restore_ask_for_what_they_take(play: SettingsPlay) -> None:
    """A restore's words, whole only on its own command line, are no matter of a deployment."""
    base = {"etcd_peer_tls_restore": "/a.db", "etcd_peer_tls_cluster_name": "blue"}
    cases: dict[str, tuple[str, dict[str, t.Any]]] = {
        "empty": (
            "etcd_peer_tls_restore is empty: name the snapshot on the command line",
            {"etcd_peer_tls_restore": ""},
        ),
        "by-hand": ("etcd_peer_tls_manage_service: true", {"etcd_peer_tls_manage_service": False}),
        "sum": ("etcd_peer_tls_restore_sha256: 'ab' is no SHA-256", {"etcd_peer_tls_restore_sha256": "ab"}),
        "token": ("etcd_peer_tls_restore_token: 'a b'", {"etcd_peer_tls_restore_token": "a b"}),
        "old": ("is the token of the cluster as it was", {"etcd_peer_tls_restore_token": "blue"}),
        "bump": ("etcd_peer_tls_restore_bump_revision is -1", {"etcd_peer_tls_restore_bump_revision": -1}),
        "right": ("", {"etcd_peer_tls_restore_token": "blue-2", "etcd_peer_tls_restore_sha256": "ab" * 32}),
    }
    hosts = {name: {**base, **given} for name, (_words, given) in cases.items()}
    found = play.run_each(hosts, entry_point="restore")
    assert {name: words in found[name].get("msg", "") for name, (words, _given) in cases.items()} == dict.fromkeys(
        cases, True
    ), found
    assert "msg" not in found["right"]
    assert not any("msg" in answer for name, answer in play.run_each(hosts).items() if name != "by-hand")
    taken = {"who": {"etcd_peer_tls_snapshot_member": "nobody"}, "me": {"etcd_peer_tls_snapshot_member": "me"}}
    answers = play.run_each(taken, entry_point="backup")
    assert "etcd_peer_tls_snapshot_member: 'nobody' is no member: who are" in answers["who"]["msg"]
    assert "msg" not in answers["me"]


def test_certificates_of_clients_ask_for_what_they_take(play: SettingsPlay) -> None:
    """By their playbook and by a deployment."""
    cases: dict[str, tuple[str, dict[str, t.Any]]] = {
        "entry": ("etcd_peer_tls_clients, entry a: no host is named", {"clients": "a"}),
        "nowhere": ("etcd_peer_tls_clients: db-9 is no host of the inventory", {"clients": "a@db-9"}),
        "authority": (
            "the CA's own",
            {"clients": [{"name": "a", "hosts": ["right"], "common_name": "etcd client CA"}]},
        ),
        "same-name": ("client_ca_common_name is 'x', as", {"client_ca_common_name": "x", "ca_common_name": "x"}),
        "same-ca": ("client_ca_directory is '/a', as", {"client_ca_directory": "/a/", "ca_directory": "/a"}),
        "relative": ("etcd_peer_tls_client_ca_directory: ca is not an absolute path", {"client_ca_directory": "ca"}),
        "folder": ("client_port_directory is etcd_peer_tls_directory", {"client_port_directory": "/etc/etcd/pki"}),
        "folders": ("clients_directory: clients is not an absolute path", {"clients_directory": "clients"}),
        "port": ("client_port_directory: port is not an absolute path", {"client_port_directory": "port"}),
        "right": ("", {"clients": "a@right\nb@entry", "ca_common_name": "x"}),
    }
    hosts = {name: {f"{PREFIX}{key}": one for key, one in given.items()} for name, (_words, given) in cases.items()}
    found = play.run_each(hosts, entry_point="clients")
    assert {name: words in found[name].get("msg", "") for name, (words, _given) in cases.items()} == dict.fromkeys(
        cases, True
    ), found
    assert [one["id"] for one in found["right"]["client_list"]] == ["a@right", "b@entry"]
    # A deployment makes them, too.
    found = play.run_each(hosts)
    assert {name: "msg" in answer for name, answer in found.items()} == {name: bool(cases[name][0]) for name in found}
    right = found["right"]
    assert right["issues_to_clients"] and [one["id"] for one in right["client_list"]] == ["a@right", "b@entry"]
    assert (right["client_ca"], right["client_files"]["ca"]) == ("own", "/etc/etcd/client-port/ca.crt")


def test_a_proof_asks_for_what_it_takes(play: SettingsPlay) -> None:
    """A deployment's variables, whole only with what stands on its command line, do not stop a monitor."""
    hosts = {
        "deployed": {"etcd_peer_tls_install": "archive", "etcd_peer_tls_validity_days": 10},
        "proved": {"etcd_peer_tls_probe_timeout_seconds": 0.1},
    }
    found = play.run_each(hosts, call="always")
    assert "msg" not in found["deployed"]
    assert "etcd_peer_tls_probe_timeout_seconds is 0.1" in found["proved"]["msg"]
    assert "validity_days" not in OPTIONS_OF["verify"]
