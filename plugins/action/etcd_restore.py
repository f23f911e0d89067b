# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the snapshot on the controller, and sends it to the host where it is to be restored.

What was read and summed is what is sent: a copy that nobody else can write.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import typing as t

from ansible import constants
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.snapshot_file import (
    SnapshotFile,
    summed,
    summed_file,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.new_files import check_room
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import open_regular, os_error
from ansible_collections.ringfence.etcd.plugins.modules.etcd_restore import ARGUMENT_SPEC, check_arguments
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of

_BLOCK_BYTES = 1024 * 1024


class ActionModule(CheckedAction):
    """Have one step of the restore done on the host."""

    schema = schema_of("etcd_restore")

    # There is a temporary folder on the host before anything is sent, and it is removed at the end.
    TRANSFERS_FILES = True

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(ARGUMENT_SPEC)
        check_arguments(given)
        path = os.path.expanduser(given["snapshot"])
        if not os.path.isabs(path):
            path = self._loader.path_dwim(path)
        # As the user wrote them: a path of the host is the module's to expand.
        arguments = plain(self._task.args)
        if given["state"] != "staged" or self._task.check_mode:
            found = self._checked_snapshot(path, given["snapshot_sha256"])
            return self._module({**arguments, "snapshot_sha256": found.sha256}, task_vars)
        copied, found = self._checked_copy(path, given["snapshot_sha256"])
        try:
            remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "snapshot.db")
            self._transfer_file(copied, remote)
            self._fixup_perms2((self._connection._shell.tmpdir, remote))  # type: ignore[no-untyped-call]
        finally:
            os.unlink(copied)
        return self._module({**arguments, "snapshot": remote, "snapshot_sha256": found.sha256}, task_vars)

    def _module(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=arguments, task_vars=task_vars)
        )

    @staticmethod
    def _checked_snapshot(path: str, sha256: str | None) -> SnapshotFile:
        with _opened(path) as stream:
            return _wanted(summed_file(stream, path), path, sha256)

    @staticmethod
    def _checked_copy(path: str, sha256: str | None) -> tuple[str, SnapshotFile]:
        folder = constants.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]
        with _opened(path) as source:
            check_room(folder, os.fstat(source.fileno()).st_size)
            descriptor, copied = tempfile.mkstemp(prefix="ringfence-etcd-", dir=folder)
            try:
                with open(descriptor, "wb") as target:
                    return copied, _wanted(summed(_copied(source, target), path), path, sha256)
            except BaseException:
                os.unlink(copied)
                raise


@contextlib.contextmanager
def _opened(path: str) -> t.Iterator[t.BinaryIO]:
    """A regular file, open for reading; what the system says of it is one line."""
    if not os.path.lexists(path):
        raise InputError(f"{path} is not on the controller: name a snapshot that playbook backup has made")
    try:
        with open_regular(path) as stream:
            yield stream
    except OSError as exc:
        raise os_error("read", path, exc) from exc


def _copied(source: t.BinaryIO, target: t.BinaryIO) -> t.Iterator[bytes]:
    for block in iter(lambda: source.read(_BLOCK_BYTES), b""):
        target.write(block)
        yield block


def _wanted(found: SnapshotFile, path: str, sha256: str | None) -> SnapshotFile:
    if sha256 and found.sha256 != sha256.lower():
        raise FileError(f"{path} has the SHA-256 {found.sha256}, wanted is {sha256.lower()}: it is another snapshot")
    return found


__all__ = ("ActionModule",)
