# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which steps there are, what each needs, on which day it is run, and how its commands run."""

from __future__ import annotations

import collections
import pathlib
import subprocess
import time
import types
import typing as t

import pytest
from runner import changes, cores, faults, main, turns
from runner.tests.loaded_noxfile import Session, Steps
from runner.verdicts import StepFailed, StepSkipped

_TESTS = pathlib.Path(__file__).resolve().parents[2]


def test_each_target_has_its_steps_and_each_step_what_it_needs(load: t.Callable[..., Steps]) -> None:
    steps = load("3.9", "3.11", "3.12", "3.13")
    for name, session in steps.sessions.items():
        assert set(session.requires) <= set(steps.sessions), name
        assert {*session.tags} - {main.TODAY} <= {*main.TARGETS, *main.MEASURES} and len(session.tags) <= 2, name
    tags = {tag for session in steps.sessions.values() for tag in session.tags}
    assert tags == {*main.TARGETS, main.TODAY, *main.MEASURES}
    untagged = {name.partition("(")[0] for name, session in steps.sessions.items() if not session.tags}
    assert untagged == {"install", "image", "etcd", "lab"}
    scenarios = {path.stem[5:] for path in (_TESTS / "lab" / "scenarios").glob("test_*.py")}
    assert {*steps.named("lab"), "core"} == {*scenarios, "packages", "podman", "core"}
    assert steps.named("fault") == [fault.title for fault in faults.FAULTS]


def test_a_day_leaves_out_what_has_its_turn_on_another_one_and_says_so(
    load: t.Callable[..., Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is run each day has the whole table of changes; in as many days as there are turns all is run."""
    seen: collections.Counter[str] = collections.Counter()
    for day in range(len(turns.IN_TURN)):
        monkeypatch.setattr(subprocess, "run", lambda *_, day=day, **__: types.SimpleNamespace(stdout=str(day * 86400)))
        steps = load("3.9", "3.11", "3.12", "3.13")
        assert steps.file.committed == day * 86400
        today = {name for name, session in steps.sessions.items() if main.TODAY in session.tags}
        wanted = {name for name, session in steps.sessions.items() if {*session.tags} & {*main.TARGETS}}
        assert set(steps.file.other_days) == wanted - today
        # Each day has the unit tests, and one of them measures coverage.
        measures = day == turns.DAY_OF["coverage"]
        rest = {"other days' turn"} | ({"unit(newest)"} if not measures else set())
        assert today - wanted == rest and ("unit(newest, coverage)" in today) == measures
        # Each day a change of a cluster with another ansible-core, and the sanity tests with the newest one.
        assert {steps.file.IN_TURN, f"sanity({cores.NEWEST.line})"} <= today
        needed = {f"lab({name})" for name in changes.scenarios(changes.DEFAULT) if name != "core"}
        assert needed <= today
        # What a step of today needs is run with it, whether or not it is its day.
        assert {name for step in today for name in steps.sessions[step].requires}.isdisjoint(steps.file.other_days)
        with pytest.raises(StepSkipped, match=r"not today, but with make test-all: \w+\("):
            steps.file.left_to_other_days(None)
        seen.update(today)
    # But for the one that the day of coverage has, and what measures by the hour.
    every = {name for name, session in steps.sessions.items() if {*session.tags} & {*main.TARGETS}}
    assert {name for name in every - {*seen} if not name.startswith("turn(")} == set()
    scenarios = {f"lab({path.stem[5:]})" for path in (_TESTS / "lab" / "scenarios").glob("test_*.py")} - {"lab(core)"}
    assert scenarios | {f"core({pair})" for pair in steps.named("core")} <= {*seen}
    rare = {name for name, days in seen.items() if days < len(turns.IN_TURN)}
    assert {name.partition("(")[0] for name in rare} == {"lab", "core", "turn", "unit", "integration", "sanity"}
    assert {f"lab({name})" for names in turns.IN_TURN for name in names} <= rare
    assert len({*turns.EVERY_DAY}.union(*turns.IN_TURN)) == len(turns.EVERY_DAY) + sum(map(len, turns.IN_TURN))
    assert turns.has_turn("a new one", 0) and turns.order(["a new one", "lab", "members"]) == [
        "members",
        "lab",
        "a new one",
    ]


def test_each_deployers_shape_has_its_turn(load: t.Callable[..., Steps]) -> None:
    """By the number that the scenarios are given on the days on which they are run."""
    seconds = [day * 86400 for day in range(20 * len(turns.IN_TURN))]
    numbers = [turns.number_of_turn(time) for time in seconds if turns.has_turn("shapes", time)]
    assert numbers == [*range(20)]
    steps = load("3.9", "3.11", "3.12", "3.13")
    assert {f"shapes(etcd {version})" for version in changes.FOR_SHAPES} <= {*steps.sessions}


def test_coverage_is_measured_where_python_itself_tells_branches(load: t.Callable[..., Steps]) -> None:
    needed = load("3.9", "3.11", "3.13", cores.MEASURED).sessions["unit(newest, coverage)"].requires
    assert needed == ["install(measured)"]
    needed = load("3.9", "3.11", "3.13").sessions["unit(newest, coverage)"].requires
    assert needed == [f"install(main-{cores.NEWEST.line})"]


def test_a_core_without_a_python_is_told_of(load: t.Callable[..., Steps]) -> None:
    steps = load("3.13")
    assert steps.named("ansible-core") == ["2.17", "2.16"]
    with pytest.raises(StepSkipped, match=r"no Python 3\.10, 3\.11, 3\.12 here, which ansible-core 2\.16 needs"):
        steps.file.no_python(cores.OLDEST)(None)


def test_no_step_sees_what_this_machine_says_of_itself_to_the_role(
    load: t.Callable[..., Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a runner that is thrown away, and in a container, the role makes no CA."""
    told = {"AWX_PRIVATE_DATA_DIR": "/x", "CI_DISPOSABLE_ENVIRONMENT": "true", "KUBERNETES_SERVICE_HOST": "x"}
    told |= {"container": "podman", "RUNNER_ENVIRONMENT": "github-hosted", "ANSIBLE_FORKS": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    plan = load("3.13").file.plan
    assert not told.keys() & plan.environment(plan.main_venv).keys()


def _runs(process: str) -> bool:
    try:
        return pathlib.Path("/proc", process, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_that_fails_fails_its_step(
    load: t.Callable[..., Steps], capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path
) -> None:
    work = load("3.13").file.Work(Session(), "lint(a step)")
    assert work.run(["sh", "-c", "printf '\\033[31mseen\\033[0m'; exit 3"], cwd=tmp_path, expected=(3,)) == "seen"
    assert work.run(["sh", "-c", "echo twice"]) == "twice\n"
    with pytest.raises(StepFailed, match="sh ended with exit code 3"):
        work.run(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(StepFailed, match="sh was ended after 2 s"):
        work.run(["sh", "-c", "sleep 300 & echo $!; wait"], seconds=2)
    child = work.log.read_text().split()[-1]
    for _tenth in range(50):
        if _runs(child):
            time.sleep(0.1)
    assert not _runs(child)
    work.show()
    assert "why\n" in capsys.readouterr().out and work.log.name == "lint-a-step.log"
