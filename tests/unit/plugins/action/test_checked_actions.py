# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The actions of modules that run on hosts: what comes back, and what of Ansible's own goes on as it is.

In a real run they are in test_lying_hosts.py; here is what that can't bring about.
"""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.ringfence.etcd.plugins.action import etcd_node_task, etcd_peer_credentials
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue
from cryptography.hazmat.primitives.asymmetric import ec

GOOD: dict[str, t.Any] = {
    "changed": True,
    "reasons": {"certificate": ["content"]},
    "trust_bundle_changed": False,
    "revocation_list_changed": False,
    "backups": {},
    "backup_not_after": None,
    "paths": {name: f"/etc/etcd/pki/{name}" for name in ("directory", "ca", "certificate", "private_key")},
    "notes": [],
}
VARS = {"inventory_hostname": "etcd-2"}


def run(answer: t.Any, interpreter: tuple[t.Any, t.Any] = (None, None), **task: t.Any) -> dict[str, t.Any]:
    """The action's result where the module answers this, or raises it; ``interpreter``: what Ansible found out."""

    def execute(self: t.Any, **_arguments: t.Any) -> t.Any:
        self._discovered_interpreter_key, self._discovered_interpreter = interpreter
        if isinstance(answer, BaseException):
            raise answer
        return answer

    with mock.patch.object(etcd_peer_credentials.ActionModule, "_execute_module", execute):
        return run_action(etcd_peer_credentials.ActionModule, {"name": "etcd-2"}, dict(VARS), **task)


def test_a_good_answer_comes_as_it_is() -> None:
    assert run(GOOD) == GOOD


def test_the_host_that_the_task_is_delegated_to_is_named() -> None:
    for task, host in (({}, "etcd-2"), ({"delegate_to": "ca-host"}, "ca-host")):
        result = run({**GOOD, "notes": None}, **task)
        assert result["failed"] is True and result["problem"] == "answer"
        assert result["msg"] == (
            f"{host}: the answer of etcd_peer_credentials has notes as null, a list is wanted: look at this host's "
            "Python and at the module that it runs"
        )


@pytest.mark.parametrize("error", [TypeError("x\ny"), KeyError("a"), RecursionError(), ValueError(), UnicodeError()])
def test_what_ansible_itself_can_not_read_is_one_line(error: Exception) -> None:
    result = run(error)
    assert result["failed"] is True and "\n" not in result["msg"] and "exception" not in result
    assert result["msg"].startswith("etcd-2: the answer of etcd_peer_credentials can't be read (")


def test_a_host_out_of_reach_is_for_ansible_to_tell() -> None:
    with pytest.raises(AnsibleConnectionFailure):
        run(AnsibleConnectionFailure("no route to host"))
    assert run(AnsibleError("a password\nis wanted"))["msg"] == "a password is wanted"


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (("discovered_interpreter_python", "/usr/bin/python3.11"), True),
        ((None, None), False),
        (("discovered_interpreter_python", None), False),
        (("discovered_interpreter_python", "/usr/bin/python3; id"), False),
        (("discovered_interpreter_python", "{{ lookup('pipe', 'id') }}"), False),
        (("etcd_peer_tls_ca_host", "/etcd-2"), False),
    ],
)
def test_the_interpreter_that_ansible_found_is_the_one_fact_that_is_passed_on(
    found: tuple[t.Any, t.Any], passed: bool
) -> None:
    said = {**GOOD, "ansible_facts": {"etcd_peer_tls_ca_host": "etcd-2", "discovered_interpreter_python": "/a/liar"}}
    facts = run(said, found).get("ansible_facts")
    assert facts == ({found[0]: found[1]} if passed else None)


def node_task(answer: t.Any, **arguments: t.Any) -> tuple[dict[str, t.Any], mock.Mock]:
    given = {"module": "ansible.builtin.user", "arguments": {"name": "etcd"}, **arguments}
    with mock.patch.object(etcd_node_task.ActionModule, "_execute_module", return_value=answer) as execute:
        return run_action(etcd_node_task.ActionModule, given, dict(VARS)), execute


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ({"changed": True, "uid": 5, "ansible_facts": {"a": 1}, "home": "/x"}, {"changed": True}),
        ({"changed": False, "rc": 0}, {"changed": False}),
        ({"rc": 3}, {"changed": False, "failed": True, "msg": "it failed and does not say why"}),
        (
            {"failed": True, "msg": "no such\ngroup", "rc": 0},
            {"changed": False, "failed": True, "msg": "no such group"},
        ),
        (
            {"changed": True, "diff": {"before": "a", "after": "b"}},
            {"changed": True, "diff": {"before": "a", "after": "b"}},
        ),
    ],
)
def test_ansibles_own_modules_say_what_happened_and_no_more(answer: dict[str, t.Any], wanted: dict[str, t.Any]) -> None:
    result, execute = node_task(answer)
    assert result == wanted
    assert execute.call_args.kwargs["module_name"] == "ansible.builtin.user"
    assert execute.call_args.kwargs["module_args"] == {"name": "etcd"}


def test_only_modules_whose_answers_are_known_are_run() -> None:
    result, execute = node_task({}, module="ansible.builtin.command")
    assert result["failed"] is True and "value of module must be one of" in result["msg"]
    assert not execute.called


OLD = issue("old CA", is_ca=True, key=ec.generate_private_key(ec.SECP256K1()))
GOOD_CA = issue("etcd peer CA", is_ca=True)


@pytest.mark.parametrize("option", ["ca_certificate_content", "certificate_content"])
def test_what_etcd_would_not_read_never_gets_to_a_host(option: str) -> None:
    execute = mock.Mock(side_effect=AssertionError)
    with mock.patch.object(etcd_peer_credentials.ActionModule, "_execute_module", execute):
        result = run_action(
            etcd_peer_credentials.ActionModule, {"name": "etcd-2", option: GOOD_CA.pem + OLD.pem}, dict(VARS)
        )
    assert result["failed"] is True and "\n" not in result["msg"]
    assert result["msg"].startswith(f"{option} holds old CA, serial number ")
    assert "which etcd would not read: its key is on a curve" in result["msg"]
    assert result["details"]["reason"] == "unreadable_for_etcd" and not execute.called


@pytest.mark.parametrize("content", [GOOD_CA.pem, "nonsense", "-----BEGIN CERTIFICATE-----\n!", GOOD_CA.key_pem])
def test_all_else_about_certificates_is_the_module_s_to_say(content: str) -> None:
    execute = mock.Mock(return_value=GOOD)
    with mock.patch.object(etcd_peer_credentials.ActionModule, "_execute_module", execute):
        result = run_action(etcd_peer_credentials.ActionModule, {"ca_certificate_content": content}, dict(VARS))
    assert result == GOOD and execute.called
