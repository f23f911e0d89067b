# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks of members that run: whom they let in, how they are asked, and what a restart would change.

Pure, as ``preflight``. What one running member reports of its cluster is enough to refuse. To go on, all members that
report anything must report the same: none of them can answer for the others.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import flag_value
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import (
    ALARM_REMEDIES,
    NO_SPACE,
    OBSTACLE_REMEDIES,
    is_larger_quota,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    Info,
    PreflightFailure,
    change_text,
    deployed,
    has_data,
    is_formed,
    is_install_pending,
    is_running,
    one_line,
    reported_lists,
    running_members,
    version_to_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import dotted, read_version

# Pending changes of a host that mean that its running process is going to be restarted.
_RESTARTS = frozenset(
    ("unit_changed", "flags_differ", "trust_bundle_changed", "binary_replaced", "revocation_list_newer")
)


WHERE_ALL_RUN = "where all members run, tell one member list and are started by systemd here"

# What the members accept of each other, and who may ask them ----------------------------------------------------------


def refuse_other_common_name(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """No member presents a name that the others, as they run, do not allow: lists first, then certificates."""
    changes, refusers = [], []
    for member, info in cluster.inspected():
        present = ((info.get("credentials") or {}).get("certificate") or {}).get("common_name")
        if not is_formed(info) or present in (None, member.common_name):
            continue
        found = [other.name for other, its in running_members(cluster) if member.common_name not in _allowed(its)]
        if found or cluster.not_inspected():
            changes.append(f"{member.name} from {one_line(present)} to {member.common_name}")
            refusers += found
    if changes:
        who = ", ".join(dict.fromkeys(refusers)) or f"{', '.join(cluster.not_inspected())}, not seen in this run,"
        yield PreflightFailure(
            "common_name_differs",
            f"cluster {cluster.question.cluster_name}: common names would change ({', '.join(changes)}), and {who} "
            "would not allow the new ones as they run: with its new certificate a member is cut off; a run changes "
            f"them step by step {WHERE_ALL_RUN}: put etcd_peer_tls_domain, etcd_peer_tls_common_name or "
            "etcd_peer_tls_identity back, or bring all members back first",
        )


def _allowed(info: Info) -> t.Sequence[str]:
    """Whom a running process lets in."""
    return ((info.get("process") or {}).get("settings") or {}).get("allowed_common_names") or ()


def refuse_other_client_side(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """The members answer as they run: with another port, TLS or CA nobody could ask them before a restart."""
    if len(cluster.members) < 2:
        return
    name = cluster.question.cluster_name
    places, schemes, authorities = [], [], []
    for member, info in running_members(cluster):
        settings = (info.get("process") or {}).get("settings") or {}
        # At a first start no other member is asked.
        if not is_formed(info):
            continue
        authorities += [
            change_text(member.name, *pair) for pair in _other_client_authority(cluster, member, info, settings)
        ]
        urls = settings.get("client_urls") or [member.client_url]
        told = change_text(member.name, ", ".join(map(one_line, urls)), member.client_url)
        if any(_is_at_port_by_another_scheme(one_line(url), member.client_url) for url in urls):
            schemes.append(told)
        # The check of the peer URLs reports an address that changes.
        elif list(urls) != [member.client_url] and tuple(settings.get("peer_urls") or ()) == (member.peer_url,):
            places.append(told)
    told = "before each restart the others are asked as this run means them, and would not answer, so that the units "
    told += "were written and nobody restarted"
    if schemes:
        yield PreflightFailure(
            "client_side_differs",
            f"cluster {name}: TLS for clients would change at the port that they use ({'; '.join(schemes)}): one port "
            "does not answer with TLS and without, and at its restart each member would be lost to all clients: set "
            "another etcd_peer_tls_client_port with it, and members answer at both until clients have followed",
        )
    if authorities:
        yield PreflightFailure(
            "client_side_differs",
            f"cluster {name}: CA and certificate for clients would change at once ({'; '.join(authorities)}): {told}; "
            "change one at a time: first etcd_peer_tls_client_ca_file alone, to a file with the old CA and the new one "
            "in it, with etcd_peer_tls_client_cert_file and etcd_peer_tls_client_key_file as they run; then these two; "
            "then take the old CA out of the file; or say whose they are to stay with etcd_peer_tls_client_ca",
        )
    if places and not (schemes or authorities):
        yield PreflightFailure(
            "client_url_differs",
            f"cluster {name}: client URLs would change ({'; '.join(places)}): {told}; a run changes them step by step "
            f"{WHERE_ALL_RUN}: put the old ones back, or bring all members back first",
        )


def _is_at_port_by_another_scheme(url: str, wanted: str) -> bool:
    """Whatever the host: a listener may be everywhere, and has one at the loopback beside it."""
    scheme, place = url.split("://", 1) if "://" in url else ("", url)
    wanted_scheme, wanted_place = wanted.split("://", 1)
    return scheme != wanted_scheme and place.rpartition(":")[2].rstrip("/") == wanted_place.rpartition(":")[2]


def _other_client_authority(
    cluster: Cluster, member: Member, info: Info, settings: t.Mapping[str, t.Any]
) -> t.Iterator[tuple[str, str]]:
    """A CA for clients that changes together with the pair: with the pair that runs, old and new are asked alike."""
    wanted, files = cluster.flag_settings(member.name), settings.get("files") or {}
    own = files.get("trusted_ca_file")
    if wanted is None or not wanted.client_tls or own is None:
        return
    pair = f"{wanted.credentials_directory.rstrip('/')}/{member.name}"
    means = (wanted.client_cert_file or f"{pair}.crt", wanted.client_key_file or f"{pair}.key")
    if (files.get("cert_file"), files.get("key_file")) == means:
        return
    runs_with = None if own == files.get("peer_trusted_ca_file") else own
    if runs_with != (wanted.client_ca_file or None):
        yield (
            f"client CA {one_line(runs_with or 'of the peers')}",
            f"{wanted.client_ca_file or 'that of the peers'}",
        )
    elif runs_with in ((info.get("process") or {}).get("newer_files") or ()):
        yield f"client CA as {one_line(runs_with)} was", "as it is now"


def refuse_moved_data(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A member stays in its folders: in another one it would be an empty member."""
    for member, info in cluster.inspected():
        data, wanted = info.get("data") or {}, cluster.flag_settings(member.name)
        if wanted is None:
            continue
        for settings in deployed(info):
            found = (settings.get("data_dir"), (settings.get("flags") or {}).get("wal-dir"))
            # Each host was asked for the folder that is wanted there.
            folder = data.get("directory") or wanted.data_dir
            meant = (one_line(folder), _text_or_none(wanted.extra_flags.get("wal-dir")))
            moved = found[0] is not None and found[0].rstrip("/") != folder.rstrip("/")
            if moved and data.get("exists") and not is_running(info):
                # Stopped, and the data was brought to where it is wanted.
                moved = False
            if moved:
                yield _moved(member, "etcd_peer_tls_data_dir", found[0], meant[0])
                break
            # What the member's data says is read where its log is going to be.
            brought = data.get("member_id") is not None and not is_running(info)
            if found[1] != meant[1] and has_data(info) and not brought:
                yield _moved(member, "wal-dir (in etcd_peer_tls_extra_flags)", found[1], meant[1])
                break


def _moved(member: Member, option: str, found: str | None, meant: str | None) -> PreflightFailure:
    return PreflightFailure(
        "data_moved",
        f"member {member.name}: {option} is {one_line(found or 'not set')} in what is deployed, and this run means "
        f"{meant or 'not set'}: without its data it would be an empty member: put the old one back, or stop its etcd "
        "and move the data first",
    )


def _text_or_none(value: t.Any) -> str | None:
    return None if value is None else str(value)


# The program, the unit, and whether a restart can be guarded ----------------------------------------------------------


def refuse_unit_in_the_way(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A unit that is masked, a link, or made at run time is named as that, before anything is installed."""
    found: dict[str, list[str]] = {}
    for member, info in cluster.inspected():
        obstacle = (info.get("unit") or {}).get("obstacle")
        if obstacle:
            found.setdefault(one_line(obstacle), []).append(member.name)
    for obstacle, names in found.items():
        yield PreflightFailure("unit_in_the_way", f"member {', '.join(names)}: {obstacle}")


def refuse_unit_that_is_not_taken(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Every host's systemd and etcd take the unit that it is to get, before the first host gets one."""
    found: dict[str, list[str]] = {}
    for member, info in cluster.inspected():
        problem, etcd = cluster.states.get(member.name, {}).get("unit_problem"), info.get("etcd") or {}
        if (info.get("unit") or {}).get("obstacle"):
            # Reported as what it is.
            continue
        # A program that takes the place of this one is tried by itself; one that does not answer is reported as that.
        if problem and not _is_install_pending(cluster, info) and not etcd.get("staged") and etcd.get("version"):
            found.setdefault(one_line(problem), []).append(member.name)
    for problem, names in found.items():
        yield PreflightFailure("unit_not_taken", f"member {', '.join(names)}: {problem}")


def refuse_overridden_unit(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """What is started is the unit that the role renders: a drop-in may open the fence, or stop the next start."""
    found: dict[str, list[str]] = {}
    for member, _info in cluster.inspected():
        for line in cluster.states.get(member.name, {}).get("unit_overrides") or ():
            found.setdefault(one_line(line), []).append(member.name)
    for line, names in found.items():
        yield PreflightFailure(
            "unit_overridden",
            f"member {', '.join(names)}: {line}, other than the role's unit: take it away there, and run again, which "
            "restarts what was started with it; a setting that is meant goes into the role's variables",
        )


def refuse_removed_logger(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A value that --version takes and the start of etcd 3.5 does not (embed/config_logging.go)."""
    for member, info in cluster.inspected():
        settings, starts = cluster.flag_settings(member.name), read_version(version_to_start(cluster.question, info))
        asks = settings is not None and settings.extra_flags.get("logger") == "capnslog"
        if asks and starts is not None and starts >= (3, 5, 0):
            yield PreflightFailure(
                "flags",
                f"member {member.name}: etcd_peer_tls_extra_flags: --logger=capnslog is refused: etcd "
                f"{dotted(starts)} would not start with it: leave it out, which is zap",
            )


def _is_install_pending(cluster: Cluster, info: Info) -> bool:
    etcd = info.get("etcd") or {}
    question = cluster.question
    return is_install_pending(bool(etcd.get("found")), etcd.get("version"), question.install, question.archive)


def pending_restarts(cluster: Cluster) -> list[str]:
    """Names of the members whose running process this run would restart."""
    found = []
    for member, info in running_members(cluster):
        codes = {one.get("code") for one in cluster.states.get(member.name, {}).get("pending") or ()}
        if codes & _RESTARTS or _is_install_pending(cluster, info):
            found.append(member.name)
    return found


def refuse_blind_restart(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A pending restart can be guarded: else all members would wait, and none would be restarted."""
    pending = pending_restarts(cluster)
    if not pending or cluster.question.force_restart or len(cluster.members) < 2:
        return
    for obstacle, names in obstacles(cluster).items():
        problem = next(
            (state.get("live_members_problem") for name, state in cluster.states.items() if name in names), None
        )
        yield PreflightFailure(
            f"restart_{obstacle}",
            f"member {', '.join(names)}: {OBSTACLE_REMEDIES[obstacle]} (a restart is due on {', '.join(pending)}; the "
            f"member says: {one_line(problem)})",
        )
    for alarm, names in raised_alarms(cluster).items():
        if alarm in ALARM_REMEDIES and not (
            alarm == NO_SPACE and all(_gets_more_space(cluster, one) for one in pending)
        ):
            yield PreflightFailure(
                f"restart_alarm_{alarm.lower()}",
                f"alarm {alarm} of {', '.join(names)}: no member is restarted while it is raised (a restart is due on "
                f"{', '.join(pending)}): {ALARM_REMEDIES[alarm]}",
            )


def _gets_more_space(cluster: Cluster, name: str) -> bool:
    """Whether a member's restart brings it a larger quota, which is what the alarm NOSPACE may be waiting for."""
    settings = cluster.flag_settings(name)
    process = (cluster.infos[name].get("process") or {}).get("settings") or {}
    if settings is None:
        return False
    wanted = {flag: flag_value(flag, value) for flag, value in settings.extra_flags.items()}
    return is_larger_quota(process.get("flags") or {}, wanted)


def obstacles(cluster: Cluster) -> dict[str, list[str]]:
    """Why running members can't be asked, as far as that will not change by itself or by this run."""
    found: dict[str, list[str]] = {}
    for name, state in cluster.states.items():
        info = state.get("info") or {}
        flags = ((info.get("process") or {}).get("settings") or {}).get("flags") or {}
        # Then only those URLs have the gateway, and the client URL's answer is no HTTP.
        obstacle = "gateway" if flags.get("listen-client-http-urls") else state.get("live_obstacle")
        if obstacle in OBSTACLE_REMEDIES and is_running(info):
            if obstacle == "tls" and not _has_client_ca(cluster, name):
                # The peers' own certificates: this run makes them sound.
                continue
            found.setdefault(str(obstacle), []).append(name)
    return found


def _has_client_ca(cluster: Cluster, name: str) -> bool:
    settings = cluster.flag_settings(name)
    return settings is not None and bool(settings.client_ca_file)


def raised_alarms(cluster: Cluster) -> dict[str, list[str]]:
    """Alarm → the members that it is raised for, by name where the list has them."""
    names = {one.member_id: one.name for listed in reported_lists(cluster).values() for one in listed if one.name}
    found: dict[str, list[str]] = {}
    for state in cluster.states.values():
        for alarm in state.get("live_alarms") or ():
            number = one_line(alarm.get("member_id"))
            holders = found.setdefault(one_line(alarm.get("alarm")), [])
            if names.get(number, number) not in holders:
                holders.append(names.get(number, number))
    return {alarm: sorted(holders) for alarm, holders in sorted(found.items())}


def live_warnings(cluster: Cluster) -> list[str]:
    """Alarms are warnings where nothing is refused because of them."""
    return [
        f"alarm {alarm} of {', '.join(names)}: {ALARM_REMEDIES.get(alarm, 'see etcdctl alarm list')}"
        for alarm, names in raised_alarms(cluster).items()
    ]


RUNNING_CHECKS: tuple[t.Callable[[Cluster], t.Iterator[PreflightFailure]], ...] = (
    refuse_unit_in_the_way,
    refuse_unit_that_is_not_taken,
    refuse_overridden_unit,
    refuse_removed_logger,
    refuse_moved_data,
    refuse_other_common_name,
    refuse_other_client_side,
    refuse_blind_restart,
)

__all__ = ("RUNNING_CHECKS", "WHERE_ALL_RUN", "live_warnings", "obstacles", "pending_restarts", "raised_alarms")
