# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change's turn: under the cluster's lock, while nothing speaks against it, and only as long as the lock is held.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import OBSTACLE_REMEDIES
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import (
    ApiError,
    LiveMember,
    LockHeldError,
    MembershipError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import Clock

_PAUSE_SECONDS = 1.0


def _take_turn(lock: RestartLock, why_not: t.Callable[[t.Callable[[], object]], list[Reason]]) -> list[Reason]:
    """Why it is not this change's turn; where it is, the lock is held."""
    against = why_not(lambda: None)
    if against:
        return against
    try:
        lock.acquire()
    except LockHeldError:
        return [{"code": "lock_held", "text": "another run restarts, adds or removes a member right now"}]
    except ApiError as exc:
        return [{"code": "lock_failed", "text": f"the cluster does not give the lock: {remedied(exc)}"}]
    # What counts is what is seen under the lock.
    against = why_not(lock.keep)
    if not against and not lock.is_held():
        against = [{"code": "lock_lost", "text": "the cluster's lock could not be kept"}]
    if against:
        lock.release()
    return against


def keep_turn(lock: RestartLock, who: str) -> None:
    """Go on only while the lock is surely held: another run may change the cluster otherwise."""
    if not lock.keep():
        raise ServiceError(
            f"{who}: the cluster's lock could not be kept, so nothing more is changed: run again, which goes on from "
            "there",
            member=who,
        )


def remedied(exc: ApiError) -> str:
    return f"{OBSTACLE_REMEDIES[exc.kind]} ({exc})" if exc.kind in OBSTACLE_REMEDIES else str(exc)


def is_lasting(exc: ApiError) -> bool:
    """Whether asking again is no use: the cluster refuses it as it is, or its API takes no request of ours."""
    return exc.kind is not None or (isinstance(exc, MembershipError) and exc.lasts)


def no_list(exc: ApiError) -> list[Reason]:
    return [{"code": "no_member_answers", "text": f"no member tells who is in the cluster: {remedied(exc)}"}]


def wait_for_turn(
    what: str,
    lock: RestartLock,
    why_not: t.Callable[[t.Callable[[], object]], list[Reason]],
    wait_seconds: float,
    clock: Clock,
) -> None:
    """Hold the lock, or RefusedError with what stood against it; then nothing was changed."""
    deadline = clock.now() + wait_seconds
    while True:
        against = _take_turn(lock, why_not)
        if not against:
            return
        if clock.now() >= deadline:
            raise RefusedError(
                f"{what}: {'; '.join(dict.fromkeys(reason['text'] for reason in against))} (waited {wait_seconds:g} "
                "seconds): mend that first, then run again",
                reasons=against,
            )
        clock.sleep(_PAUSE_SECONDS)


def follow_list(
    step: t.Callable[[list[LiveMember]], str | None],
    read_list: t.Callable[[], list[LiveMember]],
    lock: RestartLock,
    who: str,
    *,
    refused: str,
    late: t.Callable[[str], ServiceError],
    timeout_seconds: float,
    clock: Clock,
) -> None:
    """Take one step after another by the cluster's own list: a call that timed out may have been done all the same.

    ``step``: looks at the list and gives None where all is done, an empty text where it did something, or what it waits
    for. ``refused``: what does not happen, where the cluster will never take it. ServiceError then, and the one
    that ``late`` makes of what is waited for where it is not done within ``timeout_seconds``.
    """
    deadline = clock.now() + timeout_seconds
    while True:
        keep_turn(lock, who)
        try:
            waiting = step(read_list())
        except ApiError as exc:
            waiting = remedied(exc)
            if is_lasting(exc):
                raise ServiceError(f"{refused}: {waiting}", member=who) from exc
        if waiting is None:
            return
        if clock.now() >= deadline:
            raise late(waiting or "the list does not show it yet")
        if waiting:
            clock.sleep(_PAUSE_SECONDS)


__all__ = ("follow_list", "is_lasting", "keep_turn", "no_list", "remedied", "wait_for_turn")
