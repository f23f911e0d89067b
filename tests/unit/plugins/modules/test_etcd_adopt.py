# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real clusters of three that go from somebody else's units to the role's, and back; systemd's part is the test's."""

from __future__ import annotations

import importlib
import os
import pathlib
import subprocess
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_member
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RefusedError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS
from ansible_collections.ringfence.etcd.plugins.module_utils._member import adoption
from ansible_collections.ringfence.etcd.plugins.module_utils._member.adoption import plan_adoption, plan_way_back
from ansible_collections.ringfence.etcd.plugins.module_utils._member.adoption_turn import AdoptedUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import from_environment_files
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import exec_command, unit_environment
from ansible_collections.ringfence.etcd.plugins.modules import etcd_adopt
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules import test_etcd_takeover as theirs
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.test_etcd_takeover import (
    BINARIES,
    CONFIG,
    ENVIRONMENT,
    FLAGS,
    MEMBERS,
    NAMES,
)

pytestmark = pytest.mark.skipif(not BINARIES or os.geteuid() != 0, reason="it needs an etcd, and root")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import Deployment


_UTILS = "ansible_collections.ringfence.etcd.plugins.plugin_utils"
AS_ROOT = {"Service": {"CapabilityBoundingSet": "CAP_DAC_OVERRIDE"}}


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


class Hosts(theirs.Hosts):
    """The same hosts, and what the role would make of an inventory that says what runs there."""

    def __init__(self, deployed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(deployed, monkeypatch)
        monkeypatch.setattr(manager, "verify_unit", lambda *_given, **_options: None)
        monkeypatch.setattr(manager, "enable", lambda _unit: None)

        # Where a distribution's package has its units; what stands in the other folder comes before it.
        self.library = deployed.folder / "library"
        self.library.mkdir()
        monkeypatch.setattr(adoption, "UNIT_FOLDERS", (str(self.units), str(self.library)))

    def show(self, unit: str) -> dict[str, str]:
        found = next((path for path in (self.units / unit, self.library / unit) if path.exists()), None)
        return {**super().show(unit), "UnitFileState": "enabled", "FragmentPath": str(found or "")}

    def start(self, name: str) -> None:
        """As all of its unit says, and not only its first line."""
        unit = f"{name}.service"
        paths = (self.show(unit)["FragmentPath"], *self.loaded[unit])
        text = "\n".join(pathlib.Path(path).read_text() for path in paths)
        environment = unit_environment(text, from_environment_files(text, unit))
        self.started[name] = time.monotonic()
        with open(self.deployed.folder / f"{name}.log", "ab") as log:
            self.deployed.processes[name] = subprocess.Popen(
                exec_command(text, environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], **environment},
            )

    def directory(self, name: str) -> pathlib.Path:
        return self.deployed.folder / f"role-{name}"

    def text(
        self,
        name: str,
        has_tls_of_peers: bool = True,
        peer_names: t.Sequence[str] | None = None,
        **changes: t.Any,
    ) -> str:
        settings: dict[str, t.Any] = {
            "cluster_name": "etcd-cluster",
            "data_dir": str(self.deployed.folder / name),
            "directory": str(self.directory(name)),
            "identity": "list",
            "client_tls": False,
            "client_port": _port(self.deployed.client_urls[name]),
            **dict.fromkeys(("client_ca_file", "client_cert_file", "client_key_file", "ca_certificate"), ""),
            "listen_loopback": False,
            "metrics_urls": [],
            "min_version": "TLS1.2",
            "extra_flags": {"cipher-suites": ""},
            "extra_unit_settings": AS_ROOT,
            "owner": "root",
            "owner_group": "root",
            "etcd_binary": self.deployed.binary,
        }
        cluster = ClusterSettings(name="etcd-cluster", client_tls=changes.get("client_tls", False))
        members = [make_member(self._entry(one), cluster) for one in MEMBERS]
        member = next(one for one in members if one.name == name)
        # The controller's: on the Pythons of nodes it can't be loaded, and there is no etcd for these tests either.
        unit_text = importlib.import_module(f"{_UTILS}._unit_text").unit_text
        told = {"has_revocation_list": False, "has_tls_of_peers": has_tls_of_peers, "peer_names": peer_names}
        return str(unit_text({**settings, **changes}, members, member, **told))

    def _entry(self, name: str) -> dict[str, t.Any]:
        ports = {"peer_port": self.deployed.peer_urls, "client_port": self.deployed.client_urls}
        own = {"name": name, "host": name, "address": "127.0.0.1", "common_name": f"{name}.example.com"}
        return {**own, **{port: _port(urls[name]) for port, urls in ports.items()}}

    def params(self, name: str, state: str = "present", **changes: t.Any) -> dict[str, t.Any]:
        config = str(self.config(name)) if str(self.config(name)) in " ".join(self.argv(name)) else None
        return {
            "state": state,
            "name": name,
            "unit": f"{name}.service",
            "unit_content": self.text(name),
            "unit_directory": str(self.units),
            "directory": str(self.directory(name)),
            "owner": "root",
            "group": "root",
            "config_file": config,
            "members": self.members(),
            "common_names": NAMES if state == "present" else [],
            "keep_certificates": False,
            "wait_seconds": 15.0,
            "timeout_seconds": 40.0,
            **dict.fromkeys(("client_ca_file", "client_cert_file", "client_key_file")),
            **changes,
        }

    def argv(self, name: str) -> list[str]:
        facts = manager.process_facts(self.deployed.pid(name))
        return [] if facts is None else facts["argv"]

    def take(self, name: str, state: str = "present", check: bool = False, **changes: t.Any) -> dict[str, t.Any]:
        return etcd_adopt.adopted(self.params(name, state, **changes), check, NO_ACCESS)

    def are_ours(self) -> list[bool]:
        facts = [manager.process_facts(self.deployed.pid(name)) for name in MEMBERS]
        return [one is not None and one["environ_hash"] is not None for one in facts]

    def unit(self, name: str) -> pathlib.Path:
        return self.units / f"{name}.service"


