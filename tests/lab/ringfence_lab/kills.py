# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a run is killed, by what it prints; and how its operation ended: noted by scenarios, shown as a table."""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import typing as t
from dataclasses import dataclass, field

# Where scenarios note their kills: a line of JSON for each operation. Without it they note nothing.
VARIABLE = "RINGFENCE_LAB_KILLS"

TOLD, ACTED, AMID = "told", "acted", "amid"
"""A step is told and not begun; a host has done its part of it; some time after a task began that acts."""

_HEADER = "| operation | etcd | kills | a step was told | a host had acted | in the middle | ended well |"


_STEP = re.compile(r"\b\d+ of \d+: (?P<text>.*?): ")
_TASK = re.compile(r"^TASK \[ringfence\.etcd\.\w+ : (?P<name>.*?)\] \*")
_CHANGED = re.compile(r"^changed: \[(?P<host>[^\] ]+)")
# What the tasks are called that change a host, or the CA.
ACTING = (
    "Create or check the CA",
    "Deploy the CA certificate, the certificate and the key",
    "Deploy the revocation list",
    "Deploy the systemd unit, and start what does not run",
    "Deploy the trust bundle of this pass",
    "Issue the certificates",
    "Join as a learner, then vote",
    "Make the new data beside the old",
    "Put the old data aside, and the new in its place",
    "Remove members, the leader after it has handed over",
    "Restart etcd, one member at a time",
    "Restart with its new etcd",
    "Stop and disable all members",
    "Stop and disable what was removed, and put its data aside",
    "Take a snapshot of the cluster",
    "Tell the cluster where the member is",
    "Try the archive's etcd beside the one that is in place",
)


@dataclass
class Boundaries:
    """Those of one operation at which a run was killed so far; finds the next one in what a run prints.

    ``most``: how many kills there are to be, at boundaries that chance chooses; None: at each of those between two
    steps, and in the middle of some tasks.
    """

    chance: random.Random
    most: int | None = None
    kills: dict[str, int] = field(default_factory=dict)
    """How many so far, by kind."""
    last: str = ""
    """At which one the last run was killed."""
    delay_seconds: float = 0.0
    """How long after the line that was seen last it is to be killed."""
    _seen: set[tuple[str, ...]] = field(default_factory=set)
    _step: str = ""
    _task: str = ""
    _tells: bool = False

    def begin(self) -> None:
        """A run begins."""
        self._step = self._task = ""
        self._tells = False

    def is_next(self, line: str) -> bool:
        """Whether the run that printed this line is to be killed now."""
        boundary = self._boundary(line)
        if boundary is None or boundary in self._seen or self.count == self.most:
            return False
        self._seen.add(boundary)
        if self.chance.random() < self._left_out(boundary[0]):
            return False
        self.kills[boundary[0]] = self.kills.get(boundary[0], 0) + 1
        self.last = ", ".join(part for part in boundary if part)
        self.delay_seconds = self.chance.uniform(0.1, 1.5) if boundary[0] == AMID else 0.0
        return True

    def _left_out(self, kind: str) -> float:
        """How many of these boundaries nobody is killed at."""
        # Hosts go on without their controller: what is killed in the middle of a task often ends it, and the boundary
        # after it is met no more.
        return 0.6 if self.most is not None else 0.75 if kind == AMID else 0.0

    @property
    def count(self) -> int:
        return sum(self.kills.values())

    def _boundary(self, line: str) -> tuple[str, ...] | None:
        if task := _TASK.match(line):
            self._task = task["name"]
            # The plan tells steps, too, and none of them is about to be done.
            self._tells = self._task.startswith("Tell the ") and self._task != "Tell the plan"
            return (AMID, self._task) if self._task.startswith(ACTING) else None
        if (step := _STEP.search(line)) and self._tells:
            # Of several that are told at once the first one is next.
            self._step, self._tells = step["text"], False
            return (TOLD, self._step)
        if (changed := _CHANGED.match(line)) and not self._task.startswith("Tell the "):
            # Where steps are told, each has one host that acts; else each host's part is a step.
            return (ACTED, self._step, self._task, "" if self._step else changed["host"])
        return None


class Killed(t.NamedTuple):
    """An operation of which each run was killed at the first place that is new, until one went through."""

    operation: str
    etcd: str
    """The version that ran; both where the operation was from one to another."""
    where: t.Mapping[str, int]
    """How many kills at each kind of place."""
    ended_well: bool
    """As if nothing had been: asked for again, it is done, proved, and nothing is lost or left."""


def note(killed: Killed) -> None:
    """Add it to the file that the environment names, if it does."""
    path = os.environ.get(VARIABLE)
    if path:
        with open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps(killed._asdict()) + "\n")


def read(paths: t.Iterable[pathlib.Path]) -> list[Killed]:
    """What scenarios noted; a file that is not there has nothing."""
    lines = [line for path in paths if path.exists() for line in path.read_text(encoding="utf-8").splitlines()]
    return [Killed(**json.loads(line)) for line in lines]


def table(killed: t.Sequence[Killed]) -> list[str]:
    """The lines of a Markdown table: by operation in the order of their first one, then by version; the same added."""
    same: dict[tuple[str, str], list[Killed]] = {}
    for one in killed:
        same.setdefault((one.operation, one.etcd), []).append(one)
    order = list(dict.fromkeys(one.operation for one in killed))
    keys = sorted(same, key=lambda key: (order.index(key[0]), [int(part) for part in key[1].split()[0].split(".")]))
    return [_HEADER, "| --- | --- | ---: | ---: | ---: | ---: | ---: |", *(_line(same[key]) for key in keys)]


def _line(same: t.Sequence[Killed]) -> str:
    counts = [sum(one.where.get(place, 0) for one in same) for place in (TOLD, ACTED, AMID)]
    well = sum(one.ended_well for one in same)
    ended = f"{well} of {len(same)}"
    return f"| {same[0].operation} | {same[0].etcd} | {sum(counts)} | {' | '.join(map(str, counts))} | {ended} |"
