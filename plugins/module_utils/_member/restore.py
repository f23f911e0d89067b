# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's part in the restore of its cluster: its new data is made beside the old, and takes its place later.

All that can fail (the program, the snapshot, the room) comes before anything is stopped, on every host. The old data
is renamed in its folder and never removed. Who is killed in between leaves a unit that is off and a member whose IDs
tell whether its data is the restored one.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.restored import restored_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    RefusedError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import restore_tool, trial
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.snapshot_file import summed_file
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.wal import has_run, read_identity
from ansible_collections.ringfence.etcd.plugins.module_utils._member.formed import MemberPlace, plan_marker
from ansible_collections.ringfence.etcd.plugins.module_utils._member.program_exchange import ProgramPlace
from ansible_collections.ringfence.etcd.plugins.module_utils._member.snapshot import SPARE_BYTES
from ansible_collections.ringfence.etcd.plugins.module_utils._node.file_moves import move_to, put_aside, remove_folder
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    apply_changes,
    plan_directory,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.new_files import check_room
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import open_regular, os_error, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_of

_DATA_DIRECTORY_MODE = 0o700
_CREDENTIALS_MODE = 0o755
_STAGED = ".ringfence-restored"
# Where programs are beside etcd's own folder.
_FOLDERS = ("/usr/local/bin", "/usr/bin")
_IDLE = ("inactive", "failed")


@dataclass(frozen=True)
class RestoredMember:
    """What a member is restored as, and where."""

    name: str
    peer_urls: t.Mapping[str, str]
    token: str
    place: MemberPlace
    unit: str
    unit_directory: str
    etcd_binary: str

    @property
    def identity(self) -> tuple[str, str]:
        return restored_identity(self.token, self.peer_urls, self.name)

    @property
    def staged(self) -> str:
        """The folder in which the new data is made."""
        return os.path.join(self.place.data_dir, _STAGED)

    @property
    def staged_log(self) -> str | None:
        """Where its log is made, where that has a folder of its own: on the same file system."""
        return None if self.place.wal_dir is None else f"{self.place.wal_dir}{_STAGED}"

    @property
    def moves(self) -> tuple[tuple[str, str], ...]:
        """From where to where what was made is moved; the log last, by which the data is known."""
        data = (os.path.join(self.staged, "new", "member"), os.path.join(self.place.data_dir, "member"))
        if self.place.wal_dir is None or self.staged_log is None:
            return (data,)
        return (data, (self.staged_log, self.place.wal_dir))


class Found(t.NamedTuple):
    """What there is of a member on its host now."""

    restored: bool
    # Whether the restored data has gone on since; in doubt it has.
    has_run: bool
    running: bool
    enabled: bool
    # The paths of the data that would be put aside.
    data: tuple[str, ...]
    member_id: str | None


def look(wanted: RestoredMember) -> Found:
    """What there is now. RefusedError where another etcd has the unit, or the member moves at the same time."""
    text = (read_file(os.path.join(wanted.unit_directory, wanted.unit)) or b"").decode("utf-8", "replace")
    deployed = deployed_from_text(text)
    is_ours = deployed is not None and configuration_hash_of(text) is not None
    properties = manager.show(wanted.unit)
    running = properties.get("ActiveState", "inactive") not in _IDLE
    if running and not (is_ours and deployed is not None and deployed["member_name"] == wanted.name):
        raise RefusedError(
            f"{wanted.unit} runs an etcd that is not member {wanted.name}: stop and disable it first (systemctl "
            f"disable --now {wanted.unit})",
            unit=wanted.unit,
        )
    if is_ours and deployed is not None:
        told, meant = deployed["peer_urls"], wanted.peer_urls[wanted.name]
        if told and told != [meant]:
            raise RefusedError(
                f"{wanted.unit} has the peer URL {', '.join(told)} for {wanted.name}, and the inventory {meant}: "
                "restore with the old one, or move the unit's file away first",
                unit=wanted.unit,
            )
    try:
        identity = read_identity(wanted.place.data_dir, wanted.place.wal_dir)
    except RingfenceError:
        # It is put aside as it is.
        identity = None
    restored = identity == wanted.identity
    data = tuple(path for _source, path in wanted.moves if os.path.lexists(path))
    return Found(
        restored,
        restored and (running or has_run(wanted.place.data_dir, wanted.place.wal_dir) is not False),
        running,
        properties.get("UnitFileState") == "enabled",
        () if restored else data,
        None if identity is None else identity[0],
    )


