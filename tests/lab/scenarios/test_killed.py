# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each change of a running cluster is killed at its tasks, run again, and ends as if nothing had been.

``RINGFENCE_KILLS=all``: at each task of each change once, and now and then some time after it began. A number: so many
kills in a row of each change, each of the run that goes on, at tasks drawn by a seed (``RINGFENCE_KILLS_SEED``) that is
printed. Where nothing is said, two kills of one change, and one mishap.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import json
import os
import random
import ssl
import sys
import threading
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ringfence_lab import network
from ringfence_lab.lab import Lab
from support import PAIR, PKI, TRIO, Controller, Run, Writer, overlaps

# The first task after which hosts may be other than they were.
FIRST_TASK = "Refuse what could lose"
SAID = os.environ.get("RINGFENCE_KILLS", "")


# The same points in each run of CI, so that its verdict is about what was changed. Others are for who looks for faults.
SEED = int(os.environ.get("RINGFENCE_KILLS_SEED") or 102477074)


def drawn(names: t.Iterable[str]) -> str:
    """The one of these that has its turn where nothing is said."""
    return random.Random(SEED).choice(sorted(names))


@dataclass
class Living:
    """The cluster as the changes before have left it: variables and members of its inventory, members by their ID."""

    controller: Controller
    variables: dict[str, t.Any] = field(default_factory=dict)
    hosts: tuple[str, ...] = TRIO
    authorities: int = 0

    def inventory(self) -> Path:
        gone = [host for host in TRIO if host not in self.hosts]
        return self.controller.inventory({"etcd": self.hosts, "gone": gone}, **self.variables)

    def members(self) -> dict[str, str]:
        """By name, the ID."""
        lines = self.controller.etcdctl("etcd-1", "member list").splitlines()
        fields = [[part.strip() for part in line.split(",")] for line in lines]
        assert all(part[1] == "started" and part[5] == "false" for part in fields), lines
        return {part[2]: part[0] for part in fields}

    def presented(self, *words: str) -> set[str]:
        """What openssl tells of each member's certificate."""
        command = f"openssl x509 -noout {' '.join(words)} -in {PKI}/$(hostname).crt"
        return set(self.controller.on_each(self.hosts, command).values())


@dataclass(frozen=True)
class Asked:
    """One change of the living cluster: the words that say it, and how it is seen that it was done."""

    check: t.Callable[[], bool]
    words: dict[str, t.Any] = field(default_factory=dict)
    # With it each run changes something: the last run is asked without.
    again: bool = True


def another_domain(living: Living) -> Asked:
    domain = "example.net" if living.variables.get("etcd_peer_tls_domain") == "example.org" else "example.org"
    living.variables["etcd_peer_tls_domain"] = domain

    def check() -> bool:
        names = ",".join(f"{name}.{domain}" for name in living.hosts)
        return set(living.controller.allowed_names(living.hosts).values()) == {names}

    return Asked(check)


def another_port(living: Living) -> Asked:
    port = 2380 if living.variables.get("etcd_peer_tls_peer_port") == 2480 else 2480
    living.variables["etcd_peer_tls_peer_port"] = port

    def check() -> bool:
        listed = living.controller.etcdctl("etcd-1", "member list")
        return listed.count(f":{port},") == len(living.hosts)

    return Asked(check)


def another_ca(living: Living) -> Asked:
    """A new one, then the one before out of the trust bundles, in turn."""
    trusted = bundle(living)
    if len(trusted) == 1:
        living.authorities += 1
        name = f"CA number {living.authorities}"
        folder = str(living.controller.folder / f"ca-{living.authorities}")
        living.variables.update(etcd_peer_tls_ca_directory=folder, etcd_peer_tls_ca_common_name=name)
        return Asked(lambda: all(name in one for one in living.presented("-issuer")), {"etcd_peer_tls_new_ca": True})
    own = fingerprint((Path(living.variables["etcd_peer_tls_ca_directory"]) / "ca.crt").read_text())
    retired = sorted({fingerprint(one) for one in trusted} - {own})
    return Asked(
        lambda: [fingerprint(one) for one in bundle(living)] == [own],
        {"etcd_peer_tls_retire_ca": retired},
        again=False,
    )


def bundle(living: Living) -> list[str]:
    """The CAs that all members trust."""
    texts = set(living.controller.on_each(living.hosts, f"cat {PKI}/ca.crt").values())
    assert len(texts) == 1
    end = "-----END CERTIFICATE-----\n"
    return [part + end for part in texts.pop().split(end) if part.strip()]


def fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def less_and_more(living: Living) -> Asked:
    """A member leaves; it joins again."""
    if living.hosts == TRIO:
        living.hosts = PAIR

        def is_gone() -> bool:
            state = "systemctl is-active etcd; systemctl is-enabled etcd; ls /var/lib/etcd/etcd"
            told = living.controller.lab.execute("etcd-3", state, check=False).stdout.split()
            return told[:2] == ["inactive", "disabled"] and "member" not in told

        return Asked(is_gone, {"etcd_peer_tls_removed": "etcd-3"})
    living.hosts = TRIO
    # What is put aside each time it leaves fills its disk in the end.
    living.controller.lab.execute("etcd-3", "rm -rf /var/lib/etcd/etcd/*.removed-*")

    def is_back() -> bool:
        told = living.controller.lab.execute("etcd-3", "systemctl is-active etcd; systemctl is-enabled etcd").stdout
        return told.split() == ["active", "enabled"]

    return Asked(is_back)


