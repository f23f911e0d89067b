# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys made on their nodes, by the three modules one after the other: request, certificate, and both in place.

With a real CA and real files; where RINGFENCE_ETCD names a binary, by members that take each other for peers.
"""

from __future__ import annotations

import json
import os
import pathlib
import pwd
import signal
import stat
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    certificate_facts,
    load_certificate,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import role_cluster
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.key_host import OWNER, Answer, Node, public, spki
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import collections_root, run_module
from cryptography import x509

GOOD = factory.request_pem()


class Authority:
    """A CA on its own host, which never sees a member's key."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        assert run_module("etcd_ca", {"ca_directory": str(folder), "ca_common_name": "etcd peer CA"})["changed"]
        self.pem = (folder / "ca.crt").read_text()

    def issue(
        self, members: t.Sequence[Answer], requests_of: t.Mapping[str, str | None] | None, **more: t.Any
    ) -> Answer:
        """Not under no_log: nothing in the answer is secret, which is looked at."""
        check_mode = more.pop("check_mode", False)
        arguments = {
            "members": list(members),
            "ca_directory": str(self.folder),
            "ca_certificate_path": str(self.folder / "ca.crt"),
            "ca_private_key_path": str(self.folder / "ca.key"),
            "key_custody": "node",
            "requests": requests_of,
            **more,
        }
        answer = run_module("etcd_peer_certificates", arguments, check_mode=check_mode)
        assert "PRIVATE KEY" not in json.dumps(answer)
        return answer


@pytest.fixture
def authority(tmp_path: pathlib.Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def node(open_folder: pathlib.Path) -> Node:
    return Node(open_folder, "etcd-1")


def certify(authority: Authority, node: Node, **more: t.Any) -> str:
    """A first pair; gives its certificate."""
    answer = authority.issue([node.member()], {node.name: node.request(**more)["request_pem"]}, **more)
    certificate: str = answer["members"][0]["certificate"]
    assert node.put(ca_certificate_content=authority.pem, certificate_content=certificate)["changed"]
    return certificate


def test_a_key_gets_its_certificate_and_its_place(authority: Authority, node: Node) -> None:
    predicted = authority.issue([node.member()], {node.name: None}, check_mode=True)["members"][0]
    assert (predicted["issued"], predicted["new_key"], predicted["certificate"]) == (True, True, None)
    request = node.request()["request_pem"]
    issued = authority.issue([node.member()], {node.name: request})
    (found,) = issued["members"]
    assert issued["changed"] and found["issued"] and found["new_key"] and "private_key" not in found
    content = {"ca_certificate_content": authority.pem, "certificate_content": found["certificate"]}
    before = {path.name for path in node.pki.iterdir()}
    check = node.put(check_mode=True, **content)
    assert {path.name for path in node.pki.iterdir()} == before == {"etcd-1.key.requested"}
    key = node.waiting.read_bytes()
    done = node.put(**content)
    assert done["changed"] and done["diff"] == check["diff"] and done["reasons"] == check["reasons"]
    assert done["reasons"]["private_key"] == ["missing"] and done["backups"] == {}
    assert node.key.read_bytes() == key and not node.waiting.exists()
    info = os.lstat(node.key)
    assert (pwd.getpwuid(info.st_uid).pw_name, stat.S_IMODE(info.st_mode)) == (OWNER, 0o600)
    for check_mode in (True, False):
        again = node.put(check_mode=check_mode, **content)
        assert not again["changed"] and again["reasons"] == {} and again["diff"] == {"before": {}, "after": {}}
    # In the CA's index, as all that it issues.
    assert found["serial_number"] in (authority.folder / "index.json").read_text()


def test_a_request_decides_nothing_but_the_key(authority: Authority, node: Node) -> None:
    """Names, a CA, usages, another member: all of it is asked for, and none of it comes."""
    asked = factory.request_pem(
        name="etcd-2.example.com",
        extensions=[
            x509.SubjectAlternativeName([x509.DNSName("etcd-2"), x509.DNSName("*.example.com")]),
            x509.BasicConstraints(ca=True, path_length=None),
        ],
    )
    (found,) = authority.issue([node.member()], {node.name: asked})["members"]
    facts = certificate_facts(found["certificate"].encode(), "it")
    assert facts.common_names == ("etcd-1.example.com",) and not facts.is_ca
    assert (facts.dns_names, facts.ip_addresses, facts.other_names) == (("etcd-1",), ("127.0.0.1",), ())
    assert spki(found["certificate"]) == keys.public_key_bytes(factory.key_of("ecdsa-p256").public_key())
    # As the rules want it: the next run finds nothing to do.
    present = node.member(certificate=found["certificate"], private_key_matches=True)
    again = authority.issue([present], None)
    assert not again["changed"] and again["members"][0]["reasons"] == []


def test_a_renewal_keeps_the_key_and_asks_for_none(authority: Authority, node: Node) -> None:
    certificate, key = certify(authority, node), node.key.read_bytes()
    (found,) = authority.issue([node.member(ip_addresses=["127.0.0.2"])], None)["members"]
    assert found["issued"] and not found["new_key"] and spki(found["certificate"]) == spki(certificate)
    done = node.put(certificate_content=found["certificate"])
    assert list(done["reasons"]) == ["certificate"] and node.key.read_bytes() == key and done["backups"] == {}


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "rsa-2048", "ed25519"])
def test_new_keys_and_other_kinds(key_type: str, authority: Authority, node: Node) -> None:
    certify(authority, node)
    old = node.key.read_bytes()
    request = node.request(key_type=key_type, fresh=True)["request_pem"]
    # Until both are in place, nothing of the old pair is touched.
    assert node.key.read_bytes() == old
    answer = authority.issue([node.member(new_key=True)], {node.name: request}, key_type=key_type)
    done = node.put(certificate_content=answer["members"][0]["certificate"])
    assert done["reasons"] == {"private_key": ["content"], "certificate": ["content"]}
    assert public(node.key) == spki(node.certificate.read_text()) and not node.waiting.exists()
    assert keys.key_type_of(load_certificate(node.certificate.read_bytes(), "it").public_key()) == key_type
    assert (node.pki / "etcd-1.key.replaced").read_bytes() == old and list(done["backups"]) == [str(node.key)]


