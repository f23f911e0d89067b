# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How somebody else's etcd on this host is asked: at the ports that its own process listens at, with its own files.

Nobody says which port and which files those are. The kernel shows where the process listens, and all ways that its
files allow are tried, those first that are most likely.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import ssl
import time
import typing as t
import urllib.parse

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError, one_line
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_contexts import (
    client_context,
    nameless_context,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import explains
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes

# For all questions at all ports together.
_ASKING_SECONDS = 20.0

Address = tuple[str, int]


def client_ports(files: t.Iterable[str], client_urls: t.Iterable[str]) -> list[Address]:
    """Where a process listens, by its open files and not by its words; those first that it calls its client ports."""
    inodes = processes.socket_inodes(files)
    try:
        found = {(one.address_to_call, one.port) for one in processes.listeners() if one.inode in inodes}
    except OSError:
        return []
    named = {port_of(url) for url in client_urls}
    return sorted(found, key=lambda place: (place[1] not in named, place))


def port_of(url: str) -> int | None:
    """The port that an etcd with this URL listens at."""
    try:
        return urllib.parse.urlsplit(url).port
    except ValueError:
        return None


def contexts_of(files: t.Mapping[str, str | None]) -> list[ssl.SSLContext | None]:
    """Without TLS, then as far as the etcd's own files allow: it is its own client, at its gateway, as well."""
    found: list[ssl.SSLContext | None] = [None]
    pairs = [
        (files.get(certificate), files.get(key))
        for certificate, key in (("cert_file", "key_file"), ("peer_cert_file", "peer_key_file"))
    ]
    for certificate, key in [*[pair for pair in pairs if all(pair)], (None, None)]:
        for bundle in _bundles(files):
            context = _context(functools.partial(client_context, bundle, certificate, key))
            found += [] if context is None else [context]
    return found


def nameless_of(files: t.Mapping[str, str | None], access: ApiAccess) -> t.Callable[[], ssl.SSLContext | None] | None:
    """How the pair without a common name is shown, where RBAC is on; None where there is none."""
    if not access.has_pair:
        return None
    made = (_context(functools.partial(nameless_context, bundle, access)) for bundle in _bundles(files))
    return lambda: next(filter(None, made), None)


def _bundles(files: t.Mapping[str, str | None]) -> list[str]:
    """What the client port's certificate may be verified by; without a CA for clients, itself."""
    return list(dict.fromkeys(path for path in (files.get("trusted_ca_file"), files.get("cert_file")) if path))


def _context(make: t.Callable[[], ssl.SSLContext | None]) -> ssl.SSLContext | None:
    try:
        context = make()
    except RingfenceError:
        return None
    if context is not None:
        # The kernel says whose the port is; the certificate need not have the loopback address.
        context.check_hostname = False
    return context


def first_answer(
    addresses: t.Sequence[Address],
    contexts: t.Sequence[ssl.SSLContext | None],
    ask: t.Callable[[str, ssl.SSLContext | None], None],
) -> str | None:
    """Ask at each port in each way until one takes it; why none does at the most likely port, None where one did."""
    deadline = time.monotonic() + _ASKING_SECONDS
    told = 0
    problem = "it listens at no port of this host" if not addresses else "it did not answer in time"
    for host, port in addresses:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for context in contexts:
            if time.monotonic() > deadline:
                return problem
            try:
                ask(f"http{'' if context is None else 's'}://{address}", context)
                return None
            except RingfenceError as exc:
                # The first port is most likely the clients' one, and the last way of asking it the right one.
                if (host, port) == addresses[0] and explains(exc) >= told:
                    problem, told = one_line(str(exc)), explains(exc)
    return problem


__all__ = ("client_ports", "contexts_of", "first_answer", "nameless_of", "port_of")
