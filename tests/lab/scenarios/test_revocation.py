# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All keys are leaked, and lists that etcd could not use."""

from __future__ import annotations

from pathlib import Path

from revocations import own_serial_number, revoked
from ringfence_lab.lab import Lab
from support import PKI, TRIO, Controller, Writer


def test_all_leaked_keys_in_one_run_and_after_one_that_was_killed(
    controller: Controller, inventory: Path, lab: Lab
) -> None:
    """New keys for all, then the list, then the restarts. What a killed run had issued is revoked as well."""
    leaked = {name: own_serial_number(lab, name) for name in TRIO}
    check = controller.succeed(inventory, "--check", etcd_peer_tls_keys_leaked="all")
    assert all(serial_number in check.output for serial_number in leaked.values())
    assert all(count > 1 for count in check.changed.values())
    assert {name: own_serial_number(lab, name) for name in TRIO} == leaked
    task = "Go on only where every host has its new certificate"
    controller.kill_at(inventory, task, etcd_peer_tls_keys_leaked="all")
    between = {name: own_serial_number(lab, name) for name in TRIO}
    assert not set(between.values()) & set(leaked.values())
    before = controller.processes()
    with Writer(controller) as writer:
        run = controller.succeed(inventory, playbook=controller.named("revoke"), etcd_peer_tls_keys_leaked="all")
    assert "PROVED - 3 members" in run.output
    writer.check_nothing_is_lost()
    after, present = controller.processes(), {name: own_serial_number(lab, name) for name in TRIO}
    assert all(after[name] != before[name] for name in TRIO)
    for found in revoked(controller, TRIO).values():
        assert all(serial_number in found for serial_number in (*leaked.values(), *between.values()))
        assert not any(serial_number in found for serial_number in present.values())
    assert "may be connected still" not in run.output
    assert set(controller.succeed(inventory).changed.values()) == {0}


def test_a_list_that_etcd_could_not_use_is_told_and_mended(controller: Controller, inventory: Path, lab: Lab) -> None:
    for command in (f"echo garbage > {PKI}/ca.crl", f"rm {PKI}/ca.crl"):
        lab.execute("etcd-2", command)
        proof = controller.play(inventory, playbook=controller.named("verify"))
        assert proof.returncode != 0 and "the revocation list can't be used" in proof.output
        check = controller.succeed(inventory, "--check")
        assert check.changed["etcd-2"] > 0 and check.changed["etcd-1"] == 0
        assert "PROVED - 3 members" in controller.succeed(inventory).output
        assert set(controller.succeed(inventory).changed.values()) == {0}
