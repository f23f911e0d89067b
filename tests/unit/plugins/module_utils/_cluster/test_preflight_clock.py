# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host whose clock is wrong is refused, in either direction, before anything is changed."""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight as guards
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time

HERE = datetime(2026, 11, 24, 9, 0, 0, 999999, tzinfo=timezone.utc)
MEMBERS = make_members(
    [{"name": f"etcd-{number}", "address": f"10.0.0.{number}"} for number in (1, 2, 3)], ClusterSettings(name="blue")
)


def cluster(here: datetime | None = HERE, **times: str | None) -> preflight_values.Cluster:
    infos: dict[str, t.Any] = {}
    for member in MEMBERS:
        time = times.get(member.name.replace("-", "_"), iso_time(HERE))
        infos[member.name] = {"etcd": {"found": True, "version": "3.5.16"}, "time": time}
    return preflight_values.Cluster(MEMBERS, infos, preflight_values.PreflightQuestion("blue", time=here))


def refused(found: preflight_values.Cluster) -> list[str]:
    failures = guards.check_cluster(found)
    assert {failure.code for failure in failures} <= {"clock"}
    assert failures == list(guards.refuse_wrong_clock(found))
    return [failure.text for failure in failures]


@pytest.mark.parametrize(
    ("seconds", "is_refused"),
    [
        (0, False),
        (60, False),
        (-60, False),
        (30 * 60, False),
        (-29 * 60, False),
        (30 * 60 + 1, True),
        (-30 * 60, True),
        (86400 * 400, True),
        (-86400 * 400, True),
    ],
)
def test_how_far_a_clock_may_be(seconds: int, is_refused: bool) -> None:
    """The module cuts the part of a second off, which makes a host that lags a little later."""
    there = iso_time(HERE + timedelta(seconds=seconds))
    texts = refused(cluster(etcd_2=there))
    assert bool(texts) is is_refused
    for text in texts:
        assert text.startswith(f"member etcd-2: its clock says {there}, the controller's 2026-11-24T09:00:00Z: ")
        assert "NTP" in text and "\n" not in text


def test_each_host_is_told_of() -> None:
    texts = refused(cluster(etcd_1="2026-11-24T12:00:00Z", etcd_3="2016-11-24T09:00:00Z"))
    assert [text.split(":")[0] for text in texts] == ["member etcd-1", "member etcd-3"]


def test_without_a_time_nothing_is_compared() -> None:
    assert refused(cluster(here=None, etcd_1="2016-11-24T09:00:00Z")) == []
    assert refused(cluster(etcd_1=None, etcd_2="")) == []
    found = cluster()
    for info in found.infos.values():
        del info["time"]  # type: ignore[attr-defined]
    assert refused(found) == []
    # One that says none keeps no other from being looked at.
    assert len(refused(cluster(etcd_1=None, etcd_2="2016-11-24T09:00:00Z"))) == 1


def test_the_controllers_time_zone_does_not_matter() -> None:
    for zone in (timezone(timedelta(hours=9)), timezone(timedelta(hours=-5))):
        assert refused(cluster(here=HERE.astimezone(zone))) == []
        (text,) = refused(cluster(here=HERE.astimezone(zone), etcd_1="2026-11-24T18:00:00Z"))
        assert "the controller's 2026-11-24T09:00:00Z" in text
