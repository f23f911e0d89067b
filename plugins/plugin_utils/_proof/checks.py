# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be equal on all members, and what has to fit: each check is a function of its own.

Pure. A check yields an entry for each member that it knows something of, also where all is well, so that a reader sees
what was compared. docs/proof.md has the rules of etcd behind them.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import collections
import ipaddress
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import SET_TWICE, is_true
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member, is_common_name_of
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.partial_inventory import cure
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import check_identity, parse_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import (
    FAILED,
    OK,
    UNPROVED,
    WARNING,
    Result,
    credentials_of,
    running_common_names,
    running_version,
    settings_by_flags,
    trusted_fingerprints,
)

_RUN_AGAIN = "run the playbook of the deployment on all members: it writes the unit and restarts one by one"
_USE_FLAGS = "tell etcd by flags or ETCD_* variables, as the deployment does: a file is not read here"
_ALARMS = {
    "NOSPACE": ": the database has reached its quota, and the cluster takes no writes",
    "CORRUPT": ": its data is not the others', and the cluster takes no writes",
}
_ALARM_REMEDIES = {
    "NOSPACE": "etcdctl compact, then etcdctl defrag on each member, raise quota-backend-bytes where it is too small, "
    "and etcdctl alarm disarm",
    "CORRUPT": "take a snapshot of a sound member, remove this one from the cluster and add it again with empty data",
}
_ISSUE_AGAIN = "run the playbook of the deployment: it issues a new certificate, without a restart"


@dataclass(frozen=True)
class Thresholds:
    """From how many days left on a certificate is worth a warning, and from how many on a failure."""

    warn_days: int = 14
    fail_days: int = 0
    ca_warn_days: int = 90


@dataclass(frozen=True)
class Evidence:
    """All that the checks compare: the members wanted, and the result of ``etcd_peer_probe`` by member's name.

    ``authorities``: fingerprints of the CA at hand and of those above it. ``removed``: who is to go, as it was said.
    Both are the user's, and no host's. ``slice_of``: as ``partial_inventory`` tells it.
    """

    members: t.Sequence[Member]
    results: t.Mapping[str, Result]
    identity: str
    thresholds: Thresholds
    authorities: t.Collection[str] = ()
    removed: t.Collection[str] = ()
    slice_of: str = ""

    def seen(self) -> t.Iterator[tuple[Member, Result, t.Mapping[str, t.Any]]]:
        """Members with a result: the member, the result, and the host's facts in it."""
        for member in self.members:
            if member.name in self.results:
                result = self.results[member.name]
                yield member, result, result["info"]

    def members_not_named(self) -> dict[str, str]:
        """Members that the live lists have and this run has not: where each is, by its name."""
        wanted = {member.name for member in self.members}
        return {
            one["name"]: ", ".join(one["peer_urls"][:1])
            for result in self.results.values()
            for one in result["live_members"] or ()
            if one["name"] and one["name"] not in wanted
        }

    def cure(self, names: t.Iterable[str]) -> str:
        """What to do about members that this run does not name, before any word that takes one out."""
        places = self.members_not_named()
        text = cure(self.slice_of, [(name, places[name]) for name in names if name in places])
        return text if self.slice_of else f"{text}; only where it is to go for good: etcd_peer_tls_removed"

    @property
    def wanted_common_names(self) -> list[str]:
        return sorted({member.common_name for member in self.members})


class Entry(t.TypedDict):
    check: str
    member: str | None
    verdict: str
    text: str
    remedy: str


def _entry(check: str, member: str | None, verdict: str, text: str, remedy: str = "") -> Entry:
    return {"check": check, "member": member, "verdict": verdict, "text": text, "remedy": remedy}


def evaluate_checks(evidence: Evidence) -> list[Entry]:
    """Every check of every member, in the order of the checks."""
    return [entry for check in _CHECKS for entry in check(evidence)]


def _run_again(info: t.Mapping[str, t.Any]) -> str:
    """The deployment mends what it renders, and refuses to run with what changes that beside its unit."""
    drop_ins = info["unit"].get("drop_ins") or ()
    return f"take {', '.join(drop_ins)} away, then {_RUN_AGAIN}" if drop_ins else _RUN_AGAIN


# The process and its flags ------------------------------------------------------------------------------------------


