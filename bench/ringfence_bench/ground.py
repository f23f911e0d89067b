# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's hosts, and the controller from which everything is run and measured."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import time
import typing as t

from ringfence_lab.lab import Lab
from runner.places import Places, Venv, staging_root

from ringfence_bench import layout
from ringfence_bench.figures import Counts, Run

# Ansible's own default. Where hosts outnumber the forks, Ansible waits for a free one by asking every 0.1 ms: with ten,
# nine hosts would be measured without that and ninety with it.
FORKS = 5
METER = "ringfence_bench/meter.py"
RUN_SECONDS = 1800
START_PAUSE_SECONDS = 1.0

# For all contestants alike: what a user sets who cares. No compression: the hosts are near.
_CONFIGURATION = f"""\
[defaults]
forks = {FORKS}
gathering = explicit
nocows = true
retry_files_enabled = false
localhost_warning = false
callback_plugins = CALLBACKS

[connection]
pipelining = true

[ssh_connection]
ssh_args = -o ControlMaster=auto -o ControlPersist=30m
"""

# etcd preallocates its log, 128 MiB a member. ramfs knows no preallocation, so that etcd makes the file sparse.
# Addresses of an earlier bench may be those of another machine's members in this one.
_PREPARE = """
mountpoint -q /var/lib/etcd || mount -t ramfs ramfs /var/lib/etcd
ip -4 address flush dev eth0 secondary
"""

_BARE = """
units=$(cd /etc/systemd/system && ls -d PATTERN.service 2>/dev/null)
if [ -n "$units" ]; then
  systemctl disable --now $units >/dev/null 2>&1
  cd /etc/systemd/system && rm -rf $units
  systemctl daemon-reload
  systemctl reset-failed 2>/dev/null
fi
rm -rf FOLDERS
true
"""


class BenchError(Exception):
    """The bench can't go on: what was tried, and what came."""


