# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same playbook for other inventories: addresses of every kind, several clusters, a distribution's own etcd.

What has nothing to do with each other is tried together, as the kinds of keys are with the kinds of addresses.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from ringfence_lab.lab import Lab
from support import PAIR, PKI, SECOND_PAIR, Controller, Run

ALL = (*PAIR, *SECOND_PAIR)
# No member.
APP = "etcd-4"

HOSTS = 6
MEMBERS = PAIR


def deploy(controller: Controller, inventory: Path, *words: str, **variables: t.Any) -> Run:
    """Run, run again: a cluster, and nothing more to do."""
    controller.succeed(inventory, *words, **variables)
    again = controller.succeed(inventory, *words, **variables)
    assert set(again.changed.values()) == {0}
    return again


def of_type(key_type: str) -> dict[str, str]:
    """The options for keys of another type, the CA's too."""
    return {"etcd_peer_tls_key_type": key_type, "etcd_peer_tls_ca_key_type": key_type}


def public_keys(controller: Controller) -> set[str]:
    """All public keys of the CA and of the members, as OpenSSL calls them."""
    command = (
        f"for file in {PKI}/*.crt; do openssl x509 -in $file -noout -text"
        " | grep -A 1 'Public Key Algorithm' | tr -s ' \\n' ' '; echo; done"
    )
    answers = controller.on_each(PAIR, command).values()
    lines = [line.strip() for answer in answers for line in answer.splitlines()]
    assert len(lines) == 2 * len(PAIR)
    return set(lines)


def test_ipv6_and_keys_on_p384(controller: Controller, lab: Lab) -> None:
    controller.bare()
    addresses = {name: {"etcd_peer_tls_address": lab.host(name).ipv6} for name in PAIR}
    deploy(controller, controller.inventory(host_variables=addresses), **of_type("ecdsa-p384"))
    assert public_keys(controller) == {"Public Key Algorithm: id-ecPublicKey Public-Key: (384 bit)"}
    listed = controller.etcdctl("etcd-1", "--endpoints https://[::1]:2379 member list")
    for name in PAIR:
        assert f"https://[{lab.host(name).ipv6}]:2380" in listed
    sans = lab.ssh("etcd-1", f"openssl x509 -in {PKI}/etcd-1.crt -noout -ext subjectAltName").stdout
    assert "[" not in sans


def test_names_in_place_of_addresses_and_keys_on_ed25519(controller: Controller, lab: Lab) -> None:
    controller.bare()
    names = {name: {"etcd_peer_tls_address": lab.host(name).fqdn} for name in PAIR}
    deploy(controller, controller.inventory(host_variables=names), **of_type("ed25519"))
    assert public_keys(controller) == {"Public Key Algorithm: ED25519 ED25519 Public-Key:"}
    assert controller.is_healthy()
    assert "https://etcd-2.example.com:2380" in controller.etcdctl("etcd-1", "member list")


def test_members_without_a_group_and_keys_of_rsa(controller: Controller, lab: Lab) -> None:
    """An explicit list in the play's variables: no slice or disabled host can make it shorter."""
    controller.bare()
    members = [{"name": f"m{lab.host(name).number}", "host": name, "address": lab.host(name).address} for name in PAIR]
    inventory = controller.inventory({"anything": PAIR})
    options: dict[str, t.Any] = {"etcd_peer_tls_hosts": "anything", "etcd_peer_tls_members": members}
    options.update(of_type("rsa-2048"))
    deploy(controller, inventory, **options)
    assert public_keys(controller) == {"Public Key Algorithm: rsaEncryption Public-Key: (2048 bit)"}
    assert controller.allowed_names() == dict.fromkeys(PAIR, "m1.example.com,m2.example.com")
    lab.ssh("etcd-1", f"test -f {PKI}/m1.key")
    only = controller.succeed(inventory, "--limit", "etcd-2", etcd_peer_tls_verify_without=["absent_hosts"], **options)
    assert only.changed == {"etcd-2": 0}


def test_two_clusters_in_one_play_mix_nothing(controller: Controller, lab: Lab) -> None:
    controller.bare(*ALL)
    groups = {"blue": PAIR, "green": SECOND_PAIR}
    own = {name: {"etcd_peer_tls_group": group} for group, names in groups.items() for name in names}
    folder = str(controller.folder / "two-clusters" / "{{ etcd_peer_tls_cluster_name }}")
    inventory = controller.inventory(groups, own, etcd_peer_tls_ca_directory=folder)
    run = controller.succeed(inventory, etcd_peer_tls_hosts="blue:green")
    assert run.changed["etcd-1"] == run.changed["etcd-5"] == 5
    assert set(controller.succeed(inventory, etcd_peer_tls_hosts="blue:green").changed.values()) == {0}
    names = controller.allowed_names(ALL)
    assert {names[host] for host in PAIR} == {"etcd-1.example.com,etcd-2.example.com"}
    assert {names[host] for host in SECOND_PAIR} == {"etcd-5.example.com,etcd-6.example.com"}
    bundles = controller.fingerprints(ALL, f"{PKI}/ca.crt")
    assert len({bundles[host] for host in PAIR}) == len({bundles[host] for host in SECOND_PAIR}) == 1
    assert bundles["etcd-1"] != bundles["etcd-5"]
    assert len(controller.etcdctl("etcd-5", "member list").strip().splitlines()) == 2
    # A member of one cluster is a stranger to the other.
    pair = {"certificate": f"{PKI}/etcd-5.crt", "private_key": f"{PKI}/etcd-5.key"}
    authority = lab.ssh("etcd-1", f"cat {PKI}/ca.crt").stdout
    assert not lab.probe("etcd-5", address=lab.host("etcd-1").address, ca=authority, **pair)["accepted"]
    # What one cluster refuses does not stop the other.
    half = controller.play(
        controller.inventory(
            groups,
            {**own, "etcd-2": {**own["etcd-2"], "etcd_peer_tls_address": "10.0.0.1"}},
            etcd_peer_tls_ca_directory=folder,
        ),
        etcd_peer_tls_hosts="blue:green",
    )
    assert half.failed == set(PAIR)


