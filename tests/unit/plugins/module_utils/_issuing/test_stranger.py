# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stranger is wrong in one thing alone: what is wrong in it, what is right, and when one can't be made."""

from __future__ import annotations

import json
import pathlib
import typing as t
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, InputError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import STRANGER, UNKNOWN_CA
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.stranger import CLIENT, run
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import Material, check_credentials
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.modules.etcd_peer_stranger import argument_spec
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_maker as maker
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

NOW, DAY = factory.NOW, factory.DAY
CA = factory.authority()
MEMBERS = [
    {
        "name": f"etcd-{number}",
        "common_name": f"etcd-{number}.example.com",
        "dns_names": [f"etcd-{number}.example.com", "localhost"],
        "ip_addresses": [f"10.0.0.{number}", "127.0.0.1"],
        # As the filter gives them: what else is known of a member does not matter here.
        "peer_url": f"https://10.0.0.{number}:2380",
    }
    for number in (1, 2)
]


def params(ca: t.Any = CA, **changes: t.Any) -> dict[str, t.Any]:
    """The module's options, the others as they are by themselves."""
    defaults = {name: option.get("default") for name, option in argument_spec().items()}
    given: dict[str, t.Any] = {
        "members": MEMBERS,
        "ca_certificate_content": ca.pem.decode(),
        "ca_private_key_content": ca.key_pem.decode(),
    }
    return {**defaults, **given, **changes}


def made(ca: t.Any = CA, now: datetime | None = None, **changes: t.Any) -> dict[str, t.Any]:
    """Made now, not when the tests were collected: they live for minutes, and a handshake looks at the clock."""
    return run(params(ca, **changes), now or datetime.now(timezone.utc), result_is_hidden=True)


def public_pem(key: t.Any) -> bytes:
    pem, info = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return t.cast(bytes, key.public_bytes(pem, info))


def certificate_of(entry: dict[str, str], case: str) -> Certificate:
    (found,) = read_certificates(entry[f"{case}_certificate"])
    return found


def credentials_of(entry: dict[str, str], case: str) -> tuple[Material, Material]:
    kinds = ("certificate", "private_key")
    certificate, key = (Material(kind, entry[f"{case}_{kind}"].encode()) for kind in kinds)
    return certificate, key


def test_a_stranger_is_wrong_in_its_name_alone() -> None:
    result = made()
    assert result["problem"] is None
    for entry, member in zip(result["members"], MEMBERS):
        assert entry["name"] == member["name"]
        # A handshake with the members' own trust bundle: chain, dates, key and key usages are good.
        leaf = check_credentials(Material("ca", CA.pem), *credentials_of(entry, STRANGER))
        assert leaf.common_name == result["common_name"]
        assert list(leaf.dns_names) == member["dns_names"] and list(leaf.ip_addresses) == member["ip_addresses"]
        assert leaf.extended_key_usage == ("serverAuth", "clientAuth") and not leaf.is_ca
    assert len(result["members"]) == len(MEMBERS)


def test_its_name_is_nobody_s_and_new_in_each_run() -> None:
    names = {made()["common_name"] for _run in range(3)}
    assert len(names) == 3 and all(name.endswith(".invalid") for name in names)


def test_one_of_an_unknown_ca_is_wrong_in_its_issuer_alone() -> None:
    result = made()
    for entry, member in zip(result["members"], MEMBERS):
        certificate, key = credentials_of(entry, UNKNOWN_CA)
        with pytest.raises(CryptoError) as caught:
            check_credentials(Material("ca", CA.pem), certificate, key)
        assert caught.value.details["reason"] == "unknown_authority"
        leaf = certificate_of(entry, UNKNOWN_CA)
        # Of the very name of the members' own.
        assert leaf.issuer == read_certificates(CA.pem)[0].subject
        assert leaf.common_name == member["common_name"]
        assert list(leaf.dns_names) == member["dns_names"] and list(leaf.ip_addresses) == member["ip_addresses"]
        assert leaf.extended_key_usage == ("serverAuth", "clientAuth") and not leaf.is_ca


def test_each_has_a_key_of_its_own() -> None:
    result = made()
    found = [entry[f"{case}_private_key"] for entry in result["members"] for case in (STRANGER, UNKNOWN_CA)]
    assert len(set(found)) == 4 and all(key.startswith("-----BEGIN PRIVATE KEY-----\n") for key in found)


