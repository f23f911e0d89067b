# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The EXAMPLES of all modules and filters, as they stand: one story, in order, on hosts with nothing but etcd."""

from __future__ import annotations

import ast
import hashlib
import tarfile
import textwrap
from pathlib import Path

import pytest
from ringfence_lab.lab import Lab
from support import TRIO, Controller

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
# What comes later uses what came before.
STORY = (
    "filter/etcd_unmatched",
    "modules/etcd_settings",
    "filter/etcd_members",
    "modules/etcd_ca",
    "modules/etcd_peer_certificates",
    "modules/etcd_node_task",
    "modules/etcd_peer_key",
    "modules/etcd_peer_credentials",
    "modules/etcd_client_credentials",
    "modules/etcd_client_check",
    "modules/etcd_client_gate",
    "filter/systemd_quote",
    "filter/etcd_arguments",
    "filter/hashed_unit",
    "modules/etcd_peer_service",
    "modules/etcd_snapshot",
    "modules/etcd_restore",
    "modules/etcd_cluster_gate",
    "modules/etcd_member",
    "modules/etcd_peer_info",
    "modules/etcd_peer_stranger",
    "modules/etcd_peer_probe",
    "modules/etcd_cluster_check",
    "modules/etcd_peer_proof",
    "modules/etcd_process_info",
    "modules/etcd_process_probe",
    "modules/etcd_audit",
    "modules/etcd_takeover",
    "modules/etcd_adopt",
    "modules/etcd_program",
)
# What a user has, and no example can bring.
RELEASE = "etcd-v3.5.16-linux-amd64"
SECRETS = {"vault_etcd_ca_passphrase": "correct horse battery"}


def examples_of(path: Path) -> str | None:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES":
            text: str = ast.literal_eval(node.value)
            return text.strip("\n")
    return None


def playbook() -> str:
    """Examples that are tasks stand in one play of the group etcd; those that are plays, by themselves."""
    plays, in_tasks = [], False
    for name in STORY:
        text = examples_of(PLUGINS / f"{name}.py")
        assert text is not None, name
        if "\n  hosts: " in text:
            plays.append(text)
            in_tasks = False
            continue
        if not in_tasks:
            plays.append("- name: Examples\n  hosts: etcd\n  gather_facts: false\n  tasks:")
            in_tasks = True
        plays.append(textwrap.indent(f"# {name}\n{text}", "    "))
    return "---\n" + "\n\n".join(plays) + "\n"


def test_every_example_is_in_the_story() -> None:
    files = [*(PLUGINS / "modules").glob("*.py"), *(PLUGINS / "filter").glob("*.py")]
    assert {f"{path.parent.name}/{path.stem}" for path in files if examples_of(path) is not None} == set(STORY)


@pytest.fixture
def story(controller: Controller, lab: Lab) -> Path:
    """The playbook in a folder of its own, with a release archive of the hosts' own etcd."""
    folder = controller.folder / "examples"
    (folder / "files" / RELEASE).mkdir(parents=True)
    for program in ("etcd", "etcdctl"):
        lab.copy_from("etcd-1", f"/usr/bin/{program}", str(folder / "files" / RELEASE / program))
    with tarfile.open(folder / "files" / f"{RELEASE}.tar.gz", "w:gz") as archive:
        archive.add(folder / "files" / RELEASE, arcname=RELEASE)
    path = folder / "examples.yml"
    path.write_text(playbook())
    return path


def test_the_examples_run_as_they_stand(controller: Controller, story: Path) -> None:
    controller.bare(*TRIO)
    controller.on_each(TRIO, "userdel etcd; groupdel etcd; rm -rf /srv/etcd /var/lib/etcd; true")
    archive = story.parent / "files" / f"{RELEASE}.tar.gz"
    given = {**SECRETS, "etcd_archive_sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}
    inventory = controller.inventory({"etcd": TRIO})
    first = controller.succeed(inventory, playbook=story, **given)
    assert all(count >= 3 for count in first.changed.values())
    assert controller.is_healthy()
    assert "<html" in (story.parent / "reports" / "etcd.html").read_text("utf-8")
    processes = controller.processes()
    again = controller.succeed(inventory, playbook=story, **given)
    # One host takes a snapshot, each time anew.
    assert again.changed == {"etcd-1": 1, "etcd-2": 0, "etcd-3": 0} and controller.processes() == processes
    taken = sorted((story.parent / "snapshots").iterdir())
    assert len(taken) == 2 and {path.stat().st_mode & 0o7777 for path in taken} == {0o600}
    for secret in (SECRETS["vault_etcd_ca_passphrase"], "PRIVATE KEY"):
        assert secret not in first.output and secret not in again.output
