# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of members as a user writes it: names, dictionaries, both; and who acts once for the cluster.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import converted, is_blank

# What a host may say of its own member; an entry of the list has the same keys, and host.
MEMBER_OPTIONS = (
    "name",
    "address",
    "domain",
    "common_name",
    "listen_address",
    "extra_sans",
    "peer_port",
    "client_port",
)


def checked_entry(item: t.Any) -> dict[str, t.Any]:
    """An entry as a dictionary that has its host; InputError where it is no entry."""
    if not isinstance(item, (str, dict)) or not item:
        raise InputError(f"etcd_peer_tls_members: {item!r} is neither a host's name nor a dictionary with a name")
    entry = {"host": item} if isinstance(item, str) else dict(item)
    unknown = sorted(str(key) for key in set(entry) - set(MEMBER_OPTIONS) - {"host"})
    if unknown:
        raise InputError(
            f"etcd_peer_tls_members: {', '.join(unknown)} of {item!r} is not known: see the role's options"
        )
    host = entry.get("host") or entry.get("name")
    if not isinstance(host, str) or not host:
        raise InputError(f"etcd_peer_tls_members: {item!r} has no name: give each member one")
    entry["host"] = host
    try:
        return {
            key: value if key == "host" or is_blank(value) else converted(key, value) for key, value in entry.items()
        }
    except InputError as exc:
        raise InputError(f"etcd_peer_tls_members, entry {host}: {exc}") from None


def completed_entry(
    entry: t.Mapping[str, t.Any], host_settings: t.Mapping[str, t.Any], said: t.Container[str]
) -> dict[str, t.Any]:
    """An entry of the list with what it leaves to its host's own settings.

    ``said``: those that the user set for the host, and did not leave at their defaults. InputError where the two
    differ: only the user knows which is meant.
    """
    complete = dict(entry)
    for name in MEMBER_OPTIONS:
        own = host_settings.get(name)
        if complete.get(name) in (None, "", []):
            complete[name] = own
        elif name in said and own not in (None, "", []) and str(own) != str(complete[name]):
            raise InputError(
                f"member {entry.get('name') or entry['host']}: etcd_peer_tls_members says {name} {complete[name]!r}, "
                f"the variables of host {entry['host']} say {own!r} (etcd_peer_tls_{name}): leave one of them out"
            )
    return complete


def hosts_of(entries: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """The inventory hosts of entries."""
    return [entry["host"] for entry in entries]


def coordinator_of(hosts: t.Sequence[str], host: str, batch: t.Collection[str], cluster_name: str) -> str:
    """The first of a cluster's hosts that is in this batch of the play, so that all of them come to the same one.

    ``host``: who asks, which is in the batch itself; InputError where it is no member.
    """
    if host not in hosts:
        raise InputError(
            f"{host} is no member of cluster {cluster_name} (its hosts: {', '.join(hosts)}): leave it out of the play, "
            "or add it to the inventory"
        )
    return next(name for name in hosts if name in batch)


__all__ = ("MEMBER_OPTIONS", "checked_entry", "completed_entry", "coordinator_of", "hosts_of")
