# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a whole node tells of itself and of all that it meets, against real servers."""

from __future__ import annotations

import os
import pathlib
import threading
import typing as t

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    CLIENT_CASES,
    MEMBER,
    NO_CERTIFICATE,
    STRANGER,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member import info, node_probe
from ansible_collections.ringfence.etcd.plugins.module_utils._member.node_probe import probe_node, unreadable_files
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._probe import peers
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    ProbeResult,
)
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_info
from ansible_collections.ringfence.etcd.plugins.modules.etcd_peer_probe import argument_spec
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import peer_port as ports
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    der_of,
    issue,
    key_pem,
    revocation_list,
)

CA, OTHER_CA = issue("etcd peer CA", is_ca=True), issue("other CA", is_ca=True)
CLIENTS_CA = issue("etcd client CA", is_ca=True)
SERVER = issue("etcd-2.example.com", CA)
OWN = issue("etcd-1.example.com", CA, names=("etcd-1.example.com", "127.0.0.1"))
PLENTY_SECONDS = 60.0


# A whole node ----------------------------------------------------------------------------------------------------


class Node:
    """A host with a member's files, whose systemd and processes are told by the test."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.properties: dict[str, str] = {}
        self.argv: list[str] = []
        monkeypatch.setattr(info, "show", lambda unit: self.properties)
        monkeypatch.setattr(
            info,
            "process_facts",
            lambda pid: {"pid": pid, "argv": self.argv, "environ_hash": "0" * 64, "environment": {}},
        )
        monkeypatch.setattr(info, "UNIT_FOLDERS", (str(folder / "units"),))
        self.files(ca=CA.pem, crt=OWN.pem, key=OWN.key_pem)

    def files(self, **contents: str) -> None:
        for kind, content in contents.items():
            self.put("ca.crt" if kind == "ca" else f"etcd-1.{kind}", content.encode())

    def put(self, name: str, content: bytes, mode: int = 0o644) -> str:
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    def runs(self, *flags: str) -> None:
        self.properties = {"ActiveState": "active", "SubState": "running", "MainPID": "4711"}
        self.argv = ["/usr/bin/etcd", "--name=etcd-1", *flags]

    def probe(self, port: int, **changes: t.Any) -> dict[str, t.Any]:
        """The answer of the module, its other options as they are by themselves."""
        params = {name: option.get("default") for name, option in argument_spec().items()}
        given: dict[str, t.Any] = {
            "name": "etcd-1",
            "members": [
                {"name": "etcd-1", "peer_url": f"https://127.0.0.1:{ports.CLOSED_PORT}"},
                {"name": "etcd-2", "peer_url": f"https://127.0.0.1:{port}"},
            ],
            "timeout_seconds": PLENTY_SECONDS,
            "directory": str(self.folder),
            "owner": str(os.geteuid()),
            "etcd_binary": "/none/etcd",
        }
        return probe_node({**params, **given, **changes}, NOW)


@pytest.fixture
def node(open_folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(open_folder, monkeypatch)


@pytest.fixture
def port() -> t.Iterator[int]:
    with ports.listening(ports.speaks_tls(ports.server_context(SERVER, CA))) as found:
        yield found


def cases(answer: t.Mapping[str, t.Any]) -> dict[str, tuple[str, str | None]]:
    assert len({probe["case"] for probe in answer["probes"]}) == len(answer["probes"])
    return {probe["case"]: (probe["outcome"], probe["reason"]) for probe in answer["probes"]}


def strangers() -> dict[str, str]:
    pairs = {"stranger": issue("stranger", CA), "unknown_ca": issue("etcd-1.example.com", OTHER_CA)}
    found = {f"{case}_certificate": pair.pem for case, pair in pairs.items()}
    return {**found, **{f"{case}_private_key": pair.key_pem for case, pair in pairs.items()}}


def test_a_node_as_itself_as_strangers_and_as_nobody(node: Node, port: int) -> None:
    answer = node.probe(port, **strangers())
    assert cases(answer) == {
        # This server looks at no list: whoever has the CA is let in.
        MEMBER: (ACCEPTED, None),
        STRANGER: (ACCEPTED, None),
        UNKNOWN_CA: (REFUSED, "unknown_authority"),
        NO_CERTIFICATE: (REFUSED, "no_certificate"),
    }
    assert [probe["case"] for probe in answer["probes"]] == [MEMBER, STRANGER, UNKNOWN_CA, NO_CERTIFICATE]
    assert {probe["to"] for probe in answer["probes"]} == {"etcd-2"}
    served = [probe["server"] for probe in answer["probes"]]
    # Told once, as facts.
    assert served[0]["common_name"] == "etcd-2.example.com" and served[0]["days_left"] == 100
    assert served[1:] == [None] * 3
    assert (answer["name"], answer["problem"], answer["revoked"], answer["unreadable_files"]) == (
        "etcd-1",
        None,
        [],
        [],
    )
    assert answer["time"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert answer["info"]["credentials"]["certificate"]["common_name"] == "etcd-1.example.com"
    assert (answer["live_members"], answer["live_members_problem"]) == (None, "no client URL was given")
    # No key is in the answer, neither the member's nor a stranger's.
    assert "PRIVATE KEY" not in str(answer)


def clients() -> dict[str, str]:
    pairs = {"client": issue("app", CLIENTS_CA), "client_unknown_ca": issue("app", OTHER_CA)}
    found = {f"{case}_certificate": pair.pem for case, pair in pairs.items()}
    return {**found, **{f"{case}_private_key": pair.key_pem for case, pair in pairs.items()}}


def at_client_ports(answer: t.Mapping[str, t.Any]) -> dict[tuple[str, str], tuple[str, str | None]]:
    found = answer["client_probes"]
    return {(one["to"], one["case"]): (one["outcome"], one["reason"]) for one in found}


def test_a_node_at_client_ports(node: Node, port: int) -> None:
    """That of the next one whose host calls as well, and those before it; the bundle of its own process checks them."""
    server = issue("etcd-2.example.com", CLIENTS_CA)
    with ports.listening(ports.speaks_tls(ports.server_context(server, CLIENTS_CA))) as client_port:
        urls = {"etcd-1": port, "etcd-2": client_port, "etcd-3": client_port, "etcd-4": ports.CLOSED_PORT}
        members = [
            {"name": name, "peer_url": f"https://127.0.0.1:{port}", "client_url": f"https://127.0.0.1:{number}"}
            for name, number in urls.items()
        ]
        asked = {"members": members, "client_calls": list(CLIENT_CASES), "present": ["etcd-1", "etcd-3"], **clients()}
        node.runs(f"--trusted-ca-file={node.put('clients.crt', CLIENTS_CA.pem.encode())}")
        answer = node.probe(port, **asked)
        wanted = {
            "client": (ACCEPTED, None),
            "client_unknown_ca": (REFUSED, "unknown_authority"),
            "client_peer": (REFUSED, "unknown_authority"),
            "client_no_certificate": (REFUSED, "no_certificate"),
        }
        assert at_client_ports(answer) == {
            (name, case): result for name in ("etcd-2", "etcd-3") for case, result in wanted.items()
        }
        assert answer["client_problem"] is None and "PRIVATE KEY" not in str(answer)
        # Who trusts another CA than its members present is no client of theirs.
        node.runs(f"--trusted-ca-file={node.put('clients.crt', OTHER_CA.pem.encode())}")
        assert at_client_ports(node.probe(port, **asked))["etcd-2", "client"] == (REFUSED, "server_unknown_authority")
        node.runs(f"--trusted-ca-file={node.folder}/nowhere.crt")
        answer = node.probe(port, **asked)
        assert "nowhere.crt, by which a client of this cluster would check" in answer["client_problem"]
        assert ("etcd-2", "client") not in at_client_ports(answer)
        # As a peer only who has a pair, and nobody where nothing is asked for.
        node.files(crt="")
        assert ("etcd-2", "client_peer") not in at_client_ports(node.probe(port, **asked))
        assert node.probe(port, **{**asked, "client_calls": []})["client_probes"] == []
        assert node.probe(port, **asked, call="never")["client_probes"] == []


def test_the_served_certificate_is_told_by_the_first_call_that_saw_it(node: Node) -> None:
    """Each target once, whoever saw it; what is none is told as none."""
    with ports.listening(ports.speaks_tls(ports.server_context(SERVER, CA))) as port:
        node.files(crt="")
        answer = node.probe(port)
        assert "is empty" in answer["problem"]
        assert cases(answer) == {NO_CERTIFICATE: (REFUSED, "no_certificate")}
        assert answer["probes"][0]["server"]["common_name"] == "etcd-2.example.com"
    garbage = [{"to": "etcd-2", "server": b"garbage"}, {"to": "etcd-2", "server": der_of(SERVER.certificate)}]
    shown = node_probe._served_once(garbage, NOW)
    assert shown[0]["server"] is None and shown[1]["server"]["common_name"] == "etcd-2.example.com"


def test_a_node_calls_with_the_files_that_its_process_was_told_of(node: Node, port: int) -> None:
    """Not with those that would be in the usual place."""
    expired = issue("etcd-1.example.com", CA, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    node.runs(
        f"--peer-cert-file={node.put('other.crt', expired.pem.encode())}",
        f"--peer-key-file={node.put('other.key', expired.key_pem.encode())}",
        f"--peer-trusted-ca-file={node.put('other-ca.crt', CA.pem.encode())}",
        "--peer-cert-allowed-cn=etcd-1.example.com",
    )
    assert cases(node.probe(port))[MEMBER] == (REFUSED, "expired")
    node.runs("--peer-cert-allowed-cn=etcd-1.example.com")
    assert cases(node.probe(port))[MEMBER] == (REFUSED, "server_common_name")
    node.runs("--peer-cert-allowed-cn=etcd-1.example.com,etcd-2.example.com")
    assert cases(node.probe(port))[MEMBER] == (ACCEPTED, None)
    node.runs(f"--peer-trusted-ca-file={node.put('other-ca.crt', OTHER_CA.pem.encode())}")
    assert cases(node.probe(port))[MEMBER] == (REFUSED, "server_unknown_authority")


def test_a_proof_is_given_the_files_of_the_process(node: Node, port: int) -> None:
    node.runs("--peer-cert-allowed-cn=etcd-1.example.com,etcd-2.example.com")
    assert node.probe(port)["process_credentials"] is None
    both = (CA.pem + OTHER_CA.pem).encode()
    node.runs(
        f"--peer-cert-file={node.put('other.crt', SERVER.pem.encode())}",
        f"--peer-key-file={node.folder}/etcd-1.key",
        f"--peer-trusted-ca-file={node.put('both.crt', both)}",
    )
    shown = node.probe(port)["process_credentials"]
    assert {kind: facts["path"] for kind, facts in shown.items()} == {
        "ca": f"{node.folder}/both.crt",
        "certificate": f"{node.folder}/other.crt",
        "private_key": f"{node.folder}/etcd-1.key",
    }
    assert [one["common_name"] for one in shown["ca"]["certificates"]] == ["etcd peer CA", "other CA"]
    assert shown["certificate"]["common_name"] == "etcd-2.example.com"
    assert shown["private_key"]["matches_certificate"] is False
    # As RETURN documents it, and nothing that is secret.
    documented = yaml.safe_load(etcd_peer_info.RETURN)["credentials"]["contains"]
    for kind, facts in shown.items():
        assert set(facts) == set(documented[kind]["contains"])
    assert set(shown["ca"]["certificates"][0]) == set(documented["ca"]["contains"]["certificates"]["contains"])
    # What can't be read is a problem, and no reason to look elsewhere.
    node.runs(f"--peer-trusted-ca-file={node.folder}/none.crt", f"--peer-cert-file={node.put('x.crt', b'x')}")
    shown = node.probe(port)["process_credentials"]
    assert (shown["ca"]["state"], shown["ca"]["certificates"]) == ("absent", [])
    assert shown["certificate"]["fingerprint"] is None and "x.crt" in shown["certificate"]["problem"]


def test_a_relative_path_counts_from_the_folder_of_the_process(
    node: Node, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(node.folder)
    node.put("its.crl", revocation_list(CA, 4711))
    node.runs("--peer-trusted-ca-file=both.crt", "--peer-crl-file=./its.crl")
    node.properties["MainPID"] = str(os.getpid())
    node.put("both.crt", (CA.pem + OTHER_CA.pem).encode())
    monkeypatch.setattr(os, "getcwd", lambda: "/elsewhere")
    answer = node.probe(port)
    assert answer["process_credentials"]["ca"]["path"] == f"{node.folder}/both.crt"
    assert answer["revoked"] == ["1267"] and cases(answer)[MEMBER] == (ACCEPTED, None)


def test_a_node_whose_etcd_does_not_run_calls_with_the_files_of_its_unit(node: Node, port: int) -> None:
    """Which is what it will be started with."""
    (node.folder / "units").mkdir()
    expired = issue("etcd-1.example.com", CA, not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    node.put("other.crt", expired.pem.encode())
    node.put("other.key", expired.key_pem.encode())
    pair = f"--peer-cert-file={node.folder}/other.crt --peer-key-file={node.folder}/other.key"
    (node.folder / "units" / "etcd.service").write_text(f"[Service]\nExecStart=/usr/bin/etcd --name=etcd-1 {pair}\n")
    assert cases(node.probe(port))[MEMBER] == (REFUSED, "expired")


def test_of_a_member_that_is_down_nothing_is_served(node: Node) -> None:
    answer = node.probe(ports.CLOSED_PORT)
    assert set(cases(answer).values()) == {(UNREACHABLE, "port_closed")}
    assert [probe["server"] for probe in answer["probes"]] == [None, None]


def test_a_node_that_can_not_call_as_itself_still_calls_as_a_stranger(node: Node, port: int) -> None:
    (node.folder / "etcd-1.key").unlink()
    answer = node.probe(port, **strangers())
    assert answer["problem"] == f"there is no {node.folder}/etcd-1.key, so this host can't call as a member"
    assert cases(answer) == {
        STRANGER: (ACCEPTED, None),
        UNKNOWN_CA: (REFUSED, "unknown_authority"),
        NO_CERTIFICATE: (REFUSED, "no_certificate"),
    }


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"ca": ""}, "{folder}/ca.crt is empty"),
        ({"crt": ""}, "{folder}/etcd-1.crt is empty"),
        ({"key": ""}, "{folder}/etcd-1.key is empty"),
        ({"key": "x"}, "{folder}/etcd-1.key holds no private key in PEM"),
        ({"key": key_pem(OWN.key, b"secret")}, "the private key in {folder}/etcd-1.key is encrypted"),
        (
            {"key": SERVER.key_pem},
            "the private key in {folder}/etcd-1.key does not belong to the certificate in {folder}/etcd-1.crt",
        ),
    ],
    ids=["no CA", "no certificate", "no key", "key that is none", "encrypted key", "another key"],
)
def test_the_file_that_can_not_be_used_is_named(node: Node, port: int, files: dict[str, str], line: str) -> None:
    node.files(**files)
    answer = node.probe(port)
    assert answer["problem"].startswith(line.format(folder=node.folder)) and "\n" not in answer["problem"]
    assert cases(answer) == {NO_CERTIFICATE: (REFUSED, "no_certificate")}


def test_a_stranger_that_can_not_be_used_ends_the_call_with_a_line(node: Node, port: int) -> None:
    with pytest.raises(CryptoError, match="stranger_certificate holds no PEM certificate"):
        node.probe(port, **{**strangers(), "stranger_certificate": "x"})
    with pytest.raises(CryptoError, match="can't be used for TLS"):
        node.probe(port, **{**strangers(), "unknown_ca_private_key": "ü"})


def test_nothing_is_forked_once_there_are_threads(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that hangs in the name service holds its lock: a child that was forked then would wait for ever."""
    fork, threads_before = os.fork, threading.active_count()

    def watched() -> int:
        assert threading.active_count() <= threads_before
        return fork()

    def hang(context: t.Any, host: str, port: int, timeout_seconds: float, **more: t.Any) -> ProbeResult:
        answered.wait(PLENTY_SECONDS)
        return ProbeResult(TIMED_OUT, "resolve", "")

    answered = threading.Event()
    monkeypatch.setattr(os, "fork", watched)
    monkeypatch.setattr(peers, "probe_port", hang)
    try:
        answer = node.probe(ports.CLOSED_PORT, timeout_seconds=0.5, owner="64123")
    finally:
        answered.set()
    assert answer["unreadable_files"] == [] and cases(answer)[NO_CERTIFICATE] == (TIMED_OUT, "resolve")


