# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notes what a run costs (always) and what it does on its hosts (where events are asked for).

By environment: ``RINGFENCE_BENCH_NOTES``, a file for the notes, and ``RINGFENCE_BENCH_EVENTS``, a file to which each
fork appends a line for each module, each call of a connection and its own memory. A timed run has the first alone: it
costs two calls of the kernel a task.

Counted is where things happen, not where they are reported: a ``copy`` is one result and two modules, or more. All goes
through two narrow places, ``ActionBase._execute_module`` and the ssh connection's ``exec_command``, ``put_file`` and
``fetch_file``; they are wrapped before the first fork, and forks inherit them.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import time
import typing as t

from ansible.executor.task_executor import TaskExecutor
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase
from ansible.plugins.connection import ssh

DOCUMENTATION = """
name: ringfence_bench
type: notification
short_description: Notes what a run costs and does
description:
  - For the bench of C(ringfence.etcd) alone.
requirements:
  - E(RINGFENCE_BENCH_NOTES)
options: {}
"""

# A fork works at one task of one host.
_host = ""


def _cpu_seconds() -> float:
    """Of this process and of all that it waited for."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _private_kib() -> int:
    """The memory that this process shares with nobody."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as stream:
        return sum(int(line.split()[1]) for line in stream if line.startswith("Private_"))


def _note(path: str, kind: str, **more: t.Any) -> None:
    line = json.dumps({"kind": kind, "host": _host, **more}) + "\n"
    # One write, at the end whoever else writes.
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def _size(data: t.Any) -> int:
    return len(data.encode() if isinstance(data, str) else data or b"")


def _wrap(owner: t.Any, name: str, before: t.Callable[..., None], after: t.Callable[[], None] = lambda: None) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(self: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        before(self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        finally:
            after()

    setattr(owner, name, wrapped)


def _count(path: str) -> None:
    """Put the counters in."""

    def begin(executor: t.Any) -> None:
        global _host
        _host = executor._host.name

    def module(action: t.Any, module_name: t.Any = None, *_args: t.Any, **_kwargs: t.Any) -> None:
        transport = action._connection.transport
        _note(path, "module", name=module_name or action._task.action, transport=transport)

    def command(_connection: t.Any, cmd: t.Any, in_data: t.Any = None, *_args: t.Any, **_kwargs: t.Any) -> None:
        _note(path, "round_trip", bytes=_size(cmd) + _size(in_data))

    def put(_connection: t.Any, in_path: t.Any, *_args: t.Any, **_kwargs: t.Any) -> None:
        _note(path, "round_trip", bytes=os.path.getsize(in_path))

    def fetch(_connection: t.Any, in_path: t.Any, *_args: t.Any, **_kwargs: t.Any) -> None:
        _note(path, "round_trip", bytes=_size(in_path))

    _wrap(ActionBase, "_execute_module", module)
    _wrap(ssh.Connection, "exec_command", command)
    _wrap(ssh.Connection, "put_file", put)
    _wrap(ssh.Connection, "fetch_file", fetch)
    _wrap(TaskExecutor, "run", begin, lambda: _note(path, "fork", private_kib=_private_kib()))


class CallbackModule(CallbackBase):
    """The notes of one run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "ringfence_bench"

    def __init__(self) -> None:
        super().__init__()
        self._path = os.environ.get("RINGFENCE_BENCH_NOTES", "")
        self._steps: list[tuple[str, float, float]] = []
        events = os.environ.get("RINGFENCE_BENCH_EVENTS")
        if events:
            _count(events)

    def _begin(self, name: str) -> None:
        self._steps.append((name, time.monotonic(), _cpu_seconds()))

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """A task begins, and with it the one before has ended on all hosts (strategy linear)."""
        self._begin(task.get_name())

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        """A handler begins."""
        self._begin(task.get_name())

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """The run is over."""
        self._begin("")
        hosts = {str(host): dict(stats.summarize(host)) for host in stats.processed}
        steps = [
            {"name": name, "wall_seconds": later[1] - start, "cpu_seconds": later[2] - used}
            for (name, start, used), later in zip(self._steps, self._steps[1:])
        ]
        notes = {
            "hosts": hosts,
            "steps": steps,
            "main_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        if self._path:
            with open(self._path, "w", encoding="utf-8") as stream:
                json.dump(notes, stream)
