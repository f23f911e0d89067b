# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is due on a host, told in one look: each drift is seen, and it is seen exactly where the modules would act."""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import shutil
import subprocess
import time
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import credentials as _peer_credentials
from ansible_collections.ringfence.etcd.plugins.module_utils._member import info as _peer_info
from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    member_unit,
    node_probe,
    pending_changes,
    pending_restart,
    unit_plan,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_contents import WantedCredentials
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    exec_command,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_probe
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import DAY, NOW, issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import Host, need_root

OWNER = "nobody"
CA, OTHER_CA = issue("etcd peer CA", is_ca=True), issue("other CA", is_ca=True)
LEAF, STRANGE = issue("etcd-1.example.com", CA), issue("etcd-1.example.com", CA)
EXPIRED = issue("etcd-1.example.com", CA, key=LEAF.key, not_before=NOW - 2 * DAY, not_after=NOW - DAY)
SERVED_ONLY = issue("etcd-1.example.com", CA, key=LEAF.key, extended_key_usages=())
UNIT = """[Unit]
Description=etcd
AssertPathExists=|!@folder@/pki/etcd-1.formed
AssertPathExistsGlob=|@folder@/data/member/wal/*.wal

[Service]
Type=notify
Environment=RINGFENCE_CONFIGURATION_HASH=
ExecCondition=/usr/bin/test ! -e @folder@/pki/etcd-1.formed -o -d @folder@/data/member/wal
ExecStart=@folder@/etcd --name=etcd-1 --data-dir=@folder@/data --peer-trusted-ca-file=@folder@/pki/ca.crt@more@

[Install]
WantedBy=multi-user.target
"""
Codes = list[tuple[str, str]]


class Node:
    """A host as a run leaves it: real files in a temporary folder, a real process, and systemd's word on both."""

    disconnects = False

    def __init__(self, folder: pathlib.Path, host: Host, managed: bool = True) -> None:
        self.folder, self.host, self.managed = folder, host, managed
        self.pki = folder / "pki"
        self.text = self.hashed()
        self.program = folder / "etcd"
        shutil.copy("/bin/sleep", self.program)
        self.program.chmod(0o755)
        self.put_credentials()
        unit_plan.apply_plan(unit_plan.plan_written(self.unit, False, check_new_text=False))
        # Older than the process, as on a host that was deployed yesterday.
        os.utime(self.pki / "ca.crt", (time.time() - 1000, time.time() - 1000))

    def hashed(self, more: str = "") -> str:
        return with_configuration_hash(UNIT.replace("@folder@", str(self.folder)).replace("@more@", more))

    @property
    def unit(self) -> member_unit.WantedUnit:
        return member_unit.WantedUnit(
            name="etcd.service",
            text=self.text,
            data_dir=str(self.folder / "data"),
            owner=OWNER,
            group=grp.getgrgid(pwd.getpwnam(OWNER).pw_gid).gr_name,
            member_name="etcd-1",
            unit_directory=str(self.folder),
            directory=str(self.pki),
            disconnect_revoked=self.disconnects,
        )

    def put_credentials(self, **contents: str | None) -> None:
        _peer_credentials.apply_credentials(_peer_credentials.plan_credentials(self.request(**contents)))

    def request(self, **contents: str | None) -> WantedCredentials:
        """What a run asks of etcd_peer_credentials here; content of its own as the role gives it."""
        given: dict[str, t.Any] = {
            "ca_certificate_content": CA.pem,
            "certificate_content": LEAF.pem,
            "private_key_content": LEAF.key_pem,
            **contents,
        }
        return WantedCredentials(str(self.pki), "etcd-1", OWNER, self.unit.group, 0o755, **given)

    def runs(self, pid: int, **properties: str) -> None:
        """systemd and /proc tell of a process that was started from the unit just now."""
        argv = exec_command(self.text)
        self.host.runs(configuration_hash_of(self.text), str(self.folder / "data"), pid=pid)
        assert self.host.process is not None
        self.host.process["argv"] = argv
        started = str(int((time.monotonic() - 100) * 1_000_000))
        self.host.properties.update(ExecMainStartTimestampMonotonic=started, **properties)

    def wanted(self) -> pending_changes.WantedHost:
        found = _peer_info.credentials_facts(str(self.pki), "etcd-1", NOW)
        return pending_changes.WantedHost(
            str(self.pki), self.unit, self.managed, found["ca"]["pem"], found["certificate"]["pem"]
        )

    def pending(self) -> Codes:
        """What is due; that nothing was changed for it, and nobody told anything, is checked as well."""
        before, calls = self.snapshot(), list(self.host.calls)
        found = pending_changes.host_pending_changes(self.wanted())
        assert self.snapshot() == before and self.host.calls == calls
        assert all(one["text"] and "\n" not in one["text"] for one in found)
        return [(one["part"], one["code"]) for one in found]

    def snapshot(self) -> dict[str, t.Any]:
        found = {}
        for path in sorted([self.folder, *self.folder.rglob("*")]):
            info = os.lstat(path)
            content = path.read_bytes() if path.is_file() else None
            found[str(path)] = (info.st_ino, info.st_uid, info.st_gid, info.st_mode, info.st_mtime_ns, content)
        return found

    def acts(self) -> bool:
        """Whether the two modules, called as the role calls them, change something, fail, or have a restart due."""
        try:
            credentials = _peer_credentials.plan_credentials(self.request(private_key_content=None))
            plan = self._service_plan("ca" in credentials.reasons, check_new_text=True)
        except RingfenceError:
            return True
        return bool(credentials.changed or plan.changed or plan.restart_pending)

    def _service_plan(self, trust_bundle_changed: bool, check_new_text: bool) -> unit_plan.UnitPlan:
        if self.managed:
            return unit_plan.plan_present(self.unit, trust_bundle_changed, False, check_new_text)
        return unit_plan.plan_written(self.unit, False, check_new_text)

    def run(self, pid: int) -> None:
        """What the role does where something is due; where a restart is, systemd gives a new process."""
        self.put_credentials()
        plan = self._service_plan(False, check_new_text=False)
        unit_plan.apply_plan(plan)
        for file in self.pki.glob("ca.*"):
            os.utime(file, (time.time() - 1000, time.time() - 1000))
        self.runs(pid)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(monkeypatch)
    # What a look tells of a host goes round systemd's own names for these two.
    monkeypatch.setattr(_peer_info, "show", lambda unit: found.properties)
    monkeypatch.setattr(_peer_info, "process_facts", lambda pid: found.process)
    return found


