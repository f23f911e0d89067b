# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's unit in the place of somebody else's whose peers speak http, with a real etcd of three members."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.test_etcd_adopt import (
    BINARIES,
    ENVIRONMENT,
    MEMBERS,
    Hosts,
)

pytestmark = pytest.mark.skipif(not BINARIES or os.geteuid() != 0, reason="it needs an etcd, and root")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import Deployment


@pytest.fixture(params=BINARIES[:1], ids=os.path.basename)
def hosts(request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Hosts]:
    deployed = Deployment(request.param, tmp_path, 3, tls=False)
    try:
        yield Hosts(deployed, monkeypatch)
    finally:
        deployed.stop()


def test_there_and_back(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    before, ids = {name: hosts.unit(name).read_text() for name in MEMBERS}, hosts.ids()
    plain = {name: hosts.text(name, has_tls_of_peers=False) for name in MEMBERS}
    for name in MEMBERS:
        wanted: dict[str, t.Any] = {"unit_content": plain[name], "common_names": []}
        checked = hosts.take(name, check=True, **wanted)
        assert checked["changed"] and not hosts.directory(name).exists()
        settings = next(one for one in checked["diff"] if one["before_header"] == f"settings of {name}")
        assert settings["before"] == settings["after"] and "http://127.0.0.1" in settings["after"]
        assert hosts.take(name, **wanted)["restarted"]
        assert [path.name for path in hosts.directory(name).iterdir()] == [f"{name}.formed"]
        assert not hosts.take(name, **wanted)["changed"]
    assert hosts.are_ours() == [True] * 3 and hosts.ids() == ids
    for name in MEMBERS:
        assert hosts.take(name, "absent", unit_content=plain[name])["restarted"]
        assert hosts.unit(name).read_text() == before[name]
    assert hosts.are_ours() == [False] * 3 and hosts.ids() == ids


def test_a_unit_with_tls_wants_names(hosts: Hosts) -> None:
    hosts.deploy(ENVIRONMENT)
    pids = hosts.pids()
    with pytest.raises(InputError, match="common_names is empty"):
        hosts.take("m1", common_names=[])
    assert hosts.pids() == pids and not hosts.directory("m1").exists()
