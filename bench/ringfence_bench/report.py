# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the bench ends with: tables as text, and everything as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import typing as t

from ringfence_bench.limits import Verdict


@dataclasses.dataclass
class Table:
    """A title, a heading, rows, and notes below them."""

    title: str
    heading: t.Sequence[str]
    rows: list[t.Sequence[str]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def lines(self) -> list[str]:
        """As text: the first column to the left, the others to the right."""
        return [self.title, *(f"  {line}" for line in aligned([self.heading, *self.rows])), *self.notes]


def aligned(rows: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Cells in columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]


def number(value: float) -> str:
    """A figure with as many digits as are worth reading."""
    if math.isinf(value):
        return "-"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e9 else f"{value:.3g}"


def bounds(verdict: Verdict) -> str:
    """A limit's bounds in words."""
    limit = verdict.limit
    if math.isinf(limit.least):
        return f"<= {number(limit.most)}"
    return f"{number(limit.least)} to {number(limit.most)}"


def verdict_table(verdicts: t.Sequence[Verdict]) -> Table:
    """Each limit, what was found, and whether it is reached."""
    table = Table("Limits", ("figure", "found", "limit", "verdict"))
    for verdict in verdicts:
        word = "passed" if verdict.passed else "FAILED"
        table.rows.append((verdict.limit.text, number(verdict.found), bounds(verdict), word))
        if verdict.remark:
            table.notes.append(f"{verdict.limit.text}: {verdict.remark}")
    return table


def counts(verdicts: t.Sequence[Verdict]) -> str:
    """The closing line, in the words of the runner's."""
    passed = sum(verdict.passed for verdict in verdicts)
    return f"{passed} passed, {len(verdicts) - passed} failed"


def as_text(facts: t.Sequence[str], tables: t.Sequence[Table], verdicts: t.Sequence[Verdict]) -> str:
    """The whole report."""
    lines = list(facts)
    for table in [*tables, verdict_table(verdicts)] if verdicts else tables:
        lines += ["", *table.lines()]
    return "\n".join([*lines, "", counts(verdicts)]) + "\n"


def as_json(facts: t.Sequence[str], raw: t.Mapping[str, t.Any], verdicts: t.Sequence[Verdict]) -> str:
    """Every single measurement, for whoever wants to reckon anew."""
    evaluated = [
        {
            "key": verdict.limit.key,
            "text": verdict.limit.text,
            "found": verdict.found,
            "least": None if math.isinf(verdict.limit.least) else verdict.limit.least,
            "most": verdict.limit.most,
            "passed": verdict.passed,
            "remark": verdict.remark,
        }
        for verdict in verdicts
    ]
    return json.dumps({"facts": list(facts), "limits": evaluated, "runs": raw}, indent=1, sort_keys=True) + "\n"
