# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each fault is found by the check of its own name, at the member that has it, and by no other."""

from __future__ import annotations

import copy
import pathlib
import re
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_proof as module
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof import checks
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import (
    Results,
    at,
    authority,
    certificate,
    fingerprint,
    some_members,
    sound,
)

MEMBERS = some_members()
NAMES = [member.common_name for member in MEMBERS]
SETTINGS = "info.process.settings"
CERTIFICATE = "info.credentials.certificate"
BUNDLE = "info.credentials.ca"


def entries(results: Results, **question: t.Any) -> list[checks.Entry]:
    thresholds = checks.Thresholds(**question.pop("thresholds", {}))
    members = question.pop("members", MEMBERS)
    return checks.evaluate_checks(checks.Evidence(members, results, question.pop("identity", "list"), thresholds))


def bad(results: Results, **question: t.Any) -> dict[tuple[str, str | None], tuple[str, str]]:
    """Verdict and text of what is not ok, by check and member; each says what to do, in one line."""
    found = [entry for entry in entries(results, **question) if entry["verdict"] != "ok"]
    assert all(entry["remedy"] and "\n" not in entry["text"] + entry["remedy"] for entry in found)
    by_name = {(entry["check"], entry["member"]): (entry["verdict"], entry["text"]) for entry in found}
    assert len(by_name) == len(found)
    return by_name


def put(results: Results, member: str, path: str, value: t.Any) -> None:
    """Set one fact by its dotted path; a key that is not there would be a test of nothing."""
    *folders, last = path.split(".")
    place: t.Any = results[member]
    for folder in folders:
        place = place[folder]
    assert last in place, path
    place[last] = value


def test_a_sound_cluster_is_ok_and_each_check_is_shown() -> None:
    found = entries(sound(MEMBERS))
    assert {entry["verdict"] for entry in found} == {"ok"}
    assert all(entry["remedy"] == "" for entry in found)
    seen = {entry["check"] for entry in found}
    # Said only where there is something to say: no flag to warn of, the key fits, there is a certificate.
    assert documented() - seen == {
        *("flags", "private_key", "certificate", "state_gathered"),
        *("revocation_list", "alarms"),
    }


def documented() -> set[str]:
    found = re.search(r"One of (V\(running\).*?)\n {10}type", module.RETURN, re.DOTALL)
    assert found is not None
    return set(re.findall(r"V\((\w+)\)", found.group(1)))


