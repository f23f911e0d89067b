# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where this host has the files of a process that sees another root: a container's, or a sandboxed service's.

The kernel shows that root as /proc/PID/root. An absolute link below it would lead a reader to this host's own files, so
links are followed here, as the process would.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import errno
import os

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import LINK_LIMIT
from ansible_collections.ringfence.etcd.plugins.module_utils._node.processes import (
    as_process_sees,
    namespace_is_ours,
)


def host_path(pid: int, path: str) -> str:
    """The path of this host for a path as a process takes it; FileError where its links go round in a circle."""
    if namespace_is_ours(pid, "mnt") and has_our_root(pid):
        return as_process_sees(path, pid) or path
    # The kernel does not tell how its own folder is called below its root.
    return below(f"/proc/{pid}/{'root' if os.path.isabs(path) else 'cwd'}", path)


def below(root: str, path: str) -> str:
    """A path below a root, with its links followed as they are meant there. What is missing of it stays."""
    left = _components(path)
    real: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part == "..":
            real = real[:-1]
            continue
        try:
            target = os.readlink(os.path.join(root, *real, part))
        except OSError as exc:
            if exc.errno not in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                raise FileError(f"can't look at {path} as the process sees it: {exc.strerror}", path=path) from exc
            real.append(part)
            continue
        links += 1
        if links > LINK_LIMIT:
            raise FileError(f"{path} has too many symbolic links", path=path)
        if target.startswith("/"):
            real = []
        left += _components(target)
    return os.path.join(root, *real)


def has_our_root(pid: int) -> bool:
    """Whether a process sees this host's root, whatever is mounted below it; True where the kernel does not show it."""
    try:
        theirs, ours = os.stat(f"/proc/{pid}/root"), os.stat("/")
    except OSError:
        return True
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def _components(path: str) -> list[str]:
    """The last first."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


__all__ = ("below", "has_our_root", "host_path")
