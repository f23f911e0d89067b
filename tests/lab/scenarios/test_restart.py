# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restarts: only for a reason, one at a time, never over a broken quorum; no acknowledged write is lost."""

from __future__ import annotations

import typing as t
from pathlib import Path

from rbac import API, WRITER, role_based_access_control
from support import PKI, TRIO, Controller, Writer, overlaps


def test_a_changed_flag_restarts_one_by_one_and_loses_no_write(controller: Controller, inventory: Path) -> None:
    # A restart takes five seconds and more: without the guard the members' restarts would overlap on any machine.
    changes: dict[str, t.Any] = {
        "etcd_peer_tls_extra_flags": {"max-wals": 7},
        "etcd_peer_tls_extra_unit_settings": {"Service": {"ExecStartPre": "/bin/sleep 5"}},
    }
    before = controller.processes()
    check = controller.succeed(inventory, "--check", **changes)
    # The unit, and the restart that it makes due.
    assert check.changed == dict.fromkeys(TRIO, 2)
    assert controller.processes() == before
    with Writer(controller, operation="another flag, each start 5 s late") as writer:
        run = controller.succeed(inventory, **changes)
    assert run.changed == dict.fromkeys(TRIO, 2)
    after = controller.processes()
    assert all(before[host] != after[host] for host in TRIO)
    assert overlaps(controller) == []
    assert writer.restarts == (1, 1)
    writer.check_nothing_is_lost()
    assert set(controller.succeed(inventory, **changes).changed.values()) == {0}


def test_a_strategy_and_many_forks_change_nothing_about_that(controller: Controller, inventory: Path) -> None:
    """The guard is in the module: a playbook that asks all members at once gets them one by one."""
    run = controller.succeed(inventory, "--forks", "20", etcd_peer_tls_extra_flags={"max-wals": 6})
    assert run.changed == dict.fromkeys(TRIO, 2)
    assert overlaps(controller) == []


def test_a_flag_taken_back_after_a_half_done_run_is_seen_in_the_process(
    controller: Controller, inventory: Path
) -> None:
    """A run that was killed after the unit was written: the file is right, the process is not."""
    controller.kill_at(inventory, "Restart etcd", etcd_peer_tls_extra_flags={"max-wals": 4})
    run = controller.succeed(inventory, etcd_peer_tls_extra_flags={"max-wals": 4})
    assert sum(run.changed.values()) >= 1
    assert {controller.argument(host, "max-wals") for host in TRIO} == {"4"}
    assert set(controller.succeed(inventory, etcd_peer_tls_extra_flags={"max-wals": 4}).changed.values()) == {0}


def test_under_role_based_access_control_too(controller: Controller, inventory: Path) -> None:
    """By a user without a role, and a client pair without a common name that is on no disk."""
    changes: dict[str, t.Any] = {"etcd_peer_tls_extra_flags": {"max-wals": 8}}
    with role_based_access_control(controller):
        before = controller.processes()
        files = controller.on_each(TRIO, f"ls -l --time-style=full-iso {PKI}")
        wrong = controller.refuse(inventory, **changes, **{**API, "etcd_peer_tls_api_password": "hidden"})
        assert "does not take the user of etcd_peer_tls_api_user" in wrong.output and "hidden" not in wrong.output
        assert controller.succeed(inventory, "--check", **changes, **API).changed == dict.fromkeys(TRIO, 2)
        assert controller.processes() == before
        # In a file: what stands on a command line is shown by Ansible itself.
        given = controller.folder / "api.yml"
        given.write_text("".join(f'{name}: "{value}"\n' for name, value in API.items()))
        with Writer(controller, WRITER, operation="another flag under RBAC") as writer:
            run = controller.succeed(inventory, "-vvvv", "--diff", "-e", f"@{given}", **changes)
        assert API["etcd_peer_tls_api_password"] not in run.output
        assert run.changed == dict.fromkeys(TRIO, 2) and "PROVED" in run.output
        after = controller.processes()
        assert all(before[host] != after[host] for host in TRIO)
        assert overlaps(controller) == []
        writer.check_nothing_is_lost()
        verify = controller.succeed(inventory, playbook=controller.named("verify"), **changes, **API)
        assert "PROVED" in verify.output
        assert set(controller.succeed(inventory, **changes, **API).changed.values()) == {0}
        assert controller.on_each(TRIO, f"ls -l --time-style=full-iso {PKI}") == files
