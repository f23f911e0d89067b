# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a command line accepts, and the command line that accepts it: each is read as what was written."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_config import (
    Place,
    Trust,
    client_flags_in,
    client_listeners,
    config_of,
    flags_with,
    peer_listeners,
    settings_digest,
    wanted_flags,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Config
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import (
    Deployed,
    deployed_from_arguments,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import FlagSettings, etcd_flags
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)

VERSION = (3, 5, 16)
SETTINGS = FlagSettings("blue", "/var/lib/etcd/blue", "/etc/etcd/pki")
TRUST = Trust(frozenset(("aa", "bb")))


def members(first: t.Mapping[str, t.Any] | None = None, **changes: t.Any) -> list[Member]:
    given: list[dict[str, t.Any]] = [{"name": f"etcd-{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3)]
    given[0].update(first or {})
    return make_members(given, replace(ClusterSettings(name="blue", domain="example.com"), **changes))


def started(flags: t.Iterable[tuple[str, str]], **more: str) -> Deployed:
    arguments = [f"--{flag}={value}" for flag, value in (*flags, *more.items())]
    return deployed_from_arguments(["/usr/bin/etcd", *arguments], {"ETCD_TLS_MIN_VERSION": "TLS1.3"})


def read(settings: Deployed, member: Member, *peer_urls: str) -> Config:
    return config_of(settings, Place(member, peer_urls), TRUST, VERSION)


def wanted_config(all_members: t.Sequence[Member], settings: FlagSettings = SETTINGS) -> Config:
    member = all_members[0]
    flags = wanted_flags(member, all_members, settings)
    return Config(
        name=member.name,
        common_names=frozenset(one.common_name for one in all_members),
        authorities=TRUST.peers,
        serves=frozenset((member.peer_url,)),
        client_authorities=TRUST.peers,
        client_serves=frozenset((member.client_url,)),
        client_flags=client_flags_in(flags),
        settings=settings_digest(flags),
    )


PLACES: dict[str, dict[str, t.Any]] = {
    "its address": {},
    "a name, so everywhere": {"address": "etcd-1.example.org"},
    "everywhere": {"listen_address": "0.0.0.0"},
    "behind another address": {"address": "198.51.100.1", "listen_address": "10.0.0.1"},
    "behind a name": {"address": "etcd-1.example.org", "listen_address": "10.0.0.1"},
    "behind a name, at another address": {"address": "etcd-1.example.org", "listen_address": "10.0.0.4"},
    "IPv6": {"address": "fd00::1"},
    "the loopback": {"address": "127.0.0.1"},
    "loopback": {"address": "127.0.0.7"},
    "other ports": {"peer_port": 12380, "client_port": 12379},
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("loopback", [True, False])
def test_the_unit_that_is_wanted_is_read_as_wanted(place: dict[str, t.Any], loopback: bool) -> None:
    found = members(place)
    settings = replace(SETTINGS, listen_loopback=loopback)
    wanted = wanted_config(found, settings)
    plain = etcd_flags(found[0], found, settings)
    assert flags_with(wanted, found[0], found, settings) == plain
    # Whether the list that is told has it already or not.
    assert read(started(plain), found[0]) == wanted == read(started(plain), found[0], found[0].peer_url)


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(PLACES, 2)))
def test_both_places_of_a_move_are_read_as_written(old: str, new: str) -> None:
    before, after = members(PLACES[old]), members(PLACES[new])
    present = started(etcd_flags(before[0], before, SETTINGS))
    listed = before[0].peer_url
    at_first = read(present, after[0], listed)
    assert listed in at_first.serves
    both = replace(
        wanted_config(after),
        serves=at_first.serves | {after[0].peer_url},
        client_serves=at_first.client_serves | {after[0].client_url},
    )
    written = started(flags_with(both, after[0], after, SETTINGS, present))
    found = read(written, after[0], listed)
    assert found == both
    # Nobody's calls come to another listener than before.
    is_somewhere = "0.0.0.0" not in (before[0].listen_address, after[0].listen_address)
    if is_somewhere and listed != after[0].peer_url:
        place = Place(after[0], (listed,))
        assert peer_listeners(written, place)[listed] == peer_listeners(present, place)[listed]
    # Two servers at one port of all addresses and of one would not start.
    for urls in (written["listen_peer_urls"], written["listen_client_urls"]):
        ports = [url.rpartition(":")[2] for url in urls if "//0.0.0.0:" in url]
        assert all(len([url for url in urls if url.endswith(f":{port}")]) == 1 for port in ports)
    # Once the list has the new URL, and the unit is the one that is wanted, nothing of the old is left.
    narrowed = started(flags_with(wanted_config(after), after[0], after, SETTINGS, written))
    assert read(narrowed, after[0], after[0].peer_url) == wanted_config(after)


def test_a_host_that_came_back_elsewhere_does_not_answer_where_it_was() -> None:
    after = members({"address": "10.0.0.9"})
    present = started(etcd_flags(after[0], after, SETTINGS))
    assert read(present, after[0], "https://10.0.0.1:2380").serves == {"https://10.0.0.9:2380"}


def test_without_what_is_there_an_address_is_listened_at_and_a_name_leads_to_the_members_place() -> None:
    found = members()
    config = replace(wanted_config(found), serves=frozenset(("https://10.0.0.9:2380", "https://old.example.org:2381")))
    assert dict(flags_with(config, found[0], found, SETTINGS))["listen-peer-urls"] == (
        "https://10.0.0.9:2380,https://10.0.0.1:2381"
    )
    # Of one that is behind another address nobody knows that it has that one.
    behind = members(PLACES["behind another address"])
    assert dict(flags_with(config, behind[0], behind, SETTINGS))["listen-peer-urls"] == (
        "https://10.0.0.1:2380,https://10.0.0.1:2381"
    )


def test_what_the_list_has_counts_and_not_what_was_advertised_once() -> None:
    found = members({"address": "etcd-1.example.org"})
    flags = dict(etcd_flags(found[0], found, SETTINGS))
    flags["initial-advertise-peer-urls"] = "https://once.example.org:2380"
    settings = started(flags.items())
    assert read(settings, found[0], found[0].peer_url).serves == {found[0].peer_url}
    listed = "https://old.example.org:2380"
    assert read(settings, found[0], listed).serves == {found[0].peer_url, listed}


def test_behind_another_address_the_list_may_have_an_older_one() -> None:
    found = members({"address": "198.51.100.2", "listen_address": "10.0.0.1"})
    flags = dict(etcd_flags(found[0], found, SETTINGS))
    listed = "https://198.51.100.1:2380"
    assert read(started(flags.items()), found[0], listed).serves == {found[0].peer_url, listed}


def test_of_two_listeners_at_one_port_a_name_leads_to_the_one_without_its_own_call() -> None:
    found = members()
    flags = dict(etcd_flags(found[0], found, SETTINGS))
    flags["listen-peer-urls"] = "https://10.0.0.1:2380,https://10.0.0.9:2380"
    listed = "https://old.example.org:2380"
    settings = started(flags.items())
    assert peer_listeners(settings, Place(found[0], (listed,))) == {
        found[0].peer_url: "https://10.0.0.1:2380",
        listed: "https://10.0.0.9:2380",
    }


def test_a_listener_that_nobody_calls_is_told_by_itself() -> None:
    found = members()
    flags = dict(etcd_flags(found[0], found, SETTINGS))
    flags["listen-peer-urls"] += ",https://10.9.9.9:2380,http://10.0.0.1:2381,unix://socket"
    serves = read(started(flags.items()), found[0], found[0].peer_url).serves
    assert serves == {found[0].peer_url, "https://10.9.9.9:2380", "http://10.0.0.1:2381", "unix://socket"}


def test_a_listener_that_is_no_address_stays_as_it_is_written() -> None:
    found = members()
    config = replace(wanted_config(found), serves=frozenset((found[0].peer_url, "unix://socket")))
    written = dict(flags_with(config, found[0], found, SETTINGS))
    assert written["listen-peer-urls"] == "https://10.0.0.1:2380,unix://socket"


def test_the_loopback_beside_a_listener_is_no_place_of_its_own() -> None:
    found = members()
    settings = started(etcd_flags(found[0], found, SETTINGS))
    assert settings["listen_client_urls"] == ["https://10.0.0.1:2379", "https://127.0.0.1:2379"]
    assert client_listeners(settings, Place(found[0])) == {"https://10.0.0.1:2379": "https://10.0.0.1:2379"}
    assert peer_listeners(settings, Place(found[0])) == {"https://10.0.0.1:2380": "https://10.0.0.1:2380"}


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ((3, 5, 16), {"a", "b"}),
        # It compares the whole text.
        ((3, 5, 12), {"a,b"}),
        ((3, 4, 27), {"a,b"}),
        # Not known: nobody for sure.
        (None, set()),
    ],
)
def test_a_list_is_what_the_version_makes_of_it(version: t.Any, names: set[str]) -> None:
    found = members()
    flags = {**dict(etcd_flags(found[0], found, SETTINGS)), "peer-cert-allowed-cn": "a,b"}
    assert config_of(started(flags.items()), Place(found[0]), TRUST, version).common_names == names


