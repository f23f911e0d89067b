# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import unit_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit_place import unit_obstacle
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import Host, wanted_unit

UNIT, FOLDER = "etcd.service", "/etc/systemd/system"
# As systemd 252 and 257 say it.
MASKED = {"Id": UNIT, "LoadState": "masked", "UnitFileState": "masked", "FragmentPath": "/dev/null"}
TRANSIENT = {
    "Id": UNIT,
    "LoadState": "loaded",
    "UnitFileState": "transient",
    "FragmentPath": "/run/systemd/transient/etcd.service",
}
BAD = {"Id": UNIT, "LoadState": "bad-setting", "FragmentPath": f"{FOLDER}/{UNIT}"}


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (MASKED, "etcd.service is masked, so that nobody can start it: systemctl unmask etcd.service"),
        ({**MASKED, "UnitFileState": "masked-runtime"}, "systemctl unmask --runtime etcd.service"),
        # An empty file masks as well.
        ({**MASKED, "UnitFileState": "", "FragmentPath": f"{FOLDER}/{UNIT}"}, "is masked"),
        (
            {"Id": "db.service", "FragmentPath": "/usr/lib/systemd/system/db.service"},
            "another name (an alias) of db.se",
        ),
        (TRANSIENT, "was made by systemd-run (/run/systemd/transient/etcd.service): systemctl stop etcd.service"),
        (
            {"Id": UNIT, "FragmentPath": "/run/systemd/generator.early/etcd.service", "UnitFileState": "generated"},
            f"/run/systemd/generator.early/etcd.service is taken by systemd before {FOLDER}/etcd.service",
        ),
    ],
)
def test_it_is_named_for_what_it_is(properties: dict[str, str], said: str) -> None:
    found = unit_obstacle(UNIT, FOLDER, properties)
    assert found is not None and said in found and "\n" not in found


def test_what_systemd_would_take_instead_of_the_file_that_is_written() -> None:
    properties = {"Id": UNIT, "FragmentPath": f"{FOLDER}/{UNIT}", "UnitFileState": "enabled"}
    found = unit_obstacle(UNIT, "/usr/local/lib/systemd/system", properties)
    assert found is not None and "etcd_peer_tls_unit_directory: /etc/systemd/system" in found
    assert unit_obstacle(UNIT, "/run/systemd/system", {**properties, "FragmentPath": "/lib/systemd/system/x"}) is None


def test_drop_ins_with_which_nothing_can_be_loaded(tmp_path: pathlib.Path) -> None:
    unit = tmp_path / UNIT
    bad = {**BAD, "FragmentPath": str(unit), "DropInPaths": "/x/a.conf"}
    unit.write_text(wanted_unit(tmp_path).text)
    found = unit_obstacle(UNIT, str(tmp_path), bad)
    assert found is not None and "which its drop-ins change (/x/a.conf): mend them" in found
    # Its own text is what can't be loaded: it is written anew.
    unit.write_text("[Service]\n")
    assert unit_obstacle(UNIT, str(tmp_path), bad) is None


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"Id": UNIT, "LoadState": "not-found", "UnitFileState": "", "FragmentPath": ""},
        {"Id": UNIT, "LoadState": "loaded", "UnitFileState": "enabled", "FragmentPath": f"{FOLDER}/{UNIT}"},
        # Written over, and then it is as wanted: one without [Install], one that says nothing, a distribution's.
        {"Id": UNIT, "LoadState": "loaded", "UnitFileState": "static", "FragmentPath": f"{FOLDER}/{UNIT}"},
        BAD,
        {"Id": UNIT, "UnitFileState": "disabled", "FragmentPath": f"/usr/lib/systemd/system/{UNIT}"},
        {"Id": UNIT, "UnitFileState": "generated", "FragmentPath": f"/run/systemd/generator/{UNIT}"},
        {"Id": "etcd@a.service", "FragmentPath": f"{FOLDER}/etcd@.service"},
    ],
)
def test_what_is_in_nobodys_way(properties: dict[str, str]) -> None:
    assert unit_obstacle(properties.get("Id", UNIT), FOLDER, properties) is None


@pytest.mark.parametrize(
    ("target", "said"), [("/dev/null", "which masks it: rm "), ("/opt/etcd/etcd.service", "systemctl link?")]
)
@pytest.mark.parametrize("managed", [True, False])
def test_a_link_is_never_written_over(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, target: str, said: str, managed: bool
) -> None:
    host = Host(monkeypatch)
    (tmp_path / "etcd.service").symlink_to(target)
    if managed and target == "/dev/null":
        host.properties, said = dict(MASKED), "systemctl unmask"
    plan: t.Callable[..., t.Any] = unit_plan.plan_written
    arguments: tuple[bool, ...] = (True,)
    if managed:
        plan, arguments = unit_plan.plan_present, (False, True)
    with pytest.raises(FileError, match=said):
        plan(wanted_unit(tmp_path), *arguments)
    assert os.readlink(tmp_path / "etcd.service") == target


def test_a_link_that_goes_while_it_is_looked_at(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The role puts a unit in the place of whatever was there by a rename."""
    (tmp_path / UNIT).write_text("[Unit]\n")
    monkeypatch.setattr(os.path, "islink", lambda _path: True)
    assert unit_obstacle(UNIT, str(tmp_path), {}) is None
