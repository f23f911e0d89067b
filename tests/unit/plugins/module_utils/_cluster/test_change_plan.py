# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a change: each operation's steps, each refusal with its way out, and what nobody gets by a trick."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import (
    change_fence,
    change_membership,
    change_plan,
    change_restart,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_plan import next_step, whole_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Data,
    Desired,
    Host,
    Leaf,
    ListedMember,
    State,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Plan, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    CLIENT_CA,
    NEW_CA,
    OLD_CA,
    changed,
    desired,
    empty_host,
    formed,
    member,
    run,
    said,
    seen,
)

THREE = desired([1, 2, 3])


def plan(truth: State, cluster: Desired, off: t.Collection[str] = ()) -> Plan:
    return whole_plan(cluster, seen(truth, cluster, off))


def told(truth: State, cluster: Desired) -> list[str]:
    """The steps' texts, where nothing is left after them; and a real run does the same."""
    found = plan(truth, cluster)
    assert found.refusal is None
    assert [step.text for step in found.steps] == [step.text for step in run(truth, cluster).steps]
    return [step.text for step in found.steps]


def refused(truth: State, cluster: Desired, off: t.Collection[str] = ()) -> PreflightFailure:
    """Why there is no first step."""
    found = next_step(cluster, seen(truth, cluster, off))
    assert isinstance(found, PreflightFailure), found
    assert "\n" not in found.text
    return found


def without_rows(monkeypatch: pytest.MonkeyPatch, *rows: t.Callable[..., t.Any]) -> None:
    monkeypatch.setattr(change_plan, "ROWS", tuple(row for row in change_plan.ROWS if row not in rows))


def down(truth: State, number: int) -> State:
    return changed(truth, f"host-{number}", process=None, running=None)


def rebuilt(truth: State, number: int) -> State:
    return changed(
        truth, f"host-{number}", process=None, running=None, data=None, disk=None, leaf=None, crl=None, marked=False
    )


def with_listed(truth: State, *more: ListedMember, without: t.Collection[str] = ()) -> State:
    assert truth.member_list is not None
    members = (*(one for one in truth.member_list.members if one.name not in without), *more)
    return replace(truth, member_list=replace(truth.member_list, members=members))


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


# What is broken and mended before anybody is called unwell -----------------------------------------------------------


def test_a_crl_that_is_gone_is_written_first() -> None:
    truth = changed(formed(THREE), "host-2", crl=None)
    assert told(truth, THREE) == ["write the CRL of etcd-2"]


def test_a_leaf_that_the_others_refuse_is_replaced_without_asking_anybody() -> None:
    leaf = replace(t.cast(Leaf, formed(THREE).hosts["host-2"].leaf), issuer="ca-lost")
    found = plan(changed(formed(THREE), "host-2", leaf=leaf), THREE)
    assert [(step.kind, step.members, step.gate) for step in found.steps] == [(steps.ISSUE, ("etcd-2",), steps.NOBODY)]


def test_a_leaf_whose_serial_number_is_in_a_crl_is_replaced() -> None:
    truth = changed(formed(THREE), "host-1", crl=frozenset(("first serial of host-2",)))
    assert told(truth, THREE) == ["issue a certificate to etcd-2, without a restart"]


def test_a_process_that_shuts_the_others_out_is_restarted_with_what_it_lacks() -> None:
    host = formed(THREE).hosts["host-2"]
    short = replace(t.cast(t.Any, host.process), common_names=frozenset(("etcd-2.example.com",)))
    found = plan(changed(formed(THREE), "host-2", process=short, disk=short), THREE)
    assert [(step.kind, step.members) for step in found.steps] == [(steps.WIDEN, ("etcd-2",))]
    assert found.refusal is None


def test_a_list_on_disk_that_is_too_short_is_written_before_a_crash_reads_it() -> None:
    host = formed(THREE).hosts["host-2"]
    short = replace(t.cast(t.Any, host.disk), common_names=frozenset(("etcd-2.example.com",)))
    found = plan(changed(formed(THREE), "host-2", disk=short), THREE)
    assert [step.restarts for step in found.steps] == [()]
    assert found.steps[0].actions[0].kind == steps.WRITE_UNIT


