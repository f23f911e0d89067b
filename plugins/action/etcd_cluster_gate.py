# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller only: no host is asked for anything."""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.gate import (
    PASS,
    RESTART,
    RESTORE,
    REVOKE,
    UNIT,
    UPGRADE,
    gone_hosts,
    why_gone,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.restored import why_not_restored
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import registered_states

_ARGUMENTS: dict[str, t.Any] = {
    "before": {"type": "str", "choices": [PASS, UNIT, RESTART, UPGRADE, RESTORE, REVOKE], "required": True},
    "members": {"type": "list", "elements": "dict", "required": True},
    "checked": {"type": "list", "elements": "str", "default": []},
    "cluster_name": {"type": "str", "default": "etcd"},
    "plans_variable": {"type": "str"},
    "over_running": {"type": "bool", "default": False},
}


class ActionModule(OneLineAction):
    """Fail where hosts are gone that this one must not go on without."""

    _requires_connection = False

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(_ARGUMENTS)
        before, checked = given["before"], set(given["checked"])
        batch = set(plain(task_vars["ansible_play_batch"]))
        play = set(plain(task_vars["ansible_play_hosts_all"]))
        gone = gone_hosts(
            given["members"],
            batch,
            lambda name, host: name in checked if before in (PASS, UNIT) else host in play,
        )
        host = plain(task_vars["inventory_hostname"])
        if given["plans_variable"] is not None:
            plans = registered_states(task_vars, given["members"], given["plans_variable"])
            refused = why_not_restored(given["cluster_name"], given["members"], plans, given["over_running"])
            teller = next((one["host"] for one in given["members"] if one["host"] in batch), host)
            if refused:
                text = f"Cluster {given['cluster_name']} is not restored: see host {teller}"
                raise RefusedError("; ".join(refused) if host == teller else text)
        elif gone:
            raise RefusedError(why_gone(gone, before, host), gone=gone)
        return {"changed": False}


__all__ = ("ActionModule",)
