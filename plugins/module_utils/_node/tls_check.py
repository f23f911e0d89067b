# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks by a real handshake of OpenSSL whether certificate, private key and trust bundle are good for their purpose.

A member is server and client with the same pair, so both ends of one mutual TLS handshake carry it here, in memory. Of
a client's pair the server alone asks.
The key reaches OpenSSL through an anonymous file in memory (memfd): no secret touches a disk.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import ssl
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._node.memory import PARTIAL_CHAIN, in_memory
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, PemBlock, split_pem

# How OpenSSL says that a key belongs to another certificate: the last two where the kinds of key differ.
_MISFITS = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED", "NO_PRIVATE_KEY_ASSIGNED")
_TOO_WEAK = ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "EE_MD_TOO_WEAK")

# X509_V_ERR_… (x509_vfy.h), as SSLCertVerificationError.verify_code gives them.
_SIGNATURE_FAILURE = 7
_NOT_YET_VALID = 9
_EXPIRED = 10
_NO_ISSUER = (2, 18, 19, 20, 21)
_PURPOSE = (26, 27, 28)
_WEAK = (66, 67, 68)

# What a pair is for: a member's is both, a client's one.
PEER = ("serverAuth", "clientAuth")
CLIENT = ("clientAuth",)


@dataclass(frozen=True)
class Material:
    """One PEM file's content, and its name in messages (``/etc/etcd/pki/etcd-1.key``, ``private_key_content``)."""

    name: str
    content: bytes = field(repr=False)


class _Encrypted(Exception):
    """Raised by the password callback: without one OpenSSL would ask on the terminal and wait forever."""


def read_public(material: Material) -> tuple[Certificate, ...]:
    """The certificates of a file that everybody may read; CryptoError where it holds anything else, a key above all.

    What etcd would not read in a certificate is looked at on the controller, where the certificates come from.
    """
    for block in split_pem(material.content, material.name):
        if _is_key(block):
            raise CryptoError(
                f"{material.name} holds a private key ({block.label}) among its certificates, and that file is for "
                "everybody to read: give the certificates alone, and the key, if it is wanted, in its own place",
                reason="private_key",
            )
        if block.label != CERTIFICATE_LABEL:
            raise CryptoError(
                f"{material.name} holds a block {block.label}, which etcd would not read: give certificates alone, "
                "each as a block CERTIFICATE (openssl x509 writes it so)",
                reason="not_a_certificate",
            )
    return read_certificates(material.content, material.name)


def private_key_block(private_key: Material) -> PemBlock:
    """The one private key of a file; CryptoError as ``check_private_key``."""
    check_private_key(private_key)
    return next(block for block in split_pem(private_key.content, private_key.name) if _is_key(block))


def _is_key(block: PemBlock) -> bool:
    return block.label.endswith("PRIVATE KEY")


def private_key_fits(certificate: Material, private_key: Material) -> bool:
    """Whether the private key belongs to the certificate; CryptoError where one of the two can't be read."""
    chain = read_certificates(certificate.content, certificate.name)
    check_private_key(private_key)
    return _load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), chain, certificate, private_key)


def check_private_key(private_key: Material) -> None:
    """CryptoError unless there is one private key in PEM that is not encrypted. OpenSSL checks whether it is sound."""
    if not private_key.content.strip():
        raise CryptoError(f"{private_key.name} is empty: a private key in PEM is wanted", reason="empty")
    keys = [block for block in split_pem(private_key.content, private_key.name) if _is_key(block)]
    if not keys:
        raise CryptoError(
            f"{private_key.name} holds no private key in PEM: a line "
            "-----BEGIN PRIVATE KEY----- is wanted, not indented",
            reason="unreadable",
        )
    if keys[0].label.startswith("ENCRYPTED") or any("ENCRYPTED" in header for header in keys[0].headers):
        raise _encrypted(private_key)


def check_trust_bundle(bundle: Material, now: datetime.datetime | None = None) -> tuple[Certificate, ...]:
    """The bundle's CA certificates; CryptoError unless all of them are CAs and at least one is valid now."""
    now = now or _now()
    authorities = read_public(bundle)
    for authority in authorities:
        if not authority.is_ca:
            raise CryptoError(
                f"{bundle.name} holds {_described(authority)}, which is "
                "no CA certificate: only CAs belong in a trust bundle",
                reason="not_a_ca",
            )
    if not any(authority.not_before <= now <= authority.not_after for authority in authorities):
        raise _not_valid_now(authorities[0], f"the CA in {bundle.name}", now)
    return authorities


