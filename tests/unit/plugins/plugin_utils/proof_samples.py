# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proofs to render: all ok in several sizes, and what can be wrong. As a script: one of them as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
import typing as t
from datetime import datetime, timedelta, timezone

TIME = datetime(2026, 11, 24, 8, 30, tzinfo=timezone.utc)
CASES = ("member", "stranger", "unknown_ca", "no_certificate")
_RANK = ("ok", "warning", "unproved", "failed")
_REFUSED_FOR = {"stranger": "common_name", "unknown_ca": "unknown_authority", "no_certificate": "no_certificate"}
# Everything that text can do to a terminal, a label, an attribute, a script or a template.
HOSTILE_NAME = "</title><script>alert('1')</script>\"' onload=\"x\" {{ 7*7 }} \\ é &amp; <b>"
HOSTILE = f"{HOSTILE_NAME} \u202e\x1b[31m\r\n"

Proof = dict[str, t.Any]


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _worst(verdicts: t.Iterable[str]) -> str:
    return max(verdicts, key=_RANK.index, default="ok")


def _life(begun_days_ago: int, days_left: int) -> dict[str, t.Any]:
    return {
        "not_before": _time(TIME - timedelta(days=begun_days_ago, hours=1)),
        "not_after": _time(TIME + timedelta(days=days_left, hours=1)),
        "days_left": days_left,
    }


def _certificate(name: str, number: int, begun_days_ago: int = 10, days_left: int = 355) -> dict[str, t.Any]:
    return {
        "common_name": f"{name}.example.com",
        "issuer_common_name": "etcd peer CA",
        "serial_number": f"{number + 6000:x}",
        "fingerprint": hashlib.sha256(name.encode()).hexdigest(),
        **_life(begun_days_ago, days_left),
        "dns_names": [f"{name}.example.com", "localhost"],
        "ip_addresses": [f"10.0.0.{number}", "127.0.0.1", "::1"],
    }


def make_proof(size: int, name: str = "etcd-{}") -> Proof:
    """A proof of so many members in which all is as it must be."""
    names = [name.format(f"{number:02}" if size > 9 else number) for number in range(1, size + 1)]
    ca_print = hashlib.sha256(b"CA").hexdigest()
    proof: Proof = {
        "format": 1,
        "cluster": "etcd",
        "time": _time(TIME),
        "identity": "list",
        "verdict": "",
        "passed": False,
        "without": [],
        "summary": "",
        "thresholds": {"warn_days": 14, "fail_days": 0, "ca_warn_days": 90, "renew_before_days": 30},
        "members": [
            {
                "name": member,
                "host": member,
                "peer_url": f"https://10.0.0.{number}:2380",
                "common_name": f"{member}.example.com",
                "probed": True,
                "problem": None,
                "etcd_version": "3.5.16",
                "certificate": _certificate(member, number),
                "verdict": "",
            }
            for number, member in enumerate(names, 1)
        ],
        "authorities": [
            {"common_name": "etcd peer CA", "fingerprint": ca_print, **_life(10, 3640), "trusted_by": list(names)}
        ],
        "pairs": [
            {
                "from": dialler,
                "to": target,
                "case": case,
                "verdict": "ok",
                "outcome": "accepted" if case == "member" else "refused",
                "reason": _REFUSED_FOR.get(case),
                "text": "HTTP 200" if case == "member" else f"refused: {_REFUSED_FOR[case]}",
                "inferred": case == "stranger",
                "tls": "TLSv1.3",
                "cipher": "TLS_AES_128_GCM_SHA256",
            }
            for case in CASES
            for dialler in names
            for target in names
            if dialler != target or size == 1
        ],
        "checks": [
            {"check": check, "member": member, "verdict": "ok", "text": f"{check} of {member} is ok", "remedy": ""}
            for check in ("running", "allowed_common_names", "peer_tls", "certificate_days")
            for member in names
        ]
        + [{"check": "live_members", "member": None, "verdict": "ok", "text": "the list is ok", "remedy": ""}],
        "findings": [],
    }
    return finished(proof)


