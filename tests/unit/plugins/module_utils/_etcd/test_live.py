# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a member tells at its client URL, and by what it is asked: real requests to a server that answers as etcd."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_arguments
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.live import (
    NOT_ASKED,
    Entrance,
    entrance_of,
    live_facts,
    running_version,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.info import process_version
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import peer_port as ports
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.gateway_server import GatewayServer, running

LIST, STATUS = "/v3/cluster/member/list", "/v3/maintenance/status"
MEMBERS = {
    "members": [
        {
            "ID": "10276657743932975437",
            "name": "etcd-1",
            "peerURLs": ["https://10.0.0.1:2380"],
            "clientURLs": ["https://10.0.0.1:2379"],
        },
        {"ID": "1", "peerURLs": ["https://10.0.0.2:2380"], "isLearner": True},
    ]
}
# As etcd 3.5.16 says it.
RBAC = "CommonName of client sending a request against gateway will be ignored and not used as expected\n"
NO_SPACE = {"version": "3.5.16", "errors": ["memberID:10276657743932975437 alarm:NOSPACE "]}


@pytest.fixture
def gateway() -> t.Iterator[GatewayServer]:
    with running() as server:
        server.answers[LIST] = (200, MEMBERS)
        server.answers[STATUS] = (200, {"version": "3.5.16"})
        yield server


def test_the_list_and_that_there_is_no_alarm(gateway: GatewayServer) -> None:
    found = live_facts(Entrance(gateway.url))
    assert found.keys() == NOT_ASKED.keys()
    assert found["live_members_problem"] is None and found["live_obstacle"] is None and found["live_alarms"] == []
    assert sorted(found["live_members"], key=lambda member: str(member["member_id"])) == [
        {
            "member_id": "1",
            "name": "",
            "peer_urls": ["https://10.0.0.2:2380"],
            "client_urls": [],
            "is_learner": True,
        },
        {
            "member_id": "8e9e05c52164694d",
            "name": "etcd-1",
            "peer_urls": ["https://10.0.0.1:2380"],
            "client_urls": ["https://10.0.0.1:2379"],
            "is_learner": False,
        },
    ]


def test_an_alarm_is_told_with_its_member(gateway: GatewayServer) -> None:
    gateway.answers[STATUS] = (200, NO_SPACE)
    alarms = live_facts(Entrance(gateway.url))["live_alarms"]
    assert alarms == [{"member_id": "8e9e05c52164694d", "alarm": "NOSPACE"}]


def test_a_list_without_a_status_is_a_list(gateway: GatewayServer) -> None:
    del gateway.answers[STATUS]
    found = live_facts(Entrance(gateway.url))
    assert len(found["live_members"]) == 2 and found["live_alarms"] is None and found["live_members_problem"] is None


@pytest.mark.parametrize(
    ("answer", "obstacle", "words"),
    [
        ((400, RBAC), "auth", "HTTP 400: CommonName of client sending a request"),
        ((400, {"error": "etcdserver: user name is empty", "code": 3}), "auth", "user name is empty"),
        ((404, "404 page not found\n"), "gateway", "--enable-grpc-gateway=false"),
        ((503, {"error": "etcdserver: no leader", "code": 14}), None, "no leader"),
    ],
)
def test_what_stays_until_somebody_does_something(
    gateway: GatewayServer, answer: tuple[int, t.Any], obstacle: str | None, words: str
) -> None:
    gateway.answers[LIST] = answer
    found = live_facts(Entrance(gateway.url))
    assert (found["live_members"], found["live_alarms"], found["live_obstacle"]) == (None, None, obstacle)
    assert words in found["live_members_problem"] and "\n" not in found["live_members_problem"]


@pytest.mark.parametrize(
    ("entrance", "words"),
    [
        (Entrance(), "no client URL was given"),
        (Entrance(f"http://127.0.0.1:{ports.CLOSED_PORT}"), "connection refused"),
        (Entrance("x"), "client URL"),
        (Entrance("https://127.0.0.1:2379", "/none/ca.crt"), "/none/ca.crt"),
    ],
)
def test_why_nothing_is_known(entrance: Entrance, words: str) -> None:
    found = live_facts(entrance)
    assert found["live_members"] is None and found["live_obstacle"] is None
    assert words in found["live_members_problem"] and "\n" not in found["live_members_problem"]
    assert running_version(entrance) is None


def test_the_version_that_runs(gateway: GatewayServer) -> None:
    gateway.answers["/version"] = (200, {"etcdserver": "3.5.16", "etcdcluster": "3.5.0"})
    assert running_version(Entrance(gateway.url)) == "3.5.16"
    for answer in ((200, "garbage"), (200, {"etcdserver": 3}), (200, []), (404, "")):
        gateway.answers["/version"] = answer
        assert running_version(Entrance(gateway.url)) is None


METRICS = """# HELP etcd_network_active_peers The current number of active peer connections.
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="cc"} 1
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="bb"} 2
etcd_network_active_peers{Local="8e9e05c52164694d",Remote="dd"} 0
"""
WELL: dict[str, t.Any] = {
    "live_healthy": True,
    "live_health_problem": None,
    "live_active_peers": ["bb", "cc"],
    "live_cluster_version": "3.5.0",
}


def well(gateway: GatewayServer) -> None:
    gateway.answers["/version"] = (200, {"etcdserver": "3.5.16", "etcdcluster": "3.5.0"})
    gateway.answers["/metrics"] = (200, METRICS)
    gateway.answers["/health"] = (200, {"health": "true"})


def of_well_being(found: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: found[name] for name in WELL}


def test_how_a_member_is_and_whom_it_is_connected_with(gateway: GatewayServer) -> None:
    well(gateway)
    header = {"member_id": "10276657743932975437", "cluster_id": "14841639068965178418"}
    gateway.answers[STATUS] = (200, {"version": "3.5.16", "leader": "10276657743932975437", "header": header})
    found = live_facts(Entrance(gateway.url))
    assert of_well_being(found) == WELL
    assert found["live_member_id"] == found["live_leader_id"] == "8e9e05c52164694d"
    assert found["live_cluster_id"] == "cdf818194e3a8c32"


@pytest.mark.parametrize(
    ("path", "answer", "changes"),
    [
        ("/health", (503, {"health": "false", "reason": "RAFT NO LEADER"}), {"live_healthy": False}),
        ("/health", (200, "garbage"), {"live_healthy": False}),
        ("/metrics", (404, ""), {"live_healthy": False, "live_active_peers": None}),
        ("/metrics", (200, "rubbish"), {"live_active_peers": []}),
        ("/version", (200, {"etcdserver": "3.5.16", "etcdcluster": "not_decided"}), None),
        ("/version", (200, {"etcdserver": "3.5.16"}), {"live_cluster_version": None}),
        ("/version", (200, {"etcdserver": "3.5.16", "etcdcluster": 3}), {"live_cluster_version": None}),
        ("/version", (404, ""), {"live_healthy": False, "live_active_peers": None, "live_cluster_version": None}),
    ],
)
def test_what_is_not_answered_is_not_well(
    gateway: GatewayServer, path: str, answer: tuple[int, t.Any], changes: dict[str, t.Any] | None
) -> None:
    well(gateway)
    gateway.answers[path] = answer
    found = of_well_being(live_facts(Entrance(gateway.url)))
    problem = found.pop("live_health_problem")
    changes = {"live_cluster_version": "not_decided"} if changes is None else changes
    assert found == {**{name: WELL[name] for name in found}, **changes}
    assert (problem is None) is found["live_healthy"] and "\n" not in (problem or "")


LEADERLESS = (503, {"health": "false", "reason": "RAFT NO LEADER"})


@pytest.mark.parametrize(("path", "first"), [("/health", LEADERLESS), ("/metrics", (200, METRICS))])
def test_who_was_just_started_is_asked_again(gateway: GatewayServer, path: str, first: tuple[int, t.Any]) -> None:
    """Without a leader yet, or without the link to one that was restarted."""
    other = {"ID": str(0xDD), "name": "etcd-2", "clientURLs": ["https://10.0.0.2:2379"], "peerURLs": []}
    gateway.answers[LIST] = (200, {"members": [MEMBERS["members"][0], other]})
    header = {"member_id": "10276657743932975437", "cluster_id": "14841639068965178418"}
    gateway.answers[STATUS] = (200, {"version": "3.5.16", "header": header})
    well(gateway)
    later = {"/health": gateway.answers["/health"], "/metrics": (200, METRICS.replace('"dd"} 0', '"dd"} 2'))}
    gateway.answers["/metrics"] = later["/metrics"]
    answers = iter([first, first])
    gateway.handlers[path] = lambda _asked: next(answers, later[path])
    unsettled = live_facts(Entrance(gateway.url))
    assert (unsettled["live_healthy"], "dd" in unsettled["live_active_peers"]) in ((False, True), (True, False))
    found = live_facts(Entrance(gateway.url), settle_seconds=60)
    assert found["live_healthy"] is True and "dd" in found["live_active_peers"]
    assert [one for one, _body in gateway.asked].count(path) == 3


def test_one_that_does_not_become_well_is_told(gateway: GatewayServer) -> None:
    found = live_facts(Entrance(gateway.url), settle_seconds=0.4)
    assert found["live_healthy"] is False
    assert [one for one, _body in gateway.asked].count(LIST) > 1


def test_rbac_does_not_keep_back_how_a_member_is(gateway: GatewayServer) -> None:
    well(gateway)
    gateway.answers[LIST] = gateway.answers[STATUS] = (400, RBAC)
    found = live_facts(Entrance(gateway.url))
    assert of_well_being(found) == WELL and found["live_member_id"] is None and found["live_obstacle"] == "auth"


def test_a_role_that_the_user_lacks(gateway: GatewayServer) -> None:
    """And a member that does not tell it is asked for the rest all the same."""
    well(gateway)
    user = Entrance(gateway.url, access=ApiAccess("ringfence", "secret"))
    gateway.answers["/v3/auth/authenticate"] = (200, {"token": "t"})
    for roles, lacking in (
        ((200, {"roles": ["root"]}), None),
        ((200, {}), "root"),
        ((503, {"error": "timed out"}), None),
    ):
        gateway.answers["/v3/auth/user/get"] = roles
        found = live_facts(user)
        assert (found["live_lacking_role"], found["live_obstacle"]) == (lacking, None)
        assert found["live_members"] and found["live_alarms"] == []


GIVEN = Entrance("https://10.0.0.1:2479", "/new/ca.crt", "/new/own.crt", "/new/own.key")
FILES = ("--trusted-ca-file=/old/ca.crt", "--cert-file=/old/own.crt", "--key-file=/old/own.key")


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (("--advertise-client-urls=http://10.0.0.1:2379", *FILES), Entrance("http://10.0.0.1:2379")),
        (
            ("--advertise-client-urls=https://10.0.0.1:2379,http://127.0.0.1:1", *FILES),
            Entrance("https://10.0.0.1:2379", "/old/ca.crt", "/old/own.crt", "/old/own.key"),
        ),
        (
            ("--advertise-client-urls=https://10.0.0.1:2379",),
            Entrance("https://10.0.0.1:2379", "/new/ca.crt", "/new/own.crt", "/new/own.key"),
        ),
        (FILES, GIVEN),
    ],
)
def test_it_is_asked_by_what_its_process_was_started_with(flags: tuple[str, ...], wanted: Entrance) -> None:
    assert entrance_of(deployed_from_arguments(["/usr/bin/etcd", *flags]), GIVEN) == wanted
    assert entrance_of(None, GIVEN) == GIVEN


