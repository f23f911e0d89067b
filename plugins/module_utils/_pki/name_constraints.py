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

from ansible_collections.ringfence.etcd.plugins.module_utils._pki import asn1, der

NAME_CONSTRAINTS = "2.5.29.30"

_PERMITTED = asn1.CONTEXT | asn1.CONSTRUCTED
_EXCLUDED = asn1.CONTEXT | asn1.CONSTRUCTED | 1
# Kinds that a peer's certificate never has, and that Go knows: e-mail addresses and URIs.
_NEVER_THERE = (asn1.CONTEXT | 1, asn1.CONTEXT | 6)

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


def constraints_of(certificate: der.Certificate) -> NameConstraints | None:
    """A certificate's name constraints, None where it has none; asn1.Malformed where they can't be read."""
    found = certificate.extension(NAME_CONSTRAINTS)
    if found is None:
        return None
    parts = asn1.sequence_in(found.value, "the name constraints")
    permitted, excluded = parts.optional(_PERMITTED), parts.optional(_EXCLUDED)
    parts.end("the name constraints")
    return NameConstraints(_names(permitted), _names(excluded))


def forbidden_names(
    constraints: t.Iterable[NameConstraints], dns_names: t.Iterable[str], ip_addresses: t.Iterable[str]
) -> tuple[str, ...]:
    """The names that a chain of CAs does not let into a certificate, in the order given."""
    every = tuple(constraints)
    return (
        *(name for name in dns_names if any(one.forbids_dns_name(name) for one in every)),
        *(address for address in ip_addresses if any(one.forbids_ip_address(address) for one in every)),
    )


def _names(content: bytes | None) -> Names:
    dns_names: list[str] = []
    networks: list[Network] = []
    others = False
    subtrees = asn1.Reader(content or b"")
    while not subtrees.at_end:
        subtree = subtrees.sequence("a name constraint")
        tag, value, _whole = subtree.value()
        # RFC 5280 has no use for minimum and maximum, and Go refuses them.
        subtree.end("a name constraint")
        if tag == der.DNS_NAME:
            dns_names.append(asn1.text(asn1.IA5_STRING, value).lower())
        elif tag == der.IP_ADDRESS:
            networks.append(_network(value))
        elif tag not in _NEVER_THERE:
            others = True
    return Names(tuple(dns_names), tuple(networks), others)


def _network(value: bytes) -> Network:
    if len(value) not in (8, 32):
        raise asn1.Malformed("a network of the wrong length")
    half = len(value) // 2
    bits = f"{int.from_bytes(value[half:], 'big'):0{8 * half}b}"
    if "01" in bits:
        raise asn1.Malformed("a network mask with a hole")
    address = ipaddress.ip_address(value[:half])
    return ipaddress.ip_network(f"{address}/{bits.count('1')}", strict=False)


def _is_below(name: str, domain: str) -> bool:
    """Whether a DNS name is the domain or below it; a domain with a dot in front stands for what is below alone."""
    labels, wanted = name.lower().split("."), domain.lstrip(".").split(".") if domain else []
    if domain.startswith(".") and len(labels) == len(wanted):
        return False
    return labels[len(labels) - len(wanted) :] == wanted if len(labels) >= len(wanted) else False


def _covers(name: str, domain: str) -> bool:
    """Whether a wildcard stands for a name that a domain is or has below it."""
    if not name.startswith("*.") or not domain:
        return False
    return domain.lstrip(".").split(".", 1)[1:] == [name[2:].lower()]


__all__ = ("NAME_CONSTRAINTS", "NameConstraints", "Names", "constraints_of", "forbidden_names")
