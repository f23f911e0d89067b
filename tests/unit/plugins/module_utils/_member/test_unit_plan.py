# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a unit and of its start, and what it does."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    InputError,
    RefusedError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import trial
from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    member_unit,
    pending_restart,
    unit_plan,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
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


def test_from_nothing(host: Host, tmp_path: pathlib.Path) -> None:
    need_root()
    wanted = wanted_unit(tmp_path)
    checked = unit_plan.plan_present(wanted, False, True)
    assert not (tmp_path / "etcd.service").exists()
    plan = unit_plan.plan_present(wanted, False, False)
    assert plan.actions == checked.actions
    assert plan.actions == ("make_data_directory", "write_unit", "daemon_reload", "enable", "start")
    assert plan.changed and plan.starts and plan.running and not plan.restart_pending
    assert plan.diff[-1]["before"] == "" and plan.diff[-1]["after"].endswith(wanted.text)
    host.calls.clear()
    unit_plan.apply_plan(plan)
    assert host.calls == ["daemon_reload", "enable etcd.service", "restart_no_block etcd.service"]
    assert (tmp_path / "etcd.service").read_text() == wanted.text
    assert oct((tmp_path / "data").stat().st_mode)[-4:] == "0700"
    host.runs(configuration_hash_of(wanted.text), wanted.data_dir)
    again = unit_plan.plan_present(wanted, False, False)
    assert (again.actions, again.changed, again.diff) == ((), False, ())


def test_a_running_member_is_never_restarted(
    host: Host, deployed: member_unit.WantedUnit, tmp_path: pathlib.Path
) -> None:
    changed = wanted_unit(tmp_path, text=text_of(deployed.data_dir, " --snapshot-count=5000"))
    plan = unit_plan.plan_present(changed, False, False)
    assert plan.actions == ("write_unit", "daemon_reload")
    assert [reason["code"] for reason in plan.restart_pending] == ["unit_changed"]
    unit_plan.apply_plan(plan)
    # From the process, not from what this run did: a run that ends here is finished by the next.
    again = unit_plan.plan_present(changed, False, False)
    assert not again.changed and again.restart_pending == plan.restart_pending
    assert pending_restart.restart_pending_now("etcd.service", str(tmp_path), False) == list(plan.restart_pending)


def program_that_refuses(folder: pathlib.Path, flag: str) -> pathlib.Path:
    """An etcd that does not know one flag."""
    path = folder / "refusing-etcd"
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *{flag}*) echo "flag provided but not defined: -{flag}" >&2; exit 2;; esac\n'
    )
    path.chmod(0o755)
    return path


def test_a_new_text_is_tried_before_any_host_gets_it(host: Host, tmp_path: pathlib.Path) -> None:
    need_root()
    program = program_that_refuses(tmp_path, "enable-v2")
    text = with_configuration_hash(
        text_of(str(tmp_path / "data"), " --enable-v2").replace("/usr/bin/etcd", str(program))
    )
    wanted = wanted_unit(tmp_path, text=text)
    for managed in (True, False):
        with pytest.raises(ServiceError, match="flag provided but not defined: -enable-v2"):
            unit_plan.check_new_program(wanted, managed)
    # There already, and no process of another program: nobody is asked.
    (tmp_path / "etcd.service").write_text(text)
    host.calls.clear()
    unit_plan.check_new_program(wanted, True)
    unit_plan.check_new_program(wanted, False)
    assert host.calls == []
    host.complaint = "systemd does not take the unit"
    unit_plan.check_new_program(wanted, True)
    (tmp_path / "etcd.service").write_text("")
    with pytest.raises(ServiceError, match="systemd does not take the unit"):
        unit_plan.check_new_program(wanted, True)


