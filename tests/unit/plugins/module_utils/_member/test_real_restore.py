# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restores by etcd's real programs: only where RINGFENCE_ETCD names one or more etcd binaries (separated by colons).

The program that restores is looked for beside each of them.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import os
import pathlib
import re
import subprocess
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.restored import restored_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import restore_tool, trial, wal
from ansible_collections.ringfence.etcd.plugins.module_utils._member import restore
from ansible_collections.ringfence.etcd.plugins.module_utils._member.formed import MemberPlace
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.ordinary_user import USER, ordinary_user

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.plugins.module_utils._member import snapshot
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._member.test_real_snapshot import (
        client_of,
        put,
    )
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

TOKEN = "etcd-restored-1"


class Taken(t.NamedTuple):
    """A cluster that is stopped, and a snapshot of what it had."""

    binary: str
    cluster: EtcdCluster
    folder: pathlib.Path
    snapshot: str
    sha256: str


@pytest.fixture(scope="module", params=BINARIES)
def taken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Taken]:
    folder = tmp_path_factory.mktemp("etcd")
    beside = os.path.dirname(request.param)
    if not any(os.path.exists(os.path.join(beside, name)) for name in ("etcdutl", "etcdctl")):
        pytest.skip(f"no program that restores is in {beside}")
    made = EtcdCluster(request.param, folder)
    made.start()
    try:
        wait_until_healthy(made)
        client = client_of(made)
        put(client, made.client_urls["m1"], "before", "YQ==")
        one = snapshot.look_at(client, "m2", made.client_urls["m2"])
        found = snapshot.take(client, one, str(folder / "etcd.db"))
        put(client, made.client_urls["m1"], "after", "YQ==")
    finally:
        made.stop()
    yield Taken(request.param, made, folder, str(folder / "etcd.db"), found.sha256)


def wait_until_healthy(cluster: EtcdCluster) -> None:
    client = client_of(cluster)
    deadline = time.monotonic() + 40
    while not all(client.health(url).healthy for url in cluster.client_urls.values()):
        assert time.monotonic() < deadline, cluster.log("m1")[-2000:]
        time.sleep(0.2)


def member(taken: Taken, name: str, token: str = TOKEN, wal_dir: str | None = None) -> restore.RestoredMember:
    place = MemberPlace(str(taken.folder / "pki"), name, taken.cluster.data_dir(name), wal_dir)
    return restore.RestoredMember(
        name, taken.cluster.peer_urls, token, place, "ringfence-none.service", str(taken.folder), taken.binary
    )


def tool(taken: Taken, bump_revision: int = 0) -> restore_tool.RestoreTool:
    return restore.tool_of(taken.binary, bump_revision)


def account() -> tuple[int, int]:
    return os.geteuid(), os.getegid()


def test_the_program_is_of_etcds_own_version(taken: Taken) -> None:
    found = tool(taken)
    version = trial.etcd_version(taken.binary)
    assert found.version.split(".")[:2] == version.split(".")[:2]
    beside = os.path.dirname(taken.binary)
    there = [name for name in restore_tool.programs_for(version) if os.path.exists(os.path.join(beside, name))]
    assert found.path == os.path.join(beside, there[0])


def test_a_cluster_comes_back_with_other_ids_and_the_old_data_beside_it(taken: Taken) -> None:
    cluster = taken.cluster
    before = {name: wal.read_identity(cluster.data_dir(name)) for name in cluster.names}
    kept = []
    for name in cluster.names:
        wanted = member(taken, name)
        found = restore.look(wanted)
        assert not found.restored and found.data == (f"{cluster.data_dir(name)}/member",)
        restore.stage(wanted, tool(taken), taken.snapshot, taken.sha256, account(), 0)
        assert restore.is_staged(wanted) and wal.read_identity(cluster.data_dir(name)) == before[name]
        kept += restore.put_in_place(wanted, datetime.datetime.now(datetime.timezone.utc))
    for name in cluster.names:
        wanted = member(taken, name)
        found = restore.look(wanted)
        assert found.restored and not found.has_run and found.data == ()
        assert wal.read_identity(cluster.data_dir(name)) == restored_identity(TOKEN, cluster.peer_urls, name)
        assert wal.was_formed(cluster.data_dir(name)) is True
        assert not [one for one in os.listdir(cluster.data_dir(name)) if "ringfence" in one]
    assert [wal.read_identity("/none", f"{path}/wal") for path in kept] == list(before.values())
    # With the token of the first formation in its flags still, as the role's unit has it.
    cluster.start()
    try:
        wait_until_healthy(cluster)
        client = client_of(cluster)
        url = cluster.client_urls["m3"]
        assert keys(client, url) == ["before"]
        assert client.status(url).cluster_id == restored_identity(TOKEN, cluster.peer_urls, "m3")[1]
        assert [one.name for one in client.member_list(url)] == cluster.names
        put(client, url, "later", "YQ==")
    finally:
        cluster.stop()
    assert all(restore.look(member(taken, name)).has_run for name in cluster.names)


