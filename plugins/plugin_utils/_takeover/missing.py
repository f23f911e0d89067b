# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member that its cluster lists, and that no host of the run has running: where it should be, and what to do. Pure.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import place_of

_GONE = "where it is gone for good, take it out of the cluster first (etcdctl member remove {member_id})"


def missing_member(
    run: Run, addresses: t.Mapping[str, str], member_id: str, name: str, urls: t.Iterable[str]
) -> tuple[str, str]:
    """What is missing, and the way. ``addresses``: of the hosts, by the inventory."""
    member, gone = f"its member {name or member_id}", _GONE.format(member_id=member_id)
    host = _host_of(run, addresses, name, urls)
    if host is None:
        return f"{member} is on no host of this run", "run it on all hosts of the cluster"
    why = run.absent.get(host)
    if why is not None:
        return f"{member} is not seen: {host} did not answer ({why})", f"bring that host back; {gone}"
    return f"{member} is down: no etcd runs on {host}", f"start it there; {gone}"


def _host_of(run: Run, addresses: t.Mapping[str, str], name: str, urls: t.Iterable[str]) -> str | None:
    """The host without an etcd that a member's peer URLs are at, else the one of its name."""
    hosts = [host for host in run.hosts if host not in {claim.host for claim in run.claims}]
    at = {place[0] for place in map(place_of, urls) if place is not None}
    by_url = (host for host in hosts if at & {host, addresses.get(host)})
    return next(by_url, name if name in hosts else None)


__all__ = ("missing_member",)
