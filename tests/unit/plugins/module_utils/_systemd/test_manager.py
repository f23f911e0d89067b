# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError, ServiceError
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd.last_words import cause_of
from ansible_collections.ringfence.etcd.plugins.module_utils._node.commands import Done
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.ordinary_user import ordinary_user

OUTPUT = """/tmp/x/etcd.service:3: Unknown key 'Aftre' in section [Unit], ignoring.
/lib/systemd/system/other.service:9: PIDFile= references a path below legacy directory
etcd.service: Command /usr/bin/etcd is not executable: No such file or directory
Unit etcd.service has a bad unit file setting.
other.service: something else
"""


def test_only_lines_about_the_unit_are_complaints() -> None:
    assert manager.complaints_about(OUTPUT, "/tmp/x/etcd.service", "etcd.service") == [
        "etcd.service:3: Unknown key 'Aftre' in section [Unit], ignoring.",
        "etcd.service: Command /usr/bin/etcd is not executable: No such file or directory",
        "Unit etcd.service has a bad unit file setting.",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/tmp/etcd.service:30: Unknown key 'PrivateIPC' in section [Service], ignoring.", True),
        ("/tmp/etcd.service:30: Unknown key name 'ProtectProc' in section 'Service', ignoring.", True),
        ("[/tmp/etcd.service:30] Unknown lvalue 'ProtectClock' in section 'Service'", True),
        ("[/tmp/etcd.service:30] Unknown lvalue 'ExecCondition' in section 'Service'", True),
        ("[/tmp/etcd.service:30] Unknown lvalue 'AssertPathExistsGlob' in section 'Unit'", False),
        ("/tmp/etcd.service:30: Unknown key 'MemoryMxa' in section [Service], ignoring.", False),
        ("/tmp/etcd.service:30: Failed to parse PrivateIPC=, ignoring: PrivateIPC", False),
    ],
)
def test_a_systemd_may_be_too_old_for_hardening(line: str, expected: bool) -> None:
    assert manager.is_about_hardening(line) is expected


def fake_run(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str]) -> list[list[str]]:
    """Answers of systemd-analyze in turn; gives the commands that were run. PATH stands for the temporary file."""
    commands: list[list[str]] = []
    left = list(answers)

    def run(command: t.Sequence[str], timeout_seconds: float = 1.0) -> Done:
        commands.append(list(command))
        code, stderr = left.pop(0)
        return Done(code, "", stderr.replace("PATH", command[-1]))

    monkeypatch.setattr(manager, "_run", run)
    return commands


