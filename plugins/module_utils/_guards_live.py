# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guards of a cluster that lives: no edit of the inventory, and no program, cuts one of its members off.

Pure, as ``_guards``. What a running member tells of its cluster is a reason to refuse as soon as one of them tells it,
and a reason to go on only where all that tell anything tell the same: none of them can speak for the others.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._flags import Version, allowed_common_names, parse_version
from ansible_collections.ringfence.etcd.plugins.module_utils._guard_values import (
    Cluster,
    Info,
    Refusal,
    deployed,
    has_data,
    is_install_due,
    is_managed,
    is_running,
    version_to_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._obstacles import (
    ALARM_REMEDIES,
    OBSTACLE_REMEDIES,
)

# What is due on a host that means its running process is going to be restarted.
_RESTARTS = frozenset(("unit_changed", "flags_differ", "trust_bundle_changed", "binary_replaced"))


@dataclass(frozen=True)
class Listed:
    """A member as a running one lists it. Who was never started has no client URLs, and has no name if it was added."""

    member_id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]


def told_lists(cluster: Cluster) -> dict[str, list[Listed]]:
    """The list of members as each running member tells it, by the name of who tells."""
    found = {}
    for name, look in cluster.looks.items():
        if look.get("live_members") is not None and _is_ours(look.get("info") or {}):
            found[name] = [
                Listed(
                    _line(one.get("member_id")),
                    _line(one.get("name") or ""),
                    tuple(_line(url) for url in one.get("peer_urls") or ()),
                    tuple(_line(url) for url in one.get("client_urls") or ()),
                )
                for one in look["live_members"]
            ]
    return found


def _is_ours(info: Info) -> bool:
    """Whether who answers on a host is this member: no process of another's, and one that systemd need not know of."""
    return is_running(info) or (has_data(info) and not (info.get("process") or {}).get("running"))


def _line(value: t.Any) -> str:
    """What a host tells, as part of one line."""
    text = str(value)[:1000]
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _is_formed(info: Info) -> bool:
    """Whether a host's data is of a cluster that has had a leader; in doubt it has."""
    return has_data(info) and info["data"].get("formed") is not False


def _each_once(refusals: t.Iterable[tuple[t.Hashable, Refusal]]) -> t.Iterator[Refusal]:
    """The first refusal of each subject: what one member tells need not be told again by the others."""
    seen = set()
    for subject, refusal in refusals:
        if subject not in seen:
            seen.add(subject)
            yield refusal


# Who is in the cluster, and where ------------------------------------------------------------------------------------


def refuse_other_peer_url(cluster: Cluster) -> t.Iterator[Refusal]:
    """Each member has the peer URL by which the cluster knows it: an address or a port is not changed by a unit."""
    lists = told_lists(cluster)
    changes: dict[str, str] = {}
    for member in cluster.members:
        for teller, listed in lists.items():
            for one in listed:
                if one.name == member.name and one.peer_urls != (member.peer_url,):
                    found = f"{', '.join(one.peer_urls) or 'none'} in the member list that {teller} tells"
                    changes.setdefault(member.name, _change(member.name, found, member.peer_url))
        info = cluster.infos.get(member.name, {})
        # Where nobody tells the list: a member that has data has the URL of its first start, or one that nobody knows.
        for settings in deployed(info) if has_data(info) and not lists else ():
            if tuple(settings.get("peer_urls") or (member.peer_url,)) != (member.peer_url,):
                found = f"{', '.join(map(_line, settings['peer_urls']))} in what is deployed"
                changes.setdefault(member.name, _change(member.name, found, member.peer_url))
    if changes:
        unformed = [name for name in changes if name in cluster.infos and not _is_formed(cluster.infos[name])]
        instead = f", or empty the data folder of {', '.join(unformed)}, which never came to a first start"
        yield Refusal(
            "peer_url_differs",
            f"cluster {cluster.question.cluster_name}: peer URLs would change ({'; '.join(changes.values())}): the other "
            "members would go on to call the old one, and the member would be cut off; a run does not change the address "
            "or port of a member that has data: put the old one back into the inventory"
            f"{instead if len(unformed) == len(changes) else ''}",
        )


def _change(name: str, found: str, wanted: str) -> str:
    return f"{name} from {found} to {wanted}"


def refuse_other_members(cluster: Cluster) -> t.Iterator[Refusal]:
    """Who is in the member list is in the inventory, under the same name, and the other way round once it has data."""
    yield from _each_once(_other_members(cluster))


