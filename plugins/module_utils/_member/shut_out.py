# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom the next start of this node's etcd would shut out: asked at their peer ports, before anything is stopped.

A plan is made from what was seen some seconds before, and another run may have changed a certificate since. What counts
is what a member presents at the moment of the restart.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.command_line import Deployed
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._common.probe_cases import MEMBER
from ansible_collections.ringfence.etcd.plugins.module_utils._node.certificates import read_certificates
from ansible_collections.ringfence.etcd.plugins.module_utils._node.paths import read_file
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.handshake import (
    ACCEPTED,
    client_context,
    probe_port,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._probe.peers import Caller, explain, target_of

_SECONDS = 5.0
# What the next start would hold against the certificate that is served. Anything else is no matter of this start.
_WHY = {
    "server_unknown_authority": "its CA is not in {bundle}",
    "server_common_name": "its common name is not in --peer-cert-allowed-cn",
}


def shut_out(
    settings: Deployed, now: datetime.datetime, is_strict: bool = False
) -> t.Callable[[t.Iterable[str]], str | None]:
    """By the peer URLs of a member: why a start with these settings would refuse what it presents now.

    None where it would not, or where that can't be seen: the files can't be used, or the member does not answer. With
    ``is_strict`` that is a reason too, and so is a member that does not let this one in.
    """
    caller = _caller(settings)

    def why_not(peer_urls: t.Iterable[str]) -> str | None:
        if caller is None:
            return "this member's own files for peers can't be used" if is_strict else None
        for url in peer_urls:
            try:
                target = target_of(url, url)
            except InputError:
                if is_strict:
                    return f"{url} is no peer URL"
                continue
            if url.startswith("https://"):
                result = probe_port(caller.context, target.host, target.port, _SECONDS)
                reason = explain(caller, result, now).result.reason
                if reason in _WHY:
                    return _WHY[reason].format(bundle=settings["files"]["peer_trusted_ca_file"])
                if is_strict and result.outcome != ACCEPTED:
                    return f"it does not let this member in ({result.text})"
            elif is_strict:
                return f"{url} is no https"
        return None

    return why_not


def _caller(settings: Deployed) -> Caller | None:
    """The member as it will be, with the files that its next start reads; None where it will ask nobody for a CA.

    With a CA it asks whatever peer-client-cert-auth says.
    """
    files = settings["files"]
    bundle, certificate, key = (files[f"peer_{kind}_file"] for kind in ("trusted_ca", "cert", "key"))
    if not (bundle and certificate and key):
        return None
    try:
        contents = [read_file(path) or b"" for path in (bundle, certificate, key)]
        authorities = read_certificates(contents[0], bundle)
        context = client_context([authority.der for authority in authorities], *contents[1:])
    except RingfenceError:
        return None
    return Caller(MEMBER, context, None, authorities, tuple(settings["allowed_common_names"]) or None)


__all__ = ("shut_out",)