def test_the_documents_name_the_checks_that_there_are() -> None:
    text = (pathlib.Path(module.__file__).parents[2] / "docs" / "proof.md").read_text(encoding="utf-8")
    table = text.split("## What is compared")[1].split("## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == documented()
    assert {check for _title, _put, check, *_rest in FAULTS} == documented() - {"state_gathered"}


_OTHER_CA = authority("other CA")
_FLAGS = {"name": "etcd-2", "peer-client-cert-auth": "true"}

# What is put into etcd-2, the check that names it, its verdict and words of its text.
FAULTS: list[tuple[str, dict[str, t.Any], str, str, str]] = [
    (
        "process can't be looked at",
        {SETTINGS: None, "info.process.problem": "not root"},
        "running",
        "unproved",
        "can't be read: not root",
    ),
    (
        "stale bundle",
        {"info.process.newer_files": ["/etc/etcd/pki/ca.crt"]},
        "process_current",
        "warning",
        "/etc/etcd/pki/ca.crt at start only",
    ),
    (
        "unit changed",
        {"info.unit.settings": {"flags": {}, "allowed_common_names": NAMES}},
        "process_current",
        "warning",
        "other flags than /etc/systemd/system/etcd.service",
    ),
    (
        "name lacking",
        {f"{SETTINGS}.allowed_common_names": NAMES[:2], "info.unit.settings": None},
        "allowed_common_names",
        "failed",
        "the running list lacks etcd-3.example.com",
    ),
    (
        "name too many",
        {f"{SETTINGS}.allowed_common_names": [*NAMES, "mallory", ""], "info.unit.settings": None},
        "allowed_common_names",
        "failed",
        "the running list has mallory, an empty name, which no member has",
    ),
    (
        "both, after the unit was mended",
        {f"{SETTINGS}.allowed_common_names": [*NAMES[1:], "x"]},
        "allowed_common_names",
        "failed",
        "lacks etcd-1.example.com and has x, which no member has; the unit's file is right, the process is older",
    ),
    (
        "no list",
        {f"{SETTINGS}.allowed_common_names": []},
        "allowed_common_names",
        "failed",
        "any certificate of the CA is let in",
    ),
    (
        "hostnames",
        {f"{SETTINGS}.allowed_hostnames": ["*.example.com"]},
        "identity",
        "failed",
        "identity hostname, the cluster's is list",
    ),
    (
        "plain port",
        {f"{SETTINGS}.listen_peer_urls": ["https://10.0.0.2:2380", "http://10.9.9.9:2380"]},
        "peer_tls",
        "failed",
        "without TLS: http://10.9.9.9:2380",
    ),
    ("auto TLS", {f"{SETTINGS}.flags": {**_FLAGS, "peer-auto-tls": "true"}}, "peer_tls", "failed", "--peer-auto-tls"),
    (
        "no CA",
        {f"{SETTINGS}.files.peer_trusted_ca_file": None},
        "peer_tls",
        "failed",
        "--peer-trusted-ca-file is missing: no peer is verified",
    ),
    (
        "intent not stated",
        {f"{SETTINGS}.flags": {"name": "etcd-2"}},
        "peer_tls",
        "warning",
        "--peer-client-cert-auth is missing",
    ),
    (
        "intent denied",
        {f"{SETTINGS}.flags": {**_FLAGS, "peer-client-cert-auth": "F"}},
        "peer_tls",
        "warning",
        "--peer-client-cert-auth is missing",
    ),
    (
        "auto TLS in another spelling",
        {f"{SETTINGS}.flags": {**_FLAGS, "peer-auto-tls": "T"}},
        "peer_tls",
        "failed",
        "--peer-auto-tls",
    ),
    (
        "told by a file",
        {f"{SETTINGS}.flags": {**_FLAGS, "config-file": "/etc/etcd/etcd.yml"}},
        "allowed_common_names",
        "unproved",
        "etcd was told by /etc/etcd/etcd.yml, for which it ignores every flag",
    ),
    (
        "told twice",
        {
            "info.unit.settings": {
                "flags": _FLAGS,
                "warnings": [{"code": "set_twice", "text": "ETCD_NAME beside --name"}],
            }
        },
        "next_start",
        "warning",
        "the next start will fail: ETCD_NAME beside --name",
    ),
    (
        "program gone",
        {"info.etcd.problem": "/usr/bin/etcd does not exist", "info.etcd.version": None},
        "next_start",
        "warning",
        "the next start will fail: /usr/bin/etcd does not exist",
    ),
    (
        "program replaced",
        {"info.process.version": "3.5.15"},
        "next_start",
        "warning",
        "etcd 3.5.15 runs, the next start will be etcd 3.5.16: /usr/bin/etcd was replaced",
    ),
    (
        "unit that can't be read",
        {"info.unit.settings": None, "info.unit.problem": "/etc/default/etcd does not exist"},
        "next_start",
        "warning",
        "what the next start will be is not known: /etc/default/etcd does not exist",
    ),
    (
        "broken revocation list",
        {"revocation_list_problem": "/etc/etcd/peer.crl does not exist"},
        "revocation_list",
        "failed",
        "every new connection is refused: /etc/etcd/peer.crl does not exist",
    ),
    (
        "revocation list newer than the process",
        {"info.process.crl_is_newer": True},
        "revocation_list",
        "warning",
        "who is revoked since may be connected still",
    ),
    (
        "no space left",
        {"live_alarms": [{"member_id": "2", "alarm": "NOSPACE"}]},
        "alarms",
        "warning",
        "alarm NOSPACE is on, raised by etcd-2: the database has reached its quota",
    ),
    (
        "risky flag",
        {f"{SETTINGS}.warnings": [{"code": "x", "text": "--force-new-cluster is set"}]},
        "flags",
        "warning",
        "--force-new-cluster is set",
    ),
    (
        "etcd without lists",
        {"info.etcd.version": "3.5.12", "info.process.version": "3.5.12"},
        "etcd_version",
        "failed",
        "compares it whole",
    ),
    (
        "not an etcd",
        {"info.etcd.version": "three", "info.process.version": None},
        "etcd_version",
        "failed",
        "is no etcd version",
    ),
    (
        "key of another user",
        {"unreadable_files": [{"path": "/k", "text": "/k (0600 root:root) is not readable"}]},
        "files_readable",
        "failed",
        "user etcd can't read what etcd needs: /k (0600 root:root)",
    ),
    (
        "one CA more",
        {f"{BUNDLE}.certificates": [authority(), _OTHER_CA]},
        "trust_bundle",
        "failed",
        f"/etc/etcd/pki/ca.crt also trusts other CA ({_OTHER_CA['fingerprint'][:16]}), other than most members",
    ),
    (
        "another CA",
        {f"{BUNDLE}.certificates": [_OTHER_CA]},
        "trust_bundle",
        "failed",
        f"and does not trust {fingerprint('etcd peer CA')[:16]}",
    ),
    (
        "no bundle",
        {f"{BUNDLE}.certificates": [], f"{BUNDLE}.state": "absent"},
        "trust_bundle",
        "failed",
        "/etc/etcd/pki/ca.crt does not exist",
    ),
    (
        "broken bundle",
        {f"{BUNDLE}.certificates": [], f"{BUNDLE}.problem": "ca.crt is empty"},
        "trust_bundle",
        "failed",
        "can't be read: ca.crt is empty",
    ),
    (
        "bundle that is hidden from us",
        {f"{BUNDLE}.certificates": [], f"{BUNDLE}.problem": "denied", "info.user.module_user": "alice"},
        "trust_bundle",
        "unproved",
        "can't be read: denied",
    ),
    (
        "no certificate",
        {f"{CERTIFICATE}.fingerprint": None, f"{CERTIFICATE}.state": "absent", f"{CERTIFICATE}.days_left": None},
        "certificate",
        "failed",
        "/etc/etcd/pki/etcd-2.crt does not exist",
    ),
    (
        "broken certificate",
        {
            f"{CERTIFICATE}.fingerprint": None,
            f"{CERTIFICATE}.problem": "broken PEM",
            f"{CERTIFICATE}.days_left": None,
        },
        "certificate",
        "failed",
        "broken PEM",
    ),
    (
        "certificate that is hidden from us",
        {
            f"{CERTIFICATE}.fingerprint": None,
            f"{CERTIFICATE}.problem": "denied",
            f"{CERTIFICATE}.days_left": None,
            "info.user.module_user": "alice",
        },
        "certificate",
        "unproved",
        "denied",
    ),
    (
        "certificate of another",
        {f"{CERTIFICATE}.common_name": "etcd-9.example.com"},
        "common_name",
        "failed",
        "common name is etcd-9.example.com, the member's is etcd-2.example.com",
    ),
    (
        "certificate without a name",
        {f"{CERTIFICATE}.common_name": None},
        "common_name",
        "failed",
        "the certificate has no common name, the member's is etcd-2.example.com",
    ),
    (
        "no names",
        {f"{CERTIFICATE}.dns_names": [], f"{CERTIFICATE}.ip_addresses": []},
        "subject_alternative_names",
        "failed",
        "has no subject alternative name: etcd then skips",
    ),
    (
        "address lacking",
        {f"{CERTIFICATE}.ip_addresses": ["127.0.0.1", "::1"]},
        "subject_alternative_names",
        "failed",
        "no subject alternative name for 10.0.0.2, which the others dial (it has 127.0.0.1, ::1, etcd-2",
    ),
    (
        "loopback lacking",
        {f"{CERTIFICATE}.ip_addresses": ["10.0.0.2"]},
        "subject_alternative_names",
        "warning",
        "lack 127.0.0.1, ::1",
    ),
    (
        "server only",
        {f"{CERTIFICATE}.extended_key_usage": ["serverAuth"]},
        "extended_key_usage",
        "failed",
        "lacks the extended key usage clientAuth",
    ),
    (
        "no usage at all",
        {f"{CERTIFICATE}.extended_key_usage": None},
        "extended_key_usage",
        "failed",
        "serverAuth and clientAuth",
    ),
    (
        "a pipe among the logs",
        {"info.data.cluster_id": None, "info.data.problem": "/d/member/wal/z.wal is not a regular file: move it away"},
        "data_folder",
        "warning",
        "/d/member/wal/z.wal is not a regular file",
    ),
    (
        "key of another certificate",
        {"info.credentials.private_key.matches_certificate": False},
        "private_key",
        "failed",
        "/etc/etcd/pki/etcd-2.key is not the certificate's",
    ),
    (
        "served another",
        {f"{CERTIFICATE}.fingerprint": "f" * 64},
        "served_certificate",
        "failed",
        f"serves the certificate {fingerprint('etcd-2')[:16]}, deployed is ffffffffffffffff",
    ),
    (
        "not yet valid",
        {f"{CERTIFICATE}.not_before": at(1)},
        "certificate_days",
        "failed",
        f"not valid before {at(1)}",
    ),
    (
        "expired",
        {f"{CERTIFICATE}.not_after": at(-1), f"{CERTIFICATE}.days_left": -1},
        "certificate_days",
        "failed",
        f"has expired at {at(-1)}",
    ),
    (
        "ends soon",
        {f"{CERTIFICATE}.not_after": at(13), f"{CERTIFICATE}.days_left": 13},
        "certificate_days",
        "warning",
        f"13 days left, until {at(13)}: fewer than 14",
    ),
    (
        "live list not known",
        {"live_members": None, "live_members_problem": "no answer"},
        "live_members",
        "unproved",
        "not known: no answer",
    ),
    (
        "live list short",
        {"live_members": [{"name": member.name, "peer_urls": [member.peer_url]} for member in MEMBERS[:2]]},
        "live_members",
        "failed",
        "etcd-3 is named, and etcd knows no such member",
    ),
    (
        "one added and not started",
        {
            "live_members": [
                *({"name": member.name, "peer_urls": [member.peer_url]} for member in MEMBERS[:2]),
                {"name": "", "peer_urls": [MEMBERS[2].peer_url], "member_id": "9"},
            ]
        },
        "live_members",
        "failed",
        "etcd-3 was added (9), and has not started",
    ),
    (
        "live list long",
        {
            "live_members": [
                *({"name": member.name, "peer_urls": [member.peer_url]} for member in MEMBERS),
                {"name": "old", "peer_urls": ["https://10.0.0.8:2380"], "member_id": "8"},
                {"name": "", "peer_urls": ["https://10.0.0.9:2380"], "member_id": "9"},
            ]
        },
        "live_members",
        "failed",
        "etcd knows old, 9, not started (https://10.0.0.9:2380), which is not among the members named",
    ),
    (
        "moved",
        {
            "live_members": [
                {"name": member.name, "peer_urls": [member.peer_url.replace("0.3:", "0.4:")]} for member in MEMBERS
            ]
        },
        "peer_urls",
        "failed",
        "etcd has etcd-3 at https://10.0.0.4:2380 instead of https://10.0.0.3:2380",
    ),
    (
        "CA ends soon",
        {f"{BUNDLE}.certificates": [authority(to_days=89)]},
        "authority_days",
        "warning",
        f"89 days left, until {at(89)}: fewer than 90",
    ),
]
OF_ALL = ("authority_days", "alarms")
# What follows from the fault and is said as well.
_FOLLOWS = {
    "process can't be looked at": {("allowed_common_names", "etcd-2"): "unproved"},
    "auto TLS": {("process_current", "etcd-2"): "warning"},
    "auto TLS in another spelling": {("process_current", "etcd-2"): "warning"},
    "intent denied": {("process_current", "etcd-2"): "warning"},
    "told by a file": {("process_current", "etcd-2"): "warning", ("peer_tls", "etcd-2"): "unproved"},
    "intent not stated": {("process_current", "etcd-2"): "warning"},
}


@pytest.mark.parametrize(
    ("title", "facts", "check", "verdict", "words"), FAULTS, ids=[title for title, *_rest in FAULTS]
)
def test_a_fault_is_named(title: str, facts: dict[str, t.Any], check: str, verdict: str, words: str) -> None:
    results = sound(MEMBERS)
    for path, value in facts.items():
        # A CA is the same on all.
        for member in MEMBERS if check in OF_ALL else MEMBERS[1:2]:
            put(results, member.name, path, value)
    found = bad(results)
    member = None if check in OF_ALL else "etcd-2"
    assert found[check, member][0] == verdict
    assert words in found[check, member][1]
    others = {key: value[0] for key, value in found.items() if key != (check, member)}
    assert others == _FOLLOWS.get(title, {})


# -- the process -----------------------------------------------------------------------------------------------------


def stopped(results: Results, member: str, answers: bool) -> None:
    put(results, member, SETTINGS, None)
    put(results, member, "info.process.running", False)
    put(results, member, "info.process.active_state", None if answers else "failed")
    for result in results.values():
        for probe in result["probes"]:
            if probe["to"] == member and not answers:
                probe.update(outcome="unreachable", reason="port_closed", server=None)


def test_an_etcd_that_does_not_run_is_a_failure_and_no_other_question_is_asked_of_it() -> None:
    results = sound(MEMBERS)
    stopped(results, "etcd-2", answers=False)
    assert bad(results) == {("running", "etcd-2"): ("failed", "etcd.service does not run (failed)")}


def test_an_etcd_that_answers_and_is_no_unit_s_process_is_not_proved() -> None:
    results = sound(MEMBERS)
    stopped(results, "etcd-2", answers=True)
    put(results, "etcd-2", "info.unit.settings", None)
    found = bad(results)
    assert found["running", "etcd-2"] == (
        "unproved",
        "etcd answers at https://10.0.0.2:2380, and systemd knows of no process of etcd.service",
    )
    assert found["allowed_common_names", "etcd-2"] == ("unproved", "the running list is not known")


def test_a_right_unit_is_said_where_its_process_can_t_be_looked_at() -> None:
    results = sound(MEMBERS)
    put(results, "etcd-2", SETTINGS, None)
    assert bad(results)["allowed_common_names", "etcd-2"][1].endswith("; the unit's file has the right one")
    put(results, "etcd-2", "info.unit.settings.allowed_common_names", NAMES[:1])
    assert bad(results)["allowed_common_names", "etcd-2"][1] == "the running list is not known"


def test_one_name_for_all_where_each_has_its_own_is_named() -> None:
    shared = some_members(identity="shared")
    assert bad(sound(shared), members=shared, identity="shared") == {}
    assert bad(sound(shared), members=shared)["identity", "etcd-1"] == (
        "failed",
        "etcd runs with identity shared, the cluster's is list",
    )
    alone = some_members(1)
    assert bad(sound(alone), members=alone) == {}


def test_a_member_without_a_result_has_no_check() -> None:
    results = sound(MEMBERS)
    del results["etcd-2"]
    assert {entry["member"] for entry in entries(results)} == {"etcd-1", "etcd-3", None}


def test_an_etcd_whose_version_is_not_known_is_not_judged() -> None:
    results = sound(MEMBERS)
    put(results, "etcd-2", "info.etcd.version", None)
    assert bad(results) == {}


# -- files and dates -------------------------------------------------------------------------------------------------


def test_what_most_members_trust_is_the_measure_and_the_same_one_twice() -> None:
    results = sound(MEMBERS)
    for name, label in (("etcd-1", "b"), ("etcd-2", "b"), ("etcd-3", "a")):
        put(results, name, f"{BUNDLE}.certificates", [authority(label)])
    assert set(bad(results)) == {("trust_bundle", "etcd-3")}
    two = some_members(2)
    for first, second in (("a", "b"), ("b", "a")):
        results = sound(two)
        put(results, "etcd-1", f"{BUNDLE}.certificates", [authority(first)])
        put(results, "etcd-2", f"{BUNDLE}.certificates", [authority(second)])
        ((_check, odd),) = bad(results, members=two)
        lesser = min("ab", key=fingerprint)
        assert odd == ("etcd-2" if first == lesser else "etcd-1")


def test_no_bundle_at_all_is_a_fault_of_each() -> None:
    results = sound(MEMBERS)
    for member in MEMBERS:
        put(results, member.name, f"{BUNDLE}.certificates", [])
        put(results, member.name, f"{BUNDLE}.state", "absent")
    assert {key for key in bad(results) if key[0] == "trust_bundle"} == {("trust_bundle", m.name) for m in MEMBERS}


@pytest.mark.parametrize("address", ["FD00::1", "Node.Example.NET"])
def test_the_dialed_name_is_compared_as_the_certificate_has_it(address: str) -> None:
    members = some_members(address=address)
    results = sound(members)
    put(results, "etcd-1", f"{CERTIFICATE}.dns_names", [*members[0].dns_names, "LOCALHOST"])
    assert bad(results, members=members) == {}


def test_a_certificate_that_nobody_was_shown_is_not_compared() -> None:
    results = sound(MEMBERS)
    for result in results.values():
        for probe in result["probes"]:
            if probe["to"] == "etcd-2":
                probe["server"] = None
    put(results, "etcd-2", f"{CERTIFICATE}.fingerprint", "f" * 64)
    assert bad(results) == {}


@pytest.mark.parametrize(
    ("days_left", "verdict", "words"),
    [(-3, "failed", "has expired"), (1, "failed", "fewer than 2"), (2, "warning", "fewer than 5"), (5, None, "")],
)
def test_days_are_compared_with_the_thresholds(days_left: int, verdict: str | None, words: str) -> None:
    limits = {"warn_days": 5, "fail_days": 2, "ca_warn_days": 5}
    results = sound(MEMBERS)
    ends = certificate("x", -10, days_left)
    put(results, "etcd-2", f"{CERTIFICATE}.not_after", ends["not_after"])
    put(results, "etcd-2", f"{CERTIFICATE}.days_left", days_left)
    for member in MEMBERS:
        put(results, member.name, f"{BUNDLE}.certificates", [authority(to_days=days_left)])
    found = bad(results, thresholds=limits)
    wanted = {("certificate_days", "etcd-2"), ("authority_days", None)} if verdict else set()
    assert set(found) == wanted
    for found_verdict, text in found.values():
        assert found_verdict == verdict and words in text


def test_a_ca_that_is_not_valid_yet_is_named_once() -> None:
    results = sound(MEMBERS)
    for member in MEMBERS:
        put(results, member.name, f"{BUNDLE}.certificates", [authority(from_days=2)])
    found = bad(results)
    assert list(found) == [("authority_days", None)]
    assert found["authority_days", None][1].endswith(f"is not valid before {at(2)}")


# -- files of the process --------------------------------------------------------------------------------------------


def test_the_files_of_the_process_count_and_not_those_of_a_deployment() -> None:
    results = sound(MEMBERS)
    reported = copy.deepcopy(results["etcd-2"]["info"]["credentials"])
    reported["ca"].update(path="/ssl/both.pem", certificates=[authority(), authority("other CA")])
    results["etcd-2"]["process_credentials"] = reported
    found = bad(results)
    assert set(found) == {("trust_bundle", "etcd-2")}
    assert found["trust_bundle", "etcd-2"][1].startswith("/ssl/both.pem also trusts other CA")
    # And those of a deployment, which lie there in nobody's use, don't.
    results = sound(MEMBERS)
    results["etcd-2"]["process_credentials"] = copy.deepcopy(results["etcd-2"]["info"]["credentials"])
    put(results, "etcd-2", f"{BUNDLE}.certificates", [])
    put(results, "etcd-2", f"{CERTIFICATE}.fingerprint", None)
    assert bad(results) == {}
    results["etcd-2"]["process_credentials"]["certificate"].update(
        fingerprint=None, problem="/ssl/x.pem is broken", days_left=None
    )
    assert bad(results) == {("certificate", "etcd-2"): ("failed", "/ssl/x.pem is broken")}


def test_what_an_older_look_did_not_bring_is_not_known() -> None:
    results = sound(MEMBERS)
    for result in results.values():
        for key in ("process_credentials", "revocation_list_problem", "live_alarms"):
            del result[key]
        del result["info"]["process"]["version"]
    assert bad(results) == {}
    for result in results.values():
        result["live_alarms"] = None
    assert bad(results) == {}


@pytest.mark.parametrize("slice_of", ["", "this job is a slice of job template 'deploy'"])
def test_a_member_that_this_run_does_not_name_is_not_to_be_removed_before_it_was_looked_for(slice_of: str) -> None:
    """It is disabled in AWX, or in another slice, and it runs: the deployment would not write its name."""
    two = MEMBERS[:2]
    results = {member.name: sound(MEMBERS)[member.name] for member in two}
    evidence = checks.Evidence(two, results, "list", checks.Thresholds(), slice_of=slice_of)
    found = {entry["check"]: entry for entry in checks.evaluate_checks(evidence) if entry["verdict"] == "failed"}
    assert set(found) == {"live_members", "allowed_common_names"}
    for entry in found.values():
        assert "etcd-3" in entry["text"] and entry["remedy"].startswith(slice_of or "a disabled host, a slice of a job")
        cure, _separator, word = entry["remedy"].partition("; only where it is to go for good: ")
        assert "etcd_peer_tls_members (as members tell, {name: etcd-3, address: " in cure
        assert word == ("" if slice_of else "etcd_peer_tls_removed") and "etcd_peer_tls_removed" not in cure
    # One that no list has was never a member, or is none any more.
    for result in results.values():
        result["live_members"] = result["live_members"][:2]
    (entry,) = (entry for entry in checks.evaluate_checks(evidence) if entry["member"] == "etcd-1" and entry["remedy"])
    assert entry["check"] == "allowed_common_names" and "run the playbook of the deployment" in entry["remedy"]


def test_an_alarm_is_told_once_by_whoever_knows_its_name() -> None:
    results = sound(MEMBERS)
    for result in results.values():
        result["live_alarms"] = [{"member_id": "2", "alarm": "NOSPACE"}, {"member_id": "2", "alarm": "NEW"}]
    put(results, "etcd-1", "live_members", None)
    found = [entry for entry in entries(results) if entry["check"] == "alarms"]
    assert [entry["text"] for entry in found] == [
        "alarm NEW is on, raised by etcd-2",
        "alarm NOSPACE is on, raised by etcd-2: the database has reached its quota, and the cluster takes no writes",
    ]
    assert "etcdctl alarm disarm" in found[1]["remedy"]


def test_the_way_out_names_the_drop_in_that_is_in_the_way() -> None:
    """The deployment refuses to run as long as it is there."""
    results = sound(MEMBERS)
    put(results, "etcd-2", "info.process.settings.allowed_common_names", [])
    results["etcd-2"]["info"]["unit"]["drop_ins"] = ["/etc/systemd/system/etcd.service.d/open.conf"]
    found = [one for one in entries(results) if one["verdict"] == "failed"]
    remedies = {one["check"]: one["remedy"] for one in found}
    assert remedies["allowed_common_names"].startswith("take /etc/systemd/system/etcd.service.d/open.conf away, then r")
