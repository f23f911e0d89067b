# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.environment_file import parse_environment
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.late_drop_in import (
    VARIABLE,
    is_ours,
    late_drop_in,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.next_start import (
    from_environment_files,
    settings_at_start,
)

NAMES = ("etcd-member-1", "system:etcd peer 2", "*.etcd.example.com")


def test_it_wins_over_what_the_unit_says() -> None:
    ours = late_drop_in("etcd@a.service", NAMES)
    unit = f"[Service]\nEnvironment={VARIABLE}=x ETCD_NAME=a\nExecStart=/usr/bin/etcd\n"
    whole = unit + ours.text
    planned = {ours.variables_path: ours.variables.encode()}
    start = settings_at_start(whole, from_environment_files(whole, "etcd@a.service", planned))
    assert start is not None and start.environment == {"ETCD_NAME": "a", VARIABLE: ",".join(NAMES)}


def test_both_files_say_whose_they_are() -> None:
    ours = late_drop_in("etcd.service", NAMES)
    assert ours.path == "/etc/systemd/system/etcd.service.d/zz-ringfence.conf"
    assert ours.folder == "/etc/systemd/system/etcd.service.d"
    assert is_ours(ours.text) and is_ours(ours.variables) and not is_ours("[Service]\n") and not is_ours("")
    # systemd takes what ends in .conf for a drop-in.
    assert not ours.variables_path.endswith(".conf")
    assert parse_environment(ours.variables) == {VARIABLE: ",".join(NAMES)}
