# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks of who is a member of a living cluster: no edit of the inventory cuts one off or replaces it.

Pure, as ``preflight``. What one running member reports of its cluster is enough to refuse. To go on, all members that
report anything must report the same: none of them can answer for the others.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import is_said, is_to_go
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import allowed_common_names
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member, is_common_name_of
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    agreed_list,
    membership_changes,
    wanted_of,
    words_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.partial_inventory import cure
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    Info,
    Listed,
    PreflightFailure,
    change_text,
    deployed,
    has_data,
    is_formed,
    is_managed,
    is_running,
    one_line,
    reported_lists,
)

# What a run does about a unit without starting it.
_STARTS_NOTHING = frozenset(
    (
        "make_unit_directory",
        "make_data_directory",
        "repair_data_directory",
        "write_unit",
        "repair_unit_attributes",
        "mark_formed",
        "daemon_reload",
        "enable",
    )
)


def _each_once(failures: t.Iterable[tuple[t.Hashable, PreflightFailure]]) -> t.Iterator[PreflightFailure]:
    """The first preflight failure of each subject: what one member reports need not come again from the others."""
    seen = set()
    for subject, failure in failures:
        if subject not in seen:
            seen.add(subject)
            yield failure


# Who is in the cluster, and where ------------------------------------------------------------------------------------


