# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stranger of the members' CA that a user has had made, where the CA's key is not at hand to make one.

It is used where its common name is the one thing that is wrong with it: else a refusal would be for another reason, and
would show nothing of the list.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_ders, written_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys, renewal
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    check_read_by_etcd,
    load_der,
    read_certificate,
)

if t.TYPE_CHECKING:  # pragma: no cover
    from datetime import datetime

    from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import Authority

_CERTIFICATE, _PRIVATE_KEY = "the stranger in stranger_certificate", "the private key in stranger_private_key"


class GivenStranger(t.NamedTuple):
    """Its certificate as PEM, and the common name in it."""

    common_name: str
    certificate: str


def given_stranger(
    certificate: str, private_key: str, authority: Authority, taken: t.Collection[str], now: datetime
) -> GivenStranger:
    """The certificate, written anew; CryptoError where it is no stranger that shows anything.

    ``taken``: the members' common names.
    """
    ders = certificate_ders(certificate, _CERTIFICATE)
    facts = read_certificate(ders[0], _CERTIFICATE)
    check_read_by_etcd(facts, _CERTIFICATE)
    found = load_der(ders[0], _CERTIFICATE)
    key = keys.load_private_key(private_key.encode("utf-8"), _PRIVATE_KEY)
    public_key = t.cast("keys.PublicKey", found.public_key())
    if keys.public_key_bytes(key.public_key()) != keys.public_key_bytes(public_key):
        raise CryptoError(f"{_PRIVATE_KEY} does not belong to the certificate in stranger_certificate")
    name = facts.common_name or ""
    # Just as a member's, by the rules for those: but for the name.
    wanted = rules.PeerProfile("stranger", name, facts.dns_names, facts.ip_addresses, facts.key_algorithm)
    is_signed = certificates.is_signed_by(found, authority.public_key)
    limits = rules.RenewalRules(validity_days=1, renew_before_days=0, backdate_minutes=0)
    reasons = renewal.certificate_reasons(wanted, facts, is_signed, authority.facts, limits, now)
    why = [reason["text"] for reason in reasons]
    if not name:
        why.append("it has no common name, which etcd compares with the list")
    if name in taken:
        why.append(f"its common name {name} is a member's")
    forbidden = rules.why_names_forbidden("stranger", facts.dns_names, facts.ip_addresses, authority.facts)
    why += [] if forbidden is None else [forbidden]
    if why:
        told = "; ".join(reason[:300] for reason in why)
        raise CryptoError(f"{_CERTIFICATE} would be refused for more than its common name, or not at all: {told}")
    return GivenStranger(name, written_certificate(ders[0]))


__all__ = ("GivenStranger", "given_stranger")
