# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guards: what has to be true of a whole cluster before a run may change anything in it.

Pure: takes the members that are wanted and what ``etcd_peer_info`` found on each host, gives refusals and warnings.
Each guard is a function of its own that gives back refusals; ``check_cluster`` is the list of them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._der import iso_time, read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._flags import (
    FlagSettings,
    allowed_common_names,
    check_identity,
    etcd_flags,
    parse_version,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign import (
    user_of,
    where_its_data_is,
    why_not_replaced,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._members import Member

Info = t.Mapping[str, t.Any]

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
# New certificates begin an hour before they are made: a clock that is behind by less takes them for valid.
_CLOCK_TOLERANCE = datetime.timedelta(minutes=30)


@dataclass(frozen=True)
class Refusal:
    """Why a run does not go on: ``code`` for machines, ``text`` for people, in one line."""

    code: str
    text: str


@dataclass(frozen=True)
class Question:
    """What a run is asked to do with a cluster, beside the members and the findings.

    ``batch``: names of the members in this batch; ``play``: of those in the whole play (more than the batch with
    ``serial``); ``leaving``: common names or member names that the user said are to go, in this run.
    """

    cluster_name: str
    identity: str = "list"
    batch: t.Collection[str] = ()
    play: t.Collection[str] = ()
    leaving: t.Collection[str] = ()
    # "none", "package" or "archive"
    install: str = "none"
    archive: str = ""
    archive_sha256: str = ""
    overrule_distribution_etcd: bool = False
    ca_certificate: str | None = None
    flag_settings: FlagSettings | None = None
    # None: the hosts' clocks are not compared with the controller's.
    time: datetime.datetime | None = None


@dataclass(frozen=True)
class Cluster:
    """The members that are wanted, what was found on those that were looked at (by member's name), and the question."""

    members: t.Sequence[Member]
    infos: t.Mapping[str, Info]
    question: Question

    def inspected(self) -> t.Iterator[tuple[Member, Info]]:
        for member in self.members:
            if member.name in self.infos:
                yield member, self.infos[member.name]

    def not_inspected(self) -> list[str]:
        return [member.name for member in self.members if member.name not in self.infos]

    def quorum(self) -> int:
        return len(self.members) // 2 + 1


def _has_data(info: Info) -> bool:
    return bool((info.get("data") or {}).get("exists"))


def _is_managed(info: Info) -> bool:
    return bool((info.get("unit") or {}).get("managed"))


def _deployed(info: Info) -> t.Iterator[t.Mapping[str, t.Any]]:
    """What our unit on a host says, as written and as it runs."""
    if _is_managed(info):
        yield info["unit"].get("settings") or {}
    if (info.get("process") or {}).get("seal"):
        yield info["process"].get("settings") or {}


def refuse_archive_without_sum(cluster: Cluster) -> t.Iterator[Refusal]:
    """What is fetched and run as a service is known by its sum."""
    question = cluster.question
    if question.install == "archive" and not (question.archive and _SHA256.fullmatch(question.archive_sha256)):
        yield Refusal(
            "archive",
            "etcd_peer_tls_install is archive, which needs etcd_peer_tls_archive (a path or URL, found "
            f"{question.archive or 'none'}) and etcd_peer_tls_archive_sha256 (64 hexadecimal digits, found "
            f"{question.archive_sha256 or 'none'})",
        )


def refuse_missing_binary(cluster: Cluster) -> t.Iterator[Refusal]:
    """etcd is the user's to bring, or the role's to install on request."""
    for member, info in cluster.inspected():
        etcd = info.get("etcd") or {}
        if cluster.question.install != "none":
            continue
        if not etcd.get("found"):
            yield Refusal(
                "binary_missing",
                f"member {member.name}: there is no etcd at {etcd.get('binary')}: put it there, name another path in "
                "etcd_peer_tls_etcd_binary, or let the role install it with etcd_peer_tls_install: package or archive",
            )
        elif not etcd.get("version"):
            yield Refusal(
                "binary_unusable",
                f"member {member.name}: {etcd.get('binary')} --version does not answer as etcd does "
                f"({etcd.get('problem') or 'no version in its output'}): name the etcd binary in "
                "etcd_peer_tls_etcd_binary",
            )


def refuse_version(cluster: Cluster) -> t.Iterator[Refusal]:
    """A list of common names locks every peer out before etcd 3.5.15."""
    for member, info in cluster.inspected():
        version = (info.get("etcd") or {}).get("version")
        if version:
            try:
                check_identity(parse_version(version), cluster.question.identity, member.name)
            except RingfenceError as exc:
                yield Refusal("version", str(exc))


def refuse_files_of_others(cluster: Cluster) -> t.Iterator[Refusal]:
    """Without root the role can do its work for nobody but the user that it runs as."""
    found: dict[tuple[str, str], list[str]] = {}
    for member, info in cluster.inspected():
        user = info.get("user") or {}
        if user.get("may_own") is False:
            found.setdefault((user["name"], user["module_user"]), []).append(member.name)
    for (owner, caller), names in found.items():
        yield Refusal(
            "not_root",
            f"member {', '.join(names)}: only root can give files to {owner}, and this runs as {caller}: run as root "
            f"(become: true), or set etcd_peer_tls_owner: {caller} and etcd_peer_tls_manage_service: false",
        )


def refuse_wrong_clock(cluster: Cluster) -> t.Iterator[Refusal]:
    """A certificate is judged by the host's clock: a wrong one refuses good ones, or takes ended ones for valid."""
    here = cluster.question.time
    for member, info in cluster.inspected():
        if here is None or not info.get("time"):
            continue
        there = datetime.datetime.strptime(info["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
        if abs(there - here) > _CLOCK_TOLERANCE:
            yield Refusal(
                "clock",
                f"member {member.name}: its clock says {info['time']}, the controller's {iso_time(here)}: set the one "
                "right that is wrong, by NTP at best, since certificates are judged by it",
            )


def refuse_flags(cluster: Cluster) -> t.Iterator[Refusal]:
    """The command line can be made for every member: what is wrong with an extra flag is the same on all, said once."""
    settings = cluster.question.flag_settings
    if settings is not None:
        try:
            for member in cluster.members:
                etcd_flags(member, cluster.members, settings)
        except RingfenceError as exc:
            yield Refusal("flags", str(exc))


def refuse_other_cluster(cluster: Cluster) -> t.Iterator[Refusal]:
    """The unit that is deployed belongs to the cluster that is meant."""
    for member, info in cluster.inspected():
        for settings in _deployed(info):
            token = (settings.get("flags") or {}).get("initial-cluster-token")
            if token is not None and token != cluster.question.cluster_name:
                yield Refusal(
                    "other_cluster",
                    f"member {member.name}: the unit that is deployed belongs to cluster {token}, this run means "
                    f"{cluster.question.cluster_name}: set etcd_peer_tls_cluster_name, or etcd_peer_tls_unit for a "
                    "second cluster",
                )
                break


def refuse_lost_name(cluster: Cluster) -> t.Iterator[Refusal]:
    """No name leaves the list of allowed common names unless the user said so in this run."""
    wanted = set(allowed_common_names(cluster.members))
    lost: dict[str, list[str]] = {}
    for member, info in cluster.inspected():
        deployed = {name for settings in _deployed(info) for name in settings.get("allowed_common_names") or ()}
        for name in sorted(deployed - wanted):
            if not any(name == leaving or name.startswith(f"{leaving}.") for leaving in cluster.question.leaving):
                lost.setdefault(name, []).append(member.name)
    for name, holders in lost.items():
        yield Refusal(
            "name_would_be_lost",
            f"common name {name} is allowed by the unit on {', '.join(holders)} and is not in this run's list "
            f"({', '.join(allowed_common_names(cluster.members))}): that member would be locked out; put it back "
            "into the "
            f"inventory, or say that it is to go with etcd_peer_tls_leaving: [{name}]",
        )


def trusted_fingerprints(cluster: Cluster) -> dict[str, list[str]]:
    """SHA-256 fingerprints of the CA certificates that each host trusts already, by member's name."""
    found: dict[str, list[str]] = {}
    for member, info in cluster.inspected():
        authority = ((info.get("credentials") or {}).get("ca")) or {}
        prints = [certificate["fingerprint"] for certificate in authority.get("certificates") or ()]
        if prints:
            found[member.name] = prints
    return found


def common_fingerprints(cluster: Cluster) -> list[str]:
    """The CA certificates that every host with a trust bundle trusts, sorted."""
    bundles = [set(prints) for prints in trusted_fingerprints(cluster).values()]
    return sorted(set.intersection(*bundles)) if bundles else []


def refuse_split_trust(cluster: Cluster) -> t.Iterator[Refusal]:
    """Hosts that trust different CAs are no cluster, or a half-done change by hand: not ours to decide."""
    found = trusted_fingerprints(cluster)
    if found and not common_fingerprints(cluster):
        each = "; ".join(f"{name} trusts {', '.join(_short(p) for p in prints)}" for name, prints in found.items())
        yield Refusal(
            "trust_differs",
            f"cluster {cluster.question.cluster_name}: the members trust no CA in common ({each}): put the right "
            "ca.crt back on "
            "the member that differs, then run again",
        )


def refuse_other_authority(cluster: Cluster) -> t.Iterator[Refusal]:
    """A CA that is given as content has to be one that the hosts trust. (One in a folder is checked by etcd_ca.)"""
    given, trusted = cluster.question.ca_certificate, common_fingerprints(cluster)
    if not given or not trusted:
        return
    prints = [
        certificate.fingerprint for certificate in read_certificates(given.encode(), "etcd_peer_tls_ca_certificate")
    ]
    if not set(prints) & set(trusted):
        yield Refusal(
            "other_ca",
            f"cluster {cluster.question.cluster_name}: the members trust CA {', '.join(_short(p) for p in trusted)}, "
            "the "
            f"certificate in etcd_peer_tls_ca_certificate is {', '.join(_short(p) for p in prints)}: give the "
            "cluster's own CA",
        )


def why_no_new_authority(cluster: Cluster) -> str | None:
    """Why a CA that does not exist must not be made in this run; None where this is a first deployment."""
    missing = cluster.not_inspected()
    if missing:
        return (
            f"{', '.join(missing)} can't be seen in this run (--limit, serial, unreachable or failed) and may trust "
            "a CA "
            "already: run once over all members"
        )
    for member, info in cluster.inspected():
        authority = ((info.get("credentials") or {}).get("ca")) or {}
        if authority.get("state", "absent") != "absent":
            return f"{member.name} has {authority.get('path')} already: bring the CA that it came from"
        if _has_data(info) or _is_managed(info):
            return f"{member.name} has been deployed already: bring the CA that its certificate came from"
    return None


def _known_clusters(cluster: Cluster) -> set[t.Any]:
    """The clusters that our own units have data of."""
    found = {
        info["data"].get("cluster_id") for _member, info in cluster.inspected() if _is_managed(info) and _has_data(info)
    }
    return found - {None}


def _is_foreign_data(info: Info, known: t.Container[t.Any]) -> bool:
    """A member whose unit was lost is known by its cluster's number, which the others have too."""
    return _has_data(info) and not _is_managed(info) and info["data"].get("cluster_id") not in known


def _in_the_way(info: Info, *what: str) -> list[Info]:
    return [one for one in info.get("in_the_way") or () if one.get("what") in what]


def refuse_foreign_data(cluster: Cluster) -> t.Iterator[Refusal]:
    """The data folders hold members of one cluster, each another member, and not of one that we never deployed."""
    clusters: dict[str, list[str]] = {}
    holders: dict[str, list[str]] = {}
    folders: dict[str, str] = {}
    known = _known_clusters(cluster)
    for member, info in cluster.inspected():
        data = info.get("data") or {}
        if data.get("problem"):
            yield Refusal(
                "data_unknown",
                f"member {member.name}: what {data.get('directory')} holds can't be told ({data['problem']}): a run "
                "does not touch what may be a member's data",
            )
        if not data.get("exists"):
            continue
        folders[member.name] = str(data.get("directory"))
        if _is_foreign_data(info, known):
            if not any(one.get("uses_data") for one in _in_the_way(info, "process")):
                yield Refusal(
                    "data_of_another_cluster",
                    f"member {member.name}: {data.get('directory')} holds an etcd member (cluster "
                    f"{data.get('cluster_id') or 'unknown'}) "
                    f"that this role did not deploy{_way_out_for_data(info)}",
                )
        elif data.get("cluster_id"):
            clusters.setdefault(data["cluster_id"], []).append(member.name)
            holders.setdefault(data["member_id"], []).append(member.name)
    if len(clusters) > 1:
        each = "; ".join(f"{', '.join(names)}: cluster {number}" for number, names in sorted(clusters.items()))
        where = ", ".join(f"{name}:{folder}" for name, folder in folders.items())
        yield Refusal(
            "data_of_another_cluster",
            f"cluster {cluster.question.cluster_name}: the data folders are of different clusters ({each}; {where}): "
            "move the one "
            "that does not belong here away",
        )
    for number, names in holders.items():
        if len(names) > 1:
            yield Refusal(
                "data_copied",
                f"members {', '.join(names)} hold the data of one and the same member {number} (a cloned host?): "
                "empty the data "
                "folder of the copy",
            )


def _way_out_for_data(info: Info) -> str:
    """Data is moved away only from an etcd that does not run, and will not run again."""
    other, unit = info.get("other_etcd") or {}, (info.get("unit") or {}).get("name")
    named = [one for one in _in_the_way(info, "unit") if one.get("uses_data")]
    ours = [one for one in named if one.get("managed")]
    if other.get("running") and other.get("data_dir") in (None, info["data"].get("directory")):
        return (
            f", and {unit} (pid {other.get('pid')}) runs on it: a run does not take over a cluster, so leave the host "
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


def refuse_distribution_etcd(cluster: Cluster) -> t.Iterator[Refusal]:
    """An etcd of that unit's name that is not ours (Debian's package starts one) is replaced only where it is empty."""
    if not cluster.question.overrule_distribution_etcd:
        for found in _living_others(cluster):
            yield Refusal(
                "distribution_etcd_in_use",
                f"{found.who} {found.what}; a run would stop it and start a new, empty cluster in its place: leave "
                f"{'these hosts' if found.several else 'this host'} out; or save what you need of it (etcdctl snapshot "
                "save) and set etcd_peer_tls_overrule_distribution_etcd: true in that run, with which it is stopped, "
                f"its data stays in {found.where} and is not used, and the new cluster starts empty; with another "
                "etcd_peer_tls_unit both would fight for the same ports",
            )


def refuse_in_the_way(cluster: Cluster) -> t.Iterator[Refusal]:
    """Who has the ports or the data folder already, or will take them at the next boot, is there first."""
    found: dict[tuple[t.Any, ...], list[tuple[str, Info]]] = {}
    for member, info in cluster.inspected():
        for one in info.get("in_the_way") or ():
            # A unit that is stopped and not enabled starts when somebody says so; whose data it names is told there.
            if one.get("what") != "unit" or one.get("enabled"):
                # Members of one cluster are told together, and so is what is the same on several hosts.
                together = [one.get(key) for key in ("what", "unit", "program", "uses_data", "managed", "problem")]
                together.append(one.get("cluster_id") or one.get("data_dir"))
                found.setdefault(tuple(together), []).append((member.name, one))
    for entries in found.values():
        yield _refusal_of(entries, (cluster.infos[entries[0][0]].get("unit") or {}).get("name"))


def _refusal_of(entries: t.Sequence[tuple[str, Info]], own_unit: t.Any) -> Refusal:
    """The refusal for those in the way that are alike, by member's name."""
    names, one = [name for name, _one in entries], entries[0][1]
    who = f"member{'s' if len(names) > 1 else ''} {', '.join(names)}"
    users = list(dict.fromkeys(user_of(entry) for _name, entry in entries))
    user = users[0] if len(users) == 1 else f"{one.get('program') or 'a process'} of {one.get('unit') or 'no unit'}"
    places = ", ".join(dict.fromkeys(place for _name, entry in entries for place in entry.get("listens") or ()))
    unit, folder = one.get("unit"), one.get("data_dir")
    if one.get("what") == "unknown":
        return Refusal(
            "in_the_way_unknown",
            f"{who}: who has the member's ports can't be told ({one.get('problem')}): run as root (become: true)",
        )
    stop = f"systemctl disable{'' if one.get('what') == 'unit' else ' --now'} {unit}"
    if not str(unit).endswith(".service"):
        # A container, or a session: systemd only knows that it is there.
        stop = "where it was started"
    if one.get("uses_data") and one.get("managed"):
        return Refusal(
            "unit_renamed",
            f"{who}: {user}, which this role made, uses {folder}, the data folder that is meant for {own_unit}: "
            + (
                f"set etcd_peer_tls_unit: {unit} as it was, a run does not rename a unit" if unit else f"stop it {stop}"
            ),
        )
    count = len(names)
    kind = (
        f"is one of {count} members of a cluster that this role did not deploy (data in {folder})"
        if count > 1 and one.get("cluster_id") and not one.get("managed")
        else f"is an etcd with data in {folder}"
        if folder
        else None
    )
    fate = (
        f"it {kind}, and a run does not take it over: leave the host out, or save what you need of it and {{}} "
        f"({stop}); a new cluster starts empty"
        if kind
        else f"{{}} if it is not needed ({stop})"
    )
    if one.get("what") == "unit":
        if one.get("problem"):
            return Refusal(
                "unit_unknown",
                f"{who}: {unit} is stopped and enabled, and whether it would use the member's ports and data folder at "
                f"the next boot can't be told ({one['problem']}): disable it ({stop})",
            )
        wants = " and ".join(
            [f"runs on {folder}"] * bool(one.get("uses_data")) + [f"listens at {places}"] * bool(places)
        )
        return Refusal(
            "unit_in_the_way",
            f"{who}: {unit} is stopped and enabled: at the next boot it {wants}, as the member does, and which of the "
            f"two comes first is chance: {fate.format('disable it')}",
        )
    if one.get("uses_data"):
        return Refusal(
            "data_in_use",
            f"{who}: {user} runs on {folder}, the data folder that is meant for {own_unit}: "
            f"{fate.format('stop it')}, in another folder (etcd_peer_tls_data_dir)",
        )
    return Refusal(
        "port_in_use",
        f"{who}: {user} listens at {places}, where the member is to listen: {fate.format('stop it')}; or leave it and "
        "give the member other ports (etcd_peer_tls_peer_port, etcd_peer_tls_client_port)",
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


def refuse_unasked_join(cluster: Cluster) -> t.Iterator[Refusal]:
    """A host without data that the living cluster was not formed with can't start: etcd wants ``member add`` first."""
    known: set[str] = set()
    living = False
    for _member, info in cluster.inspected():
        if _has_data(info):
            living = True
            for settings in _deployed(info):
                known.update(settings.get("initial_cluster") or {})
    for member, info in cluster.inspected():
        if living and not _has_data(info) and member.name not in known:
            yield Refusal(
                "join_not_prepared",
                f"member {member.name} is new to the running cluster {cluster.question.cluster_name}, and a run of "
                "main forms "
                "clusters only: leave it out of this run with --limit (the others then allow its name), add it with "
                "etcdctl "
                "member add, and start it by hand",
            )


def refuse_first_start_in_batches(cluster: Cluster) -> t.Iterator[Refusal]:
    """etcd's first start blocks until a quorum is there: with ``serial`` the first batch would wait for ever."""
    if any(_has_data(info) for _member, info in cluster.inspected()) or not cluster.infos:
        return
    later = [name for name in cluster.question.play if name not in cluster.question.batch]
    if later and len(cluster.infos) < cluster.quorum():
        yield Refusal(
            "first_start_in_batches",
            f"cluster {cluster.question.cluster_name}: the first start needs {cluster.quorum()} of "
            f"{len(cluster.members)} members in "
            f"one batch, and {', '.join(later)} is not in this one: take serial out of the play (or reach the "
            "missing hosts)",
        )


_GUARDS: tuple[t.Callable[[Cluster], t.Iterator[Refusal]], ...] = (
    refuse_archive_without_sum,
    refuse_missing_binary,
    refuse_version,
    refuse_wrong_clock,
    refuse_flags,
    refuse_files_of_others,
    refuse_other_cluster,
    refuse_lost_name,
    refuse_split_trust,
    refuse_other_authority,
    refuse_distribution_etcd,
    refuse_in_the_way,
    refuse_foreign_data,
    refuse_unasked_join,
    refuse_first_start_in_batches,
)


def check_cluster(cluster: Cluster) -> list[Refusal]:
    """All refusals, in the guards' order; an empty list means that the run may go on."""
    return [refusal for guard in _GUARDS for refusal in guard(cluster)]


def cluster_warnings(cluster: Cluster) -> list[str]:
    """What is allowed and still worth a line."""
    count, name = len(cluster.members), cluster.question.cluster_name
    warnings: list[str] = []
    if count % 2 == 0:
        warnings.append(
            f"cluster {name} has {count} members: it survives no more failures than with {count - 1}; an odd number "
            "is better"
        )
    if cluster.question.overrule_distribution_etcd:
        warnings.extend(
            f"{found.who} {found.what}: as etcd_peer_tls_overrule_distribution_etcd says, it is stopped, its data "
            f"stays in {found.where} and is not used: the new cluster starts empty"
            for found in _living_others(cluster)
        )
    for member, info in cluster.inspected():
        drop_ins = (info.get("unit") or {}).get("drop_ins") or ()
        if drop_ins:
            warnings.append(
                f"member {member.name}: drop-ins change the unit that this role renders: {', '.join(drop_ins)}"
            )
        for settings in _deployed(info):
            warnings.extend(f"member {member.name}: {warning['text']}" for warning in settings.get("warnings") or ())
    return list(dict.fromkeys(warnings))


def certificate_requests(cluster: Cluster, new_keys: bool = False) -> list[dict[str, t.Any]]:
    """The members seen in this run, as ``etcd_peer_certificates`` takes them: what each should have and has."""
    requests = []
    for member, info in cluster.inspected():
        credentials = info.get("credentials") or {}
        certificate, key = credentials.get("certificate") or {}, credentials.get("private_key") or {}
        requests.append(
            {
                "name": member.name,
                "common_name": member.common_name,
                "dns_names": list(member.dns_names),
                "ip_addresses": list(member.ip_addresses),
                "certificate": certificate.get("pem"),
                "private_key_matches": key.get("matches_certificate"),
                "new_key": new_keys,
            }
        )
    return requests


def _short(fingerprint: str) -> str:
    return f"sha256:{fingerprint[:16]}…" if len(fingerprint) > 16 else fingerprint


__all__ = (
    "Cluster",
    "Question",
    "Refusal",
    "certificate_requests",
    "check_cluster",
    "cluster_warnings",
    "common_fingerprints",
    "trusted_fingerprints",
    "why_no_new_authority",
)
