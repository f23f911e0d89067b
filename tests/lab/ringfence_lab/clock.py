# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wrong wall clock for one host: its processes read the time in a vDSO that was changed for them alone.

The kernel has one CLOCK_REALTIME for all hosts. But programs, static Go ones among them, ask it through the vDSO, a
small library that the kernel maps into every process; a process's copy can be written like a breakpoint is. So the
clock's functions there get a jump, to code that asks the kernel and adds the offset. It lies in the unused end of the
vDSO's last page, so that a thread that is inside an old function goes on in it, unharmed. (Chaos Mesh shifts the time
of a running process in the same way.)

A program that starts gets a vDSO as new. So a keeper, outside of the host, traces the host's processes and changes each
program's vDSO before its first instruction. It sees starts, ends and signals, no system calls. When the keeper ends,
the kernel lets go of them all and they run on.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import re
import signal
import struct
import subprocess
import sys
import time
import typing as t

from . import system
from .errors import LabError

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
# The offset is a 32-bit operand in the code.
_MAXIMUM_SECONDS = 2**31 - 1

# From linux/ptrace.h, linux/wait.h and linux/auxvec.h.
_PEEKUSER, _CONT, _DETACH, _SEIZE, _INTERRUPT, _LISTEN = 3, 7, 17, 0x4206, 0x4207, 0x4208
# Trace what it forks, vforks and clones as well, and stop at an exec.
_FOLLOW = 0x02 | 0x04 | 0x08 | 0x10
_EVENT_EXEC, _EVENT_STOP = 4, 128
_STOPS_OF_JOB_CONTROL = (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_WALL = 0x40000000
_AT_SYSINFO_EHDR = 33
# The instruction pointer in x86-64's struct user.
_RIP = 128

# Starts no programs, but many threads, and Go sends these many signals: once changed it needs no keeper.
_LET_GO = ("etcd",)


# ---------------------------------------------------------------------------- pure
def parse_offset(text: str) -> int:
    """Seconds in an offset such as -2h, +30m, 2d, 90 or 0."""
    found = re.fullmatch(r"([+-]?)(\d{1,10})([smhd]?)", text)
    if not found:
        raise LabError(f"clock: {text!r} is no offset; give a number and s, m, h or d: clock -2h, clock +30m, clock 0")
    seconds = int(found[2]) * _UNITS[found[3]] * (-1 if found[1] == "-" else 1)
    return check_offset(seconds)


def check_offset(seconds: int) -> int:
    if abs(seconds) > _MAXIMUM_SECONDS:
        raise LabError(f"clock: an offset of {seconds} s is too large; at most {_MAXIMUM_SECONDS // 86400} days")
    return seconds


def offset_text(seconds: int) -> str:
    """-2h, +90s: the largest unit that needs no fraction."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size:+d}{unit}"
    return f"{seconds:+d}s"


def functions_in(library: bytes) -> dict[str, int]:
    """The functions of a vDSO (a 64-bit ELF file whose link address is 0), each with its place in it."""
    dynamic = next(
        (struct.unpack_from("<Q", library, place + 8)[0], struct.unpack_from("<Q", library, place + 32)[0])
        for place in range(64, 64 + 56 * struct.unpack_from("<H", library, 56)[0], 56)
        if struct.unpack_from("<I", library, place)[0] == 2  # PT_DYNAMIC
    )
    tables = dict(struct.iter_unpack("<QQ", library[dynamic[0] : dynamic[0] + dynamic[1]]))
    strings, symbols = tables[5], tables[6]  # DT_STRTAB, DT_SYMTAB
    found = {}
    # No tag says how many symbols there are; linkers put the strings behind them.
    for place in range(symbols, strings, 24):
        name, kind, _other, _section, value, _size = struct.unpack_from("<IBBHQQ", library, place)
        if kind & 15 == 2:  # STT_FUNC
            found[library[strings + name : library.index(b"\0", strings + name)].decode("ascii")] = value
    return found


def shifted_functions(seconds: int) -> dict[str, bytes]:
    """x86-64 code for the vDSO's functions of the wall clock: the system call, and the offset added to its answer."""
    offset = struct.pack("<i", seconds)
    add_to_rsi, add_to_rdi, add_to_rax = b"\x48\x81\x06" + offset, b"\x48\x81\x07" + offset, b"\x48\x05" + offset
    ret = b"\xc3"
    return {
        "__vdso_clock_gettime": b"\xb8\xe4\x00\x00\x00\x0f\x05"  # mov eax, 228; syscall
        b"\x85\xc0\x75\x15"  # an error: to the ret
        b"\x85\xff\x74\x0a"  # edi is CLOCK_REALTIME: to the add
        b"\x83\xff\x05\x74\x05"  # CLOCK_REALTIME_COARSE: to the add
        b"\x83\xff\x0b\x75\x07" + add_to_rsi + ret,  # not CLOCK_TAI: to the ret
        "__vdso_gettimeofday": b"\xb8\x60\x00\x00\x00\x0f\x05"  # mov eax, 96; syscall
        b"\x85\xc0\x75\x0c"  # an error: to the ret
        b"\x48\x85\xff\x74\x07" + add_to_rdi + ret,  # no timeval wanted: to the ret
        "__vdso_time": b"\xb8\xc9\x00\x00\x00\x0f\x05"  # mov eax, 201; syscall
        + add_to_rax
        + b"\x48\x85\xff\x74\x03\x48\x89\x07"  # where a place is given, the answer goes there too
        + ret,
    }


def changes(library: bytes, seconds: int) -> list[tuple[int, bytes]]:
    """What to write where in a vDSO, in this order; with 0 seconds, what makes it the kernel's again."""
    functions = functions_in(library)
    code = shifted_functions(seconds)
    missing = sorted(set(code) - set(functions))
    if missing:
        raise LabError(f"clock: this kernel's vDSO has no {', '.join(missing)}")
    if seconds == 0:
        return [(functions[name], library[functions[name] : functions[name] + 5]) for name in code]
    # Aligned, so that no two functions share a line of the processor's cache.
    size = sum(-len(body) % 16 + len(body) for body in code.values())
    place = len(library) - size
    if library[place:].strip(b"\0"):
        raise LabError(f"clock: this kernel's vDSO leaves no {size} bytes free in its last page")
    bodies, jumps = [], []
    for name, body in code.items():
        bodies.append((place, body))
        jumps.append((functions[name], b"\xe9" + struct.pack("<i", place - functions[name] - 5)))
        place += -len(body) % 16 + len(body)
    return bodies + jumps


def family_of(ancestor: int, parents: t.Mapping[int, int]) -> list[int]:
    """A process and all its descendants, parents first."""
    family = [ancestor]
    for member in family:
        family += sorted(pid for pid, parent in parents.items() if parent == member)
    return family


# ---------------------------------------------------------------------------- the keeper
def own_library() -> bytes:
    """This process's vDSO, which is that of every 64-bit process on this kernel."""
    if platform.machine() != "x86_64":
        raise LabError(f"clock: the code for it is there for x86_64 only, this is {platform.machine()}")
    found = re.search(r"(?m)^(\w+)-(\w+) .*\[vdso\]$", system.read_text("/proc/self/maps") or "")
    if not found:
        raise LabError("clock: this kernel gives its processes no vDSO")
    start, end = int(found[1], 16), int(found[2], 16)
    with open("/proc/self/mem", "rb") as memory:
        memory.seek(start)
        return memory.read(end - start)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, thread: int, data: int = 0) -> bool:
    """Whether the kernel did it. A thread may end at any moment: that it is gone is no error."""
    if _libc.ptrace(request, thread, None, data) != -1:
        return True
    number = ctypes.get_errno()
    # A zombie's error is EPERM.
    if number == errno.ESRCH or system.start_time(thread) is None:
        return False
    raise LabError(f"clock: process {thread} can't be traced: {os.strerror(number)}")


