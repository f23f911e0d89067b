# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a certificate: one type for both who read them, and one form in results.

On the controller and on the CA's host ``cryptography`` reads them (``_x509.certificate_facts``), on a node the standard
library (``_node.certificates``). A test holds the two against each other.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time

EXTENDED_KEY_USAGES = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}


@dataclass(frozen=True)
class Certificate:
    """The facts of one X.509 certificate.

    ``common_name``: the last one of the subject, which is the one that Go, and so etcd, compares with its list.
    ``key_usage`` and ``extended_key_usage``: None where the certificate has no such extension. What means something
    beside keyAgreement alone is told beside it alone. ``subject`` and ``issuer``: the DER of the names, because TLS
    compares the bytes.
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
    fingerprint: str
    subject: bytes = field(repr=False)
    issuer: bytes = field(repr=False)
    der: bytes = field(repr=False)


def as_result(certificate: Certificate, now: datetime.datetime) -> dict[str, t.Any]:
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


def serial_hex(number: int) -> str:
    """A serial number as all results show it: whole octets in lower case."""
    text = f"{abs(number):x}"
    return ("-" if number < 0 else "") + ("0" if len(text) % 2 else "") + text


__all__ = ("EXTENDED_KEY_USAGES", "Certificate", "as_result", "serial_hex")
