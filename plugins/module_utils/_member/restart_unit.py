# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This node's unit as the guarded restart uses it: restart it, report how it is, and what a restart brings.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import is_larger_quota
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.last_words import cause_of
from ansible_collections.ringfence.etcd.plugins.module_utils._member.pending_restart import start_of
from ansible_collections.ringfence.etcd.plugins.module_utils._member.program_exchange import (
    ETCD,
    ProgramPlace,
    exchange_program,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.running_unit import FoundUnit, find
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    deployed_from_arguments,
)


def brings_more_space(unit: str, unit_directory: str) -> bool:
    """Whether a restart gives the process a larger quota than it has now."""
    found = find(unit, unit_directory)
    if found.settings is None or found.text is None:
        return False
    start = start_of(found, unit, found.text)
    if start is None:
        return False
    after = deployed_from_arguments(start.argv, start.environment)
    return is_larger_quota(found.settings["flags"], after["flags"])


class SystemdUnit:
    """This node's unit for the guarded restart."""

    def __init__(self, name: str, unit_directory: str, program_staged: bool = False) -> None:
        self._name = name
        self._unit_directory = unit_directory
        self._program_staged = program_staged
        self._exchanged: str | None = None
        self._ran: str | None = None
        self._old_pid: int | None = None

    @property
    def name(self) -> str:
        return self._name

    def pid(self) -> int | None:
        """The unit's main process; None where none runs."""
        return manager.main_pid(manager.show(self._name)) or None

    def restart(self) -> None:
        found = find(self._name, self._unit_directory)
        self._old_pid = manager.main_pid(found.properties) or None
        if self._program_staged and found.text is not None:
            # At the last moment: what dies before it is started again by systemd from the program that it ran with.
            self._exchanged = exchange_program(found.text)
            self._ran = found.settings["program"] if found.settings else None
        manager.restart_no_block(self._name)

    def way_back(self) -> str | None:
        """How to undo what ``restart`` did to the program; None where it did nothing."""
        if self._exchanged is None:
            return None
        if self._ran != self._exchanged:
            return f"{self._exchanged} was put in place just before: what it ran with is {self._ran}, as it was"
        backup = ProgramPlace(self._exchanged).backup(ETCD)
        return (
            f"its program was exchanged just before, and what it ran with is {backup}: the way back is 'mv {backup} "
            f"{self._exchanged} && systemctl restart {self._name}' on this host, or a run with that one's archive"
        )

    def process_problem(self) -> str | None:
        return self._problem_of(find(self._name, self._unit_directory))

    def problem(self) -> str | None:
        found = find(self._name, self._unit_directory)
        if found.active_state != "active":
            return f"{self._name} is {found.active_state} ({found.sub_state})"
        return self._problem_of(found)

    def has_failed(self) -> bool:
        return manager.show(self._name).get("ActiveState") == "failed"

    def cause(self) -> str | None:
        return manager.last_words(self._name, cause_of)

    def journal_tail(self) -> str:
        return manager.journal_tail(self._name)

    def _problem_of(self, found: FoundUnit) -> str | None:
        if found.process is None:
            return f"{self._name} is {found.active_state} ({found.sub_state}), no process runs"
        if found.process["pid"] == self._old_pid:
            return f"the old process of {self._name} has not ended yet"
        configuration_hash = configuration_hash_of(found.text or "")
        if (
            configuration_hash is not None
            and self._old_pid is not None
            and found.process["environ_hash"] != configuration_hash
        ):
            return f"the process of {self._name} was not started with the unit that is deployed"
        return None


__all__ = (
    "SystemdUnit",
    "brings_more_space",
)
