# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is called, and that all are called at once, against real servers."""

from __future__ import annotations

import threading
import time
import types
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    MEMBER,
    NO_CERTIFICATE,
    STRANGER,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._probe import handshake, peers
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    ProbeResult,
    client_context,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import Caller, probe_all, target_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import peer_port as ports
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    NOW,
    Issued,
    der_of,
    issue,
)

CA = issue("etcd peer CA", is_ca=True)
SERVER = issue("etcd-2.example.com", CA)
OWN = issue("etcd-1.example.com", CA, names=("etcd-1.example.com", "127.0.0.1"))
PLENTY_SECONDS = 60.0


# Targets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://10.0.0.1:2380", "10.0.0.1", 2380),
        ("https://[fd00::1]:2380/", "fd00::1", 2380),
        ("http://etcd-1.example.com:7001", "etcd-1.example.com", 7001),
    ],
)
def test_targets(url: str, host: str, port: int) -> None:
    target = target_of("etcd-1", url)
    assert (target.name, target.url, target.host, target.port) == ("etcd-1", url, host, port)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "None",
        "10.0.0.1:2380",
        "https://10.0.0.1",
        "https://:2380",
        "https://10.0.0.1:0",
        "https://10.0.0.1:x",
        "https://10.0.0.1:70000",
        "https://[fd00::1:2380",
        "https://10.0.0.1:2380/members",
        "ftp://10.0.0.1:2380",
    ],
)
def test_a_text_that_is_no_peer_url(url: str) -> None:
    with pytest.raises(InputError) as caught:
        target_of("etcd-2", url)
    assert str(caught.value) == f"member etcd-2: peer URL {url!r} is none: write it like https://10.0.0.1:2380"


# All at once -----------------------------------------------------------------------------------------------------


def own_caller(case: str = MEMBER, pair: Issued = OWN) -> Caller:
    context = client_context([der_of(CA.certificate)], pair.pem.encode(), pair.key_pem.encode())
    return Caller(case, context, read_certificate(der_of(pair.certificate)))


def test_every_caller_at_every_target_in_this_order() -> None:
    callers = [own_caller(), Caller(NO_CERTIFICATE, client_context(None))]
    with ports.listening(ports.speaks_tls(ports.server_context(SERVER, CA))) as port:
        targets = [
            target_of("etcd-2", f"https://127.0.0.1:{port}"),
            target_of("etcd-3", f"https://127.0.0.1:{ports.CLOSED_PORT}"),
        ]
        probes = probe_all(callers, targets, PLENTY_SECONDS, NOW)
    assert [(probe["case"], probe["to"], probe["outcome"], probe["reason"]) for probe in probes] == [
        (MEMBER, "etcd-2", ACCEPTED, None),
        (MEMBER, "etcd-3", UNREACHABLE, "port_closed"),
        (NO_CERTIFICATE, "etcd-2", REFUSED, "no_certificate"),
        (NO_CERTIFICATE, "etcd-3", UNREACHABLE, "port_closed"),
    ]
    assert [probe["peer_url"] for probe in probes] == [target.url for target in targets] * 2
    assert probes[0]["server"] == der_of(SERVER.certificate) and probes[0]["inferred"] is False
    assert probes[0]["tls"] == "TLSv1.3" and probes[0]["cipher"].startswith("TLS_")
    assert probe_all(callers, [], PLENTY_SECONDS, NOW) == []


