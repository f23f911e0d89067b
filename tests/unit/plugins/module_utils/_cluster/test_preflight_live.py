# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guards of a cluster that lives: what each edit would do to it, with what its members tell."""

from __future__ import annotations

import copy
import dataclasses
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight as guards
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_authority, preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    MembershipChanges,
    membership_changes,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_running import pending_restarts
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.test_preflight import (
    bare,
    codes,
    deployed,
    fresh,
    living,
    member_list,
    members,
    only_text,
    question,
    state,
)

NAMES = ["etcd-1", "etcd-2", "etcd-3"]
SETTINGS = FlagSettings("blue", "/var/lib/etcd/blue", "/etc/etcd/pki")


def edited(cluster: preflight_values.Cluster, everyone: t.Sequence[Member], **more: t.Any) -> preflight_values.Cluster:
    """The same hosts with another inventory."""
    return dataclasses.replace(cluster, members=everyone, question=question(**more))


def others(**changes: t.Any) -> list[Member]:
    """The three members with an inventory that was edited: by entry's name, what is its own there; or for all."""
    entries = [
        {"name": name, "address": f"10.0.0.{number}", **changes.get(name.replace("-", "_"), {})}
        for number, name in enumerate(NAMES, 1)
    ]
    settings = {key: value for key, value in changes.items() if not key.startswith("etcd_")}
    return make_members(entries, ClusterSettings(**{"name": "blue", "domain": "example.com", **settings}))


def info(cluster: preflight_values.Cluster, name: str) -> t.Any:
    return cluster.infos[name]


def reported(cluster: preflight_values.Cluster, name: str) -> t.Any:
    return cluster.states[name]


def silent(cluster: preflight_values.Cluster) -> preflight_values.Cluster:
    """All etcds are off: their data and units are there, and nobody tells anything."""
    for name in cluster.infos:
        info(cluster, name)["process"] = {"running": False, "configuration_hash": None, "settings": None}
        reported(cluster, name).update(live_members=None, live_members_problem="connection refused", live_alarms=None)
    return cluster


def without_data(cluster: preflight_values.Cluster, name: str) -> preflight_values.Cluster:
    info(cluster, name)["data"] = {"directory": "/var/lib/etcd/blue", "exists": False, "formed": None, "problem": None}
    info(cluster, name)["process"] = {"running": False, "configuration_hash": None, "settings": None}
    start = {"part": "service", "code": "start", "text": "etcd.service: start"}
    reported(cluster, name).update(live_members=None, live_members_problem=None, pending=[start])
    return cluster


# Peer URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("everyone", "words"),
    [
        (
            others(peer_port=2390),
            "etcd-3 from https://10.0.0.3:2380 in the member list that etcd-1 tells to https://10.",
        ),
        (others(etcd_2={"address": "10.0.0.9"}), "etcd-2 from https://10.0.0.2:2380 in the member list that etcd-1 "),
    ],
)
def test_a_member_s_peer_url_is_the_listed_one(everyone: list[Member], words: str) -> None:
    assert words in only_text(edited(living(), everyone))
    # Everything off: what was deployed tells.
    text = only_text(edited(silent(living()), everyone))
    assert "https://10.0.0.2:2380 in what is deployed to" in text or "etcd-3 from" in text


def test_http_is_another_peer_url() -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_members"][0]["peer_urls"] = ["http://10.0.0.1:2380"]
    assert "etcd-1 from http://10.0.0.1:2380 in" in only_text(cluster)


def test_one_member_that_tells_another_list_is_enough() -> None:
    cluster = living()
    reported(cluster, "etcd-2")["live_members"][2]["peer_urls"] = ["https://10.0.0.66:2380"]
    assert "etcd-3 from https://10.0.0.66:2380 in the member list that etcd-2 tells" in only_text(cluster)


def test_a_url_that_was_changed_by_hand_is_rolled_out() -> None:
    """After etcdctl member update: what the cluster says counts, and no unit."""
    cluster = living()
    everyone = others(peer_port=2390)
    for name in NAMES:
        reported(cluster, name)["live_members"] = member_list(everyone)
    assert codes(edited(cluster, everyone)) == []


def test_data_of_a_first_start_that_never_came_about_may_be_emptied() -> None:
    cluster = silent(living())
    for name in NAMES:
        info(cluster, name)["data"]["formed"] = False
    text = only_text(edited(cluster, others(peer_port=2390)))
    assert "or empty the data folder of etcd-1, etcd-2, etcd-3" in text
    info(cluster, "etcd-2")["data"]["formed"] = None
    assert "or empty" not in only_text(edited(cluster, others(peer_port=2390)))


