#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_settings
short_description: Read the user's settings of an etcd cluster, and nothing that a host answered
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Reads the variables of the role P(ringfence.etcd.etcd_peer_tls#role), checks them, and makes the list of the
    members. The role's first task; all its later tasks read the result and not the variables.
  - Ansible makes variables of the facts that a host answers with, and they beat the inventory. A host that lies could
    so say where the CA's key goes. Here a fact is known as C(ansible_facts), or by a name that begins with C(ansible_),
    and sets nothing by itself. A host whose facts have names of the role's variables is refused.
  - Each member's settings are those of its own host, whether they stand in the inventory, in the play, in files of
    variables, in the role's call or on the command line, also for hosts that are not in this run.
  - Every rule about what may be set is asked here, before anything is touched, by the functions that the modules ask
    later. A variable that begins with C(etcd_peer_tls_) and is none of the role's is refused, with the nearest name.
  - Values are taken as surveys, command lines and vaults give them. An empty answer is the default, C("true") is true,
    a list may be a text with commas or lines, a dictionary a text in JSON.
  - What is wrong is told once in a play, by the host whose setting it is, or by the first of those that it is of. The
    others name that host.
  - Where tags choose no part of the role, nothing is read, and RV(parts) is empty.
  - Secrets are not among the settings. M(ringfence.etcd.etcd_peer_stranger) gives them to the role.
  - Runs on the controller. No host is spoken to. Outside of the role, the defaults are the role's too.
options:
  keys_travel:
    description:
      - Whether keys are going to be sent to hosts in this run. Then C(ANSIBLE_KEEP_REMOTE_FILES) is refused, which
        would leave them in temporary files. A secret of the user's counts in any case.
    type: bool
    default: true
  proof_only:
    description:
      - Whether the cluster is going to be proved, and not deployed. Then only what the entry point C(verify) of the
        role takes is checked.
    type: bool
    default: false
  entry_point:
    description: The entry point of the role whose variables are checked.
    type: str
    choices: [main, verify, backup, restore, clients]
    default: main
extends_documentation_fragment:
  - ringfence.etcd.cryptography_dep.controller
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
seealso:
  - module: ringfence.etcd.etcd_cluster_check
"""

EXAMPLES = r"""
- name: Read the settings and make the list of members
  ringfence.etcd.etcd_settings:
  register: wanted
"""

RETURN = r"""
client_files:
  description:
    - Paths on the member's host with which it speaks to the client URLs of the others, by V(ca), V(cert) and V(key).
      Empty texts where clients speak without TLS.
  type: dict
  returned: where RV(parts) is not empty
coordinator:
  description:
    - The inventory host that acts once for the cluster in this run, the first member in this batch of the play. Empty
      where RV(parts) is.
  type: str
  returned: success
  sample: etcd-1
flag_settings:
  description: The settings of a member's command line, as P(ringfence.etcd.etcd_arguments#filter) takes them.
  type: dict
  returned: where RV(parts) is not empty
has_secrets:
  description: Whether the user gave a passphrase or a private key of the CA, or a password of etcd's API.
  type: bool
  returned: where RV(parts) is not empty
not_in_inventory:
  description: Names of the members whose hosts the inventory of this run does not have.
  type: list
  elements: str
  returned: where RV(parts) is not empty
slice_of:
  description: That this run is a slice of a job, and of which template, by what AWX set. Empty where that is not known.
  type: str
  returned: where RV(parts) is not empty
members_are_said:
  description: Whether the user gave a list of members, or their number, which says nothing in a slice of a job.
  type: bool
  returned: where RV(parts) is not empty
issues_to_clients:
  description:
    - Whether this run makes certificates for clients, and for the members' client ports, by the CA of clients.
    - The entry point V(clients) does, and V(main) where C(etcd_peer_tls_client_ca) is V(own), by default where clients
      are named.
  type: bool
  returned: success
hosts:
  description: The inventory hosts of the cluster, in the order of the members.
  type: list
  elements: str
  returned: where RV(parts) is not empty
  sample: [etcd-1, etcd-2, etcd-3]
member:
  description: The entry of RV(members) of this host.
  type: dict
  returned: where RV(parts) is not empty
members:
  description: All members of the cluster, in the form of P(ringfence.etcd.etcd_members#filter).
  type: list
  elements: dict
  returned: where RV(parts) is not empty
ca_is_lost:
  description:
    - With what the CA's folder is lost after this run, and how that is known, where it is on a controller that is
      thrown away after the job, or in a container. Empty where it stays, and with
      C(etcd_peer_tls_ca_on_ephemeral_controller).
    - It is known by variables that a user or AWX set, and by the controller's own environment.
  type: str
  returned: where RV(parts) is not empty
ca_host:
  description:
    - One of the settings. All others are there in the same way, under the name of the role's variable without
      C(etcd_peer_tls_), with the type of the role's documentation.
  type: str
  returned: where RV(parts) is not empty
  sample: localhost
parts:
  description: The parts of the role that this run does, of V(ca), V(certificates), V(service) and V(verify).
  type: list
  elements: str
  returned: success
  sample: [ca, certificates, service, verify]
unit_text:
  description: The systemd unit of this host's member, with its configuration hash; empty with O(proof_only).
  type: str
  returned: where RV(parts) is not empty
"""
