# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name on its host, with what the role has registered, and checks what that answers."""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._probe_options import (
    options_of_settings,
    options_of_strangers,
)


class ActionModule(CheckedAction):
    """What the module answers, as far as it is documented."""

    schema = schema_of("etcd_peer_probe", "etcd_peer_info")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        options = dict(self._task.args)
        of_settings = options.pop("settings_variable", None)
        of_strangers = options.pop("strangers_variable", None)
        if of_settings is not None:
            settings = _registered(task_vars, "settings_variable", of_settings, "members")
            options = {**options_of_settings(settings, plain(task_vars["ansible_play_batch"])), **options}
            if of_strangers is not None:
                # One host of the cluster has asked the CA's for all of them; what it did not get is told there.
                cluster = task_vars["hostvars"][settings["coordinator"]]
                strangers = plain(cluster.get(of_strangers) or {})
                calls = plain(options.get("call")) != "never"
                options = {**options_of_strangers(strangers, settings["member"]["name"], calls), **options}
        elif of_strangers is not None:
            raise InputError("strangers_variable: it goes with settings_variable, which says on which host: give both")
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=options, task_vars=task_vars)
        )


def _registered(task_vars: t.Mapping[str, t.Any], option: str, name: t.Any, key: str) -> dict[str, t.Any]:
    found = plain(task_vars.get(plain(name)))
    if not isinstance(found, dict) or key not in found:
        raise InputError(
            f"{option}: {plain(name)} has no result of ringfence.etcd.etcd_settings on this host: register it first"
        )
    return found


__all__ = ("ActionModule",)
