# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A snapshot of a running cluster, and the cluster back from it, on hosts that lost their data and on others."""

from __future__ import annotations

import hashlib
import re
import typing as t
from pathlib import Path

import pytest
from ringfence_lab.lab import Lab
from support import DATA, PAIR, Controller, Run

MEMBERS = PAIR
HOSTS = 4
NEW_HOSTS = ("etcd-3", "etcd-4")
PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"
SECRET = "the-value-that-nobody-may-see"


class Taken(t.NamedTuple):
    """A snapshot on the controller, and what the run that took it said."""

    path: Path
    run: Run


def backup(controller: Controller, inventory: Path, *words: str, **variables: t.Any) -> Run:
    return controller.succeed(inventory, *words, playbook=PLAYBOOKS / "backup.yml", **variables)


def restore(controller: Controller, inventory: Path, snapshot: Path, *words: str, **variables: t.Any) -> Run:
    return controller.play(
        inventory, *words, playbook=PLAYBOOKS / "restore.yml", etcd_peer_tls_restore=str(snapshot), **variables
    )


def states(controller: Controller, hosts: t.Iterable[str] = PAIR) -> dict[str, str]:
    """What must stay as it is where a run is refused: processes, and all that is in the data folder's first levels."""
    return controller.on_each(hosts, f"systemctl show -P MainPID -P UnitFileState etcd; ls -Ai {DATA} {DATA}/member")


