# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clean machine, its pure parts: they need neither root nor namespaces."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ringfence_lab import clean_machine, image, machine_settings, plan
from ringfence_lab.clean_machine import CleanMachine
from ringfence_lab.errors import LabError


# --------------------------------------------------------------------------- settings of this machine
def test_a_machine_without_settings_gives_none() -> None:
    found = machine_settings.collect(
        {"PATH": "/bin", "HOME": "/root", "PIP_FIND_LINKS": "/wheels"}, "GOFLAGS=-x\n", [""], ""
    )
    assert (dict(found.files), found.copies, found.names) == ({}, (), ())


def test_each_setting_goes_where_the_clean_machines_programs_look_for_it() -> None:
    found = machine_settings.collect(
        {
            "https_proxy": "http://me:secret@proxy.example:3128",
            "NO_PROXY": "localhost",
            "SSL_CERT_FILE": "/etc/ca.pem",
            "PIP_INDEX_URL": "https://me:secret@index.example/simple",
            "UNRELATED": "x",
        },
        go_env="GOPROXY=https://go.example\nGOFLAGS=-mod=mod\n",
        pip_files=["[global]\ncert = /etc/pip-ca.pem\n"],
        apt_dump='Acquire::https::CaInfo "/etc/apt-ca.pem";\nAPT::Architecture "amd64";\n',
    )
    assert found.files == {
        machine_settings.PROFILE: (
            "export GOPROXY='https://go.example'\n"
            "export NO_PROXY='localhost'\n"
            "export SSL_CERT_FILE='/etc/ca.pem'\n"
            "export https_proxy='http://me:secret@proxy.example:3128'\n"
        ),
        machine_settings.PIP_CONF: "[global]\ncert = /etc/pip-ca.pem\nindex-url = https://me:secret@index.example/simple\n",
        machine_settings.APT_CONF: 'Acquire::https::CaInfo "/etc/apt-ca.pem";\n',
    }
    assert found.copies == ("/etc/apt-ca.pem", "/etc/ca.pem", "/etc/pip-ca.pem")
    assert "secret" not in " ".join(found.names)
    assert {"https_proxy", "GOPROXY", "pip's index-url", "apt's Acquire::https::CaInfo"} <= set(found.names)


def test_gos_environment_wins_over_its_file() -> None:
    found = machine_settings.collect({"GOPROXY": "https://near.example"}, go_env="GOPROXY=https://far.example\n")
    assert found.files[machine_settings.PROFILE] == "export GOPROXY='https://near.example'\n"


def test_pip_settings_in_pips_own_order() -> None:
    files = [
        "[global]\nindex-url = https://far.example\ntimeout = 5\nretries = 1\n[install]\nretries = 2\n",
        "[global]\nindex-url = https://near.example\nretries = 3\nextra-index-url =\n  https://a.example\n  https://b.example\n",
    ]
    assert machine_settings.pip_settings(files, {"PIP_TIMEOUT": "60"}) == {
        "extra-index-url": "https://a.example https://b.example",
        "index-url": "https://near.example",
        "retries": "2",
        "timeout": "60",
    }


def test_a_broken_pip_file_is_one_line() -> None:
    with pytest.raises(LabError, match="configuration file of pip"):
        machine_settings.pip_settings(["no section\n"], {})


def test_a_value_with_quotes_reaches_the_shell_as_it_is() -> None:
    value = 'it\'s $HOME `x` "y"'
    profile = machine_settings.collect({"http_proxy": value}).files[machine_settings.PROFILE]
    shown = subprocess.run(
        ["sh", "-c", f'{profile}printf %s "$http_proxy"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == value


def test_local_certificates(tmp_path: Path) -> None:
    folder = str(tmp_path)
    os.mkdir(os.path.join(folder, "company"))
    for name in ("b.crt", "company/a.crt", "README"):
        open(os.path.join(folder, name), "w", encoding="ascii").close()
    assert machine_settings.local_certificates(folder) == [os.path.join(folder, n) for n in ("b.crt", "company/a.crt")]
    assert machine_settings.local_certificates(os.path.join(folder, "none")) == []


# --------------------------------------------------------------------------- the machine
def test_it_has_what_the_readme_asks_for_and_nothing_that_the_demo_installs() -> None:
    assert {"git", "make", "python3"} <= set(clean_machine.PACKAGES)
    assert not any(
        name in package for package in clean_machine.PACKAGES for name in ("etcd", "venv", "golang", "container")
    )
    assert clean_machine.recipe("trixie").name != image.Recipe().name


@pytest.mark.parametrize("name", ["", "a.b", "A", "1a", "a" * 21, "../x"])
def test_name_refused(name: str) -> None:
    with pytest.raises(LabError, match="name "):
        CleanMachine(name)


def test_no_lab_can_have_its_control_groups() -> None:
    with pytest.raises(LabError, match="lab name"):
        plan.check_lab_name(CleanMachine("a").lab)


def test_the_machine_has_the_outer_network() -> None:
    assert CleanMachine("a").network_arguments() == []


def test_the_command_runs_in_a_login_shell_with_nothing_of_this_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEAK", "x")
    monkeypatch.setattr(clean_machine, "CHECKOUT", str(tmp_path))
    monkeypatch.setattr(clean_machine, "HOME", str(tmp_path))
    words = clean_machine.login_command(["sh", "-c", 'echo "$PWD" "${LEAK-none}" "$1" "$HOME"', "sh", "a  b"])
    shown = subprocess.run(words, capture_output=True, text=True, check=True)
    assert shown.stdout == f"{tmp_path} none a  b {tmp_path}\n"
