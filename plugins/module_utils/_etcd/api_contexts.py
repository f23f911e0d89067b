# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The TLS contexts with which a node calls client URLs, and why a connection there came to nothing.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import http.client
import socket
import ssl

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, FileError, InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._node.memory import PARTIAL_CHAIN, in_memory
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file


def client_context(ca_file: str | None, cert_file: str | None, key_file: str | None) -> ssl.SSLContext | None:
    """The TLS context of the node's own client files; None where no CA is given: then URLs must be http."""
    if ca_file is None:
        return None
    if (cert_file is None) != (key_file is None):
        raise InputError("a client certificate needs its key and a key its certificate: give both, or none")
    # Read here, to a limit, and never by OpenSSL, which would wait for ever at a named pipe.
    content = {path: _content(path) for path in filter(None, (ca_file, cert_file, key_file))}
    pair = None
    if cert_file is not None and key_file is not None:
        pair = (f"{cert_file} with {key_file}", content[cert_file], content[key_file])
    return _context(ca_file, content[ca_file], pair)


def _context(ca_file: str, authorities: bytes, pair: tuple[str, bytes, bytes] | None) -> ssl.SSLContext:
    """A context that trusts the CA file's content; ``pair``: what it is called in a message, certificate and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # As Go does it: every certificate of the bundle is trusted, self-signed or not.
    context.verify_flags |= PARTIAL_CHAIN
    path = ca_file
    try:
        with in_memory(authorities) as authority:
            context.load_verify_locations(cafile=authority)
        if pair is not None:
            path = pair[0]
            with in_memory(pair[1]) as certificate, in_memory(pair[2]) as private_key:
                # A password callback: without one an encrypted key would ask on the terminal.
                context.load_cert_chain(certificate, private_key, password=lambda: b"")
    except (ssl.SSLError, ValueError) as exc:
        why = why_no_answer(exc)
        raise CryptoError(f"can't use {path} for TLS: {why}: put a sound PEM file there", path=path) from exc
    return context


def _content(path: str) -> bytes:
    content = read_file(path)
    if content is None:
        raise FileError(f"can't read {path}: no such file or directory", path=path)
    return content


def nameless_context(ca_file: str | None, access: ApiAccess) -> ssl.SSLContext | None:
    """The TLS context of the pair without a common name; None where URLs must be http."""
    if ca_file is None or access.certificate is None or access.private_key is None:
        return client_context(ca_file, access.cert_file, access.key_file)
    pem = (access.certificate.encode("ascii", "replace"), access.private_key.encode("ascii", "replace"))
    return _context(ca_file, _content(ca_file), ("the pair of api_certificate", *pem))


def why_no_answer(exc: BaseException) -> str:
    """Why a connection failed, in words for the user."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {exc.verify_message}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS: {(exc.reason or str(exc)).replace('_', ' ').lower()}"
    if isinstance(exc, socket.timeout):
        return "no answer in time"
    if isinstance(exc, socket.gaierror):
        return f"the name is not known ({exc.strerror})"
    if isinstance(exc, http.client.HTTPException):
        return f"no HTTP answer ({type(exc).__name__})"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror.lower()
    return str(exc) or type(exc).__name__


__all__ = (
    "client_context",
    "nameless_context",
    "why_no_answer",
)
