# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an inventory to the members of one etcd cluster: names, addresses, URLs, subject alternative names.

Pure: no Ansible, no I/O. Every rule about what a member may be called and where it may live is here, so that a wrong
inventory is refused before anything is done.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    IPAddress,
    checked_common_name,
    checked_dns_name,
    checked_member_name,
    checked_port,
    is_dns_name,
)

_LOOPBACK_NAME = "localhost"
_LOOPBACK_ADDRESSES = ("127.0.0.1", "::1")
_LOOPBACK = {_LOOPBACK_NAME, *_LOOPBACK_ADDRESSES}


@dataclass(frozen=True)
class ClusterSettings:
    """What all members of a cluster have in common."""

    name: str
    domain: str | None = None
    identity: str = "list"
    shared_common_name: str | None = None
    peer_port: int = 2380
    client_port: int = 2379
    client_tls: bool = True
    loopback_sans: bool = True


@dataclass(frozen=True)
class Member:
    """One etcd member, as every later step sees it."""

    name: str
    host: str
    common_name: str
    address: str
    listen_address: str
    peer_url: str
    client_url: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]


def parse_address(value: str, owner: str, option: str = "address") -> IPAddress | str:
    """An IPv4 or IPv6 address object, or a DNS name in lower case; else an InputError that names owner and option.

    Brackets round an IPv6 address are taken off. A zone (``fe80::1%eth0``) is refused: no certificate can carry it.
    """
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _dns_name(text, value, owner, option)
    if "%" in text:
        raise InputError(
            f"{owner}: etcd_peer_tls_{option} {value} has a zone, "
            "which a certificate can't carry: give a routable address"
        )
    if address.is_unspecified or address.is_multicast:
        raise InputError(
            f"{owner}: etcd_peer_tls_{option} {value} is no address that other members can dial: give the host's own"
        )
    return address


def _dns_name(text: str, value: str, owner: str, option: str) -> str:
    name = text.lower()
    if not is_dns_name(name):
        instead = {
            "address": "set it (or ansible_host) to the address that the other members dial",
            "extra_sans": "give names and addresses in full, without a wildcard",
        }
        raise InputError(
            f"{owner}: etcd_peer_tls_{option} {value!r} is no IPv4 or IPv6 address and no DNS name: {instead[option]}"
        )
    return name


def _url(scheme: str, host: IPAddress | str, port: int) -> str:
    text = f"[{host}]" if isinstance(host, ipaddress.IPv6Address) else str(host)
    return f"{scheme}://{text}:{port}"


def make_member(entry: t.Mapping[str, t.Any], settings: ClusterSettings) -> Member:
    """A member from its entry: ``name``, ``address``, and optionally ``host``, ``domain``, ``common_name``,
    ``listen_address``, ``extra_sans``, ``peer_port``, ``client_port``; InputError naming member and value.
    """
    name = str(entry.get("name") or "")
    owner = f"member {name!r} of cluster {settings.name!r}"
    checked_member_name(name, f"{owner}: etcd_peer_tls_name")
    address = parse_address(str(entry.get("address") or name), owner)
    listen = parse_listen_address(entry.get("listen_address"), address, owner)
    domain = entry.get("domain") if entry.get("domain") is not None else settings.domain
    domain = str(domain or "").strip(".") or None
    if domain is not None:
        checked_dns_name(domain, f"{owner}: etcd_peer_tls_domain")
    host_name = _host_name(name, domain)
    common_name = _common_name(entry, host_name, settings, owner)
    peer_port = checked_port(entry.get("peer_port") or settings.peer_port, f"{owner}: etcd_peer_tls_peer_port")
    client_port = checked_port(entry.get("client_port") or settings.client_port, f"{owner}: etcd_peer_tls_client_port")
    if peer_port == client_port:
        raise InputError(
            f"{owner}: etcd_peer_tls_peer_port and etcd_peer_tls_client_port are both {peer_port}: two are wanted"
        )
    dns_names, ip_addresses = _alternative_names(
        host_name, address, entry.get("extra_sans") or (), owner, settings.loopback_sans
    )
    return Member(
        name=name,
        host=str(entry.get("host") or name),
        common_name=common_name,
        address=str(address),
        listen_address=str(listen),
        peer_url=_url("https", address, peer_port),
        client_url=_url("https" if settings.client_tls else "http", address, client_port),
        dns_names=dns_names,
        ip_addresses=ip_addresses,
    )


def _host_name(name: str, domain: str | None) -> str:
    """The member's name in its domain; a name that has the domain already stays as it is."""
    if domain is None or name.lower().endswith(f".{domain.lower()}"):
        return name
    return f"{name}.{domain}"


def parse_listen_address(value: t.Any, address: IPAddress | str, owner: str) -> IPAddress:
    """The address to listen on: as given, else the member's own, else (a DNS name, which etcd can't bind) 0.0.0.0."""
    if value:
        text = str(value).strip().strip("[]")
        try:
            return ipaddress.ip_address(text)
        except ValueError:
            raise InputError(
                f"{owner}: etcd_peer_tls_listen_address {value!r} is no IP address, and etcd listens on nothing else"
            ) from None
    return ipaddress.ip_address("0.0.0.0") if isinstance(address, str) else address


