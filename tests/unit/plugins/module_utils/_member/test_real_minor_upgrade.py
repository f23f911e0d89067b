# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real etcd from one minor version to the next: only where RINGFENCE_ETCD names binaries of all of them."""

from __future__ import annotations

import base64
import functools
import os
import pathlib
import socket
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, parse_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import (
    api,
    api_contexts,
    api_refusals,
    restart_lock,
    trial,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.last_words import cause_of
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal_entries import has_old_entries
from ansible_collections.ringfence.etcd.plugins.module_utils._member import membership, minor_upgrade
from ansible_collections.ringfence.etcd.plugins.module_utils._member import restart as _restart

PROGRAMS: dict[Version, str] = {
    parse_version(trial.etcd_version(path)): path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path
}
# Before 3.5.20 a promotion is not written where 3.6 reads it.
FROM = min((version for version in PROGRAMS if (3, 5, 15) <= version < (3, 5, 20)), default=None)
WAY = [
    max((version for version in PROGRAMS if version[:2] == minor and version >= (3, 5, 20)), default=None)
    for minor in ((3, 5), (3, 6), (3, 7))
]
pytestmark = pytest.mark.skipif(
    FROM is None or None in WAY,
    reason="RINGFENCE_ETCD names no binaries of 3.5.15 to 3.5.19, 3.5.20 and later, 3.6, 3.7",
)

if FROM is not None or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

NAMES = ("m1", "m2", "m3")
PENDING: list[Reason] = [{"code": "binary_replaced", "text": "another program"}]


class Member:
    """A member's unit, as a process of the real etcd with a program that can be exchanged."""

    def __init__(self, cluster: EtcdCluster, name: str, version: Version) -> None:
        self.cluster = cluster
        self.name = name
        self.version = version
        self.next = version
        # What was there before the last restart.
        self.before = version
        self.lies_about_its_log = False

    def start(self, members: t.Mapping[str, str]) -> None:
        binary = PROGRAMS[self.version]
        self.cluster.start(self.name, members=dict(members), state="existing", binary=binary)

    def has_data(self) -> bool:
        return os.path.isdir(os.path.join(self.cluster.data_dir(self.name), "member", "wal"))

    def is_started(self) -> bool:
        return False

    def why_not_running(self) -> str | None:
        return None

    def shuts_out(self) -> t.Callable[[t.Iterable[str]], str | None]:
        return lambda _peer_urls: None

    def restart(self) -> None:
        self.cluster.stop(self.name)
        self.before, self.version = self.version, self.next
        self.cluster.start(self.name, binary=PROGRAMS[self.version])

    def process_problem(self) -> str | None:
        return self.problem()

    def problem(self) -> str | None:
        return "no process runs" if self.cluster.has_ended(self.name) else None

    def has_failed(self) -> bool:
        return self.cluster.has_ended(self.name)

    def cause(self) -> str | None:
        return cause_of(self.cluster.log(self.name).splitlines())

    def journal_tail(self) -> str:
        return " ".join(self.cluster.log(self.name).split())[-300:]

    def way_back(self) -> str | None:
        return None

    def next_version(self) -> str | None:
        return trial.etcd_version(PROGRAMS[self.next])

    def has_old_entries(self) -> bool | None:
        return False if self.lies_about_its_log else has_old_entries(self.cluster.data_dir(self.name))

    def snapshot_count(self) -> int:
        return 10_000

    def may_be_put_back(self) -> bool:
        return True

    def put_back(self) -> bool:
        self.next = self.before
        self.restart()
        return True


def client_of(cluster: EtcdCluster) -> api.Client:
    return api.Client(api_contexts.client_context(cluster.ca_file, cluster.cert_file, cluster.key_file), 5.0)


def upgrade(member: Member, to: Version, is_said: bool = True, seconds: float = 40) -> None:
    member.next = to
    cluster = member.cluster
    urls = _restart.ClusterUrls(member.name, cluster.client_urls)
    client = client_of(cluster)
    around = minor_upgrade.MinorUpgrade(member, urls, client, is_said, seconds)
    lock = restart_lock.RestartLock(client, urls.urls_others_first, ttl_seconds=8)

    def still_pending() -> list[Reason]:
        return PENDING if member.version != to else []

    _restart.restart_guarded(
        member, urls, client, still_pending, wait_seconds=60, timeout_seconds=seconds, lock=lock, around=around
    )


def versions(cluster: EtcdCluster) -> list[Version]:
    return [parse_version(client_of(cluster).version(cluster.client_urls[name])) for name in NAMES]


def keys(cluster: EtcdCluster) -> list[int]:
    return [client_of(cluster).count_keys(cluster.client_urls[name]) for name in NAMES]


def put(cluster: EtcdCluster, count: int) -> None:
    client = client_of(cluster)
    for number in range(count):
        key = base64.b64encode(f"key {number}".encode()).decode()
        wait_until_taken(
            functools.partial(client._call, cluster.client_urls["m1"], "/v3/kv/put", {"key": key, "value": key})
        )


@pytest.fixture
def members(tmp_path: pathlib.Path) -> t.Iterator[dict[str, Member]]:
    """Three members of the old 3.5, of which two have been learners."""
    assert FROM is not None
    cluster = EtcdCluster(PROGRAMS[FROM], tmp_path)
    made = {name: Member(cluster, name, FROM) for name in NAMES}
    cluster.start("m1", members={"m1": cluster.peer_urls["m1"]})
    try:
        for number, name in enumerate(NAMES[1:], 1):
            there = {one: cluster.client_urls[one] for one in NAMES[:number]}
            membership.join_guarded(
                made[name],
                _restart.ClusterUrls(name, {name: cluster.client_urls[name], **there}),
                client_of(cluster),
                cluster.peer_urls[name],
                lambda member: None,
                wait_seconds=60,
                timeout_seconds=60,
            )
        put(cluster, 30)
        yield made
    finally:
        cluster.stop()


def test_from_an_old_3_5_to_3_7_with_all_that_is_in_the_way(
    members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    last_3_5, last_3_6, last_3_7 = (t.cast(Version, version) for version in WAY)
    cluster = members["m1"].cluster

    # Not written by the old 3.5: refused, and nobody is restarted.
    pids = [cluster.pid(name) for name in NAMES]
    with pytest.raises(
        RefusedError, match=r"m1 is not restarted: a member runs as etcd 3\.5\.1\d, which does not write"
    ):
        upgrade(members["m1"], last_3_6)
    assert pids == [cluster.pid(name) for name in NAMES]
    # And for good reason. A member that does not start is what it was.
    with monkeypatch.context() as without:
        without.setattr(minor_upgrade, "why_not_upgraded", lambda *_given: None)
        with pytest.raises(ServiceError) as failed:
            upgrade(members["m1"], last_3_6)
    text = str(failed.value)
    assert text.startswith("m1 did not stay with etcd 3.6") and "is back in its place, and the member is well" in text
    assert "too many learner members" in text and "\n" not in text
    assert versions(cluster) == [FROM] * 3 and keys(cluster) == [30] * 3
    # The lock of the one that failed ends by itself.
    for member in members.values():
        upgrade(member, last_3_5, is_said=False)
    assert versions(cluster) == [last_3_5] * 3 and pids != [cluster.pid(name) for name in NAMES]

    # Not said, or too far.
    pids = [cluster.pid(name) for name in NAMES]
    with pytest.raises(RefusedError, match="another minor version: say so with etcd_peer_tls_upgrade: true"):
        upgrade(members["m1"], last_3_6, is_said=False)
    with pytest.raises(RefusedError, match=r"leaves out a minor version: upgrade to 3\.6 first"):
        upgrade(members["m1"], last_3_7)
    assert pids == [cluster.pid(name) for name in NAMES]

    upgrade(members["m1"], last_3_6)
    with pytest.raises(RefusedError, match="leaves out a minor version"):
        upgrade(members["m2"], last_3_7)
    for name in NAMES[1:]:
        # What has begun needs no word.
        upgrade(members[name], last_3_6, is_said=False)
    assert versions(cluster) == [last_3_6] * 3 and keys(cluster) == [30] * 3
    client = client_of(cluster)
    assert [str(client.versions(cluster.client_urls[name]).cluster)[:4] for name in NAMES] == ["3.6."] * 3
    with pytest.raises(RefusedError, match=r"etcdctl downgrade enable 3\.5"):
        upgrade(members["m1"], last_3_5)

    # The log has entries of 3.5. Not seen, 3.7 does not start, and the member is what it was.
    assert [members[name].has_old_entries() for name in NAMES] == [True] * 3
    members["m3"].lies_about_its_log = True
    with pytest.raises(ServiceError) as failed:
        upgrade(members["m3"], last_3_7)
    text = str(failed.value)
    assert text.startswith("m3 did not stay with etcd 3.7") and "is back in its place, and the member is well" in text
    assert versions(cluster) == [last_3_6] * 3
    members["m3"].lies_about_its_log = False
    pids = [cluster.pid(name) for name in NAMES]
    revision = client._call(cluster.client_urls["m1"], "/v3/maintenance/status", {})["header"]["revision"]
    upgrade(members["m3"], last_3_7)
    # Nobody else was restarted for it, and nothing is in the store.
    assert pids[:2] == [cluster.pid(name) for name in NAMES[:2]]
    assert revision == client._call(cluster.client_urls["m1"], "/v3/maintenance/status", {})["header"]["revision"]
    # The others lack a few entries for a snapshot of theirs, or none.
    for name in NAMES[:2]:
        upgrade(members[name], last_3_7, is_said=False)
    assert versions(cluster) == [last_3_7] * 3 and keys(cluster) == [30] * 3
    assert str(client.versions(cluster.client_urls["m1"]).cluster).startswith("3.7.")


def test_a_member_that_tells_another_list_goes_back(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old 3.5 does not write a new peer URL where 3.6 reads it: all are linked, and one day they would not be."""
    assert FROM is not None
    last_3_6 = t.cast(Version, WAY[1])
    cluster = EtcdCluster(PROGRAMS[FROM], tmp_path)
    made = {name: Member(cluster, name, FROM) for name in NAMES}
    cluster.start(extra=("--snapshot-count=10",))
    try:
        client, url = client_of(cluster), cluster.client_urls["m1"]
        put(cluster, 5)
        old, cluster.peer_urls["m3"] = cluster.peer_urls["m3"], free_peer_url()
        cluster.stop("m3")
        both = f"--listen-peer-urls={old},{cluster.peer_urls['m3']}"
        cluster.start("m3", extra=(both, "--snapshot-count=10"))
        third = next(one.member_id for one in client.member_list(url) if one.name == "m3")
        wait_until_taken(lambda: client.member_update(url, third, cluster.peer_urls["m3"]))
        # It goes on to answer at both, so that all links are there. A snapshot is behind the change.
        put(cluster, 30)
        monkeypatch.setattr(minor_upgrade, "why_not_upgraded", lambda *_given: None)
        # Which would mend it, as long as no snapshot is behind that.
        monkeypatch.setattr(minor_upgrade, "members_are_written_again", lambda _target: False)
        with pytest.raises(ServiceError) as failed:
            upgrade(made["m1"], last_3_6)
        text = str(failed.value)
        assert f"member m3 is voter m3 at {old} here and voter m3 at {cluster.peer_urls['m3']} there" in text
        assert text.startswith("m1 did not stay with etcd 3.6") and "\n" not in text
        assert versions(cluster) == [FROM] * 3 and keys(cluster) == [30] * 3
    finally:
        cluster.stop()


def free_peer_url() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{one.getsockname()[1]}"


def wait_until_taken(change: t.Callable[[], object]) -> None:
    """For some seconds after a start etcd takes nothing, and then no change of its members."""
    for _turn in range(40):
        try:
            change()
        except api_refusals.ApiError:
            time.sleep(0.5)
        else:
            return
    raise AssertionError("etcd does not take it")
