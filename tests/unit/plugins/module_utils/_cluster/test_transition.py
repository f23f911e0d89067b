# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import after_step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Desired, State
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.transition import (
    Assignment,
    Transition,
    asked_at,
    planned_transition,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    NEW_CA,
    OLD_CA,
    changed,
    desired,
    formed,
    run,
    said,
)

THREE = desired((1, 2, 3))


def passes(cluster: Desired, state: State) -> list[tuple[str, tuple[str, ...]]]:
    """Every pass by its kind and its members, each planned from what the one before left."""
    found = []
    while True:
        transition = planned_transition(cluster, state)
        assert transition.plan.refusal is None, transition.plan.refusal
        if not transition.passed:
            return found
        found.append((transition.passed[0].kind, tuple(name for step in transition.passed for name in step.members)))
        for step in transition.passed:
            state = after_step(state, step)


# The leader last, who is another one after each restart of it.
ALL = {"etcd-1", "etcd-2", "etcd-3"}
ALL_HOSTS = ("host-1", "host-2", "host-3")


def widened_then_issued(found: list[tuple[str, tuple[str, ...]]]) -> bool:
    kinds, members = zip(*found)
    return kinds == ("widen", "issue", "issue", "issue") and set(members[0]) == ALL == {one for (one,) in members[1:]}


def test_other_names_in_five_passes() -> None:
    *first, (kind, members) = passes(desired((1, 2, 3), domain="example.org"), formed(THREE))
    assert widened_then_issued(first) and kind == "narrow" and set(members) == ALL


def test_another_ca_is_trusted_beside_the_old_one_until_that_is_named() -> None:
    other = desired((1, 2, 3), issuer=NEW_CA, words=said(new_ca=True))
    assert widened_then_issued(passes(other, formed(THREE)))
    state = formed(desired((1, 2, 3), issuer=NEW_CA, authorities=frozenset((OLD_CA, NEW_CA))))
    retired = replace(desired((1, 2, 3), issuer=NEW_CA), words=said(retire_ca=[OLD_CA]))
    ((kind, members),) = passes(retired, state)
    assert kind == "narrow" and set(members) == ALL


def test_another_port_member_by_member_in_the_list() -> None:
    other = desired((1, 2, 3), peer_port=2480)
    kinds = [kind for kind, _members in passes(other, formed(THREE))]
    assert kinds == ["widen", "update", "update", "update", "narrow"]


@pytest.mark.parametrize(
    ("state", "cluster"),
    [
        (formed(THREE), THREE),
        (formed(THREE), desired((1, 2, 3), settings="another quota")),
        # A renewal is met as before.
        (changed(formed(THREE), "host-1", leaf=replace(formed(THREE).hosts["host-1"].leaf, renewal_due=True)), THREE),
        (changed(formed(THREE), "host-1", process=None), THREE),
        (replace(formed(THREE), member_list=None), desired((1, 2, 3), domain="example.org")),
    ],
    ids=["as it should be", "settings", "renewal", "stopped", "nobody tells"],
)
def test_what_one_pass_can_do(state: State, cluster: Desired) -> None:
    assert planned_transition(cluster, state) == Transition(planned_transition(cluster, state).plan)
    assert not planned_transition(cluster, state).is_due


def test_a_list_that_is_too_long_is_no_reason_while_members_come_and_go() -> None:
    state = formed(THREE)
    config = replace(state.hosts["host-1"].process, common_names=state.hosts["host-1"].process.common_names | {"more"})
    state = changed(state, "host-1", process=config, disk=config)
    assert [step.kind for step in planned_transition(THREE, state).passed] == ["narrow"]
    assert not planned_transition(THREE, state, has_membership_changes=True).is_due


