#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_ca
short_description: Create or check the certificate authority of an etcd cluster's peer TLS
version_added: 0.1.0
description:
  - Makes the key and the self-signed certificate of a peer CA in a folder, once, and keeps owner and mode of its
    files.
  - It never replaces a CA. Where the one that is there differs from what is asked (common name, key type, expired,
    not a CA, unreadable, wrong passphrase, the key of another certificate), the module fails, says what differs and
    changes nothing.
  - The certificate is CA:TRUE with path length 0, may sign certificates and CRLs only, and has a random serial
    number.
  - Beside the CA it keeps an index of what the CA has issued (C(index.json)), and one revocation list in DER made from
    it (C(ca.crl)), which etcd can check. Neither ever gets shorter. The list has one serial number from the beginning,
    with which a proof shows that what is revoked is refused.
  - An interrupted creation is finished by the next run. Two runs at once on one folder wait for each other.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.cryptography_dep
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  ca_directory:
    description:
      - The folder of the CA, made if missing. It holds C(ca.key), C(ca.crt), C(index.json), C(ca.crl) and a lock file,
        and has mode V(0700).
      - Back it up. A lost CA key can't be made again, and a new CA has to be rolled out to every member.
    type: path
    required: true
  ca_common_name:
    description:
      - The common name of the CA, 1 to 64 characters. One beyond ASCII counts as two to four.
    type: str
    default: etcd peer CA
  ca_key_type:
    description:
      - The type of the CA's key.
    type: str
    default: ecdsa-p256
    choices: [ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519]
  ca_private_key_passphrase:
    description:
      - The passphrase that encrypts the CA's key on disk (PKCS#8), or opens the encrypted key that is there. A new key
        needs at least 8 characters.
      - The passphrase of a present key is never changed.
    type: str
  validity_days:
    description:
      - How long a new CA certificate is valid, 1 to 36500 days. A present one is not compared with it.
    type: int
    default: 3650
  backdate_minutes:
    description:
      - How far back a new CA certificate's validity begins, 0 to 1440 minutes, for nodes whose clock lags.
    type: int
    default: 60
  owner:
    description:
      - Owner of the folder and the files, a name or a number. Without it a present owner is kept.
    type: str
  group:
    description:
      - Group of the folder and the files, a name or a number. Without it a present group is kept.
    type: str
  trusted_fingerprints:
    description:
      - SHA-256 fingerprints of the CA certificates that the cluster's nodes trust already.
      - If there are any, the CA must exist and be one of those. A new CA is never made next to a living cluster.
    type: list
    elements: str
    default: []
  create:
    description:
      - Whether a missing CA is made. With V(false) a missing CA is an error.
    type: bool
    default: true
  create_refused_because:
    description:
      - Why O(create=false) was given. The error's line has it.
    type: str
    default: ''
  keep_index:
    description:
      - Whether the index and the revocation list are kept.
      - An index that is missing is begun with the certificates of this CA that lie in the folder, O(members) and what
        the revocation list has. One that can't be read is an error.
    type: bool
    default: true
  members:
    description:
      - Members with the certificates that they have now, which go into the index where this CA signed them and it does
        not know them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the member.
        type: str
        required: true
      certificate:
        description: Its certificate as PEM.
        type: str
  revoked:
    description:
      - Serial numbers, in hexadecimal digits, of certificates that are revoked from now on. There is no way back.
      - Nothing is asked about them here. One that the index does not know is revoked all the same.
    type: list
    elements: str
    default: []
seealso:
  - module: ringfence.etcd.etcd_peer_certificates
"""

EXAMPLES = r"""
- name: Make the peer CA beside the playbook, or check the one that is there
  ringfence.etcd.etcd_ca:
    ca_directory: "{{ playbook_dir }}/ca"
    ca_private_key_passphrase: "{{ vault_etcd_ca_passphrase }}"
  delegate_to: localhost
  run_once: true
  register: ca

- name: Never make a new CA while the nodes trust one
  ringfence.etcd.etcd_ca:
    ca_directory: "{{ playbook_dir }}/ca"
    ca_private_key_passphrase: "{{ vault_etcd_ca_passphrase }}"
    trusted_fingerprints: ["{{ ca.fingerprint }}"]
  delegate_to: localhost
  run_once: true

- name: Make a CA of their own for clients, so that no client can be a peer
  ringfence.etcd.etcd_ca:
    ca_directory: "{{ playbook_dir }}/client-ca"
    ca_common_name: etcd client CA
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
reasons:
  description: Why something was changed, or would be in check mode. Empty where nothing is.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: One of V(missing), V(content), V(owner), V(group), V(mode), V(revoked).
      type: str
    text:
      description: The reason in one line.
      type: str
  sample:
    - code: mode
      text: /srv/etcd-ca/ca.key has mode 0644, 0600 is wanted
