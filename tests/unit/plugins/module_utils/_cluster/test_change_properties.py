# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every plan: from any state that a killed run can leave, to any cluster that is wanted."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import next_step, whole_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import (
    after_step,
    has_quorum,
    linked,
    placed,
    settled,
    started,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Desired,
    Host,
    State,
    Words,
    same_socket,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    CLIENT_CA,
    NEW_CA,
    OLD_CA,
    desired,
    empty_host,
    final,
    formed,
    run,
    seen,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NUMBERS = range(1, 6)
HOSTS = [f"host-{number}" for number in NUMBERS]
NAMES = [f"etcd-{number}" for number in NUMBERS]
VERSIONS = [(3, 5, 12), (3, 5, 16), (3, 5, 35), (3, 6, 16), (3, 7, 3)]

# The same examples each time: what was found once is in a test of its own.
FIXED = settings(
    max_examples=120, derandomize=True, database=None, suppress_health_check=list(HealthCheck), deadline=None
)


# What is generated ----------------------------------------------------------------------------------------------------


def some(values: t.Sequence[t.Any], most: int = 5) -> st.SearchStrategy[frozenset[t.Any]]:
    return st.frozensets(st.sampled_from(values), max_size=most)


def words() -> st.SearchStrategy[Words]:
    return st.builds(
        Words,
        removed=some(NAMES),
        replace=some(NAMES),
        new_ca=st.booleans(),
        retire_ca=some([OLD_CA, NEW_CA, CLIENT_CA], 1),
        leaked=some([f"first serial of {name}" for name in HOSTS], 3),
        disconnect=st.booleans(),
        upgrade=st.booleans(),
        clients_followed=st.booleans(),
        stop_after=st.sampled_from([None, None, None, "widen", "present"]),
    )


@st.composite
def clusters(draw: t.Callable[[t.Any], t.Any], without_words: bool = False) -> Desired:
    """Any cluster of one to five of the same hosts."""
    numbers = draw(st.frozensets(st.sampled_from(list(NUMBERS)), min_size=1))
    return desired(
        sorted(numbers),
        issuer=draw(st.sampled_from([OLD_CA, OLD_CA, NEW_CA])),
        words=Words() if without_words else draw(words()),
        domain=draw(st.sampled_from(["example.com", "example.com", "other.org"])),
        common_name=draw(st.sampled_from([None, None, None, "blue.peers"])),
        peer_port=draw(st.sampled_from([2380, 2380, 2390])),
        network=draw(st.sampled_from(["10.0.0", "10.0.0", "10.0.1"])),
        client_port=draw(st.sampled_from([2379, 2379, 2479])),
        client_scheme=draw(st.sampled_from(["https", "https", "http"])),
        client_authorities=draw(st.sampled_from([None, None, frozenset((CLIENT_CA,))])),
        revoked=draw(some(["a leaked one", *(f"first serial of {name}" for name in HOSTS)], 2)),
        version=draw(st.sampled_from([None, None, *VERSIONS])),
        settings=draw(st.sampled_from(["", "", "other"])),
    )


@st.composite
def beginnings(draw: t.Callable[[t.Any], t.Any]) -> State:
    """A cluster that runs, and the hosts that are not in it."""
    # Nobody's certificate is revoked there: it would be a cluster that has come apart already.
    cluster = replace(draw(clusters(without_words=True)), revoked=frozenset(("long ago",)))
    if draw(st.integers(0, 4)) == 0:
        cluster = replace(
            cluster,
            members=tuple(replace(one, peer_url=one.peer_url.replace("https", "http")) for one in cluster.members),
        )
    used = {one.host for one in cluster.members}
    spare = [number for number in NUMBERS if f"host-{number}" not in used]
    version = draw(st.sampled_from([(3, 5, 35), (3, 5, 35), *VERSIONS]))
    if version < (3, 5, 15):
        cluster = replace(cluster, members=tuple(replace(one, common_name="blue.peers") for one in cluster.members))
    return formed(cluster, spare, version)


