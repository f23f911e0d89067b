# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a member's certificate is settled or due.

Pure: takes what the member must have and what it has, gives reasons. The controller decides from the certificate that
the node sent, the CA's host with the same functions (``_issuing.peer_certificates``).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import (
    CertificateFacts,
    IssuerFacts,
    PeerProfile,
    RenewalRules,
    key_reasons,
    reasons_to_issue,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    certificate_facts,
    check_read_by_etcd,
    load_der,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificates import is_signed_by

if t.TYPE_CHECKING:  # pragma: no cover
    from datetime import datetime

    from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys


def certificate_due(
    profile: PeerProfile,
    pem: str | None,
    private_key_matches: bool | None,
    issuer: IssuerFacts,
    rules: RenewalRules,
    now: datetime,
    new_key_requested: bool = False,
) -> list[Reason]:
    """Why a member's certificate is to be issued; an empty list where nothing is.

    ``private_key_matches``: None where there is no private key.
    """
    facts, unreadable = present_certificate(profile, None if pem is None else pem.encode("utf-8", "replace"))
    if facts is None:
        return unreadable
    what = certificate_name(profile)
    public_key = t.cast("keys.PublicKey", load_der(issuer.certificate, "the CA's certificate").public_key())
    signed = is_signed_by(load_der(facts.der, what), public_key)
    reasons = certificate_reasons(profile, facts, signed, issuer, rules, now)
    return reasons + key_reasons(private_key_matches, new_key_requested)


def present_certificate(profile: PeerProfile, pem: bytes | None) -> tuple[CertificateFacts | None, list[Reason]]:
    """The facts of the certificate that a member has, or None and why there are none."""
    if pem is None or not pem.strip():
        return None, [Reason(code="missing", text="there is no certificate")]
    try:
        facts = certificate_facts(pem, certificate_name(profile))
        check_read_by_etcd(facts, certificate_name(profile))
        return facts, []
    except CryptoError as exc:
        return None, [unreadable_certificate(exc)]


def certificate_name(profile: PeerProfile) -> str:
    """A member's or a client's certificate in messages."""
    return f"the certificate of {profile.whose}"


def unreadable_certificate(error: CryptoError) -> Reason:
    return Reason(code="unreadable", text=str(error))


def certificate_reasons(
    profile: PeerProfile,
    facts: CertificateFacts,
    signed_by_issuer: bool,
    issuer: IssuerFacts | None,
    rules: RenewalRules,
    now: datetime,
) -> list[Reason]:
    """Why a certificate that can be read is to be issued anew, apart from its key; no issuer: this run makes the CA."""
    if issuer is None:
        return [Reason(code="other_ca", text="the certificate is not signed by the CA that this run makes")]
    return reasons_to_issue(profile, facts, signed_by_issuer, issuer, rules, now)


__all__ = (
    "certificate_due",
    "certificate_name",
    "certificate_reasons",
    "present_certificate",
    "unreadable_certificate",
)
