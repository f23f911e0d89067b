# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's wrong clock: offsets and machine code, and one tree of real processes that is told a wrong time.

And loss of packets on a kernel without netem, the other fault that the kernel does not offer ready-made.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from ringfence_lab import clock, network, system
from ringfence_lab.errors import LabError

x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the code is x86-64's")
DAY = 86400


# --------------------------------------------------------------------------- offsets
@pytest.mark.parametrize(
    ("text", "seconds"),
    [("-2h", -7200), ("+30m", 1800), ("2d", 2 * DAY), ("90", 90), ("-90s", -90), ("0", 0), ("-0", 0)],
)
def test_offset(text: str, seconds: int) -> None:
    assert clock.parse_offset(text) == seconds


@pytest.mark.parametrize("text", ["", "2x", "h", "-", "1.5h", "2h30m", " 2h", "2h\n", "25000d", "-99999999999"])
def test_offset_refused(text: str) -> None:
    with pytest.raises(LabError, match="clock: "):
        clock.parse_offset(text)


@pytest.mark.parametrize("text", ["-2h", "+30m", "+2d", "-91s", "+25h"])
def test_an_offset_is_shown_as_it_is_given(text: str) -> None:
    assert clock.offset_text(clock.parse_offset(text)) == text


def test_family_has_all_descendants_and_no_other() -> None:
    parents = {1: 0, 10: 1, 11: 10, 12: 10, 13: 12, 20: 1, 21: 20}
    assert clock.family_of(10, parents) == [10, 11, 12, 13]


# --------------------------------------------------------------------------- the vDSO
@x86_64
def test_changes_keep_off_all_that_the_vdso_needs() -> None:
    library = clock.own_library()
    functions = clock.functions_in(library)
    changed = bytearray(library)
    for place, code in clock.changes(library, -2 * DAY):
        changed[place : place + len(code)] = code
    clock_functions = {functions[name] for name in clock.shifted_functions(0)}
    differing = {place for place in range(len(library)) if library[place] != changed[place]}
    in_use = len(library.rstrip(b"\0"))
    assert differing
    # Below the unused end, nothing but the first five bytes of each function.
    assert {place for place in differing if place < in_use} <= {
        place + byte for place in clock_functions for byte in range(5)
    }
    for place, code in clock.changes(library, 0):
        changed[place : place + len(code)] = code
    assert changed[:in_use] == library[:in_use]


@x86_64
def test_a_vdso_without_room_is_refused() -> None:
    library = clock.own_library()
    with pytest.raises(LabError, match="leaves no 112 bytes free"):
        clock.changes(library[:-1] + b"\x90", 60)


# --------------------------------------------------------------------------- real processes
# Answers each line with the time by every way that a C program has, and as a program that it starts sees it.
ANSWERING = """
import ctypes, json, subprocess, sys, threading, time
libc = ctypes.CDLL(None)
libc.time.restype = ctypes.c_long
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
for line in sys.stdin:
    pair, place = (ctypes.c_long * 2)(), ctypes.c_long()
    libc.gettimeofday(pair, None)
    returned = libc.time(ctypes.byref(place))
    other = int(subprocess.check_output(["date", "+%s"]))
    coarse = time.clock_gettime(5)
    found = [time.time(), pair[0], libc.time(None), returned, place.value, coarse, other]
    print(json.dumps({"wall": found, "monotonic": time.monotonic()}), flush=True)
"""


def ask(process: subprocess.Popen[str]) -> dict[str, t.Any]:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    answer: dict[str, t.Any] = json.loads(process.stdout.readline())
    return answer


@x86_64
@pytest.mark.skipif(os.geteuid() != 0, reason="to trace another one's children needs root")
def test_running_processes_and_new_ones_are_told_the_shifted_time(tmp_path: Path) -> None:
    folder = str(tmp_path)
    command = [sys.executable, "-c", ANSWERING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            ask(process)
            for offset in (-2 * DAY, 3 * DAY, 0):
                clock.set_offset(folder, process.pid, offset)
                assert clock.offset_of(folder) == offset
                answer = ask(process)
                assert all(abs(found - offset - time.time()) < 20 for found in answer["wall"]), (offset, answer)
                assert abs(answer["monotonic"] - time.monotonic()) < 20
            clock.set_offset(folder, process.pid, 60)
            keeper = json.loads((tmp_path / "clock.json").read_text())["pid"]
        finally:
            process.send_signal(signal.SIGKILL)
    # Nothing to be told any more: it ends by itself.
    system.wait_for(lambda: system.start_time(keeper) is None, 10, "end of the keeper")
    assert clock.offset_of(folder) == 0


# --------------------------------------------------------------------------- loss without netem
@pytest.mark.parametrize(
    ("words", "limit"),
    [("loss 5%", 214748364), ("loss random 0.1%", 4294967), ("loss 50%", 2**31), ("loss 100%", 2**32 - 1)],
)
def test_loss_is_a_share_of_all_random_numbers(words: str, limit: int) -> None:
    commands = network.loss_without_netem("eth0", ["netem", *words.split()])
    assert commands[0][:5] == ["qdisc", "add", "dev", "eth0", "root"]  # so that heal takes all of it away
    assert f",53 1 0 {limit}," in commands[-1][commands[-1].index("bytecode") + 1]


@pytest.mark.parametrize("words", ["delay 100ms", "delay 100ms loss 5%", "loss 5", "loss state 1%", ""])
def test_what_only_netem_can_is_refused_without_it(words: str) -> None:
    with pytest.raises(LabError, match="no queueing discipline 'netem'"):
        network.loss_without_netem("eth0", ["netem", *words.split()])
