# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong in the middle of a change costs no quorum, is told in one line, and the next run goes on.

Where nothing is said one mishap, drawn by a seed, and a new member that nobody gets through to;
``RINGFENCE_MISHAPS=all``: a host that is off or cut from the controller, too, a new member that is cut off or frozen,
and two runs at once.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import random
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from living import Living, another_domain
from ringfence_lab import network
from ringfence_lab.lab import Lab
from support import PAIR, TRIO, Controller, Run, Writer, overlaps

SAID = os.environ.get("RINGFENCE_MISHAPS", "")
# The same in each run of CI, so that its verdict is about what was changed.
SEED = int(os.environ.get("RINGFENCE_KILLS_SEED") or 102477074)


def say(capfd: pytest.CaptureFixture[str], text: str) -> None:
    """Beside pytest's own words."""
    with capfd.disabled():
        print(f"\n{text}", end="", file=sys.stderr, flush=True)


@pytest.fixture(scope="module")
def living(controller: Controller) -> Living:
    controller.bare()
    made = Living(controller)
    made.succeed()
    return made


def ended_well(living: Living, check: t.Callable[[], bool], inventory: Path, members: t.Mapping[str, str]) -> None:
    """The change is done, by the same members, and nothing is left to do."""
    assert check() and living.members() == members
    last = living.controller.succeed(inventory)
    assert set(last.changed.values()) == {0}, last.output[-8000:]


