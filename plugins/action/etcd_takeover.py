# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the whole cluster on the controller, then runs the module of the same name on a member's host.

What is refused there is refused for all hosts, before any of them is touched.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._process_answers import (
    PROCESS_INFO,
    PROCESS_PROBE,
    addresses_of,
    hosts_of_play,
    registered_answers,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.plan import Takeover, takeover_of

_STATES = ("present", "absent")
_NOTHING: dict[str, t.Any] = {
    "changed": False,
    "pending": [],
    "restarted": False,
    "leads": False,
    "paths": [],
    "way_back": "",
    "client_files": {"ca_file": None, "cert_file": None, "key_file": None},
}


class ActionModule(CheckedAction):
    """What the module answers, as far as it is documented, and what the controller knows of the host."""

    schema = schema_of("etcd_takeover")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        options = plain(dict(self._task.args))
        variables = [options.pop(name, None) for name in ("states_variable", "calls_variable")]
        if not all(variables):
            if any(variables):
                raise InputError("states_variable and calls_variable belong together: give both")
            return self._module(options, task_vars)
        state = options.get("state", "present")
        if state not in _STATES:
            raise InputError(f"state is {state!r}: it is {' or '.join(_STATES)} (etcd_takeover_state)")
        refuse_old_cryptography()
        plan = takeover_of(*_run(task_vars, *map(str, variables)), is_back=state == "absent")
        host = str(plain(task_vars["inventory_hostname"]))
        if host not in plan.options:
            return {**_NOTHING, **_known(plan, host)}
        # A member is what its process says that it is: none of this can be said otherwise.
        return {**self._module({**options, **plan.options[host]}, task_vars), **_known(plan, host)}

    def _module(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=options, task_vars=task_vars)
        )


def _known(plan: Takeover, host: str) -> dict[str, t.Any]:
    return {
        "is_member": host in plan.options,
        "takes_snapshot": host == plan.asker,
        "members": [dict(member) for member in plan.members],
        "common_names": list(plan.names),
    }


def _run(task_vars: dict[str, t.Any], states_variable: str, calls_variable: str) -> tuple[Run, dict[str, str]]:
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


__all__ = ("ActionModule",)
