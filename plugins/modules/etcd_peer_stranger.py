#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_peer_stranger
short_description: Make certificates that an etcd cluster has to refuse
version_added: 0.1.0
description:
  - Makes two certificates for each member, with which M(ringfence.etcd.etcd_peer_probe) calls. One is of the members'
    own CA, and good in all but the common name, which no list has. One is of an unknown CA of the same name, and good
    in all but the issuer.
  - Where the CA in O(ca_directory) keeps a revocation list, it makes a third one, which is good in all but its serial
    number. All of these have the one number that the CA keeps for them, and that is on its list from the beginning.
  - With O(client_authority) it makes who calls client ports, the same for all members. One is a client of the CA that
    these trust, and no user whom etcd's RBAC knows; one is a client of an unknown CA of the same name.
  - With O(client_pair) it also makes a client certificate without a common name, for calls to etcd's API under RBAC.
  - The certificates and their keys exist only in this module's memory and in its result, and are valid for minutes
    (the client certificate for a day). The task must have C(no_log=true); without it the module refuses.
  - Where the CA's private key is not at hand, the first kind is not made, and RV(problem) says why, unless one is given
    in O(stranger_certificate).
  - With O(ca_directory) it also returns whether that CA is as M(ringfence.etcd.etcd_ca) would leave it. So a run
    without changes needs one call of this module.
  - Runs where the CA is and writes nothing. Where that is the controller, no process is started for it.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.attributes.info_module
  - ringfence.etcd.cryptography_dep
attributes:
  idempotent:
    support: none
    details:
      - Every run makes new ones. Nothing is changed by it.
