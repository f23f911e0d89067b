# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What would be lost with an etcd that is not ours: this process plays it, with real files, sockets and answers."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import ssl
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.foreign import (
    user_of,
    where_its_data_is,
    why_not_replaced,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign import client_port, other_etcd
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import SettingsInEffect
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.gateway_server import GatewayServer, running

HEADER = {"cluster_id": str(0xCC), "member_id": str(0xAA)}
ALONE = [{"ID": str(0xAA), "name": "default", "peerURLs": ["http://localhost:2380"]}]
ANSWERS: dict[str, tuple[int, t.Any]] = {
    "/v3/maintenance/status": (200, {"header": HEADER, "version": "3.5.16"}),
    "/v3/cluster/member/list": (200, {"header": HEADER, "members": ALONE}),
    "/v3/kv/range": (200, {"header": HEADER}),
}
ROOT_KEY = issue("etcd CA", is_ca=True)


@pytest.fixture
def data(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[pathlib.Path]:
    """A data folder that this process has open."""
    folder = tmp_path / "pg"
    (folder / "member" / "snap").mkdir(parents=True)
    # A session's scope holds more than this process.
    monkeypatch.setattr(processes, "together_with", lambda pid: [pid])
    with (folder / "member" / "snap" / "db").open("w"):
        yield folder


@pytest.fixture
def server(data: pathlib.Path) -> t.Iterator[GatewayServer]:
    with running() as made:
        made.answers.update(ANSWERS)
        yield made


def gather(settings: SettingsInEffect | None = None) -> dict[str, t.Any]:
    return dict(other_etcd.running_etcd("/u", os.getpid(), settings))


def test_one_that_is_empty_and_alone(server: GatewayServer, data: pathlib.Path) -> None:
    found = gather()
    assert found == {
        "unit_path": "/u",
        "running": True,
        "pid": os.getpid(),
        "data_dir": str(data),
        "has_data": True,
        "key_count": 0,
        "members": ["default"],
        "cluster_id": "cc",
        "problem": None,
    }
    assert why_not_replaced(found) is None
    assert (
        "/v3/kv/range",
        {"key": "AA==", "range_end": "AA==", "count_only": True, "serializable": True},
    ) in server.asked


TWO = [*ALONE, {"ID": "5", "peerURLs": ["http://10.0.0.2:2380"]}]


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        ("/v3/kv/range", (200, {"count": "296"}), "holds 296 keys"),
        ("/v2/keys/", (200, {"node": {"nodes": [{"key": "/a"}, {"key": "/b"}]}}), "holds 2 keys"),
        ("/v2/keys/", (200, {"node": {"dir": True}}), None),
        ("/v2/keys/", (401, {"message": "no"}), "v2/keys/: HTTP 401"),
        ("/v2/keys/", (200, []), "v2/keys/: HTTP 200"),
        ("/v3/cluster/member/list", (200, {"members": TWO}), "one of 2 members (http://10.0.0.2:2380, default)"),
        ("/v3/cluster/member/list", (200, {"members": TWO[1:]}), "not among the members"),
        ("/v3/cluster/member/list", (200, {}), "no members"),
        ("/v3/maintenance/status", (200, {}), "not etcd's answer"),
        ("/v3/maintenance/status", (404, "404 page not found"), "HTTP 404"),
        ("/v3/kv/range", (400, {"error": "etcdserver: user name is empty", "code": 3}), "user name is empty"),
        ("/v3/kv/range", (200, "not JSON"), "kv/range: HTTP 200"),
    ],
)
def test_what_it_answers(server: GatewayServer, path: str, answer: tuple[int, t.Any], why: str | None) -> None:
    server.answers[path] = answer
    found = why_not_replaced(gather())
    assert found == why if why is None else why in str(found)


def test_its_own_client_port_is_asked_first(server: GatewayServer, data: pathlib.Path) -> None:
    with running() as peer:
        settings = SettingsInEffect(listen_client_urls=(server.url, "http://[::1", "unix://x:1"))
        addresses = client_port.client_ports(processes.open_files(os.getpid()) or (), settings.listen_client_urls)
        assert addresses[0] == ("127.0.0.1", server.server_address[1])
        assert ("127.0.0.1", peer.server_address[1]) in addresses
        assert why_not_replaced(gather()) is None


