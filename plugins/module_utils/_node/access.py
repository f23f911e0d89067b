# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks whether a user can read a file, along the whole path to it, and which component is in the way if not.

As root the kernel is asked by a child process that becomes that user, so access control lists and mount options count
too; without root it is worked out from owner, group and mode.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import select
import signal
import stat
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    LINK_LIMIT,
    group_name,
    os_error,
    owner_name,
)

_READ, _SEARCH = 4, 1
# The child belongs to the user that is asked about, who could stop it, and the run with it.
_CHILD_SECONDS = 20.0


@dataclass(frozen=True)
class Identity:
    """A user as the kernel knows it: the ids that a process of that user has."""

    name: str
    uid: int
    gid: int
    groups: frozenset[int]


@dataclass(frozen=True)
class Attributes:
    """Owner, group and mode of a file or folder: found, or as they are going to be."""

    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class Barrier:
    """The first component of a path that a user does not get past. ``why``: ``search``, ``read`` or ``missing``."""

    path: str
    why: str
    text: str


def identity_of(user: str) -> Identity | None:
    """The ids of a user given by name or number; None where there is no such user. A number needs no user."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        # Without an entry systemd too gives such a process no group but root's.
        return Identity(user, int(user), 0, frozenset((0,))) if user.isdigit() else None
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return Identity(entry.pw_name, entry.pw_uid, entry.pw_gid, frozenset(groups))


def mode_allows(identity: Identity, attributes: Attributes, bit: int) -> bool:
    """What owner, group and mode grant: the first class that fits decides, as in the kernel. Root may all."""
    if identity.uid == 0:
        return True
    if attributes.uid == identity.uid:
        shift = 6
    elif attributes.gid == identity.gid or attributes.gid in identity.groups:
        shift = 3
    else:
        shift = 0
    return bool(attributes.mode >> shift & bit)


def find_barriers(
    paths: t.Sequence[str], identity: Identity, planned: t.Mapping[str, Attributes] | None = None
) -> list[Barrier | None]:
    """What keeps the user from reading each of these files, or None where nothing does; asked by one process.

    ``planned``: files and folders (as real paths) that are going to have these attributes, whatever they have now;
    what is not there yet and not planned is ``missing``.
    """
    planned = planned or {}
    if paths and os.geteuid() == 0 and identity.uid != 0:
        return _in_child(paths, identity, planned)
    # As the user itself the kernel can be asked right here.
    return [_walk(path, identity, planned, ask_kernel=os.geteuid() == identity.uid) for path in paths]


def check_readable(
    paths: t.Sequence[str], identity: Identity, planned: t.Mapping[str, Attributes] | None = None
) -> None:
    """FileError with the line for the first of these files that the user can't read."""
    for path, barrier in zip(paths, find_barriers(paths, identity, planned)):
        if barrier is not None:
            raise barrier_error(path, identity, barrier)


def barrier_error(path: str, identity: Identity, barrier: Barrier) -> FileError:
    """The line for the user, who has to open the way."""
    return FileError(f"user {identity.name} can't read {path}: {barrier.text}", path=path, barrier=barrier.path)


def _in_child(paths: t.Sequence[str], identity: Identity, planned: t.Mapping[str, Attributes]) -> list[Barrier | None]:
    path = paths[0]
    try:
        reading, writing = os.pipe()
        child = _forked(reading, writing)
    except OSError as exc:
        raise os_error("start a process that reads", path, exc) from exc
    if child == 0:  # pragma: no cover (another process and user; what it finds is tested here)
        # Nothing of the parent may go on here: no exception handler, no exit handler, no buffered output.
        status = 1
        try:
            os.close(reading)
            os.setgroups(sorted(identity.groups))
            os.setgid(identity.gid)
            os.setuid(identity.uid)
            found = [_walk(each, identity, planned, ask_kernel=True) for each in paths]
            answer = [None if barrier is None else [barrier.path, barrier.why, barrier.text] for barrier in found]
            os.write(writing, json.dumps(answer).encode("ascii"))
            status = 0
        except BaseException as exc:
            os.write(writing, json.dumps(str(exc)).encode("ascii"))
        finally:
            os._exit(status)
    os.close(writing)
    try:
        said = _read_in_time(reading)
    finally:
        os.close(reading)
        _end(child)
    verdict: list[list[str] | None] | str
    try:
        verdict = json.loads(said)
    except ValueError:
        verdict = f"no answer within {_CHILD_SECONDS:g} seconds, or the check was killed"
    if isinstance(verdict, list) and len(verdict) != len(paths):
        verdict = "an answer that is none to what was asked"
    if isinstance(verdict, str):
        which = f"{path} is" if len(paths) == 1 else f"{path} and {len(paths) - 1} more are"
        raise FileError(f"can't check as user {identity.name} whether {which} readable: {verdict}", path=path)
    return [None if barrier is None else Barrier(*barrier) for barrier in verdict]


