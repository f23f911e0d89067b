# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit as a document in the form of a proof, so that the same table, page and metrics are drawn from it. Pure.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import MEMBER
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate, as_result
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Cluster, Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.findings import Entry, Limits, entry, findings_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.strangers import (
    let_in,
    pairs_of_cluster,
    stranger_findings,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import (
    ABSENT_HOSTS,
    FAILED,
    OK,
    ROOT,
    STRANGERS,
    UNPROVED,
    WARNING,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.views import NOBODY_TO_CALL_AS

FORMAT = 1
PROVED, PARTLY_PROVED = "proved", "partly_proved"
_RANK = {OK: 0, WARNING: 1, UNPROVED: 2, FAILED: 3}
_CERTIFICATE_FACTS = (
    *("common_name", "issuer_common_name", "serial_number", "fingerprint", "not_before", "not_after", "days_left"),
    *("dns_names", "ip_addresses"),
)
_AUTHORITY_FACTS = ("common_name", "fingerprint", "not_before", "not_after", "days_left")


@dataclass(frozen=True)
class Question:
    """What the user wants of an audit. ``away``: hosts that are not in the run, or can't be reached."""

    cluster_name: str
    limits: Limits
    without: t.Sequence[str] = ()
    away: t.Container[str] = field(default_factory=frozenset)
    ca_warn_days: int = 90


def documents(run: Run, question: Question) -> list[dict[str, t.Any]]:
    """A document for each cluster that the hosts have; one that says so where they have none."""
    clusters = run.clusters()
    if not clusters:
        return [_document(question.cluster_name, Cluster(run, ()), question)]
    names = [question.cluster_name]
    if len(clusters) > 1:
        names = [f"{question.cluster_name} of {cluster.members[0].name}" for cluster in clusters]
    return [_document(name, cluster, question) for name, cluster in zip(names, clusters)]


def _document(name: str, cluster: Cluster, question: Question) -> dict[str, t.Any]:
    pairs = pairs_of_cluster(cluster)
    checks = [*findings_of(cluster, question.limits), *stranger_findings(cluster, pairs), *_hosts(cluster)]
    findings = _findings(name, checks, question)
    verdicts = [check["verdict"] for check in checks]
    verdicts += [pair["verdict"] for pair in pairs if pair["reason"] != NOBODY_TO_CALL_AS]
    return {
        "format": FORMAT,
        "cluster": name,
        "time": iso_time(question.limits.now),
        "identity": "list",
        "verdict": FAILED if FAILED in verdicts else PARTLY_PROVED if UNPROVED in verdicts else PROVED,
        "passed": not any(finding["fails"] for finding in findings),
        "without": sorted(question.without),
        "summary": _summary(cluster, pairs),
        "thresholds": {
            "warn_days": question.limits.warn_days,
            "fail_days": question.limits.fail_days,
            "ca_warn_days": question.ca_warn_days,
            "renew_before_days": question.limits.warn_days,
        },
        "members": [_member(claim, cluster, pairs, checks, question) for claim in cluster.members],
        "authorities": _authorities(cluster, question),
        "pairs": pairs,
        "checks": [{key: check[key] for key in ("check", "member", "verdict", "text", "remedy")} for check in checks],
        "findings": findings,
        "changes": [],
        "let_in": let_in(cluster),
    }


def _hosts(cluster: Cluster) -> t.Iterator[Entry]:
    """What is not known of the run's hosts."""
    run = cluster.run
    if not cluster.members:
        text = "no etcd was found running on any host of this run"
        yield entry("processes", None, UNPROVED, text, "run it on the hosts of the etcd, as root (become: true)")
    for host, why in sorted(run.absent.items()):
        text = f"nothing is known of host {host}: {why}"
        remedy = (
            "run it on all hosts of the cluster; to go on without some: etcd_peer_tls_verify_without: [absent_hosts]"
        )
        yield {**entry("state_gathered", None, UNPROVED, text, remedy), "host": host}
    for host, answer in sorted(run.answers.items()):
        is_root = answer["module_user"] == "root"
        if not is_root:
            text = f"on host {host} only root sees which etcd runs, and which pairs lie there"
            yield {**entry("root", None, UNPROVED, text, "run as root (become: true)"), "lacks": ROOT}
        for problem in answer["problems"]:
            remedy = "see what that process is, and run it again"
            found = entry("processes", None, UNPROVED, f"on host {host}: {problem}", remedy)
            yield found if is_root else {**found, "lacks": ROOT}


def _is_excused(check: Entry, question: Question) -> bool:
    """Whether the user has the run go on without what this check could not show."""
    if check["verdict"] != UNPROVED:
        return False
    if check.get("host") is not None:
        return ABSENT_HOSTS in question.without and check["host"] in question.away
    if check.get("is_absent"):
        return ABSENT_HOSTS in question.without
    return check.get("lacks") in question.without and check.get("lacks") in (STRANGERS, ROOT)


def _findings(cluster: str, checks: t.Sequence[Entry], question: Question) -> list[dict[str, t.Any]]:
    """What is not well, worst first; what several members have in common is one finding."""
    groups: dict[tuple[str, str, str, str, bool], list[str]] = {}
    for check in checks:
        if check["verdict"] != OK:
            key = (check["verdict"], check["check"], check["text"], check["remedy"], _is_excused(check, question))
            groups.setdefault(key, []).append(check["member"] or cluster)
    found = [
        {
            "verdict": verdict,
            "code": code,
            "subject": ", ".join(dict.fromkeys(names)),
            "text": text,
            "remedy": remedy,
            "fails": verdict == FAILED or (verdict == UNPROVED and not is_excused),
            "in_progress": False,
        }
        for (verdict, code, text, remedy, is_excused), names in groups.items()
    ]
    return sorted(found, key=lambda finding: -_RANK[finding["verdict"]])


def _summary(cluster: Cluster, pairs: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    size = len(cluster.members)
    calls = [pair for pair in pairs if pair["case"] == MEMBER]
    others = [pair for pair in pairs if pair["case"] != MEMBER and pair["reason"] != NOBODY_TO_CALL_AS]
    parts = [
        f"{size} member{'s' if size != 1 else ''}",
        f"{sum(pair['verdict'] == OK for pair in calls)} of {len(calls)} calls of members accepted",
        f"{sum(pair['verdict'] == OK for pair in others)} of {len(others)} of strangers refused",
    ]
    inside = len({(one["host"], one["fingerprint"]) for one in let_in(cluster)})
    return ", ".join(parts) + (f", {inside} that lie on these hosts LET IN" if inside else "")


def _member(
    claim: Claim,
    cluster: Cluster,
    pairs: t.Sequence[t.Mapping[str, t.Any]],
    checks: t.Sequence[Entry],
    question: Question,
) -> dict[str, t.Any]:
    verdicts = [
        pair["verdict"]
        for pair in pairs
        if pair["reason"] != NOBODY_TO_CALL_AS
        and (claim.name == pair["to"] or (claim.name == pair["from"] and pair["case"] == MEMBER))
    ]
    verdicts += [check["verdict"] for check in checks if check["member"] == claim.name]
    seen = cluster.presented[claim.name]
    port = cluster.run.port_of.get(claim.name)
    answer = cluster.run.calls.get(claim.host)
    return {
        "name": claim.name,
        "host": claim.host,
        "peer_url": port.url if port is not None else "",
        "common_name": seen[0].common_name if len(seen) == 1 else None,
        "probed": answer is not None,
        "problem": (answer or {"own_problems": {}})["own_problems"].get(claim.name)
        or (None if answer is not None else cluster.run.absent.get(claim.host, "its host did not call")),
        "etcd_version": claim.told["version"],
        "certificate": _facts(seen[0], question, _CERTIFICATE_FACTS) if len(seen) == 1 else None,
        "verdict": max(verdicts, key=lambda verdict: _RANK[verdict], default=UNPROVED),
        "kind": claim.told["kind"],
        "unit": claim.told["unit"],
        "settings_source": claim.told["settings_source"],
    }


def _authorities(cluster: Cluster, question: Question) -> list[dict[str, t.Any]]:
    found: dict[str, dict[str, t.Any]] = {}
    for claim in cluster.members:
        for authority in claim.peer_authority.certificates:
            made = found.setdefault(
                authority.fingerprint, {**_facts(authority, question, _AUTHORITY_FACTS), "trusted_by": []}
            )
            if claim.name not in made["trusted_by"]:
                made["trusted_by"].append(claim.name)
    return sorted(found.values(), key=lambda one: (one["not_after"], one["fingerprint"]))


def _facts(certificate: Certificate, question: Question, names: t.Sequence[str]) -> dict[str, t.Any]:
    facts = as_result(certificate, question.limits.now)
    return {name: facts[name] for name in names}


__all__ = ("FORMAT", "Question", "documents")
