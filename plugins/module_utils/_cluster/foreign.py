# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pure: when an etcd that this role did not deploy may be replaced, who is in a member's way, and the words for both.

What is unknown is never taken for empty, nor for out of the way.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t


def why_not_replaced(other: t.Mapping[str, t.Any]) -> str | None:
    """Why an etcd that is not ours is not replaced unasked; None where it is known to be empty and alone."""
    count, members, running = other.get("key_count"), other.get("members"), other.get("running")
    if other.get("problem"):
        return f"can't be told to be empty ({other['problem']})"
    if not isinstance(count, int) or isinstance(count, bool):
        silent = "does not answer" if running else "is stopped"
        return f"{silent}, so that its keys can't be counted"
    if count:
        return f"holds {count} keys"
    if not isinstance(members, list):
        return "does not tell its members"
    if len(members) > 1:
        return f"is one of {len(members)} members ({', '.join(str(name) for name in members)})"
    # Its only member is itself. A stopped one has to be without any data, since nobody could have counted its keys.
    if running is True:
        return None if len(members) == 1 else "does not list itself as its one member"
    if running is False and other.get("has_data") is False and not members:
        return None
    return "is stopped, so that its keys can't be counted"


def where_its_data_is(other: t.Mapping[str, t.Any]) -> str:
    """Its data folder in a sentence."""
    return str(other.get("data_dir") or "a folder that can't be told")


def user_of(one: t.Mapping[str, t.Any]) -> str:
    """A process or unit that is in the way, as people know it."""
    program, pid, unit = one.get("program"), one.get("pid"), one.get("unit")
    if pid is None:
        return str(unit) if unit else "a process that can't be seen from here"
    return f"{program or 'a process'} (pid {pid}{f', of {unit}' if unit else ''})"


__all__ = ("user_of", "where_its_data_is", "why_not_replaced")
