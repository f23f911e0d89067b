# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real etcd on real hosts: the whole suite on the default versions, its core on every etcd and every ansible-core."""

from __future__ import annotations

import os
import pathlib
import shlex
import sys
import typing as t

from ringfence_lab import clean_machine, etcd, image, surroundings

from runner.faults import FAULTS, Fault, put_in, verdict
from runner.machine import MachineError, need_command, need_packages
from runner.places import CHECKOUT, Venv, stage, staging_root
from runner.results import read_cases
from runner.schedule import Log, Step
from runner.verdicts import tests_passed

if t.TYPE_CHECKING:
    from runner.cores import Core
    from runner.steps import Plan


SCENARIOS = CHECKOUT / "tests" / "lab" / "scenarios"
CORE = "test_core"
# Needs a machine of its own, and none in that one.
DEMO = "test_demo"

ESTIMATES = {
    "test_foreign": 400,
    "test_edits": 220,
    "test_mishaps": 220,
    "test_demo": 150,
    "test_program": 300,
    "test_authority": 280,
    "test_restart": 260,
    "test_verify": 250,
    "test_variants": 220,
    "test_node": 200,
    "test_liar": 150,
    "test_drift": 190,
    "test_proof": 180,
    "test_install": 180,
    "test_interrupted": 150,
    "test_deploy": 120,
    "test_guards": 90,
    "test_secrets": 80,
}
"""Seconds, where a file of scenarios takes much longer than others; only the order of the steps depends on it."""


def _is_extra(version: str, release: str) -> bool:
    """Whether hosts of this release get this etcd beside their own package."""
    return etcd.find(version).release != release


def lab_steps(plan: Plan) -> list[Step]:
    """All of it, each file of scenarios and each version in a lab of its own."""
    return _LabSteps(plan).steps()


def _lab_command(log: Log, words: list[str]) -> None:
    log.command(
        [str(CHECKOUT / "tests" / "lab" / "lab"), *words],
        env={**os.environ, "PYTHON": sys.executable, "PYTHONUNBUFFERED": "1"},
    )


