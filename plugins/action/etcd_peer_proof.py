# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs on the controller only: no host is asked for anything."""

from __future__ import annotations

import datetime
import hashlib
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import CLIENT_AUTHORITIES, CLIENT_CASES
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_ders
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import AnswerError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_from, plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.client_ports import ClientPorts
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.evaluate import ProofQuestion, Thresholds, evaluate
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import (
    WITHOUT,
    why_no_client,
    why_no_stranger,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.table import proof_table
from ansible_collections.ringfence.etcd.plugins.plugin_utils._report_actions import Report, ReportingAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._reports import as_json, as_metrics
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import checked_state, registered_states, unusable

# The name among a run's statistics. AWX gives these to later jobs of a workflow as variables: not with our prefix,
# under which a name that is no option is refused.
_ARTIFACTS = "ringfence_etcd_proof"

_ARGUMENTS: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict", "required": True},
    "states": {"type": "dict"},
    "states_variable": {"type": "str"},
    "cluster_name": {"type": "str", "required": True},
    "identity": {"type": "str", "choices": ["list", "shared"], "default": "list"},
    "ca_certificate_content": {"type": "str"},
    "removed": {"type": "list", "elements": "str", "default": []},
    "slice_of": {"type": "str", "default": ""},
    "stranger": {"type": "dict"},
    "stranger_variable": {"type": "str"},
    "client_proof": {"type": "dict"},
    "without": {"type": "list", "elements": "str", "choices": list(WITHOUT), "default": []},
    "renew_before_days": {"type": "int", "default": 30},
    "warn_days": {"type": "int", "default": 14},
    "fail_days": {"type": "int", "default": 0},
    "ca_warn_days": {"type": "int", "default": 90},
    "html_path": {"type": "str"},
    "json_path": {"type": "str"},
    "metrics_path": {"type": "str"},
    "reports_on_host": {"type": "bool", "default": False},
    "artifacts": {"type": "list", "elements": "str", "choices": ["table", "proof", "page"], "default": []},
    "show": {"type": "bool", "default": True},
}


class ActionModule(ReportingAction):
    """Evaluate the probes, show the proof, write it down."""

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        one = [("states", "states_variable")]
        given = self._given(
            _ARGUMENTS, mutually_exclusive=[*one, ("stranger", "stranger_variable")], required_one_of=one
        )
        refuse_old_cryptography()
        if given["stranger_variable"] is not None:
            answer = plain(task_vars.get(given["stranger_variable"]))
            given["stranger"] = answer if isinstance(answer, dict) else {}
            given["ca_certificate_content"] = given["ca_certificate_content"] or _authority_at_hand(given["stranger"])
        if given["states_variable"] is not None:
            given["states"] = registered_states(task_vars, given["members"], given["states_variable"])
        proof, lines, reports, artifacts = _evaluated(given)
        if given["show"]:
            # In AWX each call is an event of its own.
            self._display.display("\n".join(lines))
        files = [Report(option, given[option], text) for option, text in reports.items()]
        self._write_reports(files, given["reports_on_host"], task_vars)
        # The document is long, so that it is shown only with more than -v.
        result = {"changed": False, "proof": proof, "table": lines, "_ansible_verbose_override": True}
        if artifacts:
            # As set_stats gives it: of the run, and joined with those of other clusters.
            kept = {_ARTIFACTS: {given["cluster_name"]: artifacts}}
            result["ansible_stats"] = {"data": kept, "per_host": False, "aggregate": True}
        return result


class _Drawn(t.NamedTuple):
    """A proof, the lines of its table, and the reports and artifacts that were asked for, by option and by kind."""

    proof: dict[str, t.Any]
    lines: list[str]
    reports: dict[str, str]
    artifacts: dict[str, t.Any]


