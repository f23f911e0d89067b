# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock
from ansible_collections.ringfence.etcd.plugins.module_utils._member import turn
from ansible_collections.ringfence.etcd.plugins.module_utils._member.membership import (
    Listed,
    find_member,
    may_add,
    may_remove,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import MemberHealth


def listed(name: str, *peers: str, url: str | None = None, is_learner: bool = False, **health: t.Any) -> Listed:
    """A member that is linked with these peers."""
    number = name or "new"
    member = LiveMember(f"id-{number}", name, (url or f"https://{number}:2380",), (), is_learner)
    links = {f"id-{peer}": 1 for peer in peers}
    seen = MemberHealth(
        name, member.member_id, active_peers=links, is_learner=is_learner, is_started=bool(name), **health
    )
    return Listed(member, seen)


WELL = [listed("a", "b", "c"), listed("b", "a", "c"), listed("c", "a", "b")]

# What etcd itself does with all this is asked of real members in test_real_membership.py.


def test_a_change_ends_where_the_lock_is_lost() -> None:
    lock = RestartLock(Client(), ["http://127.0.0.1:1"])
    with pytest.raises(ServiceError, match="d: the cluster's lock could not be kept, so nothing more is changed"):
        turn.keep_turn(lock, "d")


@pytest.mark.parametrize("called", ["b", "id-b", "https://b:2380"])
def test_a_member_is_found_by_name_id_or_peer_url(called: str) -> None:
    members = [one.member for one in WELL]
    assert find_member(members, called) == members[1]
    assert find_member(members, "d") is None


@pytest.mark.parametrize(
    ("cluster", "codes"),
    [
        (WELL, []),
        # What is wrong with the one that goes keeps nobody back: that may be why it goes.
        ([listed("a", "b"), listed("b", "a"), listed("c", problem="no answer")], []),
        ([listed("a", "c"), listed("b", "c"), listed("c", "a", "b")], ["peer_link_down", "peer_link_down"]),
        ([listed("a", "b"), listed("b", problem="no answer"), listed("c")], ["member_unhealthy"]),
        ([listed("c")], ["last_member"]),
        # A learner has no vote that the smaller cluster could live by.
        ([listed("c"), listed("l", is_learner=True)], ["last_member"]),
        # One of two can't take the other off the list; with its vote it could.
        ([listed("a"), listed("c", problem="no answer")], ["no_quorum"]),
        ([listed("a"), listed("c")], []),
        ([listed("a"), listed("c", is_learner=True)], []),
        ([listed("a", "b"), listed("b", "a"), listed("c"), listed("")], ["member_not_started"]),
    ],
)
def test_a_member_goes_only_where_the_others_are_well(cluster: list[Listed], codes: list[str]) -> None:
    target = next(one.member for one in cluster if one.member.name == "c")
    assert [reason["code"] for reason in may_remove(target, cluster)] == codes


@pytest.mark.parametrize(
    ("cluster", "has_data", "codes"),
    [
        (WELL, False, []),
        ([listed("a")], False, []),
        # What has been done of it already.
        ([*WELL, listed("", url="https://d:2380", is_learner=True)], False, []),
        ([*WELL, listed("d", is_learner=True)], True, []),
        ([*WELL, listed("", url="https://d:2380")], False, []),
        # It has run, and what it had is gone.
        ([*WELL, listed("d")], False, ["data_lost"]),
        ([*WELL, listed("d", is_learner=True)], False, ["data_lost"]),
        ([listed("a", "d"), listed("d", "a", url="https://other:2380")], True, ["other_peer_url"]),
        ([*WELL, listed("e", url="https://d:2380")], True, ["peer_url_taken"]),
        ([*WELL, listed("e", is_learner=True)], False, ["another_learner"]),
        ([*WELL, listed("", is_learner=True)], False, ["another_learner"]),
        ([*WELL, listed("")], False, ["member_not_started"]),
        ([listed("a", "b"), listed("b", "a"), listed("c", problem="no answer")], False, ["member_unhealthy"]),
        ([listed("a", "b"), listed("b")], False, ["peer_link_down"]),
    ],
)
def test_a_member_joins_only_where_the_others_are_well(cluster: list[Listed], has_data: bool, codes: list[str]) -> None:
    assert [reason["code"] for reason in may_add("d", "https://d:2380", cluster, has_data)] == codes
