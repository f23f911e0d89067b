# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that are written in one go have their name at the end, and write over none."""

from __future__ import annotations

import errno
import io
import os
import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.new_files import new_file, write_program
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._node.written_files import (
    write,
)


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
