# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to a file, and its content, on a host where another user may write. Reads only.

Folders like etcd's data folder are in places that etcd's user may write. What it puts there must neither lead root to
another place nor hold root up, so a path that is going to be changed is walked component by component, and everything
that is read is a regular file, looked at before it is opened, and read to a limit.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError

# Linux: a descriptor of what is there that opens nothing. A device or a pipe does not notice it.
_O_PATH = getattr(os, "O_PATH", 0)
_FOLDER_FLAGS = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | _O_PATH
# As the kernel has it.
LINK_LIMIT = 40

# What a file that is read whole may have, and how many entries a folder may have whose names are read.
READ_LIMIT_BYTES = 1024 * 1024
NAMES_LIMIT = 10_000

# What an OSError means to the user, and the way out.
_REMEDIES = {
    errno.ENOSPC: "the disk is full: make room and run again",
    errno.EDQUOT: "the disk quota is used up: make room and run again",
    errno.EROFS: "the file system is read-only: mount it writable or choose another folder",
    errno.EACCES: "permission denied: run as root (become: true) or choose a folder of your own",
    errno.EPERM: "not permitted: run as root (become: true), and see whether the file is immutable (lsattr)",
    errno.ENOENT: "no such file or directory",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.ELOOP: "too many symbolic links",
}


def os_error(action: str, path: str, error: OSError) -> FileError:
    """One line for an OSError: what was tried, on which path, why it failed and the way out."""
    why = _REMEDIES.get(error.errno or 0, error.strerror or str(error))
    return FileError(f"can't {action} {path}: {why}", path=path, errno=error.errno)


# The way to a folder ------------------------------------------------------------------------------------------------


class Folder(t.NamedTuple):
    """An open folder (good as ``dir_fd``), and the path to it in which no component is a link."""

    descriptor: int
    path: str


# Makes the folder of that name in the open folder; the second argument says whether it is the last of the path.
Maker = t.Callable[[int, str, bool], None]


@contextlib.contextmanager
def open_folder(path: str, make: Maker | None = None) -> t.Iterator[Folder]:
    """The folder at a path. FileError where a link that is not to be trusted is on the way, OSError as the system says.

    A link is trusted where it and the folder that holds it belong to root, or to the user that this runs as, and nobody
    else may write in that folder. ``make``: for components that are missing.
    """
    walk = _Walk(path)
    try:
        while walk.left:
            walk.step(make)
        yield walk.folders[-1]
    finally:
        walk.close()


def real_path(path: str) -> str:
    """The path without links, as ``open_folder`` goes; what is missing of it stays. FileError as there."""
    walk = _Walk(path)
    try:
        while walk.left:
            try:
                walk.step(None)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                # Reading what is there reports what is wrong with it.
                return os.path.join(walk.folders[-1].path, *reversed(walk.left))
        return walk.folders[-1].path
    except OSError as exc:
        raise os_error("look at", path, exc) from exc
    finally:
        walk.close()


class _Walk:
    """Goes one component after the other, as the kernel does, with the folders on the way open."""

    def __init__(self, path: str) -> None:
        self.path = os.path.join(os.getcwd(), path)
        self.left = _components(self.path)
        self.folders = [Folder(os.open("/", _FOLDER_FLAGS), "/")]
        self._links = 0

    def step(self, make: Maker | None) -> None:
        part = self.left[-1]
        folder = self.folders[-1]
        if part == "..":
            self.left.pop()
            self._back(max(1, len(self.folders) - 1))
            return
        try:
            descriptor = os.open(part, _FOLDER_FLAGS, dir_fd=folder.descriptor)
        except FileNotFoundError:
            if make is None:
                raise
            make(folder.descriptor, part, len(self.left) == 1)
            descriptor = os.open(part, _FOLDER_FLAGS, dir_fd=folder.descriptor)
        except OSError as exc:
            if exc.errno not in (errno.ENOTDIR, errno.ELOOP) or not self._is_link(part):
                raise
            self._follow(part)
            return
        self.left.pop()
        self.folders.append(Folder(descriptor, os.path.join(folder.path, part)))

    def close(self) -> None:
        self._back(0)

    def _is_link(self, part: str) -> bool:
        info = os.stat(part, dir_fd=self.folders[-1].descriptor, follow_symlinks=False)
        return stat.S_ISLNK(info.st_mode)

    def _follow(self, part: str) -> None:
        folder = self.folders[-1]
        where = os.path.join(folder.path, part)
        holder = os.fstat(folder.descriptor)
        link = os.stat(part, dir_fd=folder.descriptor, follow_symlinks=False)
        problem = None
        if not _is_trusted(link.st_uid):
            problem = f"belongs to {owner_name(link.st_uid)}"
        elif not _is_trusted(holder.st_uid):
            problem = f"lies in a folder of {owner_name(holder.st_uid)}"
        elif holder.st_mode & 0o022:
            problem = f"lies in a folder that others may write ({stat.S_IMODE(holder.st_mode):04o})"
        if problem is not None:
            raise FileError(
                f"{where}, on the way to {self.path}, is a symbolic link that {problem}: it could lead to any file of "
                "root's, so it is not followed: put a real folder there, or name the one that is meant",
                path=where,
            )
        self._links += 1
        if self._links > LINK_LIMIT:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = os.readlink(part, dir_fd=folder.descriptor)
        self.left.pop()
        self.left.extend(_components(target))
        if target.startswith("/"):
            self._back(1)

    def _back(self, count: int) -> None:
        """Close all but the first so many."""
        while len(self.folders) > count:
            os.close(self.folders.pop().descriptor)


