# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which lines and branches of plugins/ the unit tests and the integration tests reach together.

Both are measured by coverage 7, whose releases share one format of data (schema 7): ansible-test installs the release
that it pins into the virtual environment of its run, pytest runs with ours, and ours reads both. A file has several
paths in the data (the staged copies, the archive that a module travels in): [tool.coverage.paths] makes them one.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import typing as t

from runner.verdicts import StepFailed

# Percent of statements and branches. What is not reached for a reason says so in the source ("pragma: no cover").
FAIL_UNDER = 99.0

_TOTAL = re.compile(r"^TOTAL\s.*\s(\d+(?:\.\d+)?)%$", re.MULTILINE)


def _folder(root: pathlib.Path) -> pathlib.Path:
    return root / "tests" / "output" / "coverage"


def forget_integration(root: pathlib.Path) -> None:
    """Take away what an earlier run measured in a staged copy: it was of an earlier text."""
    shutil.rmtree(_folder(root), ignore_errors=True)


def integration_data(root: pathlib.Path) -> list[pathlib.Path]:
    """The files that `ansible-test integration --coverage` left in a staged copy, one for each process."""
    found = sorted(_folder(root).glob("integration=*=coverage.*"))
    if not found:
        raise StepFailed("ansible-test integration --coverage has left no data")
    return found


def report_coverage(
    say: t.Callable[[str], None],
    run: t.Callable[[t.Sequence[str]], str],
    data: t.Sequence[pathlib.Path],
    combined: pathlib.Path,
) -> float:
    """Print what is not reached, file by file; return the total. StepFailed where it is below FAIL_UNDER.

    ``run``: runs a Python module, by its name and arguments, in a staged copy and with a Python that has coverage.
    """
    common = ["--rcfile=pyproject.toml", f"--data-file={combined}"]
    combined.unlink(missing_ok=True)
    run(["coverage", "combine", *common, "--keep", "--quiet", *map(str, data)])
    # An archive has files that are not in the checkout (__init__.py): only those below plugins/ are looked at.
    words = ["report", *common, "--include=plugins/*", "--show-missing", "--skip-covered", "--precision=1"]
    printed = run(["coverage", *words])
    say(printed.rstrip())
    match = _TOTAL.search(printed)
    if match is None:
        raise StepFailed("coverage has printed no total")
    total = float(match[1])
    if total < FAIL_UNDER:
        raise StepFailed(f"{total:g} % of plugins/ is reached, {FAIL_UNDER:g} % is wanted: see the lines above")
    return total
