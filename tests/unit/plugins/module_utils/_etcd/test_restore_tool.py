# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which program on a host restores, and what is said where none does; etcd's own are in test_real_restore.py."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import restore_tool


def program(path: pathlib.Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def tells(path: pathlib.Path, version: str) -> str:
    return program(path, f"echo '{path.name} version: {version}'; echo 'API version: 3.5'")


def places(*folders: pathlib.Path) -> t.Callable[[str], list[str]]:
    return lambda name: [str(folder / name) for folder in folders]


@pytest.fixture
def folders(tmp_path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return tmp_path / "a", tmp_path / "b"


def test_the_first_one_of_etcds_minor_version(folders: tuple[pathlib.Path, pathlib.Path]) -> None:
    a, b = folders
    control = tells(b / "etcdctl", "3.5.9")
    assert restore_tool.find_tool("3.5.16", places(a, b)) == restore_tool.RestoreTool(control, "3.5.9")
    later = tells(a / "etcdutl", "3.6.1")
    assert restore_tool.find_tool("3.5.16", places(a, b)).path == control
    # etcdutl comes first wherever it is, and etcdctl of 3.6 restores nothing.
    own = tells(b / "etcdutl", "3.5.16")
    assert restore_tool.find_tool("3.5.16", places(a, b)) == restore_tool.RestoreTool(own, "3.5.16")
    assert restore_tool.find_tool("3.6.0", places(a, b)) == restore_tool.RestoreTool(later, "3.6.1")


def test_where_there_is_none_what_was_seen_is_told_and_where_to_get_one(
    folders: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = folders
    with pytest.raises(FileError) as caught:
        restore_tool.find_tool("3.4.30", places(a, b))
    assert str(caught.value).startswith("no etcdutl or etcdctl of etcd 3.4 is on this host, and it is what restores")
    monkeypatch.setattr(restore_tool, "_ASKED_SECONDS", 0.2)
    tells(a / "etcdctl", "3.5.1")
    (a / "etcdutl").write_text("no program")
    program(b / "etcdutl", "exec sleep 60")
    program(b / "etcdctl", "echo 'etcdctl, the best'")
    with pytest.raises(FileError) as caught:
        restore_tool.find_tool("3.4.30", places(a, a, b))
    silent = "of no version that it tells"
    assert (
        f" ({a}/etcdutl is {silent}, {b}/etcdutl is {silent}, {a}/etcdctl is 3.5.1, {b}/etcdctl is {silent}), "
        in str(caught.value)
    )
    assert str(caught.value).endswith(
        "from which etcd_peer_tls_install: archive puts it in place, and in Debian's package etcd-client"
    )
    with pytest.raises(FileError, match=r"^no etcdutl of etcd 3\.6 is on this host"):
        restore_tool.find_tool("3.6.0", places(a))


def test_a_program_of_before_the_raised_revision_is_refused(tmp_path: pathlib.Path) -> None:
    knows = program(tmp_path / "new", 'test "$*" = "snapshot restore --help" && echo "  --bump-revision uint"')
    restore_tool.check_bump(restore_tool.RestoreTool(knows, "3.5.16"))
    old = program(tmp_path / "old", "echo '  --data-dir string'")
    with pytest.raises(
        ServiceError, match=r"old 3\.5\.0 knows no --bump-revision: leave out etcd_peer_tls_restore_bump"
    ):
        restore_tool.check_bump(restore_tool.RestoreTool(old, "3.5.0"))


WANTED = restore_tool.Restore("/none/etcd.db", "m1", {"m1": "https://10.0.0.1:2380"}, "token", "/none/data")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'Usage:'; echo 'Error: it is over' >&2; exit 1", "does not restore the snapshot: Error: it is over: "),
        ("echo '{\"level\": 1}'; echo 'what it says'; exit 2", "does not restore the snapshot: what it says: nothing"),
        ("exit 3", "does not restore the snapshot: exit status 3: nothing was stopped"),
    ],
)
def test_a_program_that_fails_is_told_in_its_own_words(tmp_path: pathlib.Path, script: str, words: str) -> None:
    tool = restore_tool.RestoreTool(program(tmp_path / "etcdutl", script), "3.5.16")
    with pytest.raises(ServiceError) as caught:
        restore_tool.run_restore(tool, WANTED, None)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_one_that_does_not_end_or_begin_is_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore_tool, "RESTORE_SECONDS", 0.2)
    slow = restore_tool.RestoreTool(program(tmp_path / "etcdutl", "exec sleep 60"), "3.5.16")
    with pytest.raises(FileError, match=r"etcdutl did not end within 0\.2 seconds"):
        restore_tool.run_restore(slow, WANTED, None)
    with pytest.raises(FileError, match=r"^can't run /none/etcdutl: no such file or directory"):
        restore_tool.run_restore(restore_tool.RestoreTool("/none/etcdutl", "3.5.16"), WANTED, None)
