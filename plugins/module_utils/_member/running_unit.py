# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's unit on this host as it is now: systemd's properties, its text and its process.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import NextStart


@dataclass(frozen=True)
class FoundUnit:
    """What this host has now: systemd's word on the unit, the unit's text, and its process."""

    properties: t.Mapping[str, str]
    text: str | None
    process: manager.ProcessFacts | None
    settings: Deployed | None
    # The data folders that the unit's processes have open.
    data_dirs: tuple[str, ...] = ()

    @property
    def active_state(self) -> str:
        return self.properties.get("ActiveState", "inactive")

    @property
    def sub_state(self) -> str:
        return self.properties.get("SubState", "dead")

    @property
    def is_running(self) -> bool:
        return self.process is not None

    def runs_with(self, start: NextStart | None) -> bool:
        """Whether the process has what the next start would give it; true where that is not known."""
        if self.process is None or start is None:
            return True
        return start.is_in_effect(self.process["argv"], self.process["environment"])


def find(unit: str, unit_directory: str) -> FoundUnit:
    """Look at the unit, its file in the folder where ours is written, and its process."""
    properties = manager.show(unit)
    text = text_at(os.path.join(unit_directory, unit))
    pid = manager.main_pid(properties)
    process = manager.process_facts(pid) if pid else None
    settings = deployed_from_arguments(process["argv"], process["environment"]) if process else None
    data_dirs = _open_data_dirs(pid) if process is not None and process["environ_hash"] is None else ()
    return FoundUnit(properties, text, process, settings, data_dirs)


def _open_data_dirs(pid: int) -> tuple[str, ...]:
    files = (processes.open_files(other) for other in processes.together_with(pid))
    return tuple(sorted({folder for names in files for folder in processes.data_folders(names or ())}))


def text_at(path: str) -> str | None:
    """The text of a unit\'s file; None where there is none."""
    content = read_file(path)
    return None if content is None else content.decode("utf-8", "replace")


def is_other_etcd(found: FoundUnit, data_dir: str) -> bool:
    """Whether the process of the unit's name is not this member: no configuration hash, and another data folder.

    An etcd without a configuration hash on this very data folder is this member before this collection took it over: it
    is restarted under the guard like any other. The folder is the one that it has open, whatever its settings are.
    """
    if found.process is None or found.settings is None or found.process["environ_hash"] is not None:
        return False
    if found.data_dirs:
        return os.path.realpath(data_dir) not in found.data_dirs
    return os.path.realpath(found.settings["data_dir"]) != os.path.realpath(data_dir)


def newer_files(settings: Deployed, properties: t.Mapping[str, str]) -> list[str]:
    """Of the files that etcd reads at its start only, those that are newer than its process."""
    files = settings["files"]
    paths = (files["peer_trusted_ca_file"], files["trusted_ca_file"])
    return sorted({path for path in paths if path and manager.written_after_start(path, properties)})


def newer_list(settings: Deployed, properties: t.Mapping[str, str]) -> bool:
    """Whether the revocation list is newer than the process: who connected before may still be there."""
    path = settings["files"]["peer_crl_file"]
    return bool(path) and manager.written_after_start(str(path), properties)


__all__ = (
    "FoundUnit",
    "find",
    "is_other_etcd",
    "newer_files",
    "newer_list",
    "text_at",
)
