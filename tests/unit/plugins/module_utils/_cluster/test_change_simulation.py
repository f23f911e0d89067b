# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders that break a real cluster break the simulated one, too; and no plan has them, wherever a run was killed."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_simulation import (
    after_action,
    dials,
    has_quorum,
    linked,
    placed,
    votes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Desired,
    Leaf,
    State,
    accepts,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Action, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.change_cluster import (
    NEW_CA,
    OLD_CA,
    changed,
    config_of,
    desired,
    formed,
    member,
    run,
    said,
    sharing,
)

THREE = desired([1, 2, 3])
NEW = desired([1, 2, 3], issuer=NEW_CA, words=said(new_ca=True, retire_ca=[OLD_CA]))
OTHER_NAMES = desired([1, 2, 3], domain="other.org")
HTTP = desired([1, 2, 3], scheme="http")


def leaf_of(number: int, cluster: Desired) -> Action:
    wanted = next(one for one in cluster.members if one.host == f"host-{number}")
    leaf = Leaf(wanted.common_name, wanted.names, cluster.issuer, "")
    return Action(steps.WRITE_LEAF, wanted.host, leaf=leaf)


def with_config(number: int, cluster: Desired, **changes: t.Any) -> list[Action]:
    """A restart with other lists, as somebody would do it by hand."""
    wanted = next(one for one in cluster.members if one.host == f"host-{number}")
    config = replace(config_of(wanted, cluster), **changes)
    return [
        Action(steps.WRITE_TRUST, wanted.host, config=config),
        Action(steps.WRITE_UNIT, wanted.host, config=config),
        Action(steps.RESTART_UNIT, wanted.host),
    ]


def after(truth: State, *actions: Action) -> State:
    for action in actions:
        truth = after_action(truth, action)
    return truth


def names_well(truth: State) -> list[str]:
    well = votes(truth)
    return sorted(one.name for one, _host in placed(truth) if one.member_id in well)


def broken_pairs(truth: State) -> list[tuple[str, str]]:
    there = placed(truth)
    return [
        (one.name, other.name)
        for one, host in there
        for other, its in there
        if one.name < other.name and not linked(truth, host, its)
    ]


# Each wrong order of the facts, done by hand: what it costs ----------------------------------------------------------


def test_a_leaf_of_the_new_ca_before_its_bundle_shuts_that_member_out() -> None:
    assert names_well(after(formed(THREE), leaf_of(2, NEW))) == ["etcd-1", "etcd-3"]
    # The second one costs the quorum.
    assert not has_quorum(after(formed(THREE), leaf_of(2, NEW), leaf_of(3, NEW)))


def test_a_bundle_on_disk_alone_is_no_bundle() -> None:
    both = replace(config_of(member(1), THREE), authorities=frozenset((OLD_CA, NEW_CA)))
    written = [Action(steps.WRITE_TRUST, f"host-{number}", config=both) for number in (1, 2, 3)]
    assert names_well(after(formed(THREE), *written)) == ["etcd-1", "etcd-2", "etcd-3"]
    assert names_well(after(formed(THREE), *written, leaf_of(2, NEW))) == ["etcd-1", "etcd-3"]


def test_the_new_ca_everywhere_at_once_loses_the_quorum() -> None:
    truth = after(formed(THREE), leaf_of(2, NEW), *with_config(2, NEW))
    assert names_well(truth) == ["etcd-1", "etcd-3"]
    assert not has_quorum(after(truth, leaf_of(3, NEW), Action(steps.RESTART_UNIT, "host-3")))


def test_the_old_ca_dropped_while_a_leaf_is_still_of_it() -> None:
    both = frozenset((OLD_CA, NEW_CA))
    truth = formed(THREE)
    for number in (1, 2, 3):
        truth = after(truth, *with_config(number, THREE, authorities=both))
    truth = after(truth, leaf_of(1, NEW), leaf_of(2, NEW))
    assert names_well(truth) == ["etcd-1", "etcd-2", "etcd-3"]
    truth = after(truth, *with_config(1, THREE, authorities=frozenset((NEW_CA,))))
    assert broken_pairs(truth) == [("etcd-1", "etcd-3")]


def test_lists_and_leaves_of_other_names_at_once() -> None:
    truth = after(formed(THREE), leaf_of(2, OTHER_NAMES), *with_config(2, OTHER_NAMES))
    assert names_well(truth) == ["etcd-1", "etcd-3"]


def test_all_urls_updated_and_nobody_restarted() -> None:
    truth = formed(HTTP)
    for number in (1, 2, 3):
        truth = after(truth, *with_config(number, HTTP))
    urls = [
        Action(steps.UPDATE_MEMBER, member_id=f"id etcd-{number}", url=member(number).peer_url) for number in (1, 2, 3)
    ]
    assert has_quorum(after(truth, urls[0]))
    assert not has_quorum(after(truth, *urls[:2]))


