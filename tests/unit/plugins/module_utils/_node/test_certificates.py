# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificate reader against ``cryptography``, and against garbage."""

from __future__ import annotations

import datetime
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import (
    read_certificate,
    read_certificates,
    read_revoked,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import as_result
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import split_pem
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_by_hand import (
    ED25519,
    der,
    extension,
    made_by_hand,
    name_of,
    oid,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    Issued,
    der_of,
    issue,
    key_pem,
    new_key,
    pem_of,
    revocation_list,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KEY = new_key()
LEAF = issue("etcd-1.example.com", key=KEY, names=("etcd-1.example.com", "localhost", "10.0.0.1", "::1"))
RELAXED = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])

KEY_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "contentCommitment",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
    "encipher_only": "encipherOnly",
    "decipher_only": "decipherOnly",
}
EXTENDED_KEY_USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.CODE_SIGNING: "codeSigning",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
    x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.4"): "1.3.6.1.4.1.311.10.3.4",
}


def test_a_leaf_in_full() -> None:
    found = read_certificate(der_of(LEAF.certificate))
    assert found.common_name == found.issuer_common_name == "etcd-1.example.com"
    assert found.subject == found.issuer and not found.is_ca
    assert found.dns_names == ("etcd-1.example.com", "localhost")
    assert found.ip_addresses == ("10.0.0.1", "::1")
    assert (found.not_before, found.not_after) == (NOW - DAY, NOW + 100 * DAY)
    assert found.key_algorithm == "ecdsa-p256"
    assert found.key_usage == ("digitalSignature",)
    assert found.extended_key_usage == ("serverAuth", "clientAuth")
    assert int(found.serial_number, 16) == LEAF.certificate.serial_number
    assert len(found.serial_number) % 2 == 0
    assert found.fingerprint == LEAF.certificate.fingerprint(hashes.SHA256()).hex()


def test_a_ca_with_a_path_length() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd peer CA")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + DAY)
    found = read_certificate(
        der_of(builder.add_extension(x509.BasicConstraints(True, 0), True).sign(KEY, hashes.SHA256()))
    )
    assert found.is_ca
    assert found.serial_number == "01"
    assert found.key_usage is None and found.extended_key_usage is None
    assert found.dns_names == () and found.ip_addresses == ()


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
def test_key_algorithm(kind: str) -> None:
    assert read_certificate(der_of(issue("a", key=new_key(kind)).certificate)).key_algorithm == kind


def test_the_last_common_name_counts_as_in_go() -> None:
    attributes = [
        x509.NameAttribute(NameOID.COMMON_NAME, "first"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "between"),
        x509.NameAttribute(NameOID.COMMON_NAME, "last"),
    ]
    name = x509.Name(attributes)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(7).not_valid_before(NOW).not_valid_after(NOW + DAY)
    assert read_certificate(der_of(builder.sign(KEY, hashes.SHA256()))).common_name == "last"


_label = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20).map(lambda text: f"a{text}b")
_names = st.lists(
    st.one_of(
        st.lists(_label, min_size=1, max_size=3).map(".".join),
        st.ip_addresses().map(str),
    ),
    max_size=6,
)
_times = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=datetime.timezone.utc)
)


@st.composite
def _certificates(draw: st.DrawFn) -> Issued:
    begin, end = sorted(draw(st.tuples(_times, _times)))
    usages = draw(st.sets(st.sampled_from(sorted(KEY_USAGES)), min_size=1))
    if "key_agreement" not in usages:
        usages -= {"encipher_only", "decipher_only"}
    return issue(
        draw(st.one_of(st.none(), st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=16))),
        key=KEY,
        is_ca=draw(st.booleans()),
        extended_key_usages=draw(st.lists(st.sampled_from(list(EXTENDED_KEY_USAGES)), unique=True)),
        key_usages=sorted(usages or {"digital_signature"}),
        not_before=begin,
        not_after=end,
        names=draw(_names),
        serial_number=draw(st.integers(1, (1 << 159) - 1)),
    )