def test_a_program_that_was_exchanged_is_not_the_version_that_runs(
    gateway: GatewayServer, tmp_path: pathlib.Path
) -> None:
    """The process is asked, and what it was started from is not run: that may be anybody's who has the etcd user."""
    gateway.answers["/version"] = (200, {"etcdserver": "3.5.16"})
    program, ran = tmp_path / "etcd", tmp_path / "ran"
    shutil.copy("/bin/sleep", program)
    etcd = {"binary": str(program), "version": "3.6.16"}
    with subprocess.Popen([str(program), "60"]) as started:
        try:
            while os.path.realpath(f"/proc/{started.pid}/exe") != str(program):
                pass
            settings = deployed_from_arguments(["/usr/bin/etcd", f"--advertise-client-urls={gateway.url}"])
            process = {"pid": started.pid, "settings": settings}
            assert process_version(process, etcd) == "3.6.16" and gateway.asked == []
            program.rename(tmp_path / "old")
            program.write_text(f"#!/bin/sh\ntouch {ran}\n")
            program.chmod(0o755)
            assert process_version(process, etcd) == "3.5.16"
            gateway.answers.clear()
            assert process_version(process, etcd) is None
        finally:
            started.kill()
    assert process_version({"pid": None, "settings": None}, etcd) is None and not ran.exists()
