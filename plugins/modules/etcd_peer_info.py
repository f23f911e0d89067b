#!/usr/bin/python

# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: etcd_peer_info
short_description: Gather the state of a host of an etcd cluster
version_added: 0.1.0
description:
  - Returns etcd's version, the member's three files, the settings of the deployed unit and of the running process, and
    which member of which cluster the data folder belongs to.
  - Changes nothing, and returns public parts only. The private key's bytes stay on the host.
  - Where something can't be read or makes no sense, C(problem) beside it says so, and the module does not fail. So it
    also works on an empty host, and for an ordinary user as far as permissions allow. Only O(fail_days) fails it.
  - Needs nothing but Python on the host.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
  - ringfence.etcd.member_host
  - ringfence.etcd.attributes.info_module
options:
  wal_dir:
    description:
      - Folder of etcd's log, where it is not in the data folder.
      - Without it, the one that the deployed unit names.
    type: path
  listen_urls:
    description:
      - URLs at which the member is going to listen. RV(in_the_way) lists who else has one of their ports, or the data
        folder.
      - Without it RV(in_the_way) is empty.
    type: list
    elements: str
  warn_days:
    description:
      - The module warns of the member's certificate and of each CA in its trust bundle that has fewer whole days left.
      - Without it there are no such warnings.
    type: int
  fail_days:
    description:
      - The module fails, with the same results, where one of them has fewer whole days left. V(0) fails once one has
        expired.
      - Without it no date fails the module.
    type: int
seealso:
  - module: ringfence.etcd.etcd_peer_credentials
"""

EXAMPLES = r"""
- name: Gather the state of the host
  ringfence.etcd.etcd_peer_info:
    name: "{{ inventory_hostname }}"
    data_dir: "/var/lib/etcd/{{ inventory_hostname }}"
  register: node

- name: Fail where a certificate ends soon
  ringfence.etcd.etcd_peer_info:
    name: "{{ inventory_hostname }}"
    warn_days: 30
    fail_days: 7

- name: Say when the certificate ends
  ansible.builtin.debug:
    msg: "{{ node.credentials.certificate.not_after }}, in {{ node.credentials.certificate.days_left }} days"
  when: node.credentials.certificate.not_after is not none
"""

RETURN = r"""
time:
  description: When, by this host's clock, in UTC.
  type: str
  returned: always
  sample: '2026-11-24T09:00:00Z'
etcd:
  description: etcd's program.
  type: dict
  returned: always
  contains:
    binary:
      description: Its path.
      type: str
      returned: always
      sample: /usr/bin/etcd
    found:
      description: Whether there is a file.
      type: bool
      returned: always
      sample: true
    version:
      description: The version that it prints; null where it is not known.
      type: str
      returned: always
      sample: '3.5.16'
    problem:
      description: >-
        One line that says what can't be read or makes no sense, with the way out; null where nothing is wrong.
      type: str
      returned: always
key_maker:
  description: >-
    What makes private keys on this host for M(ringfence.etcd.etcd_peer_key), V(openssl) or V(cryptography); null where
    nothing does.
  type: str
  returned: always
  sample: openssl
user:
  description: The user that etcd runs as.
  type: dict
  returned: always
  contains:
    name:
      description: The name.
      type: str
      returned: always
      sample: etcd
    exists:
      description: Whether the host knows the user.
      type: bool
      returned: always
      sample: true
    module_user:
      description: The user that the module runs as.
      type: str
      returned: always
      sample: root
    may_own:
      description: Whether the module could give files to the user, which it can as root or as this very user.
      type: bool
      returned: always
      sample: true
