# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One verdict from all that was met, and findings that each name who it is about and what to do."""

from __future__ import annotations

import json
import re
import typing as t

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_probe, etcd_peer_proof
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.evaluate import Thresholds
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import Lack
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import (
    CASES,
    Results,
    at,
    authority,
    fingerprint,
    proof_of,
    set_probe,
    some_members,
    sound,
)

MEMBERS = some_members()
Proof = dict[str, t.Any]


def finding(proof: Proof, code: str) -> dict[str, t.Any]:
    (found,) = [found for found in proof["findings"] if found["code"] == code]
    assert found["remedy"] and "\n" not in found["text"]
    return t.cast("dict[str, t.Any]", found)


def texts(proof: Proof) -> list[str]:
    return [found["text"] for found in proof["findings"]]


def without(results: Results, case: str) -> Results:
    for result in results.values():
        result["probes"] = [probe for probe in result["probes"] if probe["case"] != case]
    return results


# -- the document ----------------------------------------------------------------------------------------------------


def test_a_sound_cluster_is_proved() -> None:
    proof = proof_of(MEMBERS, sound(MEMBERS), thresholds=Thresholds(21, 1, 60), renew_before_days=40)
    assert proof["verdict"] == "proved" and proof["findings"] == []
    assert proof["summary"] == "3 members, 6 of 6 calls of members accepted, 18 of 18 of strangers refused"
    assert (proof["format"], proof["cluster"], proof["time"], proof["identity"]) == (1, "blue", at(0), "list")
    assert proof["thresholds"] == {
        "warn_days": 21,
        "fail_days": 1,
        "ca_warn_days": 60,
        "renew_before_days": 40,
    }
    assert [member["verdict"] for member in proof["members"]] == ["ok"] * 3
    first = proof["members"][0]
    assert (first["probed"], first["problem"], first["etcd_version"]) == (True, None, "3.5.16")
    assert first["certificate"]["serial_number"] == fingerprint("etcd-1")[:40]
    assert json.loads(json.dumps(proof)) == proof


def test_the_document_is_the_documented_one() -> None:
    documented = yaml.safe_load(etcd_peer_proof.RETURN)["proof"]["contains"]
    proof = proof_of(MEMBERS, sound(MEMBERS))
    assert set(proof) == set(documented)
    for name in ("pairs", "checks"):
        assert set(proof[name][0]) == set(documented[name]["contains"])


def test_one_member_calls_itself() -> None:
    alone = some_members(1)
    proof = proof_of(alone, sound(alone))
    assert proof["verdict"] == "proved"
    assert proof["summary"] == "1 member, 1 of 1 calls of members accepted, 3 of 3 of strangers refused"


def test_each_authority_is_there_once_with_who_trusts_it_and_the_first_to_end_first() -> None:
    results = sound(MEMBERS)
    twice = [authority("new CA"), authority("old CA", to_days=5), authority("new CA")]
    results["etcd-2"]["info"]["credentials"]["ca"]["certificates"] = twice
    found = proof_of(MEMBERS, results)["authorities"]
    assert [(one["common_name"], one["trusted_by"]) for one in found] == [
        ("old CA", ["etcd-2"]),
        *sorted([("etcd peer CA", ["etcd-1", "etcd-3"]), ("new CA", ["etcd-2"])], key=lambda one: fingerprint(one[0])),
    ]


# -- the verdict -----------------------------------------------------------------------------------------------------


def test_a_stranger_let_in_fails_and_is_the_first_thing_said() -> None:
    results = sound(MEMBERS)
    results["etcd-3"]["info"]["process"]["newer_files"] = ["/etc/etcd/pki/ca.crt"]
    for source in ("etcd-1", "etcd-3"):
        set_probe(results, source, "etcd-2", "stranger", "accepted", None, text="HTTP 200")
    proof = proof_of(MEMBERS, results)
    assert proof["verdict"] == "failed"
    assert proof["summary"].endswith("16 of 18 of strangers refused, 2 LET IN")
    said = finding(proof, "stranger_accepted")
    assert said == proof["findings"][0]
    assert (said["verdict"], said["subject"]) == ("failed", "etcd-2")
    assert said["text"] == (
        "etcd-2 lets in a stranger (a certificate of the same CA whose common name is in no list), "
        "calling from etcd-1, etcd-3: HTTP 200"
    )
    assert said["remedy"].startswith("the fence is open")
    # It is the fault of the one who let it in.
    assert [member["verdict"] for member in proof["members"]] == ["ok", "failed", "warning"]


