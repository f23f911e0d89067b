# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which ansible-core releases users run: a newer one is one line in this table."""

from __future__ import annotations

import typing as t


class Core(t.NamedTuple):
    """A release line of ansible-core."""

    line: str
    """The line, as ansible-test's messages call it."""
    version: str
    """The pinned release of it."""
    pythons: tuple[str, ...]
    """The Pythons that its controller supports, the preferred one first."""
    bootstrap: str
    """How its ansible-test calls the script that puts pip into a new virtual environment."""
    nodes: str
    """The Debian release of the hosts that its core scenarios run on: one whose Python it supports on nodes.

    bullseye has 3.9, bookworm 3.11, trixie 3.13, forky 3.14.
    """
    etcd: str
    """The etcd that its core scenarios run with. Another one for each core: so one run of each pair has them all."""


CORES = (
    Core("2.21", "2.21.5", ("3.13", "3.14", "3.12"), "get_pip_25_2.py", "trixie", "3.5.16"),
    Core("2.20", "2.20.10", ("3.13", "3.14", "3.12"), "get_pip_25_2.py", "forky", "3.6.16"),
    Core("2.19", "2.19.14", ("3.12", "3.13", "3.11"), "get_pip_24_2.py", "bullseye", "3.5.35"),
    Core("2.18", "2.18.19", ("3.12", "3.13", "3.11"), "get_pip_24_2.py", "trixie", "3.5.12"),
    Core("2.17", "2.17.14", ("3.11", "3.12", "3.10"), "get_pip_23_1_2.py", "bookworm", "3.4.23"),
    Core("2.16", "2.16.19", ("3.11", "3.12", "3.10"), "get_pip_23_1_2.py", "bookworm", "3.5.15"),
)

NEWEST, OLDEST = CORES[0], CORES[-1]

MEASURED = "3.14"
"""The Python on which coverage is measured: from this one on Python itself tells which branches were taken
(sys.monitoring, PEP 669 and the events of 3.14), and tests take hardly longer. A trace function makes them take
three times as long."""


def usable_cores(pythons: t.Mapping[str, object]) -> dict[Core, str]:
    """The cores for which a Python is there, newest first, each with that Python's version."""
    found = {}
    for core in CORES:
        python = next((version for version in core.pythons if version in pythons), None)
        if python is not None:
            found[core] = python
    return found
