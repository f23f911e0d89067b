# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change that is under way is told as one, and makes no proof better than it was."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.checks import Evidence, Thresholds
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.evaluate import evaluate
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.progress import progress_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.table import proof_table
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils import proof_evidence as given

MEMBERS = given.some_members()
Results = dict[str, t.Any]
Case = tuple[list[Member], Results]


# What the user gave: the CA at hand, and who is to go.
GIVEN: dict[str, t.Any] = {"authorities": {given.fingerprint("new CA")}, "removed": ["etcd-4"]}


def proof_of(members: list[Member], results: Results, **said: t.Any) -> dict[str, t.Any]:
    return evaluate(members, results, {}, given.ProofQuestion("blue", given.at(0), **(said or GIVEN)))


def other_domain(running: t.Sequence[str], presented: str = "example.com") -> Case:
    """``running``: the domains in every list; ``presented``: the one in every certificate."""
    entries = [{"name": one.name, "address": one.address} for one in MEMBERS]
    members = make_members(entries, ClusterSettings(name="blue", domain="example.org"))
    results = given.sound(members)
    for name, result in results.items():
        names = [f"{one.name}.{domain}" for domain in running for one in MEMBERS]
        result["info"]["process"]["settings"]["allowed_common_names"] = names
        result["info"]["unit"]["settings"]["allowed_common_names"] = names
        result["info"]["credentials"]["certificate"]["common_name"] = f"{name}.{presented}"
    return members, results


def two_authorities() -> Case:
    results = given.sound(MEMBERS)
    for result in results.values():
        both = [given.authority(), {**given.authority("new CA"), "issuer_common_name": "new CA"}]
        result["info"]["credentials"]["ca"]["certificates"] = both
    return MEMBERS, results


def widened(*names: str) -> Case:
    """The new CA is in the trust bundles of these alone."""
    members, results = two_authorities()
    for name in {*results} - {*names}:
        results[name]["info"]["credentials"]["ca"]["certificates"].pop()
    return members, results


def leaving(name: str = "etcd-4") -> Case:
    """One more is in the cluster's list, and in the lists of names."""
    results = given.sound(MEMBERS)
    for result in results.values():
        result["live_members"].append(
            {"member_id": "4", "name": name, "peer_urls": ["https://10.0.0.4:2380"], "is_learner": False}
        )
        for part in ("process", "unit"):
            result["info"][part]["settings"]["allowed_common_names"].append(f"{name}.example.com")
    return MEMBERS, results


def learner() -> Case:
    results = given.sound(MEMBERS)
    for result in results.values():
        result["live_members"][2]["is_learner"] = True
    return MEMBERS, results


def joining(added: bool) -> Case:
    results = given.sound(MEMBERS)
    results["etcd-3"]["info"]["process"].update(running=False, settings=None, pid=None, active_state="inactive")
    results["etcd-3"]["info"]["data"].update(exists=False, member_id=None, cluster_id=None)
    results["etcd-3"].update(live_members=None, live_members_problem="nobody answers", probes=[])
    for name in ("etcd-1", "etcd-2"):
        live, probes = results[name]["live_members"], results[name]["probes"]
        if added:
            live[2]["name"] = ""
        else:
            live.pop()
        for probe in probes:
            if probe["to"] == "etcd-3":
                probe.update(outcome="unreachable", reason="port_closed", server=None)
    return MEMBERS, results


def moving() -> Case:
    results = given.sound(MEMBERS)
    for result in results.values():
        result["live_members"][1]["peer_urls"] = ["https://10.0.0.2:2480"]
    results["etcd-2"]["info"]["process"]["settings"]["listen_peer_urls"].append("https://10.0.0.2:2480")
    return MEMBERS, results


def two_versions() -> Case:
    results = given.sound(MEMBERS)
    results["etcd-3"]["info"]["process"]["version"] = "3.6.16"
    results["etcd-3"]["info"]["etcd"]["version"] = "3.6.16"
    return MEMBERS, results


UNDER_WAY: dict[str, tuple[Case, str, set[str]]] = {
    "nothing of another domain is done yet": (other_domain(["example.com"]), "names", {"allowed_common_names"}),
    "lists have both": (other_domain(["example.com", "example.org"]), "names", {"allowed_common_names"}),
    "two CAs": (two_authorities(), "authorities", set()),
    "two CAs on one member": (widened("etcd-1"), "authorities", {"trust_bundle"}),
    "two CAs on all but one": (widened("etcd-2", "etcd-3"), "authorities", {"trust_bundle"}),
    "one that is to go": (leaving(), "leaving", {"live_members", "allowed_common_names"}),
    "a learner": (learner(), "learner", set()),
    "one that is to join": (joining(False), "joining", {"live_members", "running"}),
    "one that was added and did not start": (joining(True), "joining", {"live_members", "running"}),
    "one that moves": (moving(), "moving", {"peer_urls"}),
    "an upgrade": (two_versions(), "upgrade", set()),
}


@pytest.mark.parametrize("name", UNDER_WAY)
def test_a_change_under_way_is_told_and_its_findings_are_marked(name: str) -> None:
    case, code, marked = UNDER_WAY[name]
    proof = proof_of(*copy.deepcopy(case))
    (change,) = proof["changes"]
    assert change["code"] == code and change["subject"] and "\n" not in change["text"]
    assert {one["code"] for one in proof["findings"] if one["in_progress"]} == marked
    assert any(line.startswith("under way: ") for line in proof_table(proof))
    page = proof_page(proof)
    assert f'data-change="{code}"' in page and page.count("Change under way, not proved") >= bool(marked)


