#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_takeover
short_description: Put the list of allowed common names round a member that somebody else deployed
version_added: 0.1.0
description:
  - Gives a running member, whose own peer certificate tells it from the others, the list of all members' common names,
    and restarts it once, under the cluster's lock and only while all other members are well and linked.
  - The list goes where the member's other settings come from. Where that is a configuration file, one line is put into
    it, and what was there is kept beside it. Else a drop-in that systemd reads last names one more environment file.
  - Nothing else is changed. Where the next start would bring anything else than the list, such as a unit or a program
    that was changed since, it is refused.
  - The cluster is asked with the member's own files, where O(client_ca_file) names no others.
  - Only a member of which all is known is touched. All else fails with a line that says what lacks, and the way.
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
    description:
      - V(present) for a member with the list, V(absent) for the way back, which takes away what V(present) has written.
    type: str
    choices: [present, absent]
    default: present
  states_variable:
    description:
      - The name of the variable under which each host has registered the result of
        M(ringfence.etcd.etcd_process_info). O(name), O(unit), O(config_file), O(members) and O(common_names) are worked
        out of it on the controller for the whole cluster, which is refused as a whole. A host without a member is left
        alone.
    type: str
  calls_variable:
    description:
      - The name of the variable under which each host has registered the result of
        M(ringfence.etcd.etcd_process_probe). A common name gets into the list only where other hosts were shown it.
    type: str
  name:
    description: The name of this host's member.
    type: str
  unit:
    description: The systemd unit of its process.
    type: str
  config_file:
    description: The configuration file that the process was given. None where it was given none.
    type: path
  members:
    description: All members, each with a C(name) and a C(client_url) that this host can reach.
    type: list
    elements: dict
    default: []
  common_names:
    description: The common names of all members, for O(state=present).
    type: list
    elements: str
    default: []
  wait_seconds:
    description: How long to wait for this member's turn.
    type: float
    default: 300
  timeout_seconds:
    description: How long the member may take to come back.
    type: float
    default: 120
seealso:
  - module: ringfence.etcd.etcd_audit
"""

EXAMPLES = r"""
# With what etcd_process_info and etcd_process_probe were registered as on each host.
- name: Put the list round the cluster, one member at a time
  ringfence.etcd.etcd_takeover:
    states_variable: etcd_processes
    calls_variable: etcd_calls
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
      sample: list_lacking
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
  sample: [/etc/systemd/system/etcd.service.d/zz-ringfence.conf]
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
  description: The names on the list.
  returned: with O(states_variable)
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    failures_told,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    checked_common_name,
    checked_unit_name,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    ARGUMENTS,
    REQUIRED_BY,
    REQUIRED_TOGETHER,
    ApiAccess,
    take_access,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import cluster_from
from ansible_collections.ringfence.etcd.plugins.module_utils._member.takeover import Wanted, plan_takeover
from ansible_collections.ringfence.etcd.plugins.module_utils._member.takeover_turn import (
    check_own_name,
    differences,
    leads_or_refused,
    own_client,
    take_turn,
)

ARGUMENT_SPEC: dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "states_variable": {"type": "str"},
    "calls_variable": {"type": "str"},
    "name": {"type": "str"},
    "unit": {"type": "str"},
    "config_file": {"type": "path"},
    "members": {"type": "list", "elements": "dict", "default": []},
    "common_names": {"type": "list", "elements": "str", "default": []},
    "wait_seconds": {"type": "float", "default": 300.0},
    "timeout_seconds": {"type": "float", "default": 120.0},
    **ARGUMENTS,
}


def taken_over(params: t.Mapping[str, t.Any], check_mode: bool, access: ApiAccess) -> dict[str, t.Any]:
    wanted = _wanted(params)
    cluster = cluster_from(wanted.member, params["members"])
    plan = plan_takeover(wanted)
    given = {name: params[f"client_{name}"] for name in ("ca_file", "cert_file", "key_file")}
    client, files = own_client(plan.next_settings, cluster.client_urls[wanted.member], access, given)
    leads = False
    if plan.pending:
        check_own_name(plan.next_settings, wanted)
        leads = leads_or_refused(client, cluster)
        if not check_mode:
            take_turn(wanted, cluster, client, params["wait_seconds"], params["timeout_seconds"])
    return {
        "changed": bool(plan.pending),
        "pending": list(plan.pending),
        "restarted": bool(plan.pending) and not check_mode,
        "leads": leads,
        "paths": plan.paths,
        "way_back": plan.way_back if plan.pending else "",
        "client_files": files,
        "diff": differences(plan.texts),
    }


def _wanted(params: t.Mapping[str, t.Any]) -> Wanted:
    for option in ("name", "unit", "members"):
        if not params[option]:
            raise InputError(f"{option} is not given: give it, or states_variable and calls_variable")
    is_present = params["state"] == "present"
    names = tuple(sorted(checked_common_name(name, "common_names:") for name in params["common_names"]))
    if is_present and not names:
        raise InputError("common_names is empty: no member would let in another one")
    unit = checked_unit_name(params["unit"], "unit")
    return Wanted(params["name"], unit, params["config_file"], names if is_present else ())


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_together=REQUIRED_TOGETHER,
        required_by=REQUIRED_BY,
        supports_check_mode=True,
    )
    access = take_access(module)
    with failures_told(module):
        result = taken_over(module.params, module.check_mode, access)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
