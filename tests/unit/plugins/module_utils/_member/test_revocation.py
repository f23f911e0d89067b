# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._member import revocation
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_revoked
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue, revocation_list

CA = issue("etcd peer CA", is_ca=True)


def test_a_list_that_another_run_replaces_while_it_is_looked_at(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told is one list: the numbers and the text are not of two."""
    path = tmp_path / "ca.crl"
    path.write_bytes(revocation_list(CA, 1))

    def read_and_replace(path: str) -> bytes | None:
        content = read_file(path)
        pathlib.Path(path).write_bytes(revocation_list(CA, 1, 2))
        return content

    monkeypatch.setattr(revocation, "read_file", read_and_replace)
    facts = revocation.revocation_list_facts(None, str(tmp_path), None, "3.5.16")
    assert facts["serial_numbers"] is not None and facts["pem"] is not None
    assert read_revoked(facts["pem"].encode()) == frozenset(facts["serial_numbers"]) == {"01"}
