# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every check, as a session: ``python3 tests/run lint``, or nox itself.

nox runs sessions side by side and in the order in which they stand here: what takes longest stands first. Each needs
the sessions that it names. The environments are our own (runner/places.py): nox would make one for each of fifty
sessions, and has no way into a Debian tree.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import subprocess
import sys
import time
import typing as t

import nox
from nox.command import CommandFailed

sys.dont_write_bytecode = True
_TESTS = pathlib.Path(__file__).resolve().parent / "tests"
sys.path[:0] = [str(_TESTS), str(_TESTS / "lab")]

from ringfence_lab import clean_machine, demo, etcd, image, podman, surroundings  # noqa: E402
from ringfence_lab.errors import LabError  # noqa: E402
from runner import changes, layers, trees, turns  # noqa: E402
from runner.build import built  # noqa: E402
from runner.cores import Core  # noqa: E402
from runner.faults import FAULTS, Fault, put_in, verdict  # noqa: E402
from runner.machine import MachineError, lock, need_browser, need_command, need_packages  # noqa: E402
from runner.main import TARGETS, TODAY  # noqa: E402
from runner.places import CHECKOUT, Places, Venv, stage, staging_root  # noqa: E402
from runner.plan import Pair, Plan  # noqa: E402
from runner.verdicts import (  # noqa: E402
    StepFailed,
    StepSkipped,
    check_tarball,
    integration_targets,
    read_cases,
    refuse_false_green,
    tests_passed,
)

places = Places()
places.prepare()
try:
    plan = Plan(places, trees.all_pythons())
except MachineError as exc:
    sys.exit(f"noxfile.py: {exc}")

nox.options.envdir = places.cache / "nox"
nox.options.allow_parallel = True

MAIN = f"install({plan.main_venv.name})"
# Ends all of a command's processes where it is late, or where nox is stopped.
GUARD = ("setpriv", "--pdeathsig=TERM", "timeout", "--kill-after=10")
SHOWN_LINES = 1500
# As long as CI has for all: the unit tests take most of an hour where two labs run beside them.
STEP_SECONDS = 5400
# Percent of statements and branches. What is not reached for a reason says so in the source ("pragma: no cover").
LEAST_COVERAGE = 99
# What ansible-test shows of a controller's Python: that it takes the controller's tests. The rest plain pytest has run.
CONTROLLER_UNITS = (
    "tests/unit/plugins/filter/",
    "tests/unit/plugins/plugin_utils/",
    "tests/unit/plugins/action/test_etcd_cluster_check.py",
    "--exclude=tests/unit/plugins/plugin_utils/_proof/",
)
BENCH_FOLDERS = ("ringfence_bench", "callback", "issuing")


