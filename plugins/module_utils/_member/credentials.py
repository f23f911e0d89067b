# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A member's or a client's files on a host as one unit: all of them checked as they are going to be, then written.

``plan_credentials`` does every check and writes nothing; ``apply_credentials`` carries the plan out.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    CryptoError,
    FileError,
    InputError,
    RefusedError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    checked_member_name,
    checked_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._member.credential_files import (
    CA,
    CERTIFICATE,
    FILES,
    PRIVATE_KEY,
    REVOCATION_LIST,
    credential_paths,
    requested_key_path,
    revocation_list_path,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.access import (
    Attributes,
    Identity,
    barrier_error,
    find_barrier,
    identity_of,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import (
    read_certificates,
    read_revoked,
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
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import describe, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import CLIENT as CLIENT_USAGES
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import PEER as PEER_USAGES
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import (
    Material,
    check_certificate,
    check_credentials,
    check_pair,
    check_private_key,
    check_trust_bundle,
    private_key_block,
    private_key_fits,
    read_public,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import as_result
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import (
    CERTIFICATE_LABEL,
    REVOCATION_LIST_LABEL,
    is_read_by_all,
    pem_text,
    split_pem,
)

_TITLES = {CA: "trust bundle", PRIVATE_KEY: "private key", CERTIFICATE: "certificate"}
_ARGUMENTS = {CA: "ca_certificate_content", PRIVATE_KEY: "private_key_content", CERTIFICATE: "certificate_content"}


@dataclass(frozen=True)
class WantedCredentials:
    """What is asked for. Content of None keeps the file that is there; ``pending_content`` names what comes later."""

    directory: str
    name: str
    owner: str
    group: str
    directory_mode: int
    ca_certificate_content: str | None = field(default=None, repr=False)
    certificate_content: str | None = field(default=None, repr=False)
    private_key_content: str | None = field(default=None, repr=False)
    # Whether the private key is the one that this host has made, which waits for its certificate.
    requested_key: bool = False
    revocation_list_content: str | None = field(default=None, repr=False)
    pending_content: frozenset[str] = frozenset()
    check_mode: bool = False
    # A client's: for clientAuth alone, and in a folder that clients of other owners may share.
    is_client: bool = False
    private_key_mode: int = 0o600

    @property
    def usages(self) -> tuple[str, ...]:
        return CLIENT_USAGES if self.is_client else PEER_USAGES


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
    given = _given(request)
    waiting = _take_waiting_key(request, paths, given)
    materials = _materials(request, paths, given, waiting)
    _check_materials(materials, request.usages)
    listed = _revocation_list(request)
    if listed is not None:
        _check_not_shorter(listed, revocation_list_path(request.directory))

    written = _written(given, paths, waiting)
    if listed is not None:
        written[REVOCATION_LIST] = listed
    folder_gid = ids.root_gid if request.is_client else ids.owner_gid
    wanted_directory = WantedDirectory(request.directory, request.directory_mode, ids.root_uid, folder_gid)
    wanted_files = _wanted_files(request, paths, written, ids)
    planned = {"directory": _with_names(plan_directory(wanted_directory), wanted_directory, request, ids)}
    for kind in _kinds(paths):
        change = _with_names(plan_file(wanted_files[kind]), wanted_files[kind], request, ids)
        planned[kind] = _with_pending(change, wanted_files[kind], kind, request, written)

    reader = identity_of(request.owner)
    if reader is not None:
        _check_access(request, paths, planned, reader)

    changes = {key: change for key, change in planned.items() if change is not None}
    leftovers = tuple(paths[kind] for kind in _kinds(paths) if has_leftover(paths[kind]))
    reasons = {key: list(change.reasons) for key, change in changes.items()}
    for kind in _kinds(paths):
        if paths[kind] in leftovers:
            reasons.setdefault(kind, []).append("leftover")
    if waiting is not None and PRIVATE_KEY not in reasons:
        # A run was killed when it had put the key in place.
        reasons[PRIVATE_KEY] = ["leftover"]
    key_change = changes.get(PRIVATE_KEY)
    replaces_key = key_change is not None and "content" in key_change.reasons
    before, after = _difference(paths, changes, materials, listed)
    return CredentialsPlan(
        paths={"directory": request.directory, **paths},
        changes=tuple(changes.values()),
        leftovers=leftovers,
        reasons=reasons,
        backups={paths[PRIVATE_KEY]: backup_path(paths[PRIVATE_KEY])} if replaces_key else {},
        backup_not_after=_end_of_present(paths) if replaces_key else None,
        notes=tuple(notes),
        before=before,
        after=after,
        reader=reader,
        contents={kind: material.content for kind, material in materials.items()},
        waiting=waiting,
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
    for kind in _kinds(plan.paths):
        # Before the change the folder's own part was worked out from its mode; now the kernel says.
        barrier = None if plan.reader is None else find_barrier(plan.paths[kind], plan.reader)
        if barrier is not None and plan.reader is not None:
            raise barrier_error(plan.paths[kind], plan.reader, barrier)
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


def _revocation_list(request: WantedCredentials) -> bytes | None:
    """The list in DER, which every etcd reads; CryptoError where what was given is none."""
    what = "revocation_list_content"
    if request.revocation_list_content is None:
        return None
    blocks = split_pem(request.revocation_list_content.encode("utf-8", "replace"), what)
    if [block.label for block in blocks] != [REVOCATION_LIST_LABEL]:
        raise CryptoError(f"{what} is not one revocation list in PEM: etcd reads just one, give the CA's (ca.crl)")
    read_revoked(blocks[0].der, what)
    return blocks[0].der


def _check_not_shorter(listed: bytes, path: str) -> None:
    """RefusedError where a list has not all that the present one has: who was refused so far would be let in."""
    present = read_file(path)
    if present is None:
        return
    # What can't be read refuses everybody or nobody: any list is better.
    with contextlib.suppress(CryptoError):
        lost = sorted(read_revoked(present, path) - read_revoked(listed))
        if lost:
            raise RefusedError(
                f"{path} revokes serial number {', '.join(lost[:5])}{' and more' if lost[5:] else ''}, and the list at "
                "hand does not: put the CA's index.json and ca.crl back from their backup, or this file in the place "
                "of that ca.crl, whose serial numbers the CA then takes over; where this host is not believed, move "
                "it away",
                lost=lost[:100],
            )


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


def _given(request: WantedCredentials) -> dict[str, bytes]:
    contents = {
        CA: request.ca_certificate_content,
        CERTIFICATE: request.certificate_content,
        PRIVATE_KEY: request.private_key_content,
    }
    return {kind: text.encode("utf-8", "replace") for kind, text in contents.items() if text is not None}


def _take_waiting_key(request: WantedCredentials, paths: dict[str, str], given: dict[str, bytes]) -> str | None:
    """Put the key that this host has made among what is given; gives its path, None where no key waits.

    CryptoError where it is wanted and neither waits nor is in place.
    """
    if not request.requested_key:
        return None
    path = requested_key_path(request.directory, request.name)
    waiting = read_file(path)
    if waiting is not None:
        given[PRIVATE_KEY] = waiting
        return path
    certificate, present = given.get(CERTIFICATE), read_file(paths[PRIVATE_KEY])
    with contextlib.suppress(CryptoError):
        if certificate is None or PRIVATE_KEY in request.pending_content:
            return None
        pair = Material(_ARGUMENTS[CERTIFICATE], certificate), Material(paths[PRIVATE_KEY], present or b"")
        if private_key_fits(*pair):
            return None
    raise CryptoError(
        f"no private key waits as {path}, and the one in place is not that of certificate_content: make one with "
        "etcd_peer_key, and have its request signed",
        reason="no_requested_key",
    )


def _argument(kind: str, waiting: str | None) -> str:
    """What given content is called in messages."""
    return waiting if kind == PRIVATE_KEY and waiting is not None else _ARGUMENTS[kind]


def _written(given: dict[str, bytes], paths: dict[str, str], waiting: str | None) -> dict[str, bytes]:
    """What goes to the files, written anew from what was read, so that no word that was pasted beside it gets there.

    A file that says the same is left as it is: line ends, wrapping and comments are no difference.
    """
    written: dict[str, bytes] = {}
    for kind, content in given.items():
        ders = _ders(kind, Material(_argument(kind, waiting), content))
        present = read_file(paths[kind])
        written[kind] = b"".join(pem_text(label, der) for label, der in ders)
        if present is not None and is_read_by_all(present):
            with contextlib.suppress(CryptoError):
                if _ders(kind, Material(paths[kind], present)) == ders:
                    written[kind] = present
    return written


def _ders(kind: str, material: Material) -> list[tuple[str, bytes]]:
    """The content of a file, however it is written."""
    if kind == PRIVATE_KEY:
        block = private_key_block(material)
        return [(block.label, block.der)]
    return [(CERTIFICATE_LABEL, certificate.der) for certificate in read_public(material)]


def _materials(
    request: WantedCredentials, paths: dict[str, str], given: dict[str, bytes], waiting: str | None
) -> dict[str, Material]:
    """What each file is going to hold, as far as it is known: what was given, else what is there."""
    materials: dict[str, Material] = {}
    missing: list[str] = []
    for kind in (CA, CERTIFICATE, PRIVATE_KEY):
        if kind in given:
            materials[kind] = Material(_argument(kind, waiting), given[kind])
        elif kind not in request.pending_content:
            content = read_file(paths[kind])
            if content is None:
                missing.append(kind)
            else:
                materials[kind] = Material(paths[kind], content)
    if missing:
        what = " and no ".join(_TITLES[kind] for kind in missing)
        where = " and ".join(paths[kind] for kind in missing)
        arguments = " and ".join(_ARGUMENTS[kind] for kind in missing)
        remedy = "give " + ("it" if len(missing) == 1 else "them")
        if PRIVATE_KEY in missing:
            remedy += "; where the key is lost, issue the certificate anew with a new key"
        raise CryptoError(
            f"no {what} for {request.name}: {where} {'does' if len(missing) == 1 else 'do'} not exist and {arguments} "
            f"{'was' if len(missing) == 1 else 'were'} not given: {remedy}",
            missing=missing,
        )
    return materials


def _check_materials(materials: dict[str, Material], usages: t.Sequence[str]) -> None:
    """Check what is known of the three; with all three known by a whole TLS handshake."""
    bundle, certificate, private_key = (materials.get(kind) for kind in (CA, CERTIFICATE, PRIVATE_KEY))
    if bundle is not None and certificate is not None and private_key is not None:
        check_credentials(bundle, certificate, private_key, usages)
        return
    if bundle is not None:
        check_trust_bundle(bundle)
    if private_key is not None:
        check_private_key(private_key)
    if certificate is not None:
        if private_key is not None:
            check_pair(certificate, private_key)
        check_certificate(certificate, usages=usages)


def _end_of_present(paths: dict[str, str]) -> str | None:
    """Until when the certificate of the present key is valid; None where it is not beside the key."""
    try:
        certificate, private_key = (read_file(paths[kind]) for kind in (CERTIFICATE, PRIVATE_KEY))
        if certificate is None or private_key is None:
            return None
        found = Material(paths[CERTIFICATE], certificate)
        if not private_key_fits(found, Material(paths[PRIVATE_KEY], private_key)):
            return None
        return iso_time(read_certificates(certificate, found.name)[0].not_after)
    except RingfenceError:
        return None


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
    for path in paths.values():
        barrier = find_barrier(path, reader, attributes)
        if barrier is not None:
            raise barrier_error(path, reader, barrier)


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


def _difference(
    paths: dict[str, str], changes: dict[str, Change], materials: dict[str, Material], listed: bytes | None
) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Public facts before and after, for ``--diff``: never a byte of the key, not even of a hash of it."""
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    for key, change in changes.items():
        was, becomes = dict(change.before), dict(change.after)
        new_content = bool({"missing", "content"} & set(change.reasons))
        if key == PRIVATE_KEY and new_content:
            was["content"] = "none" if was["state"] == "absent" else "the present key"
            becomes["content"] = "another key"
        elif key in (CA, CERTIFICATE) and new_content:
            was["certificates"] = _fingerprints(read_file(paths[key]))
            becomes["certificates"] = (
                _fingerprints(materials[key].content) if key in materials else ["issued in this run"]
            )
        elif key == REVOCATION_LIST and new_content:
            was["revoked"] = _serial_numbers(read_file(paths[key]))
            becomes["revoked"] = _serial_numbers(listed) if listed is not None else ["made in this run"]
        before[change.path], after[change.path] = was, becomes
    return before, after


def _serial_numbers(content: bytes | None) -> list[str]:
    if content is None:
        return []
    try:
        return sorted(read_revoked(content))
    except RingfenceError:
        return ["unreadable"]


def _fingerprints(content: bytes | None) -> list[str]:
    if content is None:
        return []
    try:
        facts = [
            as_result(certificate, datetime.datetime.now(datetime.timezone.utc))
            for certificate in read_certificates(content)
        ]
    except RingfenceError:
        return ["unreadable"]
    return [f"{fact['common_name']}, until {fact['not_after']}, sha256 {fact['fingerprint']}" for fact in facts]


__all__ = (
    "CredentialsPlan",
    "WantedCredentials",
    "apply_credentials",
    "backup_note",
    "plan_credentials",
)
