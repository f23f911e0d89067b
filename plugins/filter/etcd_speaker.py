# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: etcd_speaker
short_description: Choose the host that speaks for an etcd cluster in a run
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Gives the first of a cluster's hosts that is in this batch of the play, so that all hosts of the cluster come to the
    same one.
  - Fails where no host is a member, and where the host that asks is none.
options:
  _input:
    description: The inventory hosts of the cluster's members.
    type: list
    elements: str
    required: true
  host:
    description: The inventory host that asks, C(inventory_hostname).
    type: str
    required: true
  batch:
    description: The hosts of this batch of the play, C(ansible_play_batch).
    type: list
    elements: str
    required: true
  cluster_name:
    description: The cluster's name.
    type: str
    required: true
  group:
    description: The inventory group that the hosts were taken from.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show who speaks for the cluster
  ansible.builtin.debug:
    msg: "{{ groups['etcd'] | ringfence.etcd.etcd_speaker(inventory_hostname, ansible_play_batch, 'etcd', 'etcd') }}"
"""

RETURN = r"""
_value:
  description: The host.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError


def etcd_speaker(value: t.Sequence[str], host: str, batch: t.Sequence[str], cluster_name: str, group: str) -> str:
    if not value:
        raise AnsibleFilterError(
            f"No host is a member: the inventory group {group} is empty or does not exist; put the hosts in it, name "
            "another with etcd_peer_tls_group, or list the members in etcd_peer_tls_members"
        )
    if host not in value:
        raise AnsibleFilterError(
            f"{host} is no member of cluster {cluster_name} (its hosts: {', '.join(value)}): leave it out of the play, "
            "or add it to the inventory"
        )
    present = set(batch)
    # The host that asks is in the batch itself.
    return next(name for name in value if name in present)


class FilterModule:
    """Ansible jinja2 filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"etcd_speaker": etcd_speaker}
