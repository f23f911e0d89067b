# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's or a client's files on a host as one unit: all of them checked as they are going to be, then written.

``plan_credentials`` does every check and writes nothing; ``apply_credentials`` carries the plan out.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    InputError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    checked_member_name,
    checked_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_contents import (
    WantedCredentials,
    checked_contents,
    end_of_present,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_difference import difference
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    CA,
    CERTIFICATE,
    FILES,
    PRIVATE_KEY,
    REVOCATION_LIST,
    credential_paths,
    revocation_list_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.access import (
    Attributes,
    Identity,
    check_readable,
    identity_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import (
    NEW_PARENT_MODE,
    Change,
    WantedDirectory,
    WantedFile,
    apply_changes,
    backup_path,
    check_may_give,
    gid_of,
    has_leftover,
    missing_parents,
    plan_directory,
    plan_file,
    remove_file,
    remove_leftover,
    uid_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import describe


@dataclass(frozen=True)
class CredentialsPlan:
    """What is going to happen; nothing has happened yet."""

    paths: dict[str, str]
    changes: tuple[Change, ...]
    leftovers: tuple[str, ...]
    reasons: dict[str, list[str]]
    backups: dict[str, str]
    backup_not_after: str | None
    notes: tuple[str, ...]
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    reader: Identity | None
    # By kind what each file is going to hold, as far as it is known.
    contents: dict[str, bytes] = field(repr=False)
    # The file of a key that waited, and has no use for it once the key is in place.
    waiting: str | None = None

    @property
    def changed(self) -> bool:
        return bool(self.reasons)

    @property
    def presents_another(self) -> bool:
        """Whether another certificate takes its place."""
        return "content" in self.reasons.get(CERTIFICATE, ())


@dataclass(frozen=True)
class _Ids:
    """Owner and group as numbers; None for what check mode does not know yet, or what an ordinary user can't give."""

    root_uid: int | None
    root_gid: int | None
    owner_uid: int | None
    owner_gid: int | None


def plan_credentials(request: WantedCredentials) -> CredentialsPlan:
    """All checks and the plan; RingfenceError with one line where something does not fit."""
    _check_input(request)
    paths = _paths(request)
    notes: list[str] = []
    ids = _ids(request, notes)
    contents = checked_contents(request, paths)
    folder_gid = ids.root_gid if request.is_client else ids.owner_gid
    wanted_directory = WantedDirectory(request.directory, request.directory_mode, ids.root_uid, folder_gid)
    wanted_files = _wanted_files(request, paths, contents.written, ids)
    planned = {"directory": _with_names(plan_directory(wanted_directory), wanted_directory, request, ids)}
    for kind in _kinds(paths):
        change = _with_names(plan_file(wanted_files[kind]), wanted_files[kind], request, ids)
        planned[kind] = _with_pending(change, wanted_files[kind], kind, request, contents.written)

    reader = identity_of(request.owner)
    if reader is not None:
        _check_access(request, paths, planned, reader)

    changes = {key: change for key, change in planned.items() if change is not None}
    leftovers = tuple(paths[kind] for kind in _kinds(paths) if has_leftover(paths[kind]))
    reasons = {key: list(change.reasons) for key, change in changes.items()}
    for kind in _kinds(paths):
        if paths[kind] in leftovers:
            reasons.setdefault(kind, []).append("leftover")
    if contents.waiting is not None and PRIVATE_KEY not in reasons:
        # A run was killed when it had put the key in place.
        reasons[PRIVATE_KEY] = ["leftover"]
    key_change = changes.get(PRIVATE_KEY)
    replaces_key = key_change is not None and "content" in key_change.reasons
    before, after = difference(paths, changes, contents)
    return CredentialsPlan(
        paths={"directory": request.directory, **paths},
        changes=tuple(changes.values()),
        leftovers=leftovers,
        reasons=reasons,
        backups={paths[PRIVATE_KEY]: backup_path(paths[PRIVATE_KEY])} if replaces_key else {},
        backup_not_after=end_of_present(paths) if replaces_key else None,
        notes=tuple(notes),
        before=before,
        after=after,
        reader=reader,
        contents={kind: material.content for kind, material in contents.materials.items()},
        waiting=contents.waiting,
    )


def _wanted_files(
    request: WantedCredentials, paths: t.Mapping[str, str], written: t.Mapping[str, bytes], ids: _Ids
) -> dict[str, WantedFile]:
    """Each file's place, owner and mode: only the private key is its owner's alone."""
    found = {
        CA: WantedFile(paths[CA], 0o644, written.get(CA), ids.root_uid, ids.root_gid),
        PRIVATE_KEY: WantedFile(
            paths[PRIVATE_KEY],
            request.private_key_mode,
            written.get(PRIVATE_KEY),
            ids.owner_uid,
            ids.owner_gid,
            secret=True,
        ),
        CERTIFICATE: WantedFile(paths[CERTIFICATE], 0o644, written.get(CERTIFICATE), ids.root_uid, ids.root_gid),
    }
    if REVOCATION_LIST in paths:
        path = paths[REVOCATION_LIST]
        found[REVOCATION_LIST] = WantedFile(path, 0o644, written.get(REVOCATION_LIST), ids.root_uid, ids.root_gid)
    return found


def apply_credentials(plan: CredentialsPlan) -> dict[str, str]:
    """Carry the plan out; gives back which file is kept where. FileError where the owner still can't read all."""
    for path in plan.leftovers:
        remove_leftover(path)
    backups = apply_changes(plan.changes, keep_replaced=(plan.paths[PRIVATE_KEY],))
    if plan.waiting is not None:
        remove_file(plan.waiting)
    if plan.reader is not None:
        # Before the change the folder's own part was worked out from its mode; now the kernel says.
        check_readable([plan.paths[kind] for kind in _kinds(plan.paths)], plan.reader)
    return backups


def _paths(request: WantedCredentials) -> dict[str, str]:
    """The paths of all files that there are going to be: the revocation list where there is one."""
    paths = credential_paths(request.directory, request.name)
    path = revocation_list_path(request.directory)
    is_coming = request.revocation_list_content is not None or REVOCATION_LIST in request.pending_content
    return {**paths, REVOCATION_LIST: path} if is_coming or os.path.lexists(path) else paths


def _kinds(paths: t.Container[str]) -> tuple[str, ...]:
    """The files in the order in which they are renamed."""
    return (FILES[0], REVOCATION_LIST, *FILES[1:]) if REVOCATION_LIST in paths else FILES


def _check_input(request: WantedCredentials) -> None:
    checked_path(request.directory, "directory")
    checked_member_name(request.name, "name:")
    if not request.check_mode and request.pending_content:
        raise InputError(
            f"pending_content: {', '.join(sorted(request.pending_content))} stands for content that is not there "
            "yet, which only check mode can do without: give the content"
        )
    if not 0 <= request.directory_mode <= 0o7777:
        raise InputError(f"directory_mode: {request.directory_mode:o} is no mode: write it like '0755'")
    if request.directory_mode & 0o022:
        raise InputError(
            f"directory_mode: {request.directory_mode:04o} lets others than root put files there: use '0755' or '0750'"
        )


def _ids(request: WantedCredentials, notes: list[str]) -> _Ids:
    def known(find: t.Callable[[str], int], name: str, kind: str) -> int | None:
        try:
            return find(name)
        except FileError:
            if not request.check_mode:
                raise
            # A whole run in check mode comes here before the user could be made.
            notes.append(
                f"{kind} {name} does not exist on this host yet; it must before the real run gets here. Whether {name} "
                "can read the files was not checked."
            )
            return None

    root = 0 if os.geteuid() == 0 else None
    ids = _Ids(root, root, known(uid_of, request.owner, "user"), known(gid_of, request.group, "group"))
    check_may_give(request.owner, ids.owner_uid, request.group, ids.owner_gid)
    return ids


def backup_note(plan: CredentialsPlan) -> str | None:
    """The warning about a replaced key that is kept; None where none is replaced."""
    for path in plan.backups.values():
        until = f"valid until {plan.backup_not_after}" if plan.backup_not_after else "not known here"
        return (
            f"the replaced private key is kept as {path} until a later one takes its place; its certificate is "
            f"{until}: remove the file when nobody needs it any more"
        )
    return None


def _with_names(
    change: Change | None, wanted: WantedDirectory | WantedFile, request: WantedCredentials, ids: _Ids
) -> Change | None:
    """In check mode a user that does not exist yet has no number to plan with: put its name into the change."""
    names: dict[str, str] = {}
    if isinstance(wanted, WantedFile) and wanted.secret and ids.owner_uid is None:
        names["owner"] = request.owner
    if not (isinstance(wanted, WantedFile) and not wanted.secret) and ids.owner_gid is None:
        names["group"] = request.group
    if not names:
        return change
    if change is None:
        found = describe(os.path.realpath(wanted.path))
        change = Change(wanted, (), found, found)
    reasons = change.reasons if change.reasons == ("missing",) else tuple(dict.fromkeys((*change.reasons, *names)))
    return dataclasses.replace(change, reasons=reasons, after={**change.after, **names})


def _with_pending(
    change: Change | None, wanted: WantedFile, kind: str, request: WantedCredentials, given: dict[str, bytes]
) -> Change | None:
    """Content that the real run will have is a change, though nobody can say what is in it."""
    if kind not in request.pending_content or kind in given:
        return change
    if change is None:
        found = describe(wanted.path)
        return Change(wanted, ("content",), found, found)
    if change.reasons == ("missing",):
        return change
    return dataclasses.replace(change, reasons=("content", *change.reasons))


def _check_access(
    request: WantedCredentials, paths: dict[str, str], planned: dict[str, Change | None], reader: Identity
) -> None:
    """The owner must get to each file along the whole path, as it is going to be."""
    folder = os.path.realpath(request.directory)
    attributes = {parent: Attributes(os.geteuid(), os.getegid(), NEW_PARENT_MODE) for parent in missing_parents(folder)}
    for key, change in planned.items():
        if change is not None:
            where = folder if key == "directory" else os.path.join(folder, os.path.basename(change.path))
            attributes[where] = _planned_attributes(change)
    if planned["directory"] is not None:
        # Behind a folder that is still closed the reader can't ask the kernel for a file that stays as it is.
        for path in paths.values():
            if os.path.lexists(path):
                found = os.lstat(path)
                where = os.path.join(folder, os.path.basename(path))
                attributes.setdefault(where, Attributes(found.st_uid, found.st_gid, found.st_mode & 0o7777))
    check_readable(list(paths.values()), reader, attributes)


def _planned_attributes(change: Change) -> Attributes:
    def number(find: t.Callable[[str], int], name: str) -> int:
        try:
            return find(name)
        except FileError:
            # A group that is made later: nobody is in it yet.
            return -1

    return Attributes(
        number(uid_of, change.after["owner"]), number(gid_of, change.after["group"]), int(change.after["mode"], 8)
    )


__all__ = (
    "CredentialsPlan",
    "apply_credentials",
    "backup_note",
    "plan_credentials",
)
