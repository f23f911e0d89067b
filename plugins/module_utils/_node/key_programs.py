# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can make private keys on this host: its own `openssl`, or Python's `cryptography`.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

# Beside the caller's: an ordinary user's may lack those of root.
FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def openssl_path() -> str | None:
    """Where the program is; None where this host has none."""
    return shutil.which("openssl", path=f"{os.environ.get('PATH', '')}:{FOLDERS}")


def key_maker() -> str | None:
    """What makes private keys on this host, by its name; None where nothing does."""
    if openssl_path() is not None:
        return "openssl"
    return "cryptography" if importlib.util.find_spec("cryptography") is not None else None


__all__ = ("FOLDERS", "key_maker", "openssl_path")
