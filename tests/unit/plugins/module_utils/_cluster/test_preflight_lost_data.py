# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data that is not there: what its members tell, and the marker by which a host knows by itself that there was some."""

from __future__ import annotations

import copy
import dataclasses
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight as guards
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_authority, preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    MembershipChanges,
    membership_changes,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.preflight_cluster import (
    NAMES,
    bare,
    codes,
    deployed,
    edited,
    fresh,
    info,
    living,
    member_list,
    members,
    only_text,
    question,
    reported,
    silent,
    state,
    without_data,
)

# No data --------------------------------------------------------------------------------------------------------------


def test_data_that_is_gone_is_not_started_over() -> None:
    text = only_text(without_data(living(), "etcd-3"))
    assert text.startswith("member etcd-3 had data and has none in /var/lib/etcd/blue")
    assert text.endswith("have it removed and join anew with etcd_peer_tls_replaced: [etcd-3]")


def test_data_that_is_gone_is_left_behind_where_that_was_said() -> None:
    cluster = edited(without_data(living(), "etcd-3"), members(3), replaced=["etcd-3"])
    changes = membership_changes(cluster)
    assert (codes(cluster), [one.name for one in changes.removals], changes.joins) == ([], ["etcd-3"], ("etcd-3",))
    # Removed already by a run that was killed.
    for name in NAMES[:2]:
        reported(cluster, name)["live_members"] = member_list(members(2))
    assert codes(marked(cluster, "etcd-3")) == [] and membership_changes(cluster).joins == ("etcd-3",)
    # One that has its data is left as it is, whatever was said.
    cluster = edited(living(), members(3), replaced=["etcd-3"])
    assert (codes(cluster), membership_changes(cluster)) == ([], MembershipChanges())
    # And one that runs on what was deleted below it.
    info(cluster, "etcd-3")["data"].update(exists=False, member_id=None, cluster_id=None, formed=None)
    assert codes(cluster) == ["data_lost"] and membership_changes(cluster) == MembershipChanges()


def test_data_that_is_gone_below_a_running_process() -> None:
    cluster = living()
    info(cluster, "etcd-3")["data"].update(exists=False, member_id=None, cluster_id=None, formed=None)
    assert codes(cluster) == ["data_lost"]


def test_a_member_that_missed_the_first_start_may_follow() -> None:
    """Listed by those that formed the cluster with it, and never seen: nobody knows a client URL of it."""
    cluster = without_data(living(), "etcd-3")
    for name in NAMES[:2]:
        reported(cluster, name)["live_members"][2]["client_urls"] = []
    assert codes(cluster) == []
    # That one says so is not enough.
    reported(cluster, "etcd-2")["live_members"][2]["client_urls"] = ["https://10.0.0.3:2379"]
    assert codes(cluster) == ["data_lost"]


# The marker: a host knows by itself that there was data ---------------------------------------------------------------

MARKER = "/etc/etcd/pki/{}.formed"


def marked(cluster: preflight_values.Cluster, *names: str) -> preflight_values.Cluster:
    """The hosts' own word that their members have had data."""
    for name in names:
        info(cluster, name)["formed_marker"] = {
            "path": MARKER.format(name),
            "exists": True,
            "member_id": name[-1],
            "cluster_id": "cc",
            "problem": None,
        }
    return cluster


def test_all_folders_gone_at_once_are_no_first_start() -> None:
    cluster = silent(living())
    for name in NAMES:
        without_data(cluster, name)
    assert codes(cluster) == []
    assert codes(marked(cluster, *NAMES)) == ["data_lost"] * 3
    text = guards.check_cluster(cluster)[1].text
    assert text.startswith(
        "member etcd-2 had data of member 2 in cluster cc, as /etc/etcd/pki/etcd-2.formed says, and has none in "
        "/var/lib/etcd/blue: "
    )
    assert "mount or restore the folder" in text and "restore a snapshot (playbook restore)" in text
    assert "form the cluster anew and empty on purpose, rm /etc/etcd/pki/etcd-2.formed on each host" in text


def test_one_that_was_rebuilt_does_not_speak_for_those_that_are_marked() -> None:
    cluster = silent(living())
    for name in NAMES:
        without_data(cluster, name)
    assert codes(marked(cluster, "etcd-3")) == ["data_lost"]


def test_a_marked_member_whose_data_is_gone_while_the_others_are_off() -> None:
    cluster = marked(without_data(silent(living()), "etcd-2"), *NAMES)
    assert codes(cluster) == ["data_lost"]
    assert "start etcd on etcd-1, etcd-3 (systemctl start) and run again" in only_text(cluster)
    # Even where the others' data is that of no cluster yet, and by itself.
    for name in ("etcd-1", "etcd-3"):
        info(cluster, name)["data"]["formed"] = False
    assert codes(cluster) == ["data_lost"]


def test_the_steps_name_the_marker_where_it_is_to_go() -> None:
    cluster = marked(without_data(living(), "etcd-3"), "etcd-3")
    text = only_text(cluster)
    assert text.endswith("etcd_peer_tls_replaced: [etcd-3]")
    # Listed as one that never ran, which its host knows better: its unit would not be started.
    for name in NAMES[:2]:
        reported(cluster, name)["live_members"][2]["client_urls"] = []
    assert codes(cluster) == ["data_lost"]
    # Removed, and added anew: the last step that is left.
    for name in NAMES[:2]:
        reported(cluster, name)["live_members"][2].update(name="", client_urls=[])
    assert codes(cluster) == ["join_not_prepared"]
    text = "etcd-3.formed there says that it has had data: to let it join without, run with etcd_peer_tls_replaced:"
    assert text in only_text(cluster)
    assert codes(edited(cluster, members(3), replaced=["etcd-3"])) == []


