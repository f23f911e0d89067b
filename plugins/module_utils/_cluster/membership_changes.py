# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which members a run adds to a cluster that lives, and which it removes: by the inventory and the cluster's own list.

Adding takes nothing away, so being in the inventory says it. Removing does: it is said by name in that very run. Both
need that all members that tell a list tell the same one; in doubt nothing is planned, and the preflight checks refuse.

Who goes is removed first, then every process takes the names of those who come, then they join one after the other.
Whether it may be done is asked once more on a node, at the last moment (``_member/membership``).

Pure. Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    Info,
    Listed,
    has_data,
    is_running,
    reported_lists,
)


@dataclass(frozen=True)
class MembershipChanges:
    """``removals``: as the cluster lists them. ``joins``: names of members, in the inventory's order."""

    removals: tuple[Listed, ...] = ()
    joins: tuple[str, ...] = ()

    def removes(self, member_id: str) -> bool:
        return any(one.member_id == member_id for one in self.removals)


def membership_changes(cluster: Cluster) -> MembershipChanges:
    """What is planned; nothing where the cluster's list is not known for sure."""
    listed = agreed_list(cluster)
    if listed is None or not cluster.question.manages_service:
        return MembershipChanges()
    removals = tuple(one for one in listed if _goes(cluster, one))
    stay = [one for one in listed if one not in removals]
    joins = tuple(member.name for member, info in cluster.inspected() if _comes(cluster, member, info, stay))
    return MembershipChanges(removals, joins)


def agreed_list(cluster: Cluster) -> list[Listed] | None:
    """The member list that all tell who tell any; None where nobody does, or they differ."""
    lists = [sorted(listed, key=lambda one: one.member_id) for listed in reported_lists(cluster).values()]
    return lists[0] if lists and all(one == lists[0] for one in lists) else None


def is_said(said: t.Collection[str], one: Listed) -> bool:
    """Whether a member is meant by what the user said: its name, alone or with a domain, its id, or its peer URL."""
    return any(
        word in (one.name, one.member_id, *one.peer_urls) or (bool(one.name) and word.startswith(f"{one.name}."))
        for word in said
    )


def is_to_go(cluster: Cluster, one: Listed) -> bool:
    """Whether the user said that a member is to go. Who was added and never ran is known by its place alone."""
    question = cluster.question
    is_there = not one.name and not set(one.peer_urls).isdisjoint(question.removed_urls)
    return is_there or is_said(question.removed, one)


def wanted_of(cluster: Cluster, one: Listed) -> Member | None:
    """The member of this run that a member of the cluster's list is: by its name, and before it has one by its URL."""
    return next((member for member in cluster.members if _is_of(one, member)), None)


def _goes(cluster: Cluster, one: Listed) -> bool:
    wanted = wanted_of(cluster, one)
    if wanted is None:
        # Data that lies on one of these hosts is that of a member that was renamed: not one that goes.
        is_here = any((info.get("data") or {}).get("member_id") == one.member_id for _m, info in cluster.inspected())
        return is_to_go(cluster, one) and not is_here
    info = cluster.infos.get(wanted.name)
    if info is None or has_data(info) or is_running(info):
        return False
    return _has_run(one) and is_replaced(cluster, wanted.name)


def is_replaced(cluster: Cluster, name: str) -> bool:
    """Whether the user said that a member whose data is lost is to join anew."""
    return name in cluster.question.replaced


def _is_of(one: Listed, member: Member) -> bool:
    return one.name == member.name or (not one.name and member.peer_url in one.peer_urls)


def _has_run(one: Listed) -> bool:
    return bool(one.client_urls)


def _comes(cluster: Cluster, member: Member, info: Info, stay: t.Sequence[Listed]) -> bool:
    mine = next((one for one in stay if _is_of(one, member)), None)
    data = info.get("data") or {}
    if data.get("problem"):
        return False
    if has_data(info):
        # Begun and not ended: a learner, or one whose name has not come to the others yet.
        return mine is not None and mine.member_id == data.get("member_id") and (mine.is_learner or not mine.name)
    if (info.get("formed_marker") or {}).get("exists") and not is_replaced(cluster, member.name):
        return False
    # One that was there when the cluster was formed, and missed its first start, is listed by its name and may follow.
    return mine is None or not mine.name


__all__ = (
    "MembershipChanges",
    "agreed_list",
    "is_replaced",
    "is_said",
    "is_to_go",
    "membership_changes",
    "wanted_of",
)
