# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a program without a shell, with a time limit, and keep what it printed.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import subprocess
import typing as t


class Done(t.NamedTuple):
    """A program that has ended."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """All that it printed, white space folded: one line for an error message."""
        return " ".join(f"{self.stderr} {self.stdout}".split())


def run_command(
    words: t.Sequence[str],
    timeout_seconds: float,
    environment: t.Mapping[str, str],
    account: tuple[int, int] | None = None,
    inherited: t.Sequence[int] = (),
    given: str | None = None,
) -> Done:
    """Run a program to its end; OSError where it can't be started, TimeoutError where it does not end in time.

    ``account``: user and group as which it runs, and no others, where they are not those of this process.
    ``inherited``: descriptors that it has open, too. ``given``: what stands on its standard input.
    """
    other: dict[str, t.Any] = {} if account is None else {"user": account[0], "group": account[1], "extra_groups": []}
    # Not AnsibleModule.run_command: only module files know the module, and that one has no time limit.
    with subprocess.Popen(  # pylint: disable=ansible-bad-function
        list(words),
        stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=dict(environment),
        # Nobody else reads what it makes.
        umask=0o077 if other else -1,
        pass_fds=tuple(inherited),
        **other,
    ) as child:
        try:
            stdout, stderr = child.communicate(given, timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise TimeoutError(f"{words[0]} did not end within {timeout_seconds:g} seconds") from None
        return Done(child.returncode, stdout, stderr)


__all__ = ("Done", "run_command")