@RELAXED
@given(_certificates())
def test_reads_what_cryptography_reads(issued: Issued) -> None:
    certificate = issued.certificate
    found = read_certificate(der_of(certificate))
    common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert found.common_name == (common_names[-1].value if common_names else None)
    assert int(found.serial_number, 16) == certificate.serial_number
    assert (found.not_before, found.not_after) == _validity(certificate)
    assert found.subject == certificate.subject.public_bytes()
    assert found.issuer == certificate.issuer.public_bytes()
    extensions = {extension.oid: t.cast(t.Any, extension.value) for extension in certificate.extensions}
    names = extensions.get(x509.SubjectAlternativeName.oid, [])
    assert found.dns_names == tuple(name.value for name in names if isinstance(name, x509.DNSName))
    assert found.ip_addresses == tuple(str(name.value) for name in names if isinstance(name, x509.IPAddress))
    assert found.is_ca == extensions[x509.BasicConstraints.oid].ca
    expected = extensions[x509.KeyUsage.oid]
    # encipher_only and decipher_only may not even be asked for without key_agreement.
    asked = [name for name in KEY_USAGES if expected.key_agreement or not name.endswith("_only")]
    assert found.key_usage == tuple(KEY_USAGES[name] for name in asked if getattr(expected, name))
    usages = extensions.get(x509.ExtendedKeyUsage.oid)
    assert found.extended_key_usage == (
        None if usages is None else tuple(EXTENDED_KEY_USAGES[usage] for usage in usages)
    )


def _validity(certificate: x509.Certificate) -> tuple[datetime.datetime, datetime.datetime]:
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    utc = datetime.timezone.utc
    return certificate.not_valid_before.replace(tzinfo=utc), certificate.not_valid_after.replace(tzinfo=utc)


@RELAXED
@given(st.binary(max_size=400))
def test_garbage_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(CryptoError) as caught:
        read_certificate(data, "the file")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("the file is no readable")


@RELAXED
@given(st.data())
def test_a_damaged_certificate_never_ends_in_another_error(data: st.DataObject) -> None:
    damaged = bytearray(der_of(LEAF.certificate))
    for _number in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_certificate(bytes(damaged))
    except CryptoError as exc:
        assert "\n" not in str(exc)


@pytest.mark.parametrize("length", range(0, len(der_of(LEAF.certificate)), 7))
def test_a_cut_off_certificate_is_refused(length: int) -> None:
    with pytest.raises(CryptoError):
        read_certificate(der_of(LEAF.certificate)[:length])


def test_data_after_the_certificate_is_refused() -> None:
    with pytest.raises(CryptoError, match="more data than a certificate has"):
        read_certificate(der_of(LEAF.certificate) + b"\0")


@RELAXED
@given(st.binary(max_size=300))
def test_pem_garbage_never_ends_in_another_error(data: bytes) -> None:
    for text in (data, b"-----BEGIN CERTIFICATE-----\n" + data + b"\n-----END CERTIFICATE-----\n"):
        try:
            read_certificates(text)
        except CryptoError as exc:
            assert "\n" not in str(exc)


ALTERNATIVE_NAMES = "2.5.29.17"


