# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The README's first command on a machine that has nothing yet.

Another command there, by hand: ``RINGFENCE_CLEAN_COMMAND="make test"``.
"""

from __future__ import annotations

import os
import shlex
import typing as t
from pathlib import Path

import pytest
from ringfence_lab.clean_machine import INSIDE_VARIABLE, CleanMachine

REPOSITORY = Path(__file__).resolve().parents[3]
DEMO_SECONDS = 15 * 60
COMMAND_SECONDS = 90 * 60


@pytest.fixture(scope="module")
def machine() -> t.Iterator[CleanMachine]:
    made = CleanMachine(os.environ.get("RINGFENCE_LAB_NAME", "test"))
    try:
        made.up(str(REPOSITORY))
        yield made
    finally:
        made.down()


@pytest.mark.skipif(INSIDE_VARIABLE in os.environ, reason="this is the clean machine")
def test_a_newcomers_first_command(machine: CleanMachine) -> None:
    given = os.environ.get("RINGFENCE_CLEAN_COMMAND")
    command = given or "make demo RINGFENCE_DEMO=lab"
    assert machine.run(shlex.split(command), COMMAND_SECONDS if given else DEMO_SECONDS) == 0