def new_keys(living: Living) -> Asked:
    before = living.presented("-serial")

    return Asked(lambda: not before & living.presented("-serial"), {"etcd_peer_tls_new_keys": True}, again=False)


CHANGES: dict[str, t.Callable[[Living], Asked]] = {
    "domain": another_domain,
    "port": another_port,
    "members": less_and_more,
    "keys": new_keys,
    "ca": another_ca,
}
# As many as a pass has, and some of the next one: among so many a task is drawn.
TASKS = 40


def say(capfd: pytest.CaptureFixture[str], text: str) -> None:
    """Beside pytest's own words, with what makes the same run again."""
    with capfd.disabled():
        print(f"\nseed {SEED}, {text}", end="", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Kill:
    """When a run is killed: at which task after the first, and how long after it began."""

    number: int
    delay_seconds: float = 0.0


def points(name: str) -> t.Iterator[tuple[Kill, ...]]:
    """The kills before the run that finishes, in turn."""
    numbers = random.Random(f"{SEED} {name}")
    if SAID == "all":
        # Until the run ends before it is killed.
        for number in itertools.count():
            yield (Kill(number, numbers.uniform(0.1, 3.0) if number % 6 == 5 else 0.0),)
    yield tuple(
        Kill(numbers.randrange(TASKS), numbers.choice((0.0, numbers.uniform(0.0, 3.0))))
        for _one in range(int(SAID or 2))
    )


@pytest.fixture(scope="module")
def living(controller: Controller) -> Living:
    controller.bare()
    made = Living(controller)
    controller.succeed(made.inventory())
    return made


def ended_well(living: Living, asked: Asked, inventory: Path, members: t.Mapping[str, str]) -> None:
    controller = living.controller
    assert asked.check()
    after = living.members()
    assert set(after) == set(living.hosts)
    assert all(after[name] == members[name] for name in after if name in members), "a member has another ID"
    words = asked.words if asked.again else {}
    last = controller.succeed(inventory, **words)
    assert set(last.changed.values()) == {0}, last.output[-8000:]


@pytest.mark.parametrize("name", CHANGES)
def test_a_killed_change_is_finished_by_the_next_run(
    living: Living, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    controller = living.controller
    if not SAID and name != drawn(CHANGES):
        pytest.skip("another change has its turn")

    killed, ended = 0, 0
    for kills in points(name):
        members = living.members()
        asked = CHANGES[name](living)
        inventory = living.inventory()
        with Writer(controller) as writer:
            has_ended = False
            for kill in kills:
                if has_ended:
                    break
                run = controller.kill_after(inventory, FIRST_TASK, kill.number, kill.delay_seconds, **asked.words)
                at = [line.strip(" *") for line in run.output.splitlines() if line.startswith("TASK [")][-1]
                when = f"task {kill.number} and {kill.delay_seconds:.1f} s{' (ended before)' if run.recap else ''}"
                say(capfd, f"{name}: {at}, {when}")
                assert run.returncode <= 0, run.output[-8000:]
                has_ended = bool(run.recap)
                killed += not run.recap
            if not has_ended:
                run = controller.succeed(inventory, **asked.words)
                assert f"PROVED - {len(living.hosts)} members" in run.output
        assert len(writer.acknowledged) > 20 and writer.acknowledged <= writer.stored
        ended_well(living, asked, inventory, members)
        ended += 1
        if SAID == "all" and has_ended:
            break
    say(capfd, f"{name}: killed {killed} times, {ended} times ended as if nothing had been")


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


@pytest.fixture
def whole(living: Living) -> Living:
    """With all three members, whoever a change before has taken away."""
    if living.hosts != TRIO:
        living.hosts = TRIO
        living.controller.succeed(living.inventory())
    return living


@pytest.mark.parametrize("name", MISHAPS)
def test_a_mishap_in_the_middle_of_a_change_costs_no_quorum_and_the_next_run_goes_on(
    whole: Living, lab: Lab, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if not SAID and name != drawn(QUICK):
        pytest.skip("another mishap has its turn")
    living, mishap, passes = whole, MISHAPS[name], 0
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
    ended_well(living, asked, inventory, members)


def one_line(run: Run) -> str:
    """What a run failed with: one line that says it, beside those that say where it stands."""
    assert "Traceback" not in run.output
    lines = [line for line in run.output.splitlines() if line.startswith("fatal: ")]
    told = [line for line in lines if "is refused: see host" not in line]
    assert bool(run.returncode) == bool(told)
    return " | ".join(dict.fromkeys(json.loads(line.partition("=> ")[2])["msg"] for line in told))


def test_two_runs_at_once_do_not_cross(whole: Living, capfd: pytest.CaptureFixture[str]) -> None:
    """From the same inventory: each has its restarts by the cluster's own lock, and one of them may be refused."""
    if not SAID:
        pytest.skip("in a run of all kills")
    controller, members = whole.controller, whole.members()
    asked = another_domain(whole)
    inventory = whole.inventory()
    with Writer(controller) as writer:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for run in pool.map(lambda _number: controller.play(inventory), range(2)):
                say(capfd, "two at once: " + (one_line(run) or "ended well"))
        assert overlaps(controller) == []
        controller.succeed(inventory)
    assert writer.acknowledged <= writer.stored
    ended_well(whole, asked, inventory, members)


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
    whole: Living, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    if not SAID and name != "firewall":
        pytest.skip("in a run of all kills")
    living, controller, bad = whole, whole.controller, BAD_JOINS[name]
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
