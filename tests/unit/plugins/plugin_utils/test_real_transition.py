# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first step for a real cluster, as gathered: only where RINGFENCE_ETCD names an etcd binary (the first counts)."""

from __future__ import annotations

import os
import pathlib
import re
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Words
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import (
    CONFIGURE,
    ISSUE,
    NARROW,
    UPDATE,
    WIDEN,
    Next,
    Step,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight import certificate_requests
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.live import Entrance
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import with_configuration_hash
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_text import unit_text
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from cryptography.hazmat.primitives import hashes

BINARY = next((path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path), None)
pytestmark = pytest.mark.skipif(BINARY is None, reason="RINGFENCE_ETCD names no etcd binary")

if BINARY or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.role_cluster import (
        Ca,
        RoleCluster,
        entries,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[RoleCluster]:
    cluster = RoleCluster(str(BINARY), tmp_path_factory.mktemp("cluster"), entries())
    names = [member.name for member in cluster.members]
    for name in names:
        cluster.deploy(name)
    cluster.start(*names)
    try:
        cluster.settle()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(running: RoleCluster) -> t.Iterator[RoleCluster]:
    """What is wanted is as it was before each test; nothing is done to the members."""
    given, common, flags = [dict(one) for one in running.given], running.common, running.extra_flags
    yield running
    running.given, running.common, running.extra_flags = given, common, flags


def step(found: Next) -> Step:
    assert isinstance(found, Step), found
    return found


def test_nothing_is_left_for_a_cluster_as_it_should_be(cluster: RoleCluster) -> None:
    desired, state = cluster.both()
    assert cluster.next() is None
    assert state.member_list is not None and state.member_list.problem is None
    assert state.member_list.leader_id in {one.member_id for one in state.member_list.members}
    for wanted in desired.members:
        host = state.hosts[wanted.host]
        assert host.process == host.disk and host.process is not None
        assert host.process.serves == {wanted.peer_url} and host.process.client_serves == {wanted.client_url}
        assert host.process.settings == wanted.settings
        assert host.process.authorities == {cluster.ca.fingerprint} == desired.authorities
        assert host.leaf is not None and host.leaf.names == wanted.names and not host.leaf.renewal_due
        assert host.running == host.program and state.cluster_version == (host.running or ())[:2]


def test_another_ca_is_accepted_before_anything_else(cluster: RoleCluster) -> None:
    other = Ca("another CA")
    refused = cluster.next(authority=other.pem)
    assert isinstance(refused, PreflightFailure) and refused.code == "new_ca_not_said"
    found = step(cluster.next(Words(new_ca=True), other.pem))
    config = found.actions[0].config
    assert found.kind == WIDEN and len(found.restarts) == 1 and config is not None
    assert config.authorities == {cluster.ca.fingerprint, other.fingerprint}


def test_another_domain_is_accepted_before_it_is_presented(cluster: RoleCluster) -> None:
    cluster.common = replace(cluster.common, domain="example.net")
    found = step(cluster.next())
    config = found.actions[0].config
    assert found.kind == WIDEN and config is not None and config.common_names is not None
    assert {"etcd-1.example.com", "etcd-1.example.net", "etcd-3.example.net"} <= config.common_names


def test_one_name_more_is_a_certificate_and_no_restart(cluster: RoleCluster) -> None:
    cluster.given[1]["extra_sans"] = ["etcd.example.org"]
    found = step(cluster.next())
    assert (found.kind, found.members, found.restarts) == (ISSUE, ("etcd-2",), ())
    assert found.reason == "it gets etcd.example.org"


def test_one_member_more_has_its_certificate_and_is_accepted_before_it_joins(cluster: RoleCluster) -> None:
    cluster.given.append(entries(4)[3])
    found = step(cluster.next())
    assert (found.kind, found.members) == (ISSUE, ("etcd-4",))
    cluster.deploy("etcd-4")
    found = step(cluster.next())
    config = found.actions[0].config
    assert found.kind == WIDEN and config is not None and "etcd-4.example.com" in (config.common_names or ())


def test_another_peer_port_is_served_beside_the_old_one_first(cluster: RoleCluster) -> None:
    old = cluster.member("etcd-1").peer_url
    cluster.given[0]["peer_port"] += 1
    new = cluster.member("etcd-1").peer_url
    found = step(cluster.next())
    config = found.actions[0].config
    assert found.kind == WIDEN and found.members == ("etcd-1",)
    assert config is not None and config.serves == {old, new}


def test_another_flag_is_a_restart_with_new_settings(cluster: RoleCluster) -> None:
    cluster.extra_flags = {"heartbeat-interval": 150}
    found = step(cluster.next())
    assert found.kind == CONFIGURE and len(found.restarts) == 1


def test_an_address_that_the_host_does_not_have_is_refused(cluster: RoleCluster) -> None:
    cluster.given[0]["address"] = "203.0.113.7"
    found = step(cluster.next())
    assert (found.kind, found.members, found.reason) == (ISSUE, ("etcd-1",), "it gets 203.0.113.7")
    try:
        cluster.write_leaf("etcd-1", cluster.ca, found.actions[0].leaf)
        refused = cluster.next()
        assert isinstance(refused, PreflightFailure) and refused.code == "address_missing"
    finally:
        cluster.given[0]["address"] = "127.0.1.1"
        cluster.write_leaf("etcd-1", cluster.ca)


# Done, step by step, until nothing is left ----------------------------------------------------------------------------


def all_steps(cluster: RoleCluster, words: Words, authority: str, *cas: Ca) -> list[Step]:
    """Do what is planned, one step after the other; what is written is read as the same again, so that this ends."""
    done: list[Step] = []
    while True:
        found = cluster.next(words, authority)
        if found is None:
            return done
        done.append(step(found))
        assert len(done) < 60, [(one.kind, one.members, one.reason) for one in done[-6:]]
        cluster.perform(done[-1], *cas)


def test_ca_domain_and_ports_change_at_once_and_it_ends(tmp_path: pathlib.Path) -> None:
    cluster = RoleCluster(str(BINARY), tmp_path, entries())
    names = [member.name for member in cluster.members]
    for name in names:
        cluster.deploy(name)
    try:
        cluster.start(*names)
        cluster.settle()
        old, other = cluster.ca, Ca("another CA")
        cluster.common = replace(cluster.common, domain="example.net")
        for one in cluster.given:
            one["peer_port"] += 1
        words = Words(new_ca=True, retire_ca=frozenset((old.fingerprint,)))
        done = all_steps(cluster, words, other.pem, old, other)
        assert {one.kind for one in done} >= {WIDEN, ISSUE, UPDATE}
        _desired, state = cluster.both(words, other.pem)
        for member in cluster.members:
            host = state.hosts[member.host]
            assert host.process is not None and host.process == host.disk
            assert host.process.authorities == {other.fingerprint}
            assert host.process.common_names == {one.common_name for one in cluster.members}
            assert host.process.serves == {member.peer_url}
            # In the end the unit is the one that the role writes by itself.
            text = (tmp_path / member.name / "etcd.service").read_text()
            assert text == unit_text(cluster.settings(member.name), cluster.members, member)
    finally:
        cluster.stop()


def test_http_becomes_https(tmp_path: pathlib.Path) -> None:
    cluster = RoleCluster(str(BINARY), tmp_path, entries())
    names = [member.name for member in cluster.members]
    for member in cluster.members:
        text = unit_text(cluster.settings(member.name), cluster.members, member)
        for peer in cluster.members:
            text = text.replace(peer.peer_url, peer.peer_url.replace("https", "http"))
        kept = [line for line in text.splitlines(True) if not re.match(r"\s+--peer-", line)]
        cluster.deploy(member.name, text=with_configuration_hash("".join(kept)))
    try:
        cluster.start(*names)
        cluster.settle()
        done = all_steps(cluster, Words(), cluster.ca.pem, cluster.ca)
        assert done[0].kind == WIDEN and {one.kind for one in done} >= {WIDEN, UPDATE}
        assert [one.kind for one in done].count(UPDATE) == 3
        _desired, state = cluster.both()
        assert state.member_list is not None
        assert all(url.startswith("https") for one in state.member_list.members for url in one.peer_urls)
    finally:
        cluster.stop()


def test_one_certificate_for_all_becomes_one_for_each(tmp_path: pathlib.Path) -> None:
    """It has no common name: no list may have an empty one, which would let in all that have none."""
    cluster = RoleCluster(str(BINARY), tmp_path, entries())
    names = [member.name for member in cluster.members]
    theirs = issue("their CA", is_ca=True)
    shared = issue(None, theirs, names=[*(member.address for member in cluster.members), "127.0.0.1"])
    for member in cluster.members:
        text = unit_text(cluster.settings(member.name), cluster.members, member, peer_names=())
        assert "allowed-cn" not in text and "--peer-client-cert-auth=true" in text
        cluster.deploy(member.name, text=text)
        cluster.write_bundle(member.name, theirs.pem)
        for kind, content in (("crt", shared.pem), ("key", shared.key_pem)):
            (tmp_path / member.name / "pki" / f"{member.name}.{kind}").write_text(content)
    try:
        cluster.start(*names)
        cluster.settle()
        assert [one["new_key"] for one in certificate_requests(cluster.cluster())] == [True] * 3
        words = Words(new_ca=True, retire_ca=frozenset((theirs.certificate.fingerprint(hashes.SHA256()).hex(),)))
        done = all_steps(cluster, words, cluster.ca.pem, cluster.ca)
        assert [one.kind for one in done] == [WIDEN] * 3 + [ISSUE] * 3 + [NARROW] * 3
        own = frozenset(member.common_name for member in cluster.members)
        for one in done:
            lists = [action.config.common_names for action in one.actions if action.config is not None]
            assert set(lists) == ({own} if one.kind == NARROW else {None} if one.kind == WIDEN else set())
        assert not any(one["new_key"] for one in certificate_requests(cluster.cluster()))
        for member in cluster.members:
            text = (tmp_path / member.name / "etcd.service").read_text()
            assert text == unit_text(cluster.settings(member.name), cluster.members, member)
            assert (tmp_path / member.name / "pki" / "ca.crt").read_text() == cluster.ca.pem
    finally:
        cluster.stop()


def answers(cluster: RoleCluster, name: str, url: str, ca: str = "ca", pair: str = "") -> bool:
    """Whether a member answers a client there, who has files of the member's own folder."""
    pki, pair = cluster.folder / name / "pki", pair or name
    files = [str(pki / file) for file in (f"{ca}.crt", f"{pair}.crt", f"{pair}.key")]
    try:
        return Entrance(url, *files).client().health(url).healthy
    except RingfenceError:
        return False


def test_tls_for_clients_comes_and_goes_with_another_port(tmp_path: pathlib.Path) -> None:
    """Both are answered until clients have followed, and asked of all members at any time."""
    cluster = RoleCluster(str(BINARY), tmp_path, entries())
    cluster.common = replace(cluster.common, client_tls=False)
    names = [member.name for member in cluster.members]
    for name in names:
        cluster.deploy(name)
    try:
        cluster.start(*names)
        cluster.settle()
        for client_tls in (True, False):
            old = {member.name: member.client_url for member in cluster.members}
            assert all(answers(cluster, name, url) for name, url in old.items())
            cluster.common = replace(cluster.common, client_tls=client_tls)
            for one, free in zip(cluster.given, entries()):
                one["client_port"] = free["client_port"]
            new = {member.name: member.client_url for member in cluster.members}
            assert [one.kind for one in all_steps(cluster, Words(), cluster.ca.pem, cluster.ca)] == [WIDEN] * 3
            assert all(answers(cluster, name, url) for urls in (old, new) for name, url in urls.items())
            followed = Words(clients_followed=True)
            assert [one.kind for one in all_steps(cluster, followed, cluster.ca.pem, cluster.ca)] == [NARROW] * 3
            assert all(answers(cluster, name, url) for name, url in new.items())
            assert not any(answers(cluster, name, url) for name, url in old.items())
            for member in cluster.members:
                text = (tmp_path / member.name / "etcd.service").read_text()
                assert text == unit_text(cluster.settings(member.name), cluster.members, member)
                assert ("--trusted-ca-file" in text) is client_tls
    finally:
        cluster.stop()


def test_the_ca_for_clients_and_the_pair_change_one_after_the_other(tmp_path: pathlib.Path) -> None:
    """With what a run means all members are asked at any time: those that were restarted, and those that were not."""
    cluster = RoleCluster(str(BINARY), tmp_path, entries())
    urls = {member.name: member.client_url for member in cluster.members}
    for name in urls:
        cluster.deploy(name)
    clients = Ca("clients' CA")
    try:
        cluster.start(*urls)
        cluster.settle()
        for name in urls:
            (tmp_path / name / "pki" / "clients.crt").write_text(cluster.ca.pem + clients.pem)
            for kind, content in zip(("crt", "key"), clients.issue(cluster.member(name))):
                (tmp_path / name / "pki" / f"client.{kind}").write_bytes(content)
        phases = [
            {"ca": "clients.crt", "cert": "{name}.crt", "key": "{name}.key"},
            {"ca": "clients.crt", "cert": "client.crt", "key": "client.key"},
            {"ca": "clients.crt", "cert": "{name}.crt", "key": "{name}.key"},
            {"ca": "", "cert": "", "key": ""},
        ]
        for files in phases:
            cluster.client_files = files
            ca, pair = files["ca"].partition(".")[0] or "ca", "client" if files["cert"].startswith("client.") else ""
            restarted = []
            while True:
                found = cluster.next()
                if found is None:
                    break
                assert step(found).kind == CONFIGURE
                cluster.perform(step(found))
                restarted += step(found).members
                assert all(answers(cluster, name, url, ca, pair) for name, url in urls.items()), (files, restarted)
                if files is phases[0]:
                    # With both at once those that still run as before would refuse.
                    refused = [name for name, url in urls.items() if not answers(cluster, name, url, ca, "client")]
                    assert refused == [name for name in urls if name not in restarted]
            assert sorted(restarted) == list(urls)
    finally:
        cluster.stop()
