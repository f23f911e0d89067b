# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another etcd takes the place of a running one, host by host, while somebody writes: no acknowledged write is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from releases import (
    FOLDER,
    NEW,
    NEXT_MINOR,
    OLD,
    RUNNING,
    SECOND_NEXT,
    Releases,
    listing,
    run_the_old_one,
    running,
    state,
)
from support import TRIO, Controller, Writer, overlaps


@pytest.fixture(scope="module")
def inventory(controller: Controller, releases: Releases) -> Path:
    return run_the_old_one(controller, releases)


def test_a_run_that_was_killed_in_between_is_finished_by_the_next_and_no_write_is_lost(
    controller: Controller, inventory: Path, releases: Releases
) -> None:
    before = state(controller)
    controller.kill_at(inventory, "Deploy the CA certificate", **releases[NEW])
    between = state(controller)
    assert between.processes == before.processes and between.sums == before.sums
    assert set(between.listing.values()) == {listing(".{}.ringfence-new {}")}
    check = controller.succeed(inventory, "--check", "--diff", **releases[NEW])
    assert set(check.changed.values()) == {1} and state(controller) == between
    with Writer(controller, operation="a later patch of etcd") as writer:
        run = controller.succeed(inventory, **releases[NEW])
    assert set(run.changed.values()) == {1}
    assert overlaps(controller) == []
    writer.check_nothing_is_lost()
    after = state(controller)
    assert set(after.listing.values()) == {listing("{} {}.replaced")}
    assert after.unit == before.unit
    versions = f"{RUNNING}; {FOLDER}/etcd.replaced --version | head -n 1; {FOLDER}/etcdctl version | head -n 1"
    for answer in controller.on_each(TRIO, versions).values():
        assert [line.split()[-1] for line in answer.splitlines()] == [NEW, OLD, NEW]
    assert set(controller.on_each(TRIO, f"stat -c '%U %G %a' {FOLDER}/etcd").values()) == {"root root 755\n"}
    assert set(controller.succeed(inventory, **releases[NEW]).changed.values()) == {0}


def test_from_3_5_to_3_7_killed_in_between_and_no_write_is_lost(
    controller: Controller, inventory: Path, releases: Releases
) -> None:
    given = {**releases[NEXT_MINOR], "etcd_peer_tls_extra_flags": {}}
    # Flags change before the version does, so that the unit is one that the old program starts with.
    controller.succeed(inventory, **releases[NEW], etcd_peer_tls_extra_flags={})
    with Writer(controller, operation="two minor versions of etcd") as writer:
        leader = controller.leader()
        first, second = (host for host in TRIO if host != leader)
        # Not at the leader's own turn: what is at work on a host goes on, and would end the upgrade.
        controller.kill_at(inventory, f"Restart with its new etcd {second}", etcd_peer_tls_upgrade=True, **given)
        controller.wait_for_orphans()
        now = dict(zip(TRIO, running(controller)))
        assert (now[first], now[leader]) == (NEXT_MINOR, NEW)
        # It has begun: no word is needed to end it.
        run = controller.succeed(inventory, **given)
        assert "which has begun" in run.output
        assert running(controller) == [NEXT_MINOR] * 3 and overlaps(controller) == []
        # Entries of 3.5 are in the log, which 3.7 can't read.
        run = controller.succeed(
            inventory, playbook=controller.named("upgrade"), etcd_peer_tls_extra_flags={}, **releases[SECOND_NEXT]
        )
        assert running(controller) == [SECOND_NEXT] * 3 and overlaps(controller) == []
    writer.check_nothing_is_lost()
    assert writer.longest_pause_ms < 3000
    before = state(controller)
    refused = {**releases[NEXT_MINOR], "etcd_peer_tls_extra_flags": {}}
    run = controller.refuse(inventory, playbook=controller.named("upgrade"), **refused)
    assert "3.6.16 is older: etcd has to agree first (etcdctl downgrade enable 3.6" in run.output
    assert state(controller) == before
