# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run could not end, or would end at another cluster's cost, is refused before it begins."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_going_on import refuse_key_custody
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._cluster.preflight_cluster import (
    codes,
    fresh,
    living,
    only_text,
)

UNIT_CHANGED = [{"part": "service", "code": "unit_changed", "text": "x"}]


def state_of(cluster: preflight_values.Cluster, name: str) -> t.Any:
    return cluster.states[name]


def without(cluster: preflight_values.Cluster, *names: str, limited: bool = False) -> preflight_values.Cluster:
    """Members of which there is no look: failed or unreachable, or left out by --limit."""
    infos = {name: info for name, info in cluster.infos.items() if name not in names}
    states = {name: state for name, state in cluster.states.items() if name not in names}
    play = [name for name in cluster.question.play if not limited or name not in names]
    question = dataclasses.replace(cluster.question, batch=list(infos), play=play)
    return dataclasses.replace(cluster, infos=infos, states=states, question=question)


def test_no_unit_is_written_for_a_restart_that_waits_for_a_host_that_is_gone() -> None:
    cluster = without(living(), "etcd-3")
    assert codes(cluster) == []
    state_of(cluster, "etcd-1")["pending"] = UNIT_CHANGED
    state_of(cluster, "etcd-2")["pending"] = [{"part": "credentials", "code": "content", "text": "renewed"}]
    assert codes(cluster) == ["hosts_missing"]
    text = only_text(cluster)
    assert "a restart is due on etcd-1, and etcd-3 can't be seen in this run" in text and "--limit" in text


def test_a_host_that_the_user_left_out_is_the_users_word() -> None:
    cluster = without(living(), "etcd-3", limited=True)
    state_of(cluster, "etcd-1")["pending"] = UNIT_CHANGED
    assert codes(cluster) == []


# Keys that nodes make ---------------------------------------------------------------------------------------------


def test_nodes_that_make_their_keys_have_what_that_takes() -> None:
    """Where a new key is due; what keeps its key needs nothing."""
    cluster = living()
    for name, maker in (("etcd-1", "openssl"), ("etcd-2", None), ("etcd-3", "cryptography")):
        t.cast(t.Any, cluster.infos[name])["key_maker"] = maker
    on_nodes, of_ca = dict.fromkeys(cluster.infos, "node"), dict.fromkeys(cluster.infos, "ca")
    (found,) = refuse_key_custody(cluster, on_nodes, set(cluster.infos))
    assert found.code == "key_maker" and "etcd_peer_tls_key_custody: ca" in found.text
    assert found.text.startswith(
        "member etcd-2: a new private key is due, and nothing there makes one (no openssl, and"
    )
    for custody, due in ((on_nodes, {"etcd-1", "etcd-3"}), (of_ca, set(cluster.infos)), ({}, set(cluster.infos))):
        assert list(refuse_key_custody(cluster, custody, due)) == []


def test_who_makes_the_keys_is_said_for_all_members() -> None:
    (found,) = refuse_key_custody(living(), {"etcd-1": "node", "etcd-2": "ca"}, ())
    assert found.code == "key_custody" and "one for all members, and it is etcd-1 node, etcd-2 ca: set" in found.text


# Two clusters on one host ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ({"unit": "shop.service", "pid": None, "cluster": "shop"}, "shop.service, cluster shop, has its certificates"),
        ({"unit": None, "pid": 77, "cluster": None}, "process 77, an etcd that is not of this cluster, has"),
    ],
)
def test_another_clusters_certificates_are_in_the_folder(one: dict[str, t.Any], said: str) -> None:
    cluster = fresh()
    cluster.infos["etcd-2"]["folder_users"] = [one]  # type: ignore[index]
    assert codes(cluster) == ["folder_shared"]
    assert said in only_text(cluster) and "(/etc/etcd/pki)" in only_text(cluster)


def test_a_second_member_of_the_same_cluster_may_share_it() -> None:
    cluster = fresh()
    cluster.infos["etcd-2"]["folder_users"] = [{"unit": "b.service", "pid": 1, "cluster": "blue"}]  # type: ignore[index]
    assert codes(cluster) == []


def test_two_hosts_of_one_run_that_are_one_machine() -> None:
    cluster = fresh()
    for number, name in enumerate(cluster.infos):
        cluster.infos[name]["folder"] = str(number)  # type: ignore[index]
    others = {"shop-1": ("shop", "1"), "shop-2": ("shop", "7")}
    shared = dataclasses.replace(cluster, question=dataclasses.replace(cluster.question, folders_of_others=others))
    assert codes(shared) == ["folder_shared"]
    assert "member etcd-2: shop-1 of cluster shop is to have its certificates" in only_text(shared)
    # What can't be told is not the same.
    for name in cluster.infos:
        cluster.infos[name]["folder"] = None  # type: ignore[index]
    assert codes(shared) == []


# Units that are in the way --------------------------------------------------------------------------------------------


def test_a_masked_unit_is_told_once_and_before_anything_is_installed() -> None:
    cluster = living(install="package")
    for name in ("etcd-1", "etcd-2"):
        cluster.infos[name]["unit"]["obstacle"] = "etcd.service is masked: systemctl unmask etcd.service"
        state_of(cluster, name)["unit_problem"] = "/etc/systemd/system/etcd.service is not a regular file"
    cluster.infos["etcd-1"]["etcd"].update(found=False, version=None)  # type: ignore[index]
    assert codes(cluster) == ["unit_in_the_way"]
    assert only_text(cluster) == "member etcd-1, etcd-2: etcd.service is masked: systemctl unmask etcd.service"
