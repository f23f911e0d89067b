# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How RBAC is met: real requests to a server with TLS that refuses and takes as etcd 3.6.16 does; the odd answers too.

That etcd itself does so is shown in ``test_etcd_live``.
"""

from __future__ import annotations

import dataclasses
import pathlib
import ssl
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_arguments
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import api_refusals
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import client_of
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    NO_ACCESS,
    ApiAccess,
    check_access_settings,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.live import Entrance, entrance_of, live_facts
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.gateway_server import (
    Asked,
    GatewayServer,
    running,
)

LIST, STATUS, AUTHENTICATE = "/v3/cluster/member/list", "/v3/maintenance/status", "/v3/auth/authenticate"
GRANT, KEEP = "/v3/lease/grant", "/v3/lease/keepalive"
MEMBERS = {"members": [{"ID": "1", "name": "etcd-1", "peerURLs": ["p"], "clientURLs": ["c"]}]}
NAMED = "CommonName of client sending a request against gateway will be ignored and not used as expected\n"
CA, OTHER_CA = issue("etcd peer CA", is_ca=True), issue("another CA", is_ca=True)
SERVER, MEMBER, NAMELESS = issue("etcd-1", CA), issue("etcd-1", CA), issue(None, CA)
PASSWORD = "open-sesame-01234"
USER = ApiAccess("ringfence", PASSWORD)
ACCESS = dataclasses.replace(USER, certificate=NAMELESS.pem, private_key=NAMELESS.key_pem)


class Rbac:
    """etcd's rules: no common name at the gateway, and a token of a user for all but the token itself."""

    def __init__(self, server: GatewayServer) -> None:
        self.server = server
        self.tokens: set[str] = set()
        self.accepted: list[str | None] = []
        self.answers: dict[str, tuple[int, t.Any]] = {
            LIST: (200, MEMBERS),
            STATUS: (200, {"version": "3.6.16"}),
            GRANT: (200, {"ID": "5"}),
            KEEP: (200, '{"result":{"ID":"5","TTL":"45"}}\n'),
        }
        for path in self.answers:
            server.handlers[path] = lambda asked, path=path: self.answer(path, asked)  # type: ignore[misc]
        server.handlers[AUTHENTICATE] = self.authenticate

    def authenticate(self, asked: Asked) -> tuple[int, t.Any]:
        if asked.common_name:
            return 400, NAMED
        if asked.body != {"name": USER.user, "password": USER.password}:
            return 400, {"code": 3, "message": "etcdserver: authentication failed, invalid user ID or password"}
        self.tokens = {f"token.{len(self.server.asked)}"}
        return 200, {"token": next(iter(self.tokens))}

    def answer(self, path: str, asked: Asked) -> tuple[int, t.Any]:
        token = asked.headers.get("authorization")
        self.accepted.append(asked.headers.get("accept"))
        if asked.common_name:
            return 400, NAMED
        refusal: t.Any = {"code": 3, "message": "etcdserver: user name is empty"}
        if token is not None:
            refusal = {"code": 16, "message": "etcdserver: invalid auth token"}
        if token not in self.tokens:
            return 401, {"error": refusal} if path == KEEP else refusal
        return self.answers[path]


def context(folder: pathlib.Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "server.pem").write_text(SERVER.key_pem + SERVER.pem)
    made.load_cert_chain(folder / "server.pem")
    made.load_verify_locations(cadata=CA.pem)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


@pytest.fixture
def rbac(tmp_path: pathlib.Path) -> t.Iterator[Rbac]:
    with running(context(tmp_path)) as server:
        yield Rbac(server)


@pytest.fixture
def plain() -> t.Iterator[Rbac]:
    with running() as server:
        yield Rbac(server)


