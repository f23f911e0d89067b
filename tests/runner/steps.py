# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is checked, and how each tool is called."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import sys
import typing as t

from ringfence_lab import demo
from ringfence_lab.errors import LabError

from runner import kept, layers
from runner.build import built
from runner.cores import CORES, Core, usable_cores
from runner.coverage import forget_integration, integration_data, report_coverage
from runner.labsteps import lab_steps
from runner.machine import MachineError, Python, need_browser, need_command
from runner.places import Places, Venv, stage, staging_root
from runner.schedule import Log, Step, StepFailed, StepSkipped
from runner.verdicts import check_tarball, integration_targets, refuse_false_green, tests_passed

UNIT_MEASURED = "unit: newest, coverage"
BENCH_FOLDERS = ("ringfence_bench", "callback", "issuing")
BROWSER = "browser: the page of the proof"


class Plan:
    """The steps for this machine."""

    def __init__(self, places: Places, pythons: dict[str, Python]) -> None:
        self.places = places
        self.pythons = pythons
        tested = usable_cores(pythons)
        if not tested:
            found = ", ".join(python.full for python in pythons.values()) or "none"
            raise MachineError(f"no Python here can run a supported ansible-core (3.10 to 3.14; found: {found})")
        self.cores = {core: pythons[version] for core, version in tested.items()}
        self.main = next(iter(self.cores))
        self.oldest = list(self.cores)[-1]
        # The two ends of what users run have everything; those between them the core scenarios.
        self.ends = tuple(dict.fromkeys([self.main, self.oldest]))
        self.main_venv = Venv(
            f"main-{self.main.line}",
            self.cores[self.main],
            self.main,
            ("lint", "unit", "cryptography-newest", "pkilint"),
        )
        # The oldest of what users run together: ansible-core, cryptography.
        self.oldest_venv = Venv(
            f"oldest-{self.oldest.line}", self.cores[self.oldest], self.oldest, ("unit", "cryptography-oldest")
        )
        self.galaxy_venv = Venv(f"galaxy-{self.main.line}", self.cores[self.main], self.main, ("galaxy-importer",))
        self.venvs = {
            core: Venv(f"core-{core.line}", python, core, ("cryptography-newest",))
            for core, python in self.cores.items()
        }
        self.venvs.update({self.oldest: self.oldest_venv, self.main: self.main_venv})
        # Data files of this run, for the coverage by unit and integration tests together.
        self.measured: list[pathlib.Path] = []

    # -- surroundings ----------------------------------------------------------------------------------------------

    def environment(self, venv: Venv, root: pathlib.Path | None = None, **more: str) -> dict[str, str]:
        """The environment of a tool: its virtual environment first, then the real Pythons, a home of its own."""
        cache = self.places.cache
        folders = [str(venv.bin(self.places))]
        if venv.python.enter:
            # In a Debian tree this machine's other interpreters would not find their libraries.
            path = os.defpath.split(os.pathsep)
        else:
            here = (python for python in self.pythons.values() if not python.enter)
            folders += [os.path.dirname(python.path) for python in here]
            path = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if "/shims" not in folder]
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANSIBLE_", "PYTHON", "PYTEST_", "MAKE", "MFLAGS", "GIT_", "VIRTUAL_ENV"))
        }
        env.update(
            PATH=os.pathsep.join(dict.fromkeys([*folders, *path])),
            HOME=str(self.places.home),
            LC_ALL="C.UTF-8",
            RINGFENCE_CACHE=str(cache),
            PYTHONPYCACHEPREFIX=str(cache / "pycache"),
            HYPOTHESIS_STORAGE_DIRECTORY=str(cache / "hypothesis"),
            MYPY_CACHE_DIR=str(cache / "mypy"),
            RUFF_CACHE_DIR=str(cache / "ruff"),
            COVERAGE_FILE=str(self.places.logs / f"coverage-{venv.name}"),
            NO_COLOR="1",
            ANSIBLE_NOCOLOR="1",
        )
        if root is not None:
            env["ANSIBLE_COLLECTIONS_PATH"] = str(staging_root(root))
        env.update(more)
        return env

    def _staged(self, venv: Venv, purpose: str, *commands: t.Sequence[str]) -> t.Callable[[Log], None]:
        """Work that runs commands in a staged copy."""

        def work(log: Log) -> None:
            root = stage(self.places, purpose)
            for command in commands:
                self.command(log, venv, command, root)

        return work

    def command(
        self, log: Log, venv: Venv, words: t.Sequence[str], root: pathlib.Path, env: t.Mapping[str, str] | None = None
    ) -> str:
        """Run a command of a virtual environment in a staged copy; return what it printed."""
        return log.command(
            [*venv.python.enter, *words], cwd=root, env=self.environment(venv, root) if env is None else env
        )

    # -- installing ------------------------------------------------------------------------------------------------

    def install(self, venv: Venv) -> Step:
        """Have a virtual environment."""
        return Step(f"install {venv.name}", lambda log: venv.make(self.places, log.command), estimate=20)

    # -- lint ------------------------------------------------------------------------------------------------------

    def lint(self) -> list[Step]:
        """What needs no run of the product."""
        main = (f"install {self.main_venv.name}",)
        steps = [
            Step(
                "lint: ruff",
                self._staged(self.main_venv, "ruff", ["ruff", "check", "."], ["ruff", "format", "--check", "."]),
                main,
            ),
            Step("lint: mypy", self._mypy, main),
            Step("lint: layers", self._layers),
            Step("lint: ansible-lint", self._ansible_lint, main),
            Step(
                "lint: antsibull-docs",
                self._staged(
                    self.main_venv,
                    "antsibull-docs",
                    [
                        "antsibull-docs",
                        "lint-collection-docs",
                        "--plugin-docs",
                        "--validate-collection-refs=all",
                        "--skip-rstcheck",
                        ".",
                    ],
                ),
                main,
            ),
            Step(
                "lint: antsibull-changelog",
                self._staged(self.main_venv, "antsibull-changelog", ["antsibull-changelog", "lint"]),
                main,
            ),
            Step("lint: reuse", self._staged(self.main_venv, "reuse", ["reuse", "lint", "--lines"]), main),
            Step("lint: galaxy-importer", self._galaxy, (f"install {self.galaxy_venv.name}",)),
        ]
        steps.extend(
            Step(f"lint: sanity {core.line}", self._sanity(core), (f"install {self.venvs[core].name}",), estimate=140)
            for core in self.ends
        )
        return steps

    def _mypy(self, log: Log) -> None:
        root = stage(self.places, "mypy")
        env = self.environment(self.main_venv, root, MYPYPATH=str(staging_root(root)))
        settings = ["--config-file", str(root / "pyproject.toml")]
        plugins = "ansible_collections/ringfence/etcd/plugins"
        self.command(log, self.main_venv, ["mypy", *settings, plugins], staging_root(root), env)
        # The lab's package is imported by the runner, and both by the bench.
        folders = (root / "tests", root / "tests" / "lab", root / "bench")
        env = self.environment(self.main_venv, root, MYPYPATH=os.pathsep.join(map(str, folders)))
        packages = ["tests/runner", "tests/lab/ringfence_lab", *(f"bench/{name}" for name in BENCH_FOLDERS)]
        self.command(log, self.main_venv, ["mypy", *settings, *packages], root, env)

    def _layers(self, log: Log) -> str:
        plugins = stage(self.places, "layers") / "plugins"
        graph = layers.graph_of(plugins)
        found = layers.problems(graph)
        for line in found:
            log.line(line)
        if found:
            raise StepFailed(f"{found[0]} ({len(found)} in all)" if len(found) > 1 else found[0])
        chain = layers.longest_chain(graph)
        log.line(f"the longest chain: {' -> '.join(chain)}")
        return f"{len(graph)} files, the longest chain has {len(chain)}"

    def _ansible_lint(self, log: Log) -> None:
        root = stage(self.places, "ansible-lint")
        words = ["ansible-lint", "--offline", "--profile", "production", "--nocolor"]
        self.command(log, self.main_venv, words, root)

    def _sanity(self, core: Core) -> t.Callable[[Log], str]:
        venv = self.venvs[core]

        def work(log: Log) -> str:
            root = stage(self.places, f"sanity-{core.line}")
            ignored = sorted(path.name for path in (root / "tests" / "sanity").glob("ignore*"))
            if ignored:
                raise StepFailed(f"exceptions are not made here: remove {', '.join(ignored)} from tests/sanity")
            # What users have is checked by both ends; tests and tools are run by the newest alone.
            words = [] if core == self.main else [f"--exclude={folder}/" for folder in ("tests", "bench")]
            printed = self.command(log, venv, ["ansible-test", "sanity", "--local", "--color", "no", *words], root)
            refuse_false_green(printed, set())
            tests = set(re.findall(r"^Running sanity test \"([a-z0-9-]+)\"", printed, re.MULTILINE))
            needed = {"compile", "import", "validate-modules", "ansible-doc", "pylint", "yamllint"}
            if not needed <= tests:
                raise StepFailed(f"ansible-test did not run: {', '.join(sorted(needed - tests))}")
            return f"{len(tests)} tests"

        return work

    def _galaxy(self, log: Log) -> str:
        root = stage(self.places, "galaxy")
        env = self.environment(self.galaxy_venv, root)
        out = staging_root(root) / "dist"
        shutil.rmtree(out, ignore_errors=True)
        galaxy = [*self.galaxy_venv.python.enter, str(self.galaxy_venv.bin(self.places) / "ansible-galaxy")]
        tarball = built(root, out, galaxy)
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
        printed = self.command(
            log,
            self.galaxy_venv,
            ["python", "-m", "galaxy_importer.main", str(tarball)],
            out,
            {**env, "GALAXY_IMPORTER_CONFIG": str(settings)},
        )
        complaints = [line for line in printed.splitlines() if line.startswith(("ERROR", "WARNING"))]
        if complaints:
            raise StepFailed(f"galaxy-importer complains: {complaints[0]}")
        return f"{tarball.name}, {names} files"

    # -- unit ------------------------------------------------------------------------------------------------------

    def unit(self) -> list[Step]:
        """The unit tests on the two ends of what users run, and by ansible-test on Pythons beside theirs."""
        main, oldest = self.main_venv, self.oldest_venv
        steps = [
            Step(UNIT_MEASURED, self._pytest(main, coverage=True), (f"install {main.name}",), estimate=250),
            Step(
                "unit: oldest cryptography",
                self._pytest(oldest, coverage=False),
                (f"install {oldest.name}",),
                estimate=120,
            ),
            Step("unit: the lab and the runner", self._tools, (f"install {main.name}",)),
        ]
        for version, core in self.node_pythons().items():
            venv = self.venvs[core]
            steps.append(
                Step(
                    f"unit: Python {version}, core {core.line}",
                    self._units(core, version),
                    (f"install {venv.name}",),
                    estimate=120,
                )
            )
        return steps

    def node_pythons(self) -> dict[str, Core]:
        """The Pythons to run the unit tests on by ansible-test, each with the core whose ansible-test does it.

        The newest core knows them all. Of those that plain pytest does not run on, the oldest, and one on which
        ansible-test runs the controller's side too; what lies between Pythons that have all tests has ansible-test
        sanity.
        """
        done = {self.cores[core].version for core in self.ends}
        others = [version for version, python in self.pythons.items() if version not in done and not python.enter]
        controllers = [version for version in others if version in self.main.pythons] or [self.cores[self.main].version]
        return dict.fromkeys([*others[:1], *controllers[:1]], self.main)

    def _pytest(self, venv: Venv, coverage: bool) -> t.Callable[[Log], str]:
        def work(log: Log) -> str:
            need_command("openssl", "openssl")
            root = stage(self.places, f"pytest-{venv.name}")
            if not (root / "tests" / "unit").is_dir():
                raise StepFailed("there is no tests/unit")
            words = ["python", "-m", "pytest", "-p", "no:cacheprovider", "tests/unit"]
            if coverage:
                words += [f"--cov={root / 'plugins'}", "--cov-config=pyproject.toml"]
                words += ["--cov-report=term-missing:skip-covered"]
            env = self.environment(venv, root, PYTHONPATH=str(staging_root(root)))
            if coverage:
                # Some tests need a real etcd; once is enough, with the one that the integration tests have.
                env["RINGFENCE_ETCD"] = os.path.join(_etcd_programs(), "etcd")
            printed = self.command(log, venv, words, root, env)
            if coverage:
                self.measured.append(pathlib.Path(env["COVERAGE_FILE"]))
                log.shown.extend(line for line in printed.splitlines() if re.match(r"TOTAL\s", line))
            return tests_passed(printed)

        return work

    def _tools(self, log: Log) -> str:
        root = stage(self.places, "tools")
        tests = ["tests/lab/tests", "tests/runner/tests", "bench/tests"]
        words = ["python", "-m", "pytest", "-p", "no:cacheprovider", *tests]
        return tests_passed(self.command(log, self.main_venv, words, root))

    def _units(self, core: Core, version: str) -> t.Callable[[Log], str]:
        venv = self.venvs[core]

        def work(log: Log) -> str:
            need_command("openssl", "openssl")
            root = stage(self.places, f"units-{core.line}-{version}")
            words = ["ansible-test", "units", "--venv", "--python", version, "--color", "no"]
            printed = self.command(log, venv, words, root)
            refuse_false_green(printed, set())
            return tests_passed(printed)

        return work

    # -- integration -----------------------------------------------------------------------------------------------

    def integration(self) -> list[Step]:
        """The modules against this machine, on the two ends of ansible-core."""
        return [
            Step(
                f"integration: core {core.line}",
                self._integration(core),
                (f"install {self.venvs[core].name}",),
                estimate=330 if core == self.main else 190,
            )
            for core in self.ends
        ]

    def _integration(self, core: Core) -> t.Callable[[Log], str]:
        venv = self.venvs[core]

        def work(log: Log) -> str:
            need_command("openssl", "openssl")
            # ansible-test makes itself a key, whether or not it connects to anything; two at once would both make it.
            need_command("ssh-keygen", "openssh-client")
            key = self.places.home / ".ansible" / "test" / "id_rsa"
            with self.places.lock("ansible-test-key"):
                if not key.exists():
                    log.command(["ssh-keygen", "-m", "PEM", "-q", "-t", "rsa", "-N", "", "-f", str(key)])
            root = stage(self.places, f"integration-{core.line}")
            config = root / "tests" / "integration" / "integration_config.yml"
            config.write_text(f"etcd_programs: {json.dumps(_etcd_programs())}\n", encoding="utf-8")
            targets = integration_targets(root)
            if not targets:
                raise StepFailed("there is no target in tests/integration/targets")
            python = self.cores[core].version
            words = ["ansible-test", "integration", "--venv", "--python", python, "--allow-destructive"]
            if core == self.main:
                # On one Python with the unit tests: which branches there are differs between Pythons.
                forget_integration(root)
                words.append("--coverage")
            printed = self.command(log, venv, [*words, "--color", "no"], root)
            refuse_false_green(printed, targets)
            if core == self.main:
                self.measured.extend(integration_data(root))
            return f"{len(targets)} targets"

        return work

    # -- browser ---------------------------------------------------------------------------------------------------

    def browser(self) -> list[Step]:
        """The page of the proof in a real Chromium, with pictures to look at."""
        return [Step(BROWSER, self._browser, (f"install {self.main_venv.name}",), estimate=90)]

    def _browser(self, log: Log) -> str:
        try:
            chromium = need_browser()
        except MachineError as exc:
            raise StepSkipped(str(exc)) from exc
        root = stage(self.places, "browser")
        folder = pathlib.Path(os.environ.get("RINGFENCE_RESULTS") or self.places.logs) / "pages"
        shutil.rmtree(folder, ignore_errors=True)
        env = self.environment(self.main_venv, root, PYTHONPATH=str(staging_root(root)))
        words = ["python", "tests/browser/pages.py", str(folder)]
        names = self.command(log, self.main_venv, words, root, env).split()
        if not names:
            raise StepFailed("tests/browser/pages.py made no page")
        # By this Python, not that of a Debian tree, in which there is no browser.
        shots = [sys.executable, "tests/browser/shots.py", "--chromium", chromium]
        log.command([*shots, *(str(folder / f"{name}.html") for name in names)], cwd=root)
        return f"{len(names)} pages, pictures in {folder}"

    # -- coverage --------------------------------------------------------------------------------------------------

    def coverage(self) -> list[Step]:
        """What the unit tests and the integration tests of the newest core reach together."""
        return [Step("coverage: together", self._coverage, (UNIT_MEASURED, f"integration: core {self.main.line}"))]

    def _coverage(self, log: Log) -> str:
        root = stage(self.places, "coverage")
        venv = self.main_venv
        combined = self.places.logs / "together.coverage"

        def run(words: t.Sequence[str]) -> str:
            return self.command(log, venv, ["python", "-m", *words], root)

        return f"{report_coverage(log, run, self.measured, combined):g} %"

    def _note_inputs(self, steps: list[Step]) -> None:
        """Tell each step what it reads. Coverage has to be measured anew when any of its two sides is."""
        measured = {"coverage: together", UNIT_MEASURED, f"integration: core {self.main.line}"}
        venvs = [self.main_venv, self.oldest_venv, self.galaxy_venv, *self.venvs.values()]
        paths = {f"install {venv.name}": venv.path(self.places).name for venv in venvs}
        for step in steps:
            step.inputs = kept.INTEGRATION if step.name in measured else _INPUTS.get(step.name.partition(":")[0], ())
            if step.name in ("lab: packages", "unit: the lab and the runner"):
                step.inputs = ()
            step.environments = (self.main_venv.path(self.places).name, *(paths.get(name, name) for name in step.after))

    # -- all -------------------------------------------------------------------------------------------------------

    def steps(self, what: str) -> list[Step]:
        """The steps of a target, with the installations that they need."""
        targets = {
            "lint": self.lint,
            "unit": self.unit,
            "integration": lambda: [*self.integration(), *self.browser()],
            "lab-test": lambda: lab_steps(self),
            "coverage": self.coverage,
        }
        names = ["lint", "unit", "integration", "coverage", "lab-test"] if what == "test" else [what]
        wanted = [step for name in names for step in targets[name]()]
        self._note_inputs(wanted)
        needed = {name for step in wanted for name in step.after}
        venvs = dict.fromkeys([self.main_venv, self.oldest_venv, self.galaxy_venv, *self.venvs.values()])
        installs = [self.install(venv) for venv in venvs]
        steps = [step for step in installs if step.name in needed] + wanted
        steps += [Step(f"ansible-core {core.line}", _no_python(core)) for core in CORES if core not in self.cores]
        return steps


# What the steps of each kind read, by the first word of their names.
_INPUTS = {
    "browser": kept.BROWSER,
    "core": kept.LAB,
    "fault": kept.FAULTS,
    "integration": kept.INTEGRATION,
    "lab": kept.LAB,
    "lint": kept.EVERYTHING,
    "unit": kept.UNIT,
}


def _etcd_programs() -> str:
    """The folder with the etcd that the role's target starts on loopback; as the demo without root gets it."""
    by_hand = os.environ.get("RINGFENCE_ETCD_PROGRAMS")
    if by_hand:
        return by_hand
    try:
        return os.path.dirname(demo.ensure_etcd()[0])
    except LabError as exc:
        raise MachineError(str(exc)) from exc


def _no_python(core: Core) -> t.Callable[[Log], str]:
    def work(log: Log) -> str:
        raise StepSkipped(f"no Python {', '.join(sorted(core.pythons))} here, which ansible-core {core.line} needs")

    return work
