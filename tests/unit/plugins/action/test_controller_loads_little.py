# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller loads of this collection it compiles anew in each run: nothing that only a host needs."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils import _node_actions
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import schema_from
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import NAMESPACE, collections_root

PLUGINS = "ansible_collections.ringfence.etcd.plugins"
MODULES = sorted(path.stem for path in pathlib.Path(_node_actions._MODULES).glob("etcd_*.py"))
# What a run without changes calls, and the one module that an action may run in its own process.
CALLED = ["etcd_settings", "etcd_peer_stranger", "etcd_peer_probe", "etcd_cluster_check", "etcd_peer_proof"]
HERE_TOO = {f"{PLUGINS}.modules.etcd_peer_stranger"}


@pytest.mark.parametrize("module", MODULES)
def test_what_a_module_documents_is_read_as_it_is(module: str) -> None:
    texts = {name: importlib.import_module(f"{NAMESPACE}.{name}").RETURN for name in (module, "etcd_peer_info")}
    assert _node_actions.schema_of(module, "etcd_peer_info") == schema_from(module, texts)


ACTIONS = sorted(path.stem for path in (pathlib.Path(_node_actions._MODULES).parent / "action").glob("etcd_*.py"))


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_finds_what_its_module_documents(action: str) -> None:
    """By name: an action that gave the module itself could not be loaded."""
    schema = getattr(importlib.import_module(f"{PLUGINS}.action.{action}").ActionModule, "schema", None)
    assert schema is None or (schema.module, bool(schema.fields)) == (action, True)


def loaded_with(names: list[str]) -> set[str]:
    """The modules of this collection in a new interpreter that has imported these."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(f'{PLUGINS}.{{name}}')\n"
        f"print(json.dumps([name for name in sys.modules if name.startswith('{PLUGINS}.')]))\n"
    )
    paths = [collections_root(), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def within(loaded: set[str], *packages: str) -> list[str]:
    """Those of them that are in one of these packages below module_utils."""
    begins = tuple(f"{PLUGINS}.module_utils.{package}." for package in packages)
    return sorted(name for name in loaded if f"{name}.".startswith(begins))


def test_a_run_without_changes_loads_no_code_of_a_host() -> None:
    loaded = loaded_with([f"action.{name}" for name in CALLED])
    assert {name for name in loaded if f"{PLUGINS}.modules." in name} == HERE_TOO
    assert within(loaded, "_foreign", "_member.info", "_systemd.manager") == []


def test_a_filter_loads_nothing_of_certificates() -> None:
    """Ansible loads all of them for any, in each play with hosts.yml: half a second when one took the role's rules."""
    folder = pathlib.Path(_node_actions._MODULES).parent / "filter"
    names = [f"filter.{file.stem}" for file in folder.glob("[!_]*.py")]
    loaded = loaded_with(names)
    assert len(names) == 5 and {f"{PLUGINS}.{name}" for name in names} <= loaded
    assert within(loaded, "_x509", "_issuing", "_pki", "_node", "_member", "_etcd", "_foreign") == []
    assert f"{PLUGINS}.plugin_utils._input_validation" not in loaded
