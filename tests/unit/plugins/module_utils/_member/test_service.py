# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    FileError,
    InputError,
    RefusedError,
    ServiceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._etcd import trial
from ansible_collections.ringfence.etcd.plugins.module_utils._member import service
from ansible_collections.ringfence.etcd.plugins.module_utils._node.commands import run_command
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd import manager
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    configuration_hash_of,
    deployed_from_arguments,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.systemd_host import (
    Host,
    need_root,
    process,
    text_of,
    wanted_unit,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.tiny_program import tiny_etcd, tiny_program


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_from_nothing(host: Host, tmp_path: pathlib.Path) -> None:
    need_root()
    wanted = wanted_unit(tmp_path)
    checked = service.plan_present(wanted, False, True)
    assert not (tmp_path / "etcd.service").exists()
    plan = service.plan_present(wanted, False, False)
    assert plan.actions == checked.actions
    assert plan.actions == ("make_data_directory", "write_unit", "daemon_reload", "enable", "start")
    assert plan.changed and plan.starts and plan.running and not plan.restart_pending
    assert plan.diff[-1]["before"] == "" and plan.diff[-1]["after"].endswith(wanted.text)
    host.calls.clear()
    service.apply_plan(plan)
    assert host.calls == ["daemon_reload", "enable etcd.service", "restart_no_block etcd.service"]
    assert (tmp_path / "etcd.service").read_text() == wanted.text
    assert oct((tmp_path / "data").stat().st_mode)[-4:] == "0700"
    host.runs(configuration_hash_of(wanted.text), wanted.data_dir)
    again = service.plan_present(wanted, False, False)
    assert (again.actions, again.changed, again.diff) == ((), False, ())


@pytest.fixture
def deployed(host: Host, tmp_path: pathlib.Path) -> service.WantedUnit:
    need_root()
    wanted = wanted_unit(tmp_path)
    service.apply_plan(service.plan_present(wanted, False, False))
    host.runs(configuration_hash_of(wanted.text), wanted.data_dir)
    host.calls.clear()
    return wanted


def test_a_running_member_is_never_restarted(host: Host, deployed: service.WantedUnit, tmp_path: pathlib.Path) -> None:
    changed = wanted_unit(tmp_path, text=text_of(deployed.data_dir, " --snapshot-count=5000"))
    plan = service.plan_present(changed, False, False)
    assert plan.actions == ("write_unit", "daemon_reload")
    assert [reason["code"] for reason in plan.restart_pending] == ["unit_changed"]
    service.apply_plan(plan)
    # From the process, not from what this run did: a run that ends here is finished by the next.
    again = service.plan_present(changed, False, False)
    assert not again.changed and again.restart_pending == plan.restart_pending
    assert service.restart_pending_now("etcd.service", str(tmp_path), False) == list(plan.restart_pending)


def test_a_process_with_other_arguments_than_the_unit(host: Host, deployed: service.WantedUnit) -> None:
    """A drop-in that was taken away again: the configuration hash is the unit's, and what runs is not."""
    assert host.process is not None
    argv = [*host.process["argv"], "--peer-cert-allowed-cn=anybody"]
    host.process = t.cast(manager.ProcessFacts, {**host.process, "argv": argv})
    plan = service.plan_present(deployed, False, False)
    assert [reason["code"] for reason in plan.restart_pending] == ["flags_differ"] and not plan.changed
    pending = service.restart_pending_now(deployed.name, deployed.unit_directory, False)
    assert [reason["code"] for reason in pending] == ["flags_differ"]
    # As long as it is there, the next start would take it too.
    drop_in = pathlib.Path(deployed.unit_directory) / "open.conf"
    drop_in.write_text("[Service]\nExecStart=\nExecStart=" + " ".join(argv))
    host.properties["DropInPaths"] = str(drop_in)
    assert service.plan_present(deployed, False, False).restart_pending == ()
    # Gone, and systemd has not been told.
    drop_in.unlink()
    assert [reason["code"] for reason in service.plan_present(deployed, False, False).restart_pending] == [
        "flags_differ"
    ]
    # What a script starts may have more.
    host.process["argv"][0] = "/opt/etcd/etcd"
    assert service.plan_present(deployed, False, False).restart_pending == ()


def test_a_process_with_other_variables_than_the_unit(host: Host, deployed: service.WantedUnit) -> None:
    """Of a drop-in, an environment file or systemd's own: etcd takes them for flags."""
    assert host.process is not None
    host.process["environment"] = {"ETCD_PEER_CERT_ALLOWED_HOSTNAME": "anybody"}
    pending = service.restart_pending_now(deployed.name, deployed.unit_directory, False)
    assert [reason["code"] for reason in pending] == ["flags_differ"]
    host.inherited = {"ETCD_PEER_CERT_ALLOWED_HOSTNAME": "anybody"}
    assert service.restart_pending_now(deployed.name, deployed.unit_directory, False) == []


def test_whether_a_restart_brings_a_larger_quota(host: Host, deployed: service.WantedUnit) -> None:
    unit, folder = deployed.name, deployed.unit_directory
    assert host.process is not None and not service.brings_more_space(unit, folder)
    host.process["argv"].append("--quota-backend-bytes=16777216")
    assert service.brings_more_space(unit, folder)
    host.process["argv"][-1] = "--quota-backend-bytes=4294967296"
    assert not service.brings_more_space(unit, folder)
    host.process = None
    assert not service.brings_more_space(unit, folder)


def program_that_refuses(folder: pathlib.Path, flag: str) -> pathlib.Path:
    """An etcd that does not know one flag."""
    path = folder / "refusing-etcd"
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *{flag}*) echo "flag provided but not defined: -{flag}" >&2; exit 2;; esac\n'
    )
    path.chmod(0o755)
    return path


