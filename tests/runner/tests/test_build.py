# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in the archive that users install: made by the real builder out of this checkout."""

from __future__ import annotations

import io
import pathlib
import sys
import tarfile

import pytest
from ringfence_lab import image
from runner import build, verdicts
from runner.places import CHECKOUT, Places, stage
from runner.verdicts import StepFailed


class Here(Places):
    """Folders of this test's own."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__()
        self.stages = folder / "stage"
        self.venvs = folder / "venvs"


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("build")
    galaxy = [sys.executable, "-m", "ansible.cli.galaxy"]
    # Where the tests themselves run in a staged copy, that is what git told of.
    root = stage(Here(folder), "build") if (CHECKOUT / ".git").exists() else CHECKOUT
    return build.built(root, folder / "dist", galaxy)


def test_it_holds_what_users_need_and_no_more(tarball: pathlib.Path) -> None:
    count = verdicts.check_tarball(tarball)
    with tarfile.open(tarball) as archive:
        names = {member.name for member in archive.getmembers() if not member.isdir()}
    assert count == len(names)
    assert {name for name in names if name.startswith("tests/")} == {"tests/config.yml"}
    assert not {name.partition("/")[0] for name in names} & {"bench", "examples", ".github", ".ci", "Makefile", "dist"}
    wanted = {
        "docs/proof.md",
        "meta/runtime.yml",
        "playbooks/site.yml",
        "plugins/modules/etcd_ca.py",
        "roles/etcd_peer_tls/meta/argument_specs.yml",
        "LICENSES/GPL-3.0-or-later.txt",
    }
    assert wanted <= names


@pytest.mark.parametrize(
    "stray",
    ["tests/unit/a.py", "bench/run", ".github/x", "plugins/a.pyc", "plugins/.hidden", "docs/__pycache__/a", "notes"],
)
def test_more_is_refused(tarball: pathlib.Path, tmp_path: pathlib.Path, stray: str) -> None:
    copy = tmp_path / "copy.tar"
    with tarfile.open(tarball) as source, tarfile.open(copy, "w") as target:
        for member in source.getmembers():
            target.addfile(member, source.extractfile(member))
        target.addfile(tarfile.TarInfo(stray), io.BytesIO())
    with pytest.raises(StepFailed, match=f"the tarball holds {stray}"):
        verdicts.check_tarball(copy)


def test_less_is_refused(tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "copy.tar"
    with tarfile.open(copy, "w") as target:
        target.addfile(tarfile.TarInfo("README.md"), io.BytesIO())
    with pytest.raises(StepFailed, match=r"the tarball lacks CHANGELOG\.md, "):
        verdicts.check_tarball(copy)


def test_the_users_own_ansible_builds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """Then one that a test has installed; nothing is installed where either is there."""
    program = tmp_path / "bin" / "ansible-galaxy"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    places = Here(tmp_path)
    assert build.ansible_galaxy(places) == [str(program)]
    monkeypatch.setenv("PATH", "/nonexistent")
    kept = places.venvs / "main" / "bin" / "ansible-galaxy"
    kept.parent.mkdir(parents=True)
    kept.touch()
    kept.with_name("python").touch()
    (places.venvs / "main" / "complete").touch()
    assert build.ansible_galaxy(places) == [str(kept)]


def test_a_builder_that_fails_is_told_in_one_line(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StepFailed, match=r"does not build: .*galaxy\.yml") as caught:
        build.built(tmp_path, tmp_path / "dist", [sys.executable, "-m", "ansible.cli.galaxy"])
    assert "\n" not in str(caught.value)


def test_the_role_names_the_platforms_that_are_tested() -> None:
    meta = (CHECKOUT / "roles" / "etcd_peer_tls" / "meta" / "main.yml").read_text(encoding="utf-8")
    assert f"    - name: Debian\n      versions: [{', '.join(image.RELEASES)}]\n" in meta
    assert meta.count("versions: ") == 1