def test_nothing_is_issued_for_a_member_without_a_request(authority: Authority, node: Node) -> None:
    """Never a key of the CA's host in its place, which would have to travel."""
    other = {**node.member(), "name": "etcd-2", "common_name": "b", "dns_names": ["b"], "ip_addresses": []}
    request = node.request()["request_pem"]
    for lacking in ({}, None, {"etcd-1": request}, {"etcd-1": request, "etcd-2": None}):
        answer = authority.issue([node.member(), other], lacking)
        assert answer["failed"] and answer["problem"] == "refused" and "etcd-2 needs a new key" in answer["msg"]
    assert "etcd-1" not in (authority.folder / "index.json").read_text()
    # To decide, nothing has to be asked for.
    assert authority.issue([node.member(), other], None, decide_only=True)["members"][1]["new_key"]


def test_keys_that_another_has_or_that_were_used(authority: Authority, node: Node, open_folder: pathlib.Path) -> None:
    two = Node(open_folder, "etcd-2")
    certify(authority, two)
    members = [node.member(), two.member(dns_names=["etcd-2"], ip_addresses=["127.0.0.2"], new_key=True)]
    shared = node.request()["request_pem"]
    taken = factory.request_pem(keys.load_private_key(two.key.read_bytes(), "it"))
    of_ca = factory.request_pem(keys.load_private_key((authority.folder / "ca.key").read_bytes(), "it"))
    good = two.request()["request_pem"]
    for one, other, says in (
        (shared, shared, "member etcd-2: its request has the same key as the request of etcd-1"),
        (taken, good, "member etcd-1: its request has the same key as the present certificate of etcd-2"),
        (shared, taken, "member etcd-2: its request has the same key as the present certificate of etcd-2"),
        (of_ca, good, "member etcd-1: its request has the same key as the CA"),
    ):
        index = (authority.folder / "index.json").read_text()
        for check_mode in (True, False):
            answer = authority.issue(members, {"etcd-1": one, "etcd-2": other}, check_mode=check_mode)
            assert answer["failed"] and says in answer["msg"], answer["msg"]
        assert (authority.folder / "index.json").read_text() == index
    assert authority.issue(members, {"etcd-1": shared, "etcd-2": good})["changed"]


