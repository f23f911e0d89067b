# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates of one CA: the issuing one, and its parents in the order in which they signed each other.

Pure, with the standard library. What only ``cryptography`` can tell (a signature, whose key it is) comes as functions.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import asn1, der, given_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.der import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.name_constraints import (
    NameConstraints,
    constraints_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES, iso_time

if t.TYPE_CHECKING:  # pragma: no cover
    import datetime

    IsSignedBy = t.Callable[[Certificate, Certificate], bool]
    IsOfKey = t.Callable[[Certificate], bool]

SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"

_USAGES = ("serverAuth", "clientAuth")
_ANY_USAGE = "anyExtendedKeyUsage"
_RSASSA_PSS = "1.2.840.113549.1.1.10"
_MOST_CERTIFICATES = 10
_MOST_CHARACTERS = 64


def read_chain(
    text: str | bytes,
    what: str,
    is_signed_by: IsSignedBy | None = None,
    is_of_key: IsOfKey | None = None,
    key_name: str = "the private key",
) -> tuple[Certificate, ...]:
    """The CA's certificates, the issuing one first, then its parents, nearest first, in whatever order they are given.

    CryptoError with one line where one of them can't be used, or where they are not the certificates of one CA.
    """
    found = [der.read_certificate(one, what) for one in given_pem.certificate_ders(text, what)]
    given = tuple({one.fingerprint: one for one in found}.values())
    if len(given) > _MOST_CERTIFICATES:
        raise CryptoError(f"{what} holds {len(given)} certificates: give the issuing CA and its parents alone")
    for one in given:
        _check_usable(one, what if len(given) == 1 else f"{what}: {described(one)}")

    def is_parent(parent: Certificate, child: Certificate) -> bool:
        return (
            parent is not child
            and _names_as_issuer(child, parent)
            and (is_signed_by is None or is_signed_by(child, parent))
        )

    if len(given) == 1:
        # Before a library is asked about a key that it may not know.
        _check_issuing(given[0], what)
    chain = _in_order(given, is_parent, is_of_key, what, key_name)
    _check_issuing(chain[0], what)
    constraints_of_chain(chain, what)
    return chain


def read_in_order(text: str | bytes, what: str) -> tuple[Certificate, ...]:
    """As `read_chain`, of a text that was checked before: what its certificates are good for is not judged again."""
    given = tuple(der.read_certificate(one, what) for one in given_pem.certificate_ders(text, what))
    return _in_order(given, lambda parent, child: parent is not child and _names_as_issuer(child, parent), None, what)


def _in_order(
    given: tuple[Certificate, ...],
    is_parent: IsSignedBy,
    is_of_key: IsOfKey | None,
    what: str,
    key_name: str = "",
) -> tuple[Certificate, ...]:
    issuing = _issuing(given, is_parent, is_of_key, what, key_name)
    chain = _with_parents(issuing, given, is_parent)
    for one in given:
        if one not in chain:
            raise CryptoError(
                f"{what}: {described(one)} did not sign {described(issuing)}, nor any of its parents: give the issuing"
                " CA and its parents alone"
            )
    return chain


def validity_problems(certificate: Certificate, now: datetime.datetime) -> list[str]:
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


def constraints_of_chain(chain: t.Iterable[Certificate], what: str) -> tuple[NameConstraints, ...]:
    """The name constraints of a CA and its parents; CryptoError where etcd would not know what to do with them."""
    found = []
    for one in chain:
        try:
            constraints = constraints_of(one)
        except asn1.Malformed as exc:
            raise CryptoError(f"{what}: {described(one)} has name constraints that can't be read ({exc})") from None
        if constraints is not None:
            if not constraints.are_known:
                raise CryptoError(
                    f"{what}: {described(one)} has name constraints of a kind that etcd does not know (such as"
                    " directory names), so that it would refuse every certificate: use a CA whose constraints name DNS"
                    " names and IP addresses alone"
                )
            found.append(constraints)
    return tuple(found)


def why_not_now(chain: tuple[Certificate, ...], what: str, now: datetime.datetime) -> str | None:
    """Why a CA with its parents can't be used now, in one line; None where it can."""
    for one in chain:
        problems = "; ".join(validity_problems(one, now))
        if problems and one is chain[0]:
            return f"{what}, CA {described(one)}, can't be used: {problems}; nothing signed by it would be accepted"
        if problems:
            return f"{what}: {described(one)}, a parent, is of no use: {problems}; give the CA without this parent"
    return None


def described(certificate: Certificate) -> str:
    """A certificate in messages: its common name, and the beginning of its fingerprint."""
    name = certificate.common_name or "without common name"
    shown = name if name.isprintable() else ascii(name)[1:-1]
    if len(shown) > _MOST_CHARACTERS:
        shown = shown[:_MOST_CHARACTERS] + "..."
    return f"'{shown}' (SHA-256 {certificate.fingerprint[:16]}...)"


def _check_usable(certificate: Certificate, what: str) -> None:
    """CryptoError where a certificate is no CA's, or one below which etcd takes no peer's certificate."""
    if certificate.key_algorithm == _RSASSA_PSS:
        raise CryptoError(
            f"{what} has a key for RSA-PSS signatures alone (RSASSA-PSS), which etcd can't read: use a CA whose key is"
            " plain RSA (it may be signed with RSA-PSS)"
        )
    usage = certificate.key_usage
    if not certificate.is_ca or (usage is not None and "keyCertSign" not in usage):
        raise CryptoError(f"{what} is not a CA certificate (CA:TRUE and keyCertSign are wanted): give the CA's own")
    purposes = certificate.extended_key_usage
    lacking = [usage for usage in _USAGES if purposes is not None and usage not in purposes]
    if lacking and _ANY_USAGE not in (purposes or ()):
        raise CryptoError(
            f"{what} is limited by its extended key usage ({', '.join(purposes or ()) or 'none'}) and lacks"
            f" {' and '.join(lacking)}: etcd would refuse every peer's certificate below it; use a CA without that"
            " limit"
        )


def _check_issuing(certificate: Certificate, what: str) -> None:
    kind = certificate.key_algorithm
    if kind not in KEY_TYPES:
        raise CryptoError(f"{what} has a key of type {kind}: use one of {', '.join(KEY_TYPES)}")


def _issuing(
    given: tuple[Certificate, ...],
    is_parent: IsSignedBy,
    is_of_key: IsOfKey | None,
    what: str,
    key_name: str,
) -> Certificate:
    """The one that signs members' certificates: the key's, or else the one that signed no other."""
    if is_of_key is not None:
        fitting = [one for one in given if is_of_key(one)]
        if not fitting:
            raise CryptoError(
                f"{key_name} is not the key of {what} ({', '.join(map(described, given))}): give the one that is"
            )
    else:
        fitting = [one for one in given if not any(is_parent(one, other) for other in given)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting or is_of_key is not None:
        raise CryptoError(
            f"{what} holds {len(fitting or given)} certificates of one and the same CA: give the one meant alone"
        )
    raise CryptoError(
        f"{what} holds certificates of different CAs, {' and '.join(map(described, fitting))}, neither of which signed"
        " the other: give the one meant, with its parents if it has any"
    )


def _with_parents(
    issuing: Certificate, given: tuple[Certificate, ...], is_parent: IsSignedBy
) -> tuple[Certificate, ...]:
    """All above the issuing CA, nearest first; a parent that has two certificates (a cross-signed one) has both in."""
    chain = [issuing]
    for child in chain:
        chain += [one for one in given if one not in chain and is_parent(one, child)]
    return tuple(chain)


def _names_as_issuer(child: Certificate, parent: Certificate) -> bool:
    """Whether a certificate names another one's subject and, where both say it, key."""
    if child.issuer != parent.subject:
        return False
    named, own = _authority_key_identifier(child), _subject_key_identifier(parent)
    return named is None or own is None or named == own


def _subject_key_identifier(certificate: Certificate) -> bytes | None:
    found = certificate.extension(SUBJECT_KEY_IDENTIFIER)
    try:
        return None if found is None else asn1.Reader(found.value).expect(asn1.OCTET_STRING, "a key identifier")
    except asn1.Malformed:
        return None


def _authority_key_identifier(certificate: Certificate) -> bytes | None:
    found = certificate.extension(AUTHORITY_KEY_IDENTIFIER)
    try:
        return None if found is None else asn1.sequence_in(found.value, "a key identifier").optional(asn1.CONTEXT)
    except asn1.Malformed:
        return None


__all__ = (
    "AUTHORITY_KEY_IDENTIFIER",
    "SUBJECT_KEY_IDENTIFIER",
    "constraints_of_chain",
    "described",
    "read_chain",
    "read_in_order",
    "validity_problems",
    "why_not_now",
)
