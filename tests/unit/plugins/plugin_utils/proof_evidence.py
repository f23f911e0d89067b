# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What etcd_peer_probe says of the members of a sound cluster, for tests to put faults into."""

from __future__ import annotations

import copy
import hashlib
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.evaluate import ProofQuestion, evaluate

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=timezone.utc)
CASES = ("member", "stranger", "unknown_ca", "no_certificate")
REFUSED_FOR = {"stranger": "common_name", "unknown_ca": "unknown_authority", "no_certificate": "no_certificate"}

Result = dict[str, t.Any]
Results = dict[str, Result]


def at(days: float) -> str:
    """A time so many days after the proof's, in the form of the documents."""
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def fingerprint(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def certificate(name: str, from_days: float, to_days: float, **more: t.Any) -> dict[str, t.Any]:
    return {
        "common_name": name,
        "issuer_common_name": "etcd peer CA",
        "serial_number": fingerprint(name)[:40],
        "fingerprint": fingerprint(name),
        "not_before": at(from_days),
        "not_after": at(to_days),
        "days_left": int(to_days // 1),
        "dns_names": [],
        "ip_addresses": [],
        "extended_key_usage": None,
        **more,
    }


def authority(name: str = "etcd peer CA", from_days: float = -10, to_days: float = 3640) -> dict[str, t.Any]:
    return certificate(name, from_days, to_days)


def some_members(count: int = 3, identity: str = "list", **entry: t.Any) -> list[Member]:
    entries = [
        {"name": f"etcd-{number}", "address": f"10.0.0.{number}", **(entry if number == 1 else {})}
        for number in range(1, count + 1)
    ]
    return make_members(entries, ClusterSettings(name="blue", domain="example.com", identity=identity))


def leaf_of(member: Member, **more: t.Any) -> dict[str, t.Any]:
    facts = certificate(member.common_name, -10, 355.5)
    facts.update(
        serial_number=fingerprint(member.name)[:40],
        fingerprint=fingerprint(member.name),
        dns_names=list(member.dns_names),
        ip_addresses=list(member.ip_addresses),
        extended_key_usage=["serverAuth", "clientAuth"],
    )
    return {**facts, **more}


def _probe(target: Member, case: str) -> dict[str, t.Any]:
    accepted = case == "member"
    return {
        "to": target.name,
        "peer_url": target.peer_url,
        "case": case,
        "outcome": "accepted" if accepted else "refused",
        "reason": REFUSED_FOR.get(case),
        "text": "HTTP 200" if accepted else f"refused for {REFUSED_FOR[case]}",
        "inferred": case in ("stranger", "unknown_ca"),
        "tls": "TLSv1.3",
        "cipher": "TLS_AES_128_GCM_SHA256",
        "server": leaf_of(target) if accepted else None,
    }


def _settings(member: Member, members: t.Sequence[Member]) -> dict[str, t.Any]:
    pki = "/etc/etcd/pki"
    files = {
        "peer_trusted_ca_file": f"{pki}/ca.crt",
        "peer_cert_file": f"{pki}/{member.name}.crt",
        "peer_key_file": f"{pki}/{member.name}.key",
        "peer_crl_file": None,
    }
    return {
        "program": "/usr/bin/etcd",
        "allowed_common_names": list(dict.fromkeys(one.common_name for one in members)),
        "allowed_hostnames": [],
        "listen_peer_urls": [member.peer_url],
        "files": files,
        "flags": {"name": member.name, "peer-client-cert-auth": "true"},
        "warnings": [],
    }


def _info(member: Member, members: t.Sequence[Member]) -> dict[str, t.Any]:
    pki = "/etc/etcd/pki"
    reported = _settings(member, members)
    return {
        "etcd": {"binary": "/usr/bin/etcd", "found": True, "version": "3.5.16", "problem": None},
        "user": {"name": "etcd", "exists": True, "module_user": "root", "may_own": True},
        "data": {"directory": "/d", "exists": True, "member_id": "1", "cluster_id": "c", "problem": None},
        "credentials": {
            "ca": {"path": f"{pki}/ca.crt", "state": "file", "problem": None, "certificates": [authority()]},
            "certificate": {
                "path": f"{pki}/{member.name}.crt",
                "state": "file",
                "problem": None,
                "pem": "PEM",
                **leaf_of(member),
            },
            "private_key": {"path": f"{pki}/{member.name}.key", "state": "file", "matches_certificate": True},
        },
        "unit": {
            "name": "etcd.service",
            "path": "/etc/systemd/system/etcd.service",
            "settings": copy.deepcopy(reported),
            "problem": None,
        },
        "process": {
            "running": True,
            "pid": 4711,
            "version": "3.5.16",
            "active_state": "active",
            "newer_files": [],
            "crl_is_newer": False,
            "settings": reported,
            "problem": None,
        },
    }


def sound(members: t.Sequence[Member]) -> Results:
    """By member's name, what the probe says where all is as it must be."""
    found: Results = {}
    for number, member in enumerate(members, 1):
        targets = [other for other in members if other != member] or [member]
        found[member.name] = {
            "name": member.name,
            "time": at(0),
            "called": True,
            "client_probes": [],
            "client_problem": None,
            "probes": [_probe(target, case) for case in CASES for target in targets],
            "problem": None,
            "unreadable_files": [],
            "revoked": [],
            "revocation_list_problem": None,
            "process_credentials": None,
            "live_alarms": [],
            "live_members": [
                {"member_id": f"{number:x}", "name": one.name, "peer_urls": [one.peer_url], "is_learner": False}
                for number, one in enumerate(members, 1)
            ],
            "live_members_problem": None,
            "info": _info(member, members),
        }
    return found


def set_probe(
    results: Results, source: str, target: str, case: str, outcome: str, reason: str | None, **more: t.Any
) -> None:
    """Change what one member met at another."""
    for probe in results[source]["probes"]:
        if (probe["to"], probe["case"]) == (target, case):
            seen = {"text": f"{outcome}, {reason}", "inferred": False, "server": None}
            probe.update({"outcome": outcome, "reason": reason, **seen, **more})


def question(**more: t.Any) -> ProofQuestion:
    return ProofQuestion(**{"cluster_name": "blue", "time": at(0), **more})


def proof_of(
    members: t.Sequence[Member], results: Results, absent: t.Mapping[str, str] | None = None, **more: t.Any
) -> dict[str, t.Any]:
    return evaluate(members, results, absent or {}, question(**more))


def with_faults(size: int) -> dict[str, t.Any]:
    """A proof of a cluster in which much is wrong at once, as far as it has members for it."""
    members = some_members(size)
    results = sound(members)
    names = [member.name for member in members]
    first, second, third = names[:3]
    for source in names:
        if source != second:
            set_probe(results, source, second, "stranger", "accepted", None, text="HTTP 200")
    results[second]["info"]["process"]["settings"]["allowed_common_names"] = []
    results[third]["info"]["process"]["settings"]["allowed_common_names"].remove(members[0].common_name)
    set_probe(results, first, third, "member", "refused", "common_name", inferred=True)
    results[first]["info"]["credentials"]["certificate"].update(not_after=at(9), days_left=9)
    if size > 4:
        expired = {"not_before": at(-370), "not_after": at(-5), "days_left": -5}
        results[names[3]]["info"]["credentials"]["certificate"].update(expired)
        for source in names:
            if source != names[3]:
                text = "alert: certificate expired"
                set_probe(results, source, names[3], "member", "refused", "server_expired", text=text)
                set_probe(results, names[3], source, "member", "refused", "expired", text=text)
        for source in names[:4]:
            set_probe(results, source, names[4], "member", "timed_out", "connect", text="no connection in 5 s")
        del results[names[4]]
    return proof_of(
        members, results, {names[-1 if size < 5 else 4]: "Failed to connect to the host via ssh: timed out"}
    )


def evaluated() -> dict[str, dict[str, t.Any]]:
    """Proofs by the judge itself, by name."""
    return {f"judged-{size}": with_faults(size) for size in (3, 5, 7, 50)}