def test_one_that_listens_nowhere(data: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "listeners", list)
    assert "listens at no port" in str(why_not_replaced(gather()))

    def fail() -> t.Any:
        raise PermissionError("no")

    monkeypatch.setattr(processes, "listeners", fail)
    assert gather()["key_count"] is None and why_not_replaced(gather()) is not None


def test_asking_has_an_end(server: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_port, "_ASKING_SECONDS", -1.0)
    assert "did not answer in time" in str(why_not_replaced(gather())) and server.asked == []


@contextlib.contextmanager
def tls_server(folder: pathlib.Path, client_auth: bool) -> t.Iterator[tuple[GatewayServer, dict[str, str | None]]]:
    leaf = issue("etcd-1", ROOT_KEY, names=("etcd-1.example.com",))
    files: dict[str, str | None] = {}
    for name, text in (("cert_file", leaf.pem), ("key_file", leaf.key_pem), ("trusted_ca_file", ROOT_KEY.pem)):
        files[name] = str(folder / name)
        (folder / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(files["cert_file"]), files["key_file"])
    if client_auth:
        context.load_verify_locations(files["trusted_ca_file"])
        context.verify_mode = ssl.CERT_REQUIRED
    with running(context) as server:
        server.answers.update(ANSWERS)
        yield server, files


@pytest.mark.parametrize("client_auth", [True, False])
@pytest.mark.parametrize("missing", [None, "trusted_ca_file", "key_file", "cert_file"])
def test_tls_as_far_as_its_own_files_allow(
    data: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, client_auth: bool, missing: str | None
) -> None:
    with tls_server(tmp_path, client_auth) as (_server, files):
        if missing:
            files[missing] = None
        monkeypatch.setattr(other_etcd, "_settings_of", lambda pid: SettingsInEffect(files=files))
        found = gather()
    # Without the pair there is nothing to show; without the CA the server's own certificate stands for it.
    counted = missing in (None, "trusted_ca_file") or not client_auth
    assert found["key_count"] == (0 if counted else None), found
    assert (why_not_replaced(found) is None) is counted


def test_files_that_can_not_be_used_are_passed_over(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca").write_text("rubbish")
    files = {"trusted_ca_file": str(tmp_path / "ca"), "cert_file": "/none", "key_file": "/none"}
    assert client_port.contexts_of(files) == [None]


def test_a_process_without_a_data_folder_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "together_with", lambda pid: [pid])
    monkeypatch.setattr(processes, "open_files", lambda pid: [])
    assert "no data folder of etcd open" in str(why_not_replaced(gather()))
    monkeypatch.setattr(processes, "open_files", lambda pid: None)
    assert "can't be seen" in str(why_not_replaced(gather()))


def test_several_in_one_unit_are_unknown(data: pathlib.Path) -> None:
    other = data.parent / "b"
    (other / "member" / "snap").mkdir(parents=True)
    with (other / "member" / "snap" / "db").open("w"):
        assert f"several data folders open ({other}, {data})" in str(why_not_replaced(gather()))


