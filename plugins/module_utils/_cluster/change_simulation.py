# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each action makes of a state: who then accepts whom, which links are up, who can vote. Pure.

Strict: a link is up only where a new handshake would be taken in that direction. A standing connection hides a wrong
certificate until it ends, so here there is none. What etcd would refuse is refused here, too.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Data,
    Host,
    Leaf,
    ListedMember,
    MemberList,
    State,
    accepts,
    quorum_of,
    url_host,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Action, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import SHORT_LOG
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError

_NO_LEADER = "it knows no leader"
_NEW_CLUSTER = "new"


def after_step(state: State, step: Step) -> State:
    """The state when a step is done."""
    for action in step.actions:
        state = after_action(state, action)
    if step.kind == steps.AWAIT_VERSION:
        state = replace(state, cluster_version=_lowest_minor(state))
    return state


def after_action(state: State, action: Action) -> State:
    """The state when an action is done; RefusedError where etcd would not do it."""
    for half in halves(state, action):
        state = half
    return state


def halves(state: State, action: Action) -> t.Iterator[State]:
    """All states that an action goes through: a restart stops the process first."""
    if action.kind == steps.RESTART_UNIT:
        state = settled(_with(state, replace(state.hosts[action.host], process=None, running=None)))
        yield state
    if action.kind in _ON_HOSTS:
        yield settled(_with(state, _ON_HOSTS[action.kind](state, state.hosts[action.host], action)))
    elif action.kind in (steps.START_UNIT, steps.RESTART_UNIT):
        yield settled(started(state, action.host))
    elif action.kind in _ON_LIST:
        yield settled(_ON_LIST[action.kind](state, action))
    else:
        yield state


# On a host ----------------------------------------------------------------------------------------------------------


def _with(state: State, host: Host) -> State:
    return replace(state, hosts={**state.hosts, host.name: host})


def _config(action: Action) -> Config:
    if action.config is None:
        raise RefusedError(f"{action.kind}: it has no configuration")
    return action.config


def _write_trust(_state: State, host: Host, action: Action) -> Host:
    if host.disk is None:
        # Files without a unit: nobody reads them before the unit is there.
        return host
    config = _config(action)
    disk = replace(host.disk, authorities=config.authorities, client_authorities=config.client_authorities)
    return replace(host, disk=disk)


def _write_unit(_state: State, host: Host, action: Action) -> Host:
    config = _config(action)
    if host.disk is not None:
        trust = (host.disk.authorities, host.disk.client_authorities)
        config = replace(config, authorities=trust[0], client_authorities=trust[1])
    return replace(host, disk=config, enabled=True)


def _write_leaf(state: State, host: Host, action: Action) -> Host:
    leaf = t.cast(Leaf, action.leaf)
    used = {other.leaf.serial_number for other in state.hosts.values() if other.leaf is not None}
    used |= {number for other in state.hosts.values() for number in other.crl or ()}
    return replace(host, leaf=replace(leaf, serial_number=_unused(f"serial of {host.name}", used)))


def _unused(name: str, used: t.Collection[str]) -> str:
    number = 1
    while f"{name} {number}" in used:
        number += 1
    return f"{name} {number}"


_ON_HOSTS: dict[str, t.Callable[[State, Host, Action], Host]] = {
    steps.WRITE_TRUST: _write_trust,
    steps.WRITE_UNIT: _write_unit,
    steps.WRITE_LEAF: _write_leaf,
    steps.WRITE_CRL: lambda _state, host, action: replace(host, crl=action.serial_numbers),
    steps.PUT_PROGRAM: lambda _state, host, action: replace(host, program=action.version),
    steps.STOP_UNIT: lambda _state, host, _action: replace(host, process=None, running=None, enabled=False),
    # The marker goes with it.
    steps.PUT_ASIDE: lambda _state, host, _action: replace(host, data=None, marked=False),
}


def started(state: State, name: str) -> State:
    """The state when systemd has started a unit: of a process that ends at once nothing is left."""
    host = state.hosts[name]
    if host.disk is None or (host.disk.peer_tls and host.leaf is None):
        return state
    if host.disk.has_client_tls and not host.disk.client_flags:
        # It has no certificate for its clients.
        return state
    if state.member_list is None:
        data = host.data or Data(f"first {name}", _NEW_CLUSTER, formed=False)
        return _with(state, _running(host, host.disk, data))
    members = state.member_list.members
    if host.data is None:
        mine = [one for one in members if not one.started and not host.disk.serves.isdisjoint(one.peer_urls)]
        if not mine:
            # "existing" without data and without a place in the list: it never joins.
            return state
        one = mine[0]
        state = _with_members(
            state,
            [replace(other, name=host.disk.name, started=True) if other is one else other for other in members],
        )
        return _with(state, _running(host, host.disk, Data(one.member_id, state_cluster(state))))
    if host.data.member_id not in {one.member_id for one in members}:
        # A removed member learns of it and ends.
        return state
    return _with(state, _running(host, host.disk, host.data))


