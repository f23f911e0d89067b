# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof: from the probes of all members to one verdict, with a reason for each part of it.

Pure. The document that comes out is documented in ``etcd_peer_proof``; table, page and metrics are drawn from it.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import asdict, dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    CLIENT,
    CLIENT_NO_CERTIFICATE,
    CLIENT_PEER,
    CLIENT_UNKNOWN_CA,
    MEMBER,
    NO_CERTIFICATE,
    REVOKED,
    STRANGER,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.checks import (
    Entry,
    Evidence,
    Thresholds,
    evaluate_checks,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.client_ports import (
    ClientPorts,
    evaluate_client_ports,
    lacking_of_client_port,
    who_is_let_in,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import (
    ABSENT_HOSTS,
    FAILED,
    NOT_IN_RUN,
    OK,
    ROOT,
    UNPROVED,
    WARNING,
    Lack,
    Result,
    credentials_of,
    evaluate_pairs,
    lacking,
    running_version,
    saw_as_root,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.progress import progress_of

FORMAT = 1
PROVED, PARTLY_PROVED = "proved", "partly_proved"

_RANK = {OK: 0, WARNING: 1, UNPROVED: 2, FAILED: 3}
_CALLERS = {
    STRANGER: "a stranger (a certificate of the same CA whose common name is in no list)",
    NO_CERTIFICATE: "a caller without a certificate",
    UNKNOWN_CA: "a certificate of an unknown CA",
    REVOKED: "a member's certificate that is revoked",
    CLIENT_NO_CERTIFICATE: "a caller without a certificate",
    CLIENT_UNKNOWN_CA: "a certificate of an unknown CA",
    CLIENT_PEER: "a peer's certificate, where clients have a CA of their own",
}
_SET_CLOCKS = "set the clock right on the host whose clock is wrong"
_RUN_ON_ALL = (
    "run it on all hosts of the cluster, without slices and with those that are disabled; to go on without some: "
    "etcd_peer_tls_verify_without: [absent_hosts]"
)
_WITHOUT_STRANGERS = "where that is on purpose: etcd_peer_tls_verify_without: [strangers]"
_SEE_LOG = "see why in etcd's log on the member that was called (journalctl -u etcd)"
# How many names a line gives, unless it can give all.
_NAMES = 6
_PAIR_REMEDIES = {
    "common_name": "run the playbook of the deployment on all members: it writes the full list and restarts one by one",
    "unknown_authority": "put the same trust bundle on all members: run the deployment",
    "server_unknown_authority": "put the same trust bundle on all members: run the deployment",
    "expired": "run the deployment: it renews the certificate, without a restart; look at the clocks too",
    "server_expired": "run the deployment: it renews the certificate, without a restart; look at the clocks too",
    "not_yet_valid": _SET_CLOCKS,
    "server_not_yet_valid": _SET_CLOCKS,
    "revoked": "issue a new certificate for it, or remove the member from the cluster",
    "key_usage": "issue its certificate anew, with serverAuth and clientAuth: run the deployment",
    "server_key_usage": "issue its certificate anew, with serverAuth and clientAuth: run the deployment",
    "address": "issue its certificate anew with the address that it calls from (etcd_peer_tls_extra_sans)",
    "server_name": "issue its certificate anew with the address that the others dial: run the deployment",
    "server_common_name": "run the playbook of the deployment on all members: it writes the full list",
    "not_tls": "move its peer URL to https and deploy again",
    "name_unknown": "see that this name resolves on the dialing host, or use IP addresses as peer URLs",
    "port_closed": "see that etcd runs there and listens at the peer URL's port",
    "network": "see that the dialing host reaches the peer port (route, firewall)",
    "connect": "see that the dialing host reaches the peer port (route, firewall)",
    "answer": "etcd hangs there: see its log, and restart it",
    "resolve": "see that the name service answers on the dialing host",
    "no_ca_key": (
        "give the CA's key (etcd_peer_tls_ca_directory or etcd_peer_tls_ca_private_key), or a stranger's pair "
        "(etcd_peer_tls_stranger_certificate), to prove this part; " + _WITHOUT_STRANGERS
    ),
    "wrong_passphrase": "mend etcd_peer_tls_ca_passphrase: the CA's key is there and was not opened",
    "no_cryptography": (
        "install Python's cryptography on the CA's host (etcd_peer_tls_ca_host), for the Python that Ansible takes "
        "there (ansible_python_interpreter)"
    ),
    "ca_host_unreachable": (
        f"bring the CA's host (etcd_peer_tls_ca_host) back, or mend how it is reached; {_WITHOUT_STRANGERS}"
    ),
    "no_stranger_made": f"see what the CA's host says (etcd_peer_tls_ca_host); {_WITHOUT_STRANGERS}",
    "no_client_ca_key": (
        "give the clients' CA (etcd_peer_tls_client_ca_directory, on etcd_peer_tls_ca_host), or a client's pair "
        "(etcd_peer_tls_probe_client_certificate), to prove this part; where that is on purpose: "
        "etcd_peer_tls_verify_without: [clients]"
    ),
    "wrong_client_passphrase": "mend etcd_peer_tls_client_ca_passphrase: the key is there and was not opened",
    "one_ca_or_two": (
        "where it is one CA, or peers are to be clients: etcd_peer_tls_peers_are_clients: true; else give the clients' "
        "CA (etcd_peer_tls_client_ca_directory)"
    ),
    "no_client_trust": "put the file that etcd_peer_tls_client_ca_file names on the calling host",
    "not_called": "run it on all hosts of the cluster; a member that moves is called where it has arrived",
    "host_not_in_run": _RUN_ON_ALL,
    "no_own_certificate": (
        "run as a user who may read the member's files (become: true); to go on without: "
        "etcd_peer_tls_verify_without: [root]"
    ),
    "alert": _SEE_LOG,
    "closed": _SEE_LOG,
    "no_certificate": _SEE_LOG,
    "other": _SEE_LOG,
    "reset": _SEE_LOG,
    "server_other": _SEE_LOG,
}
# A stranger's certificate is made for the proof: where its dates are wrong, a clock is.
_STRANGER_REMEDIES = {"expired": _SET_CLOCKS}


# What the document says of a member's certificate.
_CERTIFICATE_FACTS = (
    "common_name",
    "issuer_common_name",
    "serial_number",
    "fingerprint",
    "not_before",
    "not_after",
    "days_left",
    "dns_names",
    "ip_addresses",
)
# Verdict, case, outcome, reason, text, whether the run is to go on without.
_PairKind = tuple[str, str, str, str, str, bool]


@dataclass(frozen=True)
class ProofQuestion:
    """What is to be proved of which cluster, and when (UTC, ``2026-11-24T09:00:00Z``)."""

    cluster_name: str
    time: str
    identity: str = "list"
    renew_before_days: int = 30
    thresholds: Thresholds = field(default_factory=Thresholds)
    no_stranger: Lack | None = None
    # Of ``WITHOUT``: what is not shown for one of these causes is reported, and fails nothing.
    without: t.Sequence[str] = ()
    # What is to be tried at client ports; None where nothing is known of them.
    client_ports: ClientPorts | None = None
    # Members whose hosts are not in the run, or can't be reached.
    away: t.Container[str] = frozenset()
    # Fingerprints of the CA at hand and of those above it, and who is to go: a change that is under way.
    authorities: t.Collection[str] = ()
    removed: t.Collection[str] = ()
    # That this run is a slice of a job, which sees a part of the hosts; empty where it is not known to be one.
    slice_of: str = ""


def evaluate(
    members: t.Sequence[Member],
    results: t.Mapping[str, Result],
    absent: t.Mapping[str, str],
    question: ProofQuestion,
) -> dict[str, t.Any]:
    """The proof. ``results``: by member's name, of ``etcd_peer_probe``; ``absent``: members without one, and why."""
    pairs = evaluate_pairs(members, results, absent, question.no_stranger)
    evidence = Evidence(
        members,
        results,
        question.identity,
        question.thresholds,
        question.authorities,
        question.removed,
        question.slice_of,
    )
    checks = evaluate_checks(evidence)
    progress = progress_of(evidence)
    checks += [_not_gathered(member.name, absent) for member in members if member.name not in results]
    ports = question.client_ports
    clients = [] if ports is None else evaluate_client_ports(members, results, absent, ports)
    excused = _Excused(results, frozenset(question.without), question.away, ports)
    findings = _findings(question.cluster_name, len(members), pairs, checks, excused, progress.explains, clients)
    verdicts = [entry["verdict"] for entry in (*pairs, *checks, *clients)]
    return {
        "format": FORMAT,
        "cluster": question.cluster_name,
        "time": question.time,
        "identity": question.identity,
        "verdict": FAILED if FAILED in verdicts else PARTLY_PROVED if UNPROVED in verdicts else PROVED,
        "passed": not any(finding["fails"] for finding in findings),
        "without": sorted(question.without),
        "summary": _summary(members, pairs, clients),
        "thresholds": {**asdict(question.thresholds), "renew_before_days": question.renew_before_days},
        "members": [_member(member, results.get(member.name), absent, pairs, checks, clients) for member in members],
        "authorities": _authorities(members, results),
        "pairs": pairs,
        "client_ports": (
            None if ports is None else {**_said_of(ports), **who_is_let_in(ports, clients), "calls": clients}
        ),
        "checks": checks,
        "findings": findings,
        "changes": progress.changes,
    }


@dataclass(frozen=True)
class _Excused:
    """What could not be shown, where the user has the run go on without it."""

    results: t.Mapping[str, Result]
    without: frozenset[str]
    away: t.Container[str]
    client_ports: ClientPorts | None = None

    def client_port(self, entry: t.Mapping[str, t.Any]) -> bool:
        if self.client_ports is None or entry["verdict"] != UNPROVED:
            return False
        causes = lacking_of_client_port(entry, self.results, self.away, self.client_ports)
        return not causes.isdisjoint(self.without)

    def pair(self, pair: t.Mapping[str, t.Any]) -> bool:
        return pair["verdict"] == UNPROVED and lacking(pair, self.results, self.away) in self.without

    def check(self, check: Entry) -> bool:
        if check["verdict"] != UNPROVED or check["member"] is None:
            return False
        result = self.results.get(check["member"])
        if result is None:
            return ABSENT_HOSTS in self.without and check["member"] in self.away
        return ROOT in self.without and not saw_as_root(result)


def _not_gathered(name: str, absent: t.Mapping[str, str]) -> Entry:
    why = absent.get(name, NOT_IN_RUN)
    return {
        "check": "state_gathered",
        "member": name,
        "verdict": UNPROVED,
        "text": f"nothing is known of {name}, and it did not call: {why}",
        "remedy": _PAIR_REMEDIES["host_not_in_run"],
    }


def _said_of(ports: ClientPorts) -> dict[str, t.Any]:
    return {"authority": ports.authority, "peers_are_clients": ports.peers_are_clients, "cases": list(ports.cases)}


def _summary(
    members: t.Sequence[Member],
    pairs: t.Sequence[t.Mapping[str, t.Any]],
    clients: t.Sequence[t.Mapping[str, t.Any]],
) -> str:
    def count(case_is_member: bool, *verdicts: str) -> int:
        return sum(1 for pair in pairs if (pair["case"] == MEMBER) == case_is_member and pair["verdict"] in verdicts)

    calls, strangers = count(True, OK, FAILED, UNPROVED), count(False, OK, FAILED, UNPROVED)
    parts = [
        f"{len(members)} member{'s' if len(members) != 1 else ''}",
        f"{count(True, OK)} of {calls} calls of members accepted",
        f"{count(False, OK)} of {strangers} of strangers refused",
    ]
    if clients:
        wrong = {entry["member"] for entry in clients if entry["verdict"] != OK}
        parts.append(f"{len(members) - len(wrong)} of {len(members)} client ports as they must be")
    let_in = count(False, FAILED)
    return ", ".join(parts) + (f", {let_in} LET IN" if let_in else "")


def _member(
    member: Member,
    result: Result | None,
    absent: t.Mapping[str, str],
    pairs: t.Sequence[t.Mapping[str, t.Any]],
    checks: t.Sequence[Entry],
    clients: t.Sequence[t.Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    found = None if result is None else credentials_of(result)["certificate"]
    # A refused member is the finding of both; a stranger let in is that of the one who let it in.
    verdicts = [
        pair["verdict"]
        for pair in pairs
        if member.name == pair["to"] or (member.name == pair["from"] and pair["case"] == MEMBER)
    ]
    verdicts += [entry["verdict"] for entry in (*checks, *clients) if entry["member"] == member.name]
    return {
        "name": member.name,
        "host": member.host,
        "peer_url": member.peer_url,
        "common_name": member.common_name,
        "probed": result is not None,
        "problem": (result or {}).get("problem") if result is not None else absent.get(member.name),
        "etcd_version": None if result is None else running_version(result["info"]),
        "certificate": (
            {key: found[key] for key in _CERTIFICATE_FACTS}
            if found is not None and found["fingerprint"] is not None
            else None
        ),
        "verdict": max(verdicts, key=lambda verdict: _RANK[verdict], default=UNPROVED),
    }


def _authorities(members: t.Sequence[Member], results: t.Mapping[str, Result]) -> list[dict[str, t.Any]]:
    found: dict[str, dict[str, t.Any]] = {}
    for member in members:
        if member.name in results:
            for authority in credentials_of(results[member.name])["ca"]["certificates"]:
                entry = found.setdefault(
                    authority["fingerprint"],
                    {
                        **{
                            key: authority[key]
                            for key in ("common_name", "fingerprint", "not_before", "not_after", "days_left")
                        },
                        "trusted_by": [],
                    },
                )
                if member.name not in entry["trusted_by"]:
                    entry["trusted_by"].append(member.name)
    return sorted(found.values(), key=lambda one: (one["not_after"], one["fingerprint"]))


def _findings(
    cluster: str,
    size: int,
    pairs: t.Sequence[t.Mapping[str, t.Any]],
    checks: t.Sequence[Entry],
    excused: _Excused,
    explained: t.Container[tuple[str, str]],
    clients: t.Sequence[t.Mapping[str, t.Any]] = (),
) -> list[dict[str, t.Any]]:
    """What is not well, worst first, each finding once. ``explained``: checks, by member, that a change explains."""
    # The check state_gathered reports a host that is away.
    bad = [pair for pair in pairs if pair["verdict"] != OK and pair["reason"] != "host_not_in_run"]
    kinds = [_kind(pair, excused.pair(pair)) for pair in bad]
    shared = Counter((end, pair[end], kind) for pair, kind in zip(bad, kinds) for end in ("from", "to"))
    groups: dict[tuple[str, str, _PairKind], list[str]] = {}
    for pair, kind in zip(bad, kinds):
        end, other = "to", "from"
        if pair["outcome"] == "not_probed" or (
            # One whose certificate all others refuse is one finding, not one for each of them.
            pair["case"] == MEMBER and shared["from", pair["from"], kind] > shared["to", pair["to"], kind]
        ):
            end, other = other, end
        groups.setdefault((end, pair[end], kind), []).append(pair[other])
    findings = [
        _pair_finding(*kind, end == "from", about, _who(names, size)) for (end, about, kind), names in groups.items()
    ]
    findings += [_client_finding(entry, excused.client_port(entry)) for entry in clients if entry["verdict"] != OK]
    findings = _merged(findings)
    reported: dict[tuple[str, str, str, str, bool, bool], list[str]] = {}
    for check in checks:
        if check["verdict"] != OK:
            by_change = (check["check"], check["member"] or "") in explained
            said = (check["verdict"], check["check"], check["text"], check["remedy"], excused.check(check), by_change)
            reported.setdefault(said, []).append(check["member"] or cluster)
    for (verdict, code, text, remedy, is_excused, by_change), names in reported.items():
        findings.append(_finding(verdict, code, ", ".join(names), text, remedy, is_excused, by_change))
    return sorted(findings, key=lambda finding: -_RANK[finding["verdict"]])


def _kind(pair: t.Mapping[str, t.Any], is_excused: bool) -> _PairKind:
    return pair["verdict"], pair["case"], pair["outcome"], pair["reason"] or "", pair["text"], is_excused


def _finding(
    verdict: str, code: str, subject: str, text: str, remedy: str, is_excused: bool, in_progress: bool = False
) -> dict[str, t.Any]:
    """``fails``: whether a run has to fail for it. What is not shown fails it, unless the user lets it pass.

    ``in_progress``: a change that is under way explains it, and makes it no better.
    """
    fails = verdict == FAILED or (verdict == UNPROVED and not is_excused)
    said = {"verdict": verdict, "code": code, "subject": subject, "text": text, "remedy": remedy}
    return {**said, "fails": fails, "in_progress": in_progress}


def _who(names: t.Sequence[str], size: int) -> str:
    """Those at the other end; of a large cluster not a paragraph of names."""
    if len(names) <= _NAMES:
        return ", ".join(names)
    if len(names) == size - 1:
        return f"all {len(names)} others"
    return f"{', '.join(names[: _NAMES // 2])} and {len(names) - _NAMES // 2} more"


def _pair_finding(
    verdict: str,
    case: str,
    outcome: str,
    reason: str,
    text: str,
    is_excused: bool,
    is_caller: bool,
    about: str,
    who: str,
) -> dict[str, t.Any]:
    """``about``: whom the finding is about, the caller or the one that was called; ``who``: all at the other end."""
    remedy = _PAIR_REMEDIES.get(reason, "")
    if case == MEMBER:
        code = f"member_{outcome}"
        if outcome == "not_probed":
            line = f"{about} did not call: {text}"
        elif outcome == "refused" and not reason.startswith("server_"):
            line = f"{about} {'is refused by' if is_caller else 'refuses'} {who}: {text}"
        else:
            source, target = (about, who) if is_caller else (who, about)
            line = f"{source} can't {'use' if outcome == 'refused' else 'reach'} {target}: {text}"
    elif verdict == FAILED:
        code = f"{case}_accepted"
        line = f"{about} lets in {_CALLERS[case]}, calling from {who}: {text}"
        remedy = "the fence is open: run the deployment now, and look who has connected"
    else:
        code = f"{case}_unproved"
        remedy = _STRANGER_REMEDIES.get(reason, remedy)
        line = f"not shown that {_CALLERS[case]} is refused: {text}"
    return _finding(verdict, code, about, line, remedy, is_excused)


def _client_finding(entry: t.Mapping[str, t.Any], is_excused: bool) -> dict[str, t.Any]:
    """Its line names no member: so those of which the same is to be told are one finding."""
    case, outcome, text = entry["case"], entry["outcome"], entry["text"]
    remedy = _STRANGER_REMEDIES.get(entry["reason"]) or _PAIR_REMEDIES.get(entry["reason"], "")
    if entry["verdict"] == FAILED and case == CLIENT:
        code, line = f"client_{outcome}", f"the client port does not let a client in: {text}"
        if outcome == "refused" and entry["reason"] == "unknown_authority":
            remedy = (
                "have etcd_peer_tls_client_ca_file name the bundle with the clients' CA at hand, or name the right "
                "folder in etcd_peer_tls_client_ca_directory; where clients keep the CA that peers had, say "
                "etcd_peer_tls_peers_are_clients: false, and give a pair of a client's "
                "(etcd_peer_tls_probe_client_certificate)"
            )
    elif entry["verdict"] == FAILED:
        code, line = f"{case}_accepted", f"the client port lets in {_CALLERS[case]}: {text}"
        remedy = "the client port is open: run the deployment now, and look who has connected"
        if case == CLIENT_PEER:
            remedy = (
                "take the peers' CA out of the file that etcd_peer_tls_client_ca_file names, and run the deployment; "
                "while clients move to another CA: etcd_peer_tls_peers_are_clients: true"
            )
    else:
        what = "a client is let in" if case == CLIENT else f"{_CALLERS[case]} is refused"
        code, line = f"{case}_unproved", f"not shown that at the client port {what}: {text}"
    return _finding(entry["verdict"], code, entry["member"], line, remedy, is_excused)


def _merged(findings: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Findings that differ in their subject only become one."""
    merged: dict[tuple[str, ...], dict[str, t.Any]] = {}
    for finding in findings:
        key = (finding["verdict"], finding["code"], finding["text"], finding["remedy"], str(finding["fails"]))
        if key in merged:
            merged[key]["subject"] += f", {finding['subject']}"
        else:
            merged[key] = dict(finding)
    return list(merged.values())


__all__ = ("FORMAT", "PARTLY_PROVED", "PROVED", "ProofQuestion", "Thresholds", "evaluate")