def test_a_listener_without_an_update_has_no_incoming_links() -> None:
    truth = formed(HTTP)
    for number in (1, 2, 3):
        truth = after(truth, *with_config(number, HTTP))
    truth = after(truth, *with_config(2, THREE))
    assert names_well(truth) == ["etcd-1", "etcd-3"]


def test_a_member_added_before_the_lists_are_longer_is_never_well() -> None:
    truth = formed(THREE, [4])
    four = desired([1, 2, 3, 4])
    joined = after(
        truth,
        leaf_of(4, four),
        *with_config(4, four)[:2],
        Action(steps.ADD_LEARNER, url=member(4).peer_url),
        Action(steps.START_UNIT, "host-4"),
    )
    learner = next(one for one, _host in placed(joined) if one.is_learner)
    with pytest.raises(RefusedError, match="in sync"):
        after(joined, Action(steps.PROMOTE_LEARNER, member_id=learner.member_id))
    with pytest.raises(RefusedError, match="too many learner"):
        after(joined, Action(steps.ADD_LEARNER, url=member(5).peer_url))


def test_lists_shortened_before_the_removal() -> None:
    truth = after(formed(THREE), *with_config(1, desired([1, 2])))
    assert broken_pairs(truth) == [("etcd-1", "etcd-3")]


def test_a_removal_with_too_few_is_refused_by_etcd() -> None:
    truth = changed(formed(THREE), "host-2", process=None)
    with pytest.raises(RefusedError, match="unhealthy"):
        after(truth, Action(steps.REMOVE_MEMBER, member_id="id etcd-3"))
    assert has_quorum(after(truth, Action(steps.REMOVE_MEMBER, member_id="id etcd-2")))
    with pytest.raises(RefusedError, match="unhealthy"):
        after(formed(desired([1])), Action(steps.REMOVE_MEMBER, member_id="id etcd-1"))


def test_a_member_is_added_only_while_all_are_well() -> None:
    truth = changed(formed(THREE), "host-2", process=None)
    with pytest.raises(RefusedError, match="unhealthy"):
        after(truth, Action(steps.ADD_LEARNER, url=member(4).peer_url))
    with pytest.raises(RefusedError, match="already exist"):
        after(formed(THREE), Action(steps.ADD_LEARNER, url=member(3).peer_url))


def test_empty_data_of_a_listed_member_never_joins() -> None:
    truth = changed(formed(THREE), "host-2", process=None, running=None, data=None)
    assert after(truth, Action(steps.START_UNIT, "host-2")).hosts["host-2"].process is None


def test_a_removed_member_ends() -> None:
    truth = after(formed(THREE), Action(steps.REMOVE_MEMBER, member_id="id etcd-3"))
    assert after(truth, Action(steps.RESTART_UNIT, "host-3")).hosts["host-3"].process is None


def test_a_new_url_without_an_update_has_no_links() -> None:
    truth = after(formed(THREE), *with_config(2, desired([1, 2, 3], peer_port=2390)))
    assert names_well(truth) == ["etcd-1", "etcd-3"]


def test_a_crl_that_can_not_be_read_refuses_everybody() -> None:
    assert names_well(changed(formed(THREE), "host-2", crl=None)) == ["etcd-1", "etcd-3"]
    revoked = Action(steps.WRITE_CRL, "host-1", serial_numbers=frozenset(("first serial of host-2",)))
    assert broken_pairs(after(formed(THREE), revoked)) == [("etcd-1", "etcd-2")]


def test_one_name_too_few_in_one_list_breaks_that_pair() -> None:
    names = frozenset(("etcd-1.example.com", "etcd-2.example.com"))
    truth = after(formed(THREE), *with_config(1, THREE, common_names=names))
    assert not linked(truth, truth.hosts["host-1"], truth.hosts["host-3"])
    assert linked(truth, truth.hosts["host-1"], truth.hosts["host-2"])


def test_a_unit_without_a_configuration_is_written_by_nobody() -> None:
    for kind in (steps.WRITE_UNIT, steps.WRITE_TRUST):
        with pytest.raises(RefusedError, match=f"^{kind}: it has no configuration$"):
            after(formed(THREE), Action(kind, "host-2"))


@pytest.mark.parametrize("lost", ["disk", "leaf"])
def test_etcd_does_not_start_without_its_unit_or_its_certificate(lost: str) -> None:
    truth = changed(formed(THREE), "host-2", process=None, running=None, **{lost: None})
    assert after(truth, Action(steps.START_UNIT, "host-2")).hosts["host-2"].process is None
    there = changed(formed(THREE), "host-2", process=None, running=None)
    assert after(there, Action(steps.START_UNIT, "host-2")).hosts["host-2"].process is not None


