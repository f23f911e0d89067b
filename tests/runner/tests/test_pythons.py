# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Python each ansible-core gets, from this machine or from a tree, and what ansible-test runs on which."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from runner import cores, machine, trees
from runner.tests.loaded_noxfile import JUNIT, Recorder, Steps
from runner.verdicts import StepFailed

_TESTS = pathlib.Path(__file__).resolve().parents[2]


def test_trees_are_asked_for_a_core_that_finds_no_python_here() -> None:
    wanted = [core.pythons for core in cores.CORES]
    assert trees.missing_pythons(wanted, {"3.13": None, "3.11": None}) == []  # type: ignore[dict-item]
    assert trees.missing_pythons(wanted, {"3.13": None}) == ["3.11"]  # type: ignore[dict-item]
    assert trees.missing_pythons(wanted, {"3.11": None}) == ["3.13"]  # type: ignore[dict-item]
    assert trees.missing_pythons(wanted, {}) == ["3.11", "3.13"]


def test_each_core_has_a_python_of_its_own_line() -> None:
    usable = cores.usable_cores({"3.13": None, "3.10": None})
    assert {core.line: python for core, python in usable.items()} == {
        "2.21": "3.13",
        "2.20": "3.13",
        "2.19": "3.13",
        "2.18": "3.13",
        "2.17": "3.10",
        "2.16": "3.10",
    }


def test_a_tree_is_entered_by_root_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"3.13": machine.Python("3.13", "3.13.5", "/usr/bin/python3", True)}
    monkeypatch.setattr(trees, "whole_pythons", lambda: dict(here))
    for user, wanted in ((1000, ["3.13"]), (0, ["3.11", "3.13", "3.14"])):
        monkeypatch.delenv(trees.KNOWN, raising=False)
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        found = trees.all_pythons()
        assert list(found) == wanted
        # What a run's steps are told.
        monkeypatch.setenv(trees.KNOWN, os.environ[trees.KNOWN])
        assert trees.all_pythons() == found
    assert found["3.11"].enter == trees.entrance("bookworm") and not found["3.13"].enter


@pytest.mark.parametrize(
    ("pythons", "wanted"),
    [
        # 3.13 and 3.11 are those of the newest and the oldest core, for plain pytest.
        (("3.9", "3.10", "3.11", "3.12", "3.13"), {"3.9": False, "3.12": True}),
        (("3.10", "3.11", "3.13"), {"3.10": False, "3.13": True}),
        (("3.9", "3.11", "3.13"), {"3.9": False, "3.13": True}),
        # The only one there is has all: what runs on nodes is not left out for the controller's part.
        (("3.11", "3.12", "3.13"), {"3.12": False}),
        (("3.11", "3.13"), {"3.13": False}),
    ],
)
def test_ansible_test_runs_the_unit_tests_on_the_oldest_python_and_on_a_controllers(
    load: t.Callable[..., Steps], pythons: tuple[str, ...], wanted: dict[str, bool]
) -> None:
    steps = load(*pythons)
    assert steps.file.plan.node_pythons() == wanted
    ran = [name for name in steps.named("unit") if name.startswith("ansible-test")]
    assert ran == [f"ansible-test, Python {version}" for version in wanted]


@pytest.mark.parametrize("of_controller", [False, True])
def test_ansible_tests_own_words_and_reports_count(
    load: t.Callable[..., Steps], of_controller: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = load("3.9", "3.11", "3.12", "3.13").file
    monkeypatch.setattr(file, "need_command", lambda *_words: None)
    reports = tmp_path / "a" / "b" / "c" / "d" / "tests" / "output" / "junit"

    class Units(Recorder):
        def tool(self, _venv: object, words: list[str], _root: object, **settings: str) -> str:
            if self.names.startswith("ran"):
                reports.mkdir(parents=True)
                (reports / "python3.9-modules-units.xml").write_text(JUNIT.format(""))
            return super().tool(_venv, words, _root, **settings)

    work = Units("ran")
    assert file.ansible_units("3.9", of_controller)(work) == "1 tests"
    assert (work.words[0][-len(file.CONTROLLER_UNITS) :] == list(file.CONTROLLER_UNITS)) == of_controller
    # The report of an earlier run is none of this one.
    with pytest.raises(StepFailed, match="no test passed"):
        file.ansible_units("3.9", of_controller)(Units("nothing"))
    with pytest.raises(StepFailed, match="No tests applicable"):
        file.ansible_units("3.9", of_controller)(Units("ran: No tests applicable"))


def test_the_controllers_part_is_there() -> None:
    source = (_TESTS.parent / "noxfile.py").read_text(encoding="utf-8")
    paths = source.partition("CONTROLLER_UNITS = (")[2].partition(")")[0]
    for line in filter(None, map(str.strip, paths.splitlines())):
        assert (_TESTS.parent / line.strip('",').removeprefix("--exclude=")).exists()
