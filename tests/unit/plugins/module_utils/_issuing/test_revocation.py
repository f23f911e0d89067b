# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a user means who says what is to be revoked, and what is kept because a member presents it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca_index
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_index import Issued
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.revocation import (
    Presented,
    meant_by,
    normalized_word,
    why_kept,
)
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils import certificate_factory as factory

NOW, DAY = factory.NOW, factory.DAY
CA, OTHER = factory.authority(), factory.authority(number=1)
PROBE = "0f" * 20
LATER, GONE = iso_time(NOW + DAY), iso_time(NOW - DAY)
ONE, TWO, THREE, OLD, REVOKED = "aa" * 20, "bb" * 20, "cc" * 20, "dd" * 20, "ee" * 20
INDEX = ca_index.with_issued(
    ca_index.new_index(PROBE, NOW),
    [
        Issued(ONE, "etcd-1", "etcd-1.example.com", "k1", LATER),
        Issued(TWO, "etcd-2", "etcd-2.example.com", "k2", LATER),
        Issued(THREE, "etcd-2", "etcd-2.example.com", "k3", LATER),
        Issued(OLD, "etcd-2", "etcd-2.example.com", "k4", GONE),
        Issued(REVOKED, "etcd-1", "etcd-1.example.com", "k5", LATER, revoked=GONE),
    ],
)


def meant(*words: str, removed: t.Sequence[str] = ()) -> tuple[list[str], list[str]]:
    found, refused = meant_by(INDEX, words, removed, CA.certificate, NOW)
    return [one["serial_number"] for one in found], refused


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        (ONE.upper(), ONE),
        (":".join(["AA"] * 20), ONE),
        (f"0x{ONE}", ONE),
        ("0xabc", "0abc"),
        ("00:ab", "ab"),
        (" etcd-1 ", "etcd-1"),
        # A member's name may be of hexadecimal digits alone.
        ("beef", "beef"),
        ("0123456789abcdef", "0123456789abcdef"),
        ("-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----"),
    ],
)
def test_a_word_is_looked_for_as_results_show_it(word: str, wanted: str) -> None:
    assert normalized_word(word) == wanted


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        (ONE, [ONE]),
        ("etcd-1", [ONE, REVOKED]),
        ("etcd-1.example.com", [ONE, REVOKED]),
        ("etcd-1.elsewhere", [ONE, REVOKED]),
        # What has expired is refused anyway, and would make the list longer for ever.
        ("etcd-2", [TWO, THREE]),
        (OLD, [OLD]),
        # The proof's own is on the list already.
        (PROBE, []),
    ],
)
def test_what_is_meant(word: str, wanted: list[str]) -> None:
    assert meant(word) == (wanted, [])


@pytest.mark.parametrize("word", ["ab" * 20, "etcd-9", "etcd", "etcd-11"])
def test_what_this_ca_never_issued_is_refused_in_one_line(word: str) -> None:
    found, refused = meant(word)
    assert found == [] and len(refused) == 1
    assert word in refused[0] and "give the certificate's own file" in refused[0] and INDEX.begun in refused[0]


def test_a_client_is_meant_on_one_host_or_on_all() -> None:
    clients = [
        Issued(ONE, "app@db-1", "app-user", "k1", LATER),
        Issued(TWO, "app@db-2", "app-user", "k2", LATER),
        Issued(THREE, "app.two@db-1", "other", "k3", LATER),
    ]
    index = ca_index.with_issued(ca_index.new_index(PROBE, NOW), clients)
    wanted = {"app": [ONE, TWO], "app-user": [ONE, TWO], "app@db-2": [TWO], "app.two": [THREE]}
    for word, numbers in wanted.items():
        found, refused = meant_by(index, [word], [], CA.certificate, NOW)
        assert [one["serial_number"] for one in found] == numbers and refused == [], word
    assert meant_by(index, ["db-1", "app@db"], [], CA.certificate, NOW)[0] == []


def test_a_certificate_of_this_ca_is_taken_though_the_index_does_not_know_it() -> None:
    pem = factory.member_pem(CA, factory.profile("etcd-7")).decode()
    found, refused = meant_by(INDEX, [pem], [], CA.certificate, NOW)
    assert refused == [] and found[0]["serial_number"] not in (ONE, TWO) and not found[0]["by_name"]
    # With the CA behind it, as etcd takes it.
    assert meant(pem + CA.pem.decode())[1] == []


@pytest.mark.parametrize("pem", [factory.member_pem(OTHER).decode(), "-----BEGIN CERTIFICATE-----\nnone"])
def test_another_cas_certificate_is_refused(pem: str) -> None:
    found, refused = meant(pem)
    assert found == [] and len(refused) == 1 and "\n" not in refused[0]


def test_of_a_removed_member_nothing_need_be_known() -> None:
    assert meant(removed=["etcd-9"]) == ([], [])
    assert meant(removed=["etcd-2.example.com"]) == ([TWO, THREE], [])


def kept(*words: str, presented: t.Sequence[Presented]) -> tuple[list[str], list[str]]:
    found, refused = meant_by(INDEX, words, [], CA.certificate, NOW)
    assert refused == []
    wanted, lines = why_kept(found, presented)
    return [one["serial_number"] for one in wanted], lines


def test_what_a_member_presents_is_not_revoked() -> None:
    wanted, lines = kept(ONE, presented=[Presented("etcd-1", ONE, "k1")])
    assert wanted == [] and "member etcd-1 still presents that certificate" in lines[0]
    assert "etcd_peer_tls_new_keys" in lines[0]


def test_a_renewed_certificate_has_the_leaked_key_still() -> None:
    wanted, lines = kept(TWO, presented=[Presented("etcd-2", "ff" * 20, "k2")])
    assert wanted == [] and "member etcd-2 still presents that key, in a later certificate" in lines[0]


def test_by_its_name_all_is_meant_that_a_member_had_before() -> None:
    assert kept("etcd-2", presented=[Presented("etcd-2", THREE, "k3")]) == ([TWO], [])


def test_by_its_name_a_renewed_key_is_found_too() -> None:
    """Both certificates have one key: to revoke the older one alone would shut nobody out."""
    index = ca_index.with_issued(INDEX, [Issued("99" * 20, "etcd-3", None, "k9", LATER)])
    index = ca_index.with_issued(index, [Issued("98" * 20, "etcd-3", None, "k9", LATER)])
    found, _refused = meant_by(index, ["etcd-3"], [], CA.certificate, NOW)
    wanted, lines = why_kept(found, [Presented("etcd-3", "98" * 20, "k9")])
    assert wanted == [] and len(lines) == 1 and "that key" in lines[0]


def test_a_name_with_nothing_but_what_is_presented_is_refused() -> None:
    index = ca_index.with_issued(INDEX, [Issued("99" * 20, "etcd-3", None, "k9", LATER)])
    found, _refused = meant_by(index, ["etcd-3"], [], CA.certificate, NOW)
    wanted, lines = why_kept(found, [Presented("etcd-3", "99" * 20, "k9")])
    assert wanted == [] and len(lines) == 1


def test_what_is_revoked_is_no_reason_to_stop_a_second_run() -> None:
    assert kept(REVOKED, presented=[]) == ([], [])
    assert kept("etcd-1", presented=[Presented("etcd-1", ONE, "k1")]) == ([], [])