@pytest.mark.parametrize(
    ("answers", "missing_is_fine", "problem"),
    [
        ([(0, "")], False, None),
        ([(0, "other.service: noise\n")], False, None),
        ([(0, "PATH:3: Unknown key 'X', ignoring.\n")], False, "etcd.service:3: Unknown key 'X', ignoring."),
        ([(0, "PATH:3: Unknown key 'PrivateIPC' in section [Service], ignoring.\n")], False, None),
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
        manager.verify_unit("[Service]\n", "etcd.service", missing_is_fine)
    else:
        with pytest.raises(ServiceError, match="systemd does not take the unit etcd") as caught:
            manager.verify_unit("[Service]\n", "etcd.service", missing_is_fine)
        assert problem in str(caught.value)
    assert len(commands) == len(answers)
    assert not os.path.exists(os.path.dirname(commands[0][-1]))


def test_no_systemd_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "_BOOTED_MARK", "/nonexistent")
    assert manager.show("etcd.service") == {}
    with pytest.raises(ServiceError, match="systemd does not run this host"):
        manager.daemon_reload()


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(ServiceError, match="no-such-command is not on this host"):
        manager._run(["no-such-command"])


def test_a_command_that_does_not_end() -> None:
    with pytest.raises(ServiceError, match=r"did not end within 0\.1 seconds"):
        manager._run(["sleep", "5"], timeout_seconds=0.1)


def test_a_command_that_can_not_be_run(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileError, match=f"can't run {tmp_path}: permission denied"):
        manager._run([str(tmp_path)])


def test_a_unit_that_can_not_be_written_for_systemd_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with pytest.raises(FileError, match=r"can't write /nonexistent/ringfence-.*: no such file or directory"):
        manager.verify_unit("[Service]\n", "etcd.service")


Programs = t.Callable[[str, str], None]


@pytest.fixture
def programs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Puts scripts in systemd's programs' places, on a host that looks as if systemd ran it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(manager, "_BOOTED_MARK", str(folder))

    def put(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return put


def test_what_systemctl_is_told(programs: Programs, tmp_path: pathlib.Path) -> None:
    # A unit that has not failed can't be reset: that is no fault.
    programs("systemctl", f'echo "$*" >> {tmp_path}/told; case "$*" in *reset-failed*) exit 1;; esac')
    manager.daemon_reload()
    manager.enable("etcd.service")
    manager.restart_no_block("etcd.service")
    manager.stop("etcd.service")
    manager.disable("etcd.service")
    assert (tmp_path / "told").read_text().splitlines() == [
        "--no-pager daemon-reload",
        "--no-pager enable --quiet -- etcd.service",
        "reset-failed -- etcd.service",
        "--no-pager restart --no-block -- etcd.service",
        "--no-pager stop -- etcd.service",
        # One that was in the middle of a start when it was stopped.
        "reset-failed -- etcd.service",
        "--no-pager disable --quiet -- etcd.service",
    ]


def test_what_systemctl_shows(programs: Programs) -> None:
    programs(
        "systemctl",
        "printf 'Id=etcd.service\\nMainPID=4711\\nExecStart={ a=b }\\nExecStart=2\\n\\nx\\nEnvironment=S=x\\n'",
    )
    properties = manager.show("etcd.service")
    assert properties == {"Id": "etcd.service", "MainPID": "4711", "ExecStart": "{ a=b }"}
    assert manager.main_pid(properties) == 4711


def test_the_files_of_a_unit_s_variables(programs: Programs, tmp_path: pathlib.Path) -> None:
    lines = r"EnvironmentFiles=/etc/my etcd (ignore_errors=yes)\nEnvironmentFiles=/etc/etcd.env\nEnvironmentFiles=\nx\n"
    programs("systemctl", f"echo \"$*\" > {tmp_path}/told; printf '{lines}'")
    assert manager.environment_files("etcd.service") == ["/etc/my etcd", "/etc/etcd.env"]
    assert (tmp_path / "told").read_text() == "--no-pager show --property=EnvironmentFiles -- etcd.service\n"


def test_in_one_look_systemd_is_asked_each_question_once(programs: Programs, tmp_path: pathlib.Path) -> None:
    """What it says next is of another moment, as is what it says once the look is over."""
    told = tmp_path / "told"
    programs("systemctl", f'echo "$*" >> {told}; echo "MainPID=$(wc -l < {told})"; echo ETCD_NAME=x')
    with manager.one_look():
        assert [manager.show("etcd.service"), manager.show("etcd.service")] == [{"MainPID": "1"}] * 2
        assert manager.show("other.service") == {"MainPID": "2"}
        assert manager.inherited_environment() == manager.inherited_environment() == {"ETCD_NAME": "x"}
        assert len(told.read_text().splitlines()) == 3
        manager.daemon_reload()
        manager.daemon_reload()
    assert manager.show("etcd.service") == {"MainPID": "6"}
    with pytest.raises(ServiceError), manager.one_look():
        programs("systemctl", "exit 1")
        manager.show("etcd.service")
    programs("systemctl", "echo MainPID=7")
    assert manager.show("etcd.service") == {"MainPID": "7"}


def test_what_systemd_does_not_say_is_nothing(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs("systemctl", "echo EnvironmentFiles=/etc/etcd.env; echo ETCD_NAME=x")
    assert manager.environment_files("etcd.service") == ["/etc/etcd.env"]
    assert manager.inherited_environment() == {"ETCD_NAME": "x"}
    programs("systemctl", "echo EnvironmentFiles=/etc/etcd.env; echo ETCD_NAME=x; exit 1")
    for _why in ("systemctl fails", "no systemd"):
        assert manager.environment_files("etcd.service") == [] and manager.inherited_environment() == {}
        assert manager.last_words("etcd.service", cause_of) is None
        programs("systemctl", "echo EnvironmentFiles=/etc/etcd.env; echo ETCD_NAME=x")
        monkeypatch.setattr(manager, "_BOOTED_MARK", "/nonexistent")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("printf 'Failed to enable:\\n no unit\\n' >&2; exit 1", "Failed to enable: no unit"),
        ("echo said on stdout; exit 1", "said on stdout"),
        ("exit 3", "exit status 3"),
    ],
)
def test_what_systemctl_refuses_is_one_line(script: str, problem: str, programs: Programs) -> None:
    programs("systemctl", script)
    with pytest.raises(ServiceError) as caught:
        manager.enable("etcd.service")
    assert str(caught.value) == f"systemctl enable --quiet -- etcd.service failed: {problem}"


def test_no_log_is_no_problem(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    programs("journalctl", "exit 0")
    assert manager.journal_tail("etcd.service") == ""
    monkeypatch.setenv("PATH", "/nonexistent")
    assert manager.journal_tail("etcd.service") == ""


@pytest.fixture
def sleeper() -> t.Iterator[subprocess.Popen[bytes]]:
    environment = {"RINGFENCE_CONFIGURATION_HASH": "abc", "ETCD_NAME": "x", "SECRET": "never"}
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
    facts = manager.process_facts(sleeper.pid)
    assert facts is not None
    assert facts["argv"][0] == sys.executable and facts["argv"][-1] == "a b"
    assert (facts["environ_hash"], facts["environment"]) == ("abc", {"ETCD_NAME": "x"})
    assert "never" not in repr(facts)
    sleeper.kill()
    sleeper.wait()
    assert manager.process_facts(sleeper.pid) is None


@pytest.fixture(params=["systemd", "systemd-executor"])
def set_up(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> t.Iterator[subprocess.Popen[bytes]]:
    """As systemd starts a service: its own program, with its own environment, becomes the service's at a line."""
    executor = tmp_path / request.param
    shutil.copy("/bin/sh", executor)
    script = "echo; read line; RINGFENCE_CONFIGURATION_HASH=abc exec sleep 60"
    with subprocess.Popen([executor, "-c", script], env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def test_a_process_that_is_not_yet_the_service_is_waited_for(
    set_up: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be an etcd without a configuration hash: somebody else's, for which a run is refused."""

    def go_on(_seconds: float) -> None:
        assert set_up.stdin is not None
        set_up.stdin.write(b"\n")
        set_up.stdin.flush()

    monkeypatch.setattr(manager.time, "sleep", go_on)
    monkeypatch.setattr(manager, "_SETUP_SECONDS", 60.0)
    facts = manager.process_facts(set_up.pid)
    assert facts is not None and (facts["argv"], facts["environ_hash"]) == (["sleep", "60"], "abc")


def test_a_process_that_does_not_become_the_service_is_none(
    set_up: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager, "_SETUP_SECONDS", 0.0)
    assert manager.process_facts(set_up.pid) is None


def test_a_process_that_has_ended_and_was_not_waited_for(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it to become a program: it never will."""
    monkeypatch.setattr(manager.time, "sleep", lambda _seconds: pytest.fail("waits for a zombie"))
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert os.path.exists(f"/proc/{sleeper.pid}/cmdline")
    assert manager.process_facts(sleeper.pid) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="all processes here are of one user")
def test_a_process_of_somebody_else(sleeper: subprocess.Popen[bytes]) -> None:
    with ordinary_user(), pytest.raises(FileError, match=f"can't read /proc/{sleeper.pid}: permission denied"):
        manager.process_facts(sleeper.pid)


def test_program_was_replaced(sleeper: subprocess.Popen[bytes], tmp_path: pathlib.Path) -> None:
    facts = manager.process_facts(sleeper.pid)
    assert facts is not None
    program = os.path.realpath(f"/proc/{sleeper.pid}/exe")
    same = t.cast(manager.ProcessFacts, {**facts, "argv": [program]})
    assert not manager.program_was_replaced(same, program)
    other = tmp_path / "program"
    other.write_bytes(b"\x7fELF and so on")
    assert not manager.program_was_replaced(facts, str(other))
    started_as_other = t.cast(manager.ProcessFacts, {**facts, "argv": [str(other)]})
    assert manager.program_was_replaced(started_as_other, str(other))
    other.write_bytes(b"#!/bin/sh\n")
    assert not manager.program_was_replaced(started_as_other, str(other))
    other.unlink()
    assert not manager.program_was_replaced(started_as_other, str(other))


def test_which_file_a_process_was_started_from(sleeper: subprocess.Popen[bytes], tmp_path: pathlib.Path) -> None:
    program = os.path.realpath(f"/proc/{sleeper.pid}/exe")
    assert manager.runs_from(sleeper.pid, program)
    assert not manager.runs_from(sleeper.pid, "/bin/sh") and not manager.runs_from(sleeper.pid, "/none")
    sleeper.kill()
    sleeper.wait()
    assert not manager.runs_from(sleeper.pid, program)


def test_written_after_start(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ca.crt"
    path.write_text("x")
    started = {"ExecMainStartTimestampMonotonic": str(int((time.monotonic() - 100) * 1_000_000))}
    assert manager.written_after_start(str(path), started)
    os.utime(path, (time.time(), time.time() - 200))
    assert not manager.written_after_start(str(path), started)
    # A clock that was set back must not make a restart due for ever.
    os.utime(path, (time.time(), time.time() + 3600))
    assert not manager.written_after_start(str(path), started)
    assert not manager.written_after_start(str(path), {"ExecMainStartTimestampMonotonic": "0"})
    assert not manager.written_after_start(str(path), {})
    assert not manager.written_after_start(str(tmp_path / "absent"), started)


def journal(monkeypatch: pytest.MonkeyPatch, *lines: tuple[str | None, t.Any], **properties: str) -> None:
    """A log of (invocation, message), the way journalctl prints it; systemd's own lines have another field for it."""
    entries = []
    for invocation, message in lines:
        entry = {"MESSAGE": message}
        if str(message).startswith("etcd.service: "):
            entry.update(UNIT="etcd.service", INVOCATION_ID=invocation, _SYSTEMD_INVOCATION_ID="of systemd itself")
        elif invocation is not None:
            entry["_SYSTEMD_INVOCATION_ID"] = invocation
        entries.append(json.dumps(entry))

    def run(command: t.Sequence[str], timeout_seconds: float = 1.0) -> Done:
        if command[0] == "systemctl":
            return Done(0, "".join(f"{key}={value}\n" for key, value in properties.items()), "")
        return Done(0, "\n".join([*entries, "no JSON"]), "")

    monkeypatch.setattr(manager, "_run", run)
    monkeypatch.setattr(manager, "is_available", lambda: True)


def test_journal_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    journal(monkeypatch, ("1", "old"), ("2", "one"), ("2", ""), ("2", "  two\twords"), (None, "three"))
    assert manager.journal_tail("etcd.service") == "one | two words | three"
    assert manager.journal_tail("etcd.service", limit_characters=5) == "...three"
    assert manager.journal_tail("etcd.service", lines=1) == "three"
    journal(monkeypatch)
    assert manager.journal_tail("etcd.service") == ""


UNKNOWN = "flag provided but not defined: -x"


@pytest.mark.parametrize(
    ("lines", "current", "restarts", "cause"),
    [
        ([("1", UNKNOWN)], "1", "0", UNKNOWN),
        # Not of this start.
        ([("1", UNKNOWN), ("2", "well")], "2", "0", None),
        ([("1", UNKNOWN)], "2", "0", None),
        # systemd started it again by itself: the attempt that goes on has said nothing yet.
        ([("1", UNKNOWN)], "2", "1", UNKNOWN),
        ([("0", UNKNOWN), ("1", "well")], "2", "1", None),
        ([("1", UNKNOWN), ("2", "well")], "2", "1", UNKNOWN),
        ([("1", "listen tcp 10.0.0.1:2380: bind: x"), ("2", UNKNOWN)], "2", "1", UNKNOWN),
        # Bytes that are no text, and the last line of a process that was gone before its line was read.
        ([("1", list(UNKNOWN.encode()))], "1", "0", UNKNOWN),
        ([("1", "well"), (None, UNKNOWN)], "1", "0", UNKNOWN),
        ([], "1", "0", None),
    ],
)
def test_last_words(
    lines: list[tuple[str | None, t.Any]],
    current: str,
    restarts: str,
    cause: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal(monkeypatch, *lines, InvocationID=current, NRestarts=restarts)
    assert manager.last_words("etcd.service", cause_of) == cause


def test_the_files_that_a_unit_reads_variables_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd 247 to 257 print them."""
    printed = "EnvironmentFiles=/etc/default/etcd (ignore_errors=yes)\nEnvironmentFiles=/etc/a b (ignore_errors=no)\n"
    left = [Done(0, f"{printed}Id=x\n", ""), Done(0, "EnvironmentFiles=\n", ""), Done(1, "", "no such bus")]
    commands: list[t.Sequence[str]] = []

    def run(command: t.Sequence[str], timeout_seconds: float = 1.0) -> Done:
        commands.append(command)
        return left.pop(0)

    monkeypatch.setattr(manager, "_run", run)
    monkeypatch.setattr(manager, "is_available", lambda: True)
    assert manager.environment_files("etcd.service") == ["/etc/default/etcd", "/etc/a b"]
    assert list(commands[0])[-3:] == ["--property=EnvironmentFiles", "--", "etcd.service"]
    assert manager.environment_files("etcd.service") == []
    assert manager.environment_files("etcd.service") == []
    monkeypatch.setattr(manager, "is_available", lambda: False)
    assert manager.environment_files("etcd.service") == []