def _running(evidence: Evidence) -> t.Iterator[Entry]:
    for member, _result, info in evidence.seen():
        unit, process = info["unit"]["name"], info["process"]
        if process["settings"] is not None:
            yield _entry("running", member.name, OK, f"{unit} runs as process {process['pid']}")
        elif process["running"]:
            text = f"what the process of {unit} was told can't be read: {process['problem']}"
            yield _entry("running", member.name, UNPROVED, text, "run as root (become: true)")
        elif _answers(evidence, member.name):
            text = f"etcd answers at {member.peer_url}, and systemd knows of no process of {unit}"
            yield _entry("running", member.name, UNPROVED, text, "name the unit that runs it in etcd_peer_tls_unit")
        else:
            text = f"{unit} does not run ({process['active_state'] or 'unknown to systemd'})"
            yield _entry(
                "running", member.name, FAILED, text, f"start it: systemctl start {unit}, journalctl -u {unit}"
            )


def _answers(evidence: Evidence, name: str) -> bool:
    return any(
        probe["to"] == name and probe["outcome"] in ("accepted", "refused")
        for result in evidence.results.values()
        for probe in result["probes"]
    )


def _process_current(evidence: Evidence) -> t.Iterator[Entry]:
    for member, _result, info in evidence.seen():
        process, unit = info["process"], info["unit"]
        if process["settings"] is None:
            continue
        newer = process.get("newer_files") or []
        if newer:
            text = f"etcd reads {', '.join(newer)} at start only, and it was written after the start"
            yield _entry("process_current", member.name, WARNING, text, _run_again(info))
        elif unit["settings"] is not None and unit["settings"]["flags"] != process["settings"]["flags"]:
            text = f"the process was started with other flags than {unit['path']} has now"
            yield _entry("process_current", member.name, WARNING, text, _run_again(info))
        else:
            yield _entry("process_current", member.name, OK, "the process was started with what is deployed now")


def _config_file(info: t.Mapping[str, t.Any]) -> str | None:
    """The file that the running process has its settings from, in place of flags and variables."""
    return (info["process"]["settings"] or {"flags": {}})["flags"].get("config-file") or None


def _next_start(evidence: Evidence) -> t.Iterator[Entry]:
    """What a restart would be, of which nothing shows as long as there is none."""
    for member, _result, info in evidence.seen():
        process, unit, etcd = info["process"], info["unit"], info["etcd"]
        if process["settings"] is None:
            continue
        deployed, check = unit["settings"] or {}, "next_start"
        runs, lies = process.get("version"), etcd["version"]
        clashes = [warning["text"] for warning in deployed.get("warnings", ()) if warning["code"] == SET_TWICE]
        if clashes:
            text = f"the next start will fail: {clashes[0]}"
            yield _entry(check, member.name, WARNING, text, f"mend {unit['path']}, its drop-ins or environment files")
        elif unit["settings"] is None and unit.get("problem"):
            text = f"what the next start will be is not known: {unit['problem']}"
            yield _entry(check, member.name, WARNING, text, f"mend {unit['name']}")
        elif deployed.get("program") == etcd["binary"] and etcd["problem"]:
            text = f"the next start will fail: {etcd['problem']}"
            yield _entry(check, member.name, WARNING, text, "put the program back that runs, or its successor")
        elif runs and lies and deployed.get("program") == etcd["binary"] and runs != lies:
            text = f"etcd {runs} runs, the next start will be etcd {lies}: {etcd['binary']} was replaced"
            yield _entry(check, member.name, WARNING, text, "restart one by one, or put the program back that runs")
        else:
            yield _entry(check, member.name, OK, "nothing is known that the next start would do otherwise")


