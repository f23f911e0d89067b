# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a snapshot of etcd is as a file: the database, and behind it the SHA-256 of that.

So it is what ``etcdctl snapshot save`` writes, and what ``etcdutl snapshot restore`` checks (3.4 to 3.7).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError

_SUM_BYTES = 32
# The database is made of whole blocks of this size, as etcd itself tells a snapshot from a copy of a database.
_DISK_BLOCK = 512
# At the start of the first page's content (go.etcd.io/bbolt, db.go), in the byte order of the machine that wrote it.
_MAGIC = 0xED0CDAED
_MAGIC_OFFSET = 16
_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class SnapshotFile:
    """A snapshot that is whole: its size, and the SHA-256 of the file as ``sha256sum`` prints it."""

    size: int
    sha256: str


def summed(blocks: t.Iterable[bytes], path: str) -> SnapshotFile:
    """What the blocks are of which a snapshot is made; FileError, which names the path, where it is none or damaged."""
    whole, database = hashlib.sha256(), hashlib.sha256()
    head = end = b""
    size = 0
    for block in blocks:
        size += len(block)
        whole.update(block)
        head = (head + block)[: _MAGIC_OFFSET + 4] if len(head) < _MAGIC_OFFSET + 4 else head
        # The last bytes are the sum, and which are the last shows only at the end.
        held = end + block
        database.update(held[:-_SUM_BYTES])
        end = held[-_SUM_BYTES:]
    magic = head[_MAGIC_OFFSET:]
    if _MAGIC not in (int.from_bytes(magic, "little"), int.from_bytes(magic, "big")):
        raise FileError(f"{path} is no snapshot of etcd: name a file that playbook backup has made", path=path)
    if size % _DISK_BLOCK != _SUM_BYTES or database.digest() != end:
        raise FileError(
            f"{path} is damaged, or no snapshot but a copy of a database: the SHA-256 at its end is not that of its "
            "content: take another one",
            path=path,
        )
    return SnapshotFile(size, whole.hexdigest())


def summed_file(stream: t.IO[bytes], path: str) -> SnapshotFile:
    """The same of an open file."""
    return summed(iter(lambda: stream.read(_BLOCK_BYTES), b""), path)


__all__ = ("SnapshotFile", "summed", "summed_file")
