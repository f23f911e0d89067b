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

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError

# The one label that Go, and so etcd, takes.
CERTIFICATE_LABEL = "CERTIFICATE"
REVOCATION_LIST_LABEL = "X509 CRL"

# What some editors put in front of a text: no part of it.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,60})-----[ \t]*")


@dataclass(frozen=True)
class PemBlock:
    """One block of a PEM file; ``headers`` are the lines that old encrypted keys carry (``Proc-Type: 4,ENCRYPTED``)."""

    label: str
    headers: tuple[str, ...]
    der: bytes = field(repr=False)


def split_pem(text: bytes, what: str = "the file") -> tuple[PemBlock, ...]:
    """All PEM blocks in order; text around them is skipped, as OpenSSL and Go do. CryptoError where one is broken."""
    if text.startswith(_UTF_16_MARKS):
        raise CryptoError(f"{what} is UTF-16 text, which etcd can't read: save it as UTF-8, or ASCII")
    blocks: list[PemBlock] = []
    label: str | None = None
    lines: list[bytes] = []
    for line in text[len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0 :].splitlines():
        if label is None:
            begin = _BEGIN.fullmatch(line)
            if begin:
                label, lines = begin.group(1).decode("ascii"), []
            elif b"-----BEGIN " in line:
                # Skipped, as OpenSSL and Go would, a block would be lost without a word.
                raise CryptoError(
                    f"{what} is broken PEM: a line has more on it than its -----BEGIN ...----- (indented, or text "
                    "before or behind it): put that on a line of its own"
                )
        elif line.rstrip() == b"-----END " + label.encode("ascii") + b"-----":
            blocks.append(pem_block(label, lines, what))
            label = None
        elif line.startswith(b"-----"):
            break
        else:
            lines.append(line.strip())
    if label is not None:
        raise CryptoError(f"{what} is broken PEM: {label} begins and does not end; it was cut off or pasted in part")
    return tuple(blocks)


def is_read_by_all(text: bytes) -> bool:
    """Whether Go finds the same blocks in a text as ``split_pem``, which is more patient with marks and line ends."""
    return not text.startswith(_BYTE_ORDER_MARK) and b"\r" not in text.replace(b"\r\n", b"\n")


def pem_text(label: str, der: bytes) -> bytes:
    """One block as OpenSSL writes it, so that the same content is always the same text."""
    encoded = base64.b64encode(der)
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    name = label.encode("ascii")
    return b"\n".join((b"-----BEGIN " + name + b"-----", *lines, b"-----END " + name + b"-----", b""))


def pem_block(label: str, lines: list[bytes], what: str) -> PemBlock:
    """A block from the lines between its marks; CryptoError where these are no base64."""
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


__all__ = (
    "CERTIFICATE_LABEL",
    "REVOCATION_LIST_LABEL",
    "PemBlock",
    "is_read_by_all",
    "pem_block",
    "pem_text",
    "split_pem",
)
