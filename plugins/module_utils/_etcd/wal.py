# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which member of which cluster a data folder belongs to, read from etcd's write-ahead log; etcd need not run.

Every log file begins with a checksum record and a metadata record (etcd 3.0 to 3.7: server/storage/wal). A record is
framed by eight bytes, little-endian: the low 56 bits are its length, the top byte says how much padding follows.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import list_names, read_head

_METADATA_TYPE = 1
_ENTRY_TYPE = 2
_CHECKSUM_TYPE = 4
# Of an entry; the others change the membership, and a cluster's first ones are written by each member for itself.
_NORMAL_ENTRY = 0

_FIRST_LOG = "0000000000000000-0000000000000000.wal"

# The head that is read: the two records are some 80 bytes; metadata that is longer than this is no etcd's.
_HEAD_BYTES = 4096
# How far a first log is read for the first entry of a leader: behind one record of some 200 bytes for each member.
_FIRST_ENTRIES_BYTES = 256 * 1024


def read_identity(data_dir: str, wal_dir: str | None = None) -> tuple[str, str] | None:
    """Member id and cluster id of a data folder in hex as etcd prints them; None where there is no log yet.

    The newest file that can be understood counts: after a crash the very last one may be cut short.
    """
    folder = wal_dir or os.path.join(data_dir, "member", "wal")
    names = [name for name in reversed(list_names(folder) or ()) if name.endswith(".wal")]
    problem: ValueError | None = None
    for name in names:
        head = read_head(os.path.join(folder, name), _HEAD_BYTES)
        try:
            # etcd renames and removes its logs while it runs.
            if head is not None:
                return identity_of(head)
        except ValueError as exc:
            problem = problem or exc
    if problem is None:
        return None
    raise FileError(
        f"{os.path.join(folder, names[0])} is no etcd write-ahead log ({problem}): restore the data folder {data_dir}, "
        "or move it away and let the member join anew",
        path=os.path.join(folder, names[0]),
    )


def was_formed(data_dir: str, wal_dir: str | None = None) -> bool | None:
    """Whether the cluster of a data folder ever had a leader; None where that is not known.

    A member that waits for its first quorum has written the membership that it was given, and nothing else: the first
    leader begins with an entry of its own, and there is none without a quorum.
    """
    folder = wal_dir or os.path.join(data_dir, "member", "wal")
    try:
        names = [name for name in list_names(folder) or () if name.endswith(".wal")]
        snapshots = list_names(os.path.join(data_dir, "member", "snap"))
        if not names or snapshots is None:
            return None
        return any(name.endswith(".snap") for name in snapshots) or _log_has_run(folder, names)
    except (FileError, ValueError):
        return None


def has_run(data_dir: str, wal_dir: str | None = None) -> bool | None:
    """Whether a cluster went on from this data, if it was restored from a snapshot; None where that is not known."""
    folder = wal_dir or os.path.join(data_dir, "member", "wal")
    try:
        names = [name for name in list_names(folder) or () if name.endswith(".wal")]
        return _log_has_run(folder, names) if names else None
    except (FileError, ValueError):
        return None


def _log_has_run(folder: str, names: list[str]) -> bool | None:
    if names != [_FIRST_LOG]:
        return True
    head = read_head(os.path.join(folder, _FIRST_LOG), _FIRST_ENTRIES_BYTES)
    return None if head is None else _has_leaders_entry(head)


def _has_leaders_entry(data: bytes) -> bool:
    while len(data) >= 8 and int.from_bytes(data[:8], "little"):
        record, data = _record(data)
        content = record.get(3)
        is_entry = record.get(1) == _ENTRY_TYPE and isinstance(content, bytes)
        if is_entry and message_fields(t.cast(bytes, content)).get(1, _NORMAL_ENTRY) == _NORMAL_ENTRY:
            return True
    if len(data) < 8:
        raise ValueError("it does not end where it was read to")
    return False


def identity_of(head: bytes) -> tuple[str, str]:
    """Member id and cluster id from the first bytes of a log file; ValueError where they are not those of one."""
    checksum, rest = _record(head)
    if checksum.get(1) != _CHECKSUM_TYPE:
        raise ValueError("the first record is not the checksum record")
    metadata, _rest = _record(rest)
    content = metadata.get(3)
    if metadata.get(1) != _METADATA_TYPE or not isinstance(content, bytes):
        raise ValueError("the second record is not the metadata record")
    fields = message_fields(content)
    member, cluster = fields.get(1), fields.get(2)
    if not isinstance(member, int) or not isinstance(cluster, int) or not member or not cluster:
        raise ValueError("the metadata record has no member id and cluster id")
    return f"{member:x}", f"{cluster:x}"


def _record(data: bytes) -> tuple[dict[int, int | bytes], bytes]:
    """The first framed record's fields and what follows it."""
    if len(data) < 8:
        raise ValueError("it is cut short")
    frame = int.from_bytes(data[:8], "little")
    length = frame & ((1 << 56) - 1)
    # The top bit says that there is padding, the lowest three how much.
    padding = (frame >> 56) & 0x7 if frame >> 63 else 0
    if length == 0:
        raise ValueError("it has no record where one is expected")
    if 8 + length + padding > len(data):
        raise ValueError("it is cut short, or a record's length is out of range")
    return message_fields(data[8 : 8 + length]), data[8 + length + padding :]


def message_fields(message: bytes) -> dict[int, int | bytes]:
    """A protobuf message's fields by number: integers and byte strings; the last of a repeated one wins."""
    fields: dict[int, int | bytes] = {}
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == 0:
            value, position = _varint(message, position)
        elif kind == 2:
            length, position = _varint(message, position)
            value = message[position : position + length]
            if len(value) != length:
                raise ValueError("a record's field is cut short")
            position += length
        else:
            raise ValueError(f"a record has a field of the unknown kind {kind}")
        fields[number] = value
    return fields


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(data):
            raise ValueError("a record's number is cut short")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value & ((1 << 64) - 1), position
    raise ValueError("a record's number is too long")


__all__ = ("has_run", "identity_of", "message_fields", "read_identity", "was_formed")
