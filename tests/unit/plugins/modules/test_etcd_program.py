# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import os
import pathlib
import threading
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.modules import etcd_program
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.tiny_program import release, tiny_etcd
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module


def run(
    folder: pathlib.Path,
    archive: str,
    archive_sha256: str,
    check_mode: bool = False,
    fresh: bool = False,
    **other: t.Any,
) -> dict[str, t.Any]:
    arguments = {
        "etcd_binary": str(folder / "bin" / "etcd"),
        "archive": archive,
        "archive_sha256": archive_sha256,
        **other,
    }
    return run_module("etcd_program", arguments, check_mode=check_mode, fresh=fresh)


def names(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (folder / "bin").glob("*"))


def test_check_run_check_run(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "etcd").write_bytes(tiny_etcd("3.5.15"))
    (tmp_path / "bin" / "etcd").chmod(0o755)
    made = release(tmp_path / "etcd-v3.5.35-linux-amd64.tar.gz", "3.5.35")
    found = []
    for check_mode, changed in ((True, True), (False, True), (True, False), (False, False)):
        answer = run(tmp_path, *made, check_mode=check_mode)
        assert answer["changed"] is changed and answer["staged"] is True
        found.append(names(tmp_path))
        assert answer["version"] == "3.5.35" and answer["version_before"] == "3.5.15"
    waiting = [".etcd.ringfence-new", ".etcdctl.ringfence-new", "etcd"]
    assert found == [["etcd"], waiting, waiting, waiting]
    for check_mode, changed, left in ((True, True, waiting), (False, True, ["etcd"]), (False, False, ["etcd"])):
        answer = run_module(
            "etcd_program", {"state": "absent", "etcd_binary": str(tmp_path / "bin" / "etcd")}, check_mode=check_mode
        )
        assert (answer["changed"], answer["staged"], names(tmp_path)) == (changed, False, left)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"archive_sha256": "abc"}, "archive_sha256: 'abc' is no SHA-256"),
        ({"archive_sha256": ""}, "archive_sha256: '' is no SHA-256"),
        ({"timeout_seconds": 0}, "timeout_seconds is 0: give 1 to 86400"),
        ({"etcd_binary": "/usr/local/bin/etcdctl"}, "is no path for etcd's program"),
        ({"archive": "/nonexistent.tar.gz"}, "nonexistent.tar.gz does not exist: nothing was installed"),
        ({"archive": "/"}, "is a directory"),
    ],
)
def test_wrong_options(wrong: dict[str, t.Any], words: str, tmp_path: pathlib.Path) -> None:
    path, sha256 = release(tmp_path / "archive", "3.5.35")
    answer = run(tmp_path, **{"archive": path, "archive_sha256": sha256, **wrong})
    assert answer["failed"] and words in answer["msg"] and "\n" not in answer["msg"]
    assert not (tmp_path / "bin").exists()


def test_nothing_to_try(tmp_path: pathlib.Path) -> None:
    answer = run_module("etcd_program", {"etcd_binary": str(tmp_path / "etcd")})
    assert answer["failed"] and "archive, archive_sha256" in answer["msg"]


@pytest.fixture
def server(tmp_path: pathlib.Path) -> t.Iterator[str]:
    """A web server on this machine's loopback, with a folder of archives."""
    (tmp_path / "www").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: t.Any) -> None:
            super().__init__(*args, directory=str(tmp_path / "www"))

        def log_message(self, *args: t.Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_address[1]}"
        finally:
            found.shutdown()
            thread.join()


def test_from_a_url(server: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    _path, sha256 = release(tmp_path / "www" / "etcd.tar.gz", "3.5.35")
    assert run(tmp_path, f"{server}/etcd.tar.gz", sha256, check_mode=True, fresh=True)["version"] == "3.5.35"
    assert not (tmp_path / "bin").exists()
    assert run(tmp_path, f"{server}/etcd.tar.gz?token=secret", sha256, fresh=True)["staged"] is True
    with_password = server.replace("http://", "http://me:secret@")
    for url, sum_wanted, words in (
        (f"{server}/etcd.tar.gz?token=secret", "0" * 64, f"etcd.tar.gz has the SHA-256 {sha256}, wanted is 0000"),
        (f"{with_password}/no.tar.gz", sha256, f"{server}/no.tar.gz can't be fetched from this host: HTTP Error 404"),
        ("http://127.0.0.1:1/etcd.tar.gz", sha256, "http://127.0.0.1:1/etcd.tar.gz can't be fetched from this host"),
    ):
        answer = run(tmp_path, url, sum_wanted, fresh=True)
        assert answer["failed"] and words in answer["msg"] and "secret" not in answer["msg"], answer["msg"]
        assert "nothing was installed" in answer["msg"] and "\n" not in answer["msg"]


@pytest.mark.parametrize(
    ("archive", "url"),
    [
        ("https://host/etcd.tar.gz", True),
        ("HTTP://host/etcd.tar.gz", True),
        ("ftp://host/etcd.tar.gz", True),
        ("/srv/etcd.tar.gz", False),
        ("file:///srv/etcd.tar.gz", False),
        ("http:/srv", False),
    ],
)
def test_urls(archive: str, url: bool) -> None:
    assert etcd_program.is_url(archive) is url


def test_where_nothing_can_be_run_from_the_temporary_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In check mode, told and not guessed."""
    made = release(tmp_path / "archive", "3.5.35")
    bin_folder = str(tmp_path / "bin")
    monkeypatch.setattr(
        etcd_program.program_archive.trial, "is_mounted_noexec", lambda path: not str(path).startswith(bin_folder)
    )
    tried = etcd_program.program_archive.try_archive(
        *made, os.path.join(bin_folder, "etcd"), None, scratch=str(tmp_path)
    )
    assert tried.version is None and tried.staged and "was not tried here" in tried.warnings[0]
