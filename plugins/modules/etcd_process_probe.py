#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_process_probe
short_description: Call the peer ports of a cluster that somebody else deployed, as whoever lies on this host
version_added: 0.1.0
description:
  - Calls each peer port as this host's own members, with every certificate of the cluster's CAs that lies here together
    with its private key, with a stranger's pair that is given, and without a certificate.
  - A private key that lies on this host is read into memory and used from here. It leaves the host neither as a file
    nor in the answer.
  - Changes nothing and writes nothing. It looks for pairs in O(folders) and in the folders of the members' own files.
    It follows no link there, and reads small files alone.
  - Without O(peer_ports) the controller works the calls out from what M(ringfence.etcd.etcd_process_info) told of all
    hosts (O(states_variable)). So this host calls no other addresses than those of the run's members.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
options:
  states_variable:
    description:
      - The name of the variable under which each host has registered the result of
        M(ringfence.etcd.etcd_process_info). The options O(peer_ports), O(own), O(ca_certificates), O(common_names) and
        the pair of an unknown CA are made of it.
    type: str
  peer_ports:
    description: The peer ports to call, each a C(name) with a C(url).
    type: list
    elements: dict
    default: []
  own:
    description:
      - The members on this host, each a C(name) with its files C(peer_cert_file), C(peer_key_file) and
        C(peer_trusted_ca_file), and the C(allowed_common_names) of its process.
    type: list
    elements: dict
    default: []
  ca_certificates:
    description: The CA certificates (PEM) by which peers are verified. Pairs of these CAs are looked for.
    type: list
    elements: str
    default: []
  common_names:
    description: Common names that some member lets in. Pairs with these are called with first.
    type: list
    elements: str
    default: []
  folders:
    description: Where to look for pairs, with all folders below.
    type: list
    elements: path
    default:
      - /etc
      - /opt
      - /srv
      - /root
      - /home
      - /usr/local
      - /var/lib/etcd
      - /var/lib/kubelet/pki
      - /var/lib/kubernetes
      - /var/lib/rancher
      - /var/lib/pki
  stranger_certificate:
    description: A certificate (PEM) that has to be refused, for one more stranger.
    type: str
  stranger_private_key:
    description: The private key of O(stranger_certificate).
    type: str
  stranger_ca_certificate:
    description:
      - The certificate (PEM) of the CA that peers are verified by, to make a stranger with. It is used on the
        controller alone, with O(states_variable).
    type: str
  stranger_ca_private_key:
    description: The private key (PEM) of O(stranger_ca_certificate). It does not leave the controller.
    type: str
  stranger_ca_private_key_passphrase:
    description: The passphrase of O(stranger_ca_private_key).
    type: str
  unknown_ca_certificate:
    description: A certificate (PEM) of a CA that nobody knows.
    type: str
  unknown_ca_private_key:
    description: The private key of O(unknown_ca_certificate).
    type: str
  timeout_seconds:
    description: How long a single call may take.
    type: float
    default: 5.0
seealso:
  - module: ringfence.etcd.etcd_process_info
  - module: ringfence.etcd.etcd_audit
"""

EXAMPLES = r"""
# With what etcd_process_info was registered as on each host.
- name: See who on these hosts gets in at the peer ports
  ringfence.etcd.etcd_process_probe:
    states_variable: etcd_processes
  register: etcd_calls
  vars:
    # A stranger's key goes through the connection's standard input.
    ansible_pipelining: true
"""

RETURN = r"""
time:
  description: When, by this host's clock, in UTC.
  returned: success
  type: str
  sample: '2026-11-24T09:00:00Z'
calls:
  description: What came of each call.
  returned: success
  type: list
  elements: dict
  contains:
    from:
      description: The member on this host that called; V(null) for a call as a stranger.
      type: str
      sample: etcd-1
    to:
      description: The name of the peer port in O(peer_ports).
      type: str
      sample: etcd-2
    peer_url:
      description: Its URL.
      type: str
      sample: https://10.0.0.2:2380
    case:
      description: V(member), V(stranger), V(unknown_ca) or V(no_certificate).
      type: str
      sample: stranger
    fingerprint:
      description: The fingerprint of the certificate that it called with, as a stranger; V(null) for others.
      type: str
      sample: 00ff
    outcome:
      description: V(accepted), V(refused), V(unreachable) or V(timed_out).
      type: str
      sample: refused
    reason:
      description: A code for why; V(null) where it was accepted.
      type: str
      sample: common_name
    text:
      description: The same in one line.
      type: str
    inferred:
      description: Whether the reason was inferred from what this host knows; otherwise it was seen on the wire.
      type: bool
      sample: true
    tls:
      description: The version of TLS, V(null) where no handshake came about.
      type: str
      sample: TLSv1.3
    cipher:
      description: The cipher suite, V(null) where no handshake came about.
      type: str
      sample: TLS_AES_128_GCM_SHA256
served:
  description: Each certificate that a peer port presented to this host.
  returned: success
  type: list
  elements: dict
  contains:
    to:
      description: The name of the peer port.
      type: str
      sample: etcd-2
    pem:
      description: The certificate.
      type: str
own_problems:
  description: Why a member on this host could not call as itself, by its name. Empty where all could.
  returned: success
  type: dict
  sample: {}
pairs:
  description: The certificates of these CAs that lie on this host with their private keys, and were called with.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The file of the certificate.
      type: str
      sample: /etc/ssl/etcd/ssl/node-worker-1.pem
    key_path:
      description: The file of its private key.
      type: str
      sample: /etc/ssl/etcd/ssl/node-worker-1-key.pem
    fingerprint:
      description: The certificate's SHA-256.
      type: str
      sample: 00ff
    pem:
      description: The certificate.
      type: str
pairs_left_out:
  description: How many more such pairs lie there.
  returned: success
  type: int
  sample: 0
pairs_problem:
  description: Why there may be pairs that were not found; V(null) where all was looked through.
  returned: success
  type: str
  sample: null
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.calls_from_host import calls_from_host
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.certificates_on_host import FOLDERS

ARGUMENT_SPEC: dict[str, t.Any] = {
    "states_variable": {"type": "str"},
    "peer_ports": {"type": "list", "elements": "dict", "default": []},
    "own": {"type": "list", "elements": "dict", "default": []},
    "ca_certificates": {"type": "list", "elements": "str", "default": []},
    "common_names": {"type": "list", "elements": "str", "default": []},
    "folders": {"type": "list", "elements": "path", "default": list(FOLDERS)},
    "stranger_certificate": {"type": "str"},
    "stranger_private_key": {"type": "str", "no_log": True},
    "stranger_ca_certificate": {"type": "str"},
    "stranger_ca_private_key": {"type": "str", "no_log": True},
    "stranger_ca_private_key_passphrase": {"type": "str", "no_log": True},
    "unknown_ca_certificate": {"type": "str"},
    "unknown_ca_private_key": {"type": "str", "no_log": True},
    "timeout_seconds": {"type": "float", "default": 5.0},
}
REQUIRED_TOGETHER = [
    ("stranger_certificate", "stranger_private_key"),
    ("stranger_ca_certificate", "stranger_ca_private_key"),
    ("unknown_ca_certificate", "unknown_ca_private_key"),
]


def main() -> t.NoReturn:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, required_together=REQUIRED_TOGETHER, supports_check_mode=True)
    with failures_told(module):
        result = calls_from_host(module.params, datetime.datetime.now(datetime.timezone.utc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
