# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import is_larger_quota
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import Health, LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError, LockHeldError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import (
    Clock,
    ClusterUrls,
    MemberHealth,
    health_of,
    is_back,
    live_members,
    may_restart,
    restart_guarded,
    wait_healthy,
)

PENDING: list[Reason] = [{"code": "unit_changed", "text": "changed"}]
CLUSTER = ClusterUrls("a", {"a": "http://a", "b": "http://b", "c": "http://c"})


def member(name: str, *peers: str, **other: t.Any) -> MemberHealth:
    return MemberHealth(name, f"id-{name}", active_peers={f"id-{peer}": 1 for peer in peers}, **other)


@pytest.mark.parametrize(
    ("others", "texts"),
    [
        ([], []),
        ([member("b", "a", "c"), member("c", "a", "b")], []),
        # The member itself may be broken: that is why it is restarted.
        ([member("b", "c"), member("c", "b")], []),
        ([member("a", problem="down"), member("b", "c"), member("c", "b")], []),
        ([member("b", "a", problem="no answer"), member("c", "a", "b")], ["b is not healthy: no answer"]),
        ([member("b", "a"), member("c", "a", "b")], ["b has no connection to its peer c"]),
        (
            [MemberHealth("b", "id-b", active_peers={"id-c": 0}), member("c", "b")],
            ["b has no connection to its peer c"],
        ),
        ([member("b", links_known=False), member("c", "b")], ["the connections of b to its peers can't be read"]),
        (
            [member("b", "c"), member("c", "b"), MemberHealth("", "id-d", is_started=False)],
            ["member id-d was added to the cluster and has not started yet"],
        ),
        ([member("b", "c"), member("c", "b"), member("l", problem="learner", is_learner=True)], []),
    ],
)
def test_may_restart(others: list[MemberHealth], texts: list[str]) -> None:
    assert [reason["text"] for reason in may_restart("a", others)] == texts


@pytest.mark.parametrize(
    ("me", "others", "texts"),
    [
        (member("a"), [], []),
        (member("a", "b", "c"), [member("b", "a"), member("c", "a")], []),
        (member("a", problem="no leader"), [member("b", "a")], ["a is not healthy: no leader"]),
        (member("a", "b"), [member("b", "a"), member("c", "a")], ["a has no connection to its peer c"]),
        # Health does not show it: the one direction works.
        (member("a", "b", "c"), [member("b", "a"), member("c")], ["c has no connection to its peer a"]),
        (member("a", "b"), [member("b", "a"), member("c", problem="down")], ["c is not healthy: down"]),
        (member("a", "b"), [member("b", "a"), member("l", is_learner=True)], []),
    ],
)
def test_is_back(me: MemberHealth, others: list[MemberHealth], texts: list[str]) -> None:
    assert [reason["text"] for reason in is_back(me, others)] == texts


class FakeClock(Clock):
    def __init__(self) -> None:
        self.time = 0.0
        self.events: dict[float, t.Callable[[], object]] = {}

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for when in [when for when in self.events if when <= self.time]:
            self.events.pop(when)()


class FakeClient(Client):
    """A cluster in memory: who is down, which links are broken, who holds the lock."""

    def __init__(self) -> None:
        super().__init__()
        self.names = ["a", "b", "c"]
        self.down: set[str] = set()
        self.broken: set[tuple[str, str]] = set()
        self.held = False
        self.lock_error: str | None = None

    def _name(self, url: str) -> str:
        name = url.rsplit("/", 1)[1]
        if name in self.down:
            raise ApiError(f"{url}: connection refused", url=url)
        return name

    def health(self, url: str) -> Health:
        try:
            self._name(url)
        except ApiError as exc:
            return Health(False, str(exc))
        return Health(True)

    def active_peers(self, url: str) -> dict[str, int]:
        name = self._name(url)
        return {
            f"id-{peer}": 0 if peer in self.down or (name, peer) in self.broken else 1
            for peer in self.names
            if peer != name
        }

    def member_list(self, url: str) -> list[LiveMember]:
        self._name(url)
        return [
            LiveMember(f"id-{name}", name, (f"https://{name}:2380",), (f"http://{name}",), False) for name in self.names
        ]

    def lease_grant(self, url: str, lease_id: int, ttl_seconds: int) -> None:
        self._name(url)
        if self.lock_error:
            raise ApiError(self.lock_error)
        if self.held:
            raise LockHeldError("held")
        self.held = True

    def lease_keep_alive(self, url: str, lease_id: int) -> bool:
        self._name(url)
        return self.held

    def lease_revoke(self, url: str, lease_id: int) -> None:
        self._name(url)
        self.held = False


