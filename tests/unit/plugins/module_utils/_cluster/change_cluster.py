# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters for the tests of plans: as an inventory has them, as they run, and as a run leaves them that was killed."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import next_step, whole_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import (
    after_step,
    halves,
    has_quorum,
    linked,
    placed,
    settled,
    votes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Data,
    Desired,
    Host,
    Leaf,
    ListedMember,
    MemberList,
    State,
    WantedMember,
    Words,
    quorum_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Plan, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure

CLUSTER = "c1"
OLD_CA, NEW_CA, CLIENT_CA = "ca-old", "ca-new", "ca-clients"
VERSION = (3, 5, 35)


def member(
    number: int,
    domain: str = "example.com",
    peer_port: int = 2380,
    network: str = "10.0.0",
    scheme: str = "https",
    client_port: int = 2379,
    client_scheme: str = "https",
    common_name: str | None = None,
    name: str | None = None,
    settings: str = "",
) -> WantedMember:
    name = name or f"etcd-{number}"
    address = f"{network}.{number}"
    return WantedMember(
        name=name,
        host=f"host-{number}",
        common_name=common_name or f"{name}.{domain}",
        peer_url=f"{scheme}://{address}:{peer_port}",
        client_url=f"{client_scheme}://{address}:{client_port}",
        names=frozenset((f"{name}.{domain}", address)),
        settings=settings,
        client_flags=(("cert-file", "its own"),) if client_scheme == "https" else (),
    )


def desired(numbers: t.Iterable[int], issuer: str = OLD_CA, words: Words | None = None, **more: t.Any) -> Desired:
    of_members = {key: more.pop(key) for key in list(more) if key in member.__annotations__}
    return Desired(
        members=tuple(member(number, **of_members) for number in numbers),
        issuer=issuer,
        authorities=more.pop("authorities", frozenset((issuer,))),
        known_authorities=more.pop("known_authorities", frozenset((OLD_CA, NEW_CA))),
        words=words or Words(),
        **more,
    )


def said(**words: t.Any) -> Words:
    """Words, with lists for what they name."""
    given: dict[str, t.Any] = {
        key: frozenset(value) if isinstance(value, list) else value for key, value in words.items()
    }
    return replace(Words(), **given)


def config_of(wanted: WantedMember, cluster: Desired) -> Config:
    return Config(
        name=wanted.name,
        common_names=frozenset(one.common_name for one in cluster.members),
        authorities=cluster.authorities,
        serves=frozenset((wanted.peer_url,)),
        client_authorities=cluster.clients,
        client_serves=frozenset((wanted.client_url,)),
        client_flags=wanted.client_flags,
        settings=wanted.settings,
    )


def empty_host(number: int, version: tuple[int, int, int] = VERSION) -> Host:
    return Host(f"host-{number}", program=version)


def formed(cluster: Desired, spare: t.Iterable[int] = (), version: tuple[int, int, int] = VERSION) -> State:
    """The cluster as it runs, all well, and hosts on which nothing is."""
    hosts = {f"host-{number}": empty_host(number, version) for number in spare}
    members = []
    for wanted in cluster.members:
        config = config_of(wanted, cluster)
        if wanted.peer_url.startswith("http:"):
            config = replace(config, peer_tls=False, has_crl=False, common_names=None, authorities=frozenset())
        members.append(ListedMember(f"id {wanted.name}", wanted.name, (wanted.peer_url,)))
        hosts[wanted.host] = Host(
            wanted.host,
            process=config,
            disk=config,
            running=version,
            program=version,
            leaf=Leaf(wanted.common_name, wanted.names, cluster.issuer, f"first serial of {wanted.host}"),
            crl=cluster.revoked,
            crl_at_start=cluster.revoked,
            data=Data(f"id {wanted.name}", CLUSTER),
            enabled=True,
            marked=True,
        )
    leader = members[0].member_id if members else None
    return settled(State(hosts, MemberList(tuple(members), CLUSTER, leader), cluster_version=version[:2]))


