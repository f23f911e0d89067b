# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts that the rules of a peer certificate ask for, read with Python's standard library only.

One reader for the CA's host and for the controller, which may have no ``cryptography``: so both judge the same facts.
It reads and never judges, and checks no signature.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import itertools

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import asn1, der
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import certificate_der
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import CertificateFacts, IssuerFacts
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import (
    AUTHORITY_KEY_IDENTIFIER,
    SUBJECT_KEY_IDENTIFIER,
    constraints_of_chain,
    read_in_order,
)

# The reader's name of a usage: name as RFC 5280 has it in its syntax. encipherOnly and decipherOnly mean something
# only beside keyAgreement, which no peer certificate has.
_KEY_USAGES = {
    "digitalSignature": "digitalSignature",
    "contentCommitment": "nonRepudiation",
    "keyEncipherment": "keyEncipherment",
    "dataEncipherment": "dataEncipherment",
    "keyAgreement": "keyAgreement",
    "keyCertSign": "keyCertSign",
    "cRLSign": "cRLSign",
}
# Only these two are asked for by name; others are told by their number.
_KEY_PURPOSES = {"1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth"}

# The short names of RFC 4514, section 3.
_ATTRIBUTES = {
    der.COMMON_NAME: "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
}

_OTHER_NAME = asn1.CONTEXT | asn1.CONSTRUCTED
_DIRECTORY_NAME = asn1.CONTEXT | asn1.CONSTRUCTED | 4
_REGISTERED_ID = asn1.CONTEXT | 8
_TEXT_NAMES = {asn1.CONTEXT | 1: "RFC822Name", asn1.CONTEXT | 6: "UniformResourceIdentifier"}
# Told by their bytes: nobody has them.
_OPAQUE_NAMES = {
    asn1.CONTEXT | asn1.CONSTRUCTED | 3: "X400Address",
    asn1.CONTEXT | asn1.CONSTRUCTED | 5: "EDIPartyName",
}

_HASHES = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.7": "sha3-224",
    "2.16.840.1.101.3.4.2.8": "sha3-256",
    "2.16.840.1.101.3.4.2.9": "sha3-384",
    "2.16.840.1.101.3.4.2.10": "sha3-512",
}
_SIGNATURE_HASHES = {
    # RSA (PKCS #1 v1.5)
    "1.2.840.113549.1.1.4": "md5",
    "1.2.840.113549.1.1.5": "sha1",
    "1.3.14.3.2.29": "sha1",
    "1.2.840.113549.1.1.14": "sha224",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "2.16.840.1.101.3.4.3.13": "sha3-224",
    "2.16.840.1.101.3.4.3.14": "sha3-256",
    "2.16.840.1.101.3.4.3.15": "sha3-384",
    "2.16.840.1.101.3.4.3.16": "sha3-512",
    # ECDSA
    "1.2.840.10045.4.1": "sha1",
    "1.2.840.10045.4.3.1": "sha224",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "2.16.840.1.101.3.4.3.9": "sha3-224",
    "2.16.840.1.101.3.4.3.10": "sha3-256",
    "2.16.840.1.101.3.4.3.11": "sha3-384",
    "2.16.840.1.101.3.4.3.12": "sha3-512",
    # DSA
    "1.2.840.10040.4.3": "sha1",
    "2.16.840.1.101.3.4.3.1": "sha224",
    "2.16.840.1.101.3.4.3.2": "sha256",
    "2.16.840.1.101.3.4.3.3": "sha384",
    "2.16.840.1.101.3.4.3.4": "sha512",
    # Ed25519 and Ed448 have their own.
    "1.3.101.112": "none",
    "1.3.101.113": "none",
}
_RSASSA_PSS = "1.2.840.113549.1.1.10"


def certificate_facts(pem: bytes, what: str) -> CertificateFacts:
    """What the one certificate in a PEM text says; CryptoError with one line where it or a part of it can't be read."""
    certificate = der.read_certificate(certificate_der(pem, what), what)
    try:
        return _certificate_facts(certificate)
    except Malformed as exc:
        raise _unreadable_part(what, exc) from None


