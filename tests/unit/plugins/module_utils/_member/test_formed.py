# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a member without its data from starting: the unit's asserts as systemd judges them, and the marker."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import formed, member_unit, unit_plan
from ansible_collections.ringfence.etcd.plugins.module_utils._node.files import apply_changes
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    exec_arguments,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils._etcd.test_wal import FORMED, WAITING, write_log
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import Host, text_of, wanted_unit

LOG = "0000000000000000-0000000000000000.wal"
IDS = ("369d757121400e25", "81be773e1c3069aa")


def place(folder: pathlib.Path, wal_dir: str | None = None) -> formed.MemberPlace:
    return formed.MemberPlace(str(folder / "pki"), "etcd-1", str(folder / "data"), wal_dir)


def form(folder: pathlib.Path, content: bytes = FORMED) -> None:
    write_log(folder / "data", LOG, content + bytes(8192))
    (folder / "data" / "member" / "snap").mkdir(exist_ok=True)


def restarts(where: formed.MemberPlace) -> bool:
    """What systemd runs before each start of the process, with the arguments as it reads them."""
    _key, value = formed.wanted_condition(where)
    return subprocess.run(exec_arguments(value), check=False).returncode == 0


def starts(where: formed.MemberPlace) -> bool:
    """systemd's own word on the two asserts."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze here")
    words = ["=".join(setting) for setting in formed.wanted_asserts(where)]
    done = subprocess.run([program, "condition", *words], capture_output=True, text=True, check=False)
    if "succeeded" not in done.stderr and "failed" not in done.stderr:
        pytest.skip("this systemd-analyze can't judge a condition")
    assert "Asserts" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("name", ["data", "a b", "50%i", "{a,b}[c]*?", "back\\slash", "$HOME"])
@pytest.mark.parametrize("apart", [False, True])
def test_systemd_starts_no_member_that_has_lost_its_data(tmp_path: pathlib.Path, name: str, apart: bool) -> None:
    """Whatever the folder is called: nothing of its name is a pattern, or a specifier."""
    folder = tmp_path / name
    log = folder if apart else folder / "member" / "wal"
    where = formed.MemberPlace(str(tmp_path / f"pki {name}"), "etcd-1", str(folder), str(folder) if apart else None)
    marker = pathlib.Path(where.marker)
    marker.parent.mkdir()
    assert starts(where) and restarts(where)
    marker.write_text("")
    # Never there; without a log; with one; with what is none; gone.
    assert not starts(where) and not restarts(where)
    log.mkdir(parents=True)
    assert not starts(where)
    (log / LOG).write_text("")
    assert starts(where) and restarts(where)
    (log / LOG).rename(log / "0.tmp")
    assert not starts(where)
    shutil.rmtree(folder)
    assert not starts(where) and not restarts(where)
    marker.unlink()
    assert starts(where) and restarts(where)


# The marker -----------------------------------------------------------------------------------------------------------


def test_the_marker_tells_whose_data_there_was(tmp_path: pathlib.Path) -> None:
    where = place(tmp_path)
    (tmp_path / "pki").mkdir()
    assert formed.plan_marker(where) is None
    # What waits for its first quorum may be thrown away.
    form(tmp_path, WAITING)
    assert formed.plan_marker(where) is None
    form(tmp_path)
    change = formed.plan_marker(where)
    assert change is not None and change.reasons == ("missing",) and change.after["mode"] == "0644"
    (diff,) = formed.marker_diff(change)
    apply_changes([change])
    assert (diff["before"], diff["after"]) == ("", pathlib.Path(where.marker).read_text())
    assert formed.plan_marker(where) is None
    facts = formed.marker_facts(where.directory, where.name)
    assert facts == {
        "path": f"{tmp_path}/pki/etcd-1.formed",
        "exists": True,
        "member_id": IDS[0],
        "cluster_id": IDS[1],
        "problem": None,
    }
    # The data is gone, and it still says so.
    shutil.rmtree(tmp_path / "data")
    assert formed.plan_marker(where) is None
    assert formed.marker_facts(where.directory, where.name) == facts


def test_data_of_another_member_is_told_anew(tmp_path: pathlib.Path) -> None:
    """A snapshot was restored: another member and cluster."""
    where = place(tmp_path)
    (tmp_path / "pki").mkdir()
    pathlib.Path(where.marker).write_text(formed.marker_text("etcd-1", "1", "2"))
    form(tmp_path)
    change = formed.plan_marker(where)
    assert change is not None and change.reasons[0] == "content"
    (diff,) = formed.marker_diff(change)
    assert "member_id=1\n" in diff["before"] and f"member_id={IDS[0]}\n" in diff["after"]


def test_data_that_can_not_be_read_makes_no_marker(tmp_path: pathlib.Path) -> None:
    """Whose it is would be a guess; who reads the data says what is wrong with it."""
    (tmp_path / "pki").mkdir()
    # A later log than the first: it has been a member, and this log does not say which.
    write_log(tmp_path / "data", LOG.replace("0-", "1-", 1), b"no log of etcd's")
    (tmp_path / "data" / "member" / "snap").mkdir()
    for will_form in (False, True):
        change = formed.plan_marker(place(tmp_path), will_form)
        assert (change is not None) is will_form
    assert change is not None and IDS[0] not in str(change.wanted)


def test_a_marker_that_lost_its_owner_or_mode_shows_that(tmp_path: pathlib.Path) -> None:
    where = place(tmp_path)
    (tmp_path / "pki").mkdir()
    form(tmp_path)
    apply_changes([formed.plan_marker(where)])
    os.chmod(where.marker, 0o600)
    change = formed.plan_marker(where)
    assert change is not None and change.reasons == ("mode",)
    text = pathlib.Path(where.marker).read_text()
    assert list(formed.marker_diff(change)) == [
        {
            "before_header": where.marker,
            "after_header": where.marker,
            "before": f"# mode: 0600\n{text}",
            "after": f"# mode: 0644\n{text}",
        }
    ]
    assert list(formed.marker_diff(None)) == []


@pytest.mark.parametrize("content", ["", "member_id=NO\ncluster_id=\n", "member_id=12345678901234567\n", "\x00"])
def test_a_marker_that_says_nothing_is_one_all_the_same(tmp_path: pathlib.Path, content: str) -> None:
    (tmp_path / "etcd-1.formed").write_text(content)
    facts = formed.marker_facts(str(tmp_path), "etcd-1")
    assert (facts["exists"], facts["member_id"], facts["cluster_id"]) == (True, None, None)


def test_what_is_no_file_is_told(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "etcd-1.formed")
    facts = formed.marker_facts(str(tmp_path), "etcd-1")
    assert facts["exists"] and "is not a regular file" in facts["problem"]


# In the plans of the unit ---------------------------------------------------------------------------------------------


@pytest.fixture
def wanted(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> member_unit.WantedUnit:
    Host(monkeypatch)
    (tmp_path / "pki").mkdir()
    where = place(tmp_path)
    lines = "".join(f"{key}={value}\n" for key, value in formed.wanted_asserts(where))
    text = text_of(str(tmp_path / "data")).replace("[Unit]\n", f"[Unit]\n{lines}")
    text = text.replace("[Service]\n", "[Service]\n{}={}\n".format(*formed.wanted_condition(where)))
    return wanted_unit(tmp_path, text=with_configuration_hash(text), directory=where.directory)


def test_data_and_no_marker_is_due_and_a_second_run_changes_nothing(
    wanted: member_unit.WantedUnit, tmp_path: pathlib.Path
) -> None:
    unit_plan.apply_plan(unit_plan.plan_written(wanted, False, check_new_text=False))
    assert not unit_plan.plan_written(wanted, False).changed
    form(tmp_path)
    for plan in (unit_plan.plan_written(wanted, True), unit_plan.plan_written(wanted, False)):
        assert plan.actions == ("mark_formed",)
        assert [part["after_header"] for part in plan.diff] == [f"{tmp_path}/pki/etcd-1.formed"]
    unit_plan.apply_plan(plan)
    assert not unit_plan.plan_written(wanted, False).changed


def test_a_text_without_the_asserts_is_refused(wanted: member_unit.WantedUnit, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"has no AssertPathExists=\|!"):
        member_unit.check_unit_text(wanted_unit(tmp_path, directory=wanted.directory))


def test_a_member_that_became_healthy_is_marked(wanted: member_unit.WantedUnit, tmp_path: pathlib.Path) -> None:
    """In check mode as well, where the run itself would form the cluster."""
    unit = ("etcd.service", str(tmp_path), wanted.directory)
    checked = unit_plan.mark_formed(*unit, wanted.text, check_mode=True)
    assert (checked["changed"], checked["actions"]) == (True, ["mark_formed"])
    assert not os.path.exists(f"{tmp_path}/pki/etcd-1.formed")
    unit_plan.apply_plan(unit_plan.plan_written(wanted, False, check_new_text=False))
    form(tmp_path)
    assert unit_plan.mark_formed(*unit, None, check_mode=False)["changed"]
    for mode in (True, False):
        again = unit_plan.mark_formed(*unit, wanted.text, check_mode=mode)
        assert again == {"changed": False, "actions": [], "diff": []}
