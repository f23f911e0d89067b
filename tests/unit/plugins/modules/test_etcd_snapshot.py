# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module takes a snapshot: of a real member where RINGFENCE_ETCD names one or more binaries."""

from __future__ import annotations

import hashlib
import itertools
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import api
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.snapshot_file import summed_file
from ansible_collections.ringfence.etcd.plugins.module_utils._member.snapshot import is_file_name
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

MEMBERS = [{"name": "m1", "client_url": "https://127.0.0.1:1"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "missing required arguments: members"),
        ({"members": MEMBERS, "client_key_file": "/x"}, "client_cert_file"),
        ({"members": MEMBERS, "client_cert_file": "/x", "client_key_file": "/y"}, "client_ca_file"),
        ({"members": MEMBERS, "keep_on": "moon"}, "value of keep_on must be one of: controller, host, got: moon"),
        ({"members": MEMBERS, "prefix": "a/b"}, "prefix: 'a/b': letters, digits"),
        ({"members": MEMBERS * 2}, "members: the member m1 is there twice"),
        ({"members": MEMBERS}, "an https URL needs the CA file (ca_file)"),
        ({"members": MEMBERS, "client_ca_file": "/none/ca.crt"}, "/none/ca.crt: no such file or directory"),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_bad_input_has_one_line_and_makes_no_folder(
    arguments: dict[str, t.Any], message: str, check_mode: bool, tmp_path: pathlib.Path
) -> None:
    directory = tmp_path / "kept"
    answer = run_module(
        "etcd_snapshot", {"directory": str(directory), "keep_on": "host", **arguments}, check_mode=check_mode
    )
    assert answer["failed"] and message in answer["msg"]
    assert "\n" not in answer["msg"] and not directory.exists()


def test_nobody_answers(tmp_path: pathlib.Path) -> None:
    arguments = {"members": [{"name": "m1", "client_url": "http://127.0.0.1:1"}], "directory": str(tmp_path / "kept")}
    answer = run_module("etcd_snapshot", {**arguments, "keep_on": "host"})
    assert answer["problem"] == "refused" and answer["msg"].startswith(
        "no snapshot is taken: no member is healthy (m1:"
    )
    answer = run_module("etcd_snapshot", {**arguments, "keep_on": "host", "from_member": "m1"})
    assert answer["problem"] == "refused" and answer["msg"].endswith("start etcd there")
    assert os.listdir(tmp_path) == []


@pytest.fixture(scope="module", params=BINARIES, ids=os.path.basename)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[EtcdCluster]:
    made = EtcdCluster(request.param, tmp_path_factory.mktemp("etcd"), size=1)
    made.start()
    try:
        client, deadline = client_of(made), time.monotonic() + 40
        while not client.health(made.client_urls["m1"]).healthy:
            assert time.monotonic() < deadline, made.log("m1")[-2000:]
            time.sleep(0.1)
        yield made
    finally:
        made.stop()


def client_of(cluster: EtcdCluster) -> api.Client:
    return api.client_of(cluster.ca_file, cluster.cert_file, cluster.key_file)


def wanted_of(cluster: EtcdCluster, directory: pathlib.Path, **other: str) -> dict[str, t.Any]:
    return {
        "members": [{"name": name, "client_url": url} for name, url in cluster.client_urls.items()],
        "directory": str(directory),
        "client_ca_file": cluster.ca_file,
        "client_cert_file": cluster.cert_file,
        "client_key_file": cluster.key_file,
        **other,
    }


@pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")
def test_check_mode_tells_what_would_be_taken(cluster: EtcdCluster, tmp_path: pathlib.Path) -> None:
    status = client_of(cluster).status(cluster.client_urls["m1"])
    # Also where the folder is there: it is not its size that is told.
    for directory, keep_on in itertools.product((tmp_path / "kept", tmp_path), ("host", "controller")):
        answer = run_module("etcd_snapshot", wanted_of(cluster, directory, keep_on=keep_on), check_mode=True)
        assert answer["changed"] is True and answer["path"] == str(directory)
        assert (answer["member"], answer["version"]) == ("m1", status.version)
        assert (answer["revision"], answer["size"]) == (status.revision, status.db_size)
        assert answer["sha256"] is None and os.listdir(tmp_path) == []


@pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")
def test_it_is_kept_on_the_host_for_its_owner_alone(cluster: EtcdCluster, tmp_path: pathlib.Path) -> None:
    kept = tmp_path / "a" / "kept"
    answer = run_module("etcd_snapshot", wanted_of(cluster, kept, keep_on="host", prefix="blue"))
    assert answer["changed"] is True and answer["member"] == "m1" and answer["revision"] >= 1
    (path,) = kept.iterdir()
    assert answer["path"] == str(path) and path.name.startswith("blue-") and is_file_name(path.name)
    assert kept.stat().st_mode & 0o7777 == 0o700 and path.stat().st_mode & 0o7777 == 0o600
    check_whole(answer, path)
    # A folder that is there stays as it is, and so does what is in it.
    kept.chmod(0o750)
    again = run_module("etcd_snapshot", wanted_of(cluster, kept, keep_on="host", prefix="green"))
    assert kept.stat().st_mode & 0o7777 == 0o750
    assert sorted(str(one) for one in kept.iterdir()) == [answer["path"], again["path"]]


def check_whole(answer: dict[str, t.Any], path: pathlib.Path) -> None:
    assert answer["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    with path.open("rb") as stream:
        assert summed_file(stream, "x").size == answer["size"] == path.stat().st_size


@pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")
def test_in_the_temporary_folder_it_is_for_who_takes_it_from_there(
    cluster: EtcdCluster, tmp_path: pathlib.Path
) -> None:
    """Root's module writes into the folder of the user who has logged in."""
    ids = (64123, 64124) if os.geteuid() == 0 else (os.geteuid(), tmp_path.stat().st_gid)
    os.chown(tmp_path, *ids)
    answer = run_module("etcd_snapshot", wanted_of(cluster, tmp_path, name="m1"))
    (path,) = tmp_path.iterdir()
    assert (path.stat().st_uid, path.stat().st_gid) == ids and path.stat().st_mode & 0o7777 == 0o600
    assert answer["path"] == str(path) and path.name.startswith("etcd-")
    check_whole(answer, path)
