# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of changes: which scenarios measure them with which etcd, and what is told of it."""

from __future__ import annotations

import os
import pathlib
import time
import typing as t

from ringfence_lab import changes, etcd, image, kills
from ringfence_lab.changes import Change

from runner.verdicts import StepFailed

FOLDER = "tests/lab/scenarios"
# The first etcd that takes a list of allowed names, without which no name changes and no member is added.
_FIRST_WITH_A_LIST = (3, 5, 15)
DEFAULT = next(version.number for version in etcd.VERSIONS if version.release == image.DEFAULT_RELEASE)
"""The etcd of the hosts where none is asked for."""
KILLED_WITH = (DEFAULT, "3.7.3")
"""With which each operation is killed at each boundary: the default one, and the latest."""
UPGRADED_TO = ("3.5.35", "3.6.16")
"""What the default one is upgraded to there."""
PARTS = ("another_domain", "another_ca", "another_port", "another_address")
"""What of the scenario ``transition`` is measured with another etcd on a day: each makes a cluster of its own."""
FOR_SHAPES = (DEFAULT, "3.6.16", "3.7.3")
"""With which clusters of every deployer's shape are taken over: the default one, and the last of each later line."""


def scenarios(version: str) -> tuple[str, ...]:
    """The files whose writers tell what this etcd makes of a change, by name."""
    if not _takes_a_list(version):
        return ("core",)
    # Those bring their own etcd, or are about what is the same with all.
    more = ("restart", "program") if version == DEFAULT else ()
    return ("core", "members", "transition", "client_transition", "adopt", *more)


def turn(seconds: int) -> str:
    """The etcd that has its turn at this time, beside the default one: another one each day."""
    versions = _in_turn()
    return versions[seconds // 86400 % len(versions)]


def part_in_turn(seconds: int) -> str:
    """The change that is measured with that etcd: another one when each etcd has had its turn."""
    return PARTS[seconds // 86400 // len(_in_turn()) % len(PARTS)]


def _in_turn() -> list[str]:
    return [version for version in etcd.known_versions() if _takes_a_list(version) and version != DEFAULT]


def _takes_a_list(version: str) -> bool:
    return tuple(int(part) for part in version.split(".")) >= _FIRST_WITH_A_LIST


def file_of(logs: pathlib.Path, slug: str) -> pathlib.Path:
    """Where the scenarios of a lab note what they measure."""
    return logs / f"changes-{slug}.jsonl"


def kills_of(logs: pathlib.Path, slug: str) -> pathlib.Path:
    """Where the scenarios of a lab note how operations ended whose runs were killed."""
    return logs / f"kills-{slug}.jsonl"


def kills_told(paths: t.Iterable[pathlib.Path]) -> list[str]:
    """The lines of the table with all kills; StepFailed where an operation did not end well."""
    found = kills.read(paths)
    if not found:
        raise StepFailed("no run was killed")
    bad = [one for one in found if not one.ended_well]
    if bad:
        operation, version, where, _ended_well = bad[0]
        raise StepFailed(f"{operation} with etcd {version}, killed at {dict(where)}: did not end well")
    return kills.table(found)


def told(paths: t.Iterable[pathlib.Path]) -> list[str]:
    """The lines of the table with all that was measured, and how; StepFailed where a write was lost."""
    found = changes.read(paths)
    if not found:
        raise StepFailed("no scenario has measured a change")
    lost = [one for one in found if one.lost]
    if lost:
        raise StepFailed(f"{lost[0].operation} with etcd {lost[0].etcd}: {lost[0].lost} writes lost")
    return [_circumstances(found), "", *changes.table(found)]


def _circumstances(found: t.Sequence[Change]) -> str:
    date, load = time.strftime("%Y-%m-%d", time.gmtime()), os.getloadavg()[2]
    writes = sum(one.acknowledged for one in found)
    return (
        f"Measured until {date} on {os.cpu_count()} cores, with a load of {load:.0f} in the minutes before: "
        f"{len(found)} changes, {writes} writes."
    )


__all__ = (
    "DEFAULT",
    "FOR_SHAPES",
    "KILLED_WITH",
    "PARTS",
    "UPGRADED_TO",
    "file_of",
    "kills_of",
    "kills_told",
    "part_in_turn",
    "scenarios",
    "told",
    "turn",
)
