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
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import registered_value


class ActionModule(CheckedAction):
    """What the module answers, as far as it is documented."""

    schema = schema_of("etcd_peer_probe", "etcd_peer_info")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        options = dict(self._task.args)
        of_settings = options.pop("settings_variable", None)
        of_strangers = options.pop("strangers_variable", None)
        if of_settings is not None:
            settings = registered_value(task_vars, plain(of_settings))
            if "members" not in settings:
                raise InputError(
                    f"settings_variable: {plain(of_settings)} has no result of ringfence.etcd.etcd_settings on this "
                    "host: register it first"
                )
            options = {**options_of_settings(settings, plain(task_vars["ansible_play_batch"])), **options}
            if of_strangers is not None:
                # One host of the cluster has asked the CA's for all of them; what it did not get is told there.
                strangers = registered_value(task_vars, plain(of_strangers), settings["coordinator"])
                calls = plain(options.get("call")) != "never"
                options = {**options_of_strangers(strangers, settings["member"]["name"], calls), **options}
        elif of_strangers is not None:
            raise InputError("strangers_variable: it goes with settings_variable, which says on which host: give both")
        return self._checked(
            self.schema, task_vars, lambda: self._execute_module(module_args=options, task_vars=task_vars)
        )


__all__ = ("ActionModule",)
