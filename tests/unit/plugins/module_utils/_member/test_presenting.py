# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another certificate of a running member: only where all others are well and let it in, and under the lock.

The module with real etcd: only where RINGFENCE_ETCD names one or more binaries (separated by colons).
"""

from __future__ import annotations

import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import api, api_contexts, restart_lock
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._member.membership import Listed
from ansible_collections.ringfence.etcd.plugins.module_utils._member.presenting import may_present
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import MemberHealth
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import EtcdCluster


def listed(name: str, *peers: str, problem: str | None = None, is_learner: bool = False) -> Listed:
    """A member that is linked with these peers."""
    member = LiveMember(f"id-{name}", name, (f"https://{name}:2380",), (), is_learner)
    links = {f"id-{peer}": 1 for peer in peers}
    health = MemberHealth(name, member.member_id, problem, active_peers=links, is_learner=is_learner)
    return Listed(member, health)


@pytest.mark.parametrize(
    ("cluster", "refusing", "codes"),
    [
        ([listed("a"), listed("b", "c"), listed("c", "b")], (), []),
        # Its own state and its own port are no matter.
        ([listed("a", problem="no answer"), listed("b", "c"), listed("c", "b")], ("a",), []),
        ([listed("a"), listed("b", "c"), listed("c", "b")], ("b",), ["not_let_in"]),
        ([listed("a"), listed("b", "c"), listed("c", "b")], ("b", "c"), ["not_let_in", "not_let_in"]),
        ([listed("a"), listed("b"), listed("c", problem="no answer")], (), ["member_unhealthy"]),
        # A learner has no vote, and is a peer.
        ([listed("a"), listed("b"), listed("l", is_learner=True)], ("l",), ["not_let_in"]),
        ([listed("a")], (), []),
    ],
)
def test_a_certificate_changes_only_where_all_others_let_it_in(
    cluster: list[Listed], refusing: tuple[str, ...], codes: list[str]
) -> None:
    def why_not(name: str, url: str) -> str | None:
        assert url == f"https://{name}:2380"
        return "bad certificate" if name in refusing else None

    assert [reason["code"] for reason in may_present("a", cluster, why_not)] == codes


def test_who_refuses_it_is_told_with_its_reason() -> None:
    reasons = may_present("a", [listed("a"), listed("b")], lambda name, url: "bad certificate")
    assert [reason["text"] for reason in reasons] == ["b does not let it in at https://b:2380: bad certificate"]


def arguments(cluster: EtcdCluster, directory: pathlib.Path, certificate: pathlib.Path) -> dict[str, t.Any]:
    return {
        "directory": str(directory),
        "name": "m2",
        "owner": str(os.geteuid()),
        "group": str(os.getegid()),
        "certificate_content": certificate.read_text(),
        "members": [{"name": name, "client_url": url} for name, url in cluster.client_urls.items()],
        "client_ca_file": cluster.ca_file,
        "client_cert_file": cluster.cert_file,
        "client_key_file": cluster.key_file,
        "wait_seconds": 2,
    }


def wait_until_well(cluster: EtcdCluster) -> None:
    client = api.Client(api_contexts.client_context(cluster.ca_file, cluster.cert_file, cluster.key_file), 5.0)
    deadline = time.monotonic() + 60
    while any(client.health(url).problem for url in cluster.client_urls.values()):
        assert time.monotonic() < deadline
        time.sleep(0.3)


@pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")
@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_a_name_that_one_member_does_not_accept_stays_off_the_disk(binary: str, open_folder: pathlib.Path) -> None:
    """As where another run has made a list shorter since this one looked."""
    cluster = EtcdCluster(binary, open_folder)
    pki = open_folder / "pki"
    pki.mkdir()
    # The same key; this one has no common name.
    before, other = open_folder / "member.crt", open_folder / "nameless.crt"
    for source, target in ((cluster.ca_file, "ca.crt"), (str(before), "m2.crt"), (cluster.key_file, "m2.key")):
        (pki / target).write_bytes(pathlib.Path(source).read_bytes())
    cluster.start("m1", "m2")
    cluster.start("m3", extra=("--peer-cert-allowed-cn=member",))
    given = arguments(cluster, pki, other)
    try:
        wait_until_well(cluster)
        # Check mode asks nobody.
        assert run_module("etcd_peer_credentials", given, check_mode=True)["changed"] is True
        refused = run_module("etcd_peer_credentials", given)
        assert refused["problem"] == "refused" and "m3 does not let it in at" in refused["msg"]
        assert (pki / "m2.crt").read_bytes() == before.read_bytes()
        cluster.stop("m3")
        cluster.start("m3")
        wait_until_well(cluster)
        # Another run has the lock.
        client = api.Client(api_contexts.client_context(cluster.ca_file, cluster.cert_file, cluster.key_file), 5.0)
        lock = restart_lock.RestartLock(client, list(cluster.client_urls.values()))
        lock.acquire()
        refused = run_module("etcd_peer_credentials", given)
        assert "another run restarts, adds or removes a member right now" in refused["msg"]
        assert (pki / "m2.crt").read_bytes() == before.read_bytes()
        lock.release()
        assert run_module("etcd_peer_credentials", {**given, "wait_seconds": 60})["changed"] is True
        assert (pki / "m2.crt").read_bytes() == other.read_bytes()
        lock.acquire()
        # What is there already needs no turn, and where nobody is asked there is none.
        assert run_module("etcd_peer_credentials", given)["changed"] is False
        unasked = {**given, "certificate_content": before.read_text(), "members": None}
        assert run_module("etcd_peer_credentials", unasked)["changed"] is True
        lock.release()
    finally:
        cluster.stop()