def _allowed_common_names(evidence: Evidence) -> t.Iterator[Entry]:
    check = "allowed_common_names"
    wanted = evidence.wanted_common_names
    for member, result, info in evidence.seen():
        running = running_common_names(result)
        by_file = _config_file(info)
        if by_file is not None:
            text = f"etcd was told by {by_file}, for which it ignores every flag: the running list is not known"
            yield _entry(check, member.name, UNPROVED, text, _USE_FLAGS)
            continue
        if running is None:
            written = (info["unit"]["settings"] or {}).get("allowed_common_names")
            if written is None or info["process"]["running"] or _answers(evidence, member.name):
                same = "" if written is None or sorted(written) != wanted else "; the unit's file has the right one"
                yield _entry(check, member.name, UNPROVED, f"the running list is not known{same}", "run as root")
            continue
        missing = [name for name in wanted if name not in running]
        extra = [name for name in running if name not in wanted]
        if not running:
            text = "etcd runs without a list: any certificate of the CA is let in"
            yield _entry(check, member.name, FAILED, text, _run_again(info))
            continue
        parts = []
        if missing:
            parts.append(f"lacks {', '.join(missing)}")
        if extra:
            parts.append(f"has {', '.join(name or 'an empty name' for name in extra)}, which no member has")
        if not parts:
            yield _entry(check, member.name, OK, f"the running list has all {len(wanted)} common names and no other")
            continue
        written = (info["unit"]["settings"] or {}).get("allowed_common_names")
        stale = written is not None and sorted(written) == wanted
        note = "; the unit's file is right, the process is older" if stale else ""
        others = [one for one in evidence.members_not_named() if any(is_common_name_of(name, one) for name in extra)]
        # To have the deployment write the list would be to take a living member out, were it not refused.
        remedy = evidence.cure(others) if others else _run_again(info)
        yield _entry(check, member.name, FAILED, f"the running list {' and '.join(parts)}{note}", remedy)


def _identity(evidence: Evidence) -> t.Iterator[Entry]:
    for member, result, info in evidence.seen():
        settings = settings_by_flags(result)
        running = running_common_names(result)
        if settings is None or running is None:
            continue
        if settings["allowed_hostnames"]:
            found = "hostname"
        else:
            found = "shared" if len(evidence.members) > 1 and len(running) == 1 else evidence.identity
        if found == evidence.identity:
            yield _entry("identity", member.name, OK, f"identity is {found}")
        else:
            text = f"etcd runs with identity {found}, the cluster's is {evidence.identity}"
            yield _entry("identity", member.name, FAILED, text, _run_again(info))


def _peer_tls(evidence: Evidence) -> t.Iterator[Entry]:
    for member, _result, info in evidence.seen():
        settings = info["process"]["settings"]
        if settings is None:
            continue
        by_file = _config_file(info)
        if by_file is not None:
            text = f"etcd was told by {by_file}, for which it ignores every flag: its peer TLS is not known"
            yield _entry("peer_tls", member.name, UNPROVED, text, _USE_FLAGS)
            continue
        flags, files = settings["flags"], settings["files"]
        plain = [url for url in settings["listen_peer_urls"] if not url.startswith("https:")]
        if plain:
            text = f"peers are listened to without TLS: {', '.join(plain)}"
            yield _entry("peer_tls", member.name, FAILED, text, "move the peer URL to https and deploy again")
        elif is_true(flags.get("peer-auto-tls")):
            text = "--peer-auto-tls makes peers trust self-signed certificates"
            yield _entry("peer_tls", member.name, FAILED, text, _run_again(info))
        elif not files["peer_trusted_ca_file"]:
            text = "--peer-trusted-ca-file is missing: no peer is verified"
            yield _entry("peer_tls", member.name, FAILED, text, _run_again(info))
        elif not is_true(flags.get("peer-client-cert-auth")):
            text = "--peer-client-cert-auth is missing; the CA file alone makes etcd demand a certificate"
            yield _entry("peer_tls", member.name, WARNING, text, _run_again(info))
        else:
            yield _entry("peer_tls", member.name, OK, "peers need a certificate of the trusted CA")


def _flag_warnings(evidence: Evidence) -> t.Iterator[Entry]:
    for member, _result, info in evidence.seen():
        for warning in (info["process"]["settings"] or {}).get("warnings", ()):
            yield _entry("flags", member.name, WARNING, warning["text"], _run_again(info))


def _etcd_version(evidence: Evidence) -> t.Iterator[Entry]:
    for member, _result, info in evidence.seen():
        version = running_version(info)
        if not version:
            continue
        try:
            check_identity(parse_version(version), evidence.identity, member.name)
        except RingfenceError as exc:
            yield _entry("etcd_version", member.name, FAILED, str(exc), "upgrade etcd, or use identity shared")
        else:
            yield _entry("etcd_version", member.name, OK, f"etcd {version}")


# The files ----------------------------------------------------------------------------------------------------------


def _files_readable(evidence: Evidence) -> t.Iterator[Entry]:
    for member, result, info in evidence.seen():
        barred = result["unreadable_files"]
        if barred:
            text = f"user {info['user']['name']} can't read what etcd needs: {'; '.join(one['text'] for one in barred)}"
            yield _entry("files_readable", member.name, FAILED, text, _RUN_AGAIN)
        else:
            yield _entry("files_readable", member.name, OK, f"user {info['user']['name']} can read its files")


