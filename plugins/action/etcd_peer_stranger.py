# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module's work in this process where the CA is on the controller, which is the rule.

Starting a process and packing the module for it is a fifth of what a run without changes costs the controller. Keys
that never leave a process are in no file and in no log.
"""

from __future__ import annotations

import datetime
import os
import sys
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.stranger import run as answer
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import why_no_cryptography
from ansible_collections.ringfence.etcd.plugins.modules.etcd_peer_stranger import MUTUALLY_EXCLUSIVE, argument_spec
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._role_settings import RoleSettings


class ActionModule(CheckedAction):
    """Do the module's work here, or have the module do it where the CA is."""

    schema = schema_of("etcd_peer_stranger")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        secrets = self._take_secrets(task_vars)
        try:
            answer = self._made(task_vars)
        except RingfenceError as exc:
            answer = {"failed": True, "msg": str(exc), "problem": exc.problem, "details": exc.details}
        except AnsibleConnectionFailure as exc:
            # The hosts want the password of etcd's API also while the CA's host is away.
            if secrets is None:
                raise
            answer = {"unreachable": True, "msg": " ".join(str(exc.message).split())}
        # Never what a host says they are.
        answer.pop("secrets", None)
        return answer if secrets is None else {**answer, "secrets": secrets}

    def _take_secrets(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """The role's secrets, where they were asked for: put among the task's options as well."""
        options = dict(self._task.args)
        if not boolean(plain(options.pop("role_secrets", False))):
            return None
        if not self._task.no_log:
            raise RefusedError("the role's secrets would be shown in the task's result: set no_log to true on it")
        role = RoleSettings(self._task, self._templar, task_vars)
        secrets = role.secrets_of(plain(task_vars["inventory_hostname"]))
        taken = {"content": secrets["ca_private_key"], "passphrase": secrets["ca_passphrase"]}
        self._task.args = {**options, **{f"ca_private_key_{name}": value for name, value in taken.items() if value}}
        return secrets

    def _made(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if not self._is_here(task_vars):
            return super()._answer(task_vars)
        given = self._given(argument_spec(), mutually_exclusive=MUTUALLY_EXCLUSIVE)
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        return {"changed": False, **answer(given, now, result_is_hidden=bool(self._task.no_log))}

    def _is_here(self, task_vars: dict[str, t.Any]) -> bool:
        """Whether the module would run on this machine, as this user, by this Python, which has what it needs."""
        if self._connection.transport != "local" or self._task.become or why_no_cryptography("the controller"):
            return False
        host = self._task.delegate_to
        known = task_vars if not host else (task_vars.get("ansible_delegated_vars") or {}).get(host, {})
        interpreter = known.get("ansible_python_interpreter") or sys.executable
        # A link to the same program is another environment, with other libraries.
        return os.path.abspath(interpreter) == os.path.abspath(sys.executable)


__all__ = ("ActionModule",)
