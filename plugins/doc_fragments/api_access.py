# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of modules that ask etcd's API: its client files, and (``user``) what it wants where RBAC is on.

Note that this document fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  client_ca_file:
    description:
      - File on the host with the trust bundle for the members' client URLs. Without it they must be C(http).
    type: path
  client_cert_file:
    description:
      - File on the host with the client certificate that is shown to the members.
    type: path
  client_key_file:
    description:
      - File on the host with the private key of O(client_cert_file).
    type: path
"""

    USER = r"""
options:
  api_user:
    description:
      - User of etcd's RBAC as which the module asks its API. A user without a role is enough, but to change
        members or to take a snapshot, for which etcd asks for the role V(root). Where RBAC is off, the module does not
        use it.
    type: str
  api_password:
    description: Password of O(api_user).
    type: str
  api_cert_file:
    description:
      - File with a client certificate without a common name, which the client port trusts. Under RBAC etcd's gateway
        refuses one with a common name, and then this pair is used.
    type: path
  api_key_file:
    description: File with the private key of O(api_cert_file).
    type: path
  api_certificate:
    description: Such a certificate as PEM, in place of O(api_cert_file). It touches no disk.
    type: str
  api_private_key:
    description: The private key of O(api_certificate) as PEM.
    type: str
"""
