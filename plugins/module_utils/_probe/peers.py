# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one member gets at all the others, as itself and as a stranger, and as whom at their client ports; and why.

Several causes look the same on the wire (etcd sends *bad certificate* for most, and closes without a word for the
rest), so a reason is either seen or inferred from what this member knows: its certificate, its list, its address.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import queue
import ssl
import threading
import time
import typing as t
import urllib.parse
from dataclasses import dataclass, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RingfenceError,
    ServiceError,
    one_line,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    CLIENT,
    CLIENT_CASES,
    CLIENT_PEER,
    CLIENT_UNKNOWN_CA,
    MEMBER,
    REVOKED,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import (
    read_certificate,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    VERSION_REQUEST,
    ProbeResult,
    probe_port,
)

# etcd's Go says bad certificate for each of these; TLS 1.2 says handshake failure where there is no certificate.
_AMBIGUOUS_ALERTS = ("bad certificate", "certificate unknown", "unsupported certificate")

# Whose certificate is refused for its issuer, where etcd says no more than that it is bad. A client's is made for the
# call, or was looked at before: there is nothing else that could be wrong with it.
_OF_ANOTHER_CA = (UNKNOWN_CA, CLIENT, CLIENT_UNKNOWN_CA, CLIENT_PEER)

_THREADS = 32


@dataclass(frozen=True)
class Target:
    """A member to call, at its peer URL or its client URL."""

    name: str
    url: str
    host: str
    port: int


@dataclass(frozen=True)
class Caller:
    """What the probe calls as, and what it knows when it is refused.

    ``certificate`` and ``allowed_common_names`` are None where it has or knows none; ``revoked``: serial numbers (hex)
    of the list that this member itself checks; ``request``: what it asks where it is let in.
    """

    case: str
    context: ssl.SSLContext
    certificate: Certificate | None = None
    authorities: tuple[Certificate, ...] = ()
    allowed_common_names: tuple[str, ...] | None = None
    revoked: frozenset[str] = frozenset()
    request: bytes = VERSION_REQUEST


@dataclass(frozen=True)
class Called:
    """What came of one call."""

    caller: Caller
    target: Target
    explained: Explained


def target_of(name: str, url: str, what: str = "peer URL") -> Target:
    """A target from a member's name and peer or client URL; InputError where the URL can't be dialed."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urllib.parse.urlsplit("")
    if parts.scheme not in ("http", "https") or not host or not port or parts.path not in ("", "/"):
        raise InputError(f"member {name}: {what} {url!r} is none: write it like https://10.0.0.1:2380")
    return Target(name, url, host, port)


def probe_all(
    callers: t.Sequence[Caller], targets: t.Sequence[Target], timeout_seconds: float, now: datetime.datetime
) -> list[dict[str, t.Any]]:
    """Every caller at every target, in parallel; the results in the order of callers, then targets."""
    jobs = [(caller, target) for caller in callers for target in targets]
    return [as_probe(called) for called in call_all(jobs, timeout_seconds, now)]


def call_all(jobs: t.Sequence[tuple[Caller, Target]], timeout_seconds: float, now: datetime.datetime) -> list[Called]:
    """Every call of these, in parallel, and in this order.

    A thread that hangs in the resolution of a name is left behind (it is a daemon) and counts as timed out.
    ServiceError where this host starts no thread at all.
    """
    found: dict[int, ProbeResult] = {}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(jobs)):
        waiting.put(number)

    def work() -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            caller, target = jobs[number]
            strange = caller.case not in (MEMBER, CLIENT)
            try:
                found[number] = probe_port(
                    caller.context,
                    target.host,
                    target.port,
                    timeout_seconds,
                    expect_refusal=strange,
                    request=caller.request,
                )
            except Exception as exc:
                # A host without memory or descriptors, say. Nobody was called, and a thread's error reaches nobody.
                why = one_line(f"this host can't call: {type(exc).__name__}: {exc}").rstrip(": ")
                found[number] = ProbeResult(UNREACHABLE, "network", why)

    threads = _started(work, min(_THREADS, len(jobs)))
    rounds = -(-len(jobs) // max(1, len(threads)))
    deadline = time.monotonic() + rounds * timeout_seconds + 1.0
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    unresolved = ProbeResult(TIMED_OUT, "resolve", "its name was not resolved in time")
    return [
        Called(caller, target, explain(caller, found.get(number, unresolved), now))
        for number, (caller, target) in enumerate(jobs)
    ]


def _started(work: t.Callable[[], None], wanted: int) -> list[threading.Thread]:
    """As many threads as this host starts: fewer take longer, and do the same."""
    threads: list[threading.Thread] = []
    for _number in range(wanted):
        thread = threading.Thread(target=work, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as exc:
            if not threads:
                raise ServiceError(
                    f"this host starts no thread to call the other members with ({exc}): raise its limits of processes "
                    "and memory (ulimit -u, pids.max, memory.max)"
                ) from None
            break
        threads.append(thread)
    return threads


@dataclass(frozen=True)
class Explained:
    """A meeting with its reason made plain; ``inferred``: it was worked out, not seen."""

    result: ProbeResult
    inferred: bool = False


def explain(caller: Caller, result: ProbeResult, now: datetime.datetime) -> Explained:
    """Say why, where the wire does not show it (pure)."""
    if result.outcome == ACCEPTED:
        return _server_checked(caller, result)
    if result.outcome != REFUSED:
        return Explained(result)
    if result.alert is not None:
        return _explain_alert(caller, result, now)
    if result.reason in ("closed", "reset") and result.tls is not None:
        return _explain_close(caller, result)
    return Explained(result)


def _server_checked(caller: Caller, result: ProbeResult) -> Explained:
    """A member that dials checks the server's common name against its own list as well."""
    if caller.case != MEMBER or caller.allowed_common_names is None or result.server is None:
        return Explained(result)
    try:
        server = read_certificate(result.server)
    except RingfenceError:
        return Explained(result)
    if (server.common_name or "") in caller.allowed_common_names:
        return Explained(result)
    text = f"this member's own list does not allow the common name that is served, {server.common_name}"
    return Explained(replace(result, outcome=REFUSED, reason="server_common_name", text=text), inferred=True)


