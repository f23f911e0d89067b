# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether etcd's write-ahead log has entries for the store of its API v2 that the next start would read.

Each etcd up to 3.5 writes some: where it is started (who it is), and where the cluster's version moves. 3.6 reads them,
3.7 ends at the first ("unmarshal should never fail"). What lies before the newest snapshot is not read.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import message_fields
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import list_names, open_regular

_ENTRY_TYPE, _SNAPSHOT_TYPE = 2, 5
_NORMAL_ENTRY = 0
# Of an entry's request: in that of the API v2 its method, and in the other one such a request as a whole.
_OF_API_V2 = 2

_LOG = re.compile(r"[0-9a-f]{16}-([0-9a-f]{16})\.wal")
_SNAPSHOT = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.snap")

# etcd takes requests of 1.5 MB, and some users more.
_MOST_RECORD_BYTES = 512 * 1024 * 1024


class _Seen(t.NamedTuple):
    """Indexes in a part of a log: the last entry for the API v2, and the snapshots as index and term."""

    last_old: int
    snapshots: frozenset[tuple[int, int]]


def has_old_entries(data_dir: str, wal_dir: str | None = None) -> bool | None:
    """Whether the next start would read entries that etcd 3.7 can't; None where that can't be seen.

    etcd may run meanwhile: what it appends is read as far as it is there.
    """
    folder = wal_dir or os.path.join(data_dir, "member", "wal")
    try:
        logs = sorted((int(match[1], 16), match[0]) for match in map(_LOG.fullmatch, list_names(folder) or ()) if match)
        names = list_names(os.path.join(data_dir, "member", "snap")) or ()
        if not logs:
            return None
        found = [match for match in map(_SNAPSHOT.fullmatch, names) if match]
        for index, term in sorted(((int(match[2], 16), int(match[1], 16)) for match in found), reverse=True):
            # An entry comes into the log before the snapshot that includes it, and its record after that.
            first = max((start for start, _name in logs if start <= index), default=logs[0][0])
            seen = _read(folder, [name for start, name in logs if start >= first])
            if (index, term) in seen.snapshots:
                return seen.last_old > index
        return _read(folder, [name for _start, name in logs]).last_old > 0
    except (FileError, OSError, ValueError):
        return None


def _read(folder: str, names: t.Sequence[str]) -> _Seen:
    last_old, snapshots = 0, set()
    for name in names:
        with open_regular(os.path.join(folder, name)) as stream:
            for kind, content in _records(stream, may_end_early=name == names[-1]):
                if kind == _SNAPSHOT_TYPE:
                    fields = message_fields(content)
                    snapshots.add((_number(fields.get(1, 0)), _number(fields.get(2, 0))))
                elif kind == _ENTRY_TYPE:
                    last_old = max(last_old, _old_entry(content))
    return _Seen(last_old, frozenset(snapshots))


def _old_entry(content: bytes) -> int:
    """The index of an entry if it is one for the API v2; else 0."""
    entry = message_fields(content)
    request = entry.get(4, b"")
    if entry.get(1, _NORMAL_ENTRY) != _NORMAL_ENTRY or not isinstance(request, bytes) or not request:
        return 0
    try:
        is_old = _OF_API_V2 in message_fields(request)
    except ValueError:
        # What this can't read etcd might not either.
        is_old = True
    return _number(entry.get(3, 0)) if is_old else 0


def _records(stream: t.BinaryIO, may_end_early: bool) -> t.Iterator[tuple[int, bytes]]:
    """The records of a file, each as its type and content; ValueError where it is cut short before its end."""
    while True:
        head = stream.read(8)
        frame = int.from_bytes(head, "little") if len(head) == 8 else 0
        if frame == 0:
            # etcd makes its files longer than they are, with zeros.
            return
        length = frame & ((1 << 56) - 1)
        padding = (frame >> 56) & 0x7 if frame >> 63 else 0
        if length > _MOST_RECORD_BYTES:
            raise ValueError("a record's length is out of range")
        data = stream.read(length + padding)
        try:
            if len(data) < length + padding:
                raise ValueError("it is cut short")
            record = message_fields(data[:length])
        except ValueError:
            if may_end_early:
                # etcd is writing it.
                return
            raise
        content = record.get(3, b"")
        if isinstance(content, bytes):
            yield _number(record.get(1, 0)), content


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("a record has text in place of a number")
    return value


__all__ = ("has_old_entries",)
