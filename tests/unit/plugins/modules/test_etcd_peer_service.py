# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._unit import seal_unit
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_service
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

PRESENT = {"content": "[Service]\n", "data_dir": "/var/lib/etcd"}
ENDPOINTS = [{"name": "etcd-1", "client_url": "https://10.0.0.1:2379", "peer_url": "not looked at"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "state is present but all of the following are missing: content, data_dir"),
        ({"state": "written"}, "state is written but all of the following are missing: content, data_dir"),
        ({**PRESENT, "state": "written"}, "carries no seal"),
        ({"state": "healthy"}, "state is healthy but all of the following are missing: endpoints, member_name"),
        ({"state": "restarted", "member_name": "a"}, "missing: endpoints"),
        ({**PRESENT, "cert_file": "/x"}, "key_file"),
        ({**PRESENT, "cert_file": "/x", "key_file": "/y"}, "ca_file"),
        ({**PRESENT, "unit": "etcd"}, "unit: 'etcd' must be the name of a service"),
        ({**PRESENT, "unit": "../etcd.service"}, "must be the name of a service"),
        ({**PRESENT, "data_dir": "etcd"}, "data_dir: 'etcd' must be an absolute path"),
        ({**PRESENT, "timeout_seconds": 0}, "timeout_seconds: 0 must be between 1 and 86400"),
        ({**PRESENT, "wait_seconds": -1}, "wait_seconds: -1 must be between 0 and 86400"),
    ],
)
def test_bad_input_has_one_line(arguments: dict[str, t.Any], message: str) -> None:
    answer = run_module("etcd_peer_service", arguments)
    assert answer["failed"] and message in answer["msg"]
    assert "\n" not in answer["msg"]


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd runs here")
@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    "arguments", [PRESENT, {"state": "restarted", "member_name": "etcd-1", "endpoints": ENDPOINTS}]
)
def test_without_systemd(arguments: dict[str, t.Any], check_mode: bool) -> None:
    answer = run_module("etcd_peer_service", arguments, check_mode=check_mode)
    assert answer["problem"] == "service"
    assert answer["msg"].startswith("systemd does not run this host")


def test_written_check_run_check_run(tmp_path: pathlib.Path) -> None:
    data_dir = str(tmp_path / "data")
    unit = (
        "[Unit]\nDescription=etcd\n[Service]\nType=notify\nEnvironment=RINGFENCE_SEAL=\n"
        f"ExecStart={tmp_path}/no-etcd --name=etcd-1 --data-dir={data_dir}\n[Install]\nWantedBy=multi-user.target\n"
    )
    arguments = {
        "state": "written",
        "content": seal_unit(unit),
        "data_dir": data_dir,
        "owner": str(os.geteuid()),
        "group": str(os.getegid()),
        "unit_directory": str(tmp_path),
        "member_name": "etcd-1",
    }
    answers = [run_module("etcd_peer_service", arguments, check_mode=check) for check in (True, False, True, False)]
    assert [answer["changed"] for answer in answers] == [True, True, False, False]
    assert answers[0] == answers[1] and answers[2] == answers[3]
    assert answers[0]["actions"] == ["make_data_directory", "write_unit"] and not answers[0]["started"]
    assert "running" not in answers[0] and "restart_due" not in answers[0]
    assert (tmp_path / "etcd.service").read_text() == arguments["content"]


@pytest.mark.parametrize(
    ("endpoints", "message"),
    [
        ([], "this host's member etcd-1 is not among them"),
        ([{"name": "etcd-2", "client_url": "https://10.0.0.2:2379"}], "not among etcd-2"),
        (ENDPOINTS * 2, "etcd-1 is there twice"),
        ([{"name": "etcd-1"}], "needs both"),
        ([{"name": 1, "client_url": "https://10.0.0.2:2379"}], "needs both"),
        ([{"name": "etcd-1", "client_url": "10.0.0.1:2379"}], "must look like https://<address>:<port>"),
    ],
)
def test_endpoints(endpoints: list[dict[str, t.Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        etcd_peer_service.cluster_of({"member_name": "etcd-1", "endpoints": endpoints})


def test_members_may_carry_more() -> None:
    cluster = etcd_peer_service.cluster_of({"member_name": "etcd-1", "endpoints": ENDPOINTS})
    assert cluster.client_urls == {"etcd-1": "https://10.0.0.1:2379"}
    assert cluster.others == []