def _components(path: str) -> list[str]:
    """The last first. A dot says nothing; two dots are the folder above of where the walk is by then."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _is_trusted(uid: int) -> bool:
    return uid in (0, os.geteuid())


# What is read -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_regular(
    path: str, dir_fd: int | None = None, follow: bool = True, shown: str | None = None
) -> t.Iterator[t.BinaryIO]:
    """A regular file, open for reading; FileError (which shows ``shown``) where it is none, OSError as the system says.

    It is looked at before it is opened: a pipe would wait for a writer, and some devices do something when opened.
    """
    shown = shown or path
    nofollow = 0 if follow else os.O_NOFOLLOW
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | nofollow
    if _O_PATH:
        handle = os.open(path, _O_PATH | os.O_CLOEXEC | nofollow, dir_fd=dir_fd)
        try:
            _check_regular(shown, os.fstat(handle))
            descriptor = os.open(f"/proc/self/fd/{handle}", flags & ~os.O_NOFOLLOW)
        finally:
            os.close(handle)
    else:  # pragma: no cover (a controller that is no Linux)
        _check_regular(shown, os.stat(path, dir_fd=dir_fd, follow_symlinks=follow))
        descriptor = os.open(path, flags, dir_fd=dir_fd)
    with os.fdopen(descriptor, "rb") as stream:
        _check_regular(shown, os.fstat(descriptor))
        yield stream


def _check_regular(path: str, info: os.stat_result) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise FileError(f"{path} is a directory, not a file: move it away", path=path)
    if not stat.S_ISREG(info.st_mode):
        raise FileError(f"{path} is not a regular file: move it away", path=path)


def read_file(path: str, limit_bytes: int = READ_LIMIT_BYTES, dir_fd: int | None = None) -> bytes | None:
    """A file's content; None where there is no such file; FileError where it can't be read or is not a regular file."""
    try:
        with open_regular(path, dir_fd) as stream:
            content = stream.read(limit_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise os_error("read", path, exc) from exc
    if len(content) > limit_bytes:
        raise FileError(f"{path} is larger than {limit_bytes} bytes: that is no file of etcd's credentials", path=path)
    return content


def read_head(path: str, count: int) -> bytes | None:
    """The first bytes of a file of any size; otherwise as ``read_file``."""
    try:
        with open_regular(path) as stream:
            return stream.read(count)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise os_error("read", path, exc) from exc


def list_names(path: str, limit: int = NAMES_LIMIT) -> list[str] | None:
    """The names in a folder, sorted; None where there is no such folder; FileError where it can't be read, or is full.

    A folder of a million files is not read to its end.
    """
    names: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > limit:
                    raise FileError(
                        f"{path} has more than {limit} entries: clear away what somebody else put there", path=path
                    )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise os_error("read", path, exc) from exc
    return sorted(names)


def owner_name(uid: int) -> str:
    """The user's name, or the number as text where no user has it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The group's name, or the number as text where no group has it."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def describe(path: str) -> dict[str, t.Any]:
    """What is at a path: ``state`` (absent, file, directory, link, other), then ``owner``, ``group`` and ``mode``."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return {"state": "absent"}
    except OSError as exc:
        raise os_error("look at", path, exc) from exc
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "directory"), (stat.S_ISLNK, "link"))
    return {
        "state": next((name for test, name in kinds if test(info.st_mode)), "other"),
        "owner": owner_name(info.st_uid),
        "group": group_name(info.st_gid),
        "mode": f"{stat.S_IMODE(info.st_mode):04o}",
    }


__all__ = (
    "LINK_LIMIT",
    "NAMES_LIMIT",
    "READ_LIMIT_BYTES",
    "Folder",
    "Maker",
    "describe",
    "group_name",
    "list_names",
    "open_folder",
    "open_regular",
    "os_error",
    "owner_name",
    "read_file",
    "read_head",
    "real_path",
)
