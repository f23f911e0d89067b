#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_restore
short_description: Restore a member of an etcd cluster from a snapshot of it
version_added: 0.1.0
description:
  - All members of a cluster are restored from the same snapshot, each on its own host, in steps. A step is done on
    every host before the next one begins, see O(state).
  - The restored cluster has another token than before, and so other IDs. A member of the old one that still runs
    somewhere can't speak with it.
  - The old data is renamed in its folder, to C(member.before-restore-) and the time in UTC, and never removed.
  - The IDs of a member's data tell whether it is restored. A run that was killed is finished by the next one.
  - A snapshot is restored by C(etcdutl), up to etcd 3.5 also by C(etcdctl). One of them has to be on the host, in
    etcd's own minor version.
extends_documentation_fragment:
  - ringfence.etcd.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
author:
  - ringfence.etcd contributors (@ringfence)
options:
  state:
    description:
      - V(planned) looks at what there is, and changes nothing.
      - V(staged) makes the member's new data beside the old. What can fail does so here, while the member still runs.
      - V(stopped) stops the unit and disables it.
      - V(placed) puts the old data aside and the new in its place. The unit is not started.
      - A member whose data is the restored one is left as it is by all of them.
    type: str
    choices: [planned, staged, stopped, placed]
    required: true
  name:
    description: Name of the member on this host, as in O(members).
    type: str
    required: true
  members:
    description:
      - All members of the restored cluster. Each has a V(name) and a V(peer_url). Other keys are not looked at, so that
        members made by P(ringfence.etcd.etcd_members#filter) can be given as they are.
    type: list
    elements: dict
    required: true
  cluster_name:
    description: The cluster's name, which is its token before the restore.
    type: str
    required: true
  snapshot:
    description:
      - The snapshot, as the path of a regular file on the controller. It is checked there, and sent to the host with
        O(state=staged) alone.
      - A relative path counts from the playbook's folder.
    type: str
    required: true
  snapshot_sha256:
    description: The snapshot's SHA-256, 64 hexadecimal digits. No other snapshot is restored. Without it any is.
    type: str
  token:
    description:
      - The restored cluster's token. Without it, the token is made of the snapshot, so that the same call knows what it
        has restored.
      - Another token restores the same snapshot once more.
    type: str
  bump_revision:
    description:
      - How much to raise the revision of the restored data, from 0 to 9007199254740992. All older revisions are marked
        as compacted. So clients that watch or cache notice that the data went back.
      - The program has to know C(--bump-revision).
    type: int
    default: 0
  directory:
    description: Folder of the member's files, with the marker of a member that has had data.
    type: path
    default: /etc/etcd/pki
  data_dir:
    description: The member's data folder, as in the unit's flag C(--data-dir).
    type: path
    required: true
  wal_dir:
    description: The folder of the member's log, as in the unit's flag C(--wal-dir), where it has one.
    type: path
  owner:
    description: User that owns the data folder. The program runs as this user.
    type: str
    default: etcd
  group:
    description: Group that owns the data folder.
    type: str
    default: etcd
  etcd_binary:
    description: Path of etcd's program, beside which the program that restores is looked for first.
    type: path
    default: /usr/bin/etcd
  unit:
    description: Name of the systemd unit.
    type: str
    default: etcd.service
  unit_directory:
    description: Folder of the unit's file.
    type: path
    default: /etc/systemd/system
seealso:
  - module: ringfence.etcd.etcd_snapshot
  - module: ringfence.etcd.etcd_cluster_gate
"""

EXAMPLES = r"""
# With the list that the filter etcd_members has made, and a snapshot that etcd_snapshot has taken. The playbook
# ringfence.etcd.restore does all of it, and lets no step begin before the one before it is done on every host.
- name: See what a restore would do
  ringfence.etcd.etcd_restore:
    state: planned
    name: "{{ inventory_hostname }}"
    members: "{{ members }}"
    cluster_name: etcd
    snapshot: "{{ snapshot.path }}"
    data_dir: "/var/lib/etcd/{{ inventory_hostname }}"
  register: plan

- name: Make the new data beside the old, where members may be restored
  ringfence.etcd.etcd_restore:
    state: staged
    name: "{{ inventory_hostname }}"
    members: "{{ members }}"
    cluster_name: etcd
    snapshot: "{{ snapshot.path }}"
    data_dir: "/var/lib/etcd/{{ inventory_hostname }}"
  when: not plan.running and not plan.restored
"""

RETURN = r"""
restored:
  description: Whether the member's data is the restored one now.
  returned: success
  type: bool
has_run:
  description: Whether restored data has gone on since, or may have.
  returned: success
  type: bool
running:
  description: Whether the member's unit is not off.
  returned: success
  type: bool
user_exists:
  description: Whether there is the user O(owner).
  returned: success
  type: bool
member_id:
  description: The ID of the data that was there before, in hexadecimal; null where there was none that can be read.
  returned: success
  type: str
  sample: 8e9e05c52164694d
token:
  description: The restored cluster's token.
  returned: success
  type: str
  sample: etcd-2f1c53a0d9b7e846
data:
  description: The paths of the data that is put aside; with O(state=placed) what they are now.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/etcd/etcd/member]
actions:
  description: What was done, or would be in check mode. Of V(stage), V(stop), V(put_in_place).
  returned: success
  type: list
  elements: str
