# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a part of the bench hands over, and what it needs."""

from __future__ import annotations

import dataclasses
import typing as t

from ringfence_bench.figures import Counts, Run
from ringfence_bench.ground import Ground
from ringfence_bench.report import Table
from ringfence_bench.turns import T, take_turns

ROLE = "ringfence.etcd.site"
PROOF = "ringfence.etcd.verify"
WITHOUT_PROOF = {"etcd_peer_tls_verify": False}


@dataclasses.dataclass
class Setting:
    """How a part is run."""

    ground: Ground
    repetitions: int
    say: t.Callable[[str], None]
    warm_up: bool = True

    def take_turns(self, contestants: t.Mapping[str, t.Callable[[], T]], *, warm_up: bool = True) -> dict[str, list[T]]:
        """As often as is asked for; see turns.py."""
        return take_turns(contestants, self.repetitions, self.say, warm_up=warm_up and self.warm_up)


@dataclasses.dataclass
class Outcome:
    """What a part found."""

    tables: list[Table] = dataclasses.field(default_factory=list)
    found: dict[str, float] = dataclasses.field(default_factory=dict)
    """Figures for the limits, by key."""
    remarks: dict[str, str] = dataclasses.field(default_factory=dict)
    raw: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    def keep(self, name: str, runs: t.Sequence[Run]) -> None:
        """Every single measurement, for the JSON file."""
        self.raw[name] = [dataclasses.asdict(run) for run in runs]

    def keep_counts(self, name: str, counts: Counts) -> None:
        """The same of what was counted."""
        self.raw[f"{name}, counted"] = dataclasses.asdict(counts)
