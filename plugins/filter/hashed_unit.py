# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: hashed_unit
short_description: Check a rendered etcd unit and put its configuration hash in
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Reads a rendered unit as systemd does and fails unless it starts etcd with exactly the arguments that are wanted. A
    template that glues a line to the next, or drops a flag, is found here and not when a member can't join any more.
  - Puts the SHA-256 of the text into its line C(Environment=RINGFENCE_CONFIGURATION_HASH=). A running etcd carries the
    hash of the unit that it was started from, so that M(ringfence.etcd.etcd_peer_service) knows whether a restart is
    due.
options:
  _input:
    description: The rendered unit.
    type: str
    required: true
  arguments:
    description: The arguments that etcd must get, as given by P(ringfence.etcd.etcd_arguments#filter).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
# With the flags that the filter etcd_arguments has made.
- name: Make the unit
  ansible.builtin.set_fact:
    unit: "{{ text | ringfence.etcd.hashed_unit(arguments) }}"
  vars:
    text: |
      [Unit]
      Description=etcd
      Wants=network-online.target
      After=network-online.target

      [Service]
      Type=notify
      User=etcd
      Environment=RINGFENCE_CONFIGURATION_HASH=
      Environment=ETCD_TLS_MIN_VERSION=TLS1.3
      ExecStart=/usr/bin/etcd {{ arguments | map('ringfence.etcd.systemd_quote') | join(' ') }}
      Restart=always

      [Install]
      WantedBy=multi-user.target
"""

RETURN = r"""
_value:
  description: The unit with its configuration hash.
  type: str
"""

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    check_rendered,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import call, plain


def hashed_unit(value: str, arguments: t.Sequence[str]) -> str:
    text = plain(value)
    call(check_rendered, text, plain(arguments))
    return t.cast(str, call(with_configuration_hash, text))


class FilterModule:
    """Ansible jinja2 filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"hashed_unit": hashed_unit}
