#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_snapshot
short_description: Take a snapshot of a running etcd cluster, and keep it on the controller or on the host
version_added: 0.1.0
description:
  - Asks all members how they are, chooses one that is healthy, and writes what that sends to a new file. A member that
    leads the others is only asked where no other is healthy. The members pause for nothing.
  - The file is what C(etcdctl snapshot save) writes. It belongs to the user that writes it, and nobody else may read
    it. A snapshot has every key and value of the cluster, and the passwords of its RBAC as hashes.
  - It has its name only once it is whole and the SHA-256 that etcd sends with it fits. A file is never written over.
  - Free space is asked for first. 128 MiB stay free, because etcd may keep its data on the same file system.
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.api_access
  - ringfence.etcd.api_access.user
attributes:
  check_mode:
    support: full
    details:
      - In check mode the member is chosen, and its database's size is told. Nothing is written.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Each run takes another snapshot.
author:
  - ringfence.etcd contributors (@ringfence)
options:
  members:
    description:
      - The members of the cluster. Each has a V(name) and a V(client_url) that this host can reach. Other keys are not
        looked at, so that members made by P(ringfence.etcd.etcd_members#filter) can be given as they are.
    type: list
    elements: dict
    required: true
  name:
    description: Name of the member on this host, which is asked rather than another one like it.
    type: str
  from_member:
    description:
      - Name of the member whose data is wanted. It is asked whether it is healthy or not, which is how the data of the
        last member is saved where the quorum is gone.
    type: str
  directory:
    description:
      - The folder of the snapshot. It is made where it is missing, for its owner alone.
      - With O(keep_on=controller) a relative path counts from the playbook's folder.
    type: path
    default: ~/.ringfence/snapshots
  prefix:
    description: What the file's name begins with. The time in UTC and C(.db) follow.
    type: str
    default: etcd
  keep_on:
    description:
      - Where the snapshot is kept.
      - With V(controller) it comes by way of a temporary folder of the host, which also needs the room for it.
    type: str
    choices: [controller, host]
    default: controller
seealso:
  - module: ringfence.etcd.etcd_restore
"""

EXAMPLES = r"""
# With the list that the filter etcd_members has made.
- name: Take a snapshot of the cluster, and keep it on the controller
  ringfence.etcd.etcd_snapshot:
    members: "{{ members }}"
    directory: snapshots
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: "/etc/etcd/pki/{{ inventory_hostname }}.crt"
    client_key_file: "/etc/etcd/pki/{{ inventory_hostname }}.key"
  run_once: true
  register: snapshot
"""

RETURN = r"""
path:
  description: Where the snapshot is; in check mode the folder that it would be in.
  returned: success
  type: str
  sample: /var/backups/etcd/etcd-20261126T225500Z.db
member:
  description: The member that sent it.
  returned: success
  type: str
  sample: etcd-2
version:
  description: The version of that member's etcd.
  returned: success
  type: str
  sample: 3.5.16
revision:
  description: The revision of that member's data just before it sent the snapshot, which has that one or a later one.
  returned: success
  type: int
  sample: 4711
size:
  description: The file's size in bytes; in check mode the size of the database.
  returned: success
  type: int
  sample: 20512
sha256:
  description: The file's SHA-256 as C(sha256sum) prints it; null in check mode.
  returned: success
  type: str
problem:
  description:
    - "The kind of a failure in one word. V(input): an argument is wrong. V(refused): no member can be asked.
      V(service): it did not send all. V(file): the file can't be written, or what came is damaged."
  returned: failure
  type: str
details:
  description: What the failure is about.
  returned: failure
  type: dict
"""

import datetime
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import client_from
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    ARGUMENTS,
    REQUIRED_BY,
    REQUIRED_TOGETHER,
    ApiAccess,
    take_access,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import client_urls_of
from ansible_collections.ringfence.etcd.plugins.module_utils._member.snapshot import (
    checked_prefix,
    chosen,
    file_name,
    look_at,
    make_folder,
    take,
)

ARGUMENT_SPEC: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict", "required": True},
    "name": {"type": "str"},
    "from_member": {"type": "str"},
    "directory": {"type": "path", "default": "~/.ringfence/snapshots"},
    "prefix": {"type": "str", "default": "etcd"},
    "keep_on": {"type": "str", "choices": ["controller", "host"], "default": "controller"},
    **ARGUMENTS,
}


def snapshot(params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess) -> dict[str, t.Any]:
    checked_prefix(params["prefix"])
    urls = client_urls_of(params["members"])
    client = client_from(params, access)
    candidates = [look_at(client, name, url) for name, url in urls.items()]
    one, status = chosen(candidates, params["name"], params["from_member"])
    directory = params["directory"]
    result = {"changed": True, "member": one.name, "version": status.version, "revision": status.revision}
    if check_mode:
        return {**result, "path": params["directory"], "size": status.db_size, "sha256": None}
    owner = None
    if params["keep_on"] == "controller":
        # This is a temporary folder, of the user who takes it from there.
        info = os.stat(directory)
        owner = (info.st_uid, info.st_gid)
    else:
        make_folder(directory)
    path = os.path.join(directory, file_name(params["prefix"], datetime.datetime.now(datetime.timezone.utc)))
    made = take(client, one, path, owner)
    return {**result, "path": path, "size": made.size, "sha256": made.sha256}


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_together=REQUIRED_TOGETHER,
        required_by=REQUIRED_BY,
        supports_check_mode=True,
    )
    # Of a key ``path`` Ansible would put the size in the place of ours: in check mode that of a folder.
    t.cast(t.Any, module).add_path_info = lambda kwargs: kwargs
    access = take_access(module)
    with failures_told(module):
        result = snapshot(module.params, module.check_mode, access)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
