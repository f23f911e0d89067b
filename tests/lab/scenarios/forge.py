# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates that our own modules would never make, signed by the lab's peer CA."""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Forge:
    """Signs whatever is asked for, by the CA of a folder or by one of its own."""

    def __init__(self, ca_folder: Path | None = None, common_name: str = "etcd peer CA") -> None:
        if ca_folder is None:
            self.key: t.Any = ec.generate_private_key(ec.SECP256R1())
            self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
            self.ca = x509.load_pem_x509_certificate(self.authority_again(days=10).encode())
        else:
            self.key = serialization.load_pem_private_key((ca_folder / "ca.key").read_bytes(), None)
            self.ca = x509.load_pem_x509_certificate((ca_folder / "ca.crt").read_bytes())
            self.name = self.ca.subject

    @property
    def ca_pem(self) -> str:
        return self.ca.public_bytes(serialization.Encoding.PEM).decode()

    def authority_again(self, days: int) -> str:
        """The CA's certificate (PEM) made anew with the same name and key, ending in so many days."""
        builder = self._builder(self.name, self.key.public_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    @staticmethod
    def stranger_authority() -> Forge:
        return Forge()

    def _builder(
        self, subject: x509.Name, public_key: t.Any, days: float, begins_in_days: float = -3
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins_in_days * DAY)
            .not_valid_after(now + days * DAY)
        )

    def revoking(self, *certificates: str) -> bytes:
        """A revocation list (DER, which every etcd reads) with these certificates (PEM)."""
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(now - DAY).next_update(now + DAY)
        for pem in certificates:
            serial = x509.load_pem_x509_certificate(pem.encode()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    def certificate(
        self,
        common_name: str,
        *names: str,
        days: float = 1,
        client: bool = True,
        server: bool = True,
        ca: bool = False,
        begins_in_days: float = -3,
    ) -> tuple[str, str]:
        """(certificate, key) in PEM; ``names``: IP addresses and DNS names for the subject alternative names."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
        builder = self._builder(x509.Name(attributes), key.public_key(), days, begins_in_days)
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
            )
        certificate = builder.sign(self.key, hashes.SHA256())
        return (
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
        )


class Authority(t.NamedTuple):
    """A CA as a user has it: certificate and key in PEM, and what signs with it."""

    pem: str
    key_pem: str
    certificate: x509.Certificate
    key: t.Any


def authority(
    common_name: str, issuer: Authority | None = None, constraints: x509.NameConstraints | None = None
) -> Authority:
    """A CA of the user's own: self-signed, or below another one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    signer = key if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 1000 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    certificate = builder.sign(signer, hashes.SHA256())
    encodings = serialization.Encoding
    return Authority(
        certificate.public_bytes(encodings.PEM).decode(),
        key.private_bytes(encodings.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
        certificate,
        key,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
