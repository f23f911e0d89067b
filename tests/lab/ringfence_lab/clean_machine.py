# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A clean machine: a minimal Debian with git, make, Python and nothing else, in which a newcomer's commands run.

It has systemd as process 1, the network of this machine and empty caches. Its lab is a machine in a machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import typing as t

from . import cgroups, image, machine_settings, plan, surroundings, system
from .errors import LabError
from .machine import Machine, clear_systemd_folders

# What the README asks for, and what makes a tree a machine.
PACKAGES = ("ca-certificates", "dbus", "git", "make", "python3", "systemd", "systemd-sysv")

# systemd-networkd: the network is the outer machine's own, nobody in here may manage it. The timers would hold apt's
# lock at some moment of a run.
CUSTOMIZE = r"""
set -eu
chroot "$1" systemctl mask systemd-networkd.service systemd-networkd.socket systemd-networkd-wait-online.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer console-getty.service
rm -f "$1/etc/machine-id" "$1/var/lib/dbus/machine-id" "$1/etc/hostname" "$1/etc/resolv.conf" \
    "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
"""

# A lab inside makes its namespaces with CAP_SYS_ADMIN, which systemd-nspawn leaves; its cables need this one too.
NSPAWN_ARGUMENTS = ("--capability=CAP_NET_ADMIN",)

HOSTNAME = "clean"
HOME = "/root"
CHECKOUT = f"{HOME}/ringfence.etcd"
COMMAND_UNIT = "ringfence-command.service"
TIMED_OUT = 124
"""The exit code where the time was over, as of timeout(1)."""
_BOOT_SECONDS = 180
# As many as make test has up at the same time.
_HOSTS_INSIDE = 20
# Says to what runs inside that it does.
INSIDE_VARIABLE = "RINGFENCE_CLEAN_MACHINE"
# What make test needs at most: images, virtual environments, staged copies.
_DISK_GIB = 8
_STATE_FOLDER = "/var/lib/ringfence-clean"


def recipe(release: str) -> image.Recipe:
    return image.Recipe(release=release, packages=PACKAGES, customize=CUSTOMIZE)