@pytest.mark.parametrize(
    ("cluster", "code"),
    [
        (desired((1, 2, 3), issuer=NEW_CA), "new_ca_not_said"),
        (replace(THREE, words=said(retire_ca=[OLD_CA])), "retired_is_wanted"),
    ],
)
def test_what_is_refused_before_any_step(cluster: Desired, code: str) -> None:
    transition = planned_transition(cluster, formed(THREE))
    assert transition.is_due and not transition.passed and transition.assignments == {}
    assert transition.plan.refusal is not None and transition.plan.refusal.code == code


def test_a_change_waits_until_what_comes_before_it_is_done() -> None:
    """A member that was removed behind our back and is wanted: that is for a run without the change."""
    four = formed(desired((1, 2, 3, 4)))
    state = replace(four, member_list=replace(four.member_list, members=four.member_list.members[:3]))
    other = desired((1, 2, 3), domain="example.org", words=said(removed=["etcd-4"]))
    refusal = planned_transition(other, state).plan.refusal
    assert refusal is not None and refusal.code == "step_before_change"
    assert refusal.text == (
        "stop etcd on host-4 and put its data aside (its data is that of id etcd-4, which is no member) comes before "
        "this change: run without the change first"
    )


def test_lines_and_the_next_pass_in_one() -> None:
    transition = planned_transition(desired((1, 2, 3), domain="example.org"), formed(THREE))
    assert transition.lines[0] == (
        "1 of 9: restart etcd-2 to accept more: it does not know the names etcd-1.example.org, etcd-2.example.org, "
        "etcd-3.example.org yet; 2 of 3 voters stay, 2 are needed"
    )
    assert transition.text == (
        "restart etcd-2 to accept more; restart etcd-3 to accept more; restart etcd-1 to accept more (it does not know "
        "the names etcd-1.example.org, etcd-2.example.org, etcd-3.example.org yet), 6 steps after that"
    )
    now = transition.numbered()
    assert now.pop("pass") == transition.lines[:3] and now == {"removals": [], "rest": [], "joins": []}
    assert transition.numbered(2)["pass"] == [
        line.replace(f"{number} of 9", f"{number + 2} of 11") for number, line in enumerate(transition.lines[:3], 1)
    ]
    assert Transition().text == "" and not any(Transition().numbered().values())


def as_member(number: int, client_port: int, scheme: str = "https") -> Member:
    address = f"10.0.0.{number}"
    return Member(
        f"etcd-{number}",
        f"host-{number}",
        f"etcd-{number}.example.com",
        address,
        address,
        f"https://{address}:2380",
        f"{scheme}://{address}:{client_port}",
        (),
        (address,),
    )


def test_who_is_asked_where() -> None:
    """Before its restart a member answers at the old client URL alone, and after it at both; in the end at the new."""
    members = [as_member(number, 2479) for number in (1, 2, 3)]
    other = desired((1, 2, 3), client_port=2479, words=said(stop_after="widen"))
    state = formed(THREE)
    transition = planned_transition(other, state)
    assert asked_at(members, state, transition)["etcd-1"] == "https://10.0.0.1:2379"
    for step in transition.passed:
        state = after_step(state, step)
    assert not planned_transition(other, state).is_due
    followed = replace(other, words=said(clients_followed=True))
    transition = planned_transition(followed, state)
    assert {step.kind for step in transition.passed} == {"narrow"}
    assert asked_at(members, state, transition)["etcd-1"] == "https://10.0.0.1:2479"


@pytest.mark.parametrize(("old", "new"), [("http", "https"), ("https", "http")])
def test_each_is_asked_where_it_answers_wherever_a_run_was_killed(old: str, new: str) -> None:
    """With TLS or without, by what its own process serves: before its restart in a pass, and after it."""
    before = desired((1, 2, 3), client_scheme=old)
    other = desired((1, 2, 3), client_scheme=new, client_port=2479, words=said(clients_followed=True))
    ends = {new: [as_member(number, 2479, new) for number in (1, 2, 3)]}
    ends[old] = [as_member(number, 2379, old) for number in (1, 2, 3)]
    back = replace(before, words=other.words)
    whole = run(formed(before), other)
    assert whole.refusal is None and len({state.hosts["host-1"].process for state in whole.states}) > 3
    asked = set()
    for state in whole.states:
        # On from here, and back from here.
        for cluster, members in ((other, ends[new]), (back, ends[old])):
            transition = planned_transition(cluster, state)
            urls = asked_at(members, state, transition)
            for member in members:
                process = state.hosts[member.host].process
                config = transition.assignments.get(member.name, Assignment()).config
                if process is not None and transition.is_due:
                    assert urls[member.name] in process.client_serves
                    assert config is None or urls[member.name] in config.client_serves
                    asked.add(urls[member.name].partition(":")[0])
    assert asked == {"http", "https"}


