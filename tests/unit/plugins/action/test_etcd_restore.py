# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side of a restore: what leaves it is the snapshot that was checked, and only where it is needed."""

from __future__ import annotations

import hashlib
import os
import pathlib
import typing as t
from unittest import mock

import pytest
from ansible import constants
from ansible_collections.ringfence.etcd.plugins.action import etcd_restore as action
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.snapshot_file import summed
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._etcd.test_snapshot_file import SNAPSHOT

SUM = hashlib.sha256(SNAPSHOT).hexdigest()
GIVEN = {
    "name": "m1",
    "members": [{"name": "m1", "peer_url": "https://10.0.0.1:2380"}],
    "cluster_name": "etcd",
    "data_dir": "~/data",
}
ANSWER = {
    "changed": True,
    "restored": False,
    "has_run": False,
    "running": False,
    "user_exists": True,
    "member_id": None,
    "token": "etcd-1",
    "data": [],
    "actions": ["stage"],
}


class Controller:
    """The controller, and what has gone to the host."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.local = folder, folder / "local"
        self.local.mkdir()
        monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(self.local))
        self.files: dict[str, bytes] = {}
        self.readable: list[tuple[str, ...]] = []
        self.module: dict[str, t.Any] | None = None
        self.transfer_error: Exception | None = None

    def run(self, state: str, check_mode: bool = False, **given: t.Any) -> dict[str, t.Any]:
        connection = mock.Mock(transport="ssh")
        connection._shell.tmpdir = "/remote"
        connection._shell.join_path = os.path.join
        plugin = action.ActionModule(
            task=mock.Mock(
                args={**GIVEN, "state": state, **given},
                async_val=0,
                check_mode=check_mode,
                environment=None,
                delegate_to=None,
            ),
            connection=connection,
            play_context=mock.Mock(check_mode=check_mode),
            loader=mock.Mock(path_dwim=lambda path: str(self.folder / path)),
            templar=mock.Mock(),
            shared_loader_obj=mock.Mock(),
        )
        plugin._load_name = "etcd_restore"

        def transfer(source: str, target: str) -> None:
            assert os.stat(source).st_mode & 0o7777 == 0o600
            if self.transfer_error is not None:
                raise self.transfer_error
            self.files[target] = pathlib.Path(source).read_bytes()

        def execute(module_args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
            self.module = module_args
            return dict(ANSWER)

        with mock.patch.multiple(
            plugin, _transfer_file=transfer, _execute_module=execute, _fixup_perms2=self.readable.append
        ):
            result: dict[str, t.Any] = plugin.run(None, {"inventory_hostname": "m1"})
        # Whatever happened: no second snapshot stays on the controller.
        assert os.listdir(self.local) == []
        return result


@pytest.fixture
def controller(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Controller:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for folder in (tmp_path, tmp_path / "home"):
        (folder / "etcd.db").write_bytes(SNAPSHOT)
    return Controller(tmp_path, monkeypatch)


@pytest.mark.parametrize("path", ["etcd.db", "~/etcd.db", "{folder}/etcd.db"])
@pytest.mark.parametrize("wanted", [None, SUM, SUM.upper()])
def test_what_is_staged_is_sent(controller: Controller, path: str, wanted: str | None) -> None:
    given: dict[str, t.Any] = {"snapshot": path.format(folder=controller.folder), "snapshot_sha256": wanted}
    result = controller.run("staged", **given)
    assert result == ANSWER
    assert controller.files == {"/remote/snapshot.db": SNAPSHOT}
    assert controller.readable == [("/remote", "/remote/snapshot.db")]
    # A path of the host is not for the controller to expand.
    assert controller.module == {
        **GIVEN,
        "state": "staged",
        "snapshot": "/remote/snapshot.db",
        "snapshot_sha256": SUM,
    }


@pytest.mark.parametrize(
    ("state", "check_mode"), [("planned", False), ("stopped", False), ("placed", False), ("staged", True)]
)
def test_for_all_else_only_its_sum_is_told(controller: Controller, state: str, check_mode: bool) -> None:
    assert controller.run(state, check_mode, snapshot="etcd.db", token="mine") == ANSWER
    assert not controller.files
    assert controller.module == {
        **GIVEN,
        "state": state,
        "snapshot": "etcd.db",
        "snapshot_sha256": SUM,
        "token": "mine",
    }


@pytest.mark.parametrize("state", ["planned", "staged"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"snapshot": "missing"}, "/missing is not on the controller: name a snapshot that playbook backup has made"),
        ({"snapshot": "home"}, "/home is a directory, not a file"),
        ({"snapshot": "pipe"}, "/pipe is not a regular file"),
        ({"snapshot": "lost"}, "can't read {folder}/lost: no such file or directory"),
        ({"snapshot": "secret"}, "/secret is no snapshot of etcd"),
        ({"snapshot": "cut.db"}, "/cut.db is damaged, or no snapshot"),
        (
            {"snapshot": "etcd.db", "snapshot_sha256": "A" * 64},
            f"has the SHA-256 {SUM}, wanted is {'a' * 64}: it is another",
        ),
        ({"snapshot": "etcd.db", "snapshot_sha256": "abc"}, "snapshot_sha256: 'abc' is no SHA-256"),
        ({"snapshot": "etcd.db", "token": "etcd"}, "is the token of the cluster as it was"),
        ({"snapshot": "etcd.db", "name": "m2"}, "members: this host's member m2 is not among m1"),
        ({"snapshot": "etcd.db", "bump_revision": -1}, "bump_revision is -1"),
        ({"snapshot": "etcd.db", "surprise": 1}, "surprise"),
    ],
)
def test_nothing_else_leaves_the_controller(
    controller: Controller, state: str, given: dict[str, t.Any], words: str
) -> None:
    (controller.folder / "secret").write_text("the CA's key")
    (controller.folder / "cut.db").write_bytes(SNAPSHOT[:-1])
    (controller.folder / "lost").symlink_to("nowhere")
    os.mkfifo(controller.folder / "pipe")
    result = controller.run(state, **given)
    assert result["failed"] is True and words.format(folder=controller.folder) in result["msg"]
    assert "\n" not in result["msg"] and not controller.files and controller.module is None


def test_what_was_summed_is_what_is_sent(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever exchanges the file in between gets nothing else sent."""
    path = controller.folder / "etcd.db"

    def sum_and_exchange(blocks: t.Iterable[bytes], called: str) -> t.Any:
        found = summed(blocks, called)
        path.unlink()
        path.write_text("the CA's key")
        return found

    monkeypatch.setattr(action, "summed", sum_and_exchange)
    assert controller.run("staged", snapshot="etcd.db") == ANSWER
    assert controller.files == {"/remote/snapshot.db": SNAPSHOT}


def test_where_it_can_not_be_sent_no_copy_stays(controller: Controller) -> None:
    controller.transfer_error = FileError("the host has no room")
    result = controller.run("staged", snapshot="etcd.db")
    assert result["failed"] is True and result["msg"] == "the host has no room" and controller.module is None


def test_the_controllers_room_is_asked_for_first(controller: Controller) -> None:
    """A sparse file, larger than any disk here: none of it is read."""
    large = controller.folder / "large.db"
    large.touch()
    os.truncate(large, 2**43)
    result = controller.run("staged", snapshot="large.db")
    assert result["failed"] is True and "8388609 MiB are needed" in result["msg"]
    assert not controller.files and controller.module is None
