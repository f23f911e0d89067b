# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The common names that a list has to have: those that each member's port has shown to all other members' hosts. Pure.

No host says its own name. What it presents is what the others were shown, all of them the same, signed by the CA that
all of them trust. Where one of them did not see it, the name is not known.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_common_name
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Cluster
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import Claim, certificates_in, issued_by

# What a list's quoting in one of its places would not stand.
_UNLIKELY = frozenset("\"'\\$`[]{}")
# A takeover makes no certificates.
KEEP = (
    "ringfence.etcd.adopt with -e etcd_adopt_keep_certificates=true takes the members as they are, and "
    "ringfence.etcd.site with -e etcd_peer_tls_new_ca=true then gives each a certificate of its own, and the list"
)

Problem = tuple[t.Optional[Claim], str, str]


def names_shown(cluster: Cluster) -> tuple[dict[str, str], list[Problem]]:
    """By member its common name; and why one is not known, or can't be on a list."""
    names: dict[str, str] = {}
    certificates, problems = certificates_shown(cluster)
    for claim in cluster.members:
        if claim.name not in certificates:
            continue
        try:
            names[claim.name] = _name(certificates[claim.name])
        except _NotShown as exc:
            problems.append((claim, str(exc), exc.way))
    for name in sorted(set(names.values())):
        owners = [member for member, found in names.items() if found == name]
        if len(owners) > 1:
            problems.append((None, f"{', '.join(owners)} present one common name ({name})", KEEP))
    return names, problems


def certificates_shown(cluster: Cluster) -> tuple[dict[str, Certificate], list[Problem]]:
    """By member what its port presents, of the CA that all trust; and why it is not known. Its name is no matter."""
    found: dict[str, Certificate] = {}
    problems: list[Problem] = []
    for claim in cluster.members:
        try:
            found[claim.name] = _certificate(claim, cluster)
        except _NotShown as exc:
            problems.append((claim, str(exc), exc.way))
    return found, problems


class _NotShown(Exception):
    def __init__(self, why: str, way: str) -> None:
        super().__init__(why)
        self.way = way


def _certificate(claim: Claim, cluster: Cluster) -> Certificate:
    certificate = _shown(claim, cluster)
    own = claim.peer_certificate.first
    if own is None or own.fingerprint != certificate.fingerprint:
        raise _NotShown("its port presents another certificate than its file has", "restart it, or mend that file")
    for other in cluster.members:
        if not issued_by(certificate, other.peer_authority.certificates):
            raise _NotShown(f"its certificate is not of the CA that {other.name} trusts", "mend the CA files first")
    return certificate


def _name(certificate: Certificate) -> str:
    try:
        name = checked_common_name(certificate.common_name or "", "its common name")
    except InputError as exc:
        raise _NotShown(str(exc), KEEP) from None
    if _UNLIKELY & set(name):
        raise _NotShown(f"its common name {name!r} has a character that no list should have", KEEP)
    return name


def _shown(claim: Claim, cluster: Cluster) -> Certificate:
    """The one certificate that the hosts of all other members were shown."""
    found: dict[str, Certificate] = {}
    for other in cluster.members:
        if other.host == claim.host:
            continue
        answer = cluster.run.calls.get(other.host)
        seen = [one["pem"] for one in (answer or {}).get("served", ()) if one["to"] == claim.name]
        first = [certificate for pem in seen for certificate in _readable(pem)[:1]]
        if not first:
            raise _NotShown(f"{other.name} was not shown its certificate", "see that it reaches that peer port")
        found.update((certificate.fingerprint, certificate) for certificate in first)
    if len(found) != 1:
        raise _NotShown("the others were shown different certificates", "see what answers at that peer port")
    return next(iter(found.values()))


def _readable(pem: str) -> tuple[Certificate, ...]:
    try:
        return certificates_in(pem)
    except RingfenceError:
        return ()


__all__ = ("KEEP", "Problem", "certificates_shown", "names_shown")