def test_clients_are_told_what_they_need_before_each_step() -> None:
    urls = "https://10.0.0.1:2479, https://10.0.0.2:2479, https://10.0.0.3:2479"
    tls = desired((1, 2, 3), client_port=2479, words=said(clients_followed=True))
    stops = "(etcd_peer_tls_stop_after: present stops the run before it)"
    need = (
        f"clients ask at {urls}, trust the CA of the members' certificates, and have a certificate of the CA for "
        f"clients {stops}"
    )
    without = formed(desired((1, 2, 3), client_scheme="http"))
    lines = planned_transition(tls, without).lines
    assert [line[:12] for line in lines][2:5] == ["3 of 6: rest", "before 4 of ", "4 of 6: rest"]
    assert [line for line in lines if line.startswith("before")] == [f"before 4 of 6: {need}"]
    # Where it stops before, that comes last.
    stopped = planned_transition(replace(tls, words=said(stop_after="widen")), without)
    assert stopped.lines[3:] == [f"before a run without etcd_peer_tls_stop_after: {need}"] and len(stopped.passed) == 3
    # Another port alone, and TLS that goes.
    (line,) = [one for one in planned_transition(tls, formed(THREE)).lines if one.startswith("before")]
    assert line == f"before 4 of 6: clients ask at {urls} {stops}"
    off = replace(desired((1, 2, 3), client_scheme="http", client_port=2479), words=tls.words)
    (line,) = [one for one in planned_transition(off, formed(THREE)).lines if one.startswith("before")]
    assert line == f"before 4 of 6: clients ask at {urls.replace('https', 'http')}, without TLS {stops}"


def test_clients_are_told_of_another_ca() -> None:
    other = desired((1, 2, 3), issuer=NEW_CA, words=said(new_ca=True, retire_ca=[OLD_CA]))
    lines = [line for line in planned_transition(other, formed(THREE)).lines if line.startswith("before")]
    assert lines == [
        "before 4 of 9: clients that trust the members' certificates by their CA trust ca-new too "
        "(etcd_peer_tls_stop_after: widen stops the run before it)",
        "before 7 of 9: no client has a certificate of the CA ca-old, or checks a member by it "
        "(etcd_peer_tls_stop_after: present stops the run before it)",
    ]
    # Clients without TLS check nobody.
    plain = replace(desired((1, 2, 3), issuer=NEW_CA, client_scheme="http"), words=said(new_ca=True))
    state = formed(desired((1, 2, 3), client_scheme="http"))
    assert not [line for line in planned_transition(plain, state).lines if line.startswith("before")]


def test_what_a_pass_writes_on_each_host() -> None:
    state = formed(THREE)
    transition = planned_transition(desired((1, 2, 3), domain="example.org"), state)
    assert set(transition.assignments) == {"etcd-1", "etcd-2", "etcd-3"}
    one = transition.assignments["etcd-1"]
    assert one.config is not None and one.names is one.moved_to is None
    assert len(t.cast("frozenset[str]", one.config.common_names)) == 6
    # Its files were written, and it was not restarted yet: what the disk says is what it is started with.
    written = changed(state, "host-1", disk=one.config)
    again = planned_transition(desired((1, 2, 3), domain="example.org"), written)
    assert again.assignments["etcd-1"].config == one.config


