# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks of the etcd that would be started: as it runs, a later patch of it, or the next minor version.

Pure, as ``preflight``. Which version may follow which stands in ``upgrade_rules``.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import natural_key
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import membership_changes
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightFailure,
    is_running,
    one_line,
    reported_lists,
    running_members,
    version_to_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.upgrade_rules import is_begun, why_not_upgraded
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, dotted, read_version


@dataclass(frozen=True)
class Upgrade:
    """A change of the minor version that a run makes. ``members``: names of those that are still to be restarted."""

    running: Version
    target: Version
    is_begun: bool
    members: tuple[str, ...]


def planned_upgrade(cluster: Cluster) -> Upgrade | None:
    """The change of the minor version that this run makes; None where it makes none, or is refused."""
    upgrade = _meant_upgrade(cluster)
    return None if upgrade is None or any(True for _failure in refuse_other_version(cluster)) else upgrade


def why_not_with_a_change(cluster: Cluster, upgrade: Upgrade) -> PreflightFailure:
    """What is told where names, CA or places of the members change in the same run, each by restarts of its own."""
    return PreflightFailure(
        "change_in_upgrade",
        f"cluster {cluster.question.cluster_name}: no upgrade to etcd {dotted(upgrade.target)} in a run that changes "
        "names, the CA or addresses: do that with the etcd that runs, or put it back until the upgrade is done",
    )


def refuse_other_version(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """What would be started is of the version that runs, a later patch, or the next minor version where that is said"""
    running = _running(cluster)
    for target, names in _changes(cluster, running).items():
        own = [running[name] for name in names]
        crosses = any(version[:2] != target[:2] for version in own)
        reason = why_not_upgraded(list(running.values()) if crosses else own, target, cluster.question.upgrade)
        if reason is not None:
            text = f"cluster {cluster.question.cluster_name}: {reason['text']} (member {', '.join(names)})"
            yield PreflightFailure(reason["code"], text)
        elif crosses:
            yield from _refuse_circumstances(cluster, target, is_begun(running.values(), target))
    yield from _refuse_stopped(cluster, running)


def _running(cluster: Cluster) -> dict[str, Version]:
    """By member's name, the versions that run, as far as they are known."""
    told = {
        member.name: read_version((info.get("process") or {}).get("version"))
        for member, info in running_members(cluster)
    }
    return {name: version for name, version in told.items() if version is not None}


def _changes(cluster: Cluster, running: t.Mapping[str, Version]) -> dict[Version, list[str]]:
    """The versions that running members would change to, with their names."""
    found: dict[Version, list[str]] = {}
    for member, info in cluster.inspected():
        starts = read_version(version_to_start(cluster.question, info))
        if starts is not None and running.get(member.name, starts) != starts:
            found.setdefault(starts, []).append(member.name)
    return found


def _meant_upgrade(cluster: Cluster) -> Upgrade | None:
    running = _running(cluster)
    for target, names in _changes(cluster, running).items():
        late = [name for name in names if running[name][:2] != target[:2]]
        if late:
            begun = is_begun(running.values(), target)
            return Upgrade(min(running.values()), target, begun, tuple(sorted(late, key=natural_key)))
    return None


# What else stands against another minor version ---------------------------------------------------------------------


def _refuse_circumstances(cluster: Cluster, target: Version, begun: bool) -> t.Iterator[PreflightFailure]:
    for code, why in _circumstances(cluster, target, begun):
        yield PreflightFailure(
            code, f"cluster {cluster.question.cluster_name}: no upgrade to etcd {dotted(target)}: {why}"
        )


def _circumstances(cluster: Cluster, target: Version, begun: bool) -> t.Iterator[tuple[str, str]]:
    question = cluster.question
    if not question.manages_service:
        yield (
            "upgrade_without_service",
            "one member after the other is restarted with it, and etcd_peer_tls_manage_service is false: put the "
            "program in place host by host, and restart each while all others are healthy",
        )
    if question.force_restart:
        yield (
            "upgrade_forced",
            "each member is restarted behind the guard, and etcd_peer_tls_force_restart would leave that out: take it "
            "away",
        )
    if begun:
        # What is not well now is waited for before each restart.
        return
    missing = cluster.not_inspected()
    if missing:
        yield (
            "upgrade_hosts_missing",
            f"{cluster.why_not_inspected()}: begin with all members",
        )
    yield from _unwell(cluster)
    joins = membership_changes(cluster).joins
    if joins:
        yield (
            "join_in_upgrade",
            f"{', '.join(joins)} is to join the cluster: let it join first, with the etcd that runs, or take its host "
            "out of the inventory for now",
        )
    others = [
        f"{member.name} ({version_to_start(question, info) or 'not known'})"
        for member, info in running_members(cluster)
        if (read_version(version_to_start(question, info)) or ())[:2] != target[:2]
    ]
    if others:
        yield (
            "programs_differ",
            f"another etcd would be started on {', '.join(others)}: bring the same version to all hosts first",
        )


def _unwell(cluster: Cluster) -> t.Iterator[tuple[str, str]]:
    """Members that do not run or do not answer, and learners."""
    lists = reported_lists(cluster)
    listed = {one.name for each in lists.values() for one in each if one.name}
    down = [member.name for member, info in cluster.inspected() if member.name in listed and not is_running(info)]
    silent = [member.name for member, _info in running_members(cluster) if member.name not in lists]
    if down:
        yield "upgrade_member_down", f"{', '.join(down)} does not run: bring it back first, with the etcd that it had"
    if silent:
        yield "upgrade_member_silent", f"{', '.join(silent)} does not tell who is in the cluster: bring it back first"
    learners = sorted(
        {one.name or ", ".join(one.peer_urls) for each in lists.values() for one in each if one.is_learner}
    )
    if learners:
        yield (
            "learner_in_upgrade",
            f"{', '.join(map(one_line, learners))} is a learner: run without the new etcd until it is promoted, or "
            "remove it",
        )


def _refuse_stopped(cluster: Cluster, running: t.Mapping[str, Version]) -> t.Iterator[PreflightFailure]:
    """A member that is off comes back as one of the others runs."""
    for member, info in cluster.inspected():
        starts = read_version(version_to_start(cluster.question, info))
        if starts is None or member.name in running or not running or is_begun(running.values(), starts):
            continue
        name = next(iter(running), "")
        other = running[name]
        yield PreflightFailure(
            "version_change",
            f"member {member.name}: its etcd is not {dotted(other)}, as {name} runs, and {dotted(starts)} would be "
            f"started: let it start with etcd {dotted(other)}, or a later one of {dotted(other[:2])}; another minor "
            "version comes with etcd_peer_tls_upgrade: true, once all members run",
        )


UPGRADE_CHECKS: tuple[t.Callable[[Cluster], t.Iterator[PreflightFailure]], ...] = (refuse_other_version,)

__all__ = ("UPGRADE_CHECKS", "Upgrade", "planned_upgrade", "refuse_other_version", "why_not_with_a_change")
