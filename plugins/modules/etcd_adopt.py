#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_adopt
short_description: Put the role's unit in the place of somebody else's
version_added: 0.1.0
description:
  - Writes the unit in O(unit_content) for a running member that somebody else's unit has started, gives it copies of
    the member's own certificate, key and CA in O(directory), and restarts it once, under the cluster's lock and only
    while all other members are well and linked.
  - Everything that etcd is given has to be the same as before, but for the list of allowed common names and the places
    of these files. What differs is refused, in one line and before anything is changed. The unit's text is the
    operator's; what the host tells decides only that.
  - Their unit is kept beside the new one where it is in O(unit_directory). A drop-in of M(ringfence.etcd.etcd_takeover)
    is put aside, since the unit has the list itself.
author:
  - ringfence.etcd contributors (@ringfence)
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
options:
  state:
    description: V(present) for a member that runs from the role's unit, V(absent) for the way back to theirs.
    type: str
    choices: [present, absent]
    default: present
  tell:
    description:
      - Only work out, on the controller, the role's variables that say what the members run with, and return them as
        RV(variables). Nothing is refused for them, and no host is asked.
    type: bool
    default: false
  states_variable:
    description:
      - The name of the variable under which each host has registered the result of
        M(ringfence.etcd.etcd_process_info) with C(all_flags). All other options below are worked out of it and of
        O(settings_variable) on the controller for the whole cluster, which is refused as a whole.
    type: str
  calls_variable:
    description: The same of M(ringfence.etcd.etcd_process_probe).
    type: str
  settings_variable:
    description: The same of M(ringfence.etcd.etcd_settings), from which the unit's text is made.
    type: str
  ca_variable:
    description: The name of the variable with the result of M(ringfence.etcd.etcd_peer_stranger), which tells the CA.
    type: str
  name:
    description: The name of this host's member.
    type: str
  unit:
    description: The systemd unit of its process.
    type: str
  unit_content:
    description: The text of the role's unit, with its configuration hash.
    type: str
  unit_directory:
    description: Where the role's unit is written.
    type: path
    default: /etc/systemd/system
  directory:
    description: The folder for the copies of the member's certificate, key and CA.
    type: path
  owner:
    description: The user that etcd runs as, and has to run as already.
    type: str
    default: etcd
  group:
    description: The group that etcd runs as, and has to run as already.
    type: str
    default: etcd
  config_file:
    description: The configuration file that the process was given. None where it was given none.
    type: path
  members:
    description: All members, each with a C(name) and a C(client_url) that this host can reach.
    type: list
    elements: dict
    default: []
  common_names:
    description: The common names on the list of each member, for O(state=present).
    type: list
    elements: str
    default: []
  keep_certificates:
    description:
      - Take members with the certificates that they have, which nobody can renew, or which do not tell them apart,
        because they share one, or one common name, or have none. No list comes with the unit; one that there is stays
        as it is.
      - With O(states_variable) this says that they may keep them.
    type: bool
    default: false
  wait_seconds:
    description: How long to wait for this member's turn.
    type: float
    default: 300
  timeout_seconds:
    description: How long the member may take to come back.
    type: float
    default: 120
seealso:
  - module: ringfence.etcd.etcd_takeover
"""

EXAMPLES = r"""
# With the unit that the filter hashed_unit, and the list that the filter etcd_members has made.
- name: Put the role's unit in the place of theirs, one member at a time
  ringfence.etcd.etcd_adopt:
    name: "{{ inventory_hostname }}"
    unit: etcd.service
    unit_content: "{{ unit }}"
    directory: /etc/etcd/pki
    members: "{{ members }}"
    common_names: "{{ members | map(attribute='common_name') | list }}"
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: "/etc/etcd/pki/{{ inventory_hostname }}.crt"
    client_key_file: "/etc/etcd/pki/{{ inventory_hostname }}.key"
  throttle: 1
"""

RETURN = r"""
pending:
  description: Why the member is restarted, or would be.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: The reason in one word.
      type: str
      sample: unit_adopted
    text:
      description: The reason in words.
      type: str
restarted:
  description: Whether it was restarted.
  returned: success
  type: bool
leads:
  description: Whether it led the others before.
  returned: success
  type: bool
paths:
  description: The files that are written or removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/systemd/system/etcd.service]
way_back:
  description: What undoes it on this host where the member does not come back; empty where nothing is done.
  returned: success
  type: str
client_files:
  description: The files of the member with which its cluster can be asked.
  returned: success
  type: dict
  contains:
    ca_file:
      description: The CA of the client URLs; V(null) where they are http.
      type: str
    cert_file:
      description: The client's certificate; V(null) where there is none.
      type: str
    key_file:
      description: The file of its private key; V(null) where there is none.
      type: str
