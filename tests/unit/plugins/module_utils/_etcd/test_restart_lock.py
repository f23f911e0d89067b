# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease that is the restart's lock; what is done under it: ``_member/test_restart.py``."""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import restart_lock


def test_the_lock_is_one_number_that_etcd_takes() -> None:
    assert 0 < restart_lock.RESTART_LEASE_ID < 2**63
