# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a change: each operation's steps, as people read them."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import next_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Desired,
    Host,
    ListedMember,
    State,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Plan, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    CLIENT_CA,
    NEW_CA,
    OLD_CA,
    THREE,
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
    told,
    with_listed,
)

# Operations -----------------------------------------------------------------------------------------------------------


def test_nothing_is_due_where_all_is_as_it_should_be() -> None:
    assert plan(formed(THREE), THREE) == Plan(())


def test_a_member_joins() -> None:
    assert told(formed(THREE, [4]), desired([1, 2, 3, 4])) == [
        "issue the first certificate of etcd-4",
        "restart etcd-2 to accept more",
        "restart etcd-3 to accept more",
        "restart etcd-1 to accept more",
        "add etcd-4 as a learner, and start it",
        "promote etcd-4 to a voter, as soon as it is in sync",
    ]


def test_from_one_to_three_every_name_is_known_before_the_first_joins() -> None:
    found = plan(formed(desired([1]), [2, 3]), THREE)
    kinds = [step.kind for step in found.steps]
    assert kinds == [
        steps.ISSUE,
        steps.ISSUE,
        steps.WIDEN,
        steps.JOIN,
        steps.PROMOTE,
        steps.JOIN,
        steps.PROMOTE,
    ]
    for step in found.steps:
        for action in step.actions:
            if action.kind == steps.WRITE_UNIT:
                assert action.config is not None
                assert action.config.common_names == frozenset(f"etcd-{n}.example.com" for n in (1, 2, 3))
    # A cluster of one can't be restarted without a pause, and says so.
    assert found.steps[2].quorum.text == "writes pause: 0 of 1 voters stay, 1 are needed"


def test_the_leader_leaves() -> None:
    cluster = desired([2, 3], words=said(removed=["etcd-1"]))
    assert told(formed(THREE), cluster) == [
        "move the leadership from etcd-1 to etcd-2",
        "remove etcd-1, stop it and put its data aside",
        "write the CRL of etcd-2, etcd-3",
        "restart etcd-3 to accept less",
        "restart etcd-2 to accept less",
    ]


def test_a_common_name_says_who_leaves() -> None:
    cluster = desired([1, 2], words=said(removed=["etcd-3.example.com"]))
    assert plan(formed(THREE), cluster).steps[0].members == ("etcd-3",)


def test_a_host_that_is_gone_leaves_without_it() -> None:
    truth = replace(
        down(formed(THREE), 3), hosts={n: h for n, h in down(formed(THREE), 3).hosts.items() if n != "host-3"}
    )
    cluster = desired([1, 2], words=said(removed=["etcd-3"]))
    found = plan(truth, cluster)
    assert [step.kind for step in found.steps] == [steps.REMOVE, steps.NARROW, steps.NARROW]
    assert [action.kind for action in found.steps[0].actions] == [steps.REMOVE_MEMBER]


def test_who_is_not_well_leaves_first() -> None:
    truth = down(formed(desired(range(1, 6))), 5)
    found = plan(truth, desired([1, 2, 3], words=said(removed=["etcd-4", "etcd-5"])))
    assert [step.members for step in found.steps[:2]] == [("etcd-5",), ("etcd-4",)]


def test_a_dead_member_is_replaced_under_its_name() -> None:
    truth = rebuilt(formed(THREE), 2)
    assert told(truth, desired([1, 2, 3], words=said(replace=["etcd-2"]))) == [
        "remove etcd-2",
        "issue the first certificate of etcd-2",
        "add etcd-2 as a learner, and start it",
        "promote etcd-2 to a voter, as soon as it is in sync",
    ]


def test_a_member_is_renamed_by_leaving_and_joining() -> None:
    new = replace(member(3, name="blue-3"), peer_url="https://10.0.0.3:2380")
    cluster = replace(THREE, members=(member(1), member(2), new))
    assert "etcd_peer_tls_removed: [etcd-3]" in refused(formed(THREE), cluster).text
    assert refused(formed(THREE), cluster).code == "member_renamed"
    kinds = [step.kind for step in plan(formed(THREE), replace(cluster, words=said(removed=["etcd-3"]))).steps]
    assert kinds[0] == steps.REMOVE
    # The name of who has left goes with the restart that lets in who comes: no other one follows.
    assert kinds[-4:] == [steps.WIDEN, steps.WIDEN, steps.JOIN, steps.PROMOTE]