@pytest.mark.parametrize("as_pem", [False, True])
def test_a_certificate_on_the_revocation_list_of_the_own_process(node: Node, as_pem: bool) -> None:
    content = revocation_list(CA, OWN.certificate.serial_number, 4711, as_pem=as_pem)
    node.runs(f"--peer-crl-file={node.put('peer.crl', content)}")
    with ports.listening(ports.closes_after_handshake(ports.server_context(SERVER, CA))) as port:
        answer = node.probe(port)
    assert cases(answer)[MEMBER] == (REFUSED, "revoked")
    assert answer["revoked"] == sorted([read_certificate(der_of(OWN.certificate)).serial_number, "1267"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "peer.crl does not exist"), (b"garbage", "peer.crl is no readable revocation list"), (b"", "peer.crl")],
)
def test_a_revocation_list_that_can_not_be_read_is_told(
    node: Node, port: int, content: bytes | None, problem: str
) -> None:
    path = str(node.folder / "peer.crl") if content is None else node.put("peer.crl", content)
    node.runs(f"--peer-crl-file={path}")
    answer = node.probe(port)
    assert answer["revoked"] == [] and cases(answer)[MEMBER] == (ACCEPTED, None)
    assert problem in answer["revocation_list_problem"] and "\n" not in answer["revocation_list_problem"]
    node.runs()
    assert node.probe(port)["revocation_list_problem"] is None


