# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as passed beyond the exit code."""

from __future__ import annotations

import pathlib

import pytest
from runner import verdicts
from runner.tests.loaded_noxfile import JUNIT
from runner.verdicts import StepFailed


@pytest.mark.parametrize("words", verdicts.FALSE_GREENS)
def test_a_tool_that_tested_nothing_has_not_passed(words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        verdicts.refuse_false_green(f"... {words} ...")


def test_a_target_that_was_left_out_is_seen() -> None:
    printed = "Running etcd_ca integration test role\n"
    verdicts.refuse_false_green(printed, {"etcd_ca"})
    with pytest.raises(StepFailed, match="did not run: etcd_peer_info"):
        verdicts.refuse_false_green(printed, {"etcd_ca", "etcd_peer_info"})


FAILED = '<testcase name="test_renew" time="5"><failure message="x"/></testcase>'


@pytest.mark.parametrize("text", ["", "<testsuites/>", JUNIT.replace('<testcase name="test_form" time="12.34"/>', "")])
def test_pytest_without_a_passed_test_has_not_passed(text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "one.xml").write_text(text.format(""))
    with pytest.raises(StepFailed, match="no test passed"):
        verdicts.tests_passed(verdicts.read_cases(tmp_path / "one.xml"))


def test_the_tests_of_several_runs_are_added_up(tmp_path: pathlib.Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(JUNIT.format(""))
    assert verdicts.tests_passed(verdicts.read_cases(tmp_path / "one", tmp_path / "two")) == "2 tests"
    (tmp_path / "two").write_text(JUNIT.format(FAILED))
    with pytest.raises(StepFailed, match="1 tests failed: test_renew"):
        verdicts.tests_passed(verdicts.read_cases(tmp_path / "one", tmp_path / "two"))
