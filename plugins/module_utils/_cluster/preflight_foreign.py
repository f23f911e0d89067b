# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks for what somebody else has on a host: an etcd, its data, its ports. What is unknown is refused.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.foreign import (
    user_of,
    where_its_data_is,
    why_not_replaced,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    Info,
    PreflightFailure,
    has_data,
    is_managed,
)


def _known_clusters(cluster: Cluster) -> set[t.Any]:
    """The clusters that our own units have data of, or our markers name with the data that is there."""
    found = {
        info["data"].get("cluster_id")
        for _member, info in cluster.inspected()
        if has_data(info) and (is_managed(info) or _is_marked(info))
    }
    return found - {None}


def _is_marked(info: Info) -> bool:
    """Whether root's own marker is of the data that is there, and no unit or process has it.

    A restore onto a new host comes before its unit. Where a unit of another name has the data it was renamed.
    """
    marker, data = info.get("formed_marker") or {}, info["data"]
    ids = [(one.get("member_id"), one.get("cluster_id")) for one in (marker, data)]
    is_used = any(one.get("uses_data") for one in _in_the_way(info, "unit", "process"))
    is_used = is_used or bool((info.get("other_etcd") or {}).get("running"))
    return bool(marker.get("exists")) and ids[0] == ids[1] and not is_used


def _is_foreign_data(info: Info, known: t.Container[t.Any]) -> bool:
    """A member whose unit was lost is known by its cluster's number, which the others have too."""
    return has_data(info) and not is_managed(info) and info["data"].get("cluster_id") not in known


def _in_the_way(info: Info, *what: str) -> list[Info]:
    return [one for one in info.get("in_the_way") or () if one.get("what") in what]