def check_certificate(
    certificate: Material, now: datetime.datetime | None = None, usages: t.Sequence[str] = PEER
) -> Certificate:
    """The leaf; CryptoError unless it is no CA's certificate, valid now and good for what the pair is for.

    This checks the certificate by itself, for when its key or the trust bundle is not at hand yet.
    """
    now = now or _now()
    leaf = read_public(certificate)[0]
    if leaf.is_ca:
        raise CryptoError(
            f"{certificate.name} holds {_described(leaf)}, a CA's "
            f"certificate: the {_whose(usages)}'s own is wanted (two files swapped?)",
            reason="is_a_ca",
        )
    if not leaf.not_before <= now <= leaf.not_after:
        raise _not_valid_now(leaf, f"the certificate in {certificate.name}", now)
    lacking = [usage for usage in usages if usage not in (leaf.extended_key_usage or ())]
    if lacking:
        advice = (
            "etcd takes no other for a client's, issue it with that extended key usage"
            if usages == CLIENT
            else "a member of etcd is server and client to its peers, issue it with both extended key usages"
        )
        raise CryptoError(
            f"the certificate in {certificate.name} ({_described(leaf)}) lacks {' and '.join(lacking)}: {advice}",
            reason="extended_key_usage",
        )
    return leaf


def _whose(usages: t.Sequence[str]) -> str:
    return "client" if usages == CLIENT else "member"


def check_credentials(
    bundle: Material, certificate: Material, private_key: Material, usages: t.Sequence[str] = PEER
) -> Certificate:
    """The leaf, proved good: the key fits, and a mutual TLS handshake with the bundle as trust succeeds."""
    authorities = check_trust_bundle(bundle)
    chain = read_public(certificate)
    check_pair(certificate, private_key)
    leaf = check_certificate(certificate, usages=usages)
    refusal = _refusal(authorities, chain, certificate, private_key, usages)
    if refusal is not None and len(authorities) > 1:
        # Of several CAs of one name OpenSSL may take the wrong one where the leaf has no authority key identifier;
        # Go, and so etcd, tries all of them.
        alone = (_refusal((authority,), chain, certificate, private_key, usages) for authority in authorities)
        refusal = None if any(one is None for one in alone) else refusal
    if refusal is not None:
        raise _translated(refusal, bundle, authorities, certificate, leaf)
    return leaf


def check_pair(certificate: Material, private_key: Material) -> None:
    """CryptoError unless the private key belongs to the certificate."""
    if not private_key_fits(certificate, private_key):
        raise CryptoError(
            f"the private key in {private_key.name} does not belong to the certificate in {certificate.name}: give "
            "the pair that was made together, or issue the certificate anew",
            reason="private_key_mismatch",
        )


def _refusal(
    trusted: t.Sequence[Certificate],
    chain: t.Sequence[Certificate],
    certificate: Material,
    private_key: Material,
    usages: t.Sequence[str],
) -> ssl.SSLError | None:
    """Why a member with this pair would not take itself for a peer, or the client for one; None where it would."""
    contexts = []
    for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        is_asking = protocol == ssl.PROTOCOL_TLS_SERVER or usages == PEER
        context.verify_mode = ssl.CERT_REQUIRED if is_asking else ssl.CERT_NONE
        context.verify_flags |= PARTIAL_CHAIN
        context.load_verify_locations(cadata=b"".join(authority.der for authority in trusted))
        _load_pair(context, chain, certificate, private_key)
        contexts.append(context)
    try:
        _shake_hands(*contexts)
    except ssl.SSLError as exc:
        return exc
    return None


