# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loopback cluster's starter and the choice of a demo: no etcd, but real processes. They need no root."""

from __future__ import annotations

import os
import pathlib
import socket
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from ringfence_lab import demo, loopback, surroundings, system
from ringfence_lab.errors import LabError
from ringfence_lab.loopback import MEMBERS, Loopback

UNIT = """# ExecStart=/not/this
[Service]
Environment=HASH=abc "WORDS=two words" PERCENT=100%%
UnsetEnvironment=HTTP_PROXY
ExecStart=/usr/bin/etcd \\
  --name=etcd-1 \\
  "--words=with a \\"quote\\" and \\\\" \\
  --signs=100%%$$HOME
"""


def test_a_unit_is_read_as_systemd_reads_it() -> None:
    unit = loopback.read_unit(UNIT)
    words = ["--name=etcd-1", '--words=with a "quote" and \\', "--signs=100%$HOME"]
    assert unit.command == ["/usr/bin/etcd", *words]
    assert unit.environment == {"HASH": "abc", "WORDS": "two words", "PERCENT": "100%"}


@pytest.mark.parametrize("text", ["[Service]\n", UNIT + UNIT])
def test_a_unit_has_one_command(text: str) -> None:
    with pytest.raises(LabError, match="lines ExecStart="):
        loopback.read_unit(text)


# --------------------------------------------------------------------------- programs and ports
def programs(folder: pathlib.Path, version: str, names: tuple[str, ...] = ("etcd", "etcdctl")) -> str:
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho 'etcd Version: {version}'\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_programs_of_a_folder_or_of_path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = programs(tmp_path / "a", "3.5.15")
    expected = (f"{folder}/etcd", f"{folder}/etcdctl")
    assert loopback.find_programs(folder) == expected
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert loopback.find_programs() == expected


@pytest.mark.parametrize(
    ("version", "names", "message"),
    [
        ("3.5.14", ("etcd", "etcdctl"), "has the version 3.5.14, needed is 3.5.15 or later"),
        ("unknown", ("etcd", "etcdctl"), "has the version unknown"),
        ("3.6.0", ("etcd",), "there is no etcdctl in "),
        ("3.6.0", (), "there is no etcd and no etcdctl in "),
    ],
)
def test_programs_that_will_not_do(version: str, names: tuple[str, ...], message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(LabError, match=message):
        loopback.find_programs(programs(tmp_path / "a", version, names))


def test_a_port_is_free_only_where_it_is_on_all_three_addresses() -> None:
    with socket.socket() as taken:
        taken.bind((MEMBERS[2].address, 0))
        taken.listen()
        assert not loopback.is_free(taken.getsockname()[1])
    peer_port, client_port = loopback.free_ports(usual=False)
    assert peer_port != client_port and not {peer_port, client_port} & set(loopback.USUAL_PORTS)


# --------------------------------------------------------------------------- processes
def cluster_of(folder: pathlib.Path, command: str, **commands: str) -> Loopback:
    """All members run the command; one that is named (``etcd_2``) its own."""
    cluster = Loopback(str(folder / "cluster"))
    cluster.prepare(lambda: ("/none/etcd", "/bin/false"), usual_ports=False)
    for member in MEMBERS:
        (folder / "cluster" / member.name).mkdir()
        own = commands.get(member.name.replace("-", "_"), command)
        unit = f"[Service]\nEnvironment=HASH={member.name}\nExecStart={own}\n"
        (folder / "cluster" / member.name / f"{member.name}.service").write_text(unit)
    return cluster


def test_start_and_remove(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    cluster = cluster_of(tmp_path, "/bin/sleep 300")
    started = cluster.start()
    try:
        assert started == {member.name: cluster.pid(member) for member in MEMBERS}
        environment = (system.read_text(f"/proc/{started['etcd-2']}/environ") or "").split("\0")
        assert "HASH=etcd-2" in environment and not any("PROXY" in word for word in environment)
        assert cluster.start() == {}
        with pytest.raises(LabError, match=r"a healthy cluster in .*: not after 0 s"):
            cluster.wait_healthy(timeout_seconds=0)
    finally:
        stopped = cluster.remove()
    assert stopped == [member.name for member in MEMBERS]
    assert not any(system.start_time(pid) for pid in started.values()) and not os.path.exists(cluster.folder)
    assert cluster.remove() == []


def test_a_member_that_ended_is_told_with_its_last_words(tmp_path: pathlib.Path) -> None:
    # One alone: of several that end, whichever ended first by the first look is told.
    cluster = cluster_of(tmp_path, "/bin/sleep 300", etcd_2="/bin/ls /no/such/file")
    cluster.start()
    try:
        with pytest.raises(LabError, match=r"etcd-2 has ended: .*/no/such/file.*\(all of it: .*etcd.log\)"):
            # The first look may still find it running.
            cluster.wait_healthy()
    finally:
        cluster.remove()


def test_a_pid_that_is_another_processs_now_is_left_alone(tmp_path: pathlib.Path) -> None:
    cluster = cluster_of(tmp_path, "/bin/sleep 300")
    (tmp_path / "cluster" / "etcd-1" / "etcd.pid").write_text(f"{os.getppid()} 1\n")
    assert cluster.pid(MEMBERS[0]) is None
    assert cluster.remove() == []


def test_what_is_not_there_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LabError, match="there is no cluster in"):
        _nothing = Loopback(str(tmp_path)).peer_port
    cluster = cluster_of(tmp_path, "/none/etcd")
    with pytest.raises(LabError, match="etcd-1: can't start /none/etcd: No such file"):
        cluster.start()
    os.unlink(os.path.join(cluster.folder, "etcd-1", "etcd-1.service"))
    with pytest.raises(LabError, match=r"there is no unit .*: run the role first"):
        cluster.start()


# --------------------------------------------------------------------------- which demo
def test_which_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise LabError("no namespaces")

    monkeypatch.setattr(surroundings, "check_namespaces", refuse)
    monkeypatch.delenv(demo.KIND_VARIABLE, raising=False)
    assert demo.why_no_hosts() == "no namespaces"
    monkeypatch.setenv(demo.KIND_VARIABLE, "loopback")
    assert demo.why_no_hosts() == "RINGFENCE_DEMO=loopback"
    monkeypatch.setenv(demo.KIND_VARIABLE, "lab")
    with pytest.raises(LabError, match="no namespaces"):
        demo.why_no_hosts()
    monkeypatch.setenv(demo.KIND_VARIABLE, "x")
    with pytest.raises(LabError, match="RINGFENCE_DEMO=x: give lab, loopback or nothing"):
        demo.why_no_hosts()


def test_an_ordinary_user_gets_no_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(demo.KIND_VARIABLE, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert (demo.why_no_hosts() or "").startswith("the lab needs root")