def _drawn(given: t.Mapping[str, t.Any], proof: dict[str, t.Any]) -> _Drawn:
    renderers: dict[str, t.Callable[[dict[str, t.Any]], str]] = {
        "html_path": proof_page,
        "json_path": as_json,
        "metrics_path": as_metrics,
    }
    reports = {option: render(proof) for option, render in renderers.items() if given[option]}
    lines = proof_table(proof)
    kinds: dict[str, t.Callable[[], t.Any]] = {
        "table": lambda: "\n".join(lines),
        "proof": lambda: proof,
        "page": lambda: reports.get("html_path") or proof_page(proof),
    }
    return _Drawn(proof, lines, reports, {kind: kinds[kind]() for kind in given["artifacts"]})


def _evaluated(given: dict[str, t.Any]) -> _Drawn:
    """The proof of all members whose answers can be used; for the others it says why theirs can't."""
    members = [member_from(member) for member in given["members"]]
    if not members:
        raise InputError("members is empty: give the members that the filter etcd_members makes")
    if not given["cluster_name"]:
        raise InputError("cluster_name is empty: give the cluster's name")
    results, absent = {}, {}
    for name, found in given["states"].items():
        try:
            results[name] = checked_state(found)
        except AnswerError as exc:
            absent[name] = str(exc)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    question = ProofQuestion(
        cluster_name=given["cluster_name"],
        time=now,
        identity=given["identity"],
        renew_before_days=given["renew_before_days"],
        thresholds=Thresholds(given["warn_days"], given["fail_days"], given["ca_warn_days"]),
        no_stranger=None if given["stranger"] is None else why_no_stranger(given["stranger"]),
        client_ports=_client_ports(given["client_proof"], given["stranger"]),
        without=given["without"],
        authorities=_fingerprints(given["ca_certificate_content"]),
        removed=[name.strip() for name in given["removed"]],
        slice_of=given["slice_of"],
        away={member.name for member in members if _is_away(given["states"], member.name)},
    )

    def evaluated(some: t.Mapping[str, t.Any]) -> _Drawn:
        return _drawn(given, evaluate(members, some, absent, question))

    try:
        return evaluated(results)
    except Exception:
        nonsense = unusable(results, evaluated)
        if not nonsense:
            raise
    absent.update(nonsense)
    return evaluated({name: result for name, result in results.items() if name not in nonsense})


def _client_ports(asked: t.Mapping[str, t.Any] | None, stranger: t.Mapping[str, t.Any] | None) -> ClientPorts | None:
    if asked is None:
        return None
    try:
        ports = ClientPorts(
            asked["authority"],
            asked["cases"],
            asked["peers_are_clients"],
            None if stranger is None else why_no_client(stranger),
            None if stranger is None or "common_name" in stranger else why_no_stranger(stranger),
        )
    except KeyError as exc:
        raise InputError(f"client_proof lacks {exc}: give it as etcd_settings returns it") from None
    if ports.authority not in CLIENT_AUTHORITIES or not set(ports.cases) <= set(CLIENT_CASES):
        raise InputError("client_proof has an authority or cases that are not known: give it as etcd_settings does")
    return ports


def _authority_at_hand(stranger: t.Mapping[str, t.Any]) -> str | None:
    """The CA's certificate as its host told it, where it told of one."""
    authority = stranger.get("ca")
    return authority.get("certificate") if isinstance(authority, dict) else None


def _fingerprints(pem: str | None) -> set[str]:
    """Those of the CA at hand and of the ones above it; none where it can't be read, which others report."""
    try:
        return (
            {hashlib.sha256(der).hexdigest() for der in certificate_ders(pem, "the CA certificate")} if pem else set()
        )
    except RingfenceError:
        return set()


def _is_away(results: t.Mapping[str, t.Any], name: str) -> bool:
    """Whether a member's host is not in this run, or can't be reached: it did not fail, and gave no wrong answer."""
    found = results.get(name)
    return name not in results or (isinstance(found, dict) and found.get("unreachable") is True)


__all__ = ("ActionModule",)
