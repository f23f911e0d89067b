# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One restart at a time, and only while all the others are well: the decision (pure) and the guarded restart.

The guard is here, on the node, at the last moment before the restart, and its lock is in the cluster itself:
no order of hosts, forks, strategy or second run at the same time gets past it.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import (
    ALARM_REMEDIES,
    NO_SPACE,
    OBSTACLE_REMEDIES,
    alarm_in,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RefusedError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client, check_url
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import Health, LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError, LockHeldError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.restart_lock import RestartLock

_PAUSE_SECONDS = 1.0

# Reasons that waiting does not take away. Their text says what to do.
_LASTING = frozenset(("alarm", "api_auth", "api_user", "api_right", "api_gateway", "would_shut_out"))


@dataclass(frozen=True)
class MemberHealth:
    """What was seen of one member. ``problem`` is None where it is healthy."""

    name: str
    member_id: str
    problem: str | None = None
    # False where it is healthy by its own account but its links can't be read.
    links_known: bool = True
    active_peers: t.Mapping[str, int] = field(default_factory=dict)
    is_learner: bool = False
    is_started: bool = True


@dataclass(frozen=True)
class ClusterUrls:
    """The members as the user names them: name → client URL, and which of them is this node's."""

    me: str
    client_urls: t.Mapping[str, str]

    @property
    def others(self) -> list[str]:
        return sorted(name for name in self.client_urls if name != self.me)

    @property
    def urls_others_first(self) -> list[str]:
        return [self.client_urls[name] for name in (*self.others, self.me)]


def cluster_from(me: str, members: t.Iterable[t.Mapping[str, t.Any]]) -> ClusterUrls:
    """The members by name and client URL; InputError where one is named twice or this host's is missing."""
    urls = client_urls_of(members)
    if me not in urls:
        raise InputError(f"members: this host's member {me} is not among {', '.join(urls) or 'them'}", member=me)
    return ClusterUrls(me, urls)


def client_urls_of(members: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
    """Each member's client URL by its name; InputError where an entry lacks one of them, or a name is there twice."""
    urls: dict[str, str] = {}
    for member in members:
        name, url = member.get("name"), member.get("client_url")
        if not isinstance(name, str) or not name or not isinstance(url, str) or not url:
            raise InputError(
                f"members: the entry with name {name!r} and client_url {url!r} needs both, as text", member=str(name)
            )
        if name in urls:
            raise InputError(f"members: the member {name} is there twice", member=name)
        check_url(url)
        urls[name] = url.rstrip("/")
    return urls


class Unit(t.Protocol):
    """This node's unit, as the guarded restart needs it."""

    @property
    def name(self) -> str:
        """The unit's name."""

    def restart(self) -> None:
        """Queue the restart and return."""

    def shuts_out(self) -> t.Callable[[t.Iterable[str]], str | None]:
        """By the peer URLs of a member: why the next start would refuse what it presents; None where it would not."""

    def process_problem(self) -> str | None:
        """Why the process is not one that was started with what is deployed now; None where it is."""

    def problem(self) -> str | None:
        """The same, and whether systemd takes the unit for started: etcd says so when it has joined a quorum."""

    def has_failed(self) -> bool:
        """Whether systemd has given the unit up, so that waiting is no use."""

    def cause(self) -> str | None:
        """Why its process did not start, in etcd's own words; None where the log has no reason."""

    def journal_tail(self) -> str:
        """The last lines of the log as one line."""

    def way_back(self) -> str | None:
        """How to undo what the restart did beside restarting, in a line; None where that is nothing."""


class Around(t.Protocol):
    """What a restart needs before and after it, beside the guard."""

    def run(self, restart: t.Callable[[], object], keep: t.Callable[[], object]) -> None:
        """Do it, and the restart in its middle, which raises a ServiceError where the member does not come back.

        ``keep`` keeps the turn alive. RefusedError where it is not restarted after all; then nothing was changed.
        """


# The decision -------------------------------------------------------------------------------------------------------


def may_restart(me: str, others_health: t.Iterable[MemberHealth]) -> list[Reason]:
    """Why this member must not be restarted now; empty where it may. Learners have no vote and don't count."""
    voters = [
        member
        for member in sorted(others_health, key=lambda member: (member.name, member.member_id))
        if member.name != me and not member.is_learner
    ]
    reasons: list[Reason] = []
    for member in voters:
        if not member.is_started:
            reasons.append(
                {
                    "code": "member_not_started",
                    "text": f"member {member.member_id} was added to the cluster and has not started yet",
                }
            )
        elif member.problem is not None:
            reasons.append(_unhealthy(member))
    well = [member for member in voters if member.is_started and member.problem is None]
    reasons += _broken_links(well, well)
    return reasons


def _unhealthy(member: MemberHealth) -> Reason:
    alarm = alarm_in(member.problem or "")
    if alarm is None:
        return {"code": "member_unhealthy", "text": f"{member.name} is not healthy: {member.problem}"}
    text = f"{member.name} is not healthy, alarm {alarm} is raised: {ALARM_REMEDIES[alarm]}"
    return {"code": "alarm", "text": text}


def is_back(me: MemberHealth, others_health: t.Iterable[MemberHealth]) -> list[Reason]:
    """Why this member is not fully back yet: its own health, its links to all others and all others' links to it."""
    if me.problem is not None:
        return [{"code": "member_unhealthy", "text": f"{me.name} is not healthy: {me.problem}"}]
    reasons: list[Reason] = []
    well = []
    for member in sorted(others_health, key=lambda member: (member.name, member.member_id)):
        if not member.is_started or member.is_learner:
            continue
        if member.problem is not None:
            reasons.append({"code": "member_unhealthy", "text": f"{member.name} is not healthy: {member.problem}"})
        else:
            well.append(member)
    return reasons + _broken_links([me], well) + _broken_links(well, [me])


def lacks_links(me: MemberHealth, others_health: t.Iterable[MemberHealth]) -> list[Reason]:
    """Which of those that are well have no connection to this member: it could not hear them where its vote counts."""
    return _broken_links([one for one in others_health if one.is_started and one.problem is None], [me])


def _broken_links(sources: t.Sequence[MemberHealth], targets: t.Sequence[MemberHealth]) -> list[Reason]:
    """Health does not show a link that is broken in one direction: raft uses the other. Only the links show it."""
    reasons: list[Reason] = []
    for source in sources:
        if not source.links_known:
            reasons.append(
                {"code": "peer_links_unknown", "text": f"the connections of {source.name} to its peers can't be read"}
            )
            continue
        for target in targets:
            if target.member_id != source.member_id and source.active_peers.get(target.member_id, 0) < 1:
                reasons.append(
                    {"code": "peer_link_down", "text": f"{source.name} has no connection to its peer {target.name}"}
                )
    return reasons


# What is seen -------------------------------------------------------------------------------------------------------


def live_members(client: Client, urls: t.Iterable[str]) -> list[LiveMember]:
    """The cluster's own list of members, from the first URL that answers."""
    problem: ApiError | None = None
    for url in urls:
        try:
            return client.member_list(url)
        except ApiError as exc:
            # A member that says why it can't be asked explains more than one that is down.
            if problem is None or (problem.kind is None and exc.kind is not None):
                problem = exc
    raise problem or ApiError("no member's client URL was given")


def health_of(client: Client, member: LiveMember, url: str | None, tolerated: str | None = None) -> MemberHealth:
    """One member's health and links by its client URL; the URL that the cluster has for it where none is given.

    ``tolerated``: an alarm that is no reason against it.
    """
    is_started = bool(member.name)
    url = url or next(iter(member.client_urls), None)
    seen = MemberHealth(member.name, member.member_id, is_learner=member.is_learner, is_started=is_started)
    if not is_started or member.is_learner:
        return seen
    if url is None:
        return replace(seen, problem="the cluster knows no client URL of it")
    health = _health(client, url, tolerated)
    if not health.healthy:
        return replace(seen, problem=health.problem or "no reason given")
    try:
        return replace(seen, active_peers=client.active_peers(url))
    except ApiError:
        return replace(seen, links_known=False)


def _health(client: Client, url: str, tolerated: str | None) -> Health:
    return client.health(url) if tolerated is None else client.health(url, without_alarm=tolerated)


@dataclass(frozen=True)
class View:
    """All members as seen in one look. ``me`` is None where the cluster does not list this member."""

    me: MemberHealth | None
    others: tuple[MemberHealth, ...]


def gather_view(
    client: Client,
    cluster: ClusterUrls,
    with_me: bool,
    between: t.Callable[[], object] = lambda: None,
    tolerated: str | None = None,
) -> View:
    """Look at every live member; ``between`` is called before each, to keep a lock alive."""
    live = live_members(client, cluster.urls_others_first)
    me: MemberHealth | None = None
    others: list[MemberHealth] = []
    for member in live:
        between()
        if member.name == cluster.me:
            seen = health_of(client, member, cluster.client_urls[cluster.me], tolerated) if with_me else None
            me = seen or MemberHealth(member.name, member.member_id)
        else:
            others.append(health_of(client, member, cluster.client_urls.get(member.name), tolerated))
    return View(me, tuple(others))


# The guarded restart ------------------------------------------------------------------------------------------------


class Clock:
    """Time, so that tests need none."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


_CLOCK = Clock()


def restart_guarded(
    unit: Unit,
    cluster: ClusterUrls,
    client: Client,
    still_pending: t.Callable[[], list[Reason]],
    *,
    wait_seconds: float,
    timeout_seconds: float,
    force: bool = False,
    clock: Clock = _CLOCK,
    lock: RestartLock | None = None,
    more_space: t.Callable[[], bool] = lambda: False,
    around: Around | None = None,
) -> list[Reason]:
    """Restart this member once it may, and wait until it is back; gives the reasons for which it was restarted.

    ``more_space``: whether the restart brings a larger quota, so that the alarm NOSPACE is no reason against it.
    ``around``: what else belongs to it; with ``force`` it is left out.
    RefusedError where it might not be restarted within ``wait_seconds`` (nothing was changed), ServiceError where it
    was restarted and is not back within ``timeout_seconds``. With ``force`` the others are neither asked nor waited
    for.
    """
    pending = still_pending()
    if pending and force:
        unit.restart()
        _wait_for_process(unit, timeout_seconds, clock)
        return pending
    lock = lock or RestartLock(client, cluster.urls_others_first, clock=clock.now)
    deadline = clock.now() + wait_seconds
    while pending:
        tolerated = NO_SPACE if more_space() else None
        against = _take_turn(cluster, client, lock, clock, tolerated) or _shut_out(unit, cluster, client)
        if not against:
            # Somebody else may have restarted it while this run waited for its turn.
            pending = still_pending()
            if pending:

                def restart(keep: t.Callable[[], object] = lock.keep, tolerated: str | None = tolerated) -> None:
                    unit.restart()
                    wait_until_back(
                        unit, cluster, client, timeout_seconds, clock=clock, between=keep, tolerated=tolerated
                    )

                _restart_with(around, restart, lock)
            lock.release()
            return pending
        lock.release()
        _refuse_unless_waiting_helps(cluster.me, against, pending, wait_seconds, clock.now() >= deadline)
        clock.sleep(_PAUSE_SECONDS)
        pending = still_pending()
    return pending


def _shut_out(unit: Unit, cluster: ClusterUrls, client: Client) -> list[Reason]:
    """Which members the next start would refuse, as they are now: under the lock nobody else starts with less."""
    try:
        others = [one for one in live_members(client, cluster.urls_others_first) if one.name not in ("", cluster.me)]
    except ApiError as exc:
        return [] if not cluster.others else [{"code": "no_member_answers", "text": str(exc)}]
    why_not = unit.shuts_out() if others else lambda _urls: None
    found = [(one.name, why_not(one.peer_urls)) for one in others]
    return [
        {
            "code": "would_shut_out",
            "text": f"started with what is deployed here it would refuse {name}: {why}: another run changes this "
            "cluster, or somebody did: run again over all members",
        }
        for name, why in found
        if why is not None
    ]


def _restart_with(around: Around | None, restart: t.Callable[[], object], lock: RestartLock) -> None:
    """The restart with what belongs to it.

    The lock is not released where it fails: the others' runs wait until it ends, and then see what is wrong here.
    """
    if around is None:
        restart()
        return
    try:
        around.run(restart, lock.keep)
    except RefusedError:
        lock.release()
        raise


def _refuse_unless_waiting_helps(
    me: str, against: list[Reason], pending: list[Reason], wait_seconds: float, is_over: bool
) -> None:
    """RefusedError for what waiting does not take away, and where the time to wait is over."""
    lasting = [reason["text"] for reason in against if reason["code"] in _LASTING]
    if lasting:
        why = "; ".join(dict.fromkeys(lasting))
    elif is_over:
        texts = "; ".join(reason["text"] for reason in against)
        why = f"{texts} (waited {wait_seconds:g} seconds): bring the others back first, then run again"
    else:
        return
    raise RefusedError(f"{me} is not restarted: {why}", member=me, reasons=against, restart_pending=pending)


def _take_turn(
    cluster: ClusterUrls, client: Client, lock: RestartLock, clock: Clock, tolerated: str | None = None
) -> list[Reason]:
    """Why it is not this member's turn; where it is, the lock is held (a cluster of one member needs none).

    With the alarm NOSPACE that is ``tolerated`` nobody can hold it, because etcd grants no lease: see below.
    """
    against, is_alone = _why_not(cluster, client, tolerated=tolerated)
    if against or is_alone:
        return against
    try:
        lock.acquire()
    except LockHeldError:
        return [{"code": "lock_held", "text": "another run restarts a member of this cluster right now"}]
    except ApiError as exc:
        alarm = alarm_in(str(exc))
        if alarm is not None and alarm == tolerated:
            return _turn_without_lock(cluster, client, clock, tolerated)
        if alarm is not None:
            text = f"the cluster does not give the restart lock, alarm {alarm} is raised: {ALARM_REMEDIES[alarm]}"
            return [{"code": "alarm", "text": text}]
        if exc.kind in OBSTACLE_REMEDIES:
            text = f"the cluster does not give the restart lock, {OBSTACLE_REMEDIES[exc.kind]} ({exc})"
            return [{"code": f"api_{exc.kind}", "text": text}]
        return [{"code": "lock_failed", "text": f"the cluster does not give the restart lock: {exc}"}]
    # Until the lock was taken another run may have restarted a member: what counts is what is seen under the lock.
    against, _is_alone = _why_not(cluster, client, lock.keep, tolerated)
    if not against and not lock.is_held():
        against = [{"code": "lock_lost", "text": "the cluster's restart lock could not be kept"}]
    return against


def _turn_without_lock(cluster: ClusterUrls, client: Client, clock: Clock, tolerated: str) -> list[Reason]:
    """Why it is not this member's turn where etcd takes no write, and so gives no lock.

    Two runs at once could then restart two members in the same moment: until one of them is back nobody could read.
    No write that was acknowledged is lost by it, since none is taken. Each member waits for a time of its own and
    checks once more. So they would have to stop their members within the fraction of a second between check and stop.
    Within one run the hosts have their turn one after the other (``throttle``).
    """
    clock.sleep(_PAUSE_SECONDS * (1 + sorted(cluster.client_urls).index(cluster.me)))
    against, _is_alone = _why_not(cluster, client, tolerated=tolerated)
    return against


def _why_not(
    cluster: ClusterUrls,
    client: Client,
    between: t.Callable[[], object] = lambda: None,
    tolerated: str | None = None,
) -> tuple[list[Reason], bool]:
    """Why this member must not be restarted now, and whether it is the cluster's only one."""
    try:
        view = gather_view(client, cluster, with_me=False, between=between, tolerated=tolerated)
    except ApiError as exc:
        if not cluster.others:
            # The only member that the user knows of does not answer: restarting it takes nothing away.
            return [], True
        if exc.kind in OBSTACLE_REMEDIES:
            text = f"a member answers, and {OBSTACLE_REMEDIES[exc.kind]} ({exc})"
            return [{"code": f"api_{exc.kind}", "text": text}], False
        return [{"code": "no_member_answers", "text": f"no member tells who is in the cluster: {exc}"}], False
    if view.me is None:
        text = f"the cluster that answers does not list {cluster.me} as a member"
        return [{"code": "not_a_member", "text": text}], False
    return may_restart(cluster.me, view.others), not view.others


def wait_until_back(
    unit: Unit,
    cluster: ClusterUrls,
    client: Client,
    timeout_seconds: float,
    *,
    clock: Clock = _CLOCK,
    between: t.Callable[[], object] = lambda: None,
    expect: t.Collection[str] = (),
    tolerated: str | None = None,
) -> View:
    """Wait until this member runs what is deployed, is healthy and linked with all others in both directions.

    ``expect``: names that the cluster must list as well. ServiceError with the end of the log where it does not come.
    """
    deadline = clock.now() + timeout_seconds
    while True:
        between()
        missing, view = _what_is_missing(unit, cluster, client, between, expect, tolerated)
        if view is not None and not missing:
            return view
        _give_up_if(unit, cluster.me, missing, deadline, timeout_seconds, clock)
        clock.sleep(_PAUSE_SECONDS)


def wait_healthy(
    unit: Unit, cluster: ClusterUrls, client: Client, timeout_seconds: float, *, clock: Clock = _CLOCK
) -> View:
    """After a start: wait until every member that the user named is in the cluster and this one is linked with all."""
    return wait_until_back(unit, cluster, client, timeout_seconds, clock=clock, expect=frozenset(cluster.client_urls))


def _what_is_missing(
    unit: Unit,
    cluster: ClusterUrls,
    client: Client,
    between: t.Callable[[], object],
    expect: t.Collection[str],
    tolerated: str | None = None,
) -> tuple[list[Reason], View | None]:
    problem = unit.problem()
    if problem is not None:
        return [{"code": "unit_not_running", "text": problem}], None
    try:
        view = gather_view(client, cluster, with_me=True, between=between, tolerated=tolerated)
    except ApiError as exc:
        if f"api_{exc.kind}" in _LASTING:
            # The member list is not known, and won't be: the status of the members that the user names has to do.
            return _who_is_unwell(client, cluster, between), View(None, ())
        return [{"code": "no_member_answers", "text": f"no member tells who is in the cluster: {exc}"}], None
    wanted = {cluster.me, *expect}
    listed = {member.name for member in (view.me, *view.others) if member is not None}
    reasons: list[Reason] = [
        {"code": "not_a_member", "text": f"the cluster does not list {name} as a member"}
        for name in sorted(wanted - listed)
    ]
    return reasons + (is_back(view.me, view.others) if view.me is not None else []), view


def _who_is_unwell(client: Client, cluster: ClusterUrls, between: t.Callable[[], object]) -> list[Reason]:
    """Who of those that the user names is not healthy by its own account, which no RBAC keeps back."""
    unwell = []
    for name, url in sorted(cluster.client_urls.items()):
        between()
        health = client.health(url)
        if not health.healthy:
            unwell.append(_unhealthy(MemberHealth(name, "", health.problem or "no reason given")))
    return unwell


def _wait_for_process(unit: Unit, timeout_seconds: float, clock: Clock) -> None:
    """After a forced restart: wait only until the process is the new one; the others may all be down."""
    deadline = clock.now() + timeout_seconds
    while True:
        problem = unit.process_problem()
        if problem is None:
            return
        _give_up_if(unit, unit.name, [{"code": "unit_not_running", "text": problem}], deadline, timeout_seconds, clock)
        clock.sleep(_PAUSE_SECONDS)


def _give_up_if(
    unit: Unit, who: str, missing: list[Reason], deadline: float, timeout_seconds: float, clock: Clock
) -> None:
    """ServiceError with etcd's own last error where the unit has failed or the time is over."""
    has_failed = unit.has_failed()
    if not has_failed and clock.now() < deadline:
        return
    when = "its unit has failed" if has_failed else f"not well within {timeout_seconds:g} seconds"
    cause, tail, way_back = unit.cause(), unit.journal_tail(), unit.way_back()
    parts = [f"{who}: {cause}"] if cause else [who]
    parts += [when, "; ".join(reason["text"] for reason in missing)]
    if tail and not cause:
        parts.append(f"the end of its log: {tail}")
    if way_back:
        parts.append(way_back)
    raise ServiceError(": ".join(parts), member=who, reasons=missing, cause=cause, journal=tail)


__all__ = (
    "Around",
    "Clock",
    "ClusterUrls",
    "MemberHealth",
    "Unit",
    "View",
    "gather_view",
    "health_of",
    "is_back",
    "lacks_links",
    "live_members",
    "may_restart",
    "restart_guarded",
    "wait_healthy",
    "wait_until_back",
)
