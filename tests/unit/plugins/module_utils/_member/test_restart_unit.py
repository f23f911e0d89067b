# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit as the guarded restart sees it."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import (
    member_unit,
    restart_unit,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    issue,
    revocation_list,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    Host,
)


def test_whether_a_restart_brings_a_larger_quota(host: Host, deployed: member_unit.WantedUnit) -> None:
    unit, folder = deployed.name, deployed.unit_directory
    assert host.process is not None and not restart_unit.brings_more_space(unit, folder)
    host.process["argv"].append("--quota-backend-bytes=16777216")
    assert restart_unit.brings_more_space(unit, folder)
    host.process["argv"][-1] = "--quota-backend-bytes=4294967296"
    assert not restart_unit.brings_more_space(unit, folder)
    host.process = None
    assert not restart_unit.brings_more_space(unit, folder)


def test_the_unit_as_a_guarded_restart_sees_it(host: Host, deployed: member_unit.WantedUnit) -> None:
    unit = restart_unit.SystemdUnit(deployed.name, deployed.unit_directory)
    configuration_hash = configuration_hash_of(deployed.text)
    assert (unit.name, unit.pid(), unit.problem(), unit.has_failed()) == ("etcd.service", 1, None, False)
    unit.restart()
    assert host.calls == ["restart_no_block etcd.service"]
    assert unit.process_problem() == unit.problem() == "the old process of etcd.service has not ended yet"

    host.process = None
    host.properties.update(ActiveState="activating", SubState="auto-restart", MainPID="0")
    assert unit.problem() == "etcd.service is activating (auto-restart)"
    assert unit.process_problem() == "etcd.service is activating (auto-restart), no process runs"
    assert (unit.pid(), unit.has_failed(), unit.journal_tail()) == (None, False, "the end of etcd.service's log")

    host.runs("0" * 64, deployed.data_dir, pid=2)
    assert unit.problem() == "the process of etcd.service was not started with the unit that is deployed"
    host.runs(configuration_hash, deployed.data_dir, pid=2)
    assert unit.problem() is None and unit.process_problem() is None
    host.properties["ActiveState"] = "failed"
    assert unit.has_failed()


def test_where_the_next_start_is_not_known_no_more_is_promised(host: Host, deployed: member_unit.WantedUnit) -> None:
    assert host.process is not None
    host.process["argv"].append("--quota-backend-bytes=16777216")
    assert restart_unit.brings_more_space(deployed.name, deployed.unit_directory)
    unit = restart_unit.SystemdUnit(deployed.name, deployed.unit_directory)
    # Without a command; without the file.
    path = pathlib.Path(deployed.path)
    path.write_text("[Service]\nType=notify\n")
    assert not restart_unit.brings_more_space(deployed.name, deployed.unit_directory)
    assert unit.next_version() is None
    path.unlink()
    assert not restart_unit.brings_more_space(deployed.name, deployed.unit_directory)
    assert unit.next_version() is None


@pytest.mark.parametrize("flag", ["peer-crl-file", "client-crl-file"])
def test_a_list_with_which_etcd_would_let_nobody_in_keeps_it_from_a_restart(
    host: Host, deployed: member_unit.WantedUnit, tmp_path: pathlib.Path, flag: str
) -> None:
    listed = tmp_path / "ca.crl"
    path = pathlib.Path(deployed.path)
    path.write_text(deployed.text.replace(" --name=", f" --{flag}={listed} --name="))
    unit = restart_unit.SystemdUnit(deployed.name, deployed.unit_directory)
    for content, words in ((None, "does not exist"), (b"garbage", "is no readable revocation list")):
        if content is not None:
            listed.write_bytes(content)
        with pytest.raises(RefusedError, match=f"would let nobody in: .*{words}"):
            unit.restart()
        assert host.calls == []
    listed.write_bytes(revocation_list(issue("etcd peer CA", is_ca=True), 4711))
    unit.restart()
    assert host.calls == ["restart_no_block etcd.service"]


def test_a_unit_that_names_no_etcd_names_no_list(host: Host, deployed: member_unit.WantedUnit) -> None:
    """Its start is none of ours to judge; systemd tells why there is none."""
    path = pathlib.Path(deployed.path)
    unit = restart_unit.SystemdUnit(deployed.name, deployed.unit_directory)
    path.write_text("[Service]\nExecStart=/usr/bin/sleep 1\n")
    unit.restart()
    path.write_text("[Unit]\nDescription=no command\n")
    unit.restart()
    path.unlink()
    unit.restart()
    assert host.calls == ["restart_no_block etcd.service"] * 3
