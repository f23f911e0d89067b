# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only place of this collection that writes files: plan first, then apply the plan.

A file is staged beside its target with its final owner and mode before any content is in it, flushed to disk, and
renamed. Several files are staged all before the first is renamed, so that a full disk changes nothing.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import errno
import grp
import hashlib
import os
import pwd
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._errors import FileError

_STAGED_PREFIX = "."
_STAGED_SUFFIX = ".ringfence-new"

# The mode of folders that are made on the way to a wanted folder; they get the caller's owner.
NEW_PARENT_MODE = 0o755
PROGRAM_MODE = 0o755
_BLOCK_BYTES = 1024 * 1024

# What an OSError means to the person who reads the line, and the way out.
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


@dataclass(frozen=True)
class WantedDirectory:
    """A folder as it should be. An owner or group of None keeps what is there (a new folder is the caller's)."""

    path: str
    mode: int
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True)
class WantedFile:
    """A file as it should be. Content of None keeps the content that is there: only owner and mode are looked at."""

    path: str
    mode: int
    content: bytes | None = field(default=None, repr=False)
    uid: int | None = None
    gid: int | None = None
    secret: bool = False


@dataclass(frozen=True)
class Change:
    """What is going to happen to one path, with the reasons; never holds content.

    ``reasons``: any of ``missing``, ``content``, ``owner``, ``group``, ``mode``.
    ``before`` and ``after``: ``state`` (absent, file, directory), ``owner``, ``group``, ``mode`` as users write them.
    """

    wanted: WantedDirectory | WantedFile
    reasons: tuple[str, ...]
    before: dict[str, t.Any]
    after: dict[str, t.Any]

    @property
    def path(self) -> str:
        return self.wanted.path


def uid_of(owner: str) -> int:
    """The numeric id of a user given by name or number; FileError where there is none."""
    if owner.isdigit():
        return int(owner)
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise FileError(
            f"user {owner} does not exist on this host: create it or name another owner", owner=owner
        ) from None


def gid_of(group: str) -> int:
    """The numeric id of a group given by name or number; FileError where there is none."""
    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise FileError(
            f"group {group} does not exist on this host: create it or name another group", group=group
        ) from None


def check_may_give(owner: str, uid: int | None, group: str, gid: int | None) -> None:
    """FileError where an ordinary user would have to give files to somebody else. Ids of None are of nobody yet."""
    if os.geteuid() == 0:
        return
    caller = owner_name(os.geteuid())
    if uid != os.geteuid():
        raise FileError(
            f"owner: only root can give files to {owner}, and this runs as {caller}: run as root (become: true), or "
            f"name {caller}",
            owner=owner,
        )
    if gid not in (os.getegid(), *os.getgroups()):
        raise FileError(
            f"group: only root can give files to {group}, to which {caller} does not belong: run as root "
            f"(become: true), or name {group_name(os.getegid())}",
            group=group,
        )


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


