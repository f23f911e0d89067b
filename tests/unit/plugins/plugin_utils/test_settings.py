# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A setting in the type that it is documented with, in whatever form it was given."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._settings import (
    OPTIONS,
    SECRETS,
    check_names,
    converted,
    is_blank,
)


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("domain", "example.com", "example.com"),
        ("ca_passphrase", 12345678, "12345678"),
        ("api_password", 12345678, "12345678"),
        ("api_password", "0401", "0401"),
        ("validity_days", "30", 30),
        ("validity_days", 30, 30),
        ("client_tls", "false", False),
        ("client_tls", True, True),
        ("probe_timeout_seconds", "2.5", 2.5),
        ("removed", "a.example.com, b\nc", ["a.example.com", "b", "c"]),
        ("removed", ["a"], ["a"]),
        ("removed", 7, ["7"]),
        ("members", '["etcd-1", {"name": "etcd-2"}]', ["etcd-1", {"name": "etcd-2"}]),
        ("extra_flags", '{"snapshot-count": 5000}', {"snapshot-count": 5000}),
        ("extra_unit_settings", {"Service": '{"MemoryMax": "1G"}'}, {"Service": {"MemoryMax": "1G"}}),
        ("identity", "shared", "shared"),
        ("verify_without", "strangers", ["strangers"]),
    ],
)
def test_a_setting_in_its_type(name: str, given: t.Any, wanted: t.Any) -> None:
    found = converted(name, given)
    assert found == wanted and type(found) is type(wanted)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("domain", True, "it is True: a text is wanted"),
        ("domain", ["a"], "a text is wanted"),
        ("validity_days", True, "a whole number is wanted"),
        ("validity_days", "soon", "it is 'soon': a whole number is wanted"),
        ("probe_timeout_seconds", False, "a number is wanted"),
        ("client_tls", "perhaps", "true or false is wanted"),
        ("removed", {"a": 1}, "a list is wanted"),
        ("removed", "[1", "a list is wanted"),
        ("extra_sans", [None], "an item of it is None"),
        ("extra_flags", "a", "a dictionary is wanted"),
        ("extra_flags", {1: 2}, "a dictionary is wanted"),
        ("identity", "both", "list, shared can be chosen"),
    ],
)
def test_what_can_not_be_meant(name: str, given: t.Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        converted(name, given)
    assert words in str(caught.value) and f"etcd_peer_tls_{name}" in str(caught.value)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_message(name: str) -> None:
    with pytest.raises(InputError) as caught:
        converted(name, ["hidden"])
    assert "hidden" not in str(caught.value) and name in OPTIONS


def test_what_says_nothing() -> None:
    assert all(map(is_blank, (None, "", " \n"))) and not any(map(is_blank, (0, False, [], {}, "x")))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("domian", "domain"), ("adress", "address"), ("host", "hosts"), ("ca_pasphrase", "ca_passphrase")],
)
def test_a_mistyped_name_is_told_with_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(InputError) as caught:
        check_names(["ansible_host", "etcd_peer_tls_domain", f"etcd_peer_tls_{name}"])
    assert str(caught.value) == (
        f"etcd_peer_tls_{name} is no variable of this role: did you mean etcd_peer_tls_{meant}?"
    )


def test_a_helper_of_the_users_own_needs_another_name() -> None:
    with pytest.raises(InputError) as caught:
        check_names(["etcd_peer_tls_x\ny", "etcd_peer_tls_zzz"])
    wanted = "give it a name that does not begin with etcd_peer_tls_."
    assert str(caught.value) == (
        f"etcd_peer_tls_x y is no variable of this role: {wanted} "
        f"etcd_peer_tls_zzz is no variable of this role: {wanted}"
    )


def test_names_that_are_known() -> None:
    """The options of all entry points, what the playbooks take, what the role registers; others' are no matter."""
    ours = (*OPTIONS, "proof")
    assert "hosts" in OPTIONS
    check_names([*(f"etcd_peer_tls_{name}" for name in ours), "__etcd_peer_tls_call", "my_etcd_peer_tls_domian"])
