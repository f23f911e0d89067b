# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""PEM: the blocks of a text, and the DER in them.

Text in, bytes out; no I/O. Whatever is broken ends in a :class:`CryptoError` with one line.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._errors import CryptoError

# The one label that Go, and so etcd, takes.
CERTIFICATE_LABEL = "CERTIFICATE"

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,60})-----[ \t]*")
_CERTIFICATE_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class PemBlock:
    """One block of a PEM file; ``headers`` are the lines that old encrypted keys carry (``Proc-Type: 4,ENCRYPTED``)."""

    label: str
    headers: tuple[str, ...]
    der: bytes = field(repr=False)


def split_pem(text: bytes, what: str = "the file") -> tuple[PemBlock, ...]:
    """All PEM blocks in order; text around them is skipped, as OpenSSL and Go do. CryptoError where one is broken."""
    blocks: list[PemBlock] = []
    label: str | None = None
    lines: list[bytes] = []
    for line in text.splitlines():
        if label is None:
            begin = _BEGIN.fullmatch(line)
            if begin:
                label, lines = begin.group(1).decode("ascii"), []
        elif line.rstrip() == b"-----END " + label.encode("ascii") + b"-----":
            blocks.append(_pem_block(label, lines, what))
            label = None
        elif line.startswith(b"-----"):
            break
        else:
            lines.append(line.strip())
    if label is not None:
        raise CryptoError(f"{what} is broken PEM: {label} begins and does not end; it was cut off or pasted in part")
    return tuple(blocks)


def certificate_der(pem: bytes, what: str) -> bytes:
    """The DER of the one certificate in a PEM text; CryptoError where there is none, a broken one, or several.

    For who wants one certificate and would not know what to do with a chain or a bundle.
    """
    if not pem.strip():
        raise CryptoError(f"{what} is empty: put the certificate back from its backup")
    blocks = _CERTIFICATE_BLOCK.findall(pem)
    if not blocks:
        raise CryptoError(
            f"{what} is no PEM certificate (no complete 'BEGIN CERTIFICATE' block): put the right one there"
        )
    if len(blocks) > 1:
        raise CryptoError(f"{what} holds {len(blocks)} certificates, one is wanted: give the one meant alone")
    return _pem_block(CERTIFICATE_LABEL, [line.strip() for line in blocks[0].splitlines()], what).der


def _pem_block(label: str, lines: list[bytes], what: str) -> PemBlock:
    headers: list[str] = []
    if any(b":" in line for line in lines):
        # RFC 1421 headers end with an empty line.
        while lines and lines[0]:
            headers.append(lines.pop(0).decode("ascii", "replace"))
    try:
        der = base64.b64decode(b"".join(lines), validate=True)
    except (binascii.Error, ValueError):
        raise CryptoError(f"{what} is broken PEM: what stands in {label} is not base64; copy it again") from None
    if not der:
        raise CryptoError(f"{what} is broken PEM: {label} is empty; copy it again")
    return PemBlock(label, tuple(headers), der)


__all__ = ("CERTIFICATE_LABEL", "PemBlock", "certificate_der", "split_pem")