def test_a_certificate_made_by_hand() -> None:
    names = der(0x30, der(0x82, b"a.example.com"), der(0x81, b"a@example.com"), der(0x87, bytes([10, 0, 0, 1])))
    found = read_certificate(made_by_hand(extension(ALTERNATIVE_NAMES, names)))
    assert (found.common_name, found.serial_number, found.key_algorithm) == ("etcd-1", "01", "ed25519")
    # Other kinds of names are no matter for etcd.
    assert (found.dns_names, found.ip_addresses) == (("a.example.com",), ("10.0.0.1",))


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"version": der(0xA0, der(2, b"\x05"))}, "an unknown version"),
        ({"serial": der(2)}, "an integer without a value"),
        ({"serial": der(4, b"\x01")}, "the serial number expected"),
        ({"serial": der(2, b"\x00\x7f")}, "an integer in more bytes than it needs"),
        ({"serial": der(2, b"\xff\x80")}, "an integer in more bytes than it needs"),
        ({"serial": b"\x1f\x81\x01"}, "a tag of several bytes"),
        ({"serial": b"\x02\x80\x01"}, "a length that DER does not have"),
        ({"serial": b"\x02\x81\x01\x01"}, "a length in more bytes than it needs"),
        ({"serial": b"\x02\x84\x7f\xff\xff\xff"}, "it was cut off"),
        ({"issuer": der(4)}, "the issuer expected"),
        ({"subject": name_of(b"\x55\x84")}, "a broken object identifier"),
        ({"subject": name_of(b"\x55\x80\x04\x03")}, "a broken object identifier"),
        ({"subject": name_of(text=der(4, b"etcd-1"))}, "a name that is no text"),
        ({"subject": name_of(text=der(0x0C, b"\xff"))}, "a name with broken text"),
        ({"validity": der(0x30, der(0x17, b"2601010000Z"))}, "a time that is not as RFC 5280 wants it"),
        ({"validity": der(0x30, der(0x17, b"260230000000Z"))}, "a time that does not exist"),
        ({"extensions": der(0xA3, der(0x30, extension("1.2", b"x") * 2))}, "an extension that comes twice"),
        (
            {"extensions": der(0xA3, der(0x30, extension(ALTERNATIVE_NAMES, der(0x30, der(0x87, bytes(3))))))},
            "an IP address of the wrong length",
        ),
        ({"extensions": der(0xA3, der(0x30)) + der(5)}, "more data than the signed part has"),
        ({"signature_algorithm": der(0x30, oid("1.2"))}, "two different signature algorithms"),
        (
            {"extensions": der(0xA3, der(0x30, extension("2.5.29.19", der(0x30), der(1, b"\x01"))))},
            "a truth value that DER does not have",
        ),
        ({"version": der(0xA0, der(2, b"\x01"))}, "an unknown version"),
        ({"version": b"", "extensions": der(0xA3, der(0x30, extension("1.2", b"x")))}, "extensions in version 1"),
        (
            {"extensions": der(0xA3, der(0x30, extension("2.5.29.37", der(0x30))))},
            "an extended key usage that names none",
        ),
        ({"key": der(0x30, ED25519, der(3))}, "a broken bit string"),
        ({"key": der(0x30, ED25519, der(3, b"\x01"))}, "a broken bit string"),
        ({"key": der(0x30, ED25519, der(3, b"\x08\x00"))}, "a broken bit string"),
        ({"key": der(0x30, ED25519, der(3, b"\x01\x01"))}, "a broken bit string"),
    ],
)
def test_a_part_that_is_wrong_is_named(parts: dict[str, bytes], problem: str) -> None:
    with pytest.raises(CryptoError, match=f"the file is no readable X.509 certificate .{problem}.: put the original"):
        read_certificate(made_by_hand(**parts), "the file")


def test_a_bundle_with_text_around() -> None:
    second = issue("second", key=KEY)
    text = f"# old\n{LEAF.pem}\r\n# new\n{second.pem.replace(chr(10), chr(13) + chr(10))}trailing"
    assert [found.common_name for found in read_certificates(text)] == ["etcd-1.example.com", "second"]
    assert read_certificates(text.encode()) == read_certificates(text)


def test_other_blocks_beside_the_certificate_are_skipped() -> None:
    assert len(read_certificates(key_pem(KEY) + LEAF.pem)) == 1


def test_headers_of_an_old_encrypted_key() -> None:
    (block,) = split_pem(key_pem(KEY, b"secret", traditional=True).encode())
    assert block.label == "EC PRIVATE KEY" and "Proc-Type: 4,ENCRYPTED" in block.headers