def test_behind_a_wrapper_it_is_another_process(server: GatewayServer, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {1: ["/dev/null"], os.getpid(): processes.open_files(os.getpid())}
    monkeypatch.setattr(processes, "together_with", lambda pid: [1, os.getpid()])
    monkeypatch.setattr(processes, "open_files", lambda pid: files[pid])
    found = dict(other_etcd.running_etcd(None, 1, None))
    assert found["pid"] == os.getpid() and why_not_replaced(found) is None


def test_a_unit_that_was_changed_since_names_other_data(server: GatewayServer, data: pathlib.Path) -> None:
    other = data.parent / "other"
    settings = SettingsInEffect(data_dir=str(other), wal_dir=str(data.parent / "wal"))
    assert why_not_replaced(gather(settings)) is None
    (other / "member").mkdir(parents=True)
    assert f"its unit now names {other}, where there is data too" in str(why_not_replaced(gather(settings)))
    shutil.rmtree(other)
    (data.parent / "wal").mkdir()
    (data.parent / "wal" / "0-0.wal").write_text("")
    assert "/wal, where there is data" in str(why_not_replaced(gather(settings)))
    assert why_not_replaced(gather(SettingsInEffect(data_dir=f"{data}/"))) is None
    assert why_not_replaced(gather(SettingsInEffect(problem="a script"))) is None


def stopped(settings: SettingsInEffect) -> dict[str, t.Any]:
    return dict(other_etcd.stopped_etcd("/u", settings))


def test_a_stopped_one(tmp_path: pathlib.Path) -> None:
    folder, wal = tmp_path / "d", tmp_path / "w"
    settings = SettingsInEffect(program="/none/etcd", data_dir=str(folder), wal_dir=str(wal))
    for make in (lambda: None, folder.mkdir, wal.mkdir):
        make()
        found = stopped(settings)
        assert (found["has_data"], found["key_count"], found["members"]) == (False, 0, [])
        assert why_not_replaced(found) is None
    (wal / "0000000000000000-0000000000000000.wal").write_text("rubbish")
    found = stopped(settings)
    assert (found["has_data"], found["key_count"], found["cluster_id"]) == (True, None, None)
    assert why_not_replaced(found) == "is stopped, so that its keys can't be counted"
    (wal / "0000000000000000-0000000000000000.wal").unlink()
    (folder / "member").mkdir()
    assert why_not_replaced(stopped(settings)) == "is stopped, so that its keys can't be counted"


def test_a_stopped_one_that_is_not_known(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "can't be told to be empty (a reason)" in str(
        why_not_replaced(stopped(SettingsInEffect(problem="a reason")))
    )
    assert "not known" in str(why_not_replaced(stopped(SettingsInEffect())))
    script = tmp_path / "etcd"
    script.write_text("#!/bin/sh\n")
    settings = SettingsInEffect(program=str(script), data_dir=str(tmp_path / "d"))
    assert f"{script} is a script" in str(why_not_replaced(stopped(settings)))
    shutil.copy("/bin/true", script)
    assert why_not_replaced(stopped(settings)) is None
    script.unlink()
    script.mkdir()
    assert str(script) in str(why_not_replaced(stopped(settings)))

    def fail(_path: str) -> t.Any:
        raise PermissionError(13, "no")

    monkeypatch.setattr(os, "scandir", fail)
    assert "can't be looked into" in str(why_not_replaced(stopped(SettingsInEffect(data_dir=str(tmp_path)))))


def test_what_can_not_be_told_at_all() -> None:
    found = dict(other_etcd.unknown_etcd("/u", "systemctl\nfailed"))
    assert why_not_replaced(found) == "can't be told to be empty (systemctl failed)"


def test_only_what_was_counted_is_replaced() -> None:
    """The one place that allows it: whatever is missing, or of another kind, does not."""
    running_one = {"running": True, "has_data": True, "key_count": 0, "members": ["a"], "problem": None}
    stopped_one = {"running": False, "has_data": False, "key_count": 0, "members": [], "problem": None}
    for sound in (running_one, stopped_one):
        assert why_not_replaced(sound) is None
        for key in ("running", "key_count", "members"):
            assert why_not_replaced({name: value for name, value in sound.items() if name != key}) is not None
        for key, value in (
            ("key_count", False),
            ("key_count", "0"),
            ("key_count", 0.0),
            ("key_count", -1),
            ("members", None),
            ("members", "a"),
            ("members", ["a", "b"]),
            ("problem", "x"),
        ):
            assert why_not_replaced({**sound, key: value}) is not None, (sound, key, value)
    assert why_not_replaced({**running_one, "members": []}) is not None
    assert why_not_replaced({**stopped_one, "members": ["a"]}) is not None
    for value in (True, None):
        assert why_not_replaced({**stopped_one, "has_data": value}) is not None


def test_words() -> None:
    assert user_of({"pid": 1, "program": "etcd", "unit": "a.service"}) == "etcd (pid 1, of a.service)"
    assert user_of({"pid": 1}) == "a process (pid 1)"
    assert user_of({"unit": "a.service"}) == "a.service"
    assert user_of({}) == "a process that can't be seen from here"
    assert where_its_data_is({}) == "a folder that can't be told"
