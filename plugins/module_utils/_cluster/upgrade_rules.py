# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From which version of etcd to which another one a cluster goes: the one place of these rules. Pure.

Each is one that members did not start again from, on real ones: learners and peer URLs that etcd 3.5.1 to 3.5.19 did
not write where 3.6 reads them (etcd issues 19557, 20793), and log entries of 3.5 that 3.7 can't read.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, dotted
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason

# From this one on, members as they are now get into the store that 3.6 reads.
_FIRST_THAT_WRITES_MEMBERS: Version = (3, 5, 20)
_PROPOSED_3_5 = "3.5.35"


def is_begun(running: t.Iterable[Version], target: Version) -> bool:
    """Whether a member runs the minor version already: what has begun needs no word to be finished."""
    return any(version[:2] == target[:2] for version in running)


def members_are_written_again(target: Version) -> bool:
    """Whether the members have to be written once more, unchanged, before the first one is of this version."""
    return target[:2] == (3, 6)


def reads_no_old_entries(target: Version) -> bool:
    """Whether this version does not start while its log has entries of etcd 3.5 or older."""
    return target[:2] == (3, 7)


def why_not_upgraded(running: t.Collection[Version], target: Version, is_said: bool) -> Reason | None:
    """Why members that run in these versions are not restarted in another one; None where nothing is against it."""
    lowest, highest = min(running), max(running)
    if highest > target:
        return _reason("downgrade", _why_no_downgrade(highest, target, is_begun(running, target)))
    if lowest[:2] == target[:2]:
        return None
    if not is_said and not is_begun(running, target):
        return _reason(
            "upgrade_not_said",
            f"the members run as etcd {dotted(lowest)}, and {dotted(target)} is another minor version: say so with "
            "etcd_peer_tls_upgrade: true",
        )
    if (target[0], target[1] - 1) != lowest[:2]:
        return _reason(
            "minor_left_out",
            f"the members run as etcd {dotted(lowest)}, and {dotted(target)} leaves out a minor version: upgrade to "
            f"{lowest[0]}.{lowest[1] + 1} first",
        )
    if members_are_written_again(target) and lowest < _FIRST_THAT_WRITES_MEMBERS:
        return _reason(
            "members_not_written",
            f"a member runs as etcd {dotted(lowest)}, which does not write promoted learners and new peer URLs where "
            f"3.6 reads them, and it might not start again: upgrade all to {_PROPOSED_3_5} first, then to 3.6",
        )
    return None


def _why_no_downgrade(highest: Version, target: Version, is_running: bool) -> str:
    if highest[:2] == target[:2]:
        way = f"name {dotted(highest)} or later"
    elif is_running:
        # The cluster as a whole has not moved yet.
        way = (
            f"finish the upgrade with {dotted(highest)}; or put the old program back where the new one runs (it is "
            "beside it, as etcd.replaced, if this role has exchanged it) and restart that etcd, one host at a time"
        )
    else:
        way = (
            f"etcd has to agree first (etcdctl downgrade enable {dotted(target[:2])}, from 3.6 on), then one member "
            "after the other by hand; or restore a snapshot of the older version (playbook restore)"
        )
    return f"a member runs as etcd {dotted(highest)}, and {dotted(target)} is older: {way}"


def _reason(code: str, text: str) -> Reason:
    return {"code": code, "text": text}


__all__ = ("is_begun", "members_are_written_again", "reads_no_old_entries", "why_not_upgraded")