def _other_members(cluster: Cluster) -> t.Iterator[tuple[str, Refusal]]:
    wanted = {member.name for member in cluster.members}
    lost = _lost_names(cluster)
    by_id = {
        info["data"]["member_id"]: member
        for member, info in cluster.inspected()
        if has_data(info) and info["data"].get("member_id")
    }
    for teller, listed in told_lists(cluster).items():
        for one in listed:
            if not one.name or one.name in wanted:
                continue
            if one.member_id in by_id:
                yield one.name, _renamed(one, by_id[one.member_id])
            elif any(_means(said, one.name) for said in cluster.question.leaving):
                yield one.name, _still_there(one, teller)
            elif not any(_means(common_name, one.name) for common_name in lost):
                # Else it is told as a name that would be lost.
                yield one.name, _not_in_inventory(one, teller)
        ids = {one.member_id for one in listed}
        for number, member in by_id.items():
            if number not in ids:
                yield member.name, _not_listed(cluster, member, number, teller)


def _means(said: str, name: str) -> bool:
    """Whether a member's or common name that the user gave is that of a member."""
    return said == name or said.startswith(f"{name}.")


def _renamed(one: Listed, member: Member) -> Refusal:
    return Refusal(
        "member_renamed",
        f"member {member.name}: its data is that of member {one.member_id}, which the cluster knows as {one.name}: a "
        f"member keeps its name: call it {one.name} (etcd_peer_tls_name), or remove it and let it join under another",
    )


def _still_there(one: Listed, teller: str) -> Refusal:
    return Refusal(
        "leaving_is_a_member",
        f"member {one.name} is to leave (etcd_peer_tls_leaving), and is still in the member list that {teller} tells: "
        "the others would lock it out, and miss a vote: remove it first (etcdctl member remove "
        f"{one.member_id}), stop and disable its etcd, then run again",
    )


def _not_in_inventory(one: Listed, teller: str) -> Refusal:
    return Refusal(
        "member_not_in_inventory",
        f"member {one.name} ({one.member_id}) is in the member list that {teller} tells, and not in this run's: put it "
        f"back into the inventory, or remove it first (etcdctl member remove {one.member_id}), then run with "
        f"etcd_peer_tls_leaving: [{one.name}]",
    )


def _not_listed(cluster: Cluster, member: Member, number: str, teller: str) -> Refusal:
    folder = cluster.infos[member.name]["data"].get("directory")
    return Refusal(
        "member_not_listed",
        f"member {member.name}: its data in {folder} is that of member {number}, which is not in the member list that "
        f"{teller} tells (it was removed?): take it out of the inventory, and move the data away",
    )


def refuse_unseen_leaving(cluster: Cluster) -> t.Iterator[Refusal]:
    """A name leaves the lists only where a running member tells that its member is gone."""
    gone = _lost_names(cluster)
    if gone and cluster.question.leaving and not told_lists(cluster) and _any_data(cluster):
        yield Refusal(
            "leaving_unknown",
            f"cluster {cluster.question.cluster_name}: {', '.join(sorted(gone))} is to leave, and no member tells "
            f"whether it is still one ({_why_silent(cluster)}): start etcd first, remove the member (etcdctl member "
            "remove), then run again",
        )


def _lost_names(cluster: Cluster) -> set[str]:
    """Common names that are allowed by what is deployed, and are not in this run's list."""
    wanted = set(allowed_common_names(cluster.members))
    return {
        name
        for _member, info in cluster.inspected()
        for settings in deployed(info)
        for name in settings.get("allowed_common_names") or ()
        if name not in wanted
    }


def _any_data(cluster: Cluster) -> bool:
    return any(has_data(info) for _member, info in cluster.inspected())


def _why_silent(cluster: Cluster) -> str:
    problems = [look.get("live_members_problem") for look in cluster.looks.values()]
    return next((_line(problem) for problem in problems if problem), "none of them runs")


# A member that has no data -------------------------------------------------------------------------------------------


def refuse_start_without_data(cluster: Cluster) -> t.Iterator[Refusal]:
    """A member of a formed cluster is never started as a new one: it would not be let in, or be a cluster of its own.

    One that was there at the first start and has never run may follow.
    """
    lists = told_lists(cluster)
    for member, info in cluster.inspected():
        if has_data(info):
            continue
        if info.get("data", {}).get("problem"):
            yield Refusal(
                "data_unknown",
                f"member {member.name}: whether it has data can't be told: {_line(info['data']['problem'])}",
            )
        elif lists:
            found = (_without_data(cluster, member, teller, listed) for teller, listed in lists.items())
            yield from [refusal for refusal in found if refusal is not None][:1]
        else:
            yield from _without_data_nor_list(cluster, member)


