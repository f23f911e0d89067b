# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be in the way of a file: another user's hand, a full disk, a folder that can't be written."""

from __future__ import annotations

import errno
import os
import pathlib
import stat
import subprocess

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    WantedFile,
    apply_changes,
    plan_directory,
    plan_file,
    remove_leftover,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    describe,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._node.written_files import (
    as_root,
    mode_of,
    wanted_three,
    write,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.ordinary_user import ordinary_user

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
