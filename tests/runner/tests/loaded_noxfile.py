# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The noxfile as a test sees it, and steps at work that run little or nothing."""

from __future__ import annotations

import pathlib
import subprocess
import types
import typing as t

import nox.command
import nox.sessions


class Steps(t.NamedTuple):
    """The noxfile, as it is loaded on a machine that has some Pythons."""

    file: types.ModuleType
    sessions: dict[str, t.Any]

    def named(self, kind: str) -> list[str]:
        """The names of a kind's steps, without it."""
        return [name[len(kind) + 1 : -1] for name in self.sessions if name.startswith(f"{kind}(")]


class Recorder:
    """A step at work that runs nothing, and says what a command of this name says."""

    def __init__(self, names: str = "") -> None:
        self.names = names
        self.words: list[list[str]] = []

    def run(self, words: list[str], **_more: object) -> str:
        self.words.append(words)
        return ""

    def tool(self, _venv: object, words: list[str], _root: object, **_settings: str) -> str:
        self.words.append(words)
        return self.names

    def pytest(self, _venv: object, words: list[str], _root: object, report: str, env: dict[str, str]) -> str:
        self.words, self.report, self.env = [words], report, env
        return "1 tests"


class Session:
    """What a step uses of nox's session, with the command really run."""

    def chdir(self, path: pathlib.Path) -> t.Any:
        return nox.sessions._WorkingDirContext(path)

    def run(self, *words: str, **more: t.Any) -> None:
        known = ("env", "stdout", "success_codes", "external", "log", "include_outer_env")
        assert set(more) <= set(known)
        env, output = dict(more["env"]), more["stdout"]
        code = subprocess.run(words, env=env, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        if code not in more["success_codes"]:
            raise nox.command.CommandFailed(f"Command failed with exit code {code}")


JUNIT = """<testsuites><testsuite>
<testcase name="test_form" time="12.34"/>
<testcase name="test_list" time="0"><skipped message="x"/></testcase>
{}</testsuite></testsuites>"""
