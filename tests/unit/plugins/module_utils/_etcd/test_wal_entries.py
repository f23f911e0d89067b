# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal_entries import has_old_entries

ENTRY, SNAPSHOT = 2, 5


def varint(value: int) -> bytes:
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def message(*fields: tuple[int, int | bytes]) -> bytes:
    return b"".join(
        varint(number << 3) + varint(value)
        if isinstance(value, int)
        else varint(number << 3 | 2) + varint(len(value)) + value
        for number, value in fields
    )


def record(kind: int, content: bytes) -> bytes:
    data = message((1, kind), (2, 7), (3, content))
    padding = -len(data) % 8
    return (len(data) | ((0x80 | padding) << 56 if padding else 0)).to_bytes(8, "little") + data + bytes(padding)


def entry(index: int, request: bytes, kind: int = 0) -> bytes:
    return record(ENTRY, message((1, kind), (2, 1), (3, index), (4, request)))


def snapshot(index: int, term: int = 1) -> bytes:
    return record(SNAPSHOT, message((1, index), (2, term)))


# As the API v2 says who a member is, and as the API v3 puts a key.
OLD = message((1, 77), (2, b"PUT"), (3, b"/0/members/1/attributes"), (4, b"{}"))
NEW = message((100, message((1, 1))), (4, message((1, b"key"), (2, b"value"))))


@pytest.fixture
def data(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("wal", "snap"):
        (tmp_path / "member" / name).mkdir(parents=True)
    return tmp_path


def log(data: pathlib.Path, start: int, *records: bytes, number: int = 0) -> pathlib.Path:
    path = data / "member" / "wal" / f"{number:016x}-{start:016x}.wal"
    # etcd makes its files longer than they are.
    path.write_bytes(b"".join(records) + bytes(64))
    return path


def snap(data: pathlib.Path, index: int, term: int = 1) -> None:
    (data / "member" / "snap" / f"{term:016x}-{index:016x}.snap").write_bytes(b"x")


def test_what_lies_before_a_snapshot_is_not_read(data: pathlib.Path) -> None:
    old = [entry(1, OLD), entry(2, NEW), entry(3, b""), entry(4, OLD, kind=1), entry(5, OLD)]
    log(data, 0, *old)
    assert has_old_entries(str(data)) is True
    # Its record has to be there, and its file.
    log(data, 0, *old, snapshot(5), entry(6, NEW))
    assert has_old_entries(str(data)) is True
    snap(data, 5, term=2)
    assert has_old_entries(str(data)) is True
    snap(data, 5)
    assert has_old_entries(str(data)) is False
    log(data, 0, *old, snapshot(5), entry(6, NEW), entry(7, OLD))
    assert has_old_entries(str(data)) is True
    # One that was made and has no record yet counts for nothing.
    snap(data, 7)
    assert has_old_entries(str(data)) is True
    assert has_old_entries(str(data), str(data / "member" / "wal")) is True


def test_a_log_of_several_files(data: pathlib.Path) -> None:
    log(data, 0, entry(1, OLD), entry(2, NEW))
    log(data, 3, entry(3, NEW), snapshot(3), number=1)
    log(data, 4, entry(4, NEW), number=2)
    assert has_old_entries(str(data)) is True
    snap(data, 3)
    assert has_old_entries(str(data)) is False
    # The files before the snapshot are not even opened.
    log(data, 0).write_bytes(b"nonsense")
    assert has_old_entries(str(data)) is False


def test_what_etcd_is_writing_is_read_as_far_as_it_is_there(data: pathlib.Path) -> None:
    whole = entry(2, OLD)
    path = log(data, 0, entry(1, NEW))
    for length in (3, 8, 12, len(whole) - 1):
        path.write_bytes(entry(1, NEW) + whole[:length])
        assert has_old_entries(str(data)) is False
    path.write_bytes(entry(1, NEW) + whole)
    assert has_old_entries(str(data)) is True


@pytest.mark.parametrize(
    "content",
    [
        (1 << 55).to_bytes(8, "little"),
        entry(1, NEW)[:-9],
        (8).to_bytes(8, "little") + b"\xff" * 8,
        record(ENTRY, message((1, 0), (3, b"text"), (4, OLD))),
    ],
)
def test_what_can_not_be_read_is_not_known(data: pathlib.Path, content: bytes) -> None:
    log(data, 0).write_bytes(content)
    log(data, 2, entry(2, NEW), number=1)
    assert has_old_entries(str(data)) is None


def test_a_request_that_nobody_understands_is_an_old_one(data: pathlib.Path) -> None:
    log(data, 0, entry(1, b"\xff\xff\xff"))
    assert has_old_entries(str(data)) is True


def test_without_a_log_nothing_is_known(tmp_path: pathlib.Path) -> None:
    assert has_old_entries(str(tmp_path)) is None
