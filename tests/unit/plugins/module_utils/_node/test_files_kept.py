# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept and put aside: what a killed run leaves, replaced keys, programs, and files that are new."""

from __future__ import annotations

import errno
import io
import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    WantedFile,
    apply_changes,
    backup_path,
    has_leftover,
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
    write_program,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._node.written_files import (
    SECRET,
    as_root,
    mode_of,
    wanted_three,
    write,
)

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
