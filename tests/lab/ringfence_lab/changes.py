# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of a running cluster cost those who wrote beside it: measured by scenarios, shown as a table."""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import typing as t

# Where scenarios note what they measure: a line of JSON for each change. Without it they note nothing.
VARIABLE = "RINGFENCE_LAB_CHANGES"

_HEADER = "| change | etcd | writes | lost | longest pause | median | restarts a member | steps |"


class Change(t.NamedTuple):
    """A change, and what a client that wrote all the time has seen of it."""

    operation: str
    etcd: str
    """The version that ran; both where the change was from one to another."""
    acknowledged: int
    """Writes that etcd acknowledged."""
    lost: int
    """Those of them that it has no more."""
    longest_pause_ms: int
    """Between two acknowledged writes."""
    median_pause_ms: int
    restarts: tuple[int, int]
    """Of each member that ran before: the fewest and the most."""
    steps: int
    """What the runs changed: a task that changed a host is one."""


def pauses(times_ms: t.Sequence[int]) -> tuple[int, int]:
    """The longest and the median time between two acknowledged writes; 0 where there are not two."""
    between = [later - earlier for earlier, later in zip(times_ms, times_ms[1:])] or [0]
    return max(between), int(statistics.median(between))


def note(change: Change) -> None:
    """Add it to the file that the environment names, if it does."""
    path = os.environ.get(VARIABLE)
    if path:
        with open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps(change._asdict()) + "\n")


def read(paths: t.Iterable[pathlib.Path]) -> list[Change]:
    """What scenarios noted; a file that is not there has nothing."""
    lines = [line for path in paths if path.exists() for line in path.read_text(encoding="utf-8").splitlines()]
    found = [json.loads(line) for line in lines]
    return [Change(**{**one, "restarts": tuple(one["restarts"])}) for one in found]


def table(changes: t.Sequence[Change]) -> list[str]:
    """The lines of a Markdown table: by change in the order of their first one, then by version.

    Where the same was measured more than once, its worst is told: the most of each number, and the fewest writes.
    """
    operations = list(dict.fromkeys(one.operation for one in changes))
    same: dict[tuple[int, tuple[int, ...]], list[Change]] = {}
    for one in changes:
        same.setdefault((operations.index(one.operation), _numbers(one.etcd)), []).append(one)
    rows = [_line(_worst(same[key])) for key in sorted(same)]
    return [_HEADER, "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |", *rows]


def _numbers(etcd: str) -> tuple[int, ...]:
    return tuple(int(part) for word in etcd.split() for part in word.split(".") if part.isdigit())


def _worst(same: t.Sequence[Change]) -> Change:
    return same[0]._replace(
        acknowledged=min(one.acknowledged for one in same),
        lost=max(one.lost for one in same),
        longest_pause_ms=max(one.longest_pause_ms for one in same),
        median_pause_ms=max(one.median_pause_ms for one in same),
        restarts=(min(one.restarts[0] for one in same), max(one.restarts[1] for one in same)),
        steps=max(one.steps for one in same),
    )


def _line(change: Change) -> str:
    fewest, most = change.restarts
    cells = (
        change.operation,
        change.etcd,
        change.acknowledged,
        change.lost,
        f"{change.longest_pause_ms} ms",
        f"{change.median_pause_ms} ms",
        fewest if fewest == most else f"{fewest} to {most}",
        change.steps,
    )
    return f"| {' | '.join(map(str, cells))} |"
