# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A request to certify a public key (PKCS#10, RFC 2986): its text, and the key in it. Pure.

Nothing else in a request is read here or anywhere: what a certificate says is decided by the profile alone.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import asn1
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import as_bytes, holds_private_key
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import pem_text, split_pem

# Three times what the largest key that is taken needs (RSA with 4096 bits, about 1800 bytes).
MAXIMAL_BYTES = 6 * 1024

REQUEST_LABEL = "CERTIFICATE REQUEST"
_LABELS = (REQUEST_LABEL, "NEW CERTIFICATE REQUEST")
_ADVICE = "have its host make it anew with etcd_peer_key"


def request_der(text: str | bytes, what: str) -> bytes:
    """The DER of the one request in a PEM text; CryptoError where it is none, or more than one. It quotes nothing."""
    raw = as_bytes(text)
    if len(raw) > MAXIMAL_BYTES:
        raise CryptoError(f"{what} has {len(raw)} bytes, more than any request has: {_ADVICE}")
    if holds_private_key(raw):
        raise CryptoError(f"{what} holds a private key, which may leave no host: remove that key, and {_ADVICE}")
    labels_and_ders = [(block.label, block.der) for block in split_pem(raw, what)]
    if len(labels_and_ders) != 1 or labels_and_ders[0][0] not in _LABELS:
        found = ", ".join(label for label, _der in labels_and_ders[:3]) or "nothing in PEM"
        raise CryptoError(f"{what} is not one block {REQUEST_LABEL} (it holds {found}): {_ADVICE}")
    return labels_and_ders[0][1]


def written_request(der: bytes) -> str:
    """A request as PEM, in the one form."""
    return pem_text(REQUEST_LABEL, der).decode("ascii")


def requested_key(der: bytes, what: str) -> bytes:
    """The public key in a request, as DER SubjectPublicKeyInfo; CryptoError where it is none."""
    try:
        request = asn1.sequence_in(der, "a request")
        information = request.sequence("the signed part")
        information.integer("the version")
        information.whole_sequence("the subject")
        return information.whole_sequence("the public key")
    except Malformed as exc:
        raise CryptoError(f"{what} is no readable request ({exc}): {_ADVICE}") from None


__all__ = ("MAXIMAL_BYTES", "REQUEST_LABEL", "request_der", "requested_key", "written_request")
