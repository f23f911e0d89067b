# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd unit of a member that joins: started with the list that the cluster tells when it is added.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import read_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._member import restart_unit, unit_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import WantedUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import remove_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.first_start import joining


class SystemdJoiningUnit:
    """A wanted unit that is started once its member is in the cluster's list.

    ``replaced``: its data is lost, and the user said that it joins anew without.
    """

    def __init__(self, wanted: WantedUnit, replaced: bool = False) -> None:
        self._wanted = wanted
        self._replaced = replaced
        self._unit = restart_unit.SystemdUnit(wanted.name, wanted.unit_directory)

    def has_data(self) -> bool:
        place = self._wanted.place
        return place is not None and read_identity(place.data_dir, place.wal_dir) is not None

    def start(self, members: t.Mapping[str, str]) -> None:
        wanted = self._wanted
        if not self.has_data():
            self._let_go_of_the_marker()
            wanted = replace(wanted, text=joining(wanted.text, members))
        unit_plan.apply_plan(unit_plan.plan_present(wanted, False, check_mode=False))

    def _let_go_of_the_marker(self) -> None:
        place = self._wanted.place
        if place is None or not os.path.lexists(place.marker):
            return
        if not self._replaced:
            raise RefusedError(
                f"{self._wanted.name}: {place.marker} says that its member has had data, and there is none in "
                f"{place.data_dir}: mount or restore it, or let it join anew with etcd_peer_tls_replaced",
                unit=self._wanted.name,
            )
        remove_file(place.marker)

    def is_started(self) -> bool:
        return manager.show(self._wanted.name).get("ActiveState") in ("active", "activating", "reloading")

    def why_not_running(self) -> str | None:
        if self._unit.pid() is not None:
            return None
        return self._unit.cause() or self._unit.journal_tail()


__all__ = ("SystemdJoiningUnit",)
