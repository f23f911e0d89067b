# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members that leave and join, in one sequence of steps with a change of the cluster that they are in.

A run does it in this order: who leaves is removed while all lists have its name; the passes of a change follow; then
all that an ordinary run does, with the longer lists; who joins does so last. All steps are those of the one planner.
Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_membership import remove
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import JOINS_LAST, whole_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import after_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Desired,
    ListedMember,
    MemberList,
    State,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.transition import (
    Transition,
    planned_transition,
    without_lists,
)

_JOINING = frozenset((steps.JOIN, steps.PROMOTE))


def planned_change(
    desired: Desired,
    state: State,
    joins: t.Collection[str] = (),
    removals: t.Collection[str] = (),
    tells_members: bool = True,
) -> Transition:
    """The passes of a change, and round them the steps of those who leave and join.

    ``joins``: names of those who join; ``removals``: IDs of those who leave. ``tells_members``: whether this run does
    all of that.
    """
    has_others = bool(joins or removals)
    staying = replace(desired, members=tuple(one for one in desired.members if one.name not in joins))
    transition = planned_transition(staying, _without(desired, state, joins, removals), has_others)
    if not has_others or not tells_members or transition.plan.refusal is not None or transition.is_stopped:
        return transition
    return _with_members(transition, _in_this_run(desired, state), state)


def in_the_order_of_the_plan(removals: t.Sequence[str], transition: Transition) -> list[str]:
    """IDs of those who leave, as the plan removes them: who is not well first, so that the others have the votes."""
    planned = [
        action.member_id
        for step in transition.before
        for action in step.actions
        if action.kind == steps.REMOVE_MEMBER and action.member_id in removals
    ]
    return [*planned, *(one for one in removals if one not in planned)]


def _without(desired: Desired, state: State, joins: t.Collection[str], removals: t.Collection[str]) -> State:
    """The state as it is once who leaves has left; who joins does that after the change.

    Whose member is not in this run's list stays in the state, whatever has come of it: what it needs is not dropped.
    """
    if state.member_list is None:
        return state
    names, urls = {one.name for one in desired.members}, {one.peer_url for one in desired.members}

    def has_its_turn_later(one: ListedMember) -> bool:
        if one.name:
            return one.name in joins or (one.is_learner and one.name in names)
        return not urls.isdisjoint(one.peer_urls)

    listed = tuple(
        one for one in state.member_list.members if one.member_id not in removals and not has_its_turn_later(one)
    )
    return replace(state, member_list=replace(state.member_list, members=listed))


def _in_this_run(desired: Desired, state: State) -> Desired:
    """The members that are wanted, but those who are to join by another run, which sees their hosts."""
    listed = {one.name for one in state.member_list.members} if state.member_list is not None else set()
    members = tuple(one for one in desired.members if one.host in state.hosts or one.name in listed)
    return replace(desired, members=members)


def _with_members(transition: Transition, desired: Desired, state: State) -> Transition:
    """The same with the steps of those who leave before it, and of those who join after it.

    Where no change takes more than one pass, all that a run does comes in between: certificates, and one restart of
    each member that has to accept others.
    """
    # What the guards ask at each step a plan can't foresee for hosts that this run does not see.
    unseen = [one.label for one in View(desired, state).matched if one.wanted is not None and one.host is None]
    if unseen:
        text = f"no plan is told: {', '.join(unseen)} can't be seen in this run (--limit): each step is done only while"
        return replace(transition, unplanned=f"{text} all tell that they are well")
    before, state, refusal = _leaving(desired, state)
    if refusal is not None and transition.passed:
        return Transition(replace(transition.plan, steps=(), refusal=refusal))
    if refusal is not None:
        # The node that removes judges that once more, and may wait.
        return replace(transition, before=before, unplanned=_unplanned(refusal))
    for step in transition.plan.steps if transition.passed else ():
        state = after_step(state, step)
    transition = replace(transition, before=before)
    if transition.passed and desired.words.stop_after is not None:
        # Nothing comes after it.
        return transition
    plan = without_lists(whole_plan(desired, state, JOINS_LAST))
    coming = {wanted.name for wanted in View(desired, state).coming()}
    joins = tuple(step for step in plan.steps if _joins(step, coming))
    after = tuple(step for step in plan.steps if step not in joins)
    return replace(transition, after=after, joins=joins, unplanned=_unplanned(plan.refusal))


def _unplanned(refusal: PreflightFailure | None) -> str:
    return "" if refusal is None else f"what comes then can't be planned: {refusal.text}"


def _joins(step: Step, coming: t.Collection[str]) -> bool:
    """Whether a step is done as a part of a join, which starts a member with the list that the cluster tells."""
    return step.kind in _JOINING or (step.kind == steps.START and set(step.members) <= set(coming))


def _leaving(desired: Desired, state: State) -> tuple[tuple[Step, ...], State, PreflightFailure | None]:
    """The steps of those who leave, and the state then: the others are as they were. And why it is not all of them.

    They go first, and most of their hosts are none of this run: what these would do can't be foreseen, and need not be.
    """
    found: list[Step] = []
    while isinstance(step := remove(View(desired, state)), Step):
        found.append(step)
        listed = t.cast(MemberList, state.member_list)
        for action in step.actions:
            if action.kind == steps.TRANSFER:
                listed = replace(listed, leader_id=action.member_id)
            elif action.kind == steps.REMOVE_MEMBER:
                left = tuple(one for one in listed.members if one.member_id != action.member_id)
                listed = replace(listed, members=left)
        state = replace(state, member_list=listed)
    return tuple(found), state, step


__all__ = ("in_the_order_of_the_plan", "planned_change")
