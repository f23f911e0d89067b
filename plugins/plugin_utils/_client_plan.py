# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which certificates the clients' CA is asked for, of members' client ports and of clients, and who got none. Pure.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import is_sha256
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import load_leaf
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.revocation_list import read_revocation_list

Answer = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class ClientPlan:
    """``requests``: what ``etcd_peer_certificates`` is asked for. ``unseen``: whose host did not answer, and why.

    ``no_new_ca_because``: None where the clients' CA may be made. ``moving``: members that are listed with a place
    which is not to stay, and have it in their certificate as long.
    """

    requests: tuple[dict[str, t.Any], ...]
    trusted_fingerprints: tuple[str, ...]
    no_new_ca_because: str | None
    revoke: tuple[str, ...]
    unseen: tuple[str, ...]
    moving: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClientQuestion:
    """What is asked: members and clients of the settings, and by their names what their hosts told.

    ``authority``: the clients' CA as its host told it. ``ca_is_lost``: why a CA that is made here would be lost.
    """

    members: t.Sequence[t.Mapping[str, t.Any]]
    clients: t.Sequence[t.Mapping[str, t.Any]]
    of_members: t.Mapping[str, t.Any]
    of_clients: t.Mapping[str, t.Any]
    authority: Answer
    ca_is_lost: str = ""
    revokes: bool = False
    new_keys: bool = False
    # By member's name the hosts of the peer URLs with which the cluster lists it.
    places: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)


def plan_clients(asked: ClientQuestion) -> ClientPlan:
    """RefusedError in one line where the CA at hand is another than a member trusts, or a word means nothing."""
    authority = asked.authority.get("ca") if isinstance(asked.authority.get("ca"), dict) else None
    found = authority or {}
    if asked.revokes:
        _check_words(asked.authority, found)
    meant = list(found.get("to_revoke") or ())
    gone = {*(one["serial_number"] for one in meant), *_listed(found.get("revocation_list_pem"))}
    # Of a key that is known to others a later certificate is as bad.
    gone |= {one["key"] for one in meant if one["key"] is not None}
    seen: dict[str, dict[str, t.Any]] = {}
    unseen: list[str] = []
    wanted = [(one, "peer", one["name"], asked.of_members) for one in asked.members]
    wanted += [(one, "client", one["id"], asked.of_clients) for one in asked.clients]
    requests: list[dict[str, t.Any]] = []
    moving: list[str] = []
    for one, purpose, name, answers in wanted:
        present, why = _present(answers.get(name))
        if present is None:
            unseen.append(f"{'client' if purpose == 'client' else 'member'} {name}: {why}")
            continue
        seen[name] = present
        certificate = present.get("certificate")
        places = {"dns_names": list(one["dns_names"]), "ip_addresses": list(one["ip_addresses"])}
        hosts = asked.places.get(name, ()) if purpose == "peer" else ()
        moving += [name] if [host for host in hosts if _is_added(places, host)] else []
        requests.append(
            {
                "name": name,
                "purpose": purpose,
                "common_name": one["common_name"],
                **places,
                "certificate": certificate,
                "private_key_matches": present.get("private_key_matches"),
                "new_key": asked.new_keys or not gone.isdisjoint(_marks(certificate)),
            }
        )
    own = _fingerprint(found.get("certificate"))
    trusted = {
        name: [one for one in present.get("authorities") or () if isinstance(one, str) and is_sha256(one)]
        for name, present in seen.items()
    }
    if own is not None:
        _check_trust(own, trusted, [one["name"] for one in asked.members])
    return ClientPlan(
        tuple(requests),
        tuple(sorted({one for ones in trusted.values() for one in ones})) if own is None else (),
        _no_new_ca(asked, seen),
        tuple(dict.fromkeys(one["serial_number"] for one in meant if not one["revoked"])),
        tuple(unseen),
        tuple(moving),
    )


def left_without(
    clients: t.Sequence[t.Mapping[str, t.Any]], before: t.Mapping[str, t.Any], done: t.Mapping[str, t.Any]
) -> dict[str, str]:
    """By their names the clients that did not get what they should have, and why.

    ``before``: by their names what their hosts told first; ``done``: what came of it where they were given something.
    """
    found = {}
    for one in clients:
        why = next(filter(None, (_present(answers.get(one["id"]))[1] for answers in (before, done))), None)
        if why is not None:
            found[str(one["id"])] = why
    return found


def _is_added(places: t.Mapping[str, list[str]], host: str) -> bool:
    """Put a host among the names and addresses; whether it was none of them."""
    kind = "ip_addresses"
    try:
        host = str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        kind = "dns_names"
    if host in places[kind]:
        return False
    places[kind].append(host)
    return True


def _no_new_ca(asked: ClientQuestion, seen: t.Container[str]) -> str | None:
    absent = [one["name"] for one in asked.members if one["name"] not in seen]
    if absent:
        return f"{', '.join(absent)} can't be seen in this run, and may trust one: run over all members"
    return asked.ca_is_lost or None


def _check_trust(own: str, trusted: t.Mapping[str, t.Sequence[str]], members: t.Container[str]) -> None:
    for name, ones in trusted.items():
        if ones and own not in ones and name in members:
            raise RefusedError(
                f"member {name} trusts CA {', '.join(ones[:3])} at its client port, and not the one at hand ({own}): "
                "restore the clients' CA or name the right folder in etcd_peer_tls_client_ca_directory; nothing was "
                "changed"
            )


def _check_words(answer: Answer, authority: Answer) -> None:
    if authority.get("index_begun") is None:
        pending = "; ".join(str(one["text"]) for one in authority.get("pending") or ())
        why = pending or answer.get("msg") or "there is no CA for clients yet"
        raise RefusedError(f"etcd_peer_tls_revoked: what is meant can't be found out: {why}")
    refused = list(authority.get("not_revoked") or ())
    if refused:
        raise RefusedError("; ".join(f"etcd_peer_tls_revoked: {line}" for line in refused))


def _present(answer: t.Any) -> tuple[dict[str, t.Any] | None, str]:
    if not isinstance(answer, dict):
        return None, "its host is not part of this run"
    present = answer.get("present")
    if isinstance(present, dict) and not answer.get("failed") and not answer.get("unreachable"):
        return present, ""
    return None, " ".join(str(answer.get("msg") or "its host did not answer").split())[:300]


def _marks(pem: t.Any) -> set[str]:
    """A certificate's serial number, and the digest of its key."""
    with contextlib.suppress(CryptoError):
        if isinstance(pem, str):
            certificate = load_leaf(pem, "the certificate")
            public_key = t.cast("keys.PublicKey", certificate.public_key())
            return {serial_hex(certificate.serial_number), keys.public_key_digest(public_key)}
    return set()


def _listed(pem: t.Any) -> set[str]:
    if not isinstance(pem, str):
        return set()
    return set(read_revocation_list(split_pem(pem.encode("ascii"), "the list")[0].der, "the list").serial_numbers)


def _fingerprint(bundle: t.Any) -> str | None:
    """Of the issuing CA, which comes first."""
    if not isinstance(bundle, str) or not bundle.strip():
        return None
    return hashlib.sha256(split_pem(bundle.encode("utf-8"), "the clients' CA")[0].der).hexdigest()


__all__ = ("ClientPlan", "ClientQuestion", "left_without", "plan_clients")
