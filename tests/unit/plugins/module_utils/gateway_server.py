# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real HTTP server, with or without TLS, that answers as etcd's client URL does."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import ssl
import threading
import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """A request: its body, its headers, and the common name of its certificate."""

    body: t.Any
    headers: t.Mapping[str, str]
    common_name: str | None


class GatewayServer(http.server.ThreadingHTTPServer):
    """Path → (status, body, or what gives it when it is asked for)."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, t.Any]] = {}
        self.asked: list[tuple[str, t.Any]] = []
        # Looked at first: what gives status and body to who asks like this.
        self.handlers: dict[str, t.Callable[[Asked], tuple[int, t.Any]]] = {}
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server_address[1]}"
        self._context = context

    def finish_request(self, request: t.Any, client_address: t.Any) -> None:
        if self._context is None:
            super().finish_request(request, client_address)
            return
        with self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as tls:
            try:
                tls.do_handshake()
            except OSError:
                # Read to the end: with anything left unread the kernel would send a reset, which overtakes the alert.
                tls.shutdown(socket.SHUT_WR)
                while tls.recv(4096):
                    pass
            else:
                super().finish_request(tls, client_address)

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that goes away is what some tests want."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: GatewayServer

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        given = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((self.path, given))
        status, answer = self.server.answers.get(self.path, (404, "404 page not found\n"))
        if self.path in self.server.handlers:
            asked = Asked(given, {name.lower(): value for name, value in self.headers.items()}, self._common_name())
            status, answer = self.server.handlers[self.path](asked)
        answer = answer() if callable(answer) else answer
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def _common_name(self) -> str | None:
        certificate = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
        subject = [pair for names in (certificate or {}).get("subject", ()) for pair in names]  # type: ignore[union-attr]
        return next((str(value) for name, value in subject if name == "commonName"), None)

    def log_message(self, format: str, *args: t.Any) -> None:
        pass


@contextlib.contextmanager
def running(context: ssl.SSLContext | None = None) -> t.Iterator[GatewayServer]:
    """A server on a free port of this host."""
    with GatewayServer(context) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
