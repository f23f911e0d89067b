# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates with the `cryptography` library: read what one says, check a signature, make the CA's and a member's.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import typing as t
from datetime import datetime, timezone

from ansible_collections.ringfence.etcd.plugins.module_utils import _keys as keys
from ansible_collections.ringfence.etcd.plugins.module_utils._certificate_rules import CertificateFacts, IssuerFacts
from ansible_collections.ringfence.etcd.plugins.module_utils._errors import CryptoError

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID
except ImportError:
    pass  # keys.require_cryptography says so

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._certificate_rules import PeerProfile

    E = t.TypeVar("E", bound=x509.ExtensionType)

_PEM_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
# Flag of KeyUsage in cryptography: name as RFC 5280 writes it.
_KEY_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
# Only these two are asked for by name; others are told by their number.
_EXTENDED_KEY_USAGES = {"1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth"}


def load_certificate(pem: bytes, what: str) -> x509.Certificate:
    """The one certificate in a PEM text; CryptoError with one line where there is none, a broken one, or several."""
    if not pem.strip():
        raise CryptoError(f"{what} is empty: put the certificate back from its backup")
    blocks = _PEM_BLOCK.findall(pem)
    if not blocks:
        raise CryptoError(
            f"{what} is no PEM certificate (no complete 'BEGIN CERTIFICATE' block): put the right one there"
        )
    if len(blocks) > 1:
        raise CryptoError(f"{what} holds {len(blocks)} certificates, one is wanted: give the one meant alone")
    try:
        return x509.load_pem_x509_certificate(blocks[0] + b"\n")
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise CryptoError(f"{what} is broken: its PEM can't be read; put it back from its backup") from exc


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER bytes, lower-case hex without colons."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def serial_hex(serial_number: int) -> str:
    """A serial number as whole octets in lower-case hex."""
    text = f"{serial_number:x}"
    return text if len(text) % 2 == 0 else f"0{text}"


def not_before(certificate: x509.Certificate) -> datetime:
    # cryptography 42 brought the aware properties and deprecated the naive ones.
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(
        tzinfo=timezone.utc
    )  # pragma: no cover (tested with the oldest release)


def not_after(certificate: x509.Certificate) -> datetime:
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=timezone.utc)  # pragma: no cover (tested with the oldest release)


def common_names(name: x509.Name) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME))


def extension(certificate: x509.Certificate, kind: type[E]) -> tuple[E | None, bool]:
    """An extension's value and whether it is critical; (None, False) where the certificate has none of that kind."""
    try:
        found = certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None, False
    return found.value, found.critical


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether a certificate may sign others: CA:TRUE, and keyCertSign where it limits its key's usage."""
    constraints, _critical = extension(certificate, x509.BasicConstraints)
    usage, _critical = extension(certificate, x509.KeyUsage)
    return constraints is not None and constraints.ca and (usage is None or usage.key_cert_sign)


def key_identifier(certificate: x509.Certificate) -> bytes:
    """The subject key identifier; where the certificate has none, the one that RFC 5280 derives from the key."""
    found, _critical = extension(certificate, x509.SubjectKeyIdentifier)
    if found is None:
        found = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    return found.digest


def issuer_facts(certificate: x509.Certificate) -> IssuerFacts:
    """What the rules need to know of a CA."""
    name = ", ".join(common_names(certificate.subject)) or "without common name"
    return IssuerFacts(
        label=f"'{name}' (SHA-256 {fingerprint(certificate)[:16]}...)",
        subject=certificate.subject.public_bytes(),
        key_identifier=key_identifier(certificate).hex(),
        not_before=not_before(certificate),
        not_after=not_after(certificate),
    )


def certificate_facts(certificate: x509.Certificate, what: str) -> CertificateFacts:
    """What a certificate says; CryptoError where a part of it can't be read."""
    try:
        return _certificate_facts(certificate)
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as exc:
        raise CryptoError(f"{what} has a part that can't be read ({type(exc).__name__}: {exc})") from exc


