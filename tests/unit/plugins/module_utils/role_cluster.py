# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster of real etcd processes on loopback, started by the very units that the role writes, and gathered for real.

There is no systemd: each unit lies in a folder that systemd does not read, and its command is started as the unit says.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import socket
import subprocess
import time
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_authorities import authorities_of
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_gather import desired_of, state_of
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import next_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Desired,
    Leaf,
    State,
    Words,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Next, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import WantedCluster
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightQuestion,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.live import Entrance, entrance_of, live_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._member import info as _info
from ansible_collections.ringfence.etcd.plugins.module_utils._member.node_probe import process_credentials
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import exec_command, unit_environment
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.plugin_utils._input_validation import flag_settings_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import checked_state
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_text import unit_text

_DAY = datetime.timedelta(days=1)
_SECONDS = 30.0


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


class Ca:
    """A CA of the collection's own making."""

    def __init__(self, common_name: str = "etcd peer CA") -> None:
        key = keys.make_key("ecdsa-p256")
        certificate = certificates.make_ca_certificate(key, common_name, now() - _DAY, now() + 3650 * _DAY)
        self.pem = certificates.certificate_pem(certificate).decode()
        self.fingerprint = certificates.fingerprint(certificate)
        self._issuer = certificates.Issuer(certificate, key)

    def issue(self, member: Member, leaf: Leaf | None = None) -> tuple[bytes, bytes]:
        """Certificate and key of a member. ``leaf``: what a step says of it."""
        names, addresses = list(member.dns_names), list(member.ip_addresses)
        for name in sorted(leaf.names - {*names, *addresses}) if leaf is not None else ():
            (addresses if name.replace(".", "").isdigit() else names).append(name)
        common_name = member.common_name if leaf is None else leaf.common_name
        wanted = rules.peer_profile(member.name, common_name, names, addresses, "ecdsa-p256")
        key = keys.make_key("ecdsa-p256")
        made = self._issuer.issue(wanted, key.public_key(), now() - _DAY / 24, now() + 365 * _DAY)
        return certificates.certificate_pem(made), keys.private_key_pem(key)


def entries(size: int = 3, **changes: t.Any) -> list[dict[str, t.Any]]:
    """Members on addresses of their own, with ports that are free now. ``changes`` of all of them."""
    made = []
    for number in range(1, size + 1):
        peer_port, client_port = _free_ports(f"127.0.1.{number}")
        made.append(
            {
                "name": f"etcd-{number}",
                "address": f"127.0.1.{number}",
                "peer_port": peer_port,
                "client_port": client_port,
                **changes,
            }
        )
    return made