def test_input(authority: Authority, node: Node, tmp_path: pathlib.Path) -> None:
    for more, says in (
        ({"key_custody": "ca"}, "requests are for keys that are made on their nodes: set key_custody: node"),
        ({"requests": {"etcd-9": GOOD}}, "requests: 'etcd-9' is no member: the names in members are etcd-1"),
        (
            {"requests": {"etcd-1": "rubbish"}},
            "member etcd-1: its request is not one block CERTIFICATE REQUEST (it",
        ),
        ({"requests": {"etcd-1": ["a"]}}, "member etcd-1: its request is not one block CERTIFICATE REQUEST"),
        ({"key_type": "ed25519"}, "member etcd-1: its request is for a key of the type ecdsa-p256, ed25519 is wanted"),
        ({"directory": str(tmp_path / "peers")}, "which key_custody: node has on their nodes"),
    ):
        answer = authority.issue([node.member()], {"etcd-1": GOOD}, **more)
        assert answer["failed"] and says in answer["msg"], answer["msg"]
    assert not (tmp_path / "peers").exists()
    both = node.put(private_key_content="not a key at all", certificate_content="none either")
    assert both["failed"] and "private_key_content and requested_key: true are two keys" in both["msg"]


def test_a_pair_that_does_not_fit_is_not_put_in_place(authority: Authority, node: Node) -> None:
    certify(authority, node)
    before = {path.name: path.read_bytes() for path in node.pki.iterdir()}
    node.request()
    waiting = node.waiting.read_bytes()
    # Issued for another key than the one that waits.
    (found,) = authority.issue([node.member(new_key=True)], {node.name: GOOD})["members"]
    answer = node.put(certificate_content=found["certificate"])
    assert answer["failed"] and f"the private key in {node.waiting} does not belong to" in answer["msg"]
    node.waiting.unlink()
    answer = node.put(certificate_content=found["certificate"])
    assert answer["failed"] and f"no private key waits as {node.waiting}, and the one in place" in answer["msg"]
    assert {path.name: path.read_bytes() for path in node.pki.iterdir()} == before
    assert waiting not in before.values()


KILL = """
import json, os, signal, sys
from ansible.module_utils import basic
from {package}._node import files
from {package}._member import credentials
before, name = sys.argv[1:3]
def killed(path, *rest, **more):
    if os.path.basename(path) == name:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path, *rest, **more)
if before == "rename":
    real = os.rename
    def rename(source, target, **more):
        return killed(target) if os.path.basename(target) == name else real(source, target, **more)
    os.rename = rename
else:
    real = credentials.remove_file
    credentials.remove_file = killed
wanted = credentials.WantedCredentials(**json.loads(sys.argv[3]))
credentials.apply_credentials(credentials.plan_credentials(wanted))
"""


