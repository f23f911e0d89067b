# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's unit takes the place of somebody else's while a client writes, and gives it back."""

from __future__ import annotations

import typing as t

import pytest
from deployers import PKI, SHAPES, UNIT
from ringfence_lab.lab import Lab
from support import PKI as CLIENT_PKI
from support import TRIO, Controller, Writer
from takeovers import TakenOver, assert_nothing_lost

NAMES = ",".join(f"etcd-member-{host}" for host in TRIO)
# What kubespray's members run with beside their places and files.
FLAGS = {"heartbeat-interval": "250", "election-timeout": "5000", "auto-compaction-retention": "8", "metrics": "basic"}


@pytest.fixture(scope="module")
def theirs(controller: Controller, lab: Lab) -> t.Iterator[TakenOver]:
    controller.bare()
    made = TakenOver(controller, lab)
    yield made
    made.clear()


def test_there_and_back(theirs: TakenOver) -> None:
    controller = theirs.controller
    theirs.with_client(SHAPES["kubespray"])
    ids, before, processes = theirs.member_ids(), theirs.files(), controller.processes()
    told = theirs.told("there is no CA in the role's variables")
    assert FLAGS.items() <= told["vars"]["etcd_peer_tls_extra_flags"].items() and told["problems"] == []
    theirs.put_into_inventory(told, **theirs.authority())
    check = theirs.succeed("--check", "--diff", playbook="adopt")
    # Of etcd's own settings the list comes, and files are elsewhere; nothing else is shown as gone or come.
    assert f"+--peer-cert-allowed-cn={NAMES}" in check.output and f"-{UNIT}" not in check.output
    assert "--heartbeat-interval=250" in check.output and "+--heartbeat" not in check.output
    assert controller.processes() == processes and theirs.files() == before

    with Writer(controller) as writer:
        controller.kill_at(
            theirs.inventory,
            "Restart one member at a time, from the other unit",
            3.0,
            playbook=controller.named("adopt"),
            etcd_peer_tls_snapshot_directory=str(controller.folder / "snapshots"),
        )
        controller.wait_for_orphans()
        theirs.succeed(playbook="adopt")
    assert_nothing_lost(writer)
    assert set(controller.allowed_names().values()) == {NAMES} and theirs.member_ids() == ids
    assert list((controller.folder / "snapshots").glob("before-adopt-*.db"))
    assert {controller.argument("etcd-2", flag) for flag in FLAGS} == set(FLAGS.values())

    processes, files = controller.processes(), theirs.files()
    again = theirs.succeed(playbook="adopt")
    assert not any(again.changed.values())
    assert controller.processes() == processes and theirs.files() == files
    assert "etcd: PROVED - 3 members" in theirs.succeed(playbook="verify").output

    # It issues anew what has all hosts' addresses, and restarts nobody for that.
    assert "etcd: PROVED - 3 members" in theirs.succeed(playbook="site").output
    assert controller.processes() == processes
    assert not any(theirs.succeed(playbook="site").changed.values())

    theirs.succeed(etcd_adopt_state="absent", playbook="adopt")
    assert theirs.files() == before and theirs.member_ids() == ids and controller.is_healthy()


def test_from_http_to_a_fence(controller: Controller, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Debian's package has it: first the role's unit with the same settings, then certificates and https."""
    controller.bare()
    theirs = TakenOver(controller, lab)
    theirs.deploy(SHAPES["debian"])
    monkeypatch.setattr(controller, "clients_have_files", False)
    ids, processes = theirs.member_ids(), controller.processes()
    told = theirs.told()
    theirs.put_into_inventory(told)
    check = theirs.succeed("--check", "--diff", playbook="adopt")
    assert "+--peer" not in check.output and controller.processes() == processes
    with Writer(controller, scheme="http") as writer:
        run = theirs.succeed(playbook="adopt")
    assert "no fence yet" in " ".join(run.output.split())
    assert_nothing_lost(writer)
    assert theirs.member_ids() == ids and not any(theirs.succeed(playbook="adopt").changed.values())

    assert "etcd_peer_tls_new_ca: true" in theirs.play(playbook="site").output
    plan = theirs.succeed("--check", playbook="site", etcd_peer_tls_new_ca=True).output
    assert "1 of 9: issue a certificate to etcd-" in plan and "9 of 9: tell the cluster that etcd-" in plan
    with Writer(controller, scheme="http", operation="http to https for peers") as writer:
        run = theirs.succeed(playbook="site", etcd_peer_tls_new_ca=True)
    assert_nothing_lost(writer, restarts=2)
    assert ": PROVED - 3 members" in run.output and theirs.member_ids() == ids
    assert not any(theirs.succeed(playbook="site").changed.values())


def test_from_one_certificate_for_all_to_a_fence(
    controller: Controller, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As githubixx' role has it: first the role's unit, then a new CA, own certificates and keys, and the list."""
    controller.bare()
    theirs = TakenOver(controller, lab)
    theirs.deploy(SHAPES["flags"])
    monkeypatch.setattr(controller, "clients_have_files", False)
    ids, processes = theirs.member_ids(), controller.processes()
    told = theirs.told("etcd-1, etcd-2, etcd-3 present one common name (etcd)", "-e etcd_adopt_keep_certificates=true")
    theirs.put_into_inventory(told)
    check = theirs.succeed("--check", "--diff", etcd_adopt_keep_certificates=True, playbook="adopt")
    assert "allowed-cn" not in check.output and controller.processes() == processes
    with Writer(controller, scheme="http") as writer:
        run = theirs.succeed(etcd_adopt_keep_certificates=True, playbook="adopt")
    assert "no fence yet" in " ".join(run.output.split())
    assert_nothing_lost(writer)
    assert theirs.member_ids() == ids and not any(theirs.succeed(playbook="adopt").changed.values())

    plan = theirs.succeed("--check", playbook="site", etcd_peer_tls_new_ca=True).output
    assert "1 of 9: restart etcd-" in plan and "9 of 9: restart etcd-" in plan
    with Writer(controller, scheme="http", operation="one certificate for all becomes one for each") as writer:
        # One of them has its own then.
        task = "Deploy the CA certificate, the certificate and the key"
        controller.kill_at(theirs.inventory, task, 3.0, etcd_peer_tls_new_ca=True)
        controller.wait_for_orphans()
        run = theirs.succeed(playbook="site", etcd_peer_tls_new_ca=True)
    assert_nothing_lost(writer, restarts=2)
    assert ": PROVED - 3 members" in run.output and theirs.member_ids() == ids
    keys = controller.on_each(TRIO, f"sha256sum {CLIENT_PKI}/etcd-*.key {PKI}/peer-key.pem | cut -c1-64")
    assert len({line for output in keys.values() for line in output.split()}) == 4
    assert set(controller.allowed_names().values()) == {",".join(f"{host}.example.com" for host in TRIO)}
    again = theirs.succeed(playbook="site")
    assert not any(again.changed.values()) and ": PROVED - 3 members" in again.output
