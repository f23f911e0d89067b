# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a running member lets this host's certificate in at its peer port, by a handshake of its own.

What the member's process allows counts, whatever its unit says by now.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    client_context,
    probe_port,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import target_of

_SECONDS = 10.0


def admission(ca_file: str, cert_file: str, key_file: str) -> t.Callable[[str, str], str | None]:
    """As ``admission_of``, with the pair and the trust bundle of three files; FileError where one is missing."""
    return admission_of(*(_content(path) for path in (ca_file, cert_file, key_file)))


def admission_of(bundle: bytes, certificate: bytes, private_key: bytes) -> t.Callable[[str, str], str | None]:
    """By a member's name and peer URL: why it does not let the pair in, None where it does. All three are PEM.

    CryptoError where they can't be used.
    """
    authorities = [block.der for block in split_pem(bundle, "trust bundle") if block.label == CERTIFICATE_LABEL]
    context = client_context(authorities, certificate, private_key)

    def why_not(name: str, url: str) -> str | None:
        try:
            target = target_of(name, url)
        except InputError as exc:
            return str(exc)
        if not url.startswith("https://"):
            return f"its peer URL {url} is not https"
        result = probe_port(context, target.host, target.port, _SECONDS)
        return None if result.outcome == ACCEPTED else result.text or result.reason or result.outcome

    return why_not


def _content(path: str) -> bytes:
    content = read_file(path)
    if content is None:
        raise FileError(f"can't read {path}: no such file or directory", path=path)
    return content


__all__ = ("admission", "admission_of")
