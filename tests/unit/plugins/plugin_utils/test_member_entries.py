# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of members as a user writes it, and who acts for the cluster."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._member_entries import (
    checked_entry,
    completed_entry,
    coordinator_of,
)


@pytest.mark.parametrize(
    ("batch", "coordinator"),
    [
        (["etcd-1", "etcd-2", "etcd-3"], "etcd-1"),
        # The members' order counts, and not that of the play: all hosts come to the same one.
        (["etcd-3", "green-1", "etcd-2"], "etcd-2"),
        (["green-1", "etcd-3"], "etcd-3"),
    ],
)
def test_the_first_member_in_the_batch_coordinates(batch: list[str], coordinator: str) -> None:
    assert coordinator_of(["etcd-1", "etcd-2", "etcd-3"], "etcd-3", batch, "blue") == coordinator


def test_a_host_that_is_no_member_has_no_coordinator() -> None:
    with pytest.raises(InputError, match=r"green-1 is no member of cluster blue \(its hosts: etcd-1, etcd-2\)"):
        coordinator_of(["etcd-1", "etcd-2"], "green-1", ["green-1"], "blue")


@pytest.mark.parametrize("item", [None, 7, "", {}, [], {"name": None}, {"name": ["etcd-1"]}, {"host": 1, "name": "a"}])
def test_what_is_no_entry(item: t.Any) -> None:
    with pytest.raises(InputError, match="etcd_peer_tls_members: "):
        checked_entry(item)


def test_what_an_entry_leaves_out_is_its_hosts() -> None:
    host_settings = {"name": "etcd-1", "address": "10.0.0.1", "peer_port": 2380, "extra_sans": []}
    entry = completed_entry({"host": "node-1", "address": "10.9.9.9", "peer_port": ""}, host_settings, ())
    assert (entry["name"], entry["address"], entry["peer_port"]) == ("etcd-1", "10.9.9.9", 2380)


def test_an_entry_and_its_host_must_not_differ_where_both_were_said() -> None:
    host_settings = {"name": "etcd-1", "address": "10.0.0.1", "peer_port": 2380}
    entry = {"host": "etcd-1", "address": "10.9.9.9"}
    assert completed_entry(entry, host_settings, {"name"})["address"] == "10.9.9.9"
    with pytest.raises(InputError, match=r"says address .10\.9\.9\.9., the variables of host etcd-1 say"):
        completed_entry(entry, host_settings, {"address"})
    assert completed_entry({**entry, "address": "10.0.0.1"}, host_settings, {"address"})["address"] == "10.0.0.1"
