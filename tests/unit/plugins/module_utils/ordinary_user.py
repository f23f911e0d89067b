# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets a test run be an ordinary user for a while: modes and the kernel hold root back from nothing."""

from __future__ import annotations

import contextlib
import os
import typing as t

USER = 64123


@contextlib.contextmanager
def ordinary_user() -> t.Iterator[int]:
    """Have no right of root's in this block, in this very process; who has none anyway stays who they are. The uid."""
    if os.geteuid() != 0:
        yield os.geteuid()
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(USER, USER, 0)
    os.setresuid(USER, USER, 0)
    try:
        yield USER
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)
