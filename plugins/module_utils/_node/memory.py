# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hands content to OpenSSL from memory, because the ssl module takes only paths: no key gets to a disk.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError

# A bundle's certificate is trusted even where its own issuer is not in the bundle, as Go does it.
# (ssl.VERIFY_X509PARTIAL_CHAIN has a name only from Python 3.10 on.)
PARTIAL_CHAIN = 0x80000


@contextlib.contextmanager
def in_memory(content: bytes) -> t.Iterator[str]:
    """A path under which OpenSSL reads the content from memory; it is gone with the block.

    FileError where the content can't be put there, or not be read from there.
    """
    try:
        descriptor = os.memfd_create("ringfence", os.MFD_CLOEXEC)
    except (AttributeError, OSError) as exc:
        # A temporary file instead would put a private key on a disk: rather no check at all.
        raise FileError(
            f"no anonymous file in memory (memfd_create) on this host, keys can't be checked: {exc}"
        ) from None
    try:
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
        yield f"/proc/self/fd/{descriptor}"
    except ssl.SSLError:
        # OpenSSL has read it, and says what it is.
        raise
    except OSError as exc:
        raise FileError(
            f"keys can't be checked in this host's memory: {exc.strerror or exc}: see its limits (ulimit -a), and "
            "whether /proc is mounted"
        ) from None
    finally:
        os.close(descriptor)


__all__ = (
    "PARTIAL_CHAIN",
    "in_memory",
)
