# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same playbook for other inventories: addresses of every kind, several clusters, a distribution's own etcd.

What has nothing to do with each other is tried together, as the kinds of keys are with the kinds of addresses.
"""

from __future__ import annotations

import typing as t

from ringfence_lab.lab import Lab
from support import PAIR, PKI, SECOND_PAIR, Controller

ALL = (*PAIR, *SECOND_PAIR)
HOSTS = 6
MEMBERS = PAIR


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
    controller.deploy(controller.inventory(host_variables=addresses), **of_type("ecdsa-p384"))
    assert public_keys(controller) == {"Public Key Algorithm: id-ecPublicKey Public-Key: (384 bit)"}
    listed = controller.etcdctl("etcd-1", "--endpoints https://[::1]:2379 member list")
    for name in PAIR:
        assert f"https://[{lab.host(name).ipv6}]:2380" in listed
    sans = lab.ssh("etcd-1", f"openssl x509 -in {PKI}/etcd-1.crt -noout -ext subjectAltName").stdout
    assert "[" not in sans


def test_names_in_place_of_addresses_and_keys_on_ed25519(controller: Controller, lab: Lab) -> None:
    controller.bare()
    names = {name: {"etcd_peer_tls_address": lab.host(name).fqdn} for name in PAIR}
    controller.deploy(controller.inventory(host_variables=names), **of_type("ed25519"))
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
    controller.deploy(inventory, **options)
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
    controller.deploy(controller.inventory(), **options)
    assert controller.allowed_names() == dict.fromkeys(PAIR, "etcd.peers")
    plain = "etcdctl --endpoints http://127.0.0.1:2379"
    listed = lab.ssh("etcd-2", f"{plain} member list").stdout
    assert len(listed.strip().splitlines()) == 2 and "https://10.0.0.1:2380" in listed
    assert lab.ssh("etcd-2", f"{plain} endpoint health --cluster 2>&1").stdout.count("is healthy") == 2


def test_values_that_systemd_would_expand(controller: Controller, lab: Lab) -> None:
    """A percent sign, a dollar sign, quotes and a space in a data folder's name; each host's settings are its own."""
    controller.bare()
    folder = "/var/lib/etcd/a 50% $5 'b\"c"
    own = {
        "etcd-1": {"etcd_peer_tls_data_dir": folder},
        "etcd-2": {"etcd_peer_tls_extra_flags": {"wal-dir": "/var/lib/etcd/log"}},
    }
    inventory = controller.inventory(host_variables=own)
    controller.deploy(inventory)
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
    controller.deploy(inventory)
    assert lab.ssh("etcd-6", files).stdout == before
    assert len(controller.etcdctl("etcd-6", "member list").strip().splitlines()) == 2


def test_the_distributions_own_etcd_is_overruled_on_request(controller: Controller, lab: Lab) -> None:
    controller.bare("etcd-5")
    controller.bare_hosts(["etcd-6"])
    lab.ssh("etcd-6", "systemctl enable --now etcd && etcdctl put precious 1")
    controller.deploy(controller.inventory({"etcd": SECOND_PAIR}), etcd_peer_tls_overrule_distribution_etcd=True)
    assert "default" in lab.ssh("etcd-6", "ls /var/lib/etcd").stdout
