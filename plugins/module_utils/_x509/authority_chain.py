# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of one CA: the issuing one, and its parents in the order in which they signed each other.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import der, given_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import (
    KEY_TYPES,
    CertificateFacts,
    IssuerFacts,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    check_read_by_etcd,
    key_identifier,
    load_der,
    read_certificate,
)

if t.TYPE_CHECKING:  # pragma: no cover
    import datetime

    from ansible_collections.ringfence.etcd.plugins.module_utils._pki.name_constraints import NameConstraints
    from cryptography import x509

    IsParent = t.Callable[[CertificateFacts, CertificateFacts], bool]

_USAGES = ("serverAuth", "clientAuth")
_ANY_USAGE = "anyExtendedKeyUsage"
_RSASSA_PSS = "1.2.840.113549.1.1.10"
_MOST_CERTIFICATES = 10
_MOST_CHARACTERS = 64


def read_chain(
    text: str | bytes, what: str, private_key: keys.PrivateKey | None = None, key_name: str = "the private key"
) -> tuple[CertificateFacts, ...]:
    """The CA's certificates, the issuing one first, then its parents, nearest first, in whatever order they are given.

    CryptoError with one line where one of them can't be used, or where they are not the certificates of one CA. With
    the private key the issuing CA is the one that it belongs to.
    """
    ders = given_pem.certificate_ders(text, what)
    for der_bytes in ders:
        _check_kind_of_key(der_bytes, what)
    found = [read_certificate(der_bytes, what) for der_bytes in ders]
    given = tuple({one.fingerprint: one for one in found}.values())
    if len(given) > _MOST_CERTIFICATES:
        raise CryptoError(f"{what} holds {len(given)} certificates: give the issuing CA and its parents alone")
    for one in given:
        _check_usable(one, what if len(given) == 1 else f"{what}: {described(one)}")

    def is_parent(parent: CertificateFacts, child: CertificateFacts) -> bool:
        return _is_named_as_issuer(parent, child) and _is_signed_by(child, _public_key(parent, what), what)

    if len(given) == 1:
        # Before the library is asked about a key that no member may have.
        _check_issuing(given[0], what)
    chain = _in_order(given, is_parent, private_key, what, key_name)
    _check_issuing(chain[0], what)
    constraints_of_chain(chain, what)
    for one in chain:
        check_read_by_etcd(one, what)
    return chain


def issuer_facts(text: str | bytes, what: str) -> IssuerFacts:
    """What the rules need to know of a CA that was checked before: what it is good for is not judged again."""
    given = tuple(read_certificate(one, what) for one in given_pem.certificate_ders(text, what))
    chain = _in_order(given, _is_named_as_issuer, None, what)
    certificate = chain[0]
    name = ", ".join(certificate.common_names) or "without common name"
    return IssuerFacts(
        label=f"'{name}' (SHA-256 {certificate.fingerprint[:16]}...)",
        subject=certificate.subject,
        key_identifier=key_identifier(certificate),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        constraints=constraints_of_chain(chain, what),
        certificate=certificate.der,
    )


def loaded(certificate: CertificateFacts, what: str) -> x509.Certificate:
    """The certificate as the library has it."""
    return load_der(certificate.der, what)


def _in_order(
    given: tuple[CertificateFacts, ...],
    is_parent: IsParent,
    private_key: keys.PrivateKey | None,
    what: str,
    key_name: str = "",
) -> tuple[CertificateFacts, ...]:
    issuing = _issuing(given, is_parent, private_key, what, key_name)
    chain = _with_parents(issuing, given, is_parent)
    for one in given:
        if one not in chain:
            raise CryptoError(
                f"{what}: {described(one)} did not sign {described(issuing)}, nor "
                "any of its parents: give the issuing CA and its parents alone"
            )
    return chain


def validity_problems(certificate: CertificateFacts, now: datetime.datetime) -> list[str]:
    """Why a CA can't be used now: expired, or not yet valid."""
    problems = []
    if certificate.not_after <= now:
        problems.append(f"it expired at {iso_time(certificate.not_after)} (now it is {iso_time(now)})")
    if certificate.not_before > now:
        start = iso_time(certificate.not_before)
        problems.append(
            f"it is valid only from {start} (now it is {iso_time(now)}: see whether this host's clock is right)"
        )
    return problems


def constraints_of_chain(chain: t.Iterable[CertificateFacts], what: str) -> tuple[NameConstraints, ...]:
    """The name constraints of a CA and its parents; CryptoError where etcd would not know what to do with them."""
    found = []
    for one in chain:
        if one.constraints is None:
            continue
        if not one.constraints.are_known:
            raise CryptoError(
                f"{what}: {described(one)} has name constraints of a kind that etcd does not "
                "know (such as directory names), so that it would refuse every certificate: "
                "use a CA whose constraints name DNS names and IP addresses alone"
            )
        found.append(one.constraints)
    return tuple(found)


