# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd_process_probe as Ansible runs it: wrong options are one line. Real calls: test_real_audit."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"peer_ports": [{"name": "etcd-1"}]}, "peer_ports: an entry lacks name or url: each needs both"),
        ({"peer_ports": [{"name": "etcd-1", "url": "ftp://10.0.0.1:2380"}]}, "ftp://10.0.0.1:2380"),
        ({"own": [{"peer_cert_file": "/x"}]}, "own: an entry lacks its name"),
        ({"ca_certificates": ["no PEM"]}, "ca_certificates"),
    ],
)
def test_wrong_options_are_one_line(options: dict[str, t.Any], words: str) -> None:
    answer = run_module("etcd_process_probe", options)
    assert answer["failed"] is True and words in answer["msg"] and "\n" not in answer["msg"]
    assert "calls" not in answer


def test_without_a_peer_port_nobody_is_called() -> None:
    answer = run_module("etcd_process_probe", {})
    assert (answer["changed"], answer["calls"], answer["served"], answer["pairs"]) == (False, [], [], [])
