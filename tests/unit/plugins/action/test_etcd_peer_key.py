# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host answers that was asked for a request."""

from __future__ import annotations

import json
import pathlib
import typing as t
from unittest import mock

from ansible_collections.ringfence.etcd.plugins.action import etcd_peer_key as action
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.action_runner import run_action
from ansible_collections.ringfence.etcd.tests.unit.plugins.modules.module_runner import run_module

KEY_PEM = keys.private_key_pem(keys.make_key("ecdsa-p256")).decode()


def test_what_a_host_puts_beside_its_request_goes_no_further(open_folder: pathlib.Path) -> None:
    """The action writes a request anew, and takes nothing else for one."""
    good = {"changed": True, "reasons": [], "private_key_path": "/a", "made_by": "openssl"}
    made = run_module("etcd_peer_key", {"directory": str(open_folder / "pki"), "name": "etcd-1"})
    pem = made["request_pem"]

    def answered(text: str | None) -> dict[str, t.Any]:
        with mock.patch.object(
            action.ActionModule, "_execute_module", lambda self, **more: {**good, "request_pem": text}
        ):
            return run_action(action.ActionModule, {"name": "etcd-1"}, {"inventory_hostname": "etcd-1"})

    assert answered(f"words\n{pem}more words")["request_pem"] == pem
    assert answered(None)["request_pem"] is None
    for text in ("", "rubbish", pem + pem, "x" * 10000, KEY_PEM):
        result = answered(text)
        assert result["failed"] and result["msg"].startswith("etcd-1: its request ") and "request_pem" not in result
        assert KEY_PEM.splitlines()[1] not in json.dumps(result)
