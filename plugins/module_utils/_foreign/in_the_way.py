# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else on this host uses what a member is going to use: its ports, its data folder, or both at the next boot.

Two that want the same would fight for it: the one that comes second ends and is started again, for ever. So whoever is
there is found before anything is written, under whatever name it runs, or under none.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import IPAddress
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import read_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.other_etcd import is_same_path, program_problem
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import (
    SettingsInEffect,
    settings_of_unit,
    starts_etcd,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    exec_command,
    parse_unit,
)

# What systemd starts by itself at a boot.
_STARTED_AT_BOOT = ("enabled", "enabled-runtime", "generated")
# Nobody would read a longer list of units and processes.
_MOST = 20


class InTheWay(t.TypedDict):
    """A process that has what the member is to have, or a unit that would take it when it is started.

    ``what``: ``process``, ``unit``, or ``unknown`` where nobody can see who is there; then ``problem`` says why.
    ``listens``: the member's addresses and ports that it has, or would have. ``data_dir``: where its data is, and
    ``uses_data`` whether that is the member's data folder. ``managed``: whether it carries this collection's
    configuration hash. ``enabled``: whether systemd starts it at a boot.
    """

    what: str
    unit: str | None
    pid: int | None
    program: str | None
    listens: list[str]
    data_dir: str | None
    uses_data: bool
    cluster_id: str | None
    managed: bool
    enabled: bool
    problem: str | None


@dataclass(frozen=True)
class MemberNeeds:
    """What the member is going to use. ``unit``: its own name. ``folders``: where units are looked for."""

    unit: str
    data_dir: str | None
    listen_urls: tuple[str, ...]
    folders: tuple[str, ...]

    def addresses(self) -> list[tuple[IPAddress, int, str]]:
        """Address, port, and how both are written, for each URL whose host is an address."""
        found = []
        for url in self.listen_urls:
            address, port = _address(url)
            if address is not None and port is not None:
                found.append((address, port, urllib.parse.urlsplit(url).netloc))
        return found


def in_the_way(wanted: MemberNeeds, main_pid: int) -> list[InTheWay]:
    """Everybody but the unit's own processes. ``main_pid``: the unit's main process, 0 where none runs."""
    own = processes.together_with(main_pid) if main_pid else []
    try:
        found = [*_processes_in_the_way(wanted, own), *_units_in_the_way(wanted)]
    except (OSError, RingfenceError) as exc:
        return [{**_nobody("unknown"), "problem": " ".join(str(exc).split())}]
    return found[:_MOST]


def _nobody(what: str) -> InTheWay:
    return {
        "what": what,
        "unit": None,
        "pid": None,
        "program": None,
        "listens": [],
        "data_dir": None,
        "uses_data": False,
        "cluster_id": None,
        "managed": False,
        "enabled": False,
        "problem": None,
    }


# Processes ------------------------------------------------------------------------------------------------------------


def _processes_in_the_way(wanted: MemberNeeds, own: t.Sequence[int]) -> list[InTheWay]:
    taken: dict[int, list[str]] = {}
    own_sockets = {inode for pid in own for inode in processes.socket_inodes(processes.open_files(pid) or ())}
    for listener in processes.listeners():
        names = [name for address, port, name in wanted.addresses() if listener.takes(address, port)]
        if names and listener.inode not in own_sockets:
            taken.setdefault(listener.inode, []).extend(names)
    data = wanted.data_dir
    watches_data = data is not None and not any(processes.has_database_open(pid, data) for pid in own)
    if not taken and not watches_data:
        return []
    found: dict[int, InTheWay] = {}
    held: set[int] = set()
    for pid in processes.all_pids():
        # The unit's own processes once more, by its name: they may have come since they were asked for.
        is_own = pid in own or processes.unit_of(pid) == wanted.unit
        files = processes.open_files(pid) or ()
        inodes = processes.socket_inodes(files) & taken.keys()
        held |= inodes
        folders = processes.data_folders(files)
        uses_data = bool(folders) and not is_own and data is not None and processes.has_database_open(pid, data)
        if (inodes or uses_data) and not is_own:
            names = sorted({name for inode in inodes for name in taken[inode]})
            found[pid] = _process(pid, names, folders, uses_data)
    hidden = sorted({name for inode in taken.keys() - held for name in taken[inode]})
    unseen: list[InTheWay] = [{**_nobody("process"), "listens": hidden}] if hidden else []
    return [*(found[pid] for pid in sorted(found)), *unseen]


def _process(pid: int, listens: list[str], folders: t.Sequence[str], uses_data: bool) -> InTheWay:
    folder = folders[0] if folders else None
    cluster_id = None
    if folder is not None:
        try:
            identity = read_identity(folder)
            cluster_id = identity[1] if identity else None
        except RingfenceError:
            cluster_id = None
    return {
        **_nobody("process"),
        "unit": processes.unit_of(pid),
        "pid": pid,
        "program": processes.program_of(pid),
        "listens": listens,
        "data_dir": folder,
        "uses_data": uses_data,
        "cluster_id": cluster_id,
        "managed": _is_hashed(pid),
    }


