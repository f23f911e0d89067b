# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in a certificate, read with Python's standard library only: a node of etcd has no ``cryptography``.

Bytes in, frozen values out; no I/O. It reads and never judges: whether a certificate is any good is said by a TLS
handshake (``_node.tls_check``). Whatever is no certificate ends in a :class:`CryptoError` with one line.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import itertools
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import asn1
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, split_pem

COMMON_NAME = "2.5.4.3"
SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
BASIC_CONSTRAINTS = "2.5.29.19"
KEY_USAGE = "2.5.29.15"
EXTENDED_KEY_USAGE = "2.5.29.37"

# Tags of two kinds of GeneralName.
DNS_NAME = asn1.CONTEXT | 2
IP_ADDRESS = asn1.CONTEXT | 7

_RSA = "1.2.840.113549.1.1.1"
_EC = "1.2.840.10045.2.1"
_DSA = "1.2.840.10040.4.1"
# Those that a member may have are named as the option key_type names them, the others as OpenSSL does.
_CURVES = {
    "1.2.840.10045.3.1.7": "p256",
    "1.3.132.0.34": "p384",
    "1.3.132.0.35": "secp521r1",
    "1.2.840.10045.3.1.1": "secp192r1",
    "1.3.132.0.33": "secp224r1",
    "1.3.132.0.10": "secp256k1",
    "1.3.36.3.3.2.8.1.1.7": "brainpoolP256r1",
    "1.3.36.3.3.2.8.1.1.11": "brainpoolP384r1",
    "1.3.36.3.3.2.8.1.1.13": "brainpoolP512r1",
}
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

_REVOCATION_LIST_LABEL = "X509 CRL"


@dataclass(frozen=True)
class Extension:
    """One extension; ``value`` is DER."""

    kind: str
    critical: bool
    value: bytes = field(repr=False)


@dataclass(frozen=True)
class NameAttribute:
    """One attribute of a subject or issuer: its kind, and its value's tag, content and whole encoding."""

    kind: str
    tag: int
    content: bytes
    whole: bytes = field(repr=False)


@dataclass(frozen=True)
class GeneralName:
    """One subject alternative name of any kind."""

    tag: int
    content: bytes


@dataclass(frozen=True)
class Certificate:
    """The facts of one X.509 certificate.

    ``common_name``: the last one of the subject, which is the one that Go, and so etcd, compares with its list.
    ``key_usage`` and ``extended_key_usage``: None where the certificate has no such extension.
    ``subject``, ``issuer`` and ``public_key``: the DER of the names and of the SubjectPublicKeyInfo, for comparisons.
    ``signature_algorithm``: the DER of the AlgorithmIdentifier beside the signature.
    """

    version: int
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
    signature_algorithm: bytes = field(repr=False)
    extensions: tuple[Extension, ...] = field(repr=False)
    der: bytes = field(repr=False)

    def extension(self, kind: str) -> Extension | None:
        return next((extension for extension in self.extensions if extension.kind == kind), None)


def read_certificates(text: bytes | str, what: str = "the file") -> tuple[Certificate, ...]:
    """Every certificate of a PEM file (a leaf and its intermediates, or a trust bundle); CryptoError where none is."""
    if isinstance(text, str):
        text = text.encode("utf-8", "replace")
    if not text.strip():
        raise CryptoError(f"{what} is empty: a PEM certificate is wanted")
    ders = [block.der for block in split_pem(text, what) if block.label == CERTIFICATE_LABEL]
    if not ders:
        raise CryptoError(
            f"{what} holds no PEM certificate: a line -----BEGIN CERTIFICATE----- is wanted, not indented and not DER"
        )
    return tuple(read_certificate(der, what) for der in ders)


def read_certificate(der: bytes, what: str = "the certificate") -> Certificate:
    """The facts of one certificate in DER; CryptoError where it is none."""
    try:
        return _read_certificate(bytes(der))
    except Malformed as exc:
        raise CryptoError(f"{what} is no readable X.509 certificate ({exc}): put the original there again") from None


def read_revoked(content: bytes, what: str = "the revocation list") -> frozenset[str]:
    """Serial numbers (as in :class:`Certificate`) of a revocation list, DER or PEM (RFC 5280, 5.1), else CryptoError.

    Like etcd it looks at neither the signature nor the dates.
    """
    ders = [content]
    if b"-----BEGIN" in content:
        ders = [block.der for block in split_pem(content, what) if block.label == _REVOCATION_LIST_LABEL]
        if not ders:
            raise CryptoError(f"{what} holds no revocation list: write one in DER")
    found: set[str] = set()
    for der in ders:
        try:
            found |= _read_revoked(bytes(der))
        except Malformed as exc:
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


