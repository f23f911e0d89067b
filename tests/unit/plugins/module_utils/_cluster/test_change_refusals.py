# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan refuses, each with its way out; and what nobody gets by a trick."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import (
    change_fence,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import next_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Data,
    Desired,
    Leaf,
    ListedMember,
    State,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    NEW_CA,
    OLD_CA,
    THREE,
    broken,
    changed,
    desired,
    down,
    empty_host,
    formed,
    member,
    plan,
    rebuilt,
    refused,
    run,
    said,
    seen,
    with_listed,
    without_rows,
)

# What is refused, and by which word it is done ------------------------------------------------------------------------


REFUSALS: dict[str, tuple[State, Desired, str, str]] = {
    "a voter that is not well": (
        broken(formed(THREE), 2),
        desired([1, 2, 3], domain="other.org"),
        "member_unwell",
        "its disk is full",
    ),
    "a member off the inventory": (
        formed(THREE),
        desired([1, 2]),
        "removal_not_said",
        "etcd_peer_tls_removed: [etcd-3]",
    ),
    "data that is gone": (rebuilt(formed(THREE), 2), THREE, "data_lost", "etcd_peer_tls_replaced: [etcd-2]"),
    "another CA": (formed(THREE), desired([1, 2, 3], issuer=NEW_CA), "new_ca_not_said", "etcd_peer_tls_new_ca: true"),
    "removed and wanted": (
        formed(THREE),
        desired([1, 2, 3], words=said(removed=["etcd-3"])),
        "removed_is_wanted",
        "etcd_peer_tls_replaced",
    ),
    "the CA that issues is not trusted": (
        formed(THREE),
        desired([1, 2, 3], authorities=frozenset((NEW_CA,))),
        "issuer_not_trusted",
        "add it",
    ),
    "the CA that issues is retired": (
        formed(THREE),
        desired([1, 2, 3], words=said(retire_ca=[OLD_CA])),
        "retired_is_wanted",
        "etcd_peer_tls_retire_ca",
    ),
    "the last one": (
        formed(desired([1]), [2]),
        desired([2], words=said(removed=["etcd-1"])),
        "last_member",
        "add the new members first",
    ),
    "another minor version": (
        formed(THREE),
        desired([1, 2, 3], version=(3, 6, 16)),
        "upgrade_not_said",
        "etcd_peer_tls_upgrade: true",
    ),
    "two minor versions at once": (
        formed(THREE),
        desired([1, 2, 3], version=(3, 7, 3), words=said(upgrade=True)),
        "minor_left_out",
        "upgrade to 3.6 first",
    ),
    "3.6 from a 3.5 that writes no members": (
        formed(THREE, version=(3, 5, 16)),
        desired([1, 2, 3], version=(3, 6, 16), words=said(upgrade=True)),
        "members_not_written",
        "upgrade all to 3.5.35 first",
    ),
    "an older version": (
        formed(THREE, version=(3, 6, 16)),
        desired([1, 2, 3], version=(3, 5, 35), words=said(upgrade=True)),
        "downgrade",
        "etcdctl downgrade enable 3.5",
    ),
    "a program that would not start": (
        changed(formed(THREE), "host-3", new_program_problem="unknown flag --enable-v2"),
        desired([1, 2, 3], version=(3, 6, 16), words=said(upgrade=True)),
        "program_unusable",
        "--enable-v2",
    ),
    "a program of another minor version that lies there": (
        changed(formed(THREE), "host-3", program=(3, 6, 16)),
        desired([1, 2, 3], settings="other"),
        "version_change",
        "etcd_peer_tls_upgrade",
    ),
    "data of another cluster": (
        replace(
            formed(THREE, [4]),
            hosts={
                **formed(THREE, [4]).hosts,
                "host-4": replace(empty_host(4), data=Data("id x", "c2")),
            },
        ),
        desired([1, 2, 3, 4], words=said(replace=["etcd-4"])),
        "data_of_another_cluster",
        "no word wipes it",
    ),
    "data of another member": (
        changed(
            changed(down(down(formed(THREE), 2), 3), "host-2", data=Data("id etcd-3", "c1")),
            "host-3",
            data=Data("id etcd-2", "c1"),
        ),
        THREE,
        "data_of_another_member",
        "back to its own host",
    ),
    "data of a member that was removed": (
        with_listed(down(formed(THREE), 3), without=["etcd-3"]),
        THREE,
        "member_not_listed",
        "run with etcd_peer_tls_removed: [etcd-3], which puts the data aside; then it can join anew",
    ),
    "lists that differ": (
        replace(
            formed(THREE),
            member_list=replace(t.cast(t.Any, formed(THREE).member_list), problem="etcd-3 tells two members"),
        ),
        THREE,
        "lists_differ",
        "etcd-3 tells two members",
    ),
    "a CA that is not at hand": (
        formed(desired([1, 2, 3], issuer="ca-foreign"), [4]),
        desired([1, 2, 3, 4], issuer=NEW_CA, words=said(new_ca=True, stop_after="widen")),
        "old_ca_unknown",
        "take etcd-4 out of the group until the change to the new CA has ended",
    ),
    "a URL that another one has": (
        formed(THREE),
        replace(THREE, members=(member(1), replace(member(2), peer_url="https://10.0.0.3:2380"), member(3))),
        "url_taken",
        "still that of etcd-3",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_names_the_way(case: str) -> None:
    truth, cluster, code, way = REFUSALS[case]
    found = plan(truth, cluster).refusal
    assert found is not None, case
    assert (found.code, way in found.text) == (code, True), found


def test_a_host_of_the_cluster_that_can_not_be_reached_stops_a_change_and_no_more_is_lost() -> None:
    found = refused(formed(THREE), desired([1, 2, 3], domain="other.org"), off=["host-3"])
    assert found.code == "member_unwell" and "can't be reached" in found.text


def test_who_is_to_join_and_can_not_be_seen_is_told_at_its_turn() -> None:
    found = plan(formed(THREE, [4]), desired([1, 2, 3, 4]), off=["host-4"]).refusal
    assert found is not None and found.code == "host_unseen"


def test_a_cluster_is_not_formed_while_a_host_is_unseen() -> None:
    truth = State({f"host-{number}": empty_host(number) for number in (1, 2, 3)})
    assert refused(truth, THREE, off=["host-2"]).code == "start_not_seen"


def test_a_cluster_is_not_formed_while_a_host_off_the_inventory_is_unseen() -> None:
    """It may be all that there is of the cluster."""
    cluster = desired([2], words=said(removed=["etcd-1"]))
    assert refused(formed(desired([1]), [2]), cluster, off=["host-1"]).code == "start_not_seen"


def test_a_cluster_is_not_formed_over_lost_data() -> None:
    truth = State({f"host-{n}": replace(empty_host(n), marked=n == 2) for n in (1, 2, 3)})
    assert refused(truth, THREE).code == "data_lost"


@pytest.mark.parametrize("leaving", [["etcd-3"], ["etcd-2", "etcd-3"]])
def test_with_one_of_three_down_no_healthy_one_leaves(leaving: list[str]) -> None:
    truth = broken(formed(THREE), 2)
    numbers = [number for number in (1, 2, 3) if f"etcd-{number}" not in leaving]
    found = plan(truth, desired(numbers, words=said(removed=leaving)))
    if leaving == ["etcd-3"]:
        assert found.steps == () and found.refusal is not None and found.refusal.code == "member_unwell"
    else:
        # The one that is down goes first; then two are well, and one of them may go.
        assert [step.members for step in found.steps if step.kind == steps.REMOVE] == [("etcd-2",), ("etcd-3",)]


def test_with_two_of_three_down_nothing_is_asked() -> None:
    truth = broken(broken(formed(THREE), 2), 3)
    found = refused(truth, desired([1], words=said(removed=["etcd-2", "etcd-3"])))
    assert found.code == "no_quorum"
    # And where a member still tells its old list.
    old = replace(seen(truth, THREE), member_list=truth.member_list)
    found_by_list = next_step(desired([1], words=said(removed=["etcd-2", "etcd-3"])), old)
    assert isinstance(found_by_list, PreflightFailure) and found_by_list.code == "no_quorum"


def test_a_learner_that_is_not_well_keeps_others_from_joining_and_nothing_else() -> None:
    cluster = desired([1, 2, 3, 4, 5])
    killed = run(formed(THREE, [4, 5]), cluster)
    stop = next(
        number
        for number in range(80)
        if any(
            one.is_learner and one.started
            for one in t.cast(t.Any, run(formed(THREE, [4, 5]), cluster, number).truth.member_list).members
        )
    )
    truth = run(formed(THREE, [4, 5]), cluster, stop).truth
    assert killed.refusal is None
    off = plan(truth, cluster, off=["host-4"])
    assert off.refusal is not None and off.refusal.code == "learner_unwell"
    assert not [step for step in off.steps if step.kind == steps.JOIN]
    renewal = changed(truth, "host-1", leaf=replace(t.cast(Leaf, truth.hosts["host-1"].leaf), renewal_due=True))
    assert [step.kind for step in plan(renewal, cluster, off=["host-4"]).steps] == [steps.ISSUE]


def test_a_voter_that_was_added_and_never_started_is_named_by_its_id() -> None:
    waiting = ListedMember("id 9", "", ("https://10.0.0.9:2380",), started=False)
    found = refused(with_listed(formed(THREE), waiting), THREE)
    assert found.code == "removal_not_said" and "etcd_peer_tls_removed: [id 9]" in found.text
    removed = plan(with_listed(formed(THREE), waiting), replace(THREE, words=said(removed=["id 9"])))
    assert [step.kind for step in removed.steps] == [steps.REMOVE]


# A node is data, never a voice ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mended", [True, False])
def test_a_name_that_a_node_shows_is_not_spread(monkeypatch: pytest.MonkeyPatch, mended: bool) -> None:
    """A certificate that the CA gave to somebody else, put in a member's place, opens no list for its name."""
    if not mended:
        without_rows(monkeypatch, change_fence.mend_leaf, change_fence.present, change_fence.refuse_unwell)
    worker = Leaf("worker-7.example.com", frozenset(("10.0.0.2", "etcd-2.example.com")), OLD_CA, "77")
    truth = changed(formed(THREE, [4]), "host-2", leaf=worker)
    for cluster in (THREE, desired([1, 2, 3, 4]), desired([1, 2, 3], settings="other")):
        for step in plan(truth, cluster).steps:
            for action in step.actions:
                names = None if action.config is None else action.config.common_names
                assert names is None or "worker-7.example.com" not in names, step.text


@pytest.mark.parametrize("mended", [True, False])
def test_a_ca_that_a_node_shows_is_not_spread(monkeypatch: pytest.MonkeyPatch, mended: bool) -> None:
    if not mended:
        without_rows(monkeypatch, change_fence.mend_leaf, change_fence.present, change_fence.refuse_unwell)
    truth = formed(THREE, [4])
    host = truth.hosts["host-2"]
    evil = replace(t.cast(t.Any, host.process), authorities=frozenset((OLD_CA, "ca-evil")))
    leaf = replace(t.cast(Leaf, host.leaf), issuer="ca-evil")
    truth = changed(truth, "host-2", process=evil, disk=evil, leaf=leaf)
    for step in plan(truth, desired([1, 2, 3, 4])).steps:
        for action in step.actions:
            if action.host != "host-2" and action.config is not None:
                assert "ca-evil" not in action.config.authorities, step.text


def test_serial_numbers_that_a_node_shows_are_not_spread() -> None:
    truth = changed(formed(THREE), "host-2", crl=frozenset(("first serial of host-9",)))
    cluster = desired([1, 2, 3], revoked=frozenset(("0a",)))
    for step in plan(truth, cluster).steps:
        for action in step.actions:
            # Nor taken out where they are.
            assert ("first serial of host-9" in action.serial_numbers) == (action.host == "host-2")
    assert [step.kind for step in plan(truth, cluster).steps] == [steps.REVOKE]


def test_a_host_of_that_name_is_not_stopped_without_a_word() -> None:
    """Data of a member that was removed by hand stays where it is while nobody names it."""
    truth = with_listed(formed(THREE), without=["etcd-3"])
    found = plan(truth, desired([1, 2]))
    assert not [step for step in found.steps if step.kind == steps.RETIRE]
    found = plan(truth, desired([1, 2], words=said(removed=["etcd-3"])))
    assert found.steps[0].kind == steps.RETIRE
