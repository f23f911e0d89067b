# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of ``etcd_peer_probe`` that are the same in each look at a host, from what the role has registered. Pure.

Each option that is a template is compiled anew in the process of each host: there were 125 templates in these.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

# Options by the setting that has their value.
_OF_SETTINGS = {
    "timeout_seconds": "probe_timeout_seconds",
    "directory": "directory",
    "owner": "owner",
    "group": "owner_group",
    "etcd_binary": "etcd_binary",
    "unit": "unit",
    "unit_directory": "unit_directory",
    "manage_service": "manage_service",
    "data_dir": "data_dir",
    "api_user": "api_user",
    "api_cert_file": "api_cert_file",
    "api_key_file": "api_key_file",
}
# What a member is given to call with, of its entry in ``members``, and of ``clients``.
_STRANGERS = (
    "stranger_certificate",
    "stranger_private_key",
    "unknown_ca_certificate",
    "unknown_ca_private_key",
    "revoked_certificate",
    "revoked_private_key",
)
_CLIENTS = (
    "client_certificate",
    "client_private_key",
    "client_unknown_ca_certificate",
    "client_unknown_ca_private_key",
)
_API_PAIR = ("api_certificate", "api_private_key")


def options_of_settings(settings: t.Mapping[str, t.Any], batch: t.Container[str]) -> dict[str, t.Any]:
    """What ``etcd_settings`` returned of this host says; ``batch``: the hosts that are called upon in this run."""
    return {
        **{option: settings[name] for option, name in _OF_SETTINGS.items() if settings[name] != ""},
        "client_url": settings["member"]["client_url"],
        "client_calls": settings["client_proof"]["cases"],
        "present": [member["name"] for member in settings["members"] if member["host"] in batch],
    }


def options_of_strangers(strangers: t.Mapping[str, t.Any], name: str, calls: bool) -> dict[str, t.Any]:
    """A member's share of what ``etcd_peer_stranger`` returned, empty where it failed.

    ``calls``: whether the member may call others. Asking the API needs its pair in any case.
    """
    nothing: dict[str, t.Any] = {}
    own = next((one for one in strangers.get("members") or () if one["name"] == name), nothing)
    given = {
        **{option: own.get(option) for option in _API_PAIR},
        "api_password": (strangers.get("secrets") or {}).get("api_password"),
        "revocation_list": (strangers.get("ca") or {}).get("revocation_list_pem"),
    }
    if calls:
        clients = strangers.get("clients") or {}
        given.update({option: own.get(option) for option in _STRANGERS})
        given.update({option: clients.get(option) for option in _CLIENTS})
    return {option: value for option, value in given.items() if value}


__all__ = ("options_of_settings", "options_of_strangers")
