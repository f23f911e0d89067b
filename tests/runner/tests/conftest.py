# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The runner, and its noxfile on a machine that has some Pythons."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import sys
import typing as t

import nox.registry
import pytest

_TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_TESTS), str(_TESTS / "lab")]

from runner import machine, trees  # noqa: E402
from runner.places import SLOT  # noqa: E402
from runner.tests.loaded_noxfile import Steps  # noqa: E402


@pytest.fixture
def load(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Steps]:
    monkeypatch.setenv("RINGFENCE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(SLOT, "1")
    monkeypatch.delenv("RINGFENCE_RESULTS", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(*versions: str, file: pathlib.Path = _TESTS.parent / "noxfile.py") -> Steps:
        found = [machine.Python(name, f"{name}.5", f"/usr/bin/python{name}", True) for name in versions]
        monkeypatch.setenv(trees.KNOWN, json.dumps(found))
        nox.registry._REGISTRY.clear()
        spec = importlib.util.spec_from_file_location("noxfile", file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "stage", lambda _places, _purpose: tmp_path / "a" / "b" / "c" / "d")
        return Steps(module, dict(nox.registry.get()))

    return load
