# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that is to end: nox is told, which ends what it runs."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

import pytest

_TESTS = pathlib.Path(__file__).resolve().parents[2]
_TOLD = 7
_INNER = f"""
import sys, time
try:
    print("it runs", flush=True)
    time.sleep(120)
except KeyboardInterrupt:
    sys.exit({_TOLD})
"""
_OUTER = f"""
import sys
sys.path[:0] = [{str(_TESTS)!r}, {str(_TESTS / "lab")!r}]
from runner import main
sys.exit(main._nox([sys.executable, "-c", {_INNER!r}]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("in_background", [False, True])
def test_nox_is_told(number: signal.Signals, in_background: bool) -> None:
    """A shell's background has SIGINT ignored, and what is started from there as well."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN if in_background else signal.default_int_handler)
    try:
        process = subprocess.Popen([sys.executable, "-c", _OUTER], stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, handler)
    try:
        assert process.stdout is not None and process.stdout.readline() == "it runs\n"
        process.send_signal(number)
        assert process.wait(timeout=60) == _TOLD
    finally:
        process.kill()
        process.wait()
