# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a run is killed, and the table of how operations ended: what scenarios note, and what is made of it."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from ringfence_lab import kills
from ringfence_lab.kills import ACTED, ACTING, AMID, TOLD, Boundaries, Killed

REPOSITORY = Path(__file__).resolve().parents[3]
# As ansible-playbook prints a run whose two hosts get a longer list and a member each, cut to what counts.
PRINTED = """
TASK [Stop where no host matches] *****
ok: [localhost]
TASK [ringfence.etcd.etcd_peer_tls : Tell the plan] *****
changed: [etcd-1] => {
        "1 of 3: restart etcd-1 to accept more: it is to accept etcd-3; 2 of 3 voters stay",
        "2 of 3: restart etcd-2 to accept more: it is to accept etcd-3; 2 of 3 voters stay",
TASK [ringfence.etcd.etcd_peer_tls : Tell the pass] *****
ok: [etcd-1] => {
        "1 of 3: restart etcd-1 to accept more: it is to accept etcd-3; 2 of 3 voters stay",
        "2 of 3: restart etcd-2 to accept more: it is to accept etcd-3; 2 of 3 voters stay"
ok: [etcd-2] => {
        "1 of 3: restart etcd-1 to accept more: it is to accept etcd-3; 2 of 3 voters stay",
TASK [ringfence.etcd.etcd_peer_tls : Deploy the systemd unit, and start what does not run] *****
changed: [etcd-2]
changed: [etcd-1]
TASK [ringfence.etcd.etcd_peer_tls : Restart etcd, one member at a time] *****
changed: [etcd-1]
changed: [etcd-2]
TASK [ringfence.etcd.etcd_peer_tls : Tell the steps by which members join] *****
ok: [etcd-1] => {
        "3 of 3: add etcd-3 as a learner, and start it: it is wanted; 2 of 2 voters stay"
TASK [ringfence.etcd.etcd_peer_tls : Join as a learner, then vote] *****
changed: [etcd-3]
""".splitlines()
WIDER, JOINS = "restart etcd-1 to accept more", "add etcd-3 as a learner, and start it"


def places(found: Boundaries, printed: list[str]) -> list[str]:
    """At which lines runs are killed that would all print the same."""
    killed = []
    while True:
        found.begin()
        if not any(found.is_next(line) for line in printed):
            return killed
        killed.append(found.last)


class Always(random.Random):
    """Leaves nothing to chance."""

    def random(self) -> float:
        return 1.0


def test_a_run_is_killed_once_at_each_boundary() -> None:
    found = Boundaries(Always(1))
    assert places(found, PRINTED) == [
        f"{TOLD}, {WIDER}",
        f"{AMID}, Deploy the systemd unit, and start what does not run",
        f"{ACTED}, {WIDER}, Deploy the systemd unit, and start what does not run",
        f"{AMID}, Restart etcd, one member at a time",
        f"{ACTED}, {WIDER}, Restart etcd, one member at a time",
        f"{TOLD}, {JOINS}",
        f"{AMID}, Join as a learner, then vote",
        f"{ACTED}, {JOINS}, Join as a learner, then vote",
    ]
    assert found.kills == {TOLD: 2, AMID: 3, ACTED: 3} and found.count == 8


def test_where_no_step_is_told_each_host_s_part_is_one() -> None:
    task = "Deploy the CA certificate, the certificate and the key"
    printed = [f"TASK [ringfence.etcd.etcd_peer_tls : {task}] ***", "changed: [etcd-1]", "changed: [etcd-2 -> ca]"]
    found = Boundaries(Always(1))
    assert places(found, printed) == [f"{AMID}, {task}", f"{ACTED}, {task}, etcd-1", f"{ACTED}, {task}, etcd-2"]


def test_some_time_passes_in_the_middle_of_a_task_alone() -> None:
    found = Boundaries(Always(1))
    delays: dict[str, list[float]] = {}
    for _number in range(8):
        found.begin()
        assert any(found.is_next(line) for line in PRINTED)
        delays.setdefault(found.last.partition(",")[0], []).append(found.delay_seconds)
    assert set(delays[TOLD]) == set(delays[ACTED]) == {0.0} and all(0.1 <= one <= 1.5 for one in delays[AMID])


def test_between_steps_none_is_left_out_and_in_the_middle_chance_decides() -> None:
    counts = []
    for seed in range(8):
        found = Boundaries(random.Random(seed))
        places(found, PRINTED)
        counts.append(found.kills)
    assert {(one[TOLD], one[ACTED]) for one in counts} == {(2, 3)}
    assert len({one.get(AMID, 0) for one in counts}) > 1


def test_a_sample_has_so_many_kills_and_the_same_ones_with_the_same_seed() -> None:
    samples = [places(Boundaries(random.Random(seed), most=2), PRINTED) for seed in (1, 1, 2)]
    assert samples[0] == samples[1] != samples[2] and {len(one) for one in samples} == {2}


@pytest.mark.parametrize("name", ACTING)
def test_each_task_that_acts_is_one_of_the_role(name: str) -> None:
    folders = (REPOSITORY / "roles" / "etcd_peer_tls" / "tasks", REPOSITORY / "playbooks")
    names = [line.strip(' "\\n') for folder in folders for path in folder.glob("*.yml") for line in path.open()]
    assert any(line.replace('"', "").startswith(f"- name: {name}") for line in names)


REMOVED = Killed("a member goes", "3.5.16", {TOLD: 4, ACTED: 6, AMID: 5}, True)
UPGRADED = Killed("the next minor version", "3.5.35 to 3.6.16", {ACTED: 3}, False)


def test_what_is_noted_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kills.jsonl"
    monkeypatch.delenv(kills.VARIABLE, raising=False)
    kills.note(REMOVED)
    assert kills.read([path]) == []
    monkeypatch.setenv(kills.VARIABLE, str(path))
    kills.note(REMOVED)
    kills.note(UPGRADED)
    assert kills.read([path, tmp_path / "none.jsonl"]) == [REMOVED, UPGRADED]


def test_the_table_is_by_operation_then_by_version_and_adds_the_same() -> None:
    newer = REMOVED._replace(etcd="3.7.3")
    lines = kills.table([newer, UPGRADED, REMOVED, REMOVED])
    assert lines[0].count("|") == lines[1].count("|") == 8
    assert lines[2:] == [
        "| a member goes | 3.5.16 | 30 | 8 | 12 | 10 | 2 of 2 |",
        "| a member goes | 3.7.3 | 15 | 4 | 6 | 5 | 1 of 1 |",
        "| the next minor version | 3.5.35 to 3.6.16 | 3 | 0 | 3 | 0 | 0 of 1 |",
    ]
