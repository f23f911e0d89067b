# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run ends with: the steps, and the tables of versions and scenarios, as text."""

from __future__ import annotations

import pathlib
import re
import typing as t
import xml.etree.ElementTree

from runner.schedule import Step


class Case(t.NamedTuple):
    """One test of a pytest run."""

    name: str
    verdict: str
    """passed, failed or skipped."""
    seconds: float


def read_cases(path: pathlib.Path) -> list[Case]:
    """The tests of a JUnit file, in their order; none where the run did not get so far."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return []
    cases = []
    for case in root.iter("testcase"):
        kinds = {child.tag for child in case}
        verdict = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        cases.append(Case(case.get("name", "?"), verdict, float(case.get("time", 0.0))))
    return cases


def steps_table(steps: t.Sequence[Step], seconds: float) -> list[str]:
    """One line a step, and the closing line with the counts."""
    width = max(len(step.name) for step in steps)
    lines = [f"{'step':<{width}}  result   seconds"]
    for step in steps:
        remark = step.note if step.result != "passed" or step.note.startswith("kept") else ""
        lines.append(f"{step.name:<{width}}  {step.result:<7}  {step.seconds:>7.1f}  {remark}".rstrip())
    lines.append(f"{'all':<{width}}  {'':<7}  {seconds:>7.1f}")
    return lines


def counts(steps: t.Sequence[Step]) -> str:
    """The runner's own summary line."""
    found = {result: sum(step.result == result for step in steps) for result in ("passed", "failed", "skipped")}
    skipped = f", {found['skipped']} skipped" if found["skipped"] else ""
    return f"{found['passed']} passed, {found['failed']} failed{skipped}"


def version_tables(steps: t.Sequence[Step], logs: pathlib.Path) -> list[str]:
    """Version × scenario, in seconds; FAILED where a scenario failed, a dash where it is none of that version's."""
    lines: list[str] = []
    for title in dict.fromkeys(title for step in steps for title, _row in step.rows):
        rows: dict[str, dict[str, str]] = {}
        for step in steps:
            for own_title, row in step.rows:
                if own_title == title:
                    rows[row] = _cells(step, logs)
        columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
        table = [[title, *columns]]
        table += [[row, *(rows[row].get(name, "") for name in columns)] for row in sorted(rows, key=_by_number)]
        lines += ["", *_aligned(table)]
    return lines


def scenarios_table(steps: t.Sequence[Step], logs: pathlib.Path) -> list[str]:
    """The whole suite on the default versions: a line for each file of scenarios."""
    table = [["scenarios, default versions", "tests", "failed", "seconds"]]
    for step in steps:
        if step.report and not step.rows and step.result in ("passed", "failed"):
            cases = [case for case in read_cases(logs / step.report) if case.verdict != "skipped"]
            failed = sum(case.verdict == "failed" for case in cases)
            table.append([step.name, str(len(cases)), str(failed), f"{step.seconds:.1f}"])
    return ["", *_aligned(table)] if len(table) > 1 else []


def _cells(step: Step, logs: pathlib.Path) -> dict[str, str]:
    if not step.report or step.result not in ("passed", "failed"):
        return {"": step.result}
    words = {"passed": "{:.1f}", "failed": "FAILED", "skipped": "-"}
    cells = {
        case.name.removeprefix("test_"): words[case.verdict].format(case.seconds)
        for case in read_cases(logs / step.report)
    }
    return cells or {"": step.result}


def _by_number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _aligned(table: t.Sequence[t.Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in table]
