# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CA as a user gives it: one certificate, or the issuing CA with its parents, and its key.

``checked_authority`` is for the controller, at the start of a run: before any host is spoken to and before a module has
any of it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import given_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import authority_chain, keys

if t.TYPE_CHECKING:  # pragma: no cover
    import datetime

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
    """The CA in the role's variables, None where none is given. InputError with one line that names the variable.

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


def _checked(
    certificate: str, private_key: str, passphrase: str | None, now: datetime.datetime | None
) -> GivenAuthority:
    key_text, key = "", None
    if private_key.strip():
        block = given_pem.private_key_block(private_key, PRIVATE_KEY, passphrase is not None, PASSPHRASE)
        key_text = given_pem.written(block)
        key = keys.load_private_key(key_text.encode("ascii"), PRIVATE_KEY, passphrase, PASSPHRASE)
    chain = authority_chain.read_chain(certificate, CERTIFICATE, key, PRIVATE_KEY)
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
)
