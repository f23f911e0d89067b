# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller only: no host is asked for anything."""

from __future__ import annotations

import datetime
import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_report_path
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.document import Question, documents
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.findings import Limits
from ansible_collections.ringfence.etcd.plugins.plugin_utils._process_answers import (
    PROCESS_INFO,
    PROCESS_PROBE,
    addresses_of,
    hosts_of_play,
    registered_answers,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import WITHOUT
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.table import proof_table
from ansible_collections.ringfence.etcd.plugins.plugin_utils._report_actions import Report, ReportingAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._reports import as_json, as_metrics

_ARGUMENTS: dict[str, t.Any] = {
    "states_variable": {"type": "str", "required": True},
    "calls_variable": {"type": "str", "required": True},
    "cluster_name": {"type": "str", "default": "etcd"},
    "without": {"type": "list", "elements": "str", "choices": list(WITHOUT), "default": []},
    "warn_days": {"type": "int", "default": 14},
    "fail_days": {"type": "int", "default": 0},
    "html_path": {"type": "str"},
    "json_path": {"type": "str"},
    "metrics_path": {"type": "str"},
    "reports_on_host": {"type": "bool", "default": False},
    "show": {"type": "bool", "default": True},
}


class ActionModule(ReportingAction):
    """Judge what the hosts have told and met, show it, write it down."""

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        given = self._given(_ARGUMENTS)
        for option, ending in (("html_path", ""), ("json_path", ""), ("metrics_path", ".prom")):
            if given[option]:
                checked_report_path(given[option], option, ending, given["reports_on_host"])
        if not given["cluster_name"]:
            raise InputError("cluster_name is empty: give the cluster's name, or leave it out")
        refuse_old_cryptography()
        audits = _judged(given, task_vars)
        tables = [proof_table(audit) for audit in audits]
        if given["show"]:
            for line in _joined(tables):
                self._display.display(line)
        self._write_reports(_reports(given, audits), given["reports_on_host"], task_vars)
        return {
            "changed": False,
            "audits": audits,
            "passed": all(audit["passed"] for audit in audits),
            "failing": [
                f"{audit['cluster']}: {finding['subject']}: {finding['text']}"
                for audit in audits
                for finding in audit["findings"]
                if finding["fails"]
            ],
            "table": _joined(tables),
            "_ansible_verbose_override": True,
        }


def _joined(tables: t.Sequence[t.Sequence[str]]) -> list[str]:
    return [line for number, table in enumerate(tables) for line in ([""] if number else []) + list(table)]


def _judged(given: t.Mapping[str, t.Any], task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    hosts = hosts_of_play(task_vars)
    states = registered_answers(task_vars, given["states_variable"], PROCESS_INFO)
    calls = registered_answers(task_vars, given["calls_variable"], PROCESS_PROBE)
    claims = claims_of(states.answers)
    run = Run(
        hosts=tuple(hosts),
        claims=tuple(claims),
        ports=tuple(peer_ports(claims, addresses_of(task_vars, hosts))),
        answers=states.answers,
        calls={host: answer for host, answer in calls.answers.items() if host in states.answers},
        absent={**calls.absent, **states.absent},
    )
    question = Question(
        cluster_name=given["cluster_name"],
        limits=Limits(
            datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0), given["warn_days"], given["fail_days"]
        ),
        without=given["without"],
        away=states.away | calls.away,
    )
    return documents(run, question)


def _reports(given: t.Mapping[str, t.Any], audits: t.Sequence[dict[str, t.Any]]) -> t.Iterator[Report]:
    """A page and a document for each cluster, one file of metrics for all."""
    renderers: dict[str, t.Callable[[dict[str, t.Any]], str]] = {"html_path": proof_page, "json_path": as_json}
    for option, render in renderers.items():
        for number, audit in enumerate(audits, 1):
            if given[option]:
                stem, ending = os.path.splitext(given[option])
                path = given[option] if len(audits) == 1 else f"{stem}-{number}{ending}"
                yield Report(option, path, render(audit))
    if given["metrics_path"]:
        yield Report("metrics_path", given["metrics_path"], as_metrics(*audits))


__all__ = ("ActionModule",)
