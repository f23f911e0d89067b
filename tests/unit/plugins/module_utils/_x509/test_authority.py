# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CA as a user gives it: what is meant comes out, written anew, or one line that shows nothing of it."""

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import authority_chain, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority import GivenAuthority, checked_authority
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import cryptography_version
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import authority_maker as maker
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.authority_maker import NOW
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

PASSPHRASE = "correct horse battery"
ROOT = maker.authority("Example root")
ISSUING = maker.authority("Example issuing CA", ROOT)
SECOND = maker.authority("Example second CA", ISSUING)
OTHER = maker.authority("Quite another CA")
LEAF = maker.authority("etcd-1.example.com", ROOT, is_ca=False)

CERTIFICATE, KEY = ROOT.pem, ROOT.key_pem
ENCRYPTED = maker.key_pem(ROOT.key, PASSPHRASE.encode())
OLD_ENCRYPTED = maker.key_pem(ROOT.key, PASSPHRASE.encode(), traditional=True)
OPENSSH = ROOT.key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
).decode()
DER = ROOT.certificate.public_bytes(serialization.Encoding.DER)
PKCS12 = pkcs12.serialize_key_and_certificates(
    b"ca", ROOT.key, ROOT.certificate, None, serialization.BestAvailableEncryption(b"x")
)


def given_authority(certificate: str = CERTIFICATE, key: str = KEY, passphrase: str = "") -> GivenAuthority:
    found = checked_authority(certificate, key, passphrase, NOW)
    assert found is not None
    return found


def refused(certificate: t.Any = CERTIFICATE, key: t.Any = KEY, passphrase: t.Any = "") -> str:
    """The line; nothing of what was given is in it."""
    with pytest.raises(InputError) as caught:
        checked_authority(certificate, key, passphrase, NOW)
    line = str(caught.value)
    assert "\n" not in line and line.startswith("etcd_peer_tls_ca_")
    # What a traceback would show of the cause is nothing.
    assert caught.value.__cause__ is None and (caught.value.__suppress_context__ or caught.value.__context__ is None)
    for text in (certificate, key):
        for piece in str(text).split():
            assert len(piece) < 24 or piece.startswith("etcd_peer") or piece not in line
    assert PASSPHRASE not in line
    return line


def unarmoured(pem: str) -> str:
    return "\n".join(pem.splitlines()[1:-1])


SAME_CERTIFICATE = {
    "as it is": CERTIFICATE,
    "Windows' ends of lines": CERTIFICATE.replace("\n", "\r\n"),
    "old Macintosh's ends of lines": CERTIFICATE.replace("\n", "\r"),
    "a byte order mark": "\ufeff" + CERTIFICATE,
    "no end of line at the end": CERTIFICATE.strip(),
    "indented": CERTIFICATE.replace("\n", "\n    "),
    "lines lost, as from a form": CERTIFICATE.replace("\n", " "),
    "text around it": f"Certificate:\n  X509v3 Private Key Usage Period: \n{CERTIFICATE}Bag Attributes\n  x: y\n",
    "twice": CERTIFICATE + CERTIFICATE,
    "empty lines": CERTIFICATE.replace("\n", "\n\n"),
}


@pytest.mark.parametrize("text", SAME_CERTIFICATE.values(), ids=SAME_CERTIFICATE)
def test_the_same_certificate_however_it_is_written(text: str) -> None:
    assert given_authority(text) == GivenAuthority(CERTIFICATE, (), KEY)
    assert given_authority(text).bundle == CERTIFICATE


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        KEY.replace("\n", "\r\n"),
        "\ufeff" + KEY,
        KEY.replace("\n", " "),
        KEY.strip(),
        KEY + CERTIFICATE,
        CERTIFICATE + KEY,
    ],
)
def test_the_same_key_however_it_is_written(text: str) -> None:
    assert given_authority(key=text).private_key == KEY
    assert KEY.splitlines()[1] not in repr(given_authority(key=text))