@pytest.fixture
def node(open_folder: pathlib.Path, host: Host) -> t.Iterator[Node]:
    need_root()
    found = Node(open_folder, host)
    with subprocess.Popen([str(found.program), "600"]) as process:
        try:
            # In the moment of its start a process is still a copy of this one.
            while os.readlink(f"/proc/{process.pid}/exe") != str(found.program):
                time.sleep(0.01)
            found.runs(process.pid)
            yield found
        finally:
            process.kill()


def path(name: str) -> t.Callable[[Node], pathlib.Path]:
    return lambda node: node.folder / name


def mode(name: str, bits: int) -> t.Callable[[Node], None]:
    return lambda node: path(name)(node).chmod(bits)


def owner(name: str, uid: int = -1, gid: int = -1) -> t.Callable[[Node], None]:
    return lambda node: os.chown(path(name)(node), uid, gid)


def write(name: str, text: str) -> t.Callable[[Node], None]:
    """In place, so that owner and mode stay; and the time, which is another drift."""

    def act(node: Node) -> None:
        where = path(name)(node)
        found = where.stat()
        where.write_text(text)
        os.utime(where, ns=(found.st_atime_ns, found.st_mtime_ns))

    return act


def add(name: str, text: str) -> t.Callable[[Node], None]:
    return lambda node: write(name, text + path(name)(node).read_text())(node)


def missing(name: str) -> t.Callable[[Node], None]:
    return lambda node: path(name)(node).unlink()


def leftover(node: Node) -> None:
    (node.pki / ".ca.crt.ringfence-new").write_text("x")


def reported(**properties: str) -> t.Callable[[Node], None]:
    return lambda node: node.host.properties.update(properties)


def stopped(node: Node) -> None:
    node.host.process = None
    node.host.properties.update(ActiveState="inactive", SubState="dead", MainPID="0")


def hashed(configuration_hash: str | None) -> t.Callable[[Node], None]:
    def act(node: Node) -> None:
        assert node.host.process is not None
        node.host.process["environ_hash"] = configuration_hash

    return act


def never_ready(node: Node) -> None:
    hashed("0" * 64)(node)
    reported(ActiveState="activating")(node)


