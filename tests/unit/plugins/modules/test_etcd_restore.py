# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a restore by the module: with etcd's own programs where RINGFENCE_ETCD names one or more binaries.

systemd is told by the test; with real systemd it is in the lab.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.restored import restored_identity, token_of
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import api, restore_tool
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.trial import etcd_version
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import read_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._member import snapshot
from ansible_collections.ringfence.etcd.plugins.modules import etcd_restore
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._member.test_formed import IDS, form
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import NOTIFY, Host, text_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster

URLS = {"etcd-1": "https://10.0.0.1:2380", "etcd-2": "https://10.0.0.2:2380"}
MEMBERS = [{"name": name, "peer_url": url} for name, url in URLS.items()]
PEER_FLAG = f" --initial-advertise-peer-urls={URLS['etcd-1']}"
SUM = "0123456789abcdef" * 4


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(monkeypatch)
    monkeypatch.setattr(etcd_restore, "require_systemd", lambda: None)
    return made


def wanted_at(folder: pathlib.Path, state: str, **other: t.Any) -> dict[str, t.Any]:
    return {
        "state": state,
        "name": "etcd-1",
        "members": MEMBERS,
        "cluster_name": "etcd",
        "snapshot": "/none/etcd.db",
        "snapshot_sha256": SUM,
        "directory": str(folder / "pki"),
        "data_dir": str(folder / "data"),
        "owner": str(os.geteuid()),
        "group": str(os.getegid()),
        "etcd_binary": str(folder / "bin" / "etcd"),
        "unit_directory": str(folder),
        **other,
    }


def in_this_process(arguments: t.Mapping[str, t.Any], check_mode: bool = False) -> dict[str, t.Any]:
    """The module's answer with what Ansible makes of the arguments, where what systemd was told is looked at."""
    given = {name: option.get("default") for name, option in etcd_restore.ARGUMENT_SPEC.items()}
    return etcd_restore.run({**given, **arguments}, check_mode)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"state": "done"}, "value of state must be one of: planned, staged, stopped, placed, got: done"),
        ({"name": "etcd-3"}, "members: this host's member etcd-3 is not among etcd-1, etcd-2"),
        ({"members": []}, "is not among them"),
        ({"members": [{"name": "etcd-1"}]}, "the entry with name 'etcd-1' and peer_url None needs both"),
        ({"members": MEMBERS * 2}, "each name once"),
        ({"bump_revision": 2**53 + 1}, "bump_revision is 9007199254740993: give 0 to 9007199254740992"),
        ({"token": "a b"}, "etcd_peer_tls_restore_token: 'a b'"),
        ({"token": "etcd"}, "is the token of the cluster as it was"),
        ({"snapshot_sha256": "abc"}, "snapshot_sha256: 'abc' is no SHA-256: 64 digits are wanted"),
    ],
)
def test_bad_input_has_one_line(other: dict[str, t.Any], message: str, tmp_path: pathlib.Path) -> None:
    answer = run_module("etcd_restore", wanted_at(tmp_path, **{"state": "staged", **other}))
    assert answer["failed"] and message in answer["msg"] and "\n" not in answer["msg"]
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd runs here")
def test_without_systemd(tmp_path: pathlib.Path) -> None:
    answer = run_module("etcd_restore", wanted_at(tmp_path, "planned"))
    assert answer["problem"] == "service" and answer["msg"].startswith("systemd does not run this host")


@pytest.mark.parametrize(("owner", "exists"), [("root", True), ("no-such-user", False)])
def test_what_is_planned_changes_nothing(host: Host, tmp_path: pathlib.Path, owner: str, exists: bool) -> None:
    form(tmp_path)
    for check_mode in (False, True):
        answer = run_module("etcd_restore", wanted_at(tmp_path, "planned", owner=owner), check_mode=check_mode)
        assert answer["changed"] is False and answer["actions"] == answer["diff"] == []
        assert (answer["restored"], answer["has_run"], answer["running"]) == (False, False, False)
        assert answer["user_exists"] is exists and answer["member_id"] == IDS[0]
        assert answer["data"] == [f"{tmp_path}/data/member"] and answer["token"] == token_of("etcd", SUM, 0)
    # A snapshot's sum in capitals is the same snapshot; another token, or another revision, is another cluster.
    capitals = wanted_at(tmp_path, "planned", snapshot_sha256=SUM.upper())
    assert run_module("etcd_restore", capitals)["token"] == token_of("etcd", SUM, 0)
    assert run_module("etcd_restore", {**capitals, "bump_revision": 9})["token"] == token_of("etcd", SUM, 9)
    assert run_module("etcd_restore", {**capitals, "token": "mine"})["token"] == "mine"


