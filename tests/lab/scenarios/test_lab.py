# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab itself: its faults do what they say, and when it is down, the machine is as it was."""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest
from ringfence_lab import cgroups, network, system
from ringfence_lab.errors import LabError
from ringfence_lab.lab import Lab
from ringfence_lab.surroundings import INOTIFY_LIMIT, lab_names


def machine_has() -> dict[str, set[str]]:
    """What this machine has of the kinds that a lab is made of."""
    mountinfo = system.read_text("/proc/self/mountinfo") or ""
    groups = {folder for mount in cgroups.hierarchies(mountinfo) for folder, _folders, _files in os.walk(mount)}
    return {
        "namespaces": set(os.listdir(network.NETNS_FOLDER)) if os.path.isdir(network.NETNS_FOLDER) else set(),
        # Not the IDs in front, which are given anew.
        "mounts": {line.split(" ", 3)[3] for line in mountinfo.splitlines()},
        "groups": groups,
        "the kernel's limits": {f"{INOTIFY_LIMIT} {system.read_text(INOTIFY_LIMIT)}"},
        "systemd's folders": {str(path) for path in Path("/run/systemd/nspawn").glob("*/*")},
    }


class Sight:
    """What the machine has at several looks, comparable with each other.

    Other labs may come and go at the same time. What all labs share comes with the first and goes with the last of
    them: unless this one was alone all the time, only what bears its name can be compared.
    """

    def __init__(self) -> None:
        self._looks: list[dict[str, set[str]]] = []
        self._is_alone = True

    def look_for_others(self) -> None:
        """A lab that goes has a name no more when it puts back what was shared: to be asked before, too."""
        self._is_alone = self._is_alone and set(lab_names()) <= {OWN}

    def look(self) -> list[dict[str, set[str]]]:
        """Look once more; give all looks up to now."""
        self.look_for_others()
        self._looks.append(machine_has())
        self.look_for_others()
        if self._is_alone:
            return self._looks
        return [{kind: {name for name in names if OWN in name} for kind, names in look.items()} for look in self._looks]


def own_processes(lab: Lab) -> dict[int, str | None]:
    """All processes in the lab's namespaces and control groups, by what names each for good."""
    pids = {*network.processes(lab.name), *cgroups.pids(lab.name)}
    return {pid: system.start_time(pid) for pid in pids}


OWN = os.environ.get("RINGFENCE_LAB_NAME", "test-lab")


@pytest.fixture(scope="module")
def own() -> t.Iterator[Lab]:
    """A lab for these tests; at the end the machine has to have what it had before."""
    sight = Sight()
    sight.look_for_others()
    Lab(OWN).down()
    sight.look()
    lab = Lab(OWN, hosts=2)
    lab.up()
    processes: dict[int, str | None] = {}
    try:
        before, present = sight.look()
        for kind, names in before.items():
            assert " " in kind or present[kind] > names, f"a lab has no {kind}: the test sees nothing"
        yield lab
        processes = own_processes(lab)
        # Two hosts, each with at least systemd, its journal and sshd, so that none left afterwards means something.
        assert len(processes) > 6
        sight.look_for_others()
    finally:
        lab.down()
    before, present, after = sight.look()
    print(
        {
            kind: f"{len(before[kind])} before, {len(present[kind])} with the lab, {len(after[kind])} after"
            for kind in after
        }
    )
    assert {kind: sorted(after[kind] ^ before[kind]) for kind in before} == {kind: [] for kind in before}
    assert [pid for pid, started in processes.items() if started and system.start_time(pid) == started] == []


@pytest.mark.parametrize("others", [[], ["other"]])
def test_looks_stay_comparable_when_another_lab_comes_between(
    monkeypatch: pytest.MonkeyPatch, others: list[str]
) -> None:
    """What all labs share and what is another's is left out of the first look too."""
    names: list[str] = []
    things = {"/shared", "/other/root"} if others else {"/shared"}
    monkeypatch.setitem(globals(), "lab_names", lambda: names)
    monkeypatch.setitem(globals(), "machine_has", lambda: {"mounts": {*things}})
    sight = Sight()
    sight.look()
    names += [OWN, *others]
    things = {"/shared", f"/{OWN}/root"}
    before, present = sight.look()
    assert before["mounts"] == (set() if others else {"/shared"})
    assert before["mounts"] < present["mounts"]