def test_only_strangers_expect_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A member would wait for one for seconds, and a stranger would need a second call to hear of its own."""
    expected: list[bool] = []
    calls: list[bool] = []
    serve = ports.speaks_tls(ports.server_context(SERVER, CA))

    def watched(*arguments: t.Any, expect_refusal: bool, request: bytes) -> ProbeResult:
        expected.append(expect_refusal)
        return handshake.probe_port(*arguments, expect_refusal=expect_refusal, request=request)

    def handle(plain: t.Any) -> None:
        calls.append(True)
        serve(plain)

    monkeypatch.setattr(peers, "_THREADS", 1)
    monkeypatch.setattr(peers, "probe_port", watched)
    foreign = issue("stranger", issue("another CA", is_ca=True))
    context = client_context(None, foreign.pem.encode(), foreign.key_pem.encode())
    callers = [
        own_caller(),
        *(Caller(case, context) for case in (STRANGER, UNKNOWN_CA)),
        Caller(NO_CERTIFICATE, client_context(None)),
    ]
    with ports.listening(handle) as port:
        probes = probe_all(callers, [target_of("etcd-2", f"https://127.0.0.1:{port}")], PLENTY_SECONDS, NOW)
    assert [probe["outcome"] for probe in probes] == [ACCEPTED, REFUSED, REFUSED, REFUSED]
    assert expected == [False, True, True, True]
    assert len(calls) == len(callers)


def test_all_are_called_at_once() -> None:
    """Each server answers only when all have been called: one call after the other would never end."""
    count = 20
    together = threading.Barrier(count)
    serve = ports.speaks_tls(ports.server_context(SERVER, CA))

    def handle(plain: t.Any) -> None:
        together.wait(PLENTY_SECONDS)
        serve(plain)

    with ports.listening(handle) as port:
        targets = [target_of(f"etcd-{number}", f"https://127.0.0.1:{port}") for number in range(count)]
        probes = probe_all([own_caller()], targets, PLENTY_SECONDS, NOW)
    assert [probe["outcome"] for probe in probes] == [ACCEPTED] * count
    assert [probe["to"] for probe in probes] == [target.name for target in targets]


def test_more_calls_than_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_THREADS", 2)
    with ports.listening(ports.speaks_tls(ports.server_context(SERVER, CA))) as port:
        targets = [target_of(f"etcd-{number}", f"https://127.0.0.1:{port}") for number in range(7)]
        probes = probe_all([own_caller()], targets, PLENTY_SECONDS, NOW)
    assert [probe["outcome"] for probe in probes] == [ACCEPTED] * 7


def test_a_name_service_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python can't end a resolution: the thread is left behind, and the others' results are there."""
    answered = threading.Event()

    def hang(context: t.Any, host: str, port: int, timeout_seconds: float, **more: t.Any) -> ProbeResult:
        if host == "etcd-2.example.com":
            answered.wait(PLENTY_SECONDS)
        return handshake.probe_port(context, host, port, timeout_seconds, **more)

    monkeypatch.setattr(peers, "probe_port", hang)
    targets = [
        target_of("etcd-2", "https://etcd-2.example.com:2380"),
        target_of("etcd-3", f"https://127.0.0.1:{ports.CLOSED_PORT}"),
    ]
    started = time.monotonic()
    try:
        probes = probe_all([Caller(NO_CERTIFICATE, client_context(None))], targets, 1.0, NOW)
        assert time.monotonic() - started < PLENTY_SECONDS / 2
    finally:
        answered.set()
    assert [(probe["outcome"], probe["reason"]) for probe in probes] == [
        (TIMED_OUT, "resolve"),
        (UNREACHABLE, "port_closed"),
    ]
    assert probes[0]["text"] == "its name was not resolved in time" and probes[0]["server"] is None


# A host at its limits ---------------------------------------------------------------------------------------------


class FewThreads(threading.Thread):
    """As on a host that starts so many and no more."""

    left = 0

    def start(self) -> None:
        if FewThreads.left == 0:
            raise RuntimeError("can't start new thread")
        FewThreads.left -= 1
        super().start()


def test_fewer_threads_call_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "threading", types.SimpleNamespace(Thread=FewThreads))
    FewThreads.left = 1
    with ports.listening(ports.speaks_tls(ports.server_context(SERVER, CA))) as port:
        targets = [target_of(f"etcd-{number}", f"https://127.0.0.1:{port}") for number in range(4)]
        probes = probe_all([own_caller()], targets, PLENTY_SECONDS, NOW)
    assert [probe["outcome"] for probe in probes] == [ACCEPTED] * 4


def test_without_any_thread_nobody_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "threading", types.SimpleNamespace(Thread=FewThreads))
    FewThreads.left = 0
    with pytest.raises(ServiceError, match="this host starts no thread to call the other members with"):
        probe_all([own_caller()], [target_of("etcd-2", "https://127.0.0.1:2380")], PLENTY_SECONDS, NOW)


def test_a_call_that_can_not_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that a name was not resolved: an error in a thread reaches nobody."""

    def full(*_arguments: t.Any, **_more: t.Any) -> t.NoReturn:
        raise MemoryError

    monkeypatch.setattr(peers, "probe_port", full)
    (probe,) = probe_all([own_caller()], [target_of("etcd-2", "https://127.0.0.1:2380")], PLENTY_SECONDS, NOW)
    assert (probe["outcome"], probe["reason"]) == (UNREACHABLE, "network")
    assert probe["text"] == "this host can't call: MemoryError"
