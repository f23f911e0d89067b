# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.left_behind import (
    left_behind,
    log_outside,
    may_pass_all_folders,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.deployer_texts import DEBIAN

# As Debian's package has it, but for what others have, too.
THEIRS = f"{DEBIAN.unit}[Service]\nRestart=always\nRestartSec=10s\nProtectHome=yes\n"
OURS = """[Unit]
Description=ours
[Service]
Type=notify
Environment=GOGC=50
ExecStart=/usr/bin/etcd
ReadWritePaths=/var/lib/etcd/x
ReadWritePaths=-/var/log/etcd/ /srv/log
Nice=-5
[Install]
WantedBy=multi-user.target
"""


def test_a_unit_with_nothing_of_its_own() -> None:
    assert left_behind(THEIRS, OURS, {"ETCD_METRICS": "basic", "DAEMON_ARGS": "--pre-vote"}) == []


@pytest.mark.parametrize(
    ("section", "line", "told"),
    [
        ("Service", "MemoryMax=2G", "MemoryMax=2G"),
        ("Service", "LimitNOFILE=1048576", "LimitNOFILE=1048576"),
        ("Service", "LimitNOFILE=infinity", "LimitNOFILE=infinity"),
        ("Service", "Nice=-10", "Nice=-10"),
        ("Service", "ExecStartPre=/usr/bin/mount /data", "ExecStartPre=/usr/bin/mount /data"),
        ("Service", "SupplementaryGroups=ssl-cert", "SupplementaryGroups=ssl-cert"),
        ("Service", "AmbientCapabilities=CAP_IPC_LOCK", "AmbientCapabilities=CAP_IPC_LOCK"),
        ("Unit", "RequiresMountsFor=/data", "RequiresMountsFor=/data"),
        ("Unit", "After=network.target data.mount", "After=network.target data.mount"),
        ("Install", "WantedBy=kubernetes.target", "WantedBy=kubernetes.target"),
        ("X-Else", "Any=thing", "Any=thing"),
        # The name is told, and never what it says.
        ("Service", "Environment=HTTP_PROXY=http://me:secret@proxy", "the variable HTTP_PROXY"),
        ("Service", "Environment=GOGC=80", "the variable GOGC"),
    ],
)
def test_what_would_be_gone(section: str, line: str, told: str) -> None:
    theirs = f"{THEIRS}[{section}]\n{line}\n"
    assert left_behind(theirs, OURS, {}) == [told]


@pytest.mark.parametrize("line", ["Nice=-5", "Environment=GOGC=50", "Nice=", "PrivateTmp=yes", "LimitNOFILE=40000"])
def test_what_ours_has_too(line: str) -> None:
    assert left_behind(f"{THEIRS}[Service]\n{line}\n", OURS, {}) == []


@pytest.mark.parametrize(
    ("theirs", "ours", "gone"),
    [
        ("Conflicts=a.service\nConflicts=b.service", "Conflicts=b.service a.service", []),
        ("Conflicts=a.service b.service", "Conflicts=a.service\nConflicts=b.service", []),
        ("Conflicts=a.service b.service", "Conflicts=a.service", ["Conflicts=a.service b.service"]),
        ("Requires=a.service", "Wants=a.service", ["Requires=a.service"]),
    ],
)
def test_a_list_may_stand_in_one_line_or_in_several(theirs: str, ours: str, gone: list[str]) -> None:
    assert left_behind(f"[Unit]\n{theirs}\n{THEIRS}", f"[Unit]\n{ours}\n{OURS}", {}) == gone


def test_a_variable_of_a_file_is_one_too() -> None:
    assert left_behind(THEIRS, OURS, {"GODEBUG": "x", "GOGC": "50"}) == ["the variable GODEBUG"]
    # kubespray's file has those of etcdctl, too, which etcd does not read.
    assert left_behind(THEIRS, OURS, {"ETCDCTL_CERT": "/x.pem"}) == []


@pytest.mark.parametrize(
    ("outputs", "outside"),
    [
        ("stderr", None),
        ("default,/var/log/etcd/etcd.log", None),
        ("/srv/log/a", None),
        ("/var/log/etcd.log", "/var/log/etcd.log"),
        ("stderr,/srv/logs/a", "/srv/logs/a"),
    ],
)
def test_a_log_that_could_not_be_written(outputs: str, outside: str | None) -> None:
    assert log_outside({"log-outputs": outputs}, OURS) == outside == log_outside({"log-output": outputs}, OURS)


def test_what_root_may() -> None:
    assert not may_pass_all_folders(OURS + "[Service]\nCapabilityBoundingSet=\n")
    assert may_pass_all_folders(
        OURS + "[Service]\nCapabilityBoundingSet=\nCapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE\n"
    )
