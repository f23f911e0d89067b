# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster import upgrade_rules
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import Version, parse_version


def versions(text: str) -> list[Version]:
    return [parse_version(one) for one in text.split()]


@pytest.mark.parametrize(
    ("running", "target", "is_said", "code", "words"),
    [
        ("3.5.16 3.5.35", "3.5.35", False, None, ""),
        ("3.5.16 3.5.35", "3.5.20", False, "downgrade", "runs as etcd 3.5.35, and 3.5.20 is older: name 3.5.35 or la"),
        ("3.6.16", "3.5.35", True, "downgrade", "(etcdctl downgrade enable 3.5, from 3.6 on), then one member after"),
        ("3.6.16 3.5.35", "3.5.36", True, "downgrade", "finish the upgrade with 3.6.16; or put the old program back"),
        ("3.4.30 3.4.23", "3.5.35", False, "upgrade_not_said", "run as etcd 3.4.23, and 3.5.35 is another minor ver"),
        ("3.4.30 3.4.23", "3.5.35", True, None, ""),
        ("3.5.35", "3.6.16", False, "upgrade_not_said", "say so with etcd_peer_tls_upgrade: true"),
        ("3.5.35 3.6.16", "3.6.16", False, None, ""),
        ("3.5.35 3.6.16", "3.6.10", True, "downgrade", "name 3.6.16 or later"),
        ("3.5.35", "3.7.3", True, "minor_left_out", "3.7.3 leaves out a minor version: upgrade to 3.6 first"),
        ("3.5.35 3.6.16", "3.7.3", True, "minor_left_out", "upgrade to 3.6 first"),
        ("3.4.30", "3.6.16", True, "minor_left_out", "upgrade to 3.5 first"),
        ("3.5.20", "3.6.16", True, None, ""),
        ("3.5.35 3.5.19", "3.6.16", True, "members_not_written", "runs as etcd 3.5.19, which does not write"),
        ("3.5.35 3.5.1", "3.6.16", True, "members_not_written", "upgrade all to 3.5.35 first, then to 3.6"),
        ("3.6.16", "3.7.3", True, None, ""),
        ("3.7.3", "4.0.0", True, "minor_left_out", ""),
    ],
)
def test_from_which_version_to_which(running: str, target: str, is_said: bool, code: str | None, words: str) -> None:
    found = upgrade_rules.why_not_upgraded(versions(running), parse_version(target), is_said)
    assert (None if found is None else found["code"]) == code
    assert found is None or (words in found["text"] and "\n" not in found["text"])


def test_what_has_to_be_done_before() -> None:
    names = ("3.4.30", "3.5.35", "3.6.0", "3.7.3")
    assert [upgrade_rules.members_are_written_again(parse_version(one)) for one in names] == [False, False, True, False]
    assert [upgrade_rules.reads_no_old_entries(parse_version(one)) for one in names] == [False, False, False, True]
    assert upgrade_rules.is_begun(versions("3.5.35 3.6.0"), (3, 6, 16))
    assert not upgrade_rules.is_begun(versions("3.5.35"), (3, 6, 16))
