# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module of Ansible's own on a host, and lets nothing through but whether it changed something or failed."""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import Schema
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction

_MODULES = ["ansible.builtin.group", "ansible.builtin.package", "ansible.builtin.user"]
_ARGUMENTS: dict[str, t.Any] = {
    "module": {"type": "str", "required": True, "choices": _MODULES},
    "arguments": {"type": "dict", "default": {}},
}


class ActionModule(CheckedAction):
    """What happened, in the keys that every module has."""

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(_ARGUMENTS)
        return self._checked(Schema(given["module"]), task_vars, lambda: self._asked(given, task_vars))

    def _asked(self, given: dict[str, t.Any], task_vars: dict[str, t.Any]) -> t.Any:
        if given["module"] != "ansible.builtin.package":
            return _with_status(
                self._execute_module(module_name=given["module"], module_args=given["arguments"], task_vars=task_vars)
            )
        # This one has an action of its own, which asks the host for its package manager.
        return _with_status(self._run_action(given["module"], given["arguments"], task_vars))


def _with_status(answer: t.Any) -> t.Any:
    """A module that gives an exit status and no more has failed where that is not 0: so Ansible reads it."""
    if isinstance(answer, dict) and "failed" not in answer and answer.get("rc", 0) not in (0, "0", None):
        return {**answer, "failed": True}
    return answer


__all__ = ("ActionModule",)