@pytest.mark.parametrize("change", [{"domain": "other.org"}, {"issuer": NEW_CA}], ids=["names", "CA"])
def test_who_joins_in_the_middle_of_a_change_accepts_what_is_still_presented(change: dict[str, str]) -> None:
    cluster = desired([1, 2, 3, 4], words=said(new_ca=True, stop_after="widen"), **change)
    found = plan(formed(THREE, [4]), cluster)
    assert found.refusal is None
    join = next(step for step in found.steps if step.kind == steps.JOIN)
    config = next(action.config for action in join.actions if action.kind == steps.WRITE_UNIT)
    assert config is not None and config.common_names is not None
    assert config.common_names >= {f"etcd-{number}.example.com" for number in (1, 2, 3)}
    assert OLD_CA in config.authorities


def test_the_second_half_of_a_move_comes_before_anything_else() -> None:
    truth = formed(desired([1, 2, 3], scheme="http"))
    point = next(
        number
        for number in range(60)
        if any(
            one.peer_urls[0].startswith("https")
            for one in t.cast(t.Any, run(truth, THREE, number).truth.member_list).members
        )
    )
    half = run(truth, THREE, point).truth
    found = next_step(THREE, seen(half, THREE))
    assert isinstance(found, Step) and found.kind == steps.MEND
    # But nobody is restarted while another one is not well, for whatever good it would do.
    other = next(name for name in ("host-1", "host-2", "host-3") if name not in found.restarts)
    assert refused(changed(half, other, problem="its disk is full"), THREE).code == "member_unwell"


def test_nobody_is_revoked_who_still_presents_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if no row had given it another one before."""
    without_rows(monkeypatch, change_fence.mend_leaf, change_fence.present, change_fence.refuse_left)
    assert plan(formed(THREE), desired([1, 2, 3], revoked=frozenset(("first serial of host-2",)))).steps == ()


def test_nobody_is_removed_whom_nobody_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if no row had refused that before."""
    without_rows(monkeypatch, change_membership.refuse_unsaid)
    assert steps.REMOVE not in [step.kind for step in plan(formed(THREE), desired([1, 2])).steps]


