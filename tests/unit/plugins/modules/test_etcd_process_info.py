# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd_process_info as Ansible runs it: nothing found, and where it can't go on. Of real etcds: test_real_audit."""

from __future__ import annotations

import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module


@pytest.fixture
def etcd(tmp_path: pathlib.Path) -> t.Iterator[int]:
    """A process that is called etcd, and has a database of etcd open."""
    database = tmp_path / "data" / "member" / "snap" / "db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"")
    pipes: dict[str, t.Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = ["etcd", "-c", f'exec 3<"{database}"; echo; read x']
    with subprocess.Popen(words, executable="/bin/sh", **pipes) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.communicate(b"\n")


def test_no_process_is_an_answer() -> None:
    answer = run_module("etcd_process_info", {"pids": []})
    assert (answer["changed"], answer["processes"], answer["problems"]) == (False, [], [])


def test_a_systemctl_that_can_not_be_run_is_one_line(
    etcd: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = run_module("etcd_process_info", {"pids": [etcd]})["processes"]
    assert (found["pid"], found["data_dir"]) == (etcd, str(tmp_path / "data"))
    # A service's, on a host that systemd runs.
    (tmp_path / "bin" / "systemctl").mkdir(parents=True)
    monkeypatch.setattr(processes, "control_group", lambda pid: "/system.slice/etcd.service")
    monkeypatch.setattr(manager, "_BOOTED_MARK", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    answer = run_module("etcd_process_info", {"pids": [etcd]})
    assert answer["failed"] is True and answer["msg"].startswith("can't run systemctl: permission denied")
    assert "\n" not in answer["msg"] and "processes" not in answer