def _free_ports(address: str) -> list[int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind((address, 0))
        other.bind((address, 0))
        return [one.getsockname()[1], other.getsockname()[1]]


class RoleCluster:
    """Members by the role's own units. Each process is known by its handle, so nothing else is ever stopped."""

    def __init__(self, binary: str, folder: pathlib.Path, given: t.Sequence[t.Mapping[str, t.Any]]) -> None:
        self.binary, self.folder = binary, folder
        self.given = [dict(one) for one in given]
        self.common = ClusterSettings(name="blue", domain="example.com")
        self.ca = Ca()
        self.extra_flags: dict[str, t.Any] = {}
        # Files for clients in each member's folder, where they are not the peers'.
        self.client_files = {"ca": "", "cert": "", "key": ""}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, float] = {}

    @property
    def members(self) -> list[Member]:
        return make_members(self.given, self.common)

    def member(self, name: str) -> Member:
        return next(one for one in self.members if one.name == name)

    def settings(self, name: str) -> dict[str, t.Any]:
        return {
            "cluster_name": "blue",
            "data_dir": str(self.folder / name / "data"),
            "directory": str(self.folder / name / "pki"),
            "identity": "list",
            "client_tls": self.common.client_tls,
            "client_port": 2379,
            **{
                f"client_{kind}_file": str(self.folder / name / "pki" / file.format(name=name)) if file else ""
                for kind, file in self.client_files.items()
            },
            "listen_loopback": True,
            "metrics_urls": [],
            "min_version": "TLS1.3",
            "extra_flags": self.extra_flags,
            "extra_unit_settings": {},
            # One that is given has no folder for a revocation list.
            "ca_certificate": "given",
            "owner": "etcd",
            "owner_group": "etcd",
            "etcd_binary": self.binary,
        }

    def deploy(self, name: str, config: Config | None = None, text: str | None = None) -> None:
        """Write a member's files and its unit."""
        folder, member = self.folder / name, self.member(name)
        for part in ("pki", "data"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "data").chmod(0o700)
        self.write_bundle(name, self.ca.pem)
        self.write_leaf(name, self.ca)
        present = self.present(name) if config is not None else None
        made = text or unit_text(self.settings(name), self.members, member, config, present)
        (folder / "etcd.service").write_text(made)

    def present(self, name: str) -> t.Any:
        process = self.processes.get(name)
        return None if process is None else _info._process_facts({"MainPID": str(process.pid)})[0]["settings"]

    def write_bundle(self, name: str, pem: str) -> None:
        (self.folder / name / "pki" / "ca.crt").write_text(pem)

    def write_leaf(self, name: str, ca: Ca, leaf: Leaf | None = None) -> None:
        certificate, key = ca.issue(self.member(name), leaf)
        (self.folder / name / "pki" / f"{name}.crt").write_bytes(certificate)
        (self.folder / name / "pki" / f"{name}.key").write_bytes(key)

    def start(self, *names: str) -> None:
        """As the unit says, and then until it answers."""
        for name in names:
            text = (self.folder / name / "etcd.service").read_text()
            environment = {"PATH": os.defpath, **unit_environment(text)}
            with open(self.folder / name / "log", "ab") as log:
                self.processes[name] = subprocess.Popen(
                    exec_command(text), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
                )
            self._started[name] = time.monotonic()

    def stop(self, *names: str) -> None:
        for process in [self.processes.pop(name) for name in names or list(self.processes)]:
            # A member has to live with that, and nobody waits for it to hand over what it leads.
            process.kill()
            process.wait()

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    # What a plan says, done

    def perform(self, found: Step, *cas: Ca) -> None:
        """Do a step on the processes and files here. ``cas``: those that can issue."""
        names = {member.host: member.name for member in self.members}
        for action in found.actions:
            name = names.get(action.host, "")
            if action.kind == steps.WRITE_TRUST and action.config is not None:
                authorities = authorities_of(self.cluster(), [ca.pem for ca in cas])
                self.write_bundle(name, authorities.bundle(name, action.config.authorities))
            elif action.kind == steps.WRITE_UNIT and action.config is not None:
                text = unit_text(
                    self.settings(name), self.members, self.member(name), action.config, self.present(name)
                )
                (self.folder / name / "etcd.service").write_text(text)
            elif action.kind == steps.WRITE_LEAF and action.leaf is not None:
                ca = next(ca for ca in cas if ca.fingerprint == action.leaf.issuer)
                self.write_leaf(name, ca, action.leaf)
            elif action.kind == steps.RESTART_UNIT:
                self.restart(name)
            elif action.kind == steps.UPDATE_MEMBER:
                settings = self.present(next(iter(self.processes)))
                entrance = entrance_of(settings, Entrance())
                entrance.client().member_update(settings["client_urls"][0], action.member_id, action.url)
            else:
                raise AssertionError(f"{action.kind} is not done here")
        self.settle()

    # What is gathered

    def gathered(self, name: str) -> dict[str, t.Any]:
        """The answer of a member's host as ``etcd_peer_probe`` gives it, checked as the controller checks it."""
        settings, member = self.settings(name), self.member(name)
        found = _info.peer_info(
            directory=settings["directory"],
            name=name,
            owner="root",
            etcd_binary=self.binary,
            unit="etcd.service",
            data_dir=settings["data_dir"],
            unit_directory=str(self.folder / name),
            listen_urls=[member.peer_url, member.client_url],
        )
        process = self.processes.get(name)
        if process is not None:
            started = str(int(self._started[name] * 1_000_000))
            properties = {"MainPID": str(process.pid), "ExecMainStartTimestampMonotonic": started}
            found["process"] = _info._process_facts(properties)[0]
            found["process"]["version"] = _info.process_version(found["process"], found["etcd"])
        running = found["process"]["settings"]
        return checked_state(
            {
                "changed": False,
                "name": name,
                "time": iso_time(now()),
                "called": False,
                "probes": [],
                "problem": None,
                "unreadable_files": [],
                "client_probes": [],
                "client_problem": None,
                "revoked": [],
                "revocation_list_problem": None,
                "process_credentials": process_credentials(found, now()),
                **live_facts(entrance_of(running, Entrance())),
                "pending": [],
                "unit_problem": None,
                "unit_overrides": [],
                "info": found,
            }
        )

    def cluster(self, authority: str | None = None) -> Cluster:
        states = {member.name: self.gathered(member.name) for member in self.members}
        question = PreflightQuestion(
            "blue",
            authority=authority or self.ca.pem,
            own_flag_settings={
                member.name: FlagSettings(**flag_settings_of(self.settings(member.name))) for member in self.members
            },
        )
        return Cluster(self.members, {name: state["info"] for name, state in states.items()}, question, states)

    def both(self, words: Words | None = None, authority: str | None = None) -> tuple[Desired, State]:
        cluster = self.cluster(authority)
        authorities = authorities_of(cluster)
        return desired_of(cluster, authorities, words), state_of(cluster, authorities, WantedCluster(), now())

    def next(self, words: Words | None = None, authority: str | None = None) -> Next:
        return next_step(*self.both(words, authority))

    def settle(self) -> None:
        """Wait until all members that run are well and linked."""
        deadline = time.monotonic() + _SECONDS
        while True:
            _desired, state = self.both()
            running = [host for host in state.hosts.values() if host.process is not None]
            if running and all(host.problem is None and not host.links_down for host in running):
                return
            assert time.monotonic() < deadline, [(host.name, host.problem, host.links_down) for host in running]
            time.sleep(0.2)


__all__ = ("Ca", "RoleCluster", "entries", "now")
