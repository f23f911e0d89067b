# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take a snapshot of a cluster: of which member (pure), and how it gets into a file without being held in memory.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import NO_SPACE
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RefusedError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api import Client
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import (
    SnapshotPart,
    Status,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_refusals import (
    AUTH,
    GATEWAY,
    TLS,
    USER,
    ApiError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.snapshot_file import SnapshotFile, summed
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    apply_changes,
    plan_directory,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.new_files import new_file

SNAPSHOT_MODE = 0o600
_FOLDER_MODE = 0o700
_ENDING = ".db"
_PREFIX = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}"
_FILE_NAME = re.compile(_PREFIX + r"-[0-9]{8}T[0-9]{6}Z\.db", re.ASCII)
# Room that is left for whoever else writes there: etcd itself makes each of its log files 64 MB large at once.
SPARE_BYTES = 128 * 1024 * 1024

# By an ApiError's kind; of a right that lacks, its own words tell which.
_REMEDIES = {
    AUTH: "RBAC is on there: give etcd_peer_tls_api_user, who needs the role root, and etcd_peer_tls_api_password",
    USER: "mend etcd_peer_tls_api_user and etcd_peer_tls_api_password",
    GATEWAY: "take --enable-grpc-gateway=false or --listen-client-http-urls out of its flags, or use etcdctl snapshot "
    "save there",
    TLS: "name the CA and the client pair that its client port takes",
}


@dataclass(frozen=True)
class Candidate:
    """A member that may be asked for a snapshot. ``problem``: why not, None where it is well."""

    name: str
    url: str
    status: Status | None = None
    problem: str | None = None

    @property
    def leads(self) -> bool:
        return self.status is not None and self.status.leader == self.status.member_id


# Pure -----------------------------------------------------------------------------------------------------------------


def chosen(candidates: t.Sequence[Candidate], me: str | None, wanted: str | None) -> tuple[Candidate, Status]:
    """The member that is asked, and what it says of itself: one that is well, no leader where another is, else ``me``.

    ``wanted``: the member whose data the user asked for, well or not. RefusedError where there is none.
    """
    if wanted is not None:
        one = next((one for one in candidates if one.name == wanted), None)
        if one is None:
            raise InputError(f"{wanted} is no member: {', '.join(each.name for each in candidates)} are")
        if one.status is None:
            raise RefusedError(f"no snapshot of {wanted}: {one.problem}: start etcd there", member=wanted)
        return one, one.status
    well = [(one, one.status) for one in candidates if one.problem is None and one.status is not None]
    clusters = {status.cluster_id for _one, status in well}
    if len(clusters) > 1:
        told = ", ".join(f"{one.name} {status.cluster_id}" for one, status in well)
        raise RefusedError(
            f"no snapshot is taken: these members are of different clusters ({told}): name the one whose data is "
            "wanted (etcd_peer_tls_snapshot_member)"
        )
    if not well:
        problems = "; ".join(f"{one.name}: {one.problem}" for one in candidates)
        raise RefusedError(
            f"no snapshot is taken: no member is healthy ({problems}): mend that, or name the member whose data is "
            "wanted as it is (etcd_peer_tls_snapshot_member)"
        )
    return min(well, key=lambda found: (found[0].leads, found[0].name != me, found[0].name))


def checked_prefix(prefix: str) -> str:
    """InputError where a text can't be what the name of a snapshot begins with."""
    if not re.fullmatch(_PREFIX, prefix, re.ASCII):
        raise InputError(
            f"prefix: {prefix[:100]!r}: letters, digits, '.', '_' and '-' are wanted, the first one no dot"
        )
    return prefix


def file_name(prefix: str, moment: datetime.datetime) -> str:
    """The name of a snapshot of this moment: prefix and time in UTC, so that names are in the order of time."""
    return f"{prefix}-{moment.astimezone(datetime.timezone.utc):%Y%m%dT%H%M%SZ}{_ENDING}"


def is_file_name(name: str) -> bool:
    """Whether a name is one of those that ``file_name`` gives."""
    return _FILE_NAME.fullmatch(name) is not None


# Effects --------------------------------------------------------------------------------------------------------------


def look_at(client: Client, name: str, url: str) -> Candidate:
    """What a member says of itself. Its health counts without an alarm for space, which a snapshot is no matter of."""
    try:
        status = client.status(url)
    except ApiError as exc:
        return Candidate(name, url, problem=_remedied(exc))
    if status.is_learner:
        return Candidate(name, url, status, "it is a learner, which sends no snapshot")
    health = client.health(url, without_alarm=NO_SPACE)
    return Candidate(name, url, status, None if health.healthy else health.problem)


def make_folder(path: str) -> None:
    """The folder of snapshots, for its owner alone; one that is there stays as it is."""
    if not os.path.isdir(path):
        apply_changes([plan_directory(WantedDirectory(path, _FOLDER_MODE))])


def needed_bytes(database_bytes: int) -> int:
    """The room that a snapshot has to find."""
    return database_bytes + SPARE_BYTES


def take(client: Client, one: Candidate, path: str, owner: tuple[int, int] | None = None) -> SnapshotFile:
    """Write the snapshot of a member to a new file; ``owner``: its user and group, where not this process's."""
    parts = client.snapshot(one.url)
    try:
        first = next(parts)
        called = os.path.join(os.path.dirname(path), "snapshot")
        with new_file(path, called, SNAPSHOT_MODE, needed_bytes(len(first.data) + first.left)) as file:
            found = summed(_written(file.stream, first, parts), f"what {one.name} sent")
            if owner is not None:
                os.fchown(file.stream.fileno(), *owner)
            return found
    except ApiError as exc:
        raise ServiceError(f"no snapshot of {one.name}: {_remedied(exc)}", member=one.name) from exc
    finally:
        parts.close()


def _remedied(exc: ApiError) -> str:
    remedy = _REMEDIES.get(exc.kind or "")
    return str(exc) if remedy is None else f"{exc}: {remedy}"


def _written(stream: t.IO[bytes], first: SnapshotPart, others: t.Iterator[SnapshotPart]) -> t.Iterator[bytes]:
    stream.write(first.data)
    yield first.data
    for part in others:
        stream.write(part.data)
        yield part.data


__all__ = (
    "SNAPSHOT_MODE",
    "SPARE_BYTES",
    "Candidate",
    "checked_prefix",
    "chosen",
    "file_name",
    "is_file_name",
    "look_at",
    "make_folder",
    "needed_bytes",
    "take",
)