# Who is a member ------------------------------------------------------------------------------------------------------


def test_who_is_to_go_is_removed_where_that_was_said() -> None:
    for said in ("etcd-3", "etcd-3.example.com", "3", "https://10.0.0.3:2380"):
        cluster = edited(living(), members(2), removed=[said])
        assert [one.member_id for one in membership_changes(cluster).removals] == ["3"]
        # A name that is allowed is lost by its own word alone.
        assert codes(cluster) == ([] if said.startswith("etcd") else ["name_would_be_lost"])
    text = only_text(edited(living(), members(2)))
    assert "run with etcd_peer_tls_removed: [etcd-3.example.com], which removes it" in text
    assert membership_changes(edited(living(), members(2))) == MembershipChanges()


def with_one_that_never_ran(url: str = "https://10.0.0.9:2380") -> preflight_values.Cluster:
    """A learner that was added, and has not told its name; the lists were made longer for it before."""
    cluster = living()
    for name in NAMES:
        more = {"member_id": "9", "name": "", "peer_urls": [url], "client_urls": [], "is_learner": True}
        reported(cluster, name)["live_members"].append(more)
        for part in ("unit", "process"):
            info(cluster, name)[part]["settings"]["allowed_common_names"].append("etcd-9.example.com")
    return cluster


def test_who_was_added_and_never_ran_goes_by_its_word_alone() -> None:
    cluster = with_one_that_never_ran()
    texts = [failure.text for failure in guards.check_cluster(edited(cluster, members(3)))]
    assert codes(edited(cluster, members(3))) == ["name_would_be_lost", "member_not_in_inventory"]
    assert "added at https://10.0.0.9:2380 and never ran (9) is in the member list that etcd-1 tells" in texts[1]
    assert "have it removed with etcd_peer_tls_removed: [https://10.0.0.9:2380]" in texts[1]
    # By its name it is known where its host is in the inventory still.
    unknown = edited(cluster, members(3), removed=["etcd-9"])
    assert codes(unknown) == ["member_not_in_inventory"] and membership_changes(unknown) == MembershipChanges()
    for said, urls in (
        (["etcd-9"], ["https://10.0.0.9:2380"]),
        (["etcd-9", "9"], []),
        (["etcd-9", "https://10.0.0.9:2380"], []),
    ):
        asked = edited(cluster, members(3), removed=said, removed_urls=urls)
        assert codes(asked) == []
        assert [one.member_id for one in membership_changes(asked).removals] == ["9"]
    # A member that has told its name is meant by that alone, and one that is wanted is not meant at all.
    there = edited(living(), members(2), removed=["etcd-9"], removed_urls=["https://10.0.0.3:2380"])
    assert membership_changes(there) == MembershipChanges()
    wanted = edited(with_one_that_never_ran(), members(3), removed_urls=["https://10.0.0.1:2380"])
    assert membership_changes(wanted) == MembershipChanges()
    # Nobody can do it: that is what is told.
    text = next(
        failure.text
        for failure in guards.check_cluster(edited(cluster, members(3), removed=["9"], manages_service=False))
        if failure.code == "removed_is_a_member"
    )
    assert "never ran (9)" in text and "a run without systemd changes no members" in text


def test_who_is_in_the_inventory_is_not_removed() -> None:
    for said in ("etcd-3", "etcd-3.example.com", "https://10.0.0.3:2380"):
        cluster = edited(living(), members(3), removed=[said])
        assert codes(cluster) == ["removed_is_wanted"] and membership_changes(cluster) == MembershipChanges()


@pytest.mark.parametrize("unseen", [[], ["etcd-3"]])
def test_who_stays_under_another_name_is_not_to_be_removed(unseen: list[str]) -> None:
    """In the middle of a change of the domain: the others accept both names, and some present the new one."""
    everyone = others(domain="example.org")
    cluster = edited(living(), everyone)
    for number, name in enumerate(NAMES):
        for part in ("unit", "process"):
            info(cluster, name)[part]["settings"]["allowed_common_names"] += [one.common_name for one in everyone]
        if number > 0:
            info(cluster, name)["credentials"]["certificate"]["common_name"] = everyone[number].common_name
    for name in unseen:
        del cluster.infos[name], cluster.states[name]  # type: ignore[attr-defined]
    text = next(one.text for one in guards.check_cluster(cluster) if one.code == "name_would_be_lost")
    assert "list: etcd-1.example.com of etcd-1, etcd-2.example.com of etcd-2, etcd-3.example.com of etcd-3: who" in text
    assert ("etcd-3 can't be seen in this run: bring it back" in text) == bool(unseen)
    assert "etcd_peer_tls_removed" not in text and "put etcd_peer_tls_domain" in text


