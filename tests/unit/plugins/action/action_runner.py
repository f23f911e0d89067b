# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs an action plugin as a task does."""

from __future__ import annotations

import typing as t
from unittest import mock


def run_action(
    plugin_class: t.Any,
    arguments: t.Mapping[str, t.Any],
    task_vars: dict[str, t.Any] | None = None,
    display: mock.Mock | None = None,
    transport: str = "local",
    **task: t.Any,
) -> dict[str, t.Any]:
    """The action's result. An argument of None is not given; ``task``: the task's keywords, such as ``no_log``.

    No action of this collection uses a connection by itself: that is the modules' to do.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    keywords = {"async_val": 0, "check_mode": False, "environment": None, "delegate_to": None, **task}
    connection = mock.Mock(transport=transport, become=mock.Mock() if keywords.get("become") else None)
    connection._shell.tmpdir = None
    plugin = plugin_class(
        task=mock.Mock(args=given, **keywords),
        connection=connection,
        play_context=mock.Mock(check_mode=keywords["check_mode"]),
        loader=mock.Mock(),
        templar=mock.Mock(),
        shared_loader_obj=mock.Mock(),
    )
    plugin._load_name = plugin_class.__module__.rsplit(".", 1)[-1]
    plugin._display = display or mock.Mock()
    result: dict[str, t.Any] = plugin.run(None, task_vars or {})
    assert not connection.method_calls
    return result
