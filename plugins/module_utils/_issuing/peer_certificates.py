# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Peer certificates for a whole cluster: decide with reasons for each member, then issue.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError, InputError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.reasons import Reason
from ansible_collections.ringfence.etcd.plugins.module_utils._node import files
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys, renewal
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.authority_chain import (
    issuer_facts,
    loaded,
    read_chain,
    why_not_now,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.certificate_facts import common_names

if t.TYPE_CHECKING:  # pragma: no cover
    from cryptography import x509

    Record = t.Callable[[t.Mapping[str, x509.Certificate]], None]


@dataclass(frozen=True)
class RequestedMember:
    """A member as the user names it: the certificate it must have, and what it has now."""

    profile: rules.PeerProfile
    certificate: bytes | None = None
    # None: there is no private key for the certificate. Ignored where there is no certificate.
    private_key_matches: bool | None = None
    new_key: bool = False


@dataclass(frozen=True)
class IssueRequest:
    """One call: all members of a cluster, and how long their certificates live."""

    members: tuple[RequestedMember, ...]
    rules: rules.RenewalRules
    directory: str | None = None
    uid: int | None = None
    gid: int | None = None
    # Who makes new private keys: the nodes, whose public keys are here by member, or this host.
    keys_on_nodes: bool = False
    requested_keys: t.Mapping[str, keys.PublicKey] = field(default_factory=dict)
    # Another CA signs, which takes a request, and so a key that waits, for each certificate.
    is_signed_elsewhere: bool = False


@dataclass(frozen=True)
class Authority:
    """The CA's public side, read once."""

    certificate: x509.Certificate
    public_key: keys.PublicKey
    facts: rules.IssuerFacts
    common_name: str


@dataclass(frozen=True)
class Decision:
    """What becomes of one member: ``reasons`` empty and no file changes mean that nothing is done."""

    member: RequestedMember
    reasons: tuple[Reason, ...]
    new_key: bool
    found: x509.Certificate | None
    found_facts: rules.CertificateFacts | None
    changes: tuple[files.Change, ...] = ()  # drift of owner and mode, with a directory only

    @property
    def name(self) -> str:
        return self.member.profile.name

    @property
    def due(self) -> bool:
        return bool(self.reasons)


@dataclass(frozen=True)
class IssuePlan:
    request: IssueRequest
    authority: Authority | None  # None: the CA is still to be made (check mode)
    decisions: tuple[Decision, ...]
    not_before: datetime
    not_after: datetime
    warnings: tuple[str, ...]
    directory_change: files.Change | None = None
    new_parents: tuple[str, ...] = ()  # folders above the directory that do not exist yet

    @property
    def changed(self) -> bool:
        return any(decision.due or decision.changes for decision in self.decisions)

    @property
    def due(self) -> tuple[Decision, ...]:
        return tuple(decision for decision in self.decisions if decision.due)

    @property
    def due_text(self) -> str:
        """Whose certificate is to be issued, and why, for a message."""
        return "; ".join(
            f"{decision.name}: {', '.join(reason['code'] for reason in decision.reasons)}" for decision in self.due
        )

    @property
    def returned_keys(self) -> tuple[str, ...]:
        """The members whose new private key would stand in the result, because it has no file."""
        if self.request.directory is not None or self.request.keys_on_nodes:
            return ()
        return tuple(decision.name for decision in self.due if decision.new_key)


@dataclass(frozen=True)
class Issued:
    """A certificate made in this run, and the private key where it is new and has no file."""

    certificate: bytes
    fingerprint: str
    serial_number: int
    private_key: bytes | None = field(default=None, repr=False)
    # From when to when, where another CA decided that.
    validity: tuple[datetime, datetime] | None = None


class _Made(t.NamedTuple):
    """A new certificate, and the key where it is new."""

    certificate: x509.Certificate
    key: keys.PrivateKey | None


def load_authority(pem: bytes, what: str, now: datetime) -> Authority:
    """The CA from its certificate, and those of its parents; one line where it can't be used, or not now."""
    chain = read_chain(pem, what)
    certificate = loaded(chain[0], what)
    facts = issuer_facts(pem, what)
    problem = why_not_now(chain, what, now)
    if problem is not None:
        raise RefusedError(
            problem, not_before=rules.iso_time(facts.not_before), not_after=rules.iso_time(facts.not_after)
        )
    public_key = t.cast("keys.PublicKey", certificate.public_key())
    name = ", ".join(common_names(certificate.subject))
    return Authority(certificate, public_key, facts, name)


def load_issuer(authority: Authority, key_pem: bytes, what: str, passphrase: str | None) -> certificates.Issuer:
    """The CA ready to sign; CryptoError where the key can't be read or is another CA's."""
    key = keys.load_private_key(key_pem, what, passphrase, "ca_private_key_passphrase")
    if keys.public_key_bytes(key.public_key()) != keys.public_key_bytes(authority.public_key):
        raise CryptoError(
            f"{what} is not the key of the CA certificate of {authority.facts.label}: give the one that is"
        )
    return certificates.Issuer(authority.certificate, key)


def plan_issue(request: IssueRequest, authority: Authority | None, now: datetime) -> IssuePlan:
    """Decide for every member. Without an authority (the CA is made in this same run) every certificate is issued."""
    rules.checked_profiles(
        [member.profile for member in request.members], None if authority is None else authority.common_name
    )
    if authority is not None:
        _check_names(request, authority)
    decisions = tuple(_decide(request, member, authority, now) for member in request.members)
    change = None if request.directory is None else missing_directory(request)
    parents = () if change is None else tuple(files.missing_parents(os.path.realpath(change.path)))
    facts = None if authority is None else authority.facts
    first, last = rules.validity(request.rules, facts, now)
    warnings = tuple(_warnings(request, facts, decisions, now))
    return IssuePlan(request, authority, decisions, first, last, warnings, change, parents)


def apply_issue(plan: IssuePlan, issuer: certificates.Issuer | None, record: Record | None = None) -> dict[str, Issued]:
    """Issue what was decided and write what has a directory, member by member; returns what was issued by name.

    ``record``: has all of it before any of it is written or given away.
    """
    if plan.due and issuer is None:
        raise InputError(f"certificates are due ({plan.due_text}), but the CA's private key was not given")
    made: dict[str, _Made] = {}
    if issuer is not None:
        made = {decision.name: _make(plan, decision, issuer) for decision in plan.due}
    if record is not None and made:
        record({name: one.certificate for name, one in made.items()})
    issued: dict[str, Issued] = {}
    for decision in plan.decisions:
        if decision.name in made:
            issued[decision.name] = _written(plan, decision, made[decision.name])
        else:
            files.apply_changes(decision.changes)
    return issued


def _decide(request: IssueRequest, member: RequestedMember, authority: Authority | None, now: datetime) -> Decision:
    """One member: read what it has, compare, and say why a certificate is issued.

    ``request.directory`` goes before the member's data.
    """
    content, matches, problem = member.certificate, member.private_key_matches, ""
    paths = _paths(request, member.profile.name)
    if paths is not None:
        content = read_file(paths[0])
    found: x509.Certificate | None = None
    facts, reasons = renewal.present_certificate(member.profile, content)
    if facts is not None:
        found = loaded(facts, renewal.certificate_name(member.profile))
        if paths is not None:
            matches, problem = _key_matches(paths[1], found)
        signed = authority is not None and certificates.is_signed_by(found, authority.public_key)
        issuer = None if authority is None else authority.facts
        reasons = renewal.certificate_reasons(member.profile, facts, signed, issuer, request.rules, now)
        reasons.extend(rules.key_reasons(matches, member.new_key))
        if problem:
            reasons = [
                Reason(code=r["code"], text=problem) if r["code"] == "private_key_mismatch" else r for r in reasons
            ]
    new_key = rules.needs_new_key(reasons) or (request.is_signed_elsewhere and bool(reasons))
    changes: tuple[files.Change, ...] = ()
    if paths is not None:
        changes = _file_changes(request, paths, bool(reasons), new_key)
    return Decision(member, tuple(reasons), new_key, found, facts, changes)


def _check_names(request: IssueRequest, authority: Authority) -> None:
    """InputError where a member's names are outside of the CA's name constraints."""
    for profile in (member.profile for member in request.members):
        why = rules.why_names_forbidden(profile.name, profile.dns_names, profile.ip_addresses, authority.facts)
        if why is not None:
            raise InputError(why, member=profile.name)


def _paths(request: IssueRequest, name: str) -> tuple[str, str] | None:
    if request.directory is None:
        return None
    return os.path.join(request.directory, f"{name}.crt"), os.path.join(request.directory, f"{name}.key")


def _key_matches(path: str, certificate: x509.Certificate) -> tuple[bool | None, str]:
    """Whether the key file belongs to the certificate (None: no such file), and a better line where it can't."""
    pem = read_file(path)
    if pem is None:
        return None, ""
    try:
        key = keys.load_private_key(pem, f"the private key {path}")
    except CryptoError as exc:
        return False, str(exc)
    public_key = t.cast("keys.PublicKey", certificate.public_key())
    return keys.public_key_bytes(key.public_key()) == keys.public_key_bytes(public_key), ""


def missing_directory(request: IssueRequest) -> files.Change | None:
    """The folder is made where it is missing. A present one keeps its mode: it may hold more than our files."""
    directory = t.cast(str, request.directory)
    if os.path.isdir(directory):
        return None
    return files.plan_directory(files.WantedDirectory(directory, 0o700, request.uid, request.gid))


def _wanted_files(
    request: IssueRequest, paths: tuple[str, str], certificate: bytes | None, key: bytes | None
) -> tuple[files.WantedFile, files.WantedFile]:
    """The key before the certificate: a run that dies between the two leaves a mismatch, which the next one repairs."""
    return (
        files.WantedFile(paths[1], 0o600, key, request.uid, request.gid, secret=True),
        files.WantedFile(paths[0], 0o644, certificate, request.uid, request.gid),
    )


def _file_changes(request: IssueRequest, paths: tuple[str, str], due: bool, new_key: bool) -> tuple[files.Change, ...]:
    """What happens to a member's files; planned with empty content where the real one is not made yet."""
    placeholder = b"" if due else None
    planned = _wanted_files(request, paths, placeholder, placeholder if new_key else None)
    return tuple(change for change in map(files.plan_file, planned) if change is not None)


def _make(plan: IssuePlan, decision: Decision, issuer: certificates.Issuer) -> _Made:
    profile = decision.member.profile
    key: keys.PrivateKey | None = None
    if plan.request.keys_on_nodes and decision.new_key:
        public_key = plan.request.requested_keys[decision.name]
    elif decision.new_key or decision.found is None:
        key = keys.make_key(profile.key_type)
        public_key = key.public_key()
    else:
        public_key = t.cast("keys.PublicKey", decision.found.public_key())
    return _Made(issuer.issue(profile, public_key, plan.not_before, plan.not_after), key)


def _written(plan: IssuePlan, decision: Decision, made: _Made) -> Issued:
    certificate = made.certificate
    pem = certificates.certificate_pem(certificate)
    key_pem = None if made.key is None else keys.private_key_pem(made.key)
    paths = _paths(plan.request, decision.name)
    if paths is not None:
        changes = [files.plan_file(wanted) for wanted in _wanted_files(plan.request, paths, pem, key_pem)]
        files.apply_changes(changes, keep_replaced=(paths[1],))
        key_pem = None
    return Issued(pem, certificates.fingerprint(certificate), certificate.serial_number, key_pem)


def _warnings(
    request: IssueRequest, issuer: rules.IssuerFacts | None, decisions: t.Sequence[Decision], now: datetime
) -> t.Iterator[str]:
    """One line where the CA's own end is the limit, so that the certificates can't be renewed for long."""
    if issuer is None:
        return
    _first, unlimited = rules.validity(request.rules, None, now)
    limited = [
        decision.name
        for decision in decisions
        if (decision.due and issuer.not_after < unlimited)
        or (
            not decision.due
            and decision.found_facts is not None
            and rules.is_due(decision.found_facts, request.rules, now)
        )
    ]
    if limited:
        yield (
            f"the CA {issuer.label} itself ends at {rules.iso_time(issuer.not_after)}, in "
            f"{rules.days_left(issuer.not_after, now)} days; the certificates of {', '.join(limited)} can't last "
            "longer: plan a new CA"
        )


__all__ = (
    "Authority",
    "Decision",
    "IssuePlan",
    "IssueRequest",
    "Issued",
    "RequestedMember",
    "apply_issue",
    "load_authority",
    "load_issuer",
    "missing_directory",
    "plan_issue",
)
