# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's turn in a takeover: what the cluster has to be for it, and its one restart under the cluster's guard.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import Deployed
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import OBSTACLE_REMEDIES
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    RefusedError,
    RingfenceError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client, client_of
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import ApiAccess
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError, explains
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import (
    ClusterUrls,
    gather_view,
    is_back,
    live_members,
    may_restart,
    restart_guarded,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart_unit import SystemdUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.shut_out import shut_out
from ansible_collections.ringfence.etcd.plugins.module_utils._member.takeover import Wanted, plan_takeover
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager

_MEND = "mend that, and run again"
Files = dict[str, t.Optional[str]]


def client_files_of(settings: Deployed) -> list[Files]:
    """The files with which this member's own host may ask its cluster, the likeliest first."""
    files = settings["files"]
    ca = files["trusted_ca_file"] or files["cert_file"]
    pairs = [
        (files[f"{prefix}cert_file"], files[f"{prefix}key_file"])
        for prefix in ("", "peer_")
        if files[f"{prefix}key_file"]
    ]
    found: list[Files] = [{"ca_file": ca, "cert_file": cert, "key_file": key} for cert, key in pairs if ca]
    return [*found, {"ca_file": ca, "cert_file": None, "key_file": None}]


def own_client(
    settings: Deployed, url: str, access: ApiAccess, given: t.Mapping[str, str | None]
) -> tuple[Client, Files]:
    """The client with the first of these files that the member's own client URL takes. ``given``: those of the user."""
    problem: RingfenceError | None = None
    candidates: list[Files] = [{"ca_file": None, "cert_file": None, "key_file": None}]
    if given["ca_file"] is not None:
        candidates = [dict(given)]
    elif url.startswith("https:"):
        candidates = client_files_of(settings)
    for files in candidates:
        try:
            client = client_of(files["ca_file"], files["cert_file"], files["key_file"], access)
            client.status(url)
        except RingfenceError as exc:
            problem = exc if problem is None or explains(exc) >= explains(problem) else problem
            continue
        return client, files
    raise RefusedError(f"{url} can't be asked with this member's own files: {_told(problem)}: {_MEND}")


def _told(problem: RingfenceError | None) -> str:
    if isinstance(problem, ApiError) and problem.kind in OBSTACLE_REMEDIES:
        return f"{OBSTACLE_REMEDIES[problem.kind]} ({problem})"
    return str(problem)


def leads_or_refused(client: Client, cluster: ClusterUrls, done: str = "taken over") -> bool:
    """Whether this member leads, once all members are those of the run, voters, well and linked; else RefusedError."""
    try:
        against, leads = _against(client, cluster)
    except ApiError as exc:
        raise RefusedError(f"{cluster.me} is not {done}: {_told(exc)}: {_MEND}", member=cluster.me) from exc
    if against:
        texts = "; ".join(dict.fromkeys(against))
        raise RefusedError(f"{cluster.me} is not {done}: {texts}: {_MEND}", member=cluster.me)
    return leads


def _against(client: Client, cluster: ClusterUrls) -> tuple[list[str], bool]:
    live = live_members(client, cluster.urls_others_first)
    names = sorted(member.name or member.member_id for member in live)
    if names != sorted(cluster.client_urls):
        return [f"the cluster has {', '.join(names)}, and the run {', '.join(sorted(cluster.client_urls))}"], False
    against = [f"{member.name} is a learner" for member in live if member.is_learner]
    leads = False
    for member in live:
        status = client.status(cluster.client_urls[member.name])
        if status.member_id != member.member_id:
            against.append(f"{cluster.client_urls[member.name]} is not {member.name}, as which it is asked")
        leads = leads or (member.name == cluster.me and status.leader == member.member_id)
    view = gather_view(client, cluster, with_me=True)
    reasons: list[Reason] = [*may_restart(cluster.me, view.others)]
    if view.me is not None:
        reasons += is_back(view.me, view.others)
    return [*against, *(reason["text"] for reason in reasons)], leads


class TakenOverUnit(SystemdUnit):
    """A unit that somebody else deployed. Its files are written in its turn, just before the restart."""

    def __init__(self, wanted: Wanted) -> None:
        fragment = manager.show(wanted.unit).get("FragmentPath", "")
        super().__init__(wanted.unit, os.path.dirname(fragment) or "/etc/systemd/system")
        self._wanted = wanted
        self._way_back = ""

    def restart(self) -> None:
        plan = plan_takeover(self._wanted)
        self._way_back = plan.way_back
        plan.apply(self.name)
        self._old_pid = self.pid()
        manager.restart_no_block(self.name)

    def shuts_out(self) -> t.Callable[[t.Iterable[str]], str | None]:
        try:
            settings = plan_takeover(self._wanted).next_settings
            check_own_name(settings, self._wanted)
        except RingfenceError as exc:
            why = str(exc)
            return lambda _peer_urls: why
        return shut_out(settings, datetime.datetime.now(datetime.timezone.utc), is_strict=True)

    def way_back(self) -> str | None:
        return f"the way back is '{self._way_back}' on this host" if self._way_back else None


def check_own_name(settings: Deployed, wanted: Wanted) -> None:
    """RefusedError where this member's own certificate has another name by now than those that are listed."""
    path = settings["files"]["peer_cert_file"]
    if not wanted.names:
        return
    try:
        name = read_certificates(read_file(path or "") or b"", path or "")[0].common_name
    except (RingfenceError, IndexError) as exc:
        raise RefusedError(
            f"{wanted.member} is not {wanted.done}: its certificate {path} can't be read: {exc}"
        ) from exc
    if name not in wanted.names:
        raise RefusedError(
            f"{wanted.member} is not {wanted.done}: its certificate {path} has the common name {name}, which the list "
            "would not have: run again"
        )


def take_turn(
    wanted: Wanted, cluster: ClusterUrls, client: Client, wait_seconds: float, timeout_seconds: float
) -> list[Reason]:
    """Restart this member with its new files once it may be; why it was restarted."""
    done = restart_guarded(
        TakenOverUnit(wanted),
        cluster,
        client,
        lambda: list(plan_takeover(wanted).pending),
        wait_seconds=wait_seconds,
        timeout_seconds=timeout_seconds,
    )
    plan = plan_takeover(wanted)
    if plan.pending or plan.paths:
        raise ServiceError(
            f"{wanted.member} was restarted, and its process is not as it should be: {plan.pending}: the way back is "
            f"'{plan.way_back}' on this host",
            member=wanted.member,
        )
    return done


def differences(texts: t.Mapping[str, tuple[str, str]]) -> list[dict[str, str]]:
    """The files before and after, as Ansible shows them."""
    return [
        {"before_header": path, "after_header": path, "before": before, "after": after}
        for path, (before, after) in sorted(texts.items())
    ]


__all__ = (
    "check_own_name",
    "client_files_of",
    "differences",
    "leads_or_refused",
    "own_client",
    "take_turn",
)
