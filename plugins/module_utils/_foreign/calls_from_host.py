# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this host gets at the peer ports of a cluster that somebody else deployed.

It calls as its own members, with every pair of the cluster's CAs that lies here, with a stranger's pair that is given,
and without a certificate. A key that lies on this host is used from here, and goes nowhere.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import os
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.input_rules import PROBE_SECONDS, check_range
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import (
    MEMBER,
    NO_CERTIFICATE,
    STRANGER,
    UNKNOWN_CA,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._common.times import iso_time
from ansible_collections.ringfence.etcd.plugins.module_utils._foreign.certificates_on_host import Pairs, pairs_on_host
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._node.tls_check import Material, check_pair
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.certificate import Certificate
from ansible_collections.ringfence.etcd.plugins.module_utils._pki.pem import CERTIFICATE_LABEL, pem_text
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import client_context
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import Caller, Target, probe_all, target_of

# As many pairs as are called with at most: each calls every peer port.
_PAIRS, _CALLS = 24, 1200


def calls_from_host(params: t.Mapping[str, t.Any], now: datetime.datetime) -> dict[str, t.Any]:
    """The whole answer of ``etcd_process_probe`` from its options."""
    check_range("timeout_seconds", params["timeout_seconds"], *PROBE_SECONDS)
    targets = [_target(given) for given in params["peer_ports"]]
    authorities = _given_authorities(params["ca_certificates"])
    pairs = Pairs((), 0, None)
    if authorities and targets:
        own_folders = {os.path.dirname(path) for own in params["own"] for path in own.values() if _is_path(path)}
        pairs = pairs_on_host(
            {*params["folders"], *own_folders},
            {authority.subject for authority in authorities},
            frozenset(params["common_names"]),
            max(1, min(_PAIRS, _CALLS // len(targets))),
            now,
        )
    calls, problems = _own_calls(params, targets, now)
    labels, callers = _strangers(params, pairs, authorities)
    found = probe_all(callers, targets, params["timeout_seconds"], now) if targets else []
    for number, call in enumerate(found):
        calls.append({**call, "from": None, "fingerprint": labels[number // len(targets)]})
    return {
        "time": iso_time(now),
        "served": _served(calls),
        "calls": calls,
        "own_problems": problems,
        "pairs": [
            {
                "path": pair.path,
                "key_path": pair.key_path,
                "fingerprint": pair.certificate.fingerprint,
                "pem": pem_text(CERTIFICATE_LABEL, pair.certificate.der).decode("ascii"),
            }
            for pair in pairs.found
        ],
        "pairs_left_out": pairs.left_out,
        "pairs_problem": pairs.problem,
    }


def _target(given: t.Mapping[str, t.Any]) -> Target:
    if not isinstance(given.get("name"), str) or not isinstance(given.get("url"), str):
        raise InputError("peer_ports: an entry lacks name or url: each needs both")
    return target_of(given["name"], given["url"])


def _given_authorities(texts: t.Sequence[str]) -> tuple[Certificate, ...]:
    found: dict[str, Certificate] = {}
    for text in texts:
        for certificate in read_certificates(text, "ca_certificates"):
            found[certificate.fingerprint] = certificate
    return tuple(found.values())


def _is_path(path: t.Any) -> bool:
    return isinstance(path, str) and os.path.isabs(path)


def _own_calls(
    params: t.Mapping[str, t.Any], targets: t.Sequence[Target], now: datetime.datetime
) -> tuple[list[dict[str, t.Any]], dict[str, str]]:
    """The calls of this host's own members at the others; of the only one, at itself."""
    calls: list[dict[str, t.Any]] = []
    problems: dict[str, str] = {}
    for own in params["own"]:
        name = own.get("name")
        if not isinstance(name, str):
            raise InputError("own: an entry lacks its name")
        others = [target for target in targets if target.name != name] or list(targets)
        try:
            caller = _own_caller(own)
        except RingfenceError as exc:
            problems[name] = str(exc)
            continue
        found = probe_all([caller], others, params["timeout_seconds"], now) if others else []
        calls += [{**call, "from": name, "fingerprint": None} for call in found]
    return calls, problems


def _own_caller(own: t.Mapping[str, t.Any]) -> Caller:
    """A member with the files of its own process; without TLS of its own it only looks what answers."""
    paths = {key: own.get(key) for key in ("peer_cert_file", "peer_key_file", "peer_trusted_ca_file")}
    contents = {key: _content(path) for key, path in paths.items() if _is_path(path)}
    certificate, key = contents.get("peer_cert_file"), contents.get("peer_key_file")
    if certificate is None or key is None:
        return Caller(MEMBER, client_context(None))
    check_pair(Material(str(paths["peer_cert_file"]), certificate), Material(str(paths["peer_key_file"]), key))
    bundle = contents.get("peer_trusted_ca_file")
    authorities = () if bundle is None else read_certificates(bundle, str(paths["peer_trusted_ca_file"]))
    trusted = None if bundle is None else [authority.der for authority in authorities]
    allowed = own.get("allowed_common_names")
    return Caller(
        MEMBER,
        client_context(trusted, certificate, key),
        read_certificates(certificate, str(paths["peer_cert_file"]))[0],
        authorities,
        tuple(str(name) for name in allowed) if isinstance(allowed, (list, tuple)) and allowed else None,
    )


def _content(path: t.Any) -> bytes:
    content = read_file(path)
    if content is None:
        raise InputError(f"there is no {path}, so this host can't call as a member")
    return content


def _strangers(
    params: t.Mapping[str, t.Any], pairs: Pairs, authorities: tuple[Certificate, ...]
) -> tuple[list[str | None], list[Caller]]:
    """Whom this host calls as beside its members, each with its certificate's fingerprint."""
    labels: list[str | None] = []
    callers: list[Caller] = []
    for pair in pairs.found:
        labels.append(pair.certificate.fingerprint)
        context = client_context(None, pair.chain, pair.private_key)
        callers.append(Caller(STRANGER, context, pair.certificate, authorities))
    for case in (STRANGER, UNKNOWN_CA):
        pem, key = params[f"{case}_certificate"], params[f"{case}_private_key"]
        if pem is not None:
            certificate = pem.encode("ascii", "replace")
            leaf = read_certificates(certificate, f"{case}_certificate")[0]
            labels.append(leaf.fingerprint)
            known = authorities if case == STRANGER else ()
            context = client_context(None, certificate, key.encode("ascii", "replace"))
            callers.append(Caller(case, context, leaf, known))
    return [*labels, None], [*callers, Caller(NO_CERTIFICATE, client_context(None))]


def _served(calls: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The certificate that each peer port presents, taken out of the calls that saw it."""
    found: dict[str, list[bytes]] = {}
    for call in calls:
        der = call.pop("server")
        if der is not None and der not in found.setdefault(call["to"], []):
            found[call["to"]].append(der)
    return [
        {"to": name, "pem": pem_text(CERTIFICATE_LABEL, der).decode("ascii")}
        for name, ders in found.items()
        for der in ders[:4]
    ]


__all__ = ("calls_from_host",)
