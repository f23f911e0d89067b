# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call at a peer port, against real servers: each thing that can come of it has its outcome and its reason."""

from __future__ import annotations

import os
import pathlib
import re
import socket
import ssl
import threading
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._probe import handshake
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    ProbeResult,
    client_context,
    probe_port,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import peer_port as ports
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    Issued,
    der_of,
    issue,
    key_pem,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.gateway_server import running
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

CA, OTHER_CA = issue("etcd peer CA", is_ca=True), issue("etcd peer CA", is_ca=True)
NAMES = ("localhost", "127.0.0.1", "::1")
SERVER, CLIENT = issue("etcd-1", CA, names=NAMES), issue("etcd-2", CA)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
HOST = "127.0.0.1"
# Never waited for unless something is wrong.
PLENTY_SECONDS = 60.0


def context_of(pair: Issued | None = CLIENT, trusted: Issued | None = CA) -> ssl.SSLContext:
    authorities = None if trusted is None else [der_of(trusted.certificate)]
    if pair is None:
        return client_context(authorities)
    return client_context(authorities, pair.pem.encode(), pair.key_pem.encode())


def probe_with(
    handler: ports.Handler,
    context: ssl.SSLContext | None = None,
    host: str = HOST,
    timeout_seconds: float = PLENTY_SECONDS,
    address: str = HOST,
) -> ProbeResult:
    with ports.listening(handler, address) as port:
        return probe_port(context or context_of(), host, port, timeout_seconds)


def outcome_of(result: ProbeResult) -> tuple[str, str | None]:
    assert result.text and "\n" not in result.text and "_ssl.c" not in result.text
    return result.outcome, result.reason


