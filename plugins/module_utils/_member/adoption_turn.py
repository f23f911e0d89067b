# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's turn when the role's unit takes the place of theirs, or theirs comes back: one restart under the guard.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._member.adoption import (
    Adoption,
    AdoptionPlan,
    plan_adoption,
    plan_way_back,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import ClusterUrls, restart_guarded
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart_unit import SystemdUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.shut_out import shut_out
from ansible_collections.ringfence.etcd.plugins.module_utils._member.takeover_turn import check_own_name
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager


def plan_of(wanted: Adoption, is_back: bool, check_mode: bool = False) -> AdoptionPlan:
    """What is to be done now, there or back."""
    return plan_way_back(wanted) if is_back else plan_adoption(wanted, check_mode)


class AdoptedUnit(SystemdUnit):
    """A unit whose files are written in its turn, just before the restart."""

    def __init__(self, wanted: Adoption, is_back: bool) -> None:
        super().__init__(wanted.member.unit, wanted.unit_directory)
        self._wanted, self._is_back = wanted, is_back
        self._undo = ""

    def restart(self) -> None:
        plan = plan_of(self._wanted, self._is_back)
        self._undo = plan.way_back
        plan.apply(self.name)
        self._old_pid = self.pid()
        manager.restart_no_block(self.name)

    def shuts_out(self) -> t.Callable[[t.Iterable[str]], str | None]:
        try:
            settings = plan_of(self._wanted, self._is_back).asked_with
            if not settings["files"]["peer_cert_file"]:
                # Its peers speak http, as they did: nobody is asked for a certificate.
                return lambda _peer_urls: None
            check_own_name(settings, self._wanted.member)
        except RingfenceError as exc:
            why = str(exc)
            return lambda _peer_urls: why
        return shut_out(settings, datetime.datetime.now(datetime.timezone.utc), is_strict=True)

    def way_back(self) -> str | None:
        return f"the way back is '{self._undo}' on this host" if self._undo else None


def take_turn(
    wanted: Adoption,
    is_back: bool,
    cluster: ClusterUrls,
    client: Client,
    wait_seconds: float,
    timeout_seconds: float,
) -> list[Reason]:
    """Restart this member from the other unit once it may be; why it was restarted."""
    done = restart_guarded(
        AdoptedUnit(wanted, is_back),
        cluster,
        client,
        lambda: list(plan_of(wanted, is_back).pending),
        wait_seconds=wait_seconds,
        timeout_seconds=timeout_seconds,
    )
    plan = plan_of(wanted, is_back)
    if plan.pending:
        raise ServiceError(
            f"{wanted.member.member} was restarted, and does not run from the unit that it should: the way back is "
            f"'{plan.way_back}' on this host",
            member=wanted.member.member,
        )
    return done


__all__ = ("AdoptedUnit", "plan_of", "take_turn")
