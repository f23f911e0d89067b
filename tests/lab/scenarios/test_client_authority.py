# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named clients are enough: a CA of their own from the first run on, or in three steps for a running cluster."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ringfence_lab.lab import Lab
from support import PAIR, Controller

# No member.
APP = "etcd-4"

# The last task of a run in which clients have their turn.
GATE = "Fail where a client did not get what it should have"

HOSTS = 4
MEMBERS = PAIR


def test_a_client_authority_of_its_own(controller: Controller, lab: Lab) -> None:
    """Named clients are enough: a client on a host without etcd gets in, a peer's certificate does not."""
    controller.bare(*PAIR, APP)
    place, clients = "/etc/etcd/client-port", controller.named("clients")
    variables: dict[str, t.Any] = {
        "etcd_peer_tls_clients": [{"name": "backup", "hosts": [APP], "owner": "nobody", "group": "nogroup"}],
        "etcd_peer_tls_client_ca_directory": str(controller.folder / "client-ca"),
    }
    inventory = controller.inventory({"etcd": PAIR, "apps": [APP]}, **variables)
    with_metrics = {"etcd_peer_tls_metrics_urls": "http://[::]:2381"}
    assert all(controller.succeed(inventory, "--check").changed[name] for name in PAIR)
    made = f"ls -A /etc/etcd {place} /etc/etcd/clients 2>/dev/null; true"
    assert not any(told.strip() for told in controller.on_each((*PAIR, APP), made).values())
    assert not (controller.folder / "client-ca").exists()
    run = controller.deploy(inventory)
    let_in = "client ports: let in client 2 of 2; refused unknown CA 2 of 2, peer 2 of 2, no certificate 2 of 2"
    assert let_in in run.output and "RBAC is off" in run.output
    processes = controller.processes()
    assert set(controller.succeed(inventory, playbook=clients).changed.values()) == {0}
    assert controller.processes() == processes
    pair = f"--cacert {place}/ca.crt --cert {place}/etcd-1.crt --key {place}/etcd-1.key"
    health = f"etcdctl --endpoints https://127.0.0.1:2379 {pair} endpoint health --cluster"
    assert lab.ssh("etcd-1", f"{health} 2>&1").stdout.count("is healthy") == 2
    assert not controller.is_healthy(), "a peer certificate opened the client port"
    folder = "/etc/etcd/clients/etcd"
    assert lab.ssh(APP, f"stat -c '%U %a' {folder}/backup.key").stdout.split() == ["nobody", "600"]
    endpoints = ",".join(f"https://{lab.host(name).address}:2379" for name in PAIR)
    client = f"etcdctl --endpoints {endpoints} --cacert {folder}/ca.crt"
    backup = f"{client} --cert {folder}/backup.crt --key {folder}/backup.key"
    assert "OK" in lab.ssh(APP, f"{backup} put a b 2>&1").stdout
    assert "OK" not in lab.ssh(APP, f"{client} put a b 2>&1", check=False).stdout
    # Metrics without a certificate, by one guarded restart of each member; and away again.
    url = f"http://{lab.host('etcd-2').address}:2381/metrics"
    scrape = f"python3 -c \"import urllib.request as u; print(u.urlopen('{url}', timeout=5).read().decode())\""
    assert lab.ssh(APP, scrape, check=False).stdout == ""
    controller.deploy(inventory, **with_metrics)
    assert "etcd_server_has_leader 1" in lab.ssh(APP, scrape).stdout
    assert all(controller.processes()[name] != processes[name] for name in PAIR)
    controller.deploy(inventory)
    assert lab.ssh(APP, scrape, check=False).stdout == ""
    _with_client_port_of_the_role(controller, lab, variables, backup)


def _with_client_port_of_the_role(controller: Controller, lab: Lab, variables: dict[str, t.Any], backup: str) -> None:
    """What members and clients of a running cluster lack comes with site; who leaves is let in no more."""
    place = "/etc/etcd/client-port"
    # A client's host that is down keeps nobody from what is due, and is named at the end.
    lab.ssh(APP, "rm /etc/etcd/clients/etcd/backup.crt")
    gone = controller.inventory({"etcd": PAIR, "apps": [APP]}, {APP: {"ansible_port": 1}}, **variables)
    half = controller.play(gone, etcd_peer_tls_metrics_urls="http://[::]:2381")
    assert half.failed == {"etcd-1"} and "Traceback" not in half.output
    assert f"client backup@{APP}:" in half.output and "PROVED - 2 members" in half.output
    controller.deploy(controller.inventory({"etcd": PAIR, "apps": [APP]}, **variables))
    assert "b" in lab.ssh(APP, f"{backup} get a 2>&1").stdout
    # From the clients' CA to the peers' and back the run goes by the three steps alone.
    inventory = controller.inventory({"etcd": PAIR, "apps": [APP]}, **{**variables, "etcd_peer_tls_client_ca": "peers"})
    processes = controller.processes()
    assert "CA and certificate for clients would change at once" in controller.refuse(inventory).output
    assert controller.processes() == processes
    # The member that leaves has the clients' CA's certificate as well.
    old = f"--cacert {place}/ca.crt --cert {place}/etcd-2.crt --key {place}/etcd-2.key"
    own = f"etcdctl --endpoints https://{lab.host('etcd-1').address}:2379 {old}"
    assert "b" in lab.ssh("etcd-2", f"{own} get a 2>&1").stdout
    alone = controller.inventory({"etcd": PAIR[:1], "apps": [APP]}, etcd_peer_tls_member_count=1, **variables)
    controller.succeed(alone, etcd_peer_tls_removed="etcd-2")
    assert "b" not in lab.ssh("etcd-2", f"{own} --command-timeout 2s get a 2>/dev/null", check=False).stdout.split()
    assert "b" in lab.ssh(APP, f"{backup} get a 2>&1").stdout


