#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_cluster_check
short_description: Say whether a run may change an etcd cluster, and what there is to do
version_added: 0.1.0
description:
  - Looks at a whole cluster, the members that are wanted beside what M(ringfence.etcd.etcd_peer_probe) found on each
    host, and gives every reason not to go on, before anything is changed, and all that is due.
  - It refuses where a common name would leave the list of allowed ones unasked, where the hosts trust different CAs,
    where etcd's version would lock every peer out, where a data folder is another cluster's, where a host's clock is
    wrong, and so on.
  - Of a cluster that lives, it refuses what would cut a member off, with the member list that the running ones tell. So
    it is with another peer URL, client port, common name, data folder or minor version of etcd, with a member that has
    lost its data, or that is to leave and was not removed yet.
  - Runs on the controller and asks no host for anything. It does not fail for what it finds; look at RV(failures).
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
options:
  members:
    description: The members, as made by P(ringfence.etcd.etcd_members#filter).
    type: list
    elements: dict
    required: true
  states:
    description: By a member's name, the result of M(ringfence.etcd.etcd_peer_probe) on its host, for the hosts in this
      run.
    type: dict
  states_variable:
    description:
      - In place of O(states), the name of the variable under which each host has registered that result. It is read
        from the hosts of this batch of the play, which is much faster. Each of them must have registered one.
    type: str
  programs:
    description:
      - By a member's name, the result of M(ringfence.etcd.etcd_program) on its host. The version that was tried is
        judged in place of the one that is there, and one that can't be started there is refused.
    type: dict
  programs_variable:
    description: In place of O(programs), the name of the variable under which each host has registered that result.
    type: str
  cluster_name:
    description: The cluster's name, which is its C(--initial-cluster-token) too.
    type: str
    required: true
  identity:
    description: V(list) or V(shared).
    type: str
    choices: [list, shared]
    default: list
  play:
    description: Names of the members in the whole play; more than in O(states) where C(serial) makes batches.
    type: list
    elements: str
    default: []
  removed:
    description: Common names, or members' names, that the user says are to go.
    type: list
    elements: str
    default: []
  members_are_said:
    description:
      - Whether the user said that O(members) are all, by their number or by a list. Otherwise a cluster of one is not
        formed, because a slice of a job looks like one.
    type: bool
    default: true
  install:
    description: Whether etcd is to be installed in this run, so that a missing binary is no reason to refuse, and from
      what.
    type: str
    choices: [none, package, archive]
    default: none
  archive:
    description: The release archive; another version than the one in its name is due to be installed.
    type: str
    default: ""
  archive_sha256:
    description: The archive's SHA-256, without which an archive is refused.
    type: str
    default: ""
  overrule_distribution_etcd:
    description:
      - Whether to override an etcd under the same unit name that is not this collection's and has keys or other
        members, or of which nobody can tell. Its data stays where it is and is not used.
    type: bool
    default: false
  force_restart:
    description: Whether a restart that is due is to happen also where it can't be guarded, which is refused otherwise.
    type: bool
    default: false
  ca_certificate_content:
    description: The CA certificate (PEM) where it is given as content.
    type: str
  ca:
    description: The CA in a folder, the return value C(ca) of M(ringfence.etcd.etcd_peer_stranger).
    type: dict
  ca_host:
    description: The host that holds the CA. Where it is a controller that is thrown away after the job (AWX, or a CI
      job that says so), a CA is not made there. Not looked at where this is not given.
    type: str
  ca_on_ephemeral_controller:
    description: Whether a CA may be made there all the same, as its folder outlives the job.
    type: bool
    default: false
  settings:
    description: The settings that P(ringfence.etcd.etcd_arguments#filter) takes, checked for every member.
    type: dict
    required: true
  own_settings:
    description:
      - By a member's name, the settings of its own host, of the same kind as O(settings), where they may differ from
        host to host. A member that is not named has O(settings).
    type: dict
  settings_variable:
    description:
      - In place of O(own_settings), the name of the variable under which each host has registered the result of
        M(ringfence.etcd.etcd_settings).
      - A member whose own settings were refused there is a refusal of the whole cluster; else the others would go on
        without it, as if the user had left it out.
    type: str
  key_type:
    description: The kind of key that the members ought to have.
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]
    default: ecdsa-p256
  validity_days:
    description: How many days a new certificate is valid.
    type: int
    default: 365
  renew_before_days:
    description: A certificate that ends in fewer days is due.
    type: int
    default: 30
  new_keys:
    description: Whether every member is to get a new key.
    type: bool
    default: false
seealso:
  - module: ringfence.etcd.etcd_peer_probe
  - module: ringfence.etcd.etcd_peer_stranger
"""

EXAMPLES = r"""
- name: Look at the cluster as a whole
  ringfence.etcd.etcd_cluster_check:
    members: "{{ groups['etcd'] | ringfence.etcd.etcd_members(cluster_name='etcd') }}"
    states: {etcd-1: "{{ state }}"}
    cluster_name: etcd
    settings: {cluster_name: etcd, data_dir: /var/lib/etcd/etcd, credentials_directory: /etc/etcd/pki}
  register: check

- name: Refuse what could lose a member, a CA or a quorum
  ansible.builtin.fail:
    msg: "{{ check.failures | map(attribute='text') | join('; ') }}"
  when: check.failures | length > 0
"""

RETURN = r"""
in_sync:
  description: Whether the run may end here, with nothing refused and nothing due.
  returned: success
  type: bool
failures:
  description: Why the run must not go on, each with a C(code) and a C(text); empty if it may.
  returned: success
  type: list
  elements: dict
notes:
  description: What is allowed and still worth a line; also shown as warnings.
  returned: success
  type: list
  elements: str
pending:
  description:
    - All that there is to do, each with C(member) (none for the cluster), C(part), C(code) and C(text). Empty where
      CA, hosts and processes are as they should be.
  returned: success
  type: list
  elements: dict
trusted_fingerprints:
  description: SHA-256 fingerprints of the CA certificates that all hosts with a trust bundle trust.
  returned: success
  type: list
  elements: str
no_new_ca_because:
  description: Why a CA that does not exist must not be made now; null on a first deployment.
  returned: success
  type: str
requests:
  description: The members as M(ringfence.etcd.etcd_peer_certificates) takes them, those in O(states) alone.
  returned: success
  type: list
  elements: dict
"""
