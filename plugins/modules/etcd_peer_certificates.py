#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_peer_certificates
short_description: Issue the certificates of a whole etcd cluster and of its clients
version_added: 0.1.0
description:
  - Decides for each member of a cluster whether its peer certificate is good, and issues a new one only where there
    is a reason. The reasons are returned.
  - A renewal keeps the member's key, so that one file changes. A new key is made on request, or where the present one
    is missing, does not fit or is of another type.
  - A certificate never outlives its CA. Its subject has only a common name. A member's has subject alternative names,
    and the extended key usages C(serverAuth) and C(clientAuth), both of which etcd's peer TLS needs. A client's
    (O(members[].purpose=client)) has C(clientAuth) alone, and needs no names.
  - The CA's private key is needed only when something is issued, and never in check mode.
  - Runs where the CA is. Without O(directory) it writes nothing to disk, and the current certificates are given in
    O(members).
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.cryptography_dep
attributes:
  check_mode:
    support: full
    details:
      - Issues nothing. A certificate that would be issued is V(null).
  diff_mode:
    support: full
    details:
      - Shows public facts of the certificates, never a key.
  idempotent:
    support: full
    details:
      - Given the present certificates. With O(new_keys) or O(members[].new_key) every run issues.
options:
  members:
    description:
      - The members of the cluster, or those of its clients.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the member, and of its files in O(directory).
          - A client's may end with V(@) and the host that it is on, so that a client has a certificate on each host.
        type: str
        required: true
      purpose:
        description:
          - With V(peer) the certificate is a member's. Beside peers it serves clients at the client port, and does so
            without being a peer where it is of another CA than theirs.
          - With V(client) it is a client's. It is good for no server, so that no client takes a member's place.
        type: str
        choices: [peer, client]
        default: peer
      common_name:
        description:
          - The common name of the certificate, 1 to 64 characters without a comma. One beyond ASCII counts as two to
            four.
          - A client's is the user that etcd's RBAC takes it for. It may be empty, for a client of etcd's gateway, which
            under RBAC refuses whoever has one. Then the subject is empty.
        type: str
        required: true
      dns_names:
        description:
          - The DNS names among the subject alternative names.
        type: list
        elements: str
        default: []
      ip_addresses:
        description:
          - The IP addresses among the subject alternative names, IPv6 without brackets.
          - A member needs at least one DNS name or IP address. The list must cover the address that the other members
            dial.
          - A client needs none. At the client port etcd does not look at them.
        type: list
        elements: str
        default: []
      certificate:
        description:
          - The certificate that the member has now, as PEM. Not with O(directory).
        type: str
      private_key_matches:
        description:
          - Whether the private key that the member has belongs to its certificate. Not with O(directory).
          - Not given, the member has no private key, and a certificate with a new key is issued.
        type: bool
      new_key:
        description:
          - Whether the member gets a new key and certificate even if the present ones are good.
        type: bool
        default: false
      host: &unused
        description:
          - Not used. Taken so that members made by P(ringfence.etcd.etcd_members#filter) can be given as they are.
        type: str
      address: *unused
      listen_address: *unused
      peer_url: *unused
      client_url: *unused
  ca_directory:
    description:
      - The folder of a CA that M(ringfence.etcd.etcd_ca) made. What is issued is written into its index before anybody
        has it, so that it can be revoked also when its host is gone.
      - Without it no index is kept.
    type: path
  ca_certificate_path:
    description:
      - The file with the CA's certificate, and those of its parents if it has any, in any order.
      - Mutually exclusive with O(ca_certificate_content).
    type: path
  ca_certificate_content:
    description:
      - The CA's certificate as PEM, and those of its parents if it has any, in any order.
    type: str
  ca_private_key_path:
    description:
      - The file with the CA's private key. Mutually exclusive with O(ca_private_key_content).
      - Read only when something is issued.
    type: path
  ca_private_key_content:
    description:
      - The CA's private key as PEM, from a vault for example. It touches no disk.
    type: str
  ca_private_key_passphrase:
    description:
      - The passphrase of the CA's private key.
    type: str
  decide_only:
    description:
      - Whether to only decide which certificates are to be issued, and why, and to issue none. This needs neither the
        CA's key nor C(no_log), so that the task can show the reasons. RV(members[].issued) and RV(members[].new_key)
        say what a call without it would do.
      - In check mode C(changed) is what that call would say, which can't be made without the CA's key. In a run it is
        V(false).
    type: bool
    default: false
  ca_pending:
    description:
      - Only for check mode. The CA is made in the same run, so that there is none yet and every certificate would be
        issued.
    type: bool
    default: false
  directory:
    description:
      - Keep C(<name>.crt) (mode V(0644)) and C(<name>.key) (mode V(0600)) of each member in this folder, and take
        what is there as the present certificates. A key that is replaced is kept beside the new one as
        C(<name>.key.replaced), until a later one takes its place.
      - A missing folder is made with mode V(0700). A present one keeps its mode.
      - Without it, new private keys are returned, and the task must have C(no_log=true). With Ansible's
        C(no_target_syslog) setting the module can't see that a task lacks it, and does not refuse.
    type: path
  owner:
    description:
      - Owner of what is in O(directory), a name or a number. Without it a present owner is kept.
    type: str
  group:
    description:
      - Group of what is in O(directory), a name or a number. Without it a present group is kept.
    type: str
  key_type:
    description:
      - The type of the members' keys. A member whose key has another type gets a new key.
    type: str
    default: ecdsa-p256
    choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]
  validity_days:
    description:
      - How long a new certificate is valid, 1 to 36500 days, but never past the CA's own end.
    type: int
    default: 365
  renew_before_days:
    description:
      - A certificate is renewed when it expires within so many days. Must be less than O(validity_days).
      - A certificate that lasts as long as its CA is not renewed, since a new one could not last longer. There is a
        warning.
    type: int
    default: 30
  backdate_minutes:
    description:
      - How far back a new certificate's validity begins, 0 to 1440 minutes, for nodes whose clock lags. Never before
        the CA's.
    type: int
    default: 60
  new_keys:
    description:
      - Whether all members get new keys and certificates.
    type: bool
    default: false
  key_custody:
    description:
      - Who makes the members' new private keys.
      - With V(ca) it is this module. With V(node) each key is made on its own host by M(ringfence.etcd.etcd_peer_key)
        and never leaves it, and O(requests) come in its place. No private key is returned then, so that the task needs
        no C(no_log) for them.
      - A renewal keeps the key, wherever it was made, and needs no request.
    type: str
    default: ca
    choices: [ca, node]
  requests:
    description:
      - The requests (PKCS#10 in PEM) of the members that need a new key, by their names. Only with
        O(key_custody=node). One that is V(null) is not there yet.
      - A request has to be signed with the key that it is for, which is of O(key_type), and of nobody else; another
        one is refused, and then nothing is issued. All else in it is not looked at. What is issued is what O(members)
        says.
      - With O(requests_directory) or O(signer_command) it also has to ask for just that certificate, as one of
        M(ringfence.etcd.etcd_peer_key) does that was made with O(ringfence.etcd.etcd_peer_key#module:common_name).
    type: dict
  requests_directory:
    description:
      - A folder for another CA, whose key is not here. Each request that is due is written there as C(<name>.csr), for
        a person to carry. The certificates that come back are read there as C(<name>.crt).
      - A certificate is for a new key each time, in a renewal too.
      - A certificate is taken where it is for the key of the request that waits, has the names, usages and identifiers
        that O(members) say and no other, is signed by the CA in O(ca_certificate_content), is valid for more than
        O(renew_before_days) and at most O(validity_days), and has a serial number of its own, which is not on
        the CA's list in C(ca.crl) if that lies there too. Certificates of CAs beside it are left out.
      - All that are due are taken, or none. Until then RV(unsigned_text) says what is to be done.
      - A missing folder is made with mode V(0700). No file in it is ever removed.
    type: path
  signer_command:
    description:
      - A program and its arguments that has another CA sign, in place of a person. It is started for each certificate
        that is due, without a shell, as the user that this module runs as, and in that user's environment.
      - The request (PKCS#10 in PEM) is on its standard input. It has the subject and the extensions that are wanted.
        They are also in C(RINGFENCE_NAME) (the member's), C(RINGFENCE_COMMON_NAME), C(RINGFENCE_DNS_NAMES),
        C(RINGFENCE_IP_ADDRESSES), C(RINGFENCE_KEY_USAGE), C(RINGFENCE_EXTENDED_KEY_USAGE), with commas between, and
        C(RINGFENCE_VALIDITY_DAYS).
      - It prints the certificate in PEM on its standard output, with those of CAs beside it or not, and ends with 0.
        What it prints is taken as with O(requests_directory). Where one certificate is not taken, nothing is issued.
      - Of an error its standard error is shown, 300 characters without its arguments and secrets of the environment.
        Arguments are no place for secrets, since the list of processes shows them.
      - Not called in check mode.
    type: list
    elements: str
    default: []
  signer_timeout_seconds:
    description: How long O(signer_command) may take for one certificate, 1 to 86400 seconds. Then it is killed.
    type: int
    default: 60
seealso:
  - module: ringfence.etcd.etcd_peer_key
  - module: ringfence.etcd.etcd_ca
"""

EXAMPLES = r"""
# With the CA of etcd_ca and the list that the filter etcd_members has made.
- name: Say which certificates are to be issued, and why
  ringfence.etcd.etcd_peer_certificates:
    ca_certificate_path: "{{ playbook_dir }}/ca/ca.crt"
    directory: "{{ playbook_dir }}/peers"
    members: "{{ members }}"
    decide_only: true
  delegate_to: localhost
  run_once: true

- name: Keep certificates and keys in a folder, to carry them by hand
  ringfence.etcd.etcd_peer_certificates:
    ca_certificate_path: "{{ playbook_dir }}/ca/ca.crt"
    ca_private_key_path: "{{ playbook_dir }}/ca/ca.key"
    ca_private_key_passphrase: "{{ vault_etcd_ca_passphrase }}"
    directory: "{{ playbook_dir }}/peers"
    members: "{{ members }}"
  delegate_to: localhost
  run_once: true
  register: issued

- name: Issue what is due with the CA's key as content, from a vault for example
  ringfence.etcd.etcd_peer_certificates:
    ca_certificate_content: "{{ ca.certificate }}"
    ca_private_key_content: "{{ lookup('ansible.builtin.file', playbook_dir ~ '/ca/ca.key') }}"
    ca_private_key_passphrase: "{{ vault_etcd_ca_passphrase }}"
    members:
      - name: etcd-1
        common_name: etcd-1
        dns_names: [etcd-1, localhost]
        ip_addresses: [127.0.0.1, '::1']
        certificate: "{{ issued.members[0].certificate }}"
        private_key_matches: true
  delegate_to: localhost
  run_once: true
  no_log: true
  register: renewed

- name: Issue a client's certificate, and keep it in a folder
  ringfence.etcd.etcd_peer_certificates:
    ca_certificate_path: "{{ playbook_dir }}/client-ca/ca.crt"
    ca_private_key_path: "{{ playbook_dir }}/client-ca/ca.key"
    directory: "{{ playbook_dir }}/clients"
    members:
      - name: backup
        purpose: client
        common_name: backup
  delegate_to: localhost
  run_once: true
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
    issued:
      description: Whether a certificate was issued, or would be in check mode.
      type: bool
    reasons:
      description: Why. Empty where the present certificate is good.
      type: list
      elements: dict
      contains:
        code:
          description: >-
            One of V(missing), V(unreadable), V(other_ca), V(common_name), V(subject_alternative_names), V(key_usage),
            V(extended_key_usage), V(profile), V(key_type), V(expired), V(expires_soon), V(not_yet_valid),
            V(private_key_missing), V(private_key_mismatch), V(new_key_requested).
          type: str
        text:
          description: The reason in one line.
          type: str
    certificate:
      description: >-
        The member's certificate as PEM, the new one or the present one. V(null) in check mode where it would be issued.
      type: str
    private_key:
      description:
        - The member's new private key as PEM PKCS#8. Only where a new key was made and there is no O(directory).
        - A secret. Keep C(no_log=true) on every task that handles it.
      type: str
      returned: a new key was made and O(directory) is not given
    new_key:
      description: Whether a new key was made, or would be in check mode.
      type: bool
    fingerprint:
      description: SHA-256 fingerprint of the certificate, lower-case hex. V(null) in check mode where it would be
        issued.
      type: str
    serial_number:
      description: Serial number of the certificate, lower-case hex. V(null) in check mode where it would be issued.
      type: str
    not_before:
      description: Begin of the validity, in UTC.
      type: str
    not_after:
      description: End of the validity, in UTC.
      type: str
    days_left:
      description: Whole days until the end of the validity.
      type: int
    common_name:
      description: The common name; empty where there is none.
      type: str
    dns_names:
      description: The DNS names among the subject alternative names.
      type: list
      elements: str
    ip_addresses:
      description: The IP addresses among the subject alternative names, in canonical form.
      type: list
      elements: str
unsigned:
  description: The requests that have no certificate yet. While there is one, nothing is issued.
  returned: O(requests_directory) is given, and not O(decide_only)
  type: list
  elements: dict
  contains:
    name:
      description: The name of the member.
      type: str
    request_path:
      description: The file with its request.
      type: str
    certificate_path:
      description: The file in which its certificate is awaited.
      type: str
    why:
      description: Why there is no certificate, in one line.
      type: str
unsigned_text:
  description: One line for who carries the requests. V(null) where every certificate is there.
  returned: O(requests_directory) is given, and not O(decide_only)
  type: str
problem:
  description: What kind of error it is, one of V(input), V(refused), V(crypto), V(file).
  returned: failure
  type: str
details:
  description: Facts about the error for machines, never a secret.
  returned: failure
  type: dict
"""

import datetime
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.request import KEY_CUSTODIES, PURPOSES, run
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import hide_misplaced_keys
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import require_cryptography


def argument_spec() -> dict[str, t.Any]:
    member = {
        "name": {"type": "str", "required": True},
        "purpose": {"type": "str", "choices": list(PURPOSES), "default": "peer"},
        "common_name": {"type": "str", "required": True},
        "dns_names": {"type": "list", "elements": "str", "default": []},
        "ip_addresses": {"type": "list", "elements": "str", "default": []},
        "certificate": {"type": "str"},
        "private_key_matches": {"type": "bool", "no_log": False},
        "new_key": {"type": "bool", "default": False, "no_log": False},
        # What etcd_members gives beside it.
        **{key: {"type": "str"} for key in ("host", "address", "listen_address", "peer_url", "client_url")},
    }
    return {
        "members": {"type": "list", "elements": "dict", "required": True, "options": member},
        "ca_directory": {"type": "path"},
        "ca_certificate_path": {"type": "path"},
        "ca_certificate_content": {"type": "str"},
        "ca_private_key_path": {"type": "path", "no_log": False},
        "ca_private_key_content": {"type": "str", "no_log": True},
        "ca_private_key_passphrase": {"type": "str", "no_log": True},
        "decide_only": {"type": "bool", "default": False},
        "ca_pending": {"type": "bool", "default": False},
        "directory": {"type": "path"},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "key_type": {"type": "str", "default": "ecdsa-p256", "choices": list(KEY_TYPES), "no_log": False},
        "validity_days": {"type": "int", "default": 365},
        "renew_before_days": {"type": "int", "default": 30},
        "backdate_minutes": {"type": "int", "default": 60},
        "new_keys": {"type": "bool", "default": False, "no_log": False},
        "key_custody": {"type": "str", "default": "ca", "choices": list(KEY_CUSTODIES), "no_log": False},
        "requests": {"type": "dict"},
        "requests_directory": {"type": "path"},
        "signer_command": {"type": "list", "elements": "str", "default": []},
        "signer_timeout_seconds": {"type": "int", "default": 60},
    }


MUTUALLY_EXCLUSIVE = [
    ("ca_certificate_path", "ca_certificate_content"),
    ("ca_private_key_path", "ca_private_key_content"),
]


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=argument_spec(),
        mutually_exclusive=MUTUALLY_EXCLUSIVE,
        supports_check_mode=True,
    )
    hide_misplaced_keys(module, "ca_certificate_content")
    require_cryptography(module)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    with failures_told(module):
        result, warnings = run(
            module.params,
            now,
            check_mode=module.check_mode,
            result_is_hidden=module.no_log,
            with_diff=module._diff,
        )
    for warning in warnings:
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
