# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user says is to be revoked (``etcd_peer_tls_revoked``), read and checked before a host is spoken to.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, FileError, InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.revocation import normalized_word
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import certificate_ders, written_certificate

_VARIABLE = "etcd_peer_tls_revoked"
_MOST_CHARACTERS = 253


def checked_revoked(words: t.Iterable[str]) -> list[str]:
    """Serial numbers, names and certificates (PEM), each as it is looked for. InputError with one line."""
    return list(dict.fromkeys(_checked(word.strip()) for word in words))


def _checked(word: str) -> str:
    if "-----BEGIN" in word:
        return _certificate(word, _VARIABLE)
    if "/" in word or word.endswith((".crt", ".pem", ".cer")):
        return _certificate(_content(word), word)
    if not word or not word.isprintable() or len(word) > _MOST_CHARACTERS:
        raise InputError(
            f"{_VARIABLE}: {word[:40]!r} is no serial number, no member's name and no path of a certificate's file"
        )
    return normalized_word(word)


def _content(path: str) -> bytes:
    try:
        content = read_file(os.path.abspath(os.path.expanduser(path)))
    except FileError as exc:
        raise InputError(f"{_VARIABLE}: {exc}") from None
    if content is None:
        raise InputError(f"{_VARIABLE}: there is no file {path} on the controller: name the certificate's file")
    return content


def _certificate(text: str | bytes, what: str) -> str:
    try:
        first, *_parents = certificate_ders(text, what)
    except CryptoError as exc:
        raise InputError(f"{_VARIABLE}: {exc}") from None
    return written_certificate(first)


__all__ = ("checked_revoked",)
