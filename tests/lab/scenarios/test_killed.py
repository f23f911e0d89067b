# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each operation on a running cluster is killed at every boundary of its steps, and ends as if nothing had been.

A run is killed at the first boundary at which none before it was, and the same command is given again at once, until
one goes through. So all boundaries are met on one way through the operation, and each kill leaves its state to the next
run. A boundary is where a step is told by its number, before it begins, and where a host has done its part of one. In
between runs are killed some time after a task began that acts.

``RINGFENCE_KILLS=all``: every operation, every boundary. ``RINGFENCE_KILLS=NAME``: one operation, or some with a
semicolon between them. Where nothing is said, one operation and a few of its boundaries, drawn by a seed
(``RINGFENCE_KILLS_SEED``) that is printed.
"""

from __future__ import annotations

import os
import random
import sys
import time
import typing as t
from pathlib import Path

import pytest
from living import OPERATIONS, Asked, Living
from ringfence_lab import kills
from ringfence_lab.kills import Boundaries, Killed
from support import PKI, TRIO, Controller, Run, Writer

SAID = os.environ.get("RINGFENCE_KILLS", "")
# The same boundaries in each run of CI, so that its verdict is about what was changed. Others are for who looks for
# faults.
SEED = int(os.environ.get("RINGFENCE_KILLS_SEED") or 102477074)
# Where nothing is said: one of these, which take no more than a few steps.
QUICK = ("a member goes that leads", "a certificate is revoked, its clients cut off", "all keys have leaked", "renewal")
SAMPLE = 3

FROM_3_5 = ("a later patch of etcd", "the next minor version of etcd")
# More kills than any operation has boundaries: then it does not get on.
MANY = 80
# Of a run that is killed nothing is kept but these, which a later run knows.
_LEFT = rf"""
ls -A {PKI} | grep -vxE "ca.crt|ca.crl|$(hostname)\.(crt|key|formed|key\.replaced)"
find /etc/systemd/system /usr/local/bin /var/lib/etcd /root/.ansible/tmp -name '*ringfence*' 2>/dev/null
true
"""


def say(capfd: pytest.CaptureFixture[str], text: str) -> None:
    """Beside pytest's own words, with what makes the same run again."""
    with capfd.disabled():
        print(f"\nseed {SEED}, {text}", end="", file=sys.stderr, flush=True)


def turns() -> t.Iterable[str]:
    """The operations that are to be killed."""
    if SAID == "all":
        return OPERATIONS
    if SAID:
        names = [name.strip() for name in SAID.split(";")]
        unknown = [name for name in names if name not in OPERATIONS]
        assert not unknown, f"RINGFENCE_KILLS: {unknown} are not among {list(OPERATIONS)}"
        return names
    return (random.Random(SEED).choice(QUICK),)


@pytest.fixture(scope="module")
def living(controller: Controller) -> Living:
    controller.bare()
    made = Living(controller)
    controller.succeed(made.inventory())
    return made


def proved(run: Run, hosts: t.Sequence[str]) -> bool:
    return f"PROVED - {len(hosts)} members" in run.output


def nothing_is_left(controller: Controller) -> None:
    """No lock of a run that was killed, no file that is half of something."""
    deadline = time.monotonic() + 60
    while "found 0 leases" not in controller.etcdctl("etcd-1", "lease list"):
        assert time.monotonic() < deadline, "a lease is left"
        time.sleep(0.5)
    for host, left in controller.on_each(TRIO, _LEFT).items():
        assert not left.strip(), f"{host}: {left}"


def ended_well(living: Living, asked: Asked, inventory: Path, members: t.Mapping[str, str]) -> None:
    controller = living.controller
    assert asked.check()
    after = living.members()
    assert set(after) == set(living.hosts)
    same = {name for name in after if after[name] == members.get(name)}
    assert same == {name for name in after if name in members} - set(asked.anew), (members, after)
    if asked.again:
        last = controller.succeed(inventory, playbook=controller.named(asked.playbook), **asked.words)
    else:
        last = controller.succeed(inventory)
    assert set(last.changed.values()) == {0} and proved(last, living.hosts), last.output[-8000:]
    nothing_is_left(controller)


def until_one_goes_through(
    living: Living, asked: Asked, inventory: Path, found: Boundaries, tell: t.Callable[[str], None]
) -> Run:
    """Each run but the last is killed, at the first boundary at which none was."""

    def act(line: str) -> bool:
        is_next = found.is_next(line)
        if is_next:
            time.sleep(found.delay_seconds)
        return is_next

    controller = living.controller
    for _number in range(MANY):
        found.begin()
        run = controller.watch(inventory, act, controller.named(asked.playbook), **asked.words)
        if run.recap:
            break
        tell(found.last)
        assert run.returncode < 0, run.output[-8000:]
        # For who looks for what that run has seen.
        (controller.folder / f"killed-{found.count}.txt").write_text(run.output)
    assert run.returncode == 0, run.output[-16000:]
    return run


@pytest.mark.parametrize("name", turns())
def test_an_operation_that_is_killed_at_its_boundaries_ends_as_if_nothing_had_been(
    living: Living, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    controller = living.controller
    if name == "TLS for clients comes" and controller.client_place[0] == "https":
        pytest.skip("it is there: kill how it goes first")
    if name in FROM_3_5 and not all(one.startswith("3.5.") for one in living.running()):
        pytest.skip("the cluster has a newer etcd")
    asked = OPERATIONS[name](living)
    # Some operations begin with runs that nobody kills.
    before, members, inventory = living.running(), living.members(), living.inventory()
    found = Boundaries(random.Random(f"{SEED} {name}"), None if SAID else SAMPLE)
    scheme, port = controller.client_place

    def tell(text: str) -> None:
        say(capfd, f"{name}: {text}")

    def note(is_well: bool) -> None:
        etcd = " to ".join(sorted({*before, *living.running()}, key=lambda one: [int(part) for part in one.split(".")]))
        kills.note(Killed(name, etcd, found.kills, is_well))
        tell(f"killed {found.count} times {found.kills}, ended {'well' if is_well else 'BADLY'}")

    try:
        with Writer(controller, scheme=scheme, port=port, follows=asked.follows, pause_seconds=0.5) as writer:
            run = until_one_goes_through(living, asked, inventory, found, tell)
            controller.client_place = asked.follows or controller.client_place
        assert asked.playbook == "backup" or proved(run, living.hosts), run.output[-8000:]
        if asked.keeps_writes:
            writer.check_nothing_is_lost()
        ended_well(living, asked, inventory, members)
    except Exception:
        note(False)
        raise
    note(True)
    assert found.count
