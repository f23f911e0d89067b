# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's peer URL in the cluster's own list, guarded: the others call it there from then on.

Where it answers at both, nobody notices; so its process is given the new one first, and loses the old one last.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import ApiError, Client, LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock
from ansible_collections.ringfence.etcd.plugins.module_utils._member.membership import Listed, judged_by
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import (
    Clock,
    ClusterUrls,
    live_members,
    may_restart,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.turn import (
    follow_list,
    no_list,
    wait_for_turn,
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
    urls = dict(cluster.client_urls)
    lock = lock or RestartLock(client, list(urls.values()), clock=clock.now)
    why_not = judged_by(lambda listed: may_move(cluster.me, peer_url, listed), client, urls)
    try:
        if is_at(live_members(client, list(urls.values())), cluster.me, peer_url):
            return False
    except ApiError as exc:
        raise RefusedError(
            f"{cluster.me} is not told to be at {peer_url}: {no_list(exc)[0]['text']}", reasons=no_list(exc)
        ) from exc
    wait_for_turn(f"{cluster.me} is not told to be at {peer_url}", lock, why_not, wait_seconds, clock)
    try:
        _move(client, urls, cluster.me, peer_url, timeout_seconds, clock, lock)
    finally:
        lock.release()
    return True


def _move(
    client: Client,
    urls: t.Mapping[str, str],
    me: str,
    peer_url: str,
    timeout_seconds: float,
    clock: Clock,
    lock: RestartLock,
) -> None:
    def step(listed: list[LiveMember]) -> str | None:
        if is_at(listed, me, peer_url):
            return None
        mine = next((one for one in listed if one.name == me), None)
        if mine is None:
            return f"the cluster does not list {me} any more"
        client.member_update(next(iter(urls.values())), mine.member_id, peer_url)
        return ""

    def late(waiting: str) -> ServiceError:
        return ServiceError(
            f"the list does not have {peer_url} for {me} within {timeout_seconds:g} seconds: {waiting}: run again, "
            "which looks at the list first",
            member=me,
        )

    follow_list(
        step,
        lambda: live_members(client, list(urls.values())),
        lock,
        me,
        refused=f"the cluster does not take {peer_url} for {me}",
        late=late,
        timeout_seconds=timeout_seconds,
        clock=clock,
    )


__all__ = ("is_at", "may_move", "move_guarded")
