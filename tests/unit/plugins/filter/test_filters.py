# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters: inventories in every form, and what a template must not do to a unit."""

from __future__ import annotations

import sys
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ringfence.etcd.plugins.filter.etcd_arguments import etcd_arguments
from ansible_collections.ringfence.etcd.plugins.filter.etcd_members import etcd_members
from ansible_collections.ringfence.etcd.plugins.filter.etcd_unmatched import etcd_unmatched
from ansible_collections.ringfence.etcd.plugins.filter.hashed_unit import hashed_unit
from ansible_collections.ringfence.etcd.plugins.filter.systemd_quote import systemd_quote
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import configuration_hash_is_valid
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain

SETTINGS = {"cluster_name": "etcd", "data_dir": "/var/lib/etcd/etcd", "credentials_directory": "/etc/etcd/pki"}


@pytest.mark.parametrize(
    "function",
    [etcd_arguments, etcd_members, etcd_unmatched, hashed_unit, systemd_quote],
    ids=lambda one: one.__name__,
)
def test_each_file_brings_the_filter_of_its_name(function: t.Callable[..., t.Any]) -> None:
    plugin = sys.modules[function.__module__]
    assert plugin.FilterModule().filters() == {plugin.__name__.rsplit(".", 1)[1]: function}


def members(*hosts: t.Any, **options: t.Any) -> list[dict[str, t.Any]]:
    return etcd_members(list(hosts), "etcd", **options)


def test_a_host_is_dialed_by_its_name() -> None:
    (member,) = members("node.example.net")
    assert (member["host"], member["name"]) == ("node.example.net", "node.example.net")
    assert member["peer_url"] == "https://node.example.net:2380"


def test_an_entry_says_what_is_not_its_name() -> None:
    (member,) = members({"name": "m1", "host": "etcd-1", "address": "fd00::1", "domain": "other.example"})
    assert (member["host"], member["name"], member["address"]) == ("etcd-1", "m1", "fd00::1")
    assert member["common_name"] == "m1.other.example"


def test_members_are_sorted_and_have_the_cluster_s_domain() -> None:
    found = members("etcd-10", {"name": "etcd-2", "address": "10.0.0.2"}, domain="example.com")
    assert [member["name"] for member in found] == ["etcd-2", "etcd-10"]
    assert found[0]["common_name"] == "etcd-2.example.com" and found[0]["peer_url"] == "https://10.0.0.2:2380"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("etcd-1", "a list is wanted"),
        ([7], "neither a host's name nor a dictionary"),
        ([{"name": "a", "adress": "10.0.0.1"}], "adress"),
        ([], "has no members"),
        (["etcd-1", "etcd-1"], "the same name"),
    ],
)
def test_wrong_lists_are_refused(value: t.Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        etcd_members(value, "etcd")
    assert words in str(caught.value)


def test_plain_values_are_rebuilt_to_the_last() -> None:
    class Tagged(str):
        pass

    found = plain({Tagged("a"): [Tagged("b"), {Tagged("c"): (1, None, True)}]})
    assert found == {"a": ["b", {"c": [1, None, True]}]}
    assert not any(isinstance(text, Tagged) for text in (*found, found["a"][0], *found["a"][1]))


def test_arguments_are_flags_with_their_values() -> None:
    arguments = etcd_arguments("etcd-1", members("etcd-1", "etcd-2", domain="example.com"), SETTINGS)
    assert arguments[0] == "--name=etcd-1"
    assert "--peer-cert-allowed-cn=etcd-1.example.com,etcd-2.example.com" in arguments


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("nobody", SETTINGS, "nobody is no member"),
        ("etcd-1", {**SETTINGS, "extra_flags": {"peer-auto-tls": True}}, "--peer-auto-tls is refused"),
        ("etcd-1", {**SETTINGS, "colour": "red"}, "colour"),
        ("etcd-1", {**SETTINGS, "data_dir": ""}, "settings data_dir are empty or missing"),
        ("etcd-1", {}, "settings cluster_name, data_dir, credentials_directory are empty or missing"),
    ],
)
def test_arguments_that_can_not_be_made(name: str, settings: dict[str, t.Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        etcd_arguments(name, members("etcd-1"), settings)
    assert words in str(caught.value)


ARGUMENTS = ["--name=etcd-1", "--peer-cert-allowed-cn=etcd-1.example.com,etcd-2.example.com"]
UNIT = """\
[Unit]
Description=etcd

[Service]
Type=notify
Environment=RINGFENCE_CONFIGURATION_HASH=
ExecStart=/usr/bin/etcd \\
  --name=etcd-1 \\
  --peer-cert-allowed-cn=etcd-1.example.com,etcd-2.example.com
Restart=always

[Install]
WantedBy=multi-user.target
"""


def test_a_good_unit_gets_its_seal() -> None:
    assert configuration_hash_is_valid(hashed_unit(UNIT, ARGUMENTS))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        # A template once swallowed the line break behind its last flag: systemd took that, one member was out for ever.
        (
            "etcd-2.example.com\nRestart=always\n\n[Install]\n",
            "etcd-2.example.com[Install]\n",
            "sections Unit, Service",
        ),
        ("etcd-2.example.com\nRestart", "etcd-2.example.com Restart", "other arguments"),
        (",etcd-2.example.com", "", "other arguments"),
        ("  --name=etcd-1 \\\n", "", "--name=etcd-1 is lacking"),
        ("Restart=always", "ExecStart=/bin/true", "2 lines ExecStart="),
        ("[Install]\nWantedBy=multi-user.target\n", "", "sections"),
        ("Environment=RINGFENCE_CONFIGURATION_HASH=\n", "", "RINGFENCE_CONFIGURATION_HASH"),
    ],
)
def test_a_template_that_went_wrong_is_found(before: str, after: str, words: str) -> None:
    assert before in UNIT
    with pytest.raises(AnsibleFilterError) as caught:
        hashed_unit(UNIT.replace(before, after), ARGUMENTS)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("--a=50%$x", "argument", "--a=50%%$$x"),
        ("--a=b c", "argument", '"--a=b c"'),
        ("/opt/my etcd", "program", '"/opt/my etcd"'),
        ("/var/lib/a b%", "word", '"/var/lib/a b%%"'),
        ("etcd 100%", "plain", "etcd 100%%"),
        ("%n", "raw", "%n"),
        (True, "raw", "true"),
        (3, "raw", "3"),
    ],
)
def test_quoting(value: t.Any, kind: str, expected: str) -> None:
    assert systemd_quote(value, kind) == expected


