#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
short_description: Add, move or remove a member of a running etcd cluster without losing a write
version_added: 0.1.0
description:
  - Changes who is a member of a cluster that runs, one member at a time, while all others are healthy and connected
    with each other, and while it holds the lock that M(ringfence.etcd.etcd_peer_service) holds for a restart.
  - With O(state=present) it runs on the host of the new member. It adds the member as a learner, which has no vote,
    starts its unit with the members that the cluster lists, and lets it vote once it has all data. It begins only when
    every voter lets this host's certificate in at its peer port, asked by a handshake.
  - With O(state=moved) it runs on the host of a member whose peer URL changes, once that answers there too.
  - With O(state=absent) it runs on the host of a member that stays. A leader hands over before it is removed.
  - With O(state=retired) it runs on the host of a member that was removed.
  - Each step looks at the cluster's own member list first. A run that was killed is finished by the next one.
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.api_access
  - ringfence.etcd.api_access.user
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
      - V(present) lets this host's member join the cluster.
      - V(moved) tells the cluster that this host's member is at O(peer_url), and at no other place. It starts nothing.
      - V(absent) removes O(remove) from the cluster. It does not stop a process, and touches no data.
      - V(retired) stops and disables the unit of a member that the cluster does not list any more, and puts its data
        aside in its folder, so that the host can join anew. It is refused while the cluster lists the member, which
        check mode does not ask.
    type: str
    choices: [present, moved, absent, retired]
    default: present
  name:
    description:
      - Name of the member on this host, as in O(members).
    type: str
    required: true
  members:
    description:
      - The members that answer, and with O(state=present) this one. Each has a V(name) and a V(client_url) that this
        host can reach. Other keys are not looked at, so that members made by P(ringfence.etcd.etcd_members#filter) can
        be given as they are.
    type: list
    elements: dict
    required: true
  remove:
    description:
      - The members that are removed with O(state=absent), each by its name, its ID in hexadecimal, or its peer URL. One
        that is no member is nothing to do.
    type: list
    elements: str
  peer_url:
    description:
      - The peer URL of this host's member.
      - Required for O(state=present) and O(state=moved).
    type: str
  directory:
    description:
      - Folder of the member's credentials, with C(ca.crt), and the member's certificate and key by its name.
      - Required for O(state=present) and O(state=retired).
    type: path
  unit_content:
    description:
      - Text of the member's unit, with its configuration hash. What it says of C(--initial-cluster) and
        C(--initial-cluster-state) is replaced by what the cluster tells.
      - Required for O(state=present).
    type: str
  unit:
    description:
      - Name of the systemd unit.
    type: str
    default: etcd.service
  unit_directory:
    description:
      - Folder in which the unit is written. It must be one that systemd reads.
    type: path
    default: /etc/systemd/system
  data_dir:
    description:
      - The member's data folder, as in the unit's flag C(--data-dir).
      - Required for O(state=present).
    type: path
  owner:
    description:
      - User that owns the data folder.
    type: str
    default: etcd
  group:
    description:
      - Group of the data folder.
    type: str
    default: etcd
  replaced:
    description:
      - Whether this member had data, lost it, and is to join anew without. The file that says that it had data is
        removed just before it starts. The member that it was has to be removed from the cluster before.
    type: bool
    default: false
  timeout_seconds:
    description:
      - How long a member may take to get its vote, or to be out of the list.
    type: int
    default: 120
  wait_seconds:
    description:
      - How long to wait until all others are healthy, and no other member is restarted, added or removed.
    type: int
    default: 300
seealso:
  - module: ringfence.etcd.etcd_peer_service
  - module: ringfence.etcd.etcd_cluster_check
"""

EXAMPLES = r"""
# With the unit that the filter hashed_unit, and the list that the filter etcd_members has made.
- name: Let this host's member join, unless it votes already
  ringfence.etcd.etcd_member:
    name: "{{ inventory_hostname }}"
    peer_url: "{{ own.peer_url }}"
    members: "{{ members }}"
    directory: /etc/etcd/pki
    data_dir: "/var/lib/etcd/{{ inventory_hostname }}"
    unit_content: "{{ unit }}"
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: "/etc/etcd/pki/{{ inventory_hostname }}.crt"
    client_key_file: "/etc/etcd/pki/{{ inventory_hostname }}.key"
  vars:
    own: "{{ members | selectattr('name', 'eq', inventory_hostname) | first }}"

- name: Tell the cluster this host's peer URL, unless it knows it already
  ringfence.etcd.etcd_member:
    state: moved
    name: "{{ inventory_hostname }}"
    peer_url: "{{ own.peer_url }}"
    members: "{{ members }}"
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: "/etc/etcd/pki/{{ inventory_hostname }}.crt"
    client_key_file: "/etc/etcd/pki/{{ inventory_hostname }}.key"
  vars:
    own: "{{ members | selectattr('name', 'eq', inventory_hostname) | first }}"

- name: Remove a member whose host is gone
  ringfence.etcd.etcd_member:
    state: absent
    name: "{{ inventory_hostname }}"
    members: "{{ members }}"
    remove: [etcd-9]
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: "/etc/etcd/pki/{{ inventory_hostname }}.crt"
    client_key_file: "/etc/etcd/pki/{{ inventory_hostname }}.key"
  run_once: true

- name: Stop what was removed, on its own host
  ringfence.etcd.etcd_member:
    state: retired
    name: etcd-9
    members: "{{ members }}"
    directory: /etc/etcd/pki
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: /etc/etcd/pki/etcd-9.crt
    client_key_file: /etc/etcd/pki/etcd-9.key
"""

RETURN = r"""
actions:
  description:
    - What was done, in this order, or would be in check mode. With O(state=present) any of V(add), V(start),
      V(promote), with O(state=moved) V(update), with O(state=absent) V(remove), with O(state=retired) any of V(stop),
      V(disable), V(move_data), V(remove_marker).
  returned: success
  type: list
  elements: str
  sample: [add, start, promote]
removed:
  description:
    - The members that were removed, or would be in check mode, as the cluster listed them.
  returned: success, O(state=absent)
  type: list
  elements: dict
  contains:
    name:
      description:
        - Name of the member; empty if it was never started.
      type: str
    member_id:
      description:
        - Its ID in hexadecimal.
      type: str
  sample:
    - {name: etcd-3, member_id: 8e9e05c52164694d}
data:
  description:
    - Where the data of the member is now.
  returned: success, O(state=retired), outside check mode
  type: list
  elements: str
  sample: [/var/lib/etcd/main/member.removed-8e9e05c52164694d]
problem:
  description:
    - "The kind of a failure in one word. V(input): an argument is wrong. V(refused): the guard refused and nothing
      was changed. V(file) and V(crypto): a file can't be read or written. V(service): systemd or etcd did not do
      what was asked."
  returned: failure
  type: str
details:
  description:
    - What the failure is about.
  returned: failure
  type: dict
"""

import typing as t
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    RefusedError,
    RingfenceError,
    failures_told,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client, client_from
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    ARGUMENTS,
    REQUIRED_BY,
    REQUIRED_TOGETHER,
    ApiAccess,
    take_access,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import ApiError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import membership, moving
from ansible_collections.ringfence.etcd.plugins.module_utils._member.joining import SystemdJoiningUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import WantedUnit, check_arguments
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import cluster_from, live_members
from ansible_collections.ringfence.etcd.plugins.module_utils._member.retire import plan_retirement, retire
from ansible_collections.ringfence.etcd.plugins.module_utils._member.turn import no_list
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.admission import admission
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.manager import require_systemd

ARGUMENT_SPEC: dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["present", "moved", "absent", "retired"], "default": "present"},
    "name": {"type": "str", "required": True},
    "members": {"type": "list", "elements": "dict", "required": True},
    "remove": {"type": "list", "elements": "str"},
    "peer_url": {"type": "str"},
    "directory": {"type": "path"},
    "unit_content": {"type": "str"},
    "unit": {"type": "str", "default": "etcd.service"},
    "unit_directory": {"type": "path", "default": "/etc/systemd/system"},
    "data_dir": {"type": "path"},
    "owner": {"type": "str", "default": "etcd"},
    "group": {"type": "str", "default": "etcd"},
    "replaced": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "int", "default": 120},
    "wait_seconds": {"type": "int", "default": 300},
    **ARGUMENTS,
}


def ensure_present(params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess) -> dict[str, t.Any]:
    cluster = cluster_from(params["name"], params["members"])
    wanted = WantedUnit(
        name=params["unit"],
        text=params["unit_content"],
        member_name=params["name"],
        data_dir=params["data_dir"],
        owner=params["owner"],
        group=params["group"],
        unit_directory=params["unit_directory"],
        directory=params["directory"],
    )
    unit = SystemdJoiningUnit(wanted, params["replaced"])
    others = [cluster.client_urls[name] for name in cluster.others]
    if check_mode:
        before = listed_without_credentials(params, access, others)
        actions = membership.steps_to_join(before, cluster.me, params["peer_url"], unit.is_started())
        lines = membership.describe(before)
        added = [f"{cluster.me} {params['peer_url']}"] if "add" in actions else []
        return {"changed": bool(actions), "actions": actions, "diff": list_diff(lines, [*lines, *added])}
    client = client_for(params, access)
    before = listed_or_refused(client, others, f"{cluster.me} does not join")
    pair = f"{params['directory']}/{cluster.me}"
    lets_in = admission(f"{params['directory']}/ca.crt", f"{pair}.crt", f"{pair}.key")
    actions = membership.join_guarded(
        unit,
        cluster,
        client,
        params["peer_url"],
        lambda member: lets_in(member.name, next(iter(member.peer_urls), "")),
        wait_seconds=params["wait_seconds"],
        timeout_seconds=params["timeout_seconds"],
    )
    after = live_members(client, others) if actions else before
    diff = list_diff(membership.describe(before), membership.describe(after))
    return {"changed": bool(actions), "actions": actions, "diff": diff}


def listed_without_credentials(
    params: t.Mapping[str, t.Any], access: ApiAccess, urls: t.Sequence[str]
) -> list[LiveMember]:
    """The member list; in check mode the run itself would bring the files with which it is asked for: then none."""
    try:
        return live_members(client_for(params, access), urls)
    except RingfenceError:
        return []


def listed_or_refused(client: Client, urls: t.Sequence[str], what: str) -> list[LiveMember]:
    """The member list; RefusedError where nobody tells it, which says what does not happen for that."""
    try:
        return live_members(client, urls)
    except ApiError as exc:
        reasons = no_list(exc)
        raise RefusedError(
            f"{what}: {reasons[0]['text']}: mend that first, then run again", reasons=reasons, **exc.details
        ) from exc


def ensure_moved(params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess) -> dict[str, t.Any]:
    cluster = cluster_from(params["name"], params["members"])
    client, peer_url = client_for(params, access), params["peer_url"]
    urls = list(cluster.client_urls.values())
    listed = listed_or_refused(client, urls, f"{cluster.me} does not move to {peer_url}")
    changed = (
        not moving.is_at(listed, cluster.me, peer_url)
        if check_mode
        else moving.move_guarded(
            cluster,
            client,
            peer_url,
            wait_seconds=params["wait_seconds"],
            timeout_seconds=params["timeout_seconds"],
        )
    )
    after = [replace(one, peer_urls=(peer_url,)) if one.name == cluster.me and changed else one for one in listed]
    diff = list_diff(membership.describe(listed), membership.describe(after))
    return {"changed": changed, "actions": ["update"] if changed else [], "diff": diff}


def ensure_absent(params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess) -> dict[str, t.Any]:
    cluster = cluster_from(params["name"], params["members"])
    client = client_for(params, access)
    urls = list(cluster.client_urls.values())
    listed = listed_or_refused(client, urls, f"{', '.join(params['remove'])} is not removed")
    before = membership.describe(listed)
    removed: list[LiveMember] = []
    for called in params["remove"]:
        found = (
            membership.find_member(listed, called)
            if check_mode
            else membership.remove_guarded(
                cluster,
                client,
                called,
                wait_seconds=params["wait_seconds"],
                timeout_seconds=params["timeout_seconds"],
            )
        )
        removed += [found] if found is not None and found not in removed else []
    after = membership.describe([one for one in listed if one.member_id not in {gone.member_id for gone in removed}])
    return {
        "changed": bool(removed),
        "actions": ["remove"] if removed else [],
        "removed": [{"name": one.name, "member_id": one.member_id} for one in removed],
        "diff": list_diff(before, after),
    }


def ensure_retired(params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess) -> dict[str, t.Any]:
    urls = [member["client_url"] for member in params["members"] if member.get("name") != params["name"]]

    def listed() -> list[LiveMember]:
        # In check mode the run itself has not removed it yet.
        if check_mode:
            return []
        me = params["name"]
        what = f"{me} is not stopped and disabled, and its data stays, since this host can't see that it was removed"
        return listed_or_refused(client_for(params, access), urls, what)

    unit, folder = params["unit"], params["unit_directory"]
    plan = plan_retirement(unit, folder, params["directory"], params["name"], listed)
    if plan is None or not plan.actions:
        return {"changed": False, "actions": []}
    before = {"unit": f"{unit} runs or is enabled\n", "data": "".join(f"{path}\n" for path in plan.data)}
    after = {"unit": f"{unit} is off\n", "data": "".join(f"{path}.{plan.ending}\n" for path in plan.data)}
    kinds = (["unit"] if {"stop", "disable"} & set(plan.actions) else []) + (
        ["data"] if "move_data" in plan.actions else []
    )
    diff = [
        {"before_header": kind, "after_header": kind, "before": before[kind], "after": after[kind]} for kind in kinds
    ]
    result: dict[str, t.Any] = {"changed": True, "actions": list(plan.actions), "diff": diff}
    return result if check_mode else {**result, "data": retire(plan)}


def list_diff(before: t.Sequence[str], after: t.Sequence[str]) -> list[dict[str, str]]:
    if before == after:
        return []
    texts = ("".join(f"{line}\n" for line in lines) for lines in (before, after))
    return [dict(zip(("before", "after"), texts), before_header="member list", after_header="member list")]


def client_for(params: t.Mapping[str, t.Any], access: ApiAccess) -> Client:
    return client_from(params, access)


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_if=[
            ("state", "present", ["peer_url", "directory", "unit_content", "data_dir"]),
            ("state", "moved", ["peer_url"]),
            ("state", "absent", ["remove"]),
            ("state", "retired", ["directory"]),
        ],
        required_together=REQUIRED_TOGETHER,
        required_by=REQUIRED_BY,
        supports_check_mode=True,
    )
    access = take_access(module)
    with failures_told(module):
        check_arguments(module.params)
        if module.params["state"] in ("present", "retired"):
            require_systemd()
        ensure = {
            "present": ensure_present,
            "moved": ensure_moved,
            "absent": ensure_absent,
            "retired": ensure_retired,
        }
        result = ensure[module.params["state"]](module.params, module.check_mode, access)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
