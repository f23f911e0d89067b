# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the scenarios share: run a playbook, read its result, look at hosts, make them bare again."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ringfence_lab import changes
from ringfence_lab.changes import Change
from ringfence_lab.lab import Lab

TRIO = ("etcd-1", "etcd-2", "etcd-3")
# Where no quorum has to hold, two are as good as three, and take two thirds of the time.
PAIR = TRIO[:2]
# The last of them is where the distribution's own etcd runs, see conftest.py.
SECOND_PAIR = ("etcd-5", "etcd-6")
PKI = "/etc/etcd/pki"
DATA = "/var/lib/etcd/etcd"
# A restart is due with it, and nothing else.
RESTART: dict[str, t.Any] = {"etcd_peer_tls_extra_flags": {"max-wals": 7}}
# The host's own package source (see image.py), and nothing else.
OFFLINE_PACKAGES = """
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/packages ./' > /etc/apt/sources.list
apt-get -qq update
"""
PLAY_SECONDS = 400
# How each P-256 key in PKCS#8 begins in PEM: the keys of the proof's strangers too, which nobody has to compare with.
ANY_KEY = "MIGHAgEAMBMGByqGSM49"

_RECAP = re.compile(
    r"^(?P<host>\S+)\s+: ok=(?P<ok>\d+)\s+changed=(?P<changed>\d+)\s+"
    r"unreachable=(?P<unreachable>\d+)\s+failed=(?P<failed>\d+)",
    re.MULTILINE,
)
_BARE = """
systemctl disable --now etcd.service >/dev/null 2>&1
rm -rf /etc/systemd/system/etcd.service /etc/systemd/system/etcd.service.d /etc/etcd /var/lib/etcd/* /tmp/scenario*
systemctl daemon-reload
systemctl reset-failed etcd.service >/dev/null 2>&1
true
"""

# Writes the numbers from 1 on, and notes each one that etcd acknowledged. A client's start costs more than its write:
# without a pause it would have half of a small machine for itself.
_WRITER = """
set -u
number=0
now=ENDPOINTS other=OTHER
while [ ! -e /tmp/scenario-stop ]; do
  number=$((number + 1))
  if etcdctl --endpoints "$now" --command-timeout 5s \
      FILES OPTIONS put "scenario/$number" "$number"
  then echo "$number" >> /tmp/scenario-acknowledged; date +%s%3N >> /tmp/scenario-times
  else left=$now now=$other other=$left; fi
  sleep PAUSE
done >/dev/null 2>&1
"""

# Whether etcd runs, and how often systemd has seen it become ready: systemd's own counter (NRestarts) leaves out those
# restarts that somebody asked for. Of a message "Started", whatever the words are.
_STARTS = """
systemctl show -P ActiveState etcd.service
journalctl --quiet --output=cat UNIT=etcd.service MESSAGE_ID=39f53479d3a045ac8e11786248231fbf | wc -l
"""


@dataclass(frozen=True)
class Run:
    """A finished ansible-playbook."""

    returncode: int
    output: str
    recap: dict[str, dict[str, int]]

    @property
    def changed(self) -> dict[str, int]:
        return {host: counts["changed"] for host, counts in self.recap.items()}

    @property
    def failed(self) -> set[str]:
        return {host for host, counts in self.recap.items() if counts["failed"] or counts["unreachable"]}


