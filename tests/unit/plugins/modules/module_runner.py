# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module of this collection as Ansible does: a process of its own, arguments as JSON, one JSON answer.

Works with ansible-core 2.16 to 2.22, in a plain pytest run and under ``ansible-test units``.
"""

from __future__ import annotations

import atexit
import importlib
import io
import json
import os
import posix
import runpy
import signal
import subprocess
import sys
import tempfile
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common import errors

# Loaded here once, so that a module's process starts with it: to load it is nearly all of the time that one takes.
importlib.import_module("ansible.module_utils.basic")

NAMESPACE = "ansible_collections.ringfence.etcd.plugins.modules"
TIMEOUT_SECONDS = 120


def collections_root() -> str:
    """The folder that holds ``ansible_collections``; ansible-test's import hook is not there in a new process."""
    path = os.path.abspath(errors.__file__)
    return path.rsplit(os.sep + "ansible_collections" + os.sep, 1)[0]


def run_module(
    name: str,
    args: t.Mapping[str, t.Any],
    check_mode: bool = False,
    no_log: bool = False,
    diff: bool = True,
    fresh: bool = False,
) -> dict[str, t.Any]:
    """Run a module and give back its answer, with ``stderr`` under ``_stderr``; AssertionError where there is none.

    The process is a fork of this one; with ``fresh`` a new interpreter, which finds its libraries anew.
    """
    arguments = {
        **args,
        "_ansible_check_mode": check_mode,
        "_ansible_no_log": no_log,
        "_ansible_diff": diff,
        "_ansible_module_name": f"ringfence.etcd.{name}",
    }
    payload = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode("utf-8")
    status, stdout, stderr = (_in_new_interpreter if fresh else _in_fork)(f"{NAMESPACE}.{name}", payload)
    lines = [line for line in stdout.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("{"), f"no answer: {stdout}\n{stderr}"
    answer: dict[str, t.Any] = json.loads(lines[0])
    assert (status == 0) is not answer.get("failed", False), status
    forget_secrets(answer)
    check_documented(name, answer)
    answer["_stderr"] = stderr
    return answer


def check_documented(name: str, answer: t.Mapping[str, t.Any]) -> None:
    """Every answer is one that its RETURN documents, whole: what is not would be dropped on its way to the controller.

    Where the controller's part can be loaded, which on the oldest Python of a node it can't.
    """
    try:
        answers = importlib.import_module("ansible_collections.ringfence.etcd.plugins.plugin_utils._answers")
    except ImportError:
        return
    documents = {module: importlib.import_module(f"{NAMESPACE}.{module}").RETURN for module in (name, "etcd_peer_info")}
    schema = answers.schema_from(name, documents)
    checked = answers.checked_answer(schema, answer)
    # From ansible-core 2.19 on a warning is more than its line, which is all that is taken of it.
    checked.pop("warnings", None)
    assert checked == {key: {"changed": False, **answer}[key] for key in checked}
    more = {"changed", "failed", "msg", "diff", "warnings", "deprecations", "invocation", "problem", "details"}
    assert set(answer) - set(schema.fields) <= more | {"exception", "ansible_facts"}, answer


def forget_secrets(answer: dict[str, t.Any]) -> None:
    """Take out what a module tells its controller alone: the secrets that it masks from then on (ansible-core 2.22)."""
    answer.pop("_ansible_new_secrets", None)


def _in_new_interpreter(module: str, payload: bytes) -> tuple[int, str, str]:
    paths = [collections_root(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=payload,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    return done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")


def _in_fork(module: str, payload: bytes) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(payload)
        stdin.seek(0)
        child = os.fork()
        if child == 0:
            _become_module(module, stdin.fileno(), stdout.fileno(), stderr.fileno())
        _pid, status = os.waitpid(child, 0)
        stdout.seek(0)
        stderr.seek(0)
        ended = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        return ended, stdout.read().decode("utf-8"), stderr.read().decode("utf-8")


def _become_module(module: str, *descriptors: int) -> t.NoReturn:
    """Run the module in this process, which ends with it; nothing of pytest's may go on here."""
    status, end = 1, os._exit
    # Where coverage is measured, it saves in os._exit: once for this process, not for each child that the module forks.
    os._exit = posix._exit
    try:
        signal.alarm(TIMEOUT_SECONDS)
        atexit._clear()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        sys.stdin, sys.stdout, sys.stderr = (
            io.TextIOWrapper(open(number, mode, closefd=False), encoding="utf-8")  # noqa: SIM115
            for number, mode in enumerate(("rb", "wb", "wb"))
        )
        sys.argv = [module]
        sys.modules.pop(module, None)
        # The filters' tests load the controller's side of ansible-core, which on a host is not there (2.19 and later).
        internal = sys.modules.get("ansible.module_utils._internal")
        if internal is not None:
            vars(internal)["is_controller"] = False
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        sys.excepthook(*t.cast(t.Any, sys.exc_info()))
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        end(status)
