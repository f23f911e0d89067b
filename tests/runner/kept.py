# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts that are kept: a step that passed with the very same content is not run again.

The content is that of all files of the checkout that the step can read, and the names of the environments that it uses,
which are hashes of what is in them. Only what passed is kept. RINGFENCE_FRESH=1 runs everything, as CI does.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import shutil
import time
import typing as t

from runner.places import CHECKOUT, Places, checkout_files

EVERYTHING = ("",)
TOOLS = ("pyproject.toml", "tests/requirements/", "tests/run", "tests/runner/")
_SHOWN = ("README.md", "docs/", "examples/", "playbooks/")
UNIT = (*TOOLS, *_SHOWN, "plugins/", "meta/", "galaxy.yml", "tests/config.yml", "tests/unit/", "roles/")
INTEGRATION = (*UNIT, "tests/integration/", "tests/lab/")
LAB = (*TOOLS, "plugins/", "meta/", "galaxy.yml", "roles/", "playbooks/", "tests/lab/", "Makefile")
BROWSER = (*TOOLS, "plugins/", "tests/browser/", "tests/unit/plugins/plugin_utils/")
FAULTS = (*LAB, "tests/unit/")


class Kept:
    """The verdicts in a cache folder."""

    def __init__(self, places: Places) -> None:
        self.folder = places.cache / "kept"
        self.is_fresh = bool(os.environ.get("RINGFENCE_FRESH"))
        self._names = checkout_files()
        self._sums: dict[str, str] = {}

    def key(self, step: str, inputs: t.Sequence[str], *more: str) -> str:
        """What names a verdict: the step, the content of its inputs (paths, or folders with a slash), and what else."""
        digest = hashlib.sha256(json.dumps([step, *more]).encode())
        for name in self._names:
            if name.startswith(tuple(inputs)):
                digest.update(f"{name}\0{self._sum(name)}\n".encode())
        return digest.hexdigest()[:32]

    def _sum(self, name: str) -> str:
        if name not in self._sums:
            path = CHECKOUT / name
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            mode = "x" if os.access(path, os.X_OK) else "-"
            self._sums[name] = mode + hashlib.sha256(content).hexdigest()
        return self._sums[name]

    def find(self, key: str, report: pathlib.Path | None) -> str | None:
        """When and how long it ran, where it passed; its table's data are brought back."""
        if self.is_fresh:
            return None
        try:
            verdict = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
            if report is not None:
                shutil.copyfile(self.folder / f"{key}.xml", report)
        except (OSError, ValueError):
            return None
        return f"kept: the same content passed on {verdict['when']} in {verdict['seconds']:.0f} s"

    def keep(self, key: str, seconds: float, report: pathlib.Path | None) -> None:
        """Note that it passed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if report is not None:
            shutil.copyfile(report, self.folder / f"{key}.xml")
        text = json.dumps({"seconds": seconds, "when": time.strftime("%Y-%m-%d %H:%M")})
        (self.folder / f"{key}.json").write_text(text, encoding="utf-8")
