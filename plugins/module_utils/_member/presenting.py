# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running member's certificate of another name or CA, guarded: the others let it in before it takes its place.

etcd reads its pair at each handshake, so what is written is presented at once. Another run may have given a member a
shorter list or bundle since this one looked; under the cluster's lock none does.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock
from ansible_collections.ringfence.etcd.plugins.module_utils._member.membership import Listed, judged_by
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import Clock, ClusterUrls, may_restart
from ansible_collections.ringfence.etcd.plugins.module_utils._member.turn import ListChange, Turn

_CLOCK = Clock()
# How long the cluster may fail to tell its list while it holds the lock for us.
_LIST_SECONDS = 30.0


def may_present(
    me: str, listed: t.Sequence[Listed], why_not_let_in: t.Callable[[str, str], str | None]
) -> list[Reason]:
    """Why a member must not present another certificate now; empty where it may.

    ``why_not_let_in``: by a member's name and peer URL, why its process refuses that certificate.
    """
    reasons = may_restart(me, [one.health for one in listed])
    for one in listed:
        if one.member.name in ("", me):
            continue
        for url in one.member.peer_urls:
            why = why_not_let_in(one.called, url)
            if why is not None:
                reasons.append({"code": "not_let_in", "text": f"{one.called} does not let it in at {url}: {why}"})
    return reasons


def present_guarded(
    cluster: ClusterUrls,
    client: Client,
    why_not_let_in: t.Callable[[str, str], str | None],
    put: t.Callable[[], object],
    *,
    wait_seconds: float,
    clock: Clock = _CLOCK,
    lock: RestartLock | None = None,
) -> None:
    """Put a certificate in place once every other member lets it in; RefusedError where one does not, and nothing was
    changed.
    """
    me = cluster.me
    turn = Turn(client, dict(cluster.client_urls), wait_seconds, _LIST_SECONDS, clock, lock)
    change = ListChange(me, f"{me} does not get its new certificate", late=f"{me} did not get its new certificate")

    def step(_listed: list[LiveMember], _between: t.Callable[[], object]) -> None:
        put()

    turn.take(change, judged_by(turn, lambda listed, _between: may_present(me, listed, why_not_let_in)), step)


__all__ = ("may_present", "present_guarded")
