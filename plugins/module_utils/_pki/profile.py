# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the certificate of a member or a client must be, and why a present one is issued anew: no cryptography.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    BACKDATE_MINUTES,
    RENEW_BEFORE_DAYS,
    VALIDITY_DAYS,
    check_range,
    checked_client_id,
    checked_common_name,
    checked_dns_name,
    checked_member_name,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.name_constraints import (
    NameConstraints,
    forbidden_names,
)

KEY_TYPES = ("ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519")
EXTENDED_KEY_USAGES = frozenset({"serverAuth", "clientAuth"})
# A client of etcd's client port serves nobody.
CLIENT_KEY_USAGES = frozenset({"clientAuth"})
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# The code of a pending certificate where there is no CA yet.
MISSING = "missing"
MAXIMAL_PASSPHRASE_BYTES = 1023  # OpenSSL's own limit
SERIAL_NUMBER_BITS = 159  # 20 octets with the sign bit clear
# RFC 5280 ends here; cryptography refuses anything later.
LAST_NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc)

ip_address = functools.lru_cache(maxsize=1024)(ipaddress.ip_address)
"""`ipaddress.ip_address`, and once only for the loopback addresses, which all members share."""

_ONLY_NUMBERS = re.compile(r"[0-9.]+")

# With one of these the present public key is of no use, so a new key is made.
_NEW_KEY_CODES = frozenset(
    {"missing", "unreadable", "key_type", "private_key_missing", "private_key_mismatch", "new_key_requested"}
)


@dataclass(frozen=True)
class PeerProfile:
    """What one certificate must say. Build it with `peer_profile` or `client_profile`, which check the values.

    Without a common name its subject is empty, and its other names are critical (RFC 5280, 4.1.2.6).
    """

    name: str
    common_name: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    key_type: str
    extended_key_usages: frozenset[str] = EXTENDED_KEY_USAGES

    @property
    def whose(self) -> str:
        """For messages."""
        return f"{'client' if self.extended_key_usages == CLIENT_KEY_USAGES else 'member'} {self.name}"

    @property
    def key_usages(self) -> frozenset[str]:
        """keyEncipherment is for RSA key transport only (RFC 5480, RFC 8410); TLS 1.3 needs only digitalSignature."""
        rsa = self.key_type.startswith("rsa-")
        return frozenset({"digitalSignature", "keyEncipherment"} if rsa else {"digitalSignature"})


@dataclass(frozen=True)
class CertificateFacts(Certificate):
    """What the rules ask for beside the facts that a node reads too. ``None``: the extension is not there."""

    version: int
    common_names: tuple[str, ...]
    other_subject_attributes: tuple[str, ...]
    other_names: tuple[str, ...]
    names_critical: bool
    signature_hash: str
    basic_constraints_critical: bool
    key_usage_critical: bool
    subject_key_identifier: str | None
    authority_key_identifier: str | None
    constraints: NameConstraints | None = None


@dataclass(frozen=True)
class IssuerFacts:
    """What the rules need to know of the CA."""

    label: str  # for people: common name and the beginning of the fingerprint
    subject: bytes
    key_identifier: str
    not_before: datetime
    not_after: datetime
    constraints: tuple[NameConstraints, ...] = ()
    certificate: bytes = field(default=b"", compare=False, repr=False)  # DER


@dataclass(frozen=True)
class RenewalRules:
    """How long certificates are valid and when they are renewed. Build it with `renewal_rules`."""

    validity_days: int
    renew_before_days: int
    backdate_minutes: int


def days_left(not_after: datetime, now: datetime) -> int:
    """Whole days until the end, rounded down; negative after it."""
    return (not_after - now) // timedelta(days=1)


def checked_ip_address(value: str, what: str) -> str:
    """The IP address in its one canonical form, or InputError."""
    try:
        if "%" in value:
            raise ValueError
        return str(ip_address(value))
    except ValueError:
        raise InputError(
            f"{what}: '{value}' in ip_addresses is no IP address: write "
            "10.0.0.1 or fd00::1, without brackets, zone, port or prefix length"
        ) from None


