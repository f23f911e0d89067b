# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab knows before it touches the machine: names, addresses, inventory text. No I/O here."""

from __future__ import annotations

import ipaddress
import json
import re
import string
import typing as t
from dataclasses import dataclass

from .errors import LabError

DOMAIN = "example.com"
NETWORK_4 = ipaddress.IPv4Network("10.0.0.0/24")
# A ULA prefix (RFC 4193) that is fixed, so that the same lab has the same addresses every time.
NETWORK_6 = ipaddress.IPv6Network("fd72:696e:6766::/64")
CONTROLLER_NUMBER = 254
MAXIMUM_HOSTS = 200

LONGEST_LAB_NAME = 20
_LAB_NAME = re.compile(rf"[a-z][a-z0-9-]{{0,{LONGEST_LAB_NAME - 1}}}\Z")
_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,29}\Z")


@dataclass(frozen=True)
class Host:
    """One machine of the lab: a member's host, or the controller."""

    name: str
    number: int
    ipv4: str | None
    ipv6: str

    @property
    def address(self) -> str:
        """The address that the inventory uses: IPv4 where the lab has it."""
        return self.ipv4 or self.ipv6

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{DOMAIN}"

    @property
    def port(self) -> str:
        """The switch's end of this host's cable; interface names hold 15 characters at most."""
        return f"port{self.number}"

    def networks(self) -> list[str]:
        """Addresses with their prefix length, for ``ip address add``."""
        found = [f"{self.ipv6}/{NETWORK_6.prefixlen}"]
        if self.ipv4:
            found.insert(0, f"{self.ipv4}/{NETWORK_4.prefixlen}")
        return found


def check_lab_name(name: str) -> str:
    if not _LAB_NAME.match(name):
        raise LabError(
            f"lab name {name!r}: wanted is a letter, then at most 19 small letters, digits or hyphens (it becomes a "
            "part of namespace, unit and folder names)"
        )
    return name


def make_host(name: str, number: int, ipv6_only: bool) -> Host:
    return Host(
        name=name,
        number=number,
        ipv4=None if ipv6_only else str(NETWORK_4.network_address + number),
        ipv6=str(NETWORK_6.network_address + number),
    )


def make_hosts(count: int, ipv6_only: bool = False, prefix: str = "etcd-") -> tuple[Host, ...]:
    """The hosts ``etcd-1`` to ``etcd-N`` at .1 to .N."""
    if not 1 <= count <= MAXIMUM_HOSTS:
        raise LabError(f"number of hosts {count}: wanted is 1 to {MAXIMUM_HOSTS}")
    if not _PREFIX.match(prefix):
        raise LabError(f"host name prefix {prefix!r}: wanted is a letter, then small letters, digits or hyphens")
    return tuple(make_host(f"{prefix}{number}", number, ipv6_only) for number in range(1, count + 1))


def make_controller(ipv6_only: bool = False) -> Host:
    return make_host("controller", CONTROLLER_NUMBER, ipv6_only)


def make_clusters(hosts: t.Sequence[Host], count: int) -> dict[str, tuple[Host, ...]]:
    """Inventory group → its hosts: one group ``etcd``, or ``etcd-a``, ``etcd-b`` and so on, neighbours together."""
    if not 1 <= count <= min(len(hosts), len(string.ascii_lowercase)):
        raise LabError(f"number of clusters {count}: wanted is 1 to the number of hosts ({len(hosts)}), at most 26")
    if count == 1:
        return {"etcd": tuple(hosts)}
    size, more = divmod(len(hosts), count)
    found, start = {}, 0
    for number in range(count):
        end = start + size + (1 if number < more else 0)
        found[f"etcd-{string.ascii_lowercase[number]}"] = tuple(hosts[start:end])
        start = end
    return found


def hosts_file_text(hosts: t.Iterable[Host]) -> str:
    """``/etc/hosts`` of every machine in the lab: names resolve without a DNS server."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    for host in hosts:
        lines += [f"{address} {host.fqdn} {host.name}" for address in (host.ipv4, host.ipv6) if address]
    return "\n".join(lines) + "\n"


def known_hosts_text(public_keys: t.Mapping[str, str], hosts: t.Iterable[Host]) -> str:
    """The SSH host keys, under every name and address by which a host can be called."""
    lines = []
    for host in hosts:
        names = [name for name in (host.name, host.fqdn, host.ipv4, host.ipv6) if name]
        algorithm, key = public_keys[host.name].split()[:2]
        lines.append(f"{','.join(names)} {algorithm} {key}")
    return "\n".join(lines) + "\n"


def ssh_options(known_hosts: str, private_key: str | None) -> list[str]:
    """Options for ssh and scp: this lab's keys only, nothing of the user's own configuration.

    ``private_key`` None: an agent has it.
    """
    settings = {
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "GlobalKnownHostsFile": "/dev/null",
        **({"IdentitiesOnly": "yes", "IdentityFile": private_key} if private_key else {}),
        "LogLevel": "ERROR",
        # A host that is cut off or frozen must not hold a run for ever.
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "2",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": known_hosts,
    }
    options = ["-F", "none"]
    for key, value in settings.items():
        options += ["-o", f"{key}={value}"]
    return options


def inventory_text(
    groups: t.Mapping[str, t.Iterable[Host]],
    variables: t.Mapping[str, t.Any],
    host_variables: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
    group_variables: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
) -> str:
    """A YAML inventory. Values are written as JSON, which is YAML too and leaves nothing to quoting rules."""
    lines = ["---", "all:", "  vars:"]
    lines += [f"    {key}: {json.dumps(value)}" for key, value in variables.items()]
    lines += ["  children:"]
    for group, hosts in groups.items():
        lines.append(f"    {group}:")
        own = (group_variables or {}).get(group) or {}
        lines += ["      vars:"] if own else []
        lines += [f"        {key}: {json.dumps(value)}" for key, value in own.items()]
        lines.append("      hosts:")
        for host in hosts:
            lines += [f"        {host.name}:", f"          ansible_host: {json.dumps(host.address)}"]
            for key, value in ((host_variables or {}).get(host.name) or {}).items():
                lines.append(f"          {key}: {json.dumps(value)}")
    return "\n".join(lines) + "\n"
