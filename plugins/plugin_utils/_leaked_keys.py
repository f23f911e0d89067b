# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Members whose keys are known to others: new keys first, then what they were given before is revoked.

Pure. A run judges twice: before it issues anything, and when every member has its new certificate. What was given
before is all that the CA's index has of them, so that a run that was killed in between is finished by the next one.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.parts import CHANGES
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import CERTIFICATE, PendingChange
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Cluster, PreflightFailure
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.revocation import Meant, Presented

# What a user says for every member.
EVERYBODY = "all"
_VARIABLE = "etcd_peer_tls_keys_leaked"
_MOST_TOLD = 3


@dataclass(frozen=True)
class LeakedKeys:
    """``names``: the members. ``replaced``: what they presented before this run, when it has given them new keys; None
    while it has not.
    """

    names: t.Collection[str] = ()
    replaced: t.Collection[str] | None = None

    @property
    def is_first_look(self) -> bool:
        return bool(self.names) and self.replaced is None

    def numbers_to_revoke(self, meant: t.Iterable[Meant], presented: t.Sequence[Presented]) -> list[str]:
        """What goes onto the list now: all that they were given, but for what anybody presents."""
        if self.replaced is None:
            return []
        kept = {one.serial_number for one in presented}
        known = [one for one in meant if one["removed"] and one["word"] in self.names]
        done = {one["serial_number"] for one in known if one["revoked"]}
        numbers = dict.fromkeys((*(one["serial_number"] for one in known), *self.replaced))
        return [number for number in numbers if number not in kept | done]

    def why_not_replaced(self, presented: t.Sequence[Presented]) -> list[str]:
        """Who did not take its new certificate, a line each: nothing is revoked then."""
        return [
            f"{_VARIABLE}: member {one.member} still presents serial number {one.serial_number}, whose key has leaked: "
            "nothing is revoked yet: see what keeps it from its new certificate, then run the same again"
            for one in dict.fromkeys(presented)
            if one.serial_number in (self.replaced or ())
        ]


def leaked_names(words: t.Sequence[str], names: t.Sequence[str]) -> list[str]:
    """The members that are meant."""
    return list(names) if EVERYBODY in words else [name for name in names if name in words]


def why_not_now(
    cluster: Cluster, leaked: LeakedKeys, is_change_due: bool, parts: t.Collection[str]
) -> list[PreflightFailure]:
    """Why keys are not replaced in this run, before anything is issued."""
    if not leaked.is_first_look:
        return []
    found = []
    seen = {member.name for member, _info in cluster.inspected()}
    unseen = [name for name in leaked.names if name not in seen]
    if unseen:
        found.append(
            f"{_VARIABLE}: {', '.join(unseen)} is not seen in this run, and what it presents is never revoked: run "
            "over all members, or name those that are there"
        )
    if is_change_due:
        found.append(
            f"{_VARIABLE}: the cluster is in the middle of another change, in which members present certificates of "
            f"old and new kinds: finish that by a run without {_VARIABLE} first"
        )
    if not set(CHANGES) <= set(parts):
        found.append(f"{_VARIABLE}: new keys, the list and the restarts belong together: run it without tags")
    return [PreflightFailure("keys_leaked", text) for text in found]


def pending_keys(leaked: LeakedKeys, meant: t.Iterable[Meant], presented: t.Sequence[Presented]) -> list[PendingChange]:
    """What the first look tells: a line for each member, with all that becomes of no use."""
    if not leaked.is_first_look:
        return []
    known = [one for one in meant if one["removed"] and not one["revoked"]]
    found: list[PendingChange] = []
    for name in leaked.names:
        own = [one.serial_number for one in presented if one.member == name]
        # What it presents comes first.
        numbers = list(dict.fromkeys((*own, *(one["serial_number"] for one in known if one["word"] == name))))
        more = f" and {len(numbers) - _MOST_TOLD} more" if len(numbers) > _MOST_TOLD else ""
        text = "its key is known to others: it gets a new one"
        if numbers:
            told = ", ".join(numbers[:_MOST_TOLD]) + more
            text += f", then what it had is revoked (serial number {told}) and its etcd restarted"
        found.append({"member": name, "part": CERTIFICATE, "code": "key_leaked", "text": text})
    return found


def leaked_numbers(leaked: LeakedKeys, presented: t.Iterable[Presented]) -> list[str]:
    """What the members present whose keys have leaked."""
    return sorted({one.serial_number for one in presented if one.member in leaked.names})


__all__ = (
    "EVERYBODY",
    "LeakedKeys",
    "leaked_names",
    "leaked_numbers",
    "pending_keys",
    "why_not_now",
)
