# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a member's unit and of its start: what has to be done so that both are as wanted, and how it is done.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import Deployed, deployed_from_text
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.foreign import where_its_data_is, why_not_replaced
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    RefusedError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.other_etcd import running_etcd
from ansible_collections.ringfence.etcd.plugins.module_utils._member.formed import marker_diff, plan_marker
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import (
    WantedUnit,
    check_unit_text,
    place_of,
    with_kept_first_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.pending_restart import (
    restart_reasons,
    revocation_list_is_newer,
    start_of,
    trust_bundle_is_newer,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.program_exchange import (
    check_flags,
    exchange_program,
    is_exchange_pending,
    program_diff,
    started_program,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.revocation import check_lists_of_unit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.running_unit import (
    FoundUnit,
    find,
    is_other_etcd,
    text_at,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    Change,
    WantedDirectory,
    WantedFile,
    apply_changes,
    check_may_give,
    gid_of,
    plan_directory,
    plan_file,
    remove_file,
    uid_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import describe, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.first_start import joins, with_first_start_of
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_of, exec_command
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit_place import unit_obstacle

_UNIT_MODE = 0o644

_UNIT_DIRECTORY_MODE = 0o755

_DATA_DIRECTORY_MODE = 0o700

# Behind the name of a unit that is not ours and is replaced: systemd reads no file that is called so.
_BACKUP = ".replaced"

MARK_FORMED = "mark_formed"


@dataclass(frozen=True)
class UnitPlan:
    """What is going to be done: files first, then the actions in their order. ``changed`` is whether anything is."""

    wanted: WantedUnit
    files: tuple[Change, ...]
    actions: tuple[str, ...]
    running: bool
    restart_pending: tuple[Reason, ...]
    warnings: tuple[str, ...] = ()
    diff: tuple[dict[str, str], ...] = field(default=())

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    @property
    def starts(self) -> bool:
        return "start" in self.actions

    @property
    def unit_backup(self) -> str | None:
        """Where a unit that is not ours is kept, if one is replaced."""
        backup = [change.path for change in self.files if change.path.startswith(f"{self.wanted.path}{_BACKUP}")]
        return backup[0] if backup else None


@dataclass(frozen=True)
class _Files:
    """What has to be done to the folders and the unit's file."""

    unit_directory: Change | None
    data_directory: Change | None
    unit: Change | None
    # A copy of the unit that is replaced, where that is not ours.
    unit_backup: Change | None = None
    # The marker of a member that has had data.
    marker: Change | None = None

    @property
    def has_new_text(self) -> bool:
        return self.unit is not None and bool({"missing", "content"} & set(self.unit.reasons))

    @property
    def changes(self) -> tuple[Change, ...]:
        planned = (self.unit_directory, self.data_directory, self.unit_backup, self.unit, self.marker)
        return tuple(change for change in planned if change is not None)

    @property
    def actions(self) -> list[str]:
        actions = []
        if self.unit_directory is not None:
            actions.append("make_unit_directory")
        if self.data_directory is not None:
            missing = "missing" in self.data_directory.reasons
            actions.append("make_data_directory" if missing else "repair_data_directory")
        if self.unit_backup is not None:
            actions.append("keep_other_unit")
        if self.unit is not None:
            actions.append("write_unit" if self.has_new_text else "repair_unit_attributes")
        if self.marker is not None:
            actions.append(MARK_FORMED)
        return actions


def start_actions(found: FoundUnit, wanted: WantedUnit, configuration_hash: str | None) -> tuple[str, ...]:
    """What brings the unit to run: nothing where this member's process runs, in whatever version."""
    if not wanted.start:
        return ()
    if is_other_etcd(found, wanted.data_dir):
        return ("stop_other_etcd", "start")
    if found.process is None:
        return ("start",)
    # Not ready since its start (Type=notify), so it serves nobody, and what it was started with is out of date: without
    # a restart it would wait for a quorum that its old flags may never find.
    if found.active_state == "activating" and found.process["environ_hash"] != configuration_hash:
        return ("start",)
    return ()


def plan_present(
    wanted: WantedUnit, trust_bundle_changed: bool, check_mode: bool, check_new_text: bool = True
) -> UnitPlan:
    """What makes the unit as wanted; nothing is changed yet, but systemd has read a new text (``check_new_text``)."""
    manager.require_systemd()
    check_unit_text(wanted)
    _refuse_obstacle(wanted, manager.show(wanted.name))
    wanted = _with_kept_first_start(wanted)
    found = find(wanted.name, wanted.unit_directory)
    _refuse_moved_data(found, wanted)
    _refuse_living_etcd(found, wanted)
    warnings: list[str] = []
    uid, gid = _owner_ids(wanted, check_mode, warnings)
    files = _plan_files(wanted, uid, gid)
    if files.has_new_text and check_new_text:
        manager.verify_unit(wanted.text, wanted.name, missing_program_is_fine=check_mode or wanted.program_staged)
        check_flags(wanted.text, wanted.program_staged, check_mode)
    actions = files.actions
    if files.has_new_text or found.properties.get("NeedDaemonReload") == "yes":
        actions.append("daemon_reload")
    if wanted.start and found.properties.get("UnitFileState") != "enabled":
        actions.append("enable")
    configuration_hash = configuration_hash_of(wanted.text)
    starts = start_actions(found, wanted, configuration_hash)
    deployed = t.cast(Deployed, deployed_from_text(wanted.text))
    staged = is_exchange_pending(deployed["program"], wanted.program_staged, check_mode)
    if staged and (starts or found.process is None):
        # Just before the start. Where a member runs, its guarded restart does it.
        starts = (*starts[:-1], "exchange_program", *starts[-1:])
    if "start" in starts and check_new_text and not check_mode:
        check_lists_of_unit(wanted.text, wanted.name)
    actions += starts
    stale = trust_bundle_changed or trust_bundle_is_newer(found)
    return UnitPlan(
        wanted,
        files.changes,
        tuple(actions),
        running="start" in starts or (found.is_running and not is_other_etcd(found, wanted.data_dir)),
        restart_pending=()
        if starts or is_other_etcd(found, wanted.data_dir)
        else restart_reasons(
            found,
            configuration_hash,
            deployed["program"],
            stale,
            staged,
            start_of(found, wanted.name, wanted.text),
            wanted.disconnect_revoked and (wanted.revocation_list_changed or revocation_list_is_newer(found)),
        ),
        warnings=tuple(warnings),
        diff=(*_diff(wanted, found.text, files), *(program_diff(deployed["program"]) if staged else ())),
    )


def plan_written(wanted: WantedUnit, check_mode: bool, check_new_text: bool = True) -> UnitPlan:
    """The plan that puts the unit's file and the data folder in place, and no more. It does not ask systemd."""
    check_unit_text(wanted)
    _refuse_obstacle(wanted, {})
    wanted = _with_kept_first_start(wanted)
    warnings: list[str] = []
    uid, gid = _owner_ids(wanted, check_mode, warnings)
    files = _plan_files(wanted, uid, gid, make_unit_directory=True)
    if files.has_new_text and check_new_text:
        check_flags(wanted.text, wanted.program_staged, check_mode)
    # Nothing here restarts what this unit starts: another supervisor takes the new program, as the new text.
    exchanges = is_exchange_pending(started_program(wanted.text), wanted.program_staged, check_mode)
    return UnitPlan(
        wanted,
        files.changes,
        (*files.actions, "exchange_program") if exchanges else tuple(files.actions),
        running=False,
        restart_pending=(),
        warnings=tuple(warnings),
        diff=(
            *_diff(wanted, text_at(wanted.path), files),
            *(program_diff(started_program(wanted.text)) if exchanges else ()),
        ),
    )


def _with_kept_first_start(wanted: WantedUnit) -> WantedUnit:
    deployed = text_at(wanted.path)
    if not wanted.start and joins(deployed):
        # It waits for its join, and systemd may start it again and again: as a member of a new cluster it would vote.
        return replace(wanted, text=with_first_start_of(wanted.text, deployed))
    return replace(wanted, text=with_kept_first_start(wanted.text, deployed, wanted.data_dir))


def _plan_files(wanted: WantedUnit, uid: int | None, gid: int | None, make_unit_directory: bool = False) -> _Files:
    # An ordinary user's files are its own.
    root = 0 if os.geteuid() == 0 else None
    folder = None
    if make_unit_directory and not os.path.isdir(wanted.unit_directory):
        folder = plan_directory(WantedDirectory(wanted.unit_directory, _UNIT_DIRECTORY_MODE, uid=root, gid=root))
    unit = plan_file(WantedFile(wanted.path, _UNIT_MODE, wanted.text.encode("utf-8"), uid=root, gid=root))
    return _Files(
        unit_directory=folder,
        data_directory=plan_directory(WantedDirectory(wanted.data_dir, _DATA_DIRECTORY_MODE, uid=uid, gid=gid)),
        unit=unit,
        unit_backup=_plan_unit_backup(wanted.path) if unit is not None and "content" in unit.reasons else None,
        marker=plan_marker(wanted.place) if wanted.place is not None else None,
    )


def check_new_program(wanted: WantedUnit, managed: bool, pid: int | None = None) -> None:
    """ServiceError where systemd or this host's etcd does not take a text that is new to one of them.

    ``pid``: the unit's process, where one runs.
    """
    check_unit_text(wanted)
    wanted = _with_kept_first_start(wanted)
    is_new = text_at(wanted.path) != wanted.text
    if is_new and managed:
        manager.require_systemd()
        manager.verify_unit(wanted.text, wanted.name, missing_program_is_fine=True)
    process = None if is_new or pid is None else manager.process_facts(pid)
    if is_new or (process and manager.program_was_replaced(process, exec_command(wanted.text)[0])):
        check_flags(wanted.text, wanted.program_staged, check_mode=False)


def _plan_unit_backup(path: str) -> Change | None:
    """A copy of a unit that is not ours, under the first name that is free; None where it is ours or the last kept."""
    content = read_file(path)
    if content is None or configuration_hash_of(content.decode("utf-8", "replace")) is not None:
        return None
    kept, free = _kept_units(path)
    if kept and describe(kept[-1])["state"] == "file" and read_file(kept[-1]) == content:
        return None
    return plan_file(WantedFile(free, int(describe(path)["mode"], 8), content))


def _kept_units(path: str) -> tuple[list[str], str]:
    """Under which names units were kept that were in this place, in their order, and the next name."""
    kept: list[str] = []
    while True:
        backup = f"{path}{_BACKUP}-{len(kept) + 1}" if kept else f"{path}{_BACKUP}"
        if not os.path.lexists(backup):
            return kept, backup
        kept.append(backup)


def kept_unit(path: str) -> str | None:
    """Where the unit was kept that was in this place before ours: the last one that was; None where there was none.

    One that came back after another had been there was kept once more.
    """
    kept, _next = _kept_units(path)
    return kept[-1] if kept and not _is_absence(kept[-1]) else None


def plan_absence(path: str) -> Change | None:
    """That no unit was in this place before ours, where one was kept that had been there earlier: an empty one."""
    _kept, free = _kept_units(path)
    return plan_file(WantedFile(free, _UNIT_MODE, b"")) if kept_unit(path) is not None else None


def forget_absence(path: str) -> None:
    """Remove what said so, once ours is gone again."""
    kept, _next = _kept_units(path)
    if kept and _is_absence(kept[-1]):
        remove_file(kept[-1])


def _is_absence(path: str) -> bool:
    return describe(path)["state"] == "file" and read_file(path) == b""


def _refuse_obstacle(wanted: WantedUnit, properties: t.Mapping[str, str]) -> None:
    """What is masked, a link or not read is not written over."""
    obstacle = unit_obstacle(wanted.name, wanted.unit_directory, properties)
    if obstacle is not None:
        raise FileError(obstacle, unit=wanted.name)


def _refuse_living_etcd(found: FoundUnit, wanted: WantedUnit) -> None:
    """Another etcd under this unit's name is stopped only where it was counted to be empty, now and not a while ago."""
    if found.process is None or wanted.overrule_distribution_etcd or not is_other_etcd(found, wanted.data_dir):
        return
    other = running_etcd(None, found.process["pid"], None)
    why = why_not_replaced(other)
    if why is not None:
        raise RefusedError(
            f"{wanted.name} runs an etcd that is not this collection's (pid {other['pid']}, data in "
            f"{where_its_data_is(other)}), which {why}: save what you need of it; with overrule_distribution_etcd it "
            "is stopped, its data stays there and is not used, and the new member starts empty",
            unit=wanted.name,
        )


def apply_plan(plan: UnitPlan) -> None:
    """Carry the plan out."""
    unit = plan.wanted.name
    apply_changes(plan.files)
    for action in plan.actions:
        if action == "daemon_reload":
            manager.daemon_reload()
        elif action == "enable":
            manager.enable(unit)
        elif action == "stop_other_etcd":
            manager.stop(unit)
        elif action == "exchange_program":
            exchange_program(plan.wanted.text)
        elif action == "start":
            # A restart also takes a unit out of the pause between two attempts, and starts one that is stopped.
            manager.restart_no_block(unit)


def mark_formed(
    unit: str, unit_directory: str, directory: str | None, text: str | None, check_mode: bool
) -> dict[str, t.Any]:
    """Tell beside the credentials that the member has data of a formed cluster, once it is healthy: what was done.

    ``text``: the unit as it is going to be, where that is known.
    """
    place = place_of(text_at(os.path.join(unit_directory, unit)) if text is None else text, directory)
    # In check mode this stands for a run that would form the cluster, or has.
    change = None if place is None else plan_marker(place, will_form=check_mode)
    diff = list(marker_diff(change))
    if not check_mode:
        apply_changes([change])
    return {"changed": change is not None, "actions": [] if change is None else [MARK_FORMED], "diff": diff}


def _refuse_moved_data(found: FoundUnit, wanted: WantedUnit) -> None:
    """This member runs and the new unit names another data folder: started there it would be a new member."""
    if found.process is None or found.settings is None or found.process["environ_hash"] is None:
        return
    if os.path.realpath(found.settings["data_dir"]) != os.path.realpath(wanted.data_dir):
        raise RefusedError(
            f"{wanted.name} runs as a member on the data folder {found.settings['data_dir']}, the new unit names "
            f"{wanted.data_dir}: without its data it would be another member: keep the folder, or stop the unit and "
            "move the data first",
            unit=wanted.name,
        )


def _owner_ids(wanted: WantedUnit, check_mode: bool, warnings: list[str]) -> tuple[int | None, int | None]:
    def known(find_id: t.Callable[[str], int], name: str) -> int | None:
        try:
            return find_id(name)
        except FileError as exc:
            if not check_mode:
                raise
            # In check mode the same run may be going to make them.
            warnings.append(str(exc))
            return None

    uid, gid = known(uid_of, wanted.owner), known(gid_of, wanted.group)
    check_may_give(wanted.owner, uid, wanted.group, gid)
    return uid, gid


def _diff(wanted: WantedUnit, text: str | None, files: _Files) -> tuple[dict[str, str], ...]:
    parts = []
    for path, change, before, after in (
        (wanted.unit_directory, files.unit_directory, "", ""),
        (wanted.data_dir, files.data_directory, "", ""),
        (wanted.path, files.unit, text or "", wanted.text),
    ):
        if change is None:
            continue
        if change.reasons not in (("content",), ("missing",)) or not after:
            # The text would not show what is wrong with owner or mode.
            wanted_owner = {"owner": wanted.owner, "group": wanted.group} if path == wanted.data_dir else {}
            before = _attributes(change.before) + before
            after = _attributes({**change.after, **wanted_owner}) + after
        parts.append({"before_header": path, "after_header": path, "before": before, "after": after})
    parts.extend(marker_diff(files.marker))
    backup = files.unit_backup
    if backup is not None:
        # Its text is shown above, as what was there before.
        parts.append(
            {
                "before_header": backup.path,
                "after_header": backup.path,
                "before": "",
                "after": f"# kept from {wanted.path}\n",
            }
        )
    return tuple(parts)


def _attributes(state: t.Mapping[str, t.Any]) -> str:
    return "".join(f"# {key}: {state[key]}\n" for key in ("state", "owner", "group", "mode") if key in state)


__all__ = (
    "MARK_FORMED",
    "UnitPlan",
    "apply_plan",
    "check_new_program",
    "forget_absence",
    "kept_unit",
    "mark_formed",
    "plan_absence",
    "plan_present",
    "plan_written",
    "start_actions",
)
