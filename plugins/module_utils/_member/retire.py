# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a member leaves behind on its host once the cluster does not list it: its unit off, its data put aside.

etcd ends by itself when it is removed, and its unit starts it for ever; what it left would keep it from joining anew.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import read_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._member.formed import MemberPlace
from ansible_collections.ringfence.etcd.plugins.module_utils._node.file_moves import put_aside
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import remove_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_of

STOP, DISABLE, MOVE_DATA, REMOVE_MARKER = "stop", "disable", "move_data", "remove_marker"


@dataclass(frozen=True)
class Retirement:
    """What there is to do on the host of a member that was removed."""

    unit: str
    place: MemberPlace
    actions: tuple[str, ...]
    # What the data is called from then on: the member's id, so that two never meet.
    ending: str

    @property
    def data(self) -> tuple[str, ...]:
        """The folders that are put aside: all that etcd has in its data folder, and a log of its own."""
        own_log = () if self.place.wal_dir is None else (self.place.wal_dir,)
        return (os.path.join(self.place.data_dir, "member"), *own_log)


def plan_retirement(
    unit: str, unit_directory: str, directory: str, name: str, listed: t.Callable[[], t.Iterable[LiveMember]]
) -> Retirement | None:
    """What has to be done; None where no unit of this member is here. Nothing is changed yet.

    ``listed``: the member list of those that stay, asked only where there is something to lose. RefusedError where it
    has this host's member.
    """
    text = (read_file(os.path.join(unit_directory, unit)) or b"").decode("utf-8", "replace")
    deployed = deployed_from_text(text)
    if deployed is None or configuration_hash_of(text) is None or deployed["member_name"] != name:
        return None
    place = MemberPlace(directory, name, deployed["data_dir"], deployed["flags"].get("wal-dir") or None)
    identity = read_identity(place.data_dir, place.wal_dir)
    properties = manager.show(unit)
    actions = [STOP] if properties.get("ActiveState") not in ("inactive", "failed") else []
    actions += [DISABLE] if properties.get("UnitFileState") == "enabled" else []
    actions += [MOVE_DATA] if identity is not None else []
    actions += [REMOVE_MARKER] if os.path.lexists(place.marker) else []
    member_id = None if identity is None else identity[0]
    for one in listed() if actions else ():
        if member_id == one.member_id or (member_id is None and one.name == name):
            raise RefusedError(
                f"{name} is a member of the cluster still ({one.member_id}), and is not stopped: remove it first "
                "(etcd_peer_tls_removed)",
                member=name,
            )
    return Retirement(unit, place, tuple(actions), f"removed-{member_id}")


def retire(plan: Retirement) -> list[str]:
    """Carry it out; gives the paths that the data has now."""
    moved = []
    for action in plan.actions:
        if action == STOP:
            manager.stop(plan.unit)
        elif action == DISABLE:
            manager.disable(plan.unit)
        elif action == MOVE_DATA:
            moved = [aside for aside in (put_aside(path, plan.ending) for path in plan.data) if aside is not None]
        elif action == REMOVE_MARKER:
            remove_file(plan.place.marker)
    return moved


__all__ = ("Retirement", "plan_retirement", "retire")
