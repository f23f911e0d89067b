# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An etcd program run for a moment with --version: which version it is, whether it knows its flags, or why not.

etcd parses all flags before it looks at --version (3.4 to 3.7, etcdmain/config.go), prints, and opens nothing.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import errno
import os
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.last_words import cause_of
from ansible_collections.ringfence.etcd.plugins.module_utils._node.commands import Done, run_command
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import os_error

_VERSION = re.compile(r"^etcd Version: (\d+\.\d+\.\d+\S*)\s*$", re.MULTILINE)
# The first start of a program of 25 MB comes from the disk.
TRIAL_SECONDS = 20.0

_HEADER_BYTES = 20
# e_machine of the ELF header (elf.h), by the names that `uname -m` has for them.
_MACHINES = {
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}


def elf_machine(header: bytes) -> str | None:
    """For which machine a program was built, from its first 20 bytes; None where it is no ELF program."""
    if len(header) < _HEADER_BYTES or header[:4] != b"\x7fELF":
        return None
    number = int.from_bytes(header[18:20], "big" if header[5] == 2 else "little")
    return _MACHINES.get(number, f"machine {number}")


def first_bytes(path: str) -> bytes:
    """The first bytes of a regular file; empty where it can't be read."""
    try:
        # Not blocking: a named pipe would hold the run for ever.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            return stream.read(_HEADER_BYTES)
    except OSError:
        return b""


def is_mounted_noexec(path: str) -> bool:
    """Whether nothing can be run from the file system of a path, or of the nearest folder above it that there is."""
    while path and not os.path.exists(path):
        path = os.path.dirname(path)
    try:
        return bool(os.statvfs(path or "/").f_flag & os.ST_NOEXEC)
    except OSError:
        return False


def etcd_version(program: str, timeout_seconds: float = TRIAL_SECONDS) -> str:
    """The version that ``<program> --version`` prints; FileError where it can't be run or prints something else."""
    done = _run(program, [], timeout_seconds)
    match = _VERSION.search(done.stdout) or _VERSION.search(done.stderr)
    if match is None:
        said = done.output[:80] or "nothing"
        raise FileError(f"{program} --version does not say 'etcd Version: ...' but {said!r}: is it etcd?", path=program)
    return match.group(1)


def check_arguments(program: str, arguments: t.Sequence[str]) -> None:
    """ServiceError unless this etcd takes every flag and value; FileError where it can't be run.

    Nothing where there is none yet.
    """
    if not os.path.lexists(program):
        return
    done = _run(program, arguments, TRIAL_SECONDS)
    if done.returncode:
        # A signal has no words of its own.
        silent = f"exit status {done.returncode}" if done.returncode > 0 else f"ended by signal {-done.returncode}"
        words = cause_of(done.stderr.splitlines()) or done.output[:200] or silent
        raise ServiceError(
            f"{program} does not take its arguments: {words}: this etcd "
            "has no such flag or value; take it out of the extra flags",
            program=program,
        )


def _run(program: str, arguments: t.Sequence[str], timeout_seconds: float) -> Done:
    # ETCD_* of our own environment would be read by it as well.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        return run_command([program, *arguments, "--version"], timeout_seconds, environment)
    except TimeoutError:
        raise FileError(
            f"{program} --version gave no answer in {timeout_seconds:g} seconds: is it etcd?", path=program
        ) from None
    except OSError as exc:
        raise _why_not_run(program, exc) from exc


def _why_not_run(program: str, error: OSError) -> FileError:
    """What the kernel's one word means for this file."""
    why = None
    if os.path.isdir(program):
        why = "is a directory: name etcd's program, not its folder"
    elif error.errno == errno.EACCES:
        why = "can't be run: make it executable (chmod 0755), on a file system that allows it"
        if os.access(program, os.F_OK) and is_mounted_noexec(program):
            why = "can't be run, because its file system is mounted noexec: choose another folder, or mount it exec"
    elif error.errno == errno.ENOEXEC:
        header = first_bytes(program)
        machine, here = elf_machine(header), os.uname().machine
        if machine is not None and machine != here:
            why = f"is a program for {machine}, and this host is {here}: take the one that is made for {here}"
        elif not header:
            why = "is empty, or can't be read: put etcd's program there"
        else:
            why = f"is no program that this host ({here}) can run: put etcd's program there"
    elif error.errno == errno.ENOENT and os.path.exists(program):
        why = "can't be run, because the interpreter or loader that it names is not on this host"
    elif error.errno == errno.ETXTBSY:
        why = "is being written by another process: wait until that has ended, and run again"
    return FileError(f"{program} {why}", path=program) if why else os_error("run", program, error)


__all__ = (
    "TRIAL_SECONDS",
    "check_arguments",
    "elf_machine",
    "etcd_version",
    "first_bytes",
    "is_mounted_noexec",
)
