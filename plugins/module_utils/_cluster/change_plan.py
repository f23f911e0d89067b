# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a change: from the cluster that is wanted and the state of all hosts to the next step. Pure.

Nothing is remembered between two steps: what is next is told from what is there, by the first row that applies. So a
run that was killed anywhere is continued by the next one, and ends where it would have ended.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_fence as fence
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_membership as membership
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_upgrade as versions
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import after_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Desired, State
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import START, Next, Plan, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure

# More than any plan has: a few steps for each member and each kind of change.
_MOST_STEPS_A_MEMBER = 40

Row = t.Callable[[View], Next]

# The first that gives a step or a refusal is what is done.
ROWS: tuple[Row, ...] = (
    # Whether anything may be done at all.
    membership.form_or_start,
    membership.refuse_doubtful_list,
    fence.refuse_contradiction,
    membership.refuse_data_of_others,
    membership.refuse_unsaid,
    # What an end in the middle left behind, and what heals without costing anybody anything.
    fence.mend_crl,
    fence.mend_leaf,
    membership.start,
    membership.mend_listener,
    membership.mend_url,
    fence.mend_process,
    # 1: removals.
    membership.retire,
    membership.remove,
    # 0: who is unwell, and not part of what comes before.
    fence.refuse_unwell,
    versions.upgrade_begun,
    # 4 before 2 and 3: it applies only where all accept the new certificate, and a member that moves needs it first.
    membership.issue_to_joining,
    fence.present,
    versions.upgrade_for_list,
    # 2 and 3.
    fence.widen,
    membership.update,
    # 6 before 5: one learner at a time.
    membership.promote,
    membership.join,
    # 7 and 8.
    fence.revoke,
    fence.disconnect,
    fence.narrow,
    versions.upgrade,
    fence.refuse_left,
)

_JOINS = (membership.promote, membership.join)
# The same rows where who joins does so when all else is done.
JOINS_LAST: tuple[Row, ...] = (
    *(row for row in ROWS if row not in (*_JOINS, fence.refuse_left)),
    *_JOINS,
    fence.refuse_left,
)


def next_step(desired: Desired, state: State, rows: t.Sequence[Row] | None = None) -> Next:
    """The next step; why there is none although something is left; or None where all is as it should be."""
    view = View(desired, state)
    for row in ROWS if rows is None else rows:
        found = row(view)
        if found is not None:
            return found
    return None


def whole_plan(desired: Desired, state: State, rows: t.Sequence[Row] | None = None) -> Plan:
    """All steps, each planned from what the ones before it will have left, as check mode tells them."""
    steps: list[Step] = []
    for _number in range(_MOST_STEPS_A_MEMBER * (len(desired.members) + len(state.hosts) + 1)):
        found = next_step(desired, state, rows)
        if found is None or isinstance(found, PreflightFailure):
            return Plan(tuple(steps), found, fence.notes(View(desired, state)))
        steps.append(found)
        if state.member_list is None and found.kind == START:
            return Plan(tuple(steps), None, ("what comes next is planned when these tell who is a member",))
        state = after_step(state, found)
    told = "; ".join(step.text for step in steps[-3:])
    return Plan(
        (), PreflightFailure("no_end", f"the plan would never end ({told}): nothing is done: report this as a mistake")
    )


__all__ = ("JOINS_LAST", "ROWS", "next_step", "whole_plan")
