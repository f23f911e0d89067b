# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proofs as a Prometheus text file, for the textfile collector of the node exporter.

Pure. Series grow with the members, not with their pairs: pairs are counted for each dialler and case.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.views import (
    VERDICT_NAMES,
    Proof,
    client_calls,
    fence_cases,
    instant,
    known_verdict,
    member_names,
    one_line,
    pairs_of,
)

_PREFIX = "ringfence_etcd_"
# In the order of the file.
_HELP = {
    "proof_timestamp_seconds": "When the last proof was made, as Unix time.",
    "proof_verdict": "1 for the verdict of the last proof, 0 for the other verdicts.",
    "member_ok": "1 where all checks and pairs that name the member are ok, 0 where one is not.",
    "member_probed": "1 where the member's host took part in the proof, 0 where it did not.",
    "check_ok": "1 where the check is ok, 0 where it is a warning, unproved or failed; no member: whole cluster.",
    "pairs": (
        "Members that the member from dialled, by case and result. Result failed is a member that was not accepted, or "
        "a stranger that was."
    ),
    "client_port_ok": (
        "1 where the call of this case at the member's client port ended as it must: a client let in, others refused."
    ),
    "certificate_expiry_timestamp_seconds": "Not after of the member's deployed peer certificate, as Unix time.",
    "certificate_remaining_seconds": "Time from the proof to not after of the member's deployed peer certificate.",
    "authority_expiry_timestamp_seconds": "Not after of a CA certificate that members trust, as Unix time.",
    "authority_remaining_seconds": "Time from the proof to not after of a CA certificate that members trust.",
}

_Labels = tuple[tuple[str, str], ...]


def proof_metrics(proofs: t.Sequence[Proof]) -> str:
    """The text of the file: clusters by name, all else in the order of the documents."""
    clusters = [proof["cluster"] for proof in proofs]
    twice = sorted({cluster for cluster in clusters if clusters.count(cluster) > 1})
    if twice:
        # Prometheus would refuse the whole file.
        raise InputError(f"more than one proof of cluster {', '.join(twice)}: one proof of each is wanted")
    families: dict[str, dict[_Labels, int]] = {name: {} for name in _HELP}
    for proof in sorted(proofs, key=lambda proof: str(proof["cluster"])):
        for name, labels, value in _samples(proof):
            family = families[name]
            # What is named twice is as good as the worse of the two.
            key = (("cluster", proof["cluster"]), *labels.items())
            family[key] = min(family.get(key, value), value)
    lines: list[str] = []
    for name, family in families.items():
        if family:
            lines += [f"# HELP {_PREFIX}{name} {_HELP[name]}", f"# TYPE {_PREFIX}{name} gauge"]
            lines += [f"{_PREFIX}{name}{{{_labels(labels)}}} {value}" for labels, value in family.items()]
    return "".join(f"{line}\n" for line in lines)


def _samples(proof: Proof) -> t.Iterator[tuple[str, dict[str, str], int]]:
    made = instant(proof["time"])
    yield "proof_timestamp_seconds", {}, int(made.timestamp())
    for verdict in VERDICT_NAMES:
        yield "proof_verdict", {"verdict": verdict}, int(proof["verdict"] == verdict)
    for member in proof["members"]:
        labels = {"member": member["name"]}
        yield "member_ok", labels, int(member["verdict"] == "ok")
        yield "member_probed", labels, int(bool(member["probed"]))
        if member["certificate"]:
            yield from _expiry("certificate", labels, member["certificate"], int(made.timestamp()))
    for check in proof["checks"]:
        # Prometheus takes an empty label as none.
        labels = {"check": check["check"], "member": check["member"] or ""}
        yield "check_ok", labels, int(check["verdict"] == "ok")
    yield from _pair_counts(proof)
    for (name, case), call in client_calls(proof).items():
        yield "client_port_ok", {"member": name, "case": case}, int(call["verdict"] == "ok")
    for authority in proof["authorities"]:
        labels = {"common_name": authority["common_name"] or "", "fingerprint": authority["fingerprint"]}
        yield from _expiry("authority", labels, authority, int(made.timestamp()))


def _expiry(
    kind: str, labels: dict[str, str], certificate: t.Mapping[str, t.Any], made: int
) -> t.Iterator[tuple[str, dict[str, str], int]]:
    not_after = int(instant(certificate["not_after"]).timestamp())
    yield f"{kind}_expiry_timestamp_seconds", labels, not_after
    yield f"{kind}_remaining_seconds", labels, not_after - made


def _pair_counts(proof: Proof) -> t.Iterator[tuple[str, dict[str, str], int]]:
    pairs = pairs_of(proof)
    counts: dict[tuple[str, str, str], int] = {}
    for dialler in member_names(proof):
        for case in ("member", *fence_cases(pairs)):
            # A zero is written too: an alert on a series that comes and goes sees nothing.
            for result in (_good_result(case), "unproved", "failed"):
                counts[dialler, case, result] = 0
    for (dialler, _target, case), pair in pairs.items():
        verdict = known_verdict(pair["verdict"])
        counts[dialler, case, verdict if verdict in ("unproved", "failed") else _good_result(case)] += 1
    for (dialler, case, result), count in counts.items():
        yield "pairs", {"from": dialler, "case": case, "result": result}, count


def _good_result(case: str) -> str:
    return "accepted" if case == "member" else "refused"


def _labels(labels: _Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)


def _escaped(value: str) -> str:
    return one_line(value).replace("\\", "\\\\").replace('"', '\\"')


__all__ = ("proof_metrics",)
