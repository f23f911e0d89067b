# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check of the whole cluster says of certificates that are to be revoked, and of keys that have leaked."""

from __future__ import annotations

import copy
import dataclasses
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import MembershipChanges
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Cluster, PreflightQuestion
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import load_leaf
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.revocation_list import make_revocation_list
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict
from ansible_collections.ringfence.etcd.plugins.plugin_utils._revocation_asked import asked_revocation, revoked_members
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.checked_cluster import (
    CA,
    MEMBERS,
    NOW,
    OTHER_CA,
    SETTINGS,
    States,
    codes,
    evaluated,
    pending,
    run,
    state,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory


@pytest.fixture
def states() -> States:
    return {member.name: state(number) for number, member in enumerate(MEMBERS, 1)}


# What is revoked ------------------------------------------------------------------------------------------------------


def meant(serial_number: str, word: str = "etcd-9", **changes: t.Any) -> dict[str, t.Any]:
    """A certificate that a word means, as the CA's host tells it."""
    by_default = {"name": "etcd-9", "key": "k9", "by_name": True, "removed": False, "revoked": False}
    return {"serial_number": serial_number, "word": word, **by_default, **changes}


def authority(*to_revoke: dict[str, t.Any], **changes: t.Any) -> dict[str, t.Any]:
    known = {"certificate": CA.pem.decode(), "pending": [], "index_begun": "2026-01-01T00:00:00Z", "not_revoked": []}
    return {**known, "revocation_list_pem": None, "to_revoke": list(to_revoke), **changes}


def own(states: States, number: int) -> tuple[str, str]:
    """Serial number and key of what a member presents."""
    leaf = load_leaf(states[f"etcd-{number}"]["info"]["credentials"]["certificate"]["pem"], "it")
    return serial_hex(leaf.serial_number), keys.public_key_digest(t.cast(t.Any, leaf.public_key()))


def test_what_is_meant_is_revoked_and_told_as_pending(states: States) -> None:
    result = evaluated(states, revoked=["etcd-9"], ca=authority(meant("0abc"), meant("0def", revoked=True)))
    assert result["revoke"] == ["0abc"] and result["in_sync"] is False and codes(result) == []
    assert pending(result) == [(None, "ca", "revoke")]
    assert "etcd-9, serial number 0abc" in result["pending"][0]["text"]


def test_what_is_revoked_is_no_part_that_a_tag_may_leave_out(states: States) -> None:
    """Else the run would end well, and the certificate would still be good."""
    wanted = {"revoked": ["etcd-9"], "ca": authority(meant("0abc"))}
    assert codes(evaluated(states, **wanted, parts=["service", "verify"])) == ["parts"]
    assert codes(evaluated(states, **wanted, parts=["ca", "certificates", "service", "verify"])) == []


def test_what_is_revoked_already_is_no_change(states: States) -> None:
    result = evaluated(states, revoked=["etcd-9"], ca=authority(meant("0def", revoked=True)))
    assert result["revoke"] == [] and result["in_sync"] is True


@pytest.mark.parametrize("what", ["certificate", "key", "files of the process"])
def test_what_a_member_presents_is_not_revoked(what: str, states: States) -> None:
    serial_number, key = own(states, 2)
    wanted = meant("0abc", key=key) if what == "key" else meant(serial_number, key=key)
    if what == "files of the process":
        credentials = copy.deepcopy(states["etcd-2"]["info"]["credentials"])
        states["etcd-2"]["process_credentials"] = credentials
        states["etcd-2"]["info"]["credentials"]["certificate"]["pem"] = factory.member_pem(OTHER_CA).decode()
    result = evaluated(states, revoked=["x"], ca=authority(wanted))
    assert "revoked" in codes(result) and result["revoke"] == [] and result["in_sync"] is False
    # The members of these tests have one key.
    who = "etcd-1" if what == "key" else "etcd-2"
    assert any(f"member {who} still presents that" in one["text"] for one in result["failures"])


# Keys that have leaked ------------------------------------------------------------------------------------------------


def test_leaked_keys_are_replaced_before_anything_is_revoked(states: States) -> None:
    serial_number, _key = own(states, 2)
    known = authority(meant("0abc", "etcd-2", name="etcd-2", removed=True))
    result = evaluated(states, keys_leaked=["etcd-2"], ca=known)
    assert codes(result) == [] and result["revoke"] == [] and result["leaked"] == [serial_number]
    assert [request["new_key"] for request in result["requests"]] == [False, True, False]
    (told,) = result["pending"]
    assert (told["member"], told["part"], told["code"]) == ("etcd-2", "certificate", "key_leaked")
    assert "0abc" in told["text"] and serial_number in told["text"] and "its etcd restarted" in told["text"]
    assert result["transition"]["due"] is False and result["in_sync"] is False


def test_what_a_member_had_is_revoked_when_it_presents_another(states: States) -> None:
    serial_number, key = own(states, 2)
    # All that the index has of it, the new one too; and what it had, though the index does not know it.
    known = authority(
        meant(serial_number, "etcd-2", key=key, removed=True),
        meant("0abc", "etcd-2", removed=True),
        meant("0def", "etcd-2", removed=True, revoked=True),
    )
    again = {"keys_leaked": ["etcd-2"], "issued_to": ["etcd-2"], "ca": known}
    result = evaluated(states, **again, replaced_certificates=["0fff"])
    assert codes(result) == [] and result["revoke"] == ["0abc", "0fff"] and result["leaked"] == []
    assert [request["new_key"] for request in result["requests"]] == [False] * 3
    assert [one["code"] for one in result["pending"]] == ["revoke", "revoke"]
    # A member that kept what it had, for whatever reason.
    kept = evaluated(states, **again, replaced_certificates=[serial_number])
    assert codes(kept) == ["revoked"] and kept["revoke"] == []
    assert f"member etcd-2 still presents serial number {serial_number}" in kept["failures"][0]["text"]
    # None had any, and nothing is to be revoked.
    joined = evaluated(states, **{**again, "ca": authority()}, replaced_certificates=[])
    assert codes(joined) == [] and joined["revoke"] == []


def test_leaked_keys_are_not_replaced_by_halves(states: States) -> None:
    known = authority()
    limited = evaluated({name: states[name] for name in ("etcd-1", "etcd-3")}, keys_leaked=["etcd-2"], ca=known)
    assert any("etcd-2 is not seen in this run" in one["text"] for one in limited["failures"])
    tags = evaluated(states, keys_leaked=["etcd-2"], parts=["ca", "certificates"], ca=known)
    assert any("run it without tags" in one["text"] for one in tags["failures"])
    other = evaluated(states, keys_leaked=["etcd-2"], ca=authority(certificate=OTHER_CA.pem.decode()), new_ca=True)
    assert any("in the middle of another change" in one["text"] for one in other["failures"])
    unknown = authority(index_begun=None, pending=[{"code": "crypto", "text": "the index can't be read"}])
    (failure,) = evaluated(states, keys_leaked=["etcd-2"], ca=unknown)["failures"]
    assert failure["text"].startswith("etcd_peer_tls_keys_leaked: ") and "can't be read" in failure["text"]
    for result in (limited, tags, other):
        assert result["revoke"] == [] and all("\n" not in one["text"] for one in result["failures"])


def test_what_the_ca_does_not_know_is_refused(states: States) -> None:
    result = evaluated(states, revoked=["x"], ca=authority(meant("0abc"), not_revoked=["'x' is neither"]))
    assert codes(result) == ["revoked"] and result["revoke"] == []
    assert result["failures"][0]["text"] == "etcd_peer_tls_revoked: 'x' is neither"


@pytest.mark.parametrize(
    ("ca", "words"),
    [
        (authority(index_begun=None, pending=[{"code": "crypto", "text": "the index can't be read"}]), "can't be read"),
        ({"certificate": None, "pending": []}, "there is no CA yet"),
    ],
)
def test_without_an_index_nothing_is_revoked(ca: dict[str, t.Any], words: str, states: States) -> None:
    result = evaluated(states, revoked=["etcd-9"], ca=ca)
    assert "revoked" in codes(result) and words in str(result["failures"])


def test_a_removed_members_certificates_go_with_it(states: States) -> None:
    """And no sooner: one that stays in the cluster's list keeps what it has."""
    two = [member_as_dict(member) for member in MEMBERS[:2]]
    known = authority(meant("0abc", "etcd-3", name="etcd-3", removed=True))
    given = {name: states[name] for name in ("etcd-1", "etcd-2")}
    result = evaluated(given, members=two, removed=["etcd-3"], ca=known)
    assert result["removals"] == ["3"] and result["revoke"] == ["0abc"]
    stays = evaluated(given, members=two, removed=["etcd-3"], manages_service=False, ca=known)
    assert stays["removals"] == [] and stays["revoke"] == []
    assert "revoke" not in [one["code"] for one in stays["pending"]]
    for one in given.values():
        one["live_members"] = one["live_members"][:2]
    gone = evaluated(given, members=two, removed=["etcd-3"], ca=known)
    assert gone["removals"] == [] and gone["revoke"] == ["0abc"]
    silent = {name: {**one, "live_members": None} for name, one in given.items()}
    unknown = evaluated(silent, members=two, removed=["etcd-3"], ca=known)
    assert unknown["revoke"] == [] and "revoke" not in [one["code"] for one in unknown["pending"]]


def test_a_right_that_lacks_is_told_before_anything_is_changed(states: States) -> None:
    two = [member_as_dict(member) for member in MEMBERS[:2]]
    given = {name: {**states[name], "live_lacking_role": "root"} for name in ("etcd-1", "etcd-2")}
    assert codes(evaluated(given, members=two, removed=["etcd-3"])) == ["lacking_role"]
    assert codes(evaluated(given)) == []
    # Nobody tells the list to who gives no user: what comes of that is one line.
    for one in given.values():
        one.update(live_members=None, live_obstacle="auth", live_members_problem="HTTP 400: no")
    assert codes(evaluated(given, members=two, removed=["etcd-3"])) == ["change_auth"]


def test_a_removed_member_of_which_nothing_is_known_is_told(states: States) -> None:
    two = [member_as_dict(member) for member in MEMBERS[:2]]
    given = {name: states[name] for name in ("etcd-1", "etcd-2")}
    result, warnings = run(given, members=two, removed=["etcd-3"], ca=authority())
    assert codes(result) == [] and result["revoke"] == []
    assert any("no certificate of member etcd-3 is known" in line and "2026-01-01" in line for line in warnings)


def test_who_is_left_out_goes_on_accepting_and_that_is_told(states: States) -> None:
    given = {name: states[name] for name in ("etcd-1", "etcd-2")}
    _result, warnings = run(given, revoked=["etcd-9"], ca=authority(meant("0abc")), play=["etcd-1", "etcd-2"])
    assert any(line.startswith("etcd-3 will not refuse what is revoked now") for line in warnings)
    assert not any("will not refuse" in line for line in run(given, ca=authority()).warnings)


def test_who_comes_back_with_what_is_revoked_gets_another_key(states: States) -> None:
    serial_number, _key = own(states, 3)
    listed = make_revocation_list(CA.certificate, CA.key, {serial_number: NOW}, 1, NOW)
    result = evaluated(states, ca=authority(revocation_list_pem=listed.pem))
    assert [one["new_key"] for one in result["requests"]] == [False, False, True]
    assert pending(result) == [("etcd-3", "certificate", "revoked")]


@pytest.mark.parametrize(
    ("signer", "who", "taken"),
    [
        (CA, "all", ["0abc", "0def"]),
        (CA, "one", ["0abc", "0def"]),
        # Signed by nobody whom all trust: a host's own word.
        (OTHER_CA, "all", []),
        (OTHER_CA, "trusted by one", []),
    ],
)
def test_what_members_refuse_goes_onto_another_cas_list(
    signer: factory.Authority, who: str, taken: list[str], states: States
) -> None:
    """A new CA, or one whose index was lost: its list is never shorter than what members have."""
    listed = make_revocation_list(signer.certificate, signer.key, {"0abc": NOW, "0def": NOW}, 1, NOW)
    known = make_revocation_list(CA.certificate, CA.key, {"0123": NOW}, 1, NOW)
    for name in states if who == "all" else ["etcd-2"]:
        states[name]["info"]["crl"] = {
            "path": "/etc/etcd/pki/ca.crl",
            "pem": listed.pem,
            "serial_numbers": ["0abc", "0def"],
            "problem": None,
        }
    if who == "trusted by one":
        found = states["etcd-2"]["info"]["credentials"]["ca"]
        found["pem"] += OTHER_CA.pem.decode()
        found["certificates"].append({"fingerprint": certificates.fingerprint(OTHER_CA.certificate)})
    ca = authority(revocation_list_pem=known.pem)
    result = evaluated(states, ca=ca, settings={**SETTINGS, "revocation_list": True})
    assert ("revoke" in [one["code"] for one in result["pending"]]) is bool(taken)
    if not result["failures"]:
        assert result["revoke"] == taken
    # Where no list is kept, nothing is.
    assert evaluated(states, ca=ca)["revoke"] == []


def test_what_can_not_be_read_takes_nothing_over_and_is_no_certificate(states: States) -> None:
    """A bundle in which a host has no certificates trusts nobody; a certificate that is none presents nothing."""
    listed = make_revocation_list(CA.certificate, CA.key, {"0abc": NOW}, 1, NOW)
    crl = {"path": "/etc/etcd/pki/ca.crl", "pem": listed.pem, "serial_numbers": ["0abc"], "problem": None}
    for one in states.values():
        one["info"]["crl"] = crl
    question = PreflightQuestion(
        "blue", flag_settings=dataclasses.replace(FlagSettings(**SETTINGS), revocation_list=True)
    )
    cluster = Cluster(MEMBERS, {name: one["info"] for name, one in states.items()}, question, states)

    def found() -> tuple[str, ...]:
        return asked_revocation(cluster, MembershipChanges(), [], authority(), "").serial_numbers

    number, _key = own(states, 2)
    on_list = authority(revocation_list_pem=make_revocation_list(CA.certificate, CA.key, {number: NOW}, 1, NOW).pem)
    assert found() == ("0abc",) and revoked_members(cluster, on_list) == {"etcd-2": number}
    for broken in ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", ""):
        states["etcd-2"]["info"]["credentials"]["certificate"]["pem"] = broken
        assert revoked_members(cluster, on_list) == {}
        states["etcd-2"]["info"]["credentials"]["ca"]["pem"] = broken
        assert found() == ()
