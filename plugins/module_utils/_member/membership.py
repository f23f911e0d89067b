# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member more or less: the decision (pure), and the change behind the same guard and lock as a restart.

Nothing is kept of how far a change came: each step looks at the cluster's own list first, so that a run that was killed
is finished by the next one, and a change whose answer never came is neither asked for twice nor taken for failed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import (
    Clock,
    ClusterUrls,
    MemberHealth,
    health_of,
    lacks_links,
    live_members,
    may_restart,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.turn import (
    ListChange,
    Turn,
    no_list,
)

_CLOCK = Clock()
# etcd takes a peer that called it for connected until its own call has failed, which is given up after two seconds.
_LINKED_SECONDS = 3.0
# No member has this name, and one that has not started has none: all of them are asked.
_NOBODY = "\0"


@dataclass(frozen=True)
class Listed:
    """A member of the cluster's list, and what was seen of it."""

    member: LiveMember
    health: MemberHealth

    @property
    def is_voter(self) -> bool:
        return not self.member.is_learner

    @property
    def called(self) -> str:
        """Its name; of one that has not started the peer URL, by which it was added."""
        return self.member.name or f"at {', '.join(self.member.peer_urls)}"


class JoiningUnit(t.Protocol):
    """The unit of a member that joins."""

    def has_data(self) -> bool:
        """Whether it has data of a cluster: then it is one that goes on, and none that begins."""

    def start(self, members: t.Mapping[str, str]) -> None:
        """Queue the start as a member of this cluster: by name, each one's peer URL, its own among them."""

    def is_started(self) -> bool:
        """Whether its process runs."""

    def why_not_running(self) -> str | None:
        """Why the process that was started does not run, with etcd's own words; None where it does."""


# The decisions ------------------------------------------------------------------------------------------------------


def find_member(listed: t.Iterable[LiveMember], called: str) -> LiveMember | None:
    """The member of that name, of that id in hex, or of that peer URL; one that has not started has no name."""
    for member in listed:
        if called in (member.name, member.member_id, *member.peer_urls):
            return member
    return None


def may_remove(target: LiveMember, listed: t.Sequence[Listed]) -> list[Reason]:
    """Why a member must not be removed now; empty where it may.

    All who stay are well and linked with each other, so that they have a quorum of the smaller cluster at once.
    """
    others = [one for one in listed if one.member.member_id != target.member_id]
    voters = [one for one in others if one.is_voter]
    if not voters:
        return [{"code": "last_member", "text": "it is the last one that votes: the cluster would be gone"}]
    against = may_restart(_NOBODY, [one.health for one in others])
    going = next((one for one in listed if one.member.member_id == target.member_id and one.is_voter), None)
    # The vote on it is of all who are in the list now.
    well = len(voters) + (going is not None and going.health.is_started and going.health.problem is None)
    votes = len(voters) + (going is not None)
    if not against and well <= votes // 2:
        text = (
            f"{well} of {votes} members that vote are well, which is no quorum to change the list by: bring it back "
            "first, or restore a snapshot (playbook restore)"
        )
        against = [{"code": "no_quorum", "text": text}]
    return against


def may_add(me: str, peer_url: str, listed: t.Sequence[Listed], has_data: bool) -> list[Reason]:
    """Why a member must not be added and started now; empty where it may, whatever of it has been done already."""
    reasons: list[Reason] = []
    for one in listed:
        is_mine = peer_url in one.member.peer_urls
        if one.member.name == me and not is_mine:
            text = (
                f"the cluster lists {me} with the peer URL {', '.join(one.member.peer_urls)}, and not with {peer_url}"
            )
            reasons.append({"code": "other_peer_url", "text": text})
        elif is_mine and one.member.name not in ("", me):
            text = f"the peer URL {peer_url} is that of member {one.member.name}"
            reasons.append({"code": "peer_url_taken", "text": text})
        elif one.member.name == me and not has_data:
            # It has run: what it voted for and stored is gone, and it must not vote again under this id.
            text = (
                f"{me} has run as member {one.member.member_id}, and has no data any more: it has to be removed first"
            )
            reasons.append({"code": "data_lost", "text": text})
        elif one.member.is_learner and not is_mine:
            # etcd takes one at a time (max-learners, 1 unless told otherwise).
            text = f"the learner {one.called} has not become a voter yet: let its host end its join, or remove it"
            reasons.append({"code": "another_learner", "text": text})
    others = [one.health for one in listed if peer_url not in one.member.peer_urls]
    return reasons + may_restart(_NOBODY, others)


# What is seen -------------------------------------------------------------------------------------------------------


def look_at_all(
    client: Client, client_urls: t.Mapping[str, str], between: t.Callable[[], object] = lambda: None
) -> list[Listed]:
    """Every member of the cluster's own list with its health and links; ApiError where nobody tells the list."""
    seen = []
    for member in live_members(client, list(client_urls.values())):
        between()
        seen.append(Listed(member, health_of(client, member, client_urls.get(member.name))))
    return seen


def judged_by(
    turn: Turn, judge: t.Callable[[t.Sequence[Listed], t.Callable[[], object]], list[Reason]]
) -> t.Callable[[t.Callable[[], object]], list[Reason]]:
    """What speaks against a change, each time by a new look at all members; where nobody tells the list, that."""

    def why_not(between: t.Callable[[], object]) -> list[Reason]:
        try:
            listed = look_at_all(turn.client, turn.urls, between)
        except ApiError as exc:
            return no_list(exc)
        return judge(listed, between)

    return why_not


# Removing -----------------------------------------------------------------------------------------------------------


def remove_guarded(
    cluster: ClusterUrls,
    client: Client,
    called: str,
    *,
    wait_seconds: float,
    timeout_seconds: float,
    clock: Clock = _CLOCK,
    lock: RestartLock | None = None,
) -> LiveMember | None:
    """Remove a member from the cluster once that costs no quorum; gives it, or None where it was no member.

    ``cluster``: the members that stay. ``called``: the name, the id or the peer URL of the one that goes. A leader
    hands over first: removed as it is, the others would be without one for an election's time. RefusedError where it
    may not go (nothing was changed), ServiceError where it is not out of the list within ``timeout_seconds``.
    """
    turn = Turn(client, dict(cluster.client_urls), wait_seconds, timeout_seconds, clock, lock)
    change = ListChange(called, f"{called} is not removed", late=f"{called} is not out of the member list")
    target = find_member(turn.members_before(change), called)
    if target is None:
        return None

    def step(listed: list[LiveMember], _between: t.Callable[[], object]) -> str | None:
        if find_member(listed, target.member_id) is None:
            return None
        url = _url_of_leader_but(turn, listed, target)
        if url is None:
            return "no other member leads yet"
        turn.client.member_remove(url, target.member_id)
        return ""

    turn.take(change, judged_by(turn, lambda listed, _between: may_remove(target, listed)), step)
    return target


def _url_of_leader_but(turn: Turn, listed: t.Sequence[LiveMember], target: LiveMember) -> str | None:
    """The client URL of the leader; where the one that goes leads, it hands over first, and None."""
    client, urls = turn.client, turn.urls
    by_id = {one.member_id: one for one in listed}
    leaders = [client.status(url).leader for name, url in urls.items() if _is_voter(by_id, name)]
    leader = by_id.get(next((one for one in leaders if one is not None), "") or "")
    if leader is None:
        return None
    url = urls.get(leader.name) or next(iter(leader.client_urls), None)
    if leader.member_id != target.member_id:
        return url or next(iter(urls.values()))
    heir = next((one for one in listed if one.name in urls and not one.is_learner and one != target), None)
    if url is not None and heir is not None:
        client.move_leader(url, heir.member_id)
    return None


def _is_voter(by_id: t.Mapping[str, LiveMember], name: str) -> bool:
    return any(one.name == name and not one.is_learner for one in by_id.values())


# Joining ------------------------------------------------------------------------------------------------------------


def join_guarded(
    unit: JoiningUnit,
    cluster: ClusterUrls,
    client: Client,
    peer_url: str,
    refused_by: t.Callable[[LiveMember], str | None],
    *,
    wait_seconds: float,
    timeout_seconds: float,
    clock: Clock = _CLOCK,
    lock: RestartLock | None = None,
) -> list[str]:
    """Add this member as a learner, start it, and let it vote; gives what was done (``add``, ``start``, ``promote``).

    ``refused_by``: why a voter's peer port does not let this member's certificate in, None where it does: a member that
    was added before all take its name can never get its links. RefusedError where it may not be added (nothing was
    changed), ServiceError where it does not become a voter within ``timeout_seconds``; a run again goes on from there.
    """
    others = {name: cluster.client_urls[name] for name in cluster.others}
    turn = Turn(client, others, wait_seconds, timeout_seconds, clock, lock)

    def judge(listed: t.Sequence[Listed], between: t.Callable[[], object]) -> list[Reason]:
        against = may_add(cluster.me, peer_url, listed, unit.has_data())
        return against + _shut_out(cluster.me, peer_url, listed, refused_by, between)

    return _join(unit, cluster.me, peer_url, turn, judged_by(turn, judge))


def _shut_out(
    me: str,
    peer_url: str,
    listed: t.Sequence[Listed],
    refused_by: t.Callable[[LiveMember], str | None],
    between: t.Callable[[], object],
) -> list[Reason]:
    reasons: list[Reason] = []
    for one in listed:
        if not one.is_voter or not one.member.name or one.member.name == me or peer_url in one.member.peer_urls:
            continue
        between()
        why = refused_by(one.member)
        if why is not None:
            text = f"{one.member.name} does not take {me} for a peer: {why}"
            reasons.append({"code": "not_accepted", "text": text})
    return reasons


@dataclass
class _Linked:
    """Since when all voters are seen to have a connection to a learner."""

    since: float | None = None


def _join(
    unit: JoiningUnit,
    me: str,
    peer_url: str,
    turn: Turn,
    why_not: t.Callable[[t.Callable[[], object]], list[Reason]],
) -> list[str]:
    done: list[str] = []
    linked = _Linked()

    def step(listed: list[LiveMember], between: t.Callable[[], object]) -> str | None:
        mine = find_member(listed, peer_url)
        # systemd may have no process to show for a moment after the start.
        what = _next_step(mine, me, "start" in done or unit.is_started())
        if what is None:
            return None
        if what == "promote":
            against = _why_not_promoted(turn, listed, t.cast(LiveMember, mine), between)
            if against:
                linked.since = None
                return "; ".join(reason["text"] for reason in against)
            linked.since = turn.clock.now() if linked.since is None else linked.since
            if turn.clock.now() - linked.since < _LINKED_SECONDS:
                return "the others' connections to it have just begun"
        if what == "wait":
            return "its etcd runs, and has not told its name to the cluster yet: does it reach the others' peer ports?"
        if what == "add":
            turn.client.member_add(_leader_url(turn, listed), peer_url)
        elif what == "start":
            unit.start({**{one.name: one.peer_urls[0] for one in listed if one.name}, me: peer_url})
        else:
            turn.client.member_promote(_leader_url(turn, listed), t.cast(LiveMember, mine).member_id)
        done.append(what)
        return ""

    change = ListChange(
        me,
        f"{me} does not join",
        late=f"{me} is no voter",
        then=(
            "the others keep their quorum without it; mend that and run again, which goes on from there, or take its "
            f"host out of the inventory and run with etcd_peer_tls_removed: [{me}]"
        ),
    )
    turn.take(change, why_not, step, lambda: unit.why_not_running() if "start" in done else None, done=done)
    return done


def _why_not_promoted(
    turn: Turn, listed: t.Sequence[LiveMember], mine: LiveMember, between: t.Callable[[], object]
) -> list[Reason]:
    """Its vote is one more that a quorum needs: it gets it where all voters are well and reach its peer port.

    A learner calls them, and so is in sync also where nobody can call it.
    """
    voters = []
    for one in listed:
        if not one.is_learner and one.member_id != mine.member_id:
            between()
            voters.append(health_of(turn.client, one, turn.urls.get(one.name)))
    learner = MemberHealth(mine.name, mine.member_id, is_learner=True)
    return may_restart(_NOBODY, voters) + lacks_links(learner, voters)


def steps_to_join(listed: t.Sequence[LiveMember], me: str, peer_url: str, is_started: bool) -> list[str]:
    """What is left to do until this member votes, by the cluster's list."""
    mine = find_member(listed, peer_url)
    if mine is not None and mine.name == me and not mine.is_learner and is_started:
        return []
    steps = [] if mine is not None else ["add"]
    steps += [] if is_started else ["start"]
    return steps + (["promote"] if mine is None or mine.is_learner else [])


def describe(listed: t.Iterable[LiveMember]) -> list[str]:
    """The members in a line each, for people."""
    return sorted(
        f"{one.name or one.member_id} {', '.join(one.peer_urls)}{' (learner)' if one.is_learner else ''}"
        for one in listed
    )


def _next_step(mine: LiveMember | None, me: str, is_started: bool) -> str | None:
    """What brings this member nearer to a vote, by the list alone; None where it has one."""
    if mine is None:
        return "add"
    if not is_started:
        return "start"
    if mine.name != me:
        return "wait"
    return "promote" if mine.is_learner else None


def _leader_url(turn: Turn, listed: t.Sequence[LiveMember]) -> str:
    """The client URL of the leader, who knows best how far a learner is; of any other where it is not known."""
    names = {one.member_id: one.name for one in listed}
    for url in turn.urls.values():
        try:
            leader = names.get(turn.client.status(url).leader or "")
        except ApiError:
            continue
        if leader in turn.urls:
            return turn.urls[t.cast(str, leader)]
    return next(iter(turn.urls.values()))


__all__ = (
    "JoiningUnit",
    "Listed",
    "describe",
    "find_member",
    "join_guarded",
    "judged_by",
    "look_at_all",
    "may_add",
    "may_remove",
    "remove_guarded",
    "steps_to_join",
)
