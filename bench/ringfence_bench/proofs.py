# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proof with 3, 7 and 50 members in one cluster: every member calls every other, as a member and as strangers.

On a machine with few cores it is 25 in place of 50. All members share the machine, and each makes a new connection to
every other every four seconds, with a TLS handshake: 600 a second for fifty, 150 for 25. Two cores can just bear fifty,
and not always the proof beside them: it ended in four minutes at one time, and not in fourteen at another.
"""

from __future__ import annotations

import os
import typing as t

from ringfence_bench import layout
from ringfence_bench.figures import Run, cpu, exponent, kb_a_host, spread, wall
from ringfence_bench.part import PROOF, ROLE, WITHOUT_PROOF, Outcome, Setting
from ringfence_bench.report import Table, number

CORES_FOR_FIFTY = 8
SIZES = (3, 7, 50 if (os.cpu_count() or 1) >= CORES_FOR_FIFTY else 25)
CROWD = 20
"""So many members are started one by one: all at once they would keep each other from getting ready."""
_PROVED = {"etcd_peer_tls_hosts": "members"}


def run(setting: Setting) -> Outcome:
    """All three clusters run while each is proved in turn."""
    ground, outcome = setting.ground, Outcome()
    inventories: dict[int, str] = {}
    for place, size in enumerate(SIZES):
        # Ports and addresses that no other of the clusters has.
        cluster = layout.crowd(size, ground.machines, sum(SIZES[:place]))
        ground.add_addresses([seat for seats in cluster.values() for seat in seats])
        inventories[size] = ground.inventory(f"proof-{size}", cluster)
        setting.say(f"deploying one cluster of {size}")
        variables = {"etcd_peer_tls_hosts": "members", **WITHOUT_PROOF, "etcd_peer_tls_manage_service": size < CROWD}
        ground.play(ROLE, inventories[size], variables, unchanged=False)
        if size >= CROWD:
            setting.say(f"starting {size} members one by one")
            ground.start_one_by_one([seat for seats in cluster.values() for seat in seats])

    def proof(size: int) -> t.Callable[[], Run]:
        return lambda: ground.play(PROOF, inventories[size], _PROVED)

    setting.say("the proof, by members")
    found = setting.take_turns({str(size): proof(size) for size in SIZES})
    table = Table(
        "The proof by the number of members",
        (
            "members",
            "ordered pairs",
            "seconds",
            "least-most",
            "CPU s",
            "ms a pair",
            "modules a host",
            "round trips",
            "kB a host",
        ),
    )
    for size in SIZES:
        runs = found[str(size)]
        counts = ground.count(PROOF, inventories[size], _PROVED)
        outcome.keep(f"proof, {size}", runs)
        outcome.keep_counts(f"proof, {size}", counts)
        pairs = size * (size - 1)
        table.rows.append(
            (
                str(size),
                str(pairs),
                f"{wall(runs):.2f}",
                spread([run.wall_seconds for run in runs]),
                f"{cpu(runs):.2f}",
                f"{1000 * wall(runs) / pairs:.1f}",
                number(counts.modules_a_host),
                number(counts.most_round_trips),
                f"{kb_a_host(runs, size):.1f}",
            )
        )
    power = exponent(SIZES[1:], [wall(found[str(size)]) for size in SIZES[1:]])
    table.notes.append(
        f"From {SIZES[1]} to {SIZES[2]} members its time grows with the power {power:.2f}; the calls themselves with 2."
    )
    outcome.tables.append(table)
    ground.bare("etcd*")
    return outcome