def test_a_shared_name_is_that_of_who_presents_it() -> None:
    cluster = living()
    for name in NAMES:
        info(cluster, name)["unit"]["settings"]["allowed_common_names"] = ["etcd.peers"]
        info(cluster, name)["credentials"]["certificate"]["common_name"] = "etcd.peers"
    text = next(one.text for one in guards.check_cluster(cluster) if one.code == "name_would_be_lost")
    assert "etcd.peers of etcd-1: who" in text and "etcd_peer_tls_removed" not in text


def test_nobody_goes_who_was_not_meant_or_while_nobody_can_tell() -> None:
    text = only_text(edited(living(), members(2), removed=["etcd-3"], manages_service=False))
    assert "member etcd-3 is to be removed" in text and "a run without systemd changes no members" in text
    # The votes of those that stay carry the removal.
    cluster = edited(living(), members(2), removed=["etcd-3"])
    info(cluster, "etcd-2")["process"] = {"running": False, "configuration_hash": None, "settings": None}
    reported(cluster, "etcd-2").update(live_members=None, live_members_problem="connection refused")
    assert codes(cluster) == ["removal_needs_others"]
    assert "etcd-3 is not removed while etcd-2 does not answer (connection refused)" in only_text(cluster)
    alone = edited(living(), members(1), removed=["etcd-2", "etcd-3"])
    for one in reported(alone, "etcd-1")["live_members"][:1]:
        one["is_learner"] = True
    for name in NAMES[1:]:
        reported(alone, name)["live_members"] = None
    assert "last_member" in codes(alone)


def test_a_name_with_a_dot_is_not_hidden_by_a_part_of_it() -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_members"][2]["name"] = "etcd.c"
        info(cluster, name)["unit"]["settings"]["allowed_common_names"][2] = "etcd.c.example.com"
        info(cluster, name)["process"]["settings"]["allowed_common_names"][2] = "etcd.c.example.com"
    del cluster.states["etcd-3"], cluster.infos["etcd-3"]  # type: ignore[attr-defined]
    assert codes(edited(cluster, members(2))) == ["name_would_be_lost"]
    assert codes(edited(cluster, members(2), removed=["etcd"])) == ["member_not_in_inventory"]
    assert codes(edited(cluster, members(2), removed=["etcd.c"])) == []


def test_who_was_removed_may_leave() -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_members"] = member_list(members(2))
    del cluster.states["etcd-3"], cluster.infos["etcd-3"]  # type: ignore[attr-defined]
    assert codes(edited(cluster, members(2), removed=["etcd-3"])) == []
    # One that tells that it is there still is enough to go no further.
    reported(cluster, "etcd-2")["live_members"] = member_list(members(3))
    assert codes(edited(cluster, members(2), removed=["etcd-3"])) == ["removed_is_a_member"]
    assert "the members tell different lists (etcd-1, etcd-2)" in only_text(
        edited(cluster, members(2), removed=["etcd-3"])
    )


def test_nobody_leaves_while_nobody_tells_the_list() -> None:
    cluster = edited(silent(living()), members(2), removed=["etcd-3"])
    assert codes(cluster) == ["removed_unknown"] and "(connection refused)" in only_text(cluster)


def test_a_member_that_the_inventory_does_not_know() -> None:
    """With one common name for all, no list of names tells that one is missing."""
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_members"] = member_list(members(4))
    assert codes(cluster) == ["member_not_in_inventory"]
    assert "member etcd-4 (4) is in the member list that etcd-1 tells" in only_text(cluster)