@pytest.fixture(params=VERSIONS, ids=["TLS 1.2", "TLS 1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return t.cast(ssl.TLSVersion, request.param)


# Accepted --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "tls"), list(zip(VERSIONS, ("TLSv1.2", "TLSv1.3"))), ids=["TLS 1.2", "TLS 1.3"])
def test_accepted(name: ssl.TLSVersion, tls: str) -> None:
    result = probe_with(ports.speaks_tls(ports.server_context(SERVER, CA, name)))
    assert outcome_of(result) == (ACCEPTED, None)
    assert (result.text, result.alert, result.tls, result.source) == ("HTTP 200", None, tls, HOST)
    assert result.cipher is not None and re.fullmatch(r"[A-Z0-9_-]{10,}", result.cipher)
    assert result.server == der_of(SERVER.certificate)


def test_any_status_of_http_is_an_answer() -> None:
    answer = b"HTTP/1.0 404 Not Found\r\n\r\n"
    result = probe_with(ports.speaks_tls(ports.server_context(SERVER, CA), answer))
    assert (*outcome_of(result), result.text) == (ACCEPTED, None, "HTTP 404")


def test_an_answer_that_comes_in_pieces() -> None:
    context = ports.server_context(SERVER, CA)

    def handle(plain: socket.socket) -> None:
        with ports.handshake(context, plain) as connection:
            assert connection is not None
            ports.read_request(connection)
            # A record of its own for each: read one after the other, however late they are.
            for part in (b"HTT", b"P/1.1 20", b"0 OK\r", b"\n"):
                connection.sendall(part)
            # Never closed by this side: the status line is enough.
            ports.drain(connection)

    result = probe_with(handle)
    assert (*outcome_of(result), result.text) == (ACCEPTED, None, "HTTP 200")


@pytest.mark.usefixtures("impatient")
def test_accepted_at_the_second_try() -> None:
    """A member that was just restarted breaks one connection and takes the next."""
    context = ports.server_context(SERVER, CA)
    result = probe_with(ports.in_turn(ports.resets_after_request(context), ports.speaks_tls(context)))
    assert outcome_of(result) == (ACCEPTED, None)


def test_who_only_looks_trusts_every_server() -> None:
    server = issue("etcd-1", OTHER_CA, names=("10.0.0.1",))
    result = probe_with(ports.speaks_tls(ports.server_context(server, CA)), context_of(trusted=None))
    assert outcome_of(result) == (ACCEPTED, None) and result.server == der_of(server.certificate)


def test_a_bundle_s_certificate_is_trusted_without_its_own_issuer() -> None:
    root = issue("root", is_ca=True)
    middle = issue("middle", root, is_ca=True)
    server = issue("etcd-1", middle)
    result = probe_with(
        ports.speaks_tls(ports.server_context(server, None)), client_context([der_of(middle.certificate)])
    )
    assert outcome_of(result) == (ACCEPTED, None)


def test_an_old_and_a_new_authority_of_one_name() -> None:
    """As while a CA is replaced: whichever of the two has signed."""
    authorities = [factory.authority(number=number) for number in (1, 2)]
    context = client_context([read_certificates(authority.pem)[0].der for authority in authorities])
    key = factory.key_of("ecdsa-p256")
    for authority in authorities:
        server = Issued(x509.load_pem_x509_certificate(factory.member_pem(authority)), key)
        assert outcome_of(probe_with(ports.speaks_tls(ports.server_context(server, None)), context)) == (ACCEPTED, None)


def test_an_address_of_ip_version_6() -> None:
    try:
        with socket.socket(socket.AF_INET6) as trial:
            trial.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no ::1")
    result = probe_with(ports.speaks_tls(ports.server_context(SERVER, CA)), host="::1", address="::1")
    assert outcome_of(result) == (ACCEPTED, None) and result.source == "::1"


# Refused by the member that was called ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "reason", "alert"),
    [
        (issue("etcd-2", OTHER_CA), "unknown_authority", "unknown ca"),
        (issue("etcd-2", issue("another CA", is_ca=True)), "unknown_authority", "unknown ca"),
        (issue("etcd-2", CA, not_before=NOW - 9 * DAY, not_after=NOW - DAY), "expired", "certificate expired"),
        # OpenSSL's words; etcd says certificate expired.
        (issue("etcd-2", CA, not_before=NOW + DAY), "alert", "bad certificate"),
        (
            issue("etcd-2", CA, extended_key_usages=[ExtendedKeyUsageOID.SERVER_AUTH]),
            "alert",
            "unsupported certificate",
        ),
    ],
    ids=["CA of the same name", "unknown CA", "expired", "not yet valid", "server only"],
)
def test_an_alert_says_why(pair: Issued, reason: str, alert: str, version: ssl.TLSVersion) -> None:
    result = probe_with(ports.speaks_tls(ports.server_context(SERVER, CA, version)), context_of(pair))
    # A signature that does not verify is told by either of two alerts.
    if pair.certificate.issuer == CA.certificate.subject and result.alert == "decrypt error":
        reason, alert = "alert", "decrypt error"
    assert outcome_of(result) == (REFUSED, reason)
    assert (result.alert, result.text) == (alert, f"TLS alert: {alert}")


@pytest.mark.parametrize(
    ("name", "reason", "alert"),
    [
        (ssl.TLSVersion.TLSv1_2, "alert", "handshake failure"),
        (ssl.TLSVersion.TLSv1_3, "no_certificate", "certificate required"),
    ],
    ids=["TLS 1.2", "TLS 1.3"],
)
def test_no_certificate(name: ssl.TLSVersion, reason: str, alert: str) -> None:
    result = probe_with(ports.speaks_tls(ports.server_context(SERVER, CA, name)), context_of(None))
    assert outcome_of(result) == (REFUSED, reason) and result.alert == alert
    # In TLS 1.2 no handshake came about, so nothing of the server is known.
    is_known = name == ssl.TLSVersion.TLSv1_3
    assert (result.server is not None, result.tls is not None, result.cipher is not None) == (is_known,) * 3


@pytest.mark.parametrize(
    ("description", "alert", "reason"),
    [
        (40, "handshake failure", "alert"),
        (42, "bad certificate", "alert"),
        (43, "unsupported certificate", "alert"),
        (45, "certificate expired", "expired"),
        (46, "certificate unknown", "alert"),
        (48, "unknown ca", "unknown_authority"),
        (80, "internal error", "alert"),
        (116, "certificate required", "no_certificate"),
    ],
)
def test_alerts_by_their_number(description: int, alert: str, reason: str) -> None:
    result = probe_with(ports.alerts(description))
    assert outcome_of(result) == (REFUSED, reason)
    assert (result.alert, result.text, result.tls) == (alert, f"TLS alert: {alert}", None)


@pytest.mark.parametrize("finish", ["close", "close_notify"])
def test_a_clean_close_after_the_handshake(finish: str, version: ssl.TLSVersion) -> None:
    context = ports.server_context(SERVER, CA, version)

    def handle(plain: socket.socket) -> None:
        with ports.handshake(context, plain) as connection:
            assert connection is not None
            connection.unwrap()

    handler = ports.closes_after_handshake(context) if finish == "close" else handle
    result = probe_with(handler)
    assert outcome_of(result) == (REFUSED, "closed")
    assert result.text == "the connection was closed after the handshake, with no alert" and result.alert is None
    assert result.server == der_of(SERVER.certificate) and result.tls is not None


@pytest.mark.usefixtures("impatient")
def test_a_close_after_the_request() -> None:
    """The second time it listens first and hears nothing, so that it asks again."""
    context = ports.server_context(SERVER, CA)

    def handle(plain: socket.socket) -> None:
        with ports.handshake(context, plain) as connection:
            assert connection is not None
            ports.read_request(connection)
            connection.shutdown(socket.SHUT_WR)
            ports.drain(connection)

    assert outcome_of(probe_with(handle)) == (REFUSED, "closed")


@pytest.mark.usefixtures("impatient")
def test_a_reset_after_the_handshake(version: ssl.TLSVersion) -> None:
    result = probe_with(ports.resets_after_request(ports.server_context(SERVER, CA, version)))
    # Python's ssl module takes a reset for an end of file from 3.10 to 3.12.
    assert result.outcome == REFUSED and outcome_of(result)[1] in ("reset", "closed")
    assert result.tls is not None and result.server == der_of(SERVER.certificate)


def test_where_a_reset_overtook_the_alert_it_calls_again() -> None:
    context = ports.server_context(SERVER, CA, ssl.TLSVersion.TLSv1_3)
    lenient = ports.server_context(SERVER, None, ssl.TLSVersion.TLSv1_3)
    handler = ports.in_turn(ports.resets_after_request(lenient), ports.speaks_tls(context))
    result = probe_with(handler, context_of(issue("etcd-2", issue("another CA", is_ca=True))))
    assert outcome_of(result) == (REFUSED, "unknown_authority")


def closes_late(context: ssl.SSLContext, wrote_early: list[bool]) -> ports.Handler:
    """A server that takes its time to refuse; notes where the client did not wait for it."""

    def handle(plain: socket.socket) -> None:
        with ports.handshake(context, plain) as connection:
            assert connection is not None
            connection.settimeout(0.75)
            try:
                connection.recv(1)
            except socket.timeout:
                connection.shutdown(socket.SHUT_WR)
                ports.drain(connection)
            else:
                wrote_early.append(True)

    return handle


def test_a_refusal_that_takes_its_time_is_waited_for() -> None:
    """Who writes too early gets a reset for it, and never hears why it was refused."""
    context = ports.server_context(SERVER, CA)
    wrote_early: list[bool] = []
    handler = ports.in_turn(ports.resets_after_request(context), closes_late(context, wrote_early))
    assert outcome_of(probe_with(handler)) == (REFUSED, "closed")
    assert not wrote_early


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server's refusal is none that would come by itself: nothing is lost by not waiting for it."""
    monkeypatch.setattr(handshake, "_REFUSAL_SECONDS", 0.1)


def test_what_was_refused_first_is_told_where_the_second_call_finds_nobody() -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]

        def serve_once() -> None:
            connection, _address = listener.accept()
            with connection:
                listener.close()
                ports.alerts(42)(connection)

        thread = threading.Thread(target=serve_once)
        thread.start()
        result = probe_port(context_of(), HOST, port, PLENTY_SECONDS)
        thread.join()
    assert outcome_of(result) == (REFUSED, "alert") and result.alert == "bad certificate"


