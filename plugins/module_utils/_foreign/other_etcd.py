# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An etcd under our unit's name that is not ours, and what would be lost with it: its data, keys and members.

Debian's package starts such a one, empty and alone, when it is installed. Any other may be somebody's living cluster.
While it runs, what its process has open and answers counts; when it is stopped, its settings count.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import ssl
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import GLANCE_SECONDS, Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import read_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.client_port import (
    client_ports,
    contexts_of,
    first_answer,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import (
    SettingsInEffect,
    settings_of_process,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import describe, os_error, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.manager import process_facts

# How many names are reported; no etcd has more members.
_MEMBERS = 100


class OtherEtcd(t.TypedDict):
    """What there would be to lose. What is not known is None, and then ``problem`` says why."""

    unit_path: str | None
    running: bool
    pid: int | None
    data_dir: str | None
    has_data: bool | None
    key_count: int | None
    members: list[str] | None
    cluster_id: str | None
    problem: str | None


def running_etcd(unit_path: str | None, pid: int, unit_settings: SettingsInEffect | None) -> OtherEtcd:
    """An etcd that runs. ``pid``: the unit's main process. ``unit_told``: what its unit would start, if that is known.

    The unit's text may have been changed since: then data that it names would be lost as well.
    """
    found = _nothing(unit_path, running=True)
    found["pid"] = pid
    files = {other: processes.open_files(other) for other in processes.together_with(pid)}
    if files[pid] is None:
        return _with_problem(found, f"what process {pid} has open can't be seen by the user that this runs as")
    folders = {other: processes.data_folders(names or ()) for other, names in files.items()}
    holders = [other for other in folders if folders[other]]
    if len(holders) != 1 or len(folders[holders[0]]) != 1:
        several = sorted({folder for names in folders.values() for folder in names})
        what = f"has several data folders open ({', '.join(several)})" if several else "has no data folder of etcd open"
        return _with_problem(found, f"process {pid} {what}")
    etcd = holders[0]
    found["pid"], found["data_dir"], found["has_data"] = etcd, folders[etcd][0], True
    settings = _settings_of(etcd)
    try:
        # In a container or behind a change of root the path may be none of this host's.
        identity = read_identity(folders[etcd][0], settings.wal_dir)
    except RingfenceError:
        identity = None
    found["cluster_id"] = identity[1] if identity else None
    _answers(found, client_ports(files[etcd] or (), settings.listen_client_urls), settings)
    if found["problem"] is None and unit_settings is not None:
        named = [
            path
            for path in unit_settings.folders
            if not is_same_path(path, found["data_dir"]) and path != settings.wal_dir
        ]
        others = [path for path in named if _holds_data(path) is not False]
        if others:
            return _with_problem(found, f"its unit now names {', '.join(others)}, where there is data too")
    return found


def stopped_etcd(unit_path: str | None, settings: SettingsInEffect) -> OtherEtcd:
    """An etcd that does not run: whether there is any data where its settings say."""
    found = _nothing(unit_path, running=False)
    problem = settings.problem or program_problem(settings.program)
    if problem is not None or settings.data_dir is None:
        return _with_problem(found, problem or "its data folder is not known")
    found["data_dir"] = settings.data_dir
    holds = [_holds_data(path) for path in settings.folders]
    if None in holds:
        return _with_problem(found, f"{settings.folders[holds.index(None)]} can't be looked into")
    found["has_data"] = any(holds)
    if not found["has_data"]:
        found["key_count"], found["members"] = 0, []
        return found
    try:
        identity = read_identity(settings.data_dir, settings.wal_dir)
    except RingfenceError:
        identity = None
    found["cluster_id"] = identity[1] if identity else None
    return found


def unknown_etcd(unit_path: str | None, problem: str) -> OtherEtcd:
    """Nothing is known of what is under our unit's name."""
    return _with_problem(_nothing(unit_path, running=False), problem)


def _nothing(unit_path: str | None, running: bool) -> OtherEtcd:
    return {
        "unit_path": unit_path,
        "running": running,
        "pid": None,
        "data_dir": None,
        "has_data": None,
        "key_count": None,
        "members": None,
        "cluster_id": None,
        "problem": None,
    }


def _with_problem(found: OtherEtcd, problem: str) -> OtherEtcd:
    found["problem"] = " ".join(problem.split())
    return found


def _settings_of(pid: int) -> SettingsInEffect:
    try:
        facts = process_facts(pid)
    except RingfenceError as exc:
        return SettingsInEffect(problem=str(exc))
    if facts is None:
        return SettingsInEffect(problem=f"process {pid} has ended")
    return settings_of_process(facts["argv"], facts["environment"], processes.working_folder(pid), read_file)


def _answers(found: OtherEtcd, addresses: t.Sequence[tuple[str, int]], settings: SettingsInEffect) -> None:
    """Keys, members and cluster as one of the ports answers; the failure at the most likely one where none does."""
    found["problem"] = first_answer(
        addresses, contexts_of(settings.files), lambda url, context: _answer(found, url, context)
    )


def _answer(found: OtherEtcd, url: str, context: ssl.SSLContext | None) -> None:
    client = Client(context, GLANCE_SECONDS)
    status = client.status(url)
    if not int(status.cluster_id, 16) or not int(status.member_id, 16):
        raise ApiError(f"{url}: not etcd's answer", url=url)
    listed = client.member_list(url)
    if status.member_id not in {member.member_id for member in listed}:
        raise ApiError(f"{url}: it is not among the members that it lists", url=url)
    names = [member.name or ", ".join(member.peer_urls) or member.member_id for member in listed]
    count = client.count_keys(url) + client.count_v2_keys(url)
    found["key_count"], found["cluster_id"] = count, status.cluster_id
    found["members"] = [name[:_MEMBERS] for name in names[:_MEMBERS]]


def program_problem(program: str | None) -> str | None:
    """A program that is called etcd may be a script that gives etcd further settings."""
    if program is None or not os.path.isabs(program):
        return None
    try:
        with open(program, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
            head = stream.read(4)
    except FileNotFoundError:
        return None
    except OSError as exc:
        return str(os_error("read", program, exc))
    return None if head == b"\x7fELF" else f"{program} is a script, or a program that can't be looked into"


def _holds_data(folder: str) -> bool | None:
    """Whether a data folder, or a folder of logs, holds an etcd's data; None where that can't be seen."""
    try:
        if describe(os.path.join(folder, "member"))["state"] != "absent":
            return True
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".wal") for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, RingfenceError):
        return None


def is_same_path(path: str, other: str | None) -> bool:
    """Whether two paths lead to the same place, which need not exist."""
    return other is not None and os.path.realpath(path) == os.path.realpath(other)


__all__ = (
    "OtherEtcd",
    "is_same_path",
    "program_problem",
    "running_etcd",
    "stopped_etcd",
    "unknown_etcd",
)
