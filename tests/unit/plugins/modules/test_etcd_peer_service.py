# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import restart
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_service
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.gateway_server import GatewayServer, running
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    Host,
    need_root,
    process,
    wanted_unit,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

PRESENT = {"unit_content": "[Service]\n", "data_dir": "/var/lib/etcd"}
ENDPOINTS = [{"name": "etcd-1", "client_url": "https://10.0.0.1:2379", "peer_url": "not looked at"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "state is present but all of the following are missing: unit_content, data_dir"),
        ({"state": "written"}, "state is written but all of the following are missing: unit_content, data_dir"),
        ({**PRESENT, "state": "written"}, "carries no configuration hash"),
        ({"state": "healthy"}, "state is healthy but all of the following are missing: members, name"),
        ({"state": "restarted", "name": "a"}, "missing: members"),
        ({**PRESENT, "client_cert_file": "/x"}, "client_key_file"),
        ({**PRESENT, "client_cert_file": "/x", "client_key_file": "/y"}, "client_ca_file"),
        ({**PRESENT, "unit": "etcd"}, "unit: 'etcd' is no service's name"),
        ({**PRESENT, "unit": "../etcd.service"}, "is no service's name"),
        ({**PRESENT, "data_dir": "etcd"}, "data_dir: etcd is not an absolute path"),
        ({**PRESENT, "timeout_seconds": 0}, "timeout_seconds is 0: give 1 to 86400"),
        ({**PRESENT, "wait_seconds": -1}, "wait_seconds is -1: give 0 to 86400"),
    ],
)
def test_bad_input_has_one_line(arguments: dict[str, t.Any], message: str) -> None:
    answer = run_module("etcd_peer_service", arguments)
    assert answer["failed"] and message in answer["msg"]
    assert "\n" not in answer["msg"]


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd runs here")
@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize("arguments", [PRESENT, {"state": "restarted", "name": "etcd-1", "members": ENDPOINTS}])
def test_without_systemd(arguments: dict[str, t.Any], check_mode: bool) -> None:
    answer = run_module("etcd_peer_service", arguments, check_mode=check_mode)
    assert answer["problem"] == "service"
    assert answer["msg"].startswith("systemd does not run this host")


