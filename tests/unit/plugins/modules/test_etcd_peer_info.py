# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has: every part on an empty host, on a good one, and where something can't be read."""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, InputError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import info as _peer_info
from ansible_collections.ringfence.etcd.plugins.module_utils._member.info import (
    credentials_facts,
    data_facts,
    ending_soon,
    etcd_facts,
    etcd_version,
    peer_info,
    user_facts,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import with_configuration_hash
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    issue,
    key_pem,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

CA = issue("etcd peer CA", is_ca=True)
OTHER = issue("other CA", is_ca=True)
LEAF = issue("etcd-1.example.com", CA, names=("etcd-1.example.com", "10.0.0.1"))


def program(path: pathlib.Path, script: str, mode: int = 0o755) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return str(path)


def credentials(folder: pathlib.Path, **files: str) -> dict[str, t.Any]:
    names = {"ca": "ca.crt", "certificate": "etcd-1.crt", "private_key": "etcd-1.key"}
    for kind, content in files.items():
        (folder / names[kind]).write_text(content)
        (folder / names[kind]).chmod(0o600 if kind == "private_key" else 0o644)
    return credentials_facts(str(folder), "etcd-1", NOW)


# etcd -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.5.16", "3.4.23", "3.6.0-rc.1"])
def test_etcd_version(tmp_path: pathlib.Path, version: str) -> None:
    said = f"echo 'etcd Version: {version}'; echo 'Git SHA: GitNotFound'; echo 'Go Version: go1.22.4'"
    path = program(tmp_path / "etcd", said)
    assert etcd_facts(path) == {"binary": path, "found": True, "version": version, "problem": None}


def test_etcd_is_not_told_our_environment(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCD_NAME", "x")
    assert etcd_version(program(tmp_path / "etcd", 'echo "etcd Version: 1.2.3${ETCD_NAME}"')) == "1.2.3"


@pytest.mark.parametrize(
    ("script", "mode", "found", "problem"),
    [
        (None, 0, False, "does not exist: install etcd, or name its path"),
        ("echo etcd Version: 3.5.16", 0o644, True, "can't be run: make it executable (chmod 0755)"),
        ("echo hello; echo world", 0o755, True, "does not say 'etcd Version: ...' but 'hello world': is it etcd?"),
        ("printf '\\377\\000'", 0o755, True, "is it etcd?"),
        ("exit 3", 0o755, True, "but 'nothing': is it etcd?"),
        ("sleep 60", 0o755, True, "gave no answer in 0.3 seconds"),
    ],
)
def test_etcd_that_does_not_answer(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, script: str | None, mode: int, found: bool, problem: str
) -> None:
    monkeypatch.setattr(_peer_info, "_VERSION_SECONDS", 0.3)
    path = str(tmp_path / "etcd") if script is None else program(tmp_path / "etcd", script, mode)
    facts = etcd_facts(path)
    assert (facts["found"], facts["version"]) == (found, None)
    assert problem in facts["problem"] and "\n" not in facts["problem"]


def test_etcd_of_another_machine(tmp_path: pathlib.Path) -> None:
    # An ELF header for s390x, which is big-endian, and for a machine that elf.h does not name.
    for number, machine in ((22, "s390x"), (999, "machine 999")):
        header = b"\x7fELF\x02\x02\x01" + bytes(9) + (2).to_bytes(2, "big") + number.to_bytes(2, "big")
        (tmp_path / "etcd").write_bytes(header + bytes(44))
        (tmp_path / "etcd").chmod(0o755)
        problem = etcd_facts(str(tmp_path / "etcd"))["problem"]
        assert f"etcd is a program for {machine}, and this host is {os.uname().machine}: take the one" in problem


def test_etcd_that_is_no_program(tmp_path: pathlib.Path) -> None:
    for content, problem in (
        (b"", "is empty, or can't be read"),
        (b"\x7fELF garbage", "is no program that this host"),
        (b"#!/no/such/interpreter\n", "the interpreter or loader that it names is not on this host"),
    ):
        (tmp_path / "etcd").write_bytes(content)
        (tmp_path / "etcd").chmod(0o755)
        assert problem in etcd_facts(str(tmp_path / "etcd"))["problem"]


def test_a_folder_is_no_etcd(tmp_path: pathlib.Path) -> None:
    facts = etcd_facts(str(tmp_path))
    assert not facts["found"] and "is no file" in facts["problem"]


# Credentials ----------------------------------------------------------------------------------------------------


def test_an_empty_host(tmp_path: pathlib.Path) -> None:
    found = credentials_facts(str(tmp_path / "none"), "etcd-1", NOW)
    assert {kind: facts["state"] for kind, facts in found.items()} == dict.fromkeys(found, "absent")
    assert all(facts["problem"] is None for facts in found.values())
    assert found["ca"]["certificates"] == [] and found["ca"]["pem"] is None
    assert found["certificate"]["common_name"] is None and found["certificate"]["dns_names"] == []
    assert found["private_key"]["matches_certificate"] is None


def test_good_credentials(tmp_path: pathlib.Path) -> None:
    found = credentials(tmp_path, ca=OTHER.pem + CA.pem, certificate=LEAF.pem, private_key=LEAF.key_pem)
    assert found["ca"]["pem"] == OTHER.pem + CA.pem
    assert [facts["common_name"] for facts in found["ca"]["certificates"]] == ["other CA", "etcd peer CA"]
    certificate = found["certificate"]
    assert (certificate["pem"], certificate["common_name"]) == (LEAF.pem, "etcd-1.example.com")
    assert (certificate["dns_names"], certificate["ip_addresses"]) == (["etcd-1.example.com"], ["10.0.0.1"])
    assert (certificate["issuer_common_name"], certificate["days_left"]) == ("etcd peer CA", 100)
    assert found["private_key"]["matches_certificate"] is True
    assert (found["private_key"]["mode"], found["ca"]["mode"]) == ("0600", "0644")
    assert all(facts["problem"] is None for facts in found.values())


@pytest.mark.parametrize(
    ("key", "matches", "problem"),
    [
        (OTHER.key_pem, False, None),
        (key_pem(LEAF.key, b"x"), False, "is encrypted"),
        ("", False, "is empty"),
        ("hello", False, "holds no private key"),
    ],
)
def test_a_key_that_does_not_fit(tmp_path: pathlib.Path, key: str, matches: bool, problem: str | None) -> None:
    found = credentials(tmp_path, certificate=LEAF.pem, private_key=key)["private_key"]
    assert found["matches_certificate"] is matches
    assert found["problem"] is None if problem is None else problem in found["problem"]


def test_a_key_alone(tmp_path: pathlib.Path) -> None:
    found = credentials(tmp_path, private_key=LEAF.key_pem)["private_key"]
    assert (found["state"], found["matches_certificate"], found["problem"]) == ("file", None, None)


def test_broken_files_are_told(tmp_path: pathlib.Path) -> None:
    found = credentials(tmp_path, ca="", certificate=LEAF.pem[:100], private_key=LEAF.key_pem)
    assert "ca.crt is empty" in found["ca"]["problem"] and found["ca"]["pem"] is None
    # That there is one is seen by who decides on a new certificate.
    assert "etcd-1.crt is broken PEM" in found["certificate"]["problem"]
    assert found["certificate"]["pem"] == LEAF.pem[:100] and found["certificate"]["fingerprint"] is None
    assert found["private_key"]["matches_certificate"] is None


@pytest.mark.parametrize("certificate", [LEAF.pem + LEAF.key_pem, LEAF.key_pem, LEAF.key_pem[:150], LEAF.key_pem[40:]])
def test_a_key_pasted_into_the_certificate_stays_there(tmp_path: pathlib.Path, certificate: str) -> None:
    found = credentials(tmp_path, ca=CA.pem + CA.key_pem, certificate=certificate, private_key=LEAF.key_pem)
    shown = json.dumps(found)
    assert "BEGIN PRIVATE KEY" not in shown
    for line in (*LEAF.key_pem.splitlines()[1:-1], *CA.key_pem.splitlines()[1:-1]):
        assert line not in shown


def test_other_things_in_the_files_place(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca.crt").mkdir()
    os.mkfifo(tmp_path / "etcd-1.crt")
    (tmp_path / "etcd-1.key").symlink_to("nowhere")
    found = credentials(tmp_path)
    assert [found[kind]["state"] for kind in ("ca", "certificate", "private_key")] == ["directory", "other", "link"]
    assert all(facts["problem"] for facts in found.values())


def test_a_key_that_may_not_be_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_file

    def refuse(path: str) -> bytes | None:
        if path.endswith(".key"):
            raise FileError(f"can't read {path}: permission denied")
        return read(path)

    monkeypatch.setattr(_peer_info, "read_file", refuse)
    found = credentials(tmp_path, certificate=LEAF.pem, private_key=LEAF.key_pem)["private_key"]
    assert found["matches_certificate"] is None and "permission denied" in found["problem"]


def test_a_folder_that_may_not_be_entered(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> dict[str, t.Any]:
        raise FileError(f"can't look at {path}: permission denied")

    monkeypatch.setattr(_peer_info, "describe", refuse)
    found = credentials(tmp_path, certificate=LEAF.pem)["certificate"]
    assert (found["state"], found["pem"]) == ("unknown", None) and "permission denied" in found["problem"]


# Data -----------------------------------------------------------------------------------------------------------


def test_data(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {"exists": False, "member_id": None, "cluster_id": None, "formed": None, "problem": None}
    assert data_facts(None) == {"directory": None, **nothing}
    # An empty folder is no data: the role makes it before the first start.
    assert data_facts(str(tmp_path)) == {"directory": str(tmp_path), **nothing}
    (tmp_path / "member" / "wal").mkdir(parents=True)
    assert data_facts(str(tmp_path)) == {"directory": str(tmp_path), **nothing, "exists": True}
    monkeypatch.setattr(_peer_info, "read_identity", lambda directory, wal_dir: ("a1", wal_dir))
    monkeypatch.setattr(_peer_info, "was_formed", lambda directory, wal_dir: wal_dir == "/log")
    found = data_facts(str(tmp_path), "/log")
    assert (found["member_id"], found["cluster_id"], found["formed"]) == ("a1", "/log", True)
    monkeypatch.undo()
    (tmp_path / "member" / "wal" / "0000000000000000-0000000000000000.wal").write_bytes(b"garbage" * 9)
    assert "no etcd write-ahead log" in data_facts(str(tmp_path))["problem"]


def test_a_log_alone_is_data(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """etcd starts from it, as the member that it was."""
    monkeypatch.setattr(_peer_info, "read_identity", lambda _directory, wal_dir: ("a", "b") if wal_dir else None)
    assert data_facts(str(tmp_path), "/wal")["exists"] and not data_facts(str(tmp_path))["exists"]


# Unit, process and an etcd of somebody else ---------------------------------------------------------------------

OURS = with_configuration_hash(
    "[Service]\nEnvironment=RINGFENCE_CONFIGURATION_HASH=\n"
    "ExecStart=/usr/bin/etcd --name=etcd-1 --data-dir=/var/lib/etcd/etcd-1 \\\n"
    "  --peer-cert-allowed-cn=a,b\n"
)
DEBIAN = """[Service]
Environment=DAEMON_ARGS=
Environment=ETCD_NAME=%H
Environment=ETCD_DATA_DIR={data}
EnvironmentFile=-{file}
Type=notify
ExecStart=/usr/bin/etcd $DAEMON_ARGS
"""


class Host:
    """A host whose systemd and processes are told by the test."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.properties: dict[str, str] = {}
        self.started: dict[str, t.Any] | None = None
        # What was asked about an etcd that is not ours and runs.
        self.asked: list[tuple[str | None, int, t.Any]] = []
        monkeypatch.setattr(_peer_info, "show", lambda unit: self.properties)
        monkeypatch.setattr(_peer_info, "process_facts", lambda pid: self.started)
        monkeypatch.setattr(_peer_info, "UNIT_FOLDERS", (str(folder / "etc"), str(folder / "lib")))
        monkeypatch.setattr(_peer_info, "running_etcd", self.running_etcd)

    def running_etcd(self, unit_path: str | None, pid: int, reported: t.Any) -> dict[str, t.Any]:
        self.asked.append((unit_path, pid, reported))
        return {"unit_path": unit_path, "running": True}

    def unit(self, text: str, where: str = "etc/etcd.service") -> str:
        path = self.folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def runs(self, *argv: str, configuration_hash: str | None = None, **environment: str) -> None:
        self.properties.update(ActiveState="active", SubState="running", MainPID="4711")
        self.started = {"pid": 4711, "argv": list(argv), "environ_hash": configuration_hash, "environment": environment}

    def info(self, data_dir: str | None = None, unit_directory: pathlib.Path | None = None) -> dict[str, t.Any]:
        folder = None if unit_directory is None else str(unit_directory)
        return peer_info(str(self.folder / "pki"), "etcd-1", "root", "/none", "etcd.service", data_dir, folder)


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_no_unit_no_process(host: Host) -> None:
    info = host.info()
    assert (info["unit"]["exists"], info["unit"]["managed"], info["unit"]["settings"]) == (False, False, None)
    assert (info["process"]["running"], info["process"]["pid"]) == (False, None)
    assert info["other_etcd"] is None and info["data"]["directory"] is None
    assert info["user"]["exists"]


def test_our_unit_runs(host: Host) -> None:
    path = host.unit(OURS)
    host.properties.update(FragmentPath=path, DropInPaths="")
    host.runs("/usr/bin/etcd", "--name=etcd-1", "--peer-cert-allowed-cn=a", configuration_hash="0" * 64)
    info = host.info()
    assert (info["unit"]["path"], info["unit"]["managed"], info["unit"]["configuration_hash_valid"]) == (
        path,
        True,
        True,
    )
    assert info["unit"]["settings"]["allowed_common_names"] == ["a", "b"]
    assert info["process"]["settings"]["allowed_common_names"] == ["a"]
    assert (info["process"]["running"], info["process"]["pid"], info["process"]["configuration_hash"]) == (
        True,
        4711,
        "0" * 64,
    )
    assert (info["process"]["active_state"], info["process"]["sub_state"]) == ("active", "running")
    assert info["other_etcd"] is None
    # Asked for nothing else, the data folder is the one that the unit names.
    assert info["data"]["directory"] == "/var/lib/etcd/etcd-1"
    assert host.info("/elsewhere")["data"]["directory"] == "/elsewhere"


def test_a_changed_unit_is_still_ours_and_not_valid(host: Host) -> None:
    host.unit(OURS.replace("=a,b", "=a,b,c"))
    info = host.info()
    assert (info["unit"]["managed"], info["unit"]["configuration_hash_valid"]) == (True, False)


def test_drop_ins_count(host: Host) -> None:
    drop_in = host.unit("[Service]\nExecStart=\nExecStart=/usr/bin/etcd --name=other\n", "etc/etcd.service.d/x.conf")
    host.properties.update(FragmentPath=host.unit(OURS), DropInPaths=drop_in)
    info = host.info()
    assert info["unit"]["drop_ins"] == [drop_in] and info["unit"]["settings"]["member_name"] == "other"
    assert info["unit"]["managed"] and info["unit"]["configuration_hash_valid"]
    taken = {"data-dir": None, "peer-cert-allowed-cn": None}
    assert info["unit"]["added_flags"] == {"name": "other", **taken}


def test_what_the_environment_adds_is_told_apart_from_the_units_own(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.properties["FragmentPath"] = host.unit(OURS)
    assert host.info()["unit"]["added_flags"] == {}
    monkeypatch.setattr(_peer_info, "inherited_environment", lambda: {"ETCD_HEARTBEAT_INTERVAL": "150"})
    assert host.info()["unit"]["added_flags"] == {"heartbeat-interval": "150"}


@pytest.mark.parametrize(("state", "is_enabled"), [("enabled", True), ("disabled", False), ("", False), (None, False)])
def test_whether_systemd_starts_it_at_a_boot(host: Host, state: str | None, is_enabled: bool) -> None:
    host.properties["FragmentPath"] = host.unit(OURS)
    if state is not None:
        host.properties["UnitFileState"] = state
    assert host.info()["unit"]["enabled"] is is_enabled


def test_the_addresses_of_unit_and_process_are_compared_with_the_hosts(host: Host) -> None:
    text = OURS.replace("  --peer", "  --listen-peer-urls=https://127.0.0.5:2380,https://203.0.113.7:2380 --peer")
    host.properties["FragmentPath"] = host.unit(with_configuration_hash(text))
    host.runs("/usr/bin/etcd", "--listen-client-urls=https://127.0.0.6:2379", "--listen-peer-urls=https://127.0.0.5:1")
    assert host.info()["addresses"] == ["127.0.0.5", "127.0.0.6"]


def test_environment_files_count(host: Host) -> None:
    host.unit(DEBIAN.format(data="/x", file=f"{host.folder}/%p"))
    (host.folder / "etcd").write_text("ETCD_PEER_TRUSTED_CA_FILE='/my ssl/ca.pem'\nDAEMON_ARGS='--debug --name n'\n")
    reported = host.info()["unit"]["settings"]
    assert reported["files"]["peer_trusted_ca_file"] == "/my ssl/ca.pem" and reported["flags"]["debug"] == "true"
    # Of the name that is given twice the next start dies.
    assert [warning["code"] for warning in reported["warnings"]] == ["set_twice"]


@pytest.mark.parametrize(
    ("file", "words"),
    [("/none/env", "/none/env, an environment file of the unit, does not exist"), ("/etc/*.env", "is a pattern")],
)
def test_a_unit_whose_environment_files_can_not_be_read_says_so(host: Host, file: str, words: str) -> None:
    host.unit(DEBIAN.format(data="/x", file=file).replace("=-", "="))
    unit = host.info()["unit"]
    assert unit["settings"] is None and words in unit["problem"]


def test_a_unit_where_systemd_does_not_look_is_another_than_systemds(host: Host, tmp_path: pathlib.Path) -> None:
    path = host.unit(OURS, "own/etcd.service")
    host.properties.update(FragmentPath=host.unit(DEBIAN.format(data="/x", file="/none")), DropInPaths="/none.conf")
    host.runs("/usr/bin/etcd", "--name=theirs")
    info = host.info(unit_directory=tmp_path / "own")
    assert (info["unit"]["path"], info["unit"]["managed"], info["unit"]["drop_ins"]) == (path, True, [])
    assert info["unit"]["settings"]["allowed_common_names"] == ["a", "b"]
    assert info["data"]["directory"] == "/var/lib/etcd/etcd-1"
    assert not info["process"]["running"] and info["other_etcd"] is None and host.asked == []
    assert not host.info(unit_directory=tmp_path / "none")["unit"]["exists"]


def test_a_folder_of_systemds_is_systemds_to_tell(host: Host, tmp_path: pathlib.Path) -> None:
    path = host.unit(OURS, "lib/etcd.service")
    host.properties.update(FragmentPath=path)
    host.runs("/usr/bin/etcd", configuration_hash="0" * 64)
    (tmp_path / "link").symlink_to(tmp_path / "etc")
    (tmp_path / "etc").mkdir()
    for folder in ("etc", "lib", "link"):
        info = host.info(unit_directory=tmp_path / folder)
        assert (info["unit"]["path"], info["process"]["running"]) == (path, True)


@pytest.mark.parametrize(
    ("uid", "owner", "may_own"),
    [
        (0, "root", True),
        (0, "no-such-user", True),
        (12345, "root", False),
        (12345, "no-such-user", False),
        (12345, "12345", True),
    ],
)
def test_whom_files_can_be_given_to(uid: int, owner: str, may_own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    exists = owner != "no-such-user"
    me = "root" if uid == 0 else str(uid)
    assert user_facts(owner) == {"name": owner, "exists": exists, "module_user": me, "may_own": may_own}


def test_without_systemd_the_unit_is_found_in_its_folders(host: Host) -> None:
    host.unit(DEBIAN.format(data="/x", file="/none"), "lib/etcd.service")
    assert host.info()["unit"]["path"] == str(host.folder / "lib/etcd.service")
    path = host.unit(OURS)
    assert host.info()["unit"]["path"] == path


def test_a_package_that_was_just_installed(host: Host) -> None:
    data = host.folder / "default"
    (data / "member").mkdir(parents=True)
    path = host.unit(DEBIAN.format(data=data, file="/none"), "lib/etcd.service")
    host.properties["FragmentPath"] = path
    host.runs(
        "/usr/bin/etcd", ETCD_DATA_DIR=str(data), ETCD_LISTEN_CLIENT_URLS="https://10.0.0.1:2379,http://127.0.0.1:2379"
    )
    assert host.info()["other_etcd"] == {"unit_path": path, "running": True}
    ((unit_path, pid, reported),) = host.asked
    assert (unit_path, pid, reported.data_dir) == (path, 4711, str(data))


def test_its_process_is_still_there_under_our_unit(host: Host) -> None:
    host.properties["FragmentPath"] = host.unit(OURS)
    host.runs("/usr/bin/etcd", ETCD_DATA_DIR="/var/lib/etcd/default")
    assert host.info()["other_etcd"] == {"unit_path": None, "running": True}
    assert host.asked == [(None, 4711, None)]


@pytest.mark.parametrize(("has_data", "count"), [(True, None), (False, 0)])
def test_a_stopped_package(host: Host, has_data: bool, count: int | None) -> None:
    data = host.folder / "default"
    if has_data:
        (data / "member").mkdir(parents=True)
    path = host.unit(DEBIAN.format(data=data, file="/none"))
    assert host.info()["other_etcd"] == {
        "unit_path": path,
        "running": False,
        "pid": None,
        "data_dir": str(data),
        "has_data": has_data,
        "key_count": count,
        "members": None if has_data else [],
        "cluster_id": None,
        "problem": None,
    }
    assert host.asked == []


def test_a_stopped_one_whose_drop_in_can_not_be_read_is_unknown(host: Host) -> None:
    os.mkfifo(host.folder / "x.conf")
    host.properties.update(
        FragmentPath=host.unit(DEBIAN.format(data="/none", file="/none")), DropInPaths=str(host.folder / "x.conf")
    )
    assert "x.conf is not a regular file" in host.info()["other_etcd"]["problem"]


def test_one_whose_process_can_not_be_seen_is_unknown(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pid: int) -> t.Any:
        raise ServiceError("can't read /proc/4711")

    host.properties["FragmentPath"] = host.unit(DEBIAN.format(data="/none", file="/none"))
    host.runs("/usr/bin/etcd")
    monkeypatch.setattr(_peer_info, "process_facts", refuse)
    other = host.info()["other_etcd"]
    assert (other["problem"], other["key_count"]) == ("can't read /proc/4711", None)


def test_a_host_whose_systemd_does_not_answer_is_unknown(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_unit: str) -> t.Any:
        raise ServiceError("systemctl show failed")

    host.unit(OURS)
    monkeypatch.setattr(_peer_info, "show", refuse)
    assert host.info()["other_etcd"]["problem"] == "systemctl show failed"


def test_who_is_in_the_way_is_looked_for_on_request(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "is_available", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}"

        def gather(urls: list[str] | None, folder: str = "etc") -> list[str]:
            where = str(host.folder / folder)
            found = peer_info(str(host.folder), "a", "root", "/none", "etcd.service", "/none", where, listen_urls=urls)[
                "in_the_way"
            ]
            return [place for one in found for place in one["listens"]]

        assert gather([url]) == [url[len("https://") :]]
        assert gather(["https://127.0.0.2:1"]) == [] and gather(None) == []
        # Who starts a unit that systemd does not read is not known, and nor is what is in its way.
        assert gather([url], "elsewhere") == []


def test_problems_do_not_fail(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_argument: t.Any) -> t.Any:
        raise ServiceError("systemctl show failed")

    monkeypatch.setattr(_peer_info, "process_facts", refuse)
    host.properties.update(FragmentPath=str(host.folder), MainPID="1")
    info = host.info()
    assert "is a directory" in info["unit"]["problem"]
    assert info["process"] == {**info["process"], "running": True, "pid": 1, "problem": "systemctl show failed"}
    monkeypatch.setattr(_peer_info, "show", refuse)
    assert host.info()["unit"]["problem"] == "systemctl show failed"


# The module -----------------------------------------------------------------------------------------------------


def test_the_module_changes_nothing(tmp_path: pathlib.Path) -> None:
    credentials(tmp_path, ca=CA.pem, certificate=LEAF.pem, private_key=LEAF.key_pem)
    before = {path.name: os.lstat(path) for path in tmp_path.iterdir()}
    args = {
        "directory": str(tmp_path),
        "name": "etcd-1",
        "owner": "no-such-user",
        "etcd_binary": "/none/etcd",
        "unit": "ringfence-test-none.service",
        "data_dir": str(tmp_path / "data"),
    }
    for check_mode in (True, False):
        answer = run_module("etcd_peer_info", args, check_mode=check_mode)
        assert answer["changed"] is False and not answer["user"]["exists"]
        assert answer["credentials"]["private_key"]["matches_certificate"] is True
        assert answer["credentials"]["certificate"]["pem"] == LEAF.pem
        assert answer["data"]["exists"] is False and answer["other_etcd"] is None
        for line in LEAF.key_pem.splitlines():
            assert line not in json.dumps(answer)
    assert before.keys() == {path.name for path in tmp_path.iterdir()}
    assert all(os.lstat(tmp_path / name).st_ctime_ns == info.st_ctime_ns for name, info in before.items())


# The member's certificate has 100 whole days left, its CA 50.
SHORT_CA = issue("short CA", is_ca=True, not_after=NOW + 50 * DAY)


def test_who_has_few_days_left(tmp_path: pathlib.Path) -> None:
    info = {"credentials": credentials(tmp_path, ca=CA.pem + SHORT_CA.pem, certificate=LEAF.pem)}
    certificate, ca = str(tmp_path / "etcd-1.crt"), str(tmp_path / "ca.crt")
    lines = [
        f"the certificate {certificate} has 100 days left, until {info['credentials']['certificate']['not_after']}",
        f"the CA etcd peer CA in {ca} has 100 days left, until {info['credentials']['certificate']['not_after']}",
        f"the CA short CA in {ca} has 50 days left, until {info['credentials']['ca']['certificates'][1]['not_after']}",
    ]
    assert ending_soon(info, None) == [] and ending_soon(info, 50) == []
    assert ending_soon(info, 51) == lines[2:] and ending_soon(info, 100) == lines[2:]
    assert ending_soon(info, 101) == lines


def test_where_there_is_no_certificate_nothing_ends(tmp_path: pathlib.Path) -> None:
    assert ending_soon({"credentials": credentials_facts(str(tmp_path), "etcd-1", NOW)}, 10000) == []


@pytest.mark.parametrize(
    ("limits", "warned", "failed"),
    [
        ({}, [], False),
        # A day may end before the module looks.
        ({"warn_days": 49, "fail_days": 49}, [], False),
        ({"warn_days": 51}, ["short CA"], False),
        ({"warn_days": 101}, ["etcd-1.crt", "short CA"], False),
        ({"fail_days": 51}, [], True),
        ({"warn_days": 101, "fail_days": 51}, ["etcd-1.crt", "short CA"], True),
    ],
)
def test_thresholds_through_the_module(
    tmp_path: pathlib.Path, limits: dict[str, int], warned: list[str], failed: bool
) -> None:
    credentials(tmp_path, ca=SHORT_CA.pem, certificate=LEAF.pem)
    args = {"directory": str(tmp_path), "name": "etcd-1", "unit": "ringfence-test-none.service", **limits}
    answer = run_module("etcd_peer_info", args)
    # ansible-core 2.19 and later give more than the line.
    warnings = [str(warning) for warning in answer.get("warnings", [])]
    assert len(warnings) == len(warned) and all(name in line for name, line in zip(warned, warnings)), warnings
    assert answer.get("failed", False) is failed
    if failed:
        assert answer["msg"].startswith(f"the CA short CA in {tmp_path}/ca.crt has ")
        assert answer["msg"].endswith(": fail_days is 51") and "\n" not in answer["msg"]
    # The facts are there all the same.
    assert answer["credentials"]["certificate"]["common_name"] == "etcd-1.example.com"


def test_an_expired_certificate_is_below_zero(tmp_path: pathlib.Path) -> None:
    expired = issue("etcd-1.example.com", CA, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    credentials(tmp_path, certificate=expired.pem)
    args = {"directory": str(tmp_path), "name": "etcd-1", "unit": "ringfence-test-none.service", "fail_days": 0}
    assert "days left, until " in run_module("etcd_peer_info", args)["msg"]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ({"name": "a/b"}, "name: 'a/b' can't be a file's name"),
        ({"name": ""}, "name: '' can't be a file's name"),
        ({"directory": "pki"}, "directory: pki is not an absolute path"),
        ({"etcd_binary": "etcd"}, "etcd_binary: etcd is not an absolute path"),
        ({"data_dir": "data"}, "data_dir: data is not an absolute path"),
        ({"wal_dir": "wal"}, "wal_dir: wal is not an absolute path"),
        ({"unit_directory": "units"}, "unit_directory: units is not an absolute path"),
        ({"unit": "etcd"}, "unit: 'etcd' is no service's name"),
        ({"unit": "../etcd.service"}, "unit: '../etcd.service' is no service's name"),
    ],
)
def test_input(args: dict[str, str], line: str) -> None:
    defaults: dict[str, t.Any] = {
        "directory": "/p",
        "name": "n",
        "owner": "root",
        "etcd_binary": "/e",
        "unit": "e.service",
        "data_dir": "/d",
    }
    with pytest.raises(InputError) as caught:
        peer_info(**{**defaults, **args})
    assert line in str(caught.value)


def test_input_through_the_module() -> None:
    answer = run_module("etcd_peer_info", {"name": "a/b"})
    assert answer["failed"] and answer["problem"] == "input" and "Traceback" not in answer["_stderr"]


def test_an_error_of_no_kind_of_ours_says_what_it_is_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible would send a traceback, or from 2.19 on no message at all."""
    monkeypatch.setattr(_peer_info, "show", int)
    answer = run_module("etcd_peer_info", {"name": "a"})
    what, where = answer["msg"].split(" (at ")
    assert what == "ValueError: invalid literal for int() with base 10: 'etcd.service'"
    assert answer["problem"] == "unexpected"
    assert re.fullmatch(r"module_utils/_member/info\.py, line \d+\): please report this", where)