def test_a_revocation_list_is_written_before_the_plan_and_is_no_pass_of_it() -> None:
    """By an ordinary run, also where nothing else is due: it restarts nobody."""
    state = formed(THREE)
    lost = replace(state, hosts={name: replace(host, crl=None) for name, host in state.hosts.items()})
    assert passes(THREE, lost) == []
    assert widened_then_issued(passes(desired((1, 2, 3), domain="example.org"), lost)[:-1])


def test_who_is_revoked_is_cut_off_by_an_ordinary_run_or_within_the_change() -> None:
    cluster = desired((1, 2, 3), revoked=frozenset("x"), words=said(disconnect=True))
    state = formed(cluster)
    for host in ALL_HOSTS:
        state = changed(state, host, crl=frozenset("x"), crl_at_start=frozenset())
    assert not planned_transition(cluster, state).is_due
    # Where another domain is rolled out, its restarts do it, or its last ones.
    other = desired((1, 2, 3), domain="example.org", revoked=frozenset("x"), words=said(disconnect=True))
    assert [kind for kind, _members in passes(other, state)] == ["widen", *["issue"] * 3, "narrow"]
    # A change that only takes away does it before.
    retired = replace(desired((1, 2, 3), issuer=NEW_CA), revoked=frozenset("x"))
    retired = replace(retired, words=said(retire_ca=[OLD_CA], disconnect=True))
    both = formed(desired((1, 2, 3), issuer=NEW_CA, authorities=frozenset((OLD_CA, NEW_CA))))
    for host in ALL_HOSTS:
        both = changed(both, host, crl=frozenset("x"), crl_at_start=frozenset())
    first, second = passes(retired, both)
    assert (first[0], second[0]) == ("disconnect", "narrow") and set(first[1]) == ALL
    assert "to end what is connected" in planned_transition(retired, both).lines[0]


def test_a_cluster_from_before_gets_the_flag_by_an_ordinary_run() -> None:
    def before(host: t.Any) -> t.Any:
        without = {key: replace(getattr(host, key), has_crl=False) for key in ("process", "disk")}
        return replace(host, crl=None, **without)

    state = formed(THREE)
    old = replace(state, hosts={name: before(host) for name, host in state.hosts.items()})
    assert passes(THREE, old) == []


def test_what_mends_one_host_alone_is_no_change_of_the_cluster() -> None:
    config = replace(formed(THREE).hosts["host-2"].process, authorities=frozenset())
    assert passes(THREE, changed(formed(THREE), "host-2", disk=config)) == []
    assert passes(THREE, changed(formed(THREE), "host-2", process=config, disk=config)) == []


def test_the_first_certificate_of_a_member_is_issued_before_its_start() -> None:
    """An ordinary run issues to all: this one has nobody who ever presented it."""
    state = changed(formed(THREE), "host-2", process=None, running=None, leaf=None)
    transition = planned_transition(THREE, state)
    assert [step.kind for step in transition.plan.steps] == ["issue", "start"]
    assert transition.text == "issue the first certificate of etcd-2 (it has none), 1 step after that"
    assert transition.numbered()["pass"] == [
        "1 of 2: issue the first certificate of etcd-2: it has none; all votes stay (2 of 3 well)"
    ]
    assert transition.assignments["etcd-2"].names == THREE.members[1].names


def test_no_certificate_of_another_ca_while_a_member_is_not_well() -> None:
    """An ordinary run would issue it to all at once, whoever trusts that CA already."""
    state = changed(formed(THREE), "host-2", problem="alarm NOSPACE")
    other = desired((1, 2, 3), issuer=NEW_CA, words=said(new_ca=True))
    for cluster in (other, replace(other, words=said(new_ca=True, stop_after="widen"))):
        transition = planned_transition(cluster, state)
        assert transition.is_due and transition.plan.refusal is not None and not transition.passed
    assert not planned_transition(THREE, state).is_due
