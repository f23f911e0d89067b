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

from runner import results, schedule, trees
from runner.build import build
from runner.cores import CORES
from runner.kept import Kept
from runner.machine import MachineError, Python, need_command, whole_pythons
from runner.places import CHECKOUT, Places
from runner.steps import Plan

# Most steps wait for something now and then (a network, a host, an election): one more than this machine has cores.
WORKERS = int(os.environ.get("RINGFENCE_WORKERS") or (os.cpu_count() or 1) + 1)

LEFTOVERS = ("dist", "tests/output", ".coverage")
TOOL_FOLDERS = ("__pycache__", ".ansible", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis")


def _clean(places: Places, tools: bool) -> None:
    for name in LEFTOVERS:
        path = CHECKOUT / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in TOOL_FOLDERS:
        for path in sorted(CHECKOUT.rglob(name)):
            shutil.rmtree(path, ignore_errors=True)
    names = ["stage", "logs", "kept", "hypothesis", "mypy", "ruff", "pycache"]
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
    if options.target == "build":
        return build(places)
    try:
        need_command("git", "git")
        pythons = _pythons(trees_too=not options.list)
        plan = Plan(places, pythons)
        steps = plan.steps(options.target)
    except MachineError as exc:
        print(f"tests/run: {exc}", file=sys.stderr)
        return 1
    if options.only:
        steps = chosen(steps, options.only)
        if not steps:
            print(f"tests/run: no step of {options.target} has {options.only!r} in its name", file=sys.stderr)
            return 1
    if options.list:
        print("\n".join(step.name for step in steps))
        return 0
    places.prepare()
    print(f"checkout: {CHECKOUT}")
    print(f"cache: {places.cache}")
    print("Pythons: " + ", ".join(python.full + " (tree)" * bool(python.enter) for python in pythons.values()))
    print("ansible-core: " + ", ".join(f"{core.version} (Python {p.version})" for core, p in plan.cores.items()))
    print(f"steps: {len(steps)}", flush=True)
    try:
        seconds = schedule.run(steps, places.logs, WORKERS, Kept(places))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return _conclude(steps, seconds, places.logs)


def _pythons(trees_too: bool) -> dict[str, Python]:
    """The Pythons of this machine, and those of Debian trees for a core that finds none of its own here."""
    pythons = whole_pythons()
    if trees_too and os.geteuid() == 0:
        for version in trees.missing_pythons([core.pythons for core in CORES], pythons):
            try:
                pythons[version] = trees.python_from_tree(version)
            except MachineError as exc:
                print(f"left out: {exc}", flush=True)
    return dict(sorted(pythons.items(), key=lambda item: int(item[0].split(".")[1])))


def chosen(steps: list[schedule.Step], words: str) -> list[schedule.Step]:
    """The steps that have the words in their name, and all that these need."""
    by_name = {step.name: step for step in steps}
    wanted = {step.name for step in steps if words in step.name}
    while True:
        needed = {name for own in wanted for name in by_name[own].after} - wanted
        if not needed:
            return [step for step in steps if step.name in wanted]
        wanted |= needed


def _conclude(steps: list[schedule.Step], seconds: float, logs: pathlib.Path) -> int:
    """Show the tables, keep them as text, and end with the summary line."""
    lines = [
        *results.steps_table(steps, seconds),
        *results.scenarios_table(steps, logs),
        *results.version_tables(steps, logs),
    ]
    text = "\n".join([*lines, "", results.counts(steps)]) + "\n"
    kept = [logs, *(pathlib.Path(folder) for folder in [os.environ.get("RINGFENCE_RESULTS")] if folder)]
    for folder in kept:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.txt").write_text(text, encoding="utf-8")
    print()
    print("\n".join(lines))
    print(f"\nlogs, and this table as results.txt: {kept[-1]}")
    print(results.counts(steps), flush=True)
    bad = any(step.result == "failed" for step in steps)
    return 1 if bad or not any(step.result == "passed" for step in steps) else 0
