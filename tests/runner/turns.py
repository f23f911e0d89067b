# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change has to pass on which day, of all that there is.

All of it takes two hours and a half on two cores. So `make test`, which CI runs for each change, has the unit tests,
all faults, and the scenarios in which a cluster is formed, changed and proved, with what each change costs those who
write; of the rest what has its day. `make test-all` has all.
"""

from __future__ import annotations

import typing as t

# The longest first, in both: what is long has to begin early.
EVERY_DAY = (
    "adopt",
    "members",
    "transition",
    "client_transition",
    "program",
    "restart",
    "deploy",
)
IN_TURN = (
    ("program_refused", "foreign", "node", "secrets"),
    ("restart_stopped", "mishaps", "edits", "interrupted", "containers", "liar"),
    ("variants", "killed", "halfway"),
    ("revocation", "drift", "install", "backup", "lab", "demo"),
    ("client_authority", "takeover", "audit"),
    ("verify", "guards", "authority", "awx", "execution_environment"),
    ("shapes", "proof", "applications", "examples"),
)
"""For each day the files of scenarios, about as long together as those of another day: some twenty minutes."""
DAY_OF = {
    "integration with the newest": 0,
    "units with the oldest": 1,
    "units on nodes' Pythons": 2,
    "integration with the oldest": 3,
    "coverage": 4,
    "pylint": 5,
    "sanity with the oldest": 6,
}
"""What else waits for a day. With the newest ansible-core all scenarios run, and each day one change runs with another;
coverage costs two fifths of what the unit tests take, and pylint more than all other sanity tests together."""


def order(names: t.Iterable[str]) -> list[str]:
    """Files of scenarios in the order in which they begin."""
    known = [*EVERY_DAY, *(name for names_of_day in IN_TURN for name in names_of_day)]
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def has_turn(name: str, seconds: int) -> bool:
    """Whether a file of scenarios is run on the day of this time (seconds of the epoch); a new file is, each day."""
    others = [names for number, names in enumerate(IN_TURN) if number != _day(seconds)]
    return not any(name in names for names in others)


def pair_has_turn(number: int, seconds: int) -> bool:
    """Whether the pair of an etcd and an ansible-core with this number in their list is run on that day."""
    return number % len(IN_TURN) == _day(seconds)


def is_day_of(what: str, seconds: int) -> bool:
    """Whether that, of ``DAY_OF``, is run on that day."""
    return _day(seconds) == DAY_OF[what]


def number_of_turn(seconds: int) -> int:
    """How often a file of scenarios has had its turn up to this time: by it one of its parts is chosen."""
    return seconds // 86400 // len(IN_TURN)


def _day(seconds: int) -> int:
    return seconds // 86400 % len(IN_TURN)


__all__ = (
    "DAY_OF",
    "EVERY_DAY",
    "IN_TURN",
    "has_turn",
    "is_day_of",
    "number_of_turn",
    "order",
    "pair_has_turn",
)
