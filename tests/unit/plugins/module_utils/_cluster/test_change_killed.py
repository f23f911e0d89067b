# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that is killed between any two actions, or in the middle of a restart, and the run that goes on after it."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import after_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import State, Words
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    Ended,
    final,
    run,
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
