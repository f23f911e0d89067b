# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import dataclasses
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    MembershipChanges,
    membership_changes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import WantedCluster
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.plugins.plugin_utils._transition import Change, Question, change_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.test_change_gather import (
    CA,
    FINGERPRINTS,
    LISTED,
    MEMBERS,
    OTHER_CA,
    SETTINGS,
    Case,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.test_unit_text import SETTINGS as ROLE_SETTINGS

NAMES = [member.name for member in MEMBERS]
OWN = {
    **ROLE_SETTINGS,
    "cluster_name": SETTINGS.cluster_name,
    "data_dir": SETTINGS.data_dir,
    "directory": SETTINGS.credentials_directory,
}


def asked(
    case: Case, domain: str = "example.com", addresses: t.Mapping[str, str] | None = None, **said: t.Any
) -> Change:
    places, membership = addresses or {}, said.pop("membership", MembershipChanges())
    members = make_members(
        [{"name": one.name, "host": one.host, "address": places.get(one.name, one.address)} for one in MEMBERS],
        ClusterSettings(name="blue", domain=domain, **said.pop("common", {})),
    )
    cluster = dataclasses.replace(case.cluster(), members=members)
    asks = dataclasses.replace(cluster.question, force_restart=said.pop("force_restart", False))
    cluster = dataclasses.replace(cluster, question=asks)
    question = Question(**{"settings": dict.fromkeys(NAMES, OWN), **said})
    return change_of(cluster, question, WantedCluster(), membership, factory.NOW)


def certificates_in(pem: t.Any) -> int:
    return str(pem).count("BEGIN CERTIFICATE")


def test_a_cluster_as_it_should_be_needs_no_pass() -> None:
    change = asked(Case())
    assert change.told["due"] is change.told["stopped"] is False and change.failures == ()
    assert change.trust_bundle == CA.pem.decode()


def test_the_first_pass_of_another_domain() -> None:
    change = asked(Case(), "example.org")
    assert change.failures == () and change.told["due"] is True and change.told["requests"] == []
    assert change.told["lines"][0].startswith("1 of 9: restart etcd-1 to accept more")
    assert set(change.told["hosts"]) == set(NAMES)
    host = change.told["hosts"]["etcd-3"]
    deployed = deployed_from_text(host["unit_content"])
    assert deployed is not None and deployed["allowed_common_names"] == [
        *(f"{name}.example.org" for name in NAMES),
        *(f"{name}.example.com" for name in NAMES),
    ]
    assert host["trust_bundle"] == CA.pem.decode() and host["moved_to"] is None and host["issued"] is False
    assert [one["client_url"] for one in change.told["members"]] == [one.client_url for one in MEMBERS]
    # What the other checks say of the same is left out, and nothing else.
    failures = [PreflightFailure("common_name_differs", ""), PreflightFailure("data_lost", "")]
    assert [one.code for one in change.allowed(failures)] == ["data_lost"]
    assert [one.code for one in asked(Case()).allowed(failures)] == ["common_name_differs", "data_lost"]


def test_a_change_that_is_told_to_stop() -> None:
    case = Case()
    change = asked(case, "example.org", stop_after="widen")
    for name in NAMES:
        settings = deployed_from_text(change.told["hosts"][name]["unit_content"])
        info = case.states[name]["info"]
        info["unit"]["settings"] = info["process"]["settings"] = settings
    stopped = asked(case, "example.org", stop_after="widen")
    assert stopped.told["due"] is False and stopped.told["stopped"] is True
    assert stopped.transition.plan.notes == ("stopped after the phase widen, as etcd_peer_tls_stop_after says",)
    assert stopped.allowed([PreflightFailure("common_name_differs", "")]) == []
    on = asked(case, "example.org")
    assert on.told["due"] is True and [one["name"] for one in on.told["requests"]] == ["etcd-1"]
    assert on.told["requests"][0]["common_name"] == "etcd-1.example.org"
    assert on.told["hosts"] == {
        "etcd-1": {"issued": True, "moved_to": None, "unit_content": None, "trust_bundle": None}
    }


def deployed(case: Case, change: Change, *names: str) -> None:
    """The pass is done on these hosts, and their members run with it."""
    for name in names:
        settings = deployed_from_text(change.told["hosts"][name]["unit_content"])
        info = case.states[name]["info"]
        info["unit"]["settings"] = info["process"]["settings"] = settings


def test_tls_goes_from_the_client_port() -> None:
    """By another port. Members that still have it are asked with the files of etcd's own flags."""
    case = Case()
    off = {
        "common": {"client_tls": False, "client_port": 2479},
        "settings": {name: {**OWN, "client_tls": False, "client_port": 2479} for name in NAMES},
    }
    case.settings = dataclasses.replace(SETTINGS, client_tls=False, client_port=2479)
    first = asked(case, **copy.deepcopy(off))
    assert first.failures == () and [one["client_url"] for one in first.told["members"]] == [
        f"https://10.0.0.{number}:2379" for number in (1, 2, 3)
    ]
    pki = SETTINGS.credentials_directory
    assert first.told["client_files"]["etcd-2"] == {
        "ca": f"{pki}/ca.crt",
        "cert": f"{pki}/etcd-2.crt",
        "key": f"{pki}/etcd-2.key",
    }
    unit = deployed_from_text(first.told["hosts"]["etcd-2"]["unit_content"])
    assert unit is not None and unit["flags"]["trusted-ca-file"] == f"{pki}/ca.crt"
    assert unit["client_urls"] == ["http://10.0.0.2:2479", "https://10.0.0.2:2379"]
    # Some have both, and one has not yet: each is asked where it answers in the whole pass.
    deployed(case, first, "etcd-1", "etcd-3")
    second = asked(case, **copy.deepcopy(off))
    assert list(second.told["hosts"]) == ["etcd-2"]
    assert [one["client_url"] for one in second.told["members"]] == [
        "http://10.0.0.1:2479",
        "https://10.0.0.2:2379",
        "http://10.0.0.3:2479",
    ]
    assert second.told["client_files"]["etcd-1"]["cert"] == f"{pki}/etcd-1.crt"
    deployed(case, second, "etcd-2")
    third = asked(case, **copy.deepcopy(off))
    assert third.told["client_files"] == {} and {one["client_url"][:5] for one in third.told["members"]} == {"http:"}
    last = deployed_from_text(third.told["hosts"]["etcd-2"]["unit_content"])
    assert last is not None and "cert-file" not in last["flags"] and last["client_urls"] == ["http://10.0.0.2:2479"]
    # One without a trace of its files has those that the role writes.
    deployed(case, third, "etcd-1", "etcd-2")
    case.states["etcd-3"]["info"]["process"]["settings"]["client_urls"] = ["https://10.0.0.3:2379"]
    case.states["etcd-3"]["info"]["process"]["settings"]["listen_client_urls"] = ["https://10.0.0.3:2379"]
    assert asked(case, **copy.deepcopy(off)).told["client_files"]["etcd-1"]["key"] == f"{pki}/etcd-1.key"


def test_who_is_connected_is_cut_off_only_where_that_was_said() -> None:
    case = Case()
    case.settings = dataclasses.replace(SETTINGS, revocation_list=True)
    for state in case.states.values():
        state["info"]["crl"] = {"path": "/etc/etcd/pki/ca.crl", "pem": None, "serial_numbers": ["a1"], "problem": None}
        state["info"]["process"]["crl_is_newer"] = True
    for said in ({}, {"disconnect": True}):
        change = asked(case, "example.org", revoked=["a1"], **said)
        kinds = [step.kind for step in change.transition.plan.steps]
        assert change.transition.plan.refusal is None and "disconnect" not in kinds
        assert not asked(case, revoked=["a1"], **said).told["due"]
    # Put there by this run, after the first passes.
    for state in case.states.values():
        state["info"]["crl"]["serial_numbers"] = []
    for said, count in (({}, 0), ({"disconnect": True}, 3)):
        change = asked(case, "example.org", revoked=["a1"], **said)
        assert [step.kind for step in change.transition.plan.steps].count("disconnect") == count


def test_another_ca() -> None:
    case = Case()
    case.authority = OTHER_CA.pem.decode()
    refused = asked(case)
    assert [failure.code for failure in refused.failures] == ["new_ca_not_said"]
    change = asked(case, new_ca=True)
    assert change.failures == () and certificates_in(change.told["hosts"]["etcd-1"]["trust_bundle"]) == 2
    assert certificates_in(change.trust_bundle) == 2
    # Where it is still to be made there is no certificate, and a plan all the same.
    case.authority = None
    made = asked(case, new_ca=True)
    assert made.trust_bundle is None and made.told["hosts"] == {} and "the CA (to be made)" in made.told["text"]
    assert asked(case).told["due"] is False


def test_another_ca_waits_for_a_pair_of_the_clients_own() -> None:
    """Where clients have a CA of their own, and get the certificate of the peers: theirs did not sign the new one."""
    pki = SETTINGS.credentials_directory
    clients = {"client_ca_file": "/c/ca.crt", "client_key_file": "/c/key"}
    case = Case()
    case.authority = OTHER_CA.pem.decode()
    case.settings = dataclasses.replace(SETTINGS, **clients, client_cert_file=f"{pki}/etcd-2.crt")
    (failure,) = asked(case, new_ca=True).failures
    assert failure.code == "pair_for_clients" and failure.text.startswith("member etcd-2: its peer certificate would")
    # Other names of the same CA are none of their business, and with a pair of their own neither is another CA.
    assert "pair_for_clients" not in [one.code for one in asked(case, new_ca=True, stop_after="widen").failures]
    case.settings = dataclasses.replace(SETTINGS, **clients, client_cert_file="/c/crt")
    assert asked(case, new_ca=True).failures == ()
    case.authority = CA.pem.decode()
    case.settings = dataclasses.replace(SETTINGS, **clients, client_cert_file=f"{pki}/etcd-2.crt")
    assert asked(case, "example.org").failures == ()


def test_the_old_ca_stays_until_it_is_named() -> None:
    case = Case()
    for state in case.states.values():
        state["info"]["credentials"]["ca"]["pem"] = CA.pem.decode() + OTHER_CA.pem.decode()
        state["info"]["credentials"]["ca"]["certificates"] = [
            {"fingerprint": FINGERPRINTS[CA]},
            {"fingerprint": FINGERPRINTS[OTHER_CA]},
        ]
    kept = asked(case)
    assert kept.told["due"] is False and certificates_in(kept.trust_bundle) == 2
    assert "drop it with etcd_peer_tls_retire_ca" in kept.transition.plan.notes[0]
    colons = ":".join(FINGERPRINTS[OTHER_CA][at : at + 2] for at in range(0, 64, 2)).upper()
    retired = asked(case, retire_ca=[colons])
    assert retired.told["due"] is True and certificates_in(retired.trust_bundle) == 1
    assert certificates_in(retired.told["hosts"]["etcd-1"]["trust_bundle"]) == 1
    # One that a single member has in its bundle is no part of the cluster's trust.
    alone = case.states["etcd-2"]["info"]["credentials"]["ca"]
    alone["pem"], alone["certificates"] = CA.pem.decode(), alone["certificates"][:1]
    assert certificates_in(asked(case).trust_bundle) == 1


def test_what_ends_a_change() -> None:
    change = asked(Case(), "example.org")
    text = change.told["text"]
    assert [one.code for one in asked(Case(), "example.org", passed=text).failures] == ["no_progress"]
    assert [one.code for one in asked(Case(), "example.org", is_whole=False).failures] == ["parts"]
    # Forced restarts would be at once.
    assert [one.code for one in asked(Case(), "example.org", force_restart=True).failures] == ["forced"]
    assert asked(Case(), force_restart=True).failures == ()
    case = Case()
    probe = {"to": "etcd-1", "case": "member", "outcome": "refused", "text": "alert bad certificate"}
    case.states["etcd-2"]["probes"] = [probe, {**probe, "case": "stranger"}, {**probe, "outcome": "accepted"}]
    (failure,) = asked(case, "example.org", issued_to=["etcd-1"]).failures
    assert failure.text == (
        "member etcd-2 and etcd-1 do not take each other for peers after a certificate was issued to etcd-1 (alert bad "
        "certificate): nothing more is changed: see the log of both, then run again"
    )
    assert asked(case, "example.org", issued_to=["etcd-3"]).failures == ()
    # One that is to join when the change is done is nobody's peer yet.
    for name in ("etcd-1", "etcd-2"):
        joins = MembershipChanges(joins=(name,))
        assert "not_met" not in [one.code for one in asked(case, issued_to=["etcd-1"], membership=joins).failures]
    # Its process speaks http so far, and shows its first certificate to nobody.
    case.states["etcd-1"]["info"]["process"]["settings"]["files"]["peer_cert_file"] = None
    assert "not_met" not in [one.code for one in asked(case, "example.org", issued_to=["etcd-1"]).failures]


@pytest.mark.parametrize("settings", [{}, {"etcd-1": OWN}])
def test_without_the_hosts_settings_the_plan_is_told_alone(settings: dict[str, t.Any]) -> None:
    change = asked(Case(), "example.org", settings=settings)
    assert change.told["due"] is True and change.told["hosts"] == {} and len(change.told["lines"]) == 9


def test_while_a_member_moves_its_certificate_has_the_names_of_both_places() -> None:
    """An address among the addresses, a DNS name among the names, each once."""
    case = Case()
    (request,) = asked(case, addresses={"etcd-2": "new.example.net"}).told["requests"]
    assert request["name"] == "etcd-2"
    assert "10.0.0.2" in request["ip_addresses"] and "new.example.net" in request["dns_names"]
    places = asked(case, addresses={"etcd-2": "new.example.net"}).told["places"]
    assert places == {"etcd-1": ["10.0.0.1"], "etcd-2": ["10.0.0.2"], "etcd-3": ["10.0.0.3"]}
    assert asked(case).told["places"] == {}
    # And back from a place that has a name.
    listed = [
        {**one, "peer_urls": ["https://old.example.net:2380"]} if one["name"] == "etcd-2" else one for one in LISTED
    ]
    for state in case.states.values():
        state["live_members"] = listed
    (request,) = asked(case).told["requests"]
    assert request["name"] == "etcd-2" and request["dns_names"].count("old.example.net") == 1
    assert request["ip_addresses"].count("10.0.0.2") == 1


# Members that come and go ---------------------------------------------------------------------------------------------


def with_one_more(case: Case, **said: t.Any) -> Change:
    """A fourth one is in the inventory, and its host is empty."""
    members = make_members(
        [*({"name": one.name, "host": one.host, "address": one.address} for one in MEMBERS), FOURTH],
        ClusterSettings(name="blue", domain=said.pop("domain", "example.com")),
    )
    info = copy.deepcopy(case.info)
    info.update(data={"exists": False, "problem": None}, credentials={}, formed_marker={"exists": False})
    info["unit"] = {"managed": False, "settings": None, "enabled": False, "added_flags": {}}
    info["addresses"] = ["10.0.0.4"]
    info["process"] = {"running": False, "configuration_hash": None, "settings": None, "version": None}
    state = {"info": info, "process_credentials": None, "pending": [], "live_members": None}
    states = {**case.states, "etcd-4": state}
    base = case.cluster()
    cluster = dataclasses.replace(
        base, members=members, infos={name: one["info"] for name, one in states.items()}, states=states
    )
    question = Question(settings=dict.fromkeys([*NAMES, "etcd-4"], OWN), **said)
    return change_of(cluster, question, WantedCluster(), membership_changes(cluster), factory.NOW)


FOURTH = {"name": "etcd-4", "host": "host-4", "address": "10.0.0.4"}


def test_a_member_that_joins_is_told_though_no_pass_is_due() -> None:
    change = with_one_more(Case())
    assert change.told["due"] is change.told["stopped"] is False and change.failures == ()
    assert change.told["hosts"] == {} and change.told["requests"] == [] and change.told["text"] == ""
    first, *_restarts, add, promote = change.told["lines"]
    assert first.startswith("1 of 6: issue the first certificate of etcd-4: it has none; all votes stay")
    assert add.startswith("5 of 6: add etcd-4 as a learner") and promote.startswith("6 of 6: promote etcd-4")


def test_a_member_that_joins_is_told_after_the_passes_of_a_change() -> None:
    change = with_one_more(Case(), domain="example.org")
    # Nine steps of the other names, then a certificate, three restarts, and the join.
    assert change.told["due"] is True and set(change.told["hosts"]) == set(NAMES)
    assert len(change.told["lines"]) == 15 and change.told["lines"][-2].startswith("14 of 15: add etcd-4")
    assert change.told["text"].endswith(", 12 steps after that")
    assert (change.told["steps"], change.told["steps_done"]) == (3, 0)
    assert change.told["now"]["pass"] == change.told["lines"][:3]
    assert change.told["now"]["rest"] == change.told["lines"][9:13]
    assert change.told["now"]["joins"] == change.told["lines"][13:]
    later = with_one_more(Case(), domain="example.org", steps_done=4).told
    assert later["steps_done"] == 4
    assert later["now"]["pass"][0].startswith("5 of 19: restart etcd-1 to accept more")
    assert later["now"]["joins"][1].startswith("19 of 19: promote etcd-4")
    stopped = with_one_more(Case(), domain="example.org", stop_after="widen")
    assert stopped.told["due"] is True
    assert [line.partition(" etcd-")[0] for line in stopped.told["lines"]] == [f"{n} of 3: restart" for n in (1, 2, 3)]


def test_by_tags_no_plan_is_told_of_members_that_join() -> None:
    assert with_one_more(Case(), is_whole=False).told["lines"] == []


def test_a_member_that_leaves_is_told() -> None:
    case = Case()
    states = {name: state for name, state in case.states.items() if name != "etcd-3"}
    base = case.cluster()
    question = dataclasses.replace(base.question, removed=["etcd-3"])
    infos = {name: state["info"] for name, state in states.items()}
    cluster = dataclasses.replace(base, members=MEMBERS[:2], infos=infos, states=states, question=question)
    asks = Question(settings=dict.fromkeys(NAMES, OWN))
    change = change_of(cluster, asks, WantedCluster(), membership_changes(cluster), factory.NOW)
    assert change.told["due"] is False and change.failures == ()
    # It has left when the rest begins.
    assert change.told["steps_done"] == 1
    assert change.told["now"] == {
        "removals": change.told["lines"][:1],
        "pass": [],
        "rest": change.told["lines"][1:],
        "joins": [],
    }
    assert [line.partition(";")[0] for line in change.told["lines"]] == [
        "1 of 3: remove etcd-3: this run says that it leaves",
        "2 of 3: restart etcd-1 to accept less: nobody needs the names etcd-3.example.com any more",
        "3 of 3: restart etcd-2 to accept less: nobody needs the names etcd-3.example.com any more",
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"name": "", "peer_urls": ["https://10.0.0.9:2380"], "client_urls": []},
        {"name": "etcd-9", "peer_urls": ["https://10.0.0.9:2380"], "client_urls": ["https://10.0.0.9:2379"]},
    ],
)
def test_lists_get_no_shorter_while_a_learner_is_not_said_to_go(more: dict[str, t.Any]) -> None:
    """It was added, and its host left the inventory: its name is one that somebody needs."""
    case = Case()
    for state in case.states.values():
        state["live_members"].append({"member_id": "a9", "is_learner": True, **more})
        for part in ("unit", "process"):
            state["info"][part]["settings"]["allowed_common_names"].append("etcd-9.example.com")
    change = asked(case)
    assert change.told["due"] is False
    lost = PreflightFailure("name_would_be_lost", "")
    assert change.allowed([lost]) == [lost]
