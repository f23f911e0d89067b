# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which members live on which machine, and what the inventory says of them. Pure.

Many inventory hosts share the lab's few machines: each is a member with ports, unit and folders of its own.
"""

from __future__ import annotations

import json
import typing as t

FIRST_PORT = 20000
# In the lab's network; its own hosts are numbered from 1, its controller is 254.
FIRST_EXTRA_NUMBER = 100
# An idle member costs next to nothing with these, and a machine may have thirty.
QUIET_FLAGS = {"heartbeat-interval": 5000, "election-timeout": 25000}
# A member of fifty has buffers of a hundred megabytes and more, and Go's collector would let garbage double that; it is
# ready when half of them have been started.
LEAN_UNIT = {"Service": {"Environment": "GOGC=20", "TimeoutStartSec": "600s"}}
START_TIMEOUT_SECONDS = 240


class Seat(t.NamedTuple):
    """A member and its place."""

    name: str
    machine: str
    """The machine's address, by which Ansible reaches it."""
    address: str
    """The member's own, by which the others reach it: within a cluster no two may be the same."""
    number: int
    """Among all of the layout: gives ports and names that no other member has."""

    def variables(self) -> dict[str, t.Any]:
        """The inventory's variables of this host."""
        found: dict[str, t.Any] = {
            "ansible_host": self.machine,
            "etcd_peer_tls_address": self.address,
            "etcd_peer_tls_peer_port": FIRST_PORT + 2 * self.number,
            "etcd_peer_tls_client_port": FIRST_PORT + 2 * self.number + 1,
            "etcd_peer_tls_unit": f"etcd-{self.name}.service",
            "etcd_peer_tls_directory": f"/etc/etcd/{self.name}",
            "etcd_peer_tls_data_dir": f"/var/lib/etcd/{self.name}",
        }
        if self.address != self.machine:
            # A member dials from the machine's first address, whatever its own is.
            found["etcd_peer_tls_extra_sans"] = [self.machine]
        return found


def trios(count: int, machines: t.Sequence[str]) -> dict[str, list[Seat]]:
    """So many clusters of three, each with one member on each machine."""
    clusters: dict[str, list[Seat]] = {}
    for cluster in range(1, count + 1):
        seats = clusters[f"trio{cluster:02d}"] = []
        for machine in machines[:3]:
            name = f"trio{cluster:02d}-{len(seats) + 1}"
            seats.append(Seat(name, machine, machine, 3 * (cluster - 1) + len(seats)))
    return clusters


def crowd(size: int, machines: t.Sequence[str], first_number: int = 0) -> dict[str, list[Seat]]:
    """One cluster of so many members, each with an address of its own on one of the machines."""
    network = machines[0].rsplit(".", 1)[0]
    name = f"crowd{size:02d}"
    seats = []
    for place in range(size):
        number = first_number + place
        address = f"{network}.{FIRST_EXTRA_NUMBER + number}"
        seats.append(Seat(f"{name}-{place + 1}", machines[place % len(machines)], address, number))
    return {name: seats}


def inventory(clusters: t.Mapping[str, t.Sequence[Seat]], common: t.Mapping[str, t.Any], ca_folder: str) -> str:
    """The inventory, as JSON, which is YAML too."""
    children = {
        name: {
            "hosts": {seat.name: seat.variables() for seat in seats},
            "vars": {
                "etcd_peer_tls_group": name,
                "etcd_peer_tls_ca_directory": f"{ca_folder}/{name}",
                "etcd_peer_tls_extra_flags": QUIET_FLAGS,
                "etcd_peer_tls_extra_unit_settings": LEAN_UNIT,
                "etcd_peer_tls_start_timeout_seconds": START_TIMEOUT_SECONDS,
            },
        }
        for name, seats in clusters.items()
    }
    return json.dumps({"all": {"vars": dict(common), "children": {"members": {"children": children}}}}, indent=1) + "\n"


def local_inventory(count: int) -> str:
    """So many hosts that are the controller itself."""
    hosts: dict[str, dict[str, str]] = {f"member-{number}": {} for number in range(1, count + 1)}
    variables = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    return json.dumps({"all": {"vars": variables, "hosts": hosts}}, indent=1) + "\n"


def issue_members(count: int) -> list[dict[str, t.Any]]:
    """The members to issue certificates for, each with the names and addresses that the role gives one."""
    return [
        {
            "name": f"member-{number}",
            "common_name": f"member-{number}.example.com",
            "dns_names": [f"member-{number}.example.com", "localhost"],
            "ip_addresses": [f"10.1.{number // 250}.{number % 250 + 1}", "127.0.0.1", "::1"],
        }
        for number in range(1, count + 1)
    ]
