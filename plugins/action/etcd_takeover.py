# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the whole cluster on the controller, then runs the module of the same name on a member's host.

What is refused there is refused for all hosts, before any of them is touched.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.plan import takeover_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover_runs import (
    NOTHING,
    is_way_back,
    known_of,
    run_of,
)


class ActionModule(CheckedAction):
    """What the module answers, as far as it is documented, and what the controller knows of the host."""

    schema = schema_of("etcd_takeover")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        options = plain(dict(self._task.args))
        variables = [options.pop(name, None) for name in ("states_variable", "calls_variable")]
        if not all(variables):
            if any(variables):
                raise InputError("states_variable and calls_variable belong together: give both")
            return self._module(options, task_vars)
        is_back = is_way_back(options, "etcd_takeover_state", self._task, self._templar, task_vars)
        refuse_old_cryptography()
        plan = takeover_of(*run_of(task_vars, *map(str, variables)), is_back=is_back)
        host = str(plain(task_vars["inventory_hostname"]))
        if host not in plan.options:
            return {**NOTHING, **known_of(plan, host)}
        # A member is what its process says that it is: none of this can be said otherwise.
        return {**self._module({**options, **plan.options[host]}, task_vars), **known_of(plan, host)}

    def _module(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=options, task_vars=task_vars)
        )


__all__ = ("ActionModule",)
