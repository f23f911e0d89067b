# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian bookworm's etcd 3.4.23, which takes one allowed common name: a list is refused, the shared identity works."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from forge import Forge
from ringfence_lab.lab import Lab
from support import TRIO, Controller


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Controller]:
    made = Lab(f"{os.environ.get('RINGFENCE_LAB_NAME', 'test')}-old", hosts=4, release="bookworm")
    made.up()
    repository = Path(__file__).resolve().parents[3]
    yield Controller(made, tmp_path_factory.mktemp("old"), repository=repository)
    if os.environ.get("RINGFENCE_LAB_KEEP") != "1":
        made.down()


def test_a_list_is_refused_with_both_ways_out(old: Controller) -> None:
    old.bare()
    run = old.refuse(old.inventory())
    for words in ("etcd-1 has etcd 3.4.23", "upgrade etcd to 3.5.15 or newer", "etcd_peer_tls_identity: shared"):
        assert words in run.output
    assert not (Path(old.lab.ca_folder) / "ca.key").exists()


def test_the_shared_identity_forms_a_cluster(old: Controller) -> None:
    inventory = old.inventory(etcd_peer_tls_identity="shared")
    old.succeed(inventory)
    assert set(old.succeed(inventory).changed.values()) == {0}
    assert old.is_healthy()
    assert old.allowed_names() == dict.fromkeys(TRIO, "etcd.peers")


def test_a_stranger_is_refused(old: Controller) -> None:
    forge = Forge(Path(old.lab.ca_folder))
    source, target = old.lab.host("etcd-4"), old.lab.host("etcd-1")

    def accepted(common_name: str) -> bool:
        pair = forge.certificate(common_name, source.address)
        files = {"certificate": pair[0], "private_key": pair[1]}
        return bool(old.lab.probe(source, address=target.address, ca=forge.ca_pem, **files)["accepted"])

    assert accepted("etcd.peers")
    assert not accepted("stranger")


def test_a_changed_flag_restarts_one_by_one(old: Controller) -> None:
    before = old.processes()
    inventory = old.inventory(etcd_peer_tls_identity="shared")
    run = old.succeed(inventory, etcd_peer_tls_extra_flags={"max-wals": 7})
    assert run.changed == dict.fromkeys(TRIO, 2)
    assert all(before[host] != pid for host, pid in old.processes().items())
    assert old.is_healthy()
