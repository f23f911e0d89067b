# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose process runs under the unit's name."""

from __future__ import annotations

import pathlib

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import deployed_from_arguments
from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    running_unit,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    process,
)


def test_the_folder_that_is_open_counts(tmp_path: pathlib.Path) -> None:
    """An etcd with a configuration file is told nothing else by its command line."""
    settings = deployed_from_arguments(["/usr/bin/etcd", "--config-file=/etc/etcd.yml"])
    found = running_unit.FoundUnit({}, None, process(None, "/x"), settings, (str(tmp_path),))
    (tmp_path / "link").symlink_to(tmp_path)
    assert not running_unit.is_other_etcd(found, str(tmp_path)) and not running_unit.is_other_etcd(
        found, f"{tmp_path}/link"
    )
    assert running_unit.is_other_etcd(found, "/var/lib/etcd/default.etcd")


def test_the_settings_of_a_process_come_from_its_environment_too() -> None:
    facts = process(None, "/x")
    settings = deployed_from_arguments(["/usr/bin/etcd"], {"ETCD_DATA_DIR": "/var/lib/etcd/default"})
    found = running_unit.FoundUnit({}, None, facts, settings)
    assert running_unit.is_other_etcd(found, "/var/lib/etcd/ours")
    assert not running_unit.is_other_etcd(found, "/var/lib/etcd/default/")
