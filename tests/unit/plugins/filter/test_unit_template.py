# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit's template as the role renders it: what etcd is asked for by its environment, and how small its room is."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import parse_unit
from ansible_collections.ringfence.etcd.plugins.plugin_utils import _unit_text


def rendered(**variables: t.Any) -> str:
    return _unit_text._TEMPLATE.render(
        {
            "__etcd_peer_tls_member": {"name": "etcd-1"},
            "__etcd_peer_tls_arguments": ["--name=etcd-1"],
            "__etcd_peer_tls_settings": {
                "cluster_name": "etcd",
                "owner": "etcd",
                "owner_group": "etcd",
                "min_version": "TLS1.3",
                "etcd_binary": "/usr/bin/etcd",
                "data_dir": "/var/lib/etcd/etcd",
                "directory": "/etc/etcd/pki",
                "client_ca_file": "",
                "client_cert_file": "",
                "client_key_file": "",
                "extra_flags": {},
                "extra_unit_settings": {},
                **variables,
            },
        }
    )


def settings_of(text: str) -> dict[str, str]:
    return dict(parse_unit(text)["Service"])


def test_the_version_of_tls_is_in_etcds_environment() -> None:
    for version in ("TLS1.3", "TLS1.2"):
        deployed = deployed_from_text(rendered(min_version=version))
        assert deployed is not None and deployed["flags"]["tls-min-version"] == version


def test_the_room_is_small() -> None:
    text = rendered()
    assert (
        settings_of(text).items()
        >= {
            "ProtectHome": "true",
            "ProtectProc": "invisible",
            "PrivateIPC": "true",
            "KeyringMode": "private",
        }.items()
    )
    filters = [value for key, value in parse_unit(text)["Service"] if key == "SystemCallFilter"]
    assert filters == ["@system-service", "~@privileged @resources", "prlimit64"]
    # Each broke something that is needed: see docs/architecture.md.
    assert "ProcSubset" not in text and "PrivateUsers" not in text


@pytest.mark.parametrize(
    "variables",
    [
        {"data_dir": "/home/etcd/data"},
        {"directory": "/root/pki"},
        {"etcd_binary": "//home/me/bin/etcd"},
        {"client_key_file": "/run/user/1000/client.key"},
        {"extra_flags": {"wal-dir": "/home/wal"}},
    ],
)
def test_what_is_kept_at_home_stays_in_sight(variables: dict[str, t.Any]) -> None:
    assert settings_of(rendered(**variables))["ProtectHome"] == "read-only"


@pytest.mark.parametrize("path", ["/homes/etcd", "/var/home/etcd", "/rooted", "/run/users"])
def test_what_only_looks_like_home_is_none(path: str) -> None:
    assert settings_of(rendered(data_dir=path))["ProtectHome"] == "true"


def test_the_users_settings_come_last() -> None:
    text = rendered(extra_unit_settings={"Service": {"ProtectHome": "read-only"}})
    assert settings_of(text)["ProtectHome"] == "read-only"


def test_etcd_may_write_beside_its_log() -> None:
    """It makes a new log there, and renames it."""
    places = [value for key, value in parse_unit(rendered(extra_flags={"wal-dir": "/srv/log/wal"}))["Service"]]
    assert "/srv/log" in places and "/srv/log/wal" not in places