def test_a_new_text_is_tried_before_any_host_gets_it(host: Host, tmp_path: pathlib.Path) -> None:
    need_root()
    program = program_that_refuses(tmp_path, "enable-v2")
    text = with_configuration_hash(
        text_of(str(tmp_path / "data"), " --enable-v2").replace("/usr/bin/etcd", str(program))
    )
    wanted = wanted_unit(tmp_path, text=text)
    for managed in (True, False):
        with pytest.raises(ServiceError, match="flag provided but not defined: -enable-v2"):
            service.check_new_program(wanted, managed)
    # There already, and no process of another program: nobody is asked.
    (tmp_path / "etcd.service").write_text(text)
    host.calls.clear()
    service.check_new_program(wanted, True)
    service.check_new_program(wanted, False)
    assert host.calls == []
    host.complaint = "systemd does not take the unit"
    service.check_new_program(wanted, True)
    (tmp_path / "etcd.service").write_text("")
    with pytest.raises(ServiceError, match="systemd does not take the unit"):
        service.check_new_program(wanted, True)


def test_a_program_that_was_exchanged_is_tried_with_the_unit_that_is_there(
    host: Host, deployed: service.WantedUnit, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(trial, "check_arguments", lambda program, arguments: asked.append(program))
    service.check_new_program(deployed, True, 1)
    assert asked == []
    monkeypatch.setattr(manager, "program_was_replaced", lambda facts, program: True)
    service.check_new_program(deployed, True)
    assert asked == []
    service.check_new_program(deployed, True, 1)
    assert asked == ["/usr/bin/etcd"]


def test_a_changed_trust_bundle(host: Host, deployed: service.WantedUnit) -> None:
    plan = service.plan_present(deployed, True, False)
    assert [reason["code"] for reason in plan.restart_pending] == ["trust_bundle_changed"]
    assert not plan.changed


@pytest.mark.parametrize("state", ["inactive", "failed", "activating"])
def test_what_does_not_run_is_started(state: str, host: Host, deployed: service.WantedUnit) -> None:
    host.process = None
    host.properties = {**host.properties, "ActiveState": state, "MainPID": "0"}
    assert service.plan_present(deployed, False, False).actions == ("start",)
    stopped = service.plan_present(wanted_unit(pathlib.Path(deployed.unit_directory), start=False), False, False)
    assert (stopped.actions, stopped.running) == ((), False)


@pytest.mark.parametrize(("configuration_hash", "actions"), [("0" * 64, ("start",)), (None, ())])
def test_a_process_that_never_became_ready(
    configuration_hash: str | None, actions: tuple[str, ...], host: Host, deployed: service.WantedUnit
) -> None:
    host.runs(configuration_hash or configuration_hash_of(deployed.text), deployed.data_dir, "activating")
    assert service.plan_present(deployed, False, False).actions == actions


def test_another_etcd_of_that_name_is_stopped(host: Host, tmp_path: pathlib.Path) -> None:
    need_root()
    host.runs(None, "/var/lib/etcd/default")
    plan = service.plan_present(wanted_unit(tmp_path), True, False)
    assert plan.actions == (
        "make_data_directory",
        "write_unit",
        "daemon_reload",
        "stop_other_etcd",
        "start",
    )
    assert plan.running and not plan.restart_pending
    service.apply_plan(plan)
    assert host.calls[-2:] == ["stop etcd.service", "restart_no_block etcd.service"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"key_count": 296}, "holds 296 keys"),
        ({"members": ["a", "b"]}, "one of 2 members"),
        ({"key_count": None, "problem": "no answer"}, "no answer"),
    ],
)
def test_a_living_one_is_stopped_on_request_only(
    host: Host, tmp_path: pathlib.Path, other: dict[str, t.Any], why: str
) -> None:
    need_root()
    host.runs(None, "/var/lib/etcd/default")
    host.other.update({**other, "data_dir": "/var/lib/pg"})
    for check_mode in (True, False):
        with pytest.raises(RefusedError, match=why) as caught:
            service.plan_present(wanted_unit(tmp_path), False, check_mode)
    assert "data in /var/lib/pg" in str(caught.value) and "overrule_distribution_etcd" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    plan = service.plan_present(wanted_unit(tmp_path, overrule_distribution_etcd=True), False, False)
    assert "stop_other_etcd" in plan.actions


