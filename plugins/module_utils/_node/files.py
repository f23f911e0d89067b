# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and folders as they should be: plan first, then apply the plan.

``new_files`` writes a file in one go, ``file_moves`` gives one another name; nothing else of this collection writes.

A file is staged beside its target with its final owner and mode before any content is in it, flushed to disk, and
renamed. Several files are staged all before the first is renamed, so that a full disk changes nothing.

Whatever is changed is changed in an open folder, which was reached without following a link that is not root's
(``paths``): between plan and apply another user may have put something else in a path's place.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    READ_LIMIT_BYTES,
    describe,
    group_name,
    open_folder,
    open_regular,
    os_error,
    owner_name,
    read_file,
    real_path,
)

_STAGED_PREFIX = "."
_STAGED_SUFFIX = ".ringfence-new"
_BACKUP_SUFFIX = ".replaced"

# The mode of folders that are made on the way to a wanted folder; they get the caller's owner.
NEW_PARENT_MODE = 0o755


@dataclass(frozen=True)
class WantedDirectory:
    """A folder as it should be. An owner or group of None keeps what is there (a new folder is the caller's)."""

    path: str
    mode: int
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True)
class WantedFile:
    """A file as it should be. Content of None keeps the content that is there: only owner and mode are compared."""

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
            f"owner: only root can give files to {owner}, and this runs "
            f"as {caller}: run as root (become: true), or name {caller}",
            owner=owner,
        )
    if gid not in (os.getegid(), *os.getgroups()):
        raise FileError(
            f"group: only root can give files to {group}, to which {caller} does not belong: run as root "
            f"(become: true), or name {group_name(os.getegid())}",
            group=group,
        )


def plan_directory(wanted: WantedDirectory) -> Change | None:
    """The change that makes the folder as wanted, or None. Root's links are followed: a folder may be a link to one."""
    return _plan(wanted, "directory", real_path(wanted.path), ())


def plan_file(wanted: WantedFile) -> Change | None:
    """The change that makes the file as wanted, or None. A link is refused: renaming would replace it by a file."""
    reasons: tuple[str, ...] = ()
    folder, name = os.path.split(wanted.path)
    path = os.path.join(real_path(folder), name)
    if describe(path)["state"] == "link":
        raise FileError(f"{wanted.path} is a symbolic link: put a file there, or name its target", path=wanted.path)
    if wanted.content is not None:
        found = read_file(wanted.path, limit_bytes=max(READ_LIMIT_BYTES, len(wanted.content)))
        reasons = ("content",) if found is not None and found != wanted.content else ()
    change = _plan(wanted, "file", path, reasons)
    if change is not None and not {"missing", "content"} & set(change.reasons):
        _check_one_name(path, os.lstat(path), lstat_in(backup_path(path)))
    return change


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
    """Apply planned changes: folders first, then all files staged, then all renamed, in the order given.

    ``keep_replaced``: paths whose present file is kept beside the new one (``<path>.replaced``) when its content
    changes, until a later one takes its place. Returns path: path of the kept file.
    """
    todo = [change for change in changes if change is not None]
    for change in todo:
        if isinstance(change.wanted, WantedDirectory):
            _apply_directory(change.wanted)
    files = [change for change in todo if isinstance(change.wanted, WantedFile)]
    staged: list[_Staged] = []
    backup: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        folders = _Folders(stack)
        try:
            for change in files:
                wanted = t.cast(WantedFile, change.wanted)
                if wanted.content is not None and {"missing", "content"} & set(change.reasons):
                    staged.append(_stage(wanted, folders.holding(wanted.path)))
                elif change.before["state"] == "absent":
                    raise FileError(f"{wanted.path} does not exist and no content for it was given", path=wanted.path)
            for one in staged:
                try:
                    if one.path in keep_replaced and lstat_in(one.name, one.folder) is not None:
                        _keep(one)
                        backup[one.path] = backup_path(one.path)
                    os.rename(one.temporary, one.name, src_dir_fd=one.folder, dst_dir_fd=one.folder)
                except OSError as exc:
                    raise os_error("write", one.path, exc) from exc
        finally:
            for one in staged:
                unlink_in(one.temporary, one.folder)
        renamed = {one.path for one in staged}
        for change in files:
            if change.path not in renamed:
                _set_file_attributes(t.cast(WantedFile, change.wanted), folders.holding(change.path))
        for path in sorted({os.path.dirname(path) for path in renamed}):
            sync_folder(path, folders.holding(os.path.join(path, ".")))
    return backup


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


def backup_path(path: str) -> str:
    """The name under which the file at a path is kept when it is replaced."""
    return path + _BACKUP_SUFFIX


def has_leftover(path: str) -> bool:
    """Whether a killed run left something staged beside a path; it may hold a private key."""
    return any(os.path.lexists(left) for left in _leftovers(path))


def remove_leftover(path: str) -> None:
    """Remove what a killed run left staged beside a path, if anything."""
    for left in _leftovers(path):
        folder, name = os.path.split(left)
        try:
            with open_folder(folder) as place:
                unlink_in(name, place.descriptor)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as exc:
            raise os_error("remove", left, exc) from exc


def remove_file(path: str) -> None:
    """Remove a file; one that is not there is fine."""
    try:
        with open_folder(os.path.dirname(path)) as folder:
            unlink_in(os.path.basename(path), folder.descriptor)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise os_error("remove", path, exc) from exc


def _leftovers(path: str) -> tuple[str, str]:
    return staged_path(path), staged_path(backup_path(path))


