# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Effects on this host's systemd, each a thin call, and what /proc says about the process that a unit started.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
import re
import shlex
import tempfile
import time
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.commands import Done, run_command
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import open_regular, os_error, read_head
from ansible_collections.ringfence.etcd.plugins.module_utils._node.processes import is_being_set_up
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    HASH_VARIABLE,
)

# systemd's own test (sd_booted): this folder exists only where systemd is process 1.
_BOOTED_MARK = "/run/systemd/system"

_COMMAND_SECONDS = 60.0
# Arguments and environment of a process: the kernel takes no more than some megabytes of them.
_PROC_LIMIT_BYTES = 8 * 1024 * 1024
# A stop waits for etcd's shutdown: TimeoutStopSec is 90 s by default, then systemd kills.
_STOP_SECONDS = 120.0

# For how long a process may be set up: that takes a tenth of a second on an idle host.
_SETUP_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.02

_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "FragmentPath",
    "DropInPaths",
    "UnitFileState",
    "NeedDaemonReload",
    "MainPID",
    "NRestarts",
    "ExecMainStartTimestampMonotonic",
    "ExecMainCode",
    "ExecMainStatus",
    "ExecStart",
    "StatusText",
    "InvocationID",
)


# How many lines of the log to search for a cause. A panic of etcd's takes some hundred lines.
_LOG_LINES = 400
# A unit that restarts for ever logs the same each time: the last attempts are enough.
_MOST_ATTEMPTS = 5

