# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of the plan about who is a member: start, remove, replace, move, add, promote. Pure.

Each row gives its next step, or why there is none; the first of all rows that gives anything is what is done.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_restart import (
    fresh,
    restart,
    why_not_started,
    why_not_well,
    why_unwell,
    with_listener,
    written,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Host,
    WantedMember,
    accepts,
    quorum_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Action, Next, Quorum, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_upgrade import before_start
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import Matched, View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.partial_inventory import cure
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure, one_line

_RESTORE = "where a quorum is gone for good, restore a snapshot (playbook restore)"


# Where no member tells the list -------------------------------------------------------------------------------------


def form_or_start(view: View) -> Next:
    """Nobody tells a list: a cluster that never was is formed; one that was is started, as it lies on the disks."""
    if view.state.member_list is not None:
        return None
    hosts = [(wanted, view.host(wanted)) for wanted in view.desired.members]
    unseen = [wanted.name for wanted, host in hosts if host is None or not host.reachable]
    wanted_hosts = {wanted.host for wanted in view.desired.members}
    # One off the inventory may have all the data that there is.
    unseen += [host.name for host in view.state.hosts.values() if not host.reachable and host.name not in wanted_hosts]
    formed = [(wanted, host) for wanted, host in hosts if host is not None and host.data and host.data.formed]
    if not formed and not any(host.data and host.data.formed for host in view.state.hosts.values()):
        return _form(view, unseen)
    stopped = [(wanted.name, host) for wanted, host in formed if host.process is None and host.disk is not None]
    if stopped:
        names = tuple(name for name, _host in stopped)
        actions = tuple(Action(steps.START_UNIT, host.name) for _name, host in stopped)
        text = f"start {', '.join(names)}"
        return _step(steps.START, names, text, "no member runs that tells who is one", actions, Quorum(0, 0, 0, 0))
    told = f"; {', '.join(unseen)} can't be seen" if unseen else ""
    return PreflightFailure(
        "no_quorum",
        f"no member tells who is in the cluster, though all that can be started run{told}: bring back a majority of "
        f"its members; {_RESTORE}",
    )


def _form(view: View, unseen: t.Sequence[str]) -> Next:
    marked = [wanted.name for wanted in view.desired.members if (host := view.host(wanted)) is not None and host.marked]
    if marked:
        return PreflightFailure(
            "data_lost",
            f"{', '.join(marked)} had data of a cluster, as root's marker there says, and no member has any: mount or "
            "restore the data folders, or restore a snapshot (playbook restore); to begin anew and empty on purpose, "
            "remove the marker on each host",
        )
    if unseen:
        return PreflightFailure(
            "start_not_seen",
            f"{', '.join(unseen)} can't be seen in this run: whether there is a cluster already can't be told, and a "
            "member of one is never started as new: run over all members",
        )
    actions: list[Action] = []
    for wanted in view.desired.members:
        host, config = t.cast(Host, view.host(wanted)), fresh(view, wanted)
        leaf = view.wanted_leaf(wanted, None)
        refusal = why_not_started(wanted.name, replace(host, leaf=leaf), config, host.program, host.running)
        if refusal is not None:
            return refusal
        if view.leaf_due(host.leaf, leaf) is not None:
            actions.append(Action(steps.WRITE_LEAF, host.name, leaf=leaf))
        actions += written(view, host, config)
    for wanted in view.desired.members:
        host = t.cast(Host, view.host(wanted))
        if host.process is None:
            actions.append(Action(steps.START_UNIT, host.name))
        elif host.process != fresh(view, wanted):
            actions.append(Action(steps.RESTART_UNIT, host.name))
    if not actions:
        return PreflightFailure(
            "not_formed",
            "all members run and have not become a cluster: each one's log says what it waits for (journalctl -u), and "
            "the table of the proof who refuses whom",
        )
    names = tuple(wanted.name for wanted in view.desired.members)
    text = f"form the cluster of {', '.join(names)}"
    return _step(steps.FORM, names, text, "there is none yet", tuple(actions), Quorum(0, 0, 0, len(names)))


def _step(
    kind: str,
    members: tuple[str, ...],
    text: str,
    reason: str,
    actions: tuple[Action, ...],
    quorum: Quorum,
    gate: str = steps.NOBODY,
    after: str = steps.BACK,
) -> Step:
    return Step(kind, members, text, reason, actions, gate, after, quorum)


# Who must not be touched without a word -----------------------------------------------------------------------------


def refuse_doubtful_list(view: View) -> Next:
    member_list = view.state.member_list
    if member_list is not None and member_list.problem:
        return PreflightFailure(
            "lists_differ",
            f"the members do not tell the same list ({member_list.problem}): nothing is changed before they do: look "
            "at the one that differs, it may be cut off",
        )
    return None


def refuse_unsaid(view: View) -> Next:
    """A member leaves, or starts anew, only where this run was told so; whose data it is decides, not a host's name."""
    for one in view.matched:
        if one.wanted is None and not view.is_to_go(one):
            return _not_said(view, one)
        if view.is_lost(one) and not view.is_to_start_anew(one):
            return PreflightFailure(
                "data_lost",
                f"member {one.label} had data and has none: started empty it would vote under its old ID: mount or "
                f"restore its folder, or let it start anew with etcd_peer_tls_replaced: [{one.label}]",
            )
    return None


def _not_said(view: View, one: Matched) -> PreflightFailure:
    here = next((wanted.name for wanted in view.joining if one.host is not None and wanted.host == one.host.name), None)
    if here is not None:
        return PreflightFailure(
            "member_renamed",
            f"member {here}: its data is that of {one.label}, and a member keeps its name: call it {one.label} "
            f"(etcd_peer_tls_name), or let it leave and join under the new name with etcd_peer_tls_removed: "
            f"[{one.label}]",
        )
    known = one.listed.name or one.listed.member_id
    return PreflightFailure(
        "removal_not_said",
        f"member {one.label} ({one.listed.member_id}) is in the member list and not in the inventory: "
        f"{cure('', [(one.listed.name, ', '.join(one.listed.peer_urls[:1]))])}; only where it is to go for good, let "
        f"it leave with etcd_peer_tls_removed: [{known}]",
    )


def refuse_data_of_others(view: View) -> Next:
    """Nobody's data is taken for another's, and none of another cluster is touched."""
    by_id = {one.listed.member_id: one for one in view.matched}
    cluster_id = None if view.state.member_list is None else view.state.member_list.cluster_id
    for wanted in view.desired.members:
        host = view.host(wanted)
        if host is None or host.data is None:
            continue
        mine = next((one for one in view.matched if one.wanted is wanted), None)
        owner = by_id.get(host.data.member_id or "")
        if owner is not None and owner is not mine and owner.wanted is not None:
            return PreflightFailure(
                "data_of_another_member",
                f"member {wanted.name}: the data on its host is that of {owner.label}: bring each member's data back "
                "to its own host",
            )
        if owner is None and host.data.formed and host.data.cluster_id not in (None, cluster_id):
            return PreflightFailure(
                "data_of_another_cluster",
                f"member {wanted.name}: the data on its host is that of cluster {host.data.cluster_id}, not of "
                f"this one ({cluster_id}): no word wipes it: move it away, or take the host off the inventory",
            )
        if owner is None and not view.is_host_meant(host, view.words.replace | view.words.removed):
            return PreflightFailure(
                "member_not_listed",
                f"member {wanted.name}: the data on its host is that of member {host.data.member_id or 'none yet'}, "
                "which is not in the member list (it was removed?): take it out of the group and run with "
                f"etcd_peer_tls_removed: [{wanted.name}], which puts the data aside; then it can join anew",
            )
    return None


# Starts -------------------------------------------------------------------------------------------------------------


def start(view: View) -> Next:
    """Members that do not run, and have what they need, are started: that takes nothing from anybody.

    All at once: with systemd a start returns when there is a quorum, which may take more than one of them.
    """
    actions: list[Action] = []
    names, refusals = [], []
    leaving = {one.listed.member_id for one in view.leaving()}
    for one in view.leader_last(view.matched):
        host, wanted = one.host, one.wanted
        if wanted is None or host is None or not host.reachable or host.process is not None:
            continue
        if one.listed.member_id in leaving or not (one.has_its_data or (host.data is None and not one.listed.started)):
            continue
        if host.leaf is None:
            return issue_first(view, wanted, host, one)
        config = view.wide(wanted, host, one)
        if not one.listed.started and view.refusers(host.leaf, None):
            # It would restart for ever, and the others wait for it.
            continue
        refusal = why_not_started(wanted.name, host, config, host.program, view.minor_beside(host))
        before = [] if refusal is None else before_start(view, host, refusal)
        if isinstance(before, PreflightFailure):
            refusals.append(before)
            continue
        actions = [*before, *actions, *written(view, host, config), Action(steps.START_UNIT, host.name)]
        names.append(one.label)
    if not names:
        return next(iter(refusals), None)
    text, reason = f"start {', '.join(names)}", "etcd does not run there"
    return _step(steps.START, tuple(names), text, reason, tuple(actions), view.quorum())


def issue_first(view: View, wanted: WantedMember, host: Host, one: Matched | None) -> Step:
    """A certificate for a host on which nobody presents one yet."""
    leaf = view.wanted_leaf(wanted, one)
    return _step(
        steps.ISSUE,
        (wanted.name,),
        f"issue the first certificate of {wanted.name}",
        view.leaf_due(host.leaf, leaf) or "it has none",
        (Action(steps.WRITE_LEAF, host.name, leaf=leaf),),
        view.quorum(),
        after=steps.WRITTEN,
    )


def issue_to_joining(view: View) -> Next:
    """Who is going to join has its certificate before anybody is told of it."""
    for wanted in view.joining:
        host = view.host(wanted)
        if host is not None and host.reachable and view.leaf_due(host.leaf, view.wanted_leaf(wanted, None)):
            return issue_first(view, wanted, host, None)
    return None


# Leaving ------------------------------------------------------------------------------------------------------------


def retire(view: View) -> Next:
    """The unit of who is no member any more is stopped, and its data put aside, where a word names it."""
    member_list = view.state.member_list
    said = view.words.removed | view.words.replace
    for host in view.state.hosts.values():
        if member_list is None or not host.reachable or host.data is None:
            continue
        if view.is_one_of_us(host) or not view.is_host_meant(host, said):
            continue
        if host.data.cluster_id in (None, member_list.cluster_id) or not host.data.formed:
            reason = f"its data is that of {host.data.member_id or 'nobody'}, which is no member"
            text = f"stop etcd on {host.name} and put its data aside"
            return _step(steps.RETIRE, (host.name,), text, reason, _gone(host), view.quorum(), after=steps.WRITTEN)
    return None


def _gone(host: Host) -> tuple[Action, ...]:
    actions = []
    if host.process is not None or host.enabled:
        actions.append(Action(steps.STOP_UNIT, host.name))
    return (*actions, Action(steps.PUT_ASIDE, host.name))


def remove(view: View) -> Next:
    """One after another: who is not well first, then learners, the leader last, and after it has handed over.

    In this order no removal costs the quorum: there is one before, and while somebody is not well nobody else leaves.
    """
    leaving = view.leaving()
    if not leaving:
        return None
    refusal = _why_not_removed(view, leaving)
    if refusal is not None:
        return refusal
    one = sorted(
        view.leader_last(leaving),
        key=lambda one: (one in view.voting, not one.listed.is_learner, view.is_leader(one)),
    )[0]
    if view.is_leader(one):
        # There is one: a voter stays, and all voters that stay are well, or it would have been refused.
        heir = next(other for other in view.well if other not in leaving)
        return _step(
            steps.MOVE_LEADER,
            (heir.label,),
            f"move the leadership from {one.label} to {heir.label}",
            f"{one.label} leaves",
            (Action(steps.TRANSFER, member_id=heir.listed.member_id),),
            view.quorum(),
            gate=steps.QUORUM,
            after=steps.LISTED,
        )
    actions: tuple[Action, ...] = (Action(steps.REMOVE_MEMBER, member_id=one.listed.member_id),)
    if one.host is not None and one.host.reachable and one.has_its_data:
        actions += _gone(one.host)
    change = 0 if one.listed.is_learner else -1
    return _step(
        steps.REMOVE,
        (one.label,),
        f"remove {one.label}{'' if len(actions) == 1 else ', stop it and put its data aside'}",
        "it lost its data, and starts anew" if one.wanted is not None else "this run says that it leaves",
        actions,
        view.quorum(change=change),
        gate=steps.QUORUM,
        after=steps.LISTED,
    )


def _why_not_removed(view: View, leaving: t.Sequence[Matched]) -> PreflightFailure | None:
    if not view.has_quorum():
        return PreflightFailure(
            "no_quorum",
            f"{len(view.voting)} of {len(view.voters)} voters are well, and nothing can be removed without "
            f"{quorum_of(len(view.voters))}: bring one back; {_RESTORE}",
        )
    others = [one for one in view.unwell if one not in leaving]
    if others:
        return (
            why_not_well(view, apart_from=leaving[0]) if len(view.unwell) == len(others) else _unwell_too(view, others)
        )
    if not any(one not in leaving for one in view.voters):
        names = ", ".join(one.label for one in leaving)
        return PreflightFailure(
            "last_member",
            f"{names} would be removed, and no voter would stay: add the new members first, in a run that keeps these "
            "in the inventory, then remove them",
        )
    return None


def _unwell_too(view: View, others: t.Sequence[Matched]) -> PreflightFailure:
    told = "; ".join(f"{one.label} {why_unwell(view, one)}" for one in others)
    return PreflightFailure(
        "member_unwell",
        f"{told}: nobody is removed while another voter is not well: bring it back first, or name it too, in "
        "etcd_peer_tls_removed",
    )


# Moving -------------------------------------------------------------------------------------------------------------


def mend_listener(view: View) -> Next:
    """The list says the wanted URL already, and nobody answers there: the second half of a move."""
    for one in view.leader_last(view.matched):
        if one.wanted is None or one.process is None or one.host is None:
            continue
        if one.wanted.peer_url in one.listed.peer_urls and one.wanted.peer_url not in one.process.serves:
            if one.host.leaf is None and not view.refusers(view.wanted_leaf(one.wanted, one), None):
                # Without one it would not start again.
                return issue_first(view, one.wanted, one.host, one)
            config = with_listener(view.wide(one.wanted, one.host, one), one.wanted.peer_url)
            reason = "the others call it there, and it does not answer yet"
            text = f"restart {one.label} to listen at {one.wanted.peer_url}"
            return restart(view, steps.MEND, one, config, text, reason)
    return None


def mend_url(view: View) -> Next:
    """One that came back at another place and answers there is found as soon as the list has it."""
    return _update(view, [one for one in view.unwell if one.wanted and one.process])


def update(view: View) -> Next:
    """The list gets the wanted URL where it is answered; where both can't be, the restart follows at once."""
    return _update(view, view.matched)


def _update(view: View, members: t.Sequence[Matched]) -> Next:
    for one in view.leader_last(members):
        wanted, host = one.wanted, one.host
        if wanted is None or host is None or one.process is None or one.listed.peer_urls == (wanted.peer_url,):
            continue
        taken = next(
            (other for other in view.matched if other is not one and wanted.peer_url in other.listed.peer_urls), None
        )
        if taken is not None:
            return PreflightFailure(
                "url_taken",
                f"member {one.label}: its new peer URL {wanted.peer_url} is still that of {taken.label}: move that one "
                "first, in a run of its own",
            )
        if view.leaf_due(host.leaf, view.wanted_leaf(wanted, one)) is not None:
            continue
        call = Action(steps.UPDATE_MEMBER, member_id=one.listed.member_id, url=wanted.peer_url)
        reason = f"the list has {', '.join(one.listed.peer_urls)}"
        text = f"tell the cluster that {one.label} is at {wanted.peer_url}"
        if wanted.peer_url in one.process.serves:
            quorum = view.quorum()
            return why_not_well(view, one) or _step(
                steps.UPDATE, (one.label,), text, reason, (call,), quorum, gate=steps.OTHERS, after=steps.LISTED
            )
        config = with_listener(view.wide(wanted, host, one), wanted.peer_url)
        text = f"{text}, and restart it to listen there"
        return restart(view, steps.UPDATE, one, config, text, reason, before=(call,))
    return None


# Joining ------------------------------------------------------------------------------------------------------------


def promote(view: View) -> Next:
    """A learner that has all of the data and all links gets its vote. No other one is added before."""
    for one in view.learners:
        why = None
        is_ill = one.host is None or not one.host.reachable or one.process is None or bool(one.host.problem)
        if is_ill or _lacks_links(view, one):
            why = why_unwell(view, one)
        if why is not None:
            return PreflightFailure(
                "learner_unwell",
                f"learner {one.label} {why}: it is promoted when it is well, and no other member is added before: "
                f"bring it back, or take it off the inventory with etcd_peer_tls_removed: "
                f"[{one.listed.name or one.listed.member_id}]",
            )
        call = Action(steps.PROMOTE_LEARNER, member_id=one.listed.member_id)
        return _step(
            steps.PROMOTE,
            (one.label,),
            f"promote {one.label} to a voter, as soon as it is in sync",
            "it is a learner",
            (call,),
            view.quorum(change=1),
            gate=steps.ALL,
            after=steps.LISTED,
        )
    return None


def _lacks_links(view: View, one: Matched) -> bool:
    voters = {voter.listed.member_id for voter in view.voters}
    mine = frozenset() if one.host is None else one.host.links_down
    return not voters.isdisjoint(mine) or any(
        voter.host is not None and one.listed.member_id in voter.host.links_down for voter in view.voters
    )


def join(view: View) -> Next:
    """A new member is a learner first, one at a time, and only where everybody lets it in already."""
    for wanted in view.joining:
        host = view.host(wanted)
        refusal = _why_not_joined(view, wanted, host)
        if refusal is not None or host is None or host.leaf is None:
            return refusal
        config = view.wide_without_names_of_nobody(wanted, host, None)
        refusal = why_not_started(wanted.name, host, config, host.program, view.minor_beside(host))
        refusal = refusal or _whom_it_refuses(view, wanted, config)
        if refusal is not None:
            return refusal
        actions = (
            *written(view, host, config),
            Action(steps.ADD_LEARNER, url=wanted.peer_url),
            Action(steps.START_UNIT, host.name),
        )
        text = f"add {wanted.name} as a learner, and start it"
        reason = "it is in the inventory and no member yet"
        return _step(steps.JOIN, (wanted.name,), text, reason, actions, view.quorum(), gate=steps.ALL)
    return None


def _whom_it_refuses(view: View, wanted: WantedMember, config: Config) -> PreflightFailure | None:
    """A new member gets what is at hand; a CA that only the others' bundles have is not."""
    for one in view.matched:
        leaf = None if one.host is None else one.host.leaf
        if leaf is not None and not accepts(config, leaf) and leaf.issuer in config.authorities:
            return PreflightFailure(
                "name_unknown",
                f"member {wanted.name} would refuse {one.label}, which presents the common name "
                f"{one_line(leaf.common_name)}, and not all others accept that: run without etcd_peer_tls_stop_after, "
                "so that it gets its own",
            )
        if leaf is not None and not accepts(config, leaf):
            return PreflightFailure(
                "old_ca_unknown",
                f"member {wanted.name} would refuse {one.label}, whose certificate is of the CA {leaf.issuer}: take "
                f"{wanted.name} out of the group until the change to the new CA has ended",
            )
    return None


def _why_not_joined(view: View, wanted: WantedMember, host: Host | None) -> PreflightFailure | None:
    if host is None or not host.reachable:
        return PreflightFailure(
            "host_unseen",
            f"member {wanted.name} is to join, and its host can't be seen in this run: bring it back, or take it out "
            "of the inventory",
        )
    if host.data is not None or host.process is not None:
        return PreflightFailure(
            "host_in_use",
            f"member {wanted.name} is to join, and an etcd that is no member runs or has data on its host: stop it and "
            "move the data away",
        )
    if host.marked and wanted.name not in view.words.replace:
        return PreflightFailure(
            "data_lost",
            f"member {wanted.name} is to join, and root's marker on its host says that it has had data: mount or "
            f"restore its folder, or let it join without with etcd_peer_tls_replaced: [{wanted.name}]",
        )
    taken = next((one for one in view.matched if wanted.peer_url in one.listed.peer_urls), None)
    if taken is not None:
        return PreflightFailure(
            "url_taken",
            f"member {wanted.name}: its peer URL {wanted.peer_url} is still that of {taken.label}: each has its own",
        )
    if host.leaf is None:
        return PreflightFailure("no_certificate", f"member {wanted.name}: it has no certificate yet: run again")
    refusers = view.refusers(host.leaf, None)
    lacking = [
        one.label
        for one in view.matched
        for config in one.configs
        for member in view.desired.members
        if not accepts(config, replace(host.leaf, common_name=member.common_name))
    ]
    if refusers or lacking:
        who = ", ".join(dict.fromkeys((*refusers, *lacking)))
        return PreflightFailure(
            "not_let_in",
            f"member {wanted.name} would not be let in by {who}, as they run: run again; where that stays, their etcd "
            "or their host does not answer",
        )
    return None


__all__ = (
    "form_or_start",
    "issue_to_joining",
    "join",
    "mend_listener",
    "mend_url",
    "promote",
    "refuse_data_of_others",
    "refuse_doubtful_list",
    "refuse_unsaid",
    "remove",
    "retire",
    "start",
    "update",
)