def _without_data(cluster: Cluster, member: Member, teller: str, listed: t.Sequence[Listed]) -> Refusal | None:
    folder = cluster.infos[member.name].get("data", {}).get("directory")
    for one in listed:
        if one.name == member.name:
            return _lost(member, one, teller, folder) if one.client_urls else None
    waiting = any(not one.name and member.peer_url in one.peer_urls for one in listed)
    state = "was added to it and not started yet" if waiting else f"is not in the member list that {teller} tells"
    return _join(cluster, member, state)


def _lost(member: Member, one: Listed, teller: str, folder: t.Any) -> Refusal:
    return Refusal(
        "data_lost",
        f"member {member.name} had data and has none in {folder}: it is in the member list that {teller} tells, as "
        f"{one.member_id}, and has run; started without its data it would not be let in, or be an empty member with a "
        f"vote: mount or restore the folder; where the data is lost, remove the member (etcdctl member remove "
        f"{one.member_id}), take it out of the inventory, run with etcd_peer_tls_leaving: [{member.name}], and add it "
        "anew (etcdctl member add)",
    )


def _join(cluster: Cluster, member: Member, state: str) -> Refusal:
    return Refusal(
        "join_not_prepared",
        f"member {member.name} is new to the running cluster {cluster.question.cluster_name}: it {state}, and a run of "
        "main forms clusters only: leave it out of this run with --limit (the others then allow its name), add it with "
        "etcdctl member add, and start it by hand with --initial-cluster-state=existing",
    )


def _without_data_nor_list(cluster: Cluster, member: Member) -> t.Iterator[Refusal]:
    """Nobody tells who is a member: then only a cluster that has never been one may be started."""
    holders = {
        other.name: info
        for other, info in cluster.inspected()
        if has_data(info) and (is_managed(info) or is_running(info))
    }
    known = {
        name for info in holders.values() for settings in deployed(info) for name in settings.get("initial_cluster") or {}
    }
    if holders and member.name not in known:
        yield _join(cluster, member, "is none of those that it was formed with")
        return
    formed = [name for name, info in holders.items() if _is_formed(info)]
    missing = cluster.not_inspected()
    if formed:
        yield Refusal(
            "start_unknown",
            f"member {member.name} has no data, while {', '.join(formed)} has that of a cluster that was formed, and no "
            f"member tells whether {member.name} ever ran ({_why_silent(cluster)}): start etcd on the others first "
            "(systemctl start), so that they tell; an empty member must not vote in its place",
        )
    elif missing:
        yield Refusal(
            "start_not_seen",
            f"member {member.name} has no data, and {', '.join(missing)} can't be seen in this run (--limit, serial, "
            "unreachable or failed): whether there is a cluster already can't be told, and a member of one is never "
            "started as new: run over all members",
        )


# What the members accept of each other, and who may ask them ----------------------------------------------------------


def refuse_other_common_name(cluster: Cluster) -> t.Iterator[Refusal]:
    """No member presents a name that the others, as they run, do not allow: lists first, then certificates."""
    changes, refusers = [], []
    for member, info in cluster.inspected():
        present = ((info.get("credentials") or {}).get("certificate") or {}).get("common_name")
        if not _is_formed(info) or present in (None, member.common_name):
            continue
        found = [other.name for other, its in _running(cluster) if member.common_name not in _allowed(its)]
        if found or cluster.not_inspected():
            changes.append(f"{member.name} from {_line(present)} to {member.common_name}")
            refusers += found
    if changes:
        who = ", ".join(dict.fromkeys(refusers)) or f"{', '.join(cluster.not_inspected())}, not seen in this run,"
        yield Refusal(
            "common_name_differs",
            f"cluster {cluster.question.cluster_name}: common names would change ({', '.join(changes)}), and {who} "
            "would not allow the new ones as they run: with its new certificate a member is cut off; a run does not "
            "change the common names of a living cluster: put etcd_peer_tls_domain, etcd_peer_tls_common_name or "
            "etcd_peer_tls_identity back",
        )


def _allowed(info: Info) -> t.Sequence[str]:
    """Whom a running process lets in."""
    return ((info.get("process") or {}).get("settings") or {}).get("allowed_common_names") or ()


