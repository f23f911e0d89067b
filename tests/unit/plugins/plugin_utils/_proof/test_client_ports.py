# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said of client ports: whoever is to be let in or refused was so, or it was not shown."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.client_ports import ClientPorts
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.metrics import proof_metrics
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import Lack, why_no_client
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.table import proof_table
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import (
    Results,
    proof_of,
    some_members,
    sound,
)

MEMBERS = some_members(3)
CASES = ("client", "client_unknown_ca", "client_peer", "client_no_certificate")
OWN = ClientPorts("own", CASES)
PEERS = ClientPorts("peers", ("client", "client_unknown_ca", "client_no_certificate"), peers_are_clients=True)
WANTED = {
    "client": ("accepted", None, "HTTP 200"),
    "client_unknown_ca": ("refused", "unknown_authority", "TLS alert: unknown ca"),
    "client_peer": ("refused", "unknown_authority", "TLS alert: unknown ca"),
    "client_no_certificate": ("refused", "no_certificate", "it demands a certificate"),
}
NO_KEY = Lack("no_client_ca_key", "there is no /ca/ca.key of the clients' CA")


def call(to: str, case: str, outcome: str, reason: str | None, text: str = "said") -> dict[str, t.Any]:
    said = {"to": to, "client_url": f"https://{to}:2379", "case": case, "outcome": outcome, "reason": reason}
    return {**said, "text": text, "inferred": False, "tls": "TLSv1.3", "cipher": "AES"}


def called(cases: t.Sequence[str] = CASES) -> Results:
    """Each member calls the next one."""
    results = sound(MEMBERS)
    names = [member.name for member in MEMBERS]
    for source, target in zip(names, [*names[1:], names[0]]):
        results[source]["client_probes"] = [call(target, case, *WANTED[case]) for case in cases]
    return results


def changed(case: str, outcome: str, reason: str | None, text: str = "said") -> Results:
    """As wanted but for one call, that at etcd-2."""
    results = called()
    probes = results["etcd-1"]["client_probes"]
    results["etcd-1"]["client_probes"] = [
        call("etcd-2", case, outcome, reason, text) if probe["case"] == case else probe for probe in probes
    ]
    return results


def without(*cases: str) -> Results:
    return called([case for case in CASES if case not in cases])


def findings(proof: t.Mapping[str, t.Any]) -> list[tuple[str, str, str]]:
    return [(finding["code"], finding["verdict"], finding["subject"]) for finding in proof["findings"]]


def test_all_as_it_must_be() -> None:
    proof = proof_of(MEMBERS, called(), client_ports=OWN)
    assert proof["verdict"] == "proved" and proof["passed"] and not proof["findings"]
    assert proof["summary"].endswith("refused, 3 of 3 client ports as they must be")
    found = proof["client_ports"]
    assert len(found["calls"]) == 12 and {entry["verdict"] for entry in found["calls"]} == {"ok"}
    assert [entry["from"] for entry in found["calls"][:: len(CASES)]] == ["etcd-3", "etcd-1", "etcd-2"]
    assert (found["authority"], found["rbac"]) == ("own", "off")
    assert found["text"] == (
        "client ports let in every certificate of the clients' CA; RBAC is off: who is let in may read and write all"
    )


