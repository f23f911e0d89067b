# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's whole life by the module: real etcd processes, and a systemd that starts what the unit says.

With real systemd it is in the lab. Tests of real etcd run only where RINGFENCE_ETCD names one or more binaries.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import api
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS
from ansible_collections.ringfence.etcd.plugins.module_utils._member import formed
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    exec_command,
    quote_argument,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.plugins.modules import etcd_member
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._member.test_formed import IDS, form
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.gateway_server import (
    Asked,
    GatewayServer,
    running,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import NOTIFY, Host, need_root
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

URL = "https://10.0.0.1:2379"
MEMBERS = [{"name": "m1", "client_url": URL}, {"name": "m2", "client_url": "https://10.0.0.2:2379"}]
PRESENT = {
    "name": "m2",
    "members": MEMBERS,
    "peer_url": "https://10.0.0.2:2380",
    "directory": "/etc/etcd/pki",
    "unit_content": "[Service]\n",
    "data_dir": "/var/lib/etcd",
}
ABSENT = {"state": "absent", "name": "m1", "members": MEMBERS, "remove": ["m3"]}
MOVED = {"state": "moved", "name": "m1", "members": MEMBERS, "peer_url": "https://10.0.0.9:2380"}
RETIRED = {"state": "retired", "name": "m2", "members": MEMBERS, "directory": "/etc/etcd/pki"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "m1"}, "missing required arguments: members"),
        (
            {"name": "m1", "members": MEMBERS},
            "state is present but all of the following are missing: peer_url, directory, unit_content, data_dir",
        ),
        ({**MOVED, "peer_url": None}, "state is moved but all of the following are missing: peer_url"),
        ({**ABSENT, "remove": None}, "state is absent but all of the following are missing: remove"),
        ({**RETIRED, "directory": None}, "state is retired but all of the following are missing: directory"),
        ({**ABSENT, "client_cert_file": "/x"}, "client_key_file"),
        ({**ABSENT, "client_cert_file": "/x", "client_key_file": "/y"}, "client_ca_file"),
        ({**ABSENT, "api_user": "root"}, "api_password"),
        ({**ABSENT, "unit": "etcd"}, "unit: 'etcd' is no service's name"),
        ({**PRESENT, "data_dir": "etcd"}, "data_dir: etcd is not an absolute path"),
        ({**PRESENT, "timeout_seconds": 0}, "timeout_seconds is 0: give 1 to 86400"),
        ({**ABSENT, "wait_seconds": -1}, "wait_seconds is -1: give 0 to 86400"),
        ({**ABSENT, "name": "m3"}, "members: this host's member m3 is not among m1, m2"),
        ({**ABSENT, "members": [{"name": "m1"}]}, "needs both"),
        (ABSENT, f"{URL}: an https URL needs the CA file (ca_file)"),
    ],
)
def test_bad_input_has_one_line(arguments: dict[str, t.Any], message: str) -> None:
    answer = run_module("etcd_member", {name: value for name, value in arguments.items() if value is not None})
    assert answer["failed"] and message in answer["msg"]
    assert "\n" not in answer["msg"]


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd runs here")
@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("arguments", [PRESENT, RETIRED])
def test_without_systemd(arguments: dict[str, t.Any], check_mode: bool) -> None:
    answer = run_module("etcd_member", arguments, check_mode=check_mode)
    assert answer["problem"] == "service"
    assert answer["msg"].startswith("systemd does not run this host")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_in_check_mode_the_run_itself_brings_the_files_to_ask_with(host: Host, tmp_path: pathlib.Path) -> None:
    arguments = {**PRESENT, "client_ca_file": str(tmp_path / "ca.crt"), "unit_directory": str(tmp_path)}
    answer = run_module("etcd_member", arguments, check_mode=True)
    assert answer["changed"] and answer["actions"] == ["add", "start", "promote"]
    assert [part["after"] for part in answer["diff"]] == ["m2 https://10.0.0.2:2380\n"]
    assert not host.calls
    # Not the one that goes on with it: nothing has been changed.
    answer = run_module("etcd_member", arguments)
    assert answer["failed"] and answer["msg"].startswith(f"can't read {tmp_path}/ca.crt: no such file or directory")
    assert not host.calls and os.listdir(tmp_path) == []


