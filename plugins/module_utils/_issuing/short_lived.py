# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all certificates have in common that are made for a proof: their keys, from when they are valid, an unknown CA.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta

from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import Authority
    from cryptography import x509

KEY_TYPE = "ecdsa-p256"
# Nodes whose clock lags must take it for valid, or they would refuse it for the wrong reason.
BACKDATE = timedelta(hours=1)


def limits(authority: Authority, now: datetime, not_after: datetime) -> tuple[datetime, datetime]:
    """Begin and end of a certificate of this CA that is meant to end then."""
    return max(now - BACKDATE, authority.facts.not_before), min(not_after, authority.facts.not_after)


def unknown_issuer(name: str | x509.Name, now: datetime, not_after: datetime) -> certificates.Issuer:
    """A CA with the same name as the one that is trusted: who compares names only would let it in."""
    key = keys.make_key(KEY_TYPE)
    return certificates.Issuer(certificates.make_ca_certificate(key, name, now - BACKDATE, not_after), key)


__all__ = ("BACKDATE", "KEY_TYPE", "limits", "unknown_issuer")
