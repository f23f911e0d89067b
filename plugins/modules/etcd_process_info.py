#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_process_info
short_description: Tell how every etcd on a host was started, whoever deployed it
version_added: 0.1.0
description:
  - Finds each process that has an etcd's data open, whatever its unit, its program or its container is called. Returns
    what it was given by flags, variables or a configuration file, where it listens, which certificates its peer port
    has, and the members that it reports.
  - Changes nothing, writes nothing, and returns public parts only. Of the settings those come that say how its ports
    are guarded. No private key leaves the host.
  - Needs nothing but Python on the host, and root to see all of it.
  - Where etcd's RBAC is on, it may have to be asked as a user. The password goes to processes alone that root runs, or
    that systemd has started as a service's main process.
  - What it returns is judged by M(ringfence.etcd.etcd_audit).
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
  - ringfence.etcd.api_access.user
options:
  pids:
    description:
      - Look at these processes only. Without it at all processes of the host.
    type: list
    elements: int
  all_flags:
    description:
      - Whether to return all flags among a process's settings, and not only those that say how its ports are guarded. A
        variable that is no flag of etcd is never returned with its value.
    type: bool
    default: false
seealso:
  - module: ringfence.etcd.etcd_process_probe
  - module: ringfence.etcd.etcd_audit
"""

EXAMPLES = r"""
- name: See which etcd runs on each host
  ringfence.etcd.etcd_process_info:
  register: etcd_processes
"""

RETURN = r"""
time:
  description: When, by this host's clock, in UTC.
  returned: success
  type: str
  sample: '2026-11-24T09:00:00Z'
module_user:
  description: The user that the module ran as.
  returned: success
  type: str
  sample: root
problems:
  description: What could not be seen, in a line each.
  returned: success
  type: list
  elements: str
  sample: []
