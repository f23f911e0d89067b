# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DER, value by value: tags, lengths and the primitive types that certificates are made of (X.690).

Bytes in, plain values out. Whatever is no DER ends in :class:`Malformed`, which the caller turns into a line that names
the certificate too.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31
CONTEXT = 0x80
CONSTRUCTED = 0x20

IA5_STRING = 0x16
STRING_ENCODINGS = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as everybody reads it
    IA5_STRING: "ascii",
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


class Malformed(Exception):
    """What is wrong with the DER at hand, in a few words."""


class Reader:
    """Walks over DER values; every read is bounded, so that garbage ends in Malformed and nothing else."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position >= len(self._data)

    def peek(self) -> int | None:
        """The tag of the next value; None at the end."""
        return None if self.at_end else self._data[self._position]

    def value(self) -> tuple[int, bytes, bytes]:
        """The next value: tag, content, and the whole as encoded."""
        start = self._position
        tag = self._byte()
        if tag & 0x1F == 0x1F:
            raise Malformed("a tag of several bytes")
        length = self._byte()
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise Malformed("a length that DER does not have")
            length = int.from_bytes(self._take(size), "big")
            if length < 0x80 or length >> (8 * (size - 1)) == 0:
                raise Malformed("a length in more bytes than it needs")
        content = self._take(length)
        return tag, content, self._data[start : self._position]

    def expect(self, tag: int, name: str) -> bytes:
        """The content of the next value, which must carry the tag."""
        found, content, _whole = self.value()
        if found != tag:
            raise Malformed(f"{name} expected")
        return content

    def optional(self, tag: int) -> bytes | None:
        """The content of the next value if it carries the tag."""
        return self.value()[1] if self.peek() == tag else None

    def sequence(self, name: str) -> Reader:
        return Reader(self.expect(SEQUENCE, name))

    def whole_sequence(self, name: str) -> bytes:
        """The next value as encoded, for comparisons; it must be a sequence."""
        tag, _content, whole = self.value()
        if tag != SEQUENCE:
            raise Malformed(f"{name} expected")
        return whole

    def integer(self, name: str) -> int:
        return integer(self.expect(INTEGER, name))

    def bit_string(self, name: str) -> bytes:
        return bit_string(self.expect(BIT_STRING, name))

    def object_identifier(self, name: str) -> str:
        return object_identifier(self.expect(OBJECT_IDENTIFIER, name))

    def time(self) -> datetime.datetime:
        tag, content, _whole = self.value()
        return time(tag, content)

    def end(self, name: str) -> None:
        if not self.at_end:
            raise Malformed(f"more data than {name} has")

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        if len(taken) != count:
            raise Malformed("it was cut off")
        self._position += count
        return taken


def sequence_in(data: bytes, name: str) -> Reader:
    """What is in the one sequence that all of the data has to be."""
    outer = Reader(data)
    inner = outer.sequence(name)
    outer.end(name)
    return inner


def boolean(content: bytes) -> bool:
    if content not in (b"\x00", b"\xff"):
        raise Malformed("a truth value that DER does not have")
    return content == b"\xff"


def integer(content: bytes) -> int:
    if not content:
        raise Malformed("an integer without a value")
    if len(content) > 1 and content[0] in (0x00, 0xFF) and content[0] >> 7 == content[1] >> 7:
        raise Malformed("an integer in more bytes than it needs")
    return int.from_bytes(content, "big", signed=True)


def bit_string(content: bytes) -> bytes:
    """The bits as whole bytes; those that do not count are zero."""
    unused, bits = content[:1], content[1:]
    # The first byte counts the bits of the last one that are none.
    if not unused or unused[0] > (7 if bits else 0) or (bits and bits[-1] & ((1 << unused[0]) - 1)):
        raise Malformed("a broken bit string")
    return bits


def object_identifier(content: bytes) -> str:
    if not content or content[-1] & 0x80 or len(content) > 64:
        raise Malformed("a broken object identifier")
    numbers: list[int] = []
    number, begins = 0, True
    for byte in content:
        if begins and byte == 0x80:
            raise Malformed("a broken object identifier")
        number = (number << 7) | (byte & 0x7F)
        begins = not byte & 0x80
        if begins:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(part) for part in (first, numbers[0] - 40 * first, *numbers[1:]))


def time(tag: int, content: bytes) -> datetime.datetime:
    """A moment in UTC, in one of the two forms that RFC 5280 has (4.1.2.5)."""
    digits = content[:-1]
    wanted = {UTC_TIME: 12, GENERALIZED_TIME: 14}.get(tag)
    if wanted is None or content[-1:] != b"Z" or len(digits) != wanted or not digits.isdigit():
        raise Malformed("a time that is not as RFC 5280 wants it")
    stamp = digits.decode("ascii")
    if tag == UTC_TIME:
        # RFC 5280, 4.1.2.5.1: two digits mean 1950 to 2049.
        stamp = ("19" if stamp >= "50" else "20") + stamp
    month, day, hour, minute, second = (int(stamp[at : at + 2]) for at in range(4, 14, 2))
    try:
        return datetime.datetime(int(stamp[:4]), month, day, hour, minute, second, tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Malformed("a time that does not exist") from None


def text(tag: int, content: bytes) -> str:
    encoding = STRING_ENCODINGS.get(tag)
    if encoding is None:
        raise Malformed("a name that is no text")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise Malformed("a name with broken text") from None


__all__ = (
    "BIT_STRING",
    "BOOLEAN",
    "CONSTRUCTED",
    "CONTEXT",
    "GENERALIZED_TIME",
    "IA5_STRING",
    "INTEGER",
    "OBJECT_IDENTIFIER",
    "OCTET_STRING",
    "SEQUENCE",
    "SET",
    "STRING_ENCODINGS",
    "UTC_TIME",
    "Malformed",
    "Reader",
    "bit_string",
    "boolean",
    "integer",
    "object_identifier",
    "sequence_in",
    "text",
    "time",
)
