# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of a running cluster that one pass over its hosts can't do: its plan, and the next pass.

Other common names, another CA, another peer URL: all members have to accept the new before anybody has it, and lose the
old last. The plan (change_plan) says the steps. A pass is what may be done on several hosts before all are looked at
again: each restart in it has its turn by the guard of the module that restarts. Who leaves does so before the first
pass, who joins after the last one, and their steps are in the same sequence (``transition_members``). Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import whole_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import after_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    AFTER_PRESENT,
    AFTER_WIDEN,
    Config,
    Desired,
    State,
    has_https,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Plan, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure

# What an ordinary run does by itself, in one pass.
_ORDINARY = frozenset((steps.CONFIGURE, steps.START, steps.FORM, steps.DISCONNECT))
# What mends one host where nothing else of a change is left: an ordinary run writes what is wanted, and restarts.
_MENDS = frozenset((steps.WIDEN, steps.MEND))
# Steps that may follow each other on several hosts before all are looked at again.
_TOGETHER = frozenset((steps.WIDEN, steps.NARROW, steps.CONFIGURE, steps.START, steps.DISCONNECT))
# Actions that a pass can do; what else a plan has, other parts of the role do.
_KNOWN = frozenset(
    (
        steps.WRITE_TRUST,
        steps.WRITE_UNIT,
        steps.WRITE_LEAF,
        steps.RESTART_UNIT,
        steps.START_UNIT,
        steps.UPDATE_MEMBER,
        # Done on all hosts before the first pass, with the CA's own list.
        steps.WRITE_CRL,
    )
)
# Why such a change is refused although no step of it is left. Any other refusal is one of the ordinary checks.
_REFUSALS = frozenset(
    (
        "new_ca_not_said",
        "retired_is_wanted",
        "ca_in_use",
        "clients_not_asked",
        "certificate_left",
        "url_taken",
    )
)
# What the checks of an ordinary run refuse and a transition does, by code.
DONE_BY_TRANSITION = frozenset(
    ("common_name_differs", "name_would_be_lost", "peer_url_differs", "client_url_differs", "other_ca")
)


@dataclass(frozen=True)
class Assignment:
    """What one pass does on one member's host. None: that part stays as it is.

    ``config``: what its next start accepts, and where it answers. ``names``: all names of the certificate that is to be
    issued. ``moved_to``: the peer URL that the cluster is told.
    """

    config: Config | None = None
    names: frozenset[str] | None = None
    moved_to: str | None = None


class ClientNeed(t.NamedTuple):
    """What clients have to be able to do before a step, by its number from 1, or they lose members at it."""

    before: int
    text: str


