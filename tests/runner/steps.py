# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is checked, and how each tool is called."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import tarfile
import typing as t

from runner.cores import OLDEST, Core, cores_to_test
from runner.machine import MachineError, Python, need_command
from runner.places import CHECKOUT, Places, Venv, stage, staging_root
from runner.schedule import PYTEST_SUMMARY, Log, Step, StepFailed, StepSkipped

# ansible-test says these with exit code 0: nothing was tested.
FALSE_GREENS = ("No tests applicable", "All targets skipped", "Unable to determine context", "no tests ran")


class Plan:
    """The steps for this machine."""

    def __init__(self, places: Places, pythons: dict[str, Python]) -> None:
        self.places = places
        self.pythons = pythons
        tested = cores_to_test(pythons)
        if not tested:
            found = ", ".join(python.full for python in pythons.values()) or "none"
            raise MachineError(f"no Python here can run a supported ansible-core (3.10 to 3.14; found: {found})")
        self.cores = {core: pythons[version] for core, version in tested.items()}
        self.main = next(iter(self.cores))
        self.oldest = list(self.cores)[-1]
        self.main_venv = Venv(
            f"main-{self.main.line}",
            self.cores[self.main],
            self.main,
            ("lint", "unit", "cryptography-newest"),
        )
        # The oldest of what users run together: ansible-core, cryptography.
        self.oldest_venv = Venv(
            f"oldest-{self.oldest.line}", self.cores[self.oldest], self.oldest, ("unit", "cryptography-oldest")
        )
        self.galaxy_venv = Venv(f"galaxy-{self.main.line}", self.cores[self.main], self.main, ("galaxy-importer",))

    # -- surroundings ----------------------------------------------------------------------------------------------

    def environment(self, venv: Venv, root: pathlib.Path | None = None, **more: str) -> dict[str, str]:
        """The environment of a tool: its virtual environment first, then the real Pythons, a home of its own."""
        cache = self.places.cache
        folders = [str(venv.bin(self.places)), *(os.path.dirname(python.path) for python in self.pythons.values())]
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
                log.command(command, cwd=root, env=self.environment(venv, root))

        return work

    # -- installing ------------------------------------------------------------------------------------------------

    def install(self, venv: Venv) -> Step:
        """Have a virtual environment."""
        return Step(f"install {venv.name}", lambda log: venv.make(self.places, log.command))

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
            Step(f"lint: sanity {core.line}", self._sanity(core), (f"install {self.venv_of(core).name}",))
            for core in self.cores
        )
        return steps

    def venv_of(self, core: Core) -> Venv:
        """The virtual environment whose ansible-test is this core's."""
        return self.main_venv if core == self.main else self.oldest_venv

    def _mypy(self, log: Log) -> None:
        root = stage(self.places, "mypy")
        env = self.environment(self.main_venv, root, MYPYPATH=str(staging_root(root)))
        settings = ["--config-file", str(root / "pyproject.toml")]
        plugins = "ansible_collections/ringfence/etcd/plugins"
        log.command(["mypy", *settings, plugins], cwd=staging_root(root), env=env)
        log.command(["mypy", *settings, "runner"], cwd=root / "tests", env=self.environment(self.main_venv, root))

    def _ansible_lint(self, log: Log) -> None:
        root = stage(self.places, "ansible-lint")
        log.command(
            ["ansible-lint", "--offline", "--profile", "production", "--nocolor"],
            cwd=root,
            env=self.environment(self.main_venv, root),
        )

    def _sanity(self, core: Core) -> t.Callable[[Log], str]:
        venv = self.venv_of(core)

        def work(log: Log) -> str:
            root = stage(self.places, f"sanity-{core.line}")
            ignored = sorted(path.name for path in (root / "tests" / "sanity").glob("ignore*"))
            if ignored:
                raise StepFailed(f"exceptions are not made here: remove {', '.join(ignored)} from tests/sanity")
            printed = log.command(
                ["ansible-test", "sanity", "--local", "--color", "no"], cwd=root, env=self.environment(venv, root)
            )
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
        tarball = build_tarball(log, env, root, out)
        names = check_tarball(tarball)
        # An empty place, so that nothing but the tarball can be found.
        place = out / "installed"
        log.command(
            ["ansible-galaxy", "collection", "install", "--offline", "-p", str(place), str(tarball)],
            env={**env, "ANSIBLE_COLLECTIONS_PATH": str(place)},
        )
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
        printed = log.command(
            [str(self.galaxy_venv.bin(self.places) / "python"), "-m", "galaxy_importer.main", str(tarball)],
            cwd=out,
            env={**env, "GALAXY_IMPORTER_CONFIG": str(settings)},
        )
        complaints = [line for line in printed.splitlines() if line.startswith(("ERROR", "WARNING"))]
        if complaints:
            raise StepFailed(f"galaxy-importer complains: {complaints[0]}")
        return f"{tarball.name}, {names} files"

    # -- unit ------------------------------------------------------------------------------------------------------

    def unit(self) -> list[Step]:
        """The unit tests on the two ends of what users run, and on each Python that nodes may have."""
        main, oldest = self.main_venv, self.oldest_venv
        steps = [
            Step("unit: newest, coverage", self._pytest(main, coverage=True), (f"install {main.name}",)),
            Step("unit: oldest cryptography", self._pytest(oldest, coverage=False), (f"install {oldest.name}",)),
        ]
        for version, core in self.node_pythons().items():
            venv = self.venv_of(core)
            steps.append(
                Step(
                    f"unit: Python {version}, core {core.line}",
                    self._units(core, version),
                    (f"install {venv.name}",),
                )
            )
        return steps

    def node_pythons(self) -> dict[str, Core]:
        """The Pythons to run the unit tests on by ansible-test, each with the core whose ansible-test does it."""
        # The newest core knows them all. The Pythons that plain pytest runs on need no second run, unless they are
        # the only ones on which ansible-test runs the controller's side too.
        done = {python.version for python in self.cores.values()}
        others = [version for version in self.pythons if version not in done]
        if not set(others) & set(self.main.pythons):
            others.append(self.cores[self.main].version)
        return dict.fromkeys(others, self.main)

    def _pytest(self, venv: Venv, coverage: bool) -> t.Callable[[Log], str]:
        def work(log: Log) -> str:
            need_command("openssl", "openssl")
            root = stage(self.places, f"pytest-{venv.name}")
            if not (root / "tests" / "unit").is_dir():
                raise StepFailed("there is no tests/unit")
            words = [str(venv.bin(self.places) / "python"), "-m", "pytest", "-p", "no:cacheprovider", "tests/unit"]
            if coverage:
                words += [f"--cov={root / 'plugins'}", "--cov-config=pyproject.toml"]
                words += ["--cov-report=term-missing:skip-covered"]
            env = self.environment(venv, root, PYTHONPATH=str(staging_root(root)))
            printed = log.command(words, cwd=root, env=env)
            if coverage:
                log.shown.extend(line for line in printed.splitlines() if re.match(r"TOTAL\s", line))
            return tests_passed(printed)

        return work

    def _units(self, core: Core, version: str) -> t.Callable[[Log], str]:
        venv = self.venv_of(core)

        def work(log: Log) -> str:
            need_command("openssl", "openssl")
            root = stage(self.places, f"units-{core.line}-{version}")
            printed = log.command(
                ["ansible-test", "units", "--venv", "--python", version, "--color", "no"],
                cwd=root,
                env=self.environment(venv, root),
            )
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
                (f"install {self.venv_of(core).name}",),
                alone=True,
            )
            for core in self.cores
        ]

    def _integration(self, core: Core) -> t.Callable[[Log], str]:
        venv = self.venv_of(core)

        def work(log: Log) -> str:
            need_command("openssl", "openssl")
            # ansible-test makes itself a key, whether or not it connects to anything.
            need_command("ssh-keygen", "openssh-client")
            root = stage(self.places, f"integration-{core.line}")
            targets = integration_targets(root)
            if not targets:
                raise StepFailed("there is no target in tests/integration/targets")
            python = self.cores[core].version
            printed = log.command(
                ["ansible-test", "integration", "--venv", "--python", python, "--allow-destructive", "--color", "no"],
                cwd=root,
                env=self.environment(venv, root),
            )
            refuse_false_green(printed, targets)
            return f"{len(targets)} targets"

        return work

    # -- lab -------------------------------------------------------------------------------------------------------

    def lab(self) -> list[Step]:
        """Real etcd on real hosts."""
        return [Step("lab", self._lab, (f"install {self.main_venv.name}",), alone=True, live=True)]

    def _lab(self, log: Log) -> str:
        if not (CHECKOUT / "tests" / "lab" / "scenarios").is_dir():
            raise StepSkipped("there is no tests/lab/scenarios yet")
        if os.geteuid() != 0:
            raise StepFailed("the lab boots hosts of its own and needs root for that: run it with sudo")
        root = stage(self.places, "lab")
        # The lab keeps its images in the same cache, by content; the user's home is left as it is for it.
        env = self.environment(
            self.main_venv,
            root,
            PYTHONPATH=str(staging_root(root)),
            HOME=os.path.expanduser("~"),
            PYTHONUNBUFFERED="1",
        )
        words = [str(self.main_venv.bin(self.places) / "python"), "-m", "pytest", "-p", "no:cacheprovider"]
        words += ["-v", "--durations=15", "tests/lab/tests", "tests/lab/scenarios"]
        return tests_passed(log.command(words, cwd=root, env=env, timeout_seconds=4200))

    # -- build -----------------------------------------------------------------------------------------------------

    def build(self) -> list[Step]:
        """The tarball, in the checkout's dist/."""

        def work(log: Log) -> str:
            root = stage(self.places, "build")
            tarball = build_tarball(log, self.environment(self.main_venv, root), root, CHECKOUT / "dist")
            check_tarball(tarball)
            return str(tarball)

        return [Step("build", work, (f"install {self.main_venv.name}",))]

    # -- all -------------------------------------------------------------------------------------------------------

    def steps(self, what: str) -> list[Step]:
        """The steps of a target, with the installations that they need."""
        wanted: list[Step] = []
        if what in ("lint", "test"):
            wanted += self.lint()
        if what in ("unit", "test"):
            wanted += self.unit()
        if what in ("integration", "test"):
            wanted += self.integration()
        if what in ("lab-test", "test"):
            wanted += self.lab()
        if what == "build":
            wanted += self.build()
        needed = {name for step in wanted for name in step.after}
        venvs = dict.fromkeys([self.main_venv, self.oldest_venv, self.galaxy_venv])
        installs = [self.install(venv) for venv in venvs]
        steps = [step for step in installs if step.name in needed] + wanted
        if OLDEST not in self.cores and what != "build":
            steps.append(Step(f"ansible-core {OLDEST.line}", _no_oldest))
        return steps


