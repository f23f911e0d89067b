# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses this host has, as its kernel says."""

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._node.addresses import own_addresses


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        ([], []),
        (["https://127.0.0.1:2380", "http://127.0.0.1:2379", "https://127.0.3.4:1"], ["127.0.0.1", "127.0.3.4"]),
        # Of documentation: nobody has it.
        (["https://203.0.113.7:2380", "https://127.0.0.1:2380"], ["127.0.0.1"]),
        (["https://[2001:db8::7]:2380"], []),
        # Everywhere is an address that a server may have.
        (["https://0.0.0.0:2380"], ["0.0.0.0"]),
        # A name is not looked up, and what is no URL has no address.
        (["https://localhost:2380", "127.0.0.1:2380", "https://[::1", "", "https://:2380"], []),
    ],
)
def test_the_addresses_in_urls_that_are_the_hosts_own(urls: list[str], found: list[str]) -> None:
    assert own_addresses(urls) == found
