# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The public key in a request of a host, once that has proved that it has the private key. And making a request.

A request is a stranger's data: it is read for its key alone. Names, usages and all else in it are not looked at: the
certificate is made of the profile. One that goes to a CA that is not here has to ask for the profile, and no more.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import typing as t
import warnings

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.der import public_key_parts
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.signing_request import request_der, requested_key
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.unreadable import UNREADABLE

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    _PURPOSES = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}
except ImportError:
    pass  # library.why_no_cryptography says so

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import PeerProfile

_RSA = "1.2.840.113549.1.1.1"
# The exponent that openssl and cryptography make: with others a key is weak, or none that etcd reads.
_RSA_EXPONENT = 65537
# Of the proof alone: the certificate is signed otherwise.
_HASHES = ("sha256", "sha384", "sha512")
_NO_REQUEST: tuple[type[Exception], ...] = (CryptoError, *UNREADABLE)
_ANEW = "have its host make it anew with etcd_peer_key"


def certifiable_key(pem: str, key_type: str, what: str) -> keys.PublicKey:
    """The public key of a request; CryptoError with one line where it is not of that type, or not proved to be the
    host's.

    ``what`` names the request in that line ("member etcd-1: its request").
    """
    der = request_der(pem, what)
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
                raise CryptoError(f"{what} is for a key of the type {found}, {key_type} is wanted: {_ANEW}")
            if is_rsa and public_key.public_numbers().e != _RSA_EXPONENT:
                raise CryptoError(f"{what} is for an RSA key with another exponent than {_RSA_EXPONENT}: {_ANEW}")
            algorithm = request.signature_hash_algorithm
            if algorithm is not None and algorithm.name not in _HASHES:
                raise CryptoError(f"{what} is signed with {algorithm.name}, {' or '.join(_HASHES)} is wanted: {_ANEW}")
            is_proved = request.is_signature_valid
    except UNREADABLE as exc:
        raise CryptoError(f"{what} can't be read ({type(exc).__name__}): {_ANEW}") from None
    if not is_proved:
        raise CryptoError(
            f"{what} is not signed with the key that it is for, so that nothing shows that its host has that key: "
            f"{_ANEW}"
        )
    return t.cast("keys.PublicKey", public_key)


def make_request(private_key_pem: bytes, common_name: str, what: str, asked: PeerProfile | None = None) -> bytes:
    """A request for a private key as PEM. The name in it is for people who see it lying about.

    ``asked``: the certificate that it asks for, of a CA that issues what a request says.
    """
    key = keys.load_private_key(private_key_pem, what)
    name = common_name if asked is None else asked.common_name
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    for extension, is_critical in () if asked is None else _extensions(asked):
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(key, certificates.signature_hash_for(keys.key_type_of(key.public_key()))).public_bytes(
        serialization.Encoding.PEM
    )


def check_asks_for(pem: str, wanted: PeerProfile, what: str) -> None:
    """CryptoError where a request asks for another certificate than the wanted one, or for more.

    A CA that is not here may issue what a request says: so no host's word gets there.
    """
    der = request_der(pem, what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            request = x509.load_der_x509_csr(der)
            name = [(one.oid, one.value) for one in request.subject]
            found = {one.oid: (one.value, one.critical) for one in request.extensions}
            # Beside the extensions there may be a password, and whatever else a CA could look at.
            is_all = len(request.attributes) == 1
    except UNREADABLE as exc:
        raise CryptoError(f"{what} can't be read ({type(exc).__name__}): {_ANEW}") from None
    asked = {one.oid: (one, is_critical) for one, is_critical in _extensions(wanted)}
    if name != [(NameOID.COMMON_NAME, wanted.common_name)]:
        other = "another subject"
    elif _comparable(found) != _comparable(asked):
        other = "other names, addresses or usages"
    elif not is_all:
        other = "more"
    else:
        return
    raise CryptoError(f"{what} asks for {other} than the inventory says: {_ANEW}")


def is_same_request(one: bytes, other: str, what: str) -> bool:
    """Whether two requests as PEM are for one key and one certificate; their signatures may differ."""
    try:
        first, second = (x509.load_der_x509_csr(request_der(pem, what)) for pem in (one, other))
        same_key = keys.public_key_bytes(t.cast("keys.PublicKey", first.public_key())) == keys.public_key_bytes(
            t.cast("keys.PublicKey", second.public_key())
        )
        return (
            same_key
            and first.is_signature_valid
            and (first.subject, list(first.extensions)) == (second.subject, list(second.extensions))
        )
    except _NO_REQUEST:
        return False


def _extensions(asked: PeerProfile) -> t.Iterator[tuple[t.Any, bool]]:
    """The extensions of such a certificate, and whether each is critical."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in asked.dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in asked.ip_addresses]
    yield x509.BasicConstraints(ca=False, path_length=None), True
    yield certificates.key_usage(*asked.key_usages), True
    yield x509.ExtendedKeyUsage([_PURPOSES[purpose] for purpose in sorted(asked.extended_key_usages)]), False
    yield x509.SubjectAlternativeName(names), False


def _comparable(extensions: t.Mapping[t.Any, tuple[t.Any, bool]]) -> dict[str, tuple[t.Any, bool]]:
    """Without the order of names and purposes, which says nothing."""
    many = (x509.SubjectAlternativeName, x509.ExtendedKeyUsage)
    return {
        oid.dotted_string: (frozenset(value) if isinstance(value, many) else value, is_critical)
        for oid, (value, is_critical) in extensions.items()
    }


__all__ = ("certifiable_key", "check_asks_for", "is_same_request", "make_request")
