# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who a restored cluster is, and when it is not restored."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import restored
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

MEMBERS = [{"name": f"m{number}", "host": f"etcd-{number}"} for number in (1, 2, 3)]
LEFT = {"restored": False, "has_run": False, "running": False}
RESTORED = {"restored": True, "has_run": False, "running": False}
WENT_ON = {"restored": True, "has_run": True, "running": True}
RUNS = {"restored": False, "has_run": False, "running": True}


def why(plans: t.Mapping[str, t.Any], over_running: bool = False) -> str:
    return "; ".join(restored.why_not_restored("blue", MEMBERS, plans, over_running))


@pytest.mark.parametrize(
    "plans",
    [
        {"m1": LEFT, "m2": LEFT, "m3": LEFT},
        # Killed after one of them, and after all.
        {"m1": RESTORED, "m2": LEFT, "m3": LEFT},
        {"m1": RESTORED, "m2": RESTORED, "m3": RESTORED},
        # The same command once more, while it runs.
        {"m1": WENT_ON, "m2": WENT_ON, "m3": WENT_ON},
        {"m1": WENT_ON, "m2": RESTORED, "m3": WENT_ON},
    ],
)
def test_what_is_restored_or_finished(plans: t.Mapping[str, t.Any]) -> None:
    assert why(plans) == ""


def test_members_that_run_are_not_restored_over_unless_said() -> None:
    plans = {"m1": LEFT, "m2": RUNS, "m3": RUNS}
    text = why(plans)
    assert "members that run (m2, m3)" in text and "playbook backup" in text
    assert "etcd_peer_tls_restore_over_running: true" in text
    assert why(plans, over_running=True) == ""


@pytest.mark.parametrize("other", [LEFT, RUNS])
@pytest.mark.parametrize("over_running", [False, True])
def test_one_is_never_restored_into_a_cluster_that_has_gone_on(other: dict[str, bool], over_running: bool) -> None:
    text = why({"m1": WENT_ON, "m2": RESTORED, "m3": other}, over_running)
    assert "has run since (m1), and m3 has other data or none" in text
    assert "etcd_peer_tls_replaced: [m3]" in text and "etcd_peer_tls_restore_token" in text


def test_all_hosts_are_wanted_and_each_reason_is_told_once() -> None:
    damaged = {"failed": True, "msg": "/a.db is\ndamaged"}
    text = why({"m1": damaged, "m2": damaged, "m3": {"unreachable": True, "msg": "ssh: no"}}, over_running=True)
    assert text.startswith(
        "cluster blue is not restored: etcd-1, etcd-2: /a.db is damaged; cluster blue is not restored"
    )
    assert "without etcd-3 (left out by --limit or serial, or out of reach)" in text and "\n" not in text
    for nothing in (None, "nonsense", {"restored_not": True}):
        assert "without etcd-2" in why({"m1": LEFT, "m2": nothing, "m3": LEFT})
    assert "without etcd-2, etcd-3" in why({"m1": LEFT})


def test_ids_are_those_that_etcd_makes() -> None:
    # As etcdutl 3.5.16 made them, which test_real_restore compares for each version.
    urls = {"m1": "https://10.0.0.1:2380", "m2": "https://10.0.0.2:2380"}
    one, two = (restored.restored_identity("token", urls, name) for name in urls)
    assert one[1] == two[1] and one[0] != two[0]
    assert restored.restored_identity("token", dict(reversed(list(urls.items()))), "m1") == one
    assert restored.restored_identity("other", urls, "m1") != one
    assert restored.restored_identity("token", {**urls, "m2": "https://10.0.0.3:2380"}, "m1")[0] == one[0]


def test_a_token_is_the_snapshots_and_never_the_old_one() -> None:
    made = restored.token_of("blue", "ab" * 32, 0)
    assert made.startswith("blue-") and made == restored.token_of("blue", "ab" * 32, 0)
    assert len({made, restored.token_of("blue", "ac" * 32, 0), restored.token_of("blue", "ab" * 32, 5)}) == 3
    assert restored.checked_token("blue-2", "blue") == "blue-2"
    for token, words in (
        ("blue", "is the token of the cluster as it was"),
        ("a b", "letters, digits"),
        ("", "letters"),
    ):
        with pytest.raises(InputError, match=words):
            restored.checked_token(token, "blue")