def test_a_change_that_stops_is_gone_through_once(controller: Controller, lab: Lab) -> None:
    """Clients have their turn before it. Where it has stopped already, they wait until it goes on."""
    controller.bare(*PAIR, APP)
    variables: dict[str, t.Any] = {
        "etcd_peer_tls_clients": [f"backup@{APP}"],
        "etcd_peer_tls_client_ca_directory": str(controller.folder / "clients-of-stopped"),
    }
    inventory = controller.inventory({"etcd": PAIR, "apps": [APP]}, **variables)
    controller.deploy(inventory)
    # Other names are not proved before the end of the change.
    words: dict[str, t.Any] = {"etcd_peer_tls_domain": "example.org", "etcd_peer_tls_verify": False}
    stopped = controller.succeed(inventory, etcd_peer_tls_stop_after="widen", **words)
    tasks = [stopped.output.count(f"TASK [ringfence.etcd.etcd_peer_tls : {name}]") for name in ("Tell the plan", GATE)]
    assert tasks == [1, 1]
    again = controller.succeed(inventory, etcd_peer_tls_stop_after="widen", **words)
    assert GATE not in again.output and set(again.changed.values()) == {0}
    controller.deploy(inventory, etcd_peer_tls_domain="example.org")
    folder, url = "/etc/etcd/clients/etcd", f"https://{lab.host('etcd-1').address}:2379"
    client = f"etcdctl --endpoints {url} --cacert {folder}/ca.crt --cert {folder}/backup.crt --key {folder}/backup.key"
    assert "OK" in lab.ssh(APP, f"{client} put a b 2>&1").stdout


def test_clients_of_a_running_cluster_come_to_a_ca_of_their_own(controller: Controller, lab: Lab) -> None:
    """In the three steps of docs/clients.md, one restart each. Up to the last one both CAs' are let in."""
    controller.bare(*PAIR, APP)
    controller.deploy(controller.inventory())
    pki, place = "/etc/etcd/pki", "/etc/etcd/client-port"
    variables: dict[str, t.Any] = {
        "etcd_peer_tls_clients": [f"backup@{APP}"],
        "etcd_peer_tls_client_ca_directory": str(controller.folder / "clients-of-running"),
    }
    endpoint = f"etcdctl --endpoints https://{lab.host('etcd-1').address}:2379 --command-timeout 2s"
    by_peer = f"--cert {pki}/etcd-2.crt --key {pki}/etcd-2.key"
    folder = "/etc/etcd/clients/etcd"

    def let_in() -> tuple[bool, bool]:
        """Who has a peer's certificate, and who a client's. Each trusts what the member presents."""
        calls = {
            "etcd-2": f"cat {pki}/ca.crt {place}/ca.crt > /root/both.crt; {endpoint} --cacert /root/both.crt {by_peer}",
            APP: f"{endpoint} --cacert /root/both.crt --cert {folder}/backup.crt --key {folder}/backup.key",
        }
        told = [lab.ssh(host, f"{call} put a b 2>&1", check=False).stdout for host, call in calls.items()]
        return "OK" in told[0], "OK" in told[1]

    def inventory(**more: t.Any) -> Path:
        return controller.inventory({"etcd": PAIR, "apps": [APP]}, **variables, **more)

    refused = controller.refuse(inventory())
    assert "say whose they are to stay with etcd_peer_tls_client_ca" in refused.output
    assert not (controller.folder / "clients-of-running").exists()
    assert set(controller.succeed(inventory(etcd_peer_tls_client_ca="peers")).changed.values()) == {0}
    step = {
        "etcd_peer_tls_peers_are_clients": True,
        "etcd_peer_tls_client_ca_file": f"{place}/ca.crt",
        "etcd_peer_tls_client_cert_file": f"{pki}/{{{{ inventory_hostname }}}}.crt",
        "etcd_peer_tls_client_key_file": f"{pki}/{{{{ inventory_hostname }}}}.key",
    }
    controller.succeed(inventory(**step), playbook=controller.named("clients"))
    peers_ca = lab.execute("etcd-1", f"cat {pki}/ca.crt").stdout
    clients_ca = (controller.folder / "clients-of-running" / "ca.crt").read_text()
    lab.execute(APP, f"cat > /root/both.crt <<'EOF'\n{peers_ca}{clients_ca}EOF")
    controller.deploy(inventory(**step))
    assert let_in() == (True, True)
    controller.deploy(inventory(etcd_peer_tls_peers_are_clients=True))
    assert let_in() == (True, True)
    last = controller.deploy(inventory())
    assert let_in() == (False, True) and "refused unknown CA 2 of 2, peer 2 of 2" in last.output