# Where a refusal is expected -------------------------------------------------------------------------------------


def meet_as_a_stranger(*handlers: ports.Handler) -> tuple[ProbeResult, int]:
    """What a caller with a foreign certificate meets at the handlers, and how often it called."""
    calls: list[bool] = []
    serve = ports.in_turn(*handlers)

    def handle(plain: socket.socket) -> None:
        calls.append(True)
        serve(plain)

    context = context_of(issue("stranger", OTHER_CA), None)
    with ports.listening(handle) as port:
        result = probe_port(context, HOST, port, PLENTY_SECONDS, expect_refusal=True)
    return result, len(calls)


def test_who_expects_a_refusal_hears_the_alert_in_one_call(version: ssl.TLSVersion) -> None:
    context = ports.server_context(SERVER, CA, version)
    result, calls = meet_as_a_stranger(ports.speaks_tls(context))
    # A signature that does not verify is told by either of two alerts.
    reasons = {"unknown ca": "unknown_authority", "decrypt error": "alert"}
    assert result.alert in reasons and outcome_of(result) == (REFUSED, reasons[result.alert])
    assert calls == 1
    # With TLS 1.2 the server refuses in the handshake, before which nothing is known of it.
    assert (result.server is None) == (version == ssl.TLSVersion.TLSv1_2)