def relative_names(name: bytes) -> tuple[tuple[NameAttribute, ...], ...]:
    """The parts of a name in DER, in its order; most have one attribute each. Malformed where it is none."""
    found: list[tuple[NameAttribute, ...]] = []
    parts = asn1.sequence_in(name, "a name")
    while not parts.at_end:
        attributes = asn1.Reader(parts.expect(asn1.SET, "a part of a name"))
        part: list[NameAttribute] = []
        while not attributes.at_end:
            attribute = attributes.sequence("a part of a name")
            kind = attribute.object_identifier("the kind of a name")
            tag, content, whole = attribute.value()
            attribute.end("a part of a name")
            part.append(NameAttribute(kind, tag, content, whole))
        found.append(tuple(part))
    return tuple(found)


def general_names(value: bytes) -> tuple[GeneralName, ...]:
    """The subject alternative names of every kind (RFC 5280, 4.2.1.6), in their order. Malformed where it is none."""
    found: list[GeneralName] = []
    names = asn1.sequence_in(value, "the subject alternative names")
    while not names.at_end:
        tag, content, _whole = names.value()
        found.append(GeneralName(tag, content))
    return tuple(found)


def key_purposes(value: bytes) -> tuple[str, ...]:
    """The object identifiers of an extended key usage. Malformed where it is none."""
    found: list[str] = []
    purposes = asn1.sequence_in(value, "the extended key usage")
    while not purposes.at_end:
        found.append(purposes.object_identifier("an extended key usage"))
    return tuple(found)


def public_key_parts(public_key: bytes) -> tuple[str, asn1.Reader, bytes]:
    """A SubjectPublicKeyInfo's algorithm, what follows on it, and the key itself. Malformed where it is none."""
    parts = asn1.sequence_in(public_key, "the public key")
    algorithm = parts.sequence("the public key's algorithm")
    kind = algorithm.object_identifier("the public key's algorithm")
    key = parts.bit_string("the public key")
    parts.end("the public key")
    return kind, algorithm, key


def _read_certificate(der: bytes) -> Certificate:
    body = asn1.sequence_in(der, "a certificate")
    tbs = body.sequence("the signed part")
    signature_algorithm = body.whole_sequence("the signature's algorithm")
    body.bit_string("the signature")
    body.end("a certificate")

    version = _version(tbs.optional(asn1.CONTEXT | asn1.CONSTRUCTED))
    serial = tbs.integer("the serial number")
    if tbs.whole_sequence("the signature's algorithm") != signature_algorithm:
        # RFC 5280, 4.1.1.2: only the one inside is signed.
        raise Malformed("two different signature algorithms")
    issuer = tbs.whole_sequence("the issuer")
    validity = tbs.sequence("the validity")
    not_before, not_after = validity.time(), validity.time()
    validity.end("the validity")
    subject = tbs.whole_sequence("the subject")
    public_key = tbs.whole_sequence("the public key")
    # issuerUniqueID and subjectUniqueID: nobody uses them.
    tbs.optional(asn1.CONTEXT | 1)
    tbs.optional(asn1.CONTEXT | 2)
    extensions = _extensions(tbs.optional(asn1.CONTEXT | asn1.CONSTRUCTED | 3))
    tbs.end("the signed part")

    values = {extension.kind: extension.value for extension in extensions}
    dns_names, ip_addresses = _subject_alternative_names(values.get(SUBJECT_ALTERNATIVE_NAME))
    is_ca, path_length = _basic_constraints(values.get(BASIC_CONSTRAINTS))
    return Certificate(
        version=version,
        serial_number=_hex(serial),
        common_name=_common_name(subject),
        issuer_common_name=_common_name(issuer),
        not_before=not_before,
        not_after=not_after,
        dns_names=dns_names,
        ip_addresses=ip_addresses,
        key_algorithm=_key_algorithm(public_key),
        key_usage=_key_usage(values.get(KEY_USAGE)),
        extended_key_usage=_extended_key_usage(values.get(EXTENDED_KEY_USAGE)),
        is_ca=is_ca,
        path_length=path_length,
        fingerprint=hashlib.sha256(der).hexdigest(),
        subject=subject,
        issuer=issuer,
        public_key=public_key,
        signature_algorithm=signature_algorithm,
        extensions=extensions,
        der=der,
    )