@pytest.mark.parametrize(
    ("before", "name"),
    [("rename", "etcd-1.key"), ("rename", "etcd-1.crt"), ("remove", "etcd-1.key.requested")],
)
def test_a_run_that_is_killed_while_it_puts_them_in_place(
    before: str, name: str, authority: Authority, node: Node
) -> None:
    """There is a whole key at every moment, and the next run comes to the same end."""
    certify(authority, node)
    old = node.key.read_bytes()
    answer = authority.issue([node.member(new_key=True)], {node.name: node.request(fresh=True)["request_pem"]})
    certificate, new = answer["members"][0]["certificate"], node.waiting.read_bytes()
    wanted = {
        "directory": str(node.pki),
        "name": node.name,
        "owner": node.owner,
        "group": node.group,
        "directory_mode": 0o755,
        "certificate_content": certificate,
        "requested_key": True,
    }
    package = "ansible_collections.ringfence.etcd.plugins.module_utils"
    words = [sys.executable, "-c", KILL.format(package=package), before, name, json.dumps(wanted)]
    environment = {**os.environ, "PYTHONPATH": collections_root()}
    done = subprocess.run(words, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert node.key.read_bytes() in (old, new) and node.waiting.read_bytes() == new
    if node.key.read_bytes() == old:
        assert public(node.key) == spki(node.certificate.read_text())
    # Another run that has the certificate goes on.
    again = node.put(certificate_content=certificate)
    assert again["changed"] and node.key.read_bytes() == new and not node.waiting.exists()
    assert node.certificate.read_text() == certificate and not list(node.pki.glob(".*"))
    assert (node.pki / "etcd-1.key.replaced").read_bytes() == old
    assert not node.put(certificate_content=certificate)["changed"]


@pytest.mark.parametrize("killed_before", ["certificate", "removal"])
def test_a_run_after_one_that_was_killed_makes_a_key_of_its_own(
    killed_before: str, authority: Authority, node: Node
) -> None:
    """One that knows nothing of what the killed one was given."""
    certify(authority, node)
    request = node.request(fresh=True)["request_pem"]
    (found,) = authority.issue([node.member(new_key=True)], {node.name: request})["members"]
    node.key.write_bytes(node.waiting.read_bytes())
    if killed_before == "removal":
        node.certificate.write_text(found["certificate"])
    decided = authority.issue([node.member()], None, decide_only=True)["members"][0]
    assert decided["issued"] is (killed_before == "certificate")
    answer = node.request()
    assert answer["reasons"] == ["in_use"]
    made = authority.issue([node.member(new_key=True)], {node.name: answer["request_pem"]})["members"][0]
    assert node.put(certificate_content=made["certificate"])["changed"]
    assert public(node.key) == spki(made["certificate"]) and not node.waiting.exists()


# Real members


class CustodyCluster(role_cluster.RoleCluster):
    """Members whose keys no other process ever had."""

    def __init__(self, binary: str, folder: pathlib.Path) -> None:
        super().__init__(binary, folder, role_cluster.entries(2))
        self.authority = Authority(folder / "ca")
        self.ca.pem = self.authority.pem

    def write_leaf(self, name: str, ca: role_cluster.Ca, leaf: t.Any = None) -> None:
        self.certify(self.member(name))

    def certify(self, member: Member, new_key: bool = False) -> None:
        node = Node(self.folder, member.name, "root", "root")
        profile = {"common_name": member.common_name, "dns_names": list(member.dns_names)}
        wanted = node.member(**profile, ip_addresses=list(member.ip_addresses), new_key=new_key)
        answer = self.authority.issue([wanted], {member.name: node.request()["request_pem"]})
        done = node.put(certificate_content=answer["members"][0]["certificate"])
        assert done["changed"] and not node.waiting.exists(), done


BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]


@pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")
@pytest.mark.skipif(os.geteuid() != 0, reason="members' files are root's here")
@pytest.mark.parametrize("binary", BINARIES)
def test_real_members_take_such_pairs(binary: str, open_folder: pathlib.Path) -> None:
    cluster = CustodyCluster(binary, open_folder)
    try:
        for member in cluster.members:
            cluster.deploy(member.name)
        cluster.start(*(member.name for member in cluster.members))
        cluster.settle()
        # Without a restart: etcd reads its pair at each handshake. So each is refused, or taken, by the other's start.
        for member in cluster.members:
            cluster.certify(member, new_key=True)
        cluster.restart("etcd-1")
        cluster.settle()
    finally:
        cluster.stop()
