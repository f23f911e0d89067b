# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import re
import socket
import ssl
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, FileError, InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import api, api_answers, api_contexts, api_refusals
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, issue, key_pem
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.gateway_server import GatewayServer, running


@pytest.fixture
def server() -> t.Iterator[GatewayServer]:
    with running() as one:
        yield one


CLIENT = api.Client(None, 2.0)


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
def test_health(answer: tuple[int, t.Any], healthy: bool, problem: str | None, server: GatewayServer) -> None:
    server.answers["/health"] = answer
    health = CLIENT.health(server.url)
    assert health.healthy is healthy
    if problem is None:
        assert health.problem is None
    else:
        assert health.problem is not None and health.problem.startswith(f"{server.url}/health: ")
        assert re.search(problem, health.problem)


def test_nobody_listens(server: GatewayServer) -> None:
    url = "http://127.0.0.1:1"
    assert CLIENT.health(url) == api_answers.Health(False, "http://127.0.0.1:1/health: connection refused")
    with pytest.raises(api_refusals.ApiError, match="connection refused"):
        CLIENT.count_keys(url)


def test_active_peers() -> None:
    text = (
        "# TYPE etcd_network_active_peers gauge\n"
        'etcd_network_active_peers{Local="1",Remote="2a"} 1\n'
        'etcd_network_active_peers{Local="1",Remote="3b"} 0\n'
        'etcd_network_active_peers{Remote="4c",Local="1"} 1e+00\n'
        'etcd_network_active_peers{Local="1"} 1\n'
        'etcd_network_disconnected_peers_total{Local="1",Remote="5d"} 7\n'
    )
    assert api_answers.parse_active_peers(text) == {"2a": 1, "3b": 0, "4c": 1}
    assert api_answers.parse_active_peers("") == {}


def test_member_list(server: GatewayServer) -> None:
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
        api_answers.LiveMember("1", "", ("q",), (), False),
        api_answers.LiveMember("8e9e05c52164694d", "b", ("p",), ("c",), True),
    ]
    server.answers["/v3/cluster/member/list"] = (200, {})
    with pytest.raises(api_refusals.ApiError, match="has no members"):
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
            api_refusals.LockHeldError,
            "already exists",
        ),
        # The same gRPC code for something else is not a lock that is held.
        ((400, {"error": "etcdserver: other", "code": 9}), api_refusals.ApiError, "HTTP 400: etcdserver: other"),
        (
            (503, {"error": "etcdserver: no leader", "code": 14}),
            api_refusals.ApiError,
            "HTTP 503: etcdserver: no leader",
        ),
        ((400, {"error": {"grpc_code": 9, "message": "lease already exists"}}), api_refusals.LockHeldError, "exists"),
        ((404, "404 page not found"), api_refusals.ApiError, "is --enable-grpc-gateway=false set there"),
        ((200, "garbage"), api_refusals.ApiError, "HTTP 200"),
    ],
)
def test_lease_grant(
    answer: tuple[int, t.Any], error: type[Exception] | None, text: str, server: GatewayServer
) -> None:
    server.answers["/v3/lease/grant"] = answer
    if error is None:
        CLIENT.lease_grant(server.url, 5, 45)
    else:
        with pytest.raises(error, match=text) as caught:
            CLIENT.lease_grant(server.url, 5, 45)
        assert server.url in str(caught.value)
    assert server.asked == [("/v3/lease/grant", {"ID": "5", "TTL": "45"})]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        # As etcd 3.5.16 says it to who has a certificate with a common name, and to who has none.
        (
            400,
            "CommonName of client sending a request against gateway will be ignored and not used as expected\n",
            api_refusals.AUTH,
            "HTTP 400: CommonName of client sending a request against gateway will be ignored",
        ),
        (400, {"error": "etcdserver: user name is empty", "code": 3}, api_refusals.AUTH, "user name is empty"),
        (401, {"error": "etcdserver: invalid auth token", "code": 16}, api_refusals.AUTH, "invalid auth token"),
        (404, "404 page not found\n", api_refusals.GATEWAY, "HTTP 404"),
        (429, {"code": 8, "message": "etcdserver: mvcc: database space exceeded"}, None, "database space exceeded"),
        (400, " \n", None, "HTTP 400"),
        (400, "<html>\x1b[31m\n" + "x" * 9000, None, "HTTP 400: <html> [31m"),
    ],
)
def test_a_refusal_is_told_in_its_own_words(
    status: int, body: t.Any, kind: str | None, words: str, server: GatewayServer
) -> None:
    server.answers["/v3/cluster/member/list"] = (status, body)
    with pytest.raises(api_refusals.ApiError) as caught:
        CLIENT.member_list(server.url)
    assert caught.value.kind == kind and words in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