def test_a_program_that_was_exchanged_is_tried_with_the_unit_that_is_there(
    host: Host, deployed: member_unit.WantedUnit, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(trial, "check_arguments", lambda program, arguments: asked.append(program))
    unit_plan.check_new_program(deployed, True, 1)
    assert asked == []
    monkeypatch.setattr(manager, "program_was_replaced", lambda facts, program: True)
    unit_plan.check_new_program(deployed, True)
    assert asked == []
    unit_plan.check_new_program(deployed, True, 1)
    assert asked == ["/usr/bin/etcd"]


@pytest.mark.parametrize("state", ["inactive", "failed", "activating"])
def test_what_does_not_run_is_started(state: str, host: Host, deployed: member_unit.WantedUnit) -> None:
    host.process = None
    host.properties = {**host.properties, "ActiveState": state, "MainPID": "0"}
    assert unit_plan.plan_present(deployed, False, False).actions == ("start",)
    stopped = unit_plan.plan_present(wanted_unit(pathlib.Path(deployed.unit_directory), start=False), False, False)
    assert (stopped.actions, stopped.running) == ((), False)


@pytest.mark.parametrize(("configuration_hash", "actions"), [("0" * 64, ("start",)), (None, ())])
def test_a_process_that_never_became_ready(
    configuration_hash: str | None, actions: tuple[str, ...], host: Host, deployed: member_unit.WantedUnit
) -> None:
    host.runs(configuration_hash or configuration_hash_of(deployed.text), deployed.data_dir, "activating")
    assert unit_plan.plan_present(deployed, False, False).actions == actions


def test_another_etcd_of_that_name_is_stopped(host: Host, tmp_path: pathlib.Path) -> None:
    need_root()
    host.runs(None, "/var/lib/etcd/default")
    plan = unit_plan.plan_present(wanted_unit(tmp_path), True, False)
    assert plan.actions == (
        "make_data_directory",
        "write_unit",
        "daemon_reload",
        "stop_other_etcd",
        "start",
    )
    assert plan.running and not plan.restart_pending
    unit_plan.apply_plan(plan)
    assert host.calls[-2:] == ["stop etcd.service", "restart_no_block etcd.service"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"key_count": 296}, "holds 296 keys"),
        ({"members": ["a", "b"]}, "one of 2 members"),
        ({"key_count": None, "problem": "no answer"}, "no answer"),
    ],
)
def test_a_living_one_is_stopped_on_request_only(
    host: Host, tmp_path: pathlib.Path, other: dict[str, t.Any], why: str
) -> None:
    need_root()
    host.runs(None, "/var/lib/etcd/default")
    host.other.update({**other, "data_dir": "/var/lib/pg"})
    for check_mode in (True, False):
        with pytest.raises(RefusedError, match=why) as caught:
            unit_plan.plan_present(wanted_unit(tmp_path), False, check_mode)
    assert "data in /var/lib/pg" in str(caught.value) and "overrule_distribution_etcd" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    plan = unit_plan.plan_present(wanted_unit(tmp_path, overrule_distribution_etcd=True), False, False)
    assert "stop_other_etcd" in plan.actions


FOREIGN = "[Service]\nExecStart=/usr/bin/etcd --config-file=/etc/etcd.yml\n"


@pytest.mark.parametrize("written", [True, False])
def test_a_unit_that_is_not_ours_is_kept(host: Host, tmp_path: pathlib.Path, written: bool) -> None:
    need_root()
    wanted = wanted_unit(tmp_path)
    unit, backup = tmp_path / "etcd.service", tmp_path / "etcd.service.replaced"

    def plan() -> unit_plan.UnitPlan:
        return unit_plan.plan_written(wanted, False) if written else unit_plan.plan_present(wanted, False, False)

    assert unit_plan.kept_unit(str(unit)) is None
    unit.write_bytes(FOREIGN.encode() + b"# \xff\n")
    unit.chmod(0o600)
    found = plan()
    assert found.unit_backup == str(backup) and found.actions[:3] == (
        "make_data_directory",
        "keep_other_unit",
        "write_unit",
    )
    assert (found.diff[-1]["after_header"], found.diff[-1]["after"]) == (str(backup), f"# kept from {unit}\n")
    assert not backup.exists()
    unit_plan.apply_plan(found)
    assert backup.read_bytes() == FOREIGN.encode() + b"# \xff\n" and backup.stat().st_mode & 0o777 == 0o600
    assert unit.read_text() == wanted.text
    # Our own text is in the next run's inventory: it is not kept.
    unit.write_text(wanted.text + "# mine\n")
    assert plan().unit_backup is None
    # The same one again is kept already, another one beside it.
    unit.write_bytes(backup.read_bytes())
    assert plan().unit_backup is None and "keep_other_unit" not in plan().actions
    unit.write_text(FOREIGN)
    found = plan()
    assert found.unit_backup == f"{backup}-2"
    unit_plan.apply_plan(found)
    assert (tmp_path / "etcd.service.replaced-2").read_text() == FOREIGN and b"\xff" in backup.read_bytes()
    # The first one is back after the second: the way back is to it.
    unit.write_bytes(backup.read_bytes())
    assert unit_plan.kept_unit(str(unit)) == f"{backup}-2" and plan().unit_backup == f"{backup}-3"
    unit_plan.apply_plan(plan())
    assert (tmp_path / "etcd.service.replaced-3").read_bytes() == backup.read_bytes()
    assert unit_plan.kept_unit(str(unit)) == f"{backup}-3"


