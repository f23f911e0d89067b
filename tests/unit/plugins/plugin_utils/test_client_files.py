# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""With which files a member speaks to the client ports of the others."""

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.plugin_utils._role_settings import client_files_of

MEMBER = Member("etcd-1", "host-1", "etcd-1", "10.0.0.1", "10.0.0.1", "https://a:2380", "https://a:2379", (), ())
OWN = {"ca": "/pki/ca.crt", "cert": "/pki/etcd-1.crt", "key": "/pki/etcd-1.key"}


@pytest.mark.parametrize(
    ("given", "files"),
    [
        ({}, OWN),
        ({"client_ca_file": "/c/ca.pem"}, {**OWN, "ca": "/c/ca.pem"}),
        (
            {"client_cert_file": "/c/a.crt", "client_key_file": "/c/a.key"},
            {**OWN, "cert": "/c/a.crt", "key": "/c/a.key"},
        ),
        # Without TLS a file that is given is none to speak with.
        ({"client_tls": False, "client_ca_file": "/c/ca.pem"}, {"ca": "", "cert": "", "key": ""}),
    ],
)
def test_the_files_that_are_given_or_the_member_s_own(given: dict[str, object], files: dict[str, str]) -> None:
    none = dict.fromkeys(("client_ca_file", "client_cert_file", "client_key_file"), "")
    assert client_files_of({"client_tls": True, "directory": "/pki", **none, **given}, MEMBER) == files
