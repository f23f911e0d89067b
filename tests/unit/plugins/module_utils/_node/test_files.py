# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place that writes files: the order of its steps, what a killed run leaves, and what can be in the way."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pathlib
import re
import stat
import subprocess
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    WantedFile,
    apply_changes,
    backup_path,
    check_may_give,
    gid_of,
    has_leftover,
    missing_parents,
    move_to,
    new_file,
    plan_directory,
    plan_file,
    put_aside,
    put_in_place,
    remove_file,
    remove_folder,
    remove_leftover,
    staged_path,
    uid_of,
    write_program,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    describe,
    group_name,
    owner_name,
    read_file,
    read_head,
    real_path,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.ordinary_user import ordinary_user

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and mount")
SECRET = b"-----BEGIN PRIVATE KEY-----"


def mode_of(path: t.Any) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def write(path: pathlib.Path, content: bytes, mode: int = 0o644) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


# Plan -----------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_planned_and_not_written(tmp_path: pathlib.Path) -> None:
    change = plan_file(WantedFile(str(tmp_path / "f"), 0o600, b"x"))
    assert change is not None
    assert change.reasons == ("missing",)
    assert change.before == {"state": "absent"}
    assert change.after == {
        "state": "file",
        "owner": owner_name(os.geteuid()),
        "group": group_name(os.getegid()),
        "mode": "0600",
    }
    assert os.listdir(tmp_path) == []


def test_a_file_as_wanted_is_no_change(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "f", b"x", 0o600)
    assert plan_file(WantedFile(path, 0o600, b"x")) is None
    assert plan_file(WantedFile(path, 0o600, b"x", os.geteuid(), os.lstat(path).st_gid)) is None
    assert plan_file(WantedFile(path, 0o600, None)) is None


@pytest.mark.parametrize(
    ("content", "mode", "reasons"),
    [
        (b"y", 0o600, ("content",)),
        (b"x", 0o644, ("mode",)),
        (b"y", 0o644, ("content", "mode")),
        (None, 0o644, ("mode",)),
    ],
)
def test_reasons(tmp_path: pathlib.Path, content: bytes | None, mode: int, reasons: tuple[str, ...]) -> None:
    change = plan_file(WantedFile(write(tmp_path / "f", b"x", 0o600), mode, content))
    assert change is not None and change.reasons == reasons


@as_root
def test_owner_and_group_are_reasons(tmp_path: pathlib.Path) -> None:
    change = plan_file(WantedFile(write(tmp_path / "f", b"x", 0o600), 0o600, b"x", 64123, 64124))
    assert change is not None and change.reasons == ("owner", "group")
    assert (change.before["owner"], change.after["owner"], change.after["group"]) == ("root", "64123", "64124")
    apply_changes([change])
    found = os.lstat(tmp_path / "f")
    assert (found.st_uid, found.st_gid) == (64123, 64124)


def test_content_is_never_shown(tmp_path: pathlib.Path) -> None:
    change = plan_file(WantedFile(str(tmp_path / "f"), 0o600, SECRET, secret=True))
    assert "PRIVATE" not in repr(change)


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_link_in_the_files_place_is_refused(tmp_path: pathlib.Path, target: str) -> None:
    write(tmp_path / "elsewhere", b"x")
    (tmp_path / "f").symlink_to(target)
    with pytest.raises(FileError, match="f is a symbolic link: put a file there, or name its target"):
        plan_file(WantedFile(str(tmp_path / "f"), 0o600, b"y"))


@pytest.mark.parametrize("content", [b"y", None])
def test_a_folder_in_the_files_place_is_refused(tmp_path: pathlib.Path, content: bytes | None) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(FileError, match=r"f is a directory, .*: move it away"):
        plan_file(WantedFile(str(tmp_path / "f"), 0o600, content))


def test_a_pipe_in_the_files_place_does_not_block(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "f")
    with pytest.raises(FileError, match="f is not a regular file: move it away"):
        plan_file(WantedFile(str(tmp_path / "f"), 0o600, b"y"))


def test_a_file_in_the_folders_place_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileError, match="d is a file, a directory is wanted: move it away"):
        plan_directory(WantedDirectory(write(tmp_path / "d", b""), 0o755))


# Read -----------------------------------------------------------------------------------------------------------