@pytest.mark.parametrize(
    ("case", "outcome", "reason", "code", "verdict"),
    [
        ("client", "refused", "unknown_authority", "client_refused", "failed"),
        ("client", "unreachable", "port_closed", "client_unreachable", "failed"),
        ("client_unknown_ca", "accepted", None, "client_unknown_ca_accepted", "failed"),
        ("client_peer", "accepted", None, "client_peer_accepted", "failed"),
        ("client_no_certificate", "accepted", None, "client_no_certificate_accepted", "failed"),
        ("client_no_certificate", "refused", "not_tls", "client_no_certificate_accepted", "failed"),
        # Refused for something else shows nothing of this.
        ("client_peer", "refused", "expired", "client_peer_unproved", "unproved"),
        ("client_unknown_ca", "timed_out", "answer", "client_unknown_ca_unproved", "unproved"),
    ],
)
def test_one_call_that_went_wrong(case: str, outcome: str, reason: str | None, code: str, verdict: str) -> None:
    proof = proof_of(MEMBERS, changed(case, outcome, reason), client_ports=OWN)
    assert findings(proof) == [(code, verdict, "etcd-2")]
    assert proof["verdict"] == {"failed": "failed", "unproved": "partly_proved"}[verdict] and not proof["passed"]
    assert proof["summary"].endswith("2 of 3 client ports as they must be")
    assert {member["name"]: member["verdict"] for member in proof["members"]}["etcd-2"] == verdict
    remedy = proof["findings"][0]["remedy"]
    assert remedy or outcome == "unreachable"
    # As after a new CA for the peers of a cluster that was adopted with one CA for all.
    assert ("where clients keep the CA that peers had" in remedy) is (reason == "unknown_authority")


def test_without_a_client_it_is_not_shown() -> None:
    asked = ClientPorts("own", CASES, no_client=NO_KEY)
    results = without("client")
    proof = proof_of(MEMBERS, results, client_ports=asked)
    assert findings(proof) == [("client_unproved", "unproved", "etcd-1, etcd-2, etcd-3")]
    assert proof["verdict"] == "partly_proved" and not proof["passed"]
    assert "etcd_peer_tls_verify_without: [clients]" in proof["findings"][0]["remedy"]
    assert proof["client_ports"]["rbac"] == "unknown"
    assert proof_of(MEMBERS, results, client_ports=asked, without=["clients"])["passed"]
    assert not proof_of(MEMBERS, results, client_ports=asked, without=["strangers"])["passed"]


def test_whether_there_are_two_cas_is_not_known_without_one_of_them() -> None:
    """As of a cluster that was adopted: the file may hold the very CA of the peers. It is told, and no breach."""
    results = changed("client_peer", "accepted", None)
    for result in results.values():
        result["client_probes"] = [probe for probe in result["client_probes"] if probe["case"] != "client"]
    proof = proof_of(MEMBERS, results, client_ports=ClientPorts("own", CASES, no_client=NO_KEY))
    assert ("client_peer_unproved", "unproved", "etcd-2") in findings(proof) and not proof["passed"]
    assert "etcd_peer_tls_peers_are_clients: true" in " ".join(one["remedy"] for one in proof["findings"])
    asked = {"client_ports": ClientPorts("own", CASES, no_client=NO_KEY), "without": ["clients"]}
    assert proof_of(MEMBERS, results, **asked)["passed"]


def test_what_an_ordinary_user_can_not_read_is_the_word_roots() -> None:
    results = without("client", "client_peer")
    for result in results.values():
        result.update(problem="may not read the key", client_problem="may not read the bundle")
        result["info"]["user"]["module_user"] = "admin"
    asked: dict[str, t.Any] = {"client_ports": OWN}
    proof = proof_of(MEMBERS, results, **asked)
    assert {entry["reason"] for entry in proof["client_ports"]["calls"] if entry["verdict"] == "unproved"} == {
        "no_client_trust",
        "no_own_certificate",
    }
    assert not [one for one in proof_of(MEMBERS, results, **asked, without=["root"])["findings"] if one["fails"]]
    for result in results.values():
        result["info"]["user"]["module_user"] = "root"
    assert [one for one in proof_of(MEMBERS, results, **asked, without=["root"])["findings"] if one["fails"]]


def test_where_the_peers_ca_is_the_clients_its_key_lacks_once() -> None:
    """Whoever keeps it away has said so of the strangers."""
    asked = ClientPorts("peers", PEERS.cases, True, no_client=Lack("no_ca_key", "no key"))
    results = called(["client_unknown_ca", "client_no_certificate"])
    assert not proof_of(MEMBERS, results, client_ports=asked)["passed"]
    assert proof_of(MEMBERS, results, client_ports=asked, without=["strangers"])["passed"]