def test_written_check_run_check_run(tmp_path: pathlib.Path) -> None:
    data_dir = str(tmp_path / "data")
    unit = (
        "[Unit]\nDescription=etcd\n[Service]\nType=notify\nEnvironment=RINGFENCE_CONFIGURATION_HASH=\n"
        f"ExecStart={tmp_path}/no-etcd --name=etcd-1 --data-dir={data_dir}\n[Install]\nWantedBy=multi-user.target\n"
    )
    arguments = {
        "state": "written",
        "unit_content": with_configuration_hash(unit),
        "data_dir": data_dir,
        "owner": str(os.geteuid()),
        "group": str(os.getegid()),
        "unit_directory": str(tmp_path),
        "name": "etcd-1",
    }
    answers = [run_module("etcd_peer_service", arguments, check_mode=check) for check in (True, False, True, False)]
    assert [answer["changed"] for answer in answers] == [True, True, False, False]
    assert answers[0] == answers[1] and answers[2] == answers[3]
    assert answers[0]["actions"] == ["make_data_directory", "write_unit"] and not answers[0]["started"]
    assert "running" not in answers[0] and "restart_pending" not in answers[0]
    assert (tmp_path / "etcd.service").read_text() == arguments["unit_content"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([], "this host's member etcd-1 is not among them"),
        ([{"name": "etcd-2", "client_url": "https://10.0.0.2:2379"}], "not among etcd-2"),
        (ENDPOINTS * 2, "etcd-1 is there twice"),
        ([{"name": "etcd-1"}], "needs both"),
        ([{"name": 1, "client_url": "https://10.0.0.2:2379"}], "needs both"),
        ([{"name": "etcd-1", "client_url": "10.0.0.1:2379"}], "must look like https://<address>:<port>"),
    ],
)
def test_members(members: list[dict[str, t.Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        restart.cluster_from("etcd-1", members)


def test_members_may_carry_more() -> None:
    cluster = restart.cluster_from("etcd-1", ENDPOINTS)
    assert cluster.client_urls == {"etcd-1": "https://10.0.0.1:2379"}
    assert cluster.others == []


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


@pytest.fixture
def args(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """Arguments for a unit in a folder of the test's."""
    wanted = wanted_unit(tmp_path)
    return {
        "unit_content": wanted.text,
        "name": "etcd-1",
        "data_dir": wanted.data_dir,
        "owner": wanted.owner,
        "group": wanted.group,
        "unit_directory": wanted.unit_directory,
    }


def test_present_check_run_check_run(host: Host, args: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    need_root()
    actions = ["make_data_directory", "write_unit", "daemon_reload", "enable", "start"]
    for check_mode in (True, False):
        assert sorted(os.listdir(tmp_path)) == []
        answer = run_module("etcd_peer_service", args, check_mode=check_mode)
        assert answer["changed"] and answer["actions"] == actions and answer["started"] and answer["running"]
        assert [part["after_header"] for part in answer["diff"]] == [args["data_dir"], f"{tmp_path}/etcd.service"]
    assert sorted(os.listdir(tmp_path)) == ["data", "etcd.service"]
    host.runs(configuration_hash_of(args["unit_content"]), args["data_dir"])
    for check_mode in (True, False):
        answer = run_module("etcd_peer_service", args, check_mode=check_mode)
        assert not answer["changed"] and not answer["started"] and answer["running"]
        assert answer["actions"] == answer["restart_pending"] == answer["diff"] == []


def test_present_warns_of_a_user_that_the_play_makes(host: Host, args: dict[str, t.Any]) -> None:
    answer = run_module("etcd_peer_service", {**args, "owner": "ringfence-no-such-user"}, check_mode=True)
    assert answer["changed"] and "ringfence-no-such-user does not exist" in str(answer["warnings"])


@pytest.mark.parametrize(("state", "changed"), [("restarted", True), ("healthy", False)])
def test_check_mode_asks_nobody(state: str, changed: bool, host: Host, args: dict[str, t.Any]) -> None:
    need_root()
    run_module("etcd_peer_service", args)
    host.runs("0" * 64, args["data_dir"])
    answer = run_module("etcd_peer_service", {**args, "state": state, "members": ENDPOINTS}, check_mode=True)
    assert answer["changed"] is changed and answer["running"] and "members" not in answer
    assert answer["actions"] == (["restart"] if changed else [])
    assert [reason["code"] for reason in answer["restart_pending"]] == ["unit_changed"]


@pytest.fixture
def gateway() -> t.Iterator[GatewayServer]:
    """A cluster of one member, as its client URL tells it."""
    with running() as server:
        server.answers.update(
            {
                "/health": (200, {"health": "true"}),
                "/metrics": (200, ""),
                "/v3/cluster/member/list": (200, {"members": [{"ID": "255", "name": "etcd-1"}]}),
            }
        )
        yield server


def params(args: dict[str, t.Any], gateway: GatewayServer, **changes: t.Any) -> dict[str, t.Any]:
    """What Ansible makes of the arguments."""
    defaults = {name: option.get("default") for name, option in etcd_peer_service.ARGUMENT_SPEC.items()}
    given = {"members": [{"name": "etcd-1", "client_url": gateway.url}], "timeout_seconds": 5, "wait_seconds": 0}
    return {**defaults, **args, **given, **changes}


def test_healthy_tells_the_members(host: Host, args: dict[str, t.Any], gateway: GatewayServer) -> None:
    host.runs(None, args["data_dir"])
    assert etcd_peer_service.wait_healthy(params(args, gateway), check_mode=False) == {
        "changed": False,
        "actions": [],
        "diff": [],
        "started": False,
        "leader": None,
        "members": [{"name": "etcd-1", "member_id": "ff", "is_learner": False}],
        "running": True,
        "restart_pending": [],
    }
    gateway.answers["/v3/maintenance/status"] = (200, {"leader": "255", "version": "3.5.35"})
    assert etcd_peer_service.wait_healthy(params(args, gateway), check_mode=False)["leader"] == "etcd-1"


@pytest.mark.parametrize("force", [False, True])
def test_restarted_if_due_and_once(
    force: bool, host: Host, args: dict[str, t.Any], gateway: GatewayServer, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "etcd.service").write_text(args["unit_content"])
    configuration_hash = configuration_hash_of(args["unit_content"])
    host.runs("0" * 64, args["data_dir"])
    host.restarts_to = process(configuration_hash, args["data_dir"], pid=2)
    answers = [
        etcd_peer_service.ensure_restarted(
            params(args, gateway, force_restart=force, trust_bundle_changed=changed), False
        )
        for changed in (True, False)
    ]
    assert host.calls == ["restart_no_block etcd.service"]
    assert [answer["changed"] for answer in answers] == [True, False]
    assert [reason["code"] for reason in answers[0]["restart_pending"]] == ["unit_changed", "trust_bundle_changed"]
    assert answers[0]["actions"] == ["restart"] and answers[0]["running"]
    assert answers[1] == {"changed": False, "actions": [], "started": False, "running": True, "restart_pending": []}


def test_a_trust_bundle_that_another_run_has_restarted_for(
    host: Host, args: dict[str, t.Any], gateway: GatewayServer, tmp_path: pathlib.Path
) -> None:
    """What the caller says of the trust bundle is over with the process that ran when the caller said it."""
    (tmp_path / "etcd.service").write_text(args["unit_content"])
    configuration_hash = configuration_hash_of(args["unit_content"])
    host.runs(configuration_hash, args["data_dir"])
    listed = gateway.answers["/v3/cluster/member/list"][1]

    def meanwhile() -> t.Any:
        host.runs(configuration_hash, args["data_dir"], pid=2)
        return listed

    gateway.answers["/v3/cluster/member/list"] = (200, meanwhile)
    answer = etcd_peer_service.ensure_restarted(params(args, gateway, trust_bundle_changed=True), check_mode=False)
    assert not answer["changed"] and host.calls == []