class Work:
    """One step at work. What its commands print is kept in a log, and shown where one fails."""

    def __init__(self, session: nox.Session, name: str) -> None:
        self.session = session
        self.log = places.logs / (re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-") + ".log")
        self.log.write_text("", encoding="utf-8")

    def run(
        self,
        words: t.Sequence[str],
        *,
        cwd: pathlib.Path = CHECKOUT,
        env: t.Mapping[str, str] | None = None,
        seconds: int = STEP_SECONDS,
        expected: t.Collection[int] = (0,),
    ) -> str:
        """Run a command; return what it printed. Another exit code than the expected ones ends the step."""
        with self.log.open("a+", encoding="utf-8", errors="replace") as log:
            log.write(f"$ {shlex.join(words)}\n")
            log.flush()
            start = log.tell()
            try:
                with self.session.chdir(cwd):
                    self.session.run(
                        *(*GUARD, str(seconds), *words),
                        env=os.environ if env is None else env,
                        include_outer_env=False,
                        external=True,
                        log=False,
                        stdout=log,
                        success_codes=expected,
                    )
            except CommandFailed as exc:
                code = int((re.findall(r"\d+$", str(exc)) or ["-1"])[0])
                why = f"was ended after {seconds} s" if code == 124 else f"ended with exit code {code}"
                raise StepFailed(f"{os.path.basename(words[0])} {why}") from exc
            log.seek(start)
            return re.sub(r"\x1b\[[0-9;]*m", "", log.read())

    def say(self, text: str) -> None:
        """Show a line, or some, of a step that passed."""
        print(text, flush=True)

    def show(self) -> None:
        """What was printed, of a step that failed."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        if len(lines) > SHOWN_LINES:
            print(f"... {len(lines) - SHOWN_LINES} lines before these stand in {self.log}")
        print("\n".join(lines[-SHOWN_LINES:]), flush=True)

    def tool(self, venv: Venv, words: t.Sequence[str], root: pathlib.Path, **settings: str) -> str:
        """Run a command of a virtual environment in a staged copy."""
        return self.run([*venv.python.enter, *words], cwd=root, env=plan.environment(venv, root, **settings))

    def pytest(
        self, venv: Venv, words: t.Sequence[str], root: pathlib.Path, report: str, env: t.Mapping[str, str]
    ) -> str:
        """Run tests; the verdict is that of the JUnit file."""
        path = places.logs / f"{report}.xml"
        path.unlink(missing_ok=True)
        line = ["python", "-m", "pytest", "-p", "no:cacheprovider", f"--junit-xml={path}", *words]
        self.run([*venv.python.enter, *line], cwd=root, env=env)
        return tests_passed(read_cases(path))


StepWork = t.Callable[[Work], t.Optional[str]]
other_days: list[str] = []


def step(name: str, work: StepWork, *needs: str, tag: str = "", today: bool = True) -> None:
    """Make a session of a step. The work returns a word on how it went, or raises why it did not."""

    def session(session: nox.Session) -> None:
        own = Work(session, name)
        try:
            note = work(own) or "passed"
        except StepSkipped as exc:
            session.skip(str(exc))
        except (StepFailed, MachineError, LabError) as exc:
            own.show()
            session.error(str(exc))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        own.say(f"{name}: {note} (CPU: {used.ru_utime + used.ru_stime:.0f} s; {own.log})")

    tags = [tag] if tag else []
    if not today:
        other_days.append(name)
    elif tag in TARGETS:
        tags.append(TODAY)
    nox.session(name=name, venv_backend="none", tags=tags, requires=list(needs), default=bool(tag))(session)


# -- what the others need --------------------------------------------------------------------------------------------


def install(venv: Venv) -> StepWork:
    """Have a virtual environment, in its Debian tree if need be."""

    def work(own: Work) -> str:
        if venv.python.enter:
            trees.python_from_tree(venv.python.version)
        return venv.make(places, own.run)

    return work


def packages(own: Work) -> str:
    """What the lab's hosts are made with."""
    if os.geteuid() != 0:
        raise MachineError("the lab boots hosts of its own and needs root for that: run it with sudo")
    need_packages(lambda: surroundings.missing_packages().values())
    surroundings.check_machine()
    return "present"


def containers(own: Work) -> str:
    """What runs AWX's jobs."""
    need_packages(lambda: podman.missing_packages().values())
    podman.check()
    return "present"


def lab_tool(*words: str) -> StepWork:
    """A command of the lab's own tool."""

    def work(own: Work) -> None:
        if words[:2] == ("etcd", "build") and etcd.needs_go(words[2]) and not etcd.find_go():
            need_command("go", "golang-go")
        own.run([str(CHECKOUT / "tests" / "lab" / "lab"), *words], env={**os.environ, "PYTHON": sys.executable})

    return work


for venv in plan.every_venv():
    step(f"install({venv.name})", install(venv))
step("lab(packages)", packages)
step("lab(podman)", containers, "lab(packages)")
for release in sorted({pair.release for pair in plan.pairs()} | {image.DEFAULT_RELEASE}):
    step(f"image({release})", lab_tool("image", release), "lab(packages)")
for version in etcd.known_versions():
    step(f"etcd({version})", lab_tool("etcd", "build", version), "lab(packages)")


# -- unit, integration -----------------------------------------------------------------------------------------------


def etcd_programs() -> str:
    """The folder with the etcd that the role's target starts on loopback; as the demo without root gets it."""
    return os.environ.get("RINGFENCE_ETCD_PROGRAMS") or os.path.dirname(demo.ensure_etcd()[0])


def commit_time() -> int:
    """When the commit was made that is tested, in seconds; now where there is none."""
    words = ["git", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT), "log", "-1", "--format=%ct"]
    found = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return int(found or time.time())