class Controller:
    """The machine that Ansible runs on: this one, in a network namespace of the lab."""

    members = TRIO
    """The hosts of the cluster, where a call does not name others."""

    def __init__(self, lab: Lab, folder: Path, repository: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.repository = repository
        tree = folder / "collections" / "ansible_collections" / "ringfence"
        tree.mkdir(parents=True)
        (tree / "etcd").symlink_to(repository)
        # Ansible looks a thousand times a second whether a host has answered: an eighth of what a play costs here.
        (folder / "ansible.cfg").write_text("[defaults]\ninternal_poll_interval = 0.01\n")
        # Words, because a Python that lies in a Debian tree has to be entered first.
        self.program = shlex.split(
            os.environ.get("RINGFENCE_ANSIBLE_PLAYBOOK") or str(Path(sys.executable).with_name("ansible-playbook"))
        )
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "LC_ALL": "C.UTF-8",
        }
        self._number = 0
        self.steps = 0
        """What all runs have changed: a task that changed a host is one."""
        self.etcdctl_user = ""
        """The option that names it, where RBAC is on."""
        self.clients_have_files = True
        """Whether there are files for clients on the hosts: without TLS for clients there may be none."""
        self.client_place = ("https", 2379)
        """Scheme and port at which members answer clients."""

    def inventory(
        self,
        groups: t.Mapping[str, t.Iterable[str]] | None = None,
        host_variables: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
        **variables: t.Any,
    ) -> Path:
        """An inventory file: by default the group etcd with the members."""
        self._number += 1
        path = self.folder / f"inventory-{self._number}.yml"
        path.write_text(self.lab.inventory(groups or {"etcd": self.members}, variables, host_variables))
        return path

    def playbook(self, text: str) -> Path:
        self._number += 1
        path = self.folder / f"playbook-{self._number}.yml"
        path.write_text(text)
        return path

    def named(self, playbook: str) -> Path:
        """One of the collection's playbooks."""
        return self.repository / "playbooks" / f"{playbook}.yml"

    def command(self, inventory: Path, *words: str, playbook: Path | None = None, **variables: t.Any) -> list[str]:
        chosen = playbook or self.named("site")
        line = [*self.program, "-i", str(inventory), str(chosen), *words]
        if variables:
            line += ["-e", json.dumps(variables)]
        return self.lab.controller_command(line)

    def play(
        self,
        inventory: Path,
        *words: str,
        playbook: Path | None = None,
        environment: t.Mapping[str, str] | None = None,
        **variables: t.Any,
    ) -> Run:
        """Run the playbook to its end, whatever that is."""
        done = subprocess.run(
            self.command(inventory, *words, playbook=playbook, **variables),
            env={**self.environment, **(environment or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PLAY_SECONDS,
            check=False,
        )
        run = self.evaluated(done.returncode, done.stdout + done.stderr)
        self.steps += sum(run.changed.values())
        return run

    @staticmethod
    def evaluated(returncode: int, output: str) -> Run:
        """A finished run by its exit code and what it printed."""
        recap = {
            match["host"]: {key: int(match[key]) for key in ("ok", "changed", "unreachable", "failed")}
            for match in _RECAP.finditer(output)
        }
        return Run(returncode, output, recap)

    def succeed(self, inventory: Path, *words: str, **options: t.Any) -> Run:
        run = self.play(inventory, *words, **options)
        assert run.returncode == 0, run.output[-16000:]
        return run

    def deploy(self, inventory: Path, *words: str, **variables: t.Any) -> Run:
        """Run, run again: a cluster, and nothing more to do."""
        self.succeed(inventory, *words, **variables)
        again = self.succeed(inventory, *words, **variables)
        assert set(again.changed.values()) == {0}
        return again

    def refuse(self, inventory: Path, *words: str, **options: t.Any) -> Run:
        """Run what must be refused, without having changed anything."""
        run = self.play(inventory, *words, **options)
        assert run.returncode != 0, run.output[-16000:]
        assert "Traceback" not in run.output
        assert not any(run.changed.values()), run.output[-16000:]
        return run

    def kill_at(
        self,
        inventory: Path,
        task: str,
        delay_seconds: float = 0.0,
        playbook: Path | None = None,
        **variables: t.Any,
    ) -> str:
        """Start the playbook and kill it (SIGKILL, with its children) when it begins a task."""
        run = self.kill_after(inventory, task, 0, delay_seconds, playbook, **variables)
        assert run.returncode == -signal.SIGKILL, f"task {task!r} did not begin:\n{run.output[-3000:]}"
        return run.output

    def kill_after(
        self,
        inventory: Path,
        task: str,
        number: int,
        delay_seconds: float = 0.0,
        playbook: Path | None = None,
        **variables: t.Any,
    ) -> Run:
        """As ``kill_at``, when so many tasks have begun after that one. A run may end by itself before that."""
        begun = -1

        def act(line: str) -> bool:
            nonlocal begun
            if line.startswith("TASK [") and (begun >= 0 or task in line):
                begun += 1
            if begun == number:
                time.sleep(delay_seconds)
            return begun == number

        return self.watch(inventory, act, playbook, **variables)

    def watch(
        self,
        inventory: Path,
        act: t.Callable[[str], bool],
        playbook: Path | None = None,
        environment: t.Mapping[str, str] | None = None,
        **variables: t.Any,
    ) -> Run:
        """Run the playbook, and have each line that it prints seen, until it ends, or is killed where that says so."""
        child = subprocess.Popen(
            self.command(inventory, playbook=playbook, **variables),
            env={**self.environment, "PYTHONUNBUFFERED": "1", **(environment or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert child.stdout is not None
        seen = ""
        try:
            for line in child.stdout:
                seen += line
                if act(line):
                    break
            else:
                child.wait(timeout=30)
            return self.evaluated(-signal.SIGKILL if child.returncode is None else child.returncode, seen)
        finally:
            # Newer cores have a session of its own for each worker: not by process group.
            for process in (child.pid, *descendants(child.pid)) if child.returncode is None else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            child.wait()
            child.stdout.close()

    def wait_for_orphans(self) -> None:
        """Wait until the hosts have ended what a killed run had them do: that goes on without its controller."""
        # As Ansible has a shell start a module. The brackets keep it from finding itself.
        self.on_each(self.members, "timeout 60 sh -c 'while pgrep -f \"[&]& sleep 0\" > /dev/null; do sleep 0.2; done'")

    # -- hosts -----------------------------------------------------------------------------------------------------
    def bare(self, *hosts: str) -> None:
        """Make hosts as they were before the first run, and the CA's folder empty."""
        shutil.rmtree(self.lab.ca_folder, ignore_errors=True)
        self.bare_hosts(hosts or self.members)

    def bare_hosts(self, hosts: t.Iterable[str]) -> None:
        """As ``bare``, and the CA's folder stays."""
        self.on_each(hosts, _BARE)

    def on_each(self, hosts: t.Iterable[str], command: str) -> dict[str, str]:
        """What a command prints on each host. Not by SSH, which takes the machine six times as long."""
        names = list(hosts)
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            answers = pool.map(lambda host: self.lab.execute(host, command).stdout, names)
            return dict(zip(names, answers))

    def etcdctl(self, host: str, words: str, check: bool = True) -> str:
        scheme, port = self.client_place if self.clients_have_files else ("http", self.client_place[1])
        files = self.client_files(host)
        command = f"etcdctl --endpoints {scheme}://127.0.0.1:{port} {files} {self.etcdctl_user} {words}"
        return self.lab.execute(host, command, check=check).stdout

    def client_files(self, host: str) -> str:
        """The options of ``etcdctl`` that name them."""
        files = f"--cacert {PKI}/ca.crt --cert {PKI}/{host}.crt --key {PKI}/{host}.key"
        return files if self.clients_have_files else ""

    def processes(self, hosts: t.Iterable[str] = ()) -> dict[str, str]:
        """Each host's etcd by pid: another pid is another process."""
        return {
            host: answer.strip()
            for host, answer in self.on_each(hosts or self.members, "systemctl show -P MainPID etcd.service").items()
        }

    def allowed_names(self, hosts: t.Iterable[str] = ()) -> dict[str, str]:
        """What each running etcd was told, not what its unit says."""
        return {host: self.argument(host, "peer-cert-allowed-cn") for host in hosts or self.members}

    def argument(self, host: str, flag: str) -> str:
        """A flag's value as the running process has it."""
        command = "tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID etcd.service)/cmdline"
        lines = self.lab.execute(host, command).stdout.split("\n")
        return next(line.partition("=")[2] for line in lines if line.startswith(f"--{flag}="))

    def fingerprints(self, hosts: t.Iterable[str], *paths: str) -> dict[str, str]:
        return self.on_each(hosts, "sha256sum " + " ".join(paths))

    def leader(self, hosts: t.Iterable[str] = ()) -> str:
        """The host whose member leads. By JSON: the table has other columns from one etcd to the next."""
        for host in hosts or self.members:
            status = json.loads(self.etcdctl(host, "endpoint status --write-out=json"))[0]["Status"]
            if status["leader"] == status["header"]["member_id"]:
                return host
        raise AssertionError("no member leads")

    def is_healthy(self, host: str = "etcd-1") -> bool:
        # etcdctl 3.4 writes its verdicts to standard error, with its log.
        printed = self.etcdctl(host, "endpoint health --cluster 2>&1", check=False)
        return set(re.findall(r" is (healthy|unhealthy):", printed)) == {"healthy"}


def key_lines(pem: str) -> list[str]:
    """The base64 lines of a PEM file: what a key looks like wherever it turns up."""
    return [line for line in pem.splitlines() if line and not line.startswith("-----")]


def descendants(pid: int) -> list[int]:
    """All processes that a process has started, and those that these have."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name in parentheses may have any characters.
            parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found[1:]


class Writer:
    """A client on etcd-1 that writes without pause while the block runs; then what etcd acknowledged, and has.

    ``options``: what etcdctl needs beside the files, such as a user. ``operation``: what goes on meanwhile; where it is
    named, it is a row of the table of changes. ``scheme``, ``port``: of the client URLs. ``follows``: both of them to
    which a change moves them. ``pause_seconds``: between two writes.
    """

    def __init__(
        self,
        controller: Controller,
        options: str = "",
        operation: str = "",
        scheme: str = "https",
        port: int = 2379,
        follows: tuple[str, int] | None = None,
        pause_seconds: float = 0.1,
    ) -> None:
        self._controller = controller
        self._operation = operation
        self._options = options
        self._places = (scheme, port), follows or (scheme, port)
        self._pause_seconds = pause_seconds
        self.acknowledged: set[str] = set()
        # Between two writes that were acknowledged; one takes some 100 ms and more where all is well.
        self.longest_pause_ms = self.median_pause_ms = 0
        self.stored: set[str] = set()
        # Of the members that ran before: of each the fewest and the most.
        self.restarts = (0, 0)

    def check_nothing_is_lost(self) -> None:
        """It wrote all the time, and etcd has what it acknowledged."""
        assert len(self.acknowledged) > 20, f"{len(self.acknowledged)} writes were acknowledged"
        lost = self.acknowledged - self.stored
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} writes were lost: {sorted(lost)[:5]}"

    def __enter__(self) -> Writer:
        lab = self._controller.lab
        self._steps, self._before, self._etcd = self._controller.steps, self._starts(), self._version()
        lab.ssh("etcd-1", "rm -f /tmp/scenario-*")
        now, other = (
            ",".join(f"{scheme}://{lab.host(name).address}:{port}" for name in TRIO) for scheme, port in self._places
        )
        script = _WRITER.replace("ENDPOINTS", now).replace("OTHER", other).replace("OPTIONS", self._options)
        script = script.replace("FILES", self._controller.client_files("etcd-1"))
        script = script.replace("PAUSE", str(self._pause_seconds))
        self._child = subprocess.Popen(
            lab.ssh_command("etcd-1", script), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return self

    def __exit__(self, kind: object, *_exception: object) -> None:
        try:
            self._controller.lab.ssh("etcd-1", "touch /tmp/scenario-stop")
            self._child.wait(timeout=30)
        finally:
            if self._child.poll() is None:
                self._child.kill()
                self._child.wait()
        if kind is None:
            noted = self._controller.lab.ssh("etcd-1", "cat /tmp/scenario-acknowledged").stdout
            self.acknowledged = set(noted.split())
            times = self._controller.lab.ssh("etcd-1", "cat /tmp/scenario-times").stdout.split()
            self.longest_pause_ms, self.median_pause_ms = changes.pauses([int(word) for word in times])
            listed = self._controller.etcdctl("etcd-2", f"{self._options} get scenario/ --prefix --print-value-only")
            self.stored = set(listed.split())
            after = self._starts()
            each = [after[host][1] - count for host, (is_running, count) in self._before.items() if is_running]
            self.restarts = min(each), max(each)
            if self._operation:
                changes.note(self._change())

    def _change(self) -> Change:
        return Change(
            operation=self._operation,
            etcd=" to ".join(dict.fromkeys([self._etcd, self._version()])),
            acknowledged=len(self.acknowledged),
            lost=len(self.acknowledged - self.stored),
            longest_pause_ms=self.longest_pause_ms,
            median_pause_ms=self.median_pause_ms,
            restarts=self.restarts,
            steps=self._controller.steps - self._steps,
        )

    def _starts(self) -> dict[str, tuple[bool, int]]:
        """By host, whether its etcd runs, and how often it was started so far."""
        answers = {host: answer.split() for host, answer in self._controller.on_each(TRIO, _STARTS).items()}
        return {host: (state == "active", int(count)) for host, (state, count) in answers.items()}

    def _version(self) -> str:
        command = "/proc/$(systemctl show -P MainPID etcd.service)/exe --version | head -n 1"
        return self._controller.on_each(["etcd-1"], command)["etcd-1"].split()[-1]


def overlaps(controller: Controller, hosts: t.Iterable[str] = TRIO) -> list[str]:
    """Which members stopped before another was back, by their last stop and their last readiness."""
    show = "systemctl show etcd.service -P"
    command = f"{show} InactiveEnterTimestampMonotonic; {show} ActiveEnterTimestampMonotonic"
    # Microseconds of the one monotonic clock that all hosts share.
    times = sorted(
        (*(int(word) for word in answer.split()), host) for host, answer in controller.on_each(hosts, command).items()
    )
    return [
        f"{later[2]} stopped before {earlier[2]} was back"
        for earlier, later in zip(times, times[1:])
        if earlier[1] > later[0]
    ]


def refuse_twice(
    controller: Controller, inventory: Path, *words: str, said: t.Sequence[str], **variables: t.Any
) -> None:
    """Refused in check mode and by the run itself, with the same words."""
    for mode in (("--check",), ()):
        run = controller.refuse(inventory, *mode, *words, **variables)
        for one in said:
            assert one in run.output, f"{one!r} is not in\n{run.output[-3000:]}"


def start_members(controller: Controller, *hosts: str) -> None:
    """Start members, and wait until all are well."""
    controller.on_each(hosts, "systemctl start etcd.service")
    deadline = time.monotonic() + 60
    while not controller.is_healthy():
        assert time.monotonic() < deadline
        time.sleep(0.5)
