# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Words in front of a command that gives it namespaces of its own.

Mounts stay as they are: the tests run in a Debian tree too, whose root is no mount that could be changed.
"""

from __future__ import annotations

OWN_MOUNTS = ("unshare", "--mount", "--propagation=unchanged")
OWN_HOST = (*OWN_MOUNTS, "--pid", "--fork", "--net", "--mount-proc")

__all__ = ("OWN_HOST", "OWN_MOUNTS")
