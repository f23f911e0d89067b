# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members come and go while somebody writes: no acknowledged write is lost, and no quorum is at risk."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rbac import API, WRITER, let_it_change_members, role_based_access_control
from revocations import own_serial_number, revoked
from ringfence_lab.lab import Lab
from support import PAIR, PKI, TRIO, Controller, Writer


@pytest.fixture(scope="module")
def one(controller: Controller) -> Path:
    controller.bare()
    path = controller.inventory({"etcd": TRIO[:1]}, etcd_peer_tls_member_count=1)
    controller.succeed(path)
    return path


@pytest.fixture(scope="module")
def three(controller: Controller) -> Path:
    return controller.inventory()


def is_let_in(lab: Lab, host: str, certificate: str, key: str) -> bool:
    """Whether etcd-1's client port serves a pair that is on a host."""
    files = f"--cacert {PKI}/ca.crt --cert {certificate} --key {key}"
    command = f"etcdctl --endpoints https://10.0.0.1:2379 --command-timeout 4s {files} get some-key"
    return lab.execute(host, command, check=False).returncode == 0


def stay_connected(lab: Lab, host: str, certificate: str, key: str) -> None:
    """A unit on a host that watches a key at etcd-1's client port by one connection, as long as etcd keeps that."""
    files = f"--cacert {PKI}/ca.crt --cert {certificate} --key {key}"
    call = f"etcdctl --endpoints https://10.0.0.1:2379 {files} watch some-key"
    lab.execute(host, "systemctl stop connected; systemctl reset-failed connected", check=False)
    lab.execute(host, f"systemd-run --collect --unit=connected -E ETCDCTL_API=3 {call}")


def is_connected(controller: Controller, lab: Lab, host: str, value: str) -> bool:
    """Whether it still sees what is written."""
    controller.etcdctl("etcd-2", f"put some-key {value}")
    time.sleep(2)
    return value in lab.execute(host, "journalctl -u connected --no-pager -o cat").stdout


def members(controller: Controller, host: str = "etcd-1") -> dict[str, str]:
    """By name, whether it is a learner."""
    lines = controller.etcdctl(host, "member list").splitlines()
    fields = [[field.strip() for field in line.split(",")] for line in lines]
    return {field[2]: field[5] for field in fields}


def test_from_one_to_three(controller: Controller, one: Path, three: Path) -> None:
    check = controller.succeed(three, "--check")
    assert members(controller) == {"etcd-1": "false"}
    assert check.changed["etcd-2"] > 0
    assert "3 of 7: restart etcd-1 to accept more" in check.output and "writes pause" in check.output
    assert "4 of 7: add etcd-2 as a learner, and start it" in check.output
    assert "7 of 7: promote etcd-3 to a voter" in check.output
    with Writer(controller, operation="members from 1 to 3") as writer:
        run = controller.succeed(three)
    assert "PROVED - 3 members" in run.output
    # Each in the plan, and where it is done.
    assert [run.output.count(f"{number} of 7: ") for number in range(1, 8)] == [2] * 7
    assert members(controller) == dict.fromkeys(TRIO, "false")
    writer.check_nothing_is_lost()
    assert set(controller.succeed(three).changed.values()) == {0}


