# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which certificates the clients' CA is asked for, and when it is asked for none."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import serial_hex
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import pem_text
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys
from ansible_collections.ringfence.etcd.plugins.plugin_utils._client_plan import (
    ClientPlan,
    ClientQuestion,
    left_without,
    plan_clients,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    Issued,
    issue,
    revocation_list,
)

CA = issue("etcd client CA", is_ca=True)
OTHER = issue("another client CA", is_ca=True)
BACKUP, APP = issue("backup", CA), issue("app", CA)
OWN, OTHERS = (read_certificates(one.pem)[0].fingerprint for one in (CA, OTHER))
PLACES = {"dns_names": ["localhost"], "ip_addresses": ["127.0.0.1"]}
MEMBERS = [{"name": name, "host": name, "common_name": f"{name}.example.com", **PLACES} for name in ("m1", "m2")]
CLIENTS = [
    {"id": f"{name}@db-1", "common_name": name, "dns_names": [], "ip_addresses": []} for name in ("backup", "app")
]
NOTHING = {"present": {"certificate": None, "private_key_matches": None, "authorities": []}}


def has(issued: Issued, *authorities: str) -> dict[str, t.Any]:
    return {"present": {"certificate": issued.pem, "private_key_matches": True, "authorities": list(authorities)}}


def number(issued: Issued) -> str:
    return serial_hex(issued.certificate.serial_number)


def meant(issued: Issued, revoked: bool = False) -> dict[str, t.Any]:
    return {"serial_number": number(issued), "key": keys.public_key_digest(issued.key.public_key()), "revoked": revoked}


def authority(**changes: t.Any) -> dict[str, t.Any]:
    listed = pem_text("X509 CRL", revocation_list(CA)).decode("ascii")
    known = {"to_revoke": [], "not_revoked": [], "index_begun": "2026-11-27T09:00:00Z", "pending": []}
    return {"ca": {"certificate": CA.pem, "revocation_list_pem": listed, **known, **changes}}


def planned(**changes: t.Any) -> ClientPlan:
    given: dict[str, t.Any] = {
        "members": MEMBERS,
        "clients": CLIENTS,
        "of_members": {"m1": has(BACKUP, OWN), "m2": has(BACKUP, OWN)},
        "of_clients": {"backup@db-1": has(BACKUP, OWN), "app@db-1": has(APP, OWN)},
        "authority": authority(),
    }
    return plan_clients(ClientQuestion(**{**given, **changes}))


def new_keys(plan: ClientPlan) -> list[str]:
    return [one["name"] for one in plan.requests if one["new_key"]]


def test_members_and_clients_are_asked_for_with_what_they_have() -> None:
    plan = planned()
    assert [(one["name"], one["purpose"]) for one in plan.requests] == [
        ("m1", "peer"),
        ("m2", "peer"),
        ("backup@db-1", "client"),
        ("app@db-1", "client"),
    ]
    assert plan.requests[3]["certificate"] == APP.pem and plan.requests[3]["private_key_matches"] is True
    assert new_keys(plan) == [] and plan.unseen == () and plan.revoke == () and plan.trusted_fingerprints == ()


def test_a_member_that_moves_has_both_places_in_its_certificate() -> None:
    listed = {"m1": ["old.example.com", "127.0.0.1", "fd00::1"], "m2": ["localhost"], "backup@db-1": ["10.0.0.9"]}
    plan = planned(places=listed)
    first, second, client, _other = plan.requests
    assert first["dns_names"] == ["localhost", "old.example.com"]
    assert first["ip_addresses"] == ["127.0.0.1", "fd00::1"]
    assert {key: second[key] for key in PLACES} == PLACES and client["ip_addresses"] == []
    assert plan.moving == ("m1",) and planned().moving == ()
    # What is asked for without it is what it was.
    assert {key: planned().requests[0][key] for key in PLACES} == PLACES


