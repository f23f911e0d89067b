# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run steps side by side where that is safe, show what goes on, and tell at the end what came of each."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import queue
import re
import shlex
import signal
import subprocess
import threading
import time
import typing as t

from runner.machine import MachineError

HEARTBEAT_SECONDS = 30

# The closing line of pytest, with or without its rules of equal signs; ansible-test may put a colour around it.
PYTEST_SUMMARY = re.compile(
    r"^(=+ )?(no tests ran|\d+ (passed|failed|error|errors|skipped|deselected|xfailed|warning)\b).* in [\d.]+s\b.*$"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class StepFailed(Exception):
    """A step's verdict, in one line; what its commands printed stands in its log."""


class StepSkipped(Exception):
    """A step that can't be run on this machine, and why."""


class Log:
    """What a step's commands print: kept in a file, and shown as it comes where asked for."""

    def __init__(self, path: pathlib.Path, live: bool) -> None:
        self._path = path
        self._live = live
        self._handle = path.open("w", encoding="utf-8")
        self.path = path
        self.summaries: list[str] = []
        self.shown: list[str] = []
        """Lines that are worth showing of a step that passed."""

    def line(self, text: str) -> None:
        """Take one line."""
        self._handle.write(text + "\n")
        self._handle.flush()
        if self._live:
            print(text, flush=True)

    def close(self) -> None:
        """End the file."""
        self._handle.close()

    def command(
        self,
        words: t.Sequence[str],
        *,
        cwd: pathlib.Path | None = None,
        env: t.Mapping[str, str] | None = None,
        timeout_seconds: float = 3600,
        expected: t.Collection[int] = (0,),
    ) -> str:
        """Run a command; return what it printed. Another exit code than the expected ones ends the step."""
        self.line("$ " + " ".join(shlex.quote(word) for word in words))
        process = subprocess.Popen(
            list(words),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        _running.add(process)
        is_late = threading.Event()

        def end_late() -> None:
            is_late.set()
            end_process(process)

        timer = threading.Timer(timeout_seconds, end_late)
        timer.daemon = True
        timer.start()
        lines = []
        try:
            assert process.stdout is not None
            for raw in process.stdout:
                text = _COLOUR.sub("", raw.rstrip("\n"))
                lines.append(text)
                self.line(text)
                if PYTEST_SUMMARY.match(text):
                    self.summaries.append(text)
            code = process.wait()
        finally:
            timer.cancel()
            _running.discard(process)
        if code not in expected:
            why = f"was ended after {timeout_seconds:.0f} s" if is_late.is_set() else f"ended with exit code {code}"
            raise StepFailed(f"{os.path.basename(words[0])} {why}")
        return "\n".join(lines)


_running: set[subprocess.Popen[str]] = set()


def end_process(process: subprocess.Popen[str]) -> None:
    """End a command and what it started, first kindly."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def end_all() -> None:
    """End every command that still runs."""
    for process in list(_running):
        end_process(process)


StepWork = t.Callable[[Log], t.Optional[str]]
"""Does a step; returns a word on how it went. Raises StepFailed, StepSkipped, MachineError."""


@dataclasses.dataclass
class Step:
    """One thing that can pass or fail."""

    name: str
    work: StepWork
    after: tuple[str, ...] = ()
    """Steps that must have passed before."""
    alone: bool = False
    """Runs when nothing else does: it measures time, or uses the machine's addresses and services."""
    live: bool = False
    """Shows its output as it comes."""
    estimate: float = 10.0
    """About how many seconds it takes: of the steps that are ready, the one with the longest way to the end starts."""
    report: str = ""
    """The file among the logs in which pytest notes each test's verdict and time, for the tables."""
    inputs: tuple[str, ...] = ()
    """The files and folders of the checkout that it reads. With the same content it need not be run again."""
    environments: tuple[str, ...] = ()
    """The names of what else decides its verdict."""
    rows: tuple[tuple[str, str], ...] = ()
    """The tables that it stands in, each with the name of its row."""
    result: str = ""
    note: str = ""
    seconds: float = 0.0
    log: Log | None = None


class Verdicts(t.Protocol):
    """What is known of earlier runs (see kept.py)."""

    def key(self, step: str, inputs: t.Sequence[str], *more: str) -> str:
        """What names a verdict."""

    def find(self, key: str, report: pathlib.Path | None) -> str | None:
        """A word on the verdict, where there is one."""

    def keep(self, key: str, seconds: float, report: pathlib.Path | None) -> None:
        """Note that the step passed."""


def _run_step(step: Step, logs: pathlib.Path, done: queue.Queue[Step], verdicts: Verdicts | None) -> None:
    start = time.monotonic()
    report = logs / step.report if step.report else None
    key = ""
    if verdicts is not None and step.inputs:
        key = verdicts.key(step.name, step.inputs, *step.environments)
        kept = verdicts.find(key, report)
        if kept is not None:
            step.result, step.note = "passed", kept
            done.put(step)
            return
    log = step.log = Log(logs / (re.sub(r"[^a-z0-9.]+", "-", step.name.lower()).strip("-") + ".log"), step.live)
    try:
        step.note = step.work(log) or ""
        step.result = "passed"
    except StepSkipped as exc:
        step.result, step.note = "skipped", str(exc)
    except (StepFailed, MachineError) as exc:
        step.result, step.note = "failed", str(exc)
    except BaseException as exc:  # the run must go on to its summary and fail there
        step.result, step.note = "failed", f"{type(exc).__name__}: {exc}"
    step.seconds = time.monotonic() - start
    log.close()
    if verdicts is not None and key and step.result == "passed":
        verdicts.keep(key, step.seconds, report)
    done.put(step)


def _report(step: Step, count: int, total: int) -> None:
    note = f"  ({step.note})" if step.note else ""
    print(f"[{count:>2}/{total}] {step.result:<7} {step.name}  {step.seconds:.1f} s{note}", flush=True)
    if step.log is None or step.live:
        return
    if step.result == "failed":
        print(f"----- output of: {step.name}", flush=True)
        lines = step.log.path.read_text(encoding="utf-8", errors="replace").splitlines()
        if len(lines) > 1500:
            print(f"... {len(lines) - 1500} lines before these stand in {step.log.path}")
        print("\n".join(lines[-1500:]))
        print(f"----- end of: {step.name}: {step.note}", flush=True)
    else:
        for line in [*step.log.shown, *step.log.summaries]:
            print(line, flush=True)


def ways_to_the_end(steps: list[Step]) -> dict[str, float]:
    """For each step the estimated seconds of the longest chain of steps that begins with it."""
    ways: dict[str, float] = {}

    def way(step: Step) -> float:
        if step.name not in ways:
            later = [way(other) for other in steps if step.name in other.after]
            ways[step.name] = step.estimate + max(later, default=0.0)
        return ways[step.name]

    for step in steps:
        way(step)
    return ways


def run(steps: list[Step], logs: pathlib.Path, workers: int, verdicts: Verdicts | None = None) -> float:
    """Run all steps and fill in what came of them; return the seconds that it took."""
    started = time.monotonic()
    ways = ways_to_the_end(steps)
    # Steps that want the machine for themselves come last, when the others have ended.
    waiting = sorted(steps, key=lambda step: (step.alone, -ways[step.name]))
    running: list[Step] = []
    ended: dict[str, Step] = {}
    done: queue.Queue[Step] = queue.Queue()
    last_word = time.monotonic()
    if len(steps) == 1:
        steps[0].live = True
    while waiting or running:
        for step in list(waiting):
            lacking = [name for name in step.after if name in ended and ended[name].result != "passed"]
            if lacking:
                # What can't be made here is reported where it can't be made; what needs it is skipped with it.
                step.result = "skipped" if all(ended[name].result == "skipped" for name in lacking) else "failed"
                step.note = f"needs: {', '.join(lacking)}"
                waiting.remove(step)
                ended[step.name] = step
                _report(step, len(ended), len(steps))
                continue
            free = len(running) < workers and not any(other.alone for other in running)
            ready = all(name in ended for name in step.after)
            if ready and free and (not step.alone or (not running and step is waiting[0])):
                waiting.remove(step)
                running.append(step)
                if step.live:
                    print(f"----- {step.name}", flush=True)
                threading.Thread(target=_run_step, args=(step, logs, done, verdicts), daemon=True).start()
        if not running:
            if waiting and not any(all(name in ended for name in step.after) for step in waiting):
                raise AssertionError(f"steps that wait for each other: {[step.name for step in waiting]}")
            continue
        try:
            step = done.get(timeout=1)
        except queue.Empty:
            if time.monotonic() - last_word > HEARTBEAT_SECONDS and not any(step.live for step in running):
                print(
                    f"        ... {time.monotonic() - started:.0f} s: " + ", ".join(s.name for s in running), flush=True
                )
                last_word = time.monotonic()
            continue
        running.remove(step)
        ended[step.name] = step
        _report(step, len(ended), len(steps))
        last_word = time.monotonic()
    return time.monotonic() - started
