# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of members where the cluster answers in a way that a sound one seldom does: whether anything is changed,
and what is told. A server on loopback answers in etcd's words; the clock is the test's."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._member import membership, moving
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import Clock, ClusterUrls
from ansible_collections.ringfence.etcd.plugins.module_utils._member.turn import Turn
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.gateway_server import (
    Asked,
    GatewayServer,
    running,
)

MINE = "https://10.0.0.2:2380"
ADDED = {"ID": "2", "peerURLs": [MINE], "isLearner": True}
STARTED = {**ADDED, "name": "m2"}
MOVED = "https://10.0.0.9:2380"
NO_LEADER = (503, {"error": "etcdserver: no leader", "message": "etcdserver: no leader", "code": 14})
HELD = (412, {"error": "etcdserver: lease already exists", "code": 9})
UNHEALTHY = (503, {"message": "etcdserver: unhealthy cluster", "code": 14})
NOT_IN_SYNC = (
    412,
    {"message": "etcdserver: can only promote a learner member which is in sync with leader", "code": 9},
)


LINK = 'etcd_network_active_peers{{Local="1",Remote="{}"}} 1\n'


class FakeClock(Clock):
    """Time goes by where somebody waits, and where a test says so."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Cluster:
    """One voter, m1, which answers for a whole cluster; ``listed``: who else is in the list."""

    def __init__(self, server: GatewayServer) -> None:
        self.url = server.url
        self.server = server
        self.clock = FakeClock()
        self.listed: list[dict[str, t.Any]] = []
        self.looks = 0
        # What happens before the look of that number.
        self.events: dict[int, t.Callable[[], object]] = {}
        server.handlers["/v3/cluster/member/list"] = self._list
        server.answers.update(
            {
                "/health": (200, {"health": "true"}),
                "/metrics": (200, "".join(map(LINK.format, "23"))),
                "/v3/maintenance/status": (200, {"header": {"member_id": "1"}, "leader": "1"}),
                "/v3/lease/grant": (200, {"ID": "1"}),
                "/v3/lease/keepalive": (200, {"result": {"TTL": "45"}}),
                "/v3/lease/revoke": (200, {}),
            }
        )

    def turn(self, urls: t.Mapping[str, str]) -> Turn:
        """A turn of who asks at these URLs."""
        return Turn(Client(), urls, 0, 0, self.clock)

    def _list(self, asked: Asked) -> tuple[int, t.Any]:
        self.looks += 1
        self.events.get(self.looks, lambda: None)()
        first = {"ID": "1", "name": "m1", "peerURLs": ["https://10.0.0.1:2380"], "clientURLs": [self.url]}
        return 200, {"members": [first, *self.listed]}

    def answers(self, verb: str, *answers: tuple[int, t.Any], then: t.Callable[[], object] = lambda: None) -> None:
        """One for each request, the last one for all that follow; ``then``: what the last one brings about."""
        waiting = list(answers)

        def answer(asked: Asked) -> tuple[int, t.Any]:
            if len(waiting) > 1:
                return waiting.pop(0)
            then()
            return waiting[0]

        self.server.handlers[f"/v3/cluster/member/{verb}"] = answer

    def asked(self, *paths: str) -> list[str]:
        """The requests that change something, in their order."""
        found = [path.rsplit("/", 1)[1] for path, _body in self.server.asked]
        return [verb for verb in found if verb in ("grant", "revoke", "add", "remove", "promote", *paths)]

    def join(self, unit: Unit | None = None, **options: t.Any) -> list[str]:
        settings: dict[str, t.Any] = {"wait_seconds": 0, "timeout_seconds": 3, **options}
        me = ClusterUrls("m2", {"m1": self.url, "m2": "http://127.0.0.1:1"})
        return membership.join_guarded(
            unit or Unit(), me, Client(), MINE, lambda member: None, clock=self.clock, **settings
        )

    def remove(self, called: str, **options: t.Any) -> t.Any:
        settings: dict[str, t.Any] = {"wait_seconds": 0, "timeout_seconds": 3, **options}
        stay = ClusterUrls("m1", {"m1": self.url})
        return membership.remove_guarded(stay, Client(), called, clock=self.clock, **settings)

    def move(self, **options: t.Any) -> bool:
        """m2 moves to MOVED; m1 answers for both."""
        settings: dict[str, t.Any] = {"wait_seconds": 0, "timeout_seconds": 3, **options}
        me = ClusterUrls("m2", {"m1": self.url, "m2": self.url})
        return moving.move_guarded(me, Client(), MOVED, clock=self.clock, **settings)


class Unit:
    """The unit of m2, as a test wants it."""

    def __init__(self, why_not: str | None = None, then: t.Callable[[], object] = lambda: None) -> None:
        self.started_with: dict[str, str] | None = None
        self.why_not = why_not
        self.then = then

    def has_data(self) -> bool:
        return self.is_started()

    def start(self, members: t.Mapping[str, str]) -> None:
        self.started_with = dict(members)
        self.then()

    def is_started(self) -> bool:
        return self.started_with is not None

    def why_not_running(self) -> str | None:
        return self.why_not


@pytest.fixture
def cluster() -> t.Iterator[Cluster]:
    with running() as server:
        yield Cluster(server)


# The turn -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grant", "code", "text"),
    [
        (HELD, "lock_held", "another run restarts, adds or removes a member right now"),
        (
            NO_LEADER,
            "lock_failed",
            "the cluster does not give the lock: {url}/v3/lease/grant: HTTP 503: etcdserver: no leader",
        ),
    ],
)
@pytest.mark.parametrize("wait_seconds", [0, 2])
def test_nothing_is_changed_without_the_lock(
    cluster: Cluster, grant: tuple[int, t.Any], code: str, text: str, wait_seconds: int
) -> None:
    cluster.server.answers["/v3/lease/grant"] = grant
    cluster.listed = [{"ID": "3", "name": "m3", "peerURLs": ["https://10.0.0.3:2380"], "isLearner": True}]
    for change, what in (
        (lambda: cluster.remove("m3", wait_seconds=wait_seconds), "m3 is not removed"),
        (lambda: cluster.join(wait_seconds=wait_seconds), "m2 does not join"),
    ):
        with pytest.raises(RefusedError) as caught:
            change()
        assert str(caught.value) == (
            f"{what}: {text.format(url=cluster.url)} (waited {wait_seconds} seconds): mend that first, then run again"
        )
        assert [reason["code"] for reason in caught.value.details["reasons"]] == [code]
        cluster.listed = []
    assert set(cluster.asked()) == {"grant"} and len(cluster.asked()) == 2 * (wait_seconds + 1)


def test_a_lock_that_ends_while_it_looks_again_is_nobodys(cluster: Cluster) -> None:
    """The second look, which counts, took longer than the lease."""
    cluster.events[2] = lambda: cluster.clock.sleep(60)
    with pytest.raises(RefusedError, match=r"^m2 does not join: the cluster's lock could not be kept"):
        cluster.join()
    # It may be another's by now: it is not given back.
    assert cluster.asked() == ["grant"]


def test_what_is_seen_under_the_lock_counts_and_the_lock_is_given_back(cluster: Cluster) -> None:
    cluster.events[2] = lambda: cluster.server.answers.update({"/health": (503, {"health": "false"})})
    with pytest.raises(RefusedError, match=r"^m2 does not join: m1 is not healthy: .*HTTP 503, not healthy"):
        cluster.join()
    assert cluster.asked() == ["grant", "revoke"]


def test_a_lock_that_is_lost_on_the_way_ends_the_change(cluster: Cluster) -> None:
    """Between its own look at the list and the step."""
    cluster.answers("add", UNHEALTHY, then=lambda: cluster.clock.sleep(60))
    with pytest.raises(ServiceError) as caught:
        cluster.join(timeout_seconds=120)
    assert str(caught.value) == (
        "m2: the cluster's lock could not be kept, so nothing more is changed: run again, which goes on from there"
    )
    assert cluster.asked() == ["grant", "add"]


# Removing -------------------------------------------------------------------------------------------------------------

LEARNER = {"ID": "9", "name": "m9", "peerURLs": ["https://10.0.0.9:2380"], "isLearner": True}


def test_nobody_is_removed_where_nobody_tells_the_list(cluster: Cluster) -> None:
    gone = ClusterUrls("m1", {"m1": "http://127.0.0.1:1"})
    with pytest.raises(RefusedError) as caught:
        membership.remove_guarded(gone, Client(), "m9", wait_seconds=9, timeout_seconds=9, clock=cluster.clock)
    # At once: nothing was found that waiting could mend.
    assert cluster.clock.time == 0 and str(caught.value) == (
        "m9 is not removed: no member tells who is in the cluster: http://127.0.0.1:1/v3/cluster/member/list: "
        "connection refused"
    )
    assert [reason["code"] for reason in caught.value.details["reasons"]] == ["no_member_answers"]


def test_a_list_that_nobody_tells_any_more_keeps_the_member(cluster: Cluster) -> None:
    """It was told when the member was looked for, and is not when it counts."""
    cluster.listed = [LEARNER]

    def told_once(asked: Asked) -> tuple[int, t.Any]:
        cluster.server.handlers["/v3/cluster/member/list"] = lambda asked: NO_LEADER
        return cluster._list(asked)

    cluster.server.handlers["/v3/cluster/member/list"] = told_once
    with pytest.raises(RefusedError, match=r"^m9 is not removed: no member tells who is in the cluster: .*no leader"):
        cluster.remove("m9")
    assert cluster.asked() == []


def test_no_member_is_removed_while_nobody_leads(cluster: Cluster) -> None:
    cluster.listed = [LEARNER]
    cluster.server.answers["/v3/maintenance/status"] = (200, {"header": {"member_id": "1"}})
    with pytest.raises(ServiceError) as caught:
        cluster.remove("m9")
    assert str(caught.value) == (
        "m9 is not out of the member list within 3 seconds: no other member leads yet: run again, which looks at the "
        "list first"
    )
    assert cluster.asked() == ["grant", "revoke"]


def test_a_leader_that_has_nobody_to_hand_over_to_stays(cluster: Cluster) -> None:
    """It answers at a URL that those who stay do not have; the one heir is not theirs either."""
    cluster.listed = [
        {"ID": "3", "name": "m3", "peerURLs": ["https://10.0.0.3:2380"], "clientURLs": []},
        {**LEARNER, "isLearner": False},
    ]
    cluster.server.answers["/v3/maintenance/status"] = (200, {"header": {"member_id": "1"}, "leader": "3"})
    listed = Client().member_list(cluster.url)
    target = next(one for one in listed if one.name == "m3")
    assert membership._url_of_leader_but(cluster.turn({"m1": cluster.url}), listed, target) is None
    assert "transfer-leadership" not in cluster.asked("transfer-leadership")


def test_a_refusal_that_passes_is_asked_again_and_one_that_lasts_is_not(cluster: Cluster) -> None:
    cluster.listed = [LEARNER]
    cluster.answers("remove", UNHEALTHY, UNHEALTHY, (200, {}), then=cluster.listed.clear)
    assert cluster.remove("m9").name == "m9"
    assert cluster.asked() == ["grant", "remove", "remove", "remove", "revoke"] and cluster.clock.time == 2
    cluster.listed = [LEARNER]
    cluster.answers("remove", (400, {"message": "etcdserver: bad request", "code": 3}))
    with pytest.raises(ServiceError) as caught:
        cluster.remove("m9")
    assert str(caught.value) == (
        f"m9 is not removed: {cluster.url}/v3/cluster/member/remove: HTTP 400: etcdserver: bad request"
    )
    assert cluster.asked()[5:] == ["grant", "remove", "revoke"]


# Joining --------------------------------------------------------------------------------------------------------------


def promoted(cluster: Cluster) -> None:
    cluster.listed = [{**STARTED, "isLearner": False}]


def test_each_step_is_asked_again_until_it_is_taken(cluster: Cluster) -> None:
    """While the new member copies the data, nobody is told to lead who is not known to."""
    cluster.answers("add", UNHEALTHY, (200, {"member": ADDED}), then=lambda: cluster.listed.append(ADDED))
    cluster.answers("promote", NOT_IN_SYNC, NOT_IN_SYNC, (200, {}), then=lambda: promoted(cluster))
    unit = Unit(then=lambda: cluster.listed.__setitem__(0, STARTED))
    assert cluster.join(unit, timeout_seconds=9) == ["add", "start", "promote"]
    assert unit.started_with == {"m1": "https://10.0.0.1:2380", "m2": MINE}
    assert cluster.asked() == ["grant", "add", "add", "promote", "promote", "promote", "revoke"]
    # One for each that was refused, and three until its connections are taken for lasting ones.
    assert cluster.clock.time == 6


def test_where_no_leader_is_known_any_member_is_asked(cluster: Cluster) -> None:
    other = "http://127.0.0.1:1"
    listed = Client().member_list(cluster.url)
    turn = cluster.turn({"m0": other, "m1": cluster.url})
    for status in (NO_LEADER, (200, {"header": {"member_id": "1"}}), (200, {"leader": "7"})):
        cluster.server.answers["/v3/maintenance/status"] = status
        assert membership._leader_url(turn, listed) == other
    cluster.server.answers["/v3/maintenance/status"] = (200, {"leader": "1"})
    # One that is down does not keep the other from telling.
    assert membership._leader_url(turn, listed) == cluster.url


@pytest.mark.parametrize(
    ("why_not", "why"),
    [
        (None, "its etcd runs, and has not told its name to the cluster yet: does it reach the others' peer ports?"),
        ("data_dir is not writable", "data_dir is not writable"),
    ],
)
def test_one_that_does_not_get_its_vote_says_why(cluster: Cluster, why_not: str | None, why: str) -> None:
    cluster.answers("add", (200, {"member": ADDED}), then=lambda: cluster.listed.append(ADDED))
    with pytest.raises(ServiceError) as caught:
        cluster.join(Unit(why_not))
    assert str(caught.value) == (
        f"m2 is no voter within 3 seconds: {why}: the others keep their quorum without it; mend that and run again, "
        "which goes on from there, or take its host out of the inventory and run with etcd_peer_tls_removed: [m2]"
    )
    assert caught.value.details["done"] == ["add", "start"]
    assert cluster.asked() == ["grant", "add", "revoke"]


def test_a_learner_that_nobody_can_call_gets_no_vote(cluster: Cluster) -> None:
    """It calls the others, and is in sync. With its vote the quorum could need what does not get through."""
    cluster.listed = [STARTED]
    cluster.answers("promote", (200, {}), then=lambda: promoted(cluster))
    unit = Unit()
    unit.start({})
    cluster.server.answers["/metrics"] = (200, LINK.format("3"))
    with pytest.raises(ServiceError, match="m2 is no voter within 3 seconds: m1 has no connection to its peer m2: the"):
        cluster.join(unit)
    assert cluster.asked() == ["grant", "revoke"]
    # Nor while a voter is not well; it was when the lock was taken.
    cluster.server.answers["/metrics"] = (200, LINK.format("2"))
    cluster.events[cluster.looks + 3] = lambda: cluster.server.answers.update({"/health": UNHEALTHY})
    with pytest.raises(ServiceError, match="m1 is not healthy: "):
        cluster.join(unit)
    assert "promote" not in cluster.asked()
    # It has called them, and they take it for connected until their own call has failed.
    cluster.server.answers["/health"] = (200, {"health": "true"})
    cluster.events[cluster.looks + 5] = lambda: cluster.server.answers.update({"/metrics": (200, LINK.format("3"))})
    with pytest.raises(ServiceError, match="m2 is no voter within 3 seconds: m1 has no connection to its peer m2: the"):
        cluster.join(unit)
    assert "promote" not in cluster.asked()
    cluster.server.answers["/metrics"] = (200, LINK.format("2"))
    assert cluster.join(unit, timeout_seconds=9) == ["promote"]


def test_what_etcd_will_never_take_is_told_at_once(cluster: Cluster) -> None:
    cluster.answers("add", (400, {"message": "etcdserver: Peer URLs already exists", "code": 9}))
    with pytest.raises(ServiceError) as caught:
        cluster.join()
    assert str(caught.value) == (
        f"m2 does not join: {cluster.url}/v3/cluster/member/add: HTTP 400: etcdserver: Peer URLs already exists"
    )
    assert cluster.asked() == ["grant", "add", "revoke"] and cluster.clock.time == 0


def test_the_others_are_asked_to_let_it_in_and_nobody_else(cluster: Cluster) -> None:
    """A voter that has not started has no port yet; a learner does not count; its own is not asked."""
    cluster.listed = [STARTED, {**LEARNER, "isLearner": True}, {"ID": "4", "peerURLs": ["https://10.0.0.4:2380"]}]
    asked: list[str] = []
    listed = membership.look_at_all(Client(), {"m1": cluster.url})
    found = membership._shut_out("m2", MINE, listed, lambda one: asked.append(one.name), lambda: None)
    assert found == [] and asked == ["m1"]
    found = membership._shut_out("m2", MINE, listed, lambda one: "alert", lambda: None)
    assert found == [{"code": "not_accepted", "text": "m1 does not take m2 for a peer: alert"}]


def test_nobody_is_added_where_nobody_tells_the_list(cluster: Cluster) -> None:
    cluster.server.handlers["/v3/cluster/member/list"] = lambda asked: NO_LEADER
    with pytest.raises(RefusedError, match=r"^m2 does not join: no member tells who is in the cluster: .*no leader"):
        cluster.join(wait_seconds=2)
    assert cluster.clock.time == 2 and cluster.asked() == []


@pytest.mark.parametrize(
    ("mine", "is_started", "steps"),
    [
        (None, False, ["add", "start", "promote"]),
        # Its host says it runs, and nobody lists it: what it runs with is not this cluster's.
        (None, True, ["add", "promote"]),
        (ADDED, False, ["start", "promote"]),
        (STARTED, True, ["promote"]),
        (STARTED, False, ["start", "promote"]),
        ({**STARTED, "isLearner": False}, False, ["start"]),
        ({**STARTED, "isLearner": False}, True, []),
    ],
)
def test_check_mode_tells_what_is_left_to_do(
    cluster: Cluster, mine: dict[str, t.Any] | None, is_started: bool, steps: list[str]
) -> None:
    cluster.listed = [] if mine is None else [mine]
    assert membership.steps_to_join(Client().member_list(cluster.url), "m2", MINE, is_started) == steps


# Moving ---------------------------------------------------------------------------------------------------------------


def moved(cluster: Cluster) -> None:
    cluster.listed = [{**STARTED, "peerURLs": [MOVED]}]


def test_the_cluster_is_told_where_a_member_is_until_the_list_has_it(cluster: Cluster) -> None:
    cluster.listed = [STARTED]
    cluster.answers("update", UNHEALTHY, (200, {}), then=lambda: moved(cluster))
    assert cluster.move() is True
    assert cluster.asked("update") == ["grant", "update", "update", "revoke"] and cluster.clock.time == 1
    # It is there: nobody is asked anything more.
    assert cluster.move() is False and cluster.asked("update")[4:] == []


def test_a_move_that_is_not_in_the_list_in_time_says_why(cluster: Cluster) -> None:
    cluster.listed = [STARTED]
    cluster.answers("update", UNHEALTHY)
    with pytest.raises(ServiceError) as caught:
        cluster.move()
    assert str(caught.value) == (
        f"the list does not have {MOVED} for m2 within 3 seconds: {cluster.url}/v3/cluster/member/update: HTTP 503: "
        "etcdserver: unhealthy cluster: run again, which looks at the list first"
    )
    assert cluster.asked("update") == ["grant", *["update"] * 4, "revoke"]


def test_a_member_that_is_gone_from_the_list_is_not_told_to_be_anywhere(cluster: Cluster) -> None:
    """It was removed while the lock was held."""
    cluster.listed = [STARTED]
    # The list is read first, then without and with the lock, then for the call.
    cluster.events[4] = cluster.listed.clear
    with pytest.raises(ServiceError) as caught:
        cluster.move()
    assert str(caught.value) == (
        f"the list does not have {MOVED} for m2 within 3 seconds: the cluster does not list m2 any more: run again, "
        "which looks at the list first"
    )
    assert cluster.asked("update") == ["grant", "revoke"]


def test_a_move_that_etcd_will_never_take_is_told_at_once(cluster: Cluster) -> None:
    cluster.listed = [STARTED]
    cluster.answers("update", (400, {"message": "etcdserver: bad request", "code": 3}))
    with pytest.raises(ServiceError) as caught:
        cluster.move()
    assert str(caught.value) == (
        f"m2 is not told to be at {MOVED}: {cluster.url}/v3/cluster/member/update: HTTP 400: etcdserver: bad request"
    )
    assert cluster.asked("update") == ["grant", "update", "revoke"] and cluster.clock.time == 0


@pytest.mark.parametrize(
    ("listed", "code", "text"),
    [
        ([], "not_a_member", "the cluster that answers does not list m2 as a member"),
        (
            [STARTED, {"ID": "3", "name": "m3", "peerURLs": [MOVED], "isLearner": True}],
            "peer_url_taken",
            f"the peer URL {MOVED} is that of member m3",
        ),
        # One that was added and has not started has no name yet.
        ([STARTED, {"ID": "4", "peerURLs": [MOVED]}], "peer_url_taken", f"the peer URL {MOVED} is that of member 4"),
        (
            [STARTED, {"ID": "4", "peerURLs": ["https://10.0.0.4:2380"]}],
            "member_not_started",
            "member 4 was added to the cluster and has not started yet",
        ),
    ],
)
def test_who_may_not_move_is_told_why_and_nothing_is_changed(
    cluster: Cluster, listed: list[dict[str, t.Any]], code: str, text: str
) -> None:
    cluster.listed = listed
    with pytest.raises(RefusedError) as caught:
        cluster.move()
    assert str(caught.value) == (
        f"m2 is not told to be at {MOVED}: {text} (waited 0 seconds): mend that first, then run again"
    )
    assert [reason["code"] for reason in caught.value.details["reasons"]] == [code]
    assert cluster.asked("update") == []


@pytest.mark.parametrize("looks", [0, 1])
def test_nobody_moves_where_nobody_tells_the_list(cluster: Cluster, looks: int) -> None:
    """Neither at once, nor when it counts."""
    cluster.listed = [STARTED]
    tell = cluster.server.handlers["/v3/cluster/member/list"]
    cluster.server.handlers["/v3/cluster/member/list"] = lambda asked: (
        NO_LEADER if cluster.looks >= looks else tell(asked)
    )
    with pytest.raises(RefusedError) as caught:
        cluster.move()
    assert str(caught.value).startswith(
        f"m2 is not told to be at {MOVED}: no member tells who is in the cluster: "
        f"{cluster.url}/v3/cluster/member/list: HTTP 503: etcdserver: no leader"
    )
    assert [reason["code"] for reason in caught.value.details["reasons"]] == ["no_member_answers"]
    assert cluster.asked("update") == []


def test_a_change_that_the_list_never_shows_ends_in_time(cluster: Cluster) -> None:
    """A member that says yes to everything and does nothing: it is not asked for ever."""
    second = {"ID": "2", "name": "m2", "peerURLs": [MINE], "clientURLs": [cluster.url]}
    cluster.listed = [second]

    def second_passes() -> None:
        cluster.clock.time += 1

    for verb in ("remove", "update", "promote"):
        cluster.answers(verb, (200, {"members": []}), then=second_passes)
    with pytest.raises(
        ServiceError, match=r"^m2 is not out of the member list within 3 seconds: the list does not show"
    ):
        cluster.remove("m2")
    with pytest.raises(ServiceError, match=rf"^the list does not have {MOVED} for m2 within 3 seconds: the list does"):
        cluster.move()
    cluster.listed = [ADDED]
    with pytest.raises(ServiceError, match=r"^m2 is no voter within 6 seconds: the list does not show it yet"):
        # Three of them until its connections are taken for lasting ones.
        cluster.join(Unit(then=lambda: cluster.listed.__setitem__(0, STARTED)), timeout_seconds=6)
    assert [cluster.asked("update").count(verb) for verb in ("remove", "update", "promote")] == [3, 3, 3]
