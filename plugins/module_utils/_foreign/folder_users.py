# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else on this host has its certificates in a folder: another cluster's CA would be overwritten there.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import os
import socket
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    deployed_from_arguments,
    deployed_from_text,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import (
    SettingsInEffect,
    is_etcd,
    settings_of_process,
    settings_of_unit,
    starts_etcd,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager

_BOOT = "/proc/sys/kernel/random/boot_id"
_MOST = 20


class FolderUser(t.TypedDict):
    """A unit, or a process, of an etcd with files in the folder. ``cluster``: its token, None where it has none."""

    unit: str | None
    pid: int | None
    cluster: str | None


def folder_identity(folder: str) -> str | None:
    """The same for the same folder of the same running system, under whatever name; None where that can't be told.

    Two hosts of an inventory may be one machine, and two containers have the same kernel.
    """
    real = os.path.realpath(folder)
    there = real
    while not os.path.isdir(there) and there != "/":
        there = os.path.dirname(there)
    try:
        info = os.stat(there)
        boot = (read_file(_BOOT) or b"").decode("ascii", "replace").strip()
    except (OSError, RingfenceError):
        return None
    text = f"{boot} {info.st_dev} {info.st_ino} {os.path.relpath(real, there)}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def folder_users(folder: str, unit: str | None, unit_folders: t.Sequence[str]) -> list[FolderUser]:
    """Units and processes of an etcd other than ``unit`` that have certificates in this folder."""
    found = [*_units(folder, unit, unit_folders)]
    known = {unit, *(one["unit"] for one in found)}
    found += [one for one in _running(folder) if one["unit"] is None or one["unit"] not in known]
    return found[:_MOST]


def _units(folder: str, unit: str | None, unit_folders: t.Sequence[str]) -> t.Iterator[FolderUser]:
    seen = {unit}
    for unit_folder in unit_folders:
        try:
            names = sorted(os.listdir(unit_folder))
        except OSError:
            continue
        for name in names:
            if not name.endswith(".service") or name in seen:
                continue
            # The first folder's counts, as for systemd.
            seen.add(name)
            try:
                text = (read_file(os.path.join(unit_folder, name)) or b"").decode("utf-8", "replace")
            except RingfenceError:
                continue
            if (
                "etcd" in text
                and starts_etcd(text)
                and _is_in(folder, settings_of_unit(text, name, _host(), read_file))
            ):
                yield {"unit": name, "pid": None, "cluster": _token(deployed_from_text(text))}


def _running(folder: str) -> t.Iterator[FolderUser]:
    for pid in processes.all_pids():
        if not is_etcd(processes.program_of(pid) or ""):
            continue
        try:
            facts = manager.process_facts(pid)
        except RingfenceError:
            continue
        if facts is None:
            continue
        settings = settings_of_process(facts["argv"], facts["environment"], processes.working_folder(pid), read_file)
        # By the process's own root: in a container the same path is another folder.
        if any(
            path and _is_same(f"/proc/{pid}/root{os.path.dirname(path)}", folder) for path in settings.files.values()
        ):
            token = _token(deployed_from_arguments(facts["argv"], facts["environment"]))
            yield {"unit": processes.unit_of(pid), "pid": pid, "cluster": token}


def _is_in(folder: str, settings: SettingsInEffect) -> bool:
    real = os.path.realpath(folder)
    return any(path and os.path.realpath(os.path.dirname(path)) == real for path in settings.files.values())


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _token(deployed: t.Mapping[str, t.Any] | None) -> str | None:
    return deployed["flags"].get("initial-cluster-token") if deployed is not None else None


def _host() -> str:
    return socket.gethostname()


__all__ = ("FolderUser", "folder_identity", "folder_users")