def test_read_file(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "f", b"x" * 10)
    assert read_file(path) == b"x" * 10
    assert read_file(path, limit_bytes=10) == b"x" * 10
    with pytest.raises(FileError, match="larger than 9 bytes"):
        read_file(path, limit_bytes=9)
    assert read_file(str(tmp_path / "none")) is None
    assert read_file(path + "/below") is None
    with pytest.raises(FileError, match="is a directory, not a file: move it away"):
        read_file(str(tmp_path))


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/tty", "pipe", "socket"])
def test_what_is_no_file_is_not_even_opened(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Some devices do something when they are opened: a watchdog would reset the host."""
    os.mkfifo(tmp_path / "pipe")
    os.mknod(tmp_path / "socket", 0o600 | stat.S_IFSOCK)
    (tmp_path / "f").symlink_to(target)
    real, opened = os.open, []

    def watched(path: t.Any, flags: int, *arguments: t.Any, **options: t.Any) -> int:
        opened.append(flags & os.O_PATH)
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", watched)
    for read in (read_file, lambda path: read_head(path, 4)):
        with pytest.raises(FileError, match="f is not a regular file"):
            read(str(tmp_path / "f"))
    assert opened == [os.O_PATH] * 2


def test_the_head_of_a_file(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "f", b"x" * 100)
    assert (read_head(path, 4), read_head(path, 1000), read_head(path + "-", 4)) == (b"xxxx", b"x" * 100, None)
    assert read_head("/proc/self/cmdline", 4096)
    with pytest.raises(FileError, match="is a directory"):
        read_head(str(tmp_path), 4)


def test_the_way_without_links(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/./b")
    (tmp_path / "circle").symlink_to("circle")
    for path, real in (
        ("link", "a/b"),
        ("link/..", "a"),
        ("link/../b/new/er", "a/b/new/er"),
        ("a//b/", "a/b"),
    ):
        assert real_path(f"{tmp_path}/{path}") == f"{tmp_path}/{real}"
    assert real_path("/../..") == "/"
    with pytest.raises(FileError, match="too many symbolic links"):
        real_path(str(tmp_path / "circle" / "x"))


def test_read_errors_have_a_remedy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: t.Any, **_options: t.Any) -> t.Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FileError, match="can't read /x: permission denied: run as root"):
        read_file("/x")


@pytest.mark.parametrize(
    ("make", "state"),
    [
        (lambda path: path.mkdir(), "directory"),
        (lambda path: path.write_text(""), "file"),
        (lambda path: path.symlink_to("x"), "link"),
        (os.mkfifo, "other"),
        (lambda path: None, "absent"),
    ],
)
def test_describe(tmp_path: pathlib.Path, make: t.Callable[[pathlib.Path], None], state: str) -> None:
    make(tmp_path / "f")
    assert describe(str(tmp_path / "f"))["state"] == state


def test_names_and_numbers() -> None:
    assert (uid_of("root"), gid_of("root"), uid_of("64123"), gid_of("64124")) == (0, 0, 64123, 64124)
    assert (owner_name(0), owner_name(64123), group_name(64124)) == ("root", "64123", "64124")
    with pytest.raises(
        FileError, match="user nobody-here does not exist on this host: create it or name another owner"
    ):
        uid_of("nobody-here")
    with pytest.raises(
        FileError, match="group nobody-here does not exist on this host: create it or name another group"
    ):
        gid_of("nobody-here")


@pytest.mark.parametrize(
    ("uid", "gid", "line"),
    [
        (12345, 12345, None),
        (12345, 12346, None),
        (
            0,
            12345,
            "only root can give files to the-owner, and this runs as 12345: run as root (become: true), or name",
        ),
        (None, 12345, "only root can give files to the-owner"),
        (12345, 0, "only root can give files to the-group, to which 12345 does not belong: run as root"),
        (12345, None, "only root can give files to the-group"),
    ],
)
def test_an_ordinary_users_files_are_its_own(
    uid: int | None, gid: int | None, line: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "getegid", lambda: 12345)
    monkeypatch.setattr(os, "getgroups", lambda: [12346])
    with pytest.raises(FileError, match=re.escape(line)) if line else contextlib.nullcontext():
        check_may_give("the-owner", uid, "the-group", gid)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    check_may_give("the-owner", uid, "the-group", gid)


# Apply ----------------------------------------------------------------------------------------------------------


def wanted_three(folder: pathlib.Path) -> list[WantedFile]:
    return [
        WantedFile(str(folder / "ca.crt"), 0o644, b"ca"),
        WantedFile(str(folder / "m.key"), 0o600, SECRET, secret=True),
        WantedFile(str(folder / "m.crt"), 0o640, b"crt"),
    ]


def test_write_then_nothing_to_do(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "a" / "b" / "pki"
    directory = WantedDirectory(str(folder), 0o750)
    assert apply_changes([plan_directory(directory), *map(plan_file, wanted_three(folder))]) == {}
    assert (folder / "m.key").read_bytes() == SECRET
    assert [mode_of(folder / name) for name in ("", "ca.crt", "m.key", "m.crt")] == [0o750, 0o644, 0o600, 0o640]
    assert sorted(os.listdir(folder)) == ["ca.crt", "m.crt", "m.key"]
    assert [plan_directory(directory), *map(plan_file, wanted_three(folder))] == [None] * 4


def test_all_are_staged_before_the_first_is_renamed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    rename, fsync = os.rename, os.fsync

    def watched_rename(source: str, target: str, **folders: t.Any) -> None:
        steps.append(f"rename {os.path.basename(target)}")
        rename(source, target, **folders)

    def watched_fsync(descriptor: int) -> None:
        steps.append("flush " + os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr(os, "rename", watched_rename)
    monkeypatch.setattr(os, "fsync", watched_fsync)
    apply_changes([*map(plan_file, wanted_three(tmp_path))])
    assert steps == [
        "flush .ca.crt.ringfence-new",
        "flush .m.key.ringfence-new",
        "flush .m.crt.ringfence-new",
        "rename ca.crt",
        "rename m.key",
        "rename m.crt",
        f"flush {tmp_path.name}",
    ]


def test_owner_and_mode_are_final_before_the_content(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []
    fchown, fchmod = os.fchown, os.fchmod

    def watched_chown(descriptor: int, uid: int, gid: int) -> None:
        # Closed to all others from the first moment on.
        seen.append(("chown", stat.S_IMODE(os.fstat(descriptor).st_mode)))
        assert os.fstat(descriptor).st_size == 0
        fchown(descriptor, uid, gid)

    def watched_chmod(descriptor: int, mode: int) -> None:
        seen.append(("chmod", mode))
        assert os.fstat(descriptor).st_size == 0
        fchmod(descriptor, mode)

    monkeypatch.setattr(os, "fchown", watched_chown)
    monkeypatch.setattr(os, "fchmod", watched_chmod)
    apply_changes([plan_file(WantedFile(str(tmp_path / "f"), 0o644, b"x"))])
    assert seen == [("chown", 0o600), ("chmod", 0o644)]


def test_the_owner_stays_where_none_is_wanted(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "f", b"x")
    if os.geteuid() == 0:
        os.chown(path, 64123, 64124)
    before = os.lstat(path)
    apply_changes([plan_file(WantedFile(path, 0o600, b"y"))])
    after = os.lstat(path)
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino and mode_of(path) == 0o600


def test_only_owner_and_mode_do_not_rewrite_the_file(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "f", b"x")
    inode = os.lstat(path).st_ino
    apply_changes([plan_file(WantedFile(path, 0o600, b"x"))])
    assert (os.lstat(path).st_ino, mode_of(path)) == (inode, 0o600)


def test_no_content_for_a_missing_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileError, match="f does not exist and no content for it was given"):
        apply_changes([plan_file(WantedFile(str(tmp_path / "f"), 0o600))])
    assert os.listdir(tmp_path) == []


def test_folders_above_do_not_take_the_umask(tmp_path: pathlib.Path) -> None:
    before = os.umask(0o077)
    try:
        assert missing_parents(str(tmp_path / "a" / "b" / "pki")) == [str(tmp_path / "a"), str(tmp_path / "a" / "b")]
        apply_changes([plan_directory(WantedDirectory(str(tmp_path / "a" / "b" / "pki"), 0o700))])
    finally:
        os.umask(before)
    assert [mode_of(tmp_path / path) for path in ("a", "a/b", "a/b/pki")] == [0o755, 0o755, 0o700]


@pytest.mark.parametrize("what", ["folder", "file"])
@pytest.mark.parametrize("name", ["a", "a/pki"])
def test_what_another_run_makes_at_the_same_time(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, name: str, what: str
) -> None:
    """Between the look and the making: a folder is as good as an own one and keeps its mode, a file is an error."""
    path = tmp_path / name
    change = plan_directory(WantedDirectory(str(tmp_path / "a" / "pki"), 0o750))
    mkdir = os.mkdir

    def make_late(wanted: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None and wanted == path.name:
            if what == "folder":
                mkdir(path, 0o711)
            else:
                path.touch()
        mkdir(wanted, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", make_late)
    if what == "file":
        with pytest.raises(FileError, match="can't create folder"):
            apply_changes([change])
    else:
        apply_changes([change])
        assert stat.S_IMODE((tmp_path / "a" / "pki").stat().st_mode) == 0o750
        assert name != "a" or stat.S_IMODE(path.stat().st_mode) == 0o711


def test_a_link_to_a_folder_is_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    apply_changes([plan_directory(WantedDirectory(str(tmp_path / "link"), 0o755))])
    assert mode_of(tmp_path / "real") == 0o755 and (tmp_path / "link").is_symlink()


# Another user has been there -----------------------------------------------------------------------------------------

# Stands for etcd's user.
SOMEBODY = 64123


@pytest.fixture
def theirs(open_folder: pathlib.Path) -> pathlib.Path:
    """A folder that another user may write, with a file of that user's, beside a folder and a file of root's."""
    for name in ("theirs", "etc"):
        (open_folder / name).mkdir()
        write(open_folder / name / "file", b"x", 0o640)
    os.chown(open_folder / "theirs", SOMEBODY, SOMEBODY)
    os.chown(open_folder / "theirs" / "file", SOMEBODY, SOMEBODY)
    return open_folder / "theirs"


def state_of(path: pathlib.Path) -> dict[str, tuple[int, int, int]]:
    """Owner, group and mode of all that is in a folder, and of the folder."""
    found = {name: os.lstat(path / name) for name in (".", *os.listdir(path))}
    return {name: (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) for name, info in found.items()}


def plant(link: pathlib.Path, target: str) -> None:
    link.symlink_to(target)
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)


@as_root
@pytest.mark.parametrize("below", ["", "/new", "/new/deep"])
def test_a_folder_that_became_a_link_is_not_given_away(theirs: pathlib.Path, below: str) -> None:
    etc = theirs.parent / "etc"
    before = state_of(etc)
    plant(theirs / "data", "../etc")
    wanted = WantedDirectory(str(theirs / "data") + below, 0o700, SOMEBODY, SOMEBODY)
    with pytest.raises(FileError, match=r"theirs/data, on the way to .*, is a symbolic link that belongs to 64123"):
        plan_directory(wanted)
    # Between plan and apply.
    (theirs / "data").unlink()
    change = plan_directory(wanted)
    plant(theirs / "data", str(etc))
    with pytest.raises(FileError, match="is a symbolic link that belongs to 64123"):
        apply_changes([change])
    assert state_of(etc) == before


@as_root
def test_roots_own_link_counts_only_in_a_folder_of_roots(theirs: pathlib.Path) -> None:
    os.symlink("../etc", theirs / "link")
    with pytest.raises(FileError, match="is a symbolic link that lies in a folder of 64123"):
        plan_directory(WantedDirectory(str(theirs / "link"), 0o700))
    os.symlink("etc", theirs.parent / "link")
    assert plan_directory(WantedDirectory(str(theirs.parent / "link" / ".." / "etc"), 0o755)) is None
    theirs.parent.chmod(0o775)
    with pytest.raises(FileError, match=r"lies in a folder that others may write \(0775\)"):
        plan_directory(WantedDirectory(str(theirs.parent / "link"), 0o700))


@as_root
def test_nothing_is_written_beyond_a_link_of_somebody_elses(theirs: pathlib.Path) -> None:
    etc = theirs.parent / "etc"
    (theirs / "pki").mkdir()
    changes = [plan_file(WantedFile(str(theirs / "pki" / name), 0o600, b"new")) for name in ("new", "file")]
    (theirs / "pki").rmdir()
    plant(theirs / "pki", "../etc")
    for late in changes:
        with pytest.raises(FileError, match="is a symbolic link that belongs to 64123"):
            apply_changes([late])
    with pytest.raises(FileError, match="is a symbolic link that belongs to 64123"):
        plan_file(WantedFile(str(theirs / "pki" / "file"), 0o600))
    (etc / ".file.ringfence-new").touch()
    with pytest.raises(FileError, match="is a symbolic link that belongs to 64123"):
        remove_leftover(str(theirs / "pki" / "file"))
    assert sorted(os.listdir(etc)) == [".file.ringfence-new", "file"] and (etc / "file").read_bytes() == b"x"


@as_root
@pytest.mark.parametrize("content", [b"x", None])
def test_a_file_that_became_a_link_or_has_a_second_name_is_left_alone(
    theirs: pathlib.Path, content: bytes | None
) -> None:
    etc, path = theirs.parent / "etc", theirs / "file"
    before = state_of(etc)
    wanted = WantedFile(str(path), 0o600, content, SOMEBODY, SOMEBODY)
    change = plan_file(wanted)
    path.unlink()
    plant(path, "../etc/file")
    with pytest.raises(FileError, match="theirs/file is not a regular file"):
        apply_changes([change])
    path.unlink()
    os.link(etc / "file", path)
    line = r"theirs/file has 2 names \(hard links\), so its owner and mode are another file's too: put a copy"
    with pytest.raises(FileError, match=line):
        plan_file(wanted)
    with pytest.raises(FileError, match=line):
        apply_changes([change])
    assert state_of(etc) == before
    # Other content is another file, and the old one keeps what it has.
    apply_changes([plan_file(WantedFile(str(path), 0o600, b"new", SOMEBODY, SOMEBODY))])
    assert state_of(etc) == before and path.read_bytes() == b"new" and (etc / "file").read_bytes() == b"x"


@as_root
def test_a_pipe_or_a_device_that_came_late_is_left_alone(theirs: pathlib.Path) -> None:
    path = theirs / "file"
    change = plan_file(WantedFile(str(path), 0o600))
    path.unlink()
    os.mkfifo(path, 0o644)
    with pytest.raises(FileError, match="theirs/file is not a regular file"):
        apply_changes([change])
    assert mode_of(path) == 0o644


# What a killed run leaves ---------------------------------------------------------------------------------------


def _leave_a_file(path: str) -> None:
    pathlib.Path(path).write_bytes(b"half a k")


def _leave_a_link(path: str) -> None:
    os.symlink(os.path.join(os.path.dirname(path), "victim"), path)


@pytest.mark.parametrize("leave", [_leave_a_file, _leave_a_link])
def test_what_a_killed_run_left_is_replaced(tmp_path: pathlib.Path, leave: t.Callable[[str], None]) -> None:
    write(tmp_path / "victim", b"v")
    path = str(tmp_path / "m.key")
    leave(staged_path(path))
    assert has_leftover(path)
    apply_changes([plan_file(WantedFile(path, 0o600, SECRET))])
    assert pathlib.Path(path).read_bytes() == SECRET and not os.path.islink(path)
    assert (tmp_path / "victim").read_bytes() == b"v"
    assert not has_leftover(path)


def test_remove_leftover(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "m.key", SECRET)
    remove_leftover(path)
    _leave_a_file(staged_path(path))
    remove_leftover(path)
    assert os.listdir(tmp_path) == ["m.key"]


def test_a_folder_in_the_staged_files_place_has_a_line(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "m.key")
    os.mkdir(staged_path(path))
    with pytest.raises(FileError, match=r"can't remove .*\.m\.key\.ringfence-new"):
        remove_leftover(path)
    with pytest.raises(FileError, match=r"can't write .*m\.key"):
        apply_changes([plan_file(WantedFile(path, 0o600, SECRET))])


@pytest.mark.parametrize("killed_at", [0, 1, 2])
def test_a_run_killed_between_the_renames_is_finished_by_the_next(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    class Killed(BaseException):
        pass

    rename, count = os.rename, 0

    def dying_rename(source: str, target: str, **folders: t.Any) -> None:
        nonlocal count
        count += 1
        if count > killed_at:
            raise Killed
        rename(source, target, **folders)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", dying_rename)
        # A killed process does not clean up.
        patch.setattr(os, "unlink", lambda path, **folder: None)
        with pytest.raises(Killed):
            apply_changes([*map(plan_file, wanted_three(tmp_path))])
    assert sum(name.endswith("ringfence-new") for name in os.listdir(tmp_path)) == 3 - killed_at
    apply_changes([*map(plan_file, wanted_three(tmp_path))])
    assert sorted(os.listdir(tmp_path)) == ["ca.crt", "m.crt", "m.key"]


# What can be in the way -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [1, 2, 3])
@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "the disk is full: make room"), (errno.EDQUOT, "the disk quota is used up")]
)
def test_a_full_disk_changes_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, failing: int, number: int, remedy: str
) -> None:
    write(tmp_path / "m.key", b"old", 0o600)
    fsync, count = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == failing:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    changes = [*map(plan_file, wanted_three(tmp_path))]
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=remedy):
        apply_changes(changes, keep_replaced=[str(tmp_path / "m.key")])
    assert os.listdir(tmp_path) == ["m.key"] and (tmp_path / "m.key").read_bytes() == b"old"


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """A file system of 32 KiB, mounted read-write."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32k", "ringfence-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not possible here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_really_full_disk_changes_nothing(small_disk: pathlib.Path) -> None:
    write(small_disk / "m.key", b"old", 0o600)
    wanted = [
        WantedFile(str(small_disk / "ca.crt"), 0o644, b"ca"),
        WantedFile(str(small_disk / "m.key"), 0o600, b"k" * 65536),
    ]
    with pytest.raises(FileError, match=r"can't write .*m\.key: the disk is full: make room and run again"):
        apply_changes([*map(plan_file, wanted)])
    assert os.listdir(small_disk) == ["m.key"] and (small_disk / "m.key").read_bytes() == b"old"


def test_a_read_only_file_system_has_its_line(small_disk: pathlib.Path) -> None:
    write(small_disk / "m.crt", b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(FileError, match="the file system is read-only: mount it writable or choose another folder"):
        apply_changes([*map(plan_file, wanted_three(small_disk))])
    with pytest.raises(FileError, match=r"can't create folder .*: the file system is read-only"):
        apply_changes([plan_directory(WantedDirectory(str(small_disk / "pki"), 0o755))])
    with pytest.raises(FileError, match=r"can't set owner and mode of .*: the file system is read-only"):
        apply_changes([plan_file(WantedFile(str(small_disk / "m.crt"), 0o600))])
    assert os.listdir(small_disk) == ["m.crt"]


def test_a_folder_without_permission_has_its_line(open_folder: pathlib.Path) -> None:
    open_folder.chmod(0o555)
    with ordinary_user(), pytest.raises(FileError, match="permission denied: run as root"):
        apply_changes([*map(plan_file, wanted_three(open_folder))])
    assert os.listdir(open_folder) == []


def test_a_folder_that_can_not_be_flushed_has_its_line(open_folder: pathlib.Path) -> None:
    """Without the right to list a folder it can't be opened, though files can be put in it."""
    open_folder.chmod(0o333)
    with ordinary_user(), pytest.raises(FileError, match=r"can't flush folder .*: permission denied: run as root"):
        apply_changes([plan_file(WantedFile(str(open_folder / "m.crt"), 0o644, b"new"))])
    open_folder.chmod(0o755)
    assert (open_folder / "m.crt").read_bytes() == b"new"


def test_a_path_that_the_system_does_not_take_has_its_line(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileError, match=r"can't look at .*: File name too long"):
        describe(str(tmp_path / ("x" * 256)))


def test_a_failing_rename_leaves_nothing_staged(tmp_path: pathlib.Path) -> None:
    changes = [*map(plan_file, wanted_three(tmp_path))]
    (tmp_path / "m.key").mkdir()
    with pytest.raises(FileError, match="can't write"):
        apply_changes(changes)
    assert sorted(os.listdir(tmp_path)) == ["ca.crt", "m.key"]


# A key is never lost --------------------------------------------------------------------------------------------


def test_the_last_replaced_key_is_kept(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "m.key")
    for number, content in enumerate((b"one", b"two", b"three")):
        expected = {} if number == 0 else {path: backup_path(path)}
        assert apply_changes([plan_file(WantedFile(path, 0o600, content))], keep_replaced=[path]) == expected
    assert (tmp_path / "m.key").read_bytes() == b"three"
    assert (tmp_path / "m.key.replaced").read_bytes() == b"two"
    assert mode_of(tmp_path / "m.key.replaced") == 0o600
    assert sorted(os.listdir(tmp_path)) == ["m.key", "m.key.replaced"]


def test_a_link_under_the_kept_name_is_replaced_and_not_followed(tmp_path: pathlib.Path) -> None:
    path, victim = write(tmp_path / "m.key", b"one", 0o600), write(tmp_path / "victim", b"v")
    (tmp_path / "m.key.replaced").symlink_to("victim")
    (tmp_path / ".m.key.replaced.ringfence-new").symlink_to("victim")
    assert apply_changes([plan_file(WantedFile(path, 0o600, b"two"))], keep_replaced=[path]) == {
        path: backup_path(path)
    }
    assert (tmp_path / "m.key.replaced").read_bytes() == b"one" and not (tmp_path / "m.key.replaced").is_symlink()
    assert pathlib.Path(victim).read_bytes() == b"v"
    assert sorted(os.listdir(tmp_path)) == ["m.key", "m.key.replaced", "victim"]


def test_a_folder_under_the_kept_name_has_a_line(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "m.key", b"one", 0o600)
    (tmp_path / "m.key.replaced").mkdir()
    with pytest.raises(FileError, match=r"can't write .*m\.key"):
        apply_changes([plan_file(WantedFile(path, 0o600, b"two"))], keep_replaced=[path])
    assert pathlib.Path(path).read_bytes() == b"one"
    assert sorted(os.listdir(tmp_path)) == ["m.key", "m.key.replaced"]


@pytest.mark.parametrize("killed_at", [0, 1])
def test_a_run_killed_while_it_keeps_a_key_is_finished_by_the_next(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    class Killed(BaseException):
        pass

    path, count, rename = write(tmp_path / "m.key", b"one", 0o640), 0, os.rename

    def dying_rename(*names: t.Any, **folders: t.Any) -> None:
        nonlocal count
        count += 1
        if count > killed_at:
            raise Killed
        rename(*names, **folders)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", dying_rename)
        patch.setattr(os, "unlink", lambda path, **folder: None)
        with pytest.raises(Killed):
            apply_changes([plan_file(WantedFile(path, 0o640, b"two"))], keep_replaced=[path])
    assert has_leftover(path)
    remove_leftover(path)
    # The kept name is ours: it does not make a stranger's file of the key.
    apply_changes([plan_file(WantedFile(path, 0o600, None))])
    assert mode_of(path) == 0o600
    apply_changes([plan_file(WantedFile(path, 0o600, b"two"))], keep_replaced=[path])
    assert sorted(os.listdir(tmp_path)) == ["m.key", "m.key.replaced"]
    assert [(tmp_path / name).read_bytes() for name in ("m.key", "m.key.replaced")] == [b"two", b"one"]


@pytest.mark.parametrize("content", [b"one", None])
def test_drift_alone_keeps_no_copy(tmp_path: pathlib.Path, content: bytes | None) -> None:
    path = write(tmp_path / "m.key", b"one", 0o644)
    assert apply_changes([plan_file(WantedFile(path, 0o600, content))], keep_replaced=[path]) == {}
    assert os.listdir(tmp_path) == ["m.key"]


def test_other_files_are_not_kept(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "m.crt", b"one")
    assert apply_changes([plan_file(WantedFile(path, 0o644, b"two"))], keep_replaced=["/other"]) == {}
    assert os.listdir(tmp_path) == ["m.crt"]


# Programs, and what is put aside --------------------------------------------------------------------------------------


def test_a_program_that_is_too_long_leaves_nothing(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "etcd", b"what was there")
    with pytest.raises(FileError) as caught:
        write_program(path, io.BytesIO(b"x" * 101), 100)
    assert str(caught.value) == f"{path} would be larger than 100 bytes: that is no program of etcd's"
    assert os.listdir(tmp_path) == []


def test_a_stream_that_breaks_leaves_nothing_and_its_own_words(tmp_path: pathlib.Path) -> None:
    """An archive that is cut off says so by an error without a number, which is for its reader to tell."""

    class Cut(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("it ends in the middle")

    with pytest.raises(OSError, match=r"^it ends in the middle$"):
        write_program(str(tmp_path / "etcd"), Cut(), 100)
    assert os.listdir(tmp_path) == []


def test_where_a_file_can_not_be_put_aside_or_in_place_both_stay(tmp_path: pathlib.Path) -> None:
    """Each says what was to be done with which path, and why not."""
    path, staged = write(tmp_path / "etcd", b"old"), write(tmp_path / "staged", b"new")
    (tmp_path / "etcd.replaced").mkdir()
    nowhere = f"{tmp_path}/staged/etcd"
    for attempt, line in (
        (lambda: put_in_place(staged, path, f"{path}.replaced"), f"can't replace {path}: is a directory"),
        (lambda: put_aside(nowhere, "old"), f"can't move aside {nowhere}: a part of the path is not a directory"),
        (lambda: remove_file(nowhere), f"can't remove {nowhere}: a part of the path is not a directory"),
        (lambda: remove_file(str(tmp_path / "etcd.replaced")), f"can't remove {tmp_path}/etcd.replaced: "),
    ):
        with pytest.raises(FileError) as caught:
            attempt()
        assert str(caught.value).lower().startswith(line.lower())
    assert (tmp_path / "etcd").read_bytes() == b"old" and (tmp_path / "staged").read_bytes() == b"new"


def test_what_is_in_no_folder_is_gone_already(tmp_path: pathlib.Path) -> None:
    nowhere = str(tmp_path / "missing" / "etcd")
    assert put_aside(nowhere, "old") is None
    remove_file(nowhere)
    remove_leftover(nowhere)
    remove_leftover(f"{write(tmp_path / 'a file', b'')}/etcd")
    assert os.listdir(tmp_path) == ["a file"]


@as_root
def test_on_a_read_only_file_system_each_says_what_it_could_not_do(small_disk: pathlib.Path) -> None:
    (small_disk / "data").mkdir()
    path, left = write(small_disk / "etcd", b"x"), write(small_disk / ".etcd.ringfence-new", b"half")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for attempt, line in (
        (lambda: remove_file(path), f"can't remove {path}: "),
        (lambda: remove_leftover(path), f"can't remove {left}: "),
        (lambda: put_aside(path, "old"), f"can't move aside {path}: "),
        (lambda: write_program(path, io.BytesIO(b"y"), 9), f"can't write {path}: "),
        (lambda: put_in_place(left, path, f"{path}.replaced"), f"can't replace {path}: "),
        (
            lambda: apply_changes([plan_directory(WantedDirectory(str(small_disk / "data"), 0o700))]),
            f"can't set owner and mode of {small_disk}/data: ",
        ),
        (
            lambda: apply_changes([plan_directory(WantedDirectory(str(small_disk / "more"), 0o700))]),
            f"can't create folder {small_disk}/more: ",
        ),
    ):
        with pytest.raises(FileError) as caught:
            attempt()
        assert str(caught.value).startswith(line) and "read-only" in str(caught.value)
    assert sorted(os.listdir(small_disk)) == [".etcd.ringfence-new", "data", "etcd"]


def test_a_folder_that_is_gone_since_the_plan_has_its_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "pki").mkdir()
    change = plan_file(WantedFile(str(tmp_path / "pki" / "ca.crt"), 0o644, b"x"))
    (tmp_path / "pki").rmdir()
    with pytest.raises(FileError, match=r"^can't write .*/pki/ca\.crt: no such file or directory"):
        apply_changes([change])


# New files ------------------------------------------------------------------------------------------------------------


def test_a_new_file_has_its_name_at_the_end_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "made"
    with new_file(str(path), str(tmp_path / "x"), 0o640, 0) as file:
        file.stream.write(b"content")
        assert [entry.name for entry in tmp_path.iterdir()] == [".x.ringfence-new"]
        assert (tmp_path / ".x.ringfence-new").stat().st_mode & 0o7777 == 0o600
    assert path.read_bytes() == b"content" and path.stat().st_mode & 0o7777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["made"]


def test_of_a_new_file_that_fails_nothing_stays(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "made")
    for error in (OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), FileError("mine")):
        with pytest.raises((FileError, KeyboardInterrupt)), new_file(path, path, 0o600, 0) as file:
            file.stream.write(b"content")
            raise error
        assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(FileError, match=r"has room for .* MiB, and 1099511627777 MiB are needed"),
        new_file(path, path, 0o600, 2**60),
    ):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_writes_over_none_and_what_a_killed_run_left_is_no_obstacle(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "made"
    (tmp_path / ".x.ringfence-new").write_text("left, and longer than what comes now")
    with new_file(str(path), str(tmp_path / "x"), 0o600, 0) as file:
        file.stream.write(b"first")
    with (
        pytest.raises(FileError, match="made exists, and is not written over"),
        new_file(str(path), str(tmp_path / "x"), 0o600, 0),
    ):
        raise AssertionError
    # One that comes in while it is written.
    other = tmp_path / "other"
    said = "other exists, and is not written over"
    with pytest.raises(FileError, match=said), new_file(str(other), str(tmp_path / "x"), 0o600, 0):
        other.write_text("theirs")
    assert (path.read_text(), other.read_text()) == ("first", "theirs")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["made", "other"]


def test_of_two_that_write_a_new_file_at_once_the_second_is_refused(tmp_path: pathlib.Path) -> None:
    with new_file(str(tmp_path / "one"), str(tmp_path / "x"), 0o600, 0) as file:
        said = "is being written by another run"
        with pytest.raises(FileError, match=said), new_file(str(tmp_path / "two"), str(tmp_path / "x"), 0o600, 0):
            raise AssertionError
        file.stream.write(b"content")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("one", b"content")]


def test_another_file_in_the_place_of_a_new_one_is_not_touched(tmp_path: pathlib.Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    staged = tmp_path / ".x.ringfence-new"
    os.link(tmp_path / "theirs", staged)
    with (
        pytest.raises(FileError, match="is not a file of this collection's"),
        new_file(str(tmp_path / "made"), str(tmp_path / "x"), 0o600, 0),
    ):
        raise AssertionError
    staged.unlink()
    staged.symlink_to("theirs")
    with pytest.raises(FileError, match="can't write"), new_file(str(tmp_path / "made"), str(tmp_path / "x"), 0o600, 0):
        raise AssertionError
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_a_move_writes_over_nothing_and_a_removal_follows_no_link(tmp_path: pathlib.Path) -> None:
    for name in ("source", "taken", "kept"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(FileError, match="taken exists, and is not written over"):
        move_to(str(tmp_path / "source"), str(tmp_path / "taken"))
    move_to(str(tmp_path / "source"), str(tmp_path / "free"))
    with pytest.raises(FileError, match=r"can't move .*source to "):
        move_to(str(tmp_path / "source"), str(tmp_path / "again"))
    (tmp_path / "free" / "link").symlink_to(tmp_path / "kept")
    remove_folder(str(tmp_path / "free"))
    remove_folder(str(tmp_path / "free"))
    remove_folder(str(tmp_path / "none" / "below"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["kept", "taken"]
    assert (tmp_path / "kept" / "file").read_text() == "kept"
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    with pytest.raises(FileError, match="can't remove"):
        remove_folder(str(tmp_path / "link"))
