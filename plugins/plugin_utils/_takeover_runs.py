# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the actions share that change somebody else's cluster: what its hosts have registered, and what is known of one.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._process_answers import (
    PROCESS_INFO,
    PROCESS_PROBE,
    addresses_of,
    hosts_of_play,
    registered_answers,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.plan import Takeover

NOTHING: dict[str, t.Any] = {
    "changed": False,
    "pending": [],
    "restarted": False,
    "leads": False,
    "paths": [],
    "way_back": "",
    "client_files": {"ca_file": None, "cert_file": None, "key_file": None},
}


def known_of(plan: Takeover, host: str) -> dict[str, t.Any]:
    """What the controller itself says of a host and its cluster."""
    return {
        "is_member": host in plan.options,
        "takes_snapshot": host == plan.asker,
        "members": [dict(member) for member in plan.members],
        "common_names": list(plan.names),
    }


def run_of(task_vars: t.Mapping[str, t.Any], states_variable: str, calls_variable: str) -> tuple[Run, dict[str, str]]:
    """What all hosts have told and met, and where they are by the inventory."""
    hosts = hosts_of_play(task_vars)
    states = registered_answers(task_vars, states_variable, PROCESS_INFO)
    calls = registered_answers(task_vars, calls_variable, PROCESS_PROBE)
    claims = claims_of(states.answers)
    addresses = addresses_of(task_vars, hosts)
    run = Run(
        hosts=tuple(hosts),
        claims=tuple(claims),
        ports=tuple(peer_ports(claims, addresses)),
        answers=states.answers,
        calls={host: answer for host, answer in calls.answers.items() if host in states.answers},
        absent={**calls.absent, **states.absent},
    )
    return run, addresses


__all__ = ("NOTHING", "known_of", "run_of")
