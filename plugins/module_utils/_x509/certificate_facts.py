# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a certificate, read by the `cryptography` library: on the controller and on the CA's host.

It reads and never judges, and checks no signature. What the library does not read, or reads and drops, ends in one
line: no decision hangs on a part that two readers would see differently.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import typing as t
import warnings

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import der as der_parts
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import EXTENDED_KEY_USAGES, serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_der, certificate_ders
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.go_x509 import why_go_refuses
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.name_constraints import NameConstraints, Names
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import CertificateFacts
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.unreadable import UNREADABLE

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.x509.oid import NameOID
except ImportError:
    pass  # library.why_no_cryptography says so

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._pki.name_constraints import Network

_RSA = "1.2.840.113549.1.1.1"

# Flag of KeyUsage in the library: name as RFC 5280 has it in its text.
KEY_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "contentCommitment",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
# These may not even be asked for without key_agreement.
_BESIDE_KEY_AGREEMENT = {"encipher_only": "encipherOnly", "decipher_only": "decipherOnly"}


def certificate_facts(pem: bytes, what: str) -> CertificateFacts:
    """What the one certificate in a PEM text says; CryptoError with one line where it or a part of it can't be read."""
    return read_certificate(certificate_der(pem, what), what)


def read_certificate(der: bytes, what: str) -> CertificateFacts:
    """The same of a certificate in DER."""
    with _one_line(what):
        return _read(der)


def key_identifier(certificate: CertificateFacts) -> str:
    """A CA's own, or the one that RFC 5280 derives from its key (4.2.1.2) where it states none."""
    if certificate.subject_key_identifier is not None:
        return certificate.subject_key_identifier
    public_key: t.Any = x509.load_der_x509_certificate(certificate.der).public_key()
    return x509.SubjectKeyIdentifier.from_public_key(public_key).digest.hex()


def load_certificate(pem: bytes, what: str) -> x509.Certificate:
    """The one certificate in a PEM text, as the library has it; CryptoError as with `certificate_facts`."""
    return load_der(certificate_der(pem, what), what)


def load_leaf(text: str, what: str) -> x509.Certificate:
    """The first certificate of a PEM text, which has those of its CAs behind it at most; CryptoError else."""
    return load_der(certificate_ders(text, what)[0], what)


def load_der(der: bytes, what: str) -> x509.Certificate:
    """The same of a certificate in DER."""
    with _one_line(what):
        certificate = x509.load_der_x509_certificate(der)
        # Read here, where a broken key gets its line, and not where it is used.
        certificate.public_key()
        return certificate


def not_before(certificate: x509.Certificate) -> datetime.datetime:
    # cryptography 42 brought the aware properties and deprecated the naive ones.
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    return certificate.not_valid_before.replace(
        tzinfo=datetime.timezone.utc
    )  # pragma: no cover (tested with the oldest release)


def not_after(certificate: x509.Certificate) -> datetime.datetime:
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(
        tzinfo=datetime.timezone.utc
    )  # pragma: no cover (tested with the oldest release)


def common_names(name: x509.Name) -> tuple[str, ...]:
    return tuple(str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME))


def check_read_by_etcd(certificate: CertificateFacts, what: str) -> None:
    """CryptoError where etcd would not read a certificate that others read."""
    why = why_go_refuses(certificate.der)
    if why is not None:
        who = f"{certificate.common_name or 'no common name'}, serial number {certificate.serial_number}"
        raise CryptoError(
            f"{what} holds {who}, which etcd would not read: {why}: have it issued anew without that",
            reason="unreadable_for_etcd",
        )


