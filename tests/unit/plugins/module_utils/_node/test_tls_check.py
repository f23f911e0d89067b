# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The in-memory handshake: what a good pair is, and one clear line for each bad one."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import resource
import ssl
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node import tls_check
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._node.memory import in_memory
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import (
    Material,
    check_certificate,
    check_credentials,
    check_pair,
    check_private_key,
    check_trust_bundle,
    private_key_fits,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    Issued,
    issue,
    key_pem,
    new_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

CA = issue("etcd peer CA", is_ca=True)
OTHER_CA = issue("stranger's CA", is_ca=True)
SAME_NAME_CA = issue("etcd peer CA", is_ca=True)
INTERMEDIATE = issue("etcd middle CA", CA, is_ca=True)
LEAF = issue("etcd-1", CA)
RSA_KEY = new_key("rsa-2048")


def bundle(*authorities: Issued) -> Material:
    return Material("/pki/ca.crt", "".join(authority.pem for authority in authorities).encode())


def certificate(*chain: Issued) -> Material:
    return Material("/pki/etcd-1.crt", "".join(issued.pem for issued in chain).encode())


def private_key(pem: str) -> Material:
    return Material("/pki/etcd-1.key", pem.encode())


@pytest.mark.parametrize("ca_kind", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
@pytest.mark.parametrize("kind", ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"])
def test_good_credentials_of_every_kind(ca_kind: str, kind: str) -> None:
    ca = issue("CA", is_ca=True, key=RSA_KEY if ca_kind == "rsa-2048" else new_key(ca_kind))
    leaf = issue("etcd-1", ca, key=RSA_KEY if kind == "rsa-2048" else new_key(kind))
    found = check_credentials(bundle(ca), certificate(leaf), private_key(leaf.key_pem))
    assert (found.common_name, found.key_algorithm) == ("etcd-1", kind)


@pytest.mark.parametrize(
    ("authorities", "chain"),
    [
        ((OTHER_CA, CA), (LEAF,)),
        ((CA, OTHER_CA), (LEAF,)),
        ((CA, CA), (LEAF,)),
        ((SAME_NAME_CA, CA), (LEAF,)),
        ((CA, issue("old CA", is_ca=True, not_before=NOW - 9 * DAY, not_after=NOW - DAY)), (LEAF,)),
        ((CA, INTERMEDIATE), (issue("etcd-1", INTERMEDIATE, key=LEAF.key),)),
        ((CA,), (issue("etcd-1", INTERMEDIATE, key=LEAF.key), INTERMEDIATE)),
        # Go trusts every certificate of a bundle as a root, whoever signed it.
        ((INTERMEDIATE,), (issue("etcd-1", INTERMEDIATE, key=LEAF.key),)),
    ],
    ids=["new-last", "new-first", "twice", "same-name", "beside-expired", "in-bundle", "in-chain", "partial-chain"],
)
def test_good_bundles(authorities: t.Sequence[Issued], chain: t.Sequence[Issued]) -> None:
    check_credentials(bundle(*authorities), certificate(*chain), private_key(LEAF.key_pem))


def test_the_traditional_form_of_a_key_is_fine() -> None:
    check_credentials(bundle(CA), certificate(LEAF), private_key(key_pem(LEAF.key, traditional=True)))


SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
EXPIRED_CA = issue("etcd peer CA", is_ca=True, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
FUTURE_CA = issue("etcd peer CA", is_ca=True, not_before=NOW + DAY)


def _leaf(issuer: Issued = CA, **options: t.Any) -> Issued:
    return issue("etcd-1", issuer, key=LEAF.key, **options)


class Bad(t.NamedTuple):
    """Credentials that are refused, the reason for machines and a part of the line for people."""

    reason: str | None
    message: str
    leaf: Material = certificate(LEAF)
    key: Material = private_key(LEAF.key_pem)
    trust: Material = bundle(CA)


BAD = {
    "unknown authority": Bad(
        "unknown_authority",
        r"signed by 'etcd peer CA', an authority that is not in /pki/ca.crt \(there: stranger's CA, serial",
        trust=bundle(OTHER_CA),
    ),
    "a CA of the same name": Bad(
        "unknown_authority", "give the bundle with the CA that signed it", trust=bundle(SAME_NAME_CA)
    ),
    "self-signed": Bad("unknown_authority", "signed by 'etcd-1'", leaf=certificate(issue("etcd-1", key=LEAF.key))),
    "intermediate missing": Bad(
        "unknown_authority", "signed by 'etcd middle CA'", leaf=certificate(_leaf(INTERMEDIATE))
    ),
    "expired": Bad(
        "expired",
        r"certificate in /pki/etcd-1.crt \(etcd-1, .* has expired at \S+Z and this host's clock says \S+Z: renew",
        leaf=certificate(_leaf(not_before=NOW - 9 * DAY, not_after=NOW - DAY)),
    ),
    "not yet valid": Bad(
        "not_yet_valid",
        r"/pki/etcd-1.crt .* is not yet valid: it begins at \S+Z and this host's clock says \S+Z: set the clock right",
        leaf=certificate(_leaf(not_before=NOW + DAY)),
    ),
    "no clientAuth": Bad(
        "extended_key_usage", "lacks clientAuth:", leaf=certificate(_leaf(extended_key_usages=[SERVER]))
    ),
    "no serverAuth": Bad(
        "extended_key_usage", "lacks serverAuth:", leaf=certificate(_leaf(extended_key_usages=[CLIENT]))
    ),
    "no usage named": Bad(
        "extended_key_usage", "lacks serverAuth and clientAuth:", leaf=certificate(_leaf(extended_key_usages=None))
    ),
    "no digitalSignature": Bad(
        "key_usage", "digitalSignature", leaf=certificate(_leaf(key_usages=["content_commitment"]))
    ),
    "the only CA has expired": Bad("expired", "the CA in /pki/ca.crt .* has expired", trust=bundle(EXPIRED_CA)),
    "the only CA begins later": Bad(
        "not_yet_valid", "the CA in /pki/ca.crt .* is not yet valid", trust=bundle(FUTURE_CA)
    ),
    "its own CA has expired": Bad(
        "expired",
        "a CA in /pki/ca.crt .* has expired",
        leaf=certificate(_leaf(EXPIRED_CA)),
        trust=bundle(EXPIRED_CA, OTHER_CA),
    ),
    "a leaf in the bundle": Bad("not_a_ca", "holds etcd-1, .* no CA certificate", trust=bundle(CA, LEAF)),
    "a CA as the leaf": Bad("is_a_ca", "a CA's certificate", leaf=certificate(CA), key=private_key(CA.key_pem)),
    "key of another certificate": Bad(
        "private_key_mismatch",
        "key in /pki/etcd-1.key does not belong to the certificate in /pki/etcd-1.crt",
        key=private_key(OTHER_CA.key_pem),
    ),
    "key of another kind": Bad("private_key_mismatch", "does not belong", key=private_key(key_pem(RSA_KEY))),
    "key of another curve": Bad(
        "private_key_mismatch", "does not belong", key=private_key(key_pem(new_key("ecdsa-p384")))
    ),
    "Ed25519 key": Bad("private_key_mismatch", "does not belong", key=private_key(key_pem(new_key("ed25519")))),
    "encrypted key": Bad("encrypted", "key in /pki/etcd-1.key is encrypted", key=private_key(key_pem(LEAF.key, b"x"))),
    "encrypted key, old form": Bad(
        "encrypted", "can't ask for a passphrase", key=private_key(key_pem(LEAF.key, b"x", traditional=True))
    ),
    "empty key": Bad("empty", "/pki/etcd-1.key is empty", key=private_key("\n")),
    "certificate as the key": Bad("unreadable", "/pki/etcd-1.key holds no private key", key=private_key(LEAF.pem)),
    "key cut off": Bad(None, "/pki/etcd-1.key is broken PEM", key=private_key(LEAF.key_pem[:120])),
    "key damaged": Bad(
        "unreadable",
        "/pki/etcd-1.key can't be read by OpenSSL",
        key=private_key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
    ),
    "empty certificate": Bad(None, "/pki/etcd-1.crt is empty", leaf=Material("/pki/etcd-1.crt", b"")),
    "broken certificate": Bad(
        None, "/pki/etcd-1.crt is broken PEM", leaf=Material("/pki/etcd-1.crt", LEAF.pem[:99].encode())
    ),
    "key as the certificate": Bad(
        "private_key", "/pki/etcd-1.crt holds a private key", leaf=Material("/pki/etcd-1.crt", LEAF.key_pem.encode())
    ),
    "key behind the certificate": Bad(
        "private_key",
        "/pki/etcd-1.crt holds a private key .PRIVATE KEY. among its certificates",
        leaf=Material("/pki/etcd-1.crt", (LEAF.pem + LEAF.key_pem).encode()),
    ),
    "CA's key behind the CA": Bad(
        "private_key",
        "/pki/ca.crt holds a private key .EC PRIVATE KEY. among its certificates",
        trust=Material("/pki/ca.crt", (CA.pem + key_pem(CA.key, traditional=True)).encode()),
    ),
    "a block that is no certificate": Bad(
        "not_a_certificate",
        "/pki/ca.crt holds a block TRUSTED CERTIFICATE, which etcd would not read",
        trust=Material("/pki/ca.crt", (CA.pem + CA.pem.replace(" CERT", " TRUSTED CERT")).encode()),
    ),
    "empty bundle": Bad(None, "/pki/ca.crt is empty", trust=Material("/pki/ca.crt", b"")),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_credentials(bad: Bad) -> None:
    with pytest.raises(CryptoError, match=bad.message) as caught:
        check_credentials(bad.trust, bad.leaf, bad.key)
    line = str(caught.value)
    assert caught.value.details.get("reason") == bad.reason
    assert "\n" not in line and "_ssl.c" not in line
    # A remedy, and no byte of the key.
    assert ":" in line
    body = "".join(bad.key.content.decode().splitlines()[1:-1])
    assert not body or body[:20] not in line


def test_the_handshake_itself_sees_a_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look into the certificate comes first; without it the handshake still refuses."""
    monkeypatch.setattr(tls_check, "check_certificate", lambda found, usages: check_certificate(found, usages=()))
    for usage in (SERVER, CLIENT):
        leaf = _leaf(extended_key_usages=[usage])
        with pytest.raises(CryptoError) as caught:
            check_credentials(bundle(CA), certificate(leaf), private_key(LEAF.key_pem))
        assert caught.value.details["reason"] == "key_usage"


def test_a_clients_pair_serves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with clientAuth alone is good for a client; one without it is not, which the handshake sees by itself."""
    leaf = _leaf(extended_key_usages=[CLIENT])
    found = check_credentials(bundle(CA), certificate(leaf), private_key(LEAF.key_pem), tls_check.CLIENT)
    assert found.extended_key_usage == ("clientAuth",)
    served = _leaf(extended_key_usages=[SERVER])
    monkeypatch.setattr(tls_check, "check_certificate", lambda found, usages: check_certificate(found, usages=()))
    with pytest.raises(CryptoError) as caught:
        check_credentials(bundle(CA), certificate(served), private_key(LEAF.key_pem), tls_check.CLIENT)
    assert caught.value.details["reason"] == "key_usage"


def test_a_weak_key_is_named() -> None:
    """How long is long enough depends on the host's policy, so OpenSSL's answer is put there."""
    error = ssl.SSLError()
    error.reason = "EE_KEY_TOO_SMALL"
    found = tls_check._translated(
        error, bundle(CA), check_trust_bundle(bundle(CA)), certificate(LEAF), check_certificate(certificate(LEAF))
    )
    assert found.details["reason"] == "too_weak" and "the key of the certificate in /pki/etcd-1.crt" in str(found)


def test_a_weak_key_is_named_where_it_is_loaded() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DEFAULT@SECLEVEL=2")
    weak = issue("etcd-1", CA, key=new_key("rsa-1024"))
    chain = read_certificates(weak.pem)
    with pytest.raises(CryptoError, match=r"the key of the certificate in /pki/etcd-1\.crt .* is too weak") as caught:
        tls_check._load_pair(context, chain, certificate(weak), private_key(weak.key_pem))
    assert caught.value.details["reason"] == "too_weak"


def test_any_other_refusal_keeps_openssl_reason() -> None:
    error = ssl.SSLError()
    error.reason = "NO_SHARED_CIPHER"
    found = tls_check._translated(
        error, bundle(CA), check_trust_bundle(bundle(CA)), certificate(LEAF), check_certificate(certificate(LEAF))
    )
    assert found.details["reason"] == "handshake" and "no shared cipher" in str(found)


@pytest.mark.parametrize(("key", "fits"), [(LEAF.key, True), (CA.key, False), (RSA_KEY, False)])
def test_private_key_fits(key: t.Any, fits: bool) -> None:
    assert private_key_fits(certificate(LEAF), private_key(key_pem(key))) is fits


def test_a_key_fits_an_expired_certificate() -> None:
    """Whether key and certificate belong together has nothing to do with dates or trust."""
    leaf = _leaf(OTHER_CA, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    check_pair(certificate(leaf), private_key(LEAF.key_pem))


def test_an_encrypted_key_never_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the look at the PEM miss an encrypted key, OpenSSL's question is refused."""
    monkeypatch.setattr(tls_check, "check_private_key", lambda key: None)
    with pytest.raises(CryptoError, match="is encrypted"):
        private_key_fits(certificate(LEAF), private_key(key_pem(LEAF.key, b"x")))


def test_check_private_key_takes_the_first_key() -> None:
    check_private_key(private_key(LEAF.pem + LEAF.key_pem))


def test_no_secret_touches_a_disk_and_nothing_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, certfile: t.Any, keyfile: t.Any = None, password: t.Any = None) -> None:
        seen.extend((os.readlink(certfile), os.readlink(keyfile)))
        load(context, certfile, keyfile, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    before = sorted(os.listdir("/proc/self/fd"))
    check_credentials(bundle(CA), certificate(LEAF), private_key(LEAF.key_pem))
    assert seen and all(re.fullmatch(r"/memfd:ringfence \(deleted\)", path) for path in seen)
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_without_anonymous_files_there_is_no_check(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    def refuse(*_arguments: t.Any) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "memfd_create", refuse)
    with pytest.raises(FileError, match="memfd_create"):
        check_pair(certificate(LEAF), private_key(LEAF.key_pem))


def test_material_does_not_show_its_content() -> None:
    assert "PRIVATE" not in repr(private_key(LEAF.key_pem))


def test_a_host_at_its_limits_is_told(tmp_path: pathlib.Path) -> None:
    """No file may have more than so many bytes, those in memory neither. Or OpenSSL can open no more of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(FileError, match="keys can't be checked in this host's memory: File too large"):
            private_key_fits(certificate(LEAF), private_key(LEAF.key_pem))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    full = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    with pytest.raises(FileError, match="Too many open files"), in_memory(b"x"):
        raise full
    with pytest.raises(ssl.SSLError), in_memory(b"x"):
        raise ssl.SSLError("no pem")
