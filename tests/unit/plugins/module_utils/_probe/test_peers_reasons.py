# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a member was refused: what is worked out from what the caller knows, and what is left as it was seen."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import replace

import pytest
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    MEMBER,
    NO_CERTIFICATE,
    STRANGER,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    ProbeResult,
    client_context,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import Caller, explain
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import (
    DAY,
    NOW,
    Issued,
    der_of,
    issue,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

CA, OTHER_CA = issue("etcd peer CA", is_ca=True), issue("other CA", is_ca=True)
SERVER = issue("etcd-2.example.com", CA)
OWN = issue("etcd-1.example.com", CA, names=("etcd-1.example.com", "127.0.0.1"))


def caller(case: str = MEMBER, pair: Issued | None = OWN, **knows: t.Any) -> Caller:
    certificate = None if pair is None else read_certificate(der_of(pair.certificate))
    return Caller(case, client_context(None), certificate, **knows)


def alert(words: str, reason: str = "alert", **other: t.Any) -> ProbeResult:
    return ProbeResult(REFUSED, reason, f"TLS alert: {words}", alert=words, **other)


def explained(who: Caller, result: ProbeResult) -> tuple[str, str | None, str, bool]:
    found = explain(who, result, NOW)
    assert found.result == replace(
        result, outcome=found.result.outcome, reason=found.result.reason, text=found.result.text
    )
    return found.result.outcome, found.result.reason, found.result.text, found.inferred


BAD = alert("bad certificate")
CLOSED = ProbeResult(REFUSED, "closed", "the connection was closed", tls="TLSv1.3", source="127.0.0.1")
OWN_CA = (read_certificate(der_of(CA.certificate)),)
ANOTHER_CA = (read_certificate(der_of(OTHER_CA.certificate)),)
SERVER_ONLY = issue("etcd-1.example.com", CA, extended_key_usages=[ExtendedKeyUsageOID.SERVER_AUTH])


@pytest.mark.parametrize(
    ("who", "result", "reason", "text"),
    [
        (caller(), BAD, "common_name", "the common name etcd-1.example.com is not allowed there (TLS alert: bad"),
        (caller(STRANGER), BAD, "common_name", "the common name etcd-1.example.com is not allowed there"),
        (caller(authorities=OWN_CA), BAD, "common_name", "the common name etcd-1.example.com is not allowed there"),
        (caller(), alert("certificate unknown"), "common_name", "the common name etcd-1.example.com is not allowed"),
        (
            caller(pair=SERVER_ONLY),
            alert("unsupported certificate"),
            "key_usage",
            "the certificate lacks the extended key usage clientAuth (TLS alert: unsupported certificate)",
        ),
        (
            caller(pair=SERVER_ONLY, authorities=ANOTHER_CA),
            BAD,
            "key_usage",
            "the certificate lacks the extended key usage clientAuth (TLS alert: bad certificate)",
        ),
        (
            caller(pair=issue("a", CA, extended_key_usages=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])),
            BAD,
            "common_name",
            "the common name a is not allowed there",
        ),
        (caller(pair=issue("a", CA, extended_key_usages=None)), BAD, "common_name", "the common name a is not"),
        (caller(pair=issue(None, CA)), BAD, "common_name", "the common name None is not allowed there"),
        (
            caller(authorities=ANOTHER_CA),
            BAD,
            "unknown_authority",
            "the certificate's issuer, etcd peer CA, is not in the trust bundle (TLS alert: bad certificate)",
        ),
        (caller(UNKNOWN_CA), BAD, "unknown_authority", "the CA is unknown to it (TLS alert: bad certificate)"),
        # etcd 3.4 with Go 1.19 has one alert for all of these.
        (
            caller(pair=issue("a", CA, not_before=NOW - 2 * DAY, not_after=NOW - DAY)),
            BAD,
            "expired",
            "the certificate has expired at ",
        ),
        (
            caller(pair=issue("a", CA, not_before=NOW + DAY)),
            BAD,
            "not_yet_valid",
            "the certificate is not valid before ",
        ),
        (
            caller(pair=issue("a", CA, not_before=NOW + DAY)),
            alert("certificate expired", "expired"),
            "not_yet_valid",
            "the certificate is not valid before ",
        ),
        (
            caller(revoked=frozenset({read_certificate(der_of(OWN.certificate)).serial_number})),
            CLOSED,
            "revoked",
            "the certificate is revoked: serial number ",
        ),
        (
            caller(),
            replace(CLOSED, source="10.0.0.9"),
            "address",
            "the certificate has no subject alternative name for 10.0.0.9 (it has etcd-1.example.com, 127.0.0.1; the",
        ),
        (
            caller(),
            replace(CLOSED, reason="reset", source="10.0.0.9"),
            "address",
            "the certificate has no subject alternative name for 10.0.0.9 (it has etcd-1.example.com, 127.0.0.1; the",
        ),
        (
            caller(pair=issue("a", CA, names=())),
            CLOSED,
            "address",
            "the certificate has no subject alternative name for 127.0.0.1 (it has no name at all; the connection",
        ),
    ],
)
def test_a_reason_that_is_worked_out(who: Caller, result: ProbeResult, reason: str, text: str) -> None:
    outcome, found, line, inferred = explained(who, result)
    assert (outcome, found, inferred) == (REFUSED, reason, True)
    assert line.startswith(text) and line.endswith(")") and "\n" not in line


