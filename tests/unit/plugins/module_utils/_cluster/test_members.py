# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    make_member,
    make_members,
    natural_key,
    parse_address,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import is_dns_name

CLUSTER = ClusterSettings(name="etcd", domain="example.com")


def entry(number: int, **more: t.Any) -> dict[str, t.Any]:
    return {"name": f"etcd-{number}", "address": f"10.0.0.{number}", **more}


def test_the_tutorials_member() -> None:
    member = make_member(entry(1), CLUSTER)
    assert member.name == member.host == "etcd-1"
    assert member.common_name == "etcd-1.example.com"
    assert member.peer_url == "https://10.0.0.1:2380"
    assert member.client_url == "https://10.0.0.1:2379"
    assert member.listen_address == "10.0.0.1"
    assert member.dns_names == ("etcd-1.example.com", "localhost")
    assert member.ip_addresses == ("10.0.0.1", "127.0.0.1", "::1")


def test_without_a_domain_the_common_name_is_the_name() -> None:
    assert make_member(entry(1), ClusterSettings(name="etcd")).common_name == "etcd-1"


def test_a_members_own_domain_and_common_name_come_first() -> None:
    assert make_member(entry(1, domain="example.org"), CLUSTER).common_name == "etcd-1.example.org"
    assert make_member(entry(1, common_name="first"), CLUSTER).common_name == "first"


@pytest.mark.parametrize("written", ["fd00::1", "[fd00::1]", "FD00:0:0:0:0:0:0:1"])
def test_ipv6_has_brackets_in_urls_and_none_in_alternative_names(written: str) -> None:
    member = make_member({"name": "etcd-1", "address": written}, CLUSTER)
    assert member.peer_url == "https://[fd00::1]:2380"
    assert member.ip_addresses[0] == "fd00::1"
    assert member.listen_address == "fd00::1"


def test_a_dns_name_is_dialed_and_named_and_listens_everywhere() -> None:
    member = make_member({"name": "etcd-1", "address": "ETCD-1.Example.NET"}, CLUSTER)
    assert member.peer_url == "https://etcd-1.example.net:2380"
    assert "etcd-1.example.net" in member.dns_names
    assert member.ip_addresses == ("127.0.0.1", "::1")
    assert member.listen_address == "0.0.0.0"


def test_extra_alternative_names_are_sorted_by_kind() -> None:
    member = make_member(entry(1, extra_sans=["192.0.2.7", "vip.example.com", "fd00::7", "10.0.0.1"]), CLUSTER)
    assert member.ip_addresses == ("10.0.0.1", "192.0.2.7", "fd00::7", "127.0.0.1", "::1")
    assert member.dns_names == ("etcd-1.example.com", "vip.example.com", "localhost")


def test_loopbacks_names_may_be_left_out() -> None:
    """For a CA that may not sign them. What the user asks for by name stays."""
    without = dataclasses.replace(CLUSTER, loopback_sans=False)
    member = make_member(entry(1), without)
    assert (member.dns_names, member.ip_addresses) == (("etcd-1.example.com",), ("10.0.0.1",))
    asked = make_member(entry(1, address="127.0.0.2", extra_sans=["localhost", "127.0.0.1"]), without)
    assert asked.dns_names[1:] == ("localhost",) and asked.ip_addresses == ("127.0.0.2", "127.0.0.1")


def test_ports_and_plain_http_for_clients() -> None:
    settings = ClusterSettings(name="etcd", peer_port=12380, client_port=12379, client_tls=False)
    member = make_member(entry(1, client_port=4001), settings)
    assert member.peer_url == "https://10.0.0.1:12380"
    assert member.client_url == "http://10.0.0.1:4001"


def test_shared_identity_gives_one_common_name_to_all() -> None:
    settings = ClusterSettings(name="blue", domain="example.com", identity="shared")
    members = make_members([entry(1), entry(2)], settings)
    assert [member.common_name for member in members] == ["blue.peers", "blue.peers"]
    assert members[0].dns_names == ("etcd-1.example.com", "localhost")
    named = ClusterSettings(name="blue", identity="shared", shared_common_name="etcd-peers")
    assert make_member(entry(1), named).common_name == "etcd-peers"


