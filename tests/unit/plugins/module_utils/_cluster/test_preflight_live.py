# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is a member of a cluster that lives, and where: what each edit would do to it, with what its members tell."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight as guards
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    Member,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    MembershipChanges,
    membership_changes,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.preflight_cluster import (
    NAMES,
    codes,
    edited,
    info,
    living,
    member_list,
    members,
    only_text,
    others,
    reported,
    silent,
)

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
