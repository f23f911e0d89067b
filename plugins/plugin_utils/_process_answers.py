# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts of an audit have registered, checked: one host's answer never decides about another.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import (
    ADVICE,
    AnswerError,
    Schema,
    checked_answer,
    one_line,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import schema_of

PROCESS_INFO = schema_of("etcd_process_info", "etcd_peer_info")
PROCESS_PROBE = schema_of("etcd_process_probe")
# What the module tells at most of one host: all processes are held against each other.
_PROCESSES = 16


@dataclass(frozen=True)
class HostAnswers:
    """By host what it answered, else why not. ``away``: those of the others that were not reached."""

    answers: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)


def hosts_of_play(task_vars: t.Mapping[str, t.Any]) -> list[str]:
    """All hosts that the play is for, those that have failed meanwhile as well."""
    return [str(host) for host in plain(task_vars.get("ansible_play_hosts_all", ()))]


def registered_answers(task_vars: t.Mapping[str, t.Any], variable: str, schema: Schema) -> HostAnswers:
    """What each host of the play has registered under a name, as far as the module documents it."""
    found = HostAnswers()
    hostvars = task_vars["hostvars"]
    for host in hosts_of_play(task_vars):
        try:
            registered = plain(hostvars.raw_get(host).get(variable))
            found.answers[host] = _checked(registered, schema)
        except AnswerError as exc:
            found.absent[host] = str(exc)
            if not isinstance(registered, dict) or registered.get("unreachable") is True:
                found.away.add(host)
        except RecursionError:
            found.absent[host] = "what it answered is too deep to be read"
    return found


def _checked(registered: t.Any, schema: Schema) -> dict[str, t.Any]:
    if not isinstance(registered, dict):
        raise AnswerError("it did not answer")
    lacking = [name for name, kind in schema.fields.items() if kind.is_required and name not in registered]
    if registered.get("failed") or registered.get("unreachable") or lacking:
        raise AnswerError(one_line(registered.get("msg") or registered.get("skip_reason")) or "it did not answer")
    try:
        found = checked_answer(schema, registered)
        if len(found.get("processes", ())) > _PROCESSES:
            raise AnswerError(f"has {len(found['processes'])} processes, at most {_PROCESSES} are wanted")
        return found
    except AnswerError as exc:
        raise AnswerError(f"the answer of {schema.module} {exc}: {ADVICE}") from exc


def addresses_of(task_vars: t.Mapping[str, t.Any], hosts: t.Iterable[str]) -> dict[str, str]:
    """By host, where Ansible reaches it by the inventory: a plain text, or nothing."""
    found = {}
    for host in hosts:
        address = plain(task_vars["hostvars"].raw_get(host).get("ansible_host"))
        if isinstance(address, str) and "{" not in address:
            found[host] = address
    return found


__all__ = ("PROCESS_INFO", "PROCESS_PROBE", "HostAnswers", "addresses_of", "hosts_of_play", "registered_answers")
