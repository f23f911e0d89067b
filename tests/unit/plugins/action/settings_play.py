# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the role's first tasks in a real ansible-playbook: what settings come from is Ansible's own precedence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.ringfence.etcd.plugins.action import etcd_settings
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import PREFIX, WORDS_OF_A_RUN

COLLECTIONS = str(Path(etcd_settings.__file__).parents[5])
PLAY_SECONDS = 300

_LYING = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=dict(facts=dict(type="dict")))
module.exit_json(ansible_facts=module.params["facts"])
"""

# Written by the action itself: a module takes two processes for each host.
_KEEP = """
import pathlib
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        pathlib.Path(self._task.args["path"]).write_text(str(self._task.args["content"]), encoding="utf-8")
        return {"changed": False}
"""

_SAID = {f"{PREFIX}{name}": f"said_{name}" for name in WORDS_OF_A_RUN}

HOSTS: dict[str, dict[str, t.Any]] = {
    "etcd-1": {"ansible_host": "10.0.0.1"},
    "etcd-2": {"ansible_host": "10.0.0.2"},
    "etcd-3": {"ansible_host": "10.0.0.3"},
}


class Vault(str):
    """A text that stands in a variables file behind !vault."""


yaml.SafeDumper.add_representer(Vault, lambda dumper, data: dumper.represent_scalar("!vault", str(data), style="|"))


class SettingsPlay:
    """A folder with an inventory, files of variables, and a module that lies."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "library").mkdir()
        (folder / "library" / "lying.py").write_text(_LYING)
        (folder / "actions").mkdir()
        (folder / "actions" / "keep.py").write_text(_KEEP)
        (folder / "password").write_text("open sesame\n")
        self._number = 0
        self.output = ""
        # In front of all other folders that Python looks into.
        self.python_path = ""

    def encrypted(self, text: str) -> Vault:
        """A text as ``ansible-vault encrypt_string`` makes it."""
        vault = VaultLib([("default", VaultSecret((self.folder / "password").read_bytes().strip()))])
        return Vault(vault.encrypt(text).decode())

    def run(
        self,
        *words: str,
        hosts: t.Mapping[str, t.Mapping[str, t.Any]] | None = None,
        group_variables: t.Mapping[str, t.Any] | None = None,
        play: t.Mapping[str, t.Any] | None = None,
        role_variables: t.Mapping[str, t.Any] | None = None,
        before: t.Sequence[t.Mapping[str, t.Any]] = (),
        whole_role: bool = False,
        group: str = "etcd",
    ) -> dict[str, dict[str, t.Any]]:
        """By host, its settings, or a dictionary with ``msg`` alone: why it has none.

        ``whole_role``: with Ansible's own check of the arguments in front.
        """
        self._number += 1
        folder = self.folder / f"run-{self._number}"
        folder.mkdir()
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {
            group: {"hosts": dict(HOSTS if hosts is None else hosts), "vars": {**local, **(group_variables or {})}}
        }
        (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
        role = {"name": "ringfence.etcd.etcd_peer_tls", "tasks_from": "main" if whole_role else "members"}
        content = "{{ (ansible_failed_result | default(__etcd_peer_tls_settings)) | to_json }}"
        kept = {"keep": {"path": f"{folder}/{{{{ inventory_hostname }}}}.json", "content": content}}
        block = {
            "block": [{"ansible.builtin.include_role": role, "vars": dict(role_variables or {})}, kept],
            "rescue": [kept],
            "tags": ["always"],
        }
        playbook = {"hosts": group, "gather_facts": False, "tasks": [*map(dict, before), block], **(play or {})}
        (folder / "play.yml").write_text(yaml.safe_dump([playbook], sort_keys=False))
        line = [sys.executable, "-m", "ansible.cli.playbook", "-i", str(folder / "inventory.yml")]
        line += ["--vault-password-file", "password", *words, str(folder / "play.yml")]
        self._play(line)
        return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}

    def run_each(
        self, cases: t.Mapping[str, t.Mapping[str, t.Any]], *words: str, call: str = "", entry_point: str = ""
    ) -> dict[str, dict[str, t.Any]]:
        """By host what the preflight gives: each host is a cluster of its own, with the variables of its case.

        One play for all of them, as a start of Ansible costs more than a hundred hosts. ``call``: as in a proof.
        ``entry_point``: of the role, where it is not that of a deployment.
        """
        self._number += 1
        folder = self.folder / f"run-{self._number}"
        folder.mkdir()
        hosts = {
            host: {
                "ansible_host": f"10.0.{number // 250}.{number % 250 + 1}",
                "etcd_peer_tls_members": [host],
                # Words of one run stand in no inventory: the play says them.
                **{_SAID.get(name, name): value for name, value in given.items()},
            }
            for number, (host, given) in enumerate(cases.items())
        }
        own = {
            "ansible_connection": "local",
            # Nothing can be done on a host, should one not be refused.
            "ansible_python_interpreter": "/nonexistent",
            "etcd_peer_tls_ca_directory": str(self.folder / "ca"),
        }
        (folder / "inventory.yml").write_text(yaml.safe_dump({"etcd": {"hosts": hosts, "vars": own}}))
        role: dict[str, t.Any] = {"name": "ringfence.etcd.etcd_peer_tls", "tasks_from": "members"}
        variables = {"__etcd_peer_tls_call": call} if call else {}
        variables |= {name: f"{{{{ {said} | default('') }}}}" for name, said in _SAID.items()}
        variables |= {"__etcd_peer_tls_entry_point": entry_point} if entry_point else {}
        block = {
            "block": [{"ansible.builtin.import_role": role, "vars": variables}],
            "rescue": [{"ansible.builtin.meta": "noop"}],
        }
        found = "groups.etcd | zip(groups.etcd | map('extract', hostvars, '__etcd_peer_tls_settings'))"
        kept = {"keep": {"path": str(folder / "found"), "content": f"{{{{ dict({found}) | to_json }}}}"}}
        playbook = [
            {"hosts": "etcd", "gather_facts": False, "tasks": [block]},
            {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [kept]},
        ]
        (folder / "play.yml").write_text(yaml.safe_dump(playbook, sort_keys=False))
        line = [sys.executable, "-m", "ansible.cli.playbook", "-i", str(folder / "inventory.yml"), *words]
        self._play([*line, str(folder / "play.yml")])
        answer: dict[str, dict[str, t.Any]] = json.loads((folder / "found").read_text())
        return answer

    def _play(self, line: t.Sequence[str]) -> None:
        done = subprocess.run(
            line,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            timeout=PLAY_SECONDS,
        )
        self.output = done.stdout + done.stderr

    def _environment(self) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
            "ANSIBLE_ACTION_PLUGINS": str(self.folder / "actions"),
            "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LIBRARY": str(self.folder / "library"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(filter(None, [self.python_path, os.environ.get("PYTHONPATH", "")])),
        }
