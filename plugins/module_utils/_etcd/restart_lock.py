# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The restart's lock: a lease of the cluster itself, so that one member at a time is restarted, whoever asks for it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import time
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError

# The lock "one restart at a time": a lease with this id is there at most once in a cluster, writes no key and ends by
# itself when its holder is gone. 63 bits, as etcd's ids are signed; never 0, which would let etcd choose.
RESTART_LEASE_ID = int.from_bytes(hashlib.sha256(b"ringfence.etcd: one restart at a time").digest()[:8], "big") >> 1

RESTART_LEASE_SECONDS = 45


class RestartLock:
    """The cluster's restart lock, held by whoever made the lease.

    A holder that could not renew it in time must take it for lost and not touch it: it may be another's by then, and
    etcd can't tell two holders of one id apart.
    """

    def __init__(
        self,
        client: Client,
        urls: t.Sequence[str],
        lease_id: int = RESTART_LEASE_ID,
        ttl_seconds: int = RESTART_LEASE_SECONDS,
        clock: t.Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._urls = tuple(urls)
        self._lease_id = lease_id
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._sure_until: float | None = None

    def acquire(self) -> None:
        """Take the lock by the first URL that answers; LockHeldError or ApiError where that can't be."""
        problem: ApiError | None = None
        for url in self._urls:
            asked = self._clock()
            try:
                self._client.lease_grant(url, self._lease_id, self._ttl_seconds)
            except ApiError as exc:
                problem = problem or exc
                continue
            self._sure_until = asked + self._ttl_seconds
            return
        raise problem or ApiError("no member's client URL was given")

    def is_held(self) -> bool:
        """Whether the lock is surely still this run's."""
        return self._sure_until is not None and self._clock() < self._sure_until

    def keep(self) -> bool:
        """Renew the lock when a third of its time is over; whether it is still held."""
        if not self.is_held():
            self._sure_until = None
            return False
        if t.cast(float, self._sure_until) - self._clock() > self._ttl_seconds * 2 / 3:
            return True
        for url in self._urls:
            asked = self._clock()
            try:
                if not self._client.lease_keep_alive(url, self._lease_id):
                    self._sure_until = None
                    return False
            except ApiError:
                continue
            # Only an answer that came in time counts: the lease may have ended and been taken while this one waited.
            if not self.is_held():
                break
            self._sure_until = asked + self._ttl_seconds
            return True
        if not self.is_held():
            self._sure_until = None
        return self._sure_until is not None

    def release(self) -> None:
        """Give the lock back where it is surely held; where etcd can't be asked, it ends by itself."""
        for url in self._urls:
            if not self.is_held():
                break
            try:
                self._client.lease_revoke(url, self._lease_id)
                break
            except ApiError:
                continue
        self._sure_until = None


__all__ = (
    "RESTART_LEASE_ID",
    "RESTART_LEASE_SECONDS",
    "RestartLock",
)
