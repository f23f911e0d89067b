# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS and the CA of the client ports change while somebody writes, and clients follow in between; and under RBAC."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from forge import Forge
from rbac import API, WRITER, let_it_change_members, role_based_access_control
from ringfence_lab.lab import Lab
from support import PKI, TRIO, Controller, Writer, refuse_twice


def client_urls(controller: Controller) -> set[str]:
    return {controller.argument(name, "listen-client-urls") for name in TRIO}


def test_tls_for_clients_goes_and_comes_back(controller: Controller, inventory: Path) -> None:
    """With another client port each time. Writers are answered at the old one until the last pass."""
    off = controller.inventory(etcd_peer_tls_client_tls=False, etcd_peer_tls_client_port=2479)
    on = controller.inventory()
    with Writer(controller, operation="TLS for clients goes, up to the time for clients to follow") as writer:
        run = controller.succeed(off, etcd_peer_tls_stop_after="present")
    assert "before a run without etcd_peer_tls_stop_after: clients ask at http://10.0.0.1:2479" in run.output
    assert "https://10.0.0.2:2379" in controller.argument("etcd-2", "listen-client-urls")
    writer.check_nothing_is_lost()
    with Writer(controller, operation="the rest of it, and TLS comes back", scheme="http", port=2479) as writer:
        run = controller.succeed(off)
        assert "PROVED - 3 members" in run.output
        assert client_urls(controller) == {f"http://10.0.0.{number}:2479,http://127.0.0.1:2479" for number in (1, 2, 3)}
        assert set(controller.succeed(off).changed.values()) == {0}
        # And back in one run: at the end of it these writers have nobody.
        run = controller.succeed(on)
    assert "PROVED - 3 members" in run.output
    assert client_urls(controller) == {f"https://10.0.0.{number}:2379,https://127.0.0.1:2379" for number in (1, 2, 3)}
    writer.check_nothing_is_lost()
    assert set(controller.succeed(on).changed.values()) == {0}


def test_another_peer_port_under_role_based_access_control(controller: Controller, inventory: Path) -> None:
    """Where a member is, only a user with the role root may say: who lacks it is told before the first restart."""
    port = controller.inventory(etcd_peer_tls_peer_port=2480)
    with role_based_access_control(controller):
        before = controller.processes()
        lacks = " gets another peer URL: etcd has RBAC switched on, and lets only a user with the role root do that"
        refuse_twice(controller, port, said=[lacks, "etcdctl user grant-role NAME root"], **API)
        nobody = controller.refuse(port).output
        assert "set etcd_peer_tls_api_user and etcd_peer_tls_api_password" in nobody
        assert "bring all members back" not in nobody and "put the old one back" not in nobody
        assert controller.processes() == before
        let_it_change_members(controller)
        with Writer(controller, WRITER, operation="another peer port under RBAC") as writer:
            assert "PROVED - 3 members" in controller.succeed(port, **API).output
        writer.check_nothing_is_lost()
        listed = controller.etcdctl("etcd-1", "member list")
        assert listed.count(":2480,") == 3 and ":2380" not in listed
        assert set(controller.succeed(port, **API).changed.values()) == {0}


CLIENTS = "/etc/etcd/clients"
# What clients use, here on the nodes: the test has them follow.
FOLLOWING = f"--cacert {CLIENTS}/client.ca --cert {CLIENTS}/client.crt --key {CLIENTS}/client.key"


def put(controller: Controller, host: str, **files: str) -> None:
    """Files of the user's own on a node, each at once, which etcd's user reads."""
    for name, text in files.items():
        path = f"{CLIENTS}/{name.replace('_', '.')}"
        command = f"install -d {CLIENTS}; cat > {path}.new; chown etcd {path}.new; chmod 600 {path}.new"
        controller.lab.execute(host, f"{command}; mv {path}.new {path}", input_text=text)


def is_served(controller: Controller, pair: str) -> set[str]:
    """By each member, who has a pair of its host and trusts both CAs."""
    files = f"--cacert {CLIENTS}/both.ca --cert {pair}.crt --key {pair}.key"
    call = f"etcdctl --endpoints https://127.0.0.1:2379 --command-timeout 4s {files} get some-key >/dev/null 2>&1"
    return {told.strip() for told in controller.on_each(TRIO, f"{call} && echo yes || echo no").values()}


