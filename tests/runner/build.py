# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's archive, made by the Ansible that is at hand: nothing else is installed for it."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

from runner.cores import usable_cores
from runner.machine import MachineError, whole_pythons
from runner.places import CHECKOUT, Places, Venv, stage
from runner.verdicts import StepFailed, check_tarball


def build(places: Places) -> int:
    """Put the archive into the checkout's dist/; return the exit code."""
    places.prepare()
    out = CHECKOUT / "dist"
    try:
        tarball = built(stage(places, "build"), out, ansible_galaxy(places))
        count = check_tarball(tarball)
    except (MachineError, StepFailed) as exc:
        print(f"tests/run: {exc}", file=sys.stderr)
        return 1
    print(f"{tarball}: {count} files")
    return 0


def built(root: pathlib.Path, out: pathlib.Path, galaxy: t.Sequence[str]) -> pathlib.Path:
    """Build from a staged copy: the builder does not read .gitignore."""
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("ringfence-etcd-*.tar.gz"):
        old.unlink()
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [*galaxy, "collection", "build", "--force", "--output-path", str(out)],
        cwd=root,
        env={**env, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StepFailed(f"{galaxy[0]} does not build: {' '.join((done.stderr or done.stdout).split())[:600]}")
    return next(out.glob("ringfence-etcd-*.tar.gz"))


def ansible_galaxy(places: Places) -> list[str]:
    """The command: the user's own, one that a test has installed before, else ansible-core alone, installed now."""
    own = shutil.which("ansible-galaxy")
    if own is not None:
        return [own]
    complete = sorted(places.venvs.glob("*/complete"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in complete:
        program = path.with_name("bin") / "ansible-galaxy"
        # One that came from a tree has no Python outside of it.
        if program.exists() and program.with_name("python").exists():
            return [str(program)]
    pythons = whole_pythons()
    core, version = next(iter(usable_cores(pythons).items()), (None, ""))
    if core is None:
        raise MachineError("there is no ansible-galaxy on PATH, and no Python for an ansible-core: install either")
    return [str(installed(Venv("build", pythons[version], core, ()), places) / "ansible-galaxy")]


def installed(venv: Venv, places: Places) -> pathlib.Path:
    """The folder of commands of a virtual environment, which is made first where it is not there."""
    note = venv.make(places, _command)
    if not note.startswith("present"):
        print(f"{venv.name}, {note}", flush=True)
    return venv.bin(places)


def _command(words: t.Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StepFailed(f"{words[0]}: {' '.join(done.stderr.split())[-600:]}")
    return done.stdout
