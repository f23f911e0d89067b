# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the whole cluster on the controller by the operator's variables, then runs the module on a member's host.

What is refused there is refused for all hosts, before any of them is touched.
"""

from __future__ import annotations

import functools
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import one_line
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_from, plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._process_answers import hosts_of_play
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.adopt import (
    Authority,
    WantedUnit,
    adoption_of,
    told_variables,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover_runs import (
    NOTHING,
    is_way_back,
    known_of,
    run_of,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_text import unit_text

_VARIABLES = ("states_variable", "calls_variable", "settings_variable", "ca_variable")


class ActionModule(CheckedAction):
    """What the module answers, as far as it is documented, and what the controller knows of the host."""

    schema = schema_of("etcd_adopt")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        options = plain(dict(self._task.args))
        tell = options.pop("tell", False)
        variables = [options.pop(name, None) for name in _VARIABLES]
        if not all(variables):
            if any(variables):
                raise InputError(f"{', '.join(_VARIABLES)} belong together: give all of them")
            return self._module(options, task_vars)
        states, calls, settings, authority = map(str, variables)
        is_back = is_way_back(options, "etcd_adopt_state", self._task, self._templar, task_vars)
        refuse_old_cryptography()
        run, addresses = run_of(task_vars, states, calls)
        if tell:
            return {"changed": False, "variables": told_variables(run, is_back)}
        found = _settings(task_vars, settings)
        units = {host: _unit(one) for host, one in found.items()}
        keeps_certificates = _said(options.get("keep_certificates"))
        plan = adoption_of(run, addresses, units, _authority(task_vars, authority, found), is_back, keeps_certificates)
        host = str(plain(task_vars["inventory_hostname"]))
        if host not in plan.options:
            return {**NOTHING, **known_of(plan, host)}
        # What is wanted of a member is worked out here: none of this can be said otherwise.
        return {**self._module({**options, **plan.options[host]}, task_vars), **known_of(plan, host)}

    def _module(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=options, task_vars=task_vars)
        )


def _said(value: t.Any) -> bool:
    try:
        return value not in (None, "") and bool(boolean(value))
    except TypeError:
        raise InputError(f"etcd_adopt_keep_certificates is {value!r}: it is true or false") from None


def _settings(task_vars: t.Mapping[str, t.Any], variable: str) -> dict[str, dict[str, t.Any]]:
    """By host what ``etcd_settings`` made of the operator's variables, which no host has a part in."""
    found = {}
    for host in hosts_of_play(task_vars):
        made = plain(task_vars["hostvars"].raw_get(host).get(variable))
        if isinstance(made, dict) and made.get("unit_text"):
            found[host] = made
    return found


def _unit(settings: t.Mapping[str, t.Any]) -> WantedUnit:
    """Without the CA's revocation list, which no host has yet: the deployment's next run brings it."""
    members = [member_from(member) for member in settings["members"]]
    render = functools.partial(unit_text, settings, members, member_from(settings["member"]), has_revocation_list=False)
    return WantedUnit(
        text=render(),
        http_text=render(has_tls_of_peers=False),
        text_with=lambda names: render(peer_names=names),
        unit=settings["unit"],
        unit_directory=settings["unit_directory"],
        directory=settings["directory"],
        owner=settings["owner"],
        owner_group=settings["owner_group"],
        manages_service=settings["manage_service"],
    )


def _authority(
    task_vars: t.Mapping[str, t.Any], variable: str, settings: t.Mapping[str, t.Mapping[str, t.Any]]
) -> Authority:
    """The CA by what its own host told, asked by the host that asks for all."""
    asker = next((str(one["coordinator"]) for one in settings.values()), "")
    told = plain(task_vars["hostvars"].raw_get(asker).get(variable)) if asker else None
    told = told if isinstance(told, dict) else {}
    given = settings[asker]["ca_certificate"] if asker in settings else ""
    kept = told.get("ca")
    pem = given or (kept.get("certificate") if isinstance(kept, dict) else "") or ""
    problem = told.get("problem") if "problem" in told and not told.get("failed") else told.get("msg") or "no answer"
    return Authority(pem if isinstance(pem, str) else "", None if problem is None else one_line(str(problem)))


__all__ = ("ActionModule",)
