# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next pass of a change, as the role's tasks take it: what is issued, and what each host gets.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_authorities import (
    Authorities,
    authorities_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_gather import desired_of, state_of
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    State,
    has_https,
    is_of,
    url_host,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Plan
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import (
    MembershipChanges,
    words_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import WantedCluster
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight import certificate_requests
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Cluster, PreflightFailure
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.transition import (
    DONE_BY_TRANSITION,
    Assignment,
    Transition,
    asked_at,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.transition_members import planned_change
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_fingerprint
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import MEMBER
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import ACCEPTED
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import member_as_dict, plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._role_settings import client_files_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_text import unit_text

# A Deployed's names for what a client needs: the CA, the certificate, the key.
_CLIENT_FILES = ("trusted_ca_file", "cert_file", "key_file")

# Where the CA is made in this run, and has no fingerprint yet.
_TO_BE_MADE = "(to be made)"

NONE: t.Mapping[str, t.Any] = {
    "due": False,
    "stopped": False,
    "text": "",
    "now": Transition().numbered(),
    "steps": 0,
    "steps_done": 0,
    "lines": [],
    "requests": [],
    "hosts": {},
    "members": [],
    "client_files": {},
    "places": {},
}


@dataclass(frozen=True)
class Question:
    """What this run says about a change, and what it has done of it.

    ``settings``: of each member's host, as the role has them. ``issued_to``: members that got a certificate in the pass
    before. ``passed``: the text of that pass. ``steps_done``: how many steps of the plan this run has done.
    ``disconnect``: who is connected with one of ``revoked``, the serial numbers on the CA's list after this run, is cut
    off. ``leaked``: serial numbers whose keys are known to others.
    """

    new_ca: bool = False
    retire_ca: t.Collection[str] = ()
    stop_after: str = ""
    new_keys: bool = False
    disconnect: bool = False
    revoked: t.Collection[str] = ()
    leaked: t.Collection[str] = ()
    settings: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)
    issued_to: t.Collection[str] = ()
    passed: str = ""
    steps_done: int = 0
    is_whole: bool = True


@dataclass(frozen=True)
class Change:
    """What comes of it. ``trust_bundle``: what every member trusts in the end (PEM), None where no CA is at hand."""

    transition: Transition
    told: t.Mapping[str, t.Any]
    trust_bundle: str | None
    failures: tuple[PreflightFailure, ...] = ()

    def allowed(self, failures: t.Iterable[PreflightFailure]) -> list[PreflightFailure]:
        """The failures of the other checks without what the change does by itself."""
        is_done = self.transition.is_due or self.told["stopped"]
        return [failure for failure in failures if not (is_done and failure.code in DONE_BY_TRANSITION)]


def change_of(
    cluster: Cluster,
    question: Question,
    wanted: WantedCluster,
    membership: MembershipChanges,
    now: datetime.datetime,
) -> Change:
    """The change that a running cluster needs to become what is wanted, where one pass can't do it."""
    authorities = _authorities(cluster, question)
    if authorities is None:
        return Change(Transition(), NONE, None)
    retired = {checked_fingerprint(one, "retire_ca") for one in question.retire_ca}
    bundle = None
    if cluster.question.authority:
        # A bundle gets shorter only where the user says so: whether all clients have followed no host can tell.
        kept = [one for one in authorities.known if one not in retired]
        name = next(iter(cluster.infos), "")
        bundle = authorities.bundle(name, [*authorities.wanted, *kept])
    met = why_not_met(cluster.states, question.issued_to, membership.joins)
    if met:
        return Change(Transition(Plan((), met[0])), NONE, bundle, tuple(met))
    words = replace(
        words_of(cluster.question),
        new_ca=question.new_ca,
        retire_ca=frozenset(retired),
        disconnect=question.disconnect,
        leaked=frozenset(question.leaked),
        # Where the change goes to its end, the inventory says where clients ask: they had a stop before to follow.
        clients_followed=not question.stop_after,
        stop_after=question.stop_after or None,
    )
    try:
        state = state_of(cluster, authorities, wanted, now)
        revoked = question.revoked if question.disconnect else ()
        transition = planned_change(
            desired_of(cluster, authorities, words, revoked=revoked),
            state,
            membership.joins,
            [one.member_id for one in membership.removals],
            tells_members=question.is_whole,
        )
    except RingfenceError:
        # Settings that make no command line: the checks tell whose.
        return Change(Transition(), NONE, bundle)
    if not cluster.question.manages_service:
        transition = Transition(is_stopped=transition.is_stopped)
    if not transition.is_due:
        return Change(transition, told(transition, question.steps_done), bundle)
    failures = list(_failures(transition, question, cluster.question.force_restart))
    failures += _not_for_clients(transition, cluster, state)
    shown = told(transition, question.steps_done)
    if not failures and bundle is not None and all(name in question.settings for name in transition.assignments):
        shown |= next_pass(transition, cluster, state, authorities, question.settings, question.new_keys)
    return Change(transition, shown, bundle, tuple(failures))


def _failures(transition: Transition, question: Question, is_forced: bool) -> t.Iterator[PreflightFailure]:
    if transition.plan.refusal is not None:
        yield transition.plan.refusal
    elif is_forced:
        yield PreflightFailure(
            "forced",
            f"a change in several steps ({transition.text}) restarts each member only while the others are well, and "
            "etcd_peer_tls_force_restart restarts them whatever the others' state is: run it without",
        )
    elif not question.is_whole:
        yield PreflightFailure(
            "parts", f"a change in several steps ({transition.text}) needs all parts: run it without tags"
        )
    elif question.passed and question.passed == transition.text:
        yield PreflightFailure("no_progress", f"{transition.text}: it was done, and nothing is other than before")


def _not_for_clients(transition: Transition, cluster: Cluster, state: State) -> t.Iterator[PreflightFailure]:
    """Members that would present a certificate to their clients which the clients' own CA did not sign."""
    leaves = {
        action.host: action.leaf for step in transition.plan.steps for action in step.actions if action.leaf is not None
    }
    found = []
    for member in cluster.members:
        new, host, settings = leaves.get(member.host), state.hosts.get(member.host), cluster.flag_settings(member.name)
        if new is None or host is None or host.leaf is None or settings is None or new.issuer == host.leaf.issuer:
            continue
        own = f"{settings.credentials_directory.rstrip('/')}/{member.name}.crt"
        if settings.client_tls and settings.client_ca_file and settings.client_cert_file == own:
            found.append(member.name)
    if found:
        yield PreflightFailure(
            "pair_for_clients",
            f"member {', '.join(found)}: its peer certificate would come from another CA, and is what clients get as "
            "well, who are checked by etcd_peer_tls_client_ca_file: nobody could ask it any more: give "
            "etcd_peer_tls_client_cert_file and etcd_peer_tls_client_key_file a pair of the clients' CA first",
        )


def _authorities(cluster: Cluster, question: Question) -> Authorities | None:
    """The CAs at hand; one that is to be made has no certificate yet."""
    if cluster.question.authority:
        try:
            return authorities_of(cluster)
        except RingfenceError:
            # Reading the CA reports that.
            return None
    if not question.new_ca:
        return None
    return authorities_of(cluster, to_be_made=_TO_BE_MADE)


def told(transition: Transition, steps_done: int = 0) -> dict[str, t.Any]:
    """The plan alone; ``steps_done``: how many steps this run has done before."""
    return {
        **NONE,
        "due": transition.is_due,
        "stopped": transition.is_stopped,
        "text": transition.text,
        "now": transition.numbered(steps_done),
        "steps": len(transition.passed),
        # Who leaves has left when the change begins.
        "steps_done": steps_done + len(transition.before),
        "lines": transition.lines,
    }


def next_pass(
    transition: Transition,
    cluster: Cluster,
    state: State,
    authorities: Authorities,
    settings: t.Mapping[str, t.Mapping[str, t.Any]],
    new_keys: bool = False,
) -> dict[str, t.Any]:
    """All that the tasks of the next pass need.

    ``settings``: of each member's host, as the role has them. ``members``: where each member answers now, and goes on
    to answer while the pass is done. ``hosts``: by member's name what its host gets; empty or none is left as it is.
    ``client_files``: by member's name the files with which its host asks them, where those of the role are none.
    ``places``: by member's name the hosts of the peer URLs with which the cluster lists it.
    """
    urls = asked_at(cluster.members, state, transition)
    served = {
        member.name: sorted(host.process.serves)
        for member in cluster.members
        if (host := state.hosts.get(member.host)) is not None and host.process is not None
    }
    members = []
    for member in cluster.members:
        entry = {**member_as_dict(member), "client_url": urls[member.name]}
        answers_at = served.get(member.name) or [member.peer_url]
        entry["peer_url"] = member.peer_url if member.peer_url in answers_at else answers_at[0]
        members.append(entry)
    return {
        "requests": list(_requests(transition, cluster, new_keys)),
        "hosts": {
            name: _of_host(name, assigned, cluster, authorities, settings)
            for name, assigned in transition.assignments.items()
        },
        "members": members,
        "client_files": _client_files(cluster, settings) if has_https(urls.values()) else {},
        "places": {
            member.name: sorted({url_host(url) for url in one.peer_urls})
            for member in cluster.members
            for one in (() if state.member_list is None else state.member_list.members)
            if is_of(one, member)
        },
    }


def _client_files(cluster: Cluster, settings: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, dict[str, str]]:
    """Where clients are going to ask without TLS: the files for members that still have it."""
    found = {}
    for member, info in cluster.inspected():
        own = settings.get(member.name)
        if own is None or own["client_tls"]:
            continue
        deployed = [((info.get(part) or {}).get("settings") or {}).get("files") or {} for part in ("process", "unit")]
        of_etcd = [tuple(files.get(flag) for flag in _CLIENT_FILES) for files in deployed]
        files = next((paths for paths in of_etcd if all(paths)), None)
        found[member.name] = (
            client_files_of({**plain(own), "client_tls": True}, member)
            if files is None
            else dict(zip(("ca", "cert", "key"), map(str, files)))
        )
    return found


def _requests(transition: Transition, cluster: Cluster, new_keys: bool) -> t.Iterator[dict[str, t.Any]]:
    """What is to be issued; while a member moves its certificate has the names of both places."""
    for request in certificate_requests(cluster, new_keys):
        names = transition.assignments.get(request["name"], Assignment()).names
        if names is None:
            continue
        for name in sorted(names - {*request["dns_names"], *request["ip_addresses"]}):
            try:
                request["ip_addresses"].append(str(ipaddress.ip_address(name)))
            except ValueError:
                request["dns_names"].append(name)
        yield request


def _of_host(
    name: str,
    assigned: Assignment,
    cluster: Cluster,
    authorities: Authorities,
    settings: t.Mapping[str, t.Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    config = assigned.config
    found: dict[str, t.Any] = {
        "issued": assigned.names is not None,
        "moved_to": assigned.moved_to,
        "unit_content": None,
        "trust_bundle": None,
    }
    if config is not None:
        member, info = next(pair for pair in cluster.inspected() if pair[0].name == name)
        own = plain(settings[name])
        present = (info["process"] or {}).get("settings") or info["unit"].get("settings")
        found["unit_content"] = unit_text(own, cluster.members, member, config, present)
        found["trust_bundle"] = authorities.bundle(name, config.authorities)
    return found


def why_not_met(
    states: t.Mapping[str, t.Mapping[str, t.Any]], issued_to: t.Collection[str], joins: t.Collection[str] = ()
) -> list[PreflightFailure]:
    """New certificates are shown by new handshakes, to all and from all: a standing connection says nothing of them.

    Who has spoken http so far shows its first one once it is restarted with it. ``joins``: members that are to join
    when this change is done, and are nobody's peers yet.
    """
    found = []
    shown = {name for name in issued_to if _has_peer_tls(states.get(name))}
    for name, state in states.items():
        for probe in state.get("probes") or ():
            is_about = not shown.isdisjoint((name, probe.get("to"))) and not {name, probe.get("to")} & {*joins}
            if is_about and probe.get("case") == MEMBER and probe.get("outcome") != ACCEPTED:
                found.append(
                    PreflightFailure(
                        "not_met",
                        f"member {name} and {probe.get('to')} do not take each other for peers after a certificate was "
                        f"issued to {', '.join(issued_to)} ({probe.get('text') or probe.get('outcome')}): nothing more "
                        "is changed: see the log of both, then run again",
                    )
                )
    return found


def _has_peer_tls(state: t.Mapping[str, t.Any] | None) -> bool:
    """Whether a member's process has a certificate for its peers; True where that is not known."""
    settings = (((state or {}).get("info") or {}).get("process") or {}).get("settings")
    return settings is None or bool(settings["files"].get("peer_cert_file"))


__all__ = ("NONE", "Change", "Question", "change_of", "next_pass", "told", "why_not_met")