def test_who_is_not_seen_is_asked_for_nothing() -> None:
    found = {"backup@db-1": {"unreachable": True, "msg": "no\nroute"}, "app@db-1": {"failed": True, "msg": "no room"}}
    plan = planned(of_clients=found)
    assert plan.unseen == ("client backup@db-1: no route", "client app@db-1: no room")
    assert [one["name"] for one in plan.requests] == ["m1", "m2"]
    # Whatever else a result has in it.
    assert planned(of_clients={"backup@db-1": {**NOTHING, "failed": True}}).unseen[0].startswith("client backup@db-1: ")


def test_who_has_no_certificate_in_the_end_is_told_with_the_first_reason() -> None:
    before, away = {"backup@db-1": NOTHING, "app@db-1": NOTHING}, {"unreachable": True, "msg": "no\nroute"}
    assert left_without(CLIENTS, before, before) == {}
    done = {"backup@db-1": {"failed": True, "msg": "no room"}, "app@db-1": {**NOTHING, "failed": True}}
    assert left_without(CLIENTS, before, done) == {
        "backup@db-1": "no room",
        "app@db-1": "its host did not answer",
    }
    # It was asked for nothing then.
    found = left_without(CLIENTS, {**before, "app@db-1": away}, {**before, "app@db-1": {"skipped": True}})
    assert found == {"app@db-1": "no route"}
    assert left_without([], before, {}) == {}


def test_a_ca_is_made_where_all_members_were_seen_and_none_has_one() -> None:
    nothing = {"ca": None}
    seen = {"of_members": {"m1": NOTHING, "m2": NOTHING}, "of_clients": {}}
    assert planned(authority=nothing, **seen).no_new_ca_because is None
    assert (
        planned(authority=nothing, **seen, ca_is_lost="it goes with the job").no_new_ca_because
        == "it goes with the job"
    )
    plan = planned(authority=nothing, of_members={"m1": NOTHING}, of_clients={})
    assert plan.no_new_ca_because == "m2 can't be seen in this run, and may trust one: run over all members"
    # Of members and of clients: what is trusted somewhere is not made anew.
    plan = planned(
        authority=nothing, of_members={"m1": NOTHING, "m2": has(APP, OWN)}, of_clients={"app@db-1": has(APP, OTHERS)}
    )
    assert plan.trusted_fingerprints == tuple(sorted((OWN, OTHERS)))


def test_another_ca_than_a_member_trusts_is_refused() -> None:
    with pytest.raises(RefusedError, match=f"member m2 trusts CA {OTHERS} at its client port, and not the one at hand"):
        planned(of_members={"m1": NOTHING, "m2": has(BACKUP, OTHERS)})
    # With the peers' CA beside it it is the one; a client of another CA gets a certificate of this one.
    planned(of_members={"m1": has(BACKUP, OTHERS, OWN), "m2": NOTHING}, of_clients={"app@db-1": has(APP, OTHERS)})


def test_what_is_revoked_or_is_to_be_gets_another_key() -> None:
    assert new_keys(planned(authority=authority(to_revoke=[meant(APP)]), revokes=True)) == ["app@db-1"]
    listed = pem_text("X509 CRL", revocation_list(CA, APP.certificate.serial_number)).decode("ascii")
    assert new_keys(planned(authority=authority(revocation_list_pem=listed))) == ["app@db-1"]
    # An older certificate of the key that it still has.
    older = issue("app", CA, key=APP.key)
    plan = planned(authority=authority(to_revoke=[meant(older), meant(BACKUP, revoked=True)]), revokes=True)
    assert new_keys(plan) == ["m1", "m2", "backup@db-1", "app@db-1"] and plan.revoke == (number(older),)
    assert new_keys(planned(new_keys=True)) == ["m1", "m2", "backup@db-1", "app@db-1"]


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (authority(not_revoked=["'x' is nobody"]), "etcd_peer_tls_revoked: 'x' is nobody"),
        ({"ca": None}, "can't be found out: there is no CA for clients yet"),
        ({"msg": "the host is away"}, "can't be found out: the host is away"),
        (authority(index_begun=None, pending=[{"text": "no passphrase"}]), "can't be found out: no passphrase"),
    ],
)
def test_a_word_that_means_nothing_is_refused(answer: dict[str, t.Any], part: str) -> None:
    with pytest.raises(RefusedError) as caught:
        planned(authority=answer, revokes=True)
    assert part in str(caught.value)