def test_the_order_depends_on_the_names_alone() -> None:
    entries = [entry(number) for number in (10, 2, 1)]
    assert [member.name for member in make_members(entries, CLUSTER)] == ["etcd-1", "etcd-2", "etcd-10"]
    assert make_members(entries, CLUSTER) == make_members(entries[::-1], CLUSTER)


def test_natural_keys_compare_whatever_the_parts_are() -> None:
    names = ["2a", "a2", "a10", "b", "10"]
    assert sorted(names, key=natural_key) == ["2a", "10", "a2", "a10", "b"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "a name of letters"),
        ({"name": "etcd 1"}, "a name of letters"),
        ({"name": "a=b"}, "a name of letters"),
        ({"name": "a/b"}, "a name of letters"),
        ({"name": "../x"}, "a name of letters"),
        ({"name": "ca"}, "would share ca.crt"),
        ({"name": "etcd_1"}, "no IPv4 or IPv6 address and no DNS name"),
        ({"name": "etcd-1", "address": "10.0.0.256"}, "no IPv4 or IPv6 address and no DNS name"),
        ({"name": "etcd-1", "address": "10.0.0"}, "no IPv4 or IPv6 address and no DNS name"),
        ({"name": "etcd-1", "address": "https://10.0.0.1"}, "no IPv4 or IPv6 address and no DNS name"),
        ({"name": "etcd-1", "address": "10.0.0.1:2380"}, "no IPv4 or IPv6 address and no DNS name"),
        ({"name": "etcd-1", "address": "-a.example.com"}, "no IPv4 or IPv6 address and no DNS name"),
        ({"name": "etcd-1", "address": f"{'a' * 64}.example.com"}, "no IPv4 or IPv6 address and no DNS name"),
        ({"name": "etcd-1", "address": "0.0.0.0"}, "no address that other members can dial"),
        ({"name": "etcd-1", "address": "::"}, "no address that other members can dial"),
        ({"name": "etcd-1", "address": "224.0.0.1"}, "no address that other members can dial"),
        ({"name": "etcd-1", "address": "fe80::1%eth0"}, "has a zone"),
        ({"name": "a" * 60, "address": "10.0.0.1"}, "has 72 characters, X.509 allows 64"),
        ({"name": "etcd-1", "address": "10.0.0.1", "common_name": "a,b"}, "has a comma"),
        ({"name": "etcd-1", "address": "10.0.0.1", "common_name": "é"}, "printable ASCII"),
        ({"name": "etcd-1", "address": "10.0.0.1", "common_name": " a"}, "space at its edge"),
        ({"name": "a" * 230, "address": "10.0.0.1", "common_name": "a"}, "200 characters at most"),
        ({"name": "etcd-1", "address": "10.0.0.1", "domain": "exa mple.com"}, "etcd_peer_tls_domain 'exa mple.com' is"),
        ({"name": "etcd-1", "address": "10.0.0.1", "peer_port": 70000}, "peer_port is 70000"),
        ({"name": "etcd-1", "address": "10.0.0.1", "client_port": "x"}, "client_port is 'x'"),
        ({"name": "etcd-1", "address": "10.0.0.1", "client_port": 2380}, "both 2380"),
        ({"name": "etcd-1", "address": "10.0.0.1", "listen_address": "eth0"}, "is no IP address"),
        ({"name": "etcd-1", "address": "10.0.0.1", "extra_sans": "10.0.0.9"}, "a list of DNS names"),
        ({"name": "etcd-1", "address": "10.0.0.1", "extra_sans": ["not a name"]}, "'not a name'"),
    ],
)
def test_a_wrong_member_is_refused_by_name_and_value(wrong: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        make_member(wrong, CLUSTER)
    assert words in str(caught.value)
    assert repr(wrong["name"]) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"name": "etcd-1", "host": "other", "address": "10.0.0.2"}, "the same name etcd-1"),
        ({"name": "ETCD-1", "host": "other", "address": "10.0.0.2"}, "the same name etcd-1"),
        ({"name": "etcd-2", "address": "10.0.0.1"}, "the same address 10.0.0.1"),
        ({"name": "etcd-2", "address": "10.0.0.2", "common_name": "etcd-1.example.com"}, "the same common name"),
        ({"name": "etcd-2", "address": "10.0.0.2", "host": "etcd-1"}, "the same host etcd-1"),
    ],
)
def test_two_members_with_one_value_are_refused(second: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        make_members([entry(1), second], CLUSTER)
    assert words in str(caught.value)


def test_two_spellings_of_one_ipv6_address_are_the_same_address() -> None:
    with pytest.raises(InputError, match="the same address fd00::1"):
        make_members([{"name": "a", "address": "fd00::1"}, {"name": "b", "address": "[fd00:0::1]"}], CLUSTER)


def test_an_empty_cluster_is_refused() -> None:
    with pytest.raises(InputError, match="has no members"):
        make_members([], CLUSTER)


def test_addresses_keep_their_kind() -> None:
    assert parse_address("10.0.0.1", "x") == ipaddress.ip_address("10.0.0.1")
    assert parse_address("Example.COM", "x") == "example.com"
    assert not is_dns_name("example.com.")
    assert not is_dns_name("a." * 127 + "a")


TRIO = [{"name": f"etcd-{number}", "address": f"10.0.0.{number}", "host": f"node-{number}"} for number in (1, 2, 3)]


def with_extra(*extra: str, **more: t.Any) -> list[dict[str, t.Any]]:
    return [{**TRIO[0], "extra_sans": list(extra)}, {**TRIO[1], **more}, TRIO[2]]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("10.0.0.2", {}),
        ("etcd-2", {}),
        ("etcd-2.example.com", {}),
        ("ETCD-2.example.com", {}),
        ("node-2", {}),
        ("peer-2.example.com", {"common_name": "peer-2.example.com"}),
        ("10.1.0.2", {"extra_sans": ["10.1.0.2"]}),
        ("second.example.com", {"extra_sans": ["second.example.com"]}),
        ("fd00::2", {"address": "fd00:0::2"}),
    ],
)
def test_a_certificate_never_carries_the_name_of_another_member(name: str, more: dict[str, t.Any]) -> None:
    with pytest.raises(InputError) as caught:
        make_members(with_extra(name, **more), ClusterSettings(name="blue", domain="example.com"))
    assert f"certificate of member etcd-1 would have the subject alternative name {name.lower()}" in str(caught.value)
    assert "which is etcd-2's: take it out of etcd_peer_tls_extra_sans of etcd-1" in str(caught.value)


def test_a_name_that_all_members_share_is_nobodys() -> None:
    shared = ["etcd.example.com", "10.0.0.100"]
    members = make_members([{**one, "extra_sans": shared} for one in TRIO], ClusterSettings(name="blue"))
    assert all(set(shared) <= {*member.dns_names, *member.ip_addresses} for member in members)
    taken = [{**one, "extra_sans": ["10.0.0.2"]} for one in TRIO]
    with pytest.raises(InputError, match="which is etcd-2's"):
        make_members(taken, ClusterSettings(name="blue"))


def test_names_of_ones_own_may_be_asked_for_again() -> None:
    members = make_members(with_extra("10.0.0.1", "etcd-1", "other.example.com"), ClusterSettings(name="blue"))
    assert "other.example.com" in members[0].dns_names


def test_a_shared_common_name_is_nobodys() -> None:
    shared = ClusterSettings(name="blue", identity="shared", shared_common_name="peers.example.com")
    entries = [{**one, "extra_sans": ["peers.example.com"]} for one in TRIO]
    assert len(make_members(entries, shared)) == 3
