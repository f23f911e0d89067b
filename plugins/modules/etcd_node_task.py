#!/usr/bin/python
# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_node_task
short_description: Run a module of Ansible's own on a host of an etcd cluster, and take no facts from it
version_added: 0.1.0
description:
  - A module's answer is what the host's Python prints. Ansible makes variables of some of it, so that a host that was
    broken into could change the settings of the run for all hosts.
  - This runs the module as a task of its own would, and returns whether something was changed or failed, its message,
    its warnings and its diff. All else in the host's answer is dropped.
author:
  - ringfence.etcd contributors (@ringfence)
extends_documentation_fragment:
  - ringfence.etcd.attributes
attributes:
  check_mode:
    support: full
    details:
      - As the module has it.
  diff_mode:
    support: full
    details:
      - As the module has it.
  idempotent:
    support: full
    details:
      - As the module has it.
options:
  module:
    description: The module.
    type: str
    required: true
    choices: [ansible.builtin.group, ansible.builtin.package, ansible.builtin.user]
  arguments:
    description: The module's options.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Make the group that etcd runs as
  ringfence.etcd.etcd_node_task:
    module: ansible.builtin.group
    arguments:
      name: etcd
      system: true

- name: Make the user that etcd runs as
  ringfence.etcd.etcd_node_task:
    module: ansible.builtin.user
    arguments:
      name: etcd
      group: etcd
      system: true
      create_home: false
"""

RETURN = r"""
msg:
  description: What the module says, in one line.
  returned: failure
  type: str
"""
