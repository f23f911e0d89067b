# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of the cluster that are under way, and which checks fail for nothing else.

They are told as what they are. A proof is no better for it: what is not as it must be fails it, whatever the cause.
A cause is believed only where it leaves nobody in who is no member now and will be none, and no member out.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import is_said
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Listed
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import read_version
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.checks import Evidence
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.pairs import (
    Result,
    credentials_of,
    own_common_name,
    running_common_names,
    running_version,
    settings_by_flags,
)

# A check, and the member that it is about.
Explained = tuple[str, str]


class Change(t.TypedDict):
    """One change that is under way: a code, whom it is about, what there is of it and how it goes on."""

    code: str
    subject: str
    text: str


class Progress(t.NamedTuple):
    changes: list[Change]
    explains: frozenset[Explained]


def progress_of(evidence: Evidence) -> Progress:
    """What is under way, and the checks that it explains."""
    changes: list[Change] = []
    explains: set[Explained] = set()
    for part in (_names, _membership, _places, _authorities, _versions):
        for change, explained in part(evidence):
            changes.append(change)
            explains |= explained
    return Progress(changes, frozenset(explains))


_Found = t.Iterator[tuple[Change, set[Explained]]]


def _change(code: str, subject: t.Iterable[str], text: str) -> Change:
    return {"code": code, "subject": ", ".join(subject), "text": text}


def _names(evidence: Evidence) -> _Found:
    """Other common names, where somebody presents one that is not wanted."""
    others = _lists_on_the_way(evidence)
    presented = {own_common_name(result) for _member, result, _info in evidence.seen()}
    # Where all present what is wanted, a list that differs is no change that anybody needs.
    if others and presented != set(evidence.wanted_common_names):
        text = "the common names change: each list has those that members present now, and no other than these and the "
        text += "inventory's; a run of the deployment goes on"
        yield _change("names", others, text), {("allowed_common_names", name) for name in others}


def _lists_on_the_way(evidence: Evidence) -> list[str]:
    """Members whose lists of common names have all that members present, and no other than these and the inventory's.

    Of a member that is to go they have the name as long as it is a member.
    """
    wanted, seen, going = set(evidence.wanted_common_names), list(evidence.seen()), _going(evidence)
    presented = {own_common_name(result) for _member, result, _info in seen}
    if None in presented or len(seen) < len(evidence.members):
        return []
    others = []
    for member, result, _info in seen:
        running = set(running_common_names(result) or ())
        known = presented | wanted | {one for one in running if _is_of(one, going)}
        if running and running != wanted and presented <= running <= known:
            others.append(member.name)
    return others


def _going(evidence: Evidence) -> dict[str, None]:
    """Who is in the list of all that tell one, is not in the inventory, and was said to go; by name."""
    named = {one.name for one in evidence.members}
    lists = [result["live_members"] for _member, result, _info in evidence.seen() if result["live_members"] is not None]
    found = [{one["name"]: one for one in live if one["name"] and one["name"] not in named} for live in lists]
    return {
        name: None
        for name, one in (found[0] if found else {}).items()
        if all(name in others for others in found) and is_said(evidence.removed, _listed(one))
    }


def _listed(one: t.Mapping[str, t.Any]) -> Listed:
    return Listed(one["member_id"], one["name"], tuple(one["peer_urls"]), ())


def _is_of(common_name: str, names: t.Iterable[str]) -> bool:
    """Whether a common name is that of one of these members, with or without a domain."""
    return any(common_name == name or common_name.startswith(f"{name}.") for name in names)


def _membership(evidence: Evidence) -> _Found:
    """Members that are named and do not vote yet, and those that are to go."""
    going = _going(evidence)
    learners: dict[str, None] = {}
    added: dict[str, None] = {}
    by_url = {member.peer_url: member for member in evidence.members}
    coming = {member.name for member, _result, info in evidence.seen() if _is_empty(info)}
    explains: set[Explained] = set()
    for member, result, _info in evidence.seen():
        live = result["live_members"]
        if live is None:
            continue
        named, names = {one.name for one in evidence.members}, {one["name"] for one in live}
        new = [by_url[url].name for one in live if not one["name"] for url in one["peer_urls"] if url in by_url]
        strangers = [one for one in live if one["name"] not in named and one["name"] not in going]
        missing = named - names
        learners.update(dict.fromkeys(one["name"] for one in live if one.get("is_learner") and one["name"] in named))
        added.update(dict.fromkeys(new))
        if (missing or strangers or going) and len(new) == len(strangers) and missing <= coming | set(new):
            explains.add(("live_members", member.name))
            added.update(dict.fromkeys(sorted(missing)))
    waiting = [name for name in added if name in coming]
    if learners:
        text = "a learner: it has no vote until it has all data; a run of the deployment promotes it"
        yield _change("learner", learners, text), set()
    if added:
        text = "in the inventory, and not started as a member yet: a run of the deployment lets it join"
        yield _change("joining", added, text), explains | {("running", name) for name in waiting}
    if going:
        text = (
            "in the cluster's list, not in the inventory, and named in etcd_peer_tls_removed: a run of the deployment "
        )
        explains |= {("allowed_common_names", name) for name in _lists_on_the_way(evidence)}
        yield _change("leaving", going, f"{text}removes it"), explains


