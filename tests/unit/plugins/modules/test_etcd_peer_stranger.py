# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd_peer_stranger as Ansible runs it: only under no_log, never a change, nothing on a disk."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.watched_run import run_watched

CA = factory.authority()
MEMBERS = [
    {"name": f"etcd-{number}", "common_name": f"etcd-{number}", "dns_names": [], "ip_addresses": [f"10.0.0.{number}"]}
    for number in (1, 2)
]


def arguments(folder: pathlib.Path, **changes: t.Any) -> dict[str, t.Any]:
    (folder / "ca.crt").write_bytes(CA.pem)
    (folder / "ca.key").write_bytes(CA.key_pem)
    given = {
        "members": MEMBERS,
        "ca_certificate_path": str(folder / "ca.crt"),
        "ca_private_key_path": str(folder / "ca.key"),
    }
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


def test_check_run_check_run_changes_nothing(tmp_path: pathlib.Path) -> None:
    args = arguments(tmp_path)
    before = {path.name: os.lstat(path) for path in tmp_path.iterdir()}
    names = set()
    for check_mode in (True, False, True, False):
        answer = run_module("etcd_peer_stranger", args, check_mode=check_mode, no_log=True)
        assert answer["changed"] is False and answer["problem"] is None and answer["_stderr"] == ""
        assert [member["name"] for member in answer["members"]] == ["etcd-1", "etcd-2"]
        for member in answer["members"]:
            for case in ("stranger", "unknown_ca"):
                assert member[f"{case}_certificate"].startswith("-----BEGIN CERTIFICATE-----")
                assert member[f"{case}_private_key"].startswith("-----BEGIN PRIVATE KEY-----")
        names.add(answer["common_name"])
    assert len(names) == 4
    after = {path.name: os.lstat(path) for path in tmp_path.iterdir()}
    assert {name: info.st_ctime_ns for name, info in after.items()} == {
        name: info.st_ctime_ns for name, info in before.items()
    }


def test_nothing_is_written(tmp_path: pathlib.Path) -> None:
    answer, written = run_watched("etcd_peer_stranger", arguments(tmp_path), no_log=True)
    assert answer["problem"] is None and len(answer["members"]) == 2
    assert written == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_without_no_log_it_refuses(tmp_path: pathlib.Path, check_mode: bool) -> None:
    answer = run_module("etcd_peer_stranger", arguments(tmp_path), check_mode=check_mode)
    assert answer["failed"] and answer["problem"] == "refused"
    assert answer["msg"].endswith("set no_log to true on it") and "\n" not in answer["msg"]
    assert "members" not in answer and "PRIVATE KEY" not in str(answer) and "Traceback" not in answer["_stderr"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"members": []}, "members is empty"),
        ({"members": [{"name": "etcd-1"}]}, "members: an entry lacks common_name, dns_names, ip_addresses"),
        ({"members": [{**MEMBERS[0], "dns_names": "x"}]}, "members: dns_names 'x' is not a list of texts"),
        ({"validity_minutes": 61}, "validity_minutes is 61: give 1 to 60"),
        (
            {"ca_certificate_content": "another"},
            "ca_certificate_path|ca_certificate_content",
        ),
        (
            {"ca_private_key_content": "another"},
            "ca_private_key_path|ca_private_key_content",
        ),
        ({"members": None}, "missing required arguments: members"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: pathlib.Path, changes: dict[str, t.Any], line: str) -> None:
    args = arguments(tmp_path, **changes)
    if "members" in changes and changes["members"] is None:
        args.pop("members", None)
    answer = run_module("etcd_peer_stranger", args, no_log=True)
    assert answer["failed"] and line in answer["msg"] and "\n" not in answer["msg"]
    assert "Traceback" not in answer["_stderr"] and "PRIVATE KEY" not in str(answer)


def test_without_the_ca_s_key(tmp_path: pathlib.Path) -> None:
    answer = run_module("etcd_peer_stranger", arguments(tmp_path, ca_private_key_path="/none/ca.key"), no_log=True)
    assert answer["changed"] is False and answer["common_name"] is None
    assert answer["problem"] == "there is no /none/ca.key, where the CA's private key should be"
    assert not any(key.startswith("stranger_") for member in answer["members"] for key in member)
    assert all(member["unknown_ca_certificate"] for member in answer["members"])


def given(**changes: t.Any) -> dict[str, str]:
    """A stranger of the CA that a person had made: as a member, but for its name; ``changes``: how it differs."""
    wanted = {"common_name": "nobody.example.com", **changes.pop("profile", {})}
    key = factory.key_of("ecdsa-p256", 9)
    ca = changes.pop("ca", CA)
    pem = factory.member_pem(ca, factory.profile("stranger", **wanted), key, **changes)
    return {"stranger_certificate": pem.decode(), "stranger_private_key": keys.private_key_pem(key).decode()}


def test_a_stranger_that_is_given_calls_from_each_host(tmp_path: pathlib.Path) -> None:
    pair = given()
    without = {"ca_private_key_path": None}
    answer = run_module("etcd_peer_stranger", arguments(tmp_path, **without, **pair), no_log=True)
    assert answer["problem"] is None and answer["common_name"] == "nobody.example.com"
    for member in answer["members"]:
        assert member["stranger_certificate"] == pair["stranger_certificate"] and "unknown_ca_certificate" in member
        # Ansible would blank it out: the action puts it there (its own test).
        assert "stranger_private_key" not in member
    # Where the CA's key is at hand one is made, for minutes.
    made = run_module("etcd_peer_stranger", arguments(tmp_path, **pair), no_log=True)
    assert made["members"][0]["stranger_certificate"] != pair["stranger_certificate"]


NO_STRANGERS: dict[str, tuple[dict[str, str], str]] = {
    "a member's": (given(profile={"common_name": "etcd-1"}), "its common name etcd-1 is a member's"),
    "another CA's": (given(ca=factory.authority(number=1)), "is not signed by the CA"),
    "ended": (given(not_before=factory.NOW - 9 * factory.DAY, not_after=factory.NOW - factory.DAY), "expired at"),
    "a client's": (
        {
            **given(),
            "stranger_certificate": certificates.certificate_pem(
                CA.issuer.issue(
                    rules.client_profile("stranger", "nobody", ["nobody"], [], "ecdsa-p256"),
                    factory.key_of("ecdsa-p256", 9).public_key(),
                    factory.NOW - factory.DAY,
                    factory.NOW + factory.DAY,
                )
            ).decode(),
        },
        "the extended key usage is clientAuth",
    ),
    "another's key": (
        {**given(), "stranger_private_key": keys.private_key_pem(factory.key_of("ecdsa-p256", 8)).decode()},
        "does not belong to the certificate",
    ),
    "no certificate": ({**given(), "stranger_certificate": "rubbish"}, "is no PEM certificate"),
}


@pytest.mark.parametrize("case", NO_STRANGERS)
def test_one_that_would_show_nothing_is_not_used(case: str, tmp_path: pathlib.Path) -> None:
    """A refusal for another reason than the name would be taken for a list that may not be there."""
    pair, says = NO_STRANGERS[case]
    answer = run_module("etcd_peer_stranger", arguments(tmp_path, ca_private_key_path=None, **pair), no_log=True)
    assert says in answer["problem"] and answer["common_name"] is None and "PRIVATE" not in answer["problem"]
    assert not any("stranger_certificate" in member for member in answer["members"])