def _load_pair(
    context: ssl.SSLContext, chain: t.Sequence[Certificate], certificate: Material, private_key: Material
) -> bool:
    """Put certificate and key in the context; False where they do not belong together."""

    def refuse() -> str:
        raise _Encrypted

    pem = "".join(ssl.DER_cert_to_PEM_cert(one.der) for one in chain).encode("ascii")
    try:
        with in_memory(pem) as certificate_path, in_memory(private_key.content) as private_key_path:
            context.load_cert_chain(certificate_path, private_key_path, password=refuse)
    except _Encrypted:
        raise _encrypted(private_key) from None
    except ssl.SSLError as exc:
        if exc.reason in _MISFITS:
            return False
        if exc.reason in _TOO_WEAK:
            raise _too_weak(certificate, exc.reason) from None
        # The certificate was read before, so what OpenSSL can't read is the key.
        raise CryptoError(
            f"the private key in {private_key.name} can't be read by OpenSSL: put the original there again, or issue "
            "the certificate with a new key",
            reason="unreadable",
        ) from None
    return True


def _shake_hands(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    """One mutual handshake in memory; SSLError where one of the two ends refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server, server_side=False)
    waiting = [client, server]
    # TLS 1.3 needs three turns, TLS 1.2 four; the bound is there so that no surprise can make it endless.
    for _turn in range(20):
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
        if not waiting:
            return
    raise ssl.SSLError("the handshake does not come to an end")  # pragma: no cover (no way there is known)


def _translated(
    error: ssl.SSLError,
    bundle: Material,
    authorities: t.Sequence[Certificate],
    certificate: Material,
    leaf: Certificate,
) -> CryptoError:
    """What OpenSSL's refusal means to the user, and the way out."""
    code = getattr(error, "verify_code", None)
    subject = f"the certificate in {certificate.name} ({_described(leaf)})"
    if code in _NO_ISSUER or code == _SIGNATURE_FAILURE:
        known = ", ".join(sorted({_described(authority) for authority in authorities}))
        issuer = leaf.issuer_common_name or "a nameless CA"
        return CryptoError(
            f"{subject} is signed by {issuer!r}, an authority that is not in {bundle.name} (there: {known}): give the "
            "bundle with the CA that signed it, or issue it anew from this CA",
            reason="unknown_authority",
        )
    if code in (_EXPIRED, _NOT_YET_VALID):
        # The leaf's own dates were checked before: it is a CA on the way up.
        issuers = [authority for authority in authorities if authority.subject == leaf.issuer]
        return _not_valid_now((issuers or list(authorities))[0], f"a CA in {bundle.name}", _now())
    if code in _PURPOSE:
        usages = ", ".join(leaf.key_usage or ()) or "none"
        return CryptoError(
            f"{subject} or its CA has a key usage that TLS refuses (key "
            f"usage: {usages}): issue it anew with digitalSignature",
            reason="key_usage",
        )
    if code in _WEAK or error.reason in _TOO_WEAK:
        return _too_weak(certificate, error.reason or "")
    why = getattr(error, "verify_message", None) or error.reason or str(error)
    return CryptoError(
        f"{subject} fails a TLS handshake with itself: {str(why).lower().replace('_', ' ')}: issue it anew",
        reason="handshake",
    )


def _not_valid_now(certificate: Certificate, subject: str, now: datetime.datetime) -> CryptoError:
    clock = f"this host's clock says {iso_time(now)}"
    if now < certificate.not_before:
        return CryptoError(
            f"{subject} ({_described(certificate)}) is not yet valid: it begins at {iso_time(certificate.not_before)} "
            f"and {clock}: set the clock right, or issue it with an earlier begin",
            reason="not_yet_valid",
        )
    return CryptoError(
        f"{subject} ({_described(certificate)}) has expired at "
        f"{iso_time(certificate.not_after)} and {clock}: renew it, or set the clock right",
        reason="expired",
    )


def _encrypted(private_key: Material) -> CryptoError:
    return CryptoError(
        f"the private key in {private_key.name} is encrypted: etcd can't ask for a passphrase, give it without one",
        reason="encrypted",
    )


def _too_weak(certificate: Material, reason: str) -> CryptoError:
    what = "signature" if "MD" in reason else "key"
    return CryptoError(
        f"the {what} of the certificate in {certificate.name} or of its CA is too weak for OpenSSL's policy on this "
        "host: issue it anew with a stronger one",
        reason="too_weak",
    )


def _described(certificate: Certificate) -> str:
    return f"{certificate.common_name or 'no common name'}, serial number {certificate.serial_number}"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


__all__ = (
    "CLIENT",
    "PEER",
    "Material",
    "check_certificate",
    "check_credentials",
    "check_pair",
    "check_private_key",
    "check_trust_bundle",
    "private_key_block",
    "private_key_fits",
    "read_public",
)
