# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takeovers of real clusters of three, with somebody else's units; of systemd the test does what is asked of it."""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError, MembershipError
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.running_members import running_members
from ansible_collections.ringfence.etcd.plugins.module_utils._member import takeover
from ansible_collections.ringfence.etcd.plugins.module_utils._member.takeover_turn import (
    TakenOverUnit,
    _told,
    check_own_name,
    client_files_of,
    own_client,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import late_drop_in, manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.environment_file import parse_environment
from ansible_collections.ringfence.etcd.plugins.modules.etcd_takeover import taken_over
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES or os.geteuid() != 0, reason="it needs an etcd, and root")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import _SECTIONS, Deployment

MEMBERS = ("m1", "m2", "m3")
NAMES = [f"{name}.example.com" for name in MEMBERS]
VARIABLE = late_drop_in.VARIABLE
ENVIRONMENT, CONFIG, FLAGS = "environment", "config", "flags"


class Hosts:
    """Three units on one machine, each with the files that somebody wrote, and systemd's part in it."""

    def __init__(self, deployed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deployed = deployed
        self.units = deployed.folder / "systemd"
        self.units.mkdir()
        self.loaded: dict[str, list[str]] = {}
        self.started: dict[str, float] = {}
        self.reload_needed = "no"
        monkeypatch.setattr(late_drop_in, "_FOLDER", str(self.units))
        for name, value in (
            ("require_systemd", lambda: None),
            ("show", self.show),
            ("inherited_environment", dict),
            ("daemon_reload", self.reload),
            ("restart_no_block", self.restart),
            ("last_words", lambda unit, cause_of: None),
            ("journal_tail", lambda unit: ""),
        ):
            monkeypatch.setattr(manager, name, value)
        monkeypatch.setattr(takeover, "running_members", self.running_members)

    def deploy(self, shape: str, extra: str = "") -> None:
        for name in MEMBERS:
            settings = self.deployed.settings(name)
            lines = [f"ExecStart={self.deployed.binary}"]
            if shape == ENVIRONMENT:
                text = "".join(f"ETCD_{key.upper().replace('-', '_')}={value}\n" for key, value in settings.items())
                self.variables(name).write_text(text + extra)
                lines.insert(0, f"EnvironmentFile={self.variables(name)}")
            elif shape == FLAGS:
                lines = [lines[0] + "".join(f" --{key}={value}" for key, value in settings.items()) + extra]
            else:
                top = [f"{key}: {value}" for key, value in settings.items() if key not in _SECTIONS]
                below = [f"  {_SECTIONS[key]}: {value}" for key, value in settings.items() if key in _SECTIONS]
                self.config(name).write_text("\n".join([*top, "peer-transport-security:", *below, ""]) + extra)
                lines = [f"{lines[0]} --config-file={self.config(name)}"]
            (self.units / f"{name}.service").write_text("\n".join(["[Service]", *lines, ""]))
        self.reload()
        for name in MEMBERS:
            self.start(name)
        for name in MEMBERS:
            self.deployed._wait(name)

    def variables(self, name: str) -> pathlib.Path:
        return self.deployed.folder / f"{name}.env"

    def config(self, name: str) -> pathlib.Path:
        return self.deployed.folder / f"{name}.yml"

    def drop_in(self, name: str, file: str = "zz-ringfence.conf") -> pathlib.Path:
        return self.units / f"{name}.service.d" / file

    # What systemd does ------------------------------------------------------------------------------------------------

    def show(self, unit: str) -> dict[str, str]:
        name = unit.partition(".")[0]
        process = self.deployed.processes.get(name)
        runs = process is not None and process.poll() is None
        return {
            "ActiveState": "active" if runs else "inactive",
            "SubState": "running",
            "MainPID": str(process.pid) if runs and process is not None else "0",
            "FragmentPath": str(self.units / unit),
            "DropInPaths": " ".join(self.loaded.get(unit, [])),
            "NeedDaemonReload": self.reload_needed,
            "ExecMainStartTimestampMonotonic": str(int(self.started.get(name, 0) * 1_000_000)),
        }

    def reload(self) -> None:
        self.reload_needed = "no"
        for name in MEMBERS:
            folder = self.units / f"{name}.service.d"
            self.loaded[f"{name}.service"] = sorted(map(str, folder.glob("*.conf")))

    def restart(self, unit: str) -> None:
        name = unit.partition(".")[0]
        self.deployed.processes[name].terminate()
        self.deployed.processes[name].wait()
        self.start(name)

    def start(self, name: str) -> None:
        """As its unit says: the last EnvironmentFile= wins."""
        words, environment = [], {"PATH": os.environ["PATH"]}
        for path in (str(self.units / f"{name}.service"), *self.loaded[f"{name}.service"]):
            for line in pathlib.Path(path).read_text().splitlines():
                key, _equals, value = line.partition("=")
                if key == "ExecStart":
                    words = shlex.split(value)
                elif key == "EnvironmentFile":
                    environment.update(parse_environment(pathlib.Path(value).read_text()))
        self.started[name] = time.monotonic()
        with open(self.deployed.folder / f"{name}.log", "ab") as log:
            self.deployed.processes[name] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def running_members(
        self, pids: t.Collection[int], all_flags: bool = False
    ) -> tuple[list[dict[str, t.Any]], list[str]]:
        """As on a host where systemd has started it."""
        found, problems = running_members(pids, all_flags)
        names = {process.pid: name for name, process in self.deployed.processes.items()}
        return [{**one, "kind": "service", "unit": f"{names[one['pid']]}.service"} for one in found], problems

    # What is asked ----------------------------------------------------------------------------------------------------

    def members(self) -> list[dict[str, str]]:
        return [{"name": name, "client_url": self.deployed.client_urls[name]} for name in MEMBERS]

    def take(self, name: str, state: str = "present", check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        config = str(self.config(name)) if self.config(name).exists() else None
        params: dict[str, t.Any] = {
            "state": state,
            "name": name,
            "unit": f"{name}.service",
            "config_file": config,
            "members": self.members(),
            "common_names": NAMES if state == "present" else [],
            "wait_seconds": 15.0,
            "timeout_seconds": 40.0,
            **dict.fromkeys(("client_ca_file", "client_cert_file", "client_key_file")),
        }
        return taken_over({**params, **changes}, check, NO_ACCESS)

    def lists(self) -> dict[str, str]:
        """What each process was given by a variable."""
        found = {}
        for name in MEMBERS:
            facts = manager.process_facts(self.deployed.pid(name))
            assert facts is not None
            found[name] = facts["environment"].get(VARIABLE, "")
        return found

    def ids(self) -> dict[str, str]:
        return {one.name: one.member_id for one in Client(None).member_list(self.deployed.client_urls["m1"])}

    def pids(self) -> list[int]:
        return [self.deployed.pid(name) for name in MEMBERS]

    def refused(self, name: str, said: str, **changes: t.Any) -> None:
        """Refused in check mode and by a run, and nothing is another one afterwards."""
        files = {path: path.read_bytes() for path in self.deployed.folder.rglob("*") if self._is_theirs(path)}
        pids = self.pids()
        for check in (True, False):
            with pytest.raises(RefusedError, match=said) as caught:
                self.take(name, check=check, wait_seconds=0.0, **changes)
            assert "\n" not in str(caught.value)
        assert self.pids() == pids
        assert {path: path.read_bytes() for path in self.deployed.folder.rglob("*") if self._is_theirs(path)} == files

    @staticmethod
    def _is_theirs(path: pathlib.Path) -> bool:
        return path.suffix in (".env", ".yml", ".service", ".conf", ".replaced") and path.is_file()


@pytest.fixture(params=BINARIES[:1], ids=os.path.basename)
def hosts(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Hosts]:
    deployed = Deployment(request.param, tmp_path, 3)
    try:
        yield Hosts(deployed, monkeypatch)
    finally:
        deployed.stop()


def _age(path: pathlib.Path) -> None:
    """As written before the process was started."""
    os.utime(path, (path.stat().st_atime - 1000, path.stat().st_mtime - 1000))


def _with_a_learner(url: str) -> None:
    """etcd takes no other member for some seconds after a start."""
    deadline = time.monotonic() + 30
    while True:
        try:
            Client(None).member_add(url, "https://127.0.0.1:1")
            return
        except MembershipError:
            assert time.monotonic() < deadline
            time.sleep(0.5)


# There and back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [ENVIRONMENT, FLAGS])
def test_by_a_variable(hosts: Hosts, shape: str) -> None:
    hosts.deploy(shape)
    pids, ids = hosts.pids(), hosts.ids()
    checked = hosts.take("m1", check=True)
    assert checked["changed"] and not checked["restarted"] and hosts.pids() == pids
    assert not hosts.drop_in("m1").exists() and VARIABLE in str(checked["diff"])
    leaders = []
    for name in MEMBERS:
        found = hosts.take(name)
        assert found["restarted"] and found["pending"][0]["code"] == "list_lacking"
        files = [hosts.drop_in(name), hosts.drop_in(name, "zz-ringfence.env")]
        assert found["paths"] == list(map(str, [files[0].parent, *files]))
        leaders.append(found["leads"])
    assert set(hosts.lists().values()) == {",".join(NAMES)} and hosts.ids() == ids
    assert not set(hosts.pids()) & set(pids) and any(leaders)

    pids = hosts.pids()
    for name in MEMBERS:
        again = hosts.take(name)
        assert not again["changed"] and again["paths"] == [] and again["diff"] == []
    assert hosts.pids() == pids

    for name in MEMBERS:
        assert hosts.take(name, "absent")["restarted"]
        assert not hosts.take(name, "absent")["changed"]
    assert set(hosts.lists().values()) == {""} and hosts.ids() == ids
    assert not list(hosts.units.rglob("zz-*"))


def test_by_a_configuration_file(hosts: Hosts) -> None:
    hosts.deploy(CONFIG)
    before = {name: hosts.config(name).read_text() for name in MEMBERS}
    pids = hosts.pids()
    hosts.config("m1").chmod(0o640)
    assert hosts.take("m1", check=True)["paths"] == [str(hosts.config("m1"))] and hosts.pids() == pids
    for name in MEMBERS:
        found = hosts.take(name)
        assert found["restarted"] and [len(one["after"].splitlines()) for one in found["diff"]] == [1]
        assert pathlib.Path(f"{hosts.config(name)}.replaced").read_text() == before[name]
    assert hosts.config("m1").stat().st_mode & 0o777 == 0o640
    told, _problems = running_members(hosts.pids())
    assert [one["settings"]["allowed_common_names"] for one in told] == [NAMES] * 3
    pids = hosts.pids()
    assert not any(hosts.take(name)["changed"] for name in MEMBERS) and hosts.pids() == pids
    for name in MEMBERS:
        assert hosts.take(name, "absent")["restarted"] and hosts.config(name).read_text() == before[name]
        assert not hosts.take(name, "absent")["changed"]


@pytest.mark.parametrize("shape", [ENVIRONMENT, CONFIG])
def test_a_run_that_was_killed_is_gone_on_with(hosts: Hosts, shape: str) -> None:
    """Written and not restarted; and the same on the way back."""
    hosts.deploy(shape)
    config = str(hosts.config("m1")) if shape == CONFIG else None
    old = hosts.deployed.pid("m1")
    time.sleep(1.1)
    for names, state in ((tuple(NAMES), "present"), ((), "absent")):
        plan = takeover.plan_takeover(takeover.Wanted("m1", "m1.service", config, names))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(manager, "daemon_reload", lambda: None)
            plan.apply("m1.service")
        assert hosts.deployed.pid("m1") == old
        assert hosts.take("m1", state)["restarted"] and not hosts.take("m1", state)["changed"]
        old = hosts.deployed.pid("m1")
        time.sleep(1.1)


def test_a_list_on_its_command_line_is_enough(hosts: Hosts) -> None:
    """Whatever else has been changed since: there is nothing to restart."""
    hosts.deploy(FLAGS, f" --peer-cert-allowed-cn={','.join(reversed(NAMES))}")
    (hosts.units / "m1.service").write_text((hosts.units / "m1.service").read_text() + "Nice=5\n")
    assert not hosts.take("m1")["changed"] and not hosts.take("m1", "absent")["changed"]
    _age(hosts.units / "m2.service")
    hosts.refused("m2", "it has a list of its own", common_names=[*NAMES, "m4.example.com"])


def test_a_list_that_its_deployer_has_set_is_enough(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT, f"{VARIABLE}={','.join(reversed(NAMES))}\n")
    assert not hosts.take("m1")["changed"] and not hosts.take("m1", "absent")["changed"]
    hosts.refused("m1", "it has a list of its own", common_names=[*NAMES, "m4.example.com"])


# What is refused ------------------------------------------------------------------------------------------------------


def test_somebody_elses_change_is_not_brought(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    unit, variables = hosts.units / "m1.service", hosts.variables("m1")
    text, told = unit.read_text(), variables.read_text()
    variables.write_text(told + "ETCD_MAX_WALS=7\n")
    hosts.refused("m1", "would start etcd with other variables than it runs with")
    variables.write_text(told)
    hosts.refused("m1", "m1.env was written since etcd was started")
    _age(variables)
    unit.write_text(
        text.replace("ExecStart=" + hosts.deployed.binary, f"ExecStart={hosts.deployed.binary} --max-wals=7")
    )
    hosts.refused("m1", "would start etcd with other words than it runs with")
    unit.write_text(text + "Nice=5\n")
    hosts.refused("m1", "m1.service was written since etcd was started")
    _age(unit)
    hosts.reload_needed = "yes"
    hosts.refused("m1", "systemd has not read the files of m1.service as they are now")
    hosts.reload_needed = "no"
    authority = hosts.deployed.pki("m1") / "ca.crt"
    authority.write_text(authority.read_text() + "\n")
    hosts.refused("m1", "ca.crt was written since etcd was started")
    _age(authority)
    assert hosts.take("m1", check=True)["changed"]


def test_other_drop_ins(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    other = hosts.drop_in("m1", "zzz.conf")
    other.parent.mkdir()
    hosts.drop_in("m1").write_text("[Service]\n")
    hosts.reload()
    hosts.refused("m1", "zz-ringfence.conf is somebody else's")
    hosts.drop_in("m1").unlink()
    late = hosts.deployed.folder / "late.env"
    late.write_text(f"{VARIABLE}=\n")
    _age(late)
    other.write_text(f"[Service]\nEnvironmentFile={late}\n")
    _age(other)
    hosts.reload()
    hosts.refused("m1", "zz-ringfence.conf would not be what is read last")
    other.unlink()
    hosts.refused("m1", "systemd has not read .*zzz.conf as it is now")


def test_a_configuration_file_that_was_written_since(hosts: Hosts) -> None:
    hosts.deploy(CONFIG)
    time.sleep(1.1)
    text = hosts.config("m1").read_text()
    hosts.config("m1").write_text(text + "max-wals: 7\n")
    hosts.refused("m1", "m1.yml was written since etcd was started")
    _age(hosts.config("m1"))
    hosts.config("m2").write_text(text + "cors: &a b\n")
    hosts.refused("m2", "m2.yml can't be read for certain")


def test_the_cluster_has_to_be_well(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    urls = hosts.members()
    hosts.refused("m1", "the cluster has m1, m2, m3, and the run m1, m2", members=urls[:2])
    swapped = [urls[0], {**urls[1], "client_url": urls[2]["client_url"]}, urls[2]]
    hosts.refused("m1", "is not m2, as which it is asked", members=swapped)
    hosts.refused("m1", "which the list would not have", common_names=NAMES[1:])
    _with_a_learner(urls[0]["client_url"])
    hosts.refused("m1", "the cluster has .*, and the run m1, m2, m3")
    member = next(one for one in Client(None).member_list(urls[0]["client_url"]) if not one.name)
    Client(None).member_remove(urls[0]["client_url"], member.member_id)
    assert hosts.take("m1", check=True)["changed"]
    hosts.deployed.processes["m3"].kill()
    hosts.deployed.processes["m3"].wait()
    with pytest.raises(RefusedError, match="m1 is not taken over"):
        hosts.take("m1")
    assert not hosts.drop_in("m1").exists()


def test_nobody_is_shut_out(hosts: Hosts) -> None:
    """The guard asks at each peer port what it presents now: a name that came since the plan is not refused then."""
    hosts.deploy(ENVIRONMENT)
    pids = hosts.pids()
    with pytest.raises(RefusedError, match="it would refuse m2: its common name is not in --peer-cert-allowed-cn"):
        hosts.take("m1", common_names=[NAMES[0], NAMES[2]])
    assert hosts.pids() == pids and not hosts.drop_in("m1").exists()


def test_a_certificate_that_was_given_another_name_meanwhile(hosts: Hosts) -> None:
    """Seen in the member's turn as well: the others would shut it out."""
    hosts.deploy(ENVIRONMENT)
    wanted = takeover.Wanted("m1", "m1.service", None, tuple(NAMES))
    urls = [hosts.deployed.peer_urls["m2"]]
    assert TakenOverUnit(wanted).shuts_out()(urls) is None
    made = issue("other.example.com", hosts.deployed.ca)
    (hosts.deployed.pki("m1") / "m1.crt").write_text(made.pem)
    (hosts.deployed.pki("m1") / "m1.key").write_text(made.key_pem)
    assert "has the common name other.example.com" in (TakenOverUnit(wanted).shuts_out()(urls) or "")


def test_a_process_that_is_no_unit(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    hosts.refused("m1", "runs otherwise than it did a moment ago", config_file="/etc/etcd.yml")
    hosts.deployed.processes["m1"].kill()
    hosts.deployed.processes["m1"].wait()
    with pytest.raises(RefusedError, match=r"m1\.service is not active: start it"):
        hosts.take("m1")


def test_what_can_not_be_read_for_certain(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    unit, variables = hosts.units / "m1.service", hosts.variables("m1")
    text, told = unit.read_text(), variables.read_text()
    theirs = hosts.drop_in("m1", "zz-ringfence.env")
    theirs.parent.mkdir()
    theirs.write_text("ETCD_MAX_WALS=7\n")
    hosts.refused("m1", "zz-ringfence.env is somebody else's")
    theirs.unlink()
    unit.write_text(text + "Environment=HOME=%h\n")
    hosts.refused("m1", "what m1.service starts etcd with .* not known: its unit has the specifier %h: let its Exec")
    # As Debian's package has it, whose file gives it another one. The host's name is known.
    unit.write_text(text + "Environment=ETCD_NAME=%H\n")
    _age(unit)
    assert hosts.take("m1", check=True)["changed"]
    unit.unlink()
    hosts.refused("m1", "the file of m1.service can't be read")
    unit.write_text(text)
    _age(unit)
    variables.unlink()
    hosts.refused("m1", "its environment file .*m1.env does not exist")
    variables.write_text(told)
    _age(variables)
    assert hosts.take("m1", check=True)["changed"]


def test_a_program_that_was_replaced(hosts: Hosts) -> None:
    hosts.deployed.binary = shutil.copy(hosts.deployed.binary, hosts.deployed.folder / "etcd")
    hosts.deploy(FLAGS)
    another = shutil.copy(hosts.deployed.binary, hosts.deployed.folder / "another")
    os.replace(another, hosts.deployed.binary)
    hosts.refused("m1", "etcd was replaced since etcd was started from it")


def test_a_list_of_ours_and_what_is_done_to_it(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    assert hosts.take("m1")["restarted"]
    ours = hosts.drop_in("m1", "zz-ringfence.env")
    ours.write_text(ours.read_text() + "\n")
    found = hosts.take("m1")
    assert found["restarted"] and found["pending"][0]["code"] == "files_changed" and found["paths"] == [str(ours)]
    # Its deployer has it now, too.
    variables = hosts.variables("m1")
    variables.write_text(variables.read_text() + f"{VARIABLE}={','.join(NAMES)}\n")
    _age(variables)
    hosts.refused("m1", "it has a list of its own beside .*zz-ringfence.conf: take one of the two away")


def test_a_configuration_file_with_another_list(hosts: Hosts) -> None:
    hosts.deploy(CONFIG, f"  allowed-cn: [{', '.join([*NAMES, 'm4.example.com'])}]\n")
    hosts.refused("m1", "it has a list of its own .*m4.example.com.*: mend it in .*m1.yml")
    hosts.drop_in("m1").parent.mkdir()
    hosts.drop_in("m1").write_text(late_drop_in.late_drop_in("m1.service", NAMES).text)
    hosts.reload()
    hosts.refused("m1", "there is .*zz-ringfence.conf beside its configuration file: take it away")


def test_a_main_process_that_is_no_etcd(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    hosts.deployed.processes["m1"].kill()
    hosts.deployed.processes["m1"].wait()
    other = hosts.deployed.processes["m1"] = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
    # Until then it is a copy of this process.
    while pathlib.Path(f"/proc/{other.pid}/comm").read_text() != "sleep\n":
        time.sleep(0.01)
    hosts.refused("m1", "the main process of m1.service has no data of etcd open: run as root")


# Whom it asks ---------------------------------------------------------------------------------------------------------


def _deployed(**files: str) -> t.Any:
    names = ("trusted_ca_file", "cert_file", "key_file", "peer_cert_file", "peer_key_file")
    return {"files": {name: files.get(name) for name in names}}


def test_the_files_with_which_a_member_may_ask() -> None:
    whole = _deployed(trusted_ca_file="ca", cert_file="c", key_file="k", peer_cert_file="pc", peer_key_file="pk")
    found = client_files_of(whole)
    assert [(one["ca_file"], one["cert_file"]) for one in found] == [("ca", "c"), ("ca", "pc"), ("ca", None)]
    # Without a CA for clients its own certificate is all that there is to trust.
    assert client_files_of(_deployed(cert_file="c", key_file="k"))[0]["ca_file"] == "c"
    assert client_files_of(_deployed()) == [dict.fromkeys(("ca_file", "cert_file", "key_file"))]


@pytest.mark.parametrize("given", [None, "/nonexistent/ca.crt"])
def test_a_member_that_can_not_be_asked(given: str | None) -> None:
    files = {"ca_file": given, "cert_file": None, "key_file": None}
    with pytest.raises(
        RefusedError, match=r"https://127\.0\.0\.1:1 can't be asked with this member's own files: .*mend"
    ):
        own_client(_deployed(trusted_ca_file="/nonexistent/x"), "https://127.0.0.1:1", NO_ACCESS, files)


def test_what_lacks_is_told_with_its_remedy() -> None:
    assert "etcd_peer_tls_api_user" in _told(ApiError("it said no", kind="auth"))
    assert _told(ApiError("it said no")) == "it said no"


def test_its_own_certificate_has_to_be_there() -> None:
    wanted = takeover.Wanted("m1", "m1.service", None, ("m1",))
    with pytest.raises(RefusedError, match=r"its certificate /nonexistent can't be read"):
        check_own_name(_deployed(peer_cert_file="/nonexistent"), wanted)


@pytest.mark.parametrize("option", ["name", "unit", "members", "common_names"])
def test_what_is_left_out(option: str) -> None:
    given = {"name": "m1", "unit": "etcd.service", "members": [{"name": "m1", "client_url": "http://127.0.0.1:1"}]}
    options = {**given, "common_names": ["a"]}
    del options[option]
    answer = run_module("etcd_takeover", options)
    assert answer["failed"] and answer["problem"] == "input" and option in answer["msg"]


def test_a_name_with_a_comma_is_refused() -> None:
    options = {"name": "m1", "unit": "etcd.service", "members": [{"name": "m1", "client_url": "http://127.0.0.1:1"}]}
    answer = run_module("etcd_takeover", {**options, "common_names": ["a,b"]})
    assert answer["failed"] and answer["problem"] == InputError.problem and "comma" in answer["msg"]
