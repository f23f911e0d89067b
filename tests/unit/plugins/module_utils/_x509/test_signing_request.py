# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests of hosts: a proved key of the wanted type comes out, or one line that names whose request it is."""

from __future__ import annotations

import ipaddress
import pathlib
import subprocess
import typing as t

import hypothesis
import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.signing_request import MAXIMAL_BYTES, written_request
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys, signing_request
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_factory import request_pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
from hypothesis import strategies

WHAT = "member etcd-1: its request"
P256 = factory.key_of("ecdsa-p256")


def der_of(pem: str) -> bytes:
    return split_pem(pem.encode())[0].der


GOOD = request_pem()
# What comes behind the signed part: ecdsa-with-SHA256, and then the signature.
SIGNATURE_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")
# The public key of one request, in another one that the first key has signed.
OTHER_SPKI = keys.public_key_bytes(factory.key_of("ecdsa-p256", 7).public_key())
SWAPPED = written_request(der_of(GOOD).replace(keys.public_key_bytes(P256.public_key()), OTHER_SPKI))


@pytest.mark.parametrize("key_type", [one for one in KEY_TYPES if one != "rsa-4096"])
def test_a_proved_key_comes_out(key_type: str) -> None:
    key = factory.key_of(key_type)
    found = signing_request.certifiable_key(request_pem(key), key_type, WHAT)
    assert keys.public_key_bytes(found) == keys.public_key_bytes(key.public_key())
    made = signing_request.make_request(keys.private_key_pem(key), "etcd-1", "the key").decode()
    assert keys.public_key_bytes(signing_request.certifiable_key(made, key_type, WHAT)) == keys.public_key_bytes(found)


REFUSED: dict[str, tuple[str, str, str]] = {
    "another key's signature": (SWAPPED, "ecdsa-p256", "is not signed with the key that it is for"),
    "RSA 512": ("rsa-512", "rsa-2048", "for a key of the type rsa-512, rsa-2048 is wanted"),
    "RSA 1024": (
        request_pem(rsa.generate_private_key(65537, 1024)),
        "rsa-2048",
        "of the type rsa-1024, rsa-2048",
    ),
    "a longer RSA key": (request_pem(factory.key_of("rsa-3072")), "rsa-2048", "of the type rsa-3072, rsa-2048"),
    "exponent": (request_pem(rsa.generate_private_key(3, 2048)), "rsa-2048", "another exponent than 65537"),
    "curve": (
        request_pem(ec.generate_private_key(ec.SECP521R1())),
        "ecdsa-p256",
        "of the type ecdsa-secp521r1",
    ),
    "another curve": (request_pem(factory.key_of("ecdsa-p384")), "ecdsa-p256", "type ecdsa-p384, ecdsa-p256"),
    "unwanted curve": (
        request_pem(ec.generate_private_key(ec.SECP256K1())),
        "ecdsa-p256",
        "type ecdsa-secp256k1",
    ),
    "kind": (request_pem(factory.key_of("ed25519")), "ecdsa-p256", "of the type ed25519, ecdsa-p256 is wanted"),
    "Ed448": (request_pem(ed448.Ed448PrivateKey.generate()), "ed25519", "of the type ed448"),
    "DSA": (request_pem(dsa.generate_private_key(1024)), "ecdsa-p256", "of the type dsa-1024"),
    "SHA-1": ("sha1", "ecdsa-p256", "sha1"),
    "huge": ("x" * (MAXIMAL_BYTES + 1), "ecdsa-p256", f"has {MAXIMAL_BYTES + 1} bytes, more than any request has"),
    "empty": ("", "ecdsa-p256", "is not one block CERTIFICATE REQUEST (it holds nothing in PEM)"),
    "two": (GOOD + GOOD, "ecdsa-p256", "is not one block"),
    "a certificate": (factory.authority().pem.decode(), "ecdsa-p256", "it holds CERTIFICATE)"),
    "cut off": (GOOD[:200], "ecdsa-p256", "begins and does not end"),
    "rubbish": (written_request(b"\x30\x03\x02\x01\x00"), "ecdsa-p256", "can't be read (ValueError)"),
    "more behind it": (written_request(der_of(GOOD) + b"\x00"), "ecdsa-p256", "can't be read (ValueError)"),
}


