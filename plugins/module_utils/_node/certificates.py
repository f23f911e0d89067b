# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands in a certificate, for a node of etcd: it has no ``cryptography``, so this is Python's standard library.

Bytes in, frozen values out; no I/O. It reads and never judges: whether a certificate is any good shows in a TLS
handshake (``tls_check``), and the controller reads what a node sends once more. Whatever is no certificate ends in a
:class:`CryptoError` with one line.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import ipaddress

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import asn1, der
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import (
    EXTENDED_KEY_USAGES,
    Certificate,
    serial_hex,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import (
    CERTIFICATE_LABEL,
    REVOCATION_LIST_LABEL,
    split_pem,
)

_COMMON_NAME = "2.5.4.3"
_BASIC_CONSTRAINTS, _KEY_USAGE, _EXTENDED_KEY_USAGE = "2.5.29.19", "2.5.29.15", "2.5.29.37"

_RSA = "1.2.840.113549.1.1.1"
_EC = "1.2.840.10045.2.1"
# Those that etcd knows; the others are told by their number.
_CURVES = {
    "1.2.840.10045.3.1.7": "p256",
    "1.3.132.0.34": "p384",
    "1.3.132.0.35": "secp521r1",
    "1.3.132.0.33": "secp224r1",
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
_KEY_AGREEMENT = 4


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
    return tuple(read_certificate(one, what) for one in ders)


def read_certificate(content: bytes, what: str = "the certificate") -> Certificate:
    """The facts of one certificate in DER; CryptoError where it is none."""
    try:
        return _read_certificate(bytes(content))
    except Malformed as exc:
        raise CryptoError(f"{what} is no readable X.509 certificate ({exc}): put the original there again") from None


def read_revoked(content: bytes, what: str = "the revocation list") -> frozenset[str]:
    """Serial numbers (as in :class:`Certificate`) of a revocation list, DER or PEM (RFC 5280, 5.1), else CryptoError.

    Like etcd it looks at neither the signature nor the dates.
    """
    ders = [content]
    if b"-----BEGIN" in content:
        ders = [block.der for block in split_pem(content, what) if block.label == REVOCATION_LIST_LABEL]
        if not ders:
            raise CryptoError(f"{what} holds no revocation list: write one in DER")
    found: set[str] = set()
    for one in ders:
        try:
            found |= _read_revoked(bytes(one))
        except Malformed as exc:
            raise CryptoError(f"{what} is no readable revocation list ({exc}): write it in DER again") from None
    return frozenset(found)


def _read_certificate(content: bytes) -> Certificate:
    parts = der.parts_of(content)
    validity = asn1.sequence_in(parts.validity, "the validity")
    not_before, not_after = validity.time(), validity.time()
    validity.end("the validity")
    dns_names, ip_addresses = _subject_alternative_names(parts.value(der.SUBJECT_ALTERNATIVE_NAME))
    return Certificate(
        serial_number=serial_hex(parts.serial_number),
        common_name=_common_name(parts.subject),
        issuer_common_name=_common_name(parts.issuer),
        not_before=not_before,
        not_after=not_after,
        dns_names=dns_names,
        ip_addresses=ip_addresses,
        key_algorithm=key_algorithm(parts.public_key),
        key_usage=_key_usage(parts.value(_KEY_USAGE)),
        extended_key_usage=_extended_key_usage(parts.value(_EXTENDED_KEY_USAGE)),
        is_ca=_is_ca(parts.value(_BASIC_CONSTRAINTS)),
        fingerprint=hashlib.sha256(content).hexdigest(),
        subject=parts.subject,
        issuer=parts.issuer,
        der=content,
    )


def _read_revoked(content: bytes) -> set[str]:
    tbs = asn1.sequence_in(content, "a revocation list").sequence("the signed part")
    tbs.optional(asn1.INTEGER)
    tbs.sequence("the signature's algorithm")
    tbs.whole_sequence("the issuer")
    tbs.time()
    if tbs.peek() in (asn1.UTC_TIME, asn1.GENERALIZED_TIME):
        tbs.time()
    entries = asn1.Reader(tbs.optional(asn1.SEQUENCE) or b"")
    found = set()
    while not entries.at_end:
        found.add(serial_hex(entries.sequence("a revoked certificate").integer("the serial number")))
    return found


def _common_name(name: bytes) -> str | None:
    common_name: str | None = None
    for attribute in der.attributes(name):
        if attribute.kind == _COMMON_NAME:
            common_name = asn1.text(attribute.tag, attribute.content)
    return common_name


def key_algorithm(public_key: bytes) -> str:
    """The type of a public key (SubjectPublicKeyInfo), as the option key_type names it. Malformed where it is none."""
    kind, algorithm, key = der.public_key_parts(public_key)
    if kind == _RSA:
        return f"rsa-{asn1.Reader(key).sequence('an RSA key').integer('an RSA modulus').bit_length()}"
    if kind == _EC:
        curve = algorithm.object_identifier("a named curve")
        return f"ecdsa-{_CURVES.get(curve, curve)}"
    return _OTHER_KEYS.get(kind, "unknown")


def _subject_alternative_names(value: bytes | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    dns_names: list[str] = []
    ip_addresses: list[str] = []
    for tag, content in () if value is None else der.general_names(value):
        if tag == der.DNS_NAME:
            dns_names.append(asn1.text(asn1.IA5_STRING, content))
        elif tag == der.IP_ADDRESS:
            if len(content) not in (4, 16):
                raise Malformed("an IP address of the wrong length")
            ip_addresses.append(str(ipaddress.ip_address(content)))
    return tuple(dns_names), tuple(ip_addresses)


def _is_ca(value: bytes | None) -> bool:
    if value is None:
        return False
    constraints = asn1.sequence_in(value, "the basic constraints")
    is_ca = constraints.optional(asn1.BOOLEAN)
    constraints.optional(asn1.INTEGER)
    constraints.end("the basic constraints")
    return is_ca is not None and asn1.boolean(is_ca)


def _key_usage(value: bytes | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    content = asn1.Reader(value)
    bits = content.bit_string("the key usage")
    content.end("the key usage")
    numbers = [
        number
        for number in range(len(_KEY_USAGES))
        if number // 8 < len(bits) and bits[number // 8] & (0x80 >> number % 8)
    ]
    agreed = _KEY_AGREEMENT in numbers
    return tuple(_KEY_USAGES[number] for number in numbers if agreed or not _KEY_USAGES[number].endswith("Only"))


def _extended_key_usage(value: bytes | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    found: list[str] = []
    purposes = asn1.sequence_in(value, "the extended key usage")
    while not purposes.at_end:
        purpose = purposes.object_identifier("an extended key usage")
        found.append(EXTENDED_KEY_USAGES.get(purpose, purpose))
    if not found:
        # For Go that is no limit, for OpenSSL nothing is allowed.
        raise Malformed("an extended key usage that names none")
    return tuple(found)


__all__ = ("key_algorithm", "read_certificate", "read_certificates", "read_revoked")
