# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nox's report as the table of a run, and what a run has to show to be green."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from runner import main, report
from runner.report import Row

SOME_STEPS = """
import os, pathlib, sys, time, nox
def step(name, *needs, code=0, skip=False, alone=True):
    def work(session):
        running = pathlib.Path(os.environ["SEEN"]) / name
        running.write_text("")
        time.sleep(0.3)
        if skip:
            session.skip("not here")
        if code:
            session.error("broken")
    nox.session(work, name=name, venv_backend="none", requires=needs)
nox.options.allow_parallel = True
step("last", "first", "second")
step("first")
step("second", "first")
step("bad", code=1)
step("after bad", "bad")
step("not here", skip=True)
"""


def test_a_red_step_hides_no_other_and_all_red_ones_are_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By the real nox: each step waits for those that it needs, and is red with them."""
    (tmp_path / "noxfile.py").write_text(SOME_STEPS)
    (tmp_path / "seen").mkdir()
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("RINGFENCE_RESULTS", str(tmp_path / "results"))
    told = tmp_path / "report.json"
    words = [sys.executable, "-m", "nox", "-f", str(tmp_path / "noxfile.py"), "--parallel", "2", "--report", str(told)]
    code = subprocess.run(words, cwd=tmp_path, stdin=subprocess.DEVNULL, check=False).returncode
    rows = report.read_report(told)
    assert {row.step: row.result for row in rows} == {
        "first": "passed",
        "second": "passed",
        "last": "passed",
        "bad": "failed",
        "after bad": "failed",
        "not here": "skipped",
    }
    remarks = {row.step: row.remark for row in rows if row.remark}
    assert remarks["bad"] == "broken" and "bad" in remarks["after bad"] and remarks["not here"] == "not here"
    assert not (tmp_path / "seen" / "after bad").exists() and code != 0
    capfd.readouterr()
    assert main._conclude(rows, code, 12.34, tmp_path / "logs") == 1
    printed = capfd.readouterr().out.splitlines()
    assert printed[-2:] == ["failed: bad; after bad", "3 passed, 2 failed, 1 skipped"]
    kept = (tmp_path / "results" / "results.txt").read_text().splitlines()
    assert kept[0].split() == ["step", "result", "seconds"] and kept[-3].split() == ["all", "12.3"]
    assert kept[-1] == printed[-1]


ROWS = [Row("lint(ruff)", "passed", 1.26, ""), Row("browser(a page)", "skipped", 0.0, "no browser")]


def test_the_table_and_the_line_under_it() -> None:
    assert report.table(ROWS, 71.0) == [
        "step             result   seconds",
        "lint(ruff)       passed       1.3",
        "browser(a page)  skipped      0.0  no browser",
        "all                          71.0",
    ]
    assert report.counts(ROWS) == "1 passed, 0 failed, 1 skipped" and report.counts(ROWS[:1]) == "1 passed, 0 failed"


@pytest.mark.parametrize(
    ("rows", "code", "line", "exit_code"),
    [
        (ROWS[:1], 0, "1 passed, 0 failed", 0),
        # nox itself was ended, or told of no step: nothing is proved.
        (ROWS[:1], 2, "1 passed, 1 failed", 1),
        ([], 0, "0 passed, 1 failed", 1),
        (ROWS[1:], 0, "0 passed, 0 failed, 1 skipped", 1),
    ],
)
def test_a_run_without_a_passed_step_or_a_report_is_red(
    rows: list[Row],
    code: int,
    line: str,
    exit_code: int,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RINGFENCE_RESULTS", raising=False)
    assert main._conclude(list(rows), code, 1.0, tmp_path) == exit_code
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_no_report_is_no_step(tmp_path: pathlib.Path) -> None:
    (tmp_path / "half").write_text('{"sess')
    assert report.read_report(tmp_path / "half") == report.read_report(tmp_path / "none") == []