@pytest.mark.parametrize("name", UNDER_WAY)
def test_no_proof_is_better_for_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = UNDER_WAY[name][0]
    with_it = proof_of(*copy.deepcopy(case))
    nothing = "ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.evaluate.progress_of"
    empty = type(progress_of(Evidence([], {}, "list", Thresholds())))([], frozenset())
    monkeypatch.setattr(nothing, lambda evidence: empty)
    without = proof_of(*copy.deepcopy(case))
    for key in ("verdict", "passed", "summary", "checks", "pairs", "members"):
        assert with_it[key] == without[key]
    told = [{**one, "in_progress": False} for one in with_it["findings"]]
    assert sorted(told, key=str) == sorted(without["findings"], key=str)
    failing = [one for one in with_it["findings"] if one["fails"]]
    assert with_it["passed"] is (not failing)


def test_a_sound_cluster_has_nothing_under_way() -> None:
    proof = proof_of(MEMBERS, given.sound(MEMBERS))
    assert proof["changes"] == [] and "under way" not in str(proof_table(proof)) + proof_page(proof)


def test_what_lets_in_a_stranger_is_no_change() -> None:
    """A list with a name that nobody has, a member that nobody named, a URL at which nobody answers."""
    members, results = other_domain(["example.com", "example.org"])
    results["etcd-2"]["info"]["process"]["settings"]["allowed_common_names"].append("mallory.example.com")
    found = [one for one in proof_of(members, results)["findings"] if one["code"] == "allowed_common_names"]
    assert {one["subject"]: one["in_progress"] for one in found} == {"etcd-1, etcd-3": True, "etcd-2": False}
    # One that lacks a name which a member presents.
    members, results = other_domain(["example.com", "example.org"])
    # The list of its unit is the same one.
    results["etcd-2"]["info"]["process"]["settings"]["allowed_common_names"].remove("etcd-3.example.com")
    found = [one for one in proof_of(members, results)["findings"] if one["code"] == "allowed_common_names"]
    assert {one["subject"]: one["in_progress"] for one in found} == {"etcd-1, etcd-3": True, "etcd-2": False}
    # The old names, when nobody has them any more.
    assert proof_of(*other_domain(["example.com", "example.org"], "example.org"))["changes"] == []
    # One that shuts a member out.
    members, results = other_domain(["example.org"])
    assert proof_of(members, results)["changes"] == []
    results = given.sound(MEMBERS)
    for result in results.values():
        result["live_members"].append(
            {"member_id": "9", "name": "mallory", "peer_urls": ["https://10.0.0.9:2380"], "is_learner": True}
        )
    proof = proof_of(MEMBERS, results)
    assert not any(one["in_progress"] for one in proof["findings"]) and "mallory" not in str(proof["changes"])
    members, results = moving()
    results["etcd-2"]["info"]["process"]["settings"]["listen_peer_urls"].pop()
    proof = proof_of(members, results)
    assert proof["changes"] == [] and not any(one["in_progress"] for one in proof["findings"])
    # Another CA on some members alone, which nobody gave.
    for names in (["etcd-1"], ["etcd-2", "etcd-3"]):
        proof = proof_of(*widened(*names), authorities={given.fingerprint("etcd peer CA")})
        assert proof["changes"] == [] and not any(one["in_progress"] for one in proof["findings"])
    # The one that was given, and one more beside it.
    members, results = widened("etcd-1")
    results["etcd-1"]["info"]["credentials"]["ca"]["certificates"].append(given.authority("mallory's CA"))
    proof = proof_of(members, results)
    assert proof["changes"] == [] and not any(one["in_progress"] for one in proof["findings"])
    # One member that trusts the given one alone, and so none of the others.
    members, results = widened("etcd-1")
    results["etcd-1"]["info"]["credentials"]["ca"]["certificates"].pop(0)
    assert proof_of(members, results)["changes"] == []
    # A member of which nobody said that it is to go; and one that was said, and that not all list.
    for name, told_by in (("etcd-9", 3), ("etcd-4", 2)):
        members, results = leaving(name)
        for result in list(results.values())[told_by:]:
            result["live_members"].pop()
        proof = proof_of(members, results)
        assert proof["changes"] == [] and not any(one["in_progress"] for one in proof["findings"])
    # One that is to go, and a stranger beside it.
    members, results = leaving()
    for result in results.values():
        result["live_members"].append({**result["live_members"][3], "member_id": "9", "name": "mallory"})
    told = [one for one in proof_of(members, results)["findings"] if one["code"] == "live_members"]
    assert told and not any(one["in_progress"] for one in told)
    # A member whose data is gone is none that joins.
    members, results = joining(False)
    results["etcd-3"]["info"]["data"].update(exists=True)
    assert not any(one["in_progress"] for one in proof_of(members, results)["findings"])


def test_a_ca_above_the_one_that_issues_is_no_other_ca() -> None:
    results = given.sound(MEMBERS)
    for result in results.values():
        above = {**given.authority("root"), "issuer_common_name": "root"}
        result["info"]["credentials"]["ca"]["certificates"] = [
            {**given.authority(), "issuer_common_name": "root"},
            above,
        ]
    assert proof_of(MEMBERS, results)["changes"] == []


def test_the_page_calls_it_a_change_only_where_nothing_else_fails() -> None:
    members, results = other_domain(["example.com", "example.org"])
    for name, result in results.items():
        # What the certificates say is not what is wanted yet either.
        result["info"]["credentials"]["certificate"]["common_name"] = f"{name}.example.com"
    page = proof_page(proof_of(members, results))
    assert "Failed: not all is as it must be" in page
    assert "Not proved: a change is under way" in proof_page(proof_of(*moving()))