# Settings that only make the service's room smaller, or a second lock: a systemd that does not know one goes without
# it. ExecCondition= came with 243, and the asserts that it stands behind are older.
_HARDENING = ("ExecCondition", "PrivateIPC", "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "ProtectProc")
_UNKNOWN_SETTING = re.compile(r"Unknown (?:key(?: name)?|lvalue) '([A-Za-z]+)' in section")
# systemctl's answers by its words, within one look.
_ANSWERS: contextvars.ContextVar[dict[tuple[str, ...], str] | None] = contextvars.ContextVar("answers", default=None)


class ProcessFacts(t.TypedDict):
    """What a process was started with. ``environment`` holds only the ETCD_* variables."""

    pid: int
    argv: list[str]
    environ_hash: str | None
    environment: dict[str, str]


def is_available() -> bool:
    """Whether systemd is process 1 of this host."""
    return os.path.isdir(_BOOTED_MARK)


def require_systemd() -> None:
    """ServiceError where there is no systemd to talk to."""
    if not is_available():
        raise ServiceError(
            f"systemd does not run this host ({_BOOTED_MARK} is missing): etcd's unit needs a host booted with systemd"
        )


@contextlib.contextmanager
def one_look() -> t.Iterator[None]:
    """Within it systemd is asked each question once, so that all that is told of it is of one moment.

    For who changes nothing, and waits for nothing that systemd does.
    """
    token = _ANSWERS.set({})
    try:
        yield
    finally:
        _ANSWERS.reset(token)


def show(unit: str) -> dict[str, str]:
    """The unit's properties as systemd has them now, also for a unit that does not exist; {} where no systemd runs."""
    if not is_available():
        return {}
    output = _told("show", f"--property={','.join(_PROPERTIES)}", "--", unit)
    properties: dict[str, str] = {}
    for line in output.splitlines():
        key, equals, value = line.partition("=")
        # A value of several lines is of no interest here: its first line stays.
        if equals and key in _PROPERTIES and key not in properties:
            properties[key] = value
    return properties


def environment_files(unit: str) -> list[str]:
    """The files that systemd reads a unit's variables from, in its order; none where no systemd says so."""
    try:
        output = _told("show", "--property=EnvironmentFiles", "--", unit) if is_available() else ""
    except ServiceError:
        return []
    lines = (line.partition("=") for line in output.splitlines())
    return [value.rpartition(" (")[0] or value for key, _equals, value in lines if key == "EnvironmentFiles" and value]


def source_path(unit: str) -> str | None:
    """The file that systemd's generators made a unit from; None where it is its own, or where no systemd says so."""
    try:
        output = _told("show", "--property=SourcePath", "--", unit) if is_available() else ""
    except ServiceError:
        return None
    return output.partition("=")[2].strip() or None


def inherited_environment() -> dict[str, str]:
    """The ETCD_* variables that systemd gives to every service that it starts (systemctl set-environment)."""
    try:
        return parse_inherited(_told("show-environment")) if is_available() else {}
    except ServiceError:
        return {}


def main_pid(properties: t.Mapping[str, str]) -> int:
    """The unit's main process; 0 where none runs."""
    value = properties.get("MainPID", "0")
    return int(value) if value.isdigit() else 0


def daemon_reload() -> None:
    """Let systemd read all unit files again."""
    _systemctl("daemon-reload")


def enable(unit: str) -> None:
    """Start the unit at boot."""
    _systemctl("enable", "--quiet", "--", unit)


def disable(unit: str) -> None:
    """Start the unit at boot no more."""
    _systemctl("disable", "--quiet", "--", unit)


def restart_no_block(unit: str) -> None:
    """Queue the unit's restart and return."""
    _reset_failed(unit)
    _systemctl("restart", "--no-block", "--", unit)


def stop(unit: str) -> None:
    """Stop the unit and wait until it has stopped.

    A stop in the middle of a start, as systemd tries it again and again for a member that was removed, leaves the unit
    failed: nobody is to look into one that was meant to stop.
    """
    _systemctl("stop", "--", unit, timeout_seconds=_STOP_SECONDS)
    _reset_failed(unit)


def last_words(unit: str, cause_of: t.Callable[[t.Sequence[str]], str | None]) -> str | None:
    """Why the unit's process does not run, from its log since the last start; None where the log has no reason.

    ``cause_of``: the reason that the lines of one attempt tell. systemd restarts the process by itself, each time under
    a new invocation: the latest attempt that tells a reason counts.
    """
    try:
        properties = show(unit)
        attempts = _attempts(unit)
    except ServiceError:
        return None
    restarts = properties.get("NRestarts", "0")
    allowed = min(int(restarts) + 1 if restarts.isdigit() else 1, _MOST_ATTEMPTS)
    current = properties.get("InvocationID")
    names = list(attempts)
    if current and current not in names:
        # The attempt that goes on right now has said nothing yet.
        allowed -= 1
    for name in reversed(names[len(names) - allowed :] if allowed < len(names) else names):
        found = cause_of(attempts[name])
        if found is not None:
            return found
    return None


def journal_tail(unit: str, lines: int = 3, limit_characters: int = 900) -> str:
    """The last lines of the unit's log as one line, for where they have no reason."""
    try:
        attempts = _attempts(unit)
    except ServiceError:
        return ""
    found = [" ".join(line.split()) for line in next(reversed(attempts.values()), []) if line.strip()]
    text = " | ".join(found[-lines:])
    return text if len(text) <= limit_characters else f"...{text[-limit_characters:]}"


def _attempts(unit: str) -> dict[str, list[str]]:
    """The end of the unit's log by its invocations, the latest last: what the program wrote, and systemd about it."""
    # With --all also long lines: etcd's last one carries a stack trace.
    command = ["journalctl", "--no-pager", "--quiet", "--all", "--output=json", f"--lines={_LOG_LINES}"]
    attempts: dict[str, list[str]] = {}
    for line in _run([*command, f"--unit={unit}"]).stdout.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        invocation = entry.get("_SYSTEMD_INVOCATION_ID") if "UNIT" not in entry else entry.get("INVOCATION_ID")
        message = entry.get("MESSAGE")
        if isinstance(message, list):
            # What is no text comes as numbers.
            message = bytes(byte for byte in message if isinstance(byte, int) and 0 <= byte < 256).decode(
                "utf-8", "replace"
            )
        # The last words of a process that ended at once may come without the number: they are the latest one's.
        name = invocation if isinstance(invocation, str) else next(reversed(attempts), "")
        if isinstance(message, str):
            attempts.setdefault(name, []).extend(message.splitlines())
    return attempts


def verify_unit(text: str, unit: str, missing_program_is_fine: bool = False) -> None:
    """Let systemd read the text as the unit of that name, before it is put in place; ServiceError for any complaint.

    ``missing_program_is_fine``: in check mode the run itself would install the program.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="ringfence-") as folder:
            path = os.path.join(folder, unit)
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
            command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path]
            done = _run(command)
            attributed = "--recursive-errors" not in done.stderr
            if not attributed:
                # systemd before 250 does not know the option: there the exit status also counts other units' faults.
                done = _run([word for word in command if not word.startswith("--recursive-errors")])
    except OSError as exc:
        raise os_error("write", exc.filename or "a temporary file", exc) from exc
    complaints = complaints_about(done.stderr, path, unit)
    ignored = "is not executable: No such file" if missing_program_is_fine else "\n"
    others = [line for line in complaints if ignored not in line and not is_about_hardening(line)]
    if others or (done.returncode and attributed and not complaints):
        found = others or [" ".join(line.split()) for line in done.stderr.splitlines() if line.strip()]
        raise ServiceError(
            f"systemd does not take the unit {unit}: {'; '.join(found) or f'exit status {done.returncode}'}: "
            "the unit in place was not touched",
            unit=unit,
            complaints=found,
        )


def complaints_about(output: str, path: str, unit: str) -> list[str]:
    """The lines of systemd-analyze's output that are about this unit, with the temporary folder taken out."""
    found = []
    for line in output.splitlines():
        if path in line or line.startswith((f"{unit}:", f"Unit {unit} ")):
            found.append(" ".join(line.replace(path, unit).split()))
    return found


def is_about_hardening(line: str) -> bool:
    """Whether systemd says no more than that it is too old for a setting that it may well leave out."""
    match = _UNKNOWN_SETTING.search(line)
    return match is not None and match.group(1) in _HARDENING


def process_facts(pid: int) -> ProcessFacts | None:
    """What /proc says about a process; None where there is no such process (or it is a zombie).

    The main process of a unit is systemd's own for a while, which sets up the sandbox before it becomes the program.
    What it says in this time is not what the program is given, so it is waited for; None where that takes too long.
    """
    deadline = time.monotonic() + _SETUP_SECONDS
    while True:
        try:
            argv = [] if is_being_set_up(pid) else _proc_words(pid, "cmdline")
            if argv:
                variables = dict(word.partition("=")[::2] for word in _proc_words(pid, "environ"))
                break
            # A zombie has no program; one that has is in the moment in which it becomes another.
            os.readlink(f"/proc/{pid}/exe")
        except (FileNotFoundError, ProcessLookupError):
            return None
        except OSError as exc:
            raise os_error("read", f"/proc/{pid}", exc) from exc
        if time.monotonic() >= deadline:
            return None
        time.sleep(_LOOK_AGAIN_SECONDS)
    return {
        "pid": pid,
        "argv": argv,
        "environ_hash": variables.get(HASH_VARIABLE) or None,
        "environment": {name: value for name, value in sorted(variables.items()) if name.startswith("ETCD_")},
    }


def program_was_replaced(facts: ProcessFacts, program: str) -> bool:
    """Whether the program's file is another one than the process was started from (an upgrade).

    Only for a process that is the program itself: behind a script or a launcher the two never are the same file.
    """
    if not facts["argv"] or facts["argv"][0] != program:
        return False
    try:
        if read_head(program, 4) != b"\x7fELF":
            return False
        now = os.stat(program)
        then = os.stat(f"/proc/{facts['pid']}/exe")
    except (OSError, FileError):
        return False
    return (now.st_dev, now.st_ino) != (then.st_dev, then.st_ino)


def runs_from(pid: int, program: str) -> bool:
    """Whether a process was started from this very file. What it was started from is never run: it may be anybody's."""
    try:
        now, then = os.stat(program), os.stat(f"/proc/{pid}/exe")
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino)


