# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster on 127.0.0.1, .2 and .3 of this machine, without root and without systemd: no hosts, but real members.

The role writes the units (``loopback.yml`` beside this package), and what they say is started here. They are read by a
few lines of this file's own and not by the collection's parser, so that a unit which only that parser understands does
not start.
"""

from __future__ import annotations

import argparse
import grp
import json
import os
import pwd
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import typing as t

from . import system
from .errors import LabError
from .probe import probe

USUAL_PORTS = (2380, 2379)
# The first etcd that takes a list of common names.
MINIMUM_ETCD = (3, 5, 15)

_LOG_LINE_LIMIT = 300


class Member(t.NamedTuple):
    """A member, which has no host of its own."""

    name: str
    address: str


MEMBERS = tuple(Member(f"etcd-{number}", f"127.0.0.{number}") for number in (1, 2, 3))
# Whatever a member listens on, on loopback it dials from here.
SOURCE_ADDRESS = "127.0.0.1"


class Unit(t.NamedTuple):
    """What a supervisor takes from a unit."""

    command: list[str]
    environment: dict[str, str]


# ---------------------------------------------------------------------------- pure
def read_unit(text: str) -> Unit:
    """The command and the environment that a unit's text names."""
    commands: list[list[str]] = []
    environment: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        key, _equals, value = line.partition("=")
        if key == "ExecStart":
            commands.append([word.replace("%%", "%").replace("$$", "$") for word in shlex.split(value)])
        elif key == "Environment":
            for word in shlex.split(value):
                name, _equals, content = word.replace("%%", "%").partition("=")
                environment[name] = content
    if len(commands) != 1:
        raise LabError(f"the unit has {len(commands)} lines ExecStart=, one is needed")
    return Unit(commands[0], environment)


def parse_version(output: str) -> tuple[int, ...] | None:
    """The version in what ``etcd --version`` prints."""
    found = re.search(r"^etcd Version: (\d+)\.(\d+)\.(\d+)", output, re.MULTILINE)
    return tuple(int(number) for number in found.groups()) if found else None


# ---------------------------------------------------------------------------- this machine
def find_programs(folder: str | None = None) -> tuple[str, str]:
    """``etcd`` and ``etcdctl``, new enough, in a folder or on PATH."""
    found = [shutil.which(name, path=folder) for name in ("etcd", "etcdctl")]
    if not all(found):
        missing = " and no ".join(name for name, path in zip(("etcd", "etcdctl"), found) if not path)
        raise LabError(f"there is no {missing} {f'in {folder}' if folder else 'on PATH'}")
    etcd, etcdctl = (os.path.abspath(str(path)) for path in found)
    version = parse_version(system.run([etcd, "--version"], check=False).stdout)
    if version is None or version < MINIMUM_ETCD:
        has, needed = (".".join(str(part) for part in parts) for parts in (version or ("unknown",), MINIMUM_ETCD))
        raise LabError(f"{etcd} has the version {has}, needed is {needed} or later")
    return etcd, etcdctl


def is_free(port: int) -> bool:
    """Whether every member could listen on the port."""
    for member in MEMBERS:
        with socket.socket() as candidate:
            # As etcd does it: a connection that has ended does not hold the port.
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                candidate.bind((member.address, port))
            except OSError:
                return False
    return True


def free_ports(usual: bool = True) -> tuple[int, int]:
    """A peer port and a client port: the usual ones where they are free and not declined, else two at random."""
    if usual and all(is_free(port) for port in USUAL_PORTS):
        return USUAL_PORTS
    # Below the ports of outgoing connections: one of those could take the port before etcd does.
    text = system.read_text("/proc/sys/net/ipv4/ip_local_port_range") or "32768 60999"
    lowest = int(text.split()[0])
    candidates = range(10000, lowest if lowest > 12000 else 60000)
    free = [port for port in random.sample(candidates, 200) if is_free(port)]
    if len(free) < 2:
        raise LabError(f"no two free ports from {candidates[0]} to {candidates[-1]} on 127.0.0.1 to 127.0.0.3")
    return free[0], free[1]


