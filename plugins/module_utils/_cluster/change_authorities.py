# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAs that are at hand, and what a member's certificate says of them: by signatures and fingerprints, not by names.

Pure. A CA that a node alone has counts for that node alone: whom its certificate was signed by, and what stays in its
own bundle. It is known for the others only where all have it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import hashlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Leaf
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import (
    BACKDATE_MINUTES,
    WantedCluster,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    Info,
    has_data,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, pem_text, split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import CertificateFacts
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import issuer_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import read_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.renewal import certificate_due

# Reasons to issue a certificate that a plan has by itself, where it sees the difference.
_NAME, _NAMES = "common_name", "subject_alternative_names"


@dataclass(frozen=True)
class Authorities:
    """DER by fingerprint. ``wanted``: the CA in use and its parents, ``issuer`` the one that signs. ``known``: others
    that every member has. ``own``: by member's name, all that its host has.
    """

    issuer: str
    wanted: t.Mapping[str, bytes]
    known: t.Mapping[str, bytes] = field(default_factory=dict)
    own: t.Mapping[str, t.Mapping[str, bytes]] = field(default_factory=dict)

    def at(self, name: str) -> dict[str, bytes]:
        """Those that count on one member's host, the wanted ones first."""
        return {**self.wanted, **self.known, **self.own.get(name, {})}

    def bundle(self, name: str, fingerprints: t.Collection[str]) -> str:
        """The PEM of a trust bundle for a member's host, the wanted CA as it is given; InputError for an unknown CA."""
        at_hand = self.at(name)
        lacking = sorted(set(fingerprints) - set(at_hand))
        if lacking:
            raise InputError(
                f"member {name}: the certificate of the CA {lacking[0]} is not at hand: put it into the CA's folder"
            )
        made = [one for one in at_hand if one in fingerprints]
        return b"".join(pem_text(CERTIFICATE_LABEL, at_hand[one]) for one in made).decode("ascii")


def authorities_of(cluster: Cluster, known: t.Iterable[str] = (), to_be_made: str | None = None) -> Authorities:
    """The CAs of a run. ``known``: PEM of older ones that the controller or the CA's host has. ``to_be_made``: what
    stands for the fingerprint of a CA that this run is going to make.

    InputError where there is no CA at hand.
    """
    pem = cluster.question.authority
    if not pem and to_be_made is None:
        raise InputError("there is no CA certificate at hand: no change of a running cluster can be planned without it")
    own = {member.name: _in_bundles(_credentials(cluster, member.name)) for member, _info in cluster.inspected()}
    deployed = [own[member.name] for member, info in cluster.inspected() if has_data(info)]
    common = [one for one in (deployed[0] if deployed else {}) if all(one in theirs for theirs in deployed)]
    older = {one: der for text in known for one, der in _ders(text).items()}
    return Authorities(
        issuer=hashlib.sha256(issuer_facts(pem, "the CA certificate").certificate).hexdigest()
        if pem
        else str(to_be_made),
        wanted=_ders(pem) if pem else {str(to_be_made): b""},
        known={**{one: deployed[0][one] for one in common}, **older},
        own=own,
    )


def _credentials(cluster: Cluster, name: str) -> t.Iterator[t.Mapping[str, t.Any]]:
    """The files of a member: those of its process, where they are others, and those of a deployment."""
    process = cluster.states.get(name, {}).get("process_credentials")
    if process:
        yield process
    yield cluster.infos[name].get("credentials") or {}


def _in_bundles(credentials: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, bytes]:
    return {one: der for files in credentials for one, der in _ders((files.get("ca") or {}).get("pem")).items()}


def _ders(pem: str | None) -> dict[str, bytes]:
    """The certificates of a PEM text by fingerprint, in their order; none where it can't be read."""
    try:
        blocks = split_pem((pem or "").encode("utf-8", "replace"))
    except RingfenceError:
        return {}
    return {hashlib.sha256(one.der).hexdigest(): one.der for one in blocks if one.label == CERTIFICATE_LABEL}


def fingerprints_at(info: Info, process_credentials: t.Mapping[str, t.Any] | None, path: str) -> frozenset[str] | None:
    """The CAs in the file of that path on a host, as far as it was one of those that were read; None: it was not."""
    for files in (process_credentials, info.get("credentials")):
        bundle = (files or {}).get("ca") or {}
        if bundle.get("path") == path:
            return frozenset(_ders(bundle.get("pem")))
    return None


# Leaves ---------------------------------------------------------------------------------------------------------------


def leaf_of(
    member: Member,
    files: t.Mapping[str, t.Any],
    authorities: Authorities,
    wanted: WantedCluster,
    now: datetime.datetime,
) -> Leaf | None:
    """A member's certificate; None where there is none, or none that can be read."""
    facts = _first_certificate((files.get("certificate") or {}).get("pem"))
    if facts is None:
        return None
    at_hand = authorities.at(member.name)
    issuer = next((one for one, der in at_hand.items() if certificates.has_signed(der, facts.der)), "")
    names = frozenset((*facts.dns_names, *facts.ip_addresses))
    leaf = Leaf(facts.common_name or "", names, issuer, facts.serial_number)
    if not issuer:
        return leaf
    due = {reason["code"] for reason in _reasons(member, files, authorities, issuer, wanted, now)}
    if leaf.common_name != member.common_name:
        due.discard(_NAME)
    if leaf.names != frozenset((*member.dns_names, *member.ip_addresses)):
        due.discard(_NAMES)
    return Leaf(leaf.common_name, names, issuer, leaf.serial_number, renewal_due=bool(due))


def _first_certificate(pem: str | None) -> CertificateFacts | None:
    ders = list(_ders(pem).values())
    try:
        return read_certificate(ders[0], "the certificate") if ders else None
    except RingfenceError:
        return None


def _reasons(
    member: Member,
    files: t.Mapping[str, t.Any],
    authorities: Authorities,
    issuer: str,
    wanted: WantedCluster,
    now: datetime.datetime,
) -> list[Reason]:
    """Why a certificate is to be issued anew by the CA that signed it."""
    chain = authorities.wanted if issuer in authorities.wanted else {issuer: authorities.at(member.name)[issuer]}
    text = b"".join(pem_text(CERTIFICATE_LABEL, der) for der in chain.values())
    try:
        return certificate_due(
            rules.peer_profile(member.name, member.common_name, member.dns_names, member.ip_addresses, wanted.key_type),
            files["certificate"]["pem"],
            files["private_key"]["matches_certificate"],
            issuer_facts(text, "the CA certificate"),
            rules.renewal_rules(wanted.validity_days, wanted.renew_before_days, BACKDATE_MINUTES),
            now,
        )
    except RingfenceError as exc:
        return [Reason(code=exc.problem, text=str(exc))]


__all__ = ("Authorities", "authorities_of", "fingerprints_at", "leaf_of")