@pytest.mark.parametrize("is_known", ["by a name that others allow", "by the member list alone"])
def test_the_cure_comes_before_any_word_that_takes_a_living_member_out(is_known: str) -> None:
    """The third host is disabled in AWX, or in another slice: it runs."""
    cluster, codes_of = living(), "name_would_be_lost"
    if "alone" in is_known:
        codes_of = "member_not_in_inventory"
        for name in NAMES:
            for part in ("unit", "process"):
                info(cluster, name)[part]["settings"]["allowed_common_names"] = ["etcd-1.example.com"] * 2
        cluster = dataclasses.replace(
            cluster, members=[dataclasses.replace(one, common_name="etcd-1.example.com") for one in cluster.members]
        )
    del cluster.states["etcd-3"], cluster.infos["etcd-3"]  # type: ignore[attr-defined]
    left = edited(cluster, cluster.members[:2])
    assert codes(left) == [codes_of]
    text = only_text(left)
    cure, _separator, word = text.partition("; only where it is to go for good")
    assert "a disabled host, a slice of a job" in cure and "{name: etcd-3, address: 10.0.0.3}" in cure
    assert "etcd_peer_tls_removed: [etcd-3" in word and "etcd_peer_tls_removed" not in cure
    told = "this job is a slice of job template 'deploy'"
    text = only_text(edited(cluster, cluster.members[:2], slice_of=told))
    assert f"{told}, and sees a part of the hosts: run it without slices" in text
    assert "{name: etcd-3, address: 10.0.0.3}" in text and "etcd_peer_tls_removed" not in text


def test_a_member_that_was_removed_and_is_in_the_inventory() -> None:
    cluster = living()
    for name in NAMES[:2]:
        reported(cluster, name)["live_members"] = member_list(members(2))
    reported(cluster, "etcd-3").update(live_members=None)
    assert codes(cluster) == ["member_not_listed"]
    assert "is that of member 3, which is not in the member list that etcd-1 tells" in only_text(cluster)


def test_a_member_keeps_its_name() -> None:
    everyone = others(etcd_2={"name": "etcd-two", "common_name": "etcd-2.example.com"})
    cluster = living()
    for where in (cluster.infos, cluster.states):
        where["etcd-two"] = where.pop("etcd-2")  # type: ignore[attr-defined,index]
    assert codes(edited(cluster, everyone)) == ["member_renamed"]
    assert "call it etcd-2 (etcd_peer_tls_name)" in only_text(edited(cluster, everyone))


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


# Names and the client side --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"domain": "example.org"}, {"identity": "shared"}])
def test_common_names_that_the_running_members_do_not_allow(changes: dict[str, t.Any]) -> None:
    removed = [f"{name}.example.com" for name in NAMES]
    cluster = edited(living(), others(**changes), removed=removed)
    assert codes(cluster) == ["common_name_differs"]
    assert "(etcd-1 from etcd-1.example.com to " in only_text(cluster)
    # What is off is started with all of it at once, where all are in the run.
    assert "common_name_differs" not in codes(edited(silent(living()), others(**changes), removed=removed))


def test_the_common_name_of_one_member() -> None:
    everyone = others(etcd_2={"common_name": "two.example.com"})
    cluster = edited(living(), everyone, removed=["etcd-2.example.com"])
    assert codes(cluster) == ["common_name_differs"]
    # Lists that have it already let it in.
    for name in NAMES:
        info(cluster, name)["process"]["settings"]["allowed_common_names"].append("two.example.com")
    assert codes(cluster) == []


@pytest.mark.parametrize(
    ("changes", "settings", "words", "code"),
    [
        (
            {"client_port": 2479},
            {},
            "etcd-1 from https://10.0.0.1:2379 to https://10.0.0.1:2479; etcd-2 from",
            "client_url_differs",
        ),
        (
            {"client_tls": False},
            {"client_tls": False},
            "etcd-1 from https://10.0.0.1:2379 to http://10.0.0.1:2379",
            "client_side_differs",
        ),
        (
            {"client_tls": False},
            {"client_tls": False},
            "set another etcd_peer_tls_client_port with it, and members answer at both until clients have followed",
            "client_side_differs",
        ),
        # At another port a change in several passes does it.
        (
            {"client_tls": False, "client_port": 2479},
            {"client_tls": False},
            "etcd-1 from https://10.0.0.1:2379 to http://10.0.0.1:2479; etcd-2 from",
            "client_url_differs",
        ),
        ({}, {"client_ca_file": "/c/ca.crt"}, "etcd-1 from client CA of the peers to /c/ca.crt", "client_side_differs"),
    ],
)
def test_the_client_side_of_members_that_run(
    changes: dict[str, t.Any], settings: dict[str, t.Any], words: str, code: str
) -> None:
    pair = {f"client_{kind}_file": f"/c/own.{kind}" for kind in ("cert", "key") if "client_ca_file" in settings}
    meant = dataclasses.replace(SETTINGS, **settings, **pair)
    cluster = edited(living(), others(**changes), flag_settings=meant)
    assert codes(cluster) == [code] and words in only_text(cluster)
    # Off, or on their way to a first quorum, nobody has to be asked.
    assert codes(edited(silent(living()), others(**changes), flag_settings=meant)) == []
    starting = edited(living(), others(**changes), flag_settings=meant)
    for name in NAMES:
        info(starting, name)["data"]["formed"] = False
    assert codes(starting) == []


