# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in a certificate, read with Python's standard library only: a node of etcd has no ``cryptography``.

Bytes in, frozen values out; no I/O. It reads and never judges: whether a certificate is any good is said by a TLS
handshake (``_tls_check``). Whatever is no certificate ends in a :class:`CryptoError` with one line.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import ipaddress
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._errors import CryptoError

_BOOLEAN = 0x01
_INTEGER = 0x02
_BIT_STRING = 0x03
_OCTET_STRING = 0x04
_OBJECT_IDENTIFIER = 0x06
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_SEQUENCE = 0x30
_SET = 0x31
_CONTEXT = 0x80
_CONSTRUCTED = 0x20

_STRING_ENCODINGS = {
    0x0C: "utf-8",  # UTF8String
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as everybody reads it
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}

_COMMON_NAME = "2.5.4.3"
_SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
_BASIC_CONSTRAINTS = "2.5.29.19"
_KEY_USAGE = "2.5.29.15"
_EXTENDED_KEY_USAGE = "2.5.29.37"

_RSA = "1.2.840.113549.1.1.1"
_EC = "1.2.840.10045.2.1"
_CURVES = {"1.2.840.10045.3.1.7": "ecdsa-p256", "1.3.132.0.34": "ecdsa-p384", "1.3.132.0.35": "ecdsa-p521"}
_OTHER_KEYS = {"1.3.101.112": "ed25519", "1.3.101.113": "ed448"}

# In the order of the bits (RFC 5280, 4.2.1.3).
_KEY_USAGES = (
    "digitalSignature",
    "contentCommitment",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)
_EXTENDED_KEY_USAGES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,60})-----[ \t]*")
# The one label that Go, and so etcd, takes.
_CERTIFICATE_LABEL = "CERTIFICATE"
_REVOCATION_LIST_LABEL = "X509 CRL"


class _Malformed(Exception):
    """What is wrong with the DER at hand; becomes a CryptoError that names the certificate too."""


@dataclass(frozen=True)
class PemBlock:
    """One block of a PEM file; ``headers`` are the lines that old encrypted keys carry (``Proc-Type: 4,ENCRYPTED``)."""

    label: str
    headers: tuple[str, ...]
    der: bytes = field(repr=False)


@dataclass(frozen=True)
class Certificate:
    """The facts of one X.509 certificate.

    ``common_name``: the last one of the subject, which is the one that Go, and so etcd, compares with its list.
    ``key_usage`` and ``extended_key_usage``: None where the certificate has no such extension.
    ``subject``, ``issuer`` and ``public_key``: the DER of the names and of the SubjectPublicKeyInfo, for comparisons.
    """

    serial_number: str
    common_name: str | None
    issuer_common_name: str | None
    not_before: datetime.datetime
    not_after: datetime.datetime
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    key_algorithm: str
    key_usage: tuple[str, ...] | None
    extended_key_usage: tuple[str, ...] | None
    is_ca: bool
    path_length: int | None
    fingerprint: str
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    der: bytes = field(repr=False)

    @property
    def is_self_issued(self) -> bool:
        return self.subject == self.issuer


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


def read_certificates(text: bytes | str, what: str = "the file") -> tuple[Certificate, ...]:
    """Every certificate of a PEM file (a leaf and its intermediates, or a trust bundle); CryptoError where none is."""
    if isinstance(text, str):
        text = text.encode("utf-8", "replace")
    if not text.strip():
        raise CryptoError(f"{what} is empty: a PEM certificate is wanted")
    ders = [block.der for block in split_pem(text, what) if block.label == _CERTIFICATE_LABEL]
    if not ders:
        raise CryptoError(
            f"{what} holds no PEM certificate: a line -----BEGIN CERTIFICATE----- is wanted, not indented and not DER"
        )
    return tuple(read_certificate(der, what) for der in ders)


def read_certificate(der: bytes, what: str = "the certificate") -> Certificate:
    """The facts of one certificate in DER; CryptoError where it is none."""
    try:
        return _read_certificate(bytes(der))
    except _Malformed as exc:
        raise CryptoError(f"{what} is no readable X.509 certificate ({exc}): put the original there again") from None


