# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that lie, in a real run of ansible-playbook: each has a Python that changes what the module answers.

One play for all of them, since a lie of one host must not reach another either. The connection is local; all else is as
on a host over SSH.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import typing as t

import pytest
from ansible.release import __version__ as ansible_core
from ansible_collections.ringfence.etcd.tests.unit.once import once
from ansible_collections.ringfence.etcd.tests.unit.plugins.action import liar
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import collections_root

MARK = "a-secret-that-is-not-shown"
SETTINGS = {"etcd_peer_tls_ca_host": "the-liar", "etcd_peer_tls_install": "archive", "ansible_connection": "ssh"}
# What Ansible makes something of, wherever it comes from: several to a host, so that it stays one short play.
HARMLESS: dict[str, dict[str, t.Any]] = {
    "honest": {},
    "facts": {"add": {"ansible_facts": SETTINGS, "_ansible_facts_gathered": True, "ansible_facts_cacheable": True}},
    # Names of facts that Ansible itself would take.
    "interpreter": {"add": {"ansible_facts": {"discovered_interpreter_python": "/tmp/of-the-liar"}}},
    "inventory": {
        "add": {
            "add_host": {"host_name": "intruder", "groups": ["etcd"], "host_vars": SETTINGS},
            "add_group": "taken",
            "parent_groups": ["all"],
            "ansible_stats": {"data": {"stolen": MARK}, "per_host": False, "aggregate": True},
            "_ansible_notify": ["tell"],
            "changed": True,
        }
    },
    "results": {"add": {"results": [{"ansible_facts": SETTINGS, "failed": True}], "skipped": True}},
    "state": {
        "add": {
            "unreachable": True,
            "_ansible_delegated_vars": SETTINGS,
            "ansible_job_id": "1",
            "started": 1,
            "finished": 0,
            "include_file": "/etc/passwd",
            "include_args": {},
            "_ansible_item_result": True,
            "_ansible_ignore_errors": True,
        }
    },
    "shown": {
        "add": {
            "invocation": {"module_args": {"name": MARK}},
            "stdout": {"repeat": [MARK, 1000]},
            "stdout_lines": {"repeat": [[MARK], 100000]},
            "diff": {"before": {"repeat": ["-", 1000000]}, "after": ["x"]},
            "warnings": [{"repeat": ["much\x1b[31m", 100000]}, {"a": MARK[:9]}, 5],
            "deprecations": [{"msg": "old\x1b[31m", "version": "1"}],
            "exception": f"Traceback (most recent call last):\n  {MARK}",
            "more": "DEEP",
        },
        "deep": 100,
    },
}
EVENTS = tuple(map(int, ansible_core.split(".")[:2])) >= (2, 19)
ERROR = {"__ansible_type": "ErrorSummary", "event": {"__ansible_type": "Event", "msg": "no\nmore\x1b[31m"}}
# What each of these ends with.
USELESS: dict[str, tuple[dict[str, t.Any], str]] = {
    "pid": ({"add": {"process": {"pid": [1]}}}, "has process.pid as a list, an integer is wanted"),
    "too-deep": ({"add": {"more": "DEEP"}, "deep": 100000}, "etcd_peer_info"),
    "not-json": ({"say": "hello\n", "complain": "sudo: sorry, you must have a tty to run sudo\n"}, "must have a tty"),
    "silent": ({"say": ""}, "gave no answer that can be read, but nothing"),
    "list": ({"say": "[1, 2]\n"}, "etcd_peer_info gave no answer that can be read, but [1, 2]"),
    "says-why": ({"add": {"failed": True, "msg": "no\nmore\x1b[31m"}, "status": 1}, "no more\\x1b[31m"),
    # How ansible-core from 2.19 on answers for a module that ends with an error that nothing catches.
    "says-its-error": (
        {"add": {"failed": True, "exception": ERROR}, "status": 1},
        "an error that it does not expect: no more\\x1b[31m" if EVENTS else "it failed and does not say why",
    ),
    "says-nothing": (
        {"add": {"failed": True, "msg": ""}, "status": 1},
        "an error that it does not expect: Unknown error" if EVENTS else "it failed and does not say why",
    ),
}
# Some releases of ansible-core can't read these, others can.
ODD: dict[str, dict[str, t.Any]] = {"facts-list": {"add": {"ansible_facts": ["etcd_peer_tls_ca_host"]}}}
UNMASKED: dict[str, t.Any] = {"add": {"_ansible_no_log": False, "failed": True, "msg": "masked?"}}
PLAYBOOK: list[dict[str, t.Any]] = [
    {
        "hosts": "etcd",
        "gather_facts": False,
        "handlers": [{"name": "tell", "ansible.builtin.debug": {"msg": "a handler was told"}}],
        "tasks": [
            {
                "name": "state",
                "ringfence.etcd.etcd_peer_info": {"name": "etcd-1", "directory": "{{ folder }}/pki"},
                "register": "state",
                "ignore_errors": True,
            },
            {
                "name": "a module of Ansible's own",
                "ringfence.etcd.etcd_node_task": {
                    "module": "ansible.builtin.group",
                    "arguments": {"name": "root", "state": "present"},
                },
                "register": "group",
                "when": "inventory_hostname in harmless",
                "ignore_errors": True,
            },
            {
                "name": "hidden",
                "ringfence.etcd.etcd_peer_info": {"name": "etcd-1", "directory": "{{ folder }}/pki"},
                "when": "inventory_hostname == 'unmasked'",
                "ignore_errors": True,
                "no_log": True,
            },
            {
                "name": "what came of it",
                "ansible.builtin.debug": {
                    "msg": "CAME {{ inventory_hostname }} {{ came_of_it | to_json | b64encode }}"
                },
                "vars": {
                    "came_of_it": {
                        "state": "{{ state }}",
                        "group": "{{ group }}",
                        "facts": "{{ ansible_facts }}",
                        "settings": "{{ hostvars[inventory_hostname] | dict2items | map(attribute='key') | list }}",
                        "groups": "{{ groups }}",
                        "connection": "{{ ansible_connection }}",
                    }
                },
            },
        ],
    }
]


