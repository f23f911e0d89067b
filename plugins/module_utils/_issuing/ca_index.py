# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a CA has issued, and what of it is revoked: the index that lies beside it. Pure; never a secret in it.

A host that is gone for good can't be asked for its certificate's serial number; the index knows it. What is revoked
stays so: there is no way back in here.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import json
import re
import typing as t
from dataclasses import asdict, dataclass, replace

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time

_VERSION = 1
_SERIAL_NUMBER = re.compile(r"[0-9a-f]{2,64}")
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_TEXTS = ("name", "common_name", "key", "not_after", "revoked")


@dataclass(frozen=True)
class Issued:
    """One certificate. ``key``: SHA-256 of its public key. What is known by its serial number alone has no more.

    ``revoked``: since when, None where it is not.
    """

    serial_number: str
    name: str | None = None
    common_name: str | None = None
    key: str | None = None
    not_after: str | None = None
    revoked: str | None = None

    @property
    def described(self) -> str:
        whose = f"{self.name}, " if self.name else ""
        return f"{whose}serial number {self.serial_number}"


@dataclass(frozen=True)
class Index:
    """All of it. ``begun``: from when on nothing is missing. ``number``: of the last revocation list.

    ``probe_serial_number``: one serial number is kept for the certificates with which the proof shows that what is
    revoked is refused. They live for minutes, and are revoked before there is any.
    """

    begun: str
    probe_serial_number: str
    number: int = 0
    issued: tuple[Issued, ...] = ()

    @property
    def revoked(self) -> dict[str, datetime.datetime]:
        """What belongs on the revocation list, and since when."""
        return {one.serial_number: _moment(one.revoked) for one in self.issued if one.revoked is not None}

    def find(self, serial_number: str) -> Issued | None:
        return next((one for one in self.issued if one.serial_number == serial_number), None)


def new_index(probe_serial_number: str, now: datetime.datetime) -> Index:
    probe = Issued(probe_serial_number, revoked=iso_time(now))
    return Index(begun=iso_time(now), probe_serial_number=probe_serial_number, issued=(probe,))


def index_text(index: Index) -> str:
    """The index as it is written: the same index is the same text."""
    document = {"version": _VERSION, **asdict(index)}
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def index_from(text: bytes, path: str) -> Index:
    """The index in a file; CryptoError with one line where it is none."""
    try:
        document = json.loads(text.decode("utf-8"))
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']!r} is not known")
        issued = tuple(_entry(one) for one in document["issued"])
        index = Index(
            begun=iso_time(_moment(document["begun"])),
            probe_serial_number=_serial_number(document["probe_serial_number"]),
            number=_number(document["number"]),
            issued=issued,
        )
        if len({one.serial_number for one in issued}) != len(issued):
            raise ValueError("a serial number comes twice")
        return index
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise CryptoError(
            f"{path}, the index of what the CA has issued, can't be read ({type(exc).__name__}: {str(exc)[:100]}): put "
            "it back from its backup; where there is none, move it away: it is begun anew from the revocation list "
            "beside it, and whose certificates the old ones were is not known any more"
        ) from None


def with_issued(index: Index, entries: t.Iterable[Issued]) -> Index:
    """The index with what is new in it. What is known already stays as it is, but for what was not known of it."""
    found = {one.serial_number: one for one in index.issued}
    for entry in entries:
        known = found.get(entry.serial_number)
        if known is None:
            found[entry.serial_number] = entry
        elif known.name is None and known.serial_number != index.probe_serial_number:
            found[entry.serial_number] = replace(entry, revoked=known.revoked or entry.revoked)
    issued = tuple(found.values())
    return index if issued == index.issued else replace(index, issued=issued)


def with_revoked(index: Index, serial_numbers: t.Collection[str], now: datetime.datetime) -> Index:
    """The index with serial numbers revoked, also those that it has not seen."""
    unknown = [Issued(one, revoked=iso_time(now)) for one in sorted(serial_numbers) if index.find(one) is None]
    issued = [
        replace(one, revoked=iso_time(now)) if one.serial_number in serial_numbers and one.revoked is None else one
        for one in index.issued
    ]
    return replace(index, issued=(*issued, *unknown))


def _entry(found: t.Mapping[str, t.Any]) -> Issued:
    texts = {name: found[name] for name in _TEXTS}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name} is no text")
    for name in ("not_after", "revoked"):
        if texts[name] is not None:
            _moment(texts[name])
    return Issued(_serial_number(found["serial_number"]), **texts)


def _serial_number(value: t.Any) -> str:
    if not isinstance(value, str) or not _SERIAL_NUMBER.fullmatch(value) or len(value) % 2:
        raise ValueError("a serial number is not one")
    return value


def _number(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("number is not one")
    return value


def _moment(value: t.Any) -> datetime.datetime:
    return datetime.datetime.strptime(value, _TIME_FORMAT).replace(tzinfo=datetime.timezone.utc)


__all__ = ("Index", "Issued", "index_from", "index_text", "new_index", "with_issued", "with_revoked")
