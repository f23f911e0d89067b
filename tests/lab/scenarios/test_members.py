# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members come and go while somebody writes: no acknowledged write is lost, and no quorum is at risk."""

from __future__ import annotations

from pathlib import Path

import pytest
from ringfence_lab.lab import Lab
from support import PAIR, TRIO, Controller, Writer


@pytest.fixture(scope="module")
def one(controller: Controller) -> Path:
    controller.bare()
    path = controller.inventory({"etcd": TRIO[:1]}, etcd_peer_tls_member_count=1)
    controller.succeed(path)
    return path


@pytest.fixture(scope="module")
def three(controller: Controller) -> Path:
    return controller.inventory()


def members(controller: Controller, host: str = "etcd-1") -> dict[str, str]:
    """By name, whether it is a learner."""
    lines = controller.etcdctl(host, "member list").splitlines()
    fields = [[field.strip() for field in line.split(",")] for line in lines]
    return {field[2]: field[5] for field in fields}


def test_from_one_to_three(controller: Controller, one: Path, three: Path) -> None:
    check = controller.succeed(three, "--check")
    assert members(controller) == {"etcd-1": "false"}
    assert check.changed["etcd-2"] > 0
    with Writer(controller) as writer:
        run = controller.succeed(three)
    assert "PROVED - 3 members" in run.output
    assert members(controller) == dict.fromkeys(TRIO, "false")
    assert len(writer.acknowledged) > 20 and writer.acknowledged <= writer.stored
    assert set(controller.succeed(three).changed.values()) == {0}


def test_the_leader_goes_and_comes_back(controller: Controller, three: Path, lab: Lab) -> None:
    """Its host is in the inventory still, in another group: it is stopped there, and its data kept."""
    two = controller.inventory({"etcd": PAIR, "gone": ["etcd-3"]})
    lead(controller, "etcd-3")
    text = controller.refuse(two).output
    assert "run with etcd_peer_tls_removed: [etcd-3.example.com], which removes it" in text
    assert "is a member by the inventory" in controller.refuse(three, etcd_peer_tls_removed="etcd-3").output
    check = controller.succeed(two, "--check", "--diff", etcd_peer_tls_removed="etcd-3")
    assert "-etcd-3 https://10.0.0.3:2380" in check.output and members(controller) == dict.fromkeys(TRIO, "false")
    # A host of the run does it, whoever is left out.
    limited = controller.succeed(two, "--check", "--diff", "--limit", "etcd-2", etcd_peer_tls_removed="etcd-3")
    assert "-etcd-3 https://10.0.0.3:2380" in limited.output
    with Writer(controller) as writer:
        run = controller.succeed(two, etcd_peer_tls_removed="etcd-3")
    assert "PROVED - 2 members" in run.output and members(controller) == dict.fromkeys(PAIR, "false")
    assert len(writer.acknowledged) > 20 and writer.acknowledged <= writer.stored
    assert set(controller.allowed_names(PAIR).values()) == {"etcd-1.example.com,etcd-2.example.com"}
    state = lab.execute(
        "etcd-3", "systemctl is-active etcd; systemctl is-enabled etcd; ls /var/lib/etcd/etcd; ls /etc/etcd/pki"
    )
    assert state.stdout.split()[:2] == ["inactive", "disabled"]
    assert "member.removed-" in state.stdout and "etcd-3.formed" not in state.stdout
    assert set(controller.succeed(two).changed.values()) == {0}
    # In the inventory again: it joins as a new member.
    with Writer(controller) as writer:
        assert "PROVED - 3 members" in controller.succeed(three).output
    assert writer.acknowledged <= writer.stored and members(controller) == dict.fromkeys(TRIO, "false")


def test_a_member_without_its_data_joins_anew_where_that_was_said(
    controller: Controller, three: Path, lab: Lab
) -> None:
    before = controller.etcdctl("etcd-1", "member list")
    lab.execute("etcd-2", "systemctl stop etcd; rm -rf /var/lib/etcd/etcd/member")
    assert "join anew with etcd_peer_tls_replaced: [etcd-2]" in controller.refuse(three).output
    # Killed when it is in the list, and before it has run.
    controller.kill_at(three, "Join as a learner", 3.0, etcd_peer_tls_replaced="etcd-2")
    with Writer(controller) as writer:
        run = controller.succeed(three, etcd_peer_tls_replaced="etcd-2")
    assert "PROVED - 3 members" in run.output and members(controller) == dict.fromkeys(TRIO, "false")
    assert writer.acknowledged <= writer.stored
    assert controller.etcdctl("etcd-1", "member list") != before
    assert set(controller.succeed(three).changed.values()) == {0}


def lead(controller: Controller, name: str) -> None:
    """Let a member lead."""
    status = controller.etcdctl("etcd-1", "endpoint status --cluster").splitlines()
    leader = next(line for line in status if line.split(", ")[4] == "true")
    listed = controller.etcdctl("etcd-1", "member list").splitlines()
    number = next(line.split(", ")[0] for line in listed if line.split(", ")[2] == name)
    if leader.split(", ")[1] != number:
        host = next(line.split(", ")[2] for line in listed if line.startswith(leader.split(", ")[1]))
        controller.etcdctl(host, f"move-leader {number}")
