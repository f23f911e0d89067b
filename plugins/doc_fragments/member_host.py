# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the modules that gather the state of a member's host: where its parts are.

Note that this document fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description: The member's name, which is the name of its files.
    type: str
    required: true
  directory:
    description: Folder of the member's files.
    type: path
    default: /etc/etcd/pki
  owner:
    description: User that etcd runs as, who must be able to read the member's files.
    type: str
    default: etcd
  etcd_binary:
    description: etcd's program. It is started with C(--version).
    type: path
    default: /usr/bin/etcd
  unit:
    description: Name of the systemd unit.
    type: str
    default: etcd.service
  unit_directory:
    description:
      - Folder of the unit's file, as for M(ringfence.etcd.etcd_peer_service).
      - Where systemd does not read this folder, it is not asked, and the state has no process.
      - Without it the unit is looked for where systemd does.
    type: path
  data_dir:
    description: etcd's data folder. Without it, the one that the deployed unit names.
    type: path
"""
