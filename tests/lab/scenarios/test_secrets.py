# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No secret in any output at the highest verbosity, temporary file or process list: searched for by its bytes."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ringfence_lab import network
from ringfence_lab.lab import Lab
from support import ANY_KEY, PAIR, PKI, Controller, key_lines

MEMBERS = PAIR

PASSPHRASE = "correct-horse-battery-staple"
# Of a user of etcd's RBAC: it goes to every host. Shorter than Ansible would have to be told to blank out.
PASSWORD = "0815472311"

# What comes after the keys that nodes make.
TASK = "Issue the certificates"

# Copies whatever appears in Ansible's temporary folders and in process lists, on a node, while a run goes on.
_WATCHER = """
import glob, os, sys, time
end = time.time() + 120
seen = set()
os.makedirs('/tmp/scenario-seen', exist_ok=True)
while time.time() < end and not os.path.exists('/tmp/scenario-stop'):
    for path in glob.glob('/root/.ansible/tmp/*/*') + glob.glob('/tmp/ansible*/*') + glob.glob('/proc/[0-9]*/cmdline'):
        try:
            with open(path, 'rb') as stream:
                content = stream.read()
        except OSError:
            continue
        if content not in seen:
            seen.add(content)
            with open('/tmp/scenario-seen/all', 'ab') as stream:
                stream.write(content + b'\\n')
    time.sleep(0.005)
"""


class Watcher:
    """Sees the controller's own temporary files and process list, as the one above sees a node's.

    Its processes are those in the network of this lab's controller: other scenarios run at the same time, and some of
    them give a key on their own command line.
    """

    def __init__(self, folder: Path, lab: Lab) -> None:
        self._network = os.stat(network.path_of(lab.name, lab.controller.name)).st_ino
        self.folder, self.seen, self._stop = folder, set(), threading.Event()  # type: ignore[var-annotated]
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.is_set():
            for path in [*self.folder.rglob("*"), *Path("/proc").glob("[0-9]*/cmdline")]:
                try:
                    if path.is_file() and (path.name != "cmdline" or self._is_mine(path.parent)):
                        self.seen.add(path.read_bytes())
                except OSError:
                    continue
            time.sleep(0.005)

    def _is_mine(self, process: Path) -> bool:
        return os.stat(process / "ns" / "net").st_ino == self._network

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.parametrize("pipelining", ["0", "1"])
def test_no_secret_is_seen_anywhere(controller: Controller, lab: Lab, pipelining: str) -> None:
    controller.bare()
    controller.on_each(PAIR, "rm -rf /tmp/scenario-*")
    inventory = controller.inventory()
    watchers = [subprocess.Popen(lab.ssh_command(host, "python3 -"), stdin=subprocess.PIPE, text=True) for host in PAIR]
    for watcher in watchers:
        assert watcher.stdin is not None
        watcher.stdin.write(_WATCHER)
        watcher.stdin.close()
    home = controller.folder / f"home-{pipelining}"
    options: dict[str, t.Any] = {
        "environment": {
            "ANSIBLE_PIPELINING": pipelining,
            "ANSIBLE_HOME": str(home),
            "ANSIBLE_LOCAL_TEMP": str(home / "tmp"),
        },
        "etcd_peer_tls_ca_passphrase": PASSPHRASE,
    }
    home.mkdir(exist_ok=True)
    passphrase_file = controller.folder / "passphrase.yml"
    passphrase_file.write_text(
        f"etcd_peer_tls_ca_passphrase: {options.pop('etcd_peer_tls_ca_passphrase')}\n"
        f"etcd_peer_tls_api_user: ringfence\netcd_peer_tls_api_password: '{PASSWORD}'\n"
    )
    with Watcher(home, lab) as here:
        run = controller.succeed(inventory, "-vvvv", "--diff", "-e", f"@{passphrase_file}", **options)
    controller.on_each(PAIR, "touch /tmp/scenario-stop")
    for watcher in watchers:
        watcher.wait(timeout=60)
    secrets = {PASSPHRASE, PASSWORD}
    for host, key in controller.on_each(PAIR, f"cat {PKI}/*.key").items():
        assert "PRIVATE KEY" in key, host
        secrets.update(key_lines(key))
    secrets.update(key_lines((Path(lab.ca_folder) / "ca.key").read_text()))
    assert len(secrets) >= 10 and any(secret.startswith(ANY_KEY) for secret in secrets)
    secrets.add(ANY_KEY)
    assert "PROVED" in run.output
    places = {"the output": run.output.encode(), "the controller": b"\n".join(here.seen)}
    for host in PAIR:
        places[host] = lab.ssh(host, "cat /tmp/scenario-seen/all").stdout.encode()
        assert (pipelining == "1") or b"ANSIBALLZ" in places[host].upper() or b"_ansiballz" in places[host]
        # Every module notes there how it was called.
        places[f"the journal of {host}"] = lab.ssh(host, "journalctl -o cat").stdout.encode()
        assert b"stranger_certificate" in places[f"the journal of {host}"]
        assert b"api_user" in places[f"the journal of {host}"]
    for place, content in places.items():
        assert len(content) > 1000, f"nothing was seen in {place}"
        for secret in secrets:
            assert secret.encode() not in content, f"a secret is in {place}"
    assert controller.is_healthy()