def files(folder: pathlib.Path, pair: Issued = MEMBER, name: str = "member") -> tuple[str, str, str]:
    (folder / "ca.crt").write_text(CA.pem)
    (folder / f"{name}.crt").write_text(pair.pem)
    (folder / f"{name}.key").write_text(pair.key_pem)
    return str(folder / "ca.crt"), str(folder / f"{name}.crt"), str(folder / f"{name}.key")


def asked(rbac: Rbac) -> list[str]:
    return [path for path, _body in rbac.server.asked]


@pytest.mark.parametrize("by_path", [True, False])
def test_a_user_and_a_pair_without_a_common_name(rbac: Rbac, tmp_path: pathlib.Path, by_path: bool) -> None:
    access = ACCESS
    if by_path:
        _ca, certificate, key = files(tmp_path, NAMELESS, "nameless")
        access = dataclasses.replace(USER, cert_file=certificate, key_file=key)
    client, url = client_of(*files(tmp_path), access), rbac.server.url
    rbac.server.handlers["/health"] = lambda asked: (200, {"health": str(asked.common_name == "etcd-1")})
    assert [member.name for member in client.member_list(url)] == ["etcd-1"]
    # As the member; without a common name, for a token; with it.
    assert asked(rbac) == [LIST, AUTHENTICATE, LIST]
    client.status(url)
    client.lease_grant(url, 5, 45)
    assert client.lease_keep_alive(url, 5)
    assert asked(rbac)[3:] == [STATUS, GRANT, KEEP]
    # Nobody is the user that etcd's own certificate names.
    assert set(rbac.accepted) == {"application/json"}
    # What needs no user is asked as the member.
    assert client.health(url).healthy


def test_a_token_that_is_forgotten_is_replaced(rbac: Rbac, tmp_path: pathlib.Path) -> None:
    client, url = client_of(*files(tmp_path), ACCESS), rbac.server.url
    client.member_list(url)
    for call in (lambda: client.status(url), lambda: client.lease_keep_alive(url, 5)):
        rbac.tokens.clear()
        before = len(asked(rbac))
        assert call()
        assert asked(rbac)[before:][1] == AUTHENTICATE and len(asked(rbac)) == before + 3
    # One that is never taken is asked for once.
    rbac.server.handlers[LIST] = lambda _asked: (401, {"code": 16, "message": "etcdserver: invalid auth token"})
    before = len(asked(rbac))
    with pytest.raises(ApiError, match="invalid auth token") as caught:
        client.member_list(url)
    assert caught.value.kind == api_refusals.AUTH and asked(rbac)[before:] == [LIST, AUTHENTICATE, LIST]


def test_without_tls_a_user_is_all(plain: Rbac) -> None:
    client = client_of(None, None, None, USER)
    assert client.member_list(plain.server.url)
    assert asked(plain) == [LIST, AUTHENTICATE, LIST]


def test_where_rbac_is_off_nobody_is_asked_who_he_is(plain: Rbac) -> None:
    plain.server.handlers.clear()
    plain.server.answers[LIST] = (200, MEMBERS)
    assert client_of(None, None, None, USER).member_list(plain.server.url)
    assert asked(plain) == [LIST]


def test_rbac_that_is_switched_off_meanwhile(plain: Rbac) -> None:
    refusals = [(400, {"code": 3, "message": "etcdserver: user name is empty"})]
    plain.server.handlers[LIST] = lambda _asked: refusals.pop() if refusals else (200, MEMBERS)
    message = "etcdserver: authentication is not enabled"
    plain.server.handlers[AUTHENTICATE] = lambda _asked: (400, {"code": 9, "message": message})
    assert client_of(None, None, None, USER).member_list(plain.server.url)


def test_a_wrong_password_is_told_and_not_shown(plain: Rbac) -> None:
    wrong = dataclasses.replace(USER, password="open-barley")
    with pytest.raises(ApiError, match=r"invalid user ID or password \(user ringfence\)$") as caught:
        client_of(None, None, None, wrong).member_list(plain.server.url)
    assert caught.value.kind == api_refusals.USER and "barley" not in f"{caught.value} {caught.value.details}"
    assert "barley" not in repr(wrong) and NAMELESS.key_pem not in repr(ACCESS)


