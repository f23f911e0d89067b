# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line."""

from __future__ import annotations

import argparse
import atexit
import os
import pathlib
import shutil
import signal
import sys

from runner import schedule
from runner.machine import MachineError, need_command, whole_pythons
from runner.places import CHECKOUT, Places
from runner.steps import Plan

LEFTOVERS = ("dist", "tests/output", ".coverage")
TOOL_FOLDERS = ("__pycache__", ".ansible", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis")


def _clean(places: Places, tools: bool) -> None:
    for name in LEFTOVERS:
        path = CHECKOUT / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in TOOL_FOLDERS:
        for path in sorted(CHECKOUT.rglob(name)):
            shutil.rmtree(path, ignore_errors=True)
    names = ["stage", "logs", "hypothesis", "mypy", "ruff", "pycache"]
    if tools:
        names += ["venvs", "home"]
    for name in names:
        shutil.rmtree(places.cache / name, ignore_errors=True)


def _stop(number: int, frame: object) -> None:
    sys.exit(128 + number)


def main(arguments: list[str]) -> int:
    """Run what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests/run", description="Run the collection's checks.")
    targets = ["test", "lint", "unit", "integration", "lab-test", "build", "clean", "distclean"]
    parser.add_argument("target", choices=targets)
    parser.add_argument("--only", metavar="WORDS", help="only the steps whose name has these words, and what they need")
    parser.add_argument("--list", action="store_true", help="show the steps and stop")
    options = parser.parse_args(arguments)
    os.umask(0o022)
    places = Places()
    if options.target in ("clean", "distclean"):
        _clean(places, options.target == "distclean")
        return 0
    signal.signal(signal.SIGTERM, _stop)
    atexit.register(schedule.end_all)
    try:
        need_command("git", "git")
        pythons = whole_pythons()
        plan = Plan(places, pythons)
        steps = plan.steps(options.target)
    except MachineError as exc:
        print(f"tests/run: {exc}", file=sys.stderr)
        return 1
    if options.only:
        wanted = {step.name for step in steps if options.only in step.name}
        wanted |= {name for step in steps if step.name in wanted for name in step.after}
        steps = [step for step in steps if step.name in wanted]
        if not steps:
            print(f"tests/run: no step of {options.target} has {options.only!r} in its name", file=sys.stderr)
            return 1
    if options.list:
        print("\n".join(step.name for step in steps))
        return 0
    places.prepare()
    print(f"checkout: {CHECKOUT}")
    print(f"cache: {places.cache}")
    print("Pythons: " + ", ".join(python.full for python in pythons.values()))
    print("ansible-core: " + ", ".join(f"{core.version} (Python {p.version})" for core, p in plan.cores.items()))
    print(f"steps: {len(steps)}", flush=True)
    try:
        return schedule.run(steps, pathlib.Path(places.logs))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
