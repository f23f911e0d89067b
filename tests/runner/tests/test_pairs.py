# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core scenarios run with every etcd and every ansible-core."""

from __future__ import annotations

import typing as t

import pytest
from ringfence_lab import etcd, image
from runner import cores
from runner.plan import Pair
from runner.tests.loaded_noxfile import Recorder, Steps


def test_the_core_runs_with_every_etcd_and_every_ansible_core(load: t.Callable[..., Steps]) -> None:
    pairs = load("3.11", "3.13").file.plan.pairs()
    assert sorted(pair.etcd for pair in pairs) == sorted(etcd.known_versions())
    assert {pair.core for pair in pairs if pair.etcd == pair.core.etcd} == {*cores.CORES}


def test_the_core_runs_with_every_etcd_where_some_ansible_cores_can_not(load: t.Callable[..., Steps]) -> None:
    main = cores.NEWEST.version
    assert load("3.13").named("core") == [
        f"etcd 3.4.23, ansible-core {main}",
        "etcd 3.5.12, ansible-core 2.18.19",
        f"etcd 3.5.15, ansible-core {main}",
        # 3.5.16 with the newest has the whole suite.
        "etcd 3.5.35, ansible-core 2.19.14",
        "etcd 3.6.16, ansible-core 2.20.10",
        f"etcd 3.7.3, ansible-core {main}",
    ]


def test_two_ansible_cores_with_one_etcd_both_run(
    load: t.Callable[..., Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tuple(core._replace(etcd="3.5.16") for core in cores.CORES)
    monkeypatch.setattr(cores, "CORES", lines)
    pairs = load("3.11", "3.13").file.plan.pairs()
    assert {pair.core for pair in pairs} == {*lines}
    assert {pair.etcd for pair in pairs} == {*etcd.known_versions()}
    assert len(set(pairs)) == len(pairs)


# The newest has the whole suite.
@pytest.mark.parametrize("core", cores.CORES[1:], ids=lambda core: core.line)
def test_the_core_runs_with_what_its_name_says(load: t.Callable[..., Steps], core: cores.Core) -> None:
    steps = load("3.11", "3.13")
    plan = steps.file.plan
    (pair,) = [pair for pair in plan.pairs() if pair.core == core and pair.etcd == core.etcd]
    needed = steps.sessions[f"core(etcd {core.etcd}, ansible-core {core.version})"].requires
    venv = plan.venvs[core]
    assert {f"install({venv.name})", f"image({core.nodes})"} <= set(needed)
    assert (f"etcd({core.etcd})" in needed) == (etcd.find(core.etcd).release != core.nodes)
    work = Recorder()
    steps.file.core_scenarios(pair)(work)
    assert work.words[0][-1] == "tests/lab/scenarios/test_core.py"
    assert work.env["RINGFENCE_ANSIBLE_PLAYBOOK"] == str(venv.bin(plan.places) / "ansible-playbook")
    assert (work.env["RINGFENCE_LAB_ETCD"], work.env["RINGFENCE_LAB_RELEASE"]) == (core.etcd, core.nodes)


def test_each_pair_has_a_lab_and_a_report_of_its_own(load: t.Callable[..., Steps]) -> None:
    steps = load("3.11", "3.13")

    def names(pair: Pair) -> tuple[str, str]:
        work = Recorder()
        steps.file.core_scenarios(pair)(work)
        return work.env["RINGFENCE_LAB_NAME"], work.report

    found = [names(pair) for pair in steps.file.plan.pairs()]
    assert len({lab for lab, _report in found}) == len({report for _lab, report in found}) == len(found)


@pytest.mark.parametrize("core", cores.CORES, ids=lambda core: core.line)
def test_hosts_can_have_the_etcd_of_their_ansible_core(core: cores.Core) -> None:
    line = etcd.find(core.etcd)
    assert core.nodes in image.RELEASES
    assert line.release == core.nodes or etcd.has_modules(core.etcd)
