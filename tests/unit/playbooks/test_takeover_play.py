# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks takeover and adopt to a refusal, on a host that has processes and a network of its own."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_takeover
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.namespaces import OWN_HOST

COLLECTION = pathlib.Path(etcd_takeover.__file__).parents[2]
BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(
    not BINARIES or os.geteuid() != 0 or shutil.which("unshare") is None, reason="it needs an etcd and namespaces"
)


@pytest.mark.parametrize(
    ("playbook", "not_done", "state"),
    [("takeover", "taken over", "present"), ("takeover", "", "standing"), ("adopt", "adopted", "present")],
)
def test_three_members_on_one_host_are_refused(
    tmp_path: pathlib.Path, playbook: str, not_done: str, state: str
) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env |= {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]), "ANSIBLE_NOCOLOR": "1"}
    env |= {"ANSIBLE_HOME": str(tmp_path / "home"), "LC_ALL": "C.UTF-8"}
    if state == "standing":
        (tmp_path / "group_vars").mkdir()
        (tmp_path / "group_vars" / "etcd.yml").write_text(f"etcd_{playbook}_state: absent\n")
    script = pathlib.Path(__file__).with_name("audited_host.py")
    done = subprocess.run(
        [
            *(*OWN_HOST, sys.executable, str(script), BINARIES[0], str(tmp_path), "-"),
            str(COLLECTION / "playbooks" / f"{playbook}.yml"),
            *([] if state == "standing" else ["-e", f"etcd_{playbook}_state={state}"]),
            *("-e", f"etcd_peer_tls_ca_directory={tmp_path}/ca"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    printed = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2 and "Traceback" not in printed and "changed=0" in printed, printed[-6000:]
    if state == "standing":
        assert f"etcd-1: etcd_{playbook}_state: absent stands in the inventory" in printed
    else:
        assert f"nothing is {not_done}: the cluster: etcd-1 has 3 of its members" in printed
        assert "no systemd unit starts it" in printed or "runs in a container" in printed
