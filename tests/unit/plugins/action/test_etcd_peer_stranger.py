# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action: on the controller it does itself what the module does, anywhere else the module does it."""

from __future__ import annotations

import os
import pathlib
import sys
import typing as t
from unittest import mock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.ringfence.etcd.plugins.action import etcd_peer_stranger as action
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory

CA = factory.authority(not_after=factory.NOW + 36500 * factory.DAY)
MEMBER = {"name": "etcd-1", "common_name": "etcd-1.example.com", "dns_names": [], "ip_addresses": ["10.0.0.1"]}
REMOTE = {
    "members": [],
    "clients": {},
    "client_problem": None,
    "common_name": "made by the module",
    "problem": None,
    "ca": None,
}
BY_THE_MODULE = {"changed": False, **REMOTE}


def run(
    transport: str = "local",
    become: bool = False,
    no_log: bool = True,
    delegate_to: str | None = None,
    environment: list[dict[str, str]] | None = None,
    task_vars: dict[str, t.Any] | None = None,
    **arguments: t.Any,
) -> dict[str, t.Any]:
    given = {"members": [MEMBER], "ca_certificate_content": CA.pem.decode(), **arguments}
    task = {"become": become, "no_log": no_log, "delegate_to": delegate_to, "environment": environment}
    with mock.patch.object(action.ActionModule, "_execute_module", return_value=dict(REMOTE)):
        return run_action(action.ActionModule, given, task_vars, transport=transport, **task)


def test_on_the_controller_no_module_is_started() -> None:
    result = run(ca_private_key_content=CA.key_pem.decode())
    assert result["changed"] is False and result["problem"] is None
    (made,) = result["members"]
    assert made["stranger_private_key"].startswith("-----BEGIN PRIVATE KEY-----")


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"transport": "ssh"},
        {"become": True},
        {"environment": [{}, {"HOME": "/srv"}]},
        {"task_vars": {"ansible_python_interpreter": "/opt/other/bin/python3"}},
        {
            "delegate_to": "ca-host",
            "task_vars": {"ansible_delegated_vars": {"ca-host": {"ansible_python_interpreter": "/usr/bin/other"}}},
        },
    ],
)
def test_elsewhere_the_module_does_it(elsewhere: dict[str, t.Any]) -> None:
    assert run(**elsewhere) == BY_THE_MODULE


def test_a_host_that_can_not_be_reached_is_no_failed_task() -> None:
    unreachable = AnsibleConnectionFailure("Failed to connect to the host via ssh")
    with (
        mock.patch.object(action.ActionModule, "_execute_module", side_effect=unreachable),
        pytest.raises(AnsibleConnectionFailure),
    ):
        run_action(action.ActionModule, {"members": [MEMBER]}, transport="ssh", become=False, no_log=True)


@pytest.mark.parametrize(
    "here",
    [
        {"task_vars": {"ansible_python_interpreter": sys.executable}},
        # As Ansible has it where neither play nor task sets one.
        {"environment": [{}]},
        # The variables of the host that the task is for say nothing of the one that it is delegated to.
        {"delegate_to": "localhost", "task_vars": {"ansible_python_interpreter": "/usr/bin/other"}},
        {
            "delegate_to": "localhost",
            "task_vars": {"ansible_delegated_vars": {"localhost": {"ansible_python_interpreter": sys.executable}}},
        },
    ],
)
def test_the_same_python_is_here(here: dict[str, t.Any]) -> None:
    assert run(**here)["common_name"] != "made by the module"


def test_another_environment_of_the_same_program_is_elsewhere(tmp_path: pathlib.Path) -> None:
    link = tmp_path / "python"
    os.symlink(sys.executable, link)
    assert run(task_vars={"ansible_python_interpreter": str(link)}) == BY_THE_MODULE


def test_a_controller_without_cryptography_leaves_the_line_to_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptography.__version__", "35.0.2")
    assert run() == BY_THE_MODULE


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"no_log": False}, "set no_log to true"),
        ({"validity_minutes": 61}, "validity_minutes is 61: give 1 to 60"),
        ({"members": []}, "members is empty"),
        ({"members": None}, "members"),
        ({"ca_certificate_path": "/x"}, "mutually exclusive"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: dict[str, t.Any], words: str) -> None:
    result = run(**arguments)
    assert result["failed"] is True and words in result["msg"] and "\n" not in result["msg"]
    assert "members" not in result