@pytest.mark.parametrize(
    ("case", "words"),
    [("no_certificate", "lets in a caller without a certificate"), ("unknown_ca", "a certificate of an unknown CA")],
)
def test_the_others_who_must_not_get_in(case: str, words: str) -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", case, "accepted", None)
    proof = proof_of(MEMBERS, results)
    assert proof["verdict"] == "failed" and words in finding(proof, f"{case}_accepted")["text"]


def test_a_refusal_for_another_reason_proves_nothing() -> None:
    results = sound(MEMBERS)
    for source, target in (("etcd-1", "etcd-2"), ("etcd-2", "etcd-1"), ("etcd-3", "etcd-1")):
        set_probe(results, source, target, "stranger", "refused", "expired", text="alert: certificate expired")
    proof = proof_of(MEMBERS, results)
    assert proof["verdict"] == "partly_proved"
    said = finding(proof, "stranger_unproved")
    assert (said["verdict"], said["subject"]) == ("unproved", "etcd-2, etcd-1")
    assert said["text"].startswith("not shown that a stranger") and said["text"].endswith("certificate expired")
    # The stranger was made a minute ago: to renew the members' certificates would not help.
    assert "clock" in said["remedy"] and "renew" not in said["remedy"]


def test_a_failed_pair_is_the_finding_of_both() -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", "member", "refused", "closed", text="closed without a word")
    proof = proof_of(MEMBERS, results)
    assert proof["verdict"] == "failed"
    assert [member["verdict"] for member in proof["members"]] == ["failed", "failed", "ok"]
    assert finding(proof, "member_refused")["text"] == "etcd-2 refuses etcd-1: closed without a word"


@pytest.mark.parametrize(
    ("outcome", "reason", "line"),
    [
        ("refused", "revoked", "etcd-2 refuses etcd-1, etcd-3: why"),
        ("refused", "server_name", "etcd-1, etcd-3 can't use etcd-2: why"),
        ("unreachable", "port_closed", "etcd-1, etcd-3 can't reach etcd-2: why"),
        ("timed_out", "answer", "etcd-1, etcd-3 can't reach etcd-2: why"),
    ],
)
def test_one_line_for_all_who_meet_the_same(outcome: str, reason: str, line: str) -> None:
    results = sound(MEMBERS)
    for source in ("etcd-1", "etcd-3"):
        set_probe(results, source, "etcd-2", "member", outcome, reason, text="why")
    said = finding(proof_of(MEMBERS, results), f"member_{outcome}")
    assert (said["text"], said["subject"]) == (line, "etcd-2")


@pytest.mark.parametrize(
    ("outcome", "reason", "line"),
    [
        ("refused", "expired", "etcd-1 is refused by etcd-2, etcd-3: why"),
        ("refused", "server_unknown_authority", "etcd-1 can't use etcd-2, etcd-3: why"),
        ("unreachable", "network", "etcd-1 can't reach etcd-2, etcd-3: why"),
    ],
)
def test_one_line_for_one_whom_all_others_refuse(outcome: str, reason: str, line: str) -> None:
    results = sound(MEMBERS)
    for target in ("etcd-2", "etcd-3"):
        set_probe(results, "etcd-1", target, "member", outcome, reason, text="why")
    said = finding(proof_of(MEMBERS, results), f"member_{outcome}")
    assert (said["text"], said["subject"]) == (line, "etcd-1")


def test_a_member_that_nobody_s_list_has_is_one_finding() -> None:
    results = sound(MEMBERS)
    for target in ("etcd-2", "etcd-3"):
        set_probe(results, "etcd-1", target, "member", "refused", "common_name", inferred=True)
        results[target]["info"]["process"]["settings"]["allowed_common_names"].remove("etcd-1.example.com")
    proof = proof_of(MEMBERS, results)
    assert [(found["code"], found["subject"]) for found in proof["findings"]] == [
        ("member_refused", "etcd-1"),
        ("allowed_common_names", "etcd-2, etcd-3"),
    ]


def test_many_who_meet_the_same_are_counted() -> None:
    members = some_members(50)
    results = sound(members)
    for source in list(results)[1:]:
        set_probe(results, source, "etcd-1", "member", "unreachable", "port_closed", text="why")
    said = finding(proof_of(members, results), "member_unreachable")
    assert said["text"] == "all 49 others can't reach etcd-1: why"
    for probe in results["etcd-50"]["probes"]:
        if (probe["to"], probe["case"]) == ("etcd-1", "member"):
            probe.update(outcome="accepted", reason=None)
    said = finding(proof_of(members, results), "member_unreachable")
    assert said["text"] == "etcd-2, etcd-3, etcd-4 and 45 more can't reach etcd-1: why"


