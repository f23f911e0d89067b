# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is due on a whole cluster, and why it must not be done: from the options of a check, asking nobody.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    MembershipChanges,
    membership_changes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.parts import (
    CA,
    CERTIFICATES,
    CHANGES,
    why_not_parted,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import (
    CERTIFICATE,
    FoundPending,
    PendingChange,
    WantedCluster,
    cluster_pending_changes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight import (
    certificate_requests,
    check_cluster,
    cluster_warnings,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_authority import (
    why_no_new_authority,
    why_not_by_another_authority,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_going_on import refuse_key_custody
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_rights import (
    refuse_lacking_role,
    told_by_its_cause,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_upgrade import (
    Upgrade,
    planned_upgrade,
    why_not_with_a_change,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightFailure,
    PreflightQuestion,
    with_program,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.transition_members import (
    in_the_order_of_the_plan,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.trust import trusted_fingerprints
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import dotted
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.authority_place import (
    told_of_one_there,
    why_not_made_there,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import (
    MISSING,
    needs_new_key,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import AnswerError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import flag_settings_from
from ansible_collections.ringfence.etcd.plugins.plugin_utils._leaked_keys import LeakedKeys, why_not_now
from ansible_collections.ringfence.etcd.plugins.plugin_utils._revocation_asked import (
    AskedRevocation,
    asked_revocation,
    listed_numbers,
    revoked_members,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import (
    checked_state,
    unusable,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._transition import Change, Question, change_of


def _is_to_be_made(given: t.Mapping[str, t.Any]) -> bool:
    """Whether there is no CA in its folder, and none is given."""
    ca = given["ca"] or {}
    is_missing = not ca.get("certificate") and any(reason.get("code") == MISSING for reason in ca.get("pending", ()))
    return is_missing and not given["ca_certificate_content"]


def _lost_because(given: t.Mapping[str, t.Any]) -> str:
    """Why a CA must not be made where its folder is; empty where it would stay."""
    return why_not_made_there(given["ca_directory"], given["ca_is_lost"]) if given["ca_is_lost"] else ""


def notes_of_authority(given: t.Mapping[str, t.Any]) -> list[str]:
    """What is to be known of a CA that is there, and is lost with its folder."""
    if not given["ca_is_lost"] or given["ca_certificate_content"] or _is_to_be_made(given):
        return []
    return [f"cluster {given['cluster_name']}: {told_of_one_there(given['ca_directory'], given['ca_is_lost'])}"]


def evaluated(given: dict[str, t.Any], members: list[Member], now: datetime.datetime) -> dict[str, t.Any]:
    states = _checked_states(given["states"], members)
    try:
        return _verdict(given, members, states, now)
    except RingfenceError:
        raise
    except Exception:
        nonsense = unusable(states, lambda some: _verdict(given, members, some, now))
        if not nonsense:
            raise
        raise InputError("; ".join(f"member {name}: {why}" for name, why in nonsense.items())) from None


class _Findings(t.NamedTuple):
    """What this run would do to the cluster, before anybody asks whether it may."""

    cluster: Cluster
    changes: MembershipChanges
    leaked: LeakedKeys
    revocation: AskedRevocation
    change: Change
    upgrade: Upgrade | None
    pending: list[PendingChange]
    requests: list[dict[str, t.Any]]


def _verdict(
    given: dict[str, t.Any], members: list[Member], states: t.Mapping[str, t.Any], now: datetime.datetime
) -> dict[str, t.Any]:
    found = _findings(given, members, states, now)
    failures = _failures(given, found)
    change, revocation = found.change, found.revocation
    return {
        "in_sync": not failures and not found.pending and not change.told["due"],
        "failures": [{"code": failure.code, "text": failure.text} for failure in failures],
        "warnings": [*cluster_warnings(found.cluster), *revocation.notes, *change.transition.plan.notes],
        "pending": found.pending,
        "removals": in_the_order_of_the_plan([one.member_id for one in found.changes.removals], change.transition),
        "joins": list(found.changes.joins),
        "upgrade": _upgrade(found.upgrade),
        "revoke": [] if failures else list(revocation.serial_numbers),
        "leaked": list(revocation.leaked),
        "transition": change.told,
        "trust_bundle": change.trust_bundle,
        # One that a single member trusts already is the new one of a change that has begun.
        "trusted_fingerprints": []
        if given["new_ca"]
        else sorted({one for prints in trusted_fingerprints(found.cluster).values() for one in prints}),
        "no_new_ca_because": why_no_new_authority(found.cluster),
        "requests": found.requests,
    }


def _findings(
    given: dict[str, t.Any], members: list[Member], states: t.Mapping[str, t.Any], now: datetime.datetime
) -> _Findings:
    authority = given["ca"] or {}
    at_hand = given["ca_certificate_content"] or authority.get("certificate")
    programs = given["programs"] or {}
    infos = {name: with_program(state["info"], _result(programs.get(name))) for name, state in states.items()}
    cluster = Cluster(members, infos, _question(given, at_hand, states, now), states)
    wanted = WantedCluster(
        key_type=given["key_type"],
        validity_days=given["validity_days"],
        renew_before_days=given["renew_before_days"],
        new_keys=given["new_keys"],
        install=given["install"],
        archive=given["archive"] or "",
    )
    changes = membership_changes(cluster)
    leaked = LeakedKeys(given["keys_leaked"], given["replaced_certificates"])
    revocation = asked_revocation(cluster, changes, given["revoked"], authority, given.get("ca_problem") or "", leaked)
    revoked = {*listed_numbers(authority), *revocation.serial_numbers}
    change = change_of(cluster, _asked_change(given, revoked, revocation.leaked), wanted, changes, now)
    seen = FoundPending(
        authority=at_hand,
        trust_bundle=change.trust_bundle,
        authority_pending=authority.get("pending", ()),
        hosts_pending={name: state.get("pending") for name, state in states.items()},
    )
    # One that has left, and comes back with what it had.
    refused_members = revoked_members(cluster, authority)
    need_new_keys = {*refused_members, *(leaked.names if leaked.is_first_look else ())}
    return _Findings(
        cluster=cluster,
        changes=changes,
        leaked=leaked,
        revocation=revocation,
        change=change,
        upgrade=planned_upgrade(cluster),
        pending=[
            *revocation.pending,
            *cluster_pending_changes(cluster, wanted, seen, now),
            *(
                PendingChange(
                    member=name, part=CERTIFICATE, code="revoked", text=f"its certificate is revoked: {number}"
                )
                for name, number in refused_members.items()
            ),
        ],
        requests=[
            {**request, "new_key": request["new_key"] or request["name"] in need_new_keys}
            for request in certificate_requests(cluster, given["new_keys"])
        ],
    )


def _failures(given: dict[str, t.Any], found: _Findings) -> list[PreflightFailure]:
    """Why this run must not do what it would, in the order in which it is told."""
    cluster, change, pending = found.cluster, found.change, found.pending
    of_plan = change.told
    failures = [
        *change.allowed(told_by_its_cause(cluster, check_cluster(cluster))),
        *change.failures,
        *refuse_lacking_role(cluster, found.changes, change.transition.plan.steps, found.upgrade),
        *(PreflightFailure("parts", line) for line in why_not_parted(pending, given["parts"])),
    ]
    if found.upgrade is not None and of_plan["due"]:
        failures.append(why_not_with_a_change(cluster, found.upgrade))
    failures += [PreflightFailure("revoked", line) for line in found.revocation.refused]
    by_another = why_not_by_another_authority(cluster, pending)
    failures += [] if by_another is None else [by_another]
    failures += why_not_now(cluster, found.leaked, of_plan["due"] or of_plan["stopped"], given["parts"])
    if given.get("ca_problem") and any(one["part"] == CERTIFICATE for one in pending):
        failures.append(PreflightFailure("ca", given["ca_problem"]))
    of_role = given.get("role_settings", {})
    failures += _without_signer(found, of_role) if CERTIFICATES in given["parts"] else []
    custody = {name: made["key_custody"] for name, made in of_role.items()}
    is_signed_elsewhere = any(made["is_signed_elsewhere"] for made in of_role.values())
    failures += refuse_key_custody(cluster, custody, _without_key(found.requests, pending, is_signed_elsewhere))
    return failures


def _without_signer(found: _Findings, of_role: t.Mapping[str, t.Any]) -> t.Iterator[PreflightFailure]:
    """Nothing is issued by a CA of which a certificate alone is given."""
    due = _due_certificates(found.pending)
    if due and any(made["lacks_ca_private_key"] for made in of_role.values()):
        yield PreflightFailure(
            "ca_key",
            f"cluster {found.cluster.question.cluster_name}: certificates are due (member {due[0]['member']}: "
            f"{due[0]['code']}), and etcd_peer_tls_ca_certificate is given without its private key: give "
            "etcd_peer_tls_ca_private_key, or say how that CA signs (etcd_peer_tls_requests_directory or "
            "etcd_peer_tls_signer_command)",
        )


def _without_key(
    requests: t.Sequence[t.Mapping[str, t.Any]], pending: t.Sequence[PendingChange], is_signed_elsewhere: bool
) -> set[str]:
    """The members that get a new private key, also where there is no CA yet that anything could be due by.

    ``is_signed_elsewhere``: by a request for each certificate, and so with a key for each.
    """
    found = {
        one["name"]
        for one in requests
        if one["new_key"] or not one["certificate"] or one["private_key_matches"] is not True
    }
    return found | {
        str(one["member"])
        for one in _due_certificates(pending)
        if is_signed_elsewhere or needs_new_key([Reason(code=one["code"], text="")])
    }


def _due_certificates(pending: t.Sequence[PendingChange]) -> list[PendingChange]:
    """Those of members."""
    return [one for one in pending if one["part"] == CERTIFICATE and one["member"] is not None]


def _question(
    given: dict[str, t.Any],
    at_hand: str | None,
    states: t.Mapping[str, t.Any],
    now: datetime.datetime,
) -> PreflightQuestion:
    """What this run is to do. ``at_hand``: the CA's certificate, as far as there is one."""
    problem = given.get("ca_problem") or _problem_of(given["ca"] or {})
    return PreflightQuestion(
        cluster_name=given["cluster_name"],
        identity=given["identity"],
        batch=list(states),
        play=given["play"],
        removed=[name.strip() for name in given["removed"]],
        removed_urls=given["removed_urls"],
        replaced=[name.strip() for name in given["replaced"]],
        manages_service=given["manages_service"],
        members_are_said=given["members_are_said"],
        slice_of=given["slice_of"],
        not_in_inventory=given["not_in_inventory"],
        install=given["install"],
        archive=given["archive"] or "",
        archive_sha256=given["archive_sha256"] or "",
        overrule_distribution_etcd=given["overrule_distribution_etcd"],
        force_restart=given["force_restart"],
        upgrade=given["upgrade"],
        ca_certificate=given["ca_certificate_content"] or None,
        authority=at_hand,
        authority_problem="" if at_hand else problem,
        uses_authority=not {CA, CERTIFICATES}.isdisjoint(given["parts"]),
        makes_authority=not at_hand and _is_to_be_made(given),
        new_ca=given["new_ca"],
        new_authority_lost_because=_lost_because(given) if _is_to_be_made(given) else "",
        flag_settings=flag_settings_from(given["settings"]),
        folders_of_others=given.get("folders_of_others") or {},
        own_flag_settings={name: flag_settings_from(own) for name, own in (given["own_settings"] or {}).items() if own},
        time=now,
    )


def _asked_change(given: t.Mapping[str, t.Any], revoked: t.Collection[str], leaked: t.Collection[str]) -> Question:
    return Question(
        new_ca=given["new_ca"],
        retire_ca=given["retire_ca"],
        stop_after=given["stop_after"],
        new_keys=given["new_keys"],
        disconnect=given["disconnect_revoked"],
        revoked=revoked,
        leaked=leaked,
        settings=given.get("role_settings") or {},
        issued_to=given["issued_to"],
        passed=given["passed"],
        steps_done=given["steps_done"],
        is_whole=set(CHANGES) <= set(given["parts"]),
    )


def _upgrade(planned: Upgrade | None) -> dict[str, t.Any] | None:
    if planned is None:
        return None
    return {
        "running": dotted(planned.running),
        "target": dotted(planned.target),
        "begun": planned.is_begun,
        "members": list(planned.members),
    }


def _problem_of(authority: t.Mapping[str, t.Any]) -> str:
    """What is wrong with a CA, other than that there is none yet."""
    return "; ".join(reason["text"] for reason in authority.get("pending", ()) if reason.get("code") != MISSING)


def _result(program: t.Any) -> dict[str, t.Any] | None:
    return program if isinstance(program, dict) else None


def _checked_states(states: t.Mapping[str, t.Any], members: t.Sequence[Member]) -> dict[str, t.Any]:
    """The states, each checked: a host whose state is not known must not pass for one without pending changes."""
    known = [member.name for member in members]
    checked = {}
    for name, state in states.items():
        if name not in known:
            raise InputError(
                f"states: {name} is no member ({', '.join(known) or 'there is none'}): give members' names"
            )
        try:
            checked[name] = checked_state(state)
        except AnswerError as exc:
            raise InputError(
                f"states: what there is of {name} is no result of ringfence.etcd.etcd_peer_probe ({exc}): look at each "
                "host of the run before (strategy linear), and leave out with --limit those that can't be looked at"
            ) from exc
    return checked


__all__ = ("evaluated", "notes_of_authority")
