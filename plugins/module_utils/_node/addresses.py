# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses are this host's own, as far as a server can listen there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import socket
import typing as t
import urllib.parse


def own_addresses(urls: t.Iterable[str]) -> list[str]:
    """Of the addresses in these URLs, those that the kernel lets a server have; names are not looked up."""
    found = {address for address in map(_address_in, urls) if address is not None}
    return sorted(str(address) for address in found if _is_own(address))


def _address_in(url: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(urllib.parse.urlsplit(url).hostname or "")
    except ValueError:
        return None


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """By a socket that sends nothing and has a port of the kernel's choice."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.bind((str(address), 0))
    except OSError:
        return False
    return True


__all__ = ("own_addresses",)