# A connection that is cut is given up, which no SSH does by itself for a quarter of an hour.
IMPATIENT = {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ServerAliveInterval=1 -o ServerAliveCountMax=4"}


class Mishap(t.NamedTuple):
    """What happens to etcd-3 when a pass of a change begins, and how it is mended.

    With pass 2 the first certificate is issued; with pass 5 members are about to be restarted for the last time.
    """

    happen: t.Callable[[Lab], object]
    mend: t.Callable[[Lab], object]
    at: int = 2


def cut_off(lab: Lab, undo: bool = False) -> None:
    network.separate(lab.name, lab.host("etcd-3"), lab.controller, undo=undo)


MISHAPS = {
    "member down": Mishap(lambda lab: lab.execute("etcd-3", "systemctl stop etcd.service"), lambda lab: None, at=5),
    "host off": Mishap(lambda lab: lab.power_off("etcd-3"), lambda lab: lab.power_on("etcd-3")),
    "cut from the controller": Mishap(cut_off, lambda lab: cut_off(lab, undo=True)),
    "disk full": Mishap(lambda lab: lab.fill_disk("etcd-3"), lambda lab: lab.free_disk("etcd-3")),
}


# One of these has its turn where nothing is said; the others wait for connections and hosts.
QUICK = ("disk full", "member down")


@pytest.mark.parametrize("name", MISHAPS)
def test_a_mishap_in_the_middle_of_a_change_costs_no_quorum_and_the_next_run_goes_on(
    living: Living, lab: Lab, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if not SAID and name != random.Random(SEED).choice(QUICK):
        pytest.skip("another mishap has its turn")
    mishap, passes = MISHAPS[name], 0
    controller = living.controller
    members = living.members()
    asked = another_domain(living)
    inventory = living.inventory()

    def act(line: str) -> bool:
        nonlocal passes
        if line.startswith("TASK [") and "Tell the pass" in line:
            passes += 1
            if passes == mishap.at:
                mishap.happen(lab)
        return False

    with Writer(controller) as writer:
        try:
            run = controller.watch(inventory, act, environment=IMPATIENT, etcd_peer_tls_restart_wait_seconds=10)
            assert passes >= mishap.at, run.output[-8000:]
            say(capfd, f"{name} in pass {mishap.at}: " + (one_line(run) or "went on to the end"))
            # Advice of checks that take a change in its middle for something else.
            assert "would be locked out" not in run.output
            # The others have the quorum.
            assert "OK" in controller.etcdctl("etcd-1", "put scenario/alive alive")
        finally:
            mishap.mend(lab)
        run = controller.succeed(inventory)
    assert "PROVED - 3 members" in run.output
    assert writer.acknowledged <= writer.stored
    ended_well(living, asked.check, inventory, members)


def one_line(run: Run) -> str:
    """What a run failed with: a line of each host that says it, beside those that say where it stands."""
    assert "Traceback" not in run.output
    lines = [line for line in run.output.splitlines() if line.startswith("fatal: ")]
    told = [line for line in lines if "is refused: see host" not in line]
    assert bool(run.returncode) == bool(told)
    hosts = [line.partition("]")[0].partition("[")[2].split()[0] for line in told]
    assert len(hosts) == len(set(hosts)), lines
    messages = [json.loads(line.partition("=> ")[2])["msg"] for line in told]
    assert not any("\n" in message.strip() for message in messages), messages
    return " | ".join(dict.fromkeys(messages))


def test_two_runs_at_once_do_not_cross(living: Living, capfd: pytest.CaptureFixture[str]) -> None:
    """From the same inventory: each has its restarts by the cluster's own lock, and one of them may be refused."""
    if not SAID:
        pytest.skip("in a run of all mishaps")
    controller, members = living.controller, living.members()
    asked = another_domain(living)
    inventory = living.inventory()
    with Writer(controller) as writer:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for run in pool.map(lambda _number: controller.play(inventory), range(2)):
                say(capfd, "two at once: " + (one_line(run) or "ended well"))
        assert overlaps(controller) == []
        controller.succeed(inventory)
    assert writer.acknowledged <= writer.stored
    ended_well(living, asked.check, inventory, members)


class BadJoin(t.NamedTuple):
    """What keeps etcd-3 from getting a vote once it is in the list, and how that is mended.

    ``said``: what the run tells of it. ``waits``: happens as soon as its etcd runs, and not before it is added.
    """

    happen: t.Callable[[Living], object]
    mend: t.Callable[[Living], object]
    said: str
    waits: bool = True


def firewall(living: Living, undo: bool = False) -> None:
    """It calls the others, and nobody gets through to its peer port."""
    lab, port = living.controller.lab, living.variables.get("etcd_peer_tls_peer_port", 2380)
    network.close_port(lab.name, lab.host("etcd-3"), port, undo)


def apart(living: Living, undo: bool = False) -> None:
    lab = living.controller.lab
    for name in PAIR:
        network.separate(lab.name, lab.host("etcd-3"), lab.host(name), undo=undo)


def frozen(living: Living, undo: bool = False) -> None:
    signal = "CONT" if undo else "STOP"
    living.controller.lab.execute("etcd-3", f"systemctl kill --kill-whom=main -s {signal} etcd.service", check=not undo)


# The process that systemd started: the role calls the program as well.
RUNS = "cat /proc/$(systemctl show -P MainPID etcd.service)/comm"

BAD_JOINS = {
    "firewall": BadJoin(
        firewall, lambda living: firewall(living, undo=True), "etcd-1 has no connection to its peer etcd-3", waits=False
    ),
    "apart": BadJoin(apart, lambda living: apart(living, undo=True), "no answer in time"),
    "frozen": BadJoin(frozen, lambda living: frozen(living, undo=True), "has not told its name to the cluster yet"),
}


def listed(controller: Controller) -> dict[str, str]:
    """By peer URL's host, whether the member is a learner."""
    lines = controller.etcdctl("etcd-1", "member list").splitlines()
    fields = [[part.strip() for part in line.split(",")] for line in lines]
    return {one[3].partition("//")[2].rpartition(":")[0]: one[5] for one in fields}


@pytest.mark.parametrize("name", BAD_JOINS)
def test_a_learner_that_does_not_catch_up_gets_no_vote_and_joins_later_or_goes(
    living: Living, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if not SAID and name != "firewall":
        pytest.skip("in a run of all mishaps")
    controller, bad = living.controller, BAD_JOINS[name]
    three, removal = living.inventory(), {"etcd_peer_tls_removed": "etcd-3"}
    living.hosts = PAIR
    two = living.inventory()
    living.hosts = TRIO
    controller.succeed(two, **removal)
    waiting: list[threading.Thread] = []

    def happen_when_it_runs() -> None:
        deadline = time.monotonic() + 60
        while "etcd" not in controller.lab.execute("etcd-3", RUNS, check=False).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        bad.happen(living)

    def act(line: str) -> bool:
        if bad.waits and not waiting and line.startswith("TASK [") and "Join as a learner, then vote" in line:
            waiting.append(threading.Thread(target=happen_when_it_runs))
            waiting[0].start()
        return False

    def fail(inventory: Path, **words: t.Any) -> str:
        run = controller.play(inventory, environment=IMPATIENT, **words)
        told = one_line(run)
        say(capfd, f"{name}: {told or 'went on to the end'}")
        assert run.returncode != 0
        return told

    soon = {"etcd_peer_tls_start_timeout_seconds": 10, "etcd_peer_tls_restart_wait_seconds": 5}
    with Writer(controller) as writer:
        try:
            if not bad.waits:
                bad.happen(living)
            began = time.monotonic()
            run = controller.watch(three, act, environment=IMPATIENT, **soon)
            told = one_line(run)
            say(capfd, f"{name}, {time.monotonic() - began:.0f} s: {told or 'went on to the end'}")
            assert "etcd-3 is no voter within 10 seconds: " in told and bad.said in told
            assert "mend that and run again" in told and "etcd_peer_tls_removed: [etcd-3]" in told
            assert listed(controller) == {"10.0.0.1": "false", "10.0.0.2": "false", "10.0.0.3": "true"}
            assert "OK" in controller.etcdctl("etcd-1", "put scenario/alive alive")
            if name != "firewall":
                # Off the inventory: nothing is taken from it before that is said.
                before = controller.processes(PAIR)
                text = " ".join(controller.refuse(two).output.split())
                assert "added at https://10.0.0.3:2" in text and "etcd_peer_tls_removed: [https://10.0.0.3:2" in text
                assert controller.processes(PAIR) == before
            if name == "apart":
                # Which of the two comes first depends on how far its start has come.
                told = fail(three, **soon)
                assert "etcd-3 does not join: no member tells" in told or "etcd-3: not well within 10 seconds" in told
                # It can't see that it was removed, and so its etcd is not stopped.
                assert "etcd-3 is not stopped and disabled" in fail(two, **removal)
                assert len(listed(controller)) == 2
            if name == "frozen":
                assert "PROVED - 2 members" in controller.succeed(two, **removal).output
        finally:
            bad.mend(living)
        if name == "apart":
            assert "PROVED - 2 members" in controller.succeed(two, **removal).output
        run = controller.succeed(three)
    assert "PROVED - 3 members" in run.output
    say(
        capfd,
        f"{name}: {len(writer.acknowledged)} writes, {len(writer.acknowledged - writer.stored)} lost, longest pause "
        f"{writer.longest_pause_ms} ms, median {writer.median_pause_ms} ms",
    )
    assert writer.acknowledged <= writer.stored
    assert set(living.members()) == set(TRIO)
    assert set(controller.succeed(three).changed.values()) == {0}
