# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No member is called as the CA that is given: by the name in its certificate, whatever the variable says."""

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._input_validation import Asked, check_settings
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue

GIVEN, OLDER = issue("given CA", is_ca=True), issue("older CA", is_ca=True)
OPTIONS = ("common_name", "ca_certificate")


def asked(common_name: str, ca_certificate: str) -> Asked:
    peer_url, client_url = "https://10.0.0.1:2380", "https://10.0.0.1:2379"
    member = Member("etcd-1", "etcd-1", common_name, "10.0.0.1", "10.0.0.1", peer_url, client_url, (), ())
    return Asked({"ca_certificate": ca_certificate, "common_name": common_name}, [member], member)


@pytest.mark.parametrize("bundle", [GIVEN.pem, GIVEN.pem + OLDER.pem])
def test_a_member_called_as_the_ca_that_is_given_is_refused(bundle: str) -> None:
    with pytest.raises(InputError) as caught:
        check_settings(asked("given CA", bundle), OPTIONS)
    assert "'given CA' is the CA's own" in str(caught.value) or "given CA is the CA's own" in str(caught.value)
    assert "\n" not in str(caught.value) and "etcd_peer_tls_common_name" in str(caught.value)


def test_the_ca_that_issued_before_is_not_the_one_that_issues() -> None:
    check_settings(asked("older CA", GIVEN.pem + OLDER.pem), OPTIONS)
    check_settings(asked("etcd-1", GIVEN.pem), OPTIONS)
    check_settings(asked("given CA", ""), OPTIONS)


def test_what_is_no_certificate_is_told_by_its_variable() -> None:
    with pytest.raises(InputError, match="etcd_peer_tls_ca_certificate"):
        check_settings(asked("etcd-1", "nonsense"), OPTIONS)
