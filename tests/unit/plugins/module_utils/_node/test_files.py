# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one place that writes files: the plan, what is read, and the order of its steps."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import re
import stat
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    WantedFile,
    apply_changes,
    check_may_give,
    gid_of,
    missing_parents,
    plan_directory,
    plan_file,
    uid_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    describe,
    group_name,
    owner_name,
    read_file,
    read_head,
    real_path,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._node.written_files import (
    SECRET,
    as_root,
    mode_of,
    wanted_three,
    write,
)

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
