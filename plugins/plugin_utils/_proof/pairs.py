# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each probe evaluated: members have to be accepted, strangers refused, each for the right reason.

Pure. A probe knows only its own host; here both ends are known, so that an inferred reason can be made sharper.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    MEMBER,
    NO_CERTIFICATE,
    REVOKED,
    STRANGER,
    UNKNOWN_CA,
)

CASES = (MEMBER, STRANGER, NO_CERTIFICATE, UNKNOWN_CA)

# What a run may go on without, and report, in place of a failure (the variable etcd_peer_tls_verify_without).
ABSENT_HOSTS, STRANGERS, CLIENTS, ROOT = "absent_hosts", "strangers", "clients", "root"
WITHOUT = (ABSENT_HOSTS, STRANGERS, CLIENTS, ROOT)

OK, WARNING, UNPROVED, FAILED = "ok", "warning", "unproved", "failed"

Result = t.Mapping[str, t.Any]

NOT_IN_RUN = "its host is not in this run (--limit), or failed before"


@dataclass(frozen=True)
class Lack:
    """Why there is no such caller: a code for machines, a line for people."""

    reason: str
    text: str


# What refuses whom. A refusal for another reason shows nothing about this one.
_WANTED_REASONS = {
    STRANGER: ("common_name",),
    NO_CERTIFICATE: ("no_certificate",),
    UNKNOWN_CA: ("unknown_authority",),
    REVOKED: ("revoked",),
}


def evaluate_pairs(
    members: t.Sequence[Member],
    results: t.Mapping[str, Result],
    absent: t.Mapping[str, str],
    no_stranger: Lack | None = None,
) -> list[dict[str, t.Any]]:
    """One entry for each case and ordered pair of members. ``absent``: members without a result, and why."""
    pairs = []
    cases = _cases(results)
    for source in members:
        targets = [member for member in members if member.name != source.name] or [source]
        probes = {(probe["case"], probe["to"]): probe for probe in results.get(source.name, {}).get("probes", ())}
        for target in targets:
            for case in cases:
                probe = probes.get((case, target.name))
                if probe is None:
                    why = _why_not_probed(source.name, case, results, absent, no_stranger)
                    pairs.append(_pair(source.name, target.name, case, why))
                else:
                    refined = _refined(source, probe, results.get(source.name), results.get(target.name))
                    refined = _with_member_seen(refined, probes.get((MEMBER, target.name)))
                    pair = _pair(source.name, target.name, case, refined)
                    if target.name not in results and pair["outcome"] in ("unreachable", "timed_out"):
                        # Whose host is not in the run may well be down: that is no breach of the fence.
                        pair["verdict"] = UNPROVED
                    pairs.append(pair)
    return pairs


def _cases(results: t.Mapping[str, Result]) -> tuple[str, ...]:
    """As whom is called: as one that is revoked only where the CA keeps a revocation list, and so made one."""
    is_made = any(probe["case"] == REVOKED for result in results.values() for probe in result["probes"])
    return (*CASES, REVOKED) if is_made else CASES


def _why_not_probed(
    source: str,
    case: str,
    results: t.Mapping[str, Result],
    absent: t.Mapping[str, str],
    no_stranger: Lack | None,
) -> dict[str, t.Any]:
    if source not in results:
        return {"reason": "host_not_in_run", "text": absent.get(source, NOT_IN_RUN)}
    if case == MEMBER:
        return {"reason": "no_own_certificate", "text": results[source].get("problem") or "it was not probed"}
    lack = no_stranger or Lack("no_ca_key", "no such certificate was made")
    return {"reason": lack.reason, "text": lack.text}


def why_no_stranger(answer: t.Mapping[str, t.Any]) -> Lack | None:
    """Why no stranger could be made, from what ``etcd_peer_stranger`` answered on the CA's host; None where all were.

    A fault of the tool, a CA's host that can't be reached and a CA that is not at hand are three things. Only a result
    with a ``common_name``, which may be null, is an answer: a failed one has a ``problem`` too, of another kind.
    """
    said, problem = (" ".join(str(answer.get(key) or "").split()) for key in ("msg", "problem"))
    if answer.get("unreachable"):
        return Lack("ca_host_unreachable", f"the CA's host can't be reached: {said or 'it did not answer'}")
    if "common_name" not in answer:
        reason = "no_cryptography" if "cryptography" in said else "no_stranger_made"
        return Lack(reason, f"the CA's host made none: {said or 'it gave no reason'}")
    if not problem:
        return None
    return Lack("wrong_passphrase" if "passphrase" in problem else "no_ca_key", problem)


def why_no_client(answer: t.Mapping[str, t.Any]) -> Lack | None:
    """The same of a client to call client ports as; None where there is one."""
    problem = " ".join(str(answer.get("client_problem") or "").split())
    if answer.get("unreachable") or "common_name" not in answer:
        return why_no_stranger(answer)
    if not problem:
        return None
    return Lack("wrong_client_passphrase" if "passphrase" in problem else "no_client_ca_key", problem)


def lacking(pair: t.Mapping[str, t.Any], results: t.Mapping[str, Result], away: t.Container[str]) -> str | None:
    """Which of ``WITHOUT`` explains a pair that is not proved; None for any other cause.

    ``away``: members whose hosts are not in the run or can't be reached; one that failed, or answered nonsense, is not.
    """
    if pair["reason"] == "host_not_in_run":
        return ABSENT_HOSTS if pair["from"] in away else None
    if pair["to"] not in results and pair["outcome"] in ("unreachable", "timed_out"):
        return ABSENT_HOSTS if pair["to"] in away else None
    if pair["outcome"] != "not_probed":
        return None
    if pair["case"] in (STRANGER, UNKNOWN_CA, REVOKED):
        return STRANGERS
    return ROOT if pair["reason"] == "no_own_certificate" and not saw_as_root(results[pair["from"]]) else None


