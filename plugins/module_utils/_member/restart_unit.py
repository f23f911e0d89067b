# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This node's unit as the guarded restart uses it: restart it, report how it is, and what a restart brings.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_arguments
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import is_larger_quota
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import trial
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.last_words import cause_of
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal_entries import has_old_entries
from ansible_collections.ringfence.etcd.plugins.module_utils._member.pending_restart import start_of
from ansible_collections.ringfence.etcd.plugins.module_utils._member.program_exchange import (
    ETCD,
    ProgramPlace,
    exchange_program,
    is_exchange_pending,
    put_back_programs,
    staged_programs,
    started_program,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.revocation import check_lists_of_unit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.running_unit import FoundUnit, find
from ansible_collections.ringfence.etcd.plugins.module_utils._member.shut_out import shut_out
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_of, exec_command

# etcd 3.6's own, where nobody says another one (embed/config.go).
_SNAPSHOT_COUNT = 10_000


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
        self._came_with: list[str] = []
        self._is_taken_back = False
        self._old_pid: int | None = None

    @property
    def name(self) -> str:
        return self._name

    def pid(self) -> int | None:
        """The unit's main process; None where none runs."""
        return manager.main_pid(manager.show(self._name)) or None

    def restart(self) -> None:
        found = find(self._name, self._unit_directory)
        check_lists_of_unit(found.text, self._name)
        self._old_pid = manager.main_pid(found.properties) or None
        if self._program_staged and found.text is not None:
            program = started_program(found.text)
            self._came_with = staged_programs(ProgramPlace(program)) if program else []
            # At the last moment: what dies before it is started again by systemd from the program that it ran with.
            self._exchanged = exchange_program(found.text)
            self._ran = found.settings["program"] if found.settings else None
        manager.restart_no_block(self._name)

    def shuts_out(self) -> t.Callable[[t.Iterable[str]], str | None]:
        found = find(self._name, self._unit_directory)
        start = None if found.text is None else start_of(found, self._name, found.text)
        if start is None:
            return lambda _peer_urls: None
        settings = deployed_from_arguments(start.argv, start.environment)
        return shut_out(settings, datetime.datetime.now(datetime.timezone.utc))

    def way_back(self) -> str | None:
        """How to undo what ``restart`` did to the program; None where it did nothing, or that is undone without."""
        if self._exchanged is None or self._is_taken_back:
            return None
        if self._ran != self._exchanged:
            return f"{self._exchanged} was put in place just before: what it ran with is {self._ran}, as it was"
        backup = ProgramPlace(self._exchanged).backup(ETCD)
        return (
            f"its program was exchanged just before, and what it ran with is {backup}: the way back is 'mv {backup} "
            f"{self._exchanged} && systemctl restart {self._name}' on this host, or a run with that one's archive"
        )

    # A change of the minor version

    def next_version(self) -> str | None:
        """The version that the next start runs, in its own words; None where that is not known."""
        program = started_program(find(self._name, self._unit_directory).text)
        if program is None:
            return None
        is_new = is_exchange_pending(program, self._program_staged, check_mode=False)
        try:
            return trial.etcd_version(ProgramPlace(program).staged(ETCD) if is_new else program)
        except RingfenceError:
            return None

    def has_old_entries(self) -> bool | None:
        """Whether the log has entries that 3.7 can't read; None where that can't be seen."""
        settings = find(self._name, self._unit_directory).settings
        return None if settings is None else has_old_entries(settings["data_dir"], settings["flags"].get("wal-dir"))

    def snapshot_count(self) -> int:
        """After how many entries the process makes a snapshot."""
        settings = find(self._name, self._unit_directory).settings
        said = "" if settings is None else settings["flags"].get("snapshot-count", "")
        return int(said) if said.isdecimal() else _SNAPSHOT_COUNT

    def may_be_put_back(self) -> bool:
        """Whether the program that runs can be put back after the restart, should that fail; then no one is told how.

        One that the unit names no more, or that some one else than this module replaced, is not there any more.
        """
        found = find(self._name, self._unit_directory)
        program, *arguments = exec_command(found.text or "") or [""]
        ran = found.settings["program"] if found.settings else None
        self._is_taken_back = (
            bool(program)
            and ran == program
            and is_exchange_pending(program, self._program_staged, check_mode=False)
            and found.process is not None
            and not manager.program_was_replaced(found.process, program)
            and _takes(program, arguments)
        )
        return self._is_taken_back

    def put_back(self) -> bool:
        """Put the program that ran before ``restart`` in place again, and queue a restart with it.

        False where ``restart`` did not come as far as to exchange it: then the old process still runs.
        """
        if self._exchanged is None:
            return False
        put_back_programs(ProgramPlace(self._exchanged), self._came_with)
        self._old_pid = self.pid()
        manager.restart_no_block(self._name)
        return True

    # How it is

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


def _takes(program: str, arguments: list[str]) -> bool:
    try:
        trial.check_arguments(program, arguments)
    except RingfenceError:
        return False
    return True


__all__ = (
    "SystemdUnit",
    "brings_more_space",
)