@pytest.mark.parametrize(
    ("properties", "calls"),
    [
        ({"ActiveState": "active", "UnitFileState": "enabled"}, ["disable etcd.service", "stop etcd.service"]),
        ({"ActiveState": "activating", "UnitFileState": "disabled"}, ["stop etcd.service"]),
        ({"ActiveState": "failed", "UnitFileState": "enabled"}, ["disable etcd.service"]),
        ({"ActiveState": "inactive", "UnitFileState": "disabled"}, []),
        ({}, []),
    ],
)
def test_it_is_stopped_and_no_boot_starts_it(
    host: Host, tmp_path: pathlib.Path, properties: dict[str, str], calls: list[str]
) -> None:
    host.properties = properties
    (tmp_path / "etcd.service").write_text(text_of(str(tmp_path / "data"), PEER_FLAG))
    arguments = wanted_at(tmp_path, "stopped")
    diff = [
        {
            "before_header": "etcd.service",
            "after_header": "etcd.service",
            "before": "etcd.service runs or is enabled\n",
            "after": "etcd.service is off\n",
        }
    ]
    for check_mode in (True, False):
        assert host.calls == []
        answer = in_this_process(arguments, check_mode)
        assert answer["changed"] is bool(calls) and answer["actions"] == (["stop"] if calls else [])
        assert answer["diff"] == (diff if calls else [])
    assert host.calls == calls


def test_another_etcd_is_not_stopped(host: Host, tmp_path: pathlib.Path) -> None:
    host.properties = {"ActiveState": "active", "UnitFileState": "enabled"}
    unit = tmp_path / "etcd.service"
    # No unit's file, one that is not the role's, and one of another member.
    for text in (
        None,
        NOTIFY.replace("Environment=RINGFENCE_CONFIGURATION_HASH=\n", ""),
        text_of("/data", " --name=x"),
    ):
        if text is not None:
            unit.write_text(text)
        with pytest.raises(
            RefusedError, match=r"etcd\.service runs an etcd that is not member etcd-1: stop and disable"
        ):
            in_this_process(wanted_at(tmp_path, "stopped"))
    assert host.calls == []


def test_a_member_that_moves_at_the_same_time_is_refused(host: Host, tmp_path: pathlib.Path) -> None:
    unit = tmp_path / "etcd.service"
    unit.write_text(text_of("/data", f" --initial-advertise-peer-urls={URLS['etcd-2']}"))
    answer = run_module("etcd_restore", wanted_at(tmp_path, "planned"))
    assert answer["problem"] == "refused" and answer["msg"] == (
        f"etcd.service has the peer URL {URLS['etcd-2']} for etcd-1, and the inventory {URLS['etcd-1']}: restore with "
        "the old one, or move the unit's file away first"
    )
    unit.write_text(text_of("/data", PEER_FLAG))
    assert run_module("etcd_restore", wanted_at(tmp_path, "planned"))["changed"] is False


def test_data_that_can_not_be_read_is_put_aside_as_it_is(host: Host, tmp_path: pathlib.Path) -> None:
    form(tmp_path, b"no log at all")
    answer = run_module("etcd_restore", wanted_at(tmp_path, "placed"), check_mode=True)
    assert answer["changed"] is True and answer["member_id"] is None and answer["restored"] is False
    assert answer["data"] == [f"{tmp_path}/data/member"]
    assert answer["diff"][0]["before"] == "member none that can be read\n"
    assert answer["diff"][0]["after"].endswith(
        f"{tmp_path}/data/member is kept as {tmp_path}/data/member.before-restore-...\n"
    )


def test_nothing_is_put_in_place_of_a_member_that_runs_or_with_nothing_staged(
    host: Host, tmp_path: pathlib.Path
) -> None:
    form(tmp_path)
    (tmp_path / "etcd.service").write_text(text_of(str(tmp_path / "data"), PEER_FLAG))
    host.properties = {"ActiveState": "active"}
    with pytest.raises(RefusedError, match=r"etcd\.service was started again: stop it"):
        in_this_process(wanted_at(tmp_path, "placed"))
    host.properties = {"ActiveState": "inactive"}
    with pytest.raises(FileError, match=r"\.ringfence-restored has no data that was restored: run the same command"):
        in_this_process(wanted_at(tmp_path, "placed"))
    assert read_identity(str(tmp_path / "data")) == IDS and os.listdir(tmp_path / "data") == ["member"]


# With etcd's own programs ---------------------------------------------------------------------------------------------


class Taken(t.NamedTuple):
    """An etcd that has stopped, its folder, and a snapshot of it."""

    binary: str
    folder: pathlib.Path
    path: pathlib.Path
    sha256: str


@pytest.fixture(scope="module", params=BINARIES, ids=os.path.basename)
def taken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    beside = os.path.dirname(request.param)
    if not any(os.path.exists(os.path.join(beside, name)) for name in ("etcdutl", "etcdctl")):
        pytest.skip(f"no program that restores is in {beside}")
    folder = tmp_path_factory.mktemp("etcd")
    cluster = EtcdCluster(request.param, folder, size=1)
    cluster.start()
    try:
        client, url = api.client_of(cluster.ca_file, cluster.cert_file, cluster.key_file), cluster.client_urls["m1"]
        deadline = time.monotonic() + 40
        while not client.health(url).healthy:
            assert time.monotonic() < deadline, cluster.log("m1")[-2000:]
            time.sleep(0.1)
        made = snapshot.take(client, snapshot.Candidate("m1", url), str(folder / "etcd.db"))
    finally:
        cluster.stop()
    return Taken(request.param, pathlib.Path(cluster.data_dir("m1")), folder / "etcd.db", made.sha256)


@pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")
def test_it_is_staged_and_placed_and_the_second_run_changes_nothing(
    taken: Taken, host: Host, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(taken.folder, tmp_path / "data")
    (tmp_path / "etcd.db").write_bytes(taken.path.read_bytes())
    old = read_identity(str(tmp_path / "data"))
    assert old is not None
    token = token_of("etcd", taken.sha256, 0)
    new = restored_identity(token, URLS, "etcd-1")
    given = {
        "snapshot": str(tmp_path / "etcd.db"),
        "snapshot_sha256": taken.sha256.upper(),
        "etcd_binary": taken.binary,
    }

    def run(state: str, check_mode: bool = False) -> dict[str, t.Any]:
        return run_module("etcd_restore", wanted_at(tmp_path, state, **given), check_mode=check_mode)

    kept = os.listdir(tmp_path / "data")
    for check_mode in (True, False):
        assert os.listdir(tmp_path / "data") == kept
        answer = run("staged", check_mode)
        # What is beside the data only is no change yet.
        assert answer["changed"] is False and answer["actions"] == ["stage"] and answer["restored"] is False
        assert read_identity(str(tmp_path / "data")) == old
    staged = tmp_path / "data" / ".ringfence-restored"
    assert read_identity(str(staged / "new")) == new

    for check_mode in (True, False):
        assert staged.exists() and read_identity(str(tmp_path / "data")) == old
        answer = run("placed", check_mode)
        assert answer["changed"] is True and answer["actions"] == ["put_in_place"]
        assert answer["restored"] is not check_mode and answer["member_id"] == old[0] and answer["token"] == token
        member = f"{tmp_path}/data/member"
        assert answer["diff"] == [
            {
                "before_header": f"{tmp_path}/data",
                "after_header": f"{tmp_path}/data",
                "before": f"member {old[0]}\n",
                "after": f"member {new[0]}\n{member} is kept as {member}.before-restore-...\n",
            }
        ]
    (aside,) = answer["data"]
    assert aside.startswith(f"{member}.before-restore-")
    assert sorted(os.listdir(tmp_path / "data")) == sorted({*kept, os.path.basename(aside)})
    assert read_identity(str(tmp_path / "data")) == new and read_identity("/none", f"{aside}/wal") == old
    assert os.listdir(tmp_path / "pki") == ["etcd-1.formed"]
    for state in ("planned", "staged", "stopped", "placed"):
        answer = run(state)
        assert answer["changed"] is False and answer["actions"] == answer["diff"] == answer["data"] == []
        assert answer["restored"] is True and answer["has_run"] is False and answer["member_id"] == new[0]


@pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")
def test_what_can_not_be_staged_leaves_nothing(taken: Taken, host: Host, tmp_path: pathlib.Path) -> None:
    (tmp_path / "etcd.db").write_bytes(taken.path.read_bytes())
    (tmp_path / "link.db").symlink_to("etcd.db")
    given = {"snapshot": str(tmp_path / "etcd.db"), "snapshot_sha256": taken.sha256, "etcd_binary": taken.binary}
    (tmp_path / "other" / "bin").mkdir(parents=True)
    maker = tmp_path / "other" / "bin" / "etcdutl"
    real = next(
        path
        for name in restore_tool.programs_for(etcd_version(taken.binary))
        if os.path.exists(path := os.path.join(os.path.dirname(taken.binary), name))
    )
    # One that makes another member than the one that is wanted.
    maker.write_text(
        f'#!/bin/sh\nfor word; do shift; case $word in --initial-cluster-token=*) word="$word-x";; esac\n'
        f'set -- "$@" "$word"; done\nexec {real} "$@"\n'
    )
    maker.chmod(0o755)
    (tmp_path / "other" / "bin" / "etcd").symlink_to(taken.binary)
    cases: list[tuple[dict[str, t.Any], str, str]] = [
        ({"snapshot_sha256": SUM}, "file", "is not the snapshot that was checked: run again"),
        ({"snapshot": str(tmp_path / "none.db")}, "file", "no such file or directory"),
        ({"owner": "no-such-user"}, "file", "user no-such-user does not exist on this host"),
        ({"snapshot": str(tmp_path / "link.db")}, "file", "is not a regular file"),
        ({"etcd_binary": str(tmp_path / "none")}, "file", f"{tmp_path}/none"),
        ({"etcd_binary": str(maker.with_name("etcd"))}, "file", "nothing was stopped, and no data touched"),
    ]
    for other, problem, words in cases:
        answer = run_module("etcd_restore", wanted_at(tmp_path, "staged", **{**given, **other}))
        assert answer["failed"] is True and answer["problem"] == problem and words in answer["msg"], answer["msg"]
        assert "\n" not in answer["msg"]
        assert not (tmp_path / "data").exists() or os.listdir(tmp_path / "data") == []
