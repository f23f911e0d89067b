# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Control groups: each host gets one of its own, or all systemds would share one and kill each other's services."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time

from . import system
from .errors import LabError

ROOT = "ringfence-lab"


def systemd_is_process_1() -> bool:
    """As systemd's own sd_booted() asks it."""
    return os.path.isdir("/run/systemd/system")


def hierarchies(mountinfo: str) -> list[str]:
    """Mount points of the hierarchies that a systemd inside needs: cgroup v2, and v1's named ``systemd``."""
    found = []
    for line in mountinfo.splitlines():
        before, _separator, after = line.partition(" - ")
        kind, _source, options = (after.split() + ["", "", ""])[:3]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4]))
    return sorted(set(found))


def unified_mount(mountinfo: str) -> str | None:
    for line in mountinfo.splitlines():
        before, _separator, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return before.split()[4]
    return None


def _mountinfo() -> str:
    return system.read_text("/proc/self/mountinfo") or ""


def folders_of(lab: str) -> list[str]:
    """The lab's folder in each hierarchy, there or not."""
    return [os.path.join(mount, ROOT, lab) for mount in hierarchies(_mountinfo())]


def ensure(lab: str, host: str) -> list[str]:
    """A fresh group for a host in each hierarchy."""
    folders = [os.path.join(folder, host) for folder in folders_of(lab)]
    if not folders:
        raise LabError("no cgroup hierarchy is mounted: mount -t cgroup2 none /sys/fs/cgroup")
    for folder in folders:
        _remove(folder)
        try:
            os.makedirs(folder)
        except OSError as error:
            raise LabError(f"{folder}: no control group can be made here ({error.strerror})") from error
    return folders


def pids(lab: str, host: str | None = None) -> list[int]:
    """All processes in the groups of the lab, or of one host."""
    found: set[int] = set()
    for folder in folders_of(lab):
        for path, _folders, _files in os.walk(os.path.join(folder, host) if host else folder):
            found.update(int(pid) for pid in (system.read_text(os.path.join(path, "cgroup.procs")) or "").split())
    return sorted(found)


def _remove(folder: str) -> None:
    for path, _folders, _files in os.walk(folder, topdown=False):
        end = time.monotonic() + 5
        while True:
            try:
                os.rmdir(path)
                break
            except FileNotFoundError:
                break
            except OSError as error:
                # A group is busy for a moment after its last process has ended.
                if time.monotonic() > end:
                    raise LabError(f"{path}: this control group does not go away ({error.strerror})") from error
                time.sleep(0.02)


def remove(lab: str) -> None:
    for folder in folders_of(lab):
        _remove(folder)
        with contextlib.suppress(OSError):
            # Other labs' groups may still be in it.
            os.rmdir(os.path.dirname(folder))


def leftovers(lab: str) -> list[str]:
    return [folder for folder in folders_of(lab) if os.path.isdir(folder)]


def _group_of(pid: int) -> str | None:
    """The cgroup v2 folder of a process, None where v2 is not mounted."""
    mount = unified_mount(_mountinfo())
    found = re.search(r"(?m)^0::(.*)$", system.read_text(f"/proc/{pid}/cgroup") or "")
    return os.path.join(mount, found[1].lstrip("/")) if mount and found else None


def payload_of(leader: int) -> str | None:
    """The group that holds all of a host: systemd inside has put itself into ``init.scope`` of it."""
    group = _group_of(leader)
    if group and os.path.basename(group) == "init.scope":
        group = os.path.dirname(group)
    return group


def freeze(leader: int, frozen: bool) -> None:
    """Stop or go on with all processes of a host at once; to the others it is a machine that hangs."""
    group = payload_of(leader)
    switch = os.path.join(group, "cgroup.freeze") if group else ""
    if not os.path.exists(switch):
        raise LabError("freezing a host needs cgroup v2 (cgroup.freeze), which is not mounted here")
    with open(switch, "w", encoding="ascii") as stream:
        stream.write("1" if frozen else "0")
    system.wait_for(
        lambda: f"frozen {int(frozen)}" in (system.read_text(os.path.join(str(group), "cgroup.events")) or ""),
        5,
        f"{group}: {'frozen' if frozen else 'thawed'}",
    )


def is_frozen(leader: int) -> bool:
    group = payload_of(leader)
    return bool(group) and (system.read_text(os.path.join(str(group), "cgroup.freeze")) or "").strip() == "1"


def end_all(lab: str, host: str | None = None) -> None:
    system.end_processes(pids(lab, host), signal.SIGKILL)
