# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What gets another name, or goes: nothing is written over, no link is followed, and each failure has its line."""

from __future__ import annotations

import io
import os
import pathlib
import subprocess

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.file_moves import (
    move_to,
    put_aside,
    put_in_place,
    remove_folder,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    apply_changes,
    plan_directory,
    remove_file,
    remove_leftover,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.new_files import write_program
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._node.written_files import (
    as_root,
    write,
)


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
