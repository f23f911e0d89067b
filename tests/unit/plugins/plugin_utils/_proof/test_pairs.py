# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every ordered pair is there in each case; a stranger counts as refused only where the fence is what refused it."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof import pairs
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import (
    CASES,
    Results,
    authority,
    fingerprint,
    set_probe,
    some_members,
    sound,
)

MEMBERS = some_members()
Pair = dict[str, t.Any]


def evaluated(
    results: Results, absent: t.Mapping[str, str] | None = None, because: pairs.Lack | None = None
) -> list[Pair]:
    return pairs.evaluate_pairs(MEMBERS, results, absent or {}, because)


def one(results: Results, source: str, target: str, case: str, absent: t.Mapping[str, str] | None = None) -> Pair:
    (found,) = [
        pair
        for pair in evaluated(results, absent)
        if (pair["from"], pair["to"], pair["case"]) == (source, target, case)
    ]
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_each_ordered_pair_is_there_once_in_each_case(count: int) -> None:
    members = some_members(count)
    found = pairs.evaluate_pairs(members, sound(members), {}, None)
    names = [member.name for member in members]
    wanted = {(a, b, case) for a in names for b in names for case in CASES if a != b or count == 1}
    assert {(pair["from"], pair["to"], pair["case"]) for pair in found} == wanted
    assert len(found) == len(wanted)
    assert {pair["verdict"] for pair in found} == {"ok"}


@pytest.mark.parametrize(
    ("case", "outcome", "reason", "verdict"),
    [
        ("member", "accepted", None, "ok"),
        ("member", "refused", "closed", "failed"),
        ("member", "unreachable", "port_closed", "failed"),
        ("member", "timed_out", "answer", "failed"),
        ("stranger", "refused", "common_name", "ok"),
        ("stranger", "accepted", None, "failed"),
        ("stranger", "refused", "not_tls", "failed"),
        # Refused, and not by the list of names: nothing is shown of the list.
        ("stranger", "refused", "expired", "unproved"),
        ("stranger", "refused", "not_yet_valid", "unproved"),
        ("stranger", "refused", "unknown_authority", "unproved"),
        ("stranger", "refused", "address", "unproved"),
        ("stranger", "refused", "key_usage", "unproved"),
        ("stranger", "refused", "closed", "unproved"),
        ("stranger", "unreachable", "port_closed", "unproved"),
        ("stranger", "timed_out", "answer", "unproved"),
        ("unknown_ca", "refused", "unknown_authority", "ok"),
        ("unknown_ca", "accepted", None, "failed"),
        ("unknown_ca", "refused", "common_name", "unproved"),
        ("unknown_ca", "refused", "expired", "unproved"),
        ("unknown_ca", "timed_out", "connect", "unproved"),
        ("no_certificate", "refused", "no_certificate", "ok"),
        # An alert that speaks of no certificate: another version of TLS, say.
        ("no_certificate", "refused", "alert", "unproved"),
        ("no_certificate", "accepted", None, "failed"),
        ("no_certificate", "refused", "not_tls", "failed"),
        ("no_certificate", "refused", "reset", "unproved"),
        ("no_certificate", "unreachable", "network", "unproved"),
    ],
)
def test_the_verdict_of_a_call(case: str, outcome: str, reason: str | None, verdict: str) -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", case, outcome, reason)
    found = one(results, "etcd-1", "etcd-2", case)
    assert (found["verdict"], found["outcome"], found["reason"]) == (verdict, outcome, reason)
    assert sum(pair["verdict"] != "ok" for pair in evaluated(results)) == (verdict != "ok")


def test_a_host_without_a_result_did_not_call_and_the_others_called_it() -> None:
    results = sound(MEMBERS)
    del results["etcd-3"]
    found = evaluated(results, {"etcd-3": "unreachable by SSH"})
    for pair in found:
        if pair["from"] == "etcd-3":
            assert (pair["verdict"], pair["outcome"], pair["reason"]) == ("unproved", "not_probed", "host_not_in_run")
            assert pair["text"] == "unreachable by SSH" and pair["tls"] is None
        else:
            assert pair["verdict"] == "ok"
    assert evaluated(results)[-1]["text"] == "its host is not in this run (--limit), or failed before"


@pytest.mark.parametrize(
    ("outcome", "reason", "verdict"),
    [
        ("unreachable", "port_closed", "unproved"),
        ("timed_out", "connect", "unproved"),
        # It answers, so it is not its being away.
        ("refused", "closed", "failed"),
    ],
)
def test_a_host_that_is_away_is_not_the_fence_s_fault(outcome: str, reason: str, verdict: str) -> None:
    results = sound(MEMBERS)
    del results["etcd-3"]
    set_probe(results, "etcd-1", "etcd-3", "member", outcome, reason)
    assert one(results, "etcd-1", "etcd-3", "member")["verdict"] == verdict
    present = sound(MEMBERS)
    set_probe(present, "etcd-1", "etcd-3", "member", outcome, reason)
    assert one(present, "etcd-1", "etcd-3", "member")["verdict"] == "failed"


