# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a certificate by ``cryptography``, and by a node's reader the same ones; from garbage one line."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import ssl
import typing as t
from datetime import datetime, timezone

import cryptography
import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificate as read_on_node
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import issuer_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    KEY_USAGES,
    certificate_facts,
    check_read_by_etcd,
    load_certificate,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import authority_maker as maker
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_by_hand import (
    der,
    extension,
    made_by_hand,
    name_of,
    oid,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import der_of, pem_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, padding, rsa, x448, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# cryptography warns of keys, names and serial numbers that nobody should have: they are made on purpose here.
pytestmark = pytest.mark.filterwarnings("ignore")

UTC = timezone.utc
NOW, DAY = factory.NOW, factory.DAY
PURPOSES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
# But the name of a kind of key, of which the library has many.
SHARED = [one.name for one in dataclasses.fields(Certificate) if one.name != "key_algorithm"]


def assert_same(certificate: x509.Certificate) -> rules.CertificateFacts:
    """Each fact that a node reads too is the same in both readers."""
    found = certificate_facts(pem_of(certificate).encode(), "it")
    assert shared(found) == shared(read_on_node(der_of(certificate)))
    return found


def shared(facts: Certificate) -> dict[str, t.Any]:
    return {name: getattr(facts, name) for name in SHARED}


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])


CN, ORGANIZATION, UNIT = NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME
ISSUER, SUBJECT = name((CN, factory.CA_NAME)), name((CN, "etcd-1"))
SHA256 = hashes.SHA256()
CA_KEY = factory.key_of("ecdsa-p256", 1000)
IDENTIFIER = x509.SubjectKeyIdentifier(bytes(range(20)))


def usage(*names: str) -> x509.KeyUsage:
    flags = (*KEY_USAGES, "encipher_only", "decipher_only")
    return x509.KeyUsage(**{flag: flag in names for flag in flags})


def certificate_of(
    *extensions: tuple[x509.ExtensionType, bool],
    subject: x509.Name = SUBJECT,
    issuer: x509.Name = ISSUER,
    public_key: t.Any = None,
    serial_number: int = 4711,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + DAY,
    signer: t.Any = CA_KEY,
    algorithm: t.Any = SHA256,
    **signing: t.Any,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key or factory.key_of("ecdsa-p256").public_key())
        .serial_number(serial_number)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(signer, algorithm, **signing)


def leaf(**changes: t.Any) -> x509.Certificate:
    """One with all that is read, and each flag the other way round than in `OTHER_FLAGS`."""
    return certificate_of(
        (x509.BasicConstraints(False, None), True),
        (usage("digital_signature"), True),
        (x509.ExtendedKeyUsage(list(PURPOSES)), False),
        (names("etcd-1.example.com", "10.0.0.1", "fd00::1"), False),
        (IDENTIFIER, False),
        (x509.AuthorityKeyIdentifier(bytes(20), None, None), False),
        **changes,
    )


def names(*values: str | x509.GeneralName) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for value in values:
        if isinstance(value, x509.GeneralName):
            found.append(value)
        elif ":" in value or value[0].isdigit():
            found.append(x509.IPAddress(ipaddress.ip_address(value)))
        else:
            found.append(x509.DNSName(value))
    return x509.SubjectAlternativeName(found)


OTHER_FLAGS = (
    (x509.BasicConstraints(True, 0), False),
    (usage(*KEY_USAGES), False),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING, x509.ObjectIdentifier("1.2.3.4")]), True),
    (names("*.example.com"), True),
)
ACME = x509.Name(
    [
        x509.RelativeDistinguishedName([x509.NameAttribute(ORGANIZATION, "Acme")]),
        x509.RelativeDistinguishedName([x509.NameAttribute(CN, "a"), x509.NameAttribute(UNIT, "b")]),
    ]
)


def authority_key(identifier: bytes | None, by_name: bool = False) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(
        identifier, [x509.DirectoryName(ISSUER)] if by_name else None, 4711 if by_name else None
    )


