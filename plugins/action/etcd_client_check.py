# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller only: reads what the hosts have registered, as it is."""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction, refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_plan import ClientQuestion, plan_clients
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import (
    registered_states,
    registered_value,
    states_by_id,
)

_ARGUMENTS: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict", "required": True},
    "places": {"type": "dict", "default": {}},
    "clients": {"type": "list", "elements": "dict", "required": True},
    "members_variable": {"type": "str", "required": True},
    "clients_variable": {"type": "str", "required": True},
    "loop_variable": {"type": "str", "default": "item"},
    "ca_variable": {"type": "str", "required": True},
    "ca_is_lost": {"type": "str", "default": ""},
    "revoked": {"type": "list", "elements": "str", "default": []},
    "new_keys": {"type": "bool", "default": False, "no_log": False},
}


class ActionModule(OneLineAction):
    """Tell what the clients' CA is asked for; fail where that would lock somebody out."""

    _requires_connection = False

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(_ARGUMENTS)
        refuse_old_cryptography()
        plan = plan_clients(
            ClientQuestion(
                given["members"],
                given["clients"],
                registered_states(task_vars, given["members"], given["members_variable"]),
                states_by_id(task_vars, given["clients_variable"], given["loop_variable"]),
                registered_value(task_vars, given["ca_variable"]),
                given["ca_is_lost"],
                bool(given["revoked"]),
                given["new_keys"],
                given["places"],
            )
        )
        return {
            "changed": False,
            "requests": list(plan.requests),
            "trusted_fingerprints": list(plan.trusted_fingerprints),
            "no_new_ca_because": plan.no_new_ca_because,
            "revoke": list(plan.revoke),
            "unseen": list(plan.unseen),
            "moving": list(plan.moving),
        }


__all__ = ("ActionModule",)
