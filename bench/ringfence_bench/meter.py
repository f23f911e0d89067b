# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a command and writes down what it took. A program of its own, standard library only.

It runs where the command runs (the controller's network, maybe a Debian tree), so that the way in is not measured:
``python meter.py RESULT.json OUTPUT.log COMMAND...``
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t


def sent_bytes(text: str) -> int:
    """What has left by all interfaces but the loopback, from the text of /proc/net/dev."""
    total = 0
    for line in text.splitlines():
        name, colon, numbers = line.partition(":")
        if colon and name.strip() != "lo":
            total += int(numbers.split()[8])
    return total


def _sent() -> int:
    with open("/proc/net/dev", encoding="ascii") as stream:
        return sent_bytes(stream.read())


def measure(command: t.Sequence[str], log: str) -> dict[str, t.Any]:
    """Run the command to its end; its output goes to a file, which costs less than a reader."""
    with open(log, "wb") as output:
        sent = _sent()
        start = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        # Of the child and of all descendants that were waited for: forks, ssh, modules on the controller.
        _pid, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
    return {
        "returncode": child.returncode,
        "wall_seconds": wall,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "sent_bytes": _sent() - sent,
        # Linux counts in KiB.
        "largest_mib": used.ru_maxrss / 1024,
    }


def main(arguments: t.Sequence[str]) -> int:
    """Measure, write, and end as the command did."""
    result, log, *command = arguments
    found = measure(command, log)
    with open(result, "w", encoding="utf-8") as stream:
        json.dump(found, stream)
    return 0 if found["returncode"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
