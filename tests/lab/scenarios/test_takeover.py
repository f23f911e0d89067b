# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters that somebody else deployed get their list while a client writes, and lose it again by the way back."""

from __future__ import annotations

import json
import shlex
import typing as t

import pytest
from deployers import CONF, GUIDE, SHAPES
from rbac import API, WRITER, let_it_change_members, role_based_access_control
from ringfence_lab.lab import Lab
from support import TRIO, Controller, Writer
from takeovers import TakenOver, assert_nothing_lost

NAMES = "etcd-member-etcd-1,etcd-member-etcd-2,etcd-member-etcd-3"
DROP_IN = "/etc/systemd/system/etcd.service.d/zz-ringfence"


@pytest.fixture(scope="module")
def theirs(controller: Controller, lab: Lab) -> t.Iterator[TakenOver]:
    controller.bare()
    made = TakenOver(controller, lab)
    yield made
    made.clear()


def test_kubespray(theirs: TakenOver) -> None:
    controller = theirs.controller
    theirs.with_client(SHAPES["kubespray"])
    ids, before, processes = theirs.member_ids(), theirs.files(), controller.processes()
    check = theirs.succeed("--check", "--diff")
    assert f'+ETCD_PEER_CERT_ALLOWED_CN="{NAMES}"' in check.output and f"{DROP_IN}.conf" in check.output
    assert controller.processes() == processes and theirs.files() == before

    with Writer(controller) as writer:
        run = theirs.succeed()
    assert_nothing_lost(writer)
    # The audit at its end, which the exit code comes from.
    assert "etcd: PROVED - 3 members" in run.output
    assert theirs.lists() == {f"ETCD_PEER_CERT_ALLOWED_CN={NAMES}"} and theirs.member_ids() == ids
    assert list((controller.folder / "snapshots").glob("before-takeover-*.db"))

    processes, files = controller.processes(), theirs.files()
    again = theirs.succeed()
    assert not any(again.changed.values())
    assert controller.processes() == processes and theirs.files() == files

    theirs.succeed(etcd_takeover_state="absent")
    assert theirs.lists() == {""} and theirs.files() == before and controller.is_healthy()


def test_a_configuration_file_and_a_run_that_was_killed(theirs: TakenOver) -> None:
    controller = theirs.controller
    theirs.with_client(GUIDE)
    before, ids = theirs.files(), theirs.member_ids()
    kept = theirs.lab.execute("etcd-1", f"cat {CONF}").stdout

    unread = "/etc/systemd/system/etcd.service.d/limits.conf"
    theirs.put("etcd-2", unread, "[Service]\nLimitNOFILE=1000\n")
    theirs.refuse(f"etcd-2 is not taken over: systemd has not read {unread} as it is now")
    theirs.lab.execute("etcd-2", f"rm {unread}")
    controller.on_each(["etcd-3"], "systemctl stop etcd")
    theirs.refuse("nothing is taken over", "its member etcd-3 is down: no etcd runs on etcd-3: start it there")
    controller.on_each(["etcd-3"], "systemctl start etcd")

    with Writer(controller) as writer:
        controller.kill_at(
            theirs.inventory,
            "Restart one member at a time",
            3.0,
            playbook=controller.named("takeover"),
            etcd_peer_tls_snapshot_directory=str(controller.folder / "snapshots"),
        )
        controller.wait_for_orphans()
        theirs.succeed()
    assert_nothing_lost(writer)
    line = f"  allowed-cn: [{', '.join(json.dumps(name) for name in NAMES.split(','))}] # by ringfence.etcd.takeover"
    text = theirs.lab.execute("etcd-1", f"cat {CONF}").stdout
    assert [one for one in text.splitlines() if one not in kept.splitlines()] == [line]
    assert theirs.lab.execute("etcd-1", f"cat {CONF}.replaced").stdout == kept
    assert theirs.member_ids() == ids

    theirs.succeed(etcd_takeover_state="absent")
    controller.on_each(TRIO, f"rm {shlex.quote(CONF)}.replaced")
    assert theirs.files() == before and controller.is_healthy()


def test_under_role_based_access_control(theirs: TakenOver) -> None:
    """Nobody but etcd's root takes a snapshot, and its gateway takes no pair with a common name."""
    controller = theirs.controller
    theirs.with_client(SHAPES["kubespray"])
    before, ids = theirs.files(), theirs.member_ids()
    pair = ("/etc/etcd-api/api.crt", "/etc/etcd-api/api.key")
    access = {**API, "etcd_peer_tls_api_cert_file": pair[0], "etcd_peer_tls_api_key_file": pair[1]}
    with role_based_access_control(controller):
        theirs.refuse("etcd_peer_tls_api_user")
        for path, text in zip(pair, theirs.forge.certificate("", days=30, server=False)):
            for host in TRIO:
                theirs.put(host, path, text)
        theirs.refuse("who needs the role: etcdctl user grant-role ringfence root", **access)
        let_it_change_members(controller)
        with Writer(controller, options=WRITER, operation="takeover under RBAC") as writer:
            theirs.succeed(**access)
        assert_nothing_lost(writer)
        taken, processes = theirs.files(), theirs.running()
        assert not any(theirs.succeed(**access).changed.values()) and theirs.running() == processes

        told = theirs.told("there is no CA in the role's variables", **access)
        theirs.put_into_inventory(told, **theirs.authority(), **access)
        with Writer(controller, options=WRITER, operation="adopt under RBAC") as writer:
            theirs.succeed(playbook="adopt")
        assert_nothing_lost(writer)
        run = theirs.succeed(playbook="site")
        assert ": PROVED - 3 members" in run.output and theirs.member_ids() == ids
        theirs.succeed(playbook="adopt", etcd_adopt_state="absent")
        assert theirs.files() == taken
        theirs.succeed(etcd_takeover_state="absent", **access)
    assert theirs.files() == before and theirs.member_ids() == ids and controller.is_healthy()
