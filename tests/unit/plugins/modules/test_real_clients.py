# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a real etcd lets in at its client port: a client of the clients' own CA, and nobody of the peers' CA.

Only where RINGFENCE_ETCD names one or more binaries.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import subprocess
import time
import typing as t
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import CLIENT_CASES
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import stranger
from ansible_collections.ringfence.etcd.plugins.module_utils._member.client_calls import (
    client_callers,
    client_probe,
    https_targets,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    REFUSED,
    ProbeResult,
    client_context,
    probe_port,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import call_all
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_stranger
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster, free_ports
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
if not BINARIES:
    pytest.skip("RINGFENCE_ETCD names no etcd binary", allow_module_level=True)

MEMBER = {"name": "m1", "common_name": "m1.example.com", "dns_names": ["localhost"], "ip_addresses": ["127.0.0.1"]}


def client(name: str, **more: t.Any) -> dict[str, t.Any]:
    return {"name": name, "common_name": name, "purpose": "client", **more}


class Authority:
    """A CA made by its module, which issues into a folder of its own."""

    def __init__(self, folder: pathlib.Path, name: str) -> None:
        self.folder, self.issued = folder / f"{name}-ca", folder / name
        answer = run_module("etcd_ca", {"ca_directory": str(self.folder), "ca_common_name": f"etcd {name} CA"})
        assert answer["changed"]
        self.trust = str(self.folder / "ca.crt")
        self.list = str(self.folder / "ca.crl")

    def issue(self, *members: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        answer = run_module(
            "etcd_peer_certificates",
            {
                "members": list(members),
                "directory": str(self.issued),
                "ca_directory": str(self.folder),
                "ca_certificate_path": self.trust,
                "ca_private_key_path": str(self.folder / "ca.key"),
            },
        )
        assert not answer.get("failed"), answer
        made: list[dict[str, t.Any]] = answer["members"]
        return made

    def revoke(self, *serial_numbers: str) -> None:
        answer = run_module(
            "etcd_ca",
            {
                "ca_directory": str(self.folder),
                "ca_common_name": f"etcd {self.issued.name} CA",
                "revoked": list(serial_numbers),
            },
        )
        assert answer["changed"], answer

    def pair(self, name: str) -> tuple[str, str]:
        return str(self.issued / f"{name}.crt"), str(self.issued / f"{name}.key")


class Cluster:
    """One real member: peers of one CA, clients of another, and a list of each that it reads."""

    def __init__(self, binary: str, folder: pathlib.Path) -> None:
        self.binary = binary
        self.peers, self.clients = Authority(folder, "peer"), Authority(folder, "client")
        for authority in (self.peers, self.clients):
            authority.issue(MEMBER)
        self.etcd = EtcdCluster(binary, folder, size=1)
        self.etcd.cert_file, self.etcd.key_file = self.peers.pair("m1")
        self.etcd.ca_file = self.peers.trust

    def start(self, trust: str | None = None, extra: tuple[str, ...] = ()) -> None:
        certificate, key = self.clients.pair("m1")
        self.etcd.start(
            # Of a flag that is given twice etcd takes the second.
            extra=(
                f"--cert-file={certificate}",
                f"--key-file={key}",
                f"--trusted-ca-file={trust or self.clients.trust}",
                f"--client-crl-file={self.clients.list}",
                "--peer-cert-allowed-cn=m1.example.com",
                f"--peer-crl-file={self.peers.list}",
                *extra,
            )
        )
        deadline = time.monotonic() + 60
        while self.call(self.clients.pair("m1")).outcome != ACCEPTED:
            assert time.monotonic() < deadline, self.etcd.log("m1")
            time.sleep(0.2)

    def call(self, pair: tuple[str, str] | None, at_peer_port: bool = False) -> ProbeResult:
        """Of a caller that trusts the CA of that port alone, as a member's host or a client's does."""
        url = urlsplit((self.etcd.peer_urls if at_peer_port else self.etcd.client_urls)["m1"])
        trusted = (self.peers if at_peer_port else self.clients).trust
        context = client_context(
            [one.der for one in read_certificates(pathlib.Path(trusted).read_bytes())],
            *(pathlib.Path(path).read_bytes() for path in pair or ()),
        )
        return probe_port(context, str(url.hostname), t.cast(int, url.port), 10, expect_refusal=True)


@pytest.fixture(params=BINARIES)
def cluster(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> t.Iterator[Cluster]:
    made = Cluster(request.param, tmp_path)
    try:
        yield made
    finally:
        made.etcd.stop()


def test_who_is_let_in(cluster: Cluster) -> None:
    """A client is none at the peer port, a peer none at the client port, and a revoked one none at all."""
    peers, clients = cluster.peers, cluster.clients
    revoked = clients.issue(
        client("backup"),
        client("elsewhere", ip_addresses=["192.0.2.7"]),
        client("gone"),
    )[2]
    peers.issue(client("backup"))
    # Good for a member in all but the CA: its name, its address, both usages.
    member_of_clients = clients.pair("m1")
    cluster.start()
    # Not as at the peer port: what a client's certificate says of its place is of no interest here.
    for name in ("backup", "elsewhere", "gone"):
        assert cluster.call(clients.pair(name)).outcome == ACCEPTED
    nobody = cluster.call(None)
    assert (nobody.outcome, nobody.reason) == (REFUSED, "no_certificate")
    for pair in (peers.pair("m1"), peers.pair("backup")):
        assert cluster.call(pair).outcome == REFUSED
    for pair in (clients.pair("backup"), member_of_clients):
        assert cluster.call(pair, at_peer_port=True).outcome == REFUSED
    assert cluster.call(peers.pair("m1"), at_peer_port=True).outcome == ACCEPTED
    # Without a restart.
    clients.revoke(revoked["serial_number"])
    assert cluster.call(clients.pair("gone")).outcome == REFUSED
    assert cluster.call(clients.pair("backup")).outcome == ACCEPTED


def probed(cluster: Cluster, cases: t.Sequence[str]) -> dict[str, tuple[str, str | None, str]]:
    """As a member's host calls this port for a proof: with what the CA's host made, and the member's own pair."""
    params = {name: option.get("default") for name, option in etcd_peer_stranger.argument_spec().items()}
    params.update(
        members=[MEMBER],
        ca_directory=str(cluster.peers.folder),
        ca_common_name="etcd peer CA",
        client_authority="own",
        client_ca_directory=str(cluster.clients.folder),
    )
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    made = stranger.run(params, now, True)["clients"]
    pairs = {
        case: (made[f"{case}_certificate"].encode(), made[f"{case}_private_key"].encode())
        for case in ("client", "client_unknown_ca")
    }
    certificate, key = (pathlib.Path(path).read_bytes() for path in cluster.peers.pair("m1"))
    callers, problem = client_callers(cases, {**pairs, "client_peer": (certificate, key)}, cluster.clients.trust)
    assert problem is None
    (target,) = https_targets(cluster.etcd.client_urls, ["m1"])
    found = [client_probe(one) for one in call_all([(caller, target) for caller in callers], 10.0, now)]
    return {one["case"]: (one["outcome"], one["reason"], one["text"]) for one in found}


def test_what_a_proof_sees_there(cluster: Cluster, tmp_path: pathlib.Path) -> None:
    """A client is let in, all others are refused, each for the right reason; and whether RBAC would let it read."""
    cluster.clients.issue(client("root"))
    cluster.start()
    found = probed(cluster, CLIENT_CASES)
    assert found["client"] == ("accepted", None, "HTTP 200")
    assert {case: one[:2] for case, one in found.items() if case != "client"} == {
        "client_unknown_ca": ("refused", "unknown_authority"),
        "client_peer": ("refused", "unknown_authority"),
        "client_no_certificate": ("refused", "no_certificate"),
    }
    pair = cluster.clients.pair("root")
    for word in ("user add root --no-password", "user grant-role root root", "auth enable"):
        assert etcdctl(cluster, pair, *word.split()) == "done"
    assert probed(cluster, ["client"])["client"] == ("accepted", None, "HTTP 400")
    # With both CAs in its bundle a peer is let in: what has to be told, unless the user says so.
    cluster.etcd.stop()
    both = tmp_path / "both.crt"
    both.write_bytes(pathlib.Path(cluster.clients.trust).read_bytes() + pathlib.Path(cluster.peers.trust).read_bytes())
    cluster.start(trust=str(both))
    assert probed(cluster, ["client_peer"])["client_peer"][:2] == ("accepted", None)


def etcdctl(cluster: Cluster, pair: tuple[str, str], *words: str) -> str:
    program = os.path.join(os.path.dirname(cluster.binary), "etcdctl")
    if not os.path.isfile(program):
        pytest.skip("there is no etcdctl beside this etcd")
    line = [program, f"--endpoints={cluster.etcd.client_urls['m1']}", f"--cacert={cluster.clients.trust}"]
    line += [f"--cert={pair[0]}", f"--key={pair[1]}", "--dial-timeout=5s", "--command-timeout=20s", *words]
    env = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3"}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=env, timeout=60)
    return "done" if done.returncode == 0 else done.stdout + done.stderr


def test_with_both_cas_in_the_bundle_peers_are_clients_too(cluster: Cluster, tmp_path: pathlib.Path) -> None:
    """Where that is said; a client is no peer all the same."""
    both = tmp_path / "both.crt"
    both.write_bytes(pathlib.Path(cluster.clients.trust).read_bytes() + pathlib.Path(cluster.peers.trust).read_bytes())
    cluster.clients.issue(client("backup"))
    cluster.start(trust=str(both))
    for pair in (cluster.clients.pair("backup"), cluster.peers.pair("m1")):
        assert cluster.call(pair).outcome == ACCEPTED
    assert cluster.call(cluster.clients.pair("backup"), at_peer_port=True).outcome == REFUSED


def test_metrics_by_a_listener_of_their_own(cluster: Cluster) -> None:
    """At http for whoever reaches it, at https for who is let in at the client port; there is nothing else."""
    ports = free_ports(2)
    urls = [f"http://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}"]
    cluster.clients.issue(client("prometheus"))
    cluster.start(extra=(f"--listen-metrics-urls={','.join(urls)}",))
    with urllib.request.urlopen(f"{urls[0]}/metrics", timeout=10) as answer:
        assert b"\netcd_server_has_leader 1\n" in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{urls[0]}/v3/kv/range", data=b"{}", timeout=10)

    def called(pair: tuple[str, str] | None) -> ProbeResult:
        contents = [pathlib.Path(path).read_bytes() for path in pair or ()]
        return probe_port(client_context(None, *contents), "127.0.0.1", ports[1], 10, expect_refusal=True)

    assert called(cluster.clients.pair("prometheus")).outcome == ACCEPTED
    assert called(None).reason == "no_certificate" and called(cluster.peers.pair("m1")).outcome == REFUSED


def test_a_clients_common_name_is_its_user(cluster: Cluster) -> None:
    """By etcdctl, as clients speak to etcd: under RBAC the name says what is allowed."""
    cluster.clients.issue(client("root"), client("backup"))
    cluster.start()

    def asked(pair: tuple[str, str], *words: str) -> str:
        return etcdctl(cluster, pair, *words)

    root, backup = (cluster.clients.pair(name) for name in ("root", "backup"))
    assert asked(backup, "put", "a", "1") == "done"
    assert asked(cluster.peers.pair("m1"), "put", "a", "2") != "done"
    words = ["user add root --no-password", "user grant-role root root", "user add backup --no-password"]
    words += ["role add reader", "role grant-permission reader read a", "user grant-role backup reader", "auth enable"]
    for word in words:
        assert asked(root, *word.split()) == "done", word
    assert asked(root, "put", "a", "3") == "done" and asked(backup, "get", "a") == "done"
    assert "permission denied" in asked(backup, "put", "a", "4")
    # No user of that name: what lets in is not what allows.
    assert asked(cluster.clients.pair("m1"), "get", "a") != "done"
