# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the renderers of a proof share: pairs in order with none missing, verdicts, times, text that is safe to show.

Pure. A proof is the document that ``evaluate`` makes: plain str, dict and list.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
import unicodedata
from datetime import datetime, timezone

Proof = t.Mapping[str, t.Any]
Pair = t.Mapping[str, t.Any]
PairKey = tuple[str, str, str]
Pairs = t.Mapping[PairKey, Pair]

CASE_NAMES: t.Mapping[str, str] = {
    "member": "member",
    "stranger": "stranger",
    "unknown_ca": "unknown CA",
    "revoked": "revoked",
    "no_certificate": "no certificate",
}
# As whom client ports are called.
CLIENT_NAMES: t.Mapping[str, str] = {
    "client": "client",
    "client_unknown_ca": "unknown CA",
    "client_peer": "peer",
    "client_no_certificate": "no certificate",
}
# Who must not get in.
FENCE_CASES = ("stranger", "unknown_ca", "revoked", "no_certificate")
# Why a host did not call as a stranger: none lies there, which says nothing of those that it would have called.
NOBODY_TO_CALL_AS = "nobody_to_call_as"
# There is none where the CA keeps no revocation list.
_OPTIONAL_CASE = "revoked"
# From the best to the worst.
VERDICTS = ("ok", "warning", "unproved", "failed")
# What stands in a cell for a verdict: where a member has to be let in, and where a stranger has to be refused.
SIGNS = {"ok": "ok", "warning": "ok*", "unproved": "??", "failed": "NO"}
FENCE_SIGNS = {"ok": "refused", "warning": "refused*", "unproved": "unproved", "failed": "ACCEPTED"}
VERDICT_NAMES: t.Mapping[str, str] = {"proved": "PROVED", "partly_proved": "PARTLY PROVED", "failed": "FAILED"}


def known_verdict(verdict: str) -> str:
    """A verdict that is not known shows nothing, so it is never shown as a good one."""
    return verdict if verdict in VERDICTS else "unproved"


def worst(verdicts: t.Iterable[str]) -> str:
    """The worst verdict; of none at all: nothing was proved."""
    known = [known_verdict(verdict) for verdict in verdicts]
    return max(known, key=VERDICTS.index) if known else "unproved"


def member_names(proof: Proof) -> list[str]:
    """The names of the members in the order of the document."""
    return [member["name"] for member in proof["members"]]


def diallers_of(target: str, names: t.Sequence[str]) -> list[str]:
    """Who has to dial a target: all others; the only member of a cluster dials itself."""
    return [name for name in names if name != target] or [target]


def pairs_of(proof: Proof) -> dict[PairKey, Pair]:
    """Every pair and case that a full proof has, by dialler, target and case, in order.

    What the document does not hold was not proved, and says so: a hole must never look like a success.
    """
    found: dict[PairKey, Pair] = {}
    for pair in proof["pairs"]:
        key = (pair["from"], pair["to"], pair["case"])
        if key not in found or worst([pair["verdict"], found[key]["verdict"]]) != known_verdict(found[key]["verdict"]):
            found[key] = pair
    names = member_names(proof)
    return {
        (dialler, target, case): found.get((dialler, target, case), _missing(dialler, target, case))
        for case in CASE_NAMES
        if case != _OPTIONAL_CASE or any(key[2] == case for key in found)
        for target in names
        for dialler in diallers_of(target, names)
    }


def fence_cases(pairs: Pairs) -> list[str]:
    """Who has to be refused, of those that the proof has called as."""
    called = {case for _from, _to, case in pairs}
    return [case for case in FENCE_CASES if case != _OPTIONAL_CASE or case in called]


def fence_pairs(pairs: t.Mapping[PairKey, Pair], target: str, names: t.Sequence[str], case: str) -> list[Pair]:
    """The calls of one kind of stranger at a target that say whether it refuses.

    A host that is not there did not call, nor one where nobody lies to call as. The proof says that of it, and not of
    those that refused all others.
    """
    dialled = [pairs[dialler, target, case] for dialler in diallers_of(target, names)]
    return [pair for pair in dialled if pair["reason"] not in ("host_not_in_run", NOBODY_TO_CALL_AS)] or dialled


