# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples as a user runs them, up to the point where a host is spoken to: there is none behind their addresses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .settings_play import COLLECTIONS, PLAY_SECONDS

COLLECTION = Path(__file__).parents[4]
FOLDER = COLLECTION / "examples"
PAIRS = [
    ("inventory.yml", "site.yml", ["etcd-1", "etcd-2", "etcd-3"]),
    ("inventory.yml", "monitor.yml", ["etcd-1", "etcd-2", "etcd-3"]),
    (
        "two-clusters-inventory.yml",
        "two-clusters.yml",
        [f"{name}-{n}" for name in ("blue", "green") for n in (1, 2, 3)],
    ),
]


@pytest.mark.parametrize(("inventory", "playbook", "hosts"), PAIRS, ids=[pair[1] for pair in PAIRS])
def test_an_example_is_taken_as_it_stands(tmp_path: Path, inventory: str, playbook: str, hosts: list[str]) -> None:
    line = [sys.executable, "-m", "ansible.cli.playbook", "--check", "-i", str(FOLDER / inventory)]
    line += ["-e", "ansible_connection=local ansible_become=false ansible_python_interpreter=/nonexistent"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment.update(
        ANSIBLE_COLLECTIONS_PATH=COLLECTIONS,
        ANSIBLE_HOME=str(tmp_path),
        ANSIBLE_LOCALHOST_WARNING="false",
        ANSIBLE_NOCOLOR="1",
        LC_ALL="C.UTF-8",
    )
    done = subprocess.run(
        [*line, str(FOLDER / playbook)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=PLAY_SECONDS,
    )
    tasks = re.split(r"^TASK \[", done.stdout, flags=re.MULTILINE)
    (preflight,) = [task for task in tasks if "Read the settings and build the member list]" in task]
    assert sorted(re.findall(r"^ok: \[([a-z0-9-]+)\]", preflight, re.MULTILINE)) == hosts, done.stdout + done.stderr
    assert any("Gather state and probe peers]" in task for task in tasks)


def test_every_example_is_run_and_listed() -> None:
    found = {path.name for path in FOLDER.glob("*.yml")}
    assert found == {name for pair in PAIRS for name in pair[:2]}
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{inventory}` | `{playbook}` |" in listed for inventory, playbook, _hosts in PAIRS)


def test_the_readme_shows_the_first_example() -> None:
    readme = (COLLECTION / "README.md").read_text(encoding="utf-8")
    shown = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)]
    for name in ("inventory.yml", "site.yml"):
        assert yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")) in shown
