# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As whom client ports are called in a proof: a client of the CA that they trust, and one of an unknown CA.

One of each for all hosts: at the client port etcd looks at no address. Neither is a user whom RBAC knows.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import secrets
import typing as t
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    CryptoError,
    InputError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    CLIENT,
    CLIENT_UNKNOWN_CA,
    NOBODY,
    OWN,
    PEERS,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import short_lived
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import (
    Authority,
    load_authority,
    load_issuer,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_ders, written_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    check_read_by_etcd,
    load_der,
    read_certificate,
)

_CERTIFICATE, _PRIVATE_KEY = "the client in client_certificate", "the private key in client_private_key"


@dataclass(frozen=True)
class CaAtHand:
    """A CA as far as it is at hand, and why it is not."""

    authority: Authority | None
    issuer: certificates.Issuer | None
    problem: str | None


class ClientPairs(t.NamedTuple):
    """Certificates and keys as PEM under the names of their options; ``problem``: why there is no client."""

    made: dict[str, str]
    problem: str | None


def client_pairs(
    params: t.Mapping[str, t.Any], peers: CaAtHand, stranger: str | None, now: datetime, not_after: datetime
) -> ClientPairs:
    """``stranger``: a certificate of the peers' CA that a user gave, which is a client's where theirs is no other."""
    if params["client_authority"] == NOBODY:
        return ClientPairs({}, None)
    of_peers = params["client_authority"] == PEERS
    found = peers if of_peers else _own_authority(params, now)
    if found.issuer is None and params["client_certificate"] is None and params["peers_are_clients"]:
        # Whom the user calls a client as well.
        found = peers if peers.issuer is not None else found
        of_peers = True
    name = "etcd client CA" if found.authority is None else found.authority.certificate.subject
    other = short_lived.unknown_issuer(name, now, not_after)
    made = _made(CLIENT_UNKNOWN_CA, other, now - short_lived.BACKDATE, not_after)
    if found.issuer is not None and found.authority is not None:
        made.update(_made(CLIENT, found.issuer, *short_lived.limits(found.authority, now, not_after)))
        return ClientPairs(made, None)
    if params["client_certificate"] is not None and params["client_private_key"] is not None:
        try:
            given = _given(params["client_certificate"], params["client_private_key"], now)
        except RingfenceError as exc:
            return ClientPairs(made, str(exc))
        # Its key, which is an option, is blanked out in a module's result: the controller puts it there.
        return ClientPairs({**made, f"{CLIENT}_certificate": given}, None)
    if of_peers and stranger is not None:
        return ClientPairs({**made, f"{CLIENT}_certificate": stranger}, None)
    return ClientPairs(made, found.problem)


def authority_of_calls(params: t.Mapping[str, t.Any], peers: CaAtHand, now: datetime) -> CaAtHand:
    """Whose client every member lets in: while clients go from the peers' CA to another one, that of the peers."""
    is_own = params["client_authority"] == OWN and not (params["peers_are_clients"] and peers.issuer is not None)
    return _own_authority(params, now) if is_own else peers


def _own_authority(params: t.Mapping[str, t.Any], now: datetime) -> CaAtHand:
    authority = None
    folder = params["client_ca_directory"]
    try:
        if folder is None:
            raise InputError("the clients' CA is not given: set client_ca_directory")
        certificate, key = (_content(os.path.join(folder, name)) for name in ("ca.crt", "ca.key"))
        authority = load_authority(certificate, f"the clients' CA certificate {folder}/ca.crt", now)
        what = f"the clients' CA's private key {folder}/ca.key"
        issuer = load_issuer(authority, key, what, params["client_ca_private_key_passphrase"])
    except RingfenceError as exc:
        return CaAtHand(authority, None, str(exc))
    return CaAtHand(authority, issuer, None)


def _content(path: str) -> bytes:
    found = read_file(path)
    if found is None:
        raise InputError(f"there is no {path} of the clients' CA")
    return found


def _made(case: str, issuer: certificates.Issuer, not_before: datetime, not_after: datetime) -> dict[str, str]:
    name = f"client-{secrets.token_hex(8)}.ringfence.invalid"
    key = keys.make_key(short_lived.KEY_TYPE)
    profile = rules.client_profile(name, name, (), (), short_lived.KEY_TYPE)
    certificate = issuer.issue(profile, key.public_key(), not_before, not_after)
    return {
        f"{case}_certificate": certificates.certificate_pem(certificate).decode("ascii"),
        f"{case}_private_key": keys.private_key_pem(key).decode("ascii"),
    }


def _given(certificate: str, private_key: str, now: datetime) -> str:
    """The user's client, written anew; CryptoError where it would be refused whatever the CA."""
    ders = certificate_ders(certificate, _CERTIFICATE)
    facts = read_certificate(ders[0], _CERTIFICATE)
    check_read_by_etcd(facts, _CERTIFICATE)
    public_key = t.cast("keys.PublicKey", load_der(ders[0], _CERTIFICATE).public_key())
    key = keys.load_private_key(private_key.encode("utf-8"), _PRIVATE_KEY)
    if keys.public_key_bytes(key.public_key()) != keys.public_key_bytes(public_key):
        raise CryptoError(f"{_PRIVATE_KEY} does not belong to the certificate in client_certificate")
    if not facts.not_before <= now <= facts.not_after:
        raise CryptoError(
            f"{_CERTIFICATE} is valid from {iso_time(facts.not_before)} to {iso_time(facts.not_after)}, and not now"
        )
    usages = facts.extended_key_usage
    if usages is not None and not {"clientAuth", "anyExtendedKeyUsage"} & set(usages):
        raise CryptoError(f"{_CERTIFICATE} is not for clientAuth: give one that is")
    return "".join(written_certificate(der) for der in ders)


__all__ = ("CaAtHand", "ClientPairs", "authority_of_calls", "client_pairs")