def test_a_wrong_password_is_told_by_who_does_not_ask_for_it_too(rbac: Rbac, tmp_path: pathlib.Path) -> None:
    """As etcd 3.5.16, which gives its member list and its leases to anybody without a common name."""
    rbac.server.handlers[LIST] = lambda asked: (400, NAMED) if asked.common_name else (200, MEMBERS)
    assert client_of(*files(tmp_path), dataclasses.replace(ACCESS, user=None)).member_list(rbac.server.url)
    assert client_of(*files(tmp_path), ACCESS).member_list(rbac.server.url)
    with pytest.raises(ApiError, match="invalid user ID or password") as caught:
        client_of(*files(tmp_path), dataclasses.replace(ACCESS, password="x")).member_list(rbac.server.url)
    assert caught.value.kind == api_refusals.USER


def test_a_right_that_lacks_comes_with_the_line_that_grants_it(plain: Rbac) -> None:
    plain.answers[GRANT] = (403, {"code": 7, "message": "etcdserver: permission denied"})
    with pytest.raises(ApiError, match=r"user ringfence, .*: etcdctl user grant-role ringfence root") as caught:
        client_of(None, None, None, USER).lease_grant(plain.server.url, 5, 45)
    assert caught.value.kind == api_refusals.RIGHT and caught.value.code == 7
    # Who gives no user is told of RBAC.
    plain.tokens.add("")
    plain.server.handlers[GRANT] = lambda _asked: plain.answers[GRANT]
    with pytest.raises(ApiError, match="permission denied") as caught:
        client_of(None, None, None).lease_grant(plain.server.url, 5, 45)
    assert caught.value.kind == api_refusals.AUTH


ROLES = "/v3/auth/user/get"


@pytest.mark.parametrize(
    ("roles", "lacks"), [({"roles": ["reader", "root"]}, False), ({"roles": ["reader"]}, True), ({}, True)]
)
def test_whether_the_user_may_change_members_is_asked_of_itself(
    rbac: Rbac, tmp_path: pathlib.Path, roles: t.Any, lacks: bool
) -> None:
    rbac.answers[ROLES] = (200, roles)
    rbac.server.handlers[ROLES] = lambda asked: rbac.answer(ROLES, asked)
    client = client_of(*files(tmp_path), ACCESS)
    assert client.lacks_root(rbac.server.url) is lacks and client.lacks_root(rbac.server.url) is lacks
    assert [body for path, body in rbac.server.asked if path == ROLES][-1] == {"name": "ringfence"}


def test_nobody_lacks_a_role_where_rbac_is_off(plain: Rbac) -> None:
    plain.server.handlers[AUTHENTICATE] = lambda _asked: (400, {"message": "etcdserver: authentication is not enabled"})
    assert client_of(None, None, None, USER).lacks_root(plain.server.url) is False
    assert client_of(None, None, None).lacks_root(plain.server.url) is False


def test_who_gives_no_user_lacks_it_where_a_common_name_was_refused(rbac: Rbac, tmp_path: pathlib.Path) -> None:
    rbac.server.handlers[LIST] = lambda asked: (400, NAMED) if asked.common_name else (200, MEMBERS)
    client = client_of(*files(tmp_path), dataclasses.replace(ACCESS, user=None, password=None))
    assert client.member_list(rbac.server.url) and client.lacks_root(rbac.server.url) is True


@pytest.mark.parametrize("answer", [{}, {"token": 7}, {"token": ""}, {"token": "a\r\nX: b"}, {"token": "\u00fc"}, []])
def test_what_is_no_token(plain: Rbac, answer: t.Any) -> None:
    plain.server.handlers[AUTHENTICATE] = lambda _asked: (200, answer)
    with pytest.raises(ApiError) as caught:
        client_of(None, None, None, USER).member_list(plain.server.url)
    assert AUTHENTICATE in str(caught.value) and caught.value.kind is None


