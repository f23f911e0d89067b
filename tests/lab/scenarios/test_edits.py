# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edits of the inventory that would cut a member off, or stop all restarts: refused by --check as by the run itself."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ringfence_lab import etcd
from ringfence_lab.lab import Lab
from support import DATA, RESTART, TRIO, Controller, refuse_twice, start_members


@pytest.mark.usefixtures("nothing_is_changed")
def test_an_address_that_the_host_does_not_have(controller: Controller) -> None:
    edited = controller.inventory(host_variables={"etcd-2": {"etcd_peer_tls_address": "10.0.0.77"}})
    refuse_twice(controller, edited, said=["etcd-2 from https://10.0.0.2:2380 in the member list that etcd-1 tells"])


@pytest.mark.usefixtures("nothing_is_changed")
def test_who_is_to_go_needs_both_the_inventory_and_the_word(controller: Controller, inventory: Path) -> None:
    short = controller.inventory({"etcd": TRIO[:2]})
    refuse_twice(controller, short, said=["run with etcd_peer_tls_removed: [etcd-3.example.com], which removes it"])
    said = ["etcd-3 is to be removed (etcd_peer_tls_removed), and is a member by the inventory: take it out"]
    refuse_twice(controller, inventory, said=said, etcd_peer_tls_removed=["etcd-3"])


@pytest.mark.usefixtures("nothing_is_changed")
def test_other_common_names_while_a_member_can_not_be_seen(controller: Controller, inventory: Path) -> None:
    """Nor with all old names said to leave: a member that is not seen may present one of them."""
    run = controller.refuse(
        inventory,
        "--limit",
        "etcd-1,etcd-2",
        etcd_peer_tls_domain="example.org",
        etcd_peer_tls_removed=[f"{name}.example.com" for name in TRIO],
    )
    assert "etcd-1 from etcd-1.example.com to etcd-1.example.org" in " ".join(run.output.split())


@pytest.mark.usefixtures("nothing_is_changed")
def test_another_name_for_a_member_that_has_data(controller: Controller) -> None:
    renamed = controller.inventory(host_variables={"etcd-2": {"etcd_peer_tls_name": "etcd-two"}})
    said = ["member etcd-two: its data is that of member", "knows as etcd-2"]
    refuse_twice(controller, renamed, said=said, etcd_peer_tls_removed=["etcd-2"])