def _trust_bundle(evidence: Evidence) -> t.Iterator[Entry]:
    found = {
        member.name: trusted_fingerprints(result)
        for member, result, _info in evidence.seen()
        if _bundle_is_known(result)
    }
    counts = collections.Counter(frozenset(one) for one in found.values())
    # What most members trust is the measure; of equal counts the first in order, so that the answer is the same twice.
    usual = max(sorted(counts, key=sorted), key=lambda one: counts[one]) if counts else frozenset()
    for member, result, info in evidence.seen():
        bundle = credentials_of(result)["ca"]
        if member.name not in found:
            text = f"the trust bundle can't be read: {bundle['problem'] or bundle['path'] + ' does not exist'}"
            yield _entry("trust_bundle", member.name, _verdict_on_unread(info, bundle), text, _RUN_AGAIN)
            continue
        names = {
            one["fingerprint"]: f"{one['common_name']} ({one['fingerprint'][:16]})" for one in bundle["certificates"]
        }
        more = sorted(names[one] for one in found[member.name] - usual)
        less = sorted(one[:16] for one in usual - found[member.name])
        if not more and not less:
            yield _entry(
                "trust_bundle", member.name, OK, f"trusts {', '.join(sorted(names.values()))}, as the others do"
            )
            continue
        parts = [f"also trusts {', '.join(more)}"] if more else []
        parts += [f"does not trust {', '.join(less)}"] if less else []
        text = f"{bundle['path']} {' and '.join(parts)}, other than most members"
        remedy = "put the same trust bundle on all members, then restart one by one: run the deployment"
        yield _entry("trust_bundle", member.name, FAILED, text, remedy)


def _bundle_is_known(result: Result) -> bool:
    return bool(credentials_of(result)["ca"]["certificates"])


def _verdict_on_unread(info: t.Mapping[str, t.Any], file: t.Mapping[str, t.Any]) -> str:
    """Of a file that gave no certificate: from root nothing is hidden, so it is missing or broken."""
    return FAILED if file["state"] == "absent" or info["user"]["module_user"] == "root" else UNPROVED


def _certificate(evidence: Evidence) -> t.Iterator[Entry]:
    """What the deployed certificate says: common name, names that it covers, key usages, its key."""
    for member, result, info in evidence.seen():
        credentials = credentials_of(result)
        found = credentials["certificate"]
        if found["fingerprint"] is None:
            text = found["problem"] or f"{found['path']} does not exist"
            yield _entry("certificate", member.name, _verdict_on_unread(info, found), text, _ISSUE_AGAIN)
            continue
        if found["common_name"] == member.common_name:
            yield _entry("common_name", member.name, OK, f"common name {member.common_name}")
        else:
            has = f"'s common name is {found['common_name']}" if found["common_name"] else " has no common name"
            text = f"the certificate{has}, the member's is {member.common_name}"
            yield _entry("common_name", member.name, FAILED, text, _ISSUE_AGAIN)
        yield _names(member, found)
        usages = found["extended_key_usage"] or []
        lacking = [usage for usage in ("serverAuth", "clientAuth") if usage not in usages]
        if lacking:
            text = f"the certificate lacks the extended key usage {' and '.join(lacking)}: a member needs both"
            yield _entry("extended_key_usage", member.name, FAILED, text, _ISSUE_AGAIN)
        else:
            yield _entry("extended_key_usage", member.name, OK, "serverAuth and clientAuth")
        private_key = credentials["private_key"]
        if private_key["matches_certificate"] is False:
            text = f"the private key {private_key['path']} is not the certificate's"
            yield _entry("private_key", member.name, FAILED, text, _ISSUE_AGAIN)


def _names(member: Member, found: t.Mapping[str, t.Any]) -> Entry:
    check = "subject_alternative_names"
    have = {name.lower() for name in found["dns_names"]} | set(found["ip_addresses"])
    if not have:
        text = "the certificate has no subject alternative name: etcd then skips the check of the address"
        return _entry(check, member.name, FAILED, text, _ISSUE_AGAIN)
    host = _canonical(urllib.parse.urlsplit(member.peer_url).hostname or "")
    if host not in have:
        text = f"no subject alternative name for {host}, which the others dial (it has {', '.join(sorted(have))})"
        return _entry(check, member.name, FAILED, text, _ISSUE_AGAIN)
    lacking = sorted({*(name.lower() for name in member.dns_names), *member.ip_addresses} - have)
    if lacking:
        text = f"the subject alternative names lack {', '.join(lacking)}"
        return _entry(check, member.name, WARNING, text, _ISSUE_AGAIN)
    return _entry(check, member.name, OK, f"covers {host}")