def test_a_new_ca_is_trusted_by_all_before_anybody_presents_it() -> None:
    cluster = desired([1, 2, 3], issuer=NEW_CA, words=said(new_ca=True, retire_ca=[OLD_CA]))
    kinds = [step.kind for step in plan(formed(THREE), cluster).steps]
    assert kinds == [steps.WIDEN] * 3 + [steps.ISSUE] * 3 + [steps.NARROW] * 3


def test_the_old_ca_stays_until_somebody_says_so() -> None:
    cluster = desired([1, 2, 3], issuer=NEW_CA, words=said(new_ca=True))
    found = plan(formed(THREE), cluster)
    assert [step.kind for step in found.steps] == [steps.WIDEN] * 3 + [steps.ISSUE] * 3
    assert len(found.notes) == 1
    assert f"etcd_peer_tls_retire_ca: [{OLD_CA}]" in found.notes[0]
    # Once it has begun, any run goes on with it: no word is needed for what only finishes.
    begun = run(formed(THREE), cluster, stop_after=5).truth
    assert plan(begun, desired([1, 2, 3], issuer=NEW_CA)).refusal is None


@pytest.mark.parametrize(("phase", "kinds"), [("widen", {steps.WIDEN}), ("present", {steps.WIDEN, steps.ISSUE})])
def test_a_rotation_stops_where_clients_have_to_follow(phase: str, kinds: set[str]) -> None:
    words = said(new_ca=True, retire_ca=[OLD_CA], stop_after=phase)
    found = plan(formed(THREE), desired([1, 2, 3], issuer=NEW_CA, words=words))
    assert {step.kind for step in found.steps} == kinds
    assert found.refusal is None
    assert any("etcd_peer_tls_stop_after" in note for note in found.notes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (THREE, desired([1, 2, 3], domain="other.org")),
        (desired([1, 2, 3], common_name="blue.peers"), THREE),
        (THREE, desired([1, 2, 3], common_name="blue.peers")),
    ],
    ids=["domain", "shared to list", "list to shared"],
)
def test_other_common_names(old: Desired, new: Desired) -> None:
    kinds = [step.kind for step in plan(formed(old), new).steps]
    assert kinds == [steps.WIDEN] * 3 + [steps.ISSUE] * 3 + [steps.NARROW] * 3


def test_from_http_to_https_in_two_passes() -> None:
    found = plan(formed(desired([1, 2, 3], scheme="http")), THREE)
    assert [step.kind for step in found.steps] == [steps.WIDEN] * 3 + [steps.UPDATE] * 3
    for step in found.steps[:3]:
        config = next(action.config for action in step.actions if action.kind == steps.WRITE_UNIT)
        assert config is not None and config.peer_tls
        assert all(url.startswith("http:") for url in config.serves)
    for step in found.steps[3:]:
        order = [action.kind for action in step.actions]
        assert order == [steps.UPDATE_MEMBER, steps.WRITE_UNIT, steps.RESTART_UNIT]


def test_from_http_without_certificates() -> None:
    truth = formed(desired([1, 2, 3], scheme="http"))
    for number in (1, 2, 3):
        truth = changed(truth, f"host-{number}", leaf=None)
    assert [step.kind for step in plan(truth, THREE).steps][:3] == [steps.ISSUE] * 3


def test_another_peer_port_is_answered_before_the_others_are_told() -> None:
    kinds = [step.kind for step in plan(formed(THREE), desired([1, 2, 3], peer_port=2390)).steps]
    assert kinds == [steps.WIDEN] * 3 + [steps.UPDATE] * 3 + [steps.NARROW] * 3


def test_another_address_has_a_certificate_for_both_first() -> None:
    found = plan(formed(THREE), desired([1, 2, 3], network="10.0.1"))
    assert [step.kind for step in found.steps[:3]] == [steps.ISSUE] * 3
    leaf = found.steps[0].actions[0].leaf
    assert leaf is not None and {"10.0.0.2", "10.0.1.2"} <= leaf.names
    last = [step.actions[0].leaf for step in found.steps if step.kind == steps.ISSUE][-1]
    assert last is not None and not any(name.startswith("10.0.0.") for name in last.names)


