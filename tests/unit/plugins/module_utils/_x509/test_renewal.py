# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a certificate is due is told on the controller just as on the CA's host."""

from __future__ import annotations

import ssl
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import peer_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.renewal import certificate_due
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_by_hand import (
    der,
    extension,
    made_by_hand,
)

NOW, DAY = factory.NOW, factory.DAY
CA, OTHER = factory.authority(), factory.authority(number=1)
RSA_CA = factory.authority("rsa-2048")
ENDING = factory.authority(not_after=NOW + 10 * DAY)
PROFILE = factory.profile()
RULES = rules.renewal_rules(365, 30, 60)
GOOD = factory.member_pem(CA).decode()


class Case(t.NamedTuple):
    """What a member has, and the codes of the reasons for a new certificate."""

    codes: tuple[str, ...]
    pem: str | None = GOOD
    matches: bool | None = True
    new_key: bool = False
    profile: rules.PeerProfile = PROFILE
    authority: factory.Authority = CA


def by_hand(*extensions: bytes, **parts: bytes) -> str:
    return ssl.DER_cert_to_PEM_cert(made_by_hand(*extensions, **parts))


CASES = {
    "good": Case(()),
    "text around it": Case((), f"# mine\n{GOOD}\n"),
    "nothing": Case(("missing",), None, None),
    "empty": Case(("missing",), ""),
    "white space": Case(("missing",), " \n"),
    "nothing, and a new key was asked for": Case(("missing",), None, None, new_key=True),
    "rubbish": Case(("unreadable",), "rubbish"),
    "no text at all": Case(("unreadable",), "\ud800"),
    "cut off": Case(("unreadable",), GOOD[:400]),
    "two": Case(("unreadable",), GOOD * 2),
    "bad base64": Case(("unreadable",), GOOD.replace("M", "!")),
    "no certificate": Case(("unreadable",), ssl.DER_cert_to_PEM_cert(b"\0\0")),
    "a private key": Case(("unreadable",), CA.key_pem.decode()),
    "version 2": Case(("unreadable",), by_hand(version=der(0xA0, der(2, b"\1")))),
    "a part that can't be read": Case(("unreadable",), by_hand(extension("2.5.29.14", der(5)))),
    "what etcd would not read": Case(
        ("unreadable",), by_hand(extension("2.5.29.14", der(4, bytes(20)), b"\x01\x01\xff"))
    ),
    "the same part twice": Case(("unreadable",), by_hand(extension("1.2", b"x") * 2)),
    "made by somebody else": Case(
        (
            "other_ca",
            "common_name",
            "subject_alternative_names",
            "key_usage",
            "extended_key_usage",
            *("profile",) * 3,
            "key_type",
        ),
        by_hand(extension("1.2", b"x")),
    ),
    "key is not there": Case(("private_key_missing",), matches=None),
    "another key": Case(("private_key_mismatch",), matches=False),
    "a new key was asked for": Case(("new_key_requested",), new_key=True),
    "another key, and a new one was asked for": Case(
        ("private_key_mismatch", "new_key_requested"), matches=False, new_key=True
    ),
    "another common name": Case(("common_name",), profile=replace(PROFILE, common_name="b")),
    "another address": Case(("subject_alternative_names",), profile=replace(PROFILE, ip_addresses=("10.0.0.2",))),
    "another kind of key": Case(("key_usage", "key_type"), profile=replace(PROFILE, key_type="rsa-2048")),
    "expired": Case(("expired",), factory.member_pem(CA, not_before=NOW - DAY, not_after=NOW).decode(), authority=CA),
    "expires soon": Case(("expires_soon",), factory.member_pem(CA, not_after=NOW + 29 * DAY).decode()),
    "ends with its CA": Case((), factory.member_pem(ENDING, not_after=NOW + 10 * DAY).decode(), authority=ENDING),
    "not yet valid": Case(("not_yet_valid",), factory.member_pem(CA, not_before=NOW + DAY).decode()),
    "a CA of the same name": Case(("other_ca", "profile"), authority=OTHER),
    "a CA with another kind of key": Case((), factory.member_pem(RSA_CA).decode(), authority=RSA_CA),
    "the CA itself": Case(
        ("common_name", "subject_alternative_names", "key_usage", "extended_key_usage", "profile"), CA.pem.decode()
    ),
}
for key_type in ("ecdsa-p384", "rsa-2048", "ed25519"):
    of_type = factory.profile(key_type=key_type)
    CASES[f"good, {key_type}"] = Case((), factory.member_pem(CA, of_type).decode(), profile=of_type)


