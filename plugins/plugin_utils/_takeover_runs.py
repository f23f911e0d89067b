# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the actions share that change somebody else's cluster: which way they go, and what its hosts have registered.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._process_answers import (
    PROCESS_INFO,
    PROCESS_PROBE,
    addresses_of,
    hosts_of_play,
    registered_answers,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.plan import Takeover
from ansible_collections.ringfence.etcd.plugins.plugin_utils._user_variables import UserVariables

PRESENT, ABSENT = "present", "absent"
NOTHING: dict[str, t.Any] = {
    "changed": False,
    "pending": [],
    "restarted": False,
    "leads": False,
    "paths": [],
    "way_back": "",
    "client_files": {"ca_file": None, "cert_file": None, "key_file": None},
}


def is_way_back(
    options: t.Mapping[str, t.Any], variable: str, task: t.Any, templar: t.Any, task_vars: t.Mapping[str, t.Any]
) -> bool:
    """Whether the run takes away what another one has made; InputError where it is not the run that says so.

    ``variable``: the one that the playbook has the state from. In the inventory every run to come would say it again.
    """
    state = options.get("state", PRESENT)
    if state not in (PRESENT, ABSENT):
        raise InputError(f"state is {state!r}: it is {PRESENT} or {ABSENT} ({variable})")
    if state != ABSENT:
        return False
    host = str(plain(task_vars["inventory_hostname"]))
    standing = UserVariables(task, task_vars).standing(host)
    if variable in standing and plain(templar.template(standing[variable])) == ABSENT:
        raise InputError(
            f"{host}: {variable}: {ABSENT} stands in the inventory, and every run to come would do it again: take it "
            f"out of there, and give it to the one run that is to do it, with -e {variable}={ABSENT}",
            host=host,
        )
    return True


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


__all__ = ("NOTHING", "is_way_back", "known_of", "run_of")