def reaches(lab: Lab, source: str, target: str) -> bool:
    command = f"ping -c 1 -W 1 {lab.host(target).address}"
    return lab.execute(source, command, check=False).returncode == 0


def test_a_lab_grows(own: Lab) -> None:
    Lab(own.name, hosts=3).up()
    assert [row["condition"] for row in Lab(own.name).status()] == ["running"] * 3
    assert reaches(Lab(own.name), "etcd-1", "etcd-3")
    with pytest.raises(LabError, match="take it down first"):
        Lab(own.name, release="bookworm").up()


def test_cut_and_heal(own: Lab) -> None:
    own.cut("etcd-2")
    assert not reaches(own, "etcd-1", "etcd-2")
    own.heal("etcd-2")
    assert reaches(own, "etcd-1", "etcd-2")
    own.cut("etcd-1", "etcd-2")
    assert not reaches(own, "etcd-1", "etcd-2") and not reaches(own, "etcd-2", "etcd-1")
    assert own.ssh("etcd-2", "true").returncode == 0
    own.heal("etcd-1")
    assert reaches(own, "etcd-1", "etcd-2")


def test_packets_get_lost(own: Lab) -> None:
    own.shape("etcd-2", ["netem", "loss", "50%"])
    command = f"ping -c 60 -i 0.01 -W 1 {own.host('etcd-2').address} | grep -o '[0-9]* received'"
    received = int(own.execute("etcd-1", command).stdout.split()[0])
    # Lost on the way and on the way back: a quarter comes through.
    assert 2 <= received <= 35
    own.heal("etcd-2")
    assert own.execute("etcd-1", command).stdout == "60 received\n"


def test_freeze_and_thaw(own: Lab) -> None:
    own.ssh("etcd-2", "(while :; do date +%s.%N > /var/tick; sleep 0.05; done) >/dev/null 2>&1 &")
    own.freeze("etcd-2")
    path = os.path.join(own.machine("etcd-2").root, "var/tick")
    before = system.read_text(path)
    time.sleep(0.5)
    assert system.read_text(path) == before
    assert own.status()[1]["condition"] == "frozen"
    own.thaw("etcd-2")
    system.wait_for(lambda: system.read_text(path) != before, 5, "the host goes on")
    own.execute("etcd-2", "pkill -f '[t]ick'; true")


def test_a_full_disk(own: Lab) -> None:
    own.fill_disk("etcd-2")
    assert own.ssh("etcd-2", "echo x > /root/one", check=False).returncode != 0
    assert own.ssh("etcd-1", "echo x > /root/one").returncode == 0
    own.free_disk("etcd-2")
    assert own.ssh("etcd-2", "echo x > /root/one").returncode == 0


def test_kill_etcd(own: Lab) -> None:
    with pytest.raises(LabError, match="no etcd runs on etcd-1"):
        own.kill_etcd("etcd-1")
    own.ssh("etcd-1", "systemctl start etcd")
    pid = own.ssh("etcd-1", "systemctl show -P MainPID etcd").stdout
    own.kill_etcd("etcd-1")
    system.wait_for(
        lambda: own.ssh("etcd-1", "systemctl show -P MainPID etcd").stdout not in (pid, "0\n"), 30, "a new etcd"
    )
    own.ssh("etcd-1", "systemctl stop etcd")


def test_power_off_keeps_the_disk(own: Lab) -> None:
    own.ssh("etcd-2", "echo kept > /root/kept; sync")
    own.power_off("etcd-2")
    assert own.status()[1]["condition"] == "off" and not reaches(own, "etcd-1", "etcd-2")
    own.power_on("etcd-2")
    assert own.ssh("etcd-2", "cat /root/kept").stdout == "kept\n"


def test_two_labs_have_the_same_addresses_and_can_not_see_each_other(own: Lab) -> None:
    name = f"{own.name[:17]}-2"
    with Lab(name, hosts=1) as other:
        other.ssh("etcd-1", "echo other > /root/whose")
        own.ssh("etcd-1", "echo own > /root/whose")
        assert other.ssh("etcd-1", "cat /root/whose").stdout == "other\n"
        assert reaches(own, "etcd-1", "etcd-2") and not other.execute(
            "etcd-1", f"ping -c 1 -W 1 {own.host('etcd-2').address}", check=False
        ).stdout.count("1 received")
