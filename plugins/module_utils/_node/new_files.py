# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are written in one go, from a stream, under a name that is free.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    is_same,
    lstat_in,
    staged_path,
    sync_folder,
    unlink_in,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import open_folder, os_error

PROGRAM_MODE = 0o755
_BLOCK_BYTES = 1024 * 1024


def write_program(path: str, source: t.IO[bytes], limit_bytes: int) -> str:
    """Write a program from a stream to a new file, executable for all; returns its SHA-256. An old file is removed
    first.

    FileError where that can't be done, or the stream is longer than that: then nothing is left at the path.
    """
    found = hashlib.sha256()
    name = os.path.basename(path)
    try:
        with open_folder(os.path.dirname(path)) as folder:
            unlink_in(name, folder.descriptor)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o600, dir_fd=folder.descriptor)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    written = 0
                    for block in iter(lambda: source.read(_BLOCK_BYTES), b""):
                        written += len(block)
                        if written > limit_bytes:
                            raise FileError(
                                f"{path} would be larger than {limit_bytes} bytes: that is no program of etcd's"
                            )
                        found.update(block)
                        stream.write(block)
                    os.fchmod(stream.fileno(), PROGRAM_MODE)
                    stream.flush()
                    os.fsync(stream.fileno())
            except BaseException:
                unlink_in(name, folder.descriptor)
                raise
    except OSError as exc:
        if exc.errno is None:
            raise
        raise os_error("write", path, exc) from exc
    return found.hexdigest()


class NewFile(t.NamedTuple):
    """A file that is written and has no name of its own yet."""

    stream: t.BinaryIO
    # The name that it has while it is written, for who can't write to a stream.
    temporary: str


@contextlib.contextmanager
def new_file(path: str, called: str, mode: int, needed_bytes: int) -> t.Iterator[NewFile]:
    """A file that gets its name when the block ends without an error; else nothing of it stays.

    ``called``: its temporary name is made of this. Of two runs with the same one the second is refused, and what a
    killed run left under it is written over. FileError where the path is taken, or the file system has less room than
    ``needed_bytes``.
    """
    folder_path, name = os.path.split(path)
    temporary = os.path.basename(staged_path(called))
    shown = os.path.join(folder_path, temporary)
    try:
        with open_folder(folder_path) as folder:
            place = folder.descriptor
            if lstat_in(name, place) is not None:
                raise FileError(f"{path} exists, and is not written over: give another name", path=path)
            with os.fdopen(_locked(temporary, place, shown), "w+b") as stream:
                try:
                    # Of what a killed run left.
                    os.ftruncate(stream.fileno(), 0)
                    check_room(folder_path, needed_bytes)
                    yield NewFile(stream, shown)
                    stream.flush()
                    os.fchmod(stream.fileno(), mode)
                    os.fsync(stream.fileno())
                    # Not renamed, which would write over a file of that name.
                    os.link(temporary, name, src_dir_fd=place, dst_dir_fd=place, follow_symlinks=False)
                finally:
                    unlink_in(temporary, place)
            sync_folder(folder_path, place)
    except FileExistsError:
        raise FileError(f"{path} exists, and is not written over: give another name", path=path) from None
    except OSError as exc:
        raise os_error("write", path, exc) from exc


def _locked(name: str, folder: int, shown: str) -> int:
    """A file of that name that is no other run's: a descriptor that holds the lock of it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            present, mine = lstat_in(name, folder), os.fstat(descriptor)
            if present is not None and is_same(present, mine):
                if not stat.S_ISREG(mine.st_mode) or mine.st_nlink != 1:
                    raise FileError(f"{shown} is not a file of this collection's: move it away", path=shown)
                os.fchmod(descriptor, 0o600)
                return descriptor
            # Another run has given it its name, or removed it, since it was opened.
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            raise FileError(f"{shown} is being written by another run: wait until that has ended", path=shown) from None
        except BaseException:
            os.close(descriptor)
            raise


def check_room(folder: str, needed_bytes: int) -> None:
    """FileError where the file system of a folder has less room than that."""
    found = os.statvfs(folder)
    room = found.f_bavail * found.f_frsize
    if room < needed_bytes:
        raise FileError(
            f"{folder} has room for {room // 2**20} MiB, and {needed_bytes // 2**20 + 1} MiB are needed: make room, or "
            "choose another folder",
            path=folder,
        )


__all__ = ("PROGRAM_MODE", "NewFile", "check_room", "new_file", "write_program")
