# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd's unit on this host: what has to be done so that it is as wanted, and why its process needs a restart.

Whether a restart is due is read from state, the configuration hash in the process's environment against that of the
unit, and not from what this run changed: a run that was killed in between is finished by the next.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.foreign import where_its_data_is, why_not_replaced
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.obstacles import is_larger_quota
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    InputError,
    RefusedError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import trial
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.other_etcd import running_etcd
from ansible_collections.ringfence.etcd.plugins.module_utils._member import program as _program
from ansible_collections.ringfence.etcd.plugins.module_utils._member.formed import (
    Place,
    check_asserts,
    marker_diff,
    plan_marker,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    Change,
    WantedDirectory,
    WantedFile,
    apply_changes,
    check_may_give,
    gid_of,
    plan_directory,
    plan_file,
    uid_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import describe, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import (
    NextStart,
    drop_in_paths,
    next_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    Deployed,
    Reason,
    configuration_hash_is_valid,
    configuration_hash_of,
    deployed_from_arguments,
    deployed_from_text,
    exec_command,
    parse_unit,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit_place import unit_obstacle

_UNIT_MODE = 0o644
_UNIT_DIRECTORY_MODE = 0o755
_DATA_DIRECTORY_MODE = 0o700
# Behind the name of a unit that is not ours and is replaced: systemd reads no file that is called so.
_BACKUP = ".replaced"
MARK_FORMED = "mark_formed"


@dataclass(frozen=True)
class WantedUnit:
    """The unit as it should be."""

    name: str
    text: str
    data_dir: str
    owner: str
    group: str
    # None: whoever the text names.
    member_name: str | None = None
    unit_directory: str = "/etc/systemd/system"
    # The credentials' folder, where it is told that the member has had data; None: neither asked nor told.
    directory: str | None = None
    start: bool = True
    # Another program waits beside the unit's one (etcd_program), or would in check mode.
    program_staged: bool = False
    # Whether another etcd under the unit's name is stopped although there is something to lose with it.
    overrule_distribution_etcd: bool = False

    @property
    def path(self) -> str:
        return os.path.join(self.unit_directory, self.name)

    @property
    def place(self) -> Place | None:
        """Where the unit's member has its marker and its log, by the text."""
        return _place_of(self.text, self.directory)


@dataclass(frozen=True)
class Found:
    """What this host has now: systemd's word on the unit, the unit's text, and its process."""

    properties: t.Mapping[str, str]
    text: str | None
    process: manager.ProcessFacts | None
    settings: Deployed | None
    # The data folders that the unit's processes have open.
    data_dirs: tuple[str, ...] = ()

    @property
    def active_state(self) -> str:
        return self.properties.get("ActiveState", "inactive")

    @property
    def sub_state(self) -> str:
        return self.properties.get("SubState", "dead")

    @property
    def is_running(self) -> bool:
        return self.process is not None

    def runs_with(self, start: NextStart | None) -> bool:
        """Whether the process was told what the next start would tell it; taken for true where that is not known."""
        if self.process is None or start is None:
            return True
        return start.is_in_effect(self.process["argv"], self.process["environment"])


@dataclass(frozen=True)
class Plan:
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
    # The file that says that the member has had data.
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


def find(unit: str, unit_directory: str) -> Found:
    """Look at the unit, its file in the folder where ours is written, and its process."""
    properties = manager.show(unit)
    text = _text_at(os.path.join(unit_directory, unit))
    pid = manager.main_pid(properties)
    process = manager.process_facts(pid) if pid else None
    settings = deployed_from_arguments(process["argv"], process["environment"]) if process else None
    data_dirs = _open_data_dirs(pid) if process is not None and process["environ_hash"] is None else ()
    return Found(properties, text, process, settings, data_dirs)


def _open_data_dirs(pid: int) -> tuple[str, ...]:
    files = (processes.open_files(other) for other in processes.together_with(pid))
    return tuple(sorted({folder for names in files for folder in processes.data_folders(names or ())}))


def _text_at(path: str) -> str | None:
    content = read_file(path)
    return None if content is None else content.decode("utf-8", "replace")


# Pure ---------------------------------------------------------------------------------------------------------------


def check_unit_text(wanted: WantedUnit) -> None:
    """InputError where the text is not a unit with its hash for this member, whole to its last section."""
    sections = parse_unit(wanted.text)
    if not configuration_hash_is_valid(wanted.text):
        raise InputError(
            f"the text of {wanted.name} carries no configuration hash, or one of another text: render it with its line "
            "Environment=RINGFENCE_CONFIGURATION_HASH= and put the hash in as the last step",
            unit=wanted.name,
        )
    # A section header that was glued to the line before it is the end of that line's value for systemd.
    for section in ("Unit", "Service", "Install"):
        if not sections.get(section):
            raise InputError(
                f"the text of {wanted.name} has no section [{section}] on a line of its own", unit=wanted.name
            )
    settings = dict(sections["Service"])
    commands = [value for key, value in sections["Service"] if key == "ExecStart"]
    deployed = deployed_from_text(wanted.text)
    if len(commands) != 1 or deployed is None:
        raise InputError(
            f"the text of {wanted.name} has {len(commands)} lines ExecStart=, one is needed", unit=wanted.name
        )
    if settings.get("Type") != "notify":
        raise InputError(
            f"the text of {wanted.name} has Type={settings.get('Type', 'simple')}, needed is Type=notify: only then "
            "systemd knows when the member has joined",
            unit=wanted.name,
        )
    for what, found, needed in (
        ("--name", deployed["member_name"], wanted.member_name),
        ("--data-dir", deployed["data_dir"], wanted.data_dir),
    ):
        if needed is not None and found != needed:
            raise InputError(f"the text of {wanted.name} has {what}={found}, needed is {needed}", unit=wanted.name)
    if "config-file" in deployed["flags"]:
        raise InputError(
            f"the text of {wanted.name} has --config-file, with which etcd ignores every other flag", unit=wanted.name
        )
    if wanted.place is not None:
        check_asserts(wanted.text, wanted.name, wanted.place)


def _place_of(text: str | None, directory: str | None) -> Place | None:
    deployed = deployed_from_text(text) if text is not None and directory is not None else None
    if deployed is None or directory is None:
        return None
    return Place(directory, deployed["member_name"], deployed["data_dir"], deployed["flags"].get("wal-dir") or None)


def is_other_etcd(found: Found, data_dir: str) -> bool:
    """Whether the process of the unit's name is not this member: no configuration hash, and another data folder.

    An etcd without a configuration hash on this very data folder is this member before this collection took it over: it
    is restarted under the guard like any other. The folder is the one that it has open, whatever it was told.
    """
    if found.process is None or found.settings is None or found.process["environ_hash"] is not None:
        return False
    if found.data_dirs:
        return os.path.realpath(data_dir) not in found.data_dirs
    return os.path.realpath(found.settings["data_dir"]) != os.path.realpath(data_dir)


def restart_reasons(
    found: Found,
    configuration_hash: str | None,
    program: str | None,
    trust_bundle_changed: bool,
    program_staged: bool = False,
    start: NextStart | None = None,
) -> tuple[Reason, ...]:
    """Why the running process needs a restart; empty where none runs."""
    if found.process is None:
        return ()
    reasons: list[Reason] = []
    if configuration_hash is not None and found.process["environ_hash"] != configuration_hash:
        reasons.append({"code": "unit_changed", "text": "the unit was changed since the process was started"})
    elif not found.runs_with(start):
        text = "the process was started with other flags or ETCD_* variables than the unit has now (a drop-in?)"
        reasons.append({"code": "flags_differ", "text": text})
    if trust_bundle_changed:
        reasons.append(
            {"code": "trust_bundle_changed", "text": "etcd reads its trust bundle at start only, and it was changed"}
        )
    if program is not None and program_staged:
        reasons.append({"code": "program_staged", "text": f"another {program} is to take the place of the one in use"})
    elif program is not None and manager.program_was_replaced(found.process, program):
        reasons.append(
            {"code": "binary_replaced", "text": f"{program} was replaced since the process was started from it"}
        )
    return tuple(reasons)


def start_actions(found: Found, wanted: WantedUnit, configuration_hash: str | None) -> tuple[str, ...]:
    """What brings the unit to run: nothing where this member's process runs, in whatever version."""
    if not wanted.start:
        return ()
    if is_other_etcd(found, wanted.data_dir):
        return ("stop_other_etcd", "start")
    if found.process is None:
        return ("start",)
    # Not ready since its start (Type=notify), so it serves nobody, and what it was started with is out of date: left
    # alone, it would wait for a quorum that its old flags may never find.
    if found.active_state == "activating" and found.process["environ_hash"] != configuration_hash:
        return ("start",)
    return ()


# Plan and apply -----------------------------------------------------------------------------------------------------


def plan_present(wanted: WantedUnit, trust_bundle_changed: bool, check_mode: bool, check_new_text: bool = True) -> Plan:
    """What makes the unit as wanted; nothing is changed yet, but systemd has read a new text (``check_new_text``)."""
    manager.require_systemd()
    check_unit_text(wanted)
    _refuse_obstacle(wanted, manager.show(wanted.name))
    found = find(wanted.name, wanted.unit_directory)
    _refuse_moved_data(found, wanted)
    _refuse_living_etcd(found, wanted)
    warnings: list[str] = []
    uid, gid = _owner_ids(wanted, check_mode, warnings)
    files = _plan_files(wanted, uid, gid)
    if files.has_new_text and check_new_text:
        manager.verify_unit(wanted.text, wanted.name, missing_program_is_fine=check_mode or wanted.program_staged)
        _check_flags(wanted, check_mode)
    actions = files.actions
    if files.has_new_text or found.properties.get("NeedDaemonReload") == "yes":
        actions.append("daemon_reload")
    if found.properties.get("UnitFileState") != "enabled":
        actions.append("enable")
    configuration_hash = configuration_hash_of(wanted.text)
    starts = start_actions(found, wanted, configuration_hash)
    deployed = t.cast(Deployed, deployed_from_text(wanted.text))
    staged = _is_staged(deployed["program"], wanted.program_staged, check_mode)
    if staged and (starts or found.process is None):
        # Just before the start. Where a member runs, its guarded restart does it.
        starts = (*starts[:-1], "exchange_program", *starts[-1:])
    actions += starts
    stale = trust_bundle_changed or _trust_bundle_is_newer(found)
    return Plan(
        wanted,
        files.changes,
        tuple(actions),
        running="start" in starts or (found.is_running and not is_other_etcd(found, wanted.data_dir)),
        restart_pending=()
        if starts or is_other_etcd(found, wanted.data_dir)
        else restart_reasons(
            found, configuration_hash, deployed["program"], stale, staged, _start_of(found, wanted.name, wanted.text)
        ),
        warnings=tuple(warnings),
        diff=(*_diff(wanted, found.text, files), *(_program_diff(deployed["program"]) if staged else ())),
    )


def plan_written(wanted: WantedUnit, check_mode: bool, check_new_text: bool = True) -> Plan:
    """What puts the unit's file and the data folder in place, and no more: nobody asks this host's systemd."""
    check_unit_text(wanted)
    _refuse_obstacle(wanted, {})
    warnings: list[str] = []
    uid, gid = _owner_ids(wanted, check_mode, warnings)
    files = _plan_files(wanted, uid, gid, make_unit_directory=True)
    if files.has_new_text and check_new_text:
        _check_flags(wanted, check_mode)
    # Nobody restarts what this unit starts: whoever does takes the new program, as with the unit's text.
    exchanges = _is_staged(_program_of(wanted.text), wanted.program_staged, check_mode)
    return Plan(
        wanted,
        files.changes,
        (*files.actions, "exchange_program") if exchanges else tuple(files.actions),
        running=False,
        restart_pending=(),
        warnings=tuple(warnings),
        diff=(
            *_diff(wanted, _text_at(wanted.path), files),
            *(_program_diff(_program_of(wanted.text)) if exchanges else ()),
        ),
    )


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
    is_new = _text_at(wanted.path) != wanted.text
    if is_new and managed:
        manager.require_systemd()
        manager.verify_unit(wanted.text, wanted.name, missing_program_is_fine=True)
    process = None if is_new or pid is None else manager.process_facts(pid)
    if is_new or (process and manager.program_was_replaced(process, exec_command(wanted.text)[0])):
        _check_flags(wanted, check_mode=False)


def _plan_unit_backup(path: str) -> Change | None:
    """A copy of a unit that is not ours, under the first name that is free; None where it is ours or kept already."""
    content = read_file(path)
    if content is None or configuration_hash_of(content.decode("utf-8", "replace")) is not None:
        return None
    number = 1
    while True:
        backup = f"{path}{_BACKUP}" if number == 1 else f"{path}{_BACKUP}-{number}"
        state = describe(backup)["state"]
        if state == "absent":
            return plan_file(WantedFile(backup, int(describe(path)["mode"], 8), content))
        if state == "file" and read_file(backup) == content:
            return None
        number += 1


def _refuse_obstacle(wanted: WantedUnit, properties: t.Mapping[str, str]) -> None:
    """What is masked, a link or not read is not written over."""
    obstacle = unit_obstacle(wanted.name, wanted.unit_directory, properties)
    if obstacle is not None:
        raise FileError(obstacle, unit=wanted.name)


def _refuse_living_etcd(found: Found, wanted: WantedUnit) -> None:
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


def _check_flags(wanted: WantedUnit, check_mode: bool) -> None:
    if wanted.program_staged and check_mode:
        # What is going to be started is not here: who staged it has tried it.
        return
    program, *arguments = exec_command(wanted.text)
    if _is_staged(program, wanted.program_staged, check_mode):
        # What is going to be started is asked, and not what it takes the place of.
        program = _program.Place(program).staged(_program.ETCD)
    trial.check_arguments(program, arguments)


def _program_of(text: str | None) -> str | None:
    return next(iter(exec_command(text)), None) if text is not None else None


def _is_staged(program: str | None, program_staged: bool, check_mode: bool) -> bool:
    """Whether another program waits for its turn: in check mode the caller knows, else the folder tells."""
    return program is not None and program_staged and (check_mode or _program.is_staged(program))


def _exchange(text: str) -> str | None:
    """Put the program that waits in place, once it has been tried with this very unit's flags; gives its path.

    None where none waits.
    """
    program, *arguments = exec_command(text) or [""]
    if not program or not _program.is_staged(program):
        return None
    place = _program.Place(program)
    trial.check_arguments(place.staged(_program.ETCD), arguments)
    _program.exchange(place)
    return program


def apply_plan(plan: Plan) -> None:
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
            _exchange(plan.wanted.text)
        elif action == "start":
            # A restart also takes a unit out of the pause between two attempts, and starts one that is stopped.
            manager.restart_no_block(unit)


def mark_formed(
    unit: str, unit_directory: str, directory: str | None, text: str | None, check_mode: bool
) -> dict[str, t.Any]:
    """Tell beside the credentials that the member has data of a formed cluster, once it is healthy: what was done.

    ``text``: the unit as it is going to be, where that is known.
    """
    place = _place_of(_text_at(os.path.join(unit_directory, unit)) if text is None else text, directory)
    # In check mode this stands for a run that would form the cluster, or has.
    change = None if place is None else plan_marker(place, will_form=check_mode)
    diff = list(marker_diff(change))
    if not check_mode:
        apply_changes([change])
    return {"changed": change is not None, "actions": [] if change is None else [MARK_FORMED], "diff": diff}


def restart_pending_now(
    unit: str,
    unit_directory: str,
    trust_bundle_changed: bool,
    text: str | None = None,
    program_staged: bool = False,
    check_mode: bool = False,
) -> list[Reason]:
    """Why the running process needs a restart, read from this host now. ``text``: the unit as it is going to be."""
    found = find(unit, unit_directory)
    text = found.text if text is None else text
    if text is None:
        return []
    deployed = deployed_from_text(text)
    if deployed is not None and is_other_etcd(found, deployed["data_dir"]):
        return []
    stale = trust_bundle_changed or _trust_bundle_is_newer(found)
    program = deployed["program"] if deployed else None
    staged = _is_staged(program, program_staged, check_mode)
    return list(
        restart_reasons(found, configuration_hash_of(text), program, stale, staged, _start_of(found, unit, text))
    )


def _start_of(found: Found, unit: str, text: str) -> NextStart | None:
    """What the next start with a text would tell etcd; None where no process runs, or that can't be known."""
    if found.process is None:
        return None
    return next_start(text, unit, drop_in_paths(unit, found.properties), manager.inherited_environment())


def brings_more_space(unit: str, unit_directory: str) -> bool:
    """Whether a restart gives the process a larger quota than it has now."""
    found = find(unit, unit_directory)
    if found.settings is None or found.text is None:
        return False
    start = _start_of(found, unit, found.text)
    if start is None:
        return False
    after = deployed_from_arguments(start.argv, start.environment)
    return is_larger_quota(found.settings["flags"], after["flags"])


class SystemdUnit:
    """This node's unit for the guarded restart."""

    def __init__(self, name: str, unit_directory: str, program_staged: bool = False) -> None:
        self._name = name
        self._unit_directory = unit_directory
        self._program_staged = program_staged
        self._exchanged: str | None = None
        self._ran: str | None = None
        self._old_pid: int | None = None

    @property
    def name(self) -> str:
        return self._name

    def pid(self) -> int | None:
        """The unit's main process; None where none runs."""
        return manager.main_pid(manager.show(self._name)) or None

    def restart(self) -> None:
        found = find(self._name, self._unit_directory)
        self._old_pid = manager.main_pid(found.properties) or None
        if self._program_staged and found.text is not None:
            # At the last moment: what dies before it is started again by systemd from the program that it ran with.
            self._exchanged = _exchange(found.text)
            self._ran = found.settings["program"] if found.settings else None
        manager.restart_no_block(self._name)

    def way_back(self) -> str | None:
        """How to undo what ``restart`` did to the program; None where it did nothing."""
        if self._exchanged is None:
            return None
        if self._ran != self._exchanged:
            return f"{self._exchanged} was put in place just before: what it ran with is {self._ran}, as it was"
        backup = _program.Place(self._exchanged).backup(_program.ETCD)
        return (
            f"its program was exchanged just before, and what it ran with is {backup}: the way back is 'mv {backup} "
            f"{self._exchanged} && systemctl restart {self._name}' on this host, or a run with that one's archive"
        )

    def process_problem(self) -> str | None:
        return self._problem_of(find(self._name, self._unit_directory))

    def problem(self) -> str | None:
        found = find(self._name, self._unit_directory)
        if found.active_state != "active":
            return f"{self._name} is {found.active_state} ({found.sub_state})"
        return self._problem_of(found)

    def has_failed(self) -> bool:
        return manager.show(self._name).get("ActiveState") == "failed"

    def cause(self) -> str | None:
        return manager.last_words(self._name)

    def journal_tail(self) -> str:
        return manager.journal_tail(self._name)

    def _problem_of(self, found: Found) -> str | None:
        if found.process is None:
            return f"{self._name} is {found.active_state} ({found.sub_state}), no process runs"
        if found.process["pid"] == self._old_pid:
            return f"the old process of {self._name} has not ended yet"
        configuration_hash = configuration_hash_of(found.text or "")
        if (
            configuration_hash is not None
            and self._old_pid is not None
            and found.process["environ_hash"] != configuration_hash
        ):
            return f"the process of {self._name} was not started with the unit that is deployed"
        return None


def _refuse_moved_data(found: Found, wanted: WantedUnit) -> None:
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


def _trust_bundle_is_newer(found: Found) -> bool:
    """Whether a file that etcd reads at start only is newer than its process: a run may have been killed in between."""
    if found.settings is None:
        return False
    files = found.settings["files"]
    paths = {files["peer_trusted_ca_file"], files["trusted_ca_file"]} - {None}
    return any(manager.written_after_start(t.cast(str, path), found.properties) for path in paths)


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
            # The text alone would not show what is wrong with owner or mode.
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


def _program_diff(program: str | None) -> t.Iterator[dict[str, str]]:
    """What stands in place of the program's bytes: the versions, as far as there are programs that say one."""
    if program is None:
        return

    def version(path: str) -> str:
        try:
            return f"# version: {trial.etcd_version(path)}\n"
        except RingfenceError:
            return ""

    after = version(_program.Place(program).staged(_program.ETCD)) or "# version: the archive's\n"
    yield {"before_header": program, "after_header": program, "before": version(program), "after": after}


def _attributes(state: t.Mapping[str, t.Any]) -> str:
    return "".join(f"# {key}: {state[key]}\n" for key in ("state", "owner", "group", "mode") if key in state)


__all__ = (
    "MARK_FORMED",
    "Found",
    "Plan",
    "SystemdUnit",
    "WantedUnit",
    "apply_plan",
    "brings_more_space",
    "check_unit_text",
    "find",
    "is_other_etcd",
    "mark_formed",
    "plan_present",
    "plan_written",
    "restart_pending_now",
    "restart_reasons",
    "start_actions",
)