def units(venv: Venv, measured: bool) -> StepWork:
    """All unit tests by pytest."""

    def work(own: Work) -> str:
        need_command("openssl", "openssl")
        root = stage(places, f"pytest-{venv.name}")
        words, env = ["--durations=15", "tests/unit"], {"PYTHONPATH": str(staging_root(root))}
        if venv == plan.oldest_venv:
            # ansible-test runs these on the oldest Python as well.
            folders = [name.replace(".", "/") for name in layers.STANDARD_LIBRARY]
            words += [f"--ignore=tests/unit/plugins/{folder}" for folder in folders]
        if measured:
            words += [f"--cov={root / 'plugins'}", "--cov-config=pyproject.toml"]
            words += ["--cov-report=term-missing:skip-covered", f"--cov-fail-under={LEAST_COVERAGE}"]
        if venv != plan.oldest_venv:
            # Some tests need a real etcd; once is enough, with the one that the integration tests have.
            env["RINGFENCE_ETCD"] = os.path.join(etcd_programs(), "etcd")
        return own.pytest(venv, words, root, f"unit-{venv.name}", plan.environment(venv, root, **env))

    return work


def ansible_units(version: str, of_controller: bool) -> StepWork:
    """Unit tests by ansible-test: each in a process of its own, by the newest core, which knows all Pythons."""

    def work(own: Work) -> str:
        need_command("openssl", "openssl")
        root = stage(places, f"units-{version}")
        reports = root / "tests" / "output" / "junit"
        shutil.rmtree(reports, ignore_errors=True)
        words = ["ansible-test", "units", "--venv", "--python", version, "--color", "no"]
        printed = own.tool(plan.main_venv, [*words, *(CONTROLLER_UNITS if of_controller else ())], root)
        refuse_false_green(printed)
        return tests_passed(read_cases(*sorted(reports.glob("*.xml"))))

    return work


def integration(core: Core) -> StepWork:
    """The modules against this machine."""

    def work(own: Work) -> str:
        need_command("openssl", "openssl")
        # ansible-test makes itself a key, whether or not it connects to anything; two at once would both make it.
        need_command("ssh-keygen", "openssh-client")
        key = places.home / ".ansible" / "test" / "id_rsa"
        with lock("ansible-test-key"):
            if not key.exists():
                own.run(["ssh-keygen", "-m", "PEM", "-q", "-t", "rsa", "-N", "", "-f", str(key)])
        root = stage(places, f"integration-{core.line}")
        config = root / "tests" / "integration" / "integration_config.yml"
        config.write_text(f"etcd_programs: {json.dumps(etcd_programs())}\n", encoding="utf-8")
        targets = integration_targets(root)
        if not targets:
            raise StepFailed("there is no target in tests/integration/targets")
        words = ["ansible-test", "integration", "--venv", "--python", plan.cores[core].version, "--allow-destructive"]
        refuse_false_green(own.tool(plan.venvs[core], [*words, "--color", "no"], root), targets)
        return f"{len(targets)} targets"

    return work