def _dns_name(value: str, what: str) -> str:
    if _ONLY_NUMBERS.fullmatch(value) or ":" in value:
        raise InputError(f"{what}: '{value}' in dns_names is no DNS name: an IP address belongs to ip_addresses")
    return checked_dns_name(value, f"{what}: dns_names")


def peer_profile(
    name: str, common_name: str, dns_names: t.Sequence[str], ip_addresses: t.Sequence[str], key_type: str
) -> PeerProfile:
    """The wanted certificate of a member from the user's values, checked; names given twice count once."""
    checked_member_name(name, "member name")
    what = f"member {name}"
    names, addresses = _places(dns_names, ip_addresses, what)
    if not addresses and not names:
        # etcd skips the address check for a certificate without any SAN: such a one must never exist.
        raise InputError(f"{what} has neither dns_names nor ip_addresses: give the address that the other members dial")
    return PeerProfile(name, checked_common_name(common_name, f"{what}: common name"), names, addresses, key_type)


def client_profile(
    name: str, common_name: str, dns_names: t.Sequence[str], ip_addresses: t.Sequence[str], key_type: str
) -> PeerProfile:
    """The same of a client. It needs no names and addresses: at the client port etcd looks at none.

    Nor a common name: under RBAC etcd's gateway refuses whoever has one.
    """
    what = f"client {checked_client_id(name, 'client name')}"
    names, addresses = _places(dns_names, ip_addresses, what)
    common_name = checked_common_name(common_name, f"{what}: common name") if common_name else ""
    return PeerProfile(name, common_name, names, addresses, key_type, CLIENT_KEY_USAGES)


