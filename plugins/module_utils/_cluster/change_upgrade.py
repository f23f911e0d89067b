# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of the plan about etcd's version: one minor version at a time, one member at a time, the leader last. Pure.

From which version to which one goes, and what has to be done before, stands in ``upgrade_rules``.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_restart import (
    dotted,
    restart,
    why_not_well,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Host, WantedMember
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Action, Next, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import SHORT_LOG, Matched, View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure, one_line
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.upgrade_rules import (
    is_begun,
    members_are_written_again,
    reads_no_old_entries,
    why_not_upgraded,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, understands_list


class _Late(t.NamedTuple):
    """A member that is wanted, and runs with another version than the one that is wanted."""

    one: Matched
    wanted: WantedMember
    host: Host
    running: Version


def upgrade_begun(view: View) -> Next:
    """What has begun is finished before anything else: a cluster of two minor versions is no place to live in."""
    target = view.desired.version
    if target is None:
        return None
    programs = {one.host.program for one in view.matched if one.host is not None and one.host.program is not None}
    programs |= set(_running(view).values())
    minors = {version[:2] for version in programs}
    return upgrade(view) if len(minors) > 1 and target[:2] in minors else None


def upgrade_for_list(view: View) -> Next:
    """Before 3.5.15 there is no list: where one is due, the version goes first."""
    target = view.desired.version
    hosts = [one.host for one in view.matched if one.host is not None]
    too_old = any(host.program is not None and not understands_list(host.program) for host in hosts)
    if target is None or not too_old or not understands_list(target) or len(view.needed_names()) < 2:
        return None
    return upgrade(view)


def upgrade(view: View) -> Next:
    """The next member with another program, the leader last."""
    target, running = view.desired.version, _running(view)
    if target is None or not running:
        return None
    late = [
        _Late(one, one.wanted, one.host, running[one.listed.member_id])
        for one in view.leader_last(view.matched)
        if one.wanted is not None and one.host is not None and running.get(one.listed.member_id, target) != target
    ]
    if not late:
        minor = min(running.values())[:2]
        has_to_follow = view.state.cluster_version is not None and view.state.cluster_version < minor
        return _await(view, minor) if has_to_follow else None
    refusal = why_not_well(view) or _why_not(view, target, running)
    if refusal is not None:
        return refusal
    if view.learners:
        return _why_not_with_a_learner(view.learners[0], is_begun(running.values(), target))
    lowest = min(version[:2] for version in running.values())
    is_first = not is_begun(running.values(), target)
    if lowest != target[:2]:
        if view.cluster_is_behind(lowest):
            return _await(view, lowest)
        if reads_no_old_entries(target) and is_first:
            long = [one for one in late if one.host.old_entries is not False]
            if long:
                return _shorten(view, long[0])
    return _next_member(view, late[0], target, is_first)


def _why_not_with_a_learner(one: Matched, begun: bool) -> PreflightFailure:
    """A promotion in the middle may be lost for the members that run the new version: then there is another way."""
    way = ""
    if begun:
        known = one.listed.name or one.listed.member_id
        way = (
            f"; this one has begun: take {one.label} off the inventory, let it leave with etcd_peer_tls_removed: "
            f"[{known}], and let it join again after the upgrade"
        )
    return PreflightFailure("learner_in_upgrade", f"{one.label} is a learner: it is promoted before an upgrade{way}")


def _before_first(view: View, target: Version) -> list[Action]:
    """What is done in the old version, just before the first member runs the new one."""
    actions = [Action(steps.SNAPSHOT)]
    if members_are_written_again(target):
        # The list as it is now, once more: it is the writing that matters.
        actions += [
            Action(steps.UPDATE_MEMBER, member_id=one.listed.member_id, url=url)
            for one in view.matched
            for url in one.listed.peer_urls[:1]
        ]
    return actions


def before_start(view: View, host: Host, refusal: PreflightFailure) -> list[Action] | PreflightFailure:
    """A member that stopped with its new program in place already: what has to come before its start, or why not."""
    target, running = view.desired.version, _running(view)
    if refusal.code != "version_change" or target is None or host.program != target or not view.words.upgrade:
        return refusal
    why = _why_not(view, target, running) if running else None
    if why is None and reads_no_old_entries(target) and host.old_entries is not False:
        why = refusal
    return _before_first(view, target) if why is None else why


def _running(view: View) -> dict[str, Version]:
    return {
        one.listed.member_id: one.host.running
        for one in view.matched
        if one.host is not None and one.host.running is not None and one.host.process is not None
    }


def _why_not(view: View, target: Version, running: t.Mapping[str, Version]) -> PreflightFailure | None:
    reason = why_not_upgraded(running.values(), target, view.words.upgrade)
    if reason is not None:
        return PreflightFailure(reason["code"], reason["text"])
    for one in view.matched:
        if one.host is not None and one.host.new_program_problem:
            return PreflightFailure(
                "program_unusable",
                f"member {one.label}: etcd {dotted(target)} would not start there: "
                f"{one_line(one.host.new_program_problem)}",
            )
    return None


def _await(view: View, minor: tuple[int, int]) -> Step:
    names = tuple(one.label for one in view.matched)
    text = f"wait until the cluster says that it is {dotted(minor)}"
    reason = "it moves after the last member, and the next minor version comes after that"
    return Step(steps.AWAIT_VERSION, names, text, reason, (), steps.ALL, steps.FOLLOWED, view.quorum())


def _shorten(view: View, late: _Late) -> Next:
    one = late.one
    config = view.wide(late.wanted, late.host, one)
    config = replace(config, settings=config.settings + SHORT_LOG)
    reason = "its log may have entries of 3.5, which 3.7 can't read"
    found = restart(view, steps.SHORTEN_LOG, one, config, f"restart {one.label} to shorten its log", reason)
    return replace(found, after=steps.SHORTENED) if isinstance(found, Step) else found


def _next_member(view: View, late: _Late, target: Version, is_first: bool) -> Next:
    one, wanted, host, running = late
    before = _before_first(view, target) if is_first and running[:2] != target[:2] else []
    before.append(Action(steps.PUT_PROGRAM, host.name, version=target))
    text = f"restart {one.label} with etcd {dotted(target)}"
    if is_first and len(before) > 1:
        text = f"take a snapshot, then {text}"
    config = replace(view.wide(wanted, host, one), settings=wanted.settings)
    reason = f"it runs as {dotted(running)}"
    return restart(view, steps.UPGRADE, one, config, text, reason, before=tuple(before), program=target)


__all__ = ("before_start", "upgrade", "upgrade_begun", "upgrade_for_list")
