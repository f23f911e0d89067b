# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The least version of ``cryptography``: said in one place, told in one line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.ringfence.etcd.plugins.doc_fragments.cryptography_dep import ModuleDocFragment
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import library

ROOT = Path(library.__file__).parents[3]
CHECKOUT = ROOT.parents[2]
_ASK = f"import {library.__name__} as found; print(found.why_no_cryptography('the controller'))"


def asked(folder: Path, source: str) -> str:
    """What a Python says that has such a library."""
    (folder / "cryptography").mkdir()
    (folder / "cryptography" / "__init__.py").write_text(source)
    paths = os.pathsep.join([str(folder), str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", _ASK], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("raise ImportError('not here')\n", "none"),
        ("__version__ = '3.4.8'\n", "version 3.4.8"),
        ("__version__ = '35.0.2'\n", "version 35.0.2"),
    ],
)
def test_missing_or_old_is_one_line_with_the_way_out(tmp_path: Path, source: str, found: str) -> None:
    assert asked(tmp_path, source) == (
        "Python's cryptography 36 or newer is needed on the controller, and "
        f"{sys.executable} has {found}: install it for that Python (python3-cryptography, or pip install"
        " 'cryptography>=36')"
    )


@pytest.mark.parametrize("version", ["36.0.0", "36", "41.0.7", "50.0.2", "100.0.dev1"])
def test_new_enough_is_nothing(tmp_path: Path, version: str) -> None:
    assert asked(tmp_path, f"__version__ = '{version}'\n") == "None"
    assert library.why_no_cryptography("the controller") is None


def test_who_names_the_version_names_this_one() -> None:
    wanted = str(library.MINIMAL_CRYPTOGRAPHY)
    for text in (ModuleDocFragment.DOCUMENTATION, ModuleDocFragment.CONTROLLER):
        assert re.findall(r"cryptography >= ([0-9.]+) ", text) == [wanted]
    requirements = ROOT.parent / "requirements.txt"
    if requirements.exists():
        assert re.findall(r"^cryptography >= ([0-9]+)", requirements.read_text(), re.MULTILINE) == [wanted]
        assert set(re.findall(r"`cryptography` ([0-9]+) or newer", (ROOT.parent / "README.md").read_text())) == {wanted}
