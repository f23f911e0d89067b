#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_client_check
short_description: Tell which certificates the clients of an etcd cluster need
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Reads what M(ringfence.etcd.etcd_client_credentials) told of the hosts of members and clients, and what
    M(ringfence.etcd.etcd_peer_stranger) told of the clients' CA. Tells what
    M(ringfence.etcd.etcd_peer_certificates) is asked for.
  - Fails where a member trusts another CA at its client port than the one at hand, and where a word that revokes means
    nothing.
  - A certificate that is revoked, or is to be, is replaced with one of a new key.
  - Runs on the controller. No host is spoken to.
options:
  members:
    description: All members of the cluster, in the form of P(ringfence.etcd.etcd_members#filter).
    type: list
    elements: dict
    required: true
  places:
    description:
      - By member's name the hosts of the peer URLs with which the cluster lists it. While a member moves its
        certificate has these, too.
    type: dict
    default: {}
  clients:
    description: Its clients, each on one host, with C(id), C(common_name), C(dns_names) and C(ip_addresses).
    type: list
    elements: dict
    required: true
  members_variable:
    description: The name under which each member's host has registered its answer.
    type: str
    required: true
  clients_variable:
    description: The name under which this host has registered the answers of a loop over O(clients).
    type: str
    required: true
  loop_variable:
    description: The loop's own variable.
    type: str
    default: item
  ca_variable:
    description: The name under which this host has registered what was told of the clients' CA.
    type: str
    required: true
  ca_is_lost:
    description: Why a CA that is made in this run would be lost with it. Empty where it would stay.
    type: str
    default: ''
  revoked:
    description: What is to be revoked, as the CA's host was asked.
    type: list
    elements: str
    default: []
  new_keys:
    description: Whether all of them get new keys.
    type: bool
    default: false
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
seealso:
  - module: ringfence.etcd.etcd_client_credentials
  - module: ringfence.etcd.etcd_client_gate
  - module: ringfence.etcd.etcd_peer_certificates
"""

EXAMPLES = r"""
- name: Tell what the clients need
  ringfence.etcd.etcd_client_check:
    members: []
    clients: []
    members_variable: of_the_member
    clients_variable: of_the_clients
    ca_variable: client_ca
"""

RETURN = r"""
requests:
  description: What O(ringfence.etcd.etcd_peer_certificates#module:members) takes.
  returned: success
  type: list
  elements: dict
trusted_fingerprints:
  description: CAs that hosts trust already, where the clients' CA is still to be made.
  returned: success
  type: list
  elements: str
no_new_ca_because:
  description: Why no CA may be made. V(null) where one may.
  returned: success
  type: str
revoke:
  description: Serial numbers that are to be revoked.
  returned: success
  type: list
  elements: str
moving:
  description: Members whose certificate is to have a place of O(places) that is not to stay.
  returned: success
  type: list
  elements: str
unseen:
  description: Members and clients whose hosts did not answer, a line each. They are asked for nothing.
  returned: success
  type: list
  elements: str
"""
