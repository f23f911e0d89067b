# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who calls client ports in a proof: made by the clients' CA, given by the user, or not there, with the reason."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import stranger
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import load_certificate
from ansible_collections.ringfence.etcd.plugins.modules import etcd_peer_stranger
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_maker
from cryptography.x509.oid import ExtendedKeyUsageOID

CA = factory.authority()
CLIENTS_CA = factory.authority(number=2, common_name="etcd client CA")
NOW = factory.NOW
MEMBER = {"name": "etcd-1", "common_name": "etcd-1.example.com", "dns_names": [], "ip_addresses": ["10.0.0.1"]}
LONG_AGO = NOW - 20 * factory.DAY
KEY = factory.key_of("ecdsa-p256", 9)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """The CA of clients, as ``etcd_ca`` leaves it."""
    (tmp_path / "ca.crt").write_bytes(CLIENTS_CA.pem)
    (tmp_path / "ca.key").write_bytes(CLIENTS_CA.key_pem)
    return tmp_path


def made(folder: pathlib.Path | None, authority: str = "own", **more: t.Any) -> dict[str, t.Any]:
    defaults = {name: option.get("default") for name, option in etcd_peer_stranger.argument_spec().items()}
    given = {
        "members": [MEMBER],
        "ca_certificate_content": CA.pem.decode(),
        "ca_private_key_content": CA.key_pem.decode(),
        "client_authority": authority,
        "client_ca_directory": None if folder is None else str(folder),
    }
    return stranger.run({**defaults, **given, **more}, NOW, True)


def facts_of(pem: str) -> t.Any:
    return read_certificates(pem.encode(), "it")[0]


def given_client() -> dict[str, str]:
    """A client's pair that a user has had made."""
    profile = dataclasses.replace(factory.profile("app", common_name="app"), extended_key_usages=("clientAuth",))
    pem = factory.member_pem(CLIENTS_CA, profile, KEY)
    return {"client_certificate": pem.decode(), "client_private_key": keys.private_key_pem(KEY).decode()}


def by_hand(**changes: t.Any) -> dict[str, str]:
    """One that this collection would not issue."""
    found = certificate_maker.issue("app", **changes)
    return {"client_certificate": found.pem, "client_private_key": found.key_pem}


def test_one_is_of_the_clients_ca_and_one_of_an_unknown_one_of_its_name(folder: pathlib.Path) -> None:
    found = made(folder)
    assert found["client_problem"] is None
    client, other = (facts_of(found["clients"][f"client{case}_certificate"]) for case in ("", "_unknown_ca"))
    for one in (client, other):
        assert one.issuer_common_name == "etcd client CA" and tuple(one.extended_key_usage) == ("clientAuth",)
        # No user of RBAC has it, and no place is in it.
        assert one.common_name.startswith("client-") and one.common_name.endswith(".ringfence.invalid")
        assert not one.dns_names and not one.ip_addresses
        assert (one.not_after - NOW).total_seconds() == 600
    signed = [
        certificates.is_signed_by(load_certificate(found["clients"][name].encode(), "it"), CLIENTS_CA.key.public_key())
        for name in ("client_certificate", "client_unknown_ca_certificate")
    ]
    assert signed == [True, False]


def test_where_clients_have_no_ca_of_their_own_it_is_the_peers(folder: pathlib.Path) -> None:
    client = facts_of(made(folder, "peers")["clients"]["client_certificate"])
    assert client.issuer_common_name == facts_of(CA.pem.decode()).common_name
    assert tuple(client.extended_key_usage) == ("clientAuth",)


def test_where_peers_are_clients_too_one_of_the_peers_ca_does(folder: pathlib.Path) -> None:
    """Where the other CA is not at hand, and the user gave no client."""
    of_peers = facts_of(CA.pem.decode()).common_name

    def issuer(found: dict[str, t.Any]) -> str:
        assert found["client_problem"] is None
        return str(facts_of(found["clients"]["client_certificate"]).issuer_common_name)

    assert issuer(made(None, peers_are_clients=True)) == of_peers
    assert issuer(made(folder, peers_are_clients=True)) == "etcd client CA"
    given = given_client()
    found = made(None, peers_are_clients=True, **given)
    assert found["clients"]["client_certificate"] == given["client_certificate"]
    nothing = made(None, peers_are_clients=True, ca_private_key_content=None)
    assert nothing["client_problem"] and "client_certificate" not in nothing["clients"]


