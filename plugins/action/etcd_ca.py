# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Does the module's work in this process where the CA is on the controller; elsewhere checks the module's answer."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.modules.etcd_ca import argument_spec, run
from ansible_collections.ringfence.etcd.plugins.plugin_utils._ca_host_actions import CaHostAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import schema_of


class ActionModule(CaHostAction):
    """What the module answers, as far as it is documented."""

    schema = schema_of("etcd_ca")

    def _answer_here(self, now: datetime.datetime) -> tuple[dict[str, t.Any], t.Sequence[str]]:
        answer = run(self._given(argument_spec()), now, check_mode=bool(self._task.check_mode))
        return answer, answer["notes"]


__all__ = ("ActionModule",)
