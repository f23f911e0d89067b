# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the actions share that run a module on a host: the module runs there as always, and its answer is checked here.

An action of a module's own name is what Ansible runs in the module's place. It is three lines for a module of this
collection:

    class ActionModule(CheckedAction):
        schema = schema_of("etcd_peer_probe", "etcd_peer_info")

What the module documents is read, and the module is not loaded: of what it has for a host the controller needs nothing,
and Ansible compiles all that it loads of a collection anew in each run.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._actions import OneLineAction
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import (
    ADVICE,
    AnswerError,
    Schema,
    checked_answer,
    one_line,
    printable,
    schema_from,
)

_MODULES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "modules")
# A host's interpreter, found out by Ansible: without it each task would find it out again.
_INTERPRETER_FACT = re.compile(r"discovered_interpreter_[a-z]+")
_INTERPRETER = re.compile(r"/[A-Za-z0-9_./+-]{1,255}")
# What a connection says at its end and a reader need not know.
_CONNECTION_NOISE = re.compile(r"(Shared c|C)onnection to .* closed\.")


@functools.cache
def schema_of(module: str, *others: str) -> Schema:
    """The schema of a module of this collection; ``others``: the modules that its RETURN refers to."""
    return schema_from(module, {name: _documented(name) for name in (module, *others)})


def _documented(module: str) -> str:
    """A module's RETURN."""
    with open(os.path.join(_MODULES, f"{module}.py"), encoding="utf-8") as stream:
        parsed = ast.parse(stream.read())
    values = (
        node.value for node in parsed.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RETURN"
    )
    return str(ast.literal_eval(next(values)))


class CheckedAction(OneLineAction):
    """Run the module on the host, and let through what of its answer is documented."""

    schema: Schema
    # That of the module that runs now.
    _asked_for: Schema | None = None

    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._checked(self.schema, task_vars, lambda: self._execute_module(task_vars=task_vars))

    def _checked(
        self, schema: Schema, task_vars: t.Mapping[str, t.Any], ask: t.Callable[[], t.Any]
    ) -> dict[str, t.Any]:
        """What is asked for, checked; an AnswerError that names the host where it can't be used."""
        self._asked_for = schema
        host = one_line(self._task.delegate_to or task_vars.get("inventory_hostname") or "the host")
        try:
            answer = ask()
            silence = _silence(answer)
            found = checked_answer(schema, answer) if silence is None else {}
        except AnsibleError:
            # Not an answer of the module: the host is out of reach, a password is wrong, the task is.
            raise
        except AnswerError as exc:
            raise AnswerError(f"{host}: the answer of {schema.module} {exc}: {ADVICE}") from exc
        except Exception as exc:
            # Ansible reads what the host printed before anything here does, and is not made for all of it.
            kind = type(exc).__name__
            raise AnswerError(f"{host}: the answer of {schema.module} can't be read ({kind}): {ADVICE}") from exc
        if silence is not None:
            raise AnswerError(f"{host}: {schema.module} gave no answer that can be read, but {silence}: {ADVICE}")
        return {**found, **self._interpreter_fact()}

    def _parse_returned_data(self, res: t.Any, *arguments: t.Any, **more: t.Any) -> t.Any:
        """What the host printed, read by Ansible, which shows warnings and keys that it does not like at once."""
        printed = res.get("stdout") if isinstance(res, Mapping) else None
        if isinstance(printed, str) and self._asked_for is not None:
            res = {**res, "stdout": printable(self._asked_for, printed)}
        return super()._parse_returned_data(res, *arguments, **more)

    def _run_action(self, name: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> t.Any:
        """What an action of Ansible's own answers that is run on the host of this task."""
        task = self._task.copy()
        task.action, task.args = name, arguments
        action = self._shared_loader_obj.action_loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        answer = action.run(task_vars=task_vars)
        for fact in ("_discovered_interpreter_key", "_discovered_interpreter"):
            setattr(self, fact, getattr(action, fact, None))
        return answer

    def _interpreter_fact(self) -> dict[str, t.Any]:
        """The one fact that is passed on: the interpreter that Ansible itself found out, never what the module says."""
        name, path = getattr(self, "_discovered_interpreter_key", None), getattr(self, "_discovered_interpreter", None)
        if not isinstance(name, str) or not isinstance(path, str):
            return {}
        if not _INTERPRETER_FACT.fullmatch(name) or not _INTERPRETER.fullmatch(path):
            return {}
        return {"ansible_facts": {"".join(name): "".join(path)}}


def _silence(answer: t.Any) -> str | None:
    """What there was in place of an answer, None where there is one."""
    if not isinstance(answer, Mapping) or not ("module_stdout" in answer or "module_stderr" in answer):
        return None
    for said in (answer.get("module_stderr"), answer.get("module_stdout")):
        lines = [one_line(line) for line in said.splitlines()[-50:]] if isinstance(said, str) else []
        lines = [line for line in lines if line and not _CONNECTION_NOISE.fullmatch(line)]
        if lines:
            # Python's last line says what the ones above lead to.
            return lines[-1][:300] if lines[0].startswith("Traceback") else " ".join(lines)[:300]
    return "nothing"


__all__ = ("CheckedAction", "schema_of")
