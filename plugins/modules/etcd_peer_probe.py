#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_peer_probe
short_description: Probe the other members of an etcd cluster at their peer ports, as a member and as a stranger
version_added: 0.1.0
description:
  - Runs on a member, calls every other member's peer URL, and returns for each what a real peer would get.
    V(accepted) is an HTTP answer on the peer port, nothing less, since in TLS 1.3 the handshake is over before the
    server has checked the client's certificate.
  - It calls with the member's own certificate, with none, and with those of strangers where given. The first has to
    be accepted, the others refused. M(ringfence.etcd.etcd_peer_proof) evaluates this for the whole cluster.
  - Several causes look the same on the wire. A reason that was worked out from the certificates and lists at hand is
    marked as inferred.
  - It also returns what M(ringfence.etcd.etcd_peer_info) returns, and with O(unit_content) the pending changes. So a
    run without changes needs one call of this module for each host.
  - Changes nothing. As an ordinary user it returns what can't be read in a C(problem), and does the rest.
  - Needs nothing but Python on the host.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.member_host
  - ringfence.etcd.api_access
  - ringfence.etcd.api_access.user
  - ringfence.etcd.attributes.info_module
options:
  members:
    description:
      - The members of the cluster, this one among them, as P(ringfence.etcd.etcd_members#filter) gives them. The module
        reads C(name) and C(peer_url) of each, and with O(client_calls) its C(client_url).
      - It calls all the others; where there are none, itself.
    type: list
    elements: dict
    required: true
  settings_variable:
    description:
      - The name of a variable of this host that has what M(ringfence.etcd.etcd_settings) returned. What is left out of
        O(timeout_seconds), O(directory), O(owner), O(group), O(etcd_binary), O(unit), O(unit_directory),
        O(manage_service), O(data_dir), O(api_user), O(api_cert_file), O(api_key_file), O(client_url), O(client_calls)
        and O(present) is taken from it, on the controller.
    type: str
  strangers_variable:
    description:
      - The name of a variable that has what M(ringfence.etcd.etcd_peer_stranger) returned, on the host that
        C(coordinator) in O(settings_variable) names. This member's share of it is used for the options that are left
        out. These are the certificates and keys for calls, O(revocation_list), and what the API of etcd asks for.
      - With O(settings_variable) only. Where O(call=never), only what the API asks for and O(revocation_list) are used.
    type: str
  stranger_certificate:
    description:
      - A certificate that has to be refused for its common name only, made by M(ringfence.etcd.etcd_peer_stranger) for
        this member. It is used from memory and is on no disk.
    type: str
  stranger_private_key:
    description: The private key of O(stranger_certificate).
    type: str
  unknown_ca_certificate:
    description: A certificate that has to be refused for its issuer only, made by the same module.
    type: str
  unknown_ca_private_key:
    description: The private key of O(unknown_ca_certificate).
    type: str
  revoked_certificate:
    description: A certificate that has to be refused for its serial number only, made by the same module.
    type: str
  revoked_private_key:
    description: The private key of O(revoked_certificate).
    type: str
  client_calls:
    description:
      - As whom to call client ports, for a proof that these are shut to strangers too. V(client) calls with
        O(client_certificate), V(client_unknown_ca) with O(client_unknown_ca_certificate), V(client_peer) with this
        member's peer certificate, and V(client_no_certificate) with none. The first has to be let in, and asks for the
        number of a key's values there, which etcd's RBAC would refuse.
      - Each client port is called by one host, the nearest before it in O(members). Whom it lets in does not hang on
        who calls.
    type: list
    elements: str
    choices: [client, client_unknown_ca, client_no_certificate, client_peer]
    default: []
  present:
    description: Names of the members whose hosts are called upon in this run. Empty for all.
    type: list
    elements: str
    default: []
  client_certificate:
    description: A certificate of the clients' CA, made by M(ringfence.etcd.etcd_peer_stranger). It is used from memory.
    type: str
  client_private_key:
    description: The private key of O(client_certificate).
    type: str
  client_unknown_ca_certificate:
    description: A client's certificate that has to be refused for its issuer only, made by the same module.
    type: str
  client_unknown_ca_private_key:
    description: The private key of O(client_unknown_ca_certificate).
    type: str
  revocation_list:
    description:
      - The CA's revocation list in PEM, to be compared with the host's. Only with O(unit_content).
    type: str
  client_url:
    description:
      - This member's client URL, at which the module asks for the live member list, with the three client files. Where
        a process runs, the URL and the files that it was started with count instead.
    type: str
  call:
    description:
      - Whether to call the other members. V(running) calls them only where this host's own member runs, so that the
        module does not wait for a cluster that is not there yet.
    type: str
    choices: [always, running, never]
    default: always
  timeout_seconds:
    description: How long one call may take, from V(0.5) to V(60.0) seconds.
    type: float
    default: 5.0
  unit_content:
    description:
      - The text that the unit should have, with its configuration hash. With it RV(pending) is returned.
      - O(data_dir) is required with it.
    type: str
  group:
    description: Group that etcd runs as, for RV(pending).
    type: str
    default: etcd
  manage_service:
    description: Whether systemd should have the unit enabled and started, for RV(pending).
    type: bool
    default: true
  disconnect_revoked:
    description:
      - Whether a process that is older than its revocation list is to be restarted, for RV(pending). Who is connected
        with a certificate that was revoked since stays so until the process ends.
    type: bool
    default: false
seealso:
  - module: ringfence.etcd.etcd_peer_stranger
  - module: ringfence.etcd.etcd_peer_proof
  - module: ringfence.etcd.etcd_peer_info
"""

EXAMPLES = r"""
# With the list that the filter etcd_members has made.
- name: Probe the other members as a member and without a certificate
  ringfence.etcd.etcd_peer_probe:
    name: "{{ inventory_hostname }}"
    members: "{{ members }}"
  register: state

- name: Name the members that do not let this one in
  ansible.builtin.debug:
    msg: "{{ item.to }}: {{ item.text }}"
  loop: "{{ state.probes | selectattr('case', 'eq', 'member') | rejectattr('outcome', 'eq', 'accepted') }}"

# With what etcd_peer_stranger has made.
- name: Probe them with the test certificates too
  ringfence.etcd.etcd_peer_probe:
    name: "{{ inventory_hostname }}"
    members: "{{ members }}"
    stranger_certificate: "{{ own.stranger_certificate }}"
    stranger_private_key: "{{ own.stranger_private_key }}"
    unknown_ca_certificate: "{{ own.unknown_ca_certificate }}"
    unknown_ca_private_key: "{{ own.unknown_ca_private_key }}"
  register: state
  vars:
    own: "{{ strangers.members | selectattr('name', 'eq', inventory_hostname) | first }}"
"""

RETURN = r"""
name:
  description: The member that called.
  returned: success
  type: str
  sample: etcd-1
time:
  description: When, by this host's clock, in UTC.
  returned: success
  type: str
  sample: '2026-11-24T09:00:00Z'
called:
  description: Whether it called the others, as O(call) says. Otherwise the results of calls are empty.
  returned: success
  type: bool
  sample: true
probes:
  description: One entry for each case and target.
  returned: success
  type: list
  elements: dict
  contains:
    to:
      description: The member that was called.
      type: str
      sample: etcd-2
    peer_url:
      description: Its peer URL.
      type: str
      sample: https://10.0.0.2:2380
    case:
      description: As whom, one of V(member), V(stranger), V(unknown_ca), V(revoked), V(no_certificate).
      type: str
      sample: member
    outcome:
      description: One of V(accepted), V(refused), V(unreachable), V(timed_out).
      type: str
      sample: accepted
    reason:
      description:
        - Why; V(null) where it was accepted.
        - The member called refused V(common_name), V(unknown_authority), V(expired), V(not_yet_valid), V(revoked),
          V(key_usage), V(address) (no subject alternative name for the address that the call came from) or
          V(no_certificate).
        - The caller refused V(server_unknown_authority), V(server_expired), V(server_not_yet_valid), V(server_name),
          V(server_key_usage), V(server_common_name) or V(server_other).
        - There was no TLS, V(not_tls), or V(closed), V(reset), V(alert), V(other) without a known cause.
        - No connection, V(name_unknown), V(port_closed), V(network); no answer in time, V(connect), V(answer),
          V(resolve).
      type: str
      sample: common_name
    text:
      description: The same in one line.
      type: str
      sample: HTTP 200
    inferred:
      description: Whether the reason was worked out from what this host knows; otherwise it was seen on the wire.
      type: bool
      sample: false
    tls:
      description: The version of TLS, V(null) where no handshake came about.
      type: str
      sample: TLSv1.3
    cipher:
      description: The cipher suite, V(null) where no handshake came about.
      type: str
      sample: TLS_AES_128_GCM_SHA256
    server:
      description:
        - The certificate that was served, in the form of the return value C(credentials.certificate) of
          M(ringfence.etcd.etcd_peer_info) without its file; V(null) where none was seen.
        - Given once for each target.
      type: dict
client_probes:
  description: One entry for each of O(client_calls) and client port that this host called.
  returned: success
  type: list
  elements: dict
  sample: []
  contains:
    to:
      description: The member that was called.
      type: str
      sample: etcd-2
    client_url:
      description: Its client URL.
      type: str
      sample: https://10.0.0.2:2379
    case:
      description: As whom, one of O(client_calls).
      type: str
      sample: client
    outcome:
      description: As in RV(probes[].outcome).
      type: str
      sample: accepted
    reason:
      description: As in RV(probes[].reason); V(null) where it was accepted.
      type: str
      sample: null
    text:
      description: The same in one line. V(HTTP 200) as V(client) is the answer to a read, V(HTTP 400) RBAC's refusal.
      type: str
      sample: HTTP 200
    inferred:
      description: Whether the reason was worked out from what this host knows; otherwise it was seen on the wire.
      type: bool
      sample: false
    tls:
      description: The version of TLS, V(null) where no handshake came about.
      type: str
      sample: TLSv1.3
    cipher:
      description: The cipher suite, V(null) where no handshake came about.
      type: str
      sample: TLS_AES_128_GCM_SHA256
client_problem:
  description: Why this host could not call as a client, for want of what checks the members; V(null) where it could.
  returned: success
  type: str
  sample: null
problem:
  description: Why this host could not call with the member's own certificate; V(null) where it could.
  returned: success
  type: str
  sample: null
unreadable_files:
  description: Files of the member that the user O(owner) can't read.
  returned: success
  type: list
  elements: dict
  sample: []
  contains:
    path:
      description: The file, empty where there is no such user.
      type: str
    text:
      description: Why, in one line.
      type: str
revoked:
  description: Serial numbers on the revocation list that this member's process checks, in hex.
  returned: success
  type: list
  elements: str
  sample: []
revocation_list_problem:
  description:
    - Why the revocation list in the process's settings can't be used, so that etcd refuses every new connection;
      V(null) where it can, or where there is none.
  returned: success
  type: str
  sample: null
process_credentials:
  description:
    - The files in the running process's settings, where they are others than those in O(directory), in the form of the
      return value C(credentials) of M(ringfence.etcd.etcd_peer_info); V(null) where they are the same, or where nothing
      runs. A proof is about these.
  returned: success
  type: dict
live_members:
  description:
    - The members as the cluster lists them, asked at this host's own member wherever it runs or has data, whether or
      not the others are called; V(null) where that is not known.
  returned: success
  type: list
  elements: dict
  contains:
    member_id:
      description: The member's ID in hex.
      type: str
      sample: 8e9e05c52164694d
    name:
      description: Its name, empty for one that was added and has not started yet.
      type: str
      sample: etcd-1
    peer_urls:
      description: Its peer URLs.
      type: list
      elements: str
      sample: ['https://10.0.0.1:2380']
    client_urls:
      description: Its client URLs, empty for one that was never started.
      type: list
      elements: str
      sample: ['https://10.0.0.1:2379']
    is_learner:
      description: Whether it is a learner.
      type: bool
      sample: false
live_members_problem:
  description: Why the live list is not known; V(null) where it is, or where the member was not asked.
  returned: success
  type: str
  sample: null
live_obstacle:
  description:
    - The kind of RV(live_members_problem), where it stays until somebody does something about it. V(auth) is RBAC,
      under which etcd's gateway refuses a certificate with a common name, and wants a user; V(user), that RBAC does not
      take O(api_user) with O(api_password); V(right), that this user may not ask it; V(gateway), that the gateway is
      switched off; V(tls), that the certificates do not fit. V(null) for any other, and where there is no problem.
  returned: success
  type: str
  sample: null
live_lacking_role:
  description:
    - The role that RBAC asks for where members come, go or move, or a snapshot is taken, and that O(api_user) does not
      have. V(null) where it has it, RBAC is off, or that is not known.
  returned: success
  type: str
  sample: null
live_alarms:
  description: The alarms that are raised in the cluster; V(null) where that is not known.
  returned: success
  type: list
  elements: dict
  contains:
    member_id:
      description: The ID of the member that it is raised for, in hex.
      type: str
      sample: 8e9e05c52164694d
    alarm:
      description: V(NOSPACE) or V(CORRUPT).
      type: str
      sample: NOSPACE
  sample: []
live_member_id:
  description: The ID of the member that answers here, in hex; V(null) where it was not asked or does not say.
  returned: success
  type: str
  sample: 8e9e05c52164694d
live_cluster_id:
  description: The ID of its cluster, in hex; V(null) where it was not asked or does not say.
  returned: success
  type: str
  sample: cdf818194e3a8c32
live_leader_id:
  description: The ID of the leader, in hex; V(null) where the member knows none, was not asked or does not say.
  returned: success
  type: str
  sample: 8e9e05c52164694d
live_cluster_version:
  description: The version that the cluster as a whole is at; V(null) where that is not known.
  returned: success
  type: str
  sample: '3.5.0'
live_healthy:
  description: Whether the member is healthy by its own account; V(null) where it was not asked.
  returned: success
  type: bool
  sample: true
live_health_problem:
  description: Why it is not; V(null) where it is, or was not asked.
  returned: success
  type: str
  sample: null
live_active_peers:
  description: The IDs of the members to which it has a connection, in hex; V(null) where that is not known.
  returned: success
  type: list
  elements: str
  sample: [cdf818194e3a8c32]
pending:
  description:
    - What M(ringfence.etcd.etcd_peer_credentials) and M(ringfence.etcd.etcd_peer_service) would change on this host, or
      would fail with, with the certificates that are there and the unit of O(unit_content). A restart that is due
      counts. Empty where the host is as it should be; V(null) without O(unit_content).
  returned: success
  type: list
  elements: dict
  contains:
    part:
      description: V(credentials) or V(service).
      type: str
    code:
      description: One of the reasons or actions that those modules return, or the C(problem) that they would fail with.
      type: str
    text:
      description: The same in one line.
      type: str
  sample:
    - {part: credentials, code: mode, text: '/etc/etcd/pki/etcd-1.key: mode'}
unit_problem:
  description:
    - What systemd or this host's etcd has against O(unit_content), where it differs from the unit that is there, or
      where the program was replaced since the process was started from it. While a member runs, also why other files
      for clients, which are the user's own, would not do. V(null) where nothing, and without O(unit_content).
  returned: success
  type: str
  sample: null
unit_overrides:
  description:
    - What on this host would make another member of O(unit_content), or keep it from starting. That is a drop-in, an
      environment file, or a variable of systemd's own, and the flag that it changes, in a line each. Empty without
      O(unit_content).
  returned: success
  type: list
  elements: str
  sample: []
info:
  description: What M(ringfence.etcd.etcd_peer_info) returns.
  returned: success
  type: dict
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import CLIENT_CASES
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    ARGUMENTS,
    REQUIRED_BY,
    REQUIRED_TOGETHER,
    take_access,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.node_probe import probe_node


def argument_spec() -> dict[str, t.Any]:
    return {
        "name": {"type": "str", "required": True},
        "members": {"type": "list", "elements": "dict", "required": True},
        # Read on the controller, and taken out there.
        "settings_variable": {"type": "str"},
        "strangers_variable": {"type": "str"},
        # Not in a list of dictionaries: a module's log shows such a list with its secrets, escaped and so not found.
        "stranger_certificate": {"type": "str"},
        "stranger_private_key": {"type": "str", "no_log": True},
        "unknown_ca_certificate": {"type": "str"},
        "unknown_ca_private_key": {"type": "str", "no_log": True},
        "revoked_certificate": {"type": "str"},
        "revoked_private_key": {"type": "str", "no_log": True},
        "client_calls": {"type": "list", "elements": "str", "choices": list(CLIENT_CASES), "default": []},
        "present": {"type": "list", "elements": "str", "default": []},
        "client_certificate": {"type": "str"},
        "client_private_key": {"type": "str", "no_log": True},
        "client_unknown_ca_certificate": {"type": "str"},
        "client_unknown_ca_private_key": {"type": "str", "no_log": True},
        "revocation_list": {"type": "str"},
        "client_url": {"type": "str"},
        "call": {"type": "str", "choices": ["always", "running", "never"], "default": "always"},
        "timeout_seconds": {"type": "float", "default": 5.0},
        "directory": {"type": "path", "default": "/etc/etcd/pki"},
        "owner": {"type": "str", "default": "etcd"},
        "etcd_binary": {"type": "path", "default": "/usr/bin/etcd"},
        "unit": {"type": "str", "default": "etcd.service"},
        "unit_directory": {"type": "path"},
        "data_dir": {"type": "path"},
        "unit_content": {"type": "str"},
        "group": {"type": "str", "default": "etcd"},
        "manage_service": {"type": "bool", "default": True},
        "disconnect_revoked": {"type": "bool", "default": False},
        **ARGUMENTS,
    }


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        required_together=[
            ("stranger_certificate", "stranger_private_key"),
            ("unknown_ca_certificate", "unknown_ca_private_key"),
            ("revoked_certificate", "revoked_private_key"),
            ("client_certificate", "client_private_key"),
            ("client_unknown_ca_certificate", "client_unknown_ca_private_key"),
            *REQUIRED_TOGETHER,
        ],
        required_by={**REQUIRED_BY, "unit_content": ["data_dir"]},
        supports_check_mode=True,
    )
    access = take_access(module)
    with failures_told(module):
        result = probe_node(module.params, datetime.datetime.now(datetime.timezone.utc), access)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
