# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is gone keeps the others from a unit and from a restart; who was left out does not."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_cluster_gate as action
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action

MEMBERS = [{"name": f"member-{number}", "host": f"etcd-{number}"} for number in (1, 2, 3)]
ALL = ["etcd-1", "etcd-2", "etcd-3"]
CHECKED = ["member-1", "member-2"]


def passed(before: str, batch: list[str], play: list[str], **given: t.Any) -> dict[str, t.Any]:
    task_vars = {"ansible_play_batch": batch, "ansible_play_hosts_all": play, "inventory_hostname": "etcd-1"}
    return run_action(action.ActionModule, {"before": before, "members": MEMBERS, **given}, task_vars)


@pytest.mark.parametrize(
    ("before", "batch", "play", "gone"),
    [
        ("pass", ALL, ALL, []),
        ("pass", ["etcd-1"], ALL, ["etcd-2"]),
        ("unit", ALL, ALL, []),
        ("unit", ["etcd-1"], ALL, ["etcd-2"]),
        # Who was not there when the cluster was checked was judged without.
        ("unit", ["etcd-1", "etcd-2"], ALL, []),
        ("restart", ALL, ALL, []),
        ("restart", ["etcd-1", "etcd-2"], ALL, ["etcd-3"]),
        # Left out with --limit, and a host of another cluster.
        ("restart", ["etcd-1", "etcd-2"], ["etcd-1", "etcd-2", "green-1"], []),
        ("restart", ["etcd-1"], ALL, ["etcd-2", "etcd-3"]),
        ("upgrade", ALL, ALL, []),
        ("upgrade", ["etcd-1", "etcd-2"], ALL, ["etcd-3"]),
    ],
)
def test_who_is_gone(before: str, batch: list[str], play: list[str], gone: list[str]) -> None:
    result = passed(before, batch, play, checked=CHECKED)
    if not gone:
        assert result == {"changed": False}
        return
    assert result["failed"] is True and result["problem"] == "refused" and result["details"] == {"gone": gone}
    assert ", ".join(gone) in result["msg"] and "\n" not in result["msg"]
    # What has begun on all is not ended on some.
    assert ("--limit" in result["msg"]) == (before not in ("upgrade", "pass"))
    words = {
        "pass": "etcd-1 waits: mend that host and run again",
        "unit": "no unit is written",
        "restart": "A restart is due on etcd-1",
        "upgrade": "etcd-1 is not upgraded",
    }
    assert words[before] in result["msg"]


def restored(plans: dict[str, t.Any], host: str = "etcd-1", **given: t.Any) -> dict[str, t.Any]:
    hostvars = mock.Mock()
    hostvars.raw_get = lambda name: {"plan": plans.get(name)}
    task_vars = {"ansible_play_batch": ALL, "ansible_play_hosts_all": ALL, "inventory_hostname": host}
    task_vars["hostvars"] = hostvars
    arguments = {"before": "restore", "members": MEMBERS, "plans_variable": "plan", "cluster_name": "blue", **given}
    return run_action(action.ActionModule, arguments, task_vars)


def test_a_restore_is_judged_by_all_plans_and_told_once() -> None:
    plans = {host: {"restored": False, "has_run": False, "running": host == "etcd-2"} for host in ALL}
    refused = restored(plans)
    assert refused["failed"] and "cluster blue is not restored over members that run (member-2)" in refused["msg"]
    assert restored(plans, "etcd-3")["msg"] == "Cluster blue is not restored: see host etcd-1"
    assert restored(plans, over_running=True) == {"changed": False}
    assert "without etcd-3" in restored({**plans, "etcd-3": {"unreachable": True}}, over_running=True)["msg"]


def test_a_restore_goes_on_only_with_all_hosts_of_the_play() -> None:
    assert passed("restore", ALL, ALL) == {"changed": False}
    result = passed("restore", ["etcd-1", "etcd-3"], ALL)
    assert result["details"] == {"gone": ["etcd-2"]}
    assert (
        "A restore is under way, and etcd-2 failed" in result["msg"] and "run the same command again" in result["msg"]
    )


def test_a_step_that_there_is_not() -> None:
    assert passed("dinner", ALL, ALL)["failed"] is True