def test_tls_for_clients_does_not_change_at_a_port_that_is_in_use() -> None:
    """Whatever address comes with it, and where a change has begun and is taken back half way."""
    meant = dataclasses.replace(SETTINGS, client_tls=False)
    cluster = living()
    for name in NAMES:
        settings = info(cluster, name)["process"]["settings"]
        settings["client_urls"] = [url.replace("10.0.0.", "10.0.1.") for url in settings["client_urls"]]
    assert codes(edited(cluster, others(client_tls=False), flag_settings=meant)) == ["client_side_differs"]
    begun = living()
    for name in NAMES:
        settings = info(begun, name)["process"]["settings"]
        settings["client_urls"] = [settings["client_urls"][0].replace("https", "http").replace("2379", "2479")] + list(
            settings["client_urls"]
        )
    assert codes(edited(begun, others(client_tls=False, client_port=2479), flag_settings=meant)) == [
        "client_url_differs"
    ]
    assert codes(edited(begun, others(client_port=2479))) == ["client_side_differs"]
    assert codes(edited(begun, others())) == ["client_url_differs"]


def standard_pair(name: str) -> dict[str, str]:
    pki = SETTINGS.credentials_directory
    return {"cert_file": f"{pki}/{name}.crt", "key_file": f"{pki}/{name}.key"}


def meaning(cluster: guards.Cluster, **changes: str) -> guards.Cluster:
    """The same cluster in a run that means another CA for clients, and the members' own pair but for the changes."""
    own = {}
    for name in NAMES:
        pair = {f"client_{option}": path for option, path in standard_pair(name).items()}
        own[name] = dataclasses.replace(SETTINGS, **{"client_ca_file": "/c/ca.crt", **pair, **changes})
    return edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings=own)


def test_ca_and_pair_for_clients_change_one_after_the_other() -> None:
    """With the pair that runs, members that were restarted and those that were not are asked alike."""
    cluster = living()
    for name in NAMES:
        info(cluster, name)["process"]["settings"]["files"].update(standard_pair(name))
    assert codes(meaning(cluster)) == []
    text = only_text(meaning(cluster, client_cert_file="/c/own.crt"))
    assert "etcd-1 from client CA of the peers to /c/ca.crt" in text
    assert "change one at a time: first etcd_peer_tls_client_ca_file alone, to a file with the old CA and" in text
    # Then the pair, and back to the peers' CA the same way.
    for name in NAMES:
        info(cluster, name)["process"]["settings"]["files"]["trusted_ca_file"] = "/c/ca.crt"
    other = {"client_cert_file": "/c/own.crt", "client_key_file": "/c/own.key"}
    assert codes(meaning(cluster, **other)) == codes(edited(cluster, members(), flag_settings=SETTINGS)) == []
    # Not while a member has yet to read the file that has the new CA in it.
    info(cluster, "etcd-2")["process"]["newer_files"] = ["/c/ca.crt"]
    assert "(etcd-2 from client CA as /c/ca.crt was to as it is now)" in only_text(meaning(cluster, **other))
    assert codes(meaning(cluster)) == []


def test_another_folder_for_the_same_client_authority() -> None:
    """The CA of the peers is that of the clients wherever it lies."""
    meant = dataclasses.replace(SETTINGS, credentials_directory="/srv/pki")
    assert codes(edited(living(), members(), flag_settings=meant)) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"data_dir": "/srv/etcd"},
            "etcd_peer_tls_data_dir is /var/lib/etcd/blue in what is deployed, and this run me",
        ),
        ({"extra_flags": {"wal-dir": "/srv/wal"}}, "wal-dir (in etcd_peer_tls_extra_flags) is not set in what is dep"),
    ],
)
def test_a_member_stays_in_its_folders(settings: dict[str, t.Any], words: str) -> None:
    meant = dataclasses.replace(SETTINGS, **settings)
    cluster = living()
    for name in NAMES:
        # Each host is asked for the folder that is wanted there.
        info(cluster, name)["data"]["directory"] = meant.data_dir
    found = guards.check_cluster(edited(cluster, members(), flag_settings=meant))
    assert [failure.code for failure in found] == ["data_moved"] * 3 and words in found[0].text


