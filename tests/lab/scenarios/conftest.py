# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab of six hosts for all scenarios, and a controller that runs playbooks against it as a user would.

By environment: ``RINGFENCE_LAB_NAME``, ``RINGFENCE_LAB_KEEP=1`` (leave it up at the end), and for the core scenarios,
which run with many versions, ``RINGFENCE_LAB_ETCD``, ``RINGFENCE_LAB_RELEASE`` and ``RINGFENCE_ANSIBLE_PLAYBOOK``.
"""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import pytest

_LAB_FOLDER = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_LAB_FOLDER), str(Path(__file__).resolve().parent)]

from ringfence_lab.lab import Lab  # noqa: E402
from support import Controller  # noqa: E402


@pytest.fixture(scope="session")
def lab() -> t.Iterator[Lab]:
    """Six bare hosts with etcd's program; on etcd-6 the distribution's own one-member etcd runs.

    With another etcd or another release than the default, three hosts for the core scenarios.
    """
    name = os.environ.get("RINGFENCE_LAB_NAME", "test")
    etcd, release = os.environ.get("RINGFENCE_LAB_ETCD"), os.environ.get("RINGFENCE_LAB_RELEASE")
    made = (
        Lab(name, hosts=3, etcd=etcd, release=release)
        if etcd or release
        else Lab(name, hosts=6, distribution_etcd=["etcd-6"])
    )
    made.up()
    yield made
    if os.environ.get("RINGFENCE_LAB_KEEP") != "1":
        made.down()


@pytest.fixture(scope="session")
def controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller(lab, tmp_path_factory.mktemp("controller"), repository=_LAB_FOLDER.parents[1])
