# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What needs a word has a playbook of its own, which does nothing where nothing is named."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from ansible_collections.ringfence.etcd.plugins.action import etcd_settings

COLLECTION = pathlib.Path(etcd_settings.__file__).parents[2]
PLAYBOOKS = COLLECTION / "playbooks"
NEEDS = {
    "remove_member": "etcd_peer_tls_removed names nobody: take the member's host out of the group, and name the member",
    "replace_member": "etcd_peer_tls_replaced names nobody: name the member that lost its data",
    "retire_ca": "etcd_peer_tls_retire_ca names no CA: give its fingerprint",
    "revoke": "etcd_peer_tls_revoked names nothing: give the serial number of a certificate",
    "verify_ca": "etcd_peer_tls_ca_copy names no folder: give the one on the controller that holds the copy",
}


def played(folder: pathlib.Path, playbook: str, *words: str) -> str:
    """What a run prints, on a host where nothing could be done."""
    host = {"ansible_connection": "local", "ansible_python_interpreter": "/nonexistent"}
    (folder / "inventory.yml").write_text(yaml.safe_dump({"etcd": {"hosts": {"etcd-1": host}}}))
    line = [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory.yml", *words]
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env |= {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]), "ANSIBLE_NOCOLOR": "1"}
    env |= {"ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*line, str(PLAYBOOKS / f"{playbook}.yml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("playbook", sorted(NEEDS))
@pytest.mark.parametrize("word", ["", "empty", "blank"])
def test_a_playbook_that_needs_a_word_wants_to_know_what(tmp_path: pathlib.Path, playbook: str, word: str) -> None:
    variable = NEEDS[playbook].partition(" ")[0]
    # As an optional question of a survey that was not answered, and as a required one that was all the same.
    answers = {"empty": "", "blank": " ,\n"}
    said = played(tmp_path, playbook, *(["-e", json.dumps({variable: answers[word]})] if word else []))
    assert NEEDS[playbook] in said and "/nonexistent" not in said


def test_every_playbook_is_on_a_page() -> None:
    pages = "".join(
        path.read_text(encoding="utf-8") for path in (COLLECTION / "README.md", *COLLECTION.glob("docs/*.md"))
    )
    missing = [path.stem for path in PLAYBOOKS.glob("*.yml") if f"ringfence.etcd.{path.stem}" not in pages]
    assert missing == []
