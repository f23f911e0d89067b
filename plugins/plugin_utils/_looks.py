# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the members' hosts have registered, for the actions that judge a whole cluster.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain


def registered_looks(
    task_vars: t.Mapping[str, t.Any], members: t.Sequence[t.Mapping[str, t.Any]], variable: str
) -> dict[str, t.Any]:
    """By member's name, what its host has registered under a name (None: nothing), for the hosts of this batch.

    Read as it was registered. An option that is templated would be copied leaf by leaf, which for the results of a
    whole cluster is the dearest thing that a run does.
    """
    present = set(plain(task_vars.get("ansible_play_batch", ())))
    hostvars = task_vars["hostvars"]
    looks = {}
    for member in members:
        host = member.get("host")
        if host in present:
            looks[plain(member.get("name"))] = plain(hostvars.raw_get(host).get(variable))
    return looks


__all__ = ("registered_looks",)
