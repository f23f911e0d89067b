# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign import settings_in_effect as _settings_in_effect
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.settings_in_effect import (
    SettingsInEffect,
    UnknownSettings,
    settings_of_process,
    start_of_unit,
    starts_etcd,
)

YAML = "name: n\ndata-dir: /from/yaml\nlisten-client-urls: http://10.0.0.1:2379\nlog-outputs: [stderr]\n"
FILES = {
    "/etc/default/etcd": b"ETCD_DATA_DIR='/from/file'\nDAEMON_ARGS=--name=n\n",
    "/etc/etcd.yml": YAML.encode(),
    "/etc/relative.yml": YAML.replace("/from/yaml", "from/yaml").encode(),
    "/etc/log.yml": (YAML + "wal-dir: /log\npeer-transport-security:\n  cert-file: p.crt\n").encode(),
    "/etc/flow.yml": b"{data-dir: /d}",
    "/etc/list.yml": b"data-dir: [a, b]\n",
    "/etc/latin.yml": b"data-dir: /\xff\n",
    "/etc/latin.env": b"A=\xff\n",
    "/etc/odd.env": b'A="\n',
    "/etc/quoted.env": b"ARGS='--name \"a b\"'\n",
    "/etc/args.env": b"ARGS=--data-dir /from/args --name=n\n",
}


def read(path: str) -> bytes | None:
    if path == "/etc/pipe":
        raise FileError("/etc/pipe is not a regular file: move it away")
    return FILES.get(path)


def settings(lines: str, unit: str = "etcd.service") -> SettingsInEffect:
    return _settings_in_effect.settings_of_unit(f"[Service]\n{lines}\n", unit, "host-1", read)


