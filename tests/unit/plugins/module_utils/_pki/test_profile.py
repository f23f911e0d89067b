# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of a peer certificate, as pure values: each reason, each refusal of an input."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules

NOW = datetime(2026, 11, 23, 22, 54, tzinfo=timezone.utc)
DAY = timedelta(days=1)

PROFILE = rules.peer_profile(
    "etcd-1", "etcd-1.example.com", ["etcd-1.example.com", "localhost"], ["10.0.0.1", "::1"], "ecdsa-p256"
)
ISSUER = rules.IssuerFacts("'etcd peer CA'", b"ca", "aa" * 20, NOW - 30 * DAY, NOW + 3650 * DAY)
RULES = rules.renewal_rules(365, 30, 60)
GOOD = rules.CertificateFacts(
    version=3,
    serial_number="1267",
    issuer=b"ca",
    issuer_common_name="etcd peer CA",
    subject=b"etcd-1",
    common_name="etcd-1.example.com",
    fingerprint="dd" * 32,
    der=b"",
    common_names=("etcd-1.example.com",),
    other_subject_attributes=(),
    dns_names=("localhost", "ETCD-1.example.com"),
    ip_addresses=("::1", "10.0.0.1"),
    other_names=(),
    names_critical=False,
    key_algorithm="ecdsa-p256",
    signature_hash="sha256",
    is_ca=False,
    basic_constraints_critical=True,
    key_usage=("digitalSignature",),
    key_usage_critical=True,
    extended_key_usage=("serverAuth", "clientAuth"),
    subject_key_identifier="bb" * 20,
    authority_key_identifier="aa" * 20,
    not_before=NOW - DAY,
    not_after=NOW + 364 * DAY,
)


def reasons(found: rules.CertificateFacts, signed: bool = True, **changes: t.Any) -> list[tuple[str, str]]:
    issuer = changes.pop("issuer", ISSUER)
    given = rules.reasons_to_issue(replace(PROFILE, **changes), found, signed, issuer, RULES, NOW)
    return [(reason["code"], reason["text"]) for reason in given]


def test_a_good_certificate_has_no_reason() -> None:
    assert reasons(GOOD) == []


DIFFERENCES = [
    ("other issuer name", {"issuer": b"other"}, "other_ca", "names another issuer"),
    ("common name", {"common_names": ("etcd-9",)}, "common_name", "is etcd-9, etcd-1.example.com is wanted"),
    ("no common name", {"common_names": ()}, "common_name", "is absent"),
    ("two common names", {"common_names": ("etcd-1.example.com", "b")}, "common_name", "b, etcd-1.example.com"),
    ("DNS name lacks", {"dns_names": ("localhost",)}, "subject_alternative_names", "lack etcd-1.example.com"),
    ("address lacks", {"ip_addresses": ("10.0.0.1",)}, "subject_alternative_names", "lack ::1"),
    (
        "address too many",
        {"ip_addresses": ("10.0.0.1", "::1", "10.0.0.9")},
        "subject_alternative_names",
        "have 10.0.0.9",
    ),
    ("other kind of name", {"other_names": ("RFC822Name a@b",)}, "subject_alternative_names", "have RFC822Name a@b"),
    ("no usage", {"key_usage": None, "key_usage_critical": False}, "key_usage", "is absent, digitalSignature"),
    ("usage not critical", {"key_usage_critical": False}, "key_usage", "digitalSignature (not critical)"),
    ("usage too wide", {"key_usage": ("digitalSignature", "keyCertSign")}, "key_usage", "keyCertSign"),
    (
        "server only",
        {"extended_key_usage": ("serverAuth",)},
        "extended_key_usage",
        "is serverAuth, clientAuth",
    ),
    ("no extended usage", {"extended_key_usage": None}, "extended_key_usage", "is absent"),
    ("version", {"version": 1}, "profile", "version 1"),
    ("subject", {"other_subject_attributes": ("O=Acme",)}, "profile", "O=Acme"),
    ("CA", {"is_ca": True}, "profile", "CA:FALSE"),
    ("basic constraints not critical", {"basic_constraints_critical": False}, "profile", "CA:FALSE"),
    ("no SKI", {"subject_key_identifier": None}, "profile", "subject key identifier"),
    ("no AKI", {"authority_key_identifier": None}, "profile", "authority key identifier"),
    ("other AKI", {"authority_key_identifier": "cc" * 20}, "profile", "authority key identifier"),
    ("critical SAN", {"names_critical": True}, "profile", "critical"),
    ("SHA-1", {"signature_hash": "sha1"}, "profile", "sha1"),
    ("unknown hash", {"signature_hash": "unknown"}, "profile", "an unknown algorithm"),
    ("serial number zero", {"serial_number": "00"}, "profile", "serial number"),
    ("serial number negative", {"serial_number": "-05"}, "profile", "serial number"),
    ("serial number of 21 octets", {"serial_number": f"{1 << 159:x}"}, "profile", "20 octets"),
    ("key type", {"key_algorithm": "ecdsa-p384"}, "key_type", "is ecdsa-p384, ecdsa-p256 is wanted"),
    ("expired", {"not_after": NOW - DAY}, "expired", "expired at 2026-11-22T22:54:00Z"),
    ("expires now", {"not_after": NOW}, "expired", "expired"),
    ("expires soon", {"not_after": NOW + 29 * DAY}, "expires_soon", "in 29 days; it is renewed 30 days before"),
    ("not yet valid", {"not_before": NOW + DAY}, "not_yet_valid", "only from 2026-11-24T22:54:00Z"),
]


