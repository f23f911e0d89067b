# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is made of: a step, why it is due, what has to be true before it, and what it does to the quorum. Pure.

A step is a few actions in their order. Each action may be done twice, and a run may end between any two of them. Who
asks a member, for a gate or after a step, does it as that one's process was started: at its URL, with its files.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Config, Leaf, quorum_of
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import PreflightFailure
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version

# Kinds of steps.
FORM, START, MEND, MOVE_LEADER, REMOVE, RETIRE = "form", "start", "mend", "move_leader", "remove", "retire"
ISSUE, WIDEN, UPDATE, JOIN, PROMOTE = "issue", "widen", "update", "join", "promote"
REVOKE, DISCONNECT, NARROW, CONFIGURE = "revoke", "disconnect", "narrow", "configure"
UPGRADE, SHORTEN_LOG, AWAIT_VERSION = "upgrade", "shorten_log", "await_version"

# Gates: who has to be well before a step, by health and by links in both directions. OTHERS: all voters but those that
# the step changes.
NOBODY, QUORUM, OTHERS, ALL = "nobody", "quorum", "others", "all"

# What has to be seen after a step.
BACK, HANDSHAKES, LISTED, WRITTEN = "back", "handshakes", "listed", "written"
FOLLOWED, SHORTENED = "followed", "shortened"

# Kinds of actions on a host ...
WRITE_TRUST, WRITE_CRL, WRITE_UNIT, WRITE_LEAF = "write_trust", "write_crl", "write_unit", "write_leaf"
PUT_PROGRAM, RESTART_UNIT, START_UNIT, STOP_UNIT, PUT_ASIDE = (
    "put_program",
    "restart_unit",
    "start_unit",
    "stop_unit",
    "put_data_aside",
)
# ... and by a call to the cluster.
ADD_LEARNER, REMOVE_MEMBER, UPDATE_MEMBER, PROMOTE_LEARNER, TRANSFER, SNAPSHOT = (
    "add_learner",
    "remove_member",
    "update_member",
    "promote_learner",
    "transfer_leadership",
    "snapshot",
)


@dataclass(frozen=True)
class Action:
    """One thing to do. On ``host``, or with the member ``member_id``; what with, by kind.

    ``config``: for ``write_unit`` and ``write_trust``. ``leaf``: for ``write_leaf``, its serial number still empty.
    ``serial_numbers``: for ``write_crl``, all that the file is to have. ``url``: for what changes the member list.
    """

    kind: str
    host: str = ""
    member_id: str = ""
    config: Config | None = None
    leaf: Leaf | None = None
    serial_numbers: frozenset[str] = frozenset()
    url: str = ""
    version: Version | None = None


@dataclass(frozen=True)
class Quorum:
    """What a step does to the quorum: voters before it, how many of them are well, and how many are while it runs."""

    voters: int
    well: int
    well_during: int
    voters_after: int

    @property
    def needed(self) -> int:
        return quorum_of(self.voters)

    @property
    def keeps(self) -> bool:
        """Whether there is a quorum all the time."""
        return self.well_during >= self.needed

    @property
    def text(self) -> str:
        if self.voters_after != self.voters:
            return f"{self.voters} voters become {self.voters_after}, {self.well} are well"
        if self.well_during == self.well:
            return f"all votes stay ({self.well} of {self.voters} well)"
        if self.keeps:
            return f"{self.well_during} of {self.voters} voters stay, {self.needed} are needed"
        return f"writes pause: {self.well_during} of {self.voters} voters stay, {self.needed} are needed"


@dataclass(frozen=True)
class Step:
    """One step of a plan. ``text`` says what is done, ``reason`` why, each in one short line."""

    kind: str
    members: tuple[str, ...]
    text: str
    reason: str
    actions: tuple[Action, ...]
    gate: str
    after: str
    quorum: Quorum

    @property
    def restarts(self) -> tuple[str, ...]:
        """Hosts on which a running member is restarted."""
        return tuple(action.host for action in self.actions if action.kind == RESTART_UNIT)


@dataclass(frozen=True)
class Plan:
    """All steps from a state to the wanted cluster, as far as they can be foreseen.

    ``refusal``: why it does not go on after them; None where nothing is left. ``notes``: what stays as it is until
    somebody says a word, a line each.
    """

    steps: tuple[Step, ...]
    refusal: PreflightFailure | None = None
    notes: tuple[str, ...] = ()


Next = t.Union[Step, PreflightFailure, None]

GATE_TEXTS = {
    NOBODY: "nobody has to be asked",
    QUORUM: "a quorum of healthy voters, before it and after it",
    OTHERS: "all other voters healthy, with links in both directions",
    ALL: "all voters healthy, with links in both directions",
}
AFTER_TEXTS = {
    BACK: "it is healthy, with links in both directions",
    HANDSHAKES: "new handshakes with all others",
    # A call that timed out may have been done.
    LISTED: "the member list of all voters has it",
    WRITTEN: "the files are read back",
    FOLLOWED: "the cluster's version has followed",
    SHORTENED: "its log has no entries of an older minor version any more",
}