def browser(own: Work) -> str:
    """The page of the proof in a real Chromium, with pictures to look at."""
    try:
        chromium = need_browser()
    except MachineError as exc:
        raise StepSkipped(str(exc)) from exc
    root = stage(places, "browser")
    folder = pathlib.Path(os.environ.get("RINGFENCE_RESULTS") or places.logs) / "pages"
    shutil.rmtree(folder, ignore_errors=True)
    words = ["python", "tests/browser/pages.py", str(folder)]
    names = own.tool(plan.main_venv, words, root, PYTHONPATH=str(staging_root(root))).split()
    if not names:
        raise StepFailed("tests/browser/pages.py made no page")
    # By this Python, not that of a Debian tree, in which there is no browser.
    shots = [sys.executable, "tests/browser/shots.py", "--chromium", chromium]
    own.run([*shots, *(str(folder / f"{name}.html") for name in names)], cwd=root)
    return f"{len(names)} pages, pictures in {folder}"


def own_tools(own: Work) -> str:
    """The tests of the lab, the runner and the bench."""
    root = stage(places, "tools")
    tests = ["tests/lab/tests", "tests/runner/tests", "bench/tests"]
    return own.pytest(plan.main_venv, tests, root, "tools", plan.environment(plan.main_venv, root))


committed = commit_time()
_needed, _measures = f"install({plan.measured_venv.name})", turns.is_day_of("coverage", committed)
step("unit(newest, coverage)", units(plan.measured_venv, True), _needed, tag="unit", today=_measures)
if not _measures:
    step("unit(newest)", units(plan.measured_venv, False), _needed, tag=TODAY)
step(
    f"integration(core {plan.main.line})",
    integration(plan.main),
    MAIN,
    tag="integration",
    today=turns.is_day_of("integration with the newest", committed),
)


# -- the lab ---------------------------------------------------------------------------------------------------------


def lab_environment(root: pathlib.Path, slug: str, venv: Venv, **settings: str) -> dict[str, str]:
    """For pytest on the lab, with the playbooks run by the ansible-core of ``venv``."""
    playbook = [*venv.python.enter, str(venv.bin(places) / "ansible-playbook")]
    return plan.environment(
        plan.pytest_venv,
        root,
        # The lab keeps its images by content in a place of its own; the user's home is left as it is for it.
        HOME=os.path.expanduser("~"),
        PYTHONPATH=str(staging_root(root)),
        PYTHONUNBUFFERED="1",
        RINGFENCE_ANSIBLE_PLAYBOOK=shlex.join(playbook),
        RINGFENCE_LAB_NAME=places.lab_name(slug),
        RINGFENCE_LAB_CHANGES=str(changes.file_of(places.logs, slug)),
        RINGFENCE_LAB_KILLS=str(changes.kills_of(places.logs, slug)),
        **settings,
    )


def scenarios(names: t.Sequence[str], slug: str, venv: Venv, only: str = "", **settings: str) -> StepWork:
    """Files of scenarios, in a lab of their own; ``only``: a word in the names of those that are run."""

    def work(own: Work) -> str:
        root = stage(places, f"lab-{slug}")
        words = ["-v", "--durations=10", *(f"{changes.FOLDER}/test_{name}.py" for name in names)]
        words += ["-k", only] if only else []
        changes.file_of(places.logs, slug).unlink(missing_ok=True)
        return own.pytest(plan.pytest_venv, words, root, f"lab-{slug}", lab_environment(root, slug, venv, **settings))

    return work


def lab_needs(venv: Venv, release: str = image.DEFAULT_RELEASE) -> list[str]:
    """What a lab needs whose playbooks are run by ``venv``."""
    venvs = dict.fromkeys([plan.pytest_venv.name, venv.name])
    return [*(f"install({name})" for name in venvs), f"image({release})"]


def scenarios_of_pair(pair: Pair, names: t.Sequence[str], slug: str, only: str = "") -> StepWork:
    """Scenarios with one etcd and one ansible-core."""
    settings = {"RINGFENCE_LAB_ETCD": pair.etcd, "RINGFENCE_LAB_RELEASE": pair.release}
    return scenarios(names, slug, plan.venvs[pair.core], only, **settings)


