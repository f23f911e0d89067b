# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node has: etcd, credentials, unit, process, data. Reads only; what can't be read becomes a ``problem``.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import os
import pwd
import socket
import ssl
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
    deployed_from_text,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    checked_member_name,
    checked_path,
    checked_unit_name,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import trial
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.live import Entrance, entrance_of, running_version
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import read_identity, was_formed
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.folder_users import folder_identity, folder_users
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.in_the_way import (
    InTheWay,
    MemberNeeds,
    in_the_way,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.other_etcd import (
    OtherEtcd,
    running_etcd,
    stopped_etcd,
    unknown_etcd,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import settings_of_unit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    CA,
    CERTIFICATE,
    PRIVATE_KEY,
    credential_paths,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.formed import marker_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._member.revocation import revocation_list_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._member.running_unit import newer_files, newer_list
from ansible_collections.ringfence.etcd.plugins.module_utils._node.addresses import own_addresses
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._node.key_programs import key_maker
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    describe,
    owner_name,
    read_file,
    real_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import Material, private_key_fits
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import as_result
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.manager import (
    ProcessFacts,
    inherited_environment,
    main_pid,
    process_facts,
    runs_from,
    show,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import (
    UNIT_FOLDERS,
    drop_in_paths,
    from_environment_files,
    text_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_is_valid,
    configuration_hash_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit_place import unit_obstacle

_VERSION_SECONDS = 10.0

# Where systemd puts the units that it makes from something else, of containers for one.
_GENERATED_FOLDERS = ("/run/systemd/generator", "/run/systemd/generator.late")

# What a certificate's facts are where there is none to read.
_NO_CERTIFICATE: dict[str, t.Any] = {
    "common_name": None,
    "issuer_common_name": None,
    "serial_number": None,
    "fingerprint": None,
    "not_before": None,
    "not_after": None,
    "days_left": None,
    "dns_names": [],
    "ip_addresses": [],
    "key_algorithm": None,
    "key_usage": None,
    "extended_key_usage": None,
    "is_ca": None,
}


def peer_info(
    directory: str,
    name: str,
    owner: str,
    etcd_binary: str,
    unit: str,
    data_dir: str | None,
    unit_directory: str | None = None,
    now: datetime.datetime | None = None,
    listen_urls: t.Sequence[str] | None = None,
    wal_dir: str | None = None,
    is_wanted: bool = False,
) -> dict[str, t.Any]:
    """All facts of one node. ``data_dir`` of None: the one that the deployed unit names.

    ``listen_urls``: where the member is going to listen, to find who is in its way; None: not checked.
    ``is_wanted``: the member is going to be deployed here, to find who else uses its credentials' folder.
    """
    _check_paths(
        directory=directory, etcd_binary=etcd_binary, data_dir=data_dir, unit_directory=unit_directory, wal_dir=wal_dir
    )
    checked_member_name(name, "name:")
    checked_unit_name(unit, "unit")
    now = now or datetime.datetime.now(datetime.timezone.utc)
    service, other = _service_facts(unit, unit_directory)
    settings = service["unit"]["settings"]
    if data_dir is None and settings is not None and os.path.isabs(settings["data_dir"]):
        data_dir = settings["data_dir"]
    etcd = etcd_facts(etcd_binary)
    service["process"]["version"] = process_version(service["process"], etcd)
    if wal_dir is None and settings is not None:
        wal_dir = settings["flags"].get("wal-dir") or None
    is_systemds = unit_directory is None or _is_read_by_systemd(unit_directory)
    rivals: list[InTheWay] = []
    if listen_urls is not None and is_systemds:
        wanted = MemberNeeds(unit, data_dir, tuple(listen_urls), (*UNIT_FOLDERS, *_GENERATED_FOLDERS))
        rivals = in_the_way(wanted, service["process"]["pid"] or 0)
    return {
        "time": iso_time(now),
        "etcd": etcd,
        "user": user_facts(owner),
        "key_maker": key_maker(),
        "credentials": credentials_facts(directory, name, now),
        "crl": revocation_list_facts(
            service["process"]["settings"] or settings,
            directory,
            service["process"]["pid"],
            service["process"]["version"] or etcd["version"],
        ),
        **service,
        "data": data_facts(data_dir, wal_dir),
        "formed_marker": marker_facts(directory, name),
        "other_etcd": other,
        "in_the_way": rivals,
        "addresses": own_addresses([*(listen_urls or ()), *_listen_urls(service)]),
        "folder": folder_identity(directory),
        "folder_users": folder_users(directory, unit if is_systemds else None, (*UNIT_FOLDERS, *_GENERATED_FOLDERS))
        if is_wanted
        else [],
    }


def _check_paths(**paths: str | None) -> None:
    """InputError with the option's name where a path is given that is no absolute one."""
    for option, path in paths.items():
        if path is not None:
            checked_path(path, option)


def _listen_urls(service: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Where the process listens, and where its next start would."""
    for part in ("process", "unit"):
        settings = service[part]["settings"]
        if settings is not None:
            yield from (*settings["listen_peer_urls"], *settings["listen_client_urls"])


def ending_soon(info: t.Mapping[str, t.Any], limit_days: int | None) -> list[str]:
    """A line for each certificate of the member that has fewer days left; none without a limit."""
    if limit_days is None:
        return []
    leaf = info["credentials"][CERTIFICATE]
    found = [(f"the certificate {leaf['path']}", leaf)]
    found += [
        (f"the CA {ca['common_name']} in {info['credentials'][CA]['path']}", ca)
        for ca in info["credentials"][CA]["certificates"]
    ]
    return [
        f"{what} has {facts['days_left']} days left, until {facts['not_after']}"
        for what, facts in found
        if facts["days_left"] is not None and facts["days_left"] < limit_days
    ]


def user_facts(user: str) -> dict[str, t.Any]:
    """The user that etcd is to run as, by name or number, and whether we can give files to it."""
    uid: int | None = None
    try:
        # A number needs no user.
        uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    except KeyError:
        pass
    return {
        "name": user,
        "exists": uid is not None,
        "module_user": owner_name(os.geteuid()),
        "may_own": os.geteuid() in (0, uid),
    }


def etcd_facts(binary: str) -> dict[str, t.Any]:
    """Whether the binary is there, and which version it says it is."""
    facts: dict[str, t.Any] = {"binary": binary, "found": os.path.isfile(binary), "version": None, "problem": None}
    if facts["found"]:
        try:
            facts["version"] = etcd_version(binary)
        except RingfenceError as exc:
            facts["problem"] = str(exc)
    else:
        facts["problem"] = (
            f"{binary} {'is no file' if os.path.exists(binary) else 'does not exist'}: install etcd, or name its path"
        )
    return facts


def process_version(process: t.Mapping[str, t.Any], etcd: t.Mapping[str, t.Any]) -> str | None:
    """The version that runs, which may differ from the program's that is there now; None where it is not known.

    Where the program was replaced, the process is asked, and its own file is not run: that would be done as root.
    """
    if process["pid"] is None:
        return None
    if etcd["version"] is not None and runs_from(process["pid"], etcd["binary"]):
        return t.cast(str, etcd["version"])
    return running_version(entrance_of(process["settings"], Entrance()))


def etcd_version(binary: str) -> str:
    """The version that ``<binary> --version`` prints; FileError where it can't be run or prints something else."""
    return trial.etcd_version(binary, _VERSION_SECONDS)


def credentials_facts(directory: str, name: str, now: datetime.datetime) -> dict[str, t.Any]:
    """The three files: attributes, public parts, and whether key and certificate belong together."""
    return files_facts(credential_paths(directory, name), now)


def files_facts(paths: t.Mapping[str, str], now: datetime.datetime) -> dict[str, t.Any]:
    """The same of three files, wherever they are."""
    files = {kind: _file_facts(paths[kind]) for kind in paths}
    contents = {kind: _content(files[kind]) for kind in paths}

    ca: dict[str, t.Any] = {**files[CA], "pem": None, "certificates": []}
    bundle_text, certificate_text, private_key_text = contents[CA], contents[CERTIFICATE], contents[PRIVATE_KEY]
    if bundle_text is not None:
        ca.update(_certificates_facts(paths[CA], bundle_text, now))

    certificate: dict[str, t.Any] = {**files[CERTIFICATE], "pem": None, **_NO_CERTIFICATE}
    if certificate_text is not None:
        found = _certificates_facts(paths[CERTIFICATE], certificate_text, now)
        leaf = found.pop("certificates", [{}])
        certificate.update({**found, **(leaf[0] if leaf else {})})

    private_key: dict[str, t.Any] = {**files[PRIVATE_KEY], "matches_certificate": None}
    if private_key_text is not None and certificate_text is not None and certificate["fingerprint"] is not None:
        try:
            private_key["matches_certificate"] = private_key_fits(
                Material(paths[CERTIFICATE], certificate_text),
                Material(paths[PRIVATE_KEY], private_key_text),
            )
        except RingfenceError as exc:
            # A file that can be read and holds no key does not fit. A file that we may not read is another matter.
            private_key["matches_certificate"] = False if exc.problem == "crypto" else None
            private_key["problem"] = str(exc)
    return {CA: ca, CERTIFICATE: certificate, PRIVATE_KEY: private_key}


def data_facts(directory: str | None, wal_dir: str | None = None) -> dict[str, t.Any]:
    """Which member of which cluster the data folder belongs to. ``wal_dir``: its log, where that is in another folder.

    A log without the rest is a member's data too: etcd starts from it.
    """
    facts: dict[str, t.Any] = {
        "directory": directory,
        "exists": False,
        "member_id": None,
        "cluster_id": None,
        "formed": None,
        "problem": None,
    }
    if directory is not None:
        try:
            # Not behind somebody's link, where there would be nothing, or another's.
            real_path(directory)
            # An empty folder, made before etcd's first start, is no data.
            facts["exists"] = describe(os.path.join(directory, "member"))["state"] != "absent"
            facts["member_id"], facts["cluster_id"] = read_identity(directory, wal_dir) or (None, None)
            facts["exists"] = facts["exists"] or facts["member_id"] is not None
            facts["formed"] = was_formed(directory, wal_dir) if facts["exists"] else None
        except RingfenceError as exc:
            facts["problem"] = str(exc)
    return facts


def _service_facts(unit: str, unit_directory: str | None) -> tuple[dict[str, t.Any], OtherEtcd | None]:
    """The unit as deployed, the process that runs, and the etcd of somebody else under the same name, if any."""
    # A unit of that name that systemd knows is not the file in a folder that systemd does not read.
    elsewhere = unit_directory if unit_directory is not None and not _is_read_by_systemd(unit_directory) else None
    unasked = None
    try:
        properties = {} if elsewhere else show(unit)
    except RingfenceError as exc:
        properties, unasked = {}, str(exc)
    facts, text = _unit_facts(unit, unit_directory, elsewhere, properties, unasked)
    process, started = _process_facts(properties)
    service = {"unit": facts, "process": process}
    if unasked is not None:
        # What systemd does not report may be anything.
        return service, unknown_etcd(facts["path"], unasked)
    return service, _other(unit, facts, process, started, text)


def _unit_facts(
    unit: str,
    unit_directory: str | None,
    elsewhere: str | None,
    properties: t.Mapping[str, str],
    problem: str | None,
) -> tuple[dict[str, t.Any], str]:
    """The unit as deployed, and its text with its drop-ins. ``elsewhere``: a folder that systemd does not read."""
    facts: dict[str, t.Any] = {
        "name": unit,
        "path": properties.get("FragmentPath") or _unit_path(unit, (elsewhere,) if elsewhere else UNIT_FOLDERS),
        "exists": False,
        "managed": False,
        "configuration_hash": None,
        "configuration_hash_valid": None,
        "enabled": properties.get("UnitFileState") == "enabled",
        "drop_ins": [path for path in drop_in_paths(unit, properties) if os.path.lexists(path)],
        "settings": None,
        "added_flags": {},
        "obstacle": unit_obstacle(unit, unit_directory or UNIT_FOLDERS[0], properties),
        "problem": problem,
    }
    text = ""
    try:
        text = text_of([facts["path"]]) if facts["path"] else ""
        if text:
            facts["exists"] = True
            facts["configuration_hash"] = configuration_hash_of(text)
            facts["managed"] = facts["configuration_hash"] is not None
            facts["configuration_hash_valid"] = configuration_hash_is_valid(text) if facts["managed"] else None
            alone = deployed_from_text(text)
            # Drop-ins come after the unit and may set ExecStart= anew: what counts is all of it.
            text = "\n".join((text, text_of(facts["drop_ins"])))
            inherited = {} if elsewhere else inherited_environment()
            facts["settings"] = deployed_from_text(text, from_environment_files(text, unit), inherited)
            facts["added_flags"] = _added_flags(alone, facts["settings"])
    except RingfenceError as exc:
        facts["problem"] = str(exc)
    return facts, text


def _added_flags(alone: Deployed | None, whole: Deployed | None) -> dict[str, str | None]:
    """What drop-ins, environment files and systemd itself make of the unit's own flags; None: they take it away."""
    if alone is None or whole is None:
        return {}
    own, all_flags = alone["flags"], whole["flags"]
    return {flag: all_flags.get(flag) for flag in sorted({*own, *all_flags}) if own.get(flag) != all_flags.get(flag)}


def _process_facts(properties: t.Mapping[str, str]) -> tuple[dict[str, t.Any], ProcessFacts | None]:
    """The unit's process, and what it was started with; None where none runs, or it can't be looked at."""
    process: dict[str, t.Any] = {
        "running": False,
        "pid": None,
        "active_state": properties.get("ActiveState"),
        "sub_state": properties.get("SubState"),
        "version": None,
        "configuration_hash": None,
        "settings": None,
        "newer_files": [],
        "crl_is_newer": False,
        "problem": None,
    }
    pid = main_pid(properties)
    if not pid:
        return process, None
    try:
        started = process_facts(pid)
    except RingfenceError as exc:
        process.update(running=True, pid=pid, problem=str(exc))
        return process, None
    if started is not None:
        settings = deployed_from_arguments(started["argv"], started["environment"])
        process.update(
            running=True,
            pid=pid,
            configuration_hash=started["environ_hash"],
            settings=settings,
            newer_files=newer_files(settings, properties),
            crl_is_newer=newer_list(settings, properties),
        )
    return process, started


def _other(
    unit: str,
    facts: t.Mapping[str, t.Any],
    process: t.Mapping[str, t.Any],
    started: ProcessFacts | None,
    text: str,
) -> OtherEtcd | None:
    """Not ours: a unit without our configuration hash, or a process that was started without it, before our unit."""
    foreign_process = started is not None and started["environ_hash"] is None
    foreign_unit = facts["exists"] and not facts["managed"]
    path = facts["path"] if foreign_unit else None
    if started is not None and foreign_process:
        unit_settings = settings_of_unit(text, unit, socket.gethostname(), read_file) if foreign_unit else None
        return running_etcd(path, started["pid"], unit_settings)
    if not foreign_unit:
        return None
    problem = facts["problem"] or process["problem"]
    if problem:
        return unknown_etcd(path, problem)
    return stopped_etcd(path, settings_of_unit(text, unit, socket.gethostname(), read_file))


def _is_read_by_systemd(folder: str) -> bool:
    return os.path.realpath(folder) in {os.path.realpath(path) for path in UNIT_FOLDERS}


def _unit_path(unit: str, folders: t.Sequence[str]) -> str | None:
    """Where the unit's file is, where systemd can't say it (an image, a container, a folder of our own)."""
    candidates = (os.path.join(folder, unit) for folder in folders)
    return next((path for path in candidates if os.path.isfile(path)), None)


def _file_facts(path: str) -> dict[str, t.Any]:
    facts: dict[str, t.Any] = {
        "path": path,
        "state": "unknown",
        "owner": None,
        "group": None,
        "mode": None,
        "problem": None,
    }
    try:
        facts.update(describe(path))
    except FileError as exc:
        facts["problem"] = str(exc)
    return facts


def _content(facts: dict[str, t.Any]) -> bytes | None:
    """The file's content; None, with the reason in ``problem``, where there is none."""
    if facts["state"] in ("absent", "unknown"):
        return None
    try:
        content = read_file(facts["path"])
        if content is None:
            facts["problem"] = f"{facts['path']} is a link to nothing: put a file there"
        return content
    except FileError as exc:
        facts["problem"] = str(exc)
        return None


def _certificates_facts(path: str, content: bytes, now: datetime.datetime) -> dict[str, t.Any]:
    """The public text and its certificates' facts, or what is wrong with them."""
    try:
        certificates = read_certificates(content, path)
    except RingfenceError as exc:
        # Returned as it is, so that the decision on a new certificate knows that there is one; but never a key in it.
        text = content.decode("utf-8", "replace")
        is_public = "BEGIN CERTIFICATE" in text and "PRIVATE KEY" not in text
        return {"problem": str(exc), "pem": text if is_public else None}
    # Built from what was read: should a key have been pasted into the file, it must not come out here.
    pem = "".join(ssl.DER_cert_to_PEM_cert(certificate.der) for certificate in certificates)
    return {"pem": pem, "certificates": [as_result(certificate, now) for certificate in certificates]}


__all__ = (
    "credentials_facts",
    "data_facts",
    "ending_soon",
    "etcd_facts",
    "etcd_version",
    "files_facts",
    "peer_info",
    "user_facts",
)
