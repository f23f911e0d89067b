# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members that come and go, in one sequence with a change of the cluster: from any state, in the order of a run."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import whole_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import after_step, halves
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Desired, State
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.transition import Transition, without_lists
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.transition_members import (
    in_the_order_of_the_plan,
    planned_change,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    NEW_CA,
    changed,
    desired,
    formed,
    gate_is_open,
    run,
    said,
    seen,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.test_change_properties import (
    EVENTS,
    FIXED,
    HOSTS,
    NAMES,
    beginnings,
    clusters,
    happens,
    holds,
)
from hypothesis import given
from hypothesis import strategies as st

THREE = desired((1, 2, 3))


def inventoried(cluster: Desired, state: State) -> State:
    names = {one.host for one in cluster.members}
    return replace(state, hosts={name: host for name, host in state.hosts.items() if name in names})


def told(cluster: Desired, state: State) -> Transition:
    """The plan as a run makes it, which sees the hosts of the inventory alone."""
    state = inventoried(cluster, state)
    view = View(cluster, state)
    joins = [wanted.name for wanted in view.coming()]
    return planned_change(cluster, state, joins, [one.listed.member_id for one in view.leaving()])


def kinds_of(transition: Transition) -> list[str]:
    return [step.kind for step in transition.steps]


def test_members_that_join_are_steps_of_the_plan() -> None:
    found = told(desired((1, 2, 3, 4, 5)), formed(THREE, spare=(4, 5)))
    assert not found.is_due and found.unplanned == ""
    joined = ["join", "promote"]
    assert kinds_of(found) == ["issue", "issue", "widen", "widen", "widen", *joined, *joined]
    assert [line.partition(":")[0] for line in found.lines] == [f"{number} of 9" for number in range(1, 10)]
    assert found.lines[0] == (
        "1 of 9: issue the first certificate of etcd-4: it has none; all votes stay (3 of 3 well)"
    )
    assert found.lines[2].endswith("2 of 3 voters stay, 2 are needed")
    assert found.lines[5] == (
        "6 of 9: add etcd-4 as a learner, and start it: it is in the inventory and no member yet; "
        "all votes stay (3 of 3 well)"
    )
    assert found.lines[6] == (
        "7 of 9: promote etcd-4 to a voter, as soon as it is in sync: it is a learner; 3 voters become 4, 3 are well"
    )


def test_members_that_leave_are_steps_of_the_plan_the_leader_after_it_has_handed_over() -> None:
    state = formed(THREE)
    assert state.member_list is not None and state.member_list.leader_id == "id etcd-1"
    cluster = desired((2, 3), words=said(removed=["etcd-1"]))
    found = told(cluster, state)
    assert not found.is_due and kinds_of(found) == ["move_leader", "remove", "narrow", "narrow"]
    assert found.lines[0].startswith("1 of 4: move the leadership from etcd-1 to etcd-2: etcd-1 leaves; ")
    assert found.lines[1] == "2 of 4: remove etcd-1: this run says that it leaves; 3 voters become 2, 2 are well"
    assert found.lines[3].endswith("writes pause: 1 of 2 voters stay, 2 are needed")


def test_a_member_that_starts_anew_leaves_and_joins() -> None:
    state = changed(formed(THREE), "host-3", process=None, data=None)
    cluster = replace(THREE, words=said(replace=["etcd-3"]))
    found = told(cluster, state)
    assert kinds_of(found) == ["remove", "join", "promote"] and not found.is_due
    assert found.lines[0].startswith("1 of 3: remove etcd-3: it lost its data, and starts anew; 3 voters become 2")


def test_who_comes_in_place_of_another_costs_one_restart_of_each() -> None:
    """As a run does it, which writes the list that is wanted."""
    cluster = desired((1, 2, 4), words=said(removed=["etcd-3"]))
    found = told(cluster, formed(THREE, spare=(4,)))
    assert kinds_of(found) == ["remove", "issue", "widen", "widen", "join", "promote"]


def test_a_learner_that_a_killed_run_left_is_promoted() -> None:
    state = formed(desired((1, 2, 3, 4)))
    listed = state.member_list
    assert listed is not None
    members = (*listed.members[:3], replace(listed.members[3], is_learner=True))
    state = replace(state, member_list=replace(listed, members=members))
    found = told(desired((1, 2, 3, 4)), state)
    assert kinds_of(found) == ["promote"] and found.lines[0].startswith("1 of 1: promote etcd-4")


def test_members_that_change_within_a_change_of_the_cluster_are_in_the_one_sequence() -> None:
    cluster = desired((1, 2, 4), domain="example.org", words=said(removed=["etcd-3"]))
    found = told(cluster, formed(THREE, spare=(4,)))
    widened = ["widen", "widen", "issue", "issue", "narrow", "narrow"]
    assert kinds_of(found) == ["remove", *widened, "issue", "widen", "widen", "join", "promote"]
    assert [step.kind for step in found.passed] == ["widen", "widen"] and found.text.endswith(", 9 steps after that")
    assert found.lines[1].startswith("2 of 12: restart etcd-")
    # What clients need stands before its own step.
    other = desired((1, 2, 4), issuer=NEW_CA, words=said(removed=["etcd-3"], new_ca=True))
    lines = told(other, formed(THREE, spare=(4,))).lines
    (need,) = [number for number, line in enumerate(lines) if line.startswith("before ")]
    assert lines[need].startswith("before 4 of ") and lines[need + 1].startswith("4 of ")
    assert "issue a certificate to etcd-" in lines[need + 1]
    # Where it is to stop, nobody joins after it.
    stopped = replace(cluster, words=said(removed=["etcd-3"], stop_after="widen"))
    found = told(stopped, formed(THREE, spare=(4,)))
    assert kinds_of(found) == ["remove", "widen", "widen"] and found.unplanned == ""


def test_what_can_not_be_planned_to_its_end_says_so() -> None:
    three = formed(THREE, spare=(4,))
    ill = changed(three, "host-2", problem="no disk")
    found = told(desired((1, 2, 3, 4)), ill)
    assert kinds_of(found) == [] and found.lines[-1].startswith(
        "what comes then can't be planned: etcd-2 is not healthy (no disk): nothing is changed while"
    )
    limited = replace(three, hosts={name: three.hosts[name] for name in ("host-1", "host-4")})
    found = told(desired((1, 2, 3, 4)), limited)
    assert found.lines == [
        "no plan is told: etcd-2, etcd-3 can't be seen in this run (--limit): each step is done only while all tell "
        "that they are well"
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("more", [0, 1, 2])
@pytest.mark.parametrize("less", [0, 1])
@pytest.mark.parametrize("domain", ["example.com", "example.org"])
def test_the_steps_that_are_told_end_where_the_planner_ends(count: int, more: int, less: int, domain: str) -> None:
    """Each one can be done after those before it, and in the end nothing is left."""
    if not more and not less:
        return
    numbers = [*range(1 + less, count + 1), *range(count + 1, count + more + 1)]
    gone = [f"etcd-{number}" for number in range(1, 1 + less)]
    if count == less:
        return
    cluster = desired(numbers, domain=domain, words=said(removed=gone))
    state = formed(desired(range(1, count + 1)), spare=range(count + 1, count + more + 1))
    found = told(cluster, state)
    assert found.unplanned == ""
    for step in found.steps:
        state = after_step(state, step)
    left = whole_plan(cluster, inventoried(cluster, state))
    assert left.steps == () and left.refusal is None


def test_who_is_not_well_leaves_before_who_is_although_its_id_comes_later() -> None:
    """The other way round the first one would wait for the second, which never comes back."""
    state = changed(formed(desired((1, 2, 3, 4, 5))), "host-5", process=None, running=None)
    cluster = desired((1, 2, 3), words=said(removed=["etcd-4", "etcd-5"]))
    found = told(cluster, state)
    assert [step.text for step in found.before] == ["remove etcd-5", "remove etcd-4"]
    ids = ["id etcd-4", "id etcd-5"]
    assert in_the_order_of_the_plan(ids, found) == ids[::-1]
    # Where no plan can be made none of them is left out.
    assert in_the_order_of_the_plan(ids, Transition()) == ids


def test_a_change_is_refused_where_those_who_are_to_leave_before_it_can_not() -> None:
    """Two of five are seen to be well, and have not noticed yet that they are alone: the three others can't go."""
    state = formed(desired((1, 2, 3, 4, 5)))
    alone = frozenset(("id etcd-3", "id etcd-4", "id etcd-5"))
    hosts = {name: replace(state.hosts[name], links_down=alone) for name in ("host-1", "host-2")}
    state = replace(state, hosts=hosts)
    words = said(removed=["etcd-3", "etcd-4", "etcd-5"])
    found = told(desired((1, 2), words=words), state)
    assert not found.is_due and found.lines == [found.unplanned]
    assert "nothing can be removed without 3" in found.unplanned
    found = told(desired((1, 2), domain="example.org", words=words), state)
    assert found.plan.refusal is not None and found.plan.refusal.code == "no_quorum" and found.steps == ()


def test_who_has_had_data_by_its_marker_joins_by_its_word_alone() -> None:
    state = changed(formed(THREE, spare=(4,)), "host-4", marked=True)
    four = desired((1, 2, 3, 4))
    plan = whole_plan(four, state)
    assert plan.refusal is not None and plan.refusal.code == "data_lost"
    assert "etcd_peer_tls_replaced: [etcd-4]" in plan.refusal.text
    again = whole_plan(replace(four, words=said(replace=["etcd-4"])), state)
    assert again.refusal is None and "join" in [step.kind for step in again.steps]


def test_a_member_that_never_ran_leaves_by_its_place_alone() -> None:
    state = formed(THREE)
    assert state.member_list is not None
    one = replace(state.member_list.members[2], member_id="id 4", name="", is_learner=True, started=False)
    one = replace(one, peer_urls=("https://10.0.0.4:2380",))
    members = (*state.member_list.members, one)
    state = replace(state, member_list=replace(state.member_list, members=members))
    cluster = replace(THREE, words=said(removed=["etcd-4"], removed_urls=["https://10.0.0.4:2380"]))
    found = told(cluster, state)
    assert [step.text for step in found.steps] == ["remove https://10.0.0.4:2380"] and found.unplanned == ""
    # Without the place it is nobody's.
    assert View(replace(THREE, words=said(removed=["etcd-4"])), state).leaving() == []


def test_who_joins_does_so_after_all_restarts() -> None:
    """With one name for all nobody needs a longer list: the planner alone would let it join first."""
    shared = {"common_name": "blue.peers"}
    state = formed(desired((1, 2, 3), **shared), spare=(4,))
    cluster = desired((1, 2, 3, 4), settings="another quota", **shared)
    assert [step.kind for step in whole_plan(cluster, state).steps][:2] == ["issue", "join"]
    found = told(cluster, state)
    assert kinds_of(found) == ["issue", "configure", "configure", "configure", "join", "promote"]
    assert all(line.endswith("2 of 3 voters stay, 2 are needed") for line in found.lines[1:4])
    now = found.numbered(2)
    assert now["removals"] == now["pass"] == [] and now["rest"][0].startswith("3 of 8: issue the first certificate")
    assert [line.partition(" etcd")[0] for line in now["joins"]] == ["7 of 8: add", "8 of 8: promote"]


# From any state, in the order of a run --------------------------------------------------------------------------------


def who_changes(planned: t.Iterable[steps.Step]) -> tuple[set[str], set[str]]:
    """IDs of those whom steps remove, and names of those whom they add or promote."""
    removed, joined = set(), set()
    for step in planned:
        removed |= {action.member_id for action in step.actions if action.kind == steps.REMOVE_MEMBER}
        joined |= set(step.members) if step.kind in (steps.JOIN, steps.PROMOTE) else set()
    return removed, joined


@st.composite
def wishes(draw: t.Callable[[t.Any], t.Any]) -> Desired:
    """Any cluster, and all words that members leave by: what is refused for want of one has properties of its own."""
    cluster = draw(clusters())
    gone = set(NAMES) - {one.name for one in cluster.members}
    words = replace(cluster.words, removed=frozenset(gone), new_ca=True, retire_ca=frozenset(), leaked=frozenset())
    return replace(cluster, version=None, revoked=frozenset(), words=words)


LIVES = st.tuples(clusters(), st.integers(0, 30), st.sampled_from(EVENTS), st.sampled_from(HOSTS))


@FIXED
@given(beginnings(), LIVES, wishes())
def test_who_is_removed_and_who_joins_is_who_the_view_tells(
    truth: State, before: tuple[t.Any, ...], cluster: Desired
) -> None:
    """Those whom a run removes and lets join (``membership_changes``) are those whose steps are in the plan."""
    other, stop_after, event, name = before
    state = seen(happens(run(truth, other, stop_after).truth, event, name), cluster)
    plan = whole_plan(cluster, state)
    if state.member_list is None:
        return
    view = View(cluster, state)
    removed, joined = who_changes(plan.steps)
    leaving = {one.listed.member_id for one in view.leaving()}
    coming = {wanted.name for wanted in view.coming()}
    assert removed <= leaving and joined <= coming
    if plan.refusal is None:
        assert (removed, joined) == (leaving, coming)


@FIXED
@given(beginnings(), LIVES, wishes())
def test_the_steps_in_the_order_of_a_run_keep_the_quorum(
    truth: State, before: tuple[t.Any, ...], cluster: Desired
) -> None:
    """All steps that are told of a run that members leave and join in, one after the other, half by half.

    Each one's gate opens, none costs the quorum or adds a second learner, nobody goes without a word, and every list
    has who is added before it is. In the end nothing is left.
    """
    other, stop_after, event, name = before
    truth = happens(run(truth, other, stop_after).truth, event, name)
    state = seen(truth, cluster, everywhere=False)
    found, view = told(cluster, state), View(cluster, state)
    if found.plan.refusal is not None:
        # Then a run does nothing.
        return
    (removed, none_joins), (none_removed, joined) = who_changes(found.before), who_changes(found.joins)
    assert not none_joins and not none_removed and who_changes((*found.plan.steps, *found.after)) == (set(), set())
    if (found.before or found.joins) and not found.unplanned and cluster.words.stop_after is None:
        assert removed == {one.listed.member_id for one in view.leaving()}
        assert joined == {wanted.name for wanted in view.coming()}
    for step in found.steps:
        assert gate_is_open(truth, step), f"the gate of {step.text!r} never opens"
        for action in step.actions:
            for half in halves(truth, action):
                holds(truth, half, cluster, step)
                truth = half
        truth = after_step(truth, step) if not step.actions else truth
    if (found.before or found.joins) and not found.unplanned and cluster.words.stop_after is None:
        left = whole_plan(cluster, seen(truth, cluster, everywhere=False))
        assert without_lists(left).steps == () and left.refusal is None, [step.text for step in left.steps]