def test_without_a_pair_the_gateway_s_own_words(rbac: Rbac, tmp_path: pathlib.Path) -> None:
    for access in (USER, NO_ACCESS):
        with pytest.raises(ApiError, match="HTTP 400: CommonName of client") as caught:
            client_of(*files(tmp_path), access).member_list(rbac.server.url)
        assert caught.value.kind == api_refusals.AUTH and asked(rbac).pop() == LIST
    assert rbac.accepted == ["application/json", None]


PAIRS: dict[str, tuple[Issued, str]] = {
    "a name": (issue("etcd-1", CA), "the client pair for RBAC has a common name, too"),
    "another CA": (issue(None, OTHER_CA), "asked with the client pair for RBAC"),
}


@pytest.mark.parametrize(("pair", "words"), PAIRS.values(), ids=PAIRS)
def test_a_pair_that_is_not_taken(rbac: Rbac, tmp_path: pathlib.Path, pair: Issued, words: str) -> None:
    access = dataclasses.replace(USER, certificate=pair.pem, private_key=pair.key_pem)
    with pytest.raises(ApiError, match=words) as caught:
        client_of(*files(tmp_path), access).member_list(rbac.server.url)
    assert caught.value.kind == api_refusals.AUTH and "\n" not in str(caught.value)
    assert not rbac.tokens


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file or directory"), ("x", "can't use .*: put a sound PEM file there")]
)
def test_a_pair_that_can_not_be_read(rbac: Rbac, tmp_path: pathlib.Path, content: str | None, words: str) -> None:
    """Told where it is needed, and no hindrance where it is not."""
    path = tmp_path / "nameless.crt"
    if content is not None:
        path.write_text(content)
    client = client_of(*files(tmp_path), dataclasses.replace(USER, cert_file=str(path), key_file=str(path)))
    rbac.server.answers["/health"] = (200, {"health": "true"})
    assert client.health(rbac.server.url).healthy
    with pytest.raises(ApiError, match=f"CommonName of client.*; the client pair for RBAC: .*{words}") as caught:
        client.member_list(rbac.server.url)
    assert caught.value.kind == api_refusals.AUTH


def test_a_look_at_a_member_asks_with_it(rbac: Rbac, tmp_path: pathlib.Path) -> None:
    entrance = Entrance(rbac.server.url, *files(tmp_path), ACCESS)
    found = live_facts(entrance)
    assert [one["name"] for one in found["live_members"]] == ["etcd-1"] and found["live_alarms"] == []
    found = live_facts(dataclasses.replace(entrance, access=dataclasses.replace(ACCESS, password="wrong")))
    assert (found["live_members"], found["live_obstacle"]) == (None, "user")
    for flags in ((), (f"--advertise-client-urls={rbac.server.url}",), ("--advertise-client-urls=http://10.0.0.1:1",)):
        assert entrance_of(deployed_from_arguments(["/usr/bin/etcd", *flags]), entrance).access == ACCESS


SETTINGS = {"api_user": "", "api_password": "", "api_cert_file": "", "api_key_file": ""}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"api_user": "u"}, "etcd_peer_tls_api_user is given and etcd_peer_tls_api_password is not"),
        ({"api_password": "hidden"}, "etcd_peer_tls_api_password is given and etcd_peer_tls_api_user is not"),
        ({"api_cert_file": "/a.crt"}, "are one pair: give both or none"),
    ],
)
def test_half_of_it_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        check_access_settings({**SETTINGS, **given})
    assert "hidden" not in str(caught.value)
    whole = {"api_user": "u", "api_password": "p", "api_cert_file": "/a.crt", "api_key_file": "/a.key"}
    for settings in (SETTINGS, whole):
        check_access_settings(settings)
