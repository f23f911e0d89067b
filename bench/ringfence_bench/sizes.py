# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run without changes costs with 3, 9, 30 and 90 hosts: many clusters of three in one inventory.

With the most of them one ping has its turn as well, the least that Ansible can do for as many.
"""

from __future__ import annotations

import typing as t

from ringfence_bench import layout
from ringfence_bench.figures import Counts, Run, cpu, kb_a_host, median, steepest_step, wall
from ringfence_bench.ground import FORKS
from ringfence_bench.part import ROLE, WITHOUT_PROOF, Outcome, Setting
from ringfence_bench.report import Table, number

SIZES = (3, 9, 30, 90)
LEAST_SHARE = 0.02
"""Of the run with the most hosts: what a step must take to be looked at."""
_PING = f"ping {SIZES[-1]}"
_VARIABLES: dict[str, t.Any] = {"etcd_peer_tls_hosts": "members", **WITHOUT_PROOF}


def memory_a_fork(main_mib: float, fork_mib: float, hosts: int) -> float:
    """The controller's peak memory by fork in use: the main process, shared by all, and what each has for itself."""
    forks = min(FORKS, hosts)
    return main_mib / forks + fork_mib


def run(setting: Setting) -> Outcome:
    """Deploy the greatest once; every smaller one is a part of it."""
    ground, outcome = setting.ground, Outcome()
    inventories = {size: ground.inventory(f"hosts-{size}", layout.trios(size // 3, ground.machines)) for size in SIZES}
    setting.say(f"deploying {SIZES[-1]} hosts")
    deployed = ground.play(ROLE, inventories[SIZES[-1]], _VARIABLES, unchanged=False)
    outcome.keep(f"first, {SIZES[-1]} hosts", [deployed])

    def role(size: int) -> t.Callable[[], Run]:
        return lambda: ground.play(ROLE, inventories[size], _VARIABLES)

    def nothing(size: int) -> t.Callable[[], Run]:
        return lambda: ground.play("nothing.yml", inventories[size])

    setting.say("no changes, by size")
    contestants: dict[str, t.Callable[[], Run]] = {}
    for size in SIZES:
        contestants[f"nothing {size}"] = nothing(size)
        contestants[f"role {size}"] = role(size)
    contestants[_PING] = lambda: ground.play("ping.yml", inventories[SIZES[-1]])
    found = setting.take_turns(contestants)
    counts = {size: ground.count(ROLE, inventories[size], _VARIABLES) for size in SIZES}
    for name, runs in found.items():
        outcome.keep(f"sizes, {name}", runs)
    for size, counted in counts.items():
        outcome.keep_counts(f"sizes, {size}", counted)
    outcome.found["unchanged_to_ping_90"] = wall(found[f"role {SIZES[-1]}"]) / wall(found[_PING])
    _report(outcome, {size: found[f"role {size}"] for size in SIZES}, {s: found[f"nothing {s}"] for s in SIZES}, counts)
    outcome.tables[0].notes.append(
        f"The first deploy of {SIZES[-1]} hosts, once: {deployed.wall_seconds:.1f} s, CPU {deployed.cpu_seconds:.1f} s."
    )
    outcome.tables[0].notes.append(
        f"One ping of {SIZES[-1]} hosts: {wall(found[_PING]):.2f} s, CPU {cpu(found[_PING]):.2f} s, "
        f"{kb_a_host(found[_PING], SIZES[-1]):.1f} kB a host."
    )
    ground.bare("etcd*")
    return outcome


def _report(
    outcome: Outcome,
    roles: t.Mapping[int, t.Sequence[Run]],
    nothings: t.Mapping[int, t.Sequence[Run]],
    counts: t.Mapping[int, Counts],
) -> None:
    table = Table(
        f"A run without changes by the number of hosts, {FORKS} forks, without the proof",
        (
            "hosts",
            "seconds",
            "s a host",
            "CPU s",
            "start CPU s",
            "CPU s a host",
            "MiB main",
            "MiB fork's own",
            "modules a host",
            "round trips",
            "kB a host",
        ),
    )
    own: dict[int, float] = {}
    memory: dict[int, float] = {}
    for size, runs in roles.items():
        start = cpu(nothings[size])
        own[size] = (cpu(runs) - start) / size
        main_mib = median(run.main_mib for run in runs)
        memory[size] = memory_a_fork(main_mib, counts[size].fork_mib, size)
        table.rows.append(
            (
                str(size),
                f"{wall(runs):.2f}",
                f"{wall(runs) / size:.3f}",
                f"{cpu(runs):.2f}",
                f"{start:.2f}",
                f"{own[size]:.3f}",
                f"{main_mib:.0f}",
                f"{counts[size].fork_mib:.0f}",
                number(counts[size].modules_a_host),
                number(counts[size].most_round_trips),
                f"{kb_a_host(runs, size):.1f}",
            )
        )
    table.notes.append(
        "CPU: of the controller, modules that run there included; start: what a play without a task takes with the "
        "same inventory, which the CPU a host is reckoned without."
    )
    outcome.tables.append(table)
    nine, thirty, ninety = SIZES[1:]
    name, power = steepest_step({size: roles[size] for size in SIZES[1:]}, LEAST_SHARE)
    outcome.found.update(
        cpu_a_host_30=own[thirty] / own[nine],
        cpu_a_host_90=own[ninety] / own[nine],
        steepest_step=power,
        memory_a_fork=memory[ninety] / memory[nine],
    )
    outcome.remarks["steepest_step"] = name