class _LabSteps:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        python = next(python for python in reversed(list(plan.pythons.values())) if not python.enter)
        # pytest uses the lab's tools, which a Debian tree does not have; the playbooks may run in one.
        self.pytest_venv = (
            Venv("lab", python, None, ("unit", "cryptography-newest"))
            if plan.main_venv.python.enter
            else plan.main_venv
        )

    def steps(self) -> list[Step]:
        installs = [] if self.pytest_venv == self.plan.main_venv else [self.plan.install(self.pytest_venv)]
        whole = [self.whole(name) for name in sorted(path.stem for path in SCENARIOS.glob("test_*.py"))]
        core = self.core_steps()
        releases = {step_release for _step, step_release, _version in core} | {image.DEFAULT_RELEASE}
        programs = {version for _step, release, version in core if _is_extra(version, release)}
        return [
            *installs,
            Step("lab: packages", self._packages, estimate=30),
            *(self._tool(f"image {release}", ["image", release], 60) for release in sorted(releases)),
            *(self._programs(version) for version in sorted(programs)),
            *(step for step in whole if step is not None),
            *(step for step, _release, _version in core),
            *self.fault_steps(),
        ]

    def whole(self, name: str) -> Step | None:
        """A file of the suite, with everything at its default."""
        if name == CORE or (name == DEMO and clean_machine.INSIDE_VARIABLE in os.environ):
            return None
        return Step(
            f"lab: {name[5:]}",
            self._pytest(f"tests/lab/scenarios/{name}.py", name[5:], self.plan.main_venv, {}),
            self._needs(image.DEFAULT_RELEASE, None, self.plan.main_venv),
            estimate=ESTIMATES.get(name, 60),
            report=f"lab-{name[5:]}.xml",
        )

    def core_steps(self) -> list[tuple[Step, str, str]]:
        """The core scenarios in pairs that have every etcd and every ansible-core, with their Debian release and etcd.

        Each ansible-core has its etcd; an etcd that is none's is run by the newest.
        """
        pairs = [(core.etcd, core, core.nodes) for core in self.plan.venvs]
        paired = {version for version, _core, _release in pairs}
        pairs += [
            (version, self.plan.main, etcd.release_of(version))
            for version in etcd.known_versions()
            if version not in paired
        ]
        pairs.sort(key=lambda pair: etcd.known_versions().index(pair[0]))
        return [(self._core(version, core, release), release, version) for version, core, release in pairs]

    def _core(self, version: str, core: Core, release: str) -> Step:
        slug = f"e{version}-a{core.line}".replace(".", "-")
        settings = {"RINGFENCE_LAB_ETCD": version, "RINGFENCE_LAB_RELEASE": release}
        venv = self.plan.venvs[core]
        rows = [("etcd", version)]
        if version == core.etcd:
            rows.append(("ansible-core", core.version))
        return Step(
            f"core: etcd {version}, ansible-core {core.version}",
            self._pytest(f"tests/lab/scenarios/{CORE}.py", slug, venv, settings),
            self._needs(release, version if _is_extra(version, release) else None, venv),
            estimate=60,
            report=f"lab-{slug}.xml",
            rows=tuple(rows),
        )

    def _needs(self, release: str, version: str | None, venv: Venv) -> tuple[str, ...]:
        installs = dict.fromkeys([f"install {self.pytest_venv.name}", f"install {venv.name}"])
        programs = (f"etcd {version}",) if version else ()
        return (*installs, f"image {release}", *programs)

    # -- work ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _packages(log: Log) -> str:
        if os.geteuid() != 0:
            raise MachineError("the lab boots hosts of its own and needs root for that: run it with sudo")
        need_packages(lambda: surroundings.missing_packages().values())
        surroundings.check_machine()
        return "present"

    def _tool(self, name: str, words: list[str], estimate: float) -> Step:
        """A command of the lab's own tool."""

        return Step(name, lambda log: _lab_command(log, words), ("lab: packages",), estimate=estimate)

    @staticmethod
    def _programs(version: str) -> Step:
        def work(log: Log) -> None:
            if etcd.needs_go(version) and not etcd.find_go():
                need_command("go", "golang-go")
            _lab_command(log, ["etcd", "build", version])

        return Step(f"etcd {version}", work, estimate=30)

    def fault_steps(self) -> list[Step]:
        """Each fault in a copy of its own, with the test that has to fail there."""
        return [
            Step(
                f"fault: {fault.title}",
                self._fault(fault, f"fault-{number}"),
                self._needs(image.DEFAULT_RELEASE, None, self.plan.main_venv)
                if fault.is_for_the_lab
                else (f"install {self.plan.main_venv.name}",),
                estimate=30,
            )
            for number, fault in enumerate(FAULTS, 1)
        ]

    def _fault(self, fault: Fault, slug: str) -> t.Callable[[Log], str]:
        venv = self.pytest_venv if fault.is_for_the_lab else self.plan.main_venv
        file = fault.test.partition("::")[0]

        def work(log: Log) -> str:
            root = stage(self.plan.places, slug)
            put_in(fault, root)
            # A fault for the lab may show at any time of the file's story: all tests up to the one that is meant.
            tests = [file] if fault.is_for_the_lab else [fault.test]
            report = self.plan.places.logs / f"{slug}.xml"
            report.unlink(missing_ok=True)
            words = ["python", "-m", "pytest", "-p", "no:cacheprovider", "-x", f"--junit-xml={report}", *tests]
            env = self._environment(root, slug, self.plan.main_venv)
            log.command([*venv.python.enter, *words], cwd=root, env=env, timeout_seconds=600, expected=(1,))
            return verdict(fault, read_cases(report))

        return work

    def _environment(self, root: pathlib.Path, slug: str, venv: Venv, **settings: str) -> dict[str, str]:
        """For pytest on the lab, with the playbooks run by the ansible-core of ``venv``."""
        plan = self.plan
        playbook = [*venv.python.enter, str(venv.bin(plan.places) / "ansible-playbook")]
        return plan.environment(
            self.pytest_venv,
            root,
            # The lab keeps its images by content in a place of its own; the user's home is left as it is for it.
            HOME=os.path.expanduser("~"),
            PYTHONPATH=str(staging_root(root)),
            PYTHONUNBUFFERED="1",
            RINGFENCE_ANSIBLE_PLAYBOOK=shlex.join(playbook),
            RINGFENCE_LAB_NAME=f"{plan.places.short_name}-{slug}",
            **settings,
        )

    def _pytest(self, tests: str, slug: str, venv: Venv, settings: dict[str, str]) -> t.Callable[[Log], str]:
        plan = self.plan

        def work(log: Log) -> str:
            root = stage(plan.places, f"lab-{slug}")
            env = self._environment(root, slug, venv, **settings)
            words = ["python", "-m", "pytest", "-p", "no:cacheprovider", "-v", "--durations=10"]
            words += [f"--junit-xml={plan.places.logs / f'lab-{slug}.xml'}", tests]
            return tests_passed(log.command(words, cwd=root, env=env, timeout_seconds=1800))

        return work
