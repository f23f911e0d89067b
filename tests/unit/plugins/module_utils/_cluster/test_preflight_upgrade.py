# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another minor version of etcd: what has to be true of the whole cluster before the first member is restarted."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight import check_cluster
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_upgrade import Upgrade, planned_upgrade
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.preflight_cluster import (
    NAMES,
    bare,
    codes,
    edited,
    info,
    living,
    members,
    only_text,
    reported,
)

OFF = {"running": False, "configuration_hash": None, "settings": None, "version": None}


def upgrading(*running: str, to: str = "3.6.16", **more: t.Any) -> preflight_values.Cluster:
    """A cluster whose members run in these versions, with another program in place."""
    cluster = living(**{"upgrade": True, **more})
    for name, version in zip(NAMES, running or ("3.5.35",) * 3):
        info(cluster, name)["process"]["version"] = version
        info(cluster, name)["etcd"]["version"] = to
    return cluster


def test_the_next_minor_version_where_that_is_said() -> None:
    assert codes(upgrading()) == []
    assert planned_upgrade(upgrading()) == Upgrade((3, 5, 35), (3, 6, 16), False, tuple(NAMES))
    unsaid = upgrading(upgrade=False)
    text = only_text(unsaid)
    assert text == (
        "cluster blue: the members run as etcd 3.5.35, and 3.6.16 is another minor version: say so with "
        "etcd_peer_tls_upgrade: true (member etcd-1, etcd-2, etcd-3)"
    )
    assert planned_upgrade(unsaid) is None
    # The word alone changes nothing.
    assert planned_upgrade(upgrading(to="3.5.35")) is None and codes(upgrading(to="3.5.35")) == []
    patched = upgrading("3.5.16", "3.5.16", "3.5.35", to="3.5.35")
    assert planned_upgrade(patched) is None and codes(patched) == []


def test_an_archive_counts_before_anything_is_tried() -> None:
    archive = {"install": "archive", "archive": "/srv/etcd-v3.6.16-linux-amd64.tar.gz", "archive_sha256": "0" * 64}
    cluster = upgrading(to="3.5.35", **archive)
    assert planned_upgrade(cluster) == Upgrade((3, 5, 35), (3, 6, 16), False, tuple(NAMES))
    assert codes(cluster) == []
    assert codes(upgrading(to="3.5.35", **{**archive, "upgrade": False})) == ["upgrade_not_said"]


def test_what_has_begun_is_finished_without_the_word() -> None:
    for name in NAMES:
        running = ["3.6.16" if one == name else "3.5.35" for one in NAMES]
        cluster = upgrading(*running, upgrade=False)
        late = tuple(one for one in NAMES if one != name)
        assert codes(cluster) == [] and planned_upgrade(cluster) == Upgrade((3, 5, 35), (3, 6, 16), True, late)
    # And with a host that is left out, or one that is off: the guard waits for who is not well.
    cluster = upgrading("3.6.16", "3.5.35", "3.5.35", upgrade=False)
    info(cluster, "etcd-3")["process"] = dict(OFF)
    reported(cluster, "etcd-3").update(live_members=None)
    assert codes(cluster) == []
    done = upgrading("3.6.16", "3.6.16", "3.6.16", upgrade=False)
    assert planned_upgrade(done) is None and codes(done) == []


@pytest.mark.parametrize(
    ("running", "to", "code"),
    [
        (("3.5.16",) * 3, "3.6.16", "members_not_written"),
        (("3.5.35", "3.5.35", "3.5.16"), "3.6.16", "members_not_written"),
        (("3.5.35",) * 3, "3.7.3", "minor_left_out"),
        (("3.6.16", "3.6.16", "3.5.35"), "3.7.3", "minor_left_out"),
        (("3.6.16",) * 3, "3.5.35", "downgrade"),
        (("3.6.16",) * 3, "3.6.10", "downgrade"),
    ],
)
def test_a_way_that_does_not_lead_there(running: tuple[str, ...], to: str, code: str) -> None:
    cluster = upgrading(*running, to=to)
    assert codes(cluster) == [code] and planned_upgrade(cluster) is None


def test_who_has_come_further_stays_there() -> None:
    """Its program is the one that it runs: no change of its own, and no downgrade."""
    cluster = upgrading("3.6.16", "3.5.35", "3.5.35", upgrade=False)
    for name in NAMES:
        info(cluster, name)["etcd"]["version"] = info(cluster, name)["process"]["version"]
    assert codes(cluster) == [] and planned_upgrade(cluster) is None


def test_an_upgrade_begins_with_all_members_seen_and_well() -> None:
    cluster = upgrading()
    info(cluster, "etcd-3")["process"] = dict(OFF)
    info(cluster, "etcd-3")["etcd"]["version"] = "3.5.35"
    reported(cluster, "etcd-3").update(live_members=None)
    assert "etcd-3 does not run: bring it back first, with the etcd that it had" in only_text(cluster)
    # With the new one in place it would be the first that starts with it.
    info(cluster, "etcd-3")["etcd"]["version"] = "3.6.16"
    assert codes(cluster) == ["upgrade_member_down", "version_change"]

    cluster = upgrading()
    reported(cluster, "etcd-2").update(live_members=None)
    assert "etcd-2 does not tell who is in the cluster" in only_text(cluster)

    cluster = upgrading()
    del cluster.infos["etcd-2"]  # type: ignore[attr-defined]
    assert "no upgrade to etcd 3.6.16: etcd-2 can't be seen in this run (--limit" in only_text(cluster)


def test_a_learner_is_promoted_first() -> None:
    cluster = upgrading()
    for name in NAMES:
        reported(cluster, name)["live_members"][2]["is_learner"] = True
    found = [failure for failure in codes(cluster) if failure != "join_in_upgrade"]
    assert found == ["learner_in_upgrade"] and planned_upgrade(cluster) is None


def test_nobody_joins_in_the_same_run() -> None:
    four = members(4)
    cluster = upgrading()
    cluster = edited(cluster, four, upgrade=True)
    cluster.infos["etcd-4"] = bare()  # type: ignore[index]
    texts = [failure.text for failure in check_cluster(cluster) if failure.code == "join_in_upgrade"]
    assert len(texts) == 1 and "etcd-4 is to join the cluster: let it join first, with the etcd that runs" in texts[0]
    assert planned_upgrade(cluster) is None


def test_the_hosts_bring_the_same_version() -> None:
    """As where a package was updated on one of them alone."""
    cluster = upgrading()
    info(cluster, "etcd-2")["etcd"]["version"] = "3.5.35"
    assert "another etcd would be started on etcd-2 (3.5.35): bring the same version to all hosts first" in only_text(
        cluster
    )


def test_no_upgrade_without_the_guard() -> None:
    assert codes(upgrading(force_restart=True)) == ["upgrade_forced"]
    assert codes(upgrading("3.6.16", "3.5.35", "3.5.35", force_restart=True)) == ["upgrade_forced"]
    assert codes(upgrading(manages_service=False)) == ["upgrade_without_service"]
