# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be reached. A figure is judged where its part of the bench has run."""

from __future__ import annotations

import math
import typing as t


class Limit(t.NamedTuple):
    """One figure and its bounds."""

    key: str
    text: str
    most: float
    least: float = -math.inf


LIMITS = (
    Limit("counter", "the counter's miscounts on tasks that are known", 0),
    Limit("outcome", "arguments of etcd in which the two deployments differ", 0),
    Limit("unchanged_to_community", "run without changes : community.crypto's", 0.25),
    Limit("unchanged_to_ping", "run without changes : one ping", 1.6),
    Limit("unchanged_to_ping_90", "run without changes : one ping, 90 hosts", 2.0),
    Limit("proved_to_ping", "run without changes, with the proof : one ping", 1.8),
    Limit("round_trips", "round trips of a host without changes, with the proof", 5),
    Limit("kb_a_host", "kB sent to a host without changes, with the proof", 150),
    Limit("issue_to_bare", "(1000 members issued - one module start) : bare cryptography", 1.5),
    # The least that a module of Python's takes is some 160 of them, which no collection changes.
    Limit("kb_beyond_ping", "kB sent to a host without changes, with the proof, beyond one ping", 225),
    Limit("cpu_a_host_30", "controller's CPU a host, 30 : 9 hosts, less Ansible's own start", 1.15, 0.85),
    Limit("cpu_a_host_90", "controller's CPU a host, 90 : 9 hosts, less Ansible's own start", 1.15, 0.85),
    Limit("steepest_step", "power of the hosts with which the steepest task's CPU grows", 1.5),
    Limit("memory_a_fork", "controller's memory a fork, 90 : 9 hosts", 1.15),
)


class Verdict(t.NamedTuple):
    """A limit, what was found, and any word on it."""

    limit: Limit
    found: float
    remark: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure is within its bounds."""
        return self.limit.least <= self.found <= self.limit.most


def evaluate(found: t.Mapping[str, float], remarks: t.Mapping[str, str]) -> list[Verdict]:
    """A verdict for each limit of which there is a figure, in the table's order."""
    unknown = set(found) - {limit.key for limit in LIMITS}
    if unknown:
        raise KeyError(f"no limit is called {', '.join(sorted(unknown))}")
    return [Verdict(limit, found[limit.key], remarks.get(limit.key, "")) for limit in LIMITS if limit.key in found]
