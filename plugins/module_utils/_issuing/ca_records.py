# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The index and the revocation list in a CA's folder: plan, then apply under the folder's lock.

The two say the same, and neither ever gets shorter. Each is made from the other where it is lost; an index that is
there and can't be read is refused. There is one list with the serial numbers of all CAs that the folder has had,
because etcd reads one list, and looks at its serial numbers alone.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca_index
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_index import Index, Issued
from ansible_collections.ringfence.etcd.plugins.module_utils._node import files
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    common_names,
    load_leaf,
    not_after,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.revocation_list import (
    RevocationList,
    is_of_authority,
    make_revocation_list,
    new_serial_number,
    read_revocation_list,
)

if t.TYPE_CHECKING:  # pragma: no cover
    from datetime import datetime

    from cryptography import x509

_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class WantedRecords:
    """``known``: certificates in PEM that are in use, by their members' names; ``revoked``: serial numbers (hex)."""

    known: tuple[tuple[str, str], ...] = ()
    revoked: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordsPlan:
    """``revocation_list``: the one that is there where it may stay, None where it is to be made.

    ``revoked``: what is revoked by this very plan. ``notes``: what a user has to know of the index.
    """

    index: Index
    revocation_list: RevocationList | None
    changes: tuple[files.Change, ...]
    reasons: tuple[Reason, ...]
    revoked: tuple[Issued, ...] = ()
    notes: tuple[str, ...] = ()
    directory: str = ""
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True)
class _Found:
    """What the folder holds. ``listed``: None where there is no list that can be read."""

    index: Index
    text: bytes | None
    listed: RevocationList | None
    notes: tuple[str, ...] = field(default=())


def index_path(directory: str) -> str:
    return os.path.join(directory, "index.json")


def revocation_list_path(directory: str) -> str:
    return os.path.join(directory, "ca.crl")


def plan_records(
    directory: str,
    authority: x509.Certificate | None,
    wanted: WantedRecords,
    now: datetime,
    uid: int | None = None,
    gid: int | None = None,
) -> RecordsPlan:
    """What has to be done to both files; any error here means that nothing was touched.

    ``authority`` None: the CA is still to be made.
    """
    found = _found(directory, authority, now)
    index = found.index
    if authority is not None:
        index = ca_index.with_issued(index, (one for given in wanted.known for one in _known(*given, authority)))
    before = index.revoked
    index = ca_index.with_revoked(index, wanted.revoked, now)
    revoked = tuple(one for one in index.issued if one.revoked is not None and one.serial_number not in before)
    listed = found.listed
    stays = (
        listed is not None
        and authority is not None
        and listed.serial_numbers == set(index.revoked)
        and listed.number == index.number
        and is_of_authority(listed, authority)
    )
    if not stays:
        index = replace(index, number=max(index.number, 0 if listed is None else listed.number) + 1)
    text = ca_index.index_text(index).encode("ascii")
    planned = (
        _plan(index_path(directory), 0o600, text, uid, gid),
        # Signed only when it is made; until then it is what is there, or something that is not.
        _plan(revocation_list_path(directory), 0o644, None if stays else b"", uid, gid),
    )
    changes = tuple(change for change in planned if change is not None)
    return RecordsPlan(
        index=index,
        revocation_list=listed if stays else None,
        changes=changes,
        reasons=tuple(_reasons(changes, revoked)),
        revoked=revoked,
        notes=found.notes,
        directory=directory,
        uid=uid,
        gid=gid,
    )


def apply_records(plan: RecordsPlan, authority: x509.Certificate, key: keys.PrivateKey, now: datetime) -> RecordsPlan:
    """Write what was planned; gives back the plan with the list. The caller holds the folder's lock."""
    if not plan.changes:
        return plan
    listed = plan.revocation_list
    content = None
    if listed is None:
        listed = make_revocation_list(authority, key, plan.index.revoked, plan.index.number, now)
        content = listed.der
    text = ca_index.index_text(plan.index).encode("ascii")
    # The index first: a run that dies between the two leaves a list that is too short, which the next one makes anew.
    files.apply_changes(
        [
            _plan(index_path(plan.directory), 0o600, text, plan.uid, plan.gid),
            _plan(revocation_list_path(plan.directory), 0o644, content, plan.uid, plan.gid),
        ]
    )
    return replace(plan, revocation_list=listed)


