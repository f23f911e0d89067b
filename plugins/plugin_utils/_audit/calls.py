# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which peer ports each host of an audit calls, and as whom. Pure.

A host says where its etcd is called, and others then open connections to it. So its word alone sends nobody anywhere:
the URL has to be at the host's own address, or in the member list that another host reports.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, pem_text
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim, is_loopback, place_of

# More than any cluster has; what a host could be made to do by the others' answers has a limit.
_MOST_PORTS, _MOST_AUTHORITIES, _MOST_NAMES = 60, 40, 500


@dataclass(frozen=True)
class PeerPort:
    """A member's peer port, at its URL. ``confirmed``: whether other hosts call there than its own."""

    name: str
    host: str
    url: str
    confirmed: bool


def peer_ports(claims: t.Sequence[Claim], addresses: t.Mapping[str, str]) -> list[PeerPort]:
    """The peer ports of all processes that have one. ``addresses``: by host, where Ansible reaches it."""
    found = []
    for claim in claims[:_MOST_PORTS]:
        url = _first_to_call(claim)
        if url is not None:
            found.append(PeerPort(claim.name, claim.host, url, _is_confirmed(claim, url, claims, addresses)))
    return found


def _first_to_call(claim: Claim) -> str | None:
    """The first of its peer URLs; one that others can call before one that is only for the host itself."""
    urls = [url for url in claim.peer_urls if place_of(url) is not None]
    return next((url for url in urls if not is_loopback(_host(url))), urls[0] if urls else None)


def _host(url: str) -> str:
    place = place_of(url)
    return place[0] if place is not None else ""


def _is_confirmed(claim: Claim, url: str, claims: t.Sequence[Claim], addresses: t.Mapping[str, str]) -> bool:
    if is_loopback(_host(url)):
        # At another host that would be another port.
        return False
    if _host(url) in (claim.host, addresses.get(claim.host)):
        return True
    return any(
        place_of(url) == place_of(listed)
        for other in claims
        if other.host != claim.host
        for member in other.told["live_members"] or ()
        for listed in member["peer_urls"]
    )


def calls_of(host: str, claims: t.Sequence[Claim], ports: t.Sequence[PeerPort]) -> dict[str, t.Any]:
    """The options of ``etcd_process_probe`` for a host."""
    own = [claim for claim in claims if claim.host == host]
    authorities = {
        authority.fingerprint: authority for claim in claims for authority in claim.peer_authority.certificates
    }
    names = {name for claim in claims for name in (claim.settings or {}).get("allowed_common_names", ())}
    return {
        "peer_ports": [{"name": port.name, "url": port.url} for port in ports if port.confirmed or port.host == host],
        "own": [
            {
                "name": claim.name,
                "allowed_common_names": (claim.settings or {}).get("allowed_common_names", []),
                **{key: path for key, path in claim.told["files"].items() if path is not None},
            }
            for claim in own
        ],
        "ca_certificates": [
            pem_text(CERTIFICATE_LABEL, authority.der).decode("ascii")
            for authority in list(authorities.values())[:_MOST_AUTHORITIES]
        ],
        "common_names": sorted(names)[:_MOST_NAMES],
    }


__all__ = ("PeerPort", "calls_of", "peer_ports")