def test_without_the_flag_everybody_of_the_ca_is_let_in() -> None:
    found = members()
    flags = dict(etcd_flags(found[0], found, SETTINGS))
    del flags["peer-cert-allowed-cn"]
    assert read(started(flags.items()), found[0]).common_names is None
    written = dict(flags_with(replace(wanted_config(found), common_names=None), found[0], found, SETTINGS))
    assert "peer-cert-allowed-cn" not in written


def test_names_that_are_no_members_come_last_and_the_text_is_the_same_in_the_end() -> None:
    found = members()
    config = wanted_config(found)
    more = replace(config, common_names=(config.common_names or frozenset()) | {"aaa.old", "etcd-10.old", "etcd-9.old"})
    names = dict(flags_with(more, found[0], found, SETTINGS))["peer-cert-allowed-cn"]
    assert names == "etcd-1.example.com,etcd-2.example.com,etcd-3.example.com,aaa.old,etcd-9.old,etcd-10.old"


def test_peers_without_a_pair_have_no_tls() -> None:
    found = members()
    flags = {flag: value for flag, value in etcd_flags(found[0], found, SETTINGS) if not flag.startswith("peer-")}
    flags["listen-peer-urls"] = "http://10.0.0.1:2380"
    config = read(started(flags.items()), found[0], "http://10.0.0.1:2380")
    assert not config.peer_tls and config.serves == {"http://10.0.0.1:2380"}