def _certificate_facts(certificate: x509.Certificate) -> CertificateFacts:
    names, names_critical = extension(certificate, x509.SubjectAlternativeName)
    constraints, constraints_critical = extension(certificate, x509.BasicConstraints)
    usage, usage_critical = extension(certificate, x509.KeyUsage)
    extended, _critical = extension(certificate, x509.ExtendedKeyUsage)
    subject_identifier, _critical = extension(certificate, x509.SubjectKeyIdentifier)
    authority_identifier, _critical = extension(certificate, x509.AuthorityKeyIdentifier)
    authority = authority_identifier.key_identifier if authority_identifier else None
    return CertificateFacts(
        version=certificate.version.value + 1,
        serial_number=certificate.serial_number,
        issuer=certificate.issuer.public_bytes(),
        common_names=common_names(certificate.subject),
        other_subject_attributes=tuple(
            attribute.rfc4514_string() for attribute in certificate.subject if attribute.oid != NameOID.COMMON_NAME
        ),
        dns_names=tuple(name.value for name in names or () if isinstance(name, x509.DNSName)),
        ip_addresses=tuple(str(name.value) for name in names or () if isinstance(name, x509.IPAddress)),
        other_names=tuple(
            f"{type(name).__name__} {name.value}"
            for name in names or ()
            if not isinstance(name, (x509.DNSName, x509.IPAddress))
        ),
        names_critical=names_critical,
        key_type=keys.key_type_of(certificate.public_key()),
        signature_hash=_signature_hash(certificate),
        is_ca=None if constraints is None else constraints.ca,
        basic_constraints_critical=constraints_critical,
        key_usages=None
        if usage is None
        else frozenset(text for flag, text in _KEY_USAGES.items() if getattr(usage, flag)),
        key_usage_critical=usage_critical,
        extended_key_usages=None
        if extended is None
        else frozenset(_EXTENDED_KEY_USAGES.get(oid.dotted_string, oid.dotted_string) for oid in extended),
        subject_key_identifier=None if subject_identifier is None else subject_identifier.digest.hex(),
        authority_key_identifier=None if authority is None else authority.hex(),
        not_before=not_before(certificate),
        not_after=not_after(certificate),
    )


def _signature_hash(certificate: x509.Certificate) -> str:
    algorithm = certificate.signature_hash_algorithm
    return "none" if algorithm is None else algorithm.name


def is_signed_by(certificate: x509.Certificate, public_key: keys.PublicKey) -> bool:
    """Whether the signature was made with this key's private half. Names are not looked at."""
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    try:
        if isinstance(public_key, ed25519.Ed25519PublicKey):
            public_key.verify(signature, signed)
            return True
        algorithm = certificate.signature_hash_algorithm
        if algorithm is None:
            return False
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, signed, ec.ECDSA(algorithm))
        else:
            public_key.verify(signature, signed, _rsa_padding(certificate), algorithm)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _rsa_padding(certificate: x509.Certificate) -> padding.PKCS1v15 | padding.PSS:
    # cryptography 41 and later can tell the parameters of a PSS signature; this collection makes none.
    if certificate.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS:
        parameters = getattr(certificate, "signature_algorithm_parameters", None)
        if isinstance(parameters, padding.PSS):  # pragma: no branch (only an older release has something else)
            return parameters
    return padding.PKCS1v15()


def signature_hash_for(key_type: str) -> hashes.SHA256 | hashes.SHA384 | None:
    """The hash that goes with a CA key: none for Ed25519, which has its own; never weaker than the curve."""
    if key_type == "ed25519":
        return None
    return hashes.SHA384() if key_type == "ecdsa-p384" else hashes.SHA256()


def key_usage(*names: str) -> x509.KeyUsage:
    """The extension with just the usages named, as RFC 5280 writes them."""
    return x509.KeyUsage(
        encipher_only=False, decipher_only=False, **{flag: text in names for flag, text in _KEY_USAGES.items()}
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def make_ca_certificate(
    key: keys.PrivateKey, common_name: str, not_before_time: datetime, not_after_time: datetime
) -> x509.Certificate:
    """A self-signed CA certificate that signs leaves and CRLs and nothing below another CA."""
    public_key = key.public_key()
    name = _name(common_name)
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
    """A CA ready to sign members' certificates: what is the same in all of them is built once."""

    def __init__(self, certificate: x509.Certificate, key: keys.PrivateKey) -> None:
        self._key = key
        self._hash = signature_hash_for(keys.key_type_of(key.public_key()))
        self._base = (
            x509.CertificateBuilder()
            .issuer_name(certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier(key_identifier(certificate), None, None), critical=False)
        )

    def issue(
        self, profile: PeerProfile, public_key: keys.PublicKey, not_before_time: datetime, not_after_time: datetime
    ) -> x509.Certificate:
        """A certificate for a member's public key, just as the profile says."""
        names: list[x509.GeneralName] = [x509.DNSName(value) for value in profile.dns_names]
        names.extend(x509.IPAddress(ipaddress.ip_address(value)) for value in profile.ip_addresses)
        return (
            self._base.subject_name(_name(profile.common_name))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before_time)
            .not_valid_after(not_after_time)
            .add_extension(key_usage(*profile.key_usages), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(self._key, self._hash)
        )


__all__ = (
    "Issuer",
    "certificate_facts",
    "certificate_pem",
    "common_names",
    "extension",
    "fingerprint",
    "is_ca",
    "is_signed_by",
    "issuer_facts",
    "key_identifier",
    "load_certificate",
    "make_ca_certificate",
    "not_after",
    "not_before",
    "serial_hex",
)
