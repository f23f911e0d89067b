# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The preflight checks of a CA in its folder: what the modules that read and use it would say after other changes.

Pure. Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.pending_changes import CERTIFICATE
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightFailure,
    has_data,
    is_managed,
    reported_lists,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.trust import (
    common_fingerprints,
    trusted_fingerprints,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import read_chain

T = t.TypeVar("T")

_OR_NEW = ", or change to a new one with etcd_peer_tls_new_ca: true"


def refuse_new_authority(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """A folder without a CA is a wrong one where hosts have certificates: that is known before any change."""
    because = None
    if cluster.question.makes_authority and cluster.question.uses_authority:
        because = why_no_new_authority(cluster)
    if because is not None:
        yield PreflightFailure(
            "ca_missing",
            f"cluster {cluster.question.cluster_name}: there is no CA in the folder of etcd_peer_tls_ca_directory, and "
            f"making one was refused: {because}",
        )


def refuse_other_authority(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """The CA in use is one that the hosts trust: all of them one that is given as content.

    One in its folder may be the new one of a change that has begun, which some host trusts. A parent that is trusted is
    not enough: what is issued goes to the members without the CA's own certificate.
    """
    question = cluster.question
    if question.ca_certificate:
        trusted = common_fingerprints(cluster)
        # One that can't be read is refused here.
        given = read_chain(question.ca_certificate, "etcd_peer_tls_ca_certificate") if trusted else None
        where, instead = "certificate in etcd_peer_tls_ca_certificate", "give the cluster's own CA"
    elif question.authority and question.uses_authority and not question.new_ca:
        trusted = sorted({one for prints in trusted_fingerprints(cluster).values() for one in prints})
        given = read_by(read_chain, question.authority)
        where = "one in the folder of etcd_peer_tls_ca_directory"
        instead = f"bring the CA that their certificates came from{_OR_NEW}"
    else:
        return
    if given is not None and trusted and given[0].fingerprint not in trusted:
        yield PreflightFailure(
            "other_ca",
            f"cluster {question.cluster_name}: the members trust CA {', '.join(short(p) for p in trusted)}, the "
            f"{where} is {short(given[0].fingerprint)}: {instead}",
        )


def read_by(read: t.Callable[[bytes, str], T], pem: str) -> T | None:
    """What is read of the CA's certificate; None where it can't be: reading the CA reports that."""
    try:
        return read(pem.encode("utf-8", "replace"), "the CA certificate")
    except RingfenceError:
        return None


def why_no_new_authority(cluster: Cluster) -> str | None:
    """Why a CA that does not exist must not be made in this run; None where there is none yet, or it was said."""
    if cluster.question.new_ca and reported_lists(cluster):
        return None
    missing = cluster.not_inspected()
    if missing:
        return f"{cluster.why_not_inspected()} and may trust a CA already: run once over all members"
    for member, info in cluster.inspected():
        authority = ((info.get("credentials") or {}).get("ca")) or {}
        if authority.get("state", "absent") != "absent":
            return f"{member.name} has {authority.get('path')} already: bring the CA that it came from{_OR_NEW}"
        if has_data(info) or is_managed(info) or (info.get("formed_marker") or {}).get("exists"):
            return f"{member.name} has been deployed already: bring the CA that its certificate came from{_OR_NEW}"
    return None


def why_not_by_another_authority(
    cluster: Cluster, pending: t.Iterable[t.Mapping[str, t.Any]]
) -> PreflightFailure | None:
    """No member that stands still gets a certificate of another CA while others, which may not trust it, are not seen.

    Of a cluster that runs, the plan of the change tells that.
    """
    unseen = cluster.not_inspected()
    if not unseen or reported_lists(cluster):
        return None
    names = [one["member"] for one in pending if one["part"] == CERTIFICATE and one["code"] == "other_ca"]
    if not names:
        return None
    return PreflightFailure(
        "ca_change_unseen",
        f"member {', '.join(names)}: a certificate of another CA is due, and {cluster.why_not_inspected()} and may not "
        "trust that one: run once over all members",
    )


def short(fingerprint: str) -> str:
    """A fingerprint as part of a line."""
    return f"sha256:{fingerprint[:16]}…" if len(fingerprint) > 16 else fingerprint


AUTHORITY_CHECKS: t.Final = (refuse_new_authority,)


__all__ = (
    "AUTHORITY_CHECKS",
    "read_by",
    "refuse_other_authority",
    "short",
    "why_no_new_authority",
    "why_not_by_another_authority",
)
