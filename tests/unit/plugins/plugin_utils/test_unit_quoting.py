# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values as systemd reads them: of any type that a variable may have."""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_quoting import quoted


def test_a_boolean_is_what_etcd_reads() -> None:
    assert quoted(True) == "true" and quoted("50%") == "50%%"
