# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose certificates the client port takes, by what the user says and by whom they name as clients."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_port import (
    client_words,
    issues_to_clients,
    with_client_port,
)

SETTINGS: dict[str, t.Any] = {
    "client_ca": "",
    "client_tls": True,
    "clients": [],
    "client_port_directory": "/srv/port/",
    "client_ca_file": "",
    "client_cert_file": "",
    "client_key_file": "",
    "extra_flags": {"quota-backend-bytes": 1},
}
PEERS = {**SETTINGS, "client_ca": "peers"}
OWN = {
    **SETTINGS,
    "client_ca": "own",
    "client_ca_file": "/srv/port/ca.crt",
    "client_cert_file": "/srv/port/etcd-1.crt",
    "client_key_file": "/srv/port/etcd-1.key",
    "extra_flags": {"client-crl-file": "/srv/port/ca.crl", "quota-backend-bytes": 1},
}
CLIENTS = {"clients": ["backup@db-1"]}
GIVEN = {"client_ca_file": "/c/ca.crt", "client_cert_file": "/c/a.crt", "client_key_file": "/c/a.key"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, PEERS),
        (CLIENTS, {**OWN, **CLIENTS}),
        ({"client_ca": "own"}, OWN),
        ({**CLIENTS, "client_ca": "peers"}, {**PEERS, **CLIENTS}),
        # Files of the user's are of whatever CA they are.
        ({**CLIENTS, **GIVEN}, {**SETTINGS, **CLIENTS, **GIVEN}),
        # A list of theirs is the one that etcd reads.
        (
            {**CLIENTS, "extra_flags": {"client-crl-file": "/c/ca.crl"}},
            {**OWN, **CLIENTS, "extra_flags": {"client-crl-file": "/c/ca.crl"}},
        ),
        # The files stay what they are while TLS goes; no list is read without it.
        (
            {**CLIENTS, "client_tls": False},
            {**OWN, **CLIENTS, "client_tls": False, "extra_flags": {"quota-backend-bytes": 1}},
        ),
    ],
)
def test_by_what_is_said(given: dict[str, t.Any], wanted: dict[str, t.Any]) -> None:
    settings = {**SETTINGS, **given}
    before = {**settings}
    assert with_client_port(settings, "etcd-1") == wanted
    assert settings == before


@pytest.mark.parametrize("word", ["own", "peers"])
@pytest.mark.parametrize("kind", ["ca", "cert", "key"])
def test_a_word_and_a_file_contradict_each_other(word: str, kind: str) -> None:
    given = {**SETTINGS, "client_ca": word, f"client_{kind}_file": "/c/file"}
    with pytest.raises(InputError) as caught:
        with_client_port(given, "etcd-1")
    assert str(caught.value) == (
        f"etcd_peer_tls_client_ca is '{word}', and etcd_peer_tls_client_{kind}_file names a file of yours for the "
        "client port: leave one of them out"
    )


@pytest.mark.parametrize(
    ("entry_point", "settings", "issues"),
    [
        ("main", OWN, True),
        ("main", {**OWN, "client_tls": False}, False),
        ("main", PEERS, False),
        ("main", {**SETTINGS, **GIVEN}, False),
        ("clients", PEERS, True),
        ("restore", OWN, False),
        ("verify", OWN, False),
    ],
)
def test_which_run_makes_certificates_for_clients(entry_point: str, settings: dict[str, t.Any], issues: bool) -> None:
    assert issues_to_clients(entry_point, settings) is issues


def test_whom_words_are_about() -> None:
    said = {"revoked": ["app"], "new_keys": True}
    assert client_words("clients", said, ["m1"]) == {**said, "removed": []}
    assert client_words("main", said, ["m1"]) == {"revoked": [], "removed": ["m1"], "new_keys": False}