def test_data_that_was_moved_while_its_etcd_was_off() -> None:
    cluster = silent(living())
    meant = dataclasses.replace(SETTINGS, data_dir="/srv/etcd")
    for name in NAMES:
        info(cluster, name)["data"]["directory"] = meant.data_dir
    assert codes(edited(cluster, members(), flag_settings=meant)) == []
    for name in NAMES:
        without_data(cluster, name)
        info(cluster, name)["data"]["directory"] = meant.data_dir
    assert codes(edited(cluster, members(), flag_settings=meant)) == ["data_moved"] * 3


def test_each_member_may_have_a_folder_of_its_own() -> None:
    """As with the host's name in it: the settings at hand are those of one host."""
    cluster = living()
    for name in NAMES:
        for reported in (info(cluster, name)["unit"]["settings"], info(cluster, name)["process"]["settings"]):
            reported["data_dir"] = f"/srv/{name}"
        info(cluster, name)["data"]["directory"] = f"/srv/{name}"
    meant = dataclasses.replace(SETTINGS, data_dir="/srv/etcd-1")
    assert codes(edited(cluster, members(), flag_settings=meant)) == []


def test_each_member_is_held_against_its_own_settings() -> None:
    """Settings may differ from host to host: those of one member refuse nothing of another, and miss nothing."""
    cluster = living()
    log = info(cluster, "etcd-2")
    for reported in (log["unit"]["settings"], log["process"]["settings"]):
        reported["flags"]["wal-dir"] = "/srv/wal"
        reported["files"].update(trusted_ca_file="/c/ca.crt", cert_file="/c/own.cert", key_file="/c/own.key")
    pair = {f"client_{kind}_file": f"/c/own.{kind}" for kind in ("cert", "key")}
    own = dataclasses.replace(SETTINGS, client_ca_file="/c/ca.crt", extra_flags={"wal-dir": "/srv/wal"}, **pair)
    assert codes(edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings={"etcd-2": own})) == []
    # Meant for the wrong one of them: both are told.
    found = guards.check_cluster(edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings={"etcd-3": own}))
    assert [failure.code for failure in found] == ["data_moved", "data_moved", "client_side_differs"]
    assert "etcd-2" in found[0].text and "etcd-3" in found[1].text
    assert "(etcd-2 from client CA /c/ca.crt to that of the peers; etcd-3 from client CA of the peers" in found[2].text


def test_a_flag_of_one_member_is_told_of_that_one() -> None:
    wrong = dataclasses.replace(SETTINGS, extra_flags={"peer-auto-tls": True})
    text = only_text(edited(living(), members(), flag_settings=SETTINGS, own_flag_settings={"etcd-2": wrong}))
    assert text.startswith("member etcd-2: etcd_peer_tls_extra_flags: --peer-auto-tls is refused")
    assert only_text(edited(living(), members(), flag_settings=wrong)).startswith("etcd_peer_tls_extra_flags: --peer")


def test_a_log_that_was_moved_while_its_etcd_was_off() -> None:
    """As the refusal says: its own records are read where it is going to be."""
    cluster = living()
    meant = dataclasses.replace(SETTINGS, extra_flags={"wal-dir": "/srv/wal"})
    own = {"own_flag_settings": {"etcd-2": meant}, "flag_settings": SETTINGS}
    assert codes(edited(cluster, members(), **own)) == ["data_moved"]
    info(cluster, "etcd-2")["process"] = {"running": False, "configuration_hash": None, "settings": None}
    assert codes(edited(cluster, members(), **own)) == []
    info(cluster, "etcd-2")["data"].update(member_id=None, cluster_id=None)
    assert codes(edited(cluster, members(), **own)) == ["data_moved"]


def test_what_makes_another_member_of_the_unit_is_named_with_its_hosts() -> None:
    cluster = living()
    assert codes(cluster) == []
    for name in ("etcd-1", "etcd-3"):
        reported(cluster, name)["unit_overrides"] = ["/etc/x.conf gives etcd --peer-auto-tls=true"]
    text = only_text(cluster)
    assert text.startswith("member etcd-1, etcd-3: /etc/x.conf gives etcd --peer-auto-tls=true, other than the role's")


def test_a_logger_that_only_etcd_3_4_has() -> None:
    cluster = living()
    own = {"etcd-2": dataclasses.replace(SETTINGS, extra_flags={"logger": "capnslog"})}
    text = only_text(edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings=own))
    assert text.startswith("member etcd-2: etcd_peer_tls_extra_flags: --logger=capnslog is refused: etcd 3.5.16 would")
    info(cluster, "etcd-2")["etcd"]["version"] = "3.4.23"
    info(cluster, "etcd-2")["process"]["version"] = "3.4.23"
    found = guards.check_cluster(
        edited(cluster, members(), flag_settings=SETTINGS, own_flag_settings=own, identity="shared")
    )
    assert "flags" not in [failure.code for failure in found]