def _running(host: Host, disk: Config, data: Data) -> Host:
    is_newer = host.program is not None and host.program[:2] == (3, 6) and data.formed and host.old_entries is None
    return replace(
        host,
        process=disk,
        running=host.program,
        problem=None,
        crl_at_start=host.crl or frozenset(),
        data=data,
        marked=host.marked or data.formed,
        old_entries=False if disk.settings.endswith(SHORT_LOG) else (True if is_newer else host.old_entries),
    )


def state_cluster(state: State) -> str:
    return _NEW_CLUSTER if state.member_list is None else state.member_list.cluster_id


# On the list --------------------------------------------------------------------------------------------------------


def _with_members(state: State, members: t.Iterable[ListedMember]) -> State:
    return replace(state, member_list=replace(_list(state), members=tuple(members)))


def _list(state: State) -> MemberList:
    if state.member_list is None:
        raise RefusedError("no member tells who is in the cluster")
    return state.member_list


def _need_quorum(state: State) -> MemberList:
    found = _list(state)
    if not has_quorum(state):
        raise RefusedError("there is no quorum")
    return found


def _add(state: State, action: Action) -> State:
    found = _need_quorum(state)
    if any(one.is_learner for one in found.members):
        raise RefusedError("too many learner members in cluster")
    if any(action.url in one.peer_urls for one in found.members):
        raise RefusedError("member ID already exist")
    if set(votes(state)) != {one.member_id for one in found.members if not one.is_learner}:
        raise RefusedError("unhealthy cluster")
    used = {one.member_id for one in found.members}
    used |= {host.data.member_id for host in state.hosts.values() if host.data is not None and host.data.member_id}
    new = ListedMember(_unused(f"member at {action.url}", used), "", (action.url,), is_learner=True, started=False)
    return _with_members(state, (*found.members, new))


def _remove(state: State, action: Action) -> State:
    found = _need_quorum(state)
    kept = [one for one in found.members if one.member_id != action.member_id]
    voters = [one for one in kept if not one.is_learner]
    well = [number for number in votes(state) if number != action.member_id]
    if not voters or len(well) < quorum_of(len(voters)):
        raise RefusedError("unhealthy cluster")
    return _with_members(state, kept)


def _update(state: State, action: Action) -> State:
    found = _need_quorum(state)
    if any(action.url in one.peer_urls and one.member_id != action.member_id for one in found.members):
        raise RefusedError("member ID already exist")
    return _with_members(
        state,
        [replace(one, peer_urls=(action.url,)) if one.member_id == action.member_id else one for one in found.members],
    )


def _promote(state: State, action: Action) -> State:
    found = _need_quorum(state)
    by_id = {one.member_id: host for one, host in placed(state)}
    learner = by_id.get(action.member_id)
    if learner is None or not all(linked(state, learner, by_id[number]) for number in votes(state)):
        raise RefusedError("can only promote a learner member which is in sync with leader")
    return _with_members(
        state,
        [replace(one, is_learner=False) if one.member_id == action.member_id else one for one in found.members],
    )


def _transfer(state: State, action: Action) -> State:
    found = _need_quorum(state)
    if action.member_id not in votes(state):
        raise RefusedError("the member that is to lead is not well")
    return replace(state, member_list=replace(found, leader_id=action.member_id))


_ON_LIST: dict[str, t.Callable[[State, Action], State]] = {
    steps.ADD_LEARNER: _add,
    steps.REMOVE_MEMBER: _remove,
    steps.UPDATE_MEMBER: _update,
    steps.PROMOTE_LEARNER: _promote,
    steps.TRANSFER: _transfer,
}


# Links and votes ----------------------------------------------------------------------------------------------------


def placed(state: State) -> list[tuple[ListedMember, Host]]:
    """Members that run, with their hosts: by their data, whatever a host is called."""
    by_id = {
        host.data.member_id: host for host in state.hosts.values() if host.process is not None and host.data is not None
    }
    members = () if state.member_list is None else state.member_list.members
    return [(one, by_id[one.member_id]) for one in members if one.member_id in by_id]


def dials(caller: Host, target: Host, urls: t.Iterable[str]) -> bool:
    """Whether one host's process gets through to another's at one of these URLs, in a new connection."""
    if caller.process is None or target.process is None:
        return False
    return any(url in target.process.serves and _is_taken(caller, target, url) for url in urls)