def read_revoked(content: bytes, what: str = "the revocation list") -> frozenset[str]:
    """Serial numbers (as in :class:`Certificate`) of a revocation list, DER or PEM (RFC 5280, 5.1), else CryptoError.

    Like etcd it looks at neither the signature nor the dates.
    """
    ders = [content]
    if b"-----BEGIN" in content:
        ders = [block.der for block in split_pem(content, what) if block.label == _REVOCATION_LIST_LABEL]
    found: set[str] = set()
    for der in ders:
        try:
            found |= _read_revoked(bytes(der))
        except _Malformed as exc:
            raise CryptoError(f"{what} is no readable revocation list ({exc}): write it in DER again") from None
    return frozenset(found)


def iso_time(moment: datetime.datetime) -> str:
    """A moment as this collection's results show it: ``2026-11-23T22:54:00Z``."""
    # strftime leaves out the leading zeros of early years on some platforms; isoformat does not.
    return moment.astimezone(datetime.timezone.utc).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def certificate_facts(certificate: Certificate, now: datetime.datetime) -> dict[str, t.Any]:
    """A certificate's facts as JSON values; ``days_left`` counts whole days and is negative once it has expired."""
    return {
        "common_name": certificate.common_name,
        "issuer_common_name": certificate.issuer_common_name,
        "serial_number": certificate.serial_number,
        "fingerprint": certificate.fingerprint,
        "not_before": iso_time(certificate.not_before),
        "not_after": iso_time(certificate.not_after),
        "days_left": (certificate.not_after - now).days,
        "dns_names": list(certificate.dns_names),
        "ip_addresses": list(certificate.ip_addresses),
        "key_algorithm": certificate.key_algorithm,
        "key_usage": None if certificate.key_usage is None else list(certificate.key_usage),
        "extended_key_usage": None if certificate.extended_key_usage is None else list(certificate.extended_key_usage),
        "is_ca": certificate.is_ca,
    }


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


class _Reader:
    """Walks over DER values; every read is bounded, so that garbage ends in _Malformed and nothing else."""

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
            raise _Malformed("a tag of several bytes")
        length = self._byte()
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4:
                raise _Malformed("a length that DER does not have")
            length = int.from_bytes(self._take(size), "big")
            if length < 0x80 or length >> (8 * (size - 1)) == 0:
                raise _Malformed("a length in more bytes than it needs")
        content = self._take(length)
        return tag, content, self._data[start : self._position]

    def expect(self, tag: int, name: str) -> bytes:
        """The content of the next value, which must carry the tag."""
        found, content, _whole = self.value()
        if found != tag:
            raise _Malformed(f"{name} expected")
        return content

    def sequence(self, name: str) -> _Reader:
        return _Reader(self.expect(_SEQUENCE, name))

    def optional(self, tag: int) -> bytes | None:
        """The content of the next value if it carries the tag."""
        return self.value()[1] if self.peek() == tag else None

    def end(self, name: str) -> None:
        if not self.at_end:
            raise _Malformed(f"more data than {name} has")

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        if len(taken) != count:
            raise _Malformed("it was cut off")
        self._position += count
        return taken


