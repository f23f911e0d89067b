# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's unit from its settings: the flags that are wanted, and whatever a user wrote as it stands."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_is_valid,
    exec_command,
    parse_unit,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_text import unit_text

SETTINGS: dict[str, t.Any] = {
    "cluster_name": "etcd",
    "data_dir": "/var/lib/etcd/etcd",
    "directory": "/etc/etcd/pki",
    "identity": "list",
    "client_tls": True,
    "client_port": 2379,
    "client_ca_file": "",
    "client_cert_file": "",
    "client_key_file": "",
    "listen_loopback": True,
    "metrics_urls": [],
    "min_version": "TLS1.3",
    "extra_flags": {},
    "ca_certificate": "",
    "extra_unit_settings": {},
    "owner": "etcd",
    "owner_group": "etcd",
    "etcd_binary": "/usr/bin/etcd",
}
MEMBERS = make_members(
    [{"name": f"etcd-{number}", "host": f"etcd-{number}", "address": f"10.0.0.{number}"} for number in (1, 2, 3)],
    ClusterSettings(name="etcd", domain="example.com"),
)


def made(**settings: t.Any) -> str:
    return unit_text({**SETTINGS, **settings}, MEMBERS, MEMBERS[0])


def test_the_unit_starts_what_is_wanted_and_carries_its_hash() -> None:
    text = made()
    assert configuration_hash_is_valid(text) and text.endswith("\n")
    names = "etcd-1.example.com,etcd-2.example.com,etcd-3.example.com"
    assert f"--peer-cert-allowed-cn={names}" in exec_command(text)


def test_what_looks_like_a_template_is_written_as_it_stands() -> None:
    text = made(extra_unit_settings={"Service": {"Environment": "A={{ lookup('pipe', 'id') }}"}})
    assert ("Environment", "A={{ lookup('pipe', 'id') }}") in parse_unit(text)["Service"]


def test_one_unit_is_as_good_as_the_next() -> None:
    assert made() == made() != made(extra_flags={"snapshot-count": 5000})


@pytest.mark.parametrize("wrong", [{"extra_flags": {"name": "x"}}, {"owner": "two\nlines"}])
def test_what_can_not_be_started_is_refused_in_one_line(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(InputError) as caught:
        made(**wrong)
    assert "\n" not in str(caught.value)