def test_alarms_of_a_status() -> None:
    found = api_answers.parse_alarms(
        ["memberID:10276657743932975437 alarm:NOSPACE ", "etcdserver: no leader", "memberID:1  alarm:CORRUPT", 7, None]
    )
    assert found == (api_answers.Alarm("8e9e05c52164694d", "NOSPACE"), api_answers.Alarm("1", "CORRUPT"))
    for errors in (None, "memberID:1 alarm:NOSPACE", {}, [], ["memberID:" + "9" * 99 + " alarm:NOSPACE"]):
        assert api_answers.parse_alarms(errors) == ()


@pytest.mark.parametrize(
    ("answer", "alive"),
    [
        ('{"result":{"header":{},"ID":"5","TTL":"45"}}\n', True),
        ('{"result":{"header":{},"ID":"5"}}\n', False),
        ('{"result":{"header":{},"ID":"5","TTL":"0"}}\n{"error":{}}\n', False),
    ],
)
def test_lease_keep_alive(answer: str, alive: bool, server: GatewayServer) -> None:
    server.answers["/v3/lease/keepalive"] = (200, answer)
    assert CLIENT.lease_keep_alive(server.url, 5) is alive


def test_a_lease_that_has_ended_is_revoked_already(server: GatewayServer) -> None:
    server.answers["/v3/lease/revoke"] = (404, {"error": "etcdserver: requested lease not found", "code": 5})
    CLIENT.lease_revoke(server.url, 5)
    server.answers["/v3/lease/revoke"] = (503, {"error": "etcdserver: no leader", "code": 14})
    with pytest.raises(api_refusals.ApiError, match="no leader"):
        CLIENT.lease_revoke(server.url, 5)


def test_entries_without_effect(server: GatewayServer) -> None:
    path = "/v3/lease/revoke"
    server.answers[path] = (404, {"error": "etcdserver: requested lease not found", "code": 5})
    CLIENT.write_without_effect(server.url, 5, 7)
    assert server.asked == [(path, {"ID": "5"})] * 7
    # It was there after all, or nobody leads any more.
    for status, answer in ((200, {}), (503, {"error": "etcdserver: no leader", "code": 14})):
        replies = iter([(404, {"error": "etcdserver: requested lease not found", "code": 5}), (status, answer)])
        server.handlers[path] = lambda _asked, replies=replies: next(replies)  # type: ignore[misc]
        with pytest.raises(api_refusals.ApiError, match=f"{path}: HTTP {status}"):
            CLIENT.write_without_effect(server.url, 5, 7)


def test_a_member_keeps_all_its_peer_urls(server: GatewayServer) -> None:
    server.answers["/v3/cluster/member/update"] = (200, {})
    CLIENT.member_update(server.url, "ff", "https://a:1", "https://a:2")
    assert server.asked == [("/v3/cluster/member/update", {"ID": "255", "peerURLs": ["https://a:1", "https://a:2"]})]


@pytest.mark.parametrize(("answer", "count"), [({"count": "7"}, 7), ({"header": {}}, 0)])
def test_count_keys(answer: dict[str, t.Any], count: int, server: GatewayServer) -> None:
    server.answers["/v3/kv/range"] = (200, answer)
    assert CLIENT.count_keys(server.url) == count
    assert server.asked[0][1]["serializable"] is True


@pytest.mark.parametrize(
    "url", ["", "10.0.0.1:2379", "ftp://10.0.0.1", "https://", "https://h:x", "https://h/v3", "https://[::1"]
)
def test_a_text_that_is_no_client_url(url: str) -> None:
    with pytest.raises(InputError, match="client URL"):
        api.check_url(url)


@pytest.mark.parametrize("url", ["https://10.0.0.1:2379", "https://[fd00::1]:2379/", "http://etcd-1.example.com"])
def test_client_urls(url: str) -> None:
    api.check_url(url)


def test_https_needs_a_context() -> None:
    assert "needs the CA file" in str(CLIENT.health("https://127.0.0.1:1").problem)