def test_a_larger_quota_is_rolled_out_under_the_alarm() -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_alarms"] = [{"member_id": "1", "alarm": "NOSPACE"}]
        reported(cluster, name)["pending"] = [{"part": "service", "code": "unit_changed", "text": "changed"}]
    larger = dataclasses.replace(SETTINGS, extra_flags={"quota-backend-bytes": 4294967296})
    assert codes(edited(cluster, members(), flag_settings=larger)) == []
    assert codes(edited(cluster, members(), flag_settings=SETTINGS)) == ["restart_alarm_nospace"]
    # One of them would be restarted for nothing.
    own = {"etcd-3": SETTINGS}
    assert codes(edited(cluster, members(), flag_settings=larger, own_flag_settings=own)) == ["restart_alarm_nospace"]
    for name in NAMES:
        reported(cluster, name)["live_alarms"] = [{"member_id": "1", "alarm": "CORRUPT"}]
    assert codes(edited(cluster, members(), flag_settings=larger)) == ["restart_alarm_corrupt"]


# Programs and units ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "code", "words"),
    [
        ("3.6.16", "upgrade_not_said", "3.6.16 is another minor version: say so with etcd_peer_tls_upgrade: true"),
        ("3.4.30", "downgrade", "a member runs as etcd 3.5.16, and 3.4.30 is older: etcd has to agree first"),
        ("3.5.15", "downgrade", "runs as etcd 3.5.16, and 3.5.15 is older: name 3.5.16 or later (member etcd-2)"),
        ("4.0.0", "upgrade_not_said", "another minor version"),
        ("3.5.16", None, None),
        ("3.5.35", None, None),
    ],
)
def test_what_is_started_is_what_runs_or_a_later_patch_of_it(starts: str, code: str | None, words: str | None) -> None:
    cluster = living()
    info(cluster, "etcd-2")["etcd"]["version"] = starts
    found = guards.check_cluster(dataclasses.replace(cluster, question=question(identity="shared")))
    assert [failure.code for failure in found] == ([] if code is None else [code])
    assert words is None or words in found[0].text


def test_what_is_about_to_be_installed_is_judged_and_not_what_it_replaces() -> None:
    def installing(version: str) -> preflight_values.Cluster:
        archive = f"/srv/etcd-v{version}-linux-amd64.tar.gz"
        return living(install="archive", archive=archive, archive_sha256="a" * 64)

    assert codes(installing("3.5.35")) == codes(installing("3.5.16")) == []
    assert codes(installing("3.6.16")) == ["upgrade_not_said"]
    assert codes(installing("3.5.12")) == ["version"] * 3 + ["downgrade"]
    # An etcd that is too old for a list is mended by the one that replaces it.
    mended = installing("3.5.35")
    for name in NAMES:
        info(mended, name)["etcd"]["version"] = info(mended, name)["process"]["version"] = "3.5.12"
    assert codes(mended) == []


def test_a_member_that_is_off_comes_back_as_the_others_run() -> None:
    cluster = living()
    info(cluster, "etcd-3")["process"] = {
        "running": False,
        "configuration_hash": None,
        "settings": None,
        "version": None,
    }
    reported(cluster, "etcd-3").update(live_members=None)
    info(cluster, "etcd-3")["etcd"]["version"] = "3.6.16"
    assert "member etcd-3: its etcd is not 3.5.16, as etcd-1 runs, and 3.6.16 would be started" in only_text(cluster)


@pytest.mark.parametrize("version", [None, "unknown", 7])
def test_a_version_that_nobody_tells_is_none(version: t.Any) -> None:
    cluster = living()
    for name in NAMES:
        info(cluster, name)["process"]["version"] = version
    assert codes(cluster) == []


def test_a_unit_that_one_host_does_not_take_is_written_on_none() -> None:
    cluster = living()
    for name in NAMES[1:]:
        reported(cluster, name)["unit_problem"] = "/usr/bin/etcd does not take its arguments: -x"
    assert only_text(cluster) == "member etcd-2, etcd-3: /usr/bin/etcd does not take its arguments: -x"
    info(cluster, "etcd-2")["etcd"]["version"] = None
    assert codes(cluster) == ["binary_unusable", "unit_not_taken"]
    assert guards.check_cluster(cluster)[1].text.startswith("member etcd-3: ")
    info(cluster, "etcd-2")["etcd"]["version"] = "3.5.16"
    # The one that is going to be installed is tried when it is there.
    archive = {"install": "archive", "archive": "/srv/etcd-v3.5.35-linux-amd64.tar.gz", "archive_sha256": "a" * 64}
    assert codes(edited(cluster, members(), **archive)) == []


