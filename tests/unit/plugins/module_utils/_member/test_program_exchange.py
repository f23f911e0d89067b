# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another program that waits beside the unit's one."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    member_unit,
    pending_restart,
    restart_unit,
    unit_plan,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    Host,
    need_root,
    text_of,
    wanted_unit,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.tiny_program import tiny_etcd, tiny_program


@pytest.fixture
def staged(host: Host, tmp_path: pathlib.Path) -> member_unit.WantedUnit:
    """A unit whose program has another one staged beside it."""
    need_root()
    binary = tmp_path / "bin" / "etcd"
    binary.parent.mkdir()
    for path, version in ((binary, "3.5.15"), (binary.with_name(".etcd.ringfence-new"), "3.5.35")):
        path.write_bytes(tiny_etcd(version))
        path.chmod(0o755)
    text = with_configuration_hash(text_of(str(tmp_path / "data")).replace("/usr/bin/etcd", str(binary)))
    return wanted_unit(tmp_path, text=text, program_staged=True)


def names(wanted: member_unit.WantedUnit) -> list[str]:
    return sorted(path.name for path in (pathlib.Path(wanted.unit_directory) / "bin").iterdir())


def test_a_program_takes_its_place_just_before_the_start(host: Host, staged: member_unit.WantedUnit) -> None:
    plan = unit_plan.plan_present(staged, False, False)
    assert plan.actions[-3:] == ("enable", "exchange_program", "start")
    assert "# version: 3.5.15\n" in plan.diff[-1]["before"] and "# version: 3.5.35\n" in plan.diff[-1]["after"]
    assert names(staged) == [".etcd.ringfence-new", "etcd"]
    host.calls.clear()
    unit_plan.apply_plan(plan)
    assert names(staged) == ["etcd", "etcd.replaced"]
    assert host.calls[-1] == "restart_no_block etcd.service"


def test_a_running_members_program_waits_for_its_turn(
    host: Host, staged: member_unit.WantedUnit, tmp_path: pathlib.Path
) -> None:
    unit_plan.apply_plan(unit_plan.plan_written(dataclasses.replace(staged, program_staged=False), False))
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    for check_mode in (True, False):
        plan = unit_plan.plan_present(staged, False, check_mode)
        assert (plan.actions, [reason["code"] for reason in plan.restart_pending]) == ((), ["program_staged"])
    assert names(staged) == [".etcd.ringfence-new", "etcd"]

    def pending(**other: t.Any) -> list[str]:
        reasons = pending_restart.restart_pending_now(staged.name, staged.unit_directory, False, **other)
        return [reason["code"] for reason in reasons]

    assert pending(program_staged=True) == ["program_staged"] and pending() == []
    unit = restart_unit.SystemdUnit(staged.name, staged.unit_directory, program_staged=True)
    assert unit.way_back() is None
    unit.restart()
    assert names(staged) == ["etcd", "etcd.replaced"]
    assert host.calls[-1] == "restart_no_block etcd.service"
    assert "bin/etcd was put in place just before: what it ran with is /usr/bin/etcd, as it was" in str(unit.way_back())
    binary = f"{staged.unit_directory}/bin/etcd"
    (tmp_path / "bin" / ".etcd.ringfence-new").write_bytes(tiny_etcd("3.5.36"))
    (tmp_path / "bin" / ".etcd.ringfence-new").chmod(0o755)
    assert host.process is not None
    host.process["argv"][0] = binary
    unit.restart()
    assert f"'mv {binary}.replaced {binary} && systemctl restart etcd.service'" in str(unit.way_back())
    # Somebody else's run has done it meanwhile; in check mode nothing was staged, and the caller knows.
    assert pending(program_staged=True) == []
    assert pending(program_staged=True, check_mode=True) == ["program_staged"]


def test_without_being_told_nobody_takes_what_lies_there(host: Host, staged: member_unit.WantedUnit) -> None:
    untold = dataclasses.replace(staged, program_staged=False)
    plan = unit_plan.plan_present(untold, False, False)
    assert "exchange_program" not in plan.actions
    unit_plan.apply_plan(plan)
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    assert unit_plan.plan_present(untold, False, False).restart_pending == ()
    restart_unit.SystemdUnit(staged.name, staged.unit_directory).restart()
    assert names(staged) == [".etcd.ringfence-new", "etcd"]


