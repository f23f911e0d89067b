# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import (
    FlagSettings,
    allowed_common_names,
    etcd_flags,
    flag_value,
    without_tls_of_peers,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import (
    ClusterSettings,
    Member,
    make_members,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.own_flags import OWN_FLAGS
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError

ENTRIES = [{"name": f"etcd-{number}", "address": f"10.0.0.{number}"} for number in (1, 2, 3)]


def members(**settings: t.Any) -> list[Member]:
    return make_members(ENTRIES, ClusterSettings(name="etcd", domain="example.com", **settings))


def settings(**more: t.Any) -> FlagSettings:
    return FlagSettings("etcd", "/var/lib/etcd/etcd", "/etc/etcd/pki", **more)


def flags(**more: t.Any) -> dict[str, str]:
    everyone = members(identity=more.get("identity", "list"))
    pairs = etcd_flags(everyone[0], everyone, settings(**more))
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_tutorials_cluster() -> None:
    assert flags() == {
        "name": "etcd-1",
        "data-dir": "/var/lib/etcd/etcd",
        "initial-cluster": "etcd-1=https://10.0.0.1:2380,etcd-2=https://10.0.0.2:2380,etcd-3=https://10.0.0.3:2380",
        "initial-cluster-token": "etcd",
        "initial-cluster-state": "new",
        "initial-advertise-peer-urls": "https://10.0.0.1:2380",
        "listen-peer-urls": "https://10.0.0.1:2380",
        "peer-cert-file": "/etc/etcd/pki/etcd-1.crt",
        "peer-key-file": "/etc/etcd/pki/etcd-1.key",
        "peer-trusted-ca-file": "/etc/etcd/pki/ca.crt",
        "peer-client-cert-auth": "true",
        "peer-cert-allowed-cn": "etcd-1.example.com,etcd-2.example.com,etcd-3.example.com",
        "advertise-client-urls": "https://10.0.0.1:2379",
        "listen-client-urls": "https://10.0.0.1:2379,https://127.0.0.1:2379",
        "cert-file": "/etc/etcd/pki/etcd-1.crt",
        "key-file": "/etc/etcd/pki/etcd-1.key",
        "trusted-ca-file": "/etc/etcd/pki/ca.crt",
        "client-cert-auth": "true",
        # etcd 3.4 has another logger by default; those after it know this one alone.
        "logger": "zap",
    }


def test_peers_that_go_on_to_speak_http() -> None:
    """Nothing of TLS between peers is left, and clients keep theirs."""
    everyone = members()
    whole = etcd_flags(everyone[0], everyone, settings(revocation_list=True))
    found = dict(without_tls_of_peers(whole))
    assert (
        found["initial-cluster"]
        == "etcd-1=http://10.0.0.1:2380,etcd-2=http://10.0.0.2:2380,etcd-3=http://10.0.0.3:2380"
    )
    assert found["listen-peer-urls"] == found["initial-advertise-peer-urls"] == "http://10.0.0.1:2380"
    assert [flag for flag in found if flag.startswith("peer-")] == []
    kept = {flag: value for flag, value in whole if "peer" not in flag and flag != "initial-cluster"}
    assert kept.items() <= found.items() and "https://10.0.0.1:2379" in found["listen-client-urls"]


@pytest.mark.parametrize(
    ("identity", "allowed"),
    [("list", "etcd-1.example.com,etcd-2.example.com,etcd-3.example.com"), ("shared", "etcd.peers")],
)
def test_who_is_allowed_by_identity(identity: str, allowed: str) -> None:
    assert flags(identity=identity)["peer-cert-allowed-cn"] == allowed


@pytest.mark.parametrize("more", [{}, {"client_tls": False}, {"min_tls_version": "TLS1.2"}])
def test_what_is_rendered_is_the_roles_own(more: dict[str, t.Any]) -> None:
    """So that a drop-in that takes its place is told (``next_start.overrides``): but for what a user may give, too."""
    for_users = {"cipher-suites", "initial-cluster-state", "logger"}
    assert set(flags(**more)) - for_users <= OWN_FLAGS


def test_order_and_list_are_the_same_for_every_member() -> None:
    everyone = members()
    lists = {dict(etcd_flags(member, everyone, settings()))["peer-cert-allowed-cn"] for member in everyone}
    assert lists == {",".join(allowed_common_names(everyone))}
    assert len({tuple(flag for flag, _value in etcd_flags(member, everyone, settings())) for member in everyone}) == 1


def test_client_side_without_tls_has_no_files() -> None:
    everyone = members(client_tls=False)
    found = dict(etcd_flags(everyone[0], everyone, settings(client_tls=False)))
    assert found["listen-client-urls"] == "http://10.0.0.1:2379,http://127.0.0.1:2379"
    assert not {"cert-file", "key-file", "trusted-ca-file", "client-cert-auth"} & set(found)


def test_a_client_ca_of_its_own_comes_with_its_pair() -> None:
    found = flags(client_ca_file="/c/ca.crt", client_cert_file="/c/a.crt", client_key_file="/c/a.key")
    assert (found["trusted-ca-file"], found["cert-file"], found["key-file"]) == ("/c/ca.crt", "/c/a.crt", "/c/a.key")
    assert found["peer-trusted-ca-file"] == "/etc/etcd/pki/ca.crt"
    with pytest.raises(InputError, match="belong together"):
        flags(client_ca_file="/c/ca.crt")


@pytest.mark.parametrize(
    ("address", "listen", "expected"),
    [
        ("fd00::1", None, "https://[fd00::1]:2379,https://[::1]:2379"),
        ("127.0.0.2", None, "https://127.0.0.2:2379"),
        ("etcd-1.example.com", None, "https://0.0.0.0:2379"),
        ("10.0.0.1", "::", "https://[::]:2379"),
        ("192.0.2.1", "10.0.0.1", "https://10.0.0.1:2379,https://127.0.0.1:2379"),
    ],
)
def test_where_the_client_port_listens(address: str, listen: str | None, expected: str) -> None:
    everyone = make_members([{"name": "a", "address": address, "listen_address": listen}], ClusterSettings(name="etcd"))
    assert dict(etcd_flags(everyone[0], everyone, settings()))["listen-client-urls"] == expected


def test_loopback_can_be_left_out() -> None:
    assert flags(listen_loopback=False)["listen-client-urls"] == "https://10.0.0.1:2379"


def test_extra_flags_come_last_and_sorted() -> None:
    everyone = members()
    extra = {
        "quota-backend-bytes": 8589934592,
        "auto-compaction-mode": "periodic",
        "pre-vote": True,
        "cipher-suites": GCM.split(","),
    }
    pairs = etcd_flags(everyone[0], everyone, settings(extra_flags=extra, min_tls_version="TLS1.2"))
    assert pairs[-4:] == [
        ("auto-compaction-mode", "periodic"),
        ("cipher-suites", GCM),
        ("pre-vote", "true"),
        ("quota-backend-bytes", "8589934592"),
    ]


GCM = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,"
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
)


