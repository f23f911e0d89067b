# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner's own decisions: what is run in which order, what counts as passed, what its table says."""

from __future__ import annotations

import collections
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types
import typing as t

import nox
import nox.command
import nox.registry
import nox.sessions
import pytest

_TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_TESTS), str(_TESTS / "lab")]

from ringfence_lab import etcd, image  # noqa: E402
from runner import changes, cores, faults, machine, main, places, report, trees, turns, verdicts  # noqa: E402
from runner.places import SLOT  # noqa: E402
from runner.plan import Pair  # noqa: E402
from runner.report import Row  # noqa: E402
from runner.verdicts import Case, StepFailed, StepSkipped  # noqa: E402


class Steps(t.NamedTuple):
    """The noxfile, as it is loaded on a machine that has some Pythons."""

    file: types.ModuleType
    sessions: dict[str, t.Any]

    def named(self, kind: str) -> list[str]:
        """The names of a kind's steps, without it."""
        return [name[len(kind) + 1 : -1] for name in self.sessions if name.startswith(f"{kind}(")]


@pytest.fixture
def load(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Steps]:
    monkeypatch.setenv("RINGFENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(SLOT, "1")
    monkeypatch.delenv("RINGFENCE_RESULTS", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(*versions: str, file: pathlib.Path = _TESTS.parent / "noxfile.py") -> Steps:
        found = [machine.Python(name, f"{name}.5", f"/usr/bin/python{name}", True) for name in versions]
        monkeypatch.setenv(trees.KNOWN, json.dumps(found))
        nox.registry._REGISTRY.clear()
        spec = importlib.util.spec_from_file_location("noxfile", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "stage", lambda _places, _purpose: tmp_path / "a" / "b" / "c" / "d")
        return Steps(module, dict(nox.registry.get()))

    return load


# --------------------------------------------------------------------------- places
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


# --------------------------------------------------------------------------- steps
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
    assert {*steps.named("lab"), "core"} == {*scenarios, "packages", "core"}
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
        assert set(steps.file.other_days) == wanted - today and today - wanted == {"other days' turn"}
        needed = {f"lab({name})" for name in changes.scenarios(changes.DEFAULT) if name != "core"}
        assert needed <= today
        with pytest.raises(StepSkipped, match=r"not today, but with make test-all: lab\("):
            steps.file.left_to_other_days(None)
        seen.update(today)
    scenarios = {f"lab({path.stem[5:]})" for path in (_TESTS / "lab" / "scenarios").glob("test_*.py")} - {"lab(core)"}
    assert scenarios | {f"core({pair})" for pair in steps.named("core")} <= {*seen}
    rare = {name for name, days in seen.items() if days < len(turns.IN_TURN)}
    assert {name.partition("(")[0] for name in rare} == {"lab", "core", "turn"}
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


SOME_STEPS = """
import os, pathlib, sys, time, nox
def step(name, *needs, code=0, skip=False, alone=True):
    def work(session):
        running = pathlib.Path(os.environ["SEEN"]) / name
        running.write_text("")
        time.sleep(0.3)
        if skip:
            session.skip("not here")
        if code:
            session.error("broken")
    nox.session(work, name=name, venv_backend="none", requires=needs)
nox.options.allow_parallel = True
step("last", "first", "second")
step("first")
step("second", "first")
step("bad", code=1)
step("after bad", "bad")
step("not here", skip=True)
"""


def test_a_red_step_hides_no_other_and_all_red_ones_are_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the real nox: each step waits for those that it needs, and is red with them."""
    (tmp_path / "noxfile.py").write_text(SOME_STEPS)
    (tmp_path / "seen").mkdir()
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("RINGFENCE_RESULTS", str(tmp_path / "results"))
    told = tmp_path / "report.json"
    words = [sys.executable, "-m", "nox", "-f", str(tmp_path / "noxfile.py"), "--parallel", "2", "--report", str(told)]
    code = subprocess.run(words, cwd=tmp_path, stdin=subprocess.DEVNULL, check=False).returncode
    rows = report.read_report(told)
    assert {row.step: row.result for row in rows} == {
        "first": "passed",
        "second": "passed",
        "last": "passed",
        "bad": "failed",
        "after bad": "failed",
        "not here": "skipped",
    }
    remarks = {row.step: row.remark for row in rows if row.remark}
    assert remarks["bad"] == "broken" and "bad" in remarks["after bad"] and remarks["not here"] == "not here"
    assert not (tmp_path / "seen" / "after bad").exists() and code != 0
    capfd.readouterr()
    assert main._conclude(rows, code, 12.34, tmp_path / "logs") == 1
    printed = capfd.readouterr().out.splitlines()
    assert printed[-2:] == ["failed: bad; after bad", "3 passed, 2 failed, 1 skipped"]
    kept = (tmp_path / "results" / "results.txt").read_text().splitlines()
    assert kept[0].split() == ["step", "result", "seconds"] and kept[-3].split() == ["all", "12.3"]
    assert kept[-1] == printed[-1]


ROWS = [Row("lint(ruff)", "passed", 1.26, ""), Row("browser(a page)", "skipped", 0.0, "no browser")]


def test_the_table_and_the_line_under_it() -> None:
    assert report.table(ROWS, 71.0) == [
        "step             result   seconds",
        "lint(ruff)       passed       1.3",
        "browser(a page)  skipped      0.0  no browser",
        "all                          71.0",
    ]
    assert report.counts(ROWS) == "1 passed, 0 failed, 1 skipped" and report.counts(ROWS[:1]) == "1 passed, 0 failed"


@pytest.mark.parametrize(
    ("rows", "code", "line", "exit_code"),
    [
        (ROWS[:1], 0, "1 passed, 0 failed", 0),
        # nox itself was ended, or told of no step: nothing is proved.
        (ROWS[:1], 2, "1 passed, 1 failed", 1),
        ([], 0, "0 passed, 1 failed", 1),
        (ROWS[1:], 0, "0 passed, 0 failed, 1 skipped", 1),
    ],
)
def test_a_run_without_a_passed_step_or_a_report_is_red(
    rows: list[Row],
    code: int,
    line: str,
    exit_code: int,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RINGFENCE_RESULTS", raising=False)
    assert main._conclude(list(rows), code, 1.0, tmp_path) == exit_code
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_no_report_is_no_step(tmp_path: pathlib.Path) -> None:
    (tmp_path / "half").write_text('{"sess')
    assert report.read_report(tmp_path / "half") == report.read_report(tmp_path / "none") == []


class Session:
    """What a step uses of nox's session, with the command really run."""

    def chdir(self, path: pathlib.Path) -> t.Any:
        return nox.sessions._WorkingDirContext(path)

    def run(self, *words: str, **more: t.Any) -> None:
        known = ("env", "stdout", "success_codes", "external", "log", "include_outer_env")
        assert set(more) <= set(known)
        env, output = dict(more["env"]), more["stdout"]
        code = subprocess.run(words, env=env, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        if code not in more["success_codes"]:
            raise nox.command.CommandFailed(f"Command failed with exit code {code}")


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


# --------------------------------------------------------------------------- false greens
@pytest.mark.parametrize("words", verdicts.FALSE_GREENS)
def test_a_tool_that_tested_nothing_has_not_passed(words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        verdicts.refuse_false_green(f"... {words} ...")


def test_a_target_that_was_left_out_is_seen() -> None:
    printed = "Running etcd_ca integration test role\n"
    verdicts.refuse_false_green(printed, {"etcd_ca"})
    with pytest.raises(StepFailed, match="did not run: etcd_peer_info"):
        verdicts.refuse_false_green(printed, {"etcd_ca", "etcd_peer_info"})


JUNIT = """<testsuites><testsuite>
<testcase name="test_form" time="12.34"/>
<testcase name="test_list" time="0"><skipped message="x"/></testcase>
{}</testsuite></testsuites>"""
FAILED = '<testcase name="test_renew" time="5"><failure message="x"/></testcase>'


@pytest.mark.parametrize("text", ["", "<testsuites/>", JUNIT.replace('<testcase name="test_form" time="12.34"/>', "")])
def test_pytest_without_a_passed_test_has_not_passed(text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "one.xml").write_text(text.format(""))
    with pytest.raises(StepFailed, match="no test passed"):
        verdicts.tests_passed(verdicts.read_cases(tmp_path / "one.xml"))


def test_the_tests_of_several_runs_are_added_up(tmp_path: pathlib.Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(JUNIT.format(""))
    assert verdicts.tests_passed(verdicts.read_cases(tmp_path / "one", tmp_path / "two")) == "2 tests"
    (tmp_path / "two").write_text(JUNIT.format(FAILED))
    with pytest.raises(StepFailed, match="1 tests failed: test_renew"):
        verdicts.tests_passed(verdicts.read_cases(tmp_path / "one", tmp_path / "two"))


# --------------------------------------------------------------------------- faults
FAULT = faults.Fault("a fault", "file", "good", "bad", "tests/lab/x.py::test_two")


@pytest.mark.parametrize(
    ("verdicts_of", "caught"),
    [
        ({"test_one": "passed", "test_two": "failed"}, True),
        ({"test_one": "passed", "test_two[a]": "failed"}, True),
        ({"test_one": "passed", "test_two": "passed"}, False),
        ({"test_one": "failed", "test_two": "failed"}, False),
        ({"test_one": "failed"}, False),
        ({}, False),
    ],
)
def test_a_fault_is_caught_by_its_own_test_alone(verdicts_of: dict[str, str], caught: bool) -> None:
    cases = [Case(name, verdict) for name, verdict in verdicts_of.items()]
    if caught:
        assert faults.verdict(FAULT, cases) == "caught by test_two"
    else:
        with pytest.raises(StepFailed):
            faults.verdict(FAULT, cases)


def test_every_fault_still_fits_the_product() -> None:
    root = _TESTS.parent
    for fault in faults.FAULTS:
        assert (root / fault.path).read_text().count(fault.text) == 1, fault.title
        file, _colons, name = fault.test.partition("::")
        assert f"def {name}(" in (root / file).read_text(), fault.test


def test_a_fault_that_no_longer_fits_is_said(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("good")
    faults.put_in(FAULT, tmp_path)
    assert (tmp_path / "file").read_text() == "bad"
    with pytest.raises(StepFailed, match="0 times"):
        faults.put_in(FAULT, tmp_path)


# --------------------------------------------------------------------------- Pythons
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


# --------------------------------------------------------------------------- pairs of versions
def test_the_core_runs_with_every_etcd_and_every_ansible_core(load: t.Callable[..., Steps]) -> None:
    pairs = load("3.11", "3.13").file.plan.pairs()
    assert sorted(pair.etcd for pair in pairs) == sorted(etcd.known_versions())
    assert {pair.core for pair in pairs if pair.etcd == pair.core.etcd} == {*cores.CORES}


def test_the_core_runs_with_every_etcd_where_some_ansible_cores_can_not(load: t.Callable[..., Steps]) -> None:
    main = cores.NEWEST.version
    assert load("3.13").named("core") == [
        f"etcd 3.4.23, ansible-core {main}",
        "etcd 3.5.12, ansible-core 2.18.19",
        f"etcd 3.5.15, ansible-core {main}",
        # 3.5.16 with the newest has the whole suite.
        "etcd 3.5.35, ansible-core 2.19.14",
        "etcd 3.6.16, ansible-core 2.20.10",
        f"etcd 3.7.3, ansible-core {main}",
    ]


def test_two_ansible_cores_with_one_etcd_both_run(
    load: t.Callable[..., Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tuple(core._replace(etcd="3.5.16") for core in cores.CORES)
    monkeypatch.setattr(cores, "CORES", lines)
    pairs = load("3.11", "3.13").file.plan.pairs()
    assert {pair.core for pair in pairs} == {*lines}
    assert {pair.etcd for pair in pairs} == {*etcd.known_versions()}
    assert len(set(pairs)) == len(pairs)


class Recorder:
    """A step at work that runs nothing, and says what a command of this name says."""

    def __init__(self, names: str = "") -> None:
        self.names = names
        self.words: list[list[str]] = []

    def run(self, words: list[str], **_more: object) -> str:
        self.words.append(words)
        return ""

    def tool(self, _venv: object, words: list[str], _root: object, **_settings: str) -> str:
        self.words.append(words)
        return self.names

    def pytest(self, _venv: object, words: list[str], _root: object, report: str, env: dict[str, str]) -> str:
        self.words, self.report, self.env = [words], report, env
        return "1 tests"


def test_scenarios_are_left_out_by_a_word_in_their_names(load: t.Callable[..., Steps]) -> None:
    steps, work = load("3.11", "3.13"), Recorder()
    steps.file.scenarios(("transition",), "turn", steps.file.plan.main_venv, ("clients", "role_based"))(work)
    assert work.words[0][-2:] == ["-k", "not clients and not role_based"]


# The newest has the whole suite.
@pytest.mark.parametrize("core", cores.CORES[1:], ids=lambda core: core.line)
def test_the_core_runs_with_what_its_name_says(load: t.Callable[..., Steps], core: cores.Core) -> None:
    steps = load("3.11", "3.13")
    plan = steps.file.plan
    (pair,) = [pair for pair in plan.pairs() if pair.core == core and pair.etcd == core.etcd]
    needed = steps.sessions[f"core(etcd {core.etcd}, ansible-core {core.version})"].requires
    venv = plan.venvs[core]
    assert {f"install({venv.name})", f"image({core.nodes})"} <= set(needed)
    assert (f"etcd({core.etcd})" in needed) == (etcd.find(core.etcd).release != core.nodes)
    work = Recorder()
    steps.file.core_scenarios(pair)(work)
    assert work.words[0][-1] == "tests/lab/scenarios/test_core.py"
    assert work.env["RINGFENCE_ANSIBLE_PLAYBOOK"] == str(venv.bin(plan.places) / "ansible-playbook")
    assert (work.env["RINGFENCE_LAB_ETCD"], work.env["RINGFENCE_LAB_RELEASE"]) == (core.etcd, core.nodes)


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


def test_each_pair_has_a_lab_and_a_report_of_its_own(load: t.Callable[..., Steps]) -> None:
    steps = load("3.11", "3.13")

    def names(pair: Pair) -> tuple[str, str]:
        work = Recorder()
        steps.file.core_scenarios(pair)(work)
        return work.env["RINGFENCE_LAB_NAME"], work.report

    found = [names(pair) for pair in steps.file.plan.pairs()]
    assert len({lab for lab, _report in found}) == len({report for _lab, report in found}) == len(found)


@pytest.mark.parametrize("core", cores.CORES, ids=lambda core: core.line)
def test_hosts_can_have_the_etcd_of_their_ansible_core(core: cores.Core) -> None:
    line = etcd.find(core.etcd)
    assert core.nodes in image.RELEASES
    assert line.release == core.nodes or etcd.has_modules(core.etcd)


# --------------------------------------------------------------------------- what changes cost
def test_each_etcd_has_a_turn_beside_the_default_one() -> None:
    days = [changes.turn(86400 * day + 5) for day in range(8)]
    assert days[:4] == days[4:] == ["3.5.15", "3.5.35", "3.6.16", "3.7.3"]
    assert changes.turn(86399) == changes.turn(0) and changes.DEFAULT == "3.5.16"


def test_the_table_is_of_scenarios_that_are_there(load: t.Callable[..., Steps]) -> None:
    steps = load("3.11", "3.13")
    assert steps.named("changes") == [f"etcd {version}" for version in etcd.known_versions()]
    for version in etcd.known_versions():
        names = changes.scenarios(version)
        # No list of names, no other member: there a changed flag is all.
        assert (names == ("core",)) == (version in ("3.4.23", "3.5.12"))
        files = [(_TESTS.parent / changes.FOLDER / f"test_{name}.py").read_text(encoding="utf-8") for name in names]
        assert all(re.search(r"with Writer\(controller,.* operation=", text) for text in files)
    (in_turn,) = steps.named("turn")
    assert set(steps.sessions["table(changes)"].requires) == {
        *(f"lab({name})" for name in changes.scenarios(changes.DEFAULT) if name != "core"),
        f"turn({in_turn})",
    }


def test_a_lab_notes_what_it_measures_in_a_file_of_its_own(load: t.Callable[..., Steps]) -> None:
    steps = load("3.11", "3.13")
    old = changes.file_of(steps.file.places.logs, "turn")
    old.write_text("of the run before")
    work = Recorder()
    steps.file.changes_with("3.7.3", ("transition",), "turn")(work)
    assert not old.exists() and work.env["RINGFENCE_LAB_CHANGES"] == str(old)
    assert (work.env["RINGFENCE_LAB_ETCD"], work.words[0][-1]) == ("3.7.3", "tests/lab/scenarios/test_transition.py")


def test_a_lost_write_or_no_measurement_is_no_table(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "changes-x.jsonl"
    with pytest.raises(StepFailed, match="no scenario has measured a change"):
        changes.told([path])
    row = {"operation": "another domain", "etcd": "3.7.3", "acknowledged": 9, "lost": 0, "longest_pause_ms": 200}
    row.update({"median_pause_ms": 100, "restarts": [1, 2], "steps": 3})
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    lines = changes.told([path])
    assert "1 changes, 9 writes" in lines[0] and lines[-1].startswith("| another domain | 3.7.3 | 9 | 0 |")
    path.write_text(json.dumps({**row, "lost": 2}) + "\n", encoding="utf-8")
    with pytest.raises(StepFailed, match=r"another domain with etcd 3\.7\.3: 2 writes lost"):
        changes.told([path])


def test_kills_are_counted_with_the_etcds_that_the_scenarios_upgrade_to(load: t.Callable[..., Steps]) -> None:
    steps = load("3.11", "3.13")
    assert steps.named("kills") == [f"etcd {version}" for version in changes.KILLED_WITH]
    text = (_TESTS.parent / changes.FOLDER / "living.py").read_text(encoding="utf-8")
    assert all(f'"{version}"' in text for version in changes.UPGRADED_TO)
    assert {f"etcd({version})" for version in changes.UPGRADED_TO} <= set(steps.sessions["kills(etcd 3.5.16)"].requires)


def test_an_operation_that_did_not_end_well_is_no_table(tmp_path: pathlib.Path) -> None:
    path = changes.kills_of(tmp_path, "x")
    with pytest.raises(StepFailed, match="no run was killed"):
        changes.kills_told([path])
    row = {"operation": "another domain", "etcd": "3.7.3", "where": {"told": 3, "acted": 2}, "ended_well": True}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert changes.kills_told([path])[-1] == "| another domain | 3.7.3 | 5 | 3 | 2 | 0 | 1 of 1 |"
    path.write_text(json.dumps({**row, "ended_well": False}) + "\n", encoding="utf-8")
    with pytest.raises(StepFailed, match=r"another domain with etcd 3\.7\.3, killed at .*: did not end well"):
        changes.kills_told([path])


# --------------------------------------------------------------------------- ansible-test
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


# --------------------------------------------------------------------------- the browser
def test_every_page_is_looked_at_and_the_pictures_are_kept(
    load: t.Callable[..., Steps], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = load("3.13")
    (name,) = steps.named("browser")
    session = steps.sessions[f"browser({name})"]
    assert session.tags == ["integration", main.TODAY] and session.requires == [steps.file.MAIN]
    monkeypatch.setattr(steps.file, "need_browser", lambda: "/bin/chromium")
    monkeypatch.setenv("RINGFENCE_RESULTS", str(tmp_path / "results"))
    old = tmp_path / "results" / "pages" / "old.png"
    old.parent.mkdir(parents=True)
    old.touch()
    work = Recorder("ok-3\nok-50\n")
    folder = str(tmp_path / "results" / "pages")
    assert steps.file.browser(work) == f"2 pages, pictures in {folder}"
    assert work.words[0] == ["python", "tests/browser/pages.py", folder] and not old.exists()
    pages = [f"{folder}/ok-3.html", f"{folder}/ok-50.html"]
    assert work.words[1:] == [[sys.executable, "tests/browser/shots.py", "--chromium", "/bin/chromium", *pages]]
    with pytest.raises(StepFailed, match="made no page"):
        steps.file.browser(Recorder(""))


def test_without_a_browser_the_step_is_skipped_and_says_how_to_get_one(
    load: t.Callable[..., Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = load("3.13").file
    monkeypatch.delenv("RINGFENCE_CHROMIUM", raising=False)
    monkeypatch.setattr("runner.machine.shutil.which", lambda _name: None)
    monkeypatch.setattr(machine, "_apt_install", lambda _packages: False)
    with pytest.raises(StepSkipped, match=r"chromium is missing \(as root: .* apt-get install chromium\)"):
        file.browser(Recorder())


def test_a_browser_is_one_that_runs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGFENCE_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, code in (("chromium", 10), ("google-chrome", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    assert machine.need_browser() == str(tmp_path / "google-chrome")
    (tmp_path / "google-chrome").unlink()
    with pytest.raises(machine.MachineError, match="the command chromium does not run"):
        machine.need_browser()
    monkeypatch.setenv("RINGFENCE_CHROMIUM", str(tmp_path / "chromium"))
    with pytest.raises(machine.MachineError, match="chromium is no Chromium that runs"):
        machine.need_browser()
