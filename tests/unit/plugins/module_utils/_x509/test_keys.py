# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Private keys: each type round trips, each bad one has its own line and no secret in it."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import cryptography_version
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448

PASSPHRASE = "correct horse battery"
KEY = factory.key_of("ecdsa-p256")
PLAIN = keys.private_key_pem(KEY)
ENCRYPTED = keys.private_key_pem(KEY, PASSPHRASE)
OLD_ENCRYPTED = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.BestAvailableEncryption(PASSPHRASE.encode()),
)
LINES = PLAIN.splitlines(keepends=True)


@pytest.mark.parametrize("key_type", [key_type for key_type in KEY_TYPES if key_type != "rsa-4096"])
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_round_trip(key_type: str, passphrase: str | None) -> None:
    key = factory.key_of(key_type)
    pem = keys.private_key_pem(key, passphrase)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY" if passphrase is None else b"-----BEGIN ENCRYPTED PRIVATE KEY")
    again = keys.load_private_key(pem, "it", passphrase, "passphrase")
    assert keys.key_type_of(again.public_key()) == key_type
    assert keys.public_key_bytes(again.public_key()) == keys.public_key_bytes(key.public_key())


@pytest.mark.parametrize("number", range(4))
def test_a_wrong_passphrase_is_told_as_such_for_the_old_format_too(number: int) -> None:
    assert keys.load_private_key(OLD_ENCRYPTED, "it", PASSPHRASE, "passphrase")
    with pytest.raises(CryptoError, match="the passphrase in passphrase is wrong"):
        keys.load_private_key(OLD_ENCRYPTED, "it", f"wrong passphrase {number}", "passphrase")


BAD = [
    ("empty", b"", None, "is empty"),
    ("white space", b"\n\n", None, "is empty"),
    ("no PEM", b"hello", None, "is no PEM private key"),
    ("a certificate", factory.authority().pem, None, "is no PEM private key"),
    ("cut off", PLAIN[:60], None, "is broken PEM: a block begins and does not end"),
    ("a line lost", b"".join([LINES[0], *LINES[2:]]), None, "is broken"),
    ("bad base64", b"".join([LINES[0], b"!!!\n", *LINES[2:]]), None, "is broken"),
    ("encrypted, line lost", ENCRYPTED.replace(ENCRYPTED.splitlines(True)[1], b""), PASSPHRASE, "is broken"),
    ("encrypted, bad base64", ENCRYPTED.replace(ENCRYPTED.splitlines()[1], b"!!!"), PASSPHRASE, "is broken"),
    (
        "encrypted, next to nothing",
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAIFAA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
        PASSPHRASE,
        "can't be decrypted",
    ),
    ("no passphrase", ENCRYPTED, None, "is encrypted and no passphrase was given: give its passphrase with passphrase"),
    ("old format, no passphrase", OLD_ENCRYPTED, None, "is encrypted and no passphrase was given"),
    ("wrong passphrase", ENCRYPTED, "another", "can't be decrypted: the passphrase in passphrase is wrong"),
    ("needless passphrase", PLAIN, PASSPHRASE, "is not encrypted, but a passphrase was given: leave passphrase out"),
]


@pytest.mark.parametrize(("pem", "passphrase", "part"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_key_is_one_line(pem: bytes, passphrase: str | None, part: str) -> None:
    with pytest.raises(CryptoError) as caught:
        keys.load_private_key(pem, "the CA's private key /x/ca.key", passphrase, "passphrase")
    line = str(caught.value)
    assert line.startswith(f"the CA's private key /x/ca.key {part}")
    assert "\n" not in line
    assert PASSPHRASE not in line and LINES[1].decode().strip()[:16] not in line


def test_a_members_key_must_not_be_encrypted() -> None:
    with pytest.raises(CryptoError, match="etcd needs one without passphrase"):
        keys.load_private_key(ENCRYPTED, "it")


def test_type_that_etcd_does_not_take() -> None:
    key = ed448.Ed448PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(CryptoError, match="ECDSA, RSA or Ed25519 is wanted"):
        keys.load_private_key(pem, "it")


def test_foreign_types_have_a_name_that_no_option_has() -> None:
    found = {
        keys.key_type_of(ed448.Ed448PrivateKey.generate().public_key()),
        keys.key_type_of(ec.generate_private_key(ec.SECP521R1()).public_key()),
        keys.key_type_of(dsa.generate_private_key(1024).public_key()),
        keys.key_type_of(None),
    }
    assert found == {"ed448", "ecdsa-secp521r1", "dsa-1024", "unknown"}
    assert not found & set(KEY_TYPES)


def test_unknown_type_is_refused() -> None:
    with pytest.raises(CryptoError, match="no key type dsa"):
        keys.make_key("dsa")


def test_a_type_that_openssl_does_not_know() -> None:
    """A curve whose number nobody has: that of secp256r1 with another end."""
    der = KEY.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    curve, unknown = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")
    assert curve in der
    body = base64.encodebytes(der.replace(curve, unknown))
    pem = b"-----BEGIN PRIVATE KEY-----\n" + body + b"-----END PRIVATE KEY-----\n"
    # The oldest releases of cryptography can't tell an unknown curve from a broken key.
    words = (
        "it has a type that this host's OpenSSL does not know" if cryptography_version() > (36, 0) else "it is broken"
    )
    with pytest.raises(CryptoError, match=words):
        keys.load_private_key(pem, "it")
