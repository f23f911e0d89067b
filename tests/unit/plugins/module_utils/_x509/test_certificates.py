# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is issued holds the rules: for any valid member, for every key type, for strict readers."""

from __future__ import annotations

import ipaddress
import subprocess
import typing as t
from datetime import timedelta
from pathlib import Path

import cryptography
import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    certificate_facts,
    load_certificate,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW, DAY = factory.NOW, factory.DAY
RULES = rules.renewal_rules(365, 30, 60)
# One 4096-bit key takes seconds and differs from 3072 in nothing but its length.
KEY_TYPES = [key_type for key_type in rules.KEY_TYPES if key_type != "rsa-4096"]

LABEL = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,20}[A-Za-z])?", fullmatch=True)
TOP_LABEL = st.from_regex(r"[a-z](?:[a-z-]{0,8}[a-z])?", fullmatch=True)
DNS_NAME = st.builds(lambda labels, top: ".".join([*labels, top]), st.lists(LABEL, max_size=3), TOP_LABEL)
# "or" at the end: no name at all is refused, so at least one address.
ADDRESSES = st.lists(st.ip_addresses().map(str), min_size=1, max_size=5)
COMMON_NAME = (
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=","), min_size=1, max_size=64)
).filter(lambda text: text != factory.CA_NAME and text.isprintable() and len(text.encode()) <= 64)