def _field(pid: int, name: str) -> str:
    """The first word of a line of /proc/PID/status; empty where the process or thread is gone."""
    found = re.search(rf"(?m)^{name}:\s*(\S+)", system.read_text(f"/proc/{pid}/status") or "")
    return found[1] if found else ""


def _threads_of(pid: int) -> set[int]:
    try:
        return {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    except (FileNotFoundError, ProcessLookupError):
        return set()


def _library_of(pid: int) -> int | None:
    """Where a process has its vDSO."""
    try:
        with open(f"/proc/{pid}/auxv", "rb") as stream:
            vector = stream.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return dict(struct.iter_unpack("<QQ", vector[: len(vector) & ~15])).get(_AT_SYSINFO_EHDR)


class Keeper:
    """Changes the vDSO of a host's processes; with an offset also that of every program that starts there later."""

    def __init__(self, leader: int, seconds: int) -> None:
        self.leader = leader
        self.seconds = seconds
        self.library = own_library()
        self.changes = changes(self.library, seconds)
        # Threads that need no change of their own any more; keep() looks at all others.
        self.known: set[int] = set()

    # ---------------------------------------------------------------------------- those that are there
    def change_all(self) -> None:
        """All processes of the host, again until none is new: a parent that had no change yet may have started more."""
        seen: set[int] = set()
        while True:
            parents = {pid: system.parent_of(pid) for pid in system.all_pids()}
            fresh = [pid for pid in family_of(self.leader, parents) if pid not in seen]
            if not fresh:
                return
            for pid in fresh:
                seen.add(pid)
                # Started by a process that is traced, so it is traced too, and stands still until keep() sees it.
                if not self._is_traced(pid):
                    self._change_running(pid)

    def _change_running(self, pid: int) -> None:
        """Stop all threads of a process, change its vDSO, let them go on."""
        end = time.monotonic() + 10
        waiting: set[int] = set()
        stopped: dict[int, int] = {}
        place = _library_of(pid)
        while True:
            for thread in _threads_of(pid) - waiting - set(stopped):
                if self._is_traced(thread) or _ptrace(_SEIZE, thread, _FOLLOW if self.seconds else 0):
                    waiting.add(thread)
                    _ptrace(_INTERRUPT, thread)
            for thread in list(waiting):
                with contextlib.suppress(ChildProcessError):
                    found, status = os.waitpid(thread, os.WNOHANG | _WALL)
                    if found and os.WIFSTOPPED(status):
                        if self._is_on_a_jump(thread, place):
                            self._answer(thread, status)
                            _ptrace(_INTERRUPT, thread)
                        else:
                            stopped[thread] = status
            waiting -= set(stopped)
            # One that waits for its child's exec (vfork) can't stop; it is in the kernel, so not in the vDSO.
            still = all(_field(thread, "State") in ("D", "Z", "X", "") for thread in waiting)
            if still and _threads_of(pid) <= waiting | set(stopped):
                break
            if time.monotonic() > end:
                raise LabError(f"clock: process {pid} of the host does not stop for its change")
            time.sleep(0.0005)
        self._change(pid)
        self.known |= waiting | set(stopped)
        let_go = not self.seconds or self._is_let_go(pid)
        for thread, status in stopped.items():
            self._answer(thread, status, let_go)

    @staticmethod
    def _is_traced(thread: int) -> bool:
        return _field(thread, "TracerPid") == str(os.getpid())

    @staticmethod
    def _is_let_go(pid: int) -> bool:
        return (system.read_text(f"/proc/{pid}/comm") or "").strip() in _LET_GO

    def _is_on_a_jump(self, thread: int, place: int | None) -> bool:
        """Whether a stopped thread stands in the middle of the bytes that a jump takes or gives back."""
        instruction = _libc.ptrace(_PEEKUSER, thread, _RIP, None)
        return any(0 < instruction - (place or 0) - offset < len(code) for offset, code in self.changes[-3:])

    def _change(self, pid: int) -> None:
        place = _library_of(pid)
        if not place:
            return
        try:
            with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
                # A 32-bit program has another one.
                if os.pread(memory.fileno(), 64, place) == self.library[:64]:
                    for offset, code in self.changes:
                        os.pwrite(memory.fileno(), code, place + offset)
        except OSError as error:
            if system.start_time(pid) is not None:
                raise LabError(f"clock: the vDSO of process {pid} can't be changed: {error.strerror}") from error

    # ---------------------------------------------------------------------------- those that come
    def keep(self) -> None:
        """Until the last process of the host has ended."""
        while True:
            try:
                thread, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return
            if not os.WIFSTOPPED(status):
                self.known.discard(thread)
                continue
            event = status >> 16
            try:
                if event == _EVENT_EXEC or thread not in self.known:
                    self.known.add(thread)
                    self._change(thread)
            except LabError as error:
                # Its clock is right, the host goes on.
                print(error, file=sys.stderr, flush=True)
            self._answer(thread, status, event in (_EVENT_EXEC, _EVENT_STOP) and self._is_let_go(thread))

    @staticmethod
    def _answer(thread: int, status: int, let_go: bool = False) -> None:
        """Let a stopped thread go on as if nobody had looked."""
        stop_signal, event = os.WSTOPSIG(status), status >> 16
        if let_go:
            _ptrace(_DETACH, thread, 0 if event else stop_signal)
        elif event == _EVENT_STOP and stop_signal in _STOPS_OF_JOB_CONTROL:
            _ptrace(_LISTEN, thread)
        else:
            _ptrace(_CONT, thread, 0 if event else stop_signal)


# ---------------------------------------------------------------------------- one host's clock
def _note_path(folder: str) -> str:
    return os.path.join(folder, "clock.json")


def _noted(folder: str) -> dict[str, t.Any]:
    note: dict[str, t.Any] = json.loads(system.read_text(_note_path(folder)) or "{}")
    return note


def _write_note(folder: str, seconds: int, pid: int | None) -> None:
    note = {"offset_seconds": seconds, "pid": pid, "started": system.start_time(pid) if pid else None}
    system.write_text(_note_path(folder), json.dumps(note))


def _keeper_runs(note: t.Mapping[str, t.Any]) -> bool:
    return bool(note.get("started")) and system.start_time(note["pid"]) == note["started"]


def offset_of(folder: str) -> int:
    """The offset of the host whose place in the lab's state this folder is."""
    note = _noted(folder)
    return int(note["offset_seconds"]) if _keeper_runs(note) else 0


def set_offset(folder: str, leader: int | None, seconds: int) -> None:
    """Shift a host's clock from the machine's; 0 undoes it. ``leader`` is its process 1, None where it is off."""
    check_offset(seconds)
    note = _noted(folder)
    if _keeper_runs(note):
        system.end_processes([note["pid"]], signal.SIGTERM)
    if leader is not None and (seconds or note):
        # First without a pid: if it fails half-way, heal knows that there is something to undo.
        _write_note(folder, seconds, None)
        _write_note(folder, seconds, _start_keeper(folder, leader, seconds))
    if not seconds:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_note_path(folder))


def _start_keeper(folder: str, leader: int, seconds: int) -> int:
    """Start it as a process of its own; returns when all of the host's processes are changed."""
    # Not by -m: the package has imported this module by then.
    script = "import sys; from ringfence_lab.clock import main; sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))"
    command = ["setsid", "--fork", sys.executable, "-B", "-c", script, str(leader), str(seconds)]
    path = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    with open(os.path.join(folder, "clock.log"), "ab") as log:
        done = subprocess.run(
            command,
            cwd="/",
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            timeout=60,
            check=True,
        )
    answer = json.loads(done.stdout or b"{}")
    if "pid" not in answer:
        raise LabError(answer.get("error") or f"clock: the keeper failed, see {folder}/clock.log")
    return int(answer["pid"])


def main(leader: int, seconds: int) -> int:
    """The keeper: says on standard output when all is changed, then closes it."""
    try:
        keeper = Keeper(leader, seconds)
        keeper.change_all()
    except LabError as error:
        print(json.dumps({"error": str(error)}))
        return 1
    print(json.dumps({"pid": os.getpid()}), flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if seconds:
        keeper.keep()
    return 0
