# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is broken, half done or in nobody's hands: mended first, or told, and never the quorum's price."""

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
    Leaf,
    ListedMember,
    State,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    CLIENT_CA,
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
    refused,
    run,
    said,
    seen,
    told,
    with_listed,
    without_rows,
)

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
    truth = broken(broken(formed(desired(range(1, 6))), 4), 5)
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
    view = View(desired([1, 2, 3], settings="other"), broken(formed(THREE), 3))
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
