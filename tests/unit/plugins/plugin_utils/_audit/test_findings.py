# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each rule by what hosts tell and met: right on every finding, and no false one."""

from __future__ import annotations

import functools
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.metrics import proof_metrics
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.table import proof_table
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import DAY, NOW, issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import (
    CA,
    HOSTS,
    LIST,
    WORKER,
    Met,
    fenced,
    judged,
    pair,
    process,
    told,
    url,
)
from cryptography.hazmat.primitives.asymmetric import dsa, ed448, x25519


def one(document: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    (found,) = document
    assert proof_table(found)
    return found


def findings(document: t.Mapping[str, t.Any]) -> set[tuple[str, str, str]]:
    return {(finding["verdict"], finding["code"], finding["subject"]) for finding in document["findings"]}


def text(document: t.Mapping[str, t.Any], code: str) -> str:
    return " ".join(finding["text"] for finding in document["findings"] if finding["code"] == code)


def with_process(host: str, *args: t.Any, **changes: t.Any) -> dict[str, t.Any]:
    """The document where one process of a fenced cluster is another."""
    states, met = fenced()
    states[host] = told(process(host, *args, **changes))
    return one(judged(states, met))


def test_a_fenced_cluster_is_clean() -> None:
    found = one(judged(*fenced()))
    assert found["findings"] == [] and found["verdict"] == "proved" and found["passed"] is True
    assert found["summary"] == "3 members, 6 of 6 calls of members accepted, 12 of 12 of strangers refused"
    assert {check["verdict"] for check in found["checks"]} == {"ok"}


def test_who_lies_on_a_member_s_host_is_in_the_matrix() -> None:
    states, met = fenced()
    met.lies("etcd-1", pair("admin-etcd-1"))
    found = one(judged(states, met))
    assert found["verdict"] == "proved" and "14 of 14 of strangers refused" in found["summary"]
    # Where nobody lies to call as, what others met says it.
    assert "stranger        refused  refused  refused" in "\n".join(proof_table(found))


@pytest.mark.parametrize(
    ("flags", "verdict", "code", "words"),
    [
        ({"peer-cert-allowed-cn": None}, "failed", "allowed_common_names", "has no list"),
        (
            {"peer-cert-allowed-cn": "member-etcd-1,member-etcd-2"},
            "failed",
            "allowed_common_names",
            "lacks member-etcd-3",
        ),
        ({"peer-cert-allowed-cn": f"{LIST},x"}, "failed", "allowed_common_names", "has x, which no member has"),
        ({"peer-cert-allowed-cn": f"{LIST},"}, "failed", "allowed_common_names", "has an empty name"),
        ({"peer-cert-allowed-cn": LIST.replace(",", ", ")}, "failed", "allowed_common_names", "lacks member-etcd-2"),
        (
            {"peer-cert-allowed-cn": None, "peer-cert-allowed-hostname": "etcd.example.com"},
            "unproved",
            "allowed_common_names",
            "lets in by host name",
        ),
        ({"peer-trusted-ca-file": None}, "failed", "peer_tls", "no peer is verified"),
        ({"peer-auto-tls": "true"}, "failed", "peer_tls", "self-signed"),
        ({"listen-peer-urls": "http://10.0.0.2:2380"}, "failed", "peer_tls", "without TLS"),
        ({"peer-client-cert-auth": None}, "warning", "peer_tls", "peer-client-cert-auth is not set"),
        ({"peer-client-cert-auth": "yes"}, "warning", "peer_tls", "peer-client-cert-auth is not set"),
        ({"peer-skip-client-san-verification": "true"}, "warning", "address_check", "works from anywhere"),
        ({"experimental-peer-skip-client-san-verification": "1"}, "warning", "address_check", "works from anywhere"),
    ],
)
def test_a_setting_that_opens_it(flags: dict[str, str | None], verdict: str, code: str, words: str) -> None:
    found = with_process("etcd-2", flags)
    assert (verdict, code, "etcd-2") in findings(found), found["findings"]
    assert words in text(found, code)
    assert found["passed"] is (verdict == "warning")
    # A client's CA that is the peers' one is told where no list stands before it.
    more = {("warning", "client_authority", "etcd-2")} if flags.get("peer-cert-allowed-cn", "") is None else set()
    assert findings(found) == {(verdict, code, "etcd-2")} | more


@pytest.mark.parametrize(
    ("changes", "verdict", "code", "words"),
    [
        ({"settings": None, "settings_problem": "no such file"}, "unproved", "settings", "is not known: no such file"),
        ({"newer_files": ["/etc/etcd.yml"]}, "unproved", "process_current", "/etc/etcd.yml was written after"),
        ({"listens": []}, "unproved", "peer_port", "none of its sockets"),
        ({"version": "3.5.14"}, "failed", "allowed_common_names", "etcd 3.5.14 takes its list for one name"),
        ({"version": "3.4.23", "config_file": "/c"}, "failed", "allowed_common_names", "ignores allowed-cn"),
        ({"version": None}, "unproved", "allowed_common_names", "its version is not known"),
        ({"version": "nonsense"}, "unproved", "allowed_common_names", "its version is not known"),
        (
            {"peer_authority": {"path": "/ca", "pem": None, "problem": "there is no /ca"}},
            "unproved",
            "peer_tls",
            "there is no /ca",
        ),
        (
            {"peer_certificate": {"path": "/crt", "pem": None, "problem": "there is no /crt"}},
            "unproved",
            "served_certificate",
            "there is no /crt",
        ),
        (
            {"peer_certificate": {"path": "/crt", "pem": pair("member-etcd-1").pem, "problem": None}},
            "failed",
            "served_certificate",
            "presents member-etcd-2",
        ),
        ({"live_members": None, "live_members_problem": "HTTP 400"}, "unproved", "live_members", "HTTP 400"),
        (
            {"config_file": "/etc/etcd.yml", "ignored_keys": ["peer-transport-security.allowed-cns"]},
            "warning",
            "config_file",
            "peer-transport-security.allowed-cns",
        ),
        (
            {"config_file": "/etc/etcd.yml", "ignored_settings": ["ETCD_NAME", "--name"]},
            "warning",
            "config_file",
            "ignores ETCD_NAME, --name",
        ),
    ],
)
def test_what_is_wrong_or_not_known(changes: dict[str, t.Any], verdict: str, code: str, words: str) -> None:
    found = with_process("etcd-2", **changes)
    assert (verdict, code, "etcd-2") in findings(found), found["findings"]
    assert words in text(found, code)
    assert found["passed"] is (verdict == "warning")
    # Without its CA nobody's refusal shows anything of the list, and without its members no list is the right one.
    more = {"peer_tls": "strangers", "live_members": "allowed_common_names"}.get(code)
    assert findings(found) == {(verdict, code, "etcd-2")} | ({("unproved", more, "etcd-2")} if more else set())


def test_one_key_for_several_certificates_is_one_identity() -> None:
    """Whoever has it has each of the names."""
    states, met = fenced()
    twin = issue("member-etcd-2", CA, pair("member-etcd-1").key)
    states["etcd-2"] = told(process("etcd-2", peer_certificate={"path": "/p", "pem": twin.pem, "problem": None}))
    for host in ("etcd-1", "etcd-3"):
        met.served[host] = [one if one["to"] != "etcd-2" else {**one, "pem": twin.pem} for one in met.served[host]]
    found = one(judged(states, met))
    assert "etcd-1, etcd-2 present certificates of one key" in text(found, "identity"), found["findings"]


def test_before_the_list_one_name_for_all_is_a_fence() -> None:
    states, met = fenced()
    shared = pair("etcd-peer")
    for host in HOSTS:
        changes = {"version": "3.4.23", "peer_certificate": {"path": "/p", "pem": shared.pem, "problem": None}}
        states[host] = told(process(host, {"peer-cert-allowed-cn": "etcd-peer"}, **changes))
    for host in met.served:
        met.served[host] = [{"to": target, "pem": shared.pem} for target in HOSTS]
    found = one(judged(states, met))
    assert findings(found) == {("warning", "identity", "etcd")} and found["passed"]
    assert "etcd-1, etcd-2, etcd-3 present one and the same certificate" in text(found, "identity")


@pytest.mark.parametrize(
    ("version", "before"),
    [
        ("3.5.15", "etcd_extra_vars"),
        ("3.5.14", "upgrade etcd to 3.5.15 or newer, this one takes a list for one name; then etcd_extra_vars"),
        (None, "see that its etcd is 3.5.15 or newer, an older one locks every peer out with a list; then etcd_extra"),
    ],
)
def test_no_line_is_printed_that_would_lock_out(version: str | None, before: str) -> None:
    states, met = fenced()
    for host in HOSTS:
        states[host] = told(process(host, {"peer-cert-allowed-cn": None}, version=version))
    met.lies(WORKER, pair("node-worker-2"), "accepted")
    for finding in one(judged(states, met))["findings"]:
        if finding["verdict"] == "failed":
            assert finding["remedy"].startswith(before)
    # With both etcd does not start.
    states["etcd-1"] = told(process("etcd-1", {"peer-cert-allowed-cn": None, "peer-cert-allowed-hostname": "a"}))
    remedy = next(each["remedy"] for each in one(judged(states, met))["findings"] if "host name" in each["text"])
    assert remedy.startswith("take peer-cert-allowed-hostname out at the same time")


def test_one_name_in_several_certificates() -> None:
    states, met = fenced()
    others = {host: issue("etcd", CA) for host in HOSTS}
    for host in HOSTS:
        own = {"path": "/p", "pem": others[host].pem, "problem": None}
        states[host] = told(process(host, {"peer-cert-allowed-cn": "etcd"}, peer_certificate=own))
    for host in met.served:
        met.served[host] = [{"to": target, "pem": others[target].pem} for target in HOSTS]
    found = one(judged(states, met))
    assert findings(found) == {("warning", "identity", "etcd")} and "have one common name (etcd)" in text(
        found, "identity"
    )


@pytest.mark.parametrize(("ends_in", "verdict"), [(20, None), (13, "warning"), (-1, "failed")])
def test_a_certificate_s_days(ends_in: int, verdict: str | None) -> None:
    states, met = fenced()
    made = issue("member-etcd-2", CA, not_before=NOW - 100 * DAY, not_after=NOW + ends_in * DAY)
    states["etcd-2"] = told(process("etcd-2", peer_certificate={"path": "/p", "pem": made.pem, "problem": None}))
    for host in met.served:
        met.served[host][1]["pem"] = made.pem
    found = one(judged(states, met))
    assert findings(found) == ({(verdict, "certificate_days", "etcd-2")} if verdict else set())
    assert one(judged(states, met, warn_days=30))["findings"] != []


def test_a_certificate_may_have_too_few_days_for_the_user() -> None:
    found = one(judged(*fenced(), warn_days=200, fail_days=101))
    assert findings(found) == {("failed", "certificate_days", ", ".join(HOSTS))} and not found["passed"]
    assert "its certificate has 100 days left: fewer than 101" in text(found, "certificate_days")
    assert one(judged(*fenced(), fail_days=100))["findings"] == []


def test_a_certificate_without_an_address() -> None:
    states, met = fenced()
    made = issue("member-etcd-2", CA, names=())
    states["etcd-2"] = told(process("etcd-2", peer_certificate={"path": "/p", "pem": made.pem, "problem": None}))
    for host in met.served:
        met.served[host][1]["pem"] = made.pem
    found = one(judged(states, met))
    assert findings(found) == {("warning", "served_certificate", "etcd-2")}


@pytest.mark.parametrize("broken", ["no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n", CA.pem.replace("MII", "AAA", 1)])
def test_what_nobody_can_read_is_no_certificate(broken: str) -> None:
    """Neither what a port is said to present nor what lies on a host; the others are judged all the same."""
    states, met = fenced()
    for served in met.served.values():
        served[1]["pem"] = broken
    met.pairs[WORKER][0]["pem"] = broken
    found = one(judged(states, met))
    certificates = {member["name"]: member["certificate"] is not None for member in found["members"]}
    assert certificates == {"etcd-1": True, "etcd-2": False, "etcd-3": True} and not found["passed"]
    assert ("failed", "allowed_common_names", "etcd-2") not in findings(found)


def test_a_ca_that_stands_twice_in_a_file_is_one() -> None:
    states, met = fenced()
    states["etcd-2"] = told(process("etcd-2", peer_authority={"path": "/ca", "pem": CA.pem * 2, "problem": None}))
    (authority,) = one(judged(states, met))["authorities"]
    assert authority["trusted_by"] == list(HOSTS)


def test_a_file_that_only_its_own_host_could_read() -> None:
    """What a host calls a certificate is read once more here."""
    broken = {"path": "/crt", "pem": "-----BEGIN CERTIFICATE-----\nAAAA\n", "problem": None}
    found = with_process("etcd-2", peer_certificate=broken)
    assert findings(found) == {("unproved", "served_certificate", "etcd-2")}
    assert "can't be read: the file is broken PEM" in text(found, "served_certificate")


# Strangers ------------------------------------------------------------------------------------------------------------


def test_who_gets_in_is_named_with_the_way_out() -> None:
    states, met = fenced()
    for host in HOSTS:
        states[host] = told(process(host, {"peer-cert-allowed-cn": None}))
    met.lies(WORKER, pair("node-worker-2"), "accepted").lies("etcd-1", pair("admin-etcd-1"), "accepted")
    found = one(judged(states, met))
    everybody = "etcd-1, etcd-2, etcd-3"
    assert findings(found) == {
        ("failed", "allowed_common_names", everybody),
        ("failed", "strangers", everybody),
        ("warning", "client_authority", everybody),
    }
    said = text(found, "strangers")
    assert "it lets in node-worker-2, which is no member: /etc/ssl/etcd/ssl/1.pem on worker-1" in said
    assert "it lets in admin-etcd-1" in said and found["summary"].endswith("2 that lie on these hosts LET IN")
    assert [(one["host"], one["common_name"]) for one in found["let_in"]] == [
        ("etcd-1", "admin-etcd-1"),
        (WORKER, "node-worker-2"),
    ]
    assert {finding["remedy"] for finding in found["findings"] if finding["verdict"] == "failed"} == {
        f'etcd_extra_vars: {{ETCD_PEER_CERT_ALLOWED_CN: "{LIST}"}} in kubespray\'s group_vars, which is '
        f"ETCD_PEER_CERT_ALLOWED_CN={LIST} in /etc/etcd.env, then restart one member at a time"
    }
    assert found["verdict"] == "failed" and found["passed"] is False


@pytest.mark.parametrize("reason", ["address", "expired", "key_usage", "unknown_authority", "closed", "alert"])
def test_a_refusal_for_something_else_shows_no_list(reason: str) -> None:
    states, _met = fenced()
    found = one(judged(states, Met().lies(WORKER, pair("node-worker-1"), reason=reason)))
    assert findings(found) == {("unproved", "strangers", ", ".join(HOSTS))} and not found["passed"]
    assert one(judged(states, Met().lies(WORKER, pair("n"), reason=reason), without=["strangers"]))["passed"]


def test_a_stranger_of_another_ca_shows_no_list() -> None:
    """One CA may be called as the other is: its signature decides."""
    states, _met = fenced()
    met = Met().lies(WORKER, issue("node-worker-1", issue("etcd-ca", is_ca=True)))
    assert findings(one(judged(states, met))) == {("unproved", "strangers", ", ".join(HOSTS))}
    # But where it gets in, it gets in.
    met = Met().lies(WORKER, issue("node-worker-1", issue("etcd-ca", is_ca=True)), "accepted")
    assert findings(one(judged(states, met))) == {("failed", "strangers", ", ".join(HOSTS))}


@pytest.mark.parametrize(
    "kind",
    [
        ed448.Ed448PrivateKey.generate,
        functools.partial(dsa.generate_private_key, 2048),
        # It has no signatures at all.
        x25519.X25519PrivateKey.generate,
    ],
)
def test_a_ca_s_key_of_a_kind_that_etcd_does_not_know_has_signed_nothing(kind: t.Callable[[], t.Any]) -> None:
    """It is called as the right one, and the others are judged all the same."""
    states, met = fenced()
    odd = issue("etcd-ca", CA, key=kind(), is_ca=True)
    states["etcd-2"] = told(process("etcd-2", peer_authority={"path": "/ca", "pem": odd.pem, "problem": None}))
    found = one(judged(states, met))
    assert ("unproved", "strangers", "etcd-2") in findings(found) and not found["passed"]
    assert "etcd-1" not in " ".join(subject for _verdict, _code, subject in findings(found))


def test_not_all_pairs_of_a_host_are_known() -> None:
    states, met = fenced()
    met.changes[WORKER] = {"pairs_left_out": 3, "pairs_problem": "too many files in /srv"}
    found = one(judged(states, met))
    assert findings(found) == {("warning", "pairs", "etcd")} and found["passed"]
    assert "3 more pairs of these CAs lie on worker-1, and were not called with" in text(found, "pairs")
    assert "not all pairs on worker-1 are known: too many files in /srv" in text(found, "pairs")


def test_nobody_lies_there() -> None:
    states, _met = fenced()
    assert findings(one(judged(states, Met()))) == {("unproved", "strangers", ", ".join(HOSTS))}
    # One member whose refusal was not shown is enough.
    met = Met().lies(WORKER, pair("node-worker-1"), targets=HOSTS[:2])
    assert findings(one(judged(states, met))) == {("unproved", "strangers", "etcd-3")}


def test_a_stranger_that_was_given() -> None:
    states, met = fenced()[0], Met()
    for host in HOSTS:
        for target in HOSTS:
            met.call(host, target, "stranger", "refused", "common_name", label="0a")
    assert one(judged(states, met))["verdict"] == "proved"
    met.call("etcd-1", "etcd-2", "stranger", "accepted", None, label="0b")
    found = one(judged(states, met))
    assert findings(found) == {("failed", "strangers", "etcd-2")}
    assert "the stranger that was given" in text(found, "strangers")


def test_a_member_s_pair_is_a_member_s_on_members_hosts_alone() -> None:
    states, met = fenced()
    met.lies("etcd-1", pair("member-etcd-2"), "accepted")
    found = one(judged(states, met))
    assert findings(found) == {("warning", "key_elsewhere", "etcd-2")} and found["passed"]
    met.lies(WORKER, pair("member-etcd-2"), "accepted")
    found = one(judged(states, met))
    assert ("failed", "strangers", ", ".join(HOSTS)) in findings(found)
    assert "take its pair away" in " ".join(one["remedy"] for one in found["findings"])


def test_a_pair_with_a_member_s_name_on_its_own_host_is_its_own() -> None:
    """As etcdadm makes them: one pair for peers and one for clients, and the host's name is in both."""
    states, met = fenced()
    met.lies("etcd-1", issue("member-etcd-1", CA), "accepted")
    found = one(judged(states, met))
    assert findings(found) == {("warning", "same_name", "etcd-1")} and found["verdict"] == "proved" and found["passed"]
    said = "/etc/ssl/etcd/ssl/0.pem on etcd-1 has its name (member-etcd-1) too, and is let in as a peer"
    assert text(found, "same_name").startswith(said) and found["let_in"] == []
    # It is nobody who could show a refusal.
    alone = Met().lies("etcd-1", issue("member-etcd-1", CA), "accepted")
    assert ("unproved", "strangers", ", ".join(HOSTS)) in findings(one(judged(states, alone)))


def test_the_pair_that_a_member_presents_is_no_second_one() -> None:
    states, met = fenced()
    met.lies("etcd-1", pair("member-etcd-1"), "accepted")
    assert findings(one(judged(states, met))) == set()


@pytest.mark.parametrize("host", ["etcd-2", WORKER])
def test_a_pair_with_a_member_s_name_elsewhere_is_a_stranger(host: str) -> None:
    states, met = fenced()
    met.lies(host, issue("member-etcd-1", CA), "accepted")
    found = one(judged(states, met))
    assert ("failed", "strangers", ", ".join(HOSTS)) in findings(found) and not found["passed"]
    assert [one["host"] for one in found["let_in"]] == [host]


def test_a_pair_with_a_member_s_name_that_nobody_lets_in_is_no_matter() -> None:
    states, met = fenced()
    met.lies("etcd-1", issue("member-etcd-1", CA), reason="key_usage")
    assert findings(one(judged(states, met))) == set()


def test_a_member_can_not_hide_a_stranger_by_a_claim() -> None:
    """What its host says that its certificate is, is not what others were shown at its port."""
    states, met = fenced()
    worker = pair("node-worker-1")
    states["etcd-3"] = told(process("etcd-3", peer_certificate={"path": "/p", "pem": worker.pem, "problem": None}))
    states["etcd-1"] = told(process("etcd-1", {"peer-cert-allowed-cn": f"{LIST},node-worker-1"}))
    met = Met().lies(WORKER, worker, "accepted", targets=("etcd-1",)).lies("etcd-1", worker, "accepted")
    # Its own host says that it presents the worker's.
    met.served["etcd-3"] = [{"to": "etcd-3", "pem": worker.pem}]
    found = one(judged(states, met))
    assert ("failed", "strangers", "etcd-1") in findings(found)
    assert ("failed", "allowed_common_names", "etcd-1") in findings(found)
    assert ("failed", "served_certificate", "etcd-3") in findings(found)


def test_a_host_can_not_make_a_stranger_another_s_certificate() -> None:
    """One host says that etcd-3 presents the worker's certificate; the others saw its own."""
    states, met = fenced()
    worker = pair("node-worker-1")
    met = Met().lies("etcd-1", worker, "accepted")
    met.served = {"etcd-2": [{"to": "etcd-3", "pem": worker.pem}, *met.served["etcd-2"]], **met.served}
    met.served["etcd-2"] = [{"to": "etcd-3", "pem": worker.pem}]
    met.calls = {host: met.calls[host] for host in ("etcd-2", "etcd-1", "etcd-3", WORKER)}
    found = one(judged(states, met))
    assert any(one["verdict"] == "failed" and one["code"] == "strangers" for one in found["findings"])
    assert "said to present several certificates" in text(found, "served_certificate") and not found["passed"]


@pytest.mark.parametrize(
    ("case", "reason", "code"), [("no_certificate", None, "no_certificate"), ("unknown_ca", None, "unknown_ca")]
)
def test_whoever_else_gets_in(case: str, reason: str | None, code: str) -> None:
    states, met = fenced()
    met.calls["etcd-1"] = [
        {**call, "outcome": "accepted", "reason": reason} if (call["case"], call["to"]) == (case, "etcd-2") else call
        for call in met.calls["etcd-1"]
    ]
    assert findings(one(judged(states, met))) == {("failed", code, "etcd-2")}


@pytest.mark.parametrize("case", ["no_certificate", "unknown_ca"])
def test_a_refusal_for_another_reason_is_no_proof(case: str) -> None:
    states, met = fenced()
    for call in met.calls["etcd-1"]:
        if (call["case"], call["to"]) == (case, "etcd-2"):
            call.update(outcome="timed_out", reason="answer")
    assert findings(one(judged(states, met))) == {("unproved", case, "etcd-2")}


def test_members_that_are_refused() -> None:
    states, met = fenced()
    for call in met.calls["etcd-1"]:
        if (call["case"], call["to"]) == ("member", "etcd-2"):
            call.update(outcome="refused", reason="common_name", text="the common name is not allowed there")
    found = one(judged(states, met))
    assert findings(found) == {("failed", "members", "etcd-2")}
    assert "it does not let in etcd-1: the common name is not allowed there" in text(found, "members")


def test_plain_http_lets_everybody_in() -> None:
    states, met = fenced()
    plain = "http://10.0.0.2:2380"
    states["etcd-2"] = told(process("etcd-2", {"listen-peer-urls": plain}))
    for calls in met.calls.values():
        for call in calls:
            if call["to"] == "etcd-2":
                call.update(outcome="refused", reason="not_tls", text="it speaks plain HTTP")
    found = one(judged(states, met))
    assert findings(found) == {("failed", "peer_tls", "etcd-2")}
    for case in ("no_certificate", "unknown_ca"):
        assert {each["verdict"] for each in found["pairs"] if (each["to"], each["case"]) == ("etcd-2", case)} == {
            "failed"
        }


# Who is a member ------------------------------------------------------------------------------------------------------


def test_a_member_that_is_not_in_the_run_is_not_fenced() -> None:
    states, _met = fenced()
    del states["etcd-3"]
    met = Met(("etcd-1", "etcd-2", WORKER), HOSTS[:2]).lies(WORKER, pair("node-worker-1"), targets=HOSTS[:2])
    found = one(judged(states, met))
    assert ("unproved", "live_members", "etcd-1, etcd-2") in findings(found) and not found["passed"]
    # Its name is in the lists, and nobody saw who has it. No line is printed that would lock it out.
    assert ("unproved", "allowed_common_names", "etcd-1, etcd-2") in findings(found)
    for host in HOSTS[:2]:
        states[host] = told(process(host, {"peer-cert-allowed-cn": None}))
    (remedy,) = {
        each["remedy"] for each in one(judged(states, met))["findings"] if each["code"] == "allowed_common_names"
    }
    assert remedy.startswith("see all members of its cluster") and "member-etcd-1" not in remedy
    # But one name more than there are members is one too many, whoever is away.
    for host in HOSTS[:2]:
        states[host] = told(process(host, {"peer-cert-allowed-cn": f"{LIST},x"}))
    found = one(judged(states, met, without=["absent_hosts"]))
    assert ("failed", "allowed_common_names", "etcd-1, etcd-2") in findings(found)
    question = {"without": ["absent_hosts"]}
    states = {host: told(process(host)) for host in HOSTS[:2]} | {WORKER: told()}
    assert one(judged(states, met, **question))["passed"]
    absent = one(judged(states, met, absent={"etcd-3": "it did not answer"}))
    assert ("unproved", "state_gathered", "etcd") in findings(absent)


def test_one_that_is_not_known_by_any_peer_url() -> None:
    states, met = fenced()
    states["etcd-2"] = told(process("etcd-2", settings=None, live_members=None))
    # Nothing says that it is of the same cluster.
    (found,) = [each for each in judged(states, met) if each["members"][0]["name"] == "etcd-2"]
    assert ("unproved", "peer_port", "etcd-2") in findings(found) and not found["passed"]
    assert text(found, "peer_port") == "its peer URL is not known, so that nobody could call it"


def test_one_that_others_list_and_that_lists_nobody() -> None:
    """As one that found its cluster by discovery, and does not answer: the others' word is enough."""
    states, met = fenced()
    states["etcd-2"] = told(process("etcd-2", {"initial-cluster": None}, live_members=None))
    found = one(judged(states, met))
    assert [member["name"] for member in found["members"]] == list(HOSTS)
    assert ("unproved", "live_members", "etcd-2") in findings(found) and not found["passed"]


def test_two_that_say_that_they_have_one_peer_url() -> None:
    states, met = fenced()
    wrong = process("etcd-3")
    wrong["live_members"][2]["peer_urls"] = [url("etcd-2")]
    states["etcd-3"] = told(wrong)
    found = one(judged(states, met))
    assert ("unproved", "peer_port", "etcd-2") in findings(found) and not found["passed"]
    assert f"{url('etcd-2')} is the peer URL of etcd-3 too" in text(found, "peer_port")
    assert f"{url('etcd-2')} is the peer URL of etcd-2 too" in text(found, "peer_port")


def test_members_that_do_not_list_one_another() -> None:
    states, met = fenced()
    states["etcd-1"] = told(process("etcd-1", live_members=process("etcd-1")["live_members"][:2]))
    found = one(judged(states, met))
    assert [member["name"] for member in found["members"]] == list(HOSTS) and not found["passed"]
    assert ("unproved", "live_members", "etcd-1") in findings(found)
    assert text(found, "live_members") == "it does not list etcd-3, whose etcd says that it is of this cluster"


def test_hosts_that_are_away_may_be() -> None:
    states, met = fenced()
    found = one(judged(states, met, absent={"worker-9": "no route"}))
    assert findings(found) == {("unproved", "state_gathered", "etcd")} and not found["passed"]
    question = {"without": ["absent_hosts"], "away": {"worker-9"}}
    assert one(judged(states, met, absent={"worker-9": "no route"}, **question))["passed"]
    # One that failed is not away.
    assert not one(judged(states, met, absent={"worker-9": "?"}, without=["absent_hosts"]))["passed"]


def test_an_ordinary_user_sees_a_part() -> None:
    states, met = fenced()
    states[WORKER] = told(module_user="deploy", problems=["process 7 is called etcd, and may not be seen"])
    found = one(judged(states, met))
    assert {code for _verdict, code, _who in findings(found)} == {"root", "processes"} and not found["passed"]
    assert one(judged(states, met, without=["root"]))["passed"]


def test_no_etcd_at_all_is_no_success() -> None:
    found = one(judged({"a": told(), "b": told()}, Met(("a", "b"), ())))
    assert findings(found) == {("unproved", "processes", "etcd")} and not found["passed"]
    assert len(proof_table(found)) == 3 and "no etcd was found" in proof_page(found) and proof_metrics([found])


def test_two_clusters_are_two_documents() -> None:
    states, met = fenced()
    events = process("etcd-1", {"listen-peer-urls": "https://10.0.0.1:2382"}, pid=900)
    events["settings"]["peer_urls"] = ["https://10.0.0.1:2382"]
    events["live_members"] = [{"member_id": "e1", "name": "e", "peer_urls": ["https://10.0.0.1:2382"]}]
    events["live_member_id"] = "e1"
    states["etcd-1"] = told(process("etcd-1"), events)
    found = judged(states, met)
    assert [len(document["members"]) for document in found] == [3, 1] or [
        len(document["members"]) for document in found
    ] == [1, 3]
    assert {document["cluster"] for document in found} == {"etcd of etcd-1/812", "etcd of etcd-1/900"}


def test_one_that_says_it_is_of_the_cluster_is_none_for_that() -> None:
    """A host's etcd that lists the members, and that no member lists, is a cluster of its own."""
    states, met = fenced()
    liar = process("etcd-9")
    liar["live_members"] = [*liar["live_members"], {"member_id": "a9", "name": "x", "peer_urls": [url("etcd-9")]}]
    states["etcd-9"] = told(liar)
    found = judged(states, met)
    clean = next(document for document in found if len(document["members"]) == 3)
    assert [one for one in clean["findings"] if one["code"] != "peer_port"] == []