def test_a_key_of_openssls_old_format_with_its_parameters() -> None:
    old = maker.key_pem(ROOT.key, traditional=True)
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert given_authority(key=parameters + old).private_key == old


@pytest.mark.parametrize("key", [ENCRYPTED, OLD_ENCRYPTED, OLD_ENCRYPTED.replace("\n", "\r\n")])
def test_an_encrypted_key_stays_encrypted(key: str) -> None:
    found = given_authority(key=key, passphrase=PASSPHRASE).private_key
    assert found == key.replace("\r", "") and keys.load_private_key(found.encode(), "it", PASSPHRASE, "passphrase")


def test_nothing_given_is_nothing() -> None:
    for empty in ("", "\n", None):
        assert checked_authority(empty, empty, empty) is None
        assert checked_authority(empty, empty, PASSPHRASE) is None, "the passphrase of a CA in a folder"
    assert checked_authority(CERTIFICATE) == GivenAuthority(CERTIFICATE)


BAD_CERTIFICATES = {
    "the key behind it": (CERTIFICATE + KEY, "holds a private key: it goes to every node"),
    "the key in front": (KEY + CERTIFICATE, "holds a private key"),
    "the key's end": (CERTIFICATE + KEY[60:], "holds a private key"),
    "the key's begin": (CERTIFICATE + KEY[:60], "holds a private key"),
    "the key in small letters": (CERTIFICATE + KEY.lower(), "holds a private key"),
    "an encrypted key": (CERTIFICATE + ENCRYPTED, "holds a private key"),
    "an old encrypted key": (CERTIFICATE + OLD_ENCRYPTED, "holds a private key"),
    "OpenSSH's key": (CERTIFICATE + OPENSSH, "holds a private key"),
    "PuTTY's key": (CERTIFICATE + "PuTTY-User-Key-File-3: x\nPrivate-Lines: 1\nAAAA\n", "holds a private key"),
    "a key as a certificate": (KEY.replace("PRIVATE KEY", "CERTIFICATE"), "is no readable X.509 certificate"),
    "a member's": (LEAF.pem, "is not a CA certificate"),
    "a member's beside it": (CERTIFICATE + LEAF.pem, "'etcd-1.example.com'"),
    "cut off": (CERTIFICATE[:200], "a block begins and does not end"),
    "end alone": (CERTIFICATE[200:], "a block ends that did not begin"),
    "a block in a block": (CERTIFICATE[:200] + CERTIFICATE, "a block begins and does not end"),
    "a line lost": ("\n".join([*CERTIFICATE.splitlines()[:2], *CERTIFICATE.splitlines()[3:]]), "X.509 certificate"),
    "no base64": (CERTIFICATE.replace(CERTIFICATE.splitlines()[1], "!"), "is not base64"),
    "an empty block": ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "its PEM is empty"),
    "ends of lines as characters": (CERTIFICATE.replace("\n", "\\n"), "the two characters \\n"),
    "a request": (CERTIFICATE.replace("CERTIFICATE", "CERTIFICATE REQUEST"), "a request, which a CA has still to sign"),
    "OpenSSL's own": (CERTIFICATE.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "convert it with openssl x509"),
    "PKCS#7": (CERTIFICATE.replace("CERTIFICATE", "PKCS7"), "PKCS#7: convert it"),
    "a revocation list": (CERTIFICATE + CERTIFICATE.replace("CERTIFICATE", "X509 CRL"), "a block 'X509 CRL'"),
    "DER, read as text": (DER.decode("utf-8", "replace"), "is binary (DER or PKCS#12)"),
    "DER, in base64": (unarmoured(CERTIFICATE), "is base64 without its first and last line"),
    "PKCS#12, in base64": (base64.b64encode(PKCS12).decode(), "is PKCS#12: take the certificate out"),
    "PKCS#12, read as text": (PKCS12.decode("utf-8", "replace"), "PKCS#12"),
    "still in the vault": ("$ANSIBLE_VAULT;1.1;AES256\n61626364\n", "still encrypted by Ansible Vault"),
    "a path": ("/etc/pki/tls/ca.crt", "looks like a path"),
    "a public key of OpenSSH's": ("ssh-ed25519 AAAAC3Nza me@here", "is a public key of OpenSSH's"),
    "a word": ("hello", "no 'BEGIN CERTIFICATE' stands in it"),
    "far too much": ("A" * 300_000, "more than any certificate has"),
    "a number": (5, "is no text"),
    "a list": ([CERTIFICATE], "is no text"),
}


