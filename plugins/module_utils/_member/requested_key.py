# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A private key that the member's own host makes, and that waits beside the one in use until it has a certificate.

``plan_key`` decides and writes nothing; ``apply_key`` carries it out and gives the request. The key in use is not
touched: ``credentials`` puts the new one in its place, together with its certificate.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    checked_member_name,
    checked_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    PRIVATE_KEY,
    credential_paths,
    requested_key_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import key_algorithm
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    Change,
    WantedDirectory,
    WantedFile,
    apply_changes,
    has_leftover,
    missing_parents,
    new_folders,
    plan_directory,
    plan_file,
    remove_leftover,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import Material, private_key_block
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.signing_request import (
    request_der,
    requested_key,
    written_request,
)

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import PeerProfile


class KeyMaker(t.Protocol):
    """What makes keys on this host; each of the two a CryptoError where it can't."""

    def private_key(self, key_type: str) -> bytes:
        """A new private key as PEM."""

    def request(self, private_key: bytes, common_name: str, asked: PeerProfile | None) -> bytes:
        """A request for it as PEM, with the whole certificate that is asked for, or a name alone."""


@dataclass(frozen=True)
class WantedKey:
    """What is asked for. ``fresh``: a key that waits is not used.

    ``asked``: the certificate, where the request is for a CA that issues what it says.
    """

    directory: str
    name: str
    key_type: str
    fresh: bool = False
    asked: PeerProfile | None = None


@dataclass(frozen=True)
class KeyPlan:
    """What is going to happen. ``request``: of the key that waits and stays, None where one is made."""

    wanted: WantedKey
    path: str
    directory_change: Change | None
    reasons: tuple[str, ...]
    request: str | None
    before: dict[str, t.Any]
    after: dict[str, t.Any]

    @property
    def changed(self) -> bool:
        return bool(self.reasons)


def plan_key(wanted: WantedKey, maker: KeyMaker) -> KeyPlan:
    """Whether a key is made, and why; nothing has happened yet."""
    checked_path(wanted.directory, "directory")
    checked_member_name(wanted.name, "name:")
    path = requested_key_path(wanted.directory, wanted.name)
    folder = None
    if not os.path.isdir(wanted.directory):
        # Its group and mode come with the certificate.
        folder = plan_directory(WantedDirectory(wanted.directory, 0o755))
    # Refuses what is no file.
    change = plan_file(_wanted_file(path, b""))
    waiting = read_file(path)
    why_not, request = (("missing",), None) if waiting is None else _usable(wanted, path, waiting, maker)
    leftover = ("leftover",) if has_leftover(path) else ()
    parents = () if folder is None else tuple(missing_parents(os.path.realpath(wanted.directory)))
    before, after = new_folders(parents)
    for one in (folder, change if why_not else None):
        if one is not None:
            before[one.path], after[one.path] = one.before, one.after
    return KeyPlan(wanted, path, folder, (*why_not, *leftover), request, before, after)


def apply_key(plan: KeyPlan, maker: KeyMaker) -> str:
    """Carry it out; gives the request as PEM. The request is there before the key is written."""
    content: bytes | None = None
    request = plan.request
    if request is None:
        content = maker.private_key(plan.wanted.key_type)
        private_key_block(Material("the new private key", content))
        request = _request_for(plan.wanted, content, maker)
    remove_leftover(plan.path)
    apply_changes([plan.directory_change])
    if content is not None:
        apply_changes([plan_file(_wanted_file(plan.path, content))])
    return request


def _wanted_file(path: str, content: bytes) -> WantedFile:
    """Of the user that the module runs as, which etcd's is not: it has no use for a key without a certificate."""
    return WantedFile(path, 0o600, content, os.geteuid(), os.getegid(), secret=True)


def _usable(wanted: WantedKey, path: str, waiting: bytes, maker: KeyMaker) -> tuple[tuple[str, ...], str | None]:
    """Why the key that waits is not used, and its request where it is."""
    if wanted.fresh:
        return ("fresh",), None
    if not _is_closed(path):
        # Others may have read it.
        return ("open",), None
    try:
        block = private_key_block(Material(path, waiting))
        in_use = _key_in_use(wanted)
        if in_use is not None and in_use == block.der:
            # A run was killed when it had put the key in place: it is certified, and no new one.
            return ("in_use",), None
        return (), _request_for(wanted, waiting, maker)
    except CryptoError:
        return ("unusable",), None


def _is_closed(path: str) -> bool:
    info = os.lstat(path)
    return stat.S_ISREG(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o077


def _key_in_use(wanted: WantedKey) -> bytes | None:
    path = credential_paths(wanted.directory, wanted.name)[PRIVATE_KEY]
    content = read_file(path)
    with contextlib.suppress(CryptoError):
        return None if content is None else private_key_block(Material(path, content)).der
    return None


def _request_for(wanted: WantedKey, private_key: bytes, maker: KeyMaker) -> str:
    """The request for a key as PEM; CryptoError where the key has another type."""
    what = "the request"
    der = request_der(maker.request(private_key, wanted.name, wanted.asked), what)
    try:
        found = key_algorithm(requested_key(der, what))
    except Malformed:
        found = "unknown"
    if found != wanted.key_type:
        raise CryptoError(f"the private key that was made has the type {found}, {wanted.key_type} is wanted")
    return written_request(der)


__all__ = ("KeyMaker", "KeyPlan", "WantedKey", "apply_key", "plan_key")
