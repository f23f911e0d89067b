# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host: its disk (an overlay on the image), and systemd-nspawn that boots it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import typing as t
import uuid

from . import cgroups, network, system
from .errors import LabError

# Becomes the host's supervisor: notes its pid, goes into its control groups, then is systemd-nspawn.
_ENTER = """
echo $$ > "$1"; shift
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done
shift
exec "$@"
"""


class Machine:
    """The effects for one host. ``folder`` is its place in the lab's state: disk/, root/, console.log."""

    def __init__(self, lab: str, name: str, folder: str) -> None:
        self.lab = lab
        self.name = name
        self.folder = folder
        self.disk = os.path.join(folder, "disk")
        self.root = os.path.join(folder, "root")
        self.mark = os.path.join(folder, "made")
        self.console = os.path.join(folder, "console.log")
        self.unit = f"ringfence-lab.{lab}.{name}.service"
        # The name is the machine's key in systemd's own folders, so it must differ between labs.
        self.machine_name = f"ringfence-{lab}-{name}"

    # ---------------------------------------------------------------------------- disk
    def is_made(self) -> bool:
        """Whether the disk is whole. A run that was killed half-way leaves no mark, a reboot leaves no mount."""
        return os.path.exists(self.mark) and os.path.ismount(self.root)

    def make_disk(self, layers: t.Sequence[str], size_mib: int) -> None:
        """An overlay on these folders, the first on top, whose upper side lies on a tmpfs of its own.

        An upper folder can't lie on another overlay (a container's root is one), a tmpfs always works; its size is
        the host's disk, so a host that fills its disk fills nobody else's, and nothing has to be deleted afterwards.
        """
        system.unmount_below(self.folder)
        os.makedirs(self.disk, exist_ok=True)
        os.makedirs(self.root, exist_ok=True)
        options = f"size={size_mib}m,mode=0755"
        system.run(["mount", "-t", "tmpfs", "-o", options, self.machine_name, self.disk])
        upper, work = os.path.join(self.disk, "upper"), os.path.join(self.disk, "work")
        os.mkdir(upper, mode=0o755)
        os.mkdir(work)
        options = f"lowerdir={':'.join(layers)},upperdir={upper},workdir={work}"
        system.run(["mount", "-t", "overlay", "-o", options, self.machine_name, self.root])

    def note_made(self) -> None:
        system.write_text(self.mark, "disk made, host personalized\n")

    def personalize(self, hosts_file: str, host_key: str, public_key: str, authorized_key: str) -> None:
        """What makes it this host and no other: name, machine id, host key, whom it lets in."""
        self.put_name()
        self.write_hosts_file(hosts_file)
        self.put("etc/ssh/ssh_host_ed25519_key", host_key, 0o600)
        self.put("etc/ssh/ssh_host_ed25519_key.pub", public_key)
        self.put("root/.ssh/authorized_keys", authorized_key, 0o600)
        self.put("home/admin/.ssh/authorized_keys", authorized_key, 0o600)
        home = os.stat(os.path.join(self.root, "home/admin"))
        os.chown(os.path.join(self.root, "home/admin/.ssh/authorized_keys"), home.st_uid, home.st_gid)

    def put_name(self) -> None:
        self.put("etc/hostname", f"{self.name}\n")
        self.put("etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)

    def write_hosts_file(self, text: str) -> None:
        self.put("etc/hosts", text)

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        system.write_text(os.path.join(self.root, path), text, mode)

    def enable_distribution_etcd(self) -> None:
        """The service as Debian's package leaves it: enabled, a cluster of one member on loopback."""
        system.run(["chroot", self.root, "systemctl", "enable", "etcd.service"])

    # ---------------------------------------------------------------------------- process
    def network_arguments(self) -> list[str]:
        return [f"--network-namespace-path={network.path_of(self.lab, self.name)}"]

    def start(self, extra_arguments: t.Sequence[str] = ()) -> int:
        """Boot the host; gives the pid of its systemd-nspawn."""
        command = [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            "--register=no",
            "--keep-unit",
            f"--machine={self.machine_name}",
            f"--hostname={self.name}",
            f"--directory={self.root}",
            *self.network_arguments(),
            "--link-journal=no",
            "--resolv-conf=off",
            "--timezone=off",
            "--kill-signal=SIGRTMIN+3",
            *extra_arguments,
        ]
        if cgroups.systemd_is_process_1():
            return self._start_as_unit(command)
        return self._start_in_groups(command)

    def _start_as_unit(self, command: list[str]) -> int:
        system.run(
            [
                "systemd-run",
                "--quiet",
                "--collect",
                f"--unit={self.unit}",
                f"--description=Ringfence lab {self.lab}: host {self.name}",
                "--property=Delegate=yes",
                "--property=KillMode=mixed",
                "--property=TasksMax=16384",
                f"--property=StandardOutput=append:{self.console}",
                "--property=StandardError=inherit",
                "--setenv=SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
                *command,
            ]
        )
        shown = system.run(["systemctl", "show", "--value", "--property=MainPID", self.unit]).stdout.strip()
        if shown in ("", "0"):
            raise LabError(f"host {self.name} ended while it started: {self.last_words()}")
        return int(shown)

    def _start_in_groups(self, command: list[str]) -> int:
        groups = cgroups.ensure(self.lab, self.name)
        pid_file = os.path.join(self.folder, "pid")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(pid_file)
        # setsid --fork: a process of its own that outlives this one and is nobody's zombie.
        starter = ["setsid", "--fork", "sh", "-c", _ENTER, "sh", pid_file, *groups, "--", *command]
        with open(self.console, "ab") as log:
            subprocess.run(
                starter,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )

        def noted_pid() -> str:
            return (system.read_text(pid_file) or "").strip()

        return int(system.wait_for(noted_pid, 5, f"start of {self.name}"))

    def leader(self, supervisor: int) -> int | None:
        """The pid, as this machine counts, of the host's process 1: a child of systemd-nspawn, one namespace down."""
        depth = len(_namespace_pids(os.getpid()))
        for pid in system.all_pids():
            if system.parent_of(pid) == supervisor:
                numbers = _namespace_pids(pid)
                if len(numbers) == depth + 1 and numbers[-1] == 1:
                    return pid
        return None

    def stop(self, supervisor: int | None) -> None:
        """Pull the plug: the host's process 1 is killed and all its processes with it. The disk stays."""
        leader = self.leader(supervisor) if supervisor else None
        if leader:
            system.end_processes([leader], signal.SIGKILL)
        if supervisor:
            # systemd-nspawn sees its payload end, clears up behind itself and ends too.
            with contextlib.suppress(LabError):
                system.wait_for(lambda: system.start_time(supervisor) is None, 3, "end of systemd-nspawn")
        if cgroups.systemd_is_process_1():
            self.stop_unit()
        else:
            cgroups.end_all(self.lab, self.name)

    def stop_unit(self) -> None:
        system.run(["systemctl", "kill", "--signal=SIGKILL", self.unit], check=False)
        system.run(["systemctl", "stop", self.unit], check=False)
        system.run(["systemctl", "reset-failed", self.unit], check=False)

    def last_words(self) -> str:
        lines = re.sub(r"\x1b\[[0-9;]*[a-zA-Z]|\r", "", system.read_text(self.console) or "").split("\n")
        return " | ".join([line.strip() for line in lines if line.strip()][-3:]) or "it said nothing"


def _namespace_pids(pid: int) -> list[int]:
    found = re.search(r"(?m)^NSpid:\s*(.*)$", system.read_text(f"/proc/{pid}/status") or "")
    return [int(number) for number in found[1].split()] if found else []


def clear_systemd_folders(machine_name: str) -> None:
    """What systemd-nspawn leaves in /run when it is killed itself."""
    for kind in ("propagate", "unix-export"):
        folder = f"/run/systemd/nspawn/{kind}/{machine_name}"
        if os.path.isdir(folder):
            system.unmount_below(folder)
            shutil.rmtree(folder, ignore_errors=True)
