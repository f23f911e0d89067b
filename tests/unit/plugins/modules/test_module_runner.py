# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module


@pytest.mark.parametrize(
    "name", ["etcd_ca", "etcd_peer_certificates", "etcd_peer_credentials", "etcd_peer_info", "etcd_peer_service"]
)
def test_a_fork_answers_as_a_new_interpreter_does(name: str) -> None:
    answer = run_module(name, {}, fresh=True)
    assert answer["failed"] and "missing" in answer["msg"] and answer["_stderr"] == ""
    assert run_module(name, {}) == answer
