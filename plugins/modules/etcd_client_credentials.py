#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_client_credentials
short_description: Put CA certificate, certificate and private key of a client of etcd on its host
version_added: 0.1.0
description:
  - Writes C(ca.crt), C(<name>.crt) and C(<name>.key) together, after checking all three as they are going to be.
  - The private key must belong to the certificate and not be encrypted. The certificate must be of a CA in the trust
    bundle, valid now, and good for C(clientAuth), which a TLS handshake shows. The owner must be able to read all three
    files along the whole path.
  - Where a check fails, nothing is changed.
  - Content that is not given stays as it is on the host, takes part in the checks, and its owner and mode are repaired.
  - What is given is written anew from what was read in it, so nothing that was pasted beside it gets to the host. A
    file that holds the same already is left as it is, however it is written.
  - A private key that is replaced is kept beside the new one as C(<name>.key.replaced), until a later one takes its
    place. A warning says so.
  - Needs nothing but Python on the host, which need not be a member's.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
attributes:
  check_mode:
    support: full
    details:
      - A user or group that does not exist yet is a note in check mode, since the play may make it in the real run.
  diff_mode:
    support: full
    details:
      - Shows fingerprints, owners and modes, never a part of the private key.
  idempotent:
    support: full
options:
  directory:
    description:
      - Folder of the three files. It is made if missing, with the folders above it. Several clients of one cluster may
        share it.
      - It belongs to root, or to the user that the module runs as where that is not root, as do the trust bundle and
        the certificate. Everybody may read these.
    type: path
    required: true
  name:
    description: The client's name, which is the name of its files.
    type: str
    required: true
  owner:
    description:
      - User that the client runs as, by name or number. It owns the private key.
      - Without root it can only be the user that the module runs as.
    type: str
    default: root
  group:
    description: Group of the private key, by name or number.
    type: str
    default: root
  private_key_mode:
    description: Mode of the private key, one of V(0600), V(0640), V(0400) and V(0440).
    type: str
    default: '0600'
  ca_certificate_content:
    description:
      - The trust bundle, one or more CA certificates in PEM. The client knows the members by it.
      - Without it the file that is there is kept.
    type: str
  certificate_content:
    description:
      - The client's certificate in PEM, intermediate certificates after it.
      - Without it the file that is there is kept.
    type: str
  private_key_content:
    description:
      - The client's private key in PEM, not encrypted.
      - Without it the file that is there is kept.
    type: str
  pending_content:
    description:
      - Files whose content will come in the real run and does not exist in check mode, such as a certificate that
        M(ringfence.etcd.etcd_peer_certificates) would issue. They count as changed.
      - Only for check mode.
    type: list
    elements: str
    choices: [ca, certificate, private_key]
    default: []
  gather_only:
    description: Whether to only tell what is there (RV(present)), and to change nothing.
    type: bool
    default: false
seealso:
  - module: ringfence.etcd.etcd_peer_certificates
  - module: ringfence.etcd.etcd_peer_credentials
"""

EXAMPLES = r"""
# With what etcd_ca and etcd_peer_certificates have made beside the playbook.
- name: Put a client's files in place
  ringfence.etcd.etcd_client_credentials:
    directory: /etc/etcd/clients
    name: backup
    ca_certificate_content: "{{ lookup('ansible.builtin.file', playbook_dir ~ '/client-ca/ca.crt') }}"
    certificate_content: "{{ lookup('ansible.builtin.file', playbook_dir ~ '/clients/backup.crt') }}"
    private_key_content: "{{ lookup('ansible.builtin.file', playbook_dir ~ '/clients/backup.key') }}"
  when: inventory_hostname == 'etcd-1'

- name: Tell which certificate a client has
  ringfence.etcd.etcd_client_credentials:
    directory: /etc/etcd/clients
    name: backup
    gather_only: true
"""

RETURN = r"""
present:
  description: What was there before this call.
  returned: success
  type: dict
  contains:
    certificate:
      description: The certificate as PEM. V(null) where there is none, or where the file holds no certificate.
      type: str
    private_key_matches:
      description: Whether the private key belongs to the certificate. V(null) where there is no private key.
      type: bool
    bundle_pem:
      description: The trust bundle as PEM. V(null) where there is none, or where the file holds no certificate.
      type: str
    authorities:
      description: SHA-256 fingerprints of the CA certificates in the trust bundle.
      type: list
      elements: str
    owner_exists:
      description: Whether O(owner) is a user of this host.
      type: bool
