# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of hosts with every documented key, made of the few that a test is about."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import as_result
from ansible_collections.ringfence.etcd.plugins.plugin_utils._answers import Kind
from ansible_collections.ringfence.etcd.plugins.plugin_utils._states import PROBE
from ansible_collections.ringfence.etcd.tests.unit.plugins.module_utils.certificate_maker import new_key, pem_of
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

KEY = new_key()

_EMPTY: dict[str, t.Any] = {"str": "", "int": 0, "bool": False, "float": 0.0}

# What has to have a form.
_FORMED = {
    **dict.fromkeys(("time", "not_before", "not_after"), "2026-01-01T00:00:00Z"),
    **dict.fromkeys(("fingerprint", "serial_number", "configuration_hash", "member_id", "cluster_id"), "00"),
}
_FACTS = {"key_algorithm": "ecdsa-p256", "is_ca": False}
_USER = {"name": "etcd", "exists": True, "module_user": "root", "may_own": True}


def whole(kinds: t.Mapping[str, Kind], some: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What is given, and what lacks as null or empty. What is given wrong stays so."""
    lacking = {name: _nothing(kind, name) for name, kind in kinds.items() if kind.is_required and name not in some}
    return {**{name: _whole(kinds[name], found) if name in kinds else found for name, found in some.items()}, **lacking}


def whole_state(some: t.Any) -> t.Any:
    """A result of etcd_peer_probe; what has no credentials in its ``info`` is none and stays as it is."""
    info = some.get("info") if isinstance(some, dict) else None
    if not isinstance(info, dict) or "credentials" not in info:
        return some
    found: dict[str, t.Any] = whole(PROBE.fields, {**some, "info": {"user": _USER, **info}})
    _make_true(found)
    leaf = found["info"]["credentials"]["certificate"]
    if isinstance(leaf, dict) and leaf["fingerprint"] is not None:
        # Facts of a certificate come together.
        leaf.update({name: value for name, value in _FACTS.items() if leaf[name] is None})
    return found


def _make_true(state: dict[str, t.Any]) -> None:
    """What is said of certificates is what stands in a certificate, which is made where there is none."""
    is_made, now = False, _time_of(state)
    for credentials in (state["info"]["credentials"], state["process_credentials"]):
        if not isinstance(credentials, dict):
            continue
        bundle, leaf = credentials["ca"], credentials["certificate"]
        if not isinstance(bundle, dict) or not isinstance(leaf, dict):
            continue
        if bundle["pem"] is None and _are_facts(*bundle["certificates"]):
            bundle["pem"] = "".join(_certificate_for(facts, now, is_ca=True) for facts in bundle["certificates"])
        elif bundle["pem"] is not None:
            bundle["certificates"] = _facts_in(bundle["pem"], now)
        if leaf["pem"] in (None, "PEM") and _are_facts(leaf):
            leaf["pem"] = _certificate_for(leaf, now, is_ca=False)
            is_made = True
        elif leaf["pem"] is not None:
            for facts in _facts_in(leaf["pem"], now)[:1]:
                leaf.update({name: facts[name] for name in facts.keys() & leaf.keys()})
    for probe in state["probes"] if is_made and isinstance(state["probes"], list) else ():
        if isinstance(probe, dict) and isinstance(probe["server"], dict) and _are_facts(probe["server"]):
            _certificate_for(probe["server"], now, is_ca=False)


def _are_facts(*found: t.Any) -> bool:
    return bool(found) and all(isinstance(one, dict) and isinstance(one["fingerprint"], str) for one in found)


def _time_of(state: t.Mapping[str, t.Any]) -> datetime.datetime:
    """The host's own time, by which its days are counted; now where it tells none."""
    try:
        return datetime.datetime.strptime(state["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except (TypeError, ValueError):
        return datetime.datetime.now(datetime.timezone.utc)


def _certificate_for(facts: dict[str, t.Any], now: datetime.datetime, is_ca: bool) -> str:
    """A certificate that says it, and then the facts are all that it says."""
    asked = ("common_name", "issuer_common_name", "serial_number", "not_before", "not_after")
    lists = ("dns_names", "ip_addresses", "extended_key_usage")
    pem = _made(
        *(facts[name] for name in asked),
        *(None if facts[name] is None else tuple(facts[name]) for name in lists),
        is_ca,
        facts["fingerprint"],
    )
    facts.update({name: value for name, value in _facts_in(pem, now)[0].items() if name in facts})
    return pem


@functools.cache
def _made(
    common_name: str | None,
    issuer: str | None,
    serial_number: str,
    not_before: str,
    not_after: str,
    dns_names: tuple[str, ...],
    ip_addresses: tuple[str, ...],
    usages: tuple[str, ...] | None,
    is_ca: bool,
    _which: str,
) -> str:
    names = [*map(x509.DNSName, dns_names), *(x509.IPAddress(ipaddress.ip_address(text)) for text in ip_addresses)]
    known = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(_name(issuer))
        .public_key(KEY.public_key())
        .serial_number(max(1, int(serial_number, 16) % (1 << 159)))
        .not_valid_before(_moment(not_before))
        .not_valid_after(_moment(not_after))
        .add_extension(x509.BasicConstraints(is_ca, None), True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    if usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([known[usage] for usage in usages]), False)
    return pem_of(builder.sign(KEY, hashes.SHA256()))


def _name(common_name: str | None) -> x509.Name:
    return x509.Name([] if common_name is None else [x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


def _facts_in(pem: str, now: datetime.datetime) -> list[dict[str, t.Any]]:
    try:
        return [as_result(one, now) for one in read_certificates(pem)]
    except CryptoError:
        return []


def whole_states(some: t.Any) -> t.Any:
    return {name: whole_state(state) for name, state in some.items()} if isinstance(some, dict) else some


def _whole(kind: Kind, found: t.Any) -> t.Any:
    if kind.type == "dict" and kind.fields is not None and isinstance(found, dict):
        return whole(kind.fields, found)
    if kind.type == "list" and kind.elements is not None and isinstance(found, list):
        return [_whole(kind.elements, item) for item in found]
    return found


def _nothing(kind: Kind, name: str) -> t.Any:
    if kind.is_nullable:
        return None
    if kind.type == "dict":
        return whole(kind.fields or {}, {})
    return [] if kind.type == "list" else _FORMED.get(name, _EMPTY[kind.type])