def test_a_failed_issue_shows_its_reason_and_no_secret(controller: Controller, lab: Lab) -> None:
    """The task that issues is under no_log: its error has to be seen all the same."""
    inventory = controller.inventory()
    passphrase_file = controller.folder / "passphrase.yml"
    controller.succeed(inventory, "-e", f"@{passphrase_file}")
    wrong = controller.refuse(inventory, "-vvv", etcd_peer_tls_ca_passphrase="wrong-horse", etcd_peer_tls_new_keys=True)
    assert "passphrase" in wrong.output and str(lab.ca_folder) in wrong.output
    missing = controller.refuse(inventory, etcd_peer_tls_new_keys=True)
    assert "passphrase" in missing.output
    kept = controller.refuse(
        inventory,
        "-e",
        f"@{passphrase_file}",
        environment={"ANSIBLE_KEEP_REMOTE_FILES": "1"},
        etcd_peer_tls_new_keys=True,
    )
    assert "ANSIBLE_KEEP_REMOTE_FILES" in kept.output


def test_an_authority_from_a_vault_touches_no_disk(controller: Controller, lab: Lab) -> None:
    """As in AWX: certificate and key come as content, the folder does not exist."""
    controller.bare()
    inventory = controller.inventory()
    controller.succeed(inventory)
    folder = Path(lab.ca_folder)
    certificate, key = (folder / "ca.crt").read_text(), (folder / "ca.key").read_text()
    away = folder.with_name("ca-away")
    folder.rename(away)
    credential = controller.folder / "credential.yml"
    indented = {
        name: "\n".join(f"  {line}" for line in text.splitlines()) for name, text in (("c", certificate), ("k", key))
    }
    credential.write_text(
        f"etcd_peer_tls_ca_certificate: |\n{indented['c']}\netcd_peer_tls_ca_private_key: |\n{indented['k']}\n"
    )
    home = controller.folder / "home-vault"
    home.mkdir(exist_ok=True)
    said = "it checks the CA's revocation list, and would do so no more"
    assert said in controller.refuse(inventory, "-e", f"@{credential}", etcd_peer_tls_new_keys=True).output
    kept = {f"{kind}-crl-file": "/etc/etcd/pki/ca.crl" for kind in ("peer", "client")}
    try:
        with Watcher(home, lab) as here:
            run = controller.succeed(
                inventory,
                "-vvvv",
                "-e",
                f"@{credential}",
                etcd_peer_tls_new_keys=True,
                etcd_peer_tls_extra_flags=kept,
                environment={
                    "ANSIBLE_PIPELINING": "0",
                    "ANSIBLE_HOME": str(home),
                    "ANSIBLE_LOCAL_TEMP": str(home / "tmp"),
                },
            )
        # Certificates and keys; the unit, whose flags stand in another order, and the restart.
        assert run.changed == {"etcd-1": 4, "etcd-2": 3}
        assert not folder.exists()
        for line in key_lines(key):
            assert line not in run.output
            assert not any(line.encode() in content for content in here.seen)
        without_key = controller.folder / "certificate.yml"
        without_key.write_text(f"etcd_peer_tls_ca_certificate: |\n{indented['c']}\n")
        # Without the key no stranger can be made to try the fence with.
        words = ["-e", f"@{without_key}"]
        run = controller.succeed(
            inventory, *words, etcd_peer_tls_extra_flags=kept, etcd_peer_tls_verify_without=["strangers"]
        )
        assert set(run.changed.values()) == {0}
        refused = controller.refuse(inventory, *words, etcd_peer_tls_extra_flags=kept, etcd_peer_tls_new_keys=True)
        assert "key" in refused.output and "Traceback" not in refused.output
    finally:
        away.rename(folder)
    assert controller.is_healthy()


