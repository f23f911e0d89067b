# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run revokes: what the user named and what members that leave were given, held against what members present.

Pure. What is meant comes from the CA's index (``etcd_peer_stranger``), what is presented from the hosts.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import is_said
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    MembershipChanges,
    agreed_list,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import CA, PendingChange
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Cluster
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.revocation import Meant, Presented, why_kept
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_ders
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import load_der, load_leaf
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificates import fingerprint
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.revocation_list import (
    RevocationList,
    is_of_authority,
    read_revocation_list,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._leaked_keys import (
    LeakedKeys,
    leaked_numbers,
    pending_keys,
)

if t.TYPE_CHECKING:  # pragma: no cover
    from cryptography import x509

_LIST = "the CA's revocation list"


@dataclass(frozen=True)
class AskedRevocation:
    """``refused``: why the run may not go on, a line each; ``notes``: what the user has to know.

    ``leaked``: what members present whose keys have leaked, and get new ones in this run.
    """

    serial_numbers: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    pending: tuple[PendingChange, ...] = ()
    notes: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()


def asked_revocation(
    cluster: Cluster,
    changes: MembershipChanges,
    words: t.Sequence[str],
    authority: t.Mapping[str, t.Any],
    authority_problem: str,
    leaked: LeakedKeys | None = None,
) -> AskedRevocation:
    """``authority``: the CA as its host told it."""
    leaked = leaked or LeakedKeys()
    if (words or leaked.names) and authority.get("index_begun") is None:
        why = (
            authority_problem or "; ".join(one["text"] for one in authority.get("pending", ())) or "there is no CA yet"
        )
        word = "revoked" if words else "keys_leaked"
        return AskedRevocation(refused=(f"etcd_peer_tls_{word}: what is meant can't be found out: {why}",))
    given = t.cast("list[Meant]", authority.get("to_revoke") or [])
    meant = [
        one
        for one in given
        if not one["removed"] or (one["word"] not in leaked.names and _has_left(cluster, changes, one["word"]))
    ]
    presented = list(_presented(cluster))
    wanted, kept = why_kept(meant, presented)
    refused = [f"etcd_peer_tls_revoked: {line}" for line in (*(authority.get("not_revoked") or ()), *kept)]
    refused += leaked.why_not_replaced(presented)
    by_number = {one["serial_number"]: one for one in wanted}
    taken_over = sorted(_taken_over(cluster, authority) - set(by_number))
    pending: list[PendingChange] = []
    if taken_over:
        text = f"{len(taken_over)} serial numbers that members refuse are to go onto this CA's list too"
        pending.append({"member": None, "part": CA, "code": "revoke", "text": text})
    for number, one in by_number.items():
        whose = f"{one['name']}, " if one["name"] else ""
        text = f"a certificate is to be revoked: {whose}serial number {number}"
        pending.append({"member": None, "part": CA, "code": "revoke", "text": text})
    replaced = [number for number in leaked.numbers_to_revoke(given, presented) if number not in by_number]
    for number in replaced:
        text = f"a certificate is to be revoked, since its key has leaked: serial number {number}"
        pending.append({"member": None, "part": CA, "code": "revoke", "text": text})
    pending += pending_keys(leaked, given, presented)
    return AskedRevocation(
        serial_numbers=tuple(dict.fromkeys((*by_number, *taken_over, *replaced))),
        refused=tuple(refused),
        pending=tuple(pending),
        notes=tuple(_notes(cluster, changes, given, authority, bool(by_number or leaked.names))),
        leaked=tuple(leaked_numbers(leaked, presented)) if leaked.is_first_look else (),
    )


def revoked_members(cluster: Cluster, authority: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Members whose certificate the CA has revoked, with its serial number: each needs another, and another key."""
    revoked = listed_numbers(authority)
    return {one.member: one.serial_number for one in _presented(cluster) if one.serial_number in revoked}


def listed_numbers(authority: t.Mapping[str, t.Any]) -> set[str]:
    """What the CA's own list has."""
    return {number for one in _lists(authority.get("revocation_list_pem")) for number in one.serial_numbers}


def _lists(pem: str | None) -> list[RevocationList]:
    return [read_revocation_list(block.der, _LIST) for block in split_pem((pem or "").encode(), _LIST)]


def _taken_over(cluster: Cluster, authority: t.Mapping[str, t.Any]) -> set[str]:
    """What members refuse and this CA does not know: of a CA before it, or of its own whose index was lost.

    A host's list counts for what a CA has signed that all members trust, and else for nothing.
    """
    settings = cluster.question.flag_settings
    if settings is None or not settings.revocation_list:
        return set()
    bundles = [_authorities(info["credentials"]["ca"]["pem"]) for _member, info in cluster.inspected()]
    trusted = [
        certificate
        for fingerprint, certificate in (bundles[0] if bundles else {}).items()
        if all(fingerprint in bundle for bundle in bundles)
    ]
    found: set[str] = set()
    for _member, info in cluster.inspected():
        with contextlib.suppress(CryptoError):
            for one in _lists((info.get("crl") or {}).get("pem")):
                if any(is_of_authority(one, certificate) for certificate in trusted):
                    found |= one.serial_numbers
    return found - listed_numbers(authority)


def _authorities(pem: str | None) -> dict[str, x509.Certificate]:
    """The CAs of a trust bundle, by their fingerprints; of one that can't be read none."""
    with contextlib.suppress(CryptoError):
        loaded = [load_der(der, "a CA") for der in certificate_ders(pem or "", "a trust bundle")]
        return {fingerprint(one): one for one in loaded}
    return {}


def _has_left(cluster: Cluster, changes: MembershipChanges, word: str) -> bool:
    """Whether a member leaves in this run, or has left: one that stays in the cluster's list keeps its certificate."""
    listed = agreed_list(cluster)
    if listed is None:
        return False
    return not any(is_said([word], one) for one in listed if not changes.removes(one.member_id))


def _presented(cluster: Cluster) -> t.Iterator[Presented]:
    """What each member's host has, and what its process was started with where that is another file."""
    for member, info in cluster.inspected():
        in_effect = (cluster.states.get(member.name) or {}).get("process_credentials") or info["credentials"]
        for credentials in (info["credentials"], in_effect):
            pem = credentials["certificate"]["pem"]
            try:
                certificate = load_leaf(pem or "", f"the certificate of {member.name}")
            except CryptoError:
                continue
            key = keys.public_key_digest(t.cast("keys.PublicKey", certificate.public_key()))
            yield Presented(member.name, serial_hex(certificate.serial_number), key)


def _notes(
    cluster: Cluster,
    changes: MembershipChanges,
    given: t.Sequence[Meant],
    authority: t.Mapping[str, t.Any],
    revokes: bool,
) -> t.Iterator[str]:
    begun = authority.get("index_begun")
    for one in changes.removals if begun is not None else ():
        if not any(each["removed"] and is_said([each["word"]], one) for each in given):
            yield (
                f"no certificate of member {one.name or one.member_id} is known, and so none is revoked: the CA's "
                f"index begins at {begun}; name it by its serial number or its file in etcd_peer_tls_revoked"
            )
    asked = {member.name for member, _info in cluster.inspected()}
    away = [member.name for member in cluster.members if member.name not in asked]
    if revokes and away:
        yield (
            f"{', '.join(away)} will not refuse what is revoked now until a run reaches them: run again over all "
            "members"
        )


__all__ = ("AskedRevocation", "asked_revocation", "listed_numbers", "revoked_members")
