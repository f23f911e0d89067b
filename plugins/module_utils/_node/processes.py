# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host's processes have open, as the kernel shows it: etcd's data folders, and sockets that listen.

What a process has open is the truth about it. Its command line, and the files that it read, may have changed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import sys
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import IPAddress

# What etcd has open, and locked, as long as it runs (etcd 3.0 to 3.7).
_DATABASE = "/member/snap/db"
_DELETED = " (deleted)"
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")
_LISTENS = "0A"
# More than any host has; a bound on what is read.
_LINES = 1_000_000
# What sets a service up in its main process before that becomes the service: systemd itself, from 255 on its executor.
_SETUP_PROGRAMS = ("systemd", "systemd-executor")
_UNIT = re.compile(r"[^/]+\.(?:service|scope)")


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens on this host."""

    address: IPAddress
    port: int
    inode: int

    def takes(self, address: IPAddress, port: int) -> bool:
        """Whether nobody else could listen at the address and port beside it."""
        if self.port != port:
            return False
        mine, other = _plain(self.address), _plain(address)
        # The one for all addresses of IPv6 takes those of IPv4 too, unless an option of the socket forbids it, which
        # nobody can see.
        if mine.is_unspecified:
            return mine.version == 6 or other.version == 4
        if other.is_unspecified:
            return other.version == 6 or mine.version == 4
        return mine == other

    @property
    def address_to_call(self) -> str:
        """Where a client on this host reaches it."""
        address = _plain(self.address)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "::1"
        return str(address)


def _plain(address: IPAddress) -> IPAddress:
    """An address of IPv4 that is written as one of IPv6 as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def listeners(pid: int | None = None) -> list[Listener]:
    """All TCP sockets that listen in a process's network namespace; OSError where the kernel does not show them."""
    found = []
    whose = "self" if pid is None else str(pid)
    for path in (f"/proc/{whose}/net/tcp", f"/proc/{whose}/net/tcp6"):
        try:
            with open(path, encoding="ascii", errors="replace") as stream:
                for number, line in enumerate(stream):
                    if number > _LINES:
                        raise OSError(f"{path} has more than {_LINES} lines")
                    listener = parse_listener(line)
                    if listener is not None:
                        found.append(listener)
        except FileNotFoundError:
            # A kernel without IPv6.
            if path.endswith("6"):
                continue
            raise
    return found


def parse_listener(line: str) -> Listener | None:
    """The socket in a line of /proc/net/tcp or tcp6; None for one that does not listen."""
    fields = line.split()
    if len(fields) < 10 or fields[3] != _LISTENS:
        return None
    digits, _colon, port = fields[1].partition(":")
    # Each 32 bits are written as a number of this machine's, all of them of the byte order on the wire.
    raw = bytes.fromhex(digits)
    words = [
        int.from_bytes(raw[start : start + 4], "big").to_bytes(4, sys.byteorder) for start in range(0, len(raw), 4)
    ]
    return Listener(ipaddress.ip_address(b"".join(words)), int(port, 16), int(fields[9]))


