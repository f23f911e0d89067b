# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name on its host, and brings the snapshot from there to the controller.

It comes by the connection's own transfer of files, never through a result, and is checked once more where it stays.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.snapshot_file import summed_file
from ansible_collections.ringfence.etcd.plugins.module_utils._member.snapshot import (
    SNAPSHOT_MODE,
    is_file_name,
    make_folder,
    needed_bytes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.new_files import check_room, new_file
from ansible_collections.ringfence.etcd.plugins.modules.etcd_snapshot import ARGUMENT_SPEC
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import ADVICE, AnswerError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of


class ActionModule(CheckedAction):
    """Have the snapshot taken, and put it where it is kept."""

    schema = schema_of("etcd_snapshot")

    # There is a temporary folder on the host before the module runs, and it is removed at the end.
    TRANSFERS_FILES = True

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(ARGUMENT_SPEC)
        arguments = plain(self._task.args)
        if given["keep_on"] != "controller":
            return self._module(arguments, task_vars)
        directory = os.path.expanduser(given["directory"])
        if not os.path.isabs(directory):
            directory = self._loader.path_dwim(directory)
        if self._task.check_mode:
            return {**self._module(arguments, task_vars), "path": directory}
        # Before a member is asked: it is not made anew for want of a folder here.
        make_folder(directory)
        check_room(directory, needed_bytes(0))
        found = self._module({**arguments, "directory": self._connection._shell.tmpdir}, task_vars)
        if found.get("failed") or "path" not in found:
            return found
        return {**found, "path": self._fetched(found, directory)}

    def _module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=arguments, task_vars=task_vars)
        )

    def _fetched(self, found: t.Mapping[str, t.Any], directory: str) -> str:
        """The snapshot's path here, once it is here as a whole. A host names no path: it is a name in its folder."""
        name = os.path.basename(found["path"])
        if not is_file_name(name):
            raise AnswerError(f"the answer of etcd_snapshot names no file of its own: {ADVICE}")
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, name)
        path = os.path.join(directory, name)
        called = os.path.join(directory, "snapshot")
        with new_file(path, called, SNAPSHOT_MODE, needed_bytes(found["size"])) as file:
            self._connection.fetch_file(remote, file.temporary)
            with open(file.temporary, "rb") as stream:
                here = summed_file(stream, f"what came of {path}")
                same = os.path.sameopenfile(stream.fileno(), file.stream.fileno())
            if not same or here.sha256 != found["sha256"]:
                raise FileError(f"{path} did not come here as a whole: run again", path=path)
        return path


__all__ = ("ActionModule",)