@pytest.mark.parametrize(
    ("lines", "data_dir"),
    [
        ("ExecStart=/usr/bin/etcd --data-dir=/d", "/d"),
        ("ExecStart=/usr/bin/etcd -data-dir /d --name n", "/d"),
        ("ExecStart=-@/usr/bin/etcd called --data-dir=/d", "/d"),
        ("ExecStart=/opt/etcd-v3.5.16/etcd --name=n", "/n.etcd"),
        ("ExecStart=/usr/bin/etcd-3.5 --data-dir=/d", "/d"),
        ("ExecStart=/bin/false\nExecStart=\nExecStart=/usr/bin/etcd --data-dir=/d", "/d"),
        ("WorkingDirectory=/var/lib/etcd\nExecStart=/usr/bin/etcd", "/var/lib/etcd/default.etcd"),
        ("WorkingDirectory=/var/lib/etcd\nExecStart=/usr/bin/etcd --data-dir=../pg", "/var/lib/pg"),
        ("Environment=ETCD_DATA_DIR=/from/unit\nExecStart=/usr/bin/etcd $DAEMON_ARGS", "/from/unit"),
        ("EnvironmentFile=-/etc/default/%p\nEnvironment=ETCD_DATA_DIR=/u\nExecStart=/usr/bin/etcd", "/from/file"),
        ("EnvironmentFile=-/none\nEnvironment=ETCD_DATA_DIR=/u\nExecStart=/usr/bin/etcd", "/u"),
        ("EnvironmentFile=/pattern*\nEnvironmentFile=\nExecStart=/usr/bin/etcd --data-dir=/d", "/d"),
        ("Environment=ETCD_DATA_DIR=/u\nUnsetEnvironment=ETCD_DATA_DIR\nExecStart=/usr/bin/etcd", "/default.etcd"),
        ("Environment=ETCD_DATA_DIR=/u\nUnsetEnvironment=ETCD_DATA_DIR=/v\nExecStart=/usr/bin/etcd", "/u"),
        ("Environment=ETCD_DATA_DIR=/u\nEnvironment=\nExecStart=/usr/bin/etcd", "/default.etcd"),
        ("EnvironmentFile=/etc/args.env\nExecStart=/usr/bin/etcd $ARGS", "/from/args"),
        ("Environment=D=/d N=n\nExecStart=/usr/bin/etcd --data-dir=${D}/${N}${NONE}", "/d/n"),
        ("ExecStart=:/usr/bin/etcd --data-dir=/${D}", "/${D}"),
        ("ExecStart=/usr/bin/etcd --data-dir=/$${D}%%H", "/${D}%H"),
        ("ExecStart=/usr/bin/etcd --data-dir=%S/%H/%N", "/var/lib/host-1/etcd"),
        ("ExecStart=/usr/bin/etcd --config-file=/etc/etcd.yml --data-dir=/ignored", "/from/yaml"),
        ("Environment=ETCD_CONFIG_FILE=/etc/etcd.yml ETCD_DATA_DIR=/no\nExecStart=/usr/bin/etcd", "/from/yaml"),
        ("WorkingDirectory=/etc\nExecStart=/usr/bin/etcd --config-file etcd.yml", "/from/yaml"),
        ("WorkingDirectory=/srv\nExecStart=/usr/bin/etcd --config-file /etc/relative.yml", "/srv/from/yaml"),
        ("ExecStart=/usr/bin/env A=b ETCD_DATA_DIR=/d /usr/bin/etcd", "/d"),
        ('ExecStart=/bin/bash -c "GOMAXPROCS=$(nproc) /usr/bin/etcd --data-dir=/d"', "/d"),
        ("ExecStart=/bin/sh -c 'exec etcd --data-dir /d'", "/d"),
        ('Environment=ETCD_DATA_DIR=/u\nExecStart=/bin/bash -c "A=b exec etcd"', None),
        ('Environment=ETCD_DATA_DIR=/u\nExecStart=/bin/bash -c "exec etcd"', "/u"),
        ('Environment=D=/d\nExecStart=/bin/sh -c "etcd --data-dir=$${D}/x"', "/d/x"),
        ('Environment=D=/d\nExecStart=/bin/sh -c "ETCD_DATA_DIR=$D etcd"', "/d"),
    ],
)
def test_the_folder_that_a_unit_names(lines: str, data_dir: str | None) -> None:
    found = settings(lines)
    assert found.data_dir == data_dir and (found.problem is None) == (data_dir is not None), found


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("User=etcd", "0 lines ExecStart="),
        ("ExecStart=/bin/a\nExecStart=/usr/bin/etcd", "2 lines ExecStart="),
        ("ExecStart=/usr/bin/etcd ; /bin/b", "two commands"),
        ("ExecStart=/usr/local/bin/start-etcd", "/usr/local/bin/start-etcd, which is no etcd"),
        ("ExecStart=/usr/bin/docker run etcd:3 etcd --data-dir=/d", "/usr/bin/docker, which is no etcd"),
        ("ExecStart=/usr/bin/etcd grpc-proxy start", "grpc-proxy"),
        ("WorkingDirectory=~\nExecStart=/usr/bin/etcd --data-dir=d", "relative path"),
        ("WorkingDirectory=-/srv\nExecStart=/usr/bin/etcd --data-dir=d", "relative path"),
        ("RootDirectory=/srv\nExecStart=/usr/bin/etcd --data-dir=/d", "RootDirectory="),
        ("BindPaths=/a:/b\nExecStart=/usr/bin/etcd --data-dir=/d", "BindPaths="),
        ("PassEnvironment=ETCD_DATA_DIR\nExecStart=/usr/bin/etcd", "PassEnvironment="),
        ("EnvironmentFile=/none\nExecStart=/usr/bin/etcd", "/none does not exist"),
        ("EnvironmentFile=-/etc/pipe\nExecStart=/usr/bin/etcd", "/etc/pipe is not a regular file"),
        ("EnvironmentFile=/etc/*.env\nExecStart=/usr/bin/etcd", "is a pattern"),
        ("EnvironmentFile=/etc/odd.env\nExecStart=/usr/bin/etcd", "can't be read for certain"),
        ("EnvironmentFile=/etc/latin.env\nExecStart=/usr/bin/etcd", "can't be read for certain"),
        ("EnvironmentFile=/etc/quoted.env\nExecStart=/usr/bin/etcd $ARGS", "$ARGS has quotes"),
        ("ExecStart=/usr/bin/etcd --data-dir=%h", "specifier %h"),
        ("ExecStart=/usr/bin/etcd --config-file=/none.yml", "/none.yml does not exist"),
        ("ExecStart=/usr/bin/etcd --config-file=/etc/pipe", "not a regular file"),
        ("ExecStart=/usr/bin/etcd --config-file=/etc/flow.yml", "can't be read for certain"),
        ("ExecStart=/usr/bin/etcd --config-file=/etc/latin.yml", "can't be read for certain"),
        ("ExecStart=/usr/bin/etcd --config-file=/etc/list.yml", "data-dir is something else"),
        ('ExecStart=/bin/bash -c "source /etc/x; exec etcd"', "more than one plain command"),
        ('Environment=BASH_ENV=/x\nExecStart=/bin/bash -c "exec etcd --data-dir=/d"', "a shell, for which BASH_ENV"),
        ('ExecStart=/bin/bash -c "etcd --data-dir=$$(cat /d)"', "more than one plain command"),
        ('ExecStart=/bin/bash -c "etcd --data-dir=$$HOME"', "$HOME"),
        ("ExecStart=/bin/bash -c \"etcd --data-dir='$$A'\"", "quotes and variables"),
        ('ExecStart=/bin/bash -c "ETCD_DATA_DIR=$(cat /d) etcd"', "more than one plain command"),
        ('ExecStart=/bin/bash -c "etcd \'"', "open quote"),
        ("ExecStart=/bin/bash -lc etcd", "/bin/bash, which is no etcd"),
        ("ExecStart=/usr/bin/env -i /usr/bin/etcd", "which is no etcd"),
        ("ExecStart=/usr/bin/env", "starts no program"),
    ],
)
def test_what_is_not_known_is_no_folder(lines: str, problem: str) -> None:
    found = settings(lines)
    assert found.data_dir is None and problem in str(found.problem), found
    assert "\n" not in str(found.problem)


