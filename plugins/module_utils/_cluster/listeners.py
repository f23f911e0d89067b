# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an etcd listens, and what it is called by: the same address, a name, or an address of somebody before it. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import url_host
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member

LOOPBACK = ("127.0.0.1", "::1")

_URL = re.compile(r"(https?)://(\[[^\]]+\]|[^/:\[\]]+):([0-9]{1,5})/?")

_Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address, None]


class Listener(t.NamedTuple):
    scheme: str
    host: str
    port: str

    @property
    def address(self) -> _Address:
        return _address(self.host)

    @property
    def is_wildcard(self) -> bool:
        return self.address is not None and self.address.is_unspecified

    def is_at_port_of(self, other: Listener) -> bool:
        return (self.scheme, self.port) == (other.scheme, other.port)

    @property
    def url(self) -> str:
        return url_of(self.scheme, self.host, self.port)


def heard(
    urls: t.Sequence[str], wanted: str, member: Member, own: t.Collection[str], known: t.Iterable[str]
) -> dict[str, str]:
    """By URL as others call it, the listener that answers there; one that nobody is known to call, by itself.

    ``own``: what it advertises. ``known``: what it may be called by.
    """
    listeners = {url: found for url in urls for found in [listener_of(url)] if found is not None}
    hosts = {one.host for one in listeners.values()}
    is_behind = member.listen_address != url_host(wanted)
    found: dict[str, str] = {}
    by_port: list[Listener] = []
    for call in dict.fromkeys((wanted, *known)):
        called = listener_of(call)
        if called is None:
            continue
        places = {called.host, *([member.listen_address] if call == wanted else [])}
        for url, one in listeners.items():
            if one.is_at_port_of(called) and (one.is_wildcard or one.host in places):
                found.setdefault(called.url, url)
        # A name, or an address that is not the host's own: whoever has the port is meant.
        is_elsewhere = call in own or (call != wanted and (called.address is None or is_behind))
        if called.url not in found and called.host not in hosts and is_elsewhere:
            by_port.append(called)
    for called in by_port:
        # Of two at one port the one that is not called by its own address.
        at_port = [url for url, one in listeners.items() if one.is_at_port_of(called)]
        for url in sorted(at_port, key=lambda url: url in found.values()):
            found.setdefault(called.url, url)
    answering = set(found.values())
    for url, one in listeners.items():
        if url not in answering:
            found.setdefault(one.url if not one.is_wildcard else url_of(one.scheme, url_host(wanted), one.port), url)
    # What can't be read is told as it stands: it is no URL that is wanted.
    found.update({url: url for url in urls if url not in listeners})
    return found


def companions(urls: t.Sequence[str]) -> set[str]:
    """The loopback listeners that stand beside one at the same port, for who is on the host itself."""
    found = {url: one for url in urls for one in [listener_of(url)] if one is not None}
    beside = {url: one for url, one in found.items() if one.host in LOOPBACK}
    others = {(one.scheme, one.port) for url, one in found.items() if url not in beside}
    return {url for url, one in beside.items() if (one.scheme, one.port) in others}


def listener_of(url: str) -> Listener | None:
    match = _URL.fullmatch(url)
    if match is None:
        return None
    host = match[2].strip("[]")
    address = _address(host)
    return Listener(match[1], host.lower() if address is None else str(address), match[3])


def _address(host: str) -> _Address:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def url_of(scheme: str, host: str, port: str) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


__all__ = ("LOOPBACK", "Listener", "companions", "heard", "listener_of", "url_of")
