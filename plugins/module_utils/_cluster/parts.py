# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a run that tags choose, and what may not be left out of them. Pure.

The checks come first in any run. A later part stands on the earlier ones: it is refused while one of these has pending
changes and is left out, since it would start etcd from files that are not what was checked.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

CA, CERTIFICATES, SERVICE, VERIFY = "ca", "certificates", "service", "verify"
# In the order of a run, the proof aside.
CHANGES = (CA, CERTIFICATES, SERVICE)
PARTS = (*CHANGES, VERIFY)
TAG_PREFIX = "etcd_"

_UNTAGGED = "untagged"


def is_selected(tags: t.AbstractSet[str], only: t.AbstractSet[str], skipped: t.AbstractSet[str]) -> bool:
    """Whether Ansible runs a task with these tags, given ``--tags`` and ``--skip-tags``."""
    tags = tags or {_UNTAGGED}
    is_tagged = tags != {_UNTAGGED}
    is_wanted = (
        not only
        or "always" in tags
        or bool(tags & only)
        or ("never" not in tags and ("all" in only or ("tagged" in only and is_tagged)))
    )
    if not is_wanted or not skipped:
        return is_wanted
    if "all" in skipped:
        return "always" in tags and "always" not in skipped
    return not tags & skipped and not ("tagged" in skipped and is_tagged)


def selected_parts(
    own_tags: t.Iterable[str], only: t.Iterable[str] = ("all",), skipped: t.Iterable[str] = ()
) -> list[str]:
    """The parts that this run does. ``own_tags``: what the user gave the role, or the play that it is in."""
    own = set(own_tags)
    return [part for part in PARTS if is_selected({*own, TAG_PREFIX + part}, set(only), set(skipped))]


def part_of(due: t.Mapping[str, t.Any]) -> str:
    """The part that does what is due; an entry of ``cluster_pending_changes``."""
    if due["part"] in ("etcd", "service", "membership"):
        return SERVICE
    # The CA of the cluster is made, that of a member is put on its host. What nobody knows stands before all else.
    return CA if due["member"] is None else CERTIFICATES


def why_not_parted(due: t.Sequence[t.Mapping[str, t.Any]], parts: t.Container[str]) -> list[str]:
    """Why the parts of a run may not be done without those that are left out: a line for each of these."""
    chosen = [part for part in CHANGES if part in parts]
    if not chosen:
        return []
    before = CHANGES[: CHANGES.index(chosen[-1])]
    lines = []
    for part in before:
        found = [one for one in due if part_of(one) == part]
        if part not in parts and found:
            whose = "the CA" if found[0]["member"] is None else f"member {found[0]['member']}"
            lines.append(
                f"{TAG_PREFIX}{chosen[-1]} is run without {TAG_PREFIX}{part}, which has pending changes ({whose}: "
                f"{found[0]['code']}): run with both tags, or with none"
            )
    return lines


__all__ = (
    "CA",
    "CERTIFICATES",
    "CHANGES",
    "PARTS",
    "SERVICE",
    "TAG_PREFIX",
    "VERIFY",
    "is_selected",
    "part_of",
    "selected_parts",
    "why_not_parted",
)
