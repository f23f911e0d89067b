# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    RingfenceError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import trial
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.tiny_program import tiny_etcd, tiny_program

HERE = os.uname().machine
OTHER = "aarch64" if HERE == "x86_64" else "x86_64"


def put(path: pathlib.Path, content: bytes, mode: int = 0o755) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def test_a_program_that_answers(tmp_path: pathlib.Path) -> None:
    path = put(tmp_path / "etcd", tiny_etcd("3.5.35"))
    assert trial.etcd_version(path) == "3.5.35"
    trial.check_arguments(path, ["--any"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty, or can't be read"),
        (b"not a program", "is no program that this host"),
        (b"#!/no/such/interpreter\n", "interpreter or loader that it names is not on this host"),
        (tiny_program("x", machine=OTHER), f"is a program for {OTHER}, and this host is {HERE}"),
        (tiny_program("something else\n"), "does not say 'etcd Version: ...' but 'something else'"),
    ],
)
def test_why_it_can_not_be_run(content: bytes, words: str, tmp_path: pathlib.Path) -> None:
    path = put(tmp_path / "etcd", content)
    with pytest.raises(FileError) as caught:
        trial.etcd_version(path)
    assert words in str(caught.value) and str(caught.value).startswith(path) and "\n" not in str(caught.value)


def test_what_is_no_file_at_all(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileError, match="is a directory: name etcd's program"):
        trial.etcd_version(str(tmp_path))
    with pytest.raises(FileError, match="make it executable"):
        trial.etcd_version(put(tmp_path / "etcd", tiny_etcd("3.5.35"), 0o644))
    with pytest.raises(FileError, match="no such file or directory"):
        trial.etcd_version(str(tmp_path / "missing"))


def test_a_program_that_is_being_written(tmp_path: pathlib.Path) -> None:
    path = put(tmp_path / "etcd", tiny_etcd("3.5.35"))
    with open(path, "ab"), pytest.raises(FileError, match="is being written by another process"):
        trial.etcd_version(path)


def test_a_file_system_that_runs_nothing(tmp_path: pathlib.Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    folder = tmp_path / "noexec"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        path = put(folder / "etcd", tiny_etcd("3.5.35"))
        assert trial.is_mounted_noexec(path) and trial.is_mounted_noexec(str(folder / "not" / "yet"))
        with pytest.raises(FileError, match="its file system is mounted noexec"):
            trial.etcd_version(path)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert not trial.is_mounted_noexec(str(tmp_path))


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ("flag provided but not defined: -x\nUsage:\n", 2, "its arguments: flag provided but not defined: -x: this"),
        ("some words\n", 1, "its arguments: some words: this"),
        ("", 3, "its arguments: exit status 3: this"),
    ],
)
def test_flags_that_it_does_not_take(said: str, status: int, words: str, tmp_path: pathlib.Path) -> None:
    path = put(tmp_path / "etcd", tiny_program(said, status, descriptor=2))
    with pytest.raises(ServiceError) as caught:
        trial.check_arguments(path, ["--x"])
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", None),
        ("echo 'flag provided but not defined: -x' >&2; echo Usage: >&2; exit 2", "not defined: -x"),
        ("exit 1", "exit status 1"),
        ("kill -SEGV $$", "ended by signal 11"),
    ],
)
def test_what_a_script_says_of_the_arguments(tmp_path: pathlib.Path, script: str, words: str | None) -> None:
    program = tmp_path / "etcd"
    program.write_text(f'#!/bin/sh\n[ "$3" = --version ] || exit 9\n{script}\n')
    program.chmod(0o755)
    if words is None:
        trial.check_arguments(str(program), ["--a=1", "--x=2"])
        trial.check_arguments(str(tmp_path / "missing"), ["--x"])
        return
    with pytest.raises(ServiceError) as caught:
        trial.check_arguments(str(program), ["--a=1", "--x=2"])
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_one_that_does_not_end(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "TRIAL_SECONDS", 0.3)
    path = put(tmp_path / "etcd", b"#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(RingfenceError, match=r"gave no answer in 0\.3 seconds"):
        trial.check_arguments(path, [])


def test_machines() -> None:
    assert trial.elf_machine(trial.first_bytes(sys.executable)) == HERE
    assert trial.elf_machine(b"#!/bin/sh and more than twenty bytes") is None
    assert trial.elf_machine(b"\x7fELF") is None
    assert trial.first_bytes("/nonexistent") == b""
