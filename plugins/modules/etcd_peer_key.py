#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_peer_key
short_description: Make a member's private key on its own host, and the request for its certificate
version_added: 0.1.0
description:
  - Makes a private key that leaves its host in no form, and gives the request (PKCS#10) that goes to the CA in its
    place. M(ringfence.etcd.etcd_peer_certificates) with
    O(ringfence.etcd.etcd_peer_certificates#module:key_custody=node) issues for it.
  - The key waits as C(<name>.key.requested) beside the member's files, where only the user that the module runs as can
    read it. The key in use stays until M(ringfence.etcd.etcd_peer_credentials) with
    O(ringfence.etcd.etcd_peer_credentials#module:requested_key=true) has checked the new pair and puts both files in
    place.
  - A key that waits already is used, whenever its certificate comes, so that a request may be carried by hand. It is
    replaced where it has another type, can't be read, is the one in use, or is open to others.
  - The key is made by C(openssl), or where the host has none by Python's C(cryptography). It comes through a pipe and
    is written once, into its own file.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
requirements:
  - openssl, or Python's cryptography >= 36 (on the host)
attributes:
  check_mode:
    support: full
    details:
      - Makes no key. RV(request_pem) is V(null) where one would be made.
  diff_mode:
    support: full
    details:
      - Shows owner and mode of the file, never a part of the key.
  idempotent:
    support: full
    details:
      - With O(fresh) every run makes a key.
options:
  directory:
    description:
      - Folder of the member's files. It is made if missing, with the folders above it.
    type: path
    default: /etc/etcd/pki
  name:
    description: The member's name, which is the name of its files.
    type: str
    required: true
  key_type:
    description: The type of the key.
    type: str
    default: ecdsa-p256
    choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]
  fresh:
    description:
      - Whether a key that waits is replaced in any case, as where it may have been seen.
    type: bool
    default: false
  common_name:
    description:
      - The common name of the certificate. With it the request asks for a whole member's certificate, with names, key
        usages and CA:FALSE as critical, for a CA that issues what a request says.
      - Without it the request has the member's name and no extension. M(ringfence.etcd.etcd_peer_certificates) with a
        CA of its own looks at neither.
    type: str
  dns_names:
    description: The DNS names among the subject alternative names. Only with O(common_name).
    type: list
    elements: str
    default: []
  ip_addresses:
    description:
      - The IP addresses among the subject alternative names, IPv6 without brackets. Only with O(common_name).
    type: list
    elements: str
    default: []
seealso:
  - module: ringfence.etcd.etcd_peer_certificates
  - module: ringfence.etcd.etcd_peer_credentials
"""

EXAMPLES = r"""
# With the CA of etcd_ca and the list that the filter etcd_members has made.
- name: See whether the member has a pair
  ringfence.etcd.etcd_peer_info:
    name: "{{ inventory_hostname }}"
  register: own_pair

- name: Make its private key on its own host
  ringfence.etcd.etcd_peer_key:
    name: "{{ inventory_hostname }}"
  when: own_pair.credentials.private_key.state == 'absent'
  register: own_key

- name: Issue for the hosts' requests, with no private key but the CA's
  ringfence.etcd.etcd_peer_certificates:
    ca_certificate_path: "{{ playbook_dir }}/ca/ca.crt"
    ca_private_key_path: "{{ playbook_dir }}/ca/ca.key"
    ca_private_key_passphrase: "{{ vault_etcd_ca_passphrase }}"
    members: "{{ members }}"
    key_custody: node
    requests: "{{ dict(names | zip(names | map('extract', hostvars, ['own_key', 'request_pem']))) }}"
  vars:
    names: "{{ members | map(attribute='name') | list }}"
  delegate_to: localhost
  run_once: true
  when: own_key is not skipped
  register: own_issued

- name: Put the certificate in place, with the private key that waits for it
  ringfence.etcd.etcd_peer_credentials:
    name: "{{ inventory_hostname }}"
    ca_certificate_content: "{{ lookup('ansible.builtin.file', playbook_dir ~ '/ca/ca.crt') }}"
    certificate_content: "{{ (own_issued.members | selectattr('name', 'eq', inventory_hostname) | first).certificate }}"
    requested_key: true
  when: own_key is not skipped
"""

RETURN = r"""
request_pem:
  description: >-
    The request for the key as PEM. Nothing in it is secret. V(null) in check mode where the key would be made.
  returned: success
  type: str
reasons:
  description: >-
    Why a key is made, one of V(missing), V(fresh), V(open), V(unusable), V(in_use), and V(leftover) where a run that
    was killed left a staged file, which is taken away. Empty where nothing changes.
  returned: success
  type: list
  elements: str
  sample: [missing]
private_key_path:
  description: Where the key waits.
  returned: success
  type: str
  sample: /etc/etcd/pki/etcd-1.key.requested
made_by:
  description: What makes keys on this host, V(openssl) or V(cryptography).
  returned: success
  type: str
  sample: openssl
"""

import platform
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    CryptoError,
    InputError,
    failures_told,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.requested_key import (
    KeyMaker,
    WantedKey,
    apply_key,
    plan_key,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import key_programs, openssl
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import (
    KEY_TYPES,
    PeerProfile,
    peer_profile,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys, signing_request
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import why_no_cryptography

ARGUMENT_SPEC: dict[str, t.Any] = {
    "directory": {"type": "path", "default": "/etc/etcd/pki"},
    "name": {"type": "str", "required": True},
    "key_type": {"type": "str", "default": "ecdsa-p256", "choices": list(KEY_TYPES), "no_log": False},
    "fresh": {"type": "bool", "default": False},
    "common_name": {"type": "str"},
    "dns_names": {"type": "list", "elements": "str", "default": []},
    "ip_addresses": {"type": "list", "elements": "str", "default": []},
}


class ByOpenssl(t.NamedTuple):
    """Keys by the host's own program."""

    program: str

    def private_key(self, key_type: str) -> bytes:
        return openssl.make_private_key(self.program, key_type)

    def request(self, private_key: bytes, common_name: str, asked: PeerProfile | None) -> bytes:
        return openssl.make_request(self.program, private_key, common_name, asked)


class ByCryptography:
    """Keys by the library."""

    def private_key(self, key_type: str) -> bytes:
        return keys.private_key_pem(keys.make_key(key_type))

    def request(self, private_key: bytes, common_name: str, asked: PeerProfile | None) -> bytes:
        return signing_request.make_request(private_key, common_name, "the private key", asked)


def key_maker() -> tuple[str, KeyMaker]:
    """What makes keys here, and what it is called; CryptoError where nothing does."""
    program = key_programs.openssl_path()
    if program is not None:
        return "openssl", ByOpenssl(program)
    if why_no_cryptography("this host") is None:
        return "cryptography", ByCryptography()
    raise CryptoError(
        f"nothing makes a private key on {platform.node() or 'this host'}: it has no openssl, and its Python no "
        "cryptography that is new enough: install the package openssl there, or have the CA's host make the keys"
    )


def asked_from(params: t.Mapping[str, t.Any]) -> PeerProfile | None:
    """The certificate that the request asks for; None where it has a name for people alone."""
    if params["common_name"] is None:
        if params["dns_names"] or params["ip_addresses"]:
            raise InputError("dns_names and ip_addresses are for a request with a common_name: give that too")
        return None
    return peer_profile(
        params["name"], params["common_name"], params["dns_names"], params["ip_addresses"], params["key_type"]
    )


def main() -> t.NoReturn:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    with failures_told(module):
        made_by, maker = key_maker()
        key_type = params["key_type"]
        wanted = WantedKey(params["directory"], params["name"], key_type, params["fresh"], asked_from(params))
        plan = plan_key(wanted, maker)
        request = plan.request if module.check_mode else apply_key(plan, maker)
    result: dict[str, t.Any] = {
        "changed": plan.changed,
        "request_pem": request,
        "reasons": list(plan.reasons),
        "private_key_path": plan.path,
        "made_by": made_by,
    }
    if module._diff:
        result["diff"] = {"before": plan.before, "after": plan.after}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