def refuse_other_peer_url(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Each member has the peer URL by which the cluster knows it: an address or a port is not changed by a unit."""
    lists = reported_lists(cluster)
    changes: dict[str, str] = {}
    for member in cluster.members:
        for teller, listed in lists.items():
            for one in listed:
                if one.name == member.name and one.peer_urls != (member.peer_url,):
                    found = f"{', '.join(one.peer_urls) or 'none'} in the member list that {teller} tells"
                    changes.setdefault(member.name, change_text(member.name, found, member.peer_url))
        info = cluster.infos.get(member.name, {})
        # Where no member reports the list: a member with data has the URL of its first start, or one that nobody knows.
        for settings in deployed(info) if has_data(info) and not lists else ():
            if tuple(settings.get("peer_urls") or (member.peer_url,)) != (member.peer_url,):
                found = f"{', '.join(map(one_line, settings['peer_urls']))} in what is deployed"
                changes.setdefault(member.name, change_text(member.name, found, member.peer_url))
    if changes:
        unformed = [name for name in changes if name in cluster.infos and not is_formed(cluster.infos[name])]
        instead = f", or empty the data folder of {', '.join(unformed)}, which never came to a first start"
        yield PreflightFailure(
            "peer_url_differs",
            f"cluster {cluster.question.cluster_name}: peer URLs would change ({'; '.join(changes.values())}): the "
            "other members would go on to call the old one, and the member would be cut off; a run changes it step by "
            "step where all members run and tell one member list: put the old one back into the inventory, or bring "
            "all members back first"
            f"{instead if len(unformed) == len(changes) else ''}{_no_variables(cluster, changes)}",
        )


def _no_variables(cluster: Cluster, changes: t.Container[str]) -> str:
    """Why a member whose host the inventory lacks has another address: its entry of the list gives none."""
    named = [name for name in cluster.question.not_in_inventory if name in changes]
    if not named:
        return ""
    return (
        f"; the inventory of this run has no host of {', '.join(named)} (a disabled host, or a slice of a job), and so "
        "no variables of it: give its address in its entry of etcd_peer_tls_members ({name: ..., address: ...})"
    )


def refuse_other_members(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Who is in the member list is in the inventory, under the same name, and the other way round once it has data."""
    yield from _each_once(_other_members(cluster))


def _other_members(cluster: Cluster) -> t.Iterator[tuple[str, PreflightFailure]]:
    wanted = {member.name for member in cluster.members}
    changes = membership_changes(cluster)
    # Reported as names that would be lost: those that the user did not give as removed.
    lost = {
        name
        for name in _lost_names(cluster)
        if not any(is_common_name_of(name, said) for said in cluster.question.removed)
    }
    by_id = {
        info["data"]["member_id"]: member
        for member, info in cluster.inspected()
        if has_data(info) and info["data"].get("member_id")
    }
    for teller, listed in reported_lists(cluster).items():
        for one in listed:
            if one.name in wanted or wanted_of(cluster, one) is not None:
                continue
            if not one.name:
                if not changes.removes(one.member_id):
                    yield one.member_id, _never_started(cluster, one, teller)
                continue
            if one.member_id in by_id:
                yield one.name, _renamed(one, by_id[one.member_id])
            elif changes.removes(one.member_id):
                continue
            elif is_said(cluster.question.removed, one):
                yield one.name, _still_there(cluster, one)
            elif not any(is_common_name_of(common_name, one.name) for common_name in lost):
                yield one.name, _not_in_inventory(cluster, one, teller)
        ids = {one.member_id for one in listed}
        for number, member in by_id.items():
            if number not in ids:
                yield member.name, _not_listed(cluster, member, number, teller)


def _renamed(one: Listed, member: Member) -> PreflightFailure:
    return PreflightFailure(
        "member_renamed",
        f"member {member.name}: its data is that of member {one.member_id}, which the cluster knows as {one.name}: a "
        f"member keeps its name: call it {one.name} (etcd_peer_tls_name), or remove it and let it join under another",
    )


def _never_started(cluster: Cluster, one: Listed, teller: str) -> PreflightFailure:
    """It has no name: nobody can say whose it is. Until it is gone no other one is added, and lists keep its name."""
    urls = ", ".join(map(one_line, one.peer_urls))
    found = (
        f"cluster {cluster.question.cluster_name}: a member that was added at {urls} and never ran ({one.member_id}) "
        f"is in the member list that {teller} tells, and not in this run's"
    )
    if is_to_go(words_of(cluster.question), one):
        return PreflightFailure("removed_is_a_member", f"{found}: it is to be removed, and {_why_no_change(cluster)}")
    return PreflightFailure(
        "member_not_in_inventory",
        f"{found}: {cure(cluster.question.slice_of)}, and it goes on to join; only where it is to go for good, have it "
        f"removed with etcd_peer_tls_removed: [{urls}]",
    )


def _still_there(cluster: Cluster, one: Listed) -> PreflightFailure:
    return PreflightFailure(
        "removed_is_a_member",
        f"member {one.name} is to be removed (etcd_peer_tls_removed) from cluster {cluster.question.cluster_name}, and "
        f"{_why_no_change(cluster)}",
    )


def _why_no_change(cluster: Cluster) -> str:
    """Why no member is added to a cluster that lives, and none removed."""
    if not cluster.question.manages_service:
        return (
            "a run without systemd changes no members: do it with etcdctl member, or with "
            "etcd_peer_tls_manage_service: true"
        )
    if agreed_list(cluster) is None and reported_lists(cluster):
        return (
            f"the members tell different lists ({', '.join(sorted(reported_lists(cluster)))}): wait until etcdctl "
            "member list says the same on each, then run again"
        )
    silent = _why_silent(cluster)
    return f"no member tells who is in the cluster ({silent}): start etcd on the others first, then run again"


def _not_in_inventory(cluster: Cluster, one: Listed, teller: str) -> PreflightFailure:
    slice_of = cluster.question.slice_of
    word = f"; only where it is to go for good, have it removed with etcd_peer_tls_removed: [{one.name}]"
    return PreflightFailure(
        "member_not_in_inventory",
        f"member {one.name} ({one.member_id}) is in the member list that {teller} tells, and not in this run's: "
        f"{cure(slice_of, [(one.name, ', '.join(one.peer_urls[:1]))])}{'' if slice_of else word}",
    )


def _not_listed(cluster: Cluster, member: Member, number: str, teller: str) -> PreflightFailure:
    folder = cluster.infos[member.name]["data"].get("directory")
    return PreflightFailure(
        "member_not_listed",
        f"member {member.name}: its data in {folder} is that of member {number}, which is not in the member list that "
        f"{teller} tells (it was removed?): take its host out of the group and run with etcd_peer_tls_removed: "
        f"[{member.name}], which stops it there and puts the data aside; then it can join anew",
    )


def refuse_removal_of_who_is_wanted(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Who is to go is not in the inventory: one of the two is a mistake."""
    removed = cluster.question.removed
    both = [one.name for one in cluster.members if {one.name, one.common_name, one.peer_url} & set(removed)]
    if both:
        yield PreflightFailure(
            "removed_is_wanted",
            f"cluster {cluster.question.cluster_name}: {', '.join(both)} is to be removed (etcd_peer_tls_removed), and "
            "is a member by the inventory: take it out of the group (or out of etcd_peer_tls_members) first",
        )


def refuse_removal_without_the_others(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A member goes only while all that stay answer: their votes carry it."""
    changes = membership_changes(cluster)
    listed = agreed_list(cluster) or []
    going = [one.name or one.member_id for one in changes.removals]
    if not going:
        return
    voters = [one for one in listed if not one.is_learner and not changes.removes(one.member_id)]
    answering = reported_lists(cluster)
    down = [one.name or one.member_id for one in voters if one.name in cluster.infos and one.name not in answering]
    name = cluster.question.cluster_name
    if not voters:
        yield PreflightFailure(
            "last_member",
            f"cluster {name}: {', '.join(going)} can't be removed: no member that votes would stay: keep one",
        )
    elif down:
        yield PreflightFailure(
            "removal_needs_others",
            f"cluster {name}: {', '.join(going)} is not removed while {', '.join(down)} does not answer "
            f"({_why_silent(cluster)}): the quorum could be lost: start etcd there first, then run again",
        )


def refuse_unseen_removed(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A name leaves the lists only where a running member reports that its member is gone."""
    gone = _lost_names(cluster)
    if gone and cluster.question.removed and not reported_lists(cluster) and _any_data(cluster):
        yield PreflightFailure(
            "removed_unknown",
            f"cluster {cluster.question.cluster_name}: {', '.join(sorted(gone))} is to be removed, and no member tells "
            f"whether it is one ({_why_silent(cluster)}): start etcd first, then run again",
        )


def _lost_names(cluster: Cluster) -> set[str]:
    """Common names that are allowed by what is deployed, and are not in this run's list."""
    wanted = set(allowed_common_names(cluster.members))
    return {
        name
        for _member, info in cluster.inspected()
        for settings in deployed(info)
        for name in settings.get("allowed_common_names") or ()
        if name not in wanted
    }


def _any_data(cluster: Cluster) -> bool:
    return any(has_data(info) for _member, info in cluster.inspected())


def _why_silent(cluster: Cluster) -> str:
    problems = [state.get("live_members_problem") for state in cluster.states.values()]
    return next((one_line(problem) for problem in problems if problem), "none of them runs")


# A member that has no data -------------------------------------------------------------------------------------------


def _is_started(cluster: Cluster, name: str) -> bool:
    """Whether a run would start this member, or might: where systemd is left alone, files are written and no more."""
    pending = cluster.states.get(name, {}).get("pending")
    return pending is None or any(
        one.get("part") == "service" and one.get("code") not in _STARTS_NOTHING for one in pending
    )


def refuse_start_without_data(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A member of a formed cluster is never started as a new one: it would not be let in, or be a cluster of its own.

    One that was there at the first start and has never run may follow.
    """
    lists = reported_lists(cluster)
    changes = membership_changes(cluster)
    for member, info in cluster.inspected():
        # Unknown data is refused by a check of its own (preflight_foreign).
        if has_data(info) or info.get("data", {}).get("problem") or member.name in changes.joins:
            continue
        if lists:
            found = (_without_data(cluster, member, teller, listed) for teller, listed in lists.items())
            yield from [failure for failure in found if failure is not None][:1]
        elif _marker(info) is not None:
            yield _lost_by_its_marker(cluster, member)
        else:
            yield from _without_data_nor_list(cluster, member)


def _marker(info: Info) -> str | None:
    """The file on a host that marks a member that has had data; None where there is none."""
    marker = info.get("formed_marker") or {}
    return one_line(marker.get("path")) if marker.get("exists") else None


def _lost_by_its_marker(cluster: Cluster, member: Member) -> PreflightFailure:
    """No member reports a list, and there was data here: what is gone may be the last copy of some write."""
    info = cluster.infos[member.name]
    marker = info["formed_marker"]
    of_whom = ""
    if marker.get("member_id") and marker.get("cluster_id"):
        of_whom = f" of member {one_line(marker['member_id'])} in cluster {one_line(marker['cluster_id'])}"
    with_data = [other.name for other, its in cluster.inspected() if has_data(its)]
    if with_data:
        steps = (
            f"start etcd on {', '.join(with_data)} (systemctl start) and run "
            f"again, which tells how it joins anew ({_why_silent(cluster)})"
        )
    else:
        steps = (
            "where the data of all members is lost, restore a snapshot (playbook restore); to form the cluster "
            f"anew and empty on purpose, rm {_marker(info)} on each host, then run again"
        )
    return PreflightFailure(
        "data_lost",
        f"member {member.name} had data{of_whom}, as {_marker(info)} says, and has none in "
        f"{(info.get('data') or {}).get('directory')}: started empty it would vote under its old ID, and what was "
        f"written could be lost: mount or restore the folder; {steps}",
    )


def _without_data(cluster: Cluster, member: Member, teller: str, listed: t.Sequence[Listed]) -> PreflightFailure | None:
    info = cluster.infos[member.name]
    for one in listed:
        if one.name == member.name:
            return _lost(member, one, teller, info) if one.client_urls or _marker(info) is not None else None
    waiting = any(not one.name and member.peer_url in one.peer_urls for one in listed)
    state = "was added to it and not started yet" if waiting else f"is not in the member list that {teller} tells"
    return _join(cluster, member, state)


def _lost(member: Member, one: Listed, teller: str, info: Info) -> PreflightFailure:
    folder = info.get("data", {}).get("directory")
    return PreflightFailure(
        "data_lost",
        f"member {member.name} had data and has none in {folder}: it is in the member list that {teller} tells, as "
        f"{one.member_id}, and has run; started without its data it would not be let in, or be an empty member with a "
        "vote: mount or restore the folder; where the data is lost, have it removed and join anew with "
        f"etcd_peer_tls_replaced: [{member.name}]",
    )


def _join(cluster: Cluster, member: Member, state: str) -> PreflightFailure:
    marker = _marker(cluster.infos[member.name])
    why = (
        f"{marker} there says that it has had data: to let it join without, run with etcd_peer_tls_replaced: "
        f"[{member.name}]"
        if marker is not None and agreed_list(cluster) is not None and cluster.question.manages_service
        else _why_no_change(cluster)
    )
    return PreflightFailure(
        "join_not_prepared",
        f"member {member.name} is new to the running cluster {cluster.question.cluster_name}: it {state}, and {why}; "
        "to go on without it leave it out with --limit",
    )


def _without_data_nor_list(cluster: Cluster, member: Member) -> t.Iterator[PreflightFailure]:
    """No member reports the list: then only a cluster that has never been formed may be started."""
    holders = {
        other.name: info
        for other, info in cluster.inspected()
        if has_data(info) and (is_managed(info) or is_running(info))
    }
    known = {
        name
        for info in holders.values()
        for settings in deployed(info)
        for name in settings.get("initial_cluster") or {}
    }
    if holders and member.name not in known:
        yield _join(cluster, member, "is none of those that it was formed with")
        return
    if not _is_started(cluster, member.name):
        return
    formed = [name for name, info in holders.items() if is_formed(info)]
    missing = cluster.not_inspected()
    if formed:
        yield PreflightFailure(
            "start_unknown",
            f"member {member.name} has no data, while {', '.join(formed)} has that of a cluster that was formed, and "
            f"no member tells whether {member.name} ever ran ({_why_silent(cluster)}): start etcd on the others first "
            "(systemctl start), so that they tell; an empty member must not vote in its place",
        )
    elif missing:
        yield PreflightFailure(
            "start_not_seen",
            f"member {member.name} has no data, and {cluster.why_not_inspected()}: whether there is a cluster already "
            "can't be told, and a member of one is never started as new: run over all members",
        )


MEMBERSHIP_CHECKS: tuple[t.Callable[[Cluster], t.Iterator[PreflightFailure]], ...] = (
    refuse_other_peer_url,
    refuse_other_members,
    refuse_unseen_removed,
    refuse_removal_of_who_is_wanted,
    refuse_removal_without_the_others,
    refuse_start_without_data,
)

__all__ = ("MEMBERSHIP_CHECKS",)