def test_a_host_that_came_back_at_another_address() -> None:
    truth = changed(down(formed(THREE), 2), "host-2", addresses=frozenset(("10.0.1.2",)))
    cluster = replace(THREE, members=(member(1), member(2, network="10.0.1", client_port=2379), member(3)))
    cluster = replace(
        cluster, members=tuple(replace(one, client_url=member(int(one.name[-1])).client_url) for one in cluster.members)
    )
    assert told(truth, cluster) == [
        "issue a certificate to etcd-2, without a restart",
        "start etcd-2",
        "tell the cluster that etcd-2 is at https://10.0.1.2:2380",
        "issue a certificate to etcd-2, without a restart",
    ]


def test_an_address_that_the_host_does_not_have() -> None:
    truth = changed(formed(THREE), "host-2", addresses=frozenset(("10.0.0.2",)))
    cluster = replace(THREE, members=(member(1), member(2, network="10.0.1"), member(3)))
    assert plan(truth, cluster).refusal is not None
    assert t.cast(PreflightFailure, plan(truth, cluster).refusal).code == "address_missing"


def test_leaked_keys_get_new_ones_before_the_old_are_revoked_and_cut_off() -> None:
    serials = [f"first serial of host-{number}" for number in (1, 2, 3)]
    found = plan(formed(THREE), desired([1, 2, 3], words=said(leaked=serials)))
    assert [step.kind for step in found.steps] == [steps.ISSUE] * 3 + [steps.REVOKE] + [steps.DISCONNECT] * 3
    assert found.steps[3].actions[0].serial_numbers == frozenset(serials)


def test_a_serial_number_is_revoked_without_a_restart() -> None:
    cluster = desired([1, 2, 3], revoked=frozenset(("0a",)))
    assert [step.kind for step in plan(formed(THREE), cluster).steps] == [steps.REVOKE]
    cluster = replace(cluster, words=said(disconnect=True))
    assert [step.kind for step in plan(formed(THREE), cluster).steps] == [steps.REVOKE] + [steps.DISCONNECT] * 3


def test_a_revoked_certificate_is_replaced_whatever_phase_it_is() -> None:
    serial = "first serial of host-2"
    cluster = desired([1, 2, 3], domain="other.org", revoked=frozenset((serial,)), words=said(stop_after="widen"))
    found = plan(formed(THREE), cluster)
    assert [step.kind for step in found.steps] == [steps.WIDEN] * 3 + [steps.ISSUE, steps.REVOKE]


def test_a_client_ca_of_its_own() -> None:
    cluster = desired([1, 2, 3], client_authorities=frozenset((CLIENT_CA,)))
    found = plan(formed(THREE), cluster)
    assert [step.kind for step in found.steps] == [steps.WIDEN] * 3
    assert f"etcd_peer_tls_retire_ca: [{OLD_CA}]" in found.notes[0]
    for step in found.steps:
        config = step.actions[0].config
        assert config is not None and config.client_authorities == {OLD_CA, CLIENT_CA}
        assert config.authorities == {OLD_CA}


def test_another_client_port_keeps_the_old_one_until_clients_followed() -> None:
    cluster = desired([1, 2, 3], client_port=2479)
    found = plan(formed(THREE), cluster)
    assert [step.kind for step in found.steps] == [steps.WIDEN] * 3
    assert len(found.notes) == 3
    after = run(formed(THREE), cluster).truth
    followed = replace(cluster, words=said(clients_followed=True))
    assert [step.kind for step in plan(after, followed).steps] == [steps.NARROW] * 3


def test_tls_for_clients_waits_for_them() -> None:
    truth = formed(desired([1, 2, 3], client_scheme="http"))
    assert "run without etcd_peer_tls_stop_after" in refused(truth, THREE).text
    found = plan(truth, replace(THREE, words=said(clients_followed=True)))
    assert found.refusal is None and [step.kind for step in found.steps] == [steps.WIDEN] * 3


@pytest.mark.parametrize(("old", "new"), [("http", "https"), ("https", "http")])
def test_tls_for_clients_at_another_port_is_served_beside_the_old_one(old: str, new: str) -> None:
    truth = formed(desired([1, 2, 3], client_scheme=old))
    cluster = desired([1, 2, 3], client_scheme=new, client_port=2479, words=said(clients_followed=True))
    found = plan(truth, cluster)
    assert found.refusal is None and [step.kind for step in found.steps] == [steps.WIDEN] * 3 + [steps.NARROW] * 3
    both, last = found.steps[0].actions[0].config, found.steps[-1].actions[0].config
    assert found.steps[0].members == ("etcd-2",)
    assert both is not None and both.client_serves == {f"{old}://10.0.0.2:2379", f"{new}://10.0.0.2:2479"}
    # Its flags are there as long as any client URL needs them.
    assert both.client_flags == (("cert-file", "its own"),)
    assert last is not None and last.client_flags == cluster.members[0].client_flags