credentials:
  description: The member's three files.
  type: dict
  returned: always
  contains:
    ca:
      description: The trust bundle.
      type: dict
      returned: always
      contains:
        path:
          description: Where it is.
          type: str
          returned: always
          sample: /etc/etcd/pki/ca.crt
        state:
          description: V(absent), V(file), V(directory), V(link), V(other), or V(unknown) where it can't be seen.
          type: str
          returned: always
          sample: file
        owner:
          description: Name or number of its owner; null where there is none.
          type: str
          returned: always
          sample: root
        group:
          description: Name or number of its group; null where there is none.
          type: str
          returned: always
          sample: root
        mode:
          description: Its mode in octal digits; null where there is none.
          type: str
          returned: always
          sample: '0644'
        problem:
          description: >-
            One line that says what can't be read or makes no sense, with the way out; null where nothing is wrong.
          type: str
          returned: always
        pem:
          description: Its certificates in PEM; null where there are none.
          type: str
          returned: always
        certificates:
          description: Each of its certificates.
          type: list
          elements: dict
          returned: always
          contains:
            common_name:
              description: The subject's common name; null where it has none.
              type: str
              returned: always
              sample: etcd-1.example.com
            issuer_common_name:
              description: The issuer's common name; null where it has none.
              type: str
              returned: always
              sample: etcd peer CA
            serial_number:
              description: The serial number, in hexadecimal digits.
              type: str
              returned: always
              sample: 2c5e1f
            fingerprint:
              description: SHA-256 of the certificate, in lower-case hexadecimal digits.
              type: str
              returned: always
              sample: 9f86d081884c7d65
            not_before:
              description: When it begins to be valid, in UTC.
              type: str
              returned: always
              sample: '2026-11-23T22:54:00Z'
            not_after:
              description: When it ends, in UTC.
              type: str
              returned: always
              sample: '2027-11-23T22:54:00Z'
            days_left:
              description: Whole days until it ends, negative once it has.
              type: int
              returned: always
              sample: 364
            dns_names:
              description: DNS names among the subject alternative names.
              type: list
              elements: str
              returned: always
              sample: [etcd-1.example.com, localhost]
            ip_addresses:
              description: IP addresses among the subject alternative names.
              type: list
              elements: str
              returned: always
              sample: [10.0.0.1, 127.0.0.1, '::1']
            key_algorithm:
              description: The kind of key.
              type: str
              returned: always
              sample: ecdsa-p256
            key_usage:
              description: The key usages; null where the certificate does not limit them.
              type: list
              elements: str
              returned: always
              sample: [digitalSignature]
            extended_key_usage:
              description: The extended key usages; null where the certificate does not limit them.
              type: list
              elements: str
              returned: always
              sample: [serverAuth, clientAuth]
            is_ca:
              description: Whether it is the certificate of a CA.
              type: bool
              returned: always
              sample: false
    certificate:
      description: The member's certificate. Where there is none, lists are empty.
      type: dict
      returned: always
      contains:
        path:
          description: Where it is.
          type: str
          returned: always
          sample: /etc/etcd/pki/etcd-1.crt
        state:
          description: V(absent), V(file), V(directory), V(link), V(other), or V(unknown) where it can't be seen.
          type: str
          returned: always
          sample: file
        owner:
          description: Name or number of its owner; null where there is none.
          type: str
          returned: always
          sample: root
        group:
          description: Name or number of its group; null where there is none.
          type: str
          returned: always
          sample: root
        mode:
          description: Its mode in octal digits; null where there is none.
          type: str
          returned: always
          sample: '0644'
        problem:
          description: >-
            One line that says what can't be read or makes no sense, with the way out; null where nothing is wrong.
          type: str
          returned: always
        pem:
          description: >-
            The certificate in PEM, intermediate certificates after it; where it is broken, the text as
            it is; null where there is none.
          type: str
          returned: always
        common_name:
          description: The subject's common name; null where it has none.
          type: str
          returned: always
          sample: etcd-1.example.com
        issuer_common_name:
          description: The issuer's common name; null where it has none.
          type: str
          returned: always
          sample: etcd peer CA
        serial_number:
          description: The serial number, in hexadecimal digits; null where there is no certificate.
          type: str
          returned: always
          sample: 2c5e1f
        fingerprint:
          description: SHA-256 of the certificate, in lower-case hexadecimal digits; null where there is no certificate.
          type: str
          returned: always
          sample: 9f86d081884c7d65
        not_before:
          description: When it begins to be valid, in UTC; null where there is no certificate.
          type: str
          returned: always
          sample: '2026-11-23T22:54:00Z'
        not_after:
          description: When it ends, in UTC; null where there is no certificate.
          type: str
          returned: always
          sample: '2027-11-23T22:54:00Z'
        days_left:
          description: Whole days until it ends, negative once it has; null where there is no certificate.
          type: int
          returned: always
          sample: 364
        dns_names:
          description: DNS names among the subject alternative names.
          type: list
          elements: str
          returned: always
          sample: [etcd-1.example.com, localhost]
        ip_addresses:
          description: IP addresses among the subject alternative names.
          type: list
          elements: str
          returned: always
          sample: [10.0.0.1, 127.0.0.1, '::1']
        key_algorithm:
          description: The kind of key; null where there is no certificate.
          type: str
          returned: always
          sample: ecdsa-p256
        key_usage:
          description: The key usages; null where the certificate does not limit them.
          type: list
          elements: str
          returned: always
          sample: [digitalSignature]
        extended_key_usage:
          description: The extended key usages; null where the certificate does not limit them.
          type: list
          elements: str
          returned: always
          sample: [serverAuth, clientAuth]
        is_ca:
          description: Whether it is the certificate of a CA; null where there is no certificate.
          type: bool
          returned: always
          sample: false
    private_key:
      description: The member's private key, all but its content.
      type: dict
      returned: always
      contains:
        path:
          description: Where it is.
          type: str
          returned: always
          sample: /etc/etcd/pki/etcd-1.key
        state:
          description: V(absent), V(file), V(directory), V(link), V(other), or V(unknown) where it can't be seen.
          type: str
          returned: always
          sample: file
        owner:
          description: Name or number of its owner; null where there is none.
          type: str
          returned: always
          sample: root
        group:
          description: Name or number of its group; null where there is none.
          type: str
          returned: always
          sample: root
        mode:
          description: Its mode in octal digits; null where there is none.
          type: str
          returned: always
          sample: '0644'
        problem:
          description: >-
            One line that says what can't be read or makes no sense, with the way out; null where nothing is wrong.
          type: str
          returned: always
        matches_certificate:
          description: >-
            Whether key and certificate belong together; null where one of the two is missing or
            unreadable for this user.
          type: bool
          returned: always
          sample: true
