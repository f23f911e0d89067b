# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import json
import pathlib
import re
import threading
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils import _etcd_api
from ansible_collections.ringfence.etcd.plugins.module_utils._errors import CryptoError, FileError, InputError


class Server(http.server.ThreadingHTTPServer):
    """Answers as etcd's gateway does: path → (status, body)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, t.Any]] = {}
        self.asked: list[tuple[str, t.Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.asked.append((self.path, json.loads(self.rfile.read(length)) if length else None))
        status, answer = self.server.answers.get(self.path, (404, "404 page not found\n"))
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: t.Any) -> None:
        pass


@pytest.fixture
def server() -> t.Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


CLIENT = _etcd_api.Client(None, 2.0)


@pytest.mark.parametrize(
    ("answer", "healthy", "problem"),
    [
        ((200, {"health": "true"}), True, None),
        ((200, {"health": True}), True, None),
        ((503, {"health": "false", "reason": "RAFT NO LEADER"}), False, r"HTTP 503, not healthy \(RAFT NO LEADER\)"),
        ((200, {"health": "false"}), False, "HTTP 200, not healthy"),
        ((404, "404 page not found"), False, "HTTP 404, not etcd's answer"),
        ((200, "[]"), False, "not healthy"),
    ],
)
def test_health(answer: tuple[int, t.Any], healthy: bool, problem: str | None, server: Server) -> None:
    server.answers["/health"] = answer
    health = CLIENT.health(server.url)
    assert health.healthy is healthy
    if problem is None:
        assert health.problem is None
    else:
        assert health.problem is not None and health.problem.startswith(f"{server.url}/health: ")
        assert re.search(problem, health.problem)


def test_nobody_listens(server: Server) -> None:
    url = "http://127.0.0.1:1"
    assert CLIENT.health(url) == _etcd_api.Health(False, "http://127.0.0.1:1/health: connection refused")
    assert _etcd_api.count_keys_plain(url, 1.0) is None


def test_active_peers() -> None:
    text = (
        "# TYPE etcd_network_active_peers gauge\n"
        'etcd_network_active_peers{Local="1",Remote="2a"} 1\n'
        'etcd_network_active_peers{Local="1",Remote="3b"} 0\n'
        'etcd_network_active_peers{Remote="4c",Local="1"} 1e+00\n'
        'etcd_network_disconnected_peers_total{Local="1",Remote="5d"} 7\n'
    )
    assert _etcd_api.parse_active_peers(text) == {"2a": 1, "3b": 0, "4c": 1}
    assert _etcd_api.parse_active_peers("") == {}


def test_member_list(server: Server) -> None:
    server.answers["/v3/cluster/member/list"] = (
        200,
        {
            "members": [
                {"ID": "10276657743932975437", "name": "b", "peerURLs": ["p"], "clientURLs": ["c"], "isLearner": True},
                {"ID": "1", "peerURLs": ["q"]},
            ]
        },
    )
    assert CLIENT.member_list(server.url) == [
        _etcd_api.LiveMember("1", "", ("q",), (), False),
        _etcd_api.LiveMember("8e9e05c52164694d", "b", ("p",), ("c",), True),
    ]
    server.answers["/v3/cluster/member/list"] = (200, {})
    with pytest.raises(_etcd_api.ApiError, match="has no members"):
        CLIENT.member_list(server.url)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ((200, {"ID": "5", "TTL": "45"}), None, ""),
        (
            (
                412,
                {"error": "etcdserver: lease already exists", "message": "etcdserver: lease already exists", "code": 9},
            ),
            _etcd_api.LockHeldError,
            "already exists",
        ),
        # The same gRPC code for something else is not a lock that is held.
        ((400, {"error": "etcdserver: other", "code": 9}), _etcd_api.ApiError, "HTTP 400: etcdserver: other"),
        ((503, {"error": "etcdserver: no leader", "code": 14}), _etcd_api.ApiError, "HTTP 503: etcdserver: no leader"),
        ((404, "404 page not found"), _etcd_api.ApiError, "is --enable-grpc-gateway=false set there"),
        ((200, "garbage"), _etcd_api.ApiError, "HTTP 200"),
    ],
)
def test_lease_grant(answer: tuple[int, t.Any], error: type[Exception] | None, text: str, server: Server) -> None:
    server.answers["/v3/lease/grant"] = answer
    if error is None:
        CLIENT.lease_grant(server.url, 5, 45)
    else:
        with pytest.raises(error, match=text) as caught:
            CLIENT.lease_grant(server.url, 5, 45)
        assert server.url in str(caught.value)
    assert server.asked == [("/v3/lease/grant", {"ID": "5", "TTL": "45"})]


@pytest.mark.parametrize(
    ("answer", "alive"),
    [
        ('{"result":{"header":{},"ID":"5","TTL":"45"}}\n', True),
        ('{"result":{"header":{},"ID":"5"}}\n', False),
        ('{"result":{"header":{},"ID":"5","TTL":"0"}}\n{"error":{}}\n', False),
    ],
)
def test_lease_keep_alive(answer: str, alive: bool, server: Server) -> None:
    server.answers["/v3/lease/keepalive"] = (200, answer)
    assert CLIENT.lease_keep_alive(server.url, 5) is alive


def test_a_lease_that_has_ended_is_revoked_already(server: Server) -> None:
    server.answers["/v3/lease/revoke"] = (404, {"error": "etcdserver: requested lease not found", "code": 5})
    CLIENT.lease_revoke(server.url, 5)
    server.answers["/v3/lease/revoke"] = (503, {"error": "etcdserver: no leader", "code": 14})
    with pytest.raises(_etcd_api.ApiError, match="no leader"):
        CLIENT.lease_revoke(server.url, 5)


@pytest.mark.parametrize(("answer", "count"), [({"count": "7"}, 7), ({"header": {}}, 0)])
def test_count_keys_plain(answer: dict[str, t.Any], count: int, server: Server) -> None:
    server.answers["/v3/kv/range"] = (200, answer)
    assert _etcd_api.count_keys_plain(server.url, 2.0) == count
    assert server.asked[0][1]["serializable"] is True


def test_the_lock_is_one_number_that_etcd_takes() -> None:
    assert 0 < _etcd_api.RESTART_LEASE_ID < 2**63


@pytest.mark.parametrize(
    "url", ["", "10.0.0.1:2379", "ftp://10.0.0.1", "https://", "https://h:x", "https://h/v3", "https://[::1"]
)
def test_a_text_that_is_no_client_url(url: str) -> None:
    with pytest.raises(InputError, match="client URL"):
        _etcd_api.check_url(url)


@pytest.mark.parametrize("url", ["https://10.0.0.1:2379", "https://[fd00::1]:2379/", "http://etcd-1.example.com"])
def test_client_urls(url: str) -> None:
    _etcd_api.check_url(url)


def test_https_needs_a_context() -> None:
    assert "needs the CA file" in str(CLIENT.health("https://127.0.0.1:1").problem)


def test_client_context_names_the_file(tmp_path: pathlib.Path) -> None:
    assert _etcd_api.client_context(None, None, None) is None
    absent, broken = str(tmp_path / "absent"), tmp_path / "broken"
    with pytest.raises(FileError, match="absent"):
        _etcd_api.client_context(absent, None, None)
    for content in ("", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        broken.write_text(content)
        with pytest.raises(CryptoError, match="broken"):
            _etcd_api.client_context(str(broken), None, None)
    with pytest.raises(InputError, match="give both"):
        _etcd_api.client_context(str(broken), str(broken), None)