CERTIFICATES: dict[str, t.Callable[[], x509.Certificate]] = {
    "leaf": leaf,
    "no extensions": certificate_of,
    "all flags the other way": lambda: certificate_of(*OTHER_FLAGS),
    # Names
    "no subject": lambda: leaf(subject=name()),
    "no issuer": lambda: leaf(issuer=name()),
    "two common names": lambda: leaf(subject=name((CN, "first"), (ORGANIZATION, "between"), (CN, "last"))),
    "attributes that are escaped": lambda: leaf(
        subject=name(
            (ORGANIZATION, 'a,b+c"d\\e<f>g;h'), (UNIT, " edge "), (UNIT, "#hash"), (UNIT, "nul\0"), (CN, "ä, ö")
        )
    ),
    "attributes of every known kind": lambda: leaf(
        subject=name(
            (NameOID.COUNTRY_NAME, "CH"),
            (NameOID.STATE_OR_PROVINCE_NAME, "ZH"),
            (NameOID.LOCALITY_NAME, "Zürich"),
            (NameOID.STREET_ADDRESS, "Weg 1"),
            (NameOID.DOMAIN_COMPONENT, "example"),
            (NameOID.USER_ID, "me"),
            (NameOID.EMAIL_ADDRESS, "a@example.com"),
            (NameOID.SERIAL_NUMBER, "1"),
            (CN, "etcd-1"),
        )
    ),
    "one part with two attributes": lambda: leaf(subject=ACME),
    "text in two bytes a character": lambda: leaf(
        subject=x509.Name([x509.NameAttribute(CN, "etcd-ä", x509.name._ASN1Type.BMPString)])
    ),
    "alternative names of every kind": lambda: certificate_of(
        (
            names(
                "a.example.com",
                "::ffff:10.0.0.1",
                "::",
                "255.255.255.255",
                x509.RFC822Name("a@example.com"),
                x509.UniformResourceIdentifier("https://example.com/a?b"),
                x509.DirectoryName(name((ORGANIZATION, "Acme"), (CN, "a"))),
                x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
                x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x02ab"),
                "z",
            ),
            False,
        )
    ),
    "directory name without any part": lambda: certificate_of((names(x509.DirectoryName(name())), True)),
    # Usages
    "usages that need another one": lambda: certificate_of(
        (usage("key_agreement", "encipher_only", "decipher_only"), True)
    ),
    "any purpose": lambda: certificate_of((x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.5.29.37.0")]), False)),
    "CA without a limit": lambda: certificate_of((x509.BasicConstraints(True, None), True)),
    # Identifiers
    "authority by name": lambda: certificate_of((authority_key(None, True), False)),
    "authority by both": lambda: certificate_of((authority_key(b"\1\2", True), False)),
    "authority without anything": lambda: certificate_of((authority_key(None), False)),
    "short identifier": lambda: certificate_of((x509.SubjectKeyIdentifier(b"\0"), False)),
    "an extension nobody knows": lambda: certificate_of(
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"abc"), True)
    ),
    # Numbers and times
    "least serial number": lambda: leaf(serial_number=1),
    "serial number with a leading zero byte": lambda: leaf(serial_number=0x80),
    "greatest serial number": lambda: leaf(serial_number=(1 << 159) - 1),
    "first moment": lambda: leaf(not_before=datetime(1950, 1, 1, tzinfo=UTC)),
    "last moment of the short form": lambda: leaf(not_after=datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "first moment of the long form": lambda: leaf(not_after=datetime(2050, 1, 1, tzinfo=UTC)),
    "last moment": lambda: leaf(not_after=rules.LAST_NOT_AFTER),
    "leap day": lambda: leaf(not_after=datetime(2096, 2, 29, 1, 2, 3, tzinfo=UTC)),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_says_what_cryptography_says(case: str) -> None:
    assert_same(CERTIFICATES[case]())


def test_what_a_node_does_not_read() -> None:
    found = assert_same(leaf())
    assert found.version == 3 and found.common_names == ("etcd-1",) and found.other_subject_attributes == ()
    assert found.basic_constraints_critical and found.key_usage_critical and not found.names_critical
    assert found.subject_key_identifier == bytes(range(20)).hex() and found.authority_key_identifier == "00" * 20
    other = assert_same(certificate_of(*OTHER_FLAGS))
    assert other.is_ca and not other.basic_constraints_critical and not other.key_usage_critical
    assert other.names_critical and other.subject_key_identifier is None and other.authority_key_identifier is None
    assert other.key_usage == tuple(KEY_USAGES.values())
    assert other.extended_key_usage == ("codeSigning", "1.2.3.4")
    bare = assert_same(certificate_of())
    assert not (bare.is_ca or bare.basic_constraints_critical or bare.key_usage_critical)
    assert (bare.key_usage, bare.extended_key_usage, bare.constraints) == (None, None, None)


@pytest.mark.parametrize(
    ("case", "fact", "wanted"),
    [
        ("two common names", "common_names", ("first", "last")),
        ("two common names", "other_subject_attributes", ("O=between",)),
        ("no subject", "common_names", ()),
        (
            "attributes that are escaped",
            "other_subject_attributes",
            ('O=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h', "OU=\\ edge\\ ", "OU=\\#hash", "OU=nul\\00"),
        ),
        ("one part with two attributes", "other_subject_attributes", ("O=Acme", "OU=b")),
        (
            "alternative names of every kind",
            "other_names",
            (
                "RFC822Name a@example.com",
                "UniformResourceIdentifier https://example.com/a?b",
                "DirectoryName CN=a,O=Acme",
                "RegisteredID 1.2.3.4",
                "OtherName 1.3.6.1.4.1.311.20.2.3 #0c026162",
            ),
        ),
        ("authority by name", "authority_key_identifier", None),
        ("authority by both", "authority_key_identifier", "0102"),
        ("short identifier", "subject_key_identifier", "00"),
    ],
)
def test_what_the_rules_ask_for(case: str, fact: str, wanted: t.Any) -> None:
    assert getattr(assert_same(CERTIFICATES[case]()), fact) == wanted


# 4096 bits take seconds to make, and a key that only stands in a certificate needs no factors.
KEYS: dict[str, t.Callable[[], t.Any]] = {
    **{
        kind: functools.partial(lambda kind: factory.key_of(kind).public_key(), kind)
        for kind in rules.KEY_TYPES
        if kind != "rsa-4096"
    },
    "rsa-4096": lambda: rsa.RSAPublicNumbers(65537, (1 << 4095) + 1).public_key(),
    "rsa-2047": lambda: rsa.RSAPublicNumbers(65537, (1 << 2046) + 1).public_key(),
    "ecdsa-secp521r1": lambda: ec.generate_private_key(ec.SECP521R1()).public_key(),
    "ecdsa-secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()).public_key(),
    "ecdsa-secp224r1": lambda: ec.generate_private_key(ec.SECP224R1()).public_key(),
    "ecdsa-secp192r1": lambda: ec.generate_private_key(ec.SECP192R1()).public_key(),
    "ecdsa-brainpoolP256r1": lambda: ec.generate_private_key(ec.BrainpoolP256R1()).public_key(),
    "ecdsa-brainpoolP384r1": lambda: ec.generate_private_key(ec.BrainpoolP384R1()).public_key(),
    "ecdsa-brainpoolP512r1": lambda: ec.generate_private_key(ec.BrainpoolP512R1()).public_key(),
    "ed448": lambda: ed448.Ed448PrivateKey.generate().public_key(),
    "dsa-1024": lambda: dsa.generate_private_key(1024).public_key(),
    "unknown": lambda: x25519.X25519PrivateKey.generate().public_key(),
    "unknown too": lambda: x448.X448PrivateKey.generate().public_key(),
}


@pytest.mark.parametrize("kind", KEYS)
def test_key_type(kind: str) -> None:
    made = leaf(public_key=KEYS[kind]())
    assert assert_same(made).key_algorithm == kind.split()[0]
    # A node knows those that etcd knows.
    if kind in rules.KEY_TYPES or kind in ("rsa-2047", "ecdsa-secp521r1", "ecdsa-secp224r1", "ed448"):
        assert read_on_node(der_of(made)).key_algorithm == kind


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"])
@pytest.mark.parametrize("algorithm", ["sha224", "sha256", "sha384", "sha512"])
def test_signature_hash(kind: str, algorithm: str) -> None:
    made = None if kind == "ed25519" else getattr(hashes, algorithm.upper())()
    found = assert_same(leaf(signer=factory.key_of(kind, 1000), algorithm=made))
    assert found.signature_hash == ("none" if kind == "ed25519" else algorithm)


# The algorithms by their numbers, because no release of cryptography signs with all of them.
PKCS1, ECDSA, NIST = "1.2.840.113549.1.1.", "1.2.840.10045.4.", "2.16.840.1.101.3.4.3."
SIGNATURES = {
    "md5": (PKCS1 + "4",),
    "sha1": (PKCS1 + "5", "1.3.14.3.2.29", ECDSA + "1", "1.2.840.10040.4.3"),
    "sha224": (PKCS1 + "14", ECDSA + "3.1", NIST + "1"),
    "sha256": (PKCS1 + "11", ECDSA + "3.2", NIST + "2"),
    "sha384": (PKCS1 + "12", ECDSA + "3.3", NIST + "3"),
    "sha512": (PKCS1 + "13", ECDSA + "3.4", NIST + "4"),
    "sha3-224": (NIST + "13", NIST + "9"),
    "sha3-256": (NIST + "14", NIST + "10"),
    "sha3-384": (NIST + "15", NIST + "11"),
    "sha3-512": (NIST + "16", NIST + "12"),
    "none": ("1.3.101.112", "1.3.101.113"),
}


@pytest.mark.parametrize(("wanted", "kind"), [(text, kind) for text, kinds in SIGNATURES.items() for kind in kinds])
def test_signature_hash_by_number(wanted: str, kind: str) -> None:
    algorithm = der(0x30, oid(kind), der(5) if kind.startswith(PKCS1) else b"")
    made = made_by_hand(*extensions_by_hand(), algorithm=algorithm, signature_algorithm=algorithm)
    # What a release does not know is told as that, and is a reason to issue anew.
    assert facts_of(made).signature_hash in (wanted, "unknown")


def extensions_by_hand() -> tuple[bytes, ...]:
    """At least one, as the syntax has it."""
    return (extension("2.5.29.14", der(4, b"a")),)


def facts_of(made: bytes) -> rules.CertificateFacts:
    return certificate_facts(ssl.DER_cert_to_PEM_cert(made).encode(), "it")


@pytest.mark.skipif(int(cryptography.__version__.split(".")[0]) < 41, reason="cryptography 41 brought it")
@pytest.mark.parametrize("algorithm", ["sha224", "sha256", "sha384", "sha512"])
def test_signature_hash_of_pss(algorithm: str) -> None:
    made = getattr(hashes, algorithm.upper())()
    pss = padding.PSS(mgf=padding.MGF1(made), salt_length=32)
    certificate = leaf(signer=factory.key_of("rsa-2048", 1000), algorithm=made, rsa_padding=pss)
    assert assert_same(certificate).signature_hash == made.name


PSS = PKCS1 + "10"
NOBODY = der(0x30, oid("1.2.3"))


def pss_of(*parameters: bytes) -> bytes:
    return der(0x30, oid(PSS), *parameters)


@pytest.mark.parametrize(
    ("algorithm", "found"),
    [
        (pss_of(der(0x30)), "sha1"),
        (pss_of(der(0x30, der(0xA2, der(2, b"\x20")))), "sha1"),
        *(
            (pss_of(der(0x30, der(0xA0, der(0x30, oid(kind))))), text)
            for kind, text in [
                ("1.2.840.113549.2.5", "md5"),
                ("1.3.14.3.2.26", "sha1"),
                ("2.16.840.1.101.3.4.2.4", "sha224"),
                ("2.16.840.1.101.3.4.2.1", "sha256"),
                ("2.16.840.1.101.3.4.2.10", "sha3-512"),
            ]
        ),
    ],
)
def test_signature_hash_of_pss_by_hand(algorithm: bytes, found: str) -> None:
    made = made_by_hand(*extensions_by_hand(), algorithm=algorithm, signature_algorithm=algorithm)
    assert facts_of(made).signature_hash in (found, "unknown")


def test_a_signature_that_nobody_knows_is_told_as_that() -> None:
    assert facts_of(made_by_hand(algorithm=NOBODY, signature_algorithm=NOBODY)).signature_hash == "unknown"


@pytest.mark.parametrize(
    ("content", "number"), [(b"\0", 0), (b"\xff", -1), (b"\x80", -128), (b"\x7f" * 40, int("7f" * 40, 16))]
)
def test_serial_numbers_that_rfc_5280_forbids(content: bytes, number: int) -> None:
    made = made_by_hand(*extensions_by_hand(), serial=der(2, content))
    assert int(read_on_node(made).serial_number, 16) == number
    # Releases of cryptography differ in what they still load.
    found = facts_or_line(made)
    assert found is None or int(found.serial_number, 16) == number


def with_names(*found: bytes) -> bytes:
    return made_by_hand(extension("2.5.29.17", der(0x30, *found)))


PARTS = der(0x30, der(0x31, *(der(0x30, oid(f"2.5.4.{kind}"), der(0x0C, b"a")) for kind in (3, 10))))


@pytest.mark.parametrize(
    ("made", "fact", "found"),
    [
        (made_by_hand(version=b"", extensions=b""), "version", 1),
        (with_names(der(0xA4, PARTS)), "other_names", ("DirectoryName CN=a+O=a",)),
        (made_by_hand(subject=name_of(b"\x55\x04\x0a", der(0x0C))), "other_subject_attributes", ("O=",)),
        (made_by_hand(extension("2.5.29.15", der(3, b"\0"))), "key_usage", ()),
    ],
)
def test_what_no_library_makes(made: bytes, fact: str, found: t.Any) -> None:
    assert getattr(facts_of(made), fact) == found


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (made_by_hand(version=der(0xA0, der(2, b"\1"))), "an unknown version"),
        (made_by_hand(*extensions_by_hand(), version=b""), "extensions in version 1"),
        (made_by_hand(*extensions_by_hand() * 2), "an extension that comes twice"),
        (with_names(der(0x87, bytes(8))), "an IP address of the wrong length"),
        (with_names(der(0x87, bytes(3))), ""),
        # What only some readers take.
        (made_by_hand(subject=name_of(b"\x55\x04\x0a", der(0x14, b"\xe4"))), ""),
        (made_by_hand(extension("2.5.29.37", der(0x30))), ""),
        (made_by_hand(extension("2.5.29.19", der(0x30, der(1, b"\0")))), ""),
        (made_by_hand(extension("2.5.29.19", der(0x30), der(1, b"\0"))), ""),
        (with_names(der(0xA3, b"ab"), der(0xA5)), ""),
        (with_names(der(0x89, b"a")), ""),
        (with_names(der(0xA0, oid("1.2"))), ""),
        (with_names(der(0xA0, oid("1.2"), der(0xA0), der(5))), ""),
        (with_names(der(0x81, b"\xff")), ""),
        (made_by_hand(subject=name_of(b"\x55\x04\x0a", der(0x0C, b"\xff"))), ""),
        (made_by_hand(extension("2.5.29.14", der(4) + der(4))), ""),
        (made_by_hand(extension("2.5.29.35", der(0x30, der(4)))), ""),
        (made_by_hand(extension("2.5.29.35", der(0x30, der(0xA1)))), ""),
    ],
)
def test_a_part_that_is_wrong_is_one_line(made: bytes, problem: str) -> None:
    with pytest.raises(CryptoError) as caught:
        facts_of(made)
    line = str(caught.value)
    assert line.startswith("it is no readable X.509 certificate (") and line.endswith("): put the original there again")
    assert problem in line and "\n" not in line


