# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which versions of etcd there are, and with which identity each may run."""

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.versions import (
    check_identity,
    parse_version,
    understands_list,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RefusedError


@pytest.mark.parametrize(
    ("version", "identity"),
    [
        ((3, 4, 23), "shared"),
        ((3, 5, 12), "shared"),
        ((3, 5, 15), "list"),
        ((3, 5, 15), "shared"),
        ((3, 6, 16), "list"),
        ((3, 7, 3), "list"),
    ],
)
def test_versions_that_may_run_with_an_identity(version: tuple[int, int, int], identity: str) -> None:
    check_identity(version, identity, "etcd-1")


@pytest.mark.parametrize("version", [(3, 4, 23), (3, 4, 45), (3, 5, 0), (3, 5, 12), (3, 5, 14)])
def test_a_list_is_refused_where_it_would_lock_everybody_out(version: tuple[int, int, int]) -> None:
    with pytest.raises(RefusedError) as caught:
        check_identity(version, "list", "etcd-1")
    text = str(caught.value)
    assert "etcd-1" in text and ".".join(map(str, version)) in text
    assert "upgrade etcd to 3.5.15 or newer" in text and "etcd_peer_tls_identity: shared" in text
    assert not understands_list(version)


def test_etcd_3_3_is_refused_in_either_identity() -> None:
    with pytest.raises(RefusedError, match=r"3\.4 or newer"):
        check_identity((3, 3, 27), "shared", "etcd-1")


@pytest.mark.parametrize(
    ("text", "version"),
    [("3.5.16", (3, 5, 16)), ("v3.6.0-rc.4", (3, 6, 0)), (" 3.4.23+dfsg\n", (3, 4, 23))],
)
def test_versions_are_read(text: str, version: tuple[int, int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "3.5", "etcd 3.5.16", "three"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no etcd version"):
        parse_version(text)