FOREIGN = "[Service]\nExecStart=/usr/bin/etcd --config-file=/etc/etcd.yml\n"


@pytest.mark.parametrize("written", [True, False])
def test_a_unit_that_is_not_ours_is_kept(host: Host, tmp_path: pathlib.Path, written: bool) -> None:
    need_root()
    wanted = wanted_unit(tmp_path)
    unit, backup = tmp_path / "etcd.service", tmp_path / "etcd.service.replaced"

    def plan() -> service.Plan:
        return service.plan_written(wanted, False) if written else service.plan_present(wanted, False, False)

    unit.write_bytes(FOREIGN.encode() + b"# \xff\n")
    unit.chmod(0o600)
    found = plan()
    assert found.unit_backup == str(backup) and found.actions[:3] == (
        "make_data_directory",
        "keep_other_unit",
        "write_unit",
    )
    assert (found.diff[-1]["after_header"], found.diff[-1]["after"]) == (str(backup), f"# kept from {unit}\n")
    assert not backup.exists()
    service.apply_plan(found)
    assert backup.read_bytes() == FOREIGN.encode() + b"# \xff\n" and backup.stat().st_mode & 0o777 == 0o600
    assert unit.read_text() == wanted.text
    # Our own text is in the next run's inventory: it is not kept.
    unit.write_text(wanted.text + "# mine\n")
    assert plan().unit_backup is None
    # The same one again is kept already, another one beside it.
    unit.write_bytes(backup.read_bytes())
    assert plan().unit_backup is None and "keep_other_unit" not in plan().actions
    unit.write_text(FOREIGN)
    found = plan()
    assert found.unit_backup == f"{backup}-2"
    service.apply_plan(found)
    assert (tmp_path / "etcd.service.replaced-2").read_text() == FOREIGN and b"\xff" in backup.read_bytes()


