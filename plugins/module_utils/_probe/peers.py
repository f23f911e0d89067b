# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one member meets at all the others, as itself and as a stranger, and why.

Several causes look the same on the wire (etcd sends *bad certificate* for most, and closes without a word for the
rest), so a reason is either seen or inferred from what this member knows: its certificate, its list, its address.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import queue
import ssl
import threading
import time
import typing as t
import urllib.parse
from dataclasses import dataclass, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import parse_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    PROBE_SECONDS,
    check_range,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import NO_ACCESS, ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.live import (
    NOT_ASKED,
    Entrance,
    entrance_of,
    live_facts,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.info import files_facts, peer_info
from ansible_collections.ringfence.etcd.plugins.module_utils._member.pending_changes import (
    WantedHost,
    host_pending_changes,
    unit_overrides,
    unit_problem,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.service import WantedUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._node.access import find_barrier, identity_of
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import (
    read_certificate,
    read_certificates,
    read_revoked,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import Material, check_pair
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate, as_result
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    REFUSED,
    TIMED_OUT,
    ProbeResult,
    client_context,
    probe_port,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import Deployed, deployed_from_text

MEMBER = "member"
STRANGER = "stranger"
NO_CERTIFICATE = "no_certificate"
UNKNOWN_CA = "unknown_ca"

# etcd's Go says bad certificate for each of these; TLS 1.2 says handshake failure where there is no certificate.
_AMBIGUOUS_ALERTS = ("bad certificate", "certificate unknown", "unsupported certificate")
_THREADS = 32
# From here on a revocation list in PEM has every caller refused (tried on 3.6.16 and 3.7.3).
_FIRST_WITH_DER_ALONE = (3, 6, 0)


@dataclass(frozen=True)
class Target:
    """A member to call, at its peer URL."""

    name: str
    url: str
    host: str
    port: int


@dataclass(frozen=True)
class Caller:
    """What the probe calls as, and what it knows when it is refused.

    ``certificate`` and ``allowed_common_names`` are None where it has or knows none; ``revoked``: serial numbers (hex)
    of the list that this member itself checks.
    """

    case: str
    context: ssl.SSLContext
    certificate: Certificate | None = None
    authorities: tuple[Certificate, ...] = ()
    allowed_common_names: tuple[str, ...] | None = None
    revoked: frozenset[str] = frozenset()


def target_of(name: str, url: str) -> Target:
    """A target from a member's name and peer URL; InputError where the URL can't be dialed."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urllib.parse.urlsplit("")
    if parts.scheme not in ("http", "https") or not host or not port or parts.path not in ("", "/"):
        raise InputError(f"member {name}: peer URL {url!r} is none: write it like https://10.0.0.1:2380")
    return Target(name, url, host, port)


def probe_all(
    callers: t.Sequence[Caller], targets: t.Sequence[Target], timeout_seconds: float, now: datetime.datetime
) -> list[dict[str, t.Any]]:
    """Every caller at every target, in parallel; the results in the order of callers, then targets.

    A thread that hangs in the resolution of a name is left behind (it is a daemon) and counts as timed out.
    """
    jobs = [(caller, target) for caller in callers for target in targets]
    found: dict[int, ProbeResult] = {}
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(jobs)):
        waiting.put(number)

    def work() -> None:
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            caller, target = jobs[number]
            strange = caller.case != MEMBER
            found[number] = probe_port(
                caller.context, target.host, target.port, timeout_seconds, expect_refusal=strange
            )

    threads = [threading.Thread(target=work, daemon=True) for _number in range(min(_THREADS, len(jobs)))]
    for thread in threads:
        thread.start()
    rounds = -(-len(jobs) // _THREADS)
    deadline = time.monotonic() + rounds * timeout_seconds + 1.0
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    unresolved = ProbeResult(TIMED_OUT, "resolve", "its name was not resolved in time")
    return [
        _reported(caller, target, explain(caller, found.get(number, unresolved), now))
        for number, (caller, target) in enumerate(jobs)
    ]


@dataclass(frozen=True)
class Explained:
    """A meeting with its reason made plain; ``inferred``: it was worked out, not seen."""

    result: ProbeResult
    inferred: bool = False


def explain(caller: Caller, result: ProbeResult, now: datetime.datetime) -> Explained:
    """Say why, where the wire alone does not (pure)."""
    if result.outcome == ACCEPTED:
        return _server_checked(caller, result)
    if result.outcome != REFUSED:
        return Explained(result)
    if result.alert is not None:
        return _explain_alert(caller, result, now)
    if result.reason in ("closed", "reset") and result.tls is not None:
        return _explain_close(caller, result)
    return Explained(result)


def _server_checked(caller: Caller, result: ProbeResult) -> Explained:
    """A member that dials checks the server's common name against its own list as well."""
    if caller.case != MEMBER or caller.allowed_common_names is None or result.server is None:
        return Explained(result)
    try:
        server = read_certificate(result.server)
    except RingfenceError:
        return Explained(result)
    if (server.common_name or "") in caller.allowed_common_names:
        return Explained(result)
    text = f"this member's own list does not allow the common name that is served, {server.common_name}"
    return Explained(replace(result, outcome=REFUSED, reason="server_common_name", text=text), inferred=True)


def _explain_alert(caller: Caller, result: ProbeResult, now: datetime.datetime) -> Explained:
    own = caller.certificate
    if own is None:
        if result.reason == "no_certificate" or result.alert == "handshake failure":
            text = f"it demands a certificate ({result.text})"
            return Explained(replace(result, reason="no_certificate", text=text))
        if result.alert in _AMBIGUOUS_ALERTS:
            # etcd 3.4 as Debian 12 has it (Go 1.19) says nothing else of any certificate, and none was shown.
            text = f"it demands a certificate ({result.text})"
            return Explained(replace(result, reason="no_certificate", text=text), inferred=True)
        return Explained(result)
    if result.reason == "expired" and now < own.not_before:
        text = f"the certificate is not valid before {iso_time(own.not_before)} ({result.text})"
        return Explained(replace(result, reason="not_yet_valid", text=text), inferred=True)
    if result.alert not in _AMBIGUOUS_ALERTS:
        return Explained(result)
    # Dates first, as Go looks at them; only that of etcd 3.4 in Debian 12 has no alert of its own for them.
    if now > own.not_after:
        text = f"the certificate has expired at {iso_time(own.not_after)} ({result.text})"
        return Explained(replace(result, reason="expired", text=text), inferred=True)
    if now < own.not_before:
        text = f"the certificate is not valid before {iso_time(own.not_before)} ({result.text})"
        return Explained(replace(result, reason="not_yet_valid", text=text), inferred=True)
    if caller.case == UNKNOWN_CA:
        text = f"the CA is unknown to it ({result.text})"
        return Explained(replace(result, reason="unknown_authority", text=text), inferred=True)
    usages = own.extended_key_usage
    if usages is not None and "clientAuth" not in usages and "anyExtendedKeyUsage" not in usages:
        text = f"the certificate lacks the extended key usage clientAuth ({result.text})"
        return Explained(replace(result, reason="key_usage", text=text), inferred=True)
    if caller.authorities and own.issuer not in {authority.subject for authority in caller.authorities}:
        text = f"the certificate's issuer, {own.issuer_common_name}, is not in the trust bundle ({result.text})"
        return Explained(replace(result, reason="unknown_authority", text=text), inferred=True)
    text = f"the common name {own.common_name} is not allowed there ({result.text})"
    return Explained(replace(result, reason="common_name", text=text), inferred=True)


def _explain_close(caller: Caller, result: ProbeResult) -> Explained:
    """After a good handshake etcd closes where the address or the revocation list speaks against the certificate."""
    own = caller.certificate
    if own is None:
        return Explained(result)
    if own.serial_number in caller.revoked:
        text = f"the certificate is revoked: serial number {own.serial_number} ({result.text})"
        return Explained(replace(result, reason="revoked", text=text), inferred=True)
    if result.source is not None and result.source not in own.ip_addresses:
        names = ", ".join((*own.dns_names, *own.ip_addresses)) or "no name at all"
        text = f"the certificate has no subject alternative name for {result.source} (it has {names}; {result.text})"
        return Explained(replace(result, reason="address", text=text), inferred=True)
    return Explained(result)


def _reported(caller: Caller, target: Target, explained: Explained) -> dict[str, t.Any]:
    result = explained.result
    return {
        "to": target.name,
        "peer_url": target.url,
        "case": caller.case,
        "outcome": result.outcome,
        "reason": result.reason,
        "text": result.text,
        "inferred": explained.inferred,
        "tls": result.tls,
        "cipher": result.cipher,
        "server": result.server,
    }


# A node's own probes -------------------------------------------------------------------------------------------------


def probe_node(
    params: t.Mapping[str, t.Any], now: datetime.datetime, access: ApiAccess = NO_ACCESS
) -> dict[str, t.Any]:
    """The whole answer of ``etcd_peer_probe`` from its options."""
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
        # Who starts no service here is in nobody's way.
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
        "problem": None,
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
        found.update(pending=host_pending_changes(wanted), unit_problem=unit_problem(wanted, info["process"]["pid"]))
        found["unit_overrides"] = unit_overrides(wanted)
    if found["called"]:
        found.update(_probed(params, targets, info, now))
    return found


def _planned(params: t.Mapping[str, t.Any]) -> Deployed | None:
    """What the member is going to be told; None where nobody asks what is due."""
    return None if params["unit_content"] is None else deployed_from_text(params["unit_content"])


def _wal_dir(planned: Deployed) -> str:
    """Where the member's log is going to be, which need not be where it was so far."""
    return planned["flags"].get("wal-dir") or os.path.join(planned["data_dir"], "member", "wal")


def _metrics_urls(planned: Deployed) -> list[str]:
    return [url for url in planned["flags"].get("listen-metrics-urls", "").split(",") if url]


def _live(params: t.Mapping[str, t.Any], info: t.Mapping[str, t.Any], access: ApiAccess) -> dict[str, t.Any]:
    """What the member itself tells of its cluster, whether or not the others are called."""
    if not (params["call"] == "always" or info["process"]["running"] or info["data"]["exists"]):
        return dict(NOT_ASKED)
    given = Entrance(
        params["client_url"], params["client_ca_file"], params["client_cert_file"], params["client_key_file"], access
    )
    # A process that nobody here started may be any etcd; with the files that were given, it has to be this one.
    settings = info["process"]["settings"] if info["process"]["configuration_hash"] else None
    return live_facts(entrance_of(settings, given))


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
    )
    found = info["credentials"]
    return WantedHost(
        params["directory"], unit, params["manage_service"], found["ca"]["pem"], found["certificate"]["pem"]
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
        callers.append(_own_caller(info, revoked))
    except RingfenceError as exc:
        problem = str(exc)
    for case in (STRANGER, UNKNOWN_CA):
        if params[f"{case}_certificate"] is not None:
            callers.append(_stranger(case, params[f"{case}_certificate"], params[f"{case}_private_key"]))
    callers.append(Caller(NO_CERTIFICATE, client_context(None)))
    return {
        "probes": _served_once(probe_all(callers, targets, params["timeout_seconds"], now), now),
        "problem": problem,
        "unreadable_files": unreadable,
        "revoked": sorted(revoked),
        "revocation_list_problem": revocation_list_problem,
    }


def _stranger(case: str, certificate: str, private_key: str) -> Caller:
    pem = certificate.encode("ascii", "replace")
    leaf = read_certificates(pem, f"{case}_certificate")[0]
    return Caller(case, client_context(None, pem, private_key.encode("ascii", "replace")), leaf)


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
    """The facts of the files that the running process was told of; None where they are the credentials' files.

    A proof of what runs has to look at these: what lies where a deployment would put it may be in nobody's use.
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
    """A path as the process takes it: from its own folder on, where it is not absolute."""
    if not path or os.path.isabs(path):
        return path
    folder = "/"
    if info["process"]["pid"] is not None:
        with contextlib.suppress(OSError):
            folder = os.readlink(f"/proc/{info['process']['pid']}/cwd")
    return os.path.normpath(os.path.join(folder, path))


def _own_caller(info: t.Mapping[str, t.Any], revoked: frozenset[str]) -> Caller:
    """The member itself, with the files that its process was told of, else with those in the credentials' folder."""
    settings = (info["process"] or {}).get("settings") or info["unit"].get("settings")
    paths = _paths_in_effect(info)
    contents = {}
    for kind, path in paths.items():
        content = read_file(path)
        if content is None:
            raise InputError(f"there is no {path}, so this host can't call as a member")
        contents[kind] = content
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
    """Serial numbers on the revocation list that this member's process checks, and why it can't be used."""
    path = _absolute(info, ((info["process"].get("settings") or {}).get("files") or {}).get("peer_crl_file"))
    if not path:
        return frozenset(), None
    try:
        content = read_file(path)
        if content is None:
            return frozenset(), f"{path} does not exist"
        return read_revoked(content, path), _why_not_read(
            content, path, info["process"].get("version") or info["etcd"]["version"]
        )
    except RingfenceError as exc:
        return frozenset(), str(exc)


def _why_not_read(content: bytes, path: str, version: str | None) -> str | None:
    """What a version of etcd would not take of a list that can be read; without a version nothing is said."""
    with contextlib.suppress(RingfenceError):
        if b"-----BEGIN" in content and version is not None and parse_version(version) >= _FIRST_WITH_DER_ALONE:
            return f"{path} is in PEM, and etcd {version} reads DER alone"
    return None


def _server_facts(der: bytes | None, now: datetime.datetime) -> dict[str, t.Any] | None:
    if der is None:
        return None
    try:
        return as_result(read_certificate(der), now)
    except RingfenceError:
        return None


def unreadable_files(info: t.Mapping[str, t.Any], owner: str) -> list[dict[str, str]]:
    """Which of the files that etcd is told of its user can't read, and why."""
    identity = identity_of(owner)
    if identity is None:
        return [{"path": "", "text": f"there is no user {owner} on this host"}]
    settings = info["process"].get("settings") or info["unit"].get("settings")
    named = [_absolute(info, path) for path in ((settings or {}).get("files") or {}).values()]
    paths = sorted({path for path in named if path} or {item["path"] for item in info["credentials"].values()})
    barriers = ((path, find_barrier(path, identity)) for path in paths)
    return [{"path": path, "text": barrier.text} for path, barrier in barriers if barrier is not None]


__all__ = (
    "MEMBER",
    "NO_CERTIFICATE",
    "STRANGER",
    "UNKNOWN_CA",
    "Caller",
    "Explained",
    "Target",
    "explain",
    "probe_all",
    "probe_node",
    "target_of",
    "unreadable_files",
)