def issuer_facts(pem: bytes, what: str) -> IssuerFacts:
    """What the rules need to know of a CA, from its certificate and those of its parents in whatever order.

    CryptoError as with `certificate_facts`.
    """
    chain = read_in_order(pem, what)
    certificate = chain[0]
    try:
        name = ", ".join(_common_names(certificate.subject)) or "without common name"
        identifier = _subject_key_identifier(certificate) or _derived_key_identifier(certificate)
    except Malformed as exc:
        raise _unreadable_part(what, exc) from None
    return IssuerFacts(
        label=f"'{name}' (SHA-256 {certificate.fingerprint[:16]}...)",
        subject=certificate.subject,
        key_identifier=identifier,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        constraints=constraints_of_chain(chain, what),
    )


def _unreadable_part(what: str, problem: Malformed) -> CryptoError:
    return CryptoError(f"{what} has a part that can't be read ({problem}): put the original there again")


def _certificate_facts(certificate: der.Certificate) -> CertificateFacts:
    if certificate.version == 2:
        # Nobody makes one, and cryptography refuses it: who issues could not read it.
        raise Malformed("version 2")
    names = certificate.extension(der.SUBJECT_ALTERNATIVE_NAME)
    constraints = certificate.extension(der.BASIC_CONSTRAINTS)
    usage = certificate.extension(der.KEY_USAGE)
    purposes = certificate.extension(der.EXTENDED_KEY_USAGE)
    return CertificateFacts(
        version=certificate.version,
        serial_number=int(certificate.serial_number, 16),
        issuer=certificate.issuer,
        common_names=_common_names(certificate.subject),
        other_subject_attributes=tuple(
            _attribute(attribute) for attribute in _attributes(certificate.subject) if attribute.kind != der.COMMON_NAME
        ),
        dns_names=certificate.dns_names,
        ip_addresses=certificate.ip_addresses,
        other_names=() if names is None else _other_names(names.value),
        names_critical=names is not None and names.critical,
        key_type=_key_type(certificate),
        signature_hash=_signature_hash(certificate.signature_algorithm),
        is_ca=None if constraints is None else certificate.is_ca,
        basic_constraints_critical=constraints is not None and constraints.critical,
        key_usages=None
        if certificate.key_usage is None
        else frozenset(_KEY_USAGES[usage] for usage in certificate.key_usage if usage in _KEY_USAGES),
        key_usage_critical=usage is not None and usage.critical,
        extended_key_usages=None
        if purposes is None
        else frozenset(_KEY_PURPOSES.get(purpose, purpose) for purpose in der.key_purposes(purposes.value)),
        subject_key_identifier=_subject_key_identifier(certificate),
        authority_key_identifier=_authority_key_identifier(certificate),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )


def _attributes(name: bytes) -> tuple[der.NameAttribute, ...]:
    return tuple(itertools.chain.from_iterable(der.relative_names(name)))


def _common_names(name: bytes) -> tuple[str, ...]:
    return tuple(
        asn1.text(attribute.tag, attribute.content)
        for attribute in _attributes(name)
        if attribute.kind == der.COMMON_NAME
    )


def _attribute(attribute: der.NameAttribute) -> str:
    """One attribute of a name as RFC 4514 writes it (2.3, 2.4): ``O=Acme``."""
    kind = _ATTRIBUTES.get(attribute.kind, attribute.kind)
    if attribute.tag not in asn1.STRING_ENCODINGS:
        return f"{kind}=#{attribute.whole.hex()}"
    text = asn1.text(attribute.tag, attribute.content)
    for character in '\\"+,;<>':
        text = text.replace(character, "\\" + character)
    text = text.replace("\0", "\\00")
    if text.startswith("#") or (text.startswith(" ") and len(text) > 1):
        text = "\\" + text
    if text.endswith(" "):
        text = text[:-1] + "\\ "
    return f"{kind}={text}"