def test_a_client_pair_has_no_name_and_serves_nobody() -> None:
    result = made(client_pair=True, now=NOW)
    for entry, member in zip(result["members"], MEMBERS):
        # Beside the strangers.
        assert f"{STRANGER}_certificate" in entry and f"{UNKNOWN_CA}_certificate" in entry
        leaf = certificate_of(entry, CLIENT)
        assert leaf.common_name is None and leaf.extended_key_usage == ("clientAuth",) and not leaf.is_ca
        assert list(leaf.dns_names) == member["dns_names"] and list(leaf.ip_addresses) == member["ip_addresses"]
        assert (leaf.not_before, leaf.not_after) == (NOW - timedelta(hours=1), NOW + DAY)
        certificate = x509.load_pem_x509_certificate(entry["api_certificate"].encode())
        assert len(certificate.subject) == 0
        # They are all that says whose it is (RFC 5280, 4.1.2.6).
        assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
        assert certificate.issuer == x509.load_pem_x509_certificate(CA.pem).subject
        key = serialization.load_pem_private_key(entry["api_private_key"].encode(), None)
        # Public keys of cryptography 36 can't be compared.
        assert public_pem(key.public_key()) == public_pem(certificate.public_key())
    assert len({entry["api_private_key"] for entry in result["members"]}) == 2


def test_a_client_pair_alone() -> None:
    result = made(client_pair=True, make=False)
    assert [set(entry) for entry in result["members"]] == [{"name", "api_certificate", "api_private_key"}] * 2
    assert (result["common_name"], result["problem"]) == (None, "none was asked for")
    with pytest.raises(RefusedError, match="set no_log to true"):
        run(params(client_pair=True, make=False), NOW, result_is_hidden=False)


def test_a_client_pair_needs_the_ca_s_key_and_does_not_outlive_the_ca() -> None:
    result = made(client_pair=True, ca_private_key_content=None)
    assert result["problem"] and not any(key.startswith(CLIENT) for entry in result["members"] for key in entry)
    short = factory.authority(not_before=NOW - DAY, not_after=NOW + timedelta(minutes=3))
    (entry, _other) = made(short, NOW, client_pair=True)["members"]
    assert certificate_of(entry, CLIENT).not_after == NOW + timedelta(minutes=3)


def test_they_live_for_minutes_and_clocks_may_lag() -> None:
    for entry in made(now=NOW, validity_minutes=7)["members"]:
        for case in (STRANGER, UNKNOWN_CA):
            leaf = certificate_of(entry, case)
            assert (leaf.not_before, leaf.not_after) == (NOW - timedelta(hours=1), NOW + timedelta(minutes=7))


def test_none_outlives_or_precedes_the_ca() -> None:
    """Else it would be refused for its dates."""
    minutes = timedelta(minutes=1)
    ca = factory.authority(not_before=NOW - 5 * minutes, not_after=NOW + 3 * minutes)
    result = made(ca, NOW)
    leaf = certificate_of(result["members"][0], STRANGER)
    assert (leaf.not_before, leaf.not_after) == (NOW - 5 * minutes, NOW + 3 * minutes)
    assert certificate_of(result["members"][0], UNKNOWN_CA).not_after == NOW + 10 * minutes


@pytest.mark.parametrize(
    "names",
    [
        [(NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, "etcd peer CA")],
        [(NameOID.COMMON_NAME, "a" * 40), (NameOID.COMMON_NAME, "b" * 40)],
        [(NameOID.ORGANIZATION_NAME, "no common name")],
    ],
    ids=["organization", "two long names", "no common name"],
)
def test_the_unknown_ca_has_the_whole_name_of_the_members_ca(names: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    key = factory.key_of("ecdsa-p256", 7)
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in names])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    ca = factory.Authority(key, certificate)
    result = made(ca)
    assert result["problem"] is None
    for case in (STRANGER, UNKNOWN_CA):
        assert certificate_of(result["members"][0], case).issuer == read_certificates(ca.pem)[0].subject