def test_nobody_joins_where_a_process_would_not_let_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if no row had seen to that before."""
    without_rows(monkeypatch, change_fence.widen)
    found = plan(formed(THREE, [4]), desired([1, 2, 3, 4])).refusal
    assert found is not None and found.code == "not_let_in"


def test_nobody_joins_on_a_host_on_which_an_etcd_runs() -> None:
    config = formed(desired([4])).hosts["host-4"].process
    truth = changed(formed(THREE, [4]), "host-4", process=config)
    found = plan(truth, desired([1, 2, 3, 4])).refusal
    assert found is not None and found.code == "host_in_use"


# What is refused, and by which word it is done ------------------------------------------------------------------------


def _broken(truth: State, number: int, problem: str = "its disk is full") -> State:
    return changed(truth, f"host-{number}", problem=problem)


REFUSALS: dict[str, tuple[State, Desired, str, str]] = {
    "a voter that is not well": (
        _broken(formed(THREE), 2),
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
    truth = _broken(formed(THREE), 2)
    numbers = [number for number in (1, 2, 3) if f"etcd-{number}" not in leaving]
    found = plan(truth, desired(numbers, words=said(removed=leaving)))
    if leaving == ["etcd-3"]:
        assert found.steps == () and found.refusal is not None and found.refusal.code == "member_unwell"
    else:
        # The one that is down goes first; then two are well, and one of them may go.
        assert [step.members for step in found.steps if step.kind == steps.REMOVE] == [("etcd-2",), ("etcd-3",)]


def test_with_two_of_three_down_nothing_is_asked() -> None:
    truth = _broken(_broken(formed(THREE), 2), 3)
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


# What is left in nobody's hands --------------------------------------------------------------------------------------


def test_where_all_that_can_be_started_runs_and_nobody_tells_the_list_nothing_is_done() -> None:
    truth = replace(formed(THREE), member_list=None)
    assert refused(truth, THREE).text.startswith(
        "no member tells who is in the cluster, though all that can be started run: bring back a majority of its "
    )
    # With one that can't be seen, which may be the one that is missing.
    found = next_step(THREE, replace(seen(truth, THREE, off=["host-3"]), member_list=None))
    assert isinstance(found, PreflightFailure)
    assert found.code == "no_quorum" and "all that can be started run; etcd-3 can't be seen: bring" in found.text


def test_a_cluster_is_not_formed_where_a_member_would_not_start() -> None:
    truth = State({f"host-{number}": empty_host(number, (3, 5, 12)) for number in (1, 2, 3)})
    assert refused(truth, THREE).code == "version"


def unformed(cluster: Desired) -> State:
    """All members run, each with data of its own, and are no cluster yet."""
    truth = formed(cluster)
    hosts = {
        name: replace(host, data=Data(f"first {name}", None, formed=False), marked=False)
        for name, host in truth.hosts.items()
    }
    return State(hosts)


def test_members_that_run_and_are_no_cluster_yet_are_restarted_with_what_is_wanted_now() -> None:
    found = next_step(desired([1, 2, 3], settings="other"), unformed(THREE))
    assert isinstance(found, Step) and found.kind == steps.FORM
    assert [(action.kind, action.host) for action in found.actions] == [
        *((steps.WRITE_UNIT, f"host-{number}") for number in (1, 2, 3)),
        *((steps.RESTART_UNIT, f"host-{number}") for number in (1, 2, 3)),
    ]


def test_members_that_run_as_they_are_wanted_and_are_no_cluster_are_told() -> None:
    found = next_step(THREE, unformed(THREE))
    assert isinstance(found, PreflightFailure) and found.code == "not_formed" and "journalctl -u" in found.text


def test_a_member_that_stopped_and_lost_its_certificate_gets_one_before_its_start() -> None:
    truth = changed(down(formed(THREE), 2), "host-2", leaf=None)
    assert told(truth, THREE) == ["issue the first certificate of etcd-2", "start etcd-2"]


def added(is_learner: bool) -> State:
    """A fourth member is in the list by hand, and no other one would let it in."""
    truth = formed(THREE, [4])
    truth = changed(truth, "host-4", leaf=Leaf("etcd-4.example.com", member(4).names, OLD_CA, "4"))
    return with_listed(truth, ListedMember("id 4", "", (member(4).peer_url,), is_learner=is_learner, started=False))


def test_who_was_added_is_started_once_the_others_let_it_in() -> None:
    kinds = [step.kind for step in plan(added(is_learner=True), desired([1, 2, 3, 4])).steps]
    assert kinds == [*[steps.WIDEN] * 3, steps.START, steps.PROMOTE]


def test_a_voter_that_was_added_and_can_not_be_started_is_told() -> None:
    """It would restart for ever, and no other one is restarted while it is not there."""
    found = refused(added(is_learner=False), desired([1, 2, 3, 4]))
    assert found.code == "member_unwell" and found.text.startswith("etcd-4 was added and has not started yet: ")


def test_data_of_another_cluster_is_not_put_aside_by_a_word() -> None:
    truth = formed(THREE, [4])
    for data, kinds in ((Data("id x", "c2"), []), (Data("id x", "c2", formed=False), [steps.RETIRE])):
        found = plan(changed(truth, "host-4", data=data), desired([1, 2, 3], words=said(removed=["host-4"])))
        assert [step.kind for step in found.steps] == kinds and found.refusal is None


def test_who_stays_is_brought_back_before_one_that_is_not_well_either_leaves() -> None:
    truth = _broken(_broken(formed(desired(range(1, 6))), 4), 5)
    found = refused(truth, desired([1, 2, 3, 4], words=said(removed=["etcd-5"])))
    assert found.code == "member_unwell"
    assert found.text.startswith("etcd-4 is not healthy (its disk is full): nobody is removed while another voter is")


def test_a_peer_url_of_a_member_is_not_that_of_one_that_joins() -> None:
    cluster = replace(THREE, members=(*THREE.members, replace(member(4), peer_url=member(3).peer_url)))
    found = plan(formed(THREE, [4]), cluster).refusal
    assert found is not None and found.code == "url_taken"
    assert found.text == "member etcd-4: its peer URL https://10.0.0.3:2380 is still that of etcd-3: each has its own"


def test_nobody_joins_without_a_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if no row had given it one before."""
    without_rows(monkeypatch, change_membership.issue_to_joining)
    found = plan(formed(THREE, [4]), desired([1, 2, 3, 4]))
    assert found.refusal is not None and found.refusal.code == "no_certificate"
    assert steps.JOIN not in [step.kind for step in found.steps]


def test_nobody_joins_who_would_refuse_a_member() -> None:
    """Even if no row had given that one another certificate before, and all the others let the new one in."""
    worker = Leaf("worker-7.example.com", frozenset(("10.0.0.2", "etcd-2.example.com")), OLD_CA, "77")
    four = desired([1, 2, 3, 4])
    leaf = Leaf("etcd-4.example.com", member(4).names, OLD_CA, "4")
    truth = with_listed(formed(four), without=["etcd-4"])
    truth = replace(truth, hosts={**truth.hosts, "host-4": replace(empty_host(4), leaf=leaf)})
    alone = change_membership.join(View(four, changed(truth, "host-2", leaf=worker)))
    assert isinstance(alone, PreflightFailure) and alone.code == "name_unknown"
    assert "would refuse etcd-2, which presents the common name worker-7.example.com" in alone.text
    assert isinstance(change_membership.join(View(four, truth)), Step)


