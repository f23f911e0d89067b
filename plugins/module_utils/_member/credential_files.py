# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's three files, and the CA's revocation list beside them: their names and paths.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os

CA, CERTIFICATE, PRIVATE_KEY = "ca", "certificate", "private_key"

# The order in which the files are renamed: a reader that finds the certificate finds its key and the trust bundle too.
FILES = (CA, PRIVATE_KEY, CERTIFICATE)

# Where there is one: etcd lets nobody in while the file that it was started with is not there.
REVOCATION_LIST = "revocation_list"


def credential_paths(directory: str, name: str) -> dict[str, str]:
    """The paths of a member's three files."""
    return {
        CA: os.path.join(directory, "ca.crt"),
        CERTIFICATE: os.path.join(directory, f"{name}.crt"),
        PRIVATE_KEY: os.path.join(directory, f"{name}.key"),
    }


def requested_key_path(directory: str, name: str) -> str:
    """Where a private key that its own host has made waits for its certificate."""
    return os.path.join(directory, f"{name}.key.requested")


def revocation_list_path(directory: str) -> str:
    """Where the CA's revocation list is on a node."""
    return os.path.join(directory, "ca.crl")


__all__ = (
    "CA",
    "CERTIFICATE",
    "FILES",
    "PRIVATE_KEY",
    "REVOCATION_LIST",
    "credential_paths",
    "requested_key_path",
    "revocation_list_path",
)