def refuse_foreign_data(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """The data folders hold members of one cluster, each another member, and not of one that we never deployed."""
    clusters: dict[str, list[str]] = {}
    holders: dict[str, list[str]] = {}
    folders: dict[str, str] = {}
    known = _known_clusters(cluster)
    for member, info in cluster.inspected():
        data = info.get("data") or {}
        if data.get("problem"):
            yield PreflightFailure(
                "data_unknown",
                f"member {member.name}: what {data.get('directory')} holds can't be told ({data['problem']}): a run "
                "does not touch what may be a member's data",
            )
        if not data.get("exists"):
            continue
        folders[member.name] = str(data.get("directory"))
        if _is_foreign_data(info, known):
            if not any(one.get("uses_data") for one in _in_the_way(info, "process")):
                yield PreflightFailure(
                    "data_of_another_cluster",
                    f"member {member.name}: {data.get('directory')} holds an etcd member (cluster "
                    f"{data.get('cluster_id') or 'unknown'}) that this role did not deploy{_way_out_for_data(info)}",
                )
        elif data.get("cluster_id"):
            clusters.setdefault(data["cluster_id"], []).append(member.name)
            holders.setdefault(data["member_id"], []).append(member.name)
    if len(clusters) > 1:
        each = "; ".join(f"{', '.join(names)}: cluster {number}" for number, names in sorted(clusters.items()))
        where = ", ".join(f"{name}:{folder}" for name, folder in folders.items())
        yield PreflightFailure(
            "data_of_another_cluster",
            f"cluster {cluster.question.cluster_name}: the data folders are of different clusters ({each}; {where}): "
            "move the one that does not belong here away",
        )
    for number, names in holders.items():
        if len(names) > 1:
            yield PreflightFailure(
                "data_copied",
                f"members {', '.join(names)} hold the data of one and the same member {number} (a cloned host?): empty "
                "the data folder of the copy",
            )


def _way_out_for_data(info: Info) -> str:
    """Data is moved away only from an etcd that does not run, and will not run again."""
    other, unit = info.get("other_etcd") or {}, (info.get("unit") or {}).get("name")
    named = [one for one in _in_the_way(info, "unit") if one.get("uses_data")]
    ours = [one for one in named if one.get("managed")]
    if other.get("running") and other.get("data_dir") in (None, info["data"].get("directory")):
        return (
            f", and {unit} (pid {other.get('pid')}) runs on it: where it is a member of a cluster that is to be "
            "this role's, the playbook ringfence.etcd.adopt takes it over as it is; else leave the host "
            f"out; or save what you need of it, stop it (systemctl disable --now {unit}) and move the data away or set "
            "etcd_peer_tls_data_dir to another folder, and the new cluster starts empty"
        )
    if ours:
        return (
            f" under this unit's name: {ours[0].get('unit')}, which this role made, names the folder: set "
            f"etcd_peer_tls_unit: {ours[0].get('unit')} as it was, a run does not rename a unit"
        )
    if named:
        return (
            f", and the unit {named[0].get('unit')}, which is stopped, names the folder: a run does not take over a "
            f"cluster, so leave the host out; or save what you need of it, disable that unit (systemctl disable "
            f"{named[0].get('unit')}) and move the data away, and the new cluster starts empty"
        )
    return ": move it away, or set etcd_peer_tls_data_dir to another folder; the new cluster starts empty either way"


def refuse_distribution_etcd(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """An etcd of that unit's name that is not ours (Debian's package starts one) is replaced only where it is empty."""
    if not cluster.question.overrule_distribution_etcd:
        for found in _living_others(cluster):
            yield PreflightFailure(
                "distribution_etcd_in_use",
                f"{found.who} {found.what}; a run would stop it and start a new, empty cluster in its place: leave "
                f"{'these hosts' if found.several else 'this host'} out; or save what you need of it (etcdctl snapshot "
                "save) and set etcd_peer_tls_overrule_distribution_etcd: true in that run, with which it is stopped, "
                f"its data stays in {found.where} and is not used, and the new cluster starts empty; with another "
                "etcd_peer_tls_unit both would fight for the same ports",
            )


def refuse_in_the_way(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Who has the ports or the data folder already, or will take them at the next boot, is there first."""
    found: dict[tuple[t.Any, ...], list[tuple[str, Info]]] = {}
    for member, info in cluster.inspected():
        for one in info.get("in_the_way") or ():
            # A unit that is stopped and not enabled starts only by hand; the check of its data reports whose it names.
            if one.get("what") != "unit" or one.get("enabled"):
                # Members of one cluster are reported together, and so is what is the same on several hosts.
                together = [one.get(key) for key in ("what", "unit", "program", "uses_data", "managed", "problem")]
                together.append(one.get("cluster_id") or one.get("data_dir"))
                found.setdefault(tuple(together), []).append((member.name, one))
    for entries in found.values():
        yield _failure_of(entries, (cluster.infos[entries[0][0]].get("unit") or {}).get("name"))


def _failure_of(entries: t.Sequence[tuple[str, Info]], own_unit: t.Any) -> PreflightFailure:
    """The preflight failure for those in the way that are alike, by member's name."""
    names, one = [name for name, _one in entries], entries[0][1]
    who = f"member{'s' if len(names) > 1 else ''} {', '.join(names)}"
    users = list(dict.fromkeys(user_of(entry) for _name, entry in entries))
    user = users[0] if len(users) == 1 else f"{one.get('program') or 'a process'} of {one.get('unit') or 'no unit'}"
    addresses = ", ".join(dict.fromkeys(place for _name, entry in entries for place in entry.get("listens") or ()))
    unit, folder = one.get("unit"), one.get("data_dir")
    if one.get("what") == "unknown":
        return PreflightFailure(
            "in_the_way_unknown",
            f"{who}: who has the member's ports can't be told ({one.get('problem')}): run as root (become: true)",
        )
    stop = _how_it_is_stopped(one)
    if one.get("uses_data") and one.get("managed"):
        return PreflightFailure(
            "unit_renamed",
            f"{who}: {user}, which this role made, uses {folder}, the data folder that is meant for {own_unit}: "
            + (
                f"set etcd_peer_tls_unit: {unit} as it was, a run does not rename a unit" if unit else f"stop it {stop}"
            ),
        )
    fate = _what_becomes_of_it(one, len(names), stop)
    if one.get("what") == "unit":
        return _failure_of_unit(who, one, addresses, stop, fate)
    if one.get("uses_data"):
        return PreflightFailure(
            "data_in_use",
            f"{who}: {user} runs on {folder}, the data folder that is meant for {own_unit}: "
            f"{fate.format('stop it')}, in another folder (etcd_peer_tls_data_dir)",
        )
    return PreflightFailure(
        "port_in_use",
        f"{who}: {user} listens at {addresses}, where the member is to listen: {fate.format('stop it')}; or leave it "
        "and give the member other ports (etcd_peer_tls_peer_port, etcd_peer_tls_client_port)",
    )


def _how_it_is_stopped(one: Info) -> str:
    """The command that keeps an etcd in the way from running."""
    if not str(one.get("unit")).endswith(".service"):
        # A container, or a session: systemd only knows that it is there.
        return "where it was started"
    return f"systemctl disable{'' if one.get('what') == 'unit' else ' --now'} {one.get('unit')}"


def _what_becomes_of_it(one: Info, count: int, stop: str) -> str:
    """What to do about an etcd that is in the way; ``{}`` in it stands for how to get it out of the way."""
    folder = one.get("data_dir")
    if count > 1 and one.get("cluster_id") and not one.get("managed"):
        kind = f"is one of {count} members of a cluster that this role did not deploy (data in {folder})"
    elif folder:
        kind = f"is an etcd with data in {folder}"
    else:
        return f"{{}} if it is not needed ({stop})"
    return (
        f"it {kind}, and a run does not take it over: leave the host out, or save what you need of it and {{}} "
        f"({stop}); a new cluster starts empty"
    )


def _failure_of_unit(who: str, one: Info, addresses: str, stop: str, fate: str) -> PreflightFailure:
    """The refusal for a unit that is stopped, and comes back at the next boot."""
    unit = one.get("unit")
    if one.get("problem"):
        return PreflightFailure(
            "unit_unknown",
            f"{who}: {unit} is stopped and enabled, and whether it would use the member's ports and data folder at "
            f"the next boot can't be told ({one['problem']}): disable it ({stop})",
        )
    wants = " and ".join(
        [f"runs on {one.get('data_dir')}"] * bool(one.get("uses_data")) + [f"listens at {addresses}"] * bool(addresses)
    )
    return PreflightFailure(
        "unit_in_the_way",
        f"{who}: {unit} is stopped and enabled: at the next boot it {wants}, as the member does, and which of the "
        f"two comes first is chance: {fate.format('disable it')}",
    )


@dataclass(frozen=True)
class _Living:
    """An etcd under our unit's name that is not to be lost unasked, or several that are one cluster."""

    who: str
    what: str
    where: str
    several: bool


def _living_others(cluster: Cluster) -> list[_Living]:
    """Those that have something to lose, members of one cluster together. Left out: who runs on the wanted folder."""
    known = _known_clusters(cluster)
    groups: dict[str, list[tuple[str, Info]]] = {}
    for member, info in cluster.inspected():
        other = info.get("other_etcd") or {}
        if not other or why_not_replaced(other) is None:
            continue
        if _is_foreign_data(info, known) and other.get("data_dir") == info["data"].get("directory"):
            # No other unit's name and no overruling helps there.
            continue
        groups.setdefault(str(other.get("cluster_id") or f"of {member.name}"), []).append((member.name, other))
    found = []
    for group in groups.values():
        names, other = [name for name, _other in group], group[0][1]
        where = ", ".join(dict.fromkeys(where_its_data_is(one) for _name, one in group))
        units = ", ".join(dict.fromkeys(str(one.get("unit_path") or "its unit was replaced") for _name, one in group))
        members = max(len(one.get("members") or ()) for _name, one in group)
        count = max(members, len(group))
        what = "; ".join(dict.fromkeys(str(why_not_replaced(one)) for _name, one in group))
        kind = f"one cluster of {count} members" if count > 1 else "an etcd"
        found.append(
            _Living(
                who=f"member{'s' if len(names) > 1 else ''} {', '.join(names)}: {kind} of the same unit name that this "
                f"role did not deploy ({units}, data in {where})",
                what=what,
                where=where,
                several=len(names) > 1,
            )
        )
    return found


def overruled_warnings(cluster: Cluster) -> list[str]:
    """What becomes of another etcd that is stopped because the user said so."""
    if not cluster.question.overrule_distribution_etcd:
        return []
    return [
        f"{found.who} {found.what}: as etcd_peer_tls_overrule_distribution_etcd says, it is stopped, its data stays in "
        f"{found.where} and is not used: the new cluster starts empty"
        for found in _living_others(cluster)
    ]


FOREIGN_CHECKS: tuple[t.Callable[[Cluster], t.Iterator[PreflightFailure]], ...] = (
    refuse_distribution_etcd,
    refuse_in_the_way,
    refuse_foreign_data,
)

__all__ = ("FOREIGN_CHECKS", "overruled_warnings")
