# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: ``newcomer run -- make demo``."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
import types
import typing as t

from ringfence_lab import image, system
from ringfence_lab.errors import LabError

from .machine import Newcomer, check_machine


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="newcomer", help="the machine, where there are several (default: newcomer)")
    parser = argparse.ArgumentParser(
        prog="newcomer", description="A machine with git, make and Python only, for trying what the README promises."
    )
    commands = parser.add_subparsers(dest="action", required=True, metavar="COMMAND")
    run = commands.add_parser("run", parents=[common], help="boot it, run a command in a fresh clone, take it away")
    run.add_argument("--keep", action="store_true", help="leave it up; a later run goes on in it, with its clone")
    run.add_argument("--release", choices=image.RELEASES, default=image.DEFAULT_RELEASE, help="Debian's release")
    run.add_argument("--timeout", type=float, default=90, metavar="MIN", help="minutes for the command (default: 90)")
    run.add_argument("--worktree", action="store_true", help="with uncommitted and untracked files, not HEAD alone")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- command")
    commands.add_parser("shell", parents=[common], help="enter one that was kept")
    commands.add_parser("down", parents=[common], help="take one away that was kept")
    return parser


def repository() -> str:
    return os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))


def _run(machine: Newcomer, options: argparse.Namespace) -> int:
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise LabError("run: say what, for example: run -- make demo")
    check_machine()
    for number in _SIGNALS:
        # nohup has one of them ignored, and means it.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    keep = False
    with system.locked(machine.lock_path()):
        try:
            if machine.is_kept():
                system.say(f"{machine.machine_name} is up, with the clone it has")
            else:
                machine.up(options.release, repository(), options.worktree)
                system.say(f"{machine.machine_name} is up: Debian {options.release}")
            keep = bool(options.keep)
            started = time.monotonic()
            code = machine.run(words, options.timeout * 60)
            system.say(f"{shlex.join(words)}: exit {code} after {time.monotonic() - started:.0f} s")
        finally:
            # Nothing may keep it from being taken away.
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            if keep and machine.supervisor():
                machine.stop_command()
                machine.keep()
                system.say(f"{machine.machine_name} is kept: newcomer shell, newcomer down (--name {options.name})")
            else:
                machine.down()
                system.say(f"{machine.machine_name} is taken away")
    return code


def _dispatch(options: argparse.Namespace) -> int:
    machine = Newcomer(options.name)
    if options.action == "run":
        return _run(machine, options)
    if os.geteuid() != 0:
        raise LabError("the newcomer's machine needs root: run it by sudo")
    if options.action == "down":
        with system.locked(machine.lock_path()):
            machine.down()
        return 0
    command = machine.shell_command()
    os.execvp(command[0], command)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _interrupt(number: int, _frame: types.FrameType | None) -> t.NoReturn:
    sys.exit(128 + number)


def main(arguments: t.Sequence[str] | None = None) -> int:
    try:
        return _dispatch(_parser().parse_args(arguments))
    except LabError as error:
        print(f"newcomer: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
