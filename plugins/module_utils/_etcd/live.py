# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a member that runs answers at its own client URL: who is in the cluster, its alarms, its version.

It is asked by what its process was started with: a unit that is about to be written may name another port, another CA
or no TLS, and then nobody would answer.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import GLANCE_SECONDS, Client, client_of
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS, ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ROOT_ROLE, ApiError

# A member that was just started, or whose peer was, needs a moment for its leader and its links: a start and the next
# try of a stream take less than this on a host that is not overloaded.
SETTLE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.25

# What is reported of a member that was not asked.
NOT_ASKED: t.Mapping[str, t.Any] = {
    "live_members": None,
    "live_members_problem": None,
    "live_obstacle": None,
    "live_lacking_role": None,
    "live_alarms": None,
    "live_member_id": None,
    "live_cluster_id": None,
    "live_leader_id": None,
    "live_cluster_version": None,
    "live_healthy": None,
    "live_health_problem": None,
    "live_active_peers": None,
}


@dataclass(frozen=True)
class Entrance:
    """A client URL and the files on this host with which it is asked."""

    url: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    # Nothing of the process: it is wanted where RBAC is on, whatever the files are.
    access: ApiAccess = NO_ACCESS

    def client(self) -> Client:
        return client_of(self.ca_file, self.cert_file, self.key_file, self.access, GLANCE_SECONDS)


def entrance_of(settings: t.Mapping[str, t.Any] | None, otherwise: Entrance) -> Entrance:
    """Where and how a process with these settings is asked; ``otherwise`` where they don't say, or none runs."""
    if settings is None:
        return otherwise
    url = next(iter(settings["client_urls"]), None)
    if url is None:
        return otherwise
    files = settings["files"]
    if not url.startswith("https://"):
        return Entrance(url, access=otherwise.access)
    if not (files["trusted_ca_file"] and files["cert_file"] and files["key_file"]):
        return replace(otherwise, url=url)
    return Entrance(url, files["trusted_ca_file"], files["cert_file"], files["key_file"], otherwise.access)


def live_facts(entrance: Entrance, settle_seconds: float = 0.0) -> dict[str, t.Any]:
    """The members as the cluster lists them, its alarms, and how the member itself is; or why that is not known.

    ``settle_seconds``: for how long one that is not well, or lacks a link, is asked again before that is told.
    """
    end = time.monotonic() + settle_seconds
    facts = _asked(entrance)
    while entrance.url is not None and not _is_settled(facts) and time.monotonic() < end:
        time.sleep(_LOOK_AGAIN_SECONDS)
        facts = _asked(entrance)
    return facts


def _is_settled(facts: t.Mapping[str, t.Any]) -> bool:
    """Whether a member is well and has a link with each other one that has ever started."""
    linked = {facts["live_member_id"], *(facts["live_active_peers"] or ())}
    started = [member["member_id"] for member in facts["live_members"] or () if member["client_urls"]]
    return bool(facts["live_healthy"]) and linked.issuperset(started)


def _asked(entrance: Entrance) -> dict[str, t.Any]:
    facts = dict(NOT_ASKED)
    if entrance.url is None:
        facts["live_members_problem"] = "no client URL was given"
        return facts
    try:
        client = entrance.client()
        facts["live_members"] = [
            {
                "member_id": member.member_id,
                "name": member.name,
                "peer_urls": list(member.peer_urls),
                "client_urls": list(member.client_urls),
                "is_learner": member.is_learner,
            }
            for member in client.member_list(entrance.url)
        ]
        status = client.status(entrance.url)
        facts["live_alarms"] = [{"member_id": alarm.member_id, "alarm": alarm.alarm} for alarm in status.alarms]
        facts.update(live_member_id=status.member_id, live_cluster_id=status.cluster_id, live_leader_id=status.leader)
        facts["live_lacking_role"] = ROOT_ROLE if client.lacks_root(entrance.url) else None
    except ApiError as exc:
        facts["live_obstacle"] = exc.kind
        if facts["live_members"] is None:
            facts["live_members_problem"] = str(exc)
    except RingfenceError as exc:
        facts["live_members_problem"] = str(exc)
    return {**facts, **_well_being(entrance)}


def _well_being(entrance: Entrance) -> dict[str, t.Any]:
    """Whether a member is well, and with whom it is connected. No RBAC and no lost quorum keeps this back."""
    facts: dict[str, t.Any] = {}
    url = t.cast(str, entrance.url)
    try:
        client = entrance.client()
        # First what is answered at once: of a member that is down nothing else is asked.
        facts["live_cluster_version"] = client.versions(url).cluster
        facts["live_active_peers"] = sorted(name for name, count in client.active_peers(url).items() if count > 0)
        health = client.health(url)
        facts.update(live_healthy=health.healthy, live_health_problem=health.problem)
    except RingfenceError as exc:
        facts.update(live_healthy=False, live_health_problem=str(exc))
    return facts


def running_version(entrance: Entrance) -> str | None:
    """The version that runs there, in its own words; None where it does not answer."""
    if entrance.url is None:
        return None
    try:
        return entrance.client().version(entrance.url)
    except RingfenceError:
        return None


__all__ = ("NOT_ASKED", "SETTLE_SECONDS", "Entrance", "entrance_of", "live_facts", "running_version")