def tool_of(etcd_binary: str, bump_revision: int) -> restore_tool.RestoreTool:
    """The program that restores for this host's etcd, or for the one that waits to be put in its place."""
    place = ProgramPlace(etcd_binary)
    waiting = place.staged("etcd")
    version = trial.etcd_version(waiting if os.path.lexists(waiting) else etcd_binary)

    def places(name: str) -> list[str]:
        return [place.staged(name), place.path(name), *(os.path.join(folder, name) for folder in _FOLDERS)]

    tool = restore_tool.find_tool(version, places)
    if bump_revision:
        restore_tool.check_bump(tool)
    return tool


def stage(
    wanted: RestoredMember,
    tool: restore_tool.RestoreTool,
    snapshot: str,
    sha256: str,
    ids: tuple[int, int],
    bump_revision: int,
) -> None:
    """Make the member's new data beside the old. Where that fails, nothing of it stays."""
    discard(wanted)
    root = os.geteuid() == 0
    try:
        folders = [
            WantedDirectory(path, _DATA_DIRECTORY_MODE, uid=ids[0], gid=ids[1])
            for path in (wanted.place.data_dir, wanted.staged)
        ]
        for folder in folders:
            apply_changes([plan_directory(folder)])
        with open_regular(snapshot, follow=False) as stream:
            found = summed_file(stream, snapshot)
            if found.sha256 != sha256:
                raise FileError(f"{snapshot} is not the snapshot that was checked: run again", path=snapshot)
            check_room(wanted.place.data_dir, found.size + 2 * SPARE_BYTES)
            if root:
                # It is etcd's user who reads it, and nobody else.
                os.fchown(stream.fileno(), *ids)
                os.fchmod(stream.fileno(), 0o400)
        staged = restore_tool.Restore(
            snapshot=snapshot,
            name=wanted.name,
            peer_urls=wanted.peer_urls,
            token=wanted.token,
            data_dir=os.path.join(wanted.staged, "new"),
            wal_dir=wanted.staged_log,
            bump_revision=bump_revision,
        )
        _run_over(tool, staged, snapshot, ids if root else None)
        made = read_identity(staged.data_dir, wanted.staged_log)
        if made != wanted.identity:
            raise FileError(
                f"{tool.path} made member {made}, and not {wanted.identity}: nothing was stopped, and no data touched",
                path=staged.data_dir,
            )
    except OSError as exc:
        discard(wanted)
        raise os_error("restore to", wanted.staged, exc) from exc
    except BaseException:
        discard(wanted)
        raise


def _run_over(
    tool: restore_tool.RestoreTool, staged: restore_tool.Restore, snapshot: str, account: tuple[int, int] | None
) -> None:
    """Run the program on a snapshot in a folder that its user can't look into: by the descriptor that it inherits."""
    with open_regular(snapshot, follow=False) as stream:
        reached = replace(staged, snapshot=f"/proc/self/fd/{stream.fileno()}")
        restore_tool.run_restore(tool, reached, account, [stream.fileno()])


def discard(wanted: RestoredMember) -> None:
    """Remove what was made and not put in place."""
    for path in filter(None, (wanted.staged, wanted.staged_log)):
        remove_folder(path)


def is_staged(wanted: RestoredMember) -> bool:
    """Whether new data waits, as a whole."""
    return all(os.path.isdir(source) for source, _path in wanted.moves)


def stop(wanted: RestoredMember, found: Found) -> None:
    """Stop the member, and let no boot start it."""
    if found.enabled:
        manager.disable(wanted.unit)
    if found.running:
        manager.stop(wanted.unit)


def put_in_place(wanted: RestoredMember, now: datetime.datetime) -> list[str]:
    """Put the new data in the old one's place; gives the paths that the old has now. The unit has to be stopped."""
    if manager.show(wanted.unit).get("ActiveState", "inactive") not in _IDLE:
        raise RefusedError(f"{wanted.unit} was started again: stop it, and run the same command", unit=wanted.unit)
    if not is_staged(wanted):
        raise FileError(
            f"{wanted.staged} has no data that was restored: run the same command again", path=wanted.staged
        )
    ending = f"before-restore-{now.astimezone(datetime.timezone.utc):%Y%m%dT%H%M%SZ}"
    aside = []
    for source, path in wanted.moves:
        kept = put_aside(path, ending)
        aside += [] if kept is None else [kept]
        move_to(source, path)
    discard(wanted)
    if not os.path.isdir(wanted.place.directory):
        # A new host: the role's next steps give it what else belongs there.
        apply_changes([plan_directory(WantedDirectory(wanted.place.directory, _CREDENTIALS_MODE))])
    apply_changes([plan_marker(wanted.place)])
    return aside


__all__ = (
    "Found",
    "RestoredMember",
    "discard",
    "is_staged",
    "look",
    "put_in_place",
    "stage",
    "stop",
    "tool_of",
)