def _read_certificate(der: bytes) -> Certificate:
    outer = _Reader(der)
    body = outer.sequence("a certificate")
    outer.end("a certificate")
    tbs = body.sequence("the signed part")
    body.sequence("the signature's algorithm")
    body.expect(_BIT_STRING, "the signature")
    body.end("a certificate")

    explicit_version = tbs.optional(_CONTEXT | _CONSTRUCTED)
    if explicit_version is not None and _integer(_Reader(explicit_version).expect(_INTEGER, "the version")) not in (
        0,
        1,
        2,
    ):
        raise _Malformed("an unknown version")
    serial = _integer(tbs.expect(_INTEGER, "the serial number"))
    tbs.sequence("the signature's algorithm")
    issuer = _whole_sequence(tbs, "the issuer")
    validity = tbs.sequence("the validity")
    not_before, not_after = _time(validity), _time(validity)
    validity.end("the validity")
    subject = _whole_sequence(tbs, "the subject")
    public_key = _whole_sequence(tbs, "the public key")
    # issuerUniqueID and subjectUniqueID: nobody uses them.
    tbs.optional(_CONTEXT | 1)
    tbs.optional(_CONTEXT | 2)
    extensions = _extensions(tbs.optional(_CONTEXT | _CONSTRUCTED | 3))
    tbs.end("the signed part")

    dns_names, ip_addresses = _subject_alternative_names(extensions.get(_SUBJECT_ALTERNATIVE_NAME))
    is_ca, path_length = _basic_constraints(extensions.get(_BASIC_CONSTRAINTS))
    return Certificate(
        serial_number=_hex(serial),
        common_name=_common_name(subject),
        issuer_common_name=_common_name(issuer),
        not_before=not_before,
        not_after=not_after,
        dns_names=dns_names,
        ip_addresses=ip_addresses,
        key_algorithm=_key_algorithm(public_key),
        key_usage=_key_usage(extensions.get(_KEY_USAGE)),
        extended_key_usage=_extended_key_usage(extensions.get(_EXTENDED_KEY_USAGE)),
        is_ca=is_ca,
        path_length=path_length,
        fingerprint=hashlib.sha256(der).hexdigest(),
        subject=subject,
        issuer=issuer,
        public_key=public_key,
        der=der,
    )


def _read_revoked(der: bytes) -> set[str]:
    outer = _Reader(der)
    tbs = outer.sequence("a revocation list").sequence("the signed part")
    outer.end("a revocation list")
    tbs.optional(_INTEGER)
    tbs.sequence("the signature's algorithm")
    _whole_sequence(tbs, "the issuer")
    _time(tbs)
    if tbs.peek() in (_UTC_TIME, _GENERALIZED_TIME):
        _time(tbs)
    entries = _Reader(tbs.optional(_SEQUENCE) or b"")
    found = set()
    while not entries.at_end:
        found.add(_hex(_integer(entries.sequence("a revoked certificate").expect(_INTEGER, "the serial number"))))
    return found


def _whole_sequence(reader: _Reader, name: str) -> bytes:
    tag, _content, whole = reader.value()
    if tag != _SEQUENCE:
        raise _Malformed(f"{name} expected")
    return whole


def _integer(content: bytes) -> int:
    if not content:
        raise _Malformed("an integer without a value")
    return int.from_bytes(content, "big", signed=True)


def _hex(serial: int) -> str:
    """Whole octets in lower case, as all results of this collection show serial numbers."""
    text = f"{abs(serial):x}"
    return ("-" if serial < 0 else "") + ("0" if len(text) % 2 else "") + text


def _object_identifier(content: bytes) -> str:
    if not content or content[-1] & 0x80 or len(content) > 64:
        raise _Malformed("a broken object identifier")
    numbers: list[int] = []
    number = 0
    for byte in content:
        number = (number << 7) | (byte & 0x7F)
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(str(part) for part in (first, numbers[0] - 40 * first, *numbers[1:]))


def _time(reader: _Reader) -> datetime.datetime:
    tag, content, _whole = reader.value()
    digits = content[:-1]
    wanted = {_UTC_TIME: 12, _GENERALIZED_TIME: 14}.get(tag)
    if wanted is None or content[-1:] != b"Z" or len(digits) != wanted or not digits.isdigit():
        raise _Malformed("a time that is not as RFC 5280 wants it")
    text = digits.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: two digits mean 1950 to 2049.
        text = ("19" if text >= "50" else "20") + text
    try:
        moment = datetime.datetime.strptime(text, "%Y%m%d%H%M%S")
    except ValueError:
        raise _Malformed("a time that does not exist") from None
    return moment.replace(tzinfo=datetime.timezone.utc)


def _string(tag: int, content: bytes) -> str:
    encoding = _STRING_ENCODINGS.get(tag)
    if encoding is None:
        raise _Malformed("a name that is no text")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise _Malformed("a name with broken text") from None


