#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_cluster_gate
short_description: Keep a host of an etcd cluster from a step that others are not ready for
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Fails where hosts of members have failed or become unreachable in this play, or have their turn later, and this one
    must not go on without them. A restart takes a member away for a moment, and is only done where all the others have
    what they need.
  - Who was left out with C(--limit) is not waited for.
  - Runs on the controller. No host is spoken to.
options:
  before:
    description:
      - The step that this host is about to do.
      - With V(pass), the next pass of a change in several steps is planned. All in O(checked) must still be there.
      - With V(unit), a unit is written for a restart that would not be. All in O(checked) must still be there.
      - With V(restart), all hosts of members that are in this play must be there and in this batch of it. V(upgrade) is
        the same, before each member that is restarted with another minor version of etcd.
      - With V(revoke), the same as with V(restart), before what members presented until now is revoked.
      - With V(restore), the same as with V(restart), or what O(plans_variable) says.
    type: str
    choices: [pass, unit, restart, upgrade, restore, revoke]
    required: true
  members:
    description: All members of the cluster, in the form of P(ringfence.etcd.etcd_members#filter).
    type: list
    elements: dict
    required: true
  checked:
    description: The names of the members whose hosts were there when M(ringfence.etcd.etcd_cluster_check) judged.
    type: list
    elements: str
    default: []
  cluster_name:
    description: The cluster's name, for messages.
    type: str
    default: etcd
  plans_variable:
    description:
      - The name under which each host has registered what M(ringfence.etcd.etcd_restore) with
        O(ringfence.etcd.etcd_restore#module:state=planned) answered.
      - With O(before=restore) the step is refused where a host of a member has registered nothing, where members run
        and O(over_running) is not said, and where some of a restored cluster have gone on without the others.
    type: str
  over_running:
    description: Whether members that run are restored over.
    type: bool
    default: false
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
seealso:
  - module: ringfence.etcd.etcd_cluster_check
  - module: ringfence.etcd.etcd_peer_service
"""

EXAMPLES = r"""
- name: Restart only where every host has its files
  ringfence.etcd.etcd_cluster_gate:
    before: restart
    members: "{{ groups['etcd'] | ringfence.etcd.etcd_members(cluster_name='etcd', domain='example.com') }}"
"""

RETURN = r"""
details:
  description: With C(gone), the inventory hosts that are gone.
  returned: failure
  type: dict
  sample: {gone: [etcd-2]}
"""