@contextlib.contextmanager
def _one_line(what: str) -> t.Iterator[None]:
    """Whatever a certificate ends in becomes one line; what the library warns of besides is for who made it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UNREADABLE as exc:
        why = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise CryptoError(f"{what} is no readable X.509 certificate ({why}): put the original there again") from None


# Each check asks for the facts of the same few certificates again.
@functools.lru_cache(maxsize=256)
def _read(der: bytes) -> CertificateFacts:
    parts = der_parts.parts_of(der)
    certificate = x509.load_der_x509_certificate(der)
    found = {one.oid: one for one in certificate.extensions}

    def value(kind: t.Any) -> t.Any:
        return found[kind.oid].value if kind.oid in found else None

    def critical(kind: t.Any) -> bool:
        return kind.oid in found and found[kind.oid].critical

    names = list(value(x509.SubjectAlternativeName) or ())
    subject_names, issuer_names = common_names(certificate.subject), common_names(certificate.issuer)
    constraints, purposes = value(x509.BasicConstraints), value(x509.ExtendedKeyUsage)
    subject_key, authority_key = value(x509.SubjectKeyIdentifier), value(x509.AuthorityKeyIdentifier)
    return CertificateFacts(
        serial_number=serial_hex(certificate.serial_number),
        common_name=subject_names[-1] if subject_names else None,
        issuer_common_name=issuer_names[-1] if issuer_names else None,
        not_before=not_before(certificate),
        not_after=not_after(certificate),
        dns_names=tuple(name.value for name in names if isinstance(name, x509.DNSName)),
        ip_addresses=tuple(_address(name) for name in names if isinstance(name, x509.IPAddress)),
        key_algorithm=_key_algorithm(certificate, parts),
        key_usage=_key_usage(value(x509.KeyUsage)),
        extended_key_usage=None if purposes is None else _extended_key_usage(purposes),
        is_ca=constraints is not None and constraints.ca,
        fingerprint=hashlib.sha256(der).hexdigest(),
        subject=parts.subject,
        issuer=parts.issuer,
        der=der,
        version=certificate.version.value + 1,
        common_names=subject_names,
        other_subject_attributes=tuple(
            one.rfc4514_string() for one in certificate.subject if one.oid != NameOID.COMMON_NAME
        ),
        other_names=tuple(_other_name(one) for one in names if not isinstance(one, (x509.DNSName, x509.IPAddress))),
        names_critical=critical(x509.SubjectAlternativeName),
        signature_hash=_signature_hash(certificate),
        basic_constraints_critical=critical(x509.BasicConstraints),
        key_usage_critical=critical(x509.KeyUsage),
        subject_key_identifier=None if subject_key is None else subject_key.digest.hex(),
        authority_key_identifier=None
        if authority_key is None or authority_key.key_identifier is None
        else authority_key.key_identifier.hex(),
        constraints=_constraints(value(x509.NameConstraints), parts),
    )


def _address(name: x509.IPAddress) -> str:
    if hasattr(name.value, "network_address"):
        # The library takes it for a network; nobody else does.
        raise ValueError("an IP address of the wrong length")
    return str(name.value)


def _key_algorithm(certificate: x509.Certificate, parts: der_parts.Parts) -> str:
    kind = keys.key_type_of(certificate.public_key())
    # A key that says it is for RSA-PSS alone is none that Go knows; the library makes no difference.
    is_plain = der_parts.public_key_parts(parts.public_key)[0] == _RSA
    return kind if is_plain or not kind.startswith("rsa-") else "unknown"


def _key_usage(usage: x509.KeyUsage | None) -> tuple[str, ...] | None:
    if usage is None:
        return None
    asked = {**KEY_USAGES, **(_BESIDE_KEY_AGREEMENT if usage.key_agreement else {})}
    return tuple(text for flag, text in asked.items() if getattr(usage, flag))


def _extended_key_usage(purposes: x509.ExtendedKeyUsage) -> tuple[str, ...]:
    found = tuple(EXTENDED_KEY_USAGES.get(one.dotted_string, one.dotted_string) for one in purposes)
    if not found:
        # For Go that is no limit, for OpenSSL nothing is allowed, and most releases of the library do not read it.
        raise ValueError("an extended key usage that names none")
    return found


def _signature_hash(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return "unknown"
    return "none" if algorithm is None else algorithm.name


def _other_name(name: t.Any) -> str:
    """A subject alternative name that no peer certificate has, for people: its kind and what it says."""
    kind, value = type(name).__name__, name.value
    if isinstance(value, x509.Name):
        # Releases differ in how they order the parts of one RDN, which is a set.
        value = ",".join("+".join(sorted(one.rfc4514_string() for one in rdn)) for rdn in reversed(value.rdns))
    if isinstance(value, x509.ObjectIdentifier):
        value = value.dotted_string
    if isinstance(name, x509.OtherName):
        value = f"{name.type_id.dotted_string} #{value.hex()}"
    return f"{kind} {value}"


def _constraints(found: x509.NameConstraints | None, parts: der_parts.Parts) -> NameConstraints | None:
    if found is None:
        return None
    if found.public_bytes() != parts.value(found.oid.dotted_string):
        # Such as the minimum and maximum of a subtree, which OpenSSL refuses and Go does not look at.
        raise ValueError("name constraints that say more than names")
    return NameConstraints(_names(found.permitted_subtrees), _names(found.excluded_subtrees))


def _names(subtrees: t.Iterable[x509.GeneralName] | None) -> Names:
    found = tuple(subtrees or ())
    # Kinds that a peer's certificate never has, and that Go knows.
    known = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)
    return Names(
        dns_names=tuple(one.value.lower() for one in found if isinstance(one, x509.DNSName)),
        networks=tuple(t.cast("Network", one.value) for one in found if isinstance(one, x509.IPAddress)),
        others=not all(isinstance(one, known) for one in found),
    )


__all__ = (
    "KEY_USAGES",
    "certificate_facts",
    "check_read_by_etcd",
    "common_names",
    "key_identifier",
    "load_certificate",
    "load_der",
    "load_leaf",
    "not_after",
    "not_before",
    "read_certificate",
)