def test_the_words_for_what_lacks_let_nothing_else_pass() -> None:
    results = changed("client_peer", "accepted", None)
    for words in (["clients"], ["strangers", "clients", "root", "absent_hosts"]):
        assert not proof_of(MEMBERS, results, client_ports=OWN, without=words)["passed"]


def test_a_host_that_is_away_calls_nobody_and_its_port_is_called_all_the_same() -> None:
    results = called()
    # The others call one more, as the module does.
    results["etcd-2"]["client_probes"] += [
        {**probe, "to": "etcd-1"} for probe in results.pop("etcd-3")["client_probes"]
    ]
    proof = proof_of(MEMBERS, results, {"etcd-3": "gone"}, client_ports=OWN)
    assert {entry["verdict"] for entry in proof["client_ports"]["calls"]} == {"ok"}


def test_a_host_that_is_away_and_down_is_no_breach() -> None:
    results = called()
    results["etcd-2"]["client_probes"] = [
        *({**probe, "to": "etcd-1"} for probe in results.pop("etcd-3")["client_probes"]),
        *(call("etcd-3", case, "unreachable", "port_closed") for case in CASES),
    ]
    asked: dict[str, t.Any] = {"client_ports": OWN, "away": {"etcd-3"}}
    proof = proof_of(MEMBERS, results, {"etcd-3": "gone"}, **asked)
    of_third = [entry["verdict"] for entry in proof["client_ports"]["calls"] if entry["member"] == "etcd-3"]
    assert set(of_third) == {"unproved"} and not proof["passed"]
    # Nobody can call it as a peer either, which the same word covers.
    excused = proof_of(MEMBERS, results, {"etcd-3": "gone"}, **asked, without=["absent_hosts"])
    assert not [finding for finding in excused["findings"] if finding["fails"]]


def test_whose_caller_went_away_in_the_middle_is_told_as_one_that_is_away() -> None:
    """The others left its part to it, since it was in the run when they began."""
    results = called()
    del results["etcd-3"]
    results["etcd-2"]["client_probes"] = [call("etcd-3", case, "unreachable", "port_closed") for case in CASES]
    asked: dict[str, t.Any] = {"client_ports": OWN, "away": {"etcd-3"}}
    proof = proof_of(MEMBERS, results, {"etcd-3": "no route to it"}, **asked)
    of_first = [entry for entry in proof["client_ports"]["calls"] if entry["member"] == "etcd-1"]
    assert {(one["verdict"], one["from"], one["text"]) for one in of_first} == {
        ("unproved", "etcd-3", "no route to it")
    }
    assert not proof["passed"]
    excused = proof_of(MEMBERS, results, {"etcd-3": "no route to it"}, **asked, without=["absent_hosts"])
    assert excused["passed"] and excused["verdict"] == "partly_proved"


def test_of_an_answer_that_lacks_calls_nothing_is_proved() -> None:
    """As of a host that lies, or that has an older module."""
    results = called()
    results["etcd-1"]["client_probes"] = []
    proof = proof_of(MEMBERS, results, client_ports=OWN)
    assert {finding["text"].partition(": ")[2] for finding in proof["findings"]} == {"etcd-1 did not call it"}
    assert proof["verdict"] == "partly_proved"


def test_of_two_that_called_the_worse_counts() -> None:
    """A host that says what it was not asked covers up nothing."""
    results = changed("client_peer", "accepted", None)
    results["etcd-3"]["client_probes"].append(call("etcd-2", "client_peer", *WANTED["client_peer"]))
    results["etcd-3"]["client_probes"].append(call("nobody", "client_peer", "accepted", None))
    results["etcd-3"]["client_probes"].append(call("etcd-2", "rubbish", "accepted", None))
    proof = proof_of(MEMBERS, results, client_ports=OWN)
    assert findings(proof) == [("client_peer_accepted", "failed", "etcd-2")]


