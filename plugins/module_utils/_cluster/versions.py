# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions of etcd: how one is read, and what it understands.

Pure: no Ansible, no I/O.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RefusedError

Version = tuple[int, int, int]

# etcd PR 18160 (v3.5.15) and PR 18015 (v3.6.0): before, the flag is one common name, compared whole.
FIRST_VERSION_WITH_LIST: Version = (3, 5, 15)

OLDEST_VERSION: Version = (3, 4, 0)


def parse_version(text: str) -> Version:
    """``3.5.16`` (also with a leading v or a suffix such as ``-rc.1`` or ``+git``) as numbers; InputError otherwise."""
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?$", text.strip())
    if match is None:
        raise InputError(f"{text!r} is no etcd version: something like 3.5.16 is wanted")
    return int(match[1]), int(match[2]), int(match[3])


def read_version(text: t.Any) -> Version | None:
    """What a host told as a version; None where it is none."""
    try:
        return parse_version(text) if isinstance(text, str) else None
    except InputError:
        return None


def dotted(version: tuple[int, ...]) -> str:
    """A version, or its first parts, as people write it."""
    return ".".join(map(str, version))


def understands_list(version: Version) -> bool:
    """Whether --peer-cert-allowed-cn is a comma-separated list in this version."""
    return version >= FIRST_VERSION_WITH_LIST


def check_identity(version: Version, identity: str, member_name: str) -> None:
    """RefusedError where this version of etcd would lock every peer out with the identity that is asked for."""
    found = dotted(version)
    if version < OLDEST_VERSION:
        raise RefusedError(f"member {member_name} has etcd {found}: 3.4 or newer is wanted: upgrade etcd")
    if identity == "list" and not understands_list(version):
        raise RefusedError(
            f"member {member_name} has etcd {found}, which takes one allowed common name and compares it whole: a list "
            "would lock every peer out; upgrade etcd to 3.5.15 or newer, or set etcd_peer_tls_identity: shared (all "
            "members carry one common name)"
        )


__all__ = (
    "FIRST_VERSION_WITH_LIST",
    "OLDEST_VERSION",
    "Version",
    "check_identity",
    "dotted",
    "parse_version",
    "read_version",
    "understands_list",
)
