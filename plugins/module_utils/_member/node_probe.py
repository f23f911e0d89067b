# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole answer of one node: its state, its pending changes, and what it gets at the others' ports.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import Deployed, deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import PROBE_SECONDS, check_range
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    CLIENT,
    CLIENT_PEER,
    CLIENT_UNKNOWN_CA,
    MEMBER,
    NO_CERTIFICATE,
    REVOKED,
    STRANGER,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS, ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.live import (
    NOT_ASKED,
    SETTLE_SECONDS,
    Entrance,
    entrance_of,
    live_facts,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.client_calls import (
    client_callers,
    client_probe,
    client_targets,
    https_targets,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.client_files import client_files_problem
from ansible_collections.ringfence.etcd.plugins.module_utils._member.info import files_facts, peer_info
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import WantedUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.pending_changes import (
    WantedHost,
    host_pending_changes,
    unit_overrides,
    unit_problem,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.revocation import usable_revoked
from ansible_collections.ringfence.etcd.plugins.module_utils._node.access import find_barriers, identity_of
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import (
    read_certificate,
    read_certificates,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.processes import as_process_sees
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import Material, check_pair
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import as_result
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    client_context,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import (
    Caller,
    Target,
    as_probe,
    call_all,
    target_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager


def probe_node(
    params: t.Mapping[str, t.Any], now: datetime.datetime, access: ApiAccess = NO_ACCESS
) -> dict[str, t.Any]:
    """The whole answer of ``etcd_peer_probe`` from its options."""
    with manager.one_look():
        return _probe_node(params, now, access)


def _probe_node(params: t.Mapping[str, t.Any], now: datetime.datetime, access: ApiAccess) -> dict[str, t.Any]:
    timeout_seconds: float = params["timeout_seconds"]
    check_range("timeout_seconds", timeout_seconds, *PROBE_SECONDS)
    members = [target_of(str(given.get("name")), str(given.get("peer_url"))) for given in params["members"]]
    names = [member.name for member in members]
    if params["name"] not in names:
        listed = ", ".join(names) or "none"
        raise InputError(f"name: {params['name']} is not among members ({listed}): list all members, this one too")
    # Alone it calls itself: a fence round one member is a fence as well.
    targets = [member for member in members if member.name != params["name"]] or members
    planned = _planned(params)
    info = peer_info(
        directory=params["directory"],
        name=params["name"],
        owner=params["owner"],
        etcd_binary=params["etcd_binary"],
        unit=params["unit"],
        unit_directory=params["unit_directory"],
        data_dir=params["data_dir"],
        now=now,
        # Without a service to start here, nothing can be in its way.
        listen_urls=[*planned["listen_peer_urls"], *planned["listen_client_urls"], *_metrics_urls(planned)]
        if planned is not None and params["manage_service"]
        else None,
        wal_dir=None if planned is None else _wal_dir(planned),
        is_wanted=planned is not None,
    )
    found: dict[str, t.Any] = {
        "name": params["name"],
        "time": iso_time(now),
        "called": params["call"] == "always" or (params["call"] == "running" and info["process"]["running"]),
        "probes": [],
        "client_probes": [],
        "problem": None,
        "client_problem": None,
        "unreadable_files": [],
        "revoked": [],
        "revocation_list_problem": None,
        "process_credentials": process_credentials(info, now),
        **_live(params, info, access),
        "pending": None,
        "unit_problem": None,
        "unit_overrides": [],
        "info": info,
    }
    if params["unit_content"] is not None:
        wanted = _wanted(params, info)
        found.update(
            pending=host_pending_changes(wanted),
            unit_problem=unit_problem(wanted, info["process"]["pid"]) or _client_files_problem(params, info, planned),
        )
        found["unit_overrides"] = unit_overrides(wanted)
    if found["called"]:
        found.update(_probed(params, targets, info, now))
    return found


def _client_files_problem(
    params: t.Mapping[str, t.Any], info: t.Mapping[str, t.Any], planned: Deployed | None
) -> str | None:
    process = info["process"]
    if planned is None or not params["manage_service"] or not process["configuration_hash"]:
        return None
    return client_files_problem(planned, process["settings"], process["newer_files"], params["owner"])


def _planned(params: t.Mapping[str, t.Any]) -> Deployed | None:
    """What the member is going to be started with; None where the caller does not ask for pending changes."""
    return None if params["unit_content"] is None else deployed_from_text(params["unit_content"])


def _wal_dir(planned: Deployed) -> str:
    """Where the member's log is going to be, which need not be where it was so far."""
    return planned["flags"].get("wal-dir") or os.path.join(planned["data_dir"], "member", "wal")


def _metrics_urls(planned: Deployed) -> list[str]:
    return [url for url in planned["flags"].get("listen-metrics-urls", "").split(",") if url]


def _live(params: t.Mapping[str, t.Any], info: t.Mapping[str, t.Any], access: ApiAccess) -> dict[str, t.Any]:
    """What the member itself reports of its cluster, whether or not the others are called."""
    if not (params["call"] == "always" or info["process"]["running"] or info["data"]["exists"]):
        return dict(NOT_ASKED)
    given = Entrance(
        params["client_url"], params["client_ca_file"], params["client_cert_file"], params["client_key_file"], access
    )
    # A process that no unit here started may be any etcd; with the files that were given, it has to be this one.
    settings = info["process"]["settings"] if info["process"]["configuration_hash"] else None
    return live_facts(entrance_of(settings, given), SETTLE_SECONDS if info["process"]["running"] else 0.0)


def _wanted(params: t.Mapping[str, t.Any], info: t.Mapping[str, t.Any]) -> WantedHost:
    unit = WantedUnit(
        name=params["unit"],
        text=params["unit_content"],
        member_name=params["name"],
        data_dir=params["data_dir"],
        owner=params["owner"],
        group=params["group"],
        unit_directory=params["unit_directory"] or WantedUnit.unit_directory,
        directory=params["directory"],
        disconnect_revoked=params["disconnect_revoked"],
    )
    found = info["credentials"]
    return WantedHost(
        params["directory"],
        unit,
        params["manage_service"],
        found["ca"]["pem"],
        found["certificate"]["pem"],
        params["revocation_list"],
    )


def _probed(
    params: t.Mapping[str, t.Any], targets: t.Sequence[Target], info: t.Mapping[str, t.Any], now: datetime.datetime
) -> dict[str, t.Any]:
    """What this host meets, as itself and as others."""
    # Before any thread is there that may hang in the name service: it forks, and the child asks that service as well.
    unreadable = unreadable_files(info, params["owner"])
    revoked, revocation_list_problem = _own_revoked(info)
    callers, problem = [], None
    try:
        own = _own_contents(info)
        callers.append(_own_caller(info, own, revoked))
    except RingfenceError as exc:
        own, problem = {}, str(exc)
    for case in (STRANGER, UNKNOWN_CA, REVOKED):
        if params[f"{case}_certificate"] is not None:
            callers.append(_stranger(case, params[f"{case}_certificate"], params[f"{case}_private_key"]))
    callers.append(Caller(NO_CERTIFICATE, client_context(None)))
    jobs = [(caller, target) for caller in callers for target in targets]
    client_jobs, client_problem = _client_jobs(params, own, info)
    # All at once: those at client ports take no time of their own.
    called = call_all([*jobs, *client_jobs], params["timeout_seconds"], now)
    return {
        "probes": _served_once([as_probe(one) for one in called[: len(jobs)]], now),
        "client_probes": [client_probe(one) for one in called[len(jobs) :]],
        "problem": problem,
        "client_problem": client_problem,
        "unreadable_files": unreadable,
        "revoked": sorted(revoked),
        "revocation_list_problem": revocation_list_problem,
    }


def _client_jobs(
    params: t.Mapping[str, t.Any], own: t.Mapping[str, bytes], info: t.Mapping[str, t.Any]
) -> tuple[list[tuple[Caller, Target]], str | None]:
    """The calls at client ports that are asked for, and why there are none as a client."""
    cases = params["client_calls"]
    if not cases:
        return [], None
    urls = {str(given.get("name")): str(given.get("client_url")) for given in params["members"]}
    names = client_targets(list(urls), params["name"], params["present"] or list(urls))
    pairs = {
        case: (_ascii(params[f"{case}_certificate"]), _ascii(params[f"{case}_private_key"]))
        for case in (CLIENT, CLIENT_UNKNOWN_CA)
        if params[f"{case}_certificate"] is not None
    }
    if own:
        pairs[CLIENT_PEER] = (own["certificate"], own["private_key"])
    deployed = ((info["process"] or {}).get("settings") or {}).get("files") or {}
    trusted = _absolute(info, deployed.get("trusted_ca_file")) or params["client_ca_file"]
    targets = https_targets(urls, names)
    callers, problem = client_callers(cases, pairs, trusted)
    return [(caller, target) for caller in callers for target in targets], problem


def _ascii(pem: str) -> bytes:
    return pem.encode("ascii", "replace")


def _stranger(case: str, certificate: str, private_key: str) -> Caller:
    pem = _ascii(certificate)
    leaf = read_certificates(pem, f"{case}_certificate")[0]
    return Caller(case, client_context(None, pem, _ascii(private_key)), leaf)


def _served_once(probes: list[dict[str, t.Any]], now: datetime.datetime) -> list[dict[str, t.Any]]:
    """The served certificate's facts at the first probe of each target that saw one: it is the same in all of them."""
    seen = set()
    for probe in probes:
        server = probe["server"]
        probe["server"] = None if probe["to"] in seen else _server_facts(server, now)
        if probe["server"] is not None:
            seen.add(probe["to"])
    return probes


def process_credentials(info: t.Mapping[str, t.Any], now: datetime.datetime) -> dict[str, t.Any] | None:
    """The facts of the files that the running process has in its settings; None where they are the credentials' files.

    A proof of what runs has to read these: a file where a deployment would put it may not be in use.
    """
    if info["process"].get("settings") is None:
        return None
    paths, deployed = _paths_in_effect(info), info["credentials"]
    if all(paths[kind] == deployed[kind]["path"] for kind in paths):
        return None
    return files_facts(paths, now)


def _paths_in_effect(info: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The files of the process, else of the unit, else those in the credentials' folder."""
    settings = (info["process"] or {}).get("settings") or info["unit"].get("settings")
    files = (settings or {}).get("files") or {}
    deployed = info["credentials"]
    return {
        kind: _absolute(info, files.get(flag)) or deployed[kind]["path"]
        for kind, flag in (
            ("ca", "peer_trusted_ca_file"),
            ("certificate", "peer_cert_file"),
            ("private_key", "peer_key_file"),
        )
    }


def _absolute(info: t.Mapping[str, t.Any], path: str | None) -> str | None:
    return as_process_sees(path, info["process"]["pid"])


def _own_contents(info: t.Mapping[str, t.Any]) -> dict[str, bytes]:
    """The files in the settings of the member's process, else those in the credentials' folder."""
    contents = {}
    for kind, path in _paths_in_effect(info).items():
        content = read_file(path)
        if content is None:
            raise InputError(f"there is no {path}, so this host can't call as a member")
        contents[kind] = content
    return contents


def _own_caller(info: t.Mapping[str, t.Any], contents: t.Mapping[str, bytes], revoked: frozenset[str]) -> Caller:
    """The member itself, with these files."""
    settings = (info["process"] or {}).get("settings") or info["unit"].get("settings")
    paths = _paths_in_effect(info)
    authorities = read_certificates(contents["ca"], paths["ca"])
    # First, because it names the file that can't be used.
    check_pair(*(Material(paths[kind], contents[kind]) for kind in ("certificate", "private_key")))
    allowed = tuple(settings["allowed_common_names"]) if settings is not None else ()
    return Caller(
        MEMBER,
        client_context([authority.der for authority in authorities], contents["certificate"], contents["private_key"]),
        read_certificates(contents["certificate"], paths["certificate"])[0],
        authorities,
        allowed or None,
        revoked,
    )


def _own_revoked(info: t.Mapping[str, t.Any]) -> tuple[frozenset[str], str | None]:
    """Serial numbers on the revocation list that this member's process checks, and why it can't be used.

    Where the process knows of none yet, the next start is looked at: it would let nobody in without its list.
    """
    version = info["process"].get("version") or info["etcd"]["version"]
    for settings in (info["process"].get("settings"), info["unit"].get("settings")):
        path = _absolute(info, ((settings or {}).get("files") or {}).get("peer_crl_file"))
        if path:
            revoked, problem = usable_revoked(path, version)
            return revoked if settings is info["process"].get("settings") else frozenset(), problem
    return frozenset(), None


def _server_facts(der: bytes | None, now: datetime.datetime) -> dict[str, t.Any] | None:
    if der is None:
        return None
    try:
        return as_result(read_certificate(der), now)
    except RingfenceError:
        return None


def unreadable_files(info: t.Mapping[str, t.Any], owner: str) -> list[dict[str, str]]:
    """Which of the files in etcd's settings its user can't read, and why."""
    identity = identity_of(owner)
    if identity is None:
        return [{"path": "", "text": f"there is no user {owner} on this host"}]
    settings = info["process"].get("settings") or info["unit"].get("settings")
    named = [_absolute(info, path) for path in ((settings or {}).get("files") or {}).values()]
    paths = sorted({path for path in named if path} or {item["path"] for item in info["credentials"].values()})
    barriers = zip(paths, find_barriers(paths, identity))
    return [{"path": path, "text": barrier.text} for path, barrier in barriers if barrier is not None]


__all__ = (
    "probe_node",
    "process_credentials",
    "unreadable_files",
)
