# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call at an etcd member's peer or client port: what a caller with these credentials would get there.

In TLS 1.3 the client's handshake is over before the server has looked at the client's certificate, so a handshake says
nothing: accepted is who got an HTTP answer. Standard library only; no private key touches a disk.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.memory import PARTIAL_CHAIN, in_memory

ACCEPTED = "accepted"
REFUSED = "refused"
UNREACHABLE = "unreachable"
TIMED_OUT = "timed_out"

# How long a refusal may take before anything is written to the connection: what is written to a port that is being
# closed comes back as a reset, which may overtake the alert that says why. A busy host takes its time for it; who would
# have got an answer waits this long only after a call that got none, or where nobody expected one.
_REFUSAL_SECONDS = 2.0

_ANSWER_BYTES = 64 * 1024

# What is asked at a peer port.
VERSION_REQUEST = b"GET /version HTTP/1.1\r\nHost: etcd-peer\r\nConnection: close\r\n\r\n"
# RFC 9112, section 4.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r]*)?\r\n")

# X509_V_ERR_... (x509_vfy.h), as SSLCertVerificationError.verify_code gives them.
_SERVER_REASONS = {
    2: "server_unknown_authority",
    7: "server_unknown_authority",
    9: "server_not_yet_valid",
    10: "server_expired",
    18: "server_unknown_authority",
    19: "server_unknown_authority",
    20: "server_unknown_authority",
    21: "server_unknown_authority",
    26: "server_key_usage",
    62: "server_name",
    64: "server_name",
}

# The alert descriptions of RFC 8446, section 6.2 (and RFC 5246, 7.2.2), as OpenSSL names them, that say one thing only.
# Go's bad_certificate is not among them: etcd sends it for several causes.
_ALERT_REASONS = {
    "certificate expired": "expired",
    "unknown ca": "unknown_authority",
    "certificate required": "no_certificate",
}


@dataclass(frozen=True)
class ProbeResult:
    """What came of one call.

    ``outcome``: ``accepted``, ``refused``, ``unreachable`` or ``timed_out``. ``reason``: a code, None where accepted.
    ``alert``: the TLS alert in RFC 8446's words, where the other side sent one. ``server``: the certificate that is
    served, in DER. ``source``: the address that the call came from.
    """

    outcome: str
    reason: str | None
    text: str
    alert: str | None = None
    tls: str | None = None
    cipher: str | None = None
    server: bytes | None = None
    source: str | None = None


