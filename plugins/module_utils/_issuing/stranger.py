# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the certificates of strangers for a proof: each is wrong in one thing only, and good in all others.

So a refusal says what refused it. They live in memory, for minutes. And, made in the same way: the client pair without
a common name that etcd's gateway wants where RBAC is on, which at the peer ports is one more stranger; and who calls
client ports, a client and a stranger (``client_pairs``).

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import functools
import os
import secrets
import typing as t
from datetime import datetime, timedelta

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import (
    InputError,
    RefusedError,
    RingfenceError,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import (
    check_range,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import REVOKED, STRANGER, UNKNOWN_CA
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_records import WantedRecords
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.client_pairs import (
    CaAtHand,
    authority_of_calls,
    client_pairs,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.given_stranger import (
    GivenStranger,
    given_stranger,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import (
    Authority,
    load_authority,
    load_issuer,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.revocation import meant_by
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.short_lived import (
    BACKDATE,
    KEY_TYPE,
    limits,
    unknown_issuer,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates, keys

if t.TYPE_CHECKING:  # pragma: no cover
    from cryptography import x509

CLIENT = "api"

_NO_RECORDS: dict[str, t.Any] = {
    "revocation_list_pem": None,
    "to_revoke": [],
    "not_revoked": [],
    "index_begun": None,
}
_NO_CLIENTS: dict[str, t.Any] = {"clients": {}, "client_problem": None}
# All members of a cluster may have to be restarted with it, one after the other.
_CLIENT_VALIDITY = timedelta(days=1)


def run(params: t.Mapping[str, t.Any], now: datetime, result_is_hidden: bool) -> dict[str, t.Any]:
    """The answer of ``etcd_peer_stranger`` from its options.

    Without a usable CA key there is no stranger of that CA, and ``problem`` says why: the rest is made all the same.
    """
    looked_at, revoked_serial_number = _looked_at(params, now)
    gathered = {"ca": looked_at}
    if not params["make"] and not params["client_pair"]:
        return {"members": [], "common_name": None, "problem": "none was asked for", **_NO_CLIENTS, **gathered}
    if not result_is_hidden:
        raise RefusedError("the strangers' private keys would be shown in the task's result: set no_log to true on it")
    check_range("validity_minutes", params["validity_minutes"], 1, 60)
    members = [
        rules.peer_profile(given["name"], given["common_name"], given["dns_names"], given["ip_addresses"], KEY_TYPE)
        for given in map(_checked_member, params["members"])
    ]
    if not members:
        raise InputError("members is empty: name at least one member")
    not_after = now + timedelta(minutes=params["validity_minutes"])
    at_hand = _issuer(params, now)
    authority, issuer, problem = at_hand.authority, at_hand.issuer, at_hand.problem
    made: list[dict[str, str]] = [{"name": member.name} for member in members]
    if params["client_pair"]:
        signer = authority_of_calls(params, at_hand, now)
        if signer.issuer is not None and signer.authority is not None:
            validity = limits(signer.authority, now, now + _CLIENT_VALIDITY)
            for member, entry in zip(members, made):
                entry.update(_made(CLIENT, signer.issuer.issue_nameless_client, member, *validity))
    if not params["make"]:
        return {"members": made, "common_name": None, "problem": "none was asked for", **_NO_CLIENTS, **gathered}
    stranger_name = f"stranger-{secrets.token_hex(8)}.ringfence.invalid"
    given, problem = _given(params, authority, problem, members, now)
    other = unknown_issuer("etcd peer CA" if authority is None else authority.certificate.subject, now, not_after)
    for member, entry in zip(members, made):
        entry.update(_made(UNKNOWN_CA, other.issue, member, now - BACKDATE, not_after))
        if given is not None:
            # Its key, which is an option, is blanked out in a module's result: the controller puts it there.
            entry[f"{STRANGER}_certificate"] = given.certificate
        if issuer is not None and authority is not None:
            profile = rules.peer_profile(member.name, stranger_name, member.dns_names, member.ip_addresses, KEY_TYPE)
            entry.update(_made(STRANGER, issuer.issue, profile, *limits(authority, now, not_after)))
            if revoked_serial_number is not None:
                # All of them have the one number that the CA keeps for them, and revoked before it made any: a new one
                # for each would make the list longer with each proof.
                issue = functools.partial(issuer.issue, serial_number=int(revoked_serial_number, 16))
                entry.update(_made(REVOKED, issue, member, *limits(authority, now, not_after)))
    clients = client_pairs(params, at_hand, None if given is None else given.certificate, now, not_after)
    return {
        "members": made,
        "clients": clients.made,
        "client_problem": clients.problem,
        "common_name": stranger_name if issuer is not None else None if given is None else given.common_name,
        "problem": problem,
        **gathered,
    }


def _given(
    params: t.Mapping[str, t.Any],
    authority: Authority | None,
    problem: str | None,
    members: t.Sequence[rules.PeerProfile],
    now: datetime,
) -> tuple[GivenStranger | None, str | None]:
    """The stranger that the user gave, where none of the CA can be made, and why there is none at all."""
    pair = params["stranger_certificate"], params["stranger_private_key"]
    if problem is None or authority is None or None in pair:
        return None, problem
    try:
        return given_stranger(*pair, authority, [one.common_name for one in members], now), None
    except RingfenceError as exc:
        return None, str(exc)


class PairOfStranger(t.NamedTuple):
    """A certificate and its key, as PEM."""

    certificate: str
    private_key: str


def stranger_of(
    certificate: bytes, private_key: bytes, passphrase: str | None, now: datetime, validity: timedelta
) -> PairOfStranger:
    """A pair of a CA whose key is at hand, with a name that is nobody's; a RingfenceError where it can't be made."""
    authority = load_authority(certificate, "the CA certificate", now)
    issuer = load_issuer(authority, private_key, "the CA's private key", passphrase)
    return _pair_without_places(issuer, *limits(authority, now, now + validity))


def stranger_of_unknown(name: str | x509.Name, now: datetime, validity: timedelta) -> PairOfStranger:
    """A pair of a CA that nobody knows, and that is called as theirs is."""
    not_after = now + validity
    return _pair_without_places(unknown_issuer(name, now, not_after), now - BACKDATE, not_after)


def _pair_without_places(issuer: certificates.Issuer, not_before: datetime, not_after: datetime) -> PairOfStranger:
    """For a host whose addresses nobody knows: etcd looks at no address of a certificate that names none."""
    key = keys.make_key(KEY_TYPE)
    name = f"stranger-{secrets.token_hex(8)}.ringfence.invalid"
    made = issuer.issue_without_places(name, key.public_key(), not_before, not_after)
    return PairOfStranger(certificates.certificate_pem(made).decode("ascii"), keys.private_key_pem(key).decode("ascii"))


def gather_ca(params: t.Mapping[str, t.Any], now: datetime) -> dict[str, t.Any] | None:
    """The CA in ``ca_directory``, and what ``etcd_ca`` would change of it or fail with; None without a directory."""
    return _looked_at(params, now)[0]


def _looked_at(params: t.Mapping[str, t.Any], now: datetime) -> tuple[dict[str, t.Any] | None, str | None]:
    """The same, and the serial number of the certificates that are revoked from the beginning."""
    if params["ca_directory"] is None:
        return None, None
    wanted = ca.WantedCa(
        params["ca_directory"],
        params["ca_common_name"],
        params["ca_key_type"],
        passphrase=params["ca_private_key_passphrase"],
        create=False,
        records=WantedRecords() if params["keep_index"] else None,
    )
    try:
        plan = ca.plan_ca(wanted, now)
    except RingfenceError as exc:
        code = rules.MISSING if exc.details.get("is_missing") else exc.problem
        pending = [{"code": code, "text": str(exc)}]
        if code == rules.MISSING:
            pending += _why_none_is_made(wanted.passphrase)
        return {"certificate": None, "pending": pending, **_NO_RECORDS}, None
    # A plan that makes none, as create is False, has the certificate of the one that is there.
    found = {"certificate": plan.bundle, "pending": list(plan.all_reasons), **_NO_RECORDS}
    if plan.records is None or plan.certificate is None:
        return found, None
    index, listed = plan.records.index, plan.records.revocation_list
    meant, refused = meant_by(index, params["revoked"], params["removed"], plan.certificate, now)
    found.update(to_revoke=meant, not_revoked=refused, index_begun=index.begun)
    if listed is None:
        return found, None
    return {**found, "revocation_list_pem": listed.pem}, index.probe_serial_number


def _why_none_is_made(passphrase: str | None) -> list[dict[str, str]]:
    """Why a missing CA can't be made, so that a run says it before it installs etcd."""
    try:
        ca.check_new_passphrase(passphrase, "ca_private_key_passphrase (etcd_peer_tls_ca_passphrase)")
    except InputError as exc:
        return [{"code": exc.problem, "text": str(exc)}]
    return []


def _checked_member(given: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    missing = [key for key in ("name", "common_name", "dns_names", "ip_addresses") if key not in given]
    if missing:
        raise InputError(f"members: an entry lacks {', '.join(missing)}: give members as the filter etcd_members does")
    for key in ("name", "common_name", "dns_names", "ip_addresses"):
        is_list = key in ("dns_names", "ip_addresses")
        texts = given[key] if is_list else [given[key]]
        if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
            wanted = "a list of texts" if is_list else "a text"
            raise InputError(
                f"members: {key} {given[key]!r} is not {wanted}: give members as the filter etcd_members does"
            )
    return given


def _issuer(params: t.Mapping[str, t.Any], now: datetime) -> CaAtHand:
    """The members' CA."""
    authority = None
    try:
        certificate, what = _content(params, "ca_certificate", "the CA certificate")
        authority = load_authority(certificate, what, now)
        key, what = _content(params, "ca_private_key", "the CA's private key")
        issuer = load_issuer(authority, key, what, params["ca_private_key_passphrase"])
    except RingfenceError as exc:
        return CaAtHand(authority, None, str(exc))
    return CaAtHand(authority, issuer, None)


def _content(params: t.Mapping[str, t.Any], option: str, what: str) -> tuple[bytes, str]:
    path, content = params[f"{option}_path"], params[f"{option}_content"]
    if path is None and params["ca_directory"] is not None:
        path = os.path.join(params["ca_directory"], "ca.crt" if option == "ca_certificate" else "ca.key")
    if content is not None:
        return content.encode("utf-8"), f"{what} in {option}_content"
    if path is None:
        raise InputError(f"{what} is not given: set {option}_path or {option}_content")
    found = read_file(path)
    if found is None:
        raise InputError(f"there is no {path}, where {what} should be")
    return found, f"{what} {path}"


def _made(
    case: str,
    issue: t.Callable[[rules.PeerProfile, keys.PublicKey, datetime, datetime], x509.Certificate],
    profile: rules.PeerProfile,
    not_before: datetime,
    not_after: datetime,
) -> dict[str, str]:
    key = keys.make_key(KEY_TYPE)
    certificate = issue(profile, key.public_key(), not_before, not_after)
    return {
        f"{case}_certificate": certificates.certificate_pem(certificate).decode("ascii"),
        f"{case}_private_key": keys.private_key_pem(key).decode("ascii"),
    }


__all__ = (
    "CLIENT",
    "PairOfStranger",
    "gather_ca",
    "run",
    "stranger_of",
    "stranger_of_unknown",
)
