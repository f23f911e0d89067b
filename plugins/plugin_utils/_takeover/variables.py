# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's variables that say what a member of somebody else's runs with. Pure.

They are printed for the operator's inventory, and no run takes them from here: what a host answers sets nothing. An
inventory reads braces as a template, so that a value with such is never printed.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.adoption import FIRST_START, LIST, effective
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.own_flags import OWN_FLAGS, REVOCATION_LISTS
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim, is_loopback, place_of

_PREFIX = "etcd_peer_tls_"
_TEMPLATE = re.compile(r"\{[{%#]")
_CLIENT_FILES = {"client_ca_file": "trusted-ca-file", "client_cert_file": "cert-file", "client_key_file": "key-file"}
# Under the role's unit root has no more rights on files than any other user: data may be somebody else's.
_AS_ROOT = {"Service": {"CapabilityBoundingSet": "CAP_DAC_OVERRIDE"}}
# Given by variables of the role, or not by flags at all.
_NOT_EXTRA = {*OWN_FLAGS, *FIRST_START, LIST, "tls-min-version"} - {*REVOCATION_LISTS, "wal-dir"}


def variables_of(claim: Claim, common_name: str | None) -> dict[str, t.Any]:
    """The variables of one member's host. ``common_name``: as its peer port presents it; None where it is not known."""
    settings = t.cast("dict[str, t.Any]", claim.settings)
    flags = t.cast("dict[str, str]", settings["flags"])
    found: dict[str, t.Any] = {
        "name": settings["member_name"],
        "common_name": common_name,
        "cluster_name": flags.get("initial-cluster-token", "etcd-cluster"),
        **_places(claim, settings),
        "data_dir": claim.told["data_dir"],
        "etcd_binary": claim.told["program"],
        "unit": claim.told["unit"],
        "owner": claim.told["owner"],
        "owner_group": claim.told["owner_group"],
        **_tls_for_clients(settings, flags),
        "min_version": "TLS1.3" if flags.get("tls-min-version") == "TLS1.3" else "TLS1.2",
        "extra_flags": _extra_flags(flags),
        "extra_unit_settings": _AS_ROOT if claim.told["owner"] == "root" else None,
    }
    return {f"{_PREFIX}{name}": value for name, value in found.items() if value is not None}


def for_inventory(by_host: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """The same of all hosts: what they have in common as the group's, the rest by host."""
    names = sorted({name for variables in by_host.values() for name in variables})
    common = {}
    for name in names:
        values = [variables.get(name) for variables in by_host.values()]
        if values[0] is not None and all(value == values[0] for value in values):
            common[name] = values[0]
    return {
        "vars": common,
        "hosts": {
            host: {name: value for name, value in sorted(variables.items()) if name not in common}
            for host, variables in sorted(by_host.items())
        },
    }


def templates_in(variables: t.Mapping[str, t.Any]) -> list[str]:
    """The variables with a value that an inventory would read as a template."""
    return sorted(name for name, value in variables.items() if _has_template(value))


def _has_template(value: t.Any) -> bool:
    if isinstance(value, dict):
        return any(_has_template(one) for pair in value.items() for one in pair)
    return isinstance(value, str) and _TEMPLATE.search(value) is not None


def _places(claim: Claim, settings: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    peer = next(filter(None, map(place_of, claim.peer_urls)), None)
    client = next(filter(None, map(place_of, settings["client_urls"])), None)
    listens = [place[0] for place in map(place_of, settings["listen_client_urls"]) if place]
    own = next((place[0] for place in map(place_of, settings["listen_peer_urls"]) if place), None)
    address = peer[0] if peer else None
    return {
        "address": address,
        "peer_port": peer[1] if peer else None,
        "client_port": client[1] if client else None,
        "listen_address": own if own != address else None,
        "listen_loopback": len(listens) > 1 and any(map(is_loopback, listens)),
    }


def _tls_for_clients(settings: t.Mapping[str, t.Any], flags: t.Mapping[str, str]) -> dict[str, t.Any]:
    if not any(url.startswith("https://") for url in settings["listen_client_urls"]):
        return {"client_tls": False}
    if all(flags.get(flag) == flags.get(f"peer-{flag}") for flag in _CLIENT_FILES.values()):
        return {"client_tls": True}
    found = {"client_tls": True, **{name: flags.get(flag) for name, flag in _CLIENT_FILES.items()}}
    if flags.get("trusted-ca-file") == flags.get("peer-trusted-ca-file"):
        # A pair of its own, and one CA.
        found["peers_are_clients"] = True
    return found


def _extra_flags(flags: t.Mapping[str, str]) -> dict[str, str]:
    extra = {flag: value for flag, value in effective(flags).items() if flag not in _NOT_EXTRA}
    if flags.get("tls-min-version") != "TLS1.3":
        # Empty, it keeps the suites that etcd has by default: the role would choose some of them.
        extra.setdefault("cipher-suites", "")
    return extra


__all__ = ("for_inventory", "templates_in", "variables_of")
