# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for all unit tests."""

from __future__ import annotations

import atexit
import os
import pathlib
import shutil
import sys
import tempfile
import typing as t

import hypothesis
import pytest

# How fast examples are made is up to what else the machine does: no test goes by it.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def _hand_over_coverage() -> None:
    """Where coverage is measured: put away what it has, so that a child begins with nothing.

    Each child saves what it has when it ends: all of the session's until then took three quarters of the time.
    """
    measured = sys.modules.get("coverage")
    current = None if measured is None else measured.Coverage.current()
    if current is not None:
        current.get_data()


os.register_at_fork(before=_hand_over_coverage)


def _have_a_folder_for_all_processes() -> None:
    """Where ``once`` keeps what it made: for the workers of this run and the forks of each test."""
    if "RINGFENCE_UNIT_ONCE" in os.environ:
        return
    folder, process = tempfile.mkdtemp(prefix="ringfence-once-"), os.getpid()
    os.environ["RINGFENCE_UNIT_ONCE"] = folder
    atexit.register(lambda: os.getpid() == process and shutil.rmtree(folder))


_have_a_folder_for_all_processes()


@pytest.fixture
def open_folder() -> t.Iterator[pathlib.Path]:
    """A folder that everybody gets through to; pytest's own is closed to others."""
    path = tempfile.mkdtemp(prefix="ringfence-test-")
    os.chmod(path, 0o755)
    yield pathlib.Path(os.path.realpath(path))
    shutil.rmtree(path)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Call a generated key or certificate by its argument.

    ansible-test spreads the tests over processes, each of which collects them: a name made from bytes that differ in
    each process ends the run. And no key belongs into a report.
    """
    text = val.decode("latin-1") if isinstance(val, bytes) else val
    return argname if isinstance(text, str) and ("-----BEGIN " in text or "\n" in text or len(text) > 100) else None
