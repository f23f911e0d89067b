# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change's turn: under the cluster's lock, while nothing speaks against it, and only as long as the lock is held.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import OBSTACLE_REMEDIES
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import (
    ApiError,
    LockHeldError,
    MembershipError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import Clock, live_members

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


Step = t.Callable[[list[LiveMember], t.Callable[[], object]], t.Optional[str]]


@dataclass(frozen=True)
class ListChange:
    """A change of the cluster's own list, in the words that are told where it does not come about.

    ``who``: whom it is about. ``what``: that it is not done. ``late``: that it is not seen in time. ``then``: what to
    do about it.
    """

    who: str
    what: str
    late: str
    then: str = "run again, which looks at the list first"


@dataclass(frozen=True)
class Turn:
    """The members that are asked, by name their client URLs, and how long a change of their list may wait and take."""

    client: Client
    urls: t.Mapping[str, str]
    wait_seconds: float
    timeout_seconds: float
    clock: Clock
    lock: RestartLock | None = None

    def members(self) -> list[LiveMember]:
        """The cluster's own list; ApiError where nobody tells it."""
        return live_members(self.client, list(self.urls.values()))

    def members_before(self, change: ListChange) -> list[LiveMember]:
        """The same before anything is done; RefusedError where nobody tells it."""
        try:
            return self.members()
        except ApiError as exc:
            against = no_list(exc)
            raise RefusedError(f"{change.what}: {against[0]['text']}", reasons=against) from exc

    def take(
        self,
        change: ListChange,
        why_not: t.Callable[[t.Callable[[], object]], list[Reason]],
        step: Step,
        cause: t.Callable[[], str | None] = lambda: None,
        **details: t.Any,
    ) -> None:
        """Wait for the lock, then take one step after another by the cluster's own list.

        A call that timed out may have been done all the same. ``why_not``: what speaks against it, by a new look.
        ``step``: takes the list, and what keeps the lock while it asks members; gives None where all is done, an empty
        text where it did something, or what it waits for. ``cause``: why it is late, where that is known. RefusedError
        where it may not be done, and nothing was changed; ServiceError, with ``details``, where it is not seen in time
        or the cluster will never take it.
        """
        lock = self.lock or RestartLock(self.client, list(self.urls.values()), clock=self.clock.now)
        self._wait(change, lock, why_not)
        try:
            self._follow_list(change, lock, step, cause, details)
        finally:
            lock.release()

    def _wait(
        self, change: ListChange, lock: RestartLock, why_not: t.Callable[[t.Callable[[], object]], list[Reason]]
    ) -> None:
        """Hold the lock, or RefusedError with what stood against it; then nothing was changed."""
        deadline = self.clock.now() + self.wait_seconds
        while True:
            against = _take_turn(lock, why_not)
            if not against:
                return
            if self.clock.now() >= deadline:
                told = "; ".join(dict.fromkeys(reason["text"] for reason in against))
                raise RefusedError(
                    f"{change.what}: {told} (waited {self.wait_seconds:g} seconds): mend that first, then run again",
                    reasons=against,
                )
            self.clock.sleep(_PAUSE_SECONDS)

    def _follow_list(
        self,
        change: ListChange,
        lock: RestartLock,
        step: Step,
        cause: t.Callable[[], str | None],
        details: t.Mapping[str, t.Any],
    ) -> None:
        deadline = self.clock.now() + self.timeout_seconds
        while True:
            keep_turn(lock, change.who)
            try:
                waiting = step(self.members(), lambda: keep_turn(lock, change.who))
            except ApiError as exc:
                waiting = remedied(exc)
                if is_lasting(exc):
                    raise ServiceError(f"{change.what}: {waiting}", member=change.who) from exc
            if waiting is None:
                return
            if self.clock.now() >= deadline:
                why = cause() or waiting or "the list does not show it yet"
                raise ServiceError(
                    f"{change.late} within {self.timeout_seconds:g} seconds: {why}: {change.then}",
                    member=change.who,
                    **details,
                )
            if waiting:
                self.clock.sleep(_PAUSE_SECONDS)


__all__ = ("ListChange", "Turn", "is_lasting", "keep_turn", "no_list", "remedied")
