# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a cluster that somebody else deployed is not taken over: what lacks, and the way. Pure.

What is not known is a reason, too. A rule gives (member or None, what, way).

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import is_true
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import (
    FIRST_VERSION_WITH_LIST,
    dotted,
    understands_list,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RefusedError, one_line
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    checked_member_name,
    checked_unit_name,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import MEMBER
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.closing import closing_list
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Cluster, Run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.missing import missing_member
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.names import Problem

_LEAST_MEMBERS = 3
_AUDIT = "see what ringfence.etcd.audit tells of it"
_KINDS = {
    "container": "it runs in a container, which its deployer makes anew",
    "embedded": "it runs within another program",
    "pod": "it runs in a pod of Kubernetes, which its deployer makes anew",
    "process": "no systemd unit starts it",
}
_FROM_HTTP = "where all do, ringfence.etcd.adopt takes the cluster as it is, and ringfence.etcd.site gives it TLS"
_MANY = 12


def cluster_of(run: Run, done: str = "taken over") -> Cluster:
    """The one cluster of the run; RefusedError where there is none, or several."""
    clusters = run.clusters()
    if len(clusters) != 1:
        found = "; ".join(", ".join(one.name for one in cluster.members) for cluster in clusters)
        what = f"the hosts have {len(clusters)} clusters ({found})" if found else "no etcd was found on these hosts"
        absent = "; ".join(f"{host}: {why}" for host, why in sorted(run.absent.items()))
        raise RefusedError(
            f"nothing is {done}: {what}: name the hosts of one cluster (etcd_peer_tls_hosts), as root"
            + (f" ({absent})" if absent else "")
        )
    return clusters[0]


def refuse(problems: t.Iterable[Problem], done: str = "taken over") -> None:
    """RefusedError with all of them in one line, what members have in common said once."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for claim, what, way in problems:
        grouped.setdefault((what, way), []).append(claim.name if claim is not None else "the cluster")
    if grouped:
        texts = [f"{', '.join(who)}: {what}: {way}" for (what, way), who in grouped.items()]
        more = f"; and {len(texts) - _MANY} more" if len(texts) > _MANY else ""
        raise RefusedError(one_line(f"nothing is {done}: {'; '.join(texts[:_MANY])}{more}"))


def problems_of(
    cluster: Cluster, names: t.Sequence[str], has_tls: bool, addresses: t.Mapping[str, str]
) -> list[Problem]:
    """All that speaks against it. ``has_tls``: whether peers are to ask each other for a certificate afterwards."""
    found = [*_members(cluster, addresses)]
    for claim in cluster.members:
        found += _process(claim, names)
        if claim.settings is not None and has_tls:
            found += [*_peers(claim), *_list(claim, names), *_calls(claim, cluster)]
    return found


def speaks_http(claim: Claim) -> bool:
    """Whether a member's peers speak http at all of its places."""
    settings = claim.settings
    urls = [] if settings is None else [*settings["listen_peer_urls"], *settings["peer_urls"], *claim.peer_urls]
    return bool(urls) and all(url.startswith("http://") for url in urls)


# Who is a member ------------------------------------------------------------------------------------------------------


def _members(cluster: Cluster, addresses: t.Mapping[str, str]) -> t.Iterator[Problem]:
    claims = cluster.members
    lists = {_live(claim) for claim in claims}
    hosts = [claim.host for claim in claims]
    for host in sorted({host for host in hosts if hosts.count(host) > 1}):
        yield None, f"{host} has {hosts.count(host)} of its members", "give each member a host of its own"
    # Of more than these, those that are missing are told one by one.
    if len(claims) < _LEAST_MEMBERS and max(map(len, lists)) < _LEAST_MEMBERS:
        yield None, f"it has {len(claims)} members in this run, and each restart would stop it", _AUDIT
    for claim in claims:
        if claim.told["live_members"] is None:
            why = claim.told["live_members_problem"] or "it does not say"
            yield claim, f"its members are not known ({why})", "see that its client URL answers, with its own files"
    if len(lists) != 1 or len({claim.told["live_cluster_id"] for claim in claims}) != 1:
        yield None, "its members tell different things of who is in it", "see etcdctl member list on each"
        return
    (listed,) = lists
    live = {member_id: name for member_id, name, _urls in listed}
    mine = [claim.told["live_member_id"] for claim in claims]
    names = list(live.values())
    for member_id, name, urls in sorted(listed):
        if member_id not in mine:
            yield (None, *missing_member(cluster.run, addresses, member_id, name, urls))
        if not _is_member_name(name) or names.count(name) > 1:
            yield None, f"its member {member_id} has the name {name!r}, by which it can't be told", _AUDIT
    for claim in claims:
        member_id = claim.told["live_member_id"]
        settings = claim.settings
        if member_id not in live or mine.count(member_id) > 1:
            yield claim, "the cluster does not list it, or not it alone", _AUDIT
        elif settings is not None and settings["member_name"] != live[member_id]:
            yield claim, f"it has the name {settings['member_name']}, and is listed as {live[member_id]}", _AUDIT


def _live(claim: Claim) -> frozenset[tuple[str, str, tuple[str, ...]]]:
    return frozenset(
        (one["member_id"], one["name"], tuple(sorted(one["peer_urls"]))) for one in claim.told["live_members"] or ()
    )


def _is_member_name(name: str) -> bool:
    try:
        checked_member_name(name, "member")
    except InputError:
        return False
    return True


# What it runs with ----------------------------------------------------------------------------------------------------


def _process(claim: Claim, names: t.Sequence[str]) -> t.Iterator[Problem]:
    told = claim.told
    if told["kind"] in _KINDS:
        yield claim, _KINDS[told["kind"]], closing_list(claim, names or ["NAME-1", "..."])
        return
    if claim.settings is None:
        yield claim, f"its settings are not known ({told['settings_problem'] or 'it does not say'})", _AUDIT
    try:
        checked_unit_name(told["unit"] or "", "unit")
    except InputError:
        yield claim, "no systemd unit starts it", "let systemd start it"
    if told["has_own_network"]:
        yield claim, "it has a network of its own, in which its host can't ask it", _AUDIT


def _peers(claim: Claim) -> t.Iterator[Problem]:
    settings = t.cast("dict[str, t.Any]", claim.settings)
    urls = [*settings["listen_peer_urls"], *settings["peer_urls"], *claim.peer_urls]
    if any(not url.startswith("https://") for url in urls):
        yield claim, "its peers speak http", _FROM_HTTP
        return
    if is_true(claim.flags.get("peer-auto-tls")) or not settings["files"]["peer_cert_file"]:
        yield claim, "it has no certificate of a CA for its peers", "give it one first (a takeover makes none)"
        return
    if not settings["files"]["peer_trusted_ca_file"] or not claim.peer_authority.certificates:
        why = claim.peer_authority.problem
        yield (
            claim,
            "it has no CA for peers" + (f" that can be read ({why})" if why else ""),
            _set("peer-trusted-ca-file"),
        )
    if settings["allowed_hostnames"]:
        yield (
            claim,
            "it is fenced by host names (peer-cert-allowed-hostname)",
            "take that out first: etcd takes one of the two",
        )


def _set(flag: str) -> str:
    return f"set --{flag} where its deployer sets it, and restart one member at a time"


def _list(claim: Claim, names: t.Sequence[str]) -> t.Iterator[Problem]:
    if claim.version is None:
        yield claim, "its version is not known", "see that its client URL answers, with its own files"
    elif not understands_list(claim.version):
        least = dotted(FIRST_VERSION_WITH_LIST)
        yield (
            claim,
            f"etcd {dotted(claim.version)} reads no list of names",
            f"upgrade all members to {least} or newer first",
        )
    own = t.cast("dict[str, t.Any]", claim.settings)["allowed_common_names"]
    if claim.told["list_source"] == "flag" and names and set(own) != set(names):
        text = f"it has a list of its own on its command line ({', '.join(own)})"
        yield claim, text, closing_list(claim, names)


def _calls(claim: Claim, cluster: Cluster) -> t.Iterator[Problem]:
    """Whether all others let it in today: a new connection is what a restart makes."""
    answer = cluster.run.calls.get(claim.host)
    if answer is None:
        yield (
            claim,
            f"its host did not call the others ({cluster.run.absent.get(claim.host, 'no answer')})",
            "run again",
        )
        return
    for other in cluster.members:
        if other.name == claim.name:
            continue
        met = [
            one for one in answer["calls"] if (one["case"], one["from"], one["to"]) == (MEMBER, claim.name, other.name)
        ]
        if not met or any(one["outcome"] != "accepted" for one in met):
            why = next((one["text"] for one in met), answer["own_problems"].get(claim.name, "it was not called"))
            yield claim, f"{other.name} does not let it in ({why})", "mend that first"


__all__ = ("cluster_of", "problems_of", "refuse", "speaks_http")
