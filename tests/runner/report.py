# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run ends with: a line for each step, and the count."""

from __future__ import annotations

import json
import pathlib
import typing as t

_WORDS = {"success": "passed", "skipped": "skipped"}


class Row(t.NamedTuple):
    """What came of a step."""

    step: str
    result: str
    """passed, failed or skipped."""
    seconds: float
    remark: str


def read_report(path: pathlib.Path) -> list[Row]:
    """The steps that nox tells of, in their order; none where it did not come to its end."""
    try:
        sessions = json.loads(path.read_text(encoding="utf-8"))["sessions"]
    except (OSError, ValueError, KeyError):
        return []
    return [
        Row(
            (one["signatures"] or [one["name"]])[0],
            _WORDS.get(one["result"], "failed"),
            one.get("duration") or 0.0,
            (one.get("reason") or "") if one["result"] != "success" else "",
        )
        for one in sessions
    ]


def table(rows: t.Sequence[Row], seconds: float) -> list[str]:
    """One line a step, and one for all."""
    width = max(len(row.step) for row in rows)
    lines = [f"{'step':<{width}}  result   seconds"]
    lines += [f"{row.step:<{width}}  {row.result:<7}  {row.seconds:>7.1f}  {row.remark}".rstrip() for row in rows]
    return [*lines, f"{'all':<{width}}  {'':<7}  {seconds:>7.1f}"]


def counts(rows: t.Sequence[Row]) -> str:
    """The summary line."""
    found = {result: sum(row.result == result for row in rows) for result in ("passed", "failed", "skipped")}
    skipped = f", {found['skipped']} skipped" if found["skipped"] else ""
    return f"{found['passed']} passed, {found['failed']} failed{skipped}"