def test_a_stranger_let_in_by_an_absent_host_is_still_a_failure() -> None:
    results = sound(MEMBERS)
    del results["etcd-3"]
    set_probe(results, "etcd-1", "etcd-3", "stranger", "accepted", None)
    assert one(results, "etcd-1", "etcd-3", "stranger")["verdict"] == "failed"


@pytest.mark.parametrize(
    ("problem", "text"), [("etcd-1.key is not readable", "etcd-1.key is not readable"), (None, "it was not probed")]
)
def test_a_member_that_could_not_call_as_itself(problem: str | None, text: str) -> None:
    results = sound(MEMBERS)
    results["etcd-1"]["problem"] = problem
    results["etcd-1"]["probes"] = [probe for probe in results["etcd-1"]["probes"] if probe["case"] != "member"]
    found = one(results, "etcd-1", "etcd-2", "member")
    assert (found["verdict"], found["reason"], found["text"]) == ("unproved", "no_own_certificate", text)
    assert one(results, "etcd-1", "etcd-2", "stranger")["verdict"] == "ok"


@pytest.mark.parametrize(
    ("because", "text"),
    [(pairs.Lack("no_ca_key", "there is no ca.key"), "there is no ca.key"), (None, "no such certificate was made")],
)
def test_a_stranger_that_could_not_be_made(because: pairs.Lack | None, text: str) -> None:
    results = sound(MEMBERS)
    for result in results.values():
        result["probes"] = [probe for probe in result["probes"] if probe["case"] != "stranger"]
    found = [pair for pair in evaluated(results, because=because) if pair["case"] == "stranger"]
    assert len(found) == 6
    for pair in found:
        assert (pair["verdict"], pair["reason"], pair["text"]) == ("unproved", "no_ca_key", text)


@pytest.mark.parametrize(
    ("answer", "reason", "text"),
    [
        ({"common_name": "stranger-1", "problem": None}, None, None),
        ({"common_name": None, "problem": "there is no /ca/ca.key"}, "no_ca_key", "there is no /ca/ca.key"),
        (
            {"common_name": None, "problem": "/ca/ca.key can't be decrypted: the passphrase in X is wrong"},
            "wrong_passphrase",
            "/ca/ca.key can't be decrypted: the passphrase in X is wrong",
        ),
        (
            {"msg": "Python's cryptography 36 or newer is needed on ca's Python"},
            "no_cryptography",
            "the CA's host made none: Python's cryptography 36 or newer is needed on ca's Python",
        ),
        (
            {"unreachable": True, "msg": "Failed to connect to the host via ssh:\n timed out"},
            "ca_host_unreachable",
            "the CA's host can't be reached: Failed to connect to the host via ssh: timed out",
        ),
        ({"unreachable": True}, "ca_host_unreachable", "the CA's host can't be reached: it did not answer"),
        # Where a module fails, its problem is a word for machines.
        (
            {"problem": "input", "msg": "members is empty"},
            "no_stranger_made",
            "the CA's host made none: members is empty",
        ),
        ({}, "no_stranger_made", "the CA's host made none: it gave no reason"),
    ],
)
def test_why_there_is_no_stranger(answer: dict[str, t.Any], reason: str | None, text: str | None) -> None:
    found = pairs.why_no_stranger(answer)
    assert (None if found is None else found.reason) == reason
    assert (None if found is None else found.text) == text


# -- reasons that the judge knows better -----------------------------------------------------------------------------


def test_a_name_that_is_not_in_the_called_one_s_list() -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", "member", "refused", "common_name", inferred=True)
    results["etcd-2"]["info"]["process"]["settings"]["allowed_common_names"].remove("etcd-1.example.com")
    found = one(results, "etcd-1", "etcd-2", "member")
    assert (found["reason"], found["text"]) == ("common_name", "the running list has no etcd-1.example.com")


def test_the_name_in_the_certificate_is_the_one_that_counts() -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", "member", "refused", "common_name", inferred=True)
    results["etcd-1"]["info"]["credentials"]["certificate"]["common_name"] = "old.example.com"
    assert one(results, "etcd-1", "etcd-2", "member")["text"] == "the running list has no old.example.com"
    results["etcd-1"]["info"]["credentials"]["certificate"]["common_name"] = None
    assert one(results, "etcd-1", "etcd-2", "member")["reason"] == "alert"