@pytest.mark.parametrize(("text", "part"), BAD_CERTIFICATES.values(), ids=BAD_CERTIFICATES)
def test_another_thing_than_a_certificate(text: str, part: str) -> None:
    line = refused(text)
    assert line.startswith("etcd_peer_tls_ca_certificate") and part in line
    assert refused(text, "") == line, "the same without a key"


BAD_KEYS = {
    "the certificate": (CERTIFICATE, "", "it holds a certificate (the two swapped?)"),
    "two keys": (KEY + OTHER.key_pem, "", "holds 2 private keys"),
    "another CA's": (OTHER.key_pem, "", "is not the key of etcd_peer_tls_ca_certificate ('Example root' (SHA-256"),
    "OpenSSH's": (OPENSSH, "", "is in OpenSSH's format: convert a copy of it with ssh-keygen"),
    "PuTTY's": ("PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\nPrivate-Lines: 1\n", "", "is in PuTTY's format"),
    "encrypted": (
        ENCRYPTED,
        "",
        "is encrypted and no passphrase was given: give its passphrase with etcd_peer_tls_ca_p",
    ),
    "old, encrypted": (OLD_ENCRYPTED, "", "is encrypted and no passphrase was given"),
    "not encrypted": (KEY, PASSPHRASE, "is not encrypted, but a passphrase was given: leave etcd_peer_tls_ca_passphra"),
    "a wrong passphrase": (ENCRYPTED, "wrong-horse", "the passphrase in etcd_peer_tls_ca_passphrase is wrong"),
    "DER, read as text": (unarmoured(KEY), "", "is base64 without its first and last line"),
    "PKCS#12": (base64.b64encode(PKCS12).decode(), "", "is PKCS#12: take the private key out"),
    "a public key": ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "", "a block 'PUBLIC KEY'"),
    "a broken one": (KEY.replace(KEY.splitlines()[1], KEY.splitlines()[1][:-4]), "", "is broken"),
    "of a kind that etcd does not take": (maker.key_pem(ed448.Ed448PrivateKey.generate()), "", "is of a type that is"),
    "a number": (7, "", "is no text"),
}


