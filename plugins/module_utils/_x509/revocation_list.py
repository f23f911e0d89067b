# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CA's revocation list (CRL, RFC 5280, 5): made, and read on the CA's host. A node has its own reader.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import REVOCATION_LIST_LABEL, pem_text
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    certificate_facts,
    key_identifier,
    not_after,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.unreadable import UNREADABLE

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
except ImportError:
    pass  # library.why_no_cryptography says so


@dataclass(frozen=True)
class RevocationList:
    """A list as it is written. ``serial_numbers``: as all results show them; ``number``: 0 where it has none."""

    number: int
    serial_numbers: frozenset[str]
    der: bytes = field(repr=False)

    @property
    def pem(self) -> str:
        return pem_text(REVOCATION_LIST_LABEL, self.der).decode("ascii")


def make_revocation_list(
    authority: x509.Certificate,
    key: keys.PrivateKey,
    revoked: t.Mapping[str, datetime],
    number: int,
    now: datetime,
) -> RevocationList:
    """A list of serial numbers, signed by the CA, that other tools take for current until the CA ends."""
    identifier = key_identifier(certificate_facts(certificates.certificate_pem(authority), "the CA's certificate"))
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now)
        .next_update(not_after(authority))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(bytes.fromhex(identifier), None, None), critical=False)
    )
    for serial_number, moment in sorted(revoked.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(int(serial_number, 16)).revocation_date(moment)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(key, certificates.signature_hash_for(keys.key_type_of(key.public_key())))
    der = signed.public_bytes(serialization.Encoding.DER)
    return RevocationList(number, frozenset(revoked), der)


def read_revocation_list(der: bytes, what: str) -> RevocationList:
    """The list in a file that the CA wrote; CryptoError where it can't be read."""
    try:
        found = x509.load_der_x509_crl(der)
        serial_numbers = frozenset(serial_hex(one.serial_number) for one in found)
        number = _number_of(found)
    except UNREADABLE:
        raise CryptoError(f"{what} is no revocation list in DER") from None
    return RevocationList(number, serial_numbers, der)


def is_of_authority(found: RevocationList, authority: x509.Certificate) -> bool:
    """Whether a list was signed by this CA, and names it."""
    loaded = x509.load_der_x509_crl(found.der)
    public_key = t.cast("keys.PublicKey", authority.public_key())
    return loaded.issuer == authority.subject and certificates.is_signed_by(loaded, public_key)


def new_serial_number() -> str:
    """A serial number as a CA draws it, for the index."""
    return serial_hex(x509.random_serial_number())


def _number_of(found: x509.CertificateRevocationList) -> int:
    try:
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0


__all__ = (
    "RevocationList",
    "is_of_authority",
    "make_revocation_list",
    "new_serial_number",
    "read_revocation_list",
)