def refuse(url: str) -> t.Any:
    raise ApiError("no answer")


class NoSpace(FakeClient):
    """A cluster under the alarm NOSPACE: healthy but for it, and no lease is granted."""

    def __init__(self) -> None:
        super().__init__()
        self.lock_error = "HTTP 429: etcdserver: mvcc: database space exceeded"

    def health(self, url: str, without_alarm: str | None = None) -> Health:
        found = super().health(url)
        if found.healthy and without_alarm != "NOSPACE":
            return Health(False, f"{url}/health: HTTP 503, not healthy (ALARM NOSPACE)")
        return found


class FakeUnit:
    name = "etcd.service"

    def __init__(self, client: FakeClient, clock: FakeClock, back_after: float | None = 3.0) -> None:
        self.client, self.clock, self.back_after = client, clock, back_after
        self.restarts: list[float] = []
        self.failed = False
        self.why: str | None = None
        self.back: str | None = None
        self.lock_was_held: list[bool] = []
        # By peer URL, why the next start would refuse who answers there.
        self.refused: dict[str, str] = {}
        self.looked_under_the_lock: list[bool] = []

    def shuts_out(self) -> t.Callable[[t.Iterable[str]], str | None]:
        self.looked_under_the_lock.append(self.client.held)
        return lambda urls: next((self.refused[url] for url in urls if url in self.refused), None)

    def restart(self) -> None:
        self.restarts.append(self.clock.now())
        self.lock_was_held.append(self.client.held)
        self.client.down.add("a")
        if self.back_after is not None:
            self.clock.events[self.clock.now() + self.back_after] = lambda: self.client.down.discard("a")

    def process_problem(self) -> str | None:
        return "no process runs" if "a" in self.client.down else None

    def problem(self) -> str | None:
        return self.process_problem()

    def has_failed(self) -> bool:
        return self.failed

    def cause(self) -> str | None:
        return self.why

    def journal_tail(self) -> str:
        return "last words"

    def way_back(self) -> str | None:
        return self.back


def run(
    client: FakeClient, unit: FakeUnit, still_pending: t.Callable[[], list[Reason]] = lambda: PENDING, **other: t.Any
) -> list[Reason]:
    options: dict[str, t.Any] = {"wait_seconds": 10, "timeout_seconds": 20, **other}
    cluster = options.pop("cluster", CLUSTER)
    return restart_guarded(unit, cluster, client, still_pending, clock=unit.clock, **options)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def unit(client: FakeClient) -> FakeUnit:
    return FakeUnit(client, FakeClock())


def test_a_restart_under_the_lock(client: FakeClient, unit: FakeUnit) -> None:
    assert run(client, unit) == PENDING
    assert (unit.restarts, unit.lock_was_held, client.held) == ([0.0], [True], False)
    assert unit.clock.now() == 3.0


def test_nothing_due_asks_nobody(client: FakeClient, unit: FakeUnit) -> None:
    client.down = {"a", "b", "c"}
    assert run(client, unit, list) == []
    assert not unit.restarts


def test_it_waits_for_its_turn(client: FakeClient, unit: FakeUnit) -> None:
    client.held = True
    unit.clock.events[4.0] = lambda: client.lease_revoke("http://b", 1)
    assert run(client, unit) == PENDING
    assert unit.restarts == [4.0]


def test_somebody_else_has_restarted_it_meanwhile(client: FakeClient, unit: FakeUnit) -> None:
    client.held = True
    answers = [PENDING, []]
    assert run(client, unit, lambda: answers.pop(0)) == []
    assert not unit.restarts


