# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The exchange of etcd's programs: one that waits beside the one in place takes its place, and that one is kept.

Three names for each program: ``.etcd.ringfence-try`` while it is unpacked and tried, ``.etcd.ringfence-new`` once it
waits for its turn, and ``etcd.replaced`` for the one that it took the place of. All in one folder, so that each step is
a rename. Whoever is killed in between has changed nothing that runs, and the next run begins anew.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import trial
from ansible_collections.ringfence.etcd.plugins.module_utils._node.file_moves import put_back, put_in_place
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import staged_path
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import describe
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import exec_command

ETCD = "etcd"

# etcd is the last one: until it is exchanged, the next run sees that something is left to do.
PROGRAMS = ("etcdctl", "etcdutl", ETCD)


@dataclass(frozen=True)
class ProgramPlace:
    """Where the programs are: etcd at the path that the unit starts, the others beside it under their own names."""

    binary: str

    @property
    def folder(self) -> str:
        return os.path.dirname(self.binary)

    def path(self, program: str) -> str:
        return self.binary if program == ETCD else os.path.join(self.folder, program)

    def staged(self, program: str) -> str:
        return staged_path(self.path(program))

    def backup(self, program: str) -> str:
        return f"{self.path(program)}.replaced"


def is_staged(binary: str) -> bool:
    """Whether an etcd that was tried waits to take the place of this one."""
    return bool(describe(ProgramPlace(binary).staged(ETCD))["state"] == "file")


def exchange_programs(place: ProgramPlace) -> list[str]:
    """Put what waits in place, etcd last, and keep what was there; gives the names of the programs exchanged."""
    done = staged_programs(place)
    for program in done:
        put_in_place(place.staged(program), place.path(program), place.backup(program))
    return done


def staged_programs(place: ProgramPlace) -> list[str]:
    """The programs that wait, in the order in which they are exchanged."""
    return [program for program in PROGRAMS if describe(place.staged(program))["state"] == "file"]


def put_back_programs(place: ProgramPlace, programs: t.Sequence[str]) -> None:
    """Undo an exchange of these, etcd first: what was put in place waits again, as before."""
    for program in reversed(programs):
        put_back(place.backup(program), place.path(program), place.staged(program))


def check_flags(text: str, program_staged: bool, check_mode: bool) -> None:
    """ServiceError where the program that the unit is going to start does not take the unit\'s flags."""
    if program_staged and check_mode:
        # What is going to be started is not here: who staged it has tried it.
        return
    program, *arguments = exec_command(text)
    if is_exchange_pending(program, program_staged, check_mode):
        # What is going to be started is asked, and not what it takes the place of.
        program = ProgramPlace(program).staged(ETCD)
    trial.check_arguments(program, arguments)


def started_program(text: str | None) -> str | None:
    """The program that a unit\'s text starts; None where there is no text, or it starts none."""
    return next(iter(exec_command(text)), None) if text is not None else None


def is_exchange_pending(program: str | None, program_staged: bool, check_mode: bool) -> bool:
    """Whether another program waits for its turn: in check mode the caller knows, else the folder shows it."""
    return program is not None and program_staged and (check_mode or is_staged(program))


def exchange_program(text: str) -> str | None:
    """Put the program that waits in place, once it has been tried with this very unit's flags; gives its path.

    None where none waits.
    """
    program, *arguments = exec_command(text) or [""]
    if not program or not is_staged(program):
        return None
    place = ProgramPlace(program)
    trial.check_arguments(place.staged(ETCD), arguments)
    exchange_programs(place)
    return program


def program_diff(program: str | None) -> t.Iterator[dict[str, str]]:
    """What stands in place of the program's bytes: the versions, as far as there are programs that say one."""
    if program is None:
        return

    def version(path: str) -> str:
        try:
            return f"# version: {trial.etcd_version(path)}\n"
        except RingfenceError:
            return ""

    after = version(ProgramPlace(program).staged(ETCD)) or "# version: the archive's\n"
    yield {"before_header": program, "after_header": program, "before": version(program), "after": after}


__all__ = (
    "ETCD",
    "PROGRAMS",
    "ProgramPlace",
    "check_flags",
    "exchange_program",
    "exchange_programs",
    "is_exchange_pending",
    "is_staged",
    "program_diff",
    "put_back_programs",
    "staged_programs",
    "started_program",
)
