# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a step changes a host: what is written, in which order, and the restart, with all that speaks against it. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    Config,
    Host,
    ListedMember,
    WantedMember,
    same_socket,
    url_host,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Action, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import Matched, View
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure, one_line
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import (
    Version,
    dotted,
    understands_list,
)


def written(view: View, host: Host, config: Config) -> tuple[Action, ...]:
    """What has to be written so that the next start reads ``config``. The unit comes last: its files are there then."""
    disk, actions = host.disk, []
    trust = (config.authorities, config.client_authorities)
    if disk is None or (disk.authorities, disk.client_authorities) != trust:
        actions.append(Action(steps.WRITE_TRUST, host.name, config=config))
    if host.crl is None and config.has_crl:
        actions.append(Action(steps.WRITE_CRL, host.name, serial_numbers=view.revoked()))
    if disk is None or replace(disk, authorities=trust[0], client_authorities=trust[1]) != config:
        actions.append(Action(steps.WRITE_UNIT, host.name, config=config))
    return tuple(actions)


def restart(
    view: View,
    kind: str,
    one: Matched,
    config: Config,
    text: str,
    reason: str,
    before: tuple[Action, ...] = (),
    program: Version | None = None,
) -> Step | PreflightFailure:
    """A guarded restart with ``config``, or why there is none. ``program``: the version that is put in place for it."""
    host = t.cast(Host, one.host)
    refusal = (
        why_not_started(one.label, host, config, program or host.program, host.running if program is None else program)
        or why_not_well(view, apart_from=one)
        or _why_quorum_lost(view, one)
    )
    if refusal is not None:
        return refusal
    actions = (*before, *written(view, host, config), Action(steps.RESTART_UNIT, host.name))
    return Step(kind, (one.label,), text, reason, actions, steps.OTHERS, steps.BACK, view.quorum(without=one))


def why_not_started(
    label: str, host: Host, config: Config, program: Version | None, running: Version | None
) -> PreflightFailure | None:
    """What speaks against a start with ``config``: the certificate, or the program that is there."""
    if host.leaf is None and config.peer_tls:
        # One that runs gets it by any run that changes nothing else: what it gets by this one not all accept yet.
        way = "run again" if host.process is None else "run without the change first, so that it gets the one it had"
        return PreflightFailure(
            "no_certificate", f"member {label}: it has no certificate, and etcd would not start: {way}"
        )
    places = {url_host(url) for url in config.serves}
    lacking = sorted(places - host.addresses) if host.addresses is not None else []
    if lacking:
        return PreflightFailure(
            "address_missing",
            f"member {label}: its host does not have the address {', '.join(lacking)}, and etcd would not start: give "
            "it that one first, or set etcd_peer_tls_listen_address",
        )
    names = config.common_names
    if names is not None and len(names) > 1 and program is not None and not understands_list(program):
        return PreflightFailure(
            "version",
            f"member {label}: etcd {dotted(program)} compares its allowed common name whole, and a list of "
            f"{len(names)} would lock everybody out: upgrade to 3.5.15 or later first (etcd_peer_tls_upgrade), or set "
            "etcd_peer_tls_identity: shared",
        )
    if running is not None and program is not None and running[:2] != program[:2]:
        return PreflightFailure(
            "version_change",
            f"member {label}: it runs as etcd {dotted(running)}, and {dotted(program)} is what its next start would "
            "run: say so with etcd_peer_tls_upgrade, or bring the old program back",
        )
    return None


def why_not_well(view: View, apart_from: Matched | None = None) -> PreflightFailure | None:
    """The voters that have to be brought back before anything else is changed."""
    unwell = [one for one in view.unwell if one is not apart_from]
    if not unwell:
        return None
    told = "; ".join(f"{one.label} {why_unwell(view, one)}" for one in unwell)
    names = ", ".join(f"{one.label}" for one in unwell)
    not_started = [one.listed for one in unwell if not one.listed.started]
    return PreflightFailure(
        "member_unwell",
        f"{told}: nothing is changed while a voter is not well: bring it back first; one that is gone for good leaves "
        f"by the inventory and etcd_peer_tls_removed: [{_by_id(not_started) or names}], one that lost its data comes "
        f"back by etcd_peer_tls_replaced: [{names}]",
    )


def _by_id(members: t.Sequence[ListedMember]) -> str:
    return ", ".join(one.name or one.member_id for one in members)


def why_unwell(view: View, one: Matched) -> str:
    """What is wrong with a member, in a few words."""
    if one.host is None:
        return "is on no host of this run"
    if not one.host.reachable:
        return "is on a host that can't be reached"
    if one.host.process is None:
        return "does not run" if one.listed.started else "was added and has not started yet"
    if one.host.problem:
        return f"is not healthy ({one_line(one.host.problem)})"
    others = [
        other.label
        for other in view.voters
        if other is not one
        and other.host is not None
        and (other.listed.member_id in one.host.links_down or one.listed.member_id in other.host.links_down)
    ]
    return f"lacks links with {', '.join(others)}"


def _why_quorum_lost(view: View, one: Matched) -> PreflightFailure | None:
    """With one or two voters a restart pauses the writes, whoever does it; with more it must not."""
    quorum = view.quorum(without=one)
    if quorum.keeps or quorum.voters < 3:
        return None
    return PreflightFailure(
        "costs_quorum",
        f"member {one.label} can't be restarted: {quorum.well_during} of {quorum.voters} voters would stay, "
        f"{quorum.needed} are needed: bring the others back first",
    )


def fresh(view: View, wanted: WantedMember) -> Config:
    """What a member of a cluster that is formed now starts with."""
    return Config(
        name=wanted.name,
        common_names=frozenset(member.common_name for member in view.desired.members),
        authorities=view.desired.authorities,
        serves=frozenset((wanted.peer_url,)),
        client_authorities=view.desired.clients,
        client_serves=frozenset((wanted.client_url,)),
        client_flags=wanted.client_flags,
        settings=wanted.settings,
    )


def with_listener(config: Config, peer_url: str) -> Config:
    """The same, answering at one more peer URL; one that can't be served beside it goes."""
    kept = {served for served in config.serves if not same_socket(served, peer_url)}
    return replace(config, serves=frozenset((*kept, peer_url)))


__all__ = ("dotted", "fresh", "restart", "why_not_started", "why_not_well", "why_unwell", "with_listener", "written")
