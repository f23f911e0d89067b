# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Contestants take turns, so that whatever the machine does meanwhile meets them all."""

from __future__ import annotations

import typing as t

T = t.TypeVar("T")


def take_turns(
    contestants: t.Mapping[str, t.Callable[[], T]],
    repetitions: int,
    say: t.Callable[[str], None],
    *,
    warm_up: bool = True,
) -> dict[str, list[T]]:
    """Each contestant's results. A first round warms up (connections, caches, bytecode) and is not kept."""
    found: dict[str, list[T]] = {name: [] for name in contestants}
    for turn in range(0 if warm_up else 1, repetitions + 1):
        say(f"  round {turn} of {repetitions}" if turn else "  warming up")
        for name, contestant in contestants.items():
            result = contestant()
            if turn:
                found[name].append(result)
    return found
