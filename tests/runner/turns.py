# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which scenarios of the lab a change has to pass on which day, and what else waits for a day.

All of them take two hours and a half on two cores. So `make test`, which CI runs for each change, has those in which a
cluster is formed, changed and proved, with what each change costs those who write, and of the others those whose day it
is. `make test-all` has all.
"""

from __future__ import annotations

import typing as t

# The longest first, in both: what is long has to begin early.
EVERY_DAY = (
    "transition",
    "members",
    "adopt",
    "client_transition",
    "program",
    "verify",
    "restart",
    "deploy",
    "secrets",
    "examples",
)
IN_TURN = (
    ("program_refused", "foreign", "node"),
    ("restart_stopped", "mishaps", "edits", "interrupted", "containers", "liar"),
    ("variants", "killed", "halfway"),
    ("revocation", "drift", "install", "backup", "lab", "demo"),
    ("client_authority", "takeover", "audit"),
    ("guards", "authority", "awx", "execution_environment"),
    ("shapes", "proof", "applications"),
)
"""For each day the files of scenarios, about as long together as those of another day: some twenty minutes."""
DAY_OF = {"coverage": 4, "integration with the newest": 0, "sanity with the oldest": 6}
"""What else waits for a day. Coverage costs two fifths of what the unit tests take. With the newest ansible-core all
scenarios run, and with the oldest the integration tests each day; what sanity tests say differs little between them."""


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
