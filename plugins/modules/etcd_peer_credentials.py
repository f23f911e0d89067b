#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_peer_credentials
short_description: Put trust bundle, certificate and private key of an etcd member on its host
version_added: 0.1.0
description:
  - Writes C(ca.crt), C(<name>.crt) and C(<name>.key) together, after checking all three as they are going to be.
  - The private key must belong to the certificate and not be encrypted. A mutual TLS handshake with the trust bundle
    must succeed, so the certificate chains to it, is valid now and has both extended key usages. The user that etcd
    runs as must be able to read all three files along the whole path.
  - Where a check fails, nothing is changed.
  - Content that is not given stays as it is on the host, takes part in the checks, and its owner and mode are repaired.
  - What is given is written anew from what was read in it, so nothing that was pasted beside it gets to the host. A
    file that holds the same already is left as it is, however it is written.
  - Trust bundle and certificate must hold nothing but certificates, each one that etcd can read.
  - Beside them it puts the CA's revocation list (C(ca.crl)), in the form that every etcd reads, where one is given. It
    is replaced by renaming, which etcd sees at the next connection without a restart, and never by one that revokes
    less.
  - A private key that is replaced is kept beside the new one as C(<name>.key.replaced), until a later one takes its
    place. A warning says so.
  - Needs nothing but Python on the host.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.api_access
  - ringfence.etcd.api_access.user
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
      - Folder of the three files. It is made if missing, with the folders above it.
      - It belongs to root and to O(group), or to the user that the module runs as where that is not root, as do the
        trust bundle and the certificate.
    type: path
    default: /etc/etcd/pki
  name:
    description: The member's name, which is the name of its files.
    type: str
    required: true
  owner:
    description:
      - User that etcd runs as, by name or number. It owns the private key, whose mode is V(0600).
      - Without root it can only be the user that the module runs as.
    type: str
    default: etcd
  group:
    description: Group of the private key and of the folder, by name or number.
    type: str
    default: etcd
  directory_mode:
    description: Mode of the folder, in octal digits. Only root may write there.
    type: str
    default: '0755'
  ca_certificate_content:
    description:
      - The trust bundle, one or more CA certificates in PEM.
      - Without it the file that is there is kept.
    type: str
  certificate_content:
    description:
      - The member's certificate in PEM, intermediate certificates after it.
      - Without it the file that is there is kept.
    type: str
  private_key_content:
    description:
      - The member's private key in PEM, not encrypted.
      - Without it the file that is there is kept.
    type: str
  requested_key:
    description:
      - Whether the private key is the one that M(ringfence.etcd.etcd_peer_key) has made on this host, and that waits as
        C(<name>.key.requested). It is checked with O(certificate_content) as one that is given, takes its place with
        it, and waits no more.
      - Where none waits, the key in place has to be the one of O(certificate_content), as after a run that was killed.
    type: bool
    default: false
  revocation_list_content:
    description:
      - The CA's revocation list in PEM. It is written in DER.
      - Without it a file that is there is kept.
    type: str
  pending_content:
    description:
      - Files whose content will come in the real run and does not exist in check mode, such as a certificate that
        M(ringfence.etcd.etcd_peer_certificates) would issue. They count as changed.
      - Only for check mode.
    type: list
    elements: str
    choices: [ca, certificate, private_key, revocation_list]
    default: []
  members:
    description:
      - The members of a running cluster that are asked before another certificate takes its place. It does only while
        this run holds the cluster's lock, all other members are healthy, and each of them lets this certificate in at
        its peer port. Else nothing is changed.
      - Each has a V(name) and a V(client_url) that this host can reach, and this host's member is among them. Other
        keys are not looked at, so that members made by P(ringfence.etcd.etcd_members#filter) can be given as they are.
      - For a certificate with another common name or of another CA. Without it no member is asked, which is right for
        one that is renewed, and where no cluster runs yet.
      - Check mode asks nobody.
    type: list
    elements: dict
  wait_seconds:
    description:
      - How long to wait until all others are healthy and let the certificate in, and no other run restarts, adds or
        removes a member.
    type: int
    default: 300
seealso:
  - module: ringfence.etcd.etcd_peer_certificates
  - module: ringfence.etcd.etcd_peer_key
  - module: ringfence.etcd.etcd_peer_info
"""

EXAMPLES = r"""
# With what etcd_ca and etcd_peer_certificates have made beside the playbook.
- name: Put the member's files in place
  ringfence.etcd.etcd_peer_credentials:
    name: "{{ inventory_hostname }}"
    ca_certificate_content: "{{ lookup('ansible.builtin.file', playbook_dir ~ '/ca/ca.crt') }}"
    certificate_content: "{{ lookup('ansible.builtin.file', files ~ '.crt') }}"
    private_key_content: "{{ lookup('ansible.builtin.file', files ~ '.key') }}"
  vars:
    files: "{{ playbook_dir }}/peers/{{ inventory_hostname }}"

- name: Put a renewed certificate in place, for the key that is there
  ringfence.etcd.etcd_peer_credentials:
    name: etcd-1
    certificate_content: "{{ renewed.members[0].certificate }}"
  when: inventory_hostname == 'etcd-1'

- name: Put a certificate of another CA in place once all other members let it in
  ringfence.etcd.etcd_peer_credentials:
    name: etcd-1
    certificate_content: "{{ renewed.members[0].certificate }}"
    members: "{{ members }}"
    client_ca_file: /etc/etcd/pki/ca.crt
    client_cert_file: /etc/etcd/pki/etcd-1.crt
    client_key_file: /etc/etcd/pki/etcd-1.key
  when: inventory_hostname == 'etcd-1'

- name: Check the files that are there, repair owner and mode
  ringfence.etcd.etcd_peer_credentials:
    name: "{{ inventory_hostname }}"
"""

RETURN = r"""
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
    revocation_list:
      description: As for RV(reasons.ca).
      type: list
      elements: str
      returned: when the revocation list changes
trust_bundle_changed:
  description: Whether the trust bundle changes, which etcd reads at its start.
  returned: success
  type: bool
revocation_list_changed:
  description: Whether the revocation list changes, which ends no connection that there is.
  returned: success
  type: bool
backups:
  description: Where a replaced private key is kept, by its path.
  returned: success
  type: dict
  sample: {/etc/etcd/pki/etcd-1.key: /etc/etcd/pki/etcd-1.key.replaced}
backup_not_after:
  description:
    - Until when the certificate of the replaced private key is valid.
    - V(null) where no key is replaced, or where its certificate is not beside it.
  returned: success
  type: str
  sample: '2027-11-23T22:54:00Z'
paths:
  description: Where the files are.
  returned: success
  type: dict
  contains:
    directory:
      description: The folder.
      type: str
      returned: success
      sample: /etc/etcd/pki
    ca:
      description: The trust bundle.
      type: str
      returned: success
      sample: /etc/etcd/pki/ca.crt
    certificate:
      description: The certificate.
      type: str
      returned: success
      sample: /etc/etcd/pki/etcd-1.crt
    private_key:
      description: The private key.
      type: str
      returned: success
      sample: /etc/etcd/pki/etcd-1.key
    revocation_list:
      description: The revocation list.
      type: str
      returned: when there is one
      sample: /etc/etcd/pki/ca.crl
notes:
  description: What check mode could not check.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    failures_told,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import WAIT_SECONDS, check_range
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import client_from
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_access import (
    ARGUMENTS,
    REQUIRED_BY,
    REQUIRED_TOGETHER,
    ApiAccess,
    take_access,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_contents import WantedCredentials
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    CA,
    CERTIFICATE,
    PRIVATE_KEY,
    REVOCATION_LIST,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credentials import (
    CredentialsPlan,
    apply_credentials,
    backup_note,
    plan_credentials,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.presenting import present_guarded
from ansible_collections.ringfence.etcd.plugins.module_utils._member.restart import ClusterUrls, cluster_from
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.admission import admission_of

ARGUMENT_SPEC: dict[str, t.Any] = {
    "directory": {"type": "path", "default": "/etc/etcd/pki"},
    "name": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "etcd"},
    "group": {"type": "str", "default": "etcd"},
    "directory_mode": {"type": "str", "default": "0755"},
    "ca_certificate_content": {"type": "str"},
    "certificate_content": {"type": "str"},
    "private_key_content": {"type": "str", "no_log": True},
    "requested_key": {"type": "bool", "default": False, "no_log": False},
    "revocation_list_content": {"type": "str"},
    "pending_content": {
        "type": "list",
        "elements": "str",
        "choices": ["ca", "certificate", "private_key", "revocation_list"],
        "default": [],
    },
    "members": {"type": "list", "elements": "dict"},
    "wait_seconds": {"type": "int", "default": 300},
    **ARGUMENTS,
}


def octal_mode(text: str) -> int:
    """A mode as users write it (``0755``, ``755``); a number from YAML that is no octal text is refused."""
    digits = text[2:] if text.startswith("0o") else text
    if not 3 <= len(digits) <= 5 or not set(digits) <= set("01234567"):
        raise InputError(f"directory_mode: {text} is no mode in octal digits: write it in quotes, like '0755'")
    return int(digits, 8)


def asked_cluster(params: t.Mapping[str, t.Any]) -> ClusterUrls | None:
    """The members that have to let another certificate in; None where none is asked."""
    check_range("wait_seconds", params["wait_seconds"], *WAIT_SECONDS)
    return cluster_from(params["name"], params["members"]) if params["members"] else None


def apply_guarded(
    plan: CredentialsPlan, cluster: ClusterUrls | None, params: t.Mapping[str, t.Any], access: ApiAccess
) -> dict[str, str]:
    """Carry the plan out, under the cluster's lock where the others have to let another certificate in."""
    if cluster is None or not plan.presents_another:
        return apply_credentials(plan)
    backups: dict[str, str] = {}
    present_guarded(
        cluster,
        client_from(params, access),
        admission_of(*(plan.contents[kind] for kind in (CA, CERTIFICATE, PRIVATE_KEY))),
        lambda: backups.update(apply_credentials(plan)),
        wait_seconds=params["wait_seconds"],
    )
    return backups


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_together=REQUIRED_TOGETHER,
        required_by=REQUIRED_BY,
        supports_check_mode=True,
    )
    access = take_access(module)
    params = dict(module.params)
    # What is public may have a key pasted behind it, and up to ansible-core 2.18 an answer repeats its arguments.
    module.params.update(ca_certificate_content=None, certificate_content=None, revocation_list_content=None)
    with failures_told(module):
        if params["requested_key"] and params["private_key_content"] is not None:
            raise InputError("private_key_content and requested_key: true are two keys: give one of them")
        cluster = asked_cluster(params)
        plan = plan_credentials(
            WantedCredentials(
                directory=params["directory"],
                name=params["name"],
                owner=params["owner"],
                group=params["group"],
                directory_mode=octal_mode(params["directory_mode"]),
                ca_certificate_content=params["ca_certificate_content"],
                certificate_content=params["certificate_content"],
                private_key_content=params["private_key_content"],
                requested_key=params["requested_key"],
                revocation_list_content=params["revocation_list_content"],
                pending_content=frozenset(params["pending_content"]),
                check_mode=module.check_mode,
            )
        )
        backups = plan.backups if module.check_mode else apply_guarded(plan, cluster, params, access)
    result: dict[str, t.Any] = {
        "changed": plan.changed,
        "reasons": plan.reasons,
        "trust_bundle_changed": CA in plan.reasons,
        "revocation_list_changed": REVOCATION_LIST in plan.reasons,
        "backups": backups,
        "backup_not_after": plan.backup_not_after,
        "paths": plan.paths,
        "notes": list(plan.notes),
    }
    line = backup_note(plan)
    if line is not None:
        module.warn(line)
    if module._diff:
        result["diff"] = {"before": plan.before, "after": plan.after}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
