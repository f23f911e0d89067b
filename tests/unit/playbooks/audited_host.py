# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host that is audited, alone with its own processes and network: run in namespaces of its own.

``audited_host.py BINARY FOLDER EXTRA PLAYBOOK WORD...`` starts a cluster of three with a flag more (``-``: none), lets
a worker's pair lie beside it, and plays the playbook on this host.
"""

from __future__ import annotations

import fcntl
import pathlib
import socket
import struct
import subprocess
import sys

from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import Deployment

_SET_FLAGS, _UP = 0x8914, 0x1


def bring_loopback_up() -> None:
    with socket.socket() as one:
        fcntl.ioctl(one, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))


def main() -> int:
    binary, folder, extra, playbook, *words = sys.argv[1:]
    bring_loopback_up()
    deployed = Deployment(binary, pathlib.Path(folder), 3)
    (deployed.folder / "pairs").mkdir()
    deployed.certificate("node-worker", deployed.folder / "pairs")
    deployed.start(extra=dict([extra.split("=", 1)]) if extra != "-" else None)
    inventory = deployed.folder / "inventory.yml"
    local = f"{{ansible_connection: local, ansible_become: false, ansible_python_interpreter: {sys.executable}}}"
    inventory.write_text(f"etcd: {{hosts: {{etcd-1: {local}}}}}\nkeepers: {{hosts: {{keeper: {local}}}}}\n")
    try:
        line = [sys.executable, "-m", "ansible.cli.playbook", "-i", str(inventory), playbook, *words]
        return subprocess.run(line, stdin=subprocess.DEVNULL, check=False).returncode
    finally:
        deployed.stop()


if __name__ == "__main__":
    sys.exit(main())