crl:
  description: The revocation list that etcd reads at its peer port; where it is told of none, the one that is deployed.
  returned: success
  type: dict
  contains:
    path:
      description: Where it is; null where there is none, and etcd is told of none.
      type: str
      returned: always
      sample: /etc/etcd/pki/ca.crl
    pem:
      description: The list as PEM; null where etcd could use none, or it is too long for an answer.
      type: str
      returned: always
    serial_numbers:
      description: What it revokes, lower-case hex; null where etcd could use no list.
      type: list
      elements: str
      returned: always
    problem:
      description: Why etcd could use no list; null where it could.
      type: str
      returned: always
unit:
  description: The systemd unit as deployed.
  type: dict
  returned: always
  contains:
    name:
      description: Its name.
      type: str
      returned: always
      sample: etcd.service
    path:
      description: Its file; null where there is none.
      type: str
      returned: always
      sample: /etc/systemd/system/etcd.service
    exists:
      description: Whether there is one.
      type: bool
      returned: always
      sample: true
    managed:
      description: Whether it carries this collection's configuration hash.
      type: bool
      returned: always
      sample: true
    configuration_hash:
      description: The configuration hash; null where it is not managed.
      type: str
      returned: always
      sample: 9f86d081884c7d65
    configuration_hash_valid:
      description: Whether the text is still the one that was hashed; null where it is not managed.
      type: bool
      returned: always
      sample: true
    enabled:
      description: Whether systemd starts it at a boot.
      type: bool
      returned: always
      sample: true
    drop_ins:
      description: Files that change the unit.
      type: list
      elements: str
      returned: always
      sample: []
    obstacle:
      description: >-
        Why no unit can be put in place here, with the way out, such as one that is masked or a link; null where nothing
        is in the way.
      type: str
      returned: always
    added_flags:
      description: >-
        Flags with their values that etcd is given by drop-ins, environment files or systemd's own environment, other
        than by the unit's text; null for a flag that they take away.
      type: dict
      returned: always
      sample: {heartbeat-interval: '200'}
    settings:
      description: The settings of etcd in the unit and its drop-ins; null where there are none.
      type: dict
      returned: always
      contains:
        program:
          description: The program; null where none is named.
          type: str
          returned: always
          sample: /usr/bin/etcd
        member_name:
          description: The member's name.
          type: str
          returned: always
          sample: etcd-1
        data_dir:
          description: The data folder.
          type: str
          returned: always
          sample: /var/lib/etcd/etcd-1
        allowed_common_names:
          description: The common names that peers may have, as etcd reads them.
          type: list
          elements: str
          returned: always
          sample: [etcd-1.example.com, etcd-2.example.com]
        allowed_hostnames:
          description: The subject alternative names that peers may have.
          type: list
          elements: str
          returned: always
          sample: []
        initial_cluster:
          description: Peer URL by the name of the member.
          type: dict
          returned: always
          sample: {etcd-1: 'https://10.0.0.1:2380'}
        peer_urls:
          description: The peer URLs that the member advertises.
          type: list
          elements: str
          returned: always
          sample: ['https://10.0.0.1:2380']
        listen_peer_urls:
          description: The peer URLs that it listens on.
          type: list
          elements: str
          returned: always
          sample: ['https://10.0.0.1:2380']
        client_urls:
          description: The client URLs that the member advertises.
          type: list
          elements: str
          returned: always
          sample: ['https://10.0.0.1:2379']
        listen_client_urls:
          description: The client URLs that it listens on.
          type: list
          elements: str
          returned: always
          sample: ['https://10.0.0.1:2379']
        files:
          description: >-
            Certificates, keys, trust bundles and revocation lists by the flag that names them; null where it is not
            given.
          type: dict
          returned: always
          sample: {peer_cert_file: /etc/etcd/pki/etcd-1.crt}
        flags:
          description: Every flag with its value.
          type: dict
          returned: always
          sample: {peer-client-cert-auth: 'true'}
        warnings:
          description: What is risky in these settings.
          type: list
          elements: dict
          returned: always
          sample: []
          contains:
            code:
              description: What it is, in one word.
              type: str
              returned: always
            text:
              description: The same in one line.
              type: str
              returned: always
    problem:
      description: >-
        One line that says what can't be read or makes no sense, with the way out; null where nothing is wrong.
      type: str
      returned: always