@pytest.mark.parametrize(
    ("value", "kind"), [("a\nb", "argument"), ("a\nExecStart=x", "raw"), ("a\\", "raw"), ("a", "other")]
)
def test_what_can_not_be_quoted(value: str, kind: str) -> None:
    with pytest.raises(AnsibleFilterError):
        systemd_quote(value, kind)


# A play without hosts ------------------------------------------------------------------------------------------------

GROUPS: dict[str, list[str]] = {
    "all": ["web-1", "etcd-1", "etcd-2", "etcd-3"],
    "ungrouped": ["web-1"],
    "quorum_a": ["etcd-1", "etcd-2"],
    "quorum_b": ["etcd-3"],
    "empty": [],
}
EVERYBODY = [*GROUPS["all"], "localhost"]


@pytest.mark.parametrize(
    "pattern", ["quorum_a", "quorum_a:quorum_b", "quorum_a,etcd-3", "etcd-*", "~etcd-[12]", "quorum_a:!etcd-1", "all"]
)
def test_a_play_that_has_hosts_is_let_go_on(pattern: str) -> None:
    assert etcd_unmatched(pattern, GROUPS, EVERYBODY) == ""
    assert etcd_unmatched(pattern, GROUPS, ["etcd-2"], "etcd-2") == ""


def test_a_list_of_patterns_is_one_too() -> None:
    assert etcd_unmatched(["quorum_a", "quorum_b"], GROUPS, EVERYBODY) == ""


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("etcd", "the pattern 'etcd' matches no host; the inventory's groups are"),
        ("empty", "the group empty has no host; the inventory's groups are"),
        # Of two clusters one would go unwatched.
        ("quorum_a:quorum_c", "the pattern 'quorum_c' matches no host"),
        ("quorum_a:!quorum_a", "the pattern 'quorum_a,!quorum_a' leaves no host"),
        ("quorum_a:&quorum_b", "the pattern 'quorum_a,&quorum_b' leaves no host"),
    ],
)
def test_a_play_without_hosts_is_told_with_the_groups_that_there_are(pattern: str, words: str) -> None:
    reported = etcd_unmatched(pattern, GROUPS, EVERYBODY)
    assert words in reported and "\n" not in reported
    assert "empty (0 hosts), quorum_a (2 hosts), quorum_b (1 host)" in reported
    assert "etcd_peer_tls_hosts" in reported and "ungrouped" not in reported


def test_a_limit_that_leaves_none_is_told_as_that() -> None:
    reported = etcd_unmatched("quorum_a", GROUPS, ["web-1"], "web-1")
    assert reported == "--limit web-1 leaves none of the hosts of 'quorum_a' (etcd-1, etcd-2): mend it, or leave it out"


def test_an_inventory_without_hosts_is_told_as_that() -> None:
    assert "the inventory has no host" in etcd_unmatched("etcd", {"all": [], "ungrouped": []}, ["localhost"])
    # The host that is always there needs no inventory.
    assert etcd_unmatched("localhost", {"all": [], "ungrouped": []}, ["localhost"]) == ""


def test_of_many_groups_not_all_are_named() -> None:
    reported = etcd_unmatched("etcd", {"all": ["a"], **{f"group_{number:02}": ["a"] for number in range(40)}}, ["a"])
    assert "group_11 (1 host) and 28 more" in reported and "group_12" not in reported


def test_a_pattern_that_can_not_be_read_is_one_line() -> None:
    with pytest.raises(AnsibleFilterError, match=r"the pattern '~\(' can't be read|the pattern"):
        etcd_unmatched("~(", GROUPS, EVERYBODY)
