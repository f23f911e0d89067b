# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files for the tests of what writes them."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import WantedFile

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and mount")
SECRET = b"-----BEGIN PRIVATE KEY-----"


def mode_of(path: t.Any) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def write(path: pathlib.Path, content: bytes, mode: int = 0o644) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def wanted_three(folder: pathlib.Path) -> list[WantedFile]:
    return [
        WantedFile(str(folder / "ca.crt"), 0o644, b"ca"),
        WantedFile(str(folder / "m.key"), 0o600, SECRET, secret=True),
        WantedFile(str(folder / "m.crt"), 0o640, b"crt"),
    ]
