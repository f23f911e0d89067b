# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for every task file of the role: it fits a screen, and it hides no message."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.action import etcd_settings
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import api_access

ROLE = pathlib.Path(etcd_settings.__file__).parents[2] / "roles" / "etcd_peer_tls"
FILES = sorted((ROLE / "tasks").glob("*.yml"))
SCREEN_LINES = 50
_BLOCKS = ("block", "rescue", "always")


def tasks_in(found: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Every task and block, those in blocks too."""
    for task in found:
        yield task
        for key in _BLOCKS:
            yield from tasks_in(task.get(key, ()))


def hidden(task: t.Mapping[str, t.Any]) -> list[str]:
    """What of a task decides by a condition whether it failed or changed something.

    Where the result is a failed one it lacks what the condition asks for, and ansible-core from 2.19 on tells of the
    condition and not why the task failed. Whether it is check mode is asked of no result.
    """
    kept = {"changed_when": ("ansible_check_mode",), "failed_when": ()}
    return [key for key in kept if not isinstance(task.get(key, False), bool) and task[key] not in kept[key]]


def test_there_are_task_files() -> None:
    assert "main" in [file.stem for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_task_file_fits_a_screen(file: pathlib.Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= SCREEN_LINES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_condition_stands_on_a_result_that_may_be_a_failed_one(file: pathlib.Path) -> None:
    tasks = list(tasks_in(yaml.safe_load(file.read_text(encoding="utf-8"))))
    assert {task["name"]: hidden(task) for task in tasks if hidden(task)} == {}


def templated_files(task: t.Mapping[str, t.Any]) -> list[str]:
    """The files of tasks that a task names by a template.

    Before ansible-core 2.19 nothing below such a one can import a file: "When using static imports, the parent dynamic
    include cannot utilize host facts or variables from inventory".
    """
    asked = [task.get(f"ansible.builtin.{action}", {}) for action in ("include_tasks", "include_role")]
    names = [value if isinstance(value, str) else value.get("file") or value.get("tasks_from") or "" for value in asked]
    return [name for name in names if "{{" in name]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_of_tasks_is_included_by_its_name(file: pathlib.Path) -> None:
    tasks = list(tasks_in(yaml.safe_load(file.read_text(encoding="utf-8"))))
    assert [name for task in tasks for name in templated_files(task)] == []


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ({"ansible.builtin.include_tasks": {"file": "{{ next }}.yml", "apply": {}}}, ["{{ next }}.yml"]),
        ({"ansible.builtin.include_tasks": "{{ next }}.yml"}, ["{{ next }}.yml"]),
        ({"ansible.builtin.include_role": {"name": "some", "tasks_from": "{{ next }}"}}, ["{{ next }}"]),
        ({"ansible.builtin.include_tasks": {"file": "look.yml"}, "when": "next == 'look'"}, []),
        ({"ansible.builtin.include_role": {"name": "some"}}, []),
    ],
)
def test_a_templated_file_is_seen(task: dict[str, t.Any], names: list[str]) -> None:
    assert templated_files(task) == names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_is_never_failed_keeps_its_result(file: pathlib.Path) -> None:
    """``failed_when: false`` alone would swallow the message: what was registered has it, and a later task tells it."""
    tasks = tasks_in(yaml.safe_load(file.read_text(encoding="utf-8")))
    assert [task["name"] for task in tasks if task.get("failed_when") is False and "register" not in task] == []


@pytest.mark.parametrize(
    ("task", "keys"),
    [
        ({"failed_when": "state.failed", "register": "state"}, ["failed_when"]),
        ({"failed_when": ["call != 'always'", "state.failed | default(false)"]}, ["failed_when"]),
        ({"changed_when": "ansible_check_mode and found.members"}, ["changed_when"]),
        ({"changed_when": "ansible_check_mode"}, []),
        ({"failed_when": "ansible_check_mode"}, ["failed_when"]),
        ({"changed_when": False, "failed_when": False}, []),
        ({}, []),
    ],
)
def test_the_pattern_is_seen(task: dict[str, t.Any], keys: list[str]) -> None:
    assert hidden(task) == keys


@pytest.mark.parametrize("file", [*FILES, ROLE / "vars" / "main.yml"], ids=lambda file: file.name)
def test_no_filter_of_ours_stands_in_an_argument(file: pathlib.Path) -> None:
    """What one raises would be told as a failure of the arguments: the first task asks the same functions instead."""
    assert "| ringfence.etcd." not in file.read_text(encoding="utf-8")


def asks_in_part(tasks: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Tasks that ask etcd's API with some of what RBAC wants: they would be refused where another part is given."""
    found = []
    for task in tasks:
        of_modules = {**task, **task.get("module_defaults", {})}
        for name, options in of_modules.items():
            if "." not in name or not isinstance(options, dict):
                continue
            if {"settings_variable", "strangers_variable"} <= options.keys():
                # It takes all of what RBAC wants from there (test_probe_options.py).
                continue
            # One finds the client files by itself.
            finds = name == "ringfence.etcd.etcd_process_info"
            wanted = (api_access.USER_ARGUMENTS if finds else api_access.ARGUMENTS).keys()
            given = api_access.ARGUMENTS.keys() & options.keys()
            if given and given != wanted:
                found.append(task["name"])
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_all_that_rbac_may_want_is_given_where_the_api_is_asked(file: pathlib.Path) -> None:
    assert asks_in_part(tasks_in(yaml.safe_load(file.read_text(encoding="utf-8")))) == []


def test_a_part_of_it_is_seen() -> None:
    one = {"api_user": "x"}
    assert asks_in_part([{"name": "a", "r.e.m": one}, {"name": "b", "module_defaults": {"r.e.m": one}}]) == ["a", "b"]
    assert asks_in_part([{"name": "c", "r.e.m": dict.fromkeys(api_access.ARGUMENTS), "vars": one}]) == []
    probe = {"settings_variable": "x", "client_ca_file": "y"}
    assert asks_in_part([{"name": "f", "r.e.m": probe}]) == ["f"]
    assert asks_in_part([{"name": "g", "r.e.m": {**probe, "strangers_variable": "z"}}]) == []
    info = "ringfence.etcd.etcd_process_info"
    assert asks_in_part([{"name": "d", info: one}, {"name": "e", info: dict.fromkeys(api_access.USER_ARGUMENTS)}]) == [
        "d"
    ]


def test_a_task_in_a_block_is_seen() -> None:
    inner = {"name": "inner", "failed_when": "x"}
    assert inner in list(tasks_in([{"name": "outer", "block": [{"rescue": [inner], "block": []}]}]))