@pytest.fixture(scope="module")
def taken(controller: Controller, inventory: Path, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """Written to before and after. Taken while one of the members does not answer."""
    folder = tmp_path_factory.mktemp("snapshots")
    controller.etcdctl("etcd-1", f"put before {SECRET}")
    folder.rmdir()
    run = backup(controller, inventory, "-vvv", etcd_peer_tls_snapshot_directory=str(folder))
    controller.etcdctl("etcd-1", "put after 1")
    (path,) = folder.iterdir()
    return Taken(path, run)


def test_a_snapshot_is_taken_of_a_follower_and_shown_to_nobody(
    controller: Controller, inventory: Path, taken: Taken
) -> None:
    assert re.fullmatch(r"etcd-[0-9]{8}T[0-9]{6}Z\.db", taken.path.name)
    assert taken.path.stat().st_mode & 0o7777 == 0o600 and taken.path.parent.stat().st_mode & 0o7777 == 0o700
    content = taken.path.read_bytes()
    assert SECRET.encode() in content and SECRET not in taken.run.output
    told = " ".join(taken.run.output.split())
    follower = next(name for name in PAIR if name != controller.leader(PAIR))
    assert f"a snapshot was taken of {follower} (etcd " in told
    assert f"{len(content)} bytes" in told and hashlib.sha256(content).hexdigest() in told
    for host, left in controller.on_each(PAIR, "ls -A /root/.ansible/tmp; ls -A /tmp").items():
        assert ".db" not in left and "snapshot" not in left, host


def test_check_mode_tells_and_takes_nothing(controller: Controller, inventory: Path, taken: Taken) -> None:
    before = sorted(taken.path.parent.iterdir())
    run = backup(controller, inventory, "--check", etcd_peer_tls_snapshot_directory=str(taken.path.parent))
    assert "a snapshot would be taken of etcd-" in " ".join(run.output.split())
    assert sorted(taken.path.parent.iterdir()) == before


def test_a_snapshot_is_kept_on_a_host_and_a_host_that_is_gone_is_no_matter(
    controller: Controller, taken: Taken, lab: Lab
) -> None:
    inventory = controller.inventory(host_variables={"etcd-1": {"ansible_port": 9}})
    lab.execute("etcd-2", "rm -rf /root/kept")
    options = {"etcd_peer_tls_snapshot_directory": "/root/kept", "etcd_peer_tls_snapshot_keep_on": "host"}
    run = backup(controller, inventory, **options)
    assert "on etcd-2, SHA-256" in " ".join(run.output.split())
    listed = lab.execute("etcd-2", "stat -c '%a %U %n' /root/kept /root/kept/*").stdout
    assert re.fullmatch(r"700 root /root/kept\n600 root /root/kept/etcd-\w+\.db\n", listed)


def test_a_full_disk_takes_no_snapshot_and_leaves_nothing(controller: Controller, inventory: Path, lab: Lab) -> None:
    lab.execute("etcd-1", "mkdir -p /root/small && mount -t tmpfs -o size=100m none /root/small")
    try:
        run = controller.play(
            inventory,
            playbook=PLAYBOOKS / "backup.yml",
            etcd_peer_tls_snapshot_directory="/root/small",
            etcd_peer_tls_snapshot_keep_on="host",
        )
        assert (
            run.returncode and "/root/small has room for 100 MiB, and 1" in run.output and "Traceback" not in run.output
        )
        assert lab.execute("etcd-1", "ls -A /root/small").stdout == ""
    finally:
        lab.execute("etcd-1", "umount /root/small")


def test_what_could_lose_more_than_is_said_is_refused(
    controller: Controller, inventory: Path, taken: Taken, tmp_path: Path
) -> None:
    before = states(controller)
    damaged = tmp_path / "damaged.db"
    content = bytearray(taken.path.read_bytes())
    content[9000] ^= 1
    damaged.write_bytes(content)
    gone = controller.inventory(host_variables={"etcd-2": {"ansible_port": 9}})
    for used, snapshot, words, said in (
        (inventory, taken.path, ("--check",), "not restored over members that run (etcd-1, etcd-2)"),
        (inventory, taken.path, (), "not restored over members that run (etcd-1, etcd-2)"),
        (inventory, damaged, (), "etcd-1, etcd-2: " + str(damaged) + " is damaged"),
        (inventory, tmp_path / "none.db", (), "none.db is not on the controller"),
        (gone, taken.path, (), "is not restored without etcd-2"),
    ):
        run = restore(controller, used, snapshot, *words)
        assert run.returncode and said in " ".join(run.output.split()), run.output[-4000:]
        assert "Traceback" not in run.output
    assert states(controller) == before


def test_a_program_of_another_version_is_refused_before_anything_stops(
    controller: Controller, inventory: Path, taken: Taken, lab: Lab
) -> None:
    before = states(controller)
    lab.execute("etcd-2", "for p in etcdutl etcdctl; do mv /usr/bin/$p /usr/bin/$p.away; done")
    try:
        run = restore(controller, inventory, taken.path, etcd_peer_tls_restore_over_running=True)
        text = " ".join(run.output.split())
        assert run.returncode and "no etcdutl or etcdctl of etcd 3.5 is on this host" in text
        assert "A restore is under way, and etcd-2 failed" in text
        assert states(controller)["etcd-2"] == before["etcd-2"]
        assert controller.is_healthy()
    finally:
        lab.execute("etcd-2", "for p in etcdutl etcdctl; do mv /usr/bin/$p.away /usr/bin/$p; done")


@pytest.mark.parametrize("task", ["Stop and disable all members", "Put the old data aside"])
def test_a_killed_restore_is_finished_by_the_same_command(
    controller: Controller, inventory: Path, taken: Taken, task: str
) -> None:
    token = re.sub("[^a-z]", "", task.lower())
    words = {
        "etcd_peer_tls_restore": str(taken.path),
        "etcd_peer_tls_restore_token": token,
        "etcd_peer_tls_restore_over_running": True,
    }
    controller.kill_at(inventory, task, 0.4, playbook=PLAYBOOKS / "restore.yml", **words)
    run = controller.succeed(inventory, playbook=PLAYBOOKS / "restore.yml", **words)
    assert "PROVED - 2 members" in run.output
    assert keys(controller) == ["before"]
    controller.etcdctl("etcd-1", "put after 1")


def test_the_way_back_from_a_restore_is_as_its_page_says(controller: Controller, inventory: Path) -> None:
    """The data that the last of the restores above has put aside, on each host."""
    swap = "mv member member.restored; mv $(ls -d member.before-restore-* | sort | tail -n 1) member"
    controller.etcdctl("etcd-1", "put in-what-was-restored 1")
    controller.on_each(PAIR, "systemctl stop etcd")
    controller.on_each(PAIR, f"cd {DATA}; {swap}")
    assert "PROVED - 2 members" in controller.succeed(inventory).output
    assert keys(controller) == ["after", "before"]
    assert set(controller.succeed(inventory).changed.values()) == {0}


def keys(controller: Controller, host: str = "etcd-1") -> list[str]:
    return controller.etcdctl(host, "get '' --prefix --keys-only").split()


def cluster_id(controller: Controller, host: str = "etcd-1") -> str:
    found = re.search(r'"cluster_id":(\d+)', controller.etcdctl(host, "endpoint status -w json"))
    assert found is not None
    return found[1]


def test_a_cluster_that_lost_all_its_data_comes_back(controller: Controller, inventory: Path, taken: Taken) -> None:
    before = cluster_id(controller)
    controller.on_each(PAIR, f"systemctl stop etcd; rm -rf {DATA}/*")
    assert "playbook restore" in controller.refuse(inventory).output
    check = restore(controller, inventory, taken.path, "--check", "--diff")
    assert check.returncode == 0 and all(check.changed.values()), check.output[-4000:]
    assert set(controller.on_each(PAIR, f"ls -A {DATA}").values()) == {""}
    run = restore(controller, inventory, taken.path)
    assert run.returncode == 0 and "PROVED - 2 members" in run.output, run.output[-6000:]
    assert keys(controller) == ["before"] and cluster_id(controller) != before
    assert controller.etcdctl("etcd-1", "get before --print-value-only").strip() == SECRET
    assert SECRET not in run.output
    # It is the role's own cluster again.
    assert set(controller.succeed(inventory).changed.values()) == {0}
    # The same command once more: what was restored is left as it is, with what was written since.
    controller.etcdctl("etcd-1", "put since 1")
    again = restore(controller, inventory, taken.path, etcd_peer_tls_restore_over_running=True)
    assert again.returncode == 0 and set(again.changed.values()) == {0}, again.output[-4000:]
    assert keys(controller) == ["before", "since"]


def test_one_that_lost_its_data_since_is_not_restored_alone(
    controller: Controller, inventory: Path, taken: Taken
) -> None:
    controller.on_each(["etcd-2"], f"systemctl stop etcd; mv {DATA}/member {DATA}/member.away")
    try:
        run = restore(controller, inventory, taken.path, etcd_peer_tls_restore_over_running=True)
        text = " ".join(run.output.split())
        assert run.returncode and "has run since (etcd-1), and etcd-2 has other data or none" in text
        assert not any(run.changed.values())
    finally:
        controller.on_each(["etcd-2"], f"mv {DATA}/member.away {DATA}/member; systemctl start etcd")


def test_a_cluster_is_restored_onto_hosts_that_never_were_members(
    controller: Controller, inventory: Path, taken: Taken
) -> None:
    """The old cluster runs on meanwhile, under its own token."""
    controller.bare_hosts(NEW_HOSTS)
    new = controller.inventory({"etcd": NEW_HOSTS}, etcd_peer_tls_restore_bump_revision=1000)
    run = restore(controller, new, taken.path)
    assert run.returncode == 0 and "PROVED - 2 members" in run.output, run.output[-6000:]
    assert keys(controller, "etcd-3") == ["before"] != keys(controller)
    assert cluster_id(controller, "etcd-3") != cluster_id(controller)
    found = re.search(r'"revision":(\d+)', controller.etcdctl("etcd-3", "endpoint status -w json"))
    assert found is not None and int(found[1]) > 1000
    assert set(controller.succeed(new).changed.values()) == {0}
