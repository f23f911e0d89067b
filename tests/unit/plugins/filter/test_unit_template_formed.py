# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The template's lines that keep a member without its data from starting, and what a user may put beside them."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._member import formed
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import parse_unit
from ansible_collections.ringfence.etcd.tests.unit.plugins.filter.test_unit_template import rendered


def test_the_template_has_them_and_never_another_text(tmp_path: pathlib.Path) -> None:
    for flags, wal_dir in (({}, None), ({"wal-dir": "/srv/wal {1}"}, "/srv/wal {1}")):
        where = formed.MemberPlace("/etc/etcd/pki", "etcd-1", "/var/lib/etcd/etcd", wal_dir)
        text = rendered(extra_flags=flags)
        formed.check_asserts(text, "etcd.service", where)
        assert set(formed.wanted_asserts(where)) <= set(parse_unit(text)["Unit"])
        assert formed.wanted_condition(where) in parse_unit(text)["Service"]


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("Unit", "AssertPathExists", "", "AssertPathExists=,"),
        ("Unit", "AssertFileNotEmpty", "", "AssertFileNotEmpty=,"),
        ("Unit", "AssertPathExists", "|/etc/hosts", "AssertPathExists=|/etc/hosts,"),
        ("Unit", "AssertVirtualization", "|!container", "AssertVirtualization=|!container,"),
        ("Service", "ExecCondition", "", "ExecCondition=,"),
    ],
)
def test_what_would_open_it_again_is_refused(section: str, key: str, value: str, said: str) -> None:
    where = formed.MemberPlace("/etc/etcd/pki", "etcd-1", "/var/lib/etcd/etcd")
    text = rendered(extra_unit_settings={section: {key: value}})
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        formed.check_asserts(text, "etcd.service", where)
    assert "\n" not in str(caught.value) and "etcd_peer_tls_extra_unit_settings" in str(caught.value)


def test_other_asserts_and_conditions_of_the_users_stay() -> None:
    where = formed.MemberPlace("/etc/etcd/pki", "etcd-1", "/var/lib/etcd/etcd")
    more = {"AssertPathIsMountPoint": "/var/lib/etcd", "ConditionPathExists": "|/etc/hosts"}
    service = {"ExecCondition": "/usr/bin/test -e /srv"}
    text = rendered(extra_unit_settings={"Unit": more, "Service": service})
    formed.check_asserts(text, "etcd.service", where)


@pytest.mark.parametrize(
    "where",
    [
        formed.MemberPlace("/etc/other", "etcd-1", "/var/lib/etcd/etcd"),
        formed.MemberPlace("/etc/etcd/pki", "etcd-2", "/var/lib/etcd/etcd"),
        formed.MemberPlace("/etc/etcd/pki", "etcd-1", "/var/lib/etcd/other"),
        formed.MemberPlace("/etc/etcd/pki", "etcd-1", "/var/lib/etcd/etcd", "/srv/wal"),
    ],
)
def test_asserts_of_another_member_are_none(where: formed.MemberPlace) -> None:
    with pytest.raises(InputError, match="an empty member would be started"):
        formed.check_asserts(rendered(), "etcd.service", where)