def _forked(reading: int, writing: int) -> int:
    try:
        return os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise


def _end(child: int) -> None:
    """It has said what it had to say, or it is stopped."""
    # Where whoever started this process ignores SIGCHLD, the kernel keeps nothing of a child that has ended.
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        if os.waitpid(child, os.WNOHANG) == (0, 0):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _read_in_time(descriptor: int) -> bytes:
    """What comes until the other end is closed, or until it took too long."""
    said = b""
    end = time.monotonic() + _CHILD_SECONDS
    while select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(descriptor, 65536)
        if not part:
            break
        said += part
    return said


def _walk(path: str, identity: Identity, planned: t.Mapping[str, Attributes], ask_kernel: bool) -> Barrier | None:
    """Follow the path as the kernel does, one component after the other, links included."""
    current = "/"
    left = [part for part in reversed(os.path.abspath(path).split("/")) if part]
    links = 0
    while left:
        barrier = _bars(current, _SEARCH, identity, planned, ask_kernel)
        if barrier is not None:
            return barrier
        part = left.pop()
        if part == "..":
            current = os.path.dirname(current)
            continue
        following = os.path.join(current, part)
        if following in planned:
            current = following
            continue
        try:
            mode = os.lstat(following).st_mode
            target = os.readlink(following) if stat.S_ISLNK(mode) else None
        except OSError as exc:
            return _unseen(following, exc)
        if target is None:
            current = following
            continue
        links += 1
        if links > LINK_LIMIT:
            return Barrier(following, "missing", f"{following} is a symbolic link that leads in a circle")
        if target.startswith("/"):
            current = "/"
        left.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
    return _bars(current, _READ, identity, planned, ask_kernel)


def _bars(
    path: str, bit: int, identity: Identity, planned: t.Mapping[str, Attributes], ask_kernel: bool
) -> Barrier | None:
    try:
        info = os.stat(path) if path not in planned else None
    except OSError as exc:  # pragma: no cover (it has gone since the walk saw it)
        return _unseen(path, exc)
    if info is None:
        attributes = planned[path]
        allowed = mode_allows(identity, attributes, bit)
    else:
        attributes = Attributes(info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
        if bit == _SEARCH and not stat.S_ISDIR(info.st_mode):
            return Barrier(path, "missing", f"{path} is not a directory")
        # Real and effective ids are equal here (the child set both), so that access() answers for the reader.
        allowed = os.access(path, bit) if ask_kernel else mode_allows(identity, attributes, bit)
        if allowed and ask_kernel and bit == _READ and stat.S_ISREG(info.st_mode):
            allowed = _opens(path)
    if allowed:
        return None
    shown = f"{path} ({attributes.mode:04o} {owner_name(attributes.uid)}:{group_name(attributes.gid)})"
    if bit == _SEARCH:
        return Barrier(
            path, "search", f"folder {shown} does not let it through: grant x to it (chmod o+x, or its group)"
        )
    return Barrier(path, "read", f"{shown} is not readable for it: change owner or mode")


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _unseen(path: str, error: OSError) -> Barrier:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Barrier(path, "missing", f"{path} does not exist")
    return Barrier(path, "search", f"{path} can't be looked at: {error.strerror or error}")


__all__ = (
    "Attributes",
    "Barrier",
    "Identity",
    "barrier_error",
    "check_readable",
    "find_barriers",
    "identity_of",
    "mode_allows",
)