def test_a_listener_gets_its_certificate_before_it_is_mended() -> None:
    """The list has its https URL already, its process is one of before, and its certificate is gone."""
    truth = formed(desired([1, 2, 3], scheme="http"))
    assert truth.member_list is not None
    moved = [
        replace(one, peer_urls=(member(2).peer_url,)) if one.name == "etcd-2" else one
        for one in truth.member_list.members
    ]
    truth = changed(replace(truth, member_list=replace(truth.member_list, members=tuple(moved))), "host-2", leaf=None)
    found = plan(truth, THREE)
    assert [(step.kind, step.members) for step in found.steps] == [
        (steps.ISSUE, ("etcd-2",)),
        (steps.MEND, ("etcd-2",)),
    ]
    # The others have no TLS yet: no run leaves them like that.
    assert found.refusal is not None and found.refusal.code == "member_unwell"


def test_a_certificate_that_was_lost_while_a_member_moved_is_issued_again() -> None:
    """Another port, killed between the cluster's list and the restart. Another name comes after that."""
    port = desired([1, 2, 3], peer_port=2480)
    point = next(
        number
        for number in range(60)
        if any(
            ":2480" in one.peer_urls[0]
            for one in t.cast(t.Any, run(formed(THREE), port, number).truth.member_list).members
        )
    )
    half = run(formed(THREE), port, point).truth
    assert half.member_list is not None
    moved = next(one for one in half.member_list.members if ":2480" in one.peer_urls[0])
    host = half.hosts[f"host-{moved.name[-1]}"]
    back = replace(t.cast(t.Any, host.process), serves=frozenset((member(int(moved.name[-1])).peer_url,)))
    truth = changed(half, host.name, process=back, disk=back, leaf=None)
    found = plan(truth, port)
    assert found.refusal is None and [(step.kind, step.members) for step in found.steps][:2] == [
        (steps.ISSUE, (moved.name,)),
        (steps.MEND, (moved.name,)),
    ]
    other = plan(truth, desired([1, 2, 3], peer_port=2480, domain="example.org")).refusal
    assert other is not None and other.code == "no_certificate"
    assert other.text.endswith("run without the change first, so that it gets the one it had")


def test_no_restart_costs_the_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if nobody had looked before whether the others are well."""
    monkeypatch.setattr(change_restart, "why_not_well", lambda view, apart_from=None: None)
    view = View(desired([1, 2, 3], settings="other"), _broken(formed(THREE), 3))
    one = view.matched[1]
    config = view.wide(t.cast(t.Any, one.wanted), t.cast(t.Any, one.host), one)
    found = change_restart.restart(view, steps.CONFIGURE, one, config, "restart etcd-2", "it has to")
    assert isinstance(found, PreflightFailure) and found.code == "costs_quorum"
    assert "1 of 3 voters would stay, 2 are needed" in found.text
    # The one that is not well costs nothing.
    other = view.matched[2]
    assert isinstance(change_restart.restart(view, steps.CONFIGURE, other, config, "restart etcd-3", "why"), Step)


def test_a_ca_that_is_to_be_retired_and_stays_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if no row had dropped it."""
    without_rows(monkeypatch, change_fence.narrow)
    cluster = desired([1, 2, 3], issuer=NEW_CA, words=said(new_ca=True, retire_ca=[OLD_CA]))
    found = plan(formed(THREE), cluster).refusal
    assert found is not None and found.code == "ca_in_use" and "stays on etcd-1, etcd-2, etcd-3" in found.text


def test_a_plan_without_an_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Step(steps.WIDEN, ("etcd-1",), "again and again", "why", (), steps.ALL, steps.BACK, steps.Quorum(3, 3, 3, 3))
    monkeypatch.setattr(change_plan, "ROWS", (lambda view: step,))
    found = whole_plan(THREE, formed(THREE))
    assert found.steps == () and found.refusal is not None and found.refusal.code == "no_end"
    assert "again and again; again and again; again and again" in found.refusal.text


def test_clients_that_are_checked_by_the_peers_bundle_again() -> None:
    own = desired([1, 2, 3], client_authorities=frozenset((CLIENT_CA,)))
    found = plan(formed(own), THREE)
    assert [step.kind for step in found.steps] == [steps.WIDEN] * 3
    assert {step.reason for step in found.steps} == {"it does not know a CA of clients yet"}


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
