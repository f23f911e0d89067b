# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters for the tests of the guards: on bare hosts, deployed, and as they live with what their members tell."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight as guards
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import preflight_values
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings, allowed_common_names
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, der_of

CA_PRINT = "a" * 64
OTHER_PRINT = "b" * 64


def members(count: int = 3) -> list[Member]:
    entries = [{"name": f"etcd-{number}", "address": f"10.0.0.{number}"} for number in range(1, count + 1)]
    return make_members(entries, ClusterSettings(name="blue", domain="example.com"))


def bare() -> dict[str, t.Any]:
    """What etcd_peer_info says of a host that has an etcd binary and nothing else."""
    return {
        "etcd": {"binary": "/usr/bin/etcd", "found": True, "version": "3.5.16"},
        "credentials": {
            "ca": {"path": "/etc/etcd/pki/ca.crt", "state": "absent", "certificates": []},
            "certificate": {"state": "absent", "pem": None},
            "private_key": {"state": "absent", "matches_certificate": None},
        },
        "unit": {"managed": False, "settings": None, "drop_ins": []},
        "process": {"running": False, "configuration_hash": None, "settings": None},
        "data": {"directory": "/var/lib/etcd/blue", "exists": False, "member_id": None, "cluster_id": None},
        "other_etcd": None,
        "in_the_way": [],
    }


def deployed(number: int, everyone: t.Sequence[Member]) -> dict[str, t.Any]:
    """What it says of a host that this role deployed and that runs."""
    info = bare()
    reported = {
        "allowed_common_names": allowed_common_names(everyone),
        "initial_cluster": {member.name: member.peer_url for member in everyone},
        "flags": {"initial-cluster-token": "blue"},
        "data_dir": "/var/lib/etcd/blue",
        "peer_urls": [everyone[number - 1].peer_url],
        "client_urls": [everyone[number - 1].client_url],
        "files": {"peer_trusted_ca_file": "/etc/etcd/pki/ca.crt", "trusted_ca_file": "/etc/etcd/pki/ca.crt"},
        "warnings": [],
    }
    info["credentials"]["ca"].update(state="file", certificates=[{"fingerprint": CA_PRINT}])
    info["credentials"]["certificate"].update(state="file", pem="PEM", common_name=everyone[number - 1].common_name)
    info["credentials"]["private_key"].update(state="file", matches_certificate=True)
    info["unit"] = {"managed": True, "settings": copy.deepcopy(reported), "drop_ins": []}
    info["process"] = {
        "running": True,
        "configuration_hash": "c" * 64,
        "settings": copy.deepcopy(reported),
        "version": "3.5.16",
    }
    info["data"].update(exists=True, member_id=str(number), cluster_id="cc", formed=True)
    return info


def fingerprint(issued: Issued) -> str:
    return hashlib.sha256(der_of(issued.certificate)).hexdigest()


def question(**more: t.Any) -> preflight_values.PreflightQuestion:
    return preflight_values.PreflightQuestion(cluster_name="blue", **more)


def member_list(everyone: t.Sequence[Member]) -> list[dict[str, t.Any]]:
    """As a running member tells it."""
    return [
        {
            "member_id": str(number),
            "name": member.name,
            "peer_urls": [member.peer_url],
            "client_urls": [member.client_url],
            "is_learner": False,
        }
        for number, member in enumerate(everyone, 1)
    ]


def state(info: dict[str, t.Any], live: list[dict[str, t.Any]] | None) -> dict[str, t.Any]:
    """The result of etcd_peer_probe, as far as guards read it."""
    return {
        "info": info,
        "pending": [],
        "unit_problem": None,
        "unit_overrides": [],
        "live_members": live,
        "live_members_problem": None if live is not None else "connection refused",
        "live_obstacle": None,
        "live_alarms": None if live is None else [],
    }


def living(count: int = 3, **more: t.Any) -> preflight_values.Cluster:
    everyone = members(count)
    infos = {member.name: deployed(number, everyone) for number, member in enumerate(everyone, 1)}
    states = {name: state(info, member_list(everyone)) for name, info in infos.items()}
    return preflight_values.Cluster(everyone, infos, question(batch=list(infos), play=list(infos), **more), states)


def fresh(count: int = 3, **more: t.Any) -> preflight_values.Cluster:
    everyone = members(count)
    infos = {member.name: bare() for member in everyone}
    return preflight_values.Cluster(everyone, infos, question(batch=list(infos), play=list(infos), **more))


def codes(cluster: preflight_values.Cluster) -> list[str]:
    failures = guards.check_cluster(cluster)
    assert all("\n" not in failure.text and failure.text for failure in failures)
    return [failure.code for failure in failures]


def only_text(cluster: preflight_values.Cluster) -> str:
    (failure,) = guards.check_cluster(cluster)
    return failure.text


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


def pending_on(cluster: preflight_values.Cluster, *names: str, code: str = "unit_changed") -> preflight_values.Cluster:
    for name in names:
        reported(cluster, name)["pending"] = [{"part": "service", "code": code, "text": code}]
    return cluster
