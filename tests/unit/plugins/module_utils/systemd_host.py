# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host whose systemd is told by the test, and a unit for it; what real systemd does, the lab shows."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import member_unit, unit_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import with_configuration_hash

NOTIFY = """[Unit]
Description=etcd

[Service]
Type=notify
Environment=RINGFENCE_CONFIGURATION_HASH=
ExecStart=/usr/bin/etcd --name=etcd-1 --data-dir=@data@

[Install]
WantedBy=multi-user.target
"""
PROPERTIES = {"ActiveState": "inactive", "SubState": "dead", "UnitFileState": "", "NeedDaemonReload": "no"}


def need_root() -> None:
    """For a test that writes a unit, which is root's file."""
    if os.geteuid() != 0:
        pytest.skip("only root can write a unit")


def text_of(data_dir: str, extra: str = "") -> str:
    return with_configuration_hash(NOTIFY.replace("@data@", data_dir + extra))


def wanted_unit(folder: pathlib.Path, **other: t.Any) -> member_unit.WantedUnit:
    data_dir = str(folder / "data")
    options: dict[str, t.Any] = {
        "name": "etcd.service",
        "text": text_of(data_dir),
        "member_name": "etcd-1",
        "data_dir": data_dir,
        "owner": str(os.geteuid()),
        "group": str(os.getegid()),
        "unit_directory": str(folder),
    }
    return member_unit.WantedUnit(**{**options, **other})


def process(configuration_hash: str | None, data_dir: str, pid: int = 1) -> manager.ProcessFacts:
    argv = ["/usr/bin/etcd", "--name=etcd-1", f"--data-dir={data_dir}"]
    return {"pid": pid, "argv": argv, "environ_hash": configuration_hash, "environment": {}}


class Host:
    """systemd in memory: what it says, and what it was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.properties = dict(PROPERTIES)
        self.process: manager.ProcessFacts | None = None
        self.calls: list[str] = []
        self.complaint: str | None = None
        # What an etcd that is not ours holds.
        self.other: dict[str, t.Any] = {"running": True, "key_count": 0, "members": ["default"]}
        # The process that a restart gives; None: the old one goes on.
        self.restarts_to: manager.ProcessFacts | None = None
        monkeypatch.setattr(manager, "require_systemd", lambda: None)
        self.inherited: dict[str, str] = {}
        monkeypatch.setattr(manager, "show", lambda unit: self.properties)
        monkeypatch.setattr(manager, "inherited_environment", lambda: self.inherited)
        monkeypatch.setattr(manager, "process_facts", lambda pid: self.process)
        monkeypatch.setattr(unit_plan, "running_etcd", lambda path, pid, reported: {"pid": pid, **self.other})
        monkeypatch.setattr(manager, "verify_unit", self._verify)
        monkeypatch.setattr(manager, "journal_tail", lambda unit: f"the end of {unit}'s log")
        for name in ("daemon_reload", "disable", "enable", "stop", "restart_no_block"):
            monkeypatch.setattr(manager, name, self._recorder(name))

    def _recorder(self, name: str) -> t.Callable[..., None]:
        def record(*args: str) -> None:
            self.calls.append(" ".join((name, *args)))
            if name == "restart_no_block" and self.restarts_to is not None:
                self.process = self.restarts_to
                self.properties["MainPID"] = str(self.process["pid"])

        return record

    def _verify(self, text: str, unit: str, missing_program_is_fine: bool) -> None:
        if self.complaint:
            raise ServiceError(self.complaint)
        self.calls.append(f"verify {unit}")

    def runs(self, configuration_hash: str | None, data_dir: str, active_state: str = "active", pid: int = 1) -> None:
        self.process = process(configuration_hash, data_dir, pid)
        self.properties = {
            **PROPERTIES,
            "ActiveState": active_state,
            "SubState": "running",
            "UnitFileState": "enabled",
            "MainPID": str(pid),
        }
