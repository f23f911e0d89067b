# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import time

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign import folder_users
from ansible_collections.ringfence.etcd.plugins.module_utils._node import processes

START = "ExecStart=/usr/bin/etcd --name=b --data-dir=/srv/b --peer-cert-file=@pki@/b.crt --initial-cluster-token=blue"


@pytest.fixture
def pki(tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("pki", "etc", "lib"):
        (tmp_path / name).mkdir()
    return tmp_path / "pki"


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "all_pids", list)


def put_unit(pki: pathlib.Path, name: str, start: str = START, folder: str = "etc") -> None:
    (pki.parent / folder / name).write_text(f"[Service]\n{start.replace('@pki@', str(pki))}\n")


def found(pki: pathlib.Path, folder: pathlib.Path | None = None) -> list[tuple[str | None, str | None]]:
    folders = [str(pki.parent / name) for name in ("etc", "lib", "none")]
    users = folder_users.folder_users(str(folder or pki), "etcd.service", folders)
    return [(one["unit"], one["cluster"]) for one in users]


@pytest.mark.usefixtures("no_processes")
def test_another_units_certificates_in_the_folder(pki: pathlib.Path) -> None:
    put_unit(pki, "etcd.service")
    put_unit(pki, "db.service")
    put_unit(pki, "shop.service", START.replace(" --initial-cluster-token=blue", "").replace("peer-cert", "cert"))
    put_unit(pki, "elsewhere.service", START.replace("@pki@", "/srv/pki"))
    put_unit(pki, "backup.service", "ExecStart=/usr/bin/etcdctl --cacert @pki@/ca.crt snapshot save x")
    (pki.parent / "etc" / "masked.service").symlink_to("/dev/null")
    assert found(pki) == [("db.service", "blue"), ("shop.service", None)]
    # Under another name of the folder, and behind the first folder's unit of the name.
    (pki.parent / "link").symlink_to("pki")
    put_unit(pki, "elsewhere.service", folder="lib")
    assert found(pki, pki.parent / "link") == [("db.service", "blue"), ("shop.service", None)]


@pytest.mark.usefixtures("no_processes")
def test_settings_in_an_environment_file(pki: pathlib.Path) -> None:
    (pki / "etcd.env").write_text(f"ETCD_PEER_CERT_FILE={pki}/peer.crt\nETCD_DATA_DIR=/srv/b\n")
    put_unit(pki, "db.service", "EnvironmentFile=@pki@/etcd.env\nExecStart=/usr/bin/etcd")
    assert found(pki) == [("db.service", None)]


def test_a_process_whose_unit_is_nowhere(pki: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = pki.parent / "etcd"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    child = subprocess.Popen([str(program), "60"], env={"ETCD_CERT_FILE": f"{pki}/b.crt"})
    monkeypatch.setattr(processes, "all_pids", lambda: [child.pid])
    argv = [str(program), "--peer-cert-file", f"{pki}/b.crt", "--initial-cluster-token", "blue"]
    facts = {"pid": child.pid, "argv": argv, "environ_hash": None, "environment": {}}
    monkeypatch.setattr(folder_users.manager, "process_facts", lambda pid: facts)
    try:
        deadline = time.monotonic() + 10
        while processes.program_of(child.pid) != "etcd":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert [one[1] for one in found(pki)] == ["blue"]
        assert found(pki, pki.parent / "etc") == []
        monkeypatch.setattr(processes, "unit_of", lambda pid: "etcd.service")
        assert found(pki) == []
    finally:
        child.kill()
        child.wait()


def test_a_folder_has_one_number(pki: pathlib.Path) -> None:
    number = folder_users.folder_identity(str(pki / "not" / "there"))
    assert number is not None
    (pki.parent / "link").symlink_to("pki")
    assert folder_users.folder_identity(str(pki.parent / "link" / "not" / "there")) == number
    assert folder_users.folder_identity(str(pki / "not")) != number
    (pki / "not").mkdir()
    os.makedirs(pki.parent / "etc" / "not" / "there")
    assert folder_users.folder_identity(str(pki.parent / "etc" / "not" / "there")) != number
