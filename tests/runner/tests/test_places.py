# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a run keeps what it makes, and how much room that takes."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile

import pytest
from ringfence_lab.plan import check_lab_name
from runner import main, places
from runner.places import SLOT


def test_two_runs_at_once_have_a_place_each_and_clean_leaves_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(main, "CHECKOUT", tmp_path / "checkout")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    runs = []
    for number in "12":
        monkeypatch.setenv(SLOT, "")
        runs.append(places.Places())
        runs[-1].prepare()
        assert runs[-1].slot == os.environ[SLOT] == number
        runs[-1].stages.mkdir(parents=True)
    ended = runs.pop(0)
    assert ended._lock is not None
    ended._lock.close()
    main._clean(places.Places(), tools=False)
    assert not ended.stages.exists() and not ended.logs.exists()
    assert runs[0].stages.is_dir() and runs[0].logs.is_dir() and runs[0].home.is_dir()


def test_each_file_of_scenarios_has_a_lab_of_its_own() -> None:
    found = sorted(path.stem[5:] for path in (places.CHECKOUT / "tests" / "lab" / "scenarios").glob("test_*.py"))
    names = [check_lab_name(places.Places().lab_name(name)) for name in found]
    assert len(set(names)) == len(names) > 30


def test_what_a_killed_run_left_behind_is_gone_at_the_next_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def started(slot: str) -> places.Places:
        monkeypatch.setenv(SLOT, slot)
        made = places.Places()
        made.prepare()
        return made

    killed = started("")
    left = killed.temporary / "pytest-of-root"
    left.mkdir()
    step = started(killed.slot)
    assert step.temporary == killed.temporary and left.is_dir()
    assert killed._lock is not None
    killed._lock.close()
    assert started("").temporary == killed.temporary
    assert not left.exists() and killed.temporary.is_dir()


def test_too_little_room_is_said_before_anything_runs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = places.Places()
    monkeypatch.setattr(here, "cache", tmp_path)
    monkeypatch.setattr(here, "temporary", tmp_path)
    free = shutil.disk_usage(tmp_path).free >> 30
    monkeypatch.setattr(main, "DISK_GIB", free)
    assert main.word_on_room(here) == ""
    monkeypatch.setattr(main, "DISK_GIB", free + 2)
    assert main.word_on_room(here) == f"{tmp_path}: {free} GiB are free, make test may need {free + 2}"
