# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each call at a client port evaluated: a client has to be let in, all others refused, each for the right reason.

Pure. What has to come of a call is by the user's settings alone, and nothing that a host says.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    CLIENT,
    CLIENT_NO_CERTIFICATE,
    CLIENT_PEER,
    CLIENT_UNKNOWN_CA,
    NOBODY,
    OWN,
    PEERS,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import (
    ABSENT_HOSTS,
    CLIENTS,
    FAILED,
    NOT_IN_RUN,
    OK,
    ROOT,
    STRANGERS,
    UNPROVED,
    Lack,
    Result,
    saw_as_root,
)

_WANTED_REASONS = {
    CLIENT_UNKNOWN_CA: "unknown_authority",
    CLIENT_PEER: "unknown_authority",
    CLIENT_NO_CERTIFICATE: "no_certificate",
}
# What etcd answers a client's read with: where RBAC is on, its gateway takes no certificate with a common name.
_RBAC_IS_OFF, _RBAC_IS_ON = "HTTP 200", "HTTP 400"
_RBAC = {
    "off": "RBAC is off: who is let in may read and write all",
    "on": "RBAC is on: who is let in may do what its user may",
    "unknown": "whether RBAC is on is not known: without it who is let in may read and write all",
}
_ONE_OR_TWO = "one_ca_or_two"
_ONE_OR_TWO_TEXT = "one is let in, and it is not known whether the clients' CA, which is not at hand, is another"
_WHO = {
    NOBODY: "client ports speak http: whoever reaches one is let in, and without RBAC may read and write all",
    PEERS: "client ports let in every certificate of the peers' CA",
    OWN: "client ports let in every certificate of the clients' CA",
}


@dataclass(frozen=True)
class ClientPorts:
    """What the user says of client ports, and why there is no client, or no other caller, to call them as.

    ``authority``: whose certificates they take. ``cases``: as whom they are called.
    """

    authority: str
    cases: t.Sequence[str] = ()
    peers_are_clients: bool = False
    no_client: Lack | None = None
    no_stranger: Lack | None = None


def evaluate_client_ports(
    members: t.Sequence[Member],
    results: t.Mapping[str, Result],
    absent: t.Mapping[str, str],
    asked: ClientPorts,
) -> list[dict[str, t.Any]]:
    """One entry for each client port and case; of several calls the one that went worst."""
    calls: dict[tuple[str, str], list[dict[str, t.Any]]] = {}
    for source in (member.name for member in members):
        for probe in results.get(source, {}).get("client_probes", ()):
            entry = _entry(source, probe["to"], probe["case"], probe, probe["to"] in results)
            if entry["case"] == CLIENT_PEER and entry["outcome"] == "accepted" and asked.no_client is not None:
                # Without a client's certificate nobody knows here whether the clients' CA is another one.
                entry.update(verdict=UNPROVED, reason=_ONE_OR_TWO, text=_ONE_OR_TWO_TEXT)
            calls.setdefault((probe["to"], probe["case"]), []).append(entry)
    names = [member.name for member in members]
    return [
        max(calls[name, case], key=lambda entry: (OK, UNPROVED, FAILED).index(entry["verdict"]))
        if (name, case) in calls
        else _not_called(name, case, names, results, absent, asked)
        for name in names
        for case in asked.cases
    ]


