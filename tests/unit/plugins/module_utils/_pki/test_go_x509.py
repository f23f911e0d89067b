# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Go, and so etcd, does not read though others do.

Each was put to x509.ParseCertificate of Go 1.26; nesting has a bound here alone.
"""

from __future__ import annotations

import functools

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.go_x509 import why_go_refuses
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_by_hand import (
    ED25519,
    der,
    extension,
    made_by_hand,
    name_of,
    oid,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import der_of, issue, new_key
from cryptography.hazmat.primitives.asymmetric import ec

RSA, EC = oid("1.2.840.113549.1.1.1"), oid("1.2.840.10045.2.1")
P256, SECP256K1 = oid("1.2.840.10045.3.1.7"), oid("1.3.132.0.10")


def key(algorithm: bytes, bits: bytes) -> bytes:
    return der(0x30, der(0x30, algorithm), der(3, b"\0" + bits))


def rsa(parameters: bytes, modulus: bytes = b"\x00\xc5" + bytes(126) + b"\x01", exponent: bytes = b"\x03") -> bytes:
    return key(RSA + parameters, der(0x30, der(2, modulus), der(2, exponent)))


GENERATOR = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
POINT = b"\x04" + GENERATOR.x.to_bytes(32, "big") + GENERATOR.y.to_bytes(32, "big")


def constraints(tag: int, base: bytes) -> bytes:
    return der(0x30, der(0xA0, der(0x30, der(tag, base))))


READ = {
    "name constraints": made_by_hand(extension("2.5.29.30", constraints(0x82, b"example.com"))),
    "a network": made_by_hand(extension("2.5.29.30", constraints(0x87, b"\x0a\0\0\0\xff\xff\0\0"))),
    "key identifiers": made_by_hand(
        extension("2.5.29.14", der(4, bytes(20))), extension("2.5.29.35", der(0x30, der(0x80, bytes(20))))
    ),
    "policies and places": made_by_hand(
        extension("2.5.29.32", der(0x30, der(0x30, oid("1.3.6.1.4.1.1.1")))),
        extension("2.5.29.31", der(0x30, der(0x30, der(0xA0, der(0xA0, der(0x86, b"http://a/")))))),
        extension("1.3.6.1.5.5.7.1.1", der(0x30, der(0x30, oid("1.3.6.1.5.5.7.48.1"), der(0x86, b"http://a/")))),
    ),
    "as it is": made_by_hand(),
    "UTF8String": made_by_hand(subject=name_of(text="\x0c\x02\xc3\xbc".encode("latin-1"))),
    "PrintableString": made_by_hand(subject=name_of(text=b"\x13\x08etcd-1 *")),
    "BMPString": made_by_hand(subject=name_of(text=b"\x1e\x02\x00a")),
    "T61String": made_by_hand(subject=name_of(text=b"\x14\x01\xfc")),
    "NumericString": made_by_hand(subject=name_of(text=b"\x12\x031 2")),
    "IA5String": made_by_hand(subject=name_of(text=b"\x16\x03a@b")),
    "RSA": made_by_hand(key=rsa(b"\x05\x00")),
    "P-256": made_by_hand(key=key(EC + P256, POINT)),
    "an unknown kind of key": made_by_hand(key=key(oid("1.3.101.113"), bytes(57))),
}
NOT_READ = {
    "negative serial number": (made_by_hand(serial=der(2, b"\xff")), "serial number is negative"),
    "at sign": (made_by_hand(subject=name_of(text=b"\x13\x03a@b")), "its subject has a text"),
    "underscore": (made_by_hand(issuer=name_of(text=b"\x13\x03a_b")), "its issuer has a text"),
    "in another attribute": (made_by_hand(issuer=name_of(b"\x55\x04\x0a", b"\x13\x03a_b")), "its issuer has a text"),
    "broken UTF8String": (made_by_hand(subject=name_of(b"\x55\x04\x0a", b"\x0c\x01\xff")), "its subject has a text"),
    "letters in a NumericString": (made_by_hand(subject=name_of(text=b"\x12\x01a")), "its subject has a text"),
    "odd BMPString": (made_by_hand(subject=name_of(b"\x55\x04\x0a", b"\x1e\x01a")), "its subject has a text"),
    "UniversalString": (made_by_hand(subject=name_of(text=b"\x1c\x04\x00\x00\x00a")), "its subject has a text"),
    "VisibleString": (made_by_hand(subject=name_of(text=b"\x1a\x01a")), "its subject has a text"),
    "RSA without parameters": (made_by_hand(key=rsa(b"")), "no NULL"),
    "RSA modulus below zero": (made_by_hand(key=rsa(b"\x05\x00", b"\x80" + bytes(127))), "out of range"),
    "RSA exponent of zero": (made_by_hand(key=rsa(b"\x05\x00", exponent=b"\x00")), "out of range"),
    "secp256k1": (made_by_hand(key=key(EC + SECP256K1, POINT)), "on a curve that Go does not know"),
    "compressed point": (made_by_hand(key=key(EC + P256, b"\x02" + POINT[1:33])), "compressed or broken"),
    "short point": (made_by_hand(key=key(EC + P256, POINT[:-1])), "compressed or broken"),
    "Ed25519 with parameters": (made_by_hand(key=key(ED25519[2:] + b"\x05\x00", bytes(32))), "Ed25519 key is broken"),
    "short Ed25519 key": (made_by_hand(key=key(ED25519[2:], bytes(31))), "Ed25519 key is broken"),
    "e-mail": (made_by_hand(extension("2.5.29.17", der(0x30, der(0x81, b"\xc3\xbc@b")))), "is not ASCII"),
    "URI": (made_by_hand(extension("2.5.29.17", der(0x30, der(0x86, b"https://\xc3\xbc/")))), "is not ASCII"),
    "broken subject key identifier": (
        made_by_hand(extension("2.5.29.14", der(2, b"\1"))),
        "its subject key identifier",
    ),
    "broken authority key identifier": (made_by_hand(extension("2.5.29.35", b"\x30\x03\x80\x05a")), "it was cut off"),
    "policies without a policy": (
        made_by_hand(extension("2.5.29.32", der(0x30, der(0x30, der(2, b"\1"))))),
        "its certificate policies expected",
    ),
    "a network that is none": (
        made_by_hand(extension("2.5.29.30", constraints(0x87, b"\x0a\0\0\0\xff\0\xff\0"))),
        "its name constraints have a network that is none",
    ),
    "half a network": (made_by_hand(extension("2.5.29.30", constraints(0x87, bytes(7)))), "a network that is none"),
    "a constraint that is not ASCII": (
        made_by_hand(extension("2.5.29.30", constraints(0x82, b"\xc3\xbc.example"))),
        "have a name that is not ASCII",
    ),
    "an extension without end": (
        made_by_hand(extension("2.5.29.31", functools.reduce(lambda inner, _: der(0x30, inner), range(20), b""))),
        "goes too deep",
    ),
    "critical subject key identifier": (
        made_by_hand(extension("2.5.29.14", der(4, bytes(20)), b"\x01\x01\xff")),
        "its subject key identifier is marked critical",
    ),
    "critical authority key identifier": (
        made_by_hand(extension("2.5.29.35", der(0x30, der(0x80, bytes(20))), b"\x01\x01\xff")),
        "its authority key identifier is marked critical",
    ),
}


@pytest.mark.parametrize("certificate", READ.values(), ids=READ.keys())
def test_what_go_reads(certificate: bytes) -> None:
    assert why_go_refuses(certificate) is None


@pytest.mark.parametrize(("certificate", "words"), NOT_READ.values(), ids=NOT_READ.keys())
def test_what_go_does_not_read(certificate: bytes, words: str) -> None:
    why = why_go_refuses(certificate)
    assert why is not None and words in why


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-1024"])
def test_what_we_issue_is_read(kind: str) -> None:
    authority = issue("etcd_peer@CA", key=new_key(kind), is_ca=True)
    for one in (authority, issue("etcd-1", authority, key=authority.key)):
        assert why_go_refuses(der_of(one.certificate)) is None