def test_client_context_names_the_file(tmp_path: pathlib.Path) -> None:
    assert api_contexts.client_context(None, None, None) is None
    absent, broken = str(tmp_path / "absent"), tmp_path / "broken"
    with pytest.raises(FileError, match="absent"):
        api_contexts.client_context(absent, None, None)
    for content in ("", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        broken.write_text(content)
        with pytest.raises(CryptoError, match="broken"):
            api_contexts.client_context(str(broken), None, None)
    with pytest.raises(InputError, match="give both"):
        api_contexts.client_context(str(broken), str(broken), None)
    with pytest.raises(FileError, match="is a directory, not a file"):
        api_contexts.client_context(str(tmp_path), None, None)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_pipe_among_the_clients_files_does_not_block(tmp_path: pathlib.Path, number: int) -> None:
    paths = files(tmp_path, CA, CLIENT_PAIR)
    os.unlink(paths[number])
    os.mkfifo(paths[number])
    with pytest.raises(FileError, match=f"{re.escape(paths[number])} is not a regular file"):
        api_contexts.client_context(*paths)


# With TLS, against a real server ------------------------------------------------------------------------------------

CA, OTHER_CA = issue("etcd peer CA", is_ca=True), issue("etcd peer CA", is_ca=True)
SERVER, CLIENT_PAIR = issue("etcd-1", CA), issue("etcd-2", CA)


def files(folder: pathlib.Path, authority: Issued, pair: Issued | None, passphrase: bytes | None = None) -> list[t.Any]:
    """The three files of a client; without a pair the trust bundle alone."""
    (folder / "ca.crt").write_text(authority.pem)
    if pair is None:
        return [str(folder / "ca.crt"), None, None]
    (folder / "pair.crt").write_text(pair.pem)
    (folder / "pair.key").write_text(key_pem(pair.key, passphrase))
    return [str(folder / name) for name in ("ca.crt", "pair.crt", "pair.key")]


def client_of(folder: pathlib.Path, authority: Issued = CA, pair: Issued | None = CLIENT_PAIR) -> api.Client:
    return api.Client(api_contexts.client_context(*files(folder, authority, pair)), 5.0)


def server_context(folder: pathlib.Path, pair: Issued = SERVER) -> ssl.SSLContext:
    """As etcd's client listener with --client-cert-auth."""
    authority, certificate, key = files(folder, CA, pair)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[GatewayServer]:
    with running(server_context(tmp_path_factory.mktemp("server"))) as one:
        yield one


def test_a_client_with_its_certificate_is_let_in(tls_server: GatewayServer, tmp_path: pathlib.Path) -> None:
    client = client_of(tmp_path)
    tls_server.answers.update(
        {
            "/health": (200, {"health": "true"}),
            "/metrics": (200, 'etcd_network_active_peers{Local="1",Remote="2a"} 1\n'),
        }
    )
    assert client.health(tls_server.url) == api_answers.Health(True)
    assert client.active_peers(tls_server.url) == {"2a": 1}
    tls_server.answers["/metrics"] = (503, "")
    with pytest.raises(api_refusals.ApiError, match="/metrics: HTTP 503"):
        client.active_peers(tls_server.url)


@pytest.mark.parametrize(
    ("authority", "pair", "problem"),
    [
        (OTHER_CA, CLIENT_PAIR, "the server's certificate is refused: "),
        (CA, None, r"TLS: .*alert (certificate required|handshake failure)"),
        (CA, issue("etcd-2", OTHER_CA), "TLS: .*alert (unknown ca|decrypt error)"),
    ],
    ids=["server of another CA", "no certificate", "certificate of another CA"],
)
def test_a_refusal_says_who_refused(
    authority: Issued, pair: Issued | None, problem: str, tls_server: GatewayServer, tmp_path: pathlib.Path
) -> None:
    found = client_of(tmp_path, authority, pair).health(tls_server.url).problem
    assert found is not None and found.startswith(f"{tls_server.url}/health: ") and "\n" not in found
    assert re.search(problem, found), found


def test_a_server_with_another_address_in_its_certificate(tmp_path: pathlib.Path) -> None:
    elsewhere = issue("etcd-1", CA, names=("10.0.0.1",))
    with running(server_context(tmp_path, elsewhere)) as server:
        found = str(client_of(tmp_path).health(server.url).problem)
    assert "the server's certificate is refused: IP address mismatch" in found


def test_http_and_https_mixed_up(server: GatewayServer, tls_server: GatewayServer, tmp_path: pathlib.Path) -> None:
    client = client_of(tmp_path)
    assert "/health: TLS: " in str(client.health(server.url.replace("http:", "https:")).problem)
    assert "/health: no HTTP answer (" in str(client.health(tls_server.url.replace("https:", "http:")).problem)


def test_a_server_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert api.Client(None, 0.1).health(url).problem == f"{url}/health: no answer in time"


@pytest.mark.parametrize(
    ("host", "problem"),
    # Neither asks a name server: a network interface that is not there, and a name that can't be one.
    [("[fe80::1%none]", "the name is not known ("), ("etcd..example.com", "label")],
)
def test_an_address_that_leads_nowhere(host: str, problem: str) -> None:
    found = str(CLIENT.health(f"http://{host}:2379").problem)
    assert found.startswith(f"http://{host}:2379/health: ") and problem in found


def test_a_key_for_the_client_that_can_not_be_used(tmp_path: pathlib.Path) -> None:
    with pytest.raises(CryptoError, match=r"can't use .*pair\.crt with .*pair\.key for TLS: .*: put a sound PEM file"):
        api_contexts.client_context(*files(tmp_path, CA, CLIENT_PAIR, b"secret"))
    _ca, certificate, _key = files(tmp_path, CA, CLIENT_PAIR)
    (tmp_path / "pair.key").write_text(key_pem(CA.key))
    with pytest.raises(CryptoError, match="key values mismatch"):
        api_contexts.client_context(str(tmp_path / "ca.crt"), certificate, str(tmp_path / "pair.key"))


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (
            {
                "header": {"cluster_id": "255", "member_id": "10276657743932975437", "raft_term": "3"},
                "version": "3.5.16",
                "leader": "16",
                "raftIndex": "9",
                "raftTerm": "4",
                "isLearner": True,
            },
            api_answers.Status("8e9e05c52164694d", "ff", "10", 4, 9, "3.5.16", True),
        ),
        # 0 and false are left out; a number that is none is taken for 0.
        (
            {"header": {"member_id": "x", "raft_term": "3"}, "leader": "0"},
            api_answers.Status("0", "0", None, 3, 0, "", False),
        ),
    ],
)
def test_status(answer: dict[str, t.Any], status: api_answers.Status, server: GatewayServer) -> None:
    server.answers["/v3/maintenance/status"] = (200, answer)
    assert CLIENT.status(server.url) == status