def written_after_start(path: str, properties: t.Mapping[str, str]) -> bool:
    """Whether a file's content is newer than the unit's main process."""
    value = properties.get("ExecMainStartTimestampMonotonic", "")
    if not value.isdigit() or value == "0":
        return False
    try:
        written = os.stat(path).st_mtime
    except OSError:
        return False
    now = time.time()
    started = now - (time.monotonic() - int(value) / 1_000_000)
    # A time in the future (a clock that was set back) says nothing, and would say it at every run.
    return started < written <= now


def _proc_words(pid: int, name: str) -> list[str]:
    with open_regular(f"/proc/{pid}/{name}") as stream:
        content = stream.read(_PROC_LIMIT_BYTES)
    return [os.fsdecode(word) for word in content.split(b"\0")[:-1]] if content else []


def _reset_failed(unit: str) -> None:
    """A unit that hit its start limit would refuse the next start; for any other this does nothing or fails."""
    _run(["systemctl", "reset-failed", "--", unit])


def _told(*words: str) -> str:
    """What systemctl answers, or has answered in this look."""
    answers = _ANSWERS.get()
    if answers is None:
        return _systemctl(*words)
    if words not in answers:
        answers[words] = _systemctl(*words)
    return answers[words]


def _systemctl(*words: str, timeout_seconds: float = _COMMAND_SECONDS) -> str:
    require_systemd()
    done = _run(["systemctl", "--no-pager", *words], timeout_seconds)
    if done.returncode:
        problem = " ".join((done.stderr or done.stdout).split()) or f"exit status {done.returncode}"
        raise ServiceError(f"systemctl {' '.join(words)} failed: {problem}", command=list(words))
    return done.stdout


def _run(command: t.Sequence[str], timeout_seconds: float = _COMMAND_SECONDS) -> Done:
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_LOG_TARGET": "console"}
    try:
        return run_command(command, timeout_seconds, environment)
    except FileNotFoundError:
        raise ServiceError(f"{command[0]} is not on this host: etcd's unit needs a host with systemd") from None
    except TimeoutError:
        raise ServiceError(f"{' '.join(command)} did not end within {timeout_seconds:g} seconds") from None
    except OSError as exc:
        raise os_error("run", command[0], exc) from exc


def parse_inherited(output: str) -> dict[str, str]:
    """The ETCD_* variables in the output of ``systemctl show-environment``, which quotes as a shell does."""
    found = {}
    for line in output.splitlines():
        name, equals, value = line.partition("=")
        if not equals or not name.startswith("ETCD_"):
            continue
        try:
            found[name] = " ".join(shlex.split(value[1:] if value.startswith("$'") else value))
        except ValueError:
            found[name] = value
    return found


__all__ = (
    "ProcessFacts",
    "complaints_about",
    "daemon_reload",
    "disable",
    "enable",
    "environment_files",
    "inherited_environment",
    "is_about_hardening",
    "is_available",
    "journal_tail",
    "last_words",
    "main_pid",
    "one_look",
    "parse_inherited",
    "process_facts",
    "program_was_replaced",
    "require_systemd",
    "restart_no_block",
    "runs_from",
    "show",
    "source_path",
    "stop",
    "verify_unit",
    "written_after_start",
)