@pytest.fixture(params=BINARIES[:1], ids=os.path.basename)
def hosts(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Hosts]:
    deployed = Deployment(request.param, tmp_path, 3)
    try:
        yield Hosts(deployed, monkeypatch)
    finally:
        deployed.stop()


# There and back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [ENVIRONMENT, CONFIG])
def test_there_and_back(hosts: Hosts, shape: str) -> None:
    hosts.deploy(shape)
    before = {name: hosts.unit(name).read_text() for name in MEMBERS}
    pids, ids = hosts.pids(), hosts.ids()
    checked = hosts.take("m1", check=True)
    assert checked["changed"] and not checked["restarted"] and hosts.pids() == pids
    assert hosts.unit("m1").read_text() == before["m1"] and not hosts.directory("m1").exists()
    settings = next(one for one in checked["diff"] if one["before_header"] == "settings of m1")
    lost = set(settings["before"].splitlines()) - set(settings["after"].splitlines())
    come = set(settings["after"].splitlines()) - set(settings["before"].splitlines())
    assert {line.partition("=")[0] for line in lost} == {
        f"--peer-{kind}-file" for kind in ("cert", "key", "trusted-ca")
    }
    assert come - {f"--peer-cert-allowed-cn={','.join(NAMES)}"} == {
        f"--peer-cert-file={hosts.directory('m1')}/m1.crt",
        f"--peer-key-file={hosts.directory('m1')}/m1.key",
        f"--peer-trusted-ca-file={hosts.directory('m1')}/ca.crt",
    }
    for name in MEMBERS:
        found = hosts.take(name)
        assert found["restarted"] and found["pending"][0]["code"] == "unit_adopted"
        assert found["way_back"].startswith(f"mv {hosts.unit(name)}.replaced {hosts.unit(name)} && systemctl")
        assert hosts.unit(name).read_text() == hosts.text(name)
        assert pathlib.Path(f"{hosts.unit(name)}.replaced").read_text() == before[name]
        assert (hosts.directory(name) / f"{name}.key").stat().st_mode & 0o777 == 0o600
        assert (hosts.directory(name) / f"{name}.formed").exists()
    assert hosts.are_ours() == [True] * 3 and hosts.ids() == ids and not set(hosts.pids()) & set(pids)
    # Theirs are where they were.
    assert (hosts.deployed.pki("m1") / "m1.key").exists()

    pids = hosts.pids()
    for name in MEMBERS:
        again = hosts.take(name)
        assert not again["changed"] and again["paths"] == [] and again["diff"] == []
    assert hosts.pids() == pids

    for name in MEMBERS:
        assert hosts.take(name, "absent", check=True)["changed"] and hosts.unit(name).read_text() == hosts.text(name)
        assert hosts.take(name, "absent")["restarted"]
        assert not hosts.take(name, "absent")["changed"]
        assert hosts.unit(name).read_text() == before[name]
    assert hosts.are_ours() == [False] * 3 and hosts.ids() == ids
    assert not list(hosts.units.glob("*.replaced*"))