class Ground:
    """Everything that parts of the bench share."""

    def __init__(self, lab: Lab, places: Places, venv: Venv, root: pathlib.Path, folder: pathlib.Path) -> None:
        self.lab = lab
        self.places = places
        self.venv = venv
        self.root = root
        """The staged copy of the checkout: nobody's editing meets a run."""
        self.bench = root / "bench"
        self.folder = folder
        self.ca_folder = folder / "ca"
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("ANSIBLE_", "PYTHON", "VIRTUAL_ENV"))
            },
            "ANSIBLE_COLLECTIONS_PATH": str(staging_root(root)),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            "PATH": os.pathsep.join([str(venv.bin(places)), os.environ.get("PATH", os.defpath)]),
        }
        self._number = 0

    # -- hosts -----------------------------------------------------------------------------------------------------
    def prepare(self) -> None:
        """Fresh folders; hosts that can hold many members."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (self.folder / "ansible.cfg").write_text(
            _CONFIGURATION.replace("CALLBACKS", str(self.bench / "callback")), encoding="utf-8"
        )
        self.on_each(_PREPARE)
        self.bare("etcd*")

    def on_each(self, command: str) -> dict[str, str]:
        """What a command prints on each machine."""
        return {host.name: self.lab.execute(host, command, timeout_seconds=300).stdout for host in self.lab.hosts}

    def bare(self, pattern: str, folders: t.Sequence[str] = ("/etc/etcd", "/var/lib/etcd/*")) -> None:
        """Take away the units of a pattern, with what lies in the folders."""
        command = _BARE.replace("PATTERN", pattern).replace("FOLDERS", " ".join(folders))
        self.on_each(command)

    def add_addresses(self, seats: t.Iterable[layout.Seat]) -> None:
        """Have each member's own address on its machine."""
        for host in self.lab.hosts:
            own = [seat.address for seat in seats if seat.machine == host.address != seat.address]
            words = [f"ip address replace {address}/24 dev eth0" for address in own]
            self.lab.execute(host, " && ".join(words or ["true"]))

    def start_one_by_one(self, seats: t.Sequence[layout.Seat]) -> None:
        """Start the members of a cluster with a pause after each, and wait until all have joined."""
        names = {host.address: host.name for host in self.lab.hosts}
        self.on_each("systemctl daemon-reload")
        for seat in seats:
            self.lab.execute(names[seat.machine], f"systemctl start --no-block etcd-{seat.name}.service")
            time.sleep(START_PAUSE_SECONDS)
        end = time.monotonic() + layout.START_TIMEOUT_SECONDS
        waiting = list(seats)
        while waiting:
            if time.monotonic() > end:
                names_waiting = ", ".join(seat.name for seat in waiting)
                raise BenchError(f"not ready after {layout.START_TIMEOUT_SECONDS} s: {names_waiting}")
            time.sleep(1)
            waiting = [seat for seat in waiting if not self._is_active(names[seat.machine], seat)]

    def _is_active(self, machine: str, seat: layout.Seat) -> bool:
        words = f"systemctl is-active --quiet etcd-{seat.name}.service"
        return self.lab.execute(machine, words, check=False).returncode == 0

    @property
    def machines(self) -> list[str]:
        """The machines' addresses."""
        return [host.address for host in self.lab.hosts]

    # -- files -----------------------------------------------------------------------------------------------------
    def write(self, name: str, text: str) -> str:
        """Keep a file for the controller; return its path."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def inventory(self, name: str, clusters: t.Mapping[str, t.Sequence[layout.Seat]]) -> str:
        """An inventory file of clusters."""
        return self.write(f"{name}.json", layout.inventory(clusters, self.lab.variables(), str(self.ca_folder)))

    # -- measuring -------------------------------------------------------------------------------------------------
    def measure(self, words: t.Sequence[str], environment: t.Mapping[str, str] | None = None) -> Run:
        """Run a command in the controller's place and say what it took."""
        self._number += 1
        result, log = self.folder / "meter.json", self.places.logs / f"bench-{self._number}.log"
        python = str(self.venv.bin(self.places) / "python")
        line = [*self.venv.python.enter, python, "-S", "-E", str(self.bench / METER), str(result), str(log), *words]
        result.unlink(missing_ok=True)
        self._run(self.lab.controller_command(line), {**self.environment, **(environment or {})})
        if not result.exists():
            raise BenchError(f"not measured: {shlex.join(words)}")
        found = json.loads(result.read_text(encoding="utf-8"))
        if found["returncode"] != 0:
            last = log.read_text(encoding="utf-8", errors="replace")[-4000:]
            raise BenchError(f"{shlex.join(words)} ended with exit code {found['returncode']}:\n{last}")
        log.unlink()
        return Run(found["wall_seconds"], found["cpu_seconds"], found["sent_bytes"], found["largest_mib"])

    def _run(self, words: t.Sequence[str], environment: t.Mapping[str, str]) -> None:
        """Run a command to its end, and end all of its processes where it comes to none or the bench is stopped."""
        with (self.places.logs / "bench.log").open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                list(words),
                cwd=self.folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A signal of a terminal does not reach it: what is measured is ended here.
                start_new_session=True,
            )
        try:
            code = process.wait(timeout=RUN_SECONDS)
        except BaseException as exc:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(exc, subprocess.TimeoutExpired):
                raise
            raise BenchError(f"{shlex.join(words)} was ended after {RUN_SECONDS} s") from exc
        if code not in (0, 1):
            raise BenchError(f"{shlex.join(words)} ended with exit code {code}")

    def program(self, name: str) -> str:
        """A command of the virtual environment."""
        return str(self.venv.bin(self.places) / name)

    def playbook_words(self, playbook: str, inventory: str, variables: t.Mapping[str, t.Any]) -> list[str]:
        """The command line of a playbook: one of the bench's by its file's name, or one of a collection."""
        path = str(self.bench / "playbooks" / playbook) if playbook.endswith(".yml") else playbook
        words = [self.program("ansible-playbook"), "-i", inventory, path]
        return [*words, "-e", json.dumps(dict(variables))] if variables else words

    def play(
        self,
        playbook: str,
        inventory: str,
        variables: t.Mapping[str, t.Any] | None = None,
        *,
        unchanged: bool = True,
    ) -> Run:
        """Time a playbook. A run that changes what it should not is no measurement."""
        notes = self.folder / "notes.json"
        words = self.playbook_words(playbook, inventory, variables or {})
        run = self.measure(words, {"RINGFENCE_BENCH_NOTES": str(notes)})
        found = json.loads(notes.read_text(encoding="utf-8"))
        changed = sorted(host for host, counts in found["hosts"].items() if counts["changed"])
        if unchanged and changed:
            raise BenchError(f"{shlex.join(words)} should have changed nothing, and changed {', '.join(changed)}")
        steps = tuple((step["name"], step["cpu_seconds"]) for step in found["steps"])
        return Run(run.wall_seconds, run.cpu_seconds, run.sent_bytes, found["main_mib"], steps)

    def count(self, playbook: str, inventory: str, variables: t.Mapping[str, t.Any] | None = None) -> Counts:
        """Run a playbook once more, not timed, and count what it does."""
        events = self.folder / "events.jsonl"
        events.unlink(missing_ok=True)
        self.measure(self.playbook_words(playbook, inventory, variables or {}), {"RINGFENCE_BENCH_EVENTS": str(events)})
        text = events.read_text(encoding="utf-8") if events.exists() else ""
        return read_events(text)


def read_events(text: str) -> Counts:
    """What the callback's forks noted, added up."""
    modules: dict[str, int] = {}
    round_trips: dict[str, int] = {}
    local = sent = private_kib = 0
    for line in text.splitlines():
        event = json.loads(line)
        host = event["host"]
        if event["kind"] == "module" and event["transport"] == "ssh":
            modules[host] = modules.get(host, 0) + 1
        elif event["kind"] == "module":
            local += 1
        elif event["kind"] == "round_trip":
            round_trips[host] = round_trips.get(host, 0) + 1
            sent += event["bytes"]
        elif event["kind"] == "fork":
            private_kib = max(private_kib, event["private_kib"])
    return Counts(modules, local, round_trips, sent, private_kib / 1024)
