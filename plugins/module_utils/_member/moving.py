# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's peer URL in the cluster's own list, guarded: the others call it there from then on.

Where it answers at both, nobody notices; so its process is given the new one first, and loses the old one last.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock
from ansible_collections.ringfence.etcd.plugins.module_utils._member.membership import Listed, judged_by
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import (
    Clock,
    ClusterUrls,
    may_restart,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.turn import (
    ListChange,
    Turn,
)

_CLOCK = Clock()


def may_move(me: str, peer_url: str, listed: t.Sequence[Listed]) -> list[Reason]:
    """Why a member must not be told to be elsewhere now; empty where it may."""
    if not any(one.member.name == me for one in listed):
        return [{"code": "not_a_member", "text": f"the cluster that answers does not list {me} as a member"}]
    for one in listed:
        if one.member.name != me and peer_url in one.member.peer_urls:
            text = f"the peer URL {peer_url} is that of member {one.member.name or one.member.member_id}"
            return [{"code": "peer_url_taken", "text": text}]
    return may_restart(me, [one.health for one in listed])


def is_at(listed: t.Iterable[LiveMember], me: str, peer_url: str) -> bool:
    """Whether the list has a member with this one peer URL and no other."""
    return any(one.name == me and one.peer_urls == (peer_url,) for one in listed)


def move_guarded(
    cluster: ClusterUrls,
    client: Client,
    peer_url: str,
    *,
    wait_seconds: float,
    timeout_seconds: float,
    clock: Clock = _CLOCK,
    lock: RestartLock | None = None,
) -> bool:
    """Tell the cluster this member's peer URL once all others are well; gives whether the list was changed.

    RefusedError where it may not (nothing was changed), ServiceError where the list does not have it within
    ``timeout_seconds``.
    """
    me = cluster.me
    turn = Turn(client, dict(cluster.client_urls), wait_seconds, timeout_seconds, clock, lock)
    change = ListChange(me, f"{me} is not told to be at {peer_url}", late=f"the list does not have {peer_url} for {me}")
    if is_at(turn.members_before(change), me, peer_url):
        return False

    def step(listed: list[LiveMember], _between: t.Callable[[], object]) -> str | None:
        if is_at(listed, me, peer_url):
            return None
        mine = next((one for one in listed if one.name == me), None)
        if mine is None:
            return f"the cluster does not list {me} any more"
        turn.client.member_update(next(iter(turn.urls.values())), mine.member_id, peer_url)
        return ""

    turn.take(change, judged_by(turn, lambda listed, _between: may_move(me, peer_url, listed)), step)
    return True


__all__ = ("is_at", "may_move", "move_guarded")
