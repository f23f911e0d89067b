# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight checks: what has to be true of a whole cluster before a run may change anything in it.

Pure: it takes the members that are wanted and what ``etcd_peer_info`` found on each host, and gives preflight failures
and warnings. Each check is a function of its own; ``check_cluster`` calls them all.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import allowed_common_names, etcd_flags
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import is_common_name_of
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.partial_inventory import cure
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_authority import (
    AUTHORITY_CHECKS,
    read_by,
    refuse_other_authority,
    short,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_foreign import (
    FOREIGN_CHECKS,
    overruled_warnings,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_going_on import GOING_ON_CHECKS
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_membership import MEMBERSHIP_CHECKS
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_running import (
    RUNNING_CHECKS,
    WHERE_ALL_RUN,
    live_warnings,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_upgrade import UPGRADE_CHECKS
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightFailure,
    deployed,
    has_data,
    is_managed,
    one_line,
    reported_lists,
    version_to_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.shared_certificates import shared_with
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.trust import (
    common_fingerprints,
    trusted_fingerprints,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import check_identity, parse_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    why_no_archive,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import why_names_forbidden
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import issuer_facts

# New certificates begin an hour before they are made: a clock that is behind by less takes them for valid.
_CLOCK_TOLERANCE = datetime.timedelta(minutes=30)


def refuse_untried_program(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """What is about to take the place of a running member's program was tried on every host before any is stopped."""
    found: dict[str, list[str]] = {}
    for member, info in cluster.inspected():
        etcd = info.get("etcd") or {}
        if etcd.get("staged") and not etcd.get("version"):
            found.setdefault(etcd["problem"], []).append(member.name)
    for problem, names in found.items():
        yield PreflightFailure("program_unusable", f"member {', '.join(names)}: {problem}")


def refuse_archive_without_sum(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """What is fetched and run as a service is known by its sum."""
    question = cluster.question
    lacking = why_no_archive(question.archive, question.archive_sha256) if question.install == "archive" else None
    if lacking is not None:
        yield PreflightFailure("archive", lacking)


def refuse_missing_binary(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """etcd is the user's to bring, or the role's to install on request."""
    for member, info in cluster.inspected():
        etcd = info.get("etcd") or {}
        if cluster.question.install != "none" or etcd.get("staged"):
            continue
        if not etcd.get("found"):
            yield PreflightFailure(
                "binary_missing",
                f"member {member.name}: there is no etcd at {etcd.get('binary')}: put it there, name another path in "
                "etcd_peer_tls_etcd_binary, or let the role install it with etcd_peer_tls_install: package or archive",
            )
        elif not etcd.get("version"):
            yield PreflightFailure(
                "binary_unusable",
                f"member {member.name}: {etcd.get('binary')} --version does not answer as etcd does "
                f"({etcd.get('problem') or 'no version in its output'}): name the etcd binary in "
                "etcd_peer_tls_etcd_binary",
            )


def refuse_version(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A list of common names locks every peer out before etcd 3.5.15."""
    for member, info in cluster.inspected():
        version = version_to_start(cluster.question, info)
        if version:
            try:
                check_identity(parse_version(version), cluster.question.identity, member.name)
            except RingfenceError as exc:
                yield PreflightFailure("version", str(exc))


def refuse_files_of_others(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Without root the role can do its work only for the user that it runs as."""
    found: dict[tuple[str, str], list[str]] = {}
    for member, info in cluster.inspected():
        user = info.get("user") or {}
        if user.get("may_own") is False:
            found.setdefault((user["name"], user["module_user"]), []).append(member.name)
    for (owner, caller), names in found.items():
        yield PreflightFailure(
            "not_root",
            f"member {', '.join(names)}: only root can give files to {owner}, and this runs as {caller}: run as root "
            f"(become: true), or set etcd_peer_tls_owner: {caller} and etcd_peer_tls_manage_service: false",
        )


def refuse_wrong_clock(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Hosts judge certificates by their clock: a wrong clock refuses good ones, or takes ended ones for valid."""
    here = cluster.question.time
    for member, info in cluster.inspected():
        if here is None or not info.get("time"):
            continue
        there = datetime.datetime.strptime(info["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
        if abs(there - here) > _CLOCK_TOLERANCE:
            yield PreflightFailure(
                "clock",
                f"member {member.name}: its clock says {info['time']}, the controller's {iso_time(here)}: set the one "
                "right that is wrong, by NTP at best, since certificates are judged by it",
            )


def refuse_flags(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """The command line can be made for every member. A wrong flag of all members is reported once."""
    found: dict[str, list[str]] = {}
    for member in cluster.members:
        settings = cluster.flag_settings(member.name)
        if settings is not None:
            try:
                etcd_flags(member, cluster.members, settings)
            except RingfenceError as exc:
                found.setdefault(str(exc), []).append(member.name)
    for problem, names in found.items():
        who = "" if len(names) == len(cluster.members) else f"member {', '.join(names)}: "
        yield PreflightFailure("flags", f"{who}{problem}")


def refuse_lost_revocation_list(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """No member stops to check the CA's revocation list: what is revoked would be let in again."""
    found: list[str] = []
    for member, info in cluster.inspected():
        settings = cluster.flag_settings(member.name)
        if settings is None:
            continue
        try:
            wanted = dict(etcd_flags(member, cluster.members, settings))
        except RingfenceError:
            continue  # refuse_flags reports that.
        own = f"{settings.credentials_directory.rstrip('/')}/ca.crl"
        checked = any((one.get("flags") or {}).get("peer-crl-file") == own for one in deployed(info))
        if checked and "peer-crl-file" not in wanted:
            found.append(member.name)
    if found:
        yield PreflightFailure(
            "revocation_list_lost",
            f"member {', '.join(found)}: it checks the CA's revocation list, and would do so no more: a CA that is "
            "given as content has none: name the CA's folder (etcd_peer_tls_ca_directory), or keep the list that is "
            "there with etcd_peer_tls_extra_flags: {peer-crl-file: DIRECTORY/ca.crl}",
        )


def refuse_other_cluster(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """The unit that is deployed belongs to the cluster that is meant."""
    for member, info in cluster.inspected():
        for settings in deployed(info):
            token = (settings.get("flags") or {}).get("initial-cluster-token")
            if token is not None and token != cluster.question.cluster_name:
                yield PreflightFailure(
                    "other_cluster",
                    f"member {member.name}: the unit that is deployed belongs to cluster "
                    f"{token}, this run means {cluster.question.cluster_name}: set "
                    "etcd_peer_tls_cluster_name, or etcd_peer_tls_unit for a second cluster",
                )
                break


def refuse_lost_name(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """No name leaves the list of allowed common names unless the user said so in this run."""
    wanted = set(allowed_common_names(cluster.members))
    urls = {one.name: ", ".join(one.peer_urls[:1]) for told in reported_lists(cluster).values() for one in told}
    lost: dict[str, list[str]] = {}
    for member, info in cluster.inspected():
        named = {name for settings in deployed(info) for name in settings.get("allowed_common_names") or ()}
        for name in sorted(named - wanted):
            if not any(is_common_name_of(name, removed) for removed in cluster.question.removed):
                lost.setdefault(name, []).append(member.name)
    of_members = {name: whose for name in lost for whose in [_whose_name(cluster, name)] if whose is not None}
    if of_members:
        yield _other_names(cluster, of_members)
    for name, holders in lost.items():
        if name in of_members:
            continue
        yield PreflightFailure(
            "name_would_be_lost",
            f"common name {name} is allowed by the unit on {', '.join(holders)} and is not in this run's list "
            f"({', '.join(allowed_common_names(cluster.members))}): that member would be locked out; "
            f"{cure(cluster.question.slice_of, _named_like(name, urls))}{_only_then(cluster, name)}",
        )


def _named_like(common_name: str, urls: t.Mapping[str, str]) -> list[tuple[str, str]]:
    """The member of the cluster's list whose common name this is: its name, and where it is."""
    fitting = [name for name in urls if name and is_common_name_of(common_name, name)]
    return [(name, urls[name]) for name in sorted(fitting, key=len)[-1:]]


def _only_then(cluster: Cluster, name: str) -> str:
    """The word that takes a member out, where it is not known that this run sees a part of them."""
    if cluster.question.slice_of:
        return ""
    return f"; only where it is to go for good, run with etcd_peer_tls_removed: [{name}], which removes it"


def _whose_name(cluster: Cluster, common_name: str) -> str | None:
    """The member of this run that has had a common name which is not the wanted one: by its certificate or its name."""
    for member, info in cluster.inspected():
        if ((info.get("credentials") or {}).get("certificate") or {}).get("common_name") == common_name:
            return member.name
    wanted = {member.name for member in cluster.members}
    listed = {one.name for told in reported_lists(cluster).values() for one in told if one.name}
    # A name may begin with another one and a dot.
    fitting = [name for name in wanted | listed if is_common_name_of(common_name, name)]
    name = max(fitting, key=len, default="")
    return name if name in wanted else None


def _other_names(cluster: Cluster, names: t.Mapping[str, str]) -> PreflightFailure:
    """Who stays in the cluster under another common name is not to be removed: what stops the change is told."""
    each = ", ".join(f"{one_line(name)} of {whose}" for name, whose in names.items())
    unseen = ", ".join(cluster.not_inspected())
    why = f"{unseen} can't be seen in this run: bring it back" if unseen else "bring all members back"
    return PreflightFailure(
        "name_would_be_lost",
        f"common names that the members allow are not in this run's list: {each}: who presents one would be locked "
        f"out; a run changes common names step by step {WHERE_ALL_RUN}: {why}, or put etcd_peer_tls_domain, "
        "etcd_peer_tls_common_name or etcd_peer_tls_identity back",
    )


def refuse_split_trust(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Hosts that trust different CAs are no cluster, or a half-done change by hand: not ours to decide."""
    found = trusted_fingerprints(cluster)
    if found and not common_fingerprints(cluster):
        each = "; ".join(f"{name} trusts {', '.join(short(p) for p in prints)}" for name, prints in found.items())
        yield PreflightFailure(
            "trust_differs",
            f"cluster {cluster.question.cluster_name}: the members trust no CA in common ({each}): put the right "
            "ca.crt back on the member that differs, then run again",
        )


def refuse_forbidden_names(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A CA with name constraints signs only names within them: peers refuse a certificate for one name outside."""
    issuer = None if cluster.question.authority is None else read_by(issuer_facts, cluster.question.authority)
    if issuer is None:
        return
    for member in cluster.members:
        why = why_names_forbidden(member.name, member.dns_names, member.ip_addresses, issuer)
        if why is not None:
            yield PreflightFailure("name_constraints", why)


def refuse_unusable_authority(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """What the module that makes or checks the CA would say later, when etcd may have been installed."""
    if cluster.question.authority_problem:
        yield PreflightFailure("ca", cluster.question.authority_problem)


def refuse_authority_to_be_lost(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A CA is not made where it would be gone with the job: nothing could ever be renewed."""
    because = cluster.question.new_authority_lost_because
    if because:
        yield PreflightFailure("ca_would_be_lost", f"cluster {cluster.question.cluster_name}: {because}")


def refuse_unsaid_cluster_of_one(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A slice of a job, or an inventory that lost its hosts, looks just like a cluster of one."""
    question = cluster.question
    is_new = cluster.infos and not any(has_data(info) or is_managed(info) for _member, info in cluster.inspected())
    if question.members_are_said or not is_new:
        return
    names = ", ".join(member.name for member in cluster.members)
    if question.slice_of:
        yield PreflightFailure(
            "cluster_of_a_slice",
            f"cluster {question.cluster_name}: {question.slice_of}, and would form a cluster of the hosts that it "
            f"sees alone ({names}): run it without slices, or give all members in etcd_peer_tls_members",
        )
    elif len(cluster.members) == 1:
        yield PreflightFailure(
            "cluster_of_one",
            f"cluster {question.cluster_name}: the inventory gives one member, {names}, and a "
            "cluster of one is formed only where that was said: set etcd_peer_tls_member_count to 1, or to the "
            "number that is meant (a slice of a job and a disabled host look like this too), or list the members "
            "in etcd_peer_tls_members",
        )


def refuse_first_start_in_batches(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """etcd's first start blocks until a quorum is there: with ``serial`` the first batch would wait for ever."""
    if any(has_data(info) for _member, info in cluster.inspected()) or not cluster.infos:
        return
    later = [name for name in cluster.question.play if name not in cluster.question.batch]
    if later and len(cluster.infos) < cluster.quorum():
        yield PreflightFailure(
            "first_start_in_batches",
            f"cluster {cluster.question.cluster_name}: the first start needs {cluster.quorum()} of "
            f"{len(cluster.members)} members in one batch, and {', '.join(later)} is not in this one: take serial out "
            "of the play (or reach the missing hosts)",
        )


_CHECKS: tuple[t.Callable[[Cluster], t.Iterator[PreflightFailure]], ...] = (
    refuse_archive_without_sum,
    refuse_missing_binary,
    refuse_untried_program,
    refuse_version,
    refuse_wrong_clock,
    refuse_flags,
    refuse_lost_revocation_list,
    refuse_files_of_others,
    refuse_other_cluster,
    refuse_lost_name,
    refuse_split_trust,
    refuse_other_authority,
    refuse_forbidden_names,
    refuse_unusable_authority,
    refuse_authority_to_be_lost,
    *AUTHORITY_CHECKS,
    *FOREIGN_CHECKS,
    *UPGRADE_CHECKS,
    *RUNNING_CHECKS,
    *MEMBERSHIP_CHECKS,
    *GOING_ON_CHECKS,
    refuse_unsaid_cluster_of_one,
    refuse_first_start_in_batches,
)


def check_cluster(cluster: Cluster) -> list[PreflightFailure]:
    """All preflight failures, in the order of the checks; an empty list means that the run may go on."""
    return [failure for check in _CHECKS for failure in check(cluster)]


def cluster_warnings(cluster: Cluster) -> list[str]:
    """What is allowed and still worth a line."""
    count, name = len(cluster.members), cluster.question.cluster_name
    warnings: list[str] = []
    if count % 2 == 0:
        warnings.append(
            f"cluster {name} has {count} members: it survives no more "
            f"failures than with {count - 1}; an odd number is better"
        )
    warnings.extend(overruled_warnings(cluster))
    for member, info in cluster.inspected():
        drop_ins = (info.get("unit") or {}).get("drop_ins") or ()
        if drop_ins:
            warnings.append(
                f"member {member.name}: drop-ins change the unit that this role renders: {', '.join(drop_ins)}"
            )
        for settings in deployed(info):
            warnings.extend(f"member {member.name}: {warning['text']}" for warning in settings.get("warnings") or ())
    warnings.extend(live_warnings(cluster))
    return list(dict.fromkeys(warnings))


def certificate_requests(cluster: Cluster, new_keys: bool = False) -> list[dict[str, t.Any]]:
    """The members seen in this run, as ``etcd_peer_certificates`` takes them: what each should have and has.

    Whose certificate may be another member's, too, gets a new key with the new one.
    """
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
                "new_key": new_keys or bool(shared_with(cluster, member)),
            }
        )
    return requests


__all__ = (
    "certificate_requests",
    "check_cluster",
    "cluster_warnings",
)