@pytest.mark.parametrize(
    ("change", "code", "part"), [row[1:] for row in DIFFERENCES], ids=[row[0] for row in DIFFERENCES]
)
def test_each_difference_is_one_reason(change: dict[str, t.Any], code: str, part: str) -> None:
    given = reasons(replace(GOOD, **change))
    assert [found for found, _text in given] == [code]
    assert part in given[0][1]
    assert "\n" not in given[0][1]


def test_without_a_common_name_other_names_are_critical() -> None:
    found = replace(GOOD, common_names=(), names_critical=True)
    assert reasons(found, common_name="") == []
    assert [code for code, _text in reasons(replace(found, names_critical=False), common_name="")] == ["profile"]
    without = {"dns_names": (), "ip_addresses": ()}
    assert reasons(replace(found, names_critical=False, **without), common_name="", **without) == []
    assert reasons(replace(found, common_names=("a",)), common_name="")[0][1] == "the common name is a, none is wanted"


def test_signature_counts_and_not_the_name() -> None:
    assert [code for code, _text in reasons(GOOD, signed=False)] == ["other_ca"]


def test_all_reasons_are_told_at_once() -> None:
    found = replace(GOOD, common_names=("x",), key_usage=None, not_after=NOW - DAY)
    assert [code for code, _text in reasons(found, signed=False)] == ["other_ca", "common_name", "key_usage", "expired"]


@pytest.mark.parametrize("days, due", [(30, False), (29.999, True)])
def test_renewal_window_is_exact(days: float, due: bool) -> None:
    found = replace(GOOD, not_after=NOW + timedelta(days=days))
    assert rules.is_due(found, RULES, NOW) is due
    assert bool(reasons(found)) is due


def test_no_renewal_where_the_ca_ends_with_the_certificate() -> None:
    end = NOW + 10 * DAY
    assert reasons(replace(GOOD, not_after=end), issuer=replace(ISSUER, not_after=end)) == []
    longer = replace(ISSUER, not_after=end + timedelta(seconds=1))
    assert [code for code, _text in reasons(replace(GOOD, not_after=end), issuer=longer)] == ["expires_soon"]


@pytest.mark.parametrize("key_type", rules.KEY_TYPES)
def test_key_encipherment_for_rsa_alone(key_type: str) -> None:
    usages = replace(PROFILE, key_type=key_type).key_usages
    assert usages == {"digitalSignature"} | ({"keyEncipherment"} if key_type.startswith("rsa") else set())


@pytest.mark.parametrize(
    "matches, requested, codes, new_key",
    [
        (True, False, [], False),
        (None, False, ["private_key_missing"], True),
        (False, False, ["private_key_mismatch"], True),
        (True, True, ["new_key_requested"], True),
        (False, True, ["private_key_mismatch", "new_key_requested"], True),
    ],
)
def test_key_reasons(matches: bool | None, requested: bool, codes: list[str], new_key: bool) -> None:
    given = rules.key_reasons(matches, requested)
    assert [reason["code"] for reason in given] == codes
    assert rules.needs_new_key(given) is new_key


@pytest.mark.parametrize(
    "code, new_key",
    [
        *(
            (code, True)
            for code in ("missing", "unreadable", "key_type", "private_key_missing", "private_key_mismatch")
        ),
        *((code, False) for code in ("other_ca", "common_name", "subject_alternative_names", "key_usage", "profile")),
        *((code, False) for code in ("extended_key_usage", "expired", "expires_soon", "not_yet_valid")),
        ("new_key_requested", True),
    ],
)
def test_which_reason_needs_a_new_key(code: str, new_key: bool) -> None:
    assert rules.needs_new_key([Reason(code=code, text="")]) is new_key


def test_validity_stays_inside_the_ca() -> None:
    assert rules.validity(RULES, ISSUER, NOW) == (NOW - timedelta(hours=1), NOW + 365 * DAY)
    narrow = replace(ISSUER, not_before=NOW - timedelta(minutes=5), not_after=NOW + 7 * DAY)
    assert rules.validity(RULES, narrow, NOW) == (narrow.not_before, narrow.not_after)


def test_validity_ends_before_year_10000() -> None:
    late = datetime(9990, 1, 1, tzinfo=timezone.utc)
    assert rules.validity_from(late, 36500, 60)[1] == rules.LAST_NOT_AFTER


