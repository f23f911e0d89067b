# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the actions share that work on the CA's host: where that is the controller, the work is done in this process.

Packing a module for a process of its own and starting that costs the controller's processor 0.6 s. A run without
changes would have one such process, and one that issues certificates five. Keys that never leave a process are in no
file and in no log.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import abc
import datetime
import os
import sys
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import why_no_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction


class CaHostAction(CheckedAction):
    """Do the module's work here, or have the module do it where the CA is."""

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if not self._is_here(task_vars):
            return super()._answer(task_vars)
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        answer, warnings = self._answer_here(now)
        for warning in warnings:
            self._display.warning(warning)
        return answer

    @abc.abstractmethod
    def _answer_here(self, now: datetime.datetime) -> tuple[dict[str, t.Any], t.Sequence[str]]:
        """The module's answer and its warnings; a RingfenceError where it would fail."""

    def _is_here(self, task_vars: dict[str, t.Any]) -> bool:
        """Whether the module would run on this machine, as this user, with this environment, by this Python."""
        # The connection's, which an ansible_become of the inventory's counts for as well.
        if self._connection.transport != "local" or self._connection.become is not None:
            return False
        if why_no_cryptography("the controller"):
            return False
        if any(self._task.environment or ()):
            return False
        host = self._task.delegate_to
        known = task_vars if not host else (task_vars.get("ansible_delegated_vars") or {}).get(host, {})
        interpreter = known.get("ansible_python_interpreter") or sys.executable
        # A link to the same program is another environment, with other libraries.
        return os.path.abspath(interpreter) == os.path.abspath(sys.executable)


__all__ = ("CaHostAction",)
