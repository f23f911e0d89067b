# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import os
import pathlib
import socket
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.processes import Listener

LINE = (
    "   0: 0100007F:0947 00000000:0000 0A 00000000:00000000 00:00000000 00000000   106        0 4711 1 0 100 0 0 10 0"
)
LINE6 = (
    "   1: 0000000000000000FFFF00000100007F:094B 00000000000000000000000000000000:0000 0A 00000000:00000000 "
    "00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0"
)


@pytest.mark.skipif(sys.byteorder != "little", reason="the lines are of a machine with the other byte order")
def test_a_line_of_the_kernels_table() -> None:
    assert processes.parse_listener(LINE) == Listener(ipaddress.ip_address("127.0.0.1"), 2375, 4711)
    mapped = processes.parse_listener(LINE6)
    assert mapped == Listener(ipaddress.ip_address("::ffff:127.0.0.1"), 2379, 4712)
    assert mapped is not None and mapped.address_to_call == "127.0.0.1"
    for line in ("", "  sl  local_address rem_address   st tx_queue rx_queue tr", LINE.replace(" 0A ", " 01 ")):
        assert processes.parse_listener(line) is None


@pytest.mark.parametrize(
    ("there", "wanted", "taken"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "127.0.0.1", False),
        ("0.0.0.0", "10.0.0.1", True),
        ("10.0.0.1", "0.0.0.0", True),
        ("0.0.0.0", "::1", False),
        ("::", "10.0.0.1", True),
        ("::1", "0.0.0.0", False),
        ("10.0.0.1", "::", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::1", "127.0.0.1", False),
    ],
)
def test_who_takes_an_address(there: str, wanted: str, taken: bool) -> None:
    listener = Listener(ipaddress.ip_address(there), 2380, 1)
    assert listener.takes(ipaddress.ip_address(wanted), 2380) is taken
    assert not listener.takes(ipaddress.ip_address(wanted), 2379)


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_real_socket(family: socket.AddressFamily, address: str) -> None:
    try:
        server = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {address}")
    with server:
        port = server.getsockname()[1]
        (found,) = [one for one in processes.listeners() if one.port == port]
        assert str(found.address) == address == found.address_to_call
        assert found.inode in processes.socket_inodes(processes.open_files(os.getpid()) or ())


def test_who_listens_everywhere_is_called_on_loopback() -> None:
    for there, called in (("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.1", "10.0.0.1")):
        assert Listener(ipaddress.ip_address(there), 1, 1).address_to_call == called


def test_the_data_folder_that_a_process_has_open(tmp_path: pathlib.Path) -> None:
    database = tmp_path / "pg" / "member" / "snap" / "db"
    database.parent.mkdir(parents=True)
    me, folder = os.getpid(), str(tmp_path / "pg")
    (tmp_path / "link").symlink_to(folder)
    assert folder not in processes.data_folders(processes.open_files(me) or ())
    with database.open("w"):
        assert folder in processes.data_folders(processes.open_files(me) or ())
        assert processes.has_database_open(me, folder) and processes.has_database_open(me, str(tmp_path / "link"))
        assert not processes.has_database_open(me, str(tmp_path))
        # The same file under another name, as a container sees it.
        os.link(database, tmp_path / "other")
        (tmp_path / "b" / "member" / "snap").mkdir(parents=True)
        os.link(database, tmp_path / "b" / "member" / "snap" / "db")
        assert processes.has_database_open(me, str(tmp_path / "b"))
        database.unlink()
        assert folder in processes.data_folders(processes.open_files(me) or ())
        assert processes.has_database_open(me, folder)


def test_what_is_closed_meanwhile_hides_nothing(tmp_path: pathlib.Path) -> None:
    """A member closes connections all the time; here it is the list of what is open, which is gone when it is read."""
    database = tmp_path / "member" / "snap" / "db"
    database.parent.mkdir(parents=True)
    before = os.open("/", os.O_RDONLY)
    with database.open("w"):
        os.close(before)
        assert processes.has_database_open(os.getpid(), str(tmp_path))


def test_a_process_that_has_ended_or_is_hidden() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        child.wait()
    assert processes.open_files(child.pid) is None
    assert not processes.has_database_open(child.pid, "/d")
    assert processes.control_group(child.pid) is None and processes.unit_of(child.pid) is None
    assert processes.program_of(child.pid) is None and processes.working_folder(child.pid) is None