def record_issued(directory: str, authority: x509.Certificate, issued: t.Iterable[Issued], now: datetime) -> None:
    """Write into the index what was issued, before anybody has it. The caller holds the folder's lock."""
    found = _found(directory, authority, now)
    index = ca_index.with_issued(found.index, issued)
    text = ca_index.index_text(index).encode("ascii")
    files.apply_changes([_plan(index_path(directory), 0o600, text, None, None)])


def entry_of(certificate: x509.Certificate, name: str | None) -> Issued:
    """A certificate as the index has it."""
    public_key = t.cast("keys.PublicKey", certificate.public_key())
    return Issued(
        serial_number=serial_hex(certificate.serial_number),
        name=name,
        common_name=", ".join(common_names(certificate.subject)) or None,
        key=keys.public_key_digest(public_key),
        not_after=iso_time(not_after(certificate)),
    )


def read_index(directory: str, authority: x509.Certificate, now: datetime) -> Index:
    """The index as the next plan has it, also where it is still to be begun."""
    return _found(directory, authority, now).index


def _found(directory: str, authority: x509.Certificate | None, now: datetime) -> _Found:
    path, list_path = index_path(directory), revocation_list_path(directory)
    text = read_file(path, limit_bytes=_MOST_BYTES)
    content = read_file(list_path, limit_bytes=_MOST_BYTES)
    listed = None
    if content is not None:
        # One that can't be read is made anew from the index.
        with contextlib.suppress(CryptoError):
            listed = read_revocation_list(content, list_path)
    if text is not None:
        index = ca_index.index_from(text, path)
        return _Found(_with_listed(index, listed, now), text, listed)
    if content is not None and listed is None:
        raise CryptoError(
            f"{list_path} is no revocation list in DER, and there is no {path}: what is revoked is not known; put one "
            "of the two back from its backup, or a node's ca.crl in the list's place"
        )
    index = ca_index.new_index(new_serial_number(), now)
    if authority is not None:
        index = ca_index.with_issued(index, _in_folder(directory, authority))
    if listed is None:
        return _Found(index, None, None)
    note = (
        f"{path} was missing and is begun anew: {len(listed.serial_numbers)} serial numbers in {list_path} stay "
        "revoked, and of what was issued before only its members' own certificates are known"
    )
    return _Found(_with_listed(index, listed, now), None, listed, (note,))


def _with_listed(index: Index, listed: RevocationList | None, now: datetime) -> Index:
    return index if listed is None else ca_index.with_revoked(index, listed.serial_numbers, now)


def _in_folder(directory: str, authority: x509.Certificate) -> t.Iterator[Issued]:
    """What lies beside a CA that was made before there was an index: certificates that it signed, by their files."""
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".crt") and name != "ca.crt")
    except OSError:
        return
    for name in names:
        content = read_file(os.path.join(directory, name))
        if content is not None:
            yield from _known(name[: -len(".crt")], content.decode("utf-8", "replace"), authority)


def _known(name: str, pem: str, authority: x509.Certificate) -> t.Iterator[Issued]:
    """A certificate that a member has, where this CA signed it; what else is there is none of its own."""
    with contextlib.suppress(CryptoError):
        certificate = load_leaf(pem, f"the certificate of {name}")
        if certificates.is_signed_by(certificate, t.cast("keys.PublicKey", authority.public_key())):
            yield entry_of(certificate, name)


def _plan(path: str, mode: int, content: bytes | None, uid: int | None, gid: int | None) -> files.Change | None:
    return files.plan_file(files.WantedFile(path, mode, content, uid, gid))


def _reasons(changes: t.Sequence[files.Change], revoked: t.Sequence[Issued]) -> t.Iterator[Reason]:
    for one in revoked:
        yield Reason(code="revoked", text=f"a certificate is revoked: {one.described}")
    for change in changes:
        for code in change.reasons:
            if code in ("owner", "group", "mode"):
                text = f"{change.path} has {code} {change.before[code]}, {change.after[code]} is wanted"
            else:
                text = f"{change.path} is {'missing' if code == 'missing' else 'different'}"
            yield Reason(code=code, text=text)


__all__ = (
    "RecordsPlan",
    "WantedRecords",
    "apply_records",
    "entry_of",
    "index_path",
    "plan_records",
    "read_index",
    "record_issued",
    "revocation_list_path",
)