def by_openssl(folder: pathlib.Path, kind: str) -> str:
    """What the library makes no more: by openssl, at its lowest level of security."""
    configuration = folder / "openssl.cnf"
    configuration.write_text("[req]\ndistinguished_name = name\n[name]\n")
    new = ["-newkey", "rsa:512"] if kind == "rsa-512" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    words = ["openssl", "req", "-new", "-config", str(configuration), "-subj", "/CN=a", "-nodes", *new]
    words += ["-keyout", str(folder / "key"), "-sha1" if kind == "sha1" else "-sha256"]
    return subprocess.run(words, check=True, capture_output=True, encoding="ascii").stdout


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line_that_names_the_host(case: str, tmp_path: pathlib.Path) -> None:
    pem, key_type, says = REFUSED[case]
    text = by_openssl(tmp_path, pem) if pem in ("rsa-512", "sha1") else pem
    with pytest.raises(CryptoError) as caught:
        signing_request.certifiable_key(text, key_type, WHAT)
    assert str(caught.value).startswith(WHAT) and says in str(caught.value)


def test_a_private_key_beside_it_is_refused_and_not_repeated() -> None:
    pem = keys.private_key_pem(P256).decode()
    with pytest.raises(CryptoError, match="holds a private key") as caught:
        signing_request.certifiable_key(GOOD + pem, "ecdsa-p256", WHAT)
    assert not any(line in str(caught.value) for line in pem.splitlines()[1:-1])


def test_a_key_for_pss_alone_is_none_that_etcd_reads(tmp_path: pathlib.Path) -> None:
    (tmp_path / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
    new = ["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-nodes", "-keyout", str(tmp_path / "key")]
    words = ["openssl", "req", "-new", "-config", str(tmp_path / "openssl.cnf"), "-subj", "/CN=a", *new]
    made = subprocess.run(words, check=True, capture_output=True, encoding="ascii").stdout
    with pytest.raises(CryptoError, match=f"^{WHAT}"):
        signing_request.certifiable_key(made, "rsa-2048", WHAT)


@hypothesis.given(at=strategies.integers(0, len(der_of(GOOD)) - 1), bit=strategies.integers(0, 7))
def test_a_request_with_any_bit_changed_has_no_other_key(at: int, bit: int) -> None:
    """It is refused in one line; but for how many bits its signature's last byte has, which says nothing."""
    der = bytearray(der_of(GOOD))
    der[at] ^= 1 << bit
    try:
        found = signing_request.certifiable_key(written_request(bytes(der)), "ecdsa-p256", WHAT)
    except CryptoError as exc:
        assert str(exc).startswith(WHAT)
    else:
        assert at == der_of(GOOD).index(SIGNATURE_ALGORITHM) + len(SIGNATURE_ALGORITHM) + 2
        assert keys.public_key_bytes(found) == keys.public_key_bytes(P256.public_key())


ASKED = factory.profile()
WHOLE = signing_request.make_request(keys.private_key_pem(P256), "etcd-1", "the key", ASKED).decode()


def whole(**changes: object) -> str:
    """A request by hand: for ASKED, but for what is changed."""
    asked: dict[str, object] = {
        "subject": [(NameOID.COMMON_NAME, ASKED.common_name)],
        "constraints": (x509.BasicConstraints(ca=False, path_length=None), True),
        "usage": (certificates.key_usage("digitalSignature"), True),
        "purposes": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), False),
        "names": (x509.SubjectAlternativeName(list(reversed(NAMES))), False),
        "password": None,
        "more": None,
        **changes,
    }
    subject: t.Any = asked.pop("subject")
    password: t.Any = asked.pop("password")
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    )
    for extension in asked.values():
        if extension is not None:
            value, critical = t.cast("tuple[t.Any, bool]", extension)
            builder = builder.add_extension(value, critical=critical)
    if password:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, password)
    return builder.sign(P256, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


NAMES: list[x509.GeneralName] = [
    *(x509.DNSName(name) for name in ASKED.dns_names),
    *(x509.IPAddress(ipaddress.ip_address(address)) for address in ASKED.ip_addresses),
]
OTHER_REQUESTS = {
    "nothing": request_pem(name=ASKED.common_name),
    "another name": whole(subject=[(NameOID.COMMON_NAME, "etcd-2.example.com")]),
    "two names": whole(subject=[(NameOID.COMMON_NAME, ASKED.common_name), (NameOID.COMMON_NAME, "etcd-2")]),
    "an organization": whole(subject=[(NameOID.ORGANIZATION_NAME, "a"), (NameOID.COMMON_NAME, ASKED.common_name)]),
    "a CA": whole(constraints=(x509.BasicConstraints(ca=True, path_length=None), True)),
    "one name more": whole(names=(x509.SubjectAlternativeName([*NAMES, x509.DNSName("etcd-2")]), False)),
    "one name less": whole(names=(x509.SubjectAlternativeName(NAMES[1:]), False)),
    "critical names": whole(names=(x509.SubjectAlternativeName(NAMES), True)),
    "no usage": whole(usage=None),
    "a signer's usage": whole(usage=(certificates.key_usage("digitalSignature", "keyCertSign"), True)),
    "a server alone": whole(purposes=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)),
    "another extension": whole(more=(x509.OCSPNoCheck(), False)),
    "a password": whole(password=b"secret"),
}