@pytest.mark.parametrize(
    ("prepare", "text"),
    [
        (lambda client: client.down.add("b"), "b is not healthy: http://b: connection refused"),
        (lambda client: client.broken.add(("c", "b")), "c has no connection to its peer b"),
        (
            lambda client: setattr(client, "active_peers", refuse),
            "the connections of b to its peers can't be read; the connections of c to its peers can't be read",
        ),
        (lambda client: setattr(client, "held", True), "another run restarts a member of this cluster right now"),
        (lambda client: setattr(client, "lock_error", "no leader"), "does not give the restart lock: no leader"),
        (lambda client: client.down.update("abc"), "no member tells who is in the cluster: http://b"),
        (lambda client: client.names.remove("a"), "the cluster that answers does not list a as a member"),
        (lambda client: client.names.append(""), "has not started yet"),
    ],
)
def test_refused_after_waiting(
    prepare: t.Callable[[FakeClient], object], text: str, client: FakeClient, unit: FakeUnit
) -> None:
    prepare(client)
    was_held = client.held
    with pytest.raises(RefusedError, match=text) as caught:
        run(client, unit)
    assert "waited 10 seconds" in str(caught.value)
    assert caught.value.details["restart_pending"] == PENDING
    assert not unit.restarts
    assert client.held is was_held
    assert unit.clock.now() == 10.0


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("auth", "RBAC switched on .auth enable.*set etcd_peer_tls_api_user and .*etcdctl auth disable"),
        ("user", "RBAC switched on and does not take the user of etcd_peer_tls_api_user"),
        (
            "right",
            "RBAC switched on and the user of etcd_peer_tls_api_user may not .*etcdctl user grant-role NAME root",
        ),
        ("gateway", "take the flag out"),
    ],
)
def test_what_no_waiting_takes_away_is_told_at_once(kind: str, words: str, client: FakeClient, unit: FakeUnit) -> None:
    """Also where another member is down, which says less."""

    def refused(url: str) -> t.Any:
        if url == "http://b":
            raise ApiError("http://b: connection refused")
        raise ApiError(f"{url}: HTTP 400: no", kind=kind)

    client.member_list = refused  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match=words) as caught:
        run(client, unit)
    assert "bring the others back" not in str(caught.value) and "waited" not in str(caught.value)
    assert (
        caught.value.details["reasons"][0]["code"] == f"api_{kind}"
        and caught.value.details["restart_pending"] == PENDING
    )
    assert not unit.restarts and unit.clock.now() == 0.0


def test_after_a_start_health_has_to_do_where_no_list_is_told(client: FakeClient, unit: FakeUnit) -> None:
    """RBAC keeps the list of members back, and not whether they are well: a start is not waited for in vain."""

    def refused(url: str) -> t.Any:
        client._name(url)
        raise ApiError(f"{url}: HTTP 400: no", kind="auth")

    client.member_list = refused  # type: ignore[method-assign]
    client.down.add("b")
    unit.clock.events[3.0] = lambda: client.down.discard("b")
    view = wait_healthy(unit, CLUSTER, client, 20, clock=unit.clock)
    assert (view.me, view.others, unit.clock.now()) == (None, (), 3.0)
    client.down.add("c")
    with pytest.raises(ServiceError, match="not well within 5 seconds: c is not healthy: http://c: connection refused"):
        wait_healthy(unit, CLUSTER, client, 5, clock=unit.clock)


def test_an_alarm_is_told_with_its_remedy(client: FakeClient, unit: FakeUnit) -> None:
    problem = "http://b/health: HTTP 503, not healthy (ALARM NOSPACE)"
    client.health = lambda url: Health(url != "http://b", problem)  # type: ignore[method-assign]
    with pytest.raises(
        RefusedError, match="a is not restarted: b is not healthy, alarm NOSPACE is raised: compact and"
    ):
        run(client, unit)
    assert not unit.restarts and unit.clock.now() == 0.0


