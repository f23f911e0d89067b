# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the next start tells etcd, with all that lies beside the unit, and what of it the role does not let pass."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.manager import parse_inherited
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import (
    drop_in_paths,
    next_start,
    overrides,
    settings_at_start,
)

UNIT = """[Service]
Environment=ETCD_TLS_MIN_VERSION=TLS1.3
UnsetEnvironment=ETCD_CONFIG_FILE
ExecStart=/usr/bin/etcd --name=etcd-1 --peer-cert-allowed-cn=a,b --listen-peer-urls=https://10.0.0.1:2380
"""
ARGV = ["/usr/bin/etcd", "--name=etcd-1", "--peer-cert-allowed-cn=a,b", "--listen-peer-urls=https://10.0.0.1:2380"]
ENVIRONMENT = {"ETCD_TLS_MIN_VERSION": "TLS1.3"}


@pytest.fixture
def drop_in(tmp_path: pathlib.Path) -> t.Callable[..., list[str]]:
    def make(*lines: str, name: str = "x.conf") -> list[str]:
        path = tmp_path / name
        path.write_text("\n".join(("[Service]", *lines, "")))
        return [str(path)]

    return make


def test_a_process_is_held_against_all_that_its_next_start_is_told(drop_in: t.Callable[..., list[str]]) -> None:
    start = next_start(UNIT, "etcd.service", [])
    assert start is not None and start.argv == tuple(ARGV)
    assert start.is_in_effect(ARGV, {**ENVIRONMENT, "ETCD_EMPTY": ""})
    assert not start.is_in_effect([*ARGV, "--max-wals=9"], ENVIRONMENT)
    assert not start.is_in_effect(ARGV, {}) and not start.is_in_effect(ARGV, {**ENVIRONMENT, "ETCD_DEBUG": "1"})
    # What a script starts may have more of both.
    assert start.is_in_effect(["/opt/etcd", "--max-wals=9"], {})
    more = next_start(UNIT, "etcd.service", drop_in("Environment=ETCD_SNAPSHOT_COUNT=5"))
    assert more is not None and more.environment == {**ENVIRONMENT, "ETCD_SNAPSHOT_COUNT": "5"}
    # Gone from the disk, whatever systemd has read.
    assert next_start(UNIT, "etcd.service", ["/nowhere/x.conf"]) == start


def test_systemd_s_own_variables_come_first_and_may_be_taken_away() -> None:
    inherited = {"ETCD_CONFIG_FILE": "/x", "ETCD_TLS_MIN_VERSION": "TLS1.2", "ETCD_SNAPSHOT_COUNT": "7", "LANG": "C"}
    start = settings_at_start(UNIT, None, inherited)
    assert start is not None and start.environment == {**ENVIRONMENT, "ETCD_SNAPSHOT_COUNT": "7"}


@pytest.mark.parametrize(
    "line", ["ExecStart=\nExecStart=/usr/bin/etcd --name=%H", "Environment=ETCD_NAME=%H", "EnvironmentFile=/etc/*.conf"]
)
def test_what_can_not_be_known_is_no_reason_to_restart(line: str, drop_in: t.Callable[..., list[str]]) -> None:
    assert next_start(UNIT, "etcd.service", drop_in(line)) is None
    assert next_start("[Service]\n", "etcd.service", []) is None


def test_drop_ins_that_systemd_has_not_read_yet_count(tmp_path: pathlib.Path) -> None:
    first, second = tmp_path / "etc", tmp_path / "lib"
    for folder in (first, second):
        (folder / "etcd.service.d").mkdir(parents=True)
    for path in (first / "etcd.service.d/b.conf", second / "etcd.service.d/b.conf", second / "etcd.service.d/a.conf"):
        path.write_text("[Service]\n")
    (first / "etcd.service.d/notes.txt").write_text("")
    known = {"DropInPaths": f"{tmp_path}/gone.conf {second}/etcd.service.d/b.conf"}
    expected = [f"{second}/etcd.service.d/a.conf", f"{first}/etcd.service.d/b.conf"]
    assert drop_in_paths("etcd.service", known, (str(first), str(second))) == expected
    assert drop_in_paths("other.service", {}, (str(first), str(second))) == []


def test_variables_of_systemctl_show_environment() -> None:
    output = "LANG=C\nETCD_NAME=a\nETCD_TEXT=$'a b'\nETCD_QUOTED='c'\nETCD_ODD='\nETCDX=1\n"
    found = parse_inherited(output)
    assert found == {"ETCD_NAME": "a", "ETCD_TEXT": "a b", "ETCD_QUOTED": "c", "ETCD_ODD": "'"}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("ExecStart=", "ExecStart=/usr/bin/etcd --name=etcd-1"), "takes --listen-peer-urls from etcd"),
        (("Environment=ETCD_PEER_AUTO_TLS=true",), "x.conf gives etcd --peer-auto-tls=true"),
        (("Environment=ETCD_ENABLE_GRPC_GATEWAY=false",), "gives etcd --enable-grpc-gateway=false"),
        (("UnsetEnvironment=", "Environment=ETCD_CONFIG_FILE=/x"), "gives etcd --config-file=/x"),
        (("Environment=ETCD_PEER_CERT_ALLOWED_CN=c",), "ETCD_PEER_CERT_ALLOWED_CN stands beside"),
        (("Environment=ETCD_NAME=etcd-1",), "etcd ends at once where both are given"),
        (("EnvironmentFile=/nowhere",), "/nowhere, an environment file of the unit, does not exist"),
        (("ExecStart=",), "leaves the unit without ExecStart="),
        (("Environment=ETCD_SNAPSHOT_COUNT=5",), None),
        (("Environment=ETCD_PEER_AUTO_TLS=false",), None),
        (("Environment=ETCD_ENABLE_GRPC_GATEWAY=true",), None),
        (("MemoryMax=1G",), None),
    ],
)
def test_what_would_make_another_member_of_the_unit(
    lines: tuple[str, ...], words: str | None, drop_in: t.Callable[..., list[str]]
) -> None:
    found = overrides(UNIT, "etcd.service", drop_in(*lines))
    assert all("\n" not in line for line in found)
    assert any(words in line for line in found) if words else found == []
    assert overrides(UNIT, "etcd.service", []) == []


def test_who_gives_it_is_named() -> None:
    (line,) = overrides(UNIT, "etcd.service", [], {"ETCD_PEER_AUTO_TLS": "true"})
    assert "systemctl unset-environment ETCD_PEER_AUTO_TLS) gives etcd --peer-auto-tls=true" in line
    (line,) = overrides(UNIT, "etcd.service", [], {"ETCD_NAME": "x"})
    assert "ETCD_NAME stands beside --name" in line and "systemctl unset-environment ETCD_NAME" in line