process:
  description: The process that the unit started.
  type: dict
  returned: always
  contains:
    running:
      description: Whether there is one.
      type: bool
      returned: always
      sample: true
    pid:
      description: Its number; null where there is none.
      type: int
      returned: always
      sample: 4711
    active_state:
      description: The unit's active state; null where no systemd runs.
      type: str
      returned: always
      sample: active
    sub_state:
      description: The unit's sub-state; null where no systemd runs.
      type: str
      returned: always
      sample: running
    version:
      description: >-
        The version of etcd that runs. Where the program was replaced since, it is what the process itself answers at
        its client URL; null where it does not answer, and where none runs.
      type: str
      returned: always
      sample: 3.5.16
    configuration_hash:
      description: >-
        The configuration hash of the unit that it was started with. A restart is pending where it differs from
        RV(unit.configuration_hash). It is null where there is none.
      type: str
      returned: always
      sample: 9f86d081884c7d65
    newer_files:
      description: >-
        Trust bundles that were written after the process had started. etcd reads them at start only, so that a restart
        is pending.
      type: list
      elements: str
      returned: always
      sample: []
    crl_is_newer:
      description:
        - Whether its revocation list was written after the process had started. Connections that were made before then
          may be of somebody who is revoked.
      type: bool
      returned: always
    settings:
      description: Its settings, in the form of RV(unit.settings); null where none runs.
      type: dict
      returned: always
    problem:
      description: >-
        One line that says what can't be read or makes no sense, with the way out; null where nothing is wrong.
      type: str
      returned: always