WITHOUT_CA = {
    "ca_private_key": "",
    "ca_passphrase": "",
    "api_password": "",
    "probe_client_private_key": "",
    "client_ca_passphrase": "",
}


class Secrets:
    """The role's secrets, whatever the task."""

    stranger = ""

    def __init__(self, *_given: t.Any) -> None:
        pass

    def secrets_of(self, host: str) -> dict[str, str]:
        assert host == "etcd-1"
        return {
            "ca_private_key": CA.key_pem.decode(),
            "ca_passphrase": "",
            "api_password": "sesame",
            "stranger_private_key": self.stranger,
            "probe_client_private_key": "",
            "client_ca_passphrase": "",
        }


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> dict[str, t.Any]:
    monkeypatch.setattr(action, "RoleSettings", Secrets)
    return {"role_secrets": True, "task_vars": {"inventory_hostname": "etcd-1"}}


def test_the_roles_secrets_are_used_and_given_back(role: dict[str, t.Any]) -> None:
    result = run(**role)
    assert result["problem"] is None and result["secrets"]["api_password"] == "sesame"


def test_the_key_of_a_given_stranger_comes_from_the_controller(
    role: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever its certificate was looked at: the module could not give it back."""
    key = factory.key_of("ecdsa-p256", 9)
    pem = factory.member_pem(CA, factory.profile("stranger", common_name="nobody"), key).decode()
    written = keys.private_key_pem(key).decode()
    monkeypatch.setattr(Secrets, "stranger", written.replace("\n", "\r\n"))
    monkeypatch.setattr(Secrets, "secrets_of", lambda self, host: {**WITHOUT_CA, "stranger_private_key": self.stranger})
    (here,) = run(stranger_certificate=pem, **role)["members"]
    remote = {**REMOTE, "members": [{"name": "etcd-1", "stranger_certificate": pem}]}
    monkeypatch.setitem(globals(), "REMOTE", remote)
    (there,) = run(stranger_certificate=pem, transport="ssh", **role)["members"]
    for found in (here, there):
        assert (found["stranger_certificate"], found["stranger_private_key"]) == (pem, written)


def test_the_key_of_a_given_client_comes_from_the_controller_too(
    role: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that of a stranger is a client's, where a stranger of the peers' CA took a client's place."""
    written = keys.private_key_pem(factory.key_of("ecdsa-p256", 9)).decode()
    others = keys.private_key_pem(factory.key_of("ecdsa-p256", 8)).decode()
    for given, wanted in (
        ({"stranger_private_key": others, "probe_client_private_key": written}, written),
        ({"stranger_private_key": others, "probe_client_private_key": ""}, others),
    ):
        secrets = {**WITHOUT_CA, **given}
        monkeypatch.setattr(Secrets, "secrets_of", lambda self, host, secrets=secrets: secrets)
        answer = {**REMOTE, "clients": {"client_certificate": CA.pem.decode()}}
        with mock.patch.object(action.CaHostAction, "_answer", return_value=answer):
            assert run(transport="ssh", **role)["clients"]["client_private_key"] == wanted


def test_they_are_given_back_where_the_task_failed(role: dict[str, t.Any]) -> None:
    result = run(validity_minutes=61, **role)
    assert result["failed"] is True and result["secrets"]["api_password"] == "sesame"
    unreachable = AnsibleConnectionFailure("Failed to connect to the host via ssh")
    with mock.patch.object(action.ActionModule, "_execute_module", side_effect=unreachable):
        given, task_vars = {"members": [MEMBER], "role_secrets": True}, role["task_vars"]
        result = run_action(action.ActionModule, given, task_vars, transport="ssh", become=False, no_log=True)
    assert result["unreachable"] is True and result["secrets"]["api_password"] == "sesame"


def test_they_are_never_shown(role: dict[str, t.Any]) -> None:
    result = run(no_log=False, **role)
    assert "set no_log to true" in result["msg"] and "secrets" not in result


def test_a_host_has_no_say_in_them() -> None:
    with mock.patch.object(action.CaHostAction, "_answer", return_value={**REMOTE, "secrets": {"api_password": "x"}}):
        assert "secrets" not in run(transport="ssh")
