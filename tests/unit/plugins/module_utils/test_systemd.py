# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils import _systemd
from ansible_collections.ringfence.etcd.plugins.module_utils._commands import Done
from ansible_collections.ringfence.etcd.plugins.module_utils._errors import ServiceError

OUTPUT = """/tmp/x/etcd.service:3: Unknown key 'Aftre' in section [Unit], ignoring.
/lib/systemd/system/other.service:9: PIDFile= references a path below legacy directory
etcd.service: Command /usr/bin/etcd is not executable: No such file or directory
Unit etcd.service has a bad unit file setting.
other.service: something else
"""


def test_only_lines_about_the_unit_are_complaints() -> None:
    assert _systemd.complaints_about(OUTPUT, "/tmp/x/etcd.service", "etcd.service") == [
        "etcd.service:3: Unknown key 'Aftre' in section [Unit], ignoring.",
        "etcd.service: Command /usr/bin/etcd is not executable: No such file or directory",
        "Unit etcd.service has a bad unit file setting.",
    ]


def fake_run(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str]) -> list[list[str]]:
    """Answers of systemd-analyze in turn; gives the commands that were run. PATH stands for the temporary file."""
    commands: list[list[str]] = []
    left = list(answers)

    def run(command: t.Sequence[str], timeout_seconds: float = 1.0) -> Done:
        commands.append(list(command))
        code, stderr = left.pop(0)
        return Done(code, "", stderr.replace("PATH", command[-1]))

    monkeypatch.setattr(_systemd, "_run", run)
    return commands


@pytest.mark.parametrize(
    ("answers", "missing_is_fine", "problem"),
    [
        ([(0, "")], False, None),
        ([(0, "other.service: noise\n")], False, None),
        ([(0, "PATH:3: Unknown key 'X', ignoring.\n")], False, "etcd.service:3: Unknown key 'X', ignoring."),
        ([(1, "etcd.service: Command /x is not executable: No such file or directory\n")], False, "not executable"),
        ([(1, "etcd.service: Command /x is not executable: No such file or directory\n")], True, None),
        ([(1, "etcd.service: Command /x is not executable: No such file\nPATH:2: bad\n")], True, "etcd.service:2: bad"),
        ([(1, "Failed to do anything\n")], False, "Failed to do anything"),
        ([(1, "")], False, "exit status 1"),
        # systemd before 250
        ([(1, "unrecognized option '--recursive-errors=no'\n"), (0, "")], False, None),
        ([(1, "unrecognized option '--recursive-errors=no'\n"), (1, "other.service: noise\n")], False, None),
        ([(1, "unrecognized option '--recursive-errors=no'\n"), (1, "PATH:1: bad\n")], False, "etcd.service:1: bad"),
    ],
)
def test_verify(
    answers: list[tuple[int, str]], missing_is_fine: bool, problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = fake_run(monkeypatch, *answers)
    if problem is None:
        _systemd.verify_unit("[Service]\n", "etcd.service", missing_is_fine)
    else:
        with pytest.raises(ServiceError, match="systemd does not take the unit etcd") as caught:
            _systemd.verify_unit("[Service]\n", "etcd.service", missing_is_fine)
        assert problem in str(caught.value)
    assert len(commands) == len(answers)
    assert not os.path.exists(os.path.dirname(commands[0][-1]))


def test_no_systemd_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_systemd, "_BOOTED_MARK", "/nonexistent")
    assert _systemd.show("etcd.service") == {}
    with pytest.raises(ServiceError, match="systemd does not run this host"):
        _systemd.daemon_reload()


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(ServiceError, match="no-such-command is not on this host"):
        _systemd._run(["no-such-command"])


def test_a_command_that_does_not_end() -> None:
    with pytest.raises(ServiceError, match=r"did not end within 0\.1 seconds"):
        _systemd._run(["sleep", "5"], timeout_seconds=0.1)


