# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which ansible-core, Python and etcd go together on this machine, and the environments of the steps."""

from __future__ import annotations

import os
import pathlib
import typing as t

from ringfence_lab import etcd

from runner import changes
from runner.cores import CORES, MEASURED, Core, usable_cores
from runner.machine import MachineError, Python
from runner.places import Places, Venv, staging_root


class Pair(t.NamedTuple):
    """An etcd and the ansible-core that forms a cluster of it, on hosts of a Debian release."""

    etcd: str
    core: Core
    release: str

    @property
    def is_extra(self) -> bool:
        """Whether hosts of this release get this etcd beside their own package."""
        return etcd.find(self.etcd).release != self.release


class Plan:
    """What this machine can test."""

    def __init__(self, places: Places, pythons: dict[str, Python]) -> None:
        self.places = places
        self.pythons = pythons
        self.here = {version: python for version, python in pythons.items() if not python.enter}
        tested = usable_cores(pythons)
        if not tested:
            found = ", ".join(python.full for python in pythons.values()) or "none"
            raise MachineError(f"no Python here can run a supported ansible-core (3.10 to 3.14; found: {found})")
        self.cores = {core: pythons[version] for core, version in tested.items()}
        self.left_out = [core for core in CORES if core not in self.cores]
        self.main = next(iter(self.cores))
        self.oldest = list(self.cores)[-1]
        # The two ends of what users run have everything; those between them the core scenarios.
        self.ends = tuple(dict.fromkeys([self.main, self.oldest]))
        newest, python = ("cryptography-newest",), self.cores[self.main]
        everything = ("lint", "nox", "unit", *newest, "pkilint", "awx")
        self.main_venv = Venv(f"main-{self.main.line}", python, self.main, everything)
        # The oldest of what users run together: ansible-core, cryptography.
        least = ("unit", "cryptography-oldest")
        self.oldest_venv = Venv(f"oldest-{self.oldest.line}", self.cores[self.oldest], self.oldest, least)
        self.galaxy_venv = Venv(f"galaxy-{self.main.line}", python, self.main, ("galaxy-importer",))
        self.venvs = {core: Venv(f"core-{core.line}", python, core, newest) for core, python in self.cores.items()}
        self.venvs.update({self.oldest: self.oldest_venv, self.main: self.main_venv})
        measured = (
            Venv("measured", pythons[MEASURED], self.main, ("unit", *newest, "pkilint"))
            if MEASURED in pythons
            else None
        )
        self.measured_venv = measured or self.main_venv
        # pytest uses the lab's tools, which a Debian tree does not have; the playbooks may run in one.
        own = Venv("lab", self.newest_here, None, ("unit", *newest, "awx"))
        self.pytest_venv = own if python.enter else self.main_venv

    @property
    def newest_here(self) -> Python:
        """The newest Python of this machine itself."""
        return list(self.here.values())[-1]

    def every_venv(self) -> list[Venv]:
        """The virtual environments, each once."""
        return list(
            dict.fromkeys(
                [
                    *(self.main_venv, self.measured_venv, self.oldest_venv, *self.venvs.values()),
                    *(self.galaxy_venv, self.pytest_venv),
                ]
            )
        )

    def node_pythons(self) -> dict[str, bool]:
        """The Pythons to run the unit tests on by ansible-test, each with whether it has the controller's part alone.

        Of those that plain pytest does not run on: the oldest, which nodes may have, and one that a controller may
        have. What plain pytest has on the Pythons below and above is not repeated there in ansible-test's forks.
        """
        done = {self.cores[core].version for core in self.ends}
        others = [version for version in self.here if version not in done]
        controllers = [version for version in others if version in self.main.pythons] or [self.cores[self.main].version]
        wanted = dict.fromkeys([*others[:1], *controllers[:1]])
        return {version: number > 0 for number, version in enumerate(wanted)}

    def pairs(self) -> list[Pair]:
        """Each ansible-core with its etcd; an etcd that is none's is run by the newest."""
        pairs = [Pair(core.etcd, core, core.nodes) for core in self.venvs]
        paired = {pair.etcd for pair in pairs}
        more = [version for version in etcd.known_versions() if version not in paired]
        pairs += [Pair(version, self.main, etcd.release_of(version)) for version in more]
        return sorted(pairs, key=lambda pair: etcd.known_versions().index(pair.etcd))

    def pair_in_turn(self, seconds: int) -> Pair:
        """The etcd and the ansible-core that have their turn at this time, others each day, on hosts that both take."""
        core = list(self.venvs)[seconds // 86400 % len(self.venvs)]
        return Pair(changes.turn(seconds), core, core.nodes)

    def environment(self, venv: Venv, root: pathlib.Path | None = None, **more: str) -> dict[str, str]:
        """The environment of a tool: its virtual environment first, then the real Pythons, a home of its own."""
        cache = self.places.cache
        folders = [str(venv.bin(self.places))]
        if venv.python.enter:
            # In a Debian tree this machine's other interpreters would not find their libraries.
            path = os.defpath.split(os.pathsep)
        else:
            folders += [os.path.dirname(python.path) for python in self.here.values()]
            path = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if "/shims" not in folder]
        dropped = ("ANSIBLE_", "PYTHON", "PYTEST_", "MAKE", "MFLAGS", "GIT_", "VIRTUAL_ENV", "NOX", "FORCE_COLOR")
        # By these the role sees that a controller, and a CA on it, is thrown away: as it may be where CI runs.
        thrown = ("AWX_", "CI_DISPOSABLE_ENVIRONMENT", "RUNNER_ENVIRONMENT", "KUBERNETES_SERVICE_HOST", "container")
        env = {name: value for name, value in os.environ.items() if not name.startswith((*dropped, *thrown))}
        env.update(
            PATH=os.pathsep.join(dict.fromkeys([*folders, *path])),
            HOME=str(self.places.home),
            TMPDIR=str(self.places.temporary),
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
