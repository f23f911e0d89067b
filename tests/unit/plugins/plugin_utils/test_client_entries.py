# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients as a user writes them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_entries import Client, clients_of

FOLDERS = ("/etc/etcd/pki", "/etc/etcd/client-port")


def made(*given: t.Any) -> list[Client]:
    return clients_of(given, "/etc/etcd/clients/blue", FOLDERS)


def test_a_short_entry_has_all_defaults() -> None:
    place = "/etc/etcd/clients/blue"
    assert made(" backup@db-1 ") == [
        Client("backup@db-1", "backup", "db-1", "backup", (), (), "root", "root", "0600", place)
    ]


def test_a_whole_entry_is_one_client_a_host() -> None:
    entry = {
        "name": "app",
        "hosts": "db-1, db-2\ndb-1",
        "common_name": "app user",
        "sans": ["app.example.com", "10.0.0.9", "FD00::7"],
        "owner": "postgres",
        "mode": "0640",
        "directory": "/etc/app/etcd",
    }
    places = (("app.example.com",), ("10.0.0.9", "fd00::7"))
    assert made(entry) == [
        Client(f"app@{host}", "app", host, "app user", *places, "postgres", "postgres", "0640", "/etc/app/etcd")
        for host in ("db-1", "db-2")
    ]
    assert made({**entry, "group": "ssl-cert"})[0].group == "ssl-cert"


def test_what_is_left_empty_is_the_default() -> None:
    empty = {"common_name": "", "sans": "", "owner": None, "group": "", "mode": "", "directory": None, "gateway": ""}
    assert made({"name": "backup", "hosts": ["db-1"], **empty}) == made("backup@db-1")


@pytest.mark.parametrize(("given", "name"), [(True, ""), ("True", ""), (False, "app"), ("false", "app")])
def test_a_client_of_the_gateway_has_no_common_name(given: t.Any, name: str) -> None:
    assert [one.common_name for one in made({"name": "app", "hosts": ["h"], "gateway": given})] == [name]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["backup"], "etcd_peer_tls_clients, entry backup: no host is named: write backup@HOST, or hosts: [HOST]"),
        ([7], "7 is neither NAME@HOST nor a dictionary"),
        ([{"hosts": ["db-1"]}], "has no name: give each client one"),
        ([{"name": "a", "hosts": ["h"], "colour": "red"}], "colour of an entry is not known: common_name, directory"),
        ([{"name": "a", "hosts": ["h"], "gateway": "maybe"}], "entry a: gateway is 'maybe': true or false is wanted"),
        (
            [{"name": "a", "hosts": ["h"], "gateway": True, "common_name": "b"}],
            "entry a: gateway is for a certificate without a common name, and common_name is 'b'",
        ),
        ([{"name": "a", "hosts": ["h"], "mode": 384}], "entry a: mode is 384: a text is wanted, in quotes"),
        ([{"name": ["a"], "hosts": ["h"]}], "name is ['a']: a text is wanted"),
        ([{"name": "a", "hosts": {"h": 1}}], "entry a: hosts is \"{'h': 1}\": a list of texts is wanted"),
        ([{"name": "a@h", "hosts": ["h"]}], "the name has an @: name its hosts in hosts"),
        (["../a@h"], "can't be a file's name"),
        (["ca@h"], "would share ca.crt and ca.key with the CA"),
        (["a@b/c"], "behind the @ the name of an inventory host is wanted"),
        (["a@h", {"name": "a", "hosts": ["h"], "directory": "/x"}], "a@h comes twice"),
        ([{"name": "a", "hosts": ["h"], "mode": "0644"}], "client a: mode: '0644' is no mode for a private key"),
        ([{"name": "a", "hosts": ["h"], "owner": "a:b"}], "client a: owner: 'a:b' is no name of a user"),
        ([{"name": "a", "hosts": ["h"], "directory": "etcd"}], "client a: directory: etcd is not an absolute path"),
        ([{"name": "a", "hosts": ["h"], "directory": "/etc/etcd/pki/"}], "is the members' own folder"),
        ([{"name": "a", "hosts": ["h"], "common_name": "a,b"}], "has a comma"),
        ([{"name": "a", "hosts": ["h"], "common_name": "x" * 65}], "X.509 allows 64"),
        ([{"name": "a", "hosts": ["h"], "sans": ["*.example.com"]}], "no wildcard"),
        ([{"name": "a", "hosts": ["h"], "sans": ["10.0.0"]}], "is no DNS name"),
    ],
)
def test_what_is_no_client_is_refused_in_one_line(given: list[t.Any], part: str) -> None:
    with pytest.raises(InputError) as caught:
        made(*given)
    assert part in str(caught.value) and "\n" not in str(caught.value)
