# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the actions share that write a proof down: on the controller, or on the host of the task, which stays.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import Schema, one_line
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._reports import write_report

_COPY = "ansible.builtin.copy"


class Report(t.NamedTuple):
    """A file that was asked for: by which option, where, and what is in it."""

    option: str
    path: str
    text: str


class ReportingAction(CheckedAction):
    """An action whose output are files. It needs no host, but where that is to keep them."""

    _requires_connection = False

    def _write_reports(self, reports: t.Iterable[Report], on_host: bool, task_vars: dict[str, t.Any]) -> None:
        """Write them; FileError with one line where one can't be written. They are written in check mode too."""
        for report in reports:
            if on_host:
                self._copy(report, task_vars)
            else:
                write_report(report.path, report.text, report.option)

    def _copy(self, report: Report, task_vars: dict[str, t.Any]) -> None:
        host = one_line(self._task.delegate_to or task_vars.get("inventory_hostname") or "the host")
        arguments = {"dest": report.path, "content": report.text, "mode": "0644"}
        # A report is no change of the host, and nobody reads the difference of two pages.
        self._task.check_mode = self._task.diff = False
        try:
            answer = self._checked(Schema(_COPY), task_vars, lambda: self._run_action(_COPY, arguments, task_vars))
            why = answer["msg"] if answer.get("failed") else None
        except AnsibleConnectionFailure as exc:
            why = f"it can't be reached: {one_line(exc.message)}"
        if why is not None:
            raise FileError(
                f"{report.option}: can't write {report.path} on {host}: {why}: name another path or host, or leave it "
                "out"
            )


__all__ = ("Report", "ReportingAction")