class _Folders:
    """The open folders of the files that are written, each opened once."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._open: dict[str, int] = {}

    def holding(self, path: str) -> int:
        folder = os.path.dirname(path)
        if folder not in self._open:
            try:
                self._open[folder] = self._stack.enter_context(open_folder(folder)).descriptor
            except OSError as exc:
                raise os_error("write", path, exc) from exc
        return self._open[folder]


class _Staged(t.NamedTuple):
    """A file that waits under another name in its folder."""

    folder: int
    temporary: str
    name: str
    path: str


def lstat_in(name: str, folder: int | None = None) -> os.stat_result | None:
    """What is at a path, or under a name in a folder; None where nothing is."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def unlink_in(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _stage(wanted: WantedFile, folder: int) -> _Staged:
    name = os.path.basename(wanted.path)
    staged = _Staged(folder, os.path.basename(staged_path(wanted.path)), name, wanted.path)
    try:
        unlink_in(staged.temporary, folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(staged.temporary, flags, 0o600, dir_fd=folder)
    except OSError as exc:
        raise os_error("write", wanted.path, exc) from exc
    try:
        with os.fdopen(descriptor, "wb") as stream:
            present = lstat_in(name, folder) or os.fstat(stream.fileno())
            uid = present.st_uid if wanted.uid is None else wanted.uid
            gid = present.st_gid if wanted.gid is None else wanted.gid
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), wanted.mode)
            stream.write(wanted.content or b"")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as exc:
        unlink_in(staged.temporary, folder)
        raise os_error("write", wanted.path, exc) from exc
    return staged


def _keep(staged: _Staged) -> None:
    """Give the file a second name, so that replacing it loses nothing, in the place of what had that name before."""
    folder, name, backup = staged.folder, staged.name, backup_path(staged.name)
    present, before = os.stat(name, dir_fd=folder, follow_symlinks=False), lstat_in(backup, folder)
    if before is not None and is_same(present, before):
        # A run was killed right after it had kept the file.
        return
    temporary = os.path.basename(staged_path(backup))
    unlink_in(temporary, folder)
    os.link(name, temporary, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    try:
        os.rename(temporary, backup, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        unlink_in(temporary, folder)


def is_same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _check_one_name(path: str, info: os.stat_result, backup: os.stat_result | None) -> None:
    """FileError where the file has another name than those that it has from us: it may be any file of root's."""
    ours = 2 if backup is not None and is_same(info, backup) else 1
    if info.st_nlink > ours:
        raise FileError(
            f"{path} has {info.st_nlink} names (hard links), so its owner "
            "and mode are another file's too: put a copy in its place",
            path=path,
        )


def _apply_directory(wanted: WantedDirectory) -> None:
    def make(folder: int, name: str, is_last: bool) -> None:
        # Not left to the umask: with 077, common for root, nobody else would get through to the folder.
        try:
            os.mkdir(name, 0o700 if is_last else NEW_PARENT_MODE, dir_fd=folder)
        except FileExistsError:
            # Another run made it at the same time; were it no folder, opening it says so.
            return
        if not is_last:
            _on_folder(folder, name, lambda descriptor: os.fchmod(descriptor, NEW_PARENT_MODE))

    def set_attributes(descriptor: int) -> None:
        _set_attributes(descriptor, wanted)

    try:
        with open_folder(wanted.path, make) as place:
            try:
                _on_folder(place.descriptor, ".", set_attributes)
            except OSError as exc:
                raise os_error("set owner and mode of", wanted.path, exc) from exc
    except OSError as exc:
        raise os_error("create folder", wanted.path, exc) from exc


def _set_file_attributes(wanted: WantedFile, folder: int) -> None:
    name = os.path.basename(wanted.path)
    try:
        with open_regular(name, folder, follow=False, shown=wanted.path) as stream:
            info = os.fstat(stream.fileno())
            _check_one_name(wanted.path, info, lstat_in(backup_path(name), folder))
            _set_attributes(stream.fileno(), wanted)
    except OSError as exc:
        raise os_error("set owner and mode of", wanted.path, exc) from exc


def _set_attributes(descriptor: int, wanted: WantedDirectory | WantedFile) -> None:
    os.fchown(descriptor, -1 if wanted.uid is None else wanted.uid, -1 if wanted.gid is None else wanted.gid)
    os.fchmod(descriptor, wanted.mode)


def _on_folder(folder: int, name: str, act: t.Callable[[int], None]) -> None:
    """Open a folder for more than a way through it, and act on the descriptor."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        act(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: str, folder: int) -> None:
    try:
        _on_folder(folder, ".", os.fsync)
    except OSError as exc:
        raise os_error("flush folder", path, exc) from exc


def new_folders(paths: t.Iterable[str]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Before and after of folders that are made on the way to another one."""
    paths = tuple(paths)
    made = {"state": "directory", "mode": f"{NEW_PARENT_MODE:04o}"}
    return {path: {"state": "absent"} for path in paths}, dict.fromkeys(paths, made)


__all__ = (
    "NEW_PARENT_MODE",
    "Change",
    "WantedDirectory",
    "WantedFile",
    "apply_changes",
    "backup_path",
    "check_may_give",
    "gid_of",
    "has_leftover",
    "is_same",
    "lstat_in",
    "missing_parents",
    "new_folders",
    "plan_directory",
    "plan_file",
    "remove_file",
    "remove_leftover",
    "staged_path",
    "sync_folder",
    "uid_of",
    "unlink_in",
)
