# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why something is done, refused or reported: the one form of a reason, from the rule that finds it to the result.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t


class Reason(t.TypedDict):
    """A code for machines, and a line for people."""

    code: str
    text: str


__all__ = ("Reason",)
