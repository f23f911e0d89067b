# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts of a cluster are gone, and what the others must not do without them. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

PASS, UNIT, RESTART, UPGRADE, RESTORE, REVOKE = "pass", "unit", "restart", "upgrade", "restore", "revoke"


def gone_hosts(
    members: t.Iterable[t.Mapping[str, t.Any]], there: t.Container[str], wanted: t.Callable[[str, str], bool]
) -> list[str]:
    """The hosts of members that are wanted, by member's name and host, and are not there any more."""
    return [one["host"] for one in members if wanted(one["name"], one["host"]) and one["host"] not in there]


def why_gone(gone: t.Sequence[str], before: str, host: str) -> str:
    """What a host that waits before a step is told."""
    names = ", ".join(gone)
    if before == RESTORE:
        return (
            f"A restore is under way, and {names} failed or could not be reached any more: {host} waits, since all "
            "members begin from the same snapshot: mend that host, and run the same command again, which goes on"
        )
    if before == PASS:
        return (
            f"A change in several steps is under way, and {names} failed or could not be reached any more: {host} "
            "waits: mend that host and run again, which goes on from here"
        )
    if before == UNIT:
        return (
            f"{names} failed or could not be reached any more since the cluster was checked: no unit is written and "
            "nothing restarted on the others: mend that host and run again, or leave it out with --limit"
        )
    if before == REVOKE:
        return (
            f"{names} failed or could not be reached any more: nothing is revoked while one of the members may present "
            "its old certificate: mend that host and run the same again"
        )
    if before == UPGRADE:
        return (
            f"{names} failed or could not be reached any more: {host} is not upgraded: mend that host and run "
            "again, which goes on from here"
        )
    return (
        f"A restart is due on {host}, and {names} did not get its files yet (failed, unreachable, or a later batch of "
        "serial): mend that host, leave it out with --limit, or take serial out of the play"
    )


__all__ = ("PASS", "RESTART", "RESTORE", "REVOKE", "UNIT", "UPGRADE", "gone_hosts", "why_gone")
