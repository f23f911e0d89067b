# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults that are put into a copy of the product, and the test that has to catch each."""

from __future__ import annotations

import pathlib

import pytest
from runner import faults
from runner.verdicts import Case, StepFailed

_TESTS = pathlib.Path(__file__).resolve().parents[2]
FAULT = faults.Fault("a fault", "file", "good", "bad", "tests/lab/x.py::test_two")


@pytest.mark.parametrize(
    ("verdicts_of", "caught"),
    [
        ({"test_one": "passed", "test_two": "failed"}, True),
        ({"test_one": "passed", "test_two[a]": "failed"}, True),
        ({"test_one": "passed", "test_two": "passed"}, False),
        ({"test_one": "failed", "test_two": "failed"}, False),
        ({"test_one": "failed"}, False),
        ({}, False),
    ],
)
def test_a_fault_is_caught_by_its_own_test_alone(verdicts_of: dict[str, str], caught: bool) -> None:
    cases = [Case(name, verdict) for name, verdict in verdicts_of.items()]
    if caught:
        assert faults.verdict(FAULT, cases) == "caught by test_two"
    else:
        with pytest.raises(StepFailed):
            faults.verdict(FAULT, cases)


def test_every_fault_still_fits_the_product() -> None:
    root = _TESTS.parent
    for fault in faults.FAULTS:
        assert (root / fault.path).read_text().count(fault.text) == 1, fault.title
        file, _colons, name = fault.test.partition("::")
        assert f"def {name}(" in (root / file).read_text(), fault.test


def test_a_fault_that_no_longer_fits_is_said(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("good")
    faults.put_in(FAULT, tmp_path)
    assert (tmp_path / "file").read_text() == "bad"
    with pytest.raises(StepFailed, match="0 times"):
        faults.put_in(FAULT, tmp_path)