def _explain_alert(caller: Caller, result: ProbeResult, now: datetime.datetime) -> Explained:
    own = caller.certificate
    if own is None:
        if result.reason == "no_certificate" or result.alert == "handshake failure":
            text = f"it demands a certificate ({result.text})"
            return Explained(replace(result, reason="no_certificate", text=text))
        if result.alert in _AMBIGUOUS_ALERTS:
            # etcd 3.4 as Debian 12 has it (Go 1.19) says nothing else of any certificate, and none was shown.
            text = f"it demands a certificate ({result.text})"
            return Explained(replace(result, reason="no_certificate", text=text), inferred=True)
        return Explained(result)
    if result.reason == "expired" and now < own.not_before:
        text = f"the certificate is not valid before {iso_time(own.not_before)} ({result.text})"
        return Explained(replace(result, reason="not_yet_valid", text=text), inferred=True)
    if result.alert not in _AMBIGUOUS_ALERTS:
        return Explained(result)
    # Dates first, as Go looks at them; only that of etcd 3.4 in Debian 12 has no alert of its own for them.
    if now > own.not_after:
        text = f"the certificate has expired at {iso_time(own.not_after)} ({result.text})"
        return Explained(replace(result, reason="expired", text=text), inferred=True)
    if now < own.not_before:
        text = f"the certificate is not valid before {iso_time(own.not_before)} ({result.text})"
        return Explained(replace(result, reason="not_yet_valid", text=text), inferred=True)
    if caller.case in _OF_ANOTHER_CA:
        text = f"the CA is unknown to it ({result.text})"
        return Explained(replace(result, reason="unknown_authority", text=text), inferred=True)
    usages = own.extended_key_usage
    if usages is not None and "clientAuth" not in usages and "anyExtendedKeyUsage" not in usages:
        text = f"the certificate lacks the extended key usage clientAuth ({result.text})"
        return Explained(replace(result, reason="key_usage", text=text), inferred=True)
    if caller.authorities and own.issuer not in {authority.subject for authority in caller.authorities}:
        text = f"the certificate's issuer, {own.issuer_common_name}, is not in the trust bundle ({result.text})"
        return Explained(replace(result, reason="unknown_authority", text=text), inferred=True)
    text = f"the common name {own.common_name} is not allowed there ({result.text})"
    return Explained(replace(result, reason="common_name", text=text), inferred=True)


def _explain_close(caller: Caller, result: ProbeResult) -> Explained:
    """After a good handshake etcd closes where the address or the revocation list speaks against the certificate."""
    own = caller.certificate
    # Of a client's address etcd makes nothing.
    if own is None or caller.case in CLIENT_CASES:
        return Explained(result)
    # etcd looks at the address first.
    is_address_good = result.source is None or result.source in own.ip_addresses
    if own.serial_number in caller.revoked or (caller.case == REVOKED and is_address_good):
        text = f"the certificate is revoked: serial number {own.serial_number} ({result.text})"
        return Explained(replace(result, reason="revoked", text=text), inferred=True)
    if not is_address_good:
        names = ", ".join((*own.dns_names, *own.ip_addresses)) or "no name at all"
        text = f"the certificate has no subject alternative name for {result.source} (it has {names}; {result.text})"
        return Explained(replace(result, reason="address", text=text), inferred=True)
    return Explained(result)


def as_probe(called: Called, url_key: str = "peer_url") -> dict[str, t.Any]:
    """What is reported of a call; ``server``, in DER, is the caller's to make facts of, or to drop."""
    result = called.explained.result
    return {
        "to": called.target.name,
        url_key: called.target.url,
        "case": called.caller.case,
        "outcome": result.outcome,
        "reason": result.reason,
        "text": result.text,
        "inferred": called.explained.inferred,
        "tls": result.tls,
        "cipher": result.cipher,
        "server": result.server,
    }


__all__ = (
    "Called",
    "Caller",
    "Explained",
    "Target",
    "as_probe",
    "call_all",
    "explain",
    "probe_all",
    "target_of",
)