def _distinguished_name(name: bytes) -> str:
    """A whole name as RFC 4514 writes it (2.1, 2.2): the last part first."""
    return ",".join("+".join(map(_attribute, part)) for part in reversed(der.relative_names(name)))


def _other_names(value: bytes) -> tuple[str, ...]:
    return tuple(
        _other_name(name) for name in der.general_names(value) if name.tag not in (der.DNS_NAME, der.IP_ADDRESS)
    )


def _other_name(name: der.GeneralName) -> str:
    """A subject alternative name that no peer certificate has, for people: its kind and what it says."""
    if name.tag in _TEXT_NAMES:
        return f"{_TEXT_NAMES[name.tag]} {asn1.text(asn1.IA5_STRING, name.content)}"
    if name.tag == _DIRECTORY_NAME:
        return f"DirectoryName {_distinguished_name(name.content)}"
    if name.tag == _REGISTERED_ID:
        return f"RegisteredID {asn1.object_identifier(name.content)}"
    if name.tag == _OTHER_NAME:
        parts = asn1.Reader(name.content)
        kind = parts.object_identifier("the kind of another name")
        content = parts.optional(asn1.CONTEXT | asn1.CONSTRUCTED)
        parts.end("another name")
        if content is None:
            raise Malformed("another name without a value")
        return f"OtherName {kind} #{content.hex()}"
    if name.tag in _OPAQUE_NAMES:
        return f"{_OPAQUE_NAMES[name.tag]} #{name.content.hex()}"
    raise Malformed("a subject alternative name of an unknown kind")


def _key_type(certificate: der.Certificate) -> str:
    """As `keys.key_type_of` names it: the reader tells a kind that it has no name for by its number."""
    algorithm = certificate.key_algorithm
    return "unknown" if algorithm[0].isdigit() else algorithm


def _signature_hash(algorithm: bytes) -> str:
    reader = asn1.sequence_in(algorithm, "the signature's algorithm")
    kind = reader.object_identifier("the signature's algorithm")
    found = _SIGNATURE_HASHES.get(kind)
    if kind == _RSASSA_PSS:
        # RFC 4055, 3.1: the first of the parameters, SHA-1 where it is left out.
        stated = reader.sequence("the signature's parameters").optional(asn1.CONTEXT | asn1.CONSTRUCTED)
        if stated is None:
            return "sha1"
        found = _HASHES.get(asn1.Reader(stated).sequence("a hash").object_identifier("a hash"))
    if found is None:
        raise Malformed(f"the unknown signature algorithm {kind}")
    return found


def _subject_key_identifier(certificate: der.Certificate) -> str | None:
    found = certificate.extension(SUBJECT_KEY_IDENTIFIER)
    if found is None:
        return None
    content = asn1.Reader(found.value)
    identifier = content.expect(asn1.OCTET_STRING, "the subject key identifier")
    content.end("the subject key identifier")
    return identifier.hex()


def _derived_key_identifier(certificate: der.Certificate) -> str:
    """The one that RFC 5280 derives from the key (4.2.1.2), for a CA that states none. No signature depends on it."""
    _kind, _algorithm, key = der.public_key_parts(certificate.public_key)
    return hashlib.sha1(key, usedforsecurity=False).hexdigest()


def _authority_key_identifier(certificate: der.Certificate) -> str | None:
    found = certificate.extension(AUTHORITY_KEY_IDENTIFIER)
    if found is None:
        return None
    parts = asn1.sequence_in(found.value, "the authority key identifier")
    identifier = parts.optional(asn1.CONTEXT)
    names = parts.optional(asn1.CONTEXT | asn1.CONSTRUCTED | 1)
    serial_number = parts.optional(asn1.CONTEXT | 2)
    parts.end("the authority key identifier")
    if (names is None) != (serial_number is None):
        raise Malformed("an authority key identifier with half of an issuer")
    return None if identifier is None else identifier.hex()


__all__ = ("certificate_facts", "issuer_facts")