BEGIN, END = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.crt is empty"),
        (" \n\t", "x.crt is empty"),
        ("hello", "x.crt holds no PEM certificate"),
        (key_pem(KEY), "x.crt holds no PEM certificate"),
        ("  " + LEAF.pem.replace("\n", "\n  "), "x.crt is broken PEM: a line has more on it .*indented"),
        (LEAF.pem[:300], "x.crt is broken PEM: CERTIFICATE begins and does not end"),
        (BEGIN + BEGIN + END, "begins and does not end"),
        (BEGIN + "!!!!\n" + END, "what stands in CERTIFICATE is not base64"),
        (BEGIN + "AAA\n" + END, "what stands in CERTIFICATE is not base64"),
        (BEGIN + END, "CERTIFICATE is empty"),
        (BEGIN + "AAAA\n" + END, "x.crt is no readable X.509 certificate"),
    ],
)
def test_broken_pem(text: str, message: str) -> None:
    with pytest.raises(CryptoError, match=message) as caught:
        read_certificates(text, "x.crt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("offset", "days"), [(DAY, 99), (-DAY, 101), (100 * DAY, 0), (101 * DAY, -1)])
def test_days_left(offset: datetime.timedelta, days: int) -> None:
    found = read_certificate(der_of(LEAF.certificate))
    assert as_result(found, NOW + offset)["days_left"] == days


def test_facts_are_plain_json_values() -> None:
    facts = as_result(read_certificate(der_of(LEAF.certificate)), NOW)
    assert facts["extended_key_usage"] == ["serverAuth", "clientAuth"]
    assert facts["not_before"] == iso_time(NOW - DAY)
    assert {type(value) for value in facts.values()} <= {str, int, bool, list, type(None)}


def test_iso_time_converts_to_utc() -> None:
    moment = datetime.datetime(2026, 1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    assert iso_time(moment) == "2025-12-31T23:00:00Z"


def test_reading_gives_the_same_der_back() -> None:
    assert read_certificates(pem_of(LEAF.certificate))[0].der == der_of(LEAF.certificate)


# Revocation lists -------------------------------------------------------------------------------------------------

SERIALS = (1, 127, 128, LEAF.certificate.serial_number, (1 << 159) - 1)
REVOKED = revocation_list(LEAF, *SERIALS)


@pytest.mark.parametrize("as_pem", [False, True])
def test_revoked_serial_numbers_are_written_as_a_certificate_s(as_pem: bool) -> None:
    found = read_revoked(revocation_list(LEAF, *SERIALS, as_pem=as_pem))
    assert {int(serial, 16) for serial in found} == set(SERIALS)
    assert read_certificate(der_of(LEAF.certificate)).serial_number in found
    assert found == read_revoked(REVOKED) and {"01", "7f", "80"} <= found


def test_a_list_that_revokes_nobody() -> None:
    assert read_revoked(revocation_list(LEAF)) == frozenset()


def test_several_lists_in_one_file_and_text_around() -> None:
    lists = [revocation_list(LEAF, number, as_pem=True) for number in (1, 2)]
    assert read_revoked(b"# old\n" + lists[0] + LEAF.pem.encode() + lists[1]) == {"01", "02"}


def revocation_list_by_hand(**parts: bytes) -> bytes:
    """A list of parts that are given as they are; nobody has signed it."""
    tbs = {
        "version": der(2, b"\x01"),
        "algorithm": ED25519,
        "issuer": name_of(),
        "this_update": der(0x17, b"260101000000Z"),
        "next_update": der(0x18, b"20360101000000Z"),
        "entries": der(0x30, der(0x30, der(2, b"\x05"), der(0x17, b"260101000000Z"))),
        "extensions": der(0xA0, der(0x30)),
        **parts,
    }
    return der(0x30, der(0x30, *tbs.values()), ED25519, der(3, b"\0"))


@pytest.mark.parametrize("left_out", [(), ("version",), ("next_update",), ("extensions",)])
def test_what_a_list_may_leave_out(left_out: tuple[str, ...]) -> None:
    assert read_revoked(revocation_list_by_hand(**dict.fromkeys(left_out, b""))) == {"05"}
    assert read_revoked(revocation_list_by_hand(entries=b"", **dict.fromkeys(left_out, b""))) == frozenset()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it was cut off"),
        (b"garbage", "it was cut off"),
        (der(4, b"garbage"), "a revocation list expected"),
        (REVOKED + b"\0", "more data than a revocation list has"),
        (revocation_list_by_hand(issuer=der(4)), "the issuer expected"),
        (revocation_list_by_hand(this_update=der(0x17, b"x")), "a time that is not as RFC 5280 wants it"),
        (revocation_list_by_hand(next_update=der(0x18, b"20360230000000Z")), "a time that does not exist"),
        (revocation_list_by_hand(entries=der(0x30, der(4))), "a revoked certificate expected"),
        (revocation_list_by_hand(entries=der(0x30, der(0x30, der(4)))), "the serial number expected"),
        (der_of(LEAF.certificate), "expected"),
    ],
)
def test_a_broken_list_is_named(content: bytes, problem: str) -> None:
    with pytest.raises(CryptoError) as caught:
        read_revoked(content, "the file")
    line = str(caught.value)
    assert line.startswith("the file is no readable revocation list (") and line.endswith("): write it in DER again")
    assert problem in line and "\n" not in line


@pytest.mark.parametrize("length", range(0, len(REVOKED), 7))
def test_a_list_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(CryptoError):
        read_revoked(REVOKED[:length])


@RELAXED
@given(st.data())
def test_a_damaged_list_never_ends_in_another_error(data: st.DataObject) -> None:
    damaged = bytearray(REVOKED)
    for _number in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert all(serial == serial.lower() for serial in read_revoked(bytes(damaged)))
    except CryptoError as exc:
        assert "\n" not in str(exc)


def test_pem_without_a_list_is_refused() -> None:
    """etcd reads it and refuses every connection: it is no list that revokes nobody."""
    with pytest.raises(CryptoError, match="the file holds no revocation list"):
        read_revoked(LEAF.pem.encode(), "the file")