class Loopback:
    """The cluster in a folder. Making the object touches nothing."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)

    # ---------------------------------------------------------------------------- what it consists of
    @property
    def exists(self) -> bool:
        return os.path.exists(self.settings_path)

    @property
    def settings_path(self) -> str:
        """The variables that ``loopback.yml`` takes."""
        return os.path.join(self.folder, "settings.json")

    @property
    def settings(self) -> dict[str, t.Any]:
        text = system.read_text(self.settings_path)
        if not text:
            raise LabError(f"there is no cluster in {self.folder}")
        settings: dict[str, t.Any] = json.loads(text)
        return settings

    @property
    def ca_folder(self) -> str:
        return os.path.join(self.folder, "ca")

    @property
    def peer_port(self) -> int:
        return int(self.settings["loopback_peer_port"])

    def pki_folder(self, member: Member) -> str:
        return os.path.join(self.folder, member.name, "pki")

    def host(self, name: str) -> Member:
        for member in MEMBERS:
            if member.name == name:
                return member
        raise LabError(f"there is no member {name!r}, only {', '.join(member.name for member in MEMBERS)}")

    def etcdctl_command(self, *words: str) -> list[str]:
        """etcdctl with the first member's own files."""
        first, settings = MEMBERS[0], self.settings
        pair = os.path.join(self.pki_folder(first), first.name)
        files = [f"--cacert={self.pki_folder(first)}/ca.crt", f"--cert={pair}.crt", f"--key={pair}.key"]
        endpoint = f"--endpoints=https://{first.address}:{settings['loopback_client_port']}"
        return [settings["loopback_etcdctl"], endpoint, *files, *words]

    def probe(self, **arguments: t.Any) -> dict[str, t.Any]:
        """Dial a peer port as a member does."""
        return probe(**arguments, source_address=SOURCE_ADDRESS)

    # ---------------------------------------------------------------------------- processes
    def prepare(self, programs: t.Callable[[], tuple[str, str]], usual_ports: bool = True) -> None:
        """Settle ports, programs and owner, once."""
        if self.exists:
            return
        etcd, etcdctl = programs()
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        peer_port, client_port = free_ports(usual_ports)
        settings = {
            "loopback_client_port": client_port,
            "loopback_etcd": etcd,
            "loopback_etcdctl": etcdctl,
            "loopback_folder": self.folder,
            "loopback_group": _name(grp.getgrgid, os.getegid()),
            "loopback_peer_port": peer_port,
            "loopback_user": _name(pwd.getpwuid, os.geteuid()),
        }
        system.write_text(self.settings_path, json.dumps(settings, indent=2))

    def pid(self, member: Member) -> int | None:
        """The member's process; None where that very process is gone."""
        noted = (system.read_text(self._pid_path(member)) or "").split()
        return int(noted[0]) if len(noted) == 2 and system.start_time(int(noted[0])) == noted[1] else None

    def start(self) -> dict[str, int]:
        """Start what does not run, all without waiting for one another; gives the pids of those started."""
        started: dict[str, int] = {}
        for member in MEMBERS:
            if self.pid(member) is not None:
                continue
            path = os.path.join(self.folder, member.name, f"{member.name}.service")
            text = system.read_text(path)
            if text is None:
                raise LabError(f"there is no unit {path}: run the role first (loopback.yml)")
            unit = read_unit(text)
            try:
                with open(self._log_path(member), "ab") as log:
                    process = subprocess.Popen(
                        unit.command,
                        # As under systemd: of the caller's environment, with its proxies, the member gets nothing.
                        env={"PATH": os.defpath, **unit.environment},
                        cwd="/",
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        umask=0o077,
                    )
            except OSError as error:
                raise LabError(f"{member.name}: can't start {unit.command[0]}: {error.strerror}") from error
            system.write_text(self._pid_path(member), f"{process.pid} {system.start_time(process.pid)}\n")
            started[member.name] = process.pid
        return started

    def wait_healthy(self, timeout_seconds: float = 60) -> None:
        """Until etcdctl calls each member healthy; LabError as soon as one has ended."""

        def healthy() -> bool:
            for member in MEMBERS:
                if self.pid(member) is None:
                    raise LabError(f"{member.name} has ended: {self._last_words(member)}")
            words = ("endpoint", "health", "--cluster", "--command-timeout=3s")
            done = system.run(self.etcdctl_command(*words), check=False)
            return done.returncode == 0 and (done.stdout + done.stderr).count("is healthy") == len(MEMBERS)

        system.wait_for(healthy, timeout_seconds, f"a healthy cluster in {self.folder}", pause_seconds=0.2)

    def stop(self) -> list[str]:
        """Stop what runs; gives the names."""
        running = {member.name: pid for member in MEMBERS for pid in [self.pid(member)] if pid is not None}
        system.end_processes(running.values(), signal.SIGTERM, patience_seconds=10)
        for member in MEMBERS:
            if os.path.exists(self._pid_path(member)):
                os.unlink(self._pid_path(member))
        return list(running)

    def remove(self) -> list[str]:
        """Stop all and take the folder away, with the CA and the data; gives the names of those that ran."""
        stopped = self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        return stopped

    def _pid_path(self, member: Member) -> str:
        return os.path.join(self.folder, member.name, "etcd.pid")

    def _log_path(self, member: Member) -> str:
        return os.path.join(self.folder, member.name, "etcd.log")

    def _last_words(self, member: Member) -> str:
        lines = (system.read_text(self._log_path(member)) or "").strip().splitlines()
        return f"{lines[-1][-_LOG_LINE_LIMIT:] if lines else 'no word'} (all of it: {self._log_path(member)})"