def sharing(cluster: Desired, common_name: str = "etcd", has_list: bool = False) -> State:
    """The same where all members present one certificate, as ``adopt`` has left them: without a list of our own."""
    truth = formed(cluster)
    names = frozenset(name for one in cluster.members for name in one.names)
    leaf = Leaf(common_name, names, cluster.issuer, "the one serial")
    hosts = {}
    for name, host in truth.hosts.items():
        listed = frozenset((common_name,)) if has_list else None
        config = None if host.process is None else replace(host.process, common_names=listed, has_crl=False)
        hosts[name] = replace(host, process=config, disk=config, leaf=leaf)
    return settled(replace(truth, hosts=hosts))


def changed(state: State, name: str, **changes: t.Any) -> State:
    """The state with one host changed, and what the members say of themselves then."""
    return settled(replace(state, hosts={**state.hosts, name: replace(state.hosts[name], **changes)}))


def seen(truth: State, cluster: Desired, off: t.Collection[str] = (), everywhere: bool = True) -> State:
    """What a run gathers. ``off``: hosts that can't be reached; ``everywhere``: also those off the inventory."""
    inventory = {wanted.host for wanted in cluster.members}
    # Without one of its hosts it is another cluster, about which nobody asks this one.
    everywhere = everywhere or not any(truth.hosts[name].data for name in inventory)
    hosts = {
        name: Host(name, reachable=False) if name in off else _with_unread_trust(host)
        for name, host in truth.hosts.items()
        if everywhere or name in inventory
    }
    # Each member tells what it knows, with a quorum or without.
    is_told = any(host.name in hosts and host.name not in off for _one, host in placed(truth))
    return replace(truth, hosts=hosts, member_list=truth.member_list if is_told else None)


def _with_unread_trust(host: Host) -> Host:
    """A bundle that is newer than the process is not what it has read; what that was nobody knows any more."""
    process, disk = host.process, host.disk
    if process is None or disk is None or not process.peer_tls or disk.authorities == process.authorities:
        return host
    return replace(host, process=replace(process, authorities=frozenset()))


@dataclass(frozen=True)
class Ended:
    """How a run ended: the truth then, its steps, what it was refused with, and how many states it went through."""

    truth: State
    steps: tuple[Step, ...]
    refusal: PreflightFailure | None
    states: tuple[State, ...] = ()


def gate_is_open(truth: State, step: Step) -> bool:
    """Whether a step's gate lets it through: judged by the truth, and by none of the planner's functions."""
    if truth.member_list is None or step.gate == steps.NOBODY:
        return True
    if step.gate == steps.QUORUM:
        return has_quorum(truth)
    there = {one.member_id: host for one, host in placed(truth)}
    apart = set(step.restarts) if step.gate == steps.OTHERS else set()
    by_call = {action.member_id for action in step.actions} if step.gate == steps.OTHERS else set()
    asked = []
    for one in truth.member_list.members:
        host = there.get(one.member_id)
        if one.is_learner or (host is not None and host.name in apart) or one.member_id in by_call:
            continue
        if host is None or host.problem not in (None, "it knows no leader"):
            return False
        asked.append(host)
    return all(linked(truth, host, other) for host in asked for other in asked if host is not other)


