# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner's own decisions: what is run in which order, what counts as passed, what its tables say."""

from __future__ import annotations

import pathlib
import sys
import time
import typing as t

import pytest

_TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_TESTS), str(_TESTS / "lab")]

from ringfence_lab import etcd, image  # noqa: E402
from runner import cores, faults, kept, labsteps, machine, results, schedule, steps, trees, verdicts  # noqa: E402
from runner.main import chosen  # noqa: E402
from runner.places import Places as RealPlaces  # noqa: E402
from runner.results import Case  # noqa: E402
from runner.schedule import Log, Step, StepFailed, StepSkipped  # noqa: E402


def passes(log: Log) -> str:
    log.line("done")
    return "fine"


def fails(log: Log) -> str:
    raise StepFailed("broken")


def skips(log: Log) -> str:
    raise StepSkipped("not here")


# --------------------------------------------------------------------------- order and verdicts
def test_a_step_waits_for_those_that_it_needs_and_fails_or_is_skipped_with_them(tmp_path: pathlib.Path) -> None:
    steps = [
        Step("last", passes, after=("first", "second")),
        Step("first", passes),
        Step("second", passes, after=("first",)),
        Step("bad", fails),
        Step("after bad", passes, after=("bad",)),
        Step("not here", skips),
        Step("after not here", passes, after=("not here",)),
    ]
    schedule.run(steps, tmp_path, workers=2)
    assert {step.name: step.result for step in steps} == {
        "last": "passed",
        "first": "passed",
        "second": "passed",
        "bad": "failed",
        "after bad": "failed",
        "not here": "skipped",
        "after not here": "skipped",
    }
    assert steps[3].note == "broken" and steps[4].note == "needs: bad"
    assert results.counts(steps) == "3 passed, 2 failed, 2 skipped"


def test_no_more_steps_at_once_than_workers_and_none_beside_one_that_wants_to_be_alone(tmp_path: pathlib.Path) -> None:
    running: set[str] = set()
    seen: list[set[str]] = []

    def work(name: str) -> schedule.StepWork:
        def inner(log: Log) -> None:
            running.add(name)
            seen.append(set(running))
            time.sleep(0.05)
            running.discard(name)

        return inner

    steps = [Step(name, work(name), alone=name == "alone") for name in ("a", "alone", "b", "c", "d")]
    schedule.run(steps, tmp_path, workers=2)
    assert max(len(names) for names in seen) == 2
    assert {"alone"} in seen and not any("alone" in names and len(names) > 1 for names in seen)


def test_the_longest_way_to_the_end_comes_first() -> None:
    steps = [
        Step("short", passes, estimate=1),
        Step("long", passes, estimate=50),
        Step("install", passes, estimate=5),
        Step("needs it", passes, after=("install",), estimate=100),
    ]
    ways = schedule.ways_to_the_end(steps)
    assert ways == {"short": 1, "long": 50, "install": 105, "needs it": 100}


def test_only_takes_what_the_chosen_steps_need_along() -> None:
    steps = [
        Step("a", passes),
        Step("b", passes, after=("a",)),
        Step("core: c", passes, after=("b",)),
        Step("d", passes),
    ]
    assert [step.name for step in chosen(steps, "core")] == ["a", "b", "core: c"]
    assert chosen(steps, "nothing of this name") == []


def test_a_command_that_fails_fails_its_step(tmp_path: pathlib.Path) -> None:
    log = Log(tmp_path / "log", live=False)
    assert log.command(["sh", "-c", "echo seen; exit 3"], expected=(3,)) == "seen"
    with pytest.raises(StepFailed, match="sh ended with exit code 3"):
        log.command(["sh", "-c", "exit 3"])
    with pytest.raises(StepFailed, match="sh was ended after 0 s"):
        log.command(["sh", "-c", "sleep 20"], timeout_seconds=0.2)


class Places:
    def __init__(self, cache: pathlib.Path) -> None:
        self.cache = cache