CALLS = [
    Action(steps.ADD_LEARNER, url=member(4).peer_url),
    Action(steps.REMOVE_MEMBER, member_id="id etcd-3"),
    Action(steps.UPDATE_MEMBER, member_id="id etcd-3", url=member(4).peer_url),
    Action(steps.PROMOTE_LEARNER, member_id="id etcd-3"),
    Action(steps.TRANSFER, member_id="id etcd-3"),
]


@pytest.mark.parametrize("call", CALLS, ids=[call.kind for call in CALLS])
def test_who_is_a_member_is_changed_only_by_a_quorum(call: Action) -> None:
    with pytest.raises(RefusedError, match="no member tells who is in the cluster"):
        after(replace(formed(THREE), member_list=None), call)
    two_down = changed(changed(formed(THREE), "host-2", process=None), "host-3", process=None)
    with pytest.raises(RefusedError, match="there is no quorum"):
        after(two_down, call)


def test_a_url_of_another_member_is_not_given_to_a_second_one() -> None:
    with pytest.raises(RefusedError, match="already exist"):
        after(formed(THREE), Action(steps.UPDATE_MEMBER, member_id="id etcd-2", url=member(3).peer_url))
    own = Action(steps.UPDATE_MEMBER, member_id="id etcd-2", url=member(2).peer_url)
    assert after(formed(THREE), own) == formed(THREE)


def test_who_is_not_well_is_not_made_the_leader() -> None:
    truth = changed(formed(THREE), "host-2", process=None)
    with pytest.raises(RefusedError, match="is not well"):
        after(truth, Action(steps.TRANSFER, member_id="id etcd-2"))
    led = after(truth, Action(steps.TRANSFER, member_id="id etcd-3")).member_list
    assert led is not None and led.leader_id == "id etcd-3"


def test_nobody_gets_through_to_what_does_not_run_or_has_no_tls_at_an_https_url() -> None:
    truth = formed(THREE)
    one, other = truth.hosts["host-1"], truth.hosts["host-2"]
    url = member(2).peer_url
    assert other.process is not None and dials(one, other, [url])
    assert not dials(one, replace(other, process=None), [url]) and not dials(replace(one, process=None), other, [url])
    plain = replace(other, process=replace(other.process, peer_tls=False))
    assert not dials(one, plain, [url]) and not dials(plain, one, [member(1).peer_url])


# No plan has them, wherever a run was killed -------------------------------------------------------------------------

OPERATIONS: dict[str, tuple[State, Desired]] = {
    "join": (formed(THREE, [4, 5]), desired([1, 2, 3, 4, 5])),
    "one to three": (formed(desired([1]), [2, 3]), THREE),
    "one to five": (formed(desired([1]), [2, 3, 4, 5]), desired([1, 2, 3, 4, 5])),
    "remove the leader": (formed(THREE), desired([2, 3], words=said(removed=["etcd-1"]))),
    "five to three": (formed(desired(range(1, 6))), desired([1, 2, 3], words=said(removed=["etcd-4", "etcd-5"]))),
    "replace": (
        changed(formed(THREE), "host-2", process=None, running=None, data=None, disk=None, leaf=None, crl=None),
        desired([1, 2, 3], words=said(replace=["etcd-2"])),
    ),
    "swap": (formed(THREE, [4]), desired([1, 2, 4], words=said(removed=["etcd-3"]))),
    "new CA": (formed(THREE), NEW),
    "other names": (formed(THREE), OTHER_NAMES),
    "shared to list": (formed(desired([1, 2, 3], common_name="blue.peers")), THREE),
    "http to https": (formed(HTTP), THREE),
    "one certificate for all": (sharing(THREE), NEW),
    "one certificate for all, of the same CA": (sharing(THREE), THREE),
    "one certificate for all, and a list of its name": (sharing(THREE, has_list=True), NEW),
    "one certificate for all, without a name": (sharing(THREE, ""), NEW),
    "one certificate for all, with a name that is none for a list": (sharing(THREE, "a,b"), NEW),
    "peer port": (formed(THREE), desired([1, 2, 3], peer_port=2390)),
    "address": (formed(THREE), desired([1, 2, 3], network="10.0.1")),
    "address and names and CA": (
        formed(THREE),
        replace(desired([1, 2, 3], network="10.0.1", domain="other.org", issuer=NEW_CA), words=NEW.words),
    ),
    "client CA and port": (
        formed(THREE),
        desired([1, 2, 3], client_authorities=frozenset(("ca-clients",)), client_port=2479),
    ),
    "client TLS": (formed(desired([1, 2, 3], client_scheme="http")), replace(THREE, words=said(clients_followed=True))),
    "client TLS at another port": (
        formed(desired([1, 2, 3], client_scheme="http")),
        desired([1, 2, 3], client_port=2479, words=said(clients_followed=True)),
    ),
    "client TLS off at another port, with another domain": (
        formed(THREE),
        desired(
            [1, 2, 3], client_scheme="http", client_port=2479, domain="other.org", words=said(clients_followed=True)
        ),
    ),
    "leaked": (
        formed(THREE),
        desired([1, 2, 3], words=said(leaked=[f"first serial of host-{number}" for number in (1, 2, 3)])),
    ),
    "revoke and disconnect": (formed(THREE), desired([1, 2, 3], revoked=frozenset("x"), words=said(disconnect=True))),
    "upgrade to 3.6": (formed(THREE), desired([1, 2, 3], version=(3, 6, 16), words=said(upgrade=True))),
    "upgrade to 3.7": (
        formed(THREE, version=(3, 6, 16)),
        desired([1, 2, 3], version=(3, 7, 3), words=said(upgrade=True)),
    ),
    "settings": (formed(THREE), desired([1, 2, 3], settings="other")),
    "first deployment": (
        State({f"host-{n}": replace(formed(THREE, [n]).hosts[f"host-{n}"]) for n in (7, 8, 9)}),
        desired([7, 8, 9]),
    ),
    "two rotations at once": (
        formed(THREE, [4]),
        replace(desired([1, 2, 4], domain="other.org", issuer=NEW_CA), words=said(new_ca=True, removed=["etcd-3"])),
    ),
}


