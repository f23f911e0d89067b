# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which certificates a user means who says what is to be revoked: found in the CA's index.

A serial number, a certificate or a name is what the user knows; what goes onto the revocation list is serial numbers.
Whether a member still presents one of them is asked where the members' answers are: ``why_kept``.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import checked_serial_number
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_index import Index, Issued
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_records import entry_of
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import load_leaf

if t.TYPE_CHECKING:  # pragma: no cover
    from datetime import datetime

    from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
    from cryptography import x509

# What a name never is: a serial number that a CA drew has more digits than any name of hexadecimal digits.
_LEAST_DIGITS = 16
_BEGIN = "-----BEGIN"


class Meant(t.TypedDict):
    """A certificate that is meant. ``word``: what the user said. ``by_name``: that is a name, of a member that leaves
    where ``removed``.
    """

    serial_number: str
    name: str | None
    key: str | None
    word: str
    by_name: bool
    removed: bool
    revoked: bool


@dataclass(frozen=True)
class Presented:
    """What a member presents now."""

    member: str
    serial_number: str
    key: str


def normalized_word(word: str) -> str:
    """A word as it is looked for: a serial number as all results show it, a certificate or a name as it is."""
    text = word.strip()
    if _BEGIN in text:
        return text
    try:
        number = checked_serial_number(text, "")
    except RingfenceError:
        return text
    is_marked = ":" in text or text.lower().startswith("0x")
    return number if is_marked or len(text) >= _LEAST_DIGITS else text


def meant_by(
    index: Index, words: t.Iterable[str], removed: t.Iterable[str], authority: x509.Certificate, now: datetime
) -> tuple[list[Meant], list[str]]:
    """The certificates that are meant, and why others can't be revoked, in a line each.

    ``removed``: members that are to leave. Nothing is known of one from before the index: that is no reason to stop.
    """
    meant: list[Meant] = []
    refused: list[str] = []
    for word in map(normalized_word, words):
        try:
            found = _found(index, word, authority, now)
        except RingfenceError as exc:
            refused.append(str(exc))
            continue
        if isinstance(found, str):
            refused.append(found)
        else:
            meant += found
    for word in removed:
        meant += [_meant(one, word, True, removed=True) for one in _of_member(index, word, now)]
    return meant, refused


def why_kept(meant: t.Sequence[Meant], presented: t.Sequence[Presented]) -> tuple[list[Meant], list[str]]:
    """What is to be revoked of it, and why the rest may not be, in a line each: what members present."""
    refused: list[str] = []
    wanted: list[Meant] = []
    for one in meant:
        same = next((each for each in presented if each.serial_number == one["serial_number"]), None)
        shares = next((each for each in presented if one["key"] is not None and each.key == one["key"]), None)
        others = [each for each in meant if each["word"] == one["word"] and each is not one]
        if same is not None and one["by_name"] and others:
            # By its name all is meant that the member had before.
            continue
        who = same or (None if one["revoked"] else shares)
        if who is not None:
            what = "certificate" if same is not None else "key, in a later certificate,"
            refused.append(
                f"serial number {one['serial_number']} can't be revoked: member {who.member} still presents that "
                f"{what} and would be locked out or not at all: give it a new key first (etcd_peer_tls_new_keys: "
                "true), then revoke"
            )
        elif not one["revoked"]:
            wanted.append(one)
    return wanted, refused


def _found(index: Index, word: str, authority: x509.Certificate, now: datetime) -> list[Meant] | str:
    if _BEGIN in word:
        certificate = load_leaf(word, "the certificate to revoke")
        if not certificates.is_signed_by(certificate, t.cast("keys.PublicKey", authority.public_key())):
            return "a certificate that is to be revoked was not issued by this CA: its own CA has to revoke it"
        entry = entry_of(certificate, None)
        known = index.find(entry.serial_number)
        return [_meant(known or entry, f"serial number {entry.serial_number}", False)]
    entry_by_number = index.find(word)
    if entry_by_number is not None:
        if entry_by_number.serial_number == index.probe_serial_number:
            return []
        return [_meant(entry_by_number, word, False)]
    named = _of_member(index, word, now)
    if named:
        return [_meant(one, word, True) for one in named]
    return (
        f"{word!r} is neither a serial number nor the name of a member that this CA has issued, as far as its index "
        f"knows, which begins at {index.begun}: give the certificate's own file"
    )


def _of_member(index: Index, word: str, now: datetime) -> list[Issued]:
    """What was issued to a member and has not expired: by its name, alone or with a domain, or its common name.

    To a client: by its name with its host, or its name alone, which are all hosts.
    """
    return [
        one
        for one in index.issued
        if one.name is not None
        and (word in (one.name, one.common_name, one.name.partition("@")[0]) or word.startswith(f"{one.name}."))
        and (one.not_after is None or one.not_after >= iso_time(now))
    ]


def _meant(one: Issued, word: str, by_name: bool, removed: bool = False) -> Meant:
    return {
        "serial_number": one.serial_number,
        "name": one.name,
        "key": one.key,
        "word": word,
        "by_name": by_name,
        "removed": removed,
        "revoked": one.revoked is not None,
    }


__all__ = ("Meant", "Presented", "meant_by", "normalized_word", "why_kept")