def _common_name(name: bytes) -> str | None:
    common_name: str | None = None
    relative_names = _Reader(name).sequence("a name")
    while not relative_names.at_end:
        attributes = _Reader(relative_names.expect(_SET, "a part of a name"))
        while not attributes.at_end:
            attribute = attributes.sequence("a part of a name")
            kind = _object_identifier(attribute.expect(_OBJECT_IDENTIFIER, "the kind of a name"))
            tag, content, _whole = attribute.value()
            attribute.end("a part of a name")
            if kind == _COMMON_NAME:
                common_name = _string(tag, content)
    return common_name


def _key_algorithm(public_key: bytes) -> str:
    spki = _Reader(public_key).sequence("the public key")
    algorithm = spki.sequence("the public key's algorithm")
    kind = _object_identifier(algorithm.expect(_OBJECT_IDENTIFIER, "the public key's algorithm"))
    bits = spki.expect(_BIT_STRING, "the public key")
    spki.end("the public key")
    if kind == _RSA:
        modulus = _integer(_Reader(bits[1:]).sequence("an RSA key").expect(_INTEGER, "an RSA modulus"))
        return f"rsa-{modulus.bit_length()}"
    if kind == _EC:
        curve = _object_identifier(algorithm.expect(_OBJECT_IDENTIFIER, "a named curve"))
        return _CURVES.get(curve, f"ecdsa-{curve}")
    return _OTHER_KEYS.get(kind, kind)


def _extensions(content: bytes | None) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    if content is None:
        return found
    outer = _Reader(content)
    extensions = outer.sequence("the extensions")
    outer.end("the extensions")
    while not extensions.at_end:
        extension = extensions.sequence("an extension")
        kind = _object_identifier(extension.expect(_OBJECT_IDENTIFIER, "an extension's kind"))
        extension.optional(_BOOLEAN)
        value = extension.expect(_OCTET_STRING, "an extension's value")
        extension.end("an extension")
        if kind in found:
            raise _Malformed("an extension that comes twice")
        found[kind] = value
    return found


def _subject_alternative_names(value: bytes | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    dns_names: list[str] = []
    ip_addresses: list[str] = []
    if value is not None:
        names = _Reader(value).sequence("the subject alternative names")
        while not names.at_end:
            tag, content, _whole = names.value()
            if tag == _CONTEXT | 2:
                dns_names.append(_string(0x16, content))
            elif tag == _CONTEXT | 7:
                if len(content) not in (4, 16):
                    raise _Malformed("an IP address of the wrong length")
                ip_addresses.append(str(ipaddress.ip_address(content)))
    return tuple(dns_names), tuple(ip_addresses)


def _basic_constraints(value: bytes | None) -> tuple[bool, int | None]:
    if value is None:
        return False, None
    constraints = _Reader(value).sequence("the basic constraints")
    is_ca = constraints.optional(_BOOLEAN)
    path_length = constraints.optional(_INTEGER)
    constraints.end("the basic constraints")
    return is_ca == b"\xff", None if path_length is None else _integer(path_length)


def _key_usage(value: bytes | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    bits = _Reader(value).expect(_BIT_STRING, "the key usage")
    # The first byte counts the unused bits of the last one; those are zero in DER.
    return tuple(
        name
        for number, name in enumerate(_KEY_USAGES)
        if number // 8 + 1 < len(bits) and bits[number // 8 + 1] & (0x80 >> number % 8)
    )


def _extended_key_usage(value: bytes | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    kinds = _Reader(value).sequence("the extended key usage")
    usages: list[str] = []
    while not kinds.at_end:
        kind = _object_identifier(kinds.expect(_OBJECT_IDENTIFIER, "an extended key usage"))
        usages.append(_EXTENDED_KEY_USAGES.get(kind, kind))
    return tuple(usages)


__all__ = (
    "Certificate",
    "PemBlock",
    "certificate_facts",
    "iso_time",
    "read_certificate",
    "read_certificates",
    "read_revoked",
    "split_pem",
)