def refuse_other_client_side(cluster: Cluster) -> t.Iterator[Refusal]:
    """The members answer as they run: with another port, TLS or CA nobody could ask them before a restart."""
    changes = []
    for member, info in _running(cluster):
        settings = (info.get("process") or {}).get("settings") or {}
        # An address that changes is told by the guard of the peer URLs; a first start is not guarded by others.
        if _is_formed(info) and tuple(settings.get("peer_urls") or ()) == (member.peer_url,):
            changes += [_change(member.name, *pair) for pair in _client_differences(cluster, member, settings)]
    if changes and len(cluster.members) > 1:
        yield Refusal(
            "client_side_differs",
            f"cluster {cluster.question.cluster_name}: the members' client side would change ({'; '.join(changes)}): "
            "before each restart the others are asked as this run means them, and would not answer, so that the units "
            "were written and nobody restarted; a run does not change this on a running cluster: put the old one back",
        )


def _client_differences(
    cluster: Cluster, member: Member, settings: t.Mapping[str, t.Any]
) -> t.Iterator[tuple[str, str]]:
    found = settings.get("client_urls") or [member.client_url]
    if list(found) != [member.client_url]:
        yield ", ".join(map(_line, found)), member.client_url
    wanted, files = cluster.question.flag_settings, settings.get("files") or {}
    own = files.get("trusted_ca_file")
    if wanted is not None and wanted.client_tls and own is not None:
        runs_with = None if own == files.get("peer_trusted_ca_file") else own
        if runs_with != (wanted.client_ca_file or None):
            yield f"client CA {_line(runs_with or 'of the peers')}", f"{wanted.client_ca_file or 'that of the peers'}"


def refuse_moved_data(cluster: Cluster) -> t.Iterator[Refusal]:
    """A member stays in its folders: in another one it would be an empty member."""
    wanted = cluster.question.flag_settings
    if wanted is None:
        return
    for member, info in cluster.inspected():
        data = info.get("data") or {}
        for settings in deployed(info):
            found = (settings.get("data_dir"), (settings.get("flags") or {}).get("wal-dir"))
            meant = (wanted.data_dir, _text_or_none(wanted.extra_flags.get("wal-dir")))
            moved = found[0] is not None and found[0].rstrip("/") != wanted.data_dir.rstrip("/")
            if moved and data.get("exists") and not is_running(info):
                # Stopped, and the data was brought to where it is wanted.
                moved = False
            if moved:
                yield _moved(member, "etcd_peer_tls_data_dir", found[0], meant[0])
                break
            if found[1] != meant[1] and has_data(info):
                yield _moved(member, "wal-dir (in etcd_peer_tls_extra_flags)", found[1], meant[1])
                break


def _moved(member: Member, option: str, found: str | None, meant: str | None) -> Refusal:
    return Refusal(
        "data_moved",
        f"member {member.name}: {option} is {_line(found or 'not set')} in what is deployed, and this run means "
        f"{meant or 'not set'}: without its data it would be an empty member: put the old one back, or stop its etcd "
        "and move the data first",
    )


def _text_or_none(value: t.Any) -> str | None:
    return None if value is None else str(value)


# The program, the unit, and whether a restart can be guarded ----------------------------------------------------------


def refuse_other_minor_version(cluster: Cluster) -> t.Iterator[Refusal]:
    """What would be started is of the minor version that runs, and not older than what the member has run already."""
    running = {member.name: _version((info.get("process") or {}).get("version")) for member, info in _running(cluster)}
    for member, info in cluster.inspected():
        starts = _version(version_to_start(cluster.question, info))
        if starts is None:
            continue
        own = running.get(member.name)
        if own is not None:
            if own[:2] != starts[:2] or starts < own:
                yield _version_change(member, own, starts, f"runs as {_dotted(own)}")
            continue
        for name, other in running.items():
            if other is not None and other[:2] != starts[:2]:
                yield _version_change(member, other, starts, f"is not {_dotted(other)}, as {name} runs")
                break


def _version_change(member: Member, runs: Version, starts: Version, found: str) -> Refusal:
    what = "an upgrade of a minor version" if starts > runs else "a downgrade"
    return Refusal(
        "version_change",
        f"member {member.name}: its etcd {found}, and {_dotted(starts)} would be started: {what} is not there yet, and "
        f"could end with a member that does not start again: bring back etcd {_dotted(runs)}, or a later one of "
        f"{runs[0]}.{runs[1]}",
    )


def _running(cluster: Cluster) -> t.Iterator[tuple[Member, Info]]:
    return ((member, info) for member, info in cluster.inspected() if is_running(info))


def _version(text: t.Any) -> Version | None:
    try:
        return parse_version(text) if isinstance(text, str) else None
    except InputError:
        return None


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))