def finished(proof: Proof) -> Proof:
    """Set what follows from pairs and checks: verdicts and summary."""
    for member in proof["members"]:
        name = member["name"]
        named = [item["verdict"] for item in proof["pairs"] if name in (item["from"], item["to"])]
        member["verdict"] = _worst(named + [check["verdict"] for check in proof["checks"] if check["member"] == name])
    worst = _worst(item["verdict"] for item in [*proof["pairs"], *proof["checks"]])
    proof["verdict"] = {"failed": "failed", "unproved": "partly_proved"}.get(worst, "proved")
    proof["passed"] = proof["verdict"] == "proved"
    accepted = sum(pair["case"] == "member" and pair["verdict"] == "ok" for pair in proof["pairs"])
    let_in = sum(pair["case"] != "member" and pair["verdict"] == "failed" for pair in proof["pairs"])
    unproved = sum(pair["verdict"] == "unproved" for pair in proof["pairs"])
    parts = [f"{len(proof['members'])} members", f"{accepted} pairs accepted"]
    parts += [f"{let_in} strangers accepted"] if let_in else []
    parts += [f"{unproved} not proved"] if unproved else []
    proof["summary"] = ", ".join(parts if let_in or unproved else [*parts, "every stranger refused"])
    return proof


def set_pairs(proof: Proof, case: str, wanted: t.Callable[[str, str], bool], **values: t.Any) -> None:
    """Change the pairs of a case that are wanted by dialler and target."""
    for pair in proof["pairs"]:
        if pair["case"] == case and wanted(pair["from"], pair["to"]):
            pair.update(values)


def find(proof: Proof, verdict: str, code: str, subject: str, text: str, remedy: str) -> None:
    proof["findings"].append({"verdict": verdict, "code": code, "subject": subject, "text": text, "remedy": remedy})


def failed(size: int = 5) -> Proof:
    """A fence with several holes of different kinds."""
    proof = make_proof(size)
    names = [member["name"] for member in proof["members"]]
    open_to, shut_out, old = names[1], names[2], names[3]
    set_pairs(
        proof,
        "stranger",
        lambda _, target: target == open_to,
        verdict="failed",
        outcome="accepted",
        reason=None,
        text="HTTP 200",
        inferred=False,
    )
    set_pairs(
        proof,
        "member",
        lambda dialler, target: dialler == shut_out and target == names[0],
        verdict="failed",
        outcome="refused",
        reason="common_name",
        text="tls: bad certificate: the common name is not in the list that the process has",
        inferred=True,
    )
    set_pairs(
        proof,
        "unknown_ca",
        lambda dialler, target: target == names[-1] and dialler != names[0],
        verdict="unproved",
        outcome="timed_out",
        reason=None,
        text="no answer within 5 s",
    )
    proof["members"][3]["certificate"] = _certificate(old, 4, 356, 9)
    proof["members"][4]["certificate"] = _certificate(names[4], 5, 370, -5)
    proof["checks"] += [
        {"check": "process_current", "member": open_to, "verdict": "failed", "text": "old list", "remedy": "restart"},
        {"check": "certificate_days", "member": old, "verdict": "warning", "text": "9 days left", "remedy": "renew"},
        {"check": "certificate_days", "member": names[4], "verdict": "failed", "text": "over", "remedy": "renew"},
    ]
    again = "run the role again: ansible-playbook ringfence.etcd.site"
    find(
        proof,
        "failed",
        "stranger",
        open_to,
        f"a certificate of the CA whose common name is not in the list was accepted by {size - 1} of {size - 1}",
        f"restart etcd on {open_to}: its process was started with an older list; {again}",
    )
    find(proof, "failed", "member", names[0], f"{shut_out} was refused for its common name", again)
    find(proof, "failed", "certificate_days", names[4], "its certificate is over since 5 days", again)
    find(proof, "unproved", "unknown_ca", names[-1], "no answer within 5 s", "look for a firewall, then prove again")
    find(proof, "warning", "certificate_days", old, "its certificate has 9 days left", again)
    return finished(proof)


