# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values as systemd reads them in a unit, each by the place where it stands.

A file of its own: Ansible loads all filters of a collection for any of them, in the process of each task that asks for
one, and this is what the filter systemd_quote needs.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    glob_value,
    plain_value,
    quote_argument,
    quote_program,
    quote_value,
    raw_value,
)

QUOTERS: dict[str, t.Callable[[str], str]] = {
    "argument": quote_argument,
    "program": quote_program,
    "word": quote_value,
    "plain": plain_value,
    "glob": glob_value,
    "raw": raw_value,
}


def quoted(value: t.Any, kind: str = "argument") -> str:
    """A value so that systemd reads exactly that value; InputError where no unit can hold it."""
    if isinstance(value, bool):
        value = "true" if value else "false"
    return QUOTERS[kind](str(value))


__all__ = ("QUOTERS", "quoted")
