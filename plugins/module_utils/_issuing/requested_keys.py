# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Public keys that hosts ask certificates for: each proved to be its host's, none that another has, none that was used.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RefusedError
from ansible_collections.ringfence.etcd.plugins.module_utils._x509 import keys, signing_request

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._issuing.peer_certificates import IssuePlan
    from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import PeerProfile

_ADVICE = "have its host make it anew with etcd_peer_key (fresh: true)"


def keys_requested(
    requests: t.Mapping[str, t.Any] | None, profiles: t.Sequence[PeerProfile], key_type: str, on_nodes: bool
) -> dict[str, keys.PublicKey]:
    """The public keys in the requests, by member; an error with one line that names the member where one is refused.

    A request of null is none: in check mode no key is made.
    """
    given = {name: text for name, text in (requests or {}).items() if text is not None}
    if given and not on_nodes:
        raise InputError("requests are for keys that are made on their nodes: set key_custody: node, or leave them out")
    whose = {profile.name: profile.whose for profile in profiles}
    for name in given:
        if name not in whose:
            raise InputError(f"requests: {name!r} is no member: the names in members are {', '.join(whose)}")
    return {
        name: signing_request.certifiable_key(str(text), key_type, f"{whose[name]}: its request")
        for name, text in given.items()
    }


def check_requested_keys(plan: IssuePlan, is_real: bool) -> None:
    """RefusedError where a member must not have a certificate for the key that it asks for, or asks for none.

    ``is_real``: nothing is asked for yet in check mode.
    """
    request = plan.request
    lacking = [one.name for one in plan.due if one.new_key and one.name not in request.requested_keys]
    if request.keys_on_nodes and is_real and lacking:
        raise RefusedError(
            f"nothing was issued: {', '.join(lacking)} needs a new key, and no request of that member came: have its "
            "host make both with etcd_peer_key, and look there why it did not",
            members=lacking,
        )
    holders: dict[str, str] = {}
    if plan.authority is not None:
        holders[keys.public_key_digest(plan.authority.public_key)] = "the CA"
    for decision in plan.decisions:
        if decision.found is not None:
            present = t.cast("keys.PublicKey", decision.found.public_key())
            holders.setdefault(keys.public_key_digest(present), f"the present certificate of {decision.name}")
    whose = {member.profile.name: member.profile.whose for member in request.members}
    for name, public_key in request.requested_keys.items():
        digest = keys.public_key_digest(public_key)
        if digest in holders:
            raise RefusedError(
                f"nothing was issued: {whose[name]}: its request has the same key as {holders[digest]}, and a new key "
                f"of its own is wanted: {_ADVICE}",
                members=[name],
            )
        holders[digest] = f"the request of {name}"


__all__ = ("check_requested_keys", "keys_requested")
