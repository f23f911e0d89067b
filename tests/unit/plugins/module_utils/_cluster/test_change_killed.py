# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that is killed between any two actions, or in the middle of a restart, and the run that goes on after it."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import whole_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import after_action, after_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Desired, State, Words
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import (
    WRITE_CRL,
    WRITE_TRUST,
    WRITE_UNIT,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    Ended,
    final,
    run,
    seen,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.test_change_properties import (
    happens,
    holds,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.test_change_simulation import (
    OPERATIONS,
    no_wrong_order,
)


def _both(before: State, half: State, cluster: t.Any, step: t.Any) -> None:
    holds(before, half, cluster, step)
    no_wrong_order(before, half, cluster, step)


def _points(whole: Ended) -> range:
    """All places where a run can be killed: before each half of each action."""
    return range(len(whole.states))


def _boundaries(truth: State, whole: Ended) -> Ended:
    """The whole run with the states between its steps alone: a run that comes to one of these goes on as it did."""
    states, state = [truth], truth
    for step in whole.steps:
        state = after_step(state, step)
        states.append(state)
    return replace(whole, states=tuple(states))


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_ends_as_if_nothing_had_been(name: str) -> None:
    truth, cluster = OPERATIONS[name]
    whole = run(truth, cluster, check=_both)
    assert whole.refusal is None
    boundaries = _boundaries(truth, whole)
    for point in _points(whole):
        killed = run(truth, cluster, point)
        went_on = run(killed.truth, cluster, check=_both, known=boundaries)
        assert went_on.refusal is None, (point, went_on.refusal)
        assert final(went_on.truth) == final(whole.truth), point


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_killed_run_leaves_nothing_that_a_whole_plan_stops_at(name: str) -> None:
    """A run is refused where its plan ends in a refusal, however many steps are before that."""
    truth, cluster = OPERATIONS[name]
    for point in _points(run(truth, cluster)):
        state = seen(run(truth, cluster, point).truth, cluster)
        found = whole_plan(cluster, state)
        assert found.refusal is None, (point, [step.text for step in found.steps], found.refusal)


def _written_everywhere(truth: State, cluster: Desired) -> t.Iterator[State]:
    """What a pass over all hosts leaves that is killed: files of its steps on all of them, and no restart yet."""
    planned = whole_plan(cluster, seen(truth, cluster)).steps
    state = truth
    for step in itertools.takewhile(lambda step: step.kind == planned[0].kind, planned):
        for action in step.actions:
            if action.kind in (WRITE_TRUST, WRITE_CRL, WRITE_UNIT):
                state = after_action(state, action)
                yield state


@pytest.mark.parametrize("name", OPERATIONS)
def test_files_that_are_written_everywhere_and_not_read_yet_stop_nobody(name: str) -> None:
    truth, cluster = OPERATIONS[name]
    whole = run(truth, cluster)
    for state in _written_everywhere(truth, cluster):
        found = whole_plan(cluster, seen(state, cluster))
        assert found.refusal is None, ([step.text for step in found.steps], found.refusal)
        went_on = run(state, cluster, check=_both)
        assert went_on.refusal is None and final(went_on.truth) == final(whole.truth)


@pytest.mark.parametrize("name", OPERATIONS)
def test_processes_that_come_back_by_themselves_change_nothing(name: str) -> None:
    """Whoever starts by itself between two runs reads what lies on its disk, and nobody is cut off by that."""
    truth, cluster = OPERATIONS[name]
    whole = run(truth, cluster)
    boundaries = _boundaries(truth, whole)
    for point in _points(whole)[::2]:
        state = run(truth, cluster, point).truth
        for host in sorted(state.hosts):
            state = happens(state, "restarts", host)
        went_on = run(state, cluster, check=_both, known=boundaries)
        assert went_on.refusal is None, (point, went_on.refusal)
        assert final(went_on.truth) == final(whole.truth), point


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_member_that_dies_is_started_first(name: str) -> None:
    truth, cluster = OPERATIONS[name]
    whole = run(truth, cluster)
    boundaries = _boundaries(truth, whole)
    for point in _points(whole)[::3]:
        state = run(truth, cluster, point).truth
        running = sorted(host.name for host in state.hosts.values() if host.process is not None)
        if not running:
            continue
        went_on = run(happens(state, "dies", running[point % len(running)]), cluster, check=holds, known=boundaries)
        assert went_on.refusal is None, (point, went_on.refusal)
        assert final(went_on.truth) == final(whole.truth), point


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_its_words_a_run_takes_nothing_away(name: str) -> None:
    """A scheduled run that comes after a killed one finishes what takes nothing, and asks for the word for the rest."""
    truth, cluster = OPERATIONS[name]
    whole = run(truth, cluster)
    silent = type(cluster)(**{**vars(cluster), "words": Words()})
    for point in _points(whole)[::3]:
        killed = run(truth, cluster, point)
        went_on = run(killed.truth, silent, everywhere=False, check=_both)
        if went_on.refusal is not None:
            assert "etcd_peer_tls_" in went_on.refusal.text, (point, went_on.refusal)