def test_a_request_that_asks_for_the_profile_and_no_more() -> None:
    for pem in (WHOLE, whole()):
        signing_request.check_asks_for(pem, ASKED, WHAT)
    assert signing_request.is_same_request(WHOLE.encode(), WHOLE, WHAT)


@pytest.mark.parametrize("case", OTHER_REQUESTS)
def test_a_request_that_asks_for_another_certificate(case: str) -> None:
    with pytest.raises(CryptoError, match=f"^{WHAT} asks for .* than the inventory says: have its host make it anew"):
        signing_request.check_asks_for(OTHER_REQUESTS[case], ASKED, WHAT)
    assert not signing_request.is_same_request(WHOLE.encode(), OTHER_REQUESTS[case], WHAT) or case == "a password"


@pytest.mark.parametrize("content", [b"", b"rubbish", SWAPPED.encode(), factory.authority().pem])
def test_what_is_no_request_is_none_that_is_the_same(content: bytes) -> None:
    assert not signing_request.is_same_request(content, WHOLE, WHAT)


def test_a_request_that_says_a_thing_twice_is_told_in_one_line() -> None:
    """What the library raises then is none of Python's own errors."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd-1")])
    said = x509.Extension(x509.BasicConstraints.oid, True, x509.BasicConstraints(False, None))
    twice = x509.CertificateSigningRequestBuilder(name, [said, said]).sign(P256, hashes.SHA256())
    pem = twice.public_bytes(serialization.Encoding.PEM)
    with pytest.raises(CryptoError, match="its request can't be read"):
        signing_request.check_asks_for(pem.decode(), ASKED, WHAT)
    assert not signing_request.is_same_request(pem, pem.decode(), WHAT)


def test_the_same_request_of_another_key_is_another() -> None:
    key = keys.private_key_pem(factory.key_of("ecdsa-p256", 7))
    other = signing_request.make_request(key, "etcd-1", "the key", ASKED)
    assert not signing_request.is_same_request(other, WHOLE, WHAT)
    # Of a file that is there somebody may have changed a byte.
    broken = bytearray(der_of(WHOLE))
    broken[-1] ^= 1
    assert not signing_request.is_same_request(written_request(bytes(broken)).encode(), WHOLE, WHAT)