def test_tls_for_clients_that_goes_keeps_the_flags_it_was_served_with() -> None:
    """Wherever a run before was killed: who runs without already, and has both on its disk, starts with both."""
    cluster = desired([1, 2, 3], client_scheme="http", client_port=2479)
    truth = run(formed(THREE), cluster).truth
    both = truth.hosts["host-1"].process
    assert both is not None and both.has_client_tls and both.client_flags == THREE.members[0].client_flags
    ended = run(truth, replace(cluster, words=said(clients_followed=True))).truth
    went_back = changed(ended, "host-1", disk=both)
    found = plan(went_back, cluster)
    assert found.refusal is None and [step.members for step in found.steps] == [("etcd-1",)]
    assert [action.kind for action in found.steps[0].actions] == [steps.RESTART_UNIT]


def test_other_settings_are_restarted_with_one_after_another() -> None:
    found = plan(formed(THREE), desired([1, 2, 3], settings="other"))
    assert [step.kind for step in found.steps] == [steps.CONFIGURE] * 3
    assert [step.members for step in found.steps][-1] == ("etcd-1",)


def test_an_upgrade_takes_a_snapshot_first_and_the_leader_last() -> None:
    found = plan(formed(THREE), desired([1, 2, 3], version=(3, 6, 16), words=said(upgrade=True)))
    assert [step.kind for step in found.steps] == [steps.UPGRADE] * 3 + [steps.AWAIT_VERSION]
    assert [step.members for step in found.steps][:3] == [("etcd-2",), ("etcd-3",), ("etcd-1",)]
    # The no-op updates: without them 3.6 may read learners and URLs that are long gone.
    assert [action.kind for action in found.steps[0].actions] == [
        steps.SNAPSHOT,
        *[steps.UPDATE_MEMBER] * 3,
        steps.PUT_PROGRAM,
        steps.RESTART_UNIT,
    ]
    assert [action.kind for action in found.steps[1].actions] == [steps.PUT_PROGRAM, steps.RESTART_UNIT]


def test_an_upgrade_that_has_begun_is_finished_before_anything_else() -> None:
    upgrade = desired([1, 2, 3], version=(3, 6, 16), words=said(upgrade=True))
    whole = run(formed(THREE), upgrade)
    point = next(number for number, state in enumerate(whole.states) if state.hosts["host-2"].running == (3, 6, 16))
    begun = run(formed(THREE), upgrade, point).truth
    # Without the word too: a member of the new version runs already.
    found = plan(begun, desired([1, 2, 3], version=(3, 6, 16), domain="other.org"))
    assert found.refusal is None
    assert [step.kind for step in found.steps][:3] == [steps.UPGRADE, steps.UPGRADE, steps.WIDEN]


def test_before_3_7_the_log_has_no_entries_of_3_5() -> None:
    truth = formed(THREE, version=(3, 6, 16))
    cluster = desired([1, 2, 3], version=(3, 7, 3), words=said(upgrade=True))
    kinds = [step.kind for step in plan(truth, cluster).steps]
    assert kinds == [steps.SHORTEN_LOG] * 3 + [steps.UPGRADE] * 3 + [steps.AWAIT_VERSION]
    for number in (1, 2, 3):
        truth = changed(truth, f"host-{number}", old_entries=False)
    assert steps.SHORTEN_LOG not in [step.kind for step in plan(truth, cluster).steps]


def test_a_later_patch_needs_no_word() -> None:
    found = plan(formed(THREE, version=(3, 5, 16)), desired([1, 2, 3], version=(3, 5, 35)))
    assert [step.kind for step in found.steps] == [steps.UPGRADE] * 3
    assert found.steps[0].actions[0].kind == steps.PUT_PROGRAM


def test_from_shared_on_an_old_version_to_a_list_the_version_goes_first() -> None:
    truth = formed(desired([1, 2, 3], common_name="blue.peers"), version=(3, 5, 12))
    assert refused(truth, THREE).code == "version"
    found = plan(truth, replace(THREE, version=(3, 5, 35)))
    assert found.refusal is None
    assert [step.kind for step in found.steps][:3] == [steps.UPGRADE] * 3