def core_scenarios(pair: Pair) -> StepWork:
    """Those that every etcd and every ansible-core has."""
    return scenarios_of_pair(pair, ("core",), f"e{pair.etcd}-a{pair.core.line}".replace(".", "-"))


def pair_needs(pair: Pair) -> list[str]:
    """What a lab needs that has them."""
    return lab_needs(plan.venvs[pair.core], pair.release) + [f"etcd({pair.etcd})"] * pair.is_extra


def changes_with(version: str, names: t.Sequence[str], slug: str) -> StepWork:
    """Scenarios that measure changes, with one etcd and the newest ansible-core."""
    return scenarios_of_pair(Pair(version, plan.main, etcd.release_of(version)), names, slug)


def measured_changes(version: str) -> StepWork:
    """All that measure changes, with one etcd, and the table of all etcds that had their turn so far."""
    slug = f"with-{version}".replace(".", "-")

    def work(own: Work) -> str:
        # One at a time: what is measured would be of all that run.
        with lock("changes"):
            note = changes_with(version, changes.scenarios(version), slug)(own)
            tell_changes(own, sorted(places.logs.glob("changes-with-*.jsonl")))
        return note or ""

    return work


def counted_kills(version: str) -> StepWork:
    """Each operation killed at each boundary of its steps, with one etcd, and the table of all etcds so far."""
    slug = f"killed-{version}".replace(".", "-")
    settings = {"RINGFENCE_LAB_ETCD": version, "RINGFENCE_LAB_RELEASE": etcd.release_of(version)}
    settings["RINGFENCE_KILLS"] = os.environ.get("RINGFENCE_KILLS") or "all"

    def work(own: Work) -> str:
        changes.kills_of(places.logs, slug).unlink(missing_ok=True)
        note = scenarios(("killed",), slug, plan.main_venv, **settings)(own)
        tell_table(own, "kills.md", changes.kills_told(sorted(places.logs.glob("kills-killed-*.jsonl"))))
        return note or ""

    return work


def measured_shapes(version: str) -> StepWork:
    """Clusters of all deployers' shapes taken over and adopted, with one etcd, and the table of it."""
    slug = f"shapes-{version}".replace(".", "-")
    settings = {"RINGFENCE_LAB_ETCD": version, "RINGFENCE_LAB_RELEASE": etcd.release_of(version)}
    settings["RINGFENCE_SHAPES"] = os.environ.get("RINGFENCE_SHAPES") or "all"

    def work(own: Work) -> str:
        with lock("changes"):
            note = scenarios(("shapes",), slug, plan.main_venv, **settings)(own)
            tell_changes(own, [changes.file_of(places.logs, slug)])
        return note or ""

    return work


def tell_changes(own: Work, paths: t.Iterable[pathlib.Path]) -> None:
    """Show the table of what was measured, and keep it."""
    tell_table(own, "changes.md", changes.told(paths))


def tell_table(own: Work, name: str, lines: t.Sequence[str]) -> None:
    text = "\n".join(lines)
    for folder in filter(None, (str(places.logs), os.environ.get("RINGFENCE_RESULTS"))):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        pathlib.Path(folder, name).write_text(f"{text}\n", encoding="utf-8")
    own.say(text)


def fault_work(fault: Fault, slug: str) -> StepWork:
    """The fault in a copy of its own, and the test that has to fail there."""
    venv = plan.pytest_venv if fault.is_for_the_lab else plan.main_venv

    def work(own: Work) -> str:
        root = stage(places, slug)
        put_in(fault, root)
        # A fault for the lab may show at any time of the file's story: all tests up to the one that is meant.
        tests = fault.test.partition("::")[0] if fault.is_for_the_lab else fault.test
        report = places.logs / f"{slug}.xml"
        report.unlink(missing_ok=True)
        words = ["python", "-m", "pytest", "-p", "no:cacheprovider", "-x", f"--junit-xml={report}", tests]
        env = lab_environment(root, slug, plan.main_venv)
        own.run([*venv.python.enter, *words], cwd=root, env=env, seconds=600, expected=(1,))
        return verdict(fault, read_cases(report))

    return work


