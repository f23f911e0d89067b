# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CAs of every kind that users have: with parents, name constraints, extended key usages, other keys and signatures."""

from __future__ import annotations

import datetime
import functools
import typing as t

from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    Issued,
    key_pem,
    new_key,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import NameOID

_USAGES = {
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}


def authority(
    common_name: str,
    issuer: Issued | None = None,
    key: t.Any = None,
    is_ca: bool = True,
    not_before: datetime.datetime = NOW - DAY,
    not_after: datetime.datetime = NOW + 1000 * DAY,
    extended: t.Sequence[x509.ObjectIdentifier] | None = None,
    constraints: x509.NameConstraints | None = None,
    pss: bool = False,
    identifiers: bool = True,
) -> Issued:
    """A CA, self-signed where no issuer is given; ``pss``: signed with RSA-PSS."""
    key = key or new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = key if issuer is None else issuer.key
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    own = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(is_ca, None), True)
        .add_extension(x509.KeyUsage(digital_signature=not is_ca, key_cert_sign=is_ca, crl_sign=is_ca, **_USAGES), True)
    )
    if identifiers:
        builder = builder.add_extension(identifier, False).add_extension(own, False)
    if extended is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), False)
    if constraints is not None:
        builder = builder.add_extension(constraints, True)
    options = {"rsa_padding": padding.PSS(padding.MGF1(hashes.SHA256()), 32)} if pss else {}
    return Issued(builder.sign(signer, hashes.SHA256(), **options), key)


@functools.cache
def rsa_key() -> t.Any:
    return new_key("rsa-2048")


def of_rsa_pss(made: Issued) -> bytes:
    """The same certificate as DER, whose key says that it is for RSA-PSS alone (openssl req -newkey rsa-pss)."""
    der = made.certificate.public_bytes(serialization.Encoding.DER)
    key = made.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    plain, alone = bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01010a")
    assert der.count(key) == 1 and key.count(plain) == 1
    return der.replace(key, key.replace(plain, alone))


__all__ = ("DAY", "NOW", "authority", "key_pem", "of_rsa_pss", "rsa_key")