def test_a_warning_changes_no_verdict_but_is_said() -> None:
    results = sound(MEMBERS)
    results["etcd-2"]["info"]["credentials"]["certificate"]["days_left"] = 3
    proof = proof_of(MEMBERS, results)
    assert proof["verdict"] == "proved"
    assert [member["verdict"] for member in proof["members"]] == ["ok", "warning", "ok"]
    said = finding(proof, "certificate_days")
    assert (said["verdict"], said["subject"]) == ("warning", "etcd-2")


def test_the_same_check_of_several_members_is_said_once() -> None:
    results = sound(MEMBERS)
    for result in results.values():
        result["live_members"], result["live_members_problem"] = None, "no client URL was given"
    proof = proof_of(MEMBERS, results)
    assert proof["verdict"] == "partly_proved"
    assert finding(proof, "live_members")["subject"] == "etcd-1, etcd-2, etcd-3"


def test_what_is_about_the_whole_cluster_is_said_of_it() -> None:
    results = sound(MEMBERS)
    for result in results.values():
        result["info"]["credentials"]["ca"]["certificates"] = [authority(to_days=20)]
    assert finding(proof_of(MEMBERS, results), "authority_days")["subject"] == "blue"


# -- what could not be shown -----------------------------------------------------------------------------------------


def test_without_the_ca_s_key_the_rest_is_proved() -> None:
    proof = proof_of(MEMBERS, without(sound(MEMBERS), "stranger"), no_stranger=Lack("no_ca_key", "there is no ca.key"))
    assert proof["verdict"] == "partly_proved"
    assert proof["summary"].endswith("12 of 18 of strangers refused")
    (said,) = proof["findings"]
    assert (said["code"], said["subject"]) == ("stranger_unproved", "etcd-1, etcd-2, etcd-3")
    assert said["text"].endswith("there is no ca.key") and "etcd_peer_tls_ca_private_key" in said["remedy"]


def test_a_member_whose_key_is_closed_to_us() -> None:
    results = sound(MEMBERS)
    results["etcd-1"]["problem"] = "etcd-1.key is not readable"
    results["etcd-1"]["probes"] = [probe for probe in results["etcd-1"]["probes"] if probe["case"] != "member"]
    proof = proof_of(MEMBERS, results)
    assert proof["verdict"] == "partly_proved"
    said = finding(proof, "member_not_probed")
    assert (said["subject"], said["text"]) == ("etcd-1", "etcd-1 did not call: etcd-1.key is not readable")
    assert "become: true" in said["remedy"]
    assert proof["members"][0]["problem"] == "etcd-1.key is not readable"


def test_an_absent_host_does_not_end_the_proof() -> None:
    results = sound(MEMBERS)
    del results["etcd-3"]
    proof = proof_of(MEMBERS, results, {"etcd-3": "unreachable by SSH"})
    assert proof["verdict"] == "partly_proved"
    last = proof["members"][2]
    assert (last["probed"], last["problem"], last["certificate"]) == (False, "unreachable by SSH", None)
    assert last["etcd_version"] is None
    assert "all hosts" in finding(proof, "state_gathered")["remedy"]
    # Nor is it shown that the others let it in.
    assert [member["verdict"] for member in proof["members"]] == ["unproved"] * 3
    assert texts(proof) == ["nothing is known of etcd-3, and it did not call: unreachable by SSH"]


def test_nobody_answered() -> None:
    proof = proof_of(MEMBERS, {})
    assert proof["verdict"] == "partly_proved" and proof["authorities"] == []
    assert proof["summary"] == "3 members, 0 of 6 calls of members accepted, 0 of 18 of strangers refused"
    for name in MEMBERS:
        assert (
            f"nothing is known of {name.name}, and it did not call: its host is not in this run (--limit), or failed "
            "before" in texts(proof)
        )


def test_a_certificate_that_could_not_be_read_is_none_in_the_document() -> None:
    results = sound(MEMBERS)
    results["etcd-1"]["info"]["credentials"]["certificate"].update(fingerprint=None, days_left=None, problem="closed")
    assert proof_of(MEMBERS, results)["members"][0]["certificate"] is None


# -- what a run may go on without ------------------------------------------------------------------------------------


def test_what_was_not_shown_passes_for_no_proof() -> None:
    results = sound(MEMBERS)
    del results["etcd-3"]
    proof = proof_of(MEMBERS, results, {"etcd-3": "unreachable by SSH"})
    assert (proof["verdict"], proof["passed"], proof["without"]) == ("partly_proved", False, [])
    assert [one["fails"] for one in proof["findings"]] == [True]
    assert "etcd_peer_tls_verify_without: [absent_hosts]" in finding(proof, "state_gathered")["remedy"]
    assert proof_of(MEMBERS, sound(MEMBERS))["passed"] is True