def test_a_running_member_keeps_its_data(host: Host, tmp_path: pathlib.Path) -> None:
    host.runs("0" * 64, "/elsewhere")
    with pytest.raises(RefusedError, match=r"on the data folder /elsewhere, the new unit names .*/data"):
        unit_plan.plan_present(wanted_unit(tmp_path), False, False)
    assert not (tmp_path / "etcd.service").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users")
def test_a_user_that_check_mode_can_not_know_yet(host: Host, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path, owner="ringfence-no-such-user")
    plan = unit_plan.plan_present(wanted, False, True)
    assert "does not exist on this host" in plan.warnings[0]
    assert "# owner: ringfence-no-such-user" in plan.diff[0]["after"]
    with pytest.raises(Exception, match="user ringfence-no-such-user does not exist"):
        unit_plan.plan_present(wanted, False, False)


def test_what_systemd_does_not_take_is_not_written(host: Host, tmp_path: pathlib.Path) -> None:
    host.complaint = "systemd does not take the unit"
    with pytest.raises(ServiceError, match="does not take"):
        unit_plan.plan_present(wanted_unit(tmp_path), False, False)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_reload_is_made_up_for(host: Host, deployed: member_unit.WantedUnit) -> None:
    host.properties["NeedDaemonReload"] = "yes"
    assert unit_plan.plan_present(deployed, False, False).actions == ("daemon_reload",)


def test_written_from_nothing(no_systemd: None, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path, unit_directory=str(tmp_path / "image" / "units"))
    checked = unit_plan.plan_written(wanted, True)
    assert list(tmp_path.iterdir()) == []
    plan = unit_plan.plan_written(wanted, False)
    assert plan.actions == checked.actions == ("make_unit_directory", "make_data_directory", "write_unit")
    assert plan.changed and not plan.starts and plan.diff == checked.diff
    assert plan.diff[-1]["before"] == "" and plan.diff[-1]["after"].endswith(wanted.text)
    unit_plan.apply_plan(plan)
    unit = tmp_path / "image" / "units" / "etcd.service"
    assert (unit.read_text(), oct(unit.stat().st_mode)[-4:], unit.stat().st_uid) == (wanted.text, "0644", os.geteuid())
    assert oct((tmp_path / "data").stat().st_mode)[-4:] == "0700"
    again = unit_plan.plan_written(wanted, False)
    assert (again.actions, again.changed, again.diff) == ((), False, ())


def test_written_puts_back_what_drifted(no_systemd: None, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path)
    unit_plan.apply_plan(unit_plan.plan_written(wanted, False))
    (tmp_path / "etcd.service").chmod(0o666)
    (tmp_path / "data").chmod(0o755)
    plan = unit_plan.plan_written(wanted, False)
    assert plan.actions == ("repair_data_directory", "repair_unit_attributes")
    unit_plan.apply_plan(plan)
    (tmp_path / "etcd.service").write_text(f"{wanted.text}# edited by hand")
    plan = unit_plan.plan_written(wanted, False)
    assert plan.actions == ("write_unit",) and plan.diff[0]["before"].endswith("# edited by hand")
    unit_plan.apply_plan(plan)
    assert not unit_plan.plan_written(wanted, False).changed


def test_written_asks_etcd_about_its_flags(no_systemd: None, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "etcd"
    program.write_text("#!/bin/sh\necho 'flag provided but not defined: -new' >&2\nexit 2\n")
    program.chmod(0o755)
    text = with_configuration_hash(text_of(str(tmp_path / "data")).replace("/usr/bin/etcd", str(program)))
    with pytest.raises(ServiceError, match="does not take its arguments: flag provided but not defined: -new"):
        unit_plan.plan_written(wanted_unit(tmp_path, text=text), False)
    assert not (tmp_path / "etcd.service").exists() and not (tmp_path / "data").exists()


def test_written_checks_the_text(no_systemd: None, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path)
    with pytest.raises(InputError, match="carries no configuration hash"):
        unit_plan.plan_written(wanted_unit(tmp_path, text=wanted.text.replace("etcd-1", "etcd-2")), False)


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_ordinary_user_writes_for_itself_only(
    check_mode: bool, no_systemd: None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for owner in ("root", "ringfence-no-such-user"):
        with pytest.raises(FileError, match="does not exist" if not check_mode and owner != "root" else "only root"):
            unit_plan.plan_written(wanted_unit(tmp_path, owner=owner), check_mode)
    plan = unit_plan.plan_written(wanted_unit(tmp_path, owner="12345"), check_mode)
    # Nothing is to be given away: no owner is asked for but the one who writes.
    assert [change.wanted.uid for change in plan.files] == [12345, None]
