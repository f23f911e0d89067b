# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates put together byte by byte: what no library would make. Nobody has signed them."""

from __future__ import annotations

ED25519 = b"\x30\x05\x06\x03\x2b\x65\x70"


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big") if size > 0xFF else bytes([0x81, size])
    return bytes([tag]) + length + content


def oid(text: str) -> bytes:
    """An object identifier whose numbers are below 2 ** 14, apart from a few that are below 2 ** 28."""
    first, second, *others = (int(part) for part in text.split("."))
    content = b""
    for number in (40 * first + second, *others):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(number & 0x7F | 0x80)
        content += bytes(reversed(septets))
    return der(6, content)


def extension(kind: str, value: bytes, *critical: bytes) -> bytes:
    return der(0x30, oid(kind), *critical, der(4, value))


def name_of(kind: bytes = b"\x55\x04\x03", text: bytes = b"\x0c\x06etcd-1") -> bytes:
    return der(0x30, der(0x31, der(0x30, der(6, kind), text)))


def made_by_hand(*extensions: bytes, signature_algorithm: bytes = ED25519, **parts: bytes) -> bytes:
    """A certificate of parts that are given as they are, right or wrong."""
    tbs = {
        "version": der(0xA0, der(2, b"\x02")),
        "serial": der(2, b"\x01"),
        "algorithm": ED25519,
        "issuer": name_of(),
        "validity": der(0x30, der(0x17, b"260101000000Z"), der(0x17, b"360101000000Z")),
        "subject": name_of(),
        "key": der(0x30, ED25519, der(3, bytes(33))),
        "extensions": der(0xA3, der(0x30, *extensions)),
        **parts,
    }
    return der(0x30, der(0x30, *tbs.values()), signature_algorithm, der(3, b"\0"))


__all__ = ("ED25519", "der", "extension", "made_by_hand", "name_of", "oid")
