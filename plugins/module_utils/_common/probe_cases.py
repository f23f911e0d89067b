# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callers of a peer port: the member itself, and three that have to be refused.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

MEMBER = "member"
STRANGER = "stranger"
NO_CERTIFICATE = "no_certificate"
UNKNOWN_CA = "unknown_ca"
REVOKED = "revoked"

__all__ = ("MEMBER", "NO_CERTIFICATE", "REVOKED", "STRANGER", "UNKNOWN_CA")