@dataclass(frozen=True)
class Transition:
    """The plan of a change, and the pass that is next. Without steps there is nothing that needs more than one pass.

    ``clients``: what clients need; before a step that the plan does not have where it stops before the end.
    ``before``: the steps of those who leave; ``after``: what an ordinary run does after the passes; ``joins``: the
    steps of those who join. ``unplanned``: why there are no more steps, although there is more to do. ``is_stopped``:
    there would be more passes, and this run was told to stop before them.
    """

    plan: Plan = field(default_factory=lambda: Plan(()))
    passed: tuple[Step, ...] = ()
    assignments: t.Mapping[str, Assignment] = field(default_factory=dict)
    clients: tuple[ClientNeed, ...] = ()
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    joins: tuple[Step, ...] = ()
    unplanned: str = ""
    is_stopped: bool = False

    @property
    def is_due(self) -> bool:
        return bool(self.passed) or self.plan.refusal is not None

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which a run does them."""
        return (*self.before, *self.plan.steps, *self.after, *self.joins)

    @property
    def text(self) -> str:
        """The next pass in a line, with how much comes after it: the same twice in a row is no progress."""
        if not self.passed:
            return ""
        left = len(self.steps) - len(self.before) - len(self.passed)
        after = f", {left} step{'s' if left > 1 else ''} after that" if left else ", which is the last step"
        return f"{'; '.join(dict.fromkeys(step.text for step in self.passed))} ({self.passed[0].reason}){after}"

    def numbered(self, done: int = 0) -> dict[str, list[str]]:
        """The lines of the steps that come next, by the part of a run that does them.

        ``removals``, ``pass``: the next pass alone, ``rest``: what an ordinary run does, ``joins``. ``done``: how many
        steps this run has done before: the numbers go on from there.
        """
        total = done + len(self.steps)
        lines = [_line(number, total, step) for number, step in enumerate(self.steps, done + 1)]
        passes = len(self.before)
        rest = passes + len(self.plan.steps)
        joins = rest + len(self.after)
        return {
            "removals": lines[:passes],
            "pass": lines[passes : passes + len(self.passed)],
            "rest": lines[rest:joins],
            "joins": lines[joins:],
        }

    @property
    def lines(self) -> list[str]:
        """All steps, a line each, and what clients need before one of them."""
        found: list[str] = []
        ahead, end, total = len(self.before), len(self.plan.steps), len(self.steps)
        for number, step in enumerate(self.steps, 1):
            needs = [need.text for need in self.clients if need.before <= end and need.before + ahead == number]
            found += [f"before {number} of {total}: {text}" for text in needs]
            found.append(_line(number, total, step))
        later = [need.text for need in self.clients if need.before > end]
        found += [f"before a run without etcd_peer_tls_stop_after: {text}" for text in later]
        return found + ([self.unplanned] if self.unplanned else [])


def _line(number: int, total: int, step: Step) -> str:
    return f"{number} of {total}: {step.text}: {step.reason}; {step.quorum.text}"


def planned_transition(desired: Desired, state: State, has_membership_changes: bool = False) -> Transition:
    """The plan where the change needs more than one pass, else none.

    ``has_membership_changes``: members join or leave in this run, so that a list that is too long is no reason.
    """
    if state.member_list is None:
        return Transition()
    whole = plan = without_lists(whole_plan(desired, state))
    is_told_to_stop = desired.words.stop_after is not None
    if is_told_to_stop:
        # What comes after the stop tells whether this is such a change.
        whole = without_lists(whole_plan(_to_the_end(desired), state))
    is_change = any(_needs_passes(step, state, has_membership_changes) for step in whole.steps)
    if not is_change and not _is_refused(plan, desired, state):
        is_stopped = is_told_to_stop and _is_refused(whole, desired, state)
        return Transition(Plan((), notes=plan.notes), is_stopped=is_stopped)
    if plan.refusal is not None:
        return Transition(plan)
    if all(step.kind in _ORDINARY for step in plan.steps):
        return Transition(Plan((), notes=plan.notes), is_stopped=is_told_to_stop)
    passed = _next_pass(plan.steps)
    unknown = sorted({action.kind for step in passed for action in step.actions} - _KNOWN)
    if unknown:
        text = f"{passed[0].text} ({passed[0].reason}) comes before this change: run without the change first"
        return Transition(replace(plan, refusal=PreflightFailure("step_before_change", text)))
    assignments = {name: _assignment(step, state) for step in passed for name in step.members}
    return Transition(plan, passed, assignments, tuple(_clients_need(whole.steps, desired, state)))


def _clients_need(planned: t.Iterable[Step], desired: Desired, state: State) -> t.Iterator[ClientNeed]:
    """What clients have to be able to do before which step, each once: before the first that asks it of them."""
    told: set[str] = set()
    for number, step in enumerate(planned, 1):
        after = after_step(state, step)
        for text in _needs_of(step, desired, state, after):
            if text not in told:
                told.add(text)
                yield ClientNeed(number, text)
        state = after


def _needs_of(step: Step, desired: Desired, before: State, after: State) -> t.Iterator[str]:
    for name, host in after.hosts.items():
        old, new = before.hosts[name].process, host.process
        if old is None or new is None:
            continue
        leaves = (before.hosts[name].leaf, host.leaf)
        is_of_another = leaves[0] is not None and leaves[1] is not None and leaves[0].issuer != leaves[1].issuer
        if is_of_another and new.has_client_tls:
            yield _until(f"clients that trust the members' certificates by their CA trust {desired.issuer} too", step)
        if old.client_serves - new.client_serves:
            yield _until(_place_of_clients(desired, old), step)
        if new.has_client_tls and old.client_authorities - new.client_authorities:
            gone = ", ".join(sorted(old.client_authorities - new.client_authorities))
            yield _until(f"no client has a certificate of the CA {gone}, or checks a member by it", step)


def _place_of_clients(desired: Desired, old: Config) -> str:
    urls = [member.client_url for member in desired.members]
    told = f"clients ask at {', '.join(urls)}"
    if has_https(urls) and not all(has_https((url,)) for url in old.client_serves):
        return f"{told}, trust the CA of the members' certificates, and have a certificate of the CA for clients"
    if has_https(old.client_serves) and not has_https(urls):
        return f"{told}, without TLS"
    return told


def _until(text: str, step: Step) -> str:
    phase = AFTER_WIDEN if step.kind == steps.ISSUE else AFTER_PRESENT
    return f"{text} (etcd_peer_tls_stop_after: {phase} stops the run before it)"


def without_lists(plan: Plan) -> Plan:
    """The plan without the steps that only write a revocation list: a run has done these before it follows a plan."""
    left = tuple(step for step in plan.steps if any(action.kind != steps.WRITE_CRL for action in step.actions))
    return replace(plan, steps=left)


def _is_refused(plan: Plan, desired: Desired, state: State) -> bool:
    """Whether a plan ends in a refusal that no other check has."""
    return plan.refusal is not None and (plan.refusal.code in _REFUSALS or _is_of_another_ca(desired, state))


def _is_of_another_ca(desired: Desired, state: State) -> bool:
    """Whether a host presents a certificate of another CA: an ordinary run would issue from this one at once."""
    leaves = [host.leaf for host in state.hosts.values() if host.leaf is not None]
    return any(leaf.issuer not in ("", desired.issuer) for leaf in leaves)


def _to_the_end(desired: Desired) -> Desired:
    """The same cluster in a run that is not told to stop before the end."""
    return replace(desired, words=replace(desired.words, stop_after=None, clients_followed=True))


def _needs_passes(step: Step, state: State, has_membership_changes: bool) -> bool:
    if step.kind == steps.NARROW:
        return not has_membership_changes
    if step.kind != steps.ISSUE:
        return step.kind not in _ORDINARY | _MENDS
    # A renewal, and one with other places in it, is met as before by everybody.
    for action in step.actions:
        host, leaf = state.hosts.get(action.host), action.leaf
        if host is None or host.leaf is None or leaf is None:
            return True
        if (host.leaf.common_name, host.leaf.issuer) != (leaf.common_name, leaf.issuer):
            return True
    return False


def _next_pass(planned: t.Sequence[Step]) -> tuple[Step, ...]:
    first = planned[0]
    if first.kind not in _TOGETHER:
        return (first,)
    found: list[Step] = []
    for step in planned:
        is_new = not {name for one in found for name in one.members} & set(step.members)
        if step.kind != first.kind or not is_new:
            break
        found.append(step)
    return tuple(found)


def _assignment(step: Step, state: State) -> Assignment:
    """What a step does on its member's host. What is written is all that its next start reads, or nothing."""
    config, names, moved_to = None, None, None
    for action in step.actions:
        if action.kind in (steps.WRITE_TRUST, steps.WRITE_UNIT):
            config = action.config
        elif action.kind in (steps.RESTART_UNIT, steps.START_UNIT) and config is None:
            # Its files are there already.
            host = state.hosts.get(action.host)
            config = None if host is None else host.disk
        elif action.kind == steps.WRITE_LEAF and action.leaf is not None:
            names = action.leaf.names
        elif action.kind == steps.UPDATE_MEMBER:
            moved_to = action.url
    return Assignment(config, names, moved_to)


def asked_at(members: t.Sequence[Member], state: State, transition: Transition) -> dict[str, str]:
    """By member's name, the client URL at which it answers during the next pass: before its restart, and after it."""
    found = {}
    for member in members:
        host = state.hosts.get(member.host)
        now = frozenset() if host is None or host.process is None else host.process.client_serves
        assigned = transition.assignments.get(member.name, Assignment()).config
        stays = now if assigned is None else now & assigned.client_serves
        urls = sorted(stays or now)
        found[member.name] = member.client_url if not urls or member.client_url in urls else urls[0]
    return found


__all__ = (
    "DONE_BY_TRANSITION",
    "Assignment",
    "ClientNeed",
    "Transition",
    "asked_at",
    "planned_transition",
    "without_lists",
)
