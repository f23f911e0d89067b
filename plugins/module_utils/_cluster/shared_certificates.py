# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the key of a member's certificate may be another member's, too. Pure.

Members that share a certificate are called by their own addresses, and go only by one that is good for all of these. So
one that is good for no other member's address was never shared. This shows in each certificate by itself, and the last
that has the old one gets a new key as the first did, also where a run was killed between them.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import Cluster
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import certificate_facts


def shared_with(cluster: Cluster, member: Member) -> list[str]:
    """The other members whose address is in a member's certificate, but for what is to be in it.

    Empty where there is none that can be read: it gets a new key in any case.
    """
    files = (cluster.infos.get(member.name) or {}).get("credentials") or {}
    pem = (files.get("certificate") or {}).get("pem")
    try:
        facts = certificate_facts(pem.encode("utf-8", "replace"), "the certificate") if pem else None
    except RingfenceError:
        return []
    if facts is None:
        return []
    names = {*facts.dns_names, *facts.ip_addresses} - {*member.dns_names, *member.ip_addresses}
    return [other.name for other in cluster.members if other is not member and _has(names, other.address)]


def _has(names: t.Collection[str], address: str) -> bool:
    """Whether one of the names stands for an address: the same, or a wildcard in the place of its first label."""
    wanted = address.lower()
    return any(name.lower() in (wanted, f"*.{wanted.partition('.')[2]}") for name in names)


__all__ = ("shared_with",)
