# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `etcd_peer_certificates` answers: plain values from a plan and what was issued.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict
from datetime import datetime

from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import (
    Decision,
    Issued,
    IssuePlan,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.request_files import FilesPlan, told_unsigned
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import new_folders
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates

NONE_UNSIGNED: t.Final[dict[str, t.Any]] = {"unsigned": [], "unsigned_text": None}


def result_of(plan: IssuePlan, issued: t.Mapping[str, Issued], now: datetime, with_diff: bool) -> dict[str, t.Any]:
    """The module's answer; with a thousand members, half of it would be a diff that nobody asked for."""
    members = [_member_result(plan, decision, issued.get(decision.name), now) for decision in plan.decisions]
    answer: dict[str, t.Any] = {"changed": plan.changed, "members": members}
    return {**answer, "diff": _diff(plan)} if with_diff else answer


def unsigned_result(plan: IssuePlan, found: FilesPlan, now: datetime, with_diff: bool) -> dict[str, t.Any]:
    """The answer where requests wait for another CA: nothing is issued, and the requests' files may have changed."""
    members = [
        {**_member_result(plan, decision, None, now), "issued": False, "new_key": False} for decision in plan.decisions
    ]
    before, after = new_folders(found.new_parents)
    before.update({change.path: change.before for change in found.changes})
    after.update({change.path: change.after for change in found.changes})
    return {
        "changed": bool(found.changes),
        "members": members,
        "unsigned": [asdict(one) for one in found.unsigned],
        "unsigned_text": told_unsigned(plan, found),
        **({"diff": {"before": {"files": before}, "after": {"files": after}}} if with_diff else {}),
    }


def _diff(plan: IssuePlan) -> dict[str, t.Any]:
    """The same with and without check mode: nothing in it is known only after issuing."""
    folders = {} if plan.directory_change is None else {plan.directory_change.path: plan.directory_change}
    parents_before, parents_after = new_folders(plan.new_parents)
    touched = [decision for decision in plan.decisions if decision.due or decision.changes]
    return {
        "before": {
            "folders": {**parents_before, **{path: change.before for path, change in folders.items()}},
            "members": {decision.name: _before(decision) for decision in touched},
        },
        "after": {
            "folders": {**parents_after, **{path: change.after for path, change in folders.items()}},
            "members": {decision.name: _after(plan, decision) for decision in touched},
        },
    }


def _member_result(plan: IssuePlan, decision: Decision, issued: Issued | None, now: datetime) -> dict[str, t.Any]:
    profile, facts = decision.member.profile, decision.found_facts
    result: dict[str, t.Any] = {
        "name": profile.name,
        "issued": decision.due,
        "new_key": decision.due and decision.new_key,
        "reasons": list(decision.reasons),
        "common_name": profile.common_name,
        "dns_names": list(profile.dns_names),
        "ip_addresses": list(profile.ip_addresses),
    }
    if decision.due or facts is None or decision.found is None:
        first, last = (None if issued is None else issued.validity) or (plan.not_before, plan.not_after)
        pem = None if issued is None else issued.certificate
        result["fingerprint"] = None if issued is None else issued.fingerprint
        result["serial_number"] = None if issued is None else serial_hex(issued.serial_number)
        if issued is not None and issued.private_key is not None:
            result["private_key"] = issued.private_key.decode("ascii")
    else:
        first, last = facts.not_before, facts.not_after
        pem = certificates.certificate_pem(decision.found)
        result["fingerprint"] = certificates.fingerprint(decision.found)
        result["serial_number"] = facts.serial_number
    result["certificate"] = None if pem is None else pem.decode("ascii")
    result["not_before"], result["not_after"] = rules.iso_time(first), rules.iso_time(last)
    result["days_left"] = rules.days_left(last, now)
    return result


def _before(decision: Decision) -> dict[str, t.Any]:
    facts = decision.found_facts
    certificate = None if facts is None else _public(facts)
    return {"certificate": certificate, "files": {change.path: change.before for change in decision.changes}}


def _after(plan: IssuePlan, decision: Decision) -> dict[str, t.Any]:
    """What will be there."""
    profile, facts = decision.member.profile, decision.found_facts
    after: dict[str, t.Any] = {"files": {change.path: change.after for change in decision.changes}}
    if not decision.due:
        return {"certificate": None if facts is None else _public(facts), **after}
    after["certificate"] = {
        "common_name": profile.common_name,
        "dns_names": list(profile.dns_names),
        "ip_addresses": list(profile.ip_addresses),
        "other_names": [],
        "key_type": profile.key_type,
        "key_usage": sorted(profile.key_usages),
        "extended_key_usage": sorted(profile.extended_key_usages),
        "is_ca": False,
        "issuer_key_identifier": None if plan.authority is None else plan.authority.facts.key_identifier,
    }
    if not plan.request.is_signed_elsewhere:
        # Another CA decides for itself.
        after["certificate"]["not_before"] = rules.iso_time(plan.not_before)
        after["certificate"]["not_after"] = rules.iso_time(plan.not_after)
    after["new_key"] = decision.new_key
    after["reasons"] = [reason["text"] for reason in decision.reasons]
    return after


def _public(facts: rules.CertificateFacts) -> dict[str, t.Any]:
    return {
        "common_name": ", ".join(facts.common_names),
        "dns_names": list(facts.dns_names),
        "ip_addresses": list(facts.ip_addresses),
        "other_names": list(facts.other_names),
        "key_type": facts.key_algorithm,
        "key_usage": sorted(facts.key_usage or ()),
        "extended_key_usage": sorted(facts.extended_key_usage or ()),
        "is_ca": facts.is_ca,
        "issuer_key_identifier": facts.authority_key_identifier,
        "not_before": rules.iso_time(facts.not_before),
        "not_after": rules.iso_time(facts.not_after),
    }


__all__ = ("NONE_UNSIGNED", "result_of", "unsigned_result")
