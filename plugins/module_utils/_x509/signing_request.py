# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The public key in a request of a host, once that has proved that it has the private key. And making a request.

A request is a stranger's data: it is read for its key alone. Names, usages and all else in it are not looked at: the
certificate is made of the profile.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
import warnings

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.der import public_key_parts
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.signing_request import request_der, requested_key
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID
except ImportError:
    pass  # library.why_no_cryptography says so

_RSA = "1.2.840.113549.1.1.1"
# The exponent that openssl and cryptography make: with others a key is weak, or none that etcd reads.
_RSA_EXPONENT = 65537
# Of the proof alone: the certificate is signed otherwise.
_HASHES = ("sha256", "sha384", "sha512")


def certifiable_key(pem: str, key_type: str, what: str) -> keys.PublicKey:
    """The public key of a request; CryptoError with one line where it is not of that type, or not proved to be the
    host's.

    ``what`` names the request in that line ("member etcd-1: its request").
    """
    der = request_der(pem, what)
    advice = "have its host make it anew with etcd_peer_key"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            request = x509.load_der_x509_csr(der)
            public_key: t.Any = request.public_key()
            found = keys.key_type_of(public_key)
            is_rsa = isinstance(public_key, rsa.RSAPublicKey)
            # A key that says it is for RSA-PSS alone is none that Go knows; the library makes no difference.
            if is_rsa and public_key_parts(requested_key(der, what))[0] != _RSA:
                found = "unknown"
            if found != key_type:
                # Before the signature: that of a huge key costs time.
                raise CryptoError(f"{what} is for a key of the type {found}, {key_type} is wanted: {advice}")
            if is_rsa and public_key.public_numbers().e != _RSA_EXPONENT:
                raise CryptoError(f"{what} is for an RSA key with another exponent than {_RSA_EXPONENT}: {advice}")
            algorithm = request.signature_hash_algorithm
            if algorithm is not None and algorithm.name not in _HASHES:
                raise CryptoError(f"{what} is signed with {algorithm.name}, {' or '.join(_HASHES)} is wanted: {advice}")
            is_proved = request.is_signature_valid
    except (Malformed, ValueError, TypeError, LookupError, UnsupportedAlgorithm, x509.InvalidVersion) as exc:
        raise CryptoError(f"{what} can't be read ({type(exc).__name__}): {advice}") from None
    if not is_proved:
        raise CryptoError(
            f"{what} is not signed with the key that it is for, so that nothing shows that its host has that key: "
            f"{advice}"
        )
    return t.cast("keys.PublicKey", public_key)


def make_request(private_key_pem: bytes, common_name: str, what: str) -> bytes:
    """A request for a private key as PEM. The name in it is for people who see it lying about."""
    key = keys.load_private_key(private_key_pem, what)
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .sign(key, certificates.signature_hash_for(keys.key_type_of(key.public_key())))
        .public_bytes(serialization.Encoding.PEM)
    )


__all__ = ("certifiable_key", "make_request")