def test_a_lock_that_an_alarm_keeps_back(client: FakeClient, unit: FakeUnit) -> None:
    """etcd 3.4 does not say why it is not healthy, and an alarm that is raised in this moment says it first here."""
    client.lock_error = "http://b/v3/lease/grant: HTTP 429: etcdserver: mvcc: database space exceeded"
    with pytest.raises(RefusedError, match="does not give the restart lock, alarm NOSPACE is raised: compact and"):
        run(client, unit)
    assert not unit.restarts and unit.clock.now() == 0.0


@pytest.mark.parametrize("kind", ["auth", "user", "right"])
def test_a_lock_that_rbac_keeps_back(kind: str, client: FakeClient, unit: FakeUnit) -> None:
    """The list may be anybody's to read, and the lock a user's."""

    def refused(url: str, _lease_id: int, _ttl_seconds: int) -> None:
        raise ApiError(f"{url}/v3/lease/grant: HTTP 403: no", kind=kind)

    client.lease_grant = refused  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="does not give the restart lock, its etcd has RBAC switched on") as caught:
        run(client, unit)
    assert caught.value.details["reasons"][0]["code"] == f"api_{kind}"
    assert not unit.restarts and unit.clock.now() == 0.0


def test_certificates_that_do_not_fit_are_waited_for(client: FakeClient, unit: FakeUnit) -> None:
    """Another member may come back meanwhile, and answer."""
    fine = client.member_list

    def refused(url: str) -> t.Any:
        if unit.clock.now() < 4:
            raise ApiError("TLS: unknown ca", kind="tls")
        return fine(url)

    client.member_list = refused  # type: ignore[method-assign]
    assert run(client, unit) == PENDING and unit.restarts == [4.0]


def test_what_changed_before_the_lock_was_taken_is_seen(client: FakeClient, unit: FakeUnit) -> None:
    grant = client.lease_grant

    def grant_and_break(url: str, lease_id: int, ttl_seconds: int) -> None:
        grant(url, lease_id, ttl_seconds)
        client.down.add("c")

    client.lease_grant = grant_and_break  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="c is not healthy"):
        run(client, unit)
    assert not unit.restarts and not client.held


def test_not_back_in_time_keeps_the_lock(client: FakeClient, unit: FakeUnit) -> None:
    unit.back_after = None
    with pytest.raises(ServiceError, match="a: not well within 20 seconds: no process runs: the end of its log: last"):
        run(client, unit)
    assert len(unit.restarts) == 1 and client.held


def test_the_cause_comes_first_and_the_way_back_last(client: FakeClient, unit: FakeUnit) -> None:
    unit.back_after = None
    unit.why, unit.back = "bind: address already in use", "mv it back"
    with pytest.raises(ServiceError) as caught:
        run(client, unit)
    assert str(caught.value) == (
        "a: bind: address already in use: not well within 20 seconds: no process runs: mv it back"
    )
    assert caught.value.details["cause"] == "bind: address already in use"
    unit.why = unit.back = None
    with pytest.raises(ServiceError, match=r"a: not well .*: the end of its log: last words$"):
        wait_healthy(unit, CLUSTER, client, 20, clock=unit.clock)


def test_a_failed_unit_is_not_waited_for(client: FakeClient, unit: FakeUnit) -> None:
    unit.back_after, unit.failed = None, True
    with pytest.raises(ServiceError, match="its unit has failed"):
        run(client, unit)
    assert unit.clock.now() == 0.0


def test_healthy_and_not_linked_is_not_back(client: FakeClient, unit: FakeUnit) -> None:
    client.broken.add(("b", "a"))
    with pytest.raises(ServiceError, match="b has no connection to its peer a"):
        run(client, unit)


def test_force_asks_nobody(client: FakeClient, unit: FakeUnit) -> None:
    client.down = {"b", "c"}
    assert run(client, unit, force=True) == PENDING
    assert unit.lock_was_held == [False]