def etcd_needs(version: str) -> list[str]:
    """What a lab needs whose hosts have this etcd."""
    return [
        *lab_needs(plan.main_venv, etcd.release_of(version)),
        *[f"etcd({version})"] * (etcd.find(version).release is None),
    ]


# One of the changes that have the most steps, with an etcd beside the default one and any ansible-core, in turn.
in_turn = plan.pair_in_turn(committed)
IN_TURN = f"turn(etcd {in_turn.etcd}, ansible-core {in_turn.core.version})"
_work = scenarios_of_pair(in_turn, ("transition",), "turn", changes.part_in_turn(committed))
step(IN_TURN, _work, *pair_needs(in_turn), tag="lab-test")

_found = sorted(path.stem[5:] for path in (_TESTS / "lab" / "scenarios").glob("test_*.py"))
# The demo needs a machine of its own, and none in that one.
_left_out = {"core", "demo"} if clean_machine.INSIDE_VARIABLE in os.environ else {"core"}
for name in turns.order(set(_found) - _left_out):
    # One shape at a time, another one each time that it is their turn.
    chosen = os.environ.get("RINGFENCE_SHAPES") or str(turns.number_of_turn(committed))
    settings = {"RINGFENCE_SHAPES": chosen} if name == "shapes" else {}
    work, today = scenarios((name,), name, plan.main_venv, **settings), turns.has_turn(name, committed)
    needed = [*lab_needs(plan.main_venv), *["lab(podman)"] * (name == "execution_environment")]
    step(f"lab({name})", work, *needed, tag="lab-test", today=today)
_work, _today = units(plan.oldest_venv, False), turns.is_day_of("units with the oldest", committed)
step("unit(oldest cryptography)", _work, f"install({plan.oldest_venv.name})", tag="unit", today=_today)
for version, of_controller in plan.node_pythons().items():
    title, today = f"unit(ansible-test, Python {version})", turns.is_day_of("units on nodes' Pythons", committed)
    step(title, ansible_units(version, of_controller), MAIN, tag="unit", today=today)
if plan.oldest != plan.main:
    title, today = f"integration(core {plan.oldest.line})", turns.is_day_of("integration with the oldest", committed)
    step(title, integration(plan.oldest), f"install({plan.oldest_venv.name})", tag="integration", today=today)
# The default pair has the whole suite.
_pairs = [pair for pair in plan.pairs() if pair != (changes.DEFAULT, plan.main, image.DEFAULT_RELEASE)]
for number, pair in enumerate(_pairs):
    # What the oldest one is upgraded to there.
    needed = pair_needs(pair) + ["etcd(3.5.35)"] * pair.etcd.startswith("3.4.")
    title = f"core(etcd {pair.etcd}, ansible-core {pair.core.version})"
    step(title, core_scenarios(pair), *needed, tag="lab-test", today=turns.pair_has_turn(number, committed))


_slugs = [name for name in changes.scenarios(changes.DEFAULT) if name != "core"]
_measured = [changes.file_of(places.logs, slug) for slug in (*_slugs, "turn")]
step(
    "table(changes)",
    lambda own: tell_changes(own, _measured),
    *map("lab({})".format, _slugs),
    IN_TURN,
    tag="lab-test",
)
for version in etcd.known_versions():
    step(f"changes(etcd {version})", measured_changes(version), *etcd_needs(version), tag="changes")
