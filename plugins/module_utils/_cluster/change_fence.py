# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of the plan about who lets whom in: every process accepts old and new, then new certificates are presented,
then the old is dropped. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import change_steps as steps
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_restart import (
    restart,
    why_not_well,
    written,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import (
    AFTER_WIDEN,
    Config,
    Host,
    Leaf,
    WantedMember,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_steps import Action, Next, Step
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_view import (
    Matched,
    View,
    clashing_clients,
    lacks,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure


class _Deployed(t.NamedTuple):
    """A member that is wanted and listed, and whose host was seen with a process."""

    one: Matched
    wanted: WantedMember
    host: Host
    process: Config


def _deployed(view: View, members: t.Iterable[Matched] | None = None) -> t.Iterator[_Deployed]:
    """Those that run, the leader last."""
    for one in view.leader_last(view.matched if members is None else members):
        if one.wanted is not None and one.host is not None and one.process is not None:
            yield _Deployed(one, one.wanted, one.host, one.process)


# What is refused before anything --------------------------------------------------------------------------------------


def refuse_contradiction(view: View) -> Next:
    """Words that take back what the inventory says, or that would take away what is in use."""
    desired, words = view.desired, view.words
    both = sorted({name for member in desired.members for name in (member.name, member.common_name)} & words.removed)
    if both:
        return PreflightFailure(
            "removed_is_wanted",
            f"{', '.join(both)}: named in etcd_peer_tls_removed, and in the inventory: take it out of one of them; a "
            "member that lost its data and comes back under its name is named in etcd_peer_tls_replaced",
        )
    if desired.issuer not in desired.authorities:
        return PreflightFailure(
            "issuer_not_trusted", "the CA that issues is not in the trust bundle that is wanted: add it"
        )
    kept = sorted(words.retire_ca & (desired.authorities | desired.clients))
    if kept:
        return PreflightFailure(
            "retired_is_wanted",
            f"the CA {kept[0]} is named in etcd_peer_tls_retire_ca, and is one that this run trusts or issues with: "
            "name the old one, by its fingerprint",
        )
    configs = [config for one in view.matched for config in one.configs if config.peer_tls]
    if configs and not words.new_ca and not any(desired.issuer in config.authorities for config in configs):
        return PreflightFailure(
            "new_ca_not_said",
            f"the CA at hand ({desired.issuer}) is not the one that the members trust: bring the old one back, or "
            "change to this one with etcd_peer_tls_new_ca: true",
        )
    return None


def refuse_unwell(view: View) -> Next:
    """Row 0: a voter that no row before this one mends is brought back by people."""
    return why_not_well(view)


# What is broken and heals without costing anybody anything ------------------------------------------------------------


def mend_crl(view: View) -> Next:
    """Without a CRL that it can read, a process with the flag refuses everybody."""
    for one in view.matched:
        host = one.host
        if host is not None and host.reachable and host.crl is None and any(config.has_crl for config in one.configs):
            action = Action(steps.WRITE_CRL, host.name, serial_numbers=view.revoked())
            text, reason = f"write the CRL of {one.label}", "etcd refuses everybody without a CRL that it can read"
            return _on_files(view, steps.MEND, one.label, text, reason, (action,), steps.NOBODY)
    return None


def mend_leaf(view: View) -> Next:
    """A certificate that somebody refuses, or nobody has met yet, is replaced as soon as all take the wanted one."""
    for one in view.matched:
        wanted, host = one.wanted, one.host
        if wanted is None or host is None or not host.reachable or host.leaf is None:
            continue
        leaf = view.wanted_leaf(wanted, one)
        reason = view.leaf_due(host.leaf, leaf)
        is_broken = bool(view.refusers(host.leaf, None)) or view.is_revoked(host.leaf)
        is_free = host.process is None and not _waits(view, host.leaf, leaf)
        if reason is not None and (is_broken or is_free) and not view.refusers(leaf, host.leaf):
            return _issue(view, one, host, leaf, reason, steps.NOBODY)
    return None


def mend_process(view: View) -> Next:
    """One that shut others out by what it was started with is restarted, where all the others are well without it."""
    for one, wanted, host, process in _deployed(view, view.unwell):
        wide = view.wide(wanted, host, one)
        found = lacks(process, wide)
        if found and not host.problem and len(view.unwell) == 1:
            return _restart_wide(view, one, wide, found)
    return None


# Widen, present, narrow -----------------------------------------------------------------------------------------------


def widen(view: View) -> Next:
    """Row 2: every process, and every next start, accepts all that is and all that will be."""
    for one, wanted, host, process in _deployed(view):
        wide = view.wide(wanted, host, one)
        found = lacks(process, wide)
        if found:
            # A name that nobody presents goes with the same restart.
            return _restart_wide(view, one, view.wide_without_names_of_nobody(wanted, host, one), found)
        if host.disk is None or lacks(host.disk, wide):
            reason = "its next start would accept less than it has to"
            text = f"write what {one.label} has to accept"
            return _on_files(view, steps.WIDEN, one.label, text, reason, written(view, host, wide), steps.NOBODY)
    return None


def _restart_wide(view: View, one: Matched, wide: Config, found: t.Sequence[str]) -> Next:
    text = f"restart {one.label} to accept more"
    return restart(view, steps.WIDEN, one, wide, text, f"it does not know {', '.join(found)} yet")


def present(view: View) -> Next:
    """Row 4: a new certificate where all accept it, one member after the other."""
    for one, wanted, host, _process in _deployed(view):
        leaf = view.wanted_leaf(wanted, one)
        reason = view.leaf_due(host.leaf, leaf)
        if reason is None or view.refusers(leaf, host.leaf):
            continue
        if _waits(view, host.leaf, leaf):
            continue
        return _issue(view, one, host, leaf, reason, steps.ALL)
    return None


def _waits(view: View, leaf: Leaf | None, wanted: Leaf) -> bool:
    """Whether another name or CA is not to be presented yet, because this run was told to stop before."""
    is_other = leaf is not None and (leaf.common_name, leaf.issuer) != (wanted.common_name, wanted.issuer)
    return is_other and view.words.stop_after == AFTER_WIDEN


def _issue(view: View, one: Matched, host: Host, leaf: Leaf, reason: str, gate: str) -> Step:
    text = f"issue a certificate to {one.label}, without a restart"
    action = Action(steps.WRITE_LEAF, host.name, leaf=leaf)
    return Step(steps.ISSUE, (one.label,), text, reason, (action,), gate, steps.HANDSHAKES, view.quorum())


def revoke(view: View) -> Next:
    """Row 7: every CRL has all the serial numbers; none is ever taken out, and none is in that a member presents."""
    actions, names = [], []
    for one in view.matched:
        host = one.host
        if host is not None and host.reachable and host.crl is not None and view.revoked() - host.crl:
            actions.append(Action(steps.WRITE_CRL, host.name, serial_numbers=host.crl | view.revoked()))
            names.append(one.label)
    if not actions:
        return None
    numbers = ", ".join(sorted(view.revoked()))
    text = f"write the CRL of {', '.join(names)}"
    reason = f"it has to have {numbers if len(numbers) < 80 else f'{len(view.revoked())} serial numbers'}"
    return Step(steps.REVOKE, tuple(names), text, reason, tuple(actions), steps.NOBODY, steps.HANDSHAKES, view.quorum())


def disconnect(view: View) -> Next:
    """Who is connected with a revoked certificate stays so until the process that it is connected to ends."""
    cut = view.words.leaked | (view.desired.revoked if view.words.disconnect else frozenset())
    for one, wanted, host, process in _deployed(view):
        late = (cut & (host.crl or frozenset())) - host.crl_at_start
        if late and process.has_crl:
            wide = view.wide(wanted, host, one)
            text = f"restart {one.label} to end what is connected"
            return restart(view, steps.DISCONNECT, one, wide, text, "it was started before these were revoked")
    return None


def narrow(view: View) -> Next:
    """Row 8, and all that is left to write: what was said, or harms nobody, is dropped; the rest follows."""
    for one, wanted, host, process in _deployed(view):
        config = view.narrow(wanted, host, one)
        if view.words.stop_after is not None:
            config = view.wide(wanted, host, one)
        drops = lacks(config, process)
        kind, text = (steps.NARROW, "to accept less") if drops else (steps.CONFIGURE, "with its new settings")
        if process != config:
            reason = f"nobody needs {', '.join(drops)} any more" if drops else "its unit says something else"
            return restart(view, kind, one, config, f"restart {one.label} {text}", reason)
        if host.disk != config:
            reason = "its next start would get something else"
            return _on_files(
                view,
                kind,
                one.label,
                f"write the unit of {one.label}",
                reason,
                written(view, host, config),
                steps.NOBODY,
            )
    return None


def _on_files(
    view: View, kind: str, label: str, text: str, reason: str, actions: tuple[Action, ...], gate: str
) -> Step:
    return Step(kind, (label,), text, reason, actions, gate, steps.WRITTEN, view.quorum())


# What is left ---------------------------------------------------------------------------------------------------------


def refuse_left(view: View) -> Next:
    """Nothing may be left undone in silence: what no row could do is told, with who stands in its way."""
    if view.words.stop_after is not None:
        return None
    for one in view.matched:
        if one.wanted is None or one.host is None:
            return PreflightFailure(
                "member_unseen", f"member {one.label}: its host is not part of this run: run over all members"
            )
        leaf = view.wanted_leaf(one.wanted, one)
        reason = view.leaf_due(one.host.leaf, leaf)
        if reason is not None:
            who = ", ".join(view.refusers(leaf, one.host.leaf)) or "nobody"
            return PreflightFailure(
                "certificate_left",
                f"member {one.label} keeps its certificate, though {reason}: {who} would refuse the new one: bring its "
                "host back, then run again",
            )
        clashing = clashing_clients(one.wanted, one.host)
        if clashing:
            return PreflightFailure(
                "clients_not_asked",
                f"member {one.label}: {one.wanted.client_url} takes the place of {', '.join(sorted(clashing))}, and "
                "its clients would lose it at once: run without etcd_peer_tls_stop_after when they are ready for that",
            )
    in_use = {one.label for one in view.matched for config in one.configs if config.authorities & view.words.retire_ca}
    if in_use:
        return PreflightFailure(
            "ca_in_use",
            f"the CA in etcd_peer_tls_retire_ca stays on {', '.join(sorted(in_use))}: a member still presents a "
            "certificate of it",
        )
    return None


def notes(view: View) -> tuple[str, ...]:
    """What stays until somebody says a word."""
    found = []
    processes = [(one, config) for one in view.matched for config in one.configs]
    more = {authority for _one, config in processes for authority in config.authorities} - view.needed_authorities()
    more |= {authority for _one, config in processes for authority in config.client_authorities} - view.desired.clients
    for authority in sorted(more):
        found.append(
            f"the CA {authority} is still trusted: when no client needs it any more, drop it with "
            f"etcd_peer_tls_retire_ca: [{authority}]"
        )
    for one, wanted, host, process in _deployed(view):
        old = process.client_serves - {wanted.client_url} - clashing_clients(wanted, host)
        if old:
            found.append(
                f"{one.label} still answers clients at {', '.join(sorted(old))}: when they ask elsewhere, run without "
                "etcd_peer_tls_stop_after"
            )
    if view.words.stop_after is not None:
        found.append(f"stopped after the phase {view.words.stop_after}, as etcd_peer_tls_stop_after says")
    return tuple(found)


__all__ = (
    "disconnect",
    "mend_crl",
    "mend_leaf",
    "mend_process",
    "narrow",
    "notes",
    "present",
    "refuse_contradiction",
    "refuse_left",
    "refuse_unwell",
    "revoke",
    "widen",
)
