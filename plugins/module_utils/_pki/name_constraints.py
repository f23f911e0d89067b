# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Name constraints of a CA (RFC 5280, 4.2.1.10): which names it may put into a certificate. Pure.

Judged as Go does it, which etcd is made of: a name is held against every constraint of its own kind, a kind of which
nothing is permitted is free, and a constraint of a kind that Go does not know makes the CA useless.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class Names:
    """DNS names (each with all below it) and networks of one side; ``others``: a kind that etcd does not know."""

    dns_names: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    others: bool = False

    def __str__(self) -> str:
        return ", ".join([*(name or "every DNS name" for name in self.dns_names), *map(str, self.networks)])


@dataclass(frozen=True)
class NameConstraints:
    """What a CA permits and what it excludes."""

    permitted: Names = Names()
    excluded: Names = Names()

    def __str__(self) -> str:
        parts = [f"permits {self.permitted}"] if str(self.permitted) else []
        parts += [f"excludes {self.excluded}"] if str(self.excluded) else []
        return " and ".join(parts)

    @property
    def are_known(self) -> bool:
        """Whether etcd knows all kinds of names in them."""
        return not (self.permitted.others or self.excluded.others)

    def forbids_dns_name(self, name: str) -> bool:
        permitted = self.permitted.dns_names
        return (bool(permitted) and not any(_is_below(name, domain) for domain in permitted)) or any(
            _is_below(name, domain) or _covers(name, domain) for domain in self.excluded.dns_names
        )

    def forbids_ip_address(self, text: str) -> bool:
        address = ipaddress.ip_address(text)
        permitted = self.permitted.networks
        return (bool(permitted) and not any(address in network for network in permitted)) or any(
            address in network for network in self.excluded.networks
        )


def forbidden_names(
    constraints: t.Iterable[NameConstraints], dns_names: t.Iterable[str], ip_addresses: t.Iterable[str]
) -> tuple[str, ...]:
    """The names that a chain of CAs does not let into a certificate, in the order given."""
    every = tuple(constraints)
    return (
        *(name for name in dns_names if any(one.forbids_dns_name(name) for one in every)),
        *(address for address in ip_addresses if any(one.forbids_ip_address(address) for one in every)),
    )


def _is_below(name: str, domain: str) -> bool:
    """Whether a DNS name is the domain or below it; a domain with a dot in front stands only for names below it."""
    labels, wanted = name.lower().split("."), domain.lstrip(".").split(".") if domain else []
    if domain.startswith(".") and len(labels) == len(wanted):
        return False
    return labels[len(labels) - len(wanted) :] == wanted if len(labels) >= len(wanted) else False


def _covers(name: str, domain: str) -> bool:
    """Whether a wildcard stands for a name that a domain is or has below it."""
    if not name.startswith("*.") or not domain:
        return False
    return domain.lstrip(".").split(".", 1)[1:] == [name[2:].lower()]


__all__ = ("NameConstraints", "Names", "forbidden_names")