def test_keys_that_nodes_make_are_seen_nowhere_else(controller: Controller, lab: Lab) -> None:
    """Not on the controller, which is the CA's host here, not at the highest verbosity, and without pipelining."""
    controller.bare()
    inventory = controller.inventory(etcd_peer_tls_key_custody="node")
    home = controller.folder / "home-custody"
    home.mkdir()
    environment = {"ANSIBLE_PIPELINING": "0", "ANSIBLE_HOME": str(home), "ANSIBLE_LOCAL_TEMP": str(home / "tmp")}
    assert all(controller.succeed(inventory, "--check", "--diff").changed.values())
    assert set(controller.on_each(PAIR, f"ls {PKI} 2>&1 | grep -c key; true").values()) == {"0\n"}
    with Watcher(home, lab) as here:
        runs = [controller.succeed(inventory, "-vvvv", "--diff", environment=environment)]
        first = controller.on_each(PAIR, f"cat {PKI}/*.key")
        assert set(controller.succeed(inventory).changed.values()) == {0}
        # Killed when the keys are made, and before anything is issued for them.
        runs.append(controller.evaluated(0, controller.kill_at(inventory, TASK, etcd_peer_tls_new_keys=True)))
        controller.wait_for_orphans()
        waiting = controller.on_each(PAIR, f"cat {PKI}/*.key.requested && stat -c %a {PKI}/*.key.requested")
        assert all(answer.endswith("600\n") for answer in waiting.values())
        assert controller.on_each(PAIR, f"cat {PKI}/*.key") == first
        assert set(controller.succeed(inventory).changed.values()) == {0}
        processes = controller.processes()
        words = {"etcd_peer_tls_new_keys": True, "environment": environment}
        runs.append(controller.succeed(inventory, "-vvvv", "--diff", **words))
    assert controller.processes() == processes and controller.is_healthy()
    second = controller.on_each(PAIR, f"cat {PKI}/*.key")
    assert controller.on_each(PAIR, f"cat {PKI}/*.key.replaced; ls {PKI} | grep -c requested; true") == {
        host: f"{first[host]}0\n" for host in PAIR
    }
    lines = {line for keys in (first, waiting, second) for key in keys.values() for line in key_lines(key)[:3]}
    assert len(lines) == 18 and any(line.startswith(ANY_KEY) for line in lines)
    for seen in (*(run.output.encode() for run in runs), *here.seen):
        assert not any(line.encode() in seen for line in lines)
    # A renewal, for other names, is for the key that is there.
    controller.succeed(inventory, etcd_peer_tls_extra_sans=["lb.example.com"])
    assert controller.on_each(PAIR, f"cat {PKI}/*.key") == second and controller.is_healthy()


def test_a_node_that_can_make_no_key_is_named_before_anything_is_changed(controller: Controller, lab: Lab) -> None:
    inventory = controller.inventory(etcd_peer_tls_key_custody="node", etcd_peer_tls_extra_sans=["lb.example.com"])
    lab.execute("etcd-2", "mv /usr/bin/openssl /usr/bin/openssl.away")
    try:
        # What keeps its key needs nothing.
        assert set(controller.succeed(inventory).changed.values()) == {0}
        refused = controller.refuse(inventory, etcd_peer_tls_new_keys=True).output
        assert "member etcd-2: a new private key is due, and nothing there makes one (no openssl" in refused
    finally:
        lab.execute("etcd-2", "mv /usr/bin/openssl.away /usr/bin/openssl")