@st.composite
def profiles(draw: st.DrawFn) -> rules.PeerProfile:
    return rules.peer_profile(
        draw(st.from_regex(r"[a-z0-9][a-z0-9.-]{0,30}", fullmatch=True)),
        draw(COMMON_NAME),
        draw(st.lists(DNS_NAME, max_size=4)),
        draw(ADDRESSES),
        draw(st.sampled_from(["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])),
    )


def openssl_says(ca: bytes, member: bytes, folder: Path, *options: str) -> str:
    (folder / "ca.crt").write_bytes(ca)
    (folder / "member.crt").write_bytes(member)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(folder / "ca.crt"), *options]
    done = subprocess.run([*command, str(folder / "member.crt")], capture_output=True, encoding="utf-8", check=False)
    return "OK" if done.returncode == 0 else done.stdout + done.stderr


@given(
    wanted=profiles(),
    ca_days=st.integers(1, 4000),
    validity_days=st.integers(31, 800),
    ca_type=st.sampled_from(["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_member_gets_a_certificate_that_has_no_reason(
    wanted: rules.PeerProfile, ca_days: int, validity_days: int, ca_type: str
) -> None:
    ca = factory.authority(ca_type, not_before=NOW - timedelta(minutes=7), not_after=NOW + ca_days * DAY)
    renewal = rules.renewal_rules(validity_days, 30, 60)
    first, last = rules.validity(renewal, ca.facts, NOW)
    key = factory.key_of(wanted.key_type)
    issued = ca.issuer.issue(wanted, key.public_key(), first, last)
    # Read back from its bytes, as the next run does.
    pem = certificates.certificate_pem(issued)
    found = load_certificate(pem, "it")
    facts = certificate_facts(pem, "it")

    assert certificates.is_signed_by(found, ca.key.public_key())
    assert rules.reasons_to_issue(wanted, facts, True, ca.facts, renewal, NOW) == []
    assert facts.dns_names == wanted.dns_names
    assert facts.ip_addresses == wanted.ip_addresses
    assert facts.not_before >= ca.facts.not_before and facts.not_after <= ca.facts.not_after
    assert int(facts.serial_number, 16) > 0 and len(facts.serial_number) <= 40


@given(wanted=profiles())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_openssl_takes_any_member_strictly(wanted: rules.PeerProfile, tmp_path: Path) -> None:
    ca = factory.authority()
    pem = factory.member_pem(ca, wanted)
    assert openssl_says(ca.pem, pem, tmp_path, "-purpose", "sslserver") == "OK"
    assert openssl_says(ca.pem, pem, tmp_path, "-verify_ip", wanted.ip_addresses[0]) == "OK"


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_openssl_takes_every_key_type_strictly(key_type: str, tmp_path: Path) -> None:
    ca = factory.authority(key_type)
    pem = factory.member_pem(ca, factory.profile(key_type=key_type))
    for purpose in ("sslserver", "sslclient"):
        assert openssl_says(ca.pem, pem, tmp_path, "-purpose", purpose) == "OK"
    assert openssl_says(ca.pem, pem, tmp_path, "-verify_ip", "::1", "-verify_hostname", "localhost") == "OK"
    assert openssl_says(ca.pem, ca.pem, tmp_path) == "OK"
    other = factory.authority(number=1)
    assert openssl_says(other.pem, pem, tmp_path) != "OK"


def linter_says(pem: bytes, path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The linter's findings of notice and above, one line each."""
    # Its command's own entry point, in this process: the linter takes a second to load.
    linter = pytest.importorskip("pkilint.bin.lint_pkix_cert", reason="needs pkilint (pip install pkilint)")
    path.write_bytes(pem)
    count = linter.main(["lint", "-s", "NOTICE", str(path)])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    assert count == len(lines)
    return lines


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_linter_finds_nothing(key_type: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ca = factory.authority(key_type)
    wanted = factory.profile(key_type=key_type, dns_names=["etcd-1.example.com"])
    for name, pem in (("ca", ca.pem), ("member", factory.member_pem(ca, wanted))):
        assert linter_says(pem, tmp_path / name, capsys) == []


def test_linter_minds_a_name_of_one_label_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """RFC 1034's preferred name syntax takes one label, and etcd's own client dials localhost: not applicable."""
    found = linter_says(factory.member_pem(factory.authority()), tmp_path / "member", capsys)
    assert found == ['pkix.invalid_domain_name_syntax (ERROR): Invalid domain name syntax: "localhost"']


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_members_extensions_are_those_of_rfc_5280(key_type: str) -> None:
    ca = factory.authority()
    issued = load_certificate(factory.member_pem(ca, factory.profile(key_type=key_type)), "it")
    critical = {type(found.value).__name__: found.critical for found in issued.extensions}
    assert critical == {
        "BasicConstraints": True,
        "KeyUsage": True,
        "ExtendedKeyUsage": False,
        "SubjectAlternativeName": False,
        "SubjectKeyIdentifier": False,
        "AuthorityKeyIdentifier": False,
    }
    assert [attribute.rfc4514_string() for attribute in issued.subject] == ["CN=etcd-1.example.com"]
    usage = issued.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign and not usage.key_agreement
    assert usage.key_encipherment is key_type.startswith("rsa-")
    # serverAuth and clientAuth (RFC 5280, section 4.2.1.12): a member is both to its peers.
    purposes = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [purpose.dotted_string for purpose in purposes] == ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]


def test_ca_certificate() -> None:
    ca = factory.authority().certificate
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert usage.critical and usage.value.key_cert_sign and usage.value.crl_sign
    assert not usage.value.digital_signature
    assert certificates.is_signed_by(ca, factory.key_of("ecdsa-p256", 1000).public_key())
    assert ca.serial_number.bit_length() <= 159


def test_two_serial_numbers_differ() -> None:
    ca = factory.authority()
    serials = {load_certificate(factory.member_pem(ca), "it").serial_number for _number in range(20)}
    assert len(serials) == 20


@pytest.mark.parametrize("ca_type", KEY_TYPES)
@pytest.mark.parametrize("other_type", ["ecdsa-p256", "rsa-2048", "ed25519"])
def test_signature_tells_cas_of_one_name_apart(ca_type: str, other_type: str) -> None:
    ca, other = factory.authority(ca_type), factory.authority(other_type, number=1)
    found = load_certificate(factory.member_pem(ca), "it")
    assert certificates.is_signed_by(found, ca.key.public_key())
    assert not certificates.is_signed_by(found, other.key.public_key())


def test_issuer_is_the_cas_subject_byte_by_byte() -> None:
    ca = factory.authority()
    facts = certificate_facts(factory.member_pem(ca), "it")
    assert facts.issuer == ca.facts.subject
    assert facts.authority_key_identifier == ca.facts.key_identifier


@pytest.mark.parametrize(
    "pem, part",
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"nonsense", "is no PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "is no PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is no readable X.509 certificate ("),
        (b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", "is broken"),
        (factory.authority().pem * 2, "holds 2 certificates, one is wanted"),
        (factory.authority().key_pem, "is no PEM certificate"),
    ],
)
def test_bad_pem_is_one_line(pem: bytes, part: str) -> None:
    with pytest.raises(CryptoError) as caught:
        load_certificate(pem, "the CA's certificate /x/ca.crt")
    assert str(caught.value).startswith("the CA's certificate /x/ca.crt " + part)
    assert "\n" not in str(caught.value)


def test_ipv6_forms_round_trip() -> None:
    wanted = factory.profile(ip_addresses=["FD00:0:0::1", "::ffff:10.0.0.1"])
    given_addresses = certificate_facts(factory.member_pem(factory.authority(), wanted), "it").ip_addresses
    assert [ipaddress.ip_address(text) for text in given_addresses] == [
        ipaddress.ip_address("fd00::1"),
        ipaddress.ip_address("::ffff:10.0.0.1"),
    ]
    assert given_addresses == wanted.ip_addresses


def test_serial_numbers_are_whole_octets() -> None:
    assert serial_hex(0xABC) == "0abc"
    assert serial_hex(0xABCD) == "abcd"


def signed(builder: x509.CertificateBuilder, key: t.Any, **more: t.Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd-1")])
    builder = builder.subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    return builder.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY).sign(key, hashes.SHA256(), **more)


def test_an_extension_that_can_not_be_read_is_one_line() -> None:
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x05ab")
    found = signed(x509.CertificateBuilder().add_extension(broken, False), factory.key_of("ecdsa-p256"))
    with pytest.raises(CryptoError, match=r"/x/etcd-1\.crt is no readable X\.509 certificate \(") as caught:
        certificate_facts(certificates.certificate_pem(found), "/x/etcd-1.crt")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(int(cryptography.__version__.split(".")[0]) < 41, reason="cryptography 41 brought it")
def test_a_foreign_signature_with_pss_padding_is_understood() -> None:
    key, other = factory.key_of("rsa-2048"), factory.key_of("rsa-2048", 1000)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    found = signed(x509.CertificateBuilder(), key, rsa_padding=pss)
    assert certificates.is_signed_by(found, key.public_key())
    assert not certificates.is_signed_by(found, other.public_key())