def test_shared_identity_and_clients_without_tls(controller: Controller, lab: Lab) -> None:
    controller.bare()
    options = {"etcd_peer_tls_identity": "shared", "etcd_peer_tls_client_tls": "false"}
    deploy(controller, controller.inventory(), **options)
    assert controller.allowed_names() == dict.fromkeys(PAIR, "etcd.peers")
    plain = "etcdctl --endpoints http://127.0.0.1:2379"
    listed = lab.ssh("etcd-2", f"{plain} member list").stdout
    assert len(listed.strip().splitlines()) == 2 and "https://10.0.0.1:2380" in listed
    assert lab.ssh("etcd-2", f"{plain} endpoint health --cluster 2>&1").stdout.count("is healthy") == 2


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
    run = deploy(controller, inventory)
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
    deploy(controller, inventory, **with_metrics)
    assert "etcd_server_has_leader 1" in lab.ssh(APP, scrape).stdout
    assert all(controller.processes()[name] != processes[name] for name in PAIR)
    deploy(controller, inventory)
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
    deploy(controller, controller.inventory({"etcd": PAIR, "apps": [APP]}, **variables))
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


def test_clients_of_a_running_cluster_come_to_a_ca_of_their_own(controller: Controller, lab: Lab) -> None:
    """In the three steps of docs/clients.md, one restart each. Up to the last one both CAs' are let in."""
    controller.bare(*PAIR, APP)
    deploy(controller, controller.inventory())
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
    deploy(controller, inventory(**step))
    assert let_in() == (True, True)
    deploy(controller, inventory(etcd_peer_tls_peers_are_clients=True))
    assert let_in() == (True, True)
    last = deploy(controller, inventory())
    assert let_in() == (False, True) and "refused unknown CA 2 of 2, peer 2 of 2" in last.output


def test_values_that_systemd_would_expand(controller: Controller, lab: Lab) -> None:
    """A percent sign, a dollar sign, quotes and a space in a data folder's name; each host's settings are its own."""
    controller.bare()
    folder = "/var/lib/etcd/a 50% $5 'b\"c"
    own = {
        "etcd-1": {"etcd_peer_tls_data_dir": folder},
        "etcd-2": {"etcd_peer_tls_extra_flags": {"wal-dir": "/var/lib/etcd/log"}},
    }
    inventory = controller.inventory(host_variables=own)
    deploy(controller, inventory)
    assert controller.argument("etcd-1", "data-dir") == folder
    assert controller.argument("etcd-2", "wal-dir") == "/var/lib/etcd/log"
    assert controller.is_healthy()
    # Back to the default place as the refusal says: its etcd stopped, its log brought there.
    said = "member etcd-2: wal-dir (in etcd_peer_tls_extra_flags) is /var/lib/etcd/log in what is deployed"
    del own["etcd-2"]
    moved = controller.inventory(host_variables=own)
    assert said in controller.refuse(moved, "--check").output and said in controller.refuse(moved).output
    controller.on_each(["etcd-2"], "systemctl stop etcd.service; mv /var/lib/etcd/log /var/lib/etcd/etcd/member/wal")
    controller.succeed(moved)
    assert controller.is_healthy() and set(controller.succeed(moved).changed.values()) == {0}


def test_the_distributions_own_etcd_is_overridden_where_it_is_empty(controller: Controller, lab: Lab) -> None:
    """etcd-6 runs what Debian's package starts: one member, plain http, data in /var/lib/etcd/default."""
    controller.bare("etcd-5")
    controller.bare_hosts(["etcd-6"])
    lab.ssh("etcd-6", "systemctl enable --now etcd")
    inventory = controller.inventory({"etcd": SECOND_PAIR})
    lab.ssh("etcd-6", "etcdctl put precious 1")
    refused = controller.refuse(inventory)
    assert "holds 1 keys" in refused.output and "etcd-6" in refused.output
    stopped = lab.ssh("etcd-6", "systemctl stop etcd")
    assert stopped.returncode == 0
    assert "is stopped" in controller.refuse(inventory).output
    lab.ssh("etcd-6", "systemctl start etcd && etcdctl del precious")
    # Not the spare files that etcd makes ahead for its log.
    files = "find /var/lib/etcd/default -type f -not -name '*.tmp' | sort"
    before = lab.ssh("etcd-6", files).stdout
    assert "member/snap/db" in before
    deploy(controller, inventory)
    assert lab.ssh("etcd-6", files).stdout == before
    assert len(controller.etcdctl("etcd-6", "member list").strip().splitlines()) == 2


def test_the_distributions_own_etcd_is_overruled_on_request(controller: Controller, lab: Lab) -> None:
    controller.bare("etcd-5")
    controller.bare_hosts(["etcd-6"])
    lab.ssh("etcd-6", "systemctl enable --now etcd && etcdctl put precious 1")
    deploy(controller, controller.inventory({"etcd": SECOND_PAIR}), etcd_peer_tls_overrule_distribution_etcd=True)
    assert "default" in lab.ssh("etcd-6", "ls /var/lib/etcd").stdout
