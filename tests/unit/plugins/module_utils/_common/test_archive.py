# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Python compiles of an archive, as Ansible sends one: counted by the interpreter's own audit events."""

from __future__ import annotations

import collections
import json
import pathlib
import subprocess
import sys
import zipfile

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common import archive, errors

# The folder that has ansible_collections, and what is imported: a package's files, and what they import.
_ROOT = pathlib.Path(errors.__file__).parents[6]
_UTILS = pathlib.Path(errors.__file__).parents[1]
_PACKAGE = "ansible_collections.ringfence.etcd.plugins.module_utils"
_PROFILE = f"{_PACKAGE}._pki.profile"
_CODE = """
import json, sys
seen = []
sys.addaudithook(lambda event, given: seen.append(given[1]) if event == "compile" else None)
sys.path.insert(0, sys.argv[1])
import {utils}._common.errors
del seen[:]
import {utils}._pki.profile
names = [str(name) for name in seen if isinstance(name, (str, bytes)) and sys.argv[1] in str(name)]
files = {{name: module.__file__ for name, module in sys.modules.items() if name.startswith("ansible_collections.")}}
print(json.dumps([names, files]))
"""


def made(folder: pathlib.Path) -> pathlib.Path:
    """An archive with all module utils, as Ansible makes one: packages have an empty ``__init__.py``."""
    path = folder / "module.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archived:
        packages = {parent for file in _UTILS.rglob("*.py") for parent in file.relative_to(_ROOT).parents}
        for package in sorted(packages - {pathlib.Path(".")}):
            archived.writestr(f"{package}/__init__.py", "")
        for file in _UTILS.rglob("*.py"):
            archived.write(file, str(file.relative_to(_ROOT)))
    return path


def imported(path: pathlib.Path) -> tuple[collections.Counter[str], dict[str, str]]:
    """How often each file is compiled after the errors, and the file that each module says it is from."""
    words = [sys.executable, "-I", "-B", "-c", _CODE.format(utils=_PACKAGE), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    names, files = json.loads(done.stdout)
    return collections.Counter(names), files


def test_what_is_imported_after_the_errors_is_compiled_once(tmp_path: pathlib.Path) -> None:
    path = made(tmp_path)
    compiled, files = imported(path)
    utils = f"{path}/ansible_collections/ringfence/etcd/plugins/module_utils"
    assert len(compiled) > 5 and f"{utils}/_pki/profile.py" in compiled
    assert {name for name, count in compiled.items() if count != 1} == set()
    assert files[_PROFILE] == f"{utils}/_pki/profile.py"


def test_a_file_is_called_what_python_calls_it(tmp_path: pathlib.Path) -> None:
    path = str(made(tmp_path))
    ours, pythons = archive.OnceImporter(path), archive.zipimport.zipimporter(path)
    assert ours.get_filename("ansible_collections") == pythons.get_filename("ansible_collections")
    folder = f"{path}/ansible_collections/ringfence/etcd/plugins/module_utils"
    ours, pythons = archive.OnceImporter(folder), archive.zipimport.zipimporter(folder)
    for name in ("_common", "_pki"):
        assert ours.get_filename(name) == pythons.get_filename(name)
    folder += "/_pki"
    ours, pythons = archive.OnceImporter(folder), archive.zipimport.zipimporter(folder)
    assert ours.get_filename(_PROFILE) == pythons.get_filename(_PROFILE)
    with pytest.raises(ImportError):
        ours.get_filename("nothing_of_this_name")


def test_what_is_imported_from_a_folder_is_left_alone() -> None:
    assert archive.OnceImporter not in sys.path_hooks