@pytest.mark.parametrize(
    ("flag", "value", "differs"),
    [
        ("heartbeat-interval", "150", True),
        ("trusted-ca-file", "/other", True),
        ("peer-trusted-ca-file", "/other", True),
        ("tls-min-version", "TLS1.2", True),
        # What a Config has by itself, and what is read at the first start alone.
        ("peer-cert-allowed-cn", "a", False),
        ("initial-cluster", "etcd-1=https://10.0.0.1:2380", False),
        ("initial-cluster-state", "existing", False),
        ("initial-advertise-peer-urls", "https://10.0.0.8:2380", False),
        ("peer-crl-file", "/etc/etcd/pki/crl.der", False),
        # Where it listens is told by the places; that it is everywhere is not.
        ("listen-peer-urls", "https://10.0.0.8:2380", False),
        ("listen-peer-urls", "https://0.0.0.0:2380", True),
        # The loopback beside it: for who is on the host, and nobody's place.
        ("listen-client-urls", "https://10.0.0.1:2379", False),
    ],
)
def test_what_is_a_setting(flag: str, value: str, differs: bool) -> None:
    found = members()
    flags = dict(etcd_flags(found[0], found, SETTINGS))
    more = {**flags, flag: value}
    told = [(settings_digest(one), client_flags_in(one)) for one in (flags, more)]
    assert (told[0] != told[1]) is differs


