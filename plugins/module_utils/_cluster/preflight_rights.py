# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks of what RBAC lets a run do: a right that lacks is told before anything is changed. Pure.

Without them a change in several steps would end at its first call that needs the right, after restarts for it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import UPDATE_MEMBER, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import MembershipChanges
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import OBSTACLE_REMEDIES
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_running import obstacles
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_upgrade import Upgrade
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightFailure,
    one_line,
    reported_lists,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import dotted

# What is refused, or refused in other words, because no member tells who is in the cluster.
_OF_NO_LIST = frozenset(
    (
        "client_url_differs",
        "common_name_differs",
        "data_lost",
        "join_not_prepared",
        "name_would_be_lost",
        "other_ca",
        "peer_url_differs",
        "removed_is_a_member",
        "removed_unknown",
        "start_unknown",
    )
)


def refuse_lacking_role(
    cluster: Cluster, changes: MembershipChanges, steps: t.Iterable[Step], upgrade: Upgrade | None
) -> t.Iterator[PreflightFailure]:
    """Members come, go and move, and snapshots are taken, by a user with the role root alone."""
    role = next(
        (state["live_lacking_role"] for state in cluster.states.values() if state.get("live_lacking_role")), None
    )
    if role is None:
        return
    moved = [step.members[0] for step in steps if any(action.kind == UPDATE_MEMBER for action in step.actions)]
    wanted = [
        *(f"{name} joins" for name in changes.joins),
        *(f"{one.name or one.member_id} is removed" for one in changes.removals),
        *(f"{name} gets another peer URL" for name in dict.fromkeys(moved)),
    ]
    if upgrade is not None and not upgrade.is_begun:
        wanted.append(f"a snapshot comes before etcd {dotted(upgrade.target)}")
    if wanted:
        yield PreflightFailure(
            "lacking_role",
            f"cluster {cluster.question.cluster_name}: {'; '.join(wanted)}: etcd has RBAC switched on, and lets only a "
            f"user with the role {one_line(role)} do that, which this run's user (etcd_peer_tls_api_user) lacks: grant "
            f"it (etcdctl user grant-role NAME {one_line(role)}), or give another user",
        )


def told_by_its_cause(cluster: Cluster, failures: t.Sequence[PreflightFailure]) -> list[PreflightFailure]:
    """The failures; those that come of members who tell no list to this user are one, which says what to do about it.

    To start etcd there first, or to put something back, would be of no use: it runs, and may not be asked.
    """
    found = {kind: names for kind, names in obstacles(cluster).items() if kind in ("auth", "user", "right", "gateway")}
    if not found or reported_lists(cluster) or not any(one.code in _OF_NO_LIST for one in failures):
        return list(failures)
    others = [one for one in failures if one.code not in _OF_NO_LIST]
    told = {one.code for one in others}
    causes = []
    for kind, names in found.items():
        if f"restart_{kind}" in told:
            continue
        says = next((cluster.states[name].get("live_members_problem") for name in names), None)
        causes.append(
            PreflightFailure(
                f"change_{kind}",
                f"member {', '.join(names)}: {OBSTACLE_REMEDIES[kind]} (nobody tells who is in the cluster, which a "
                f"change of it has to know; the member says: {one_line(says)})",
            )
        )
    return [*causes, *others]


__all__ = ("refuse_lacking_role", "told_by_its_cause")