def test_a_warning_fails_no_run() -> None:
    results = sound(MEMBERS)
    results["etcd-2"]["info"]["credentials"]["certificate"]["days_left"] = 3
    proof = proof_of(MEMBERS, results)
    assert proof["passed"] is True and finding(proof, "certificate_days")["fails"] is False


def absent(results: Results) -> Results:
    """A host that gave no answer, and that the others can't call either."""
    del results["etcd-3"]
    for source in ("etcd-1", "etcd-2"):
        for case in CASES:
            set_probe(results, source, "etcd-3", case, "unreachable", "network", text="no route to host")
    return results


def unseen(results: Results) -> Results:
    """Looked at as an ordinary user."""
    for result in results.values():
        result["info"]["user"]["module_user"] = "nobody"
        result["problem"] = "the key is not readable"
        result["probes"] = [probe for probe in result["probes"] if probe["case"] != "member"]
        result["info"]["process"].update(settings=None, problem="not permitted")
    return results


@pytest.mark.parametrize(
    ("change", "excuse"),
    [
        (absent, "absent_hosts"),
        (lambda results: without(results, "stranger"), "strangers"),
        # Without cryptography on the CA's host neither of the two can be made.
        (lambda results: without(without(results, "stranger"), "unknown_ca"), "strangers"),
        (unseen, "root"),
    ],
)
def test_a_run_may_be_told_what_to_go_on_without(change: t.Callable[[Results], Results], excuse: str) -> None:
    proof = proof_of(MEMBERS, change(sound(MEMBERS)), without=[excuse], away=["etcd-3"])
    assert (proof["verdict"], proof["passed"], proof["without"]) == ("partly_proved", True, [excuse]), proof["findings"]
    assert proof["findings"] and not any(one["fails"] for one in proof["findings"])
    for other in {"absent_hosts", "strangers", "root"} - {excuse}:
        assert proof_of(MEMBERS, change(sound(MEMBERS)), without=[other], away=["etcd-3"])["passed"] is False
    if excuse == "absent_hosts":
        # A host that failed, or answered what can't be used, is not away.
        assert proof_of(MEMBERS, change(sound(MEMBERS)), without=[excuse])["passed"] is False


def test_no_excuse_covers_a_failure() -> None:
    everything = ["absent_hosts", "strangers", "root"]
    results = absent(sound(MEMBERS))
    set_probe(results, "etcd-1", "etcd-3", "stranger", "accepted", None)
    assert proof_of(MEMBERS, results, without=everything, away=["etcd-3"])["passed"] is False
    # Nor what was tried and shows nothing: an answer in time, or a refusal for the reason that was to be shown.
    for outcome, reason in (("timed_out", "answer"), ("refused", "expired")):
        results = sound(MEMBERS)
        set_probe(results, "etcd-1", "etcd-2", "stranger", outcome, reason)
        assert proof_of(MEMBERS, results, without=everything)["passed"] is False
    results = sound(MEMBERS)
    results["etcd-1"].update(live_members=None, live_members_problem="HTTP 503")
    assert proof_of(MEMBERS, results, without=everything)["passed"] is False


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("no_ca_key", "give the CA's key"),
        ("wrong_passphrase", "mend etcd_peer_tls_ca_passphrase"),
        ("no_cryptography", "install Python's cryptography on the CA's host"),
        ("ca_host_unreachable", "bring the CA's host (etcd_peer_tls_ca_host) back"),
        ("no_stranger_made", "see what the CA's host says"),
    ],
)
def test_why_there_is_no_stranger_says_what_to_do(reason: str, words: str) -> None:
    proof = proof_of(MEMBERS, without(sound(MEMBERS), "stranger"), no_stranger=Lack(reason, "why"))
    assert finding(proof, "stranger_unproved")["remedy"].startswith(words)


# -- what to do ------------------------------------------------------------------------------------------------------


def documented_reasons() -> list[str]:
    probes = yaml.safe_load(etcd_peer_probe.RETURN)["probes"]["contains"]
    return sorted(set(re.findall(r"V\((\w+)\)", " ".join(probes["reason"]["description"]))) - {"null"})


@pytest.mark.parametrize("reason", documented_reasons())
def test_every_reason_has_a_way_out(reason: str) -> None:
    assert len(documented_reasons()) > 20
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", "member", "refused", reason)
    set_probe(results, "etcd-1", "etcd-3", "stranger", "timed_out", reason)
    proof = proof_of(MEMBERS, results)
    assert finding(proof, "member_refused")["remedy"]
    assert finding(proof, "stranger_accepted" if reason == "not_tls" else "stranger_unproved")["remedy"]
