# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What came of the calls: members at each other, and who on these hosts would be let in. Pure.

Refused for its name is what shows a list. Whoever was refused for something else, its address or its dates, shows
nothing.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    MEMBER,
    NO_CERTIFICATE,
    STRANGER,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Call, Cluster, Stranger
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.findings import Entry, entry, list_remedy
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import FAILED, OK, UNPROVED, WARNING
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.views import NOBODY_TO_CALL_AS

_WANTED_REASON = {STRANGER: "common_name", NO_CERTIFICATE: "no_certificate", UNKNOWN_CA: "unknown_authority"}
_GIVE_ONE = (
    "give a certificate of that CA that is no member's (etcd_audit_stranger_certificate, "
    "etcd_audit_stranger_private_key), or the CA's key (etcd_audit_ca_certificate, etcd_audit_ca_private_key); where "
    "that is on purpose: etcd_peer_tls_verify_without: [strangers]"
)
_CALLERS = {NO_CERTIFICATE: "a caller without a certificate", UNKNOWN_CA: "a certificate of an unknown CA"}
_SEE_LOG = "see why in etcd's log on the member that was called"
_NAMES = 6


def verdict_of(case: str, call: Call) -> str:
    """What a call shows of the member that was called."""
    outcome, reason = call["outcome"], call["reason"]
    if case == MEMBER:
        return {"accepted": OK, "not_probed": UNPROVED}.get(outcome, FAILED)
    # Plain HTTP answers everybody.
    if outcome == "accepted" or reason == "not_tls":
        return FAILED
    return OK if outcome == "refused" and reason == _WANTED_REASON[case] else UNPROVED


# The matrix -----------------------------------------------------------------------------------------------------------


def pairs_of_cluster(cluster: Cluster) -> list[dict[str, t.Any]]:
    """One entry for each case and ordered pair of members, in the form of the proof's pairs."""
    return [
        _pair(source, target, case, cluster)
        for source in cluster.members
        for target in [one for one in cluster.members if one.name != source.name] or [source]
        for case in (MEMBER, STRANGER, NO_CERTIFICATE, UNKNOWN_CA)
    ]


def _pair(source: Claim, target: Claim, case: str, cluster: Cluster) -> dict[str, t.Any]:
    call = _worst_call(source, target, case, cluster)
    verdict = verdict_of(case, call) if call["outcome"] != "not_probed" else UNPROVED
    if call["reason"] == NOBODY_TO_CALL_AS and _is_shown(target, cluster):
        verdict = OK
    return {
        "from": source.name,
        "to": target.name,
        "case": case,
        "verdict": verdict,
        **{key: call.get(key) for key in ("outcome", "reason", "text", "tls", "cipher")},
        "inferred": call.get("inferred", False),
    }


def _worst_call(source: Claim, target: Claim, case: str, cluster: Cluster) -> Call:
    answer = cluster.run.calls.get(source.host)
    if answer is None:
        why = cluster.run.absent.get(source.host, "its host did not call")
        return {"outcome": "not_probed", "reason": "host_not_in_run", "text": why}
    if case == STRANGER:
        called = [
            call
            for stranger, call in cluster.strangers_calls(target)
            if stranger.host == source.host and (_lets_in(call) or cluster.is_of_its_ca(target, stranger))
        ]
    else:
        name = source.name if case == MEMBER else None
        called = [
            call for call in answer["calls"] if (call["case"], call["to"], call["from"]) == (case, target.name, name)
        ]
    if called:
        # One that gets in is enough; else one that shows the list.
        rank = {FAILED: 0, OK: 1, UNPROVED: 2}
        return min(called, key=lambda call: rank[verdict_of(case, call)])
    if case == STRANGER:
        text = f"no certificate of its CA that is no member's lies on {source.host}"
        return {"outcome": "not_probed", "reason": NOBODY_TO_CALL_AS, "text": text}
    if case == UNKNOWN_CA:
        return {"outcome": "not_probed", "reason": "no_stranger_made", "text": "no such certificate was made"}
    own = answer["own_problems"].get(source.name)
    port = cluster.run.port_of.get(target.name)
    text = own or ("it was not called" if port is None or port.confirmed else f"no other host lists {port.url}")
    return {"outcome": "not_probed", "reason": "no_own_certificate" if own else "not_called", "text": text}


def _is_shown(claim: Claim, cluster: Cluster) -> bool:
    """Whether a stranger on any host showed that the member refuses those that it does not list, and none got in."""
    calls = list(cluster.strangers_calls(claim))
    return not any(_lets_in(call) for _stranger, call in calls) and any(
        verdict_of(STRANGER, call) == OK and cluster.is_of_its_ca(claim, stranger) for stranger, call in calls
    )


def _lets_in(call: Call) -> bool:
    return bool(call["outcome"] == "accepted")


# What they show -------------------------------------------------------------------------------------------------------


def stranger_findings(cluster: Cluster, pairs: t.Sequence[t.Mapping[str, t.Any]]) -> list[Entry]:
    """Who gets in, by whom it was shown that nobody does, and keys of members that lie elsewhere."""
    found = [one for claim in cluster.members for one in _strangers(claim, cluster)]
    found += [one for claim in cluster.members for one in _others(claim, pairs)]
    return [*found, *_keys_elsewhere(cluster), *_same_names(cluster), *_search(cluster)]