def test_a_subject_that_is_no_text_is_shown_or_refused() -> None:
    found = facts_or_line(made_by_hand(*extensions_by_hand(), subject=name_of(b"\x55\x04\x2d", der(3, b"\0a"))))
    assert found is None or found.other_subject_attributes == ("2.5.4.45=#0061",)


LEAF = der_of(leaf())
ODD = der_of(CERTIFICATES["alternative names of every kind"]())
AUTHORITY = der_of(
    certificate_of(
        (x509.BasicConstraints(True, 0), True),
        (usage("key_cert_sign", "key_agreement", "encipher_only"), True),
        (x509.NameConstraints([x509.DNSName("example.com")], None), True),
    )
)
PEM = pem_of(leaf()).encode()


@pytest.mark.parametrize(
    ("pem", "part"),
    [
        (b"", "is empty: put the certificate back"),
        (b" \n", "is empty"),
        (b"nonsense", "is no PEM certificate (no complete 'BEGIN CERTIFICATE' block)"),
        (PEM[:300], "is no PEM certificate"),
        (PEM.replace(b"M", b"!", 1), "is broken PEM: what stands in CERTIFICATE is not base64"),
        (PEM * 2, "holds 2 certificates, one is wanted"),
        (ssl.DER_cert_to_PEM_cert(LEAF + b"a").encode(), "is no readable X.509 certificate (more data than"),
    ],
)
# The CA's own text is read by another reader, which takes more: test_authority.py.
@pytest.mark.parametrize("read", [certificate_facts, load_certificate])
def test_bad_pem_is_the_same_line_for_all(read: t.Callable[[bytes, str], t.Any], pem: bytes, part: str) -> None:
    with pytest.raises(CryptoError) as caught:
        read(pem, "the file")
    # What cryptography itself finds wrong it says in its own words.
    wanted = part.partition("(")[0] if read is load_certificate and "X.509" in part else part
    assert str(caught.value).startswith(f"the file {wanted}") and "\n" not in str(caught.value)


