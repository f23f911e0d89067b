# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The revocation list that a member's etcd reads, and whether it can. Reads only.

etcd reads it at each new connection and refuses everybody where it can't. Connections that stand go on, so that this
shows at the next restart. Therefore nothing is started or restarted with a list that is of no use.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.own_flags import REVOCATION_LISTS
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import parse_version
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    RefusedError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import revocation_list_path
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_revoked
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.processes import as_process_sees
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import REVOCATION_LIST_LABEL, pem_text

# From here on a revocation list in PEM has every caller refused (tried on 3.6.16 and 3.7.3).
_FIRST_WITH_DER_ALONE = (3, 6, 0)
# What an answer has room for: a thousand serial numbers.
_MOST_BYTES = 40 * 1024


class RevocationListFacts(t.TypedDict):
    """``serial_numbers``: None where etcd could use no list, for ``problem``. ``pem``: the list, signature and all."""

    path: str | None
    pem: str | None
    serial_numbers: list[str] | None
    problem: str | None


def revocation_list_facts(
    settings: t.Mapping[str, t.Any] | None, directory: str, pid: int | None, version: str | None
) -> RevocationListFacts:
    """The list that etcd reads with its settings at the peer port; without such a flag the one that is deployed.

    ``settings``: of the process, or of the unit where none runs.
    """
    named = ((settings or {}).get("files") or {}).get("peer_crl_file")
    path = as_process_sees(named, pid) or revocation_list_path(directory)
    content, found, problem = _read(path, version)
    return {
        "path": path if named or os.path.lexists(path) else None,
        "pem": None if problem is not None else _pem(content),
        "serial_numbers": None if problem is not None else sorted(found),
        "problem": problem,
    }


def usable_revoked(path: str, version: str | None) -> tuple[frozenset[str], str | None]:
    """What a list revokes, and why an etcd of this version can't use it; None where it can."""
    _content, found, problem = _read(path, version)
    return found, problem


def _read(path: str, version: str | None) -> tuple[bytes, frozenset[str], str | None]:
    """The list as it is, and the same of it: read once, because another run may put a new one in its place."""
    try:
        content = read_file(path)
        if content is None:
            return b"", frozenset(), f"{path} does not exist"
        return content, read_revoked(content, path), _why_not_read(content, path, version)
    except RingfenceError as exc:
        return b"", frozenset(), str(exc)


def check_lists_of_unit(text: str | None, unit: str) -> None:
    """RefusedError where a unit names a list with which etcd would let nobody in."""
    deployed = None if text is None else deployed_from_text(text)
    if deployed is None:
        return
    for flag in sorted(REVOCATION_LISTS):
        path = deployed["flags"].get(flag)
        # In PEM it is read by some; which etcd is going to run is not known here.
        problem = usable_revoked(path, None)[1] if path and os.path.isabs(path) else None
        if problem is not None:
            raise RefusedError(
                f"{unit} names a revocation list (--{flag}) with which etcd would let nobody in: {problem}; run over "
                "this host with the CA's host in reach: it puts the CA's list there again",
                unit=unit,
            )


def _pem(content: bytes) -> str | None:
    if b"-----BEGIN" in content or len(content) > _MOST_BYTES:
        return None
    return pem_text(REVOCATION_LIST_LABEL, content).decode("ascii")


def _why_not_read(content: bytes, path: str, version: str | None) -> str | None:
    """Why a version of etcd would not take a list that can be read; None without a version."""
    with contextlib.suppress(RingfenceError):
        if b"-----BEGIN" in content and version is not None and parse_version(version) >= _FIRST_WITH_DER_ALONE:
            return f"{path} is in PEM, and etcd {version} reads DER alone"
    return None


__all__ = (
    "RevocationListFacts",
    "check_lists_of_unit",
    "revocation_list_facts",
    "usable_revoked",
)
