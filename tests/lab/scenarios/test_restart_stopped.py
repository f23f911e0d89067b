# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restarts that are not begun, or end with the first one: the others stay as they are, and the next run goes on."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ringfence_lab.lab import Lab
from support import PAIR, PKI, TRIO, Controller


def test_one_member_down_keeps_the_others_from_restarting(controller: Controller, inventory: Path, lab: Lab) -> None:
    """etcd-3 is unreachable for peers and for SSH: no restart may happen, and no unit is written for one."""
    before = controller.processes(PAIR)
    units = controller.fingerprints(PAIR, "/etc/systemd/system/etcd.service")
    lab.cut("etcd-3")
    try:
        run = controller.play(
            inventory, etcd_peer_tls_extra_flags={"max-wals": 5}, etcd_peer_tls_restart_wait_seconds=3
        )
        assert run.returncode != 0 and run.failed == set(TRIO) and not any(run.changed.values())
        assert "a restart is due on etcd-1, etcd-2, and etcd-3 can't be seen in this run" in run.output
        assert controller.fingerprints(PAIR, "/etc/systemd/system/etcd.service") == units
        limited = controller.play(
            inventory,
            "--limit",
            "etcd-1,etcd-2",
            etcd_peer_tls_extra_flags={"max-wals": 5},
            etcd_peer_tls_restart_wait_seconds=3,
        )
        assert limited.failed == {"etcd-1", "etcd-2"}
        assert "etcd-3" in limited.output and "Traceback" not in limited.output
        assert controller.processes(PAIR) == before
    finally:
        lab.heal("etcd-3")
    controller.succeed(inventory, etcd_peer_tls_extra_flags={"max-wals": 5})
    assert controller.is_healthy()


def test_a_host_that_drops_out_on_the_way_leaves_the_others_as_they_are(
    controller: Controller, inventory: Path, lab: Lab
) -> None:
    """Its certificate can't be written: nobody gets a unit that no restart would come for."""
    before = controller.processes()
    units = controller.fingerprints(TRIO, "/etc/systemd/system/etcd.service")
    lab.ssh("etcd-2", f"mount --bind {PKI} {PKI} && mount -o remount,ro,bind {PKI}")
    try:
        changes: dict[str, t.Any] = {"etcd_peer_tls_extra_flags": {"max-wals": 3}, "etcd_peer_tls_new_keys": True}
        run = controller.play(inventory, **changes, etcd_peer_tls_verify=False)
        assert run.failed == set(TRIO), run.output[-3000:]
        assert "etcd-2 failed or could not be reached any more since the cluster was checked" in run.output
    finally:
        lab.ssh("etcd-2", f"umount {PKI}")
    assert controller.processes() == before
    assert controller.fingerprints(TRIO, "/etc/systemd/system/etcd.service") == units


def test_a_member_that_can_not_come_back_stops_the_rest(controller: Controller, inventory: Path) -> None:
    before = controller.processes()
    # An address that the host does not have: etcd takes the flag, and fails to listen.
    run = controller.play(
        inventory,
        etcd_peer_tls_extra_flags={"listen-metrics-urls": "http://192.0.2.1:2381"},
        etcd_peer_tls_start_timeout_seconds=15,
        etcd_peer_tls_restart_wait_seconds=5,
    )
    assert run.returncode != 0 and run.failed == set(TRIO)
    after = controller.processes()
    restarted = [host for host in TRIO if before[host] != after[host]]
    assert len(restarted) == 1, f"{restarted} were restarted"
    assert "192.0.2.1:2381" in run.output and "cannot assign requested address" in run.output
    alive = next(host for host in TRIO if host not in restarted)
    assert "scenario" in controller.etcdctl(alive, "put scenario/alive 1 && echo scenario")
    controller.succeed(inventory)
    assert controller.is_healthy()
    assert set(controller.succeed(inventory).changed.values()) == {0}


def test_a_flag_that_this_etcd_does_not_know_restarts_nobody(controller: Controller, inventory: Path) -> None:
    """The node's own etcd is asked before the unit is written."""
    before = controller.processes()
    units = controller.fingerprints(TRIO, "/etc/systemd/system/etcd.service")
    run = controller.refuse(inventory, etcd_peer_tls_extra_flags={"no-such-flag": "1"})
    assert "flag provided but not defined: -no-such-flag" in run.output
    assert controller.processes() == before
    assert controller.fingerprints(TRIO, "/etc/systemd/system/etcd.service") == units
