# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of a member's unit share: a host, and a unit that is deployed and runs there."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    member_unit,
    unit_plan,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.commands import run_command
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    Host,
    need_root,
    wanted_unit,
)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


@pytest.fixture
def deployed(host: Host, tmp_path: pathlib.Path) -> member_unit.WantedUnit:
    need_root()
    wanted = wanted_unit(tmp_path)
    unit_plan.apply_plan(unit_plan.plan_present(wanted, False, False))
    host.runs(configuration_hash_of(wanted.text), wanted.data_dir)
    host.calls.clear()
    return wanted


@pytest.fixture
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call of systemd's programs ends the test; etcd's own is let through."""

    def run(command: t.Sequence[str], *_others: t.Any) -> t.Any:
        assert not os.path.basename(command[0]).startswith("systemctl"), command
        assert not os.path.basename(command[0]).startswith("systemd-"), command
        return run_command(command, *_others)

    monkeypatch.setattr(manager, "run_command", run)
