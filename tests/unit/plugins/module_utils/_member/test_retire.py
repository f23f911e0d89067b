# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    RefusedError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.api_answers import LiveMember
from ansible_collections.ringfence.etcd.plugins.module_utils._member import retire
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._member.test_formed import IDS, form
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    Host,
    need_root,
    text_of,
    wanted_unit,
)

OTHER = LiveMember("2", "etcd-2", ("https://10.0.0.2:2380",), (), False)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Host:
    """The host of etcd-1, which runs and has had data."""
    need_root()
    made = Host(monkeypatch)
    form(tmp_path)
    unit = wanted_unit(tmp_path)
    (tmp_path / "etcd.service").write_text(unit.text)
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "etcd-1.formed").write_text(f"member_id={IDS[0]}\n")
    made.runs(configuration_hash_of(unit.text), unit.data_dir)
    return made


def plan(folder: pathlib.Path, *listed: LiveMember, name: str = "etcd-1") -> retire.Retirement | None:
    return retire.plan_retirement("etcd.service", str(folder), str(folder / "pki"), name, lambda: listed)


def test_off_and_its_data_aside(host: Host, tmp_path: pathlib.Path) -> None:
    found = plan(tmp_path, OTHER)
    assert found is not None and found.actions == ("stop", "disable", "move_data", "remove_marker")
    assert not host.calls and (tmp_path / "data" / "member").exists()
    aside = tmp_path / "data" / f"member.removed-{IDS[0]}"
    assert retire.retire(found) == [str(aside)]
    assert host.calls == ["stop etcd.service", "disable etcd.service"]
    assert (aside / "wal").is_dir() and not (tmp_path / "data" / "member").exists()
    assert not (tmp_path / "pki" / "etcd-1.formed").exists()
    # A second time there is nothing to do, and nobody is asked.
    host.properties.update(ActiveState="inactive", UnitFileState="disabled")
    again = retire.plan_retirement("etcd.service", str(tmp_path), str(tmp_path / "pki"), "etcd-1", nobody_answers)
    assert again is not None and again.actions == ()


def nobody_answers() -> list[LiveMember]:
    raise RingfenceError("no member answers")


@pytest.mark.parametrize(
    "listed",
    [
        # Its data says which one it is, whatever it is called; without data the name does.
        LiveMember(IDS[0], "another", (), (), False),
        LiveMember("9", "etcd-1", (), (), False),
    ],
)
def test_a_member_is_not_stopped(host: Host, tmp_path: pathlib.Path, listed: LiveMember) -> None:
    if listed.member_id == "9":
        (tmp_path / "data" / "member").rename(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="etcd-1 is a member of the cluster still"):
        plan(tmp_path, OTHER, listed)
    assert not host.calls and (tmp_path / "pki" / "etcd-1.formed").exists()


def test_who_can_not_be_asked_is_not_taken_for_gone(host: Host, tmp_path: pathlib.Path) -> None:
    with pytest.raises(RingfenceError, match="no member answers"):
        retire.plan_retirement("etcd.service", str(tmp_path), str(tmp_path / "pki"), "etcd-1", nobody_answers)
    assert not host.calls


def test_what_is_not_this_member_is_left_alone(host: Host, tmp_path: pathlib.Path) -> None:
    assert plan(tmp_path, OTHER, name="etcd-2") is None
    # Nobody's unit that is ours.
    text = text_of(str(tmp_path / "data")).replace("RINGFENCE_CONFIGURATION_HASH", "OTHER")
    (tmp_path / "etcd.service").write_text(text)
    assert plan(tmp_path, OTHER) is None
    (tmp_path / "etcd.service").unlink()
    assert plan(tmp_path, OTHER) is None


def test_a_log_of_its_own_goes_with_the_data_and_nothing_is_written_over(host: Host, tmp_path: pathlib.Path) -> None:
    wal = tmp_path / "log"
    (tmp_path / "data" / "member" / "wal").rename(wal)
    text = text_of(str(tmp_path / "data"), f" --wal-dir={wal}")
    (tmp_path / "etcd.service").write_text(text)
    found = plan(tmp_path, OTHER)
    assert found is not None
    (tmp_path / f"log.removed-{IDS[0]}").mkdir()
    with pytest.raises(FileError, match=r"log\.removed-.* exists: move that away first"):
        retire.retire(found)
    (tmp_path / f"log.removed-{IDS[0]}").rmdir()
    found = plan(tmp_path, OTHER)
    assert found is not None and "move_data" in found.actions
    assert retire.retire(found)[-1] == str(tmp_path / f"log.removed-{IDS[0]}")