def client_cases(proof: Proof) -> list[str]:
    """As whom the proof has called client ports; none where it does not know of them, or there is no TLS."""
    ports = proof.get("client_ports") or {"cases": ()}
    return [case for case in CLIENT_NAMES if case in ports["cases"]]


def client_calls(proof: Proof) -> dict[tuple[str, str], Pair]:
    """The call of each case at each member's client port; what the document does not hold was not proved."""
    cases = client_cases(proof)
    found = {(call["member"], call["case"]): call for call in proof["client_ports"]["calls"]} if cases else {}
    return {
        (name, case): found.get((name, case), {**_missing("", name, case), "member": name})
        for name in member_names(proof)
        for case in cases
    }


def client_sign(case: str, verdict: str) -> str:
    """What stands in a cell: a client has to be let in, and all others refused."""
    return (SIGNS if case == "client" else FENCE_SIGNS)[known_verdict(verdict)]


def _missing(dialler: str, target: str, case: str) -> Pair:
    return {
        "from": dialler,
        "to": target,
        "case": case,
        "verdict": "unproved",
        "outcome": "not_probed",
        "reason": None,
        "text": "not in the proof",
        "inferred": False,
        "tls": None,
        "cipher": None,
    }


def instant(text: str) -> datetime:
    """A time of the document, which is always UTC."""
    # Not fromisoformat: it reads the Z from Python 3.11 on only.
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def life_verdict(certificate: t.Mapping[str, t.Any], proof: Proof, is_authority: bool = False) -> str:
    """Of a certificate's dates, by the rule of the checks ``certificate_days`` and ``authority_days``."""
    limits = proof["thresholds"]
    days = certificate["days_left"]
    # Times of the document are of one form, so that they compare as text.
    if not certificate["not_before"] <= proof["time"] <= certificate["not_after"] or days < limits["fail_days"]:
        return "failed"
    return "warning" if days < limits["ca_warn_days" if is_authority else "warn_days"] else "ok"


def common_name_of(certificate: t.Mapping[str, t.Any], key: str = "common_name") -> str:
    """A subject's or issuer's common name; X.509 knows certificates without one."""
    return str(certificate[key] or "(no common name)")


def split_finding(finding: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """Whom a finding is about, and the rest of its line, which does not name the same again."""
    subject, text = str(finding["subject"]), str(finding["text"])
    return subject, text[len(subject) :] if text.startswith(f"{subject} ") else f": {text}"


def one_line(text: object) -> str:
    """Text with what moves a cursor, breaks a line or turns the direction of writing made visible."""
    line = str(text)
    # Nearly all text is, and checking each letter would be slow: a page of 50 members has 50,000 texts.
    if line.isprintable():
        return line
    return "".join(
        # Cc, Cf, Cs, Co, Cn, Zl, Zp: control and format characters, surrogates, unassigned ones, line separators.
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character)[0] == "C" or unicodedata.category(character) in ("Zl", "Zp")
        else character
        for character in line
    )


def cut_middle(text: str, width: int, mark: str = "...") -> str:
    """Text of at most a width; of a long name both ends say more than one."""
    if len(text) <= width:
        return text
    kept = max(width - len(mark), 2)
    tail = kept // 2
    return text[: kept - tail] + mark + text[len(text) - tail :]


__all__ = (
    "CASE_NAMES",
    "CLIENT_NAMES",
    "FENCE_CASES",
    "FENCE_SIGNS",
    "NOBODY_TO_CALL_AS",
    "SIGNS",
    "VERDICTS",
    "VERDICT_NAMES",
    "Pair",
    "PairKey",
    "Pairs",
    "Proof",
    "client_calls",
    "client_cases",
    "client_sign",
    "common_name_of",
    "cut_middle",
    "diallers_of",
    "fence_cases",
    "fence_pairs",
    "instant",
    "known_verdict",
    "life_verdict",
    "member_names",
    "one_line",
    "pairs_of",
    "split_finding",
    "worst",
)