def test_text_around_and_other_line_ends_are_no_matter() -> None:
    wanted = certificate_facts(PEM, "it")
    key = factory.authority().key_pem
    for pem in (b"# a\n" + PEM + b"b", PEM.replace(b"\n", b"\r\n"), key + PEM, PEM.replace(b"\n", b" \n ")):
        assert certificate_facts(pem, "it") == wanted


def facts_or_line(made: bytes) -> rules.CertificateFacts | None:
    """Whatever else is raised fails the test."""
    try:
        return facts_of(made)
    except CryptoError as exc:
        assert "\n" not in str(exc) and str(exc).startswith("it ")
        return None


def test_every_truncation_is_refused() -> None:
    assert facts_of(LEAF)
    assert [length for length in range(1, len(LEAF)) if facts_or_line(LEAF[:length]) is not None] == []


def test_every_damaged_byte_gives_a_line_or_what_cryptography_reads() -> None:
    alike = 0
    for position in range(len(LEAF)):
        for damage in (*(1 << bit for bit in range(8)), 0xFF):
            made = bytearray(LEAF)
            made[position] ^= damage
            found = facts_or_line(bytes(made))
            if found is not None:
                alike += agrees(bytes(made), found)
    # Else nothing was compared.
    assert alike > len(LEAF)