for version in changes.KILLED_WITH:
    upgrades = [f"etcd({number})" for number in changes.UPGRADED_TO]
    needs_once = dict.fromkeys([*etcd_needs(version), *upgrades])
    step(f"kills(etcd {version})", counted_kills(version), *needs_once, tag="kills")
for version in changes.FOR_SHAPES:
    step(f"shapes(etcd {version})", measured_shapes(version), *etcd_needs(version), tag="changes")


# -- lint ------------------------------------------------------------------------------------------------------------


def linter(purpose: str, *commands: t.Sequence[str]) -> None:
    """Commands that judge a staged copy."""

    def work(own: Work) -> None:
        root = stage(places, purpose)
        for words in commands:
            own.tool(plan.main_venv, words, root)

    step(f"lint({purpose})", work, MAIN, tag="lint")


PYLINT, NO_PYLINT = ("--test", "pylint"), ("--skip-test", "pylint")
_SANITY = {"compile", "import", "validate-modules", "ansible-doc", "yamllint"}
# By the words that choose, what has to be among them.
SANITY: dict[tuple[str, ...], set[str]] = {(): {*_SANITY, "pylint"}, NO_PYLINT: _SANITY, PYLINT: {"pylint"}}


def sanity(core: Core, *choice: str) -> StepWork:
    """Ansible-test's sanity tests. ``choice``: the words that choose some of them."""

    def work(own: Work) -> str:
        root = stage(places, f"sanity-{core.line}{'-pylint' if choice == PYLINT else ''}")
        ignored = sorted(path.name for path in (root / "tests" / "sanity").glob("ignore*"))
        if ignored:
            raise StepFailed(f"exceptions are not made here: remove {', '.join(ignored)} from tests/sanity")
        # What users have is checked by both ends; tests and tools are run by the newest alone.
        words = [] if core == plan.main else [f"--exclude={name}" for name in ("tests/", "bench/", "noxfile.py")]
        words = ["ansible-test", "sanity", "--local", "--color", "no", *choice, *words]
        printed = own.tool(plan.venvs[core], words, root)
        refuse_false_green(printed)
        tests = set(re.findall(r"^Running sanity test \"([a-z0-9-]+)\"", printed, re.MULTILINE))
        if not SANITY[choice] <= tests:
            raise StepFailed(f"ansible-test did not run: {', '.join(sorted(SANITY[choice] - tests))}")
        return f"{len(tests)} tests"

    return work


def galaxy_importer(own: Work) -> str:
    """The archive, as Galaxy takes it."""
    venv, root = plan.galaxy_venv, stage(places, "galaxy")
    out = staging_root(root) / "dist"
    shutil.rmtree(out, ignore_errors=True)
    tarball = built(root, out, [*venv.python.enter, str(venv.bin(places) / "ansible-galaxy")])
    names = check_tarball(tarball)
    settings = out / "galaxy-importer.cfg"
    settings.write_text(
        "[galaxy-importer]\n"
        "LOG_LEVEL_MAIN = INFO\n"
        "RUN_ANSIBLE_DOC = True\n"
        "RUN_ANSIBLE_LINT = True\n"
        "RUN_ANSIBLE_TEST = False\n"
        "RUN_FLAKE8 = False\n"
        "CHECK_REQUIRED_TAGS = True\n"
        "CHECK_CHANGELOG = True\n",
        encoding="utf-8",
    )
    env = plan.environment(venv, root, GALAXY_IMPORTER_CONFIG=str(settings))
    words = [*venv.python.enter, "python", "-m", "galaxy_importer.main", str(tarball)]
    printed = own.run(words, cwd=out, env=env)
    complaints = [line for line in printed.splitlines() if line.startswith(("ERROR", "WARNING"))]
    if complaints:
        raise StepFailed(f"galaxy-importer complains: {complaints[0]}")
    return f"{tarball.name}, {names} files"


