# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings the archive from the controller to the host; the module there does the rest.

Only what has the right sum leaves the controller: the file is opened once, and what was read and summed is what is
sent, never the path a second time.
"""

from __future__ import annotations

import os
import re
import tempfile
import typing as t

from ansible import constants
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_archive, is_url
from ansible_collections.ringfence.etcd.plugins.module_utils._member.program_archive import (
    check_sum,
    copy_and_sum,
    opened_archive,
)
from ansible_collections.ringfence.etcd.plugins.modules.etcd_program import (
    REQUIRED_IF,
    argument_spec,
    check_arguments,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of


class ActionModule(CheckedAction):
    """Send the archive that was meant, and have it tried where it is to run."""

    schema = schema_of("etcd_program")

    # There is a temporary folder on the host before anything is sent, and it is removed at the end.
    TRANSFERS_FILES = True

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(argument_spec(), required_if=REQUIRED_IF)
        # As the user wrote them: a path of the host is the module's to expand.
        arguments = plain(self._task.args)
        if given["state"] == "absent":
            return self._module(arguments, task_vars)
        check_arguments(given)
        if is_url(checked_archive(given["archive"], "archive")):
            return self._module(arguments, task_vars)
        path = os.path.expanduser(given["archive"])
        if not os.path.isabs(path):
            path = self._loader.path_dwim(path)
        copied = self._checked_copy(path, given["archive_sha256"])
        try:
            # The name says which archive it was, and the module names it in messages.
            name = re.sub(r"[^A-Za-z0-9._-]", "_", os.path.basename(path))
            remote = self._connection._shell.join_path(self._connection._shell.tmpdir, name)
            self._transfer_file(copied, remote)
            self._fixup_perms2((self._connection._shell.tmpdir, remote))  # type: ignore[no-untyped-call]
        finally:
            os.unlink(copied)
        return self._module({**arguments, "archive": remote}, task_vars)

    def _module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=arguments, task_vars=task_vars)
        )

    @staticmethod
    def _checked_copy(path: str, sha256: str) -> str:
        """A copy of the archive that is nobody else's, with the right sum; nothing is left where it is another one."""
        with opened_archive(path, f"{path} on the controller") as source:
            folder = constants.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
            descriptor, copied = tempfile.mkstemp(prefix="ringfence-etcd-", dir=folder)
            try:
                with open(descriptor, "wb") as target:
                    check_sum(copy_and_sum(source, target, path), sha256, path)
            except BaseException:
                os.unlink(copied)
                raise
        return copied


__all__ = ("ActionModule",)
