# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests against real etcd processes: only where RINGFENCE_ETCD names one or more binaries (separated by colons)."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import threading
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import obstacles
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import (
    api,
    api_access,
    api_answers,
    api_contexts,
    api_refusals,
    restart_lock,
    wal,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member import restart as _restart
from ansible_collections.ringfence.etcd.plugins.module_utils._probe import handshake

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

PENDING: list[Reason] = [{"code": "unit_changed", "text": "changed"}]


@pytest.fixture(scope="module", params=BINARIES, ids=[os.path.basename(path) for path in BINARIES])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[EtcdCluster]:
    made = EtcdCluster(request.param, tmp_path_factory.mktemp("etcd"))
    made.start()
    try:
        wait_until_linked(made)
        yield made
    finally:
        made.stop()


def client_of(cluster: EtcdCluster, timeout_seconds: float = 5.0) -> api.Client:
    context = api_contexts.client_context(cluster.ca_file, cluster.cert_file, cluster.key_file)
    return api.Client(context, timeout_seconds)


def wait_until_linked(cluster: EtcdCluster) -> None:
    client = client_of(cluster)
    deadline = time.monotonic() + 40
    problem: object = None
    while time.monotonic() < deadline:
        try:
            view = _restart.gather_view(client, _restart.ClusterUrls("m1", cluster.client_urls), with_me=True)
            assert view.me is not None
            problem = [
                reason
                for one in (view.me, *view.others)
                for reason in _restart.is_back(one, [other for other in (view.me, *view.others) if other != one])
            ]
            if not problem and len(view.others) == 2:
                return
        except api_refusals.ApiError as exc:
            problem = exc
        time.sleep(0.2)
    raise AssertionError(f"{problem}\n{cluster.log('m1')[-2000:]}")


class ProcessUnit:
    """A unit whose restart is a new process of the real etcd."""

    name = "etcd.service"

    def __init__(self, cluster: EtcdCluster, member: str, extra: tuple[str, ...] = ()) -> None:
        self.cluster = cluster
        self.member = member
        self.extra = extra
        self.restarted_at: list[float] = []

    def shuts_out(self) -> t.Callable[[t.Iterable[str]], str | None]:
        return lambda _peer_urls: None

    def restart(self) -> None:
        self.restarted_at.append(time.monotonic())
        self.cluster.stop(self.member)
        self.cluster.start(self.member, extra=self.extra)

    def process_problem(self) -> str | None:
        return None

    def problem(self) -> str | None:
        return None

    def has_failed(self) -> bool:
        return False

    def cause(self) -> str | None:
        return None

    def way_back(self) -> str | None:
        return None

    def journal_tail(self) -> str:
        return self.cluster.log(self.member).strip().splitlines()[-1]


def test_health_members_and_status(cluster: EtcdCluster) -> None:
    client = client_of(cluster)
    members = client.member_list(cluster.client_urls["m1"])
    assert [member.name for member in members] == cluster.names
    assert [member.peer_urls for member in members] == [(cluster.peer_urls[name],) for name in cluster.names]
    leaders = set()
    for member in members:
        url = cluster.client_urls[member.name]
        assert client.health(url) == api_answers.Health(True)
        assert set(client.active_peers(url)) == {other.member_id for other in members} - {member.member_id}
        status = client.status(url)
        assert status.member_id == member.member_id
        assert status.raft_term > 0 and status.raft_index > 0 and not status.is_learner
        leaders.add(status.leader)
        # The same ids, read from the log on disk while etcd runs.
        assert wal.read_identity(cluster.data_dir(member.name)) == (member.member_id, status.cluster_id)
    assert len(leaders) == 1 and leaders <= {member.member_id for member in members}
    assert client.count_keys(cluster.client_urls["m1"]) == 0


def test_a_client_without_a_certificate_gets_a_line(cluster: EtcdCluster) -> None:
    client = api.Client(api_contexts.client_context(cluster.ca_file, None, None))
    url = cluster.client_urls["m1"]
    health = client.health(url)
    assert not health.healthy and url in str(health.problem) and "\n" not in str(health.problem)
    # In TLS 1.3 the request may be written after etcd has closed: then a reset comes before its alert is read.
    refused = r"https://127\.0\.0\.1:.*: (TLS: .*certificate required|connection reset by peer|broken pipe)$"
    with pytest.raises(api_refusals.ApiError, match=refused):
        client.member_list(url)


def test_a_proxy_of_the_environment_is_not_used(cluster: EtcdCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert client_of(cluster).health(cluster.client_urls["m2"]).healthy


def test_the_lock_has_one_holder(cluster: EtcdCluster) -> None:
    client = client_of(cluster)
    first = restart_lock.RestartLock(client, [cluster.client_urls["m1"]])
    second = restart_lock.RestartLock(client, [cluster.client_urls["m3"]])
    assert not first.is_held()
    first.acquire()
    assert first.is_held() and first.keep()
    with pytest.raises(api_refusals.LockHeldError, match="already exists"):
        second.acquire()
    assert not second.is_held() and not second.keep()
    # One that does not hold it can't give it back.
    second.release()
    with pytest.raises(api_refusals.LockHeldError):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    # Not a key was written.
    assert client.count_keys(cluster.client_urls["m1"]) == 0


def test_many_at_once_one_gets_it(cluster: EtcdCluster) -> None:
    client = client_of(cluster)
    outcomes: list[str] = []

    def attempt(url: str) -> None:
        lock = restart_lock.RestartLock(client, [url], lease_id=4711)
        try:
            lock.acquire()
            outcomes.append("held")
        except api_refusals.LockHeldError:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt, args=(url,)) for url in [*cluster.client_urls.values()] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.lease_revoke(cluster.client_urls["m1"], 4711)
    assert sorted(outcomes) == ["held"] + ["refused"] * 8


def test_a_lock_that_nobody_keeps_ends(cluster: EtcdCluster) -> None:
    client = client_of(cluster)
    urls = list(cluster.client_urls.values())
    lost = restart_lock.RestartLock(client, urls, ttl_seconds=2)
    other = restart_lock.RestartLock(client, urls, ttl_seconds=2)
    lost.acquire()
    started = time.monotonic()
    while True:
        try:
            other.acquire()
            break
        except api_refusals.LockHeldError:
            assert time.monotonic() - started < 15
            time.sleep(0.2)
    assert time.monotonic() - started >= 1.5
    # The first holder knows that it may be another's, and leaves it alone.
    assert not lost.keep()
    lost.release()
    assert client.lease_keep_alive(urls[0], restart_lock.RESTART_LEASE_ID)
    other.release()
    assert not client.lease_keep_alive(urls[0], restart_lock.RESTART_LEASE_ID)


def test_a_kept_lock_outlives_its_time(cluster: EtcdCluster) -> None:
    client = client_of(cluster)
    urls = list(cluster.client_urls.values())
    lock = restart_lock.RestartLock(client, urls, ttl_seconds=2)
    lock.acquire()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert lock.keep()
        with pytest.raises(api_refusals.LockHeldError):
            restart_lock.RestartLock(client, urls).acquire()
        time.sleep(0.3)
    lock.release()


def test_three_runs_at_once_restart_one_after_the_other(cluster: EtcdCluster) -> None:
    wait_until_linked(cluster)
    units = {name: ProcessUnit(cluster, name) for name in cluster.names}
    problems: list[BaseException] = []
    spans: list[tuple[float, float]] = []
    before = {name: cluster.pid(name) for name in cluster.names}

    def run(name: str) -> None:
        try:
            reasons = _restart.restart_guarded(
                units[name],
                _restart.ClusterUrls(name, cluster.client_urls),
                client_of(cluster),
                lambda: PENDING if not units[name].restarted_at else [],
                wait_seconds=120,
                timeout_seconds=60,
            )
            spans.append((units[name].restarted_at[0], time.monotonic()))
            assert reasons == PENDING
        except BaseException as exc:
            problems.append(exc)

    threads = [threading.Thread(target=run, args=(name,)) for name in cluster.names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert all(cluster.pid(name) != before[name] for name in cluster.names)
    spans.sort()
    # Each began only after the one before it was back.
    assert all(spans[number][1] - 1.0 <= spans[number + 1][0] for number in range(2)), spans
    wait_until_linked(cluster)


def test_no_restart_while_another_member_is_down(cluster: EtcdCluster) -> None:
    wait_until_linked(cluster)
    unit = ProcessUnit(cluster, "m1")
    cluster.stop("m3")
    try:
        with pytest.raises(RefusedError, match=r"m1 is not restarted: m3 is not healthy: .*connection refused"):
            _restart.restart_guarded(
                unit,
                _restart.ClusterUrls("m1", cluster.client_urls),
                client_of(cluster),
                lambda: PENDING,
                wait_seconds=3,
                timeout_seconds=10,
            )
        # A list that lacks the member that is down does not hide it: the cluster's own list counts.
        partial = {name: url for name, url in cluster.client_urls.items() if name != "m3"}
        with pytest.raises(RefusedError, match="m3 is not healthy"):
            _restart.restart_guarded(
                unit,
                _restart.ClusterUrls("m1", partial),
                client_of(cluster),
                lambda: PENDING,
                wait_seconds=0,
                timeout_seconds=10,
            )
        assert not unit.restarted_at
        # Nothing was left behind: the lock is free.
        lock = restart_lock.RestartLock(client_of(cluster), [cluster.client_urls["m1"]])
        lock.acquire()
        lock.release()
    finally:
        cluster.start("m3")
    wait_until_linked(cluster)


def test_a_member_that_does_not_come_back_stops_the_rest(cluster: EtcdCluster) -> None:
    wait_until_linked(cluster)
    broken = ProcessUnit(cluster, "m1", extra=("--no-such-flag",))
    try:
        with pytest.raises(ServiceError, match=r"m1: not well within 4 seconds: m1 is not healthy.*end of its log"):
            _restart.restart_guarded(
                broken,
                _restart.ClusterUrls("m1", cluster.client_urls),
                client_of(cluster),
                lambda: PENDING,
                wait_seconds=30,
                timeout_seconds=4,
            )
        next_one = ProcessUnit(cluster, "m2")
        with pytest.raises(RefusedError, match="m2 is not restarted: m1 is not healthy"):
            _restart.restart_guarded(
                next_one,
                _restart.ClusterUrls("m2", cluster.client_urls),
                client_of(cluster),
                lambda: PENDING,
                wait_seconds=2,
                timeout_seconds=4,
            )
        assert not next_one.restarted_at
    finally:
        cluster.stop("m1")
        cluster.start("m1")
    wait_until_linked(cluster)


def call_until_taken(client: api.Client, url: str, path: str, message: dict[str, t.Any]) -> dict[str, t.Any]:
    """etcd changes its members only when all have been connected for some seconds."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return client._call(url, path, message)
        except api_refusals.ApiError:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_an_added_member_that_has_not_started_counts(cluster: EtcdCluster) -> None:
    wait_until_linked(cluster)
    client = client_of(cluster)
    url = cluster.client_urls["m1"]
    answer = call_until_taken(client, url, "/v3/cluster/member/add", {"peerURLs": ["https://127.0.0.1:1"]})
    try:
        view = _restart.gather_view(client, _restart.ClusterUrls("m1", cluster.client_urls), with_me=False)
        reasons = _restart.may_restart("m1", view.others)
        assert [reason["code"] for reason in reasons] == ["member_not_started"]
    finally:
        call_until_taken(client, url, "/v3/cluster/member/remove", {"ID": answer["member"]["ID"]})


def test_one_member_alone(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    cluster = EtcdCluster(BINARIES[-1], tmp_path, size=1)
    cluster.start()
    try:
        client = client_of(cluster)
        unit = ProcessUnit(cluster, "m1")
        members = _restart.ClusterUrls("m1", cluster.client_urls)
        _restart.wait_healthy(unit, members, client, 30)
        assert (
            _restart.restart_guarded(unit, members, client, lambda: PENDING, wait_seconds=0, timeout_seconds=30)
            == PENDING
        )
        assert len(unit.restarted_at) == 1
    finally:
        cluster.stop()


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_a_cluster_is_formed_once_it_has_had_a_leader(binary: str, tmp_path: pathlib.Path) -> None:
    cluster = EtcdCluster(binary, tmp_path)
    cluster.start("m1")
    try:
        deadline = time.monotonic() + 30
        while wal.was_formed(cluster.data_dir("m1")) is None:
            assert time.monotonic() < deadline, cluster.log("m1")[-2000:]
            time.sleep(0.1)
        # For some rounds of elections that it can't win.
        time.sleep(4)
        assert wal.was_formed(cluster.data_dir("m1")) is False
        cluster.start("m2", "m3")
        wait_until_linked(cluster)
        assert [wal.was_formed(cluster.data_dir(name)) for name in cluster.names] == [True] * 3
    finally:
        cluster.stop()
    assert [wal.was_formed(cluster.data_dir(name)) for name in cluster.names] == [True] * 3


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_alarms_and_role_based_access_control_are_told(binary: str, tmp_path: pathlib.Path) -> None:
    cluster = EtcdCluster(binary, tmp_path, size=1)
    cluster.start()
    try:
        client, url = client_of(cluster), cluster.client_urls["m1"]
        deadline = time.monotonic() + 30
        while not client.health(url).healthy:
            assert time.monotonic() < deadline, cluster.log("m1")[-2000:]
            time.sleep(0.1)
        status = client.status(url)
        assert status.alarms == () and client.version(url) == status.version
        raised = {"action": "ACTIVATE", "memberID": str(int(status.member_id, 16)), "alarm": "NOSPACE"}
        client._call(url, "/v3/maintenance/alarm", raised)
        assert client.status(url).alarms == (api_answers.Alarm(status.member_id, "NOSPACE"),)
        with pytest.raises(api_refusals.ApiError) as caught:
            restart_lock.RestartLock(client, [url]).acquire()
        assert obstacles.alarm_in(str(caught.value)) == "NOSPACE"
        assert not client.health(url).healthy
        client._call(url, "/v3/maintenance/alarm", {**raised, "action": "DEACTIVATE"})
        client._call(url, "/v3/auth/user/add", {"name": "root", "password": "x"})
        client._call(url, "/v3/auth/role/add", {"name": "root"})
        client._call(url, "/v3/auth/user/grant", {"user": "root", "role": "root"})
        client._call(url, "/v3/auth/enable", {})
        with pytest.raises(api_refusals.ApiError) as caught:
            client.member_list(url)
        assert caught.value.kind == api_refusals.AUTH
        # What needs no gateway is told all the same.
        assert client.health(url).healthy and client.version(url) == status.version
        # The way on that is named: a client pair without a common name.
        nameless = api_contexts.client_context(cluster.ca_file, str(tmp_path / "nameless.crt"), cluster.key_file)
        allowed = api.Client(nameless)
        assert [member.name for member in allowed.member_list(url)] == ["m1"]
        lock = restart_lock.RestartLock(allowed, [url])
        lock.acquire()
        lock.release()
    finally:
        cluster.stop()


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_a_roll_under_role_based_access_control(binary: str, tmp_path: pathlib.Path) -> None:
    """By a user without a role. Each restart makes the member forget its tokens."""
    cluster = EtcdCluster(binary, tmp_path)
    fence = ("--peer-cert-allowed-cn=member",)
    cluster.start(extra=fence)
    try:
        wait_until_linked(cluster)
        root, url = client_of(cluster), cluster.client_urls["m1"]
        for name in ("root", "ringfence"):
            root._call(url, "/v3/auth/user/add", {"name": name, "password": "0401"})
        root._call(url, "/v3/auth/role/add", {"name": "root"})
        root._call(url, "/v3/auth/user/grant", {"user": "root", "role": "root"})
        root._call(url, "/v3/auth/enable", {})
        pair = (str(tmp_path / "nameless.crt"), cluster.key_file)
        access = api_access.ApiAccess("ringfence", "0401", *pair)

        def client(**changes: t.Any) -> api.Client:
            changed = dataclasses.replace(access, **changes)
            return api.client_of(cluster.ca_file, cluster.cert_file, cluster.key_file, changed)

        one = client()
        before = {name: cluster.pid(name) for name in cluster.names}
        for name in cluster.names:
            unit = ProcessUnit(cluster, name, fence)
            members = _restart.ClusterUrls(name, cluster.client_urls)
            # Each with a client of its own, as each host has, and with one whose token is of before the restarts.
            for each in (client(), one):
                pending = _restart.restart_guarded(
                    unit,
                    members,
                    each,
                    lambda unit=unit: [] if unit.restarted_at else PENDING,
                    wait_seconds=30,
                    timeout_seconds=60,
                )
                assert pending == ([] if each is one else PENDING)
            view = _restart.wait_healthy(unit, members, one, 30)
            assert view.me is not None and len(view.others) == 2
        assert all(cluster.pid(name) != before[name] for name in cluster.names)
        lock = restart_lock.RestartLock(one, [url])
        lock.acquire()
        assert lock.is_held() and one.lease_keep_alive(url, restart_lock.RESTART_LEASE_ID)
        lock.release()
        with pytest.raises(api_refusals.ApiError, match="etcdctl user grant-role ringfence root") as caught:
            one.count_keys(url)
        assert caught.value.kind == api_refusals.RIGHT
        assert client(user="root").count_keys(url) == 0
        # The root that nobody is: without a user etcd must not take its own certificate for one.
        with pytest.raises(api_refusals.ApiError, match="user name is empty") as caught:
            client(user=None, password=None).count_keys(url)
        assert caught.value.kind == api_refusals.AUTH
        with pytest.raises(api_refusals.ApiError, match=r"invalid user ID or password \(user ringfence\)") as caught:
            client(password="0402").count_keys(url)
        assert caught.value.kind == api_refusals.USER
        # The pair opens client ports alone.
        content = [pathlib.Path(path).read_bytes() for path in pair]
        peer = cluster.peer_urls["m1"].rpartition(":")[2]
        result = handshake.probe_port(handshake.client_context(None, *content), "127.0.0.1", int(peer), 5.0)
        assert result.outcome == handshake.REFUSED
    finally:
        cluster.stop()
