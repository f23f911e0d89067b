# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd_peer_probe as Ansible runs it: it calls, changes nothing, and no key of a stranger touches a disk."""

from __future__ import annotations

import json
import os
import pathlib
import re
import typing as t

import pytest
from ansible.module_utils.common.parameters import PASS_VARS
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import peer_port as ports
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.watched_run import run_watched

CA, OTHER_CA = issue("etcd peer CA", is_ca=True), issue("other CA", is_ca=True)
SERVER, OWN = issue("etcd-2.example.com", CA), issue("etcd-1.example.com", CA)
STRANGER, UNKNOWN = issue("stranger", CA), issue("etcd-1.example.com", OTHER_CA)
KEYS: tuple[Issued, ...] = (OWN, STRANGER, UNKNOWN)


@pytest.fixture
def port() -> t.Iterator[int]:
    with ports.listening(ports.speaks_tls(ports.server_context(SERVER, CA))) as found:
        yield found


def arguments(folder: pathlib.Path, port: int, **changes: t.Any) -> dict[str, t.Any]:
    for name, content in (("ca.crt", CA.pem), ("etcd-1.crt", OWN.pem), ("etcd-1.key", OWN.key_pem)):
        (folder / name).write_text(content)
        (folder / name).chmod(0o644)
    return {
        "name": "etcd-1",
        "members": [
            {"name": "etcd-1", "peer_url": f"https://127.0.0.1:{ports.CLOSED_PORT}"},
            {"name": "etcd-2", "peer_url": f"https://127.0.0.1:{port}"},
        ],
        "stranger_certificate": STRANGER.pem,
        "stranger_private_key": STRANGER.key_pem,
        "unknown_ca_certificate": UNKNOWN.pem,
        "unknown_ca_private_key": UNKNOWN.key_pem,
        "directory": str(folder),
        "owner": str(os.geteuid()),
        "etcd_binary": "/none/etcd",
        "unit": "ringfence-test-none.service",
        "timeout_seconds": 60,
        **changes,
    }


def has_a_key(answer: t.Mapping[str, t.Any]) -> bool:
    shown = json.dumps(answer)
    return "PRIVATE KEY" in shown or any(line in shown for pair in KEYS for line in pair.key_pem.splitlines()[1:-1])


def test_check_run_check_run_changes_nothing_and_tells_the_same(tmp_path: pathlib.Path, port: int) -> None:
    args = arguments(tmp_path, port)
    before = {path.name: os.lstat(path) for path in tmp_path.iterdir()}
    reported = []
    for check_mode in (True, False, True, False):
        # Not by a fork: in this process there are the server's threads.
        answer = run_module("etcd_peer_probe", args, check_mode=check_mode, fresh=True)
        assert answer["changed"] is False and answer["problem"] is None and answer["_stderr"] == ""
        assert not has_a_key(answer)
        reported.append([(probe["case"], probe["to"], probe["outcome"], probe["reason"]) for probe in answer["probes"]])
    assert reported == 4 * [
        [
            ("member", "etcd-2", "accepted", None),
            ("stranger", "etcd-2", "accepted", None),
            ("unknown_ca", "etcd-2", "refused", "unknown_authority"),
            ("no_certificate", "etcd-2", "refused", "no_certificate"),
        ]
    ]
    assert answer["info"]["credentials"]["private_key"]["matches_certificate"] is True
    assert answer["probes"][0]["server"]["common_name"] == "etcd-2.example.com"
    assert before.keys() == {path.name for path in tmp_path.iterdir()}
    assert all(os.lstat(tmp_path / name).st_ctime_ns == info.st_ctime_ns for name, info in before.items())


@pytest.mark.parametrize("changes", [{}, {"stranger_private_key": UNKNOWN.key_pem}], ids=["good", "another key"])
def test_a_stranger_s_key_is_written_to_memory_alone(
    tmp_path: pathlib.Path, port: int, changes: dict[str, t.Any]
) -> None:
    """Where it fails as well: no temporary file is there that an error could leave behind."""
    answer, written = run_watched("etcd_peer_probe", arguments(tmp_path, port, **changes), no_log=False)
    assert answer.get("failed", False) is bool(changes), answer
    assert not has_a_key(answer)
    # Certificate and key of the member, of the two strangers, and of the check whether the member's belong together.
    assert len(written) >= (4 if changes else 6)
    # The null device is what a command gets that etcd_peer_info runs.
    assert [path for path in written if not re.fullmatch(r"/memfd:ringfence \(deleted\)|/dev/null", path)] == []