is_member:
  description: Whether this host has a member. The controller says so, and the two below.
  returned: with O(states_variable)
  type: bool
takes_snapshot:
  description: Whether this host is the one that asks for the snapshot.
  returned: with O(states_variable)
  type: bool
members:
  description: As O(members).
  returned: with O(states_variable)
  type: list
  elements: dict
common_names:
  description: The names on the list; empty where there is none yet.
  returned: with O(states_variable)
  type: list
  elements: str
variables:
  description:
    - The role's variables that say what the members run with, C(vars) for the group and C(hosts) by host, and as
      C(problems) what none of them can say.
  returned: with O(tell)
  type: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    failures_told,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    checked_common_name,
    checked_path,
    checked_unit_name,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    ARGUMENTS,
    REQUIRED_BY,
    REQUIRED_TOGETHER,
    ApiAccess,
    take_access,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.adoption import Adoption
from ansible_collections.ringfence.etcd.plugins.module_utils._member.adoption_turn import plan_of, take_turn
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import cluster_from
from ansible_collections.ringfence.etcd.plugins.module_utils._member.takeover import Wanted
from ansible_collections.ringfence.etcd.plugins.module_utils._member.takeover_turn import (
    check_own_name,
    differences,
    leads_or_refused,
    own_client,
)

ARGUMENT_SPEC: dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "tell": {"type": "bool", "default": False},
    "states_variable": {"type": "str"},
    "calls_variable": {"type": "str"},
    "settings_variable": {"type": "str"},
    "ca_variable": {"type": "str"},
    "name": {"type": "str"},
    "unit": {"type": "str"},
    "unit_content": {"type": "str"},
    "unit_directory": {"type": "path", "default": "/etc/systemd/system"},
    "directory": {"type": "path"},
    "owner": {"type": "str", "default": "etcd"},
    "group": {"type": "str", "default": "etcd"},
    "config_file": {"type": "path"},
    "members": {"type": "list", "elements": "dict", "default": []},
    "common_names": {"type": "list", "elements": "str", "default": []},
    "keep_certificates": {"type": "bool", "default": False},
    "wait_seconds": {"type": "float", "default": 300.0},
    "timeout_seconds": {"type": "float", "default": 120.0},
    **ARGUMENTS,
}


def adopted(params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess) -> dict[str, t.Any]:
    wanted, is_back = _wanted(params), params["state"] == "absent"
    member = wanted.member
    cluster = cluster_from(member.member, params["members"])
    plan = plan_of(wanted, is_back, check_mode)
    given = {name: params[f"client_{name}"] for name in ("ca_file", "cert_file", "key_file")}
    client, files = own_client(plan.asked_with, cluster.client_urls[member.member], access, given)
    leads = False
    if plan.pending:
        check_own_name(plan.asked_with, member)
        leads = leads_or_refused(client, cluster, member.done)
        if not check_mode:
            take_turn(wanted, is_back, cluster, client, params["wait_seconds"], params["timeout_seconds"])
    return {
        "changed": bool(plan.pending),
        "pending": list(plan.pending),
        "restarted": bool(plan.pending) and not check_mode,
        "leads": leads,
        "paths": list(plan.paths),
        "way_back": plan.way_back if plan.pending else "",
        "client_files": files,
        "diff": differences(plan.texts),
    }


def _wanted(params: t.Mapping[str, t.Any]) -> Adoption:
    for option in ("name", "unit", "unit_content", "directory", "members"):
        if not params[option]:
            raise InputError(f"{option} is not given: give it, or the variables from which it is worked out")
    is_back = params["state"] == "absent"
    names = tuple(sorted(checked_common_name(name, "common_names:") for name in params["common_names"]))
    unit_settings = deployed_from_text(params["unit_content"])
    keeps_list = not is_back and params["keep_certificates"]
    wants_names = not is_back and not keeps_list
    if wants_names and not names and (unit_settings is None or unit_settings["files"]["peer_cert_file"]):
        raise InputError("common_names is empty: no member would let in another one")
    unit = checked_unit_name(params["unit"], "unit")
    done = "given back" if is_back else "adopted"
    return Adoption(
        member=Wanted(params["name"], unit, params["config_file"], () if is_back else names, done),
        text=params["unit_content"],
        directory=checked_path(params["directory"], "directory"),
        owner=params["owner"],
        group=params["group"],
        unit_directory=checked_path(params["unit_directory"], "unit_directory"),
        keeps_list=keeps_list,
    )


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_together=REQUIRED_TOGETHER,
        required_by=REQUIRED_BY,
        supports_check_mode=True,
    )
    access = take_access(module)
    with failures_told(module):
        result = adopted(module.params, module.check_mode, access)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