reasons:
  description: Why a file or the folder changes; empty where nothing changes.
  returned: success
  type: dict
  sample: {certificate: [content], private_key: [mode]}
  contains:
    directory:
      description: Any of V(missing), V(owner), V(group), V(mode).
      type: list
      elements: str
      returned: when the folder changes
    ca:
      description: >-
        Any of V(missing), V(content), V(owner), V(group), V(mode), V(leftover). The last one says that a run that was
        killed left a staged file, which is taken away.
      type: list
      elements: str
      returned: when the trust bundle changes
    certificate:
      description: As for RV(reasons.ca).
      type: list
      elements: str
      returned: when the certificate changes
    private_key:
      description: As for RV(reasons.ca).
      type: list
      elements: str
      returned: when the private key changes
backups:
  description: Where a replaced private key is kept, by its path.
  returned: success
  type: dict
  sample: {/etc/etcd/clients/backup.key: /etc/etcd/clients/backup.key.replaced}
paths:
  description: Where the files are.
  returned: success
  type: dict
  contains:
    directory:
      description: The folder.
      type: str
      returned: success
      sample: /etc/etcd/clients
    ca:
      description: The trust bundle.
      type: str
      returned: success
      sample: /etc/etcd/clients/ca.crt
    certificate:
      description: The certificate.
      type: str
      returned: success
      sample: /etc/etcd/clients/backup.crt
    private_key:
      description: The private key.
      type: str
      returned: success
      sample: /etc/etcd/clients/backup.key
notes:
  description: What check mode could not check.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_key_mode
from ansible_collections.ringfence.etcd.plugins.module_utils._member.client_credentials import present_credentials
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_contents import WantedCredentials
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    CA,
    CERTIFICATE,
    PRIVATE_KEY,
    credential_paths,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credentials import (
    apply_credentials,
    backup_note,
    plan_credentials,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.access import identity_of

ARGUMENT_SPEC: dict[str, t.Any] = {
    "directory": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "private_key_mode": {"type": "str", "default": "0600", "no_log": False},
    "ca_certificate_content": {"type": "str"},
    "certificate_content": {"type": "str"},
    "private_key_content": {"type": "str", "no_log": True},
    "pending_content": {
        "type": "list",
        "elements": "str",
        "choices": [CA, CERTIFICATE, PRIVATE_KEY],
        "default": [],
    },
    "gather_only": {"type": "bool", "default": False},
}


def run(params: t.Mapping[str, t.Any], module: AnsibleModule) -> dict[str, t.Any]:
    """The module's answer."""
    wanted = WantedCredentials(
        directory=params["directory"],
        name=params["name"],
        owner=params["owner"],
        group=params["group"],
        directory_mode=0o755,
        ca_certificate_content=params["ca_certificate_content"],
        certificate_content=params["certificate_content"],
        private_key_content=params["private_key_content"],
        pending_content=frozenset(params["pending_content"]),
        check_mode=module.check_mode,
        is_client=True,
        private_key_mode=checked_key_mode(params["private_key_mode"], "private_key_mode"),
    )
    present = {
        **present_credentials(wanted.directory, wanted.name),
        "owner_exists": identity_of(wanted.owner) is not None,
    }
    if params["gather_only"]:
        paths = {"directory": wanted.directory, **credential_paths(wanted.directory, wanted.name)}
        return {"changed": False, "present": present, "reasons": {}, "backups": {}, "paths": paths, "notes": []}
    plan = plan_credentials(wanted)
    backups = plan.backups if module.check_mode else apply_credentials(plan)
    line = backup_note(plan)
    if line is not None:
        module.warn(line)
    return {
        "changed": plan.changed,
        "present": present,
        "reasons": plan.reasons,
        "backups": backups,
        "paths": plan.paths,
        "notes": list(plan.notes),
        **({"diff": {"before": plan.before, "after": plan.after}} if module._diff else {}),
    }


def main() -> t.NoReturn:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = dict(module.params)
    # What is public may have a key pasted behind it, and up to ansible-core 2.18 an answer repeats its arguments.
    module.params.update(ca_certificate_content=None, certificate_content=None)
    with failures_told(module):
        result = run(params, module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