def test_only_what_passed_with_the_same_content_is_not_run_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RINGFENCE_FRESH", raising=False)
    checkout, runs = tmp_path / "checkout", list[str]()
    (checkout / "plugins").mkdir(parents=True)
    for name in ("plugins/a", "docs"):
        (checkout / name).write_text("one")
    monkeypatch.setattr(kept, "CHECKOUT", checkout)
    monkeypatch.setattr(kept, "checkout_files", lambda: ["docs", "plugins/a"])

    def once(**fields: object) -> str:
        def work(log: Log) -> None:
            runs.append("run")
            (tmp_path / "report.xml").write_text(JUNIT)
            if (checkout / "docs").read_text() == "bad":
                raise StepFailed("bad")

        step = Step("lab: a", work, inputs=("plugins/",), environments=("venv-1",), report="report.xml")
        for name, value in fields.items():
            setattr(step, name, value)
        schedule.run([step], tmp_path, 1, kept.Kept(Places(tmp_path / "cache")))  # type: ignore[arg-type]
        return f"{len(runs)} {step.result} {step.note[:4]}".strip()

    (checkout / "docs").write_text("bad")
    assert once() == "1 failed bad"
    (checkout / "docs").write_text("good")
    assert once() == "2 passed"
    (tmp_path / "report.xml").unlink()
    assert once() == "2 passed kept"
    assert (tmp_path / "report.xml").exists()
    assert once(environments=("venv-2",)) == "3 passed"
    (checkout / "plugins" / "a").chmod(0o755)
    assert once() == "4 passed"
    (checkout / "plugins" / "a").write_text("two")
    assert once() == "5 passed"
    assert once(inputs=()) == "6 passed"
    monkeypatch.setenv("RINGFENCE_FRESH", "1")
    assert once() == "7 passed"


