# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of hosts with every documented key, made of the few that a test is about."""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import Kind
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import PROBE

_EMPTY: dict[str, t.Any] = {"str": "", "int": 0, "bool": False, "float": 0.0}

# What has to have a form.
_FORMED = {
    **dict.fromkeys(("time", "not_before", "not_after"), "2026-01-01T00:00:00Z"),
    **dict.fromkeys(("fingerprint", "serial_number", "configuration_hash", "member_id", "cluster_id"), "00"),
}
_FACTS = {"key_algorithm": "ecdsa-p256", "is_ca": False}
_USER = {"name": "etcd", "exists": True, "module_user": "root", "may_own": True}


def whole(kinds: t.Mapping[str, Kind], some: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What is given, and what lacks as null or empty. What is given wrong stays so."""
    lacking = {name: _nothing(kind, name) for name, kind in kinds.items() if kind.is_required and name not in some}
    return {**{name: _whole(kinds[name], found) if name in kinds else found for name, found in some.items()}, **lacking}


def whole_state(some: t.Any) -> t.Any:
    """A result of etcd_peer_probe; what has no credentials in its ``info`` is none and stays as it is."""
    info = some.get("info") if isinstance(some, dict) else None
    if not isinstance(info, dict) or "credentials" not in info:
        return some
    found: dict[str, t.Any] = whole(PROBE.fields, {**some, "info": {"user": _USER, **info}})
    leaf = found["info"]["credentials"]["certificate"]
    if isinstance(leaf, dict) and leaf["fingerprint"] is not None:
        # Facts of a certificate come together.
        leaf.update({name: value for name, value in _FACTS.items() if leaf[name] is None})
    return found


def whole_states(some: t.Any) -> t.Any:
    return {name: whole_state(state) for name, state in some.items()} if isinstance(some, dict) else some


def _whole(kind: Kind, found: t.Any) -> t.Any:
    if kind.type == "dict" and kind.fields is not None and isinstance(found, dict):
        return whole(kind.fields, found)
    if kind.type == "list" and kind.elements is not None and isinstance(found, list):
        return [_whole(kind.elements, item) for item in found]
    return found


def _nothing(kind: Kind, name: str) -> t.Any:
    if kind.is_nullable:
        return None
    if kind.type == "dict":
        return whole(kind.fields or {}, {})
    return [] if kind.type == "list" else _FORMED.get(name, _EMPTY[kind.type])
