# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of given CAs that lie on this host together with their private keys: whoever has such a pair may call.

A worker's, an admin's or an application's pair of the peers' CA is what would really get in at a peer port, so these
are the best strangers that there are. The keys are read into memory for that, and go nowhere.

No link is followed, every file is looked at before it is opened, and what is read has limits: the folders are those
where other users may write as well.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import os
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import open_regular
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, pem_text, split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import client_context

FOLDERS = (
    *("/etc", "/opt", "/srv", "/root", "/home", "/usr/local", "/var/lib/etcd", "/var/lib/kubelet/pki"),
    *("/var/lib/kubernetes", "/var/lib/rancher", "/var/lib/pki"),
)
_ENDINGS = (".pem", ".crt", ".cer", ".cert", ".key")
_PASSED_OVER = frozenset((".git", "node_modules", "site-packages", "dist-packages", "__pycache__"))
_FILE_BYTES = 64 * 1024
# For the whole host.
_ENTRIES, _DEPTH, _SECONDS, _KEYS, _TRIES = 100_000, 12, 20.0, 2000, 4000
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Pair:
    """A certificate with its key. ``chain``: the certificates of its file, as PEM."""

    path: str
    key_path: str
    certificate: Certificate
    chain: bytes = field(repr=False)
    private_key: bytes = field(repr=False)


@dataclass(frozen=True)
class Pairs:
    """What lies on a host. ``problem``: why there may be more than was found; None where all was looked through."""

    found: tuple[Pair, ...]
    left_out: int
    problem: str | None


def pairs_on_host(
    folders: t.Iterable[str],
    issuers: t.Container[bytes],
    wanted_first: t.Container[str | None],
    most: int,
    now: datetime.datetime,
) -> Pairs:
    """The pairs whose issuer is one of those names (DER); the first ``most`` of them.

    ``wanted_first``: common names that somebody lets in, so that a pair with one of them is not among those left out.
    """
    search = _Search(issuers, now)
    for folder in _uppermost(folders):
        search.go_through(folder)
    pairs = search.pairs()
    pairs.sort(key=lambda pair: (pair.certificate.common_name not in wanted_first, not _is_client(pair), pair.path))
    return Pairs(tuple(pairs[:most]), max(0, len(pairs) - most), search.problem)


def _uppermost(folders: t.Iterable[str]) -> list[str]:
    """Without those that lie in another one of them."""
    paths = sorted({os.path.normpath(folder) for folder in folders})
    return [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]


def _is_client(pair: Pair) -> bool:
    usages = pair.certificate.extended_key_usage
    return usages is None or "clientAuth" in usages or "anyExtendedKeyUsage" in usages


class _Candidate(t.NamedTuple):
    path: str
    certificate: Certificate
    chain: bytes


class _Search:
    def __init__(self, issuers: t.Container[bytes], now: datetime.datetime) -> None:
        self._issuers, self._now = issuers, now
        self._deadline = time.monotonic() + _SECONDS
        self._entries = self._tries = 0
        self._candidates: dict[str, _Candidate] = {}
        self._keys: dict[str, bytes] = {}
        self.problem: str | None = None

    def go_through(self, folder: str) -> None:
        try:
            # Of the folder that was named, links are followed: /etc/ssl may be one. Of those below it none.
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            self._below(descriptor, folder, 0)
        finally:
            os.close(descriptor)

    def _below(self, descriptor: int, path: str, depth: int) -> None:
        folders: list[str] = []
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    self._entries += 1
                    if self._entries > _ENTRIES or time.monotonic() > self._deadline:
                        self.problem = f"there are too many files in {path}: not all were looked at"
                        return
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif entry.name.endswith(_ENDINGS) and entry.is_file(follow_symlinks=False):
                        self._take(descriptor, entry.name, path)
        except OSError:
            return
        for name in sorted(set(folders) - _PASSED_OVER):
            where = os.path.join(path, name)
            if depth == _DEPTH:
                self.problem = f"{where} lies too deep: it was not looked at"
                continue
            try:
                inner = os.open(name, _FOLDER_FLAGS, dir_fd=descriptor)
            except OSError:
                continue
            try:
                self._below(inner, where, depth + 1)
            finally:
                os.close(inner)

    def _take(self, descriptor: int, name: str, folder: str) -> None:
        path = os.path.join(folder, name)
        try:
            with open_regular(name, descriptor, follow=False, shown=path) as stream:
                content = stream.read(_FILE_BYTES + 1)
            if len(content) > _FILE_BYTES or b"-----BEGIN" not in content:
                return
            blocks = split_pem(content, path)
            if any(block.label.endswith("PRIVATE KEY") for block in blocks) and len(self._keys) < _KEYS:
                self._keys[path] = content
            leaves = [block.der for block in blocks if block.label == CERTIFICATE_LABEL]
            if leaves:
                self._take_certificate(path, leaves)
        except (OSError, RingfenceError):
            # What can't be read here can't be used by whoever finds it either, or is no pair.
            return

    def _take_certificate(self, path: str, ders: t.Sequence[bytes]) -> None:
        certificate = read_certificate(ders[0], path)
        if certificate.issuer not in self._issuers or not certificate.not_before <= self._now <= certificate.not_after:
            return
        chain = b"".join(pem_text(CERTIFICATE_LABEL, der) for der in ders)
        self._candidates.setdefault(certificate.fingerprint, _Candidate(path, certificate, chain))

    def pairs(self) -> list[Pair]:
        found = []
        for candidate in self._candidates.values():
            key_path = self._key_of(candidate)
            if key_path is not None:
                key = self._keys[key_path]
                found.append(Pair(candidate.path, key_path, candidate.certificate, candidate.chain, key))
        return found

    def _key_of(self, candidate: _Candidate) -> str | None:
        """The file with its key: the same file, one of the same folder, or one of nearly the same name elsewhere."""
        folder, stem = os.path.dirname(candidate.path), _stem(candidate.path)

        def distance(path: str) -> tuple[bool, bool, bool]:
            return path != candidate.path, os.path.dirname(path) != folder, _stem(path) != stem

        for path in sorted(self._keys, key=lambda path: (distance(path), path)):
            _is_other, is_elsewhere, has_other_name = distance(path)
            if is_elsewhere and has_other_name:
                continue
            self._tries += 1
            if self._tries > _TRIES or time.monotonic() > self._deadline:
                self.problem = "there are too many certificates and keys: not all were tried with each other"
                return None
            try:
                client_context(None, candidate.chain, self._keys[path])
            except RingfenceError:
                continue
            return path
        return None


def _stem(path: str) -> str:
    """What the names of a certificate's and its key's file have in common."""
    name = os.path.splitext(os.path.basename(path))[0]
    for ending in ("-key", ".key", "_key", "-cert", ".cert", "_cert", ".crt"):
        name = name[: -len(ending)] if name.endswith(ending) else name
    return name


__all__ = ("FOLDERS", "Pair", "Pairs", "pairs_on_host")
