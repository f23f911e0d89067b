# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The step that looks at the page of the proof, and the browser that it finds."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest
from runner import machine, main
from runner.tests.loaded_noxfile import Recorder, Steps
from runner.verdicts import StepFailed, StepSkipped


def test_every_page_is_looked_at_and_the_pictures_are_kept(
    load: t.Callable[..., Steps], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = load("3.13")
    (name,) = steps.named("browser")
    session = steps.sessions[f"browser({name})"]
    assert session.tags == ["integration", main.TODAY] and session.requires == [steps.file.MAIN]
    monkeypatch.setattr(steps.file, "need_browser", lambda: "/bin/chromium")
    monkeypatch.setenv("RINGFENCE_RESULTS", str(tmp_path / "results"))
    old = tmp_path / "results" / "pages" / "old.png"
    old.parent.mkdir(parents=True)
    old.touch()
    work = Recorder("ok-3\nok-50\n")
    folder = str(tmp_path / "results" / "pages")
    assert steps.file.browser(work) == f"2 pages, pictures in {folder}"
    assert work.words[0] == ["python", "tests/browser/pages.py", folder] and not old.exists()
    pages = [f"{folder}/ok-3.html", f"{folder}/ok-50.html"]
    assert work.words[1:] == [[sys.executable, "tests/browser/shots.py", "--chromium", "/bin/chromium", *pages]]
    with pytest.raises(StepFailed, match="made no page"):
        steps.file.browser(Recorder(""))


def test_without_a_browser_the_step_is_skipped_and_says_how_to_get_one(
    load: t.Callable[..., Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = load("3.13").file
    monkeypatch.delenv("RINGFENCE_CHROMIUM", raising=False)
    monkeypatch.setattr("runner.machine.shutil.which", lambda _name: None)
    monkeypatch.setattr(machine, "_apt_install", lambda _packages: False)
    with pytest.raises(StepSkipped, match=r"chromium is missing \(as root: .* apt-get install chromium\)"):
        file.browser(Recorder())


def test_a_browser_is_one_that_runs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RINGFENCE_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, code in (("chromium", 10), ("google-chrome", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (tmp_path / name).chmod(0o755)
    assert machine.need_browser() == str(tmp_path / "google-chrome")
    (tmp_path / "google-chrome").unlink()
    with pytest.raises(machine.MachineError, match="the command chromium does not run"):
        machine.need_browser()
    monkeypatch.setenv("RINGFENCE_CHROMIUM", str(tmp_path / "chromium"))
    with pytest.raises(machine.MachineError, match="chromium is no Chromium that runs"):
        machine.need_browser()
