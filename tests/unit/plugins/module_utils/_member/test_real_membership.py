# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members more and less of real etcd: only where RINGFENCE_ETCD names one or more binaries (separated by colons)."""

from __future__ import annotations

import os
import pathlib
import socket
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import (
    api,
    api_access,
    api_answers,
    api_contexts,
    api_refusals,
    restart_lock,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member import membership, moving
from ansible_collections.ringfence.etcd.plugins.module_utils._member import restart as _restart

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster


class Process:
    """A joining unit that is a process of the real etcd."""

    def __init__(self, cluster: EtcdCluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.running = False

    def has_data(self) -> bool:
        return os.path.isdir(os.path.join(self.cluster.data_dir(self.name), "member", "wal"))

    def start(self, members: t.Mapping[str, str]) -> None:
        self.cluster.start(self.name, members=dict(members), state="existing")
        self.running = True

    def is_started(self) -> bool:
        return self.running

    def why_not_running(self) -> str | None:
        return None


def client_of(cluster: EtcdCluster) -> api.Client:
    return api.Client(api_contexts.client_context(cluster.ca_file, cluster.cert_file, cluster.key_file), 5.0)


def cluster_of(cluster: EtcdCluster, me: str, *names: str) -> _restart.ClusterUrls:
    return _restart.ClusterUrls(me, {name: cluster.client_urls[name] for name in (me, *names)})


def join(cluster: EtcdCluster, me: str, *others: str, unit: Process | None = None, **options: t.Any) -> list[str]:
    settings: dict[str, t.Any] = {"wait_seconds": 60, "timeout_seconds": 60, **options}
    refused_by = settings.pop("refused_by", lambda member: None)
    return membership.join_guarded(
        unit or Process(cluster, me),
        cluster_of(cluster, me, *others),
        client_of(cluster),
        cluster.peer_urls[me],
        refused_by,
        **settings,
    )


def names_in(cluster: EtcdCluster, at: str) -> list[tuple[str, bool]]:
    return [(one.name, one.is_learner) for one in client_of(cluster).member_list(cluster.client_urls[at])]


def leader_of(cluster: EtcdCluster, at: str) -> str:
    client, url = client_of(cluster), cluster.client_urls[at]
    leader = client.status(url).leader
    return next(one.name for one in client.member_list(url) if one.member_id == leader)


def is_free(cluster: EtcdCluster, at: str) -> bool:
    lock = restart_lock.RestartLock(client_of(cluster), [cluster.client_urls[at]])
    lock.acquire()
    lock.release()
    return not lock.is_held()


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_from_one_to_three_and_back_to_two(binary: str, tmp_path: pathlib.Path) -> None:
    cluster = EtcdCluster(binary, tmp_path)
    cluster.start("m1", members={"m1": cluster.peer_urls["m1"]})
    try:
        client = client_of(cluster)
        # Somebody who is shut out by a list that is too short is not added: nothing has changed.
        with pytest.raises(RefusedError, match=r"m2 does not join: m1 does not take m2 for a peer: alert bad"):
            join(cluster, "m2", "m1", refused_by=lambda member: "alert bad certificate", wait_seconds=5)
        assert names_in(cluster, "m1") == [("m1", False)] and is_free(cluster, "m1")
        # Killed after it was added.
        wait_until_taken(lambda: client.member_add(cluster.client_urls["m1"], cluster.peer_urls["m2"]))
        with pytest.raises(RefusedError, match=r"the learner at https://127.*has not become a voter yet"):
            join(cluster, "m3", "m1", "m2", wait_seconds=0)
        unit = Process(cluster, "m2")
        assert join(cluster, "m2", "m1", unit=unit) == ["start", "promote"]
        assert join(cluster, "m2", "m1", unit=unit) == []
        # Killed after it was started: a learner with a name.
        wait_until_taken(lambda: client.member_add(cluster.client_urls["m1"], cluster.peer_urls["m3"]))
        third = Process(cluster, "m3")
        third.start({name: cluster.peer_urls[name] for name in cluster.names})
        assert join(cluster, "m3", "m1", "m2", unit=third) == ["promote"]
        assert names_in(cluster, "m3") == [("m1", False), ("m2", False), ("m3", False)]
        assert is_free(cluster, "m1")

        # The leader goes, and has handed over: no election, so the others' term rises by one alone.
        leader = leader_of(cluster, "m1")
        stay = sorted({*cluster.names} - {leader})
        term = client.status(cluster.client_urls[stay[0]]).raft_term
        watching = WatchingClient(cluster)
        gone = remove(cluster, leader, *stay, client=watching)
        assert gone is not None and gone.name == leader
        # By an election the term would rise by one just as well: what tells is that it was asked to hand over.
        assert len(watching.heirs) == 1 and watching.heirs[0] != gone.member_id
        assert names_in(cluster, stay[0]) == [(name, False) for name in stay]
        assert client.status(cluster.client_urls[stay[0]]).raft_term == term + 1
        # Again: it is no member, and nothing is done.
        assert remove(cluster, leader, *stay) is None

        # It has run, and what it had is gone: it must not vote under its old id, and joins under a new one.
        cluster.stop(stay[1])
        with pytest.raises(RefusedError, match=rf"{stay[1]} has run as member [0-9a-f]+, and has no data any more"):
            join(cluster, stay[1], stay[0], unit=Empty(cluster, stay[1]), wait_seconds=0)
    finally:
        cluster.stop()


class WatchingClient(api.Client):
    """Notes to whom a leader is asked to hand over."""

    def __init__(self, cluster: EtcdCluster) -> None:
        super().__init__(api_contexts.client_context(cluster.ca_file, cluster.cert_file, cluster.key_file), 5.0)
        self.heirs: list[str] = []

    def move_leader(self, url: str, member_id: str) -> None:
        self.heirs.append(member_id)
        super().move_leader(url, member_id)


class Empty(Process):
    """Its data is gone."""

    def has_data(self) -> bool:
        return False


def remove(cluster: EtcdCluster, called: str, *stay: str, **options: t.Any) -> api_answers.LiveMember | None:
    settings: dict[str, t.Any] = {"wait_seconds": 60, "timeout_seconds": 30, **options}
    client = settings.pop("client", None) or client_of(cluster)
    return membership.remove_guarded(cluster_of(cluster, *stay), client, called, **settings)


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_a_dead_member_goes_and_no_quorum_with_it(binary: str, tmp_path: pathlib.Path) -> None:
    cluster = EtcdCluster(binary, tmp_path)
    cluster.start()
    try:
        wait_until_taken(lambda: remove(cluster, "nobody", *cluster.names))
        cluster.stop("m3")
        # Another than the dead one would cost the quorum.
        with pytest.raises(RefusedError, match="m2 is not removed: m3 is not healthy"):
            remove(cluster, "m2", "m1", "m3", wait_seconds=3)
        assert len(names_in(cluster, "m1")) == 3 and is_free(cluster, "m1")
        gone = remove(cluster, "m3", "m1", "m2")
        assert gone is not None and names_in(cluster, "m1") == [("m1", False), ("m2", False)]
        with pytest.raises(RefusedError, match="m1 is not removed: it is the last one that votes"):
            remove(cluster, "m2", "m1")
            remove(cluster, "m1", "m1", wait_seconds=0)
    finally:
        cluster.stop()


def move(cluster: EtcdCluster, me: str, peer_url: str, **options: t.Any) -> bool:
    settings: dict[str, t.Any] = {"wait_seconds": 60, "timeout_seconds": 30, **options}
    others = [name for name in cluster.names if name != me]
    return moving.move_guarded(cluster_of(cluster, me, *others), client_of(cluster), peer_url, **settings)


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_a_member_moves_and_answers_at_both_places_meanwhile(binary: str, tmp_path: pathlib.Path) -> None:
    cluster = EtcdCluster(binary, tmp_path)
    old, new = cluster.peer_urls["m2"], f"https://127.0.0.1:{free_port()}"
    cluster.start("m1", "m3")
    cluster.start("m2", extra=(f"--listen-peer-urls={old},{new}",))
    try:
        wait_until_taken(lambda: move(cluster, "m2", old))
        with pytest.raises(
            RefusedError, match=rf"m2 is not told .*: the peer URL {cluster.peer_urls['m3']} is that of"
        ):
            move(cluster, "m2", cluster.peer_urls["m3"], wait_seconds=0)
        assert move(cluster, "m2", new) is True and is_free(cluster, "m1")
        assert move(cluster, "m2", new) is False
        # It answers no more at the old one, and is found.
        cluster.stop("m2")
        cluster.start("m2", extra=(f"--listen-peer-urls={new}",))
        wait_until_taken(lambda: is_linked(cluster, "m1", "m2"))
        # Nobody moves while another is down.
        cluster.stop("m3")
        with pytest.raises(RefusedError, match=r"m2 is not told to be at .*: m3 is not healthy"):
            move(cluster, "m2", old, wait_seconds=3)
        assert is_free(cluster, "m1")
    finally:
        cluster.stop()


def is_linked(cluster: EtcdCluster, one: str, other: str) -> None:
    """RefusedError where one of two has no connection to the other."""
    client = client_of(cluster)
    numbers = {listed.name: listed.member_id for listed in client.member_list(cluster.client_urls[one])}
    for source, target in ((one, other), (other, one)):
        try:
            links = client.active_peers(cluster.client_urls[source])
        except api_refusals.ApiError as exc:
            raise RefusedError(str(exc)) from exc
        if not links.get(numbers[target]):
            raise RefusedError(f"{source} has no connection to {target}")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_who_may_not_change_members_is_told_at_once(binary: str, tmp_path: pathlib.Path) -> None:
    """Under RBAC a user without a role may read the list, and no more."""
    cluster = EtcdCluster(binary, tmp_path, size=2)
    cluster.start("m1", members={"m1": cluster.peer_urls["m1"]})
    try:
        admin, url = client_of(cluster), cluster.client_urls["m1"]
        for name in ("root", "ringfence"):
            wait_until_taken(
                lambda name=name: admin._call(url, "/v3/auth/user/add", {"name": name, "password": "0401"})
            )
        admin._call(url, "/v3/auth/role/add", {"name": "root"})
        admin._call(url, "/v3/auth/user/grant", {"user": "root", "role": "root"})
        admin._call(url, "/v3/auth/enable", {})

        def client(user: str) -> api.Client:
            access = api_access.ApiAccess(user, "0401", str(tmp_path / "nameless.crt"), cluster.key_file)
            return api.client_of(cluster.ca_file, cluster.cert_file, cluster.key_file, access)

        def join_as(user: str) -> list[str]:
            me, peer_url = cluster_of(cluster, "m2", "m1"), cluster.peer_urls["m2"]
            return membership.join_guarded(
                Process(cluster, "m2"),
                me,
                client(user),
                peer_url,
                lambda member: None,
                wait_seconds=30,
                timeout_seconds=60,
            )

        assert client("ringfence").lacks_root(url) and not client("root").lacks_root(url)
        with pytest.raises(ServiceError, match=r"m2 does not join: .*etcdctl user grant-role ringfence root"):
            join_as("ringfence")
        assert [one.name for one in client("root").member_list(url)] == ["m1"]
        assert join_as("root") == ["add", "start", "promote"]
        gone = membership.remove_guarded(
            cluster_of(cluster, "m1"), client("root"), "m2", wait_seconds=30, timeout_seconds=30
        )
        assert gone is not None and gone.name == "m2"
    finally:
        cluster.stop()


def wait_until_taken(call: t.Callable[[], object]) -> None:
    """etcd changes its members only when all have been connected for some seconds."""
    deadline = time.monotonic() + 30
    while True:
        try:
            call()
            return
        except (ServiceError, RefusedError):
            assert time.monotonic() < deadline
            time.sleep(0.5)
