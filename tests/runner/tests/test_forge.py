# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the forge and pre-commit read, which no tool of ours does."""

from __future__ import annotations

import pathlib

import pytest

yaml = pytest.importorskip("yaml")

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
FILES = [CHECKOUT / ".pre-commit-config.yaml", *sorted((CHECKOUT / ".github").rglob("*.yml"))]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(CHECKOUT)) for path in FILES])
def test_it_can_be_read(path: pathlib.Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))


def test_a_hook_runs_a_step_that_there_is() -> None:
    (repo,) = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    steps = (CHECKOUT / "noxfile.py").read_text(encoding="utf-8")
    for hook in repo["hooks"]:
        *command, name = hook["entry"].split()
        assert command == ["python3", "tests/run", "lint", "-k"]
        assert f'step("lint({name})"' in steps or f'linter("{name}"' in steps


def test_a_release_is_of_the_version_that_the_tag_says() -> None:
    """The lines that the workflow looks for are written just so."""
    workflow = (CHECKOUT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert 'grep -Fx "version: $VERSION" galaxy.yml' in workflow
    galaxy = (CHECKOUT / "galaxy.yml").read_text(encoding="utf-8")
    version = yaml.safe_load(galaxy)["version"]
    assert f"\nversion: {version}\n" in galaxy
    assert '"dist/ringfence-etcd-$VERSION.tar.gz"' in workflow