def _canonical(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()


def _revocation_list(evidence: Evidence) -> t.Iterator[Entry]:
    for member, result, info in evidence.seen():
        problem = result.get("revocation_list_problem")
        if problem:
            text = f"the revocation list can't be used, so that every new connection is refused: {problem}"
            remedy = "put one list in DER there, which may be empty"
            yield _entry("revocation_list", member.name, FAILED, text, remedy)
        elif info["process"].get("crl_is_newer"):
            text = "the revocation list is newer than the process: who is revoked since may be connected still"
            remedy = "connections end with the process: run with etcd_peer_tls_disconnect_revoked=true"
            yield _entry("revocation_list", member.name, WARNING, text, remedy)


def _served_certificate(evidence: Evidence) -> t.Iterator[Entry]:
    served: dict[str, dict[str, list[str]]] = {}
    for name, result in evidence.results.items():
        for probe in result["probes"]:
            if probe["server"] is not None:
                served.setdefault(probe["to"], {}).setdefault(probe["server"]["fingerprint"], []).append(name)
    for member, result, _info in evidence.seen():
        deployed = credentials_of(result)["certificate"]["fingerprint"]
        others = served.get(member.name)
        if not others or deployed is None:
            continue
        if set(others) == {deployed}:
            yield _entry("served_certificate", member.name, OK, "the certificate that it serves is the deployed one")
        else:
            strange = ", ".join(one[:16] for one in sorted(set(others) - {deployed}))
            text = f"serves the certificate {strange}, deployed is {deployed[:16]}"
            remedy = "look which files the process was told of (--peer-cert-file), then run the deployment"
            yield _entry("served_certificate", member.name, FAILED, text, remedy)


def _certificate_days(evidence: Evidence) -> t.Iterator[Entry]:
    limits = evidence.thresholds
    for member, result, _info in evidence.seen():
        found = credentials_of(result)["certificate"]
        if found["days_left"] is None:
            continue
        verdict, text = OK, f"{found['days_left']} days left, until {found['not_after']}"
        if found["not_before"] > result["time"]:
            verdict, text = FAILED, f"the certificate is not valid before {found['not_before']}"
        elif found["not_after"] < result["time"]:
            verdict, text = FAILED, f"the certificate has expired at {found['not_after']}"
        elif found["days_left"] < limits.fail_days:
            verdict, text = FAILED, f"{text}: fewer than {limits.fail_days}"
        elif found["days_left"] < limits.warn_days:
            verdict, text = WARNING, f"{text}: fewer than {limits.warn_days}"
        remedy = "" if verdict == OK else "run the deployment: it renews what ends soon, without a restart"
        yield _entry("certificate_days", member.name, verdict, text, remedy)


def _authority_days(evidence: Evidence) -> t.Iterator[Entry]:
    limits = evidence.thresholds
    reported = set()
    for _member, result, _info in evidence.seen():
        for authority in credentials_of(result)["ca"]["certificates"]:
            if authority["fingerprint"] in reported:
                continue
            reported.add(authority["fingerprint"])
            label = f"CA {authority['common_name']} ({authority['fingerprint'][:16]})"
            verdict, text = OK, f"{label}: {authority['days_left']} days left, until {authority['not_after']}"
            if authority["not_after"] < result["time"]:
                verdict, text = FAILED, f"{label} has expired at {authority['not_after']}"
            elif authority["not_before"] > result["time"]:
                verdict, text = FAILED, f"{label} is not valid before {authority['not_before']}"
            elif authority["days_left"] < limits.fail_days:
                verdict, text = FAILED, f"{text}: fewer than {limits.fail_days}"
            elif authority["days_left"] < limits.ca_warn_days:
                verdict, text = WARNING, f"{text}: fewer than {limits.ca_warn_days}"
            remedy = "" if verdict == OK else "plan a new CA: all members have to trust both before the old one ends"
            yield _entry("authority_days", None, verdict, text, remedy)


# The live cluster ---------------------------------------------------------------------------------------------------


def _live_members(evidence: Evidence) -> t.Iterator[Entry]:
    by_name = {member.name: member for member in evidence.members}
    by_url = {member.peer_url: member.name for member in evidence.members}
    for member, result, _info in evidence.seen():
        live = result["live_members"]
        if live is None:
            text = f"the live list of members is not known: {result['live_members_problem']}"
            yield _entry("live_members", member.name, UNPROVED, text, "see that its client URL answers")
            continue
        # Who was added and has not told its name yet is known by its place.
        added = {
            by_url[url]: one["member_id"]
            for one in live
            if not one["name"]
            for url in one["peer_urls"]
            if url in by_url
        }
        unknown = [one for one in live if one["name"] not in by_name and one.get("member_id") not in added.values()]
        missing = sorted(set(by_name) - {one["name"] for one in live} - set(added))
        parts = [f"{name} was added ({number}), and has not started" for name, number in sorted(added.items())]
        if unknown:
            names = ", ".join(
                one["name"] or f"{one['member_id']}, not started ({', '.join(one['peer_urls'])})" for one in unknown
            )
            parts.append(f"etcd knows {names}, which is not among the members named")
        if missing:
            parts.append(f"{', '.join(missing)} is named, and etcd knows no such member")
        if parts:
            remedy = evidence.cure(one["name"] for one in unknown)
            if missing and not unknown:
                remedy = f"run the deployment, which lets {', '.join(missing)} join, or take it out of the inventory"
            elif not unknown:
                remedy = "see that its etcd runs and reaches the others, and run the deployment, which goes on"
            yield _entry("live_members", member.name, FAILED, "; ".join(parts), remedy)
        else:
            yield _entry("live_members", member.name, OK, f"etcd knows the {len(live)} members named and no other")
        yield from _peer_urls(member.name, live, by_name)


def _alarms(evidence: Evidence) -> t.Iterator[Entry]:
    """Alarms that are raised, each once: any member reports those of all. Without an answer they are not known."""
    raised: dict[tuple[str, str], str] = {}
    for _member, result, _info in evidence.seen():
        names = {one.get("member_id"): one["name"] for one in result["live_members"] or ()}
        for alarm in result.get("live_alarms") or ():
            key = (alarm["member_id"], alarm["alarm"])
            raised[key] = names.get(key[0]) or raised.get(key) or key[0]
    for (_id, alarm), who in sorted(raised.items()):
        text = f"alarm {alarm} is on, raised by {who}{_ALARMS.get(alarm, '')}"
        yield _entry(
            "alarms", None, WARNING, text, _ALARM_REMEDIES.get(alarm, "see etcd's documentation on this alarm")
        )


def _peer_urls(
    name: str, live: t.Sequence[t.Mapping[str, t.Any]], by_name: t.Mapping[str, Member]
) -> t.Iterator[Entry]:
    wrong = [
        f"{one['name']} at {', '.join(one['peer_urls'])} instead of {by_name[one['name']].peer_url}"
        for one in live
        if one["name"] in by_name and by_name[one["name"]].peer_url not in one["peer_urls"]
    ]
    if wrong:
        remedy = "etcdctl member update ID --peer-urls=URL, or mend the address in the inventory"
        yield _entry("peer_urls", name, FAILED, f"etcd has {'; '.join(wrong)}", remedy)
    else:
        yield _entry("peer_urls", name, OK, "etcd's peer URLs are the inventory's")


def _data_folder(evidence: Evidence) -> t.Iterator[Entry]:
    """The fence does not stand on it, but the next run of the deployment is refused."""
    for member, _result, info in evidence.seen():
        data = info.get("data") or {}
        problem = data.get("problem")
        if data.get("cluster_id"):
            text = f"{data['directory']} holds the data of member {data['member_id']} of cluster {data['cluster_id']}"
            yield _entry("data_folder", member.name, OK, text)
        elif problem:
            text = f"whose data the member has can't be told: {problem}"
            yield _entry("data_folder", member.name, WARNING, text, "clear it up: the deployment refuses to run on it")


_CHECKS: tuple[t.Callable[[Evidence], t.Iterator[Entry]], ...] = (
    _running,
    _process_current,
    _next_start,
    _allowed_common_names,
    _identity,
    _peer_tls,
    _flag_warnings,
    _etcd_version,
    _files_readable,
    _trust_bundle,
    _certificate,
    _revocation_list,
    _served_certificate,
    _certificate_days,
    _authority_days,
    _live_members,
    _alarms,
    _data_folder,
)

__all__ = ("Entry", "Evidence", "Thresholds", "evaluate_checks")
