# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a tool's output and its products say, beyond its exit code."""

from __future__ import annotations

import pathlib
import re
import tarfile
import typing as t
import xml.etree.ElementTree

# ansible-test says these with exit code 0: nothing was tested.
FALSE_GREENS = ("No tests applicable", "All targets skipped", "Unable to determine context", "no tests ran")

# What users get: nothing else, and of each at least one file.
ARCHIVED = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "FILES.json",
    "LICENSE",
    "LICENSES/",
    "MANIFEST.json",
    "README.md",
    "REUSE.toml",
    "SECURITY.md",
    "changelogs/",
    "docs/",
    "meta/",
    "playbooks/",
    "plugins/",
    "requirements.txt",
    "roles/",
    # ansible-test reads there which Pythons modules run on, in an installed collection too.
    "tests/config.yml",
)
_LEFTOVERS = re.compile(r"(^|/)(__pycache__|\.[^/]+)(/|$)|\.pyc$")


class StepFailed(Exception):
    """A step's verdict, in one line; what its commands printed stands in its log."""


class StepSkipped(Exception):
    """A step that can't be run on this machine, and why."""


class Case(t.NamedTuple):
    """One test of a pytest run."""

    name: str
    verdict: str
    """passed, failed or skipped."""


def read_cases(*paths: pathlib.Path) -> list[Case]:
    """The tests of JUnit files, in their order; none where the run did not get so far."""
    cases = []
    for path in paths:
        try:
            root = xml.etree.ElementTree.parse(path).getroot()
        except (OSError, xml.etree.ElementTree.ParseError):
            continue
        for case in root.iter("testcase"):
            kinds = {child.tag for child in case}
            verdict = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
            cases.append(Case(case.get("name", "?"), verdict))
    return cases


def tests_passed(cases: t.Sequence[Case]) -> str:
    """Pytest's count; a run in which nothing passed, or something failed, has failed."""
    failed = [case.name for case in cases if case.verdict == "failed"]
    if failed:
        raise StepFailed(f"{len(failed)} tests failed: {', '.join(failed[:5])}")
    passed = sum(case.verdict == "passed" for case in cases)
    if passed == 0:
        raise StepFailed("no test passed")
    return f"{passed} tests"


def check_tarball(tarball: pathlib.Path) -> int:
    """Refuse a tarball that holds more or less than what users need; return the count of its files."""
    with tarfile.open(tarball) as archive:
        names = [member.name for member in archive.getmembers() if not member.isdir()]
    stray = [name for name in names if not name.startswith(ARCHIVED) or _LEFTOVERS.search(name)]
    if stray:
        raise StepFailed(f"the tarball holds {stray[0]}: add it to build_ignore in galaxy.yml")
    lacking = [part for part in ARCHIVED if not any(name.startswith(part) for name in names)]
    if lacking:
        raise StepFailed(f"the tarball lacks {', '.join(lacking)}")
    return len(names)


def integration_targets(root: pathlib.Path) -> set[str]:
    """The targets that a run must name; setup_ and prepare_ ones are run by those that need them."""
    folders = (root / "tests" / "integration" / "targets").glob("*/")
    return {
        folder.name for folder in folders if folder.is_dir() and not folder.name.startswith(("setup_", "prepare_", "."))
    }


def refuse_false_green(printed: str, targets: t.Collection[str] = ()) -> None:
    """Fail where ansible-test says with exit code 0 that it tested nothing, or left a target out."""
    for words in FALSE_GREENS:
        if words in printed:
            raise StepFailed(f"ansible-test says: {words}")
    run = set(re.findall(r"^Running ([a-z0-9_]+) integration test", printed, re.MULTILINE))
    left_out = sorted(set(targets) - run)
    if left_out:
        raise StepFailed(f"ansible-test did not run: {', '.join(left_out)}")
