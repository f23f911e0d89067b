# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of what changes cost and of runs that were killed: which scenarios, which etcd, and what is no table."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
from ringfence_lab import etcd
from runner import changes, cores
from runner.tests.loaded_noxfile import Recorder, Steps
from runner.verdicts import StepFailed

_TESTS = pathlib.Path(__file__).resolve().parents[2]


def test_each_etcd_has_a_turn_beside_the_default_one() -> None:
    days = [changes.turn(86400 * day + 5) for day in range(8)]
    assert days[:4] == days[4:] == ["3.5.15", "3.5.35", "3.6.16", "3.7.3"]
    assert changes.turn(86399) == changes.turn(0) and changes.DEFAULT == "3.5.16"


def test_each_part_has_a_turn_with_each_etcd(load: t.Callable[..., Steps]) -> None:
    plan = load("3.11", "3.12", "3.13").file.plan
    pairs = [plan.pair_in_turn(86400 * day) for day in range(12)]
    assert [pair.core for pair in pairs[:6]] == list(cores.CORES) and len(set(pairs)) == 12
    assert all(pair.release == pair.core.nodes for pair in pairs)
    assert all(etcd.has_modules(pair.etcd) for pair in pairs if pair.is_extra)
    days = [86400 * day for day in range(16)]
    assert len({(changes.turn(day), changes.part_in_turn(day)) for day in days}) == 4 * len(changes.PARTS) == 16
    text = (_TESTS.parent / changes.FOLDER / "test_transition.py").read_text(encoding="utf-8")
    assert re.findall(r"^def test_(\w+)", text, re.MULTILINE) == list(changes.PARTS)


def test_the_table_is_of_scenarios_that_are_there(load: t.Callable[..., Steps]) -> None:
    steps = load("3.11", "3.13")
    assert steps.named("changes") == [f"etcd {version}" for version in etcd.known_versions()]
    for version in etcd.known_versions():
        names = changes.scenarios(version)
        # No list of names, no other member: there a changed flag is all.
        assert (names == ("core",)) == (version in ("3.4.23", "3.5.12"))
        files = [(_TESTS.parent / changes.FOLDER / f"test_{name}.py").read_text(encoding="utf-8") for name in names]
        assert all(re.search(r"with Writer\(controller,.* operation=", text) for text in files)
    (in_turn,) = steps.named("turn")
    assert set(steps.sessions["table(changes)"].requires) == {
        *(f"lab({name})" for name in changes.scenarios(changes.DEFAULT) if name != "core"),
        f"turn({in_turn})",
    }


def test_a_lab_notes_what_it_measures_in_a_file_of_its_own(load: t.Callable[..., Steps]) -> None:
    steps = load("3.11", "3.13")
    old = changes.file_of(steps.file.places.logs, "turn")
    old.write_text("of the run before")
    work = Recorder()
    pair = steps.file.Pair("3.7.3", cores.OLDEST, "bookworm")
    steps.file.scenarios_of_pair(pair, ("transition",), "turn", "another_ca")(work)
    assert not old.exists() and work.env["RINGFENCE_LAB_CHANGES"] == str(old)
    assert (work.env["RINGFENCE_LAB_ETCD"], work.env["RINGFENCE_LAB_RELEASE"]) == ("3.7.3", "bookworm")
    assert f"/{steps.file.plan.oldest_venv.name}-" in work.env["RINGFENCE_ANSIBLE_PLAYBOOK"]
    assert work.words[0][-3:] == ["tests/lab/scenarios/test_transition.py", "-k", "another_ca"]


def test_a_lost_write_or_no_measurement_is_no_table(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "changes-x.jsonl"
    with pytest.raises(StepFailed, match="no scenario has measured a change"):
        changes.told([path])
    row = {"operation": "another domain", "etcd": "3.7.3", "acknowledged": 9, "lost": 0, "longest_pause_ms": 200}
    row.update({"median_pause_ms": 100, "restarts": [1, 2], "steps": 3})
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    lines = changes.told([path])
    assert "1 changes, 9 writes" in lines[0] and lines[-1].startswith("| another domain | 3.7.3 | 9 | 0 |")
    path.write_text(json.dumps({**row, "lost": 2}) + "\n", encoding="utf-8")
    with pytest.raises(StepFailed, match=r"another domain with etcd 3\.7\.3: 2 writes lost"):
        changes.told([path])


def test_kills_are_counted_with_the_etcds_that_the_scenarios_upgrade_to(load: t.Callable[..., Steps]) -> None:
    steps = load("3.11", "3.13")
    assert steps.named("kills") == [f"etcd {version}" for version in changes.KILLED_WITH]
    text = (_TESTS.parent / changes.FOLDER / "living.py").read_text(encoding="utf-8")
    assert all(f'"{version}"' in text for version in changes.UPGRADED_TO)
    assert {f"etcd({version})" for version in changes.UPGRADED_TO} <= set(steps.sessions["kills(etcd 3.5.16)"].requires)


def test_an_operation_that_did_not_end_well_is_no_table(tmp_path: pathlib.Path) -> None:
    path = changes.kills_of(tmp_path, "x")
    with pytest.raises(StepFailed, match="no run was killed"):
        changes.kills_told([path])
    row = {"operation": "another domain", "etcd": "3.7.3", "where": {"told": 3, "acted": 2}, "ended_well": True}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert changes.kills_told([path])[-1] == "| another domain | 3.7.3 | 5 | 3 | 2 | 0 | 1 of 1 |"
    path.write_text(json.dumps({**row, "ended_well": False}) + "\n", encoding="utf-8")
    with pytest.raises(StepFailed, match=r"another domain with etcd 3\.7\.3, killed at .*: did not end well"):
        changes.kills_told([path])