def test_a_first_deployment_is_formed() -> None:
    truth = State({f"host-{number}": empty_host(number) for number in (1, 2, 3)})
    assert told(truth, THREE) == ["form the cluster of etcd-1, etcd-2, etcd-3"]


def test_a_cluster_that_stands_still_is_started_as_it_lies() -> None:
    truth = formed(THREE)
    for number in (1, 2, 3):
        truth = down(truth, number)
    found = plan(truth, desired([1, 2, 3], domain="other.org"))
    assert [step.kind for step in found.steps] == [steps.START]
    assert {action.kind for action in found.steps[0].actions} == {steps.START_UNIT}
    assert run(truth, THREE).refusal is None


def test_a_member_that_does_not_run_is_started() -> None:
    assert told(down(formed(THREE), 2), THREE) == ["start etcd-2"]


# Steps, as people read them ------------------------------------------------------------------------------------------


def test_each_step_is_short_and_says_why_and_what_it_costs() -> None:
    seen_kinds = set()
    for truth, cluster in (
        (formed(THREE, [4, 5]), desired([1, 2, 3, 4, 5], domain="other.org")),
        (formed(THREE), desired([2, 3], words=said(removed=["etcd-1"]))),
        (formed(desired([1, 2, 3], scheme="http")), THREE),
        (formed(desired(range(1, 10))), desired(range(1, 10), domain="other.org")),
    ):
        for step in plan(truth, cluster).steps:
            seen_kinds.add(step.kind)
            for text in (step.text, step.reason, step.quorum.text):
                assert text and len(text) < 140 and "\n" not in text, text
            assert step.gate in steps.GATE_TEXTS and step.after in steps.AFTER_TEXTS
            assert step.members
    assert len(seen_kinds) > 6


def test_a_step_knows_its_restarts() -> None:
    found = next_step(desired([1, 2, 3], settings="other"), formed(THREE))
    assert isinstance(found, Step) and found.restarts == ("host-2",)
    assert found.quorum.keeps and found.gate == steps.OTHERS


def test_an_unreachable_host_has_no_facts() -> None:
    assert seen(formed(THREE), THREE, off=["host-1"]).hosts["host-1"] == Host("host-1", reachable=False)


# Upgrades that wait ---------------------------------------------------------------------------------------------------


def test_an_upgrade_that_has_begun_waits_for_a_learner() -> None:
    truth = changed(formed(THREE), "host-2", running=(3, 6, 16), program=(3, 6, 16))
    truth = with_listed(truth, ListedMember("id 4", "", (member(4).peer_url,), is_learner=True, started=False))
    cluster = desired([1, 2, 3, 4], version=(3, 6, 16), words=said(upgrade=True))
    assert refused(truth, cluster).text == (
        "etcd-4 is a learner: it is promoted before an upgrade; this one has begun: take etcd-4 off the inventory, let "
        "it leave with etcd_peer_tls_removed: [id 4], and let it join again after the upgrade"
    )
    # That is a way.
    out = desired([1, 2, 3], version=(3, 6, 16), words=said(upgrade=True, removed=["id 4"]))
    assert [step.kind for step in plan(truth, out).steps][:2] == [steps.REMOVE, steps.UPGRADE]


def test_the_next_minor_version_waits_until_the_cluster_has_moved() -> None:
    truth = formed(THREE, version=(3, 6, 16))
    cluster = desired([1, 2, 3], version=(3, 7, 3), words=said(upgrade=True))
    found = next_step(cluster, replace(truth, cluster_version=(3, 5)))
    assert isinstance(found, Step) and found.kind == steps.AWAIT_VERSION
    assert found.text == "wait until the cluster says that it is 3.6" and found.actions == ()


def test_who_stopped_with_3_7_in_place_is_not_started_over_entries_of_3_5() -> None:
    cluster = desired([1, 2, 3], version=(3, 7, 3), words=said(upgrade=True))
    stopped = changed(down(formed(THREE, version=(3, 6, 16)), 2), "host-2", program=(3, 7, 3))
    for old_entries in (None, True):
        assert refused(changed(stopped, "host-2", old_entries=old_entries), cluster).code == "version_change"
    found = next_step(cluster, changed(stopped, "host-2", old_entries=False))
    assert isinstance(found, Step) and found.kind == steps.START
    assert [action.kind for action in found.actions] == [steps.SNAPSHOT, steps.START_UNIT]