options:
  make:
    description: Whether to make strangers. With V(false), and without O(client_pair), the module only reads
      O(ca_directory), and needs no C(no_log).
    type: bool
    default: true
  client_pair:
    description:
      - Whether to make a client certificate without a common name too, for each member's calls to etcd's API where RBAC
        is on. It is valid for a day, for clientAuth only, and a peer port with a list refuses it.
      - The clients' CA in O(client_ca_directory) signs it where O(client_authority=own), and the peers' CA else. With
        O(peers_are_clients) the peers' CA does where its key is at hand.
    type: bool
    default: false
  ca_directory:
    description:
      - The folder of a CA that M(ringfence.etcd.etcd_ca) made, in place of O(ca_certificate_path) and
        O(ca_private_key_path).
    type: path
  ca_common_name:
    description: The common name that the CA in O(ca_directory) should have.
    type: str
    default: etcd peer CA
  ca_key_type:
    description: The kind of key that the CA in O(ca_directory) should have.
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]
    default: ecdsa-p256
  keep_index:
    description: Whether the CA in O(ca_directory) is to have an index and a revocation list.
    type: bool
    default: true
  revoked:
    description:
      - What is to be revoked, each a serial number, a member's name or a certificate as PEM. Nothing is revoked here;
        RV(ca.to_revoke) says what is meant.
    type: list
    elements: str
    default: []
  removed:
    description: Names of members that leave the cluster. Nothing is revoked here, and it may be that none is known.
    type: list
    elements: str
    default: []
  members:
    description:
      - The members from whose hosts the calls will come, as P(ringfence.etcd.etcd_members#filter) gives them. The
        module reads C(name), C(common_name), C(dns_names) and C(ip_addresses) of each.
    type: list
    elements: dict
    required: true
  ca_certificate_path:
    description: The file with the CA's certificate, and those of its parents if it has any. Mutually exclusive with
      O(ca_certificate_content).
    type: path
  ca_certificate_content:
    description: The CA's certificate as PEM, and those of its parents if it has any.
    type: str
  ca_private_key_path:
    description: The file with the CA's private key. Mutually exclusive with O(ca_private_key_content).
    type: path
  ca_private_key_content:
    description: The CA's private key as PEM. It touches no disk.
    type: str
  ca_private_key_passphrase:
    description: The passphrase of the CA's private key.
    type: str
  stranger_certificate:
    description:
      - A certificate of the members' own CA as PEM, to call with where that CA's private key is not at hand. It is as a
        member's in all but its common name, which is nobody's, and may have any subject alternative names or none.
      - One that would be refused for another reason too is not used, and RV(problem) says why.
    type: str
  stranger_private_key:
    description: Its private key as PEM. It goes to every host that calls.
    type: str
  client_authority:
    description:
      - Whose certificates the client ports take. V(peers) are those of the members' own CA, V(own) those of the CA in
        O(client_ca_directory). With V(nobody) no client is made.
    type: str
    choices: [nobody, peers, own]
    default: nobody
  client_ca_directory:
    description: The folder of the clients' CA, with C(ca.crt) and C(ca.key).
    type: path
  client_ca_private_key_passphrase:
    description: The passphrase of its private key.
    type: str
  peers_are_clients:
    description: Whether client ports let in certificates of the members' own CA, too. Then it makes a client where the
      other CA is not at hand.
    type: bool
    default: false
  client_certificate:
    description:
      - A client's certificate as PEM, to call client ports with where that CA's private key is not at hand.
    type: str
  client_private_key:
    description: Its private key as PEM. It goes to every host that calls.
    type: str
  role_secrets:
    description:
      - Inside the role P(ringfence.etcd.etcd_peer_tls#role) alone. Takes the CAs' keys and passphrases, the keys of a
        given stranger and client, and the password of etcd's API from the role's variables, in place of the options
        here, and returns them for the role's later tasks. The controller does that, and no host that the module runs
        on.
    type: bool
    default: false
  role_authority:
    description: Whose CA O(role_secrets) is about. That of clients has its passphrase there, and no key.
    type: str
    choices: [peers, clients]
    default: peers
  validity_minutes:
    description: How long the certificates are valid, 1 to 60 minutes.
    type: int
    default: 10
seealso:
  - module: ringfence.etcd.etcd_peer_probe
"""

EXAMPLES = r"""
# With the CA of etcd_ca and the list that the filter etcd_members has made.
- name: Issue test certificates that have to be refused, for each member
  ringfence.etcd.etcd_peer_stranger:
    ca_certificate_path: "{{ playbook_dir }}/ca/ca.crt"
    ca_private_key_path: "{{ playbook_dir }}/ca/ca.key"
    ca_private_key_passphrase: "{{ vault_etcd_ca_passphrase }}"
    members: "{{ members }}"
  delegate_to: localhost
  run_once: true
  no_log: true
  register: strangers
"""

RETURN = r"""
members:
  description: The members in the order given.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the member.
      type: str
    stranger_certificate:
      description: A certificate of the members' own CA as PEM; absent where RV(problem) is set.
      type: str
      returned: RV(problem) is not set
    stranger_private_key:
      description: Its private key as PEM. A secret; absent where RV(problem) is set.
      type: str
      returned: RV(problem) is not set
    unknown_ca_certificate:
      description: A certificate of an unknown CA as PEM.
      type: str
      returned: with O(make)
    unknown_ca_private_key:
      description: Its private key as PEM PKCS#8. A secret.
      type: str
      returned: with O(make)
    revoked_certificate:
      description: A certificate of the members' own CA that is on its revocation list, as PEM.
      type: str
      returned: with O(make), where the CA keeps a revocation list
    revoked_private_key:
      description: Its private key as PEM PKCS#8. A secret.
      type: str
      returned: with O(make), where the CA keeps a revocation list
    api_certificate:
      description: A client certificate without a common name as PEM; absent where the CA's key is not at hand.
      type: str
      returned: with O(client_pair)
    api_private_key:
      description: Its private key as PEM PKCS#8. A secret; absent where the CA's key is not at hand.
      type: str
      returned: with O(client_pair)
clients:
  description: Who calls client ports; empty where O(client_authority) is V(nobody), or O(make) V(false).
  returned: success
  type: dict
  contains:
    client_certificate:
      description: A client's certificate as PEM; absent where RV(client_problem) is set.
      type: str
      returned: RV(client_problem) is not set
    client_private_key:
      description: Its private key as PEM. A secret; absent where RV(client_problem) is set.
      type: str
      returned: RV(client_problem) is not set
    client_unknown_ca_certificate:
      description: A client's certificate of an unknown CA as PEM.
      type: str
      returned: with O(client_authority)
    client_unknown_ca_private_key:
      description: Its private key as PEM PKCS#8. A secret.
      type: str
      returned: with O(client_authority)
client_problem:
  description: Why there is no client; V(null) where there is one, or none was asked for.
  returned: success
  type: str
secrets:
  description: The secrets among the role's variables, by their names without C(etcd_peer_tls_).
  returned: with O(role_secrets), also where the task failed
  type: dict
common_name:
  description: The strangers' common name; V(null) where there is none of the members' own CA.
  returned: success
  type: str
problem:
  description: Why there is no certificate of the members' own CA; V(null) where there is one.
  returned: success
  type: str
ca:
  description: The CA in O(ca_directory); V(null) where it is not given.
  returned: success
  type: dict
  contains:
    certificate:
      description: Its certificate as PEM, and behind it those of its parents; V(null) where there is none that can be
        used.
      type: str
    pending:
      description:
        - What M(ringfence.etcd.etcd_ca) would change of it, or the C(problem) that it would fail with. Empty where all
          is as it should be.
      type: list
      elements: dict
      contains:
        code:
          description: One of the reasons that it returns, or the kind of the problem.
          type: str
        text:
          description: The same in one line.
          type: str
    revocation_list_pem:
      description: Its revocation list as PEM; V(null) where there is none that is as it should be.
      type: str
    index_begun:
      description: When its index was begun, in UTC; V(null) without one.
      type: str
    not_revoked:
      description: Why some of what O(revoked) names can't be revoked, a line each.
      type: list
      elements: str
    to_revoke:
      description: The certificates that O(revoked) and O(removed) mean, as far as they have not expired.
      type: list
      elements: dict
      contains:
        serial_number:
          description: The serial number, lower-case hex.
          type: str
        name:
          description: The member that it was issued to; V(null) where that is not known.
          type: str
        key:
          description: SHA-256 of its public key, lower-case hex; V(null) where that is not known.
          type: str
        word:
          description: By what it was named.
          type: str
        by_name:
          description: Whether that is a name.
          type: bool
        removed:
          description: Whether it is O(removed) that means it.
          type: bool
        revoked:
          description: Whether it is revoked already.
          type: bool
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import CLIENT_AUTHORITIES, NOBODY
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.stranger import run
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import hide_misplaced_keys
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import require_cryptography

MUTUALLY_EXCLUSIVE = [
    ("ca_directory", "ca_certificate_path", "ca_certificate_content"),
    ("ca_private_key_path", "ca_private_key_content"),
    ("ca_directory", "ca_private_key_path"),
]


def argument_spec() -> dict[str, t.Any]:
    return {
        "make": {"type": "bool", "default": True},
        "client_pair": {"type": "bool", "default": False},
        "keep_index": {"type": "bool", "default": True},
        "revoked": {"type": "list", "elements": "str", "default": []},
        "removed": {"type": "list", "elements": "str", "default": []},
        "members": {"type": "list", "elements": "dict", "required": True},
        "ca_directory": {"type": "path"},
        "ca_common_name": {"type": "str", "default": "etcd peer CA"},
        "ca_key_type": {"type": "str", "choices": list(KEY_TYPES), "default": "ecdsa-p256", "no_log": False},
        "ca_certificate_path": {"type": "path"},
        "ca_certificate_content": {"type": "str"},
        "ca_private_key_path": {"type": "path", "no_log": False},
        "ca_private_key_content": {"type": "str", "no_log": True},
        "ca_private_key_passphrase": {"type": "str", "no_log": True},
        "stranger_certificate": {"type": "str"},
        "stranger_private_key": {"type": "str", "no_log": True},
        "client_authority": {"type": "str", "choices": list(CLIENT_AUTHORITIES), "default": NOBODY},
        "client_ca_directory": {"type": "path"},
        "client_ca_private_key_passphrase": {"type": "str", "no_log": True},
        "peers_are_clients": {"type": "bool", "default": False},
        "client_certificate": {"type": "str"},
        "client_private_key": {"type": "str", "no_log": True},
        "role_secrets": {"type": "bool", "default": False, "no_log": False},
        "role_authority": {"type": "str", "choices": ["peers", "clients"], "default": "peers"},
        "validity_minutes": {"type": "int", "default": 10},
    }


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        mutually_exclusive=MUTUALLY_EXCLUSIVE,
        supports_check_mode=True,
    )
    hide_misplaced_keys(module, "ca_certificate_content", "stranger_certificate", "client_certificate")
    require_cryptography(module)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    with failures_told(module):
        result = run(module.params, now, result_is_hidden=module.no_log)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