problem:
  description:
    - "The kind of a failure in one word. V(input): an argument is wrong. V(refused): another etcd has the unit.
      V(file): the snapshot is damaged or no program restores it, or the disk is full. V(service): systemd or the
      program did not do what was asked."
  returned: failure
  type: str
details:
  description: What the failure is about.
  returned: failure
  type: dict
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.restored import (
    BUMP_REVISIONS,
    checked_token,
    token_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    InputError,
    failures_told,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    check_range,
    checked_member_name,
    is_sha256,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member import restore
from ansible_collections.ringfence.etcd.plugins.module_utils._member.formed import MemberPlace
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import gid_of, uid_of
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.manager import require_systemd

ARGUMENT_SPEC: dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["planned", "staged", "stopped", "placed"], "required": True},
    "name": {"type": "str", "required": True},
    "members": {"type": "list", "elements": "dict", "required": True},
    "cluster_name": {"type": "str", "required": True},
    "snapshot": {"type": "str", "required": True},
    "snapshot_sha256": {"type": "str"},
    "token": {"type": "str", "no_log": False},
    "bump_revision": {"type": "int", "default": 0},
    "directory": {"type": "path", "default": "/etc/etcd/pki"},
    "data_dir": {"type": "path", "required": True},
    "wal_dir": {"type": "path"},
    "owner": {"type": "str", "default": "etcd"},
    "group": {"type": "str", "default": "etcd"},
    "etcd_binary": {"type": "path", "default": "/usr/bin/etcd"},
    "unit": {"type": "str", "default": "etcd.service"},
    "unit_directory": {"type": "path", "default": "/etc/systemd/system"},
}


def check_arguments(params: t.Mapping[str, t.Any]) -> None:
    """What the argument spec can't say."""
    peer_urls_from(params)
    check_range("bump_revision", params["bump_revision"], *BUMP_REVISIONS)
    if params["token"]:
        checked_token(params["token"], params["cluster_name"])
    if params["snapshot_sha256"] and not is_sha256(params["snapshot_sha256"]):
        raise InputError(f"snapshot_sha256: {params['snapshot_sha256'][:100]!r} is no SHA-256: 64 digits are wanted")


def peer_urls_from(params: t.Mapping[str, t.Any]) -> dict[str, str]:
    urls: dict[str, str] = {}
    for member in params["members"]:
        name, url = member.get("name"), member.get("peer_url")
        if not isinstance(name, str) or not isinstance(url, str) or not url or name in urls:
            raise InputError(
                f"members: the entry with name {name!r} and peer_url {url!r} needs both, and each name once"
            )
        urls[checked_member_name(name, "members")] = url
    if params["name"] not in urls:
        raise InputError(f"members: this host's member {params['name']} is not among {', '.join(urls) or 'them'}")
    return urls


def run(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    check_arguments(params)
    require_systemd()
    sha256, bump = params["snapshot_sha256"] or "", params["bump_revision"]
    wanted = restore.RestoredMember(
        name=params["name"],
        peer_urls=peer_urls_from(params),
        token=params["token"] or token_of(params["cluster_name"], sha256.lower(), bump),
        place=MemberPlace(params["directory"], params["name"], params["data_dir"], params["wal_dir"]),
        unit=params["unit"],
        unit_directory=params["unit_directory"],
        etcd_binary=params["etcd_binary"],
    )
    found = restore.look(wanted)
    data = list(found.data)
    action = {"staged": "stage", "stopped": "stop", "placed": "put_in_place"}.get(params["state"])
    due = [] if action is None or found.restored else [action]
    due = [] if due == ["stop"] and not found.running and not found.enabled else due
    result = {
        "restored": found.restored or (due == ["put_in_place"] and not check_mode),
        "has_run": found.has_run,
        "running": found.running,
        "user_exists": _exists(params["owner"]),
        "member_id": found.member_id,
        "token": wanted.token,
    }
    if due and not check_mode:
        if action == "stage":
            tool = restore.tool_of(params["etcd_binary"], bump)
            ids = uid_of(params["owner"]), gid_of(params["group"])
            restore.stage(wanted, tool, params["snapshot"], sha256.lower(), ids, bump)
        elif action == "stop":
            restore.stop(wanted, found)
        else:
            data = restore.put_in_place(wanted, datetime.datetime.now(datetime.timezone.utc))
    # What is only made beside the data is put in place, or removed, by the same run.
    changed = bool(due) and action != "stage"
    diff = _diff(wanted, found, action) if changed else []
    return {**result, "changed": changed, "data": data, "actions": due, "diff": diff}


def _diff(wanted: restore.RestoredMember, found: restore.Found, action: str | None) -> list[dict[str, str]]:
    if action == "stop":
        before, after = f"{wanted.unit} runs or is enabled\n", f"{wanted.unit} is off\n"
        header = wanted.unit
    else:
        header = wanted.place.data_dir
        before = f"member {found.member_id or 'none that can be read'}\n"
        after = f"member {wanted.identity[0]}\n"
        after += "".join(f"{path} is kept as {path}.before-restore-...\n" for path in found.data)
    return [{"before_header": header, "after_header": header, "before": before, "after": after}]


def _exists(owner: str) -> bool:
    try:
        uid_of(owner)
    except FileError:
        return False
    return True


def main() -> t.NoReturn:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    with failures_told(module):
        result = run(module.params, module.check_mode)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