BAD_MEMBERS: list[tuple[str, dict[str, t.Any], str]] = [
    ("empty name", {"name": ""}, "member name ''"),
    ("name with a slash", {"name": "../x"}, "member name '../x'"),
    ("name with a dot first", {"name": ".lock"}, "member name '.lock'"),
    ("name with a line feed", {"name": "etcd-1\n"}, "member name"),
    ("empty common name", {"common_name": ""}, "member etcd-1: common name is empty"),
    ("long common name", {"common_name": "x" * 65}, "has 65 characters"),
    ("long common name beyond ASCII", {"common_name": "ä" * 33}, "has 66 bytes in UTF-8"),
    ("comma", {"common_name": "a,b"}, "has a comma"),
    ("space at the edge", {"common_name": " a"}, "space at its edge"),
    ("line feed in common name", {"common_name": "a\nb"}, "can't be printed"),
    ("no name at all", {"dns_names": [], "ip_addresses": []}, "neither dns_names nor ip_addresses"),
    ("address as DNS name", {"dns_names": ["10.0.0.1"]}, "belongs to ip_addresses"),
    ("IPv6 address as DNS name", {"dns_names": ["fd00::1"]}, "belongs to ip_addresses"),
    ("underscore", {"dns_names": ["etcd_1"]}, "dns_names 'etcd_1' is no DNS name"),
    ("trailing dot", {"dns_names": ["a.example.com."]}, "is no DNS name"),
    ("hyphen first", {"dns_names": ["-a"]}, "is no DNS name"),
    ("long label", {"dns_names": ["a" * 64]}, "is no DNS name"),
    ("long name", {"dns_names": [".".join(["a" * 60] * 5)]}, "is no DNS name"),
    ("not ASCII", {"dns_names": ["ä.example.com"]}, "xn--"),
    ("empty DNS name", {"dns_names": [""]}, "is no DNS name"),
    ("inner wildcard", {"dns_names": ["a.*.com"]}, "is no DNS name"),
    ("wildcard", {"dns_names": ["*.example.com"]}, "no wildcard"),
    ("long name of a member", {"name": "a" * 230}, "200 characters at most"),
    ("name of the CA's files", {"name": "CA"}, "would share ca.crt and ca.key"),
    ("name that etcd's flags can't carry", {"name": "a@b"}, "member name 'a@b'"),
    ("common name beyond ASCII", {"common_name": "ä"}, "printable ASCII"),
    ("number as top-level name", {"dns_names": ["a.1"]}, "is no DNS name"),
    ("brackets", {"ip_addresses": ["[::1]"]}, "without brackets"),
    ("zone", {"ip_addresses": ["fe80::1%eth0"]}, "without brackets, zone"),
    ("port", {"ip_addresses": ["10.0.0.1:2380"]}, "is no IP address"),
    ("prefix length", {"ip_addresses": ["10.0.0.1/24"]}, "is no IP address"),
    ("host name as address", {"ip_addresses": ["localhost"]}, "is no IP address"),
]


@pytest.mark.parametrize(("change", "part"), [row[1:] for row in BAD_MEMBERS], ids=[row[0] for row in BAD_MEMBERS])
def test_bad_member_is_one_line(change: dict[str, t.Any], part: str) -> None:
    good: dict[str, t.Any] = {
        "name": "etcd-1",
        "common_name": "etcd-1",
        "dns_names": ["localhost"],
        "ip_addresses": ["10.0.0.1"],
    }
    with pytest.raises(InputError) as caught:
        rules.peer_profile(**{**good, **change}, key_type="ecdsa-p256")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_made_canonical() -> None:
    profile = rules.peer_profile("a", "a", ["x.Example.com", "X.example.com"], ["FD00:0::1", "fd00::1"], "ed25519")
    assert profile.dns_names == ("X.example.com",)
    assert profile.ip_addresses == ("fd00::1",)


def test_members_live_together() -> None:
    other = replace(PROFILE, name="etcd-2")
    rules.checked_profiles([PROFILE, other], "etcd peer CA")
    with pytest.raises(InputError, match="members is empty"):
        rules.checked_profiles([])
    with pytest.raises(InputError, match="two members have the name etcd-1"):
        rules.checked_profiles([PROFILE, other, PROFILE])
    with pytest.raises(InputError, match="is the CA's own"):
        rules.checked_profiles([PROFILE], PROFILE.common_name)


@pytest.mark.parametrize(
    "values, part",
    [
        ((0, 0, 60), "validity_days is 0: give 1 to 36500"),
        ((36501, 30, 60), "validity_days"),
        ((365, -1, 60), "renew_before_days"),
        ((365, 30, 1441), "backdate_minutes"),
        ((365, 30, -1), "backdate_minutes"),
        ((30, 30, 60), "validity_days (30) must be more than renew_before_days (30)"),
    ],
)
def test_bad_renewal_rules(values: tuple[int, int, int], part: str) -> None:
    with pytest.raises(InputError) as caught:
        rules.renewal_rules(*values)
    assert part in str(caught.value)


@pytest.mark.parametrize("seconds, days", [(-1, -1), (0, 0), (86399, 0), (86400, 1)])
def test_days_left_are_whole_days(seconds: int, days: int) -> None:
    assert rules.days_left(NOW + timedelta(seconds=seconds), NOW) == days


def test_iso_time_is_utc() -> None:
    assert rules.iso_time(NOW.astimezone(timezone(timedelta(hours=5)))) == "2026-11-23T22:54:00Z"