def _is_hashed(pid: int) -> bool:
    try:
        facts = manager.process_facts(pid)
    except RingfenceError:
        return False
    return facts is not None and facts["environ_hash"] is not None


# Units ----------------------------------------------------------------------------------------------------------------


def _units_in_the_way(wanted: MemberNeeds) -> list[InTheWay]:
    """Units of an etcd that do not run now: those that do were found by what they have open."""
    if not manager.is_available():
        return []
    found = []
    seen = {wanted.unit}
    for name in _units_of_etcd(wanted):
        properties = manager.show(name)
        path = properties.get("FragmentPath", "")
        is_known = properties.get("Id", name) in seen
        seen.add(properties.get("Id", name))
        # Another name of one that was seen, one that is masked, one that runs.
        if is_known or path in ("", "/dev/null") or manager.main_pid(properties):
            continue
        one = _unit(name, properties, path, wanted)
        if one is not None:
            found.append(one)
    return found


def _unit(name: str, properties: t.Mapping[str, str], path: str, wanted: MemberNeeds) -> InTheWay | None:
    enabled = properties.get("UnitFileState") in _STARTED_AT_BOOT
    one: InTheWay = {**_nobody("unit"), "unit": name, "enabled": enabled}
    try:
        own_text = _text(path)
        text = "\n".join([own_text, *(_text(drop_in) for drop_in in properties.get("DropInPaths", "").split())])
    except RingfenceError as exc:
        return {**one, "problem": str(exc)} if enabled else None
    one["managed"] = configuration_hash_of(own_text) is not None
    if dict(parse_unit(text).get("Service", [])).get("Type") == "oneshot":
        # A backup, a defragmentation: nothing that stays.
        return None
    command = exec_command(text)
    if not starts_etcd(text) and command and program_problem(command[0]) is None:
        # Called after etcd and no etcd: an exporter of metrics, say. A script may be anything.
        return None
    settings = settings_of_unit(text, name, socket.gethostname(), read_file)
    problem = settings.problem or program_problem(settings.program)
    if problem is not None:
        return {**one, "problem": problem} if enabled else None
    one["data_dir"] = settings.data_dir
    one["uses_data"] = any(is_same_path(folder, wanted.data_dir) for folder in settings.folders)
    one["listens"] = _wanted_twice(settings, wanted)
    return one if one["uses_data"] or (enabled and one["listens"]) else None


def _wanted_twice(settings: SettingsInEffect, wanted: MemberNeeds) -> list[str]:
    """The member's places that another's URLs take as well. A name for a host may be any address."""
    found = set()
    for url in (*settings.listen_peer_urls, *settings.listen_client_urls):
        address, port = _address(url)
        for wanted_address, wanted_port, name in wanted.addresses():
            if port == wanted_port and (
                address is None or processes.Listener(address, port, 0).takes(wanted_address, wanted_port)
            ):
                found.add(name)
    return sorted(found)


def _units_of_etcd(wanted: MemberNeeds) -> list[str]:
    """Names of units that are called after etcd, or start it; each of a template's instances that systemd starts."""
    files: dict[str, str] = {}
    started: set[str] = set()
    for folder in wanted.folders:
        for name in _names_in(folder):
            if name.endswith(".service"):
                files.setdefault(name, os.path.join(folder, name))
            elif name.endswith((".wants", ".requires")):
                started.update(_names_in(os.path.join(folder, name)))
    found: set[str] = set()
    for name, path in files.items():
        if name == wanted.unit or not ("etcd" in name.lower() or _mentions_etcd(path)):
            continue
        prefix, at, rest = name.partition("@")
        if at and rest == ".service":
            found.update(one for one in started if one.startswith(f"{prefix}@") and one != name)
        else:
            found.add(name)
    return sorted(found - {wanted.unit})


def _mentions_etcd(path: str) -> bool:
    try:
        content = read_file(path) or b""
    except RingfenceError:
        # Not called after etcd and not to be read: a device (a unit that is masked), or a pipe.
        return False
    return b"etcd" in content and starts_etcd(content.decode("utf-8", "replace"))


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _text(path: str) -> str:
    content = read_file(path)
    return "" if content is None else content.decode("utf-8", "replace")


def _address(url: str) -> tuple[IPAddress | None, int | None]:
    """Address and port of a URL; no address where its host is a name."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None, None
    if host == "localhost":
        host = "127.0.0.1"
    try:
        return ipaddress.ip_address(host or ""), port
    except ValueError:
        return None, port


__all__ = ("InTheWay", "MemberNeeds", "in_the_way")
