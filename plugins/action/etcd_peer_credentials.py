# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name on its host, and checks what that answers.

What etcd would not read in the certificates is told here, where there is the library for it.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, PemBlock, split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    check_read_by_etcd,
    read_certificate,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import refuse_old_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of


class ActionModule(CheckedAction):
    """What the module answers, as far as it is documented."""

    schema = schema_of("etcd_peer_credentials")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        refuse_old_cryptography()
        for option in ("ca_certificate_content", "certificate_content"):
            _check(plain(self._task.args.get(option)), option)
        return super()._answer(task_vars)


def _check(content: t.Any, option: str) -> None:
    """CryptoError where etcd would not read a certificate in an option; all else is for the module to say."""
    blocks: tuple[PemBlock, ...] = ()
    if isinstance(content, str):
        with contextlib.suppress(CryptoError):
            blocks = split_pem(content.encode("utf-8", "replace"), option)
    for block in blocks:
        if block.label == CERTIFICATE_LABEL:
            check_read_by_etcd(read_certificate(block.der, option), option)


__all__ = ("ActionModule",)
