# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a host is sent to: no host's word alone sends another anywhere."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.calls import calls_of, peer_ports
from ansible_collections.ringfence.etcd.plugins.plugin_utils._audit.facts import claims_of, place_of
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.audit_samples import (
    CA,
    HOSTS,
    WORKER,
    fenced,
    process,
    told,
    url,
)


def called_by(host: str, states: t.Mapping[str, t.Any], addresses: t.Mapping[str, str] | None = None) -> list[str]:
    claims = claims_of(states)
    return [port["url"] for port in calls_of(host, claims, peer_ports(claims, addresses or {}))["peer_ports"]]


def test_everybody_calls_the_members() -> None:
    states, _met = fenced()
    for host in (*HOSTS, WORKER):
        assert called_by(host, states) == [url(one) for one in HOSTS]
    options = calls_of(WORKER, claims_of(states), [])
    assert options["own"] == [] and options["ca_certificates"] == [CA.pem]
    assert options["common_names"] == ["member-etcd-1", "member-etcd-2", "member-etcd-3"]
    (own,) = calls_of("etcd-1", claims_of(states), [])["own"]
    assert own["name"] == "etcd-1" and own["peer_key_file"] == "/k"


def liar(peer_url: str) -> dict[str, t.Any]:
    found = process("etcd-3", {"initial-advertise-peer-urls": peer_url})
    found["live_members"] = [{"member_id": "a3", "name": "etcd-3", "peer_urls": [peer_url]}]
    return found


@pytest.mark.parametrize(
    "peer_url",
    [
        "https://169.254.169.254:80",
        "https://vault.internal:8200",
        "https://127.0.0.1:2380",
        "https://localhost:22",
        "https://[::1]:2380",
        "https://0.0.0.0:2380",
        "https://[::ffff:127.0.0.1]:2380",
    ],
)
def test_a_host_sends_nobody_but_itself_where_it_says(peer_url: str) -> None:
    states, _met = fenced()
    states["etcd-3"] = told(liar(peer_url))
    assert called_by("etcd-3", states) == [url("etcd-1"), url("etcd-2"), peer_url]
    for host in ("etcd-1", "etcd-2", WORKER):
        assert called_by(host, states) == [url("etcd-1"), url("etcd-2")]


@pytest.mark.parametrize("peer_url", ["https://10.0.0.9:2380/x", "ftp://10.0.0.9:1", "https://10.0.0.9", "x", ""])
def test_what_is_no_peer_url_is_called_by_nobody(peer_url: str) -> None:
    states, _met = fenced()
    states["etcd-3"] = told(liar(peer_url))
    assert called_by("etcd-3", states) == [url("etcd-1"), url("etcd-2")]


def test_a_host_is_called_where_the_inventory_has_it() -> None:
    states, _met = fenced()
    states["etcd-3"] = told(liar("https://10.0.0.9:2380"))
    assert "https://10.0.0.9:2380" in called_by("etcd-1", states, {"etcd-3": "10.0.0.9"})
    assert "https://10.0.0.9:2380" not in called_by("etcd-1", states, {"etcd-2": "10.0.0.9"})


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("https://[fd00::1]:2380", "https://[fd00:0:0::0001]:2380/", True),
        ("https://ETCD-1.example.com:2380", "https://etcd-1.example.com:2380", True),
        ("https://10.0.0.1:2380", "http://10.0.0.1:2380", True),
        ("https://10.0.0.1:2380", "https://10.0.0.1:2382", False),
        ("https://[fd00::1%eth0]:2380", "https://[fd00::1]:2380", False),
    ],
)
def test_one_place_may_be_written_in_several_ways(one: str, other: str, is_same: bool) -> None:
    assert (place_of(one) == place_of(other)) is is_same


def test_what_others_are_made_to_do_has_a_limit() -> None:
    states, _met = fenced()
    states["etcd-3"] = told(*(liar(f"https://10.0.0.1:{port}") for port in range(1, 200)))
    assert len(called_by("etcd-3", states)) <= 60