processes:
  description: Each process that has an etcd's data open.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: Its number.
      type: int
      sample: 812
    program:
      description: The first word of its command line; V(null) where that can't be read.
      type: str
      sample: /usr/bin/etcd
    unit:
      description: The systemd unit that it belongs to; V(null) where it belongs to none.
      type: str
      sample: etcd.service
    kind:
      description:
        - V(service), V(container), V(pod) for one of Kubernetes, V(embedded) for one within another program, or
          V(process) for any other.
      type: str
      sample: service
    engine:
      description:
        - The engine whose container or pod it is in, as its control group is called. V(podman), V(docker), V(CRI-O) or
          V(containerd); V(null) where it is in none, or where that is not known.
      type: str
      sample: null
    container_id:
      description: The container's ID as engines shorten it; V(null) where it is in none, or where that is not known.
      type: str
      sample: null
    definition:
      description:
        - The file that its container is made from, which is a quadlet of podman or a static pod's manifest; V(null)
          where there is none, or where that is not known.
      type: str
      sample: null
    environment_files:
      description: The files that its unit reads variables from, in systemd's order.
      type: list
      elements: str
      sample: [/etc/etcd.env]
    data_dir:
      description: The data folder that it has open, as the process sees it.
      type: str
      sample: /var/lib/etcd
    config_file:
      description: The configuration file that it was given; V(null) where it was given none.
      type: str
      sample: null
    settings_source:
      description:
        - Where its settings come from. V(flag), V(environment), V(flag_and_environment) or V(config_file), with which
          etcd ignores the others; V(null) where that is not known.
      type: str
      sample: environment
    list_source:
      description: Where its list of allowed common names comes from; V(null) where it has none.
      type: str
      sample: environment
    settings:
      description:
        - Its settings, in the form of the return value C(unit.settings) of M(ringfence.etcd.etcd_peer_info). Of its
          flags those that say how its ports are guarded, or all with O(all_flags). V(null) where they are not known.
      type: dict
    unknown_settings:
      description: Names among its settings that are no flags of etcd, such as those of an image's own variables.
      type: list
      elements: str
      sample: []
    managed:
      description: Whether it was started from a unit that this collection made.
      type: bool
      sample: false
    owner:
      description: The user that it runs as; V(null) where that can't be seen.
      type: str
      sample: etcd
    owner_group:
      description: The group that it runs as; V(null) where that can't be seen.
      type: str
      sample: etcd
    settings_problem:
      description: Why they are not known; V(null) where they are.
      type: str
      sample: null
    ignored_keys:
      description: Names in its configuration file that no etcd knows, and that it ignores without a word.
      type: list
      elements: str
      sample: [peer-transport-security.allowed-cns]
    ignored_settings:
      description: Flags and variables that it was given beside a configuration file, and so ignores.
      type: list
      elements: str
      sample: [ETCD_PEER_CERT_ALLOWED_CN]
    newer_files:
      description: Of the files that etcd reads at its start alone, those that were written since.
      type: list
      elements: str
      sample: []
    listens:
      description: The sockets at the ports of its peer URLs, as the kernel shows them.
      type: list
      elements: dict
      contains:
        address:
          description: The address.
          type: str
          sample: 10.0.0.1
        port:
          description: The port.
          type: int
          sample: 2380
    has_own_network:
      description: Whether it has a network namespace of its own, as containers may have.
      type: bool
      sample: false
    peer_certificate:
      description: The file of its peer certificate.
      type: dict
      contains: &file
        path:
          description: The file, as the process names it; V(null) where none is named.
          type: str
          sample: /etc/ssl/etcd/ssl/member-etcd-1.pem
        pem:
          description: The certificates in it; V(null) where there are none.
          type: str
        problem:
          description: Why they can't be read; V(null) where they can, or where no file is named.
          type: str
          sample: null
    peer_authority:
      description: The file with the CA certificates that peers are verified by.
      type: dict
      contains: *file
    client_authority:
      description: The file with the CA certificates that clients are verified by.
      type: dict
      contains: *file
    files:
      description: Where this host has the files of its peer port; V(null) where none is named.
      type: dict
      sample: {peer_cert_file: /etc/ssl/etcd/ssl/member-etcd-1.pem}
    version:
      description: Its version as it answers at its client port; V(null) where it does not.
      type: str
      sample: 3.5.16
    live_members:
      description: The members as it reports them; V(null) where that is not known.
      type: list
      elements: dict
      contains:
        member_id:
          description: The member's ID in hex.
          type: str
          sample: 8e9e05c52164694d
        name:
          description: Its name, empty for one that has not started yet.
          type: str
          sample: etcd-1
        peer_urls:
          description: Its peer URLs.
          type: list
          elements: str
          sample: ['https://10.0.0.1:2380']
    live_member_id:
      description: The ID of the member that answers here, in hex; V(null) where it is not known.
      type: str
      sample: 8e9e05c52164694d
    live_cluster_id:
      description: The ID of its cluster, in hex; V(null) where it is not known.
      type: str
      sample: cdf818194e3a8c32
    live_members_problem:
      description: Why it does not report its members; V(null) where it does.
      type: str
      sample: null
"""

import datetime
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    USER_ARGUMENTS,
    USER_REQUIRED_TOGETHER,
    take_access,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.running_members import running_members
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import owner_name

ARGUMENT_SPEC: dict[str, t.Any] = {
    "pids": {"type": "list", "elements": "int"},
    "all_flags": {"type": "bool", "default": False},
    **USER_ARGUMENTS,
}


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC, required_together=USER_REQUIRED_TOGETHER, supports_check_mode=True
    )
    access = take_access(module)
    now = datetime.datetime.now(datetime.timezone.utc)
    with failures_told(module):
        found, problems = running_members(module.params["pids"], module.params["all_flags"], access)
    module.exit_json(
        changed=False, time=iso_time(now), module_user=owner_name(os.geteuid()), processes=found, problems=problems
    )


if __name__ == "__main__":
    main()
