# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release archives of etcd, as the role takes them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import typing as t
from pathlib import Path

from ringfence_lab import etcd

Options = dict[str, t.Any]


def release(folder: Path, version: str, programs: t.Mapping[str, bytes] | None = None) -> Options:
    """A release archive as etcd's are made, and the variables that name it."""
    name = f"etcd-v{version}-linux-amd64"
    if programs is None:
        tree = Path(etcd.ensure_programs(version)) / etcd.PROGRAMS_FOLDER
        programs = {program: (tree / program).read_bytes() for program in etcd.PROGRAMS}
    path = folder / f"{name}-{len(list(folder.glob('*.tar.gz')))}.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for program, content in programs.items():
            entry = tarfile.TarInfo(f"{name}/{program}")
            entry.size, entry.mode, entry.uid = len(content), 0o700, 1000
            tar.addfile(entry, io.BytesIO(content))
    return {
        "etcd_peer_tls_install": "archive",
        "etcd_peer_tls_archive": str(path),
        "etcd_peer_tls_archive_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


class Releases:
    """Archives by version, made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Options] = {}

    def __getitem__(self, version: str) -> Options:
        if version not in self._made:
            self._made[version] = release(self._folder, version)
        return self._made[version]