# What each core makes of what was taken out: 2.16 hides it once more.
HIDDEN = (None, "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER")


@pytest.mark.parametrize("password", ["etcd-2", "127", "true", "open-sesame-0123456789"])
def test_a_password_is_nowhere_and_blanks_out_nothing(tmp_path: pathlib.Path, port: int, password: str) -> None:
    """Ansible would blank it out wherever it stands in the answer, in a member's name or an address too."""
    access: dict[str, t.Any] = {
        "api_user": "ringfence",
        "api_password": password,
        "api_certificate": STRANGER.pem,
        "api_private_key": STRANGER.key_pem,
    }
    if "inject_invocation" in PASS_VARS:
        # As newer cores ask for it from -vvv on; older ones always have it.
        access["_ansible_inject_invocation"] = True
    answer, written = run_watched("etcd_peer_probe", arguments(tmp_path, port, **access), no_log=False)
    asked = answer.pop("invocation")["module_args"]
    assert asked["api_user"] == "ringfence"
    assert asked["api_password"] in HIDDEN and asked["api_private_key"] in HIDDEN
    assert not has_a_key(answer)
    assert [probe["to"] for probe in answer["probes"]] == ["etcd-2"] * 4
    assert "****" not in json.dumps(answer)
    assert [path for path in written if not re.fullmatch(r"/memfd:ringfence \(deleted\)|/dev/null", path)] == []
    failed = run_module("etcd_peer_probe", arguments(tmp_path, port, **{**access, "unit": "etcd"}), fresh=True)
    assert failed["failed"] and failed["invocation"]["module_args"]["api_password"] in HIDDEN


@pytest.mark.parametrize("missing", ["api_user", "api_password"])
def test_a_user_and_a_password_are_given_together(tmp_path: pathlib.Path, missing: str) -> None:
    access = {"api_user": "ringfence", "api_password": "hidden"}
    del access[missing]
    answer = run_module("etcd_peer_probe", arguments(tmp_path, ports.CLOSED_PORT, **access))
    assert answer["failed"] and "api_user, api_password" in answer["msg"] and "hidden" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": "etcd-9"}, "name: etcd-9 is not among members (etcd-1, etcd-2)"),
        ({"members": []}, "name: etcd-1 is not among members (none)"),
        ({"members": [{"name": "etcd-1", "peer_url": "x"}]}, "member etcd-1: peer URL 'x' is none: write it like"),
        ({"timeout_seconds": 0.1}, "timeout_seconds is 0.1: give 0.5 to 60"),
        ({"stranger_certificate": "x"}, "stranger_certificate holds no PEM certificate"),
        ({"unknown_ca_private_key": "x"}, "the certificate and its key can't be used for TLS: "),
        ({"unit": "etcd"}, "unit: 'etcd' is no service's name"),
    ],
)
def test_wrong_input_is_one_line(tmp_path: pathlib.Path, changes: dict[str, t.Any], line: str) -> None:
    answer = run_module("etcd_peer_probe", arguments(tmp_path, ports.CLOSED_PORT, **changes))
    assert answer["failed"] and answer["msg"].startswith(line) and "\n" not in answer["msg"]
    assert "Traceback" not in answer["_stderr"] and not has_a_key(answer)


@pytest.mark.parametrize("case", ["stranger", "unknown_ca"])
@pytest.mark.parametrize("kind", ["certificate", "private_key"])
def test_a_pair_is_given_whole(tmp_path: pathlib.Path, case: str, kind: str) -> None:
    args = arguments(tmp_path, ports.CLOSED_PORT)
    del args[f"{case}_{kind}"]
    answer = run_module("etcd_peer_probe", args)
    assert answer["failed"] and f"{case}_certificate, {case}_private_key" in answer["msg"] and not has_a_key(answer)


def test_an_empty_host_still_calls_as_a_stranger(tmp_path: pathlib.Path, port: int) -> None:
    args = arguments(tmp_path, port)
    for path in tmp_path.iterdir():
        path.unlink()
    answer = run_module("etcd_peer_probe", args, fresh=True)
    assert answer["changed"] is False
    assert answer["problem"] == f"there is no {tmp_path}/ca.crt, so this host can't call as a member"
    assert [probe["case"] for probe in answer["probes"]] == ["stranger", "unknown_ca", "no_certificate"]
