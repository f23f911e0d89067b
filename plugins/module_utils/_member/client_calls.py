# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The calls of a proof at client ports: which members this host calls, and as whom.

A client port is called once as each of them, and not by each of the others: whom it lets in hangs neither on the
caller's address nor on a list of names.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    CLIENT,
    CLIENT_NO_CERTIFICATE,
    CLIENT_PEER,
    CLIENT_UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import client_context
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import (
    Called,
    Caller,
    Target,
    as_probe,
    target_of,
)

# A read that RBAC would refuse: of a key that nobody has, from this member's own data, and nothing but its number.
_BODY = json.dumps({"key": "AA==", "serializable": True, "count_only": True})
_READ_REQUEST = (
    "POST /v3/kv/range HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(_BODY)}\r\nConnection: close\r\n\r\n{_BODY}"
).encode("ascii")


def client_targets(names: t.Sequence[str], own: str, present: t.Container[str]) -> list[str]:
    """Whose client ports a member's host calls: those of the next ones, as far as the first whose host calls as well.

    So each port is called by one host, also where some hosts are not there. One that is alone calls itself.
    """
    first = names.index(own) + 1
    found = []
    for name in (*names[first:], *names[:first]):
        found.append(name)
        if name in present:
            break
    return found


def client_callers(
    cases: t.Collection[str], pairs: t.Mapping[str, tuple[bytes, bytes]], trusted_file: str | None
) -> tuple[list[Caller], str | None]:
    """As whom the client ports are called, as far as there is what it takes; and why not as a client.

    ``pairs``: certificate and key as PEM by case. ``trusted_file``: by what a client of this cluster checks the
    members; those that have to be refused check nobody.
    """
    callers: list[Caller] = []
    problem = None
    if CLIENT in cases and CLIENT in pairs:
        try:
            caller = _made(CLIENT, pairs[CLIENT], _trusted(trusted_file))
            callers.append(replace(caller, request=_READ_REQUEST))
        except RingfenceError as exc:
            problem = str(exc)
    callers += [
        _made(case, pairs[case], None) for case in (CLIENT_UNKNOWN_CA, CLIENT_PEER) if case in cases and case in pairs
    ]
    if CLIENT_NO_CERTIFICATE in cases:
        callers.append(Caller(CLIENT_NO_CERTIFICATE, client_context(None)))
    return callers, problem


def client_probe(called: Called) -> dict[str, t.Any]:
    """What is reported of such a call."""
    found = as_probe(called, "client_url")
    del found["server"]
    return found


def https_targets(urls: t.Mapping[str, str], names: t.Iterable[str]) -> list[Target]:
    """Those of the members named that can be called with a certificate, by their client URLs."""
    return [target_of(name, urls[name], "client URL") for name in names if urls[name].startswith("https://")]


def _made(case: str, pair: tuple[bytes, bytes], trusted: list[bytes] | None) -> Caller:
    certificate, private_key = pair
    leaf = read_certificates(certificate, f"{case}_certificate")[0]
    return Caller(case, client_context(trusted, certificate, private_key), leaf)


def _trusted(path: str | None) -> list[bytes]:
    content = read_file(path) if path else None
    if path is None or content is None:
        raise InputError(f"there is no {path or 'CA file'}, by which a client of this cluster would check its members")
    return [one.der for one in read_certificates(content, path)]


__all__ = ("client_callers", "client_probe", "client_targets", "https_targets")
