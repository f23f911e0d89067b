# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name on its host, and checks what that answers.

A request is written anew from what was read in it: nothing that a host puts beside it goes on, a key above all.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.signing_request import request_der, written_request
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import AnswerError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import CheckedAction, schema_of


class ActionModule(CheckedAction):
    """What the module answers, as far as it is documented."""

    schema = schema_of("etcd_peer_key")

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        answer = super()._answer(task_vars)
        if answer.get("request_pem") is not None:
            host = self._task.delegate_to or task_vars.get("inventory_hostname") or "the host"
            try:
                answer["request_pem"] = written_request(request_der(answer["request_pem"], "its request"))
            except CryptoError as exc:
                raise AnswerError(f"{host}: {exc}") from None
        return answer


__all__ = ("ActionModule",)
