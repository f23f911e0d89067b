# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is round the members afterwards: the list of their names, or what there is now. Pure.

A list tells apart who presents a name of its own. Members that share a certificate, or a common name, keep what they
have until each has its own.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.evidence import Cluster
from ansible_collections.ringfence.etcd.plugins.plugin_utils._takeover.names import (
    Problem,
    certificates_shown,
    names_shown,
)


class Fence(t.NamedTuple):
    """``names``: on the list; none where there is no list. ``problems``: why that is not known, or can't be.

    ``has_tls``: whether peers ask each other for a certificate then.
    """

    names: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    has_tls: bool = True
    is_kept: bool = False


NO_FENCE = Fence(has_tls=False)


def list_of_names(cluster: Cluster) -> Fence:
    """The list of all members' own names."""
    shown, problems = names_shown(cluster)
    return Fence(tuple(sorted(set(shown.values()))), tuple(problems))


def as_it_is(cluster: Cluster) -> Fence:
    """No list where there is none; else the one that has just what the members present."""
    shown, problems = certificates_shown(cluster)
    names = {certificate.common_name or "" for certificate in shown.values()}
    others = [claim for claim in cluster.members if not claim.told["managed"]]
    lists = {claim.name: set((claim.settings or {}).get("allowed_common_names") or ()) for claim in cluster.members}
    if not others or not any(lists.values()):
        return Fence((), tuple(problems), is_kept=True)
    way = f"let all members have a list of just {', '.join(sorted(names))}, or none, before that"
    for claim in others:
        if lists[claim.name] != names:
            told = ", ".join(sorted(lists[claim.name])) or "none"
            problems.append((claim, f"its list of allowed names is not what the members present ({told})", way))
    return Fence(tuple(sorted(names)), tuple(problems), is_kept=True)


def are_told_apart(cluster: Cluster) -> bool:
    """Whether each member presents a name of its own that a list can have."""
    return not names_shown(cluster)[1]


def names_of_several(cluster: Cluster) -> set[str]:
    """The common names that more than one member presents."""
    found = [certificate.common_name or "" for certificate in certificates_shown(cluster)[0].values()]
    return {name for name in found if found.count(name) > 1}


__all__ = ("NO_FENCE", "Fence", "are_told_apart", "as_it_is", "list_of_names", "names_of_several")
