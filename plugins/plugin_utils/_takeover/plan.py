# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each host of a cluster is told to do in a takeover. Pure.

A client URL that a host names sends the others there. So it counts only at an address of that member's own peer URLs,
which the whole cluster lists alike, or at the one that the inventory has for its host.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Cluster, Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim, is_loopback, place_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.fence import NO_FENCE, Fence, list_of_names
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.names import Problem
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.refusals import (
    cluster_of,
    problems_of,
    refuse,
)


@dataclass(frozen=True)
class Takeover:
    """The whole cluster. ``options``: of the module, by host that has a member."""

    names: tuple[str, ...]
    members: tuple[dict[str, str], ...]
    options: t.Mapping[str, dict[str, t.Any]]

    @property
    def asker(self) -> str:
        """The host that asks for the snapshot."""
        return min(self.options)


def takeover_of(
    run: Run,
    addresses: t.Mapping[str, str],
    is_back: bool = False,
    done: str = "taken over",
    more: t.Callable[[Cluster, tuple[str, ...]], t.Iterable[Problem]] = lambda _cluster, _names: (),
    fence_of: t.Callable[[Cluster], Fence] = list_of_names,
) -> Takeover:
    """The plan; RefusedError with all that speaks against it. ``is_back``: the way back.

    ``done``: what is not done then. ``more``: what else speaks against it, by the names of the list. ``fence_of``: what
    is round the members afterwards.
    """
    cluster = cluster_of(run, done)
    fence = NO_FENCE if is_back else fence_of(cluster)
    names = fence.names
    urls = {claim.host: _client_url(claim, addresses) for claim in cluster.members}
    problems = problems_of(cluster, names, fence.has_tls, addresses)
    problems += [*fence.problems, *_without_url(urls, cluster.members)]
    # An http peer has no certificate to be shown: the first reason of a member says it.
    refuse(_first_of_each([*problems, *more(cluster, names)]), done)
    members = tuple(
        {"name": t.cast("dict[str, str]", claim.settings)["member_name"], "client_url": t.cast(str, urls[claim.host])}
        for claim in cluster.members
    )
    return Takeover(
        names,
        members,
        {
            claim.host: {
                "name": member["name"],
                "unit": claim.told["unit"],
                "config_file": claim.told["config_file"],
                "members": [dict(one) for one in members],
                "common_names": list(names),
            }
            for claim, member in zip(cluster.members, members)
        },
    )


def _first_of_each(problems: t.Iterable[Problem]) -> t.Iterator[Problem]:
    told = set()
    for claim, what, way in problems:
        if claim is None or claim.name not in told:
            yield claim, what, way
        if claim is not None:
            told.add(claim.name)


def _client_url(claim: Claim, addresses: t.Mapping[str, str]) -> str | None:
    known = {claim.host, addresses.get(claim.host), *(place[0] for place in map(place_of, claim.peer_urls) if place)}
    for url in (claim.settings or {}).get("client_urls", ()):
        place = place_of(url)
        if place is not None and place[0] in known and not is_loopback(place[0]):
            # From its parts: whatever else stands in it goes no further.
            host = f"[{place[0]}]" if ":" in place[0] else place[0]
            return f"{url.partition(':')[0]}://{host}:{place[1]}"
    return None


def _without_url(urls: t.Mapping[str, str | None], claims: t.Iterable[Claim]) -> t.Iterator[Problem]:
    for claim in claims:
        if urls[claim.host] is None:
            what = "none of its advertised client URLs is at an address of its peer URLs, where the others can ask it"
            yield claim, what, "set --advertise-client-urls, or ansible_host to that address"


__all__ = ("Takeover", "takeover_of")
