# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end of a run tells each client that got nothing, by what two loops have registered."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_client_gate as action
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action

CLIENTS = [{"id": "backup@db-1", "name": "backup"}, {"id": "app@db-1", "name": "app"}]
WELL = {"present": {"certificate": None}}


def passed(found: t.Any, done: t.Any) -> dict[str, t.Any]:
    """``found``, ``done``: by client's id its result of a loop, or what was registered in place of a loop's results."""
    registered = {
        name: {"results": [{"client": {"id": who}, **one} for who, one in of_loop.items()]}
        if isinstance(of_loop, dict)
        else of_loop
        for name, of_loop in (("found", found), ("done", done))
    }
    hostvars = mock.Mock(raw_get=lambda host: registered if host == "etcd-1" else {})
    given = {"clients": CLIENTS, "clients_variable": "found", "done_variable": "done", "loop_variable": "client"}
    return run_action(action.ActionModule, given, {"hostvars": hostvars, "inventory_hostname": "etcd-1"})


def test_it_passes_where_each_has_what_it_should_have() -> None:
    both = dict.fromkeys(("backup@db-1", "app@db-1"), WELL)
    assert passed(both, both) == {"changed": False}


def test_each_that_has_not_is_named_with_its_first_reason() -> None:
    down = {"unreachable": True, "msg": "no\nroute"}
    result = passed(
        {"backup@db-1": down, "app@db-1": WELL},
        {"backup@db-1": {"skipped": True}, "app@db-1": {"failed": True, "msg": "no room"}},
    )
    assert result["failed"] is True and result["problem"] == "refused"
    assert result["details"] == {"clients": ["backup@db-1", "app@db-1"]}
    assert result["msg"] == (
        "client backup@db-1: no route; client app@db-1: no room: what these have was left as it is; mend it, and run "
        "again"
    )


def test_who_was_skipped_got_nothing() -> None:
    both = dict.fromkeys(("backup@db-1", "app@db-1"), WELL)
    assert "client app@db-1: its host did not answer" in passed(both, {**both, "app@db-1": {"skipped": True}})["msg"]


@pytest.mark.parametrize("done", [None, "text", {"backup@db-1": WELL}], ids=["nothing", "no loop", "one of two"])
def test_who_is_in_no_answer_has_nothing(done: t.Any) -> None:
    both = dict.fromkeys(("backup@db-1", "app@db-1"), WELL)
    assert "client app@db-1: its host is not part of this run" in passed(both, done)["msg"]
