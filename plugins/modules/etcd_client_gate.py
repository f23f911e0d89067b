#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_client_gate
short_description: Fail where a client of an etcd cluster did not get its certificate
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - For the end of a run in which loops over clients went on past those that failed, so that a client's host that is
    down keeps nobody else from a certificate.
  - Fails where M(ringfence.etcd.etcd_client_credentials) did not end well for a client, in either loop, and names each
    client with the first reason.
  - Runs on the controller. No host is spoken to.
options:
  clients:
    description: All clients that should have a certificate now, each on one host, with its C(id).
    type: list
    elements: dict
    required: true
  clients_variable:
    description: The name under which this host has registered the answers of a loop over O(clients), what they had.
    type: str
    required: true
  done_variable:
    description:
      - The name under which this host has registered the answers of a second loop over O(clients), which gave them
        their certificates. A client that was skipped there got nothing.
    type: str
    required: true
  loop_variable:
    description: Both loops' own variable.
    type: str
    default: item
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
seealso:
  - module: ringfence.etcd.etcd_client_check
  - module: ringfence.etcd.etcd_client_credentials
"""

EXAMPLES = r"""
# With what two loops over the clients were registered as.
- name: Fail where a client got no certificate
  ringfence.etcd.etcd_client_gate:
    clients: []
    clients_variable: of_the_clients
    done_variable: given_to_the_clients
"""

RETURN = r"""
details:
  description: With C(clients), the ids of the clients that did not get their certificate.
  returned: failure
  type: dict
  sample: {clients: [backup@db-1]}
"""
