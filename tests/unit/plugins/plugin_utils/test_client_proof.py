# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is tried at client ports follows from what the user says of them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_proof import client_proof

SETTINGS = {"client_tls": True, "client_ca_file": "", "directory": "/etc/etcd/pki", "peers_are_clients": False}
THREE = ["client", "client_unknown_ca", "client_no_certificate"]
FOUR = ["client", "client_unknown_ca", "client_peer", "client_no_certificate"]
OTHER = "/etc/etcd/client-port/ca.crt"


@pytest.mark.parametrize(
    ("changes", "authority", "peers_are_clients", "cases"),
    [
        ({}, "peers", True, THREE),
        ({"client_ca_file": "/etc/etcd/pki/ca.crt", "directory": "/etc/etcd/pki/"}, "peers", True, THREE),
        ({"client_ca_file": OTHER}, "own", False, FOUR),
        ({"client_ca_file": OTHER, "peers_are_clients": True}, "own", True, THREE),
        ({"client_tls": False, "client_ca_file": OTHER}, "nobody", False, []),
    ],
)
def test_client_ports(changes: dict[str, t.Any], authority: str, peers_are_clients: bool, cases: list[str]) -> None:
    assert client_proof({**SETTINGS, **changes}) == {
        "authority": authority,
        "peers_are_clients": peers_are_clients,
        "cases": cases,
    }
