# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CA as a user gives it: one certificate, or the issuing CA with its parents, and its key.

``checked_authority`` is for the controller, at the start of a run: before any host is spoken to and before a module has
any of it. It needs ``cryptography`` only for what a key or a signature says; without it that is told by the CA's host,
which asks the same functions.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import given_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import authority_chain, certificates, keys

if t.TYPE_CHECKING:  # pragma: no cover
    import datetime

    from ansible_collections.ringfence.etcd.plugins.module_utils._pki.der import Certificate
    from cryptography import x509

CERTIFICATE = "etcd_peer_tls_ca_certificate"
PRIVATE_KEY = "etcd_peer_tls_ca_private_key"
PASSPHRASE = "etcd_peer_tls_ca_passphrase"


@dataclass(frozen=True)
class GivenAuthority:
    """What was given, written anew from what was read. ``certificate``: the issuing CA's; ``parents``: nearest first.

    ``private_key`` is empty where none was given; an encrypted one stays encrypted.
    """

    certificate: str
    parents: tuple[str, ...] = ()
    private_key: str = field(default="", repr=False)

    @property
    def bundle(self) -> str:
        """What members trust (``ca.crt``), and what is given to modules as the CA: the issuing CA first."""
        return "".join((self.certificate, *self.parents))


def checked_authority(
    certificate: t.Any, private_key: t.Any = "", passphrase: t.Any = "", now: datetime.datetime | None = None
) -> GivenAuthority | None:
    """The CA in the role's variables; None where none is given; InputError with one line naming the variable else.

    ``now`` None: dates are not looked at, as a proof has to tell of a CA that has ended. Nothing that is raised holds a
    part of what was given.
    """
    texts = {CERTIFICATE: certificate, PRIVATE_KEY: private_key, PASSPHRASE: passphrase}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise InputError(f"{name} is no text: give the PEM itself" if name != PASSPHRASE else f"{name} is no text")
    if not (certificate or "").strip():
        if (private_key or "").strip():
            raise InputError(f"{PRIVATE_KEY} is given without {CERTIFICATE}: give the CA's certificate too")
        return None
    try:
        return _checked(certificate, private_key or "", passphrase or None, now)
    except RingfenceError as exc:
        # No cause: what is raised below may know more than may be shown.
        raise InputError(str(exc)) from None


def read_authority(
    text: str | bytes, what: str, private_key: keys.PrivateKey | None = None, key_name: str = "the private key"
) -> tuple[Certificate, ...]:
    """The certificates of a CA's public text, the issuing CA first; CryptoError where they are not one usable CA.

    Signatures are looked at where ``cryptography`` is at hand. With the private key the issuing CA is the one that it
    belongs to.
    """
    if not keys.has_cryptography():
        return authority_chain.read_chain(text, what)
    public = None if private_key is None else keys.public_key_bytes(private_key.public_key())
    return authority_chain.read_chain(
        text,
        what,
        is_signed_by=lambda one, other: _is_signed_by(loaded(one, what), _public_key(other, what)),
        is_of_key=None if public is None else lambda one: keys.public_key_bytes(_public_key(one, what)) == public,
        key_name=key_name,
    )


def loaded(certificate: Certificate, what: str) -> x509.Certificate:
    return certificates.load_certificate(given_pem.written_certificate(certificate.der).encode("ascii"), what)


def _is_signed_by(certificate: x509.Certificate, public_key: keys.PublicKey) -> bool:
    """Where the library can't tell, the names did."""
    return not certificates.can_check_signature(certificate) or certificates.is_signed_by(certificate, public_key)


def _public_key(certificate: Certificate, what: str) -> keys.PublicKey:
    return t.cast("keys.PublicKey", loaded(certificate, what).public_key())


def _checked(
    certificate: str, private_key: str, passphrase: str | None, now: datetime.datetime | None
) -> GivenAuthority:
    key_text, key = "", None
    if private_key.strip():
        block = given_pem.private_key_block(private_key, PRIVATE_KEY, passphrase is not None, PASSPHRASE)
        key_text = given_pem.written(block)
        if keys.has_cryptography():
            key = keys.load_private_key(key_text.encode("ascii"), PRIVATE_KEY, passphrase, PASSPHRASE)
    chain = read_authority(certificate, CERTIFICATE, key, PRIVATE_KEY)
    problem = None if now is None else authority_chain.why_not_now(chain, CERTIFICATE, now)
    if problem is not None:
        raise InputError(problem)
    issuing, *parents = (given_pem.written_certificate(one.der) for one in chain)
    return GivenAuthority(issuing, tuple(parents), key_text)


__all__ = (
    "CERTIFICATE",
    "PASSPHRASE",
    "PRIVATE_KEY",
    "GivenAuthority",
    "checked_authority",
    "loaded",
    "read_authority",
)
