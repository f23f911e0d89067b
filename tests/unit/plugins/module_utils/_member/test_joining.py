# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import formed, pending_restart, unit_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._member.joining import SystemdJoiningUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import WantedUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    exec_command,
    quote_argument,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._member.test_formed import form
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    NOTIFY,
    Host,
    need_root,
    wanted_unit,
)

MEMBERS = {"etcd-0": "https://192.0.2.10:2380", "etcd-1": "https://192.0.2.1:2380"}


def unit(folder: pathlib.Path, members: str) -> WantedUnit:
    """The unit as the role renders it, with what keeps it from starting without its data."""
    where = formed.MemberPlace(str(folder / "pki"), "etcd-1", str(folder / "data"))
    asserts = "".join(f"{key}={value}\n" for key, value in formed.wanted_asserts(where))
    condition = "=".join(formed.wanted_condition(where))
    flags = ("name=etcd-1", f"data-dir={folder / 'data'}", f"initial-cluster={members}", "initial-cluster-state=new")
    command = " \\\n".join(["ExecStart=/usr/bin/etcd", *(f"  {quote_argument(f'--{flag}')}" for flag in flags)])
    text = NOTIFY.replace("Description=etcd\n", f"Description=etcd\n{asserts}")
    text = text.replace("ExecStart=/usr/bin/etcd --name=etcd-1 --data-dir=@data@", f"{condition}\n{command}")
    return wanted_unit(folder, text=with_configuration_hash(text), directory=str(folder / "pki"))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Host:
    need_root()
    (tmp_path / "pki").mkdir()
    made = Host(monkeypatch)
    monkeypatch.setattr(unit_plan, "check_flags", lambda text, program_staged, check_mode: None)
    return made


def told(folder: pathlib.Path) -> tuple[dict[str, str], str]:
    deployed = deployed_from_text((folder / "etcd.service").read_text())
    assert deployed is not None
    return deployed["initial_cluster"], deployed["flags"]["initial-cluster-state"]


def test_it_begins_with_what_the_cluster_tells(host: Host, tmp_path: pathlib.Path) -> None:
    joining = SystemdJoiningUnit(unit(tmp_path, "etcd-1=https://192.0.2.1:2380"))
    assert not joining.has_data() and not joining.is_started()
    joining.start(MEMBERS)
    assert told(tmp_path) == (MEMBERS, "existing")
    assert host.calls[-2:] == ["enable etcd.service", "restart_no_block etcd.service"]
    # systemd shows no process for a moment, while it runs what comes before it.
    host.properties["ActiveState"] = "activating"
    assert joining.is_started()


def test_what_waits_for_its_join_is_never_told_to_form_a_cluster(host: Host, tmp_path: pathlib.Path) -> None:
    """It was added and started, and has no data yet: systemd starts it again and again, while the next run begins."""
    wanted = unit(tmp_path, "etcd-1=https://192.0.2.1:2380")
    SystemdJoiningUnit(wanted).start(MEMBERS)
    waits = dataclasses.replace(wanted, start=False)
    unit_plan.apply_plan(unit_plan.plan_present(waits, False, check_mode=False))
    assert told(tmp_path) == (MEMBERS, "existing")
    # One that this run starts by itself was told so by the checks.
    unit_plan.apply_plan(unit_plan.plan_present(wanted, False, check_mode=False))
    assert told(tmp_path) == ({"etcd-1": "https://192.0.2.1:2380"}, "new")


def test_with_data_it_goes_on_with_what_it_began_with(host: Host, tmp_path: pathlib.Path) -> None:
    first = SystemdJoiningUnit(unit(tmp_path, "etcd-1=https://192.0.2.1:2380"))
    first.start(MEMBERS)
    form(tmp_path)
    joining = SystemdJoiningUnit(unit(tmp_path, "etcd-1=https://192.0.2.1:2380,etcd-9=https://192.0.2.9:2380"))
    assert joining.has_data()
    joining.start({**MEMBERS, "etcd-9": "https://192.0.2.9:2380"})
    assert told(tmp_path) == (MEMBERS, "existing")


def test_another_list_of_members_restarts_nobody_who_has_data(host: Host, tmp_path: pathlib.Path) -> None:
    before = unit(tmp_path, "etcd-1=https://192.0.2.1:2380")
    unit_plan.apply_plan(unit_plan.plan_present(before, False, check_mode=False))
    wanted = unit(tmp_path, "etcd-1=https://192.0.2.1:2380,etcd-9=https://192.0.2.9:2380")
    # Without data it is what etcd reads next.
    assert "write_unit" in unit_plan.plan_present(wanted, False, check_mode=True).actions
    form(tmp_path)
    host.runs(configuration_hash_of(before.text), before.data_dir)
    assert host.process is not None
    host.process["argv"] = exec_command(before.text)
    for plan in (unit_plan.plan_present(wanted, False, True), unit_plan.plan_written(wanted, True)):
        assert "write_unit" not in plan.actions and not plan.restart_pending
    # In check mode the text comes from the caller.
    pending = pending_restart.restart_pending_now("etcd.service", str(tmp_path), False, wanted.text, check_mode=True)
    assert pending == []


def test_who_has_had_data_starts_without_only_where_that_was_said(host: Host, tmp_path: pathlib.Path) -> None:
    wanted = unit(tmp_path, "etcd-1=https://192.0.2.1:2380")
    marker = tmp_path / "pki" / "etcd-1.formed"
    marker.write_text("member_id=1\n")
    with pytest.raises(RefusedError, match=r"etcd-1\.formed says that its member has had data"):
        SystemdJoiningUnit(wanted).start(MEMBERS)
    assert marker.exists() and not (tmp_path / "etcd.service").exists() and not host.calls
    SystemdJoiningUnit(wanted, replaced=True).start(MEMBERS)
    assert not marker.exists() and told(tmp_path) == (MEMBERS, "existing")


def test_why_it_does_not_run_is_told_only_of_one_that_does_not(
    host: Host, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcd's own reason where its log has one, and the end of the log otherwise."""
    wanted = unit(tmp_path, "etcd-1=https://192.0.2.1:2380")
    joining = SystemdJoiningUnit(wanted)
    said: list[str | None] = [None, "its data folder can't be written"]
    monkeypatch.setattr(manager, "last_words", lambda name, cause_of: said.pop(0))
    assert joining.why_not_running() == "the end of etcd.service's log"
    assert joining.why_not_running() == "its data folder can't be written"
    host.runs(configuration_hash_of(wanted.text), wanted.data_dir)
    assert joining.why_not_running() is None


def test_without_a_folder_for_its_marker_there_is_none_to_let_go_of(host: Host, tmp_path: pathlib.Path) -> None:
    wanted = dataclasses.replace(unit(tmp_path, "etcd-1=https://192.0.2.1:2380"), directory=None)
    (tmp_path / "pki" / "etcd-1.formed").write_text("")
    SystemdJoiningUnit(wanted, replaced=True).start(MEMBERS)
    assert told(tmp_path) == (MEMBERS, "existing") and (tmp_path / "pki" / "etcd-1.formed").exists()
