# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys and certificates for tests: the good ones by the collection itself, the bad ones by cryptography alone."""

from __future__ import annotations

import functools
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import issuer_facts
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed448, ed25519
from cryptography.x509.oid import NameOID

NOW = datetime.now(timezone.utc).replace(microsecond=0)
DAY = timedelta(days=1)
CA_NAME = "etcd peer CA"


class Authority(t.NamedTuple):
    key: t.Any
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return keys.private_key_pem(self.key)

    @property
    def pem(self) -> bytes:
        return certificates.certificate_pem(self.certificate)

    @property
    def issuer(self) -> certificates.Issuer:
        return certificates.Issuer(self.certificate, self.key)

    @property
    def facts(self) -> rules.IssuerFacts:
        return issuer_facts(self.pem, "the CA")


@functools.cache
def key_of(key_type: str, number: int = 0) -> t.Any:
    """A key made once for all tests: RSA keys take long."""
    return keys.make_key(key_type)


def authority(
    key_type: str = "ecdsa-p256",
    number: int = 0,
    common_name: str = CA_NAME,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + 3650 * DAY,
) -> Authority:
    key = key_of(key_type, 1000 + number)
    return Authority(key, certificates.make_ca_certificate(key, common_name, not_before, not_after))


def profile(name: str = "etcd-1", key_type: str = "ecdsa-p256", **changes: t.Any) -> rules.PeerProfile:
    values: dict[str, t.Any] = {
        "common_name": f"{name}.example.com",
        "dns_names": [f"{name}.example.com", "localhost"],
        "ip_addresses": ["10.0.0.1", "127.0.0.1", "::1"],
        **changes,
    }
    return rules.peer_profile(name, key_type=key_type, **values)


def member_pem(
    ca: Authority,
    wanted: rules.PeerProfile | None = None,
    key: t.Any = None,
    not_before: datetime = NOW - timedelta(hours=1),
    not_after: datetime = NOW + 365 * DAY,
) -> bytes:
    wanted = wanted or profile()
    key = key or key_of(wanted.key_type)
    return certificates.certificate_pem(ca.issuer.issue(wanted, key.public_key(), not_before, not_after))


def not_a_ca_pem(key: t.Any, common_name: str = CA_NAME) -> bytes:
    """A self-signed certificate that is no CA."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return certificates.certificate_pem(
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .sign(key, hashes.SHA256())
    )


def request_pem(key: t.Any = None, name: str = "etcd-1", extensions: t.Sequence[t.Any] = ()) -> str:
    """A request as any host could make it. ``extensions``: what it asks for."""
    key = key or key_of("ecdsa-p256")
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    is_edwards = isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    made = builder.sign(key, None if is_edwards else hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()