def test_data_of_a_member_that_was_removed_is_put_aside_where_that_is_said() -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_members"][2]["member_id"] = "9"
    way = "take its host out of the group and run with etcd_peer_tls_removed: [etcd-3], which stops it there and puts"
    assert way in only_text(cluster)


def test_no_new_ca_for_a_host_that_has_a_marker_alone() -> None:
    cluster = marked(fresh(), "etcd-2")
    assert "etcd-2 has been deployed already" in str(preflight_authority.why_no_new_authority(cluster))


def test_a_first_start_that_was_broken_off_is_finished() -> None:
    """etcd-1 runs and waits for the others: it tells nothing, and its data is that of no cluster yet."""
    cluster = without_data(without_data(living(), "etcd-2"), "etcd-3")
    reported(cluster, "etcd-1").update(live_members=None)
    info(cluster, "etcd-1")["data"]["formed"] = False
    assert codes(cluster) == []


@pytest.mark.parametrize("formed", [True, None])
def test_an_empty_member_does_not_vote_for_those_that_are_off(formed: bool | None) -> None:
    cluster = without_data(silent(living()), "etcd-2")
    for name in ("etcd-1", "etcd-3"):
        info(cluster, name)["data"]["formed"] = formed
    assert codes(cluster) == ["start_unknown"]
    assert "etcd-1, etcd-3 has that of a cluster that was formed" in only_text(cluster)


def test_an_empty_member_alone_in_a_run() -> None:
    cluster = fresh()
    alone = dataclasses.replace(cluster, infos={"etcd-3": cluster.infos["etcd-3"]})
    assert codes(alone) == ["start_not_seen"] and "etcd-1, etcd-2 can't be seen" in only_text(alone)
    # Where systemd is left alone, a host or an image may be made ready by itself.
    written = [{"part": "service", "code": code, "text": code} for code in ("make_data_directory", "write_unit")]
    assert codes(dataclasses.replace(alone, states={"etcd-3": {"pending": written}})) == []
    failed = [{"part": "service", "code": "service", "text": "systemctl failed"}]
    assert codes(dataclasses.replace(alone, states={"etcd-3": {"pending": failed}})) == ["start_not_seen"]
    with_data = living()
    for where in (with_data.infos, with_data.states):
        del where["etcd-1"], where["etcd-2"]  # type: ignore[attr-defined]
    assert codes(with_data) == []


def test_data_that_can_not_be_looked_at_may_be_there() -> None:
    cluster = fresh()
    info(cluster, "etcd-2")["data"]["problem"] = "can't read /var/lib/etcd/blue: permission denied"
    assert "what /var/lib/etcd/blue holds can't be told (can't read" in only_text(cluster)


def with_a_fourth(live: t.Sequence[dict[str, t.Any]]) -> preflight_values.Cluster:
    everyone = members(4)
    infos: dict[str, t.Any] = {one.name: deployed(number, everyone[:3]) for number, one in enumerate(everyone[:3], 1)}
    infos["etcd-4"] = bare()
    states = {name: state(one, None if name == "etcd-4" else copy.deepcopy([*live])) for name, one in infos.items()}
    states["etcd-4"]["pending"] = [{"part": "service", "code": "start", "text": "etcd.service: start"}]
    return preflight_values.Cluster(everyone, infos, question(batch=list(infos), play=list(infos)), states)


def test_a_new_member_joins_a_living_cluster() -> None:
    cluster = with_a_fourth(member_list(members(3)))
    assert (codes(cluster), membership_changes(cluster)) == ([], MembershipChanges(joins=("etcd-4",)))
    without = dataclasses.replace(cluster, question=dataclasses.replace(cluster.question, manages_service=False))
    assert codes(without) == ["join_not_prepared"] and "a run without systemd changes no members" in only_text(without)
    # The members differ: whether it is one already can't be told.
    reported(cluster, "etcd-2")["live_members"] = member_list(members(4))
    assert "the members tell different lists" in " ".join(one.text for one in guards.check_cluster(cluster))
    assert membership_changes(cluster) == MembershipChanges()
    # Without it in the run, the others allow its name.
    for where in (cluster.infos, cluster.states):
        del where["etcd-4"]  # type: ignore[attr-defined]
    assert codes(cluster) == []


def test_a_member_that_was_added_and_not_started() -> None:
    added = {**member_list(members(4))[3], "name": "", "client_urls": []}
    cluster = with_a_fourth([*member_list(members(3)), added])
    # The lists have its name, which says nothing about who is a member.
    for number in (1, 2, 3):
        info(cluster, f"etcd-{number}")["unit"]["settings"]["initial_cluster"]["etcd-4"] = "https://10.0.0.4:2380"
    assert (codes(cluster), membership_changes(cluster).joins) == ([], ("etcd-4",))
    # Started by a run that was killed then: a learner that is in the list by its name, and has data.
    learner = {**member_list(members(4))[3], "is_learner": True}
    for number in (1, 2, 3):
        reported(cluster, f"etcd-{number}")["live_members"][3] = learner
    cluster.infos["etcd-4"] = deployed(4, members(4))  # type: ignore[index]
    assert membership_changes(cluster).joins == ("etcd-4",)
    # A voter has joined; and data of another member is no learner's.
    info(cluster, "etcd-4")["data"]["member_id"] = "99"
    assert membership_changes(cluster).joins == ()
    info(cluster, "etcd-4")["data"]["member_id"] = "4"
    learner["is_learner"] = False
    assert membership_changes(cluster).joins == ()


def test_a_new_member_and_nobody_tells_the_list() -> None:
    cluster = with_a_fourth([])
    for name in NAMES:
        reported(cluster, name)["live_members"] = None
    assert codes(cluster) == ["join_not_prepared"] and "none of those that it was formed with" in only_text(cluster)
