# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release archives of etcd, as the role takes them, and a cluster that runs one."""

from __future__ import annotations

import hashlib
import io
import tarfile
import typing as t
from pathlib import Path

from ringfence_lab import etcd
from support import TRIO, Controller

Options = dict[str, t.Any]


def release(folder: Path, version: str, programs: t.Mapping[str, bytes] | None = None) -> Options:
    """A release archive as etcd's are made, and the variables that name it."""
    name = f"etcd-v{version}-linux-amd64"
    if programs is None:
        tree = Path(etcd.ensure_programs(version)) / etcd.PROGRAMS_FOLDER
        programs = {program: (tree / program).read_bytes() for program in etcd.PROGRAMS}
    path = folder / f"{name}-{len(list(folder.glob('*.tar.gz')))}.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for program, content in programs.items():
            entry = tarfile.TarInfo(f"{name}/{program}")
            entry.size, entry.mode, entry.uid = len(content), 0o700, 1000
            tar.addfile(entry, io.BytesIO(content))
    return {
        "etcd_peer_tls_install": "archive",
        "etcd_peer_tls_archive": str(path),
        "etcd_peer_tls_archive_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


class Releases:
    """Archives by version, made once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Options] = {}

    def __getitem__(self, version: str) -> Options:
        if version not in self._made:
            self._made[version] = release(self._folder, version)
        return self._made[version]


OLD, NEW, NEXT_MINOR, SECOND_NEXT = "3.5.15", "3.5.35", "3.6.16", "3.7.3"
FOLDER = "/usr/local/bin"
# What a run leaves in the programs' folder, and which etcd the running process is.
LISTING = f"ls -A {FOLDER} | grep etcd | sort | tr '\\n' ' '"
RUNNING = "/proc/$(systemctl show -P MainPID etcd.service)/exe --version | head -n 1"


def listing(pattern: str) -> str:
    """What LISTING prints where each program of a release is there under these names."""
    return "".join(f"{name} " for name in sorted(each.format(one) for one in etcd.PROGRAMS for each in pattern.split()))


def run_the_old_one(controller: Controller, releases: Releases) -> Path:
    """A cluster of the old version, from its archive, with a flag that the next minor version does not know."""
    controller.bare()
    controller.on_each(TRIO, f"rm -f {FOLDER}/*etcd* {FOLDER}/.*etcd*")
    path = controller.inventory(etcd_peer_tls_extra_flags={"enable-v2": "false"})
    check = controller.succeed(path, "--check", "--diff", **releases[OLD])
    assert all(check.changed.values()) and f"version: {OLD}" not in check.output
    assert set(controller.on_each(TRIO, LISTING).values()) == {""}
    controller.succeed(path, **releases[OLD])
    assert set(controller.on_each(TRIO, LISTING).values()) == {listing("{}")}
    assert set(controller.succeed(path, **releases[OLD]).changed.values()) == {0}
    return path


class State(t.NamedTuple):
    processes: dict[str, str]
    listing: dict[str, str]
    sums: dict[str, str]
    unit: dict[str, str]


def state(controller: Controller) -> State:
    return State(
        controller.processes(),
        controller.on_each(TRIO, LISTING),
        controller.fingerprints(TRIO, f"{FOLDER}/etcd", f"{FOLDER}/etcdctl"),
        controller.fingerprints(TRIO, "/etc/systemd/system/etcd.service"),
    )


def running(controller: Controller) -> list[str]:
    """The version of each member's process."""
    return [answer.split()[-1] for answer in controller.on_each(TRIO, RUNNING).values()]
