# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requirement of what makes keys and certificates, or reads certificates on the controller.

Note that this document fragment is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations


class ModuleDocFragment:
    # Must be kept in sync with MINIMAL_CRYPTOGRAPHY in plugins/module_utils/_x509/library.py.
    DOCUMENTATION = r"""
options: {}
requirements:
  - cryptography >= 36 (on the host that the module runs on)
"""

    # What runs on the controller reads certificates there.
    CONTROLLER = r"""
options: {}
requirements:
  - cryptography >= 36 (on the controller)
"""