def run(
    truth: State,
    cluster: Desired,
    stop_after: int | None = None,
    off: t.Collection[str] = (),
    everywhere: bool = True,
    check: t.Callable[[State, State, Desired, Step], None] | None = None,
    most: int = 400,
    known: Ended | None = None,
) -> Ended:
    """Run the plan from state to state, until nothing is left, it is refused, or it is killed after so many halves.

    ``known``: another run of the same plan: where this one comes to a state of its, it goes on as that one did.
    """
    done: list[Step] = []
    count, states = 0, [truth]
    while True:
        found = next_step(cluster, seen(truth, cluster, off, everywhere))
        if found is None or isinstance(found, PreflightFailure):
            return Ended(truth, tuple(done), found, tuple(states))
        if known is not None and truth in known.states:
            return replace(known, steps=tuple(done))
        assert len(done) < most, f"no end: {[step.text for step in done[-6:]]}"
        assert gate_is_open(truth, found), f"the gate of {found.text!r} never opens"
        done.append(found)
        before = truth
        if not found.actions:
            truth = after_step(truth, found)
            states.append(truth)
        for action in found.actions:
            for half in halves(truth, action):
                if stop_after is not None and count >= stop_after:
                    return Ended(truth, tuple(done), None, tuple(states))
                if check is not None:
                    check(truth, half, cluster, found)
                truth = half
                states.append(truth)
                count += 1
        if truth == before:
            # What etcd does not do in the end is no step that was done: a run fails here.
            return Ended(
                truth,
                tuple(done),
                PreflightFailure("step_failed", f"{found.text}: it did not come back, see its log"),
                (),
            )


def texts(ended: Ended) -> list[str]:
    return [step.text for step in ended.steps]


def kinds(ended: Ended) -> list[str]:
    return [step.kind for step in ended.steps]


def final(truth: State) -> t.Any:
    """A state without what differs from run to run: serial numbers, IDs, who leads."""
    hosts = {}
    for name, host in truth.hosts.items():
        leaf = None if host.leaf is None else replace(host.leaf, serial_number="")
        hosts[name] = (
            host.process,
            host.disk,
            host.running,
            host.program,
            leaf,
            host.enabled,
            host.data is None,
            host.problem,
            len(host.links_down),
        )
    members = None
    if truth.member_list is not None:
        members = sorted((one.name, one.peer_urls, one.is_learner) for one in truth.member_list.members)
    return hosts, members


def voters_well(truth: State) -> tuple[int, int]:
    """How many voters there are, and how many of them can agree."""
    members = () if truth.member_list is None else truth.member_list.members
    return len([one for one in members if not one.is_learner]), len(votes(truth))


def needed(truth: State) -> int:
    return quorum_of(voters_well(truth)[0])


THREE = desired([1, 2, 3])


def plan(truth: State, cluster: Desired, off: t.Collection[str] = ()) -> Plan:
    return whole_plan(cluster, seen(truth, cluster, off))


def told(truth: State, cluster: Desired) -> list[str]:
    """The steps' texts, where nothing is left after them; and a real run does the same."""
    found = plan(truth, cluster)
    assert found.refusal is None
    assert [step.text for step in found.steps] == [step.text for step in run(truth, cluster).steps]
    return [step.text for step in found.steps]


def refused(truth: State, cluster: Desired, off: t.Collection[str] = ()) -> PreflightFailure:
    """Why there is no first step."""
    found = next_step(cluster, seen(truth, cluster, off))
    assert isinstance(found, PreflightFailure), found
    assert "\n" not in found.text
    return found


def without_rows(monkeypatch: pytest.MonkeyPatch, *rows: t.Callable[..., t.Any]) -> None:
    monkeypatch.setattr(change_plan, "ROWS", tuple(row for row in change_plan.ROWS if row not in rows))


def down(truth: State, number: int) -> State:
    return changed(truth, f"host-{number}", process=None, running=None)


def broken(truth: State, number: int, problem: str = "its disk is full") -> State:
    return changed(truth, f"host-{number}", problem=problem)


def rebuilt(truth: State, number: int) -> State:
    return changed(
        truth, f"host-{number}", process=None, running=None, data=None, disk=None, leaf=None, crl=None, marked=False
    )


def with_listed(truth: State, *more: ListedMember, without: t.Collection[str] = ()) -> State:
    assert truth.member_list is not None
    members = (*(one for one in truth.member_list.members if one.name not in without), *more)
    return replace(truth, member_list=replace(truth.member_list, members=members))
