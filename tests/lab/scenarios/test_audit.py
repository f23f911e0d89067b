# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters that somebody else deployed, audited as they are, and again with the line that the audit printed.

One cluster after the other on the same three hosts, with the files that those tools write. Before: right on every
finding, and no false one. After: clean, and exit code 0. The audit itself changes nothing.
"""

from __future__ import annotations

import re
import shlex
import typing as t

import pytest
from audits import EVERYBODY, OPEN, Audited, assert_clean, failed, others, remedy
from deployers import CONF, SHAPES
from ringfence_lab.lab import Lab
from support import TRIO, Controller

MEMBERS_NAMES = "etcd-member-etcd-1,etcd-member-etcd-2,etcd-member-etcd-3"


@pytest.fixture(scope="module")
def audited(controller: Controller, lab: Lab) -> t.Iterator[Audited]:
    controller.bare()
    made = Audited(controller, lab)
    yield made
    made.clear()


def test_kubespray(audited: Audited) -> None:
    audited.deploy(SHAPES["kubespray"])
    run, before = audited.audit()
    assert run.returncode != 0 and failed(before) == OPEN, before["findings"]
    # Clients and peers have one CA there, and nothing stands between them. All that may lie on etcd-1 gets in.
    assert others(before) == {("warning", "client_authority")}
    inside = {(one["host"], one["common_name"]) for one in before["let_in"]}
    assert {("etcd-1", "etcd-admin-etcd-1"), ("etcd-1", "etcd-node-worker-1")} <= inside
    # The pair for all, which no member presents, lies on each of them.
    assert inside == {("etcd-1", "etcd-admin-etcd-1"), ("etcd-1", "etcd-node-worker-1")} | {
        (host, "etcd") for host in TRIO
    }
    line = remedy(before, "allowed_common_names")
    match = re.fullmatch(
        r'etcd_extra_vars: \{ETCD_PEER_CERT_ALLOWED_CN: "(\S+)"\} in kubespray\'s group_vars, which is '
        r"(ETCD_PEER_CERT_ALLOWED_CN=\S+) in /etc/etcd.env, then restart one member at a time",
        line,
    )
    assert match is not None and match[1] == MEMBERS_NAMES, line
    audited.controller.on_each(TRIO, f"echo {shlex.quote(match[2])} >> /etc/etcd.env")
    audited.restart()
    assert_clean(*audited.audit())


def test_debian(audited: Audited) -> None:
    """Without TLS whoever reaches the port is a peer."""
    audited.deploy(SHAPES["debian"])
    run, audit = audited.audit()
    assert run.returncode != 0 and failed(audit) == {("peer_tls", EVERYBODY)}, audit["findings"]
    assert others(audit) == set()
    line = remedy(audit, "peer_tls")
    assert "ETCD_PEER_CERT_FILE=MEMBER.crt" in line and "in /etc/default/etcd, on one member after the other" in line
    assert {pair["verdict"] for pair in audit["pairs"] if pair["case"] == "no_certificate"} == {"failed"}


def test_a_guide_with_a_configuration_file(audited: Audited) -> None:
    """Its list has a name that etcd does not know, so that there is none."""
    audited.deploy(SHAPES["guide"])
    run, before = audited.audit()
    assert run.returncode != 0 and failed(before) == OPEN, before["findings"]
    assert others(before) == {("warning", "config_file")}
    line = remedy(before, "allowed_common_names")
    match = re.fullmatch(
        rf"peer-transport-security: \{{(allowed-cn: \[.*\])\}} in {CONF}, then restart one member at a time", line
    )
    assert match is not None, line
    audited.controller.on_each(TRIO, f"sed -i {shlex.quote(f's/^  allowed-cns: .*/  {match[1]}/')} {CONF}")
    # A restart is due, and until then the file says nothing of what runs.
    run, between = audited.audit()
    assert run.returncode != 0 and ("unproved", "process_current") in others(between)
    audited.restart()
    assert_clean(*audited.audit())


def test_flags_with_one_certificate_for_all(audited: Audited) -> None:
    audited.deploy(SHAPES["flags"])
    run, before = audited.audit()
    assert run.returncode != 0 and failed(before) == OPEN, before["findings"]
    assert others(before) == {("warning", "identity")}
    line = remedy(before, "allowed_common_names")
    dropin = "/etc/systemd/system/etcd.service.d/zz-peers.conf"
    match = re.fullmatch(rf"(\[Service\]) (\S+) in {dropin}, then restart one member at a time", line)
    assert match is not None and match[2] == "Environment=ETCD_PEER_CERT_ALLOWED_CN=etcd", line
    for host in TRIO:
        audited.put(host, dropin, f"{match[1]}\n{match[2]}\n")
    audited.restart()
    # The list fences, and all members are one to it.
    assert_clean(*audited.audit(), warnings={("warning", "identity")})
