# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of an audit: what is wrong with how an etcd's peer port is fenced, and the line that closes it. Pure.

One function a rule, each a generator of entries in the form of the proof's checks. What is not known is unproved, and
never a fence.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import is_true
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import (
    FIRST_VERSION_WITH_LIST,
    dotted,
    understands_list,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.der import parts_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.closing import (
    ALLOWED,
    ONE_BY_ONE,
    closing,
    closing_list,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Cluster
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim, place_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import FAILED, OK, UNPROVED, WARNING

Entry = dict[str, t.Any]

_OWN_PAIR = "give each member a certificate of its own (serverAuth and clientAuth, its addresses as SANs)"
_RUN_ON_ALL = "run it on all hosts of the cluster; to go on without some: etcd_peer_tls_verify_without: [absent_hosts]"


@dataclass(frozen=True)
class Limits:
    """How many days a certificate has to have left, and when the audit is made."""

    now: datetime.datetime
    warn_days: int = 14
    fail_days: int = 0


def entry(check: str, member: str | None, verdict: str, text: str, remedy: str = "") -> Entry:
    return {"check": check, "member": member, "verdict": verdict, "text": text, "remedy": remedy}


def findings_of(cluster: Cluster, limits: Limits) -> list[Entry]:
    """What the rules say of every member, and of the cluster."""
    found = [one for claim in cluster.members for rule in _RULES for one in rule(claim, cluster)]
    found += [one for claim in cluster.members for one in _days(claim, cluster, limits)]
    return [*found, *_shared(cluster)]


# How it was started ---------------------------------------------------------------------------------------------------


def _settings(claim: Claim, _cluster: Cluster) -> t.Iterator[Entry]:
    told = claim.told
    if claim.settings is None:
        text = f"how its etcd was started is not known: {told['settings_problem'] or 'nobody says'}"
        yield entry("settings", claim.name, UNPROVED, text, "see that root can read its command line and its files")
    for path in told["newer_files"]:
        text = f"{path} was written after its etcd was started, which may run with something else"
        yield entry("process_current", claim.name, UNPROVED, text, "restart it, or put back what it was started with")
    if told["ignored_keys"]:
        names = ", ".join(told["ignored_keys"])
        text = f"{told['config_file']} has names that no etcd knows, and that it ignores without a word: {names}"
        remedy = "mend or remove them: the list of peers is peer-transport-security.allowed-cn"
        yield entry("config_file", claim.name, WARNING, text, remedy)
    if told["ignored_settings"]:
        names = ", ".join(told["ignored_settings"])
        text = f"it has a configuration file ({told['config_file']}), and so ignores {names}"
        yield entry("config_file", claim.name, WARNING, text, "put into the file what is meant, and remove the others")


def _peer_port(claim: Claim, cluster: Cluster) -> t.Iterator[Entry]:
    told = claim.told
    port = cluster.run.port_of.get(claim.name)
    if port is None:
        text = "its peer URL is not known, so that nobody could call it"
        yield entry("peer_port", claim.name, UNPROVED, text, "see that its client URL answers on its own host")
        return
    if not port.confirmed and set(cluster.run.hosts) - {claim.host}:
        text = f"it says that its peer URL is {port.url}, which no other host lists: only its own host called there"
        yield entry("peer_port", claim.name, UNPROVED, text, "run it on all hosts of the cluster")
    same = [one.name for one in cluster.run.ports if one.name != claim.name and place_of(one.url) == place_of(port.url)]
    if same:
        text = f"{port.url} is the peer URL of {', '.join(same)} too"
        yield entry("peer_port", claim.name, UNPROVED, text, "see whose it is: one of their hosts says so wrongly")
    if claim.settings is not None and not told["listens"]:
        text = "none of its sockets listens at the port of a peer URL that it was given"
        yield entry("peer_port", claim.name, UNPROVED, text, "see what listens there (ss -ltnp)")


def _peer_tls(claim: Claim, cluster: Cluster) -> t.Iterator[Entry]:
    settings = claim.settings
    if settings is None:
        return
    check = "peer_tls"
    if any(not url.startswith("https:") for url in settings["listen_peer_urls"]):
        # Without the URL, so that all members are one finding.
        text = "peers are listened to without TLS (http): whoever reaches the port is a peer"
        yield entry(check, claim.name, FAILED, text, _to_https(claim, cluster))
    elif is_true(claim.flags.get("peer-auto-tls")):
        text = "its peer certificate is self-signed (peer-auto-tls), and no peer is verified"
        yield entry(check, claim.name, FAILED, text, _to_https(claim, cluster))
    elif not settings["files"]["peer_trusted_ca_file"]:
        text = "it was given no CA for peers (peer-trusted-ca-file): no peer is verified"
        wanted = {"peer-trusted-ca-file": "CA.crt", "peer-client-cert-auth": "true"}
        yield entry(check, claim.name, FAILED, text, f"{closing(claim, wanted)}, {ONE_BY_ONE}")
    elif claim.peer_authority.problem is not None:
        text = f"its CA for peers can't be read: {claim.peer_authority.problem}"
        yield entry(check, claim.name, UNPROVED, text, "see that the file is there, and is one of CA certificates")
    elif not is_true(claim.flags.get("peer-client-cert-auth")):
        text = "peer-client-cert-auth is not set; the CA for peers alone makes etcd demand a certificate"
        remedy = closing(claim, {"peer-client-cert-auth": "true"})
        yield entry(check, claim.name, WARNING, text, f"{remedy}, at the next restart")
    else:
        yield entry(check, claim.name, OK, "peers need a certificate of the CA for peers")


def _to_https(claim: Claim, cluster: Cluster) -> str:
    wanted = {
        "peer-cert-file": "MEMBER.crt",
        "peer-key-file": "MEMBER.key",
        "peer-trusted-ca-file": "CA.crt",
        "peer-client-cert-auth": "true",
        ALLOWED: ",".join(f"NAME-{number}" for number, _claim in enumerate(cluster.members, 1)),
    }
    settings = closing(claim, wanted, wanted[ALLOWED].split(","))
    return (
        f"{_version_first(claim)}{_OWN_PAIR}, and {settings}, on one member after the other; then move the peer URLs "
        "to https, one member at a time"
    )


# Who is let in --------------------------------------------------------------------------------------------------------


def _allowed(claim: Claim, cluster: Cluster) -> t.Iterator[Entry]:
    settings = claim.settings
    if settings is None or _is_open(claim):
        # The finding is another one, and a list would keep nobody out.
        return
    check, running = "allowed_common_names", list(settings["allowed_common_names"])
    remedy = list_remedy(claim, cluster)
    if settings["allowed_hostnames"]:
        names = ", ".join(settings["allowed_hostnames"])
        text = f"it lets in by host name ({names}) and by no list of common names: whoever has such a name gets in"
        instead = f"take peer-cert-allowed-hostname out at the same time, with both etcd does not start: {remedy}"
        yield entry(check, claim.name, UNPROVED, text, instead)
    elif not running:
        yield entry(check, claim.name, FAILED, "it has no list: any certificate of its CA for peers is let in", remedy)
    elif claim.version is None and (len(running) > 1 or claim.told["config_file"] is not None):
        text = "its version is not known, and so not whether it understands its list"
        yield entry(check, claim.name, UNPROVED, text, "see that its client URL answers on its own host")
    elif claim.version is not None and not understands_list(claim.version) and claim.told["config_file"] is not None:
        # Before 3.5.15 the file has no such name.
        text = f"etcd {dotted(claim.version)} ignores allowed-cn in its configuration file: its CA lets anybody in"
        yield entry(check, claim.name, FAILED, text, remedy)
    elif claim.version is not None and not understands_list(claim.version) and len(running) > 1:
        text = f"etcd {dotted(claim.version)} takes its list for one name: no member is let in that is not connected"
        yield entry(check, claim.name, FAILED, text, remedy)
    else:
        yield _compared(claim, cluster, running, remedy)


def _compared(claim: Claim, cluster: Cluster, running: t.Sequence[str], remedy: str) -> Entry:
    """A list that is understood, beside the names of the members."""
    check, seen, unseen = "allowed_common_names", cluster.seen_names, cluster.unseen_members(claim)
    if seen is None or unseen is None:
        text = "it has a list, and not all members were seen with a certificate that has a common name"
        return entry(check, claim.name, UNPROVED, text, _RUN_ON_ALL)
    missing = [name for name in seen if name not in running]
    extra = [name for name in running if name not in seen]
    parts = [f"lacks {', '.join(missing)}"] if missing else []
    # Those that are not in the run have a name as well, which nobody saw.
    if len(extra) > len(unseen) or "" in extra:
        parts.append(f"has {', '.join(name or 'an empty name' for name in extra)}, which no member has")
    if parts:
        return entry(check, claim.name, FAILED, f"its list {' and '.join(parts)}", remedy)
    if unseen:
        text = f"whose the names {', '.join(extra) or 'in its list'} are was not seen: not all members are in this run"
        return {**entry(check, claim.name, UNPROVED, text, _RUN_ON_ALL), "is_absent": True}
    return entry(check, claim.name, OK, f"its list has all {len(seen)} common names and no other")


def list_remedy(claim: Claim, cluster: Cluster) -> str:
    """The line with the list, and what has to come before it: a list that is not understood locks every peer out."""
    wanted = cluster.wanted_names(claim)
    first = ""
    if wanted is None:
        first = "see all members of its cluster, each with a common name of its own (run it on all hosts); then "
        wanted = ("NAME-1", "...")
    if len(wanted) > 1:
        first += _version_first(claim)
    return f"{first}{closing_list(claim, wanted)}"


def _version_first(claim: Claim) -> str:
    newest = f"{dotted(FIRST_VERSION_WITH_LIST)} or newer"
    if claim.version is None:
        return f"see that its etcd is {newest}, an older one locks every peer out with a list; then "
    if understands_list(claim.version):
        return ""
    return f"upgrade etcd to {newest}, this one takes a list for one name; then "


def _is_open(claim: Claim) -> bool:
    """Whether its peer port verifies nobody, so that a list would be of no use."""
    settings = claim.settings
    return settings is None or (
        any(not url.startswith("https:") for url in settings["listen_peer_urls"])
        or is_true(claim.flags.get("peer-auto-tls"))
        or not settings["files"]["peer_trusted_ca_file"]
    )


def _address_check(claim: Claim, _cluster: Cluster) -> t.Iterator[Entry]:
    for flag in ("peer-skip-client-san-verification", "experimental-peer-skip-client-san-verification"):
        if is_true(claim.flags.get(flag)):
            text = f"{flag} switches the check of a peer's address off: a member's stolen pair works from anywhere"
            yield entry("address_check", claim.name, WARNING, text, f"remove {flag}, {ONE_BY_ONE}")


def _client_authority(claim: Claim, _cluster: Cluster) -> t.Iterator[Entry]:
    peers = {one.fingerprint for one in claim.peer_authority.certificates}
    if claim.settings is None or not peers & {one.fingerprint for one in claim.client_authority.certificates}:
        return
    has_list = bool(claim.settings["allowed_common_names"])
    text = "its CA for clients is its CA for peers: the list of common names alone keeps clients from the peer port"
    remedy = "give it the list, or another CA for clients (trusted-ca-file)"
    yield entry("client_authority", claim.name, OK if has_list else WARNING, text, "" if has_list else remedy)


# What a member presents -----------------------------------------------------------------------------------------------


def _served(claim: Claim, cluster: Cluster) -> t.Iterator[Entry]:
    check, seen = "served_certificate", cluster.presented[claim.name]
    own = claim.peer_certificate
    if claim.settings is not None and own.path is not None and own.first is None:
        text = f"its peer certificate can't be read: {own.problem}"
        yield entry(check, claim.name, UNPROVED, text, "see that the file is there, and is a certificate")
    if len(seen) > 1:
        names = ", ".join(sorted(f"{one.common_name} ({one.fingerprint[:8]})" for one in seen))
        text = f"it is said to present several certificates: {names}"
        yield entry(check, claim.name, UNPROVED, text, "run it again: one host says so wrongly, or it was just renewed")
    elif seen and own.first is not None and seen[0].fingerprint != own.first.fingerprint:
        text = (
            f"it presents {seen[0].common_name} ({seen[0].fingerprint[:8]}) at its peer port, and its file {own.path} "
            f"holds {own.first.common_name} ({own.first.fingerprint[:8]})"
        )
        yield entry(check, claim.name, FAILED, text, "see who answers at its peer port")
    for certificate in seen[:1]:
        if not certificate.dns_names and not certificate.ip_addresses:
            text = f"its certificate {certificate.common_name} has no subject alternative name: no address is checked"
            yield entry(check, claim.name, WARNING, text, "issue it anew, with the addresses of the member")


def _days(claim: Claim, cluster: Cluster, limits: Limits) -> t.Iterator[Entry]:
    for certificate in cluster.presented[claim.name][:1]:
        days = (certificate.not_after - limits.now).days
        verdict, text = OK, f"its certificate has {days} days left"
        if limits.now > certificate.not_after:
            verdict, text = FAILED, f"its certificate has expired at {iso_time(certificate.not_after)}"
        elif days < limits.fail_days:
            verdict, text = FAILED, f"{text}: fewer than {limits.fail_days}"
        elif days < limits.warn_days:
            verdict, text = WARNING, f"{text}: fewer than {limits.warn_days}"
        yield entry("certificate_days", claim.name, verdict, text, "" if verdict == OK else "renew it")


def _shared(cluster: Cluster) -> t.Iterator[Entry]:
    """Members that can't be told apart: whoever has the pair of one has those of all."""
    by_key: dict[bytes, dict[str, str]] = {}
    by_name: dict[str, set[str]] = {}
    for name, seen in cluster.presented.items():
        for certificate in seen[:1]:
            by_key.setdefault(parts_of(certificate.der).public_key, {})[name] = certificate.fingerprint
            by_name.setdefault(certificate.common_name or "", set()).add(name)
    told = set()
    for names in by_key.values():
        if len(names) > 1:
            told |= set(names)
            what = "one and the same certificate" if len(set(names.values())) == 1 else "certificates of one key"
            text = f"{', '.join(names)} present {what}: none of them can be shut out by itself"
            yield entry("identity", None, WARNING, text, f"{_OWN_PAIR}, with a common name of its own")
    for name, members in by_name.items():
        if len(members) > 1 and not members <= told:
            text = f"{', '.join(sorted(members))} have one common name ({name or 'none'}): a list can't tell them apart"
            yield entry("identity", None, WARNING, text, f"{_OWN_PAIR}, with a common name of its own")


# Who is a member ------------------------------------------------------------------------------------------------------


def _live_members(claim: Claim, cluster: Cluster) -> t.Iterator[Entry]:
    check, live = "live_members", claim.told["live_members"]
    if live is None:
        text = f"which members its cluster has is not known: {claim.told['live_members_problem'] or 'it does not say'}"
        yield entry(check, claim.name, UNPROVED, text, "see that its client URL answers, with its own files")
        return
    for member in cluster.unseen_members(claim) or ():
        name = member["name"] or ", ".join(member["peer_urls"]) or member["member_id"]
        text = f"{name} is a member of its cluster, and no host of this run has it"
        yield {**entry(check, claim.name, UNPROVED, text, _RUN_ON_ALL), "is_absent": True}
    listed = {place_of(url) for member in live for url in member["peer_urls"]}
    unknown = [one.name for one in cluster.members if not {place_of(url) for url in one.peer_urls} & listed]
    if unknown:
        text = f"it does not list {', '.join(unknown)}, whose etcd says that it is of this cluster"
        yield entry(check, claim.name, UNPROVED, text, "see which members there are: etcdctl member list")


_RULES: tuple[t.Callable[[Claim, Cluster], t.Iterator[Entry]], ...] = (
    _settings,
    _peer_port,
    _peer_tls,
    _allowed,
    _address_check,
    _client_authority,
    _served,
    _live_members,
)

__all__ = ("Entry", "Limits", "entry", "findings_of", "list_remedy")