@pytest.mark.parametrize(
    ("more", "issuer"),
    [
        ({}, "etcd client CA"),
        ({"make": False}, "etcd client CA"),
        ({"authority": "peers"}, "etcd peer CA"),
        ({"authority": "nobody"}, "etcd peer CA"),
        # While clients go from one to the other some members know the peers' CA alone.
        ({"peers_are_clients": True}, "etcd peer CA"),
        ({"peers_are_clients": True, "ca_private_key_content": None}, "etcd client CA"),
        ({"ca_private_key_content": None}, "etcd client CA"),
        ({"folder": None}, None),
    ],
)
def test_the_pair_for_calls_to_the_api_is_of_whom_all_members_let_in(
    folder: pathlib.Path, more: dict[str, t.Any], issuer: str | None
) -> None:
    (entry,) = made(**{"folder": folder, "client_pair": True, **more})["members"]
    pem = entry.get("api_certificate")
    assert (None if pem is None else facts_of(pem).issuer_common_name) == issuer
    if pem is not None:
        assert facts_of(pem).common_name is None and tuple(facts_of(pem).extended_key_usage) == ("clientAuth",)


@pytest.mark.parametrize("more", [{"authority": "nobody"}, {"make": False}])
def test_where_nobody_is_asked_for(folder: pathlib.Path, more: dict[str, t.Any]) -> None:
    found = made(folder, **more)
    assert (found["clients"], found["client_problem"]) == ({}, None)


def test_without_the_key_there_is_no_client_and_the_reason(folder: pathlib.Path) -> None:
    (folder / "ca.key").unlink()
    found = made(folder)
    assert found["client_problem"] == f"there is no {folder}/ca.key of the clients' CA" and found["problem"] is None
    assert set(found["clients"]) == {"client_unknown_ca_certificate", "client_unknown_ca_private_key"}
    assert "set client_ca_directory" in made(None)["client_problem"]


def test_a_passphrase_opens_it(folder: pathlib.Path) -> None:
    (folder / "ca.key").write_bytes(keys.private_key_pem(CLIENTS_CA.key, "correct horse"))
    assert made(folder, client_ca_private_key_passphrase="correct horse")["client_problem"] is None
    assert "passphrase" in made(folder)["client_problem"]


def test_the_key_of_another_ca_signs_nothing(folder: pathlib.Path) -> None:
    (folder / "ca.key").write_bytes(CA.key_pem)
    assert "is not the key of the CA certificate" in made(folder)["client_problem"]


def test_a_client_that_is_given_takes_the_place_of_one_that_can_not_be_made(folder: pathlib.Path) -> None:
    given = given_client()
    assert made(folder, **given)["clients"]["client_certificate"] != given["client_certificate"]
    found = made(None, **given)
    assert found["client_problem"] is None
    assert found["clients"]["client_certificate"] == given["client_certificate"]
    # Which Ansible would blank out: the controller adds it.
    assert "client_private_key" not in found["clients"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: by_hand(extended_key_usages=(ExtendedKeyUsageOID.SERVER_AUTH,)), "is not for clientAuth"),
        (lambda: by_hand(not_before=LONG_AGO, not_after=LONG_AGO + factory.DAY), "and not now"),
        (lambda: {**given_client(), "client_private_key": CA.key_pem.decode()}, "does not belong to"),
        (lambda: {**given_client(), "client_certificate": "rubbish"}, "client_certificate"),
    ],
)
def test_one_that_would_be_refused_anyway_is_not_used(given: t.Callable[[], dict[str, str]], words: str) -> None:
    found = made(None, **given())
    assert words in found["client_problem"] and "client_certificate" not in found["clients"]


def test_a_stranger_that_is_given_is_a_client_where_their_ca_is_one() -> None:
    pem = factory.member_pem(CA, factory.profile("stranger", common_name="nobody"), KEY).decode()
    pair = {"stranger_certificate": pem, "stranger_private_key": keys.private_key_pem(KEY).decode()}
    found = made(None, "peers", ca_private_key_content=None, **pair)
    assert found["client_problem"] is None and found["clients"]["client_certificate"] == pem
    assert made(None, "own", ca_private_key_content=None, **pair)["client_problem"] is not None