def all_pids() -> list[int]:
    """The processes that this host shows."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def open_files(pid: int) -> list[str] | None:
    """What a process has open, as /proc/PID/fd names it; None where this user may not see it, or it has ended."""
    folder = f"/proc/{pid}/fd"
    found = []
    try:
        for name in os.listdir(folder):
            try:
                found.append(os.readlink(f"{folder}/{name}"))
            except FileNotFoundError:
                # Closed meanwhile.
                continue
    except OSError:
        return None
    return found


def data_folders(files: t.Iterable[str]) -> list[str]:
    """The data folders of etcd among open files."""
    names = (name[: -len(_DELETED)] if name.endswith(_DELETED) else name for name in files)
    return sorted({name[: -len(_DATABASE)] for name in names if name.endswith(_DATABASE)})


def has_database_open(pid: int, folder: str) -> bool:
    """Whether a process has the database of a data folder open, under whatever name it sees the folder."""
    database = os.path.realpath(folder) + _DATABASE
    descriptors = f"/proc/{pid}/fd"
    try:
        return any(_is_database(f"{descriptors}/{name}", database) for name in os.listdir(descriptors))
    except OSError:
        return False


def _is_database(descriptor: str, database: str) -> bool:
    try:
        target = os.readlink(descriptor)
        if target in (database, database + _DELETED):
            return True
        # In a container the same file has another path.
        return target.endswith(_DATABASE) and os.path.samefile(descriptor, database)
    except OSError:
        # Closed meanwhile, or there is no such database on this host.
        return False


def socket_inodes(files: t.Iterable[str]) -> set[int]:
    """The numbers of the sockets among open files."""
    return {int(match.group(1)) for match in map(_SOCKET.fullmatch, files) if match is not None}


def control_group(pid: int) -> str | None:
    """The control group that systemd put a process into; None where the kernel does not show it."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as stream:
            lines = stream.read(65536).splitlines()
    except OSError:
        return None
    groups = {controllers: path for _number, controllers, path in (_three(line) for line in lines)}
    return groups.get("", groups.get("name=systemd")) or None


def _three(line: str) -> tuple[str, str, str]:
    number, _colon, rest = line.partition(":")
    controllers, _colon, path = rest.partition(":")
    return number, controllers, path


def unit_of(pid: int) -> str | None:
    """The unit (service or scope) that a process belongs to; None where it belongs to none."""
    group = _unit_group(pid)
    return None if group is None else group.rpartition("/")[2]


def together_with(pid: int) -> list[int]:
    """The processes of the same unit, the given one first: behind a wrapper, etcd is another than the main process."""
    group = _unit_group(pid)
    if group is None:
        return [pid]
    return [pid, *(other for other in all_pids() if other != pid and _unit_group(other) == group)]


def _unit_group(pid: int) -> str | None:
    """The control group of a process's unit, which may have parted it further; None where it belongs to none.

    The kernel is asked once: by the next answer the process may have ended, or be in another group.
    """
    parts = (control_group(pid) or "").split("/")
    while parts and not _UNIT.fullmatch(parts[-1]):
        parts.pop()
    return "/".join(parts) or None


def program_of(pid: int) -> str | None:
    """What the kernel calls a process."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read(64).strip() or None
    except OSError:
        return None


def is_being_set_up(pid: int) -> bool:
    """Whether systemd still runs in a process that it has made for a service, and the service's program not yet."""
    try:
        program = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False
    return os.path.basename(program.replace(_DELETED, "")) in _SETUP_PROGRAMS


def working_folder(pid: int) -> str | None:
    """The folder that a process's relative paths start from; None where the kernel does not show it."""
    try:
        folder = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None
    return None if folder.endswith(_DELETED) else folder


def as_process_sees(path: str | None, pid: int | None) -> str | None:
    """A path as a process takes it: from its own folder on, where it is not absolute."""
    if not path or os.path.isabs(path):
        return path
    folder = "/"
    if pid is not None:
        with contextlib.suppress(OSError):
            folder = os.readlink(f"/proc/{pid}/cwd")
    return os.path.normpath(os.path.join(folder, path))


def namespace_is_ours(pid: int, kind: str) -> bool | None:
    """Whether a process is in this one's namespace of a kind (``net``, ``mnt``); None where the kernel does not say."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
    except OSError:
        return None


def started_at(pid: int) -> float | None:
    """When a process was started, as ``time.time`` tells it; None where the kernel does not say."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            fields = stream.read(4096).rpartition(")")[2].split()
        # Field 22 of proc(5), in clock ticks since the boot; the first one here is field 3.
        since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
    except (OSError, ValueError, IndexError):
        return None


__all__ = (
    "Listener",
    "all_pids",
    "as_process_sees",
    "control_group",
    "data_folders",
    "has_database_open",
    "is_being_set_up",
    "listeners",
    "namespace_is_ours",
    "open_files",
    "parse_listener",
    "program_of",
    "socket_inodes",
    "started_at",
    "together_with",
    "unit_of",
    "working_folder",
)
