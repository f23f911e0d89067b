# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Go's crypto/x509, and so etcd, does not take for a certificate though others do. Pure.

etcd reads its trust bundle at start, and one certificate that it can't parse is enough for it not to start. OpenSSL,
by which the node tries the files, is more patient, and so is ``cryptography`` on the controller: so what Go is strict
about is looked at here, in both places (crypto/x509/parser.go, Go 1.19 to 1.26).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._pki import asn1
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.der import (
    DNS_NAME,
    IP_ADDRESS,
    SUBJECT_ALTERNATIVE_NAME,
    Parts,
    attributes,
    general_names,
    parts_of,
    public_key_parts,
)

_PRINTABLE_STRING, _NUMERIC_STRING, _BMP_STRING, _T61_STRING, _UTF8_STRING = 0x13, 0x12, 0x1E, 0x14, 0x0C
_NULL = 0x05

# By tag, what may stand in a string of a name; other kinds of string are none to Go. With * and & as Go has it.
_STRINGS = {
    _PRINTABLE_STRING: re.compile(rb"[A-Za-z0-9 '()+,./:=?*&-]*"),
    _NUMERIC_STRING: re.compile(rb"[0-9 ]*"),
    asn1.IA5_STRING: re.compile(rb"[\x00-\x7f]*"),
    _BMP_STRING: re.compile(rb"(?:..)*", re.DOTALL),
    _T61_STRING: re.compile(rb".*", re.DOTALL),
}

_RSA, _EC, _ED25519 = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.3.101.112"
# The curves that Go has, and the bytes of a coordinate.
_CURVES = {"1.3.132.0.33": 28, "1.2.840.10045.3.1.7": 32, "1.3.132.0.34": 48, "1.3.132.0.35": 66}

_EMAIL, _URI = asn1.CONTEXT | 1, asn1.CONTEXT | 6
_SUBJECT_KEY_IDENTIFIER, _AUTHORITY_KEY_IDENTIFIER = "2.5.29.14", "2.5.29.35"
_NAME_CONSTRAINTS, _DISTRIBUTION_POINTS = "2.5.29.30", "2.5.29.31"
_NEVER_CRITICAL = {
    _SUBJECT_KEY_IDENTIFIER: "subject key identifier",
    _AUTHORITY_KEY_IDENTIFIER: "authority key identifier",
    "1.3.6.1.5.5.7.1.1": "authority information access",
}
_READ_BY_GO = {
    **_NEVER_CRITICAL,
    _NAME_CONSTRAINTS: "name constraints",
    _DISTRIBUTION_POINTS: "revocation list's places",
    "2.5.29.32": "certificate policies",
}
_PERMITTED, _EXCLUDED = (asn1.CONTEXT | asn1.CONSTRUCTED | number for number in (0, 1))
_DEPTH = 10


def why_go_refuses(certificate: bytes) -> str | None:
    """In a few words what Go would not read in this certificate (DER); None where there is nothing like that."""
    try:
        return next(_problems(parts_of(certificate)), None)
    except Malformed as exc:
        return str(exc)


def _problems(certificate: Parts) -> t.Iterator[str]:
    if certificate.serial_number < 0:
        yield "its serial number is negative"
    for what, name in (("subject", certificate.subject), ("issuer", certificate.issuer)):
        for attribute in attributes(name):
            if not _is_string(attribute.tag, attribute.content):
                yield f"its {what} has a text that is not of its kind (such as @ or _ in a PrintableString)"
    yield from _key_problems(certificate.public_key)
    for extension in certificate.extensions.values():
        if extension.critical and extension.kind in _NEVER_CRITICAL:
            yield f"its {_NEVER_CRITICAL[extension.kind]} is marked critical"
        if extension.kind == SUBJECT_ALTERNATIVE_NAME:
            for tag, content in general_names(extension.value):
                if tag in (_EMAIL, _URI) and not content.isascii():
                    yield "a subject alternative name is not ASCII"
        if extension.kind in _READ_BY_GO:
            _check_extension(extension.kind, extension.value)


def _check_extension(kind: str, value: bytes) -> None:
    """Malformed where Go, which reads these at once, finds something else than it expects."""
    what = f"its {_READ_BY_GO[kind]}"
    _check_whole(value, what)
    if kind == _SUBJECT_KEY_IDENTIFIER:
        asn1.Reader(value).expect(asn1.OCTET_STRING, what)
        return
    parts = asn1.sequence_in(value, what)
    if kind == _NAME_CONSTRAINTS:
        for tag in (_PERMITTED, _EXCLUDED):
            _check_subtrees(parts.optional(tag) or b"", what)
        parts.end(what)
    elif kind != _AUTHORITY_KEY_IDENTIFIER:
        while not parts.at_end:
            part = parts.sequence(what)
            if kind != _DISTRIBUTION_POINTS:
                part.object_identifier(what)


def _check_whole(data: bytes, what: str, depth: int = 0) -> None:
    """Every value in it is one, to the last."""
    reader = asn1.Reader(data)
    while not reader.at_end:
        tag, content, _whole = reader.value()
        if tag & asn1.CONSTRUCTED:
            if depth > _DEPTH:
                raise Malformed(f"{what} goes too deep")
            _check_whole(content, what, depth + 1)


def _check_subtrees(subtrees: bytes, what: str) -> None:
    left = asn1.Reader(subtrees)
    while not left.at_end:
        tag, base, _whole = left.sequence(what).value()
        if tag in (DNS_NAME, _EMAIL, _URI) and not base.isascii():
            raise Malformed(f"{what} have a name that is not ASCII")
        if tag == IP_ADDRESS:
            half = len(base) // 2
            mask = f"{int.from_bytes(base[half:], 'big'):0{8 * half}b}"
            if len(base) not in (8, 32) or "01" in mask:
                raise Malformed(f"{what} have a network that is none")


def _is_string(tag: int, content: bytes) -> bool:
    if tag == _UTF8_STRING:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            return False
        return True
    allowed = _STRINGS.get(tag)
    return allowed is not None and allowed.fullmatch(content) is not None


def _key_problems(public_key: bytes) -> t.Iterator[str]:
    kind, algorithm, key = public_key_parts(public_key)
    if kind == _RSA:
        if algorithm.peek() != _NULL or algorithm.value()[1] or not algorithm.at_end:
            yield "its RSA key has no NULL where the algorithm's parameters stand"
        numbers = asn1.sequence_in(key, "an RSA key")
        modulus, exponent = numbers.integer("an RSA modulus"), numbers.integer("an RSA exponent")
        if modulus <= 0 or not 0 < exponent < 1 << 63:
            yield "its RSA key has a number out of range"
    elif kind == _EC:
        size = _CURVES.get(algorithm.object_identifier("a named curve"))
        if size is None:
            yield "its key is on a curve that Go does not know (P-224, P-256, P-384 and P-521 are known)"
        elif key[:1] != b"\x04" or len(key) != 1 + 2 * size:
            yield "the point of its key is compressed or broken"
    elif kind == _ED25519 and (not algorithm.at_end or len(key) != 32):
        yield "its Ed25519 key is broken"


__all__ = ("why_go_refuses",)
