# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the scenarios share: run a playbook, read its result, look at hosts, make them bare again."""

from __future__ import annotations

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ringfence_lab.lab import Lab

TRIO = ("etcd-1", "etcd-2", "etcd-3")
SECOND_TRIO = ("etcd-4", "etcd-5", "etcd-6")
PKI = "/etc/etcd/pki"
PLAY_SECONDS = 400

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

    def __init__(self, lab: Lab, folder: Path, repository: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.repository = repository
        tree = folder / "collections" / "ansible_collections" / "ringfence"
        tree.mkdir(parents=True)
        (tree / "etcd").symlink_to(repository)
        self.program = str(Path(sys.executable).with_name("ansible-playbook"))
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
            "LC_ALL": "C.UTF-8",
        }
        self._number = 0

    def inventory(
        self,
        groups: t.Mapping[str, t.Iterable[str]] | None = None,
        host_variables: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
        **variables: t.Any,
    ) -> Path:
        """An inventory file: by default the group etcd with the first three hosts."""
        self._number += 1
        path = self.folder / f"inventory-{self._number}.yml"
        path.write_text(self.lab.inventory(groups or {"etcd": TRIO}, variables, host_variables))
        return path

    def playbook(self, text: str) -> Path:
        self._number += 1
        path = self.folder / f"playbook-{self._number}.yml"
        path.write_text(text)
        return path

    def command(self, inventory: Path, *words: str, playbook: Path | None = None, **variables: t.Any) -> list[str]:
        chosen = playbook or self.repository / "playbooks" / "site.yml"
        line = [self.program, "-i", str(inventory), str(chosen), *words]
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
        return self._judged(done.returncode, done.stdout + done.stderr)

    @staticmethod
    def _judged(returncode: int, output: str) -> Run:
        recap = {
            match["host"]: {key: int(match[key]) for key in ("ok", "changed", "unreachable", "failed")}
            for match in _RECAP.finditer(output)
        }
        return Run(returncode, output, recap)

    def succeed(self, inventory: Path, *words: str, **options: t.Any) -> Run:
        run = self.play(inventory, *words, **options)
        assert run.returncode == 0, run.output[-6000:]
        return run

    def refuse(self, inventory: Path, *words: str, **options: t.Any) -> Run:
        """Run what must be refused, without having changed anything."""
        run = self.play(inventory, *words, **options)
        assert run.returncode != 0, run.output[-6000:]
        assert "Traceback" not in run.output
        assert not any(run.changed.values()), run.output[-6000:]
        return run

    def kill_at(self, inventory: Path, task: str, delay_seconds: float = 0.0, **variables: t.Any) -> str:
        """Start the playbook and kill it (SIGKILL, with its children) when it begins a task."""
        child = subprocess.Popen(
            self.command(inventory, **variables),
            env={**self.environment, "PYTHONUNBUFFERED": "1"},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert child.stdout is not None
        seen = ""
        try:
            for line in child.stdout:
                seen += line
                if line.startswith("TASK [") and task in line:
                    time.sleep(delay_seconds)
                    return seen
            raise AssertionError(f"task {task!r} did not begin:\n{seen[-3000:]}")
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            child.stdout.close()

    # -- hosts -----------------------------------------------------------------------------------------------------
    def bare(self, *hosts: str) -> None:
        """Make hosts as they were before the first run, and the CA's folder empty."""
        shutil.rmtree(self.lab.ca_folder, ignore_errors=True)
        self.bare_hosts(hosts or TRIO)

    def bare_hosts(self, hosts: t.Iterable[str]) -> None:
        """As ``bare``, and the CA's folder stays."""
        self.on_each(hosts, _BARE)

    def on_each(self, hosts: t.Iterable[str], command: str) -> dict[str, str]:
        names = list(hosts)
        with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
            answers = pool.map(lambda host: self.lab.ssh(host, command).stdout, names)
            return dict(zip(names, answers))

    def etcdctl(self, host: str, words: str, check: bool = True) -> str:
        files = f"--cacert {PKI}/ca.crt --cert {PKI}/{host}.crt --key {PKI}/{host}.key"
        command = f"ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 {files} {words}"
        return self.lab.ssh(host, command, check=check).stdout

    def processes(self, hosts: t.Iterable[str] = TRIO) -> dict[str, str]:
        """Each host's etcd by pid: another pid is another process."""
        return {
            host: answer.strip()
            for host, answer in self.on_each(hosts, "systemctl show -P MainPID etcd.service").items()
        }

    def allowed_names(self, hosts: t.Iterable[str] = TRIO) -> dict[str, str]:
        """What each running etcd was told, not what its unit says."""
        return {host: self.argument(host, "peer-cert-allowed-cn") for host in hosts}

    def argument(self, host: str, flag: str) -> str:
        """A flag's value as the running process has it."""
        command = "tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID etcd.service)/cmdline"
        lines = self.lab.ssh(host, command).stdout.split("\n")
        return next(line.partition("=")[2] for line in lines if line.startswith(f"--{flag}="))

    def fingerprints(self, hosts: t.Iterable[str], *paths: str) -> dict[str, str]:
        return self.on_each(hosts, "sha256sum " + " ".join(paths))

    def is_healthy(self, host: str = "etcd-1") -> bool:
        # etcdctl 3.4 writes its verdicts to standard error.
        verdicts = self.etcdctl(host, "endpoint health --cluster 2>&1", check=False).strip().splitlines()
        return bool(verdicts) and all("is healthy" in line for line in verdicts)


def ca_text(lab: Lab) -> str:
    return (Path(lab.ca_folder) / "ca.crt").read_text()
