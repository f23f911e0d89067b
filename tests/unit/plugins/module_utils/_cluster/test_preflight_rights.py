# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What RBAC does not let a run do is told before anything is changed, and by its cause."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import (
    RESTART_UNIT,
    UPDATE_MEMBER,
    Action,
    Quorum,
    Step,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import MembershipChanges
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight import check_cluster
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_rights import (
    refuse_lacking_role,
    told_by_its_cause,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_upgrade import Upgrade
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Cluster, Listed
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.preflight_cluster import (
    NAMES,
    edited,
    living,
    members,
    others,
    pending_on,
    silent,
    without_data,
)

NOTHING = MembershipChanges()
GOES = MembershipChanges(removals=(Listed("3", "etcd-3", ("https://10.0.0.3:2380",), (), False),))


def step(name: str, kind: str) -> Step:
    return Step("x", (name,), "t", "r", (Action(kind, host=name),), "g", "a", Quorum(3, 3, 3, 3))


def lacking(role: str | None = "root") -> Cluster:
    cluster = living()
    cluster.states["etcd-2"]["live_lacking_role"] = role
    return cluster


@pytest.mark.parametrize(
    ("changes", "steps", "upgrade", "words"),
    [
        (MembershipChanges(joins=("etcd-4",)), (), None, "blue: etcd-4 joins: etcd has RBAC switched on"),
        (GOES, (), None, "blue: etcd-3 is removed: etcd"),
        (NOTHING, ("etcd-1", "etcd-2"), None, "blue: etcd-1 gets another peer URL; etcd-2 gets another peer URL: etcd"),
        (NOTHING, (), Upgrade((3, 5, 35), (3, 6, 16), False, ()), "blue: a snapshot comes before etcd 3.6.16: etcd"),
    ],
)
def test_what_only_root_may_do_is_refused(
    changes: MembershipChanges, steps: tuple[str, ...], upgrade: Upgrade | None, words: str
) -> None:
    moves = [step(name, UPDATE_MEMBER) for name in steps]
    (failure,) = refuse_lacking_role(lacking(), changes, moves, upgrade)
    assert failure.code == "lacking_role" and words in failure.text and "\n" not in failure.text
    assert "grant it (etcdctl user grant-role NAME root), or give another user" in failure.text
    assert list(refuse_lacking_role(lacking(None), changes, moves, upgrade)) == []
    assert list(refuse_lacking_role(living(), changes, moves, upgrade)) == []


def test_what_any_user_may_do_goes_on() -> None:
    restart, begun = step("etcd-1", RESTART_UNIT), Upgrade((3, 5, 35), (3, 6, 16), True, ())
    assert list(refuse_lacking_role(lacking(), NOTHING, [restart], begun)) == []


def kept_back(cluster: Cluster, kind: str) -> Cluster:
    """Nobody tells the list to this user."""
    for state in cluster.states.values():
        state.update(live_members=None, live_obstacle=kind, live_members_problem="HTTP 400: no\nno")
    return cluster


def told(cluster: Cluster) -> list[tuple[str, str]]:
    return [(one.code, one.text) for one in told_by_its_cause(cluster, check_cluster(cluster))]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("auth", "set etcd_peer_tls_api_user and etcd_peer_tls_api_password"),
        ("user", "does not take the user of etcd_peer_tls_api_user"),
        ("right", "etcdctl user grant-role NAME root"),
        ("gateway", "take the flag out"),
    ],
)
@pytest.mark.parametrize(
    "everyone",
    [
        # A member that comes, goes, moves; other names.
        members(4),
        members(2),
        others(peer_port=2390),
        others(domain="example.org"),
    ],
    ids=["comes", "goes", "moves", "names"],
)
def test_nobody_is_told_to_start_what_runs(kind: str, words: str, everyone: t.Any) -> None:
    cluster = edited(kept_back(living(), kind), everyone)
    if len(everyone) == 4:
        cluster.infos["etcd-4"] = without_data(living(), "etcd-1").infos["etcd-1"]
        cluster.states["etcd-4"] = {"pending": []}
    (found,) = told(cluster)
    assert found[0] == f"change_{kind}" and words in found[1] and "start etcd" not in found[1]
    assert found[1].startswith("member etcd-1, etcd-2, etcd-3: its etcd ") and "\n" not in found[1]


def test_a_restart_that_is_due_has_told_it_already() -> None:
    cluster = pending_on(edited(kept_back(living(), "auth"), others(domain="example.org")), NAMES[1])
    assert [code for code, _text in told(cluster)] == ["restart_auth"]


def test_other_reasons_are_told_as_they_are() -> None:
    # They stand still.
    off = edited(silent(living()), others(domain="example.org"))
    assert told(off) == [(one.code, one.text) for one in check_cluster(off)] != []
    # One of them tells the list.
    one = kept_back(living(), "auth")
    one.states["etcd-1"].update(living().states["etcd-1"])
    moved = edited(one, others(peer_port=2390))
    assert [code for code, _text in told(moved)] == ["peer_url_differs"]
    # Nothing of it comes from the list.
    assert told(kept_back(living(), "auth")) == []