def test_after_a_takeover(hosts: Hosts) -> None:
    """The unit has the list itself: with the drop-in's variable as well etcd would not start."""
    hosts.deploy(ENVIRONMENT)
    for name in MEMBERS:
        theirs.Hosts.take(hosts, name)
    lists = hosts.lists()
    drop_ins = sorted(path.name for path in hosts.units.glob("m1.service.d/*"))
    for name in MEMBERS:
        found = hosts.take(name)
        assert found["restarted"] and f"mv {hosts.drop_in(name)}.adopted {hosts.drop_in(name)}" in found["way_back"]
        assert not hosts.drop_in(name).exists() and not hosts.take(name)["changed"]
    assert hosts.are_ours() == [True] * 3 and set(hosts.lists().values()) == {""}
    for name in MEMBERS:
        assert hosts.take(name, "absent")["restarted"] and not hosts.take(name, "absent")["changed"]
    assert hosts.lists() == lists and sorted(path.name for path in hosts.units.glob("m1.service.d/*")) == drop_ins
    assert not any(theirs.Hosts.take(hosts, name)["changed"] for name in MEMBERS)


@pytest.mark.parametrize("older", [None, "[Service]\nEnvironmentFile=/nowhere\nExecStart=/bin/etcd\n"])
def test_a_unit_of_a_package(hosts: Hosts, older: str | None) -> None:
    """It stays in its folder, and the role's comes before it. What was kept at another time is no way back."""
    hosts.deploy(FLAGS)
    for name in MEMBERS:
        hosts.unit(name).rename(hosts.library / hosts.unit(name).name)
    if older is not None:
        pathlib.Path(f"{hosts.unit('m1')}.replaced").write_text(older)
    before = {path.name for path in hosts.units.iterdir()}
    found = hosts.take("m1")
    assert found["restarted"] and found["way_back"].startswith(f"rm {hosts.unit('m1')} && systemctl daemon-reload")
    assert hosts.unit("m1").exists() and (hosts.library / "m1.service").exists()
    assert not hosts.take("m1")["changed"]
    assert hosts.take("m1", "absent")["restarted"] and not hosts.take("m1", "absent")["changed"]
    assert not hosts.unit("m1").exists() and hosts.are_ours() == [False] * 3
    assert {path.name for path in hosts.units.iterdir()} == before


