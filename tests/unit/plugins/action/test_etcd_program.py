# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's side: what leaves it is the archive that was meant, and nothing else."""

from __future__ import annotations

import hashlib
import os
import pathlib
import typing as t
from unittest import mock

import pytest
from ansible import constants
from ansible_collections.ringfence.etcd.plugins.action import etcd_program as action
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.tiny_program import release


class Sent:
    """What went to the host."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.module: dict[str, t.Any] | None = None


def run(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, **given: t.Any) -> tuple[dict[str, t.Any], Sent]:
    local = tmp_path / "local"
    local.mkdir(exist_ok=True)
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(local))
    sent = Sent()
    connection = mock.Mock(transport="ssh")
    connection._shell.tmpdir = "/remote"
    connection._shell.join_path = os.path.join
    task = mock.Mock(args=given, async_val=0, check_mode=False, environment=None, delegate_to=None)
    loader = mock.Mock()
    loader.path_dwim = lambda path: str(tmp_path / path)
    plugin = action.ActionModule(
        task=task,
        connection=connection,
        play_context=mock.Mock(check_mode=False),
        loader=loader,
        templar=mock.Mock(),
        shared_loader_obj=mock.Mock(),
    )

    def transfer(source: str, target: str) -> None:
        sent.files[target] = pathlib.Path(source).read_bytes()

    def execute(module_args: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        sent.module = module_args
        tried = {"version": "3.5.35", "version_before": None, "programs": []}
        return {"changed": True, "staged": True, **({} if module_args.get("state") == "absent" else tried)}

    with mock.patch.multiple(plugin, _transfer_file=transfer, _execute_module=execute, _fixup_perms2=mock.Mock()):
        result = plugin.run(None, {})
    assert os.listdir(local) == []
    return result, sent


def test_the_archive_is_sent_and_the_module_told(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sha256 = release(tmp_path / "etcd v3.5.35.tar.gz", "3.5.35")
    for given in (path, "etcd v3.5.35.tar.gz"):
        result, sent = run(tmp_path, monkeypatch, archive=given, archive_sha256=sha256, etcd_binary="~/bin/etcd")
        assert result["changed"] is True
        assert sent.files == {"/remote/etcd_v3.5.35.tar.gz": pathlib.Path(path).read_bytes()}
        # A path of the host is not for the controller to expand.
        assert sent.module == {
            "archive": "/remote/etcd_v3.5.35.tar.gz",
            "archive_sha256": sha256,
            "etcd_binary": "~/bin/etcd",
        }


def test_a_url_is_the_hosts_to_fetch(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"archive": "https://host/etcd.tar.gz", "archive_sha256": "a" * 64}
    _result, sent = run(tmp_path, monkeypatch, **given)
    assert sent.module == given and not sent.files
    _result, sent = run(tmp_path, monkeypatch, state="absent")
    assert sent.module == {"state": "absent"}


EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("archive", "sha256", "words"),
    [
        (".", EMPTY, "is a directory"),
        ("link", EMPTY, "is a directory"),
        ("missing", EMPTY, "does not exist"),
        ("/dev/null", EMPTY, "is not a regular file"),
        ("pipe", EMPTY, "is not a regular file"),
        ("secret", EMPTY, "has the SHA-256"),
        ("secret", "", "archive_sha256: '' is no SHA-256"),
        ("file:///etc/shadow", EMPTY, "archive: file:// is not known"),
        ("", EMPTY, "is a directory"),
    ],
)
def test_nothing_else_leaves_the_controller(
    archive: str, sha256: str, words: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("the CA's key")
    (tmp_path / "link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    result, sent = run(tmp_path, monkeypatch, archive=archive, archive_sha256=sha256)
    assert result["failed"] is True and words in result["msg"] and "\n" not in result["msg"]
    assert not sent.files and sent.module is None


def test_what_was_summed_is_what_is_sent(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever exchanges the file in between gets nothing else sent."""
    path, sha256 = release(tmp_path / "etcd.tar.gz", "3.5.35")
    meant = pathlib.Path(path).read_bytes()
    check = action.check_sum

    def check_and_exchange(*given: str) -> None:
        check(*given)
        os.unlink(path)
        pathlib.Path(path).write_text("the CA's key")

    monkeypatch.setattr(action, "check_sum", check_and_exchange)
    _result, sent = run(tmp_path, monkeypatch, archive=path, archive_sha256=sha256)
    assert list(sent.files.values()) == [meant]
