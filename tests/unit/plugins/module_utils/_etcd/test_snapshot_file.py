# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is a snapshot, and what is damaged or none."""

from __future__ import annotations

import hashlib
import io

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.snapshot_file import summed, summed_file

DATABASE = bytes(16) + 0xED0CDAED.to_bytes(4, "little") + bytes(range(256)) * 32 + bytes(512 - 20)
SNAPSHOT = DATABASE + hashlib.sha256(DATABASE).digest()
ODD = DATABASE + b"x"


@pytest.mark.parametrize("block", [1, 7, 31, 32, 33, 512, len(DATABASE), len(SNAPSHOT)])
def test_a_snapshot_in_parts_of_any_size(block: int) -> None:
    parts = (SNAPSHOT[start : start + block] for start in range(0, len(SNAPSHOT), block))
    found = summed(parts, "x")
    assert (found.size, found.sha256) == (len(SNAPSHOT), hashlib.sha256(SNAPSHOT).hexdigest())


def test_of_the_other_byte_order() -> None:
    database = bytes(16) + 0xED0CDAED.to_bytes(4, "big") + DATABASE[20:]
    assert summed_file(io.BytesIO(database + hashlib.sha256(database).digest()), "x").size == len(SNAPSHOT)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "x is no snapshot of etcd"),
        (b"a text\n", "x is no snapshot of etcd"),
        (SNAPSHOT[:20], "x is damaged"),
        (SNAPSHOT[:-1], "x is damaged"),
        (SNAPSHOT + b"\0", "x is damaged"),
        (SNAPSHOT[: len(SNAPSHOT) // 2], "x is damaged"),
        # A member's own file.
        (DATABASE, "no snapshot but a copy of a database"),
        (SNAPSHOT[:600] + b"\xff" + SNAPSHOT[601:], "x is damaged"),
        (SNAPSHOT[:-1] + b"\xff", "x is damaged"),
        # No database has such a size.
        (ODD + hashlib.sha256(ODD).digest(), "x is damaged"),
    ],
)
def test_what_is_none(content: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words) as caught:
        summed([content], "x")
    assert "\n" not in str(caught.value)