def presented(controller: Controller) -> set[str]:
    """The certificates of the members, as clients get them."""
    call = "openssl s_client -connect 127.0.0.1:2379 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint"
    return set(controller.on_each(TRIO, call).values())


def test_another_ca_for_clients(
    controller: Controller, inventory: Path, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its page tells: CA and pair one after the other, a run each, and clients follow in between."""
    new = Forge(common_name="CA for clients")
    for name in TRIO:
        files = {"ca": "ca.crt", "crt": f"{name}.crt", "key": f"{name}.key"}
        old = {kind: lab.execute(name, f"cat {PKI}/{file}").stdout for kind, file in files.items()}
        certificate, key = new.certificate(name, lab.host(name).address, "127.0.0.1")
        put(controller, name, own_ca=old["ca"] + new.ca_pem, both_ca=old["ca"] + new.ca_pem)
        put(controller, name, own_crt=certificate, own_key=key)
        put(controller, name, client_ca=old["ca"], client_crt=old["crt"], client_key=old["key"])

    # The key of their CA is nobody's here, so that the proof gets a client; peers are clients for now.
    client = dict(zip(("certificate", "private_key"), new.certificate("prover", "127.0.0.1")))
    of_proof = {f"etcd_peer_tls_probe_client_{part}": pem for part, pem in client.items()}

    def with_files(start: str, **more: t.Any) -> Path:
        files = {"ca": f"{CLIENTS}/own.ca", "cert": f"{start}.crt", "key": f"{start}.key"}
        variables = {f"etcd_peer_tls_client_{kind}_file": path for kind, path in files.items()}
        return controller.inventory(etcd_peer_tls_peer_port=2480, **of_proof, **variables, **more)

    both = {"etcd_peer_tls_peers_are_clients": True}
    with_old = with_files(PKI + "/{{ inventory_hostname }}", **both)
    with_both, with_new = with_files(f"{CLIENTS}/own", **both), with_files(f"{CLIENTS}/own")
    own_pair, new_pair = f"{PKI}/$(hostname)", f"{CLIENTS}/own"
    before = presented(controller)
    assert "CA and certificate for clients would change at once" in controller.refuse(with_new).output
    assert (is_served(controller, own_pair), is_served(controller, new_pair)) == ({"yes"}, {"no"})
    with Writer(controller, FOLLOWING, operation="another CA for clients") as writer:
        # 1. Members take certificates of both, and present what they did.
        assert "PROVED - 3 members" in controller.succeed(with_old).output
        assert (is_served(controller, own_pair), is_served(controller, new_pair)) == ({"yes"}, {"yes"})
        assert presented(controller) == before
        # 2. Clients trust both, and have certificates of the new one. Members present it.
        for name in TRIO:
            lab.execute(name, f"cd {CLIENTS}; for kind in crt key; do cp -p own.$kind client.$kind; done")
            lab.execute(name, f"cd {CLIENTS}; cp -p both.ca client.ca")
        assert "PROVED - 3 members" in controller.succeed(with_both).output
        assert presented(controller).isdisjoint(before)
        # Said too early it is told, and the cluster is as it was.
        run = controller.refuse(with_new, playbook=controller.named("verify"))
        assert "the client port lets in a peer's certificate" in run.output
        # 3. The new CA alone, under the same name.
        for name in TRIO:
            put(controller, name, own_ca=new.ca_pem, client_ca=new.ca_pem)
        assert "PROVED - 3 members" in controller.succeed(with_new).output
        assert (is_served(controller, own_pair), is_served(controller, new_pair)) == ({"no"}, {"yes"})
        # What is asked from here on is asked as clients do.
        monkeypatch.setattr(controller, "etcdctl_user", FOLLOWING)
    writer.check_nothing_is_lost()
    assert writer.restarts == (3, 3)
    assert controller.is_healthy()
    assert set(controller.succeed(with_new).changed.values()) == {0}
