# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another etcd that is refused, or does not come back: nobody is stopped for nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from releases import FOLDER, NEW, NEXT_MINOR, OLD, RUNNING, Releases, release, run_the_old_one, running, state
from ringfence_lab import etcd
from ringfence_lab.lab import Lab
from support import OFFLINE_PACKAGES, PAIR, TRIO, Controller, overlaps
from tiny_program import tiny_etcd


@pytest.fixture(scope="module")
def inventory(controller: Controller, releases: Releases) -> Path:
    return run_the_old_one(controller, releases)


def test_a_program_for_another_machine_replaces_nothing(
    controller: Controller, inventory: Path, tmp_path: Path
) -> None:
    # The header of an ELF program for aarch64, and nothing behind it.
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (183).to_bytes(2, "little") + bytes(44)
    other = release(tmp_path, NEW, {"etcd": header, "etcdctl": header})
    before = state(controller)
    for words in (["--check"], []):
        run = controller.refuse(inventory, *words, **other)
        assert "is a program for aarch64, and this host is" in run.output
        assert run.failed == set(TRIO)
        assert state(controller) == before


def test_one_host_that_can_not_run_it_stops_all(
    controller: Controller, inventory: Path, releases: Releases, lab: Lab
) -> None:
    before = state(controller)
    lab.execute("etcd-2", f"mount --bind {FOLDER} {FOLDER} && mount -o remount,bind,noexec {FOLDER}")
    try:
        run = controller.refuse(inventory, **releases[NEW])
    finally:
        lab.execute("etcd-2", f"umount {FOLDER}")
    assert run.failed == set(TRIO) and "member etcd-2: /usr/local/bin is on a file system that is mounted noexec" in (
        run.output
    )
    assert state(controller) == before


