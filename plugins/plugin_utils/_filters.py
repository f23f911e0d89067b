# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the filters share: plain values out of Ansible's, members in and out of dictionaries, errors.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, fields

from ansible.errors import AnsibleFilterError
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RingfenceError

# What !vault makes of a text: up to ansible-core 2.18, from 2.19 on. Neither is a str, the first is a sequence.
_VAULTED = ("AnsibleVaultEncryptedUnicode", "EncryptedString")


def plain(value: t.Any) -> t.Any:
    """Built-in str, dict and list, rebuilt: ansible-core 2.19 and newer pass tagged and lazy values to filters."""
    if isinstance(value, str):
        return "".join(value)
    if type(value).__name__ in _VAULTED:
        return "".join(str(value))
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(item) for item in value]
    return value


def member_from(value: t.Mapping[str, t.Any]) -> Member:
    """A member as the filter etcd_members gave it."""
    known = {field.name for field in fields(Member)}
    values = {
        key: tuple(item) if isinstance(item, list) else item for key, item in plain(value).items() if key in known
    }
    missing = sorted(known - set(values))
    if missing:
        raise AnsibleFilterError(
            f"a member made by the filter ringfence.etcd.etcd_members is wanted: {', '.join(missing)} missing"
        )
    return Member(**t.cast("dict[str, t.Any]", values))


def member_as_dict(member: Member) -> dict[str, t.Any]:
    """A member as users and later tasks see it."""
    return {key: list(item) if isinstance(item, tuple) else item for key, item in asdict(member).items()}


def flag_settings_from(value: t.Mapping[str, t.Any]) -> FlagSettings:
    """Settings of the command line from a dictionary; what is empty or none has its default."""
    known = {field.name for field in fields(FlagSettings)}
    unknown = sorted(set(value) - known)
    if unknown:
        raise AnsibleFilterError(f"settings {', '.join(unknown)} are not known; known are {', '.join(sorted(known))}")
    given = {key: item for key, item in plain(value).items() if item not in (None, "")}
    lacking = [field.name for field in fields(FlagSettings) if field.default is field.default_factory is MISSING]
    lacking = [name for name in lacking if name not in given]
    if lacking:
        raise AnsibleFilterError(f"settings {', '.join(lacking)} are empty or missing: give them")
    return FlagSettings(**given)


def call(function: t.Callable[..., t.Any], *args: t.Any, **kwargs: t.Any) -> t.Any:
    """What a function of the pure layers gives; its one-line error as a filter's error."""
    try:
        return function(*args, **kwargs)
    except RingfenceError as exc:
        raise AnsibleFilterError(str(exc)) from exc


__all__ = ("call", "flag_settings_from", "member_as_dict", "member_from", "plain")
