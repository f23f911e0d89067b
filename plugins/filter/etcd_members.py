# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: etcd_members
short_description: Make the list of an etcd cluster's members
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Turns host names, or dictionaries, into the members of one etcd cluster, with the common name, URLs and subject
    alternative names that each has.
  - The result is sorted by name (C(etcd-2) before C(etcd-10)) and depends only on the input. Variables of hosts are not
    read, since a host can set them by its facts. The role reads its own with M(ringfence.etcd.etcd_settings).
  - Fails where two members share a name, host, common name or address, where a common name is over 64 characters or
    has a comma, where an address is neither an IP address nor a DNS name, and where there is no member.
options:
  _input:
    description:
      - Names, which are the host, the name and the address of a member in one, or dictionaries with a C(name) and
        optionally C(host) and C(address) (default the name), C(domain), C(common_name), C(listen_address),
        C(extra_sans), C(peer_port), C(client_port).
    type: list
    elements: raw
    required: true
  cluster_name:
    description: The cluster's name.
    type: str
    required: true
  domain:
    description: DNS domain of the members that have none of their own. The common name is C(<name>.<domain>), or only
      the name.
    type: str
  identity:
    description: V(list) for a common name of its own for each member, V(shared) for one common name for all.
    type: str
    choices: [list, shared]
    default: list
  shared_common_name:
    description: The common name of all members with O(identity=shared). Defaults to C(<cluster_name>.peers).
    type: str
  peer_port:
    description: Port of the peer URLs.
    type: int
    default: 2380
  client_port:
    description: Port of the client URLs.
    type: int
    default: 2379
  client_tls:
    description: Whether the client URLs are https.
    type: bool
    default: true
  loopback_sans:
    description: Whether loopback's names (C(localhost), C(127.0.0.1), C(::1)) are among the subject alternative names.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Make the list of the members, whose hosts are called by their names
  ansible.builtin.set_fact:
    members: "{{ groups['etcd'] | ringfence.etcd.etcd_members(cluster_name='etcd') }}"

- name: Show members that are called by their addresses
  ansible.builtin.debug:
    msg: >-
      {{ [{'name': 'etcd-1', 'address': '10.0.0.1'}, {'name': 'etcd-2', 'address': '10.0.0.2'}]
         | ringfence.etcd.etcd_members(cluster_name='etcd', domain='example.com') }}
"""

RETURN = r"""
_value:
  description: The members, sorted by name.
  type: list
  elements: dict
  sample:
    - name: etcd-1
      host: etcd-1
      common_name: etcd-1.example.com
      address: 10.0.0.1
      listen_address: 10.0.0.1
      peer_url: https://10.0.0.1:2380
      client_url: https://10.0.0.1:2379
      dns_names: [etcd-1.example.com, localhost]
      ip_addresses: [10.0.0.1, 127.0.0.1, "::1"]
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import call, member_as_dict, plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._member_entries import checked_entry, completed_entry


def _complete(item: t.Any) -> dict[str, t.Any]:
    entry = checked_entry(item)
    host = entry["host"]
    return completed_entry(entry, {"name": host, "address": host}, ())


def etcd_members(
    value: t.Any,
    cluster_name: str,
    domain: str | None = None,
    identity: str = "list",
    shared_common_name: str | None = None,
    peer_port: int = 2380,
    client_port: int = 2379,
    client_tls: bool = True,
    loopback_sans: bool = True,
) -> list[dict[str, t.Any]]:
    if isinstance(value, (str, dict)):
        raise AnsibleFilterError(f"etcd_peer_tls_members: a list is wanted, not {plain(value)!r}")
    settings = ClusterSettings(
        name=plain(cluster_name),
        domain=plain(domain) or None,
        identity=plain(identity),
        shared_common_name=plain(shared_common_name) or None,
        peer_port=peer_port,
        client_port=client_port,
        client_tls=client_tls,
        loopback_sans=loopback_sans,
    )
    entries = [call(_complete, item) for item in plain(value)]
    return [member_as_dict(member) for member in call(make_members, entries, settings)]


class FilterModule:
    """Ansible jinja2 filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"etcd_members": etcd_members}