class Played(t.NamedTuple):
    output: str
    """With the warnings."""

    def of(self, host: str) -> dict[str, t.Any]:
        reported = re.search(f'CAME {host} ([A-Za-z0-9+/=]+)"', self.output)
        assert reported, self.output[-3000:]
        found: dict[str, t.Any] = json.loads(base64.b64decode(reported[1]))
        return found


def play(folder: pathlib.Path, lies: t.Mapping[str, t.Any], playbook: t.Any, *arguments: str) -> Played:
    """Run a playbook against a host for each lie, whose Python tells it."""
    hosts = {}
    for name, lie in lies.items():
        home = folder / name
        (home / "tmp").mkdir(parents=True)
        interpreter = home / "python3"
        shutil.copy(liar.__file__, interpreter)
        interpreter.write_text(f"#!{sys.executable}\n{interpreter.read_text('utf-8')}", "utf-8")
        interpreter.chmod(0o755)
        (home / "lie.json").write_text(json.dumps(lie), "utf-8")
        hosts[name] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": str(interpreter),
            "ansible_remote_tmp": str(home / "tmp"),
            "ansible_pipelining": True,
            "folder": str(home),
            "harmless": list(HARMLESS),
        }
    inventory = folder / "inventory.json"
    inventory.write_text(json.dumps({"etcd": {"hosts": hosts}}), "utf-8")
    (folder / "playbook.json").write_text(json.dumps(playbook), "utf-8")
    paths = [collections_root(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "ANSIBLE_COLLECTIONS_PATH": collections_root(),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_SHOW_CUSTOM_STATS": "1",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "4",
        "ANSIBLE_LOCAL_TEMP": str(folder / "controller"),
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
    }
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from ansible.cli.playbook import main; main()"),
            *("-i", str(inventory), *arguments, str(folder / "playbook.json")),
        ],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=300,
    )
    assert "PLAY RECAP" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    return Played(done.stdout + done.stderr)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    lies = {**HARMLESS, **ODD, **{name: lie for name, (lie, _words) in USELESS.items()}}
    lies["unmasked"] = UNMASKED
    return once("liars", lambda: play(tmp_path_factory.mktemp("liars"), lies, PLAYBOOK, "-vvv", "--diff"))


@pytest.mark.parametrize("host", [*HARMLESS, *ODD, *USELESS])
def test_a_host_sets_no_variable_and_no_host(played: Played, host: str) -> None:
    found = played.of(host)
    assert not set(SETTINGS) & set(found["settings"]) - {"ansible_connection"} and found["connection"] == "local"
    assert not set(SETTINGS) & set(found["facts"])
    assert found["facts"].get("discovered_interpreter_python") is None
    assert set(found["groups"]) == {"all", "etcd", "ungrouped"} and "intruder" not in found["groups"]["all"]


@pytest.mark.parametrize("host", HARMLESS)
def test_what_is_not_documented_is_dropped(played: Played, host: str) -> None:
    honest, found = played.of("honest"), played.of(host)
    # From 2.19 on ansible-core warns of some of this by itself, and says so in the result.
    own = {"changed", "diff", "warnings", "deprecations"}
    state, wanted = ({key: of["state"][key] for key in set(of["state"]) - own} for of in (found, honest))
    for of_this_host in ("time", "credentials", "crl", "formed_marker", "folder"):
        assert isinstance(state.pop(of_this_host), type(wanted.pop(of_this_host)))
    assert state == wanted and {"etcd", "unit", "process", "user"} <= set(state)
    assert set(found["group"]) <= {"failed", *own} and not found["group"]["failed"]


@pytest.mark.parametrize("host", USELESS)
def test_what_can_not_be_used_is_one_line_that_names_the_host(played: Played, host: str) -> None:
    state = played.of(host)["state"]
    assert state["failed"] is True and USELESS[host][1] in state["msg"]
    assert "\n" not in state["msg"] and len(state["msg"]) < 2500 and "Traceback" not in json.dumps(state)
    if not host.startswith("says-"):
        assert (
            state["msg"].startswith(f"{host}: ") and "etcd_peer_info" in state["msg"] and state["problem"] == "answer"
        )


def test_a_lie_is_heard_nowhere(played: Played) -> None:
    output = played.output
    assert MARK not in output and "intruder" not in output and "a handler was told" not in output
    assert "CUSTOM STATS" not in output and not re.search(r"unreachable=[1-9]", output) and "Traceback" not in output
    assert len(output) < 1_000_000 and "\x1b" not in output and "reserved key" not in output


def test_a_host_can_not_lift_the_mask(played: Played) -> None:
    seen, hidden = played.output.split("TASK [hidden]")
    assert "masked?" in seen and "hidden due to" in hidden
    assert "masked?" not in hidden.split("TASK [what came of it]")[0]