def test_a_member_that_does_not_come_back(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way back that is printed brings it up again."""
    hosts.deploy(ENVIRONMENT)
    theirs.Hosts.take(hosts, "m1")
    before = {path: path.read_bytes() for path in hosts.units.rglob("*") if path.is_file()}
    monkeypatch.setattr(manager, "restart_no_block", lambda _unit: hosts.deployed.processes["m1"].terminate())
    with pytest.raises(
        ServiceError, match=r"the way back is 'mv .* && systemctl restart m1.service' on this host"
    ) as caught:
        hosts.take("m1", timeout_seconds=3.0)
    printed = str(caught.value).partition("the way back is '")[2].partition("' on this host")[0]
    moves = [part for part in printed.split(" && ") if not part.startswith("systemctl")]
    subprocess.run(["sh", "-c", " && ".join(moves)], check=True)
    assert {path: path.read_bytes() for path in hosts.units.rglob("*") if path.is_file()} == before
    hosts.reload()
    hosts.start("m1")
    hosts.deployed._wait("m1")
    assert hosts.take("m1", check=True)["changed"]


def test_nothing_is_restarted_that_systemd_has_not_read(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.deploy(FLAGS)
    pids = hosts.pids()
    monkeypatch.setattr(manager, "daemon_reload", lambda: setattr(hosts, "reload_needed", "yes"))
    with pytest.raises(ServiceError, match=r"systemd has not read the files of m1.service as they are now"):
        hosts.take("m1")
    assert hosts.pids() == pids
    # The lock of the run that failed ends by itself; what it wrote is gone on with.
    assert hosts.take("m1", check=True)["pending"][0]["code"] == "unit_adopted"


def test_whom_the_next_start_would_shut_out(hosts: Hosts) -> None:
    hosts.deploy(FLAGS)
    unit = AdoptedUnit(etcd_adopt._wanted(hosts.params("m1", owner="nobody")), is_back=False)
    why = unit.shuts_out()([hosts.deployed.peer_urls["m2"]])
    assert why is not None and "it runs as root:root and would run as nobody" in why and unit.way_back() is None
    unit = AdoptedUnit(etcd_adopt._wanted(hosts.params("m1")), is_back=False)
    assert unit.shuts_out()([hosts.deployed.peer_urls["m2"]]) is None


@pytest.mark.parametrize("shape", [ENVIRONMENT, CONFIG])
def test_a_run_that_was_killed_is_gone_on_with(hosts: Hosts, shape: str) -> None:
    """After any of its steps; and the same on the way back."""
    hosts.deploy(shape)
    if shape == ENVIRONMENT:
        for name in MEMBERS:
            theirs.Hosts.take(hosts, name)
    plans = {"present": plan_adoption, "absent": plan_way_back}
    for state, planned in plans.items():
        old = hosts.deployed.pid("m1")
        wanted = etcd_adopt._wanted(hosts.params("m1", state))
        for number, step in enumerate(planned(wanted).steps):
            step()
            # systemd has read nothing of it yet; the copies of certificates are no matter of it.
            hosts.reload_needed = "yes" if number or state == "absent" else "no"
            assert planned(wanted).pending
        assert hosts.deployed.pid("m1") == old
        assert hosts.take("m1", state)["restarted"] and not hosts.take("m1", state)["changed"]
        assert hosts.deployed.pid("m1") != old
    if shape == ENVIRONMENT:
        assert set(hosts.lists().values()) == {",".join(NAMES)} and not list(hosts.units.rglob("*.adopted"))


# What is refused -----------------------------------------------------------------------------------------------------


def test_what_would_be_another_setting(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT, "ETCD_HEARTBEAT_INTERVAL=150\n")
    way = "put what it has into the inventory, or change it there first"
    hosts.refused("m1", f"m1 is not adopted: --heartbeat-interval is 150 and would be not set: {way}")
    flags = {"cipher-suites": "", "heartbeat-interval": "150"}

    def made(**changes: t.Any) -> str:
        return hosts.text("m1", **{"extra_flags": flags, **changes})

    hosts.refused("m1", "--initial-cluster-token is not set and would be x", unit_content=made(cluster_name="x"))
    hosts.refused("m1", "its program is .* and would be /bin/true", unit_content=made(etcd_binary="/bin/true"))
    hosts.refused("m1", "it runs as root:root and would run as nobody:root", owner="nobody", unit_content=made())
    hosts.refused("m1", "the list would be", common_names=[*NAMES, "m4.example.com"], unit_content=made())
    hosts.refused(
        "m1",
        "has files of another|own files are in",
        directory=str(hosts.deployed.pki("m1")),
        unit_content=made(directory=str(hosts.deployed.pki("m1"))),
    )
    hosts.refused("m1", "it runs as root, which without capabilities", unit_content=made(extra_unit_settings={}))
    hosts.directory("m1").mkdir()
    (hosts.directory("m1") / "m1.crt").write_text((hosts.deployed.pki("m2") / "m2.crt").read_text())
    hosts.refused("m1", "has files of another member or CA .certificate.", unit_content=made())
    (hosts.directory("m1") / "m1.crt").unlink()
    assert hosts.take("m1", unit_content=made())["restarted"]


def test_a_log_that_the_unit_would_not_let_it_write(hosts: Hosts) -> None:
    log = hosts.deployed.folder / "logs" / "m1.log"
    log.parent.mkdir()
    hosts.deploy(FLAGS, f" --log-outputs={log}")
    flags = {"cipher-suites": "", "log-outputs": str(log)}
    hosts.refused("m1", "writes its log to .*m1.log, where", unit_content=hosts.text("m1", extra_flags=flags))
    more = {"Service": {**AS_ROOT["Service"], "ReadWritePaths": str(log.parent)}}
    text = hosts.text("m1", extra_flags=flags, extra_unit_settings=more)
    assert hosts.take("m1", check=True, unit_content=text)["changed"]


def test_what_etcd_does_not_know(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT, "ETCD_ROOT_PASSWORD=secret\n")
    hosts.refused("m1", "it is given root-password, which etcd does not know")


def test_what_the_unit_has_beside_etcd(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    text = hosts.unit("m1").read_text()
    hosts.unit("m1").write_text(f"{text}Nice=-5\nEnvironment=GOGC=50\n")
    theirs._age(hosts.unit("m1"))
    hosts.refused("m1", "its unit has Nice=-5, the variable GOGC, and the role's has not")
    more = {"Service": {"Nice": "-5", "Environment": "GOGC=50", **AS_ROOT["Service"]}}
    assert hosts.take("m1", check=True, unit_content=hosts.text("m1", extra_unit_settings=more))["changed"]
    hosts.unit("m1").write_text(text)
    theirs._age(hosts.unit("m1"))
    drop_in = hosts.drop_in("m1", "limits.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nEnvironment=ETCD_NAME=m1\n")
    theirs._age(drop_in)
    hosts.reload()
    hosts.refused("m1", "limits.conf changes what etcd is given")
    drop_in.write_text("[Service]\nLimitNOFILE=99999\n")
    theirs._age(drop_in)
    assert hosts.take("m1", check=True)["changed"]


def test_somebody_elses_change_is_not_brought(hosts: Hosts) -> None:
    hosts.deploy(CONFIG)
    hosts.config("m1").write_text(f"{hosts.config('m1').read_text()}\n# later\n")
    os.utime(hosts.config("m1"), (time.time() + 60, time.time() + 60))
    hosts.refused("m1", "m1.yml was written since etcd was started")
    theirs._age(hosts.config("m1"))
    text = hosts.unit("m1").read_text()
    hosts.unit("m1").write_text(f"{text.rstrip()} --pre-vote\n")
    hosts.refused("m1", "m1.service would start etcd with other words than it runs with")


def test_another_unit_of_the_role_is_not_restarted(hosts: Hosts) -> None:
    hosts.deploy(FLAGS)
    kept = hosts.unit("m1").read_text()
    hosts.unit("m1").write_text(hosts.text("m1", extra_flags={"cipher-suites": "", "metrics": "extensive"}))
    hosts.refused("m1", "is another unit of this role: run the deployment")
    hosts.unit("m1").write_text(kept)
    theirs._age(hosts.unit("m1"))
    assert hosts.take("m1")["restarted"]
    hosts.unit("m1").write_text(kept)
    hosts.refused("m1", "its way back has begun: end that with etcd_adopt_state=absent first")


def test_a_way_back_that_is_none(hosts: Hosts) -> None:
    hosts.deploy(FLAGS)
    assert not hosts.take("m1", "absent")["changed"]
    kept = hosts.unit("m1").read_text()
    assert hosts.take("m1")["restarted"]
    replaced = pathlib.Path(f"{hosts.unit('m1')}.replaced")
    replaced.write_text(kept.replace(f"--data-dir={hosts.deployed.folder}/m1", "--data-dir=/elsewhere"))
    hosts.refused("m1", "--data-dir is .* and would be /elsewhere: mend their unit first", state="absent")
    replaced.write_text("[Service]\nExecStart=/bin/etcd --name=%h\n")
    hosts.refused("m1", "its unit has the specifier %h: put it back by hand", state="absent")
    replaced.write_text("[Service]\nEnvironmentFile=/nowhere\nExecStart=/bin/etcd\n")
    hosts.refused("m1", "/nowhere", state="absent")
    replaced.write_text("[Service]\nExecStart=/bin/etcd --config-file=/nowhere.yml\n")
    hosts.refused("m1", "its configuration file /nowhere.yml does not exist", state="absent")
    replaced.unlink()
    hosts.refused("m1", "there is no unit of theirs to go back to", state="absent")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unit_content": None}, "unit_content is not given"),
        ({"common_names": []}, "common_names is empty"),
        ({"unit": "x"}, "is no service's name"),
        ({"directory": "pki"}, "is not an absolute path"),
    ],
)
def test_options(changes: dict[str, t.Any], said: str) -> None:
    given = {"name": "m1", "unit": "m1.service", "unit_content": "x", "directory": "/d", "config_file": None}
    more = {"state": "present", "owner": "root", "group": "root", "unit_directory": "/u", "keep_certificates": False}
    members = [{"name": "m1", "client_url": "http://127.0.0.1:1"}]
    with pytest.raises(InputError, match=said):
        etcd_adopt._wanted({**given, **more, "members": members, "common_names": ["m1"], **changes})


def test_as_ansible_runs_it() -> None:
    members = [{"name": "m1", "client_url": "http://127.0.0.1:1"}]
    given = {"name": "m1", "unit": "ringfence-nobodys.service", "members": members, "common_names": ["m1"]}
    answer = run_module("etcd_adopt", {**given, "unit_content": "x", "directory": "/d"})
    assert answer["failed"] and ("is not active" in answer["msg"] or "systemd does not run" in answer["msg"])
    assert isinstance(RefusedError("x"), RefusedError)