def _read_revoked(der: bytes) -> set[str]:
    tbs = asn1.sequence_in(der, "a revocation list").sequence("the signed part")
    tbs.optional(asn1.INTEGER)
    tbs.sequence("the signature's algorithm")
    tbs.whole_sequence("the issuer")
    tbs.time()
    if tbs.peek() in (asn1.UTC_TIME, asn1.GENERALIZED_TIME):
        tbs.time()
    entries = asn1.Reader(tbs.optional(asn1.SEQUENCE) or b"")
    found = set()
    while not entries.at_end:
        found.add(_hex(entries.sequence("a revoked certificate").integer("the serial number")))
    return found


def _version(explicit: bytes | None) -> int:
    """1, 2 or 3; they are counted from 0, and 1 is what stands nowhere."""
    number = 0 if explicit is None else asn1.Reader(explicit).integer("the version")
    if number not in (0, 1, 2):
        raise Malformed("an unknown version")
    return number + 1


def _hex(serial: int) -> str:
    """Whole octets in lower case, as all results of this collection show serial numbers."""
    text = f"{abs(serial):x}"
    return ("-" if serial < 0 else "") + ("0" if len(text) % 2 else "") + text


def _common_name(name: bytes) -> str | None:
    common_name: str | None = None
    for attribute in itertools.chain.from_iterable(relative_names(name)):
        if attribute.kind == COMMON_NAME:
            common_name = asn1.text(attribute.tag, attribute.content)
    return common_name


def _key_algorithm(public_key: bytes) -> str:
    kind, algorithm, key = public_key_parts(public_key)
    if kind == _RSA:
        return f"rsa-{asn1.Reader(key).sequence('an RSA key').integer('an RSA modulus').bit_length()}"
    if kind == _EC:
        curve = algorithm.object_identifier("a named curve")
        return f"ecdsa-{_CURVES.get(curve, curve)}"
    if kind == _DSA:
        return f"dsa-{algorithm.sequence('the DSA parameters').integer('a DSA prime').bit_length()}"
    return _OTHER_KEYS.get(kind, kind)


def _extensions(content: bytes | None) -> tuple[Extension, ...]:
    found: dict[str, Extension] = {}
    if content is None:
        return ()
    extensions = asn1.sequence_in(content, "the extensions")
    while not extensions.at_end:
        extension = extensions.sequence("an extension")
        kind = extension.object_identifier("an extension's kind")
        critical = extension.optional(asn1.BOOLEAN)
        value = extension.expect(asn1.OCTET_STRING, "an extension's value")
        extension.end("an extension")
        if kind in found:
            raise Malformed("an extension that comes twice")
        found[kind] = Extension(kind, critical is not None and asn1.boolean(critical), value)
    return tuple(found.values())


def _subject_alternative_names(value: bytes | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    dns_names: list[str] = []
    ip_addresses: list[str] = []
    for name in () if value is None else general_names(value):
        if name.tag == DNS_NAME:
            dns_names.append(asn1.text(asn1.IA5_STRING, name.content))
        elif name.tag == IP_ADDRESS:
            if len(name.content) not in (4, 16):
                raise Malformed("an IP address of the wrong length")
            ip_addresses.append(str(ipaddress.ip_address(name.content)))
    return tuple(dns_names), tuple(ip_addresses)


def _basic_constraints(value: bytes | None) -> tuple[bool, int | None]:
    if value is None:
        return False, None
    constraints = asn1.sequence_in(value, "the basic constraints")
    is_ca = constraints.optional(asn1.BOOLEAN)
    path_length = constraints.optional(asn1.INTEGER)
    constraints.end("the basic constraints")
    return is_ca is not None and asn1.boolean(is_ca), None if path_length is None else asn1.integer(path_length)


def _key_usage(value: bytes | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    content = asn1.Reader(value)
    bits = content.bit_string("the key usage")
    content.end("the key usage")
    return tuple(
        name
        for number, name in enumerate(_KEY_USAGES)
        if number // 8 < len(bits) and bits[number // 8] & (0x80 >> number % 8)
    )


def _extended_key_usage(value: bytes | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(_EXTENDED_KEY_USAGES.get(purpose, purpose) for purpose in key_purposes(value))


__all__ = (
    "BASIC_CONSTRAINTS",
    "COMMON_NAME",
    "DNS_NAME",
    "EXTENDED_KEY_USAGE",
    "IP_ADDRESS",
    "KEY_USAGE",
    "SUBJECT_ALTERNATIVE_NAME",
    "Certificate",
    "Extension",
    "GeneralName",
    "NameAttribute",
    "certificate_facts",
    "general_names",
    "iso_time",
    "key_purposes",
    "public_key_parts",
    "read_certificate",
    "read_certificates",
    "read_revoked",
    "relative_names",
)
