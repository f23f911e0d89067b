# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A restart into the next minor version of etcd: what comes before it, what has to be true after it, and the way back.

All of it happens in the turn of a guarded restart, while all the others are well and no other run changes anything.
What the preflight checks have seen may be minutes old by then, so the versions are asked for and judged once more.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import typing as t
from concurrent import futures

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.upgrade_rules import (
    is_begun,
    members_are_written_again,
    reads_no_old_entries,
    why_not_upgraded,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, dotted, read_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError, MembershipError
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import (
    Clock,
    ClusterUrls,
    Unit,
    live_members,
    wait_until_back,
)

_PAUSE_SECONDS = 1.0
_CLOCK = Clock()

# Nobody has a lease with this id, as nobody has the restart lock's by chance.
_NO_LEASE_ID = int.from_bytes(hashlib.sha256(b"ringfence.etcd: a lease that is not there").digest()[:8], "big") >> 1
# The members write what comes at once in one go.
_WRITERS = 4
_ENTRIES_AT_ONCE = 250
# With more of them between two snapshots it would take too long.
_MOST_SNAPSHOT_COUNT = 200_000
# The list of a member that has just started may lack what it tells of itself at its start.
_LIST_SECONDS = 15.0

Keep = t.Callable[[], object]


class UpgradedUnit(Unit, t.Protocol):
    """This node's unit, as a restart into another version needs it."""

    def next_version(self) -> str | None:
        """The version that the next start runs; None where that is not known."""

    def has_old_entries(self) -> bool | None:
        """Whether the log has entries that 3.7 can't read; None where that can't be seen."""

    def snapshot_count(self) -> int:
        """After how many entries the process makes a snapshot."""

    def may_be_put_back(self) -> bool:
        """Whether the program that runs can be put back, should the restart fail."""

    def put_back(self) -> bool:
        """Put the old program in place again, and queue a restart with it; False where it still is."""


def differing_members(mine: t.Iterable[LiveMember], others: t.Iterable[LiveMember]) -> list[str]:
    """What two member lists tell differently, as parts of a line."""
    here, there = ({one.member_id: one for one in listed} for listed in (mine, others))
    return [
        f"member {_called(here.get(number), there.get(number))} is {_described(here.get(number))} here and "
        f"{_described(there.get(number))} there"
        for number in sorted(here.keys() | there.keys())
        if _described(here.get(number)) != _described(there.get(number))
    ]


def _called(*members: LiveMember | None) -> str:
    return next((one.name or one.member_id for one in members if one is not None), "")


def _described(one: LiveMember | None) -> str:
    if one is None:
        return "not listed"
    kind = "learner" if one.is_learner else "voter"
    return f"{kind} {one.name or '(no name)'} at {', '.join(sorted(one.peer_urls))}"


class MinorUpgrade:
    """What belongs to the restart of a member whose next start may be of another minor version."""

    def __init__(
        self,
        unit: UpgradedUnit,
        cluster: ClusterUrls,
        client: Client,
        is_said: bool,
        timeout_seconds: float,
        clock: Clock = _CLOCK,
    ) -> None:
        self._unit = unit
        self._cluster = cluster
        self._client = client
        self._is_said = is_said
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._me = cluster.me

    def run(self, restart: t.Callable[[], object], keep: Keep) -> None:
        target, own = read_version(self._unit.next_version()), self._own_version()
        if target is not None and own is None:
            self._refuse_unknown(target, keep)
        if target is None or own is None or target[:2] == own[:2]:
            # It may be just what mends the member.
            restart()
            return
        members = self._members()
        self._prepare(members, own, target, keep)
        may_be_put_back = self._unit.may_be_put_back()
        try:
            restart()
            self._compare_lists(keep)
        except ServiceError as exc:
            raise self._put_back(exc, own, target, may_be_put_back, keep) from exc
        self._wait_until_moved(target, keep)

    def refuse_forced(self) -> None:
        """RefusedError where the next start would be of another minor version, which needs its turn."""
        target, own = read_version(self._unit.next_version()), self._own_version()
        if target is not None and own is not None and target[:2] != own[:2]:
            self._refuse(f"it runs as etcd {dotted(own)}, and etcd {dotted(target)} comes behind the guard alone")

    # Before it

    def _refuse_unknown(self, target: Version, keep: Keep) -> None:
        """A member that does not tell its version starts with one that others run already."""
        others = [one for one in self._members() if one.name != self._me] if self._cluster.others else []
        if others and not is_begun([self._version_of(one, keep) for one in others], target):
            self._refuse(f"it does not tell its version, and none of the others runs etcd {dotted(target[:2])}")

    def _prepare(self, members: t.Sequence[LiveMember], own: Version, target: Version, keep: Keep) -> None:
        """All that is done in the old version; RefusedError where the new one may not be started."""
        running = {one.name: own if one.name == self._me else self._version_of(one, keep) for one in members}
        versions = list(running.values())
        reason = why_not_upgraded(versions, target, self._is_said)
        if reason is not None:
            self._refuse(reason["text"])
        begun = is_begun(versions, target)
        learners = [one.name or ", ".join(one.peer_urls) for one in members if one.is_learner]
        if learners and not begun:
            self._refuse(f"{', '.join(learners)} is a learner: it is promoted before an upgrade")
        lowest = min(versions)[:2]
        if not self._has_moved(lowest, keep):
            self._refuse(f"the cluster does not say that it is {dotted(lowest)}, as all its members are: run again")
        try:
            if members_are_written_again(target) and not begun:
                self._write_members_again(members, keep)
            if reads_no_old_entries(target):
                self._shorten_log(target, keep)
        except ApiError as exc:
            self._refuse(f"what has to be done before etcd {dotted(target)} did not succeed: {exc}: run again")
        if not keep():
            # All this may have taken longer than it lasts.
            self._refuse("the cluster's lock could not be kept: run again")

    def _refuse(self, why: str) -> t.NoReturn:
        raise RefusedError(f"{self._me} is not restarted: {why}", member=self._me)

    def _members(self) -> list[LiveMember]:
        try:
            return live_members(self._client, self._cluster.urls_others_first)
        except ApiError as exc:
            self._refuse(f"no member tells who is in the cluster: {exc}")

    def _url_of(self, member: LiveMember) -> str | None:
        return self._cluster.client_urls.get(member.name) or next(iter(member.client_urls), None)

    def _own_version(self) -> Version | None:
        try:
            return read_version(self._client.version(self._cluster.client_urls[self._me]))
        except ApiError:
            return None

    def _version_of(self, member: LiveMember, keep: Keep) -> Version:
        keep()
        url, problem = self._url_of(member), "no client URL is known"
        if url is not None:
            try:
                version = read_version(self._client.version(url))
                if version is not None:
                    return version
                problem = f"{url} tells none"
            except ApiError as exc:
                problem = str(exc)
        self._refuse(f"the version of {member.name or member.member_id} is not known: {problem}: bring it back first")

    def _has_moved(self, minor: tuple[int, ...], keep: Keep) -> bool:
        """Wait until the cluster as a whole is of a minor version, which its leader sees to within seconds."""
        return self._wait(lambda: self._cluster_minor() == minor, self._timeout_seconds, keep)

    def _cluster_minor(self) -> tuple[int, ...] | None:
        for url in self._cluster.urls_others_first:
            try:
                version = read_version(self._client.versions(url).cluster)
            except ApiError:
                continue
            return None if version is None else version[:2]
        return None

    def _wait(self, is_so: t.Callable[[], bool], seconds: float, keep: Keep) -> bool:
        deadline = self._clock.now() + seconds
        while not is_so():
            if self._clock.now() >= deadline:
                return False
            keep()
            self._clock.sleep(_PAUSE_SECONDS)
        return True

    def _write_members_again(self, members: t.Sequence[LiveMember], keep: Keep) -> None:
        """Tell the cluster of each member what it knows: by that the members come into the store that 3.6 reads."""
        deadline = self._clock.now() + self._timeout_seconds
        waiting = list(members)
        while waiting:
            keep()
            try:
                url = self._cluster.urls_others_first[0]
                self._client.member_update(url, waiting[0].member_id, *waiting[0].peer_urls)
                del waiting[0]
            except MembershipError as exc:
                # For some seconds after any member has started.
                if exc.lasts or self._clock.now() >= deadline:
                    raise
                self._clock.sleep(_PAUSE_SECONDS)

    def _shorten_log(self, target: Version, keep: Keep) -> None:
        """Let the members make a snapshot, so that entries of 3.5 are not read any more: it needs no restart."""
        count, url = self._unit.snapshot_count(), self._cluster.client_urls[self._me]
        written, most = 0, count + 2 * _WRITERS * _ENTRIES_AT_ONCE if count <= _MOST_SNAPSHOT_COUNT else 0
        # The last snapshot is some entries away, and the next one is made beside the rest.
        while written < most:
            has_old_entries = self._unit.has_old_entries()
            if has_old_entries is False:
                return
            if has_old_entries is None:
                break
            # Looking is cheap while there are few.
            for _turn in range(max(1, count // (10 * _WRITERS * _ENTRIES_AT_ONCE))):
                keep()
                self._write_entries(url)
                written += _WRITERS * _ENTRIES_AT_ONCE
        if not self._wait(lambda: self._unit.has_old_entries() is False, _LIST_SECONDS, keep):
            self._refuse(
                f"its log may have entries of etcd 3.5, which {dotted(target)} can't read, and it could not be shown "
                "that a snapshot is behind them: restart it with --snapshot-count=100 (etcd_peer_tls_extra_flags) in "
                "the version that runs, then run again"
            )

    def _write_entries(self, url: str) -> None:
        with futures.ThreadPoolExecutor(_WRITERS) as pool:
            writing = [
                pool.submit(self._client.write_without_effect, url, _NO_LEASE_ID, _ENTRIES_AT_ONCE)
                for _writer in range(_WRITERS)
            ]
        for one in writing:
            one.result()

    # After it

    def _compare_lists(self, keep: Keep) -> None:
        """ServiceError where the member tells another list than the others, by which it would go one day."""
        differences = [""]

        def is_same() -> bool:
            try:
                mine = self._client.member_list(self._cluster.client_urls[self._me])
                theirs = live_members(self._client, [self._cluster.client_urls[one] for one in self._cluster.others])
            except ApiError as exc:
                differences[:] = [str(exc)]
                return False
            differences[:] = differing_members(mine, theirs)
            return not differences

        if self._cluster.others and not self._wait(is_same, _LIST_SECONDS, keep):
            raise ServiceError(
                f"{self._me} tells another member list than the others: {'; '.join(differences)}", member=self._me
            )

    def _put_back(
        self, exc: ServiceError, own: Version, target: Version, may_be_put_back: bool, keep: Keep
    ) -> ServiceError:
        """The member with its old program again, while the cluster as a whole is still of that version."""
        if not may_be_put_back:
            return exc
        if self._cluster_minor() != own[:2]:
            return ServiceError(
                f"{exc}: the cluster does not say that it is {dotted(own[:2])}, so its old program is not put back",
                member=self._me,
            )
        try:
            if not self._unit.put_back():
                return exc
            wait_until_back(
                self._unit, self._cluster, self._client, self._timeout_seconds, clock=self._clock, between=keep
            )
        except ServiceError as second:
            return ServiceError(
                f"{exc}: etcd {dotted(own)} was put back in its place, and is not well either: {second}",
                member=self._me,
            )
        return ServiceError(
            f"{self._me} did not stay with etcd {dotted(target)}: etcd {dotted(own)} is back in its place, and the "
            f"member is well with it: {exc}",
            **exc.details,
        )

    def _wait_until_moved(self, target: Version, keep: Keep) -> None:
        """After the last member: the next minor version may come only once the cluster as a whole has moved."""
        versions = []
        for one in self._members():
            url = self._url_of(one)
            try:
                versions.append(None if url is None else read_version(self._client.version(url)))
            except ApiError:
                versions.append(None)
        if any(version is None or version[:2] != target[:2] for version in versions):
            return
        if not self._has_moved(target[:2], keep):
            raise ServiceError(
                f"{self._me} and all the others run etcd {dotted(target)}, and the cluster did not say that it is "
                f"{dotted(target[:2])} within {self._timeout_seconds:g} seconds: look at the log of its leader",
                member=self._me,
            )


__all__ = ("MinorUpgrade", "UpgradedUnit", "differing_members")
