# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What takes long is made once for a whole run of the tests.

ansible-test runs each test in a fork: what a fixture of a module makes, or a cache keeps, is gone with it.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import pickle
import typing as t

T = t.TypeVar("T")


def once(name: str, make: t.Callable[[], T]) -> T:
    """What ``make`` gives, from the first process that asks for this name."""
    path = pathlib.Path(os.environ["RINGFENCE_UNIT_ONCE"]) / name
    with open(f"{path}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = pickle.dumps(make())
            path.write_bytes(made)
    found: T = pickle.loads(path.read_bytes())
    return found