def test_the_leader_goes_and_comes_back(controller: Controller, three: Path, lab: Lab) -> None:
    """Its host is in the inventory still, in another group: it is stopped there, and its data kept."""
    two = controller.inventory({"etcd": PAIR, "gone": ["etcd-3"]})
    lead(controller, "etcd-3")
    serial_number = own_serial_number(lab, "etcd-3")
    assert set(revoked(controller, TRIO).values()) == {revoked(controller, PAIR)["etcd-1"]}
    assert is_let_in(lab, "etcd-3", f"{PKI}/etcd-3.crt", f"{PKI}/etcd-3.key")
    text = controller.refuse(two).output
    assert "run with etcd_peer_tls_removed: [etcd-3.example.com], which removes it" in text
    assert "is a member by the inventory" in controller.refuse(three, etcd_peer_tls_removed="etcd-3").output
    check = controller.succeed(two, "--check", "--diff", etcd_peer_tls_removed="etcd-3")
    assert f"etcd-3, serial number {serial_number}" in check.output
    assert "-etcd-3 https://10.0.0.3:2380" in check.output and members(controller) == dict.fromkeys(TRIO, "false")
    assert "1 of 4: move the leadership from etcd-3 to etcd-" in check.output
    assert "2 of 4: remove etcd-3: this run says that it leaves" in check.output
    # A host of the run does it, whoever is left out.
    limited = controller.succeed(two, "--check", "--diff", "--limit", "etcd-2", etcd_peer_tls_removed="etcd-3")
    assert "-etcd-3 https://10.0.0.3:2380" in limited.output and "no plan is told: etcd-1" in limited.output
    with Writer(controller, operation="a member goes that leads") as writer:
        run = controller.succeed(two, playbook=controller.named("remove_member"), etcd_peer_tls_removed="etcd-3")
    assert "PROVED - 2 members" in run.output and members(controller) == dict.fromkeys(PAIR, "false")
    assert [run.output.count(f"{number} of 4: ") for number in range(1, 5)] == [2] * 4
    writer.check_nothing_is_lost()
    assert set(controller.allowed_names(PAIR).values()) == {"etcd-1.example.com,etcd-2.example.com"}
    # What it has opens no port any more, the client port neither, which asks no list of names.
    assert all(serial_number in found for found in revoked(controller, PAIR).values())
    assert controller.argument("etcd-1", "client-crl-file") == f"{PKI}/ca.crl"
    assert not is_let_in(lab, "etcd-3", f"{PKI}/etcd-3.crt", f"{PKI}/etcd-3.key")
    assert is_let_in(lab, "etcd-2", f"{PKI}/etcd-2.crt", f"{PKI}/etcd-2.key")
    state = lab.execute(
        "etcd-3", "systemctl is-active etcd; systemctl is-enabled etcd; ls /var/lib/etcd/etcd; ls /etc/etcd/pki"
    )
    assert state.stdout.split()[:2] == ["inactive", "disabled"]
    assert "member.removed-" in state.stdout and "etcd-3.formed" not in state.stdout
    assert set(controller.succeed(two).changed.values()) == {0}
    # In the inventory again: it joins as a new member.
    with Writer(controller, operation="a member comes") as writer:
        assert "PROVED - 3 members" in controller.succeed(three).output
    assert writer.acknowledged <= writer.stored and members(controller) == dict.fromkeys(TRIO, "false")
    # With another key: what it had stays revoked.
    assert own_serial_number(lab, "etcd-3") != serial_number
    assert all(serial_number in found for found in revoked(controller, TRIO).values())
    assert set(controller.succeed(three).changed.values()) == {0}


def test_a_leaked_key_is_revoked_at_once_and_without_a_restart(controller: Controller, three: Path, lab: Lab) -> None:
    """First the new keys, then the word: what a member presents is never revoked."""
    leaked = {"cert": lab.execute("etcd-2", f"cat {PKI}/etcd-2.crt").stdout}
    leaked["key"] = lab.execute("etcd-2", f"cat {PKI}/etcd-2.key").stdout
    serial_number = own_serial_number(lab, "etcd-2")
    text = controller.refuse(three, etcd_peer_tls_revoked="etcd-2").output
    assert "member etcd-2 still presents" in text and "etcd_peer_tls_new_keys" in text
    assert "is neither a serial number nor the name" in controller.refuse(three, etcd_peer_tls_revoked="etcd-9").output
    with Writer(controller, operation="new keys") as writer:
        controller.succeed(three, etcd_peer_tls_new_keys=True)
    writer.check_nothing_is_lost()
    before = controller.processes()
    for kind, content in leaked.items():
        lab.execute("etcd-3", f"cat > /root/leaked.{kind}", input_text=content)
    stay_connected(lab, "etcd-3", "/root/leaked.cert", "/root/leaked.key")
    check = controller.succeed(three, "--check", "--diff", etcd_peer_tls_revoked=serial_number.upper())
    assert serial_number in check.output and serial_number not in revoked(controller, PAIR)["etcd-1"]
    with Writer(controller, operation="a leaked key is revoked") as writer:
        run = controller.succeed(
            three, playbook=controller.named("revoke"), etcd_peer_tls_revoked=serial_number.upper()
        )
    assert "PROVED - 3 members" in run.output and writer.acknowledged <= writer.stored
    assert controller.processes() == before
    assert all(serial_number in found for found in revoked(controller, TRIO).values())
    assert not is_let_in(lab, "etcd-3", "/root/leaked.cert", "/root/leaked.key")
    assert is_let_in(lab, "etcd-3", f"{PKI}/etcd-3.crt", f"{PKI}/etcd-3.key")
    assert "may be connected still" in run.output
    assert set(controller.succeed(three, etcd_peer_tls_revoked=serial_number).changed.values()) == {0}
    assert is_connected(controller, lab, "etcd-3", "seen-by-who-is-revoked")