@pytest.mark.parametrize("down", [set(), {"a"}])
def test_one_member_alone_needs_no_lock(down: set[str], client: FakeClient, unit: FakeUnit) -> None:
    client.names, client.down = ["a"], down
    assert run(client, unit, cluster=ClusterUrls("a", {"a": "http://a"})) == PENDING
    assert unit.lock_was_held == [False]


def test_a_partial_list_hides_no_member(client: FakeClient, unit: FakeUnit) -> None:
    client.down.add("c")
    with pytest.raises(RefusedError, match="c is not healthy"):
        run(client, unit, cluster=ClusterUrls("a", {"a": "http://a", "b": "http://b"}))


def test_wait_healthy_wants_every_named_member(client: FakeClient, unit: FakeUnit) -> None:
    view = wait_healthy(unit, CLUSTER, client, 5, clock=unit.clock)
    assert view.me is not None and [other.name for other in view.others] == ["b", "c"]
    client.names.remove("c")
    with pytest.raises(ServiceError, match="the cluster does not list c as a member"):
        wait_healthy(unit, CLUSTER, client, 5, clock=unit.clock)


def test_a_lock_that_was_not_renewed_in_time_is_not_touched(client: FakeClient) -> None:
    clock = FakeClock()
    lock = RestartLock(client, ["http://b"], ttl_seconds=30, clock=clock.now)
    lock.acquire()
    clock.sleep(15)
    assert lock.keep()
    clock.sleep(29)
    assert lock.is_held()
    clock.sleep(1)
    assert not lock.keep()
    lock.release()
    assert client.held


def test_a_lock_survives_a_member_that_is_down(client: FakeClient) -> None:
    clock = FakeClock()
    lock = RestartLock(client, ["http://b", "http://c"], ttl_seconds=30, clock=clock.now)
    client.down.add("b")
    lock.acquire()
    clock.sleep(15)
    assert lock.keep()
    client.down.add("c")
    clock.sleep(15)
    # Nobody can be asked, and its time is not over.
    assert lock.keep()
    lock.release()
    assert client.held and not lock.is_held()


def test_a_restart_that_is_no_longer_due_under_the_lock(client: FakeClient, unit: FakeUnit) -> None:
    answers = [PENDING, []]
    assert run(client, unit, lambda: answers.pop(0)) == []
    assert not unit.restarts and not client.held


def test_a_lock_that_is_lost_while_the_others_are_looked_at(client: FakeClient, unit: FakeUnit) -> None:
    def slow_health(url: str) -> Health:
        if client.held:
            unit.clock.sleep(60)
        return Health(True)

    client.health = slow_health  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="the cluster's restart lock could not be kept"):
        run(client, unit)
    assert not unit.restarts


def test_a_lock_that_has_ended_is_not_held(client: FakeClient) -> None:
    clock = FakeClock()
    lock = RestartLock(client, ["http://b"], ttl_seconds=30, clock=clock.now)
    lock.acquire()
    clock.sleep(15)
    client.held = False
    assert not lock.keep() and not lock.is_held()


def test_an_answer_that_comes_too_late_keeps_no_lock(client: FakeClient) -> None:
    clock = FakeClock()
    lock = RestartLock(client, ["http://b", "http://c"], ttl_seconds=30, clock=clock.now)
    lock.acquire()
    clock.sleep(15)

    def late(url: str, lease_id: int) -> bool:
        clock.sleep(20)
        return True

    client.lease_keep_alive = late  # type: ignore[method-assign]
    assert not lock.keep() and clock.now() == 35.0


def test_without_a_url_nobody_can_be_asked(client: FakeClient) -> None:
    with pytest.raises(ApiError, match="no member's client URL was given"):
        live_members(client, [])
    with pytest.raises(ApiError, match="no member's client URL was given"):
        RestartLock(client, []).acquire()
    seen = health_of(client, LiveMember("id-d", "d", (), (), False), None)
    assert seen.problem == "the cluster knows no client URL of it"


def test_members_that_answer_no_more_after_the_restart(client: FakeClient, unit: FakeUnit) -> None:
    restart = unit.restart

    def restart_and_silence() -> None:
        restart()
        client.member_list = refuse  # type: ignore[method-assign]

    unit.restart = restart_and_silence  # type: ignore[method-assign]
    with pytest.raises(ServiceError, match="a: not well within 20 seconds: no member tells who is in the cluster: no"):
        run(client, unit)