def _is_taken(caller: Host, target: Host, url: str) -> bool:
    if not url.startswith("https:"):
        return True
    mine, its = caller.process, target.process
    if mine is None or its is None or not (mine.peer_tls and its.peer_tls):
        return False
    if caller.leaf is None or target.leaf is None or (its.has_crl and target.crl is None):
        return False
    if its.has_crl and caller.leaf.serial_number in (target.crl or ()):
        return False
    from_where = {url_host(other) for other in mine.serves}
    return (
        _goes_on_to_accept(its, caller.leaf)
        and _goes_on_to_accept(mine, target.leaf)
        and url_host(url) in target.leaf.names
        and from_where <= caller.leaf.names
    )


def _goes_on_to_accept(config: Config, leaf: Leaf) -> bool:
    """As ``accepts``. Of a process whose bundle was written since its start nobody knows which CAs it has read.

    No step rests on such a process, and all of them are restarted. Until then it goes on with those that it has links
    with: without that a plan would see the quorum lost by its first restart.
    """
    if config.peer_tls and not config.authorities:
        config = replace(config, authorities=frozenset((leaf.issuer,)))
    return accepts(config, leaf)


def linked(state: State, one: Host, other: Host) -> bool:
    """Whether both get through to each other."""
    urls = {host.name: listed.peer_urls for listed, host in placed(state)}
    return dials(one, other, urls.get(other.name, ())) and dials(other, one, urls.get(one.name, ()))


def votes(state: State) -> list[str]:
    """IDs of the voters that can agree: the largest group round one of them; empty where that is no quorum.

    Only links in both directions count, although Raft makes do with one.
    """
    return _largest_group(state, lambda one, other: linked(state, one, other))


def _agree(state: State) -> list[str]:
    """The same as Raft has it: what can't be sent one way goes the other."""
    urls = {host.name: listed.peer_urls for listed, host in placed(state)}
    return _largest_group(
        state, lambda one, other: dials(one, other, urls[other.name]) or dials(other, one, urls[one.name])
    )


def _largest_group(state: State, is_linked: t.Callable[[Host, Host], bool]) -> list[str]:
    voters = [(one, host) for one, host in placed(state) if not one.is_learner and not _is_ill(host)]
    groups = [
        [other.member_id for other, its in voters if other is one or is_linked(host, its)] for one, host in voters
    ]
    best = max(groups, key=len, default=[])
    members = () if state.member_list is None else state.member_list.members
    number = len([one for one in members if not one.is_learner])
    return best if number and len(best) >= quorum_of(number) else []


def _is_ill(host: Host) -> bool:
    return host.problem not in (None, _NO_LEADER)


def has_quorum(state: State) -> bool:
    return bool(votes(state))


def settled(state: State) -> State:
    """What the members then say of themselves: their links, and whether there is a leader."""
    if state.member_list is None:
        state = _formed(state)
    there = placed(state)
    members = () if state.member_list is None else state.member_list.members
    can_vote = _agree(state)
    hosts = dict(state.hosts)
    for one, host in there:
        up = {one.member_id}
        up |= {other.member_id for other, its in there if dials(host, its, other.peer_urls)}
        down = frozenset(other.member_id for other in members if other.member_id not in up)
        problem = host.problem if _is_ill(host) else (None if can_vote else _NO_LEADER)
        hosts[host.name] = replace(host, links_down=down, problem=problem)
    state = replace(state, hosts=hosts)
    if state.member_list is not None and state.member_list.leader_id not in can_vote:
        leader = min(can_vote, default=None)
        state = replace(state, member_list=replace(state.member_list, leader_id=leader))
    return state


def _formed(state: State) -> State:
    """The cluster, where enough of those that were deployed run and get through to each other."""
    deployed = [host for host in state.hosts.values() if host.disk is not None]
    if not deployed or any(host.data is not None and host.data.formed for host in state.hosts.values()):
        return state
    members = tuple(
        ListedMember(
            f"first {host.name}",
            host.disk.name,
            tuple(sorted(host.disk.serves)),
            started=host.process is not None and host.data is not None,
        )
        for host in deployed
        if host.disk is not None
    )
    found = replace(state, member_list=MemberList(members, _NEW_CLUSTER))
    if not votes(found):
        return state
    hosts = {
        name: replace(host, data=replace(host.data, formed=True), marked=True) if host.data is not None else host
        for name, host in state.hosts.items()
    }
    return replace(found, hosts=hosts, cluster_version=_lowest_minor(found))


def _lowest_minor(state: State) -> tuple[int, int] | None:
    versions = [host.running for _one, host in placed(state) if host.running is not None]
    lowest = min(versions, default=None)
    return None if lowest is None else lowest[:2]


__all__ = (
    "after_action",
    "after_step",
    "dials",
    "halves",
    "has_quorum",
    "linked",
    "placed",
    "settled",
    "started",
    "votes",
)