def test_a_process(tmp_path: pathlib.Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with subprocess.Popen(["/bin/sleep", "60"], cwd=gone) as child:
        try:
            while processes.program_of(child.pid) != "sleep":
                time.sleep(0.01)
            assert processes.working_folder(child.pid) == str(gone) and child.pid in processes.all_pids()
            assert processes.control_group(child.pid) == processes.control_group(os.getpid())
            gone.rmdir()
            assert processes.working_folder(child.pid) is None
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("/system.slice/etcd.service", "etcd.service"),
        ("/system.slice/system-etcd.slice/etcd@a.service", "etcd@a.service"),
        ("/system.slice/docker-0a1b.scope", "docker-0a1b.scope"),
        ("/system.slice/etcd.service/libpod-payload-0a1b", "etcd.service"),
        ("/user.slice/user-0.slice/session-1.scope", "session-1.scope"),
        ("/", None),
        (None, None),
    ],
)
def test_the_unit_of_a_process(group: str | None, unit: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {1: group, 2: "/other.slice/x.service", 3: group and f"{group.rstrip('/')}/supervisor", 4: None}
    monkeypatch.setattr(processes, "control_group", groups.get)
    monkeypatch.setattr(processes, "all_pids", lambda: [1, 2, 3, 4])
    assert processes.unit_of(1) == unit
    # Without a unit, the group is everybody's.
    assert processes.together_with(3) == ([3, 1] if unit else [3])


def test_a_process_that_ends_while_those_of_a_unit_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells its control group, and a moment later that there is no such process."""
    told = dict.fromkeys((1, 2, 3), "/system.slice/etcd.service")
    monkeypatch.setattr(processes, "control_group", lambda pid: told.pop(pid, None))
    monkeypatch.setattr(processes, "all_pids", lambda: [1, 2, 3])
    assert processes.together_with(1) == [1, 2, 3]


def test_a_group_below_a_unit_that_is_called_nearly_as_it(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {1: "/system.slice/etcd.service", 2: "/system.slice/etcd.service/etcd.service-inner", 3: "/etcd.service"}
    monkeypatch.setattr(processes, "control_group", groups.get)
    monkeypatch.setattr(processes, "all_pids", lambda: [1, 2, 3])
    assert processes.together_with(1) == [1, 2] and processes.together_with(2) == [2, 1]


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("0::/system.slice/etcd.service\n", "/system.slice/etcd.service"),
        ("4:cpu:/x\n1:name=systemd:/system.slice/a:b.service\n", "/system.slice/a:b.service"),
        ("4:cpu:/x\n", None),
    ],
)
def test_control_groups_of_both_generations(
    text: str, group: str | None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup").write_text(text)
    real_open = open

    def fake(path: str, *args: str, **options: str) -> object:
        reported = str(tmp_path / "cgroup") if path == "/proc/1/cgroup" else path
        return real_open(reported, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", fake)
    assert processes.control_group(1) == group


def tables(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, **lines: int | None) -> None:
    """The kernel's tables of sockets, by the number of their lines; None for one that is not there."""
    real = open

    def opened(path: str, **options: t.Any) -> t.IO[str]:
        return t.cast(t.IO[str], real(folder / os.path.basename(path), **options))

    for name, count in lines.items():
        if count is not None:
            (folder / name).write_text(f"{LINE}\n" * count)
    monkeypatch.setattr(processes, "open", opened, raising=False)


@pytest.mark.skipif(sys.byteorder != "little", reason="the lines are of a machine with the other byte order")
def test_a_kernel_without_ip_version_6(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables(tmp_path, monkeypatch, tcp=1, tcp6=None)
    assert processes.listeners() == [Listener(ipaddress.ip_address("127.0.0.1"), 2375, 4711)]


def test_a_table_that_is_not_there_is_no_empty_one(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can't see the sockets must not say that a port is free."""
    tables(tmp_path, monkeypatch, tcp=None, tcp6=1)
    with pytest.raises(FileNotFoundError):
        processes.listeners()


def test_a_table_without_end_is_not_read_to_it(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LINES", 10)
    tables(tmp_path, monkeypatch, tcp=11, tcp6=0)
    assert len(processes.listeners()) == 11
    tables(tmp_path, monkeypatch, tcp=12, tcp6=0)
    with pytest.raises(OSError, match=r"^/proc/self/net/tcp has more than 10 lines"):
        processes.listeners()


def test_when_a_process_was_started_and_where_it_is() -> None:
    before = time.time()
    child = subprocess.Popen(["sleep", "60"])
    try:
        started = processes.started_at(child.pid)
        # The kernel counts in hundredths.
        assert started is not None and before - 0.5 < started < time.time() + 0.5
        assert processes.namespace_is_ours(child.pid, "net") is True
        assert processes.as_process_sees("a", child.pid) == os.path.join(os.getcwd(), "a")
        assert processes.as_process_sees("/a", child.pid) == "/a"
    finally:
        child.kill()
        child.wait()
    assert processes.started_at(child.pid) is None and processes.namespace_is_ours(child.pid, "net") is None