def test_a_folder_of_the_controller_is_no_archive(controller: Controller, inventory: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("never to leave")
    before = state(controller)
    given = {"etcd_peer_tls_install": "archive", "etcd_peer_tls_archive_sha256": "0" * 64}
    # The name of another version, so that it is due.
    folder = tmp_path / "etcd-v3.5.99-linux-amd64.tar.gz"
    os.symlink(tmp_path, folder)
    run = controller.refuse(inventory, etcd_peer_tls_archive=str(folder), **given)
    assert f"{folder} on the controller is a directory" in run.output
    assert state(controller) == before
    assert "never" not in "".join(
        controller.on_each(TRIO, "grep -rl 'never to leave' /tmp /root /usr/local 2>/dev/null; true").values()
    )


def test_a_flag_that_the_new_one_does_not_know_stops_nobody(
    controller: Controller, inventory: Path, tmp_path: Path
) -> None:
    """The unit's text is the same as before: the program is another one, whatever its archive is called."""
    tree = Path(etcd.ensure_programs(NEXT_MINOR)) / etcd.PROGRAMS_FOLDER
    given = release(tmp_path, "3.5.99", {program: (tree / program).read_bytes() for program in etcd.PROGRAMS})
    before = state(controller)
    for words in (["--check"], []):
        run = controller.refuse(inventory, *words, **given)
        assert "flag provided but not defined: -enable-v2" in run.output
        assert state(controller) == before


def test_a_member_that_does_not_come_back_stops_the_rest_and_names_the_way_back(
    controller: Controller, inventory: Path, tmp_path: Path
) -> None:
    """An address that the host does not have: --version does not show it."""
    # The same etcd in another file: another program, whatever it says of itself.
    tree = Path(etcd.ensure_programs(NEW)) / etcd.PROGRAMS_FOLDER
    later = release(tmp_path, "3.5.36", {"etcd": (tree / "etcd").read_bytes() + b"\0"})
    before = state(controller)
    wrong = {"enable-v2": "false", "listen-metrics-urls": "http://192.0.2.1:2381"}
    run = controller.play(
        inventory,
        **later,
        etcd_peer_tls_extra_flags=wrong,
        etcd_peer_tls_start_timeout_seconds=15,
        etcd_peer_tls_restart_wait_seconds=5,
    )
    assert run.returncode != 0 and run.failed == set(TRIO)
    after = state(controller)
    (first,) = (host for host in TRIO if after.sums[host] != before.sums[host])
    assert {host for host in TRIO if after.processes[host] != before.processes[host]} == {first}
    said = "listen tcp 192.0.2.1:2381: bind: cannot assign requested address"
    assert f"{first}: {said}: not well within 15 seconds" in run.output
    assert f"mv {FOLDER}/etcd.replaced {FOLDER}/etcd && systemctl restart etcd.service" in run.output
    assert "goroutine" not in run.output
    # With the flag mended, the next run finishes what was begun.
    controller.succeed(inventory, **later)
    assert {answer.split()[-1] for answer in controller.on_each(TRIO, RUNNING).values()} == {NEW}
    assert controller.is_healthy()
    assert set(controller.succeed(inventory, **later).changed.values()) == {0}


def test_another_minor_version_is_begun_by_its_word_alone(
    controller: Controller, inventory: Path, releases: Releases, tmp_path: Path
) -> None:
    """And not where one flag is unknown to it, or it does not come back: then nobody runs anything new."""
    tree = Path(etcd.ensure_programs(NEW)) / etcd.PROGRAMS_FOLDER
    later = release(tmp_path, "3.5.36", {"etcd": (tree / "etcd").read_bytes() + b"\0"})
    controller.succeed(inventory, **later)
    before = state(controller)
    run = controller.refuse(inventory, **releases[NEXT_MINOR])
    assert "3.6.16 is another minor version: say so with etcd_peer_tls_upgrade: true" in run.output
    run = controller.refuse(inventory, playbook=controller.named("upgrade"), **releases[NEXT_MINOR])
    assert "flag provided but not defined: -enable-v2" in run.output
    assert state(controller) == before
    # Flags change before the version does, so that the unit is one that the old program starts with.
    controller.succeed(inventory, **later, etcd_peer_tls_extra_flags={})
    before = state(controller)
    check = controller.succeed(
        inventory,
        "--check",
        playbook=controller.named("upgrade"),
        etcd_peer_tls_extra_flags={},
        **releases[NEXT_MINOR],
    )
    assert "etcd 3.5.35 to 3.6.16, a snapshot first; one at a time, the leader last: etcd-1, etcd-2, etcd-3" in (
        check.output
    )
    assert state(controller) == before
    # Its program says a version and ends.
    run = controller.play(
        inventory,
        playbook=controller.named("upgrade"),
        **release(tmp_path, "3.6.99", {"etcd": tiny_etcd("3.6.99")}),
        etcd_peer_tls_extra_flags={},
        etcd_peer_tls_start_timeout_seconds=15,
    )
    assert run.returncode != 0 and run.failed == set(TRIO)
    assert "did not stay with etcd 3.6.99: etcd 3.5.35 is back in its place, and the member is well with it" in (
        run.output
    )
    after = state(controller)
    assert after.sums == before.sums and after.unit == before.unit
    assert len([host for host in TRIO if after.processes[host] != before.processes[host]]) == 1
    assert running(controller) == [NEW] * 3 and controller.is_healthy()


def test_a_switch_to_the_distributions_package_stops_nobody(controller: Controller, releases: Releases) -> None:
    """A package that was there before has its postinst restart etcd.service: that is the role's, and runs."""
    controller.bare()
    controller.on_each(
        PAIR, f"rm -f {FOLDER}/*etcd* {FOLDER}/.*etcd*; dpkg --remove etcd-server etcd-client; {OFFLINE_PACKAGES}"
    )
    inventory = controller.inventory({"etcd": PAIR})
    controller.succeed(inventory, **releases[OLD])
    before = controller.processes(PAIR)
    # The package comes, and its etcd is refused: the flag is one that it does not know.
    run = controller.play(inventory, etcd_peer_tls_install="package", etcd_peer_tls_extra_flags={"no-such-flag": "1"})
    assert run.failed == set(PAIR) and "flag provided but not defined: -no-such-flag" in run.output
    assert set(controller.on_each(PAIR, "dpkg-query -W -f '${Status}' etcd-server").values()) == {
        "install ok installed"
    }
    assert controller.processes(PAIR) == before
    controller.succeed(inventory, etcd_peer_tls_install="package")
    after = controller.processes(PAIR)
    assert all(after[host] != before[host] for host in PAIR)
    assert {answer.split()[-1] for answer in controller.on_each(PAIR, RUNNING).values()} == {"3.5.16"}
    assert overlaps(controller, PAIR) == []
    assert set(controller.on_each(PAIR, "ls /usr/sbin/policy-rc.d 2>&1 | grep -c 'No such'").values()) == {"1\n"}
    assert set(controller.succeed(inventory, etcd_peer_tls_install="package").changed.values()) == {0}