def test_the_start_itself() -> None:
    lines = """[Service]
Environment=ETCD_NAME=%H GOGC=50 LANG=C
EnvironmentFile=-/etc/default/%p
UnsetEnvironment=LANG
UnsetEnvironment=
UnsetEnvironment=ETCD_DEBUG
ExecStart=/bin/bash -c "GOMAXPROCS=$(nproc) A=1 /usr/bin/etcd $$DAEMON_ARGS"
"""
    inherited = {"ETCD_DEBUG": "1", "ETCD_MAX_WALS": "7", "ETCD_NAME": "none"}
    start = start_of_unit(lines.replace("$$DAEMON_ARGS", "--name=n"), "etcd.service", "host-1", read, inherited)
    assert start.argv == ["/usr/bin/etcd", "--name=n"]
    assert start.variables == {
        "A": "1",
        "DAEMON_ARGS": "--name=n",
        "ETCD_DATA_DIR": "/from/file",
        "ETCD_MAX_WALS": "7",
        "ETCD_NAME": "host-1",
        "GOGC": "50",
        "GOMAXPROCS": "$(nproc)",
        "LANG": "C",
    }
    with pytest.raises(UnknownSettings, match="specifier %h"):
        start_of_unit(lines.replace("%H", "%h"), "etcd.service", "host-1", read)


def test_an_instance_of_a_template() -> None:
    line = "ExecStart=/usr/bin/etcd --data-dir=/srv/%p/%i/%I"
    assert settings(line, "etcd@blue.service").data_dir == "/srv/etcd/blue/blue"
    assert "%I" in str(settings(line, "etcd@a-b.service").problem)


def test_folders_urls_and_files() -> None:
    found = settings("WorkingDirectory=/srv\nExecStart=/usr/bin/etcd --config-file=/etc/log.yml")
    assert found.folders == ("/from/yaml", "/log") and found.program == "/usr/bin/etcd"
    assert found.files["peer_cert_file"] == "/srv/p.crt" and found.files["cert_file"] is None
    assert found.listen_client_urls == ("http://10.0.0.1:2379",)
    assert found.listen_peer_urls == ("http://localhost:2380",)
    flags = settings("ExecStart=/usr/bin/etcd --data-dir=/d --wal-dir=/w --cert-file=/c.crt")
    assert flags.folders == ("/d", "/w") and flags.files["cert_file"] == "/c.crt"


def test_a_process_counts_from_its_own_folder() -> None:
    argv, environment = ["etcd"], {"ETCD_DATA_DIR": "data"}
    assert settings_of_process(argv, environment, "/srv", read).data_dir == "/srv/data"
    assert "relative" in str(settings_of_process(argv, environment, None, read).problem)


@pytest.mark.parametrize(
    ("command", "starts"),
    [
        ("/usr/bin/etcd --name=a", True),
        ("-/opt/etcd-3.6.1/etcd-3.6.1", True),
        ('/bin/bash -c "A=1 exec /usr/bin/etcd"', True),
        ("/usr/bin/docker run --name etcd quay.io/coreos/etcd:v3", True),
        ("/usr/bin/podman run registry.example.com/etcd:v3", True),
        ("/usr/bin/etcdctl snapshot save", False),
        ("/usr/bin/etcd-exporter", False),
        ("/usr/bin/prometheus --config=/etc/etcd/p.yml", False),
    ],
)
def test_a_unit_that_starts_etcd(command: str, starts: bool) -> None:
    assert starts_etcd(f"[Service]\nExecStart={command}\n") is starts


_PIECES = (
    *("ExecStart=", "/usr/bin/etcd", " --data-dir=/d", "/bin/sh -c ", "'", '"', "$A", "${A}", "$$", "%", "%i", "\\"),
    *(
        "\n",
        "\nEnvironment=",
        "\nEnvironmentFile=",
        "/etc/args.env",
        "A=b",
        " ",
        ";",
        "\n[Service]\n",
        "\nWorkingDirectory=",
    ),
)


def test_a_unit_of_anything_ends_in_a_folder_or_a_reason() -> None:
    random.seed(13)
    for _round in range(2000):
        text = "".join(random.choices(_PIECES, k=random.randint(1, 12)))
        found: t.Any = settings(text)
        assert (found.data_dir is None) == (found.problem is not None)
        assert found.data_dir is None or found.data_dir.startswith("/")
