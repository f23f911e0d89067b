# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a look at a host is given of what the role has registered: no more than its member's share."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_probe
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import schema_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._probe_options import (
    options_of_settings,
    options_of_strangers,
)

SETTINGS: dict[str, t.Any] = {
    "probe_timeout_seconds": 2.5,
    "directory": "/etc/etcd/pki",
    "owner": "etcd",
    "owner_group": "etcd-group",
    "etcd_binary": "/usr/bin/etcd",
    "unit": "etcd.service",
    "unit_directory": "/etc/systemd/system",
    "manage_service": False,
    "data_dir": "/var/lib/etcd/etcd",
    "api_user": "",
    "api_cert_file": "",
    "api_key_file": "",
    "member": {"name": "etcd-2", "client_url": "https://10.0.0.2:2379"},
    "members": [{"name": f"etcd-{number}", "host": f"host-{number}"} for number in (1, 2, 3)],
    "client_proof": {"cases": ["client", "client_no_certificate"]},
}


def share(number: int) -> dict[str, str]:
    """What the CA's host made for one member."""
    names = ("stranger", "unknown_ca", "revoked", "api")
    pairs = [(f"{name}_certificate", f"{name}_private_key") for name in names]
    return {"name": f"etcd-{number}", **{option: f"{option} of {number}" for pair in pairs for option in pair}}


CLIENTS = {
    "client_certificate": "client's",
    "client_private_key": "client's key",
    "client_unknown_ca_certificate": None,
    "client_unknown_ca_private_key": None,
}
STRANGERS: dict[str, t.Any] = {
    "members": [share(1), share(2)],
    "clients": CLIENTS,
    "ca": {"revocation_list_pem": "a list"},
    "secrets": {"api_password": "of root", "ca_private_key": "never sent"},
}


def test_each_setting_is_the_option_that_asks_for_it() -> None:
    assert options_of_settings(SETTINGS, ["host-1", "host-3", "host-9"]) == {
        "timeout_seconds": 2.5,
        "directory": "/etc/etcd/pki",
        "owner": "etcd",
        "group": "etcd-group",
        "etcd_binary": "/usr/bin/etcd",
        "unit": "etcd.service",
        "unit_directory": "/etc/systemd/system",
        "manage_service": False,
        "data_dir": "/var/lib/etcd/etcd",
        "client_url": "https://10.0.0.2:2379",
        "client_calls": ["client", "client_no_certificate"],
        "present": ["etcd-1", "etcd-3"],
    }


def test_a_user_of_the_api_is_given_where_there_is_one() -> None:
    found = options_of_settings({**SETTINGS, "api_user": "root", "api_cert_file": "/a", "api_key_file": "/b"}, [])
    assert (found["api_user"], found["api_cert_file"], found["api_key_file"]) == ("root", "/a", "/b")


def test_a_member_gets_its_own_share_and_the_clients() -> None:
    own = {name: value for name, value in share(2).items() if name != "name"}
    wanted = {**own, "client_certificate": "client's", "client_private_key": "client's key"}
    assert options_of_strangers(STRANGERS, "etcd-2", True) == {
        **wanted,
        "api_password": "of root",
        "revocation_list": "a list",
    }


def test_who_calls_nobody_gets_what_the_api_asks_for() -> None:
    assert options_of_strangers(STRANGERS, "etcd-2", False) == {
        "api_certificate": "api_certificate of 2",
        "api_private_key": "api_private_key of 2",
        "api_password": "of root",
        "revocation_list": "a list",
    }


def test_who_was_made_nothing_for_gets_what_is_for_all() -> None:
    found = options_of_strangers(STRANGERS, "etcd-3", True)
    assert set(found) == {"client_certificate", "client_private_key", "api_password", "revocation_list"}


@pytest.mark.parametrize(
    "strangers",
    [{}, {"failed": True, "msg": "no CA"}, {"members": None, "clients": None, "ca": None, "secrets": None}],
)
def test_a_ca_host_that_told_nothing_gives_nothing(strangers: dict[str, t.Any]) -> None:
    assert options_of_strangers(strangers, "etcd-1", True) == {}


def test_all_of_it_are_options_of_the_module() -> None:
    given = {**options_of_settings(SETTINGS, []), **options_of_strangers(STRANGERS, "etcd-1", True)}
    assert set(given) - set(etcd_peer_probe.argument_spec()) == set()


def test_all_that_the_ca_s_host_makes_for_calls_is_passed_on() -> None:
    """What ``etcd_peer_stranger`` documents of a member and of clients, each with a text."""
    documented = schema_of("etcd_peer_stranger", "etcd_peer_info").fields
    of_member, of_clients = documented["members"].elements, documented["clients"]
    assert of_member is not None and of_member.fields and of_clients.fields
    member = {**dict.fromkeys(of_member.fields, "made"), "name": "etcd-1"}
    told = {"members": [member], "clients": dict.fromkeys(of_clients.fields, "made")}
    wanted = {*of_member.fields, *of_clients.fields} - {"name"}
    assert set(options_of_strangers(told, "etcd-1", True)) == wanted
