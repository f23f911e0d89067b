# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every etcd that runs on this host, whoever deployed it: what its process was given, where it listens, its answers.

A process is one where it has an etcd's database open, whatever it is called and whichever unit or container it belongs
to. Read only. Of what its settings name only certificates are told: a private key never leaves the host.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import GLANCE_SECONDS, Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS, ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import AUTH, ApiError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_flags import is_flag
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.client_port import (
    client_ports,
    contexts_of,
    first_answer,
    nameless_of,
    port_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import (
    UnknownSettings,
    config_settings,
    is_etcd,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.started_by import (
    SERVICE,
    is_the_hosts_own,
    starter_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import group_name, owner_name, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.process_root import host_path
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, pem_text, split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager

# Where settings come from.
FLAG, ENVIRONMENT, CONFIG_FILE = "flag", "environment", "config_file"

_LIST_FLAG = "peer-cert-allowed-cn"
# The flags that are told, by their beginning. Variables of images (ETCD_ROOT_PASSWORD) would be flags like any other.
_TOLD = (
    *("advertise-", "auto-tls", "cert-file", "client-", "config-file", "data-dir", "experimental-peer-", "initial-"),
    *("key-file", "listen-", "name", "peer-", "tls-", "trusted-ca-file", "wal-dir"),
)
# Variables that etcd reads beside its flags' ones, and that are not ignored where a configuration file is given.
_NOT_FLAGS = ("ETCD_CONFIG_FILE", "ETCD_UNSUPPORTED_ARCH", "ETCD_VERIFY")
_AS_WHOM = (
    "RBAC is on there: name a user (etcd_peer_tls_api_user, etcd_peer_tls_api_password), and for a client port with "
    "TLS a pair without a common name (etcd_peer_tls_api_cert_file, etcd_peer_tls_api_key_file)"
)
# A host has a few at most.
_MOST = 16
_BUNDLE_CERTIFICATES = 50
# The kernel counts a start in hundredths of a second, from a clock that is set right now and then.
_MOMENT = 1.0


def running_members(
    pids: t.Collection[int] | None = None, all_flags: bool = False, access: ApiAccess = NO_ACCESS
) -> tuple[list[dict[str, t.Any]], list[str]]:
    """The facts of every etcd that runs on this host, and what could not be seen. ``pids``: these processes alone.

    ``all_flags``: of its settings all that are flags of etcd, and not only those that say how its ports are guarded.
    ``access``: as whom it is asked under RBAC, where root or systemd has started it. Any user could start a process
    that looks like an etcd, and would be told the password.
    """
    found: list[dict[str, t.Any]] = []
    problems: list[str] = []
    for pid in processes.all_pids() if pids is None else sorted(pids):
        name = processes.program_of(pid)
        if name is None:
            continue
        files = processes.open_files(pid)
        if files is None:
            if is_etcd(name) and processes.program_of(pid) is not None:
                problems.append(f"process {pid} is called {name}, and this user may not see what it has open")
            continue
        folders = processes.data_folders(files)
        if not folders:
            if is_etcd(name) and not _is_no_member(pid):
                problems.append(f"process {pid} is called {name}, and has no data of etcd open: it may be starting")
            continue
        if len(found) == _MOST:
            problems.append(f"more than {_MOST} processes have data of etcd open: the others were not looked at")
            break
        facts = _facts(pid, files, folders[0], all_flags, access)
        if facts is not None:
            found.append(facts)
    return found, problems


def _is_no_member(pid: int) -> bool:
    """Whether it is etcd's program in another role: a gateway, a proxy, or one that prints its version."""
    try:
        facts = manager.process_facts(pid)
    except RingfenceError:
        return False
    words = facts["argv"][1:] if facts is not None else ["gone"]
    return bool(words) and (not words[0].startswith("-") or words[0].lstrip("-") in ("version", "help", "h"))


class _Told(t.NamedTuple):
    """What a process was told, and from where. ``ignored``: of flags and variables, where a file takes their place."""

    deployed: Deployed | None = None
    problem: str | None = None
    source: str | None = None
    list_source: str | None = None
    config_file: str | None = None
    ignored_keys: tuple[str, ...] = ()
    ignored_settings: tuple[str, ...] = ()


def _facts(
    pid: int, files: t.Sequence[str], data_dir: str, all_flags: bool, access: ApiAccess
) -> dict[str, t.Any] | None:
    try:
        process = manager.process_facts(pid)
    except RingfenceError as exc:
        process, told = None, _Told(problem=str(exc))
    else:
        if process is None:
            return None
        told = _told(pid, process["argv"], process["environment"])
    argv = process["argv"] if process is not None else []
    unit = processes.unit_of(pid)
    starter = starter_of(pid, argv, unit)
    settings = told.deployed
    paths = {} if settings is None else settings["files"]
    has_own_network = processes.namespace_is_ours(pid, "net") is False
    listens = _listens(pid, files, settings)
    material = {
        key: _certificates(pid, paths.get(flag))
        for key, flag in (
            ("peer_certificate", "peer_cert_file"),
            ("peer_authority", "peer_trusted_ca_file"),
            ("client_authority", "trusted_ca_file"),
        )
    }
    return {
        "pid": pid,
        "program": argv[0] if argv else None,
        "unit": unit,
        "kind": starter.kind,
        "engine": starter.engine,
        "container_id": starter.container_id,
        "definition": starter.definition,
        "environment_files": manager.environment_files(unit) if starter.kind == SERVICE and unit else [],
        "data_dir": data_dir,
        "config_file": told.config_file,
        "settings_source": told.source,
        "list_source": told.list_source,
        "settings": None if settings is None else _shortened(settings, all_flags),
        "unknown_settings": []
        if settings is None
        else sorted(flag for flag in settings["flags"] if not _is_known(flag)),
        "managed": process is not None and process["environ_hash"] is not None,
        **_user(pid),
        "settings_problem": told.problem,
        "ignored_keys": list(told.ignored_keys),
        "ignored_settings": list(told.ignored_settings),
        "newer_files": _newer(pid, [told.config_file, paths.get("peer_trusted_ca_file")]),
        "listens": listens,
        "has_own_network": has_own_network,
        **material,
        "files": {
            key: _found(pid, paths.get(key)) for key in ("peer_cert_file", "peer_key_file", "peer_trusted_ca_file")
        },
        **_answered(pid, files, settings, has_own_network, access if is_the_hosts_own(pid, unit) else NO_ACCESS),
    }


def _told(pid: int, argv: t.Sequence[str], environment: t.Mapping[str, str]) -> _Told:
    if not is_etcd(argv[0]):
        return _Told(problem=f"it is {os.path.basename(argv[0])}, which tells its etcd the settings by itself")
    deployed = deployed_from_arguments(argv, environment)
    flags = deployed_from_arguments(argv)["flags"]
    config_file = deployed["flags"].get("config-file")
    if not config_file:
        sources = [name for name, given in ((FLAG, flags), (ENVIRONMENT, environment)) if given]
        source = FLAG if _LIST_FLAG in flags else ENVIRONMENT if _LIST_FLAG in deployed["flags"] else None
        return _Told(deployed, source="_and_".join(sources) or FLAG, list_source=source)
    ignored = [f"--{flag}" for flag in flags if flag != "config-file"]
    ignored += [name for name, value in environment.items() if value and name not in _NOT_FLAGS]
    told = _Told(source=CONFIG_FILE, config_file=config_file, ignored_settings=tuple(sorted(ignored)))
    try:
        found = config_settings(host_path(pid, config_file), read_file)
    except (RingfenceError, UnknownSettings) as exc:
        return told._replace(problem=str(exc))
    list_source = CONFIG_FILE if _LIST_FLAG in found.deployed["flags"] else None
    deployed = t.cast(Deployed, {**found.deployed, "program": argv[0]})
    return told._replace(deployed=deployed, ignored_keys=found.ignored, list_source=list_source)


def _shortened(settings: Deployed, all_flags: bool) -> dict[str, t.Any]:
    flags = {
        flag: value
        for flag, value in settings["flags"].items()
        if flag.startswith(_TOLD) or (all_flags and _is_known(flag))
    }
    return {**settings, "flags": flags}


def _is_known(flag: str) -> bool:
    """Whether etcd reads it. Of what it does not read a variable may hold a secret, and only the name is told."""
    return is_flag(flag) or f"ETCD_{flag.upper().replace('-', '_')}" in _NOT_FLAGS


def _user(pid: int) -> dict[str, str | None]:
    """The user and the group that the process runs as."""
    try:
        info = os.stat(f"/proc/{pid}")
    except OSError:
        return {"owner": None, "owner_group": None}
    return {"owner": owner_name(info.st_uid), "owner_group": group_name(info.st_gid)}


def _newer(pid: int, paths: t.Iterable[str | None]) -> list[str]:
    """Of files that etcd reads at its start alone, those that were written since."""
    started = processes.started_at(pid)
    found = []
    for path in paths:
        if path and started is not None:
            try:
                if os.stat(host_path(pid, path)).st_mtime > started + _MOMENT:
                    found.append(path)
            except (OSError, RingfenceError):
                continue
    return found


def _listens(pid: int, files: t.Iterable[str], settings: Deployed | None) -> list[dict[str, t.Any]]:
    """The sockets that listen at the ports of its peer URLs, as the kernel shows them."""
    if settings is None:
        return []
    ports = {port_of(url) for url in settings["listen_peer_urls"]}
    inodes = processes.socket_inodes(files)
    try:
        sockets = [one for one in processes.listeners(pid) if one.inode in inodes and one.port in ports]
    except OSError:
        return []
    return [{"address": str(one.address), "port": one.port} for one in sockets]


def _found(pid: int, path: str | None) -> str | None:
    """Where this host has a file of the process."""
    try:
        return host_path(pid, path) if path else None
    except RingfenceError:
        return None


def _certificates(pid: int, path: str | None) -> dict[str, t.Any]:
    """The certificates in a file, and nothing else that may be in it."""
    found: dict[str, t.Any] = {"path": path, "pem": None, "problem": None}
    if path is None:
        return found
    try:
        content = read_file(host_path(pid, path))
        if content is None:
            found["problem"] = f"there is no {path}"
            return found
        blocks = [block for block in split_pem(content, path) if block.label == CERTIFICATE_LABEL]
        if len(blocks) > _BUNDLE_CERTIFICATES:
            found["problem"] = f"{path} has more than {_BUNDLE_CERTIFICATES} certificates"
        elif not blocks:
            found["problem"] = f"{path} holds no certificate"
        else:
            found["pem"] = b"".join(pem_text(CERTIFICATE_LABEL, block.der) for block in blocks).decode("ascii")
    except RingfenceError as exc:
        found["problem"] = str(exc)
    return found


def _answered(
    pid: int, files: t.Sequence[str], settings: Deployed | None, has_own_network: bool, access: ApiAccess
) -> dict[str, t.Any]:
    """Its version and members, as it answers them at its own client port."""
    found: dict[str, t.Any] = {
        "version": None,
        "live_members": None,
        "live_member_id": None,
        "live_cluster_id": None,
        "live_members_problem": None,
    }
    if has_own_network:
        found["live_members_problem"] = "it has a network of its own, in which this host can't ask it"
        return found

    own = {key: _found(pid, path) for key, path in (settings["files"] if settings is not None else {}).items()}

    def ask(url: str, context: t.Any) -> None:
        client = Client(context, GLANCE_SECONDS, access, None if context is None else nameless_of(own, access))
        try:
            found["version"] = client.version(url)
            status = client.status(url)
            members = client.member_list(url)
        except ApiError as exc:
            if exc.kind != AUTH or access.user is not None:
                raise
            raise ApiError(f"{exc}: {_AS_WHOM}", code=exc.code, kind=exc.kind) from None
        found["live_member_id"], found["live_cluster_id"] = status.member_id, status.cluster_id
        found["live_members"] = [
            {"member_id": member.member_id, "name": member.name, "peer_urls": list(member.peer_urls)}
            for member in members
        ]

    addresses = client_ports(files, settings["listen_client_urls"] if settings is not None else ())
    found["live_members_problem"] = first_answer(addresses, contexts_of(own), ask)
    return found


__all__ = (
    "CONFIG_FILE",
    "ENVIRONMENT",
    "FLAG",
    "running_members",
)