def test_the_folder_that_is_open_counts(tmp_path: pathlib.Path) -> None:
    """An etcd with a configuration file is told nothing else by its command line."""
    settings = deployed_from_arguments(["/usr/bin/etcd", "--config-file=/etc/etcd.yml"])
    found = service.Found({}, None, process(None, "/x"), settings, (str(tmp_path),))
    (tmp_path / "link").symlink_to(tmp_path)
    assert not service.is_other_etcd(found, str(tmp_path)) and not service.is_other_etcd(found, f"{tmp_path}/link")
    assert service.is_other_etcd(found, "/var/lib/etcd/default.etcd")


def test_an_etcd_without_seal_on_the_same_data_is_restarted_under_guard(host: Host, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path)
    host.runs(None, wanted.data_dir)
    plan = service.plan_present(wanted, False, False)
    assert "start" not in plan.actions and "stop_other_etcd" not in plan.actions
    assert [reason["code"] for reason in plan.restart_pending] == ["unit_changed"]


def test_a_running_member_keeps_its_data(host: Host, tmp_path: pathlib.Path) -> None:
    host.runs("0" * 64, "/elsewhere")
    with pytest.raises(RefusedError, match=r"on the data folder /elsewhere, the new unit names .*/data"):
        service.plan_present(wanted_unit(tmp_path), False, False)
    assert not (tmp_path / "etcd.service").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users")
def test_a_user_that_check_mode_can_not_know_yet(host: Host, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path, owner="ringfence-no-such-user")
    plan = service.plan_present(wanted, False, True)
    assert "does not exist on this host" in plan.warnings[0]
    assert "# owner: ringfence-no-such-user" in plan.diff[0]["after"]
    with pytest.raises(Exception, match="user ringfence-no-such-user does not exist"):
        service.plan_present(wanted, False, False)


def test_what_systemd_does_not_take_is_not_written(host: Host, tmp_path: pathlib.Path) -> None:
    host.complaint = "systemd does not take the unit"
    with pytest.raises(ServiceError, match="does not take"):
        service.plan_present(wanted_unit(tmp_path), False, False)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_reload_is_made_up_for(host: Host, deployed: service.WantedUnit) -> None:
    host.properties["NeedDaemonReload"] = "yes"
    assert service.plan_present(deployed, False, False).actions == ("daemon_reload",)


