# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which CAs the members trust, by what lies on their hosts. Pure.

What they are to trust is told by the CA at hand and by who trusts what in common: ``change_authorities``.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Cluster


def trusted_fingerprints(cluster: Cluster) -> dict[str, list[str]]:
    """SHA-256 fingerprints of the CA certificates that each host trusts already, by member's name."""
    found: dict[str, list[str]] = {}
    for member, info in cluster.inspected():
        authority = ((info.get("credentials") or {}).get("ca")) or {}
        prints = [certificate["fingerprint"] for certificate in authority.get("certificates") or ()]
        if prints:
            found[member.name] = prints
    return found


def common_fingerprints(cluster: Cluster) -> list[str]:
    """The CA certificates that every host with a trust bundle trusts, sorted."""
    bundles = [set(prints) for prints in trusted_fingerprints(cluster).values()]
    return sorted(set.intersection(*bundles)) if bundles else []


__all__ = ("common_fingerprints", "trusted_fingerprints")