def other_etcd(node: Node) -> None:
    hashed(None)(node)
    node.host.process["argv"] = [str(node.program), "--data-dir=/var/lib/etcd/default"]  # type: ignore[index]


def moved_data(node: Node) -> None:
    node.host.process["argv"] = [str(node.program), "--data-dir=/elsewhere"]  # type: ignore[index]


def newer_trust_bundle(node: Node) -> None:
    os.utime(node.pki / "ca.crt", (time.time() - 1, time.time() - 1))


def newer_revocation_list(node: Node) -> None:
    """Who is connected stays so, but where this run is told to cut off who was revoked."""
    node.disconnects = True
    started_with_list(node)
    os.utime(node.pki / "ca.crl", (time.time() - 1, time.time() - 1))


def started_with_list(node: Node) -> None:
    (node.pki / "ca.crl").touch()
    os.chown(node.pki / "ca.crl", 0, 0)
    (node.pki / "ca.crl").chmod(0o644)
    os.utime(node.pki / "ca.crl", (time.time() - 1000, time.time() - 1000))
    node.text = node.hashed(f" --peer-crl-file={node.pki}/ca.crl")
    unit_plan.apply_plan(unit_plan.plan_written(node.unit, False, check_new_text=False))
    assert node.host.process is not None
    node.runs(int(node.host.properties["MainPID"]))


def new_program(node: Node) -> None:
    fresh = node.folder / "etcd.new"
    shutil.copy("/bin/sleep", fresh)
    fresh.rename(node.program)


def new_text(node: Node) -> None:
    # etcd is no sleep, which would complain: a look asks neither it nor systemd about a text that nobody writes.
    node.host.complaint = "systemd was asked"
    node.text = node.hashed(" --snapshot-count=5000")


def no_pki(node: Node) -> None:
    shutil.rmtree(node.pki)


def no_data(node: Node) -> None:
    (node.folder / "data").rmdir()


def text_without_hash(node: Node) -> None:
    node.text = node.text.replace("etcd-1", "etcd-2")


def nothing(node: Node) -> None:
    pass


CREDENTIALS: dict[str, tuple[t.Callable[[Node], None], Codes]] = {
    "owner of the key": (owner("pki/etcd-1.key", uid=12345), [("credentials", "owner")]),
    "group of the key": (owner("pki/etcd-1.key", gid=12345), [("credentials", "group")]),
    "owner of the bundle": (owner("pki/ca.crt", uid=12345), [("credentials", "owner")]),
    "owner of the folder": (owner("pki", uid=12345), [("credentials", "owner")]),
    "mode of the key": (mode("pki/etcd-1.key", 0o644), [("credentials", "mode")]),
    "mode of the certificate": (mode("pki/etcd-1.crt", 0o600), [("credentials", "mode")]),
    "mode of the bundle": (mode("pki/ca.crt", 0o666), [("credentials", "mode")]),
    "mode of the folder": (mode("pki", 0o700), [("credentials", "mode")]),
    "a key in the bundle": (add("pki/ca.crt", STRANGE.key_pem), [("credentials", "content")]),
    "a key in the certificate": (add("pki/etcd-1.crt", STRANGE.key_pem), [("credentials", "content")]),
    "no bundle": (missing("pki/ca.crt"), [("credentials", "crypto")]),
    "no certificate": (missing("pki/etcd-1.crt"), [("credentials", "crypto")]),
    "no key": (missing("pki/etcd-1.key"), [("credentials", "crypto")]),
    "no folder": (no_pki, [("credentials", "crypto")]),
    "a leftover": (leftover, [("credentials", "leftover")]),
    "an expired certificate": (write("pki/etcd-1.crt", EXPIRED.pem), [("credentials", "crypto")]),
    "a certificate for nothing": (write("pki/etcd-1.crt", SERVED_ONLY.pem), [("credentials", "crypto")]),
    "a certificate that can't be read": (write("pki/etcd-1.crt", "rubbish\n"), [("credentials", "crypto")]),
    "another member's key": (write("pki/etcd-1.key", STRANGE.key_pem), [("credentials", "crypto")]),
    "another CA": (write("pki/ca.crt", OTHER_CA.pem), [("credentials", "crypto")]),
}
FILES: dict[str, tuple[t.Callable[[Node], None], Codes]] = {
    "unit edited by hand": (add("etcd.service", "# ours\n"), [("service", "write_unit")]),
    "no unit": (missing("etcd.service"), [("service", "write_unit")]),
    "mode of the unit": (mode("etcd.service", 0o666), [("service", "repair_unit_attributes")]),
    "owner of the unit": (owner("etcd.service", uid=12345), [("service", "repair_unit_attributes")]),
    "mode of the data": (mode("data", 0o755), [("service", "repair_data_directory")]),
    "owner of the data": (owner("data", uid=12345), [("service", "repair_data_directory")]),
    "no data folder": (no_data, [("service", "make_data_directory")]),
    "another text is wanted": (new_text, [("service", "write_unit")]),
    "a text that is no unit": (text_without_hash, [("service", "input")]),
}
MANAGED: dict[str, tuple[t.Callable[[Node], None], Codes]] = {
    "disabled": (reported(UnitFileState="disabled"), [("service", "enable")]),
    "stopped": (stopped, [("service", "start")]),
    "not read again": (reported(NeedDaemonReload="yes"), [("service", "daemon_reload")]),
    "a process with another hash": (hashed("0" * 64), [("service", "unit_changed")]),
    "a process without a hash": (hashed(None), [("service", "unit_changed")]),
    "never ready": (never_ready, [("service", "start")]),
    "another etcd": (other_etcd, [("service", "stop_other_etcd"), ("service", "start")]),
    "a process on other data": (moved_data, [("service", "refused")]),
    "a newer trust bundle": (newer_trust_bundle, [("service", "trust_bundle_changed")]),
    "a newer revocation list": (newer_revocation_list, [("service", "revocation_list_newer")]),
    "a replaced program": (new_program, [("service", "binary_replaced")]),
}
# With systemd a text that is written is read again, and what runs was started from another.
READ_AGAIN: dict[str, Codes] = {
    "unit edited by hand": [("service", "daemon_reload")],
    "no unit": [("service", "daemon_reload")],
    "another text is wanted": [("service", "daemon_reload"), ("service", "unit_changed")],
}
DRIFTS = {**CREDENTIALS, **FILES, **MANAGED}