def test_the_ca_from_files(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ca.crt").write_bytes(CA.pem)
    (tmp_path / "ca.key").write_text(maker.key_pem(CA.key, b"secret"))
    paths = {
        "ca_certificate_path": str(tmp_path / "ca.crt"),
        "ca_private_key_path": str(tmp_path / "ca.key"),
        "ca_certificate_content": None,
        "ca_private_key_content": None,
    }
    result = made(**paths, ca_private_key_passphrase="secret")
    assert result["problem"] is None
    check_credentials(Material("ca", CA.pem), *credentials_of(result["members"][0], STRANGER))
    # Nothing is written.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.crt", "ca.key"]


@pytest.mark.parametrize(
    ("ca", "changes", "problem"),
    [
        (CA, {"ca_certificate_content": None}, "the CA certificate is not given: set ca_certificate_path or"),
        (CA, {"ca_private_key_content": None}, "the CA's private key is not given: set ca_private_key_path or"),
        (
            CA,
            {"ca_certificate_content": None, "ca_certificate_path": "/none/ca.crt"},
            "there is no /none/ca.crt, where the CA certificate should be",
        ),
        (
            CA,
            {"ca_private_key_content": None, "ca_private_key_path": "/none/ca.key"},
            "there is no /none/ca.key, where the CA's private key should be",
        ),
        (
            CA,
            {"ca_private_key_content": factory.authority(number=1).key_pem.decode()},
            "the CA's private key in ca_private_key_content is not the key of the CA certificate of ",
        ),
        (CA, {"ca_private_key_content": "x"}, "the CA's private key in ca_private_key_content "),
        (CA, {"ca_private_key_content": maker.key_pem(CA.key, b"secret")}, "the CA's private key in ca_private_key_c"),
        (CA, {"ca_certificate_content": "x"}, "the CA certificate in ca_certificate_content "),
        (
            factory.authority(not_before=NOW - 9 * DAY, not_after=NOW - DAY),
            {},
            "the CA certificate in ca_certificate_content, CA 'etcd peer CA' (SHA-256 ",
        ),
        (
            factory.authority(not_before=NOW + DAY),
            {},
            "the CA certificate in ca_certificate_content, CA 'etcd peer CA'",
        ),
        (
            CA,
            {"ca_certificate_content": factory.not_a_ca_pem(CA.key).decode()},
            "the CA certificate in ca_certificate_content is not a CA certificate",
        ),
    ],
)
def test_without_the_members_ca_the_other_kind_is_made(ca: t.Any, changes: dict[str, t.Any], problem: str) -> None:
    result = made(ca, **changes)
    assert result["problem"].startswith(problem) and "\n" not in result["problem"], result["problem"]
    assert result["common_name"] is None
    for entry in result["members"]:
        assert not any(key.startswith(STRANGER) for key in entry)
        assert certificate_of(entry, UNKNOWN_CA).issuer_common_name == factory.CA_NAME
    # Nothing of a key that was given.
    body = (params(ca, **changes)["ca_private_key_content"] or "").splitlines()[1:-1]
    assert not any(line in json.dumps(result) for line in body)


def test_who_would_show_the_keys_is_refused() -> None:
    with pytest.raises(RefusedError, match="private keys would be shown in the task's result: set no_log to true"):
        run(params(), NOW, result_is_hidden=False)


GOOD = {"name": "a", "common_name": "a", "dns_names": ["a"], "ip_addresses": []}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"validity_minutes": 0}, "validity_minutes is 0: give 1 to 60"),
        ({"validity_minutes": 61}, "validity_minutes is 61: give 1 to 60"),
        ({"members": []}, "members is empty: name at least one member"),
        (
            {"members": [{"name": "a", "ip_addresses": []}]},
            "members: an entry lacks common_name, dns_names: give members as the filter etcd_members does",
        ),
        (
            {"members": [{**GOOD, "name": 1}]},
            "members: name 1 is not a text: give members as the filter etcd_members does",
        ),
        (
            {"members": [{**GOOD, "dns_names": "a"}]},
            "members: dns_names 'a' is not a list of texts: give members as the filter etcd_members does",
        ),
        (
            {"members": [{**GOOD, "ip_addresses": None}]},
            "members: ip_addresses None is not a list of texts: give members as the filter etcd_members does",
        ),
        (
            {"members": [{**GOOD, "ip_addresses": [1]}]},
            "members: ip_addresses [1] is not a list of texts: give members as the filter etcd_members does",
        ),
        (
            {"members": [{**GOOD, "ip_addresses": ["10.0.0"]}]},
            "member a: '10.0.0' in ip_addresses is no IP address: write 10.0.0.1 or fd00::1, without brackets, zone,"
            " port or prefix length",
        ),
    ],
)
def test_wrong_input_is_one_line(changes: dict[str, t.Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        made(**changes)
    assert str(caught.value) == line
