# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back of a takeover is a word of one run: Ansible's own variables say where it comes from."""

from __future__ import annotations

import pathlib
import typing as t
from unittest import mock

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover_runs import is_way_back

WORD = "etcd_takeover_state"
GROUP_VARS, HOST_VARS = "group_vars/etcd.yml", "host_vars/etcd-1.yml"


def asked(
    folder: pathlib.Path, state: str | None, standing: t.Mapping[str, str], extra: t.Mapping[str, str] | None = None
) -> bool:
    """``standing``: the inventory's files, by name. ``extra``: what the command line says."""
    (folder / "inventory.yml").write_text("etcd: {hosts: {etcd-1: {}, etcd-2: {}}}\n")
    for name, text in standing.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    loader = DataLoader()
    inventory = InventoryManager(loader, sources=[str(folder / "inventory.yml")])
    manager = VariableManager(loader, inventory)
    manager._extra_vars = dict(extra or {})
    hostvars = HostVars(inventory, manager, loader)
    variables = {**manager.get_vars(host=inventory.get_host("etcd-1")), "hostvars": hostvars}
    options = {} if state is None else {"state": state}
    templar = Templar(loader, variables=variables)
    return is_way_back(options, WORD, mock.Mock(), templar, {**variables, "inventory_hostname": "etcd-1"})


@pytest.mark.parametrize(
    ("state", "standing", "extra", "is_back"),
    [
        (None, {}, {}, False),
        ("present", {}, {}, False),
        # By the command line, and by a playbook of the user's own.
        ("absent", {}, {WORD: "absent"}, True),
        ("absent", {}, {}, True),
        ("absent", {GROUP_VARS: f"{WORD}: present\n"}, {WORD: "absent"}, True),
        ("absent", {GROUP_VARS: f"{WORD}: absent\n"}, {WORD: "absent"}, True),
        ("present", {GROUP_VARS: f"{WORD}: absent\n"}, {WORD: "present"}, False),
        # Another playbook's word.
        ("absent", {GROUP_VARS: "etcd_adopt_state: absent\n"}, {WORD: "absent"}, True),
        # The inventory says another, and a playbook overrules it.
        ("absent", {GROUP_VARS: f"{WORD}: ''\n"}, {}, True),
        ("absent", {"host_vars/etcd-2.yml": f"{WORD}: absent\n"}, {}, True),
    ],
)
def test_a_run_says_it(
    tmp_path: pathlib.Path, state: str | None, standing: dict[str, str], extra: dict[str, str], is_back: bool
) -> None:
    assert asked(tmp_path, state, standing, extra) is is_back


@pytest.mark.parametrize(
    "standing",
    [
        {GROUP_VARS: f"{WORD}: absent\n"},
        {HOST_VARS: f"{WORD}: absent\n"},
        {GROUP_VARS: f"{WORD}: '{{{{ gone }}}}'\ngone: absent\n"},
    ],
)
def test_the_inventory_says_it(tmp_path: pathlib.Path, standing: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        asked(tmp_path, "absent", standing)
    assert str(caught.value) == (
        "etcd-1: etcd_takeover_state: absent stands in the inventory, and every run to come would do it again: take it "
        "out of there, and give it to the one run that is to do it, with -e etcd_takeover_state=absent"
    )


def test_neither_of_the_two(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="state is 'gone': it is present or absent \\(etcd_takeover_state\\)"):
        asked(tmp_path, "gone", {})