def _is_empty(info: t.Mapping[str, t.Any]) -> bool:
    """Whether no etcd runs on a host and none has run there."""
    data = info.get("data") or {}
    return not info["process"]["running"] and not data.get("exists") and not data.get("problem")


def _places(evidence: Evidence) -> _Found:
    """Members that answer at the URL in the cluster's list and at the one of the inventory."""
    by_name = {member.name: (member, result) for member, result, _info in evidence.seen()}
    moving: dict[str, None] = {}
    explains: set[Explained] = set()
    for member, result, _info in evidence.seen():
        wrong = [
            one
            for one in result["live_members"] or ()
            if one["name"] in by_name and by_name[one["name"]][0].peer_url not in one["peer_urls"]
        ]
        if wrong and all(_answers_at_both(*by_name[one["name"]], one["peer_urls"]) for one in wrong):
            moving.update(dict.fromkeys(one["name"] for one in wrong))
            explains.add(("peer_urls", member.name))
    if moving:
        text = (
            "answers at its old and its new peer URL, and the cluster's list has the old one: it moves, and a run of "
        )
        yield _change("moving", moving, f"{text}the deployment goes on"), explains


def _answers_at_both(member: Member, result: Result, listed: t.Collection[str]) -> bool:
    settings = settings_by_flags(result)
    serves = set((settings or {}).get("listen_peer_urls") or ())
    return bool(listed) and {member.peer_url, *listed} <= serves


def _authorities(evidence: Evidence) -> _Found:
    """More than one CA that all members trust, or that some trust beside the one of all, where it is the one at hand.

    A CA above the one that issues is no other one. One that some trust and nobody gave lets in strangers.
    """
    by_name = {
        member.name: {one["fingerprint"]: one for one in credentials_of(result)["ca"]["certificates"]}
        for member, result, _info in evidence.seen()
    }
    bundles = list(by_name.values())
    common = set.intersection(*map(set, bundles)) if bundles else set()
    if not common:
        return
    more = {one: facts["common_name"] for bundle in bundles for one, facts in bundle.items() if one not in common}
    if more and set(more) <= set(evidence.authorities):
        told = ", ".join(f"{name} ({one})" for one, name in sorted(more.items()))
        widened = [name for name, bundle in by_name.items() if set(bundle) - common]
        text = (
            f"trust {told}, the CA that was given, and the others do not yet: a change of the CA is under way, and a "
        )
        text += "run of the deployment goes on"
        yield _change("authorities", widened, text), {("trust_bundle", name) for name in by_name}
    if more:
        return
    roots = [one for one in bundles[0].values() if one.get("issuer_common_name") == one["common_name"]]
    if len(roots) < 2:
        return
    told = ", ".join(f"{one['common_name']} ({one['fingerprint']})" for one in roots)
    text = f"trust {len(roots)} CAs, {told}: a change of the CA is under way; when neither a member nor a client needs "
    text += "the old one any more, etcd_peer_tls_retire_ca takes it out by its fingerprint"
    yield _change("authorities", (member.name for member, _result, _info in evidence.seen()), text), set()


def _versions(evidence: Evidence) -> _Found:
    """Members of more than one minor version."""
    found: dict[tuple[int, int], list[str]] = {}
    for member, _result, info in evidence.seen():
        version = read_version(running_version(info) or "")
        if version is not None:
            found.setdefault(version[:2], []).append(member.name)
    if len(found) > 1:
        told = "; ".join(f"etcd {major}.{minor} on {', '.join(found[major, minor])}" for major, minor in sorted(found))
        text = f"run more than one minor version ({told}): an upgrade is under way, and a run of the deployment goes on"
        yield _change("upgrade", (name for names in found.values() for name in names), text), set()


__all__ = ("Change", "Progress", "progress_of")