@pytest.mark.parametrize(
    ("answers", "rbac"),
    [
        (("HTTP 200",) * 3, "off"),
        (("HTTP 400",) * 3, "on"),
        (("HTTP 200", "HTTP 400", "HTTP 200"), "unknown"),
        (("HTTP 404",) * 3, "unknown"),
    ],
)
def test_what_a_client_may_do(answers: t.Sequence[str], rbac: str) -> None:
    results = called()
    for name, text in zip(results, answers):
        results[name]["client_probes"][0]["text"] = text
    proof = proof_of(MEMBERS, results, client_ports=OWN)
    assert proof["client_ports"]["rbac"] == rbac and proof["verdict"] == "proved"


def test_without_tls_it_is_said_who_is_let_in() -> None:
    proof = proof_of(MEMBERS, sound(MEMBERS), client_ports=ClientPorts("nobody"))
    assert proof["verdict"] == "proved" and proof["client_ports"]["calls"] == []
    said = "client ports speak http: whoever reaches one is let in, and without RBAC may read and write all"
    assert said in proof_table(proof)
    assert said[1:] in proof_page(proof)
    assert "client_port_ok" not in proof_metrics([proof])


def test_where_peers_are_clients_too_it_is_said() -> None:
    asked = ClientPorts("own", PEERS.cases, peers_are_clients=True)
    text = proof_of(MEMBERS, called(PEERS.cases), client_ports=asked)["client_ports"]["text"]
    assert "as etcd_peer_tls_peers_are_clients says, every one of the peers' CA" in text


def test_where_nothing_is_known_nothing_is_said() -> None:
    proof = proof_of(MEMBERS, called())
    assert proof["client_ports"] is None and "client port" not in proof["summary"]
    assert "client port" not in "\n".join(proof_table(proof)) and "Who gets in as a client" not in proof_page(proof)


def test_in_the_table() -> None:
    lines = proof_table(proof_of(MEMBERS, changed("client_peer", "accepted", None), client_ports=OWN))
    assert "client ports: let in client 3 of 3; refused unknown CA 3 of 3, peer 2 of 3, no certificate 3 of 3" in lines


def test_on_the_page() -> None:
    page = proof_page(proof_of(MEMBERS, changed("client_peer", "accepted", None), client_ports=OWN))
    assert "Failed: a client port is open" in page
    assert page.count('data-client-port="') == 3
    assert page.count('data-case="client_peer" data-verdict="failed"') == 1
    assert page.count('data-case="client_peer" data-verdict="ok"') == 2


def test_a_hole_in_the_document_is_no_success() -> None:
    proof = proof_of(MEMBERS, called(), client_ports=OWN)
    proof["client_ports"]["calls"] = [one for one in proof["client_ports"]["calls"] if one["member"] != "etcd-2"]
    assert "peer 2 of 3" in "\n".join(proof_table(proof))
    assert proof_page(proof).count('data-case="client_peer" data-verdict="unproved"') == 1
    assert 'client_port_ok{cluster="blue",member="etcd-2",case="client_peer"} 0\n' in proof_metrics([proof])


def test_as_metrics() -> None:
    text = proof_metrics([proof_of(MEMBERS, changed("client", "refused", "expired"), client_ports=OWN)])
    assert 'ringfence_etcd_client_port_ok{cluster="blue",member="etcd-2",case="client"} 0\n' in text
    assert text.count("ringfence_etcd_client_port_ok{") == 12 and text.count('"} 0\n') >= 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"common_name": None, "client_problem": None}, None),
        ({"common_name": None, "client_problem": "there is no /ca/ca.key"}, "no_client_ca_key"),
        ({"common_name": None, "client_problem": "the passphrase is wrong"}, "wrong_client_passphrase"),
        ({"unreachable": True, "msg": "no route"}, "ca_host_unreachable"),
        ({"failed": True, "msg": "boom"}, "no_stranger_made"),
    ],
)
def test_why_there_is_no_client(answer: dict[str, t.Any], reason: str | None) -> None:
    lack = why_no_client(answer)
    assert (lack and lack.reason) == reason
