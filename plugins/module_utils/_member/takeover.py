# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a takeover changes of one member that somebody else deployed: which files, and whether a restart is due.

Nothing is taken from what was seen earlier: unit, files and process are looked at each time anew. Where the next start
would bring anything else than the list, it is refused: that would be somebody else's change.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import socket
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    RefusedError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config import parse_config
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_flags import settings_of_config
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.config_list import with_list, without_list
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.running_members import running_members
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import (
    UnitStart,
    UnknownSettings,
    start_of_unit,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.started_by import SERVICE
from ansible_collections.ringfence.etcd.plugins.module_utils._member.running_unit import newer_files
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    Change,
    WantedDirectory,
    WantedFile,
    apply_changes,
    backup_path,
    plan_directory,
    plan_file,
    remove_file,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import describe, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.late_drop_in import (
    DROP_IN,
    VARIABLE,
    LateDropIn,
    is_ours,
    late_drop_in,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import (
    NextStart,
    drop_in_paths,
    of_etcd,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import environment_files

_FILE_MODE, _FOLDER_MODE = 0o644, 0o755
_MOMENT = 1.0
_PLAINLY = (
    "let its ExecStart= name etcd itself, and Environment= what else it needs, both without specifiers, and restart "
    "one member at a time"
)
_FIRST = "restart its members one at a time first, or take that change back"
_LIST_FLAG = "peer-cert-allowed-cn"


@dataclass(frozen=True)
class Wanted:
    """What a member is to have: the list of these names, or (``names`` empty) none that a takeover has put there."""

    member: str
    unit: str
    config_file: str | None
    names: tuple[str, ...]
    # In the words of a refusal.
    done: str = "taken over"


@dataclass(frozen=True)
class Plan:
    """What is written and removed, and why a restart is due; ``next_settings``: what the next start would tell etcd."""

    changes: tuple[Change, ...]
    removed: tuple[str, ...]
    pending: tuple[Reason, ...]
    next_settings: Deployed = field(repr=False)
    texts: t.Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    way_back: str = ""
    kept: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        return sorted({*(change.path for change in self.changes), *self.removed})

    def apply(self, unit: str) -> None:
        """Write and remove the files, and let systemd read them."""
        apply_changes(self.changes, keep_replaced=self.kept)
        for path in self.removed:
            remove_file(path)
        manager.daemon_reload()
        if manager.show(unit).get("NeedDaemonReload") == "yes":
            raise ServiceError(f"systemd has not read the files of {unit} as they are now: it was not restarted")


@dataclass(frozen=True)
class Seen:
    """The member's process and unit as they are now. ``bare``: the next start without our own drop-in."""

    process: manager.ProcessFacts
    facts: t.Mapping[str, t.Any]
    properties: t.Mapping[str, str]
    texts: t.Mapping[str, str]
    bare: NextStart
    ours: LateDropIn


def plan_takeover(wanted: Wanted) -> Plan:
    """What has to be done on this host; RefusedError where it can't be done without bringing anything else."""
    seen = look(wanted)
    running = deployed_from_arguments(seen.process["argv"])
    by_flag = set(running["allowed_common_names"])
    if by_flag and seen.ours.path not in seen.texts and by_flag == set(wanted.names or by_flag):
        # Its deployer's own list, with which it runs: there is nothing to do.
        return Plan((), (), (), deployed_from_arguments(seen.process["argv"], seen.process["environment"]))
    refuse_other_changes(wanted, seen)
    if wanted.config_file is not None:
        return _plan_config(wanted, seen, wanted.config_file)
    return _plan_variable(wanted, seen)


def refused(wanted: Wanted, why: str, way: str = _FIRST) -> RefusedError:
    return RefusedError(f"{wanted.member} is not {wanted.done}: {why}: {way}", member=wanted.member)


# What there is --------------------------------------------------------------------------------------------------------


def look(wanted: Wanted, by_any_settings: bool = False) -> Seen:
    """What there is now. ``by_any_settings``: whether the process was given a configuration file does not matter."""
    manager.require_systemd()
    properties = manager.show(wanted.unit)
    pid = manager.main_pid(properties)
    process = manager.process_facts(pid) if pid else None
    if process is None or properties.get("ActiveState") != "active":
        raise refused(wanted, f"{wanted.unit} is not active", "start it, and run again")
    found, problems = running_members([pid], all_flags=True)
    if len(found) != 1 or problems:
        why = "; ".join(problems) or f"the main process of {wanted.unit} has no data of etcd open"
        raise refused(wanted, why, "run as root (become: true), on a host where etcd itself is that process")
    facts = found[0]
    is_other = not by_any_settings and facts["config_file"] != wanted.config_file
    if facts["kind"] != SERVICE or facts["unit"] != wanted.unit or is_other:
        raise refused(wanted, f"{wanted.unit} runs otherwise than it did a moment ago", "run again")
    ours = late_drop_in(wanted.unit, wanted.names)
    texts = _unit_texts(wanted, properties, ours)
    bare = _start(wanted, texts, {ours.path: ""}, {})
    return Seen(process, facts, properties, texts, bare, ours)


def _unit_texts(wanted: Wanted, properties: t.Mapping[str, str], ours: LateDropIn) -> dict[str, str]:
    """The unit's files in systemd's order, our own drop-in among them where it is there."""
    fragment = properties.get("FragmentPath", "")
    paths = drop_in_paths(wanted.unit, properties)
    known = properties.get("DropInPaths", "").split()
    unread = sorted(({*known} ^ {*paths}) - {ours.path})
    if unread:
        raise refused(wanted, f"systemd has not read {', '.join(unread)} as it is now")
    if any(os.path.basename(path) == DROP_IN and path != ours.path for path in paths):
        raise refused(wanted, f"there is another {DROP_IN} than {ours.path}", "take it away")
    texts = {}
    for path in (fragment, *paths):
        content = read_file(path) if path else None
        if content is None:
            raise refused(wanted, f"the file of {wanted.unit} can't be read ({path or 'it has none'})", "put it there")
        texts[path] = content.decode("utf-8", "replace")
    if ours.path in texts and not is_ours(texts[ours.path]):
        raise refused(wanted, f"{ours.path} is somebody else's", "give it another name")
    return texts


def _start(
    wanted: Wanted, texts: t.Mapping[str, str], instead: t.Mapping[str, str], planned: t.Mapping[str, bytes]
) -> NextStart:
    """The next start with some of the unit's files as they are going to be."""
    start = start_of(wanted, _whole({**texts, **instead}), planned)
    return NextStart(tuple(start.argv), of_etcd(start.variables))


def start_of(wanted: Wanted, whole: str, planned: t.Mapping[str, bytes], way: str = _PLAINLY) -> UnitStart:
    """What a unit with its drop-ins starts; RefusedError where that is not known for certain.

    ``planned``: what files will hold that are going to be written.
    """

    def read(path: str) -> bytes | None:
        return planned[path] if path in planned else read_file(path)

    try:
        return start_of_unit(whole, wanted.unit, socket.gethostname(), read, manager.inherited_environment())
    except UnknownSettings as exc:
        raise refused(wanted, f"what {wanted.unit} starts etcd with the next time is not known: {exc}", way) from None


def _whole(texts: t.Mapping[str, str]) -> str:
    """A unit's files as one text, the drop-ins in systemd's order."""
    fragment, *others = texts
    return "\n".join(texts[path] for path in (fragment, *sorted(others, key=os.path.basename)))


def refuse_other_changes(wanted: Wanted, seen: Seen) -> None:
    """RefusedError where a restart would bring more than the list: a unit, program or CA that was changed since."""
    program = seen.process["argv"][0]
    if seen.bare.argv != tuple(seen.process["argv"]):
        raise refused(wanted, f"{wanted.unit} would start etcd with other words than it runs with ({program})")
    if not manager.runs_from(seen.process["pid"], program):
        raise refused(wanted, f"{program} was replaced since etcd was started from it")
    if _without_list(seen.bare.environment) != _without_list(
        {name: value for name, value in seen.process["environment"].items() if value}
    ):
        raise refused(wanted, f"{wanted.unit} would start etcd with other variables than it runs with")
    others = [path for path in seen.texts if path != seen.ours.path]
    named = environment_files(_whole({**seen.texts, seen.ours.path: ""}), wanted.unit)
    others += [path for path, _may_be_missing in named]
    written = [path for path in others if manager.written_after_start(path, seen.properties)]
    if written:
        raise refused(wanted, f"{', '.join(written)} was written since etcd was started")
    is_read = (seen.ours.path in seen.texts) == (seen.ours.path in seen.properties.get("DropInPaths", "").split())
    if seen.properties.get("NeedDaemonReload") == "yes" and is_read and not _is_newer(seen, seen.ours.path):
        raise refused(wanted, f"systemd has not read the files of {wanted.unit} as they are now")
    settings = seen.facts["settings"]
    if settings is None:
        raise refused(wanted, str(seen.facts["settings_problem"]), "write it so that it can be read")
    newer = newer_files(settings, seen.properties)
    if newer:
        raise refused(wanted, f"{', '.join(newer)} was written since etcd was started")


def _is_newer(seen: Seen, path: str) -> bool:
    return path in seen.texts and manager.written_after_start(path, seen.properties)


def _without_list(environment: t.Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != VARIABLE}


def _names_in(value: str | None) -> set[str]:
    return {name for name in (value or "").split(",") if name}


# By a variable --------------------------------------------------------------------------------------------------------


def _plan_variable(wanted: Wanted, seen: Seen) -> Plan:
    own, ours = _own_list(seen), seen.ours
    running = deployed_from_arguments(seen.process["argv"], seen.process["environment"])
    if own is not None:
        if wanted.names and own != set(wanted.names):
            raise refused(wanted, f"it has a list of its own ({', '.join(sorted(own))})", "mend it where it is set")
        if ours.path in seen.texts or set(running["allowed_common_names"]) != own:
            raise refused(wanted, f"it has a list of its own beside {ours.path}", "take one of the two away")
        return Plan((), (), (), running)
    way_back = f"rm {ours.path} {ours.variables_path} && systemctl daemon-reload && systemctl restart {wanted.unit}"
    if not wanted.names:
        removed = tuple(path for path in (ours.path, ours.variables_path) if _ours_at(path))
        pending = _pending(wanted, VARIABLE in seen.process["environment"], bool(removed))
        texts = {path: (_text_of(path), "") for path in removed}
        start = deployed_from_arguments(seen.bare.argv, seen.bare.environment)
        return Plan((), removed, pending, start, texts, way_back)
    start = deployed_from_arguments(*_start_with_list(wanted, seen))
    changes = _drop_in_changes(wanted, ours)
    written = {ours.path: ours.text, ours.variables_path: ours.variables}
    texts = {path: (_text_of(path), text) for path, text in written.items() if path in {one.path for one in changes}}
    pending = _pending(wanted, set(running["allowed_common_names"]) != set(wanted.names), bool(changes))
    return Plan(tuple(changes), (), pending, start, texts, way_back)


def _start_with_list(wanted: Wanted, seen: Seen) -> tuple[tuple[str, ...], t.Mapping[str, str]]:
    """The next start with the drop-in; RefusedError where it would bring anything else than the list."""
    ours = seen.ours
    start = _start(wanted, seen.texts, {ours.path: ours.text}, {ours.variables_path: ours.variables.encode("utf-8")})
    if start.argv != seen.bare.argv or start.environment != {**seen.bare.environment, VARIABLE: ",".join(wanted.names)}:
        raise refused(wanted, f"{ours.path} would not be what is read last", "take away what comes behind it")
    return start.argv, start.environment


def _drop_in_changes(wanted: Wanted, ours: LateDropIn) -> list[Change]:
    if os.path.lexists(ours.variables_path) and not _ours_at(ours.variables_path):
        raise refused(wanted, f"{ours.variables_path} is somebody else's", "give it another name")
    planned = [
        plan_file(WantedFile(path, _FILE_MODE, text.encode("utf-8"), 0, 0))
        # The drop-in comes last: it is never there without its variables.
        for path, text in ((ours.variables_path, ours.variables), (ours.path, ours.text))
    ]
    if not os.path.isdir(ours.folder):
        planned.insert(0, plan_directory(WantedDirectory(ours.folder, _FOLDER_MODE, 0, 0)))
    return [change for change in planned if change is not None]


def _own_list(seen: Seen) -> set[str] | None:
    """The names of a list that its deployer has set, by a flag or a variable; None where there is none."""
    flags = deployed_from_arguments(seen.bare.argv)["flags"]
    value = flags.get(_LIST_FLAG) or seen.bare.environment.get(VARIABLE)
    return None if value is None else _names_in(value)


def _ours_at(path: str) -> bool:
    return is_ours(_text_of(path))


def _text_of(path: str) -> str:
    return (read_file(path) or b"").decode("utf-8", "replace")


def _pending(wanted: Wanted, is_due: bool, is_changed: bool) -> tuple[Reason, ...]:
    if is_due and wanted.names:
        return ({"code": "list_lacking", "text": "its process has no list of allowed common names, or another one"},)
    if is_due:
        return ({"code": "list_left", "text": "its process has the list that a takeover gave it"},)
    if is_changed:
        return ({"code": "files_changed", "text": "its files are written anew: they are tried by a start"},)
    return ()


# By a configuration file ----------------------------------------------------------------------------------------------


def _plan_config(wanted: Wanted, seen: Seen, path: str) -> Plan:
    """The list as a line of the file. Which file the process was started with only its age tells."""
    if not os.path.isabs(path):
        raise refused(wanted, f"its configuration file {path} is a relative path", "name it from / on")
    if seen.ours.path in seen.texts:
        raise refused(wanted, f"there is {seen.ours.path} beside its configuration file", "take it away")
    content = read_file(path)
    try:
        text = (content or b"").decode("utf-8")
        bare = without_list(text)
        made = with_list(bare, wanted.names) if wanted.names and not _has_own(wanted, bare) else bare
        settings = settings_of_config(parse_config(made)).deployed
    except ValueError as exc:
        raise refused(wanted, f"{path} can't be read for certain ({exc})", "set the list there by hand") from None
    is_newer = _is_newer_than(path, seen)
    if is_newer and not _is_between(path, bare, seen):
        raise refused(wanted, f"{path} was written since etcd was started")
    change = None
    if made != text:
        mode = int(describe(path)["mode"], 8)
        change = plan_file(WantedFile(path, mode, made.encode("utf-8")))
    return Plan(
        (change,) if change is not None else (),
        (),
        _pending(wanted, is_newer or change is not None, False),
        t.cast(Deployed, {**settings, "program": seen.process["argv"][0]}),
        {path: _lines_that_differ(text, made)} if change is not None else {},
        f"mv {backup_path(path)} {path} && systemctl restart {wanted.unit}",
        (path,),
    )


def _has_own(wanted: Wanted, bare: str) -> bool:
    """Whether its deployer has set just this list there; RefusedError where it is another one."""
    own = settings_of_config(parse_config(bare)).deployed["allowed_common_names"]
    if own and set(own) != set(wanted.names):
        raise refused(wanted, f"it has a list of its own ({', '.join(own)})", f"mend it in {wanted.config_file}")
    return bool(own)


def _lines_that_differ(before: str, after: str) -> tuple[str, str]:
    """What else stands in the file is nobody's business: there may be a token in it."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(line for line in old if line not in new), "".join(line for line in new if line not in old)


def _is_newer_than(path: str, seen: Seen) -> bool:
    started = processes.started_at(seen.process["pid"])
    return started is None or os.stat(path).st_mtime > started + _MOMENT


def _is_between(path: str, bare: str, seen: Seen) -> bool:
    """Whether a run of ours has written the file and was ended before the restart: what it kept says what was there."""
    kept = backup_path(path)
    content = read_file(kept)
    if content is None or _is_newer_than(kept, seen):
        return False
    try:
        return without_list(content.decode("utf-8")) == bare
    except ValueError:
        return False


__all__ = ("Plan", "Seen", "Wanted", "look", "plan_takeover", "refuse_other_changes", "refused", "start_of")