def keys(client: t.Any, url: str) -> list[str]:
    answer = client._call(url, "/v3/kv/range", {"key": "AA==", "range_end": "AA==", "keys_only": True})
    return sorted(base64.b64decode(one["key"]).decode() for one in answer.get("kvs", ()))


def test_another_token_is_another_cluster_also_with_a_log_apart_and_a_raised_revision(taken: Taken) -> None:
    log = str(taken.folder / "log" / "m1")
    os.makedirs(os.path.dirname(log), exist_ok=True)
    wanted = member(taken, "m1", "another", log)
    assert not restore.look(wanted).restored
    version = trial.etcd_version(taken.binary)
    bump = 0
    if restore_tool.programs_for(version)[0] in tool(taken).path:
        bump = 1000
        assert tool(taken, bump) == tool(taken)
    else:
        with pytest.raises(ServiceError, match=r"etcdctl .*knows no --bump-revision"):
            tool(taken, 1000)
    restore.stage(wanted, tool(taken), taken.snapshot, taken.sha256, account(), bump)
    kept = restore.put_in_place(wanted, datetime.datetime.now(datetime.timezone.utc))
    assert len(kept) == 1 and os.listdir(log) and restore.look(wanted).restored
    # Once more, as after a kill between the two renames: what is there is put aside.
    again = member(taken, "m1", "third", log)
    restore.stage(again, tool(taken), taken.snapshot, taken.sha256, account(), 0)
    assert len(restore.put_in_place(again, datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc))) == 2


def test_a_damaged_snapshot_is_refused_and_nothing_stays(taken: Taken, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "damaged.db"
    content = bytearray(pathlib.Path(taken.snapshot).read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    wanted = member(taken, "m2", "other")
    with pytest.raises(FileError, match=r"damaged\.db is damaged, or no snapshot"):
        restore.stage(wanted, tool(taken), str(path), taken.sha256, account(), 0)
    assert not os.path.exists(wanted.staged)
    # The program itself says so, too, where nobody asked before.
    done = subprocess.run(
        [tool(taken).path, "snapshot", "restore", str(path), f"--data-dir={tmp_path}/x"],
        capture_output=True,
        text=True,
        check=False,
        env={"ETCDCTL_API": "3"},
    )
    assert done.returncode and re.search("expected sha256", done.stderr + done.stdout)


def test_a_program_that_fails_is_told_and_nothing_stays(taken: Taken) -> None:
    wanted = member(taken, "m2", "other")
    nonsense = dataclasses.replace(wanted, peer_urls=dict.fromkeys(("m1", "m2"), "nonsense"))
    with pytest.raises(ServiceError) as caught:
        restore.stage(nonsense, tool(taken), taken.snapshot, taken.sha256, account(), 0)
    assert "does not restore the snapshot: " in str(caught.value)
    assert not os.path.exists(wanted.staged)


def test_an_ordinary_user_stages_of_what_is_their_own(taken: Taken, open_folder: pathlib.Path) -> None:
    """As without root: nothing is given to anybody, and the program runs as who asks."""
    found, content = tool(taken), pathlib.Path(taken.snapshot).read_bytes()
    if os.geteuid() == 0:
        os.chown(open_folder, USER, USER)
    with ordinary_user() as user:
        path = open_folder / "etcd.db"
        path.write_bytes(content)
        place = MemberPlace(str(open_folder / "pki"), "m1", str(open_folder / "data"))
        wanted = dataclasses.replace(member(taken, "m1"), place=place)
        restore.stage(wanted, found, str(path), taken.sha256, (user, os.getegid()), 0)
    assert restore.is_staged(wanted) and path.stat().st_mode & 0o7777 != 0o400
    assert wal.read_identity(os.path.join(wanted.staged, "new")) == wanted.identity
    assert os.stat(os.path.join(wanted.staged, "new", "member")).st_uid == user
