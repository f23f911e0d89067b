# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster of three as its hosts tell it, judged by the action as a task has it judged."""

from __future__ import annotations

import copy
import datetime
import typing as t
from unittest import mock

from ansible_collections.ringfence.etcd.plugins.action import etcd_cluster_check as action
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import allowed_common_names
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.whole_answers import whole_states

NOW, DAY = factory.NOW, factory.DAY
CA, OTHER_CA = factory.authority(), factory.authority(number=1)
MEMBERS = make_members(
    [{"name": f"etcd-{number}", "address": f"10.0.0.{number}"} for number in (1, 2, 3)],
    ClusterSettings(name="blue", domain="example.com"),
)
SETTINGS = {"cluster_name": "blue", "data_dir": "/var/lib/etcd/blue", "credentials_directory": "/etc/etcd/pki"}
ARCHIVE = "/srv/etcd-v3.5.35-linux-amd64.tar.gz"
States = dict[str, t.Any]


def state(number: int) -> dict[str, t.Any]:
    """What etcd_peer_probe says of a host that this role deployed, that runs and on which nothing is due."""
    member = MEMBERS[number - 1]
    wanted = rules.peer_profile(member.name, member.common_name, member.dns_names, member.ip_addresses, "ecdsa-p256")
    reported = {
        "allowed_common_names": allowed_common_names(MEMBERS),
        "initial_cluster": {one.name: one.peer_url for one in MEMBERS},
        "flags": {"initial-cluster-token": "blue"},
        "data_dir": "/var/lib/etcd/blue",
        "peer_urls": [member.peer_url],
        "client_urls": [member.client_url],
        "files": {"peer_trusted_ca_file": "/etc/etcd/pki/ca.crt", "trusted_ca_file": "/etc/etcd/pki/ca.crt"},
        "warnings": [],
    }
    certificate = {"state": "file", "pem": factory.member_pem(CA, wanted).decode()}
    authority = {"path": "/etc/etcd/pki/ca.crt", "state": "file", "pem": CA.pem.decode()}
    info = {
        "time": rules.iso_time(datetime.datetime.now(datetime.timezone.utc)),
        "etcd": {"binary": "/usr/bin/etcd", "found": True, "version": "3.5.16"},
        "credentials": {
            "ca": {**authority, "certificates": [{"fingerprint": certificates.fingerprint(CA.certificate)}]},
            "certificate": certificate,
            "private_key": {"state": "file", "matches_certificate": True},
        },
        "unit": {"managed": True, "settings": reported, "drop_ins": []},
        "process": {
            "running": True,
            "configuration_hash": "c" * 64,
            "settings": copy.deepcopy(reported),
            "version": "3.5.16",
        },
        "data": {
            "directory": "/var/lib/etcd/blue",
            "exists": True,
            "member_id": str(number),
            "cluster_id": "cc",
            "formed": True,
        },
        "other_etcd": None,
    }
    live = [
        {
            "member_id": str(place),
            "name": one.name,
            "peer_urls": [one.peer_url],
            "client_urls": [one.client_url],
            "is_learner": False,
        }
        for place, one in enumerate(MEMBERS, 1)
    ]
    return {
        "changed": False,
        "called": True,
        "probes": [],
        "live_members": live,
        "live_members_problem": None,
        "live_obstacle": None,
        "live_alarms": [],
        "pending": [],
        "unit_problem": None,
        "unit_overrides": [],
        "info": info,
    }


class Run(t.NamedTuple):
    result: dict[str, t.Any]
    warnings: list[str]


def run(states: States | None, task_vars: dict[str, t.Any] | None = None, **changes: t.Any) -> Run:
    """Run the action as a task does; None takes an argument away."""
    given: dict[str, t.Any] = {
        "cluster_name": "blue",
        "members": [member_as_dict(member) for member in MEMBERS],
        "states": whole_states(states),
        "settings": SETTINGS,
        "ca": {"certificate": CA.pem.decode(), "pending": []},
        **changes,
    }
    display = mock.Mock()
    warnings: list[str] = []
    display.warning.side_effect = warnings.append
    result = run_action(action.ActionModule, given, task_vars, display)
    assert result.get("changed", False) is False
    return Run(result, warnings)


def evaluated(states: States | None, **changes: t.Any) -> dict[str, t.Any]:
    result = run(states, **changes).result
    assert "failed" not in result, result
    return result


def line(states: States | None, **changes: t.Any) -> str:
    """The one line with which it fails. Not an exception, which some releases of ansible-core tell as a traceback."""
    result = run(states, **changes).result
    assert result["failed"] is True and not {"in_sync", "pending", "exception", "warnings"} & set(result)
    message: str = result["msg"]
    assert message and "\n" not in message and "Traceback" not in message
    return message


def codes(result: dict[str, t.Any]) -> list[str]:
    assert all(set(one) == {"code", "text"} and "\n" not in one["text"] for one in result["failures"])
    return [one["code"] for one in result["failures"]]


def pending(result: dict[str, t.Any]) -> list[tuple[str | None, str, str]]:
    return [(one["member"], one["part"], one["code"]) for one in result["pending"]]