def test_who_is_connected_with_a_revoked_certificate_is_cut_off_where_that_was_said(
    controller: Controller, three: Path, lab: Lab
) -> None:
    before = controller.processes()
    proof = controller.play(three, playbook=controller.named("verify"))
    assert proof.returncode == 0 and "run with etcd_peer_tls_disconnect_revoked=true" in proof.output
    check = controller.succeed(three, "--check", etcd_peer_tls_disconnect_revoked=True)
    assert set(check.changed.values()) == {1} and controller.processes() == before
    with Writer(controller) as writer:
        run = controller.succeed(three, etcd_peer_tls_disconnect_revoked=True)
    assert "PROVED - 3 members" in run.output and writer.acknowledged <= writer.stored
    assert len(writer.acknowledged) > 20
    after = controller.processes()
    assert all(after[name] != before[name] for name in TRIO)
    assert not is_connected(controller, lab, "etcd-3", "seen-by-members-alone")
    assert "may be connected still" not in run.output
    assert set(controller.succeed(three, etcd_peer_tls_disconnect_revoked=True).changed.values()) == {0}


def test_a_member_without_its_data_joins_anew_where_that_was_said(
    controller: Controller, three: Path, lab: Lab
) -> None:
    """Under RBAC, where only a user with the role root may change members."""
    with role_based_access_control(controller):
        before = controller.etcdctl("etcd-1", "member list")
        lab.execute("etcd-2", "systemctl stop etcd; rm -rf /var/lib/etcd/etcd/member")
        nobody = controller.refuse(three, etcd_peer_tls_replaced="etcd-2").output
        assert "set etcd_peer_tls_api_user and etcd_peer_tls_api_password" in nobody and "start etcd" not in nobody
        assert "join anew with etcd_peer_tls_replaced: [etcd-2]" in controller.refuse(three, **API).output
        lacks = "etcd-2 joins; etcd-2 is removed: etcd has RBAC switched on, and lets only a user with the role root do"
        assert lacks in controller.refuse(three, etcd_peer_tls_replaced="etcd-2", **API).output
        let_it_change_members(controller)
        with Writer(controller, WRITER, operation="a member that lost its data joins anew, under RBAC") as writer:
            # Killed when it is in the list, and before it has run.
            controller.kill_at(three, "Join as a learner", 3.0, etcd_peer_tls_replaced="etcd-2", **API)
            run = controller.succeed(
                three, playbook=controller.named("replace_member"), etcd_peer_tls_replaced="etcd-2", **API
            )
        assert "PROVED - 3 members" in run.output and members(controller) == dict.fromkeys(TRIO, "false")
        assert writer.acknowledged <= writer.stored
        assert controller.etcdctl("etcd-1", "member list") != before
        assert set(controller.succeed(three, **API).changed.values()) == {0}


def lead(controller: Controller, name: str) -> None:
    """Let a member lead."""
    leader = controller.leader()
    listed = controller.etcdctl("etcd-1", "member list").splitlines()
    number = next(line.split(", ")[0] for line in listed if line.split(", ")[2] == name)
    if leader != name:
        controller.etcdctl(leader, f"move-leader {number}")
