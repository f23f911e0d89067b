# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What etcd answers at its client URLs: health, status, members, and how ids are written. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import re
import typing as t
from dataclasses import dataclass

# As a member reports it in its status, which needs no quorum.
_ALARM = re.compile(r"memberID:\s*(\d{1,20})\b.{0,40}?alarm:\s*([A-Z]+)")
_ACTIVE_PEER = re.compile(r"^etcd_network_active_peers\{([^}]*)\}\s+([0-9.eE+-]+)\s*$", re.MULTILINE)
_LABEL = re.compile(r'([A-Za-z_]+)="([^"]*)"')


@dataclass(frozen=True)
class Health:
    """The answer of /health. ``problem`` says in one line why it is not healthy."""

    healthy: bool
    problem: str | None = None


@dataclass(frozen=True)
class LiveMember:
    """A member as the cluster itself lists it; one that was added and never started has no name."""

    member_id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    is_learner: bool


@dataclass(frozen=True)
class Alarm:
    """An alarm that is raised for a member: ``NOSPACE`` or ``CORRUPT``."""

    member_id: str
    alarm: str


@dataclass(frozen=True)
class Versions:
    """The version of a member's program, and of the cluster as a whole, as that member knows it; None: not decided."""

    server: str
    cluster: str | None


@dataclass(frozen=True)
class Status:
    """The answer of a member about itself; ids in hex. ``leader`` is None where it knows none."""

    member_id: str
    cluster_id: str
    leader: str | None
    raft_term: int
    raft_index: int
    version: str
    is_learner: bool
    alarms: tuple[Alarm, ...] = ()
    db_size: int = 0
    revision: int = 0


class SnapshotPart(t.NamedTuple):
    """A part of a snapshot, and how many bytes of the database come after it. The last one is its SHA-256."""

    data: bytes
    left: int


def parse_active_peers(text: str) -> dict[str, int]:
    """Member id → active connections from the text of /metrics."""
    found: dict[str, int] = {}
    for labels, value in _ACTIVE_PEER.findall(text):
        remote = dict(_LABEL.findall(labels)).get("Remote")
        if remote:
            # Without a number no connection was seen.
            with contextlib.suppress(ValueError, OverflowError):
                found[remote] = int(float(value))
    return found


def parse_alarms(errors: t.Any) -> tuple[Alarm, ...]:
    """The alarms among the errors of a member's status, in their order, each once."""
    texts = [text for text in errors if isinstance(text, str)] if isinstance(errors, list) else []
    found = [match for text in texts for match in _ALARM.findall(text)]
    return tuple(dict.fromkeys(Alarm(hex_id(number), name) for number, name in found))


def integer(value: t.Any) -> int:
    """A 64-bit number of the gateway's JSON (text, or absent for 0)."""
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def hex_id(value: t.Any) -> str:
    return f"{integer(value):x}"


def decimal_id(member_id: str) -> str:
    """An id in hex as the gateway takes it: 64-bit numbers are decimal texts there."""
    return str(int(member_id, 16))


__all__ = (
    "Alarm",
    "Health",
    "LiveMember",
    "SnapshotPart",
    "Status",
    "Versions",
    "decimal_id",
    "hex_id",
    "integer",
    "parse_active_peers",
    "parse_alarms",
)
