# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a run has anything to do: all pending changes of a cluster, each with its reason. Pure.

Empty means that CA, hosts and processes are as they should be, and that the run may end with its proof. In doubt
a change is pending: then the modules that do the work decide for themselves, and may find that there is nothing to do.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.membership_changes import membership_changes
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    Info,
    is_install_pending,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.shared_certificates import shared_with
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import split_pem
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import issuer_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import certificate_facts
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.renewal import certificate_due, certificate_name

CA, CERTIFICATE, ETCD, HOST, MEMBERSHIP = "ca", "certificate", "etcd", "host", "membership"

# Only the dates of a certificate that is about to be issued depend on it.
BACKDATE_MINUTES = 60


class PendingChange(t.TypedDict):
    """One thing to do: of which member (None: the whole cluster), in which part, a code, and the reason in one line."""

    member: str | None
    part: str
    code: str
    text: str


@dataclass(frozen=True)
class WantedCluster:
    """What the certificates should be, and whether etcd is to be installed (``none``, ``package``, ``archive``)."""

    key_type: str = "ecdsa-p256"
    validity_days: int = 365
    renew_before_days: int = 30
    new_keys: bool = False
    install: str = "none"
    archive: str = ""


@dataclass(frozen=True)
class FoundPending:
    """What was found beside the facts of each host: the CA, and the pending changes that each host reported.

    ``authority``: the CA's certificate (PEM), None where there is none to use. ``authority_due``: reasons, each with
    ``code`` and ``text``. ``hosts_due``: by member's name, None where that host was not asked.
    """

    authority: str | None = None
    # What every member is to trust: that CA, and those that all trust beside it. None: the CA alone.
    trust_bundle: str | None = None
    authority_pending: t.Sequence[t.Mapping[str, str]] = ()
    hosts_pending: t.Mapping[str, t.Sequence[t.Mapping[str, str]] | None] = field(default_factory=dict)


def cluster_pending_changes(
    cluster: Cluster, wanted: WantedCluster, found: FoundPending, now: datetime.datetime
) -> list[PendingChange]:
    """All that is to be done, the CA first, then member by member."""
    pending = [_pending(None, CA, reason["code"], reason["text"]) for reason in found.authority_pending]
    if found.authority is None and not pending:
        pending.append(_pending(None, CA, "missing", "there is no CA certificate at hand"))
    pending += _pending_members(cluster)
    inspected = list(cluster.inspected())
    if not inspected:
        pending.append(_pending(None, HOST, "not_asked", "no host was looked at"))
    for member, info in inspected:
        pending += _pending_install(member, info, wanted)
        reasons = found.hosts_pending.get(member.name)
        if reasons is None:
            pending.append(_pending(member.name, HOST, "not_asked", "nobody asked this host what is due there"))
        else:
            pending += [_pending(member.name, one["part"], one["code"], one["text"]) for one in reasons]
        if found.authority is not None:
            if not _is_same_bundle(info["credentials"]["ca"]["pem"], found.trust_bundle or found.authority):
                pending.append(_pending(member.name, CA, "content", "its trust bundle is not the one that is wanted"))
            pending += _pending_certificate(cluster, member, wanted, found.authority, now)
    return pending


def _pending_members(cluster: Cluster) -> t.Iterator[PendingChange]:
    changes = membership_changes(cluster)
    for one in changes.removals:
        text = f"member {one.name or one.member_id} ({', '.join(one.peer_urls)}) is to be removed from the cluster"
        yield _pending(None, MEMBERSHIP, "remove", text)
    for name in changes.joins:
        yield _pending(name, MEMBERSHIP, "join", f"member {name} is to join the cluster")


def _pending_install(member: Member, info: Info, wanted: WantedCluster) -> t.Iterator[PendingChange]:
    etcd = info["etcd"]
    # What was tried already waits for its turn.
    if not etcd.get("staged") and is_install_pending(etcd["found"], etcd["version"], wanted.install, wanted.archive):
        yield _pending(member.name, ETCD, "install", f"etcd is to be installed (found: {etcd['version'] or 'none'})")


def _pending_certificate(
    cluster: Cluster, member: Member, wanted: WantedCluster, authority: str, now: datetime.datetime
) -> t.Iterator[PendingChange]:
    credentials = cluster.infos[member.name]["credentials"]
    try:
        profile = rules.peer_profile(
            member.name, member.common_name, member.dns_names, member.ip_addresses, wanted.key_type
        )
        issuer = issuer_facts(authority.encode(), "the CA certificate")
        renewal = rules.renewal_rules(wanted.validity_days, wanted.renew_before_days, BACKDATE_MINUTES)
        pem = credentials["certificate"]["pem"]
        reasons = certificate_due(
            profile,
            pem,
            credentials["private_key"]["matches_certificate"],
            issuer,
            renewal,
            now,
            new_key_requested=wanted.new_keys,
        )
        if not reasons and rules.is_due(certificate_facts(pem.encode(), certificate_name(profile)), renewal, now):
            # Nothing is to be issued, but issuing gives a warning: the CA itself ends soon.
            reasons = [
                Reason(code="ca_ends_soon", text="the certificate ends with the CA and can't be renewed for longer")
            ]
    except RingfenceError as exc:
        reasons = [Reason(code=exc.problem, text=str(exc))]
    others = ", ".join(shared_with(cluster, member))
    if others:
        text = f"its certificate is good for {others} as well, so its key may lie there, too: it gets a new one"
        reasons = [*reasons, Reason(code="new_key_requested", text=text)]
    for reason in reasons:
        yield _pending(member.name, CERTIFICATE, reason["code"], reason["text"])


def _is_same_bundle(pem: str | None, authority: str) -> bool:
    """Whether a trust bundle has just the CA's certificates, however its lines end."""
    if (pem or "").strip() == authority.strip():
        return True
    try:
        found, wanted = (
            {block.der for block in split_pem(text.encode("utf-8", "replace"), "the trust bundle")}
            for text in (pem or "", authority)
        )
    except RingfenceError:
        return False
    return found == wanted


def _pending(member: str | None, part: str, code: str, text: str) -> PendingChange:
    return {"member": member, "part": part, "code": code, "text": text}


__all__ = (
    "BACKDATE_MINUTES",
    "CA",
    "CERTIFICATE",
    "ETCD",
    "HOST",
    "MEMBERSHIP",
    "FoundPending",
    "PendingChange",
    "WantedCluster",
    "cluster_pending_changes",
)