def due(case: Case, **changes: t.Any) -> list[Reason]:
    given = {"new_key_requested": case.new_key, **changes}
    return certificate_due(case.profile, case.pem, case.matches, case.authority.facts, RULES, NOW, **given)


@pytest.mark.parametrize("name", CASES)
def test_reasons(name: str) -> None:
    case = CASES[name]
    found = due(case)
    assert tuple(reason["code"] for reason in found) == case.codes
    assert "\n" not in "".join(reason["text"] for reason in found)


@pytest.mark.parametrize("name", CASES)
def test_the_ca_host_says_the_same(name: str) -> None:
    case = CASES[name]
    member = peer_certificates.RequestedMember(
        case.profile, None if case.pem is None else case.pem.encode("utf-8", "replace"), case.matches, case.new_key
    )
    authority = peer_certificates.load_authority(case.authority.pem, "it", NOW)
    (decision,) = peer_certificates.plan_issue(
        peer_certificates.IssueRequest((member,), RULES), authority, NOW
    ).decisions
    assert list(decision.reasons) == due(case)
    assert decision.new_key == rules.needs_new_key(due(case))
    assert (decision.found_facts is None) == (case.codes[:1] in (("missing",), ("unreadable",)))


def test_a_signature_that_is_none_is_a_reason() -> None:
    """Name and key identifier are the CA's, as anybody can write them; nobody takes a node's word for the signature."""
    damaged = bytearray(ssl.PEM_cert_to_DER_cert(GOOD))
    damaged[-1] ^= 1
    assert due(Case((), ssl.DER_cert_to_PEM_cert(bytes(damaged)))) == [
        Reason(code="other_ca", text=f"the certificate is not signed by the CA {CA.facts.label}")
    ]


def test_another_ca_of_the_bundle_is_told_by_its_signature_and_its_key_identifier() -> None:
    """With two CAs in a bundle a chain is verified by either; both may have one name."""
    assert [reason["text"] for reason in due(CASES["a CA of the same name"])] == [
        f"the certificate is not signed by the CA {OTHER.facts.label}",
        "the authority key identifier is not that of the CA",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nothing", "there is no certificate"),
        (
            "rubbish",
            "the certificate of member etcd-1 is no PEM certificate (no complete 'BEGIN CERTIFICATE' block): put the"
            " right one there",
        ),
        (
            "no certificate",
            "the certificate of member etcd-1 is no readable X.509 certificate (a certificate expected): put the"
            " original there again",
        ),
        ("two", "the certificate of member etcd-1 holds 2 certificates, one is wanted: give the one meant alone"),
    ],
)
def test_words(name: str, text: str) -> None:
    assert [reason["text"] for reason in due(CASES[name])] == [text]


def test_what_cryptography_alone_refuses_is_unreadable_for_both() -> None:
    point = factory.key_of("ecdsa-p256").public_key().public_numbers()
    made = ssl.PEM_cert_to_DER_cert(GOOD).replace(point.y.to_bytes(32, "big"), bytes(32))
    pem = ssl.DER_cert_to_PEM_cert(made)
    member = peer_certificates.RequestedMember(PROFILE, pem.encode(), True)
    authority = peer_certificates.load_authority(CA.pem, "it", NOW)
    (decision,) = peer_certificates.plan_issue(
        peer_certificates.IssueRequest((member,), RULES), authority, NOW
    ).decisions
    assert [reason["code"] for reason in decision.reasons] == ["unreadable"]
    assert decision.found_facts is None and decision.new_key
    assert list(decision.reasons) == due(Case((), pem))
