# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a restart is due."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    member_unit,
    pending_restart,
    running_unit,
    unit_plan,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    Host,
    text_of,
    wanted_unit,
)


def test_a_process_with_other_arguments_than_the_unit(host: Host, deployed: member_unit.WantedUnit) -> None:
    """A drop-in that was taken away again: the configuration hash is the unit's, and what runs is not."""
    assert host.process is not None
    argv = [*host.process["argv"], "--peer-cert-allowed-cn=anybody"]
    host.process = t.cast(manager.ProcessFacts, {**host.process, "argv": argv})
    plan = unit_plan.plan_present(deployed, False, False)
    assert [reason["code"] for reason in plan.restart_pending] == ["flags_differ"] and not plan.changed
    pending = pending_restart.restart_pending_now(deployed.name, deployed.unit_directory, False)
    assert [reason["code"] for reason in pending] == ["flags_differ"]
    # As long as it is there, the next start would take it too.
    drop_in = pathlib.Path(deployed.unit_directory) / "open.conf"
    drop_in.write_text("[Service]\nExecStart=\nExecStart=" + " ".join(argv))
    host.properties["DropInPaths"] = str(drop_in)
    assert unit_plan.plan_present(deployed, False, False).restart_pending == ()
    # Gone, and systemd has not been told.
    drop_in.unlink()
    assert [reason["code"] for reason in unit_plan.plan_present(deployed, False, False).restart_pending] == [
        "flags_differ"
    ]
    # What a script starts may have more.
    host.process["argv"][0] = "/opt/etcd/etcd"
    assert unit_plan.plan_present(deployed, False, False).restart_pending == ()


def test_a_process_with_other_variables_than_the_unit(host: Host, deployed: member_unit.WantedUnit) -> None:
    """Of a drop-in, an environment file or systemd's own: etcd takes them for flags."""
    assert host.process is not None
    host.process["environment"] = {"ETCD_PEER_CERT_ALLOWED_HOSTNAME": "anybody"}
    pending = pending_restart.restart_pending_now(deployed.name, deployed.unit_directory, False)
    assert [reason["code"] for reason in pending] == ["flags_differ"]
    host.inherited = {"ETCD_PEER_CERT_ALLOWED_HOSTNAME": "anybody"}
    assert pending_restart.restart_pending_now(deployed.name, deployed.unit_directory, False) == []


def test_a_changed_trust_bundle(host: Host, deployed: member_unit.WantedUnit) -> None:
    plan = unit_plan.plan_present(deployed, True, False)
    assert [reason["code"] for reason in plan.restart_pending] == ["trust_bundle_changed"]
    assert not plan.changed


def test_an_etcd_without_seal_on_the_same_data_is_restarted_under_guard(host: Host, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path)
    host.runs(None, wanted.data_dir)
    plan = unit_plan.plan_present(wanted, False, False)
    assert "start" not in plan.actions and "stop_other_etcd" not in plan.actions
    assert [reason["code"] for reason in plan.restart_pending] == ["unit_changed"]


def test_restart_due_without_a_process_or_a_unit(host: Host, tmp_path: pathlib.Path) -> None:
    assert pending_restart.restart_pending_now("etcd.service", str(tmp_path), True) == []
    host.runs(None, "/var/lib/etcd/default")
    assert pending_restart.restart_pending_now("etcd.service", str(tmp_path), True) == []
    # A package's own etcd is not this member.
    assert pending_restart.restart_pending_now("etcd.service", str(tmp_path), True, text_of("/data")) == []


def test_a_program_that_was_replaced(tmp_path: pathlib.Path) -> None:
    program, fresh = tmp_path / "etcd", tmp_path / "etcd.new"
    shutil.copy("/bin/sleep", program)
    shutil.copy("/bin/sleep", fresh)
    with subprocess.Popen([str(program), "60"]) as started:
        try:
            facts = None
            while facts is None:
                # In the moment of its start a process has no arguments.
                facts = manager.process_facts(started.pid)
            found = running_unit.FoundUnit({}, None, facts, None)
            assert pending_restart.restart_reasons(found, None, str(program), False) == ()
            fresh.rename(program)
            (reason,) = pending_restart.restart_reasons(found, None, str(program), False)
        finally:
            started.kill()
    assert reason["code"] == "binary_replaced" and str(program) in reason["text"]
