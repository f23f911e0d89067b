# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster that is restored from a snapshot: who it is, and why it is not restored now. Pure.

Nothing is noted of how far a restore came. etcd makes the IDs of a cluster and its members of the cluster's token and
the peer URLs, and the token is made of the snapshot, so that data which was restored from it is known by its IDs. The
same command goes on where an earlier run was killed, and does nothing to a cluster that was restored by it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, one_line

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
# Into the data of 64-bit revisions; etcd's own documentation adds a billion.
BUMP_REVISIONS = (0, 2**53)


def checked_token(token: str, cluster_name: str) -> str:
    """InputError where a text is no token of its own for a restored cluster."""
    if not _TOKEN.fullmatch(token):
        raise InputError(f"etcd_peer_tls_restore_token: {token[:100]!r}: letters, digits, '.', '_' and '-' are wanted")
    if token == cluster_name:
        raise InputError(
            f"etcd_peer_tls_restore_token: {token!r} is the token of the cluster as it was: members that still run "
            "somewhere would take the restored ones for their own: give another one, or none"
        )
    return token


def token_of(cluster_name: str, sha256: str, bump_revision: int) -> str:
    """The token of a cluster that is restored from this snapshot, where the user gave none."""
    return f"{cluster_name}-{hashlib.sha256(f'{sha256} {bump_revision}'.encode()).hexdigest()[:16]}"


def restored_identity(token: str, peer_urls: t.Mapping[str, str], name: str) -> tuple[str, str]:
    """Member ID and cluster ID in hex of a restored member (etcdserver/api/membership, v3.4.23 to v3.7.3)."""
    numbers = {one: _number(f"{url}{token}".encode()) for one, url in peer_urls.items()}
    cluster = _number(b"".join(number.to_bytes(8, "big") for number in sorted(numbers.values())))
    return f"{numbers[name]:x}", f"{cluster:x}"


def _number(content: bytes) -> int:
    return int.from_bytes(hashlib.sha1(content).digest()[:8], "big")


def why_not_restored(
    cluster_name: str,
    members: t.Sequence[t.Mapping[str, t.Any]],
    plans: t.Mapping[str, t.Any],
    over_running: bool,
) -> list[str]:
    """Why a cluster is not restored, a line each; empty where it may be, or has been.

    ``plans``: by member's name what ``etcd_restore`` found on its host; a host that did not answer has none.
    """
    found = {name: plan for name, plan in plans.items() if isinstance(plan, dict) and "restored" in plan}
    missing = [one for one in members if one["name"] not in found]
    if missing:
        return [_not_without(cluster_name, hosts, why) for why, hosts in _by_reason(missing, plans).items()]
    left = [name for name, plan in found.items() if not plan["restored"]]
    if not left:
        return []
    went_on = [name for name, plan in found.items() if plan["restored"] and plan["has_run"]]
    if went_on:
        return [
            f"cluster {cluster_name} was restored from this snapshot and has run since ({', '.join(went_on)}), and "
            f"{', '.join(left)} has other data or none: started from the snapshot it would vote without what was "
            f"written since: let it join anew (playbook site with etcd_peer_tls_replaced: [{', '.join(left)}]); to "
            "restore all of them once more give a token of your own (etcd_peer_tls_restore_token)"
        ]
    running = [name for name in left if found[name]["running"]]
    if running and not over_running:
        return [
            f"cluster {cluster_name} is not restored over members that run ({', '.join(running)}): what was written "
            "since the snapshot would be gone for its clients: take a snapshot first (playbook backup), then say "
            "etcd_peer_tls_restore_over_running: true, which stops them"
        ]
    return []


def _by_reason(missing: t.Iterable[t.Mapping[str, t.Any]], plans: t.Mapping[str, t.Any]) -> dict[str, list[str]]:
    """The hosts of members that could not be planned for, by what was said of that."""
    found: dict[str, list[str]] = {}
    for one in missing:
        plan = plans.get(one["name"])
        said = plan.get("msg") if isinstance(plan, dict) and not plan.get("unreachable") else None
        found.setdefault(one_line(str(said or "")), []).append(one["host"])
    return found


def _not_without(cluster_name: str, hosts: t.Sequence[str], why: str) -> str:
    if why:
        return f"cluster {cluster_name} is not restored: {', '.join(hosts)}: {why}"
    return (
        f"cluster {cluster_name} is not restored without {', '.join(hosts)} (left out by --limit or serial, or out of "
        "reach): all its members begin from the same snapshot: mend that, or take the host out of the inventory, then "
        "run again"
    )


__all__ = ("BUMP_REVISIONS", "checked_token", "restored_identity", "token_of", "why_not_restored")