@pytest.mark.parametrize(
    ("who", "result"),
    [
        (caller(), ProbeResult(UNREACHABLE, "port_closed", "nothing listens")),
        (caller(), ProbeResult(TIMED_OUT, "answer", "no answer")),
        (caller(), alert("unknown ca", "unknown_authority")),
        (caller(), alert("certificate expired", "expired")),
        (caller(UNKNOWN_CA), alert("unknown ca", "unknown_authority")),
        (caller(), alert("internal error")),
        (caller(NO_CERTIFICATE, None), CLOSED),
        (caller(), CLOSED),
        (caller(), replace(CLOSED, source=None)),
        (caller(revoked=frozenset({"01"})), CLOSED),
        # Before a handshake a close says nothing of a certificate.
        (caller(), replace(CLOSED, tls=None, source="10.0.0.9")),
        (caller(), ProbeResult(REFUSED, "not_tls", "it speaks plain HTTP")),
        (caller(), ProbeResult(REFUSED, "server_expired", "the certificate that it serves is refused")),
    ],
)
def test_what_says_all_there_is_is_left_as_it_was(who: Caller, result: ProbeResult) -> None:
    assert explained(who, result) == (result.outcome, result.reason, result.text, False)


@pytest.mark.parametrize(
    "result", [alert("certificate required", "no_certificate"), alert("handshake failure")], ids=["1.3", "1.2"]
)
def test_no_certificate_is_told_the_same_in_both_versions_of_tls(result: ProbeResult) -> None:
    outcome, reason, text, inferred = explained(caller(NO_CERTIFICATE, None), result)
    assert (outcome, reason, inferred) == (REFUSED, "no_certificate", False)
    assert text == f"it demands a certificate (TLS alert: {result.alert})"


def test_no_certificate_is_inferred_where_one_alert_says_everything() -> None:
    outcome, reason, text, inferred = explained(caller(NO_CERTIFICATE, None), BAD)
    assert (outcome, reason, inferred) == (REFUSED, "no_certificate", True)
    assert text == "it demands a certificate (TLS alert: bad certificate)"


SERVED = ProbeResult(ACCEPTED, None, "HTTP 200", server=der_of(SERVER.certificate))


@pytest.mark.parametrize(
    ("who", "result"),
    [
        (caller(), SERVED),
        (caller(allowed_common_names=("etcd-1.example.com", "etcd-2.example.com")), SERVED),
        # An empty name in the list allows a certificate that has none.
        (
            caller(allowed_common_names=("a", "")),
            replace(SERVED, server=der_of(issue(None, CA).certificate)),
        ),
        # A stranger has no list of its own.
        (caller(STRANGER, allowed_common_names=("a",)), SERVED),
        (caller(allowed_common_names=("a",)), replace(SERVED, server=None)),
        (caller(allowed_common_names=("a",)), replace(SERVED, server=b"garbage")),
    ],
)
def test_accepted_is_accepted(who: Caller, result: ProbeResult) -> None:
    assert explained(who, result) == (ACCEPTED, None, "HTTP 200", False)


def test_a_member_s_own_list_counts_when_it_dials() -> None:
    outcome, reason, text, inferred = explained(caller(allowed_common_names=("etcd-1.example.com",)), SERVED)
    assert (outcome, reason, inferred) == (REFUSED, "server_common_name", True)
    assert text == "this member's own list does not allow the common name that is served, etcd-2.example.com"


def test_the_clock_is_the_caller_s() -> None:
    """``now`` comes from outside, for the facts and for the reasons."""
    later = NOW + datetime.timedelta(days=2)
    who = caller(pair=issue("a", CA, not_before=NOW + DAY))
    result = alert("certificate expired", "expired")
    assert explain(who, result, NOW).result.reason == "not_yet_valid"
    assert explain(who, result, later).result.reason == "expired"
