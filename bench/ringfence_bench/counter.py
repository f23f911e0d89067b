# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does the counter count? Tasks whose modules and round trips are known from Ansible's source."""

from __future__ import annotations

import typing as t

from ringfence_bench.figures import Counts
from ringfence_bench.part import Outcome, Setting
from ringfence_bench.report import Table

COPIED = "/tmp/bench-counted"


class Known(t.NamedTuple):
    """What one host has to show."""

    title: str
    case: str
    modules: int
    local_modules: int
    round_trips: int


# With pipelining a module is one command, with nothing before or after it. A copy is two modules: stat, then file
# where the content is there already, else copy. Since it may have to transfer a file it also asks for the home folder,
# makes a temporary folder and removes it; where it does transfer, it puts the file and sets that file's mode.
KNOWN = (
    # The order matters: the first one writes the file that the next one finds.
    Known("copy, changed", "copy", 2, 0, 7),
    Known("copy, unchanged", "copy", 2, 0, 5),
    Known("ping", "ping", 1, 0, 1),
    Known("loop of three pings", "loop", 3, 0, 3),
    Known("ping on the controller", "local", 0, 1, 0),
)


def miscounts(known: Known, counts: Counts, hosts: int) -> int:
    """How many of the three figures are not what they have to be, over all hosts."""
    return sum(
        (
            sum(counts.modules.values()) != hosts * known.modules,
            counts.local_modules != hosts * known.local_modules,
            sum(counts.round_trips.values()) != hosts * known.round_trips,
        )
    )


def run(setting: Setting) -> Outcome:
    """Count them all."""
    ground, outcome = setting.ground, Outcome()
    inventory = ground.write("counted.yml", ground.lab.inventory({"etcd": [host.name for host in ground.lab.hosts]}))
    hosts = len(ground.lab.hosts)
    table = Table("The counter, on tasks that are known: a host's", ("task", "modules", "on controller", "round trips"))
    ground.on_each(f"rm -f {COPIED}")
    wrong = 0
    for known in KNOWN:
        counts = ground.count("counted.yml", inventory, {"bench_case": known.case})
        wrong += miscounts(known, counts, hosts)
        cells = (sum(counts.modules.values()), counts.local_modules, sum(counts.round_trips.values()))
        table.rows.append((known.title, *(f"{cell / hosts:g}" for cell in cells)))
        outcome.keep_counts(known.title, counts)
    ground.on_each(f"rm -f {COPIED}")
    outcome.tables.append(table)
    outcome.found["counter"] = wrong
    return outcome