@pytest.fixture
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any call of systemd's programs ends the test; etcd's own is let through."""

    def run(command: t.Sequence[str], *_others: t.Any) -> t.Any:
        assert not os.path.basename(command[0]).startswith("systemctl"), command
        assert not os.path.basename(command[0]).startswith("systemd-"), command
        return run_command(command, *_others)

    monkeypatch.setattr(manager, "run_command", run)


def test_written_from_nothing(no_systemd: None, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path, unit_directory=str(tmp_path / "image" / "units"))
    checked = service.plan_written(wanted, True)
    assert list(tmp_path.iterdir()) == []
    plan = service.plan_written(wanted, False)
    assert plan.actions == checked.actions == ("make_unit_directory", "make_data_directory", "write_unit")
    assert plan.changed and not plan.starts and plan.diff == checked.diff
    assert plan.diff[-1]["before"] == "" and plan.diff[-1]["after"].endswith(wanted.text)
    service.apply_plan(plan)
    unit = tmp_path / "image" / "units" / "etcd.service"
    assert (unit.read_text(), oct(unit.stat().st_mode)[-4:], unit.stat().st_uid) == (wanted.text, "0644", os.geteuid())
    assert oct((tmp_path / "data").stat().st_mode)[-4:] == "0700"
    again = service.plan_written(wanted, False)
    assert (again.actions, again.changed, again.diff) == ((), False, ())


def test_written_puts_back_what_drifted(no_systemd: None, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path)
    service.apply_plan(service.plan_written(wanted, False))
    (tmp_path / "etcd.service").chmod(0o666)
    (tmp_path / "data").chmod(0o755)
    plan = service.plan_written(wanted, False)
    assert plan.actions == ("repair_data_directory", "repair_unit_attributes")
    service.apply_plan(plan)
    (tmp_path / "etcd.service").write_text(f"{wanted.text}# edited by hand")
    plan = service.plan_written(wanted, False)
    assert plan.actions == ("write_unit",) and plan.diff[0]["before"].endswith("# edited by hand")
    service.apply_plan(plan)
    assert not service.plan_written(wanted, False).changed


def test_written_asks_etcd_about_its_flags(no_systemd: None, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "etcd"
    program.write_text("#!/bin/sh\necho 'flag provided but not defined: -new' >&2\nexit 2\n")
    program.chmod(0o755)
    text = with_configuration_hash(text_of(str(tmp_path / "data")).replace("/usr/bin/etcd", str(program)))
    with pytest.raises(ServiceError, match="does not take its arguments: flag provided but not defined: -new"):
        service.plan_written(wanted_unit(tmp_path, text=text), False)
    assert not (tmp_path / "etcd.service").exists() and not (tmp_path / "data").exists()


def test_written_checks_the_text(no_systemd: None, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path)
    with pytest.raises(InputError, match="carries no configuration hash"):
        service.plan_written(wanted_unit(tmp_path, text=wanted.text.replace("etcd-1", "etcd-2")), False)


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_ordinary_user_writes_for_itself_only(
    check_mode: bool, no_systemd: None, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for owner in ("root", "ringfence-no-such-user"):
        with pytest.raises(FileError, match="does not exist" if not check_mode and owner != "root" else "only root"):
            service.plan_written(wanted_unit(tmp_path, owner=owner), check_mode)
    plan = service.plan_written(wanted_unit(tmp_path, owner="12345"), check_mode)
    # Nothing is to be given away: no owner is asked for but the one who writes.
    assert [change.wanted.uid for change in plan.files] == [12345, None]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda text: text.replace("RINGFENCE_CONFIGURATION_HASH=", "RINGFENCE_CONFIGURATION_HASH=0"),
            "carries no configuration hash",
        ),
        (lambda text: with_configuration_hash(text.replace("[Install]\n", "")), "no section .Install."),
        (lambda text: with_configuration_hash(text.replace("\n\n[Install]", "[Install]")), "no section .Install."),
        (lambda text: with_configuration_hash(text.replace("=notify", "=simple")), "has Type=simple"),
        (lambda text: with_configuration_hash(text.replace("Type=notify\n", "")), "has Type=simple"),
        (lambda text: with_configuration_hash(text.replace("ExecStart", "ExecStop")), "has 0 lines ExecStart="),
        (
            lambda text: with_configuration_hash(text.replace("[Install]", "ExecStart=/x\n[Install]")),
            "no section|has 2 lines",
        ),
        (lambda text: with_configuration_hash(text.replace("etcd-1", "etcd-2")), "has --name=etcd-2, needed is etcd-1"),
        (
            lambda text: with_configuration_hash(text.replace("/data", "/other")),
            "has --data-dir=.*/other, needed is .*/data",
        ),
        (lambda text: with_configuration_hash(text.replace("--name", "--config-file=/x --name")), "has --config-file"),
    ],
)
def test_a_text_that_is_no_members_unit(change: t.Callable[[str], str], problem: str, tmp_path: pathlib.Path) -> None:
    wanted = wanted_unit(tmp_path)
    service.check_unit_text(wanted)
    with pytest.raises(InputError, match=problem):
        service.check_unit_text(wanted_unit(tmp_path, text=change(wanted.text)))


def test_the_name_in_the_text_counts_where_none_is_given(tmp_path: pathlib.Path) -> None:
    service.check_unit_text(wanted_unit(tmp_path, member_name=None))


def test_restart_due_without_a_process_or_a_unit(host: Host, tmp_path: pathlib.Path) -> None:
    assert service.restart_pending_now("etcd.service", str(tmp_path), True) == []
    host.runs(None, "/var/lib/etcd/default")
    assert service.restart_pending_now("etcd.service", str(tmp_path), True) == []
    # A package's own etcd is not this member.
    assert service.restart_pending_now("etcd.service", str(tmp_path), True, text_of("/data")) == []


def test_the_settings_of_a_process_come_from_its_environment_too() -> None:
    facts = process(None, "/x")
    settings = deployed_from_arguments(["/usr/bin/etcd"], {"ETCD_DATA_DIR": "/var/lib/etcd/default"})
    found = service.Found({}, None, facts, settings)
    assert service.is_other_etcd(found, "/var/lib/etcd/ours")
    assert not service.is_other_etcd(found, "/var/lib/etcd/default/")


def test_a_program_that_was_replaced(tmp_path: pathlib.Path) -> None:
    program, fresh = tmp_path / "etcd", tmp_path / "etcd.new"
    shutil.copy("/bin/sleep", program)
    shutil.copy("/bin/sleep", fresh)
    with subprocess.Popen([str(program), "60"]) as started:
        try:
            facts = None
            while facts is None:
                # In the moment of its start a process has no arguments.
                facts = manager.process_facts(started.pid)
            found = service.Found({}, None, facts, None)
            assert service.restart_reasons(found, None, str(program), False) == ()
            fresh.rename(program)
            (reason,) = service.restart_reasons(found, None, str(program), False)
        finally:
            started.kill()
    assert reason["code"] == "binary_replaced" and str(program) in reason["text"]


def test_the_unit_as_a_guarded_restart_sees_it(host: Host, deployed: service.WantedUnit) -> None:
    unit = service.SystemdUnit(deployed.name, deployed.unit_directory)
    configuration_hash = configuration_hash_of(deployed.text)
    assert (unit.name, unit.pid(), unit.problem(), unit.has_failed()) == ("etcd.service", 1, None, False)
    unit.restart()
    assert host.calls == ["restart_no_block etcd.service"]
    assert unit.process_problem() == unit.problem() == "the old process of etcd.service has not ended yet"

    host.process = None
    host.properties.update(ActiveState="activating", SubState="auto-restart", MainPID="0")
    assert unit.problem() == "etcd.service is activating (auto-restart)"
    assert unit.process_problem() == "etcd.service is activating (auto-restart), no process runs"
    assert (unit.pid(), unit.has_failed(), unit.journal_tail()) == (None, False, "the end of etcd.service's log")

    host.runs("0" * 64, deployed.data_dir, pid=2)
    assert unit.problem() == "the process of etcd.service was not started with the unit that is deployed"
    host.runs(configuration_hash, deployed.data_dir, pid=2)
    assert unit.problem() is None and unit.process_problem() is None
    host.properties["ActiveState"] = "failed"
    assert unit.has_failed()


# Another program waits beside the unit's ---------------------------------------------------------------------------


@pytest.fixture
def staged(host: Host, tmp_path: pathlib.Path) -> service.WantedUnit:
    """A unit whose program has another one staged beside it."""
    need_root()
    binary = tmp_path / "bin" / "etcd"
    binary.parent.mkdir()
    for path, version in ((binary, "3.5.15"), (binary.with_name(".etcd.ringfence-new"), "3.5.35")):
        path.write_bytes(tiny_etcd(version))
        path.chmod(0o755)
    text = with_configuration_hash(text_of(str(tmp_path / "data")).replace("/usr/bin/etcd", str(binary)))
    return wanted_unit(tmp_path, text=text, program_staged=True)


def names(wanted: service.WantedUnit) -> list[str]:
    return sorted(path.name for path in (pathlib.Path(wanted.unit_directory) / "bin").iterdir())


def test_a_program_takes_its_place_just_before_the_start(host: Host, staged: service.WantedUnit) -> None:
    plan = service.plan_present(staged, False, False)
    assert plan.actions[-3:] == ("enable", "exchange_program", "start")
    assert "# version: 3.5.15\n" in plan.diff[-1]["before"] and "# version: 3.5.35\n" in plan.diff[-1]["after"]
    assert names(staged) == [".etcd.ringfence-new", "etcd"]
    host.calls.clear()
    service.apply_plan(plan)
    assert names(staged) == ["etcd", "etcd.replaced"]
    assert host.calls[-1] == "restart_no_block etcd.service"


def test_a_running_members_program_waits_for_its_turn(
    host: Host, staged: service.WantedUnit, tmp_path: pathlib.Path
) -> None:
    service.apply_plan(service.plan_written(dataclasses.replace(staged, program_staged=False), False))
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    for check_mode in (True, False):
        plan = service.plan_present(staged, False, check_mode)
        assert (plan.actions, [reason["code"] for reason in plan.restart_pending]) == ((), ["program_staged"])
    assert names(staged) == [".etcd.ringfence-new", "etcd"]

    def pending(**other: t.Any) -> list[str]:
        reasons = service.restart_pending_now(staged.name, staged.unit_directory, False, **other)
        return [reason["code"] for reason in reasons]

    assert pending(program_staged=True) == ["program_staged"] and pending() == []
    unit = service.SystemdUnit(staged.name, staged.unit_directory, program_staged=True)
    assert unit.way_back() is None
    unit.restart()
    assert names(staged) == ["etcd", "etcd.replaced"]
    assert host.calls[-1] == "restart_no_block etcd.service"
    assert "bin/etcd was put in place just before: what it ran with is /usr/bin/etcd, as it was" in str(unit.way_back())
    binary = f"{staged.unit_directory}/bin/etcd"
    (tmp_path / "bin" / ".etcd.ringfence-new").write_bytes(tiny_etcd("3.5.36"))
    (tmp_path / "bin" / ".etcd.ringfence-new").chmod(0o755)
    assert host.process is not None
    host.process["argv"][0] = binary
    unit.restart()
    assert f"'mv {binary}.replaced {binary} && systemctl restart etcd.service'" in str(unit.way_back())
    # Somebody else's run has done it meanwhile; in check mode nothing was staged, and the caller knows.
    assert pending(program_staged=True) == []
    assert pending(program_staged=True, check_mode=True) == ["program_staged"]


def test_without_being_told_nobody_takes_what_lies_there(host: Host, staged: service.WantedUnit) -> None:
    untold = dataclasses.replace(staged, program_staged=False)
    plan = service.plan_present(untold, False, False)
    assert "exchange_program" not in plan.actions
    service.apply_plan(plan)
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    assert service.plan_present(untold, False, False).restart_pending == ()
    service.SystemdUnit(staged.name, staged.unit_directory).restart()
    assert names(staged) == [".etcd.ringfence-new", "etcd"]


def test_what_does_not_take_the_flags_stops_nobody(host: Host, staged: service.WantedUnit) -> None:
    """It was tried before, and is tried again under the guard: the unit may have been written anew since."""
    service.apply_plan(service.plan_written(dataclasses.replace(staged, program_staged=False), False))
    host.runs(configuration_hash_of(staged.text), staged.data_dir)
    waiting = pathlib.Path(staged.unit_directory) / "bin" / ".etcd.ringfence-new"
    waiting.write_bytes(tiny_program("flag provided but not defined: -name\n", 2, descriptor=2))
    unit = service.SystemdUnit(staged.name, staged.unit_directory, program_staged=True)
    host.calls.clear()
    with pytest.raises(ServiceError, match="flag provided but not defined: -name"):
        unit.restart()
    assert host.calls == [] and names(staged) == [".etcd.ringfence-new", "etcd"]
    # A new text is held against what is going to be started, and not against what it takes the place of.
    changed = dataclasses.replace(
        staged, text=with_configuration_hash(staged.text.replace("--name", "--max-wals=3 --name"))
    )
    with pytest.raises(ServiceError, match="flag provided but not defined: -name"):
        service.plan_present(changed, False, False)


def test_a_unit_that_is_only_written_gets_its_program_too(no_systemd: None, staged: service.WantedUnit) -> None:
    checked = service.plan_written(staged, True)
    plan = service.plan_written(staged, False)
    assert plan.actions == checked.actions == ("make_data_directory", "write_unit", "exchange_program")
    service.apply_plan(plan)
    assert names(staged) == ["etcd", "etcd.replaced"]
    assert service.plan_written(staged, False).actions == ()


def test_a_program_that_check_mode_has_not_brought(host: Host, tmp_path: pathlib.Path) -> None:
    plan = service.plan_present(wanted_unit(tmp_path, program_staged=True), False, True)
    assert plan.actions[-2:] == ("exchange_program", "start")
    assert plan.diff[-1]["after"] == "# version: the archive's\n"