def test_who_expects_a_refusal_hears_the_close_in_one_call(version: ssl.TLSVersion) -> None:
    lenient = ports.server_context(SERVER, None, version)
    result, calls = meet_as_a_stranger(ports.closes_after_handshake(lenient))
    assert (outcome_of(result), calls) == ((REFUSED, "closed"), 1)


def test_who_expects_a_refusal_writes_nothing_before_it_has_come() -> None:
    """So that no reset overtakes the alert."""
    wrote_early: list[bool] = []
    result, calls = meet_as_a_stranger(closes_late(ports.server_context(SERVER, None), wrote_early))
    assert (outcome_of(result), calls, wrote_early) == ((REFUSED, "closed"), 1, [])


@pytest.mark.usefixtures("impatient")
def test_who_expects_a_refusal_and_hears_none_asks_all_the_same() -> None:
    """A fence that is open is found open."""
    result, calls = meet_as_a_stranger(ports.speaks_tls(ports.server_context(SERVER, None)))
    assert (*outcome_of(result), result.text, calls) == (ACCEPTED, None, "HTTP 200", 1)


def test_who_expects_a_refusal_and_is_cut_off_calls_again() -> None:
    """A connection that breaks in the handshake is no refusal: what counts is the next one."""
    context = ports.server_context(SERVER, CA, ssl.TLSVersion.TLSv1_3)
    result, calls = meet_as_a_stranger(ports.resets_at_hello, ports.speaks_tls(context))
    assert result.outcome == REFUSED and result.alert in ("unknown ca", "decrypt error")
    assert calls == 2


# Refused by the one who calls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "reason", "words"),
    [
        (issue("etcd-1", issue("another CA", is_ca=True)), "server_unknown_authority", "local issuer certificate"),
        (issue("etcd-1", OTHER_CA), "server_unknown_authority", "certificate signature failure"),
        (issue("etcd-1"), "server_unknown_authority", "self.signed certificate"),
        (
            issue("etcd-1", CA, not_before=NOW - 9 * DAY, not_after=NOW - DAY),
            "server_expired",
            "certificate has expired",
        ),
        (issue("etcd-1", CA, not_before=NOW + DAY), "server_not_yet_valid", "certificate is not yet valid"),
        (issue("etcd-1", CA, names=("localhost", "10.0.0.1")), "server_name", "ip address mismatch"),
        (
            issue("etcd-1", CA, extended_key_usages=[ExtendedKeyUsageOID.CLIENT_AUTH]),
            "server_key_usage",
            "(unsuitable|unsupported) certificate purpose",
        ),
    ],
    ids=[
        "unknown CA",
        "CA of the same name",
        "self-signed",
        "expired",
        "not yet valid",
        "other address",
        "client only",
    ],
)
def test_a_server_that_is_not_trusted(server: Issued, reason: str, words: str, version: ssl.TLSVersion) -> None:
    result = probe_with(ports.speaks_tls(ports.server_context(server, CA, version, demands=False)))
    assert outcome_of(result) == (REFUSED, reason)
    assert re.match(f"the certificate that it serves is refused: .*{words}", result.text), result.text
    # What it shows to somebody who only looks is told all the same.
    assert result.server == der_of(server.certificate)
    assert result.tls is not None and result.cipher is not None