@pytest.mark.parametrize(
    ("as_pem", "version", "problem"),
    [
        (True, "3.6.0", "peer.crl is in PEM, and etcd 3.6.0 reads DER alone"),
        (True, "3.5.16", None),
        (True, None, None),
        (False, "3.6.0", None),
    ],
)
def test_a_revocation_list_that_this_etcd_does_not_read(
    node: Node, port: int, monkeypatch: pytest.MonkeyPatch, as_pem: bool, version: str | None, problem: str | None
) -> None:
    facts = {"binary": "/none/etcd", "found": True, "version": version, "problem": None}
    monkeypatch.setattr(info, "etcd_facts", lambda _binary: facts)
    node.runs(f"--peer-crl-file={node.put('peer.crl', revocation_list(CA, 4711, as_pem=as_pem))}")
    answer = node.probe(port)
    assert answer["revoked"] == ["1267"]
    found = answer["revocation_list_problem"]
    assert found is None if problem is None else found.endswith(problem.split("/")[-1])


def test_a_member_alone_calls_itself(node: Node, port: int) -> None:
    answer = node.probe(port, members=[{"name": "etcd-1", "peer_url": f"https://127.0.0.1:{port}"}])
    assert {probe["to"] for probe in answer["probes"]} == {"etcd-1"} and cases(answer)[MEMBER] == (ACCEPTED, None)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"timeout_seconds": 0.4}, "timeout_seconds is 0.4: give 0.5 to 60"),
        ({"timeout_seconds": 60.5}, "timeout_seconds is 60.5: give 0.5 to 60"),
        ({"members": []}, "name: etcd-1 is not among members (none): list all members, this one too"),
        (
            {"name": "etcd-9"},
            "name: etcd-9 is not among members (etcd-1, etcd-2): list all members, this one too",
        ),
        (
            {"members": [{"name": "etcd-1"}]},
            "member etcd-1: peer URL 'None' is none: write it like https://10.0.0.1:2380",
        ),
        ({"directory": "pki"}, "directory: pki is not an absolute path: write it from / on"),
    ],
)
def test_wrong_input_is_one_line(node: Node, changes: dict[str, t.Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        node.probe(ports.CLOSED_PORT, **changes)
    assert str(caught.value) == line


# What else is told -----------------------------------------------------------------------------------------------


def info_of(node: Node) -> dict[str, t.Any]:
    return info.peer_info(str(node.folder), "etcd-1", "root", "/none", "etcd.service", None, now=NOW)


def test_files_that_etcd_s_user_can_not_read(node: Node) -> None:
    # Nobody has this number; whoever runs the tests has made the files.
    user = "64123"
    assert unreadable_files(info_of(node), user) == []
    (node.folder / "etcd-1.key").chmod(0o600)
    (found,) = unreadable_files(info_of(node), user)
    assert found["path"] == f"{node.folder}/etcd-1.key"
    assert "is not readable for it: change owner or mode" in found["text"]
    # Of a process, the files that it was told of.
    node.runs(f"--peer-key-file={node.folder}/none.key", f"--peer-cert-file={node.folder}/etcd-1.crt")
    (found,) = unreadable_files(info_of(node), user)
    assert found == {"path": f"{node.folder}/none.key", "text": f"{node.folder}/none.key does not exist"}


def test_no_such_user(node: Node) -> None:
    found = unreadable_files(info_of(node), "no-such-user")
    assert found == [{"path": "", "text": "there is no user no-such-user on this host"}]