def happens(truth: State, what: str, name: str) -> State:
    """Something that nobody planned, on one host."""
    host = truth.hosts[name]
    if what == "dies":
        return settled(replace(truth, hosts={**truth.hosts, name: replace(host, process=None, running=None)}))
    if what == "restarts":
        stopped = replace(truth, hosts={**truth.hosts, name: replace(host, process=None, running=None)})
        return settled(started(settled(stopped), name)) if host.process is not None else truth
    if what == "is rebuilt":
        return _lost(truth, Host(name, program=host.program))
    if what == "loses its data":
        return _lost(truth, replace(host, process=None, running=None, data=None))
    return truth


def _lost(truth: State, host: Host) -> State:
    """With the last data there is no cluster any more."""
    hosts = {**truth.hosts, host.name: host}
    is_there = any(one.data is not None and one.data.formed for one in hosts.values())
    return settled(replace(truth, hosts=hosts, member_list=truth.member_list if is_there else None))


EVENTS = ["nothing", "nothing", "nothing", "dies", "restarts", "is rebuilt", "loses its data"]


# What holds ---------------------------------------------------------------------------------------------------------


def holds(before: State, half: State, cluster: Desired, step: Step) -> None:
    """What no half of any step does."""
    what = step.text
    voters = [one for one in before.member_list.members if not one.is_learner] if before.member_list else []
    if len(voters) > 2 and has_quorum(before):
        assert has_quorum(half), f"{what}: the quorum is lost"
    if half.member_list is not None:
        learners = [one for one in half.member_list.members if one.is_learner]
        assert len(learners) < 2, f"{what}: {len(learners)} learners"
    _nothing_without_a_word(before, half, cluster, step)
    _nobody_locked_out(before, half, step)
    _lists_before_members(before, half, cluster, step)


def _nothing_without_a_word(before: State, half: State, cluster: Desired, step: Step) -> None:
    words = cluster.words
    if before.member_list is not None and half.member_list is not None:
        kept = {one.member_id for one in half.member_list.members}
        for one in before.member_list.members:
            if one.member_id not in kept:
                names = {one.name, one.member_id, *one.peer_urls} | {
                    wanted.name for wanted in cluster.members if wanted.peer_url in one.peer_urls
                }
                assert names & (words.removed | words.replace), f"{step.text}: nobody said so"
    presented = {host.leaf.serial_number for _one, host in placed(half) if host.leaf is not None}
    for name, host in half.hosts.items():
        old = before.hosts[name]
        assert host.data is not None or old.data is None or words.removed | words.replace, f"{step.text}: data is gone"
        assert (host.crl or frozenset()) >= (old.crl or frozenset()), f"{step.text}: the CRL is shorter"
        if host.crl != old.crl:
            assert not (host.crl or frozenset()) & presented, f"{step.text}: a member is revoked that is in use"
        for new_config, old_config in ((host.process, old.process), (host.disk, old.disk)):
            if new_config is not None and old_config is not None:
                gone = old_config.authorities - new_config.authorities
                assert gone <= words.retire_ca, f"{step.text}: the CA {gone} is gone"
                gone = old_config.client_authorities - new_config.client_authorities
                assert gone <= words.retire_ca, f"{step.text}: the CA {gone} of clients is gone"
                clients = old_config.client_serves - new_config.client_serves
                assert not clients or words.clients_followed, f"{step.text}: {clients} is gone"
                # Its other URLs stay where they are; the place of one is taken by another scheme alone.
                left = new_config.client_serves & old_config.client_serves
                taken = all(any(same_socket(url, new) for new in new_config.client_serves) for url in clients)
                assert left or taken, f"{step.text}: no client URL of {name} stays"


def _nobody_locked_out(before: State, half: State, step: Step) -> None:
    """Who could speak with each other before still can, unless one of them is restarted or moves just now."""
    now = {host.name: one for one, host in placed(half)}
    told = {action.member_id for action in step.actions if action.kind == steps.UPDATE_MEMBER}
    there = placed(before)
    for one, host in there:
        for other, its in there:
            if one.member_id < other.member_id and linked(before, host, its):
                both = [now.get(host.name), now.get(its.name)]
                if None in both or told & {one.member_id, other.member_id}:
                    continue
                assert linked(half, half.hosts[host.name], half.hosts[its.name]), (
                    f"{step.text}: {host.name} and {its.name} lost each other"
                )


