# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The package module has an action of its own, which chooses the package manager's module: a real run, with a module
that stands for one."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import yaml
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import collections_root

# Of what it is given and what it answers, only the names are a real one's.
PACKAGES = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(dict(name=dict(type="list"), state=dict()), supports_check_mode=True)
name = module.params["name"][0]
if name == "missing":
    module.fail_json(msg="No package matching\\n'missing' is available", rc=100, stderr="E: a-secret")
module.exit_json(changed=name == "new", rc=0, stdout="a-secret", ansible_facts={"etcd_peer_tls_install": "archive"})
"""


def test_packages_by_the_action_that_chooses_the_manager(tmp_path: pathlib.Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "pretend_packages.py").write_text(PACKAGES)
    tasks = []
    for name in ("new", "present", "missing", "nowhere"):
        use = "pretend_packages" if name != "nowhere" else "no_such_manager"
        asked = {"name": [name], "state": "present", "use": use}
        tasks += [
            {
                "ringfence.etcd.etcd_node_task": {"module": "ansible.builtin.package", "arguments": asked},
                "register": f"of_{name}",
                "ignore_errors": True,
            },
            {"copy": {"content": f"{{{{ of_{name} | to_json }}}}", "dest": str(tmp_path / name)}},
        ]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-vvv", "-i", "localhost,", str(tmp_path / "play.yml")],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": collections_root(),
            "ANSIBLE_LIBRARY": str(tmp_path / "library"),
            "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
            "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a-secret" not in done.stdout + done.stderr
    answers = {name: json.loads((tmp_path / name).read_text()) for name in ("new", "present", "missing", "nowhere")}
    assert answers["new"] == {"changed": True, "failed": False}
    assert answers["present"] == {"changed": False, "failed": False}
    missing = answers["missing"]
    assert missing["failed"] is True and missing["msg"] == "No package matching 'missing' is available"
    # From 2.19 on Ansible itself notes to each failure that no traceback is kept.
    assert set(missing) - {"exception"} == {"changed", "failed", "msg"} and "a-secret" not in str(answers)
    assert answers["nowhere"]["failed"] is True and "\n" not in answers["nowhere"]["msg"]
    assert answers["nowhere"]["msg"].startswith("Could not find a ") and "no_such_manager" in answers["nowhere"]["msg"]