def refuse_unit_that_is_not_taken(cluster: Cluster) -> t.Iterator[Refusal]:
    """Every host's systemd and etcd take the unit that it is to get, before the first host gets one."""
    found: dict[str, list[str]] = {}
    for member, info in cluster.inspected():
        problem = cluster.looks.get(member.name, {}).get("unit_problem")
        # A program that is going to be replaced is tried when it is there.
        if problem and not _is_install_due(cluster, info):
            found.setdefault(_line(problem), []).append(member.name)
    for problem, names in found.items():
        yield Refusal("unit_not_taken", f"member {', '.join(names)}: {problem}")


def _is_install_due(cluster: Cluster, info: Info) -> bool:
    etcd = info.get("etcd") or {}
    question = cluster.question
    return is_install_due(bool(etcd.get("found")), etcd.get("version"), question.install, question.archive)


def restarts_due(cluster: Cluster) -> list[str]:
    """Names of the members whose running process this run would restart."""
    found = []
    for member, info in _running(cluster):
        codes = {one.get("code") for one in cluster.looks.get(member.name, {}).get("due") or ()}
        if codes & _RESTARTS or _is_install_due(cluster, info):
            found.append(member.name)
    return found


def refuse_blind_restart(cluster: Cluster) -> t.Iterator[Refusal]:
    """A restart that is due is one that the guard can see through: else all members would wait, and none be restarted."""
    due = restarts_due(cluster)
    if not due or cluster.question.force_restart or len(cluster.members) < 2:
        return
    for obstacle, names in _obstacles(cluster).items():
        problem = next(
            (look.get("live_members_problem") for name, look in cluster.looks.items() if name in names), None
        )
        yield Refusal(
            f"restart_{obstacle}",
            f"member {', '.join(names)}: {OBSTACLE_REMEDIES[obstacle]} (a restart is due on {', '.join(due)}; the "
            f"member says: {_line(problem)})",
        )
    for alarm, names in raised_alarms(cluster).items():
        if alarm in ALARM_REMEDIES:
            yield Refusal(
                f"restart_alarm_{alarm.lower()}",
                f"alarm {alarm} of {', '.join(names)}: no member is restarted while it is raised (a restart is due on "
                f"{', '.join(due)}): {ALARM_REMEDIES[alarm]}",
            )


def _obstacles(cluster: Cluster) -> dict[str, list[str]]:
    """Why running members can't be asked, as far as that will not change by itself or by this run."""
    found: dict[str, list[str]] = {}
    for name, look in cluster.looks.items():
        info = look.get("info") or {}
        flags = ((info.get("process") or {}).get("settings") or {}).get("flags") or {}
        # Then the gateway is at those URLs alone, and what the client URL says is no HTTP.
        obstacle = "gateway" if flags.get("listen-client-http-urls") else look.get("live_obstacle")
        if obstacle in OBSTACLE_REMEDIES and is_running(info):
            if obstacle == "tls" and not _has_client_ca(cluster):
                # The peers' own certificates: this run makes them sound.
                continue
            found.setdefault(str(obstacle), []).append(name)
    return found


def _has_client_ca(cluster: Cluster) -> bool:
    settings = cluster.question.flag_settings
    return settings is not None and bool(settings.client_ca_file)


def raised_alarms(cluster: Cluster) -> dict[str, list[str]]:
    """Alarm → the members that it is raised for, by name where the list has them."""
    names = {one.member_id: one.name for listed in told_lists(cluster).values() for one in listed if one.name}
    found: dict[str, list[str]] = {}
    for look in cluster.looks.values():
        for alarm in look.get("live_alarms") or ():
            number = _line(alarm.get("member_id"))
            holders = found.setdefault(_line(alarm.get("alarm")), [])
            if names.get(number, number) not in holders:
                holders.append(names.get(number, number))
    return {alarm: sorted(holders) for alarm, holders in sorted(found.items())}


def live_warnings(cluster: Cluster) -> list[str]:
    """Alarms are told where nothing is refused because of them."""
    return [
        f"alarm {alarm} of {', '.join(names)}: {ALARM_REMEDIES.get(alarm, 'see etcdctl alarm list')}"
        for alarm, names in raised_alarms(cluster).items()
    ]


LIVE_GUARDS: tuple[t.Callable[[Cluster], t.Iterator[Refusal]], ...] = (
    refuse_other_minor_version,
    refuse_unit_that_is_not_taken,
    refuse_moved_data,
    refuse_other_peer_url,
    refuse_other_members,
    refuse_unseen_leaving,
    refuse_other_common_name,
    refuse_other_client_side,
    refuse_start_without_data,
    refuse_blind_restart,
)

__all__ = ("LIVE_GUARDS", "Listed", "live_warnings", "raised_alarms", "restarts_due", "told_lists")
