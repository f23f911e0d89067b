# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots of real etcd processes: only where RINGFENCE_ETCD names one or more binaries (separated by colons)."""

from __future__ import annotations

import base64
import os
import pathlib
import time
import tracemalloc
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import api, api_access, snapshot_file
from ansible_collections.ringfence.etcd.plugins.module_utils._member import snapshot

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

VALUE = base64.b64encode(os.urandom(700_000)).decode()
KEYS = 12


@pytest.fixture(scope="module", params=BINARIES)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[EtcdCluster]:
    made = EtcdCluster(request.param, tmp_path_factory.mktemp("etcd"))
    made.start()
    try:
        client = client_of(made)
        deadline = time.monotonic() + 40
        while not all(client.health(url).healthy for url in made.client_urls.values()):
            assert time.monotonic() < deadline, made.log("m1")[-2000:]
            time.sleep(0.2)
        for number in range(KEYS):
            put(client, made.client_urls["m1"], f"key-{number:02}", VALUE)
        yield made
    finally:
        made.stop()


def client_of(cluster: EtcdCluster) -> api.Client:
    return api.client_of(cluster.ca_file, cluster.cert_file, cluster.key_file)


def put(client: api.Client, url: str, key: str, value: str) -> None:
    body = {"key": base64.b64encode(key.encode()).decode(), "value": value}
    client._call(url, "/v3/kv/put", body)


def choice(cluster: EtcdCluster, me: str | None = None) -> snapshot.Candidate:
    client = client_of(cluster)
    seen = [snapshot.look_at(client, name, url) for name, url in cluster.client_urls.items()]
    return snapshot.chosen(seen, me, None)[0]


def test_a_follower_is_asked(cluster: EtcdCluster) -> None:
    client = client_of(cluster)
    leader = client.status(cluster.client_urls["m1"]).leader
    led = next(name for name, url in cluster.client_urls.items() if client.status(url).member_id == leader)
    followers = sorted(set(cluster.names) - {led})
    assert choice(cluster).name == followers[0]
    assert choice(cluster, followers[1]).name == followers[1]
    assert choice(cluster, led).name == followers[0]


def test_a_snapshot_is_whole_and_never_in_memory(cluster: EtcdCluster, tmp_path: pathlib.Path) -> None:
    one = choice(cluster)
    path = tmp_path / "made.db"
    client = client_of(cluster)
    tracemalloc.start()
    try:
        made = snapshot.take(client, one, str(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.size == path.stat().st_size > KEYS * 700_000 and peak < 4_000_000
    assert path.stat().st_mode & 0o7777 == 0o600
    with path.open("rb") as stream:
        assert snapshot_file.summed_file(stream, "x") == made
    assert base64.b64decode(VALUE) in path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["made.db"]


def test_what_was_there_stays(cluster: EtcdCluster, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "made.db"
    path.write_text("mine")
    with pytest.raises(FileError, match=r"made\.db exists, and is not written over"):
        snapshot.take(client_of(cluster), choice(cluster), str(path))
    assert path.read_text() == "mine" and [entry.name for entry in tmp_path.iterdir()] == ["made.db"]


def test_a_member_alone_sends_its_own_where_the_quorum_is_gone(cluster: EtcdCluster, tmp_path: pathlib.Path) -> None:
    client = client_of(cluster)
    cluster.stop("m2", "m3")
    try:
        time.sleep(2)
        seen = [snapshot.look_at(client, name, url) for name, url in cluster.client_urls.items()]
        with pytest.raises(snapshot.RefusedError, match=r"no member is healthy .*etcd_peer_tls_snapshot_member"):
            snapshot.chosen(seen, None, None)
        one, status = snapshot.chosen(seen, None, "m1")
        made = snapshot.take(client, one, str(tmp_path / "made.db"))
        assert made.size > KEYS * 700_000 and status.revision == KEYS + 1
    finally:
        cluster.start("m2", "m3")


def test_where_rbac_is_on_a_user_who_may_takes_it(cluster: EtcdCluster, tmp_path: pathlib.Path) -> None:
    """The last test: RBAC is switched off again, and whoever is left out is told which role lacks."""
    plain = client_of(cluster)
    url = cluster.client_urls["m1"]
    # As who asks, a client pair without a common name.
    pair = {"cert_file": cluster.cert_file.replace("member", "nameless"), "key_file": cluster.key_file}
    clients = {
        user: api.client_of(
            cluster.ca_file,
            cluster.cert_file,
            cluster.key_file,
            api_access.ApiAccess(user=user, password="password", **pair),
        )
        for user in ("root", "guest")
    }
    plain._call(url, "/v3/auth/role/add", {"name": "root"})
    for user in clients:
        plain._call(url, "/v3/auth/user/add", {"name": user, "password": "password"})
    plain._call(url, "/v3/auth/user/grant", {"user": "root", "role": "root"})
    plain._call(url, "/v3/auth/enable", {})
    try:
        with pytest.raises(ServiceError, match="RBAC is on there: give etcd_peer_tls_api_user"):
            snapshot.take(plain, snapshot.Candidate("m1", url), str(tmp_path / "none.db"))
        assert snapshot.take(clients["root"], snapshot.Candidate("m1", url), str(tmp_path / "root.db")).size
        # Up to some patch versions any user may.
        try:
            snapshot.take(clients["guest"], snapshot.Candidate("m1", url), str(tmp_path / "guest.db"))
        except ServiceError as exc:
            assert "who needs the role: etcdctl user grant-role guest root" in str(exc)
            assert not (tmp_path / "guest.db").exists()
        assert "password" not in repr(clients)
    finally:
        clients["root"]._call(url, "/v3/auth/disable", {})
