#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_program
short_description: Try another version of etcd beside the one that runs
version_added: 0.1.0
description:
  - Brings a release archive of etcd to the host, unpacks its programs beside those in place, and runs its C(etcd) with
    C(--version), and with all flags of the unit that is going to start it. So a program for another machine, or one
    that does not know a flag, is found before any member is stopped.
  - Puts no C(etcd) in place. What was tried waits under the name C(.etcd.ringfence-new) in the same folder, until
    M(ringfence.etcd.etcd_peer_service) with O(ringfence.etcd.etcd_peer_service#module:program_staged=true) exchanges
    it just before it starts or restarts the member.
  - It unpacks C(etcd) from the archive, and C(etcdctl) and C(etcdutl) where it has them, and nothing else. An archive
    that holds links, devices or paths out of it is refused.
  - It removes what a run that was killed has left, also with O(state=absent).
  - A program that is the one in place is not staged. Where C(etcd) is the one in place, the other two are put in place
    at once.
extends_documentation_fragment:
  - ringfence.etcd.attributes
attributes:
  check_mode:
    support: full
    details:
      - In check mode the archive comes to the host too and is tried there, in Ansible's temporary folder. Where
        nothing can be run from that folder, the program is not tried, and RV(version) is V(none).
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - ringfence.etcd contributors (@ringfence)
options:
  state:
    description:
      - V(staged) tries the archive's program, and leaves it beside the one in place.
      - V(absent) removes a program that waits, where it is not to be started after all.
    type: str
    choices: [staged, absent]
    default: staged
  etcd_binary:
    description:
      - Path of etcd's program, as in the unit. C(etcdctl) and C(etcdutl) are put into the same folder, which is made
        where it is missing.
      - A symbolic link or a script there is refused, because it would be replaced.
    type: path
    default: /usr/local/bin/etcd
  archive:
    description:
      - A release archive (C(etcd-v*-linux-*.tar.gz)), as the path of a regular file on the controller, or as a URL
        (C(http), C(https), C(ftp)) that the host can reach.
      - A relative path counts from the playbook's folder.
      - Required for O(state=staged).
    type: str
  archive_sha256:
    description:
      - The archive's SHA-256, 64 hexadecimal digits. No other archive leaves the controller or is unpacked.
      - Required for O(state=staged).
    type: str
  unit_content:
    description: Text of the unit that is going to start the program. Without it no flags are tried.
    type: str
  timeout_seconds:
    description: How long the server of a URL may be silent.
    type: int
    default: 60
seealso:
  - module: ringfence.etcd.etcd_peer_service
"""

EXAMPLES = r"""
# With the unit that the filter hashed_unit, and the list that the filter etcd_members has made.
- name: Try the new etcd on each host
  ringfence.etcd.etcd_program:
    etcd_binary: /usr/bin/etcd
    archive: files/etcd-v3.5.16-linux-amd64.tar.gz
    archive_sha256: "{{ etcd_archive_sha256 }}"
    unit_content: "{{ unit }}"
  register: program

- name: Exchange it and restart, one member of the cluster at a time
  ringfence.etcd.etcd_peer_service:
    state: restarted
    name: "{{ inventory_hostname }}"
    program_staged: "{{ program.staged }}"
    members: "{{ members }}"
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: "/etc/etcd/pki/{{ inventory_hostname }}.crt"
    client_key_file: "/etc/etcd/pki/{{ inventory_hostname }}.key"

- name: Take away what was tried and is not to be started after all
  ringfence.etcd.etcd_program:
    state: absent
    etcd_binary: /usr/bin/etcd
"""

RETURN = r"""
staged:
  description: Whether an C(etcd) that is not the one in place waits beside it, or would, in check mode.
  returned: success
  type: bool
version:
  description: The version that the archive's C(etcd) says it is; null where it could not be tried in check mode.
  returned: success, O(state=staged)
  type: str
  sample: 3.6.16
version_before:
  description: The version of the C(etcd) in place; null where there is none, or it does not answer.
  returned: success, O(state=staged)
  type: str
  sample: 3.5.16
programs:
  description: The programs of the archive.
  returned: success, O(state=staged)
  type: list
  elements: dict
  contains:
    name:
      description: One of V(etcdctl), V(etcdutl), V(etcd).
      type: str
    path:
      description: Where it belongs.
      type: str
    differs:
      description: Whether what is there is another program, or nothing.
      type: bool
  sample:
    - {name: etcdctl, path: /usr/local/bin/etcdctl, differs: true}
    - {name: etcd, path: /usr/local/bin/etcd, differs: true}
problem:
  description:
    - "The kind of a failure in one word. V(input): an argument is wrong. V(file): the archive is not the one that was
      meant or is damaged, its program can't be run here, or a file can't be written. V(service): its C(etcd) does not
      take the unit's flags."
  returned: failure
  type: str
details:
  description: What the failure is about.
  returned: failure
  type: dict
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import fetch_url
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    InputError,
    failures_told,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    TIMEOUT_SECONDS,
    check_range,
    is_sha256,
    is_url,
    shown_url,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member import program_archive, program_exchange
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import os_error


def argument_spec() -> dict[str, t.Any]:
    return {
        "state": {"type": "str", "choices": ["staged", "absent"], "default": "staged"},
        "etcd_binary": {"type": "path", "default": "/usr/local/bin/etcd"},
        "archive": {"type": "str"},
        "archive_sha256": {"type": "str"},
        "unit_content": {"type": "str"},
        "timeout_seconds": {"type": "int", "default": 60},
    }


REQUIRED_IF = [("state", "staged", ["archive", "archive_sha256"])]


def check_arguments(params: t.Mapping[str, t.Any]) -> None:
    """What the argument spec can't say."""
    if not is_sha256(params["archive_sha256"]):
        raise InputError(
            f"archive_sha256: {params['archive_sha256']!r} is no SHA-256: 64 hexadecimal digits are needed"
        )
    check_range("timeout_seconds", params["timeout_seconds"], *TIMEOUT_SECONDS)


def fetched(module: AnsibleModule, url: str) -> str:
    """The path of what a URL gives, in this module's temporary folder."""
    # Credentials in it are nobody's business.
    shown = shown_url(url)
    response, info = fetch_url(module, url, timeout=module.params["timeout_seconds"])
    if response is None or (info["status"] not in (200, -1) and not url.lower().startswith("ftp:")):
        why = " ".join(str(info.get("msg", "no answer")).replace(url, shown).split())[:200]
        raise FileError(f"{shown} can't be fetched from this host: {why}: nothing was installed")
    path = os.path.join(module.tmpdir, "archive")
    try:
        with open(path, "wb") as stream:
            program_archive.copy_and_sum(response, stream, shown)
    except OSError as exc:
        raise os_error("fetch", shown, exc) from exc
    return path


def run(module: AnsibleModule) -> tuple[dict[str, t.Any], tuple[str, ...]]:
    params = module.params
    if params["state"] == "absent":
        removed = program_archive.remove_staged(program_exchange.ProgramPlace(params["etcd_binary"]), module.check_mode)
        gone = [
            {"before_header": path, "after_header": path, "before": "# state: file\n", "after": ""} for path in removed
        ]
        return {"changed": bool(removed), "staged": False, "diff": gone}, ()
    check_arguments(params)
    program_archive.check_place(program_exchange.ProgramPlace(params["etcd_binary"]))
    archive = params["archive"]
    tried = program_archive.try_archive(
        fetched(module, archive) if is_url(archive) else archive,
        params["archive_sha256"],
        params["etcd_binary"],
        params["unit_content"],
        scratch=module.tmpdir if module.check_mode else None,
        name=os.path.basename(shown_url(archive)),
    )
    differing = [program for program in tried.programs if program["differs"]]
    result = {
        "changed": tried.changed,
        "staged": tried.staged,
        "version": tried.version,
        "version_before": tried.version_before,
        "programs": list(tried.programs),
        "diff": [
            {
                "before_header": program["path"],
                "after_header": f"{program['path']} (staged)",
                "before": f"{program['name']} {tried.version_before or 'none'}\n",
                "after": f"{program['name']} {tried.version or 'of the archive'}\n",
            }
            for program in differing
            if tried.changed
        ],
    }
    return result, tried.warnings


def main() -> t.NoReturn:
    module = AnsibleModule(argument_spec=argument_spec(), required_if=REQUIRED_IF, supports_check_mode=True)
    with failures_told(module):
        result, warnings = run(module)
        for warning in warnings:
            module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
