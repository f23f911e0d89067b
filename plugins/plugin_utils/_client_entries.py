# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clients of a cluster as a user writes them: each has a certificate of its own on each of its hosts. Pure.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common import input_rules as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import client_profile

_VARIABLE = "etcd_peer_tls_clients"
_TEXTS = ("name", "common_name", "owner", "group", "mode", "directory")
_LISTS = ("hosts", "sans")
_GATEWAY = "gateway"
_KEYS = (*_TEXTS, *_LISTS, _GATEWAY)


@dataclass(frozen=True)
class Client:
    """A client on one host. ``id``: both of them, which is its name in the CA's index and in messages.

    ``common_name``: empty for a client of etcd's gateway, which under RBAC refuses whoever has one.
    """

    id: str
    name: str
    host: str
    common_name: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    owner: str
    group: str
    mode: str
    directory: str


def clients_of(given: t.Iterable[t.Any], default_directory: str, folders_of_members: t.Collection[str]) -> list[Client]:
    """All clients on all their hosts, in the order given; InputError with one line where an entry is none.

    ``folders_of_members``: where the ``ca.crt`` is another one.
    """
    found: dict[str, Client] = {}
    for item in given:
        entry = _checked_entry(item)
        for host in entry["hosts"]:
            client = _client(entry, host, default_directory)
            if client.id in found:
                raise InputError(f"{_VARIABLE}: {client.id} comes twice: give each client of a host a name of its own")
            if client.directory.rstrip("/") in {folder.rstrip("/") for folder in folders_of_members}:
                raise InputError(
                    f"{_VARIABLE}, client {client.id}: {client.directory} is the members' own folder, whose ca.crt is "
                    "another one: name another directory"
                )
            found[client.id] = client
    return list(found.values())


def _client(entry: t.Mapping[str, t.Any], host: str, default_directory: str) -> Client:
    what = f"{_VARIABLE}, client {entry['name']}"
    common_name = "" if entry[_GATEWAY] else entry.get("common_name") or entry["name"]
    profile = client_profile(f"{entry['name']}@{host}", common_name, *_places(entry["sans"]), "ecdsa-p256")
    owner = entry.get("owner") or "root"
    mode = entry.get("mode") or "0600"
    rules.checked_key_mode(mode, f"{what}: mode")
    return Client(
        profile.name,
        entry["name"],
        host,
        profile.common_name,
        profile.dns_names,
        profile.ip_addresses,
        rules.checked_account(owner, f"{what}: owner"),
        rules.checked_account(entry.get("group") or owner, f"{what}: group"),
        mode,
        rules.checked_path(entry.get("directory") or default_directory, f"{what}: directory"),
    )


def _places(sans: t.Iterable[str]) -> tuple[list[str], list[str]]:
    names: list[str] = []
    addresses: list[str] = []
    for one in sans:
        try:
            addresses.append(str(ipaddress.ip_address(one)))
        except ValueError:
            names.append(one)
    return names, addresses


def _checked_entry(item: t.Any) -> dict[str, t.Any]:
    """An entry as a dictionary whose values have their types; ``NAME@HOST`` is a short one."""
    if isinstance(item, str):
        name, _mark, host = item.strip().partition("@")
        item = {"name": name, "hosts": [host] if host else []}
    if not isinstance(item, dict):
        raise InputError(f"{_VARIABLE}: {item!r} is neither NAME@HOST nor a dictionary with a name and hosts")
    unknown = sorted(str(key) for key in set(item) - {*_KEYS})
    if unknown:
        raise InputError(
            f"{_VARIABLE}: {', '.join(unknown)[:100]} of an entry is not known: {', '.join(sorted(_KEYS))} are"
        )
    entry = {key: value for key, value in item.items() if value not in (None, "")}
    shown = str(entry.get("name", "without a name"))[:100]
    for key in _TEXTS:
        if key in entry and not isinstance(entry[key], str):
            advice = ", in quotes" if key == "mode" else ""
            raise InputError(f"{_VARIABLE}, entry {shown}: {key} is {entry[key]!r}: a text is wanted{advice}")
    for key in _LISTS:
        entry[key] = _texts(entry.get(key, []), f"{_VARIABLE}, entry {shown}: {key}")
    entry[_GATEWAY] = _truth(entry.get(_GATEWAY, False), f"{_VARIABLE}, entry {shown}: {_GATEWAY}")
    if entry[_GATEWAY] and "common_name" in entry:
        raise InputError(
            f"{_VARIABLE}, entry {shown}: {_GATEWAY} is for a certificate without a common name, and common_name is "
            f"{entry['common_name'][:100]!r}: leave one of them out"
        )
    if "name" not in entry:
        raise InputError(f"{_VARIABLE}: {str(item)[:200]} has no name: give each client one")
    if "@" in entry["name"]:
        raise InputError(f"{_VARIABLE}, entry {shown}: the name has an @: name its hosts in hosts")
    if not entry["hosts"]:
        raise InputError(f"{_VARIABLE}, entry {shown}: no host is named: write {shown}@HOST, or hosts: [HOST]")
    return entry


def _truth(value: t.Any, what: str) -> bool:
    """Of a text too: a template gives one."""
    if str(value).lower() not in ("true", "false"):
        raise InputError(f"{what} is {str(value)[:100]!r}: true or false is wanted")
    return str(value).lower() == "true"


def _texts(value: t.Any, what: str) -> list[str]:
    if isinstance(value, str):
        value = [item.strip() for line in value.splitlines() for item in line.split(",") if item.strip()]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(f"{what} is {str(value)[:100]!r}: a list of texts is wanted")
    return list(dict.fromkeys(value))


__all__ = ("Client", "clients_of")