def _lists_before_members(before: State, half: State, cluster: Desired, step: Step) -> None:
    """Every running list has every member that is, or that is about to be, when one is added."""
    if before.member_list is None or half.member_list is None:
        return
    if len(half.member_list.members) > len(before.member_list.members):
        for _one, host in placed(half):
            names = None if host.process is None else host.process.common_names
            for wanted in cluster.members:
                assert names is None or wanted.common_name in names, f"{step.text}: {host.name} lacks {wanted.name}"
    for _one, host in placed(half):
        old, new = before.hosts[host.name].process, host.process
        if old is None or new is None or old.common_names is None:
            continue
        gone = old.common_names - (new.common_names if new.common_names is not None else old.common_names)
        for _other, its in placed(half):
            assert its.leaf is None or its.leaf.common_name not in gone, f"{step.text}: {its.name} is off a list"


def reasonable(refusal: PreflightFailure | None) -> bool:
    """A refusal says what to do; nothing but a mistake of the planner would say that there is no end."""
    return refusal is None or (refusal.code != "no_end" and len(refusal.text) > 40 and "\n" not in refusal.text)


# The properties -------------------------------------------------------------------------------------------------------


@FIXED
@given(
    beginnings(),
    st.lists(
        st.tuples(
            clusters(),
            st.integers(0, 30),
            st.sampled_from(EVENTS),
            st.sampled_from(HOSTS),
            some(HOSTS, 1),
            st.booleans(),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_any_state_any_wish(truth: State, runs: list[tuple[t.Any, ...]]) -> None:
    """A run is killed anywhere, something breaks, and another inventory comes: always a next step, or a reason."""
    for cluster, stop_after, event, name, off, everywhere in runs:
        ended = run(truth, cluster, stop_after, off, everywhere, check=holds)
        assert reasonable(ended.refusal), ended.refusal
        truth = happens(ended.truth, event, name)
    last = runs[-1][0]
    ended = run(truth, last, check=holds)
    assert reasonable(ended.refusal), ended.refusal
    if ended.refusal is None:
        again = next_step(last, seen(ended.truth, last))
        assert again is None, again


@FIXED
@given(beginnings(), clusters(), st.integers(0, 40), st.sampled_from([None, *HOSTS]))
def test_a_killed_run_ends_like_one_that_was_not(
    truth: State, cluster: Desired, stop_after: int, restarted: str | None
) -> None:
    """Wherever it was killed, and if a process ended and came back by itself: the same playbook ends in the same."""
    whole = run(truth, cluster, check=holds)
    killed = run(truth, cluster, stop_after, check=holds)
    state = killed.truth if restarted is None else happens(killed.truth, "restarts", restarted)
    went_on = run(state, cluster, check=holds)
    assert (None if went_on.refusal is None else went_on.refusal.code) == (
        None if whole.refusal is None else whole.refusal.code
    )
    if whole.refusal is None:
        assert final(went_on.truth) == final(whole.truth)


@FIXED
@given(beginnings(), clusters())
def test_the_plan_ends_and_never_comes_back(truth: State, cluster: Desired) -> None:
    """No state is seen twice, and what is left is shorter by one after each step: check mode tells what a run does."""
    plan = whole_plan(cluster, seen(truth, cluster))
    ended = run(truth, cluster)
    assert [step.text for step in plan.steps] == [step.text for step in ended.steps]
    assert (plan.refusal is None) == (ended.refusal is None)
    states = [truth]
    for number, step in enumerate(plan.steps, 1):
        states.append(after_step(states[-1], step))
        if number in (1, len(plan.steps) // 2):
            left = whole_plan(cluster, seen(states[-1], cluster))
            assert [one.text for one in left.steps] == [one.text for one in plan.steps[number:]]
    assert all(one != other for index, one in enumerate(states) for other in states[:index])


@FIXED
@given(clusters())
def test_a_first_deployment_is_one_step(cluster: Desired) -> None:
    truth = State({name: empty_host(number) for number, name in enumerate(HOSTS, 1)})
    ended = run(truth, replace(cluster, words=Words()), check=holds)
    assert [step.kind for step in ended.steps][:1] in ([steps.FORM], [])
