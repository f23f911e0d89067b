# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: nox, with a Python and an environment of its own, and the table at the end."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from runner import report, trees
from runner.build import build, installed
from runner.machine import MachineError, need_command
from runner.places import CHECKOUT, Places, Venv
from runner.verdicts import StepFailed

# Most steps wait for something now and then (a network, a host, an election): one more than this machine has cores.
WORKERS = int(os.environ.get("RINGFENCE_WORKERS") or (os.cpu_count() or 1) + 1)

TARGETS = ("lint", "unit", "integration", "lab-test")
# What CI runs: all of these but the scenarios whose turn is on another day (turns.py). "test-all" has them, too.
TODAY = "test"
# What takes hours and is no check: only where it is asked for.
MEASURES = ("changes", "kills")
# Tools, trees and staged copies from nothing, and at most what four real clusters set aside at a time.
DISK_GIB = 12
LEFTOVERS = ("dist", "tests/output", ".coverage")
TOOL_FOLDERS = ("__pycache__", ".ansible", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".nox")
USAGE = f"""usage: tests/run TARGET [OPTION...]

TARGET: test (what a change has to pass), test-all, {", ".join((*TARGETS, *MEASURES))}, build, clean, distclean
OPTION: of nox. tests/run lint --list shows a target's steps; tests/run lint -k mypy runs those with the word in their
name, and what they need."""


def _clean(places: Places, tools: bool) -> None:
    for name in LEFTOVERS:
        path = CHECKOUT / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in TOOL_FOLDERS:
        for path in sorted(CHECKOUT.rglob(name)):
            shutil.rmtree(path, ignore_errors=True)
    # Not what another run uses at this moment.
    names = [f"{folder}/{number}" for number in places.free_slots() for folder in ("stage", "logs")]
    names += ["hypothesis", "mypy", "ruff", "pycache", "nox", *(["venvs", "home"] if tools else [])]
    for name in names:
        shutil.rmtree(places.cache / name, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Run what the command line names; return the exit code."""
    target = arguments[0] if arguments else ""
    if target not in (TODAY, "test-all", *TARGETS, *MEASURES, "build", "clean", "distclean"):
        print(USAGE, file=sys.stderr)
        return 2
    os.umask(0o022)
    places = Places()
    if target in ("clean", "distclean"):
        _clean(places, target == "distclean")
        return 0
    if target == "build":
        return build(places)
    try:
        need_command("git", "git")
        places.prepare()
        pythons = trees.all_pythons()
        here = [python for python in pythons.values() if not python.enter]
        if not here:
            raise MachineError("no Python here can make virtual environments")
        python = installed(Venv("nox", here[-1], None, ("nox",)), places) / "python"
    except (MachineError, StepFailed) as exc:
        print(f"tests/run: {exc}", file=sys.stderr)
        return 1
    words = [str(python), "-m", "nox", "--noxfile", str(CHECKOUT / "noxfile.py"), *arguments[1:]]
    if not {"-s", "--session", "--sessions"} & {*arguments}:
        words += ["-t", *(TARGETS if target == "test-all" else [target])]
    is_listing = bool({"-l", "--list", "--list-sessions"} & {*arguments})
    if not is_listing:
        print(f"checkout: {CHECKOUT}\ncache: {places.cache}\nlogs: {places.logs}")
        print("Pythons: " + ", ".join(python.full for python in pythons.values()))
        print(word_on_room(places) or "room: enough", flush=True)
    told = places.logs / "report.json"
    told.unlink(missing_ok=True)
    start = time.monotonic()
    code = _nox([*words, "--parallel", str(WORKERS), "--report", str(told)])
    if code == 0:
        places.forget_temporary_files()
    return code if is_listing else _conclude(report.read_report(told), code, time.monotonic() - start, places.logs)


def word_on_room(places: Places) -> str:
    """Say where there is too little of it: tests that meet a full disk fail for a reason that is not theirs."""
    room = {folder: shutil.disk_usage(folder).free >> 30 for folder in (places.cache, places.temporary)}
    folder = min(room, key=lambda one: room[one])
    return "" if room[folder] >= DISK_GIB else f"{folder}: {room[folder]} GiB are free, make test may need {DISK_GIB}"


def _nox(words: list[str]) -> int:
    """Run it; where this process is to end, nox first ends what it runs."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NOX", "MAKE", "MFLAGS"))}
    env.update(PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1", NO_COLOR="1")
    started: list[subprocess.Popen[bytes]] = []

    def stop(number: int, frame: object) -> None:
        for process in started:
            process.send_signal(signal.SIGINT)

    # Before it is started: a shell starts what is in its background with SIGINT ignored, and nox would inherit that.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    started.append(subprocess.Popen(words, cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL))
    return started[0].wait()


def _conclude(rows: list[report.Row], code: int, seconds: float, logs: pathlib.Path) -> int:
    """Show the table, keep it as text, and end with the summary line."""
    if not rows or (code != 0 and not any(row.result == "failed" for row in rows)):
        rows.append(report.Row("nox", "failed", seconds, f"ended with exit code {code} before its report"))
    lines = report.table(rows, seconds)
    text = "\n".join([*lines, "", report.counts(rows)]) + "\n"
    kept = [logs, *(pathlib.Path(folder) for folder in [os.environ.get("RINGFENCE_RESULTS")] if folder)]
    for folder in kept:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.txt").write_text(text, encoding="utf-8")
    print("\n" + "\n".join(lines))
    print(f"\nlogs, and this table as results.txt: {kept[-1]}")
    red = [row.step for row in rows if row.result == "failed"]
    if red:
        print("failed: " + "; ".join(red))
    print(report.counts(rows), flush=True)
    return 1 if red or not any(row.result == "passed" for row in rows) else 0
