# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of a few hundred bytes that this machine runs: no script is taken for etcd's program; archives of them."""

from __future__ import annotations

import hashlib
import io
import os
import pathlib
import tarfile
import typing as t

import pytest

_BASE, _HEADERS = 0x400000, 64 + 56
_NUMBERS = {"x86_64": 62, "aarch64": 183}


def _code(machine: str, descriptor: int, length: int, status: int) -> bytes:
    """write(descriptor, what follows, length); exit(status)"""

    def word(value: int) -> bytes:
        return value.to_bytes(4, "little")

    if machine == "x86_64":
        write = b"\xb8" + word(1) + b"\xbf" + word(descriptor) + b"\x48\x8d\x35" + word(19) + b"\xba" + word(length)
        return write + b"\x0f\x05" + b"\xb8" + word(60) + b"\xbf" + word(status) + b"\x0f\x05"
    move, call = 0xD2800000, 0xD4000001
    instructions = (
        *(move | 64 << 5 | 8, move | descriptor << 5, 0x10000000 | 6 << 5 | 1, move | length << 5 | 2, call),
        *(move | 93 << 5 | 8, move | status << 5, call),
    )
    return b"".join(word(instruction) for instruction in instructions)


def tiny_program(text: str, status: int = 0, descriptor: int = 1, machine: str | None = None) -> bytes:
    """An ELF program that prints a text and ends, for this machine or for another."""
    here = os.uname().machine
    if here not in _NUMBERS:
        pytest.skip(f"no program is made by hand for {here}")
    machine = machine or here
    said = text.encode()
    body = _code(machine, descriptor, len(said), status) + said
    size = _HEADERS + len(body)

    def numbers(*pairs: tuple[int, int]) -> bytes:
        return b"".join(value.to_bytes(length, "little") for value, length in pairs)

    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += numbers((2, 2), (_NUMBERS[machine], 2), (1, 4), (_BASE + _HEADERS, 8), (64, 8), (0, 8), (0, 4))
    header += numbers((64, 2), (56, 2), (1, 2), (0, 2), (0, 2), (0, 2))
    segment = numbers((1, 4), (5, 4), (0, 8), (_BASE, 8), (_BASE, 8), (size, 8), (size, 8), (4096, 8))
    return header + segment + body


def tiny_etcd(version: str) -> bytes:
    return tiny_program(f"etcd Version: {version}\nGit SHA: none\n")


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[t.Any, bytes]:
    """One entry of an archive, as an attacker may write it too."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.uid, made.uname = kind, link, 0o4777, 1000, "nobody"
    made.size = len(content)
    return made, content


def archive(path: pathlib.Path, *entries: tuple[t.Any, bytes], compression: str = "gz") -> tuple[str, str]:
    """Write an archive; gives its path and its SHA-256."""
    with tarfile.open(str(path), t.cast(t.Any, f"w:{compression}")) as tar:
        for made, content in entries:
            tar.addfile(made, io.BytesIO(content))
    return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def release(path: pathlib.Path, version: str, **other: bytes) -> tuple[str, str]:
    """A release archive as etcd's are made."""
    folder = f"etcd-v{version}-linux-amd64"
    programs = {"etcd": tiny_etcd(version), "etcdctl": tiny_program(f"etcdctl version: {version}\n"), **other}
    return archive(
        path,
        entry(folder, kind=tarfile.DIRTYPE),
        entry(f"{folder}/README.md", b"read me"),
        entry(f"{folder}/Documentation", kind=tarfile.DIRTYPE),
        *(entry(f"{folder}/{name}", content) for name, content in programs.items()),
    )
