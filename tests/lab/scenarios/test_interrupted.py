# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that is killed or comes upon a broken host is finished by the next one; nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from ringfence_lab.lab import Lab
from support import PAIR, PKI, Controller

MEMBERS = PAIR
# A Python whose clock is two days behind.
LATE = "/usr/local/bin/late-python"


@pytest.mark.parametrize(
    ("task", "delay_seconds"),
    [
        ("Create or check the CA", 0.15),
        ("Issue the certificates", 0.1),
        ("Deploy the CA certificate, the certificate and the key", 0.5),
        ("Deploy the systemd unit", 0.6),
        ("Wait until the member is back", 0.0),
    ],
)
def test_a_killed_first_run_is_finished_by_the_next(
    controller: Controller, lab: Lab, task: str, delay_seconds: float
) -> None:
    controller.bare()
    inventory = controller.inventory()
    controller.kill_at(inventory, task, delay_seconds)
    # A module goes on without its controller; runs that meet one are in test_killed.
    controller.wait_for_orphans()
    authority = Path(lab.ca_folder) / "ca.crt"
    made = authority.read_bytes() if authority.exists() else None
    controller.succeed(inventory)
    assert controller.is_healthy()
    assert made in (None, authority.read_bytes()), "the CA was replaced"
    assert set(controller.succeed(inventory).changed.values()) == {0}
    for host, answer in controller.on_each(PAIR, f"ls -A {PKI}").items():
        left = set(answer.split()) - {"ca.crt", "ca.crl", f"{host}.crt", f"{host}.key", f"{host}.formed"}
        # A key that a killed run had put there may be kept beside its successor; nothing half-written stays.
        assert all(name.endswith(".replaced") for name in left), left


def test_a_full_disk_changes_nothing_and_says_so(controller: Controller, lab: Lab) -> None:
    inventory = controller.inventory()
    controller.succeed(inventory)
    before = controller.fingerprints(PAIR, f"{PKI}/*")
    # Its own file system, so that the rest of the host goes on.
    lab.ssh(
        "etcd-2",
        f"cp -a {PKI} /tmp/scenario-pki && mount -t tmpfs -o size=20k,mode=755 none {PKI} && cp -a "
        f"/tmp/scenario-pki/. {PKI}/",
    )
    lab.ssh("etcd-2", f"dd if=/dev/zero of={PKI}/filler bs=1k count=64 2>/dev/null; true")
    try:
        # Without the proof, which would fail for what it can't show of etcd-2.
        run = controller.play(inventory, etcd_peer_tls_new_keys=True, etcd_peer_tls_verify=False)
        assert run.failed == {"etcd-2"}, run.output[-3000:]
        assert "the disk is full" in run.output and "Traceback" not in run.output
        lab.ssh("etcd-2", f"rm {PKI}/filler")
        assert controller.fingerprints(["etcd-2"], f"{PKI}/*")["etcd-2"] == before["etcd-2"]
    finally:
        lab.ssh("etcd-2", f"umount {PKI}")
    controller.succeed(inventory)
    assert controller.is_healthy()


def test_a_read_only_folder_is_one_clear_line(controller: Controller, lab: Lab) -> None:
    inventory = controller.inventory()
    lab.ssh("etcd-2", f"mount --bind {PKI} {PKI} && mount -o remount,ro,bind {PKI}")
    try:
        # Without the proof, which would fail for what it can't show of etcd-2.
        run = controller.play(inventory, etcd_peer_tls_new_keys=True, etcd_peer_tls_verify=False)
        assert run.failed == {"etcd-2"}
        assert "read-only" in run.output and PKI in run.output and "Traceback" not in run.output
    finally:
        lab.ssh("etcd-2", f"umount {PKI}")
    controller.succeed(inventory)
    assert controller.is_healthy()


def test_a_host_whose_clock_is_wrong_is_refused_before_anything_changes(controller: Controller, lab: Lab) -> None:
    """New certificates would begin in that host's future, and the others would have theirs before anybody notices."""
    before = controller.fingerprints(PAIR, f"{PKI}/*")
    # What runs on the host for Ansible has that clock. etcd has the right one.
    late = '#!/bin/sh\nFAKETIME_DONT_FAKE_MONOTONIC=1 exec faketime -f -2d /usr/bin/python3 "$@"\n'
    lab.execute("etcd-2", f"cat > {LATE} && chmod 0755 {LATE}", input_text=late)
    late_host = {"etcd-2": {"ansible_python_interpreter": LATE}}
    run = controller.refuse(controller.inventory(host_variables=late_host), etcd_peer_tls_new_keys=True)
    assert run.failed == set(PAIR)
    assert "member etcd-2: its clock says " in run.output
    assert controller.fingerprints(PAIR, f"{PKI}/*") == before
    controller.succeed(controller.inventory())
    assert controller.is_healthy()
