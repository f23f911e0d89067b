# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was gathered to what a change is planned from: the ``Cluster`` of the preflight checks as ``State`` and
``Desired``. Pure.

What a host says decides about its own member. What nobody says, or two say differently, is unknown, and what is unknown
accepts nobody and is not well.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_authorities import (
    Authorities,
    fingerprints_at,
    leaf_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_config import (
    Place,
    Trust,
    client_flags_in,
    client_listeners,
    config_of,
    peer_listeners,
    settings_digest,
    wanted_flags,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Desired,
    Host,
    MemberList,
    State,
    WantedMember,
    Words,
    is_of,
    url_host,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import etcd_flags
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    as_listed,
    data_of,
    is_marked,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.own_flags import OWN_FLAGS
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import WantedCluster
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    Info,
    Listed,
    has_data,
    is_managed,
    is_running,
    one_line,
    reported_lists,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, parse_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

_CRL_FLAG = "peer-crl-file"


# What is wanted -------------------------------------------------------------------------------------------------------


def desired_of(
    cluster: Cluster,
    authorities: Authorities,
    words: Words | None = None,
    members: t.Sequence[Member] | None = None,
    revoked: t.Collection[str] = (),
    version: Version | None = None,
) -> Desired:
    """The cluster that is wanted. ``members``: those to plan for; None: all. ``revoked``: serial numbers."""
    chosen = cluster.members if members is None else members
    return Desired(
        members=tuple(_wanted(cluster, member) for member in chosen),
        issuer=authorities.issuer,
        authorities=frozenset(authorities.wanted),
        known_authorities=frozenset(authorities.known),
        revoked=frozenset(revoked),
        version=version,
        words=words or Words(),
    )


def _wanted(cluster: Cluster, member: Member) -> WantedMember:
    settings = cluster.flag_settings(member.name)
    flags = (
        {}
        if settings is None
        else wanted_flags(member, cluster.members, settings, _added(cluster.infos.get(member.name, {})))
    )
    return WantedMember(
        name=member.name,
        host=member.host,
        common_name=member.common_name,
        peer_url=member.peer_url,
        client_url=member.client_url,
        names=frozenset((*member.dns_names, *member.ip_addresses)),
        settings=settings_digest(flags) if flags else "",
        client_flags=client_flags_in(flags),
    )


def _added(info: Info) -> dict[str, str | None]:
    """What drop-ins and the like make of a host's flags, as far as the role leaves it to them."""
    added = (info.get("unit") or {}).get("added_flags") or {}
    return {flag: value for flag, value in added.items() if flag not in OWN_FLAGS}


# What is there --------------------------------------------------------------------------------------------------------


def state_of(
    cluster: Cluster,
    authorities: Authorities,
    wanted: WantedCluster,
    now: datetime.datetime,
    unreachable: t.Collection[str] = (),
) -> State:
    """The state of the hosts that were looked at. ``unreachable``: names of members whose hosts should have been."""
    lists = reported_lists(cluster)
    # Where they differ nothing is planned.
    listed = next(iter(lists.values()), [])
    hosts = [
        _host(cluster, member, _listed_as(listed, member), authorities, wanted, now, [one.member_id for one in listed])
        for member, _info in cluster.inspected()
    ]
    gone = [Host(member.host, reachable=False) for member in cluster.members if member.name in unreachable]
    tellers = [cluster.states[name] for name in lists]
    return State(
        hosts={host.name: host for host in (*gone, *hosts)},
        member_list=_member_list(lists, tellers),
        cluster_version=_cluster_version(tellers),
    )


def _listed_as(listed: t.Sequence[Listed], member: Member) -> Listed | None:
    return next((one for one in listed if is_of(one, member)), None)


def _member_list(
    lists: t.Mapping[str, t.Sequence[Listed]], tellers: t.Sequence[t.Mapping[str, t.Any]]
) -> MemberList | None:
    if not lists:
        return None
    first = next(iter(lists))
    others = [name for name, listed in lists.items() if _identities(listed) != _identities(lists[first])]
    clusters = {state["live_cluster_id"] for state in tellers if state.get("live_cluster_id")}
    leaders = {state["live_leader_id"] for state in tellers if state.get("live_leader_id")}
    problem = None
    if others:
        problem = f"the members report different member lists ({first} and {', '.join(others)})"
    elif len(clusters) > 1:
        problem = f"the members report different clusters ({', '.join(sorted(clusters))})"
    return MemberList(
        members=tuple(as_listed(one) for one in lists[first]),
        cluster_id=next(iter(sorted(clusters)), ""),
        leader_id=leaders.pop() if len(leaders) == 1 else None,
        problem=problem,
    )


def _identities(listed: t.Iterable[Listed]) -> list[tuple[t.Any, ...]]:
    """What has to be the same in all lists. Client URLs come later, from each member itself."""
    return sorted((one.member_id, one.name, tuple(sorted(one.peer_urls)), one.is_learner) for one in listed)


def _cluster_version(tellers: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[int, int] | None:
    """The oldest that is told: nobody moves the cluster by telling more."""
    found = [_version(state.get("live_cluster_version")) for state in tellers]
    return min((version[:2] for version in found if version is not None), default=None)


# One host -------------------------------------------------------------------------------------------------------------


def _host(
    cluster: Cluster,
    member: Member,
    listed: Listed | None,
    authorities: Authorities,
    wanted: WantedCluster,
    now: datetime.datetime,
    ids: t.Collection[str],
) -> Host:
    info, state = cluster.infos[member.name], cluster.states.get(member.name, {})
    # What is about to be installed is in the cluster's info; what is there is in the state's.
    etcd, staged = (state.get("info") or info).get("etcd") or {}, info.get("etcd") or {}
    program = _version(etcd.get("version"))
    running = _version((info.get("process") or {}).get("version"))
    reader = _Reader(cluster, member, listed, state.get("process_credentials"))
    process = reader.process(info, running)
    crl = reader.crl(info)
    return Host(
        name=member.host,
        process=process,
        disk=reader.disk(info, program or running),
        running=running if process is not None else None,
        program=program,
        problem=_problem(info, state) if process is not None else None,
        links_down=_links_down(info, state, ids) if process is not None else frozenset(),
        leaf=leaf_of(member, state.get("process_credentials") or info["credentials"], authorities, wanted, now),
        crl=crl,
        crl_at_start=reader.crl_at_start(info, crl),
        data=data_of(info),
        enabled=(info.get("unit") or {}).get("enabled") is True,
        marked=is_marked(info),
        new_program_problem=one_line(staged["problem"]) if staged.get("staged") and staged.get("problem") else None,
        addresses=reader.addresses(info, state),
    )


def is_process_of(info: Info, data_dir: str) -> bool:
    """Whether the unit's process is this member: one of ours, or the one that has the member's own data."""
    process = info.get("process") or {}
    if is_running(info):
        return True
    settings = process.get("settings") or {}
    return bool(process.get("running") and has_data(info) and settings.get("data_dir", "").rstrip("/") == data_dir)


class _Reader:
    """What one host's settings and files come to, with what is wanted there in mind."""

    def __init__(
        self,
        cluster: Cluster,
        member: Member,
        listed: Listed | None,
        process_credentials: t.Mapping[str, t.Any] | None,
    ) -> None:
        settings = cluster.flag_settings(member.name)
        self._place = Place(member, () if listed is None else listed.peer_urls)
        self._process_credentials = process_credentials
        self._data_dir = "" if settings is None else settings.data_dir.rstrip("/")
        wanted = {} if settings is None else dict(etcd_flags(member, cluster.members, settings))
        self._crl_is_wanted = _CRL_FLAG in wanted

    def process(self, info: Info, version: Version | None) -> Config | None:
        found = info.get("process") or {}
        data_dir = ((info.get("data") or {}).get("directory") or self._data_dir).rstrip("/")
        if found.get("settings") is None or not is_process_of(info, data_dir):
            return None
        return self._config(info, found["settings"], version, found.get("newer_files") or ())

    def disk(self, info: Info, version: Version | None) -> Config | None:
        found = info.get("unit") or {}
        if not is_managed(info) or found.get("settings") is None:
            return None
        return self._config(info, found["settings"], version, ())

    def _config(
        self, info: Info, settings: t.Mapping[str, t.Any], version: Version | None, newer: t.Collection[str]
    ) -> Config:
        files = settings["files"]
        trust = Trust(
            self._trusted(info, files.get("peer_trusted_ca_file"), newer) or frozenset(),
            # Another file is the user's: nobody here writes it.
            self._trusted(info, files.get("trusted_ca_file"), newer),
        )
        return config_of(settings, self._place, trust, version, self._crl_is_wanted)

    def _trusted(self, info: Info, path: str | None, newer: t.Collection[str]) -> frozenset[str] | None:
        """The CAs that a start reads from a file. What was written since the start is not what it has read."""
        if not path:
            return None
        found = fingerprints_at(info, self._process_credentials, path)
        return frozenset() if found is not None and path in newer else found

    def crl(self, info: Info) -> frozenset[str] | None:
        """The serial numbers in the CRL; none in one that no member is to have."""
        if not self._crl_is_wanted:
            return frozenset()
        found = info.get("crl") or {}
        if found.get("problem") or found.get("serial_numbers") is None:
            return None
        return frozenset(found["serial_numbers"])

    def crl_at_start(self, info: Info, crl: frozenset[str] | None) -> frozenset[str]:
        """The same as its process has seen it from its start on, as far as the file is not newer."""
        is_newer = (info.get("process") or {}).get("crl_is_newer")
        return frozenset() if crl is None or is_newer else crl

    def addresses(self, info: Info, state: t.Mapping[str, t.Any]) -> frozenset[str] | None:
        """The addresses that the host has of those that count; None where its etcd is called by others than these."""
        member, told = self._place.member, info.get("addresses")
        # Only a host that was told its new unit has looked for the addresses in it.
        if told is None or state.get("pending") is None or member.listen_address != url_host(member.peer_url):
            return None
        found = [(info.get(part) or {}).get("settings") for part in ("process", "unit")]
        for settings in [one for one in found if one is not None]:
            calls = {**peer_listeners(settings, self._place), **client_listeners(settings, self._place)}
            if any(url_host(call) != url_host(listener) for call, listener in calls.items()):
                return None
        return frozenset(told)


def _problem(info: Info, state: t.Mapping[str, t.Any]) -> str | None:
    """Why a process is not healthy by its own account; one that gave none is not."""
    data = info.get("data") or {}
    answering = state.get("live_member_id")
    if answering and data.get("member_id") and answering != data["member_id"]:
        return f"member {one_line(answering)} answers in its place"
    if state.get("live_healthy") is True:
        return None
    return one_line(state.get("live_health_problem") or "it did not say whether it is healthy")


def _links_down(info: Info, state: t.Mapping[str, t.Any], ids: t.Collection[str]) -> frozenset[str]:
    """The listed members to which this one has no connection; all of them where it does not tell."""
    active = state.get("live_active_peers") or ()
    me = (info.get("data") or {}).get("member_id") or state.get("live_member_id")
    return frozenset(set(ids) - set(active) - {me})


def _version(text: t.Any) -> Version | None:
    try:
        return parse_version(text) if isinstance(text, str) else None
    except InputError:
        return None


__all__ = ("desired_of", "is_process_of", "state_of")