def who_is_let_in(asked: ClientPorts, entries: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Who is let in, and what they may do there: the line, and whether RBAC is on."""
    said = {entry["text"] for entry in entries if entry["case"] == CLIENT and entry["outcome"] == "accepted"}
    rbac = {frozenset((_RBAC_IS_OFF,)): "off", frozenset((_RBAC_IS_ON,)): "on"}.get(frozenset(said), "unknown")
    text = _WHO[asked.authority]
    if asked.authority == OWN and asked.peers_are_clients:
        text += ", and, as etcd_peer_tls_peers_are_clients says, every one of the peers' CA"
    return {"rbac": rbac, "text": text if asked.authority == NOBODY else f"{text}; {_RBAC[rbac]}"}


def lacking_of_client_port(
    entry: t.Mapping[str, t.Any], results: t.Mapping[str, Result], away: t.Container[str], asked: ClientPorts
) -> frozenset[str]:
    """Which of ``WITHOUT`` explain a call that is not proved; none for any other cause."""
    if entry["reason"] == _ONE_OR_TWO:
        return frozenset((CLIENTS,))
    if entry["outcome"] != "not_probed":
        is_gone = entry["member"] not in results and entry["member"] in away
        return frozenset((ABSENT_HOSTS,)) if is_gone and entry["outcome"] in ("unreachable", "timed_out") else _NOTHING
    if entry["reason"] == "host_not_in_run":
        return frozenset((ABSENT_HOSTS,)) if entry["from"] in away else _NOTHING
    if entry["reason"] in ("no_own_certificate", "no_client_trust"):
        return frozenset((ROOT,)) if entry["from"] in results and not saw_as_root(results[entry["from"]]) else _NOTHING
    if entry["case"] == CLIENT:
        return frozenset((CLIENTS, STRANGERS) if asked.peers_are_clients else (CLIENTS,))
    return frozenset((STRANGERS,)) if entry["case"] == CLIENT_UNKNOWN_CA else _NOTHING


_NOTHING: frozenset[str] = frozenset()


def _entry(
    source: str | None, target: str, case: str, probe: t.Mapping[str, t.Any], is_in_run: bool
) -> dict[str, t.Any]:
    outcome, reason = probe.get("outcome", "not_probed"), probe["reason"]
    verdict = _verdict(case, outcome, reason)
    if not is_in_run and outcome in ("unreachable", "timed_out"):
        # Whose host is not in the run may well be down.
        verdict = UNPROVED
    return {
        "member": target,
        "from": source,
        "case": case,
        "verdict": verdict,
        "outcome": outcome,
        "reason": reason,
        "text": probe["text"],
        "inferred": probe.get("inferred", False),
        "tls": probe.get("tls"),
        "cipher": probe.get("cipher"),
    }


def _verdict(case: str, outcome: str, reason: str | None) -> str:
    if case == CLIENT:
        return {"accepted": OK, "not_probed": UNPROVED}.get(outcome, FAILED)
    # Plain HTTP answers everybody.
    if outcome == "accepted" or reason == "not_tls":
        return FAILED
    return OK if outcome == "refused" and reason == _WANTED_REASONS.get(case) else UNPROVED


def _not_called(
    name: str,
    case: str,
    names: t.Sequence[str],
    results: t.Mapping[str, Result],
    absent: t.Mapping[str, str],
    asked: ClientPorts,
) -> dict[str, t.Any]:
    """Why nobody called: the nearest one before would have, of those whose hosts answered.

    One that was there when the others began leaves its part to nobody.
    """
    first = names.index(name)
    before = [*reversed(names[:first]), *reversed(names[first + 1 :])] or [name]
    source = next((one for one in before if one in results), before[0])
    is_left = before[0] not in results
    lack = {CLIENT: asked.no_client, CLIENT_UNKNOWN_CA: asked.no_stranger}.get(case)
    if source not in results or not results[source]["called"]:
        why = Lack("host_not_in_run", absent.get(source, NOT_IN_RUN))
    elif lack is not None:
        why = lack
    elif case == CLIENT_PEER and results[source].get("problem"):
        why = Lack("no_own_certificate", results[source]["problem"])
    elif case == CLIENT and results[source].get("client_problem"):
        why = Lack("no_client_trust", results[source]["client_problem"])
    elif is_left:
        source = before[0]
        why = Lack("host_not_in_run", absent.get(source, NOT_IN_RUN))
    else:
        why = Lack("not_called", f"{source} did not call it")
    return _entry(source, name, case, {"reason": why.reason, "text": why.text}, is_in_run=True)


__all__ = (
    "ClientPorts",
    "evaluate_client_ports",
    "lacking_of_client_port",
    "who_is_let_in",
)
