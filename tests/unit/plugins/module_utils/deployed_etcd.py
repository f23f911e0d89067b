# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters of real etcd processes on loopback, given their settings in the ways of those who deploy etcd.

Each process is known by its handle, so nothing else is ever stopped.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import time
import typing as t
import urllib.error
import urllib.request

from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import Issued, issue
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.etcd_cluster import free_ports

FLAGS, ENVIRONMENT, CONFIG, OVERRULED = "flags", "environment", "config", "overruled"
_SECTIONS = {
    "peer-cert-file": "cert-file",
    "peer-key-file": "key-file",
    "peer-trusted-ca-file": "trusted-ca-file",
    "peer-client-cert-auth": "client-cert-auth",
}


class Deployment:
    """Members m1, m2, ... with one CA; clients are served without TLS."""

    def __init__(self, binary: str, folder: pathlib.Path, size: int = 1, tls: bool = True) -> None:
        self.binary, self.folder, self.tls = binary, folder, tls
        self.names = [f"m{number + 1}" for number in range(size)]
        ports = free_ports(2 * size)
        scheme = "https" if tls else "http"
        self.client_urls = {name: f"http://127.0.0.1:{ports[i]}" for i, name in enumerate(self.names)}
        self.peer_urls = {name: f"{scheme}://127.0.0.1:{ports[size + i]}" for i, name in enumerate(self.names)}
        self.ca = issue("any CA", is_ca=True)
        for name in self.names:
            self.pki(name).mkdir()
            (self.pki(name) / "ca.crt").write_text(self.ca.pem)
            self.certificate(name, self.pki(name))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def pki(self, name: str) -> pathlib.Path:
        """The folder of a member's own files."""
        return self.folder / f"pki-{name}"

    def certificate(self, name: str, folder: pathlib.Path, **options: t.Any) -> Issued:
        """Issue a pair of the CA, as NAME.crt and NAME.key."""
        made = issue(f"{name}.example.com", self.ca, **options)
        (folder / f"{name}.crt").write_text(made.pem)
        (folder / f"{name}.key").write_text(made.key_pem)
        return made

    def settings(self, name: str) -> dict[str, str]:
        found = {
            "name": name,
            "data-dir": str(self.folder / name),
            "listen-client-urls": self.client_urls[name],
            "advertise-client-urls": self.client_urls[name],
            "listen-peer-urls": self.peer_urls[name],
            "initial-advertise-peer-urls": self.peer_urls[name],
            "initial-cluster": ",".join(f"{other}={url}" for other, url in self.peer_urls.items()),
        }
        if self.tls:
            found |= {
                "peer-cert-file": str(self.pki(name) / f"{name}.crt"),
                "peer-key-file": str(self.pki(name) / f"{name}.key"),
                "peer-trusted-ca-file": str(self.pki(name) / "ca.crt"),
                "peer-client-cert-auth": "true",
            }
        return found

    def start(self, *names: str, way: str = FLAGS, extra: t.Mapping[str, str] | None = None, more: str = "") -> None:
        """Start members. ``extra``: further flags, or variables; ``more``: text at a configuration file's end."""
        for name in names or self.names:
            words, environment = self._given(name, way, dict(extra or {}), more)
            with open(self.folder / f"{name}.log", "ab") as log:
                self.processes[name] = subprocess.Popen(
                    [self.binary, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
                )
        for name in names or self.names:
            self._wait(name)

    def _given(self, name: str, way: str, extra: dict[str, str], more: str) -> tuple[list[str], dict[str, str]]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
        settings = self.settings(name)
        if way == FLAGS:
            return [f"--{flag}={value}" for flag, value in (settings | extra).items()], clean
        if way == ENVIRONMENT:
            variables = {f"ETCD_{flag.upper().replace('-', '_')}": value for flag, value in settings.items()}
            return [], clean | variables | extra
        path = self.folder / f"{name}.yml"
        lines = [f"{flag}: {value}" for flag, value in settings.items() if flag not in _SECTIONS]
        if self.tls:
            lines += ["peer-transport-security:"]
            lines += [f"  {_SECTIONS[flag]}: {value}" for flag, value in settings.items() if flag in _SECTIONS]
        path.write_text("\n".join(lines) + "\n" + more)
        if way == OVERRULED:
            # What looks like a fence, and is read by nobody.
            return [f"--config-file={path}", "--peer-cert-allowed-cn=m1.example.com"], clean | {"ETCD_NAME": "other"}
        return [f"--config-file={path}"], clean

    def _wait(self, name: str) -> None:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.client_urls[name]}/health", timeout=5) as answer:
                    if b'"true"' in answer.read():
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError((self.folder / f"{name}.log").read_text(errors="replace")[-3000:])

    def pid(self, name: str) -> int:
        return self.processes[name].pid

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
