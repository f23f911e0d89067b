# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a unit can't be put in place on a host, or would not be read there: masked, a link, an alias, a transient one.

Found before anything is written, and named for what it is, with the command that removes it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_is_valid

# Of these systemd takes a unit before any other folder's, the first one first (systemd.unit(5)).
_BEFORE_ALL = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
)
# Then these, in this order.
_IN_ORDER = (
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)


def unit_obstacle(unit: str, unit_directory: str, properties: t.Mapping[str, str]) -> str | None:
    """What is in the way of the unit's file in this folder; None where nothing is.

    ``properties``: systemd's word on the unit; empty where it is not to be asked, or does not read the folder.
    """
    path = os.path.join(unit_directory, unit)
    target = _target(path)
    if target is not None and os.path.realpath(path) == "/dev/null" and not properties:
        return f"{path} is a link to /dev/null, which masks it: rm {path}"
    fragment = properties.get("FragmentPath", "")
    if properties.get("LoadState") == "masked" or properties.get("UnitFileState", "").startswith("masked"):
        runtime = "--runtime " if properties.get("UnitFileState") == "masked-runtime" else ""
        return f"{unit} is masked, so that nobody can start it: systemctl unmask {runtime}{unit}"
    if properties.get("Id", unit) != unit:
        return (
            f"{unit} is another name (an alias) of {properties['Id']}{_at(fragment)}: systemctl disable "
            f"{properties['Id']}, which takes the name away, or name another etcd_peer_tls_unit"
        )
    if target is not None:
        return (
            f"{path} is a link to {os.path.join(unit_directory, target)} (systemctl link?): systemctl disable {unit} "
            "takes the link away, or name another etcd_peer_tls_unit"
        )
    if fragment and _goes_before(os.path.dirname(fragment), unit_directory):
        if properties.get("UnitFileState") == "transient":
            return f"{unit} was made by systemd-run{_at(fragment)}: systemctl stop {unit} takes it away"
        return (
            f"{fragment} is taken by systemd before {path}, which nobody would read: take it away, or name "
            f"etcd_peer_tls_unit_directory: {os.path.dirname(fragment)}"
        )
    drop_ins = properties.get("DropInPaths", "")
    if drop_ins and properties.get("LoadState") in ("bad-setting", "error") and _is_whole(fragment):
        return (
            f"systemd can't load {unit} ({properties['LoadState']}), which its drop-ins change ({drop_ins}): mend them "
            f"(systemd-analyze verify {unit})"
        )
    return None


def _target(path: str) -> str | None:
    """Where a link leads; None for whatever is none, or is out of reach."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _is_whole(path: str) -> bool:
    """Whether the unit's own text is as it was written, so that writing it anew would mend nothing."""
    try:
        return configuration_hash_is_valid((read_file(path) or b"").decode("utf-8", "replace"))
    except RingfenceError:
        return False


def _at(fragment: str) -> str:
    return f" ({fragment})" if fragment else ""


def _goes_before(folder: str, unit_directory: str) -> bool:
    """Whether systemd takes a unit of one folder where the other has one of that name too."""
    known = [os.path.realpath(path) for path in (*_BEFORE_ALL, *_IN_ORDER)]
    here, there = os.path.realpath(folder), os.path.realpath(unit_directory)
    return here in known and there in known and known.index(here) < known.index(there)


__all__ = ("unit_obstacle",)
