# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which members a run adds to a cluster that lives, and which it removes: by the inventory and the cluster's own list.

Adding takes nothing away, so being in the inventory says it. Removing does: it is said by name in that very run. Both
need that all members that tell a list tell the same one; in doubt nothing is planned, and the preflight checks refuse.

Who that is the planner's own view tells (``leaving`` and ``coming`` in ``change_view``), so that those who change are
those whose steps are in the plan. Here it is asked of what was gathered, before there is a CA to plan with, and also
where not all hosts are seen. Whether it may be done is asked once more on a node, at the last moment
(``_member/membership``).

Pure. Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Data,
    Desired,
    Host,
    ListedMember,
    MemberList,
    State,
    WantedMember,
    Words,
    is_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    Info,
    Listed,
    PreflightQuestion,
    has_data,
    is_formed,
    is_running,
    reported_lists,
)

# Of a process it counts here that there is one.
_RUNS = Config("", common_names=None, authorities=frozenset(), serves=frozenset())


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
    view = _view(cluster, listed)
    # Data that lies on one of these hosts is that of a member that was renamed: not one that goes.
    gone = {one.listed.member_id for one in view.leaving() if one.wanted is not None or one.host is None}
    joins = tuple(wanted.name for wanted in view.coming() if not _is_doubtful(cluster.infos[wanted.name]))
    return MembershipChanges(tuple(one for one in listed if one.member_id in gone), joins)


def _is_doubtful(info: Info) -> bool:
    return bool((info.get("data") or {}).get("problem"))


def agreed_list(cluster: Cluster) -> list[Listed] | None:
    """The member list that all tell who tell any; None where nobody does, or they differ."""
    lists = [sorted(listed, key=lambda one: one.member_id) for listed in reported_lists(cluster).values()]
    return lists[0] if lists and all(one == lists[0] for one in lists) else None


def wanted_of(cluster: Cluster, one: Listed) -> Member | None:
    """The member of this run that a member of the cluster's list is."""
    return next((member for member in cluster.members if is_of(one, member)), None)


def words_of(question: PreflightQuestion) -> Words:
    """What this run says about members."""
    return Words(
        removed=frozenset(question.removed),
        removed_urls=frozenset(question.removed_urls),
        replace=frozenset(question.replaced),
    )


def as_listed(one: Listed) -> ListedMember:
    """A member of a reported list, as plans are made from it. Only one that has run has client URLs there."""
    return ListedMember(one.member_id, one.name, one.peer_urls, one.is_learner, started=bool(one.client_urls))


def data_of(info: Info) -> Data | None:
    """Whose data is on a host. A folder that can't be read may hold anything."""
    found = info.get("data") or {}
    if not has_data(info) and not found.get("problem"):
        return None
    return Data(found.get("member_id"), found.get("cluster_id"), is_formed(info) or not has_data(info))


def is_marked(info: Info) -> bool:
    """Whether root's marker on a host says that a member of a formed cluster has had data there."""
    return (info.get("formed_marker") or {}).get("exists") is True


def _view(cluster: Cluster, listed: list[Listed]) -> View:
    """All that tells who is who. Names, CAs and places of their certificates are none of it."""
    wanted = tuple(
        WantedMember(member.name, member.host, member.common_name, member.peer_url, member.client_url, frozenset())
        for member in cluster.members
    )
    hosts = {
        member.host: Host(
            member.host,
            process=_RUNS if is_running(info) else None,
            data=data_of(info),
            marked=is_marked(info),
        )
        for member, info in cluster.inspected()
    }
    desired = Desired(wanted, issuer="", authorities=frozenset(), words=words_of(cluster.question))
    return View(desired, State(hosts, MemberList(tuple(map(as_listed, listed)), cluster_id="")))


__all__ = (
    "MembershipChanges",
    "agreed_list",
    "as_listed",
    "data_of",
    "is_marked",
    "membership_changes",
    "wanted_of",
    "words_of",
)
