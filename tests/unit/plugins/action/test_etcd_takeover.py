# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of a takeover: the cluster is judged on the controller, and what a host says of itself goes no further."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_takeover
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.test_etcd_audit import Registered
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import (
    HOSTS,
    WORKER,
    fenced,
    process,
    told,
)

ANSWER: dict[str, t.Any] = {
    "changed": True,
    "pending": [{"code": "list_lacking", "text": "it has none"}],
    "restarted": True,
    "leads": False,
    "paths": ["/etc/x"],
    "way_back": "rm /etc/x",
    "client_files": {"ca_file": "/ca", "cert_file": None, "key_file": None},
}
GIVEN = {"states_variable": "processes", "calls_variable": "calls"}


def taken(host: str, answer: t.Any = None, **options: t.Any) -> tuple[dict[str, t.Any], dict[str, t.Any] | None]:
    """The action's result, and the options that the module got on the host."""
    states = {one: told(process(one, {"peer-cert-allowed-cn": None})) for one in HOSTS} | {WORKER: told()}
    registered = Registered(states, fenced()[1].answers())
    with mock.patch.object(etcd_takeover.ActionModule, "_execute_module", return_value=answer or ANSWER) as executed:
        found = run_action(etcd_takeover.ActionModule, {**GIVEN, **options}, registered.task_vars(host))
    return found, executed.call_args.kwargs["module_args"] if executed.called else None


def test_a_member_gets_what_the_controller_worked_out() -> None:
    """What was given beside it does not count: a task can't say otherwise for one host."""
    found, options = taken("etcd-2", wait_seconds=7, unit="other.service", common_names=["evil"])
    assert options is not None and options["unit"] == "etcd.service" and options["wait_seconds"] == 7
    assert options["common_names"] == [f"member-{host}" for host in HOSTS] == found["common_names"]
    assert found["changed"] and found["is_member"] and not found["takes_snapshot"]
    assert taken("etcd-1")[0]["takes_snapshot"]


def test_a_host_without_a_member_is_not_asked() -> None:
    found, options = taken(WORKER)
    assert options is None and not found["changed"] and not found["is_member"] and found["pending"] == []


def test_a_host_says_nothing_of_the_cluster() -> None:
    answer = {**ANSWER, "members": [{"name": "evil"}], "takes_snapshot": True, "is_member": False, "more": 1}
    found, _options = taken("etcd-2", answer)
    assert [one["name"] for one in found["members"]] == list(HOSTS) and found["is_member"]
    assert not found["takes_snapshot"] and "more" not in found


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calls_variable": None}, "belong together"),
        ({"state": "gone"}, "state is 'gone': it is present or absent"),
        ({"states_variable": "none"}, "no etcd was found on these hosts"),
    ],
)
def test_what_is_refused_on_the_controller(options: dict[str, t.Any], said: str) -> None:
    found, asked = taken("etcd-1", **options)
    assert found["failed"] and said in found["msg"] and asked is None
