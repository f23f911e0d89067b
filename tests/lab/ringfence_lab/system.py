# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small effects that all parts of the lab share: run a command, say how far it is, lock a folder, read /proc."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import typing as t

from .errors import LabError

# A root shell that was not made a login shell may lack the folders in which ip, chroot and useradd are.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

_started = time.monotonic()
quiet = False


def say(text: str) -> None:
    """A line of progress with the seconds since the start, on standard error so that output stays clean."""
    if not quiet:
        print(f"[{time.monotonic() - _started:6.1f} s] {text}", file=sys.stderr, flush=True)


def run(
    command: t.Sequence[str],
    input_text: str | None = None,
    check: bool = True,
    timeout_seconds: float = 60,
    environment: t.Mapping[str, str] | None = None,
    folder: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and keep its output; a failure becomes one line with what it printed last."""
    try:
        done = subprocess.run(
            list(command),
            input=input_text,
            stdin=subprocess.DEVNULL if input_text is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            env=None if environment is None else dict(environment),
            cwd=folder,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{command[0]}: not found") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{shlex.join(command)}: no end after {timeout_seconds:g} s") from error
    if check and done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise LabError(f"{shlex.join(command)}: exit {done.returncode}: {' | '.join(lines[-4:])}")
    return done


@contextlib.contextmanager
def locked(path: str) -> t.Iterator[None]:
    """Hold an exclusive lock; it is free again when the process ends, however it ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that holds {path}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_text(path: str) -> str | None:
    """A file's text, or None where it is not there (a process of /proc may go at any moment)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError, PermissionError):
        return None


def write_text(path: str, text: str, mode: int = 0o644) -> None:
    """Write a file by renaming, so that a reader never sees half of it."""
    staged = f"{path}.new"
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
    os.rename(staged, path)


def start_time(pid: int) -> str | None:
    """The kernel's start time of a process (clock ticks since boot), None where it is gone or a zombie.

    With the pid it names a process for good: the number alone may be given to another one.
    """
    text = read_text(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parent_of(pid: int) -> int:
    text = read_text(f"/proc/{pid}/stat")
    return int(text.rpartition(")")[2].split()[1]) if text else 0


def own_family() -> set[int]:
    """This process and all that it came from: never to be killed."""
    family, pid = set(), os.getpid()
    while pid > 0:
        family.add(pid)
        pid = parent_of(pid)
    return family


def end_processes(pids: t.Iterable[int], first: signal.Signals, patience_seconds: float = 2.0) -> None:
    """End processes: ``first`` to each, SIGKILL to those still there after a while, then wait until all are gone."""
    waiting = {pid: start_time(pid) for pid in set(pids) - own_family()}
    for sig, patience in ((first, patience_seconds), (signal.SIGKILL, 10.0)):
        for pid, started in waiting.items():
            if started is not None and start_time(pid) == started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sig)
        end = time.monotonic() + patience
        while True:
            waiting = {pid: started for pid, started in waiting.items() if started and start_time(pid) == started}
            if not waiting or time.monotonic() > end:
                break
            time.sleep(0.01)
        if not waiting:
            return
    raise LabError(f"processes {sorted(waiting)} don't end, not even by SIGKILL: see what holds them (ps -o wchan)")


def wait_for(condition: t.Callable[[], t.Any], timeout_seconds: float, what: str, pause_seconds: float = 0.02) -> t.Any:
    """Poll until the condition gives something true, and return that."""
    end = time.monotonic() + timeout_seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise LabError(f"{what}: not after {timeout_seconds:g} s")
        time.sleep(pause_seconds)


def unmount_below(folder: str) -> None:
    """Take away every mount at or below a folder, the innermost first."""
    for lazily in (False, True):
        for path in mounts_below(folder):
            run(["umount", *(["--lazy"] if lazily else []), path], check=False)
        if not mounts_below(folder):
            return
    raise LabError(f"{', '.join(mounts_below(folder))}: can't be unmounted")


def free_inotify_instances(wanted: int) -> int:
    """How many of so many inotify instances can be had; the kernel counts them by user, over all machines it runs."""
    make = ctypes.CDLL(None).inotify_init1
    made: list[int] = []
    try:
        while len(made) < wanted:
            descriptor = make(os.O_CLOEXEC)
            if descriptor < 0:
                break
            made.append(descriptor)
    finally:
        for descriptor in made:
            os.close(descriptor)
    return len(made)


def mounts_below(folder: str) -> list[str]:
    prefix = os.path.realpath(folder)
    found = []
    for line in (read_text("/proc/self/mountinfo") or "").splitlines():
        path = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), line.split()[4])
        if path == prefix or path.startswith(prefix + "/"):
            found.append(path)
    return found[::-1]
