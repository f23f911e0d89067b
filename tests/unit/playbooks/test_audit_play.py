# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbook audit from its beginning to its exit code, on a host that has processes and a network of its own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.action import etcd_audit
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.namespaces import OWN_HOST

COLLECTION = pathlib.Path(etcd_audit.__file__).parents[2]
BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(
    not BINARIES or os.geteuid() != 0 or shutil.which("unshare") is None, reason="it needs an etcd and namespaces"
)
LIST = "peer-cert-allowed-cn=m1.example.com,m2.example.com,m3.example.com"


def play(folder: pathlib.Path, extra: str, *words: str) -> tuple[int, str, dict[str, t.Any]]:
    """Exit code, what was printed, and the document."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    env |= {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]), "ANSIBLE_NOCOLOR": "1"}
    env |= {"ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}
    variables = {
        "etcd_audit_folders": [str(folder / "pairs")],
        "etcd_peer_tls_report_json": str(folder / "audit.json"),
        "etcd_peer_tls_report_html": str(folder / "audit.html"),
        "etcd_peer_tls_report_metrics": str(folder / "audit.prom"),
    }
    script = pathlib.Path(__file__).with_name("audited_host.py")
    done = subprocess.run(
        [
            *(*OWN_HOST, sys.executable, str(script), BINARIES[0], str(folder), extra),
            *(str(COLLECTION / "playbooks" / "audit.yml"), "-e", json.dumps(variables), *words),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )
    printed = done.stdout + done.stderr
    assert (folder / "audit.json").exists() and "Traceback" not in printed, printed[-6000:]
    assert "<html" in (folder / "audit.html").read_text() and "proof_verdict" in (folder / "audit.prom").read_text()
    assert "changed=0" in printed and "PRIVATE KEY" not in printed
    return done.returncode, printed, json.loads((folder / "audit.json").read_text())


def test_an_open_cluster_fails_the_run(tmp_path: pathlib.Path) -> None:
    code, printed, audit = play(tmp_path, "-")
    assert code == 2 and "etcd: FAILED - 3 members, 6 of 6 calls of members accepted" in printed
    assert "it lets in node-worker.example.com, which is no member" in " ".join(printed.split())
    assert {one["code"] for one in audit["findings"] if one["verdict"] == "failed"} == {
        "allowed_common_names",
        "strangers",
    }
    assert len(audit["let_in"]) == 1 and len(audit["let_in"][0]["by"]) == 3


@pytest.mark.parametrize(
    "words", [(), ("--check", "--diff", "-e", "etcd_peer_tls_report_host=keeper")], ids=["run", "check"]
)
def test_a_fenced_cluster_is_exit_code_0(tmp_path: pathlib.Path, words: tuple[str, ...]) -> None:
    code, printed, audit = play(tmp_path, LIST, *words)
    assert code == 0, printed[-6000:]
    assert "etcd: PROVED - 3 members, 6 of 6 calls of members accepted, 18 of 18 of strangers refused" in printed
    assert audit["passed"] and audit["findings"] == []
    assert ("[etcd-1 -> keeper]" in printed) is ("keeper" in str(words))