# Changes of members: etcd's own words ---------------------------------------------------------------------------------

CHANGES: dict[str, t.Callable[[api.Client, str], object]] = {
    "add": lambda client, url: client.member_add(url, "https://10.0.0.2:2380"),
    "remove": lambda client, url: client.member_remove(url, "8e9e05c52164694d"),
    "promote": lambda client, url: client.member_promote(url, "8e9e05c52164694d"),
    "update": lambda client, url: client.member_update(url, "8e9e05c52164694d", "https://10.0.0.3:2380"),
}


def test_changes_of_members_as_etcd_takes_them(server: GatewayServer) -> None:
    for verb in CHANGES:
        server.answers[f"/v3/cluster/member/{verb}"] = (200, {"member": {"ID": "10276657743932975437"}})
    assert [change(CLIENT, server.url) for change in CHANGES.values()] == ["8e9e05c52164694d", None, None, None]
    number = "10276657743932975437"
    assert [body for _path, body in server.asked] == [
        {"peerURLs": ["https://10.0.0.2:2380"], "isLearner": True},
        {"ID": number},
        {"ID": number},
        {"ID": number, "peerURLs": ["https://10.0.0.3:2380"]},
    ]


@pytest.mark.parametrize(
    ("verb", "answer", "lasts"),
    [
        ("add", (412, {"message": "etcdserver: Peer URLs already exists", "code": 9}), True),
        ("add", (503, {"message": "etcdserver: unhealthy cluster", "code": 14}), False),
        ("remove", (412, {"message": "etcdserver: unhealthy cluster", "code": 9}), False),
        # It is out of the list: that is what was asked for.
        ("remove", (404, {"message": "etcdserver: member not found", "code": 5}), None),
        ("promote", (404, {"message": "etcdserver: member not found", "code": 5}), True),
        ("promote", (412, {"message": "etcdserver: can only promote a learner member", "code": 9}), None),
        (
            "promote",
            (412, {"message": "etcdserver: can only promote a learner member which is in sync with leader", "code": 9}),
            False,
        ),
        ("update", (404, {"message": "etcdserver: member not found", "code": 5}), True),
    ],
)
def test_a_refusal_that_lasts_and_one_that_passes(
    verb: str, answer: tuple[int, t.Any], lasts: bool | None, server: GatewayServer
) -> None:
    server.answers[f"/v3/cluster/member/{verb}"] = answer
    if lasts is None:
        CHANGES[verb](CLIENT, server.url)
        return
    with pytest.raises(api_refusals.MembershipError) as caught:
        CHANGES[verb](CLIENT, server.url)
    path = f"{server.url}/v3/cluster/member/{verb}"
    assert str(caught.value) == f"{path}: HTTP {answer[0]}: {answer[1]['message']}" and caught.value.lasts is lasts


@pytest.mark.parametrize("verb", CHANGES)
def test_what_no_request_can_change_is_no_refusal_of_this_one(verb: str, server: GatewayServer) -> None:
    with pytest.raises(api_refusals.ApiError, match="is --enable-grpc-gateway=false set there") as caught:
        CHANGES[verb](CLIENT, server.url)
    assert not isinstance(caught.value, api_refusals.MembershipError) and caught.value.kind == api_refusals.GATEWAY


@pytest.mark.parametrize("answer", [{}, {"member": []}, {"member": {"ID": "none"}}])
def test_an_added_member_without_a_number(answer: dict[str, t.Any], server: GatewayServer) -> None:
    server.answers["/v3/cluster/member/add"] = (200, answer)
    with pytest.raises(api_refusals.ApiError, match="the answer has no member"):
        CLIENT.member_add(server.url, "https://10.0.0.2:2380")