def agrees(made: bytes, found: rules.CertificateFacts) -> bool:
    """False where a node's reader refuses, in one line, what is read here; what it reads is the same."""
    try:
        on_node = read_on_node(made, "it")
    except CryptoError as exc:
        assert "\n" not in str(exc)
        return False
    assert shared(found) == shared(on_node)
    return True


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damage_of_any_kind_ends_in_a_line_or_in_the_same_facts(data: st.DataObject) -> None:
    made = bytearray(data.draw(st.sampled_from((LEAF, ODD, AUTHORITY))))
    for _number in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(made) - 1))
        made[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    found = facts_or_line(bytes(made) or b"\0")
    if found is not None:
        agrees(bytes(made), found)


@pytest.mark.parametrize("kind", ["ecdsa-p256", "rsa-2048", "ed25519"])
@pytest.mark.parametrize("common_names", [(), ("etcd peer CA",), ("a", "b")])
@pytest.mark.parametrize("stated", [True, False])
def test_issuer(kind: str, common_names: tuple[str, ...], stated: bool) -> None:
    """Who states no key identifier gets the one that all others derive from the key."""
    key = factory.key_of(kind, 1000).public_key()
    derived = x509.SubjectKeyIdentifier.from_public_key(key)
    subject = name(*((CN, text) for text in common_names), (ORGANIZATION, "Acme"))
    extensions = ((IDENTIFIER, False),) if stated else ((x509.BasicConstraints(True, 0), True),)
    made = certificate_of(*extensions, subject=subject, public_key=key)
    found = issuer_facts(pem_of(made).encode(), "it")
    print_ = made.fingerprint(SHA256).hex()[:16]
    assert found == rules.IssuerFacts(
        label=f"'{', '.join(common_names) or 'without common name'}' (SHA-256 {print_}...)",
        subject=subject.public_bytes(),
        key_identifier=(IDENTIFIER if stated else derived).digest.hex(),
        not_before=NOW - DAY,
        not_after=NOW + DAY,
    )


def test_usages_that_mean_something_beside_another_one_alone() -> None:
    """encipherOnly without keyAgreement: the library takes no such certificate, and a node does not tell of it."""
    made = made_by_hand(extension("2.5.29.15", der(3, b"\0\x81")))
    assert facts_or_line(made) is None
    assert read_on_node(made).key_usage == ("digitalSignature",)


def test_a_key_for_rsa_pss_alone_is_no_rsa_key() -> None:
    """Releases of cryptography differ in whether they load it; none tells it for the one that etcd has."""
    numbers = maker.rsa_key().public_key().public_numbers()
    key = der(
        0x30,
        *(
            der(2, (b"\0" if size == 256 else b"") + number.to_bytes(size, "big"))
            for number, size in ((numbers.n, 256), (numbers.e, 3))
        ),
    )
    alone = made_by_hand(*extensions_by_hand(), key=der(0x30, der(0x30, oid(PSS)), der(3, b"\0" + key)))
    for made in (alone, maker.of_rsa_pss(maker.authority("pss", key=maker.rsa_key()))):
        found = facts_or_line(made)
        assert found is None or found.key_algorithm == "unknown"


def test_what_etcd_would_not_read_is_one_line() -> None:
    found = assert_same(leaf(public_key=KEYS["ecdsa-secp256k1"]()))
    with pytest.raises(CryptoError) as caught:
        check_read_by_etcd(found, "it")
    assert caught.value.details["reason"] == "unreadable_for_etcd"
    assert str(caught.value) == (
        "it holds etcd-1, serial number 1267, which etcd would not read: its key is on a curve that Go does not know "
        "(P-224, P-256, P-384 and P-521 are known): have it issued anew without that"
    )
    check_read_by_etcd(assert_same(leaf()), "it")


def test_an_issuer_with_a_broken_part_is_one_line() -> None:
    made = ssl.DER_cert_to_PEM_cert(made_by_hand(extension("2.5.29.14", der(5)))).encode()
    with pytest.raises(CryptoError, match=r"it is no readable X.509 certificate \(.*\): put the original there again"):
        issuer_facts(made, "it")


def test_a_key_that_is_none_is_told_when_it_is_loaded() -> None:
    point = factory.key_of("ecdsa-p256").public_key().public_numbers()
    made = LEAF.replace(point.y.to_bytes(32, "big"), bytes(32))
    assert made != LEAF and facts_or_line(made) is None
    with pytest.raises(CryptoError, match=r"it is no readable X\.509 certificate"):
        load_certificate(ssl.DER_cert_to_PEM_cert(made).encode(), "it")
