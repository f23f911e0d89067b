# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults that are put into a copy of the product on purpose, and the test that has to catch each.

They are the mistakes that a fence is lost by without anybody seeing it. A test that lets one through proves nothing.
"""

from __future__ import annotations

import pathlib
import typing as t

from runner.verdicts import Case, StepFailed


class Fault(t.NamedTuple):
    """One mistake: a text of a file, and what stands there instead."""

    title: str
    path: str
    text: str
    instead: str
    test: str
    """The file and the test that has to fail. Those before it in the file must pass."""

    @property
    def is_for_the_lab(self) -> bool:
        """Whether the test runs on hosts of the lab."""
        return self.test.startswith("tests/lab/")


FAULTS = (
    Fault(
        "a name left out of one node's list",
        "plugins/module_utils/_cluster/flags.py",
        '",".join(allowed_common_names(members))',
        '",".join(allowed_common_names(members[:-1] if member == members[0] else members))',
        "tests/lab/scenarios/test_core.py::test_form",
    ),
    Fault(
        "[Install] glued to the line before it",
        "roles/etcd_peer_tls/templates/etcd.service.j2",
        "SystemCallErrorNumber=EPERM\n{{ extra('Service') }}\n[Install]",
        "SystemCallErrorNumber=EPERM{{ extra('Service') }}[Install]",
        "tests/lab/scenarios/test_core.py::test_form",
    ),
    Fault(
        "a private key with mode 0644",
        "plugins/module_utils/_member/credential_contents.py",
        "private_key_mode: int = 0o600",
        "private_key_mode: int = 0o644",
        "tests/unit/plugins/modules/test_etcd_peer_credentials.py::test_owner_group_and_mode",
    ),
    Fault(
        "a certificate without clientAuth",
        "plugins/module_utils/_x509/certificates.py",
        "self._base_for(ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)",
        "self._base_for(ExtendedKeyUsageOID.SERVER_AUTH)",
        "tests/unit/plugins/module_utils/_x509/test_certificates.py::test_members_extensions_are_those_of_rfc_5280",
    ),
    Fault(
        "a certificate for a key that nobody has proved to have",
        "plugins/module_utils/_x509/signing_request.py",
        "if not is_proved:",
        "if public_key is None:",
        "tests/unit/plugins/module_utils/_x509/test_signing_request.py::test_refused_in_one_line_that_names_the_host",
    ),
    Fault(
        "a member that lost its data started as a new one",
        "plugins/module_utils/_cluster/preflight_membership.py",
        "return _lost(member, one, teller, info) if one.client_urls or _marker(info) is not None else None",
        "return None",
        "tests/unit/plugins/module_utils/_cluster/test_preflight_lost_data.py::test_data_that_is_gone_is_not_started_over",
    ),
    Fault(
        "a proof with a hole that passes",
        "plugins/plugin_utils/_proof/evaluate.py",
        "fails = verdict == FAILED or (verdict == UNPROVED and not is_excused)",
        "fails = verdict == FAILED",
        "tests/unit/plugins/action/test_etcd_peer_proof.py::test_only_a_host_that_is_away_can_be_gone_on_without",
    ),
    Fault(
        "a host's facts taken for the user's settings",
        "plugins/plugin_utils/_user_variables.py",
        "if str(name).startswith(_FACT_PREFIX)",
        "if str(name)",
        "tests/unit/plugins/action/test_etcd_settings.py::test_facts_set_nothing",
    ),
    Fault(
        "all members restarted at once",
        "plugins/module_utils/_member/restart.py",
        "against = _take_turn(cluster, client, lock, clock, tolerated)",
        "against = list[Reason]()",
        "tests/lab/scenarios/test_restart.py::test_a_changed_flag_restarts_one_by_one_and_loses_no_write",
    ),
    Fault(
        "any file of the controller sent as an archive",
        "plugins/action/etcd_program.py",
        "check_sum(copy_and_sum(source, target, path), sha256, path)",
        "copy_and_sum(source, target, path)",
        "tests/unit/plugins/action/test_etcd_program.py::test_nothing_else_leaves_the_controller",
    ),
    Fault(
        "a member stopped for a program that does not take its flags",
        "plugins/module_utils/_member/program_exchange.py",
        "trial.check_arguments(place.staged(ETCD), arguments)\n",
        "\n",
        "tests/unit/plugins/module_utils/_member/test_program_exchange.py::test_what_does_not_take_the_flags_stops_nobody",
    ),
    Fault(
        "an audit that goes by a host's own word of what it presents",
        "plugins/plugin_utils/_audit/evidence.py",
        "self._served(claim, to_others=True) or self._served(claim, to_others=False)",
        "self._served(claim, to_others=False) or self._served(claim, to_others=True)",
        "tests/unit/plugins/plugin_utils/_audit/test_findings.py::test_a_member_can_not_hide_a_stranger_by_a_claim",
    ),
    Fault(
        "an audit that sends hosts where another one says",
        "plugins/plugin_utils/_audit/calls.py",
        "        if other.host != claim.host\n",
        "        if other.host\n",
        "tests/unit/plugins/plugin_utils/_audit/test_calls.py::test_a_host_sends_nobody_but_itself_where_it_says",
    ),
    Fault(
        "a peer that is let in at a client port and not told",
        "plugins/plugin_utils/_proof/client_ports.py",
        'if outcome == "accepted" or reason == "not_tls":',
        'if reason == "not_tls":',
        "tests/unit/plugins/plugin_utils/_proof/test_client_ports.py::test_one_call_that_went_wrong",
    ),
)


def put_in(fault: Fault, root: pathlib.Path) -> None:
    """Change the copy; StepFailed where the product no longer has the text."""
    path = root / fault.path
    content = path.read_text(encoding="utf-8")
    if content.count(fault.text) != 1:
        raise StepFailed(f"{fault.path} has the text {fault.text!r} {content.count(fault.text)} times: mend FAULTS")
    path.write_text(content.replace(fault.text, fault.instead), encoding="utf-8")


def verdict(fault: Fault, cases: t.Sequence[Case]) -> str:
    """Who caught it; StepFailed where the test let it through, or another one failed before it came to that."""
    name = fault.test.partition("::")[2]
    failed = [case.name for case in cases if case.verdict == "failed"]
    if not any(case.name.partition("[")[0] == name for case in cases):
        raise StepFailed(f"{name} was not run (failed before it: {', '.join(failed) or 'none'})")
    if failed[:1] != [name] and not (failed and failed[0].startswith(f"{name}[")):
        raise StepFailed(f"{name} did not catch it (failed: {', '.join(failed) or 'none'})")
    return f"caught by {name}"