# Restarts that could not be guarded -----------------------------------------------------------------------------------


def pending_on(cluster: preflight_values.Cluster, *names: str, code: str = "unit_changed") -> preflight_values.Cluster:
    for name in names:
        reported(cluster, name)["pending"] = [{"part": "service", "code": code, "text": code}]
    return cluster


@pytest.mark.parametrize("code", ["unit_changed", "flags_differ", "trust_bundle_changed", "binary_replaced"])
def test_what_means_a_restart(code: str) -> None:
    assert pending_restarts(pending_on(living(), "etcd-2", code=code)) == ["etcd-2"]


def test_what_means_none() -> None:
    cluster = pending_on(living(), *NAMES, code="repair_data_directory")
    assert pending_restarts(cluster) == []
    assert pending_restarts(pending_on(silent(living()), *NAMES)) == []


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        ("auth", "set etcd_peer_tls_api_user and etcd_peer_tls_api_password"),
        ("user", "does not take the user of etcd_peer_tls_api_user"),
        ("right", "etcdctl user grant-role NAME root"),
        ("gateway", "take the flag out"),
    ],
)
def test_a_restart_that_nobody_could_guard_is_not_begun(obstacle: str, words: str) -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name).update(
            live_members=None, live_obstacle=obstacle, live_members_problem="HTTP 400: no\nno"
        )
    # Certificates are renewed all the same.
    assert codes(cluster) == []
    text = only_text(pending_on(cluster, "etcd-2"))
    assert text.startswith("member etcd-1, etcd-2, etcd-3: its etcd") and words in text
    assert "(a restart is due on etcd-2; the member says: HTTP 400: no no)" in text
    assert codes(edited(cluster, members(), force_restart=True)) == []


def test_http_at_other_urls_is_an_obstacle_too() -> None:
    cluster = pending_on(living(), "etcd-2")
    info(cluster, "etcd-1")["process"]["settings"]["flags"]["listen-client-http-urls"] = "http://127.0.0.1:9"
    reported(cluster, "etcd-1").update(live_members=None)
    assert codes(cluster) == ["restart_gateway"]


def test_client_files_that_do_not_fit_any_more() -> None:
    cluster = pending_on(living(), "etcd-2")
    reported(cluster, "etcd-2").update(live_members=None, live_obstacle="tls", live_members_problem="TLS: unknown ca")
    # The peers' own are made sound by the run itself.
    assert codes(edited(cluster, members(), flag_settings=SETTINGS)) == []
    files = {f"client_{kind}_file": f"/c/{kind}" for kind in ("ca", "cert", "key")}
    for name in NAMES:
        info(cluster, name)["process"]["settings"]["files"]["trusted_ca_file"] = "/c/ca"
    meant = dataclasses.replace(SETTINGS, **files)
    assert codes(edited(cluster, members(), flag_settings=meant)) == ["restart_tls"]


@pytest.mark.parametrize(("alarm", "words"), [("NOSPACE", "etcdctl alarm disarm"), ("CORRUPT", "remove that member")])
def test_an_alarm_is_named_with_its_remedy(alarm: str, words: str) -> None:
    cluster = living()
    for name in NAMES:
        reported(cluster, name)["live_alarms"] = [{"member_id": "2", "alarm": alarm}]
    assert codes(cluster) == []
    (warning,) = [one for one in guards.cluster_warnings(cluster) if "alarm" in one]
    assert warning.startswith(f"alarm {alarm} of etcd-2: ") and words in warning
    text = only_text(pending_on(cluster, "etcd-1"))
    assert text.startswith(f"alarm {alarm} of etcd-2: no member is restarted") and words in text
    assert codes(edited(cluster, members(), force_restart=True)) == []


def test_what_a_host_tells_is_one_line() -> None:
    cluster = living()
    reported(cluster, "etcd-1")["live_members"][1]["peer_urls"] = ["https://x\n\x1b[31mred", "y" * 9000]
    reported(cluster, "etcd-2")["live_members"][0].update(name="evil\r\nname", member_id="9\n")
    assert codes(cluster) == ["peer_url_differs", "member_not_in_inventory", "member_not_listed"]
    assert all(len(failure.text) < 5000 and failure.text.isprintable() for failure in guards.check_cluster(cluster))
