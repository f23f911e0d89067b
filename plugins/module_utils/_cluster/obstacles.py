# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a restart from being guarded until somebody does something about it, and what that is. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import re
import typing as t

_ONE_BY_ONE = "restart by force, one host at a time: --limit HOST -e etcd_peer_tls_force_restart=true"

# The alarm of a database that has reached its quota: etcd takes no writes, and grants no lease.
NO_SPACE = "NOSPACE"
# What etcd has for no quota, or 0 (server/storage/quota.go).
_DEFAULT_QUOTA_BYTES = 2 * 1024 * 1024 * 1024

# By an ApiError's kind.
OBSTACLE_REMEDIES = {
    "auth": "its etcd has RBAC switched on (auth enable), under which its API refuses a member's certificate, so that "
    "nobody can tell whether a restart is safe: set etcd_peer_tls_api_user and etcd_peer_tls_api_password "
    "(a user without a role is enough: etcdctl user add NAME) with the CA's private key at hand in the "
    "run; where it is not, or clients have a CA of their own, also etcd_peer_tls_api_cert_file and "
    "etcd_peer_tls_api_key_file (a client pair without a common name, on each node); or switch RBAC off "
    f"for the run (etcdctl auth disable, then auth enable); or {_ONE_BY_ONE}",
    "user": "its etcd has RBAC switched on and does not take the user of etcd_peer_tls_api_user with "
    "etcd_peer_tls_api_password, so that nobody can tell whether a restart is safe: mend them, or make the user (no "
    f"role is needed): etcdctl user add NAME; or {_ONE_BY_ONE}",
    "right": "its etcd has RBAC switched on and the user of etcd_peer_tls_api_user may not ask what a restart has to "
    f"know: grant it the role root (etcdctl user grant-role NAME root); or {_ONE_BY_ONE}",
    "gateway": "its etcd runs with --enable-grpc-gateway=false or --listen-client-http-urls, so that nobody can tell "
    f"whether a restart is safe: take the flag out, and {_ONE_BY_ONE}",
    "tls": "its client port refuses the client files that this run names, so that nobody can tell whether a restart is "
    "safe: put back the CA and the pair that it was started with",
}
ALARM_REMEDIES = {
    NO_SPACE: "compact and defragment (etcdctl compact REVISION, etcdctl defrag --cluster), then etcdctl alarm "
    "disarm; where the data needs a larger quota, set quota-backend-bytes in etcd_peer_tls_extra_flags on all members "
    "and run: that is rolled out under the alarm, one by one, and then disarm it",
    "CORRUPT": "its data differs from the others': remove that member, let it join with an empty data folder, then "
    "etcdctl alarm disarm",
}

# Why a member that has an alarm is not healthy, in etcd's words.
_ALARM = re.compile(r"\bALARM ([A-Z]+)\b")
_NO_SPACE_WORDS = "database space exceeded"


def alarm_in(problem: str) -> str | None:
    """The alarm that a refusal by etcd is about."""
    match = _ALARM.search(problem)
    if match is not None and match.group(1) in ALARM_REMEDIES:
        return match.group(1)
    return NO_SPACE if _NO_SPACE_WORDS in problem else None


def is_larger_quota(before: t.Mapping[str, str], after: t.Mapping[str, str]) -> bool:
    """Whether one set of flags gives etcd more space than another; in doubt it does not."""
    found = [_quota_bytes(flags.get("quota-backend-bytes", "0")) for flags in (before, after)]
    return None not in found and t.cast(float, found[1]) > t.cast(float, found[0])


def _quota_bytes(text: str) -> float | None:
    """As etcd reads it: 0 is its default, and less than that no limit at all."""
    try:
        number = int(text, 0)
    except ValueError:
        return None
    return float("inf") if number < 0 else number or _DEFAULT_QUOTA_BYTES


__all__ = ("ALARM_REMEDIES", "NO_SPACE", "OBSTACLE_REMEDIES", "alarm_in", "is_larger_quota")
