# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller only: reads what loops over clients have registered, as it is."""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_plan import left_without
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import states_by_id

_ARGUMENTS: dict[str, t.Any] = {
    "clients": {"type": "list", "elements": "dict", "required": True},
    "clients_variable": {"type": "str", "required": True},
    "done_variable": {"type": "str", "required": True},
    "loop_variable": {"type": "str", "default": "item"},
}


class ActionModule(OneLineAction):
    """Fail where a client did not get what it should have."""

    _requires_connection = False

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(_ARGUMENTS)
        before, done = (
            states_by_id(task_vars, given[variable], given["loop_variable"])
            for variable in ("clients_variable", "done_variable")
        )
        without = left_without(given["clients"], before, done)
        if without:
            lines = "; ".join(f"client {name}: {why}" for name, why in without.items())
            words = f"{lines}: what these have was left as it is; mend it, and run again"
            raise RefusedError(words, clients=list(without))
        return {"changed": False}


__all__ = ("ActionModule",)