class CleanMachine(Machine):
    """A clean machine by its name: ``up`` boots it, ``run`` runs a command there, ``down`` takes it away."""

    def __init__(self, name: str) -> None:
        # No lab's name has a dot, so the control groups, the unit and systemd's folders are never those of a lab.
        super().__init__(f"clean.{plan.check_lab_name(name)}", HOSTNAME, os.path.join(_STATE_FOLDER, name))
        self.unit = f"ringfence-clean.{name}.service"
        self.machine_name = f"ringfence-clean.{name}"
        self._booted = os.path.join(self.folder, "booted.json")

    def network_arguments(self) -> list[str]:
        """None: the machine has the outer one's network, or it could reach no registry."""
        return []

    # ---------------------------------------------------------------------------- up, down
    def supervisor(self) -> int | None:
        """The pid of its systemd-nspawn, where it is up."""
        noted = json.loads(system.read_text(self._booted) or "null")
        return int(noted["pid"]) if noted and system.start_time(noted["pid"]) == noted["started"] else None

    def up(self, repository: str, release: str = image.DEFAULT_RELEASE) -> None:
        """From nothing to a booted machine with the repository in it; what a killed run left is taken away first."""
        self.down()
        image_name = image.ensure_image(recipe(release))
        os.makedirs(self.folder, mode=0o700)
        free = shutil.disk_usage(self.folder).free >> 30
        if free < _DISK_GIB:
            system.say(f"{self.folder}: {free} GiB are free, make test may need {_DISK_GIB}")
        # A copy and no overlay: a lab inside mounts overlays on images that lie in this tree, and stacks of them have
        # a limit. It takes a second.
        system.run(["cp", "--archive", "--reflink=auto", image.tree_of(image_name), self.root], timeout_seconds=300)
        self.put_name()
        self._put_settings(release)
        self._put_repository(repository)
        # Labs inside can't raise the kernel's limit themselves.
        surroundings.need_inotify(_HOSTS_INSIDE)
        pid = self.start(NSPAWN_ARGUMENTS)
        system.write_text(self._booted, json.dumps({"pid": pid, "started": system.start_time(pid)}))
        self._wait_until_booted(pid)

    def down(self) -> None:
        """Take all of it away. Nothing there is no error."""
        supervisor = self.supervisor()
        if supervisor or os.path.isdir(self.folder):
            self.stop(supervisor)
        clear_systemd_folders(self.machine_name)
        system.unmount_below(self.folder)
        cgroups.remove(self.lab)
        # Never before the mounts are gone: this would delete through them.
        assert not system.mounts_below(self.folder)
        if os.path.isdir(self.folder):
            shutil.rmtree(self.folder)
        surroundings.leave_machine()

    # ---------------------------------------------------------------------------- disk
    def _put_settings(self, release: str) -> None:
        """What reaches the registries on the outer machine, and its names: the network is the same."""
        self.put("etc/resolv.conf", system.read_text("/etc/resolv.conf") or "")
        self.write_hosts_file(f"{system.read_text('/etc/hosts') or '127.0.0.1 localhost'}\n127.0.1.1 {self.name}\n")
        self.put("etc/apt/sources.list", f"deb [signed-by={image.KEYRING}] {image.mirror()} {release} main\n")
        certificates = machine_settings.local_certificates()
        found = machine_settings.of_this_machine()
        for path in [*certificates, *(path for path in found.copies if os.path.isfile(path))]:
            target = os.path.join(self.root, path.lstrip("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(path, target)
        if certificates:
            system.run(["chroot", self.root, "update-ca-certificates"], timeout_seconds=120)
        for path, text in found.files.items():
            # A registry's password may be in it. apt reads its settings again after it has dropped its rights.
            self.put(path, text, 0o644 if path == machine_settings.APT_CONF else 0o600)
        names = [*found.names, *([f"{len(certificates)} CA certificates of its own"] if certificates else [])]
        if names:
            system.say(f"settings taken over from this machine: {', '.join(names)}")

    def _put_repository(self, repository: str) -> None:
        """All that a commit of it would have, as a repository of its own: the runner's copy is none."""
        target = os.path.join(self.root, CHECKOUT.lstrip("/"))
        if os.path.exists(os.path.join(repository, ".git")):
            words = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"]
            for name in filter(None, system.run(words, folder=repository).stdout.split("\0")):
                source = os.path.join(repository, name)
                if os.path.lexists(source):
                    os.makedirs(os.path.dirname(os.path.join(target, name)), exist_ok=True)
                    shutil.copy2(source, os.path.join(target, name), follow_symlinks=False)
        else:
            shutil.copytree(repository, target, symlinks=True)
        identity = ["-c", "user.name=newcomer", "-c", "user.email=newcomer@example.com"]
        for words in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "--message=All"]):
            system.run(["chroot", self.root, "git", "-C", CHECKOUT, *words], timeout_seconds=120)

    # ---------------------------------------------------------------------------- commands inside
    def _wait_until_booted(self, supervisor: int) -> None:
        def state() -> str:
            if self.supervisor() is None:
                raise LabError(f"the machine ended while it booted: {self.last_words()}")
            leader = self.leader(supervisor)
            if leader is None:
                return ""
            shown = system.run([*_entrance(leader), "/usr/bin/systemctl", "is-system-running"], check=False).stdout
            return shown.strip() if shown.strip() in ("running", "degraded") else ""

        if system.wait_for(state, _BOOT_SECONDS, f"boot (console: {self.console})", 0.2) == "degraded":
            failed = self._inside(
                ["/usr/bin/systemctl", "list-units", "--failed", "--plain", "--no-legend"], check=False
            )
            system.say(f"booted, but some units failed: {' | '.join(failed.stdout.split(chr(10))).strip(' |')}")

    def _leader(self) -> int:
        supervisor = self.supervisor()
        leader = self.leader(supervisor) if supervisor else None
        if leader is None:
            raise LabError(f"the machine {self.machine_name} is not up")
        return leader

    def _inside(self, command: t.Sequence[str], **options: t.Any) -> subprocess.CompletedProcess[str]:
        return system.run([*_entrance(self._leader()), *command], **options)

    def run(self, command: t.Sequence[str], timeout_seconds: float) -> int:
        """Run a command in the repository, its output on this process's own; give its exit code.

        As a unit, so that it is one of the machine's own processes, in the machine's own control groups.
        """
        line = [*_entrance(self._leader()), "/usr/bin/systemd-run", "--quiet", "--pipe", "--wait", "--collect"]
        line += ["--service-type=exec", f"--unit={COMMAND_UNIT}", "--", *_unexpanded(login_command(command))]
        with subprocess.Popen(line, stdin=subprocess.DEVNULL) as process:
            try:
                return process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                system.say(f"ended: {timeout_seconds / 60:g} minutes were over")
                return TIMED_OUT
            finally:
                if process.poll() is None:
                    process.kill()


def login_command(command: t.Sequence[str]) -> list[str]:
    """A command as root's login shell runs it in the repository: nothing of the outer machine's environment."""
    variables = {"HOME": HOME, "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash"}
    variables[INSIDE_VARIABLE] = "1"
    variables["TERM"] = os.environ.get("TERM") or "linux"
    script = 'cd "$1" && shift && exec "$@"'
    environment = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in variables.items())]
    return [*environment, "/bin/bash", "--login", "-c", script, "bash", CHECKOUT, *command]


def _unexpanded(words: t.Sequence[str]) -> list[str]:
    """systemd replaces variables in a unit's command line; a doubled dollar stands for one."""
    return [word.replace("$", "$$") for word in words]


def _entrance(leader: int) -> list[str]:
    namespaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup"]
    return ["nsenter", f"--target={leader}", *namespaces, "--root", "--wd", "--"]