def client_context(
    trusted: t.Sequence[bytes] | None, certificate: bytes | None = None, private_key: bytes | None = None
) -> ssl.SSLContext:
    """What a peer brings along: whom it trusts (CA certificates in DER; None: it does not verify) and its pair (PEM).

    CryptoError where certificate and key can't be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= PARTIAL_CHAIN
    # Go takes no common name for a host's name (RFC 6125, section 6.4.4).
    context.hostname_checks_common_name = False
    if trusted is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=b"".join(trusted))
    if certificate is not None and private_key is not None:
        with in_memory(certificate) as certificate_path, in_memory(private_key) as private_key_path:
            try:
                # A password callback: without one an encrypted key would ask on the terminal.
                context.load_cert_chain(certificate_path, private_key_path, password=lambda: b"")
            except ssl.SSLError as exc:
                reason = (exc.reason or "one of them is no pem").replace("_", " ").lower()
                raise CryptoError(f"the certificate and its key can't be used for TLS: {reason}") from None
    return context


def probe_port(
    context: ssl.SSLContext,
    host: str,
    port: int,
    timeout_seconds: float,
    *,
    expect_refusal: bool = False,
    request: bytes = VERSION_REQUEST,
) -> ProbeResult:
    """Call ``https://host:port/version`` and report what came of it; never raises, and ends in the time given.

    ``request``: another one to ask there, whose answer's status is told.

    A caller that expects a refusal listens at once: it needs one call instead of two, and seconds more if accepted.
    (A name's resolution has no time limit of its own in Python: the caller has to mind that.)
    """
    deadline = time.monotonic() + timeout_seconds
    first = _call(context, host, port, deadline, expect_refusal, request)
    if first.outcome != REFUSED or first.reason == "not_tls":
        return first
    if expect_refusal and (first.alert or (first.reason == "closed" and first.tls)):
        # It has listened already, and heard why.
        return first
    # Something else than an answer: once more, and listen first, to hear why.
    second = _call(context, host, port, deadline, True, request)
    if second.outcome == ACCEPTED:
        return second
    result = second if second.outcome == REFUSED else first
    if result.server is None and context.verify_mode != ssl.CERT_NONE:
        # We did not trust it; what it showed us is still worth knowing.
        seen = _call(client_context(None), host, port, deadline, False, request)
        result = replace(result, server=seen.server, tls=result.tls or seen.tls, cipher=result.cipher or seen.cipher)
    return result


def _call(context: ssl.SSLContext, host: str, port: int, deadline: float, patient: bool, request: bytes) -> ProbeResult:
    try:
        plain = _connect(host, port, deadline)
    except (socket.gaierror, UnicodeError) as exc:
        # UnicodeError: what can't be a name ("etcd..example.com", a label of 64 characters) is asked of nobody.
        why = (getattr(exc, "strerror", None) or "no such name").lower()
        return ProbeResult(UNREACHABLE, "name_unknown", f"{host} can't be resolved on the dialing host: {why}")
    except (socket.timeout, TimeoutError):
        return ProbeResult(TIMED_OUT, "connect", "no answer to the attempt to connect")
    except ConnectionRefusedError:
        return ProbeResult(UNREACHABLE, "port_closed", f"nothing listens at port {port}")
    except ConnectionResetError as exc:
        # A server that takes connections to reset them at once: whether this is seen here or below is up to chance.
        return _after(ProbeResult(REFUSED, None, ""), exc, host, port, deadline)
    except OSError as exc:
        return ProbeResult(UNREACHABLE, "network", (exc.strerror or str(exc)).lower())
    with plain:
        base = ProbeResult(REFUSED, None, "", source=plain.getsockname()[0])
        try:
            with context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False) as connection:
                connection.settimeout(_left(deadline))
                connection.do_handshake()
                cipher = connection.cipher()
                base = replace(
                    base,
                    tls=connection.version(),
                    cipher=cipher[0] if cipher else None,
                    server=connection.getpeercert(binary_form=True),
                )
                return _ask(connection, base, deadline, patient, request)
        except OSError as exc:
            return _after(base, exc, host, port, deadline)


def _ask(connection: ssl.SSLSocket, base: ProbeResult, deadline: float, patient: bool, request: bytes) -> ProbeResult:
    if patient:
        # The request needs time as well.
        connection.settimeout(min(_REFUSAL_SECONDS, _left(deadline) / 2))
        try:
            if not connection.recv(1):
                return _closed(base)
        except OSError as exc:
            if not _is_timeout(exc):
                raise
    connection.settimeout(_left(deadline))
    connection.sendall(request)
    received = b""
    # The status line is the proof; the rest may come seconds late, or never.
    while b"\r\n" not in received and len(received) < _ANSWER_BYTES:
        connection.settimeout(_left(deadline))
        block = connection.recv(4096)
        if not block:
            break
        received += block
    if not received:
        return _closed(base)
    status = _STATUS_LINE.match(received)
    if status is not None:
        return replace(base, outcome=ACCEPTED, text=f"HTTP {status[1].decode('ascii')}")
    return replace(base, reason="other", text="something answered that does not speak HTTP: no etcd")


def _closed(base: ProbeResult) -> ProbeResult:
    return replace(base, reason="closed", text="the connection was closed after the handshake, with no alert")


def _after(base: ProbeResult, error: Exception, host: str, port: int, deadline: float) -> ProbeResult:
    """What an error of the ssl module means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _SERVER_REASONS.get(error.verify_code, "server_other")
        message = str(error.verify_message or error).rstrip(". ").lower()
        return replace(base, reason=reason, text=f"the certificate that it serves is refused: {message}")
    if _is_timeout(error):
        what = "the handshake" if base.tls is None else "the request"
        return replace(
            base, outcome=TIMED_OUT, reason="answer", text=f"it takes connections and leaves {what} unanswered"
        )
    # An orderly end of TLS (close_notify) is one too; for OpenSSL 3's unexpected one Python 3.9 has no class.
    is_end = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
    if is_end or (isinstance(error, ssl.SSLError) and "EOF" in str(error.reason)):
        if base.tls is None and _speaks_plain_http(host, port, deadline):
            return _plain(base)
        return _closed(base) if base.tls else replace(base, reason="closed", text="it closed during the handshake")
    if isinstance(error, ssl.SSLError):
        name = error.reason or str(error)
        _before, is_alert, alert = name.partition("ALERT_")
        said = (alert or name).replace("_", " ").lower()
        if is_alert:
            return replace(base, reason=_ALERT_REASONS.get(said, "alert"), text=f"TLS alert: {said}", alert=said)
        if _speaks_plain_http(host, port, deadline):
            return _plain(base)
        return replace(base, reason="other", text=f"TLS: {said}")
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return replace(base, reason="reset", text="the connection was reset")
    return replace(base, reason="other", text=str(getattr(error, "strerror", None) or error).lower())


def _plain(base: ProbeResult) -> ProbeResult:
    return replace(base, reason="not_tls", text="it speaks plain HTTP: no TLS at this port")


def _speaks_plain_http(host: str, port: int, deadline: float) -> bool:
    try:
        with _connect(host, port, deadline) as plain:
            plain.sendall(VERSION_REQUEST)
            return plain.recv(16).startswith(b"HTTP/")
    except OSError:
        return False


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first of the host's addresses that takes one, all of them within the deadline."""
    problem: OSError | None = None
    for family, kind, protocol, _name, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection: socket.socket | None = None
        try:
            # May be refused as well: on a host without IPv6, names still have addresses of that kind.
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(_left(deadline))
            connection.connect(address)
            return connection
        except OSError as exc:
            if connection is not None:
                connection.close()
            problem = exc
    raise problem or OSError("the name has no address")


def _left(deadline: float) -> float:
    """Seconds to the deadline; a time-out error where there are none (0 would mean: do not wait at all)."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def _is_timeout(error: BaseException) -> bool:
    # In Python 3.9 the socket's time-out is no TimeoutError yet.
    return isinstance(error, (socket.timeout, TimeoutError))


__all__ = (
    "ACCEPTED",
    "REFUSED",
    "TIMED_OUT",
    "UNREACHABLE",
    "VERSION_REQUEST",
    "ProbeResult",
    "client_context",
    "probe_port",
)