@pytest.fixture
def sleeper() -> t.Iterator[subprocess.Popen[bytes]]:
    environment = {"RINGFENCE_SEAL": "abc", "ETCD_NAME": "x", "SECRET": "never"}
    with subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)", "a b"],
        env=environment,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_process_facts(sleeper: subprocess.Popen[bytes]) -> None:
    facts = _systemd.process_facts(sleeper.pid)
    assert facts is not None
    assert facts["argv"][0] == sys.executable and facts["argv"][-1] == "a b"
    assert (facts["environ_seal"], facts["environment"]) == ("abc", {"ETCD_NAME": "x"})
    assert "never" not in repr(facts)
    sleeper.kill()
    sleeper.wait()
    assert _systemd.process_facts(sleeper.pid) is None


def test_program_was_replaced(sleeper: subprocess.Popen[bytes], tmp_path: pathlib.Path) -> None:
    facts = _systemd.process_facts(sleeper.pid)
    assert facts is not None
    program = os.path.realpath(f"/proc/{sleeper.pid}/exe")
    same = t.cast(_systemd.ProcessFacts, {**facts, "argv": [program]})
    assert not _systemd.program_was_replaced(same, program)
    other = tmp_path / "program"
    other.write_bytes(b"\x7fELF and so on")
    assert not _systemd.program_was_replaced(facts, str(other))
    started_as_other = t.cast(_systemd.ProcessFacts, {**facts, "argv": [str(other)]})
    assert _systemd.program_was_replaced(started_as_other, str(other))
    other.write_bytes(b"#!/bin/sh\n")
    assert not _systemd.program_was_replaced(started_as_other, str(other))
    other.unlink()
    assert not _systemd.program_was_replaced(started_as_other, str(other))


def test_written_after_start(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_text("x")
    started = {"ExecMainStartTimestampMonotonic": str(int((time.monotonic() - 100) * 1_000_000))}
    assert _systemd.written_after_start(str(path), started)
    os.utime(path, (time.time(), time.time() - 200))
    assert not _systemd.written_after_start(str(path), started)
    # A clock that was set back must not make a restart due for ever.
    os.utime(path, (time.time(), time.time() + 3600))
    assert not _systemd.written_after_start(str(path), started)
    assert not _systemd.written_after_start(str(path), {"ExecMainStartTimestampMonotonic": "0"})
    assert not _systemd.written_after_start(str(path), {})
    assert not _systemd.written_after_start(str(tmp_path / "absent"), started)


def test_journal_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    logs = {"_SYSTEMD_UNIT=etcd.service": "one\n\n  two  words\n", "--unit=etcd.service": "systemd's line\n"}

    def run(command: t.Sequence[str], timeout_seconds: float = 1.0) -> Done:
        return Done(0, logs[command[-1]], "")

    monkeypatch.setattr(_systemd, "_run", run)
    assert _systemd.journal_tail("etcd.service") == "one | two words"
    assert _systemd.journal_tail("etcd.service", limit_characters=5) == "...words"
    logs["_SYSTEMD_UNIT=etcd.service"] = ""
    assert _systemd.journal_tail("etcd.service") == "systemd's line"
    logs["_SYSTEMD_UNIT=etcd.service"] = 'usage\n{"level":"fatal","msg":"why"}\n{"level":"warn","msg":"after"}\nlast\n'
    assert _systemd.journal_tail("etcd.service") == '{"level":"fatal","msg":"why"}'
    logs["_SYSTEMD_UNIT=etcd.service"] = "flag provided but not defined: -x\nUsage:\n\n  etcd [flags]\n    Start\n"
    assert _systemd.journal_tail("etcd.service") == "flag provided but not defined: -x"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 0", None),
        ("echo 'flag provided but not defined: -x' >&2; echo Usage: >&2; exit 2", "not defined: -x"),
        ("exit 1", "no reason given"),
    ],
)
def test_check_arguments(tmp_path: pathlib.Path, script: str, words: str | None) -> None:
    program = tmp_path / "etcd"
    program.write_text(f'#!/bin/sh\n[ "$3" = --version ] || exit 9\n{script}\n')
    program.chmod(0o755)
    if words is None:
        _systemd.check_arguments(str(program), ["--a=1", "--x=2"])
        _systemd.check_arguments(str(tmp_path / "missing"), ["--x"])
        return
    with pytest.raises(ServiceError) as caught:
        _systemd.check_arguments(str(program), ["--a=1", "--x=2"])
    assert words in str(caught.value) and "\n" not in str(caught.value)
