# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of real etcd processes, which were given their settings in each way there is."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t
import urllib.parse

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign import running_members as module
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.running_members import running_members
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.namespaces import OWN_MOUNTS

BINARIES = [path for path in os.environ.get("RINGFENCE_ETCD", "").split(":") if path]
pytestmark = pytest.mark.skipif(not BINARIES, reason="RINGFENCE_ETCD names no etcd binary")

if BINARIES or t.TYPE_CHECKING:
    from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployed_etcd import (
        CONFIG,
        ENVIRONMENT,
        FLAGS,
        OVERRULED,
        Deployment,
    )

BOTH = ["m1.example.com", "m2.example.com"]


@pytest.fixture(params=BINARIES, ids=[os.path.basename(path) for path in BINARIES])
def deployed(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> t.Iterator[Deployment]:
    made = Deployment(request.param, tmp_path)
    try:
        yield made
    finally:
        made.stop()


def facts(deployed: Deployment, name: str = "m1", all_flags: bool = False) -> dict[str, t.Any]:
    found, problems = running_members([deployed.pid(name)], all_flags)
    assert problems == [] and len(found) == 1
    return found[0]


def test_a_process_with_flags(deployed: Deployment) -> None:
    deployed.start(extra={"peer-cert-allowed-cn": ",".join(BOTH), "auth-token": "simple"})
    found = facts(deployed)
    assert (found["settings_source"], found["list_source"]) == ("flag", "flag")
    assert found["settings"]["allowed_common_names"] == BOTH and found["settings_problem"] is None
    assert found["settings"]["flags"]["peer-client-cert-auth"] == "true"
    # No setting that the audit has no question about: some are secret.
    assert "auth-token" not in found["settings"]["flags"]
    assert facts(deployed, all_flags=True)["settings"]["flags"]["auth-token"] == "simple"
    assert found["unknown_settings"] == [] and found["managed"] is False
    owner = pathlib.Path(f"/proc/{deployed.pid('m1')}")
    assert (found["owner"], found["owner_group"]) == (owner.owner(), owner.group())
    assert found["kind"] in ("process", "service") and found["program"] == deployed.binary
    assert found["data_dir"] == str(deployed.folder / "m1") and found["newer_files"] == []
    port = urllib.parse.urlsplit(deployed.peer_urls["m1"]).port
    assert found["listens"] == [{"address": "127.0.0.1", "port": port}]
    assert found["peer_certificate"]["pem"] == (deployed.pki("m1") / "m1.crt").read_text()
    assert found["peer_authority"]["pem"] == deployed.ca.pem
    assert found["client_authority"] == {"path": None, "pem": None, "problem": None}
    assert found["live_members_problem"] is None and found["version"].startswith("3.")
    (member,) = found["live_members"]
    assert member["member_id"] == found["live_member_id"] and member["peer_urls"] == [deployed.peer_urls["m1"]]
    assert "PRIVATE KEY" not in json.dumps(found)


def test_a_process_with_variables(deployed: Deployment) -> None:
    deployed.start(
        way=ENVIRONMENT,
        extra={"ETCD_PEER_CERT_ALLOWED_CN": "m1.example.com", "ETCD_ROOT_PASSWORD": "correct horse"},
    )
    found = facts(deployed)
    assert (found["settings_source"], found["list_source"]) == ("environment", "environment")
    assert found["settings"]["allowed_common_names"] == ["m1.example.com"]
    assert found["settings"]["files"]["peer_cert_file"] == str(deployed.pki("m1") / "m1.crt")
    assert "correct horse" not in json.dumps(found)
    # What etcd does not read is told by its name alone, with all flags too.
    found = facts(deployed, all_flags=True)
    assert found["unknown_settings"] == ["root-password"] and "correct horse" not in json.dumps(found)


def test_a_process_with_a_configuration_file(deployed: Deployment) -> None:
    deployed.start(way=CONFIG, more="  allowed-cn:\n  - m1.example.com\n  - 'm2.example.com'\n")
    found = facts(deployed)
    assert (found["settings_source"], found["list_source"]) == ("config_file", "config_file")
    assert found["settings"]["allowed_common_names"] == BOTH
    assert found["config_file"] == str(deployed.folder / "m1.yml") and found["ignored_keys"] == []
    assert found["ignored_settings"] == [] and found["peer_authority"]["pem"] == deployed.ca.pem


def test_what_nobody_reads_is_no_setting(deployed: Deployment) -> None:
    deployed.start(way=OVERRULED, more="  allowed-cns: [m1.example.com]\npeer-cert-allowed-cn: m1.example.com\n")
    found = facts(deployed)
    assert found["settings"]["allowed_common_names"] == [] and found["list_source"] is None
    assert found["settings"]["member_name"] == "m1"
    assert found["ignored_keys"] == ["peer-cert-allowed-cn", "peer-transport-security.allowed-cns"]
    assert found["ignored_settings"] == ["--peer-cert-allowed-cn", "ETCD_NAME"]


def test_a_file_that_was_written_since(deployed: Deployment) -> None:
    deployed.start(way=CONFIG)
    later = time.time() + 100
    for path in (deployed.folder / "m1.yml", deployed.pki("m1") / "ca.crt"):
        os.utime(path, (later, later))
    assert facts(deployed)["newer_files"] == [str(deployed.folder / "m1.yml"), str(deployed.pki("m1") / "ca.crt")]
    (deployed.folder / "m1.yml").write_text("name: {a: b}\n")
    assert "can't be read for certain" in str(facts(deployed)["settings_problem"])
    (deployed.folder / "m1.yml").unlink()
    gone = facts(deployed)
    assert "does not exist" in gone["settings_problem"] and gone["settings"] is None
    # What it answers does not hang on what it was told.
    assert gone["live_members"] is not None


def test_its_files_may_be_anything(deployed: Deployment) -> None:
    deployed.start()
    (deployed.pki("m1") / "m1.crt").write_text((deployed.pki("m1") / "m1.key").read_text())
    assert facts(deployed)["peer_certificate"]["problem"].endswith("m1.crt holds no certificate")
    (deployed.pki("m1") / "m1.crt").unlink()
    assert facts(deployed)["peer_certificate"]["problem"].startswith("there is no ")
    os.mkfifo(deployed.pki("m1") / "m1.crt")
    assert "not a regular file" in facts(deployed)["peer_certificate"]["problem"]


def test_a_process_without_tls(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> None:
    plain = Deployment(deployed.binary, tmp_path_factory.mktemp("plain"), tls=False)
    try:
        plain.start(way=ENVIRONMENT)
        found = facts(plain)
        assert found["settings"]["listen_peer_urls"] == [plain.peer_urls["m1"]] and len(found["listens"]) == 1
        assert found["peer_certificate"] == {"path": None, "pem": None, "problem": None}
    finally:
        plain.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="it needs a root of its own")
def test_a_container_is_read_below_its_own_root(deployed: Deployment) -> None:
    """etcd is one static program: a folder with it is all that a container's image is."""
    root = deployed.folder / "root"
    (root / "data").mkdir(parents=True)
    (root / "pki").mkdir()
    for name in ("ca.crt", "m1.crt", "m1.key"):
        (root / "pki" / name).write_text((deployed.pki("m1") / name).read_text())
    program = root / "etcd"
    program.write_bytes(pathlib.Path(deployed.binary).read_bytes())
    program.chmod(0o755)
    settings = {**deployed.settings("m1"), "data-dir": "/data"}
    settings |= {flag: f"/pki/{os.path.basename(path)}" for flag, path in settings.items() if flag.endswith("-file")}
    code = "import os, sys; os.chroot(sys.argv[1]); os.chdir('/'); os.execv('/etcd', sys.argv[2:])"
    words = ["etcd", *(f"--{flag}={value}" for flag, value in settings.items())]
    with (deployed.folder / "m1.log").open("wb") as log:
        deployed.processes["m1"] = subprocess.Popen(
            [*OWN_MOUNTS, sys.executable, "-c", code, str(root), *words], stdout=log, stderr=log, env={}
        )
    deployed._wait("m1")
    found = facts(deployed)
    assert found["kind"] == "container" and found["program"] == "etcd"
    assert found["peer_certificate"]["pem"] == (deployed.pki("m1") / "m1.crt").read_text()
    assert found["peer_certificate"]["path"] == "/pki/m1.crt"
    assert found["files"]["peer_key_file"] == f"/proc/{deployed.pid('m1')}/root/pki/m1.key"
    assert len(found["live_members"]) == 1


def test_all_processes_of_a_host_are_looked_through(deployed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.start()
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(subprocess.Popen(["sleep", "60"]))
        stack.callback(other.kill)
        monkeypatch.setattr(module.processes, "all_pids", lambda: [other.pid, deployed.pid("m1"), 2**22 - 1])
        found, problems = running_members()
    assert [one["pid"] for one in found] == [deployed.pid("m1")] and problems == []


def test_what_is_called_etcd_and_holds_no_data(deployed: Deployment, tmp_path: pathlib.Path) -> None:
    (tmp_path / "etcd").symlink_to("/bin/sleep")
    for words, is_told in ((["60"], False), (["--", "60"], True)):
        with subprocess.Popen([str(tmp_path / "etcd"), *words]) as child:
            time.sleep(0)
            while module.processes.program_of(child.pid) != "etcd":
                pass
            found, problems = running_members([child.pid])
            child.kill()
        assert found == [] and bool(problems) is is_told
        assert not is_told or "has no data of etcd open" in problems[0]


def test_what_may_not_be_seen_is_told(deployed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed.start(way=FLAGS)
    monkeypatch.setattr(module.processes, "open_files", lambda pid: None)
    found, problems = running_members([deployed.pid("m1")])
    assert found == [] and "this user may not see" in problems[0]
