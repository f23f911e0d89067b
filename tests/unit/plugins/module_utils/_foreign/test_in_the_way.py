# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is in a member's way: this process plays it, with real files and sockets; systemd's word comes from the test."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign import in_the_way
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import with_configuration_hash

OURS = (
    "[Service]\nType=notify\nEnvironment=RINGFENCE_CONFIGURATION_HASH=\n"
    "ExecStart=/usr/bin/etcd --name=a --data-dir={data}\n"
)


class Host:
    """A host on which only this process is seen, with units in two folders."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.data = folder, folder / "data"
        self.urls: tuple[str, ...] = ()
        self.states: dict[str, dict[str, str]] = {}
        (folder / "etc").mkdir()
        (folder / "lib").mkdir()
        monkeypatch.setattr(manager, "is_available", lambda: True)
        monkeypatch.setattr(manager, "show", self.show)
        monkeypatch.setattr(processes, "all_pids", lambda: [os.getpid()])
        monkeypatch.setattr(processes, "unit_of", lambda pid: "other.service")
        monkeypatch.setattr(processes, "together_with", lambda pid: [pid])

    def show(self, unit: str) -> dict[str, str]:
        state = {"Id": unit, "UnitFileState": "enabled", "MainPID": "0", "FragmentPath": "", "DropInPaths": ""}
        for folder in ("etc", "lib"):
            if (self.folder / folder / unit).exists():
                state["FragmentPath"] = str(self.folder / folder / unit)
                break
        return {**state, **self.states.get(unit, {})}

    def unit(self, name: str, *lines: str, where: str = "etc") -> pathlib.Path:
        path = self.folder / where / name
        path.write_text("\n".join(("[Service]", *lines, "")))
        return path

    def gather(self, main_pid: int = 0) -> list[dict[str, t.Any]]:
        folders = (str(self.folder / "etc"), str(self.folder / "lib"), "/none")
        wanted = in_the_way.MemberNeeds("etcd.service", str(self.data), self.urls, folders)
        return [dict(one) for one in in_the_way.in_the_way(wanted, main_pid)]


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


@pytest.fixture
def port() -> t.Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_nobody(host: Host, port: int) -> None:
    host.urls = (f"https://127.0.0.2:{port}", "https://127.0.0.1:1", "https://name:1", "https://[::1")
    assert host.gather() == []


def test_who_listens_at_the_members_ports(host: Host, port: int) -> None:
    host.urls = (f"https://127.0.0.1:{port}", "https://127.0.0.1:1")
    (found,) = host.gather()
    assert found == {
        "what": "process",
        "unit": "other.service",
        "pid": os.getpid(),
        "program": processes.program_of(os.getpid()),
        "listens": [f"127.0.0.1:{port}"],
        "data_dir": None,
        "uses_data": False,
        "cluster_id": None,
        "managed": False,
        "enabled": False,
        "problem": None,
    }
    # The unit's own process is not in its way.
    assert host.gather(main_pid=os.getpid()) == []


def test_a_process_of_our_own_unit_that_came_meanwhile(host: Host, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    host.urls = (f"https://127.0.0.1:{port}",)
    monkeypatch.setattr(processes, "unit_of", lambda pid: "etcd.service")
    assert host.gather() == []


def test_who_can_not_be_seen(host: Host, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    host.urls = (f"https://0.0.0.0:{port}",)
    monkeypatch.setattr(processes, "open_files", lambda pid: None)
    (found,) = host.gather()
    assert (found["what"], found["pid"], found["listens"]) == ("process", None, [f"0.0.0.0:{port}"])


def test_nothing_is_known_where_the_kernel_does_not_tell(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: t.Any) -> t.Any:
        raise PermissionError(13, "no")

    monkeypatch.setattr(processes, "listeners", fail)
    (found,) = host.gather()
    assert found["what"] == "unknown" and "no" in found["problem"]


def test_who_runs_on_the_members_data(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    database = host.data / "member" / "snap" / "db"
    database.parent.mkdir(parents=True)
    assert host.gather() == []
    with database.open("w"):
        (found,) = host.gather()
        assert (found["uses_data"], found["data_dir"], found["pid"]) == (True, str(host.data), os.getpid())
        assert host.gather(main_pid=os.getpid()) == []
        facts = {"pid": os.getpid(), "argv": ["etcd"], "environ_hash": "0" * 64, "environment": {}}
        monkeypatch.setattr(manager, "process_facts", lambda pid: facts)
        assert host.gather()[0]["managed"]

        def fail(_pid: int) -> t.Any:
            raise ServiceError("no")

        monkeypatch.setattr(manager, "process_facts", fail)
        (host.data / "member" / "wal").mkdir()
        (host.data / "member" / "wal" / "0.wal").write_text("rubbish")
        found = host.gather()[0]
        assert not found["managed"] and found["cluster_id"] is None


def test_a_unit_that_would_run_on_the_members_data(host: Host) -> None:
    host.unit("pg.service", f"ExecStart=/usr/bin/etcd --data-dir={host.data}/ --listen-peer-urls=http://10.0.0.9:1")
    (found,) = host.gather()
    assert (found["what"], found["unit"], found["uses_data"], found["enabled"]) == ("unit", "pg.service", True, True)
    assert found["data_dir"] == str(host.data) and not found["managed"] and found["listens"] == []
    # It does not come by itself then, and is told all the same: the data is its own.
    host.states["pg.service"] = {"UnitFileState": "disabled"}
    assert [one["enabled"] for one in host.gather()] == [False]
    # While it runs, what it has open tells.
    host.states["pg.service"] = {"MainPID": "1"}
    assert host.gather() == []


def test_a_log_in_a_folder_of_its_own_is_data(host: Host) -> None:
    host.unit("pg.service", f"ExecStart=/usr/bin/etcd --data-dir=/none --wal-dir={host.data}")
    assert [one["uses_data"] for one in host.gather()] == [True]


@pytest.mark.parametrize(
    ("flags", "listens"),
    [
        # Unless it is told otherwise it listens at localhost for clients.
        ("--listen-peer-urls=http://10.0.0.1:2380", ["10.0.0.1:2380", "127.0.0.1:2379"]),
        ("--listen-peer-urls=http://0.0.0.0:2380 --listen-client-urls=http://10.0.0.2:2379", ["10.0.0.1:2380"]),
        ("--listen-peer-urls=http://10.0.0.2:2380", ["127.0.0.1:2379"]),
        ("--listen-peer-urls=http://10.0.0.2:2380 --listen-client-urls=http://10.0.0.2:2379", []),
        ("--listen-peer-urls=http://a-name:2380 --listen-client-urls=unix://a:1", ["10.0.0.1:2380"]),
    ],
)
def test_a_unit_that_would_take_the_members_ports(host: Host, flags: str, listens: list[str]) -> None:
    host.urls = ("https://10.0.0.1:2380", "https://127.0.0.1:2379")
    host.unit("pg.service", f"ExecStart=/usr/bin/etcd {flags}")
    assert [one["listens"] for one in host.gather()] == ([listens] if listens else [])
    host.states["pg.service"] = {"UnitFileState": "disabled"}
    assert host.gather() == []


def test_our_own_unit_under_another_name(host: Host) -> None:
    host.unit("old.service").write_text(with_configuration_hash(OURS.format(data=host.data)))
    (found,) = host.gather()
    assert found["managed"] and found["uses_data"]


def test_a_second_cluster_of_ours_is_nobodys_rival(host: Host) -> None:
    host.urls = ("https://10.0.0.1:2380",)
    host.unit("blue.service").write_text(
        with_configuration_hash(OURS.format(data="/blue --listen-peer-urls=https://10.0.0.1:3380"))
    )
    assert host.gather() == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["ExecStart=/usr/local/bin/start-etcd"], "which is no etcd"),
        (["EnvironmentFile=/none", "ExecStart=/usr/bin/etcd"], "/none does not exist"),
        (["ExecStart=/usr/bin/docker run etcd"], "which is no etcd"),
        # A job, that ends; and a program of another kind.
        (["Type=oneshot", "ExecStart=/usr/local/bin/backup-etcd"], None),
        (["ExecStart=/bin/sleep 1"], None),
    ],
)
def test_a_unit_that_can_not_be_told(host: Host, lines: list[str], problem: str | None) -> None:
    script = host.folder / "script"
    script.write_text("#!/bin/sh\n")
    lines = [line.replace("/usr/local/bin/start-etcd", str(script)) for line in lines]
    host.unit("my-etcd.service", *lines)
    found = host.gather()
    assert [problem in one["problem"] for one in found] == ([] if problem is None else [True]), found
    host.states["my-etcd.service"] = {"UnitFileState": "disabled"}
    assert host.gather() == []


def test_a_script_that_is_called_etcd(host: Host) -> None:
    script = host.folder / "etcd"
    script.write_text("#!/bin/sh\n")
    host.unit("my-etcd.service", f"ExecStart={script} --data-dir=/d")
    assert "is a script" in host.gather()[0]["problem"]
    shutil.copy("/bin/true", script)
    assert host.gather() == []


def test_a_unit_that_can_not_be_read(host: Host) -> None:
    os.mkfifo(host.folder / "etc" / "my-etcd.service")
    os.mkfifo(host.folder / "etc" / "other.service")
    (found,) = host.gather()
    assert found["unit"] == "my-etcd.service" and "not a regular file" in found["problem"]


def test_drop_ins_count(host: Host) -> None:
    host.unit("pg.service", "ExecStart=/usr/bin/etcd --data-dir=/none")
    drop_in = host.unit("x.conf", "ExecStart=", f"ExecStart=/usr/bin/etcd --data-dir={host.data}")
    host.states["pg.service"] = {"DropInPaths": str(drop_in)}
    assert [one["uses_data"] for one in host.gather()] == [True]


def test_each_unit_once_and_never_our_own(host: Host) -> None:
    line = f"ExecStart=/usr/bin/etcd --data-dir={host.data}"
    for name in ("etcd.service", "etcd2.service", "etcd3.service", "etcd4.service"):
        host.unit(name, line)
    host.unit("etcd4.service", "ExecStart=/usr/bin/etcd --data-dir=/none", where="lib")
    host.unit("none.service", "ExecStart=/bin/sleep 1")
    host.states["etcd2.service"] = {"Id": "etcd.service"}
    host.states["etcd3.service"] = {"Id": "etcd4.service"}
    assert [one["unit"] for one in host.gather()] == ["etcd3.service"]
    host.states["etcd3.service"] = {"FragmentPath": "/dev/null", "Id": "etcd3.service"}
    assert [one["unit"] for one in host.gather()] == ["etcd4.service"]


def test_instances_of_a_template(host: Host) -> None:
    host.unit("etcd@.service", f"ExecStart=/usr/bin/etcd --data-dir={host.folder}/%i", where="lib")
    wants = host.folder / "etc" / "multi-user.target.wants"
    wants.mkdir()
    for name in ("data", "other"):
        (wants / f"etcd@{name}.service").symlink_to(host.folder / "lib" / "etcd@.service")
        host.states[f"etcd@{name}.service"] = {"FragmentPath": str(host.folder / "lib" / "etcd@.service")}
    assert [one["unit"] for one in host.gather()] == ["etcd@data.service"]


def test_without_systemd_no_unit_starts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.unit("pg.service", f"ExecStart=/usr/bin/etcd --data-dir={host.data}")
    monkeypatch.setattr(manager, "is_available", lambda: False)
    assert host.gather() == []


def test_no_more_than_anybody_would_read(host: Host) -> None:
    for number in range(30):
        host.unit(f"etcd-{number}.service", f"ExecStart=/usr/bin/etcd --data-dir={host.data}")
    assert len(host.gather()) == 20
