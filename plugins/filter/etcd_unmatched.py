# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: etcd_unmatched
short_description: Say why a play on a pattern of hosts would run on none of them
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Ansible takes a play whose pattern matches no host for a success, and so does a schedule that was to watch a
    cluster. With this a play before it can fail.
  - Each part of the pattern has to match a host of the inventory, so that of two clusters not one is left out because
    its group was renamed.
options:
  _input:
    description: The pattern, as in a play's C(hosts).
    type: raw
    required: true
  groups:
    description: The inventory's groups, each with its hosts, C(groups).
    type: dict
    required: true
  run_hosts:
    description: The hosts of a play on all hosts, C(ansible_play_hosts_all); O(limit) has been applied to them.
    type: list
    elements: str
    required: true
  limit:
    description: What C(--limit) says, C(ansible_limit).
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Hosts
  hosts: all,localhost
  gather_facts: false
  tasks:
    - name: Stop where there is no host to be fenced
      ansible.builtin.assert:
        that: why == ''
        fail_msg: "{{ why }}"
      run_once: true
      vars:
        why: "{{ 'etcd' | ringfence.etcd.etcd_unmatched(groups, ansible_play_hosts_all, ansible_limit | default('')) }}"
"""

RETURN = r"""
_value:
  description: One line, or an empty text where the play has hosts.
  type: str
"""

import typing as t

from ansible.errors import AnsibleError, AnsibleFilterError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.parsing.dataloader import DataLoader
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain

# How many groups or hosts a line names.
_NAMES = 12
_REMEDY = (
    "give the right one with -e etcd_peer_tls_hosts=... (the inventory can't choose a play's hosts), or make the group"
)


def etcd_unmatched(value: t.Any, groups: t.Mapping[str, t.Any], run_hosts: t.Sequence[str], limit: str = "") -> str:
    pattern, known, given = plain(value), plain(groups), plain(run_hosts)
    inventory = _inventory(known)
    parts = split_host_pattern(pattern)
    shown = ",".join(parts)
    for part in parts:
        # The others only take hosts away.
        if part[:1] not in "!&" and not _matched(inventory, [part]):
            if not any(known.values()):
                return "the inventory has no host, so that no play runs on any: give one with -i"
            empty = part in known
            why = f"the group {part} has no host" if empty else f"the pattern {part!r} matches no host"
            return f"{why}; the inventory's groups are {_groups(known)}: {_REMEDY}"
    matched = _matched(inventory, parts)
    if not matched:
        return f"the pattern {shown!r} leaves no host; the inventory's groups are {_groups(known)}: {_REMEDY}"
    if not set(matched) & set(given):
        return (
            f"--limit {plain(limit) or '...'} leaves none of the hosts "
            f"of {shown!r} ({_some(matched)}): mend it, or leave it out"
        )
    return ""


def _inventory(groups: t.Mapping[str, t.Sequence[str]]) -> InventoryManager:
    """Ansible's own reading of patterns, on the groups as they are."""
    inventory = InventoryManager(DataLoader(), parse=False)
    for group, hosts in groups.items():
        inventory.add_group(group)
        for host in hosts:
            inventory.add_host(host, group=group)
    return inventory


def _matched(inventory: InventoryManager, parts: list[str]) -> list[str]:
    try:
        return [host.name for host in inventory.get_hosts(pattern=parts)]
    except AnsibleError as exc:
        if "Could not match supplied host pattern" in str(exc):
            # What host_pattern_mismatch=error makes of a pattern without hosts.
            return []
        raise AnsibleFilterError(f"the pattern {','.join(parts)!r} can't be read: {exc}") from exc


def _groups(groups: t.Mapping[str, t.Sequence[str]]) -> str:
    own = {name: len(hosts) for name, hosts in sorted(groups.items()) if name not in ("all", "ungrouped")}
    return _some([f"{name} ({count} host{'s' if count != 1 else ''})" for name, count in own.items()]) or "none at all"


def _some(names: t.Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


class FilterModule:
    """Ansible jinja2 filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"etcd_unmatched": etcd_unmatched}