def _strangers(claim: Claim, cluster: Cluster) -> t.Iterator[Entry]:
    let_in: dict[str, list[Stranger]] = {}
    shown: set[str] = set()
    for stranger, call in cluster.strangers_calls(claim):
        if _lets_in(call):
            let_in.setdefault(stranger.fingerprint, []).append(stranger)
        elif verdict_of(STRANGER, call) == OK and cluster.is_of_its_ca(claim, stranger):
            shown.add(stranger.fingerprint)
    check = "strangers"
    for strangers in let_in.values():
        remedy = "take its pair away from there, or give that member another one"
        if strangers[0].fingerprint not in cluster.presented_fingerprints:
            remedy = list_remedy(claim, cluster)
        text = f"it lets in {strangers[0].name}, which is no member: {_places(strangers)}"
        yield entry(check, claim.name, FAILED, text, remedy)
    if let_in:
        return
    if shown:
        text = f"{len(shown)} certificate{'s' if len(shown) > 1 else ''} of its CA with other names refused"
        yield entry(check, claim.name, OK, text)
    elif not _is_without_tls(claim):
        text = "nobody could show that it refuses a certificate of its CA with another name"
        yield {**entry(check, claim.name, UNPROVED, text, _GIVE_ONE), "lacks": "strangers"}


def _places(strangers: t.Sequence[Stranger]) -> str:
    places = [f"{one.path} on {one.host}" if one.path else f"called from {one.host}" for one in strangers]
    more = f" and {len(places) - _NAMES} more" if len(places) > _NAMES else ""
    return ", ".join(places[:_NAMES]) + more


def _is_without_tls(claim: Claim) -> bool:
    settings = claim.settings
    return settings is not None and any(not url.startswith("https:") for url in settings["listen_peer_urls"])


def _others(claim: Claim, pairs: t.Sequence[t.Mapping[str, t.Any]]) -> t.Iterator[Entry]:
    """The calls that have no finding of their own: members, callers without a certificate or of an unknown CA."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for pair in pairs:
        if pair["to"] != claim.name or pair["verdict"] == OK or pair["case"] == STRANGER:
            continue
        if pair["reason"] == "host_not_in_run" or (pair["reason"] == "not_tls" and _is_without_tls(claim)):
            continue
        groups.setdefault((pair["case"], pair["verdict"], pair["text"] or ""), []).append(pair["from"])
    for (case, verdict, text), names in groups.items():
        who = ", ".join(names[:_NAMES]) + (" and others" if len(names) > _NAMES else "")
        if case == MEMBER:
            what = f"it does not let in {who}" if verdict == FAILED else f"{who} could not call it"
        else:
            what = _CALLERS[case]
            what = f"it lets in {what}" if verdict == FAILED else f"that it refuses {what} was not shown (from {who})"
        check = {MEMBER: "members", NO_CERTIFICATE: "no_certificate", UNKNOWN_CA: "unknown_ca"}[case]
        yield entry(check, claim.name, verdict, f"{what}: {text}", _SEE_LOG)


def _keys_elsewhere(cluster: Cluster) -> t.Iterator[Entry]:
    """A member's key on another host, where whoever is root there can use it."""
    for (host, fingerprint), (path, _certificate) in sorted(cluster.run.pairs.items()):
        owners = [
            claim
            for claim in cluster.members
            if fingerprint in {one.fingerprint for one in cluster.presented[claim.name]}
        ]
        if owners and host not in {claim.host for claim in owners}:
            text = f"the pair that {', '.join(one.name for one in owners)} presents lies on {host} too: {path}"
            remedy = "take it away from there, where that host has no use for it"
            yield entry("key_elsewhere", owners[0].name, WARNING, text, remedy)


def _same_names(cluster: Cluster) -> t.Iterator[Entry]:
    """A pair for something else with a member's name, beside its own: a list lets in both."""
    for (host, fingerprint), claim in sorted(cluster.own_pairs.items(), key=lambda item: item[0]):
        path, certificate = cluster.run.pairs[host, fingerprint]
        calls = [call for call in cluster.run.calls[host]["calls"] if call["fingerprint"] == fingerprint]
        if any(map(_lets_in, calls)):
            text = f"{path} on {host} has its name ({certificate.common_name}) too, and is let in as a peer"
            remedy = "keep that key as the peer's is kept, or have that certificate made with another name"
            yield entry("same_name", claim.name, WARNING, text, remedy)


def _search(cluster: Cluster) -> t.Iterator[Entry]:
    for host, answer in sorted(cluster.run.calls.items()):
        if answer["pairs_left_out"]:
            text = f"{answer['pairs_left_out']} more pairs of these CAs lie on {host}, and were not called with"
            yield entry("pairs", None, WARNING, text, "look whether hosts need what lies there")
        if answer["pairs_problem"] is not None:
            text = f"not all pairs on {host} are known: {answer['pairs_problem']}"
            yield entry("pairs", None, WARNING, text, "name the folders to look in: etcd_audit_folders")


def let_in(cluster: Cluster) -> list[dict[str, t.Any]]:
    """Everybody on these hosts who is let in today and is no member, for the document."""
    found: dict[tuple[str, str], dict[str, t.Any]] = {}
    for claim in cluster.members:
        for stranger, call in cluster.strangers_calls(claim):
            if _lets_in(call):
                one = found.setdefault(
                    (stranger.host, stranger.fingerprint),
                    {
                        "host": stranger.host,
                        "path": stranger.path,
                        "common_name": stranger.certificate.common_name if stranger.certificate else None,
                        "fingerprint": stranger.fingerprint,
                        "by": [],
                    },
                )
                one["by"].append(claim.name)
    return [found[key] for key in sorted(found)]


__all__ = ("let_in", "pairs_of_cluster", "stranger_findings", "verdict_of")