# --------------------------------------------------------------------------- false greens
@pytest.mark.parametrize("words", verdicts.FALSE_GREENS)
def test_a_tool_that_tested_nothing_has_not_passed(words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        verdicts.refuse_false_green(f"... {words} ...", set())


def test_a_target_that_was_left_out_is_seen() -> None:
    printed = "Running etcd_ca integration test role\n"
    verdicts.refuse_false_green(printed, {"etcd_ca"})
    with pytest.raises(StepFailed, match="did not run: etcd_peer_info"):
        verdicts.refuse_false_green(printed, {"etcd_ca", "etcd_peer_info"})


@pytest.mark.parametrize("printed", ["", "no tests ran in 0.01s", "3 skipped in 0.10s"])
def test_pytest_without_a_passed_test_has_not_passed(printed: str) -> None:
    with pytest.raises(StepFailed, match="no test passed"):
        verdicts.tests_passed(printed)


def test_pytests_summaries_are_added_up() -> None:
    assert verdicts.tests_passed("== 3 passed, 1 skipped in 1.20s ==\n2 passed in 0.10s\n") == "5 tests"


# --------------------------------------------------------------------------- tables
JUNIT = """<testsuites><testsuite>
<testcase name="test_form" time="12.34"/>
<testcase name="test_list" time="0"><skipped message="x"/></testcase>
<testcase name="test_renew" time="5"><failure message="x"/></testcase>
</testsuite></testsuites>"""


def test_tables_of_versions(tmp_path: pathlib.Path) -> None:
    (tmp_path / "one.xml").write_text(JUNIT)
    steps = [
        Step("two", passes, report="two.xml", rows=(("etcd", "3.10.1"), ("ansible-core", "2.9.1")), result="skipped"),
        Step("one", passes, report="one.xml", rows=(("etcd", "3.5.16"), ("ansible-core", "2.21.5")), result="failed"),
    ]
    assert results.version_tables(steps, tmp_path) == [
        "",
        "etcd             form  list   renew",
        "3.5.16           12.3     -  FAILED",
        "3.10.1  skipped",
        "",
        "ansible-core           form  list   renew",
        "2.9.1         skipped",
        "2.21.5                 12.3     -  FAILED",
    ]


def test_table_of_scenarios(tmp_path: pathlib.Path) -> None:
    (tmp_path / "one.xml").write_text(JUNIT)
    steps = [Step("lab: one", passes, report="one.xml", result="failed", seconds=17.3), Step("other", passes)]
    lines = results.scenarios_table(steps, tmp_path)
    assert lines[-1].split() == ["lab:", "one", "2", "1", "17.3"]


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
    cases = [Case(name, verdict, 0.0) for name, verdict in verdicts_of.items()]
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


@pytest.fixture
def make_plan(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., steps.Plan]:
    monkeypatch.setenv("RINGFENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RINGFENCE_RESULTS", raising=False)
    monkeypatch.setattr(steps, "stage", lambda _places, _purpose: tmp_path / "a" / "b" / "c" / "d")

    def make(*versions: str) -> steps.Plan:
        pythons = {name: machine.Python(name, f"{name}.5", f"/usr/bin/python{name}", True) for name in versions}
        return steps.Plan(RealPlaces(), pythons)

    return make


@pytest.fixture
def plan(make_plan: t.Callable[..., steps.Plan]) -> steps.Plan:
    return make_plan("3.13")


# --------------------------------------------------------------------------- pairs of versions
def core_steps(plan: steps.Plan) -> list[Step]:
    return [step for step in plan.steps("lab-test") if step.name.startswith("core: ")]


def test_the_core_runs_with_every_etcd_and_every_ansible_core(make_plan: t.Callable[..., steps.Plan]) -> None:
    found = core_steps(make_plan("3.11", "3.13"))
    rows = [row for step in found for row in step.rows]
    wanted = [("etcd", version) for version in etcd.known_versions()]
    wanted += [("ansible-core", core.version) for core in cores.CORES]
    assert sorted(rows) == sorted(wanted)
    assert len({step.report for step in found}) == len(found) == len(etcd.known_versions())


def test_the_core_runs_with_every_etcd_where_some_ansible_cores_can_not(
    make_plan: t.Callable[..., steps.Plan],
) -> None:
    names = [step.name for step in core_steps(make_plan("3.13"))]
    main = cores.NEWEST.version
    assert names == [
        f"core: etcd 3.4.23, ansible-core {main}",
        "core: etcd 3.5.12, ansible-core 2.18.19",
        f"core: etcd 3.5.15, ansible-core {main}",
        f"core: etcd 3.5.16, ansible-core {main}",
        "core: etcd 3.5.35, ansible-core 2.19.14",
        "core: etcd 3.6.16, ansible-core 2.20.10",
        f"core: etcd 3.7.3, ansible-core {main}",
    ]


def test_two_ansible_cores_with_one_etcd_both_run(
    make_plan: t.Callable[..., steps.Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tuple(core._replace(etcd="3.5.16") for core in cores.CORES)
    monkeypatch.setattr(cores, "CORES", lines)
    found = core_steps(make_plan("3.11", "3.13"))
    assert {name for step in found for title, name in step.rows if title == "ansible-core"} == {
        core.version for core in lines
    }
    assert {name for step in found for title, name in step.rows if title == "etcd"} == {*etcd.known_versions()}
    assert len({step.report for step in found}) == len(found)


class Surroundings:
    """A log that runs nothing, says that all passed, and keeps the environment that it was given."""

    def command(self, _words: list[str], env: dict[str, str], **_more: object) -> str:
        self.env = env
        return "1 passed in 0.10s"


@pytest.mark.parametrize("core", cores.CORES, ids=lambda core: core.line)
def test_the_core_runs_with_what_its_name_says(
    make_plan: t.Callable[..., steps.Plan], core: cores.Core, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    plan = make_plan("3.11", "3.13")
    monkeypatch.setattr(labsteps, "stage", lambda _places, _purpose: tmp_path / "a" / "b" / "c" / "d")
    (step,) = [step for step in core_steps(plan) if ("ansible-core", core.version) in step.rows]
    assert step.name == f"core: etcd {core.etcd}, ansible-core {core.version}"
    venv = plan.venvs[core]
    assert {f"install {venv.name}", f"image {core.nodes}"} <= set(step.after)
    log = Surroundings()
    step.work(log)  # type: ignore[arg-type]
    assert log.env["RINGFENCE_ANSIBLE_PLAYBOOK"] == str(venv.bin(plan.places) / "ansible-playbook")
    assert (log.env["RINGFENCE_LAB_ETCD"], log.env["RINGFENCE_LAB_RELEASE"]) == (core.etcd, core.nodes)


@pytest.mark.parametrize("core", cores.CORES, ids=lambda core: core.line)
def test_hosts_can_have_the_etcd_of_their_ansible_core(core: cores.Core) -> None:
    line = etcd.find(core.etcd)
    assert core.nodes in image.RELEASES
    assert line.release == core.nodes or line.pin


@pytest.mark.parametrize(
    ("pythons", "wanted"),
    [
        # 3.13 and 3.11 are those of the newest and the oldest core, for plain pytest.
        (("3.9", "3.10", "3.11", "3.12", "3.13"), ["3.9", "3.12"]),
        (("3.10", "3.11", "3.13"), ["3.10", "3.13"]),
        (("3.11", "3.12", "3.13"), ["3.12"]),
        (("3.11", "3.13"), ["3.13"]),
    ],
)
def test_ansible_test_runs_the_unit_tests_on_the_oldest_python_and_on_a_controllers(
    make_plan: t.Callable[..., steps.Plan], pythons: tuple[str, ...], wanted: list[str]
) -> None:
    plan = make_plan(*pythons)
    assert plan.node_pythons() == dict.fromkeys(wanted, cores.NEWEST)
    ran = [step.name for step in plan.steps("unit") if step.name.startswith("unit: Python")]
    assert ran == [f"unit: Python {version}, core {cores.NEWEST.line}" for version in wanted]


# --------------------------------------------------------------------------- the browser


@pytest.mark.parametrize("target", ["integration", "test"])
def test_the_page_is_looked_at_with_the_other_checks_on_this_machine(plan: steps.Plan, target: str) -> None:
    (step,) = [step for step in plan.steps(target) if step.name == steps.BROWSER]
    assert step.after == (f"install {plan.main_venv.name}",)
    assert {"plugins/", "tests/browser/"} <= set(step.inputs)


class Recorder:
    """A log that runs nothing and says what a command of this name says."""

    def __init__(self, names: str) -> None:
        self.names = names
        self.words: list[list[str]] = []

    def command(self, words: list[str], **_more: object) -> str:
        self.words.append(words)
        return self.names if words[1].endswith("pages.py") else ""


def test_every_page_is_looked_at_and_the_pictures_are_kept(
    plan: steps.Plan, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "need_browser", lambda: "/bin/chromium")
    monkeypatch.setenv("RINGFENCE_RESULTS", str(tmp_path / "results"))
    old = tmp_path / "results" / "pages" / "old.png"
    old.parent.mkdir(parents=True)
    old.touch()
    (step,) = plan.browser()
    log = Recorder("ok-3\nok-50\n")
    folder = str(tmp_path / "results" / "pages")
    assert step.work(log) == f"2 pages, pictures in {folder}"  # type: ignore[arg-type]
    assert log.words[0] == ["python", "tests/browser/pages.py", folder] and not old.exists()
    pages = [f"{folder}/ok-3.html", f"{folder}/ok-50.html"]
    assert log.words[1:] == [[sys.executable, "tests/browser/shots.py", "--chromium", "/bin/chromium", *pages]]
    with pytest.raises(StepFailed, match="made no page"):
        step.work(Recorder(""))  # type: ignore[arg-type]


def test_without_a_browser_the_step_is_skipped_and_says_how_to_get_one(
    plan: steps.Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RINGFENCE_CHROMIUM", raising=False)
    monkeypatch.setattr("runner.machine.shutil.which", lambda _name: None)
    monkeypatch.setattr(machine, "_apt_install", lambda _packages: False)
    (step,) = plan.browser()
    with pytest.raises(StepSkipped, match=r"chromium is missing \(as root: .* apt-get install chromium\)"):
        step.work(Recorder(""))  # type: ignore[arg-type]


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