def mypy(own: Work) -> None:
    """The product as Ansible imports it; then the tools, whose packages import each other."""
    root = stage(places, "mypy")
    words = ["mypy", "--config-file", str(root / "pyproject.toml")]
    env = plan.environment(plan.main_venv, root, MYPYPATH=str(staging_root(root)))
    product = [*plan.main_venv.python.enter, *words, "ansible_collections/ringfence/etcd/plugins"]
    own.run(product, cwd=staging_root(root), env=env)
    folders = os.pathsep.join(map(str, (root / "tests", root / "tests" / "lab", root / "bench")))
    words += ["noxfile.py", "tests/runner", "tests/lab/ringfence_lab", *(f"bench/{name}" for name in BENCH_FOLDERS)]
    own.tool(plan.main_venv, words, root, MYPYPATH=folders)


def check_layers(own: Work) -> str:
    """Who imports whom."""
    graph = layers.graph_of(stage(places, "layers") / "plugins")
    found = layers.problems(graph)
    if found:
        own.say("\n".join(found))
        raise StepFailed(f"{found[0]} ({len(found)} in all)" if len(found) > 1 else found[0])
    chain = layers.longest_chain(graph)
    own.say(f"the longest chain: {' -> '.join(chain)}")
    return f"{len(graph)} files, the longest chain has {len(chain)}"


for core in plan.ends:
    needs, today = f"install({plan.venvs[core].name})", turns.is_day_of("sanity with the oldest", committed)
    if core == plan.main:
        step(f"sanity({core.line})", sanity(core, *NO_PYLINT), needs, tag="lint")
        today = turns.is_day_of("pylint", committed)
        step(f"sanity({core.line}, pylint)", sanity(core, *PYLINT), needs, tag="lint", today=today)
    else:
        step(f"sanity({core.line})", sanity(core), needs, tag="lint", today=today)
# Who makes the image that AWX's jobs run in has the last word on its definition; the archive is what goes into it.
_definition = "extensions/awx/execution-environment.yml"
linter(
    "ansible-builder",
    ["ansible-galaxy", "collection", "build", "--force", "--output-path", "dist"],
    ["ansible-builder", "create", "--file", _definition, "--context", "dist/context"],
)
linter("ansible-lint", ["ansible-lint", "--offline", "--profile", "production", "--nocolor"])
step("lint(galaxy-importer)", galaxy_importer, f"install({plan.galaxy_venv.name})", tag="lint")
step("browser(the page of the proof)", browser, MAIN, tag="integration")
for number, fault in enumerate(FAULTS, 1):
    needed = lab_needs(plan.main_venv) if fault.is_for_the_lab else [MAIN]
    step(f"fault({fault.title})", fault_work(fault, f"fault-{number}"), *needed, tag="lab-test")
_words = ("--plugin-docs", "--validate-collection-refs=all", "--skip-rstcheck", ".")
linter("antsibull-docs", ["antsibull-docs", "lint-collection-docs", *_words])
step("unit(the lab and the runner)", own_tools, MAIN, tag="unit")
linter("ruff", ["ruff", "check", "."], ["ruff", "format", "--check", "."])
step("lint(mypy)", mypy, MAIN, tag="lint")
step("lint(layers)", check_layers, tag="lint")
linter("antsibull-changelog", ["antsibull-changelog", "lint"])
linter("reuse", ["reuse", "lint", "--lines"])


def no_python(core: Core) -> StepWork:
    """A core that can't be tested here."""

    def work(own: Work) -> str:
        raise StepSkipped(f"no Python {', '.join(sorted(core.pythons))} here, which ansible-core {core.line} needs")

    return work


for core in plan.left_out:
    step(f"ansible-core({core.line})", no_python(core), tag="lint")


def left_to_other_days(own: Work) -> str:
    """What a change does not have to pass today."""
    raise StepSkipped(f"not today, but with make test-all: {', '.join(other_days)}")


step("other days' turn", left_to_other_days, tag=TODAY)
