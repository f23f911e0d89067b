# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.client_files import client_files_problem
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, issue

PEERS, CLIENTS = issue("etcd peer CA", is_ca=True), issue("clients' CA", is_ca=True)
PEER, CLIENT = issue("etcd-1", PEERS), issue("etcd-1", CLIENTS)


class Host:
    """A folder with the files of a member, whose process checks its clients by the peers' CA."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.put("ca.crt", PEERS.pem)
        self.pair("etcd-1", PEER)

    def put(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def pair(self, name: str, issued: Issued) -> None:
        self.put(f"{name}.crt", issued.pem)
        self.put(f"{name}.key", issued.key_pem)

    def with_clients(self, ca: str = "ca.crt", pair: str = "etcd-1") -> Deployed:
        flags = {"peer-trusted-ca-file": "ca.crt", "trusted-ca-file": ca, "cert-file": f"{pair}.crt"}
        flags["key-file"] = f"{pair}.key"
        return deployed_from_arguments(["etcd", *(f"--{flag}={self.folder / name}" for flag, name in flags.items())])

    def problem(self, planned: Deployed, running: Deployed | None, *newer: str) -> str | None:
        return client_files_problem(planned, running, [str(self.folder / name) for name in newer], str(os.geteuid()))


@pytest.fixture
def host(open_folder: pathlib.Path) -> Host:
    return Host(open_folder)


def test_another_ca_with_the_pair_that_runs(host: Host) -> None:
    """It has the CA of that pair as well, or the member could not be asked any more."""
    planned = host.with_clients("clients.crt")
    assert host.problem(planned, host.with_clients()) == (
        f"the files for clients: there is no {host.folder}/clients.crt: put it there first"
    )
    host.put("clients.crt", CLIENTS.pem)
    alone = host.problem(planned, host.with_clients())
    assert alone is not None and "is signed by 'etcd peer CA', an authority that is not in" in alone
    host.put("clients.crt", PEERS.pem + CLIENTS.pem)
    assert host.problem(planned, host.with_clients()) is None
    # Nobody is asked of a member that is not there, and of what it has read already nothing is said.
    host.put("clients.crt", CLIENTS.pem)
    assert host.problem(planned, None) is host.problem(planned, planned) is None
    assert "is signed by" in str(host.problem(planned, planned, "clients.crt"))


def test_another_pair(host: Host) -> None:
    running = host.with_clients("clients.crt")
    host.put("clients.crt", PEERS.pem + CLIENTS.pem)
    planned = host.with_clients("clients.crt", "client")
    host.pair("client", CLIENT)
    assert host.problem(planned, running) is None
    host.put("client.key", PEER.key_pem)
    assert "does not belong to the certificate" in str(host.problem(planned, running))


def test_the_peers_own_are_looked_at_elsewhere(host: Host) -> None:
    host.put("ca.crt", "not one of them")
    assert host.problem(host.with_clients(), host.with_clients("clients.crt")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as another user")
def test_what_the_user_of_etcd_can_not_read(host: Host) -> None:
    host.put("clients.crt", PEERS.pem + CLIENTS.pem)
    (host.folder / "clients.crt").chmod(0o600)
    found = client_files_problem(host.with_clients("clients.crt"), host.with_clients(), [], "65534")
    assert found is not None and "clients.crt" in found and "can't" in found