def read_file(path: str, limit_bytes: int = 1024 * 1024) -> bytes | None:
    """A file's content; None where there is no such file; FileError where it can't be read or is no regular file."""
    try:
        # Not blocking: a named pipe in the file's place would hold the run for ever.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise FileError(f"{path} is not a regular file: move it away", path=path)
            content = stream.read(limit_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise FileError(f"{path} is a directory, not a file: move it away", path=path) from None
    except OSError as exc:
        raise os_error("read", path, exc) from exc
    if len(content) > limit_bytes:
        raise FileError(f"{path} is larger than {limit_bytes} bytes: that is no key or certificate", path=path)
    return content


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


def plan_directory(wanted: WantedDirectory) -> Change | None:
    """The change that makes the folder as wanted, or None. Links are followed: a folder may be a link to one."""
    return _plan(wanted, "directory", os.path.realpath(wanted.path), ())


def plan_file(wanted: WantedFile) -> Change | None:
    """The change that makes the file as wanted, or None. A link is refused: renaming would replace it by a file."""
    reasons: tuple[str, ...] = ()
    if describe(wanted.path)["state"] == "link":
        raise FileError(f"{wanted.path} is a symbolic link: put a file there, or name its target", path=wanted.path)
    if wanted.content is not None:
        found = read_file(wanted.path, limit_bytes=max(1024 * 1024, len(wanted.content)))
        reasons = ("content",) if found is not None and found != wanted.content else ()
    return _plan(wanted, "file", wanted.path, reasons)


def _plan(wanted: WantedDirectory | WantedFile, kind: str, path: str, reasons: tuple[str, ...]) -> Change | None:
    before = describe(path)
    if before["state"] not in ("absent", kind):
        raise FileError(f"{wanted.path} is a {before['state']}, a {kind} is wanted: move it away", path=wanted.path)
    uid = os.geteuid() if wanted.uid is None and before["state"] == "absent" else wanted.uid
    gid = os.getegid() if wanted.gid is None and before["state"] == "absent" else wanted.gid
    after = {
        "state": kind,
        "owner": before["owner"] if uid is None else owner_name(uid),
        "group": before["group"] if gid is None else group_name(gid),
        "mode": f"{wanted.mode:04o}",
    }
    if before["state"] == "absent":
        return Change(wanted, ("missing",), before, after)
    reasons += tuple(key for key in ("owner", "group", "mode") if before[key] != after[key])
    return Change(wanted, reasons, before, after) if reasons else None


def apply_changes(changes: t.Sequence[Change | None], keep_replaced: t.Container[str] = ()) -> dict[str, str]:
    """Carry out planned changes: folders first, then all files staged, then all renamed, in the order given.

    ``keep_replaced``: paths whose present file is kept beside the new one (``<path>.replaced-<n>``) when its content
    changes; a key is never lost. Gives back path: path of the kept file.
    """
    todo = [change for change in changes if change is not None]
    for change in todo:
        if isinstance(change.wanted, WantedDirectory):
            _apply_directory(change.wanted)
    files = [change for change in todo if isinstance(change.wanted, WantedFile)]
    staged: list[tuple[str, str]] = []
    kept: dict[str, str] = {}
    try:
        for change in files:
            wanted = t.cast(WantedFile, change.wanted)
            if wanted.content is not None and {"missing", "content"} & set(change.reasons):
                staged.append((_stage(wanted), wanted.path))
            elif change.before["state"] == "absent":
                raise FileError(f"{wanted.path} does not exist and no content for it was given", path=wanted.path)
        for temporary, path in staged:
            if path in keep_replaced and os.path.lexists(path):
                kept[path] = _keep(path)
            os.rename(temporary, path)
    except OSError as exc:
        raise os_error("write", exc.filename or "a file", exc) from exc
    finally:
        for temporary, _path in staged:
            if os.path.lexists(temporary):
                os.unlink(temporary)
    renamed = {path for _temporary, path in staged}
    for change in files:
        if change.path not in renamed:
            _set_attributes(change.path, t.cast(WantedFile, change.wanted))
    for folder in sorted({os.path.dirname(path) for path in renamed}):
        _sync_directory(folder)
    return kept


def staged_path(path: str) -> str:
    """Where the next content of a path is staged; what an interrupted run left there is replaced by the next run."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{_STAGED_PREFIX}{name}{_STAGED_SUFFIX}")


def missing_parents(path: str) -> list[str]:
    """The folders above a path that do not exist yet, the uppermost first: they are made with NEW_PARENT_MODE."""
    missing: list[str] = []
    parent = os.path.dirname(path)
    while parent not in ("", "/") and not os.path.isdir(parent):
        missing.insert(0, parent)
        parent = os.path.dirname(parent)
    return missing


def next_kept_path(path: str) -> str:
    """The name under which the file at a path is kept when it is replaced next."""
    number = 1
    while os.path.lexists(f"{path}.replaced-{number}"):
        number += 1
    return f"{path}.replaced-{number}"


def has_leftover(path: str) -> bool:
    """Whether a killed run left something staged beside a path; it may hold a private key."""
    return os.path.lexists(staged_path(path))


def remove_leftover(path: str) -> None:
    """Take away what a killed run left staged beside a path, if anything."""
    try:
        if has_leftover(path):
            os.unlink(staged_path(path))
    except OSError as exc:
        raise os_error("remove", staged_path(path), exc) from exc


def write_program(path: str, source: t.IO[bytes], limit_bytes: int) -> str:
    """Write a program from a stream to a new file, executable for all; gives its SHA-256. What is there goes first.

    FileError where that can't be done, or the stream is longer than that: then nothing is left at the path.
    """
    found = hashlib.sha256()
    try:
        if os.path.lexists(path):
            os.unlink(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise os_error("write", path, exc) from exc
    try:
        with os.fdopen(descriptor, "wb") as stream:
            written = 0
            for block in iter(lambda: source.read(_BLOCK_BYTES), b""):
                written += len(block)
                if written > limit_bytes:
                    raise FileError(f"{path} would be larger than {limit_bytes} bytes: that is no program of etcd's")
                found.update(block)
                stream.write(block)
            os.fchmod(stream.fileno(), PROGRAM_MODE)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException as exc:
        os.unlink(path)
        if isinstance(exc, OSError) and exc.errno is not None:
            raise os_error("write", path, exc) from exc
        raise
    return found.hexdigest()


def put_in_place(staged: str, path: str, kept: str) -> None:
    """Give a staged file the name that it is for, at once. What was there has the name ``kept`` from then on."""
    folder = os.path.dirname(path)
    try:
        if os.path.lexists(path):
            # A second name first, so that there is no moment without the file.
            second = staged_path(kept)
            if os.path.lexists(second):
                os.unlink(second)
            os.link(path, second, follow_symlinks=False)
            os.rename(second, kept)
        os.rename(staged, path)
    except OSError as exc:
        raise os_error("replace", path, exc) from exc
    _sync_directory(folder)


def _stage(wanted: WantedFile) -> str:
    temporary = staged_path(wanted.path)
    try:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise os_error("write", wanted.path, exc) from exc
    try:
        with os.fdopen(descriptor, "wb") as stream:
            present = os.lstat(wanted.path) if os.path.lexists(wanted.path) else os.fstat(stream.fileno())
            uid = present.st_uid if wanted.uid is None else wanted.uid
            gid = present.st_gid if wanted.gid is None else wanted.gid
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), wanted.mode)
            stream.write(wanted.content or b"")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as exc:
        os.unlink(temporary)
        raise os_error("write", wanted.path, exc) from exc
    return temporary


def _keep(path: str) -> str:
    """Give the file at a path a second name, so that replacing it loses nothing."""
    while True:
        kept = next_kept_path(path)
        try:
            os.link(path, kept, follow_symlinks=False)
            return kept
        except FileExistsError:
            continue


def _apply_directory(wanted: WantedDirectory) -> None:
    path = os.path.realpath(wanted.path)
    try:
        if not os.path.isdir(path):
            for parent in missing_parents(path):
                # Not left to the umask: with 077, common for root, nobody else would get through to the folder.
                if _make_folder(parent, 0o777):
                    os.chmod(parent, NEW_PARENT_MODE)
            _make_folder(path, 0o700)
    except OSError as exc:
        raise os_error("create folder", wanted.path, exc) from exc
    _set_attributes(path, wanted)


def _make_folder(path: str, mode: int) -> bool:
    """Whether this run made it: another may do so at the same time. OSError where something else is there."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
        return False
    return True


def _set_attributes(path: str, wanted: WantedDirectory | WantedFile) -> None:
    try:
        os.chown(path, -1 if wanted.uid is None else wanted.uid, -1 if wanted.gid is None else wanted.gid)
        os.chmod(path, wanted.mode)
    except OSError as exc:
        raise os_error("set owner and mode of", path, exc) from exc


def _sync_directory(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise os_error("flush folder", path, exc) from exc


__all__ = (
    "NEW_PARENT_MODE",
    "PROGRAM_MODE",
    "Change",
    "WantedDirectory",
    "WantedFile",
    "apply_changes",
    "check_may_give",
    "describe",
    "gid_of",
    "group_name",
    "has_leftover",
    "missing_parents",
    "next_kept_path",
    "os_error",
    "owner_name",
    "plan_directory",
    "plan_file",
    "put_in_place",
    "read_file",
    "remove_leftover",
    "staged_path",
    "uid_of",
    "write_program",
)
