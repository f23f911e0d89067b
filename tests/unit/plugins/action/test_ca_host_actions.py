# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CA made and certificates issued by the controller's own process: answers and files are as the module's."""

from __future__ import annotations

import json
import os
import pathlib
import re
import typing as t
from unittest import mock

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_ca, etcd_peer_certificates
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

MEMBER = {"name": "etcd-1", "common_name": "etcd-1.example.com", "ip_addresses": ["10.0.0.1"]}
# What two CAs made one after the other differ in.
OF_EACH = ("certificate", "revocation_list_pem", "fingerprint", "serial_number", "not_before", "not_after", "diff")


def run(
    action: t.Any,
    arguments: t.Mapping[str, t.Any],
    check_mode: bool = False,
    no_log: bool = False,
    display: mock.Mock | None = None,
) -> dict[str, t.Any]:
    task = {"become": False, "no_log": no_log, "check_mode": check_mode, "diff": True}
    no_module = AssertionError("a module was started")
    with mock.patch.object(action.ActionModule, "_execute_module", side_effect=no_module):
        return run_action(action.ActionModule, arguments, display=display, **task)


def made(folder: pathlib.Path, **changes: t.Any) -> dict[str, t.Any]:
    return run(etcd_ca, {"ca_directory": str(folder), **changes})


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_ca_is_made_as_the_module_makes_it(tmp_path: pathlib.Path, check_mode: bool) -> None:
    """And the same is told of it. In check mode nothing is."""
    own, other = tmp_path / "own", tmp_path / "other"
    answer = run(etcd_ca, {"ca_directory": str(own)}, check_mode=check_mode)
    of_module = run_module("etcd_ca", {"ca_directory": str(other)}, check_mode=check_mode)
    assert answer["changed"] is of_module["changed"] is True
    assert own.exists() is other.exists() is (not check_mode)
    documented = {key: value for key, value in of_module.items() if key in etcd_ca.ActionModule.schema.fields}
    assert documented.keys() <= answer.keys()
    for key in documented.keys() - set(OF_EACH):
        assert str(answer[key]).replace(str(own), str(other)) == str(documented[key])
    if not check_mode:
        listed = [{path.name: oct(path.stat().st_mode) for path in folder.iterdir()} for folder in (own, other)]
        assert listed[0] == listed[1] and listed[0]["ca.key"] == oct(0o100600)


def test_a_second_run_changes_nothing(tmp_path: pathlib.Path) -> None:
    assert [made(tmp_path / "ca")["changed"] for _run in range(2)] == [True, False]


def test_what_is_to_be_known_of_the_index_is_a_warning(tmp_path: pathlib.Path) -> None:
    made(tmp_path / "ca")
    os.remove(tmp_path / "ca" / "index.json")
    display = mock.Mock()
    answer = run(etcd_ca, {"ca_directory": str(tmp_path / "ca")}, display=display)
    assert answer["notes"] and display.warning.mock_calls == [mock.call(note) for note in answer["notes"]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"validity_days": 0}, "validity_days"),
        ({"create": False}, "making one was refused"),
        ({"ca_key_type": "rsa-1024"}, "value of ca_key_type must be one of"),
        ({"no_such": 1}, "no_such"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_made(
    tmp_path: pathlib.Path, changes: dict[str, t.Any], words: str
) -> None:
    answer = made(tmp_path / "ca", **changes)
    assert answer["failed"] is True and words in answer["msg"] and "\n" not in answer["msg"]
    assert not (tmp_path / "ca").exists()


def issued(tmp_path: pathlib.Path, no_log: bool = True, check_mode: bool = False, **more: t.Any) -> dict[str, t.Any]:
    ca = made(tmp_path / "ca")
    given = {"members": [MEMBER], "ca_certificate_content": ca["certificate"], **more}
    given.setdefault("ca_private_key_path", ca["private_key_path"])
    return run(etcd_peer_certificates, given, no_log=no_log, check_mode=check_mode)


def test_a_certificate_is_issued_here(tmp_path: pathlib.Path) -> None:
    answer = issued(tmp_path, ca_directory=str(tmp_path / "ca"))
    (member,) = answer["members"]
    assert answer["changed"] is True and member["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert "etcd-1" in (tmp_path / "ca" / "index.json").read_text()


def without_time(value: t.Any) -> str:
    """As text, without the time of day: the two are some seconds apart."""
    return re.sub(r"T\d\d:\d\d:\d\dZ", "T", json.dumps(value, sort_keys=True))


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_is_due_is_told_as_the_module_tells_it(tmp_path: pathlib.Path, check_mode: bool) -> None:
    answer = issued(tmp_path, no_log=False, check_mode=check_mode, decide_only=True)
    ca = (tmp_path / "ca" / "ca.crt").read_text()
    given = {"members": [MEMBER], "ca_certificate_content": ca, "decide_only": True}
    of_module = run_module("etcd_peer_certificates", given, check_mode=check_mode, diff=True)
    assert answer["changed"] is check_mode
    for key in ("changed", "members", "reasons", "diff"):
        assert without_time(answer.get(key)) == without_time(of_module.get(key))


def test_a_new_key_is_never_shown(tmp_path: pathlib.Path) -> None:
    answer = issued(tmp_path, no_log=False)
    assert answer["failed"] is True and "set no_log to true" in answer["msg"] and "PRIVATE KEY" not in str(answer)


def test_two_forms_of_the_ca_are_one_too_many(tmp_path: pathlib.Path) -> None:
    assert "mutually exclusive" in issued(tmp_path, ca_certificate_path="/x")["msg"]


@pytest.mark.parametrize("action", [etcd_ca, etcd_peer_certificates])
def test_elsewhere_the_module_does_it(action: t.Any) -> None:
    """As another user, for one: what it makes belongs to that one."""
    of_module = {"failed": True, "msg": "said by the module", "anything": "else"}
    with mock.patch.object(action.ActionModule, "_execute_module", return_value=of_module) as started:
        answer = run_action(action.ActionModule, {"ca_directory": "/srv/ca"}, become=True, no_log=True)
    assert answer["msg"] == "said by the module" and "anything" not in answer and started.call_count == 1
