# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The peer CA in its folder: plan (make it, repair owner and mode, or refuse), then apply. It never replaces a CA.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    CryptoError,
    FileError,
    InputError,
    RefusedError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    BACKDATE_MINUTES,
    check_range,
    checked_fingerprint,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_records import (
    RecordsPlan,
    WantedRecords,
    apply_records,
    plan_records,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import files
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import new_folders
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import open_folder, os_error, read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.given_pem import written_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import (
    MISSING,
    check_authority_options,
    days_left,
    iso_time,
    validity_from,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import (
    described,
    loaded,
    read_chain,
    validity_problems,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import (
    common_names,
    not_after,
    not_before,
)

if t.TYPE_CHECKING:  # pragma: no cover
    from cryptography import x509

MINIMAL_PASSPHRASE = 8


@dataclass(frozen=True)
class WantedCa:
    """The CA as the user asks for it. ``validity_days`` and ``backdate_minutes`` count only when it is made."""

    directory: str
    common_name: str
    key_type: str
    validity_days: int = 3650
    backdate_minutes: int = 60
    passphrase: str | None = field(default=None, repr=False)
    uid: int | None = None
    gid: int | None = None
    trusted_fingerprints: tuple[str, ...] = ()
    create: bool = True
    create_refused_because: str = ""
    # None: neither index nor revocation list is kept.
    records: WantedRecords | None = None

    @property
    def key_path(self) -> str:
        return os.path.join(self.directory, "ca.key")

    @property
    def certificate_path(self) -> str:
        return os.path.join(self.directory, "ca.crt")


@dataclass(frozen=True)
class CaPlan:
    """What will be done to the folder, and why. ``make``: key and certificate are still to be made."""

    wanted: WantedCa
    certificate: x509.Certificate | None
    make: bool
    reasons: tuple[Reason, ...]
    changes: tuple[files.Change, ...]
    not_before: datetime
    not_after: datetime
    # The CA's certificate and its parents' as PEM, which is what members trust; empty where it is still to be made.
    bundle: str = ""
    new_parents: tuple[str, ...] = ()  # folders above the CA's own that do not exist yet
    records: RecordsPlan | None = None
    key: keys.PrivateKey | None = field(default=None, repr=False)

    @property
    def changed(self) -> bool:
        return bool(self.changes or (self.records is not None and self.records.changes))

    @property
    def all_changes(self) -> tuple[files.Change, ...]:
        return self.changes + (() if self.records is None else self.records.changes)

    @property
    def all_reasons(self) -> tuple[Reason, ...]:
        return self.reasons + (() if self.records is None else self.records.reasons)


def check_wanted(wanted: WantedCa) -> None:
    """InputError where an option's value can't be used. Nothing is read yet."""
    check_authority_options(wanted.common_name, wanted.validity_days, wanted.passphrase)
    check_range("backdate_minutes", wanted.backdate_minutes, *BACKDATE_MINUTES)


def check_new_passphrase(passphrase: str | None, what: str) -> None:
    """InputError where a new CA's key can't be encrypted with it; one that is there keeps what it has."""
    if passphrase is not None and len(passphrase) < MINIMAL_PASSPHRASE:
        # Not only weak: Ansible blanks out every place where a secret's text turns up, so a short one mauls results.
        raise InputError(f"{what} is too short for a new CA key: give at least {MINIMAL_PASSPHRASE} characters")


def plan_ca(wanted: WantedCa, now: datetime) -> CaPlan:
    """What has to be done; any error here means that nothing was touched."""
    check_wanted(wanted)
    trusted = tuple(
        dict.fromkeys(checked_fingerprint(value, "trusted_fingerprints") for value in wanted.trusted_fingerprints)
    )
    key_pem = read_file(wanted.key_path)
    certificate_pem = read_file(wanted.certificate_path)
    if key_pem is None and certificate_pem is None:
        return _plan_new(wanted, trusted, now)
    finishing = False
    if certificate_pem is None:
        certificate_pem = read_file(files.staged_path(wanted.certificate_path))
        finishing = certificate_pem is not None
        if certificate_pem is None:
            raise CryptoError(
                f"{wanted.key_path} is there but {wanted.certificate_path} is not: put the certificate back from its "
                "backup; only if no node ever trusted this CA, move the key away and run again"
            )
    if key_pem is None:
        raise CryptoError(
            f"{wanted.certificate_path} is there but {wanted.key_path} is not: put the key back from its backup; a CA "
            "is never replaced"
        )
    certificate, bundle, key = _checked_ca(wanted, key_pem, certificate_pem, now)
    _check_trusted(trusted, certificate, wanted)
    # The staged certificate of an interrupted run was checked like any other: only its rename is left.
    content = certificate_pem if finishing else None
    changes, reasons = _file_changes(wanted, None, content)
    return CaPlan(
        wanted,
        certificate,
        False,
        reasons,
        changes,
        not_before(certificate),
        not_after(certificate),
        bundle,
        records=_records(wanted, certificate, now),
        key=key,
    )


def apply_ca(plan: CaPlan, now: datetime) -> CaPlan:
    """Carry the plan out under the folder's lock; gives back the plan that was really done, with the certificate.

    Planned again under the lock: another run may have made the CA meanwhile.
    """
    if not plan.changed:
        return plan
    wanted = plan.wanted
    files.apply_changes([change for change in plan.changes if isinstance(change.wanted, files.WantedDirectory)])
    with locked(wanted.directory):
        fresh = plan_ca(wanted, now)
        if not fresh.make:
            files.apply_changes(fresh.changes)
            return _with_folder(plan, _with_records_applied(fresh, now))
        key = keys.make_key(wanted.key_type)
        certificate = certificates.make_ca_certificate(key, wanted.common_name, fresh.not_before, fresh.not_after)
        changes, _reasons = _file_changes(
            wanted, keys.private_key_pem(key, wanted.passphrase), certificates.certificate_pem(certificate)
        )
        # The key is renamed first: a run that dies between the two leaves the staged certificate to finish from.
        files.apply_changes(changes)
        made = replace(fresh, certificate=certificate, key=key, records=_records(wanted, certificate, now))
        records = _with_records_applied(made, now).records
    bundle = certificates.certificate_pem(certificate).decode("ascii")
    return replace(
        plan,
        certificate=certificate,
        bundle=bundle,
        not_before=fresh.not_before,
        not_after=fresh.not_after,
        # As it was planned, so that a run tells what check mode told.
        records=None
        if plan.records is None or records is None
        else replace(plan.records, index=records.index, revocation_list=records.revocation_list),
    )


def _records(wanted: WantedCa, certificate: x509.Certificate | None, now: datetime) -> RecordsPlan | None:
    if wanted.records is None:
        return None
    return plan_records(wanted.directory, certificate, wanted.records, now, wanted.uid, wanted.gid)


def _with_records_applied(plan: CaPlan, now: datetime) -> CaPlan:
    if plan.records is None or plan.certificate is None or plan.key is None:
        return plan
    return replace(plan, records=apply_records(plan.records, plan.certificate, plan.key, now))


def _with_folder(plan: CaPlan, fresh: CaPlan) -> CaPlan:
    """The plan made under the lock does not see the folder's own repair any more: report both."""
    folder = tuple(change for change in plan.changes if isinstance(change.wanted, files.WantedDirectory))
    reasons = tuple(reason for change in folder for reason in _change_reasons(change))
    return replace(fresh, changes=folder + fresh.changes, reasons=reasons + fresh.reasons)


@contextlib.contextmanager
def locked(directory: str) -> t.Iterator[None]:
    """Hold the folder's lock: two runs at once on one folder wait for each other."""
    path = os.path.join(directory, ".lock")
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(open_folder(directory))
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(".lock", flags, 0o600, dir_fd=place.descriptor)
            stack.callback(os.close, descriptor)
            lock = os.fstat(descriptor)
            if not stat.S_ISREG(lock.st_mode) or lock.st_nlink != 1:
                raise FileError(
                    f"{path} is no file of its own (another kind, or with a second name): take it away", path=path
                )
            if os.geteuid() == 0:
                # The folder's owner must be able to take the lock when it is not root that comes next.
                folder = os.fstat(place.descriptor)
                os.fchown(descriptor, folder.st_uid, folder.st_gid)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as exc:
            raise os_error("lock", path, exc) from exc
        yield


def describe_certificate(certificate: x509.Certificate, now: datetime) -> dict[str, t.Any]:
    """The public facts of a CA certificate, as the module returns them."""
    end = not_after(certificate)
    return {
        "common_name": ", ".join(common_names(certificate.subject)),
        "key_type": keys.key_type_of(certificate.public_key()),
        "fingerprint": certificates.fingerprint(certificate),
        "serial_number": serial_hex(certificate.serial_number),
        "not_before": iso_time(not_before(certificate)),
        "not_after": iso_time(end),
        "days_left": days_left(end, now),
    }


def result_of(plan: CaPlan, now: datetime) -> dict[str, t.Any]:
    """The module's answer. A CA that is still to be made has no certificate, serial number or fingerprint yet."""
    planned = {
        "common_name": plan.wanted.common_name,
        "key_type": plan.wanted.key_type,
        "fingerprint": None,
        "serial_number": None,
        "not_before": iso_time(plan.not_before),
        "not_after": iso_time(plan.not_after),
        "days_left": days_left(plan.not_after, now),
    }
    certificate = plan.certificate
    public = planned if certificate is None else describe_certificate(certificate, now)
    # The same with and without check mode, so that one can be compared with the other: only what is known beforehand.
    reported = ("common_name", "key_type", "not_before", "not_after")
    ca_after = {key: public[key] for key in reported}
    before, after = ({c.path: c.before for c in plan.all_changes}, {c.path: c.after for c in plan.all_changes})
    parents_before, parents_after = new_folders(plan.new_parents)
    newly = [] if plan.records is None else [one.described for one in plan.records.revoked]
    revoked_before: dict[str, list[str]] = {"revoked": []} if newly else {}
    revoked_after = {"revoked": newly} if newly else {}
    return {
        "changed": plan.changed,
        "reasons": list(plan.all_reasons),
        "certificate": plan.bundle or None,
        **_records_result(plan.records),
        **public,
        "certificate_path": plan.wanted.certificate_path,
        "private_key_path": plan.wanted.key_path,
        "diff": {
            "before": {"ca": None if plan.make else ca_after, "files": {**parents_before, **before}, **revoked_before},
            "after": {"ca": ca_after, "files": {**parents_after, **after}, **revoked_after},
        },
    }


def _records_result(records: RecordsPlan | None) -> dict[str, t.Any]:
    listed = None if records is None else records.revocation_list
    revoked = () if records is None else records.revoked
    return {
        "revocation_list_pem": None if listed is None else listed.pem,
        "revoked": [{"serial_number": one.serial_number, "name": one.name} for one in revoked],
        "notes": [] if records is None else list(records.notes),
    }


def _plan_new(wanted: WantedCa, trusted: tuple[str, ...], now: datetime) -> CaPlan:
    if trusted:
        raise RefusedError(
            f"the nodes trust CA {', '.join(trusted)}, and there is no CA in {wanted.directory}: a new CA is never "
            "made next to a living cluster unasked; restore the CA folder or name the right one"
            f"{f' ({wanted.create_refused_because})' if wanted.create_refused_because else ''}",
            trusted_fingerprints=list(trusted),
        )
    if not wanted.create:
        because = f": {wanted.create_refused_because}" if wanted.create_refused_because else ""
        raise RefusedError(
            f"there is no CA in {wanted.directory} and making one was "
            f"refused{because}; restore the CA folder or name the right one",
            is_missing=True,
        )
    check_new_passphrase(wanted.passphrase, "ca_private_key_passphrase")
    first, last = validity_from(now, wanted.validity_days, wanted.backdate_minutes)
    changes, reasons = _file_changes(wanted, b"", b"")
    made = Reason(code=MISSING, text=f"there is no CA in {wanted.directory}: a key and a certificate are made")
    reasons = (made, *(reason for reason in reasons if reason["code"] != MISSING))
    parents = tuple(files.missing_parents(os.path.realpath(wanted.directory)))
    records = _records(wanted, None, now)
    if records is not None:
        # The CA's own reason says it.
        told = tuple(reason for reason in records.reasons if reason["code"] != MISSING)
        records = replace(records, reasons=told)
    return CaPlan(wanted, None, True, reasons, changes, first, last, new_parents=parents, records=records)


def _checked_ca(
    wanted: WantedCa, key_pem: bytes, certificate_pem: bytes, now: datetime
) -> tuple[x509.Certificate, str, keys.PrivateKey]:
    """The CA at hand, it with its parents as PEM, and its key; CryptoError where it is not what is asked for.

    All differences are named at once.
    """
    where = f"the CA's certificate {wanted.certificate_path}"
    key = keys.load_private_key(
        key_pem, f"the CA's private key {wanted.key_path}", wanted.passphrase, "ca_private_key_passphrase"
    )
    chain = read_chain(certificate_pem, where, key, wanted.key_path)
    certificate = loaded(chain[0], where)
    public_key = certificate.public_key()
    differences = []
    found_name = ", ".join(common_names(certificate.subject))
    if found_name != wanted.common_name:
        differences.append(f"its common name is '{found_name}', ca_common_name asks for '{wanted.common_name}'")
    found_type = keys.key_type_of(public_key)
    if found_type != wanted.key_type:
        differences.append(f"its key is {found_type}, ca_key_type asks for {wanted.key_type}")
    for one in chain:
        whose = "" if one is chain[0] else f"its parent {described(one)}: "
        differences.extend(f"{whose}{problem}" for problem in validity_problems(one, now))
    if differences:
        raise CryptoError(
            f"{where} differs from what is asked: {'; '.join(differences)}. A CA is never replaced: ask for the CA "
            "that is there, or name another directory and roll the new CA out",
            fingerprint=certificates.fingerprint(certificate),
        )
    return certificate, "".join(written_certificate(one.der) for one in chain), key


def _check_trusted(trusted: tuple[str, ...], certificate: x509.Certificate, wanted: WantedCa) -> None:
    found = certificates.fingerprint(certificate)
    if trusted and found not in trusted:
        raise RefusedError(
            f"the nodes trust CA {', '.join(trusted)}, not the one at hand in {wanted.directory} ({found}): restore "
            "the CA folder or name the right one",
            trusted_fingerprints=list(trusted),
            fingerprint=found,
        )


def _file_changes(
    wanted: WantedCa, key: bytes | None, certificate: bytes | None
) -> tuple[tuple[files.Change, ...], tuple[Reason, ...]]:
    uid, gid = wanted.uid, wanted.gid
    planned = (
        files.plan_directory(files.WantedDirectory(wanted.directory, 0o700, uid, gid)),
        files.plan_file(files.WantedFile(wanted.key_path, 0o600, key, uid, gid, secret=True)),
        files.plan_file(files.WantedFile(wanted.certificate_path, 0o644, certificate, uid, gid)),
    )
    changes = tuple(change for change in planned if change is not None)
    return changes, tuple(reason for change in changes for reason in _change_reasons(change))


def _change_reasons(change: files.Change) -> t.Iterator[Reason]:
    for code in change.reasons:
        if code in ("owner", "group", "mode"):
            yield Reason(
                code=code, text=f"{change.path} has {code} {change.before[code]}, {change.after[code]} is wanted"
            )
        else:
            yield Reason(code=code, text=f"{change.path} is {'missing' if code == 'missing' else 'different'}")


__all__ = (
    "CaPlan",
    "WantedCa",
    "apply_ca",
    "check_wanted",
    "describe_certificate",
    "locked",
    "plan_ca",
    "result_of",
)