def test_a_name_that_the_server_does_not_have() -> None:
    # Its common name is none of its names: Go does not look there either.
    for server in (issue("localhost", CA, names=("10.0.0.1",)), issue("localhost", CA, names=())):
        result = probe_with(ports.speaks_tls(ports.server_context(server, CA)), host="localhost")
        assert outcome_of(result) == (REFUSED, "server_name")
    server = issue("etcd-1", CA, names=("localhost",))
    assert probe_with(ports.speaks_tls(ports.server_context(server, CA)), host="localhost").outcome == ACCEPTED


def test_another_fault_of_the_server_keeps_openssl_s_words() -> None:
    """A leaf that has signed a leaf."""
    server = issue("etcd-1", CLIENT)
    context = client_context([der_of(one.certificate) for one in (CA, CLIENT)])
    result = probe_with(ports.speaks_tls(ports.server_context(server, None)), context)
    assert outcome_of(result) == (REFUSED, "server_other")
    assert result.text == "the certificate that it serves is refused: invalid ca certificate"


def test_a_server_that_is_not_trusted_and_then_gone_is_told_without_its_certificate() -> None:
    server = ports.server_context(issue("etcd-1", OTHER_CA), None)
    handler = ports.in_turn(ports.speaks_tls(server), ports.speaks_tls(server), ports.closes_at_hello)
    result = probe_with(handler)
    assert outcome_of(result) == (REFUSED, "server_unknown_authority")
    assert (result.server, result.tls) == (None, None)


# Broken, or something else ---------------------------------------------------------------------------------------


def test_a_reset_during_the_handshake() -> None:
    result = probe_with(ports.resets_at_hello)
    assert (*outcome_of(result), result.text, result.tls) == (REFUSED, "reset", "the connection was reset", None)


def test_a_reset_before_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is there, and broken when TLS begins."""
    connect = handshake._connect

    def connect_and_wait(host: str, port: int, deadline: float) -> socket.socket:
        connection = connect(host, port, deadline)
        may_reset.release()
        while True:
            try:
                connection.getpeername()
            except OSError:
                return connection
            time.sleep(0.001)

    def handle(plain: socket.socket) -> None:
        may_reset.acquire()
        ports.reset(plain)

    may_reset = threading.Semaphore(0)
    monkeypatch.setattr(handshake, "_connect", connect_and_wait)
    assert outcome_of(probe_with(handle)) == (REFUSED, "reset")


def test_a_reset_while_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the two it is can't be forced on a real server; so this one is told by the system's own error."""

    def refuse(connection: socket.socket, address: t.Any) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    result = probe_port(context_of(), HOST, 2380, PLENTY_SECONDS)
    assert (*outcome_of(result), result.text) == (REFUSED, "reset", "the connection was reset")


def test_a_server_that_resets_whatever_comes() -> None:
    assert outcome_of(probe_with(ports.reset)) == (REFUSED, "reset")


@pytest.mark.parametrize(
    "handler", [ports.closes_at_hello, ports.says(b"\x15\x03\x03\x00\x02\x01\x00")], ids=["close", "close_notify"]
)
def test_a_close_during_the_handshake(handler: ports.Handler) -> None:
    result = probe_with(handler)
    assert (*outcome_of(result), result.text) == (REFUSED, "closed", "it closed during the handshake")
    assert (result.tls, result.server) == (None, None)