certificate:
  description: The CA certificate as PEM, and behind it those of its parents where the folder has them (an intermediate
    CA's C(ca.crt) may hold them, in any order). V(null) in check mode where it would be made.
  returned: success
  type: str
revocation_list_pem:
  description: The revocation list as PEM. V(null) in check mode where it would be made, and without O(keep_index).
  returned: success
  type: str
revoked:
  description: What this call revoked, or would in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    serial_number:
      description: The serial number, lower-case hex.
      type: str
    name:
      description: The member that it was issued to; V(null) where that is not known.
      type: str
notes:
  description: What is to be known of the index, for one that it was begun anew.
  returned: success
  type: list
  elements: str
fingerprint:
  description: SHA-256 fingerprint of the certificate, lower-case hex. V(null) in check mode where it would be made.
  returned: success
  type: str
serial_number:
  description: Serial number of the certificate, lower-case hex. V(null) in check mode where it would be made.
  returned: success
  type: str
common_name:
  description: Common name of the CA.
  returned: success
  type: str
  sample: etcd peer CA
key_type:
  description: Type of the CA's key.
  returned: success
  type: str
  sample: ecdsa-p256
not_before:
  description: Begin of the validity, in UTC.
  returned: success
  type: str
  sample: '2026-11-23T22:54:00Z'
not_after:
  description: End of the validity, in UTC.
  returned: success
  type: str
  sample: '2036-11-20T23:54:00Z'
days_left:
  description: Whole days until the end of the validity.
  returned: success
  type: int
  sample: 3649
certificate_path:
  description: Where the certificate is.
  returned: success
  type: str
  sample: /srv/etcd-ca/ca.crt
private_key_path:
  description: Where the private key is. Its content is never returned.
  returned: success
  type: str
  sample: /srv/etcd-ca/ca.key
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
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    failures_told,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_serial_number
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_records import WantedRecords
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import gid_of, uid_of
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import KEY_TYPES
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import require_cryptography


def argument_spec() -> dict[str, t.Any]:
    return {
        "ca_directory": {"type": "path", "required": True},
        "ca_common_name": {"type": "str", "default": "etcd peer CA"},
        "ca_key_type": {"type": "str", "default": "ecdsa-p256", "choices": list(KEY_TYPES), "no_log": False},
        "ca_private_key_passphrase": {"type": "str", "no_log": True},
        "validity_days": {"type": "int", "default": 3650},
        "backdate_minutes": {"type": "int", "default": 60},
        "owner": {"type": "str"},
        "group": {"type": "str"},
        "trusted_fingerprints": {"type": "list", "elements": "str", "default": []},
        "create": {"type": "bool", "default": True},
        "create_refused_because": {"type": "str", "default": ""},
        "keep_index": {"type": "bool", "default": True},
        "members": {"type": "list", "elements": "dict", "default": []},
        "revoked": {"type": "list", "elements": "str", "default": []},
    }


def wanted_ca(params: dict[str, t.Any]) -> ca.WantedCa:
    return ca.WantedCa(
        directory=params["ca_directory"],
        common_name=params["ca_common_name"],
        key_type=params["ca_key_type"],
        validity_days=params["validity_days"],
        backdate_minutes=params["backdate_minutes"],
        passphrase=params["ca_private_key_passphrase"],
        uid=None if params["owner"] is None else uid_of(params["owner"]),
        gid=None if params["group"] is None else gid_of(params["group"]),
        trusted_fingerprints=tuple(params["trusted_fingerprints"]),
        create=params["create"],
        create_refused_because=params["create_refused_because"],
        records=wanted_records(params),
    )


def wanted_records(params: dict[str, t.Any]) -> WantedRecords | None:
    if not params["keep_index"]:
        if params["revoked"]:
            raise InputError("revoked is given with keep_index=false: without an index nothing can be revoked")
        return None
    given = [(one.get("name"), one.get("certificate")) for one in params["members"] if one.get("certificate")]
    if not all(isinstance(text, str) for one in given for text in one):
        raise InputError("members: an entry's name or certificate is no text: give members as etcd_peer_certificates")
    known = tuple((str(name), str(certificate)) for name, certificate in given)
    return WantedRecords(known, tuple(checked_serial_number(one, "revoked:") for one in params["revoked"]))


def run(params: dict[str, t.Any], now: datetime.datetime, check_mode: bool) -> dict[str, t.Any]:
    """The whole call: plan, and apply it."""
    plan = ca.plan_ca(wanted_ca(params), now)
    return ca.result_of(plan if check_mode else ca.apply_ca(plan, now), now)


def main() -> t.NoReturn:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    require_cryptography(module)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    with failures_told(module):
        result = run(module.params, now, module.check_mode)
    for note in result["notes"]:
        module.warn(note)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