@pytest.mark.parametrize("managed", [True, False])
@pytest.mark.parametrize("name", ["nothing", *DRIFTS])
def test_a_drift_is_due_exactly_where_the_modules_would_act(
    name: str, managed: bool, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.managed = managed
    if not managed:
        monkeypatch.setattr(manager, "show", lambda unit: pytest.fail("systemd was asked"))
    drift, codes = {**DRIFTS, "nothing": (nothing, [])}[name]
    drift(node)
    expected = codes + READ_AGAIN.get(name, []) if managed else [] if name in MANAGED else codes
    assert node.pending() == expected
    assert node.acts() is bool(expected)


@pytest.mark.parametrize("name", [name for name in DRIFTS if name not in ("a text that is no unit", "no folder")])
def test_after_a_run_nothing_is_due(name: str, node: Node) -> None:
    DRIFTS[name][0](node)
    assert node.pending() != []
    node.host.complaint = None
    if name == "a process on other data":
        # Refused, not repaired: whoever stops it has moved the data before.
        stopped(node)
    with subprocess.Popen([str(node.program), "600"]) as process:
        try:
            while os.readlink(f"/proc/{process.pid}/exe") != str(node.program):
                time.sleep(0.01)
            node.run(process.pid)
            assert node.pending() == [] and not node.acts()
        finally:
            process.kill()


def test_who_is_connected_stays_so_where_nobody_said_otherwise(node: Node) -> None:
    newer_revocation_list(node)
    node.disconnects = False
    assert node.pending() == [] and not node.acts()
    node.disconnects = True
    # The list is as it was when the process was started.
    os.utime(node.pki / "ca.crl", (time.time() - 1000, time.time() - 1000))
    assert node.pending() == [] and not node.acts()


def test_check_mode_knows_of_a_list_that_a_run_would_write(node: Node) -> None:
    started_with_list(node)
    node.disconnects = True
    changed = replace(node.unit, revocation_list_changed=True)
    (reason,) = unit_plan.plan_present(changed, False, True, False).restart_pending
    assert reason["code"] == "revocation_list_newer" and "may be connected still" in reason["text"]
    said = {"disconnect_revoked": True, "revocation_list_changed": True, "check_mode": True}
    (reason,) = pending_restart.restart_pending_now(node.unit.name, str(node.folder), False, node.text, **said)
    assert reason["code"] == "revocation_list_newer"
    said["disconnect_revoked"] = False
    assert pending_restart.restart_pending_now(node.unit.name, str(node.folder), False, node.text, **said) == []


@pytest.mark.parametrize("path", ["pki/ca.crt", "pki/etcd-1.crt"])
def test_what_says_the_same_is_no_drift(node: Node, path: str) -> None:
    file = node.folder / path
    written = file.stat()
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n") + b"# ours\r\n")
    # A bundle that is newer than the process is another matter.
    os.utime(file, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert node.pending() == [] and not node.acts()


def test_several_drifts_are_all_told_the_credentials_first(node: Node) -> None:
    for drift in ("mode of the key", "a key in the bundle", "mode of the data", "disabled"):
        DRIFTS[drift][0](node)
    (node.pki / ".etcd-1.key.ringfence-new").write_text("x")
    assert node.pending() == [
        ("credentials", "content"),
        ("credentials", "mode"),
        ("credentials", "leftover"),
        ("service", "repair_data_directory"),
        ("service", "enable"),
    ]
    texts = [one["text"] for one in pending_changes.host_pending_changes(node.wanted())]
    assert texts == [
        f"{node.pki}/ca.crt: content",
        f"{node.pki}/etcd-1.key: mode",
        f"{node.pki}/etcd-1.key: leftover",
        "etcd.service: repair data directory",
        "etcd.service: enable",
    ]


def test_an_empty_host(open_folder: pathlib.Path, host: Host) -> None:
    node = Node.__new__(Node)
    node.folder, node.host, node.managed, node.pki = open_folder, host, True, open_folder / "pki"
    node.text = node.hashed()
    actions = ["make_data_directory", "write_unit", "daemon_reload", "enable", "start"]
    need_root()
    assert node.pending() == [("credentials", "crypto"), *(("service", action) for action in actions)]


def test_a_user_that_is_still_to_be_made(node: Node) -> None:
    """It is no error in a look that the run would make the user first."""
    wanted = node.wanted()
    nobody = replace(wanted, unit=replace(wanted.unit, owner="ringfence-no-such-user", group="ringfence-no-such-group"))
    found = pending_changes.host_pending_changes(nobody)
    assert [(one["part"], one["code"]) for one in found][:2] == [("credentials", "group"), ("credentials", "owner")]
    with pytest.raises(RingfenceError, match="user ringfence-no-such-user does not exist"):
        _peer_credentials.plan_credentials(replace(node.request(), owner="ringfence-no-such-user"))


def test_a_ca_beside_the_own_one_is_for_the_judge_of_the_cluster_to_see(node: Node) -> None:
    """A host can't know which CA is meant; the judge compares the bundle with the CA's certificate."""
    write("pki/ca.crt", CA.pem + OTHER_CA.pem)(node)
    assert node.pending() == []


def test_a_name_that_the_text_gives(node: Node) -> None:
    """Without a name there is none to look for files by."""
    wanted = node.wanted()
    (first, *_others) = pending_changes.host_pending_changes(
        replace(wanted, unit=replace(wanted.unit, member_name=None))
    )
    assert (first["part"], first["code"]) == ("credentials", "input")


# The module that looks ------------------------------------------------------------------------------------------------


def params(node: Node, **changes: t.Any) -> dict[str, t.Any]:
    """What Ansible makes of the options with which the role calls the module."""
    unit = node.unit
    defaults = {name: option.get("default") for name, option in etcd_peer_probe.argument_spec().items()}
    return {
        **defaults,
        "name": "etcd-1",
        # Nobody listens at port 1.
        "members": [{"name": name, "peer_url": "https://127.0.0.1:1"} for name in ("etcd-1", "etcd-2")],
        "directory": str(node.pki),
        "owner": unit.owner,
        "group": unit.group,
        "etcd_binary": str(node.program),
        "unit_directory": unit.unit_directory,
        "data_dir": unit.data_dir,
        "unit_content": unit.text,
        **changes,
    }


EMPTY: dict[str, t.Any] = {
    "called": False,
    "probes": [],
    "problem": None,
    "unreadable_files": [],
    "revoked": [],
    "live_members": None,
}


@pytest.mark.parametrize(
    ("call", "is_running", "called"),
    [
        ("always", True, True),
        ("always", False, True),
        ("running", True, True),
        ("running", False, False),
        ("never", True, False),
        ("never", False, False),
    ],
)
def test_whom_it_calls(call: str, is_running: bool, called: bool, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_peer_info, "UNIT_FOLDERS", (str(node.folder),))
    if not is_running:
        stopped(node)
    before = node.snapshot()
    found = node_probe.probe_node(params(node, call=call), NOW)
    assert node.snapshot() == before and node.host.calls == []
    assert found["time"] == found["info"]["time"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found["info"]["process"]["running"] is is_running
    assert [one["code"] for one in found["pending"]] == ([] if is_running else ["start"])
    if called:
        assert found["called"] and found["live_members_problem"] == "no client URL was given"
        assert [(probe["to"], probe["case"]) for probe in found["probes"]] == [
            ("etcd-2", "member"),
            ("etcd-2", "no_certificate"),
        ]
    else:
        assert {key: found[key] for key in EMPTY} == EMPTY
        # Its own member is asked wherever it runs.
        assert found["live_members_problem"] == ("no client URL was given" if is_running else None)


def test_nobody_asks_what_is_due_without_a_unit(node: Node) -> None:
    assert node_probe.probe_node(params(node, call="never", unit_content=None), NOW)["pending"] is None


def test_a_unit_is_wanted_where_systemd_looks_unless_another_folder_is_named(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [node_probe.probe_node(params(node, call="never", unit_directory=None), NOW)["pending"]]
    assert member_unit.WantedUnit.unit_directory == "/etc/systemd/system"
    monkeypatch.setattr(member_unit.WantedUnit, "unit_directory", str(node.folder))
    found.append(node_probe.probe_node(params(node, call="never", unit_directory=None), NOW)["pending"])
    assert [[one["code"] for one in pending] for pending in found] == [["write_unit", "daemon_reload"], []]


@pytest.mark.parametrize(("manage_service", "codes"), [(True, ["content", "start"]), (False, ["content"])])
def test_the_files_that_are_there_are_compared_as_they_are_written(
    manage_service: bool, codes: list[str], node: Node
) -> None:
    add("pki/ca.crt", STRANGE.key_pem)(node)
    stopped(node)
    found = node_probe.probe_node(params(node, call="never", manage_service=manage_service), NOW)
    assert [one["code"] for one in found["pending"]] == codes


def test_other_files_for_clients_are_looked_at_while_the_member_runs(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_peer_info, "UNIT_FOLDERS", (str(node.folder),))
    node.program.unlink()
    node.program.write_text("#!/bin/sh\nexit 0\n")
    node.program.chmod(0o755)
    node.host.complaint = None
    text = node.hashed(" --trusted-ca-file=/none/ca.crt --cert-file=/none/etcd-1.crt --key-file=/none/etcd-1.key")
    found = node_probe.probe_node(params(node, call="never", unit_content=text), NOW)
    assert found["unit_problem"] == "the files for clients: there is no /none/ca.crt: put it there first"
    stopped(node)
    assert node_probe.probe_node(params(node, call="never", unit_content=text), NOW)["unit_problem"] is None


def test_bad_input_is_said_before_anybody_looks(node: Node) -> None:
    with pytest.raises(InputError, match="etcd-3 is not among members"):
        node_probe.probe_node(params(node, call="never", name="etcd-3"), NOW)


# Texts that nobody writes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_new_text_is_checked_where_it_is_about_to_be_written(check_mode: bool, node: Node) -> None:
    new_text(node)
    node.program.unlink()
    node.program.write_text("#!/bin/sh\necho 'flag provided but not defined: -new' >&2\nexit 2\n")
    node.program.chmod(0o755)
    unit = node.unit
    with pytest.raises(RingfenceError, match="systemd was asked"):
        unit_plan.plan_present(unit, False, check_mode)
    with pytest.raises(RingfenceError, match="flag provided but not defined: -new"):
        unit_plan.plan_written(unit, check_mode)
    node.host.complaint = None
    with pytest.raises(RingfenceError, match="flag provided but not defined: -new"):
        unit_plan.plan_present(unit, False, check_mode)
    assert "write_unit" in unit_plan.plan_present(unit, False, check_mode, check_new_text=False).actions
    assert unit_plan.plan_written(unit, check_mode, check_new_text=False).actions == ("write_unit",)
