# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of changes: what scenarios note, and what is made of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from ringfence_lab import changes
from ringfence_lab.changes import Change

DOMAIN = Change("another domain", "3.5.16", 420, 0, 310, 180, (2, 2), 14)
CA = Change("another CA", "3.5.16", 200, 1, 905, 179, (1, 2), 9)


@pytest.mark.parametrize(
    ("times", "found"), [([], (0, 0)), ([7], (0, 0)), ([0, 100, 220, 1220, 1330], (1000, 115)), ([0, 90], (90, 90))]
)
def test_a_pause_is_between_two_writes(times: list[int], found: tuple[int, int]) -> None:
    assert changes.pauses(times) == found


def test_what_is_noted_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "changes.jsonl"
    monkeypatch.delenv(changes.VARIABLE, raising=False)
    changes.note(DOMAIN)
    assert changes.read([path]) == []
    monkeypatch.setenv(changes.VARIABLE, str(path))
    changes.note(DOMAIN)
    changes.note(CA)
    assert changes.read([path, tmp_path / "none.jsonl"]) == [DOMAIN, CA]


def test_the_table_is_by_change_then_by_version() -> None:
    later = DOMAIN._replace(etcd="3.5.35 to 3.6.16")
    oldest = DOMAIN._replace(etcd="3.5.9")
    lines = changes.table([later, DOMAIN, CA, oldest])
    assert lines[0].count("|") == lines[1].count("|") == 9
    assert lines[2:] == [
        "| another domain | 3.5.9 | 420 | 0 | 310 ms | 180 ms | 2 | 14 |",
        "| another domain | 3.5.16 | 420 | 0 | 310 ms | 180 ms | 2 | 14 |",
        "| another domain | 3.5.35 to 3.6.16 | 420 | 0 | 310 ms | 180 ms | 2 | 14 |",
        "| another CA | 3.5.16 | 200 | 1 | 905 ms | 179 ms | 1 to 2 | 9 |",
    ]


def test_of_two_measurements_the_worst_is_told() -> None:
    other = Change("another domain", "3.5.16", 300, 2, 250, 200, (1, 2), 15)
    assert changes.table([DOMAIN, other])[2:] == [
        "| another domain | 3.5.16 | 300 | 2 | 310 ms | 200 ms | 1 to 2 | 15 |"
    ]
