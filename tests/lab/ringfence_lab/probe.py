# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dial an etcd peer port and tell what came back. Standard library only: the text of this file runs on a lab host."""

from __future__ import annotations

import json
import os
import socket
import ssl
import typing as t

# How long a refusal may take to come before anything is written: in TLS 1.3 the client's handshake returns before the
# server has looked at its certificate.
REFUSAL_SECONDS = 0.25


def probe(
    address: str,
    ca: str,
    certificate: str | None = None,
    private_key: str | None = None,
    port: int = 2380,
    timeout_seconds: float = 5.0,
    source_address: str | None = None,
) -> dict[str, t.Any]:
    """``GET /version`` by TLS. ``ca``, ``certificate`` and ``private_key`` are PEM text or a path.

    Gives ``accepted`` (an HTTP status line came, nothing less), ``status`` (of HTTP, or None), ``detail`` (one
    readable line), ``tls`` (the version, or None) and ``serial_number`` (of the certificate that is served, or None).
    """
    result: dict[str, t.Any] = {"accepted": False, "status": None, "detail": "", "tls": None, "serial_number": None}
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=_text(ca))
        # Python 3.13 is stricter by default; a probe answers the same on every host.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if certificate is not None and private_key is not None:
            _load(context, _text(certificate), _text(private_key))
        with (
            socket.create_connection(
                (address, port), timeout_seconds, (source_address, 0) if source_address else None
            ) as plain,
            context.wrap_socket(plain, server_hostname=address) as connection,
        ):
            result["tls"] = connection.version()
            result["serial_number"] = (connection.getpeercert() or {}).get("serialNumber")
            refusal = _wait_for_refusal(connection)
            if refusal is not None:
                result["detail"] = refusal
                return result
            connection.settimeout(timeout_seconds)
            host = f"[{address}]" if ":" in address else address
            connection.sendall(f"GET /version HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
            _read_answer(connection, result)
    except ssl.SSLCertVerificationError as error:
        result["detail"] = f"the server's certificate does not verify: {error.verify_message}"
    except ssl.SSLError as error:
        result["detail"] = _alert(error)
    except (ConnectionResetError, BrokenPipeError):
        result["detail"] = "the connection was reset"
    except OSError as error:
        result["detail"] = f"no connection: {error.strerror or error}"
    return result


def _text(pem_or_path: str) -> str:
    if "-----BEGIN" in pem_or_path:
        return pem_or_path
    with open(pem_or_path, encoding="ascii") as stream:
        return stream.read()


def _load(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    """``load_cert_chain`` takes a path only: one that is in memory, so that no key is on any disk."""
    descriptor = os.memfd_create("probe", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, f"{certificate.rstrip()}\n{private_key.rstrip()}\n".encode("ascii"))
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _alert(error: ssl.SSLError) -> str:
    """``SSLV3_ALERT_BAD_CERTIFICATE`` → ``TLS alert: bad certificate``."""
    reason = error.reason or str(error)
    _before, found, after = reason.partition("ALERT_")
    return f"TLS {'alert' if found else 'error'}: {(after or reason).replace('_', ' ').lower()}"


def _wait_for_refusal(connection: ssl.SSLSocket) -> str | None:
    connection.settimeout(REFUSAL_SECONDS)
    try:
        early = connection.recv(1)
    except TimeoutError:
        return None
    except OSError as error:
        # Python 3.9's time-out is no TimeoutError.
        if isinstance(error, socket.timeout):
            return None
        raise
    return "the connection was closed after the handshake, without an alert" if not early else None


def _read_answer(connection: ssl.SSLSocket, result: dict[str, t.Any]) -> None:
    """Status line, headers, and as much of the body as Content-Length says: the close may come seconds late."""
    received = b""
    while b"\r\n\r\n" not in received:
        block = connection.recv(4096)
        if not block:
            result["detail"] = "the connection was closed without an answer"
            return
        received += block
    head, _separator, body = received.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    length = 0
    for line in lines[1:]:
        key, _colon, value = line.partition(":")
        if key.lower() == "content-length" and value.strip().isdigit():
            length = int(value)
    while len(body) < length:
        block = connection.recv(4096)
        if not block:
            break
        body += block
    result["status"] = int(lines[0].split()[1])
    result["accepted"] = True
    result["detail"] = f"HTTP {result['status']} {body.decode('utf-8', 'replace').strip()}".strip()


__all__ = ("json", "probe")
