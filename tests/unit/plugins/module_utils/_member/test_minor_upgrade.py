# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided around a restart into the next minor version; with real etcd in ``test_real_minor_upgrade``."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import (
    LiveMember,
    Versions,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError, MembershipError
from ansible_collections.ringfence.etcd.plugins.module_utils._member.minor_upgrade import (
    MinorUpgrade,
    differing_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import ClusterUrls, restart_guarded
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._member.test_restart import (
    CLUSTER,
    PENDING,
    FakeClient,
    FakeClock,
    FakeUnit,
)

NEXT = {"3.5.35": "3.6.16", "3.6.16": "3.7.3"}


class Upgraded(FakeClient):
    """A cluster whose members have versions, learners and lists of their own."""

    def __init__(self, running: str) -> None:
        super().__init__()
        self.running: dict[str, str | None] = dict.fromkeys("abc", running)
        self.cluster_version: str | None = f"{running[:3]}.0"
        self.learners: set[str] = set()
        self.moved: dict[str, str] = {}
        self.updates: list[str] = []
        self.passing = 0
        self.entries = 0

    def versions(self, url: str) -> Versions:
        name = self._name(url)
        version = self.running[name]
        if version is None:
            raise ApiError(f"{url}/version: no answer")
        minors = {(one or "")[:3] for one in self.running.values()}
        moved = f"{version[:3]}.0" if len(minors) == 1 and self.cluster_version else self.cluster_version
        return Versions(version, moved)

    def member_list(self, url: str) -> list[LiveMember]:
        teller = self._name(url)
        return [
            LiveMember(
                f"id-{name}",
                name,
                (self.moved.get(teller, f"http://{name}:1") if name == "c" else f"http://{name}:1",),
                (f"http://{name}",),
                name in self.learners,
            )
            for name in self.names
        ]

    def member_update(self, url: str, member_id: str, *peer_urls: str) -> None:
        if self.passing:
            self.passing -= 1
            raise MembershipError("unhealthy cluster", lasts=False)
        self.updates.append(f"{member_id} {' '.join(peer_urls)}")

    def write_without_effect(self, url: str, lease_id: int, count: int) -> None:
        assert self.held
        self.entries += count


class Unit(FakeUnit):
    def __init__(self, client: Upgraded, target: str | None) -> None:
        super().__init__(client, FakeClock())
        self.cluster = client
        self.target = target
        self.ran = client.running["a"]
        self.old_entries: t.Callable[[], bool | None] = lambda: False
        self.count = 10_000
        self.can_go_back = True
        self.is_exchanged = True
        self.went_back = 0

    def restart(self) -> None:
        super().restart()
        self.cluster.running["a"] = self.target

    def next_version(self) -> str | None:
        return self.target

    def has_old_entries(self) -> bool | None:
        return self.old_entries()

    def snapshot_count(self) -> int:
        return self.count

    def may_be_put_back(self) -> bool:
        return self.can_go_back

    def put_back(self) -> bool:
        if self.is_exchanged:
            self.went_back += 1
            self.cluster.running["a"] = self.ran
            self.cluster.moved.pop("a", None)
            self.cluster.down.discard("a")
        return self.is_exchanged


def made(running: str = "3.5.35", target: str | None = None) -> tuple[Upgraded, Unit]:
    client = Upgraded(running)
    return client, Unit(client, target or NEXT[running])


def upgrade(client: Upgraded, unit: Unit, is_said: bool = True, cluster: ClusterUrls = CLUSTER) -> None:
    around = MinorUpgrade(unit, cluster, client, is_said, 20, unit.clock)
    restart_guarded(
        unit, cluster, client, lambda: PENDING, wait_seconds=5, timeout_seconds=20, clock=unit.clock, around=around
    )


def refusal(client: Upgraded, unit: Unit, is_said: bool = True) -> str:
    """Nothing was restarted, and the lock is free."""
    with pytest.raises(RefusedError) as refused:
        upgrade(client, unit, is_said)
    assert unit.restarts == [] and not client.held and not unit.went_back
    return str(refused.value)


def failure(client: Upgraded, unit: Unit) -> str:
    with pytest.raises(ServiceError) as failed:
        upgrade(client, unit)
    return str(failed.value)


def test_the_members_are_written_once_more_before_the_first_of_3_6() -> None:
    client, unit = made()
    # Some seconds after any member has started.
    client.passing = 3
    upgrade(client, unit)
    assert client.updates == ["id-a http://a:1", "id-b http://b:1", "id-c http://c:1"] and len(unit.restarts) == 1
    assert client.entries == 0 and not client.held
    client, unit = made()
    client.running["b"] = "3.6.16"
    upgrade(client, unit, is_said=False)
    assert client.updates == [] and len(unit.restarts) == 1


def test_a_restart_that_keeps_the_minor_version_is_one_like_any_other() -> None:
    client, unit = made(target="3.5.36")
    client.learners, client.cluster_version = {"c"}, None
    upgrade(client, unit, is_said=False)
    assert client.updates == [] and len(unit.restarts) == 1
    # What it runs is not known, and others run that already; or it is alone.
    client, unit = made()
    client.running.update(a=None, b="3.6.16")
    upgrade(client, unit, is_said=False)
    assert len(unit.restarts) == 1
    client, unit = made()
    client.names, client.running["a"] = ["a"], None
    upgrade(client, unit, cluster=ClusterUrls("a", {"a": "http://a"}))
    assert len(unit.restarts) == 1


def test_what_is_not_known_is_refused() -> None:
    client, unit = made()
    assert "another minor version: say so with etcd_peer_tls_upgrade: true" in refusal(client, unit, is_said=False)
    client.running["a"] = None
    assert "it does not tell its version, and none of the others runs etcd 3.6" in refusal(client, unit)
    client, unit = made()
    client.running["c"] = None
    assert "the version of c is not known: http://c/version: no answer: bring it back first" in refusal(client, unit)
    client.running["c"] = "dinner"
    assert "http://c tells none" in refusal(client, unit)
    client, unit = made()
    client.cluster_version = None
    assert "the cluster does not say that it is 3.5" in refusal(client, unit)
    client, unit = made()
    client.learners = {"c"}
    assert "c is a learner: it is promoted before an upgrade" in refusal(client, unit)
    client, unit = made()
    client.passing = 1000
    assert "what has to be done before etcd 3.6.16 did not succeed: unhealthy cluster" in refusal(client, unit)


def test_without_the_guard_no_other_minor_version() -> None:
    client, unit = made()
    around = MinorUpgrade(unit, CLUSTER, client, True, 20, unit.clock)
    with pytest.raises(RefusedError, match=r"a is not restarted: it runs as etcd 3\.5\.35, and etcd 3\.6\.16 comes"):
        around.refuse_forced()
    unit.target = "3.5.36"
    around.refuse_forced()
    unit.target = None
    around.refuse_forced()


def test_the_log_is_made_short_before_3_7() -> None:
    client, unit = made("3.6.16")
    unit.old_entries = lambda: client.entries <= 7_000
    upgrade(client, unit)
    assert client.entries == 8_000 and len(unit.restarts) == 1
    # Nothing is written where it is short.
    client, unit = made("3.6.16")
    upgrade(client, unit)
    assert client.entries == 0 and len(unit.restarts) == 1


def test_nobody_is_restarted_once_the_lock_may_be_somebody_elses() -> None:
    client, unit = made("3.6.16")
    seen: list[None] = []

    def old_entries() -> bool:
        # Longer than the lock lasts.
        seen.append(unit.clock.sleep(50))
        return False

    unit.old_entries = old_entries
    with pytest.raises(RefusedError, match="the cluster's lock could not be kept: run again"):
        upgrade(client, unit)
    # It is not this run's to release any more.
    assert unit.restarts == [] and client.held and len(seen) == 1


@pytest.mark.parametrize(("seen", "count", "most"), [(True, 10_000, 12_000), (None, 10_000, 0), (True, 10_000_000, 0)])
def test_a_log_that_is_not_shown_to_be_short_is_refused(seen: bool | None, count: int, most: int) -> None:
    client, unit = made("3.6.16")
    unit.old_entries, unit.count = lambda: seen, count
    assert "its log may have entries of etcd 3.5, which 3.7.3 can't read" in refusal(client, unit)
    assert client.entries == most


def test_what_fails_is_put_back() -> None:
    client, unit = made()
    unit.back_after = None
    text = failure(client, unit)
    assert text.startswith("a did not stay with etcd 3.6.16: etcd 3.5.35 is back in its place, and the member is well")
    assert "not well within 20 seconds" in text and unit.went_back == 1 and client.running["a"] == "3.5.35"
    # Another list, although it is well.
    client, unit = made()
    client.moved["a"] = "http://c:9"
    text = failure(client, unit)
    assert "member c is voter c at http://c:9 here and voter c at http://c:1 there" in text and unit.went_back == 1


def test_what_fails_and_can_not_be_put_back_is_told() -> None:
    client, unit = made()
    unit.back_after, unit.can_go_back, unit.back = None, False, "the way back is known"
    assert failure(client, unit).endswith("last words: the way back is known") and not unit.went_back
    client, unit = made()
    unit.back_after, unit.is_exchanged = None, False
    assert "did not stay" not in failure(client, unit)
    # The last one: the cluster may have moved already.
    client, unit = made()
    unit.back_after, client.cluster_version = None, "3.5.0"
    client.running.update(b="3.6.16", c="3.6.16")
    unit.clock.events[10.0] = lambda: setattr(client, "cluster_version", "3.6.0")
    text = failure(client, unit)
    assert "the cluster does not say that it is 3.5, so its old program is not put back" in text and not unit.went_back
    # And the old one does not start either.
    client, unit = made()
    unit.back_after = None
    unit.problem = lambda: "no process runs"  # type: ignore[method-assign]
    assert "etcd 3.5.35 was put back in its place, and is not well either" in failure(client, unit)


def test_after_the_last_member_the_cluster_has_to_move() -> None:
    client, unit = made()
    client.running.update(b="3.6.16", c="3.6.16")
    upgrade(client, unit)
    client, unit = made()
    client.running.update(b="3.6.16", c="3.6.16")
    unit.clock.events[1.0] = lambda: setattr(client, "cluster_version", None)
    text = failure(client, unit)
    assert text.startswith("a and all the others run etcd 3.6.16, and the cluster did not say that it is 3.6 within 20")
    assert not unit.went_back


def test_a_member_that_one_list_lacks_is_a_difference() -> None:
    both, fourth = LiveMember("1", "a", ("http://a:1",), (), False), LiveMember("4", "", ("http://d:1",), (), True)
    assert differing_members([both], [both]) == []
    assert differing_members([both, fourth], [both]) == [
        "member 4 is learner (no name) at http://d:1 here and not listed there"
    ]
    assert differing_members([fourth], [fourth, both]) == [
        "member a is not listed here and voter a at http://a:1 there"
    ]


class Silent(Upgraded):
    """Where a member does not tell what a cluster has to tell, from the moment that a test says."""

    def __init__(self, running: str) -> None:
        super().__init__(running)
        self.lists_of: set[str] = set()
        self.versions_of: set[str] = set()

    def member_list(self, url: str) -> list[LiveMember]:
        if self._name(url) in self.lists_of:
            raise ApiError(f"{url}: no list")
        return super().member_list(url)

    def versions(self, url: str) -> Versions:
        if self._name(url) in self.versions_of:
            raise ApiError(f"{url}/version: no answer")
        return super().versions(url)


def silent() -> tuple[Silent, Unit]:
    client = Silent("3.5.35")
    return client, Unit(client, NEXT["3.5.35"])


def test_where_nobody_tells_the_list_nobody_is_restarted() -> None:
    client, unit = silent()
    around = MinorUpgrade(unit, CLUSTER, client, True, 20, unit.clock)
    client.lists_of = set("abc")
    with pytest.raises(RefusedError, match=r"^a is not restarted: no member tells who is in the cluster: http"):
        around.run(unit.restart, lambda: True)
    assert unit.restarts == []


def test_the_clusters_version_is_that_of_the_first_member_that_tells_one() -> None:
    client, unit = silent()
    around = MinorUpgrade(unit, CLUSTER, client, True, 20, unit.clock)
    client.versions_of = {"b"}
    assert around._cluster_minor() == (3, 5)
    client.versions_of = set("abc")
    assert around._cluster_minor() is None
    client.versions_of, client.cluster_version = set(), None
    assert around._cluster_minor() is None


def test_a_member_that_does_not_tell_its_list_after_the_restart_is_put_back() -> None:
    client, unit = silent()
    unit.clock.events[1.0] = lambda: client.lists_of.add("a")
    text = failure(client, unit)
    assert "a tells another member list than the others: http://a: no list" in text and unit.went_back == 1


def test_the_last_member_does_not_wait_where_another_one_does_not_tell_its_version() -> None:
    """Whether all have it is not known: the next run finds out."""
    client, unit = silent()
    client.running.update(b="3.6.16", c="3.6.16")
    around = MinorUpgrade(unit, CLUSTER, client, True, 20, unit.clock)
    client.running["a"], client.cluster_version, client.versions_of = "3.6.16", None, {"c"}
    around._wait_until_moved((3, 6, 16), lambda: True)
    assert unit.clock.time == 0
    client.versions_of = set()
    with pytest.raises(ServiceError, match=r"the cluster did not say that it is 3\.6 within 20 seconds"):
        around._wait_until_moved((3, 6, 16), lambda: True)