def test_the_clock_goes_on() -> None:
    clock = Clock()
    before = clock.now()
    clock.sleep(0.01)
    assert clock.now() - before >= 0.01


# The alarm NOSPACE ----------------------------------------------------------------------------------------------------


def test_a_restart_that_brings_more_space_goes_on_under_the_alarm() -> None:
    client, clock = NoSpace(), FakeClock()
    unit = FakeUnit(client, clock)
    assert run(client, unit, more_space=lambda: True) == PENDING
    # Once more it was looked at all others, a second later: there is no lock to hold.
    assert unit.restarts == [1.0] and unit.lock_was_held == [False]


def test_any_other_restart_does_not() -> None:
    client, clock = NoSpace(), FakeClock()
    unit = FakeUnit(client, clock)
    with pytest.raises(RefusedError, match="alarm NOSPACE is raised"):
        run(client, unit)
    client.lock_error = "HTTP 503: etcdserver: request timed out"
    with pytest.raises(RefusedError, match="does not give the restart lock: HTTP 503"):
        run(client, unit, more_space=lambda: True)
    assert unit.restarts == []


@pytest.mark.parametrize("what", ["down", "broken"])
def test_all_others_have_to_be_well_but_for_the_alarm(what: str) -> None:
    client, clock = NoSpace(), FakeClock()
    unit = FakeUnit(client, clock)
    # In the very moment between the two looks: another run restarts a member.
    clock.events[0.5] = (lambda: client.down.add("b")) if what == "down" else (lambda: client.broken.add(("b", "c")))
    with pytest.raises(RefusedError, match=r"b is not healthy|b has no connection to its peer c"):
        run(client, unit, more_space=lambda: True)
    assert unit.restarts == []


def test_without_the_alarm_the_lock_is_held_as_ever() -> None:
    client, clock = NoSpace(), FakeClock()
    client.lock_error = None
    unit = FakeUnit(client, clock)
    assert run(client, unit, more_space=lambda: True) == PENDING and unit.lock_was_held == [True]


@pytest.mark.parametrize(
    ("before", "after", "larger"),
    [
        (None, "4294967296", True),
        ("0", "2147483649", True),
        ("16777216", None, True),
        ("16777216", "-1", True),
        (None, "2147483648", False),
        ("-1", "4294967296", False),
        ("4294967296", "16777216", False),
        (None, "much", False),
        ("odd", "4294967296", False),
    ],
)
def test_which_quota_is_larger(before: str | None, after: str | None, larger: bool) -> None:
    flags = [{"quota-backend-bytes": value} if value is not None else {} for value in (before, after)]
    assert is_larger_quota(*flags) is larger


def test_nobody_is_started_who_would_refuse_a_member(client: FakeClient) -> None:
    """What a member presents under the lock counts, and not what a plan has seen before."""
    unit = FakeUnit(client, FakeClock())
    unit.refused = {"https://c:2380": "its CA is not in ca.crt"}
    with pytest.raises(RefusedError) as caught:
        run(client, unit)
    assert str(caught.value) == (
        "a is not restarted: started with what is deployed here it would refuse c: its CA is not in ca.crt: another "
        "run changes this cluster, or somebody did: run again over all members"
    )
    # Waiting does not take that away, and the lock is free again.
    assert unit.restarts == [] and unit.clock.now() == 0.0 and not client.held and unit.looked_under_the_lock == [True]
    unit.refused = {"https://a:2380": "itself"}
    run(client, unit)
    assert len(unit.restarts) == 1


def test_a_forced_restart_asks_nobody_whom_it_would_refuse(client: FakeClient) -> None:
    unit = FakeUnit(client, FakeClock(), back_after=0.0)
    unit.refused = {"https://c:2380": "its CA is not in ca.crt"}
    run(client, unit, force=True)
    assert len(unit.restarts) == 1