def test_suites_are_given_with_tls_1_2_alone() -> None:
    assert "cipher-suites" not in flags()
    assert flags(min_tls_version="TLS1.2")["cipher-suites"] == GCM
    # With an empty flag etcd ends at once: empty means etcd's own.
    for empty in ("", []):
        assert "cipher-suites" not in flags(min_tls_version="TLS1.2", extra_flags={"cipher-suites": empty})
    own = {"cipher-suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]}
    assert flags(min_tls_version="TLS1.2", extra_flags=own)["cipher-suites"] == own["cipher-suites"][0]
    for maximum in ("TLS1.2", "TLS1.3", ""):
        assert flags(min_tls_version="TLS1.2", extra_flags={"tls-max-version": maximum})["tls-max-version"] == maximum
    assert flags(extra_flags={"tls-max-version": "TLS1.3"})["tls-max-version"] == "TLS1.3"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"extra_flags": {"cipher-suites": [GCM]}}, "--cipher-suites is refused: with TLS 1.3 alone"),
        ({"extra_flags": {"tls-max-version": "TLS1.2"}}, "--tls-max-version is refused: with TLS 1.3 alone"),
        ({"extra_flags": {"tls-min-version": "TLS1.3"}}, "--tls-min-version is set by the role"),
        ({"min_tls_version": "TLS1.2", "extra_flags": {"tls-min-version": "TLS1.2"}}, "use etcd_peer_tls_min_version"),
        ({"min_tls_version": "1.3"}, "etcd_peer_tls_min_version: '1.3' is not known: TLS1.2 or TLS1.3 is wanted"),
    ],
)
def test_what_etcd_would_not_start_with_is_refused(more: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        flags(**more)


def test_a_logger_of_the_users_is_kept() -> None:
    assert flags(identity="shared", extra_flags={"logger": "capnslog"})["logger"] == "capnslog"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("--pre-vote", "without dashes"),
        ("Pre-Vote", "without dashes"),
        ("peer-cert-allowed-cn", "is set by the role"),
        ("name", "is set by the role"),
        ("client-cert-auth", "is set by the role"),
        ("config-file", "etcd would ignore every flag"),
        ("peer-auto-tls", "self-signed"),
        ("peer-cert-allowed-hostname", "refuses to start"),
        ("peer-skip-client-san-verification", "stolen certificate"),
        ("experimental-peer-skip-client-san-verification", "stolen certificate"),
        ("force-new-cluster", "dropped"),
        ("listen-client-http-urls", "asked at their client URLs"),
        ("enable-grpc-gateway", "asked by the gateway"),
        ("client-cert-allowed-hostname", "ask each other with their own certificates"),
        ("discovery", "both a discovery and the members"),
        ("discovery-srv", "both a discovery and the members"),
        ("proxy", "no member"),
        ("unsafe-no-fsync", "power cut"),
        ("version", "print its version and end"),
        ("help", "print its help and end"),
    ],
)
def test_extra_flags_that_would_break_the_fence_are_refused(name: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        flags(extra_flags={name: "x"})
    assert words in str(caught.value) and name.lstrip("-") in str(caught.value)


@pytest.mark.parametrize("value", [True, "true", "T", 1])
def test_the_gateway_may_be_named(value: t.Any) -> None:
    assert "enable-grpc-gateway" in flags(extra_flags={"enable-grpc-gateway": value})
    for off in (False, "false", 0, "no"):
        with pytest.raises(InputError, match="--enable-grpc-gateway is refused"):
            flags(extra_flags={"enable-grpc-gateway": off})


@pytest.mark.parametrize("value", [None, {"a": 1}])
def test_a_value_that_is_none_is_refused(value: t.Any) -> None:
    with pytest.raises(InputError, match="--max-txn-ops"):
        flag_value("max-txn-ops", value)


def test_the_list_of_the_ca_is_checked_at_both_ports_where_it_signs_for_both() -> None:
    found = flags(revocation_list=True)
    assert found["peer-crl-file"] == found["client-crl-file"] == "/etc/etcd/pki/ca.crl"
    assert "client-crl-file" not in flags(revocation_list=True, client_tls=False)
    files = {f"client_{kind}_file": f"/etc/clients/{kind}" for kind in ("ca", "cert", "key")}
    own = flags(revocation_list=True, **files)
    assert "client-crl-file" not in own and own["peer-crl-file"] == "/etc/etcd/pki/ca.crl"


def test_a_list_of_the_users_is_kept() -> None:
    found = flags(revocation_list=True, extra_flags={"client-crl-file": "/etc/clients.crl"})
    assert found["client-crl-file"] == "/etc/clients.crl" and found["peer-crl-file"] == "/etc/etcd/pki/ca.crl"
    assert flags(extra_flags={"peer-crl-file": "/etc/mine.crl"})["peer-crl-file"] == "/etc/mine.crl"
