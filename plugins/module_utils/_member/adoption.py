# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a unit of this role takes the place of somebody else's on a member's host, and how theirs comes back.

The unit's text is the operator's, from the inventory. What the process runs with decides only whether it is refused:
everything that etcd is given has to be the same, but for the list and for where the member's own files are. These stay
where they are; the role gets copies in its folder.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.adoption import as_lines, differences
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import (
    UnknownSettings,
    config_settings,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_contents import WantedCredentials
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credentials import (
    CredentialsPlan,
    apply_credentials,
    plan_credentials,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.member_unit import WantedUnit
from ansible_collections.ringfence.etcd.plugins.module_utils._member.running_unit import text_at
from ansible_collections.ringfence.etcd.plugins.module_utils._member.takeover import (
    Seen,
    Wanted,
    look,
    refuse_other_changes,
    refused,
    start_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.unit_plan import (
    apply_plan,
    forget_absence,
    kept_unit,
    plan_absence,
    plan_present,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.file_moves import move_to, put_aside
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    WantedDirectory,
    WantedFile,
    apply_changes,
    gid_of,
    plan_directory,
    plan_file,
    remove_file,
    uid_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import (
    describe,
    group_name,
    owner_name,
    read_file,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.left_behind import (
    left_behind,
    log_outside,
    may_pass_all_folders,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import (
    UNIT_FOLDERS,
    next_start,
    of_etcd,
    settings_at_start,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_of, exec_command

_ASIDE = "adopted"
_FOLDER_MODE = 0o750
_SAY = "put what it has into the inventory, or change it there first"
# Of GOMAXPROCS: Go takes as many by itself.
_ALL_CORES = "$(nproc)"
# Where a member is: by its way back it has to be the same one.
_IDENTITY = ("name", "data-dir", "wal-dir", "listen-peer-urls", "initial-advertise-peer-urls", "advertise-client-urls")


@dataclass(frozen=True)
class Adoption:
    """What is wanted of a member: a unit with this text, with its files in this folder, run as this user.

    ``keeps_list``: its list of names is neither made nor changed, since its certificate is others' as well.
    """

    member: Wanted
    text: str = field(repr=False)
    directory: str
    owner: str
    group: str
    unit_directory: str = UNIT_FOLDERS[0]
    keeps_list: bool = False

    @property
    def unit_path(self) -> str:
        return os.path.join(self.unit_directory, self.member.unit)


@dataclass(frozen=True)
class AdoptionPlan:
    """What is done, and why a restart is due. ``asked_with``: the next start, with files that there are already."""

    steps: tuple[t.Callable[[], object], ...]
    paths: tuple[str, ...]
    pending: tuple[Reason, ...]
    asked_with: Deployed = field(repr=False)
    texts: t.Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    way_back: str = ""

    def apply(self, unit: str) -> None:
        for step in self.steps:
            step()
        manager.daemon_reload()
        if manager.show(unit).get("NeedDaemonReload") == "yes":
            raise ServiceError(f"systemd has not read the files of {unit} as they are now: it was not restarted")


def plan_adoption(wanted: Adoption, check_mode: bool = False) -> AdoptionPlan:
    """The role's unit in the place of theirs; RefusedError where a start with it would bring anything but the fence."""
    member = wanted.member
    seen = look(member, by_any_settings=True)
    on_disk = text_at(wanted.unit_path)
    is_ours = on_disk is not None and configuration_hash_of(on_disk) is not None
    if seen.process["environ_hash"] is not None:
        if not is_ours:
            raise refused(member, "its way back has begun", "end that with etcd_adopt_state=absent first")
        return _nothing(seen)
    if not is_ours:
        refuse_other_changes(member, seen)
        _refuse_left_behind(wanted, seen)
    elif on_disk != wanted.text:
        raise refused(member, f"{wanted.unit_path} is another unit of this role", "run the deployment")
    _refuse_unknown(wanted, seen)
    after = _after(wanted, seen)
    before = _running(seen, after)
    _refuse_differences(wanted, seen, before, after)
    put_files, changed = _plan_files(wanted, seen, after, check_mode)
    unit = plan_present(_wanted_unit(wanted, after), trust_bundle_changed=False, check_mode=check_mode)
    aside = tuple(path for path in (seen.ours.path, seen.ours.variables_path) if os.path.lexists(path))
    # Their unit is in a folder below ours: one that was kept here was another time's.
    absence = plan_absence(wanted.unit_path) if on_disk is None else None
    kept = None if on_disk is None else unit.unit_backup or kept_unit(wanted.unit_path)
    return AdoptionPlan(
        # Each of these leaves a unit that starts, theirs or ours, should the run end behind it.
        steps=(
            put_files,
            *(functools.partial(put_aside, path, _ASIDE) for path in aside),
            *((functools.partial(apply_changes, [absence]),) if absence is not None else ()),
            functools.partial(apply_plan, unit),
        ),
        paths=tuple(sorted({*changed, *aside, *(change.path for change in unit.files)})),
        pending=({"code": "unit_adopted", "text": "it runs from a unit that this role did not make"},),
        asked_with=t.cast(Deployed, {**after, "files": before["files"]}),
        texts={
            f"settings of {member.member}": (as_lines(before["flags"]), as_lines(after["flags"])),
            wanted.unit_path: (on_disk or "", wanted.text),
        },
        way_back=_way_back(wanted, kept, aside),
    )


def _nothing(seen: Seen) -> AdoptionPlan:
    return AdoptionPlan((), (), (), deployed_from_arguments(seen.process["argv"], seen.process["environment"]))


def _plan_files(
    wanted: Adoption, seen: Seen, after: Deployed, check_mode: bool
) -> tuple[t.Callable[[], object], list[str]]:
    """How the role's folder gets what it has to have, and what is changed there.

    Where peers speak http it is the folder alone, beside whose files a member is marked as formed.
    """
    if after["files"]["peer_cert_file"]:
        credentials = _plan_credentials(wanted, seen, check_mode)
        return functools.partial(apply_credentials, credentials), [change.path for change in credentials.changes]
    folder = plan_directory(WantedDirectory(wanted.directory, _FOLDER_MODE, 0, gid_of(wanted.group)))
    changes = [] if folder is None else [folder]
    return functools.partial(apply_changes, changes), [change.path for change in changes]


def _wanted_unit(wanted: Adoption, after: Deployed) -> WantedUnit:
    return WantedUnit(
        name=wanted.member.unit,
        text=wanted.text,
        data_dir=after["data_dir"],
        owner=wanted.owner,
        group=wanted.group,
        member_name=wanted.member.member,
        unit_directory=wanted.unit_directory,
        directory=wanted.directory,
    )


# What there is, and what would be ------------------------------------------------------------------------------------


def _after(wanted: Adoption, seen: Seen) -> Deployed:
    """What the next start gives with the role's unit and the drop-ins that stay."""
    drop_ins = list(seen.texts)[1:]
    others = [path for path in drop_ins if path != seen.ours.path]
    alone = settings_at_start(wanted.text)
    start = next_start(wanted.text, wanted.member.unit, others, manager.inherited_environment())
    if alone is None or start is None or (start.argv, start.environment) != (alone.argv, alone.environment):
        what = ", ".join(others) or "systemd's own environment"
        raise refused(
            wanted.member, f"{what} changes what etcd is given", "put that into the inventory, and take it away"
        )
    return deployed_from_arguments(alone.argv, alone.environment)


def _running(seen: Seen, after: Deployed) -> Deployed:
    """What the process runs with, whatever it was given that by; its data folder is the one that it has open."""
    told = t.cast(Deployed, seen.facts["settings"])
    found = seen.facts["data_dir"]
    same = os.path.realpath(found) == os.path.realpath(after["data_dir"])
    return t.cast(Deployed, {**told, "flags": {**told["flags"], "data-dir": after["data_dir"] if same else found}})


def _refuse_unknown(wanted: Adoption, seen: Seen) -> None:
    member, facts = wanted.member, seen.facts
    if facts["settings_problem"] or facts["newer_files"]:
        why = facts["settings_problem"] or f"{', '.join(facts['newer_files'])} was written since etcd was started"
        raise refused(member, str(why))
    if facts["unknown_settings"]:
        raise refused(member, f"it is given {', '.join(facts['unknown_settings'])}, which etcd does not know", _SAY)


def _refuse_differences(wanted: Adoption, seen: Seen, before: Deployed, after: Deployed) -> None:
    member, facts = wanted.member, seen.facts
    found = [str(one) for one in differences(before["flags"], after["flags"], wanted.directory, wanted.keeps_list)]
    program, ran = exec_command(wanted.text)[0], seen.process["argv"][0]
    if program != ran:
        found.append(f"its program is {ran} and would be {program}")
    if set(after["allowed_common_names"]) != set(member.names):
        listed = ", ".join(after["allowed_common_names"])
        found.append(f"the list would be {listed}, and the members present {', '.join(member.names)}")
    ran_as, runs_as = (facts["owner"], facts["owner_group"]), (wanted.owner, wanted.group)
    if ran_as != (owner_name(uid_of(wanted.owner)), group_name(gid_of(wanted.group))):
        found.append(f"it runs as {':'.join(map(str, ran_as))} and would run as {':'.join(runs_as)}")
    if found:
        raise refused(member, "; ".join(found), _SAY)
    if uid_of(wanted.owner) == 0 and not may_pass_all_folders(wanted.text):
        raise refused(
            member,
            "it runs as root, which without capabilities may not enter every folder that it has now",
            "set etcd_peer_tls_extra_unit_settings: {Service: {CapabilityBoundingSet: CAP_DAC_OVERRIDE}}",
        )
    outside = log_outside(after["flags"], wanted.text)
    if outside is not None:
        raise refused(
            member,
            f"it writes its log to {outside}, where the role's unit lets it write nothing",
            "allow the folder (etcd_peer_tls_extra_unit_settings: Service: ReadWritePaths), or log to the journal",
        )


def _refuse_left_behind(wanted: Adoption, seen: Seen) -> None:
    """Drop-ins stay in effect. What stands in the unit itself goes with it."""
    fragment = next(iter(seen.texts.values()))
    # What a shell or env gives etcd, too.
    variables = start_of(wanted.member, fragment, {}).variables
    if variables.get("GOMAXPROCS") == _ALL_CORES:
        del variables["GOMAXPROCS"]
    lost = left_behind(fragment, wanted.text, variables)
    if lost:
        what = f"its unit has {', '.join(lost)}, and the role's has not"
        raise refused(wanted.member, what, "put that into etcd_peer_tls_extra_unit_settings, or into a drop-in")


def _plan_credentials(wanted: Adoption, seen: Seen, check_mode: bool) -> CredentialsPlan:
    """Copies of the member's own pair and CA, checked as the role checks any that it deploys."""
    files = t.cast(Deployed, seen.facts["settings"])["files"]
    paths = [files[f"peer_{kind}_file"] for kind in ("trusted_ca", "cert", "key")]
    folder = os.path.realpath(wanted.directory)
    if any(path and os.path.realpath(os.path.dirname(path)) == folder for path in files.values()):
        what = f"its own files are in {wanted.directory}"
        raise refused(wanted.member, what, "name another folder for the role's copies (etcd_peer_tls_directory)")
    ca, certificate, key = ((read_file(path or "") or b"").decode("utf-8", "replace") for path in paths)
    plan = plan_credentials(
        WantedCredentials(
            directory=wanted.directory,
            name=wanted.member.member,
            owner=wanted.owner,
            group=wanted.group,
            directory_mode=_FOLDER_MODE,
            ca_certificate_content=ca,
            certificate_content=certificate,
            private_key_content=key,
            check_mode=check_mode,
        )
    )
    other = [kind for kind, reasons in plan.reasons.items() if "content" in reasons]
    if other:
        what = f"{wanted.directory} has files of another member or CA ({', '.join(sorted(other))})"
        raise refused(wanted.member, what, "move them away, or name another folder (etcd_peer_tls_directory)")
    return plan


# The way back ---------------------------------------------------------------------------------------------------------


def plan_way_back(wanted: Adoption) -> AdoptionPlan:
    """Their unit in its place again, with the list of a takeover where it had one. The role's copies stay."""
    member = wanted.member
    seen = look(member, by_any_settings=True)
    on_disk = text_at(wanted.unit_path)
    is_ours = on_disk is not None and configuration_hash_of(on_disk) is not None
    if not is_ours and seen.process["environ_hash"] is None:
        return _nothing(seen)
    kept = kept_unit(wanted.unit_path)
    below = next((path for path in _lower_units(wanted) if os.path.lexists(path)), None)
    theirs = kept or (None if is_ours else wanted.unit_path) or below
    if theirs is None:
        raise refused(
            member, f"there is no unit of theirs to go back to beside {wanted.unit_path}", "put it there by hand"
        )
    text = (text_at(theirs) if is_ours else on_disk or text_at(theirs)) or ""
    aside = tuple(
        path
        for path in (seen.ours.variables_path, seen.ours.path)
        if os.path.lexists(f"{path}.{_ASIDE}") and not os.path.lexists(path)
    )
    asked_with = _settings_back(wanted, seen, text, aside)
    return AdoptionPlan(
        steps=(
            *((functools.partial(_put_unit_back, wanted, kept),) if is_ours else ()),
            *(functools.partial(move_to, f"{path}.{_ASIDE}", path) for path in aside),
        ),
        paths=tuple(sorted({wanted.unit_path, *aside})) if is_ours or aside else (),
        pending=({"code": "unit_given_back", "text": "it runs from a unit that this role made"},),
        asked_with=asked_with,
        texts={wanted.unit_path: (on_disk or "", text if kept else "")} if is_ours else {},
        way_back=f"systemctl daemon-reload && systemctl restart {member.unit}",
    )


def _settings_back(wanted: Adoption, seen: Seen, text: str, aside: t.Sequence[str]) -> Deployed:
    """What their unit gives etcd at the next start; RefusedError where that would be another member."""
    drop_ins = [path for path in list(seen.texts)[1:] if path != seen.ours.path]
    drop_ins += [seen.ours.path] if os.path.lexists(seen.ours.path) else []
    planned = {path: read_file(f"{path}.{_ASIDE}") or b"" for path in aside if path == seen.ours.variables_path}
    late = [text_at(f"{path}.{_ASIDE}") or "" for path in aside if path == seen.ours.path]
    whole = "\n".join([text, *(text_at(path) or "" for path in drop_ins), *late])
    start = start_of(wanted.member, whole, planned, "put it back by hand")
    told = deployed_from_arguments(start.argv, of_etcd(start.variables))
    config = told["flags"].get("config-file")
    settings = _from_config(wanted, config) if config else told
    running = deployed_from_arguments(seen.process["argv"], seen.process["environment"])
    found = [
        str(one) for one in differences(running["flags"], settings["flags"], wanted.directory) if one.flag in _IDENTITY
    ]
    if found:
        raise refused(wanted.member, "; ".join(found), "mend their unit first: it would be another member")
    return settings


def _from_config(wanted: Adoption, path: str) -> Deployed:
    try:
        return config_settings(path, read_file).deployed
    except UnknownSettings as exc:
        raise refused(wanted.member, str(exc), "put it back by hand") from None


def _put_unit_back(wanted: Adoption, kept: str | None) -> None:
    if kept is None:
        remove_file(wanted.unit_path)
        forget_absence(wanted.unit_path)
        return
    content = read_file(kept)
    if content is None:
        raise refused(wanted.member, f"{kept} is gone", "run again")
    apply_changes([plan_file(WantedFile(wanted.unit_path, int(describe(kept)["mode"], 8), content))])
    remove_file(kept)


def _lower_units(wanted: Adoption) -> list[str]:
    return [os.path.join(folder, wanted.member.unit) for folder in UNIT_FOLDERS[1:]]


def _way_back(wanted: Adoption, kept: str | None, aside: t.Sequence[str]) -> str:
    first = f"mv {kept} {wanted.unit_path}" if kept else f"rm {wanted.unit_path}"
    moved = [f"mv {path}.{_ASIDE} {path}" for path in aside]
    return " && ".join([first, *moved, "systemctl daemon-reload", f"systemctl restart {wanted.member.unit}"])


__all__ = ("Adoption", "AdoptionPlan", "plan_adoption", "plan_way_back")
