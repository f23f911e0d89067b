# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept: what a killed run leaves, and replaced keys."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedFile,
    apply_changes,
    backup_path,
    has_leftover,
    plan_file,
    remove_leftover,
    staged_path,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._node.written_files import (
    SECRET,
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


def test_a_folder_that_is_gone_since_the_plan_has_its_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "pki").mkdir()
    change = plan_file(WantedFile(str(tmp_path / "pki" / "ca.crt"), 0o644, b"x"))
    (tmp_path / "pki").rmdir()
    with pytest.raises(FileError, match=r"^can't write .*/pki/ca\.crt: no such file or directory"):
        apply_changes([change])