@pytest.mark.parametrize("to_tls", [True, False])
def test_tls_and_none_are_served_to_clients_at_two_ports(to_tls: bool) -> None:
    """While an https URL is served its flags are there, whether TLS comes or goes, and afterwards no more."""
    before, after = members(client_tls=not to_tls), members(client_tls=to_tls, client_port=2479)
    secure, plain = replace(SETTINGS, client_tls=True), replace(SETTINGS, client_tls=False)
    old, new = (plain, secure) if to_tls else (secure, plain)
    present = started(etcd_flags(before[0], before, old))
    at_first = read(present, after[0])
    assert at_first.has_client_tls is not to_tls and bool(at_first.client_flags) is not to_tls
    tls = read(started(etcd_flags(after[0], after, new)), after[0]).client_flags if to_tls else at_first.client_flags
    both = replace(
        wanted_config(after, new), client_serves=at_first.client_serves | {after[0].client_url}, client_flags=tls
    )
    flags = flags_with(both, after[0], after, new, present)
    assert read(started(flags), after[0]) == both
    assert dict(flags)["trusted-ca-file"] == "/etc/etcd/pki/ca.crt" and dict(flags)["client-cert-auth"] == "true"
    assert {url.partition(":")[0] for url in dict(flags)["listen-client-urls"].split(",")} == {"http", "https"}
    assert flags_with(wanted_config(after, new), after[0], after, new, started(flags)) == etcd_flags(
        after[0], after, new
    )


def test_a_list_of_their_own_for_clients_is_told_once() -> None:
    """By a flag or by a variable, in its place in the unit: etcd ends where both say it."""
    found = members()
    by_flag = replace(SETTINGS, extra_flags={"client-crl-file": "/c/crl", "quota-backend-bytes": 1})
    by_variable = replace(SETTINGS, unit_settings={"Service": {"Environment": "ETCD_CLIENT_CRL_FILE=/c/crl"}})
    for settings in (by_flag, by_variable):
        wanted = wanted_config(found, settings)
        assert dict(wanted.client_flags)["client-crl-file"] == "/c/crl"
        assert flags_with(wanted, found[0], found, settings) == etcd_flags(found[0], found, settings)


def test_settings_have_what_the_environment_and_drop_ins_give() -> None:
    found = members()
    settings = replace(SETTINGS, unit_settings={"Service": {"Environment": "ETCD_QUOTA_BACKEND_BYTES=4000000000"}})
    wanted = settings_digest(wanted_flags(found[0], found, settings, {"election-timeout": "2000"}))
    flags = etcd_flags(found[0], found, settings)
    arguments = [f"--{flag}={value}" for flag, value in flags]
    environment = {
        "ETCD_TLS_MIN_VERSION": "TLS1.3",
        "ETCD_QUOTA_BACKEND_BYTES": "4000000000",
        "ETCD_ELECTION_TIMEOUT": "2000",
    }
    runs = deployed_from_arguments(["/usr/bin/etcd", *arguments], environment)
    assert config_of(runs, Place(found[0]), TRUST, VERSION).settings == wanted


@pytest.mark.parametrize(("is_wanted", "flag", "has"), [(True, True, True), (True, False, False), (False, False, True)])
def test_the_flag_for_a_crl_counts_where_one_is_wanted(is_wanted: bool, flag: bool, has: bool) -> None:
    found = members()
    flags = [*etcd_flags(found[0], found, SETTINGS), *([("peer-crl-file", "/crl")] if flag else [])]
    assert config_of(started(flags), Place(found[0]), TRUST, VERSION, is_wanted).has_crl is has