def _common_name(entry: t.Mapping[str, t.Any], host_name: str, settings: ClusterSettings, owner: str) -> str:
    if settings.identity == "shared":
        shared = settings.shared_common_name or f"{settings.name}.peers"
        return checked_common_name(shared, f"{owner}: etcd_peer_tls_shared_common_name")
    if entry.get("common_name"):
        return checked_common_name(str(entry["common_name"]), f"{owner}: etcd_peer_tls_common_name")
    what = "etcd_peer_tls_name" if host_name == entry.get("name") else "etcd_peer_tls_name with etcd_peer_tls_domain"
    return checked_common_name(host_name, f"{owner}: common name ({what})")


def _alternative_names(
    host_name: str, address: IPAddress | str, extra: t.Collection[t.Any], owner: str, loopback: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """DNS names and IP addresses, each once: the host's name, what others dial, its loopback, what the user adds."""
    names: list[str] = [host_name.lower()] if is_dns_name(host_name.lower()) else []
    addresses: list[str] = []
    if isinstance(extra, str):
        raise InputError(
            f"{owner}: etcd_peer_tls_extra_sans is the text {extra!r}: a list of DNS names and IP addresses is wanted"
        )
    strange = next((item for item in extra if not isinstance(item, str)), None)
    if strange is not None or None in extra:
        raise InputError(
            f"{owner}: etcd_peer_tls_extra_sans has {strange!r}: a list of DNS names and IP addresses is wanted"
        )
    own_loopback = [_LOOPBACK_NAME] if loopback else []
    for value in (address, *(parse_address(item, owner, "extra_sans") for item in extra), *own_loopback):
        if isinstance(value, str):
            names.append(value)
        else:
            addresses.append(str(value))
    if loopback:
        addresses.extend(_LOOPBACK_ADDRESSES)
    return tuple(dict.fromkeys(names)), tuple(dict.fromkeys(addresses))


def is_common_name_of(common_name: str, name: str) -> bool:
    """Whether a common name is a member's, by its name with or without a domain."""
    return common_name == name or common_name.startswith(f"{name}.")


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """A sort key that puts etcd-2 before etcd-10, so that the order of the inventory never changes a unit."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def make_members(entries: t.Sequence[t.Mapping[str, t.Any]], settings: ClusterSettings) -> list[Member]:
    """All members of a cluster in the order that every node uses; InputError where two collide or there is none."""
    if not entries:
        raise InputError(
            f"cluster {settings.name!r} has no members: the inventory group is empty or does not exist: put the hosts "
            "in it, name another group with etcd_peer_tls_group, or list the members in etcd_peer_tls_members"
        )
    members = sorted((make_member(entry, settings) for entry in entries), key=lambda member: natural_key(member.name))
    _refuse_twice(members, settings, "name", lambda member: member.name.lower())
    _refuse_twice(members, settings, "host", lambda member: member.host)
    _refuse_twice(members, settings, "address", lambda member: member.address)
    if settings.identity == "list":
        _refuse_twice(members, settings, "common name", lambda member: member.common_name)
    _refuse_names_of_others(members, settings)
    return members


def _refuse_names_of_others(members: t.Sequence[Member], settings: ClusterSettings) -> None:
    """A certificate with another member's name or address could be used in that member's place."""
    own = {
        member.name: {member.name, member.host, member.address}
        | ({member.common_name} if settings.identity == "list" else set())
        for member in members
    }
    names = {member.name: (*member.dns_names, *member.ip_addresses) for member in members}
    for asking, name, owner in names_of_others(own, names):
        raise InputError(
            f"cluster {settings.name!r}: the certificate of member {asking} would have the subject alternative name "
            f"{name}, which is {owner}'s: take it out of etcd_peer_tls_extra_sans of {asking} (a name that all members "
            "share, like that of a load balancer, is given to all of them)"
        )


def names_of_others(
    own: t.Mapping[str, t.Collection[str]], alternative_names: t.Mapping[str, t.Collection[str]]
) -> t.Iterator[tuple[str, str, str]]:
    """Who asks for whose name: the member, the name, the member that it belongs to.

    By member's name: ``own`` is what it is known by, ``alternative_names`` what its certificate is to cover. A name
    that all certificates cover belongs to nobody, unless a member is known by it.
    """
    known = {member: {name.lower() for name in names} for member, names in own.items()}
    covered = {member: {name.lower() for name in names} - _LOOPBACK for member, names in alternative_names.items()}
    shared = set.intersection(*covered.values()) if len(covered) > 1 else set()
    owners: dict[str, list[str]] = {}
    for member in known:
        for name in sorted(known[member] | (covered.get(member, set()) - shared)):
            owners.setdefault(name, []).append(member)
    for asking, names in covered.items():
        for name in sorted(names - known[asking]):
            yield from ((asking, name, owner) for owner in owners.get(name, ()) if owner != asking)


def _refuse_twice(
    members: t.Iterable[Member], settings: ClusterSettings, what: str, value_of: t.Callable[[Member], str]
) -> None:
    seen: dict[str, Member] = {}
    for member in members:
        value = value_of(member)
        other = seen.setdefault(value, member)
        if other is not member:
            raise InputError(
                f"cluster {settings.name!r}: members {other.name} (host {other.host}) and {member.name} (host "
                f"{member.host}) have the same {what} {value}: give each its own"
            )


__all__ = (
    "ClusterSettings",
    "Member",
    "is_common_name_of",
    "make_member",
    "make_members",
    "names_of_others",
    "natural_key",
    "parse_address",
    "parse_listen_address",
)