def test_a_ca_that_the_called_one_does_not_trust() -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", "member", "refused", "common_name", inferred=True)
    results["etcd-2"]["info"]["credentials"]["ca"]["certificates"] = [authority("other CA")]
    found = one(results, "etcd-1", "etcd-2", "member")
    assert found["reason"] == "unknown_authority"
    assert found["text"] == "the CA of etcd-1's certificate is not in the trust bundle there"


def test_no_more_is_said_than_is_known() -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", "member", "refused", "common_name", inferred=True, text="as told")
    found = one(results, "etcd-1", "etcd-2", "member")
    assert (found["reason"], found["verdict"]) == ("alert", "failed")
    assert found["text"] == "the certificate is refused, and the running list has etcd-1.example.com"
    # Its list is not known: what the caller worked out stays.
    results["etcd-2"]["info"]["process"]["settings"] = None
    found = one(results, "etcd-1", "etcd-2", "member")
    assert (found["reason"], found["text"]) == ("common_name", "as told")


@pytest.mark.parametrize("reason", ["closed", "address"])
def test_a_serial_number_on_the_called_one_s_revocation_list(reason: str) -> None:
    results = sound(MEMBERS)
    set_probe(results, "etcd-1", "etcd-2", "member", "refused", reason, inferred=reason == "address", text="as told")
    assert one(results, "etcd-1", "etcd-2", "member")["reason"] == reason
    serial = fingerprint("etcd-1")[:40]
    results["etcd-2"]["revoked"] = [serial]
    found = one(results, "etcd-1", "etcd-2", "member")
    assert (found["reason"], found["inferred"]) == ("revoked", True)
    assert found["text"] == f"the certificate of etcd-1 (serial number {serial}) is on the revocation list there"


def test_what_was_seen_is_left_as_it_is() -> None:
    results = sound(MEMBERS)
    results["etcd-2"]["info"]["process"]["settings"]["allowed_common_names"] = []
    set_probe(results, "etcd-1", "etcd-2", "member", "refused", "expired", text="seen")
    assert one(results, "etcd-1", "etcd-2", "member")["text"] == "seen"
    # A stranger's reason is not sharpened by what is known of the member.
    set_probe(results, "etcd-1", "etcd-2", "stranger", "refused", "common_name", inferred=True, text="as told")
    assert one(results, "etcd-1", "etcd-2", "stranger")["text"] == "as told"


@pytest.mark.parametrize(
    ("outcome", "reason", "verdict"),
    [
        ("refused", "revoked", "ok"),
        ("accepted", None, "failed"),
        ("refused", "not_tls", "failed"),
        ("refused", "common_name", "unproved"),
        ("refused", "closed", "unproved"),
    ],
)
def test_who_is_revoked_has_to_be_refused_for_it(outcome: str, reason: str | None, verdict: str) -> None:
    """Called as such only where a certificate was made: then by all, or it is not shown."""
    results = sound(MEMBERS)
    assert not any(pair["case"] == "revoked" for pair in evaluated(results))
    for source, target in itertools.permutations([member.name for member in MEMBERS], 2):
        probe = next(call for call in results[source]["probes"] if (call["to"], call["case"]) == (target, "stranger"))
        results[source]["probes"].append({**probe, "case": "revoked", "outcome": "refused", "reason": "revoked"})
    assert {pair["verdict"] for pair in evaluated(results) if pair["case"] == "revoked"} == {"ok"}
    set_probe(results, "etcd-1", "etcd-2", "revoked", outcome, reason)
    assert one(results, "etcd-1", "etcd-2", "revoked")["verdict"] == verdict
    results["etcd-1"]["probes"] = [call for call in results["etcd-1"]["probes"] if call["case"] != "revoked"]
    assert one(results, "etcd-1", "etcd-2", "revoked")["verdict"] == "unproved"


@pytest.mark.parametrize(
    ("reason", "as_member", "verdict"),
    [
        ("address", "accepted", "ok"),
        ("address", "refused", "unproved"),
        ("closed", "accepted", "unproved"),
    ],
)
def test_who_is_revoked_and_called_by_names_alone(reason: str, as_member: str, verdict: str) -> None:
    """No address in the certificate: that the member's own is let in from here shows that it is not that."""
    results = sound(MEMBERS)
    for source, target in itertools.permutations([member.name for member in MEMBERS], 2):
        probe = next(call for call in results[source]["probes"] if (call["to"], call["case"]) == (target, "stranger"))
        results[source]["probes"].append({**probe, "case": "revoked", "outcome": "refused", "reason": "revoked"})
    set_probe(results, "etcd-1", "etcd-2", "revoked", "refused", reason)
    set_probe(results, "etcd-1", "etcd-2", "member", as_member, None if as_member == "accepted" else "alert")
    assert one(results, "etcd-1", "etcd-2", "revoked")["verdict"] == verdict