def everyone_accepts(truth: State, leaf: Leaf, but: str) -> bool:
    configs: list[Config | None] = []
    for _one, host in placed(truth):
        if host.name != but:
            configs += [host.process, host.disk]
    return all(config is None or accepts(config, leaf) for config in configs)


def no_wrong_order(before: State, half: State, cluster: Desired, step: Step) -> None:
    """What the facts say of each order that breaks, asked of each half of each step."""
    members = () if before.member_list is None else before.member_list.members
    for one, host in placed(half):
        old = before.hosts[host.name]
        if host.leaf is not None and host.leaf != old.leaf and one.started and old.process is not None:
            assert everyone_accepts(before, host.leaf, host.name), f"{step.text}: a leaf before its lists and bundle"
        if host.process is not None and host.process != old.process:
            for other, its in placed(half):
                assert its.leaf is None or other is one or accepts(host.process, its.leaf), (
                    f"{step.text}: {host.name} would refuse {its.name}"
                )
    stopped = [host for _one, host in placed(before) if half.hosts[host.name].process is None]
    assert len(stopped) <= 1, f"{step.text}: more than one at once"
    if half.member_list is not None and before.member_list is not None:
        ids = {one.member_id for one in members}
        added = [one for one in half.member_list.members if one.member_id not in ids]
        assert all(one.is_learner for one in added), f"{step.text}: a voter was added"
        gone = ids - {one.member_id for one in half.member_list.members}
        assert before.member_list.leader_id not in gone or len(members) < 2, f"{step.text}: the leader was removed"
        changed_urls = [
            one
            for one in half.member_list.members
            if any(one.member_id == other.member_id and one.peer_urls != other.peer_urls for other in members)
        ]
        assert len(changed_urls) <= 1, f"{step.text}: more than one URL at once"


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_plan_has_a_wrong_order(name: str) -> None:
    truth, cluster = OPERATIONS[name]
    ended = run(truth, cluster, check=no_wrong_order)
    assert ended.refusal is None and ended.steps
    for before, state in zip(ended.states, ended.states[1:]):
        if before.member_list is not None and len(before.member_list.members) > 2:
            assert has_quorum(state)


def _lists(common_name: str) -> list[tuple[bool, frozenset[str] | None]]:
    """The lists of a plan for members that share one certificate: whether one still presents it, and what is let in."""
    truth, found = sharing(THREE, common_name), []
    for step in run(truth, NEW).steps:
        presents = any(host.leaf is not None and host.leaf.common_name == common_name for host in truth.hosts.values())
        found += [
            (presents, action.config.common_names)
            for action in step.actions
            if action.kind == steps.WRITE_UNIT and action.config is not None
        ]
        truth = after(truth, *step.actions)
    return found


@pytest.mark.parametrize("common_name", ["", "a,b", "a "])
def test_a_name_that_no_list_can_have_is_on_none(common_name: str) -> None:
    own = frozenset(one.common_name for one in THREE.members)
    assert _lists(common_name) == [(True, None)] * 3 + [(False, own)] * 3


def test_a_name_that_all_present_is_on_every_list_as_long_as_one_does() -> None:
    own = frozenset(one.common_name for one in THREE.members)
    assert _lists("etcd") == [(True, own | {"etcd"})] * 3 + [(False, own)] * 3