def saw_as_root(result: Result) -> bool:
    """Whether the probe ran as a user who may see all of its host."""
    return bool(result["info"]["user"]["module_user"] == "root")


def _pair(source: str, target: str, case: str, probe: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    outcome, reason = probe.get("outcome", "not_probed"), probe["reason"]
    return {
        "from": source,
        "to": target,
        "case": case,
        "verdict": _verdict(case, outcome, reason),
        "outcome": outcome,
        "reason": reason,
        "text": probe["text"],
        "inferred": probe.get("inferred", False),
        "tls": probe.get("tls"),
        "cipher": probe.get("cipher"),
    }


def _verdict(case: str, outcome: str, reason: str | None) -> str:
    if case == MEMBER:
        return {"accepted": OK, "not_probed": UNPROVED}.get(outcome, FAILED)
    # Plain HTTP answers everybody.
    if outcome == "accepted" or reason == "not_tls":
        return FAILED
    return OK if outcome == "refused" and reason in _WANTED_REASONS[case] else UNPROVED


def _refined(
    source: Member, probe: t.Mapping[str, t.Any], own: Result | None, other: Result | None
) -> t.Mapping[str, t.Any]:
    """The reason, with the knowledge of the called host's list and trust bundle.

    A text does not name the called member: so those that refuse one for the same reason are one finding.
    """
    if probe["case"] != MEMBER or own is None or other is None:
        return probe
    if probe["reason"] in ("closed", "address"):
        serial = credentials_of(own)["certificate"]["serial_number"]
        if serial in other["revoked"]:
            text = f"the certificate of {source.name} (serial number {serial}) is on the revocation list there"
            return {**probe, "reason": "revoked", "text": text, "inferred": True}
    if not probe["inferred"]:
        return probe
    if probe["reason"] == "common_name":
        called = own_common_name(own) or source.common_name
        allowed = running_common_names(other)
        if allowed is not None and called not in allowed:
            text = f"the running list has no {called}"
            return {**probe, "text": text}
        if not trusted_fingerprints(own) & trusted_fingerprints(other):
            text = f"the CA of {source.name}'s certificate is not in the trust bundle there"
            return {**probe, "reason": "unknown_authority", "text": text}
        if allowed is not None:
            # Its list has the name and still it refuses: say what is known, and no more.
            return {
                **probe,
                "reason": "alert",
                "text": f"the certificate is refused, and the running list has {called}",
            }
    return probe


def _with_member_seen(probe: t.Mapping[str, t.Any], as_member: t.Mapping[str, t.Any] | None) -> t.Mapping[str, t.Any]:
    """That it is revoked, where nothing else can be wrong with it.

    It has the names of the member's own certificate. Where that is let in from here, the address is no reason: etcd has
    looked the names up.
    """
    is_met = as_member is not None and as_member["outcome"] == "accepted"
    if probe["case"] == REVOKED and probe["outcome"] == "refused" and probe["reason"] == "address" and is_met:
        return {**probe, "reason": "revoked", "text": "the certificate is revoked", "inferred": True}
    return probe


def running_common_names(result: Result) -> list[str] | None:
    """The list that the running process was started with; None where no process was seen, or its flags don't count."""
    settings = settings_by_flags(result)
    return None if settings is None else list(settings["allowed_common_names"])


def settings_by_flags(result: Result) -> t.Mapping[str, t.Any] | None:
    """The running process's settings by flags and variables; None where they are not known, or etcd uses a file."""
    settings: t.Mapping[str, t.Any] | None = result["info"]["process"].get("settings")
    return None if settings is None or settings["flags"].get("config-file") else settings


def running_version(info: t.Mapping[str, t.Any]) -> str | None:
    """The version that runs; that of the program where nobody saw it, or where nothing runs."""
    version: str | None = info["process"].get("version") or info["etcd"]["version"]
    return version


def credentials_of(result: Result) -> t.Mapping[str, t.Any]:
    """The files of the running process, which may be others than the deployed ones; without a process those."""
    in_effect: t.Mapping[str, t.Any] | None = result.get("process_credentials")
    return in_effect or result["info"]["credentials"]


def trusted_fingerprints(result: Result) -> set[str]:
    """SHA-256 fingerprints of the CAs in the trust bundle."""
    return {authority["fingerprint"] for authority in credentials_of(result)["ca"]["certificates"]}


def own_common_name(result: Result) -> str | None:
    name: str | None = credentials_of(result)["certificate"]["common_name"]
    return name


__all__ = (
    "ABSENT_HOSTS",
    "CASES",
    "CLIENTS",
    "FAILED",
    "NOT_IN_RUN",
    "OK",
    "ROOT",
    "STRANGERS",
    "UNPROVED",
    "WARNING",
    "WITHOUT",
    "Lack",
    "Result",
    "credentials_of",
    "evaluate_pairs",
    "lacking",
    "own_common_name",
    "running_common_names",
    "running_version",
    "saw_as_root",
    "settings_by_flags",
    "trusted_fingerprints",
    "why_no_client",
    "why_no_stranger",
)
