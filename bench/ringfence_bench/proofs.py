# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof with 3, 7 and 50 members in one cluster: every member calls every other, as a member and as strangers.

All members share the machine, and etcd keeps it busy by itself: each member has two streams to every other (4900 for
fifty), and makes a new connection to it every four seconds, so that fifty make 600 TLS handshakes a second for as long
as they run. Two cores have a fifth of their time left then. Where there are so few, fifty are proved once and with one
fork: five at a time take more than is left, etcd's own handshakes end too late and are made anew, and it never ends.
"""

from __future__ import annotations

import os
import typing as t

from ringfence_bench import layout
from ringfence_bench.figures import Counts, Run, cpu, exponent, median, spread, wall
from ringfence_bench.ground import FORKS
from ringfence_bench.part import PROOF, ROLE, WITHOUT_PROOF, Outcome, Setting
from ringfence_bench.report import Table, number

SIZES = (3, 7)
CROWD = 50
CORES_FOR_CROWD = 8
"""From so many on the crowd is measured like the others."""
CROWD_GIB = 19
"""Memory that the crowd takes, with all else that runs."""
_PROVED = {"etcd_peer_tls_hosts": "members", "etcd_peer_tls_verify_strict": True}
"""A proof that leaves anything open is no measurement."""


class _Row(t.NamedTuple):
    size: int
    forks: int
    runs: list[Run]
    counts: Counts | None


def run(setting: Setting) -> Outcome:
    """The small clusters run while each is proved in turn; then there is the crowd as well."""
    ground, outcome = setting.ground, Outcome()
    inventories = {size: _deploy(setting, size, sum(SIZES[:place])) for place, size in enumerate(SIZES)}

    def proof(size: int, forks: int = FORKS) -> t.Callable[[], Run]:
        return lambda: ground.play(PROOF, inventories[size], _PROVED, forks=forks)

    setting.say("the proof, by members")
    found = setting.take_turns({str(size): proof(size) for size in SIZES})
    rows = [_Row(size, FORKS, found[str(size)], ground.count(PROOF, inventories[size], _PROVED)) for size in SIZES]
    notes = []
    free_gib = _available_gib()
    if free_gib < CROWD_GIB:
        notes.append(
            f"{CROWD} members were left out: they take {CROWD_GIB} GiB of memory, and {free_gib:.0f} are free."
        )
    else:
        inventories[CROWD] = _deploy(setting, CROWD, sum(SIZES))
        if not ground.comes_to_rest():
            notes.append(f"{CROWD} members were left out: etcd alone keeps all of this machine's processors busy.")
        elif (os.cpu_count() or 1) >= CORES_FOR_CROWD:
            setting.say(f"the proof of {CROWD} members")
            runs = setting.take_turns({"": proof(CROWD)})[""]
            rows.append(_Row(CROWD, FORKS, runs, ground.count(PROOF, inventories[CROWD], _PROVED)))
        else:
            setting.say(f"the proof of {CROWD} members, once and with one fork")
            rows.append(_Row(CROWD, 1, [proof(CROWD, forks=1)()], None))
            notes.append(f"{CROWD} members: measured once, and no median, with one fork; see docs/performance.md.")
    power = exponent([row.size for row in rows], [cpu(row.runs) for row in rows])
    notes.append(f"The controller's CPU grows with the power {power:.2f} of the members; the calls themselves with 2.")
    for row in rows:
        outcome.keep(f"proof, {row.size}", row.runs)
        if row.counts is not None:
            outcome.keep_counts(f"proof, {row.size}", row.counts)
    outcome.tables.append(_table(rows, notes))
    ground.bare("etcd*")
    return outcome


def _deploy(setting: Setting, size: int, first_number: int) -> str:
    """One cluster of so many, with ports and addresses that no other has; its inventory."""
    ground = setting.ground
    cluster = layout.crowd(size, ground.machines, first_number)
    seats = [seat for seats in cluster.values() for seat in seats]
    ground.add_addresses(seats)
    inventory = ground.inventory(f"proof-{size}", cluster)
    setting.say(f"deploying one cluster of {size}")
    variables = {"etcd_peer_tls_hosts": "members", **WITHOUT_PROOF, "etcd_peer_tls_manage_service": size < CROWD}
    ground.play(ROLE, inventory, variables, unchanged=False)
    if size >= CROWD:
        # All at once they would keep each other from getting ready.
        setting.say(f"starting {size} members one by one, and waiting until the machine comes to rest")
        ground.start_one_by_one(seats)
    return inventory


def _table(rows: t.Sequence[_Row], notes: list[str]) -> Table:
    heads = ("members", "ordered pairs", "forks", "seconds", "least-most", "CPU s", "ms a pair")
    table = Table("The proof by the number of members", (*heads, "modules a host", "round trips", "kB a host"))
    for row in rows:
        pairs = row.size * (row.size - 1)
        table.rows.append(
            (
                str(row.size),
                str(pairs),
                str(row.forks),
                f"{wall(row.runs):.2f}",
                spread([run.wall_seconds for run in row.runs]) if len(row.runs) > 1 else "-",
                f"{cpu(row.runs):.2f}",
                f"{1000 * wall(row.runs) / pairs:.1f}",
                number(row.counts.modules_a_host) if row.counts else "-",
                number(row.counts.most_round_trips) if row.counts else "-",
                f"{median(run.sent_bytes for run in row.runs) / 1000 / row.size:.1f}",
            )
        )
    table.notes.extend(notes)
    return table


def _available_gib() -> float:
    """Memory that programs can still have (proc(5), ``MemAvailable``, in KiB)."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return kib / 1024 / 1024