@pytest.mark.parametrize(("key", "passphrase", "part"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_another_thing_than_its_key(key: str, passphrase: str, part: str) -> None:
    line = refused(key=key, passphrase=passphrase)
    assert line.startswith("etcd_peer_tls_ca_private_key") and part in line, line


def test_the_two_swapped() -> None:
    assert "(the two swapped?)" in refused(KEY, CERTIFICATE)
    assert refused("", KEY).startswith("etcd_peer_tls_ca_private_key is given without etcd_peer_tls_ca_certificate")
    assert "holds a private key" in refused(KEY, "")


def test_the_issuing_ca_comes_first_whatever_the_order() -> None:
    for texts in ((SECOND, ISSUING, ROOT), (ROOT, ISSUING, SECOND), (ISSUING, SECOND, ROOT), (ROOT, SECOND, ISSUING)):
        text = "".join(one.pem for one in texts)
        wanted = GivenAuthority(SECOND.pem, (ISSUING.pem, ROOT.pem), SECOND.key_pem)
        assert given_authority(text, SECOND.key_pem) == wanted
        assert given_authority(text, "").bundle == SECOND.pem + ISSUING.pem + ROOT.pem
    assert given_authority(ISSUING.pem, ISSUING.key_pem).bundle == ISSUING.pem, "alone it is trusted alone"


def test_certificates_that_do_not_belong_together() -> None:
    line = refused(CERTIFICATE + OTHER.pem, "")
    assert "'Example root'" in line and "'Quite another CA'" in line and "different CAs" in line
    line = refused(ISSUING.pem + ROOT.pem + OTHER.pem, ISSUING.key_pem)
    assert "'Quite another CA'" in line and "did not sign 'Example issuing CA'" in line
    # The key says which of them is meant.
    line = refused(ISSUING.pem + ROOT.pem, ROOT.key_pem)
    assert "'Example issuing CA'" in line and "did not sign 'Example root'" in line


def test_a_parent_of_the_same_name_that_did_not_sign() -> None:
    namesake = maker.authority("Example root")
    assert "different CAs" in refused(ISSUING.pem + namesake.pem, "")
    assert given_authority(ISSUING.pem + ROOT.pem, "").parents == (ROOT.pem,)
    # Where no key identifier tells them apart, the signature does.
    old, namesake = (maker.authority("Old root", identifiers=False) for _number in range(2))
    below = maker.authority("below", old, identifiers=False)
    assert "different CAs" in refused(below.pem + namesake.pem, "")
    assert given_authority(old.pem + below.pem, "").parents == (old.pem,)


def test_a_cross_signed_parent_and_a_renewed_one() -> None:
    crossed = maker.authority("Example root", OTHER, key=ROOT.key)
    found = given_authority(ISSUING.pem + OTHER.pem + crossed.pem + ROOT.pem, ISSUING.key_pem)
    assert found.certificate == ISSUING.pem and set(found.parents) == {ROOT.pem, crossed.pem, OTHER.pem}
    renewed = maker.authority("Example root", key=ROOT.key)
    assert "2 certificates of one and the same CA" in refused(ROOT.pem + renewed.pem, "")
    assert "2 certificates of one and the same CA" in refused(ROOT.pem + renewed.pem, ROOT.key_pem)


def test_too_many() -> None:
    assert "holds 11 certificates" in refused("".join(maker.authority(f"CA {number}").pem for number in range(11)), "")


def test_dates() -> None:
    ended = maker.authority("ended", not_after=NOW - maker.DAY)
    assert "expired at" in refused(ended.pem, ended.key_pem)
    early = maker.authority("early", not_before=NOW + maker.DAY)
    assert "is valid only from" in refused(early.pem, early.key_pem)
    below = maker.authority("below", ended)
    line = refused(below.pem + ended.pem, below.key_pem)
    assert "'ended'" in line and "give the CA without this parent" in line
    # A proof has to tell of it, and must not be kept from it.
    found = checked_authority(ended.pem, ended.key_pem)
    assert found is not None and found.certificate == ended.pem


def test_extended_key_usages() -> None:
    usages = x509.ExtendedKeyUsageOID
    server = maker.authority("server", extended=[usages.SERVER_AUTH])
    line = refused(server.pem, server.key_pem)
    assert "limited by its extended key usage (serverAuth)" in line and "lacks clientAuth" in line
    mail = maker.authority("mail", extended=[usages.EMAIL_PROTECTION])
    assert "lacks serverAuth and clientAuth" in refused(mail.pem, mail.key_pem)
    below = maker.authority("below", mail)
    assert "'mail'" in refused(below.pem + mail.pem, below.key_pem)
    for good in ([usages.SERVER_AUTH, usages.CLIENT_AUTH], [usages.ANY_EXTENDED_KEY_USAGE]):
        both = maker.authority("both", extended=good)
        assert given_authority(both.pem, both.key_pem).bundle == both.pem


def test_what_etcd_would_not_read() -> None:
    old = maker.authority("old", key=ec.generate_private_key(ec.SECP256K1()))
    below = maker.authority("below", old)
    line = refused(below.pem + old.pem, below.key_pem)
    assert "holds old, serial number" in line and "which etcd would not read: its key is on a curve" in line


def test_kinds_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    curve = maker.authority("curve", key=ec.generate_private_key(ec.SECP521R1()))
    assert "has a key of type ecdsa-secp521r1" in refused(curve.pem, "")
    assert given_authority(maker.authority("below", curve).pem + curve.pem, "").parents == (curve.pem,)
    alone = base64.encodebytes(maker.of_rsa_pss(maker.authority("pss", key=maker.rsa_key()))).decode()
    alone = f"-----BEGIN CERTIFICATE-----\n{alone}-----END CERTIFICATE-----\n"
    for key in ("", KEY):
        assert "has a key for RSA-PSS signatures alone" in refused(alone, key)
    # Signed with it is something else; the oldest releases of cryptography make no such signature.
    if cryptography_version() < (41, 0):
        return
    signed = maker.authority("signed", key=maker.rsa_key(), pss=True)
    assert given_authority(signed.pem, signed.key_pem).certificate == signed.pem
    below = maker.authority("below", signed, pss=True)
    assert given_authority(signed.pem + below.pem, below.key_pem).parents == (signed.pem,)
    # And no library, or an old one, goes by the names.
    monkeypatch.setattr(authority_chain.certificates, "can_check_signature", lambda _certificate: False)
    assert given_authority(signed.pem + below.pem, below.key_pem).parents == (signed.pem,)


def test_names_of_certificates_are_shown_with_care() -> None:
    odd = maker.authority("a\u202eb\x1b[31m" + "c" * 40)
    assert "\u202e" not in refused(CERTIFICATE + odd.pem, "") and "\x1b" not in refused(CERTIFICATE + odd.pem, "")


PIECES = st.sampled_from(
    [
        *CERTIFICATE.splitlines(keepends=True),
        *KEY.splitlines(keepends=True),
        *ENCRYPTED.splitlines(keepends=True)[:3],
        CERTIFICATE,
        ISSUING.pem,
        KEY,
        "-----BEGIN ",
        "-----END ",
        "CERTIFICATE",
        "PRIVATE KEY-----\n",
        "Proc-Type: 4,ENCRYPTED\n",
        "\r\n",
        "\ufeff",
        "\0",
        "\udc80",
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=12).map("".join)


def changed(text: str) -> st.SearchStrategy[str]:
    """A good text with some of it cut out and something put in."""
    places = st.integers(0, len(text))
    return st.tuples(places, places, st.text(max_size=4)).map(
        lambda cut: text[: min(cut[:2])] + cut[2] + text[max(cut[:2]) :]
    )


def der_changed(text: str) -> st.SearchStrategy[str]:
    """A good text whose DER has other bytes."""
    der, label = base64.b64decode(unarmoured(text)), text.split("-----")[1][len("BEGIN ") :]

    def armoured(cut: tuple[int, bytes]) -> str:
        body = base64.b64encode(der[: cut[0]] + cut[1] + der[cut[0] + len(cut[1]) :]).decode()
        return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"

    return st.tuples(st.integers(0, len(der) - 1), st.binary(min_size=1, max_size=3)).map(armoured)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.one_of(TEXTS, changed(CERTIFICATE), changed(ISSUING.pem + CERTIFICATE), der_changed(CERTIFICATE)),
    st.one_of(TEXTS, st.just(KEY), changed(KEY), changed(OLD_ENCRYPTED), der_changed(KEY), der_changed(ENCRYPTED)),
    st.sampled_from(["", PASSPHRASE, "x"]),
)
def test_whatever_is_given_ends_in_a_ca_or_a_line(certificate: str, key: str, passphrase: str) -> None:
    try:
        found = checked_authority(certificate, key, passphrase, NOW)
    except InputError as exc:
        line = str(exc)
        assert "\n" not in line
        secret = "".join(unarmoured(KEY).split())
        assert not any(secret[at : at + 16] in line for at in range(0, len(secret) - 16, 4))
        return
    assert found is None or "PRIVATE KEY" not in found.bundle