def _no_oldest(log: Log) -> str:
    raise StepSkipped(f"no Python {', '.join(sorted(OLDEST.pythons))} here, which ansible-core {OLDEST.line} needs")


def build_tarball(log: Log, env: t.Mapping[str, str], root: pathlib.Path, out: pathlib.Path) -> pathlib.Path:
    """Build the collection from a staged copy: the builder does not read .gitignore."""
    out.mkdir(parents=True, exist_ok=True)
    log.command(["ansible-galaxy", "collection", "build", "--force", "--output-path", str(out)], cwd=root, env=env)
    return max(out.glob("ringfence-etcd-*.tar.gz"), key=lambda path: path.stat().st_mtime)


def check_tarball(tarball: pathlib.Path) -> int:
    """Refuse a tarball that holds what belongs to a developer's checkout; return the count of its files."""
    with tarfile.open(tarball) as archive:
        names = [member.name for member in archive.getmembers() if not member.isdir()]
    unwanted = re.compile(r"(^|/)(__pycache__|\.[a-z_]+_cache|\.ansible)/|^tests/output/|\.pyc$")
    stray = [name for name in names if unwanted.search(name)]
    if stray:
        raise StepFailed(f"the tarball holds {stray[0]}: add it to build_ignore in galaxy.yml")
    lacking = [name for name in ("MANIFEST.json", "README.md", "LICENSE", "meta/runtime.yml") if name not in names]
    if lacking:
        raise StepFailed(f"the tarball lacks {', '.join(lacking)}")
    return len(names)


def integration_targets(root: pathlib.Path) -> set[str]:
    """The targets that a run must name; setup_ and prepare_ ones are run by those that need them."""
    folders = (root / "tests" / "integration" / "targets").glob("*/")
    return {
        folder.name for folder in folders if folder.is_dir() and not folder.name.startswith(("setup_", "prepare_", "."))
    }


def refuse_false_green(printed: str, targets: set[str]) -> None:
    """Fail where ansible-test says with exit code 0 that it tested nothing, or left a target out."""
    for words in FALSE_GREENS:
        if words in printed:
            raise StepFailed(f"ansible-test says: {words}")
    run = set(re.findall(r"^Running ([a-z0-9_]+) integration test", printed, re.MULTILINE))
    left_out = sorted(targets - run)
    if left_out:
        raise StepFailed(f"ansible-test did not run: {', '.join(left_out)}")


def tests_passed(printed: str) -> str:
    """Pytest's count; a run in which nothing passed has failed."""
    summaries = [line for line in printed.splitlines() if PYTEST_SUMMARY.match(line)]
    passed = sum(int(count) for line in summaries for count in re.findall(r"(\d+) passed", line))
    if passed == 0:
        raise StepFailed("no test passed")
    return f"{passed} tests"
