# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module in an interpreter of its own that tells of every file which is opened for writing or made otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import (
    NAMESPACE,
    TIMEOUT_SECONDS,
    collections_root,
    forget_secrets,
)

# The audit hook can't be taken away again: hence a process that ends.
_WATCHER = """
import os, runpy, sys
makes = ("os.rename", "os.link", "os.symlink", "os.mkdir", "os.truncate", "shutil.copyfile", "tempfile.mkstemp")
def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            where = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else path
            os.write(told, f"{where}\\n".encode())
    elif event in makes:
        os.write(told, f"{event} {arguments}\\n".encode())
told = int(sys.argv.pop())
module = sys.argv.pop()
import ansible.module_utils.basic
sys.dont_write_bytecode = True
sys.addaudithook(watch)
sys.argv = [module]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def run_watched(name: str, args: t.Mapping[str, t.Any], no_log: bool) -> tuple[dict[str, t.Any], list[str]]:
    """The module's answer, and what was written to: ``/memfd:...`` is memory, everything else is a place."""
    arguments = {
        **args,
        "_ansible_check_mode": False,
        "_ansible_no_log": no_log,
        "_ansible_module_name": f"ringfence.etcd.{name}",
    }
    # Without a measurement of coverage, which writes files of its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    paths = [collections_root(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _WATCHER, f"{NAMESPACE}.{name}", str(writing)],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode("utf-8"),
            env={**environment, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            pass_fds=[writing],
        )
    finally:
        os.close(writing)
    with open(reading, encoding="utf-8") as stream:
        written = stream.read().splitlines()
    assert done.stdout.strip().startswith(b"{"), done.stderr.decode()
    answer: dict[str, t.Any] = json.loads(done.stdout)
    forget_secrets(answer)
    return answer, written
