# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module of this collection as Ansible does: a process of its own, arguments as JSON, one JSON answer.

Works with ansible-core 2.16 to 2.21, in a plain pytest run and under ``ansible-test units``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils import _errors

NAMESPACE = "ansible_collections.ringfence.etcd.plugins.modules"


def collections_root() -> str:
    """The folder that holds ``ansible_collections``; ansible-test's import hook is not there in a new process."""
    path = os.path.abspath(_errors.__file__)
    return path.rsplit(os.sep + "ansible_collections" + os.sep, 1)[0]


def run_module(
    name: str,
    args: t.Mapping[str, t.Any],
    check_mode: bool = False,
    no_log: bool = False,
    diff: bool = True,
    environment: t.Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> dict[str, t.Any]:
    """Run a module and give back its answer, with ``stderr`` under ``_stderr``; AssertionError where there is none.

    ``environment`` adds to the present one. ansible-core 2.19 and later take a profile from the command line ("legacy"
    by default), 2.16 to 2.18 know none; all of them read the arguments from stdin.
    """
    arguments = {
        **args,
        "_ansible_check_mode": check_mode,
        "_ansible_no_log": no_log,
        "_ansible_diff": diff,
        "_ansible_module_name": f"ringfence.etcd.{name}",
    }
    paths = [collections_root(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    done = subprocess.run(
        [python, "-m", f"{NAMESPACE}.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("{"), f"no answer: {done.stdout}\n{done.stderr}"
    answer: dict[str, t.Any] = json.loads(lines[0])
    assert (done.returncode == 0) is not answer.get("failed", False), done.returncode
    answer["_stderr"] = done.stderr
    return answer
