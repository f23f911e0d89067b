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

from ansible_collections.ringfence.etcd.plugins.module_utils._der import iso_time, read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._flags import (
    allowed_common_names,
    check_identity,
    etcd_flags,
    parse_version,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._guard_values import (
    Cluster,
    Info,
    Question,
    Refusal,
    version_to_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._guard_values import deployed as _deployed
from ansible_collections.ringfence.etcd.plugins.module_utils._guard_values import has_data as _has_data
from ansible_collections.ringfence.etcd.plugins.module_utils._guard_values import is_managed as _is_managed
from ansible_collections.ringfence.etcd.plugins.module_utils._guards_membership import MEMBERSHIP_GUARDS
from ansible_collections.ringfence.etcd.plugins.module_utils._guards_running import RUNNING_GUARDS, live_warnings

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
# New certificates begin an hour before they are made: a clock that is behind by less takes them for valid.
_CLOCK_TOLERANCE = datetime.timedelta(minutes=30)


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
        version = version_to_start(cluster.question, info)
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
            "into the inventory; where it is to go for good, remove the member first (etcdctl member remove) and stop "
            f"its etcd, then run with etcd_peer_tls_leaving: [{name}]",
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


def refuse_foreign_data(cluster: Cluster) -> t.Iterator[Refusal]:
    """The data folders hold members of one cluster, each another member, and not of one that we never deployed."""
    clusters: dict[str, list[str]] = {}
    holders: dict[str, list[str]] = {}
    folders: dict[str, str] = {}
    ours = {
        info["data"].get("cluster_id") for _member, info in cluster.inspected() if _is_managed(info) and _has_data(info)
    }
    for member, info in cluster.inspected():
        data = info.get("data") or {}
        if not data.get("exists"):
            continue
        folders[member.name] = str(data.get("directory"))
        # A member whose unit was lost is known by its cluster's number, which the others have too.
        if not _is_managed(info) and data.get("cluster_id") not in ours - {None}:
            yield Refusal(
                "data_of_another_cluster",
                f"member {member.name}: {data.get('directory')} holds an etcd member (cluster "
                f"{data.get('cluster_id') or 'unknown'}) "
                "that this role did not deploy: move it away, or set etcd_peer_tls_data_dir to another folder",
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


def refuse_distribution_etcd(cluster: Cluster) -> t.Iterator[Refusal]:
    """A service of that name that is not ours (Debian's package starts one) is overridden only where it is empty."""
    if cluster.question.overrule_distribution_etcd:
        return
    for member, info in cluster.inspected():
        other = info.get("other_etcd") or {}
        if not other.get("has_data") or other.get("key_count") == 0:
            continue
        count = other.get("key_count")
        silent = "does not answer" if other.get("running") else "is stopped"
        found = f"{silent}, so that its keys can't be counted" if count is None else f"holds {count} keys"
        yield Refusal(
            "distribution_etcd_in_use",
            f"member {member.name}: another etcd of the same unit name ({other.get('unit_path')}, data in "
            f"{other.get('data_dir')}) {found}: save what you need of it, then set "
            "etcd_peer_tls_overrule_distribution_etcd: true "
            "(its data stays where it is), or choose another etcd_peer_tls_unit",
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
    refuse_foreign_data,
    *RUNNING_GUARDS,
    *MEMBERSHIP_GUARDS,
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
    for member, info in cluster.inspected():
        drop_ins = (info.get("unit") or {}).get("drop_ins") or ()
        if drop_ins:
            warnings.append(
                f"member {member.name}: drop-ins change the unit that this role renders: {', '.join(drop_ins)}"
            )
        for settings in _deployed(info):
            warnings.extend(f"member {member.name}: {warning['text']}" for warning in settings.get("warnings") or ())
    warnings.extend(live_warnings(cluster))
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
    "Info",
    "Question",
    "Refusal",
    "certificate_requests",
    "check_cluster",
    "cluster_warnings",
    "common_fingerprints",
    "trusted_fingerprints",
    "why_no_new_authority",
)