def _places(
    dns_names: t.Sequence[str], ip_addresses: t.Sequence[str], what: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    addresses = tuple(dict.fromkeys(checked_ip_address(value, what) for value in ip_addresses))
    names = tuple({value.lower(): value for value in (_dns_name(value, what) for value in dns_names)}.values())
    return names, addresses


def checked_profiles(profiles: t.Sequence[PeerProfile], issuer_common_name: str | None = None) -> None:
    """InputError where members can't live together: none at all, or one name twice."""
    if not profiles:
        raise InputError("members is empty: name at least one member")
    seen: set[str] = set()
    for profile in profiles:
        if profile.name in seen:
            raise InputError(
                f"two members have the name {profile.name}: give each a name of its own", member=profile.name
            )
        seen.add(profile.name)
        if issuer_common_name is not None:
            refuse_name_of_authority(profile.name, profile.common_name, issuer_common_name, profile.whose)


def refuse_name_of_authority(name: str, common_name: str, issuer_common_name: str, whose: str = "") -> None:
    """InputError where a member, or a client, has the CA's common name."""
    if common_name == issuer_common_name:
        raise InputError(
            f"{whose or f'member {name}'}: common name '{common_name}' is the CA's "
            "own: the certificate would look self-signed, choose another",
            member=name,
        )


def why_names_forbidden(
    name: str, dns_names: t.Sequence[str], ip_addresses: t.Sequence[str], issuer: IssuerFacts
) -> str | None:
    """Why no peer would take a certificate with these names: the CA's name constraints; None where one would."""
    forbidden = forbidden_names(issuer.constraints, dns_names, ip_addresses)
    if not forbidden:
        return None
    loopback = [text for text in forbidden if text in LOOPBACK_NAMES]
    others = [text for text in forbidden if text not in LOOPBACK_NAMES]
    ways_out = ["leave loopback's names out with etcd_peer_tls_loopback_sans: false"] if loopback else []
    if others:
        ways_out.append(f"use names and addresses that the CA permits in place of {', '.join(others)}, or another CA")
    return (
        f"member {name}: the CA {issuer.label} {'; '.join(map(str, issuer.constraints))} (its name constraints), so "
        f"that no peer would take a certificate with {', '.join(forbidden)}: {' and '.join(ways_out)}"
    )


def renewal_rules(validity_days: int, renew_before_days: int, backdate_minutes: int, prefix: str = "") -> RenewalRules:
    """The rules from the user's values, checked against each other. ``prefix``: of the options' names, in messages."""
    check_range(f"{prefix}validity_days", validity_days, *VALIDITY_DAYS)
    check_range(f"{prefix}backdate_minutes", backdate_minutes, *BACKDATE_MINUTES)
    check_range(f"{prefix}renew_before_days", renew_before_days, *RENEW_BEFORE_DAYS)
    if validity_days <= renew_before_days:
        raise InputError(
            f"{prefix}validity_days ({validity_days}) must be more than {prefix}renew_before_days "
            f"({renew_before_days}): else every run would issue every certificate again"
        )
    return RenewalRules(validity_days, renew_before_days, backdate_minutes)


def check_authority_options(common_name: str, validity_days: int, passphrase: str | None, prefix: str = "") -> None:
    """InputError where a CA can't be made, or opened, with these values. ``prefix``: of their names, in messages."""
    checked_common_name(common_name, f"{prefix}common_name", of_authority=True)
    check_range(f"{prefix}validity_days", validity_days, *VALIDITY_DAYS)
    if passphrase is not None and not 1 <= len(passphrase.encode("utf-8")) <= MAXIMAL_PASSPHRASE_BYTES:
        raise InputError(
            f"{prefix}passphrase is empty or longer than {MAXIMAL_PASSPHRASE_BYTES} bytes: leave it out or change it"
        )


def validity(rules: RenewalRules, issuer: IssuerFacts | None, now: datetime) -> tuple[datetime, datetime]:
    """Not before and not after of a certificate issued now: backdated, but inside the CA's own validity."""
    not_before, not_after = validity_from(now, rules.validity_days, rules.backdate_minutes)
    if issuer is None:
        return not_before, not_after
    return max(not_before, issuer.not_before), min(not_after, issuer.not_after)


def validity_from(now: datetime, validity_days: int, backdate_minutes: int) -> tuple[datetime, datetime]:
    """Not before and not after in whole seconds; never past the last moment that a certificate can name."""
    start = now.replace(microsecond=0)
    longest = LAST_NOT_AFTER - start
    return start - timedelta(minutes=backdate_minutes), start + min(timedelta(days=validity_days), longest)


def reasons_to_issue(
    wanted: PeerProfile,
    found: CertificateFacts,
    signed_by_issuer: bool,
    issuer: IssuerFacts,
    rules: RenewalRules,
    now: datetime,
) -> list[Reason]:
    """Why a present certificate must be issued anew, from what it says; an empty list where it is good."""
    reasons: list[Reason] = []

    def add(code: str, text: str) -> None:
        reasons.append(Reason(code=code, text=text))

    if not signed_by_issuer:
        add("other_ca", f"the certificate is not signed by the CA {issuer.label}")
    elif found.issuer != issuer.subject:
        add("other_ca", f"the certificate names another issuer than the CA {issuer.label}")
    if found.common_names != ((wanted.common_name,) if wanted.common_name else ()):
        name = wanted.common_name or "none"
        add("common_name", f"the common name is {_listed(found.common_names)}, {name} is wanted")
    text = _name_differences(wanted, found)
    if text:
        add("subject_alternative_names", text)
    if frozenset(found.key_usage or ()) != wanted.key_usages or not found.key_usage_critical:
        critical = "" if found.key_usage_critical or found.key_usage is None else " (not critical)"
        add(
            "key_usage",
            f"the key usage is {_listed(found.key_usage)}{critical}, {_listed(wanted.key_usages)} (critical) is wanted",
        )
    if frozenset(found.extended_key_usage or ()) != wanted.extended_key_usages:
        found_usages, wanted_usages = _listed(found.extended_key_usage), _listed(wanted.extended_key_usages)
        add("extended_key_usage", f"the extended key usage is {found_usages}, {wanted_usages} is wanted")
    for text in _profile_differences(wanted, found, issuer):
        add("profile", text)
    if found.key_algorithm != wanted.key_type:
        add("key_type", f"the key is {found.key_algorithm}, {wanted.key_type} is wanted")
    reasons.extend(_time_reasons(found, issuer, rules, now))
    return reasons


def _time_reasons(
    found: CertificateFacts, issuer: IssuerFacts, rules: RenewalRules, now: datetime
) -> t.Iterator[Reason]:
    end = iso_time(found.not_after)
    if found.not_after <= now:
        yield Reason(code="expired", text=f"the certificate expired at {end}")
    elif is_due(found, rules, now) and not ends_with_issuer(found, issuer):
        yield Reason(
            code="expires_soon",
            text=f"the certificate expires at {end}, in {days_left(found.not_after, now)} days; it is renewed"
            f" {rules.renew_before_days} days before",
        )
    if found.not_before > now:
        yield Reason(code="not_yet_valid", text=f"the certificate is valid only from {iso_time(found.not_before)}")


def is_due(found: CertificateFacts, rules: RenewalRules, now: datetime) -> bool:
    """Whether the end is nearer than the renewal window allows."""
    return found.not_after - now < timedelta(days=rules.renew_before_days)


def ends_with_issuer(found: CertificateFacts, issuer: IssuerFacts) -> bool:
    """Whether the CA's own end is the limit: a new certificate could not last longer, so issuing one is no help."""
    return found.not_after >= issuer.not_after


def key_reasons(private_key_matches: bool | None, new_key_requested: bool) -> list[Reason]:
    """Why a member with a readable certificate needs a new key, apart from the certificate itself."""
    reasons = []
    if private_key_matches is None:
        reasons.append(Reason(code="private_key_missing", text="the member has no private key for its certificate"))
    elif not private_key_matches:
        reasons.append(
            Reason(code="private_key_mismatch", text="the member's private key does not belong to its certificate")
        )
    if new_key_requested:
        reasons.append(Reason(code="new_key_requested", text="a new key was asked for"))
    return reasons


def needs_new_key(reasons: t.Iterable[Reason]) -> bool:
    """Whether one of the reasons makes the present key useless; else renewal keeps it, and one file changes."""
    return any(reason["code"] in _NEW_KEY_CODES for reason in reasons)


def _listed(values: t.Iterable[str] | None) -> str:
    return ", ".join(sorted(values or ())) or "absent"


def _name_differences(wanted: PeerProfile, found: CertificateFacts) -> str:
    wants = {name.lower() for name in wanted.dns_names} | set(wanted.ip_addresses)
    has = {name.lower() for name in found.dns_names} | set(found.ip_addresses) | set(found.other_names)
    parts = []
    if wants - has:
        parts.append(f"lack {_listed(wants - has)}")
    if has - wants:
        parts.append(f"have {_listed(has - wants)}, which is not wanted")
    return f"the subject alternative names {' and '.join(parts)}" if parts else ""


def _profile_differences(wanted: PeerProfile, found: CertificateFacts, issuer: IssuerFacts) -> t.Iterator[str]:
    if found.version != 3:
        yield f"the certificate has version {found.version}, 3 is wanted"
    if found.other_subject_attributes:
        yield f"the subject has {_listed(found.other_subject_attributes)} beside the common name"
    if found.is_ca or not found.basic_constraints_critical:
        yield "the basic constraints are not CA:FALSE (critical)"
    if found.subject_key_identifier is None:
        yield "the subject key identifier is absent"
    if found.authority_key_identifier != issuer.key_identifier:
        yield "the authority key identifier is not that of the CA"
    if found.names_critical and wanted.common_name:
        yield "the subject alternative names are marked critical"
    if (found.dns_names or found.ip_addresses) and not (found.names_critical or wanted.common_name):
        yield "the subject alternative names are not marked critical, as they are where the subject is empty"
    if found.signature_hash in ("md5", "sha1", "unknown"):
        yield f"the signature uses {found.signature_hash.replace('unknown', 'an unknown algorithm')}"
    if not 0 < int(found.serial_number, 16) < 1 << SERIAL_NUMBER_BITS:
        yield "the serial number is not positive or has more than 20 octets"


__all__ = (
    "CLIENT_KEY_USAGES",
    "EXTENDED_KEY_USAGES",
    "KEY_TYPES",
    "LOOPBACK_NAMES",
    "MISSING",
    "CertificateFacts",
    "IssuerFacts",
    "PeerProfile",
    "RenewalRules",
    "check_authority_options",
    "checked_ip_address",
    "checked_profiles",
    "client_profile",
    "days_left",
    "ends_with_issuer",
    "ip_address",
    "is_due",
    "iso_time",
    "key_reasons",
    "needs_new_key",
    "peer_profile",
    "reasons_to_issue",
    "refuse_name_of_authority",
    "renewal_rules",
    "validity",
    "validity_from",
    "why_names_forbidden",
)
