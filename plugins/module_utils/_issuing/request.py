# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of `etcd_peer_certificates` to its answer: check the values, plan, guard, issue.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import typing as t
from dataclasses import replace
from datetime import datetime

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import names_of_others
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing import ca
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.ca_records import entry_of, record_issued
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import (
    Authority,
    IssuePlan,
    IssueRequest,
    RequestedMember,
    apply_issue,
    load_authority,
    load_issuer,
    plan_issue,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.request_files import plan_files
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.requested_keys import (
    check_requested_keys,
    keys_requested,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.result import (
    NONE_UNSIGNED,
    result_of,
    unsigned_result,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.signer_command import (
    SignerCommand,
    check_command,
    signed_by_command,
    way_to_another_ca,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._node import files
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._pki import profile as rules
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import certificates

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import Record
    from cryptography import x509

PEER = "peer"
_PROFILES: dict[str, t.Callable[..., rules.PeerProfile]] = {PEER: rules.peer_profile, "client": rules.client_profile}
_WHOSE = {PEER: "member", "client": "client"}
PURPOSES = tuple(_PROFILES)
CA_HOST, NODE = "ca", "node"
KEY_CUSTODIES = (CA_HOST, NODE)


def request_from(params: t.Mapping[str, t.Any]) -> IssueRequest:
    """The request in a module's parameters, checked; InputError names the option or the member."""
    directory: str | None = params["directory"]
    owner, group = params["owner"], params["group"]
    if directory is None and (owner is not None or group is not None):
        raise InputError("owner and group are for the files in directory: give directory too, or leave them out")
    on_nodes = params["key_custody"] == NODE
    _check_signer(params, on_nodes)
    if directory is not None and on_nodes:
        raise InputError("directory is for certificates with their keys, which key_custody: node has on their nodes")
    members = []
    for given in params["members"]:
        name: str = given["name"]
        if directory is not None and (given["certificate"] is not None or given["private_key_matches"] is not None):
            raise InputError(
                f"{_WHOSE[given['purpose']]} {name}: certificate and private_key_matches can't be "
                "given together with directory, where the present ones are read"
            )
        profile = _PROFILES[given["purpose"]](
            name, given["common_name"], given["dns_names"], given["ip_addresses"], params["key_type"]
        )
        present = None if given["certificate"] is None else given["certificate"].encode("utf-8")
        members.append(
            RequestedMember(profile, present, given["private_key_matches"], given["new_key"] or params["new_keys"])
        )
    # A client serves nobody, so that it is in nobody's place.
    _refuse_names_of_others([one.profile for one, given in zip(members, params["members"]) if given["purpose"] == PEER])
    return IssueRequest(
        tuple(members),
        rules.renewal_rules(params["validity_days"], params["renew_before_days"], params["backdate_minutes"]),
        directory,
        None if owner is None else files.uid_of(owner),
        None if group is None else files.gid_of(group),
        on_nodes,
        keys_requested(params["requests"], [one.profile for one in members], params["key_type"], on_nodes),
        way_to_another_ca(params) is not None,
    )


def _check_signer(params: t.Mapping[str, t.Any], on_nodes: bool) -> None:
    """InputError where another CA is to sign and this call can't be for one."""
    signer = way_to_another_ca(params)
    if signer is None:
        return
    check_command(params["signer_command"] or (), params["signer_timeout_seconds"])
    if not on_nodes:
        raise InputError(
            f"{signer} is for keys that are made on their nodes, whose requests another CA signs: set key_custody: node"
        )
    for option in ("ca_private_key_path", "ca_private_key_content", "ca_directory"):
        if params[option] is not None:
            raise InputError(f"{signer} is for a CA whose key is not here: leave {option} out")
    for given in params["members"]:
        if given["purpose"] != PEER:
            raise InputError(f"client {given['name']}: {signer} is for members' certificates alone")


def _refuse_names_of_others(profiles: t.Sequence[rules.PeerProfile]) -> None:
    """Whatever the caller made the list of: no certificate is issued that would serve in another member's place."""
    common_names = [profile.common_name for profile in profiles]
    own = {
        profile.name: {profile.name}
        # A name that all members share belongs to none of them.
        | ({profile.common_name} if common_names.count(profile.common_name) == 1 else set())
        for profile in profiles
    }
    names = {profile.name: {*profile.dns_names, *profile.ip_addresses} for profile in profiles}
    for asking, name, owner in names_of_others(own, names):
        raise InputError(
            f"member {asking}: dns_names and ip_addresses have {name}, which is member {owner}'s: a certificate never "
            "carries another member's name or address"
        )


def run(
    params: t.Mapping[str, t.Any], now: datetime, check_mode: bool, result_is_hidden: bool, with_diff: bool
) -> tuple[dict[str, t.Any], list[str]]:
    """The whole call: plan, guard, issue. Gives back the module's answer and its warnings."""
    request = request_from(params)
    if params["ca_pending"] and not check_mode:
        raise InputError("ca_pending is for check mode only: a real run needs the CA, make it first with etcd_ca")
    authority = None if params["ca_pending"] else _authority_from(params, now)
    plan = plan_issue(request, authority, now)
    warnings = list(plan.warnings)
    shown = () if result_is_hidden else plan.returned_keys
    refusal = (
        f"the new private keys of {', '.join(shown)} would be shown in the task's result: set no_log to true on the "
        "task, or give a directory to keep them in"
    )
    if params["decide_only"]:
        # In check mode it stands for the call that issues.
        return {**result_of(plan, {}, now, with_diff), "changed": check_mode and plan.changed}, warnings
    if request.is_signed_elsewhere:
        by = _by_files if params["requests_directory"] else _by_command
        return by(params, plan, now, check_mode, with_diff), warnings
    if check_mode:
        check_requested_keys(plan, is_real=False)
        refused = [f"a real run would be refused: {refusal}"] if shown else []
        return result_of(plan, {}, now, with_diff), [*warnings, *refused]
    if shown:
        raise RefusedError(f"nothing was issued: {refusal}", members=list(shown))
    check_requested_keys(plan, is_real=True)
    # Before anything is written: a key that can't be used leaves no trace.
    issuer = _issuer_from(params, plan)
    if plan.changed and request.directory is not None:
        files.apply_changes([plan.directory_change])
        with ca.locked(request.directory):
            # Planned again under the lock: another run may have issued meanwhile.
            fresh = replace(
                plan_issue(request, authority, now),
                directory_change=plan.directory_change,
                new_parents=plan.new_parents,
            )
            issued = apply_issue(fresh, issuer or _issuer_from(params, fresh), _record_in(params, fresh, now))
            return result_of(fresh, issued, now, with_diff), warnings
    issued = apply_issue(plan, issuer, _record_in(params, plan, now))
    return result_of(plan, issued, now, with_diff), warnings


def _by_files(
    params: t.Mapping[str, t.Any], plan: IssuePlan, now: datetime, check_mode: bool, with_diff: bool
) -> dict[str, t.Any]:
    """Take the certificates that another CA's people brought, or write the requests for them: all, or none."""
    check_requested_keys(plan, is_real=not check_mode)
    found = plan_files(plan, params["requests"] or {}, params["requests_directory"], now)
    if found.is_signed:
        # As with a CA that is here, what is issued is known after the real run.
        return {**result_of(plan, {} if check_mode else found.issued, now, with_diff), **NONE_UNSIGNED}
    if not check_mode:
        files.apply_changes(found.changes)
    return unsigned_result(plan, found, now, with_diff)


def _by_command(
    params: t.Mapping[str, t.Any], plan: IssuePlan, now: datetime, check_mode: bool, with_diff: bool
) -> dict[str, t.Any]:
    """Have a command of the user's get the certificates from another CA; in check mode nobody is asked."""
    check_requested_keys(plan, is_real=not check_mode)
    command = SignerCommand(tuple(params["signer_command"]), params["signer_timeout_seconds"])
    issued = {} if check_mode else signed_by_command(plan, params["requests"] or {}, command)
    return result_of(plan, issued, now, with_diff)


def _record_in(params: t.Mapping[str, t.Any], plan: IssuePlan, now: datetime) -> Record | None:
    """What writes into the CA's index what was issued; None without one."""
    directory, authority = params["ca_directory"], plan.authority
    if directory is None or authority is None:
        return None
    is_locked = plan.request.directory is not None and os.path.realpath(directory) == os.path.realpath(
        plan.request.directory
    )

    def record(made: t.Mapping[str, x509.Certificate]) -> None:
        # A second lock on the same file would wait for the first one for ever.
        with contextlib.nullcontext() if is_locked else ca.locked(directory):
            entries = [entry_of(certificate, name) for name, certificate in made.items()]
            record_issued(directory, authority.certificate, entries, now)

    return record


def _authority_from(params: t.Mapping[str, t.Any], now: datetime) -> Authority:
    path, content = params["ca_certificate_path"], params["ca_certificate_content"]
    if content is not None:
        return load_authority(content.encode("utf-8"), "the CA certificate in ca_certificate_content", now)
    if path is None:
        raise InputError("the CA is not given: set ca_certificate_path or ca_certificate_content")
    pem = read_file(path)
    if pem is None:
        raise InputError(f"there is no CA certificate {path}: make the CA first with etcd_ca, or name the right path")
    return load_authority(pem, f"the CA certificate {path}", now)


def _issuer_from(params: t.Mapping[str, t.Any], plan: IssuePlan) -> certificates.Issuer | None:
    """The CA's key is read only where something is to be issued."""
    path, content = params["ca_private_key_path"], params["ca_private_key_content"]
    if not plan.due or plan.authority is None:
        return None
    passphrase = params["ca_private_key_passphrase"]
    if content is not None:
        what = "the CA's private key in ca_private_key_content"
        return load_issuer(plan.authority, content.encode("utf-8"), what, passphrase)
    if path is None:
        raise InputError(
            f"certificates are due ({plan.due_text}): give the CA's "
            "private key with ca_private_key_path or ca_private_key_content"
        )
    pem = read_file(path)
    if pem is None:
        raise InputError(
            f"certificates are due ({plan.due_text}), and there is no CA private key {path}: name the right path"
        )
    return load_issuer(plan.authority, pem, f"the CA's private key {path}", passphrase)


__all__ = ("KEY_CUSTODIES", "PURPOSES", "request_from", "run")
