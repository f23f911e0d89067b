# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What another CA's people or programs bring as certificates: each held against the profile, the key and the CA.

Whoever wrote such a text is a stranger. A certificate is taken where it is one that this collection would have issued,
by the same rules that say when one is issued anew: so the next run finds nothing to do.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import BACKDATE_MINUTES
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import Issued
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_ders
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys, renewal
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    check_read_by_etcd,
    load_der,
    read_certificate,
)

if t.TYPE_CHECKING:  # pragma: no cover
    from datetime import datetime

    from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import (
        Authority,
        Decision,
        IssuePlan,
    )
    from cryptography import x509

# The longest chain that anybody has, twice.
_MOST_CERTIFICATES = 10
# Names come from whoever wrote it.
_MOST_OF_A_REASON = 300


class SerialNumbers:
    """The serial numbers of the CA that are somebody's: those that are in use, and those on its revocation list."""

    def __init__(self, plan: IssuePlan, authority: Authority, revoked: t.Collection[str] = ()) -> None:
        self._revoked = revoked
        self._holders: dict[str, str] = {}
        for decision in plan.decisions:
            facts = decision.found_facts
            if facts is not None and certificates.is_signed_by(
                t.cast("x509.Certificate", decision.found), authority.public_key
            ):
                self._holders[facts.serial_number] = f"the present certificate of {decision.name}"

    def why_not(self, serial_number: str, name: str) -> str | None:
        """Why a new certificate of this member may not have the number; None where it may, and then has it."""
        if serial_number in self._revoked:
            return f"its serial number {serial_number} is on the CA's revocation list"
        if serial_number in self._holders:
            return f"its serial number {serial_number} is that of {self._holders[serial_number]}"
        self._holders[serial_number] = f"the new certificate of {name}"
        return None


def accepted(
    plan: IssuePlan, decision: Decision, text: str | bytes, what: str, numbers: SerialNumbers, now: datetime
) -> Issued:
    """The certificate in a text, alone; CryptoError with one line where it is not just what was asked for.

    ``what`` names the text in that line. Certificates of CAs may stand beside it: members have theirs in ca.crt.
    """
    der = _for_the_key(plan.request.requested_keys[decision.name], text, what)
    facts = read_certificate(der, what)
    check_read_by_etcd(facts, what)
    found = load_der(der, what)
    reasons = list(_why_not(plan, decision, facts, found, now))
    other = numbers.why_not(facts.serial_number, decision.name) if not reasons else None
    if reasons or other:
        told = "; ".join(reason[:_MOST_OF_A_REASON] for reason in reasons or [str(other)])
        raise CryptoError(f"{what} is not the certificate that was asked for: {told}")
    return Issued(
        certificates.certificate_pem(found),
        certificates.fingerprint(found),
        found.serial_number,
        validity=(facts.not_before, facts.not_after),
    )


def _for_the_key(public_key: keys.PublicKey, text: str | bytes, what: str) -> bytes:
    """The DER of the one certificate in a text that is for this key."""
    ders = certificate_ders(text, what)
    if len(ders) > _MOST_CERTIFICATES:
        raise CryptoError(
            f"{what} holds {len(ders)} certificates: give the one that was asked for, and its CAs at most"
        )
    wanted = keys.public_key_bytes(public_key)
    fitting = [
        der
        for der in ders
        if keys.public_key_bytes(t.cast("keys.PublicKey", load_der(der, what).public_key())) == wanted
    ]
    if not fitting:
        raise CryptoError(f"{what} is for another key than the request that waits now")
    if len(fitting) > 1:
        raise CryptoError(f"{what} holds {len(fitting)} certificates for the key that waits: give the one meant")
    return fitting[0]


def _why_not(
    plan: IssuePlan, decision: Decision, facts: rules.CertificateFacts, found: x509.Certificate, now: datetime
) -> t.Iterator[str]:
    """Why it is not the certificate that the inventory wants of this CA."""
    authority = t.cast("Authority", plan.authority)
    wanted, limits = decision.member.profile, plan.request.rules
    is_signed = certificates.is_signed_by(found, authority.public_key)
    for reason in renewal.certificate_reasons(wanted, facts, is_signed, authority.facts, limits, now):
        yield reason["text"]
    # A CA that says when it has signed may say so of the same day.
    longest = timedelta(days=limits.validity_days, minutes=BACKDATE_MINUTES[1])
    if facts.not_after - facts.not_before > longest:
        days = (facts.not_after - facts.not_before) // timedelta(days=1)
        yield f"it is valid for {days} days, {limits.validity_days} at most are wanted"
    if facts.not_after > authority.facts.not_after:
        yield f"it ends at {rules.iso_time(facts.not_after)}, after its CA, {rules.iso_time(authority.facts.not_after)}"


def told_wishes(plan: IssuePlan) -> str:
    """What a CA's people have to know of the certificates that are due."""
    authority = t.cast("Authority", plan.authority)
    limits = plan.request.rules
    usages = sorted({usage for decision in plan.due for usage in decision.member.profile.key_usages})
    return (
        "with the subject and the extensions that its request has (subjectAltName, critical basicConstraints CA:FALSE, "
        f"critical keyUsage {','.join(usages)}, extendedKeyUsage serverAuth,clientAuth), the subjectKeyIdentifier and "
        f"the authorityKeyIdentifier, by the CA {authority.facts.label}, valid for more than "
        f"{limits.renew_before_days} and at most {limits.validity_days} days"
    )


__all__ = ("SerialNumbers", "accepted", "told_wishes")