def why_not_now(chain: tuple[CertificateFacts, ...], what: str, now: datetime.datetime) -> str | None:
    """Why a CA with its parents can't be used now, in one line; None where it can."""
    for one in chain:
        problems = "; ".join(validity_problems(one, now))
        if problems and one is chain[0]:
            return f"{what}, CA {described(one)}, can't be used: {problems}; nothing signed by it would be accepted"
        if problems:
            return f"{what}: {described(one)}, a parent, is of no use: {problems}; give the CA without this parent"
    return None


def described(certificate: CertificateFacts) -> str:
    """A certificate in messages: its common name, and the beginning of its fingerprint."""
    name = certificate.common_name or "without common name"
    shown = name if name.isprintable() else ascii(name)[1:-1]
    if len(shown) > _MOST_CHARACTERS:
        shown = shown[:_MOST_CHARACTERS] + "..."
    return f"'{shown}' (SHA-256 {certificate.fingerprint[:16]}...)"


def _check_kind_of_key(certificate: bytes, what: str) -> None:
    """CryptoError for the one kind of key that users have and etcd has not; releases of the library differ in it."""
    kind = ""
    with contextlib.suppress(Malformed):
        kind = der.public_key_parts(der.parts_of(certificate).public_key)[0]
    if kind == _RSASSA_PSS:
        raise CryptoError(
            f"{what} has a key for RSA-PSS signatures alone (RSASSA-PSS), which etcd can't read: use a CA whose key is "
            "plain RSA (it may be signed with RSA-PSS)"
        )


def _check_usable(certificate: CertificateFacts, what: str) -> None:
    """CryptoError where a certificate is no CA's, or one below which etcd takes no peer's certificate."""
    usage = certificate.key_usage
    if not certificate.is_ca or (usage is not None and "keyCertSign" not in usage):
        raise CryptoError(f"{what} is not a CA certificate (CA:TRUE and keyCertSign are wanted): give the CA's own")
    purposes = certificate.extended_key_usage
    lacking = [usage for usage in _USAGES if purposes is not None and usage not in purposes]
    if lacking and _ANY_USAGE not in (purposes or ()):
        raise CryptoError(
            f"{what} is limited by its extended key usage ({', '.join(purposes or ()) or 'none'}) and lacks "
            f"{' and '.join(lacking)}: etcd would refuse every peer's certificate below it; use a CA without that limit"
        )


def _check_issuing(certificate: CertificateFacts, what: str) -> None:
    kind = certificate.key_algorithm
    if kind not in KEY_TYPES:
        raise CryptoError(f"{what} has a key of type {kind}: use one of {', '.join(KEY_TYPES)}")


def _issuing(
    given: tuple[CertificateFacts, ...],
    is_parent: IsParent,
    private_key: keys.PrivateKey | None,
    what: str,
    key_name: str,
) -> CertificateFacts:
    """The one that signs members' certificates: the key's, or else the one that signed no other."""
    if private_key is not None:
        public = keys.public_key_bytes(private_key.public_key())
        fitting = [one for one in given if keys.public_key_bytes(_public_key(one, what)) == public]
        if not fitting:
            raise CryptoError(
                f"{key_name} is not the key of {what} ({', '.join(map(described, given))}): give the one that is"
            )
    else:
        fitting = [one for one in given if not any(is_parent(one, other) for other in given)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting or private_key is not None:
        raise CryptoError(
            f"{what} holds {len(fitting or given)} certificates of one and the same CA: give the one meant alone"
        )
    raise CryptoError(
        f"{what} holds certificates of different CAs, {' and '.join(map(described, fitting))}, neither of which signed "
        "the other: give the one meant, with its parents if it has any"
    )


def _with_parents(
    issuing: CertificateFacts, given: tuple[CertificateFacts, ...], is_parent: IsParent
) -> tuple[CertificateFacts, ...]:
    """All above the issuing CA, nearest first; a parent that has two certificates (a cross-signed one) has both in."""
    chain = [issuing]
    for child in chain:
        chain += [one for one in given if one not in chain and is_parent(one, child)]
    return tuple(chain)


def _is_named_as_issuer(parent: CertificateFacts, child: CertificateFacts) -> bool:
    """Whether a certificate names another one's subject and, where both say it, key."""
    if parent is child or child.issuer != parent.subject:
        return False
    named, own = child.authority_key_identifier, parent.subject_key_identifier
    return named is None or own is None or named == own


def _is_signed_by(certificate: CertificateFacts, public_key: keys.PublicKey, what: str) -> bool:
    """True where the library can't check a signature: the names have decided then."""
    one = loaded(certificate, what)
    return not certificates.can_check_signature(one) or certificates.is_signed_by(one, public_key)


def _public_key(certificate: CertificateFacts, what: str) -> keys.PublicKey:
    return t.cast("keys.PublicKey", loaded(certificate, what).public_key())


__all__ = (
    "described",
    "issuer_facts",
    "loaded",
    "read_chain",
    "validity_problems",
    "why_not_now",
)
