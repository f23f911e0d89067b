# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real servers on loopback that do what a peer port may do: answer, refuse, hang, break, or be something else.

A handler gets each connection in a thread of its own and ends it as it likes. It never relies on how fast the client
is: it reads until it has what it waits for, or until the client has gone.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._node.memory import in_memory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued

Handler = t.Callable[[socket.socket], None]

HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ALERT_RECORD = b"\x15\x03\x03\x00\x02\x02"
CLIENT_REQUEST = b"POST /v3/kv/range HTTP/1.1\r\n"
REQUEST = b"GET /version HTTP/1.1\r\n"
# Nothing listens there, and nobody takes it meanwhile: connections get their ports from a higher range.
CLOSED_PORT = 1


class PeerPort(socketserver.ThreadingTCPServer):
    """A listener on a free port; ``problems``: what went wrong in a handler, other than a client that went away."""

    request_queue_size = 128

    def __init__(self, handler: Handler, address: str = "127.0.0.1") -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), socketserver.BaseRequestHandler)
        self.problems: list[BaseException] = []
        self.port: int = self.server_address[1]
        self._handler = handler

    def finish_request(self, request: t.Any, client_address: t.Any) -> None:
        try:
            self._handler(request)
        except OSError:
            # The client went away: that is what some tests want.
            pass
        except BaseException as exc:
            self.problems.append(exc)

    def shutdown_request(self, request: t.Any) -> None:
        # Not the standard library's orderly end: a handler may want a reset.
        request.close()


@contextlib.contextmanager
def listening(handler: Handler, address: str = "127.0.0.1") -> t.Iterator[int]:
    """The port of a server that hands each connection to the handler."""
    with PeerPort(handler, address) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.port
        finally:
            server.shutdown()
            thread.join()
    assert server.problems == []


def server_context(
    pair: Issued, trusted: Issued | None, version: ssl.TLSVersion | None = None, demands: bool = True
) -> ssl.SSLContext:
    """As etcd's peer listener; ``demands``: a client has to show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with in_memory(pair.pem.encode()) as certificate, in_memory(pair.key_pem.encode()) as key:
        context.load_cert_chain(certificate, key)
    if trusted is not None and demands:
        context.load_verify_locations(cadata=trusted.pem)
        context.verify_mode = ssl.CERT_REQUIRED
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def drain(connection: socket.socket) -> None:
    """Read until the client has gone: with anything left unread, the kernel ends a connection by a reset."""
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def read_request(connection: socket.socket) -> bytes:
    """The whole request; shorter where the client went away."""
    received = b""
    while b"\r\n\r\n" not in received:
        block = connection.recv(65536)
        if not block:
            break
        received += block
    return received


def reset(connection: socket.socket) -> None:
    """End a connection by a reset, whatever was read of it."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.contextmanager
def handshake(context: ssl.SSLContext, plain: socket.socket) -> t.Iterator[ssl.SSLSocket | None]:
    """The connection after the server's side of the handshake; None where it refused the client and said so."""
    with context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False) as connection:
        try:
            connection.do_handshake()
        except OSError:
            connection.shutdown(socket.SHUT_WR)
            drain(connection)
            yield None
        else:
            yield connection


def speaks_tls(context: ssl.SSLContext, answer: bytes = HTTP_OK) -> Handler:
    """What etcd does: a handshake, which may refuse, then an answer to a request."""

    def handle(plain: socket.socket) -> None:
        with handshake(context, plain) as connection:
            if connection is not None:
                request = read_request(connection)
                assert not request or request.startswith((REQUEST, CLIENT_REQUEST)), request
                connection.sendall(answer)
                drain(connection)

    return handle


def closes_after_handshake(context: ssl.SSLContext) -> Handler:
    """What etcd does with a certificate that is not for the caller's address, or that is revoked: no alert."""

    def handle(plain: socket.socket) -> None:
        with handshake(context, plain) as connection:
            if connection is not None:
                connection.shutdown(socket.SHUT_WR)
                drain(connection)

    return handle


def resets_after_request(context: ssl.SSLContext) -> Handler:
    def handle(plain: socket.socket) -> None:
        with handshake(context, plain) as connection:
            if connection is not None:
                read_request(connection)
                reset(connection)

    return handle


def hangs_after_handshake(context: ssl.SSLContext) -> Handler:
    def handle(plain: socket.socket) -> None:
        with handshake(context, plain) as connection:
            if connection is not None:
                drain(connection)

    return handle


def hangs(plain: socket.socket) -> None:
    """Take what comes and never say a word; it ends when the client does."""
    drain(plain)


def resets_at_hello(plain: socket.socket) -> None:
    plain.recv(65536)
    reset(plain)


def closes_at_hello(plain: socket.socket) -> None:
    plain.recv(65536)
    plain.shutdown(socket.SHUT_WR)
    drain(plain)


def says(words: bytes) -> Handler:
    """Answer whatever comes first with these bytes."""

    def handle(plain: socket.socket) -> None:
        plain.recv(65536)
        plain.sendall(words)
        plain.shutdown(socket.SHUT_WR)
        drain(plain)

    return handle


def alerts(description: int) -> Handler:
    """Answer the client's hello with a fatal alert."""
    return says(ALERT_RECORD + bytes([description]))


def in_turn(*handlers: Handler) -> Handler:
    """One handler for each connection; the last one for all that follow."""
    lock = threading.Lock()
    waiting = list(handlers)

    def handle(plain: socket.socket) -> None:
        with lock:
            handler = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        handler(plain)

    return handle