data:
  description: What the data folder says.
  type: dict
  returned: always
  contains:
    directory:
      description: The folder; null where none was given and no unit names one.
      type: str
      returned: always
      sample: /var/lib/etcd/etcd-1
    exists:
      description: Whether it holds a member's data. An empty folder holds none.
      type: bool
      returned: always
      sample: true
    member_id:
      description: The member, in hexadecimal digits; null where it is not known.
      type: str
      returned: always
      sample: 8e9e05c52164694d
    cluster_id:
      description: The cluster, in hexadecimal digits; null where it is not known.
      type: str
      returned: always
      sample: cdf818194e3a8c32
    formed:
      description: >-
        Whether its cluster has ever had a leader; false where the member still waits for its first quorum, null where
        there is no data or where that is not known.
      type: bool
      returned: always
      sample: true
    problem:
      description: >-
        One line that says what can't be read or makes no sense, with the way out; null where nothing is wrong.
      type: str
      returned: always
formed_marker:
  description: >-
    The file beside the credentials that marks a member that has had data. With it the member's unit is not started
    without its data, see O(ringfence.etcd.etcd_peer_service#module:directory).
  type: dict
  returned: always
  contains:
    path:
      description: Where it is, or would be.
      type: str
      returned: always
      sample: /etc/etcd/pki/etcd-1.formed
    exists:
      description: Whether it is there.
      type: bool
      returned: always
    member_id:
      description: The member whose data it was, in hexadecimal digits; null where that is not known.
      type: str
      returned: always
      sample: 8e9e05c52164694d
    cluster_id:
      description: The cluster, in hexadecimal digits; null where it is not known.
      type: str
      returned: always
      sample: cdf818194e3a8c32
    problem:
      description: One line that says why it can't be read; null where nothing is wrong.
      type: str
      returned: always
other_etcd:
  description: >-
    An etcd under the same unit name that is not this collection's, such as the one that Debian's package
    starts; null where there is none. While it runs, what its process has open and answers counts; when it is stopped,
    what its unit, environment files and configuration file say.
  type: dict
  returned: always
  contains:
    unit_path:
      description: Its unit; null where only its process is left.
      type: str
      returned: always
      sample: /usr/lib/systemd/system/etcd.service
    running:
      description: Whether it runs.
      type: bool
      returned: always
      sample: true
    pid:
      description: The process that is etcd, behind whatever starts it; null where none runs.
      type: int
      returned: always
      sample: 4711
    data_dir:
      description: Its data folder; null where it is not known.
      type: str
      returned: always
      sample: /var/lib/etcd/default
    has_data:
      description: Whether the folder holds data; null where that is not known.
      type: bool
      returned: always
      sample: true
    key_count:
      description: How many keys it holds; null where that is not known.
      type: int
      returned: always
      sample: 0
    members:
      description: >-
        The members of its cluster as it lists them, at most 100, by name or, before their first start, peer URL; null
        where that is not known, none where there is no data.
      type: list
      elements: str
      returned: always
      sample: [default]
    cluster_id:
      description: Its cluster, in hexadecimal digits; null where it is not known.
      type: str
      returned: always
      sample: cdf818194e3a8c32
    problem:
      description: >-
        One line that says why it is not known whether there is anything to lose; null where it is known.
      type: str
      returned: always
addresses:
  description: >-
    The addresses in O(listen_urls), and in the URLs at which the process and the unit listen, that are this host's own.
  type: list
  elements: str
  returned: always
  sample: [10.0.0.1, 127.0.0.1]
folder:
  description: >-
    A number of O(directory) that no other folder has, so that two hosts of an inventory that are one machine are seen;
    null where it is not known.
  type: str
  returned: always
folder_users:
  description: >-
    Other units and processes of an etcd that have certificates in O(directory), at most 20; looked for by
    M(ringfence.etcd.etcd_peer_probe) where it is asked for pending changes.
  type: list
  elements: dict
  returned: always
  contains:
    unit:
      description: The unit; null for a process without one.
      type: str
      returned: always
      sample: etcd-b.service
    pid:
      description: The process; null for a unit's file.
      type: int
      returned: always
      sample: 4711
    cluster:
      description: Its cluster's token; null where it has none.
      type: str
      returned: always
      sample: etcd-b
in_the_way:
  description: >-
    Who else on this host has what the member is going to use, at most 20; empty without O(listen_urls), and where
    systemd does not read O(unit_directory). The unit's own processes are not in it.
  type: list
  elements: dict
  returned: always
  contains:
    what:
      description: >-
        V(process) for one that has a port or the data folder, V(unit) for a unit that is stopped and would take it, or
        V(unknown) where nobody can see who is there.
      type: str
      returned: always
      sample: process
    unit:
      description: The unit, or the unit that the process belongs to; null where it belongs to none.
      type: str
      returned: always
      sample: etcd-old.service
    pid:
      description: The process; null for a unit, and where it can't be seen.
      type: int
      returned: always
      sample: 4711
    program:
      description: What the kernel calls the process; null where that is not known.
      type: str
      returned: always
      sample: etcd
    listens:
      description: Addresses and ports of O(listen_urls) that it has, or would have.
      type: list
      elements: str
      returned: always
      sample: ['10.0.0.1:2379', '10.0.0.1:2380']
    data_dir:
      description: The data folder of etcd that it has, or would have, open; null where there is none.
      type: str
      returned: always
      sample: /var/lib/etcd/old
    uses_data:
      description: Whether that is the member's data folder.
      type: bool
      returned: always
      sample: false
    cluster_id:
      description: The cluster that the process is a member of, in hexadecimal digits; null where it is not known.
      type: str
      returned: always
      sample: cdf818194e3a8c32
    managed:
      description: Whether the unit, or the process, carries this collection's configuration hash.
      type: bool
      returned: always
      sample: false
    enabled:
      description: Whether systemd starts the unit at a boot; false for a process.
      type: bool
      returned: always
      sample: false
    problem:
      description: One line that says what is not known; null where nothing is unknown.
      type: str
      returned: always
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import failures_told
from ansible_collections.ringfence.etcd.plugins.module_utils._member.info import ending_soon, peer_info


def main() -> t.NoReturn:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/etc/etcd/pki"},
            "name": {"type": "str", "required": True},
            "owner": {"type": "str", "default": "etcd"},
            "etcd_binary": {"type": "path", "default": "/usr/bin/etcd"},
            "unit": {"type": "str", "default": "etcd.service"},
            "unit_directory": {"type": "path"},
            "data_dir": {"type": "path"},
            "wal_dir": {"type": "path"},
            "listen_urls": {"type": "list", "elements": "str"},
            "warn_days": {"type": "int"},
            "fail_days": {"type": "int"},
        },
        supports_check_mode=True,
    )
    params = module.params
    with failures_told(module):
        info = peer_info(
            directory=params["directory"],
            name=params["name"],
            owner=params["owner"],
            etcd_binary=params["etcd_binary"],
            unit=params["unit"],
            unit_directory=params["unit_directory"],
            data_dir=params["data_dir"],
            wal_dir=params["wal_dir"],
            listen_urls=params["listen_urls"],
        )
    for line in ending_soon(info, params["warn_days"]):
        module.warn(line)
    ended = ending_soon(info, params["fail_days"])
    if ended:
        module.fail_json(msg=f"{'; '.join(ended)}: fail_days is {params['fail_days']}", **info)
    module.exit_json(changed=False, **info)


if __name__ == "__main__":
    main()
