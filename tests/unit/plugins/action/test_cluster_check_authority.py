# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check of the whole cluster says of its CA: one that is missing, another one, a new one."""

from __future__ import annotations

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates
from ansible_collections.ringfence.etcd.tests.unit.plugins.action.checked_cluster import (
    CA,
    MEMBERS,
    OTHER_CA,
    States,
    codes,
    evaluated,
    state,
)


@pytest.fixture
def states() -> States:
    return {member.name: state(number) for number, member in enumerate(MEMBERS, 1)}


def test_a_living_cluster_may_be_told_to_take_a_new_ca(states: States) -> None:
    """And what has stopped may not: whether it trusts another one can't be seen in what runs."""
    assert "etcd-1 has /etc/etcd/pki/ca.crt already" in str(evaluated(states)["no_new_ca_because"])
    assert evaluated(states, new_ca=True)["no_new_ca_because"] is None
    for one in states.values():
        one["live_members"] = None
    assert "etcd-1 has /etc/etcd/pki/ca.crt already" in str(evaluated(states, new_ca=True)["no_new_ca_because"])


NO_CA = {"certificate": None, "pending": [{"code": "missing", "text": "there is none"}]}


def stopped(states: States) -> None:
    """Nobody tells a list."""
    for one in states.values():
        one["info"]["process"]["running"] = False
        one["live_members"] = None


@pytest.mark.parametrize("lives", [True, False])
def test_a_folder_without_the_cas_of_the_hosts_is_refused_before_anything_is_changed(
    states: States, lives: bool
) -> None:
    """An install and a removal come before the CA is read again."""
    if not lives:
        stopped(states)
    result = evaluated(states, ca=NO_CA, removed=["etcd-9"], install="package")
    assert codes(result) == ["ca_missing"]
    assert "there is no CA in the folder of etcd_peer_tls_ca_directory" in result["failures"][0]["text"]
    assert str(result["no_new_ca_because"]) in result["failures"][0]["text"]
    # What does not use the CA, and a first deployment.
    assert codes(evaluated(states, ca=NO_CA, parts=["verify"])) == []
    assert codes(evaluated(states, ca=NO_CA, ca_certificate_content=CA.pem.decode())) == []
    assert "ca_missing" not in codes(evaluated(states, ca=NO_CA, new_ca=True)) or not lives


def test_a_ca_that_no_host_trusts_is_refused_before_anything_is_changed(states: States) -> None:
    """Of a cluster that stands still no plan is made that would tell it."""
    stopped(states)
    other = {"certificate": OTHER_CA.pem.decode(), "pending": []}
    result = evaluated(states, ca=other)
    assert codes(result) == ["other_ca"] and "etcd_peer_tls_new_ca: true" in result["failures"][0]["text"]
    assert codes(evaluated(states, ca=other, parts=["verify"])) == []
    assert "other_ca" not in codes(evaluated(states, ca=other, new_ca=True))


def test_half_of_a_stopped_cluster_gets_no_certificates_of_another_ca(states: States) -> None:
    """A change to another CA that ended half-way: one host trusts both, and those that are not seen may not."""
    stopped(states)
    both = (CA, OTHER_CA)
    for one in states.values():
        one["info"]["credentials"]["ca"]["certificates"] = [
            {"fingerprint": certificates.fingerprint(authority.certificate)} for authority in both
        ]
        one["info"]["credentials"]["ca"]["pem"] = "".join(authority.pem.decode() for authority in both)
    other = {"certificate": OTHER_CA.pem.decode(), "pending": []}
    assert codes(evaluated(states, ca=other)) == []
    del states["etcd-2"], states["etcd-3"]
    for more in ({}, {"new_ca": True}):
        result = evaluated(states, ca=other, play=["etcd-1"], **more)
        assert "ca_change_unseen" in codes(result)
        text = next(one["text"] for one in result["failures"] if one["code"] == "ca_change_unseen")
        assert (
            text.startswith("member etcd-1: ")
            and "etcd-2, etcd-3 can't be seen" in text
            and "may not trust that one" in text
        )
    # Its own CA is none of that.
    assert "ca_change_unseen" not in codes(evaluated(states, play=["etcd-1"]))