@pytest.mark.parametrize("context", [context_of(), context_of(None, None)], ids=["member", "no certificate"])
def test_plain_http(context: ssl.SSLContext) -> None:
    with running() as server:
        result = probe_port(context, HOST, server.server_address[1], PLENTY_SECONDS)
    assert (*outcome_of(result), result.text) == (REFUSED, "not_tls", "it speaks plain HTTP: no TLS at this port")
    assert server.asked == [("/version", None)]


def test_plain_http_that_closes_at_what_it_does_not_understand() -> None:
    def handle(plain: socket.socket) -> None:
        if plain.recv(65536).startswith(ports.REQUEST):
            plain.sendall(ports.HTTP_OK)
        plain.shutdown(socket.SHUT_WR)
        ports.drain(plain)

    assert outcome_of(probe_with(handle)) == (REFUSED, "not_tls")


def test_something_that_speaks_neither() -> None:
    result = probe_with(ports.says(b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert outcome_of(result) == (REFUSED, "other") and result.text.startswith("TLS: ") and result.alert is None


def test_something_that_breaks_when_it_is_asked_in_plain() -> None:
    result = probe_with(ports.in_turn(ports.says(b"SSH-2.0\r\n"), ports.resets_at_hello))
    assert result.outcome == REFUSED and result.reason in ("other", "reset")


def test_tls_that_speaks_first() -> None:
    context = ports.server_context(SERVER, CA)

    def handle(plain: socket.socket) -> None:
        with ports.handshake(context, plain) as connection:
            assert connection is not None
            connection.sendall(b"220 mail.example.com ESMTP\r\n")
            ports.drain(connection)

    assert outcome_of(probe_with(handle)) == (REFUSED, "other")


@pytest.mark.parametrize(
    "answer", [b"hello\r\n", b"\r\n", b"HTTP/1.1 ok\r\n", b"SSH-2.0 200\r\n", b"x" * (handshake._ANSWER_BYTES + 1)]
)
@pytest.mark.usefixtures("impatient")
def test_tls_that_does_not_speak_http(answer: bytes) -> None:
    result = probe_with(ports.speaks_tls(ports.server_context(SERVER, CA), answer))
    assert (*outcome_of(result), result.text) == (
        REFUSED,
        "other",
        "something answered that does not speak HTTP: no etcd",
    )


def test_another_error_keeps_the_system_s_words() -> None:
    """What no server can be made to cause on loopback."""
    base = ProbeResult(REFUSED, None, "")
    found = handshake._after(base, OSError(113, "No route to host"), HOST, ports.CLOSED_PORT, 0.0)
    assert (found.outcome, found.reason, found.text) == (REFUSED, "other", "no route to host")


# No connection, or no answer -------------------------------------------------------------------------------------


def test_a_closed_port() -> None:
    port = ports.CLOSED_PORT
    result = probe_port(context_of(), HOST, port, PLENTY_SECONDS)
    assert (*outcome_of(result), result.text) == (UNREACHABLE, "port_closed", f"nothing listens at port {port}")
    assert (result.tls, result.server, result.source) == (None, None, None)


def test_a_network_that_is_not_reached() -> None:
    # No connection can be made to a group of hosts, on any machine.
    assert outcome_of(probe_port(context_of(), "255.255.255.255", 2380, PLENTY_SECONDS)) == (UNREACHABLE, "network")


@pytest.mark.parametrize(
    "host",
    # No name server is asked: a network interface that is not there, and what can't be a name.
    ["fe80::1%none", "etcd..example.com", f"{'x' * 64}.example.com"],
    ids=["no interface", "empty label", "long label"],
)
def test_a_name_that_does_not_resolve(host: str) -> None:
    result = probe_port(context_of(), host, 2380, PLENTY_SECONDS)
    assert outcome_of(result) == (UNREACHABLE, "name_unknown")
    assert re.fullmatch(f"{host} can't be resolved on the dialing host: [a-z].*", result.text)


def test_the_first_address_that_takes_a_connection_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def both(host: str, port: int, **options: t.Any) -> list[t.Any]:
        assert host == "etcd-1.example.com"
        (good,) = resolve(HOST, port, **options)
        # Of a kind that this kernel does not have, as IPv6 may be; closed; good.
        return [(4711, *good[1:]), *resolve(HOST, ports.CLOSED_PORT, **options), good]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    server = issue("etcd-1", CA, names=("etcd-1.example.com",))
    result = probe_with(ports.speaks_tls(ports.server_context(server, CA)), host="etcd-1.example.com")
    assert outcome_of(result) == (ACCEPTED, None)


def test_no_time_left_to_connect() -> None:
    result = probe_with(ports.hangs, timeout_seconds=0)
    assert (*outcome_of(result), result.text) == (TIMED_OUT, "connect", "no answer to the attempt to connect")


@pytest.mark.parametrize(
    ("handler", "seconds", "what"),
    [
        (ports.hangs, 0.5, "the handshake"),
        # Time enough for the handshake on a machine that is busy with other tests.
        (ports.hangs_after_handshake(ports.server_context(SERVER, CA)), 3.0, "the request"),
    ],
    ids=["at once", "after the handshake"],
)
def test_a_server_that_never_answers_ends_in_its_time(handler: ports.Handler, seconds: float, what: str) -> None:
    started = time.monotonic()
    result = probe_with(handler, timeout_seconds=seconds)
    assert time.monotonic() - started < PLENTY_SECONDS
    assert (*outcome_of(result), result.text) == (
        TIMED_OUT,
        "answer",
        f"it takes connections and leaves {what} unanswered",
    )


def test_nobody_takes_the_connection_from_the_kernel() -> None:
    """A process that hangs as a whole: its listener takes connections and nobody serves them."""
    with socket.create_server((HOST, 0)) as silent:
        result = probe_port(context_of(), HOST, silent.getsockname()[1], 0.5)
    assert outcome_of(result) == (TIMED_OUT, "answer")


# What is brought along -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certificate", "private_key", "words"),
    [
        (CLIENT.pem, SERVER.key_pem, "key values mismatch"),
        (CLIENT.pem, key_pem(CLIENT.key, b"secret"), ""),
        (CLIENT.pem, "no key", "(one of them is no pem|no start line|pem lib)$"),
        ("no certificate", CLIENT.key_pem, "(one of them is no pem|no start line|pem lib)$"),
    ],
    ids=["another key", "encrypted key", "no key", "no certificate"],
)
def test_a_pair_that_can_not_be_used(certificate: str, private_key: str, words: str) -> None:
    with pytest.raises(CryptoError, match="the certificate and its key can't be used for TLS: ") as caught:
        client_context(None, certificate.encode(), private_key.encode())
    line = str(caught.value)
    assert re.search(words, line) and "\n" not in line and "ssl.c" not in line
    assert not any(part in line for part in private_key.splitlines()[1:-1])


def test_no_key_of_a_pair_touches_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, certfile: t.Any, keyfile: t.Any = None, password: t.Any = None) -> None:
        seen.extend((os.readlink(certfile), os.readlink(keyfile)))
        load(context, certfile, keyfile, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    before = sorted(os.listdir("/proc/self/fd"))
    context_of()
    with pytest.raises(CryptoError):
        client_context(None, CLIENT.pem.encode(), SERVER.key_pem.encode())
    assert seen == ["/memfd:ringfence (deleted)"] * 4
    # Nothing stays open, where it was refused neither.
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_without_anonymous_files_there_is_no_call_and_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    """On a kernel or a Python without memfd_create: rather no call than a key on a disk."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(FileError, match=r"no anonymous file in memory \(memfd_create\) on this host"):
        context_of()
    assert list(tmp_path.iterdir()) == []
    # Without a pair there is nothing to hide.
    assert context_of(None).verify_mode == ssl.CERT_REQUIRED
