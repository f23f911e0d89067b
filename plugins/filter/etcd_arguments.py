# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: etcd_arguments
short_description: Make the command line of an etcd member
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Returns the arguments of one member's etcd, with the peer TLS flags and the full list of allowed common names. Every
    version from 3.4 on takes them. M(ringfence.etcd.etcd_cluster_check) checks whether a version reads the list as one.
  - Fails where an extra flag, or a variable of the unit's, would set a flag of the role's, let strangers in, or have a
    value with which etcd does not start.
options:
  _input:
    description: The member's name.
    type: str
    required: true
  members:
    description: All members, as made by P(ringfence.etcd.etcd_members#filter).
    type: list
    elements: dict
    required: true
  settings:
    description:
      - C(cluster_name), C(data_dir) and C(credentials_directory); optionally C(identity), C(client_tls),
        C(client_port), C(client_ca_file), C(client_cert_file), C(client_key_file), C(listen_loopback),
        C(metrics_urls), C(min_tls_version), C(revocation_list) (whether C(ca.crl) lies beside the trust bundle),
        C(extra_flags), and C(unit_settings). The last are settings that the unit gets beside this, which must not set
        the same of etcd otherwise.
    type: dict
    required: true
"""

EXAMPLES = r"""
# With the list that the filter etcd_members has made.
- name: Make the flags of this host's member
  ansible.builtin.set_fact:
    arguments: "{{ inventory_hostname | ringfence.etcd.etcd_arguments(members, settings) }}"
  vars:
    settings:
      cluster_name: etcd
      data_dir: "/var/lib/etcd/{{ inventory_hostname }}"
      credentials_directory: /etc/etcd/pki
"""

RETURN = r"""
_value:
  description: The arguments, each C(--flag=value), not quoted.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import etcd_flags
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import (
    call,
    flag_settings_from,
    member_from,
)


def etcd_arguments(value: str, members: t.Any, settings: t.Mapping[str, t.Any]) -> list[str]:
    everyone = [member_from(member) for member in members]
    own = next((member for member in everyone if member.name == value), None)
    if own is None:
        raise AnsibleFilterError(
            f"{value} is no member of the cluster: its members are {', '.join(m.name for m in everyone)}"
        )
    flag_settings = flag_settings_from(settings)
    return [f"--{flag}={item}" for flag, item in call(etcd_flags, own, everyone, flag_settings)]


class FilterModule:
    """Ansible jinja2 filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"etcd_arguments": etcd_arguments}
