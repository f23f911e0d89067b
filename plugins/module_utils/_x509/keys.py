# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private and public keys: make, load, write, compare.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import given_pem

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
except ImportError:
    pass  # library.why_no_cryptography says so

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import PemBlock

    PrivateKey = t.Union[ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey]
    PublicKey = t.Union[ec.EllipticCurvePublicKey, rsa.RSAPublicKey, ed25519.Ed25519PublicKey]


# As the option key_type names them.
_CURVES = {"secp256r1": "p256", "secp384r1": "p384"}


def make_key(key_type: str) -> PrivateKey:
    """A new private key of one of KEY_TYPES."""
    try:
        if key_type == "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        if key_type == "ecdsa-p256":
            return ec.generate_private_key(ec.SECP256R1())
        if key_type == "ecdsa-p384":
            return ec.generate_private_key(ec.SECP384R1())
        if key_type.startswith("rsa-"):
            return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[len("rsa-") :]))
    except UnsupportedAlgorithm as exc:  # pragma: no cover (an OpenSSL without Ed25519, as in FIPS mode)
        raise CryptoError(
            f"this host's OpenSSL can't make a key of type {key_type} ({exc}): choose another key_type"
        ) from exc
    raise CryptoError(f"there is no key type {key_type}")


def key_type_of(public_key: t.Any) -> str:
    """The type of a public key: one of KEY_TYPES where it is one of them, else a name that no option has."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return f"ecdsa-{_CURVES.get(public_key.curve.name, public_key.curve.name)}"
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"rsa-{public_key.key_size}"
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(public_key, ed448.Ed448PublicKey):
        return "ed448"
    if isinstance(public_key, dsa.DSAPublicKey):
        return f"dsa-{public_key.key_size}"
    return "unknown"


def private_key_pem(key: PrivateKey, passphrase: str | None = None) -> bytes:
    """The key as PEM PKCS#8, encrypted where a passphrase is given."""
    encryption: serialization.KeySerializationEncryption = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase.encode("utf-8"))
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def public_key_bytes(public_key: PublicKey) -> bytes:
    """The key as DER SubjectPublicKeyInfo: equal bytes, equal keys."""
    return public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_key_digest(public_key: PublicKey) -> str:
    """SHA-256 of the same, lower-case hex: equal digests, equal keys."""
    return hashlib.sha256(public_key_bytes(public_key)).hexdigest()


def load_private_key(pem: bytes, what: str, passphrase: str | None = None, passphrase_option: str = "") -> PrivateKey:
    """A private key from PEM; CryptoError with one line that tells broken from encrypted from a wrong passphrase.

    ``what`` names the key in that line ("the CA's private key /srv/ca/ca.key"), ``passphrase_option`` the option that
    carries its passphrase (empty: there is none).
    """
    block = given_pem.private_key_block(pem, what, passphrase is not None, passphrase_option)
    encrypted = given_pem.is_encrypted(block)
    clean = given_pem.written(block).encode("ascii")
    try:
        key = serialization.load_pem_private_key(clean, None if passphrase is None else passphrase.encode("utf-8"))
    except UnsupportedAlgorithm as exc:
        raise CryptoError(f"{what} has a type that this host's OpenSSL does not know: use one of another type") from exc
    except (ValueError, TypeError):
        if encrypted and _is_whole(block):
            raise CryptoError(f"{what} can't be decrypted: the passphrase in {passphrase_option} is wrong") from None
        raise CryptoError(f"{what} is broken: its PEM can't be read; put the key back from its backup") from None
    if not isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)):
        raise CryptoError(f"{what} is of a type that is not supported: ECDSA, RSA or Ed25519 is wanted")
    return key


def _is_whole(block: PemBlock) -> bool:
    """Whether a key is whole: one DER sequence of just its length, or an old header with a cipher."""
    der = block.der
    if any("DEK-Info" in header for header in block.headers):
        return True
    if len(der) < 2 or der[0] != 0x30:
        return False
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    octets = der[1] & 0x7F
    return len(der) == 2 + octets + int.from_bytes(der[2 : 2 + octets], "big")


__all__ = (
    "key_type_of",
    "load_private_key",
    "make_key",
    "private_key_pem",
    "public_key_bytes",
    "public_key_digest",
)
