# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that are made: the CA's, a member's and a client's. And whether one was signed with a key.

What a certificate says is read by ``certificate_facts``.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import hashlib
import typing as t
from dataclasses import replace
from datetime import datetime

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import (
    CLIENT_KEY_USAGES,
    PeerProfile,
    ip_address,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    KEY_USAGES,
    certificate_facts,
    key_identifier,
    load_der,
)

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID
except ImportError:
    pass  # library.why_no_cryptography says so

if t.TYPE_CHECKING:  # pragma: no cover
    Signed = t.Union[x509.Certificate, x509.CertificateRevocationList]


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER bytes, lower-case hex without colons."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def is_signed_by(found: Signed, public_key: object) -> bool:
    """Whether the signature was made with this key's private half. Names do not count.

    A host may show a CA with a key of any kind: one that this collection does not know, or that can't sign, has signed
    nothing.
    """
    # A list's own ``is_signature_valid`` takes no Ed25519 before cryptography 38.
    signed = found.tbs_certificate_bytes if isinstance(found, x509.Certificate) else found.tbs_certlist_bytes
    signature = found.signature
    try:
        if isinstance(public_key, ed25519.Ed25519PublicKey):
            public_key.verify(signature, signed)
            return True
        algorithm = found.signature_hash_algorithm
        if algorithm is None:
            return False
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, signed, ec.ECDSA(algorithm))
        elif isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(signature, signed, _rsa_padding(found), algorithm)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


@functools.lru_cache(maxsize=4096)
def has_signed(authority: bytes, certificate: bytes) -> bool:
    """Whether a CA's key made a certificate's signature, both as DER. One that can't be used has signed nothing."""
    try:
        public_key = load_der(authority, "the CA's certificate").public_key()
        return is_signed_by(load_der(certificate, "the certificate"), public_key)
    except (RingfenceError, UnsupportedAlgorithm, ValueError):
        return False


def can_check_signature(certificate: x509.Certificate) -> bool:
    """Whether the library at hand can tell how a signature was made: before cryptography 41 not with RSA-PSS."""
    is_pss = certificate.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
    return not is_pss or hasattr(certificate, "signature_algorithm_parameters")


def _rsa_padding(found: Signed) -> padding.PKCS1v15 | padding.PSS:
    # cryptography 41 and later can tell the parameters of a PSS signature; this collection makes none.
    if found.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        parameters = getattr(found, "signature_algorithm_parameters", None)
        if isinstance(parameters, padding.PSS):  # pragma: no branch (only an older release has something else)
            return parameters
    return padding.PKCS1v15()


def signature_hash_for(key_type: str) -> hashes.SHA256 | hashes.SHA384 | None:
    """The hash that goes with a CA key: none for Ed25519, which has its own; never weaker than the curve."""
    if key_type == "ed25519":
        return None
    return hashes.SHA384() if key_type == "ecdsa-p384" else hashes.SHA256()


@functools.cache
def key_usage(*names: str) -> x509.KeyUsage:
    """The extension with just the usages named, as RFC 5280 writes them."""
    return x509.KeyUsage(
        encipher_only=False, decipher_only=False, **{flag: text in names for flag, text in KEY_USAGES.items()}
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def make_ca_certificate(
    key: keys.PrivateKey, common_name: str | x509.Name, not_before_time: datetime, not_after_time: datetime
) -> x509.Certificate:
    """A self-signed CA certificate that signs leaves and CRLs and nothing below another CA."""
    public_key = key.public_key()
    name = _name(common_name) if isinstance(common_name, str) else common_name
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before_time)
        .not_valid_after(not_after_time)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage("keyCertSign", "cRLSign"), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, signature_hash_for(keys.key_type_of(public_key)))
    )


class Issuer:
    """A CA ready to sign certificates of members and clients: what is the same in all of them is built once."""

    def __init__(self, certificate: x509.Certificate, key: keys.PrivateKey) -> None:
        self._key = key
        self._hash = signature_hash_for(keys.key_type_of(key.public_key()))
        # The rules take it from there too: what is issued is what they look for.
        facts = certificate_facts(certificate_pem(certificate), "the CA's certificate")
        self._subject = certificate.subject
        self._authority_key_identifier = x509.AuthorityKeyIdentifier(bytes.fromhex(key_identifier(facts)), None, None)
        self._base = self._base_for(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
        self._client_base = self._base_for(ExtendedKeyUsageOID.CLIENT_AUTH)

    def _base_for(self, *usages: x509.ObjectIdentifier) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(self._subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(self._authority_key_identifier, critical=False)
        )

    def issue(
        self,
        profile: PeerProfile,
        public_key: keys.PublicKey,
        not_before_time: datetime,
        not_after_time: datetime,
        serial_number: int | None = None,
    ) -> x509.Certificate:
        """A certificate for a public key, just as the profile says; by default with a new serial number."""
        base = self._client_base if profile.extended_key_usages == CLIENT_KEY_USAGES else self._base
        named = base.subject_name(_name(profile.common_name) if profile.common_name else x509.Name([]))
        return self._signed(named, profile, public_key, not_before_time, not_after_time, serial_number)

    def issue_without_places(
        self, common_name: str, public_key: keys.PublicKey, not_before_time: datetime, not_after_time: datetime
    ) -> x509.Certificate:
        """A certificate without subject alternative names, for a call from any host: etcd looks at no address then."""
        named = self._base.subject_name(_name(common_name))
        profile = PeerProfile("stranger", common_name, (), (), keys.key_type_of(public_key))
        return self._signed(named, profile, public_key, not_before_time, not_after_time)

    def issue_nameless_client(
        self, profile: PeerProfile, public_key: keys.PublicKey, not_before_time: datetime, not_after_time: datetime
    ) -> x509.Certificate:
        """A certificate for calls from the profile's host to client ports, without a common name: no list has that."""
        nameless = replace(profile, common_name="", extended_key_usages=CLIENT_KEY_USAGES)
        return self.issue(nameless, public_key, not_before_time, not_after_time)

    def _signed(
        self,
        named: x509.CertificateBuilder,
        profile: PeerProfile,
        public_key: keys.PublicKey,
        not_before_time: datetime,
        not_after_time: datetime,
        serial_number: int | None = None,
    ) -> x509.Certificate:
        names: list[x509.GeneralName] = [x509.DNSName(value) for value in profile.dns_names]
        names.extend(x509.IPAddress(ip_address(value)) for value in profile.ip_addresses)
        if names:
            named = named.add_extension(x509.SubjectAlternativeName(names), critical=not profile.common_name)
        return (
            named.public_key(public_key)
            .serial_number(x509.random_serial_number() if serial_number is None else serial_number)
            .not_valid_before(not_before_time)
            .not_valid_after(not_after_time)
            .add_extension(key_usage(*profile.key_usages), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(self._key, self._hash)
        )


__all__ = (
    "Issuer",
    "can_check_signature",
    "certificate_pem",
    "fingerprint",
    "has_signed",
    "is_signed_by",
    "make_ca_certificate",
)