@pytest.mark.usefixtures("nothing_is_changed")
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"etcd_peer_tls_client_tls": False}, "etcd-1 from https://10.0.0.1:2379 to http://10.0.0.1:2379"),
        (
            {f"etcd_peer_tls_client_{kind}_file": f"/etc/clients/own.{kind}" for kind in ("ca", "cert", "key")},
            "etcd-1 from client CA of the peers to /etc/clients/own.ca",
        ),
        ({"etcd_peer_tls_data_dir": "/var/lib/etcd/other"}, "without its data it would be an empty member"),
        ({"etcd_peer_tls_extra_flags": {"wal-dir": "/var/lib/etcd/wal"}}, "wal-dir (in etcd_peer_tls_extra_flags)"),
        ({"etcd_peer_tls_cluster_name": "other", "etcd_peer_tls_data_dir": DATA}, "belongs to cluster etcd"),
        ({"etcd_peer_tls_extra_flags": {"enable-grpc-gateway": False}}, "--enable-grpc-gateway is refused"),
        ({"etcd_peer_tls_extra_flags": {"no-such-flag": 1}}, "flag provided but not defined: -no-such-flag"),
        ({"etcd_peer_tls_extra_flags": {"heartbeat-interval": 2000}}, "(1000 ms) has to be at least 5 times"),
        (
            {"etcd_peer_tls_extra_unit_settings": {"Service": {"Environment": "ETCD_ENABLE_GRPC_GATEWAY=false"}}},
            "Environment=ETCD_ENABLE_GRPC_GATEWAY is refused",
        ),
        (
            {"etcd_peer_tls_extra_unit_settings": {"Service": {"EnvironmentFile": "-/etc/default/etcd"}}},
            "EnvironmentFile= is refused",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_the_members_would_not_be_asked_by(
    controller: Controller, inventory: Path, lab: Lab, variables: dict[str, t.Any], said: str
) -> None:
    folder = {"etcd_peer_tls_ca_directory": lab.ca_folder}
    refuse_twice(controller, inventory, said=[said], **variables, **folder)


@pytest.mark.usefixtures("nothing_is_changed")
@pytest.mark.parametrize(
    ("host", "own", "said"),
    [
        ("etcd-2", {"etcd_peer_tls_extra_flags": {"wal-dir": "/var/lib/etcd/wal"}}, "member etcd-2: wal-dir"),
        (
            "etcd-3",
            {f"etcd_peer_tls_client_{kind}_file": f"/etc/clients/own.{kind}" for kind in ("ca", "cert", "key")},
            "would change at once (etcd-3 from client CA of the peers to /etc/clients/own.ca)",
        ),
    ],
)
def test_what_one_host_s_own_settings_would_do(
    controller: Controller, lab: Lab, host: str, own: dict[str, t.Any], said: str
) -> None:
    """Not those of the host that speaks for the cluster: its own, and nobody else's."""
    edited = controller.inventory(host_variables={host: own})
    refuse_twice(controller, edited, said=[said], etcd_peer_tls_ca_directory=lab.ca_folder)


@pytest.mark.usefixtures("no_file_is_changed")
@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("3.6.16", "3.6.16 is another minor version: say so with etcd_peer_tls_upgrade: true (member etcd-2)"),
        ("3.5.15", "3.5.15 is older: name 3.5.16 or later (member etcd-2)"),
    ],
)
def test_another_version_of_etcd(controller: Controller, inventory: Path, lab: Lab, version: str, said: str) -> None:
    """Put beside and named, or exchanged behind the role: what runs is not what lies there."""
    if etcd.needs_go(version) and not etcd.find_go():
        pytest.skip(f"etcd {version} is built with Go, which is not here")
    program = f"{etcd.ensure_programs(version)}/{etcd.PROGRAMS_FOLDER}/etcd"
    lab.copy_to("etcd-2", program, "/usr/bin/etcd.other")
    named = controller.inventory(host_variables={"etcd-2": {"etcd_peer_tls_etcd_binary": "/usr/bin/etcd.other"}})
    refuse_twice(controller, named, said=[said])
    lab.ssh("etcd-2", "cp -p /usr/bin/etcd /usr/bin/etcd.kept; mv /usr/bin/etcd.other /usr/bin/etcd")
    try:
        refuse_twice(controller, inventory, said=[said])
    finally:
        lab.ssh("etcd-2", "mv /usr/bin/etcd.kept /usr/bin/etcd; systemctl restart etcd.service")
        start_members(controller, "etcd-2")


@pytest.mark.usefixtures("nothing_is_changed")
def test_role_based_access_control(controller: Controller, inventory: Path) -> None:
    """Its API refuses a member's certificate: no restart could be guarded, and none is begun."""
    for words in ("user add root:secret", "user grant-role root root", "auth enable"):
        controller.etcdctl("etcd-1", words)
    try:
        refuse_twice(
            controller, inventory, said=["RBAC", "set etcd_peer_tls_api_user", "etcdctl auth disable"], **RESTART
        )
    finally:
        controller.etcdctl("etcd-1", "--user root:secret auth disable")
        controller.etcdctl("etcd-1", "user delete root")


def test_leaving_as_the_refusals_say(controller: Controller, inventory: Path) -> None:
    """Last, since it takes one away: removed, then in the inventory still, then gone from all lists."""
    number = controller.etcdctl("etcd-1", "member list | grep etcd-3 | cut -d, -f1").strip()
    controller.etcdctl("etcd-1", f"member remove {number}")
    controller.on_each(["etcd-3"], "systemctl disable --now etcd.service")
    refuse_twice(
        controller, inventory, said=[f"its data in {DATA} is that of member {number}, which is not in the member"]
    )
    short = controller.inventory({"etcd": TRIO[:2]})
    controller.succeed(short, etcd_peer_tls_removed=["etcd-3"])
    assert controller.allowed_names(TRIO[:2]) == dict.fromkeys(TRIO[:2], "etcd-1.example.com,etcd-2.example.com")
    assert set(controller.succeed(short).changed.values()) == {0}
    assert controller.is_healthy()
