# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks for a run that could not go on to its end, or only at another cluster's cost.

Pure, as ``preflight``.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_running import pending_restarts
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightFailure,
    one_line,
)


def refuse_half_a_cluster(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """No unit is written for a restart that will not be: it waits for every host of the play to have its files.

    Who is left out by the user (--limit) is no host of the play.
    """
    missing = [name for name in cluster.not_inspected() if name in cluster.question.play]
    pending = pending_restarts(cluster) if missing else []
    if pending:
        yield PreflightFailure(
            "hosts_missing",
            f"cluster {cluster.question.cluster_name}: a restart is due on {', '.join(pending)}, and "
            f"{', '.join(missing)} can't be seen in this run (unreachable, failed, or in another batch of serial): no "
            "member is restarted before all hosts of the run have their files, so nothing is written: mend that host, "
            "leave it out with --limit, or take serial out of the play",
        )


def refuse_shared_folder(cluster: Cluster) -> t.Iterator[PreflightFailure]:
    """Each cluster has a certificate folder of its own on a host: in one the second CA takes the first's place."""
    for member, info in cluster.inspected():
        folder = _folder_of(info)
        others = [one for one in info.get("folder_users") or () if one.get("cluster") != cluster.question.cluster_name]
        if others:
            one = others[0]
            who = one_line(one.get("unit") or f"process {one.get('pid')}")
            whose = (
                f"cluster {one_line(one['cluster'])}" if one.get("cluster") else "an etcd that is not of this cluster"
            )
            yield _shared(member.name, folder, f"{who}, {whose}, has its certificates there")
            continue
        number = info.get("folder")
        same = sorted(
            f"{name} of cluster {whose}"
            for name, (whose, other) in cluster.question.folders_of_others.items()
            if number is not None and other == number
        )
        if same:
            yield _shared(member.name, folder, f"{', '.join(same)} is to have its certificates in the very same folder")


def _folder_of(info: t.Mapping[str, t.Any]) -> str:
    path = one_line(((info.get("credentials") or {}).get("ca") or {}).get("path") or "")
    return path.rpartition("/")[0] or "the folder of the certificates"


def _shared(name: str, folder: str, why: str) -> PreflightFailure:
    return PreflightFailure(
        "folder_shared",
        f"member {name}: {why} ({folder}), and one CA would take the other's place: give each cluster a folder of its "
        "own on this host (etcd_peer_tls_directory)",
    )


def refuse_key_custody(
    cluster: Cluster, custody: t.Mapping[str, str], names: t.Collection[str]
) -> t.Iterator[PreflightFailure]:
    """Nodes that are to make their own keys all say so, and have what that takes.

    ``custody``: who makes it, by member; ``names``: of the members that need a new one.
    """
    if len(set(custody.values())) > 1:
        said = ", ".join(f"{name} {who}" for name, who in custody.items())
        yield PreflightFailure(
            "key_custody",
            f"cluster {cluster.question.cluster_name}: etcd_peer_tls_key_custody is one for all members, and it is "
            f"{said}: set it for the whole group",
        )
    lacking = [
        member.name
        for member, info in cluster.inspected()
        if member.name in names and custody.get(member.name) == "node" and not info["key_maker"]
    ]
    if lacking:
        yield PreflightFailure(
            "key_maker",
            f"member {', '.join(lacking)}: a new private key is due, and nothing there makes one (no openssl, and no "
            "cryptography for its Python): install the package openssl there, or leave the keys to the CA's host "
            "(etcd_peer_tls_key_custody: ca)",
        )


GOING_ON_CHECKS: tuple[t.Callable[[Cluster], t.Iterator[PreflightFailure]], ...] = (
    refuse_half_a_cluster,
    refuse_shared_folder,
)

__all__ = ("GOING_ON_CHECKS", "refuse_key_custody")
