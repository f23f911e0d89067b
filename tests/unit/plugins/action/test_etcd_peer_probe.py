# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which options a look at a host has in the end, of what the task says and what the role has registered."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_peer_probe
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.test_probe_options import SETTINGS, STRANGERS

TOLD = {"strangers": STRANGERS}
BOTH = {"settings_variable": "settings", "strangers_variable": "strangers"}


def given(
    arguments: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, cluster: t.Mapping[str, t.Any] = TOLD
) -> dict[str, t.Any]:
    """The options that reach the host; a failed result where none do. ``cluster``: what the coordinator registered."""
    sent: list[dict[str, t.Any]] = []

    def execute(self: t.Any, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
        sent.append(module_args)
        return {"failed": True, "msg": "no host here"}

    monkeypatch.setattr(etcd_peer_probe.ActionModule, "_execute_module", execute)
    registered = {"host-2": {"settings": {**SETTINGS, "coordinator": "host-1"}}, "host-1": cluster}
    found = {
        "inventory_hostname": "host-2",
        "ansible_play_batch": ["host-2"],
        "hostvars": mock.Mock(raw_get=lambda host: registered[host]),
    }
    result = run_action(etcd_peer_probe.ActionModule, arguments, found)
    return sent[0] if sent else result


def test_what_the_task_says_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    options = given({**BOTH, "directory": "/other", "revoked_certificate": "other"}, monkeypatch)
    assert (options["directory"], options["revoked_certificate"]) == ("/other", "other")
    assert (options["owner"], options["present"]) == ("etcd", ["etcd-2"])
    assert options["stranger_private_key"] == "stranger_private_key of 2"
    assert not BOTH.keys() & options.keys()


def test_without_the_variables_the_task_says_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given({"name": "etcd-2", "members": []}, monkeypatch) == {"name": "etcd-2", "members": []}


def test_who_calls_nobody_is_sent_no_key_of_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    options = given({**BOTH, "call": "never"}, monkeypatch)
    assert options["api_private_key"] == "api_private_key of 2" and "stranger_private_key" not in options
    assert "client_private_key" not in options


def test_a_coordinator_that_asked_no_ca_gives_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    options = given(BOTH, monkeypatch, cluster={})
    assert options["client_calls"] == ["client", "client_no_certificate"] and "stranger_certificate" not in options


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"strangers_variable": "strangers"}, "strangers_variable: it goes with settings_variable"),
        ({"settings_variable": "none"}, "settings_variable: none has no result of ringfence.etcd.etcd_settings"),
    ],
)
def test_a_variable_that_does_not_do_is_told(
    arguments: dict[str, t.Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = given(arguments, monkeypatch)
    assert result["failed"] and says in result["msg"]