def partly(size: int = 3) -> Proof:
    """Nothing failed, but no stranger's certificate could be made."""
    proof = make_proof(size)
    set_pairs(
        proof,
        "stranger",
        lambda *_: True,
        verdict="unproved",
        outcome="not_probed",
        reason="no_ca_key",
        text="the CA's key is not on this host, so that no stranger's certificate could be made",
        tls=None,
        cipher=None,
    )
    find(proof, "unproved", "no_ca_key", "etcd", "no stranger was tried", "prove with the CA's host in the run")
    return finished(proof)


def not_probed(size: int = 3) -> Proof:
    """The last host did not answer."""
    proof = make_proof(size)
    last = proof["members"][-1]
    for case in CASES:
        set_pairs(
            proof,
            case,
            lambda dialler, target: last["name"] in (dialler, target),
            verdict="unproved",
            outcome="not_probed",
            reason="host_not_in_run",
            text="the host was not in the run",
            tls=None,
            cipher=None,
        )
    last.update(probed=False, problem="unreachable by SSH", etcd_version=None, certificate=None)
    proof["checks"] = [check for check in proof["checks"] if check["member"] != last["name"]]
    find(proof, "unproved", "host_not_in_run", last["name"], "was not in the run", "run without --limit")
    return finished(proof)


def long_names(size: int = 7) -> Proof:
    """Names that fit into no column, and differ at their ends only."""
    return make_proof(size, "etcd-member-of-the-second-datacentre-in-the-north-rack-07-unit-{}.example.com")


def two_authorities(size: int = 3) -> Proof:
    """In the middle of a change of the CA: an old one that is nearly over, a new one."""
    proof = make_proof(size)
    new = {"common_name": "etcd peer CA 2", "fingerprint": hashlib.sha256(b"CA 2").hexdigest(), **_life(1, 3649)}
    proof["authorities"][0].update(_life(3640, 10))
    proof["authorities"].append({**new, "trusted_by": [proof["members"][0]["name"]]})
    return proof


def hostile(size: int = 3) -> Proof:
    """The same hostile text in every field that is free text."""
    free = {"cluster", "summary", "host", "peer_url", "common_name", "issuer_common_name", "serial_number"}
    free |= {"fingerprint", "problem", "etcd_version", "text", "remedy", "subject", "tls", "cipher", "reason", "code"}
    names = {member["name"]: f"{HOSTILE_NAME} {member['name']}" for member in make_proof(size)["members"]}

    def changed(value: t.Any, key: str = "") -> t.Any:
        if isinstance(value, dict):
            return {name: changed(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [changed(item, key) for item in value]
        if key in ("name", "from", "to", "trusted_by", "member"):
            return names.get(value, value)
        return HOSTILE if key in free or key in ("dns_names", "ip_addresses") else value

    proof = not_probed(size)
    proof["checks"] += [{"check": "peer_tls", "member": None, "verdict": "warning", "text": "t", "remedy": "r"}]
    return t.cast(Proof, changed(proof))


def samples() -> dict[str, Proof]:
    """All samples by name."""
    made = {f"ok-{size}": make_proof(size) for size in (1, 3, 5, 7, 50)}
    made |= {f"failed-{size}": failed(size) for size in (5, 7, 50)}
    made |= {"partly": partly(), "not-probed": not_probed(), "not-probed-50": not_probed(50)}
    made |= {"long-names": long_names(), "two-authorities": two_authorities(), "hostile": hostile()}
    return made


if __name__ == "__main__":
    json.dump(samples()[sys.argv[1]], sys.stdout, indent=1)
