# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of a snapshot: it comes here as a whole under a name of its own, or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import typing as t
from unittest import mock

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_snapshot as action
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS
from ansible_collections.ringfence.etcd.plugins.module_utils._member.snapshot import is_file_name
from ansible_collections.ringfence.etcd.plugins.modules import etcd_snapshot
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import gateway_server
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._etcd.test_snapshot_file import SNAPSHOT

SUM = hashlib.sha256(SNAPSHOT).hexdigest()
STATUS = {
    "header": {"cluster_id": "12", "member_id": "255", "revision": "7", "raft_term": "2"},
    "version": "3.5.16",
    "dbSize": "20480",
    "leader": "255",
    "raftIndex": "9",
}


class Host:
    """A host on which the module runs in this very process, with a folder of its own."""

    def __init__(self, folder: pathlib.Path, url: str) -> None:
        self.controller, self.remote = folder / "controller", folder / "remote"
        self.controller.mkdir()
        self.remote.mkdir()
        self.members = [{"name": "m1", "client_url": url}]
        self.given: list[dict[str, t.Any]] = []
        self.fetched: list[str] = []
        # What the host says in place of what is so.
        self.says: dict[str, t.Any] = {}

    def run(self, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
        connection = mock.Mock(transport="ssh", fetch_file=self._fetch)
        connection._shell.tmpdir = str(self.remote)
        connection._shell.join_path = os.path.join
        arguments = {"members": self.members, **given}
        plugin = action.ActionModule(
            task=mock.Mock(args=arguments, async_val=0, check_mode=check_mode, environment=None, delegate_to=None),
            connection=connection,
            play_context=mock.Mock(check_mode=check_mode),
            loader=mock.Mock(path_dwim=lambda path: str(self.controller / path)),
            templar=mock.Mock(),
            shared_loader_obj=mock.Mock(),
        )

        def execute(module_args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
            self.given.append(module_args)
            defaults = {name: option.get("default") for name, option in etcd_snapshot.ARGUMENT_SPEC.items()}
            try:
                found = etcd_snapshot.snapshot({**defaults, **module_args}, check_mode, NO_ACCESS)
            except RingfenceError as exc:
                return {"failed": True, "msg": str(exc), "problem": exc.problem, "details": exc.details}
            return {**found, **self.says}

        with mock.patch.object(plugin, "_execute_module", execute):
            result: dict[str, t.Any] = plugin.run(None, {"inventory_hostname": "etcd-1"})
        return result

    def _fetch(self, remote: str, local: str) -> None:
        self.fetched.append(remote)
        shutil.copyfile(remote, local)


@pytest.fixture
def host(tmp_path: pathlib.Path) -> t.Iterator[Host]:
    with gateway_server.running() as server:
        server.answers["/v3/maintenance/status"] = (200, STATUS)
        server.answers["/health?exclude=NOSPACE"] = (200, {"health": "true"})
        parts = ((SNAPSHOT[:-32], 0), (SNAPSHOT[-32:], 0))
        sent = [
            {"result": {"remaining_bytes": str(left), "blob": base64.b64encode(part).decode()}} for part, left in parts
        ]
        server.answers["/v3/maintenance/snapshot"] = (200, "".join(json.dumps(part) + "\n" for part in sent))
        yield Host(tmp_path, server.url)


@pytest.mark.parametrize("directory", ["snapshots", None, "~/of mine"])
def test_it_comes_here_and_is_whole(host: Host, directory: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(host.controller / "home"))
    (host.controller / "home").mkdir()
    given = {} if directory is None else {"directory": directory}
    result = host.run(**given)
    folder = host.controller / (directory or "~/.ringfence/snapshots").replace("~", "home")
    assert result["changed"] is True and os.path.dirname(result["path"]) == str(folder)
    path = pathlib.Path(result["path"])
    assert path.read_bytes() == SNAPSHOT and os.listdir(folder) == [path.name] and is_file_name(path.name)
    assert path.stat().st_mode & 0o7777 == 0o600 and folder.stat().st_mode & 0o7777 == 0o700
    assert (result["size"], result["sha256"]) == (len(SNAPSHOT), SUM)
    assert (result["member"], result["version"], result["revision"]) == ("m1", "3.5.16", 7)
    # By the connection's own transfer, out of the host's temporary folder.
    assert host.given == [{"members": host.members, "directory": str(host.remote)}]
    assert host.fetched == [str(host.remote / path.name)]


def test_check_mode_tells_the_folder_and_makes_none(host: Host) -> None:
    result = host.run(check_mode=True, directory="snapshots")
    assert result["changed"] is True and result["path"] == str(host.controller / "snapshots")
    assert (result["size"], result["sha256"]) == (20480, None)
    assert os.listdir(host.controller) == os.listdir(host.remote) == host.fetched == []


def test_what_is_kept_on_the_host_does_not_come_here(host: Host) -> None:
    folder = host.remote / "kept"
    given = {"keep_on": "host", "directory": str(folder)}
    result = host.run(**given)
    assert os.path.dirname(result["path"]) == str(folder) and os.path.exists(result["path"])
    # A path of the host is not for the controller to expand.
    assert host.given == [{"members": host.members, **given}]
    assert os.listdir(host.controller) == host.fetched == []


def test_a_failure_of_the_module_is_told_as_it_is(host: Host) -> None:
    result = host.run(directory="snapshots", from_member="m9")
    assert result["failed"] is True and result["msg"] == "m9 is no member: m1 are" and result["problem"] == "input"
    assert host.fetched == [] and os.listdir(host.controller / "snapshots") == []


def test_a_folder_that_can_not_be_one_is_told_before_a_member_is_asked(host: Host) -> None:
    (host.controller / "snapshots").write_text("a file")
    result = host.run(directory="snapshots")
    assert result["failed"] is True and "snapshots is a file, a directory is wanted" in result["msg"]
    assert host.given == []


@pytest.mark.parametrize("path", ["/remote/passwd", "/remote/..", "x-20260101T000000Z.db/", "-20260101T000000Z.db"])
def test_a_host_names_no_file_of_the_controllers(host: Host, path: str) -> None:
    host.says = {"path": path}
    result = host.run(directory="snapshots")
    assert result["failed"] is True and result["problem"] == "answer"
    assert "names no file of its own" in result["msg"] and "\n" not in result["msg"]
    assert host.fetched == [] and os.listdir(host.controller / "snapshots") == []


def test_a_folder_in_the_path_that_a_host_names_is_not_looked_at(host: Host) -> None:
    host.says = {"path": "/etc/blue-20260101T000000Z.db"}
    (host.remote / "blue-20260101T000000Z.db").write_bytes(SNAPSHOT)
    result = host.run(directory="snapshots")
    assert result["path"] == str(host.controller / "snapshots" / "blue-20260101T000000Z.db")
    assert host.fetched == [str(host.remote / "blue-20260101T000000Z.db")]


def cut(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(remote: str, local: str) -> None:
        pathlib.Path(local).write_bytes(SNAPSHOT[:-1])

    monkeypatch.setattr(host, "_fetch", fetch)


def exchange(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transfer that puts another file in the place of the one that is written."""

    def fetch(remote: str, local: str) -> None:
        os.unlink(local)
        pathlib.Path(local).write_bytes(SNAPSHOT)

    monkeypatch.setattr(host, "_fetch", fetch)


def lie(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.says = {"sha256": "0" * 64}


def large(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.says = {"size": 2**60}


@pytest.mark.parametrize(
    ("mishap", "words"),
    [
        (cut, "is damaged, or no snapshot"),
        (exchange, "did not come here as a whole: run again"),
        (lie, "did not come here as a whole: run again"),
        (large, "and 1099511627[0-9]* MiB are needed"),
    ],
)
def test_what_does_not_come_as_a_whole_leaves_nothing(
    host: Host, mishap: t.Callable[[Host, pytest.MonkeyPatch], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mishap(host, monkeypatch)
    result = host.run(directory="snapshots")
    assert result["failed"] is True and result["problem"] == "file" and "\n" not in result["msg"]
    assert re.search(words, result["msg"])
    assert os.listdir(host.controller / "snapshots") == []
