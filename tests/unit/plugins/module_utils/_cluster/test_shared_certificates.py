# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key that may be another member's, too, is told by its certificate alone, whatever the others present by now."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import ClusterSettings, make_members
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight import certificate_requests
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.preflight_values import (
    Cluster,
    PreflightQuestion,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.shared_certificates import shared_with
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import issue

SETTINGS = ClusterSettings(name="blue", domain="example.com")
CA = issue("any CA", is_ca=True)


def cluster_of(addresses: t.Sequence[str], pems: t.Mapping[str, str | None], **entry: t.Any) -> Cluster:
    entries = [{"name": f"etcd-{number}", "address": one, **entry} for number, one in enumerate(addresses, 1)]
    members = make_members(entries, SETTINGS)
    infos = {name: {"credentials": {"certificate": {"pem": pem}, "private_key": {}}} for name, pem in pems.items()}
    return Cluster(members, infos, PreflightQuestion(cluster_name="blue", batch=list(infos)))


def found(addresses: t.Sequence[str], *names: str, **entry: t.Any) -> list[str]:
    """With whom etcd-1 shares a certificate with these names."""
    pem = issue("etcd", CA, names=names).pem
    cluster = cluster_of(addresses, {"etcd-1": pem}, **entry)
    return shared_with(cluster, cluster.members[0])


BY_NUMBER = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
BY_NAME = ("a.etcd.example.com", "b.etcd.example.com", "c.example.com")


@pytest.mark.parametrize(
    ("addresses", "names", "others"),
    [
        (BY_NUMBER, BY_NUMBER, ["etcd-2", "etcd-3"]),
        (BY_NUMBER, ("10.0.0.1", "10.0.0.3", "localhost"), ["etcd-3"]),
        (BY_NUMBER, ("10.0.0.1", "etcd-1.example.com", "10.0.0.12", "127.0.0.1"), []),
        (("fd00::1", "fd00::2"), ("fd00::1", "fd00:0::2"), ["etcd-2"]),
        (BY_NAME, ("*.etcd.example.com",), ["etcd-2"]),
        (BY_NAME, ("*.example.com", "A.ETCD.example.com", "B.ETCD.example.com"), ["etcd-2", "etcd-3"]),
        # On loopback one address is in every certificate: it tells nothing.
        (("127.0.0.2", "127.0.0.1"), ("127.0.0.1", "127.0.0.2", "localhost"), []),
        (BY_NUMBER, (), []),
    ],
)
def test_a_certificate_that_is_good_for_others(
    addresses: t.Sequence[str], names: t.Sequence[str], others: list[str]
) -> None:
    assert found(addresses, *names) == others


def test_a_name_that_is_to_be_in_it_tells_nothing() -> None:
    assert found(BY_NUMBER, *BY_NUMBER, extra_sans=["lb.example.com"]) == ["etcd-2", "etcd-3"]
    assert found(BY_NAME, "a.etcd.example.com", "lb.example.com", extra_sans=["lb.example.com"]) == []


@pytest.mark.parametrize("pem", [None, "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_one_that_is_not_there_or_can_not_be_read(pem: str | None) -> None:
    cluster = cluster_of(BY_NUMBER, {"etcd-1": pem})
    assert shared_with(cluster, cluster.members[0]) == []
    # And one whose host was not seen.
    assert shared_with(cluster, cluster.members[1]) == []


def test_the_last_one_gets_a_new_key_as_the_first() -> None:
    shared = issue("etcd", CA, names=BY_NUMBER).pem
    own = issue("etcd-1.example.com", CA, names=("etcd-1.example.com", "10.0.0.1")).pem
    for pems in ({"etcd-1": shared, "etcd-2": shared, "etcd-3": shared}, {"etcd-1": own, "etcd-3": shared}):
        requests = certificate_requests(cluster_of(BY_NUMBER, pems))
        assert [one["new_key"] for one in requests] == [pem == shared for pem in pems.values()]
    requests = certificate_requests(cluster_of(BY_NUMBER, {"etcd-1": own}), new_keys=True)
    assert [one["new_key"] for one in requests] == [True]