@pytest.fixture
def gateway() -> t.Iterator[GatewayServer]:
    """A cluster whose list has a member, one that was added, and a learner."""
    with running() as server:
        listed = [
            {"ID": "255", "name": "m1", "peerURLs": ["https://10.0.0.1:2380"]},
            {"ID": "254", "peerURLs": ["https://10.0.0.2:2380"]},
            {"ID": "253", "name": "m3", "peerURLs": ["https://10.0.0.3:2380"], "isLearner": True},
        ]
        server.answers["/v3/cluster/member/list"] = (200, {"members": listed})
        yield server


def in_this_process(arguments: t.Mapping[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
    """The module's answer with what Ansible makes of the arguments; a unit that it starts is this process' child.

    A process with a server's thread is not forked.
    """
    given = {name: option.get("default") for name, option in etcd_member.ARGUMENT_SPEC.items()}
    given.update(arguments)
    ensure = {
        "present": etcd_member.ensure_present,
        "moved": etcd_member.ensure_moved,
        "absent": etcd_member.ensure_absent,
        "retired": etcd_member.ensure_retired,
    }
    return ensure[given["state"]](given, check_mode, NO_ACCESS)


def members_at(*urls: str) -> list[dict[str, str]]:
    return [{"name": f"m{number + 1}", "client_url": url} for number, url in enumerate(urls)]


@pytest.mark.parametrize(
    ("called", "removed"),
    [
        (["nobody"], []),
        (["m3", "fd", "https://10.0.0.3:2380"], [{"name": "m3", "member_id": "fd"}]),
        (["fe", "m3"], [{"name": "", "member_id": "fe"}, {"name": "m3", "member_id": "fd"}]),
    ],
)
def test_check_mode_tells_who_would_be_removed(
    gateway: GatewayServer, called: list[str], removed: list[dict[str, str]]
) -> None:
    arguments = {**ABSENT, "members": members_at(gateway.url), "remove": called}
    answer = in_this_process(arguments, check_mode=True)
    assert answer["changed"] is bool(removed) and answer["removed"] == removed
    assert answer["actions"] == (["remove"] if removed else [])
    before = {
        "m1": "m1 https://10.0.0.1:2380\n",
        "fe": "fe https://10.0.0.2:2380\n",
        "m3": "m3 https://10.0.0.3:2380 (learner)\n",
    }
    after = {name: line for name, line in before.items() if name not in called}
    diff = [
        {
            "before_header": "member list",
            "after_header": "member list",
            "before": "".join(sorted(before.values())),
            "after": "".join(sorted(after.values())),
        }
    ]
    assert answer["diff"] == (diff if removed else [])
    assert {path for path, _body in gateway.asked} == {"/v3/cluster/member/list"}


def test_check_mode_tells_what_a_move_brings_and_the_run_does_that(gateway: GatewayServer) -> None:
    old, new = "https://10.0.0.1:2380", MOVED["peer_url"]
    first = {"ID": "255", "name": "m1", "peerURLs": [old]}
    other = {"ID": "253", "name": "m3", "peerURLs": ["https://10.0.0.3:2380"], "isLearner": True}
    gateway.answers["/v3/cluster/member/list"] = (200, {"members": [first, other]})
    gateway.answers["/v3/lease/grant"] = (200, {"ID": "1"})
    gateway.answers["/v3/lease/keepalive"] = (200, {"result": {"TTL": "45"}})
    gateway.answers["/v3/lease/revoke"] = (200, {})

    def update(asked: Asked) -> tuple[int, t.Any]:
        first["peerURLs"] = asked.body["peerURLs"]
        return 200, {}

    gateway.handlers["/v3/cluster/member/update"] = update
    arguments = {**MOVED, "members": members_at(gateway.url)}
    learner = "m3 https://10.0.0.3:2380 (learner)\n"
    header = {"before_header": "member list", "after_header": "member list"}
    wanted = {
        "changed": True,
        "actions": ["update"],
        "diff": [{**header, "before": f"m1 {old}\n{learner}", "after": f"m1 {new}\n{learner}"}],
    }
    assert in_this_process(arguments, check_mode=True) == wanted
    assert {path for path, _body in gateway.asked} == {"/v3/cluster/member/list"} and first["peerURLs"] == [old]
    assert in_this_process(arguments) == wanted and first["peerURLs"] == [new]
    # Again, and in check mode.
    for check_mode in (False, True):
        assert in_this_process(arguments, check_mode) == {"changed": False, "actions": [], "diff": []}
    calls = [(path, body) for path, body in gateway.asked if path.endswith("/update")]
    assert calls == [("/v3/cluster/member/update", {"ID": "255", "peerURLs": [new]})]


# One that joins, with real etcd ---------------------------------------------------------------------------------------


class Starter:
    """What systemd does with a unit: a process of the program that its text names."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, unit: str) -> None:
        assert unit == self.path.name
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
        with open(self.path.with_suffix(".log"), "ab") as log:
            command = exec_command(self.path.read_text())
            self.processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
            )

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def unit_of(cluster: EtcdCluster, name: str, binary: str, directory: str) -> str:
    """The unit of a member as the role renders it, with what keeps it from starting without its data."""
    where = formed.MemberPlace(directory, name, cluster.data_dir(name))
    asserts = "".join(f"{key}={value}\n" for key, value in formed.wanted_asserts(where))
    condition = "=".join(formed.wanted_condition(where))
    flags = [
        f"--name={name}",
        f"--data-dir={where.data_dir}",
        f"--listen-client-urls={cluster.client_urls[name]}",
        f"--advertise-client-urls={cluster.client_urls[name]}",
        f"--listen-peer-urls={cluster.peer_urls[name]}",
        f"--initial-advertise-peer-urls={cluster.peer_urls[name]}",
        f"--initial-cluster={','.join(f'{member}={url}' for member, url in cluster.peer_urls.items())}",
        "--initial-cluster-state=new",
        "--client-cert-auth",
        "--peer-client-cert-auth",
    ]
    for kind, value in (("cert", f"{name}.crt"), ("key", f"{name}.key"), ("trusted-ca", "ca.crt")):
        flags += [f"--{kind}-file={directory}/{value}", f"--peer-{kind}-file={directory}/{value}"]
    command = " \\\n".join([f"ExecStart={binary}", *(f"  {quote_argument(flag)}" for flag in flags)])
    text = NOTIFY.replace("Description=etcd\n", f"Description=etcd\n{asserts}")
    text = text.replace("ExecStart=/usr/bin/etcd --name=etcd-1 --data-dir=@data@", f"{condition}\n{command}")
    return with_configuration_hash(text)


def credentials(cluster: EtcdCluster, folder: pathlib.Path, name: str) -> None:
    folder.mkdir()
    for source, target in ((cluster.ca_file, "ca.crt"), (cluster.cert_file, f"{name}.crt")):
        shutil.copy(source, folder / target)
    shutil.copy(cluster.key_file, folder / f"{name}.key")


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_it_joins_and_leaves_and_its_host_is_cleared(
    binary: str, host: Host, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_root()
    cluster = EtcdCluster(binary, tmp_path, size=2)
    pki, unit = tmp_path / "pki", tmp_path / "etcd.service"
    credentials(cluster, pki, "m2")
    starter = Starter(unit)
    monkeypatch.setattr(manager, "restart_no_block", starter.start)
    asks_with = {
        "client_ca_file": cluster.ca_file,
        "client_cert_file": cluster.cert_file,
        "client_key_file": cluster.key_file,
    }
    members = members_at(*cluster.client_urls.values())
    first, second = (f"{name} {url}\n" for name, url in cluster.peer_urls.items())
    joins = {
        **asks_with,
        "name": "m2",
        "members": members,
        "peer_url": cluster.peer_urls["m2"],
        "directory": str(pki),
        "unit_content": unit_of(cluster, "m2", binary, str(pki)),
        "unit_directory": str(tmp_path),
        "data_dir": cluster.data_dir("m2"),
        "owner": str(os.geteuid()),
        "group": str(os.getegid()),
        "wait_seconds": 60,
        "timeout_seconds": 60,
    }
    header = {"before_header": "member list", "after_header": "member list"}
    joined = {
        "changed": True,
        "actions": ["add", "start", "promote"],
        "diff": [{**header, "before": first, "after": first + second}],
    }
    cluster.start("m1", members={"m1": cluster.peer_urls["m1"]})
    try:
        url, client = cluster.client_urls["m1"], api.client_of(*asks_with.values())
        wait_until_it_answers(client, url)
        # Check mode asks, and changes nothing.
        assert run_module("etcd_member", joins, check_mode=True)["diff"] == joined["diff"]
        assert not unit.exists() and [one.name for one in client.member_list(url)] == ["m1"]

        # A pair of another CA: m1 would never link with it, and is not asked to count its vote.
        stranger = issue("m2")
        (pki / "m2.crt").write_text(stranger.pem)
        (pki / "m2.key").write_text(stranger.key_pem)
        answer = run_module("etcd_member", {**joins, "wait_seconds": 0})
        assert answer["problem"] == "refused" and [reason["code"] for reason in answer["details"]["reasons"]] == [
            "not_accepted"
        ]
        assert answer["msg"].startswith("m2 does not join: m1 does not take m2 for a peer: TLS alert: ")
        assert answer["msg"].endswith(" (waited 0 seconds): mend that first, then run again")
        assert not unit.exists() and [one.name for one in client.member_list(url)] == ["m1"]
        shutil.rmtree(pki)
        credentials(cluster, pki, "m2")

        assert in_this_process(joins) == joined
        assert [(one.name, one.is_learner) for one in client.member_list(url)] == [("m1", False), ("m2", False)]
        deployed = deployed_from_text(unit.read_text())
        assert deployed is not None and deployed["initial_cluster"] == cluster.peer_urls
        assert deployed["flags"]["initial-cluster-state"] == "existing"
        assert host.calls == ["verify etcd.service", "daemon_reload", "enable etcd.service"]
        # Again, as a host where it runs.
        host.runs(configuration_hash_of(unit.read_text()), cluster.data_dir("m2"))
        for check_mode in (True, False):
            answer = run_module("etcd_member", joins, check_mode=check_mode)
            assert not answer["changed"] and answer["actions"] == answer["diff"] == []
        assert len(starter.processes) == 1

        # Its host is not cleared while the cluster counts its vote.
        retires = {
            **asks_with,
            **{name: joins[name] for name in ("name", "members", "directory", "unit_directory")},
            "state": "retired",
        }
        (pki / "m2.formed").write_text("")
        number = next(one.member_id for one in client.member_list(url) if one.name == "m2")
        answer = run_module("etcd_member", retires)
        assert answer["msg"] == (
            f"m2 is a member of the cluster still ({number}), and is not stopped: remove it first "
            "(etcd_peer_tls_removed)"
        )
        leaves = {**asks_with, "state": "absent", "name": "m1", "members": members[:1], "remove": ["m2"]}
        gone = {
            "actions": ["remove"],
            "removed": [{"name": "m2", "member_id": number}],
            "diff": [{**header, "before": first + second, "after": first}],
        }
        for check_mode, wanted in ((True, gone), (False, gone), (False, {"actions": [], "removed": [], "diff": []})):
            answer = run_module("etcd_member", leaves, check_mode=check_mode)
            assert {name: answer[name] for name in wanted} == wanted and answer["changed"] is bool(wanted["removed"])
        assert [one.name for one in client.member_list(url)] == ["m1"]

        # etcd ends by itself, systemd starts it again and again.
        assert starter.processes[0].wait(60) is not None
        folder = f"{cluster.data_dir('m2')}/member"
        for check_mode in (True, False):
            assert os.path.isdir(folder) and (pki / "m2.formed").exists()
            answer = run_module("etcd_member", retires, check_mode=check_mode)
            assert answer["changed"] and answer["actions"] == ["stop", "disable", "move_data", "remove_marker"]
            assert [part["after"] for part in answer["diff"]] == [
                "etcd.service is off\n",
                f"{folder}.removed-{number}\n",
            ]
        assert answer["data"] == [f"{folder}.removed-{number}"] and os.listdir(cluster.data_dir("m2")) == [
            f"member.removed-{number}"
        ]
        assert not (pki / "m2.formed").exists()
        host.properties.update(ActiveState="inactive", UnitFileState="disabled", MainPID="0")
        assert run_module("etcd_member", retires)["changed"] is False
    finally:
        cluster.stop()
        starter.stop()


def wait_until_it_answers(client: api.Client, url: str) -> None:
    deadline = time.monotonic() + 30
    while not client.health(url).healthy:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_was_never_started_has_no_data_to_move(host: Host, gateway: GatewayServer, tmp_path: pathlib.Path) -> None:
    need_root()
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "m9.formed").write_text("")
    text = NOTIFY.replace("--name=etcd-1", "--name=m9").replace("@data@", str(tmp_path / "data"))
    (tmp_path / "etcd.service").write_text(with_configuration_hash(text))
    arguments = {
        "state": "retired",
        "name": "m9",
        "members": members_at(gateway.url),
        "directory": str(tmp_path / "pki"),
        "unit_directory": str(tmp_path),
    }
    assert in_this_process(arguments) == {"changed": True, "actions": ["remove_marker"], "diff": [], "data": []}
    # Data of a member that nobody lists goes aside under its own number; nothing else is due.
    form(tmp_path)
    answer = in_this_process(arguments)
    assert answer["actions"] == ["move_data"] and answer["data"] == [f"{tmp_path}/data/member.removed-{IDS[0]}"]
    assert [part["before_header"] for part in answer["diff"]] == ["data"]
    # Another member's unit is none of its business.
    assert in_this_process({**arguments, "name": "m8"}) == {"changed": False, "actions": []}


def test_nobody_is_removed_where_the_list_is_not_known(host: Host, gateway: GatewayServer) -> None:
    gateway.answers.clear()
    for check_mode in (True, False):
        with pytest.raises(RefusedError, match="is --enable-grpc-gateway=false set there"):
            in_this_process({**ABSENT, "members": members_at(gateway.url)}, check_mode)
    with pytest.raises(RefusedError, match="connection refused"):
        in_this_process({**PRESENT, "members": members_at("http://127.0.0.1:1", gateway.url)})
    assert not host.calls


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (PRESENT, "m2 does not join: no member tells"),
        (MOVED, "m1 does not move to https://10.0.0.9:2380: no member tells"),
        (ABSENT, "m3 is not removed: no member tells"),
        (
            RETIRED,
            "m2 is not stopped and disabled, and its data stays, since this host can't see that it was removed: ",
        ),
    ],
)
def test_a_host_that_is_cut_off_from_the_members_is_told_what_it_does_not_do(
    host: Host, tmp_path: pathlib.Path, arguments: dict[str, t.Any], what: str
) -> None:
    text = NOTIFY.replace("--name=etcd-1", "--name=m2").replace("@data@", str(tmp_path / "data"))
    (tmp_path / "etcd.service").write_text(with_configuration_hash(text))
    form(tmp_path)
    closed = {"members": members_at(*["http://127.0.0.1:1"] * 2), "unit_directory": str(tmp_path)}
    with pytest.raises(RefusedError) as caught:
        in_this_process({**arguments, **closed})
    told = str(caught.value)
    assert told.startswith(what) and told.endswith("connection refused: mend that first, then run again")
    assert caught.value.details["url"] == "http://127.0.0.1:1" and not host.calls
