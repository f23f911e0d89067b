# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module of the same name on its host, and checks what that answers.

What etcd would not read in the certificates is told here, as for a member's.
"""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.action.etcd_peer_credentials import ActionModule as PeerCredentials
from ansible_collections.ringfence.etcd.plugins.plugin_utils._node_actions import schema_of


class ActionModule(PeerCredentials):
    """What the module answers, as far as it is documented."""

    schema = schema_of("etcd_client_credentials")


__all__ = ("ActionModule",)
