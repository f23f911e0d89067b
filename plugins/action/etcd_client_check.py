# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller only: reads what the hosts have registered, as it is."""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction, refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_plan import (
    ClientQuestion,
    left_without,
    plan_clients,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import registered_states

_ARGUMENTS: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict", "default": []},
    "places": {"type": "dict", "default": {}},
    "clients": {"type": "list", "elements": "dict", "required": True},
    "members_variable": {"type": "str"},
    "clients_variable": {"type": "str", "required": True},
    "loop_variable": {"type": "str", "default": "item"},
    "ca_variable": {"type": "str"},
    "done_variable": {"type": "str"},
    "ca_is_lost": {"type": "str", "default": ""},
    "revoked": {"type": "list", "elements": "str", "default": []},
    "new_keys": {"type": "bool", "default": False, "no_log": False},
}


class ActionModule(OneLineAction):
    """Tell what the clients' CA is asked for, and in the end who has none; fail where that would lock somebody out."""

    _requires_connection = False

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(
            _ARGUMENTS,
            required_one_of=[("ca_variable", "done_variable")],
            mutually_exclusive=[("ca_variable", "done_variable")],
            required_together=[("ca_variable", "members_variable")],
        )
        refuse_old_cryptography()
        own = task_vars["hostvars"].raw_get(plain(task_vars["inventory_hostname"]))
        of_clients = _by_id(plain(own.get(given["clients_variable"])), given["loop_variable"])
        if given["done_variable"] is not None:
            done = _by_id(plain(own.get(given["done_variable"])), given["loop_variable"])
            lines = left_without(given["clients"], of_clients, done)
            if lines:
                raise RefusedError(f"{'; '.join(lines)}: what these have was left as it is; mend it, and run again")
            return {"changed": False}
        plan = plan_clients(
            ClientQuestion(
                given["members"],
                given["clients"],
                registered_states(task_vars, given["members"], given["members_variable"]),
                of_clients,
                _mapping(plain(own.get(given["ca_variable"]))),
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


def _mapping(found: t.Any) -> dict[str, t.Any]:
    return found if isinstance(found, dict) else {}


def _by_id(found: t.Any, loop_variable: str) -> dict[str, t.Any]:
    """The results of a loop over clients, by whom each is about, which the controller has written."""
    results = _mapping(found).get("results")
    answers = [_mapping(one) for one in results] if isinstance(results, list) else []
    return {str(_mapping(one.get(loop_variable)).get("id")): one for one in answers}


__all__ = ("ActionModule",)
