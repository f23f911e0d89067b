# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
import subprocess
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config import parse_config
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_flags import (
    ConfigSettings,
    is_flag,
    settings_of_config,
)

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]

GUIDE = """
name: etcd-1
data-dir: /var/lib/etcd
listen-peer-urls: https://10.0.0.1:2380
listen-client-urls: https://10.0.0.1:2379,http://127.0.0.1:2379
initial-advertise-peer-urls: https://10.0.0.1:2380
socket-options:
  reuse-port: true
log-outputs: [stderr]
client-transport-security:
  cert-file: server.crt
  client-cert-auth: True
peer-transport-security:
  cert-file: peer.crt
  key-file: peer.key
  client-cert-auth: yes
  trusted-ca-file: ca.crt
  skip-client-san-verification: true
  auto-tls: false
  allowed-cn:
    - etcd-1.example.com
    - etcd-2.example.com
"""


def settings(text: str) -> ConfigSettings:
    return settings_of_config(parse_config(text))


def test_a_file_says_what_a_command_line_would() -> None:
    found = settings(GUIDE)
    deployed = found.deployed
    assert found.ignored == ()
    assert deployed["allowed_common_names"] == ["etcd-1.example.com", "etcd-2.example.com"]
    assert deployed["peer_urls"] == ["https://10.0.0.1:2380"]
    assert deployed["listen_client_urls"] == ["https://10.0.0.1:2379", "http://127.0.0.1:2379"]
    assert deployed["files"]["cert_file"] == "server.crt" and deployed["files"]["peer_trusted_ca_file"] == "ca.crt"
    flags = deployed["flags"]
    assert flags["peer-client-cert-auth"] == flags["client-cert-auth"] == "true"
    assert flags["peer-skip-client-san-verification"] == "true" and flags["peer-auto-tls"] == "false"
    assert [warning["code"] for warning in deployed["warnings"]] == ["address_check_off"]


@pytest.mark.parametrize(
    ("text", "ignored"),
    [
        # Each of these looks like a fence, and etcd starts without one.
        ("peer-transport-security:\n  allowed-cns: [a]", ["peer-transport-security.allowed-cns"]),
        ("peer-cert-allowed-cn: a", ["peer-cert-allowed-cn"]),
        ("peer-transport-security:\n  peer-cert-allowed-cn: [a]", ["peer-transport-security.peer-cert-allowed-cn"]),
        ("peer-trusted-ca-file: /ca\npeer-client-cert-auth: true", ["peer-client-cert-auth", "peer-trusted-ca-file"]),
        ("peer-transport-security:\n  ca-file: /ca", ["peer-transport-security.ca-file"]),
        ("client-transport-security:\n  skip-client-san-verification: true\n", None),
    ],
)
def test_what_etcd_ignores_in_silence_is_named(text: str, ignored: list[str] | None) -> None:
    found = settings(text)
    assert list(found.ignored) == (ignored or ["client-transport-security.skip-client-san-verification"])
    assert found.deployed["allowed_common_names"] == [] and found.deployed["files"]["peer_trusted_ca_file"] is None


def test_an_entry_with_a_comma_is_one_name() -> None:
    assert settings('peer-transport-security:\n  allowed-cn: ["a,b"]').deployed["allowed_common_names"] == ["a,b"]


@pytest.mark.parametrize("empty", ["allowed-cn: []", "allowed-cn:", "allowed-cn: ~"])
def test_an_empty_list_is_none(empty: str) -> None:
    deployed = settings(f"peer-transport-security:\n  {empty}").deployed
    assert deployed["allowed_common_names"] == [] and "peer-cert-allowed-cn" not in deployed["flags"]


@pytest.mark.parametrize(
    "text",
    [
        "peer-transport-security:\n  allowed-cn: a,b",
        "peer-transport-security: true",
        "listen-peer-urls: [http://127.0.0.1:2380]",
        "data-dir:\n  a: b",
        "peer-transport-security:\n  cert-file: [a]",
    ],
)
def test_what_etcd_would_not_start_with_is_not_guessed(text: str) -> None:
    with pytest.raises(ValueError):
        settings(text)


def test_a_file_that_says_nothing_leaves_the_defaults() -> None:
    deployed: t.Any = settings("peer-transport-security:\n").deployed
    assert deployed["listen_peer_urls"] == ["http://localhost:2380"] and deployed["flags"] == {}


def test_what_is_no_flag() -> None:
    assert not any(map(is_flag, ("root-password", "peer-cert-allowed-cns", "", "unsupported-arch")))


@pytest.mark.parametrize("binary", BINARIES, ids=os.path.basename)
def test_every_flag_of_an_etcd_is_known(binary: str) -> None:
    """But for those of a discovery, which a member with data reads no more, and one of which is a password."""
    done = subprocess.run([binary, "--help"], capture_output=True, text=True, check=False, timeout=60)
    flags = set(re.findall(r"^ +--([a-z0-9-]+)", done.stdout + done.stderr, re.MULTILINE))
    assert len(flags) > 80
    assert sorted(flag for flag in flags if not is_flag(flag) and not flag.startswith("discovery-")) == []
