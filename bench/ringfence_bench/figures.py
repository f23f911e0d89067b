# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers from repeated measurements: medians, ratios, growth. Pure."""

from __future__ import annotations

import dataclasses
import math
import statistics
import typing as t


@dataclasses.dataclass(frozen=True)
class Run:
    """One measured run of a command."""

    wall_seconds: float
    cpu_seconds: float
    """User and system time of the command and of all that it waited for."""
    sent_bytes: int = 0
    """What left the controller by its network, with all headers."""
    main_mib: float = 0.0
    """Peak memory (resident) of Ansible's main process."""
    steps: tuple[tuple[str, float], ...] = ()
    """Each task with its CPU seconds, in the order of the run."""


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a run did on its hosts, counted."""

    modules: dict[str, int]
    """Inventory host → module executions over the network."""
    local_modules: int
    """Module executions on the controller itself, all hosts together."""
    round_trips: dict[str, int]
    """Inventory host → calls of the connection over the network: a command, or a file put or fetched."""
    payload_bytes: int
    """What Ansible handed to its connections over the network: commands, their input, files."""
    fork_mib: float
    """The most memory that one fork had for itself alone (private pages)."""

    @property
    def most_round_trips(self) -> int:
        """Of the host that has the most."""
        return max(self.round_trips.values(), default=0)

    @property
    def modules_a_host(self) -> float:
        """The mean."""
        return sum(self.modules.values()) / len(self.modules) if self.modules else 0.0


def median(values: t.Iterable[float]) -> float:
    """The median; of an even number of values the mean of the two in the middle."""
    return statistics.median(values)


def wall(runs: t.Sequence[Run]) -> float:
    """The median of the seconds that went by."""
    return median(run.wall_seconds for run in runs)


def cpu(runs: t.Sequence[Run]) -> float:
    """The median of the CPU seconds."""
    return median(run.cpu_seconds for run in runs)


def kb_a_host(runs: t.Sequence[Run], hosts: int) -> float:
    """The median of what the controller sent, by host, in thousands of bytes."""
    return median(run.sent_bytes for run in runs) / 1000 / hosts


def spread(values: t.Sequence[float]) -> str:
    """From the least to the greatest."""
    return f"{min(values):.2f}-{max(values):.2f}"


def exponent(sizes: t.Sequence[float], costs: t.Sequence[float]) -> float:
    """The power of the size with which a cost grows: 0 is none, 1 linear, 2 the square.

    The slope of the straight line through the logarithms, by least squares.
    """
    xs = [math.log(size) for size in sizes]
    ys = [math.log(max(cost, 1e-6)) for cost in costs]
    x_mean, y_mean = statistics.fmean(xs), statistics.fmean(ys)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys)) / sum((x - x_mean) ** 2 for x in xs)


def step_costs(runs: t.Sequence[Run]) -> dict[str, float]:
    """Each task's median CPU seconds. Tasks of one name count together."""
    totals: list[dict[str, float]] = []
    for run in runs:
        own: dict[str, float] = {}
        for name, seconds in run.steps:
            own[name] = own.get(name, 0.0) + seconds
        totals.append(own)
    names = dict.fromkeys(name for own in totals for name in own)
    return {name: median(own.get(name, 0.0) for own in totals) for name in names}


def steepest_step(runs_by_size: t.Mapping[int, t.Sequence[Run]], least_share: float) -> tuple[str, float]:
    """The task whose CPU grows fastest with the hosts, among those that matter at the greatest size, and its power.

    A task that takes less than ``least_share`` of that run says nothing: its figure is noise.
    """
    sizes = sorted(runs_by_size)
    costs = {size: step_costs(runs_by_size[size]) for size in sizes}
    greatest = costs[sizes[-1]]
    least = least_share * sum(greatest.values())
    powers = {
        name: exponent(sizes, [costs[size].get(name, 0.0) for size in sizes])
        for name, seconds in greatest.items()
        if seconds >= least and all(costs[size].get(name, 0.0) > 0 for size in sizes)
    }
    return max(powers.items(), key=lambda item: item[1], default=("no task", 0.0))
