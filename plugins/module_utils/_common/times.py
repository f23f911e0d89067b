# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moments as this collection's results write them. Pure.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime


def iso_time(moment: datetime.datetime) -> str:
    """A moment in UTC, in whole seconds: ``2026-11-23T22:54:00Z``."""
    # strftime leaves out the leading zeros of early years on some platforms; isoformat does not.
    return moment.astimezone(datetime.timezone.utc).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


__all__ = ("iso_time",)