def test_what_does_not_take_the_flags_stops_nobody(host: Host, staged: member_unit.WantedUnit) -> None:
    """It was tried before, and is tried again under the guard: the unit may have been written anew since."""
    unit_plan.apply_plan(unit_plan.plan_written(dataclasses.replace(staged, program_staged=False), False))
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    waiting = pathlib.Path(staged.unit_directory) / "bin" / ".etcd.ringfence-new"
    waiting.write_bytes(tiny_program("flag provided but not defined: -name\n", 2, descriptor=2))
    unit = restart_unit.SystemdUnit(staged.name, staged.unit_directory, program_staged=True)
    host.calls.clear()
    with pytest.raises(ServiceError, match="flag provided but not defined: -name"):
        unit.restart()
    assert host.calls == [] and names(staged) == [".etcd.ringfence-new", "etcd"]
    # A new text is held against what is going to be started, and not against what it takes the place of.
    changed = dataclasses.replace(
        staged, text=with_configuration_hash(staged.text.replace("--name", "--max-wals=3 --name"))
    )
    with pytest.raises(ServiceError, match="flag provided but not defined: -name"):
        unit_plan.plan_present(changed, False, False)


def test_a_unit_that_is_only_written_gets_its_program_too(no_systemd: None, staged: member_unit.WantedUnit) -> None:
    checked = unit_plan.plan_written(staged, True)
    plan = unit_plan.plan_written(staged, False)
    assert plan.actions == checked.actions == ("make_data_directory", "write_unit", "exchange_program")
    unit_plan.apply_plan(plan)
    assert names(staged) == ["etcd", "etcd.replaced"]
    assert unit_plan.plan_written(staged, False).actions == ()


def test_a_program_that_check_mode_has_not_brought(host: Host, tmp_path: pathlib.Path) -> None:
    plan = unit_plan.plan_present(wanted_unit(tmp_path, program_staged=True), False, True)
    assert plan.actions[-2:] == ("exchange_program", "start")
    assert plan.diff[-1]["after"] == "# version: the archive's\n"


def test_the_program_that_ran_is_put_back(host: Host, staged: member_unit.WantedUnit) -> None:
    unit_plan.apply_plan(unit_plan.plan_written(dataclasses.replace(staged, program_staged=False), False))
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    folder = pathlib.Path(staged.unit_directory) / "bin"
    assert host.process is not None
    host.process["argv"][0] = str(folder / "etcd")
    # Of an older exchange, and of no matter to this one.
    (folder / "etcdctl").write_bytes(tiny_program("now"))
    (folder / "etcdctl.replaced").write_bytes(tiny_program("long ago"))
    ran, new = (folder / "etcd").read_bytes(), (folder / ".etcd.ringfence-new").read_bytes()
    unit = restart_unit.SystemdUnit(staged.name, staged.unit_directory, program_staged=True)
    assert unit.next_version() == "3.5.35" and unit.may_be_put_back()
    # Nothing was exchanged yet.
    host.calls.clear()
    assert not unit.put_back() and host.calls == []
    unit.restart()
    assert (folder / "etcd").read_bytes() == new and unit.next_version() == "3.5.35"
    # No one has to be told how to do by hand what is done.
    assert unit.way_back() is None
    host.calls.clear()
    assert unit.put_back() and host.calls == ["restart_no_block etcd.service"]
    assert (folder / "etcd").read_bytes() == ran and (folder / ".etcd.ringfence-new").read_bytes() == new
    assert names(staged) == [".etcd.ringfence-new", "etcd", "etcdctl", "etcdctl.replaced"]


def test_what_is_not_there_or_would_not_start_is_not_put_back(host: Host, staged: member_unit.WantedUnit) -> None:
    unit_plan.apply_plan(unit_plan.plan_written(dataclasses.replace(staged, program_staged=False), False))
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    folder = pathlib.Path(staged.unit_directory) / "bin"
    assert host.process is not None

    def may_be(program_staged: bool = True) -> bool:
        return restart_unit.SystemdUnit(staged.name, staged.unit_directory, program_staged).may_be_put_back()

    # It ran with another program than the unit names.
    assert not may_be()
    host.process["argv"][0] = str(folder / "etcd")
    assert may_be() and not may_be(program_staged=False)
    (folder / "etcd").write_bytes(tiny_program("flag provided but not defined: -name\n", 2, descriptor=2))
    assert not may_be()
    host.process = None
    assert not may_be()


def test_what_a_process_is_told_of_its_log(host: Host, staged: member_unit.WantedUnit) -> None:
    unit_plan.apply_plan(unit_plan.plan_written(dataclasses.replace(staged, program_staged=False), False))
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    unit = restart_unit.SystemdUnit(staged.name, staged.unit_directory)
    assert host.process is not None and unit.snapshot_count() == 10_000 and unit.has_old_entries() is None
    host.process["argv"].append("--snapshot-count=100")
    assert unit.snapshot_count() == 100
    host.process = None
    assert unit.snapshot_count() == 10_000 and unit.has_old_entries() is None
