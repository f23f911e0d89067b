# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes keys and certificates for tests, good and bad ones, with ``cryptography``."""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)

_KEY_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def new_key(kind: str = "ecdsa-p256") -> t.Any:
    """A private key; RSA ones are slow to make, so tests share them."""
    makers: dict[str, t.Callable[[], t.Any]] = {
        "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
        "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    }
    return makers[kind]()


def key_pem(key: t.Any, passphrase: bytes | None = None, traditional: bool = False) -> str:
    formats = serialization.PrivateFormat
    encryption: t.Any = (
        serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
    )
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, formats.TraditionalOpenSSL if traditional else formats.PKCS8, encryption
    )
    return pem.decode("ascii")


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


@dataclass
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: t.Any = field(repr=False)

    @property
    def pem(self) -> str:
        return pem_of(self.certificate)

    @property
    def key_pem(self) -> str:
        return key_pem(self.key)


def issue(
    common_name: str | None,
    issuer: Issued | None = None,
    key: t.Any = None,
    is_ca: bool = False,
    extended_key_usages: t.Sequence[x509.ObjectIdentifier] | None = BOTH,
    key_usages: t.Sequence[str] | None = None,
    not_before: datetime.datetime = NOW - DAY,
    not_after: datetime.datetime = NOW + 100 * DAY,
    names: t.Sequence[str] = ("localhost", "127.0.0.1"),
    serial_number: int | None = None,
) -> Issued:
    """A certificate, self-signed where no issuer is given."""
    key = key or new_key()
    subject = x509.Name([] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    if key_usages is None:
        key_usages = ("key_cert_sign", "crl_sign") if is_ca else ("digital_signature",)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial_number or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(is_ca, None), True)
        .add_extension(x509.KeyUsage(**{usage: usage in key_usages for usage in _KEY_USAGES}), True)
    )
    if names and not is_ca:
        builder = builder.add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), False)
    if extended_key_usages and not is_ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended_key_usages), False)
    signer = key if issuer is None else issuer.key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signer, algorithm), key)


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def revocation_list(issuer: Issued, *serial_numbers: int, as_pem: bool = False) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW - DAY)
        .next_update(NOW + DAY)
    )
    for serial_number in serial_numbers:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial_number).revocation_date(NOW - DAY)
        builder = builder.add_revoked_certificate(revoked.build())
    encodings = serialization.Encoding
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(encodings.PEM if as_pem else encodings.DER)