def _name(entry_of: t.Callable[[int], t.Sequence[t.Any]], number: int) -> str:
    """The name of a user or group; the number where it has none, as in many containers."""
    try:
        return str(entry_of(number)[0])
    except KeyError:
        return str(number)


# ---------------------------------------------------------------------------- the command line
def main(arguments: t.Sequence[str] | None = None) -> int:
    """For the integration target: each command prints one JSON value."""
    parser = argparse.ArgumentParser(prog="loopback", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("prepare", "start", "probe", "remove"))
    parser.add_argument("folder")
    parser.add_argument("--programs", help="prepare: a folder with etcd and etcdctl (default: PATH)")
    parser.add_argument("--to", default=MEMBERS[1].name, help="probe: the member that is dialed")
    parser.add_argument("--certificate", help="probe: what the dialing side shows (default: the first member's own)")
    parser.add_argument("--private-key", help="probe: its key")
    options = parser.parse_args(arguments)
    cluster, first = Loopback(options.folder), MEMBERS[0]
    result: t.Any
    try:
        if options.command == "prepare":
            # What a killed run left there. Never the usual ports: several runs may be preparing on this machine.
            cluster.remove()
            cluster.prepare(lambda: find_programs(options.programs), usual_ports=False)
            result = cluster.settings
        elif options.command == "start":
            started = cluster.start()
            cluster.wait_healthy()
            result = {"started": started, "pids": {member.name: cluster.pid(member) for member in MEMBERS}}
        elif options.command == "probe":
            own = os.path.join(cluster.pki_folder(first), first.name)
            result = cluster.probe(
                address=cluster.host(options.to).address,
                ca=os.path.join(cluster.pki_folder(first), "ca.crt"),
                certificate=options.certificate or f"{own}.crt",
                private_key=options.private_key or f"{own}.key",
                port=cluster.peer_port,
            )
        else:
            result = cluster.remove()
    except (LabError, OSError) as error:
        print(f"loopback: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
